//! What a run needs on the workstation vanishes or fills up while it runs: each of it, in each phase.
//!
//! Before the first guard is armed the push refuses and names it. From then on it goes on where it can, or goes back.

use fleetdeploy::event::{Event, Outcome, Phase};

use crate::fleet::{Fleet, text};
use crate::inventory::Inventory;
use crate::pushed::Pushed;
use crate::wait::{seconds, until};

const BOTH: [&str; 2] = ["vps", "homeserver"];

const RECORDS: &str = "/root/.local/state/fleetdeploy";

/// When it happens. Phases that touch no host are over in a moment: what happens at the beginning of one may take
/// effect in the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Moment {
    Build,
    Copy,
    Baseline,
    Arm,
    Test,
    Verify,
    Switch,
    Disarm,
    RollBack,
}

impl Moment {
    const ALL: [Self; 9] = [
        Self::Build,
        Self::Copy,
        Self::Baseline,
        Self::Arm,
        Self::Test,
        Self::Verify,
        Self::Switch,
        Self::Disarm,
        Self::RollBack,
    ];

    fn phase(self) -> Phase {
        match self {
            Self::Build => Phase::Build,
            Self::Copy => Phase::Copy,
            Self::Baseline => Phase::Baseline,
            Self::Arm => Phase::Arm,
            Self::Test => Phase::Test,
            Self::Verify => Phase::Verify,
            Self::Switch => Phase::Switch,
            Self::Disarm => Phase::Disarm,
            Self::RollBack => Phase::RollBack,
        }
    }
}

/// How a push may end, and what it must say then.
#[derive(Debug, Clone, Copy)]
enum End {
    Committed(&'static [&'static str]),
    Refused(&'static [&'static str]),
    /// By itself or by the guards.
    RolledBack(&'static [&'static str]),
    /// The guards bring the hosts back, and the run cannot see it.
    LeftToGuards(&'static [&'static str]),
}

impl End {
    fn is_of(self, outcome: Outcome) -> bool {
        match self {
            Self::Committed(_) => outcome == Outcome::Committed,
            Self::Refused(_) => outcome == Outcome::Refused,
            Self::RolledBack(_) => outcome == Outcome::RolledBack,
            Self::LeftToGuards(_) => outcome == Outcome::Split,
        }
    }

    fn words(self) -> &'static [&'static str] {
        match self {
            Self::Committed(words) | Self::Refused(words) | Self::RolledBack(words) | Self::LeftToGuards(words) => {
                words
            }
        }
    }
}

/// A fleet whose workstation loses something in every phase, and gets it back after each push.
struct Station {
    fleet: Fleet,
    version: u32,
}

impl Station {
    fn up(test: &str) -> Self {
        let fleet = Fleet::up(test);
        // Guards that are waited for, as short as limits that a loaded machine keeps let them be.
        let limits = "{connect: 8s, step: 8s, test: 15s, switch: 6s, rollback: 12s}";
        fleet.write_inventory(&Inventory { guard: "60s", settle: "5s", limits, ..Inventory::default() });
        Self { fleet, version: 1 }
    }

    fn on_machine(&self, script: &str) -> String {
        let root = self.fleet.workstation();
        let said = std::process::Command::new("sh").args(["-euc", script, "sh"]).arg(&root).output().unwrap();
        assert!(said.status.success(), "{script}: {}", text(&said.stderr));
        text(&said.stdout)
    }

    /// Pushes, does `loses` at the moment, `regains` it after the end, and holds what every push must hold.
    fn push(
        &mut self,
        moment: Moment,
        loses: impl Fn(&Self),
        regains: impl Fn(&Self),
        ends: impl Fn(Moment) -> Vec<End>,
    ) -> Pushed {
        self.version += 1;
        let boots = BOTH.map(|host| self.fleet.boots(host));
        for host in BOTH {
            self.fleet.set(host, "version", &format!("\"{}\"", self.version));
        }
        // So long that what happens in it happens in it, and in the other case it fails.
        let activates = if moment == Moment::RollBack { "\"fails\"" } else { "\"slow:2\"" };
        self.fleet.set("vps", "activate", activates);
        self.fleet.forget_logs();
        let push = self.fleet.start(&["homelab"]);
        push.wait_for_phase(moment.phase());
        loses(self);
        let pushed = push.ended();
        regains(self);
        let ends = ends(moment);
        let (outcome, why, _) = pushed.finished();
        let words = pushed.words(None);
        let says = |end: &&End| end.words().iter().all(|wanted| words.contains(wanted));
        let end = ends.iter().filter(|end| end.is_of(outcome)).find(says);
        let end = end.unwrap_or_else(|| panic!("{moment:?}: {outcome:?}, {why}, and not {ends:?}:\n{words}"));
        assert_eq!(pushed.guard_was_armed("vps"), outcome != Outcome::Refused, "{moment:?}: {words}");
        if let End::LeftToGuards(_) = end {
            for (host, before) in BOTH.iter().zip(boots) {
                let back = || (self.fleet.boots(host) == before + 1).then_some(());
                until(seconds(150), &format!("{host} is brought back by its guard"), back);
            }
            let recovered = self.fleet.recover("laptop", &["homelab"]);
            recovered.assert_ended(1, Outcome::RolledBack);
        }
        if outcome == Outcome::Committed {
            self.fleet.assert_on_new(&BOTH);
        } else {
            let restarted = |(host, before): (&&'static str, u32)| (self.fleet.boots(host) > before).then_some(*host);
            let restarted: Vec<&str> = BOTH.iter().zip(boots).filter_map(restarted).collect();
            self.fleet.assert_on_old(&restarted);
        }
        self.fleet.look();
        pushed
    }

    fn in_every_phase(
        &mut self,
        loses: impl Fn(&Self),
        regains: impl Fn(&Self),
        ends: impl Fn(Moment) -> Vec<End>,
        holds: impl Fn(&Self, Moment, &Pushed),
    ) {
        self.in_phases(&Moment::ALL, loses, regains, ends, holds);
    }

    /// The same in each of these phases.
    fn in_phases(
        &mut self,
        moments: &[Moment],
        loses: impl Fn(&Self),
        regains: impl Fn(&Self),
        ends: impl Fn(Moment) -> Vec<End>,
        holds: impl Fn(&Self, Moment, &Pushed),
    ) {
        for moment in moments.iter().copied() {
            let pushed = self.push(moment, &loses, &regains, &ends);
            holds(self, moment, &pushed);
        }
    }
}

/// As if nothing had happened.
fn as_ever(says: &'static [&'static str]) -> impl Fn(Moment) -> Vec<End> {
    move |moment| match moment {
        Moment::RollBack => vec![End::RolledBack(says)],
        _ => vec![End::Committed(says)],
    }
}

fn nothing(_: &Station) {}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_record_that_is_deleted_is_made_anew_in_every_phase() {
    let mut station = Station::up("no-record");
    let deletes = |station: &Station| {
        // The push may make it anew while it is being deleted.
        station.fleet.ws(&format!("until rm -rf {RECORDS}; do :; done"));
    };
    station.in_every_phase(
        deletes,
        nothing,
        as_ever(&["the record of this run was deleted while it went on"]),
        |station, moment, pushed| {
            let outcome = serde_json::to_string(&pushed.finished().0).unwrap();
            let last = station.fleet.ws(&format!("tail -n 1 {RECORDS}/runs/*/journal.jsonl"));
            assert!(last.contains("\"finished\"") && last.contains(&outcome), "{moment:?}: {last}");
            let whole = format!("cd {RECORDS}/runs/*/ && grep -c started journal.jsonl && ls plan.json hosts.json");
            assert!(station.fleet.ws(&whole).starts_with('1'), "{moment:?}");
            let open = station.fleet.ws(&format!("find {RECORDS}/runs/*/ -perm /077 ! -type l ! -path '*/systems*'"));
            assert_eq!(open, "", "{moment:?}: others can read it");
        },
    );
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_disk_that_gets_full_under_the_record_stops_no_push_that_is_armed() {
    let mut station = Station::up("full-record");
    station.on_machine(&format!("mkdir -p $1{RECORDS}; mount -t tmpfs -o size=4m,mode=0700 none $1{RECORDS}"));
    let fills = |station: &Station| {
        station.fleet.ws(&format!("cat /dev/zero >{RECORDS}/full 2>/dev/null || true"));
    };
    let frees = |station: &Station| {
        station.fleet.ws(&format!("rm -f {RECORDS}/full"));
    };
    let ends = |moment| match moment {
        // The plan is written just before the guards are armed, and that moment may have passed.
        Moment::Build | Moment::Copy => vec![End::Refused(&["No space left on device"])],
        Moment::Baseline => vec![End::Refused(&["No space left on device"]), End::Committed(&[])],
        Moment::RollBack => vec![End::RolledBack(&[])],
        _ => vec![End::Committed(&[])],
    };
    station.in_every_phase(fills, frees, ends, |station, moment, pushed| {
        // The last page of a file may have room for a few events.
        if (Moment::Arm..=Moment::Test).contains(&moment) {
            let lost = pushed.has(|event| matches!(event, Event::EventsLost { why, .. } if why.contains("No space")));
            assert!(lost, "{moment:?}: {}", pushed.words(None));
        }
        station.fleet.ws(&format!("rm -rf {RECORDS}/runs"));
    });
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_record_that_cannot_be_written_takes_back_what_is_not_decided_and_ends_what_is() {
    let mut station = Station::up("read-only-record");
    station.on_machine(&format!("mkdir -p $1{RECORDS}; mount -t tmpfs -o size=4m,mode=0700 none $1{RECORDS}"));
    // What is open to be written keeps a file system from it, so a record of another kind stands in the journal's
    // place.
    let spoils = |station: &Station| {
        station.fleet.ws(&format!("cd {RECORDS}/runs/*/ && mkdir other && mv --exchange -T other journal.jsonl"));
    };
    let mends = |station: &Station| {
        station.fleet.ws(&format!("rm -rf {RECORDS}/runs"));
    };
    let says = &["cannot write the record at", "another file stands in its place"];
    let ends = |moment| match moment {
        Moment::Build | Moment::Copy => vec![End::Refused(says)],
        Moment::Baseline => vec![End::Refused(says), End::RolledBack(says)],
        Moment::Disarm => vec![End::Committed(says)],
        _ => vec![End::RolledBack(says)],
    };
    station.in_every_phase(spoils, mends, ends, |_, _, _| {});
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn sockets_that_are_removed_are_made_anew_in_every_phase() {
    let mut station = Station::up("no-sockets");
    let removes = |station: &Station| {
        station.fleet.ws("find /tmp -path '/tmp/fleetdeploy-*' -type s -delete");
    };
    station.in_every_phase(removes, nothing, as_ever(&[]), |_, _, _| {});
}

fn with_full_tmp(test: &str, moments: &[Moment]) {
    let mut station = Station::up(test);
    station.on_machine("mount -t tmpfs -o size=4m,mode=1777 none $1/tmp");
    let frees = |station: &Station| {
        station.fleet.ws("rm -f /tmp/full");
    };
    // Nix builds there; and the first login writes down what it trusted.
    let ends = |moment| match moment {
        Moment::Build => vec![End::Refused(&["No space left on device"]), End::Committed(&[])],
        moment => as_ever(&[])(moment),
    };
    station.in_phases(moments, fill_tmp, frees, ends, |_, _, _| {});
}

fn fill_tmp(station: &Station) {
    station.fleet.ws("cat /dev/zero >/tmp/full 2>/dev/null || true");
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_tmp_that_gets_full_before_guards_are_armed_stops_nothing() {
    with_full_tmp("full-tmp-early", &Moment::ALL[..4]);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_tmp_that_gets_full_under_guards_stops_nothing() {
    with_full_tmp("full-tmp-late", &Moment::ALL[4..]);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_tmp_that_is_full_when_a_run_begins_is_named() {
    let station = Station::up("full-tmp");
    station.on_machine("mount -t tmpfs -o size=4m,mode=1777 none $1/tmp");
    fill_tmp(&station);
    let refused = station.fleet.plain(&["push", "homelab"]);
    assert_eq!(refused.status, Some(1), "{}", refused.stderr);
    assert!(refused.stderr.contains("No space left on device"), "{}", refused.stderr);
    // The folder, its lock, the room and the config take the last inodes, and sockets find none.
    station.on_machine("umount $1/tmp; mount -t tmpfs -o nr_inodes=5,mode=1777 none $1/tmp");
    let asked = station.fleet.run_json(&["status", "homelab"]);
    let says = "cannot be used on this workstation: No space left on device";
    assert!(asked.stdout.contains(says), "{}", asked.stdout);
    station.fleet.assert_untouched();
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn an_ssh_and_a_nix_that_move_out_of_path_are_found_where_they_were() {
    let mut station = Station::up("moved-programs");
    // As on NixOS: PATH leads to links.
    station.fleet.ws("mkdir /opt/store; for program in ssh nix; do mv /usr/bin/$program /opt/store/$program; \
         ln -s /opt/store/$program /usr/bin/$program; done; ln -s nix /opt/store/nix-store");
    let moves = |station: &Station| {
        station.fleet.ws("rm /usr/bin/ssh /usr/bin/nix");
    };
    let links = |station: &Station| {
        station.fleet.ws("ln -s /opt/store/ssh /opt/store/nix /usr/bin");
    };
    station.in_every_phase(moves, links, as_ever(&[]), |_, _, _| {});
}

/// The phases after which no guard has to be waited for. Of the others each has a test of its own.
const SOON: [Moment; 5] = [Moment::Build, Moment::Copy, Moment::Baseline, Moment::Switch, Moment::Disarm];

fn without_ssh(test: &str, moments: &[Moment]) {
    let mut station = Station::up(test);
    let goes = |station: &Station| {
        station.fleet.ws("mv /usr/bin/ssh /opt/");
    };
    let comes = |station: &Station| {
        station.fleet.ws("mv /opt/ssh /usr/bin/");
    };
    let ends = |moment| {
        let mut ends = no_new_login(moment, &["cannot run ssh"]);
        if moment <= Moment::Copy {
            // Nix looks for it, too.
            ends.push(End::Refused(&["Could not find executable 'ssh'"]));
        }
        ends
    };
    station.in_phases(moments, goes, comes, ends, |_, _, _| {});
}

fn without_agent(test: &str, moments: &[Moment]) {
    let mut station = Station::up(test);
    let starts = |station: &Station| {
        station.fleet.ws("eval $(ssh-agent -a /root/agent.sock) >/dev/null; echo $SSH_AGENT_PID >/root/agent.pid; \
             SSH_AUTH_SOCK=/root/agent.sock ssh-add -q /root/key 2>/dev/null");
    };
    station.fleet.ws("mv /root/.ssh/id_ed25519 /root/key; \
         { echo 'IdentityAgent /root/agent.sock'; cat /root/.ssh/config 2>/dev/null; } >/root/.ssh/new; \
         mv /root/.ssh/new /root/.ssh/config");
    starts(&station);
    let ends = |station: &Station| {
        station.fleet.ws("SSH_AUTH_SOCK=/root/agent.sock SSH_AGENT_PID=$(cat /root/agent.pid) ssh-agent -k >/dev/null");
        until(seconds(60), "the end of the agent", || {
            (station.fleet.ws("test -e /root/agent.sock && echo there || true").trim() != "there").then_some(())
        });
    };
    let says = &["the ssh agent of this workstation fails: No such file or directory"];
    station.in_phases(moments, ends, starts, |moment| no_new_login(moment, says), |_, _, _| {});
}

/// What may come of it where no new login can be made any more, from this moment on.
fn no_new_login(moment: Moment, says: &'static [&'static str]) -> Vec<End> {
    match moment {
        Moment::Build | Moment::Copy => vec![End::Refused(says)],
        // The baseline's own login may have been made.
        Moment::Baseline => vec![End::Refused(says), End::LeftToGuards(says)],
        Moment::Arm | Moment::Test => vec![End::LeftToGuards(says)],
        // Its new login may have been made.
        Moment::Verify => vec![End::LeftToGuards(says), End::Committed(&[])],
        Moment::Switch | Moment::Disarm => vec![End::Committed(&[])],
        Moment::RollBack => vec![End::LeftToGuards(says), End::RolledBack(&[])],
    }
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn an_ssh_that_is_gone_is_named_before_guards_are_armed_and_is_not_missed_after_the_proof() {
    without_ssh("no-ssh-soon", &SOON);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn an_ssh_that_is_gone_in_arm_leaves_each_host_to_its_guard() {
    without_ssh("no-ssh-arm", &[Moment::Arm]);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn an_ssh_that_is_gone_in_test_leaves_each_host_to_its_guard() {
    without_ssh("no-ssh-test", &[Moment::Test]);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn an_ssh_that_is_gone_in_verify_leaves_each_host_to_its_guard() {
    without_ssh("no-ssh-verify", &[Moment::Verify]);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn an_ssh_that_is_gone_in_roll_back_leaves_each_host_to_its_guard() {
    without_ssh("no-ssh-roll-back", &[Moment::RollBack]);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn an_agent_that_ends_is_named_before_guards_are_armed_and_is_not_missed_after_the_proof() {
    without_agent("no-agent-soon", &SOON);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn an_agent_that_ends_in_arm_leaves_each_host_to_its_guard() {
    without_agent("no-agent-arm", &[Moment::Arm]);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn an_agent_that_ends_in_test_leaves_each_host_to_its_guard() {
    without_agent("no-agent-test", &[Moment::Test]);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn an_agent_that_ends_in_verify_leaves_each_host_to_its_guard() {
    without_agent("no-agent-verify", &[Moment::Verify]);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn an_agent_that_ends_in_roll_back_leaves_each_host_to_its_guard() {
    without_agent("no-agent-roll-back", &[Moment::RollBack]);
}
