//! Decides whether a push answers for a unit's failure, and whether the units that it has started have been up for long
//! enough.
//!
//! The time is counted by looks, on the host's own clock, which is also that of its guard: a unit is steady once two
//! looks that far apart have seen it up from one start. systemd's own times are on another clock, which stands still in
//! a suspend.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::time::Duration;

use crate::decide::transaction::state::{Back, Transaction};
use crate::decide::vocabulary::Effect;
use crate::event::Event;
use crate::event::activity::UnsteadyUnit;
use crate::event::reason::units::UnitCaution;
use crate::facts::host::{Standing, Uptime};
use crate::facts::links::HostRound;
use crate::facts::plan::HostId;
use crate::facts::units::{UnitNow, UnitPast, UnitState, Units};

/// The knowledge of a transaction about its hosts' units.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct UnitWatch {
    /// The last look at each host before it was activated.
    before: BTreeMap<HostId, Units>,
    /// The last look before a second activation, if there is one.
    between: BTreeMap<HostId, Units>,
    /// Units that this push has started or restarted.
    started: BTreeMap<HostId, BTreeSet<String>>,
    /// Units of these that must be up for a while.
    waited_for: BTreeMap<HostId, BTreeMap<String, Seen>>,
    /// The warnings about units that were given already.
    told: BTreeSet<(HostId, String)>,
    /// In the last look after a roll back: the units that have failed, and those that do not run, and were otherwise
    /// before the push.
    left: BTreeMap<HostId, [BTreeSet<String>; 2]>,
}

/// The state in which a unit that is waited for was seen.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Seen {
    /// It is on its way.
    Moving,
    /// It is up from one start, seen first and last at these readings of the host's clock.
    Up { invocation: String, since: Uptime, last: Uptime },
    /// It ended well, or systemd has stopped it.
    Ended,
}

impl Seen {
    fn is_steady(&self, steady: Duration) -> bool {
        match self {
            Self::Moving => false,
            Self::Up { since, last, .. } => Duration::from_secs(last.saturating_sub(*since)) >= steady,
            Self::Ended => true,
        }
    }

    fn look(&mut self, now: Option<&UnitNow>, at: Uptime) {
        *self = match (now, &*self) {
            (None, _) => Self::Ended,
            (Some(UnitNow { state: UnitState::Active, invocation, .. }), Self::Up { invocation: one, since, .. })
                if invocation == one =>
            {
                Self::Up { invocation: invocation.clone(), since: *since, last: at }
            }
            (Some(UnitNow { state: UnitState::Active, invocation, .. }), _) => {
                Self::Up { invocation: invocation.clone(), since: at, last: at }
            }
            (Some(_), _) => Self::Moving,
        };
    }
}

/// Fields that are only told, or not read any more, do not tell two states apart.
impl Hash for UnitWatch {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self { before, between, started, waited_for, told: _, left: _ } = self;
        (before, between, started, waited_for).hash(state);
    }
}

impl UnitWatch {
    /// Returns whether any unit has to be up for a while, whether or not it is.
    pub(super) fn waits(&self) -> bool {
        self.waited_for.values().any(|units| !units.is_empty())
    }
}

impl Transaction {
    /// Learns the units of a host that was not yet activated.
    pub(super) fn learn_units_before(&mut self, host: HostId, units: &Units) {
        // An answer without a single service is no answer of systemd.
        if !units.is_empty() {
            self.units.before.insert(host, units.clone());
        }
    }

    /// Learns the units of a host that is activated once more.
    pub(super) fn learn_units_between(&mut self, host: HostId, units: &Units) {
        if !units.is_empty() {
            self.units.between.insert(host, units.clone());
        }
    }

    fn units_before(&self, host: HostId) -> Option<&Units> {
        let baseline = || self.plan.baseline.hosts.get(&self.plan.host(host).name).map(|seen| &seen.units);
        self.units.before.get(&host).or_else(baseline).filter(|units| !units.is_empty())
    }

    /// Learns at the end of an activation which units it has started.
    pub(super) fn learn_started(&mut self, host: HostId, standing: &Standing, effects: &mut Vec<Effect>) {
        // A recovery did not see the units before. It goes forward only if a push had decided.
        let before = self.units.between.get(&host).or_else(|| self.units_before(host));
        let Some(before) = before.filter(|_| self.recovery.is_none()) else { return };
        let (terms, failed_before) = (&self.plan.host(host).units, &self.plan.host(host).failed_units);
        let (mut started, mut waited_for, mut restless) = (BTreeSet::new(), BTreeMap::new(), Vec::new());
        for (unit, now) in &standing.units {
            let is_old = before.get(unit).is_some_and(|before| before.invocation == now.invocation);
            // A person, or a timer, may have started something at the same time.
            if is_old || now.invocation.is_empty() || now.transient || now.gone || (now.triggered && !now.needed) {
                continue;
            }
            started.insert(unit.clone());
            // An instance belongs to a login, or to a device that was plugged in.
            let counts = unit.ends_with(".service") && !unit.contains('@') && !now.triggered && !terms.ignores(unit);
            if !counts || terms.steady.is_zero() || failed_before.contains(unit) {
                continue;
            }
            if terms.restless.contains(unit) {
                restless.push(unit.clone());
                continue;
            }
            let mut seen = Seen::Moving;
            seen.look(Some(now), standing.uptime);
            waited_for.insert(unit.clone(), seen);
        }
        self.units.started.entry(host).or_default().extend(started);
        self.units.waited_for.insert(host, waited_for);
        for unit in restless {
            self.caution_once(host, &unit.clone(), UnitCaution::UnitRestless { unit }, effects);
        }
    }

    /// Forgets the units that were waited for: a system that is made permanent without another activation has passed
    /// that already.
    pub(super) fn forget_waited_for(&mut self, host: HostId) {
        self.units.waited_for.remove(&host);
    }

    pub(super) fn look_at_units(&mut self, host: HostId, seen: &HostRound) {
        if seen.units.is_empty() {
            return;
        }
        for (unit, so_far) in self.units.waited_for.get_mut(&host).into_iter().flatten() {
            so_far.look(seen.units.get(unit), seen.uptime);
        }
    }

    /// Returns the units that this push has started and that have not been up for long enough, with the time that they
    /// have been up.
    pub(super) fn unsteady(&self) -> Vec<(HostId, &String, Option<Duration>)> {
        if self.stage.proof().is_none() {
            return Vec::new();
        }
        let mut unsteady = Vec::new();
        for (host, units) in self.units.waited_for.iter().filter(|(host, _)| self.takes_part(**host)) {
            let steady = self.plan.host(*host).units.steady;
            for (unit, seen) in units.iter().filter(|(_, seen)| !seen.is_steady(steady)) {
                let up = match seen {
                    Seen::Up { since, last, .. } => Some(Duration::from_secs(last.saturating_sub(*since))),
                    Seen::Moving | Seen::Ended => None,
                };
                unsteady.push((*host, unit, up));
            }
        }
        unsteady
    }

    pub(super) fn unsteady_units(&self) -> impl Iterator<Item = UnsteadyUnit> {
        let of = |(host, unit, up): (HostId, &String, Option<Duration>)| {
            let plan = self.plan.host(host);
            UnsteadyUnit { unit: unit.clone(), host: plan.name.clone(), up, steady: plan.units.steady }
        };
        self.unsteady().into_iter().map(of)
    }

    /// Returns whether this push answers for a unit that fails now and did not before; if it does not, that is said
    /// once.
    pub(super) fn answers_for(&mut self, host: HostId, unit: &str, units: &Units, effects: &mut Vec<Effect>) -> bool {
        let Some(now) = units.get(unit) else { return true };
        let unit = unit.to_owned();
        let caution = if now.gone {
            UnitCaution::UnitFailedGone { unit: unit.clone() }
        } else if now.needed
            || self.plan.host(host).units.remembered.contains_key(&unit)
            || self.units.started.get(&host).is_some_and(|started| started.contains(&unit))
        {
            return true;
        } else {
            UnitCaution::UnitFailedOfOthers { unit: unit.clone() }
        };
        self.caution_once(host, &unit, caution, effects);
        false
    }

    fn caution_once(&mut self, host: HostId, unit: &str, caution: UnitCaution, effects: &mut Vec<Effect>) {
        if self.units.told.insert((host, unit.to_owned())) {
            effects.push(Effect::Tell(Event::warned(Some(&self.plan.host(host).name), caution)));
        }
    }

    /// Returns failing units with the state of each before the push.
    pub(super) fn with_their_past(&self, host: HostId, units: BTreeSet<String>) -> BTreeMap<String, UnitPast> {
        let before = self.units_before(host);
        let past = |unit: &String| match before {
            None => UnitPast::NotKnown,
            Some(before) if before.contains_key(unit) => UnitPast::Running,
            Some(_) => UnitPast::NotRunning,
        };
        units.into_iter().map(|unit| (unit.clone(), past(&unit))).collect()
    }

    /// Has the hosts keep the names of the units that turned the push back, before any system is switched back: the
    /// next push that finds them failed must not take them for failed before.
    pub(super) fn remember(&self, failures: &BTreeSet<(HostId, String)>, effects: &mut Vec<Effect>) {
        let hosts: BTreeSet<HostId> = failures.iter().map(|(host, _)| *host).collect();
        for host in hosts {
            let new = failures.iter().filter(|(other, _)| *other == host).map(|(_, unit)| unit.clone());
            let known = self.plan.host(host).units.remembered.keys().cloned();
            effects.push(Effect::Remember { host, units: new.chain(known).collect() });
        }
    }

    /// Compares a host's units after a roll back with those before the push.
    pub(super) fn compare_after_back(&mut self, host: HostId, failed: &BTreeSet<String>, now: &Units) {
        let plan = self.plan.host(host);
        let was_known = |unit: &String| {
            plan.failed_units.contains(unit) || plan.units.remembered.contains_key(unit) || plan.units.ignores(unit)
        };
        let failed: BTreeSet<String> = failed.iter().filter(|unit| !was_known(unit)).cloned().collect();
        // A boot may still be starting them. An answer without a single service is no answer of systemd.
        let was_switched = self.hosts[host.0].back == Back::Restored && !now.is_empty();
        let before = self.units_before(host).filter(|_| was_switched).into_iter().flatten();
        let ran = |(unit, before): &(&String, &UnitNow)| {
            let own = unit.ends_with(".service") && !unit.contains('@') && !before.triggered && !before.transient;
            own && before.state == UnitState::Active && !now.contains_key(*unit) && !was_known(unit)
        };
        let stopped = before.filter(ran).map(|(unit, _)| unit.clone()).collect();
        self.units.left.insert(host, [failed, stopped]);
    }

    pub(super) fn tell_what_is_left(&mut self, effects: &mut Vec<Effect>) {
        for (host, [failed, stopped]) in std::mem::take(&mut self.units.left) {
            let host = &self.plan.host(host).name;
            if !failed.is_empty() {
                effects.push(Effect::Tell(Event::warned(Some(host), UnitCaution::UnitsLeftFailed { units: failed })));
            }
            if !stopped.is_empty() {
                effects.push(Effect::Tell(Event::warned(Some(host), UnitCaution::UnitsLeftStopped { units: stopped })));
            }
        }
    }
}
