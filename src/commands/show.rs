//! `show`: one run, as a page for people or as a report to send.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::history::{clock, colour, named, print, state};
use super::recorded_run::Read;
use super::{Ended, Trouble, report, tell};
use crate::cli::{Global, Show};
use crate::event::Event;
use crate::event::line::to_millis;
use crate::exit::Ending;
use crate::ui::matrix;
use crate::ui::mode::Mode;
use crate::ui::runs::Standing;
use crate::ui::show;
use crate::ui::timeline::Timeline;

/// A report is for its owner until it is sent.
const REPORT_MODE: u32 = 0o600;

pub(super) fn run(global: &Global, mode: Mode, arguments: &Show) -> Ended {
    let state = state()?;
    let read = Read::of(named(&state, &arguments.run)?, &state.running())?;
    let ending = Ending::Answered { yes: true };
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
        "recovered": matches!(read.standing, Standing::Recovered(_)),
        "by_hand": read.standing == Standing::ByHand,
        "running": read.standing == Standing::Running,
        "took_ms": summary.took.map(super::conclusion::millis),
        "exit": summary.exit,
        "missing": summary.missing,
        "hosts": show::hosts(&read.lines),
        "timeline": Timeline::of(&read.lines).json(),
        "record": read.folder.path(),
        "notes": read.notes,
    })
}

/// Writes the report where nothing is yet: what is there may be a report that was looked through already.
fn write_report(mode: Mode, read: &Read, arguments: &Show, text: &str) -> Ended {
    let output = arguments.output.as_deref();
    let ending = Ending::Answered { yes: true };
    if output == Some(Path::new("-")) {
        if mode == Mode::Json {
            tell([Event::Answer { answer: serde_json::json!({ "report": text }) }], ending)?;
        } else {
            print(text)?;
        }
        return Ok(ending);
    }
    let path =
        output.map_or_else(|| PathBuf::from(format!("fleetdeploy-report-{}.txt", read.summary.run)), Path::to_owned);
    let opened = OpenOptions::new().write(true).create_new(true).mode(REPORT_MODE).open(&path);
    let mut file = opened.map_err(|error| {
        let is_there = error.kind() == std::io::ErrorKind::AlreadyExists;
        let hint = if is_there {
            "nothing is overwritten: name another file with --output FILE, or print it with --output -"
        } else {
            "name another file with --output FILE, or print the report with --output -"
        };
        let error = format!("cannot write the report to {}: {error}", path.display());
        Trouble::not_begun(error, Some(hint.to_owned()))
    })?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    written.map_err(|error| {
        let error = format!("the report in {} is not whole: {error}", path.display());
        Trouble::not_begun(error, Some("make room, and write it again with --output FILE".to_owned()))
    })?;
    if mode == Mode::Json {
        tell([Event::Answer { answer: serde_json::json!({ "report": path }) }], ending)?;
    } else {
        let read_it = if arguments.with_logs { report::READ_ALL_OF_IT } else { report::READ_IT };
        print(&format!("{}\n{read_it}\n", path.display()))?;
    }
    Ok(ending)
}
