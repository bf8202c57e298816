use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use pretty_assertions::assert_eq;
use proptest::prelude::*;

use super::standing::guard;
use super::*;
use crate::facts::fit::{Fit, Misfit, PreSwitchCheck, Renaming};
use crate::facts::host::{Facts, GuardState, JobKind, JobState, Lease, Standing, WireguardInterface, WireguardPeer};
use crate::facts::links::{Control, HeardLinks, HostRound, LinkAnswer};
use crate::facts::provenance::{Brought, Provenance, SystemOrigin};
use crate::facts::step_answer::{RefusalReason, StepAnswer, StepFailure, StepOutcome};
use crate::facts::systems::{BootFiles, BootLoader, NextBoot, Roots, Systems};
use crate::facts::units::{UnitNow, UnitState};

const OLD: &str = "/nix/store/wvp8x5b0mgv46sfwd4m96vkdsk2axis3-nixos-system-vps-25.11.1";
const NEW: &str = "/nix/store/3av74rszj8f84jawawn3y8qn5ag4207h-nixos-system-vps-25.11.2";

/// As printed by the lab's hosts.
const SURVEY: &str = "\
nixos yes
uid 0
host_name vps
machine_id 1e7e1eea20dd855201641749a2e5733d
time 1795365563
boot_id 077058b3-e942-4b82-8c31-9072edc7f5d6
current OLD
booted OLD
profile OLD
generation 1
boot_default OLD
loader systemd-boot
boot_note an EFI variable chooses the entry nixos-generation-1.conf
lease r-0 3 bob@desktop at home
guard none
failed_unit app.service
unit_now app.service 3c5f failed =nt
unit_now gone.service - moving =xg
unit_now dns.service 91aa active =
unit_now dns.service 91aa asleep =
restarts dns.service 4
uptime 2918
architecture x86_64
system_type x86_64-linux
nix_version nix-2.26.3
systemd_version systemd 257 (257.13-1~deb13u1)
kernel 6.12.1
nixos_version 25.11.1
last_generation 1
current_was_booted yes
no_bash yes
origin NEW {\"run\":\"r-0\",\"at\":1795364100,\"dirty\":true,\"by\":\"ada@laptop\"}
origin NEW whatever
free_root 532656128
free_store 532656128
free_boot 33533952
ssh_port 22
crypto root (CRYPT-LUKS2)
survivor r-0
survivor_hosts r-0 vps homeserver 
survivor_roots r-0 OLD OLD OLD 1 NEW
survivor_roots r-1 OLD - OLD - -
remembered app.service r-0
trace the guard of run r-0 fired\\nfound: nothing
busy a switch is under way
upgrade_in 600
inhibitor backup: it runs
wireguard_interface wg0 4 36f82a27 51820
wireguard_peer wg0 /mHgkAp37Y9i8OGNOgywbvmiMb+o69mw/Hp35mYmK0E= 203.0.113.20:51820 29 - 10.100.0.2/32,fd00::2/128
wireguard_peer wg0 other= - - 25 -";

fn lines(text: &str) -> Vec<(String, String)> {
    text.replace("OLD", OLD)
        .replace("NEW", NEW)
        .lines()
        .map(|line| line.split_once(' ').unwrap_or((line, "")))
        .map(|(key, value)| (key.to_owned(), value.replace("\\n", "\n")))
        .collect()
}

fn path(text: &str) -> StorePath {
    StorePath::new(text).unwrap()
}

fn unit(name: &str, invocation: &str, state: UnitState, marks: &str) -> (String, UnitNow) {
    let [needed, triggered, transient, gone] = ['n', 't', 'x', 'g'].map(|mark| marks.contains(mark));
    (name.into(), UnitNow { invocation: invocation.into(), state, needed, triggered, transient, gone })
}

fn peer(
    key: &str,
    endpoint: Option<&str>,
    age: Option<u64>,
    keepalive: Option<u64>,
    allowed: &[&str],
) -> WireguardPeer {
    WireguardPeer {
        public_key: key.into(),
        endpoint: endpoint.map(str::to_owned),
        handshake_age: age,
        keepalive,
        allowed: allowed.iter().map(|&network| network.to_owned()).collect(),
    }
}

#[test]
fn a_survey_becomes_facts() {
    let expected = Facts {
        standing: Standing {
            boot_id: "077058b3-e942-4b82-8c31-9072edc7f5d6".into(),
            uptime: 2918,
            systems: Systems::all(&path(OLD)),
            booted: path(OLD),
            generation: 1,
            loader: BootLoader::SystemdBoot,
            next_boot: None,
            guard: GuardState::None,
            lease: Some(Lease { run: "r-0".into(), epoch: 3, owner: "bob@desktop at home".into() }),
            rolling: None,
            jobs: BTreeMap::new(),
            failed_units: BTreeSet::from(["app.service".into()]),
            restarts: BTreeMap::from([("dns.service".into(), 4)]),
            units: BTreeMap::from([
                unit("app.service", "3c5f", UnitState::Failed, "nt"),
                unit("gone.service", "", UnitState::Moving, "xg"),
                unit("dns.service", "91aa", UnitState::Active, ""),
            ]),
            run_traces: None,
            fence: None,
            trial: crate::facts::trial::TrialStanding::default(),
        },
        host_name: "vps".into(),
        machine_id: "1e7e1eea20dd855201641749a2e5733d".into(),
        system_type: "x86_64-linux".into(),
        free_root: 532_656_128,
        free_store: 532_656_128,
        free_boot: Some(33_533_952),
        nix_version: "nix-2.26.3".into(),
        systemd_version: "systemd 257 (257.13-1~deb13u1)".into(),
        kernel: "6.12.1".into(),
        nixos_version: Some("25.11.1".into()),
        ssh_port: Some(22),
        crypto_devices: vec!["root (CRYPT-LUKS2)".into()],
        survivors: vec!["r-0".into()],
        survivor_hosts: BTreeMap::from([("r-0".into(), vec!["vps".into(), "homeserver".into()])]),
        survivor_roots: BTreeMap::from([
            ("r-0".into(), Roots { old: Some((Systems::all(&path(OLD)), 1)), new: Some(path(NEW)) }),
            ("r-1".into(), Roots { old: None, new: None }),
        ]),
        remembered: BTreeMap::from([("app.service".into(), "r-0".into())]),
        fences: BTreeMap::new(),
        marks: Vec::new(),
        over: BTreeSet::new(),
        switching: BTreeSet::new(),
        rolling_over: None,
        traces: vec!["the guard of run r-0 fired\nfound: nothing".into()],
        busy: vec!["a switch is under way".into(), "nixos-upgrade is due in 10 min".into()],
        boot_missing: None,
        boot_files: None,
        trial: crate::facts::trial::TrialFacts { upgrade_in: Some(600), ..crate::facts::trial::TrialFacts::default() },
        boot_note: Some("an EFI variable chooses the entry nixos-generation-1.conf".into()),
        notes: vec![
            "an EFI variable chooses the entry nixos-generation-1.conf".into(),
            "it is kept from shutting down by backup: it runs".into(),
        ],
        current_was_booted: true,
        lacks_bash: true,
        origins: vec![SystemOrigin {
            system: path(NEW),
            brought: Brought {
                run: "r-0".into(),
                at: 1_795_364_100,
                provenance: Provenance { by: "ada@laptop".into(), dirty: true, ..Provenance::default() },
            },
        }],
        wireguard: vec![WireguardInterface {
            name: "wg0".into(),
            index: 4,
            settings: "36f82a27".into(),
            port: 51820,
            peers: vec![
                peer(
                    "/mHgkAp37Y9i8OGNOgywbvmiMb+o69mw/Hp35mYmK0E=",
                    Some("203.0.113.20:51820"),
                    Some(29),
                    None,
                    &["10.100.0.2/32", "fd00::2/128"],
                ),
                peer("other=", None, None, Some(25), &[]),
            ],
        }],
    };
    assert_eq!(facts(&lines(SURVEY)), Ok(expected));
}

#[test]
fn a_host_that_is_no_nixos_or_boots_something_else_says_so() {
    assert_eq!(facts(&lines("nixos no")), Err(AnswerError::NotNixos));
    let windows = SURVEY
        .replace("boot_default OLD", "boot_default ")
        .replace("an EFI variable chooses", "the default entry is none of NixOS:");
    // An answer all the same: a host whose /boot is not mounted is not a host that is silent.
    let facts = facts(&lines(&windows)).unwrap();
    assert_eq!(facts.standing.systems, Systems { boot_default: Systems::not_known(), ..Systems::all(&path(OLD)) });
    assert_eq!(facts.standing.systems.known_boot_default(), None);
    assert!(!facts.standing.systems.agree());
    let note = "the default entry is none of NixOS: the entry nixos-generation-1.conf";
    assert_eq!(facts.boot_note.as_deref(), Some(note));
    assert_eq!(facts.notes, ["it is kept from shutting down by backup: it runs"]);
    // What says nothing of it, or nonsense, has not answered.
    for damaged in [SURVEY.replace("boot_default OLD\n", ""), SURVEY.replace("boot_default OLD", "boot_default /boot")]
    {
        assert_eq!(standing(&lines(&damaged)), Err(AnswerError::Missing("boot_default")));
    }
}

#[test]
fn what_a_reboot_would_stumble_over_is_read() {
    let read = |more: &str| facts(&lines(&format!("{SURVEY}\n{more}"))).unwrap();
    let missing = "/boot is in fstab and is not mounted";
    assert_eq!(read(&format!("boot_missing {missing}")).boot_missing.as_deref(), Some(missing));
    assert_eq!(read("boot_missing ").boot_missing, None);
    let files = |text: &str| read(&format!("boot_files {text}")).boot_files;
    assert_eq!(files("whole"), Some(BootFiles::Whole));
    assert_eq!(files("unproven it is signed"), Some(BootFiles::Unproven { why: "it is signed".into() }));
    assert_eq!(files("bad the kernel is missing"), Some(BootFiles::Bad { why: "the kernel is missing".into() }));
    assert_eq!(files("bad"), Some(BootFiles::Bad { why: String::new() }));
    assert_eq!((files("half"), read("").boot_files), (None, None));
}

/// A standing with these lines instead of `guard none` and without jobs.
fn said(extra: &str) -> StepAnswer {
    let standing = SURVEY.replace("guard none", if extra.contains("guard ") { "" } else { "guard none" });
    step_answer(&lines(&format!("{extra}\n{standing}"))).unwrap()
}

#[test]
fn every_state_of_a_guard_is_read() {
    for (text, expected) in [
        ("none", GuardState::None),
        ("armed r-1 3499", GuardState::Armed { run: "r-1".into(), deadline: 3499 }),
        ("dead r-1 3499", GuardState::Dead { run: "r-1".into(), deadline: 3499 }),
        ("firing r-1", GuardState::Firing { run: "r-1".into() }),
        ("fired r-1", GuardState::Fired { run: "r-1".into() }),
        ("disarmed r-1", GuardState::Disarmed { run: "r-1".into() }),
    ] {
        assert_eq!(said(&format!("guard {text}")).standing.guard, expected);
    }
    // An armed guard whose deadline cannot be read must not look like none.
    assert_eq!(guard("armed r-1 soon"), None);
    assert_eq!(guard("armed"), None);
    assert_eq!(guard(""), None);
}

#[test]
fn what_the_next_reboot_brings_is_read_beside_the_boot_default() {
    let read = |line: &str| {
        let text = format!("{SURVEY}\n{line}");
        standing(&lines(&text)).map(|standing| standing.next_boot)
    };
    let next =
        |entry: &str, system: Option<&str>| Ok(Some(NextBoot { entry: entry.to_owned(), system: system.map(path) }));
    assert_eq!(read(&format!("next_boot {NEW} nixos-generation-2.conf")), next("nixos-generation-2.conf", Some(NEW)));
    assert_eq!(read("next_boot - NixOS - All configurations>1"), next("NixOS - All configurations>1", None));
    assert_eq!(read("trace nothing is pending"), Ok(None));
    // What is pending and cannot be read is not taken for nothing.
    for damaged in ["next_boot", "next_boot -", "next_boot - "] {
        assert_eq!(read(damaged), Err(AnswerError::Missing("next_boot")), "{damaged}");
    }
}

#[test]
fn every_loader_is_known_by_its_word() {
    let read = |word: &str| {
        let text = SURVEY.replace("loader systemd-boot", &format!("loader {word}"));
        standing(&lines(&text)).map(|standing| standing.loader)
    };
    for (word, loader) in [
        ("systemd-boot", BootLoader::SystemdBoot),
        ("grub", BootLoader::Grub),
        ("extlinux", BootLoader::Extlinux),
        ("init", BootLoader::Init),
        ("limine", BootLoader::Unknown),
    ] {
        assert_eq!(read(word), Ok(loader), "{word}");
    }
}

#[test]
fn a_job_s_status_becomes_an_outcome() {
    let outcome = |state: &str| said(&format!("asked test\nbegun test\njob test {state}")).outcome;
    assert_eq!(outcome("exited 0"), StepOutcome::Done);
    assert_eq!(outcome("exited 4"), StepOutcome::Done);
    for (state, text) in [
        ("exited 2", "`test`: the activation script failed (status 2)"),
        ("exited 100", "`test`: the new system needs a reboot to be activated (status 100)"),
        ("exited 137", "`test` ended with status 137"),
        ("running", "`test` has not ended within its limit"),
        ("lost", "`test` was killed before its end"),
        ("nonsense", "`test` did not begin"),
    ] {
        assert_eq!(Cause::of_outcome(outcome(state)).unwrap().to_string(), text);
    }
    let answer = said("asked test\njob test exited 0\njob rollback running\nlog one\nlog two");
    assert_eq!(answer.log, ["one", "two"]);
    assert_eq!(
        answer.standing.jobs,
        BTreeMap::from([(JobKind::Test, JobState::Exited { status: 0 }), (JobKind::Rollback, JobState::Running)])
    );
}

#[test]
fn a_refusal_outweighs_an_old_job() {
    let answer =
        said("asked switch\nrefused superseded\ntext ada@desktop has taken this run over\njob switch exited 0");
    assert_eq!(
        answer.outcome,
        StepOutcome::Refused { reason: RefusalReason::Superseded, text: "ada@desktop has taken this run over".into() }
    );
    assert_eq!(said("failed no disk").outcome, StepOutcome::said_to_have_failed("no disk"));
    let unwritable = StepOutcome::Failed { failure: StepFailure::Unwritable("cannot write to /run".into()) };
    assert_eq!(said("failed cannot write to /run\nunwritable yes").outcome, unwritable);
    assert!(matches!(said("refused what").outcome, StepOutcome::Refused { reason: RefusalReason::Other, .. }));
}

#[test]
fn prepare_s_answer_becomes_a_fit() {
    let text = "misfit architecture the new system is for aarch64-linux, this host is x86_64-linux\n\
                named_here homeserver\nnamed_new nas\n\
                loader_change grub systemd-boot\ncheck failed\nlog Pre-switch checks failed\n\
                compared yes\nchange app: 1 → 2, +1.0 KiB\nreboot_for kernel\nreboot_for kernel-params\nreboot_for \
                else\nbrings kernel-params\nbrings else";
    let expected = Fit {
        misfits: vec![Misfit {
            kind: "architecture".into(),
            text: "the new system is for aarch64-linux, this host is x86_64-linux".into(),
        }],
        renaming: Some(Renaming { here: "homeserver".into(), new: "nas".into() }),
        check: PreSwitchCheck::Failed,
        loader_change: Some("from grub to systemd-boot".into()),
        log: vec!["Pre-switch checks failed".into()],
        changes: Some(vec!["app: 1 → 2, +1.0 KiB".into()]),
        reboot_for: vec!["kernel".into(), "kernel parameters".into()],
        brings: vec!["kernel parameters".into()],
    };
    assert_eq!(fit(&lines(text)), Ok(expected));
    assert_eq!(fit(&lines("check ok")).unwrap().check, PreSwitchCheck::Passed);
    assert_eq!(fit(&lines("check cut_off")).unwrap().check, PreSwitchCheck::CutOff);
    assert_eq!(fit(&lines("check ok")).unwrap().changes, None);
    assert_eq!(fit(&lines("check ok")).unwrap().renaming, None);
    assert_eq!(fit(&lines("check ok\ncompared yes")).unwrap().changes, Some(vec![]));
    assert_eq!(fit(&lines("")), Err(AnswerError::Missing("check")));
    let unwritten = fit(&lines("failed cannot write the roots")).unwrap();
    assert_eq!(unwritten.misfits[0].text, "cannot write the roots");
}

#[test]
fn what_a_job_has_printed_is_known_by_its_kind() {
    assert_eq!(printed("test starting: a, b"), Some((JobKind::Test, "starting: a, b")));
    assert_eq!(printed("rollback "), Some((JobKind::Rollback, "")));
    assert_eq!(printed("rollback"), Some((JobKind::Rollback, "")));
    assert_eq!(printed("arm what"), None);
}

#[test]
fn a_journal_belongs_to_the_unit_before_it() {
    let answer = lines("log lost\nunit a.service\nlog one\nlog two\nunit silent.service\nunit b.service\nlog three");
    let expected = [("a.service", vec!["one", "two"]), ("b.service", vec!["three"])]
        .map(|(unit, said)| (unit.to_owned(), said.into_iter().map(str::to_owned).collect::<Vec<_>>()));
    assert_eq!(journals(&answer), expected);
}

#[test]
fn a_round_is_complete_with_its_done() {
    let text = "\
probe 7 0 up 412 
probe 7 1 up 812 cached SSH-2.0-OpenSSH_10.0
probe 6 2 up 1 late, of the round before
probe 7 3 silent - no answer in 1.000 s
probe 7 8 busy - not now
probe 7 4 later - its machine was asked a moment ago
probe 7 5 down - 
probe 7 6 down - SSH-2.0-OpenSSH_10.0
probe 7 7 down - Connection refused
control 6 20 1000
control 7 - 1000 430
probe 7 x up 1 
host 7 boot_id 077058b3
host 7 current NEW
host 7 failed_unit app.service
host 7 restarts dns.service 4
host 7 unit_now dns.service 91aa active =n
host 7 uptime 2918
host 6 failed_unit late.service
wg_interface wg0 4 36f82a27 51820
wg_peer wg0 key= - - - 10.0.0.2/32
done 7
done x";
    let mut reader = RoundReader::default();
    let rounds: Vec<ProbeRound> = lines(text).iter().filter_map(|(key, value)| reader.take(key, value)).collect();
    let expected = ProbeRound {
        number: 7,
        links: HeardLinks {
            answers: BTreeMap::from([
                (0, LinkAnswer::Up { round_trip_us: Some(412) }),
                (1, LinkAnswer::Up { round_trip_us: Some(812) }),
                (3, LinkAnswer::Down { why: "no answer in 1.000 s".into() }),
                (7, LinkAnswer::Down { why: "Connection refused".into() }),
                (8, LinkAnswer::Down { why: "not now".into() }),
            ]),
            silent: BTreeSet::from([3]),
            later: BTreeSet::from([4]),
            busy: BTreeSet::from([8]),
            // An answer without a reason, and one whose reason says the opposite.
            odd: BTreeSet::from([5, 6]),
            control: Some(Control {
                took: None,
                pinged: Some(Duration::from_millis(430)),
                longest: Duration::from_secs(1),
            }),
        },
        cached: BTreeSet::from([1]),
        host: HostRound {
            boot_id: "077058b3".into(),
            current: NEW.into(),
            failed_units: BTreeSet::from(["app.service".into()]),
            restarts: BTreeMap::from([("dns.service".into(), 4)]),
            units: BTreeMap::from([unit("dns.service", "91aa", UnitState::Active, "n")]),
            uptime: 2918,
            wireguard: vec![WireguardInterface {
                name: "wg0".into(),
                index: 4,
                settings: "36f82a27".into(),
                port: 51820,
                peers: vec![peer("key=", None, None, None, &["10.0.0.2/32"])],
            }],
        },
    };
    assert_eq!(rounds, [expected]);
}

/// Real lines with words exchanged, dropped and mangled, and pure garbage.
fn garbage() -> impl Strategy<Value = Vec<(String, String)>> {
    let keys: Vec<String> = lines(SURVEY)
        .into_iter()
        .map(|(key, _)| key)
        .chain(
            [
                "job",
                "asked",
                "refused",
                "text",
                "failed",
                "misfit",
                "named_here",
                "named_new",
                "check",
                "loader_change",
                "probe",
                "host",
                "done",
                "wg_interface",
                "wg_peer",
            ]
            .map(str::to_owned),
        )
        .collect();
    let values: Vec<String> = lines(SURVEY).into_iter().map(|(_, value)| value).collect();
    let value = prop_oneof![
        prop::sample::select(values),
        "\\PC{0,40}",
        "(armed|fired|exited|up|down|test|7|[0-9]{1,25}| |-){0,8}",
    ];
    prop::collection::vec((prop::sample::select(keys), value), 0..60)
}

proptest! {
    #[test]
    fn whatever_a_host_prints_is_read_without_panic(garbage in garbage()) {
        let _ = facts(&garbage);
        let _ = step_answer(&garbage);
        let _ = fit(&garbage);
        let mut reader = RoundReader::default();
        for (key, value) in &garbage {
            let _ = reader.take(key, value);
        }
    }

    /// A survey with some lines lost, doubled or exchanged is facts or an error, and its guard is never invented.
    #[test]
    fn a_damaged_survey_never_arms_a_guard(order in prop::collection::vec(0_usize..36, 0..60)) {
        let whole = lines(SURVEY);
        let damaged: Vec<_> = order.iter().map(|at| whole[at % whole.len()].clone()).collect();
        if let Ok(facts) = facts(&damaged) {
            prop_assert_eq!(facts.standing.guard, GuardState::None);
        }
    }
}
