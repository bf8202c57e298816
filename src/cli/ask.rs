//! The command lines of the daily questions to hosts: `exec`, `status`, `doctor`.

use std::ffi::OsString;
use std::time::Duration;

use clap::Args;

use super::{FleetHosts, Without, parse_fleet, parse_pattern};
use crate::inventory::duration;

/// Run a command on the hosts of a fleet, side by side
///
/// The words after `--` are the command: they arrive on every host exactly as they were typed, and no shell there reads
/// them. For a pipe or a variable of the host begin with a shell: `-- sh -c '...'`. The command reads nothing. When its
/// time is over, or you press Ctrl-C, it is ended on the hosts too. Its output is shown host by host in the inventory's
/// order: `|` stands before a line of stdout, `!` before one of stderr.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "\
Examples:
  fleetdeploy exec homelab -- uptime
  fleetdeploy exec homelab --on '@edge' --sudo -- systemctl restart nginx.service
  fleetdeploy exec homelab --fold -- uname -r                        equal answers once
  fleetdeploy exec homelab --stream --timeout 1h -- journalctl -f    line by line, Ctrl-C ends it
  fleetdeploy exec homelab -- sh -c 'df -h / | tail -n 1'            with a shell of the host

Exit status:
  0  it ended with 0 on every host
  1  it failed on a host, or a host does not answer
  2  usage or inventory
  130, 143, 129  interrupted")]
pub struct Exec {
    #[command(flatten)]
    pub fleet: FleetHosts,
    /// Run it as root, the way the inventory's `become` says; else as the user that logs in
    #[arg(long)]
    pub sudo: bool,
    /// Show equal answers once, with the hosts that gave them
    #[arg(long)]
    pub fold: bool,
    /// Show each line as it comes, with its host in front
    #[arg(long, conflicts_with = "fold")]
    pub stream: bool,
    /// How long the command may run on a host
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "5m")]
    pub timeout: Duration,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    pub words: Vec<OsString>,
}

/// Show what every host runs, would boot, lacks and needs
///
/// Asks every host once and changes nothing. A host that does not answer is shown as such. Below the table stands
/// everything that is not as it should be, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "\
Examples:
  fleetdeploy status                        every host of the inventory
  fleetdeploy status homelab --on '@edge'
  fleetdeploy status homelab --build        also: does it run what the flake gives now?

Exit status:
  0  every host has answered
  1  a host does not answer, or --build could not build
  2  usage or inventory
  130, 143, 129  interrupted")]
pub struct Status {
    /// The fleet, as the inventory names it; every host of the inventory if it is left out
    #[arg(value_name = "FLEET", value_parser = parse_fleet)]
    pub name: Option<String>,
    /// Only these hosts: names, globs (`web-*`), tags (`@edge`), `all`; commas between, may be repeated
    #[arg(long, value_name = "PATTERN", value_parser = parse_pattern)]
    pub on: Vec<String>,
    /// Not these hosts, written like those of `--on`
    #[arg(long, value_name = "PATTERN", value_parser = parse_pattern)]
    pub except: Vec<String>,
    #[command(flatten)]
    pub without: Without,
    /// Build what the flake gives now, and show which hosts run something else
    #[arg(long, requires = "name")]
    pub build: bool,
}

/// Find out what would stop a push, and how to mend it, before it does
///
/// Looks at this workstation and asks every host once; changes nothing. Blockers come first, then warnings. Checks that
/// are fine are counted, and shown with `-v`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "\
Examples:
  fleetdeploy doctor homelab
  fleetdeploy doctor homelab --on homeserver -v    also what is fine

Exit status:
  0  nothing would stop a push
  1  a blocker was found
  2  usage or inventory
  130, 143, 129  interrupted")]
pub struct Doctor {
    #[command(flatten)]
    pub fleet: FleetHosts,
}
