//! Proves a roll back: new logins, and the links that were up before the push.

use std::collections::BTreeSet;

use crate::decide::transaction::stage::Stage;
use crate::decide::transaction::state::{Back, Transaction};
use crate::decide::transaction::undo::Undo;
use crate::decide::vocabulary::{Answer, Effect, Timer};
use crate::event::reason::notice::Notice;
use crate::event::{Event, HostOutcome, Phase};
use crate::facts::links::{LinkId, Round};
use crate::facts::plan::{HostId, LoginBefore};
use crate::inventory::model::HostName;

impl Transaction {
    pub(super) fn after_back_login(&mut self, host: HostId, answer: &Answer, effects: &mut Vec<Effect>) {
        if matches!(self.stage, Stage::BackProof(..)) {
            self.hosts[host.0].logged_in = matches!(answer, Answer::Said(_));
            match answer {
                Answer::Said(said) => {
                    self.compare_after_back(host, &said.standing.failed_units, &said.standing.units);
                }
                Answer::Denied { why } => {
                    let (name, cause) = (&self.plan.host(host).name, why.clone());
                    effects.push(Effect::Tell(Event::warned(Some(name), Notice::LoginRefusedAfterRollback { cause })));
                }
                Answer::Unknown { .. } | Answer::NotSent => {}
            }
            self.back_proven_when_all_holds(effects);
        }
    }

    pub(super) fn back_round_seen(&mut self, mut round: Round, effects: &mut Vec<Effect>) {
        // The links of a host that is given up do not count: no reboot of another would bring them back.
        let broken = self.without_lost_hosts(self.plan.newly_broken(&round));
        let unproven = self.without_lost_hosts(self.plan.newly_unproven(&round));
        if let Some(links) = self.stage.links_mut() {
            links.streak = u32::from(broken.is_empty() && unproven.is_empty());
            (links.broken, links.unproven) = (broken, unproven);
        }
        self.begin_time_anew(&round, effects);
        effects.push(Effect::Tell(self.links_moved(&round)));
        let changing: Vec<HostId> = self.plan.changing().filter(|host| self.hosts[host.0].activated).collect();
        for host in changing {
            if let Some(seen) = round.hosts.get(&self.plan.host(host).name) {
                self.compare_after_back(host, &seen.failed_units, &seen.units);
            }
        }
        round.hosts.clear();
        self.told.last_round = Some(round);
        self.back_proven_when_all_holds(effects);
        self.count_open_round();
        let waits = self.waits_for_turns() && self.may_still_be_proven();
        match &self.stage {
            Stage::BackProof(_, links) if links.overtime && !waits => self.back_not_proven(effects),
            Stage::BackProof(..) => effects.push(Effect::Expect(Timer::RoundPause)),
            _ => {}
        }
    }

    /// Returns the links of these that neither begin nor end at a host that is lost to this run.
    pub(super) fn without_lost_hosts(&self, mut links: BTreeSet<LinkId>) -> BTreeSet<LinkId> {
        let lost = self.lost_hosts();
        if !lost.is_empty() {
            links.retain(|link| !self.plan.links[*link].has_an_end_at(&lost));
        }
        links
    }

    /// Returns the hosts whose links prove nothing for this run.
    pub(super) fn lost_hosts(&self) -> BTreeSet<&HostName> {
        let proves_nothing = |id: &HostId| {
            let now = &self.hosts[id.0];
            now.missing
                || now.has_left()
                || matches!(now.end, Some(HostOutcome::Lost { .. } | HostOutcome::MovedOn { .. }))
        };
        self.plan.ids().filter(proves_nothing).map(|host| &self.plan.host(host).name).collect()
    }

    /// Returns the hosts at the ends of these links.
    fn ends_of(&self, links: &BTreeSet<LinkId>) -> BTreeSet<&HostName> {
        links.iter().flat_map(|link| self.plan.links[*link].hosts()).collect()
    }

    /// Returns whether a roll back must be proven by a new login here: it asks no more than there was before, and no
    /// reboot brings a login that was not there. Where that is not known, it asks: the old system may not let us in
    /// before a reboot.
    pub(super) fn needs_login(&self, host: HostId) -> bool {
        let was_taken = match self.plan.host(host).login {
            LoginBefore::Taken | LoginBefore::Unknown => true,
            LoginBefore::NotTaken => false,
        };
        was_taken && self.hosts[host.0].needs_proof()
    }

    fn without_login(&self) -> Vec<HostId> {
        self.plan.ids().filter(|host| self.needs_login(*host) && !self.hosts[host.0].logged_in).collect()
    }

    pub(super) fn back_proven_when_all_holds(&mut self, effects: &mut Vec<Effect>) {
        let is_back_proof = matches!(self.stage, Stage::BackProof(..));
        if is_back_proof && self.links().streak > 0 && self.without_login().is_empty() {
            Self::forget_verify_timers(effects);
            self.tell_matrix(Phase::RollBack, effects);
            self.enter_back_disarm(effects);
        }
    }

    /// Leaves hosts to their guards if the old systems run again and the old links are not there: a reboot can mend
    /// more, and is armed already.
    pub(super) fn back_not_proven(&mut self, effects: &mut Vec<Effect>) {
        Self::forget_verify_timers(effects);
        let silent = self.without_login();
        // The links of the others may have led through a missing host: no reboot of theirs would mend that.
        let any_missing = self.missing().next().is_some();
        let links = self.links();
        let down: BTreeSet<LinkId> = links.broken.union(&self.down_and_open()).copied().collect();
        let (broken, unproven) = (self.ends_of(&down), self.ends_of(&links.unproven));
        let is_at = |host: HostId, ends: &BTreeSet<&HostName>| ends.contains(&self.plan.host(host).name);
        // A link that could not be measured may be down: only a reboot is known to bring it back.
        let at_broken_link = |host: HostId| is_at(host, &broken) || is_at(host, &unproven);
        let suspects: Vec<HostId> = self
            .plan
            .ids()
            .filter(|host| self.hosts[host.0].back == Back::Restored && self.hosts[host.0].needs_proof())
            .filter(|host| silent.contains(host) || (at_broken_link(*host) && !any_missing))
            .collect();
        self.tell_matrix(Phase::RollBack, effects);
        let undo = self.stage.undo();
        if undo.left_to_guards || suspects.is_empty() {
            let could_not = down.is_empty() && !links.unproven.is_empty() && silent.is_empty();
            let notice = if could_not { Notice::NotAllMeasured } else { Notice::NotAllUpAgain };
            effects.push(Effect::Tell(Event::warned(None, notice)));
            self.enter_back_disarm(effects);
            return;
        }
        let notices: Vec<Notice> = suspects
            .iter()
            .map(|host| {
                if silent.contains(host) {
                    Notice::LoginStaysDown
                } else if is_at(*host, &broken) {
                    Notice::LinksStayDown
                } else {
                    Notice::LinksStayUnmeasured
                }
            })
            .collect();
        self.enter(Stage::Back(Undo { left_to_guards: true, ..undo }));
        for (host, notice) in suspects.into_iter().zip(notices) {
            let name = self.plan.host(host).name.clone();
            effects.push(Effect::Tell(Event::warned(Some(&name), notice)));
            self.await_guard(host, effects);
        }
        self.go_on_back(effects);
    }

    /// Returns whether the last look after a roll back has found everything as it was before: the old links, and new
    /// logins.
    pub(super) fn is_back_proven(&self) -> bool {
        let logins = self.hosts.iter().all(|host| !host.activated || host.logged_in);
        let activated = self.hosts.iter().any(|host| host.activated);
        self.told.reason.is_some() && activated && logins && self.told.old_links_up
    }
}
