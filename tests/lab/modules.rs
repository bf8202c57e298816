//! Hosts that are what the modules of `nix/` set, pushed by the login that these give; and the template.
//!
//! A stub of nixpkgs (`tests/flake`) evaluates the modules with the real Nix of the workstation. What NixOS would write
//! of them into `/etc` is what the lab's systems have there.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use fleetdeploy::event::Outcome;
use pretty_assertions::assert_eq;

use crate::built::failed;
use crate::exec::answer;
use crate::fleet::{Fleet, Setup};
use crate::inventory::Inventory;

const BOTH: [&str; 2] = ["vps", "homeserver"];

/// Lays a clone of this repository on the workstation, as far as Nix reads it, and beside it a nixpkgs whose systems
/// are the lab's hosts.
fn lay_clone(fleet: &Fleet) {
    let (repository, root) = (Path::new(env!("CARGO_MANIFEST_DIR")), fleet.workstation().join("root"));
    std::fs::create_dir_all(root.join("clone/tests")).unwrap();
    for (what, to) in [
        ("Cargo.toml", "clone"),
        ("flake.nix", "clone"),
        ("package.nix", "clone"),
        ("nix", "clone"),
        ("tests/flake", "clone/tests"),
        ("tests/flake/lab", "nixpkgs"),
        ("tests/flake/nixpkgs", "nixpkgs/nixpkgs"),
    ] {
        let copied = Command::new("cp").arg("-r").arg(repository.join(what)).arg(root.join(to)).status().unwrap();
        assert!(copied.success(), "{what}");
    }
    fleet.ws("cp -r /root/fleet /root/nixpkgs/fleet");
}

/// Gives the next systems of these hosts what `fleetdeploy.target` sets with these options.
fn set_target(fleet: &Fleet, hosts: &[&str], options: &str) {
    let evaluate = "nix-instantiate --eval --strict --json /root/clone/tests/flake/lab/login.nix \
                    --arg keys /root/fleet/keys.json --arg target";
    let login = fleet.ws(&format!("{evaluate} '{options}'"));
    for host in hosts {
        fleet.set(host, "login", login.trim());
    }
}

/// NixOS restarts the daemon when its configuration has changed, and the lab does not.
fn restart_nix(fleet: &Fleet) {
    let restart = "systemctl stop nix-daemon.socket nix-daemon.service; systemctl start nix-daemon.socket";
    for host in BOTH {
        fleet.host(host, restart);
    }
}

/// Pushes a change to both hosts, and sees it on them. It is not looked at by a login: there is no other one.
fn is_pushed(fleet: &Fleet, version: &str) {
    let before = BOTH.map(|host| fleet.standing(host));
    for host in BOTH {
        fleet.set(host, "version", &format!("\"{version}\""));
    }
    fleet.push(&["homelab"]).assert_ended(0, Outcome::Committed);
    for (host, before) in BOTH.iter().zip(before) {
        assert_eq!(fleet.standing(host), before.moved_to(&fleet.system(host)), "{host}");
    }
}

/// Who has logged in by a key since the host's boot, in the order of their names.
fn who_logged_in(fleet: &Fleet, host: &str) -> Vec<String> {
    let journal = fleet.host(host, "journalctl -q -o cat -t sshd -t sshd-session");
    let accepted = journal.lines().filter_map(|line| line.strip_prefix("Accepted publickey for ")?.split_once(' '));
    let names: BTreeSet<String> = accepted.map(|(name, _)| name.to_owned()).collect();
    names.into_iter().collect()
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn hosts_of_the_module_are_pushed_by_its_login_and_its_sudo_rule_alone() {
    let fleet = Fleet::up("module-sudo");
    lay_clone(&fleet);
    // From a login as root, which ends with that push, to the module's.
    let after = BOTH.map(|host| (host, "after: {user: deploy}"));
    fleet.write_inventory(&Inventory { hosts: &after, ..Inventory::default() });
    set_target(&fleet, &BOTH, r#"{ user = "deploy"; jump = true; }"#);
    is_pushed(&fleet, "2");
    fleet.write_inventory(&Inventory { defaults: "user: deploy", ..Inventory::default() });
    restart_nix(&fleet);
    for host in BOTH {
        assert_eq!(fleet.host(host, "ls /etc/ssh/authorized_keys.d").trim(), "deploy");
        let rules = fleet.host(host, "grep -v -e '^Defaults' -e '^$' /etc/sudoers");
        let wanted = "root ALL=(ALL:ALL) SETENV: ALL\n%wheel\tALL=(ALL:ALL)\tSETENV: ALL\n\
                      deploy\tALL=(root)\tNOPASSWD: /bin/sh\n";
        assert_eq!(rules, wanted);
        fleet.host(host, "journalctl -q --rotate; journalctl -q --vacuum-time=1us");
    }

    let asked = fleet.query(&["doctor", "homelab"]);
    let answer = answer(&asked.lines);
    assert_eq!((asked.status, &answer["blockers"], &answer["warnings"]), (Some(0), &0.into(), &0.into()), "{answer}");
    is_pushed(&fleet, "3");
    // What goes back takes the same way.
    let before = BOTH.map(|host| fleet.standing(host));
    fleet.set("homeserver", "unit_fails", "true");
    fleet.push(&["homelab"]).assert_ended(1, Outcome::RolledBack);
    assert_eq!(BOTH.map(|host| fleet.standing(host)), before);
    fleet.set("homeserver", "unit_fails", "null");
    for host in BOTH {
        assert_eq!(who_logged_in(&fleet, host), ["deploy"]);
        let ran = fleet.host(host, "journalctl -q -o cat -t sudo | grep -o 'COMMAND=[^ ]*' | sort -u");
        assert_eq!(ran.trim(), "COMMAND=/bin/sh");
    }
    let other = "ssh -o BatchMode=yes deploy@198.51.100.10 'sudo -n /usr/bin/id' 2>&1 || true";
    assert!(fleet.ws(other).contains("a password is required"), "{}", fleet.ws(other));

    // Without the rule.
    fleet.host("vps", "sed -i '/NOPASSWD/d' /etc/sudoers");
    let refused = fleet.push(&["homelab"]);
    refused.assert_ended(1, Outcome::Refused);
    refused.assert_says(Some("vps"), &["sudo wants a password"]);
}

/// With a key that signs, the login need be no trusted user.
#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn hosts_of_the_module_take_what_is_signed_by_its_key_and_nothing_else() {
    let fleet = Fleet::up("module-signed");
    lay_clone(&fleet);
    fleet.ws("nix key generate-secret --key-name fleet-1 >/root/sign.key");
    let key = fleet.ws("nix key convert-secret-to-public </root/sign.key");
    let by_deploy = Inventory { defaults: "user: deploy", ..Inventory::default() };
    fleet.write_inventory(&by_deploy);
    let options = r#"user = "deploy"; jump = true; trustUser = false"#;
    let options = format!(r#"{{ {options}; trustedPublicKeys = [ "{}" ]; }}"#, key.trim());
    set_target(&fleet, &BOTH, &options);
    is_pushed(&fleet, "2");
    restart_nix(&fleet);

    for host in BOTH {
        fleet.set(host, "version", "\"3\"");
    }
    let refused = fleet.push(&["homelab"]);
    refused.assert_ended(1, Outcome::Refused);
    assert!(!failed(&refused, "copy-untrusted").is_empty(), "{}", refused.words(None));
    fleet.write_inventory(&Inventory { defaults: "user: deploy\nnix: {sign_key: /root/sign.key}", ..by_deploy });
    is_pushed(&fleet, "4");
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn hosts_of_the_module_are_pushed_by_its_login_as_root() {
    let fleet = Fleet::up("module-root");
    lay_clone(&fleet);
    set_target(&fleet, &BOTH, "{ jump = true; }");
    is_pushed(&fleet, "2");
    restart_nix(&fleet);
    for host in BOTH {
        assert_eq!(fleet.host(host, "ls /etc/ssh/authorized_keys.d").trim(), "root");
        assert_eq!(fleet.host(host, "cat /etc/sudoers /etc/nix/nix.conf | grep deploy || true"), "");
    }
    let asked = fleet.query(&["doctor", "homelab"]);
    let answer = answer(&asked.lines);
    assert_eq!((asked.status, &answer["blockers"], &answer["warnings"]), (Some(0), &0.into(), &0.into()), "{answer}");
    is_pushed(&fleet, "3");
}

/// No character of it is changed: its hosts have addresses that the lab's have. What a person types is typed here, too;
/// nixpkgs and the clone stand for those that they would fetch.
#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn the_template_is_pushed_as_it_is() {
    let fleet = Fleet::made("template", &Setup { hosts: &["vps", "web"], ..Setup::default() });
    lay_clone(&fleet);
    let mine = |script: &str| fleet.ws(&format!("mkdir -p /root/mine && cd /root/mine && {script}"));
    fleet.ws("cd /root/clone && nix flake lock --override-input nixpkgs path:/root/nixpkgs path:.");
    mine("nix flake init --template path:/root/clone");
    mine("nix flake lock --override-input nixpkgs path:/root/nixpkgs --override-input fleetdeploy path:/root/clone");
    let without_key = mine("fleetdeploy build homelab 2>&1 || true");
    assert!(without_key.contains("cp ~/.ssh/id_ed25519.pub deploy.pub"), "{without_key}");
    mine("cp ~/.ssh/id_ed25519.pub deploy.pub");
    mine("fleetdeploy inventory check");
    mine("fleetdeploy doctor homelab");
    mine("fleetdeploy check homelab");

    let before = ["vps", "web"].map(|host| fleet.standing(host));
    mine("fleetdeploy push homelab");
    for (host, before) in ["vps", "web"].iter().zip(before) {
        let attribute = format!(".#nixosConfigurations.{host}.config.system.build.toplevel");
        let system = mine(&format!("nix build --no-link --print-out-paths '{attribute}'"));
        assert_eq!(fleet.standing(host), before.moved_to(system.trim()), "{host}");
        assert_eq!(fleet.host(host, "ls /etc/ssh/authorized_keys.d").trim(), "root");
    }
    let again = mine("fleetdeploy push homelab 2>&1");
    assert!(again.contains("homelab: UNCHANGED"), "{again}");
}
