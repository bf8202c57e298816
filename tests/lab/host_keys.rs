//! Host keys that are not known or have changed, of a host and of its jump: refused at once, and nobody is asked.

use fleetdeploy::event::Outcome;

use crate::fleet::Fleet;
use crate::inventory::Inventory;
use crate::wait::seconds;

const FORGET: &str = "sed -i '/^ADDRESS,/d' /root/.ssh/known_hosts";
const CHANGE: &str = "ssh-keygen -q -t ed25519 -N '' -f /tmp/other && \
     sed -i \"s#^\\(ADDRESS,[^ ]*\\) .*#\\1 $(cut -d' ' -f1,2 /tmp/other.pub)#\" /root/.ssh/known_hosts";

/// `address` is the first of the host's names in the lab's `known_hosts`.
fn is_refused(test: &str, host: &str, address: &str, spoil: &str, said: &str) {
    let fleet = Fleet::up(test);
    fleet.change(&["vps", "homeserver"]);
    fleet.ws(&spoil.replace("ADDRESS", address));
    let fingerprint = fleet.host(host, "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub");
    let fingerprint = fingerprint.split_whitespace().nth(1).unwrap();

    let without_terminal = fleet.push(&["homelab"]);
    without_terminal.assert_ended(1, Outcome::Refused);
    without_terminal.assert_says(None, &[said, fingerprint]);
    assert!(without_terminal.took < seconds(60), "{:.1?}", without_terminal.took);

    // Nothing is typed: a question would wait for ever.
    let on_terminal = fleet.on_terminal("push homelab").ended();
    assert_eq!(on_terminal.status, Some(1));
    assert!(on_terminal.stdout.contains(fingerprint), "{}", on_terminal.stdout);
    for question in ["yes/no", "password:", "passphrase"] {
        assert!(!on_terminal.stdout.to_lowercase().contains(question), "{}", on_terminal.stdout);
    }
    assert!(on_terminal.took < seconds(60), "{:.1?}", on_terminal.took);
    fleet.assert_untouched_and_unreached();
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn an_unknown_host_key_is_refused_with_its_fingerprint() {
    is_refused("key-unknown", "homeserver", "203.0.113.20", FORGET, "host key is not known");
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_changed_host_key_is_refused_with_its_fingerprint() {
    is_refused("key-changed", "homeserver", "203.0.113.20", CHANGE, "host key has changed");
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn an_unknown_host_key_of_the_jump_is_refused_with_its_fingerprint() {
    is_refused("jump-unknown", "vps", "198.51.100.10", FORGET, "host key is not known");
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_changed_host_key_of_the_jump_is_refused_with_its_fingerprint() {
    is_refused("jump-changed", "vps", "198.51.100.10", CHANGE, "host key has changed");
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn accept_new_takes_an_unknown_key_for_good_and_never_a_changed_one() {
    let fleet = Fleet::up("accept-new");
    fleet.write_inventory(&Inventory { defaults: "user: root\nhost_key: accept-new", ..Inventory::default() });
    fleet.change(&["vps", "homeserver"]);
    fleet.ws("cp /root/.ssh/known_hosts /root/known");
    fleet.ws(&CHANGE.replace("ADDRESS", "203.0.113.20"));
    let refused = fleet.push(&["homelab"]);
    refused.assert_ended(1, Outcome::Refused);
    refused.assert_says(Some("homeserver"), &["host key has changed", "known_hosts, line 2"]);
    fleet.assert_untouched_and_unreached();

    fleet.ws("rm /root/.ssh/known_hosts");
    fleet.push(&["homelab"]).assert_ended(0, Outcome::Committed);
    fleet.assert_on_new(&["vps", "homeserver"]);
    // Learned: what was taken at first sight is what is asked for from now on.
    fleet.write_inventory(&Inventory::default());
    fleet.push(&["homelab"]).assert_ended(0, Outcome::Unchanged);
}
