//! `check`: looks at the matrix alone.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::shared::fleet_context::FleetContext;
use super::shared::history::colour;
use super::shared::query::{Query, Reply};
use super::{CommandResult, Trouble};
use crate::commands::shared::fleet_hosts::AskedHostsArgs;
use crate::commands::shared::global::GlobalArgs;
use crate::decide::survey::Allowed;
use crate::engine::queries::{Checked, check};
use crate::engine::shutdown::Shutdown;
use crate::inventory::Overrides;
use crate::ui::mode::Mode;
use crate::ui::{columns_of_stdout, matrix};

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
pub struct CheckArgs {
    #[command(flatten)]
    pub fleet: AskedHostsArgs,
}

pub(super) async fn run(global: &GlobalArgs, mode: Mode, arguments: &CheckArgs) -> CommandResult {
    let context = FleetContext::prepare_asked(global, &arguments.fleet, &Overrides::default())?;
    // Signals are listened to before anything is asked, so that none is lost.
    let mut shutdown = Shutdown::listen().map_err(Trouble::not_served)?;
    let workspace = context.workspace(&mut shutdown).await?;
    let query = Query::begin("check", mode, &context)?;
    let scope = context.scope(Allowed::default(), PathBuf::new());
    let events = query.events.clone();
    let checking = async {
        let Checked { links, is_well } = check(&scope, Arc::clone(&workspace), &events).await?;
        let page = if global.quiet && is_well {
            String::new()
        } else {
            format!("{}\n{}", matrix::count(&links), matrix::render(&links, columns_of_stdout(), colour(global)))
        };
        let answer = serde_json::json!({ "every_required_link_is_up": is_well, "links": links });
        Ok(Reply { yes: is_well, answer, page })
    };
    query.end(checking, &workspace, &mut shutdown).await
}
