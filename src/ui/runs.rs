//! The table of runs, the newest first.

use std::time::{Duration, SystemTime};

use crate::event::Outcome;
use crate::event::wording::words;
use crate::facts::provenance::Provenance;
use crate::inventory::model::HostName;
use crate::record::read::RunKind;
use crate::ui::paint::{Tone, paint};
use crate::ui::recap::word_of;
use crate::ui::sanitise;
use crate::ui::when::LocalClock;

/// How a run stands, for its word and its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunStanding {
    Ended(Outcome),
    /// Ended by a recovery.
    Recovered(Outcome),
    /// A guard that was armed by hand, and not seen disarmed or fired.
    ByHand,
    Unfinished,
    Running,
}

impl RunStanding {
    #[must_use]
    pub fn word(self) -> String {
        match self {
            Self::Ended(outcome) => word_of(outcome).0.to_owned(),
            Self::Recovered(outcome) => format!("{} (recovered)", word_of(outcome).0),
            Self::ByHand => "armed by hand".to_owned(),
            Self::Unfinished => "UNFINISHED".to_owned(),
            Self::Running => "running".to_owned(),
        }
    }

    /// `None`: it has not ended.
    #[must_use]
    pub fn outcome(self) -> Option<Outcome> {
        match self {
            Self::Ended(outcome) | Self::Recovered(outcome) => Some(outcome),
            Self::ByHand | Self::Unfinished | Self::Running => None,
        }
    }

    pub(crate) fn tone(self) -> Option<Tone> {
        match self {
            Self::Ended(outcome) | Self::Recovered(outcome) => Some(word_of(outcome).1),
            Self::ByHand | Self::Unfinished => Some(Tone::Doubtful),
            Self::Running => None,
        }
    }
}

/// One run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRow {
    pub run: String,
    pub kind: RunKind,
    pub fleet: String,
    pub began: SystemTime,
    pub standing: RunStanding,
    pub hosts: Option<usize>,
    pub took: Option<Duration>,
    /// The exit status of the command; `None`: it is not known.
    pub exit: Option<i32>,
    /// It was ended without these.
    pub missing: Vec<HostName>,
    /// Where its systems come from, if that is known.
    pub provenance: Option<Provenance>,
}

impl RunRow {
    /// It was committed, and then a host did not come back from its reboot.
    fn has_lost(&self) -> bool {
        self.standing == RunStanding::Ended(Outcome::Committed) && self.exit == Some(3)
    }

    fn tone(&self) -> Option<Tone> {
        if self.has_lost() { Some(Tone::Bad) } else { self.standing.tone() }
    }

    fn word(&self) -> String {
        let word = self.word_of_all();
        if self.missing.is_empty() {
            return word;
        }
        let missing: Vec<&str> = self.missing.iter().map(HostName::as_str).collect();
        format!("{word}, without {}", missing.join(", "))
    }

    fn word_of_all(&self) -> String {
        match (self.kind, self.standing) {
            _ if self.has_lost() => "COMMITTED, HOST LOST".to_owned(),
            // It has brought no system that could be unchanged or rolled back.
            (RunKind::Guard, RunStanding::Ended(Outcome::Unchanged)) => "disarmed".to_owned(),
            (RunKind::Guard, RunStanding::Ended(Outcome::RolledBack)) => "FIRED".to_owned(),
            (_, standing) => standing.word(),
        }
    }
}

/// The rows below their heading, in the order in which they come; every line ends in a line end. The revisions are
/// shown where they fit into `columns`.
#[must_use]
pub fn render(rows: &[RunRow], clock: &LocalClock, columns: usize, colour: bool) -> String {
    const HEADING: [&str; 9] = ["run", "fleet", "began", "", "what", "outcome", "hosts", "took", "revision"];
    const OUTCOME: usize = 5;
    const REVISION: usize = 8;
    let unknown = || ".".to_owned();
    let revision = |row: &RunRow| row.provenance.as_ref().and_then(Provenance::short_revision).unwrap_or_default();
    let texts: Vec<[String; 9]> = rows
        .iter()
        .map(|row| {
            [
                sanitise::line(&row.run),
                sanitise::line(&row.fleet),
                clock.time(row.began),
                clock.ago(row.began),
                row.kind.word().to_owned(),
                row.word(),
                row.hosts.map_or_else(unknown, |hosts| hosts.to_string()),
                row.took.map_or_else(unknown, words::span),
                sanitise::line(&revision(row)),
            ]
        })
        .collect();
    let width = |column: usize| {
        let cells = texts.iter().map(|cells| cells[column].chars().count());
        cells.chain([HEADING[column].len()]).max().unwrap_or(0)
    };
    let mut widths: Vec<usize> = (0..HEADING.len()).map(width).collect();
    let whole = widths.iter().map(|width| width + 2).sum::<usize>() - 2;
    if whole > columns || texts.iter().all(|cells| cells[REVISION].is_empty()) {
        widths.truncate(REVISION);
    }
    let padded = |text: &str, column: usize| format!("{text:<width$}  ", width = widths[column]);
    let shown = widths.len();
    let heading: String = HEADING.iter().take(shown).enumerate().map(|(column, text)| padded(text, column)).collect();
    let mut out = paint(colour, Tone::Strong, heading.trim_end()) + "\n";
    for (row, cells) in rows.iter().zip(&texts) {
        let mut line = String::new();
        for (column, text) in cells.iter().take(shown).enumerate() {
            let padded = padded(text, column);
            match row.tone() {
                Some(tone) if column == OUTCOME => line += &paint(colour, tone, &padded),
                _ => line += &padded,
            }
        }
        out += line.trim_end();
        out += "\n";
    }
    out
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn a_table_of_runs_reads_as_one() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_364_100);
        let row = |fleet: &str, ago, standing| RunRow {
            run: format!("20261122-161500-{fleet}-3f9c"),
            kind: RunKind::Push,
            fleet: fleet.into(),
            began: now - Duration::from_secs(ago),
            standing,
            hosts: Some(2),
            took: Some(Duration::from_secs(63)),
            exit: None,
            missing: Vec::new(),
            provenance: None,
        };
        let mut unfinished = row("home\u{1b}[2Jlab", 7200, RunStanding::Unfinished);
        (unfinished.hosts, unfinished.took) = (None, None);
        let rows = [
            row("lab", 10, RunStanding::Running),
            unfinished,
            RunRow { kind: RunKind::Guard, took: None, ..row("lab", 7_300, RunStanding::ByHand) },
            RunRow { kind: RunKind::Guard, took: None, ..row("lab", 7_400, RunStanding::Ended(Outcome::Unchanged)) },
            RunRow { exit: Some(3), ..row("lab", 89_000, RunStanding::Ended(Outcome::Committed)) },
            row("lab", 90_000, RunStanding::Recovered(Outcome::RolledBack)),
            RunRow {
                missing: vec![HostName::new("nas").unwrap()],
                ..row("lab", 90_001, RunStanding::Recovered(Outcome::Committed))
            },
        ];
        let plain = render(&rows, &LocalClock::utc(now), 200, false);
        assert_eq!(
            plain,
            "\
run                           fleet    began                              what   outcome                             \
hosts  took
20261122-161500-lab-3f9c      lab      2026-11-22 16:14 UTC  just now     push   running                             \
2      1m 03s
20261122-161500-homelab-3f9c  homelab  2026-11-22 14:15 UTC  2 hours ago  push   UNFINISHED                          \
.      .
20261122-161500-lab-3f9c      lab      2026-11-22 14:13 UTC  2 hours ago  guard  armed by hand                       \
2      .
20261122-161500-lab-3f9c      lab      2026-11-22 14:11 UTC  2 hours ago  guard  disarmed                            \
2      .
20261122-161500-lab-3f9c      lab      2026-11-21 15:31 UTC  1 day ago    push   COMMITTED, HOST LOST                \
2      1m 03s
20261122-161500-lab-3f9c      lab      2026-11-21 15:15 UTC  1 day ago    push   ROLLED BACK (recovered)             \
2      1m 03s
20261122-161500-lab-3f9c      lab      2026-11-21 15:14 UTC  1 day ago    push   COMMITTED (recovered), without nas  \
2      1m 03s
"
        );
        let coloured = render(&rows, &LocalClock::utc(now), 200, true);
        assert!(coloured.contains('\u{1b}'));
        assert_eq!(sanitise::text(&coloured), plain);
        let revision = Some("a1b2c3d4e5f60718293a4b5c6d7e8f9012345678".into());
        let provenance = Some(Provenance { revision, dirty: true, ..Provenance::default() });
        let rows = [RunRow { provenance, ..row("lab", 89_000, RunStanding::Ended(Outcome::Committed)) }];
        let wide = render(&rows, &LocalClock::utc(now), 200, false);
        assert!(wide.contains("took    revision\n") && wide.ends_with("1m 03s  a1b2c3d-dirty\n"), "{wide}");
        let width = wide.lines().map(str::len).max().unwrap();
        assert_eq!(render(&rows, &LocalClock::utc(now), width, false), wide);
        assert!(!render(&rows, &LocalClock::utc(now), width - 1, false).contains("a1b2c3d"));
    }
}
