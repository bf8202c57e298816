//! What a person types after `fleetdeploy recover`.

use std::collections::BTreeSet;

use fleetdeploy::decide::transaction::recover::Aim;
use fleetdeploy::inventory::model::HostName;

use crate::fleet::RUN;
use crate::run::PEACEFUL;
use crate::world::World;

#[derive(Debug, Clone)]
pub(crate) struct Typed {
    pub(crate) aim: Aim,
    pub(crate) without: BTreeSet<HostName>,
    pub(crate) run: Option<String>,
}

impl Typed {
    fn nothing() -> Self {
        Self { aim: Aim::Recover, without: BTreeSet::new(), run: None }
    }

    fn forget(as_they_stand: bool) -> Self {
        Self { aim: Aim::Forget { as_they_stand }, run: Some(RUN.to_owned()), ..Self::nothing() }
    }

    pub(crate) fn word(&self) -> &'static str {
        match self.aim {
            Aim::Recover => "recover",
            Aim::Without => "recover --without",
            Aim::Forget { as_they_stand: false } => "recover --forget",
            Aim::Forget { as_they_stand: true } => "recover --forget --as-they-stand",
            Aim::Returned => "what a push does of itself",
        }
    }
}

impl World {
    /// On this workstation. In peace a person names only who does not answer, and only where nothing less has helped;
    /// and at last, where somebody does not, forgets the run.
    pub(crate) fn typed(&mut self, desk: usize) -> Typed {
        let silent: Vec<usize> = self.changing().into_iter().filter(|host| !self.can_be_asked(desk, *host)).collect();
        if self.is_peace {
            self.tries_in_peace += 1;
            return match self.tries_in_peace {
                1 => Typed::nothing(),
                PEACEFUL if !silent.is_empty() => Typed::forget(true),
                _ => self.without(silent),
            };
        }
        match self.typing.below(100) {
            0..60 => Typed::nothing(),
            60..90 => {
                let silent = silent.into_iter().filter(|_| self.typing.percent(85)).collect();
                let hosts = if self.typing.percent(70) { silent } else { vec![self.typing.index(self.hosts.len())] };
                self.without(hosts)
            }
            _ => Typed::forget(self.typing.percent(50)),
        }
    }

    /// What this program does was typed so.
    pub(crate) fn note_typed(&mut self, station: usize, typed: &Typed) {
        self.stations[station].aim = typed.aim;
        self.count(typed.word());
    }

    /// Hosts that are reached through one of them are named as well; if no host would be left, none is named.
    fn without(&self, mut hosts: Vec<usize>) -> Typed {
        let plan = &self.scenario.plan;
        for (host, its) in plan.hosts.iter().enumerate() {
            // A jump stands before the hosts behind it.
            if its.behind.is_some_and(|jump| hosts.contains(&jump.0)) && !hosts.contains(&host) {
                hosts.push(host);
            }
        }
        if hosts.is_empty() || self.changing().iter().all(|host| hosts.contains(host)) {
            return Typed::nothing();
        }
        let without = hosts.into_iter().map(|host| plan.hosts[host].name.clone()).collect();
        Typed { aim: Aim::Without, without, run: None }
    }
}
