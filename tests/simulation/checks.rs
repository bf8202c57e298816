//! What must always hold (docs/design.md, "Invariants"), looked at after each step of the world. The numbers are that
//! section's.

use fleetdeploy::decide::transaction::recover::Aim;
use fleetdeploy::decide::vocabulary::Entry;
use fleetdeploy::facts::host::{GuardState, JobKind, Standing};
use fleetdeploy::facts::step_answer::StepOutcome;
use fleetdeploy::remote::step::RemoteStep;

use crate::fleet::{RUN, owner};
use crate::host::{Ms, RunFolder, Token, Work};
use crate::network::Message;
use crate::scenario::Flaw;
use crate::systems::{Stand, Sys};
use crate::world::{World, millis};

/// A flaw that showed so long before the decision must have been seen: three rounds, each of 5 s at the longest, with
/// a pause between.
const SEEN_BY_THEN: Ms = 20_000;

/// What the checks remember.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) violations: Vec<String>,
    pub(crate) fired: Vec<bool>,
    pub(crate) meddled: Vec<bool>,
    /// A power cut between two writes left its profile and its boot default apart.
    pub(crate) torn: Vec<bool>,
    pub(crate) armed: Vec<bool>,
    tested: Vec<bool>,
    /// Rounds of the push in a row in which every required link was really up, since the last test was sent.
    pub(crate) held: u32,
    /// The push has announced another wave after this host was tested.
    behind: Vec<bool>,
    /// It has answered that it is wholly on new, or on old, and unguarded.
    pub(crate) said_new: Vec<bool>,
    pub(crate) said_old: Vec<bool>,
    pub(crate) disarmed_for_commit: bool,
    /// A host restarted by itself after its boot default had moved.
    pub(crate) restarted_moved: bool,
    /// The run was cleaned away here.
    cleaned: Vec<bool>,
    /// The run was ended on another host while this one was missing.
    pub(crate) left_out: Vec<bool>,
    /// It was forgotten as it stood.
    pub(crate) forgotten: bool,
    /// The highest epoch that a host has let take it over, since its last clean-up: on its disk.
    pub(crate) taken: Vec<u64>,
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
            held: 0,
            behind: none(),
            said_new: none(),
            said_old: none(),
            disarmed_for_commit: false,
            restarted_moved: false,
            cleaned: none(),
            left_out: none(),
            forgotten: false,
            taken: vec![0; hosts],
        }
    }
}

impl World {
    pub(crate) fn violated(&mut self, text: String) {
        self.say(|| format!("VIOLATION {text}"));
        self.seen.violations.push(text);
    }

    pub(crate) fn changing(&self) -> Vec<usize> {
        self.scenario.plan.changing().map(|host| host.0).collect()
    }

    /// Some hosts were tested, and others are still to come.
    pub(crate) fn is_between_waves(&self) -> bool {
        let changing = self.changing();
        let tested = changing.iter().filter(|host| self.seen.tested[**host]).count();
        0 < tested && tested < changing.len()
    }

    /// A wave is tested only when the one before was, was looked at and holds.
    fn check_wave(&mut self, host: usize) {
        let wave = |host: usize| self.scenario.plan.hosts[host].wave;
        let before = self.changing().into_iter().filter(|other| wave(*other) < wave(host));
        for other in before.collect::<Vec<_>>() {
            if !self.seen.behind[other] {
                self.violated(format!(
                    "waves: test was sent to host{host} before host{other} was tested and looked at"
                ));
            }
        }
        self.seen.held = 0;
    }

    /// 3, at the workstation: no forward step goes out past its safe time.
    pub(crate) fn check_sent(&mut self, station: usize, host: usize, command: &RemoteStep) {
        match command {
            RemoteStep::Job { kind, limit, .. } if *kind != JobKind::Rollback => {
                if *kind == JobKind::Test {
                    self.check_wave(host);
                }
                if let Token::Armed(deadline) = self.hosts[host].run.token {
                    let fires = self.hosts[host].moment_of(deadline);
                    if self.now + millis(*limit) > fires {
                        self.violated(format!("3: {} was sent to host{host} past its safe time", kind.word()));
                    }
                }
            }
            RemoteStep::Disarm { expected, .. }
                if expected.current == Some(Sys::New.path())
                    && !self.desks[self.stations[station].desk].has_recorded(&Entry::Disarming) =>
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
    pub(crate) fn check_executed(&mut self, message: &Message, before: &RunFolder, outcome: &StepOutcome) {
        let host = message.host;
        let (RemoteStep::Arm { speaker, .. }
        | RemoteStep::TakeOver { speaker, .. }
        | RemoteStep::Extend { speaker, .. }
        | RemoteStep::Job { speaker, .. }
        | RemoteStep::Disarm { speaker, .. }
        | RemoteStep::Release { speaker }
        | RemoteStep::Clean { speaker, .. }
        | RemoteStep::Unmark { speaker, .. }) = &message.command
        else {
            return;
        };
        let after = &self.hosts[host].run;
        let changed = after.token != before.token || after.lease != before.lease;
        let foreign = before.lease.as_ref().is_some_and(|lease| lease.run != speaker.run);
        let older = self.seen.taken[host] > speaker.epoch;
        let owner = owner(message.station);
        let same = before.lease.as_ref().filter(|lease| lease.run == speaker.run && lease.epoch == speaker.epoch);
        let (was, is) = (before.token, after.token);
        if changed && foreign {
            self.violated(format!("8: a command changed host{host}, which another run holds"));
        } else if changed && older {
            self.violated(format!("8: a coordinator that was taken over changed host{host}"));
        } else if changed && same.is_some_and(|lease| lease.owner != owner) {
            self.violated(format!("8: two coordinators of one epoch changed host{host}"));
        }
        if let (RemoteStep::TakeOver { .. }, StepOutcome::Done) = (&message.command, outcome) {
            self.seen.taken[host] = self.seen.taken[host].max(speaker.epoch);
        } else if let (RemoteStep::Clean { mark, .. }, StepOutcome::Done) = (&message.command, outcome) {
            // A mark keeps the epoch.
            self.seen.taken[host] = self.hosts[host].mark.as_ref().map_or(0, |mark| mark.epoch);
            self.seen.cleaned[host] = true;
            self.seen.forgotten |= self.stations[message.station].aim == Aim::Forget { as_they_stand: true };
            for missing in mark.missing.keys() {
                let missing = self.scenario.index(missing);
                self.seen.left_out[missing] = true;
            }
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
            if self.seen.cleaned[host] && was != is {
                self.violated(format!("8: host{host} was armed for a run that has been ended and cleaned away"));
            }
        }
    }

    /// A push's clean-up cleans who is back on old and at rest alone, and moves nobody.
    pub(crate) fn check_clean_up(&mut self, message: &Message) {
        let host = message.host;
        if self.stations[message.station].aim != Aim::Returned || self.seen.meddled[host] {
            return;
        }
        let its = &self.hosts[host];
        let is_back = its.stand == Stand::all(Sys::Old) && its.is_at_rest();
        let is_amiss = match &message.command {
            RemoteStep::Arm { .. } | RemoteStep::Extend { .. } | RemoteStep::Job { .. } | RemoteStep::Disarm { .. } => {
                true
            }
            RemoteStep::Clean { .. } => its.roots.contains_key(RUN) && !is_back,
            _ => false,
        };
        if is_amiss {
            let (what, stand) = (message.command.script().name, its.stand);
            self.violated(format!("clean-up: a push sends {what} to host{host}, which is on {stand:?}"));
        }
    }

    /// 2 and 3, on the host: no step starts without this run's armed guard.
    pub(crate) fn check_begun(&mut self, host: usize, kind: JobKind) {
        let epoch = self.hosts[host].run.jobs.get(&kind).map_or(0, |job| job.epoch);
        if epoch < self.seen.taken[host] {
            self.violated(format!("8: {} of a coordinator that was taken over began on host{host}", kind.word()));
        }
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
        let decided = self.desks.iter().any(|desk| desk.has_recorded(&Entry::Decided));
        let tested = self.changing().iter().all(|host| self.seen.tested[*host]);
        if !decided || !tested {
            self.violated(format!("2: host{host}'s boot default moved (decided: {decided}, all tested: {tested})"));
        }
    }

    /// 2 and 4: what was there to be seen when the decision was made.
    pub(crate) fn check_recorded(&mut self, station: usize, entry: &Entry) {
        if *entry == Entry::Testing && self.seen.tested.contains(&true) {
            if self.seen.held < 3 {
                self.violated(format!("waves: the next one begins after {} whole rounds", self.seen.held));
            }
            self.seen.behind.clone_from(&self.seen.tested);
        }
        if *entry != Entry::Decided {
            return;
        }
        for host in self.changing() {
            for flaw in [Flaw::Deaf, Flaw::NoLogin, Flaw::Unit] {
                // A login is looked at once, when verify begins. What fails already is not blamed on the run by who
                // does not know how it was before.
                let once = flaw == Flaw::NoLogin || (flaw == Flaw::Unit && self.stations[station].alone);
                let since = self.has_since(host, flaw);
                if since.is_some_and(|since| !once && since + SEEN_BY_THEN < self.now) {
                    self.violated(format!("2: decided although host{host} has {flaw:?}"));
                }
            }
        }
    }

    pub(crate) fn check_said(&mut self, host: usize, standing: &Standing) {
        let guarded = matches!(standing.guard, GuardState::Armed { .. } | GuardState::Dead { .. })
            || self.hosts[host].run.guard_lives;
        if !guarded {
            self.seen.said_new[host] |= standing.systems == Stand::all(Sys::New).systems();
            self.seen.said_old[host] |= standing.systems == Stand::all(Sys::Old).systems();
        }
    }

    pub(crate) fn check_crash(&mut self, host: usize) {
        let stand = self.hosts[host].stand;
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
}
