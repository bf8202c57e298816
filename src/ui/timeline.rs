//! How long each host took in each phase of a run: where the time went.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use crate::event::line::Line;
use crate::event::wording::words;
use crate::event::{Event, Phase};
use crate::inventory::model::HostName;
use crate::ui::paint::{Tone, paint};

/// The row of what all hosts pass together. No host can have this name.
const FLEET: &str = "(fleet)";

/// The part of a host in a phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Took {
    /// It had no part in it, or none of its own: links are the fleet's.
    Nothing,
    Passed(Duration),
    /// It was to pass it and did not.
    Stuck,
}

/// A stretch of a phase, on the run's own clock: from its first event, without the time between the death of a program
/// and the recovery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimelineSpan {
    /// `None`: the fleet's.
    pub host: Option<HostName>,
    pub phase: Phase,
    pub from: Duration,
    pub to: Duration,
}

/// A table of hosts and phases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeline {
    /// Those that the run came to, in the order in which they began.
    pub phases: Vec<Phase>,
    /// How long each of them took until the fleet was through.
    pub fleet: Vec<Duration>,
    /// In the inventory's order, with one answer for each phase.
    pub hosts: Vec<(HostName, Vec<Took>)>,
    /// In the order in which the phases began, each phase's own before those of its hosts.
    pub spans: Vec<TimelineSpan>,
    /// How long the run worked.
    pub worked: Duration,
}

/// One time that a phase was gone through: a recovery goes through some of them again.
struct Passage {
    phase: Phase,
    began: SystemTime,
    /// Before it no program worked for so long.
    idle: Duration,
    /// When something else began.
    ended: Option<SystemTime>,
    done: BTreeMap<HostName, SystemTime>,
}

impl Passage {
    fn end(&self) -> SystemTime {
        let last_done = self.done.values().max().copied();
        let end = match self.phase {
            // They go on side by side, so that what begins next ends neither.
            Phase::Build | Phase::Survey => last_done.or(self.ended),
            _ => self.ended.or(last_done),
        };
        end.unwrap_or(self.began)
    }

    fn took(&self) -> Duration {
        since(self.began, self.end())
    }

    fn spans(&self, run_began: SystemTime) -> impl Iterator<Item = TimelineSpan> {
        let at = move |time: SystemTime| since(run_began, time).saturating_sub(self.idle);
        let span = move |host: Option<HostName>, end: SystemTime| TimelineSpan {
            host,
            phase: self.phase,
            from: at(self.began),
            to: at(end).max(at(self.began)),
        };
        let hosts = self.done.iter().map(move |(host, done)| span(Some(host.clone()), *done));
        std::iter::once(span(None, self.end())).chain(hosts)
    }
}

fn end_all(passages: &mut [Passage], at: SystemTime) {
    for passage in passages {
        passage.ended = passage.ended.or(Some(at));
    }
}

/// A workstation's clock can be set back.
fn since(began: SystemTime, ended: SystemTime) -> Duration {
    ended.duration_since(began).unwrap_or_default()
}

impl Timeline {
    /// Folds the events of a run.
    #[must_use]
    pub fn of<'a>(lines: impl IntoIterator<Item = &'a Line>) -> Self {
        let mut passages: Vec<Passage> = Vec::new();
        let mut order: Vec<HostName> = Vec::new();
        let mut changing: Vec<HostName> = Vec::new();
        let (mut first, mut last, mut idle) = (None, None, Duration::ZERO);
        for line in lines {
            first = first.or(Some(line.at));
            let mut done = |host: &HostName, phases: &[Phase]| {
                let passage = passages.iter_mut().rev().find(|passage| phases.contains(&passage.phase));
                if let Some(passage) = passage {
                    passage.done.insert(host.clone(), line.at);
                }
            };
            match &line.event {
                Event::PushStarted { hosts, .. } | Event::RebootStarted { hosts, .. } => order.clone_from(hosts),
                Event::RecoverStarted { hosts, .. } => {
                    // Between the end of the push and the recovery no program worked.
                    end_all(&mut passages, last.unwrap_or(line.at));
                    idle += since(last.unwrap_or(line.at), line.at);
                    order.extend(hosts.iter().filter(|host| !order.contains(host)).cloned().collect::<Vec<_>>());
                }
                Event::Planned { hosts } => {
                    changing = hosts.iter().filter(|plan| plan.changes).map(|plan| plan.host.clone()).collect();
                }
                Event::PhaseStarted { phase } => {
                    // The survey runs beside the build.
                    if *phase != Phase::Survey {
                        end_all(&mut passages, line.at);
                    }
                    passages.push(Passage { phase: *phase, began: line.at, idle, ended: None, done: BTreeMap::new() });
                }
                Event::HostDone { host, phase } => done(host, &[*phase]),
                Event::GuardDisarmed { host } => done(host, &[Phase::Disarm, Phase::RollBack]),
                Event::CameBack { host, .. } => done(host, &[Phase::RollBack]),
                Event::Finished { .. } => end_all(&mut passages, line.at),
                _ => {}
            }
            last = Some(line.at);
        }
        if let Some(at) = last {
            end_all(&mut passages, at);
        }
        let spans = first.map(|began| passages.iter().flat_map(|passage| passage.spans(began)).collect());
        let worked = first.zip(last).map(|(first, last)| since(first, last).saturating_sub(idle));
        Self {
            spans: spans.unwrap_or_default(),
            worked: worked.unwrap_or_default(),
            ..Self::summed(&passages, order, &changing)
        }
    }

    fn summed(passages: &[Passage], mut order: Vec<HostName>, changing: &[HostName]) -> Self {
        let mut phases: Vec<Phase> = Vec::new();
        for passage in passages {
            if !phases.contains(&passage.phase) {
                phases.push(passage.phase);
            }
            let unknown: Vec<HostName> = passage.done.keys().filter(|host| !order.contains(host)).cloned().collect();
            order.extend(unknown);
        }
        let of = |phase: Phase| passages.iter().filter(move |passage| passage.phase == phase);
        let fleet = phases.iter().map(|phase| of(*phase).map(Passage::took).sum()).collect();
        let took = |host: &HostName, phase: Phase| {
            let passed: Vec<Duration> = of(phase)
                .filter_map(|passage| passage.done.get(host).map(|done| since(passage.began, *done)))
                .collect();
            let was_to = matches!(phase, Phase::Arm | Phase::Test | Phase::Switch | Phase::Disarm);
            match passed.as_slice() {
                [] if was_to && changing.contains(host) => Took::Stuck,
                [] => Took::Nothing,
                passed => Took::Passed(passed.iter().sum()),
            }
        };
        let row = |host: HostName| {
            let took = phases.iter().map(|phase| took(&host, *phase)).collect();
            (host, took)
        };
        let hosts = order.into_iter().map(row).collect();
        Self { phases, fleet, hosts, spans: Vec::new(), worked: Duration::ZERO }
    }

    /// Draws it within `width` columns; every line ends in a line end. Nothing for a run that came to no phase.
    #[must_use]
    pub fn render(&self, width: usize, colour: bool) -> String {
        if self.phases.is_empty() {
            return String::new();
        }
        let fleet: Vec<Took> = self.fleet.iter().copied().map(Took::Passed).collect();
        let rows: Vec<TimelineRow> = std::iter::once((FLEET, &fleet))
            .chain(self.hosts.iter().map(|(host, took)| (host.as_str(), took)))
            .map(|(name, took)| TimelineRow::new(name, took))
            .collect();
        let table = self.table(&rows, width, 2, colour).or_else(|| self.table(&rows, width, 1, colour));
        let mut out = table.unwrap_or_else(|| self.list(&rows, width, colour));
        out += &legend(&rows);
        out
    }

    /// `None` if it is wider than `width`. All ten phases of a push fit into 80 columns only with narrow gaps.
    fn table(&self, rows: &[TimelineRow<'_>], width: usize, between: usize, colour: bool) -> Option<String> {
        let first = rows.iter().map(|row| row.name.len()).max()?;
        let column = |number: usize| {
            let cells = rows.iter().map(|row| row.cells[number].text.len());
            cells.chain([self.phases[number].word().len()]).max().unwrap_or(1)
        };
        let widths: Vec<usize> = (0..self.phases.len()).map(column).collect();
        if first + widths.iter().map(|width| width + between).sum::<usize>() > width {
            return None;
        }
        let mut heading = " ".repeat(first);
        for (phase, width) in self.phases.iter().zip(&widths) {
            heading += &format!("{:between$}{:<width$}", "", phase.word());
        }
        let mut out = paint(colour, Tone::Strong, heading.trim_end()) + "\n";
        for row in rows {
            let mut line = format!("{:<first$}", row.name);
            let mut gap = between;
            for (cell, width) in row.cells.iter().zip(&widths) {
                line += &format!("{:gap$}{}", "", cell.painted(colour));
                gap = width - cell.text.len() + between;
            }
            out += line.trim_end();
            out += "\n";
        }
        Some(out)
    }

    /// One paragraph for each row: `vps: build 12s*, copy 3s`.
    fn list(&self, rows: &[TimelineRow<'_>], width: usize, colour: bool) -> String {
        let mut out = String::new();
        for row in rows {
            let parts: Vec<(&Phase, &TimelineCell)> =
                self.phases.iter().zip(&row.cells).filter(|(_, cell)| cell.tone != Some(Tone::Faint)).collect();
            out += &format!("{}:", row.name);
            let mut at = row.name.len() + 1;
            if parts.is_empty() {
                out += " .";
            }
            for (number, (phase, cell)) in parts.iter().enumerate() {
                let comma = if number + 1 < parts.len() { "," } else { "" };
                let length = phase.word().len() + 1 + cell.text.len() + comma.len();
                if at + 1 + length > width {
                    out += "\n   ";
                    at = 3;
                }
                out += &format!(" {} {}{comma}", phase.word(), cell.painted(colour));
                at += 1 + length;
            }
            out += "\n";
        }
        out
    }

    /// For programs: milliseconds by phase, of the fleet and of each host; what a host had no part in is left out.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        let millis = |took: &Duration| u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let phases = self.phases.iter().enumerate().map(|(number, phase)| {
            let hosts: serde_json::Map<String, serde_json::Value> = self
                .hosts
                .iter()
                .filter_map(|(host, took)| match &took[number] {
                    Took::Passed(took) => Some((host.to_string(), millis(took).into())),
                    Took::Stuck => Some((host.to_string(), serde_json::Value::Null)),
                    Took::Nothing => None,
                })
                .collect();
            serde_json::json!({ "phase": phase, "fleet_ms": millis(&self.fleet[number]), "hosts_ms": hosts })
        });
        phases.collect()
    }
}

struct TimelineRow<'a> {
    name: &'a str,
    cells: Vec<TimelineCell>,
}

struct TimelineCell {
    text: String,
    tone: Option<Tone>,
}

impl TimelineCell {
    fn painted(&self, colour: bool) -> String {
        self.tone.map_or_else(|| self.text.clone(), |tone| paint(colour, tone, &self.text))
    }
}

impl<'a> TimelineRow<'a> {
    fn new(name: &'a str, took: &[Took]) -> Self {
        let passed = |took: &Took| match took {
            // A time that is shown as `0s` is not worth a look.
            Took::Passed(took) if took.as_secs() > 0 => Some(*took),
            _ => None,
        };
        let longest = took.iter().filter_map(passed).max();
        let cell = |took: &Took| match took {
            Took::Nothing => TimelineCell { text: ".".to_owned(), tone: Some(Tone::Faint) },
            Took::Stuck => TimelineCell { text: "x".to_owned(), tone: Some(Tone::Bad) },
            Took::Passed(duration) if Some(*duration) == longest => {
                TimelineCell { text: format!("{}*", words::span(*duration)), tone: Some(Tone::Strong) }
            }
            Took::Passed(duration) => TimelineCell { text: words::span(*duration), tone: None },
        };
        Self { name, cells: took.iter().map(cell).collect() }
    }
}

/// Says what the signs mean that are there.
fn legend(rows: &[TimelineRow<'_>]) -> String {
    let has = |sign: &str| rows.iter().any(|row| row.cells.iter().any(|cell| cell.text.ends_with(sign)));
    let signs = [("*", "took longest"), ("x", "did not get through"), (".", "no part of its own")];
    let meanings: Vec<String> =
        signs.iter().filter(|(sign, _)| has(sign)).map(|(sign, meaning)| format!("{sign} {meaning}")).collect();
    if meanings.is_empty() { String::new() } else { format!("{}\n", meanings.join("   ")) }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::event::reason::any::AnyReason;
    use crate::event::{HostPlanned, Outcome, VERSION};
    use crate::facts::store_path::StorePath;
    use crate::ui::matrix::WIDTH;
    use crate::ui::sanitise;

    fn host(name: &str) -> HostName {
        HostName::new(name).unwrap()
    }

    fn begin(phase: Phase) -> Event {
        Event::PhaseStarted { phase }
    }

    fn done(name: &str, phase: Phase) -> Event {
        Event::HostDone { host: host(name), phase }
    }

    fn push(hosts: &[&str]) -> Event {
        Event::PushStarted {
            fleet: "homelab".into(),
            hosts: hosts.iter().map(|name| host(name)).collect(),
            selected: Vec::new(),
            inventory: "inventory.yaml".into(),
            guard_ms: 900_000,
            record: None,
            dry_run: false,
            rollback_to: None,
        }
    }

    fn planned(changing: &[&str]) -> Event {
        let system = StorePath::new(format!("/nix/store/{}-nixos-system", "a".repeat(32))).unwrap();
        let plan = |name: &&str| HostPlanned {
            host: host(name),
            old: system.clone(),
            new: system.clone(),
            changes: true,
            selected: true,
            generation: 1,
        };
        Event::Planned { hosts: changing.iter().map(plan).collect() }
    }

    fn finished() -> Event {
        let hosts = BTreeMap::new();
        Event::Finished { outcome: Outcome::Committed, text: AnyReason::without_code(""), hosts, exit: 0, took_ms: 0 }
    }

    fn timeline(events: Vec<(u64, Event)>) -> Timeline {
        let line = |(seq, (after, event)): (u64, (u64, Event))| Line {
            version: VERSION,
            run: None,
            seq,
            at: SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_364_100_000 + after),
            event,
        };
        let lines: Vec<Line> = (1..).zip(events).map(line).collect();
        Timeline::of(&lines)
    }

    fn good() -> Timeline {
        timeline(vec![
            (0, push(&["vps", "nas"])),
            (0, begin(Phase::Build)),
            (10, begin(Phase::Survey)),
            (2010, done("vps", Phase::Survey)),
            (3010, done("nas", Phase::Survey)),
            (60_000, done("vps", Phase::Build)),
            (60_000, done("nas", Phase::Build)),
            (60_100, planned(&["vps"])),
            (60_100, begin(Phase::Copy)),
            (71_100, done("vps", Phase::Copy)),
            (71_200, begin(Phase::Baseline)),
            (75_000, begin(Phase::Arm)),
            (75_300, done("vps", Phase::Arm)),
            (75_400, begin(Phase::Test)),
            (85_400, done("vps", Phase::Test)),
            (85_500, begin(Phase::Verify)),
            (90_500, begin(Phase::Disarm)),
            (91_500, Event::GuardDisarmed { host: host("vps") }),
            (92_000, finished()),
        ])
    }

    #[test]
    fn each_host_has_its_time_in_each_phase_and_the_fleet_its_own() {
        let lines = [
            "         build    survey  copy  baseline  arm  test  verify  disarm",
            "(fleet)  1m 00s*  3s      11s   3s        0s   10s   5s      1s",
            "vps      1m 00s*  2s      11s   .         0s   10s   .       1s",
            "nas      1m 00s*  3s      .     .         .    .     .       .",
            "* took longest   . no part of its own",
        ];
        assert_eq!(good().render(WIDTH, false), lines.join("\n") + "\n");
    }

    #[test]
    fn the_ten_phases_of_a_push_fit_into_a_terminal() {
        let phases =
            [Phase::Build, Phase::Survey, Phase::Copy, Phase::Baseline, Phase::Arm, Phase::Test, Phase::Verify];
        let phases = phases.into_iter().chain([Phase::Decide, Phase::Switch, Phase::Disarm]);
        let mut events = vec![(0, push(&["vps", "nas"]))];
        events.extend((0..).zip(phases).map(|(number, phase)| (number * 20_000, begin(phase))));
        let table = timeline(events).render(WIDTH, false);
        assert!(table.starts_with("        build survey copy "), "{table}");
        assert!(table.lines().all(|line| line.len() <= WIDTH), "{table}");
    }

    #[test]
    fn too_wide_a_table_becomes_a_list() {
        let list = good().render(40, false);
        assert!(list.lines().all(|line| line.len() <= 40), "{list}");
        assert_eq!(
            list,
            "\
(fleet): build 1m 00s*, survey 3s,
    copy 11s, baseline 3s, arm 0s,
    test 10s, verify 5s, disarm 1s
vps: build 1m 00s*, survey 2s, copy 11s,
    arm 0s, test 10s, disarm 1s
nas: build 1m 00s*, survey 3s
* took longest   . no part of its own
"
        );
    }

    #[test]
    fn a_host_that_did_not_get_through_is_told_apart_from_one_without_a_part() {
        let bad = timeline(vec![
            (0, push(&["vps", "nas"])),
            (0, planned(&["vps"])),
            (0, begin(Phase::Test)),
            (9000, begin(Phase::RollBack)),
            (12_000, Event::CameBack { host: host("vps"), text: AnyReason::without_code("it is back") }),
            (12_000, finished()),
        ]);
        let (stuck, nothing) = (Took::Stuck, Took::Nothing);
        let passed = |seconds| Took::Passed(Duration::from_secs(seconds));
        assert_eq!(bad.hosts, [(host("vps"), vec![stuck, passed(3)]), (host("nas"), vec![nothing, nothing])]);
        assert!(bad.render(WIDTH, false).contains("x did not get through"));
        let vps = &bad.json()[0]["hosts_ms"];
        assert_eq!(*vps, serde_json::json!({ "vps": null }));
    }

    #[test]
    fn a_recovery_adds_its_own_time_and_not_the_time_between() {
        let recovered = timeline(vec![
            (0, push(&["vps"])),
            (0, begin(Phase::Verify)),
            (2000, Event::Decided),
            (9_000_000, Event::RecoverStarted { fleet: "lab".into(), hosts: vec![host("vps")], inventory: "i".into() }),
            (9_000_000, begin(Phase::Verify)),
            (9_003_000, finished()),
        ]);
        assert_eq!((recovered.phases, recovered.fleet), (vec![Phase::Verify], vec![Duration::from_secs(5)]));
    }

    #[test]
    fn a_run_that_came_to_nothing_has_no_table() {
        assert_eq!(timeline(Vec::new()).render(WIDTH, false), "");
        assert_eq!(timeline(vec![(0, push(&["vps"]))]).render(WIDTH, false), "");
    }

    #[test]
    fn colour_changes_no_letter() {
        for width in [40, WIDTH] {
            let coloured = good().render(width, true);
            assert!(coloured.contains('\u{1b}'));
            assert_eq!(sanitise::text(&coloured), good().render(width, false));
        }
    }
}
