//! The commands that look ahead or go back: each is a part of a push, or a push to other systems.

use std::time::Duration;

use clap::Args;

use super::{FleetHosts, parse_pattern};
use crate::inventory::model::Size;
use crate::inventory::{duration, duration_or_none};

/// The terms of a push: to new systems, back to old ones, or one that is only looked ahead to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct Terms {
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
}

/// What a push shows before it touches a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own on the command line")]
pub struct Showing {
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

/// Show what a push would do, host by host and link by link
///
/// Builds the systems, asks the hosts, probes the links as they are now, and says which hosts would change, in which
/// order, which packages differ, whether a reboot will be needed, and how long it may take before the guards fire. It
/// copies nothing and runs nothing of the new systems, unless --units asks for that. Of the inventory it evaluates the
/// systems, and runs no hook and no `command` check: those are listed as not run. `push --dry-run` is the same.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "\
Examples:
  fleetdeploy plan homelab            what would a push do?
  fleetdeploy plan homelab --on vps   and if only one host were pushed?
  fleetdeploy plan homelab --units    also which units would stop and start; copies the systems
  fleetdeploy plan homelab --json     all of it in one `answer` event

Exit status:
  0  a push could go on, or there is nothing to do
  1  a push would be refused
  2  usage or inventory
  130, 143, 129  interrupted")]
pub struct Plan {
    #[command(flatten)]
    pub fleet: FleetHosts,
    /// Copy the new systems, and ask each on its host which units it would stop, start, restart and reload
    /// (`dry-activate`); changes nothing
    #[arg(long)]
    pub units: bool,
    #[command(flatten)]
    pub terms: Terms,
}

/// Show which packages a push would change, and whether it would need a reboot
///
/// Builds the systems and compares each with what its host runs; hosts that change alike are shown together. It copies
/// nothing: if the old system is not in this workstation's store, and the new one is not on the host, the difference is
/// not known before a copy.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "\
Examples:
  fleetdeploy diff homelab            every host
  fleetdeploy diff homelab --on vps   one of them

Exit status:
  0  answered
  1  a system does not build, or a host does not answer
  2  usage or inventory
  130, 143, 129  interrupted")]
pub struct Diff {
    #[command(flatten)]
    pub fleet: FleetHosts,
}

/// Bring a fleet back to systems that its hosts already have: all hosts or none
///
/// A push like any other, with the same guards, checks and roll back, but to systems that the hosts have had before:
/// nothing is evaluated, built or copied. Without --to they go back to what they ran before the last committed run of
/// the fleet. A rollback is a run itself: typed once more it brings back what ran before it.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "\
Examples:
  fleetdeploy rollback homelab                           undo the last committed run
  fleetdeploy rollback homelab --dry-run                 what would that be?
  fleetdeploy rollback homelab --ask                     shows plan and differences, and asks
  fleetdeploy rollback homelab --to 20261122-16          what that run left
  fleetdeploy rollback homelab --to @2026-11-20T18:00    what ran then, by this workstation's clock
  fleetdeploy rollback homelab --on vps --to 41          one host, to a generation of its profile

A time means the newest generation of each host's profile that had been made by then.
A host that does not have its system any more refuses the rollback, before anything is touched.

Exit status:
  0  committed, or nothing to do
  1  refused or rolled back: every touched host was seen on the system it ran
  2  usage, inventory, or no such run
  3  split: some hosts are not where they should be; look now
  130, 143, 129  interrupted and rolled back")]
pub struct Rollback {
    #[command(flatten)]
    pub fleet: FleetHosts,
    /// A run (`last`, or its id from its date on), `@TIME` (`@2026-11-20` is its first moment, `@2026-11-20T18:00`,
    /// `...Z` for UTC), or for one host the number of a generation
    #[arg(long, value_name = "RUN|@TIME|GENERATION", value_parser = parse_back_to)]
    pub to: Option<BackTo>,
    #[command(flatten)]
    pub terms: Terms,
    #[command(flatten)]
    pub showing: Showing,
}

/// Where a rollback goes, as it is typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BackTo {
    Run(String),
    /// Without its `@`.
    Time(String),
    Generation(u64),
}

/// The digits of a date: a number that is as long is the beginning of a run's id.
const DATE: usize = 8;

fn parse_back_to(text: &str) -> Result<BackTo, String> {
    if let Some(time) = text.strip_prefix('@') {
        return if time.is_empty() {
            Err("a time follows the @, such as @2026-11-20T18:00".to_owned())
        } else {
            Ok(BackTo::Time(time.to_owned()))
        };
    }
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number && text.len() < DATE {
        return text.parse().map(BackTo::Generation).map_err(|_| "this is no generation".to_owned());
    }
    if text.is_empty() || text.starts_with('-') {
        return Err("write a run, a @TIME or a generation".to_owned());
    }
    Ok(BackTo::Run(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn a_short_number_is_a_generation_and_a_long_one_the_date_of_a_run() {
        let run = |text: &str| Ok(BackTo::Run(text.to_owned()));
        assert_eq!(parse_back_to("41"), Ok(BackTo::Generation(41)));
        assert_eq!(parse_back_to("20261122"), run("20261122"));
        assert_eq!(parse_back_to("20261122-161500-homelab-3f9c"), run("20261122-161500-homelab-3f9c"));
        assert_eq!(parse_back_to("last"), run("last"));
        assert_eq!(parse_back_to("@2026-11-20"), Ok(BackTo::Time("2026-11-20".into())));
        for bad in ["", "@", "-41"] {
            assert!(parse_back_to(bad).is_err(), "{bad}");
        }
    }
}
