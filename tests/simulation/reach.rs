//! Decides which machine can reach which: ways, links, and what new systems do to them.

use std::collections::BTreeSet;
use std::time::Duration;

use fleetdeploy::facts::links::{HostRound, LinkAnswer, LinkId, Round};
use fleetdeploy::facts::plan::{HostId, Plan};
use fleetdeploy::inventory::model::{HostName, Place};

use crate::host::{Ms, Power};
use crate::mistakes::Mistake;
use crate::scenario::Flaw;
use crate::systems::Sys;
use crate::world::World;

impl World {
    /// Whether the whole way from a workstation to a host is open.
    pub(crate) fn reaches(&self, desk: usize, host: usize) -> bool {
        let mut at = Some(HostId(host));
        while let Some(HostId(here)) = at {
            if !self.is_on_the_net(here) {
                return false;
            }
            at = self.scenario.plan.hosts[here].behind;
        }
        self.now >= self.desk_cut_until[desk]
    }

    fn is_on_the_net(&self, host: usize) -> bool {
        self.hosts[host].power == Power::On && self.now >= self.cut_until[host] && !self.has(host, Flaw::Deaf)
    }

    /// Since when at least the whole way to a host was open; `None`: it is not.
    pub(crate) fn reached_since(&self, desk: usize, host: usize) -> Option<Ms> {
        let mut since = self.reaches(desk, host).then_some(self.desk_cut_until[desk])?;
        let mut at = Some(HostId(host));
        while let Some(HostId(here)) = at {
            let host = &self.hosts[here];
            let up = host.booted_at.max(0).cast_unsigned();
            since = since.max(self.cut_until[here]).max(up).max(host.activated_at);
            at = self.scenario.plan.hosts[here].behind;
        }
        Some(since)
    }

    /// Whether what is wrong with the new system shows right now.
    pub(crate) fn has(&self, host: usize, flaw: Flaw) -> bool {
        self.has_since(host, flaw).is_some()
    }

    pub(crate) fn has_since(&self, host: usize, flaw: Flaw) -> Option<Ms> {
        let (is, from, lasts) = self.scenario.natures[host].flaw?;
        let on = self.hosts[host].activated_at + from;
        let shows = is == flaw
            && self.hosts[host].stand.current == Sys::New
            && (on..on.saturating_add(lasts)).contains(&self.now);
        shows.then_some(on)
    }

    pub(crate) fn standing(&self, host: usize) -> fleetdeploy::facts::host::Standing {
        self.hosts[host].standing(self.now, self.failed_units(host))
    }

    fn failed_units(&self, host: usize) -> BTreeSet<String> {
        if self.has(host, Flaw::Unit) { BTreeSet::from(["nginx.service".to_owned()]) } else { BTreeSet::new() }
    }

    /// How long a round takes: one silent host holds it up.
    pub(crate) fn round_takes(&mut self, station: usize) -> Duration {
        self.advance();
        let desk = self.stations[station].desk;
        let all = (0..self.hosts.len()).all(|host| self.reaches(desk, host));
        Duration::from_millis(if all { self.chance.between(20, 700) } else { 5_000 })
    }

    pub(crate) fn round(&mut self, station: usize, plan: &Plan, after: bool) -> (Round, BTreeSet<LinkId>) {
        self.advance();
        let desk = self.stations[station].desk;
        let lost = self.scenario.noise.round_lost;
        let answering: Vec<bool> =
            (0..self.hosts.len()).map(|host| self.reaches(desk, host) && !self.fate(lost)).collect();
        let mut round = Round::default();
        let mut waiting = BTreeSet::new();
        let index = |name: &HostName| self.scenario.plan.hosts.iter().position(|host| host.name == *name);
        for (id, link) in plan.links.iter().enumerate() {
            let Place::Host(from) = &link.from else { continue };
            let (Some(from), Some(to)) = (index(from), link.to_host.as_ref().and_then(index)) else { continue };
            if !answering[from] && self.mistake != Some(Mistake::SilenceIsUp) {
                continue;
            }
            if self.has(from, Flaw::Slow) && self.chance.percent(70) {
                round.unmeasured.insert(id);
                continue;
            }
            let carries = |host: usize| self.is_on_the_net(host) && !self.has(host, Flaw::LinksDown);
            let old_session = after && (self.has(from, Flaw::OldHandshake) || self.has(to, Flaw::OldHandshake));
            let up = !answering[from] || (carries(from) && carries(to) && !old_session);
            if carries(from) && carries(to) && old_session {
                waiting.insert(id);
            }
            let answer =
                if up { LinkAnswer::Up { round_trip_us: None } } else { LinkAnswer::Down { why: String::new() } };
            round.answers.insert(id, answer);
        }
        for (host, _) in answering.iter().enumerate().filter(|(_, answers)| **answers) {
            let seen = HostRound {
                boot_id: self.hosts[host].boot_id(),
                current: self.hosts[host].stand.current.path().to_string(),
                failed_units: self.failed_units(host),
                ..HostRound::default()
            };
            round.hosts.insert(self.scenario.plan.hosts[host].name.clone(), seen);
        }
        if station == 0 {
            self.seen.held = match (plan.broken(&round).is_empty(), plan.unproven(&round).is_empty()) {
                (true, true) => self.seen.held + 1,
                (true, false) => self.seen.held,
                (false, _) => 0,
            };
            if self.mistake == Some(Mistake::NothingIsBrokenBetweenWaves) && self.is_between_waves() {
                round.answers = (0..plan.links.len()).map(|id| (id, LinkAnswer::Up { round_trip_us: None })).collect();
            }
        }
        (round, waiting)
    }
}
