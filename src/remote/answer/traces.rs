//! Reads what a host still knows of a run.

use crate::facts::traces::{EndMark, EndSide, Ended, Missing, RunMark, RunTraces};
use crate::inventory::model::HostName;

/// `RUN WORD…`. A word that is not known is one of a later version.
pub(super) fn run_traces(text: &str, volatile: bool) -> RunTraces {
    let mut traces = RunTraces { traced: true, volatile, ..RunTraces::default() };
    let mut words = text.split_whitespace().skip(1);
    while let Some(word) = words.next() {
        match word {
            "untraced" => traces.traced = false,
            "switching" => traces.switching = true,
            "committed" => traces.committed = true,
            "over" => traces.over = true,
            // The rest of the line.
            "ended" => traces.ended = ended(&mut words),
            _ => {}
        }
    }
    traces
}

/// `RUN SIDE EPOCH HOST:MACHINE…`
pub(super) fn run_mark(text: &str) -> Option<RunMark> {
    let mut words = text.split_whitespace();
    Some(RunMark { run: words.next()?.to_owned(), ended: ended(words)? })
}

/// `SIDE EPOCH HOST:MACHINE…`; `-` is nothing that is known.
fn ended<'a>(mut words: impl Iterator<Item = &'a str>) -> Option<Ended> {
    let side = match words.next()? {
        "-" => None,
        word => Some(EndSide::from_word(word)?),
    };
    let epoch = words.next()?.parse().ok()?;
    let missing: Missing = words
        .filter_map(|word| {
            let (host, machine) = word.split_once(':')?;
            Some((HostName::new(host).ok()?, Some(machine.to_owned()).filter(|machine| machine != "-")))
        })
        .collect();
    Some(Ended { epoch, mark: EndMark { side, missing } })
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn ended(side: Option<EndSide>, epoch: u64, missing: &[(&str, Option<&str>)]) -> Ended {
        let missing = missing.iter().map(|(name, machine)| {
            let machine = machine.map(str::to_owned);
            (HostName::new(*name).unwrap(), machine)
        });
        Ended { epoch, mark: EndMark { side, missing: missing.collect() } }
    }

    #[test]
    fn a_host_says_what_a_run_has_left_on_it() {
        let traced = RunTraces { traced: true, ..RunTraces::default() };
        let old = ended(Some(EndSide::Old), 7, &[("web", Some("1e7e")), ("nas.lan", None)]);
        for (text, expected) in [
            ("r-0", traced.clone()),
            ("r-0 untraced", RunTraces::default()),
            (
                "r-0 switching committed over",
                RunTraces { switching: true, committed: true, over: true, ..traced.clone() },
            ),
            ("r-0 over ended old 7 web:1e7e nas.lan:-", RunTraces { over: true, ended: Some(old), ..traced.clone() }),
            // A line that is not understood claims nothing.
            ("r-0 switched ended up 7 web:-", traced.clone()),
            ("r-0 ended new - web:-", traced),
        ] {
            assert_eq!(run_traces(text, false), expected, "{text}");
            assert_eq!(run_traces(text, true), RunTraces { volatile: true, ..expected }, "{text}");
        }
    }

    #[test]
    fn a_mark_names_its_run_its_side_and_who_was_missing() {
        let mark = |side, epoch, missing: &[_]| RunMark { run: "r-0".into(), ended: ended(side, epoch, missing) };
        for (text, expected) in [
            ("r-0 new 2 web:1 db:-", Some(mark(Some(EndSide::New), 2, &[("web", Some("1")), ("db", None)]))),
            ("r-0 - 90071", Some(mark(None, 90071, &[]))),
            ("r-0 old 2 --help:- web:- x", Some(mark(Some(EndSide::Old), 2, &[("web", None)]))),
            ("r-0 x 2 web:-", None),
            ("r-0 old x web:-", None),
            ("r-0", None),
        ] {
            assert_eq!(run_mark(text), expected, "{text}");
        }
    }
}
