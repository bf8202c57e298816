//! Says what a host is doing, in the few words of its row: by the step that was sent to it, and by the lines that its
//! job prints.

use crate::decide::vocabulary::Step;
use crate::event::activity::Doing;
use crate::facts::host::JobKind;

/// The most units that are named; if there are more, only their number is given.
const UNITS_NAMED: usize = 3;

/// Says what a step does, as long as the host says nothing that is more exact.
pub(super) fn by_step(step: &Step) -> Doing {
    match step {
        Step::TakeOver { .. } => Doing::TakenOver,
        Step::Ask => Doing::AskedForHolder,
        Step::Arm { .. } => Doing::Arming,
        Step::Extend { .. } => Doing::Extending,
        Step::Job { kind: JobKind::Test, .. } => Doing::Activating,
        Step::Job { kind: JobKind::Switch, .. } => Doing::MadePermanent,
        Step::Job { kind: JobKind::Reactivate, .. } => Doing::Reactivating,
        Step::Job { kind: JobKind::Rollback, .. } => Doing::GoingBack,
        Step::Login { .. } => Doing::LoggingIn,
        Step::Return { .. } => Doing::WaitingForGuard,
        Step::Disarm { .. } => Doing::Disarming,
        Step::Release => Doing::Releasing,
        Step::Unmark { .. } => Doing::NotingReturn,
        Step::Clean { .. } => Doing::CleaningUp,
    }
}

/// Says what the host does from now on, by one line of a job's log; `None`: the line is none that is known.
///
/// Source: docs/facts.md, "Lines that switch-to-configuration prints"; nixpkgs, etc.nix, install-grub.pl; restore.sh
/// for a roll back.
pub(super) fn by_line(line: &str) -> Option<String> {
    let line = line.trim();
    for verb in ["stopping", "restarting", "reloading", "starting"] {
        let Some(rest) = line.strip_prefix(verb).and_then(|rest| rest.strip_prefix(" the following ")) else {
            continue;
        };
        if let Some(units) = rest.strip_prefix("units: ") {
            return Some(format!("{verb} {}", named(units)));
        }
        if let Some(units) = rest.strip_prefix("user units: ") {
            return Some(format!("{verb} user units {}", named(units)));
        }
    }
    let as_it_stands = ["activating the configuration...", "restarting systemd...", "setting up /etc..."];
    if as_it_stands.contains(&line) || line.starts_with("reloading user units ") {
        return Some(line.trim_end_matches('.').to_owned());
    }
    if line == "restarting sysinit-reactivation.target" || line.starts_with("stopping swap device: ") {
        return Some(line.to_owned());
    }
    let doing = match line {
        "updating GRUB 2 menu..." => Doing::InstallingLoader,
        _ if line.starts_with("the step ") && line.contains(" is still running: ") => Doing::WaitingForStep,
        _ if line.starts_with("profile: back to ") => Doing::PuttingProfileBack,
        _ if line.starts_with("boot default: back ") => Doing::PuttingBootDefaultBack,
        _ if line.starts_with("current system: activating ") => Doing::ActivatingOld,
        _ => return None,
    };
    Some(doing.to_string())
}

fn named(units: &str) -> String {
    let units: Vec<&str> = units.split(", ").collect();
    match units.len().saturating_sub(UNITS_NAMED) {
        0 | 1 => units.join(", "),
        more => format!("{} and {more} more", units[..UNITS_NAMED].join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    /// What a switch of a small VPS printed, on the lab and on NixOS 25.05.
    #[test]
    fn each_line_of_a_switch_says_what_is_being_done_from_then_on() {
        for (line, doing) in [
            (
                "stopping the following units: app.service, wireguard-wg0.service",
                Some("stopping app.service, wireguard-wg0.service"),
            ),
            ("NOT restarting the following changed units: systemd-fsck@dev-disk-by\\x2duuid-1.service", None),
            ("activating the configuration...", Some("activating the configuration")),
            ("setting up /etc...", Some("setting up /etc")),
            ("setting up tmpfiles", None),
            ("restarting systemd...", Some("restarting systemd")),
            ("reloading user units for ada...", Some("reloading user units for ada")),
            ("restarting sysinit-reactivation.target", Some("restarting sysinit-reactivation.target")),
            (
                "reloading the following units: dbus.service, firewall.service",
                Some("reloading dbus.service, firewall.service"),
            ),
            ("restarting the following units: nix-daemon.service", Some("restarting nix-daemon.service")),
            (
                "starting the following units: a.service, b.service, c.service, d.service",
                Some("starting a.service, b.service, c.service, d.service"),
            ),
            (
                "starting the following units: a.service, b.service, c.service, d.service, e.service",
                Some("starting a.service, b.service, c.service and 2 more"),
            ),
            ("the following new units were started: a.service", None),
            ("restarting the following user units: syncthing.service", Some("restarting user units syncthing.service")),
            ("stopping swap device: /dev/vda2", Some("stopping swap device: /dev/vda2")),
            ("warning: the following units failed: app.service", None),
            ("updating GRUB 2 menu...", Some("installing the boot loader")),
            ("Failed to start app.service", None),
            ("", None),
        ] {
            assert_eq!(by_line(line).as_deref(), doing, "{line}");
        }
    }

    /// As restore.sh says it.
    #[test]
    fn each_part_of_a_roll_back_is_named() {
        for (line, doing) in [
            ("the step test is still running: it has 60 s to end", Some("waiting for the step under way")),
            ("the step test is killed", None),
            ("profile: back to generation 41 (/nix/store/x-nixos-system-vps-1)", Some("putting its profile back")),
            ("boot default: back to /nix/store/x-nixos-system-vps-1 (try 1)", Some("putting its boot default back")),
            ("current system: activating /nix/store/x-nixos-system-vps-1", Some("activating its old system")),
            ("current system: it is /nix/store/x-nixos-system-vps-1 (status 0)", None),
        ] {
            assert_eq!(by_line(line).as_deref(), doing, "{line}");
        }
    }
}
