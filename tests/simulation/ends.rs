//! What must hold when a program ends, and when the world has come to rest.

use fleetdeploy::decide::transaction::recover::Aim;
use fleetdeploy::decide::vocabulary::Verdict;
use fleetdeploy::event::{HostOutcome, Outcome};
use fleetdeploy::facts::traces::EndSide;
use fleetdeploy::inventory::model::HostName;

use crate::fleet::RUN;
use crate::host::{Ms, Power, Token};
use crate::scenario::Flaw;
use crate::station::{End, Life};
use crate::systems::{Stand, Sys};
use crate::world::{FOR_EVER, World};

/// It is counted, and is no violation: the push said that it did not know.
pub(crate) const NEEDLESS: &str = "split without need";

/// A host that could be asked for so long was asked.
const LONG: Ms = 60_000;

/// One word of a host that another coordinator has taken over loses that host.
fn by_its_word(end: &HostOutcome) -> bool {
    matches!(end, HostOutcome::Lost { why } if why.to_string().starts_with("it says that"))
}

impl World {
    /// A program has come to its end.
    pub(crate) fn ended(&mut self, station: usize, end: End) {
        self.say(|| format!("{station} ENDED {end:?}"));
        if let Some(verdict) = end.verdict() {
            crate::codes::keep_end(verdict);
            self.check_verdict(station, verdict);
        }
        let by = match (station, self.is_peace, self.stations[station].alone) {
            (0, ..) => "push",
            _ if self.stations[station].aim == Aim::Returned => "clean-up of a push",
            (_, true, _) => "recovery in peace",
            (_, false, true) => "recovery from the hosts alone",
            (_, false, false) => "recovery from the record",
        };
        self.count(format!("{by} ended: {}", end.word()));
        self.stations[station].end = Some(end);
        self.changed.notify_one();
    }

    fn guard_waits(&self, host: usize) -> bool {
        self.hosts[host].run.guard_lives || matches!(self.hosts[host].run.token, Token::Armed(_))
    }

    /// 6: what is said of a host is true of it at that moment.
    fn check_hosts_of(&mut self, verdict: &Verdict) {
        for (name, end) in &verdict.hosts {
            let host = self.scenario.index(name);
            let side = match end {
                HostOutcome::Committed => Sys::New,
                HostOutcome::RolledBack { .. } => Sys::Old,
                _ => continue,
            };
            let Stand { current, profile, boot } = self.hosts[host].stand;
            let is_there = current == side && boot == side && (profile == side || self.seen.torn[host]);
            let is_up = self.hosts[host].power == Power::On;
            if is_up && !self.seen.meddled[host] && (!is_there || self.guard_waits(host)) {
                let stand = self.hosts[host].stand;
                self.violated(format!("6: {end:?} is said of host{host}, which is on {stand:?}"));
            }
        }
    }

    /// 6: what is said at the end is what was seen.
    fn check_verdict(&mut self, station: usize, verdict: &Verdict) {
        self.check_hosts_of(verdict);
        for host in self.changing() {
            let name = HostName::new(format!("host{host}")).expect("a name");
            let end = verdict.hosts.iter().find(|(of, _)| *of == name).map(|(_, end)| end);
            // The push says that it does not know: of the first host in a word of its own, of the second in the same
            // sentence.
            let is_not_known = station > 0 && verdict.outcome != Outcome::Refused;
            if end == Some(&HostOutcome::Missing) || (is_not_known && end == Some(&HostOutcome::Untouched)) {
                continue;
            }
            let (said_new, said_old) = (self.seen.said_new[host], self.seen.said_old[host]);
            let down = self.hosts[host].power != Power::On;
            match verdict.outcome {
                Outcome::Committed if !said_new => {
                    self.violated(format!("6: committed, and host{host} never said that it is on new, unguarded"));
                }
                Outcome::RolledBack | Outcome::Refused if self.seen.armed[host] => {
                    if let Some(HostOutcome::MovedOn { on }) = end {
                        // Other hands have moved it on, and it is named as on what it really runs.
                        if self.hosts[host].stand.systems().current != *on || (self.guard_waits(host) && !down) {
                            self.violated(format!("6: moved on is said of host{host}, and it is not so"));
                        }
                    } else if end.is_some_and(by_its_word) && self.hosts[host].stand == Stand::all(Sys::Old) {
                        // Nothing was tested: whoever has taken it over holds an empty guard there, and the verdict
                        // names it.
                    } else if !said_old {
                        self.violated(format!("6: {:?}, and host{host} never said that it is on old", verdict.outcome));
                    } else if self.guard_waits(host) && !down {
                        self.violated(format!("6: {:?}, and host{host}'s guard is armed", verdict.outcome));
                    }
                }
                _ => {}
            }
        }
        self.check_split(station, verdict);
    }

    /// Whether a split is real: some host is not on old and unguarded, or could not be asked when it mattered. What a
    /// host that did not answer the survey ran before nobody knows without the record: the next recovery does.
    fn check_split(&mut self, station: usize, verdict: &Verdict) {
        if verdict.outcome != Outcome::Split || self.seen.meddled.contains(&true) || verdict.interrupted.is_some() {
            return;
        }
        // A recovery that only removes the traces of a run takes no host back.
        let only_removes = matches!(self.stations[station].aim, Aim::Forget { .. } | Aim::Returned);
        let excused = only_removes || self.seen.disarmed_for_commit || self.seen.restarted_moved;
        if excused || self.scenario.quiet_from + LONG >= self.now {
            return;
        }
        let desk = self.stations[station].desk;
        let real = |name: &HostName| {
            let host = self.scenario.index(name);
            let fine = self.hosts[host].stand == Stand::all(Sys::Old) && self.hosts[host].is_at_rest();
            let long = self.reached_since(desk, host).is_some_and(|since| since + LONG < self.now);
            !fine || !long || self.stations[station].never_seen.contains(name)
        };
        let lost = |end: &&(HostName, HostOutcome)| matches!(end.1, HostOutcome::Lost { .. });
        let lost: Vec<_> = verdict.hosts.iter().filter(lost).collect();
        // Whatever becomes of it there.
        if !lost.iter().any(|(name, end)| real(name) || by_its_word(end)) {
            let lost = format!("{lost:?}");
            self.say(|| format!("{NEEDLESS}: hosts that are on old, unguarded and answer: {lost}"));
            self.count(NEEDLESS);
        }
    }

    /// Whether anybody has reason to type `recover`: a host that can be reached holds something of the run, or the
    /// push's own workstation says that it is not over.
    pub(crate) fn is_unfinished(&self) -> bool {
        self.is_left_somewhere() || !self.desks[0].is_over()
    }

    fn is_left_somewhere(&self) -> bool {
        let is_left =
            |host: &usize| self.can_be_asked(0, *host) && self.holds_something(*host) && !self.is_apart(*host);
        self.changing().iter().any(is_left)
    }

    /// A host that the run was ended without, and that is back on the other side: what it keeps waits for a push or a
    /// rollback.
    fn is_apart(&self, host: usize) -> bool {
        let side = match self.hosts[host].stand {
            stand if stand == Stand::all(Sys::Old) => EndSide::New,
            stand if stand == Stand::all(Sys::New) => EndSide::Old,
            _ => return false,
        };
        let marks = self.hosts.iter().filter_map(|host| host.mark.as_ref());
        self.seen.left_out[host] && marks.into_iter().any(|ended| ended.mark.side == Some(side))
    }

    fn holds_something(&self, host: usize) -> bool {
        let host = &self.hosts[host];
        host.roots.contains_key(RUN) || host.run.lease.is_some() || host.run.token != Token::None
    }

    pub(crate) fn can_be_asked(&self, desk: usize, host: usize) -> bool {
        self.hosts[host].power == Power::On && self.reaches(desk, host) && !self.has(host, Flaw::NoLogin)
    }

    /// When nothing moves any more: 1, 4, 5, and progress.
    pub(crate) fn check_end(&mut self) {
        for station in 0..self.stations.len() {
            if !self.stations[station].is_over() {
                self.violated(format!("progress: program {station} never comes to an end"));
            }
        }
        for host in 0..self.hosts.len() {
            let stand = self.hosts[host].stand;
            if self.hosts[host].power != Power::On || self.seen.meddled[host] {
                continue;
            }
            if self.guard_waits(host) {
                self.violated(format!("4: host{host}'s guard never came to its end"));
            }
            let all_old = stand.current == Sys::Old && stand.boot == Sys::Old;
            if !self.seen.disarmed_for_commit && !self.seen.restarted_moved && !all_old {
                self.violated(format!("5: host{host} ends on {stand:?}"));
            }
        }
        self.check_recovered();
        if self.scenario.is_harmless() {
            let committed = |end: &End| end.verdict().is_some_and(|verdict| verdict.outcome == Outcome::Committed);
            if !self.stations[0].end.as_ref().is_some_and(committed) {
                let end = format!("{:?}", self.stations[0].end);
                self.violated(format!("progress: nothing went wrong, and it was not committed: {end}"));
            }
        }
    }

    /// 7: recoveries in peace lead out of everything.
    fn check_recovered(&mut self) {
        let changing = self.changing();
        let is_sane = |host: &usize| {
            self.can_be_asked(0, *host)
                && !self.seen.meddled[*host]
                && !self.seen.left_out[*host]
                && !self.seen.forgotten
        };
        let sane: Vec<usize> = changing.iter().copied().filter(is_sane).collect();
        let (first, rest) = match sane.split_first() {
            Some((first, rest)) => (self.hosts[*first].stand, rest),
            None => return,
        };
        if first != Stand::all(first.current) || rest.iter().any(|host| self.hosts[*host].stand != first) {
            let stands: Vec<(usize, Stand)> = sane.iter().map(|host| (*host, self.hosts[*host].stand)).collect();
            self.violated(format!("7: the hosts do not agree: {stands:?}"));
        }
        if !self.seen.meddled.contains(&true) && self.is_unfinished() {
            let left: Vec<usize> = changing.into_iter().filter(|host| self.holds_something(*host)).collect();
            let over = self.desks[0].is_over();
            self.violated(format!("7: never over: something is left on {left:?}, the record is over: {over}"));
        }
    }

    /// Nothing goes wrong any more: cables are back, disks have room. What is broken for good stays so.
    pub(crate) fn make_peace(&mut self) {
        self.is_peace = true;
        self.desks.iter_mut().for_each(|desk| desk.full = false);
        let now = self.now;
        self.desk_cut_until.fill(now);
        for cut in self.cut_until.iter_mut().filter(|cut| **cut != FOR_EVER) {
            *cut = (*cut).min(now);
        }
    }

    /// Where the next recovery in peace is typed: anywhere, as long as there is something left on the hosts; that it is
    /// over the push's own workstation must learn, too.
    pub(crate) fn peaceful_desk(&mut self) -> usize {
        if self.is_left_somewhere() { self.chance.pick(&[0, 0, 1, 2]) } else { 0 }
    }

    /// A workstation on which no program holds the fleet, this one if it can be.
    pub(crate) fn free_desk(&self, wanted: usize) -> Option<usize> {
        let busy = |desk: usize| {
            self.stations
                .iter()
                .any(|station| station.desk == desk && station.end.is_none() && station.life != Life::Dead)
        };
        let desks = self.desks.len();
        (0..desks).map(|more| (wanted + more) % desks).find(|desk| !busy(*desk))
    }
}
