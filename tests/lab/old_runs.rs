//! Runs that an older version began: planted on a fleet as that version left them, and recovered by this one.
//!
//! The old version's own guard stands on the hosts, as the unit that it was started as, and the steps that the run had
//! made are made by its own program: only who began it is gone.

use std::collections::BTreeMap;
use std::time::SystemTime;

use fleetdeploy::event::{HostOutcome, Outcome};
use pretty_assertions::assert_eq;
use serde_json::Value;

use crate::fleet::{Fleet, text};
use crate::inventory::Inventory;
use crate::old::{OldRun, folder, stages};
use crate::wait::{seconds, until};

const VERSION: &str = "cd0162e";
const BOTH: [&str; 2] = ["vps", "homeserver"];

/// Writes files, words in pairs of path and content.
const WRITE: &str = r#"
mkdir -m 700 -p /run/fleetdeploy
while [ $# -gt 0 ]; do
    mkdir -p "${1%/*}" && printf '%s' "$2" >"$1" || exit 1
    shift 2
done"#;

/// RUN PATH SHELL: as arm.sh of that version starts the guard.
const START_GUARD: &str = r#"
systemd-run --quiet --collect --no-ask-password --unit=fleetdeploy-guard --description="fleetdeploy guard of $1" \
    --service-type=exec --setenv=PATH="$2" -p DefaultDependencies=no -p IgnoreOnIsolate=yes -p Restart=on-failure \
    -p RestartSec=1 -p StartLimitIntervalSec=0 -p OOMScoreAdjust=-1000 -p OOMPolicy=continue -p TasksMax=infinity \
    -p TimeoutStopSec=10 -p WorkingDirectory=/ "$3" /run/fleetdeploy/guard.sh </dev/null"#;

/// RUN PATH SHELL UNIT EPOCH KIND NEW: as step.sh of that version starts a step.
const START_JOB: &str = r#"
systemd-run --quiet --collect --no-ask-password --unit="$4" --description="fleetdeploy $6 of $1" --service-type=exec \
    --setenv=PATH="$2" -p OOMPolicy=continue -p TimeoutStopSec=10 -p WorkingDirectory=/ \
    "$3" /run/fleetdeploy/job.sh "$1" "$5" "$6" "$7" </dev/null"#;

/// Runs a script with words on a host, and fails if it does.
fn run(fleet: &Fleet, host: &str, script: &str, words: &[&str]) {
    let output = fleet.begin(host, script, words).wait_with_output().unwrap();
    assert!(output.status.success(), "{host}: {}", text(&output.stderr));
}

/// What stands in the fixture, and what this fleet has in its place.
struct Here {
    words: Vec<(String, String)>,
    generation: u64,
    /// When the guard fires, on this host's clock: as long from now as it was when the run died.
    deadline: u64,
    new: String,
}

impl Here {
    fn of(fleet: &Fleet, old: &OldRun, host: &str, new: &str) -> Self {
        let was = &old.hosts[host];
        let look = "cat /proc/sys/kernel/random/boot_id /etc/machine-id; readlink -f /run/current-system \
                    /run/current-system/sw /run/current-system/systemd; readlink /nix/var/nix/profiles/system; \
                    cut -d. -f1 /proc/uptime";
        let said = fleet.host(host, look);
        let [boot_id, machine_id, current, sw, systemd, generation, uptime] = said.lines().collect::<Vec<_>>()[..]
        else {
            panic!("{host}: {said}")
        };
        let number = generation.trim_start_matches("system-").trim_end_matches("-link");
        let pairs = [
            (was.boot_id.clone(), boot_id.to_owned()),
            (was.machine_id.clone(), machine_id.to_owned()),
            (was.old.clone(), current.to_owned()),
            (was.new.clone(), new.to_owned()),
            (was.sw.clone(), sw.to_owned()),
            (was.systemd.clone(), systemd.to_owned()),
            (format!("old_generation {}\n", was.generation), format!("old_generation {number}\n")),
            // A guard by hand is disarmed by who has armed it.
            ("root@laptop".to_owned(), fleet.ws("echo root@$(hostname)").trim().to_owned()),
        ];
        let due = was.token.as_deref().and_then(|token| token.split('-').nth(1)?.parse::<u64>().ok());
        let deadline = due.map_or(0, |due| due - was.uptime) + uptime.parse::<u64>().unwrap();
        Self { words: pairs.into(), generation: number.parse().unwrap(), deadline, new: new.to_owned() }
    }

    fn put(&self, text: &str) -> String {
        self.words.iter().fold(text.to_owned(), |text, (before, now)| text.replace(before, now))
    }
}

/// The value of a key in a plan of the host.
fn value<'a>(plan: &'a str, key: &str) -> &'a str {
    let values = plan.lines().filter_map(|line| line.split_once(' '));
    values.filter(|(name, _)| *name == key).map(|(_, value)| value).next().unwrap()
}

/// Brings one host to where the run had brought it, and leaves there what the run has left.
fn plant_host(fleet: &Fleet, old: &OldRun, host: &str, here: &Here) {
    let roots = format!("/nix/var/nix/gcroots/fleetdeploy/{}", old.run);
    let place = old.place(host);
    let mut files: Vec<(String, String)> = Vec::new();
    // What a step makes is made by the step.
    let beside = old.beside_roots(host).into_iter().filter(|(name, _)| name != "added-generation");
    files.extend(beside.map(|(name, content)| (format!("{roots}/{name}"), here.put(&content))));
    let of_arm = place.iter().filter(|(name, _)| !name.starts_with("jobs/"));
    files.extend(of_arm.map(|(name, content)| (format!("/run/fleetdeploy/{name}"), here.put(content))));
    let token = old.hosts[host].token.as_deref();
    let deadline = here.deadline;
    if token.is_some() {
        for program in ["guard.sh", "job.sh"] {
            let content = std::fs::read_to_string(folder(VERSION).join(format!("{program}.txt"))).unwrap();
            files.push((format!("/run/fleetdeploy/{program}"), content));
        }
        files.push((format!("/run/fleetdeploy/token/armed-{deadline}"), String::new()));
        files.push(("/run/fleetdeploy/jobs/.made".to_owned(), String::new()));
    }
    let words: Vec<&str> = files.iter().flat_map(|(path, content)| [path.as_str(), content.as_str()]).collect();
    run(fleet, host, WRITE, &words);
    for (name, target) in old.roots(host) {
        fleet.host(host, &format!("ln -sfn {} {roots}/{name}", here.put(&target).trim()));
    }
    let Some(token) = token else {
        fleet.host(host, "rmdir /run/fleetdeploy");
        return;
    };
    let plan = here.put(&place["plan"]);
    let (path, shell) = (value(&plan, "path"), value(&plan, "shell"));
    run(fleet, host, START_GUARD, &[&old.run, path, shell]);
    for kind in ["test", "switch", "reactivate", "rollback"] {
        let Some(started) = place.get(&format!("jobs/{kind}.started")) else { continue };
        let epoch = started.trim().split(' ').nth(1).unwrap();
        // As it was when this step began; a recovery has written it anew since.
        run(fleet, host, WRITE, &["/run/fleetdeploy/lease", &format!("{} {epoch} root@laptop\n", old.run)]);
        let unit = if kind == "rollback" { "fleetdeploy-rollback" } else { "fleetdeploy-job" };
        run(fleet, host, START_JOB, &[&old.run, path, shell, unit, epoch, kind, &here.new]);
        until(seconds(60), &format!("{kind} on {host}"), || {
            let ended = format!("cat /run/fleetdeploy/jobs/{kind}.status; systemctl is-active {unit} || true");
            let said = fleet.host(host, &format!("({ended}) 2>/dev/null"));
            (said == format!("{}\ninactive\n", place[&format!("jobs/{kind}.status")].trim())).then_some(())
        });
    }
    run(fleet, host, WRITE, &["/run/fleetdeploy/lease", &here.put(&place["lease"])]);
    if token.starts_with("disarmed-") {
        // The guard looks once a second, and ends by itself when it sees a token that is disarmed.
        let disarm = format!(
            "cd /run/fleetdeploy/token && mv -T armed-{deadline} disarmed-{deadline} && (systemctl stop \
             fleetdeploy-guard || true)"
        );
        fleet.host(host, &disarm);
    }
    fleet.host(host, "rm /run/fleetdeploy/jobs/.made");
}

/// The record, as if it had been written just now on this fleet.
fn plant_record(fleet: &Fleet, old: &OldRun, here: &BTreeMap<&str, Here>) {
    let all = |text: &str| here.values().fold(text.to_owned(), |text, here| here.put(&text));
    let generations = |hosts: &mut Value, name: &str| {
        for host in hosts.as_array_mut().into_iter().flatten() {
            let its = here[host[name].as_str().unwrap()].generation;
            host["generation"] = its.into();
        }
    };
    let folder = format!("/root/.local/state/fleetdeploy/runs/{}", old.run);
    fleet.ws(&format!("mkdir -p {folder}/hosts"));
    for (name, content) in old.record() {
        let content = match name.as_str() {
            "journal.jsonl" => {
                let mut lines: Vec<Value> =
                    content.lines().map(|line| serde_json::from_str(&all(line)).unwrap()).collect();
                let at = |line: &Value| humantime::parse_rfc3339(line["at"].as_str().unwrap()).unwrap();
                let since = SystemTime::now().duration_since(at(lines.last().unwrap())).unwrap();
                for line in &mut lines {
                    line["at"] = humantime::format_rfc3339_millis(at(line) + since).to_string().into();
                    generations(&mut line["hosts"], "host");
                }
                lines.iter().map(Value::to_string).collect::<Vec<_>>().join("\n") + "\n"
            }
            "plan.json" => {
                let mut plan: Value = serde_json::from_str(&all(&content)).unwrap();
                generations(&mut plan["plan"]["hosts"], "name");
                plan.to_string()
            }
            _ => all(&content),
        };
        fleet.write(&format!("{folder}/{name}"), &content);
    }
}

/// A fleet with time enough, whose next systems are on its hosts.
fn fleet(test: &str) -> (Fleet, BTreeMap<&'static str, String>) {
    let fleet = Fleet::up(test);
    fleet.write_inventory(&Inventory { guard: "1h", settle: "20s", ..Inventory::default() });
    fleet.change(&BOTH);
    let new = BOTH.map(|host| (host, fleet.copy_by_hand(host)));
    (fleet, new.into())
}

fn plant(fleet: &Fleet, new: &BTreeMap<&'static str, String>, stage: &str, with_record: bool) {
    let old = OldRun::read(VERSION, stage);
    let here: BTreeMap<&str, Here> =
        BOTH.into_iter().map(|host| (host, Here::of(fleet, &old, host, &new[host]))).collect();
    for host in BOTH {
        plant_host(fleet, &old, host, &here[host]);
    }
    if with_record {
        plant_record(fleet, &old, &here);
    }
}

/// Stages from which a run goes back, whoever recovers it.
///
/// The others, each with a test of its own: `switching`, `disarming`, `by-hand`.
const BACK: [&str; 6] = ["arming", "testing", "verify", "rolling-back", "recovering", "fired"];

fn assert_goes_back(fleet: &Fleet, new: &BTreeMap<&'static str, String>, stage: &str, workstation: &str) {
    plant(fleet, new, stage, workstation == "laptop");
    let recovered = fleet.recover(workstation, &["homelab"]);
    recovered.assert_ended(1, Outcome::RolledBack);
    assert!(matches!(recovered.host("vps"), HostOutcome::RolledBack { .. }), "{stage}: {recovered:?}");
    fleet.assert_on_old(&[]);
    // It is over, for this workstation too.
    fleet.recover(workstation, &["homelab"]).assert_ended(0, Outcome::Unchanged);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_run_of_an_older_version_that_was_not_decided_is_undone_with_its_record() {
    let (fleet, new) = fleet("old-back");
    for stage in BACK {
        assert_goes_back(&fleet, &new, stage, "laptop");
    }
    fleet.push(&["homelab"]).assert_ended(0, Outcome::Committed);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_run_of_an_older_version_is_undone_from_another_workstation() {
    let (fleet, new) = fleet("old-alone");
    for stage in BACK {
        assert_goes_back(&fleet, &new, stage, "laptop2");
    }
    // Without the record nobody knows of its decision, and no host was disarmed.
    assert_goes_back(&fleet, &new, "switching", "laptop2");
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_run_of_an_older_version_that_was_decided_is_finished() {
    is_finished("old-decided", "switching", "laptop");
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_disarm_of_an_older_version_is_finished_with_its_record() {
    is_finished("old-disarm", "disarming", "laptop");
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_disarm_of_an_older_version_is_finished_from_another_workstation() {
    is_finished("old-other", "disarming", "laptop2");
}

fn is_finished(test: &str, stage: &str, workstation: &str) {
    let (fleet, new) = fleet(test);
    plant(&fleet, &new, stage, workstation == "laptop");
    fleet.recover(workstation, &["homelab"]).assert_ended(0, Outcome::Committed);
    fleet.assert_on_new(&BOTH);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_guard_by_hand_of_an_older_version_is_seen_and_disarmed() {
    assert_eq!(stages(VERSION).len(), BACK.len() + 3, "a stage has no test");
    let (fleet, new) = fleet("old-hand");
    plant(&fleet, &new, "by-hand", true);
    let status = fleet.plain(&["guard", "status", "homelab"]);
    assert_eq!((status.status, status.stdout.matches("fires in 59m").count()), (Some(0), 2), "{}", status.stdout);
    let disarmed = fleet.plain(&["guard", "disarm", "homelab"]);
    assert_eq!(disarmed.status, Some(0), "{}{}", disarmed.stdout, disarmed.stderr);
    fleet.assert_untouched();
    fleet.push(&["homelab"]).assert_ended(0, Outcome::Committed);
}
