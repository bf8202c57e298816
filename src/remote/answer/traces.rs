//! What a host still knows of a run, from the lines that say so.

use std::collections::BTreeSet;

use crate::decide::traces::{EndMark, EndSide, Ended, RunMark, RunTraces};
use crate::inventory::model::HostName;

/// `RUN WORD…`. A word that is not known is one of a later version.
pub(super) fn run_traces(text: &str) -> RunTraces {
    let mut traces = RunTraces { traced: true, ..RunTraces::default() };
    for word in text.split_whitespace().skip(1) {
        match word.split_once(':').unwrap_or((word, "")) {
            ("untraced", _) => traces.traced = false,
            ("switching", _) => traces.switching = true,
            ("committed", _) => traces.committed = true,
            ("over", _) => traces.over = true,
            ("ended", ended) => traces.ended = run_ended(ended),
            ("seq", seq) => traces.seq = seq.parse().ok(),
            _ => {}
        }
    }
    traces
}

/// `SIDE:EPOCH:NAME,NAME`
fn run_ended(text: &str) -> Option<Ended> {
    let mut words = text.splitn(3, ':');
    let side = EndSide::from_word(words.next()?)?;
    let epoch = words.next()?.parse().ok()?;
    Some(Ended { epoch, mark: EndMark { side, missing: names(words.next().unwrap_or_default().split(',')) } })
}

/// `RUN SIDE EPOCH NAME…`
pub(super) fn run_mark(text: &str) -> Option<RunMark> {
    let mut words = text.split_whitespace();
    let run = words.next()?.to_owned();
    let side = EndSide::from_word(words.next()?)?;
    let epoch = words.next()?.parse().ok()?;
    Some(RunMark { run, ended: Ended { epoch, mark: EndMark { side, missing: names(words) } } })
}

fn names<'a>(words: impl Iterator<Item = &'a str>) -> BTreeSet<HostName> {
    words.filter_map(|word| HostName::new(word).ok()).collect()
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn ended(side: EndSide, epoch: u64, missing: &[&str]) -> Ended {
        let missing = missing.iter().map(|name| HostName::new(*name).unwrap()).collect();
        Ended { epoch, mark: EndMark { side, missing } }
    }

    #[test]
    fn a_host_says_what_a_run_has_left_on_it() {
        let traced = RunTraces { traced: true, ..RunTraces::default() };
        for (text, expected) in [
            ("r-0", traced.clone()),
            ("r-0 untraced seq:3", RunTraces { seq: Some(3), ..RunTraces::default() }),
            (
                "r-0 switching committed over seq:12",
                RunTraces { switching: true, committed: true, over: true, seq: Some(12), ..traced.clone() },
            ),
            (
                "r-0 ended:old:7:web,nas.lan",
                RunTraces { ended: Some(ended(EndSide::Old, 7, &["web", "nas.lan"])), ..traced.clone() },
            ),
            // What is not understood claims nothing.
            ("r-0 ended:up:7:web switched seq:x", traced.clone()),
            ("r-0 ended:new:-:web", traced),
        ] {
            assert_eq!(run_traces(text), expected, "{text}");
        }
    }

    #[test]
    fn a_mark_names_its_run_its_side_and_who_was_missing() {
        let mark = |side, epoch, missing: &[&str]| RunMark { run: "r-0".into(), ended: ended(side, epoch, missing) };
        for (text, expected) in [
            ("r-0 new 2 web db", Some(mark(EndSide::New, 2, &["web", "db"]))),
            ("r-0 old 90071", Some(mark(EndSide::Old, 90071, &[]))),
            ("r-0 old 2 --help web", Some(mark(EndSide::Old, 2, &["web"]))),
            ("r-0 - 2 web", None),
            ("r-0 old x web", None),
            ("r-0", None),
        ] {
            assert_eq!(run_mark(text), expected, "{text}");
        }
    }
}
