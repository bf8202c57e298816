//! Arguments that push, plan and rollback share.

use std::time::Duration;

use clap::Args;

use super::fleet_hosts::{parse_host, parse_pattern};
use crate::inventory::model::{HostName, Size};
use crate::inventory::{duration, duration_or_none};

/// The terms of a push: to new systems, back to old ones, or one that is only looked ahead to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct TermsArgs {
    /// How long until a guard brings back by itself what runs now, instead of the inventory's `guard`
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub guard: Option<Duration>,
    /// How long links may take to come up once the systems are active, instead of the inventory's `settle`
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub settle: Option<Duration>,
    /// How long every unit that the push starts or restarts must have been up before the decision, instead of the
    /// inventory's `steady`; `0s` is none
    #[arg(long, value_name = "TIME", value_parser = duration_or_none)]
    pub steady: Option<Duration>,
    /// Activate the systems on these hosts first, written like those of `--on`, and on the others only once they and
    /// every link hold
    ///
    /// All of it is still one transaction: nothing is made permanent before every host runs its system, and if anything
    /// fails in any wave, all hosts go back that have been touched. `none` means no host, whatever the inventory says.
    #[arg(long, value_name = "PATTERN", value_parser = parse_pattern)]
    pub canary: Vec<String>,
    /// Activate the systems wave by wave, and look at the whole fleet after each
    ///
    /// The sizes of the first waves, in hosts or in percent of those that change, rounded up; all that are left then
    /// are the last wave: `2` is two hosts and then all the others, `1,25%,50%` has four waves, and `100%` one,
    /// whatever the inventory says. Hosts come in the inventory's order, after the canaries.
    #[arg(long, value_name = "SIZES", value_delimiter = ',', value_parser = str::parse::<Size>)]
    pub waves: Vec<Size>,
    /// Commit although required links are down that were down before: exactly those, each named in the plan and at the
    /// end
    #[arg(long)]
    pub allow_broken: bool,
    /// Go on although a reboot would not bring what runs now on a host; a roll back restores both as they were
    #[arg(long)]
    pub accept_drift: bool,
    /// Take this unit as failed before: it made an earlier push roll back, and has failed since
    #[arg(long, value_name = "UNIT", value_delimiter = ',')]
    pub accept_failed: Vec<String>,
    /// Let these hosts get other names: their new systems may call themselves otherwise than the hosts do now; names
    /// with commas between, may be repeated
    ///
    /// Without it such a system refuses the push, for it may be another host's. Each must be a selected host, by its
    /// name in the inventory; both of its names are shown. One that keeps its name is told, and refuses nothing.
    #[arg(long, value_name = "HOST,...", value_delimiter = ',', value_parser = parse_host)]
    pub rename: Vec<HostName>,
}

/// What the systems are taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Args)]
pub struct SourceArgs {
    /// Only from a tree without changes: refuse a flake with changes that are in no commit, and a source without a
    /// revision
    #[arg(long)]
    pub clean: bool,
}

/// What a push shows before it touches a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own on the command line")]
pub struct ShowingArgs {
    /// Show what it would do, host by host and link by link; copy nothing, touch nothing
    #[arg(long)]
    pub dry_run: bool,
    /// With --dry-run: ask each system on its host which units it would stop, start, restart and reload; copies new
    /// systems
    #[arg(long, requires = "dry_run")]
    pub units: bool,
    /// Show every package that changes before anything is touched, and go on
    #[arg(long, conflicts_with = "dry_run")]
    pub diff: bool,
    /// Show plan and package differences once the systems are copied, and ask on the terminal whether to go on
    #[arg(long, conflicts_with = "dry_run")]
    pub ask: bool,
}
