//! `runs`: lists the records of this workstation, the newest first.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::num::NonZeroUsize;

use clap::Args;

use super::shared::fleet_context::load;
use super::shared::history::{clock, colour, print, standing, state, unreadable};
use super::{CommandResult, Trouble, tell};
use crate::commands::shared::fleet_context::not_selected;
use crate::commands::shared::fleet_hosts::parse_fleet;
use crate::commands::shared::global::GlobalArgs;
use crate::event::Event;
use crate::event::line::to_millis;
use crate::exit::Ending;
use crate::inventory::SelectError;
use crate::ui::columns_of_stdout;
use crate::ui::mode::Mode;
use crate::ui::runs::{RunRow, RunStanding, render};

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
pub struct RunsArgs {
    /// Only runs of this fleet
    #[arg(value_name = "FLEET", value_parser = parse_fleet)]
    pub fleet: Option<String>,
    /// How many runs to list
    #[arg(long, value_name = "N", default_value_t = RunsArgs::LIMIT)]
    pub limit: NonZeroUsize,
}

impl RunsArgs {
    /// A screen of a small terminal.
    const LIMIT: NonZeroUsize = NonZeroUsize::new(20).expect("20 is not 0");
}

pub(super) fn run(global: &GlobalArgs, mode: Mode, arguments: &RunsArgs) -> CommandResult {
    let state = state()?;
    let running = state.running();
    let limit = arguments.limit.get();
    let mut rows = Vec::new();
    let mut older = 0;
    let mut fleets = BTreeSet::new();
    for id in state.list().map_err(unreadable)?.iter().rev() {
        // Without a fleet no further record need be opened.
        if arguments.fleet.is_none() && rows.len() >= limit {
            older += 1;
            continue;
        }
        // It can have been trimmed by a push that began since.
        let Some(folder) = state.open_run(id) else { continue };
        let summary = folder.summary();
        if arguments.fleet.as_ref().is_some_and(|fleet| *fleet != summary.fleet) {
            fleets.insert(summary.fleet);
            continue;
        }
        if rows.len() >= limit {
            older += 1;
            continue;
        }
        let standing = standing(&summary, &running);
        let row = RunRow {
            run: summary.run,
            kind: summary.kind,
            fleet: summary.fleet,
            began: summary.began,
            standing,
            hosts: summary.hosts,
            took: summary.took,
            exit: summary.exit,
            missing: summary.missing,
            provenance: summary.provenance,
        };
        rows.push(row);
    }
    if let Some(fleet) = arguments.fleet.as_ref().filter(|_| rows.is_empty()) {
        ensure_fleet_exists(global, fleet, fleets)?;
    }
    let ending = Ending::Answered { yes: true };
    if mode == Mode::Json {
        let runs: Vec<_> = rows.iter().map(json).collect();
        tell([Event::Answer { answer: serde_json::json!({ "runs": runs, "more": older }) }], ending)?;
        return Ok(ending);
    }
    let text = match (rows.as_slice(), &arguments.fleet) {
        ([], Some(fleet)) if older == 0 => format!("this workstation has no record of a run of fleet {fleet}\n"),
        ([], None) if older == 0 => "this workstation has no record of any run\n".to_owned(),
        (rows, _) => {
            let mut text = render(rows, &clock(), columns_of_stdout(), colour(global));
            if older > 0 {
                // Writing to a String cannot fail.
                let _ = writeln!(text, "and {older} older: --limit {}", rows.len() + older);
            }
            text
        }
    };
    print(&text)?;
    Ok(ending)
}

/// Refuses a fleet that is not known, which is a slip. A fleet without a record may just not have been pushed from
/// here.
fn ensure_fleet_exists(global: &GlobalArgs, fleet: &str, recorded: BTreeSet<String>) -> Result<(), Trouble> {
    let mut known = recorded;
    // The record can be read without an inventory.
    known.extend(load(global).map(|(inventory, _)| inventory.fleets.into_keys()).into_iter().flatten());
    if known.contains(fleet) || known.is_empty() {
        return Ok(());
    }
    let error = SelectError::no_such_fleet(fleet, known);
    Err(not_selected(&error))
}

fn json(row: &RunRow) -> serde_json::Value {
    serde_json::json!({
        "run": row.run,
        "kind": row.kind.word(),
        "fleet": row.fleet,
        "began": humantime::format_rfc3339_millis(to_millis(row.began)).to_string(),
        // Absent for a run that has not ended.
        "outcome": row.standing.outcome(),
        "recovered": matches!(row.standing, RunStanding::Recovered(_)),
        "by_hand": row.standing == RunStanding::ByHand,
        "running": row.standing == RunStanding::Running,
        "hosts": row.hosts,
        "took_ms": row.took.map(super::shared::conclusion::millis),
        "exit": row.exit,
        "missing": row.missing,
        "provenance": row.provenance,
    })
}
