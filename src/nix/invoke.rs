//! How nix is started, and the errors of short questions to it.

use std::fmt::Write as _;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval};

use super::plain::{last_lines, plain, without_credentials};
use super::printout::Printout;
use super::progress::NixProgress;
use super::tracker::Tracker;
use crate::inventory::model::NixSettings;
use crate::local::process::{Finished, Invocation, ProcessError};

/// The longest a question about the local store may take: a look into its database.
pub(super) const QUESTION_LIMIT: Duration = Duration::from_secs(60);

/// How often the screen hears of progress. Nix itself sends at most one event per activity in this time in newer
/// versions, and one per chunk of 8 bytes in older ones (docs/facts.md, "What nix tells of its work").
const TICK: Duration = Duration::from_millis(100);

/// How many ticks pass before printed lines are given on: the record gets a few lines at a time, not one by one.
const TICKS_OF_A_BATCH: u32 = 2;

/// How many ticks nothing moves until that is told, with nix's last words: 8 s. A binary cache that does not answer
/// keeps a copy standing for minutes (134 s a try: the kernel's own limit of a connect).
const TICKS_OF_STILL: u32 = 80;

/// The most lines of a failed command's stderr that are shown; a NixOS lists every assertion that failed.
const TAIL: usize = 40;

/// The same where every step is asked for: a NixOS has some hundred lines of them.
const TRACE: usize = 400;

/// A question about the local store that was not answered.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    #[error("cannot ask nix")]
    Process(#[from] ProcessError),
    #[error("`{command}` failed: {message}")]
    Failed { command: &'static str, message: String },
    #[error("the answer of `{command}` makes no sense: {answer}")]
    Answer { command: &'static str, answer: String },
}

/// `nix`, with the features that every use here needs, and with nothing that could ask the terminal.
pub(super) fn nix(limit: Duration) -> Invocation {
    quiet(Invocation::new("nix", limit)).args(["--extra-experimental-features", "nix-command flakes"])
}

/// Adds settings. Each value stands behind its option as an argument of its own, so that none can be taken for another
/// option.
pub(super) fn with_settings(invocation: Invocation, settings: &NixSettings) -> Invocation {
    settings.iter().fold(invocation, |invocation, (name, value)| invocation.args(["--option", name, value]))
}

/// Starts `nix-store`, for questions in a form that is older than Nix 2.18.
pub(super) fn nix_store(limit: Duration) -> Invocation {
    quiet(Invocation::new("nix-store", limit))
}

/// Fetching a private flake input starts git and ssh. Both would ask on /dev/tty, and since our children are in process
/// groups of their own they would be stopped there until the limit: they shall fail at once instead.
/// Source: git(1) `GIT_TERMINAL_PROMPT`, ssh(1) `SSH_ASKPASS_REQUIRE`.
fn quiet(invocation: Invocation) -> Invocation {
    let invocation = invocation.env("GIT_TERMINAL_PROMPT", "0").env("SSH_ASKPASS_REQUIRE", "force");
    if std::env::var_os("SSH_ASKPASS").is_some() { invocation } else { invocation.env("SSH_ASKPASS", "false") }
}

/// Runs a short question, and gives its stdout.
pub(super) async fn ask(command: &'static str, invocation: Invocation) -> Result<String, AskError> {
    let finished = invocation.run().await?;
    if finished.succeeded() {
        Ok(finished.stdout_text())
    } else {
        Err(AskError::Failed { command, message: message_of(&finished.stderr_text()) })
    }
}

/// The news of a nix that is at work. The listener must not wait: nix stands still meanwhile.
#[derive(Debug)]
pub enum Heard<'now> {
    /// Something has moved; ten times a second at most, and once at the end.
    Progress(&'now NixProgress),
    /// Its output, for the record: some lines at a time, plain, each cut, and with a bound on all.
    Printed(Vec<String>),
    /// Nothing has moved for so long. Told after 8 s, and again every 8 s.
    Still {
        silent: Duration,
        /// What nix has said last.
        last: Option<&'now str>,
    },
}

/// Runs a long command that speaks `--log-format internal-json`, and follows it. It is ended when others than nix say
/// more than `most` bytes on its stderr.
pub(super) async fn follow(
    invocation: Invocation,
    tracker: Tracker,
    most: u64,
    hear: impl FnMut(Heard<'_>) + Send,
) -> (Result<Finished, ProcessError>, Tracker) {
    // Lines and ticks are taken by turns in one task, and both need all of this: the mutex only shares it.
    let listening = Mutex::new(Listening {
        tracker,
        printout: Printout::default(),
        hear,
        moved: false,
        told: None,
        ticks: 0,
        still: 0,
        last: None,
    });
    let too_much = Notify::new();
    let take = |line: &str| {
        let mut listening = lock(&listening);
        listening.take(line);
        if listening.tracker.said_by_others() > most {
            // A line cannot end nix. The `select!` below does, and to drop the run ends its processes.
            too_much.notify_one();
        }
    };
    let finished = tokio::select! {
        finished = run_with_ticks(invocation, take, || lock(&listening).tick()) => finished,
        () = too_much.notified() => Err(ProcessError::TooMuch { program: "nix".to_owned(), most }),
    };
    let mut listening = listening.into_inner().unwrap_or_else(PoisonError::into_inner);
    listening.end();
    (finished, listening.tracker)
}

/// Runs a command to its end, beside a tick: what came just before nix falls silent for an hour is told all the same.
pub(super) async fn run_with_ticks(
    invocation: Invocation,
    on_line: impl FnMut(&str) + Send,
    on_tick: impl Fn() + Send,
) -> Result<Finished, ProcessError> {
    let mut run = pin!(invocation.run_with(on_line));
    let mut ticks = interval(TICK);
    // After a time in which this program did not run, one tick is enough.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            finished = &mut run => return finished,
            _ = ticks.tick() => on_tick(),
        }
    }
}

struct Listening<Hear> {
    tracker: Tracker,
    printout: Printout,
    hear: Hear,
    /// A line has come since the last tick.
    moved: bool,
    told: Option<NixProgress>,
    ticks: u32,
    /// How many ticks ago something has moved.
    still: u32,
    last: Option<String>,
}

impl<Hear: FnMut(Heard<'_>)> Listening<Hear> {
    fn take(&mut self, line: &str) {
        self.moved = true;
        if let Some(text) = self.tracker.take(line) {
            self.printout.take(&text);
            self.last = text.lines().rfind(|line| !line.trim().is_empty()).map(plain).or_else(|| self.last.take());
            if self.printout.is_full() {
                self.give_printed();
            }
        }
    }

    fn tick(&mut self) {
        self.ticks = self.ticks.wrapping_add(1);
        if std::mem::take(&mut self.moved) {
            self.tell_progress();
        }
        if self.ticks.is_multiple_of(TICKS_OF_A_BATCH) {
            self.give_printed();
        }
        self.still += 1;
        let silent = TICK * self.still;
        if self.still.is_multiple_of(TICKS_OF_STILL) {
            (self.hear)(Heard::Still { silent, last: self.last.as_deref() });
        }
    }

    fn end(&mut self) {
        self.give_printed();
        self.tell_progress();
    }

    fn tell_progress(&mut self) {
        let now = self.tracker.progress();
        if self.told.as_ref() != Some(&now) {
            (self.hear)(Heard::Progress(&now));
            self.told = Some(now);
            self.still = 0;
        }
    }

    fn give_printed(&mut self) {
        let lines = self.printout.drain();
        if !lines.is_empty() {
            (self.hear)(Heard::Printed(lines));
        }
    }
}

/// A panic elsewhere leaves lines and counts, and nothing half done.
pub(super) fn lock<Shared>(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The part of nix's stderr that says what is wrong: from its last `error:` on, without the trace before it.
pub(super) fn message_of(stderr: &str) -> String {
    let text = plain(stderr);
    let text = without_credentials(&text);
    let lines: Vec<&str> = text.lines().collect();
    let said = match lines.iter().rposition(|line| line.trim_start().starts_with("error:")) {
        Some(start) => {
            let indent = lines[start].len() - lines[start].trim_start().len();
            let dedented = lines[start..].iter().map(|line| line.get(indent..).unwrap_or_else(|| line.trim_start()));
            let lines: Vec<&str> = dedented.filter(|line| !line.trim().is_empty()).collect();
            let mut said = lines[..lines.len().min(TAIL)].join("\n");
            if lines.len() > TAIL {
                let _ = write!(said, "\n({} more lines: -v shows them)", lines.len() - TAIL);
            }
            said.trim_start_matches("error:").trim().to_owned()
        }
        None => last_lines(&text, TAIL),
    };
    if said.is_empty() { "nix gave no reason".to_owned() } else { said }
}

/// The same with the trace before it: every step that led to the error, the innermost last. Where there are too many
/// the outermost are left out.
pub(super) fn traced_message_of(stderr: &str) -> String {
    let text = plain(stderr);
    let text = without_credentials(&text);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let Some(start) = lines.iter().position(|line| line.starts_with("error:")) else { return message_of(stderr) };
    let steps = &lines[start + 1..];
    let cut = steps.len().saturating_sub(TRACE);
    let mut said = lines[start].trim_start_matches("error:").trim().to_owned();
    if cut > 0 {
        let _ = write!(said, "\n({cut} lines of outer steps: -v shows them)");
    }
    for line in &steps[cut..] {
        said.push('\n');
        said.push_str(line);
    }
    said.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Like nix, as far as this goes: lines on stderr, then silence.
    fn speaks(script: &str) -> Invocation {
        Invocation::new("sh", Duration::from_secs(30)).args(["-c", script])
    }

    #[tokio::test]
    async fn what_is_said_before_a_silence_is_heard_in_it() {
        let build = r#"@nix {"action":"start","fields":["/nix/store/fbmpni32r9wmi1qrgvi998c5qpih9qsv-bad.drv","",1,1],"id":7,"level":3,"text":"building","type":105}"#;
        let line = r#"@nix {"action":"result","fields":["it hurts"],"id":7,"type":101}"#;
        let folder = tempfile::tempdir().unwrap();
        let go_on = folder.path().join("go on");
        let script =
            format!("echo '{build}' >&2; echo '{line}' >&2; until [ -e '{}' ]; do sleep 0.05; done", go_on.display());
        let (mut running, mut printed) = (None, Vec::new());
        let (finished, _) = follow(speaks(&script), Tracker::default(), u64::MAX, |heard| {
            match heard {
                Heard::Progress(now) => running = now.running.first().map(|build| build.last_line.clone()),
                Heard::Printed(lines) => printed.extend(lines),
                Heard::Still { .. } => {}
            }
            // Only when both were heard does it go on, and end.
            if running == Some(Some("it hurts".to_owned())) && printed == ["building", "bad> it hurts"] {
                std::fs::write(&go_on, "").unwrap();
            }
        })
        .await;
        assert!(finished.unwrap().succeeded());
    }

    #[tokio::test]
    async fn a_flood_is_heard_in_batches() {
        let (mut told, mut batches) = (0, Vec::new());
        let script = "i=0; while [ $i -lt 1000 ]; do echo line $i; i=$((i+1)); done >&2";
        follow(speaks(script), Tracker::default(), u64::MAX, |heard| match heard {
            Heard::Progress(_) => told += 1,
            Heard::Printed(lines) => batches.push(lines.len()),
            Heard::Still { .. } => {}
        })
        .await
        .0
        .unwrap();
        assert_eq!(batches.iter().sum::<usize>(), 1000);
        // Nothing has moved but the lines, and that is told once.
        assert!(told == 1 && batches.iter().all(|&lines| lines <= 200), "{told} {batches:?}");
    }

    #[tokio::test]
    async fn others_who_talk_without_an_end_are_cut_off_and_nix_itself_is_not() {
        let told = |script: &str, most| {
            let script = script.to_owned();
            async move { follow(speaks(&script), Tracker::default(), most, |_| {}).await.0 }
        };
        let error = told("exec yes >&2", 100_000).await.unwrap_err();
        assert!(matches!(error, ProcessError::TooMuch { most: 100_000, .. }), "{error}");
        let line = r#"@nix {"action":"result","fields":[1,2,3,4],"id":7,"type":105}"#;
        let script = format!("i=0; while [ $i -lt 3000 ]; do echo '{line}'; i=$((i + 1)); done >&2");
        assert!(told(&script, 100_000).await.unwrap().succeeded());
    }

    #[test]
    fn a_nix_that_stands_still_is_told_with_its_last_words_and_one_that_moves_is_not() {
        const STILL: Duration = Duration::from_secs(8);
        let heard = Mutex::new(Vec::new());
        let hear = |news: Heard<'_>| {
            if let Heard::Still { silent, last } = news {
                lock(&heard).push((silent, last.map(str::to_owned)));
            }
        };
        let mut listening = Listening {
            tracker: Tracker::default(),
            printout: Printout::default(),
            hear,
            moved: false,
            told: None,
            ticks: 0,
            still: 0,
            last: None,
        };
        let warning = r#"@nix {"action":"msg","level":1,"msg":"warning: unable to download 'https://cache/x'"}"#;
        listening.take(warning);
        let progress = |done| format!(r#"@nix {{"action":"result","fields":[{done},9,0,0],"id":7,"type":105}}"#);
        listening
            .take(r#"@nix {"action":"start","id":7,"level":3,"text":"copying","type":100,"fields":["a","b","c"]}"#);
        for number in 0..TICKS_OF_STILL * 2 {
            listening.take(&progress(number));
            listening.tick();
        }
        assert_eq!(*lock(&heard), []);
        for _ in 0..TICKS_OF_STILL * 2 {
            listening.tick();
        }
        let told: Vec<Duration> = lock(&heard).iter().map(|(silent, _)| *silent).collect();
        assert_eq!(told, [STILL, STILL * 2]);
        assert!(lock(&heard).iter().all(|(_, last)| last.is_some()), "{heard:?}");
    }

    #[test]
    fn every_step_is_told_if_somebody_asks_for_them_and_the_innermost_are_kept() {
        let stderr = "warning: dirty\nerror:\n   … while calling a\n     at /x:1\n\n   error: this one throws\n";
        let said = "… while calling a\n     at /x:1\n   error: this one throws";
        assert_eq!(traced_message_of(stderr), said);
        let steps: Vec<String> = (0..500).map(|number| format!("   … step {number}")).collect();
        let said = traced_message_of(&format!("error:\n{}\n   error: end", steps.join("\n")));
        assert!(said.starts_with("(101 lines of outer steps: -v shows them)\n   … step 101\n"), "{said}");
        assert!(said.ends_with("\n   error: end"), "{said}");
        assert_eq!(traced_message_of("sh: nix: not found\n"), "sh: nix: not found");
    }

    #[test]
    fn the_message_is_what_follows_the_last_error() {
        let stderr = "warning: dirty\nerror:\n       … while calling the 'throw' builtin\n         at \
                      /nix/store/x:1:2:\n\n       error: this one throws\n       and says more\n";
        assert_eq!(message_of(stderr), "this one throws\nand says more");
        assert_eq!(message_of("\u{1b}[31merror:\u{1b}[0m flat\n   at a:1"), "flat\n   at a:1");
        assert_eq!(message_of("sh: nix: not found\n"), "sh: nix: not found");
        assert_eq!(message_of(""), "nix gave no reason");
        assert_eq!(message_of("error: cannot fetch https://token@example.org/x"), "cannot fetch https://example.org/x");
    }
}
