//! The live screen as a terminal shows it: its real bytes, read by a terminal emulator.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/pushes.rs"]
mod pushes;

use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use fleetdeploy::event::line::Line;
use fleetdeploy::event::reason::any::AnyReason;
use fleetdeploy::event::reason::notice::Notice;
use fleetdeploy::event::stream::Events;
use fleetdeploy::event::waiting::{AfterWait, WaitedFor};
use fleetdeploy::event::{Event, Phase};
use fleetdeploy::facts::signal::Signal;
use fleetdeploy::ui::mode::Mode;
use fleetdeploy::ui::tui::Tui;
use fleetdeploy::ui::{Screen, ScreenEnd};
use pretty_assertions::assert_eq;

use self::pushes::{armed, bad_push, done, good_push, host, lines, moved, phase, planned, push_by_waves};

const LIVE: Mode = Mode::Live { colour: false, verbose: false, unicode: true };
const COLOURED: Mode = Mode::Live { colour: true, verbose: false, unicode: true };

/// A terminal and the screen that draws on it.
struct Watched {
    tui: Option<Tui>,
    bytes: Arc<Mutex<Vec<u8>>>,
    size: Arc<Mutex<(u16, u16)>>,
    now: Arc<Mutex<SystemTime>>,
    terminal: avt::Terminal,
    /// Everything that was written so far.
    written: String,
    writes: usize,
    /// How many events were taken in.
    taken: usize,
}

/// Keeps what is written, each write apart.
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Watched {
    fn new(mode: Mode, columns: u16, rows: u16) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let size = Arc::new(Mutex::new((columns, rows)));
        let now = Arc::new(Mutex::new(SystemTime::UNIX_EPOCH));
        let (measured, clock) = (Arc::clone(&size), Arc::clone(&now));
        let tui = Tui::new(
            mode,
            Kept(Arc::clone(&bytes)),
            Box::new(move || *measured.lock().unwrap()),
            Box::new(move || *clock.lock().unwrap()),
        );
        let terminal = avt::Terminal::with_scrollback(columns.into(), rows.into(), Some(10_000)).unwrap();
        Self { tui: Some(tui), bytes, size, now, terminal, written: String::new(), writes: 0, taken: 0 }
    }

    /// Everything up to this many seconds after the beginning, with a frame for each event, from where it was left.
    fn until(&mut self, events: &[Line], seconds: f64) {
        let end = events[0].at + Duration::from_secs_f64(seconds);
        while let Some(line) = events.get(self.taken).filter(|line| line.at <= end) {
            self.taken += 1;
            *self.now.lock().unwrap() = line.at;
            self.tui.as_mut().unwrap().take(line);
            self.draw();
        }
        *self.now.lock().unwrap() = end;
        self.draw();
    }

    fn draw(&mut self) {
        self.tui.as_mut().unwrap().draw().unwrap();
        self.read();
    }

    fn close(&mut self) {
        self.tui = None;
        self.read();
    }

    fn read(&mut self) {
        let bytes = std::mem::take(&mut *self.bytes.lock().unwrap());
        if !bytes.is_empty() {
            self.writes += 1;
            let text = String::from_utf8(bytes).unwrap();
            self.terminal.feed([text.as_str()]);
            self.written += &text;
        }
    }

    fn resize(&mut self, columns: u16, rows: u16) {
        self.terminal.resize(columns.into(), rows.into());
        *self.size.lock().unwrap() = (columns, rows);
    }

    /// What stands on the terminal now, without empty lines at its end.
    fn shown(&self) -> String {
        let lines: Vec<String> =
            self.terminal.screen().visible_lines().map(|line| line.text().trim_end().to_owned()).collect();
        lines.join("\n").trim_end().to_owned() + "\n"
    }

    /// The same with everything that was scrolled out of sight.
    fn everything(&self) -> String {
        let lines: Vec<String> =
            self.terminal.screen().all_lines().map(|line| line.text().trim_end().to_owned()).collect();
        lines.join("\n").trim_end().to_owned() + "\n"
    }
}

/// Compares with `tests/snapshots/live__NAME.snap`.
///
/// `INSTA_UPDATE=always cargo test --test live` writes it anew.
fn assert_screen(name: &str, text: &str) {
    // insta passes over line breaks at the end of a text, and over the kind of each.
    assert_eq!(text, format!("{}\n", text.trim_end()).replace('\r', ""));
    insta::assert_snapshot!(name, text);
}

#[test]
fn the_heading_says_which_wave_it_is_and_hosts_of_another_stand_by() {
    let mut screens = String::new();
    for (columns, moment) in [(100, 14.0), (100, 26.0), (60, 26.0)] {
        let mut watched = Watched::new(LIVE, columns, 20);
        watched.until(&lines(push_by_waves()), moment);
        writeln!(screens, "--- after {moment} s, {columns} columns\n{}", watched.shown()).unwrap();
    }
    assert_screen("waves", screens.strip_suffix('\n').unwrap());
}

#[test]
fn after_the_commit_only_who_needs_a_reboot_waits_for_it() {
    let mut push = good_push();
    let (end, _) = push.pop().unwrap();
    let waves = Event::WavesPlanned { waves: vec![vec![host("vps")]] };
    let wave = Event::WaveStarted { wave: 1, of: 1, hosts: vec![host("vps")] };
    push.extend([phase(Phase::Baseline), waves, wave, phase(Phase::Reboot)].map(|event| (end, event)));
    push.push((end, moved("vps", "going down and booting")));
    let mut watched = Watched::new(LIVE, 100, 24);
    watched.until(&lines(push), end + 1.0);
    let shown = watched.shown();
    let rows: Vec<String> =
        shown.lines().rev().take(2).map(|row| row.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let wanted = ["· homeserver needs no reboot disarmed", "▸ vps reboot going down and booting 1s disarmed"];
    assert_eq!(rows, wanted, "{shown}");
}

#[test]
fn each_moment_of_a_push_reads_well_at_every_width() {
    for (columns, rows) in [(60, 20), (80, 24), (100, 30), (140, 40)] {
        let mut screens = String::new();
        for (push, moments) in [
            (lines(good_push()), &[0.5, 8.0, 24.1, 33.7, 40.0, 52.5, 61.0, 63.0][..]),
            (lines(bad_push()), &[50.0, 80.2, 90.0, 920.0, 1001.0]),
        ] {
            for moment in moments {
                let mut watched = Watched::new(LIVE, columns, rows);
                watched.until(&push, *moment);
                writeln!(screens, "=== after {moment} s").unwrap();
                screens += &watched.shown();
            }
        }
        assert_screen(&columns.to_string(), &screens);
        let too_wide = screens.lines().find(|line| line.chars().count() > columns.into());
        assert_eq!(too_wide, None, "at {columns} columns");
    }
}

#[test]
fn a_push_leaves_its_warnings_its_recap_and_no_row() {
    let mut watched = Watched::new(LIVE, 100, 24);
    watched.until(&lines(good_push()), 100.0);
    watched.close();
    assert_screen("left-behind", &watched.everything());
}

#[test]
fn a_command_that_ends_in_the_middle_leaves_no_row() {
    let mut watched = Watched::new(LIVE, 100, 24);
    watched.until(&lines(good_push()), 40.0);
    assert!(watched.shown().contains("restarting nginx.service"));
    watched.close();
    let left = watched.everything();
    assert!(!left.contains("restarting nginx.service"), "{left}");
    assert!(left.contains("what runs was never booted here"), "{left}");
}

/// It is no witness: it is not asked for anything.
#[test]
fn a_host_that_is_left_out_says_so_in_its_row() {
    let mut push = good_push();
    let Event::PushStarted { hosts, .. } = &mut push[0].1 else { panic!("it begins otherwise") };
    hosts.push(host("nas"));
    push.insert(3, (0.0, Event::HostLeftOut { host: host("nas") }));
    push.insert(4, (0.0, done("nas", Phase::Survey)));
    let push = lines(push);
    let mut watched = Watched::new(LIVE, 100, 24);
    for seconds in [1.0, 20.0, 45.5] {
        watched.until(&push, seconds);
        let shown = watched.shown();
        let row = shown.lines().rev().find(|line| line.contains(" nas ")).unwrap_or_else(|| panic!("{shown}"));
        assert!(row.contains("left out") && row.contains("takes no part") && !row.contains("witness"), "{row}");
    }
}

#[test]
fn while_a_person_is_asked_the_terminal_is_theirs() {
    let mut push = good_push();
    let arm = push.iter().position(|(_, event)| matches!(event, Event::PhaseStarted { phase: Phase::Arm })).unwrap();
    let at = push[arm].0;
    push.insert(arm, (at, Event::Replied { yes: true }));
    push.insert(arm, (at - 0.1, Event::Asked { question: "push homelab now? [y/N]".into() }));
    let push = lines(push);
    let mut watched = Watched::new(LIVE, 100, 24);
    watched.until(&push, at - 0.1);
    let shown = watched.shown();
    assert!(shown.contains("never booted") && !shown.contains("\u{25b8}"), "a row is left:\n{shown}");
    let written = watched.writes;
    watched.until(&push, at - 0.05);
    watched.until(&push, at - 0.01);
    assert_eq!(watched.writes, written, "something was drawn while somebody types");
    // The question, and what is typed behind it with its line end.
    watched.terminal.feed(["push homelab now? [y/N] y\r\n"]);
    watched.until(&push, at + 2.0);
    let shown = watched.shown();
    assert!(shown.contains("\u{25b8}") && shown.contains("now? [y/N] y\n"), "{shown}");
    watched.until(&push, 100.0);
    watched.close();
    let everything = watched.everything();
    assert_eq!(everything.matches("push homelab now? [y/N] y\n").count(), 1, "{everything}");
    assert_eq!(everything.matches("COMMITTED").count(), 1, "{everything}");
}

#[test]
fn a_question_that_a_signal_has_ended_does_not_keep_the_end_off_the_screen() {
    let mut push = good_push();
    let end = push.pop().unwrap();
    push.retain(|(at, _)| *at < 30.0);
    push.extend([(31.0, Event::Asked { question: "now?".into() }), (32.0, end.1)]);
    let mut watched = Watched::new(LIVE, 100, 24);
    watched.until(&lines(push), 40.0);
    watched.close();
    assert!(watched.everything().contains("COMMITTED"), "{}", watched.everything());
}

#[test]
fn a_terminal_made_narrower_or_wider_keeps_nothing_stale() {
    let mut watched = Watched::new(LIVE, 120, 34);
    // A terminal that folds its lines keeps the cursor's row, and what it pushes over its upper edge is out of reach.
    watched.terminal.feed(["$ ls\r\n".repeat(8).as_str()]);
    let push = lines(good_push());
    watched.until(&push, 35.5);
    for (columns, rows, moment) in [(60, 34, 36.0), (140, 28, 37.0), (75, 34, 38.0), (40, 40, 39.0), (100, 34, 40.0)] {
        watched.resize(columns, rows);
        watched.until(&push, moment);
        let everything = watched.everything();
        assert_eq!(everything.matches("push homelab").count(), 1, "at {columns}:\n{everything}");
        assert_eq!(everything.matches("▸ vps").count(), 1, "at {columns}:\n{everything}");
        assert_eq!(everything.matches("never booted").count(), 1, "at {columns}:\n{everything}");
    }
}

#[test]
fn what_the_terminal_echoes_leaves_nothing_stale() {
    let mut watched = Watched::new(LIVE, 80, 24);
    let push = lines(good_push());
    watched.until(&push, 36.0);
    for moment in [37.0, 38.0] {
        watched.terminal.feed(["^C"]);
        watched.until(&push, moment);
        let everything = watched.everything();
        assert_eq!(everything.matches("push homelab").count(), 1, "{everything}");
        assert!(!everything.contains("^C"), "{everything}");
    }
}

/// A fleet of many hosts in the middle of its test: one has lost its contact, three are at work.
fn many_hosts(count: usize) -> Vec<Line> {
    let name = |number: usize| format!("web{number:03}");
    let hosts: Vec<_> = (0..count).map(|number| host(&name(number))).collect();
    let start = Event::PushStarted {
        fleet: "office".into(),
        hosts: hosts.clone(),
        selected: hosts,
        inventory: "inventory.yaml".into(),
        guard_ms: 900_000,
        record: None,
        dry_run: false,
        rollback_to: None,
    };
    let mut events = vec![(0.0, start)];
    let planned = Event::Planned { hosts: (0..count).map(|number| planned(&name(number), "25.11.3")).collect() };
    events.push((1.0, planned));
    events.push((2.0, phase(Phase::Arm)));
    events.extend((0..count).map(|number| (3.0, armed(&name(number)))));
    events.push((4.0, phase(Phase::Test)));
    events.extend((0..count).map(|number| (4.0, moved(&name(number), "activating the configuration"))));
    let busy = [7, count / 2, count - 1];
    let through = (0..count).filter(|number| !busy.contains(number) && *number != 150);
    events.extend(through.map(|number| (5.0, done(&name(number), Phase::Test))));
    events.push((
        6.0,
        Event::ContactLost {
            host: host(&name(150)),
            within_ms: None,
            then: None,
            why: AnyReason::without_code("timed out"),
        },
    ));
    lines(events)
}

#[test]
fn of_many_hosts_the_busy_and_the_troubled_stay_visible_in_their_order() {
    let mut watched = Watched::new(LIVE, 100, 16);
    watched.until(&many_hosts(200), 10.0);
    assert_screen("200-hosts", &watched.shown());
    let shown = watched.shown();
    for visible in ["web007", "web100", "web150", "web199"] {
        assert!(shown.contains(visible), "{visible}:\n{shown}");
    }
    let rows: Vec<&str> =
        shown.lines().filter_map(|line| line.split(' ').find(|word| word.starts_with("web"))).collect();
    assert!(rows.is_sorted(), "{rows:?}");
}

/// Three hosts in their test, of which one is through.
fn in_test(more: Vec<(f64, Event)>) -> Vec<Line> {
    let names = ["a", "b", "c"];
    let hosts: Vec<_> = names.map(host).to_vec();
    let start = Event::PushStarted {
        fleet: "office".into(),
        hosts: hosts.clone(),
        selected: hosts,
        inventory: "inventory.yaml".into(),
        guard_ms: 900_000,
        record: None,
        dry_run: false,
        rollback_to: None,
    };
    let mut events = vec![(0.0, start)];
    events.push((1.0, Event::Planned { hosts: names.map(|name| planned(name, "25.11.3")).to_vec() }));
    events.push((2.0, phase(Phase::Arm)));
    events.extend(names.map(|name| (3.0, armed(name))));
    events.push((4.0, phase(Phase::Test)));
    let then = Some(AfterWait::AllGoBack);
    let activating =
        |name| Event::moved_until(&host(name), "activating the new system", Some(Duration::from_secs(60)), then);
    events.extend(names.map(|name| (4.0, activating(name))));
    events.push((5.0, done("a", Phase::Test)));
    events.extend(more);
    lines(events)
}

/// The one line of the screen that begins with the host, behind its sign.
fn row_of(shown: &str, name: &str) -> String {
    let begins = |line: &&str| line.split_whitespace().take(2).any(|word| word == name) && line.contains("fires ");
    let row = shown.lines().rev().find(begins);
    row.unwrap_or_else(|| panic!("{name} has no row:\n{shown}")).to_owned()
}

#[test]
fn a_row_says_how_long_its_step_may_take_at_most_and_gives_that_up_before_its_words() {
    let events = in_test(Vec::new());
    for (columns, wanted) in [(80, "7s of at most 1m 00s"), (60, "7s of 1m 00s"), (50, "7s fires")] {
        let mut watched = Watched::new(LIVE, columns, 24);
        watched.until(&events, 11.0);
        let row = row_of(&watched.shown(), "b");
        assert!(row.contains("activating the new system"), "{row}");
        assert!(row.split("system").nth(1).unwrap().trim_start().starts_with(wanted), "{row}");
        let row = row_of(&watched.shown(), "a");
        assert!(!row.contains(" of "), "what is through has no end any more: {row}");
    }
}

/// Its own step may take long, and the whole run does not wait for it that long.
#[test]
fn a_lost_contact_has_one_end_on_every_row_and_below() {
    let lost = |name, within_ms| Event::ContactLost {
        host: host(name),
        within_ms: Some(within_ms),
        then: Some(AfterWait::AllGoBack),
        why: AnyReason::without_code("timed out"),
    };
    let wait = |within_ms| Event::WaitStarted { wait: WaitedFor::SilentHosts, within_ms, then: AfterWait::AllGoBack };
    let before = vec![(6.0, lost("b", 58_000)), (7.0, lost("c", 47_000))];
    let later = |within_ms| before.iter().cloned().chain([(8.0, wait(within_ms))]).collect::<Vec<_>>();
    // Alone, and with what the run waits for: shorter, and longer than what is left of a step.
    for (events, left) in [(before.clone(), "44s"), (later(20_000), "18s"), (later(90_000), "44s")] {
        let waits = events.len() > 2;
        let mut watched = Watched::new(LIVE, 100, 24);
        watched.until(&in_test(events), 10.0);
        let shown = watched.shown();
        let end = format!("{left} more, else all go back");
        for name in ["b", "c"] {
            assert!(row_of(&shown, name).contains(&format!("out of reach: {end}")), "{shown}");
        }
        assert_eq!(shown.contains(&format!("waits for hosts out of reach: {end}")), waits, "{shown}");
    }
}

/// Also where the run went back for another reason: the next signal is the one that leaves.
#[test]
fn once_a_signal_was_heard_the_screen_counts_it() {
    let mut push = bad_push();
    let back = push.iter().position(|(_, event)| matches!(event, Event::PhaseStarted { phase: Phase::RollBack }));
    let back = back.unwrap();
    let at = push[back].0;
    let heard = Event::warned(None, Notice::SignalWhileGoingBack { signal: Signal::Sigint });
    push.insert(back + 1, (at + 0.2, heard));
    let push = lines(push);
    let mut watched = Watched::new(LIVE, 100, 30);
    for (seconds, said) in [(0.1, "Ctrl-C twice stops here"), (0.3, "Ctrl-C once more stops here")] {
        watched.until(&push, at + seconds);
        let shown = watched.shown().split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(shown.contains(said), "{shown}");
    }
}

#[test]
fn what_is_said_of_many_hosts_in_one_frame_is_said_once() {
    let mut events = vec![(0.0, many_hosts(6).remove(0).event)];
    let warned = |number: usize| Event::Warned {
        host: Some(host(&format!("web{number:03}"))),
        text: AnyReason::without_code("no room"),
    };
    events.extend((0..6).map(|number| (1.0, warned(number))));
    let mut watched = Watched::new(LIVE, 100, 30);
    for line in lines(events) {
        watched.tui.as_mut().unwrap().take(&line);
    }
    watched.draw();
    let shown = watched.shown();
    assert_eq!(shown.lines().next(), Some("[   1.0s] web000, web001 and 4 more  warning: no room"), "{shown}");
}

#[test]
fn no_terminal_is_too_small() {
    for (columns, rows) in [(1, 1), (10, 2), (20, 3), (30, 5), (40, 8)] {
        let (mut watched, mut many) = (Watched::new(LIVE, columns, rows), Watched::new(LIVE, columns, rows));
        many.until(&many_hosts(200), 10.0);
        watched.until(&lines(bad_push()), 2000.0);
        assert!(watched.written.contains("ROLLED BACK"), "{columns}x{rows}:\n{}", watched.everything());
    }
}

#[test]
fn without_utf8_nothing_but_ascii_is_written() {
    let ascii = Mode::Live { colour: true, verbose: false, unicode: false };
    let mut push = good_push();
    push.push((35.5, moved("vps", "starting träger.service")));
    push.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    let mut watched = Watched::new(ascii, 100, 30);
    watched.until(&lines(push), 36.0);
    assert!(watched.shown().contains("starting tr?ger.service"), "{}", watched.shown());
    let mut bad = Watched::new(ascii, 100, 30);
    bad.until(&lines(bad_push()), 2000.0);
    assert!(watched.written.is_ascii() && bad.written.is_ascii());
}

/// The control sequences in a text: what begins with ESC, up to its last letter.
fn sequences(text: &str) -> Vec<String> {
    let ends = |rest: &str| rest.find(|letter: char| letter.is_ascii_alphabetic()).map_or(rest.len(), |end| end + 1);
    text.split('\u{1b}').skip(1).map(|rest| rest[..ends(rest)].to_owned()).collect()
}

#[test]
fn without_colour_the_cursor_moves_and_nothing_is_coloured() {
    let mut plain = Watched::new(LIVE, 100, 30);
    let mut coloured = Watched::new(COLOURED, 100, 30);
    for watched in [&mut plain, &mut coloured] {
        watched.until(&lines(bad_push()), 90.0);
    }
    assert!(sequences(&plain.written).iter().all(|sequence| !sequence.ends_with('m')));
    assert!(sequences(&coloured.written).iter().any(|sequence| sequence.ends_with('m')));
    assert_eq!(plain.shown(), coloured.shown(), "nothing is said by colour alone");
}

#[test]
fn what_a_host_prints_cannot_steer_the_terminal() {
    let evil = "x\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m\r\u{8}\u{202e}y\u{1b}[?25l";
    let push = bad_push().into_iter().map(|(at, event)| (at, evil_twin(event, evil))).collect();
    for mode in [LIVE, COLOURED, Mode::Live { colour: false, verbose: true, unicode: true }] {
        let mut watched = Watched::new(mode, 100, 30);
        let push: Vec<Line> = lines(Vec::clone(&push));
        watched.until(&push, 2000.0);
        watched.close();
        for sequence in sequences(&watched.written) {
            let of_ours = sequence.starts_with('[')
                && sequence[1..]
                    .trim_end_matches(|letter: char| "mABJK".contains(letter))
                    .bytes()
                    .all(|byte| byte.is_ascii_digit() || byte == b';');
            assert!(of_ours, "ESC{sequence:?}");
        }
        let others =
            |letter: char| letter.is_control() && !matches!(letter, '\u{1b}' | '\r' | '\n') || letter == '\u{202e}';
        assert!(!watched.written.contains(others));
        assert!(watched.everything().contains("x y"), "{}", watched.everything());
    }
}

/// The same event with a text that would like to be more than a text.
fn evil_twin(event: Event, evil: &str) -> Event {
    let evil = || evil.to_owned();
    match event {
        Event::PushStarted { hosts, selected, guard_ms, dry_run, .. } => {
            let (fleet, inventory, record, rollback_to) = (evil(), evil(), Some(evil()), Some(evil()));
            Event::PushStarted { fleet, hosts, selected, inventory, guard_ms, record, dry_run, rollback_to }
        }
        Event::Warned { host, .. } => Event::Warned { host, text: AnyReason::without_code(&evil()) },
        Event::Failed { host, .. } => {
            Event::Failed { host, text: AnyReason::without_code(&evil()), hint: Some(evil()) }
        }
        Event::Logged { host, .. } => Event::Logged { host, what: evil(), lines: vec![evil()] },
        Event::RollBackStarted { host, .. } => {
            Event::RollBackStarted { host, reason: AnyReason::without_code(&evil()), hint: Some(evil()) }
        }
        Event::CameBack { host, .. } => Event::CameBack { host, text: AnyReason::without_code(&evil()) },
        Event::HostDone { host, .. } => Event::moved(&host, evil()),
        Event::Finished { outcome, hosts, exit, took_ms, .. } => {
            Event::Finished { outcome, text: AnyReason::without_code(&evil()), hosts, exit, took_ms }
        }
        Event::MatrixSeen { phase, mut cells } => {
            for cell in &mut cells {
                (cell.to, cell.check, cell.kind) = (evil(), evil(), evil());
            }
            Event::MatrixSeen { phase, cells }
        }
        other => other,
    }
}

#[test]
fn a_frame_is_one_write_and_an_idle_screen_writes_nothing() {
    let mut watched = Watched::new(LIVE, 100, 30);
    watched.until(&lines(good_push()), 35.0);
    let before = watched.writes;
    watched.draw();
    assert_eq!(watched.writes, before, "nothing has changed");
    *watched.now.lock().unwrap() += Duration::from_secs(1);
    watched.draw();
    assert_eq!(watched.writes, before + 1);
}

#[test]
fn however_many_events_come_there_are_at_most_ten_frames_a_second() {
    let began = std::time::Instant::now();
    let mut watched = Watched::new(LIVE, 100, 30);
    let many = many_hosts(200);
    let mut frames = 0;
    for line in many.iter().cycle().take(5000) {
        watched.tui.as_mut().unwrap().hear(Some(line)).unwrap();
        let before = watched.writes;
        watched.read();
        frames += watched.writes - before;
    }
    let tenths = began.elapsed().as_millis() / 100;
    assert!(frames as u128 <= tenths + 2, "{frames} frames in {tenths} tenths of a second");
}

/// A terminal after Ctrl-S: takes nothing for as long as the other end lives.
struct Paused(std::sync::mpsc::Receiver<()>);

impl Write for Paused {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.0.recv();
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_terminal_that_stops_reading_holds_nobody_up() {
    let (_resume, paused) = std::sync::mpsc::channel();
    let events = Events::new(None);
    let (measure, now) = (Box::new(|| (100, 30)), Box::new(SystemTime::now));
    let screen = Screen::start_on(LIVE, &events, Paused(paused), measure, now).unwrap();
    good_push().into_iter().cycle().take(10_000).for_each(|(_, event)| events.publish(event));
    assert!(matches!(screen.finish(Duration::from_millis(20)), ScreenEnd::Stuck));
}
