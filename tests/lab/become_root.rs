//! Users who are not root.

use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};

use fleetdeploy::event::Outcome;
use pretty_assertions::assert_eq;

use crate::fleet::Fleet;
use crate::inventory::Inventory;

/// What `admin` types for sudo in the lab.
const PASSWORD: &str = "correct horse";

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_user_with_sudo_pushes_like_root() {
    let fleet = Fleet::up("sudo");
    fleet.write_inventory(&Inventory { defaults: "user: deploy", ..Inventory::default() });
    fleet.change(&["vps", "homeserver"]);
    fleet.push(&["homelab"]).assert_ended(0, Outcome::Committed);
    fleet.assert_on_new(&["vps", "homeserver"]);

    fleet.set("homeserver", "unit_fails", "true");
    let before = fleet.standing("homeserver");
    fleet.push(&["homelab"]).assert_ended(1, Outcome::RolledBack);
    assert_eq!(fleet.standing("homeserver"), before);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_sudo_password_is_asked_for_once_and_is_nowhere_to_be_seen() {
    let fleet = Fleet::up("password");
    fleet.write_inventory(&Inventory { defaults: "user: admin\nbecome: sudo-password", ..Inventory::default() });
    fleet.change(&["vps", "homeserver"]);

    let over = AtomicBool::new(false);
    let (pushed, seen) = std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut seen = None;
            while !over.load(Ordering::Relaxed) {
                seen = seen.or_else(seen_in_a_process);
            }
            seen
        });
        let mut push = fleet.on_terminal("push homelab");
        push.wait_for_text("password");
        writeln!(push.stdin(), "{PASSWORD}").unwrap();
        let pushed = push.ended();
        over.store(true, Ordering::Relaxed);
        (pushed, watch.join().unwrap())
    });
    assert_eq!(pushed.status, Some(0), "{}", pushed.stdout);
    assert_eq!(seen, None, "the password stood in a process's arguments or environment");
    assert_eq!(pushed.stdout.to_lowercase().matches("password").count(), 1, "{}", pushed.stdout);
    assert!(!pushed.stdout.contains(PASSWORD));
    assert_eq!(fleet.ws(&format!("grep -rlF '{PASSWORD}' /root/.local /tmp || true")), "");
    for host in ["vps", "homeserver"] {
        let places = "/nix/store /run /tmp /home /var/log /nix/var";
        let found = fleet.host(
            host,
            &format!(
                "grep -rlIF --devices=skip '{PASSWORD}' {places} 2>/dev/null | grep -v '^/nix/store/.*/base' || true"
            ),
        );
        assert_eq!(found, "");
        assert_eq!(fleet.host(host, &format!("journalctl -q -o cat | grep -F '{PASSWORD}' || true")), "");
    }
    fleet.assert_on_new(&["vps", "homeserver"]);
}

/// The hosts' and the workstation's processes are this machine's too.
fn seen_in_a_process() -> Option<String> {
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok).map(|entry| entry.path());
    processes.flat_map(|path| [path.join("cmdline"), path.join("environ")]).find_map(|file| {
        let bytes = std::fs::read(&file).ok()?;
        bytes.windows(PASSWORD.len()).any(|part| part == PASSWORD.as_bytes()).then(|| file.display().to_string())
    })
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_wrong_sudo_password_is_tried_once_on_each_host_and_touches_nothing() {
    let fleet = Fleet::up("wrong-password");
    fleet.write_inventory(&Inventory { defaults: "user: admin\nbecome: sudo-password", ..Inventory::default() });
    fleet.change(&["vps", "homeserver"]);
    let mut push = fleet.on_terminal("push homelab");
    push.wait_for_text("password");
    writeln!(push.stdin(), "battery staple").unwrap();
    let pushed = push.ended();
    assert_eq!(pushed.status, Some(1), "{}", pushed.stdout);
    assert!(pushed.stdout.contains("the sudo password is wrong"), "{}", pushed.stdout);
    for host in ["vps", "homeserver"] {
        // More of them would lock the account (pam_faillock).
        let count = "journalctl -q --no-pager | grep -c 'pam_unix(sudo:auth): authentication failure' || true";
        assert_eq!(fleet.host(host, count).trim(), "1", "tries on {host}");
    }
    fleet.assert_untouched();
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_sudo_password_without_a_terminal_is_an_error_before_anything_starts() {
    let fleet = Fleet::up("no-terminal");
    fleet.write_inventory(&Inventory { defaults: "user: admin\nbecome: sudo-password", ..Inventory::default() });
    fleet.change(&["vps", "homeserver"]);
    let before = fleet.logins("vps");
    let pushed = fleet.plain(&["push", "homelab"]);
    assert_eq!(pushed.status, Some(2), "{}", pushed.stderr);
    assert!(pushed.stderr.contains("terminal"), "{}", pushed.stderr);
    assert_eq!(fleet.logins("vps"), before);
    fleet.assert_untouched();
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_sudo_that_wants_a_password_nobody_announced_is_refused_and_says_what_to_write() {
    let fleet = Fleet::up("unannounced");
    fleet.write_inventory(&Inventory { defaults: "user: admin", ..Inventory::default() });
    fleet.change(&["vps", "homeserver"]);
    let pushed = fleet.push(&["homelab"]);
    pushed.assert_ended(1, Outcome::Refused);
    pushed.assert_says(Some("vps"), &["sudo wants a password", "become: sudo-password"]);
    fleet.assert_untouched();
}
