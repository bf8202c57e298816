//! Bounds how much foreign output is told in one run: to the screen, to `--json` and to the record, which all hear the
//! same.
//!
//! State events are never dropped and queue without bound, so the output of a host in them is bounded: a program that
//! runs wild, or a host that was taken over, must not fill the memory or the disk of the workstation. A cut is said.

use std::collections::BTreeMap;

use crate::event::reason::any::AnyReason;
use crate::event::reason::cut::Cut;
use crate::event::shorten::shorten;
use crate::event::{Event, HostOutcome};
use crate::facts::links::LinkAnswer;
use crate::inventory::model::HostName;

/// How much of one host's output is told: an activation that talks all the time prints some hundred kilobytes. It
/// stands twice on the disk, in `events.jsonl` and in the host's log.
const PRINTED: usize = 4 * 1024 * 1024;

/// How much is told beside that of the ends of logs and journals, which explain what went wrong.
const LOGGED: usize = 1024 * 1024;

/// How much output is told that belongs to no host: evaluation, build, hooks.
const WITHOUT_HOST: usize = 6 * 1024 * 1024;

/// The cost of a line beside its bytes: time and name in a log, quotes in the events.
const LINE_COST: usize = 64;

/// The cost of a control character: it is written out in a log and in the events.
const CONTROL_COST: usize = 10;

/// The most bytes of one line of a log. Our scripts cut lines to 500 bytes, or 4000.
const LONGEST_LINE: usize = 4096;

/// The most bytes of one text: an error with its causes and twenty lines of a host has 8 KB.
const LONGEST_TEXT: usize = 16 * 1024;

/// The owner of some words, and their kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Account {
    Printed(Option<HostName>),
    Logged(HostName),
}

impl Account {
    fn most(&self) -> usize {
        match self {
            Self::Printed(Some(_)) => PRINTED,
            Self::Printed(None) => WITHOUT_HOST,
            Self::Logged(_) => LOGGED,
        }
    }

    fn cut(&self) -> Cut {
        let most = self.most();
        if matches!(self, Self::Printed(None)) {
            Cut::BuildOutputCut { most_bytes: most }
        } else {
            Cut::HostOutputCut { most_bytes: most }
        }
    }

    fn host(self) -> Option<HostName> {
        match self {
            Self::Printed(host) => host,
            Self::Logged(host) => Some(host),
        }
    }
}

/// Counts what was told in a run.
#[derive(Debug, Default)]
pub(super) struct Ration {
    /// How much each has used up; `None`: more than it may, and that was said.
    used: BTreeMap<Account, Option<usize>>,
}

impl Ration {
    /// Returns what is told in place of the event: itself, cut if it must be, with a word about the cut; or nothing.
    pub(super) fn of(&mut self, mut event: Event) -> Vec<Event> {
        for text in texts_of(&mut event) {
            shorten(text, LONGEST_TEXT);
        }
        for told in told_by(&mut event) {
            told.shorten(LONGEST_TEXT);
        }
        let (account, lines) = match &mut event {
            Event::Printed { host, lines, .. } => (Account::Printed(host.clone()), lines),
            Event::Logged { host, lines, .. } => (Account::Logged(host.clone()), lines),
            _ => return vec![event],
        };
        let most = account.most();
        let Some(used) = self.used.entry(account.clone()).or_insert(Some(0)) else { return Vec::new() };
        for line in lines.iter_mut() {
            shorten(line, LONGEST_LINE);
        }
        let fitting = lines
            .iter()
            .take_while(|line| {
                *used += cost(line);
                *used <= most
            })
            .count();
        if fitting == lines.len() {
            return vec![event];
        }
        let cut = account.cut();
        lines.truncate(fitting);
        lines.push(format!("({cut})"));
        self.used.insert(account.clone(), None);
        vec![event, Event::warned(account.host().as_ref(), cut)]
    }
}

fn cost(line: &str) -> usize {
    LINE_COST + line.len() + CONTROL_COST * line.chars().filter(|character| character.is_control()).count()
}

/// Returns the texts that a host, or a machine that answers in its place, can have a part in.
fn texts_of(event: &mut Event) -> Vec<&mut String> {
    match event {
        Event::HostMoved { doing: text, .. } | Event::AddressChosen { address: text, .. } => vec![text],
        Event::Failed { hint, .. } => hint.iter_mut().collect(),
        Event::HostSurveyed { nixos, nix, systemd, kernel, .. } => {
            nixos.iter_mut().chain([nix, systemd, kernel]).collect()
        }
        Event::HostRebooted { old_kernel, new_kernel, .. } => vec![old_kernel, new_kernel],
        Event::Compared { packages, reboot_for, .. } => {
            let packages = packages.iter_mut().flatten().map(|change| &mut change.package);
            packages.chain(reboot_for).collect()
        }
        Event::MatrixSeen { cells, .. } => cells
            .iter_mut()
            .filter_map(|cell| match &mut cell.answer {
                LinkAnswer::Down { why } => Some(why),
                LinkAnswer::Up { .. } | LinkAnswer::Unknown => None,
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// Returns the reasons of which the same is true.
fn told_by(event: &mut Event) -> Vec<&mut AnyReason> {
    match event {
        Event::ContactLost { why: told, .. }
        | Event::Warned { text: told, .. }
        | Event::Failed { text: told, .. }
        | Event::HostFound { text: told, .. }
        | Event::CameBack { text: told, .. }
        | Event::RollBackStarted { reason: told, .. } => vec![told],
        Event::Finished { text, hosts, .. } => {
            let lost = hosts.values_mut().filter_map(|outcome| match outcome {
                HostOutcome::Lost { why } | HostOutcome::Left { why, .. } => Some(why),
                _ => None,
            });
            lost.chain([text]).collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn host() -> HostName {
        HostName::new("vps").unwrap()
    }

    fn printed(host: Option<HostName>, lines: &[String]) -> Event {
        Event::Printed { host, by: "test".into(), lines: lines.to_vec() }
    }

    /// Returns the bytes of all lines that are told, and the warnings.
    fn told(events: impl IntoIterator<Item = Event>) -> (usize, Vec<(Option<HostName>, String)>) {
        let mut ration = Ration::default();
        let (mut bytes, mut warnings) = (0, Vec::new());
        for event in events.into_iter().flat_map(|event| ration.of(event)) {
            if let Event::Warned { .. } = event {
                crate::codes::keep(&event);
            }
            match event {
                Event::Printed { lines, .. } | Event::Logged { lines, .. } => {
                    bytes += lines.iter().map(String::len).sum::<usize>();
                }
                Event::Warned { host, text } => warnings.push((host, text.to_string())),
                other => panic!("{other:?}"),
            }
        }
        (bytes, warnings)
    }

    #[test]
    fn what_a_host_prints_without_an_end_has_one_here_and_that_is_said_once() {
        for (line, count) in [
            ("x".repeat(100_000), 1200),
            ("x".repeat(500), 10_000),
            (String::new(), 80_000),
            ("\u{1b}".repeat(500), 1000),
        ] {
            let flood = (0..count).map(|_| printed(Some(host()), std::slice::from_ref(&line)));
            let (bytes, warnings) = told(flood);
            assert!(bytes <= PRINTED, "{bytes}");
            let text = "this host prints more than 4 MB in one run: the rest is left out".to_owned();
            assert_eq!(warnings, [(Some(host()), text)]);
        }
    }

    #[test]
    fn what_one_has_used_up_is_not_the_others() {
        let much = vec!["x".repeat(4000); 2000];
        let other = HostName::new("web").unwrap();
        let mut ration = Ration::default();
        assert_eq!(ration.of(printed(Some(host()), &much)).len(), 2);
        assert_eq!(ration.of(printed(Some(host()), &much)), []);
        for few in [
            printed(Some(other), &["a".to_owned()]),
            printed(None, &["a".to_owned()]),
            // The lines that explain the failure are told all the same.
            Event::Logged { host: host(), what: "test".into(), lines: vec!["a".into()] },
            Event::Decided,
        ] {
            assert_eq!(ration.of(few.clone()), [few]);
        }
        let cut = ration.of(printed(None, &much));
        cut.iter().skip(1).for_each(crate::codes::keep);
        let [Event::Printed { lines, .. }, Event::Warned { host: None, text }] = &cut[..] else {
            panic!("it was not cut")
        };
        assert_eq!(
            (lines.last().unwrap(), text.to_string().as_str()),
            (&format!("({text})"), "builds and hooks print more than 6 MB: the rest is left out")
        );
    }

    #[test]
    fn no_text_of_a_host_is_longer_than_any_error() {
        let long = "ä".repeat(100_000);
        let why = LinkAnswer::Down { why: long.clone() };
        let cell = crate::event::Cell {
            check: "vpn".into(),
            from: crate::inventory::model::Place::Host(host()),
            to: "web".into(),
            kind: "ping".into(),
            required: true,
            answer: why,
            was_up: None,
            left_out: false,
        };
        for event in [
            Event::Warned { host: Some(host()), text: AnyReason::without_code(&long) },
            Event::Failed { host: None, text: AnyReason::without_code(&long), hint: Some(long.clone()) },
            Event::ContactLost { host: host(), within_ms: None, then: None, why: AnyReason::without_code(&long) },
            Event::RollBackStarted { host: None, reason: AnyReason::without_code(&long), hint: None },
            Event::MatrixSeen { phase: crate::event::Phase::Verify, cells: vec![cell] },
            Event::Finished {
                outcome: crate::event::Outcome::Split,
                text: AnyReason::without_code(&long),
                hosts: [(host(), HostOutcome::Lost { why: AnyReason::without_code(&long) })].into(),
                exit: 3,
                took_ms: 0,
            },
        ] {
            let told = Ration::default().of(event);
            let json = serde_json::to_string(&told).unwrap();
            assert!(json.len() < 2 * LONGEST_TEXT + 1000 && json.contains('…'), "{}", json.len());
        }
    }
}
