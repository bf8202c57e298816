//! Systems that are built elsewhere than on the workstation: on their own hosts, and on another one.

use fleetdeploy::event::{Event, Outcome, Phase};
use pretty_assertions::assert_eq;

use crate::exec::answer;
use crate::fleet::{Fleet, Setup};
use crate::inventory::Inventory;
use crate::pushed::{Pushed, Pushing};
use crate::reasons::assert_tells;
use crate::wait::{seconds, until};

/// A Nix that takes unsigned paths from root alone, and those that are signed by these keys from all.
pub(crate) fn trusts(fleet: &Fleet, host: &str, keys: &str) {
    let settings = "sed 's/^trusted-users.*/trusted-users = root/' /etc/static/nix/nix.conf";
    let script = format!(
        "rm -f /etc/nix/nix.conf; {{ {settings}; echo 'trusted-public-keys = {keys}'; }} >/etc/nix/nix.conf
        systemctl stop nix-daemon.socket nix-daemon.service; systemctl start nix-daemon.socket"
    );
    fleet.host(host, &script);
}

/// How many bytes have left the workstation since it booted.
fn sent(fleet: &Fleet) -> u64 {
    let devices = fleet.ws("cat /proc/net/dev");
    let devices = devices.lines().filter_map(|line| line.split_once(':')).filter(|(name, _)| name.trim() != "lo");
    devices.map(|(_, counts)| counts.split_whitespace().nth(8).unwrap().parse::<u64>().unwrap()).sum()
}

fn wait_for_build(push: &Pushing) {
    push.wait_for("a build", |event| match event {
        Event::BuildMoved { running, .. } => (*running > 0).then_some(()),
        _ => None,
    });
}

pub(crate) fn failed(pushed: &Pushed, code: &str) -> Vec<String> {
    let of_event = |event: &Event| match event {
        Event::Failed { host: Some(host), text, .. } if text.code() == Some(code) => Some(host.to_string()),
        _ => None,
    };
    let mut hosts: Vec<String> = pushed.events().filter_map(of_event).collect();
    hosts.sort();
    hosts
}

/// What `doctor` says of how the systems come to this host.
pub(crate) fn judged(fleet: &Fleet, host: &str) -> String {
    let asked = fleet.query(&["doctor", "homelab"]);
    let answer = answer(&asked.lines);
    let of_host = answer["hosts"].as_array().unwrap().iter().find(|asked| asked["host"] == host).unwrap();
    let codes =
        ["built-there", "copy-taken", "login-not-trusted", "only-by-cache", "sign-key-unusable", "signature-trusted"];
    let found = of_host["findings"].as_array().unwrap().iter().map(|finding| finding["code"].as_str().unwrap());
    found.filter(|code| codes.contains(code)).collect::<Vec<_>>().join(" ")
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_host_builds_its_own_system_for_a_login_that_it_does_not_trust_and_little_is_sent() {
    let mut fleet = Fleet::made("built", &Setup { hosts: &["vps", "web"], ..Setup::default() });
    // A witness that stands still is waited for until what happens meanwhile has happened.
    let limits = "{connect: 2m, step: 10s, test: 20s, switch: 15s, rollback: 20s}";
    let defaults = "user: deploy\nbuild_on: target";
    let inventory = Inventory { defaults, checks: "[]", guard: "15m", limits, ..Inventory::default() };
    fleet.write_inventory(&inventory);
    trusts(&fleet, "vps", "");
    assert_eq!(judged(&fleet, "vps"), "built-there");

    // A builder that dies in the middle, and one without room: nothing is touched, and the refusal names it.
    fleet.set("vps", "build", "\"slow:20\"");
    let push = fleet.start(&["homelab", "--on", "vps"]);
    wait_for_build(&push);
    fleet.host("vps", "pkill -KILL -f '[n]ix-daemon' || true");
    let lost = push.ended();
    lost.assert_ended(1, Outcome::Refused);
    assert_eq!(failed(&lost, "builder-lost"), ["vps"]);
    fleet.set("vps", "build", "null");
    fleet.change(&["vps"]);
    fleet.set("vps", "size", "50");
    fleet.host("vps", "dd if=/dev/zero of=/full bs=64k || true");
    let full = fleet.push(&["homelab", "--on", "vps"]);
    full.assert_ended(1, Outcome::Refused);
    assert_eq!(failed(&full, "builder-full"), ["vps"]);
    fleet.host("vps", "rm /full");
    fleet.assert_untouched();

    let before = sent(&fleet);
    fleet.push(&["homelab", "--on", "vps", "--without", "web"]).assert_ended(0, Outcome::Committed);
    let sent = sent(&fleet) - before;
    assert!(sent < 1_000_000, "{sent} bytes were sent");
    let padding = fleet.ws("ls /nix/store");
    assert!(!padding.lines().any(|path| path.ends_with("-padding-2")), "{padding}");
    // It builds the system here, to know it.
    fleet.assert_on_new(&["vps"]);

    // It is known there alone, and whoever asks is answered all the same.
    fleet.look();
    fleet.ws("nix-collect-garbage");
    fleet.push(&["homelab", "--on", "vps"]).assert_ended(0, Outcome::Unchanged);
    fleet.set("vps", "version", "\"3\"");
    fleet.set("vps", "size", "null");
    for words in [["plan", "homelab"], ["diff", "homelab"]] {
        let asked = fleet.plain(&words);
        assert!(asked.stdout.contains("app 2 -> 3"), "{}{}", asked.stdout, asked.stderr);
    }
    let status = fleet.plain(&["status", "homelab", "--build"]);
    assert!(status.stdout.lines().any(|line| line.contains("vps") && line.contains("differs")), "{}", status.stdout);

    // A garbage collection behind the build, while the push waits for a witness: it is built once more.
    fleet.freeze("web", "on");
    let push = fleet.start(&["homelab", "--on", "vps"]);
    push.wait_for("the end of the build", |event| match event {
        Event::HostDone { host, phase: Phase::Build } => (host.as_str() == "vps").then_some(()),
        _ => None,
    });
    let collected = fleet.host("vps", "nix-collect-garbage 2>&1");
    assert!(collected.contains("-nixos-system-vps-25.11.3"), "{collected}");
    fleet.freeze("web", "off");
    let pushed = push.ended();
    pushed.assert_ended(0, Outcome::Committed);
    assert_tells(&pushed, &["collected-after-copy"]);

    fleet.run_json(&["rollback", "homelab", "--on", "vps"]).assert_ended(0, Outcome::Committed);
    let other = fleet.push(&["homelab", "--on", "vps", "--build-on", "workstation"]);
    assert_eq!(failed(&other, "copy-untrusted"), Vec::<String>::new(), "it is there already");
    other.assert_ended(0, Outcome::Committed);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_build_on_a_host_ends_with_its_push_and_a_builder_that_freezes_is_named() {
    let fleet = Fleet::made("building", &Setup { hosts: &["vps", "web"], ..Setup::default() });
    let inventory = Inventory { defaults: "user: deploy\nbuild_on: web", checks: "[]", ..Inventory::default() };
    fleet.write_inventory(&inventory);
    fleet.set("vps", "build", "\"slow:300\"");
    let builders = || fleet.host("web", "pgrep -f '[s]leep 300' || true");

    // Ctrl-C, by a person in a hurry.
    let push = fleet.start(&["homelab", "--on", "vps"]);
    wait_for_build(&push);
    push.signal("INT");
    push.signal("INT");
    let interrupted = push.ended();
    interrupted.assert_ended(130, Outcome::Refused);
    assert!(interrupted.finished().1.contains("before anything was touched"), "{}", interrupted.stdout);
    until(seconds(60), "the end of the build there", || builders().is_empty().then_some(()));

    let push = fleet.start(&["homelab", "--on", "vps"]);
    wait_for_build(&push);
    push.wait_for("the builder's survey", |event| match event {
        Event::HostDone { host, phase: Phase::Survey } => (host.as_str() == "web").then_some(()),
        _ => None,
    });
    fleet.freeze("web", "on");
    let lost = push.ended();
    lost.assert_ended(1, Outcome::Refused);
    assert_eq!(failed(&lost, "builder-lost"), ["vps"], "{}", lost.words(None));
    fleet.freeze("web", "off");
    until(seconds(60), "the end of the build there", || builders().is_empty().then_some(()));
    fleet.assert_untouched();
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn one_host_builds_for_others_and_what_is_copied_needs_a_signature_or_trust() {
    let fleet = Fleet::made("builder", &Setup { hosts: &["vps", "web"], ..Setup::default() });
    let inventory = |nix: &'static str| Inventory { defaults: nix, checks: "[]", ..Inventory::default() };
    fleet.ws("nix key generate-secret --key-name fleet-1 >key; echo no key >bad");
    let key = fleet.ws("nix key convert-secret-to-public <key").trim().to_owned();
    for host in ["vps", "web"] {
        trusts(&fleet, host, &key);
    }
    fleet.change(&["vps", "web"]);

    fleet.write_inventory(&inventory("user: deploy\nbuild_on: web"));
    assert_eq!(["vps", "web"].map(|host| judged(&fleet, host)), ["login-not-trusted", "built-there"]);
    let unsigned = fleet.push(&["homelab"]);
    unsigned.assert_ended(1, Outcome::Refused);
    assert_eq!(failed(&unsigned, "copy-untrusted"), ["vps"]);

    fleet.write_inventory(&inventory("user: deploy\nbuild_on: web\nnix: {sign_key: bad}"));
    assert_eq!(["vps", "web"].map(|host| judged(&fleet, host)), ["sign-key-unusable"; 2]);
    let bad = fleet.push(&["homelab"]);
    bad.assert_ended(1, Outcome::Refused);
    assert_eq!(failed(&bad, "sign-key-unusable"), ["vps", "web"]);

    // What fails is blamed on the host that needs it, and the other's is built all the same.
    fleet.write_inventory(&inventory("user: deploy\nbuild_on: web\nnix: {sign_key: key}"));
    fleet.set("vps", "build", "\"fails\"");
    let sick = fleet.push(&["homelab"]);
    sick.assert_ended(1, Outcome::Refused);
    assert_eq!(failed(&sick, "derivation-failed"), ["vps"]);
    assert_eq!(failed(&sick, "system-not-built"), Vec::<String>::new());
    fleet.set("vps", "build", "null");

    // One that cannot be spoken to.
    fleet.host("web", "systemctl stop nix-daemon.socket nix-daemon.service; mv /etc/nix/nix.conf /etc/nix/aside");
    fleet.host("web", "{ cat /etc/nix/aside; echo 'allowed-users = root'; } >/etc/nix/nix.conf");
    fleet.host("web", "systemctl start nix-daemon.socket");
    let unusable = fleet.push(&["homelab"]);
    unusable.assert_ended(1, Outcome::Refused);
    assert_eq!(failed(&unusable, "builder-unusable"), ["vps", "web"], "{}", unusable.words(None));
    fleet.host("web", "systemctl stop nix-daemon.socket nix-daemon.service; mv /etc/nix/aside /etc/nix/nix.conf");
    fleet.host("web", "systemctl start nix-daemon.socket");
    fleet.assert_untouched();

    // What was built before is signed, too.
    assert_eq!(["vps", "web"].map(|host| judged(&fleet, host)), ["signature-trusted", "built-there"]);
    fleet.push(&["homelab"]).assert_ended(0, Outcome::Committed);
    fleet.assert_on_new(&["vps", "web"]);
    // It has built both systems of the other one, so it knows what changes.
    fleet.set("vps", "version", "\"4\"");
    let differs = fleet.plain(&["diff", "homelab", "--on", "vps"]);
    assert!(differs.stdout.contains("app 2 -> 4"), "{}{}", differs.stdout, differs.stderr);

    // From the workstation it goes as well.
    fleet.set("vps", "version", "\"3\"");
    fleet.push(&["homelab", "--on", "vps", "--build-on", "workstation"]).assert_ended(0, Outcome::Committed);

    // And one that is off: who waits for it is refused, and it is named.
    fleet.power("web", "off");
    fleet.set("vps", "version", "\"5\"");
    let off = fleet.query(&["build", "homelab", "--on", "vps"]);
    assert_tells(&off, &["builder-not-reached"]);
    assert_eq!(failed(&off, "builder-not-reached"), ["vps"]);
}
