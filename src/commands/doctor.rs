//! `doctor`: finds out what would stop a push, and how to mend it, before it does.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde_json::json;

use super::shared::fleet_context::FleetContext;
use super::shared::history::{colour, print};
use super::shared::query::interrupted;
use super::{CommandResult, Trouble, farewell};
use crate::commands::shared::fleet_hosts::AskedHostsArgs;
use crate::commands::shared::global::GlobalArgs;
use crate::decide::doctor::{Nix, Severity, of_workstation};
use crate::decide::survey::Allowed;
use crate::decide::waves::Waves;
use crate::engine::doctor::{Diagnosis, diagnose, has_ssh, signing_here, workstation};
use crate::engine::shutdown::Shutdown;
use crate::event::Event;
use crate::event::reason::unlinked::Unlinked;
use crate::event::stream::Events;
use crate::exit::{Ending, status};
use crate::inventory::Overrides;
use crate::ui::doctor::{DoctorStyle, render};
use crate::ui::mode::Mode;
use crate::ui::{Screen, columns_of_stdout};

/// Find out what would stop a push, and how to mend it, before it does
///
/// Looks at this workstation and at every host, takes a new login on each, and probes every link, as a push does before
/// it changes anything; changes nothing. A blocker is what refuses a push that is to change these hosts. Beside that it
/// evaluates the systems, and warns of what in their configuration would lock you out: as far as that ends together
/// with the look at the hosts. Nothing is built or copied, and no hook and no `command` check of the inventory is run.
/// Blockers come first, then warnings. Checks that are fine are counted, and shown with `-v`.
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

pub(super) async fn run(global: &GlobalArgs, mode: Mode, arguments: &DoctorArgs) -> CommandResult {
    let context = FleetContext::prepare_asked(global, &arguments.fleet, &Overrides::default())?;
    let mut shutdown = Shutdown::listen().map_err(Trouble::not_served)?;
    // Without ssh no host can be asked, and there is still an answer.
    let workspace = if has_ssh().await { Some(context.workspace(&mut shutdown).await?) } else { None };
    let events = Events::new(None);
    let screen = Screen::start(mode, &events).map_err(Trouble::not_served)?;
    context.begin_query("doctor", &events);
    let scope = context.scope(Allowed::default(), PathBuf::new());
    let waves = Waves { canaries: context.canaries(&[])?, sizes: context.fleet.waves.clone() };
    let asking = async {
        let mut here = workstation(&context.fleet.name, &context.inventory.path).await;
        here.unlinked = Unlinked::of(&context.fleet);
        let Some(workspace) = &workspace else { return (of_workstation(&here), Diagnosis::default()) };
        let ask_nix = matches!(here.nix, Nix::Works(_));
        let signing = if ask_nix { Some(signing_here().await) } else { None };
        let diagnosis = diagnose(&scope, &waves, Arc::clone(workspace), signing.as_ref(), &events).await;
        (of_workstation(&here), diagnosis)
    };
    let asked = tokio::select! {
        asked = asking => Ok(asked),
        signal = shutdown.requested() => {
            events.publish(interrupted(signal));
            if let Some(workspace) = &workspace {
                workspace.close().await;
            }
            Err(signal)
        }
    };
    let ending = match &asked {
        Err(signal) => Ending::QueryInterrupted(*signal),
        Ok((here, Diagnosis { hosts, fleet })) => {
            let all = || here.iter().chain(hosts.iter().flat_map(|(_, findings)| findings)).chain(fleet);
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
                "fleet": fleet,
            });
            events.publish(Event::Answer { answer });
            Ending::Answered { yes: blockers == 0 }
        }
    };
    events.publish(Event::Ended { exit: i32::from(status(ending)) });
    farewell(screen, mode)?;
    if let Some((here, Diagnosis { hosts, fleet })) = asked.ok().filter(|_| mode != Mode::Json) {
        let mut patients = vec![("this workstation", here.as_slice())];
        patients.extend(hosts.iter().map(|(host, findings)| (host.as_str(), findings.as_slice())));
        let of_fleet = format!("fleet {}", context.fleet.name);
        if !fleet.is_empty() {
            patients.push((&of_fleet, fleet.as_slice()));
        }
        print(&render(
            &patients,
            DoctorStyle { columns: columns_of_stdout(), colour: colour(global), whole: global.verbose > 0 },
        ))?;
    }
    Ok(ending)
}
