//! The machine that this program runs on, as its hosts name themselves.

use std::fs::read_to_string;

use crate::facts::host::same_boot;

/// The two signs by which two names of one machine are told: see `decide/survey.rs`, `twice`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OwnMachine {
    machine_id: String,
    boot_id: String,
}

impl OwnMachine {
    /// Reads the signs of this machine. `None` if one of them cannot be read, as in most chroots: then this machine is
    /// taken for none of the hosts.
    #[must_use]
    pub(super) fn read() -> Option<Self> {
        let machine_id = read_to_string("/etc/machine-id").ok()?.trim().to_owned();
        let boot_id = read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        let began = began(&read_to_string("/proc/1/stat").ok()?)?;
        (!machine_id.is_empty()).then(|| Self { machine_id, boot_id: format!("{}.{began}", boot_id.trim()) })
    }

    /// Returns whether a host that names itself so is this machine.
    #[must_use]
    pub(super) fn is(&self, machine_id: &str, boot_id: &str) -> bool {
        self.machine_id == machine_id && same_boot(&self.boot_id, boot_id)
    }
}

/// Returns when the first process was started, in ticks. The name in parentheses before that may contain anything.
///
/// Source: proc(5), `/proc/PID/stat`, field 22; `remote/scripts/lib.sh` reads the same.
fn began(stat: &str) -> Option<u64> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn the_boot_is_named_as_the_hosts_name_theirs() {
        let stat = "1 (a b) c) S 0 1 1 0 -1 4194560 9 9 9 9 9 9 9 9 20 0 1 0 1234 9 9\n";
        assert_eq!(began(stat), Some(1234));
        assert_eq!(began("1 (systemd) S 0"), None);
        let own = OwnMachine { machine_id: "m".into(), boot_id: "b.12".into() };
        for (machine_id, boot_id, is) in
            [("m", "b.12", true), ("m", "b.13", false), ("m", "c.12", false), ("n", "b.12", false)]
        {
            assert_eq!(own.is(machine_id, boot_id), is, "{machine_id} {boot_id}");
        }
    }
}
