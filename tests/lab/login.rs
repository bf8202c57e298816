//! Changes that break logins while what is open stays open.

use fleetdeploy::event::{HostOutcome, Outcome};
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
