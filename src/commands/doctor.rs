//! `doctor`: finds out what would stop a push, and how to mend it, before it does.

use std::collections::BTreeMap;
use std::sync::Arc;

use clap::Args;
use futures::StreamExt;
use serde_json::json;

use super::shared::fleet_context::FleetContext;
use super::shared::history::{colour, print};
use super::{CommandResult, Trouble, farewell};
use crate::commands::shared::fleet_hosts::AskedHostsArgs;
use crate::commands::shared::global::GlobalArgs;
use crate::decide::doctor::{Copying, DoctorFinding, Examined, Nix, Severity, of_hosts, of_workstation};
use crate::engine::ask::Gathered;
use crate::engine::doctor::{examine, of_silence, signing_here, workstation};
use crate::engine::shutdown::Shutdown;
use crate::event::Event;
use crate::event::reason::unlinked::Unlinked;
use crate::event::stream::Events;
use crate::exit::{Ending, status};
use crate::inventory::Overrides;
use crate::inventory::model::{Host, HostName};
use crate::ui::doctor::{DoctorStyle, render};
use crate::ui::mode::Mode;
use crate::ui::{Screen, columns_of_stdout};

/// Find out what would stop a push, and how to mend it, before it does
///
/// Looks at this workstation and asks every host once; changes nothing. Blockers come first, then warnings. Checks that
/// are fine are counted, and shown with `-v`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "\
Examples:
  fleetdeploy doctor homelab
  fleetdeploy doctor homelab --on homeserver -v    also what is fine

Exit status:
  0  nothing would stop a push
  1  a blocker was found
  2  usage or inventory
  130, 143, 129  interrupted")]
pub struct DoctorArgs {
    #[command(flatten)]
    pub fleet: AskedHostsArgs,
}

type HostFindings = Vec<(HostName, Vec<DoctorFinding>)>;

pub(super) async fn run(global: &GlobalArgs, mode: Mode, arguments: &DoctorArgs) -> CommandResult {
    let context = FleetContext::prepare_asked(global, &arguments.fleet, &Overrides::default())?;
    let mut shutdown = Shutdown::listen().map_err(Trouble::not_served)?;
    let workspace = context.workspace(&mut shutdown).await?;
    let events = Events::new(None);
    let screen = Screen::start(mode, &events).map_err(Trouble::not_served)?;
    context.begin_query("doctor", &events);
    let reach = context.reach(Arc::clone(&workspace), &events);
    let asking = async {
        let mut here = workstation(&context.fleet.name, &context.inventory.path).await;
        here.unlinked = Unlinked::of(&context.fleet);
        let ask_nix = matches!(here.nix, Nix::Works(_));
        let selected = context.fleet.hosts.iter().filter(|host| context.selected.contains(&host.name));
        let signing = if ask_nix { Some(signing_here().await) } else { None };
        let gathered: Vec<_> = examine(&reach, selected, signing.as_ref(), &events).collect().await;
        (of_workstation(&here), judge(&context, gathered))
    };
    let asked = tokio::select! {
        asked = asking => Ok(asked),
        signal = shutdown.requested() => Err(signal),
    };
    reach.close().await;
    let ending = match &asked {
        Err(signal) => Ending::QueryInterrupted(*signal),
        Ok((here, hosts)) => {
            let all = || here.iter().chain(hosts.iter().flat_map(|(_, findings)| findings));
            let count = |severity| all().filter(|finding| finding.severity == severity).count();
            let blockers = count(Severity::Blocker);
            let hosts: Vec<_> =
                hosts.iter().map(|(host, findings)| json!({ "host": host, "findings": findings })).collect();
            let answer = json!({
                "blockers": blockers,
                "warnings": count(Severity::Warning),
                "fine": count(Severity::Fine),
                "workstation": here,
                "hosts": hosts,
            });
            events.publish(Event::Answer { answer });
            Ending::Answered { yes: blockers == 0 }
        }
    };
    events.publish(Event::Ended { exit: i32::from(status(ending)) });
    farewell(screen, mode)?;
    if let Some((here, hosts)) = asked.ok().filter(|_| mode != Mode::Json) {
        let patients = hosts.iter().map(|(host, findings)| (host.as_str(), findings.as_slice()));
        let patients: Vec<(&str, &[DoctorFinding])> =
            std::iter::once(("this workstation", here.as_slice())).chain(patients).collect();
        print(&render(
            &patients,
            DoctorStyle { columns: columns_of_stdout(), colour: colour(global), whole: global.verbose > 0 },
        ))?;
    }
    Ok(ending)
}

/// In the inventory's order, whether or not they have answered.
fn judge(context: &FleetContext, gathered: Vec<(HostName, Gathered<(Examined, Copying)>)>) -> HostFindings {
    let host = |name: &HostName| context.fleet.hosts.iter().find(|host| host.name == *name);
    let answered: Vec<(&Host, &Examined, &Copying)> = gathered
        .iter()
        .filter_map(|(name, gathered)| {
            let (examined, copying) = gathered.as_ref().ok()?;
            Some((host(name)?, examined, copying))
        })
        .collect();
    let mut found: BTreeMap<HostName, Vec<DoctorFinding>> = of_hosts(&context.fleet, &answered).into_iter().collect();
    let findings = |(name, gathered): (HostName, Gathered<_>)| {
        let findings = match gathered {
            Ok(_) => found.remove(&name).unwrap_or_default(),
            Err(no_answer) => host(&name).map(|host| of_silence(host, &no_answer)).into_iter().collect(),
        };
        (name, findings)
    };
    gathered.into_iter().map(findings).collect()
}
