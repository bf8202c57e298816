//! `rollback`: pushes systems that the hosts have already.

use std::collections::{BTreeMap, BTreeSet};
use std::time::UNIX_EPOCH;

use clap::Args;

use super::push::{Wanted, first, go, prepare};
use super::shared::fleet_context::FleetContext;
use super::shared::history::{clock, named, state, unreadable};
use super::{CommandResult, Trouble};
use crate::commands::shared::fleet_hosts::FleetHostsArgs;
use crate::commands::shared::global::GlobalArgs;
use crate::commands::shared::terms::{ShowingArgs, TermsArgs};
use crate::decide::rollback::To;
use crate::event::reason::command_fault::Misuse;
use crate::inventory::model::HostName;
use crate::record::rollback_target::{LeftError, LeftSystems};
use crate::ui::mode::Mode;

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
pub struct RollbackArgs {
    #[command(flatten)]
    pub fleet: FleetHostsArgs,
    /// A run (`last`, or its id from its date on), `@TIME` (`@2026-11-20` is its first moment, `@2026-11-20T18:00`,
    /// `...Z` for UTC), or for one host the number of a generation
    #[arg(long, value_name = "RUN|@TIME|GENERATION", value_parser = parse_back_to)]
    pub to: Option<BackTo>,
    #[command(flatten)]
    pub terms: TermsArgs,
    #[command(flatten)]
    pub showing: ShowingArgs,
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

pub(super) async fn run(global: &GlobalArgs, mode: Mode, arguments: &RollbackArgs) -> CommandResult {
    let mut context = prepare(global, &arguments.fleet, &arguments.terms)?;
    let (to, without) = where_to(&context, arguments.to.as_ref())?;
    if let To::Run { run, .. } = &to {
        context.pass_over(&without, run)?;
    }
    let wanted = Wanted::new(&context, &arguments.terms, first(arguments.showing))?;
    go(global, mode, &context, Wanted { back: Some(to), ..wanted }).await
}

/// Finds all that can be known of it without a host, and the hosts that took no part in the run it is about.
fn where_to(context: &FleetContext, to: Option<&BackTo>) -> Result<(To, BTreeSet<HostName>), Trouble> {
    let (fleet, inventory) = (&context.fleet.name, &context.inventory.path);
    match to {
        None => {
            let around = state()?.last_committed(fleet, inventory).map_err(no_such_run)?;
            Ok((To::Run { run: around.run, systems: around.before, left: around.after }, around.without))
        }
        Some(BackTo::Run(name)) => {
            let run = named(&state()?, name)?;
            let LeftSystems { systems, without } = run.left(fleet, inventory).map_err(no_such_run)?;
            Ok((To::Run { run: run.id().to_string(), systems, left: BTreeMap::new() }, without))
        }
        Some(BackTo::Time(text)) => {
            let clock = clock();
            let at = clock.read(text).map_err(|said| Trouble::not_understood(Misuse::TimeNotUnderstood { said }))?;
            let seconds = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            Ok((To::Time { at: seconds, text: clock.time_and_zone(at) }, BTreeSet::new()))
        }
        Some(BackTo::Generation(number)) if context.selected.len() == 1 => {
            Ok((To::Generation(*number), BTreeSet::new()))
        }
        Some(BackTo::Generation(number)) => {
            let (generation, selected) = (*number, context.selected.len());
            Err(Trouble::not_understood(Misuse::GenerationOfManyHosts { generation, selected }))
        }
    }
}

fn no_such_run(error: LeftError) -> Trouble {
    match error {
        LeftError::Record(error) => unreadable(error),
        LeftError::Run(fault) => Trouble::not_understood(fault),
    }
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
