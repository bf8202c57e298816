//! `fleetdeploy`: see the library's documentation for how it is made.

use std::process::ExitCode;

fn main() -> ExitCode {
    fleetdeploy::commands::main(std::env::args_os())
}
