//! Moments of real runs as a person sees them: whether a stranger finds on the screen what is asked in such a moment.
//!
//! The events are those of runs on the lab (`scripts/screens.sh`), never written by hand. docs/screens.md shows the
//! screens with the questions and the answers: `FLEETDEPLOY_BLESS=1 cargo test --test screens` writes it anew.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "screens/moments.rs"]
mod moments;

use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use fleetdeploy::event::line::Line;
use fleetdeploy::ui::mode::Mode;
use fleetdeploy::ui::tui::Tui;
use pretty_assertions::assert_eq;

use self::moments::{At, MOMENTS, Moment};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/screens.md");
const RECORDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/screens");

/// Columns and lines of the terminals: the smallest that everybody has, and a usual one.
const SIZES: [(u16, u16); 2] = [(80, 24), (100, 30)];

const QUESTIONS: [&str; 3] = [
    "What happens to each machine now, and if nobody does anything?",
    "Is one about to be lost?",
    "What do I type, and until when do I wait?",
];

const INTRODUCTION: &str = "# Screens

This page shows moments of real runs on three hosts of the lab, good and bad ones, as a person sees them on a terminal
of 80 columns and 24 lines, and on one of 100 and 30. Beside each stand the three questions that a person asks in such
a moment, the answers that the run itself then gave, and the words of the screen that say so. `tests/screens.rs` writes
the page, and fails if a screen does not say them any more; `scripts/screens.sh` makes the runs. The hosts have short
limits and guards, so that the runs are short.

The answers are those of the authors. A reader who knew nothing of fleetdeploy was then shown the screens of 80 columns
alone. It was right about what happens to the machines in 2, 5, 8, 13 and 18, and unsure in these points:

| where | what was not understood | since then |
|---|---|---|
| 3, 6, 9 | `until 17s` was read as a time of the clock | it says `17s more` |
| 8, 15 | whether any guard is still armed at the end | the last lines say so |
| 10, 20 | whether hosts that are back restart once more if one leaves | it says that kept guards then fire, too |
| 4, 7, 11, 12, 21 | whether `recover` is typed now or after the time that is named, and where it goes | \
each sentence says when, and to which side |
| 16 | in a rollback `old` and `new` are the other way round | \
it says *the earlier system* and *what it ran until now* |
| 17 | until when a reboot is waited for, and what comes then | the sentence and the row say it |
| 19 | of a guard by hand the latest return is shown first, and not until when it can be disarmed | \
that stands first now |
| 14, 15 | whether a host starts whose boot loader could not be installed, though its line says so | \
it says that what it boots is unchanged |
| 5 | with what to reboot a host that needs it | the command stands there |

An author then read them once more as a stranger would, at 80 columns, with the questions what happens, whether anything
is wrong, what to type and when. That is a second look of somebody who knows the answers, and proves less than the
first. It found:

| where | what can be misread | since then |
|---|---|---|
| 3, 6, 9 | `17s more, then all go back` sounds as if all went back in any case | it says `else` |
| 9 | a host out of reach, and the line below, had two ends | both have the first of them |
| 7, 10 | `Ctrl-C twice`, when one was typed already | it says `once more` from then on |
| 10 | the row has an end five seconds before its guard's | the guard's time alone stands there |
| 8, 15 | whether something is still to be done on the hosts | the last lines say that nothing is |
| 15 | how to mend the boot loader | the installer's last words and what to look at stand there |
| 12 | the log above is that of the run before, not of this one | it is one line, and says so |

A second reader who knew nothing was then shown the screens of both sizes, without titles and answers. Of
the 66 questions it answered 23 wholly and 39 in part, and four not at all: whether a host is about to be lost in
6 and 16 (a guard would boot what never booted), 12 (`rebooting` in an old trace) and 17 (no word of a guard). What it
could have misunderstood, and what stands there since:

| where | what was not understood | since then |
|---|---|---|
| 2, 3, 6, 9, 16 | `fires 2m 18s` sounds as if the guard fired in any case | \
the sentence says that the guards are disarmed in time |
| 2, 3, 6, 9, 16 | why there are three times | it says that hosts boot after their guards have fired |
| 4 | what `recover` does here and there, and until when | it says before which time, and who types it where |
| 4 | `Ctrl-C lets this finish` | it says that Ctrl-C does not stop it |
| 6, 7, 8, 16 | which system `what runs now` is, and what to do about it | \
it says *its old system*, and to reboot before (not in these records, which are older) |
| 7, 14, 18 | who *the others* are, and whether the way back is a reboot | \
it says who is left, and that it is none as a rule |
| 10, 20, 22 | whether kept guards fire if one only waits; that a reboot is called harmless | \
it says that they are disarmed at the end, and what leaving brings |
| 12 | to which side all go, and whether guards go on | it names the sides, and says that guards stay armed |
| 17 | whether the reboot is guarded; `lets the others go` | it says that it is not, and that no other is rebooted |
| 20 | whether a guard *must have fired* is known | it says that its time is over |
| 21 | `What is gone for good:` reads like a heading | it begins with *if* (not in this record, which is older) |
| 5 | whether a guard is armed still | the last lines say that none is |

It also asked for things that stay as they are: the hour of the clock beside a time that is left, what a power cycle
brings (nobody knows before the boot loader is read again), and how long the way back takes when all goes well (what
former runs took stands in `plan`).
";

/// Keeps what is written.
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

fn record(name: &str) -> Vec<Line> {
    let text = std::fs::read_to_string(format!("{RECORDS}/{name}.jsonl")).unwrap();
    text.lines().map(|one| serde_json::from_str(one).unwrap()).collect()
}

/// The time that a moment means.
fn time_of(lines: &[Line], at: &At) -> SystemTime {
    match at {
        At::End => lines.last().unwrap().at,
        At::After { event, seconds } => {
            let is_it = |line: &&Line| serde_json::to_string(line).unwrap().contains(event);
            let found = lines.iter().find(is_it).unwrap_or_else(|| panic!("no event has {event}"));
            found.at + Duration::from_secs_f64(*seconds)
        }
    }
}

/// What stands on a terminal of this size at that moment, from its first event on.
fn screen(lines: &[Line], moment: SystemTime, (columns, rows): (u16, u16)) -> String {
    let (bytes, now) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(moment)));
    let clock = Arc::clone(&now);
    let mode = Mode::Live { colour: false, verbose: false, unicode: true };
    let mut terminal = avt::Terminal::with_scrollback(columns.into(), rows.into(), Some(10_000)).unwrap();
    {
        let (measure, read) = (Box::new(move || (columns, rows)), Box::new(move || *clock.lock().unwrap()));
        let mut tui = Tui::new(mode, Kept(Arc::clone(&bytes)), measure, read);
        for line in lines.iter().filter(|line| line.at <= moment) {
            *now.lock().unwrap() = line.at;
            tui.take(line);
            tui.draw().unwrap();
        }
        *now.lock().unwrap() = moment;
        tui.draw().unwrap();
        terminal.feed([String::from_utf8(std::mem::take(&mut *bytes.lock().unwrap())).unwrap().as_str()]);
    }
    let shown: Vec<String> = terminal.screen().visible_lines().map(|line| line.text().trim_end().to_owned()).collect();
    shown.join("\n").trim_end().to_owned() + "\n"
}

/// The words alone, whatever line they stand on; every time is `#`.
fn words(text: &str) -> String {
    let is_time = |word: &str| {
        let digits = word.trim_end_matches(['s', 'm', 'h']);
        word.len() == digits.len() + 1 && !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    let mut out: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let bare = word.trim_end_matches([',', ';', ':', '.', ')']);
        if is_time(bare) {
            let after = &word[bare.len()..];
            if out.last().is_some_and(|last| last == "#") {
                out.pop();
            }
            out.push(format!("#{after}"));
        } else {
            out.push(word.to_owned());
        }
    }
    out.join(" ")
}

/// Each answer with the words of the screen that give it.
fn answers(moment: &Moment) -> [(&'static str, &'static [&'static str]); 3] {
    [moment.happens, moment.lost, moment.todo]
}

#[test]
fn every_moment_answers_the_three_questions_at_both_sizes() {
    let mut missing = String::new();
    for moment in MOMENTS {
        let lines = record(moment.record);
        let at = time_of(&lines, &moment.at);
        for size in SIZES {
            let shown = words(&screen(&lines, at, size));
            for (question, (_, quotes)) in QUESTIONS.iter().zip(answers(moment)) {
                for quote in quotes.iter().filter(|quote| !shown.contains(&words(quote))) {
                    let (title, (columns, rows)) = (moment.title, size);
                    writeln!(missing, "{title} ({columns}x{rows}): {question}\n  is not on the screen: {quote}")
                        .unwrap();
                }
            }
        }
    }
    assert!(missing.is_empty(), "{missing}");
}

#[test]
fn no_word_is_broken_and_no_line_stands_twice() {
    for moment in MOMENTS {
        let lines = record(moment.record);
        let at = time_of(&lines, &moment.at);
        for size in SIZES {
            let shown = screen(&lines, at, size);
            // Rows and tables may be alike for two hosts.
            let is_sentence = |line: &&str| !line.starts_with("  ") && line.split_whitespace().count() > 5;
            let of_ours: Vec<&str> = shown.lines().filter(is_sentence).collect();
            for (number, line) in of_ours.iter().enumerate() {
                assert!(!of_ours[..number].contains(line), "{}: twice: {line}\n{shown}", moment.title);
                assert!(!line.contains("/nix/store/"), "{}: a store path: {line}", moment.title);
                assert!(line.chars().count() <= usize::from(size.0), "{}: {line}", moment.title);
            }
        }
    }
}

#[test]
fn the_page_shows_what_the_screen_shows() {
    let page = page();
    if std::env::var_os("FLEETDEPLOY_BLESS").is_some() {
        std::fs::write(PAGE, &page).unwrap();
    }
    assert_eq!(std::fs::read_to_string(PAGE).unwrap(), page);
}

fn page() -> String {
    let mut out = INTRODUCTION.to_owned();
    for (number, moment) in MOMENTS.iter().enumerate() {
        let lines = record(moment.record);
        let at = time_of(&lines, &moment.at);
        writeln!(out, "\n## {}. {}\n\n```sh\n{}\n```\n", number + 1, moment.title, moment.typed).unwrap();
        for (question, (truth, quotes)) in QUESTIONS.iter().zip(answers(moment)) {
            let quotes: Vec<String> = quotes.iter().map(|quote| format!("`{quote}`")).collect();
            writeln!(out, "- {question} {truth} The screen: {}", quotes.join(", ")).unwrap();
        }
        for size in SIZES {
            writeln!(out, "\n```text\n{}```", screen(&lines, at, size)).unwrap();
        }
        let hosts = format!("{RECORDS}/{}.hosts", moment.record);
        if Path::new(&hosts).exists() {
            let said = std::fs::read_to_string(hosts).unwrap();
            let said: Vec<&str> = said.lines().collect();
            writeln!(out, "\nAfter that run the hosts themselves said: {}.", said.join("; ")).unwrap();
        }
    }
    out
}
