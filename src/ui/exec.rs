//! Shows the output of a command on hosts: grouped by host, or line by line with the host in front.
//!
//! `|` stands before a line of stdout, `!` before one of stderr.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::decide::exec::{Came, Channel, ExecEnd, Printed, Ran};
use crate::event::wording::words;
use crate::inventory::model::HostName;
use crate::ui::paint::{Tone, paint};
use crate::ui::sanitise;

/// A line that grows longer than this is shown in pieces.
const LINE_LIMIT: usize = 64 * 1024;

/// The usual distance of tabulators; what a host aligned by them stays aligned.
const TABULATOR: usize = 8;

/// The answer of one host, or of all that gave the same one.
#[must_use]
pub fn group(hosts: &[&HostName], came: &Came, colour: bool) -> String {
    let names: Vec<&str> = hosts.iter().map(|host| host.as_str()).collect();
    let tone = if came.is_good() { Tone::Good } else { Tone::Bad };
    let mut out = paint(colour, Tone::Strong, &names.join(", ")) + ": " + &paint(colour, tone, &end(came)) + "\n";
    match came {
        Came::Ran(ran) => {
            for (channel, printed) in [(Channel::Stdout, &ran.stdout), (Channel::Stderr, &ran.stderr)] {
                out += &block(channel, printed, colour);
            }
        }
        Came::Unknown { why, hint } => {
            let hint = hint.as_ref().map(|hint| format!("hint: {hint}"));
            for text in [Some(why), hint.as_ref()].into_iter().flatten() {
                sanitise::text(text).lines().for_each(|line| out += &format!("  {line}\n"));
            }
        }
    }
    out
}

/// `ended with 0, 0.3s`.
fn end(came: &Came) -> String {
    let Came::Ran(Ran { status, end, took, .. }) = came else { return "does not answer".to_owned() };
    match end {
        ExecEnd::ByItself => format!("exit {status}"),
        ExecEnd::TimedOut => format!("did not end within {}, was ended", time(*took)),
        ExecEnd::Stopped => "was ended".to_owned(),
    }
}

fn time(took: Duration) -> String {
    if took < Duration::from_secs(10) {
        let tenths = took.as_millis() / 100;
        format!("{}.{}s", tenths / 10, tenths % 10)
    } else {
        words::span(took)
    }
}

fn block(channel: Channel, printed: &Printed, colour: bool) -> String {
    let text = String::from_utf8_lossy(&printed.bytes);
    let mut out: String =
        clean(&text).trim_end_matches('\n').split('\n').map(|line| marked("  ", channel, line, colour)).collect();
    if printed.bytes.is_empty() {
        out.clear();
    }
    if printed.dropped > 0 {
        let more = format!("({} more were printed, and not kept)", words::size(printed.dropped));
        out += &format!("  {}\n", paint(colour, Tone::Doubtful, &more));
    }
    out
}

fn marked(front: &str, channel: Channel, line: &str, colour: bool) -> String {
    let (mark, tone) = match channel {
        Channel::Stdout => ("|", None),
        Channel::Stderr => ("!", Some(Tone::Doubtful)),
    };
    let line = tone.map_or_else(|| line.to_owned(), |tone| paint(colour, tone, line));
    format!("{front}{mark} {line}").trim_end().to_owned() + "\n"
}

/// Without what could steer a terminal, tabulators as blanks.
fn clean(raw: &str) -> String {
    if !raw.contains('\t') {
        return sanitise::text(raw);
    }
    let mut wide = String::with_capacity(raw.len());
    let mut column = 0;
    for character in raw.chars() {
        match character {
            '\t' => {
                let blanks = TABULATOR - column % TABULATOR;
                wide.extend(std::iter::repeat_n(' ', blanks));
                column += blanks;
            }
            '\n' => {
                wide.push('\n');
                column = 0;
            }
            other => {
                wide.push(other);
                column += 1;
            }
        }
    }
    sanitise::text(&wide)
}

/// Cuts what hosts print into lines with the host in front, as it comes.
#[derive(Debug)]
pub struct ExecLines {
    colour: bool,
    /// How wide the names are.
    width: usize,
    partial: BTreeMap<(HostName, Channel), Vec<u8>>,
}

impl ExecLines {
    #[must_use]
    pub fn new<'a>(hosts: impl IntoIterator<Item = &'a HostName>, colour: bool) -> Self {
        let width = hosts.into_iter().map(|host| host.as_str().len()).max().unwrap_or(0);
        Self { colour, width, partial: BTreeMap::new() }
    }

    /// The lines that are whole now.
    pub fn take(&mut self, host: &HostName, channel: Channel, bytes: &[u8]) -> String {
        let partial = self.partial.entry((host.clone(), channel)).or_default();
        partial.extend_from_slice(bytes);
        let whole = match partial.iter().rposition(|byte| *byte == b'\n') {
            Some(at) => at + 1,
            None if partial.len() > LINE_LIMIT => partial.len(),
            None => return String::new(),
        };
        let whole: Vec<u8> = partial.drain(..whole).collect();
        self.write(host, channel, &whole)
    }

    /// Shows the rest of a host's output once its command has ended, and how it has ended.
    pub fn end(&mut self, host: &HostName, came: &Came) -> String {
        let mut out = String::new();
        for channel in [Channel::Stdout, Channel::Stderr] {
            if let Some(rest) = self.partial.remove(&(host.clone(), channel)).filter(|rest| !rest.is_empty()) {
                out += &self.write(host, channel, &rest);
            }
        }
        out + &match came {
            came if came.is_good() => String::new(),
            came => format!("{} {}\n", self.front(host), paint(self.colour, Tone::Bad, &end(came))),
        }
    }

    fn write(&self, host: &HostName, channel: Channel, bytes: &[u8]) -> String {
        let front = self.front(host) + " ";
        let text = clean(&String::from_utf8_lossy(bytes));
        let text = text.strip_suffix('\n').unwrap_or(&text);
        text.split('\n').map(|line| marked(&front, channel, line, self.colour)).collect()
    }

    fn front(&self, host: &HostName) -> String {
        paint(self.colour, Tone::Faint, &format!("{host:<width$}", width = self.width))
    }
}

/// `4 hosts: 2 exit 0, 1 exit 1 (db), 1 does not answer (nas)`.
#[must_use]
pub fn summary(answers: &[(HostName, Came)]) -> String {
    let mut kinds: Vec<(String, Vec<&str>)> = Vec::new();
    for (host, came) in answers {
        let kind = match came {
            Came::Ran(Ran { end: ExecEnd::TimedOut, .. }) => "did not end in time".to_owned(),
            came => end(came),
        };
        match kinds.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, hosts)) => hosts.push(host.as_str()),
            None => kinds.push((kind, vec![host.as_str()])),
        }
    }
    let good = |kind: &str| kind == "exit 0";
    kinds.sort_by_key(|(kind, _)| !good(kind));
    let kinds = kinds.iter().map(|(kind, hosts)| match (good(kind), hosts.len()) {
        (true, count) => format!("{count} {kind}"),
        (false, 1) => format!("1 {kind} ({})", hosts.join(", ")),
        (false, count) => {
            let kind = kind.replace("was ended", "were ended").replace("does not", "do not");
            format!("{count} {kind} ({})", hosts.join(", "))
        }
    });
    let count = answers.len();
    format!("{count} host{}: {}\n", if count == 1 { "" } else { "s" }, kinds.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn name(text: &str) -> HostName {
        HostName::new(text).unwrap()
    }

    fn ran(status: i32, stdout: &str, stderr: &str) -> Came {
        let printed = |text: &str| Printed { bytes: text.into(), dropped: 0 };
        let took = Duration::from_millis(1290);
        Came::Ran(Ran { status, end: ExecEnd::ByItself, stdout: printed(stdout), stderr: printed(stderr), took })
    }

    fn silent() -> Came {
        Came::Unknown { why: "no ssh login on db: no answer within 5 s".into(), hint: Some("try it by hand".into()) }
    }

    #[test]
    fn a_group_has_both_streams_and_nothing_that_steers_a_terminal() {
        let came = ran(3, "one\n\n\u{1b}[31mtwo\u{1b}[0m\u{1b}]0;x\u{7}\na\tb\nno end", "warn\r\n\n");
        let text = group(&[&name("vps"), &name("web")], &came, false);
        assert_eq!(text, "vps, web: exit 3\n  | one\n  |\n  | two\n  | a       b\n  | no end\n  ! warn\n");
        assert_eq!(group(&[&name("vps")], &ran(0, "", ""), false), "vps: exit 0\n");
        let text = group(&[&name("db")], &silent(), false);
        assert_eq!(text, "db: does not answer\n  no ssh login on db: no answer within 5 s\n  hint: try it by hand\n");
    }

    #[test]
    fn what_was_not_kept_is_said() {
        let mut came = ran(0, "x\n", "");
        if let Came::Ran(ran) = &mut came {
            ran.stdout.dropped = 3 << 20;
            ran.end = ExecEnd::TimedOut;
        }
        let text = group(&[&name("vps")], &came, false);
        let expected = "vps: did not end within 1.2s, was ended\n  | x\n  (3.0 MiB more were printed, and not kept)\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn lines_come_whole_with_their_host_in_front() {
        let (vps, db) = (name("vps"), name("db"));
        let mut lines = ExecLines::new([&vps, &db], false);
        assert_eq!(lines.take(&db, Channel::Stdout, b"on"), "");
        assert_eq!(lines.take(&vps, Channel::Stderr, b"x\n"), "vps ! x\n");
        assert_eq!(lines.take(&db, Channel::Stdout, b"e\n\nt\xffwo\nthr"), "db  | one\ndb  |\ndb  | t\u{fffd}wo\n");
        assert_eq!(lines.end(&db, &ran(0, "", "")), "db  | thr\n");
        assert_eq!(lines.end(&vps, &ran(1, "", "")), "vps exit 1\n");
        let long = vec![b'x'; LINE_LIMIT + 1];
        assert_eq!(lines.take(&db, Channel::Stdout, &long).len(), long.len() + "db  | \n".len());
    }

    #[test]
    fn the_summary_names_who_is_not_well() {
        let answers = [
            (name("db"), ran(1, "", "")),
            (name("vps"), ran(0, "", "")),
            (name("nas"), silent()),
            (name("web"), ran(0, "", "")),
        ];
        assert_eq!(summary(&answers), "4 hosts: 2 exit 0, 1 exit 1 (db), 1 does not answer (nas)\n");
        let silent = || Came::Unknown { why: String::new(), hint: None };
        let both = [(name("db"), silent()), (name("nas"), silent())];
        assert_eq!(summary(&both), "2 hosts: 2 do not answer (db, nas)\n");
        assert_eq!(summary(&answers[1..2]), "1 host: 1 exit 0\n");
    }
}
