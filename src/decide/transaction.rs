//! The decider of a push, from arming to the last clean-up, and of its recovery (`recover.rs`).
//!
//! Feed [`Transaction::handle`] what happened; carry out, in order, what it returns. It keeps no time: it names timers
//! and hears of them. The point of no return is the entry `Disarming`: before it every host can go back to what it
//! ran, and the guards do so by themselves if nobody else does; after it the push only goes forward.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::decide::fact::{RefusalReason, Systems};
use crate::decide::inspection::{Found, Ground, Side};
use crate::decide::links::{LinkId, Round};
use crate::decide::plan::{HostId, Plan};
use crate::decide::recover::Recovery;
use crate::decide::steady::UnitWatch;
use crate::decide::vocabulary::{Answer, Caution, Effect, Entry, Input, RollbackReason, Signal, Step, Timer, Verdict};
use crate::decide::without::{HeldUp, not_ended_without};
use crate::event::{Event, HostOutcome, Phase};
use crate::inventory::model::HostName;
use crate::store_path::StorePath;

/// Where the whole push stands. Every stage ends in a barrier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Stage {
    /// A recovery fences every host before anything else.
    TakeOver,
    Arm,
    /// The hosts of one wave are tested.
    Test,
    /// They, and all others, are looked at.
    Verify,
    /// Guards are being extended before the next wave, before the decision, or before the disarm.
    ExtendToTest,
    ExtendToSwitch,
    Switch,
    /// The matrix once more, after the boot defaults moved.
    Proof,
    ExtendToDisarm,
    Disarm,
    /// Every touched host is on its way back.
    Back,
    /// New logins and the baseline's matrix, before the guards of a roll back go.
    BackProof,
    BackDisarm,
    Clean,
    Over,
}

/// How a host stands in the stage under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Progress {
    Waiting,
    Sent,
    /// The host has begun, or cannot be reached: nobody needs to wait for it before cutting its way.
    Released,
    Done,
}

/// A host on its way back.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Back {
    /// This run never held it.
    Untouched,
    /// Its arm command is still out: nobody knows yet whether there is a guard.
    Arming,
    Waiting,
    Rolling,
    /// On its old systems, on the boot it was on, with its guard still armed.
    Restored,
    /// Out of reach, or beyond a roll back from here: its guard brings it back.
    Awaited,
    /// Back without a guard: brought back by it, or found so by a recovery.
    Returned {
        by_guard: bool,
    },
}

/// Whether a host that did not answer in its time is worth another question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum GivenUp {
    No,
    Silent,
    /// Another host has answered since: what kept the way to this one closed may be over.
    HeardOthers,
    /// It was asked once more.
    ForGood,
}

#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is one independent fact about the host")]
pub(super) struct HostNow {
    /// The order that is out; an answer to any other is late and means nothing.
    pub(super) step: Option<Step>,
    pub(super) progress: Progress,
    /// It may hold a guard of this run.
    pub(super) armed: bool,
    /// A `test` was sent: its current system may have moved.
    pub(super) activated: bool,
    /// A `switch` was sent: its boot default may have moved.
    pub(super) moved: bool,
    /// It has taken a new login in this stage.
    pub(super) logged_in: bool,
    pub(super) boot_id: String,
    pub(super) back: Back,
    /// It had lost its guard and was armed once more: not a second time.
    pub(super) armed_again: bool,
    pub(super) given_up: GivenUp,
    /// It says that it is not this run's any more: nothing is done on it.
    pub(super) disowned: bool,
    /// A recovery does not build on what it says of itself, and leaves it as it is.
    pub(super) set_aside: bool,
    /// A recovery ends the run without it: it takes no part, also if it answers meanwhile.
    pub(super) missing: bool,
    /// What it runs, as far as known.
    pub(super) on: StorePath,
    /// A recovery has taken it over on the boot that is known of.
    pub(super) held: bool,
    /// How a recovery found it.
    pub(super) found: Option<Found>,
    pub(super) end: Option<HostOutcome>,
}

impl HostNow {
    /// Nothing was said about its end yet.
    pub(super) fn is_open(&self) -> bool {
        self.end.is_none()
    }

    /// A roll back must be proven here by a new login.
    pub(super) fn needs_login(&self) -> bool {
        self.is_open() && self.activated && matches!(self.back, Back::Restored | Back::Returned { .. })
    }

    /// A recovery found it through already, or it is lost: it takes no part in what is left of the way forward.
    pub(super) fn is_through(&self) -> bool {
        let on_new = matches!(
            self.found,
            Some(
                Found::New { .. }
                    | Found::Cleaned(Side::New | Side::Both)
                    | Found::Ended { stands: Side::New | Side::Both, .. }
            )
        );
        self.disowned || self.missing || self.has_left() || on_new
    }

    /// The run is over for it, whatever becomes of the others: nothing is asked of it, and it is no longer theirs.
    pub(super) fn has_left(&self) -> bool {
        self.found.as_ref().is_some_and(Found::has_left)
    }

    /// Where its way back begins, from what may have been done to it.
    pub(super) fn back_by_flags(&self) -> Back {
        let arming = matches!(self.step, Some(Step::Arm { .. }));
        match (self.armed, arming, self.activated || self.moved) {
            (false, ..) => Back::Untouched,
            (true, true, _) => Back::Arming,
            (true, false, false) => Back::Restored,
            (true, false, true) => Back::Waiting,
        }
    }
}

/// One push over a fleet, or the recovery of one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is one independent fact about the push")]
pub struct Transaction {
    pub(super) plan: Arc<Plan>,
    /// The fleet's name, for a command to type; of a push it stands nowhere.
    pub(super) fleet: String,
    pub(super) hosts: Vec<HostNow>,
    pub(super) stage: Stage,
    /// The wave that is tested or looked at, by [`HostPlan::wave`](crate::decide::plan::HostPlan::wave): hosts of later
    /// ones are still where they were.
    pub(super) wave: usize,
    /// Rounds in a row that held; counted only as far as they are asked for, so that the states of a push are finite.
    pub(super) streak: u32,
    /// A round is out.
    pub(super) probing: bool,
    /// The round that is out began in an earlier stage and proves nothing for this one.
    pub(super) stale: bool,
    pub(super) last_broken: BTreeSet<LinkId>,
    pub(super) last_failures: BTreeSet<(HostId, String)>,
    /// A host that did not say in the last round how its units are.
    pub(super) unheard: Option<HostId>,
    /// How often each unit had been restarted by the round before.
    pub(super) last_restarts: BTreeMap<HostId, BTreeMap<String, u64>>,
    pub(super) waiting: BTreeSet<LinkId>,
    pub(super) units: UnitWatch,
    /// Only handshakes were missing when the settle time ended: WireGuard is given its rekey time, once.
    pub(super) rekeying: bool,
    /// The settle time ended while nothing spoke against the push: the rounds that are still to come decide, and the
    /// first that does not hold ends it.
    pub(super) overtime: bool,
    pub(super) extended: bool,
    /// Restored hosts whose links stayed down were left to their guards once already.
    pub(super) left_to_guards: bool,
    pub(super) last_round: Option<Round>,
    pub(super) reason: Option<RollbackReason>,
    pub(super) interrupted: Option<Signal>,
    /// Witnesses of which it was said that they restarted or switched.
    pub(super) noticed: BTreeSet<HostId>,
    /// Absent hosts of which it was said that they answer.
    pub(super) noticed_absent: BTreeSet<HostName>,
    /// Hosts of which it was said that they cannot write down what is done there.
    pub(super) told_volatile: BTreeSet<HostId>,
    /// Hosts that cannot be reached just now.
    pub(super) silent: BTreeSet<HostId>,
    /// A job's barrier waits for silent hosts alone, and no longer than the settle time.
    pub(super) silence_counts: bool,
    /// `None`: a push.
    pub(super) recovery: Option<Recovery>,
    /// A host has said that it is not this run's any more, past any take-over: nothing is armed from then on.
    pub(super) doubted: bool,
    /// A host that is lost to a recovery has shown itself on new for good.
    pub(super) lost_on_new: bool,
    /// All that is lost holds nothing of the run any more: what the others keep helps nobody.
    pub(super) lost_ones_keep_nothing: bool,
    /// Not every host could be disarmed, and those that were have been asked once more.
    pub(super) asked_the_committed: bool,
    /// What the host said that another coordinator has taken over.
    pub(super) superseded_by: Option<String>,
    /// Why a recovery leaves everything as it was.
    pub(super) held_up: Option<HeldUp>,
    /// Marks of an end without hosts are removed with all the rest.
    pub(super) forgets_marks: bool,
    /// Hosts that were missing, and of which nothing is left to be done but to say so in the marks of the others.
    pub(super) dealt_with: BTreeSet<HostId>,
    /// Hosts on which not all that the run keeps could be cleaned away, and why.
    pub(super) kept: BTreeMap<HostId, String>,
}

impl Transaction {
    #[must_use]
    pub fn new(plan: Arc<Plan>) -> Self {
        let hosts = plan
            .hosts
            .iter()
            .map(|host| HostNow {
                step: None,
                progress: Progress::Waiting,
                armed: false,
                activated: false,
                moved: false,
                logged_in: false,
                boot_id: host.boot_id.clone(),
                back: Back::Untouched,
                armed_again: false,
                given_up: GivenUp::No,
                disowned: false,
                set_aside: false,
                missing: false,
                on: host.old.current.clone(),
                held: false,
                found: None,
                end: None,
            })
            .collect();
        let wave = plan.waves().keys().next().copied().unwrap_or(0);
        Self {
            plan,
            fleet: String::new(),
            hosts,
            stage: Stage::Arm,
            wave,
            streak: 0,
            probing: false,
            stale: false,
            last_broken: BTreeSet::new(),
            last_failures: BTreeSet::new(),
            unheard: None,
            last_restarts: BTreeMap::new(),
            waiting: BTreeSet::new(),
            units: UnitWatch::default(),
            rekeying: false,
            overtime: false,
            extended: false,
            left_to_guards: false,
            last_round: None,
            reason: None,
            interrupted: None,
            noticed: BTreeSet::new(),
            noticed_absent: BTreeSet::new(),
            told_volatile: BTreeSet::new(),
            silent: BTreeSet::new(),
            silence_counts: false,
            recovery: None,
            doubted: false,
            lost_on_new: false,
            lost_ones_keep_nothing: false,
            asked_the_committed: false,
            superseded_by: None,
            held_up: None,
            forgets_marks: false,
            dealt_with: BTreeSet::new(),
            kept: BTreeMap::new(),
        }
    }

    /// The first orders. Of a recovery: every host is taken over. Of a push: the fleet's first host by machine id is
    /// armed alone, so that of two pushes exactly one goes on.
    #[must_use]
    pub fn start(&mut self) -> Vec<Effect> {
        if self.stage == Stage::TakeOver {
            return self.start_take_over();
        }
        let mut effects = vec![Effect::Tell(Event::PhaseStarted { phase: Phase::Arm }), Effect::Record(Entry::Arming)];
        if let Some(first) = self.plan.first_armed() {
            self.arm(first, &mut effects);
        }
        effects
    }

    /// Takes what happened and returns what is to be done about it.
    #[must_use]
    pub fn handle(&mut self, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        match input {
            Input::Started { host } | Input::ContactLost { host } => {
                if matches!(input, Input::ContactLost { .. }) {
                    self.hear_silence(host, &mut effects);
                } else {
                    self.silent.remove(&host);
                }
                let now = &mut self.hosts[host.0];
                if now.progress == Progress::Sent {
                    now.progress = Progress::Released;
                }
                self.send_waiting(false, &mut effects);
                self.mind_the_silent(&mut effects);
                self.mind_the_disarms(&mut effects);
            }
            Input::Answered { host, step, answer } => {
                if self.hosts[host.0].step.as_ref() == Some(&step) {
                    self.silent.remove(&host);
                    self.hosts[host.0].step = None;
                    self.answered(host, &step, answer, &mut effects);
                    self.mind_the_silent(&mut effects);
                }
            }
            Input::RoundSeen { round, waiting } => self.round_seen(round, waiting, &mut effects),
            Input::TimerElapsed(timer) => self.timer_elapsed(timer, &mut effects),
            Input::CancelRequested(signal) => self.cancel(signal, &mut effects),
            Input::RecordFailed { why } => {
                if self.stage == Stage::Arm {
                    // The entry before the first arm command: none was sent.
                    for host in &mut self.hosts {
                        host.step = None;
                        host.armed = false;
                    }
                }
                self.turn_back(RollbackReason::NoRecord { why }, &mut effects);
            }
            Input::Weighed { enough } => self.weighed(enough, &mut effects),
        }
        effects
    }

    /// The hosts that may hold a guard of this run right now: what a person who leaves at once must hear of.
    pub fn guarded(&self) -> impl Iterator<Item = HostId> + '_ {
        self.plan.ids().filter(|host| self.hosts[host.0].armed)
    }

    /// Those of them that take part in what is left.
    pub fn holding(&self) -> impl Iterator<Item = HostId> + '_ {
        self.guarded().filter(|host| self.takes_part(*host))
    }

    /// Whether a recovery leaves everything as it was found, since what was typed is not right as the hosts stand.
    #[must_use]
    pub fn is_held_up(&self) -> bool {
        self.held_up.is_some()
    }

    /// How it ended, once nothing but the clean-up is left to do.
    #[must_use]
    pub fn ended(&self) -> Option<Verdict> {
        matches!(self.stage, Stage::Clean | Stage::Over).then(|| self.verdict())
    }

    /// The hosts of which it is known by now how it ended for them, or that a recovery leaves as it has found them:
    /// what was seen is kept, also when all is left at once. None of them has a guard of this run.
    #[must_use]
    pub fn through(&self) -> Vec<(HostName, HostOutcome)> {
        let end = |id: HostId| {
            let now = &self.hosts[id.0];
            let end = now.end.clone().or_else(|| match (&now.back, &now.found) {
                (Back::Returned { by_guard }, _) => Some(HostOutcome::RolledBack { by_guard: *by_guard }),
                _ if now.armed => None,
                (_, found) => found.as_ref().map(Found::left),
            });
            // That it is not known of it is no end of the run.
            let end = end.map(|end| if end == HostOutcome::Missing { not_ended_without() } else { end });
            end.map(|end| (self.plan.host(id).name.clone(), end))
        };
        self.plan.ids().filter_map(end).collect()
    }

    /// The hosts that may be under their guards when all is left: not those that were seen back without one.
    pub fn left_to_guards(&self) -> impl Iterator<Item = HostId> + '_ {
        self.guarded().filter(|host| !matches!(self.hosts[host.0].back, Back::Returned { .. }))
    }

    /// Whether a host under its guard was seen on its old systems already, on the boot that it was on.
    #[must_use]
    pub fn is_seen_on_old(&self, host: HostId) -> bool {
        let now = &self.hosts[host.0];
        now.back == Back::Restored || now.found == Some(Found::Guarded(Ground::Old))
    }

    /// Whether its guard may be disarmed: the command is out.
    #[must_use]
    pub fn may_be_disarmed(&self, host: HostId) -> bool {
        matches!(self.hosts[host.0].step, Some(Step::Disarm { .. }))
    }

    /// A full disk is for a person to mend; the run goes on: its lease holds as long as the boot, and a guard is of one
    /// boot, too.
    fn tell_what_is_volatile(&mut self, host: HostId, answer: &Answer, effects: &mut Vec<Effect>) {
        let Answer::Said(said) = answer else { return };
        let is_volatile = said.standing.run_traces.as_ref().is_some_and(|traces| traces.volatile);
        if is_volatile && self.told_volatile.insert(host) {
            let name = self.plan.host(host).name.clone();
            effects.push(Effect::Tell(Event::Warned { host: Some(name), text: Caution::Volatile.to_string() }));
        }
    }

    pub(super) fn answered(&mut self, host: HostId, step: &Step, answer: Answer, effects: &mut Vec<Effect>) {
        self.tell_what_is_volatile(host, &answer, effects);
        let is_told = !matches!(self.stage, Stage::TakeOver | Stage::Clean | Stage::Over);
        if let (true, Some(says), Answer::Said(said)) = (is_told, self.disowned_by(host, step, &answer), &answer) {
            self.disown(host, says, &said.standing, effects);
            return;
        }
        if let (false, Answer::Said(said)) = (self.hosts[host.0].activated, &answer) {
            self.learn_units_before(host, &said.standing.units);
        }
        match self.stage {
            Stage::TakeOver => self.after_take_over(host, step, answer, effects),
            Stage::Arm => self.after_arm(host, answer, effects),
            Stage::Test | Stage::Switch => self.after_job(host, step, answer, effects),
            Stage::Verify | Stage::Proof => self.after_login(host, answer, effects),
            Stage::ExtendToTest | Stage::ExtendToSwitch | Stage::ExtendToDisarm => {
                self.after_extend(host, &answer, effects);
            }
            Stage::Disarm => self.after_disarm(host, step, answer, effects),
            Stage::Back | Stage::BackProof | Stage::BackDisarm => self.after_back(host, step, answer, effects),
            Stage::Clean => {
                self.hosts[host.0].progress = Progress::Done;
                self.after_clean(host, step, answer, effects);
                self.finish_when_clean(effects);
            }
            Stage::Over => {}
        }
    }

    pub(super) fn cancel(&mut self, signal: Signal, effects: &mut Vec<Effect>) {
        match self.stage {
            Stage::TakeOver => self.cancel_take_over(signal, effects),
            Stage::Arm | Stage::Test | Stage::Verify | Stage::ExtendToTest | Stage::ExtendToSwitch => {
                self.interrupted = Some(signal);
                self.turn_back(RollbackReason::Interrupted(signal), effects);
            }
            Stage::Switch | Stage::Proof | Stage::ExtendToDisarm | Stage::Disarm => {
                let text = if self.doubted {
                    format!("{signal}: it is asked what has become of each guard; `fleetdeploy recover` may be quicker")
                } else {
                    format!("{signal}: the decision to commit was made; finishing first")
                };
                effects.push(Effect::Tell(Event::Warned { host: None, text }));
            }
            Stage::Back | Stage::BackProof | Stage::BackDisarm | Stage::Clean | Stage::Over => {}
        }
    }

    // Small things that several stages need.

    pub(super) fn run(&mut self, host: HostId, step: Step, effects: &mut Vec<Effect>) {
        self.hosts[host.0].step = Some(step.clone());
        effects.push(Effect::Run { host, step });
    }

    pub(super) fn enter(&mut self, stage: Stage, phase: Phase, effects: &mut Vec<Effect>) {
        self.stage = stage;
        self.look_anew();
        for host in &mut self.hosts {
            host.progress = if host.is_through() { Progress::Done } else { Progress::Waiting };
        }
        effects.push(Effect::Tell(Event::PhaseStarted { phase }));
    }

    /// Whether the push has come to this host: its wave is the one of now, or was before.
    pub(super) fn has_begun_on(&self, host: HostId) -> bool {
        self.plan.host(host).changes && self.plan.host(host).wave <= self.wave
    }

    /// What a host must run in the stage under way.
    pub(super) fn runs(&self, host: HostId) -> &StorePath {
        let plan = self.plan.host(host);
        if self.has_begun_on(host) { &plan.new } else { &plan.old.current }
    }

    /// What earlier rounds said counts for nothing in the stage that begins.
    pub(super) fn look_anew(&mut self) {
        self.streak = 0;
        self.overtime = false;
        self.last_broken.clear();
        self.last_failures.clear();
        self.unheard = None;
        self.last_restarts.clear();
        self.units.begin_anew();
    }

    /// When every host is gone at once, it is more likely the workstation that is.
    fn hear_silence(&mut self, host: HostId, effects: &mut Vec<Effect>) {
        let all = self.plan.changing().count();
        if self.silent.insert(host) && all > 1 && self.silent.len() == all {
            let text =
                "every host is out of reach at once: it is more likely this workstation's own link; the guards wait";
            effects.push(Effect::Tell(Event::Warned { host: None, text: text.to_owned() }));
        }
    }

    pub(super) fn all_changing(&self, progress: Progress) -> bool {
        self.plan.changing().all(|host| self.hosts[host.0].progress == progress)
    }

    pub(super) fn forget_verify_timers(effects: &mut Vec<Effect>) {
        let timers =
            [Timer::Settle, Timer::Steady, Timer::SettleBack, Timer::SettleAfterBoot, Timer::Rekey, Timer::RoundPause];
        effects.extend(timers.map(Effect::Forget));
    }
}

pub(super) fn done(host: crate::inventory::model::HostName, phase: Phase) -> Effect {
    Effect::Tell(Event::HostDone { host, phase })
}

pub(crate) fn refusal_text(reason: RefusalReason, text: &str) -> String {
    if text.is_empty() { reason.to_string() } else { format!("{reason}: {text}") }
}

pub(super) fn describe(systems: &Systems) -> String {
    if systems.agree() {
        systems.current.to_string()
    } else {
        format!(
            "current {}, profile {}, boot default {}",
            systems.current,
            systems.profile,
            systems.boot_default_text()
        )
    }
}
