//! The rooms of src know each other as ARCHITECTURE.md draws it, and no other way.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use pretty_assertions::assert_eq;
use regex::Regex;

/// What breaks an arrow today: a room, what it takes beside the arrows, and why. One that no import needs fails.
const EXCEPTIONS: [(&str, &str, &str); 1] =
    [("ui", "record::read", "what kind of run a page of the past shows is known to its reader alone")];

/// The rooms that have no sentence.
const SILENT_ROOMS: [&str; 3] = ["decide", "engine", "record"];

/// What is taken for a sentence in these rooms and is none, or is one of an error below a reason: the file, how many,
/// and what it is.
const NO_SENTENCES: [(&str, usize, &str); 7] = [
    ("decide::doctor", 1, "how a field is written, for serde"),
    ("decide::look_ahead", 1, "a path, as NixOS writes it into sshd_config"),
    ("engine::own_machine", 1, "a file of the kernel"),
    ("record", 1, "an error beside those of the operating system: no regular file"),
    ("record::journal", 2, "errors beside those of the operating system: the file is somebody else's"),
    ("record::listener", 1, "the same: the file was deleted"),
    ("record::run_id", 1, "a mistake on the command line, for clap"),
];

/// The rooms with words for people that are not those of `event::wording`, and why.
const OWN_WORDS: [(&str, &str); 9] = [
    ("commands", "the help of the command line, questions, and pages that are no events"),
    ("event", "it has the dictionary"),
    ("facts", "what a text must be to be such a value, for the command line and the inventory"),
    ("import", "its notes say of lines of other tools' files what became of them; a refusal brings their words along"),
    ("inventory", "it stands before the events: `inventory::wording` has the words of its mistakes, each with a code"),
    ("local", "what was wrong with a child process, below a reason"),
    ("nix", "what Nix is asked, and the signs by which it is read"),
    (
        "remote",
        "what is run on hosts, and the signs by which what they say is read; why a link is down is a host's word",
    ),
    ("ui", "what is drawn around the words of events"),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn architecture() -> String {
    fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap()
}

/// A file of src: its module as a path from the crate, and its code without comments and tests.
struct File {
    module: Vec<String>,
    code: String,
}

impl File {
    fn room(&self) -> &str {
        &self.module[0]
    }

    /// What it takes from the crate, as paths from there; `super` is followed.
    fn imports(&self) -> Vec<Vec<String>> {
        let mut found = Vec::new();
        for (at, _) in self.code.match_indices("crate::") {
            let before = self.code[..at].chars().next_back();
            if before.is_none_or(|one| !one.is_alphanumeric() && one != '_') {
                branches(&self.code[at + "crate::".len()..], &[], &mut found);
            }
        }
        for (at, _) in self.code.match_indices("super::").filter(|(at, _)| !self.code[..*at].ends_with("super::")) {
            let mut rest = &self.code[at..];
            let mut base = self.module.as_slice();
            while let Some(next) = rest.strip_prefix("super::") {
                (rest, base) = (next, &base[..base.len().saturating_sub(1)]);
            }
            branches(rest, base, &mut found);
        }
        found
    }
}

/// The paths of a tree of names: `a::{b, c::D}` below `base` is `base::a::b` and `base::a::c::D`.
///
/// Returns what follows the tree.
fn branches<'a>(tree: &'a str, base: &[String], found: &mut Vec<Vec<String>>) -> &'a str {
    let tree = tree.trim_start();
    if let Some(mut rest) = tree.strip_prefix('{') {
        while !rest.trim_start().starts_with('}') {
            let after = branches(rest, base, found).trim_start();
            assert!(after.len() < rest.len(), "no tree of names: {rest:.80}");
            rest = after.strip_prefix(',').unwrap_or(after);
        }
        return &rest.trim_start()[1..];
    }
    let end = tree.find(|one: char| !one.is_alphanumeric() && one != '_' && one != '*').unwrap_or(tree.len());
    let path = [base, &[tree[..end].to_owned()]].concat();
    if let Some(rest) = tree[end..].strip_prefix("::").filter(|rest| !rest.starts_with('<')) {
        return branches(rest, &path, found);
    }
    found.push(path);
    let rest = tree[end..].trim_start();
    let Some(name) = rest.strip_prefix("as ") else { return rest };
    name.trim_start().trim_start_matches(|one: char| one.is_alphanumeric() || one == '_')
}

/// Without comments, and without what only tests compile.
fn code(text: &str) -> String {
    let mut lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let mut code = String::new();
    while let Some(line) = lines.next() {
        if line.trim() != "#[cfg(test)]" {
            code.push_str(line);
            code.push('\n');
            continue;
        }
        let end = format!("{}}}", &line[..line.len() - line.trim_start().len()]);
        if lines.next().is_some_and(|first| !first.trim_end().ends_with([';', '}'])) {
            lines.find(|line| *line == end);
        }
    }
    code
}

fn files() -> Vec<File> {
    let mut files = Vec::new();
    let mut waiting = vec![root().join("src")];
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            waiting.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let inner: PathBuf = path.strip_prefix(root().join("src")).unwrap().with_extension("");
        let mut module: Vec<String> = inner.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
        let is_test = module.iter().any(|part| part == "tests");
        if path.extension().is_some_and(|end| end == "rs") && !is_test && module != ["lib"] {
            module.truncate(module.len() - usize::from(module.ends_with(&["mod".to_owned()])));
            files.push(File { module, code: code(&fs::read_to_string(path).unwrap()) });
        }
    }
    assert!(files.len() > 100, "only {} files", files.len());
    files
}

/// What ARCHITECTURE.md draws: for each room, all that is to the right of it.
fn arrows() -> BTreeMap<String, BTreeSet<String>> {
    let page = architecture();
    let (_, section) = page.split_once("## The arrows\n\n```text\n").unwrap();
    let mut arrows: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in section.lines().take_while(|line| *line != "```") {
        // Behind a gap stands what the arrow is for.
        let drawn = line.split("   ").next().unwrap();
        let stops: Vec<Vec<&str>> = drawn
            .split("->")
            .map(|stop| stop.split([' ', '{', '}', ',']).filter(|name| !name.is_empty()).collect())
            .collect();
        for pair in stops.windows(2) {
            for from in &pair[0] {
                arrows.entry((*from).to_owned()).or_default().extend(pair[1].iter().map(|&to| to.to_owned()));
            }
        }
    }
    reached(&arrows)
}

/// Each name with all that is reached from it in one step or more.
fn reached(graph: &BTreeMap<String, BTreeSet<String>>) -> BTreeMap<String, BTreeSet<String>> {
    let all_from = |from: &String| {
        let mut seen = BTreeSet::new();
        let mut waiting: Vec<&String> = graph[from].iter().collect();
        while let Some(name) = waiting.pop() {
            if seen.insert(name.clone()) {
                waiting.extend(graph.get(name).into_iter().flatten());
            }
        }
        seen
    };
    graph.keys().map(|from| (from.clone(), all_from(from))).collect()
}

/// What ARCHITECTURE.md says that all rooms know.
fn known_to_all() -> Vec<String> {
    let page = architecture();
    let (_, rest) = page.split_once("All rooms know ").unwrap();
    let sentence = rest.split(". ").next().unwrap();
    sentence.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Whether a path is the named one or lies below it.
fn is_below(path: &[String], name: &str) -> bool {
    name.split("::").enumerate().all(|(at, part)| path.get(at).is_some_and(|one| one == part))
}

#[test]
fn every_import_goes_along_an_arrow() {
    let (arrows, known) = (arrows(), known_to_all());
    let mut needed = BTreeSet::new();
    let mut wrong = BTreeSet::new();
    for file in files() {
        for path in file.imports().iter().filter(|path| path[0] != file.room()) {
            let drawn = arrows.get(file.room()).into_iter().flatten();
            if drawn.chain(&known).any(|name| is_below(path, name)) {
                continue;
            }
            let is_excepted = |one: &&(&str, &str, &str)| one.0 == file.room() && is_below(path, one.1);
            match EXCEPTIONS.iter().find(is_excepted) {
                Some(exception) => _ = needed.insert(*exception),
                None => _ = wrong.insert(format!("{} takes {}", file.module.join("::"), path.join("::"))),
            }
        }
    }
    let wrong: Vec<String> = wrong.into_iter().collect();
    assert!(wrong.is_empty(), "against the arrows of ARCHITECTURE.md:\n{}", wrong.join("\n"));
    let idle: Vec<_> = EXCEPTIONS.iter().filter(|one| !needed.contains(*one)).collect();
    assert!(idle.is_empty(), "nobody needs these exceptions any more, take them out: {idle:?}");
}

/// The drawing itself goes one way, and names rooms that are there.
#[test]
fn no_arrow_leads_back_and_every_room_is_drawn() {
    let arrows = arrows();
    let back: Vec<&String> = arrows.iter().filter(|(from, to)| to.contains(*from)).map(|(from, _)| from).collect();
    assert!(back.is_empty(), "these are drawn in a circle: {back:?}");
    let known = known_to_all();
    let drawn = arrows.iter().flat_map(|(from, to)| to.iter().chain([from])).chain(&known);
    let drawn: BTreeSet<&str> = drawn.map(|name| name.split("::").next().unwrap()).collect();
    let files = files();
    let rooms: BTreeSet<&str> = files.iter().map(File::room).collect();
    assert_eq!(drawn, rooms);
}

/// What two files need goes into a module below both.
#[test]
fn no_modules_of_a_room_know_each_other_in_a_circle() {
    let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let files = files();
    let modules: BTreeSet<&[String]> = files.iter().filter_map(|file| file.module.get(..2)).collect();
    for file in &files {
        let Some(from) = file.module.get(..2) else { continue };
        let taken = file.imports();
        let taken = taken.iter().filter_map(|path| path.get(..2)).filter(|to| to[0] == from[0] && *to != from);
        let taken = taken.filter(|to| modules.contains(to)).map(|to| to.join("::"));
        graph.entry(from.join("::")).or_default().extend(taken);
    }
    let reached = reached(&graph);
    let mut circles = BTreeSet::new();
    for (name, others) in reached.iter().filter(|(name, others)| others.contains(*name)) {
        let circle = others.iter().filter(|other| reached[*other].contains(name));
        let names: Vec<&str> = circle.map(|other| other.split_once("::").unwrap().1).collect();
        circles.insert(format!("{}: {}", name.split_once("::").unwrap().0, names.join(" ")));
    }
    assert_eq!(circles, BTreeSet::new());
}

/// A reader who meets a type's name knows which one it is.
#[test]
fn no_two_types_share_a_name() {
    let files = files();
    let definition = Regex::new(r"(?m)^(?:pub(?:\([^)]*\))? )?(?:struct|enum|trait|type|union) ([A-Z]\w*)").unwrap();
    let mut places: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for file in &files {
        for found in definition.captures_iter(&file.code) {
            places.entry(found.get(1).unwrap().as_str()).or_default().insert(file.module.join("::"));
        }
    }
    assert!(places.len() > 400, "only {} types", places.len());
    let shared: Vec<_> = places.into_iter().filter(|(_, files)| files.len() > 1).collect();
    assert_eq!(shared, []);
}

/// The literals of a file that a person could read as a sentence: four words or more. What a panic or an `expect` says
/// is for whoever wrote the code.
fn sentences(code: &str) -> Vec<String> {
    let literal = Regex::new(r#"(?s)(\.expect\(\s*|reason = |must_use = |panic!\(\s*)?"((?:[^"\\]|\\.)*)""#).unwrap();
    let (gap, word) = (Regex::new(r"\{[^}]*\}").unwrap(), Regex::new(r"[A-Za-z][A-Za-z'-]+").unwrap());
    let told = literal.captures_iter(code).filter(|found| found.get(1).is_none());
    let told = told.map(|found| found[2].to_owned());
    told.filter(|text| word.find_iter(&gap.replace_all(text, "")).count() >= 4).collect()
}

/// Words are in `event::wording`: these rooms have reasons.
#[test]
fn no_sentence_is_outside_the_dictionary() {
    let mut found = BTreeMap::new();
    for file in files().iter().filter(|file| SILENT_ROOMS.contains(&file.room())) {
        let told = sentences(&file.code);
        if !told.is_empty() {
            found.insert(file.module.join("::"), told.len());
        }
    }
    let expected = NO_SENTENCES.iter().map(|(module, count, _)| ((*module).to_owned(), *count)).collect();
    assert_eq!(found, expected);
}

/// What is not in the dictionary is somewhere for a reason.
#[test]
fn a_room_with_words_of_its_own_says_why() {
    let files = files();
    let has_words = files.iter().filter(|file| !sentences(&file.code).is_empty());
    let rooms: BTreeSet<&str> = has_words.map(File::room).filter(|room| !SILENT_ROOMS.contains(room)).collect();
    assert_eq!(rooms, OWN_WORDS.iter().map(|(room, _)| *room).collect());
}

/// What went wrong on the way to a host, or there, has the words of its reason: an error has none beside them.
#[test]
fn an_error_of_a_host_has_no_words_of_its_own() {
    let files = files();
    let worded = files.iter().filter(|file| file.room() == "remote" && file.code.contains("#[error(\""));
    assert_eq!(worded.map(|file| file.module.join("::")).collect::<Vec<_>>(), [""; 0]);
}

/// A person is told reasons, each with a code. Words without one come out of records of old versions alone, and out of
/// tests that are about those.
#[test]
fn no_reason_is_made_of_a_text() {
    let files = files();
    let named = files.iter().filter(|file| file.code.contains("without_code"));
    let named: Vec<String> = named.map(|file| file.module.join("::")).collect();
    assert_eq!(named, ["event::reason::any"], "`AnyReason::without_code` is for tests");
    let any = files.iter().find(|file| file.module.join("::") == "event::reason::any").unwrap();
    let conversion = Regex::new(r"impl(?:<[^>]*>)? (?:From|TryFrom)<([^>]*)> for AnyReason").unwrap();
    let from: Vec<&str> = conversion.captures_iter(&any.code).map(|found| found.get(1).unwrap().as_str()).collect();
    assert_eq!(from, ["R"], "a text is no reason");
    // A text becomes a reason's words in its reader, and where words are added to those that it has.
    let made = any.code.matches("Self(Content::Read {").count() + any.code.matches("self.0 = Content::Read {").count();
    assert_eq!(made, 5, "without_code, followed_by, preceded_by, shorten, read");
}

#[test]
fn what_reaches_outside_is_named_in_one_file_each() {
    let files = files();
    let naming = |names: &[&str]| -> Vec<String> {
        let naming = files.iter().filter(|file| names.iter().any(|name| file.code.contains(name)));
        let mut naming: Vec<String> = naming.map(|file| file.module.join("::")).collect();
        naming.sort();
        naming
    };
    assert_eq!(naming(&["openssh::"]), ["remote::session"], "the ssh library");
    assert_eq!(naming(&["process::Command", "Command::new"]), ["local::process"], "child processes");
    let outside = ["std::fs", "TcpStream", "UdpSocket", "std::io", "tokio", "::now()", "async fn", "println!"];
    for word in outside {
        let deciders = naming(&[word]).into_iter().filter(|module| module.starts_with("decide"));
        assert_eq!(deciders.collect::<Vec<_>>(), [""; 0], "the decider is pure: {word}");
    }
}
