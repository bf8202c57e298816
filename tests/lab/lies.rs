//! A host that was taken over: root's login shell there is `liar.sh`, which edits the answers. Whatever it says, the
//! two honest hosts beside it end rightly, nothing is committed that is broken, and the workstation is filled by
//! nobody.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use fleetdeploy::event::{Event, HostOutcome, Outcome, Phase};
use pretty_assertions::assert_eq;

use crate::fleet::{Fleet, Setup};
use crate::inventory::Inventory;
use crate::pushed::{Pushed, Pushing};
use crate::wait::{look_again, seconds};

const ALL: [&str; 3] = ["vps", "homeserver", "web"];
const HONEST: [&str; 2] = ["vps", "homeserver"];
const LIAR: &str = "web";

const MEMORY: u64 = 150_000_000;
const DISK: u64 = 50_000_000;

fn taken_over(test: &str, inventory: &Inventory) -> Fleet {
    let mut fleet = Fleet::made(test, &Setup { hosts: &ALL, ..Setup::default() });
    fleet.write_inventory(inventory);
    let install = "printf %s \"$1\" >/bin/liar; chmod 755 /bin/liar; usermod -s /bin/liar root";
    let installed = fleet.begin(LIAR, install, &[include_str!("liar.sh")]).wait_with_output().unwrap();
    assert!(installed.status.success(), "{installed:?}");
    fleet.look();
    fleet
}

/// From now on the liar lies so; `edit` is a script of sed. See `liar.sh`.
fn lie(fleet: &Fleet, when: &str, what: &str, edit: &str) {
    let begun = fleet.begin(
        LIAR,
        "rm -f /var/lib/lies; printf '%s\\n' \"$2\" >/etc/lie.sed; printf '%s\\n' \"$1\" >/etc/lie",
        &[&format!("{when} {what}"), edit],
    );
    assert!(begun.wait_with_output().unwrap().status.success());
}

fn tell_the_truth(fleet: &Fleet) {
    fleet.host(LIAR, "rm -f /etc/lie /var/lib/lies");
}

/// Pushes a change of all three, and fails where that takes more of the workstation than it may.
fn push(fleet: &Fleet, version: &str) -> Pushed {
    for host in ALL {
        fleet.set(host, "version", &format!("\"{version}\""));
    }
    let (pushed, taken) = watched(fleet, fleet.start(&["homelab"]));
    eprintln!("{} MB of memory, {} MB of disk, {:.1?}", taken.memory / 1_000_000, taken.disk / 1_000_000, pushed.took);
    assert!(taken.memory > 1_000_000, "nothing was measured");
    assert!(taken.memory < MEMORY, "{} MB of memory", taken.memory / 1_000_000);
    assert!(taken.disk < DISK, "{} MB of disk", taken.disk / 1_000_000);
    pushed
}

/// What a run has taken of the workstation at most, in bytes.
#[derive(Debug, Clone, Copy, Default)]
struct Taken {
    memory: u64,
    disk: u64,
}

fn watched(fleet: &Fleet, pushing: Pushing) -> (Pushed, Taken) {
    let (pid, workstation, is_over) = (pushing.pid(), fleet.workstation(), AtomicBool::new(false));
    let look = || {
        let mut taken = Taken::default();
        while !is_over.load(Ordering::Relaxed) {
            // It only grows (proc_pid_status(5), `VmHWM`), so the last look before the end tells all but its last
            // moment.
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let memory = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix("kB"));
            let memory = memory.and_then(|kilobytes| kilobytes.trim().parse::<u64>().ok()).unwrap_or(0) * 1024;
            let disk = ["root/.local/state/fleetdeploy", "tmp"].map(|folder| size(&workstation.join(folder)));
            taken.memory = taken.memory.max(memory);
            taken.disk = taken.disk.max(disk.iter().sum());
            look_again();
        }
        taken
    };
    std::thread::scope(|scope| {
        let watcher = scope.spawn(look);
        let pushed = pushing.ended();
        is_over.store(true, Ordering::Relaxed);
        (pushed, watcher.join().unwrap())
    })
}

/// Bytes of all files in it; those that vanish meanwhile count nothing.
fn size(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let size_of = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => size(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    entries.map(size_of).sum()
}

/// The honest hosts run `old` as they did, have not restarted, and no guard is left on them.
fn assert_honest_on_old(fleet: &Fleet, why: &str) {
    for host in HONEST {
        let mut now = fleet.standing(host);
        // Of a run that is not over they keep its roots, for whoever ends it.
        let is_root =
            |place: &String| place.starts_with("/nix/var/nix/gcroots/") || place.starts_with("/nix/var/nix/temproots");
        let guard: Vec<String> = now
            .leftovers
            .iter()
            .filter(|place| place.contains("/armed-") || place.starts_with("unit "))
            .cloned()
            .collect();
        assert_eq!(guard, [""; 0], "{why}: {host} is still guarded");
        now.leftovers.retain(|place| !is_root(place) && !place.starts_with("/run/fleetdeploy"));
        assert_eq!(&now, fleet.before(host), "{why}: {host} does not stand as it did (left: now)");
    }
}

fn assert_not_committed(pushed: &Pushed, why: &str) {
    let hosts = pushed.finished().2;
    let committed: Vec<_> =
        hosts.iter().filter(|(_, end)| **end == HostOutcome::Committed).map(|(host, _)| host).collect();
    assert!(committed.is_empty(), "{why}: committed on {committed:?}");
}

/// The honest two are rolled back by the push, at once: none of them waits for its guard.
fn assert_rolled_back(pushed: &Pushed, why: &str) {
    assert_not_committed(pushed, why);
    for host in HONEST {
        assert_eq!(pushed.host(host), &HostOutcome::RolledBack { by_guard: false }, "{why}");
    }
}

/// Lies in the survey: nothing is touched then, and it is said why.
fn assert_refused(test: &str, whats: &[&str], wanted: &str) {
    let limits = "{connect: 6s, step: 6s, test: 20s, switch: 15s, rollback: 20s}";
    let fleet = taken_over(test, &Inventory { limits, ..Inventory::default() });
    for what in whats {
        lie(&fleet, "survey", what, "");
        eprintln!("--- {what}");
        let pushed = push(&fleet, "2");
        pushed.assert_ended(1, Outcome::Refused);
        pushed.assert_says(Some(LIAR), &[wanted]);
        assert!(pushed.took < seconds(60), "{what}: {:?}", pushed.took);
    }
    tell_the_truth(&fleet);
    fleet.assert_untouched();
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_survey_without_an_end_is_cut_off_refuses_the_push_and_fills_nothing() {
    let whats = ["endless-line", "endless-lines", "long-lines", "endless-stderr", "endless-noise", "many-units"];
    assert_refused("lies-survey", &whats, "said more to `survey` than any answer has, and was cut off");
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_survey_that_drips_or_never_closes_is_silence_and_refuses_the_push() {
    assert_refused("lies-drip", &["drip", "drip-lines", "never-closes"], "no answer from web to `survey` within");
}

/// Lies in `test`: all go back at once, and nobody waits for a guard.
fn assert_goes_back(test: &str, lies: &[(&str, &str)]) {
    let fleet = taken_over(test, &Inventory::default());
    for (what, edit) in lies {
        lie(&fleet, "test", what, edit);
        eprintln!("--- {what} {edit}");
        let pushed = push(&fleet, "2");
        pushed.assert_ended(1, Outcome::RolledBack);
        assert_rolled_back(&pushed, what);
        if *what == "endless-log" {
            pushed.assert_says(Some(LIAR), &["prints more than 2 MB: the rest is left out"]);
            let log = fleet.ws("cat /root/.local/state/fleetdeploy/runs/*/hosts/web.log");
            assert!(log.contains("the rest is left out"), "the log does not say that it was cut");
        }
    }
    tell_the_truth(&fleet);
    fleet.assert_untouched();
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_job_whose_log_has_no_end_rolls_back_the_others_at_once_and_fills_nothing() {
    assert_goes_back("lies-log", &[("endless-log", ""), ("long-lines", ""), ("endless-line", "")]);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_job_whose_answer_has_no_end_rolls_back_the_others_at_once() {
    assert_goes_back("lies-job", &[("endless-lines", ""), ("endless-stderr", ""), ("many-units", "")]);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_job_that_drips_or_says_no_rolls_back_the_others_at_once() {
    assert_goes_back("lies-no", &[("drip", ""), ("edit", &refuses("busy", "a switch is under way on this host"))]);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_round_of_probes_without_an_end_is_no_round() {
    let fleet = taken_over("lies-probe", &Inventory::default());
    for what in ["endless-lines", "drip-lines"] {
        lie(&fleet, "probe", what, "");
        eprintln!("--- {what}");
        // In the baseline already: nothing has been touched.
        let pushed = push(&fleet, "2");
        assert_not_committed(&pushed, what);
        assert!(matches!(pushed.status, Some(1)), "{what}: {:?}", pushed.finished());
    }
    tell_the_truth(&fleet);
    fleet.assert_untouched();
}

/// Short times, for tests that wait for a guard of the liar to fire, or for it never to come back.
fn impatient() -> Inventory<'static> {
    let limits = "{connect: 8s, step: 8s, test: 15s, switch: 12s, rollback: 12s}";
    Inventory { guard: "75s", boot_time: "20s", settle: "6s", limits, ..Inventory::default() }
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_host_that_drips_for_minutes_in_every_phase_holds_nobody_up() {
    let fleet = taken_over("lies-kept", &impatient());
    lie(&fleet, "kept", "drip", "");
    let pushed = push(&fleet, "2");
    pushed.assert_ended(3, Outcome::Split);
    assert_rolled_back(&pushed, "drip");
    assert!(matches!(pushed.host(LIAR), HostOutcome::Lost { .. }), "{:?}", pushed.host(LIAR));
    assert_honest_on_old(&fleet, "drip");
    // The others were back within seconds, while the guard of the liar still counted.
    let at = |wanted: &dyn Fn(&Event) -> bool| pushed.lines.iter().find(|line| wanted(&line.event)).unwrap().at;
    let begun = at(&|event| matches!(event, Event::RollBackStarted { .. }));
    let left = at(&|event| matches!(event, Event::LeftToGuard { host, .. } if host.as_str() == LIAR));
    for name in HONEST {
        let done =
            at(&|event| matches!(event, Event::HostDone { host, phase: Phase::RollBack } if host.as_str() == name));
        assert!(done < left, "{name} was not back before the liar was left to its guard");
        eprintln!("{name} was back after {:?}", done.duration_since(begun).unwrap());
    }
    // Once it answers again the run is ended, from here or from anywhere.
    tell_the_truth(&fleet);
    let recovered = fleet.recover("laptop", &["homelab"]);
    assert_eq!(recovered.status, Some(1), "{:?}", recovered.finished());
    assert_honest_on_old(&fleet, "recovered");
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_boot_id_that_is_not_its_own_rolls_back_the_others_and_takes_minutes_only_for_itself() {
    let fleet = taken_over("lies-boot-id", &impatient());
    let other = "0b5e55ed-0000-4000-8000-000000000000";
    lie(
        &fleet,
        "armed",
        "edit",
        &format!(r"s/^boot_id .*/boot_id {other}/; s/^\(host [0-9]* boot_id\) .*/\1 {other}/"),
    );
    let pushed = push(&fleet, "2");
    assert!(matches!(pushed.status, Some(1 | 3)), "{:?}", pushed.finished());
    assert_rolled_back(&pushed, "boot id");
    assert_honest_on_old(&fleet, "boot id");
}

/// A refusal of `test`, in the words of a step's answer.
fn refuses(reason: &str, text: &str) -> String {
    format!("s/^begun test$/refused {reason}\\ntext {text}/; /^printed /d; /^log /d; /^job /d")
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn one_hosts_word_that_the_run_is_not_ours_any_more_loses_that_host_and_not_the_fleet() {
    let fleet = taken_over("lies-lease", &impatient());
    let lies = [
        ("superseded", refuses("superseded", "mallory@evil has taken this run over")),
        ("ended", refuses("ended", "nothing of this run is left on this host: it has been ended")),
        ("held by another", refuses("foreign_lease", "run 20261128-120000-homelab-ffff of mallory holds this host")),
        ("an epoch of 14 digits", r"s/^\(lease\|fence\) \([^ ]*\) .*/\1 \2 99999999999999 mallory@evil/".to_owned()),
    ];
    for (what, edit) in lies {
        lie(&fleet, "test", "edit", &edit);
        eprintln!("--- {what}");
        let pushed = push(&fleet, "2");
        assert_rolled_back(&pushed, what);
        pushed.assert_ended(3, Outcome::Split);
        assert!(matches!(pushed.host(LIAR), HostOutcome::Lost { .. }), "{what}: {:?}", pushed.host(LIAR));
        assert_honest_on_old(&fleet, what);
        tell_the_truth(&fleet);
        let recovered = fleet.recover("laptop", &["homelab"]);
        assert_eq!(recovered.status, Some(1), "{what}: {:?}", recovered.finished());
        assert_honest_on_old(&fleet, what);
    }
}

/// In the survey, where nothing is touched yet, the same words refuse.
#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_lie_in_the_survey_touches_nobody() {
    let fleet = taken_over("lies-facts", &Inventory::default());
    let vps = fleet.before("vps").clone();
    let machine = fleet.host("vps", "cat /etc/machine-id");
    let another = format!("s/^boot_id .*/boot_id {}/; s/^machine_id .*/machine_id {}/", vps.boot_id, machine.trim());
    let run = "20261128-120000-homelab-ffff";
    for (what, edit) in [
        ("another host's machine and boot id", another),
        (
            "held by another run",
            format!("s/^guard .*/guard armed {run} 99/; s/^uptime .*/&\\nlease {run} 7 mallory@evil/"),
        ),
        ("an epoch of 14 digits", format!("s/^uptime .*/&\\nlease {run} 99999999999999 mallory@evil/")),
        ("a deadline of 10^14", format!("s/^guard .*/guard armed {run} 100000000000000/")),
        ("a survivor zzz", "s/^uptime .*/&\\nsurvivor zzz-homelab-0000\\nguard dead zzz 1/; /^guard none/d".to_owned()),
        ("a boot default that is not there", "/^boot_default /d".to_owned()),
        ("another boot default", format!("s|^boot_default .*|boot_default {}|", vps.current)),
        ("no room", "s/^free_store .*/free_store 1/".to_owned()),
    ] {
        lie(&fleet, "survey", "edit", &edit);
        eprintln!("--- {what}");
        let pushed = push(&fleet, "2");
        pushed.assert_ended(1, Outcome::Refused);
        assert!(!pushed.words(Some(LIAR)).is_empty(), "{what}: nothing is said of {LIAR}");
        tell_the_truth(&fleet);
        fleet.assert_untouched();
    }
}

/// A prober's line for every link there may be, of whichever host.
fn every_link(state: &str) -> String {
    let lines: Vec<String> = (0..40).map(|id| format!("probe \\1 {id} {state} 100 forged")).collect();
    format!("s/^done \\([0-9]*\\)$/{}\\n&/", lines.join("\\n"))
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn what_a_host_says_of_other_hosts_links_counts_for_nothing() {
    let checks = "- vpn: mesh\n- tcp: 8080\n  to: vps\n  from: homeserver";
    let mut fleet = taken_over("lies-links", &Inventory { checks, ..Inventory::default() });
    // Nothing answers there any more, and web says that it does.
    fleet.set("vps", "app", "false");
    lie(&fleet, "probe", "edit", &every_link("up"));
    let pushed = push(&fleet, "2");
    pushed.assert_ended(1, Outcome::RolledBack);
    assert_rolled_back(&pushed, "links up");
    fleet.assert_untouched();
    // All is well, and web says that nothing is.
    fleet.set("vps", "app", "null");
    lie(&fleet, "probe", "edit", &every_link("down"));
    let pushed = push(&fleet, "2");
    tell_the_truth(&fleet);
    for host in HONEST {
        let end = pushed.host(host);
        assert!(
            matches!(
                end,
                HostOutcome::Committed | HostOutcome::RolledBack { by_guard: false } | HostOutcome::Untouched
            ),
            "{end:?}"
        );
    }
    fleet.look();
}

/// What a host says of itself it only does to itself: the others are committed whole. Each row is a version, what is
/// claimed, and which scripts do nothing.
fn assert_harms_only_itself(test: &str, lies: &[(&str, &str, &str)]) {
    let mut fleet = taken_over(test, &Inventory::default());
    let paint = r"s/^host_name .*/host_name vps/; s/^uptime .*/&\nboot_note \x1b[2J\x1b]0;owned\x07\x9b31m/; s/^printed test /&\x1b[8m/";
    for (version, what, claims) in lies {
        eprintln!("--- {what}");
        for host in ALL {
            fleet.set(host, "version", &format!("\"{version}\""));
        }
        let claimed = format!("echo {} >/etc/lie.new; echo '{claims}' >/etc/lie.claims", fleet.system(LIAR));
        fleet.host(LIAR, &claimed);
        if claims.is_empty() {
            lie(&fleet, "always", "edit", paint);
        } else {
            lie(&fleet, "armed", "claim", "");
        }
        let pushed = push(&fleet, version);
        pushed.assert_ended(0, Outcome::Committed);
        let record =
            "cat /root/.local/state/fleetdeploy/runs/*/hosts/*.log /root/.local/state/fleetdeploy/runs/*/*.jsonl";
        let control = fleet.ws(record).chars().find(|letter| letter.is_control() && !"\n\t".contains(*letter));
        assert_eq!(control, None, "{what}: in the record");
        for host in HONEST {
            assert_eq!(pushed.host(host), &HostOutcome::Committed, "{what}");
            let expected = fleet.before(host).moved_to(&fleet.system(host));
            assert_eq!(fleet.standing(host), expected, "{what}: {host}");
        }
        // What it has done to itself is that its guard fires, now or later; it is not waited for here.
        fleet.power(LIAR, "cut");
        fleet.wait_until_up(LIAR);
        fleet.host(LIAR, "rm -rf /etc/lie /nix/var/nix/gcroots/fleetdeploy");
        fleet.look();
    }
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_host_that_paints_takes_another_s_name_or_keeps_its_guard_harms_itself() {
    let lies = [("2", "control characters, and another's name", ""), ("3", "the guard is disarmed", "disarm")];
    assert_harms_only_itself("lies-paint", &lies);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_host_that_does_nothing_of_what_it_says_it_did_harms_itself() {
    let lies = [("2", "the boot default has moved", "switch disarm"), ("3", "the test was done", "test switch disarm")];
    assert_harms_only_itself("lies-done", &lies);
}
