//! Judges what unfinished runs have left on a host, and what marks of the others say about it.

use std::collections::{BTreeMap, BTreeSet};

use super::Surveyed;
use crate::decide::reboot::trial::left::{TrialLeft, TrialRemedy};
use crate::event::reason::leftover::Left;
use crate::facts::host::Standing;
use crate::facts::traces::{EndSide, Ended};
use crate::inventory::model::HostName;

impl Left {
    /// Finds all that is to be said of this host, with what the others say of it.
    #[must_use]
    pub fn of(fleet: &str, surveyed: &Surveyed<'_>, hosts: &[Surveyed<'_>]) -> Vec<Self> {
        let facts = surveyed.facts;
        let survivors = facts.survivors.iter().map(|run| Self::of_run(fleet, run, surveyed, hosts));
        let replaced = runs_with_marks(hosts).into_iter().filter(|run| {
            marks_without(run, surveyed, hosts).iter().any(|ended| {
                let machine = ended.mark.missing.get(&surveyed.host.name).and_then(Option::as_deref);
                machine.is_some_and(|machine| machine != facts.machine_id)
            })
        });
        survivors
            .chain(Self::trials_at_rest(fleet, &facts.standing))
            .chain(replaced.map(|run| Self::MachineReplaced { fleet: fleet.to_owned(), run: run.to_owned() }))
            .collect()
    }

    /// Finds what trials have left that nobody waits for; what is only remembered of one is nothing of it.
    pub(in crate::decide) fn trials_at_rest(fleet: &str, standing: &Standing) -> Vec<Self> {
        let at_rest = |run: &str| TrialLeft::of(run, standing).is_some_and(|left| left.remedy() == TrialRemedy::Clean);
        let runs = standing.trial.survivors.iter().map(|survivor| survivor.run.clone());
        runs.filter(|run| at_rest(run)).map(|run| Self::TrialAtRest { fleet: fleet.to_owned(), run }).collect()
    }

    fn of_run(fleet: &str, run: &str, surveyed: &Surveyed<'_>, hosts: &[Surveyed<'_>]) -> Self {
        let (facts, fleet, run) = (surveyed.facts, fleet.to_owned(), run.to_owned());
        let systems = &facts.standing.systems;
        if facts.over.contains(&run) {
            return Self::UnfinishedOver { fleet, run };
        } else if !systems.agree() {
            return Self::UnfinishedBetween { fleet, run };
        }
        // A mark is one host's word about another, so all marks must say the same.
        let sides: BTreeSet<Option<EndSide>> =
            marks_without(&run, surveyed, hosts).iter().map(|ended| ended.mark.side).collect();
        let [Some(ended)] = sides.into_iter().collect::<Vec<_>>()[..] else {
            return Self::UnfinishedAtRest { fleet, run };
        };
        let roots = facts.survivor_roots.get(&run);
        let is_old = roots.and_then(|roots| roots.old.as_ref()).is_some_and(|(old, _)| old == systems);
        let is_new = roots.and_then(|roots| roots.new.as_ref()).is_some_and(|new| systems.all_are(new));
        match (is_old, is_new) {
            (true, _) if ended == EndSide::Old => Self::BackOnTheirSide { fleet, run, side: ended },
            (_, true) if ended == EndSide::New => Self::BackOnTheirSide { fleet, run, side: ended },
            (false, false) => Self::BackElsewhere { fleet, run, ended },
            _ => Self::BackOnOtherSide { fleet, host: surveyed.host.name.clone(), run, ended },
        }
    }

    /// Returns whether a push of the host may not go on.
    #[must_use]
    pub fn refuses(&self) -> bool {
        matches!(self, Self::UnfinishedBetween { .. })
    }

    /// Returns the run that was ended on old without it, while it is back on old: only the traces of that run are to be
    /// removed.
    #[must_use]
    pub fn back_on_old(&self) -> Option<&str> {
        match self {
            Self::BackOnTheirSide { run, side: EndSide::Old, .. } => Some(run),
            _ => None,
        }
    }

    /// Finds the runs that were ended twice, by two recoveries that did not see each other's hosts.
    #[must_use]
    pub fn ended_twice(fleet: &str, hosts: &[Surveyed<'_>]) -> Vec<Self> {
        let twice = |run: &str| {
            let on = |side: EndSide| -> Vec<HostName> {
                let has = |one: &&Surveyed<'_>| mark(run, one).is_some_and(|ended| ended.mark.side == Some(side));
                hosts.iter().filter(has).map(|one| one.host.name.clone()).collect()
            };
            let (old, new) = (on(EndSide::Old), on(EndSide::New));
            (!old.is_empty() && !new.is_empty()).then(|| Self::RunEndedTwice {
                fleet: fleet.to_owned(),
                run: run.to_owned(),
                old,
                new,
            })
        };
        runs_with_marks(hosts).into_iter().filter_map(twice).collect()
    }
}

fn mark<'a>(run: &str, one: &'a Surveyed<'_>) -> Option<&'a Ended> {
    one.facts.marks.iter().find(|mark| mark.run == run).map(|mark| &mark.ended)
}

fn runs_with_marks<'a>(hosts: &'a [Surveyed<'_>]) -> BTreeSet<&'a str> {
    hosts.iter().flat_map(|one| &one.facts.marks).map(|mark| mark.run.as_str()).collect()
}

/// Returns what the other hosts say of a run that was ended without this one.
fn marks_without<'a>(run: &str, surveyed: &Surveyed<'_>, hosts: &'a [Surveyed<'_>]) -> Vec<&'a Ended> {
    let name = &surveyed.host.name;
    let of_others: BTreeMap<&HostName, &Ended> = hosts
        .iter()
        .filter(|one| one.host.name != *name)
        .filter_map(|one| Some((&one.host.name, mark(run, one)?)))
        .collect();
    of_others.into_values().filter(|ended| ended.mark.missing.contains_key(name)).collect()
}

#[cfg(test)]
mod tests;
