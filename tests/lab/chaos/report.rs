//! The results: one line of JSON for each run, and the table made of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde::Serialize;
use serde_json::Value;

use crate::chaos::spec::{Injection, Moment};
use crate::chaos::trial::Step;

/// A folder: `results.jsonl`, `table.md`, and one folder for each run with violations.
#[derive(Debug)]
pub(super) struct Results {
    place: PathBuf,
    file: Mutex<File>,
    done: BTreeSet<u64>,
}

impl Results {
    /// `resume`: goes on with what is there already.
    pub(super) fn open(place: &Path, resume: bool) -> Self {
        std::fs::create_dir_all(place).unwrap();
        let path = place.join("results.jsonl");
        if !resume {
            let _ = std::fs::remove_file(&path);
        }
        let done = lines(&path).iter().filter_map(|line| line["seed"].as_u64()).collect();
        let file = File::options().create(true).append(true).open(&path).unwrap();
        Self { place: place.to_owned(), file: Mutex::new(file), done }
    }

    pub(super) fn place(&self) -> &Path {
        &self.place
    }

    pub(super) fn has(&self, seed: u64) -> bool {
        self.done.contains(&seed)
    }

    pub(super) fn add(&self, row: &dyn Row) {
        writeln!(self.file.lock().unwrap(), "{}", row.line()).unwrap();
        let violations = row.violations().iter().fold(String::new(), |all, one| all + "\n    VIOLATION: " + one);
        eprintln!("seed {}: {}{violations}", row.seed(), row.words());
    }

    /// What was done, in which phase, and what came of it: Markdown, printed and in `table.md`.
    pub(super) fn write_table(&self) {
        let table = table(&lines(&self.place.join("results.jsonl")));
        eprintln!("\n{table}");
        std::fs::write(self.place.join("table.md"), table).unwrap();
    }
}

/// A run that is over: a line of JSON with `injection`, `phase_hit`, `outcome`, `seconds` and `violations`.
pub(super) trait Row: ToLine {
    fn seed(&self) -> u64;
    /// What it was and what came of it, for a person who waits.
    fn words(&self) -> String;
    fn violations(&self) -> &[String];
}

pub(super) trait ToLine {
    fn line(&self) -> String;
}

impl<Any: Serialize> ToLine for Any {
    fn line(&self) -> String {
        serde_json::to_string(self).unwrap()
    }
}

/// A torn last line is of a run that did not come to its end.
fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn table(lines: &[Value]) -> String {
    let word = |line: &Value, key: &str| line[key].as_str().unwrap_or_default().to_owned();
    let injection = |line: &Value| {
        let all = [&[Injection::Nothing], Injection::ALL.as_slice(), &Injection::OF_TRIALS].concat();
        let is_it = |one: &&Injection| serde_json::to_value(one).unwrap() == line["injection"];
        all.iter().find(is_it).map_or("", |one| one.words())
    };
    let violated = |line: &&Value| line["violations"].as_array().is_some_and(|all| !all.is_empty());
    let sum: u64 = lines.iter().filter_map(|line| line["seconds"].as_u64()).sum();
    let mut text = format!(
        "{} runs, {} with violations, {} s each on average.\n\n| what was broken | in phase | runs | what came of it \
         |\n|---|---|---|---|\n",
        lines.len(),
        lines.iter().filter(violated).count(),
        sum / (lines.len().max(1) as u64),
    );
    let mut cells: BTreeMap<(&str, usize, String), BTreeMap<String, usize>> = BTreeMap::new();
    let mut phases: BTreeMap<usize, (String, usize)> = BTreeMap::new();
    for line in lines {
        let phase = word(line, "phase_hit");
        let mut words = Moment::ALL.map(Moment::word).into_iter().chain(Step::ALL.map(Step::word));
        let order = words.position(|word| word == phase).unwrap_or(usize::MAX);
        *cells.entry((injection(line), order, phase.clone())).or_default().entry(word(line, "outcome")).or_default() +=
            1;
        phases.entry(order).or_insert((phase, 0)).1 += 1;
    }
    for ((injection, _, phase), outcomes) in cells {
        let runs: usize = outcomes.values().sum();
        let outcomes: Vec<String> = outcomes.iter().map(|(outcome, count)| format!("{count} {outcome}")).collect();
        let _ = writeln!(text, "| {injection} | {phase} | {runs} | {} |", outcomes.join(", "));
    }
    text.push_str("\n| phase | how often hit |\n|---|---|\n");
    for (phase, count) in phases.values() {
        let _ = writeln!(text, "| {phase} | {count} |");
    }
    text
}
