//! How an error looks: its text, its causes, a blank line and what to do.

use std::error::Error;
use std::fmt::Write as _;
use std::io::{self, Write};

use crate::ui::annotations::are_read;
use crate::ui::paint::{Tone, paint};
use crate::ui::{for_log, sanitise};

/// The text, one `because:` line for each cause, and after a blank line the hint.
#[must_use]
pub fn render(error: &dyn Error, hint: Option<&str>, colour: bool) -> String {
    let mut out = paint(colour, Tone::Bad, "error:");
    let mut said = sanitise::text(&error.to_string());
    push_lines(&mut out, said.trim_end(), 0);
    let mut cause = error.source();
    while let Some(next) = cause {
        let text = sanitise::text(&next.to_string());
        // Some libraries repeat the cause in the text above it.
        if !said.ends_with(text.trim_end()) {
            let _ = write!(out, "  {}", paint(colour, Tone::Faint, "because:"));
            push_lines(&mut out, text.trim_end(), 2);
        }
        said = text;
        cause = next.source();
    }
    if let Some(hint) = hint {
        let _ = write!(out, "\n{}", paint(colour, Tone::Strong, "hint:"));
        push_lines(&mut out, sanitise::text(hint).trim_end(), 0);
    }
    out
}

/// Prints an error on `output`. There is nowhere to report that this failed.
pub fn print(output: &mut impl Write, error: &dyn Error, hint: Option<&str>, colour: bool) {
    let text = render(error, hint, colour);
    let _ = output.write_all(for_log(are_read(), &text).as_bytes()).and_then(|()| output.flush());
}

/// [`print()`] on stderr.
pub fn print_to_stderr(error: &dyn Error, hint: Option<&str>, colour: bool) {
    print(&mut io::stderr().lock(), error, hint, colour);
}

/// The first line goes on behind what is there; the others are indented below it.
fn push_lines(out: &mut String, text: &str, indent: usize) {
    for (number, line) in text.lines().enumerate() {
        let line = line.trim_end();
        let _ = match (number, line) {
            (0, _) => writeln!(out, " {line}"),
            (_, "") => writeln!(out),
            _ => writeln!(out, "{:indent$}  {line}", ""),
        };
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read the inventory `{path}`\u{1b}[31m")]
    struct Outer {
        path: String,
        #[source]
        source: Inner,
    }

    #[derive(Debug, thiserror::Error)]
    #[error("the folder is not there: {source}")]
    struct Inner {
        #[source]
        source: io::Error,
    }

    fn sample() -> Outer {
        Outer { path: "inventory.yaml".into(), source: Inner { source: io::Error::other("line one\nline two") } }
    }

    #[test]
    fn an_error_ends_with_what_to_do() {
        assert_eq!(
            render(&sample(), Some("fleetdeploy inventory check -i FILE"), false),
            "\
error: cannot read the inventory `inventory.yaml`
  because: the folder is not there: line one
    line two

hint: fleetdeploy inventory check -i FILE
"
        );
    }

    #[test]
    fn an_error_without_cause_or_hint_is_one_line() {
        let mut output = Vec::new();
        print(&mut output, &io::Error::other("no such fleet: `home`"), None, false);
        assert_eq!(String::from_utf8(output).unwrap(), "error: no such fleet: `home`\n");
    }
}
