//! Users who are not root.

use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};

use fleetdeploy::event::Outcome;
use pretty_assertions::assert_eq;

use crate::fleet::{Fleet, Setup};
use crate::inventory::Inventory;

/// What `admin` types for sudo in the lab.
pub(crate) const PASSWORD: &str = "correct horse";

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

/// Lets `deploy` become root by everything but sudo without a password, and `admin` with his.
pub(crate) fn allow(fleet: &Fleet, host: &str) {
    fleet.host(
        host,
        "set -e
        printf 'permit nopass deploy as root\npermit admin as root\n' >/etc/doas.conf
        chmod 644 /etc/doas.conf
        for program in doas run0; do ln -sf /usr/bin/$program /run/wrappers/bin/; done
        mkdir -p /etc/polkit-1/rules.d
        printf '%s\n' 'polkit.addRule(function(action, subject) {' \
            '  if (action.id == \"org.freedesktop.systemd1.manage-units\" && subject.user == \"deploy\") {' \
            '    return polkit.Result.YES;' '  }' '});' >/etc/polkit-1/rules.d/10-lab.rules
        chmod 755 /etc/polkit-1 /etc/polkit-1/rules.d
        chmod 644 /etc/polkit-1/rules.d/10-lab.rules
        systemctl restart polkit",
    );
}

pub(crate) const SUDO_RS: &str = "ln -sf /usr/lib/cargo/bin/sudo /run/wrappers/bin/sudo";

/// Each with the real program: sudo-rs 0.2.5, `OpenDoas` 6.8.2, run0 of systemd 257 with polkit 126.
#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn sudo_rs_doas_run0_and_words_of_ones_own_push_like_root() {
    let mut fleet = Fleet::up("other-ways");
    for host in ["vps", "homeserver"] {
        allow(&fleet, host);
        fleet.host(host, SUDO_RS);
    }
    let ways = ["doas", "run0", "sudo", "[sudo, -n, -u, root, --]", "[doas, -n, -u, root]"];
    for (number, way) in ways.into_iter().enumerate() {
        let defaults = format!("user: deploy\nbecome: {way}");
        fleet.write_inventory(&Inventory { defaults: &defaults, ..Inventory::default() });
        for host in ["vps", "homeserver"] {
            fleet.set(host, "version", &format!("\"{}\"", number + 2));
        }
        fleet.push(&["homelab"]).assert_ended(0, Outcome::Committed);
        fleet.assert_on_new(&["vps", "homeserver"]);
        fleet.look();
        // The scripts that roll back take the same way.
        if way == "run0" {
            fleet.set("homeserver", "unit_fails", "true");
            let before = fleet.standing("homeserver");
            fleet.push(&["homelab"]).assert_ended(1, Outcome::RolledBack);
            assert_eq!(fleet.standing("homeserver"), before);
            fleet.set("homeserver", "unit_fails", "null");
        }
    }
    let units = fleet.host("vps", "systemctl list-units --all --plain --no-legend 'run-*.service'");
    assert!(!units.contains("fleetdeploy-script") && !units.contains("failed"), "{units}");
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn what_wants_a_password_or_a_terminal_or_makes_no_root_is_refused_with_its_mend() {
    let fleet = Fleet::made("no-root", &Setup { hosts: &["vps"], ..Setup::default() });
    allow(&fleet, "vps");
    fleet.change(&["vps"]);
    for (user, way, said) in [
        ("admin", "doas", ["doas wants a password", "permit nopass"]),
        ("admin", "run0", ["run0 wants a password", "org.freedesktop.systemd1.manage-units"]),
        ("admin", "[sudo, -n, --]", ["sudo wants a password", "without a question"]),
        ("deploy", "[sudo, -n, -u, admin, --]", ["is not root's", "must make root"]),
        ("deploy", "[please]", ["there is no please", "another `become`"]),
    ] {
        let defaults = format!("user: {user}\nbecome: {way}");
        fleet.write_inventory(&Inventory { defaults: &defaults, checks: "[]", ..Inventory::default() });
        let pushed = fleet.push(&["homelab"]);
        pushed.assert_ended(1, Outcome::Refused);
        pushed.assert_says(Some("vps"), &said);
    }
    for (before, said) in [
        ("echo 'Defaults requiretty' >>/etc/sudoers", ["sudo wants a terminal", "!requiretty"]),
        ("rm /etc/doas.conf; rm /run/wrappers/bin/sudo", ["there is no sudo", "become: doas"]),
    ] {
        fleet.host("vps", before);
        let defaults = "user: deploy\nbecome: sudo";
        fleet.write_inventory(&Inventory { defaults, checks: "[]", ..Inventory::default() });
        let pushed = fleet.push(&["homelab"]);
        pushed.assert_ended(1, Outcome::Refused);
        pushed.assert_says(Some("vps"), &said);
    }
    fleet.assert_untouched();
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn sudo_rs_takes_the_password_once_whether_it_is_right_or_wrong() {
    let fleet = Fleet::made("rs-password", &Setup { hosts: &["vps"], ..Setup::default() });
    fleet.host("vps", SUDO_RS);
    let defaults = "user: admin\nbecome: sudo-password";
    fleet.write_inventory(&Inventory { defaults, checks: "[]", ..Inventory::default() });
    fleet.change(&["vps"]);
    let mut push = fleet.on_terminal("push homelab");
    push.wait_for_text("password");
    writeln!(push.stdin(), "battery staple").unwrap();
    let pushed = push.ended();
    assert_eq!(pushed.status, Some(1), "{}", pushed.stdout);
    assert!(pushed.stdout.contains("the sudo password is wrong"), "{}", pushed.stdout);
    // What it says of further tries stands in the same line: "2 more authentication failures".
    let failures = "journalctl -q --no-pager | grep 'pam_unix(sudo:auth)' | grep -c 'authentication failure' || true";
    assert_eq!(fleet.host("vps", failures).trim(), "1");
    assert_eq!(
        fleet.host("vps", "journalctl -q --no-pager | grep -c 'more authentication failure' || true").trim(),
        "0"
    );
    fleet.assert_untouched();

    let mut push = fleet.on_terminal("push homelab");
    push.wait_for_text("password");
    writeln!(push.stdin(), "{PASSWORD}").unwrap();
    let pushed = push.ended();
    assert_eq!(pushed.status, Some(0), "{}", pushed.stdout);
    fleet.assert_on_new(&["vps"]);
}

/// Each says something at login, leaves a line open, and has a language of its own.
#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn every_login_shell_runs_our_scripts_and_what_is_none_says_why() {
    let fleet = Fleet::made("shells", &Setup { hosts: &["vps"], ..Setup::default() });
    fleet.write_inventory(&Inventory { defaults: "user: deploy", checks: "[]", ..Inventory::default() });
    fleet.host(
        "vps",
        "cd /home/deploy
        for file in .bashrc .zshenv .cshrc; do
            printf 'echo Welcome; echo end; printf \"fleetdeploy-answer no newline\"\n' >$file
        done
        mkdir -p .config/fish
        cp .bashrc .config/fish/config.fish
        printf 'LANG=tr_TR.UTF-8\nLC_ALL=tr_TR.UTF-8\n' >>/etc/environment
        chown -R deploy: .",
    );
    for shell in ["/bin/bash", "/usr/bin/zsh", "/usr/bin/fish", "/usr/bin/tcsh", "/bin/dash"] {
        fleet.host("vps", &format!("usermod -s {shell} deploy"));
        for sudo in [&["--sudo"][..], &[]] {
            let words = [&["exec", "homelab"], sudo, &["--", "printf", "<%s>", "it's $HOME", "!x"]].concat();
            let ran = fleet.plain(&words);
            assert_eq!(ran.status, Some(0), "{shell}: {}", ran.stderr);
            assert!(ran.stdout.contains("<it's $HOME><!x>"), "{shell}: {}", ran.stdout);
        }
    }
    fleet.host("vps", "usermod -s /usr/sbin/nologin deploy");
    let pushed = fleet.push(&["homelab"]);
    pushed.assert_ended(1, Outcome::Refused);
    pushed.assert_says(Some("vps"), &["This account is currently not available"]);
    fleet.assert_untouched();
}
