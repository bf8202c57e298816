//! `logs`: prints what the hosts of a run have printed.

use clap::Args;

use super::shared::history::{colour, named, print, state, unreadable};
use super::{CommandResult, Trouble, tell};
use crate::commands::shared::global::GlobalArgs;
use crate::event::Event;
use crate::event::reason::command_fault::Misuse;
use crate::exit::Ending;
use crate::inventory::nearest;
use crate::record::folder::RunFolder;
use crate::record::read::{RunLog, logs};
use crate::ui::log;
use crate::ui::mode::Mode;

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
pub struct LogsArgs {
    /// `last`, `last-failed`, an id of `fleetdeploy runs`, or as much of its beginning as no other run has
    #[arg(value_name = "RUN")]
    pub run: String,
    /// Only this host; `nix` is the build
    #[arg(value_name = "HOST")]
    pub host: Option<String>,
}

pub(super) fn run(global: &GlobalArgs, mode: Mode, arguments: &LogsArgs) -> CommandResult {
    let folder = named(&state()?, &arguments.run)?;
    let found = logs(&folder).map_err(unreadable)?;
    let shown: Vec<&RunLog> = match &arguments.host {
        Some(host) => of_host(&folder, &found, host)?,
        None => found.iter().collect(),
    };
    let ending = Ending::Answered { yes: true };
    if mode == Mode::Json {
        let logs = shown.iter().map(|log| Ok((log.name.clone(), log.read().map_err(unreadable)?.into())));
        let logs: serde_json::Map<String, serde_json::Value> = logs.collect::<Result<_, Trouble>>()?;
        tell([Event::Answer { answer: serde_json::json!({ "run": folder.id(), "logs": logs }) }], ending)?;
        return Ok(ending);
    }
    if shown.is_empty() {
        print(&format!("run {} has no logs: it ended before any host was asked\n", folder.id()))?;
        return Ok(ending);
    }
    let colour = colour(global);
    for (number, found) in shown.into_iter().enumerate() {
        // Lines of one host alone need no name in front.
        if arguments.host.is_none() {
            let gap = if number == 0 { "" } else { "\n" };
            print(&format!("{gap}{}", log::heading(&found.name, colour)))?;
        }
        print(&log::render(&found.read().map_err(unreadable)?))?;
    }
    Ok(ending)
}

/// Returns the log of one host; two logs, if the host is called like that of nix.
fn of_host<'a>(folder: &RunFolder, found: &'a [RunLog], host: &str) -> Result<Vec<&'a RunLog>, Trouble> {
    let of_it: Vec<&RunLog> = found.iter().filter(|log| log.name == host).collect();
    if !of_it.is_empty() {
        return Ok(of_it);
    }
    let near = nearest(host, found.iter().map(|log| log.name.as_str())).map(str::to_owned);
    let (run, name) = (folder.id().to_string(), host.to_owned());
    let has = found.iter().map(|log| log.name.clone()).collect();
    Err(Trouble::not_understood(Misuse::LogNotThere { run, name, near, has }))
}
