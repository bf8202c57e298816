//! Reads the lines of `--log-format internal-json`: one line in, one [`NixLine`] out.
//!
//! Knows the activities and results of Nix 2.18 to 2.34 and of Lix; what it does not know it ignores, so that a newer
//! nix can add keys, actions and types. Source: Nix `libutil/logging.hh`, Lix `libutil/logging.hh`;
//! docs/facts.md, "What nix tells of its work".

use serde::Deserialize;
use serde_json::Value;

use super::plain::{cut, plain, without_credentials};

/// How much one line may bring onto a screen or into the record.
const LONGEST_TEXT: usize = 4096;

/// The kinds of activity that the progress is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ActivityKind {
    /// One path that is copied, counted in bytes of its NAR.
    CopyPath,
    /// One download, counted in bytes.
    FileTransfer,
    CopyPaths,
    /// All builds of this nix, counted in derivations.
    Builds,
    Build,
    /// One path that comes from a cache: its download and its unpacking.
    Substitute,
    /// A question to a binary cache, what it has. Its bytes are no part of what nix announces to download.
    Lookup,
    Other(u64),
}

impl ActivityKind {
    fn of(number: u64) -> Self {
        match number {
            100 => Self::CopyPath,
            101 => Self::FileTransfer,
            103 => Self::CopyPaths,
            104 => Self::Builds,
            105 => Self::Build,
            108 => Self::Substitute,
            109 => Self::Lookup,
            other => Self::Other(other),
        }
    }

    fn of_activity(number: u64, subject: &str) -> Self {
        match Self::of(number) {
            Self::FileTransfer if is_question(subject) => Self::Lookup,
            kind => kind,
        }
    }
}

/// Whether an address is that of a word about a path rather than of the path. Source: Nix manual, "HTTP Binary Cache
/// Store"; `libstore/binary-cache-store.cc`.
fn is_question(address: &str) -> bool {
    let file = address.split(['?', '#']).next().unwrap_or_default();
    [".narinfo", "/nix-cache-info", ".doi"].iter().any(|end| file.ends_with(end))
}

/// Counts of one activity: bytes or things, by its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    pub done: u64,
    pub expected: u64,
    pub running: u64,
    pub failed: u64,
}

/// One line of nix's stderr.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NixLine {
    Started {
        id: u64,
        kind: ActivityKind,
        /// The first field: the derivation of a build, the path of a copy, the address of a download; else empty.
        subject: String,
        /// The second field of a build: the machine it runs on; empty for this one.
        machine: String,
        /// As of what is said.
        level: u64,
        /// The words of nix about it without a progress bar; often empty.
        text: String,
    },
    Stopped {
        id: u64,
    },
    Progressed {
        id: u64,
        counts: Counts,
    },
    /// This activity announces so much of another kind.
    Expected {
        id: u64,
        kind: ActivityKind,
        expected: u64,
    },
    /// A line of a builder.
    Logged {
        id: u64,
        line: String,
    },
    Phase {
        id: u64,
        phase: String,
    },
    /// Level 0 is an error, 1 a warning, 3 and above are talk.
    Said {
        level: u64,
        text: String,
    },
    /// A line of another program: ssh, git, a hook.
    Other(String),
    /// A line of nix that does not matter here.
    Nothing,
}

/// Every key that matters; each may be missing, and others may be there.
#[derive(Deserialize)]
struct Raw {
    action: String,
    #[serde(default)]
    id: u64,
    #[serde(default)]
    level: u64,
    #[serde(default, rename = "type")]
    number: u64,
    #[serde(default)]
    fields: Vec<Value>,
    #[serde(default)]
    msg: String,
    #[serde(default)]
    text: String,
}

impl Raw {
    fn number_at(&self, index: usize) -> u64 {
        self.fields.get(index).and_then(Value::as_u64).unwrap_or(0)
    }

    fn text_at(&self, index: usize) -> String {
        readable(self.fields.get(index).and_then(Value::as_str).unwrap_or_default())
    }
}

/// Reads one line of nix's stderr; there is no line that it fails on.
#[must_use]
pub fn parse(line: &str) -> NixLine {
    let Some(json) = line.strip_prefix("@nix ") else { return NixLine::Other(readable(line)) };
    let Ok(raw) = serde_json::from_str::<Raw>(json) else { return NixLine::Nothing };
    let id = raw.id;
    match (raw.action.as_str(), raw.number) {
        ("start", number) => {
            let subject = raw.text_at(0);
            let kind = ActivityKind::of_activity(number, &subject);
            let machine = if kind == ActivityKind::Build { raw.text_at(1) } else { String::new() };
            NixLine::Started { id, kind, subject, machine, level: raw.level, text: readable(&raw.text) }
        }
        ("stop", _) => NixLine::Stopped { id },
        // Build logs, and those of a post-build hook.
        ("result", 101 | 107) => NixLine::Logged { id, line: raw.text_at(0) },
        ("result", 104) => NixLine::Phase { id, phase: raw.text_at(0) },
        ("result", 105) => {
            let [done, expected, running, failed] = [0, 1, 2, 3].map(|index| raw.number_at(index));
            NixLine::Progressed { id, counts: Counts { done, expected, running, failed } }
        }
        ("result", 106) => {
            NixLine::Expected { id, kind: ActivityKind::of(raw.number_at(0)), expected: raw.number_at(1) }
        }
        ("msg", _) => NixLine::Said { level: raw.level, text: readable(&raw.msg) },
        _ => NixLine::Nothing,
    }
}

fn readable(text: &str) -> String {
    without_credentials(plain(cut(text, LONGEST_TEXT)).trim_end()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Recorded from Nix 2.26.3.
    #[test]
    fn every_line_that_matters_is_read() {
        let drv = "/nix/store/zl65qzggwjsc35lm1d10vgcnjc2l8nnh-nixos-system-vps-1.drv";
        let cases = [
            (
                r#"@nix {"action":"start","fields":["/nix/store/zl65qzggwjsc35lm1d10vgcnjc2l8nnh-nixos-system-vps-1.drv","",1,1],"id":119554709651463,"level":3,"parent":0,"text":"building","type":105}"#,
                NixLine::Started {
                    id: 119_554_709_651_463,
                    kind: ActivityKind::Build,
                    subject: drv.into(),
                    machine: String::new(),
                    level: 3,
                    text: "building".into(),
                },
            ),
            (
                r#"@nix {"action":"start","id":127685082742789,"level":3,"parent":0,"text":"copying 2 paths","type":103}"#,
                NixLine::Started {
                    id: 127_685_082_742_789,
                    kind: ActivityKind::CopyPaths,
                    subject: String::new(),
                    machine: String::new(),
                    level: 3,
                    text: "copying 2 paths".into(),
                },
            ),
            (r#"@nix {"action":"stop","id":119554709651461}"#, NixLine::Stopped { id: 119_554_709_651_461 }),
            (
                r#"@nix {"action":"result","fields":[1,4,0,1],"id":119554709651458,"type":105}"#,
                NixLine::Progressed {
                    id: 119_554_709_651_458,
                    counts: Counts { done: 1, expected: 4, running: 0, failed: 1 },
                },
            ),
            (
                r#"@nix {"action":"result","fields":[100,288],"id":127599183396869,"type":106}"#,
                NixLine::Expected { id: 127_599_183_396_869, kind: ActivityKind::CopyPath, expected: 288 },
            ),
            (
                r#"@nix {"action":"result","fields":["it hurts"],"id":1,"type":101}"#,
                NixLine::Logged { id: 1, line: "it hurts".into() },
            ),
            (
                r#"@nix {"action":"result","fields":["buildPhase"],"id":1,"type":104}"#,
                NixLine::Phase { id: 1, phase: "buildPhase".into() },
            ),
            (
                r#"@nix {"action":"msg","column":null,"file":null,"level":0,"line":null,"msg":"\u001b[31;1merror:\u001b[0m writing to file: \u001b[35;1mNo space left on device\u001b[0m","raw_msg":"x"}"#,
                NixLine::Said { level: 0, text: "error: writing to file: No space left on device".into() },
            ),
            ("Host key verification failed.", NixLine::Other("Host key verification failed.".into())),
        ];
        for (text, line) in cases {
            assert_eq!(parse(text), line);
        }
    }

    #[test]
    fn what_is_not_known_is_ignored() {
        for text in [
            r#"@nix {"action":"dance","id":1}"#,
            r#"@nix {"action":"result","id":1,"type":999,"fields":["x"]}"#,
            r#"@nix {"action":"result","id":1,"type":108,"fields":["fetching"]}"#,
            r#"@nix {"action":17}"#,
            "@nix {",
            "@nix ",
        ] {
            assert_eq!(parse(text), NixLine::Nothing, "{text}");
        }
        assert_eq!(
            parse(r#"@nix {"action":"start","id":1,"type":777,"machine":"m","new":{"a":[1]}}"#),
            NixLine::Started {
                id: 1,
                kind: ActivityKind::Other(777),
                subject: String::new(),
                machine: String::new(),
                level: 0,
                text: String::new()
            }
        );
    }

    #[test]
    fn a_question_to_a_cache_is_no_download_and_no_password_is_kept() {
        let started = |address: &str| {
            let line = serde_json::json!({"action": "start", "id": 1, "type": 101, "fields": [address]});
            let NixLine::Started { kind, subject, .. } = parse(&format!("@nix {line}")) else { panic!() };
            (kind, subject)
        };
        let lookup = started("https://me:secret@cache.example.org/jf93vdhms5pb1x0df9wlpwji9gxw7ykm.narinfo");
        assert_eq!(
            lookup,
            (ActivityKind::Lookup, "https://cache.example.org/jf93vdhms5pb1x0df9wlpwji9gxw7ykm.narinfo".to_owned())
        );
        assert_eq!(started("https://cache.example.org/nix-cache-info").0, ActivityKind::Lookup);
        assert_eq!(started("https://cache.example.org/nar/0hh1.nar.xz").0, ActivityKind::FileTransfer);
    }

    #[test]
    fn an_endless_line_is_cut() {
        let NixLine::Other(text) = parse(&"x".repeat(10_000_000)) else { panic!() };
        assert_eq!(text.len(), LONGEST_TEXT);
    }
}
