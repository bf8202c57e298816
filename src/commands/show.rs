//! `show`: shows one run, as a page for people or as a report to send.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args};

use super::shared::history::{clock, colour, named, print, state};
use super::shared::recorded_run::Read;
use super::{CommandResult, Trouble, report, tell};
use crate::commands::shared::global::GlobalArgs;
use crate::event::Event;
use crate::event::line::to_millis;
use crate::event::reason::command_fault::WorkstationFault;
use crate::exit::Ending;
use crate::ui::matrix;
use crate::ui::mode::Mode;
use crate::ui::runs::RunStanding;
use crate::ui::show;
use crate::ui::timeline::Timeline;

/// Show what a run did: what went wrong, where the time went, the links before and after, and how it ended
///
/// `--report` makes one text file to send along with a bug report: what happened when and where, of known fields alone.
/// Texts that programs or people have written are in it only with `--with-logs`, and everything in them that looks like
/// an address, a name, a user, a key or a password is hidden. Names of fleets, units and store paths stay: read it
/// before you send it.
///
/// `--html` makes one page for a browser, with the timeline of each host as a picture and the logs folded. It has no
/// script, and fetches nothing.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(group(ArgGroup::new("sent").args(["report", "redacted"]).multiple(true)))]
#[command(after_help = "\
Examples:
  fleetdeploy show                       the last run
  fleetdeploy show last-failed           the last one that was rolled back, refused or split
  fleetdeploy show 20261122-16           the one run whose id begins like this
  fleetdeploy show last-failed --report  its report, as fleetdeploy-report-RUN.txt
  fleetdeploy show last-failed --report --with-logs
                                         the same with all texts and logs
  fleetdeploy show last --html run.html  a page for a browser
  fleetdeploy show last --html run.html --redacted
                                         the same, to send to others

Exit status:
  0  answered, however the run has ended
  1  the record cannot be read, or the report or page not be written
  2  usage, or no such run")]
pub struct ShowArgs {
    /// `last`, `last-failed`, an id of `fleetdeploy runs`, or as much of its beginning as no other run has
    #[arg(value_name = "RUN", default_value = "last")]
    pub run: String,
    /// Write a report for others, without names, addresses, texts and logs, as fleetdeploy-report-RUN.txt
    #[arg(long)]
    pub report: bool,
    /// Write the run as one page of HTML to this file, which must not be there yet; `-` is stdout
    #[arg(long, value_name = "FILE", conflicts_with = "report")]
    pub html: Option<PathBuf>,
    /// With --html: hide what --report hides
    #[arg(long, requires = "html")]
    pub redacted: bool,
    /// With --report or --redacted: also texts and the output of programs, which may hold secrets that cannot be
    /// recognised
    #[arg(long, requires = "sent")]
    pub with_logs: bool,
    /// Write the report to this file, which must not be there yet; `-` is stdout
    #[arg(long, value_name = "FILE", requires = "report")]
    pub output: Option<PathBuf>,
}

pub(super) fn run(global: &GlobalArgs, mode: Mode, arguments: &ShowArgs) -> CommandResult {
    let state = state()?;
    let read = Read::of(named(&state, &arguments.run)?, &state.running())?;
    let ending = Ending::Answered { yes: true };
    if let Some(path) = &arguments.html {
        let page = report::render_html(&read, arguments.redacted, arguments.with_logs)?;
        return write_html(mode, arguments, path, &page);
    }
    if arguments.report {
        let text = report::render(&read, arguments.with_logs)?;
        return write_report(mode, &read, arguments, &text);
    }
    if mode == Mode::Json {
        tell([Event::Answer { answer: json(&read) }], ending)?;
        return Ok(ending);
    }
    let mut heading = read.heading(&clock());
    if read.summary.end.is_failed() {
        let run = &read.summary.run;
        let text = format!(
            "what the hosts said: fleetdeploy logs {run}\nto send to others:   fleetdeploy show {run} --report"
        );
        heading.next.get_or_insert(text);
    }
    print(&show::render(&heading, &read.lines, matrix::WIDTH, colour(global)))?;
    Ok(ending)
}

fn json(read: &Read) -> serde_json::Value {
    let summary = &read.summary;
    serde_json::json!({
        "run": summary.run,
        "kind": summary.kind.word(),
        "fleet": summary.fleet,
        "began": humantime::format_rfc3339_millis(to_millis(summary.began)).to_string(),
        "outcome": read.standing.outcome(),
        "recovered": matches!(read.standing, RunStanding::Recovered(_)),
        "by_hand": read.standing == RunStanding::ByHand,
        "running": read.standing == RunStanding::Running,
        "took_ms": summary.took.map(super::shared::conclusion::millis),
        "exit": summary.exit,
        "missing": summary.missing,
        "hosts": show::hosts(&read.lines),
        "timeline": Timeline::of(&read.lines).json(),
        "record": read.folder.path(),
        "notes": read.notes,
    })
}

fn write_html(mode: Mode, arguments: &ShowArgs, path: &Path, page: &str) -> CommandResult {
    let remark = match (arguments.redacted, arguments.with_logs) {
        (false, _) => None,
        (true, false) => Some(report::READ_IT),
        (true, true) => Some(report::READ_ALL_OF_IT),
    };
    write_where(mode, "html", path, page, remark)
}

fn write_report(mode: Mode, read: &Read, arguments: &ShowArgs, text: &str) -> CommandResult {
    let own = || PathBuf::from(format!("fleetdeploy-report-{}.txt", read.summary.run));
    let path = arguments.output.clone().unwrap_or_else(own);
    let remark = if arguments.with_logs { report::READ_ALL_OF_IT } else { report::READ_IT };
    write_where(mode, "report", &path, text, Some(remark))
}

/// Writes a report or a page, under the name `what` for programs, where nothing is yet: what is there may be one that
/// was looked through already.
fn write_where(mode: Mode, what: &str, path: &Path, text: &str, remark: Option<&str>) -> CommandResult {
    let ending = Ending::Answered { yes: true };
    if path == Path::new("-") {
        if mode == Mode::Json {
            tell([Event::Answer { answer: serde_json::json!({ what: text }) }], ending)?;
        } else {
            print(text)?;
        }
        return Ok(ending);
    }
    write_anew(path, text)?;
    if mode == Mode::Json {
        tell([Event::Answer { answer: serde_json::json!({ what: path }) }], ending)?;
    } else {
        let remark = remark.map(|remark| format!("{remark}\n")).unwrap_or_default();
        print(&format!("{}\n{remark}", path.display()))?;
    }
    Ok(ending)
}

/// The whole of it, or nothing under this name: the draft lies beside it under a name that nobody can foresee.
fn write_anew(path: &Path, text: &str) -> Result<(), Trouble> {
    let unwritable = |error: &io::Error| {
        let is_there = error.kind() == io::ErrorKind::AlreadyExists;
        let (path, said) = (path.display().to_string(), error.to_string());
        Trouble::not_begun(WorkstationFault::ReportUnwritable { path, said, is_there })
    };
    // Before anything is written; it is looked at once more when the draft gets its name.
    if path.symlink_metadata().is_ok() {
        return Err(unwritable(&::nix::errno::Errno::EEXIST.into()));
    }
    let name = path.file_name().ok_or_else(|| unwritable(&io::ErrorKind::InvalidInput.into()))?;
    let mut front = name.to_owned();
    front.push(".");
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let mut builder = tempfile::Builder::new();
    // A report is for its owner until it is sent: a draft is made with 0600.
    let draft = builder.prefix(&front).suffix(".new").tempfile_in(folder);
    let mut draft = draft.map_err(|error| unwritable(&error))?;
    let written = draft.write_all(text.as_bytes()).and_then(|()| draft.as_file().sync_all());
    written.map_err(|error| {
        let (path, said) = (path.display().to_string(), error.to_string());
        Trouble::not_begun(WorkstationFault::ReportCutShort { path, said })
    })?;
    draft.persist_noclobber(path).map_err(|error| unwritable(&error.error))?;
    Ok(())
}
