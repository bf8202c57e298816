//! Tells how a run stands, as its journal has it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use super::{JournalEntry, RollingStarted, Written};
use crate::decide::time::RecordedGuard;
use crate::decide::transaction::recover::{Reached, Recorded};
use crate::decide::vocabulary::{self};
use crate::event::Outcome;
use crate::facts::traces::EndMark;
use crate::inventory::model::HostName;

/// How far the run has come, as its whole journal tells.
#[must_use]
pub fn recorded(journal: &[Written]) -> Recorded {
    let told: Vec<vocabulary::Entry> = journal.iter().filter_map(|written| written.entry.told()).collect();
    let recorded = Recorded::of(&told);
    let alone = journal.iter().any(|written| matches!(&written.entry, JournalEntry::Recovering(how) if how.alone));
    Recorded { reached: if alone { Reached::Unknown } else { recorded.reached }, ..recorded }
}

/// Returns whether the run has come to an end that leaves nothing to a recovery. Without any entry nothing was ever
/// touched.
#[must_use]
pub fn is_over(journal: &[Written]) -> bool {
    match journal.last().map(|written| &written.entry) {
        None => true,
        // What was forgotten as it stood, or has a host missing or apart, stays split; nothing of it claims a host any
        // more.
        Some(JournalEntry::Finished { outcome }) => {
            let stays = |entry: &JournalEntry| {
                matches!(entry, JournalEntry::Forgotten { .. } | JournalEntry::EndedWithout { .. })
            };
            // A rolling reboot cannot be brought to one side either: its end is final.
            !matches!(outcome, Outcome::Split | Outcome::Left)
                || last_part(journal).any(stays)
                || rolling(journal).is_some()
        }
        Some(_) => false,
    }
}

/// The rolling reboot of the run, and the hosts that it has told to reboot; `None`: it has come to none. Then the push
/// before it, if there was one, is through, and what is unfinished is the rolling reboot.
#[must_use]
pub fn rolling(journal: &[Written]) -> Option<(&RollingStarted, BTreeSet<&HostName>)> {
    let begun = journal.iter().position(|written| matches!(written.entry, JournalEntry::Rolling(_)))?;
    let JournalEntry::Rolling(started) = &journal[begun].entry else { return None };
    let told = journal[begun..].iter().filter_map(|written| match &written.entry {
        JournalEntry::Rebooting { hosts } => Some(hosts.as_slice()),
        JournalEntry::Trying { host } => Some(std::slice::from_ref(host)),
        _ => None,
    });
    Some((started, told.flatten().collect()))
}

/// Returns how the push before a rolling reboot ended: it stays so, whatever the reboots bring. `None`: there was none.
#[must_use]
pub fn pushed_before_rolling(journal: &[Written]) -> Option<Outcome> {
    journal.iter().take_while(|written| !matches!(written.entry, JournalEntry::Rolling(_))).find_map(|written| {
        match &written.entry {
            JournalEntry::Finished { outcome } => Some(*outcome),
            _ => None,
        }
    })
}

/// Returns the entries of the last coordinator, the latest first.
fn last_part(journal: &[Written]) -> impl Iterator<Item = &JournalEntry> {
    let entries = journal.iter().rev().map(|written| &written.entry);
    entries.take_while(|entry| !matches!(entry, JournalEntry::Recovering(_)))
}

/// Returns the hosts that were missing when the run was ended, and the side on which it was ended; nothing once they
/// were dealt with, or forgotten.
#[must_use]
pub fn ended_without(journal: &[Written]) -> Option<&EndMark> {
    let mut finished = false;
    for written in journal.iter().rev() {
        match &written.entry {
            JournalEntry::EndedWithout { mark } => return Some(mark),
            JournalEntry::Finished { .. } => finished = true,
            // The recovery that ended it last would have written which hosts are still missing.
            JournalEntry::Recovering(_) if finished => return None,
            _ => {}
        }
    }
    None
}

/// Returns until when the guard of each host may hold, as this record knows: counted from when the guards were armed,
/// however much has been written since. `None`: it does not know.
#[must_use]
pub fn guards(journal: &[Written], now: SystemTime) -> Option<BTreeMap<HostName, RecordedGuard>> {
    let JournalEntry::Started(started) = &journal.first()?.entry else { return None };
    let guard = |at: SystemTime, seconds: u64| RecordedGuard {
        // A clock that was set back tells nothing: then it may hold for as long as any.
        ago: now.duration_since(at).unwrap_or_default(),
        holds: Duration::from_secs(seconds),
    };
    let begins = |entry: &JournalEntry| match entry {
        JournalEntry::Arming => true,
        // The recovery began from the hosts alone, and the guards were armed before that.
        JournalEntry::Recovering(how) => how.alone,
        _ => false,
    };
    let armed = journal.iter().find(|written| begins(&written.entry)).map_or(started_at(journal), |written| written.at);
    let mut guards = BTreeMap::new();
    for host in started.hosts.iter().filter(|host| host.changes) {
        guards.insert(host.host.clone(), guard(armed, host.guarded_for?));
    }
    for written in journal {
        if let JournalEntry::Guarded { host, seconds } = &written.entry
            && let Some(known) = guards.get_mut(host)
        {
            *known = known.later(guard(written.at, *seconds));
        }
    }
    Some(guards)
}

fn started_at(journal: &[Written]) -> SystemTime {
    journal.first().map_or(SystemTime::UNIX_EPOCH, |written| written.at)
}

/// Returns whether it is a guard that a person has armed to work by hand: `fleetdeploy guard` ends it. Once a recovery
/// has taken it over it is like any other run.
#[must_use]
pub fn is_by_hand(journal: &[Written]) -> bool {
    let has = |wanted: &dyn Fn(&JournalEntry) -> bool| journal.iter().any(|written| wanted(&written.entry));
    has(&|entry| *entry == JournalEntry::ByHand) && !has(&|entry| matches!(entry, JournalEntry::Recovering(_)))
}
