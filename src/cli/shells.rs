//! What shells and man(1) are given.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Print the script that makes a shell complete commands, fleets, hosts and runs
///
/// Fleets and hosts come from the inventory that a command would read, runs from the record.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "\
Examples:
  source <(fleetdeploy completions bash)      in ~/.bashrc
  source <(fleetdeploy completions zsh)       in ~/.zshrc, below compinit
  fleetdeploy completions fish | source       in ~/.config/fish/config.fish")]
pub struct Completions {
    #[arg(value_enum, value_name = "SHELL")]
    pub shell: Shell,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// Print a manual page
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "\
Examples:
  fleetdeploy man push | man -l -
  fleetdeploy man inventory graph | man -l -
  fleetdeploy man --all ~/.local/share/man/man1")]
pub struct ManPages {
    /// The command, if not fleetdeploy itself
    #[arg(value_name = "COMMAND")]
    pub command: Vec<String>,
    /// Write the pages of all commands into this folder, and print their names
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    pub all: Option<PathBuf>,
}
