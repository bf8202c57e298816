//! The page of a run in Markdown, for the summary of a CI job: what became of each host, what changed, the links, and
//! every reason and warning.

use crate::event::line::Line;
use crate::event::{Event, HostOutcome};
use crate::inventory::model::HostName;
use crate::ui::bounded::{self, LAID_OUT, REASONS, SAID};
use crate::ui::recap::{self, RecapStyle};
use crate::ui::view::{FinishedView, FleetView};
use crate::ui::{matrix, sanitise};

/// How large a page may be, in bytes. GitHub shows nothing of one above 1 MiB. Source: docs.github.com, "Workflow
/// commands", "Job summary isolation and limits".
const PAGE: usize = 900 << 10;

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
        // What comes before the reasons fits, so that nothing is cut within a fence.
        bounded::lines(&page, PAGE)
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
    bounded::lines(&table, LAID_OUT)
}

/// What is laid out already, behind a line that opens it.
fn folded(title: &str, text: &str) -> String {
    let text = bounded::lines(text.trim_matches('\n'), LAID_OUT);
    if text.is_empty() {
        return String::new();
    }
    // In HTML a backslash is shown as such.
    let title = sanitise::line(title).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    // No text ends a fence that is longer than what it has of them.
    let longest = text.split(|one| one != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("\n<details><summary>{title}</summary>\n\n{fence}text\n{text}\n{fence}\n\n</details>\n")
}

/// Makes a text that a host, nix or the inventory has said one line of Markdown that shows it, and does nothing else:
/// each mark of ASCII may stand behind a backslash. Source: commonmark.org, "Backslash escapes"; in a row `|` ends a
/// cell. GitHub also makes mathematics of what stands between `$`, and a link of what begins with `http://` or `www.`
/// (GitHub Flavored Markdown, 6.9).
fn escaped(text: &str) -> String {
    let said = sanitise::line(text);
    let mut out = String::with_capacity(said.len());
    let mut last = ' ';
    for (number, one) in said.chars().enumerate() {
        if number == SAID {
            out.push('…');
            break;
        }
        match one {
            '$' => out.push_str("&#36;"),
            '/' if last == ':' => out.push_str("&#47;"),
            '.' if matches!(last, 'w' | 'W') => out.push_str("&#46;"),
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
        last = one;
    }
    out
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::event::Outcome;
    use crate::event::reason::any::AnyReason;

    #[test]
    fn what_others_say_is_shown_and_does_nothing() {
        let said = "a | b <img src=x> [x](http://y) `z` **b** @ada\nnext\x1b[31m &amp; $HOME$ www.z.org";
        let shown = "a \\| b &lt;img src=x&gt; \\[x\\](http:&#47;/y) \\`z\\` \\*\\*b\\*\\* &#64;ada next &amp;amp; \
                     &#36;HOME&#36; www&#46;z.org";
        assert_eq!(escaped(said), shown);
        let folded = folded("links", "a ```` b");
        assert!(folded.contains("\n`````text\na ```` b\n`````\n"), "{folded}");
        assert_eq!(super::folded("links", "\n"), "");
        let titled = super::folded("a_b <i> & c", "x");
        assert!(titled.contains("<summary>a_b &lt;i&gt; &amp; c</summary>"), "{titled}");
    }

    /// However much hosts have said.
    #[test]
    fn a_page_is_no_larger_than_what_is_shown_and_is_whole_markdown() {
        assert_eq!(bounded::lines("one\ntwo\nthree\n", 14), "one\ntwo\nthree\n");
        assert_eq!(bounded::lines("one\ntwo\nthree\n", 13), "one\ntwo\n\nand 1 more line, which the record has\n");
        // Nothing is left out between.
        assert_eq!(bounded::lines("one\nthirteen\ntwo\n", 8), "one\n\nand 2 more lines, which the record has\n");
        let long = "$".repeat(1 << 20);
        assert!(escaped(&long).len() < 6 * SAID && escaped(&long).ends_with("&#36;…"));
        let laid_out = folded("links", &"a line of what changed\n".repeat(100_000));
        assert!(laid_out.len() < LAID_OUT + 200 && laid_out.ends_with("\n```\n\n</details>\n"), "{}", laid_out.len());
        let mut page = JobSummary::new();
        let line = |event| Line { version: 1, run: None, seq: 1, at: std::time::SystemTime::UNIX_EPOCH, event };
        for number in 0..REASONS {
            let text = AnyReason::without_code(&format!("{number}{long}"));
            page.take(&line(Event::Failed { host: None, text: text.clone(), hint: Some(long.clone()) }));
            page.take(&line(Event::Warned { host: None, text }));
        }
        let (text, hosts) = (AnyReason::without_code(&long), std::collections::BTreeMap::new());
        page.take(&line(Event::Finished { outcome: Outcome::Refused, text, hosts, exit: 1, took_ms: 1 }));
        let shown = page.render();
        assert!(shown.len() < PAGE + 100 && shown.ends_with(" more lines, which the record has\n"), "{}", shown.len());
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
