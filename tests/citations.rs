//! Comments and pages lead to what is there: `docs/NAME.md, "Heading"` to that heading, links of pages to files and
//! headings.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

/// Where comments and pages are.
const PLACES: [&str; 14] = [
    "src",
    "tests",
    "scripts",
    "docs",
    "examples",
    ".ci",
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "CHANGELOG.md",
    ".github",
    "inventory.example.yaml",
    "clippy.toml",
];

/// The pages whose tables show what the program says, in their first column.
const SAYINGS: &str = "docs/when-things-go-wrong.md";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every text below these places, by its path from the root.
fn texts(places: &[&str]) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut waiting: Vec<PathBuf> = places.iter().map(|place| root().join(place)).collect();
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            waiting.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if let Ok(text) = fs::read_to_string(&path) {
            found.push((path.strip_prefix(root()).unwrap().to_owned(), text));
        }
    }
    assert!(!found.is_empty(), "nothing in {places:?}");
    found
}

/// The headings of a page, outside of its code.
fn headings(text: &str) -> Vec<String> {
    let mut in_code = false;
    let mut headings = Vec::new();
    for line in text.lines() {
        in_code ^= line.trim_start().starts_with("```");
        let words = line.trim_start_matches('#');
        if !in_code && words.len() < line.len() && words.starts_with(' ') {
            headings.push(words.trim().to_owned());
        }
    }
    headings
}

/// As forges and mdBook make one of a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|one| one.is_alphanumeric() || matches!(one, ' ' | '-' | '_'));
    kept.map(|one| if one == ' ' { '-' } else { one.to_ascii_lowercase() }).collect()
}

fn has_heading(page: &Path, is_meant: impl Fn(&str) -> bool) -> bool {
    fs::read_to_string(root().join(page)).is_ok_and(|text| headings(&text).iter().any(|heading| is_meant(heading)))
}

/// Without `..`, from the root.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            other => plain.push(other),
        }
    }
    plain
}

/// What is cited in a text: a page, and the heading where one is named. `Err`: a citation without an end.
fn citations(text: &str) -> Vec<Result<(&str, Option<&str>), &str>> {
    let mut found = Vec::new();
    for line in text.lines() {
        for (at, _) in line.match_indices("docs/") {
            let rest = &line[at..];
            let Some(end) = rest.find(".md").map(|end| end + ".md".len()) else { continue };
            let page = &rest[..end];
            if !page["docs/".len()..].bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)) {
                continue;
            }
            match rest[end..].strip_prefix(", \"").map(|heading| heading.split_once('"')) {
                None => found.push(Ok((page, None))),
                Some(Some((heading, _))) => found.push(Ok((page, Some(heading)))),
                Some(None) => found.push(Err(line)),
            }
        }
    }
    found
}

#[test]
fn every_page_and_heading_that_is_cited_is_there() {
    let (mut wrong, mut with_heading) = (Vec::new(), 0);
    for (file, text) in texts(&PLACES) {
        if file.ends_with("citations.rs") {
            continue;
        }
        for citation in citations(&text) {
            match citation {
                Ok((page, None)) if !root().join(page).exists() => wrong.push(format!("{}: {page}", file.display())),
                Ok((page, Some(heading))) if !has_heading(Path::new(page), |one| one == heading) => {
                    wrong.push(format!("{}: {page} has no heading \"{heading}\"", file.display()));
                }
                Ok((_, heading)) => with_heading += usize::from(heading.is_some()),
                Err(line) => wrong.push(format!("{}: put it on one line: {line}", file.display())),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(with_heading > 20, "only {with_heading} citations were found");
}

#[test]
fn every_link_between_pages_leads_somewhere() {
    let mut wrong = Vec::new();
    for (file, text) in texts(&PLACES).into_iter().filter(|(file, _)| file.extension().is_some_and(|end| end == "md")) {
        for link in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (path, fragment) = link.split_once('#').map_or((link, None), |(path, fragment)| (path, Some(fragment)));
            let target = match path {
                "" => file.clone(),
                path => plain(&file.parent().unwrap().join(path)),
            };
            if !root().join(&target).exists() {
                wrong.push(format!("{}: {link}", file.display()));
            } else if let Some(fragment) = fragment
                && !has_heading(&target, |heading| anchor(heading) == fragment)
            {
                wrong.push(format!("{}: {link}: no such heading", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_book_has_every_page() {
    let summary = fs::read_to_string(root().join("docs/SUMMARY.md")).unwrap();
    let pages: BTreeSet<PathBuf> = texts(&["docs"]).into_iter().map(|(file, _)| file).collect();
    let is_page = |file: &&PathBuf| file.extension().is_some_and(|end| end == "md") && !file.ends_with("SUMMARY.md");
    for page in pages.iter().filter(is_page) {
        let name = page.strip_prefix("docs").unwrap().display().to_string();
        assert!(summary.contains(&format!("({name})")), "docs/SUMMARY.md does not name {name}");
    }
}

/// A literal of the code may be broken over lines.
fn joined(text: &str) -> String {
    let mut words: Vec<&str> = Vec::new();
    text.lines().for_each(|line| words.extend(line.trim_end_matches('\\').split_whitespace()));
    words.join(" ").replace("\\\"", "\"")
}

#[test]
fn what_the_page_on_trouble_quotes_is_said_by_the_program() {
    let code: Vec<String> = texts(&["src"]).iter().map(|(_, text)| joined(text)).collect();
    let page = fs::read_to_string(root().join(SAYINGS)).unwrap();
    let quotes: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter_map(|row| row.split_once("` |"))
        .map(|(quote, _)| quote)
        .collect();
    assert!(quotes.len() > 20, "only {} quotes were found", quotes.len());
    let wrong: Vec<&&str> = quotes.iter().filter(|quote| !code.iter().any(|text| text.contains(**quote))).collect();
    assert!(wrong.is_empty(), "nothing in src says {wrong:?}");
}

/// The texts in backticks of a line, each with whether it stands in brackets.
fn backticked(line: &str) -> Vec<(&str, bool)> {
    let mut depth = 0;
    let mut found = Vec::new();
    for (at, part) in line.split('`').enumerate() {
        if at % 2 == 1 {
            found.push((part, depth > 0));
        } else {
            depth += part.matches('(').count();
            depth -= part.matches(')').count().min(depth);
        }
    }
    found
}

/// Whether a text has these words, and not only as a part of a longer name.
fn has_word(text: &str, words: &str) -> bool {
    let goes_on = |one: char| one.is_alphanumeric() || one == '_';
    text.match_indices(words).any(|(at, _)| {
        let (before, behind) = (text[..at].chars().next_back(), text[at + words.len()..].chars().next());
        !before.is_some_and(goes_on) && !behind.is_some_and(goes_on)
    })
}

/// The file that a page means by a path: from the root, below `src/`, a script, or beside the file named before it.
fn meant(path: &str, before: Option<&Path>) -> Option<PathBuf> {
    let beside = before.and_then(Path::parent).map(|folder| folder.join(path));
    let places = ["", "src", "src/remote/scripts"].map(|place| Path::new(place).join(path));
    places.into_iter().chain(beside).find(|place| root().join(place).exists())
}

#[test]
fn every_file_and_name_in_the_architecture_is_there() {
    let page = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let (mut wrong, mut behaviours) = (Vec::new(), 0);
    let mut is_table_of_behaviours = false;
    for line in page.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            is_table_of_behaviours = heading == "Where to find";
        }
        let mut last: Option<PathBuf> = None;
        let mut has_file = false;
        for (text, in_brackets) in backticked(line) {
            let is_file = [".rs", ".sh", ".md", ".json", ".yaml"].iter().any(|end| text.ends_with(end));
            if text.ends_with('/') {
                // Files that follow may lie in this folder.
                last = meant(text, None).map(|folder| folder.join("file"));
                if last.is_none() {
                    wrong.push(format!("there is no {text}: {line}"));
                }
            } else if is_file && !text.contains(['*', ' ']) {
                let file = meant(text, last.as_deref());
                has_file |= file.is_some();
                if file.is_none() {
                    wrong.push(format!("there is no {text}: {line}"));
                }
                last = file;
            } else if let (true, true, Some(file)) = (is_table_of_behaviours, in_brackets, &last)
                && !has_word(&fs::read_to_string(root().join(file)).unwrap(), text)
            {
                wrong.push(format!("{} has no {text}: {line}", file.display()));
            }
        }
        behaviours += usize::from(is_table_of_behaviours && line.starts_with("| ") && has_file);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(behaviours >= 20, "a newcomer finds only {behaviours} behaviours");
}

/// What other programs print or read, byte by byte, and what tests expect on a screen.
const SAMPLES: [&str; 5] =
    ["tests/look_ahead", "tests/fixtures", "tests/snapshots", "tests/codes/told.jsonl", "src/nix/samples"];

const COLUMNS: usize = 120;

/// How many lines of a file are longer. A raw literal is the text of another program, and stands as it is.
fn long_lines(file: &Path, text: &str) -> usize {
    let is_rust = file.extension().is_some_and(|end| end == "rs");
    let mut literal = None;
    let mut long = 0;
    for line in text.lines() {
        let is_raw = is_rust && has_raw_literal(line, &mut literal);
        long += usize::from(!is_raw && line.chars().count() > COLUMNS);
    }
    long
}

/// Whether a line has a part of a raw literal. `open` is the end of the one that goes on in the next line.
fn has_raw_literal(line: &str, open: &mut Option<String>) -> bool {
    let mut found = open.is_some();
    let mut rest = line;
    loop {
        if let Some(end) = open.take() {
            let Some((_, behind)) = rest.split_once(&end) else {
                *open = Some(end);
                return true;
            };
            rest = behind;
        }
        let Some((hashes, behind)) = start_of_raw_literal(rest) else { return found };
        found = true;
        *open = Some(format!("\"{hashes}"));
        rest = behind;
    }
}

/// The hashes of the first raw literal of a line, and what stands behind its opening quote.
fn start_of_raw_literal(line: &str) -> Option<(&str, &str)> {
    line.match_indices('r').find_map(|(at, _)| {
        let before = line[..at].strip_suffix('b').unwrap_or(&line[..at]).chars().next_back();
        let behind = &line[at + 1..];
        let quoted = behind.trim_start_matches('#').strip_prefix('"')?;
        let hashes = &behind[..behind.len() - quoted.len() - 1];
        before.is_none_or(|one| !one.is_alphanumeric() && one != '_' && one != '"').then_some((hashes, quoted))
    })
}

#[test]
fn no_line_is_longer_than_120_columns() {
    let is_page = |file: &Path| file.extension().is_some_and(|end| end == "md");
    let is_sample = |file: &Path| SAMPLES.iter().any(|place| file.starts_with(place));
    let mut long = BTreeMap::new();
    for (file, text) in texts(&["src", "tests", "scripts", ".ci"]) {
        let count = if is_page(&file) || is_sample(&file) { 0 } else { long_lines(&file, &text) };
        if count > 0 {
            long.insert(file.display().to_string(), count);
        }
    }
    assert_eq!(long, BTreeMap::new(), "files with lines of more than {COLUMNS} columns, and how many");
}
