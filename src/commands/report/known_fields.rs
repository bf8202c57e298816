//! Chooses the fields of a record that stand in every report: numbers, times, words of ours, names and store paths. A
//! text that a person or a program has written is never among them, because it may contain anything.

use serde_json::Value;

/// Stands for a text that was left out.
pub(super) const LEFT_OUT: &str = "(text)";

/// Keys with values that are always one word, of a few kinds of characters.
const WORDS: [&str; 32] = [
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
    "to_host",
    "unit",
    "wave",
    "waves",
];

/// Keys whose values are a version of a program, as that program says it.
const VERSIONS: [&str; 6] = ["kernel", "new_kernel", "nix", "nixos", "old_kernel", "systemd"];

/// The longest version, of an ssh with the name of its distribution.
const LONGEST_VERSION: usize = 64;

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
    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_lists_are_in_order_and_hold_nothing_twice() {
        for list in [&WORDS[..], &VERSIONS] {
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
