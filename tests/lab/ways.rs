//! How hosts are reached, and what is run around a push on the workstation: the settings of an inventory that only a
//! whole push can prove.

use fleetdeploy::event::{Event, HostOutcome, Outcome};
use pretty_assertions::assert_eq;

use crate::fleet::{Fleet, Setup};
use crate::inventory::Inventory;

const ALL: [&str; 3] = ["vps", "homeserver", "web"];

/// The vps is looked for where it is not, first; the home server is behind it, and web behind the home server, with a
/// port and a key of its own.
const HOSTS: &str = "\
defaults: {user: root, guard: 2m, boot_time: 40s, limits: {connect: 15s, step: 10s, test: 20s, switch: 15s, rollback: \
20s}}
hosts:
  vps:
    addresses: [198.51.100.99, 198.51.100.10]
    vpn: 10.100.0.1
  homeserver:
    address: 10.100.0.2
    vpn: 10.100.0.2
    jump: vps
    nix: {compress: true, substitute_on_destination: true}
  web:
    address: 10.100.0.3
    vpn: 10.100.0.3
    port: 2222
    identity: keys/web
    jump: homeserver
fleets:
  homelab: {hosts: all, flake: ., settle: 20s, steady: 0s}
";

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_host_behind_two_jumps_and_one_that_is_elsewhere_are_pushed_like_any_other() {
    let mut fleet = Fleet::made("ways", &Setup { hosts: &ALL, ..Setup::default() });
    fleet.set("web", "ssh_port", "2222");
    assert!(fleet.rebuild_by_hand("web", "switch").status.success());
    fleet.look();
    fleet.write("inventory.yaml", HOSTS);
    // Its host key is known at port 22.
    let key = fleet.ws("mkdir keys && ssh-keygen -q -t ed25519 -N '' -f keys/web && cat keys/web.pub && \
         known=$(sed -n 's/^.*,10\\.100\\.0\\.3 /[10.100.0.3]:2222 /p' ~/.ssh/known_hosts) && echo \"$known\" \
         >>~/.ssh/known_hosts");
    fleet.host("web", &format!("mkdir -p /root/.ssh && echo '{}' >>/root/.ssh/authorized_keys", key.trim()));
    fleet.change(&ALL);
    let before = ALL.map(|host| fleet.logins(host).connections);
    let pushed = fleet.push(&["homelab"]);
    pushed.assert_ended(0, Outcome::Committed);
    assert!(ALL.iter().all(|host| *pushed.host(host) == HostOutcome::Committed));
    let chosen: Vec<(&str, &str)> = pushed
        .events()
        .filter_map(|event| match event {
            Event::AddressChosen { host, address } => Some((host.as_str(), address.as_str())),
            _ => None,
        })
        .collect();
    assert_eq!(chosen, [("vps", "198.51.100.10")]);
    for host in ALL {
        assert_eq!(fleet.standing(host), fleet.before(host).moved_to(&fleet.system(host)));
    }
    // Whoever is a jump for two others is still logged into once, once more beside the baseline, once to verify, and
    // once to show that it still forwards.
    let after = ALL.map(|host| fleet.logins(host).connections);
    assert_eq!([0, 1, 2].map(|host| after[host] - before[host]), [4, 4, 3]);
    let fingerprint = fleet.ws("ssh-keygen -lf keys/web.pub | cut -d' ' -f2");
    let accepted = fleet.host("web", "journalctl -q -o cat -t sshd -t sshd-session | grep '^Accepted publickey'");
    assert_eq!(accepted.matches(fingerprint.trim()).count(), 3, "{accepted}");
    // The same way for what only asks.
    let checked = fleet.plain(&["check", "homelab"]);
    assert_eq!(checked.status, Some(0), "{}{}", checked.stdout, checked.stderr);
}

/// NixOS' `programs.ssh.knownHosts` writes keys without the port, and ssh takes them so.
#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_host_at_a_name_and_another_port_whose_key_is_known_by_its_name_alone_is_pushed() {
    let mut fleet = Fleet::made("bare-name", &Setup { hosts: &["web"], ..Setup::default() });
    fleet.set("web", "ssh_port", "2222");
    assert!(fleet.rebuild_by_hand("web", "switch").status.success());
    fleet.look();
    fleet.ws("echo 198.51.100.30 web.example >>/etc/hosts; \
              sed -n 's/^198.51.100.30,[^ ]* /web.example /p' ~/.ssh/known_hosts >/root/known; \
              test -s /root/known; mv /root/known ~/.ssh/known_hosts");
    let inventory = Inventory { checks: "[]", ..Inventory::default() };
    let text = inventory.text(&["web"]).replace("address: 198.51.100.30", "address: web.example\n    port: 2222");
    fleet.write("inventory.yaml", &text.replace("checks:\n      []", "checks: []"));
    fleet.change(&["web"]);
    let pushed = fleet.push(&["homelab"]);
    pushed.assert_ended(0, Outcome::Committed);
    assert_eq!(fleet.boots("web"), 1);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn hooks_know_the_push_and_one_that_fails_before_it_refuses_it() {
    let fleet = Fleet::up("hooks");
    let tell = |file: &str| format!("env | grep ^FLEETDEPLOY_ | sort >/root/{file}");
    let hooks = |before: &str| {
        format!(
            "flake: .\nhooks:\n  before:\n    - {before}\n  after_commit:\n    - {}\n  after_abort:\n    - {}",
            tell("committed"),
            tell("aborted")
        )
    };
    let write = |before: &str| fleet.write_inventory(&Inventory { source: &hooks(before), ..Inventory::default() });
    let told = |file: &str| fleet.ws(&format!("cat /root/{file} 2>/dev/null; rm -f /root/{file}"));
    let says = |told: &str, wanted: &[&str]| {
        for line in wanted {
            assert!(told.lines().any(|one| one == *line), "{line} is not in:\n{told}");
        }
    };

    write("\"echo no >&2; exit 3\"");
    fleet.change(&["vps"]);
    let refused = fleet.push(&["homelab"]);
    refused.assert_ended(1, Outcome::Refused);
    refused.assert_says(None, &["exited with status 3"]);
    fleet.assert_untouched();
    says(&told("aborted"), &["FLEETDEPLOY_OUTCOME=refused", "FLEETDEPLOY_EXIT=1", "FLEETDEPLOY_PHASE=after_abort"]);

    write(&tell("begun"));
    let pushed = fleet.push(&["homelab", "--on", "vps"]);
    pushed.assert_ended(0, Outcome::Committed);
    let run = pushed.lines[0].run.clone().unwrap();
    let of_push = [
        "FLEETDEPLOY_FLEET=homelab",
        "FLEETDEPLOY_HOSTS=vps",
        "FLEETDEPLOY_INVENTORY=/root/fleet/inventory.yaml",
        &format!("FLEETDEPLOY_RUN={run}"),
    ];
    let begun = told("begun");
    says(&begun, &of_push);
    says(&begun, &["FLEETDEPLOY_PHASE=before"]);
    let committed = told("committed");
    says(&committed, &of_push);
    says(&committed, &["FLEETDEPLOY_OUTCOME=committed", "FLEETDEPLOY_EXIT=0", "FLEETDEPLOY_PHASE=after_commit"]);

    fleet.set("vps", "version", "\"3\"");
    fleet.set("vps", "activate", "\"fails\"");
    fleet.push(&["homelab"]).assert_ended(1, Outcome::RolledBack);
    says(&told("aborted"), &["FLEETDEPLOY_OUTCOME=rolled_back", "FLEETDEPLOY_HOSTS=vps homeserver"]);
    assert_eq!(told("committed"), "");
}
