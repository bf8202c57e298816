//! What must always hold (DESIGN.md section 9), looked at after each step of the world. The numbers are that section's.

use fleetdeploy::decide::fact::{GuardState, JobKind, Standing, StepOutcome};
use fleetdeploy::decide::vocabulary::{Entry, Verdict};
use fleetdeploy::engine::driver::Ended;
use fleetdeploy::event::{HostOutcome, Outcome};
use fleetdeploy::remote::step::Step as RemoteStep;

use crate::host::{Ms, Power, RunFolder, Stand, Sys, Token, Work};
use crate::scenario::Flaw;
use crate::world::{Message, World, millis};

/// A flaw that showed so long before the decision must have been seen: three rounds, each of 5 s at the longest, with
/// a pause between.
const SEEN_BY_THEN: Ms = 20_000;

/// A host that could be asked for so long was asked.
const LONG: Ms = 60_000;

/// What the checks remember.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) violations: Vec<String>,
    pub(crate) fired: Vec<bool>,
    pub(crate) meddled: Vec<bool>,
    /// A power cut between two writes left its profile and its boot default apart.
    torn: Vec<bool>,
    armed: Vec<bool>,
    tested: Vec<bool>,
    /// It has answered that it is wholly on new, or on old, and unguarded.
    said_new: Vec<bool>,
    said_old: Vec<bool>,
    pub(crate) disarmed_for_commit: bool,
    /// A host restarted by itself after its boot default had moved.
    pub(crate) restarted_moved: bool,
    pub(crate) crashed: Vec<bool>,
}

impl Seen {
    pub(crate) fn new(hosts: usize) -> Self {
        let none = || vec![false; hosts];
        Self {
            violations: Vec::new(),
            fired: none(),
            meddled: none(),
            torn: none(),
            armed: none(),
            tested: none(),
            said_new: none(),
            said_old: none(),
            disarmed_for_commit: false,
            restarted_moved: false,
            crashed: none(),
        }
    }
}

impl World {
    pub(crate) fn violated(&mut self, text: String) {
        self.say(|| format!("VIOLATION {text}"));
        self.seen.violations.push(text);
    }

    fn changing(&self) -> Vec<usize> {
        self.scenario.plan.changing().map(|host| host.0).collect()
    }

    fn guard_waits(&self, host: usize) -> bool {
        self.hosts[host].run.guard_lives || matches!(self.hosts[host].run.token, Token::Armed(_))
    }

    /// 3, at the workstation: no forward step goes out past its safe time.
    pub(crate) fn check_sent(&mut self, station: usize, host: usize, command: &RemoteStep) {
        match command {
            RemoteStep::Job { kind, limit, .. } if *kind != JobKind::Rollback => {
                if let Token::Armed(deadline) = self.hosts[host].run.token {
                    let fires = self.hosts[host].moment_of(deadline);
                    if self.now + millis(*limit) > fires {
                        self.violated(format!("3: {} was sent to host{host} past its safe time", kind.word()));
                    }
                }
            }
            RemoteStep::Disarm { expected, .. }
                if expected.current == Some(Sys::New.path())
                    && !self.stations[station].has_recorded(&Entry::Disarming) =>
            {
                self.violated(format!("2: disarm for commit was sent to host{host} without its entry"));
            }
            _ => {}
        }
    }

    pub(crate) fn before(&self, host: usize) -> RunFolder {
        self.hosts[host].run.clone()
    }

    /// 1 and 8: what a command may not do, whatever it is.
    pub(crate) fn check_executed(&mut self, message: &Message, before: &RunFolder) {
        let host = message.host;
        let (RemoteStep::Arm { speaker, .. }
        | RemoteStep::TakeOver { speaker, .. }
        | RemoteStep::Extend { speaker, .. }
        | RemoteStep::Job { speaker, .. }
        | RemoteStep::Disarm { speaker, .. }
        | RemoteStep::Clean { speaker }) = &message.command
        else {
            return;
        };
        let after = &self.hosts[host].run;
        let changed = after.token != before.token || after.lease != before.lease;
        let foreign = before.lease.as_ref().is_some_and(|lease| lease.run != speaker.run);
        let older = before.lease.as_ref().is_some_and(|lease| lease.run == speaker.run && lease.epoch > speaker.epoch);
        let (was, is) = (before.token, after.token);
        if changed && foreign {
            self.violated(format!("8: a command changed host{host}, which another run holds"));
        } else if changed && older {
            self.violated(format!("8: a coordinator that was taken over changed host{host}"));
        }
        if let (Token::Armed(_), Token::Disarmed(_)) = (was, is) {
            let stand = self.hosts[host].stand;
            if stand == Stand::all(Sys::New) {
                self.seen.disarmed_for_commit = true;
            } else if stand != Stand::all(Sys::Old) {
                self.violated(format!("1: host{host} was disarmed on {stand:?}"));
            }
        }
        if let Token::Armed(_) = is {
            self.seen.armed[host] = true;
        }
    }

    /// 2 and 3, on the host: no step starts without this run's armed guard.
    pub(crate) fn check_begun(&mut self, host: usize, kind: JobKind) {
        let run = &self.hosts[host].run;
        let guarded = matches!(run.token, Token::Armed(_)) && run.guard_lives;
        if !guarded {
            self.violated(format!("3: {} began on host{host} without an armed guard", kind.word()));
        }
        if kind == JobKind::Test && !self.changing().iter().all(|host| self.seen.armed[*host]) {
            self.violated(format!("5: test began on host{host} before every host was armed"));
        }
    }

    pub(crate) fn check_ended(&mut self, host: usize, kind: JobKind, work: Work) {
        if kind == JobKind::Test && matches!(work, Work::Exited(0)) {
            self.seen.tested[host] = true;
        }
    }

    /// 2: no host's boot default moves before every host was armed, tested and verified.
    pub(crate) fn check_boot_default_moved(&mut self, host: usize) {
        let decided = self.stations.iter().any(|station| station.has_recorded(&Entry::Decided));
        let tested = self.changing().iter().all(|host| self.seen.tested[*host]);
        if !decided || !tested {
            self.violated(format!("2: host{host}'s boot default moved (decided: {decided}, all tested: {tested})"));
        }
    }

    /// 2 and 4: what was there to be seen when the decision was made.
    pub(crate) fn check_recorded(&mut self, entry: &Entry) {
        if *entry != Entry::Decided {
            return;
        }
        for host in self.changing() {
            for flaw in [Flaw::Deaf, Flaw::NoLogin, Flaw::Unit] {
                // A login is looked at once, when verify begins.
                let once = flaw == Flaw::NoLogin;
                let since = self.has_since(host, flaw);
                if since.is_some_and(|since| !once && since + SEEN_BY_THEN < self.now) {
                    self.violated(format!("2: decided although host{host} has {flaw:?}"));
                }
            }
        }
    }

    pub(crate) fn check_said(&mut self, host: usize, _: &StepOutcome, standing: &Standing) {
        let guarded = matches!(standing.guard, GuardState::Armed { .. } | GuardState::Dead { .. })
            || self.hosts[host].run.guard_lives;
        if !guarded {
            self.seen.said_new[host] |= standing.systems == Stand::all(Sys::New).systems();
            self.seen.said_old[host] |= standing.systems == Stand::all(Sys::Old).systems();
        }
    }

    pub(crate) fn check_crash(&mut self, host: usize) {
        let stand = self.hosts[host].stand;
        self.seen.crashed[host] = true;
        self.seen.restarted_moved |= stand.boot == Sys::New;
        self.seen.torn[host] |= stand.profile != stand.boot;
    }

    /// 1: at rest a host is on one system, or on what it was on.
    pub(crate) fn check_hosts_at_rest(&mut self) {
        for host in 0..self.hosts.len() {
            let Stand { current, profile, boot } = self.hosts[host].stand;
            let one = current == boot && profile == boot;
            if !one && self.hosts[host].is_at_rest() && !self.seen.torn[host] && !self.seen.meddled[host] {
                // Once is enough.
                self.seen.torn[host] = true;
                self.violated(format!("1: host{host} rests on {:?}", self.hosts[host].stand));
            }
        }
    }

    /// 6: what is said at the end is what was seen.
    pub(crate) fn check_verdict(&mut self, ended: &Ended) {
        let Ended::Verdict(verdict) = ended else { return };
        for host in self.changing() {
            let (said_new, said_old) = (self.seen.said_new[host], self.seen.said_old[host]);
            let down = self.hosts[host].power != Power::On;
            match verdict.outcome {
                Outcome::Committed if !said_new => {
                    self.violated(format!("6: committed, and host{host} never said that it is on new, unguarded"));
                }
                Outcome::RolledBack | Outcome::Refused if self.seen.armed[host] => {
                    if !said_old {
                        self.violated(format!("6: {:?}, and host{host} never said that it is on old", verdict.outcome));
                    } else if self.guard_waits(host) && !down {
                        self.violated(format!("6: {:?}, and host{host}'s guard is armed", verdict.outcome));
                    }
                }
                _ => {}
            }
        }
        self.check_split(verdict);
    }

    /// A split is real: some host is not on old and unguarded, or could not be asked when it mattered.
    fn check_split(&mut self, verdict: &Verdict) {
        if verdict.outcome != Outcome::Split || self.seen.meddled.contains(&true) {
            return;
        }
        for (host, (_, end)) in verdict.hosts.iter().enumerate() {
            let HostOutcome::Lost { why } = end else { continue };
            let fine = |system: Sys| self.hosts[host].stand == Stand::all(system) && self.hosts[host].is_at_rest();
            let excused = self.seen.disarmed_for_commit || self.seen.restarted_moved;
            let long = self.reached_since(host).is_some_and(|since| since + LONG < self.now);
            if fine(Sys::Old) && long && !excused && self.scenario.quiet_from + LONG < self.now {
                self.violated(format!("split without need: host{host} is on old, unguarded and answers ({why})"));
            }
        }
    }

    /// When nothing moves any more: 1, 4, 5, and progress.
    pub(crate) fn check_end(&mut self) {
        for station in 0..self.stations.len() {
            if !self.stations[station].is_over() {
                self.violated(format!("progress: workstation {station} never comes to an end"));
            }
        }
        let fired = self.changing().iter().any(|host| self.seen.fired[*host]);
        let mixed = self.seen.disarmed_for_commit && fired;
        for host in 0..self.hosts.len() {
            let stand = self.hosts[host].stand;
            if self.hosts[host].power != Power::On || self.seen.meddled[host] {
                continue;
            }
            if self.guard_waits(host) {
                self.violated(format!("4: host{host}'s guard never came to its end"));
            }
            if stand.current != stand.boot && !mixed {
                self.violated(format!("4: host{host} ends on {stand:?}"));
            }
            let all_old = stand.current == Sys::Old && stand.boot == Sys::Old;
            if !self.seen.disarmed_for_commit && !self.seen.restarted_moved && !all_old {
                self.violated(format!("5: host{host} ends on {stand:?}"));
            }
        }
        if self.scenario.is_harmless() {
            let committed =
                |ended: &Ended| matches!(ended, Ended::Verdict(verdict) if verdict.outcome == Outcome::Committed);
            if !self.stations[0].ended.as_ref().is_some_and(|(_, ended)| committed(ended)) {
                let ended = format!("{:?}", self.stations[0].ended);
                self.violated(format!("progress: nothing went wrong, and it was not committed: {ended}"));
            }
        }
    }
}
