//! Every code of a reason with an event of a run that bears it: of the program, against booted hosts or without any, or
//! of a closed world. They stand in tests/codes/told.jsonl; the runs that tell none are named here, each with why.
//!
//! The other tests keep their events in a folder if they are asked to, from which the file is made anew:
//! `CODES_TOLD=FOLDER scripts/test.sh`, then `CODES_TOLD=FOLDER FLEETDEPLOY_BLESS=1 cargo test --test codes`. What is
//! in the file and still right stays.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use fleetdeploy::event::reason::lists::LISTS;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

#[path = "support/codes.rs"]
#[expect(dead_code, reason = "this test tells nothing itself")]
mod codes;
#[path = "codes/untold.rs"]
mod untold;

use untold::UNTOLD;

const TOLD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/codes/told.jsonl");

/// A test, and an event that it has seen.
type Told = (String, Value);

fn all_codes() -> impl Iterator<Item = &'static str> {
    LISTS.iter().flat_map(|list| list.codes).copied()
}

/// For each code what the file has.
fn written() -> BTreeMap<String, Told> {
    let text = fs::read_to_string(TOLD).unwrap_or_default();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines
        .map(|line| {
            let word = |key: &str| line[key].as_str().unwrap().to_owned();
            (word("code"), (word("test"), line["event"].clone()))
        })
        .collect()
}

/// For each code the shortest event that the tests have kept in the folder, of those that `is_right` takes.
fn kept(is_right: impl Fn(&str, &Told) -> bool) -> BTreeMap<String, Told> {
    let mut kept: BTreeMap<String, Told> = BTreeMap::new();
    for file in codes::folder().into_iter().flat_map(|folder| fs::read_dir(folder).unwrap()) {
        for line in fs::read_to_string(file.unwrap().path()).unwrap().lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            for code in line["codes"].as_array().unwrap() {
                let (code, test) = (code.as_str().unwrap(), line["test"].as_str().unwrap());
                let one = (test.to_owned(), line["event"].clone());
                if !is_right(code, &one) {
                    continue;
                }
                let length = |told: &Told| told.1.to_string().len();
                let known = kept.entry(code.to_owned()).or_insert_with(|| one.clone());
                if (length(&one), &one.0) < (length(known), &known.0) {
                    *known = one;
                }
            }
        }
    }
    kept
}

/// The names of all tests there are.
fn tests() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut folders: Vec<PathBuf> =
        ["src", "tests"].map(|folder| Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).into();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = fs::read_to_string(path).unwrap();
                names.extend(text.lines().filter_map(|line| {
                    let name =
                        line.trim().trim_start_matches("async ").strip_prefix("fn ")?.split(['(', '<']).next()?;
                    Some(name.to_owned())
                }));
            }
        }
    }
    names
}

/// Why this is no event that the program tells today, or no test that has seen it.
fn mistake(
    code: &str,
    (test, event): &Told,
    tests: &BTreeSet<String>,
    schema: &jsonschema::Validator,
) -> Option<String> {
    let mut borne = BTreeSet::new();
    codes::of(event, &mut borne);
    // An event of a closed world has not been written as a line yet.
    let mut line = json!({ "version": 1, "run": null, "seq": 1, "at": "2026-11-22T16:10:05.123Z" });
    line.as_object_mut().unwrap().extend(event.as_object().unwrap().clone());
    if !borne.contains(code) {
        Some("the event does not bear it".to_owned())
    } else if let Err(error) = schema.validate(&line) {
        Some(error.to_string())
    } else if !tests.contains(test.rsplit("::").next().unwrap_or_default()) {
        Some(format!("there is no test {test}"))
    } else {
        None
    }
}

#[test]
fn every_code_is_told_by_a_run_or_it_is_said_why_not() {
    let schema: Value = serde_json::from_str(include_str!("../events.schema.json")).unwrap();
    let schema = jsonschema::draft202012::new(&schema).unwrap();
    let tests = tests();
    let mut told = written();
    if std::env::var_os("FLEETDEPLOY_BLESS").is_some() {
        let known: BTreeSet<&str> = all_codes().collect();
        let is_right = |code: &str, one: &Told| known.contains(code) && mistake(code, one, &tests, &schema).is_none();
        told.retain(|code, one| is_right(code, one));
        for (code, one) in kept(is_right) {
            told.entry(code).or_insert(one);
        }
        let line = |(code, (test, event)): (&String, &Told)| {
            json!({ "code": code, "test": test, "event": event }).to_string() + "\n"
        };
        fs::write(TOLD, told.iter().map(line).collect::<String>()).unwrap();
    }
    let untold: BTreeMap<&str, &str> = UNTOLD.iter().copied().collect();
    let mut wrong = Vec::new();
    for code in all_codes() {
        match (told.remove(code), untold.get(code)) {
            (Some(one), None) => {
                wrong.extend(mistake(code, &one, &tests, &schema).map(|mistake| format!("{code}: {mistake}")));
            }
            (None, Some(_)) => {}
            (None, None) => wrong.push(format!("{code}: no run has told it")),
            (Some(_), Some(_)) => wrong.push(format!("{code}: it is told, and is said not to be")),
        }
    }
    wrong.extend(told.keys().map(|code| format!("{code}: there is no such code")));
    assert_eq!(wrong, [""; 0], "FLEETDEPLOY_BLESS=1 with CODES_TOLD writes what the tests have told");
    let codes: BTreeSet<&str> = all_codes().collect();
    let strangers: Vec<_> = untold.keys().filter(|code| !codes.contains(**code)).collect();
    assert_eq!(strangers, [&""; 0], "codes that there are not");
}
