//! The host that is tried: what lies on its disk and under /run, the steps that are sent to it, its guard, its boots.
//! docs/trial-boots.md, "The steps", "The guard's third action", "The entry, the kernel's line and the unit".

use std::collections::BTreeMap;

use fleetdeploy::facts::host::{GuardState, Standing};
use fleetdeploy::facts::systems::{BootLoader, NextBoot, Systems};
use fleetdeploy::facts::trial::{TrialGo, TrialStanding, TrialSurvivor, TrialSystems};

use super::world::Mistake;
use crate::words::{Sys, boot_id};

pub(crate) const RUN: &str = "r-1";

/// What the tried system does from cold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Cold {
    Good,
    /// A panic before anything of ours runs.
    Panics,
    /// It stands before PID 1, until somebody cuts its power.
    Hangs,
    /// Nobody reaches it.
    Mute,
    /// It comes up, and a link does not.
    Lame,
    /// It takes no guard from the kernel's line.
    Bare,
}

/// What the firmware does with a next boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Firmware {
    Takes,
    Forgets,
    /// It boots it, and does not empty it.
    Keeps,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Next {
    None,
    Ours,
    Foreign,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Token {
    None,
    Armed,
    Fired,
    Disarmed,
}

/// The guard's unit, and the line of its program that comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Unit {
    Absent,
    /// Its unit is gone for good, and the token still says armed or fired.
    Dead,
    Waiting,
    /// Our next boot is set and read back.
    Set,
    EndsTheStep,
    EmptiesTheNextBoot,
    RemovesTheEntry,
    Installs,
    Leaves,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    None,
    /// By how many of its writes are done.
    Register(u8),
    Keep(u8),
    Ended {
        well: bool,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Tried {
    pub(crate) cold: Cold,
    pub(crate) firmware: Firmware,
    /// What the boot default was when it began.
    pub(crate) before: Sys,
    pub(crate) up: bool,
    /// Which boot since the survey; the last ones are told apart by parity alone.
    pub(crate) boot: u8,
    pub(crate) booted: Sys,
    pub(crate) current: Sys,
    pub(crate) default: Sys,
    /// What is to be tried, or a person's.
    pub(crate) profile: Sys,
    /// RUN is on the kernel's line.
    pub(crate) line: bool,
    pub(crate) next: Next,
    pub(crate) entry: bool,
    pub(crate) survivor: bool,
    pub(crate) kept_by_firmware: bool,
    pub(crate) proven: bool,
    pub(crate) over: bool,
    pub(crate) failed: bool,
    pub(crate) trace: bool,
    pub(crate) token: Token,
    pub(crate) unit: Unit,
    /// `Some(true)`: it failed.
    pub(crate) go: Option<bool>,
    pub(crate) lease: bool,
    pub(crate) over_here: bool,
    /// `register` ever began in this boot.
    pub(crate) registered: bool,
    pub(crate) step: Step,
    /// Its installers fail from now on.
    pub(crate) broken: bool,
}

/// What the properties ask of the past.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Past {
    pub(crate) set_unguarded: bool,
    pub(crate) kept_unguarded: bool,
    pub(crate) kept_was_reset: bool,
    pub(crate) ever_proven: bool,
    pub(crate) ever_registered: bool,
    /// The power was cut, or the step was ended, between `keep`'s rename and `proven`.
    pub(crate) cut_in_keep: bool,
    pub(crate) guard_was_lost: bool,
    pub(crate) installed_by_another: bool,
    /// That was after the trial's end.
    pub(crate) installed_after_it: bool,
    pub(crate) next_by_another: bool,
    /// Somebody has switched it to a third system, in the old boot before it goes, or where the trial was at rest.
    pub(crate) switched_to_stay: bool,
    /// Anything went wrong but for the answer to the order to go, which was lost.
    pub(crate) other_fault: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Answered {
    Done,
    Refused,
    Failed,
    /// It is on another boot, and the driver makes no refusal of that.
    Elsewhere,
}

impl Tried {
    pub(crate) fn new(cold: Cold, firmware: Firmware, before: Sys) -> Self {
        Self {
            cold,
            firmware,
            before,
            up: true,
            boot: 0,
            booted: Sys::Old,
            current: if before == Sys::New { Sys::New } else { Sys::Old },
            default: before,
            profile: Sys::New,
            line: false,
            next: Next::None,
            entry: false,
            survivor: false,
            kept_by_firmware: false,
            proven: false,
            over: false,
            // One that is tried again was remembered.
            failed: before == Sys::Old,
            trace: false,
            token: Token::None,
            unit: Unit::Absent,
            go: None,
            lease: false,
            over_here: false,
            registered: false,
            step: Step::None,
            broken: false,
        }
    }

    pub(crate) fn is_reached(&self) -> bool {
        self.up && !(self.booted == Sys::New && self.cold == Cold::Mute && self.boot > 0)
    }

    pub(crate) fn is_going(&self) -> bool {
        self.go == Some(false)
    }

    pub(crate) fn lives(&self) -> bool {
        !matches!(self.unit, Unit::Absent | Unit::Dead)
    }

    pub(crate) fn step_runs(&self) -> bool {
        matches!(self.step, Step::Register(_) | Step::Keep(_))
    }

    pub(crate) fn fires(&self) -> bool {
        self.lives() && !matches!(self.unit, Unit::Waiting | Unit::Set)
    }

    /// Nothing of the trial waits or works here.
    pub(crate) fn rests(&self) -> bool {
        self.up && !self.lives() && self.token != Token::Armed && !self.is_going() && !self.step_runs()
    }

    pub(crate) fn standing(&self) -> Standing {
        let run = || RUN.to_owned();
        let guard = match (self.token, self.unit) {
            (Token::None, _) => GuardState::None,
            (Token::Armed, Unit::Absent | Unit::Dead) => GuardState::Dead { run: run(), deadline: 9 },
            (Token::Armed, _) => GuardState::Armed { run: run(), deadline: 9 },
            (Token::Fired, Unit::Absent | Unit::Dead) => GuardState::Fired { run: run() },
            (Token::Fired, _) => GuardState::Firing { run: run() },
            (Token::Disarmed, _) => GuardState::Disarmed { run: run() },
        };
        let path = |system: Sys| system.path().clone();
        let survivor = TrialSurvivor {
            run: run(),
            owner: "ada@desk".into(),
            systems: Some(TrialSystems { booted: path(Sys::Old), tried: path(Sys::New), before: path(self.before) }),
            seconds: 300,
            kept_by_firmware: self.kept_by_firmware,
            proven: self.proven,
            over: self.over,
            failed: (self.failed && !self.survivor).then(String::new),
            trace: self.trace.then(String::new),
        };
        let pending = NextBoot { entry: "x".into(), system: None };
        Standing {
            boot_id: boot_id(self.boot),
            uptime: 1,
            systems: Systems {
                current: path(self.current),
                profile: path(self.profile),
                boot_default: path(self.default),
            },
            booted: path(self.booted),
            generation: 1,
            loader: BootLoader::SystemdBoot,
            next_boot: (self.next != Next::None).then_some(pending),
            guard,
            lease: None,
            rolling: None,
            jobs: BTreeMap::new(),
            failed_units: std::collections::BTreeSet::new(),
            restarts: BTreeMap::new(),
            units: BTreeMap::new(),
            run_traces: None,
            fence: None,
            trial: TrialStanding {
                line: self.line.then(run),
                go: self.go.map(|failed| TrialGo { run: run(), failed: failed.then(String::new) }),
                over_here: self.over_here,
                jobs: BTreeMap::new(),
                survivors: if self.survivor || self.failed { vec![survivor] } else { Vec::new() },
            },
        }
    }

    // What is sent to it. Each is asked with the boot that the sender knows.

    pub(crate) fn arm(&mut self, boot: u8, held: bool, mistake: Option<Mistake>) -> Answered {
        if self.token == Token::Armed && self.boot == boot {
            return Answered::Done;
        }
        let is_here = self.boot == boot && self.booted == Sys::Old;
        let stands = is_here && self.default == self.before && self.profile == Sys::New;
        if !stands || !held || self.token != Token::None || self.next != Next::None {
            return Answered::Refused;
        }
        self.survivor = mistake != Some(Mistake::NextBootBeforeTheSurvivor);
        (self.failed, self.trace) = (false, false);
        (self.token, self.unit, self.lease) = (Token::Armed, Unit::Waiting, true);
        Answered::Done
    }

    /// Is this boot's guard armed, alive, and not on its way?
    fn is_guarded(&self) -> bool {
        self.token == Token::Armed && self.unit == Unit::Waiting && !self.is_going()
    }

    pub(crate) fn register(&mut self, boot: u8, held: bool, past: &mut Past) -> Answered {
        // As it was armed: a person's switch has superseded it.
        let stands = self.profile == Sys::New && self.default == self.before;
        let begins = self.boot == boot && !self.line && held && self.is_guarded() && !self.step_runs() && stands;
        if !begins {
            return Answered::Refused;
        }
        (self.step, self.registered, past.ever_registered) = (Step::Register(0), true, true);
        Answered::Done
    }

    pub(crate) fn order_go(&mut self, boot: u8, held: bool, mistake: Option<Mistake>) -> Answered {
        match self.go {
            Some(true) if self.boot == boot => return Answered::Failed,
            Some(false) if self.boot == boot => return Answered::Done,
            _ => {}
        }
        let unfenced = mistake == Some(Mistake::GoUnderAnyToken);
        let stands = self.default == Sys::Old && self.next == Next::None && self.entry && !self.step_runs();
        if self.boot != boot || self.line || !held || !(self.is_guarded() && stands || unfenced) {
            return Answered::Refused;
        }
        self.go = Some(false);
        Answered::Done
    }

    pub(crate) fn keep(&mut self, boot: u8, mistake: Option<Mistake>, past: &mut Past) -> Answered {
        if self.boot != boot {
            return Answered::Refused;
        }
        let guarded = match mistake {
            Some(Mistake::KeepsByTheBootAlone) => true,
            Some(Mistake::KeepsWithoutAGuard) => self.token == Token::Armed,
            _ => self.is_guarded(),
        };
        let is_as_tried = self.profile == Sys::New && self.current == Sys::New;
        let stands = self.default == Sys::Old && self.next == Next::None && !self.step_runs() && is_as_tried;
        if !guarded || !stands || !self.line {
            return Answered::Refused;
        }
        past.kept_unguarded |= !self.is_guarded();
        self.step = Step::Keep(0);
        Answered::Done
    }

    pub(crate) fn end(&mut self, boot: u8) -> Answered {
        let ended = self.token == Token::Disarmed || (self.token == Token::Fired && self.proven && !self.lives());
        if self.boot == boot && ended {
            return Answered::Done;
        }
        let stands = self.default == Sys::New && self.profile == Sys::New;
        if self.boot != boot || self.token != Token::Armed || !self.proven || !stands {
            return Answered::Refused;
        }
        self.ends_here(Token::Disarmed);
        Answered::Done
    }

    fn ends_here(&mut self, token: Token) {
        (self.token, self.unit, self.lease, self.over_here, self.over) = (token, Unit::Absent, false, true, true);
    }

    pub(crate) fn fire(&mut self, boot: u8) -> Answered {
        if self.boot == boot && self.token == Token::Fired {
            return Answered::Done;
        }
        if self.boot != boot || !self.is_guarded() {
            return Answered::Refused;
        }
        self.takes_the_token();
        Answered::Done
    }

    /// The guard's own deadline, or an order.
    pub(crate) fn takes_the_token(&mut self) {
        (self.token, self.unit) = (Token::Fired, Unit::EndsTheStep);
    }

    pub(crate) fn tend(&mut self, boot: u8) -> Answered {
        if self.boot != boot || self.unit != Unit::Dead || !self.survivor {
            return Answered::Refused;
        }
        self.unit = if self.token == Token::Fired { Unit::EndsTheStep } else { Unit::Waiting };
        Answered::Done
    }

    pub(crate) fn leave(&mut self, boot: u8, past: &mut Past, mistake: Option<Mistake>) -> Answered {
        if self.boot != boot {
            return Answered::Elsewhere;
        }
        if self.lives() || self.next == Next::Foreign {
            return Answered::Refused;
        }
        self.next = Next::None;
        self.reboots(past, mistake);
        Answered::Done
    }

    pub(crate) fn clean(&mut self, mistake: Option<Mistake>) -> Answered {
        let under_go = self.is_going() && mistake != Some(Mistake::CleansUnderGo);
        if self.token == Token::Armed && !self.is_going() || under_go || self.fires() || self.step_runs() {
            return Answered::Refused;
        }
        if self.line {
            self.over_here = true;
        }
        if self.next == Next::Ours && mistake != Some(Mistake::CleansTheSurvivorAlone) {
            self.next = Next::None;
        }
        self.entry = false;
        // What a person has switched to since stays.
        let is_register_s = self.profile == Sys::New && self.default == Sys::Old;
        let is_to_put_back = is_register_s || mistake == Some(Mistake::CleansAPersonsSwitch);
        if self.boot == 0 && self.default != self.before && self.registered && !self.broken && is_to_put_back {
            self.default = self.before;
        }
        let went_back = self.booted == Sys::Old && self.default == Sys::Old;
        // Also where it runs without its guard: the next reboot brings the old system.
        let unproven = self.booted == Sys::New && self.default == Sys::Old && !self.proven;
        if self.survivor {
            let is_profile = self.profile == Sys::New;
            self.failed = is_profile && (went_back || unproven) && mistake != Some(Mistake::ForgetsThatItFailed);
        }
        (self.survivor, self.proven, self.over) = (false, false, false);
        (self.token, self.lease) = (Token::None, false);
        Answered::Done
    }

    // What it does without us.

    /// One write of the detached step that runs.
    pub(crate) fn works(&mut self, mistake: Option<Mistake>, past: &mut Past) {
        self.step = match self.step {
            Step::Register(0) => {
                if mistake == Some(Mistake::NextBootBeforeTheDefault) {
                    self.next = Next::Ours;
                } else {
                    self.default = Sys::Old;
                }
                Step::Register(1)
            }
            Step::Register(_) => {
                (self.entry, self.default) = (true, Sys::Old);
                Step::Ended { well: true }
            }
            Step::Keep(0) if mistake == Some(Mistake::ProvenBeforeTheDefault) => {
                (self.proven, past.ever_proven) = (true, true);
                Step::Keep(1)
            }
            Step::Keep(0) => {
                self.default = Sys::New;
                Step::Keep(1)
            }
            Step::Keep(_) => {
                (self.default, self.proven, past.ever_proven) = (Sys::New, true, true);
                Step::Ended { well: true }
            }
            other => other,
        };
    }

    pub(crate) fn step_fails(&mut self, past: &mut Past) {
        past.cut_in_keep |= self.step == Step::Keep(1);
        self.step = Step::Ended { well: false };
    }

    /// The next line of the guard's program, from its looks on.
    pub(crate) fn guards(&mut self, mistake: Option<Mistake>, past: &mut Past) {
        match self.unit {
            Unit::Waiting => {
                let stands = self.default == Sys::Old && self.next == Next::None && self.entry;
                if stands {
                    past.set_unguarded |= self.token != Token::Armed;
                    (self.next, self.unit) = (Next::Ours, Unit::Set);
                } else {
                    self.go = Some(true);
                }
            }
            Unit::Set => {
                if mistake == Some(Mistake::NextBootBeforeTheSurvivor) {
                    self.survivor = true;
                }
                self.reboots(past, mistake);
            }
            Unit::EndsTheStep => {
                if self.is_going() && mistake == Some(Mistake::GoUnderAnyToken) {
                    (self.next, past.set_unguarded) = (Next::Ours, true);
                }
                if self.step_runs() {
                    self.step_fails(past);
                }
                self.unit = Unit::EmptiesTheNextBoot;
                if self.line && self.proven && mistake != Some(Mistake::RebootsBesideProven) {
                    self.ends_here(Token::Fired);
                } else if self.line {
                    self.unit = Unit::Installs;
                }
            }
            Unit::EmptiesTheNextBoot => {
                if self.next == Next::Ours {
                    self.next = Next::None;
                }
                self.unit = if self.line { Unit::Leaves } else { Unit::RemovesTheEntry };
            }
            Unit::RemovesTheEntry => {
                self.entry = false;
                self.unit = Unit::Installs;
            }
            Unit::Installs if self.line => {
                if self.default != Sys::Old && !self.broken {
                    self.default = Sys::Old;
                }
                self.unit = Unit::EmptiesTheNextBoot;
                match mistake {
                    Some(Mistake::ActivatesTheOldSystem) => self.current = Sys::Old,
                    Some(Mistake::StaysWhereTheInstallerFails) if self.default != Sys::Old => {
                        (self.unit, self.lease) = (Unit::Absent, false);
                    }
                    _ => {}
                }
            }
            Unit::Installs => {
                let untouched = mistake == Some(Mistake::BelievesItUntouched);
                let is_theirs = self.profile == Sys::Other && self.default == Sys::Other;
                let is_left = is_theirs && mistake != Some(Mistake::OverrulesAPersonsSwitch);
                if self.registered && !self.broken && !untouched && !is_left {
                    self.default = if mistake == Some(Mistake::PutsBackWhatWasTried) { Sys::New } else { self.before };
                }
                self.unit = Unit::Leaves;
            }
            Unit::Leaves if self.line => {
                self.trace = true;
                self.reboots(past, mistake);
            }
            Unit::Leaves => {
                (self.trace, self.unit) = (true, Unit::Absent);
                self.lease = mistake == Some(Mistake::LeaseOutlivesItsGuard);
            }
            Unit::Absent | Unit::Dead => {}
        }
    }

    /// Whether the guard's program has something to do without its deadline.
    pub(crate) fn guard_acts(&self) -> bool {
        match self.unit {
            Unit::Waiting => self.is_going(),
            Unit::Absent | Unit::Dead => false,
            _ => true,
        }
    }

    /// Down and up again, by whatever: what /run has is gone.
    pub(crate) fn reboots(&mut self, past: &mut Past, mistake: Option<Mistake>) {
        past.cut_in_keep |= self.step == Step::Keep(1);
        let was_tried = self.next == Next::Ours && self.entry && self.firmware != Firmware::Forgets;
        (self.booted, self.line) = match self.next {
            Next::Foreign => (Sys::Other, false),
            Next::Ours if was_tried => (Sys::New, true),
            Next::Ours | Next::None => (self.default, false),
        };
        if !(was_tried && self.firmware == Firmware::Keeps) {
            self.next = Next::None;
        }
        self.boot = if self.boot < 3 { self.boot + 1 } else { 5 - self.boot };
        (self.current, self.up) = (self.booted, true);
        (self.token, self.unit, self.go, self.lease) = (Token::None, Unit::Absent, None, false);
        (self.over_here, self.registered, self.step) = (false, false, Step::None);
        if self.booted != Sys::New {
            return;
        }
        match self.cold {
            Cold::Hangs => self.up = false,
            // Where the firmware keeps its next boot, it goes on and on.
            Cold::Panics if self.next == Next::Ours || self.default == Sys::New => self.up = false,
            Cold::Panics => self.reboots(past, mistake),
            Cold::Good | Cold::Mute | Cold::Lame if self.line => self.begins(past, mistake),
            Cold::Bare | Cold::Good | Cold::Mute | Cold::Lame => {}
        }
    }

    /// A person's `nixos-rebuild switch` to a third system.
    pub(crate) fn is_switched(&mut self, past: &mut Past) {
        past.switched_to_stay |= (self.boot == 0 && !self.is_going()) || self.rests();
        (self.current, self.profile, self.default) = (Sys::Other, Sys::Other, Sys::Other);
        (past.installed_after_it, past.installed_by_another) = (past.installed_after_it || self.over_here, true);
    }

    /// The unit of the kernel's line: `begin`.
    pub(crate) fn begins(&mut self, past: &mut Past, mistake: Option<Mistake>) {
        let resets_over = mistake == Some(Mistake::BeginsAnewWhereItIsOver);
        if (self.over_here || self.token == Token::Disarmed) && !resets_over {
            return;
        }
        if matches!(self.token, Token::Armed | Token::Fired) && !resets_over {
            if self.unit == Unit::Dead && self.survivor {
                self.unit = if self.token == Token::Fired { Unit::EndsTheStep } else { Unit::Waiting };
            }
        } else if (self.proven || self.over) && !resets_over {
            self.over_here = true;
        } else if self.survivor && self.token == Token::None {
            (self.token, self.unit, self.lease) = (Token::Armed, Unit::Waiting, true);
            // Its guard's first looks.
            if self.next == Next::Ours {
                (self.next, self.kept_by_firmware) = (Next::None, true);
            }
        } else {
            past.kept_was_reset |= past.ever_proven;
            if self.boot < 3 {
                self.reboots(past, mistake);
            } else {
                self.up = false;
            }
        }
    }

    /// A person at the machine: it is switched off and on, and where its firmware would try again, an entry is chosen.
    pub(crate) fn power_cycle(&mut self, past: &mut Past, mistake: Option<Mistake>) {
        let pending = self.next;
        if self.firmware == Firmware::Keeps {
            self.next = Next::None;
        }
        self.reboots(past, mistake);
        if self.firmware == Firmware::Keeps {
            self.next = pending;
        }
    }
}
