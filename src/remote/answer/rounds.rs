//! Reads the rounds of a host's probes.

use std::collections::{BTreeMap, BTreeSet};

use super::standing::{restarts, unit_now};
use super::wireguard::wireguard;
use super::{Lines, all};
use crate::facts::links::{HostRound, LinkAnswer, LinkId};

/// One complete round of a host's probes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProbeRound {
    pub number: u64,
    pub answers: BTreeMap<LinkId, LinkAnswer>,
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
        if let Some((id, answer, cached)) = probe_line(text, number) {
            if cached {
                round.cached.insert(id);
            }
            round.answers.insert(id, answer);
        }
    }
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

/// `ROUND ID up|down MICROSECONDS|- DETAIL`; lines of another round are late and count for nothing.
fn probe_line(text: &str, number: u64) -> Option<(LinkId, LinkAnswer, bool)> {
    let mut words = text.splitn(5, ' ');
    if words.next()?.parse() != Ok(number) {
        return None;
    }
    let id = words.next()?.parse().ok()?;
    let state = words.next()?;
    let time = words.next().and_then(|time| time.parse().ok());
    let detail = words.next().unwrap_or_default().trim();
    let (cached, detail) = match detail.strip_prefix("cached") {
        Some(rest) => (true, rest.trim_start()),
        None => (false, detail),
    };
    let answer = match state {
        "up" => LinkAnswer::Up { round_trip_us: time },
        "down" => LinkAnswer::Down { why: if detail.is_empty() { "no answer".to_owned() } else { detail.to_owned() } },
        _ => return None,
    };
    Some((id, answer, cached))
}
