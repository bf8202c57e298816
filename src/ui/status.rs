//! How every host is: one line each, and below what is not as it should be, with its mend.

use std::time::{Duration, SystemTime};

use crate::decide::status::{Condition, Space, StatusTrouble};
use crate::event::reason::trial::TrialOutlook;
use crate::event::wording::words;
use crate::facts::host::Facts;
use crate::facts::provenance::{Brought, Provenance};
use crate::facts::systems::NextBoot;
use crate::inventory::model::HostName;
use crate::ui::line::{cut_between_words, wrap};
use crate::ui::paint::{Tone, paint};
use crate::ui::sanitise;
use crate::ui::table::{self, TableCell};
use crate::ui::when::LocalClock;

/// One host of the answer.
#[derive(Debug, Clone)]
pub struct HostStatusView<'a> {
    pub host: &'a HostName,
    /// How it is reached, in words.
    pub way: &'a str,
    pub told: ToldStatus<'a>,
    /// Absent unless it was asked what the flake gives.
    pub flake: Option<Match>,
    /// Whether a system can be booted on it once, before it is its boot default.
    pub trial: Option<&'a TrialOutlook>,
}

#[derive(Debug, Clone)]
pub enum ToldStatus<'a> {
    Answered { condition: &'a Condition, troubles: &'a [StatusTrouble] },
    Silent { why: &'a str, hint: Option<&'a str> },
}

/// The system that a host runs and the one that the flake gives for it now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match {
    Current,
    Differs,
    NotBuilt,
}

impl Match {
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Differs => "differs",
            Self::NotBuilt => "not built",
        }
    }
}

/// How it is drawn.
#[derive(Debug, Clone, Copy)]
pub struct StatusStyle<'a> {
    pub clock: &'a LocalClock,
    pub now: SystemTime,
    pub columns: usize,
    pub colour: bool,
    /// Whether things that are as they should be are shown too.
    pub whole: bool,
}

const HEADING: [&str; 10] = ["host", "system", "revision", "gen", "made", "up", "free", "/boot", "flake", "state"];

/// The narrowest that a system's version may become.
const SYSTEM_WIDTH: usize = 8;
const SYSTEM: usize = 1;
const REVISION: usize = 2;
const GENERATION: usize = 3;
const MADE: usize = 4;
const UP: usize = 5;
const STATE: usize = 9;
/// In the order in which they can be done without.
const SPARE: [usize; 4] = [MADE, GENERATION, UP, REVISION];

/// The table, and what stands below it.
#[must_use]
pub fn render(hosts: &[HostStatusView<'_>], style: StatusStyle<'_>) -> String {
    let mut out = table(hosts, style);
    for shown in hosts {
        out += &below(shown, style);
    }
    out
}

fn table(hosts: &[HostStatusView<'_>], style: StatusStyle<'_>) -> String {
    let rows: Vec<Vec<TableCell>> = hosts.iter().map(|shown| row(shown, style)).collect();
    let cuts = [(usize::MAX, usize::MAX), (22, 30), (14, 22), (SYSTEM_WIDTH, 16)];
    for spared in 0..=SPARE.len() {
        let left_out = &SPARE[..spared];
        for (system, state) in cuts {
            let row = |row: &Vec<TableCell>| -> Vec<TableCell> {
                let cell = |(column, cell): (usize, &TableCell)| match column {
                    _ if left_out.contains(&column) => TableCell::default(),
                    SYSTEM => cell.cut(system),
                    STATE => cell.cut(state),
                    _ => cell.clone(),
                };
                row.iter().enumerate().map(cell).collect()
            };
            let rows: Vec<Vec<TableCell>> = rows.iter().map(row).collect();
            if let Some(table) = table::render(&HEADING, &rows, style.columns, style.colour) {
                return table;
            }
        }
    }
    // A terminal that is too narrow for any table.
    let line = |shown: &HostStatusView<'_>| {
        cut_between_words(&format!("{}: {}", shown.host, state(shown).1), style.columns) + "\n"
    };
    hosts.iter().map(line).collect()
}

fn row(shown: &HostStatusView<'_>, style: StatusStyle<'_>) -> Vec<TableCell> {
    let (tone, state) = state(shown);
    let flake = match shown.flake {
        Some(matches @ Match::Current) => TableCell::from(matches.word()),
        Some(matches) => TableCell::new(Some(Tone::Doubtful), matches.word()),
        None => TableCell::default(),
    };
    let name = TableCell::from(shown.host.as_str());
    let ToldStatus::Answered { condition, .. } = shown.told else {
        let empty = [(); STATE - 2].map(|()| TableCell::default());
        let last = [flake, TableCell::new(Some(tone), state)];
        return [name].into_iter().chain(empty).chain(last).collect();
    };
    let standing = &condition.facts.standing;
    let age = made(condition).and_then(|made| style.now.duration_since(made).ok());
    vec![
        name,
        sanitise::line(words::system(shown.host, &standing.systems.current)).into(),
        revision(condition).into(),
        standing.generation.to_string().into(),
        age.map(short).unwrap_or_default().into(),
        short(Duration::from_secs(standing.uptime)).into(),
        free(&condition.spaces).into(),
        boot(&condition.spaces).into(),
        flake,
        TableCell::new(Some(tone), state),
    ]
}

/// The revision that what runs has come from, as the push that brought it has said; empty: it was brought otherwise.
fn revision(condition: &Condition) -> String {
    let brought = condition.facts.origin().map(|origin| &origin.brought);
    brought.and_then(|brought| brought.provenance.short_revision()).unwrap_or_default()
}

/// `ok`, or the troubles in a few words.
fn state(shown: &HostStatusView<'_>) -> (Tone, String) {
    match &shown.told {
        ToldStatus::Silent { .. } => (Tone::Bad, "no answer".to_owned()),
        ToldStatus::Answered { troubles: [], .. } => (Tone::Good, "ok".to_owned()),
        ToldStatus::Answered { troubles, .. } => {
            let mut shorts: Vec<String> = troubles.iter().map(|trouble| trouble.short.to_string()).collect();
            shorts.dedup();
            (Tone::Doubtful, shorts.join(", "))
        }
    }
}

fn below(shown: &HostStatusView<'_>, style: StatusStyle<'_>) -> String {
    let mut lines: Vec<(Option<Tone>, String)> = Vec::new();
    match &shown.told {
        ToldStatus::Silent { why, hint } => {
            lines.push((None, format!("no answer ({}): {}", shown.way, sanitise::line(why))));
            lines.extend(hint.map(|hint| (Some(Tone::Faint), format!("mend: {}", sanitise::line(hint)))));
        }
        ToldStatus::Answered { troubles, .. } => {
            for trouble in *troubles {
                lines.extend(sanitise::text(&trouble.text.to_string()).lines().map(|line| (None, line.to_owned())));
                let mend = trouble.mend();
                lines.extend(mend.map(|mend| (Some(Tone::Faint), format!("mend: {}", sanitise::line(&mend)))));
            }
        }
    }
    let details = match &shown.told {
        ToldStatus::Answered { condition, .. } if style.whole => details(shown, condition, style),
        _ => Vec::new(),
    };
    if lines.is_empty() && details.is_empty() {
        return String::new();
    }
    let mut out = format!("\n{}\n", paint(style.colour, Tone::Strong, shown.host.as_str()));
    for (tone, text) in lines {
        let (indent, pieces) = match text.strip_prefix("mend: ") {
            // It is not wrapped, because a person copies it.
            Some(_) => ("    ", vec![text]),
            None => ("  ", wrap(&text, style.columns.saturating_sub(8).max(20))),
        };
        for (number, line) in pieces.iter().enumerate() {
            let line = tone.map_or_else(|| line.clone(), |tone| paint(style.colour, tone, line));
            let more = if number == 0 { "" } else { "  " };
            out += &format!("{indent}{more}{line}\n");
        }
    }
    // They are not wrapped, because a person copies the store paths in them.
    for line in &details {
        out += &format!("  {line}\n");
    }
    out
}

/// All that is known, for who asks for it.
fn details(shown: &HostStatusView<'_>, condition: &Condition, style: StatusStyle<'_>) -> Vec<String> {
    let Condition { facts, spaces, .. } = condition;
    let Facts { standing, .. } = facts;
    let made = made(condition)
        .map(|made| format!(" of {} ({})", style.clock.time(made), style.clock.ago(made)))
        .unwrap_or_default();
    let spaces: Vec<String> = spaces
        .iter()
        .map(|space| format!("{} {} of {}", space.place, words::size(space.free), words::size(space.size)))
        .collect();
    let nixos = facts.nixos_version.as_ref().map(|version| format!("NixOS {version}, ")).unwrap_or_default();
    let kernel = &facts.kernel;
    let next_boot = standing.next_boot.as_ref().map_or_else(String::new, |NextBoot { entry, system }| match system {
        Some(system) => format!("next    {system} (`{entry}`, once)"),
        None => format!("next    `{entry}`, once"),
    });
    let [from, by] = facts.origin().map(|origin| came_from(&origin.brought, style.clock)).unwrap_or_default();
    let never_booted = if facts.current_was_booted { "" } else { " (what runs now was not booted yet)" };
    [
        format!("reached at {}", shown.way),
        format!("current {}", standing.systems.current),
        from,
        by,
        format!("boots   {} ({})", standing.systems.boot_default_text(), standing.loader.word()),
        next_boot,
        format!("booted  {}{never_booted}", standing.booted),
        shown.trial.map(|outlook| format!("trial   {outlook}")).unwrap_or_default(),
        format!("generation {}{made}", standing.generation),
        format!("up for {}", words::span(Duration::from_secs(standing.uptime))),
        format!("free: {}", spaces.join(", ")),
        format!("{nixos}{}, {}, kernel {kernel}", facts.nix_version, facts.systemd_version),
    ]
    .iter()
    .filter(|line| !line.is_empty())
    .map(|line| sanitise::line(line))
    .collect()
}

/// Where a system comes from, and who has brought it.
fn came_from(brought: &Brought, clock: &LocalClock) -> [String; 2] {
    let Brought { run, at, provenance } = brought;
    let nix = provenance.nix.as_ref().map(|nix| format!(" and {nix}")).unwrap_or_default();
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs((*at).min(LATEST));
    let when = format!("{} ({})", clock.time(at), clock.ago(at));
    let Provenance { by, fleetdeploy, .. } = provenance;
    [
        format!("from    {}", words::source(provenance)),
        format!("pushed  {when} by {by}, with fleetdeploy {fleetdeploy}{nix}, run {run}"),
    ]
}

/// The end of the year 9999: what a host says may be no time at all.
const LATEST: u64 = 253_402_300_799;

fn made(condition: &Condition) -> Option<SystemTime> {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(condition.generation_made?))
}

/// `12s`, `5m`, `3h`, `4d`, `30w`: for a column.
fn short(passed: Duration) -> String {
    const UNITS: [(u64, char); 4] = [(14 * 86_400, 'w'), (86_400, 'd'), (3600, 'h'), (60, 'm')];
    let seconds = passed.as_secs();
    match UNITS.iter().find(|(unit, _)| seconds >= *unit) {
        Some((_, 'w')) => format!("{}w", seconds / (7 * 86_400)),
        Some((unit, letter)) => format!("{}{letter}", seconds / unit),
        None => format!("{seconds}s"),
    }
}

/// Shows the free space on / or in the store, the smaller one.
fn free(spaces: &[Space]) -> String {
    let system = spaces.iter().filter(|space| !is_boot(space));
    system.map(|space| space.free).min().map(short_size).unwrap_or_default()
}

/// Shows the free space on /boot, if it is a file system of its own.
fn boot(spaces: &[Space]) -> String {
    spaces.iter().find(|space| is_boot(space)).map(|space| short_size(space.free)).unwrap_or_default()
}

fn is_boot(space: &Space) -> bool {
    !matches!(space.place.as_str(), "/" | "/nix/store")
}

/// `312M`, `1.2G`, `45G`.
fn short_size(bytes: u64) -> String {
    let tenths_of_gib = (u128::from(bytes) * 10) >> 30;
    match (bytes >> 20, tenths_of_gib) {
        (mib, 0..10) => format!("{mib}M"),
        (_, 10..100) => format!("{}.{}G", tenths_of_gib / 10, tenths_of_gib % 10),
        (_, _) => format!("{}G", tenths_of_gib / 10),
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::decide::status::tests::{system, well};
    use crate::event::reason::sample::Sample;
    use crate::event::reason::status::ShortTrouble;
    use crate::facts::provenance::SystemOrigin;
    use crate::facts::trial::TrialMeans;
    use crate::ui::line::width;

    const NOW: u64 = 1_795_364_100 + 4 * 86_400;

    fn name(text: &str) -> HostName {
        HostName::new(text).unwrap()
    }

    fn drawn(hosts: &[HostStatusView<'_>], columns: usize, whole: bool) -> String {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW);
        render(hosts, StatusStyle { clock: &LocalClock::utc(now), now, columns, colour: false, whole })
    }

    fn trouble(short: &'static str) -> StatusTrouble {
        let text = Sample::new(format!("it has {short}"), Some(&format!("mend {short}"))).into();
        StatusTrouble { short: ShortTrouble::Boot(short), text }
    }

    #[test]
    fn a_fleet_is_a_table_with_its_troubles_below() {
        let hosts = ["vps", "homeserver", "db"].map(name);
        let condition = well();
        let troubles = [trouble("drift"), trouble("2 failed")];
        let told = [
            ToldStatus::Answered { condition: &condition, troubles: &[] },
            ToldStatus::Answered { condition: &condition, troubles: &troubles },
            ToldStatus::Silent { why: "no ssh login on db: no answer within 5 s", hint: Some("try it by hand") },
        ];
        let shown: Vec<HostStatusView> = hosts
            .iter()
            .zip(told)
            .map(|(host, told)| HostStatusView { host, way: "10.0.0.1 by vps", told, flake: None, trial: None })
            .collect();
        assert_eq!(
            drawn(&shown, 80, false),
            "  host        system  gen  made  up  free  /boot  state
  vps         1       12   4d    1d  10G   300M   ok
  homeserver  vps-1   12   4d    1d  10G   300M   drift, 2 failed
  db                                              no answer

homeserver
  it has drift
    mend: mend drift
  it has 2 failed
    mend: mend 2 failed

db
  no answer (10.0.0.1 by vps): no ssh login on db: no answer within 5 s
    mend: try it by hand
"
        );
        let whole = drawn(&shown[..1], 80, true);
        let expected = "
vps
  reached at 10.0.0.1 by vps
  current /nix/store/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-nixos-system-vps-1
  boots   /nix/store/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-nixos-system-vps-1 (systemd-boot)
  booted  /nix/store/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-nixos-system-vps-1
  generation 12 of 2026-11-22 16:15 UTC (4 days ago)
  up for 24h 00m 00s
  free: / 10.0 GiB of 20.0 GiB, /nix/store 10.0 GiB of 20.0 GiB, /boot 300.0 MiB of 600.0 MiB
  NixOS 25.11, nix-2.26.3, systemd 257.13, kernel 6.12.1
";
        assert!(whole.ends_with(expected), "{whole}");
        assert!(!whole.contains("not booted yet"), "{whole}");
        let mut active = well();
        active.facts.current_was_booted = false;
        let told = ToldStatus::Answered { condition: &active, troubles: &[] };
        let outlook =
            TrialOutlook::TrialPossible { means: TrialMeans::EfiVariable, watchdog: true, back_within_s: 2600 };
        let whole = drawn(&[HostStatusView { told, trial: Some(&outlook), ..shown[0].clone() }], 80, true);
        assert!(whole.contains("\n  trial   its boot loader can boot a system once, before"), "{whole}");
        assert!(whole.contains("-nixos-system-vps-1 (what runs now was not booted yet)\n"), "{whole}");
    }

    #[test]
    fn the_revision_is_that_of_the_system_that_runs() {
        let host = name("vps");
        let brought = |system| {
            let provenance = Provenance {
                source: Some("git+file:///etc/nixos".into()),
                revision: Some("a1b2c3d4e5f60718293a4b5c6d7e8f9012345678".into()),
                dirty: true,
                by: "ada@laptop".into(),
                nix: Some("Nix 2.26.3".into()),
                fleetdeploy: "0.1.0".into(),
                ..Provenance::default()
            };
            let run = "20261122-161500-lab-3f9c".into();
            SystemOrigin { system, brought: Brought { run, at: NOW - 2 * 86_400, provenance } }
        };
        let mut condition = well();
        condition.facts.origins = vec![brought(system('b', "2")), brought(system('a', "1"))];
        let told = |condition: &Condition| {
            let told = ToldStatus::Answered { condition, troubles: &[] };
            drawn(&[HostStatusView { host: &host, way: "10.0.0.1", told, flake: None, trial: None }], 80, true)
        };
        let whole = told(&condition);
        assert!(
            whole.starts_with(
                "  host  system  revision       gen  made  up  free  /boot  state
  vps   1       a1b2c3d-dirty  12   4d    1d  10G   300M   ok
"
            ),
            "{whole}"
        );
        let expected = "
  from    git+file:///etc/nixos, revision a1b2c3d4e5f60718293a4b5c6d7e8f9012345678, with changes that are in no commit
  pushed  2026-11-24 16:15 UTC (2 days ago) by ada@laptop, with fleetdeploy 0.1.0 and Nix 2.26.3, \
run 20261122-161500-lab-3f9c
";
        assert!(whole.contains(expected), "{whole}");
        // Somebody has switched by hand to a system that no push has brought.
        condition.facts.standing.systems.current = system('c', "3");
        let whole = told(&condition);
        assert!(!whole.contains("a1b2c3d") && !whole.contains("ada@laptop"), "{whole}");
        // A host may say any number.
        condition.facts.origins =
            vec![SystemOrigin { system: system('c', "3"), brought: Brought { at: u64::MAX, ..Brought::default() } }];
        told(&condition);
    }

    #[test]
    fn a_table_keeps_to_the_width_whatever_stands_in_it() {
        let host = name(&"h".repeat(20));
        let mut condition = well();
        condition.facts.standing.systems.current = system('b', "25.11.20251120.0123456789abcdef");
        condition.facts.standing.generation = 1234;
        let troubles = ["claimed", "drift", "12 failed", "space", "reboot"].map(trouble);
        let told = ToldStatus::Answered { condition: &condition, troubles: &troubles };
        let shown = [HostStatusView { host: &host, way: "x", told, flake: Some(Match::NotBuilt), trial: None }];
        for columns in [40, 60, 80, 100, 200] {
            let table = drawn(&shown, columns, true);
            let table = table.split("\n\n").next().unwrap();
            assert!(columns < 60 || table.lines().all(|line| width(line) <= columns), "{columns}:\n{table}");
            assert!(table.contains("claimed"), "{table}");
        }
    }

    #[test]
    fn ages_and_sizes_are_short() {
        assert_eq!(
            [9, 60, 7200, 86_400 * 13, 86_400 * 15].map(|seconds| short(Duration::from_secs(seconds))),
            ["9s", "1m", "2h", "13d", "2w"]
        );
        assert_eq!([0, 312 << 20, 1300 << 20, 45 << 30].map(short_size), ["0M", "312M", "1.2G", "45G"]);
    }
}
