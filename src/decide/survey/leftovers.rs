//! Judges what unfinished runs have left on a host, and what marks of the others say about it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::Surveyed;
use crate::facts::traces::{EndSide, Ended};
use crate::inventory::model::HostName;

/// The traces of a run on a host that is not held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Left {
    /// Its guard has brought the host back, most likely.
    AtRest { run: String },
    /// This refuses the push, because it would not know what to bring the host back to.
    Between { run: String },
    /// A later run has committed here.
    Over { run: String },
    /// The others were ended without it, and it stands where they do.
    BackOnTheirSide { run: String, side: EndSide },
    /// The others were ended without it, and it stands on the other side.
    BackOnTheOther { run: String, ended: EndSide },
    /// The others were ended without it, and it is on neither of the run's systems.
    BackElsewhere { run: String, ended: EndSide },
    /// It has the name of a host that was missing, and is another machine.
    Replaced { run: String },
}

impl Left {
    /// Finds all that is to be said of this host, with what the others say of it.
    #[must_use]
    pub fn of(surveyed: &Surveyed<'_>, hosts: &[Surveyed<'_>]) -> Vec<Self> {
        let facts = surveyed.facts;
        let survivors = facts.survivors.iter().map(|run| Self::of_run(run, surveyed, hosts));
        let replaced = runs_with_marks(hosts).into_iter().filter(|run| {
            marks_without(run, surveyed, hosts).iter().any(|ended| {
                let machine = ended.mark.missing.get(&surveyed.host.name).and_then(Option::as_deref);
                machine.is_some_and(|machine| machine != facts.machine_id)
            })
        });
        survivors.chain(replaced.map(|run| Self::Replaced { run: run.to_owned() })).collect()
    }

    fn of_run(run: &str, surveyed: &Surveyed<'_>, hosts: &[Surveyed<'_>]) -> Self {
        let (facts, run) = (surveyed.facts, run.to_owned());
        let systems = &facts.standing.systems;
        if facts.over.contains(&run) {
            return Self::Over { run };
        } else if !systems.agree() {
            return Self::Between { run };
        }
        // A mark is one host's word about another, so all marks must say the same.
        let sides: BTreeSet<Option<EndSide>> =
            marks_without(&run, surveyed, hosts).iter().map(|ended| ended.mark.side).collect();
        let [Some(ended)] = sides.into_iter().collect::<Vec<_>>()[..] else { return Self::AtRest { run } };
        let roots = facts.survivor_roots.get(&run);
        let is_old = roots.and_then(|roots| roots.old.as_ref()).is_some_and(|(old, _)| old == systems);
        let is_new = roots.and_then(|roots| roots.new.as_ref()).is_some_and(|new| systems.all_are(new));
        match (is_old, is_new) {
            (true, _) if ended == EndSide::Old => Self::BackOnTheirSide { run, side: ended },
            (_, true) if ended == EndSide::New => Self::BackOnTheirSide { run, side: ended },
            (false, false) => Self::BackElsewhere { run, ended },
            _ => Self::BackOnTheOther { run, ended },
        }
    }

    /// Returns whether a push of the host may not go on.
    #[must_use]
    pub fn refuses(&self) -> bool {
        matches!(self, Self::Between { .. })
    }

    /// Returns the run that was ended on old without it, while it is back on old: only the traces of that run are to be
    /// removed.
    #[must_use]
    pub fn back_on_old(&self) -> Option<&str> {
        match self {
            Self::BackOnTheirSide { run, side: EndSide::Old } => Some(run),
            _ => None,
        }
    }

    /// What to type.
    #[must_use]
    pub fn hint(&self, fleet: &str, host: &HostName) -> String {
        let recover = format!("`fleetdeploy recover {fleet}`");
        match self {
            Self::Between { run } => format!("type {recover}: it brings the host to one side; {}", forget(fleet, run)),
            Self::AtRest { .. } => recover,
            Self::BackOnTheirSide { run, side: EndSide::Old } => {
                format!("a push of the host, or `fleetdeploy recover {fleet} --run {run}`, removes them")
            }
            Self::Over { run } | Self::BackOnTheirSide { run, .. } | Self::BackElsewhere { run, .. } => {
                format!("`fleetdeploy recover {fleet} --run {run}` removes it")
            }
            Self::BackOnTheOther { .. } => format!(
                "`fleetdeploy push {fleet} --on {host}` or `fleetdeploy rollback {fleet} --on {host}`, whichever is \
                 right"
            ),
            Self::Replaced { run } => {
                format!("`fleetdeploy recover {fleet} --forget {run}` removes what they keep of it")
            }
        }
    }
}

/// Returns the command that ends the traces of a run if `recover` cannot.
#[must_use]
pub fn forget(fleet: &str, run: &str) -> String {
    format!("where that cannot end it, `fleetdeploy recover {fleet} --forget {run}` removes what is left of the run")
}

impl fmt::Display for Left {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let on = |side: &EndSide| match side {
            EndSide::Old => "their old systems",
            EndSide::New => "their new systems",
        };
        match self {
            Self::AtRest { run } => write!(
                formatter,
                "run {run} did not come to its end here; the host is at rest, and only its garbage collection roots \
                 are left"
            ),
            Self::Between { run } => {
                write!(formatter, "run {run} did not come to its end here, and the host is between two systems")
            }
            Self::Over { run } => write!(
                formatter,
                "run {run} did not come to its end here, and a later run has committed since: only its garbage \
                 collection roots are left"
            ),
            Self::BackOnTheirSide { run, side } => write!(
                formatter,
                "was missing when run {run} ended on the others, on {}, and is on its own {side} system, at rest: only \
                 its garbage collection roots are left",
                on(side)
            ),
            Self::BackOnTheOther { run, ended } => {
                let stands = if *ended == EndSide::Old { EndSide::New } else { EndSide::Old };
                write!(
                    formatter,
                    "was missing when run {run} ended on the others, on {}, and has come back on its {stands} system",
                    on(ended)
                )
            }
            Self::BackElsewhere { run, ended } => write!(
                formatter,
                "was missing when run {run} ended on the others, on {}, and has moved on since: only garbage \
                 collection roots of that run are left",
                on(ended)
            ),
            Self::Replaced { run } => {
                write!(formatter, "is not the machine of this name that was missing when run {run} ended on the others")
            }
        }
    }
}

/// A run that was ended twice, by two recoveries that did not see each other's hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedTwice {
    pub run: String,
    pub old: Vec<HostName>,
    pub new: Vec<HostName>,
}

impl EndedTwice {
    #[must_use]
    pub fn all(hosts: &[Surveyed<'_>]) -> Vec<Self> {
        let twice = |run: &str| {
            let on = |side: EndSide| -> Vec<HostName> {
                let has = |one: &&Surveyed<'_>| mark(run, one).is_some_and(|ended| ended.mark.side == Some(side));
                hosts.iter().filter(has).map(|one| one.host.name.clone()).collect()
            };
            Self { run: run.to_owned(), old: on(EndSide::Old), new: on(EndSide::New) }
        };
        let is_split = |ends: &Self| !ends.old.is_empty() && !ends.new.is_empty();
        runs_with_marks(hosts).into_iter().map(twice).filter(is_split).collect()
    }

    /// What to type.
    #[must_use]
    pub fn hint(&self, fleet: &str) -> String {
        format!(
            "bring them to one side with `fleetdeploy push {fleet}` or `fleetdeploy rollback {fleet}`, then type \
             `fleetdeploy recover {fleet} --forget {}`",
            self.run
        )
    }
}

impl fmt::Display for EndedTwice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |hosts: &[HostName]| hosts.iter().map(HostName::as_str).collect::<Vec<_>>().join(", ");
        write!(
            formatter,
            "run {} was ended twice, each time without some of its hosts: on the old systems on {}, on the new ones on \
             {}",
            self.run,
            names(&self.old),
            names(&self.new)
        )
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
