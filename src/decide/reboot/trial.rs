//! Decides the trial of one host within a rolling reboot: one boot into the system that a reboot is to bring, under a
//! guard of its own, while the boot default is the system that booted last. Its rules are in docs/trial-boots.md.
//!
//! It keeps no time: what is waited for, and how long, is [`TrialOrder::Await`], and what a look at the host means is
//! [`TrialSight`]. A sight that settles nothing is looked past, so that the driver only looks again.

pub mod left;
pub mod sight;
pub mod times;

use std::hash::{Hash, Hasher};
use std::time::Duration;

use crate::event::reason::any::AnyReason;
use crate::event::reason::trying::TryingReason;
use crate::facts::store_path::StorePath;

pub use sight::{ToTry, TrialPlan, TrialSight, TrialWish, hindrance_before, said_once};

/// An order for the driver. One is under way at a time; each has one answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TrialOrder {
    /// The survivor, lease and guard of the old boot.
    Arm,
    /// The boot default becomes what booted last, and then the trial's entry is written.
    Register,
    /// The living guard is asked to set the next boot and to reboot. The record says it first.
    Go,
    /// Looks at the host until a sight settles something, or the time is over.
    Await(Awaited),
    /// A new login, once all that the boot starts has started.
    LogIn,
    /// Units, links and rounds, as after every reboot.
    Prove,
    /// What was tried becomes the boot default. From this order on no signal turns back.
    Keep,
    /// The trial is over, and the host stays on what was tried.
    End,
    /// The guard acts now.
    Fire,
    /// Starts a guard that is dead; its deadline stays.
    Tend,
    /// An ordinary reboot out of a trial that has no guard.
    Leave,
    /// Takes away what the trial has left.
    Clean {
        /// One line that the host keeps where the trial ended on what booted last.
        why: String,
    },
}

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Awaited {
    /// The guard of the old boot is through, and has put back what it guarded.
    Rest,
    /// The host is back from the reboot into its trial.
    Return,
    /// The trial's end, which a clock on the host brings.
    End,
}

/// What a step of the trial ended as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrialAnswer {
    Done,
    /// The host said no, or was never asked: this command has changed nothing.
    Refused {
        why: AnyReason,
    },
    /// The host has looked, moved nothing, and cannot try it.
    CannotTry {
        why: AnyReason,
    },
    /// It was tried, and did not do what it should. `register`: what it has moved is put back by its guard.
    Failed {
        why: AnyReason,
    },
    /// There was no answer in its time: it may have been done, and may still be.
    Unknown {
        why: AnyReason,
    },
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrialInput {
    Answered {
        order: TrialOrder,
        answer: TrialAnswer,
    },
    /// A sight that settles what is waited for.
    Seen(TrialSight),
    /// Nothing was settled in the time for it.
    Silent {
        why: AnyReason,
    },
    /// A new login was taken, and the host stood so.
    LoggedIn(TrialSight),
    NoLogin {
        why: AnyReason,
    },
    /// The rounds after the login have held.
    Proven,
    NotProven {
        why: AnyReason,
    },
    /// The entry that announces the next order could not be made durable, and that order was dropped.
    NotRecorded {
        why: AnyReason,
    },
    /// The first signal.
    Cancelled,
}

/// How a trial ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrialEnd {
    /// What was tried is the boot default again.
    Kept,
    /// The host refused; it stands where it stood, on the boot that it was on.
    Refused { why: AnyReason },
    /// The host cannot try it, or what would have prepared that has failed; it stands where it stood.
    CannotTry { why: AnyReason },
    /// A step failed; the host is on the boot that it was on, and its boot default is what it was.
    Failed { why: AnyReason },
    /// A signal, or the record: the host is on the boot that it was on, and its boot default is what it was.
    Cancelled,
    /// It was tried, or may have been, and the host runs again what booted last.
    WentBack { why: AnyReason },
    /// The host is up, and not where this trial can have brought it.
    Wrong { why: AnyReason },
    /// It is out of reach, past the time at which it must be at rest by itself.
    Lost { why: AnyReason },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum TrialStage {
    Arming,
    Registering,
    Going,
    /// From the order to go on: on its way, logging in, being proven.
    Trying,
    Keeping,
    Ending,
    /// On the old boot: its guard puts back what it guards.
    Back,
    /// The guard of the trial goes back by a reboot, or has found it proven.
    WentBack,
    Cleaning,
    Over,
}

/// Why a trial that is under way will not be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
enum TurnedBack {
    Refused(AnyReason),
    CannotTry(AnyReason),
    Failed(AnyReason),
    Cancelled,
}

/// One host's trial.
#[expect(clippy::struct_excessive_bools, reason = "each is one independent thing that was done once")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    tried: StorePath,
    stage: TrialStage,
    /// The order whose answer is waited for.
    out: TrialOrder,
    cancelled: bool,
    /// The host may have read the order to go, but it has not said so.
    go_unknown: bool,
    /// A dead guard could not be started; it is not tried again.
    tended: bool,
    /// It was told to reboot out of a trial without a guard.
    left: bool,
    /// It was found proven and not ended, and was asked to end; it is not asked again.
    asked_to_end_again: bool,
    /// The order to keep was given. It steers words alone.
    keeps: bool,
    /// Why the clean-up did not come through.
    remains: Option<AnyReason>,
    cut: Option<TurnedBack>,
    end: Option<TrialEnd>,
}

/// Reasons steer nothing: two trials that differ in words alone go the same way.
impl Hash for Trial {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.stage, &self.out, self.cancelled, self.go_unknown).hash(state);
        (self.tended, self.left, self.asked_to_end_again).hash(state);
        self.cut.as_ref().map(std::mem::discriminant).hash(state);
        self.end.as_ref().map(std::mem::discriminant).hash(state);
    }
}

#[expect(clippy::unnecessary_wraps, reason = "each is a way through `handle`, and some of them order nothing")]
impl Trial {
    /// Begins the trial of this system; every host of the fleet is held for as long as it may take.
    #[must_use]
    pub fn begin(tried: StorePath) -> (Self, TrialOrder) {
        let trial = Self {
            tried,
            stage: TrialStage::Arming,
            out: TrialOrder::Arm,
            cancelled: false,
            go_unknown: false,
            tended: false,
            left: false,
            asked_to_end_again: false,
            keeps: false,
            remains: None,
            cut: None,
            end: None,
        };
        (trial, TrialOrder::Arm)
    }

    /// Returns the order that follows; `None`: the one that is out goes on, or the trial [is over](Self::end).
    #[must_use]
    pub fn handle(&mut self, input: TrialInput) -> Option<TrialOrder> {
        let next = match input {
            TrialInput::Cancelled => self.cancel(),
            TrialInput::Answered { order, answer } if order == self.out => self.answered(answer),
            TrialInput::Seen(sight) if matches!(self.out, TrialOrder::Await(_)) => self.seen(sight),
            TrialInput::Silent { why } if matches!(self.out, TrialOrder::Await(_)) => self.over(TrialEnd::Lost { why }),
            TrialInput::LoggedIn(sight) if self.out == TrialOrder::LogIn => self.logged_in(sight),
            TrialInput::NoLogin { why } if self.out == TrialOrder::LogIn => self.fire(TurnedBack::Failed(why)),
            TrialInput::Proven if self.out == TrialOrder::Prove => {
                self.keeps = true;
                Some(self.go_to(TrialStage::Keeping, TrialOrder::Keep))
            }
            TrialInput::NotProven { why } if self.out == TrialOrder::Prove => self.fire(TurnedBack::Failed(why)),
            // The order to go was dropped, and nothing before it needs the record: the old boot's guard puts it back.
            TrialInput::NotRecorded { .. } if self.out == TrialOrder::Go => self.turn_back(TurnedBack::Cancelled),
            // An answer to an order that is not waited for any more.
            _ => None,
        };
        if let Some(order) = &next {
            self.out = order.clone();
        }
        next
    }

    /// Returns how it ended, once it is over.
    #[must_use]
    pub fn end(&self) -> Option<&TrialEnd> {
        self.end.as_ref().filter(|_| self.stage == TrialStage::Over)
    }

    /// Returns why something of it may still lie on the host, once it is over.
    #[must_use]
    pub fn remains(&self) -> Option<&AnyReason> {
        self.remains.as_ref()
    }

    /// Returns whether the host may have been told to go, so that it reboots by itself whatever this workstation does.
    #[must_use]
    pub fn may_have_gone(&self) -> bool {
        !matches!(self.stage, TrialStage::Arming | TrialStage::Registering | TrialStage::Back)
    }

    /// Returns whether every order that is due now speaks of the boot on which it began: on any other one it would end
    /// what has come up well.
    #[must_use]
    pub fn is_on_its_first_boot(&self) -> bool {
        matches!(self.stage, TrialStage::Arming | TrialStage::Registering | TrialStage::Going | TrialStage::Back)
    }

    /// Returns whether this sight settles what is waited for; another one is looked past.
    #[must_use]
    pub fn is_settled_by(&self, awaited: Awaited, sight: &TrialSight) -> bool {
        match sight {
            TrialSight::OldAtRest { .. } | TrialSight::BackOnOld { .. } | TrialSight::Other { .. } => true,
            TrialSight::Kept { ended } => *ended || !self.asked_to_end_again,
            // The order to go was read after all: then the host is waited for.
            TrialSight::Leaving { is_alive } => awaited == Awaited::Rest || (!is_alive && !self.tended),
            TrialSight::OldArmed { is_alive, .. } => awaited == Awaited::Return || (!is_alive && !self.tended),
            TrialSight::OldFiring => awaited == Awaited::Return,
            TrialSight::InTrial { is_alive, .. } => awaited != Awaited::End || !(*is_alive || self.tended && self.left),
            TrialSight::Firing => awaited != Awaited::End,
            TrialSight::Unguarded => !self.left,
        }
    }

    /// Says of a wait whose time is over how long it was, and what came of the last look; `None`: the host answered,
    /// and nothing was settled.
    #[must_use]
    pub fn overdue(&self, waited: Duration, last: Option<AnyReason>) -> AnyReason {
        let waited_s = waited.as_secs();
        // What a power cycle brings then. From the order to keep on it may be what was tried, until `keep` has said so.
        let was_kept = match self.stage {
            TrialStage::Trying => Some(false),
            TrialStage::WentBack if !self.keeps => Some(false),
            TrialStage::Ending => Some(true),
            _ => None,
        };
        match last {
            Some(cause) => TryingReason::TrialOverdue { waited_s, was_kept, cause }.into(),
            None => TryingReason::TrialStandsStill { waited_s }.into(),
        }
    }

    fn go_to(&mut self, stage: TrialStage, order: TrialOrder) -> TrialOrder {
        self.stage = stage;
        order
    }

    /// Is over without a word to the host.
    fn over(&mut self, end: TrialEnd) -> Option<TrialOrder> {
        (self.stage, self.end) = (TrialStage::Over, Some(end));
        None
    }

    fn clean(&mut self, end: TrialEnd) -> Option<TrialOrder> {
        let why = match &end {
            TrialEnd::Kept | TrialEnd::Cancelled => String::new(),
            TrialEnd::Refused { why }
            | TrialEnd::CannotTry { why }
            | TrialEnd::Failed { why }
            | TrialEnd::WentBack { why }
            | TrialEnd::Wrong { why }
            | TrialEnd::Lost { why } => why.to_string().lines().next().unwrap_or_default().to_owned(),
        };
        self.end = Some(end);
        Some(self.go_to(TrialStage::Cleaning, TrialOrder::Clean { why }))
    }

    /// The old boot's guard acts now. Nothing of the new system was started, so there is no reboot in it.
    fn turn_back(&mut self, cut: TurnedBack) -> Option<TrialOrder> {
        self.cut.get_or_insert(cut);
        Some(self.go_to(TrialStage::Back, TrialOrder::Fire))
    }

    /// The trial's guard acts now.
    fn fire(&mut self, cut: TurnedBack) -> Option<TrialOrder> {
        self.cut.get_or_insert(cut);
        Some(self.go_to(TrialStage::WentBack, TrialOrder::Fire))
    }

    fn cancel(&mut self) -> Option<TrialOrder> {
        self.cancelled = true;
        // Any other order that is out is answered in a short time, or by the host's own clock.
        if self.out == TrialOrder::Prove && self.stage == TrialStage::Trying {
            self.fire(TurnedBack::Cancelled)
        } else {
            None
        }
    }

    fn answered(&mut self, answer: TrialAnswer) -> Option<TrialOrder> {
        match self.stage {
            TrialStage::Arming => match answer {
                TrialAnswer::Done if self.cancelled => self.turn_back(TurnedBack::Cancelled),
                TrialAnswer::Done => Some(self.go_to(TrialStage::Registering, TrialOrder::Register)),
                not => self.turn_back(TurnedBack::of(not)),
            },
            TrialStage::Registering => match answer {
                TrialAnswer::Done if self.cancelled => self.turn_back(TurnedBack::Cancelled),
                TrialAnswer::Done => Some(self.go_to(TrialStage::Going, TrialOrder::Go)),
                // A plain reboot needs no installer, so once all is as it was the new system has its reboot.
                TrialAnswer::Failed { why } => self.turn_back(TurnedBack::CannotTry(why)),
                not => self.turn_back(TurnedBack::of(not)),
            },
            TrialStage::Going => match answer {
                TrialAnswer::Done => Some(self.go_to(TrialStage::Trying, TrialOrder::Await(Awaited::Return))),
                // It may have been read, so there is no way back before the host was seen.
                TrialAnswer::Unknown { why } => {
                    self.go_unknown = true;
                    self.cut = Some(TurnedBack::Failed(why));
                    Some(self.go_to(TrialStage::Trying, TrialOrder::Await(Awaited::Return)))
                }
                not => self.turn_back(TurnedBack::of(not)),
            },
            // Its guard may be alive or not: the next look says it.
            TrialStage::Trying => Some(TrialOrder::Await(Awaited::Return)),
            TrialStage::Keeping => match answer {
                TrialAnswer::Done => Some(self.go_to(TrialStage::Ending, TrialOrder::End)),
                TrialAnswer::Refused { why }
                | TrialAnswer::CannotTry { why }
                | TrialAnswer::Failed { why }
                | TrialAnswer::Unknown { why } => {
                    self.fire(TurnedBack::Failed(TryingReason::NotKept { cause: why }.into()))
                }
            },
            TrialStage::Ending => match answer {
                TrialAnswer::Done => self.clean(TrialEnd::Kept),
                // It is proven, so the host ends it by its own clock.
                _ => Some(TrialOrder::Await(Awaited::End)),
            },
            // Whatever came of the order: the guard has a deadline of its own.
            TrialStage::Back => Some(TrialOrder::Await(Awaited::Rest)),
            TrialStage::WentBack => match (&self.out, answer) {
                // Only a person takes it out of there, and learns it now.
                (TrialOrder::Leave, TrialAnswer::Refused { why } | TrialAnswer::Failed { why }) => {
                    self.clean(TrialEnd::Wrong { why: TryingReason::NotLeft { cause: why }.into() })
                }
                _ => Some(TrialOrder::Await(Awaited::End)),
            },
            TrialStage::Cleaning => {
                self.stage = TrialStage::Over;
                self.remains = match answer {
                    TrialAnswer::Done => None,
                    TrialAnswer::Refused { why }
                    | TrialAnswer::CannotTry { why }
                    | TrialAnswer::Failed { why }
                    | TrialAnswer::Unknown { why } => Some(why),
                };
                None
            }
            TrialStage::Over => None,
        }
    }

    fn seen(&mut self, sight: TrialSight) -> Option<TrialOrder> {
        let on_its_way = self.stage == TrialStage::Trying;
        match sight {
            TrialSight::Leaving { is_alive: false }
            | TrialSight::OldArmed { is_alive: false, .. }
            | TrialSight::InTrial { is_alive: false, .. }
                if !self.tended =>
            {
                self.tend()
            }
            TrialSight::Leaving { .. } => Some(self.go_to(TrialStage::Trying, TrialOrder::Await(Awaited::Return))),
            // The order to go did not come, or its guard could not carry it out.
            TrialSight::OldArmed { said, .. } => {
                self.turn_back(TurnedBack::Failed(TryingReason::DidNotGo { said }.into()))
            }
            TrialSight::OldFiring => {
                self.cut.get_or_insert(TurnedBack::Failed(TryingReason::DidNotGo { said: None }.into()));
                Some(self.go_to(TrialStage::Back, TrialOrder::Await(Awaited::Rest)))
            }
            TrialSight::OldAtRest { restored } => self.at_rest(restored),
            TrialSight::InTrial { is_alive: false, .. } | TrialSight::Unguarded => {
                self.left = true;
                self.cut.get_or_insert(TurnedBack::Failed(TryingReason::CameUpUnguarded.into()));
                Some(self.go_to(TrialStage::WentBack, TrialOrder::Leave))
            }
            TrialSight::InTrial { .. } if !on_its_way || self.cancelled => self.fire(TurnedBack::Cancelled),
            TrialSight::InTrial { .. } => {
                // It came up after all, so the answer that was missed does not matter any more.
                (self.cut, self.go_unknown) = (None, false);
                Some(TrialOrder::LogIn)
            }
            TrialSight::Firing => Some(self.go_to(TrialStage::WentBack, TrialOrder::Await(Awaited::End))),
            TrialSight::Kept { ended: true } => self.clean(TrialEnd::Kept),
            // Its own clock ends it, too, but so late as it would have gone back.
            TrialSight::Kept { ended: false } => {
                self.asked_to_end_again = true;
                Some(self.go_to(TrialStage::Ending, TrialOrder::End))
            }
            TrialSight::BackOnOld { trace } => {
                let why = self.why_back(trace);
                self.clean(TrialEnd::WentBack { why })
            }
            TrialSight::Other { why } => self.clean(TrialEnd::Wrong { why }),
        }
    }

    /// The old boot, and its guard is through.
    fn at_rest(&mut self, restored: bool) -> Option<TrialOrder> {
        let never_went = || TurnedBack::Failed(TryingReason::DidNotGo { said: None }.into());
        let cut = self.cut.clone().unwrap_or_else(never_went);
        self.clean(match cut {
            _ if !restored => TrialEnd::Wrong { why: TryingReason::NotPutBack.into() },
            TurnedBack::Refused(why) => TrialEnd::Refused { why },
            TurnedBack::CannotTry(why) => TrialEnd::CannotTry { why },
            TurnedBack::Failed(why) => TrialEnd::Failed { why },
            TurnedBack::Cancelled => TrialEnd::Cancelled,
        })
    }

    fn why_back(&self, trace: Option<String>) -> AnyReason {
        let tried = self.tried.clone();
        match (&self.cut, trace) {
            // It was not told to go, or has not gone: something else has restarted it.
            _ if self.is_on_its_first_boot() => TryingReason::RestartedUntried { tried }.into(),
            (Some(TurnedBack::Cancelled), _) => TryingReason::BackBySignal { tried }.into(),
            (Some(TurnedBack::Failed(cause) | TurnedBack::Refused(cause) | TurnedBack::CannotTry(cause)), _)
                if !self.go_unknown =>
            {
                TryingReason::BackFor { tried, cause: cause.clone() }.into()
            }
            (_, Some(trace)) => TryingReason::BackByItsGuard { tried, trace }.into(),
            (_, None) => TryingReason::BackWithoutATrace { tried }.into(),
        }
    }

    fn tend(&mut self) -> Option<TrialOrder> {
        self.tended = true;
        Some(TrialOrder::Tend)
    }

    fn logged_in(&mut self, sight: TrialSight) -> Option<TrialOrder> {
        match sight {
            TrialSight::InTrial { is_alive: true, .. } if self.cancelled => self.fire(TurnedBack::Cancelled),
            TrialSight::InTrial { is_alive: true, lacks: Some(lacks) } => self.fire(TurnedBack::Failed(lacks)),
            TrialSight::InTrial { is_alive: true, lacks: None } => Some(TrialOrder::Prove),
            other => self.seen(other),
        }
    }
}

impl TurnedBack {
    fn of(answer: TrialAnswer) -> Self {
        match answer {
            TrialAnswer::Refused { why } => Self::Refused(why),
            TrialAnswer::CannotTry { why } => Self::CannotTry(why),
            TrialAnswer::Failed { why } | TrialAnswer::Unknown { why } => Self::Failed(why),
            TrialAnswer::Done => Self::Cancelled,
        }
    }
}

#[cfg(test)]
mod tests;
