//! What would stop a push is found before it does.

use fleetdeploy::event::{Event, Outcome};
use pretty_assertions::assert_eq;
use serde_json::Value;

use crate::built::failed;
use crate::exec::answer;
use crate::fleet::{Fleet, Setup};
use crate::inventory::Inventory;

/// What is said of a host with this weight.
fn found<'a>(answer: &'a Value, host: &str, severity: &str) -> Vec<&'a str> {
    let hosts = answer["hosts"].as_array().unwrap();
    let host = hosts.iter().find(|one| one["host"] == host).unwrap_or_else(|| panic!("no {host}: {answer}"));
    let findings = host["findings"].as_array().unwrap().iter().filter(|finding| finding["severity"] == severity);
    findings.map(|finding| finding["what"].as_str().unwrap()).collect()
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_fleet_that_is_well_has_nothing_but_fine() {
    let fleet = Fleet::up("doctor");
    fleet.write_inventory(&Inventory { defaults: "user: deploy", ..Inventory::default() });
    let asked = fleet.query(&["doctor", "homelab"]);
    let answer = answer(&asked.lines);
    assert_eq!((asked.status, &answer["blockers"], &answer["warnings"]), (Some(0), &0.into(), &0.into()), "{answer}");
    for host in ["vps", "homeserver"] {
        let fine = found(answer, host, "fine");
        for what in
            ["logs in as deploy", "systemd-boot", "takes what is copied", "VPN address", "enough sessions", "clock"]
        {
            assert!(fine.iter().any(|fine| fine.contains(what)), "{what}: {fine:#?}");
        }
    }
    let shown = fleet.plain(&["doctor", "homelab"]);
    assert!(shown.stdout.contains("\nnothing would stop a push: "), "{}", shown.stdout);
    fleet.assert_untouched();
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn what_a_push_refuses_the_doctor_has_said_in_the_same_words() {
    let fleet = Fleet::up("doctor-bad");
    fleet.set("homeserver", "version", "\"2\"");
    fleet.rebuild_by_hand("homeserver", "test");
    fleet.host("vps", "systemd-run -q --unit=broken false; until systemctl -q is-failed broken; do :; done");
    fleet.host("vps", "mkdir -p /run/systemd/shutdown; printf 'MODE=reboot\\n' >/run/systemd/shutdown/scheduled");
    let asked = fleet.query(&["doctor", "homelab"]);
    let answer = answer(&asked.lines);
    assert_eq!(asked.status, Some(1));
    let blockers = ["vps", "homeserver"].map(|host| found(answer, host, "blocker"));
    assert_eq!(blockers[0], ["a reboot is scheduled"]);
    assert!(blockers[1][0].starts_with("a reboot would not bring back what runs"), "{blockers:?}");
    assert_eq!(found(answer, "vps", "warning"), ["units that failed: broken.service"]);

    fleet.change(&["vps"]);
    fleet.set("homeserver", "version", "\"3\"");
    let pushed = fleet.push(&["homelab"]);
    pushed.assert_ended(1, Outcome::Refused);
    let refused = pushed.lines.iter().filter_map(|line| match &line.event {
        Event::Failed { host: Some(_), text, .. } => Some(text.to_string()),
        _ => None,
    });
    assert_eq!(refused.collect::<Vec<_>>(), blockers.concat());
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_login_that_is_no_root_and_one_that_is_none_have_their_mend() {
    let fleet = Fleet::up("doctor-login");
    fleet.write_inventory(&Inventory {
        defaults: "user: admin",
        hosts: &[("homeserver", "user: nobody-there")],
        ..Inventory::default()
    });
    let asked = fleet.query(&["doctor", "homelab"]);
    assert_eq!(asked.status, Some(1));
    let answer = answer(&asked.lines);
    let mend = |host: usize| answer["hosts"][host]["findings"][0]["mend"].as_str().unwrap().to_owned();
    assert!(found(answer, "vps", "blocker")[0].contains("sudo wants a password"), "{answer}");
    assert!(mend(0).contains("security.sudo.wheelNeedsPassword = false;"), "{}", mend(0));
    assert!(mend(1).contains("users.users.nobody-there.openssh.authorizedKeys.keys"), "{}", mend(1));
    fleet.assert_untouched();
}

/// A host that trusts the key, and not the login: where a push commits there is no blocker, and signing comes before
/// `trusted-users`, which is root by another name.
#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_login_that_nobody_trusts_needs_a_signature_and_is_pushed_to_with_one() {
    let fleet = Fleet::made("signed", &Setup { hosts: &["vps"], ..Setup::default() });
    let inventory = Inventory { defaults: "user: deploy", checks: "[]", ..Inventory::default() };
    fleet.write_inventory(&inventory);
    let trust = |keys: &str| {
        let settings = "sed 's/^trusted-users.*/trusted-users = root/' /etc/static/nix/nix.conf";
        let script = format!(
            "rm -f /etc/nix/nix.conf; {{ {settings}; echo 'trusted-public-keys = {keys}'; }} >/etc/nix/nix.conf
            systemctl stop nix-daemon.socket nix-daemon.service; systemctl start nix-daemon.socket"
        );
        fleet.host("vps", &script);
    };
    let judged = || {
        let asked = fleet.query(&["doctor", "homelab"]);
        let all = answer(&asked.lines)["hosts"][0]["findings"].as_array().unwrap().clone();
        let codes = [
            "login-not-trusted",
            "only-new-signed",
            "only-signed-elsewhere",
            "signature-trusted",
            "signature-unread",
            "copy-taken",
        ];
        let about = |finding: &&Value| codes.contains(&finding["code"].as_str().unwrap());
        let found: Vec<Value> = all.iter().filter(about).cloned().collect();
        assert_eq!(found.len(), 1, "{all:#?}");
        let text = |key: &str| found[0][key].as_str().unwrap_or_default().to_owned();
        (asked.status, text("severity"), text("what"), text("mend"))
    };

    trust("");
    let (status, severity, what, mend) = judged();
    assert_eq!((status, severity.as_str()), (Some(1), "blocker"), "{what}");
    assert!(mend.starts_with("sign what is built here"), "{mend}");

    // What somebody else has built and signed, and the workstation has fetched, the host takes: that a push sees.
    fleet.ws("nix key generate-secret --key-name ci-1 >/root/ci; cp /etc/nix/nix.conf /root/aside");
    let ci = fleet.ws("nix key convert-secret-to-public </root/ci").trim().to_owned();
    fleet.ws(&format!("echo 'extra-trusted-public-keys = {ci}' >>/etc/nix/nix.conf"));
    trust(&ci);
    assert_eq!(judged().1, "blocker", "it fetches nothing");
    fleet.ws("echo 'substituters = file:///root/ci-cache' >>/etc/nix/nix.conf");
    // Both sides trust the key, and nothing was ever signed by it: what is built here is refused.
    let (status, severity, what, _) = judged();
    assert_eq!((status, severity.as_str()), (Some(1), "blocker"), "{what}");
    fleet.change(&["vps"]);
    let pushed = fleet.push(&["homelab"]);
    pushed.assert_ended(1, Outcome::Refused);
    assert_eq!(failed(&pushed, "copy-untrusted"), ["vps"]);
    // What vps runs was not built here, but fetched.
    let current = fleet.host("vps", "readlink /run/current-system").trim().to_owned();
    fleet.ws(&format!(
        "nix-store --dump-db {current} | nix-store --load-db; nix store sign --key-file /root/ci {current}"
    ));
    let (status, severity, what, _) = judged();
    assert_eq!((status, severity.as_str()), (Some(0), "warning"), "{what}");
    assert!(what.contains("signs as ci-1"), "{what}");
    fleet.ws("cp /root/aside /etc/nix/nix.conf");
    trust("");

    fleet.ws("nix key generate-secret --key-name laptop-1 >/root/key");
    fleet.ws("echo 'secret-key-files = /root/key' >>/etc/nix/nix.conf");
    let key = fleet.ws("nix key convert-secret-to-public </root/key").trim().to_owned();
    let (_, severity, what, mend) = judged();
    assert_eq!(severity, "blocker", "{what}");
    assert!(mend.starts_with(&format!("nix.settings.trusted-public-keys = [ \"{key}\" ];")), "{mend}");

    trust(&key);
    // What was built before there was a key has no signature, and is not built again.
    let (status, severity, what, mend) = judged();
    assert_eq!((status, severity.as_str()), (Some(0), "warning"), "{what}");
    assert!(what.contains("signed by laptop-1") && what.contains("not all that was built"), "{what}");
    let pushed = fleet.push(&["homelab"]);
    pushed.assert_ended(1, Outcome::Refused);
    assert_eq!(failed(&pushed, "copy-untrusted"), ["vps"]);
    fleet.assert_untouched();
    // As it says.
    let by_hand = "nix store sign --all --key-file /root/key";
    assert!(mend.contains(&format!("`{by_hand}`")), "{mend}");
    fleet.ws(by_hand);
    let (status, severity, what, _) = judged();
    assert_eq!((status, severity.as_str()), (Some(0), "fine"), "{what}");
    fleet.push(&["homelab"]).assert_ended(0, Outcome::Committed);
    fleet.assert_on_new(&["vps"]);
    // And what is built since there is one has a signature.
    fleet.set("vps", "version", "\"3\"");
    fleet.push(&["homelab"]).assert_ended(0, Outcome::Committed);
    // The new systems bring settings of their own.
    trust(&key);
    assert_eq!(judged().1, "fine");

    // The host has a key of that name, and another one has signed: the name tells nothing.
    fleet.ws("nix key generate-secret --key-name laptop-1 >/root/anew");
    trust(fleet.ws("nix key convert-secret-to-public </root/anew").trim());
    assert_eq!(judged().1, "blocker");
    fleet.ws("mv /root/key /root/hidden");
    let (_, severity, what, _) = judged();
    assert_eq!(severity, "warning");
    assert!(what.contains("cannot be seen"), "{what}");
    trust(&key);
    assert_eq!(judged().1, "fine", "known by what it has signed");
}
