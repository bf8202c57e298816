//! Folds the events of a command into what a screen shows: no terminal, no clock, no printing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use crate::event::line::Line;
use crate::event::reason::rollback::LinksCause;
use crate::event::waiting::{AfterWait, WaitedFor};
use crate::event::wording::words;
use crate::event::{Bytes, Cell, Event, HostOutcome, HostPlanned, LinkCount, Outcome, Phase};
use crate::inventory::model::{GuardAction, HostName, Place};
use crate::ui::host_view::{Changes, GuardView, HostView, Role, Turn};

/// Everything that a screen shows of one command.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FleetView {
    pub what: What,
    /// The query that it is.
    pub query: Option<String>,
    pub fleet: Option<String>,
    pub run: Option<String>,
    pub record: Option<String>,
    /// Where a rollback goes, in words: to systems that the hosts have already.
    pub rollback_to: Option<String>,
    /// How long a guard is given, at the least.
    pub guard: Duration,
    pub began: Option<SystemTime>,
    /// The time of the latest event; never goes back, also when the workstation's clock does.
    pub heard: Option<SystemTime>,
    /// In the order in which they began. Build and survey run side by side.
    pub phases: Vec<PhaseView>,
    /// In the inventory's order.
    pub hosts: Vec<HostView>,
    /// Where each of them stands.
    places: BTreeMap<HostName, usize>,
    pub build: BuildView,
    /// The wave that is tested, rebooted or looked at; of a push only where it has more than one.
    pub wave: Option<WaveView>,
    /// How the links stand while they are waited for.
    pub links: Option<LinksView>,
    /// What the run waits for, until when, and what comes then.
    pub waits: Vec<WaitView>,
    /// From now on a second signal leaves without harm; with the time at which the last host is back by its guard.
    pub may_leave: Option<Option<SystemTime>>,
    pub decided: bool,
    /// Why the push turned back.
    pub rolling_back: Option<String>,
    /// What to do about that, before the next push.
    pub mend: Option<String>,
    /// A first signal has come: the next one leaves.
    pub interrupted: bool,
    /// The host that it turned back for.
    pub blamed: Option<HostName>,
    /// Before anything changed.
    pub baseline: Vec<Cell>,
    /// The last whole round, and the phase that it belongs to.
    pub latest: Option<(Phase, Vec<Cell>)>,
    pub finished: Option<FinishedView>,
    /// A query has ended.
    pub ended: bool,
}

/// The kind of command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum What {
    Push,
    /// A push that ends after the baseline.
    DryRun,
    Recovery,
    /// A rolling reboot.
    Reboot,
    #[default]
    Query,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PhaseView {
    pub phase: Phase,
    pub began: SystemTime,
    /// When every host was through, or a phase began that waits for that.
    pub ended: Option<SystemTime>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BuildView {
    pub done: u64,
    pub expected: u64,
    pub running: u64,
    pub doing: String,
    pub download: Bytes,
    pub downloading: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaveView {
    /// From 1.
    pub number: u64,
    pub of: u64,
    pub hosts: Vec<HostName>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitView {
    pub wait: WaitedFor,
    pub until: SystemTime,
    pub then: AfterWait,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinksView {
    pub up: u64,
    pub of: u64,
    /// Rounds in a row that held.
    pub rounds: u32,
    pub waiting_for: Vec<String>,
    /// What the links that are down have in common.
    pub cause: Option<LinksCause>,
}

/// The last event of a push, a recovery or a rolling reboot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FinishedView {
    pub outcome: Outcome,
    pub text: String,
    pub hosts: BTreeMap<HostName, HostOutcome>,
    pub exit: i32,
    pub took: Duration,
}

impl FleetView {
    /// Returns whether the answer of this query, on stdout, says of each host why it did not answer.
    pub(crate) fn answer_says_silence(&self) -> bool {
        matches!(self.query.as_deref(), Some("doctor" | "exec" | "status"))
    }

    /// The view after all these events.
    #[must_use]
    pub fn of<'a>(lines: impl IntoIterator<Item = &'a Line>) -> Self {
        let mut view = Self::default();
        lines.into_iter().for_each(|line| view.take(line));
        view
    }

    /// Takes one event in.
    pub fn take(&mut self, line: &Line) {
        let at = self.heard.map_or(line.at, |heard| heard.max(line.at));
        self.heard = Some(at);
        self.began.get_or_insert(at);
        if line.run.is_some() {
            self.run.clone_from(&line.run);
        }
        self.take_of_fleet(&line.event, at);
        self.take_of_host(&line.event, at);
    }

    /// Since the first event.
    #[must_use]
    pub fn elapsed(&self, now: SystemTime) -> Duration {
        self.began.and_then(|began| now.duration_since(began).ok()).unwrap_or_default()
    }

    /// The phase that began last.
    #[must_use]
    pub fn phase(&self) -> Option<Phase> {
        self.phases.last().map(|last| last.phase)
    }

    /// Says what a phase of this command does, in a few words.
    pub(crate) fn about(&self, phase: Phase) -> &'static str {
        match (self.what, phase) {
            (What::Query | What::Recovery | What::Reboot, Phase::Baseline) => "probe every link",
            _ if self.rollback_to.is_some() => words::about_going_back(phase),
            _ => words::about(phase),
        }
    }

    /// The order of phases does not matter: build and survey begin together.
    #[must_use]
    pub fn has_begun(&self, phase: Phase) -> bool {
        self.phases.iter().any(|begun| begun.phase == phase)
    }

    #[must_use]
    pub fn host(&self, name: &HostName) -> Option<&HostView> {
        self.places.get(name).map(|place| &self.hosts[*place])
    }

    /// Until when a host out of reach is tried, and what comes then. Where all go back then, one such host is enough
    /// for all of them: the first end counts, its own, another's, or that of what the whole run waits for.
    #[must_use]
    pub fn tried_until(&self, host: &HostView) -> Option<(SystemTime, Option<AfterWait>)> {
        let of_run = self.waits.iter().filter(|wait| is_for_hosts(wait.wait)).min_by_key(|wait| wait.until);
        let of_run = of_run.map(|wait| (wait.until, Some(wait.then)));
        let of_all = matches!(host.ends, Some((_, Some(AfterWait::AllGoBack)))).then(|| self.all_back_at()).flatten();
        let of_all = of_all.map(|until| (until, Some(AfterWait::AllGoBack)));
        [host.ends, of_run, of_all].into_iter().flatten().min_by_key(|(until, _)| *until)
    }

    /// The true end of a wait of the whole run.
    #[must_use]
    pub fn end_of(&self, wait: &WaitView) -> SystemTime {
        match wait.wait {
            WaitedFor::SilentHosts => self.all_back_at().map_or(wait.until, |end| end.min(wait.until)),
            _ => wait.until,
        }
    }

    /// When the first host out of reach has been tried for so long that all go back.
    fn all_back_at(&self) -> Option<SystemTime> {
        let away = self.hosts.iter().filter(|host| !host.reachable);
        let ends = away.filter_map(|host| host.ends).filter(|(_, then)| *then == Some(AfterWait::AllGoBack));
        ends.map(|(end, _)| end).min()
    }

    fn take_of_fleet(&mut self, event: &Event, at: SystemTime) {
        match event {
            Event::PushStarted { fleet, hosts, selected, guard_ms, record, dry_run, rollback_to, .. } => {
                self.begin(if *dry_run { What::DryRun } else { What::Push }, fleet, hosts, at);
                self.select(selected);
                self.guard = Duration::from_millis(*guard_ms);
                self.record.clone_from(record);
                self.rollback_to.clone_from(rollback_to);
            }
            Event::RecoverStarted { fleet, hosts, .. } => self.begin(What::Recovery, fleet, hosts, at),
            Event::RebootStarted { fleet, hosts, selected, record, .. } => {
                self.begin(What::Reboot, fleet, hosts, at);
                self.select(selected);
                self.record = Some(record.clone());
            }
            Event::QueryStarted { command, fleet, hosts, .. } => {
                self.begin(What::Query, fleet, hosts, at);
                self.query = Some(command.clone());
            }
            Event::RunChosen { record, changes, .. } => {
                self.record = Some(record.clone());
                let changes: BTreeSet<&HostName> = changes.iter().collect();
                for host in self.hosts.iter_mut().filter(|_| !changes.is_empty()) {
                    host.role = if changes.contains(&host.name) { Role::Changes } else { Role::Witness };
                }
            }
            Event::Planned { hosts } => hosts.iter().for_each(|planned| self.plan(planned)),
            Event::PhaseStarted { phase } => self.begin_phase(*phase, at),
            Event::WavesPlanned { waves } => {
                let of_waves: BTreeSet<&HostName> = waves.iter().flatten().collect();
                let is_in_one = |host: &HostView| of_waves.contains(&host.name);
                self.hosts.iter_mut().filter(|host| !is_in_one(host)).for_each(|host| host.turn = Turn::OfNoWave);
            }
            Event::WaveStarted { wave, of, hosts } => {
                self.wave = Some(WaveView { number: *wave, of: *of, hosts: hosts.clone() });
            }
            Event::BuildMoved { done, expected, doing, running, download, downloading } => {
                self.build = BuildView {
                    done: *done,
                    expected: *expected,
                    running: *running,
                    doing: doing.clone(),
                    download: *download,
                    downloading: downloading.clone(),
                };
            }
            Event::MatrixSeen { phase, cells } => self.see_matrix(*phase, cells),
            Event::LinksMoved { up, of, rounds, waiting_for, cause, hosts } => {
                let (up, of, rounds) = (*up, *of, *rounds);
                let (waiting_for, cause) = (waiting_for.clone(), cause.clone());
                self.links = Some(LinksView { up, of, rounds, waiting_for, cause });
                for host in &mut self.hosts {
                    host.links = hosts.get(&host.name).copied();
                }
            }
            Event::WaitStarted { wait, within_ms, then } => {
                self.waits.retain(|known| known.wait != *wait);
                let until = at + Duration::from_millis(*within_ms);
                self.waits.push(WaitView { wait: *wait, until, then: *then });
            }
            Event::WaitEnded { wait } => self.waits.retain(|known| known.wait != *wait),
            Event::MayLeave { may, back_within_ms } => {
                let back = back_within_ms.map(|within| at + Duration::from_millis(within));
                self.may_leave = may.then_some(back);
            }
            Event::Decided => self.decided = true,
            Event::RollBackStarted { host, reason, hint } => {
                self.rolling_back = Some(reason.to_string());
                self.mend.clone_from(hint);
                self.interrupted |= reason.code() == Some("interrupted");
                self.blamed.clone_from(host);
            }
            Event::Warned { text, .. } => {
                let heard = ["signal-too-late", "signal-in-doubt", "signal-while-going-back"];
                self.interrupted |= text.code().is_some_and(|code| heard.contains(&code));
            }
            Event::Finished { outcome, text, hosts, exit, took_ms } => {
                let (outcome, exit, took) = (*outcome, *exit, Duration::from_millis(*took_ms));
                let finished = FinishedView { outcome, text: text.to_string(), hosts: hosts.clone(), exit, took };
                self.end_phases(at);
                self.finished = Some(finished);
            }
            Event::Ended { .. } => self.ended = true,
            _ => {}
        }
    }

    fn take_of_host(&mut self, event: &Event, at: SystemTime) {
        let Some(host) = subject(event) else { return };
        let (guard, builds) = (self.guard, self.has_begun(Phase::Build));
        let host = self.known(host, at);
        match event {
            Event::HostMoved { doing, within_ms, then, .. } => {
                host.doing.clone_from(doing);
                host.ends = within_ms.map(|within| (at + Duration::from_millis(within), *then));
            }
            Event::HostLeftOut { .. } => host.role = Role::LeftOut,
            Event::AddressChosen { address, .. } => host.doing = format!("is reached at {address}"),
            Event::CopyMoved { done_bytes, expected_bytes, .. } => {
                host.copy.take(Bytes { done_bytes: *done_bytes, expected_bytes: *expected_bytes }, at);
            }
            Event::Compared { packages, reboot_for, .. } => {
                host.changes = Some(Changes { packages: packages.clone(), reboot_for: reboot_for.clone() });
            }
            Event::HostDone { phase, .. } => {
                host.finish(*phase, at, builds);
                self.end_phase_if_all_are_through(*phase, at);
            }
            Event::GuardArmed { left_ms, way_back, .. }
            | Event::GuardSeen { left_ms, way_back, .. }
            | Event::GuardExtended { left_ms, way_back, .. } => {
                let length = Duration::from_millis(*left_ms);
                let length = if matches!(event, Event::GuardSeen { .. }) { guard.max(length) } else { length };
                let back = way_back.map(|way| at + Duration::from_millis(way.back_ms));
                let action = way_back.map_or(GuardAction::Reboot, |way| way.action);
                host.guard = GuardView::Armed { fires: at + Duration::from_millis(*left_ms), length, back, action };
                if host.phase == Some(Phase::Arm) {
                    host.finish(Phase::Arm, at, builds);
                }
            }
            Event::GuardDisarmed { .. } => {
                host.guard = GuardView::Disarmed;
                if host.phase == Some(Phase::Disarm) {
                    host.finish(Phase::Disarm, at, builds);
                }
            }
            Event::BootDefaultMoved { generation, .. } => host.new_generation = Some(*generation),
            Event::ContactLost { within_ms, then, .. } => {
                host.reachable = false;
                host.ends = within_ms.map(|within| (at + Duration::from_millis(within), *then));
            }
            Event::ContactMade { .. } => host.reachable = true,
            Event::HostWaits { waits_for, more, why, .. } => {
                host.stands_by = why.filter(|_| !waits_for.is_empty()).map(|why| (why, waits_for.clone(), *more));
            }
            Event::Failed { .. } => host.failed = true,
            Event::Logged { .. } => host.logged = true,
            Event::LeftToGuard { fires_in_ms, boot_ms, action, .. } => {
                let fires = at + Duration::from_millis(*fires_in_ms);
                let (back, action) = (fires + Duration::from_millis(*boot_ms), action.unwrap_or(GuardAction::Reboot));
                host.guard = GuardView::Awaited { fires, back, action };
                host.reachable = false;
                host.through = None;
            }
            Event::CameBack { .. } => {
                host.guard = GuardView::Fired;
                host.reachable = true;
                host.through = Some(at);
            }
            _ => {}
        }
    }

    fn begin(&mut self, what: What, fleet: &str, hosts: &[HostName], at: SystemTime) {
        self.what = what;
        self.fleet = Some(fleet.to_owned());
        self.hosts = hosts.iter().map(|host| HostView::new(host.clone(), at)).collect();
        self.places = hosts.iter().cloned().zip(0..).collect();
    }

    fn select(&mut self, selected: &[HostName]) {
        let selected: BTreeSet<&HostName> = selected.iter().collect();
        for host in &mut self.hosts {
            host.role = if selected.contains(&host.name) { Role::Selected } else { Role::Witness };
        }
    }

    fn plan(&mut self, planned: &HostPlanned) {
        let Some(place) = self.places.get(&planned.host) else { return };
        let host = &mut self.hosts[*place];
        host.role = match (planned.changes, planned.selected) {
            (true, _) => Role::Changes,
            (false, true) => Role::Current,
            (false, false) => Role::Witness,
        };
        host.plan = Some(planned.clone());
    }

    fn begin_phase(&mut self, phase: Phase, at: SystemTime) {
        // Build and survey run side by side; every other phase waits for all before it.
        if phase != Phase::Survey {
            self.end_phases(at);
        }
        if phase == Phase::Test {
            // Another wave: what follows is still to come.
            self.phases.retain(|begun| !matches!(begun.phase, Phase::Test | Phase::Verify));
        }
        if !matches!(phase, Phase::Test | Phase::Verify | Phase::Reboot) {
            self.wave = None;
        }
        self.phases.push(PhaseView { phase, began: at, ended: None });
        if !matches!(phase, Phase::Reboot) {
            self.links = None;
        }
        if phase == Phase::RollBack {
            // What was seen of the new systems says nothing of the old ones.
            self.hosts.iter_mut().for_each(|host| host.links = None);
        }
        let wave = self.wave.as_ref().filter(|_| matches!(phase, Phase::Test | Phase::Reboot));
        let wave: Option<BTreeSet<&HostName>> = wave.map(|wave| wave.hosts.iter().collect());
        for host in &mut self.hosts {
            if wave.as_ref().is_none_or(|wave| wave.contains(&host.name)) {
                host.begin(phase, at);
            } else {
                host.stand_by(phase, at);
            }
        }
    }

    fn end_phases(&mut self, at: SystemTime) {
        self.phases.iter_mut().for_each(|phase| _ = phase.ended.get_or_insert(at));
    }

    /// Only for the two phases that run side by side: the next one says nothing of when each ended.
    fn end_phase_if_all_are_through(&mut self, phase: Phase, at: SystemTime) {
        if !matches!(phase, Phase::Build | Phase::Survey) {
            return;
        }
        let takes_part =
            |host: &&HostView| phase == Phase::Survey || !matches!(host.role, Role::Witness | Role::LeftOut);
        let through = self.hosts.iter().filter(takes_part).all(|host| host.times.contains_key(&phase));
        if through {
            self.phases.iter_mut().filter(|begun| begun.phase == phase).for_each(|begun| begun.ended = Some(at));
        }
    }

    fn see_matrix(&mut self, phase: Phase, cells: &[Cell]) {
        if phase == Phase::Baseline {
            self.baseline = cells.to_vec();
        }
        let mut counts: BTreeMap<&HostName, LinkCount> = BTreeMap::new();
        for cell in cells {
            if let Place::Host(from) = &cell.from {
                let count = counts.entry(from).or_default();
                count.of += 1;
                count.up += u64::from(cell.answer.is_up());
            }
        }
        for host in &mut self.hosts {
            host.links = counts.get(&host.name).copied();
        }
        self.latest = Some((phase, cells.to_vec()));
    }

    /// The host's own view; a query names its hosts only as they come.
    fn known(&mut self, name: &HostName, at: SystemTime) -> &mut HostView {
        let place = self.places.get(name).copied().unwrap_or_else(|| {
            self.hosts.push(HostView::new(name.clone(), at));
            self.places.insert(name.clone(), self.hosts.len() - 1);
            self.hosts.len() - 1
        });
        &mut self.hosts[place]
    }
}

/// Whether the wait is over when hosts answer, or else comes to its end.
fn is_for_hosts(wait: WaitedFor) -> bool {
    matches!(wait, WaitedFor::SilentHosts | WaitedFor::Links | WaitedFor::OldLinks)
}

/// The one host that an event is about.
pub(crate) fn subject(event: &Event) -> Option<&HostName> {
    match event {
        Event::HostSurveyed { host, .. }
        | Event::HostLeftOut { host }
        | Event::HostMoved { host, .. }
        | Event::AddressChosen { host, .. }
        | Event::CopyMoved { host, .. }
        | Event::Compared { host, .. }
        | Event::HostDone { host, .. }
        | Event::GuardArmed { host, .. }
        | Event::GuardSeen { host, .. }
        | Event::GuardExtended { host, .. }
        | Event::GuardDisarmed { host }
        | Event::BootDefaultMoved { host, .. }
        | Event::ContactLost { host, .. }
        | Event::ContactMade { host }
        | Event::HostWaits { host, .. }
        | Event::Logged { host, .. }
        | Event::HostFound { host, .. }
        | Event::HostRebooted { host, .. }
        | Event::LeftToGuard { host, .. }
        | Event::CameBack { host, .. } => Some(host),
        Event::Warned { host, .. }
        | Event::Failed { host, .. }
        | Event::Printed { host, .. }
        | Event::CopyMeasured { host, .. } => host.as_ref(),
        _ => None,
    }
}
