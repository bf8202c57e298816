//! `rollback`: pushes systems that the hosts have already.

use std::collections::{BTreeMap, BTreeSet};
use std::time::UNIX_EPOCH;

use super::fleet_context::Ground;
use super::history::{clock, named, state, unreadable};
use super::push::{Wanted, first, go, prepare};
use super::{Ended, Trouble};
use crate::cli::{BackTo, Global, Rollback};
use crate::decide::rollback::To;
use crate::inventory::model::HostName;
use crate::record::rollback_target::{Left, LeftError};
use crate::ui::mode::Mode;

pub(super) async fn run(global: &Global, mode: Mode, arguments: &Rollback) -> Ended {
    let mut ground = prepare(global, &arguments.fleet, &arguments.terms)?;
    let (to, without) = where_to(&ground, arguments.to.as_ref())?;
    if let To::Run { run, .. } = &to {
        ground.pass_over(&without, run)?;
    }
    let wanted = Wanted::new(&ground, &arguments.terms, first(arguments.showing))?;
    go(global, mode, &ground, Wanted { back: Some(to), ..wanted }).await
}

/// Finds all that can be known of it without a host, and the hosts that took no part in the run it is about.
fn where_to(ground: &Ground, to: Option<&BackTo>) -> Result<(To, BTreeSet<HostName>), Trouble> {
    let (fleet, inventory) = (&ground.fleet.name, &ground.inventory.path);
    match to {
        None => {
            let around = state()?.last_committed(fleet, inventory).map_err(no_such_run)?;
            Ok((To::Run { run: around.run, systems: around.before, left: around.after }, around.without))
        }
        Some(BackTo::Run(name)) => {
            let run = named(&state()?, name)?;
            let Left { systems, without } = run.left(fleet, inventory).map_err(no_such_run)?;
            Ok((To::Run { run: run.id().to_string(), systems, left: BTreeMap::new() }, without))
        }
        Some(BackTo::Time(text)) => {
            let clock = clock();
            let at = clock.read(text).map_err(|error| Trouble::not_understood(error, None))?;
            let seconds = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            Ok((To::Time { at: seconds, text: clock.time_and_zone(at) }, BTreeSet::new()))
        }
        Some(BackTo::Generation(number)) if ground.selected.len() == 1 => {
            Ok((To::Generation(*number), BTreeSet::new()))
        }
        Some(BackTo::Generation(number)) => {
            let text = format!(
                "generation {number} is another system on each host, and {} of them are selected",
                ground.selected.len()
            );
            let hint = "choose one with --on HOST; a whole fleet goes back to a run or a @TIME, and a run is named by \
                        its whole date at the least";
            Err(Trouble::not_understood(text, Some(hint.to_owned())))
        }
    }
}

fn no_such_run(error: LeftError) -> Trouble {
    match error {
        LeftError::Record(error) => unreadable(error),
        error => {
            let hint = error.hint();
            Trouble::not_understood(error, hint)
        }
    }
}
