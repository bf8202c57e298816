//! Chooses the fields of a record that stand in every report: numbers, times, words of ours, names and store paths. A
//! text that a person or a program has written is never among them, because it may contain anything.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::inventory::model::HostName;

/// Stands for a text that was left out.
pub(super) const LEFT_OUT: &str = "(text)";

/// Keys with values that are always one word, of a few kinds of characters.
const WORDS: [&str; 33] = [
    "action",
    "at",
    "behind",
    "boot_default",
    "boots",
    "current",
    "entry",
    "event",
    "failed_units",
    "fleet",
    "fleetdeploy",
    "from",
    "host",
    "hosts",
    "kind",
    "loader",
    "name",
    "new",
    "old",
    "order",
    "outcome",
    "phase",
    "profile",
    "reboot_for",
    "run",
    "selected",
    "skipped",
    "state",
    "to",
    "to_host",
    "unit",
    "wave",
    "waves",
];

/// Keys whose values are a version of a program, as that program says it.
const VERSIONS: [&str; 6] = ["kernel", "new_kernel", "nix", "nixos", "old_kernel", "systemd"];

/// The longest version, of an ssh with the name of its distribution.
const LONGEST_VERSION: usize = 64;

/// Keys under which names of hosts stand, alone, in lists or as the names of a map.
const HOSTS: [&str; 46] = [
    "all",
    "armed_first",
    "at",
    "away",
    "back",
    "behind",
    "changes",
    "cleaned",
    "elsewhere",
    "ended_without",
    "from",
    "guarded",
    "host",
    "hosts",
    "hub",
    "jump",
    "known",
    "left",
    "left_out",
    "lost",
    "machine",
    "missing",
    "moved_on",
    "name",
    "new",
    "not_known",
    "not_marked",
    "not_rebooted",
    "of",
    "old",
    "on_host",
    "only",
    "order",
    "rebooted",
    "removed_on",
    "selected",
    "silent",
    "stays",
    "to",
    "to_host",
    "told_only",
    "unproven",
    "waits_for",
    "waves",
    "went_back",
    "without",
];

/// Adds every name of a host that a value has, by its place: a record that is damaged may not say them anywhere else.
pub(super) fn add_hosts(value: &Value, hosts: &mut BTreeSet<String>) {
    let Value::Object(fields) = value else {
        if let Value::Array(values) = value {
            for value in values {
                add_hosts(value, hosts);
            }
        }
        return;
    };
    for (key, value) in fields {
        if HOSTS.contains(&key.as_str()) {
            add_names(value, hosts);
        }
        add_hosts(value, hosts);
    }
}

fn add_names(value: &Value, hosts: &mut BTreeSet<String>) {
    let mut add = |text: &str| {
        // What a trace of a generation, a unit or a time looks like is none.
        if text.len() > 1 && HostName::new(text).is_ok() && text.bytes().any(|byte| byte.is_ascii_alphabetic()) {
            hosts.insert(text.to_owned());
        }
    };
    match value {
        Value::String(text) => add(text),
        Value::Array(values) => values.iter().for_each(|value| add_names(value, hosts)),
        Value::Object(fields) => fields.keys().for_each(|key| add(key)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Leaves of a JSON value what is known, in its shape: a reader of events still reads it as one.
pub(super) fn keep(value: &mut Value) {
    keep_below("", value);
}

fn keep_below(key: &str, value: &mut Value) {
    match value {
        Value::String(text) => {
            if !is_known(key, text) {
                LEFT_OUT.clone_into(text);
            }
        }
        Value::Array(values) => {
            for value in values.iter_mut() {
                keep_below(key, value);
            }
            // How many lines there were tells nothing either.
            values.dedup_by(|one, before| one == LEFT_OUT && before == LEFT_OUT);
        }
        Value::Object(fields) => {
            for (name, mut value) in std::mem::take(fields) {
                keep_below(&name, &mut value);
                let name = if is_word(&name) { name } else { LEFT_OUT.to_owned() };
                fields.insert(name, value);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn is_known(key: &str, text: &str) -> bool {
    if WORDS.contains(&key) {
        return is_word(text) || is_store_path(text);
    }
    (VERSIONS.contains(&key) || key == "ssh") && is_version(text)
}

/// A name, an id, a time or a word of ours.
fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 255
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.:@-".contains(&byte))
}

fn is_store_path(text: &str) -> bool {
    crate::facts::store_path::StorePath::new(text).is_ok()
}

fn is_version(text: &str) -> bool {
    text.len() <= LONGEST_VERSION
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" ._+()~-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::*;

    /// A new field for a host's name must be known here, too: so the sources are read.
    #[test]
    fn every_field_for_names_of_hosts_is_listed() {
        let field = regex::Regex::new(r"(?m)^\s+(?:pub )?([a-z_]+): [A-Za-z<(]*HostName\b").unwrap();
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut files = vec![sources.join("event.rs"), sources.join("event"), sources.join("record/journal")];
        let mut fields = BTreeSet::new();
        while let Some(file) = files.pop() {
            if file.is_dir() {
                files.extend(std::fs::read_dir(&file).unwrap().map(|entry| entry.unwrap().path()));
                continue;
            }
            let text = std::fs::read_to_string(&file).unwrap();
            fields.extend(field.captures_iter(&text).map(|found| found[1].to_owned()));
        }
        assert!(fields.len() > 30, "{fields:?}");
        let missing: Vec<&String> = fields.iter().filter(|field| !HOSTS.contains(&field.as_str())).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn hosts_are_found_by_their_place() {
        let value = json!({
            "at": "2026-11-22T16:15:00.042Z", "event": "warned", "host": "nas", "waits_for": ["vps"],
            "hosts": {"web": {"outcome": "lost"}}, "common": {"at": "gate"}, "text": "of backup",
            "old": "/nix/store/0gv1yx3wnyzhi0bjgjbmvxy7qnzwzw5h-nixos-system-vps-25.05", "waves": [["a1"], ["a2"]],
        });
        let mut hosts = BTreeSet::new();
        add_hosts(&value, &mut hosts);
        assert_eq!(hosts, ["a1", "a2", "gate", "nas", "vps", "web"].map(str::to_owned).into());
    }

    #[test]
    fn the_lists_are_in_order_and_hold_nothing_twice() {
        for list in [&WORDS[..], &VERSIONS, &HOSTS] {
            assert!(list.is_sorted_by(|one, next| one < next), "{list:?}");
        }
    }

    #[test]
    fn what_anybody_has_written_is_left_out_and_the_shape_stays() {
        let mut value = json!({
            "version": 1, "run": "20261122-161500-homelab-3f9c", "at": "2026-11-22T16:15:00.042Z", "event": "failed",
            "host": "vps", "text": "AKIAIOSFODNN7EXAMPLE", "hint": "curl -u ada:pw", "lines": ["one", "two", "three"],
            "old": "/nix/store/0gv1yx3wnyzhi0bjgjbmvxy7qnzwzw5h-nixos-system-vps-25.05", "ssh": "OpenSSH_10.0p2 \
                Debian-7",
            "hosts": {"vps": {"state": "lost", "why": "pw=x"}, "two words": null}, "probe": {"shell": "cat /secret"},
            "nix": "x; password is hunter2", "failed_units": ["a.service", "not a unit"], "new": "password: hunter2",
        });
        keep(&mut value);
        let expected = json!({
            "version": 1, "run": "20261122-161500-homelab-3f9c", "at": "2026-11-22T16:15:00.042Z", "event": "failed",
            "host": "vps", "text": LEFT_OUT, "hint": LEFT_OUT, "lines": [LEFT_OUT],
            "old": "/nix/store/0gv1yx3wnyzhi0bjgjbmvxy7qnzwzw5h-nixos-system-vps-25.05", "ssh": "OpenSSH_10.0p2 \
                Debian-7",
            "hosts": {"vps": {"state": "lost", "why": LEFT_OUT}, LEFT_OUT: null}, "probe": {"shell": LEFT_OUT},
            "nix": LEFT_OUT, "failed_units": ["a.service", LEFT_OUT], "new": LEFT_OUT,
        });
        assert_eq!(value, expected);
    }
}
