//! What a push would do, told beforehand.

use fleetdeploy::event::{Event, Outcome};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::fleet::Fleet;
use crate::inventory::Inventory;
use crate::pushed::Pushed;
use crate::wait::{seconds, until};

const BOTH: [&str; 2] = ["vps", "homeserver"];

fn answer(planned: &Pushed) -> Value {
    let answers: Vec<&Value> = planned
        .events()
        .filter_map(|event| match event {
            Event::Answer { answer } => Some(answer),
            _ => None,
        })
        .collect();
    assert_eq!(answers.len(), 1, "a query has one answer");
    answers[0].clone()
}

fn packages(host: &Value) -> Vec<&str> {
    host["packages"].as_array().unwrap().iter().map(|change| change["package"].as_str().unwrap()).collect()
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_plan_tells_order_packages_and_reboots_and_copies_nothing() {
    let fleet = Fleet::up("plan");
    fleet.change(&BOTH);
    fleet.set("vps", "kernel", "\"6.13\"");
    let planned = fleet.run_json(&["plan", "homelab"]);
    planned.assert_ended(0, Outcome::Planned);
    let told = answer(&planned);
    let [vps, homeserver] = [&told["hosts"][0], &told["hosts"][1]];
    assert_eq!(vps["reboot_for"], json!(["kernel", "initrd", "kernel modules"]));
    assert_eq!(homeserver["reboot_for"], json!([]));
    assert_eq!(packages(vps), ["app", "initrd-linux", "linux", "nixos-system-vps"]);
    assert_eq!((&told["order"], &told["armed_first"].is_string()), (&json!([["homeserver"], ["vps"]]), &true));
    assert_eq!(told["links"].as_array().unwrap().len(), 4);
    assert_eq!(told["phases"].as_array().unwrap().len(), 11);
    assert!(homeserver.get("units").is_none());
    assert_eq!((&vps["generation"], &homeserver["behind"]), (&json!(1), &json!("vps")));
    assert_eq!(told["waves"], json!([]));
    let waves = answer(&fleet.run_json(&["plan", "homelab", "--canary", "homeserver"]));
    assert_eq!(waves["waves"], json!([["homeserver"], ["vps"]]));
    // Nothing was measured yet, and both have systems that were made here.
    let copies = told["copies"]["each"].as_array().unwrap();
    assert!(copies.len() == 2 && copies.iter().all(|copy| copy["bytes"].as_u64() > Some(0)), "{copies:?}");
    assert!(copies.iter().all(|copy| copy.get("about_ms").is_none()), "{copies:?}");
    fleet.assert_untouched();
    let new = fleet.system("vps");
    assert_eq!(fleet.host("vps", &format!("[ -e {new} ] || echo absent")), "absent\n");
    // The page of a person is the whole of stdout.
    let page = fleet.plain(&["push", "homelab", "--dry-run"]);
    assert!(page.stdout.starts_with("homelab: 2 of 2 hosts would change\n"), "{}", page.stdout);
    assert!(page.stdout.ends_with("nothing was touched, and nothing copied\n"), "{}", page.stdout);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_plan_runs_no_command_of_the_inventory_and_says_so() {
    let fleet = Fleet::up("plan-commands");
    let checks = "- vpn: mesh\n- name: words\n  command: [touch, /root/ran-words]\n  from: vps\n\
                  - name: a shell\n  command: touch /root/ran-shell\n  from: [workstation, homeserver]";
    fleet.write_inventory(&Inventory { checks, ..Inventory::default() });
    fleet.change(&BOTH);
    let look = "ls /root/ran-* 2>/dev/null || true";
    let ran = || (fleet.ws(look), fleet.host("vps", look), fleet.host("homeserver", look));
    for words in [["plan", "homelab"].as_slice(), &["push", "homelab", "--dry-run"]] {
        let told = answer(&fleet.run_json(words));
        let expected = json!([
            {"check": "words", "from": "vps", "required": true},
            {"check": "a shell", "required": true},
            {"check": "a shell", "from": "homeserver", "required": true},
        ]);
        assert_eq!(told["not_run"], expected, "{words:?}");
        assert_eq!(told["links"].as_array().unwrap().len(), 4);
        let page = fleet.plain(words).stdout;
        assert!(page.contains("not run") && page.contains("a shell: on the workstation, homeserver"), "{page}");
    }
    assert_eq!(ran(), (String::new(), String::new(), String::new()));
    // They are there for who asks for them.
    fleet.plain(&["check", "homelab"]);
    let file = |name: &str| format!("/root/ran-{name}\n");
    assert_eq!(ran(), (file("shell"), file("words"), file("shell")));
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn what_is_not_in_the_workstations_store_is_asked_of_the_host_or_said_to_be_unknown() {
    let fleet = Fleet::up("plan-far");
    fleet.change(&BOTH);
    // The old systems are on the hosts alone, but for what the new ones share with them.
    for host in BOTH {
        let old = &fleet.before(host).current;
        fleet.ws(&format!("! [ -e {old} ] || nix-store --delete --ignore-liveness {old}"));
    }
    fleet.copy_by_hand("vps");
    let told = answer(&fleet.run_json(&["plan", "homelab"]));
    let [vps, homeserver] = [&told["hosts"][0], &told["hosts"][1]];
    assert_eq!((packages(vps), &vps["reboot_for"]), (vec!["app", "nixos-system-vps"], &json!([])));
    assert_eq!((homeserver.get("packages"), &homeserver["reboot_for"]), (None, &json!([])));
    let not_known = told["not_known"].to_string();
    assert!(not_known.contains("which packages change on homeserver:"), "{not_known}");
    let differing = fleet.plain(&["diff", "homelab"]);
    assert_eq!(differing.status, Some(0));
    assert_eq!(
        differing.stdout,
        "vps: one package changes\n  app 1 -> 2\nhomeserver: which packages change is not known before it is copied\n"
    );
    fleet.assert_untouched();
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn units_are_asked_of_the_new_systems_and_nothing_is_left_of_that() {
    let fleet = Fleet::up("plan-units");
    fleet.change(&BOTH);
    let planned = fleet.run_json(&["plan", "homelab", "--units"]);
    planned.assert_ended(0, Outcome::Planned);
    planned.assert_says(None, &["--units copies the new systems", "nothing is changed"]);
    let told = answer(&planned);
    let units = &told["hosts"][0]["units"];
    assert_eq!((&units["stop"], &units["start"]), (&json!(["app.service"]), &json!(["app.service"])), "{units}");
    fleet.assert_untouched();
    // A host that somebody switches just now is not asked, so as not to be in the way of that.
    let lock = "/run/nixos/switch-to-configuration.lock";
    let mut switching = fleet.begin("vps", &format!("flock {lock} sleep 60"), &[]);
    until(seconds(20), "the lock is held", || {
        (fleet.host("vps", &format!("flock -n {lock} true || echo held")) == "held\n").then_some(())
    });
    let refused = fleet.run_json(&["plan", "homelab", "--units"]);
    refused.assert_ended(1, Outcome::Refused);
    assert!(answer(&refused)["refused"].is_string());
    switching.kill().unwrap();
    switching.wait().unwrap();
}
