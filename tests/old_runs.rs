//! What an older version has left of a run in the middle of it is read by this one: the record, and on the hosts
//! token, lease, plan, steps and roots. `tests/lab/old_runs.rs` recovers the same runs on real hosts.
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

#[path = "support/old_runs.rs"]
mod support;

use std::collections::BTreeMap;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::Duration;

use fleetdeploy::decide::transaction::recover::{Reached, Recorded};
use fleetdeploy::local::process::Invocation;
use fleetdeploy::record::folder::{StateFolder, UnfinishedRun};
use fleetdeploy::record::journal;
use fleetdeploy::record::read::{RunEnd, events};
use pretty_assertions::assert_eq;

use support::{OldHost, OldRun, stages};

const VERSION: &str = "cd0162e";

/// How far each run had come: what its record must still tell.
const REACHED: [(&str, Reached, bool); 9] = [
    ("arming", Reached::Arming, false),
    ("by-hand", Reached::Arming, false),
    ("disarming", Reached::Disarming, false),
    ("fired", Reached::Testing, false),
    ("recovering", Reached::Testing, true),
    ("rolling-back", Reached::Testing, true),
    ("switching", Reached::Decided, false),
    ("testing", Reached::Testing, false),
    ("verify", Reached::Testing, false),
];

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// The run on a workstation where nothing else ever ran.
fn recorded(old: &OldRun) -> (tempfile::TempDir, UnfinishedRun) {
    let home = tempfile::tempdir().unwrap();
    for (name, text) in old.record() {
        write(&home.path().join("runs").join(&old.run).join(name), &text);
    }
    let state = StateFolder::at(home.path().to_owned());
    let unfinished = state.unfinished(None).unwrap().unwrap_or_else(|| panic!("{} is not found", old.run));
    (home, unfinished)
}

#[test]
fn the_record_of_a_run_that_an_older_version_began_tells_all_that_a_recovery_needs() {
    let wanted: Vec<&str> = REACHED.iter().map(|(stage, ..)| *stage).collect();
    assert_eq!(stages(VERSION), wanted, "every fixture has its row");
    for (stage, reached, turned_back) in REACHED {
        let old = OldRun::read(VERSION, stage);
        let (_home, found) = recorded(&old);
        assert_eq!((found.run.id().as_str(), found.fleet.as_str()), (old.run.as_str(), "homelab"), "{stage}");
        let told = journal::recorded(&found.journal);
        assert_eq!(told, Recorded { reached, turned_back, finished: None, ended_without: false }, "{stage}");
        assert_eq!(found.is_by_hand(), stage == "by-hand");
        let end = if stage == "by-hand" { RunEnd::ByHand } else { RunEnd::Unfinished };
        assert_eq!(found.run.summary().end, end, "{stage}");
        let saved = found.run.read_plan().unwrap_or_else(|| panic!("{stage}: its plan cannot be read"));
        assert_eq!(saved.plan.hosts.len(), old.hosts.len(), "{stage}");
        for host in &saved.plan.hosts {
            let OldHost { old, new, generation, machine_id, .. } = &old.hosts[host.name.as_str()];
            let systems = [&host.old.current, &host.old.profile, &host.old.boot_default];
            assert!(systems.iter().all(|system| system.as_str() == old), "{stage}");
            assert_eq!((host.new.as_str(), host.generation, &host.machine_id), (new.as_str(), *generation, machine_id));
        }
        assert_eq!(saved.plan.links.is_empty(), stage == "by-hand");
        if found.run.events().exists() {
            let read = events(&found.run.events()).unwrap();
            assert!(!read.lines.is_empty(), "{stage}");
            assert_eq!((read.passed_over.unknown, read.passed_over.damaged), (0, 0), "{stage}");
        }
    }
}

/// The host's files in a tree of their own.
fn planted(old: &OldRun, name: &str) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let at = |path: &str| root.path().join(path);
    let host = &old.hosts[name];
    write(&at("proc/uptime"), &format!("{}.00 1.00\n", host.uptime));
    write(&at("proc/sys/kernel/random/boot_id"), &format!("{}\n", host.boot_id));
    write(&at("proc/1/stat"), "1 (a (b) c) S 0 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 73761 1 1\n");
    for (file, text) in old.place(name) {
        write(&at("run/fleetdeploy").join(file), &text);
    }
    if let Some(token) = &host.token {
        write(&at("run/fleetdeploy/token").join(token), "");
    }
    let roots = at("nix/var/nix/gcroots/fleetdeploy").join(&old.run);
    for (file, text) in old.beside_roots(name) {
        write(&roots.join(file), &text);
    }
    for (link, target) in old.roots(name) {
        symlink(target, roots.join(link)).unwrap();
    }
    write(&at("fake/systemctl"), "#!/bin/sh\necho ActiveState=active\n");
    std::fs::set_permissions(at("fake/systemctl"), std::fs::Permissions::from_mode(0o755)).unwrap();
    root
}

/// What the scripts' own readers say of a planted host, one thing a line.
const LOOK: &str = r#"
if read_lease; then echo "lease $lease_run $lease_epoch $lease_owner"; fi
read_token
echo "token $token_state $token_deadline"
for key in run epoch boot_id old_current old_boot old_profile old_generation action; do
    read_plan "$key"
    echo "plan $key $planned"
done
for kind in test switch reactivate rollback; do read_job "$kind"; echo "job $kind $job_state"; done
if read_lease; then
    read_plan boot_id
    if held_by "$lease_run" "$lease_epoch" "$planned"; then echo held; fi
    if guarded_for 60; then echo guarded; fi
fi
survey_survivors
"#;

async fn look(root: &Path, shell: &str) -> Vec<String> {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/remote/scripts");
    let files = ["lib.sh", "traces.sh", "survey.sh"].map(|file| std::fs::read_to_string(scripts.join(file)).unwrap());
    let finished = Invocation::new(shell, Duration::from_secs(60))
        .args(["-c", "eval \"$1\"", "test"])
        .arg(format!("{}\n{LOOK}", files.concat()))
        .env("FLEETDEPLOY_ROOT", root)
        .env("PATH", format!("{}:/usr/bin:/bin", root.join("fake").display()))
        .run()
        .await
        .unwrap();
    assert_eq!(finished.stderr_text(), "");
    finished.stdout_text().lines().map(str::to_owned).collect()
}

/// The lines that must come of a host, put together from the files' own words.
fn expected(old: &OldRun, name: &str) -> Vec<String> {
    let host = &old.hosts[name];
    let place = old.place(name);
    let plan: BTreeMap<&str, &str> =
        place.get("plan").into_iter().flat_map(|text| text.lines()).filter_map(|line| line.split_once(' ')).collect();
    let lease = place.get("lease").map(|text| text.trim_end());
    let token = host.token.as_deref().unwrap_or("none-0").replace('-', " ");
    let mut lines: Vec<String> = lease.iter().map(|lease| format!("lease {lease}")).collect();
    lines.push(format!("token {token}"));
    for key in ["run", "epoch", "boot_id", "old_current", "old_boot", "old_profile", "old_generation", "action"] {
        lines.push(format!("plan {key} {}", plan.get(key).unwrap_or(&"")));
    }
    for kind in ["test", "switch", "reactivate", "rollback"] {
        let status = place.get(&format!("jobs/{kind}.status"));
        let state = status.map_or_else(|| "none".to_owned(), |status| format!("exited {}", status.trim()));
        lines.push(format!("job {kind} {state}"));
    }
    if lease.is_some() {
        lines.push("held".to_owned());
        lines.extend(match token.split_once(' ') {
            Some(("armed", _)) => vec!["guarded".to_owned()],
            _ => vec!["refused no_guard".to_owned(), "text no guard is armed (it is disarmed)".to_owned()],
        });
    }
    lines.push(format!("survivor {}", old.run));
    lines
}

#[tokio::test]
async fn what_an_older_version_left_on_its_hosts_is_read_by_every_script() {
    for stage in stages(VERSION) {
        let old = OldRun::read(VERSION, &stage);
        for (name, host) in &old.hosts {
            let root = planted(&old, name);
            if let Some(plan) = old.place(name).get("plan") {
                // What the lab's tests put in the place of that fleet's own.
                let path = format!("path {}/bin:{}/bin:", host.sw, host.systemd);
                assert!(plan.lines().any(|line| line.starts_with(&path)), "{stage}, {name}: {plan}");
            }
            for shell in ["dash", "bash"] {
                let said = look(root.path(), shell).await;
                let expected = expected(&old, name);
                assert_eq!(
                    said.get(..expected.len()),
                    Some(expected.as_slice()),
                    "{stage}, {name}, {shell}: {said:#?}"
                );
                let told = |key: &str| {
                    let line = said.iter().find_map(|line| line.strip_prefix(&format!("{key} {} ", old.run)));
                    line.unwrap_or_else(|| panic!("{stage}, {name}: no {key}")).trim().to_owned()
                };
                assert_eq!(told("survivor_hosts"), old.beside_roots(name)["hosts"].trim().replace('\n', " "));
                // If it was never armed, its profile was not written down.
                let (profile, generation) = match host.token {
                    Some(_) => (host.old.as_str(), host.generation.to_string()),
                    None if stage == "fired" => (host.old.as_str(), host.generation.to_string()),
                    None => ("-", "-".to_owned()),
                };
                let new = if stage == "by-hand" { "-" } else { &host.new };
                let roots = format!("{} {profile} {} {generation} {new}", host.old, host.old);
                assert_eq!(told("survivor_roots"), roots, "{stage}, {name}");
                assert_eq!(said.iter().any(|line| line.starts_with("trace ")), stage == "fired");
            }
        }
    }
}
