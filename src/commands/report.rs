//! Makes the report of a run, to be sent to others: the known fields of its record, and with `--with-logs` also texts
//! and logs, in which everything that looks private is hidden.

mod known_fields;
mod own_words;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::time::SystemTime;

use serde_json::Value;

use super::Trouble;
use super::shared::history::{clock, unreadable};
use super::shared::recorded_run::Read;
use crate::event::Event;
use crate::event::line::Line;
use crate::record::journal::JournalEntry;
use crate::record::read::logs;
use crate::record::read_whole;
use crate::ui::html::{self, HtmlLog};
use crate::ui::redact::{KnownTexts, Redactor};
use crate::ui::show::Heading;
use crate::ui::when::LocalClock;
use crate::ui::{bounded, json, log, matrix, show};

/// The most lines of each log in a report: the cause of a failure stands at the end.
const LOG_LINES: usize = 300;

/// How much of all logs together a report has, in bytes, and the least of each: no fleet has more than some hundreds.
const LOG_BYTES: usize = 4 << 20;
const LEAST_LOG_BYTES: usize = 8 << 10;

/// Tells a person what to do with a report.
pub(super) const READ_IT: &str = "fleet names, unit names and store paths are left in it: read it before you send it";

/// Tells the same for a report with the output of programs, in which not every secret can be recognised.
pub(super) const READ_ALL_OF_IT: &str =
    "what programs printed is in it, and what looks like a secret is hidden: read all of it before you send it";

/// Puts the report together.
pub(super) fn render(read: &Read, with_logs: bool) -> Result<String, Trouble> {
    let known = known(read);
    let shown = shown_by_its_fleet(&known);
    let mut redactor = Redactor::new(known);
    let hidden = hidden_lines(read, with_logs, &mut redactor);
    // As `--json` writes it, in the order in which it is read.
    let events: String = hidden.iter().map(|line| line.as_ref().map_or_else(Clone::clone, json::render)).collect();
    let lines: Vec<Line> = hidden.into_iter().filter_map(Result::ok).collect();

    let mut out = head(read, with_logs, &shown, &mut redactor);
    let mut section = |title: &str, text: &str| {
        // Writing to a String cannot fail.
        let _ = write!(out, "\n==== {title}\n{text}");
        if !text.ends_with('\n') {
            out.push('\n');
        }
    };
    let heading = hidden_heading(read, &mut redactor);
    section("the run", &show::render(&heading, &lines, matrix::WIDTH, false));
    section("journal.jsonl", &json_lines(&read.folder.journal(), with_logs, &mut redactor));
    section("plan.json", &json_file(&read.folder.plan(), with_logs, &mut redactor));
    let title = match read.left_out {
        0 => "events.jsonl".to_owned(),
        1 => "events.jsonl, without 1 event of progress or output".to_owned(),
        number => format!("events.jsonl, without {number} events of progress or output"),
    };
    section(&title, &events);
    if !with_logs {
        return Ok(out);
    }
    for found in ends_of_logs(read)? {
        let name = redactor.text(&found.name);
        let title = if found.left_out > 0 {
            let shown = found.text.lines().count();
            format!("log of {name}, the last {shown} of {} lines", shown + found.left_out)
        } else {
            format!("log of {name}")
        };
        section(&title, &redactor.text(&found.text));
    }
    Ok(out)
}

/// Makes the page of a run for a browser: all of it, or as a report has it where `is_redacted`.
pub(super) fn render_html(read: &Read, is_redacted: bool, with_logs: bool) -> Result<String, Trouble> {
    let run = &read.summary.run;
    if !is_redacted {
        let heading = read.heading(&clock());
        let remark = format!("fleetdeploy {}, run {run}", env!("CARGO_PKG_VERSION"));
        return Ok(html::render(&heading, &read.lines, &ends_of_logs(read)?, &remark));
    }
    let known = known(read);
    let shown = shown_by_its_fleet(&known);
    let mut redactor = Redactor::new(known);
    let hidden = hidden_lines(read, with_logs, &mut redactor);
    let unreadable = hidden.iter().filter(|line| line.is_err()).count();
    let lines: Vec<Line> = hidden.into_iter().filter_map(Result::ok).collect();
    let logs = if with_logs { ends_of_logs(read)? } else { Vec::new() };
    let logs: Vec<HtmlLog> = logs
        .into_iter()
        .map(|log| HtmlLog { name: redactor.text(&log.name), text: redactor.text(&log.text), ..log })
        .collect();
    let mut heading = hidden_heading(read, &mut redactor);
    if unreadable > 0 {
        heading.notes.push(format!("{unreadable} of the events could not be shown without what is hidden in them"));
    }
    let read_it = if with_logs { READ_ALL_OF_IT } else { READ_IT };
    let remark = format!("fleetdeploy {}, run {run}; redacted, but {read_it}.{shown}", env!("CARGO_PKG_VERSION"));
    Ok(html::render(&heading, &lines, &logs, &remark))
}

/// Says that a name of a host or a person can still be read, where the fleet is called like it.
fn shown_by_its_fleet(known: &KnownTexts) -> String {
    let is_named = |fleet: &String| known.hosts.contains(fleet) || known.users.contains(fleet);
    let fleets: Vec<&str> = known.kept.iter().filter(|fleet| is_named(fleet)).map(String::as_str).collect();
    if fleets.is_empty() {
        return String::new();
    }
    format!(" A fleet is called {}, as a host or a user is: that name is left in it everywhere.", fleets.join(", "))
}

/// The facts of a run without the names of hosts that it ended without. The time is in UTC, because a time zone tells
/// where a person lives.
fn hidden_heading(read: &Read, redactor: &mut Redactor) -> Heading {
    let mut heading = read.heading(&LocalClock::utc(SystemTime::now()));
    heading.next = heading.next.map(|next| redactor.text(&next));
    heading.notes = heading.notes.iter().map(|note| redactor.text(note)).collect();
    heading
}

/// The events without what a report must not have; one that cannot be read any more is its JSON.
fn hidden_lines(read: &Read, with_logs: bool, redactor: &mut Redactor) -> Vec<Result<Line, String>> {
    let values = read.lines.iter().filter_map(|line| serde_json::to_value(line).ok());
    values.map(|value| own_words::hidden_line(value, |value| hide(value, with_logs, redactor))).collect()
}

/// The end of each log: so many lines, none longer than what one may say, and all together within [`LOG_BYTES`].
fn ends_of_logs(read: &Read) -> Result<Vec<HtmlLog>, Trouble> {
    let found = logs(&read.folder).map_err(unreadable)?;
    let most = (LOG_BYTES / found.len().max(1)).max(LEAST_LOG_BYTES);
    let mut ends = Vec::new();
    for found in found {
        let end = found.read_end(most).map_err(unreadable)?;
        let all: Vec<&str> = end.text.lines().collect();
        let over = all.len().saturating_sub(LOG_LINES);
        let lines: Vec<String> = all[over..].iter().map(|line| bounded::said(&log::read_back(line))).collect();
        ends.push(HtmlLog { name: found.name, text: lines.join("\n"), left_out: end.lines_before + over });
    }
    Ok(ends)
}

/// Takes out of a value what a report must not have.
fn hide(value: &mut Value, with_logs: bool, redactor: &mut Redactor) {
    if !with_logs {
        name_ends_of_links(value, redactor);
        known_fields::keep(value);
    }
    redactor.json(value);
}

/// The far end of a link is a host, or whatever a person has called it: each must stay one of its own.
fn name_ends_of_links(value: &mut Value, redactor: &mut Redactor) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                match value {
                    Value::String(to) if key == "to" => *to = redactor.name(to),
                    value => name_ends_of_links(value, redactor),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| name_ends_of_links(value, redactor)),
        _ => {}
    }
}

fn head(read: &Read, with_logs: bool, shown: &str, redactor: &mut Redactor) -> String {
    let (texts, read_it) = if with_logs {
        ("Texts and logs are in it, since --with-logs was given.", READ_ALL_OF_IT)
    } else {
        (
            "No text that anybody wrote or a program printed is in it, each is `(text)`: --with-logs has them, too.",
            READ_IT,
        )
    };
    let mut out = format!(
        "\
fleetdeploy {}: report of run {}

{texts}
Hidden, each thing behind the same word everywhere: names of hosts (HOST-1 in the inventory, NAME-1 elsewhere), \
addresses
and prefixes (ADDRESS-1), users (USER-1), ports of ssh (PORT-1), keys, fingerprints and ids (KEY-1), passwords and \
tokens
(SECRET-1). Users with an ordinary name, such as `admin`, are hidden beside an @ and in /home only.
Not hidden: {read_it}.{shown}
",
        env!("CARGO_PKG_VERSION"),
        read.summary.run,
    );
    let legend = redactor.legend();
    if !legend.is_empty() {
        out.push('\n');
    }
    for (word, host) in legend {
        let _ = writeln!(out, "{word} is how {} was reached", redactor.text(&host));
    }
    out
}

/// Returns the words of the record that must be hidden, and those that must stay.
fn known(read: &Read) -> KnownTexts {
    let folder = &read.folder;
    let mut known = KnownTexts { kept: BTreeSet::from([read.summary.fleet.clone()]), ..KnownTexts::default() };
    known.hosts.extend(show::hosts(&read.lines).iter().map(ToString::to_string));
    let mut hosts = BTreeSet::new();
    for value in read.lines.iter().filter_map(|line| serde_json::to_value(line).ok()) {
        known_fields::add_hosts(&value, &mut hosts);
    }
    known.hosts.extend(hosts);
    for host in folder.read_addresses() {
        let name = host.name.to_string();
        known.hosts.push(name.clone());
        let addresses = host.addresses.into_iter().chain(host.vpn);
        known.addresses.extend(addresses.map(|address| (address, Some(name.clone()))));
        known.users.extend(host.users);
        known.ports.extend(host.ports);
    }
    let mut owners = Vec::new();
    let mut inventories = Vec::new();
    for written in folder.read_journal().unwrap_or_default() {
        match written.entry {
            JournalEntry::Started(started) => {
                known.kept.insert(started.fleet);
                known.hosts.extend(started.hosts.iter().map(|host| host.host.to_string()));
                owners.push(started.owner);
                inventories.push(started.inventory);
            }
            JournalEntry::Recovering(recovering) => owners.push(recovering.owner),
            _ => {}
        }
    }
    if let Some(saved) = folder.read_plan() {
        owners.push(saved.owner);
        inventories.push(saved.inventory);
        known.hosts.extend(saved.plan.hosts.iter().map(|host| host.name.to_string()));
        // Records of older versions have no hosts.json.
        for link in &saved.plan.links {
            for probe in [&link.probe, &link.probe_after] {
                let host = link.to_host.as_ref().map(ToString::to_string);
                known.addresses.extend(probe.address().map(|address| (address.to_owned(), host)));
            }
        }
    }
    for line in &read.lines {
        if let Event::PushStarted { inventory, .. }
        | Event::RecoverStarted { inventory, .. }
        | Event::RebootStarted { inventory, .. }
        | Event::QueryStarted { inventory, .. } = &line.event
        {
            inventories.push(inventory.into());
        }
    }
    for owner in owners {
        // `person@workstation`, and of a recovery a number behind it.
        let owner = owner.split('#').next().unwrap_or_default();
        if let Some((user, workstation)) = owner.rsplit_once('@') {
            known.users.push(user.to_owned());
            known.addresses.push((workstation.to_owned(), None));
        }
    }
    known.users.extend(inventories.iter().filter_map(|path| home_of(path)));
    known
}

/// The person in whose home folder a file lies.
fn home_of(path: &Path) -> Option<String> {
    let mut parts = path.components().skip_while(|part| part.as_os_str() != "home");
    parts.next()?;
    parts.next()?.as_os_str().to_str().map(str::to_owned)
}

fn json_lines(path: &Path, with_logs: bool, redactor: &mut Redactor) -> String {
    let Some(text) = text_of(path) else { return "(none)\n".to_owned() };
    text.lines().map(|line| hidden(line, with_logs, redactor) + "\n").collect()
}

fn json_file(path: &Path, with_logs: bool, redactor: &mut Redactor) -> String {
    text_of(path).map_or_else(|| "(none)".to_owned(), |text| hidden(&text, with_logs, redactor))
}

/// On one line if it is JSON. In the text of a JSON file an address can stand right behind the letter of an escape.
fn hidden(text: &str, with_logs: bool, redactor: &mut Redactor) -> String {
    match serde_json::from_str::<Value>(text) {
        Ok(mut value) => {
            hide(&mut value, with_logs, redactor);
            value.to_string()
        }
        Err(_) if with_logs => redactor.text(&text.replace("\\n", "\n").replace("\\t", "\t")),
        Err(_) => known_fields::LEFT_OUT.to_owned(),
    }
}

fn text_of(path: &Path) -> Option<String> {
    read_whole(path).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn a_home_folder_tells_a_user() {
        assert_eq!(home_of(Path::new("/home/ada/nixos/inventory.yaml")), Some("ada".to_owned()));
        assert_eq!(home_of(Path::new("/etc/nixos/inventory.yaml")), None);
        assert_eq!(home_of(Path::new("/home")), None);
    }
}
