//! Concludes a push or a recovery: its exit, its last sentence, and the end of every host.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::decide::left_to_guard::LeftRun;
use crate::decide::vocabulary::Verdict;
use crate::event::reason::any::AnyReason;
use crate::event::reason::command_end::{CommandEnd, GuardedHost};
use crate::event::wording::command_end::{for_the_left, for_the_lost, left_out, next};
use crate::event::{Event, HostOutcome, Outcome};
use crate::exit::{Ending, status};
use crate::inventory::model::{Fleet, HostName};

/// The words of the last event, and the exit.
#[derive(Debug, Clone)]
pub(crate) struct Conclusion {
    pub(crate) ending: Ending,
    pub(crate) outcome: Outcome,
    pub(crate) text: AnyReason,
    pub(crate) hosts: BTreeMap<HostName, HostOutcome>,
}

impl Conclusion {
    /// Gives every host of the fleet the same end.
    pub(crate) fn of_all(
        fleet: &Fleet,
        end: &HostOutcome,
        ending: Ending,
        outcome: Outcome,
        text: impl Into<AnyReason>,
    ) -> Self {
        let hosts = fleet.hosts.iter().map(|host| (host.name.clone(), end.clone())).collect();
        Self { ending, outcome, text: text.into(), hosts }
    }

    pub(crate) fn of_verdict(fleet: &Fleet, verdict: Verdict) -> Self {
        let Verdict { outcome, hosts, text, interrupted, gone, .. } = verdict;
        let hosts = hosts.into_iter().collect();
        let text = with_skipped(text, &hosts);
        let text = match outcome {
            Outcome::Split => {
                // A recovery says by itself what there is for hosts that are gone.
                let is_lost = |end: &HostOutcome| gone.is_empty() && matches!(end, HostOutcome::Lost { .. });
                let lost = hosts.iter().filter(|(_, end)| is_lost(end));
                let lost: Vec<&str> = lost.map(|(host, _)| host.as_str()).collect();
                let committed = hosts.values().any(|end| *end == HostOutcome::Committed);
                with_next(text, fleet).followed_by(&for_the_lost(&fleet.name, &lost, committed))
            }
            Outcome::Left | Outcome::Superseded => with_next(text, fleet),
            _ => text,
        };
        Self { ending: Ending::Pushed { outcome, interrupted }, outcome, text, hosts }
    }

    /// Concludes a push that was left at once, because of a second signal.
    pub(crate) fn left(fleet: &Fleet, left: LeftRun, others: &HostOutcome) -> Self {
        let LeftRun { through, guarded, goes_back, signal: first } = left;
        let mut hosts: BTreeMap<HostName, HostOutcome> =
            fleet.hosts.iter().map(|host| (host.name.clone(), others.clone())).collect();
        hosts.extend(through);
        hosts.extend(guarded.iter().map(|left| (left.host.clone(), left.outcome())));
        let goes_back = goes_back || guarded.iter().any(|left| left.seen_on_old);
        let guarded: Vec<GuardedHost> =
            guarded.iter().map(|left| GuardedHost { name: left.host.clone(), cause: left.fate() }).collect();
        let any = |wanted: &dyn Fn(&HostOutcome) -> bool| hosts.values().any(wanted);
        let others_committed = !guarded.is_empty() && any(&|end| *end == HostOutcome::Committed);
        let side = for_the_left(goes_back || any(&|end| matches!(end, HostOutcome::RolledBack { .. })));
        let when = if guarded.is_empty() || others_committed { "" } else { side };
        let text = CommandEnd::LeftAtOnce { guarded, others_committed };
        let guards_armed = any(&|end| matches!(end, HostOutcome::Left { .. } | HostOutcome::Lost { .. }));
        // Also if hosts are on both sides by now: nothing has ended, and `recover` still brings them to one side.
        let outcome = if guards_armed { Outcome::Left } else { Outcome::Refused };
        let text = if guards_armed { with_next(text, fleet).followed_by(when) } else { text.into() };
        Self { ending: Ending::Left { first, guards_armed }, outcome, text, hosts }
    }

    /// Returns the last event of a command that took this long.
    pub(crate) fn event(self, took: Duration) -> Event {
        Event::Finished {
            outcome: self.outcome,
            text: self.text,
            hosts: self.hosts,
            exit: i32::from(status(self.ending)),
            took_ms: millis(took),
        }
    }

    /// Concludes a run in which fleetdeploy itself has failed.
    pub(crate) fn bug(fleet: &Fleet, guards_armed: bool) -> Self {
        let end = HostOutcome::Lost { why: CommandEnd::ProgramFailedMidway.into() };
        let text = with_next(CommandEnd::ProgramFailed, fleet);
        Self::of_all(fleet, &end, Ending::Bug { guards_armed }, Outcome::Split, text)
    }
}

/// Adds to the sentence the hosts that took no part, and so were not proven.
pub(crate) fn with_skipped(text: impl Into<AnyReason>, hosts: &BTreeMap<HostName, HostOutcome>) -> AnyReason {
    let skipped = hosts.iter().filter(|(_, end)| **end == HostOutcome::Skipped);
    let skipped: Vec<HostName> = skipped.map(|(host, _)| host.clone()).collect();
    text.into().followed_by(&left_out(&skipped))
}

/// Adds to the sentence the command to type now.
pub(crate) fn with_next(text: impl Into<AnyReason>, fleet: &Fleet) -> AnyReason {
    text.into().followed_by(&next(&fleet.name))
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::decide::left_to_guard::LeftToGuard;
    use crate::decide::vocabulary::Signal;

    fn name(host: &str) -> HostName {
        HostName::new(host).unwrap()
    }

    /// How it ends for a fleet of `a` and `b` that is left with these under their guards, and these through.
    fn left(guarded: &[LeftToGuard], through: Vec<(HostName, HostOutcome)>) -> (Outcome, u8, String) {
        left_while(false, guarded, through)
    }

    fn left_while(
        goes_back: bool,
        guarded: &[LeftToGuard],
        through: Vec<(HostName, HostOutcome)>,
    ) -> (Outcome, u8, String) {
        let text = "hosts: {a: , b: }\nfleets: {ab: {hosts: all, flake: .}}\n";
        let here = std::path::Path::new(".");
        let inventory = crate::inventory::Inventory::parse(here, here, text).unwrap().inventory;
        let fleet = &inventory.fleets["ab"];
        let left = LeftRun { through, guarded: guarded.to_vec(), goes_back, signal: Signal::Sigint };
        let concluded = Conclusion::left(fleet, left, &HostOutcome::Untouched);
        let said = (concluded.outcome, status(concluded.ending), concluded.text.to_string());
        crate::codes::keep(&concluded.event(Duration::ZERO));
        said
    }

    #[test]
    fn what_was_seen_is_kept_and_a_run_that_was_left_is_never_called_split() {
        let guarded = |seen_on_old, may_be_disarmed| LeftToGuard {
            host: name("b"),
            back_within: Duration::from_secs(194),
            seen_on_old,
            may_be_disarmed,
        };
        let next = "\nnext: fleetdeploy recover ab";
        let text = "left at once, as asked; every guard has fired, and its host is back, in 3m 14s at the latest";
        let (one, back) = (
            ", now or after that: it brings all to one side, the old or the new",
            "it ends this with every host on what it ran before this run",
        );
        assert_eq!(left(&[guarded(false, false)], Vec::new()), (Outcome::Left, 3, format!("{text}{next}{one}")));
        let says = format!("{text}{next}, now or after that: {back}");
        assert_eq!(left(&[guarded(true, false)], Vec::new()), (Outcome::Left, 3, says.clone()));
        // None was seen back yet, and none can end on its new system any more.
        assert_eq!(left_while(true, &[guarded(false, false)], Vec::new()), (Outcome::Left, 3, says.clone()));
        let through = |end| vec![(name("a"), end)];
        let rolled_back = through(HostOutcome::RolledBack { by_guard: true });
        assert_eq!(left(&[guarded(false, false)], rolled_back), (Outcome::Left, 3, says));
        let committed = through(HostOutcome::Committed);
        let both = "; hosts are committed already: to take the others along, recover before their guards fire";
        let says_both = format!("{text}{both}{next}");
        assert_eq!(left(&[guarded(false, true)], committed), (Outcome::Left, 3, says_both));
        let lost =
            left(&[guarded(false, false)], through(HostOutcome::Lost { why: AnyReason::without_code("no answer") }));
        assert_eq!((lost.0, lost.1), (Outcome::Left, 3));
        assert_eq!(left(&[], Vec::new()), (Outcome::Refused, 130, "left at once, as asked".to_owned()));
    }
}
