//! `doctor` says BLOCKER exactly where a push is refused before it arms, and nothing else: both are run over every
//! condition below, one after the other, on one fleet.

use std::collections::BTreeSet;

use fleetdeploy::event::{Event, Outcome};
use pretty_assertions::assert_eq;
use serde_json::Value;

use crate::exec::answer;
use crate::fleet::{Fleet, Setup};
use crate::inventory::Inventory;
use crate::pushed::Pushed;

const ALL: [&str; 3] = ["vps", "homeserver", "web"];

/// What is bad, and what `doctor` and a push have to say of it.
struct Condition<'a> {
    name: &'a str,
    /// What makes it so, and what mends it: on a host, on the workstation (`ws`), or by another one (`laptop2`).
    on: &'a str,
    breaks: &'a str,
    mends: &'a str,
    inventory: Inventory<'a>,
    /// What both commands are given beside the fleet's name.
    words: &'a [&'a str],
    /// Who is blocked, and the code of the reason; sorted.
    blockers: &'a [(&'a str, &'a str)],
}

impl Default for Condition<'_> {
    fn default() -> Self {
        Self { name: "", on: "web", breaks: "", mends: "", inventory: Inventory::default(), words: &[], blockers: &[] }
    }
}

type Blockers = BTreeSet<(String, String)>;

/// What a push calls otherwise, since it has met it and `doctor` has looked for it.
fn as_doctor_says(code: &str) -> &str {
    match code {
        "nothing-without-record" => "records-unwritable",
        "copy-untrusted" => "login-not-trusted",
        other => other,
    }
}

fn blockers(doctor: &Pushed) -> Blockers {
    let answer = answer(&doctor.lines);
    let mut found = Blockers::new();
    let mut take = |who: &str, findings: &Value| {
        for finding in findings.as_array().unwrap().iter().filter(|finding| finding["severity"] == "blocker") {
            found.insert((who.to_owned(), finding["code"].as_str().unwrap().to_owned()));
        }
    };
    take("workstation", &answer["workstation"]);
    take("links", &answer["fleet"]);
    for host in answer["hosts"].as_array().unwrap() {
        take(host["host"].as_str().unwrap(), &host["findings"]);
    }
    found
}

fn refusals(pushed: &Pushed) -> Blockers {
    let of_event = |event: &Event| match event {
        Event::Failed { host, text, .. } => {
            let code = as_doctor_says(text.code().unwrap()).to_owned();
            let who = match host {
                Some(host) => host.as_str(),
                None if code.starts_with("link-") => "links",
                None => "workstation",
            };
            Some((who.to_owned(), code))
        }
        _ => None,
    };
    pushed.events().filter_map(of_event).collect()
}

fn run(fleet: &Fleet, on: &str, script: &str) {
    match on {
        _ if script.is_empty() => {}
        "ws" => drop(fleet.ws(script)),
        // Words of fleetdeploy, from another workstation.
        "laptop2" => {
            let words: Vec<&str> = script.split(' ').collect();
            assert_eq!(fleet.start_any("laptop2", &words).ended().status, Some(0), "{script}");
        }
        host => drop(fleet.host(host, script)),
    }
}

/// Runs `doctor`, and holds it against what is expected; what differs is kept.
fn doctor_says(fleet: &Fleet, condition: &Condition<'_>, differing: &mut Vec<String>) -> Blockers {
    let words: Vec<&str> = ["doctor", "homelab"].iter().chain(condition.words).copied().collect();
    let doctor = fleet.query(&words);
    let found = blockers(&doctor);
    assert_eq!(doctor.status, Some(i32::from(!found.is_empty())), "{}", condition.name);
    let expected: Blockers =
        condition.blockers.iter().map(|(who, code)| ((*who).to_owned(), (*code).to_owned())).collect();
    if found != expected {
        differing.push(format!("{}: doctor says {found:?} instead of {expected:?}", condition.name));
    }
    found
}

fn push(fleet: &Fleet, condition: &Condition<'_>) -> Pushed {
    let words: Vec<&str> = ["homelab"].iter().chain(condition.words).copied().collect();
    fleet.push(&words)
}

/// A bad setting of sshd: in a file of its own, for the system's is in its store.
fn sshd(setting: &str) -> String {
    format!("{SSHD_OWN} echo '{setting}' >>/etc/ssh/sshd_config; systemctl reload sshd")
}

const SSHD_OWN: &str = "cp --remove-destination /etc/static/ssh/sshd_config /etc/ssh/sshd_config;";
const SSHD_AGAIN: &str = "ln -sfn /etc/static/ssh/sshd_config /etc/ssh/sshd_config; systemctl reload sshd";
const ONLY_FIRST: &str = "printf '#!/bin/sh\\n%s\\n%s\\n%s\\n' \
     'test -s /run/first || echo \"$SSH_CONNECTION\" >/run/first' \
     'test \"$(cat /run/first)\" = \"$SSH_CONNECTION\" || { echo too many logins >&2; exit 1; }' \
     'exec sh -c \"$SSH_ORIGINAL_COMMAND\"' >/root/only-first; chmod +x /root/only-first; ";
const KERNELS_CUT: &str = "cp -a /boot/EFI /run/whole; \
                           for kernel in /boot/EFI/nixos/*; do truncate -s 1 \"$kernel\"; done";
const NEXT_BOOT: &str = "printf '# GRUB Environment Block\\nnext_entry=1>0\\n' >/boot/grub/grubenv; \
     while [ $(stat -c %s /boot/grub/grubenv) -lt 1024 ]; do printf '#' >>/boot/grub/grubenv; done";
const NO_NEXT_BOOT: &str = "printf '%-1023s\\n' '# GRUB Environment Block' | tr ' ' '#' >/boot/grub/grubenv";
/// What the kernel would say of a root on LUKS.
const ENCRYPTED: &str = "set -e; number=$(mountpoint -d /); mount -t tmpfs none /sys/dev/block; \
     mkdir -p /sys/dev/block/$number/dm /sys/dev/block/$number/slaves; \
     echo CRYPT-LUKS2-0123456789abcdef-luks-root >/sys/dev/block/$number/dm/uuid; \
     echo root >/sys/dev/block/$number/dm/name";
const SWITCHING: &str = "mkdir -p /run/nixos; systemd-run --quiet --collect --setenv=PATH=\"$PATH\" --unit=somebody \
     flock /run/nixos/switch-to-configuration.lock sleep infinity; \
     while flock -n /run/nixos/switch-to-configuration.lock true; do :; done";
const FORGET_KEY: &str = "cp ~/.ssh/known_hosts /root/known; sed -i '/^198.51.100.30,/d' ~/.ssh/known_hosts";
const CHANGE_KEY: &str = "cp ~/.ssh/known_hosts /root/known; ssh-keygen -q -t ed25519 -N '' -f /tmp/other && \
     sed -i \"s#^\\(198.51.100.30,[^ ]*\\) .*#\\1 $(cut -d' ' -f1,2 /tmp/other.pub)#\" ~/.ssh/known_hosts";
const KNOWN_AGAIN: &str = "cp /root/known ~/.ssh/known_hosts; rm -f /tmp/other*";
const NIX_OF_ROOT: &str = "cp -P /etc/nix/nix.conf /run/nix.conf; \
     settings=$(sed 's/^trusted-users.*/trusted-users = root/' /etc/static/nix/nix.conf); rm -f /etc/nix/nix.conf; \
     printf '%s\\ntrusted-public-keys =\\n' \"$settings\" >/etc/nix/nix.conf; \
     systemctl stop nix-daemon.socket nix-daemon.service; systemctl start nix-daemon.socket";
const NIX_AGAIN: &str = "rm -f /etc/nix/nix.conf; cp -P /run/nix.conf /etc/nix/nix.conf; \
     systemctl stop nix-daemon.socket nix-daemon.service; systemctl start nix-daemon.socket";
/// Nobody listens there, and no host of the fleet could change that.
const HOPELESS: &str = "- vpn: mesh\n- tcp: 81\n  to: 198.51.100.2\n  from: workstation\n";
/// Nobody listens there, and the hosts at both ends could change that.
const MENDABLE: &str = "- vpn: mesh\n- tcp: 82\n  to: homeserver\n  from: vps\n";

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn doctor_calls_a_blocker_what_refuses_a_push_of_hosts() {
    compare("blockers", false);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn doctor_calls_a_blocker_what_refuses_logins_and_the_baseline_and_nothing_else() {
    compare("blockers-2", true);
}

/// The first condition of the second half: a loaded machine needs too long for all of them in one test.
const SECOND_HALF: &str = "a shell that is none";

/// Runs both over one half of the conditions, each of which is mended before the next.
#[expect(clippy::too_many_lines, reason = "one entry for each condition")]
fn compare(test: &str, second_half: bool) {
    let fleet = Fleet::made(test, &Setup { hosts: &ALL, ..Setup::default() });
    fleet.change(&ALL);
    let of_web = |settings: &'static str| -> &'static [(&'static str, &'static str)] {
        Box::leak(Box::new([("web", settings)]))
    };
    let hosts = |settings: &'static str| Inventory { hosts: of_web(settings), ..Inventory::default() };
    let (no_logins, no_forwarding) = (sshd("AllowUsers nobody"), sshd("DisableForwarding yes"));
    let only_first = format!("{ONLY_FIRST}{}", sshd("ForceCommand /root/only-first"));
    let conditions = [
        // --- hosts ---
        Condition {
            name: "a reboot is scheduled",
            breaks: "mkdir -p /run/systemd/shutdown; printf 'MODE=reboot\\n' >/run/systemd/shutdown/scheduled",
            mends: "rm /run/systemd/shutdown/scheduled",
            blockers: &[("web", "host-busy")],
            ..Condition::default()
        },
        Condition {
            name: "a switch is under way",
            breaks: SWITCHING,
            mends: "systemctl stop somebody.service",
            blockers: &[("web", "host-busy")],
            ..Condition::default()
        },
        Condition {
            name: "an encrypted disk",
            on: "homeserver",
            breaks: ENCRYPTED,
            mends: "umount /sys/dev/block",
            blockers: &[("homeserver", "encrypted-unguarded")],
            ..Condition::default()
        },
        Condition {
            name: "a next boot",
            breaks: NEXT_BOOT,
            mends: NO_NEXT_BOOT,
            blockers: &[("web", "next-boot-set")],
            ..Condition::default()
        },
        Condition {
            name: "/boot is not mounted",
            on: "vps",
            breaks: "mount -t tmpfs none /boot",
            mends: "umount /boot",
            blockers: &[("vps", "boot-not-mounted")],
            ..Condition::default()
        },
        Condition {
            name: "a kernel that is cut short",
            on: "vps",
            breaks: KERNELS_CUT,
            mends: "cp -a /run/whole/. /boot/EFI/; rm -rf /run/whole",
            blockers: &[("vps", "boot-files-bad")],
            ..Condition::default()
        },
        Condition {
            name: "a guard that somebody has armed, on a witness",
            on: "laptop2",
            breaks: "guard arm homelab --on web",
            mends: "guard disarm homelab --on web",
            words: &["--on", "vps"],
            blockers: &[("web", "guard-armed-by-hand")],
            ..Condition::default()
        },
        Condition {
            name: "a canary, while an address moves",
            inventory: Inventory {
                hosts: of_web("after: {address: 198.51.100.31}"),
                source: "flake: .\ncanary: vps",
                ..Inventory::default()
            },
            blockers: &[("web", "address-moves-between-waves")],
            ..Condition::default()
        },
        // --- no login, or no root ---
        Condition {
            name: "nothing listens",
            breaks: "systemctl stop sshd",
            mends: "systemctl start sshd",
            blockers: &[("web", "connection-refused")],
            ..Condition::default()
        },
        Condition {
            name: "nothing listens, on a witness that is needed",
            breaks: "systemctl stop sshd",
            mends: "systemctl start sshd",
            words: &["--on", "vps"],
            blockers: &[("web", "witness-needed")],
            ..Condition::default()
        },
        Condition {
            name: "nobody of that name",
            inventory: hosts("user: nobody-there"),
            blockers: &[("web", "login-refused")],
            ..Condition::default()
        },
        Condition {
            name: "a user who is not let in",
            breaks: &no_logins,
            mends: SSHD_AGAIN,
            blockers: &[("web", "login-refused")],
            ..Condition::default()
        },
        Condition {
            name: "a jump that forwards nothing",
            on: "vps",
            breaks: &no_forwarding,
            mends: SSHD_AGAIN,
            blockers: &[("homeserver", "jump-blocked")],
            ..Condition::default()
        },
        Condition {
            name: "a host key that is not known",
            on: "ws",
            breaks: FORGET_KEY,
            mends: KNOWN_AGAIN,
            blockers: &[("web", "host-key-unknown")],
            ..Condition::default()
        },
        Condition {
            name: "a host key that has changed",
            on: "ws",
            breaks: CHANGE_KEY,
            mends: KNOWN_AGAIN,
            blockers: &[("web", "host-key-changed")],
            ..Condition::default()
        },
        Condition {
            name: "a shell that is none",
            breaks: "usermod -s /usr/sbin/nologin deploy",
            mends: "usermod -s /bin/bash deploy",
            inventory: hosts("user: deploy"),
            blockers: &[("web", "login-shell-unfit")],
            ..Condition::default()
        },
        Condition {
            name: "an account that has expired",
            breaks: "chage -E 0 deploy",
            mends: "chage -E -1 deploy",
            inventory: hosts("user: deploy"),
            blockers: &[("web", "account-refused")],
            ..Condition::default()
        },
        Condition {
            name: "a password that has expired",
            breaks: "chage -d 0 deploy",
            mends: "chage -d 20000 deploy",
            inventory: hosts("user: deploy"),
            blockers: &[("web", "password-expired")],
            ..Condition::default()
        },
        Condition {
            name: "a login shell that prints",
            breaks: "echo 'echo Welcome' >/home/deploy/.bashrc; chown deploy: /home/deploy/.bashrc",
            mends: "rm /home/deploy/.bashrc",
            inventory: hosts("user: deploy"),
            blockers: &[("web", "copy-garbled")],
            ..Condition::default()
        },
        Condition {
            name: "sudo wants a password",
            inventory: hosts("user: admin"),
            blockers: &[("web", "root-password-needed")],
            ..Condition::default()
        },
        Condition {
            name: "a way to root that is not there",
            inventory: hosts("user: deploy\nbecome: [please]"),
            blockers: &[("web", "root-program-missing")],
            ..Condition::default()
        },
        Condition {
            name: "a login that its Nix does not trust",
            breaks: NIX_OF_ROOT,
            mends: NIX_AGAIN,
            inventory: hosts("user: deploy"),
            blockers: &[("web", "login-not-trusted")],
            ..Condition::default()
        },
        // --- the baseline ---
        Condition {
            name: "a login beside the first one is refused",
            breaks: &only_first,
            mends: SSHD_AGAIN,
            blockers: &[("web", "new-login-missing")],
            ..Condition::default()
        },
        Condition {
            name: "a link that no host can mend",
            inventory: Inventory { checks: HOPELESS, ..Inventory::default() },
            blockers: &[("links", "link-down-hopeless")],
            ..Condition::default()
        },
        Condition {
            name: "a link between two witnesses",
            inventory: Inventory { checks: MENDABLE, ..Inventory::default() },
            words: &["--on", "web"],
            blockers: &[("links", "link-down-hopeless")],
            ..Condition::default()
        },
        Condition {
            name: "a link that a host which is left out may mend",
            breaks: "systemctl stop sshd",
            mends: "systemctl start sshd",
            inventory: Inventory {
                checks: "- vpn: {hub: web}\n- tcp: 82\n  to: homeserver\n  from: vps\n",
                ..Inventory::default()
            },
            words: &["--without", "web"],
            blockers: &[("links", "link-down-absent-hub")],
            ..Condition::default()
        },
        // --- the workstation ---
        Condition {
            name: "a file where the records belong",
            on: "ws",
            breaks: "mv ~/.local/state/fleetdeploy /root/records; touch ~/.local/state/fleetdeploy",
            mends: "rm ~/.local/state/fleetdeploy; mv /root/records ~/.local/state/fleetdeploy",
            blockers: &[("workstation", "records-unwritable")],
            ..Condition::default()
        },
        Condition {
            name: "no room for a record",
            on: "ws",
            breaks: "mount -t tmpfs -o size=64k none ~/.local/state/fleetdeploy; \
                     ! head -c 99999 /dev/zero >~/.local/state/fleetdeploy/full",
            mends: "umount ~/.local/state/fleetdeploy",
            blockers: &[("workstation", "records-unwritable")],
            ..Condition::default()
        },
    ];
    let mut differing = Vec::new();
    let half = conditions.iter().position(|condition| condition.name == SECOND_HALF).unwrap();
    let conditions = if second_half { &conditions[half..] } else { &conditions[..half] };
    for condition in conditions {
        fleet.write_inventory(&condition.inventory);
        run(&fleet, condition.on, condition.breaks);
        let found = doctor_says(&fleet, condition, &mut differing);
        // What the first one has met is no longer so for the second.
        run(&fleet, "web", "rm -f /run/first");
        let pushed = push(&fleet, condition);
        let refused = refusals(&pushed);
        let armed = ALL.iter().any(|host| pushed.guard_was_armed(host));
        if refused != found || pushed.status != Some(1) || armed {
            differing.push(format!(
                "{}: a push is refused for {refused:?}, doctor says {found:?} (status {:?}, armed: {armed})",
                condition.name, pushed.status
            ));
        }
        run(&fleet, condition.on, condition.mends);
    }
    fleet.write_inventory(&Inventory::default());
    assert!(differing.is_empty(), "{}", differing.join("\n"));
    if !second_half {
        fleet.assert_untouched();
        return;
    }

    // Another push that has the fleet, and has armed nothing yet.
    fleet.set("vps", "build", "\"slow:2\"");
    let first = fleet.start(&["homelab"]);
    first.wait_for_phase(fleetdeploy::event::Phase::Survey);
    first.signal("STOP");
    let held =
        Condition { name: "a push under way", blockers: &[("workstation", "fleet-in-use")], ..Condition::default() };
    let found = doctor_says(&fleet, &held, &mut differing);
    assert_eq!(refusals(&push(&fleet, &held)), found);
    first.signal("INT");
    first.signal("CONT");
    // What it waited for when it was stopped may be over its limit when it goes on.
    let ended = first.ended().status;
    assert!(matches!(ended, Some(130 | 1)), "{ended:?}");
    fleet.set("vps", "build", "null");
    assert!(differing.is_empty(), "{}", differing.join("\n"));
    fleet.assert_untouched();

    // Nothing of this stops a push.
    fleet.host("vps", "systemd-run -q --unit=broken false; until systemctl -q is-failed broken; do :; done");
    let mendable = Condition {
        name: "a link that the push may mend",
        inventory: Inventory { checks: MENDABLE, ..Inventory::default() },
        ..Condition::default()
    };
    let away = Condition {
        name: "an optional host that is away",
        breaks: "systemctl stop sshd",
        mends: "systemctl start sshd",
        inventory: hosts("optional: true"),
        ..Condition::default()
    };
    let well = Condition { name: "a fleet that is well", ..Condition::default() };
    for (condition, outcome) in
        [(mendable, Outcome::RolledBack), (away, Outcome::Committed), (well, Outcome::Committed)]
    {
        fleet.write_inventory(&condition.inventory);
        run(&fleet, condition.on, condition.breaks);
        doctor_says(&fleet, &condition, &mut differing);
        let pushed = push(&fleet, &condition);
        assert_eq!(pushed.finished().0, outcome, "{}", condition.name);
        run(&fleet, condition.on, condition.mends);
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
    fleet.assert_on_new(&ALL);
}
