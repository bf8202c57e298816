//! Reads the rounds of a host's probes.

use std::collections::BTreeSet;
use std::time::Duration;

use super::standing::{restarts, unit_now};
use super::wireguard::wireguard;
use super::{Lines, all};
use crate::facts::links::{Control, HeardLinks, HostRound, LinkAnswer, LinkId};

/// One complete round of a host's probes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProbeRound {
    pub number: u64,
    pub links: HeardLinks,
    /// Links that show the answer of an earlier round, because their sshd may not be asked so often.
    pub cached: BTreeSet<LinkId>,
    pub host: HostRound,
}

/// Folds the lines of `probe` to rounds.
#[derive(Debug, Default)]
pub struct RoundReader {
    lines: Vec<(String, String)>,
}

impl RoundReader {
    /// Takes one line; `done` completes a round.
    pub fn take(&mut self, key: &str, value: &str) -> Option<ProbeRound> {
        if key != "done" {
            self.lines.push((key.to_owned(), value.to_owned()));
            return None;
        }
        let lines = std::mem::take(&mut self.lines);
        Some(probe_round(&lines, value.parse().ok()?))
    }
}

fn probe_round(lines: &Lines, number: u64) -> ProbeRound {
    let mut round = ProbeRound { number, ..ProbeRound::default() };
    for text in all(lines, "probe") {
        let Some(ProbeLine { id, state, time, said, cached }) = probe_line(text, number) else { continue };
        if cached {
            round.cached.insert(id);
        }
        match state {
            "up" => _ = round.links.answers.insert(id, LinkAnswer::Up { round_trip_us: time }),
            // An answer that gives no reason, or the greeting of an sshd that it has heard, is none.
            "down" if said.is_empty() || said.starts_with("SSH-") => _ = round.links.odd.insert(id),
            "down" | "silent" | "busy" => {
                round.links.answers.insert(id, LinkAnswer::Down { why: said.to_owned() });
                match state {
                    "silent" => _ = round.links.silent.insert(id),
                    "busy" => _ = round.links.busy.insert(id),
                    _ => {}
                }
            }
            "later" => _ = round.links.later.insert(id),
            _ => {}
        }
    }
    round.links.control = all(lines, "control").filter_map(|text| control(text, number)).last();
    let prefix = format!("{number} ");
    for text in all(lines, "host").filter_map(|text| text.strip_prefix(&prefix)) {
        let (key, value) = text.split_once(' ').unwrap_or((text, ""));
        match key {
            "boot_id" => value.clone_into(&mut round.host.boot_id),
            "current" => value.clone_into(&mut round.host.current),
            "failed_unit" => {
                round.host.failed_units.insert(value.to_owned());
            }
            "restarts" => round.host.restarts.extend(restarts(value)),
            "unit_now" => round.host.units.extend(unit_now(value)),
            "uptime" => round.host.uptime = value.parse().unwrap_or_default(),
            _ => {}
        }
    }
    round.host.wireguard = wireguard(lines, "wg");
    round
}

struct ProbeLine<'a> {
    id: LinkId,
    state: &'a str,
    time: Option<u64>,
    said: &'a str,
    cached: bool,
}

/// `ROUND ID up|down|silent|busy|later MICROSECONDS|- DETAIL`; lines of another round are late and count for nothing.
fn probe_line(text: &str, number: u64) -> Option<ProbeLine<'_>> {
    let mut words = text.splitn(5, ' ');
    if words.next()?.parse() != Ok(number) {
        return None;
    }
    let (id, state) = (words.next()?.parse().ok()?, words.next()?);
    let time = words.next().and_then(|time| time.parse().ok());
    let detail = words.next().unwrap_or_default().trim();
    let (cached, said) = match detail.strip_prefix("cached") {
        Some(rest) => (true, rest.trim_start()),
        None => (false, detail),
    };
    Some(ProbeLine { id, state, time, said, cached })
}

/// `ROUND MILLISECONDS|- MILLISECONDS MILLISECONDS|-`
fn control(text: &str, number: u64) -> Option<Control> {
    let mut words = text.split(' ');
    if words.next()?.parse() != Ok(number) {
        return None;
    }
    let millis = |word: &str| word.parse().map(Duration::from_millis).ok();
    let (took, longest) = (words.next()?, words.next()?);
    Some(Control { took: millis(took), longest: millis(longest)?, pinged: words.next().and_then(millis) })
}
