//! The command line: clap types only. Usage errors exit with 2.

mod ask;
mod forecast;
mod guard;
mod import;
mod inventory;
mod push;
mod shells;
mod without;

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{ArgAction, Args, CommandFactory, Parser, Subcommand};

use crate::inventory::model::is_name;
use crate::inventory::union;
use crate::record::run_id::RunId;
use crate::ui::mode::{Colour, Flags};

pub use ask::{Doctor, Exec, Status};
pub use forecast::{BackTo, Diff, Plan, Rollback, Showing, Terms};
pub use guard::{ArmGuard, DisarmGuard, ExtendGuard, Guard, GuardCommand, GuardStatus, Reboot};
pub use import::{Foreign, Import};
pub use inventory::{Inventory, InventoryCommand, InventoryGraph, InventoryList};
pub use push::Push;
pub use shells::{Completions, ManPages, Shell};
pub use without::Without;

/// Pushes NixOS systems to a fleet as one guarded transaction
///
/// Either every host ends on its new system with the network between the hosts proven, or every host is back on its
/// old one, also when this workstation, a host or a link dies in the middle.
#[derive(Debug, Clone, PartialEq, Eq, Parser)]
#[command(name = "fleetdeploy", version, max_term_width = 100, arg_required_else_help = true)]
#[command(after_help = "\
Example:
  fleetdeploy inventory check     is the inventory right?
  fleetdeploy check homelab       are all links of the fleet up?
  fleetdeploy doctor homelab      would anything stop a push?
  fleetdeploy push homelab        build, test, prove the network, make permanent
  fleetdeploy status              what does every host run and need?
  fleetdeploy show                what did the last push do?")]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// Reads a command line, the program's name first.
    ///
    /// # Errors
    /// Usage errors, and help and version when they were asked for in so many words: `push -homelab` is `-h` with
    /// more letters to clap, and help ends with 0, which a script would take for a push that committed.
    pub fn read(words: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let words: Vec<OsString> = words.into_iter().collect();
        Self::try_parse_from(&words).map_err(|error| {
            let asked = |forms: &[&str]| words.iter().skip(1).any(|word| forms.iter().any(|form| word == form));
            let meant = match error.kind() {
                ErrorKind::DisplayHelp => asked(&["-h", "--help", "help"]),
                ErrorKind::DisplayVersion => asked(&["-V", "--version"]),
                _ => true,
            };
            if meant {
                error
            } else {
                let text = "a word begins with the letter of an option and is none; a name cannot begin with `-`";
                Self::command().error(ErrorKind::UnknownArgument, text)
            }
        })
    }
}

/// Options that every command has.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// The inventory file; default: `$FLEETDEPLOY_INVENTORY`, else `inventory.yaml`, looked for upwards from the
    /// working folder
    #[arg(short, long, global = true, value_name = "FILE")]
    pub inventory: Option<PathBuf>,
    /// Say more: every step of every host, whole logs
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
    /// Say only what is wrong
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Write events as JSON lines on stdout, in the shape of `events.schema.json`
    #[arg(long, global = true)]
    pub json: bool,
    /// When to use colour
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub color: Colour,
}

impl Global {
    /// What the screen's mode is chosen from.
    #[must_use]
    pub fn screen_flags(&self) -> Flags {
        Flags { json: self.json, quiet: self.quiet, verbose: self.verbose > 0, colour: self.color }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Command {
    Push(Push),
    Plan(Plan),
    Diff(Diff),
    Rollback(Rollback),
    Recover(Recover),
    Build(Build),
    Check(Check),
    Status(Status),
    Exec(Exec),
    Doctor(Doctor),
    Guard(Guard),
    Reboot(Reboot),
    Inventory(Inventory),
    Runs(Runs),
    Show(Show),
    Logs(Logs),
    Replay(Replay),
    Completions(Completions),
    Man(ManPages),
}

/// Finish or undo a push that was interrupted
///
/// Takes the run over on every host, so that the program that began it can do nothing more, and looks how each host
/// stands. If the push had decided to commit, and every host can go on, every link is proven anew and the run is
/// finished; if not, every host goes back to the system it ran. It works from the run's record, or from another
/// workstation, from what the hosts themselves hold.
///
/// A host that does not come back holds up the others only until you say so: with --without they are brought to one
/// side and freed as soon as no guard can be armed on it any more. On a terminal it asks before it waits. When the host
/// is back, `recover` deals with it; if it is back on the system that it ran, a push does so as well.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "\
Examples:
  fleetdeploy recover            the newest unfinished run of this workstation
  fleetdeploy recover homelab    this fleet, also from another workstation
  fleetdeploy recover homelab --run 20261122-161500-homelab-3f9c
                                 this run of it, where hosts hold several
  fleetdeploy recover homelab --without nas
                                 nas is dead: bring the others to one side and end the run
  fleetdeploy recover homelab --forget 20261122-161500-homelab-3f9c
                                 only remove what that run has left, and move no host

Exit status:
  0  every host is on its new system, or nothing was unfinished
  1  every host was seen on its old system, without a guard;
     or it is a guard that was armed by hand, which is left alone
  2  usage or inventory
  3  some hosts are not where they should be, or do not answer;
     or somebody else has taken over
  130, 143, 129  interrupted, and every host was seen on its old system")]
pub struct Recover {
    /// The fleet, as the inventory names it
    #[arg(value_name = "FLEET", value_parser = parse_fleet)]
    pub name: Option<String>,
    /// This run, instead of the one that this workstation knows of or that most hosts hold something of
    #[arg(long, value_name = "RUN", requires = "name", value_parser = parse_run)]
    pub run: Option<RunId>,
    #[command(flatten)]
    pub without: Without,
    /// Only remove what this run has left on the hosts, and move none of them
    #[arg(
        long,
        value_name = "RUN",
        requires = "name",
        value_parser = parse_run,
        conflicts_with_all = ["run", "without"]
    )]
    pub forget: Option<RunId>,
    /// With --forget: even if hosts are not at rest, or not on one side
    #[arg(long, requires = "forget")]
    pub as_they_stand: bool,
}

/// Build the systems of a fleet, and touch no host
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "\
Example:
  fleetdeploy build homelab --on homeserver

Exit status:
  0  every system is built
  1  one does not build
  2  usage or inventory
  130, 143, 129  interrupted")]
pub struct Build {
    #[command(flatten)]
    pub fleet: FleetHosts,
}

/// Probe every link of a fleet and show the matrix, and change nothing
///
/// Links are probed from the hosts at their ends, as a push does it before and after. This runs the inventory's
/// `command` checks: those of the workstation here, as you, and those of a host there, as root.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "\
Examples:
  fleetdeploy check homelab                    every link
  fleetdeploy check homelab --on homeserver    only the links from it and to it

Exit status:
  0  every required link is up, of those that are looked at
  1  a required link is down, or a host does not answer
  2  usage or inventory
  130, 143, 129  interrupted")]
pub struct Check {
    #[command(flatten)]
    pub fleet: FleetHosts,
}

/// List the runs that this workstation has a record of, the newest first
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "\
Examples:
  fleetdeploy runs                    the last 20 of all fleets
  fleetdeploy runs homelab --limit 5  the last 5 of one

Exit status:
  0  answered
  1  the record cannot be read
  2  usage, or no such fleet")]
pub struct Runs {
    /// Only runs of this fleet
    #[arg(value_name = "FLEET", value_parser = parse_fleet)]
    pub fleet: Option<String>,
    /// How many runs to list
    #[arg(long, value_name = "N", default_value_t = Runs::LIMIT)]
    pub limit: NonZeroUsize,
}

impl Runs {
    /// A screen of a small terminal.
    const LIMIT: NonZeroUsize = NonZeroUsize::new(20).expect("20 is not 0");
}

/// Show what a run did: what went wrong, where the time went, the links before and after, and how it ended
///
/// `--report` makes one text file to send along with a bug report: what happened when and where, of known fields alone.
/// Texts that programs or people have written are in it only with `--with-logs`, and everything in them that looks like
/// an address, a name, a user, a key or a password is hidden. Names of fleets, units and store paths stay: read it
/// before you send it.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "\
Examples:
  fleetdeploy show                       the last run
  fleetdeploy show last-failed           the last one that was rolled back, refused or split
  fleetdeploy show 20261122-16           the one run whose id begins like this
  fleetdeploy show last-failed --report  its report, as fleetdeploy-report-RUN.txt
  fleetdeploy show last-failed --report --with-logs
                                         the same with all texts and logs

Exit status:
  0  answered, however the run has ended
  1  the record cannot be read, or the report not be written
  2  usage, or no such run")]
pub struct Show {
    /// `last`, `last-failed`, an id of `fleetdeploy runs`, or as much of its beginning as no other run has
    #[arg(value_name = "RUN", default_value = "last")]
    pub run: String,
    /// Write a report for others, without names, addresses, texts and logs, as fleetdeploy-report-RUN.txt
    #[arg(long)]
    pub report: bool,
    /// With --report: also texts and the output of programs, which may hold secrets that cannot be recognised
    #[arg(long, requires = "report")]
    pub with_logs: bool,
    /// Write the report to this file, which must not be there yet; `-` is stdout
    #[arg(long, value_name = "FILE", requires = "report")]
    pub output: Option<PathBuf>,
}

/// Print what the hosts of a run said, and what nix printed
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "\
Examples:
  fleetdeploy logs last vps   what happened on one host
  fleetdeploy logs last nix   what nix printed
  fleetdeploy logs last       all of it, one after the other

Exit status:
  0  answered
  1  the record cannot be read
  2  usage, no such run, or no such host in it")]
pub struct Logs {
    /// `last`, `last-failed`, an id of `fleetdeploy runs`, or as much of its beginning as no other run has
    #[arg(value_name = "RUN")]
    pub run: String,
    /// Only this host; `nix` is the build
    #[arg(value_name = "HOST")]
    pub host: Option<String>,
}

/// Play a recorded run on the screen as it was
#[derive(Debug, Clone, PartialEq, Args)]
#[command(hide = true)]
#[command(after_help = "\
Examples:
  fleetdeploy replay last --speed 10
  fleetdeploy replay events.jsonl --until 60")]
pub struct Replay {
    /// A file of events, or a run as `fleetdeploy show` takes it
    #[arg(value_name = "FILE")]
    pub file: String,
    /// How many times faster than it was
    #[arg(long, value_name = "N", default_value_t = 1.0, value_parser = parse_speed)]
    pub speed: f64,
    /// Stop there, in seconds of the run
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds)]
    pub until: Option<Duration>,
}

// A speed is never NaN.
impl Eq for Replay {}

/// A fleet, and some of its hosts.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct FleetHosts {
    /// The fleet, as the inventory names it
    #[arg(value_name = "FLEET", value_parser = parse_fleet)]
    pub name: String,
    /// Only these hosts: names, globs (`web-*`), tags (`@edge`), `@failed` (in the fleet's last run), `all`; commas
    /// between, may be repeated
    #[arg(long, value_name = "PATTERN", value_parser = parse_pattern)]
    pub on: Vec<String>,
    /// Not these hosts, written like those of `--on`
    #[arg(long, value_name = "PATTERN", value_parser = parse_pattern)]
    pub except: Vec<String>,
    #[command(flatten)]
    pub without: Without,
}

fn parse_run(text: &str) -> Result<RunId, String> {
    RunId::parse(text).map_err(|error| error.to_string())
}

fn parse_fleet(text: &str) -> Result<String, String> {
    if is_name(text) {
        Ok(text.to_owned())
    } else {
        Err("a fleet's name has letters, digits, `_`, `.` and `-`, and does not begin with `-` or `.`".to_owned())
    }
}

/// Reads a number above zero that is not so small that a pause becomes endless.
fn parse_speed(text: &str) -> Result<f64, String> {
    let speed = text.parse::<f64>().ok().filter(|speed| (0.001..=1e6).contains(speed));
    speed.ok_or_else(|| "a speed is a number from 0.001 to 1000000, such as 10".to_owned())
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.ok_or_else(|| "write a number of seconds, such as 60 or 12.5".to_owned())
}

/// One or more patterns: a comma inside braces is a part of its glob.
fn parse_pattern(text: &str) -> Result<String, String> {
    let patterns = union(text);
    if patterns.contains(&"") {
        return Err("a pattern is empty; write names, globs or @tags with one comma between".to_owned());
    }
    if patterns.iter().any(|pattern| pattern.starts_with('-')) {
        return Err("a pattern does not begin with `-`".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests;
