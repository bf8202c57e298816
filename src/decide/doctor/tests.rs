use pretty_assertions::assert_eq;

use super::Severity::{Blocker, Warning};
use super::*;
use crate::decide::status::tests::{fleet, system, well};
use crate::event::reason::Worded;
use crate::event::reason::command_end::OpenRun;
use crate::event::reason::record_fault::RecordFault;
use crate::event::reason::unlinked::Unlinked;
use crate::event::reason::workstation::FolderObstacle;
use crate::facts::host::{GuardState, Lease};
use crate::facts::systems::{BootFiles, NextBoot, Systems};
use crate::facts::units::{UnitNow, UnitState};

const LAB: &str = "
hosts:
  vps: {vpn: 10.100.0.1}
  nas: {vpn: 10.100.0.2, jump: vps}
fleets:
  lab:
    flake: .
    hosts: all
    checks:
      - vpn: mesh
      - http: http://vps/
        from: vps
        required: false
";

/// Nothing to find fault with.
fn healthy() -> Examined {
    Examined {
        condition: well(),
        login: "deploy".into(),
        addresses: ["127.0.0.1", "10.100.0.1"].map(String::from).to_vec(),
        programs: ["bash", "curl", "getent", "ip", "nix-daemon", "ping", "wg"].map(String::from).into(),
        sshd: [("maxsessions", "10"), ("allowtcpforwarding", "yes")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
        now: Some(1_795_364_100),
        clock_ahead: Some(0),
        trusted_keys: vec!["cache.example.org-1:abc=".into()],
        silent_caches: Vec::new(),
        fleet_cache: None,
    }
}

fn found(examined: &Examined, copying: &Copying) -> Vec<DoctorFinding> {
    found_in(&fleet(LAB), examined, copying)
}

/// Of the first host, while the others do not answer.
fn found_in(fleet: &Fleet, examined: &Examined, copying: &Copying) -> Vec<DoctorFinding> {
    let visit = Visit { host: &fleet.hosts[0], examined, copying: Some(copying) };
    let silent = fleet.hosts[1..].iter().map(|host| host.name.clone()).collect();
    judged(fleet, &[visit], &silent).hosts.remove(&fleet.hosts[0].name).unwrap()
}

fn judged(fleet: &Fleet, visits: &[Visit<'_>], silent: &BTreeSet<HostName>) -> FleetFindings {
    let found = of_hosts(fleet, visits, silent, &Waves::default()).sorted();
    let all = found.hosts.values().flatten().chain(&found.fleet);
    crate::codes::keep_judged(all.map(|finding| finding.what.clone()));
    found
}

#[test]
fn a_host_that_is_well_is_fine_in_everything() {
    let findings = found(&healthy(), &Copying::Trusted);
    assert_eq!(findings.iter().find(|finding| finding.severity != Severity::Fine), None);
    assert!(findings.len() >= 14, "{findings:#?}");
    assert!(findings.iter().all(|finding| finding.why().is_empty() && finding.mend().is_none()));
}

/// What was changed, and then: how it weighs, the beginning of what is said, a part of the mend.
type Case = (fn(&mut Examined), Severity, &'static str, &'static str);

const CASES: &[Case] = &[
    (
        |host| host.condition.facts.standing.systems.current = system('b', "2"),
        Blocker,
        "a reboot would not bring back what runs",
        "nixos-rebuild switch",
    ),
    (
        |host| host.condition.facts.standing.loader = BootLoader::Unknown,
        Blocker,
        "its boot loader is not one",
        "guard_action: switch-back",
    ),
    (
        |host| host.condition.facts.standing.systems.boot_default = Systems::not_known(),
        Blocker,
        "what a reboot would bring cannot be told from its systemd-boot",
        "nixos-rebuild boot",
    ),
    (
        |host| host.condition.facts.boot_missing = Some("/boot is not mounted".into()),
        Blocker,
        "/boot is not mounted",
        "mount it there",
    ),
    (
        |host| {
            let next = NextBoot { entry: "windows.conf".into(), system: None };
            host.condition.facts.standing.next_boot = Some(next);
        },
        Blocker,
        "somebody has set its next boot, for once",
        "bootctl set-oneshot",
    ),
    (
        |host| host.condition.facts.boot_files = Some(BootFiles::Bad { why: "the kernel is missing".into() }),
        Blocker,
        "a reboot would not start what it boots: the kernel is missing",
        "switch-to-configuration boot",
    ),
    (
        |host| host.condition.facts.crypto_devices = vec!["root (CRYPT-LUKS2)".into()],
        Blocker,
        "one of its disks is encrypted",
        "guard_action: switch-back",
    ),
    (
        |host| host.condition.facts.standing.guard = GuardState::Armed { run: "r-1".into(), deadline: 90_000 },
        Blocker,
        "a guard of run r-1 is armed",
        "fleetdeploy recover lab",
    ),
    (
        |host| {
            let lease = Lease { run: "r-1".into(), epoch: 1, owner: "ada@laptop".into() };
            host.condition.facts.standing.lease = Some(lease);
        },
        Blocker,
        "is held by run r-1 of ada@laptop",
        "fleetdeploy recover lab",
    ),
    (|host| host.condition.facts.survivors = vec!["r-1".into()], Warning, "run r-1 did not come to its end", ""),
    (|host| host.condition.facts.traces = vec!["fired\nx".into()], Warning, "a guard has fired here: fired", "recover"),
    (
        |host| host.condition.facts.lacks_bash = true,
        Blocker,
        "has no bash: its links and units could not be looked at",
        "pkgs.bashInteractive",
    ),
    (
        |host| host.condition.facts.busy = vec!["a switch is under way".into()],
        Blocker,
        "a switch is under way",
        "let it finish",
    ),
    (|host| host.condition.facts.notes = vec!["it is kept".into()], Warning, "it is kept", ""),
    (|host| host.condition.facts.nix_version = "nix-2.13.6".into(), Warning, "its nix-2.13.6 is older", "nix.package"),
    (|host| host.condition.facts.nix_version = String::new(), Warning, "which Nix it has", "nix --version"),
    (
        |host| host.condition.facts.systemd_version = "systemd 249 (249.11)".into(),
        Warning,
        "its systemd 249 (249.11) is older than 252",
        "update",
    ),
    (|host| host.condition.spaces[2].free = 30 << 20, Warning, "30 MiB of 600 are free on /boot", "configurationLimit"),
    (|host| host.condition.spaces[2].free = 0, Warning, "0 MiB of 600 are free on /boot", "configurationLimit"),
    (|host| host.condition.spaces[1].free = 9 << 20, Warning, "9 MiB of 20480 are free on /nix/store", "nix.gc"),
    (|host| host.condition.spaces[1].free = 0, Blocker, "0 MiB of 20480 are free on /nix/store", "nix.gc"),
    (|host| host.clock_ahead = Some(31), Warning, "its clock is 31 s ahead of", "timesyncd"),
    (|host| host.clock_ahead = Some(-3600), Warning, "its clock is 3600 s behind", "timesyncd"),
    (|host| _ = host.addresses.pop(), Warning, "has no interface with its VPN address 10.100.0.1", "wireguard"),
    (|host| _ = host.programs.remove("ping"), Warning, "has no `ping`, which its checks need: vpn", "pkgs.iputils"),
    (|host| _ = host.programs.remove("curl"), Warning, "has no `curl`, which its checks need", "pkgs.curl"),
    (|host| _ = host.programs.remove("wg"), Warning, "has no `wg`", "pkgs.wireguard-tools"),
    (
        |host| _ = host.sshd.insert("maxsessions".into(), "2".into()),
        Warning,
        "its sshd takes 2 sessions",
        "services.openssh.settings.MaxSessions = 10;",
    ),
    (
        |host| _ = host.sshd.insert("allowtcpforwarding".into(), "no".into()),
        Warning,
        "its sshd forwards nothing",
        "AllowTcpForwarding",
    ),
    (
        |host| _ = host.sshd.insert("disableforwarding".into(), "yes".into()),
        Warning,
        "its sshd forwards nothing",
        "DisableForwarding = false;",
    ),
    (
        |host| _ = host.condition.facts.standing.failed_units.insert("a.service".into()),
        Warning,
        "units that failed: a.service",
        "journalctl -n 50 --unit=a.service",
    ),
];

#[test]
fn everything_that_could_stop_a_push_is_found_and_has_its_mend() {
    for (change, severity, what, mend) in CASES {
        let mut host = healthy();
        change(&mut host);
        let findings = found(&host, &Copying::Trusted);
        let bad: Vec<&DoctorFinding> =
            findings.iter().take_while(|finding| finding.severity != Severity::Fine).collect();
        assert_eq!(bad.len(), 1, "{what}: {bad:#?}");
        assert_eq!(bad[0].severity, *severity, "{what}");
        assert!(bad[0].what.to_string().starts_with(what), "{what}: {}", bad[0].what);
        assert!(!bad[0].why().is_empty(), "{what}");
        assert!(bad[0].mend().unwrap_or_default().contains(mend), "{what}: {:?}", bad[0].mend());
    }
}

#[test]
fn a_login_s_name_stays_a_text_in_what_is_to_be_pasted() {
    let host = Examined { login: "a\" ]; x = ${y}\\".into(), ..healthy() };
    let mend = found(&host, &Copying::Untrusted { key: None }).remove(0).mend().unwrap();
    assert!(mend.ends_with(r#"nix.settings.trusted-users = [ "root" "a\" ]; x = \${y}\\" ];"#), "{mend}");
}

#[test]
fn an_address_is_the_same_however_it_is_written() {
    let fleet = fleet(&LAB.replace("10.100.0.1", "fd00:0::1"));
    let warns_at = |address: &str| {
        let host = Examined { addresses: vec![address.into()], ..healthy() };
        let findings = found_in(&fleet, &host, &Copying::Trusted);
        findings.iter().any(|finding| finding.what.to_string().contains("no interface with its VPN address"))
    };
    assert_eq!((warns_at("fd00::1"), warns_at("fd00::2")), (false, true));
}

#[test]
fn a_binary_cache_that_does_not_answer_is_a_warning_where_a_copy_asks_there() {
    let host = Examined { silent_caches: vec!["https://cache.example.org".into()], ..healthy() };
    let warned = |text: &str| {
        let fleet = fleet(text);
        let findings = found_in(&fleet, &host, &Copying::Trusted);
        findings.iter().any(|finding| finding.what.to_string().contains("https://cache.example.org does not answer"))
    };
    assert!(!warned(LAB));
    assert!(warned(&format!("defaults: {{nix: {{substitute_on_destination: true}}}}\n{LAB}")));
}

#[test]
fn a_fleet_s_cache_that_does_not_answer_a_host_is_a_warning_and_a_blocker_where_nothing_else_brings_its_system() {
    let cache = "cache: {to: ssh-ng://vps, from: 'http://ada:word@vps:5000'}";
    let fleet = fleet(&LAB.replace("flake: .", &format!("flake: .\n    {cache}")));
    let web = fleet.hosts.iter().find(|host| host.name.as_str() != "vps").unwrap();
    let found = |host: &Host, seen: CacheSeen, copying: &Copying| {
        let examined = Examined { fleet_cache: Some(seen), ..healthy() };
        let visit = Visit { host, examined: &examined, copying: Some(copying) };
        let mut found = judged(&fleet, &[visit], &BTreeSet::new()).hosts.remove(&host.name).unwrap();
        found.retain(|finding| finding.what.to_string().contains("the fleet's cache"));
        found
    };
    let said =
        || "error: unable to download 'http://vps:5000/nix-cache-info': Could not connect to server (7)".to_owned();
    let silent = |said| CacheSeen::Silent { said };
    let by_cache = Copying::ByCache { cache: "http://vps:5000".into(), key: None };
    for (copying, severity) in [(&Copying::Trusted, Severity::Warning), (&by_cache, Severity::Blocker)] {
        let found = found(web, silent(said()), copying);
        let [finding] = &found[..] else { panic!("{found:?}") };
        let what = format!("the fleet's cache http://vps:5000 does not answer it: {}", said());
        assert_eq!((finding.severity, finding.what.to_string()), (severity, what));
        let mend = finding.mend().unwrap();
        assert!(mend.contains("`curl -m 5 http://vps:5000/nix-cache-info`"), "{mend}");
        assert!(!finding.why().is_empty());
    }
    // A push waits for longer, and tries twice.
    let late = found(web, CacheSeen::Untold { said: String::new() }, &by_cache).remove(0);
    assert_eq!(late.severity, Severity::Warning);
    assert_eq!(late.what.to_string(), "the fleet's cache http://vps:5000 does not answer it within 5 s");
    // Before the first push there is nothing yet: that is no blocker.
    assert_eq!(found(web, CacheSeen::Bare, &by_cache)[0].severity, Severity::Warning);
    for well in [CacheSeen::Lacks, CacheSeen::Has(BTreeSet::new())] {
        assert_eq!(found(web, well, &Copying::Trusted)[0].severity, Severity::Fine);
    }
    // The host that is the cache fetches nothing from itself.
    assert_eq!(found(&fleet.hosts[0], silent(said()), &Copying::Trusted), []);
}

#[test]
fn what_nix_says_of_a_copy_is_judged_by_the_login() {
    let first = |login: &str, copying: &Copying| {
        let host = Examined { login: login.into(), ..healthy() };
        let first = found(&host, copying).remove(0);
        (first.severity, first.mend())
    };
    // Signing is the first mend: to be a trusted user is to be root.
    let (severity, mend) = first("deploy", &Copying::Untrusted { key: None });
    let mend = mend.unwrap();
    assert_eq!(severity, Severity::Blocker);
    assert!(mend.starts_with("sign what is built here") && mend.contains("sign_key"), "{mend}");
    assert!(mend.ends_with("nix.settings.trusted-users = [ \"root\" \"deploy\" ];"), "{mend}");
    let key = Some("laptop-1:abc=".to_owned());
    let (severity, mend) = first("deploy", &Copying::Untrusted { key });
    assert_eq!(severity, Severity::Blocker);
    assert!(mend.unwrap().starts_with("nix.settings.trusted-public-keys = [ \"laptop-1:abc=\" ];"));
    assert_eq!(first("deploy", &Copying::Signed { key: "laptop-1".into() }), (Severity::Fine, None));
    // What is signed from now on leaves out what was built before: a push of that is refused.
    let new = Copying::NewSigned { key: "laptop-1".into(), file: "/etc/nix/key".into() };
    let (severity, mend) = first("deploy", &new);
    let mend = mend.unwrap();
    assert_eq!(severity, Severity::Warning);
    assert!(mend.contains("`nix store sign --all --key-file /etc/nix/key`"), "{mend}");
    assert!(mend.contains("`nix: {sign_key: /etc/nix/key}`"), "{mend}");
    // A push commits there as long as the cache gives.
    for key in [Some("laptop-1:abc=".to_owned()), None] {
        let by_cache = Copying::ByCache { cache: "http://vps:5000".into(), key: key.clone() };
        let (severity, mend) = first("deploy", &by_cache);
        let untrusted = first("deploy", &Copying::Untrusted { key });
        assert_eq!((severity, mend), (Severity::Warning, untrusted.1));
    }
    // Nor is it known what a cache has built.
    let elsewhere = Copying::SignedElsewhere { key: "ci-1".into() };
    assert_eq!(first("deploy", &elsewhere), (Severity::Warning, first("deploy", &Copying::Untrusted { key: None }).1));
    // What cannot be read may be a key that the host trusts, whatever has signed the last push.
    assert_eq!(first("deploy", &Copying::SignedUnread { file: "/etc/nix/key".into() }).0, Severity::Warning);
    assert_eq!(first("deploy", &Copying::NotTold).0, Severity::Warning);
    assert_eq!(first("root", &Copying::NotTold).0, Severity::Fine);
    assert_eq!(first("deploy", &Copying::NotAsked).0, Severity::Warning);
    assert_eq!(first("deploy", &Copying::Failed("no".into())).0, Severity::Blocker);
    let (severity, mend) = first("deploy", &Copying::Garbled("Welcome".into()));
    assert_eq!(severity, Severity::Blocker);
    assert!(mend.unwrap().contains("[ -t 1 ]"));
}

#[test]
fn one_machine_under_two_names_is_found() {
    let fleet = fleet(LAB);
    let (one, two) = (healthy(), healthy());
    let found = |two: &Examined| {
        let visit = |host, examined| Visit { host, examined, copying: Some(&Copying::Trusted) };
        let visits = [visit(&fleet.hosts[0], &one), visit(&fleet.hosts[1], two)];
        judged(&fleet, &visits, &BTreeSet::new()).hosts
    };
    let same = "is the same machine as vps: both have its machine id, and are on one boot";
    let of_second = &found(&two)[&fleet.hosts[1].name];
    assert_eq!((of_second[0].what.to_string().as_str(), of_second[0].severity), (same, Severity::Blocker));
    // Two containers of one machine, or a host that shows another's boot; two machines that were made from one image.
    let (mut other_machine, mut other_boot) = (healthy(), healthy());
    other_machine.condition.facts.machine_id = "1".repeat(32);
    other_boot.condition.facts.standing.boot_id = "00000000-0000-4000-8000-000000000000.17".into();
    for two in [other_machine, other_boot] {
        let found = found(&two);
        let said: Vec<String> = found.values().flatten().map(|one| one.what.to_string()).collect();
        assert!(!said.iter().any(|what| what.contains("same machine")), "{said:#?}");
    }
}

#[test]
fn an_encrypted_disk_is_fine_where_somebody_has_said_what_the_guard_does() {
    let fleet = fleet("hosts: {vps: {guard_action: switch-back}}\nfleets: {lab: {flake: ., hosts: all}}\n");
    let mut host = healthy();
    host.condition.facts.crypto_devices = vec!["root (CRYPT-LUKS2)".into()];
    let findings = found_in(&fleet, &host, &Copying::Trusted);
    let of_host = |finding: &DoctorFinding| finding.what.code().unwrap_or_default().to_owned();
    assert_eq!(findings.iter().find(|finding| finding.severity != Severity::Fine), None);
    let said: Vec<String> = findings.iter().map(of_host).collect();
    assert!(said.contains(&"encrypted-and-guarded".into()), "{said:?}");
    assert!(!said.contains(&"no-passphrase-at-boot".into()), "{said:?}");
}

#[test]
fn what_a_push_would_refuse_is_a_blocker_and_nothing_else_of_the_survey_is() {
    let fleet = fleet(LAB);
    let mut host = healthy();
    host.condition.facts.standing.systems.profile = system('c', "3");
    host.condition.facts.crypto_devices = vec!["root".into()];
    host.condition.facts.busy = vec!["a switch is under way".into()];
    let another = system('d', "4");
    let facts = &host.condition.facts;
    let view = Surveyed {
        host: &fleet.hosts[0],
        selected: true,
        facts,
        new: Some(&another),
        times: Times::of(&fleet.hosts[0], fleet.settle, fleet.steady()),
    };
    let refused: Vec<String> = preflight::judge("lab", &[view], Allowed::default(), &BTreeSet::new())
        .into_iter()
        .filter(|finding| finding.weight == Weight::Refusal)
        .map(|finding| finding.text.to_string())
        .collect();
    let blockers: Vec<String> = found(&host, &Copying::Trusted)
        .into_iter()
        .filter(|finding| finding.severity == Severity::Blocker)
        .map(|finding| finding.what.to_string())
        .collect();
    assert_eq!(refused.len(), 3);
    assert_eq!(blockers, refused);
}

#[test]
fn the_workstation_needs_nix_ssh_a_record_and_room() {
    let well = Workstation {
        nix: Nix::Works("Nix 2.26.3".into()),
        ssh: Some("OpenSSH_10.0p2".into()),
        record: Ok(("/home/ada/.local/state/fleetdeploy".into(), Some(1 << 30))),
        free_store: Some(10 << 30),
        unfinished: None,
        refused: None,
        unlinked: None,
    };
    let worst = |workstation: &Workstation| {
        let findings = of_workstation(workstation);
        crate::codes::keep_judged(findings.iter().map(|finding| finding.what.clone()));
        findings[0].severity
    };
    assert_eq!(worst(&well), Severity::Fine);
    for nix in [Nix::Missing(String::new()), Nix::TooOld("Nix 2.11".into()), Nix::Broken("no daemon".into())] {
        assert_eq!(worst(&Workstation { nix, ..well.clone() }), Severity::Blocker);
    }
    assert_eq!(worst(&Workstation { ssh: None, ..well.clone() }), Severity::Blocker);
    assert_eq!(
        worst(&Workstation { record: Err(FolderObstacle::PlaceUnknown { error: "no home".into() }), ..well.clone() }),
        Severity::Blocker
    );
    assert_eq!(worst(&Workstation { free_store: Some(1 << 20), ..well.clone() }), Severity::Warning);
    assert_eq!(worst(&Workstation { record: Ok(("/x".into(), Some(1))), ..well.clone() }), Severity::Warning);
    let unfinished = OpenRun::PushOpen { run: "r-1".into(), fleet: "lab".into() };
    assert_eq!(worst(&Workstation { unfinished: Some(unfinished), ..well.clone() }), Severity::Blocker);
    let refused = RecordFault::FleetInUse { fleet: "lab".into(), pid: None, run: None };
    assert_eq!(worst(&Workstation { refused: Some(refused), ..well.clone() }), Severity::Blocker);
    let unlinked = Unlinked::VpnAddressesMissing { fleet: "lab".into(), only: None };
    assert_eq!(worst(&Workstation { unlinked: Some(unlinked), ..well }), Severity::Warning);
}

#[test]
fn versions_are_read_out_of_whatever_stands_around_them() {
    let texts = ["nix (Nix) 2.26.3", "lix-2.91.1", "systemd 257.13", "systemd 257 (257.13-1~deb13u1)", "", "unknown"];
    assert_eq!(texts.map(version), [Some((2, 26)), Some((2, 91)), Some((257, 13)), Some((257, 0)), None, None]);
}

/// A program that reads `doctor --json` needs no English.
#[test]
fn a_finding_has_its_code_and_its_fields_beside_its_words() {
    let mut host = healthy();
    host.condition.spaces[2].free = 30 << 20;
    let found = serde_json::to_value(found(&host, &Copying::Trusted).remove(0)).unwrap();
    assert_eq!(
        found,
        serde_json::json!({
            "severity": "warning",
            "what": "30 MiB of 600 are free on /boot",
            "code": "space-scarce",
            "place": "/boot",
            "free_bytes": 30 << 20,
            "size_bytes": 600 << 20,
            "why": "a new system, its kernel or its logs may not fit",
            "mend": HostHealth::SpaceScarce { place: "/boot".into(), free_bytes: 0, size_bytes: 0 }.mend(),
        })
    );
}

#[test]
fn a_jump_whose_hosts_answer_forwards_whatever_its_settings_say() {
    let fleet = fleet(LAB);
    let mut jump = healthy();
    jump.sshd.insert("allowtcpforwarding".into(), "no".into());
    let mut behind = healthy();
    behind.condition.facts.machine_id = "1".repeat(32);
    behind.addresses = vec!["10.100.0.2".into()];
    let visit = |host, examined| Visit { host, examined, copying: Some(&Copying::Trusted) };
    let visits = [visit(&fleet.hosts[0], &jump), visit(&fleet.hosts[1], &behind)];
    let found = judged(&fleet, &visits, &BTreeSet::new());
    assert!(found.hosts.values().flatten().all(|finding| finding.severity == Severity::Fine), "{found:#?}");
}

/// A push of other hosts looks at a witness as well, and copies nothing to it.
#[test]
fn of_a_witness_only_that_counts_which_would_refuse_a_push_of_the_others() {
    let fleet = fleet(LAB);
    let mut witness = healthy();
    witness.condition.facts.machine_id = "1".repeat(32);
    witness.condition.spaces[1].free = 0;
    witness.condition.facts.busy = vec!["a switch is under way".into()];
    let one = healthy();
    let found = |witness: &Examined| {
        let visits = [
            Visit { host: &fleet.hosts[0], examined: &one, copying: Some(&Copying::Trusted) },
            Visit { host: &fleet.hosts[1], examined: witness, copying: None },
        ];
        judged(&fleet, &visits, &BTreeSet::new()).hosts
    };
    assert_eq!(found(&witness).get(&fleet.hosts[1].name), None);
    witness.condition.facts.standing.guard = GuardState::Armed { run: "r-1".into(), deadline: 90_000 };
    let told = &found(&witness)[&fleet.hosts[1].name];
    assert_eq!((told.len(), told[0].severity), (1, Severity::Blocker), "{told:#?}");
}

/// Units that made a push roll back, and that the next one would not start, refuse that one.
#[test]
fn a_unit_that_is_remembered_and_that_no_push_starts_is_a_blocker() {
    let mut host = healthy();
    host.condition.facts.remembered.insert("a.service".into(), "r-1".into());
    let failed = UnitNow {
        invocation: "0".repeat(32),
        state: UnitState::Failed,
        needed: false,
        triggered: false,
        transient: false,
        gone: false,
    };
    host.condition.facts.standing.units.insert("a.service".into(), failed);
    let found = found(&host, &Copying::Trusted).remove(0);
    assert_eq!((found.severity, found.what.code()), (Severity::Blocker, Some("unit-remembered-idle")), "{found:?}");
}
