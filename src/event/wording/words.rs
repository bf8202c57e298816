//! How durations, sizes and systems are written for people.

use std::time::Duration;

use crate::event::Phase;
use crate::facts::provenance::Provenance;
use crate::facts::store_path::StorePath;
use crate::inventory::model::HostName;

/// `42s`, `15m 00s`, `1h 02m 03s`; the part of a second is dropped.
pub(crate) fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, seconds) => format!("{minutes}m {seconds:02}s"),
        (hours, minutes, seconds) => format!("{hours}h {minutes:02}m {seconds:02}s"),
    }
}

/// [`span`] of milliseconds.
pub(crate) fn span_ms(milliseconds: u64) -> String {
    span(Duration::from_millis(milliseconds))
}

/// `a, b`, `a, b and 3 more`.
pub(crate) fn names_and_more(hosts: &[HostName], more: usize) -> String {
    let names = hosts.iter().map(HostName::as_str).collect::<Vec<_>>().join(", ");
    if more == 0 { names } else { format!("{names} and {more} more") }
}

/// The front of a line: `[  12.3s]`.
pub(crate) fn elapsed(duration: Duration) -> String {
    let tenths = duration.as_millis() / 100;
    format!("[{:>6}s]", format!("{}.{}", tenths / 10, tenths % 10))
}

/// `312 B`, `4.5 MiB`.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    // Tenths of the unit, rounded down; in integers, so that the text is the same everywhere.
    let (mut tenths, mut unit) = (u128::from(bytes) * 10 / 1024, 0);
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// Where systems come from: `git+file:///etc/nixos, revision a1b2c3d4..., with changes that are in no commit`.
pub(crate) fn source(provenance: &Provenance) -> String {
    let Provenance { source, revision, dirty, .. } = provenance;
    let mut text = source.clone().unwrap_or_else(|| "named by their store paths".to_owned());
    if let Some(revision) = revision {
        text += &format!(", revision {revision}");
    }
    if *dirty {
        text += ", with changes that are in no commit";
    }
    text
}

/// A program with its version, as hosts tell it in several forms: `2.24.14`, `nix-2.24.14`, `nix (Nix) 2.24.14`,
/// `lix-2.91`.
pub(crate) fn program(name: &str, version: &str) -> String {
    let plain = version.rsplit_once(") ").map_or(version, |(_, number)| number);
    let lower = name.to_lowercase();
    let plain = plain.strip_prefix(&lower).map_or(plain, |rest| rest.trim_start_matches([' ', '-']));
    let is_number = plain.starts_with(|first: char| first.is_ascii_digit());
    if is_number { format!("{name} {plain}") } else { plain.to_owned() }
}

/// `+1.2 MiB`, `-12.5 KiB`.
pub(crate) fn size_delta(bytes: i64) -> String {
    format!("{}{}", if bytes < 0 { '-' } else { '+' }, size(bytes.unsigned_abs()))
}

/// `0.4ms`, `12ms`, `250ms`, `1.5s`: short, so that a matrix of six hosts fits into 80 columns.
pub(crate) fn round_trip(microseconds: u64) -> String {
    match microseconds {
        0..10_000 => format!("{}.{}ms", microseconds / 1000, microseconds / 100 % 10),
        10_000..1_000_000 => format!("{}ms", microseconds / 1000),
        _ => format!("{}.{}s", microseconds / 1_000_000, microseconds / 100_000 % 10),
    }
}

/// Returns the part that tells systems of one host apart: `25.05.812` of `nixos-system-vps-25.05.812`.
pub(crate) fn system<'a>(host: &HostName, system: &'a StorePath) -> &'a str {
    let name = system.name();
    let short = name.strip_prefix("nixos-system-").unwrap_or(name);
    let short = short.strip_prefix(host.as_str()).and_then(|rest| rest.strip_prefix('-')).unwrap_or(short);
    if short.is_empty() { name } else { short }
}

/// `25.05 -> 25.11`, with the beginning of their hashes where the versions are the same.
pub(crate) fn systems(host: &HostName, old: &StorePath, new: &StorePath) -> String {
    let (old_name, new_name) = (system(host, old), system(host, new));
    if old == new {
        old_name.to_owned()
    } else if old_name == new_name {
        format!("{old_name} ({} -> {})", short_hash(old), short_hash(new))
    } else {
        format!("{old_name} -> {new_name}")
    }
}

/// `vps-25.11 (a1b2c3d4)`: a system with enough of its hash to find it, where two may have one version.
pub(crate) fn bare(system: &StorePath) -> String {
    let name = system.name();
    format!("{} ({})", name.strip_prefix("nixos-system-").unwrap_or(name), short_hash(system))
}

/// The same of a system that a host has named, if it has the form of one.
pub(crate) fn bare_text(system: &str) -> String {
    StorePath::new(system).map_or_else(|_| system.to_owned(), |system| bare(&system))
}

/// Eight characters of the store path's hash: enough to tell a host's systems apart, and to find them in the store.
fn short_hash(path: &StorePath) -> &str {
    let base = path.as_str().rsplit('/').next().unwrap_or_default();
    base.get(..8).unwrap_or(base)
}

/// Says what a phase does, in a few words.
pub(crate) fn about(phase: Phase) -> &'static str {
    match phase {
        Phase::Build => "evaluate and build every system",
        Phase::Survey => "ask every host what it is and what it runs",
        Phase::Copy => "copy the new systems to the hosts",
        Phase::Baseline => "probe every link before anything changes",
        Phase::Arm => "arm a guard on every host that will change",
        Phase::Test => "activate the new systems, for now",
        Phase::Verify => "log in anew and probe every link",
        Phase::Decide => "write the decision down",
        Phase::Switch => "make the new systems what a reboot brings",
        Phase::Disarm => "disarm the guards",
        Phase::TakeOver => "take the interrupted run over on every host",
        Phase::Reboot => "reboot host after host, each proven back before the next",
        Phase::Ask => "ask every host",
        Phase::RollBack => "bring every touched host back to its old system",
    }
}

/// The same in a push to systems that the hosts have already.
pub(crate) fn about_going_back(phase: Phase) -> &'static str {
    match phase {
        Phase::Build => "nothing to build: the hosts have their systems",
        Phase::Survey => "ask every host what it runs and what it has",
        Phase::Copy => "nothing to copy: keep them, see if they fit",
        Phase::Test => "activate the systems to go back to, for now",
        Phase::Switch => "make them what a reboot brings",
        Phase::RollBack => "bring every touched host back to what it ran",
        other => about(other),
    }
}

/// The phase's number among the ten; a roll back has none.
pub(crate) fn number(phase: Phase) -> Option<usize> {
    Phase::OF_A_PUSH.iter().position(|one| *one == phase).map(|place| place + 1)
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn durations_read_as_people_say_them() {
        assert_eq!([0, 42_900, 900_000, 3_723_000].map(span_ms), ["0s", "42s", "15m 00s", "1h 02m 03s"]);
        assert_eq!(elapsed(Duration::from_millis(12_345)), "[  12.3s]");
        assert_eq!(elapsed(Duration::from_secs(86_400)), "[86400.0s]");
        assert_eq!([0, 449, 12_340, 250_400, 1_560_000].map(round_trip), ["0.0ms", "0.4ms", "12ms", "250ms", "1.5s"]);
    }

    #[test]
    fn a_program_is_named_once() {
        let told = ["2.24.14", "nix-2.24.14", "nix (Nix) 2.24.14", "lix-2.91.1", "Lix, like Nix) 2.91.1"];
        let nix = ["Nix 2.24.14", "Nix 2.24.14", "Nix 2.24.14", "lix-2.91.1", "Nix 2.91.1"];
        assert_eq!(told.map(|version| program("Nix", version)), nix);
        assert_eq!(
            ["systemd 257", "257.6"].map(|version| program("systemd", version)),
            ["systemd 257", "systemd 257.6"]
        );
    }

    #[test]
    fn sizes_take_the_unit_that_fits() {
        assert_eq!([0, 1023, 1024, 4_718_592].map(size), ["0 B", "1023 B", "1.0 KiB", "4.5 MiB"]);
        assert_eq!(size(u64::MAX), "16777215.9 TiB");
    }

    #[test]
    fn systems_are_told_apart_by_version_or_else_by_hash() {
        let host = HostName::new("vps").unwrap();
        let path = |hash: char, name: &str| {
            StorePath::new(format!("/nix/store/{}-{name}", hash.to_string().repeat(32))).unwrap()
        };
        let old = path('a', "nixos-system-vps-25.05");
        assert_eq!(systems(&host, &old, &path('b', "nixos-system-vps-25.11")), "25.05 -> 25.11");
        assert_eq!(systems(&host, &old, &path('b', "nixos-system-vps-25.05")), "25.05 (aaaaaaaa -> bbbbbbbb)");
        assert_eq!(systems(&host, &old, &old), "25.05");
        assert_eq!(systems(&host, &old, &path('b', "other")), "25.05 -> other");
        assert_eq!(system(&host, &path('a', "nixos-system-web-1")), "web-1");
    }
}
