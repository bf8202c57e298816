//! The page of a run in Markdown, for the summary of a CI job: what became of each host, what changed, the links, and
//! every reason and warning.

use crate::event::line::Line;
use crate::event::{Event, HostOutcome};
use crate::inventory::model::HostName;
use crate::ui::recap::{self, RecapStyle};
use crate::ui::view::{FinishedView, FleetView};
use crate::ui::{matrix, sanitise};

/// How many reasons and warnings are shown, so that a fleet of hundreds stays a page; the record has all.
const REASONS: usize = 50;

/// How wide what is laid out already may be: a page of a CI job scrolls sideways.
const COLUMNS: usize = 120;

/// Hears the events of a run, and makes a page of them.
#[derive(Debug, Default)]
pub struct JobSummary {
    view: FleetView,
    failures: ToldReasons,
    warnings: ToldReasons,
}

/// Lines of a list, and how many there would be.
#[derive(Debug, Default)]
struct ToldReasons {
    lines: Vec<String>,
    left_out: usize,
}

impl ToldReasons {
    fn take(&mut self, host: Option<&HostName>, text: &str, hint: Option<&str>) {
        let host = host.map(|host| format!("**{}**: ", escaped(host.as_str()))).unwrap_or_default();
        let hint = hint.map(|hint| format!("  \n  to mend it: {}", escaped(hint))).unwrap_or_default();
        let line = format!("- {host}{}{hint}\n", escaped(text));
        match self.lines.len() {
            // The same may be told more than once.
            _ if self.lines.contains(&line) => {}
            REASONS.. => self.left_out += 1,
            _ => self.lines.push(line),
        }
    }

    fn section(&self, title: &str) -> String {
        if self.lines.is_empty() {
            return String::new();
        }
        let more = (self.left_out > 0).then(|| format!("- and {} more, which the record has\n", self.left_out));
        format!("\n### {title}\n\n{}{}", self.lines.concat(), more.unwrap_or_default())
    }
}

impl JobSummary {
    #[must_use]
    pub fn new() -> Self {
        Self { view: FleetView::of([]), failures: ToldReasons::default(), warnings: ToldReasons::default() }
    }

    pub fn take(&mut self, line: &Line) {
        match &line.event {
            Event::Failed { host, text, hint } => {
                self.failures.take(host.as_ref(), &text.to_string(), hint.as_deref());
            }
            Event::Warned { host, text } => self.warnings.take(host.as_ref(), &text.to_string(), None),
            _ => {}
        }
        self.view.take(line);
    }

    /// What the events say, folded.
    #[must_use]
    pub fn view(&self) -> &FleetView {
        &self.view
    }

    /// The page; nothing of a run that has not ended.
    #[must_use]
    pub fn render(&self) -> String {
        let view = &self.view;
        let Some(finished) = &view.finished else { return String::new() };
        let (word, _) = recap::word_of(finished.outcome);
        let fleet = view.fleet.as_deref().map(|fleet| format!("{}: ", escaped(fleet))).unwrap_or_default();
        let mut page = format!("## fleetdeploy {fleet}{word}\n\n{}\n", escaped(finished.text.trim_end()));
        page += &hosts(view, finished);
        let style = RecapStyle { colour: false, columns: COLUMNS, wrapped: true, whole: true };
        page += &folded("What changed", &recap::what_changed(view, finished, style));
        let links = view.latest.as_ref().map_or(&view.baseline, |(_, links)| links);
        if !links.is_empty() {
            page += &folded(&matrix::count(links), &matrix::render(links, COLUMNS, false));
        }
        page += &self.failures.section("Why");
        page += &self.warnings.section("Warnings");
        if let (Some(run), Some(_)) = (&view.run, &view.record) {
            page += &format!("\nLook closer: `fleetdeploy show {}`\n", sanitise::line(run).replace('`', ""));
        }
        page
    }
}

fn hosts(view: &FleetView, finished: &FinishedView) -> String {
    if finished.hosts.is_empty() {
        return String::new();
    }
    let mut table = "\n| host | outcome | generation | system | reboot |\n|---|---|---|---|---|\n".to_owned();
    for (host, outcome) in recap::ends(view, finished) {
        let cells = recap::row(host, outcome, view);
        let cells: Vec<String> = cells.iter().take(5).map(|cell| escaped(cell.text())).collect();
        table += &format!("| {} |\n", cells.join(" | "));
    }
    for (host, outcome) in recap::ends(view, finished) {
        if let HostOutcome::Lost { why } | HostOutcome::Left { why, .. } = outcome {
            table += &format!("\n**{}**: {}\n", escaped(host.as_str()), escaped(&why.to_string()));
        }
    }
    table
}

/// What is laid out already, behind a line that opens it.
fn folded(title: &str, text: &str) -> String {
    let text = text.trim_matches('\n');
    if text.is_empty() {
        return String::new();
    }
    // No text ends a fence that is longer than what it has of them.
    let longest = text.split(|one| one != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("\n<details><summary>{}</summary>\n\n{fence}text\n{text}\n{fence}\n\n</details>\n", escaped(title))
}

/// Makes a text that a host, nix or the inventory has said one line of Markdown that shows it, and does nothing else:
/// each mark of ASCII may stand behind a backslash. Source: commonmark.org, "Backslash escapes"; in a row `|` ends a
/// cell.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for one in sanitise::line(text).chars() {
        match one {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // A name that is written so is told somebody.
            '@' => out.push_str("&#64;"),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '#' | '|' | '~' | '!' => {
                out.push('\\');
                out.push(one);
            }
            one => out.push(one),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn what_others_say_is_shown_and_does_nothing() {
        let said = "a | b <img src=x> [x](http://y) `z` **b** @ada\nnext\x1b[31m &amp;";
        let shown = "a \\| b &lt;img src=x&gt; \\[x\\](http://y) \\`z\\` \\*\\*b\\*\\* &#64;ada next &amp;amp;";
        assert_eq!(escaped(said), shown);
        let folded = folded("links", "a ```` b");
        assert!(folded.contains("\n`````text\na ```` b\n`````\n"), "{folded}");
        assert_eq!(super::folded("links", "\n"), "");
    }

    #[test]
    fn a_reason_that_all_hosts_have_stands_once_and_a_fleet_of_hundreds_is_a_page() {
        let mut reasons = ToldReasons::default();
        assert_eq!(reasons.section("Why"), "");
        reasons.take(None, "no", Some("do it"));
        reasons.take(None, "no", Some("do it"));
        assert_eq!(reasons.section("Why"), "\n### Why\n\n- no  \n  to mend it: do it\n");
        (0..100).for_each(|number| reasons.take(None, &number.to_string(), None));
        assert!(reasons.section("Why").ends_with("- and 51 more, which the record has\n"));
    }
}
