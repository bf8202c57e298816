//! What hosts claim of a run, put together so that none of them is believed about another.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use crate::decide::by_hand;
use crate::decide::fact::GuardState;
use crate::engine::surveyor::Answered;
use crate::inventory::model::{Fleet, HostName};
use crate::record::run_id::RunId;

/// A guard is set for minutes, by some for hours; an inventory that has changed since then shortens none.
const A_DAY: Duration = Duration::from_secs(24 * 3600);

/// The epoch that the host shows a lease of this run with.
pub(super) fn epoch(run: &str, one: &Answered) -> Option<u64> {
    one.facts.standing.lease.as_ref().filter(|lease| lease.run == run).map(|lease| lease.epoch)
}

/// The hosts of the run as this one names them.
pub(super) fn names(run: &str, one: &Answered) -> impl Iterator<Item = HostName> {
    let listed = one.facts.survivor_hosts.get(run).into_iter().flatten();
    listed.filter_map(|name| HostName::new(name.clone()).ok())
}

/// The run that most hosts hold something of; of several the newest, by what ids begin with. A text that is no run id is
/// nobody's claim.
pub(super) fn most_claimed(runs: &BTreeMap<String, BTreeSet<HostName>>) -> Option<String> {
    let is_run = |run: &String| RunId::parse(run.clone()).is_ok();
    runs.iter().filter(|(run, _)| is_run(run)).max_by_key(|(_, hosts)| hosts.len()).map(|(run, _)| run.clone())
}

/// Whether the run is a guard that a person has armed, and still armed: where some say so and others show a lease of the
/// run without that mark, those that say so speak for themselves alone.
pub(super) fn is_by_hand<'a>(run: &str, mut surveyed: impl Iterator<Item = &'a Answered> + Clone) -> bool {
    let is_armed = |one: &Answered| by_hand::is_armed(run, &one.facts.standing);
    let is_unmarked = |one: &Answered| {
        let lease = one.facts.standing.lease.as_ref().filter(|lease| lease.run == run);
        lease.is_some_and(|lease| !by_hand::is_marked(&lease.owner))
    };
    surveyed.clone().any(is_armed) && !surveyed.any(is_unmarked)
}

/// Hosts that the fleet does not have and that the run seems to have changed. At most one host lies, so where three or more
/// hold the run one that names a stranger alone is not believed.
pub(super) fn strangers(
    run: &str,
    hosts: &BTreeSet<HostName>,
    fleet: &Fleet,
    surveyed: &BTreeMap<HostName, Answered>,
) -> Vec<HostName> {
    let holders: Vec<&Answered> = surveyed.values().filter(|one| one.holds(run)).collect();
    let is_stranger = |host: &HostName| fleet.hosts.iter().all(|known| known.name != *host);
    let is_named = |host: &HostName| holders.iter().filter(|one| names(run, one).any(|name| name == *host)).count();
    let counts = |host: &HostName| holders.len() < 3 || is_named(host) > 1;
    hosts.iter().filter(|host| is_stranger(host) && counts(host)).cloned().collect()
}

/// Why a host is left as it is: what it says of itself cannot be true, or cannot be built on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Doubt {
    /// There is no higher epoch to take it over with.
    NoRoom { epoch: u64 },
    /// No guard holds that long.
    NoSuchGuard { left: Duration },
    /// A person works there, it says, and no other host of the run says so.
    ByHandAlone,
}

impl fmt::Display for Doubt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRoom { epoch } => write!(formatter, "its lease has the epoch {epoch}, and there is none above it"),
            Self::NoSuchGuard { left } => {
                write!(formatter, "it says that its guard holds for {} s more, which no guard does", left.as_secs())
            }
            Self::ByHandAlone => {
                formatter.write_str("it says that its guard was armed by hand, and the other hosts of the run do not")
            }
        }
    }
}

/// What cannot be believed of what a host shows of the run; `longest` is what a guard of this inventory can hold.
pub(super) fn doubt(run: &str, one: &Answered, has_no_room: bool, longest: Duration) -> Option<Doubt> {
    let standing = &one.facts.standing;
    if let (true, Some(epoch)) = (has_no_room, epoch(run, one)) {
        return Some(Doubt::NoRoom { epoch });
    }
    if let GuardState::Armed { run: of, deadline } | GuardState::Dead { run: of, deadline } = &standing.guard {
        let left = Duration::from_secs(deadline.saturating_sub(standing.uptime));
        if of == run && left > longest.max(A_DAY) {
            return Some(Doubt::NoSuchGuard { left });
        }
    }
    by_hand::is_armed(run, standing).then_some(Doubt::ByHandAlone)
}
