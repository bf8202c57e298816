//! Chooses the system that each host goes back to, of those that it has already, and says what keeps it from that.

use std::collections::BTreeMap;

use crate::event::reason::rollback_target::{OldestGeneration, RollbackAim, RollbackDoubt};
use crate::facts::store_path::StorePath;
use crate::inventory::model::HostName;

/// The aim of a rollback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum To {
    /// What the hosts ran before or after a run.
    Run {
        run: String,
        systems: BTreeMap<HostName, StorePath>,
        /// The system that the run has left on them, if they go back to what was before it.
        left: BTreeMap<HostName, StorePath>,
    },
    /// The generation of each host's profile that was the newest then, in seconds since 1970.
    Time { at: u64, text: String },
    /// A generation of the one host that is selected.
    Generation(u64),
}

impl To {
    /// Returns it for people.
    #[must_use]
    pub fn aim(&self) -> RollbackAim {
        match self {
            Self::Run { run, left, .. } if left.is_empty() => RollbackAim::AfterRun { run: run.clone() },
            Self::Run { run, .. } => RollbackAim::BeforeRun { run: run.clone() },
            Self::Time { text, .. } => RollbackAim::At { time: text.clone() },
            Self::Generation(number) => RollbackAim::Generation { number: *number },
        }
    }

    /// Returns the system that a host is asked about by its path.
    #[must_use]
    pub fn named(&self, host: &HostName) -> Option<&StorePath> {
        match self {
            Self::Run { systems, .. } => systems.get(host),
            Self::Time { .. } | Self::Generation(_) => None,
        }
    }
}

/// One generation of a host's system profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation {
    pub number: u64,
    /// Seconds since 1970, by the host's clock.
    pub made: u64,
    pub system: StorePath,
    /// `false`: its link is there, its system is not.
    pub is_here: bool,
}

/// The systems that a host still has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Kept {
    /// By their numbers.
    pub generations: Vec<Generation>,
    /// Whether the system that it was asked about is there.
    pub named_is_here: bool,
}

/// Chooses the system that a host goes back to.
///
/// # Errors
/// What is missing, and what to do about it.
pub fn choose(to: &To, host: &HostName, kept: &Kept) -> Result<StorePath, RollbackDoubt> {
    let host = host.clone();
    let generations = kept.generations.iter().filter(|one| one.is_here).map(|one| one.number).collect();
    match to {
        To::Run { run, systems, .. } => match systems.get(&host).cloned() {
            None => Err(RollbackDoubt::HostNotInRun { run: run.clone(), host }),
            Some(system) if kept.named_is_here => Ok(system),
            Some(system) => Err(RollbackDoubt::SystemOfRunGone { system, generations, host }),
        },
        To::Time { at, text } => match kept.generations.iter().rfind(|generation| generation.made <= *at) {
            None => {
                let oldest = kept.generations.first();
                let oldest = oldest.map(|oldest| OldestGeneration { number: oldest.number, made: oldest.made });
                Err(RollbackDoubt::NoGenerationThen { time: text.clone(), oldest, generations, host })
            }
            Some(then) if then.is_here => Ok(then.system.clone()),
            Some(then) => Err(RollbackDoubt::SystemThenGone {
                time: text.clone(),
                generation: then.number,
                system: then.system.clone(),
                generations,
                host,
            }),
        },
        To::Generation(number) => {
            let generation = *number;
            match kept.generations.iter().find(|one| one.number == generation) {
                Some(found) if found.is_here => Ok(found.system.clone()),
                Some(found) => {
                    let system = found.system.clone();
                    Err(RollbackDoubt::SystemOfGenerationGone { generation, system, generations, host })
                }
                None => Err(RollbackDoubt::NoSuchGeneration { generation, generations, host }),
            }
        }
    }
}

/// Warns about a host that goes back; that stops nothing.
#[must_use]
pub fn doubt(to: &To, host: &HostName, current: &StorePath) -> Option<RollbackDoubt> {
    let To::Run { run, left, systems } = to else { return None };
    let left = left.get(host).filter(|left| *left != current && systems.get(host) != Some(current))?;
    Some(RollbackDoubt::ChangedSinceRun { run: run.clone(), current: current.clone(), left: left.clone() })
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::event::reason::Worded;

    fn system(version: u64) -> StorePath {
        StorePath::new(format!("/nix/store/{}-nixos-system-vps-{version}", "a".repeat(32))).unwrap()
    }

    fn vps() -> HostName {
        HostName::new("vps").unwrap()
    }

    /// Generations 3, 4 and 6, made at 300, 400 and 600; the system of 4 was collected.
    fn kept(named_is_here: bool) -> Kept {
        let generation =
            |number: u64| Generation { number, made: number * 100, system: system(number), is_here: number != 4 };
        Kept { generations: [3, 4, 6].map(generation).to_vec(), named_is_here }
    }

    fn chosen(to: &To, kept: &Kept) -> Result<StorePath, (String, String)> {
        choose(to, &vps(), kept).map_err(|doubt| {
            crate::codes::keep(&crate::event::Event::failed(Some(&vps()), doubt.clone()));
            (doubt.to_string(), doubt.mend().unwrap())
        })
    }

    fn at(seconds: u64) -> To {
        To::Time { at: seconds, text: "then".into() }
    }

    #[test]
    fn a_time_means_the_newest_generation_that_had_been_made_by_then() {
        assert_eq!(chosen(&at(399), &kept(false)), Ok(system(3)));
        assert_eq!(chosen(&at(600), &kept(false)), Ok(system(6)));
        let (text, hint) = chosen(&at(299), &kept(false)).unwrap_err();
        assert!(text.contains("as old as then: the oldest is generation 3, made at 1970-01-01T00:05:00Z"), "{text}");
        assert_eq!(hint, "its generations: 3, 6; or leave it out with --except vps");
        let (text, _) = chosen(&at(u64::MAX - 1), &Kept { generations: Vec::new(), named_is_here: false }).unwrap_err();
        assert!(text.ends_with("it has none"), "{text}");
    }

    #[test]
    fn a_system_that_was_collected_is_refused_with_what_is_left() {
        let (text, hint) = chosen(&at(599), &kept(false)).unwrap_err();
        assert!(text.starts_with("generation 4, which ran at then, /nix/store/") && text.contains("not in its store"));
        assert!(hint.contains("the generations that it still has: 3, 6;"), "{hint}");
        assert_eq!(chosen(&To::Generation(6), &kept(false)), Ok(system(6)));
        assert!(chosen(&To::Generation(4), &kept(false)).unwrap_err().0.contains("not in its store"));
        assert_eq!(chosen(&To::Generation(5), &kept(false)).unwrap_err().0, "has no generation 5");
    }

    #[test]
    fn a_run_means_what_it_knew_of_the_host() {
        let to = |systems: &[(HostName, StorePath)]| To::Run {
            run: "run-1".into(),
            systems: systems.iter().cloned().collect(),
            left: BTreeMap::from([(vps(), system(9))]),
        };
        let known = to(&[(vps(), system(8))]);
        assert_eq!(chosen(&known, &kept(true)), Ok(system(8)));
        assert!(chosen(&known, &kept(false)).unwrap_err().0.starts_with("what it is to go back to, /nix/store/"));
        assert!(chosen(&to(&[]), &kept(true)).unwrap_err().0.contains("not in the fleet when run run-1 was made"));
        assert_eq!(known.aim().to_string(), "what ran before run run-1");
        assert_eq!(doubt(&known, &vps(), &system(9)), None);
        assert_eq!(doubt(&known, &vps(), &system(8)), None);
        let changed = doubt(&known, &vps(), &system(7)).unwrap();
        crate::codes::keep(&crate::event::Event::warned(Some(&vps()), changed.clone()));
        assert!(changed.to_string().contains("somebody has changed it since"));
    }
}
