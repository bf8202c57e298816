//! The guard alone, without a push: on time, whatever its host is busy with, and never once it is disarmed.

use std::time::Duration;

use fleetdeploy::facts::host::{GuardState, Uptime};
use fleetdeploy::facts::step_answer::StepOutcome;
use fleetdeploy::facts::traces::EndMark;
use fleetdeploy::inventory::model::{GuardAction, HostName};
use fleetdeploy::remote::answer::step_answer;
use fleetdeploy::remote::step::{Expected, RemoteStep, Speaker};
use pretty_assertions::assert_eq;

use crate::fleet::{Fleet, Setup, text};
use crate::wait::{seconds, until};

const RUN: &str = "20261122-120000-guard-0001";

/// Between the deadline and the firing, in whole seconds of the host's clock. The guard looks once a second; the rest
/// is for a machine that runs other hosts and tests beside this one.
const LATE: Uptime = 3;

/// Turns of the guard's ladder that a test cannot wait for: an orderly reboot has 3 s, a forced one 3 s more.
const PACE: [(&str, u64); 2] = [("reboot_patience", 3), ("force_patience", 3)];

fn speaker() -> Speaker {
    Speaker { run: RUN.to_owned(), epoch: 1 }
}

/// Arms a guard and answers with its deadline.
fn arm(fleet: &Fleet, host: &str, guard: Duration) -> Uptime {
    // As prepare leaves it: a host that holds nothing of a run is not armed for it.
    fleet.host(host, &format!("mkdir -p /nix/var/nix/gcroots/fleetdeploy/{RUN}"));
    let armed = step_answer(&fleet.step(host, &arming(fleet, host, guard))).unwrap();
    assert_eq!(armed.outcome, StepOutcome::Done);
    match armed.standing.guard {
        GuardState::Armed { run, deadline } if run == RUN => deadline,
        other => panic!("{host}: {other:?}"),
    }
}

fn arming(fleet: &Fleet, host: &str, guard: Duration) -> RemoteStep {
    RemoteStep::Arm {
        speaker: speaker(),
        owner: "test@laptop".to_owned(),
        boot_id: fleet.before(host).boot_id.clone(),
        expected: Expected::default(),
        latest: 99_999_999_999,
        guard,
        action: GuardAction::Reboot,
        pace: PACE.to_vec(),
        hosts: vec![HostName::new(host).unwrap()],
    }
}

/// What keeps a host busy until its guard fires, as a shell script that returns at once.
#[derive(Debug)]
struct Trouble {
    host: &'static str,
    name: &'static str,
    begin: &'static str,
}

const TROUBLES: [Trouble; 4] = [
    Trouble {
        host: "web",
        name: "daemon-reload and daemon-reexec in a loop",
        begin: "systemd-run -q --unit=loop -E PATH=\"$PATH\" \
                sh -c 'while :; do systemctl daemon-reload; sleep 0.1; systemctl daemon-reexec; sleep 0.1; done'",
    },
    // Its system has a unit that ignores SIGTERM and has no time limit for its stop.
    Trouble { host: "db", name: "a unit that refuses to stop", begin: "systemctl is-active stubborn" },
    Trouble {
        host: "mail",
        name: "an inhibitor that blocks every shutdown",
        begin: "systemd-run -q --unit=inhibitor -E PATH=\"$PATH\" \
                systemd-inhibit --what=shutdown --mode=block --who=test --why=test sleep infinity; \
                until systemd-inhibit --list --no-legend | grep -q 'shutdown.*block'; do sleep 0.1; done",
    },
    // Always killed first, as the biggest on a machine would be: a container's PID 1 is a process that can be killed.
    Trouble {
        host: "vps",
        name: "memory exhausted",
        begin: "systemd-run -q --unit=hog -E PATH=\"$PATH\" -p OOMPolicy=continue -p OOMScoreAdjust=1000 \
                sh -c 'for _ in 1 2 3; do (while :; do tail /dev/zero; done) & done; wait'",
    },
];

/// On every host profile and boot default have moved before, as in the middle of a switch: without the guard's care the
/// reboot would bring the new system.
#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_guard_fires_on_time_and_brings_the_old_system_back_whatever_its_host_is_busy_with() {
    let hosts = TROUBLES.map(|trouble| trouble.host);
    let params = r#"{"db": {"unit_never_stops": true}}"#;
    let fleet = Fleet::made("guard", &Setup { hosts: &hosts, params, ..Setup::default() });
    fleet.change(&hosts);
    let new = hosts.map(|host| fleet.copy_by_hand(host));
    let deadlines = hosts.map(|host| arm(&fleet, host, seconds(20)));
    for (trouble, new) in TROUBLES.iter().zip(&new) {
        fleet.host(
            trouble.host,
            &format!("nix-env -p /nix/var/nix/profiles/system --set {new} && {new}/bin/switch-to-configuration boot"),
        );
        let now = fleet.standing(trouble.host);
        assert_eq!(
            (&now.profile, &now.boot_default),
            (new, new),
            "{trouble:?}: nothing has moved, so nothing is shown"
        );
        if trouble.host == "vps" {
            fleet.memory("vps", 32);
        }
        fleet.host(trouble.host, trouble.begin);
    }
    for (trouble, deadline) in TROUBLES.iter().zip(deadlines) {
        until(seconds(90), trouble.name, || (fleet.boots(trouble.host) == 2).then_some(()));
        let (now, before) = (fleet.standing(trouble.host), fleet.before(trouble.host));
        assert_eq!(
            [&now.current, &now.profile, &now.boot_default],
            [&before.current, &before.profile, &before.boot_default],
            "{trouble:?}"
        );
        let trace = fleet.host(trouble.host, &format!("cat /nix/var/nix/gcroots/fleetdeploy/{RUN}/trace"));
        let (fired, due) = fired_and_due(&trace);
        assert_eq!(due, deadline, "{trouble:?}: {trace}");
        assert!((deadline..=deadline + LATE).contains(&fired), "{trouble:?}: due at {deadline}: {trace}");
    }
}

/// Reads the trace's first line: `... fired 1234 s after the boot, due at 1233 s; ...`
fn fired_and_due(trace: &str) -> (Uptime, Uptime) {
    let number = |after: &str| {
        let (_, rest) = trace.split_once(after).unwrap_or_else(|| panic!("no `{after}` in: {trace}"));
        rest.split_once(" s").unwrap().0.parse().unwrap()
    };
    (number(" fired "), number("due at "))
}

/// Arms and disarms over and over. In every tenth round the guard is the unit that `arm` makes of it, `disarm` is the
/// script's own function, and it comes anywhere in the last second before the deadline; it may come too late, then it
/// says so and the round does not count. In the others, which would take minutes otherwise, the guard's program is a
/// plain process, and only the token is moved, which is what decides.
const LOOP: &str = r#"
owner=test run=$1 epoch=1 wanted=$2 disarmed=0 fired=0
take_back() {
    read_token
    move_token armed "disarmed-$token_deadline" || refuse fired "too late"
}
read_boot_id
while [ "$disarmed" -lt "$wanted" ]; do
    read_token
    read_uptime
    deadline=$((uptime + 1))
    rm -f "$place/fired-at"
    mv -T "$place/token/$token_state-$token_deadline" "$place/token/armed-$deadline" || exit
    if [ $(((disarmed + fired) % 10)) = 0 ]; then
        guard=''
        start_guard >/dev/null
        sleep "0.$(((disarmed + fired) * 37 % 90 + 10))"
        said=$(with_lock disarm "$run" 1 "$boot_id" - - -)
    else
        /bin/sh "$place/guard.sh" &
        guard=$!
        said=$(with_lock take_back)
    fi
    read_token
    case $said:$token_state in
    :disarmed)
        disarmed=$((disarmed + 1))
        [ -z "$guard" ] || kill "$guard" 2>/dev/null
        [ ! -e "$place/fired-at" ] || { echo "round $disarmed: disarmed, and it has fired" && exit 1; }
        ;;
    *"refused fired"*:fired)
        fired=$((fired + 1))
        while unit_lives fleetdeploy-guard.service; do sleep 0.05; done
        ;;
    *) echo "round $disarmed: the token is $token_state-$token_deadline, due at $deadline, after: $said" && exit 1 ;;
    esac
    [ -z "$guard" ] || wait "$guard"
done
# Past the last deadline of all.
while read_uptime && [ "$uptime" -lt $((deadline + 3)) ]; do sleep 0.2; done
read_token
echo "$disarmed disarmed, $token_state at the end"
echo "$fired had fired before" >&2
"#;

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_guard_that_was_disarmed_a_thousand_times_has_never_fired() {
    let hosts = ["vps", "web", "mail", "db"];
    let fleet = Fleet::made("disarmed", &Setup { hosts: &hosts, ..Setup::default() });
    let children = hosts.map(|host| {
        arm(&fleet, host, seconds(600));
        let functions = [&arming(&fleet, host, seconds(600)), &disarming(&fleet, host)].map(functions);
        // By way of a file: one argument may have 128 KiB. Source: execve(2), MAX_ARG_STRLEN.
        let file = fleet.place().join("hosts").join(host).join("root/root/loop.sh");
        std::fs::write(file, format!("{}\n{}\n{LOOP}", functions[0], functions[1])).unwrap();
        fleet.begin(host, ". /root/loop.sh", &[RUN, "250"])
    });
    for (host, child) in hosts.iter().zip(children) {
        let output = child.wait_with_output().unwrap();
        let said = (text(&output.stdout), text(&output.stderr));
        assert_eq!(said.0, "250 disarmed, disarmed at the end\n", "{host}: {}", said.1);
        eprintln!("{host}: {}", said.1.trim());
        let cleaned =
            step_answer(&fleet.step(host, &RemoteStep::Clean { speaker: speaker(), mark: EndMark::default() }))
                .unwrap();
        assert_eq!(cleaned.outcome, StepOutcome::Done, "{host}");
    }
    fleet.assert_untouched();
}

fn disarming(fleet: &Fleet, host: &str) -> RemoteStep {
    let boot_id = fleet.before(host).boot_id.clone();
    RemoteStep::Disarm { speaker: speaker(), boot_id, expected: Expected::default() }
}

/// A script's functions without the call of its `main`.
fn functions(step: &RemoteStep) -> String {
    let text = step.script().text;
    let (functions, _call) = text.trim_end().rsplit_once('\n').expect("the call has a line of its own");
    format!("{functions}\n")
}
