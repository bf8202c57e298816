//! Asks a fleet: has what the phases of a push share with the queries, which never touch a host.
//!
//! It returns what it finds, and tells it if a person is to see it at once. It does not know what that means for a
//! push.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use super::host_survey::Answered;
use super::reach::Reach;
use super::source::RunSource;
use super::turns::Turns;
use crate::decide::survey::{Allowed, Finding, Surveyed};
use crate::decide::time::Times;
use crate::event::Event;
use crate::event::reason::any::AnyReason;
use crate::event::reason::cause::Cause;
use crate::event::reason::refusal::Refusal;
use crate::event::stream::Events;
use crate::facts::configured::Configured;
use crate::facts::links::{Link, Round};
use crate::facts::plan::{HostId, HostPlan, Plan};
use crate::facts::store_path::StorePath;
use crate::facts::units::UnitTerms;
use crate::inventory::model::{Fleet, Host, HostName, NixSettings};
use crate::nix::{EvalTarget, KeptEvaluations, NixHere};
use crate::remote::Workspace;

/// Which hosts of a fleet a command is about, and what it accepts of them.
#[derive(Debug, Clone)]
pub struct FleetScope {
    pub fleet: Fleet,
    /// Where the inventory lies: relative sources are relative to it.
    pub folder: PathBuf,
    pub selected: BTreeSet<HostName>,
    /// Hosts that take no part, whether or not they answer: they are not asked. None of them is selected.
    pub without: BTreeSet<HostName>,
    pub allowed: Allowed,
    /// Where the systems are rooted on the workstation.
    pub roots: PathBuf,
    /// Where the systems come from, as far as it was found out.
    pub source: RunSource,
    /// Where the results of evaluations are kept; `None`: nowhere.
    pub evaluations: Option<KeptEvaluations>,
}

/// What a phase found, or why nothing was touched; the findings were told as events.
pub(super) type Phased<T> = Result<T, Refusal>;

/// The scope of one command, with the ways to its hosts and to those who listen.
pub(super) struct Inquiry<'a> {
    pub(super) scope: &'a FleetScope,
    pub(super) reach: Arc<Reach>,
    pub(super) events: &'a Events,
    /// What was built elsewhere than here.
    pub(super) built_there: Mutex<BTreeMap<HostName, BuiltThere>>,
    /// What hosts are configured to be, as far as it was evaluated.
    pub(super) configured: Mutex<BTreeMap<HostName, Configured>>,
    /// Hosts that were to build for themselves, and did not let us in.
    pub(super) not_reached: Mutex<BTreeMap<HostName, Cause>>,
    pub(super) nix: Arc<NixHere>,
}

/// A system in the store of a host: it may have to be built there again.
#[derive(Debug, Clone)]
pub(super) struct BuiltThere {
    pub(super) machine: HostName,
    pub(super) target: EvalTarget,
    pub(super) settings: Arc<NixSettings>,
}

impl<'a> Inquiry<'a> {
    pub(super) fn new(scope: &'a FleetScope, workspace: Arc<Workspace>, events: &'a Events) -> Self {
        let turns = Turns::new(scope.fleet.parallel, events);
        Self::over(scope, Arc::new(Reach::new(workspace, scope.fleet.reached(), turns)), events)
    }

    /// Asks over connections that somebody else has, too, and closes.
    pub(super) fn over(scope: &'a FleetScope, reach: Arc<Reach>, events: &'a Events) -> Self {
        Self {
            scope,
            reach,
            events,
            built_there: Mutex::default(),
            configured: Mutex::default(),
            not_reached: Mutex::default(),
            nix: Arc::default(),
        }
    }

    pub(super) fn tell(&self, event: Event) {
        self.events.publish(event);
    }

    pub(super) fn warn(&self, host: Option<&HostName>, reason: impl Into<AnyReason>) {
        self.tell(Event::warned(host, reason));
    }

    pub(super) fn fail(&self, host: Option<&HostName>, reason: impl Into<AnyReason>) {
        self.tell(Event::failed(host, reason));
    }

    pub(super) fn tell_findings(&self, findings: &[Finding]) {
        for finding in findings {
            self.tell(finding.event());
        }
    }

    /// What the judges look at of a host that has answered.
    pub(super) fn view<'b>(
        &'b self,
        host: &'b Host,
        surveyed: &'b BTreeMap<HostName, Answered>,
        new: Option<&'b StorePath>,
    ) -> Surveyed<'b> {
        Surveyed {
            host,
            selected: self.scope.selected.contains(&host.name),
            facts: &surveyed[&host.name].facts,
            new,
            times: self.times(host),
        }
    }

    pub(super) fn times(&self, host: &Host) -> Times {
        Times::of(host, self.scope.fleet.settle, self.scope.fleet.steady())
    }
}

/// The plan that these hosts and links make, before the baseline.
pub(super) fn plan(views: &[Surveyed<'_>], links: Vec<Link>) -> Plan {
    let id = |name: &HostName| views.iter().position(|view| view.host.name == *name).map(HostId);
    let host = |view: &Surveyed<'_>| {
        let standing = &view.facts.standing;
        let ignore = view.host.ignored_units.clone();
        HostPlan {
            name: view.host.name.clone(),
            changes: view.changes(),
            old: standing.systems.clone(),
            generation: standing.generation,
            new: view.new.unwrap_or(&standing.systems.current).clone(),
            boot_id: standing.boot_id.clone(),
            machine_id: view.facts.machine_id.clone(),
            behind: view.host.way.iter().find_map(id),
            reactivate: view.host.reactivate,
            wave: 0,
            login: crate::facts::plan::LoginBefore::Unknown,
            failed_units: standing.failed_units.clone(),
            restarts: standing.restarts.clone(),
            units: UnitTerms { ignore, steady: view.times.steady, ..UnitTerms::default() },
        }
    };
    let hosts = views.iter().map(host).collect();
    Plan { hosts, links, baseline: Round::default(), accepted: BTreeSet::new() }
}

pub(super) fn refuse_if(refused: bool, refusal: Refusal) -> Phased<()> {
    if refused { Err(refusal) } else { Ok(()) }
}
