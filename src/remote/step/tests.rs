use std::os::unix::ffi::OsStringExt;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;

use pretty_assertions::assert_eq;

use super::script::{
    BOOT, CALL, CALL_TOLD, LIB, MADE, ONCE, RESTORE, TRIALS, begin_text, guard_text, job_text, lib_text, text,
    trial_guard_text, trial_job_text, trial_lib_text,
};
use super::*;
use crate::facts::provenance::Provenance;
use crate::facts::traces::EndSide;
use crate::inventory::model::{BootLoaderHint, LoaderKind};
use crate::local::process::Invocation;

const OLD: &str = "/nix/store/0gv1yx3wnyzhi0bjgjbmvxy7qnzwzw5h-nixos-system-vps-1";
const NEW: &str = "/nix/store/1gv1yx3wnyzhi0bjgjbmvxy7qnzwzw5h-nixos-system-vps-2";
const BOOT_ID: &str = "5f1c6b4e-8a43-4b0e-9c9f-0e3f5a1d2b7c";

fn path(text: &str) -> StorePath {
    StorePath::new(text).unwrap()
}

fn hosts() -> Vec<HostName> {
    ["vps", "homeserver"].map(|name| HostName::new(name).unwrap()).to_vec()
}

fn brought() -> Brought {
    let provenance = Provenance { revision: Some("a1b2c3d".to_owned()), by: "ada".to_owned(), ..Provenance::default() };
    Brought { run: "r-1".into(), at: 7, provenance }
}

/// Makes the mark of three hosts that were missing.
fn mark() -> EndMark {
    let missing = [("web", Some("1e7e1eea20dd855201641749a2e5733d")), ("db", None), ("nas", Some("a b"))];
    let missing = missing.map(|(host, machine)| (HostName::new(host).unwrap(), machine.map(str::to_owned)));
    EndMark { side: Some(EndSide::Old), missing: missing.into() }
}

/// Every step there is; a new one does not compile until it is listed here.
#[expect(clippy::too_many_lines, reason = "a list with an entry for each step")]
fn every_step() -> Vec<RemoteStep> {
    let speaker = Speaker { run: "20261122-161005-k3f".into(), epoch: 1 };
    let boot_id = BOOT_ID.to_owned();
    let old = Expected::from(&Systems::all(&path(OLD)));
    let tested = Expected { current: Some(path(NEW)), ..old.clone() };
    let job = |kind: JobKind| RemoteStep::Job {
        speaker: speaker.clone(),
        boot_id: boot_id.clone(),
        kind,
        needs: Duration::from_millis(600_500),
        expected: if kind == JobKind::Rollback { Expected::default() } else { tested.clone() },
        new: path(NEW),
        limit: Duration::from_secs(240),
    };
    let second = Duration::from_secs(1);
    vec![
        RemoteStep::Survey,
        RemoteStep::Status,
        RemoteStep::Doctor { cache: AskedCache::Nowhere },
        RemoteStep::Doctor { cache: AskedCache::Own },
        RemoteStep::Doctor {
            cache: AskedCache::Store { from: "http://vps:8080".into(), public_key: Some("vps-1:7/+J=".into()) },
        },
        RemoteStep::Standing { run: None, units: AskUnits::No },
        RemoteStep::Standing { run: Some(speaker.run.clone()), units: AskUnits::Yes },
        RemoteStep::Ask { run: speaker.run.clone() },
        RemoteStep::Generations { system: Some(path(OLD)) },
        RemoteStep::Generations { system: None },
        RemoteStep::Compare { old: path(OLD), new: path(NEW) },
        RemoteStep::DryActivate { new: path(NEW), limit: Duration::from_secs(240) },
        RemoteStep::Caches,
        RemoteStep::Fetch {
            new: path(NEW),
            from: "http://vps:8080".into(),
            public_key: Some("vps-1:7/+J=".into()),
            limit: Duration::from_secs(1800),
            longest_still: Duration::from_secs(64),
            afresh: Afresh::Absence,
        },
        RemoteStep::Fetch {
            new: path(NEW),
            from: "ssh-ng://vps".into(),
            public_key: None,
            // Never 0, which is no limit for timeout(1).
            limit: Duration::from_millis(500),
            longest_still: Duration::from_millis(500),
            afresh: Afresh::Everything,
        },
        RemoteStep::Prepare {
            run: speaker.run.clone(),
            old_current: path(OLD),
            old_boot: path(OLD),
            new: path(NEW),
            check: Duration::from_secs(300),
            brought: Some(brought()),
            hosts: hosts(),
        },
        RemoteStep::Root { run: speaker.run.clone(), old_current: path(OLD), old_boot: path(OLD), hosts: hosts() },
        RemoteStep::Arm {
            speaker: speaker.clone(),
            owner: "ada@laptop".into(),
            boot_id: boot_id.clone(),
            expected: old.clone(),
            latest: 4242,
            guard: Duration::from_secs(900),
            action: GuardAction::Reboot,
            pace: Vec::new(),
            hosts: hosts(),
        },
        RemoteStep::Arm {
            speaker: speaker.clone(),
            owner: "ada@laptop".into(),
            boot_id: boot_id.clone(),
            expected: Expected::default(),
            latest: 4242,
            guard: Duration::from_millis(1),
            action: GuardAction::SwitchBack,
            pace: vec![("job_wait", 5), ("reboot_patience", 10)],
            hosts: Vec::new(),
        },
        RemoteStep::TakeOver { speaker: Speaker { epoch: 2, ..speaker.clone() }, owner: "ada@desktop".into() },
        RemoteStep::Extend { speaker: speaker.clone(), boot_id: boot_id.clone(), guard: Duration::from_secs(600) },
        job(JobKind::Test),
        job(JobKind::Switch),
        job(JobKind::Reactivate),
        job(JobKind::Rollback),
        RemoteStep::Await { run: speaker.run.clone(), kind: JobKind::Test, limit: Duration::from_secs(240) },
        RemoteStep::Disarm { speaker: speaker.clone(), boot_id: boot_id.clone(), expected: old.clone() },
        RemoteStep::Booted { limit: Duration::from_secs(60) },
        RemoteStep::Journal { units: vec!["app.service".into(), r"dev-disk\x2dby.mount".into()] },
        RemoteStep::Remember { speaker: speaker.clone(), units: vec!["app.service".into(), "a.mount".into()] },
        RemoteStep::Release { speaker: Speaker { epoch: 2, ..speaker.clone() } },
        RemoteStep::Clean { speaker: speaker.clone(), mark: EndMark::of_all(Some(EndSide::New)) },
        RemoteStep::Clean { speaker: speaker.clone(), mark: mark() },
        RemoteStep::Unmark { speaker: speaker.clone(), host: Some(HostName::new("web").unwrap()) },
        RemoteStep::Unmark { speaker, host: None },
        RemoteStep::Exec {
            mark: "fleetdeploy-1f".into(),
            as_root: true,
            limit: Duration::from_secs(300),
            words: ["printf", "%s\\n", "a b\nc", "", "-n", "$HOME 'ü'"].map(OsString::from).to_vec(),
        },
        RemoteStep::Exec {
            mark: "fleetdeploy-1f".into(),
            as_root: false,
            limit: Duration::from_millis(1500),
            words: vec![OsString::from_vec(b"cat\xff\x1b[m".to_vec())],
        },
        RemoteStep::Probe {
            life: Duration::from_secs(1800),
            probes: vec![
                question(0, Probe::Ping { address: "10.100.0.2".into() }),
                question(1, Probe::Ssh { address: "fd00::2".into(), port: 22 }),
                question(2, Probe::Tcp { address: "10.100.0.2".into(), port: 443 }),
                question(3, Probe::Http { url: "http://vps/".into(), status: Some(200), body: None }),
                question(8, Probe::Http { url: "http://vps/".into(), status: None, body: Some("-".into()) }),
                question(4, Probe::Dns { query: "vps.example.org".into(), server: None }),
                question(5, Probe::Wireguard { address: "10.100.0.2".into(), handshake: 180 * second }),
                question(6, Probe::Argv(vec!["test".into(), "-e".into(), "/run/a b; c".into()])),
                question(7, Probe::Shell("echo \"$HOME\" | grep .\n".into())),
            ],
        },
    ]
}

fn question(id: LinkId, probe: Probe) -> LinkProbe {
    let to_host = (id == 1).then(|| HostName::new("vps").unwrap());
    LinkProbe { id, probe, timeout: Duration::from_secs(1), to_host }
}

fn steps_of_a_rolling_reboot() -> Vec<RemoteStep> {
    let run = || "20261122-161005-k3f".to_owned();
    vec![
        RemoteStep::Reboot {
            run: run(),
            boot_id: BOOT_ID.to_owned(),
            expected: Expected::from(&Systems::all(&path(OLD))),
        },
        RemoteStep::Hold {
            run: run(),
            owner: "ada@laptop".into(),
            boot_id: BOOT_ID.to_owned(),
            latest: Some(4242),
            lasts: Duration::from_millis(600_500),
        },
        RemoteStep::Hold {
            run: run(),
            owner: "ada@laptop".into(),
            boot_id: BOOT_ID.to_owned(),
            latest: None,
            lasts: Duration::from_secs(1),
        },
        RemoteStep::LetGo { run: run() },
        RemoteStep::ArmTrial {
            run: run(),
            owner: "ada@laptop".into(),
            boot_id: BOOT_ID.to_owned(),
            latest: 4242,
            booted: path(OLD),
            tried: path(NEW),
            guard: Duration::from_secs(600),
            seconds: Duration::from_millis(900_500),
            pace: vec![("job_wait", 5)],
        },
        RemoteStep::TrialJob {
            run: run(),
            boot_id: BOOT_ID.to_owned(),
            kind: TrialJob::Register,
            needs: Duration::from_millis(300_500),
            limit: Duration::from_secs(240),
        },
        RemoteStep::TrialJob {
            run: run(),
            boot_id: BOOT_ID.to_owned(),
            kind: TrialJob::Keep,
            needs: Duration::from_secs(300),
            limit: Duration::from_secs(240),
        },
        RemoteStep::AwaitTrial { run: run(), kind: TrialJob::Keep, limit: Duration::from_secs(240) },
        RemoteStep::Go { run: run(), boot_id: BOOT_ID.to_owned() },
        RemoteStep::Fire { run: run(), boot_id: BOOT_ID.to_owned() },
        RemoteStep::Tend { run: run(), boot_id: BOOT_ID.to_owned() },
        RemoteStep::EndTrial { run: run(), boot_id: BOOT_ID.to_owned() },
        RemoteStep::CleanTrial { run: run(), why: "no login for 45 s".into() },
    ]
}

/// Lists all that we run as root on a host, on one screen. Texts that are arguments are named instead of shown.
#[test]
fn every_step_is_this_script_with_these_arguments() {
    let shown: Vec<String> = [every_step(), steps_of_a_rolling_reboot()]
        .concat()
        .iter()
        .map(|step| {
            let script = step.script();
            let hint = BootLoaderHint { kind: Some(LoaderKind::Grub), esp: Some("/boot2".to_owned()) };
            let arguments = script.words(&hint, "UNITS").map(|argument| {
                let texts = [
                    ("LIB", lib_text()),
                    ("GUARD", guard_text()),
                    ("JOB", job_text()),
                    ("TRIAL-LIB", trial_lib_text()),
                    ("TRIAL-GUARD", trial_guard_text()),
                    ("TRIAL-JOB", trial_job_text()),
                    ("BEGIN", begin_text()),
                ];
                for (name, known) in texts {
                    if argument == known {
                        return name.to_owned();
                    }
                }
                argument.replace(OLD, "OLD").replace(NEW, "NEW").replace(BOOT_ID, "BOOT-ID").replace('\n', "\\n")
            });
            let arguments: Vec<String> = arguments.collect();
            format!("{} {}", script.name, arguments.join(" | "))
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    survey grub:/boot2 | UNITS
    status grub:/boot2 | UNITS
    doctor grub:/boot2 | UNITS | - | -
    doctor grub:/boot2 | UNITS | own | -
    doctor grub:/boot2 | UNITS | http://vps:8080 | vps-1:7/+J=
    standing grub:/boot2 | UNITS | - | no
    standing grub:/boot2 | UNITS | 20261122-161005-k3f | yes
    ask grub:/boot2 | UNITS | 20261122-161005-k3f
    generations OLD
    generations -
    compare grub:/boot2 | UNITS | OLD | NEW
    dry_activate NEW | 240
    caches 
    fetch NEW | http://vps:8080 | vps-1:7/+J= | 1800 | 64 | -
    fetch NEW | ssh-ng://vps | - | 1 | 1 | 0
    prepare grub:/boot2 | UNITS | 20261122-161005-k3f | OLD | OLD | NEW | 300 | {"run":"r-1","at":7,"revision":"a1b2c3d","dirty":false,"by":"ada","fleetdeploy":""} | vps | homeserver
    prepare grub:/boot2 | UNITS | 20261122-161005-k3f | OLD | OLD | - | 0 | - | vps | homeserver
    arm grub:/boot2 | UNITS | 20261122-161005-k3f | 1 | ada@laptop | BOOT-ID | OLD | OLD | OLD | 4242 | 900 | reboot | - | LIB | GUARD | JOB | vps | homeserver
    arm grub:/boot2 | UNITS | 20261122-161005-k3f | 1 | ada@laptop | BOOT-ID | - | - | - | 4242 | 1 | switch-back | job_wait=5,reboot_patience=10 | LIB | GUARD | JOB
    take_over grub:/boot2 | UNITS | 20261122-161005-k3f | 2 | ada@desktop
    extend grub:/boot2 | UNITS | 20261122-161005-k3f | 1 | BOOT-ID | 600
    test grub:/boot2 | UNITS | 20261122-161005-k3f | 1 | BOOT-ID | test | 601 | NEW | OLD | OLD | NEW | 240
    switch grub:/boot2 | UNITS | 20261122-161005-k3f | 1 | BOOT-ID | switch | 601 | NEW | OLD | OLD | NEW | 240
    reactivate grub:/boot2 | UNITS | 20261122-161005-k3f | 1 | BOOT-ID | reactivate | 601 | NEW | OLD | OLD | NEW | 240
    rollback grub:/boot2 | UNITS | 20261122-161005-k3f | 1 | BOOT-ID | rollback | 601 | - | - | - | NEW | 240
    await grub:/boot2 | UNITS | 20261122-161005-k3f | test | 240
    disarm grub:/boot2 | UNITS | 20261122-161005-k3f | 1 | BOOT-ID | OLD | OLD | OLD
    booted grub:/boot2 | UNITS | 60
    journal app.service | dev-disk\x2dby.mount
    remember 20261122-161005-k3f | 1 | app.service | a.mount
    release grub:/boot2 | UNITS | 20261122-161005-k3f | 2
    clean grub:/boot2 | UNITS | 20261122-161005-k3f | 1 | new
    clean grub:/boot2 | UNITS | 20261122-161005-k3f | 1 | old | db:- | nas:- | web:1e7e1eea20dd855201641749a2e5733d
    unmark grub:/boot2 | UNITS | 20261122-161005-k3f | 1 | web
    unmark grub:/boot2 | UNITS | 20261122-161005-k3f | 1 | -
    exec fleetdeploy-1f | root | 300 | printf | %s\0134n | a b\0012c |  | -n | $HOME 'ü'
    exec fleetdeploy-1f | login | 2 | cat\0377\0033[m
    probe grub:/boot2 | UNITS | 1800 | probe | 0 | ping | 1000 | 1 | 10.100.0.2 | probe | 1 | ssh | 1000 | 3 | fd00::2 | 22 | vps | probe | 2 | tcp | 1000 | 2 | 10.100.0.2 | 443 | probe | 3 | http | 1000 | 2 | http://vps/ | 200 | probe | 8 | http | 1000 | 3 | http://vps/ | - | - | probe | 4 | dns | 1000 | 2 | vps.example.org | - | probe | 5 | wireguard | 1000 | 2 | 10.100.0.2 | 180 | probe | 6 | argv | 1000 | 3 | test | -e | /run/a b; c | probe | 7 | shell | 1000 | 1 | echo "$HOME" | grep .\n
    reboot grub:/boot2 | UNITS | 20261122-161005-k3f | BOOT-ID | OLD | OLD | OLD
    hold grub:/boot2 | UNITS | 20261122-161005-k3f | ada@laptop | BOOT-ID | 4242 | 601
    hold grub:/boot2 | UNITS | 20261122-161005-k3f | ada@laptop | BOOT-ID | - | 1
    let_go grub:/boot2 | UNITS | 20261122-161005-k3f
    arm_trial grub:/boot2 | UNITS | 20261122-161005-k3f | ada@laptop | BOOT-ID | 4242 | OLD | NEW | 600 | 901 | job_wait=5 | TRIAL-LIB | TRIAL-GUARD | BEGIN
    register grub:/boot2 | UNITS | 20261122-161005-k3f | BOOT-ID | register | 301 | 240 | TRIAL-LIB | TRIAL-JOB
    keep grub:/boot2 | UNITS | 20261122-161005-k3f | BOOT-ID | keep | 300 | 240 | TRIAL-LIB | TRIAL-JOB
    await grub:/boot2 | UNITS | 20261122-161005-k3f | keep | 240
    go grub:/boot2 | UNITS | 20261122-161005-k3f | BOOT-ID
    fire grub:/boot2 | UNITS | 20261122-161005-k3f | BOOT-ID
    tend grub:/boot2 | UNITS | 20261122-161005-k3f | BOOT-ID
    end_trial grub:/boot2 | UNITS | 20261122-161005-k3f | BOOT-ID
    clean_trial grub:/boot2 | UNITS | 20261122-161005-k3f | no login for 45 s
    "#);
}

#[test]
fn a_boot_default_that_was_not_known_is_nothing_to_compare_with() {
    let systems = Systems { boot_default: Systems::not_known(), ..Systems::all(&path(OLD)) };
    assert_eq!(Expected::from(&systems).arguments(), [OLD, OLD, "-"]);
}

#[test]
fn only_what_names_a_unit_is_asked_for_as_one() {
    for unit in ["app.service", r"dev-disk\x2dby-label.mount", "getty@tty1.service", "a:b_c.timer"] {
        assert!(is_unit(unit), "{unit}");
    }
    for other in ["", "-x", "--user", "a b", "*.service", "a[b].service", "a\nb", "ä.service", "$(x).service"] {
        assert!(!is_unit(other), "{other}");
    }
}

#[test]
fn a_text_ends_by_calling_main_and_carries_no_comment() {
    for step in [every_step(), steps_of_a_rolling_reboot()].concat() {
        let script = step.script();
        assert!(script.text.ends_with(CALL), "{}", script.name);
        let looks = script.text.contains("read_boot_default() {") || script.name == "probe";
        assert!(script.is_told || !looks, "{}", script.name);
        assert_eq!(script.text.ends_with(CALL_TOLD), script.is_told, "{}", script.name);
        assert!(script.text.starts_with("LC_ALL=C\n"), "{}", script.name);
        assert!(!script.text.lines().any(|line| line.trim_start().starts_with('#')), "{}", script.name);
    }
}

/// Returns the functions that bash knows once it has taken in `text`, with their bodies as it prints them.
async fn functions(text: &str) -> BTreeMap<String, String> {
    let ask = "eval \"$1\"; for f in $(compgen -A function); do printf '\\001%s\\n' \"$f\"; declare -f \"$f\"; done";
    let bash = Invocation::new("bash", Duration::from_secs(60)).args(["--norc", "-c", ask, "bash", text]);
    let finished = bash.run().await.unwrap();
    assert!(finished.succeeded() && finished.stderr.is_empty(), "{}", finished.stderr_text());
    let said = finished.stdout_text();
    let functions = said.split('\u{1}').skip(1).map(|function| function.split_once('\n').unwrap());
    functions.map(|(name, body)| (name.to_owned(), body.to_owned())).collect()
}

/// bash's own reading of all that is sent is the judge, and not the two rules by which it is shortened.
#[tokio::test]
async fn no_text_lacks_a_function_that_it_names() {
    for step in [every_step(), steps_of_a_rolling_reboot()].concat() {
        let _ = step.script();
    }
    let made: Vec<(Vec<&str>, String)> = {
        let made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
        made.iter().map(|(files, text)| (files.to_vec(), text.clone())).collect()
    };
    let without_call =
        |text: &str| text.lines().filter(|line| !line.ends_with("main \"$@\"")).collect::<Vec<_>>().join("\n");
    let callers = format!("{}{}", guard_text(), job_text());
    let of_trial = format!("{}{}{}", trial_guard_text(), trial_job_text(), begin_text());
    let mut texts: Vec<(String, String, &str)> =
        made.iter().map(|(files, kept)| (text(files, ""), without_call(kept), "main")).collect();
    assert!(texts.len() > 20, "{}", texts.len());
    texts.push((text(&[LIB, BOOT, RESTORE], ""), lib_text(), &callers));
    texts.push((text(&[LIB, BOOT, ONCE, TRIALS, RESTORE], ""), trial_lib_text(), &of_trial));
    let (mut all, mut sent, mut quoted) = (0, 0, BTreeMap::new());
    let flush_left = |body: &str| body.lines().map(|line| line.trim_start().to_owned()).collect::<Vec<_>>();
    for (whole, kept, callers) in texts {
        (all, sent) = (all + whole.len(), sent + kept.len());
        let (whole, found) = (functions(&whole).await, functions(&kept).await);
        let words: BTreeSet<&str> = [kept.as_str(), callers]
            .into_iter()
            .flat_map(|text| text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_'))
            .collect();
        for (name, body) in &whole {
            match found.get(name) {
                Some(found) if found == body => {}
                // bash prints what it has read with an indentation of its own, but for what is quoted.
                Some(found) => {
                    assert_eq!(flush_left(found), flush_left(body));
                    quoted.insert(name.clone(), body.clone());
                }
                None => assert!(!words.contains(name.as_str()), "{name} is named, and is not sent"),
            }
        }
        assert!(found.keys().all(|name| whole.contains_key(name)));
    }
    // All of them hold programs for awk, and one of them one for bash: they mean the same without an indentation. What
    // is quoted for another reader must have none that counts.
    assert!(!quoted.is_empty());
    for (name, body) in quoted {
        assert!(body.contains(" awk ") || body.contains("!awk ") || name == "begin_dns", "look at {name}: {body}");
    }
    assert!(sent * 4 < all * 3, "a quarter and more stays here: {sent} of {all}");
}
