//! `status`: shows what every host runs, would boot, lacks and needs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use clap::Args;
use futures::{FutureExt, StreamExt};
use serde_json::{Value, json};

use super::shared::fleet_context::FleetContext;
use super::shared::history::{clock, colour, print};
use super::shared::query::interrupted;
use super::shared::reports::{last_commit, told, write_metrics};
use super::{CommandResult, Trouble, farewell};
use crate::commands::shared::fleet_hosts::{
    ChosenHostsArgs, FleetHostsArgs, PatternArgs, WindowArgs, WithoutArgs, parse_fleet, parse_pattern,
};
use crate::commands::shared::global::GlobalArgs;
use crate::decide::status::{Condition, StatusTrouble as Wrong, drift, troubles};
use crate::decide::survey::Allowed;
use crate::engine::ask::Gathered;
use crate::engine::queries::build;
use crate::engine::shutdown::Shutdown;
use crate::engine::status::status;
use crate::event::reason::any::AnyReason;
use crate::event::reason::trial::TrialOutlook;
use crate::event::stream::Events;
use crate::event::{Event, Phase};
use crate::exit::{self, Ending};
use crate::facts::store_path::StorePath;
use crate::inventory::Overrides;
use crate::inventory::model::{Host, HostName, Jump};
use crate::remote::Workspace;
use crate::ui::metrics::{HostMetrics, of_status};
use crate::ui::mode::Mode;
use crate::ui::status::{HostStatusView, Match, StatusStyle, ToldStatus, render};
use crate::ui::{Screen, columns_of_stdout};

/// Show what every host runs, would boot, lacks and needs
///
/// Asks every host once and changes nothing. A host that does not answer is shown as such. Below the table stands
/// everything that is not as it should be, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "\
Examples:
  fleetdeploy status                        every host of the inventory
  fleetdeploy status homelab --on '@edge'
  fleetdeploy status homelab --build        also: does it run what the flake gives now?

Exit status:
  0  every host has answered
  1  a host does not answer, or --build could not build
  2  usage or inventory
  130, 143, 129  interrupted")]
pub struct StatusArgs {
    /// The fleet, as the inventory names it; every host of the inventory if it is left out
    #[arg(value_name = "FLEET", value_parser = parse_fleet)]
    pub name: Option<String>,
    /// Only these hosts: names, globs (`web-*`), tags (`@edge`), `all`; commas between, may be repeated
    #[arg(long, value_name = "PATTERN", value_parser = parse_pattern)]
    pub on: Vec<String>,
    /// Not these hosts, written like those of `--on`
    #[arg(long, value_name = "PATTERN", value_parser = parse_pattern)]
    pub except: Vec<String>,
    #[command(flatten)]
    pub without: WithoutArgs,
    #[command(flatten)]
    pub window: WindowArgs,
    /// Build what the flake gives now, and show which hosts run something else
    #[arg(long, requires = "name")]
    pub build: bool,
    /// Write what was found as metrics to this file, for the textfile collector of Prometheus' node exporter
    #[arg(long, value_name = "FILE")]
    pub metrics: Option<PathBuf>,
}

/// What the flake gives now; `None`: it was not asked, `Some(None)`: it could not be built.
type Flake = Option<Option<BTreeMap<HostName, StorePath>>>;

pub(super) async fn run(global: &GlobalArgs, mode: Mode, arguments: &StatusArgs) -> CommandResult {
    let StatusArgs { name, on, except, without, window, build: with_build, .. } = arguments;
    let mut context = match name.clone() {
        Some(name) => {
            let (on, except, without) = (on.clone(), except.clone(), without.clone());
            let chosen = ChosenHostsArgs { hosts: PatternArgs { on, except, without }, window: *window };
            FleetContext::prepare(global, &FleetHostsArgs { name, chosen }, &Overrides::default())?
        }
        None => FleetContext::prepare_every_host(global, on, except, without, *window)?,
    };
    context.only_selected();
    let mut shutdown = Shutdown::listen().map_err(Trouble::not_served)?;
    let roots = tempfile::tempdir().map_err(|error| Trouble::no_folder(&error))?;
    let workspace = context.workspace(&mut shutdown).await?;
    let events = Events::new(None);
    let screen = Screen::start(mode, &events).map_err(Trouble::not_served)?;
    context.begin_query("status", &events);

    let scope = context.scope(Allowed::default(), roots.path().to_owned());
    let reach = Arc::new(context.reach(Arc::clone(&workspace), &events));
    let building = async {
        if !with_build {
            return None;
        }
        let built = build(&scope, Arc::clone(&reach), &events).await;
        Some(built.map_err(|refusal| events.publish(Event::failed(None, refusal))).ok())
    };
    let phase = if *with_build { Phase::Survey } else { Phase::Ask };
    let asking = status(&reach, &context.fleet.hosts, phase, &events).collect::<Vec<_>>();
    let asked = tokio::select! {
        asked = async { tokio::join!(building.boxed_local(), asking) } => Ok(asked),
        signal = shutdown.requested() => {
            events.publish(interrupted(signal));
            Err(signal)
        }
    };
    reach.close().await;
    let metrics = |hosts: &[StatusAnswer]| {
        let Some(file) = &arguments.metrics else { return };
        let hosts: Vec<HostMetrics<'_>> = hosts.iter().map(StatusAnswer::metrics).collect();
        let fleet = name.as_deref().unwrap_or_default();
        let last = name.as_deref().and_then(last_commit);
        told(file, write_metrics(file, &of_status(fleet, &hosts, SystemTime::now(), last)));
    };
    let (ending, hosts) = match asked {
        Err(signal) => (Ending::QueryInterrupted(signal), None),
        Ok((flake, gathered)) => {
            let hosts = answers(&context, &workspace, gathered, &flake);
            metrics(&hosts);
            let yes = hosts.iter().all(|host| host.gathered.is_ok()) && !matches!(flake, Some(None));
            events.publish(Event::Answer {
                answer: json!({ "hosts": hosts.iter().map(StatusAnswer::to_json).collect::<Vec<_>>() }),
            });
            (Ending::Answered { yes }, Some(hosts))
        }
    };
    events.publish(Event::Ended { exit: i32::from(exit::status(ending)) });
    farewell(screen, mode)?;
    if let Some(hosts) = hosts.filter(|_| mode != Mode::Json) {
        let style = StatusStyle {
            clock: &clock(),
            now: SystemTime::now(),
            columns: columns_of_stdout(),
            colour: colour(global),
            whole: global.verbose > 0,
        };
        print(&render(&hosts.iter().map(StatusAnswer::shown).collect::<Vec<_>>(), style))?;
    }
    Ok(ending)
}

/// What is known of one host.
struct StatusAnswer {
    host: HostName,
    way: String,
    gathered: Result<(Condition, Vec<Wrong>), (String, Option<String>)>,
    flake: Option<Match>,
    /// Whether a system can be booted on it once; absent: it does not answer.
    trial: Option<TrialOutlook>,
}

fn answers(
    context: &FleetContext,
    workspace: &Workspace,
    gathered: Vec<(HostName, Gathered<Condition>)>,
    flake: &Flake,
) -> Vec<StatusAnswer> {
    let answer = |(host, (name, gathered)): (&Host, (HostName, Gathered<Condition>))| {
        let gathered = gathered.map_err(|no_answer| (no_answer.why(), no_answer.hint()));
        let matches = |condition: &Condition| {
            let built = flake.as_ref()?.as_ref().and_then(|systems| systems.get(&name));
            Some(match built {
                None => Match::NotBuilt,
                Some(system) if *system == condition.facts.standing.systems.current => Match::Current,
                Some(_) => Match::Differs,
            })
        };
        StatusAnswer {
            way: way(host, workspace),
            flake: gathered.as_ref().ok().and_then(matches),
            trial: gathered.as_ref().ok().and_then(|condition| {
                TrialOutlook::all(host, context.fleet.settle, &condition.facts).into_iter().next()
            }),
            gathered: gathered.map(|condition| {
                let wrong = troubles(context.fleet_of(&name), host, &condition);
                (condition, wrong)
            }),
            host: name,
        }
    };
    context.fleet.hosts.iter().zip(gathered).map(answer).collect()
}

impl StatusAnswer {
    fn metrics(&self) -> HostMetrics<'_> {
        let (condition, troubles) = match &self.gathered {
            Ok((condition, troubles)) => (Some(condition), troubles.len()),
            Err(_) => (None, 0),
        };
        let drifts = condition.is_some_and(|condition| drift(&condition.facts.standing.systems).is_some());
        HostMetrics { host: &self.host, condition, drifts, troubles }
    }

    fn shown(&self) -> HostStatusView<'_> {
        let told = match &self.gathered {
            Ok((condition, troubles)) => ToldStatus::Answered { condition, troubles },
            Err((why, hint)) => ToldStatus::Silent { why, hint: hint.as_deref() },
        };
        HostStatusView { host: &self.host, way: &self.way, told, flake: self.flake, trial: self.trial.as_ref() }
    }

    fn to_json(&self) -> Value {
        let Self { host, way, gathered, flake, trial } = self;
        match gathered {
            Err((why, hint)) => json!({ "host": host, "way": way, "answered": false, "why": why, "hint": hint }),
            Ok((condition, troubles)) => json!({
                "host": host,
                "way": way,
                "answered": true,
                "condition": condition,
                // Where what runs now comes from, as the push that brought it has said.
                "origin": condition.facts.origin(),
                "drift": drift(&condition.facts.standing.systems).map(|drift| drift.to_string()),
                "troubles": troubles,
                "trial": trial.clone().map(AnyReason::from),
                "flake": flake.map(Match::word),
            }),
        }
    }
}

/// `10.100.0.2 by vps`: the address that has answered, where there are several.
fn way(host: &Host, workspace: &Workspace) -> String {
    let address = workspace.settled_on(&host.name).map_or(host.address.as_str(), |(address, _)| address);
    let user = host.user.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
    let port = host.port.map(|port| format!(" port {port}")).unwrap_or_default();
    let jump = match &host.jump {
        None => String::new(),
        Some(Jump::Host(jump)) => format!(" by {jump}"),
        Some(Jump::Destination { host, .. }) => format!(" by {host}"),
    };
    format!("{user}{address}{port}{jump}")
}
