//! `diff`: shows which packages a push would change.

use std::collections::BTreeMap;
use std::sync::Arc;

use clap::Args;

use super::shared::fleet_context::FleetContext;
use super::shared::history::{colour, columns};
use super::shared::query::{Query, Reply};
use super::{CommandResult, Trouble};
use crate::commands::shared::evaluation::EvaluationArgs;
use crate::commands::shared::fleet_hosts::{AskedHostsArgs, BuildOnArgs};
use crate::commands::shared::global::GlobalArgs;
use crate::decide::survey::Allowed;
use crate::engine::queries::diff;
use crate::engine::shutdown::Shutdown;
use crate::event::forecast::Comparison;
use crate::inventory::Overrides;
use crate::inventory::model::HostName;
use crate::ui::forecast::{ForecastStyle, differences};
use crate::ui::mode::Mode;

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
pub struct DiffArgs {
    #[command(flatten)]
    pub fleet: AskedHostsArgs,
    #[command(flatten)]
    pub evaluation: EvaluationArgs,
    #[command(flatten)]
    pub building: BuildOnArgs,
}

pub(super) async fn run(global: &GlobalArgs, mode: Mode, arguments: &DiffArgs) -> CommandResult {
    let mut context =
        FleetContext::prepare_asked(global, &arguments.fleet, &Overrides::default())?.built_on(&arguments.building)?;
    arguments.evaluation.lay_over(&mut context.fleet.evaluation)?;
    let mut shutdown = Shutdown::listen().map_err(Trouble::not_served)?;
    let workspace = context.workspace(&mut shutdown).await?;
    // Roots keep the systems from a garbage collection while they are compared.
    let roots = tempfile::tempdir().map_err(|error| Trouble::no_folder(&error))?;
    let query = Query::begin("diff", mode, &context)?;
    let scope = context.scope(Allowed::default(), roots.path().to_owned());
    let events = query.events.clone();
    let comparing = async {
        let differing = diff(&scope, Arc::clone(&workspace), &events).await?;
        let style = ForecastStyle { colour: colour(global), columns: columns() };
        let page = differences(differing.iter().map(|(host, comparison)| (host, comparison)), style);
        Ok(Reply { yes: true, answer: answer(&differing), page })
    };
    Box::pin(query.end(comparing, &workspace, &mut shutdown)).await
}

fn answer(differing: &[(HostName, Comparison)]) -> serde_json::Value {
    let hosts: BTreeMap<&HostName, &Comparison> =
        differing.iter().map(|(host, comparison)| (host, comparison)).collect();
    serde_json::json!({ "hosts": hosts })
}
