//! Each command of fleetdeploy that a page shows is one that the program takes.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::fs;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use fleetdeploy::commands::Cli;

/// An id of a run, for `RUN`.
const A_RUN: &str = "20261122-161500-homelab-3f9c";

/// A command line of a page, and where it stands.
struct Shown {
    place: String,
    line: String,
    /// It stands in a sentence, which may name a command without its arguments.
    is_named: bool,
}

/// The pages that people read, and the front doors of the folders that they meet. The page of commands is left out: it
/// is written from the program's own help, whose examples have their remarks after two spaces; and that of the single
/// changes tells of commands as they were.
fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let left_out = ["commands.md", "changes-of-0.2.0.md"];
    let is_page = |path: &PathBuf| {
        path.extension().is_some_and(|end| end == "md") && !left_out.iter().any(|page| path.ends_with(page))
    };
    let mut pages: Vec<PathBuf> = docs.filter(is_page).collect();
    pages.extend(["README.md", "SECURITY.md", "CONTRIBUTING.md", "scripts/lab/README.md"].map(|name| root.join(name)));
    pages.sort();
    pages
}

/// The commands of one page: what stands in its blocks of code after a prompt, `run:` or nothing, and in its backticks.
fn shown(page: &Path) -> Vec<Shown> {
    let text = fs::read_to_string(page).unwrap();
    let (mut shown, mut is_code, mut begun) = (Vec::new(), false, String::new());
    for (number, line) in text.lines().enumerate() {
        let place = format!("{}:{}", page.display(), number + 1);
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
            continue;
        }
        let mut take =
            |line: &str| shown.push(Shown { place: place.clone(), line: line.to_owned(), is_named: !is_code });
        if !is_code {
            line.split('`').skip(1).step_by(2).filter(|code| code.starts_with("fleetdeploy ")).for_each(&mut take);
            continue;
        }
        let line = format!("{begun}{}", line.trim_start());
        begun.clear();
        if let Some(first) = line.strip_suffix('\\') {
            first.clone_into(&mut begun);
            continue;
        }
        let bare = ["$ ", "- run: ", "run: "].iter().find_map(|prompt| line.strip_prefix(prompt)).unwrap_or(&line);
        if bare.starts_with("fleetdeploy ") {
            take(bare);
        }
    }
    shown
}

/// The words of a command as a shell would give them on, up to a remark, a pipe or the next command. What a sentence of
/// the screen goes on with after a comma is no part of it.
fn words(line: &str) -> Vec<String> {
    let ends = [" # ", "\t# ", " | ", " && ", "; ", " > ", ", ", " 2>"];
    let command = ends.iter().filter_map(|end| line.find(end)).min().map_or(line, |end| &line[..end]);
    let words = shlex::split(command).unwrap_or_else(|| panic!("{command}: its quotes do not close"));
    words.into_iter().map(|word| if word == "RUN" { A_RUN.to_owned() } else { word }).collect()
}

#[test]
fn every_command_of_a_page_is_one_that_the_program_takes() {
    let (mut seen, mut wrong) = (0, Vec::new());
    for shown in pages().iter().flat_map(|page| shown(page)) {
        let words = words(&shown.line);
        seen += 1;
        if let Err(error) = Cli::read(words.iter().map(Into::into)) {
            match error.kind() {
                ErrorKind::DisplayHelp => continue,
                ErrorKind::MissingRequiredArgument if shown.is_named => continue,
                _ => {}
            }
            let said = error.to_string();
            wrong.push(format!("{}: {}\n  {}", shown.place, shown.line, said.lines().next().unwrap_or_default()));
        }
    }
    assert!(seen > 100, "only {seen} commands were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
