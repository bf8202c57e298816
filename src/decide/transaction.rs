//! Decides a push, from arming to the last clean-up, and its recovery (`recover.rs`).
//!
//! Feed [`Transaction::handle`] what happened; carry out, in order, what it returns. It keeps no time: it names timers
//! and hears of them. The point of no return is the entry `Disarming`: before it every host can go back to what it ran,
//! and the guards do so by themselves if the push cannot; after it the push only goes forward.

mod back_disarm;
mod back_proof;
mod cleanup;
mod commit;
mod contest;
mod direction;
mod doubt;
mod forget;
mod forward;
pub(super) mod inspection;
mod link_proof;
mod marks;
mod progress;
mod proof;
pub mod recover;
mod stage;
mod state;
mod steady;
#[cfg(test)]
pub(super) mod tests;
mod undo;
mod verify;
pub mod waiting;
mod without;

use crate::decide::transaction::inspection::{Found, GuardedState};
use crate::decide::transaction::without::not_ended_without;
use crate::decide::vocabulary::{Answer, Effect, Entry, Input, RollbackReason, Signal, Step, Timer, Verdict};
use crate::event::reason::caution::Caution;
use crate::event::reason::notice::Notice;
use crate::event::{Event, HostOutcome, Phase};
use crate::facts::plan::HostId;
use crate::facts::store_path::StorePath;
use crate::inventory::model::HostName;

use stage::Stage;
pub use state::Transaction;
use state::{Back, Progress};

impl Transaction {
    /// Returns the first orders. A recovery takes every host over. A push arms the fleet's first host by machine id
    /// alone, so that of two pushes exactly one goes on.
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
            Input::Started { host } => {
                self.silent.remove(&host);
                self.let_others_begin(host, &mut effects);
            }
            Input::ContactLost { host, why } => {
                self.hear_silence(host, &mut effects);
                self.told.shut.insert(host, why);
                self.let_others_begin(host, &mut effects);
            }
            Input::Answered { host, step, answer } => {
                if self.hosts[host.0].step.as_ref() == Some(&step) {
                    self.silent.remove(&host);
                    self.told.shut.remove(&host);
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
                    // This is the entry before the first arm command: none was sent.
                    for host in &mut self.hosts {
                        host.step = None;
                        host.armed = false;
                    }
                }
                if matches!(self.stage, Stage::Proof(_)) && !self.stale {
                    // This recovery has decided, and has looked at once, because every host was through: its first
                    // round was dropped with the entry.
                    self.probing = false;
                }
                self.turn_back(RollbackReason::RecordUnwritable { said: why }, &mut effects);
            }
            Input::Weighed { enough } => self.weighed(enough, &mut effects),
        }
        effects
    }

    /// Returns the hosts that may hold a guard of this run right now: a person who leaves at once must hear of them.
    pub fn guarded(&self) -> impl Iterator<Item = HostId> + '_ {
        self.plan.ids().filter(|host| self.hosts[host.0].armed)
    }

    /// Returns those of them that take part in the rest of the run.
    pub fn holding(&self) -> impl Iterator<Item = HostId> + '_ {
        self.guarded().filter(|host| self.takes_part(*host))
    }

    /// Returns whether a recovery leaves everything as it was found, because the command that was typed does not fit
    /// the state of the hosts.
    #[must_use]
    pub fn is_held_up(&self) -> bool {
        self.told.held_up.is_some()
    }

    /// Returns how it ended, once only the clean-up is left to do.
    #[must_use]
    pub fn ended(&self) -> Option<Verdict> {
        matches!(self.stage, Stage::Clean(_) | Stage::Over(_)).then(|| self.verdict())
    }

    /// Returns the hosts that have a known end by now, or that a recovery leaves as it has found them. Their ends are
    /// kept even if all is left at once. None of them has a guard of this run.
    #[must_use]
    pub fn through(&self) -> Vec<(HostName, HostOutcome)> {
        let end = |id: HostId| {
            let now = &self.hosts[id.0];
            let end = now.end.clone().or_else(|| match (&now.back, &now.found) {
                (Back::Returned { by_guard }, _) => Some(HostOutcome::RolledBack { by_guard: *by_guard }),
                _ if now.armed => None,
                (_, found) => found.as_ref().map(Found::left),
            });
            // An unknown host is no end of the run.
            let end = end.map(|end| if end == HostOutcome::Missing { not_ended_without() } else { end });
            end.map(|end| (self.plan.host(id).name.clone(), end))
        };
        self.plan.ids().filter_map(end).collect()
    }

    /// Returns the hosts that may be under their guards when all is left, without those that were seen back without
    /// one.
    pub fn left_to_guards(&self) -> impl Iterator<Item = HostId> + '_ {
        self.guarded().filter(|host| !matches!(self.hosts[host.0].back, Back::Returned { .. }))
    }

    /// Returns whether a host under its guard was seen on its old systems already, on the boot that it was on.
    #[must_use]
    pub fn is_seen_on_old(&self, host: HostId) -> bool {
        let now = &self.hosts[host.0];
        now.back == Back::Restored || now.found == Some(Found::Guarded(GuardedState::Old))
    }

    /// Returns whether the run is on its way back, where nothing can turn it forward again.
    #[must_use]
    pub fn goes_back(&self) -> bool {
        self.told.reason.is_some()
    }

    /// Returns whether its guard may be disarmed: the command is out.
    #[must_use]
    pub fn may_be_disarmed(&self, host: HostId) -> bool {
        matches!(self.hosts[host.0].step, Some(Step::Disarm { .. }))
    }

    /// A step has begun on a host, or cannot be known to: hosts that stood by for it go on.
    fn let_others_begin(&mut self, host: HostId, effects: &mut Vec<Effect>) {
        let now = &mut self.hosts[host.0];
        if now.progress == Progress::Sent {
            now.progress = Progress::Released;
        }
        self.send_waiting(false, effects);
        self.mind_the_silent(effects);
        self.mind_the_disarms(effects);
    }

    /// Warns of a host that cannot write. A person must mend a full disk; the run goes on, because its lease holds as
    /// long as the boot, and a guard also belongs to one boot.
    fn tell_what_is_volatile(&mut self, host: HostId, answer: &Answer, effects: &mut Vec<Effect>) {
        let Answer::Said(said) = answer else { return };
        let is_volatile = said.standing.run_traces.as_ref().is_some_and(|traces| traces.volatile);
        if is_volatile && self.told.volatile.insert(host) {
            let name = self.plan.host(host).name.clone();
            effects.push(Effect::Tell(Event::warned(Some(&name), Caution::TracesVolatile)));
        }
    }

    fn answered(&mut self, host: HostId, step: &Step, answer: Answer, effects: &mut Vec<Effect>) {
        self.tell_what_is_volatile(host, &answer, effects);
        let is_told = !matches!(self.stage, Stage::TakeOver | Stage::Clean(_) | Stage::Over(_));
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
            Stage::Test(_) | Stage::Switch(_) => self.after_job(host, step, answer, effects),
            Stage::Verify(_) | Stage::Proof(_) => self.after_login(host, answer, effects),
            Stage::ExtendToTest | Stage::ExtendToSwitch(_) | Stage::ExtendToDisarm(_) => {
                self.after_extend(host, &answer, effects);
            }
            Stage::Disarm(_) => self.after_disarm(host, step, answer, effects),
            Stage::Back(_) | Stage::BackProof(..) | Stage::BackDisarm(_) => {
                self.after_back(host, step, answer, effects);
            }
            Stage::Clean(_) => {
                self.hosts[host.0].progress = Progress::Done;
                self.after_clean(host, step, answer, effects);
                self.finish_when_clean(effects);
            }
            Stage::Over(_) => {}
        }
    }

    fn cancel(&mut self, signal: Signal, effects: &mut Vec<Effect>) {
        match self.stage {
            Stage::TakeOver => self.cancel_take_over(signal, effects),
            Stage::Arm | Stage::Test(_) | Stage::Verify(_) | Stage::ExtendToTest | Stage::ExtendToSwitch(_) => {
                self.interrupted = Some(signal);
                self.turn_back(RollbackReason::Interrupted { signal }, effects);
            }
            Stage::Switch(_) | Stage::Proof(_) | Stage::ExtendToDisarm(_) | Stage::Disarm(_) => {
                let notice =
                    if self.doubted { Notice::SignalInDoubt { signal } } else { Notice::SignalTooLate { signal } };
                effects.push(Effect::Tell(Event::warned(None, notice)));
            }
            Stage::Back(_) | Stage::BackProof(..) | Stage::BackDisarm(_) => {
                effects.push(Effect::Tell(Event::warned(None, Notice::SignalWhileGoingBack { signal })));
            }
            Stage::Clean(_) | Stage::Over(_) => {}
        }
    }

    // The functions below are needed by several stages.

    fn run(&mut self, host: HostId, step: Step, effects: &mut Vec<Effect>) {
        self.hosts[host.0].step = Some(step.clone());
        effects.push(Effect::Run { host, step });
    }

    /// Begins the stage's work on every host.
    fn begin(&mut self, phase: Phase, effects: &mut Vec<Effect>) {
        for host in &mut self.hosts {
            host.progress = if host.is_through() { Progress::Done } else { Progress::Waiting };
        }
        effects.push(Effect::Tell(Event::PhaseStarted { phase }));
    }

    /// Returns whether the push has come to this host: its wave is the present one, or an earlier one.
    fn has_begun_on(&self, host: HostId) -> bool {
        self.plan.host(host).changes && self.plan.host(host).wave <= self.wave
    }

    /// Returns the system that a host must run in the stage under way.
    fn runs(&self, host: HostId) -> &StorePath {
        let plan = self.plan.host(host);
        if self.has_begun_on(host) { &plan.new } else { &plan.old.current }
    }

    /// Returns whether every host is gone at once: then more likely the workstation's own link is down.
    fn hear_silence(&mut self, host: HostId, effects: &mut Vec<Effect>) {
        let all = self.plan.changing().count();
        if self.silent.insert(host) && all > 1 && self.silent.len() == all {
            effects.push(Effect::Tell(Event::warned(None, Notice::AllOutOfReach)));
        }
    }

    fn all_changing(&self, progress: Progress) -> bool {
        self.plan.changing().all(|host| self.hosts[host.0].progress == progress)
    }

    fn forget_verify_timers(effects: &mut Vec<Effect>) {
        let timers =
            [Timer::Settle, Timer::Steady, Timer::SettleBack, Timer::SettleAfterBoot, Timer::Rekey, Timer::RoundPause];
        effects.extend(timers.map(Effect::Forget));
    }
}

fn done(host: crate::inventory::model::HostName, phase: Phase) -> Effect {
    Effect::Tell(Event::HostDone { host, phase })
}
