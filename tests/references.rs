//! The reference pages are what the program says: every command's help, every key of the inventory's schema, every
//! code of a reason.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]
#![expect(clippy::disallowed_methods, reason = "these tests start the binary")]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use fleetdeploy::event::reason::lists::LISTS;
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

/// What a key takes, in words.
fn takes(value: &Value) -> String {
    let level = value["$ref"].as_str().or_else(|| value["allOf"][0]["$ref"].as_str());
    if let Some(name) = level.and_then(|level| level.strip_prefix("#/definitions/")) {
        return format!("[a map](#{})", name.to_lowercase());
    }
    if let Some(words) = value["enum"].as_array() {
        return either(words, |word| match word {
            Value::String(word) => format!("`{word}`"),
            Value::Null => "nothing".to_owned(),
            other => format!("`{other}`"),
        });
    }
    if let Some(choices) = value["oneOf"].as_array() {
        return either(choices, takes);
    }
    match value["type"].as_str() {
        Some("string") => "text".to_owned(),
        Some("boolean") => "true or false".to_owned(),
        Some("integer") => match (value["minimum"].as_u64(), value["maximum"].as_u64()) {
            (Some(least), Some(most)) => format!("a number from {least} to {most}"),
            (Some(least), None) => format!("a number of at least {least}"),
            _ => "a number".to_owned(),
        },
        Some("array") if value["items"]["oneOf"].is_array() => format!("a list of ({})", takes(&value["items"])),
        Some("array") => format!("a list of {}", takes(&value["items"])),
        Some("object") => format!("a map of names to {}", takes(&value["additionalProperties"])),
        _ => panic!("the page has no words for {value}"),
    }
}

fn either<T>(choices: &[T], word: impl Fn(&T) -> String) -> String {
    choices.iter().map(word).collect::<Vec<_>>().join(" or ")
}

/// What a key means, and what else the schema knows of it.
fn means(key: &str, value: &Value, level: &Value) -> String {
    let mut told = value["description"].as_str().unwrap_or_else(|| panic!("{key} has no description")).to_owned();
    if level["required"].as_array().is_some_and(|keys| keys.iter().any(|one| one == key)) {
        told.push_str(" Has to be given.");
    }
    if let Some(examples) = value["examples"].as_array() {
        let examples: Vec<String> = examples.iter().filter_map(Value::as_str).map(|one| format!("`{one}`")).collect();
        let _ = write!(told, " For example {}.", examples.join(", "));
    }
    told.replace('\n', " ").replace('|', "\\|")
}

/// `FLEETDEPLOY_BLESS=1 cargo test --test references` writes it anew, below its first lines.
#[test]
fn the_page_of_the_inventory_is_what_the_schema_says() {
    let page = page("docs/inventory.md");
    let (first_lines, _) = page.split_once("\n## ").unwrap();
    let schema: Value = serde_json::from_str(&self::page("inventory.schema.json")).unwrap();
    let levels = schema["definitions"].as_object().unwrap().iter().map(|(name, level)| (name.as_str(), level));
    let mut wanted = first_lines.to_owned();
    for (name, level) in [("The file", &schema)].into_iter().chain(levels) {
        let told = level["description"].as_str().unwrap_or_else(|| panic!("{name} has no description"));
        let _ = write!(wanted, "\n## {name}\n\n{}\n", told.replace('\n', " "));
        let alternatives: Vec<&str> =
            level["oneOf"].as_array().into_iter().flatten().filter_map(|one| one["required"][0].as_str()).collect();
        if !alternatives.is_empty() && !told.contains("exactly one of") {
            let _ = write!(wanted, "\nIt has exactly one of `{}`.\n", alternatives.join("`, `"));
        }
        if let Some([one, other]) = level["not"]["required"].as_array().map(Vec::as_slice) {
            let (one, other) = (one.as_str().unwrap(), other.as_str().unwrap());
            let _ = write!(wanted, "\nIt does not have both `{one}` and `{other}`.\n");
        }
        wanted.push_str("\n| key | takes | means |\n|---|---|---|\n");
        for (key, value) in level["properties"].as_object().unwrap() {
            let _ = writeln!(wanted, "| `{key}` | {} | {} |", takes(value), means(key, value, level));
        }
    }
    if std::env::var_os("FLEETDEPLOY_BLESS").is_some() {
        fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/inventory.md"), &wanted).unwrap();
    }
    assert_eq!(self::page("docs/inventory.md"), wanted);
}

/// Names that a line, or an event that tells a reason, has for itself. A reason's `host` is the event's.
const OF_A_LINE: [&str; 18] = [
    "version",
    "run",
    "seq",
    "at",
    "event",
    "text",
    "why",
    "reason",
    "hint",
    "hosts",
    "outcome",
    "exit",
    "took_ms",
    "back_within_ms",
    "what",
    "severity",
    "short",
    "mend",
];

/// What a field of a reason holds, in words.
fn holds(name: &str, field: &Value) -> String {
    let told = field["description"].as_str().map(|told| format!(": {}", told.replace('\n', " "))).unwrap_or_default();
    format!("`{name}`{told}")
}

/// `FLEETDEPLOY_BLESS=1 cargo test --test references` writes it anew, below its first lines.
#[test]
fn the_page_of_codes_has_every_reason_once() {
    let page = page("docs/codes.md");
    let (first_lines, _) = page.split_once("\n## ").unwrap();
    let schema: Value = serde_json::from_str(&self::page("events.schema.json")).unwrap();
    let mut wanted = first_lines.to_owned();
    let mut codes = Vec::new();
    for (name, list) in schema["$defs"].as_object().unwrap() {
        let reasons = list["oneOf"].as_array().into_iter().flatten();
        let reasons: Vec<&Value> = reasons.filter(|one| one["properties"]["code"]["const"].is_string()).collect();
        if reasons.is_empty() {
            continue;
        }
        let told = list["description"].as_str().unwrap_or_else(|| panic!("{name} has no description"));
        let _ = write!(wanted, "\n## {name}\n\n{}\n\n", told.replace('\n', " "));
        wanted.push_str("| code | means | fields beside it |\n|---|---|---|\n");
        for reason in reasons {
            let code = reason["properties"]["code"]["const"].as_str().unwrap();
            let told = reason["description"].as_str().unwrap_or_else(|| panic!("{code} has no description"));
            let fields = reason["properties"].as_object().unwrap().iter().filter(|(field, _)| *field != "code");
            let fields: Vec<String> = fields.map(|(name, field)| holds(name, field)).collect();
            let taken =
                reason["properties"].as_object().unwrap().keys().find(|name| OF_A_LINE.contains(&name.as_str()));
            assert_eq!(taken, None, "{code} has a field with a name that the line has for something else");
            let _ = writeln!(wanted, "| `{code}` | {} | {} |", told.replace('\n', " "), fields.join("; "));
            codes.push(code);
        }
    }
    if std::env::var_os("FLEETDEPLOY_BLESS").is_some() {
        fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/codes.md"), &wanted).unwrap();
    }
    assert_eq!(self::page("docs/codes.md"), wanted);
    let is_kebab = |code: &str| {
        code.starts_with(|first: char| first.is_ascii_lowercase())
            && code.chars().all(|one| one == '-' || one.is_ascii_lowercase() || one.is_ascii_digit())
    };
    assert_eq!(codes.iter().filter(|code| !is_kebab(code)).collect::<Vec<_>>(), [&""; 0]);
    codes.sort_unstable();
    let mut listed: Vec<&str> = LISTS.iter().flat_map(|list| list.codes).copied().collect();
    listed.sort_unstable();
    assert_eq!(codes, listed, "the schema has all lists, and each code once");
    listed.dedup();
    assert_eq!(codes, listed, "no two reasons have one code");
}
