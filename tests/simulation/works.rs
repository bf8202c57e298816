//! What goes on on the hosts by itself: steps, guards, power cuts and boots. It follows `job.sh`, `restore.sh` and
//! `guard.sh`.

use fleetdeploy::facts::host::JobKind;
use fleetdeploy::inventory::model::GuardAction;

use crate::host::{Ms, Power, Token, Work};
use crate::mistakes::Mistake;
use crate::scenario::{Doing, Ends};
use crate::systems::Sys;
use crate::world::{Happening, World};

/// Between two looks at something that is waited for.
const LOOK: Ms = 1_000;
/// What a hanging re-activation is given by a guard.
const ACTIVATE_LIMIT: Ms = 240_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GuardStage {
    Look,
    /// Waits for the run's own steps, since when.
    StopSteps(Ms),
    Profile,
    /// The loader, for the so-manyth time.
    Boot(u8),
    Reboot,
    Current {
        restored: bool,
    },
}

impl World {
    // Steps.

    pub(crate) fn begin(&mut self, host: usize, kind: JobKind, id: u64) {
        let mistake = self.mistake;
        if self.hosts[host].power != Power::On || !self.hosts[host].begin(kind, id, mistake) {
            self.step_ended(host, kind);
            return;
        }
        self.say(|| format!("host{host}: {} begins", kind.word()));
        self.check_begun(host, kind);
        let since = self.now;
        self.after(1, Happening::Job { host, kind, id, stage: 0, since });
    }

    fn runs(&self, host: usize, kind: JobKind, id: u64) -> bool {
        self.hosts[host].run.jobs.get(&kind).is_some_and(|job| job.id == id && job.work == Work::Running)
    }

    fn end(&mut self, host: usize, kind: JobKind, work: Work) {
        self.say(|| format!("host{host}: {} ends: {work:?}", kind.word()));
        if let Some(job) = self.hosts[host].run.jobs.get_mut(&kind) {
            job.work = work;
        }
        self.check_ended(host, kind, work);
        self.step_ended(host, kind);
    }

    pub(crate) fn kill_steps(&mut self, host: usize, rollback: bool) {
        for kind in [JobKind::Test, JobKind::Switch, JobKind::Reactivate, JobKind::Rollback] {
            let lives = self.hosts[host].run.jobs.get(&kind).is_some_and(|job| job.work.lives());
            if lives && (kind == JobKind::Rollback) == rollback {
                self.end(host, kind, Work::Lost);
            }
        }
    }

    pub(crate) fn job_goes_on(&mut self, host: usize, kind: JobKind, id: u64, stage: u8, since: Ms) {
        if !self.runs(host, kind, id) {
            return;
        }
        let next = |stage: u8| Happening::Job { host, kind, id, stage, since };
        let nature = &self.scenario.natures[host];
        let (test, switch) = (nature.test, nature.switch);
        match (kind, stage) {
            (JobKind::Rollback, _) => self.rollback_goes_on(host, id, stage, since),
            (JobKind::Test, 0) => self.after(test.takes / 2, next(1)),
            (JobKind::Test, 1) => {
                if test.ends != (Ends::Badly { moved: false }) {
                    self.activate(host, Sys::New);
                }
                self.after(test.takes / 2, next(2));
            }
            (JobKind::Switch | JobKind::Reactivate, 0) => self.after(switch.takes / 3, next(1)),
            (JobKind::Switch | JobKind::Reactivate, 1) => {
                self.hosts[host].switching = true;
                self.hosts[host].stand.profile = Sys::New;
                self.after(switch.takes / 3, next(2));
            }
            (JobKind::Switch | JobKind::Reactivate, 2) => {
                if switch.ends != (Ends::Badly { moved: false }) {
                    self.hosts[host].stand.boot = Sys::New;
                    self.check_boot_default_moved(host);
                }
                self.after(switch.takes / 3, next(3));
            }
            _ => {
                let Doing { ends, .. } = if kind == JobKind::Test { test } else { switch };
                match ends {
                    Ends::Well => self.end(host, kind, Work::Exited(0)),
                    Ends::Badly { .. } => self.end(host, kind, Work::Exited(1)),
                    Ends::Never => {}
                }
            }
        }
    }

    fn activate(&mut self, host: usize, system: Sys) {
        if self.hosts[host].stand.current != system {
            self.hosts[host].stand.current = system;
            self.hosts[host].activated_at = self.now;
        }
    }

    fn rollback_goes_on(&mut self, host: usize, id: u64, stage: u8, since: Ms) {
        let kind = JobKind::Rollback;
        let next = |stage: u8| Happening::Job { host, kind, id, stage, since };
        let Some(plan) = self.hosts[host].run.plan.clone() else { return self.end(host, kind, Work::Exited(96)) };
        match stage {
            0 if self.hosts[host].job_lives(false) && self.now < since + plan.job_wait => self.after(LOOK, next(0)),
            0 => {
                self.kill_steps(host, false);
                self.after(200, next(1));
            }
            1 => {
                self.hosts[host].stand.profile = plan.old.profile;
                self.after(400, next(2));
            }
            2..5 => {
                if self.restore_boot(host, plan.old.boot) {
                    self.after(200, next(6));
                } else {
                    self.after(2_000, next(stage + 1));
                }
            }
            // The loader could not be put back; the current system is tried all the same.
            5 => self.after(200, next(7)),
            6 | 7 => {
                let back = self.scenario.natures[host].back;
                let wait = if self.needs_activation(host) { back.takes } else { 100 };
                self.after(wait, next(stage + 2));
            }
            _ => {
                let needed = self.needs_activation(host);
                let ends = self.scenario.natures[host].back.ends;
                if needed && ends != (Ends::Badly { moved: false }) {
                    self.activate(host, plan.old.current);
                }
                match ends {
                    Ends::Never if needed => {}
                    Ends::Badly { .. } if needed => self.end(host, kind, Work::Exited(91)),
                    _ if stage == 8 => {
                        self.hosts[host].switching = false;
                        self.end(host, kind, Work::Exited(0));
                    }
                    _ => self.end(host, kind, Work::Exited(92)),
                }
            }
        }
    }

    fn needs_activation(&self, host: usize) -> bool {
        let run = &self.hosts[host].run;
        let moved = run.plan.as_ref().is_some_and(|plan| plan.old.current != self.hosts[host].stand.current);
        moved || run.started.contains(&JobKind::Test) || run.started.contains(&JobKind::Reactivate)
    }

    fn restore_boot(&mut self, host: usize, old: Sys) -> bool {
        let started = &self.hosts[host].run.started;
        let stands = self.hosts[host].stand.boot == old;
        if stands && !started.contains(&JobKind::Switch) && !started.contains(&JobKind::Reactivate) {
            return true;
        }
        if self.scenario.natures[host].installer_fails > 0 {
            self.scenario.natures[host].installer_fails -= 1;
            self.say(|| format!("host{host}: the old system's installer fails"));
            return false;
        }
        self.hosts[host].stand.boot = old;
        true
    }

    // Guards.

    /// A guard that was armed looks at its clock every second; only the looks that matter happen here.
    pub(crate) fn wind_up(&mut self, host: usize) {
        let Token::Armed(deadline) = self.hosts[host].run.token else { return };
        let due = self.hosts[host].moment_of(deadline).max(self.now);
        let nap = self.chance.below(LOOK);
        let boot = self.hosts[host].boot;
        self.at(due + nap, Happening::Guard { host, boot, stage: GuardStage::Look });
    }

    pub(crate) fn guard_goes_on(&mut self, host: usize, boot: u32, stage: GuardStage) {
        if self.hosts[host].boot != boot || self.hosts[host].power != Power::On || !self.hosts[host].run.guard_lives {
            return;
        }
        let Some(plan) = self.hosts[host].run.plan.clone() else { return };
        let next = |stage: GuardStage| Happening::Guard { host, boot, stage };
        match stage {
            GuardStage::Look => self.guard_looks(host, boot),
            GuardStage::StopSteps(since) => {
                let waited = self.now - since;
                let mistake = self.mistake == Some(Mistake::GuardLeavesTheStep);
                let steps = self.hosts[host].job_lives(false) && !mistake;
                if (steps && waited < plan.job_wait) || (self.hosts[host].job_lives(true) && waited < 2 * plan.job_wait)
                {
                    return self.after(LOOK, next(stage));
                }
                if !mistake {
                    self.kill_steps(host, false);
                    self.kill_steps(host, true);
                }
                self.after(200, next(GuardStage::Profile));
            }
            GuardStage::Profile => {
                self.hosts[host].stand.profile = plan.old.profile;
                self.after(400, next(GuardStage::Boot(0)));
            }
            GuardStage::Boot(tries) => {
                let restored =
                    self.mistake == Some(Mistake::GuardLeavesTheBootDefault) || self.restore_boot(host, plan.old.boot);
                if !restored && tries < 2 {
                    self.after(2_000, next(GuardStage::Boot(tries + 1)));
                } else if restored && plan.action == GuardAction::Reboot && !self.hosts[host].run.reactivated {
                    let wait = self.chance.spread(100, 8_000);
                    self.after(wait, next(GuardStage::Reboot));
                } else {
                    let back = self.scenario.natures[host].back;
                    let hangs = back.ends == Ends::Never;
                    self.after(if hangs { ACTIVATE_LIMIT } else { back.takes }, next(GuardStage::Current { restored }));
                }
            }
            GuardStage::Reboot => {
                self.say(|| format!("host{host}: its guard reboots it"));
                let boot = self.scenario.natures[host].boot;
                self.hosts[host].switching = false;
                self.go_down(host);
                self.after(boot, Happening::Boot(host));
            }
            GuardStage::Current { restored } => self.guard_reactivates(host, boot, restored),
        }
    }

    fn guard_looks(&mut self, host: usize, boot: u32) {
        let now = self.now;
        let run = &mut self.hosts[host].run;
        let Token::Armed(deadline) = run.token else { return };
        if self.hosts[host].uptime(now) < deadline {
            return self.wind_up(host);
        }
        self.hosts[host].run.token = Token::Fired(deadline);
        self.hosts[host].committed = false;
        self.seen.fired[host] = true;
        let stand = self.hosts[host].stand;
        self.say(|| format!("host{host}: the guard fires, on {stand:?}"));
        let run = &mut self.hosts[host].run;
        if run.started.is_empty() && run.plan.as_ref().is_some_and(|plan| plan.old == stand) {
            run.guard_lives = false;
            return;
        }
        let stage = GuardStage::StopSteps(now);
        self.after(10, Happening::Guard { host, boot, stage });
    }

    fn guard_reactivates(&mut self, host: usize, boot: u32, restored: bool) {
        let Some(plan) = self.hosts[host].run.plan.clone() else { return };
        let back = &mut self.scenario.natures[host].back;
        let works = back.ends == Ends::Well;
        // It is tried again and again, and what hinders it passes.
        *back = Doing { ends: Ends::Well, ..*back };
        if works {
            self.activate(host, plan.old.current);
            self.hosts[host].run.reactivated = true;
        }
        if restored && self.hosts[host].run.reactivated {
            self.say(|| format!("host{host}: its guard has put everything back, without a reboot"));
            self.hosts[host].run.guard_lives = false;
            self.hosts[host].switching = false;
            // Whoever asked a moment before was told that it was still at work.
            self.hosts[host].activated_at = self.now;
        } else {
            let stage = GuardStage::StopSteps(self.now + 30_000);
            self.after(30_000, Happening::Guard { host, boot, stage });
        }
    }

    // Power.

    pub(crate) fn crash(&mut self, host: usize, off: Option<Ms>) {
        if self.hosts[host].power != Power::On {
            return;
        }
        self.check_crash(host);
        self.go_down(host);
        match off {
            None => self.hosts[host].power = Power::Gone,
            Some(off) => {
                let boot = self.scenario.natures[host].boot;
                self.after(off + boot, Happening::Boot(host));
            }
        }
    }

    fn go_down(&mut self, host: usize) {
        self.hosts[host].lose_power();
    }
}
