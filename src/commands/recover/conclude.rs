//! Says how a recovery has ended: its exit, its sentence, the end of every host.

use crate::commands::shared::conclusion::Conclusion;
use crate::decide::vocabulary::Verdict;
use crate::engine::recover::{Recovered, RollingEnded};
use crate::event::reason::any::AnyReason;
use crate::event::reason::command_end::CommandEnd;
use crate::event::reason::reboot::{FoundRolling, RollingEnd};
use crate::event::reason::recover::RecoverReason;
use crate::event::stream::Events;
use crate::event::wording::command_end::if_gone_for_good;
use crate::event::{Event, HostOutcome, Outcome};
use crate::exit::Ending;
use crate::inventory::model::{Fleet, HostName};

/// `None`: the engine has panicked. `is_known` says whether this workstation has a record of an unfinished run.
pub(super) fn conclude(
    recovered: Option<Recovered>,
    guarded: bool,
    is_known: bool,
    fleet: &Fleet,
    events: &Events,
) -> Conclusion {
    let unknown = HostOutcome::Left { why: RecoverReason::AsRunLeftIt.into(), back_within_ms: None };
    match recovered {
        Some(Recovered::Ended(verdict)) => {
            let way = way_out(&verdict, fleet);
            let mut concluded = Conclusion::of_verdict(fleet, *verdict);
            concluded.text = concluded.text.followed_by(&way.unwrap_or_default());
            concluded
        }
        Some(Recovered::Nothing { silent }) if silent.is_empty() => {
            let ending = Ending::Answered { yes: true };
            let text = CommandEnd::NothingUnfinished;
            Conclusion::of_all(fleet, &HostOutcome::Unchanged, ending, Outcome::Unchanged, text)
        }
        Some(Recovered::Nothing { silent }) => in_doubt(fleet, silent, CommandEnd::NothingHeldWhereAnswered),
        // A host that does not answer may be under a guard of that run.
        Some(Recovered::NotBegun(RecoverReason::NothingOfRun { run, silent })) if !silent.is_empty() => {
            let why = RecoverReason::NothingOfRun { run, silent: silent.clone() };
            events.publish(Event::failed(None, why.clone()));
            in_doubt(fleet, silent, why)
        }
        // All have answered, and none is of it.
        Some(Recovered::NotBegun(why @ RecoverReason::NothingOfRun { .. })) => {
            events.publish(Event::failed(None, why.clone()));
            Conclusion::of_all(fleet, &HostOutcome::Untouched, Ending::NotBegun, Outcome::Refused, why)
        }
        // The run is not ended, and its hosts may be under guards.
        Some(Recovered::NotBegun(why)) => {
            events.publish(Event::failed(None, why.clone()));
            let ending = Ending::Pushed { outcome: Outcome::Left, interrupted: None };
            Conclusion::of_all(fleet, &unknown, ending, Outcome::Left, why)
        }
        Some(Recovered::Rolling(ended)) => of_rolling(&ended, fleet),
        Some(Recovered::ByHand { run }) => {
            let armed = RecoverReason::HandGuardStillArmed { run, fleet: fleet.name.clone() };
            events.publish(Event::failed(None, armed.clone()));
            Conclusion::of_all(fleet, &HostOutcome::Untouched, Ending::NotBegun, Outcome::Refused, armed)
        }
        Some(Recovered::Interrupted(first)) if !is_known => {
            let ending = Ending::Pushed { outcome: Outcome::Refused, interrupted: Some(first) };
            let text = CommandEnd::InterruptedUnanswered { signal: first };
            Conclusion::of_all(fleet, &HostOutcome::Untouched, ending, Outcome::Refused, text)
        }
        Some(Recovered::Interrupted(first)) => {
            let ending = Ending::Left { first, guards_armed: true };
            let text = CommandEnd::InterruptedBeforeTakeOver { signal: first };
            Conclusion::of_all(fleet, &unknown, ending, Outcome::Left, text)
        }
        Some(Recovered::Left(left)) => Conclusion::left(fleet, left, &unknown),
        None => Conclusion::bug(fleet, guarded),
    }
}

/// Those that answer hold nothing, and nobody knows what the others hold.
fn in_doubt(fleet: &Fleet, silent: Vec<HostName>, text: impl Into<AnyReason>) -> Conclusion {
    let ending = Ending::Pushed { outcome: Outcome::Split, interrupted: None };
    let mut concluded = Conclusion::of_all(fleet, &HostOutcome::Unchanged, ending, Outcome::Split, text);
    for host in silent {
        concluded.hosts.insert(host, HostOutcome::Lost { why: RecoverReason::NothingKnownOfHost.into() });
    }
    concluded
}

/// Says which hosts were rebooted, which are away, and which were not begun.
fn of_rolling(ended: &RollingEnded, fleet: &Fleet) -> Conclusion {
    let RollingEnded { run, hosts, cleaned } = ended;
    let named = |wanted: &dyn Fn(&FoundRolling) -> bool| {
        hosts.iter().filter(|(_, found)| wanted(found)).map(|(host, _)| host.clone()).collect()
    };
    let text = RollingEnd::RollingEndedByRecovery {
        run: run.clone(),
        rebooted: named(&|found| *found == FoundRolling::RebootDone),
        went_back: named(&|found| *found == FoundRolling::TrialWentBack),
        unproven: named(&|found| *found == FoundRolling::TrialUnproven),
        cleaned: cleaned.iter().cloned().collect(),
        told_only: named(&|found| *found == FoundRolling::RebootToldOnly),
        not_rebooted: named(&|found| *found == FoundRolling::RebootNotBegun),
        away: named(&FoundRolling::is_away),
    };
    let end = |host: &HostName| match hosts.get(host) {
        None => HostOutcome::Witness,
        Some(FoundRolling::RebootDone) => HostOutcome::Rebooted,
        Some(FoundRolling::RebootNotBegun | FoundRolling::RebootToldOnly) => HostOutcome::Untouched,
        Some(FoundRolling::TrialWentBack) => HostOutcome::WentBack,
        Some(found @ (FoundRolling::TrialUnproven | FoundRolling::AwayFromReboot { .. })) => {
            HostOutcome::Lost { why: found.clone().into() }
        }
    };
    let ends = fleet.hosts.iter().map(|host| (host.name.clone(), end(&host.name))).collect();
    let any_away = hosts.values().any(|found| found.is_away() || *found == FoundRolling::TrialUnproven);
    // As the rolling reboot itself would have ended.
    let went_back = hosts.values().any(|found| *found == FoundRolling::TrialWentBack);
    let ending = if any_away { Ending::InDoubt } else { Ending::Answered { yes: !went_back } };
    Conclusion { ending, outcome: rolling_outcome(ended), text: text.into(), hosts: ends }
}

pub(super) fn rolling_outcome(ended: &RollingEnded) -> Outcome {
    let all_are = ended.hosts.values().all(|found| *found == FoundRolling::RebootDone);
    if all_are { Outcome::Rebooted } else { Outcome::PartlyRebooted }
}

/// Returns the line with the command for a host that is gone for good, if others are there to go on without it.
fn way_out(verdict: &Verdict, fleet: &Fleet) -> Option<String> {
    let is_other = |(host, end): &(HostName, HostOutcome)| {
        !matches!(end, HostOutcome::Witness | HostOutcome::Skipped) && !verdict.gone.contains(host)
    };
    let is_split = verdict.outcome == Outcome::Split && !verdict.gone.is_empty() && verdict.hosts.iter().any(is_other);
    is_split.then(|| if_gone_for_good(&fleet.name, &verdict.gone))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use pretty_assertions::assert_eq;

    use super::*;
    use crate::exit::status;

    /// How a recovery of `a` and `b` ends that came to this: outcome, exit status, and the code of its reason.
    fn end(recovered: Option<Recovered>, guarded: bool) -> (Outcome, u8, String) {
        let text = "hosts: {a: , b: }\nfleets: {ab: {hosts: all, flake: .}}\n";
        let here = std::path::Path::new(".");
        let inventory = crate::inventory::Inventory::parse(here, here, text).unwrap().inventory;
        let concluded = conclude(recovered, guarded, false, &inventory.fleets["ab"], &Events::new(None));
        let code = concluded.text.code().unwrap_or_default().to_owned();
        let said = (concluded.outcome, status(concluded.ending), code);
        crate::codes::keep(&concluded.event(std::time::Duration::ZERO));
        said
    }

    #[test]
    fn a_recovery_of_another_kind_of_run_says_what_it_was() {
        let [a, b] = ["a", "b"].map(|name| HostName::new(name).unwrap());
        let hosts = BTreeMap::from([(a, FoundRolling::RebootDone), (b, FoundRolling::RebootToldOnly)]);
        let rolling = RollingEnded { run: "r-1".to_owned(), hosts, ..RollingEnded::default() };
        let ended = (Outcome::PartlyRebooted, 0, "rolling-ended-by-recovery".to_owned());
        assert_eq!(end(Some(Recovered::Rolling(rolling)), false), ended);
        let of_one = |found| {
            let hosts = BTreeMap::from([(HostName::new("b").unwrap(), found)]);
            let rolling = RollingEnded { run: "r-1".to_owned(), hosts, ..RollingEnded::default() };
            end(Some(Recovered::Rolling(rolling)), false).1
        };
        let ends = [FoundRolling::RebootNotBegun, FoundRolling::TrialWentBack, FoundRolling::TrialUnproven];
        assert_eq!(ends.map(of_one), [0, 1, 3]);
        let by_hand = (Outcome::Refused, 1, "hand-guard-still-armed".to_owned());
        assert_eq!(end(Some(Recovered::ByHand { run: "r-1".to_owned() }), false), by_hand);
    }

    #[test]
    fn a_run_that_no_host_holds_is_in_doubt_while_one_does_not_answer() {
        let of_run = |silent: &[&str]| {
            let silent = silent.iter().map(|name| HostName::new(*name).unwrap()).collect();
            end(Some(Recovered::NotBegun(RecoverReason::NothingOfRun { run: "r-1".to_owned(), silent })), false)
        };
        assert_eq!(of_run(&[]), (Outcome::Refused, 1, "nothing-of-run".to_owned()));
        assert_eq!(of_run(&["b"]), (Outcome::Split, 3, "nothing-of-run".to_owned()));
    }

    /// 1 would say that every host was seen on its old system.
    #[test]
    fn a_recovery_that_cannot_begin_leaves_the_run_as_it_is_and_says_so() {
        let (run, fleet) = ("r-1".to_owned(), "ab".to_owned());
        let hosts = vec![HostName::new("b").unwrap()];
        for why in [
            RecoverReason::RecoveryNotRecorded { error: "No space left on device".to_owned() },
            RecoverReason::HeldByRolling { run: run.clone(), hosts: hosts.clone(), fleet: fleet.clone() },
            RecoverReason::HostsNotInFleet { run, hosts: hosts.clone(), fleet: fleet.clone() },
            RecoverReason::SilentHostsNotNamed { all: hosts.clone(), hosts, fleet },
        ] {
            let code = AnyReason::from(why.clone()).code().unwrap_or_default().to_owned();
            assert_eq!(end(Some(Recovered::NotBegun(why)), false), (Outcome::Left, 3, code));
        }
    }

    #[test]
    fn a_program_that_failed_in_the_middle_is_never_called_fine() {
        assert_eq!(end(None, true), (Outcome::Split, 3, "program-failed".to_owned()));
        assert_eq!(end(None, false), (Outcome::Split, 1, "program-failed".to_owned()));
    }
}
