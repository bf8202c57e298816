//! Changes that break logins while what is open stays open.

use fleetdeploy::event::{Event, HostOutcome, Outcome, Phase};
use pretty_assertions::assert_eq;

use crate::fleet::Fleet;
use crate::inventory::Inventory;
use crate::wait::seconds;

const SWITCHED_BACK: HostOutcome = HostOutcome::RolledBack { by_guard: false };

/// Both hosts change, `host` with this fault; the open connection is still good for the way back.
fn is_rolled_back_without_a_reboot(test: &str, host: &str, key: &str, fault: &str) {
    let fleet = Fleet::up(test);
    fleet.change(&["vps", "homeserver"]);
    fleet.set(host, key, fault);
    let pushed = fleet.push(&["homelab"]);
    pushed.assert_ended(1, Outcome::RolledBack);
    assert_eq!((pushed.host("vps"), pushed.host("homeserver")), (&SWITCHED_BACK, &SWITCHED_BACK));
    fleet.assert_on_old(&[]);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_firewall_that_drops_new_ssh_connections_and_keeps_old_ones_is_rolled_back() {
    is_rolled_back_without_a_reboot("fw-ssh", "vps", "fw", "\"drop-new-ssh\"");
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_home_server_that_drops_new_ssh_connections_is_rolled_back() {
    is_rolled_back_without_a_reboot("fw-ssh-home", "homeserver", "fw", "\"drop-new-ssh\"");
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn an_sshd_that_does_not_come_up_is_rolled_back() {
    is_rolled_back_without_a_reboot("sshd-down", "homeserver", "sshd", "\"down\"");
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn an_sshd_that_accepts_and_never_answers_is_rolled_back() {
    is_rolled_back_without_a_reboot("sshd-hangs", "vps", "sshd", "\"hangs\"");
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn an_sshd_that_no_longer_admits_the_user_is_rolled_back() {
    is_rolled_back_without_a_reboot("no-user", "vps", "sshd", "\"no-user\"");
}

/// The first push sets it. What is open then keeps its sessions; the second push has one for each connection, and a
/// third has to go back over such.
#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn an_sshd_with_one_session_for_each_connection_is_pushed_and_rolled_back() {
    let fleet = Fleet::up("one-session");
    fleet.set("vps", "sshd", "\"one-session\"");
    fleet.push(&["homelab"]).assert_ended(0, Outcome::Committed);
    fleet.change(&["vps", "homeserver"]);
    let pushed = fleet.push(&["homelab"]);
    pushed.assert_ended(0, Outcome::Committed);
    fleet.set("vps", "version", "\"3\"");
    fleet.set("vps", "unit_fails", "true");
    let pushed = fleet.push(&["homelab"]);
    pushed.assert_ended(1, Outcome::RolledBack);
    assert_eq!(pushed.host("vps"), &SWITCHED_BACK);
    assert_eq!((fleet.boots("vps"), fleet.boots("homeserver")), (1, 1));
}

/// What is open on the jump keeps its right to forward, and everything looks well over it.
#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_jump_that_no_longer_forwards_is_rolled_back() {
    is_rolled_back_without_a_reboot("no-forwarding", "vps", "sshd", "\"no-forwarding\"");
}

/// Its second login would have been the one of verify.
#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_host_that_takes_no_second_login_is_refused_before_anything_is_armed() {
    let fleet = Fleet::up("second-login");
    fleet.change(&["vps", "homeserver"]);
    let only_first = "test -s /run/first || echo \"$SSH_CONNECTION\" >/run/first; \
                      test \"$(cat /run/first)\" = \"$SSH_CONNECTION\" || { echo too many logins >&2; exit 1; }; \
                      exec sh -c \"$SSH_ORIGINAL_COMMAND\"";
    fleet.host(
        "homeserver",
        &format!(
            "printf '#!/bin/sh\\n%s\\n' '{only_first}' >/root/only-first; chmod +x /root/only-first; \
             echo ForceCommand /root/only-first >>/etc/ssh/sshd_config; systemctl reload sshd"
        ),
    );
    let pushed = fleet.push(&["homelab"]);
    pushed.assert_ended(1, Outcome::Refused);
    pushed.assert_says(Some("homeserver"), &["takes no new login beside the one that is there"]);
    for host in ["vps", "homeserver"] {
        assert!(!pushed.guard_was_armed(host));
    }
    fleet.host("homeserver", "sed -i /ForceCommand/d /etc/ssh/sshd_config; systemctl reload sshd");
    fleet.assert_untouched();
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_user_who_loses_sudo_takes_the_push_back() {
    let fleet = Fleet::up("no-sudo");
    // Longer than WireGuard needs to notice that the hub has restarted: 15 s without an answer (white paper, section
    // 6.5).
    fleet.write_inventory(&Inventory {
        defaults: "user: deploy",
        guard: "120s",
        settle: "30s",
        ..Inventory::default()
    });
    fleet.change(&["vps", "homeserver"]);
    fleet.set("vps", "sudo", "false");
    let pushed = fleet.push(&["homelab"]);
    pushed.assert_ended(1, Outcome::RolledBack);
    // Without sudo nobody can ask the host for anything: its guard may be the only way back.
    let HostOutcome::RolledBack { by_guard } = *pushed.host("vps") else { panic!("{:?}", pushed.host("vps")) };
    assert_eq!(pushed.host("homeserver"), &SWITCHED_BACK);
    fleet.assert_on_old(if by_guard { &["vps"] } else { &[] });
}

/// Its logins that failed cost an address more with each; `from` is where they come from.
fn be_punished(fleet: &Fleet, from: &str, address: &str) {
    let wrong = "rm -f /tmp/wrong; ssh-keygen -q -t ed25519 -N '' -f /tmp/wrong; for n in 1 2 3 4 5; do \
                 ssh -F none -o BatchMode=yes -o ConnectTimeout=5 -o IdentitiesOnly=yes -i /tmp/wrong \
                 -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null root@ADDRESS true || true; done 2>&1"
        .replace("ADDRESS", address);
    let said = if from == "laptop" { fleet.ws(&wrong) } else { fleet.host(from, &wrong) };
    assert!(said.contains("Connection closed by") || said.contains("Connection reset by"), "{said}");
}

/// The probes of the others, and the logins of the run, take each other's only place; and a punishment from before is
/// waited off, as long as it is one of links: `PerSourcePenalties` end by themselves.
#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn an_sshd_that_lets_one_login_begin_at_a_time_is_pushed_and_one_that_punishes_is_named() {
    let fleet = Fleet::up("one-startup");
    for host in ["vps", "homeserver"] {
        fleet.host(host, "echo MaxStartups 1 >>/etc/ssh/sshd_config; systemctl reload sshd");
    }
    fleet.change(&["vps", "homeserver"]);
    be_punished(&fleet, "homeserver", "10.100.0.1");
    let pushed = fleet.push(&["homelab"]);
    pushed.assert_ended(0, Outcome::Committed);
    be_punished(&fleet, "laptop", "198.51.100.10");
    let refused = fleet.push(&["homelab"]);
    refused.assert_ended(1, Outcome::Refused);
    refused.assert_says(Some("vps"), &["its sshd lets nobody in from here just now", "PerSourcePenaltyExemptList"]);
    assert!(!refused.guard_was_armed("vps") && !refused.guard_was_armed("homeserver"));
}

/// The connection of the run stands; no new one is let in.
#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn an_account_that_expires_in_the_middle_of_a_push_takes_it_back_and_is_named() {
    let fleet = Fleet::up("expires");
    fleet.write_inventory(&Inventory { settle: "16s", guard: "110s", ..Inventory::default() });
    fleet.change(&["vps", "homeserver"]);
    let push = fleet.start(&["homelab"]);
    push.wait_for_phase(Phase::Test);
    fleet.host("homeserver", "chage -E 0 root");
    push.wait_for("the roll back", |event| matches!(event, Event::RollBackStarted { .. }).then_some(()));
    fleet.host("homeserver", "chage -E -1 root");
    let pushed = push.ended();
    pushed.assert_ended(1, Outcome::RolledBack);
    pushed.assert_says(None, &["homeserver takes no new ssh login", "Your account has expired"]);
    assert_eq!((pushed.host("vps"), pushed.host("homeserver")), (&SWITCHED_BACK, &SWITCHED_BACK));
    fleet.assert_on_old(&[]);
    // The run itself has not been punished for its logins that were refused.
    let dropped = "journalctl -q -b -o cat -t sshd -t sshd-session | grep 'drop connection' || true";
    assert_eq!(fleet.host("homeserver", dropped), "");
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn settling_for_its_full_time_with_a_link_down_locks_no_login_out() {
    let fleet = Fleet::up("penalties");
    fleet.write_inventory(&Inventory {
        settle: "45s",
        guard: "150s",
        checks: "- vpn: mesh\n- tcp: 8080\n  to: vps\n  from: homeserver\n",
        ..Inventory::default()
    });
    fleet.change(&["vps", "homeserver"]);
    fleet.set("vps", "app", "false");
    let pushed = fleet.push(&["homelab"]);
    pushed.assert_ended(1, Outcome::RolledBack);
    assert!(pushed.took > seconds(45), "settling ended early: {:.1?}", pushed.took);
    fleet.assert_on_old(&[]);
    for host in ["vps", "homeserver"] {
        assert_eq!(
            fleet.host(host, "journalctl -q -b -o cat -t sshd -t sshd-session | grep 'drop connection' || true"),
            ""
        );
    }
    // Several at once, from the address that has probed: the workstation's own, and the jump's.
    fleet.ws("for n in 1 2 3 4 5 6; do ssh -o BatchMode=yes -o ControlPath=none root@198.51.100.10 true & done; wait");
    fleet.assert_reachable();
}
