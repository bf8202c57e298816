//! What a run leaves for others: metrics, a page for a CI job, a recap for the hooks. None of it changes how it has
//! ended.

use std::fs::{File, Metadata, Permissions};
use std::io::{self, Write};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use clap::Args;
use nix::fcntl::OFlag;

use crate::event::line::Line;
use crate::event::stream::{Events, Listener, ListenerEnd};
use crate::event::{Event, Outcome, VERSION, steady};
use crate::inventory::model::Hooks;
use crate::local::private;
use crate::record::folder::StateFolder;
use crate::record::read;
use crate::ui::recap::{self, RecapStyle};
use crate::ui::summary::JobSummary;
use crate::ui::view::What;
use crate::ui::{metrics, print_note};

/// How long the last events may take to be folded, and a pipe to take a report.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long to wait before a pipe that takes nothing just now is tried again.
const WRITE_PAUSE: Duration = Duration::from_millis(20);

/// A collector, which is another user, may read metrics whatever the umask is.
const METRICS_MODE: u32 = 0o644;

/// A page has words of hosts and hooks, and is as private as the record that has the same.
const PAGE_MODE: u32 = 0o600;

/// Where GitHub reads the page of a step: what others have written there stays. Source: docs.github.com, "Workflow
/// commands", "Adding a job summary".
const STEP_SUMMARY: &str = "GITHUB_STEP_SUMMARY";

/// How many former runs are looked at for the last commit.
const RUNS: usize = 50;

#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
#[command(next_help_heading = "Reports")]
pub struct ReportArgs {
    /// Write the end as metrics to this file, for the textfile collector of Prometheus' node exporter
    ///
    /// The file is replaced as a whole, also where the push was refused or rolled back. It stays as it is with
    /// --dry-run, and where the push could not begin (another one holds the fleet, the inventory has a mistake): let an
    /// alert ask how old `fleetdeploy_push_end_timestamp_seconds` is.
    #[arg(long, value_name = "FILE")]
    pub metrics: Option<PathBuf>,
    /// Write a page in Markdown to this file: every host, what changed, the links, the reasons; default: appended to
    /// `$GITHUB_STEP_SUMMARY`
    ///
    /// Only you may read the file. No page: `--summary /dev/null`.
    #[arg(long, value_name = "FILE")]
    pub summary: Option<PathBuf>,
}

/// Hears a run, and writes its reports.
pub(crate) struct Reports {
    arguments: ReportArgs,
    heard: Arc<Mutex<JobSummary>>,
    listener: Option<Listener>,
}

impl Reports {
    /// Hears everything from now on, if anybody wants a report. Where that cannot be there are none, and the run is not
    /// held up.
    pub(crate) fn start(arguments: ReportArgs, hooks: &Hooks, events: &Events) -> Self {
        let heard = Arc::new(Mutex::new(JobSummary::default()));
        let ear = Arc::clone(&heard);
        let hear = move |line: &Line| {
            ear.lock().unwrap_or_else(PoisonError::into_inner).take(line);
            Ok(())
        };
        let is_wanted = arguments != ReportArgs::default()
            || step_summary().is_some()
            || !(hooks.after_commit.is_empty() && hooks.after_abort.is_empty());
        let listener = is_wanted.then(|| events.listen("reports", hear).ok()).flatten();
        Self { arguments, heard, listener }
    }

    /// Returns the recap of a run that ends so, as text.
    pub(crate) fn recap(&self, end: &Event) -> String {
        let Some(listener) = &self.listener else { return String::new() };
        let _ = listener.follower().has_heard_all(PATIENCE);
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let mut view = heard.view().clone();
        drop(heard);
        let last = Line { version: VERSION, run: view.run.clone(), seq: 0, at: steady::now(), event: end.clone() };
        view.take(&last);
        let style = RecapStyle { colour: false, columns: 80, wrapped: false, whole: false };
        recap::render(&view, style).trim_start().to_owned()
    }

    /// Writes them, once the run has ended.
    pub(crate) fn finish(mut self) {
        let Some(listener) = self.listener.take() else { return };
        let is_whole = matches!(listener.finish(PATIENCE), ListenerEnd::Complete);
        // A listener that is stuck may hold what it has heard.
        let heard = is_whole.then(|| self.heard.lock().unwrap_or_else(PoisonError::into_inner));
        let view = heard.as_ref().map(|heard| heard.view());
        // A look ahead is no push.
        let is_push = view.is_none_or(|view| view.what != What::DryRun);
        if let Some(file) = self.arguments.metrics.as_ref().filter(|_| is_push) {
            let text = view.map(|view| {
                let is_new = view.finished.as_ref().is_some_and(|finished| finished.outcome == Outcome::Committed);
                let last = if is_new { view.heard } else { view.fleet.as_deref().and_then(last_commit) };
                metrics::of_push(view, last)
            });
            told(file, write_metrics(file, &text.unwrap_or_default()));
        }
        let page = || heard.as_ref().map(|heard| heard.render()).unwrap_or_default();
        match (&self.arguments.summary, step_summary()) {
            (Some(file), _) => told(file, write(file, &page(), PAGE_MODE)),
            (None, Some(file)) => told(&file, append(&file, &page())),
            (None, None) => {}
        }
    }
}

/// The file of a CI job's page, if this is one.
fn step_summary() -> Option<PathBuf> {
    std::env::var_os(STEP_SUMMARY).filter(|file| !file.is_empty()).map(PathBuf::from)
}

/// Says when a push of that fleet from this workstation has brought new systems last.
pub(crate) fn last_commit(fleet: &str) -> Option<SystemTime> {
    let state = StateFolder::locate(|name| std::env::var_os(name)).ok()?;
    let runs = state.list().unwrap_or_default();
    runs.iter().rev().filter(|id| id.fleet() == fleet).take(RUNS).find_map(|id| {
        let mut at = None;
        let run = state.open_run(id)?;
        let _ = read::each_event(&run.events(), |line| {
            if let Event::Finished { outcome: Outcome::Committed, .. } = line.event {
                at = Some(line.at);
            }
        });
        at
    })
}

/// A report that cannot be written is said, and changes no exit status: the push has ended as it has.
pub(crate) fn told(file: &Path, written: io::Result<()>) {
    if let Err(error) = written {
        print_note(&format!("cannot write {}: {error}\n", file.display()));
    }
}

/// Writes metrics so that a reader sees the old ones or the new ones, whole.
pub(crate) fn write_metrics(file: &Path, text: &str) -> io::Result<()> {
    write(file, text, METRICS_MODE)
}

/// Only a file is replaced, and a link to one stays. What is none, such as `/dev/null`, is written into.
fn write(file: &Path, text: &str, mode: u32) -> io::Result<()> {
    let text = known(text)?;
    match std::fs::metadata(file) {
        Ok(found) => match own_stream(&found) {
            Some(stream) => pour(stream, text),
            None if found.is_file() => replace(&file.canonicalize()?, text, mode),
            None => pour(File::options().write(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(file)?, text),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => match std::fs::read_link(file) {
            Ok(to) => write(&folder_of(file).join(to), text, mode),
            Err(_) => replace(file, text, mode),
        },
        Err(error) => Err(error),
    }
}

/// Behind what others have written there.
fn append(file: &Path, text: &str) -> io::Result<()> {
    let mut options = File::options();
    options.append(true).create(true).custom_flags(OFlag::O_NONBLOCK.bits());
    pour(private::open(&mut options, file)?, known(text)?)
}

/// What is not known does not take the place of what was known.
fn known(text: &str) -> io::Result<&str> {
    if text.is_empty() { Err(io::Error::other("how it has ended was not heard")) } else { Ok(text) }
}

/// The draft lies beside the file under a name that nobody can foresee, and does not end as the file does: a collector
/// takes every file of a folder that ends in `.prom`.
fn replace(file: &Path, text: &str, mode: u32) -> io::Result<()> {
    let mut front = file.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
    front.push(".");
    let mut draft = tempfile::Builder::new().prefix(&front).suffix(".new").tempfile_in(folder_of(file))?;
    draft.as_file().set_permissions(Permissions::from_mode(mode))?;
    draft.write_all(text.as_bytes())?;
    draft.persist(file).map_err(|error| error.error)?;
    Ok(())
}

fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

/// The output of this program that a path such as `/dev/stdout` leads to. It may be a file that has more than the
/// report, so it goes on where it stands.
fn own_stream(found: &Metadata) -> Option<File> {
    let (stdout, stderr) = (io::stdout(), io::stderr());
    [stdout.as_fd(), stderr.as_fd()].into_iter().find_map(|stream| {
        let stream = File::from(stream.try_clone_to_owned().ok()?);
        let own = stream.metadata().ok()?;
        ((own.dev(), own.ino()) == (found.dev(), found.ino())).then_some(stream)
    })
}

/// A pipe that nobody empties holds up the end of the program for a while only.
fn pour(mut out: File, text: &str) -> io::Result<()> {
    let began = Instant::now();
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        match out.write(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => rest = &rest[written..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && began.elapsed() < PATIENCE => {
                std::thread::park_timeout(WRITE_PAUSE);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Read as _;
    use std::os::unix::fs::symlink;

    use nix::sys::stat::{Mode, umask};
    use nix::unistd::mkfifo;

    use super::*;
    use crate::event::reason::any::AnyReason;

    fn mode(file: &Path) -> u32 {
        std::fs::metadata(file).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn a_file_is_replaced_whole_and_a_draft_is_not_left_behind() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("push.prom");
        write_metrics(&file, "one, which is long\n").unwrap();
        let before = File::open(&file).unwrap();
        write_metrics(&file, "two\n").unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "two\n");
        // Who reads it meanwhile has the old one, whole.
        assert_eq!(io::read_to_string(before).unwrap(), "one, which is long\n");
        // A folder cannot be replaced by a file.
        let folder = home.path().join("folder");
        std::fs::create_dir_all(folder.join("full")).unwrap();
        assert!(write_metrics(&folder, "x").is_err());
        let mut left: Vec<_> = std::fs::read_dir(home.path()).unwrap().map(|one| one.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["folder", "push.prom"]);
    }

    /// The device itself is never written by its path here: without the mend, root would lose it.
    #[test]
    fn what_is_no_file_is_written_into_and_a_link_stays_a_link() {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        let is_link = |name: &str| at(name).symlink_metadata().unwrap().is_symlink();
        symlink("/dev/null", at("null")).unwrap();
        write(&at("null"), "page\n", PAGE_MODE).unwrap();
        assert!(is_link("null"));
        assert!(!std::fs::metadata(at("null")).unwrap().is_file());

        mkfifo(&at("fifo"), Mode::S_IRWXU).unwrap();
        assert!(write(&at("fifo"), "page\n", PAGE_MODE).is_err(), "nobody reads it");
        let reading = File::options().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(at("fifo"));
        let mut reader = reading.unwrap();
        write(&at("fifo"), "page\n", PAGE_MODE).unwrap();
        let mut read = [0; 16];
        let count = reader.read(&mut read).unwrap();
        assert_eq!(&read[..count], b"page\n");

        // The first time there is nothing behind the link.
        std::fs::create_dir(at("folder")).unwrap();
        symlink("folder/file", at("link")).unwrap();
        for text in ["one\n", "two\n"] {
            write_metrics(&at("link"), text).unwrap();
            assert!(is_link("link"));
            assert_eq!(std::fs::read_to_string(at("folder/file")).unwrap(), text);
        }
        // An output of this program is not begun anew.
        let own = File::from(io::stdout().as_fd().try_clone_to_owned().unwrap());
        assert!(own_stream(&own.metadata().unwrap()).is_some());
        assert!(own_stream(&std::fs::metadata(at("folder/file")).unwrap()).is_none());
    }

    /// The umask is the whole process's: see the tests of [`private`].
    #[test]
    fn a_collector_may_read_metrics_and_nobody_else_a_page() {
        for bits in [0o000, 0o077] {
            let home = tempfile::tempdir().unwrap();
            let at = |name: &str| home.path().join(name);
            std::fs::write(at("old"), "").unwrap();
            std::fs::set_permissions(at("old"), Permissions::from_mode(0o666)).unwrap();
            let before = umask(Mode::from_bits_truncate(bits));
            let written = write_metrics(&at("push.prom"), "x")
                .and_then(|()| write(&at("page.md"), "x", PAGE_MODE))
                .and_then(|()| write(&at("old"), "x", PAGE_MODE))
                .and_then(|()| append(&at("step.md"), "x"));
            umask(before);
            written.unwrap();
            let modes = ["push.prom", "page.md", "old", "step.md"].map(|name| mode(&at(name)));
            assert_eq!(modes, [0o644, 0o600, 0o600, 0o600], "umask {bits:o}");
        }
    }

    /// The reports of a run with these events, where each file has something of the one before.
    fn reported(told: Vec<Event>) -> [String; 2] {
        let home = tempfile::tempdir().unwrap();
        let (metrics, summary) = (home.path().join("push.prom"), home.path().join("page.md"));
        let files = [metrics.clone(), summary.clone()];
        for file in &files {
            std::fs::write(file, "the one before\n").unwrap();
        }
        let events = Events::new(None);
        let arguments = ReportArgs { metrics: Some(metrics), summary: Some(summary) };
        let reports = Reports::start(arguments, &Hooks::default(), &events);
        for event in told {
            events.publish(event);
        }
        reports.finish();
        files.map(|file| std::fs::read_to_string(file).unwrap())
    }

    #[test]
    fn an_end_that_was_not_heard_and_a_look_ahead_do_not_take_the_place_of_the_last_push() {
        let started = |dry_run| Event::PushStarted {
            fleet: "lab".into(),
            hosts: Vec::new(),
            selected: Vec::new(),
            inventory: "inventory.yaml".into(),
            guard_ms: 0,
            record: None,
            dry_run,
            rollback_to: None,
        };
        let (text, hosts) = (AnyReason::without_code("done"), BTreeMap::new());
        let finished = Event::Finished { outcome: Outcome::Unchanged, text, hosts, exit: 0, took_ms: 1 };
        let before = "the one before\n".to_owned();
        assert_eq!(reported(vec![started(false)]), [before.clone(), before.clone()]);
        let [metrics, page] = reported(vec![started(true), finished.clone()]);
        assert_eq!(metrics, before);
        assert!(page.starts_with("## fleetdeploy lab: "), "{page}");
        let [metrics, _] = reported(vec![started(false), finished]);
        assert!(metrics.contains("outcome=\"unchanged\"} 1\n"), "{metrics}");
    }
}
