//! What a run leaves for others: metrics, a page for a CI job, a recap for the hooks. None of it changes how it has
//! ended.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use clap::Args;

use crate::event::line::Line;
use crate::event::stream::{Events, Listener};
use crate::event::{Event, Outcome, VERSION, steady};
use crate::inventory::model::Hooks;
use crate::record::folder::StateFolder;
use crate::record::read;
use crate::ui::recap::{self, RecapStyle};
use crate::ui::summary::JobSummary;
use crate::ui::{metrics, print_note};

/// How long the last events may take to be folded.
const PATIENCE: Duration = Duration::from_secs(5);

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
    /// The file is replaced as a whole, also where the push was refused or rolled back.
    #[arg(long, value_name = "FILE")]
    pub metrics: Option<PathBuf>,
    /// Write a page in Markdown to this file: every host, what changed, the links, the reasons; default: appended to
    /// `$GITHUB_STEP_SUMMARY`
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
        let _ = listener.finish(PATIENCE);
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = &self.arguments.metrics {
            let view = heard.view();
            let is_new = view.finished.as_ref().is_some_and(|finished| finished.outcome == Outcome::Committed);
            let last = if is_new { view.heard } else { view.fleet.as_deref().and_then(last_commit) };
            told(file, write_whole(file, &metrics::of_push(view, last)));
        }
        let page = || heard.render();
        match (&self.arguments.summary, step_summary()) {
            (Some(file), _) => told(file, write_whole(file, &page())),
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

/// Writes a file so that a reader sees the old one or the new one, whole; others may read it. The draft lies beside it
/// and does not end as the file does: a collector takes every file of a folder that ends in `.prom`.
pub(crate) fn write_whole(file: &Path, text: &str) -> io::Result<()> {
    let mut draft = file.as_os_str().to_owned();
    draft.push(format!(".{}.new", std::process::id()));
    let draft = PathBuf::from(draft);
    let written = File::create(&draft).and_then(|mut out| out.write_all(text.as_bytes()));
    let written = written.and_then(|()| std::fs::rename(&draft, file));
    if written.is_err() {
        let _ = std::fs::remove_file(&draft);
    }
    written
}

fn append(file: &Path, text: &str) -> io::Result<()> {
    File::options().append(true).create(true).open(file)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_a_draft_is_not_left_behind() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("push.prom");
        write_whole(&file, "one, which is long\n").unwrap();
        let before = File::open(&file).unwrap();
        write_whole(&file, "two\n").unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "two\n");
        // Who reads it meanwhile has the old one, whole.
        assert_eq!(io::read_to_string(before).unwrap(), "one, which is long\n");
        // A folder cannot be replaced by a file.
        let folder = home.path().join("folder");
        std::fs::create_dir_all(folder.join("full")).unwrap();
        assert!(write_whole(&folder, "x").is_err());
        let mut left: Vec<_> = std::fs::read_dir(home.path()).unwrap().map(|one| one.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["folder", "push.prom"]);
    }
}
