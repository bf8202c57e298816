//! Says how a recovery has ended: its exit, its sentence, the end of every host.

use std::fmt::Write as _;

use crate::commands::shared::conclusion::Conclusion;
use crate::decide::vocabulary::Verdict;
use crate::engine::recover::{Recovered, RollingEnded};
use crate::event::reason::reboot::FoundRolling;
use crate::event::reason::recover::RecoverReason;
use crate::event::stream::Events;
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
            if let Some(way) = way {
                concluded.text = concluded.text.followed_by(&format!("\n{way}"));
            }
            concluded
        }
        Some(Recovered::Nothing { silent }) if silent.is_empty() => {
            let text = "nothing is unfinished: no host holds anything of a run".to_owned();
            let ending = Ending::Answered { yes: true };
            Conclusion::of_all(fleet, &HostOutcome::Unchanged, ending, Outcome::Unchanged, text)
        }
        Some(Recovered::Nothing { silent }) => {
            let ending = Ending::Pushed { outcome: Outcome::Split, interrupted: None };
            let text = "no host that answers holds anything of a run; of the others nothing is known".to_owned();
            let mut concluded = Conclusion::of_all(fleet, &HostOutcome::Unchanged, ending, Outcome::Split, text);
            for host in silent {
                concluded.hosts.insert(host, HostOutcome::Lost { why: RecoverReason::NothingKnownOfHost.into() });
            }
            concluded
        }
        Some(Recovered::NotBegun(why)) => {
            let text = why.to_string();
            events.publish(Event::failed(None, why));
            Conclusion::of_all(fleet, &unknown, Ending::NotBegun, Outcome::Refused, text)
        }
        Some(Recovered::Rolling(ended)) => of_rolling(&ended, fleet),
        Some(Recovered::ByHand { run }) => {
            let armed = RecoverReason::HandGuardStillArmed { run, fleet: fleet.name.clone() };
            let text = armed.to_string();
            events.publish(Event::failed(None, armed));
            Conclusion::of_all(fleet, &HostOutcome::Untouched, Ending::NotBegun, Outcome::Refused, text)
        }
        Some(Recovered::Interrupted(first)) if !is_known => {
            let ending = Ending::Pushed { outcome: Outcome::Refused, interrupted: Some(first) };
            let text =
                format!("interrupted by {first} before the hosts had answered; no run is known to be unfinished");
            Conclusion::of_all(fleet, &HostOutcome::Untouched, ending, Outcome::Refused, text)
        }
        Some(Recovered::Interrupted(first)) => {
            let ending = Ending::Left { first, guards_armed: true };
            let text = format!("interrupted by {first} before any host was taken over");
            Conclusion::of_all(fleet, &unknown, ending, Outcome::Left, text)
        }
        Some(Recovered::Left { through, guarded, signal }) => {
            Conclusion::left(fleet, &guarded, signal, &unknown, through)
        }
        None => Conclusion::bug(fleet, guarded),
    }
}

/// Says which hosts were rebooted, which are away, and which were not begun.
fn of_rolling(ended: &RollingEnded, fleet: &Fleet) -> Conclusion {
    let RollingEnded { run, hosts } = ended;
    let named = |wanted: &dyn Fn(&FoundRolling) -> bool| {
        let names = hosts.iter().filter(|(_, found)| wanted(found)).map(|(host, _)| host.as_str());
        names.collect::<Vec<_>>().join(", ")
    };
    let mut text = format!("rolling reboot {run} is ended, and nothing was done to any host");
    for (front, names) in [
        ("rebooted", named(&|found| *found == FoundRolling::RebootDone)),
        ("told to reboot, and did not", named(&|found| *found == FoundRolling::RebootToldOnly)),
        ("not rebooted", named(&|found| *found == FoundRolling::RebootNotBegun)),
        ("LOOK NOW, no answer", named(&FoundRolling::is_away)),
    ] {
        if !names.is_empty() {
            // Writing to a String cannot fail.
            let _ = write!(text, "; {front}: {names}");
        }
    }
    let end = |host: &HostName| match hosts.get(host) {
        None => HostOutcome::Witness,
        Some(FoundRolling::RebootDone) => HostOutcome::Rebooted,
        Some(FoundRolling::RebootNotBegun | FoundRolling::RebootToldOnly) => HostOutcome::Untouched,
        Some(found @ FoundRolling::AwayFromReboot { .. }) => HostOutcome::Lost { why: found.clone().into() },
    };
    let ends = fleet.hosts.iter().map(|host| (host.name.clone(), end(&host.name))).collect();
    let any_away = hosts.values().any(FoundRolling::is_away);
    let ending = if any_away { Ending::InDoubt } else { Ending::Answered { yes: true } };
    Conclusion { ending, outcome: rolling_outcome(ended), text: text.into(), hosts: ends }
}

pub(super) fn rolling_outcome(ended: &RollingEnded) -> Outcome {
    let all_are = ended.hosts.values().all(|found| *found == FoundRolling::RebootDone);
    if all_are { Outcome::Rebooted } else { Outcome::PartlyRebooted }
}

/// Returns the command for a host that is gone for good, if others are there to go on without it.
fn way_out(verdict: &Verdict, fleet: &Fleet) -> Option<String> {
    let gone: Vec<&str> = verdict.gone.iter().map(HostName::as_str).collect();
    let is_other = |(host, end): &(HostName, HostOutcome)| {
        !matches!(end, HostOutcome::Witness | HostOutcome::Skipped) && !verdict.gone.contains(host)
    };
    let is_split = verdict.outcome == Outcome::Split && !gone.is_empty() && verdict.hosts.iter().any(is_other);
    let they_do = if gone.len() == 1 { "it does" } else { "they do" };
    is_split
        .then(|| format!("if {they_do} not come back: fleetdeploy recover {} --without {}", fleet.name, gone.join(",")))
}
