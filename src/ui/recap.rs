//! The end of a push: each host's outcome and systems, one closing sentence, and where the record is.

use std::collections::BTreeMap;

use crate::event::{HostOutcome, HostPlanned, Outcome};
use crate::inventory::model::HostName;
use crate::ui::paint::{Tone, paint};
use crate::ui::{sanitise, words};

/// Everything that the end is told from.
#[derive(Debug)]
pub(crate) struct Recap<'a> {
    pub(crate) fleet: Option<&'a str>,
    pub(crate) outcome: Outcome,
    pub(crate) text: &'a str,
    pub(crate) hosts: &'a BTreeMap<HostName, HostOutcome>,
    pub(crate) exit: i32,
    pub(crate) took_ms: u64,
    /// As the plan came, which is the inventory's order; empty if the push ended before there was one.
    pub(crate) plan: &'a [HostPlanned],
    pub(crate) record: Option<&'a str>,
}

impl Recap<'_> {
    pub(crate) fn render(&self, colour: bool) -> String {
        let (word, tone) = match self.outcome {
            Outcome::Committed => ("COMMITTED", Tone::Good),
            Outcome::Unchanged => ("UNCHANGED", Tone::Good),
            Outcome::Planned => ("PLANNED", Tone::Good),
            Outcome::RolledBack => ("ROLLED BACK", Tone::Bad),
            Outcome::Refused => ("REFUSED", Tone::Bad),
            Outcome::Split => ("SPLIT", Tone::Bad),
            Outcome::Superseded => ("SUPERSEDED", Tone::Bad),
        };
        let mut out = String::from("\n");
        if let Some(fleet) = self.fleet {
            out += &format!("{}: ", sanitise::line(fleet));
        }
        out += &format!("{} after {}\n", paint(colour, tone, word), words::span_ms(self.took_ms));
        let planned = self.plan.iter().map(|host| &host.host).filter(|host| self.hosts.contains_key(host));
        let unplanned = self.hosts.keys().filter(|host| self.plan.iter().all(|planned| planned.host != **host));
        let order: Vec<&HostName> = planned.chain(unplanned).collect();
        let name_width = order.iter().map(|host| host.as_str().len()).max().unwrap_or(0);
        let word_width = self.hosts.values().map(|outcome| word_of(outcome).0.len()).max().unwrap_or(0);
        for host in order {
            let Some(outcome) = self.hosts.get(host) else { continue };
            let (word, tone) = word_of(outcome);
            let word = format!("{word:<word_width$}");
            let word = tone.map_or_else(|| word.clone(), |tone| paint(colour, tone, &word));
            let line = format!("  {host:<name_width$}  {word}  {}", self.systems(host, outcome));
            out += line.trim_end();
            out += "\n";
            if let HostOutcome::Lost { why } = outcome {
                out += &format!("  {:name_width$}  {}\n", "", sanitise::line(why));
            }
        }
        let text = sanitise::text(self.text);
        if !text.trim().is_empty() {
            out += &format!("{}\n", text.trim_end());
        }
        if let Some(record) = self.record {
            out += &format!("record: {}\n", sanitise::line(record));
        }
        if self.exit != 0 {
            out += &format!("exit status: {}\n", self.exit);
        }
        out
    }

    fn systems(&self, host: &HostName, outcome: &HostOutcome) -> String {
        let Some(planned) = self.plan.iter().find(|planned| planned.host == *host) else { return String::new() };
        let old = words::system(host, &planned.old);
        match outcome {
            HostOutcome::Committed => words::systems(host, &planned.old, &planned.new),
            HostOutcome::RolledBack { .. } => format!("runs {old} again"),
            HostOutcome::Unchanged | HostOutcome::Witness | HostOutcome::Untouched => format!("runs {old}"),
            HostOutcome::Lost { .. } => format!("was to go {}", words::systems(host, &planned.old, &planned.new)),
            HostOutcome::Skipped => String::new(),
        }
    }
}

fn word_of(outcome: &HostOutcome) -> (&'static str, Option<Tone>) {
    match outcome {
        HostOutcome::Committed => ("committed", Some(Tone::Good)),
        HostOutcome::Unchanged => ("unchanged", None),
        HostOutcome::Witness => ("witness", None),
        HostOutcome::RolledBack { by_guard: false } => ("rolled back", Some(Tone::Doubtful)),
        HostOutcome::RolledBack { by_guard: true } => ("rolled back by its guard", Some(Tone::Doubtful)),
        HostOutcome::Untouched => ("not touched", None),
        HostOutcome::Lost { .. } => ("LOST", Some(Tone::Bad)),
        HostOutcome::Skipped => ("skipped: no answer", Some(Tone::Doubtful)),
    }
}
