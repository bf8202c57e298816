//! `inventory import`.

use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};

use super::parse_fleet;

/// Make an inventory out of what Ansible, deploy-rs, colmena or ssh has
///
/// What can be said becomes an inventory on stdout, or in `--output`; everything else is listed on stderr, with its
/// place and what to do about it. Nothing is run: no playbook, no inventory script, and of a flake only data is
/// evaluated. Passwords and encrypted values are never read.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "\
Examples:
  fleetdeploy inventory import --from ansible hosts.ini --output inventory.yaml
  fleetdeploy inventory import --from ansible inventories/production/ --fleet production
  fleetdeploy inventory import --from deploy-rs .           the flake here
  fleetdeploy inventory import --from colmena hive.nix      or a flake with a hive
  fleetdeploy inventory import --from ssh-config            ~/.ssh/config

Exit status:
  0  the inventory is written; what is not in it is listed
  2  the source cannot be understood, or the output is there already")]
pub struct Import {
    /// What the source is of
    #[arg(long, value_enum, value_name = "TOOL")]
    pub from: Foreign,
    /// The inventory, ssh config or hive, or the flake; default: `~/.ssh/config`, or the flake here
    #[arg(value_name = "FILE|FLAKE", value_hint = ValueHint::AnyPath)]
    pub source: Option<String>,
    /// The name of the fleet that the hosts make; default: the name of the file, or `homelab`
    // Its own identity: a name that is still to be given is not completed from those that are there.
    #[arg(id = "new_fleet", long = "fleet", value_name = "NAME", value_parser = parse_fleet)]
    pub fleet: Option<String>,
    /// Write it to this file, which must not be there yet, instead of stdout
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Whose the source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Foreign {
    Ansible,
    DeployRs,
    Colmena,
    SshConfig,
}
