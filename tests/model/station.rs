//! A workstation: the real decider, and around it what `engine::driver` keeps: orders that are out, timers, a round.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use fleetdeploy::decide::transaction::Transaction;
use fleetdeploy::decide::transaction::recover::{Aim, Recorded};
use fleetdeploy::decide::vocabulary::{Answer, Effect, Entry, Input, Step, Timer};
use fleetdeploy::event::{Event, HostOutcome, Outcome, Phase};
use fleetdeploy::facts::host::JobKind;
use fleetdeploy::facts::links::Round;
use fleetdeploy::facts::plan::{HostId, Plan};
use fleetdeploy::facts::step_answer::StepAnswer;
use fleetdeploy::facts::traces::{EndMark, EndSide};

use crate::host::{Lease, Mark};
use crate::mistakes::Mistake;
use crate::words::{Sys, host_name, host_number};
use crate::world::{OURS, To};

/// The next epoch above `highest` that is this coordinator's own: engine::epochs, the tag.
pub(crate) fn later_epoch(highest: u8, own: u8) -> u8 {
    (highest + 1..=highest + TAGS).find(|epoch| epoch % TAGS == own % TAGS).expect("there is room")
}

pub(crate) const TAGS: u8 = 4;

/// What a verdict says of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Said {
    Committed,
    RolledBack,
    Nothing,
}

impl Said {
    fn of(end: &HostOutcome) -> Self {
        match end {
            HostOutcome::Committed => Self::Committed,
            HostOutcome::RolledBack { .. } => Self::RolledBack,
            _ => Self::Nothing,
        }
    }
}

/// How an order that is out stands, seen from the workstation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Heard {
    Nothing,
    /// The connection was lost; the driver sends it again until its time is over.
    Lost,
    /// The detached step has begun.
    Begun,
    /// The reply is on its way.
    Reply(Box<StepAnswer>),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Out {
    pub(crate) step: Step,
    pub(crate) heard: Heard,
}

/// A round of the matrix. `fresh`: begun since the latest verify did.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Probing {
    Not,
    Out { fresh: bool },
    Seen { fresh: bool, up: bool, round: Box<Round> },
}

/// What this workstation has really seen since its latest verify began: the world's own account, not the decider's.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Proof {
    /// Whole rounds in a row with every link up, at most 3.
    pub(crate) rounds: u8,
    /// By host: the boot on which it took a new login and ran the new system.
    pub(crate) logins: Vec<Option<u8>>,
    /// Both at once.
    pub(crate) whole: bool,
    /// By bit: hosts of which it was seen at once with the rounds. Asked for only by waves.
    looked_at: u8,
}

impl Proof {
    pub(crate) fn is_empty(&self) -> bool {
        self.rounds == 0 && !self.whole && self.logins.iter().all(Option::is_none)
    }

    pub(crate) fn clear(&mut self) {
        self.rounds = 0;
        self.logins.fill(None);
        self.whole = false;
        self.looked_at = 0;
    }

    /// Whether every host of an earlier wave than this one's took a new login and ran its new system while all links
    /// held.
    fn is_of_waves_before(&self, plan: &Plan, host: HostId) -> bool {
        let mut before = plan.changing().filter(|other| plan.host(*other).wave < plan.host(host).wave);
        before.all(|other| self.looked_at & (1 << other.0) != 0)
    }

    /// `lost` are hosts that a recovery has lost by their own word: it goes forward only where such a one is on new for
    /// good.
    fn look(&mut self, plan: &Plan, lost: u8) {
        let is_seen = |(host, login): (usize, &Option<u8>)| login.is_some() || lost & (1 << host) != 0;
        self.whole |= self.rounds == 3 && self.logins.iter().enumerate().all(is_seen);
        if self.rounds == 3 && plan.hosts.iter().any(|host| host.wave > 0) {
            let logged_in = self.logins.iter().enumerate().filter(|(_, login)| login.is_some());
            self.looked_at |= logged_in.fold(0, |hosts, (host, _)| hosts | 1 << host);
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Station {
    pub(crate) speaker: Lease,
    /// `None`: it has ended, or is dead.
    pub(crate) mind: Option<Transaction>,
    pub(crate) out: Vec<Option<Out>>,
    pub(crate) timers: BTreeSet<Timer>,
    pub(crate) probing: Probing,
    pub(crate) weighing: bool,
    pub(crate) disk_is_full: bool,
    pub(crate) verdict: Option<Outcome>,
    /// What was said of each host, until it was held against how the host stands.
    pub(crate) ends: Vec<Said>,
    /// It has begun to disarm for commit.
    pub(crate) disarming: bool,
    /// By bit: hosts that are lost to it by their own word.
    pub(crate) lost: u8,
    /// By bit: hosts that it cannot reach, although others may.
    pub(crate) deaf_to: u8,
    /// The highest epoch that a host has shown which refused to be taken over.
    pub(crate) shown: u8,
    pub(crate) proof: Proof,
    /// It has begun a wave without having looked at the one before.
    pub(crate) hasty: bool,
    /// Without the run's record: it knows no baseline, and writes elsewhere.
    pub(crate) alone: bool,
    /// By bit: hosts that it goes without.
    pub(crate) missing: u8,
    /// By bit: hosts that a person has switched to something else by hand, for which the run is over.
    pub(crate) moved_on: u8,
    /// By bit: hosts that its outcome speaks of: not one that is missing, has moved on, or was not touched.
    pub(crate) meant: u8,
    /// It is a push that cleans up where a host is back.
    pub(crate) cleans_up: bool,
    /// It has left everything as it was, and says why.
    pub(crate) held_up: bool,
    /// Ctrl-C came while it waited for guards alone, with no command out: it ends as it found everything.
    pub(crate) waits_no_longer: bool,
    /// Roll back was begun: for the mistakes that change it.
    pub(crate) going_back: bool,
}

/// The run's record; it outlives the workstation's process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Journal(pub(crate) Recorded, pub(crate) Option<Mark>);

impl Journal {
    pub(crate) fn new() -> Self {
        Self(Recorded::of([]), None)
    }

    /// As `Recorded::of` reads it, entry by entry.
    fn add(&mut self, entry: &Entry) {
        let mark = match entry {
            Entry::EndedWithout { mark } => Some(Mark {
                side: mark.side.map(|side| if side == EndSide::Old { Sys::Old } else { Sys::New }),
                missing: mark.missing.keys().fold(0, |missing, host| missing | 1 << host_number(host)),
                epoch: 0,
            }),
            // The recovery that ended it last has written just before which hosts are still missing.
            Entry::Finished { .. } if !self.0.ended_without => None,
            _ => self.1,
        };
        self.0.ended_without &= !matches!(entry, Entry::Finished { .. }) || mark.is_some();
        self.1 = mark;
        self.merge(&Self(Recorded::of([entry]), mark));
    }

    /// What was written after it.
    pub(crate) fn merge(&mut self, later: &Self) {
        let Recorded { reached, turned_back, finished, ended_without } = later.0;
        self.0.reached = self.0.reached.max(reached);
        self.0.turned_back |= turned_back;
        self.0.finished = finished.or(self.0.finished);
        self.0.ended_without |= ended_without;
    }

    /// Whether `fleetdeploy recover` finds something to do.
    pub(crate) fn is_unfinished(&self) -> bool {
        self.1.is_some() || self.0.finished.is_none_or(|outcome| outcome == Outcome::Split)
    }
}

impl Station {
    pub(crate) fn push(plan: &Arc<Plan>, journal: &mut Journal, mistake: Option<Mistake>) -> Self {
        let mut mind = Transaction::new(Arc::clone(plan));
        let effects = mind.start();
        let mut station = Self::around(mind, Lease { run: OURS, epoch: 1 }, plan.hosts.len());
        station.carry_out(effects.into(), journal, plan, mistake);
        station
    }

    fn around(mind: Transaction, speaker: Lease, hosts: usize) -> Self {
        Self {
            speaker,
            mind: Some(mind),
            out: vec![None; hosts],
            timers: BTreeSet::new(),
            probing: Probing::Not,
            weighing: false,
            disk_is_full: false,
            verdict: None,
            ends: Vec::new(),
            disarming: false,
            lost: 0,
            deaf_to: 0,
            shown: 0,
            proof: Proof { rounds: 0, logins: vec![None; hosts], whole: false, looked_at: 0 },
            hasty: false,
            alone: false,
            missing: 0,
            moved_on: 0,
            meant: 0,
            cleans_up: false,
            held_up: false,
            waits_no_longer: false,
            going_back: false,
        }
    }

    /// `fleetdeploy recover`, as the `epoch`th coordinator; without the record where `alone`. Beside what is typed, by
    /// bit: hosts whose machines are others now.
    pub(crate) fn recover(
        plan: &Arc<Plan>,
        known: Arc<Plan>,
        epoch: u8,
        alone: bool,
        (to, replaced): (To, u8),
        journal: &mut Journal,
        mistake: Option<Mistake>,
    ) -> Self {
        let recorded = if alone { Recorded::nowhere() } else { journal.0 };
        let mut mind = Transaction::recover(known, recorded);
        let mut missing = 0;
        match to {
            To::Recover => {
                for host in (0..plan.hosts.len()).filter(|host| replaced & (1 << host) != 0) {
                    mind.go_without(HostId(host));
                }
            }
            To::GoWithout(host) => {
                mind.aim_at(Aim::Without);
                mind.go_without(HostId(host));
                missing = 1 << host;
            }
            To::Forget { as_they_stand } => mind.aim_at(Aim::Forget { as_they_stand }),
            To::CleanUp => mind.aim_at(Aim::Returned),
        }
        if let Some(mark) = journal.1.filter(|_| !alone) {
            let names = (0..8).filter(|host| mark.missing & (1 << host) != 0).map(|host| (host_name(host), None));
            let side = mark.side.map(|side| if side == Sys::Old { EndSide::Old } else { EndSide::New });
            mind.was_ended(EndMark { side, missing: names.collect() });
        }
        let effects = mind.start();
        let mut station = Self::around(mind, Lease { run: OURS, epoch }, plan.hosts.len());
        station.alone = alone;
        station.missing = missing;
        station.cleans_up = to == To::CleanUp;
        station.carry_out(effects.into(), journal, plan, mistake);
        station
    }

    /// The process is gone; what the properties ask of it stays.
    pub(crate) fn die(&mut self) {
        self.mind = None;
        self.out.iter_mut().for_each(|out| *out = None);
        self.timers.clear();
        self.probing = Probing::Not;
        self.weighing = false;
        self.disk_is_full = false;
        self.going_back = false;
        (self.disarming, self.lost, self.deaf_to, self.shown) = (false, 0, 0, 0);
    }

    /// An order that moves a boot default is out.
    pub(crate) fn sends_a_switch(&self) -> bool {
        let is_switch = |out: &Out| matches!(out.step, Step::Job { kind: JobKind::Switch, .. });
        self.out.iter().flatten().any(is_switch)
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.mind.is_some()
    }

    /// Gives an input to the decider and does what it says, as `engine::driver::drive` does.
    pub(crate) fn give(&mut self, input: Input, journal: &mut Journal, plan: &Plan, mistake: Option<Mistake>) {
        let effects = self.decide(input, plan, mistake);
        self.carry_out(effects.into(), journal, plan, mistake);
    }

    fn decide(&mut self, input: Input, plan: &Plan, mistake: Option<Mistake>) -> Vec<Effect> {
        let Some(mind) = &mut self.mind else { return Vec::new() };
        let input = match mistake {
            Some(mistake) => mistake.input(input, self.cleans_up),
            None => input,
        };
        let seen = mistake.map(|_| input.clone());
        let effects = mind.handle(input);
        match (mistake, seen) {
            (Some(mistake), Some(seen)) => mistake.effects(&seen, effects, plan, mind, self.going_back),
            _ => effects,
        }
    }

    fn lost_to_a_recovery(&self) -> u8 {
        if self.speaker.epoch > 1 { self.lost | self.missing | self.moved_on } else { 0 }
    }

    fn carry_out(
        &mut self,
        mut effects: VecDeque<Effect>,
        journal: &mut Journal,
        plan: &Plan,
        mistake: Option<Mistake>,
    ) {
        while let Some(effect) = effects.pop_front() {
            assert!(self.verdict.is_none(), "after the end: {effect:?}");
            if let Effect::Record(Entry::HostLost { host, .. }) = &effect {
                self.lost |= plan.ids().filter(|id| plan.host(*id).name == *host).fold(0, |lost, id| lost | 1 << id.0);
            }
            match effect {
                Effect::Record(entry) if self.disk_is_full => {
                    let announces = !matches!(
                        entry,
                        Entry::RollingBack { .. }
                            | Entry::HostLost { .. }
                            | Entry::EndedWithout { .. }
                            | Entry::Forgotten { .. }
                            | Entry::Finished { .. }
                    );
                    if announces {
                        effects = self.decide(Input::RecordFailed { why: String::new() }, plan, mistake).into();
                    }
                }
                Effect::Record(_) if self.alone => {}
                Effect::Record(entry) => journal.add(&entry),
                Effect::Run { host, step } => {
                    if matches!(step, Step::Job { kind: JobKind::Test, .. }) {
                        self.hasty |= !self.proof.is_of_waves_before(plan, host);
                    }
                    self.out[host.0] = Some(Out { step, heard: Heard::Nothing });
                }
                Effect::Probe { .. } => {
                    assert_eq!(self.probing, Probing::Not, "two rounds at once");
                    self.probing = Probing::Out { fresh: true };
                }
                // Without a host behind a jump the push waits for none: its end changes nothing.
                Effect::Expect(Timer::HeadStart) if plan.hosts.iter().all(|host| host.behind.is_none()) => {}
                Effect::Expect(timer) => {
                    self.timers.insert(timer);
                }
                Effect::Forget(timer) => {
                    self.timers.remove(&timer);
                }
                // Always the last of its batch: the answer's effects come after the rest of them.
                Effect::ReadJournals { .. } | Effect::Remember { .. } => {}
                Effect::Weigh => self.weighing = true,
                Effect::Tell(event) => self.told(&event),
                Effect::Outbid { .. } => {
                    self.speaker.epoch = later_epoch(self.speaker.epoch.max(self.shown), self.speaker.epoch);
                }
                Effect::Finish(verdict) => {
                    crate::codes::keep_end(&verdict);
                    let held_up = self.mind.as_ref().is_some_and(Transaction::is_held_up);
                    // Once a guard may have been disarmed for commit, one that is in doubt leaves the others to theirs.
                    let disarming = self.disarming && self.lost != 0;
                    self.die();
                    self.disarming = disarming;
                    self.verdict = Some(verdict.outcome);
                    self.held_up = held_up;
                    let is_meant = |end: &HostOutcome| match end {
                        HostOutcome::Missing | HostOutcome::MovedOn { .. } => false,
                        HostOutcome::Untouched => verdict.outcome == Outcome::Refused,
                        _ => true,
                    };
                    let meant = verdict.hosts.iter().enumerate().filter(|(_, (_, end))| is_meant(end));
                    self.meant = meant.fold(0, |meant, (host, _)| meant | 1 << host);
                    self.ends = verdict.hosts.iter().map(|(_, end)| Said::of(end)).collect();
                }
            }
        }
    }

    fn told(&mut self, event: &Event) {
        crate::codes::keep(event);
        match event {
            Event::PhaseStarted { phase: Phase::Verify } => {
                self.proof.clear();
                if let Probing::Out { fresh } | Probing::Seen { fresh, .. } = &mut self.probing {
                    *fresh = false;
                }
            }
            Event::PhaseStarted { phase: Phase::RollBack } => self.going_back = true,
            Event::PhaseStarted { phase: Phase::Disarm } => self.disarming = true,
            _ => {}
        }
    }

    /// A reply to the order that is out on `host`.
    pub(crate) fn answered(
        &mut self,
        host: usize,
        answer: Answer,
        journal: &mut Journal,
        plan: &Plan,
        mistake: Option<Mistake>,
    ) {
        let Some(Out { step, .. }) = self.out[host].take() else { return };
        if let (Step::TakeOver { .. }, Answer::Said(said)) = (&step, &answer) {
            let epoch = said.standing.lease.as_ref().and_then(|lease| u8::try_from(lease.epoch).ok());
            self.shown = self.shown.max(epoch.unwrap_or(0));
        }
        if let (Step::Login { .. }, Answer::Said(said)) = (&step, &answer)
            && said.standing.systems.current == *Sys::New.path()
        {
            self.proof.logins[host] = said.standing.boot_id[1..].parse().ok();
            self.proof.look(plan, self.lost_to_a_recovery());
        }
        self.give(Input::Answered { host: HostId(host), step, answer }, journal, plan, mistake);
    }

    /// The round that is out has come to its end, and has shown no link: it counts neither for the proof nor against.
    pub(crate) fn blurred(&mut self, round: Round, journal: &mut Journal, plan: &Plan, mistake: Option<Mistake>) {
        self.probing = Probing::Not;
        self.give(Input::RoundSeen { round, waiting: BTreeSet::new() }, journal, plan, mistake);
    }

    /// The round that is out has come to its end.
    pub(crate) fn round_seen(
        &mut self,
        up: bool,
        fresh: bool,
        round: Round,
        journal: &mut Journal,
        plan: &Plan,
        mistake: Option<Mistake>,
    ) {
        self.probing = Probing::Not;
        let counts = up && fresh;
        self.proof.rounds = if counts { (self.proof.rounds + 1).min(3) } else { 0 };
        self.proof.look(plan, self.lost_to_a_recovery());
        self.give(Input::RoundSeen { round, waiting: BTreeSet::new() }, journal, plan, mistake);
    }
}
