//! `build`: builds the systems of a fleet, and touches no host.

use std::collections::BTreeMap;
use std::sync::Arc;

use clap::Args;

use super::shared::fleet_context::{FleetContext, no_workspace};
use super::shared::query::{Query, Reply};
use super::{CommandResult, Trouble};
use crate::commands::shared::evaluation::EvaluationArgs;
use crate::commands::shared::fleet_hosts::{AskedHostsArgs, BuildOnArgs, ChosenHostsArgs, PatternArgs, parse_fleet};
use crate::commands::shared::global::GlobalArgs;
use crate::commands::shared::terms::SourceArgs;
use crate::decide::survey::Allowed;
use crate::engine::queries::build;
use crate::engine::shutdown::Shutdown;
use crate::inventory::Overrides;
use crate::remote::Workspace;
use crate::ui::mode::Mode;

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
pub struct BuildArgs {
    /// The fleet, as the inventory names it; may be left out if there is only one
    #[arg(value_name = "FLEET", value_parser = parse_fleet)]
    pub name: Option<String>,
    #[command(flatten)]
    pub hosts: PatternArgs,
    #[command(flatten)]
    pub source: SourceArgs,
    #[command(flatten)]
    pub evaluation: EvaluationArgs,
    #[command(flatten)]
    pub building: BuildOnArgs,
}

impl BuildArgs {
    /// No host is asked and nothing is copied, so there is no window for that.
    fn asked(&self) -> AskedHostsArgs {
        let chosen = ChosenHostsArgs { hosts: self.hosts.clone(), ..ChosenHostsArgs::default() };
        AskedHostsArgs { name: self.name.clone(), chosen }
    }
}

pub(super) async fn run(global: &GlobalArgs, mode: Mode, arguments: &BuildArgs) -> CommandResult {
    let mut context = FleetContext::prepare_asked(global, &arguments.asked(), &Overrides::default())?
        .built_on(&arguments.building)?;
    arguments.evaluation.lay_over(&mut context.fleet.evaluation)?;
    let mut shutdown = Shutdown::listen().map_err(Trouble::not_served)?;
    let roots = tempfile::tempdir().map_err(|error| Trouble::no_folder(&error))?;
    // No script runs on a host, so no password is needed; and without a host that builds none is reached at all.
    let reached = if context.builds_elsewhere() { context.without_root() } else { Vec::new() };
    let workspace = Workspace::create(&reached, BTreeMap::new(), None).await;
    let workspace = workspace.map_err(no_workspace)?;
    let query = Query::begin("build", mode, &context)?;
    let mut scope = context.scope(Allowed::default(), roots.path().to_owned());
    scope.source.clean = arguments.source.clean;
    let events = query.events.clone();
    let building = async {
        let reach = Arc::new(context.reach(Arc::clone(&workspace), &events));
        let built = build(&scope, Arc::clone(&reach), &events).await;
        reach.close().await;
        let systems = built?;
        let lines: Vec<String> = systems.iter().map(|(host, system)| format!("{host} {system}\n")).collect();
        let page = lines.concat();
        Ok(Reply { yes: true, answer: serde_json::json!({ "systems": systems }), page })
    };
    Box::pin(query.end(building, &workspace, &mut shutdown)).await
}
