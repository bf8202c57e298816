//! The two reference pages are what the program says: every command's help, every key of the inventory's schema.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]
#![expect(clippy::disallowed_methods, reason = "these tests start the binary")]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use pretty_assertions::assert_eq;
use serde_json::Value;

fn page(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// What `--help` says of a command, without blanks at the ends of lines.
fn help(words: &[&str]) -> String {
    let said = Command::new(env!("CARGO_BIN_EXE_fleetdeploy")).args(words).arg("--help").output().unwrap();
    assert!(said.status.success(), "{words:?}");
    let text = String::from_utf8(said.stdout).unwrap();
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// The options that every command has stand once on the page, at its beginning.
fn without_global_options(text: &str) -> String {
    let Some((before, rest)) = text.split_once("Global options:\n") else { return text.trim_end().to_owned() };
    let after = rest.lines().skip_while(|line| line.is_empty() || line.starts_with(' '));
    let after = after.collect::<Vec<_>>().join("\n");
    format!("{}\n\n{after}", before.trim_end()).trim_end().to_owned()
}

/// The subcommands that a help lists.
fn subcommands(help: &str) -> Vec<String> {
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names = listed.filter(|line| !line.starts_with("   ")).filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

/// `FLEETDEPLOY_BLESS=1 cargo test --test references` writes it anew, below its first lines.
#[test]
fn the_page_of_commands_is_what_help_says() {
    let page = page("docs/commands.md");
    let (first_lines, _) = page.split_once("\n## ").unwrap();
    let mut wanted = first_lines.to_owned();
    let mut waiting = vec![Vec::new()];
    while let Some(words) = waiting.pop() {
        let names: Vec<&str> = words.iter().map(String::as_str).collect();
        let said = help(&names);
        waiting.extend(subcommands(&said).into_iter().rev().map(|name| [words.clone(), vec![name]].concat()));
        let shown = if words.is_empty() { said.trim_end().to_owned() } else { without_global_options(&said) };
        let title = ["fleetdeploy"].into_iter().chain(names).collect::<Vec<_>>().join(" ");
        let _ = write!(wanted, "\n## {title}\n\n```text\n{shown}\n```\n");
    }
    if std::env::var_os("FLEETDEPLOY_BLESS").is_some() {
        fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/commands.md"), &wanted).unwrap();
    }
    assert_eq!(self::page("docs/commands.md"), wanted);
}

#[test]
fn the_page_of_the_inventory_has_every_key_of_the_schema() {
    let page = page("docs/inventory.md");
    let schema: Value = serde_json::from_str(&self::page("inventory.schema.json")).unwrap();
    let levels = schema["definitions"].as_object().unwrap().iter().map(|(name, level)| (name.as_str(), level));
    let mut wrong = Vec::new();
    for (name, level) in levels.chain([("The file", &schema)]) {
        let Some(keys) = level["properties"].as_object() else { continue };
        let section = page.split_once(&format!("\n## {name}\n")).map_or("", |(_, rest)| rest);
        let section = section.split("\n## ").next().unwrap_or_default();
        for (key, value) in keys {
            let told = value["description"].as_str().unwrap_or_default().replace('\n', " ").replace('|', "\\|");
            let row = section.lines().find(|line| line.starts_with(&format!("| `{key}` | ")));
            if row.is_none_or(|row| !row.contains(&told)) {
                wrong.push(format!("{name}.{key}"));
            }
        }
    }
    assert!(wrong.is_empty(), "docs/inventory.md does not have, as the schema has it: {wrong:?}");
}
