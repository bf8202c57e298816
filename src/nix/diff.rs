//! Reads what changes between two systems, by package, from `nix store diff-closures`.

use std::time::Duration;

use super::copy::Destination;
use super::invoke::{AskError, ask, nix};
use super::plain::plain;
use crate::facts::package_change::PackageChange;
use crate::facts::store_path::StorePath;

const COMMAND: &str = "nix store diff-closures";

/// Compares two systems that are both valid in the local store, or in that of a host.
///
/// # Errors
/// See [`AskError`]; also where the store lacks one of them.
pub async fn diff(
    before: &StorePath,
    after: &StorePath,
    store: Option<Destination<'_>>,
    limit: Duration,
) -> Result<Vec<PackageChange>, AskError> {
    let mut question = nix(limit).args(["store", "diff-closures"]);
    if let Some(store) = store {
        question = question.env("NIX_SSHOPTS", store.ssh_options).arg("--store").arg(store.store());
    }
    let question = question.arg("--").arg(before).arg(after);
    changes_in(&ask(COMMAND, question).await?)
}

/// Reads what `nix store diff-closures` printed, here or on a host.
///
/// # Errors
/// [`AskError::Answer`] with the first line that is none of its.
pub fn changes_in(text: &str) -> Result<Vec<PackageChange>, AskError> {
    let nonsense = |line: &str| AskError::Answer { command: COMMAND, answer: line.to_owned() };
    let text = plain(text);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.map(|line| change_in(line).ok_or_else(|| nonsense(line))).collect()
}

/// `dolphin: 20.08.1, 20.04.0 → 20.08.2, +13.9 KiB`; only what changed is there: versions, size, or both.
fn change_in(line: &str) -> Option<PackageChange> {
    let (package, changes) = line.split_once(": ")?;
    let package = package.to_owned();
    let Some((before, after)) = changes.split_once(" → ") else {
        return Some(PackageChange { package, before: vec![], after: vec![], size_delta: Some(size_in(changes)?) });
    };
    let (after, size_delta) = match after.rsplit_once(", ").map(|(rest, last)| (rest, size_in(last))) {
        Some((rest, Some(size))) => (rest, Some(size)),
        _ => (after, None),
    };
    Some(PackageChange { package, before: versions_in(before), after: versions_in(after), size_delta })
}

/// Source: nix3-store-diff-closures(1): ∅ is no package, ε a package without a version.
fn versions_in(text: &str) -> Vec<String> {
    let versions = text.split(", ").map(str::trim).filter(|version| *version != "∅");
    versions.map(|version| if version == "ε" { String::new() } else { version.to_owned() }).collect()
}

/// `+13.9 KiB`. Newer versions choose the unit, and leave the plus to the colour.
#[expect(clippy::cast_possible_truncation, reason = "a size of a store fits; the text itself is rounded")]
fn size_in(text: &str) -> Option<i64> {
    let (number, unit) = text.trim().split_once(' ')?;
    let unit = match unit {
        "B" | "bytes" => 1.0,
        "KiB" => 1024.0,
        "MiB" => 1024.0 * 1024.0,
        "GiB" => 1024.0 * 1024.0 * 1024.0,
        "TiB" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    let number: f64 = number.parse().ok().filter(|number: &f64| number.is_finite())?;
    Some((number * unit).round() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(package: &str, before: &[&str], after: &[&str], size_delta: Option<i64>) -> PackageChange {
        let own = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
        PackageChange { package: package.into(), before: own(before), after: own(after), size_delta }
    }

    /// The lines of the manual page, and one with the colours of Nix 2.26.3.
    #[test]
    fn every_form_of_a_line_is_read() {
        let text = "acpi-call: 2020-04-07-5.8.16 → 2020-04-07-5.8.18\n\
            bluez-qt: \u{1b}[31;1m+12.6 KiB\u{1b}[0m\n\
            dolphin: 20.08.1 → 20.08.2, \u{1b}[31;1m+13.9 KiB\u{1b}[0m\n\
            kdeconnect: 20.08.2 → ∅, -6597.8 KiB\n\
            kdeconnect-kde: ∅ → 20.08.2, 6.4 MiB\n\
            users: 1.2, 1.3 ×2 → 1.4, ε\n\
            nixos-system-vps: 1 → ∅\n";
        assert_eq!(
            changes_in(text).unwrap(),
            [
                change("acpi-call", &["2020-04-07-5.8.16"], &["2020-04-07-5.8.18"], None),
                change("bluez-qt", &[], &[], Some(12902)),
                change("dolphin", &["20.08.1"], &["20.08.2"], Some(14234)),
                change("kdeconnect", &["20.08.2"], &[], Some(-6_756_147)),
                change("kdeconnect-kde", &[], &["20.08.2"], Some(6_710_886)),
                change("users", &["1.2", "1.3 ×2"], &["1.4", ""], None),
                change("nixos-system-vps", &["1"], &[], None),
            ]
        );
    }

    #[test]
    fn two_equal_systems_differ_in_nothing_and_nonsense_is_said() {
        assert_eq!(changes_in("").unwrap(), []);
        assert!(matches!(changes_in("what: is this"), Err(AskError::Answer { .. })));
    }
}
