//! Every code of a reason is told by a run: of the program, against booted hosts or without any, or of a closed world.
//! The other tests keep their events in a folder, from which this one makes the list:
//! `CODES_TOLD=FOLDER scripts/test.sh`, then `CODES_TOLD=FOLDER cargo test --test codes -- --ignored --nocapture`. Not
//! all are told yet, so scripts/test.sh does not run it.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]
#![expect(clippy::print_stdout, reason = "the list is what a person wants to see")]

use std::collections::BTreeMap;
use std::fs;

use fleetdeploy::event::reason::lists::LISTS;
use pretty_assertions::assert_eq;
use serde_json::Value;

#[path = "support/codes.rs"]
#[expect(dead_code, reason = "this test tells nothing itself")]
mod codes;

/// Codes that no run tells in a test, each with why.
const UNTOLD: &[(&str, &str)] = &[];

/// For each code the test that told it and an event that bears it.
fn told() -> BTreeMap<String, (String, Value)> {
    let folder = codes::folder().expect("CODES_TOLD names the folder of the events");
    let mut told = BTreeMap::new();
    for file in fs::read_dir(folder).unwrap() {
        for line in fs::read_to_string(file.unwrap().path()).unwrap().lines() {
            let kept: Value = serde_json::from_str(line).unwrap();
            for code in kept["codes"].as_array().unwrap() {
                let (code, test) = (code.as_str().unwrap(), kept["test"].as_str().unwrap());
                let known = told.entry(code.to_owned()).or_insert_with(|| (test.to_owned(), kept["event"].clone()));
                // Always the same one, whatever came first.
                if test < known.0.as_str() {
                    *known = (test.to_owned(), kept["event"].clone());
                }
            }
        }
    }
    told
}

#[test]
#[ignore = "reads what all other tests have kept: CODES_TOLD=FOLDER"]
fn every_code_is_told_by_a_run() {
    let told = told();
    let mut missing = Vec::new();
    for code in LISTS.iter().flat_map(|list| list.codes).copied() {
        let untold = UNTOLD.iter().find(|(one, _)| *one == code);
        match (told.get(code), untold) {
            (Some((test, event)), _) => println!("{code}\t{test}\t{event}"),
            (None, Some((_, why))) => println!("{code}\tno run: {why}"),
            (None, None) => missing.push(code),
        }
    }
    assert_eq!(missing, [""; 0], "no run has told these");
}
