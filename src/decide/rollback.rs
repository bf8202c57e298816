//! Chooses the system that each host goes back to, of those that it has already, and says what keeps it from that.

use std::collections::BTreeMap;

use crate::decide::survey::{Finding, Weight};
use crate::facts::store_path::StorePath;
use crate::inventory::model::HostName;

/// The most generations that a hint names: about one line of a terminal.
const GENERATIONS_NAMED: usize = 12;

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
    /// Says it for people, as the end of a sentence: `back to ...`.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Run { run, left, .. } if left.is_empty() => format!("what run {run} left"),
            Self::Run { run, .. } => format!("what ran before run {run}"),
            Self::Time { text, .. } => format!("what ran at {text}"),
            Self::Generation(number) => format!("generation {number}"),
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
pub fn choose(to: &To, host: &HostName, kept: &Kept) -> Result<StorePath, Finding> {
    let refuse = |text: String, hint: String| Finding {
        host: Some(host.clone()),
        text: text.into(),
        hint: Some(format!("{hint}; or leave it out with --except {host}")),
        weight: Weight::Refusal,
    };
    let gone = |system: &StorePath, what: &str| {
        refuse(
            format!("{what}, {system}, is not in its store any more"),
            format!(
                "a push of the configuration that it was built from brings it back; {}",
                left(kept, "the generations that it still has")
            ),
        )
    };
    match to {
        To::Run { run, systems, .. } => match systems.get(host) {
            None => Err(refuse(
                format!("was not in the fleet when run {run} was made: what it ran then is not known"),
                "name another run, or a time: --to @2026-11-20".to_owned(),
            )),
            Some(system) if kept.named_is_here => Ok(system.clone()),
            Some(system) => Err(gone(system, "what it is to go back to")),
        },
        To::Time { at, text } => match kept.generations.iter().rfind(|generation| generation.made <= *at) {
            None => {
                let oldest = kept.generations.first().map_or_else(
                    || "it has none".to_owned(),
                    |oldest| format!("the oldest is generation {}, made at {}", oldest.number, written(oldest.made)),
                );
                Err(refuse(
                    format!("none of the generations that it still has is as old as {text}: {oldest}"),
                    left(kept, "its generations"),
                ))
            }
            Some(then) if then.is_here => Ok(then.system.clone()),
            Some(then) => Err(gone(&then.system, &format!("generation {}, which ran at {text}", then.number))),
        },
        To::Generation(number) => match kept.generations.iter().find(|generation| generation.number == *number) {
            Some(found) if found.is_here => Ok(found.system.clone()),
            Some(found) => Err(gone(&found.system, &format!("generation {number}"))),
            None => Err(refuse(format!("has no generation {number}"), left(kept, "its generations"))),
        },
    }
}

/// Warns about a host that goes back; that stops nothing.
#[must_use]
pub fn doubt(to: &To, host: &HostName, current: &StorePath) -> Option<String> {
    let To::Run { run, left, systems } = to else { return None };
    let moved = left.get(host).filter(|left| *left != current && systems.get(host) != Some(current))?;
    Some(format!("runs {current}, and run {run} left {moved} on it: somebody has changed it since, and that goes, too"))
}

fn left(kept: &Kept, what: &str) -> String {
    let numbers: Vec<String> =
        kept.generations.iter().filter(|one| one.is_here).map(|one| one.number.to_string()).collect();
    match numbers.len().checked_sub(GENERATIONS_NAMED) {
        _ if numbers.is_empty() => format!("{what}: none"),
        None | Some(0) => format!("{what}: {}", numbers.join(", ")),
        Some(more) => format!("{what}: {more} older ones, {}", numbers[more..].join(", ")),
    }
}

fn written(seconds: u64) -> String {
    let at = std::time::SystemTime::UNIX_EPOCH.checked_add(std::time::Duration::from_secs(seconds));
    // A host may give a number that is no time that can be written.
    let at = at.filter(|_| seconds < 253_402_300_800);
    at.map_or_else(|| "no time".to_owned(), |at| humantime::format_rfc3339_seconds(at).to_string())
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

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
        choose(to, &vps(), kept).map_err(|finding| (finding.text.to_string(), finding.hint.unwrap()))
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
        assert_eq!(known.words(), "what ran before run run-1");
        assert_eq!(doubt(&known, &vps(), &system(9)), None);
        assert_eq!(doubt(&known, &vps(), &system(8)), None);
        assert!(doubt(&known, &vps(), &system(7)).unwrap().contains("somebody has changed it since"));
    }
}
