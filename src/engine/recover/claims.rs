//! Puts together what hosts claim of a run, so that no host is believed about another.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::decide::guard;
use crate::decide::time::Times;
use crate::engine::host_survey::Answered;
use crate::event::reason::recover::ClaimDoubt;
use crate::facts::host::GuardState;
use crate::facts::traces::{EndMark, EndSide};
use crate::inventory::model::{Fleet, HostName};
use crate::record::run_id::RunId;

/// The highest epoch of this run that the host shows, whether or not it claims the host now.
pub(super) fn epoch(run: &str, one: &Answered) -> Option<u64> {
    let lease = one.facts.standing.lease.as_ref().filter(|lease| lease.run == run);
    one.facts.fences.get(run).into_iter().chain(lease).map(|lease| lease.epoch).max()
}

/// Returns the hosts of the run, as this host names them.
pub(super) fn names(run: &str, one: &Answered) -> impl Iterator<Item = HostName> {
    let listed = one.facts.survivor_hosts.get(run).into_iter().flatten();
    let missing = one.mark(run).into_iter().flat_map(|mark| mark.missing.keys().cloned());
    listed.filter_map(|name| HostName::new(name.clone()).ok()).chain(missing)
}

/// Returns every run that a host claims to hold something of, with the hosts that do. If a host holds two runs and one
/// of them is over there, only the other counts: it came later.
pub(super) fn runs(surveyed: &BTreeMap<HostName, Answered>) -> BTreeMap<String, BTreeSet<HostName>> {
    let mut held: BTreeMap<String, BTreeSet<HostName>> = BTreeMap::new();
    for (host, one) in surveyed {
        for run in one.runs() {
            held.entry(run).or_default().insert(host.clone());
        }
    }
    let is_over = |run: &String, hosts: &BTreeSet<HostName>| {
        hosts.iter().all(|host| surveyed.get(host).is_some_and(|one| one.facts.over.contains(run)))
    };
    let current: BTreeMap<String, BTreeSet<HostName>> = held
        .iter()
        .filter(|(run, hosts)| !is_over(run, hosts))
        .map(|(run, hosts)| (run.clone(), hosts.clone()))
        .collect();
    if current.is_empty() { held } else { current }
}

/// Returns the runs that were ended while hosts were missing and that need a word or an act now: a missing host
/// answers, or the marks contradict each other. A machine that was made anew under an old name is not the missing one.
pub(super) fn to_be_judged(surveyed: &BTreeMap<HostName, Answered>) -> BTreeMap<String, BTreeSet<HostName>> {
    let mut marked: BTreeMap<String, BTreeSet<HostName>> = BTreeMap::new();
    for (host, one) in surveyed {
        for mark in &one.facts.marks {
            marked.entry(mark.run.clone()).or_default().insert(host.clone());
        }
    }
    marked.retain(|run, hosts| {
        let marks: Vec<&EndMark> = hosts.iter().filter_map(|host| surveyed.get(host)?.mark(run)).collect();
        let sides: BTreeSet<EndSide> = marks.iter().filter_map(|mark| mark.side).collect();
        let mut missing = marks.iter().flat_map(|mark| &mark.missing);
        sides.len() > 1 || missing.any(|(host, machine)| is_back(surveyed.get(host), machine.as_deref()))
    });
    marked
}

/// Returns whether the missing machine answers.
pub(super) fn is_back(one: Option<&Answered>, machine: Option<&str>) -> bool {
    one.is_some_and(|one| machine.is_none_or(|machine| one.facts.machine_id == machine))
}

/// Returns the run that most hosts hold something of; of several the newest, by the date at the beginning of their ids.
/// A text that is no run id claims nothing.
pub(super) fn most_claimed(runs: &BTreeMap<String, BTreeSet<HostName>>) -> Option<String> {
    let is_run = |run: &String| RunId::parse(run.clone()).is_ok();
    runs.iter().filter(|(run, _)| is_run(run)).max_by_key(|(_, hosts)| hosts.len()).map(|(run, _)| run.clone())
}

/// Returns whether the run is a guard that a person has armed, and that is still armed. If some hosts say so and others
/// show a lease of the run without that mark, those that say so speak for themselves alone.
pub(super) fn is_by_hand<'a>(run: &str, mut surveyed: impl Iterator<Item = &'a Answered> + Clone) -> bool {
    let is_armed = |one: &Answered| guard::is_armed(run, &one.facts.standing);
    let is_unmarked = |one: &Answered| {
        let lease = one.facts.standing.lease.as_ref().filter(|lease| lease.run == run);
        lease.is_some_and(|lease| !guard::is_marked(&lease.owner))
    };
    surveyed.clone().any(is_armed) && !surveyed.any(is_unmarked)
}

/// Returns the hosts that the fleet does not have and that the run seems to have changed. At most one host lies. So if
/// three or more hold the run, a stranger that one host alone names is not believed; and none is believed if the person
/// has named the run, and so knows it.
pub(super) fn strangers(
    run: &str,
    hosts: &BTreeSet<HostName>,
    fleet: &Fleet,
    surveyed: &BTreeMap<HostName, Answered>,
    is_named_run: bool,
) -> Vec<HostName> {
    let holders: Vec<&Answered> = surveyed.values().filter(|one| one.holds(run)).collect();
    let is_stranger = |host: &HostName| fleet.hosts.iter().all(|known| known.name != *host);
    let is_named = |host: &HostName| holders.iter().filter(|one| names(run, one).any(|name| name == *host)).count();
    let counts = |host: &HostName| is_named(host) > 1 || (holders.len() < 3 && !is_named_run);
    hosts.iter().filter(|host| is_stranger(host) && counts(host)).cloned().collect()
}

/// Returns how long any guard of the run may still hold: as the inventory says, or as two hosts say. A push may have
/// been given a longer guard than the inventory has; but one host alone must not make all others wait.
pub(super) fn longest_guard<'a>(run: &str, times: &[Times], surveyed: impl Iterator<Item = &'a Answered>) -> Duration {
    let mut shown: Vec<Duration> = surveyed.filter_map(|one| left(run, one)).collect();
    shown.sort_unstable();
    let second = shown.iter().rev().nth(1).copied().unwrap_or_default();
    Times::longest_guard(times).max(second)
}

/// Returns how long the host says that its guard of this run holds.
pub(super) fn left(run: &str, one: &Answered) -> Option<Duration> {
    let standing = &one.facts.standing;
    match &standing.guard {
        GuardState::Armed { run: of, deadline } if of == run => {
            Some(Duration::from_secs(deadline.saturating_sub(standing.uptime)))
        }
        _ => None,
    }
}

/// Says which words of a host about the run are no ground to act on.
pub(super) fn doubt(run: &str, one: &Answered, has_no_room: bool) -> Option<ClaimDoubt> {
    if let (true, Some(epoch)) = (has_no_room, epoch(run, one)) {
        return Some(ClaimDoubt::NoHigherEpoch { epoch });
    }
    if guard::is_armed(run, &one.facts.standing) {
        return Some(ClaimDoubt::ByHandSaidByOne);
    }
    // If more than one host says so, it is believed, and the recovery does not begin.
    one.facts.standing.rolling.as_ref().map(|lease| ClaimDoubt::RollingLeaseSaidByOne { run: lease.run.clone() })
}
