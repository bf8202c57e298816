//! What goes wrong between two looks at a host, and on the workstation just then: each is told with its code, and does
//! no harm.

use fleetdeploy::event::Outcome;
use pretty_assertions::assert_eq;

use crate::fleet::{Fleet, Setup};
use crate::inventory::Inventory;
use crate::pushed::Pushed;
use crate::reasons::assert_tells;
use crate::wait::{seconds, until};

const HOST: &str = "vps";

fn alone(test: &str, params: &str) -> Fleet {
    Fleet::made(test, &Setup { hosts: &[HOST], params, ..Setup::default() })
}

fn on_host(fleet: &Fleet, script: &str, words: &[&str]) {
    let begun = fleet.begin(HOST, script, words).wait_with_output().unwrap();
    assert!(begun.status.success(), "{script}: {begun:?}");
}

/// Root's login shell on the host is `liar.sh` from now on.
fn let_lie(fleet: &Fleet) {
    let install = "printf %s \"$1\" >/bin/liar; chmod 755 /bin/liar; usermod -s /bin/liar root";
    on_host(fleet, install, &[include_str!("liar.sh")]);
}

/// What happens when this script comes to the host; `with` is what it needs for that.
fn when(fleet: &Fleet, script: &str, what: &str, with: &str) {
    let write = "printf '%s\n' \"$2\" | tee /etc/lie.sed >/etc/lie.first; printf '%s\n' \"$1\" >/etc/lie";
    on_host(fleet, write, &[&format!("{script} {what}"), with]);
}

fn no_more(fleet: &Fleet) {
    fleet.host(HOST, "rm -f /etc/lie");
}

/// Gives a system on the host another program for some actions.
fn replace_program(fleet: &Fleet, system: &str, cases: &str) {
    let script = r#"cd "$1/bin" && { [ -e own ] || mv switch-to-configuration own; } &&
        printf '#!/bin/sh\ncase $1 in\n%s\nesac\nexec %s/bin/own "$@"\n' "$2" "$1" >new && chmod 755 new &&
        mv new switch-to-configuration"#;
    on_host(fleet, script, &[system, cases]);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn what_a_new_system_does_not_say_of_its_units_and_packages_is_said_to_be_unknown() {
    let fleet = alone("dry", "{}");
    let limits = "{connect: 10s, step: 10s, check: 2s, test: 2s, switch: 15s, rollback: 20s}";
    fleet.write_inventory(&Inventory { checks: "[]", limits, ..Inventory::default() });
    fleet.change(&[HOST]);
    let new = fleet.copy_by_hand(HOST);
    let plan = |outcome: Outcome, status: i32, wanted: &[&str]| {
        let planned = fleet.run_json(&["plan", "homelab", "--units"]);
        assert_tells(&planned, wanted);
        planned.assert_ended(status, outcome);
    };
    let unknown = |cases: &str, code: &str| {
        replace_program(&fleet, &new, cases);
        plan(Outcome::Planned, 0, &["units-not-known", code]);
    };
    unknown("dry-activate) echo 'it is tired' >&2; exit 3 ;;", "dry-failed");
    // Somebody was quicker.
    unknown("dry-activate) echo 'Could not acquire lock' >&2; exit 11 ;;", "switch-lock-held");
    unknown("dry-activate) exec sleep 60 ;;", "dry-timed-out");
    // A switch by hand begins while the plan is made.
    let lock = "/run/nixos/switch-to-configuration.lock";
    unknown(&format!("check) setsid flock {lock} sleep 60 >/dev/null 2>&1 & exit 0 ;;"), "dry-refused");
    fleet.host(HOST, "pkill -x flock; pkill -x sleep || true");
    let_lie(&fleet);
    replace_program(&fleet, &new, "");
    when(&fleet, "dry", "edit", "/^status /d");
    plan(Outcome::Planned, 0, &["units-not-known", "dry-answer-senseless"]);
    when(&fleet, "dry", "hangs-up", "");
    plan(Outcome::Planned, 0, &["units-not-known", "dry-not-asked"]);
    // The old system is on the host alone.
    let old = &fleet.before(HOST).current;
    fleet.ws(&format!("! [ -e {old} ] || nix-store --delete --ignore-liveness {old}"));
    when(&fleet, "compare", "hangs-up", "");
    let differing = fleet.query(&["diff", "homelab"]);
    assert_tells(&differing, &["differences-not-known"]);
    assert_eq!(differing.status, Some(0), "{}", differing.stdout);
    no_more(&fleet);
    replace_program(&fleet, &new, "check) exec sleep 60 ;;");
    plan(Outcome::Refused, 1, &["pre-switch-check-cut-off"]);
    fleet.assert_untouched();
}

/// Pushes with another `nix copy`, in which `$own` is Nix and all its words are as they were.
fn pushed_with(fleet: &Fleet, copy: &str, path: &str) -> Pushed {
    let own = fleet.ws("command -v nix");
    let script = format!(
        "#!/bin/sh\nown={}\ncase \" $* \" in\n*' copy '*) {copy} ;;\n*) exec \"$own\" \"$@\" ;;\nesac\n",
        own.trim()
    );
    fleet.ws("mkdir -p /root/odd");
    fleet.write("/root/odd/nix", &script);
    fleet.ws("chmod 755 /root/odd/nix");
    fleet.query_in(&[&format!("PATH=/root/odd:{path}")], &["push", "homelab"])
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_copy_that_does_not_come_to_its_end_refuses_the_push_and_one_that_was_collected_is_made_again() {
    let fleet = alone("copies", "{}");
    fleet.change(&[HOST]);
    let path = fleet.ws("printf %s \"$PATH\"");
    for (copy, limits, code) in [
        (
            "exec sleep 60",
            "{connect: 10s, step: 10s, copy: 4s, test: 20s, switch: 15s, rollback: 20s}",
            "copy-timed-out",
        ),
        // More than may be said takes a busy machine longer than that.
        ("exec yes 'nix says no such thing' >&2", Inventory::default().limits, "copy-too-talkative"),
    ] {
        fleet.write_inventory(&Inventory { checks: "[]", limits, ..Inventory::default() });
        let pushed = pushed_with(&fleet, copy, &path);
        assert_tells(&pushed, &[code]);
        pushed.assert_ended(1, Outcome::Refused);
    }
    // It is gone after the build, and there is no other.
    // Links would lead to a folder in which a nix is.
    let tool =
        "printf '#!/bin/sh\\nexec %s \"$@\"\\n' \"$(command -v $tool)\" >/root/few/$tool; chmod 755 /root/few/$tool";
    fleet.ws(&format!("mkdir -p /root/few; for tool in sh ssh nix-store rm cat; do {tool}; done"));
    let own = fleet.ws("command -v nix").trim().to_owned();
    let build = format!("{own} \"$@\"; end=$?; rm \"$0\"; exit $end");
    let script = format!("case \" $* \" in *' build '*) {build} ;; esac\nexec {own} \"$@\"\n");
    fleet.write("/root/few/nix", &format!("#!/bin/sh\n{script}"));
    fleet.ws("chmod 755 /root/few/nix");
    let program = fleet.ws("command -v fleetdeploy").trim().to_owned();
    let pushed = fleet.query_by(&["env", "PATH=/root/few", &program, "--json", "push", "homelab"]);
    assert_tells(&pushed, &["copy-not-started"]);
    pushed.assert_ended(1, Outcome::Refused);
    fleet.assert_untouched();
    // A garbage collection on the host, between the copy and the roots.
    let collect = r#""$own" "$@" || exit; for system; do :; done
        [ ! -e /root/collected ] || exit 0; : >/root/collected
        ssh root@198.51.100.10 nix-store --delete --ignore-liveness "$system" >&2"#;
    let pushed = pushed_with(&fleet, collect, &path);
    assert_tells(&pushed, &["collected-after-copy"]);
    pushed.assert_ended(0, Outcome::Committed);
    fleet.assert_on_new(&[HOST]);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn what_a_host_has_built_and_collected_before_it_had_a_root_is_built_once_more() {
    let mut fleet = Fleet::made("collects", &Setup { hosts: &[HOST, "web"], ..Setup::default() });
    let of_defaults = |defaults| Inventory { defaults, checks: "[]", ..Inventory::default() };
    let_lie(&fleet);
    fleet.write_inventory(&of_defaults("user: root\nbuild_on: target"));
    fleet.change(&[HOST]);
    // Each time just before the roots: the second time they are there.
    when(&fleet, "prepare", "first", "nix-collect-garbage");
    let pushed = fleet.push(&["homelab", "--on", HOST]);
    no_more(&fleet);
    assert_tells(&pushed, &["collected-after-copy"]);
    pushed.assert_ended(0, Outcome::Committed);
    fleet.assert_on_new(&[HOST]);
    fleet.look();

    // It is to be copied from where it was built.
    fleet.write_inventory(&of_defaults("user: root\nbuild_on: web"));
    fleet.set(HOST, "version", "\"3\"");
    let path = fleet.ws("printf %s \"$PATH\"");
    let collect = r#"[ -e /root/collected ] || { : >/root/collected; ssh root@198.51.100.30 nix-collect-garbage >&2; }
        exec "$own" "$@""#;
    let pushed = pushed_with(&fleet, collect, &path);
    assert_tells(&pushed, &["copied-again"]);
    pushed.assert_ended(0, Outcome::Committed);
    fleet.assert_on_new(&[HOST]);
}

const RUNS: &str = "/root/.local/state/fleetdeploy/runs";

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_guard_by_hand_that_is_not_armed_extended_or_disarmed_says_why() {
    // Its guard takes a while to bring it back, and does not reboot it.
    let fleet = alone("guards", r#"{"vps": {"activate": "slow:6"}}"#);
    let hosts = &[(HOST, "guard_action: switch-back")];
    fleet.write_inventory(&Inventory { checks: "[]", hosts, ..Inventory::default() });
    let_lie(&fleet);
    let ends = |word: &str, status: i32, wanted: &[&str]| {
        let ended = fleet.query(&["guard", word, "homelab"]);
        assert_tells(&ended, wanted);
        assert_eq!(ended.status, Some(status), "{word}: {}", ended.stdout);
    };
    let with_records_read_only = |word: &str| {
        let mount = format!("mkdir -p {RUNS} && mount --bind {RUNS} {RUNS} && mount -o remount,ro,bind {RUNS}");
        let script = format!("{mount} && exec fleetdeploy --json guard {word} homelab");
        fleet.query_by(&["unshare", "--mount", "sh", "-c", &script])
    };

    let armed = with_records_read_only("arm");
    assert_tells(&armed, &["guard-record-not-made"]);
    assert_eq!(armed.status, Some(1), "{}", armed.stdout);
    // The record vanishes while the host makes its roots, and cannot be made anew.
    when(&fleet, "prepare", "first", "until [ -e /run/go ]; do sleep 0.1; done");
    let arming = fleet.start_query(&["guard", "arm", "homelab"]);
    until(seconds(60), "the record is begun", || (!fleet.ws(&format!("ls {RUNS}")).is_empty()).then_some(()));
    fleet.ws(&format!("rm -r {RUNS} && echo 'in the way' >{RUNS}"));
    fleet.host(HOST, ": >/run/go");
    let armed = arming.ended();
    assert_tells(&armed, &["guard-not-recorded"]);
    assert_eq!(armed.status, Some(1), "{}", armed.stdout);
    fleet.ws(&format!("rm {RUNS}"));
    when(&fleet, "arm", "edit", "s/^guard armed .*/guard none/");
    ends("arm", 1, &["guard-not-armed", "guard-not-there", "guards-taken-back"]);
    no_more(&fleet);
    fleet.assert_untouched();

    ends("arm", 0, &[]);
    when(&fleet, "extend", "first", "systemctl stop fleetdeploy-guard || :");
    ends("extend", 1, &["guard-not-extended"]);
    // Something that the guard needs is still at work when it is to be cleaned up: the next time it is not.
    when(&fleet, "clean", "first", "systemd-run --unit fleetdeploy-job sleep 60");
    ends("disarm", 1, &["guard-not-cleaned-up"]);
    no_more(&fleet);
    fleet.host(HOST, "systemctl stop fleetdeploy-job");
    ends("disarm", 0, &[]);
    fleet.assert_untouched();

    ends("arm", 0, &[]);
    let disarmed = with_records_read_only("disarm");
    assert_tells(&disarmed, &["guard-end-not-recorded"]);
    assert_eq!(disarmed.status, Some(0), "{}", disarmed.stdout);
    fleet.assert_untouched();
    ends("disarm", 0, &[]);

    // It fires just when it is to be disarmed.
    ends("arm", 0, &[]);
    let fire = "cd /run/fleetdeploy/token && for token in armed-*; do mv \"$token\" \"fired-${token#armed-}\"; done";
    when(&fleet, "disarm", "first", fire);
    ends("disarm", 1, &["guard-not-disarmed"]);
    no_more(&fleet);
    ends("disarm", 1, &["guard-at-work"]);
    ends("extend", 1, &["guard-fired"]);
    until(seconds(60), "the guard has ended", || {
        (fleet.host(HOST, "systemctl is-active fleetdeploy-guard || :").trim() != "active").then_some(())
    });
    ends("disarm", 1, &["guard-brought-back"]);
    fleet.assert_untouched();
}
