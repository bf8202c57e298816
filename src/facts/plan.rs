//! Defines the plan of a push, as the decider needs it: which hosts change, from which system to which, and which links
//! judge it.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};

use crate::facts::host::JobKind;
use crate::facts::links::{Link, LinkId, Round};
use crate::facts::store_path::StorePath;
use crate::facts::systems::Systems;
use crate::facts::units::UnitTerms;
use crate::inventory::model::HostName;

/// How many restarts of a service in a push are forgiven. A service that fails at its start because another is not
/// there yet, and that systemd then brings up, is fine; one that needs more restarts is not.
const RESTARTS_FORGIVEN: u64 = 2;

/// A host of the plan, by its place in [`Plan::hosts`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HostId(pub usize);

/// Everything that is fixed before the first host is touched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Every host of the fleet that answered the survey, in the inventory's order.
    pub hosts: Vec<HostPlan>,
    pub links: Vec<Link>,
    /// The matrix before anything changed.
    ///
    /// It is empty if it is not known: in a recovery without the run's record.
    pub baseline: Round,
    /// Links that may be down at the commit: those of the baseline, with `--allow-broken`.
    pub accepted: BTreeSet<LinkId>,
}

/// Whether a host took a new login before anything changed, by the way that a roll back takes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoginBefore {
    /// The record is of a version that did not look, or there is none.
    #[default]
    Unknown,
    Taken,
    /// It was logged into only as the push is to leave it: it has moved already.
    NotTaken,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct HostPlan {
    pub name: HostName,
    /// `false`: a witness, or already current.
    pub changes: bool,
    pub old: Systems,
    /// The number of the old profile's generation.
    pub generation: u64,
    pub new: StorePath,
    pub boot_id: String,
    /// The machine id. It orders the hosts, so that two pushes meet at the same one: the lowest is leased first.
    pub machine_id: String,
    /// The host of the fleet through which this one is reached.
    pub behind: Option<HostId>,
    pub reactivate: bool,
    /// The wave: hosts are tested in the order of this number, those of one number together.
    #[serde(default)]
    pub wave: usize,
    #[serde(default)]
    pub login: LoginBefore,
    /// Units that had failed already before this push.
    pub failed_units: BTreeSet<String>,
    pub restarts: BTreeMap<String, u64>,
    #[serde(default)]
    pub units: UnitTerms,
}

impl HostPlan {
    /// Returns the job that makes the new system permanent here.
    #[must_use]
    pub fn switch_job(&self) -> JobKind {
        if self.reactivate { JobKind::Reactivate } else { JobKind::Switch }
    }

    /// Returns whether a host is back where it was before the run: exactly, or by a reboot into what it would have
    /// booted.
    #[must_use]
    pub fn is_back(&self, systems: &Systems) -> bool {
        let rebooted = Systems { current: self.old.boot_default.clone(), ..self.old.clone() };
        *systems == self.old || *systems == rebooted
    }
}

/// Two pushes of one plan differ in everything else: states of a push are told apart without reading all of it again.
impl Hash for Plan {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.hosts.len().hash(state);
        self.links.len().hash(state);
    }
}

impl Plan {
    #[must_use]
    pub fn host(&self, host: HostId) -> &HostPlan {
        &self.hosts[host.0]
    }

    pub fn ids(&self) -> impl Iterator<Item = HostId> + use<> {
        (0..self.hosts.len()).map(HostId)
    }

    /// Returns the hosts that this push changes.
    pub fn changing(&self) -> impl Iterator<Item = HostId> + '_ {
        self.ids().filter(|host| self.host(*host).changes)
    }

    /// Returns the waves in which they are tested, in order of [`HostPlan::wave`].
    #[must_use]
    pub fn waves(&self) -> BTreeMap<usize, Vec<HostId>> {
        let mut waves: BTreeMap<usize, Vec<HostId>> = BTreeMap::new();
        for host in self.changing() {
            waves.entry(self.host(host).wave).or_default().push(host);
        }
        waves
    }

    /// Returns the host that is leased and armed alone: there two pushes of one fleet meet.
    #[must_use]
    pub fn first_armed(&self) -> Option<HostId> {
        self.changing().min_by_key(|host| self.host(*host).machine_id.clone())
    }

    /// Returns whether `far` is reached through `near`.
    #[must_use]
    pub fn is_behind(&self, far: HostId, near: HostId) -> bool {
        self.way_to(far).any(|jump| jump == near)
    }

    /// Returns the hosts through which this one is reached, the nearest to it first.
    pub fn way_to(&self, far: HostId) -> impl Iterator<Item = HostId> + '_ {
        let way = std::iter::successors(self.host(far).behind, |jump| self.host(*jump).behind);
        // A jump loop is refused by the inventory; the bound keeps a mistake there from becoming a hang here.
        way.take(self.hosts.len())
    }

    /// Returns whether a new login on this host is to prove its jump as well: that the jump forwards for a new login,
    /// where the push changes it. One host for each jump does so.
    #[must_use]
    pub fn proves_its_jump(&self, host: HostId) -> bool {
        self.host(host).behind.is_some_and(|jump| {
            let first = self.ids().find(|other| self.host(*other).behind == Some(jump));
            self.host(jump).changes && first == Some(host)
        })
    }

    /// Returns the plan without some of its hosts; a host behind one of them counts as behind no host.
    #[must_use]
    pub fn without(&self, leaves: impl Fn(&HostPlan) -> bool) -> Self {
        let stays: Vec<HostId> = self.ids().filter(|host| !leaves(self.host(*host))).collect();
        let moved = |host: HostId| stays.iter().position(|other| *other == host).map(HostId);
        let hosts = stays.iter().map(|host| self.host(*host)).map(|host| {
            let behind = host.behind.and_then(moved);
            HostPlan { behind, ..host.clone() }
        });
        Self { hosts: hosts.collect(), ..self.clone() }
    }

    /// Returns the required links that `round` does not show up, without those that may be down.
    #[must_use]
    pub fn broken(&self, round: &Round) -> BTreeSet<LinkId> {
        self.not_up(round).filter(|link| !round.is_open(*link)).collect()
    }

    /// Returns the links that count like those of [`Self::broken`] and of which `round` can say nothing: nothing is
    /// proven without them, and nothing speaks against them.
    #[must_use]
    pub fn unproven(&self, round: &Round) -> BTreeSet<LinkId> {
        self.not_up(round).filter(|link| round.is_open(*link)).collect()
    }

    fn not_up(&self, round: &Round) -> impl Iterator<Item = LinkId> {
        let up = round.are_up(self.links.len());
        self.required().filter(move |link| !up[*link] && !self.accepted.contains(link))
    }

    /// Returns the required links that were up before anything changed and are not up in `round`: a roll back must
    /// bring back these, and no others.
    #[must_use]
    pub fn newly_broken(&self, round: &Round) -> BTreeSet<LinkId> {
        self.not_up_again(round).filter(|link| !round.is_open(*link)).collect()
    }

    /// Returns the links that count like those of [`Self::newly_broken`] and of which `round` can say nothing.
    #[must_use]
    pub fn newly_unproven(&self, round: &Round) -> BTreeSet<LinkId> {
        self.not_up_again(round).filter(|link| round.is_open(*link)).collect()
    }

    fn not_up_again(&self, round: &Round) -> impl Iterator<Item = LinkId> {
        let up = round.are_up(self.links.len());
        self.required().filter(move |link| !up[*link] && self.baseline.answer(*link).is_up())
    }

    fn required(&self) -> impl Iterator<Item = LinkId> + '_ {
        (0..self.links.len()).filter(|link| self.links[*link].required)
    }

    /// Returns the units of `host` that fail or crash again and again now, and did not before the push. `last` are the
    /// counts of the look before, if there was one: a service that has restarted since then is not up yet.
    #[must_use]
    pub fn new_failures(
        &self,
        host: HostId,
        failed: &BTreeSet<String>,
        restarts: &BTreeMap<String, u64>,
        last: Option<&BTreeMap<String, u64>>,
    ) -> BTreeSet<String> {
        let more_than = |counts: &BTreeMap<String, u64>, forgiven: u64| {
            let counts = counts.clone();
            move |(unit, count): &(&String, &u64)| **count > counts.get(*unit).copied().unwrap_or(0) + forgiven
        };
        let before = self.host(host);
        let looping = more_than(&before.restarts, RESTARTS_FORGIVEN);
        let restarted = last.map(|last| more_than(last, 0));
        let crashing = restarts
            .iter()
            .filter(|entry| looping(entry) || restarted.as_ref().is_some_and(|restarted| restarted(entry)))
            .map(|(unit, _)| unit);
        let is_new = |unit: &&String| !before.failed_units.contains(*unit) && !before.units.ignores(unit);
        failed.iter().chain(crashing).filter(is_new).cloned().collect()
    }

    /// Returns whether a service of `host` was restarted since before the push, and might be again.
    #[must_use]
    pub fn has_restarts(&self, host: HostId, restarts: &BTreeMap<String, u64>) -> bool {
        let before = self.host(host);
        restarts.iter().any(|(unit, count)| *count > before.restarts.get(unit).copied().unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_without_a_host_keeps_who_is_behind_whom() {
        let host = |name: &str, behind: Option<usize>| {
            let system = StorePath::new("/nix/store/00000000000000000000000000000000-old").unwrap();
            HostPlan {
                name: HostName::new(name).unwrap(),
                changes: true,
                old: Systems::all(&system),
                generation: 1,
                new: system,
                boot_id: String::new(),
                machine_id: String::new(),
                behind: behind.map(HostId),
                reactivate: false,
                wave: 0,
                login: LoginBefore::Unknown,
                failed_units: BTreeSet::new(),
                restarts: BTreeMap::new(),
                units: UnitTerms::default(),
            }
        };
        let hosts = vec![host("gone", None), host("vps", Some(0)), host("home", Some(1))];
        let plan = Plan { hosts, links: Vec::new(), baseline: Round::default(), accepted: BTreeSet::new() };
        let left = plan.without(|host| host.name.as_str() == "gone");
        let behind: Vec<(&str, Option<HostId>)> =
            left.hosts.iter().map(|host| (host.name.as_str(), host.behind)).collect();
        assert_eq!(behind, [("vps", None), ("home", Some(HostId(0)))]);
    }
}
