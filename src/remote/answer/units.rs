//! Reads the output of `switch-to-configuration dry-activate`.

use super::{Lines, all, number, one};
use crate::event::reason::forecast::DryFault;
use crate::event::reason::job::LOCK_TAKEN;
use crate::facts::unit_changes::UnitChanges;

/// The result of `dry-activate` on a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DryActivation {
    Said(UnitChanges),
    /// It was not run, or said no: the reason, with its output.
    Failed {
        why: DryFault,
        log: Vec<String>,
    },
}

/// Reads the answer of `dry_activate`.
#[must_use]
pub fn dry_activation(lines: &Lines) -> DryActivation {
    let log: Vec<String> = all(lines, "log").map(str::to_owned).collect();
    if let Some(reason) = one(lines, "refused") {
        return DryActivation::Failed {
            why: DryFault::DryRefused { said: one(lines, "text").unwrap_or(reason).to_owned() },
            log,
        };
    }
    match number(lines, "status") {
        Some(0) => DryActivation::Said(unit_changes(&log)),
        status => DryActivation::Failed { why: failure(status, &log), log },
    }
}

/// Source: docs/facts.md, "Exit statuses of switch-to-configuration"; 124 and 137 are those of timeout(1).
fn failure(status: Option<u64>, log: &[String]) -> DryFault {
    match status {
        None => DryFault::DryAnswerSenseless,
        Some(11) if log.iter().any(|line| line.contains(LOCK_TAKEN)) => DryFault::SwitchLockHeld,
        Some(100) => DryFault::OnlyByReboot,
        Some(124 | 137) => DryFault::DryTimedOut,
        Some(status) => DryFault::DryFailed { status },
    }
}

/// Reads each line of the program, or of the system's activation scripts in between.
fn unit_changes(log: &[String]) -> UnitChanges {
    let mut changes = UnitChanges::default();
    for line in log.iter().map(|line| line.trim_end()).filter(|line| !line.is_empty()) {
        let list = line.strip_prefix("would ").and_then(|rest| rest.split_once(" the following "));
        let list = list.and_then(|(verb, rest)| Some((verb, rest.split_once("units:")?)));
        match list {
            // `user units` belong to a user: the line is passed on as it is.
            Some(("stop", ("", all))) => changes.stop.extend(units_in(all)),
            Some(("NOT stop", ("changed ", all))) => changes.leave.extend(units_in(all)),
            Some(("reload", ("", all))) => changes.reload.extend(units_in(all)),
            Some(("restart", ("", all))) => changes.restart.extend(units_in(all)),
            Some(("start", ("", all))) => changes.start.extend(units_in(all)),
            _ if line.starts_with("would restart systemd") => changes.restart_systemd = true,
            _ if line.starts_with("would activate the configuration") => {}
            _ => changes.said.push(line.to_owned()),
        }
    }
    changes
}

fn units_in(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(", ").map(str::trim).filter(|unit| !unit.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn lines(status: &str, log: &[&str]) -> Vec<(String, String)> {
        let log = log.iter().map(|line| ("log".to_owned(), (*line).to_owned()));
        [("status".to_owned(), status.to_owned())].into_iter().chain(log).collect()
    }

    fn own(units: &[&str]) -> Vec<String> {
        units.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_line_of_the_program_is_read_and_every_other_is_kept() {
        let said = lines(
            "0",
            &[
                "would stop the following units: app.service, old.timer",
                "would NOT stop the following changed units: dbus.service",
                "would activate the configuration...",
                "would remove user ‘ada’",
                "would restart systemd",
                "would reload the following units: nftables.service",
                "would restart the following units: sshd.service, systemd-networkd.service",
                "would start the following units: app.service",
                "would restart the following user units: mpd.service",
                "",
            ],
        );
        let changes = UnitChanges {
            stop: own(&["app.service", "old.timer"]),
            leave: own(&["dbus.service"]),
            reload: own(&["nftables.service"]),
            restart: own(&["sshd.service", "systemd-networkd.service"]),
            start: own(&["app.service"]),
            restart_systemd: true,
            said: own(&["would remove user ‘ada’", "would restart the following user units: mpd.service"]),
        };
        assert_eq!(dry_activation(&said), DryActivation::Said(changes));
        let DryActivation::Said(none) = dry_activation(&lines("0", &["would activate the configuration..."])) else {
            panic!("it was said")
        };
        assert!(none.is_empty());
    }

    #[test]
    fn what_says_no_is_no_list() {
        let why = |lines: &Lines| match dry_activation(lines) {
            DryActivation::Failed { why, log } => (why.to_string(), log),
            DryActivation::Said(changes) => panic!("it said {changes:?}"),
        };
        assert_eq!(why(&lines("11", &["Could not acquire lock"])).0, "another switch holds the lock");
        assert_eq!(why(&lines("1", &["Pre-switch checks failed"])).1, own(&["Pre-switch checks failed"]));
        assert_eq!(why(&lines("124", &[])).0, "`dry-activate` has not ended within its limit");
        assert_eq!(why(&lines("x", &[])).0, "the answer of `dry-activate` makes no sense");
        let refused = [("refused", "busy"), ("text", "a switch is under way on this host")];
        let refused = refused.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(why(&refused).0, "a switch is under way on this host");
    }
}
