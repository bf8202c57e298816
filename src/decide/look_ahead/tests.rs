use pretty_assertions::assert_eq;

use super::*;
use crate::decide::status::tests::{fleet, system, well};
use crate::decide::time::Times;
use crate::event::reason::any::AnyReason;
use crate::facts::host::Facts;
use crate::facts::links::Probe;
use crate::inventory::model::Fleet;

/// What a real Nix gives of each of `tests/look_ahead/cases.nix`; `configured.sh` beside it writes it, and the lab
/// compares both.
const CASES: &str = include_str!("../../../tests/look_ahead/configured.json");

fn cases() -> BTreeMap<String, Configured> {
    serde_json::from_str(CASES).unwrap()
}

fn usual() -> Fleet {
    fleet(
        "hosts: {vps: {user: ada, vpn: 10.100.0.1}, home: {user: ada, vpn: 10.100.0.2}}\n\
         fleets: {lab: {flake: ., hosts: all}}\n",
    )
}

fn facts() -> Facts {
    Facts { ssh_port: Some(22), free_boot: Some(100 << 20), crypto_devices: Vec::new(), ..well().facts }
}

fn link(required: bool) -> Link {
    let probe = Probe::Ping { address: "10.100.0.2".into() };
    Link {
        check: "vpn".into(),
        from: Place::Host(HostName::new("vps").unwrap()),
        to: "home".into(),
        to_host: Some(HostName::new("home").unwrap()),
        probe: probe.clone(),
        probe_after: probe,
        required,
        timeout: std::time::Duration::from_secs(5),
        left_out: None,
        shared: false,
    }
}

/// Judges the first host of the fleet, on which a tunnel is up now.
fn judged(fleet: &Fleet, facts: &Facts, links: &[Link], configured: &Configured) -> Vec<Finding> {
    let (host, new) = (&fleet.hosts[0], system('b', "2"));
    let times = Times::of(host, fleet.settle, fleet.steady());
    let view = Surveyed { host, selected: true, facts, new: Some(&new), times };
    let mut now = Round::default();
    let interface = crate::facts::host::WireguardInterface {
        name: "wg0".into(),
        index: 3,
        settings: String::new(),
        port: 51820,
        peers: Vec::new(),
    };
    now.hosts.entry(host.name.clone()).or_default().wireguard.push(interface);
    let known = BTreeMap::from([(host.name.clone(), configured.clone())]);
    judge(&[view], links, &now, &known)
}

fn codes(found: &[Finding]) -> Vec<&str> {
    found.iter().filter_map(|finding| finding.text.code()).collect()
}

#[test]
fn each_case_brings_its_own_warning_and_no_other() {
    let (fleet, facts) = (usual(), facts());
    let cases = cases();
    assert!(cases.len() > 80, "{}", cases.len());
    let mut told = BTreeSet::new();
    for (case, configured) in &cases {
        let found = judged(&fleet, &facts, &[link(true)], configured);
        let expected: Vec<&str> = case.split(':').next().into_iter().filter(|code| *code != "none").collect();
        assert_eq!(
            codes(&found),
            expected,
            "{case}: {:?}",
            found.iter().map(|one| one.text.to_string()).collect::<Vec<_>>()
        );
        told.extend(expected);
        crate::codes::keep_judged(found.into_iter().map(|finding| finding.text));
    }
    // The one that is left is about root.
    let all: BTreeSet<&str> = <LookAhead as strum::VariantNames>::VARIANTS.iter().copied().collect();
    assert_eq!(all.difference(&told).copied().collect::<Vec<_>>(), ["root-login-off"]);
}

#[test]
fn every_warning_names_its_option_and_has_a_mend() {
    let (fleet, facts) = (usual(), facts());
    for (case, configured) in cases() {
        for finding in judged(&fleet, &facts, &[link(true)], &configured) {
            assert_eq!(finding.weight, crate::decide::survey::Weight::Warning);
            let text: &AnyReason = &finding.text;
            assert!(text.to_string().contains('`') && text.mend().is_some(), "{case}: {text}");
        }
    }
}

fn of_fleet(text: &str, change: impl FnOnce(&mut Facts), case: &str) -> Vec<String> {
    let fleet = fleet(&format!("{text}\nfleets: {{lab: {{flake: ., hosts: all}}}}\n"));
    let mut facts = facts();
    change(&mut facts);
    let found = judged(&fleet, &facts, &[link(true)], &cases()[case]);
    crate::codes::keep_judged(found.iter().map(|finding| finding.text.clone()));
    codes(&found).into_iter().map(str::to_owned).collect()
}

#[test]
fn root_is_not_let_in_where_sshd_says_so() {
    assert_eq!(
        of_fleet("hosts: {vps: {user: root}}", |_| {}, "none: all is well"),
        ["root-login-off", "login-keys-gone"]
    );
    assert_eq!(of_fleet("hosts: {vps: }", |_| {}, "none: all is well"), Vec::<String>::new());
}

#[test]
fn a_port_that_the_push_itself_moves_is_no_warning() {
    let case = "ssh-port-gone: another port";
    let vps = "hosts: {vps: {user: ada, after: {port: 2222}}}";
    assert_eq!(of_fleet(vps, |_| {}, case), Vec::<String>::new());
    // A router in between: the inventory has its port, and the host says at which one sshd was reached.
    let routed = "hosts: {vps: {user: ada, port: 2200}}";
    assert_eq!(of_fleet(routed, |_| {}, "none: all is well"), Vec::<String>::new());
    assert_eq!(of_fleet(routed, |facts| facts.ssh_port = None, case), Vec::<String>::new());
}

#[test]
fn where_root_logs_in_or_another_program_is_used_sudo_is_no_concern() {
    let case = "root-program-off: no sudo";
    for becoming in ["'no'", "run0", "[please]"] {
        let vps = format!("hosts: {{vps: {{user: ada, become: {becoming}}}}}");
        assert_eq!(of_fleet(&vps, |_| {}, case), Vec::<String>::new(), "{becoming}");
    }
    let found = of_fleet("hosts: {vps: {user: ada, become: doas}}", |_| {}, case);
    assert_eq!(found, ["root-program-off"]);
}

#[test]
fn room_in_boot_and_disks_count_only_where_they_change_something() {
    let vps = "hosts: {vps: {user: ada}}";
    let case = "boot-room-short: all generations";
    assert_eq!(of_fleet(vps, |facts| facts.free_boot = Some(900 << 20), case), Vec::<String>::new());
    assert_eq!(of_fleet(vps, |facts| facts.free_boot = None, case), Vec::<String>::new());
    let case = "passphrase-ahead: a disk";
    assert_eq!(of_fleet(vps, |facts| facts.crypto_devices = vec!["dm-0".into()], case), Vec::<String>::new());
    let told = "hosts: {vps: {user: ada, guard_action: reboot}}";
    assert_eq!(of_fleet(told, |_| {}, case), Vec::<String>::new());
}

#[test]
fn a_peer_is_missed_only_by_a_required_link_to_an_address_of_the_tunnel() {
    let case = &cases()["vpn-peer-gone: no peer"];
    let (fleet, facts) = (usual(), facts());
    assert_eq!(codes(&judged(&fleet, &facts, &[link(false)], case)), Vec::<&str>::new());
    let mut elsewhere = link(true);
    elsewhere.probe_after = Probe::Ping { address: "192.168.1.2".into() };
    assert_eq!(codes(&judged(&fleet, &facts, &[elsewhere], case)), Vec::<&str>::new());
    // Two links to one host are one warning.
    assert_eq!(codes(&judged(&fleet, &facts, &[link(true), link(true)], case)), ["vpn-peer-gone"]);
}

#[test]
fn tailscale_that_goes_is_missed_by_its_address() {
    let mut configured = cases()["vpn-address-gone: the tunnel is gone"].clone();
    configured.vpn.known = false;
    let fleet = fleet("hosts: {vps: {user: ada, vpn: 100.101.2.3}}\nfleets: {lab: {flake: ., hosts: all}}\n");
    let found = judged(&fleet, &facts(), &[], &configured);
    assert!(found[0].text.to_string().contains("`services.tailscale.enable`"), "{}", found[0].text);
    assert_eq!(found[0].text.mend().as_deref(), Some("services.tailscale.enable = true;"));
    configured.vpn.tailscale = None;
    assert_eq!(codes(&judged(&fleet, &facts(), &[], &configured)), Vec::<&str>::new());
}

#[test]
fn what_could_not_be_seen_blocks_nothing_and_warns_only_where_a_push_would_be_refused() {
    use crate::decide::doctor::{DoctorFinding, Severity};
    use crate::event::reason::look_ahead::NotSeenAhead;
    let not_evaluated = NotSeenAhead::ConfigurationNotEvaluated { said: "error: syntax error".into() };
    let all = [NotSeenAhead::ConfigurationNotAwaited, not_evaluated];
    let found = all.clone().map(DoctorFinding::not_seen_ahead);
    assert_eq!(found.each_ref().map(|one| one.severity), [Severity::Fine, Severity::Warning]);
    assert!(found[1].why().contains("refused") && found[0].mend().is_some());
    crate::codes::keep_judged(all.map(AnyReason::from));
}
