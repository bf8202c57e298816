//! A workstation: what stays of a run on its disk when the program that wrote it is gone.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use fleetdeploy::decide::vocabulary::{self, Verdict};
use fleetdeploy::engine::recover::{FoundRun, RecordedRun, Recovered, RecoveryRecords};
use fleetdeploy::engine::surroundings::Surroundings;
use fleetdeploy::event::{Event, Outcome};
use fleetdeploy::facts::plan::Plan;
use fleetdeploy::record::journal::{self, JournalEntry, RunStarted, Written};

use crate::fleet::{RUN, Shared, owner};
use crate::host::Ms;

/// As many as there are in a world: the push is begun on the first.
pub(crate) const DESKS: usize = 3;

/// The run's record on one workstation.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    journal: Vec<Written>,
    plan: Option<Plan>,
    /// Its disk is full.
    pub(crate) full: bool,
}

fn at(now: Ms) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(now)
}

fn started(epoch: u64) -> JournalEntry {
    JournalEntry::Started(RunStarted {
        fleet: "fleet".to_owned(),
        inventory: "/inventory.yaml".into(),
        epoch,
        owner: "somebody".to_owned(),
        hosts: Vec::new(),
        without: BTreeSet::new(),
        provenance: None,
    })
}

impl Desk {
    /// A push begins here.
    pub(crate) fn begin(&mut self, plan: &Plan, now: Ms) {
        self.plan = Some(plan.clone());
        self.journal.push(Written { at: at(now), entry: started(1) });
    }

    pub(crate) fn has_recorded(&self, entry: &vocabulary::Entry) -> bool {
        let entry = JournalEntry::from(entry.clone());
        self.journal.iter().any(|written| written.entry == entry)
    }

    pub(crate) fn is_over(&self) -> bool {
        journal::is_over(&self.journal)
    }

    /// As `fleetdeploy recover` reads it: what is unfinished.
    pub(crate) fn known(&self, now: Ms) -> Option<RecordedRun> {
        (!self.is_over()).then(|| self.read(now))
    }

    /// What was ended while hosts were missing.
    pub(crate) fn ended(&self, now: Ms) -> Vec<RecordedRun> {
        let is_marked = self.is_over() && journal::ended_without(&self.journal).is_some();
        is_marked.then(|| self.read(now)).into_iter().collect()
    }

    fn read(&self, now: Ms) -> RecordedRun {
        let epochs = self.journal.iter().filter_map(|written| match &written.entry {
            JournalEntry::Started(started) => Some(started.epoch),
            JournalEntry::Recovering(recovering) => Some(recovering.epoch),
            _ => None,
        });
        let whole =
            !self.journal.iter().any(|written| matches!(&written.entry, JournalEntry::Recovering(how) if how.alone));
        let last = self.journal.last().map_or(at(now), |written| written.at);
        RecordedRun {
            rolling: None,
            guards: None,
            run: RUN.to_owned(),
            plan: self.plan.clone().filter(|_| whole),
            recorded: journal::recorded(&self.journal),
            epoch: epochs.max().unwrap_or(1),
            since: at(now).duration_since(last).unwrap_or(Duration::ZERO),
            mark: journal::ended_without(&self.journal).cloned(),
        }
    }

    /// Another run has cleaned up after this one: record/folder.rs, `end_again`.
    fn end_again(&mut self, now: Ms, epoch: u64, owner: String, entries: &[vocabulary::Entry]) -> std::io::Result<()> {
        if self.journal.is_empty() {
            return Ok(());
        }
        self.write(now, JournalEntry::Recovering(journal::Recovering { epoch, owner, alone: false }))?;
        entries.iter().try_for_each(|entry| self.write(now, JournalEntry::from(entry.clone())))
    }

    fn write(&mut self, now: Ms, entry: JournalEntry) -> std::io::Result<()> {
        if self.full {
            return Err(std::io::ErrorKind::StorageFull.into());
        }
        self.journal.push(Written { at: at(now), entry });
        Ok(())
    }
}

/// Where a program's events and entries go.
pub(crate) struct Notebook {
    pub(crate) world: Shared,
    pub(crate) station: usize,
}

impl Notebook {
    fn write(&self, entry: JournalEntry) -> std::io::Result<()> {
        let mut world = self.world.lock();
        world.say(|| format!("{} records {entry:?}", self.station));
        let (now, desk) = (world.now, world.stations[self.station].desk);
        world.desks[desk].write(now, entry)
    }
}

/// Of a push that cleans up: what it would write comes into a record only where it is through. engine/returned.rs.
pub(crate) struct Aside {
    world: Shared,
    station: usize,
    epoch: u64,
    entries: Vec<vocabulary::Entry>,
}

impl Aside {
    pub(crate) fn new(world: Shared, station: usize) -> Self {
        Self { world, station, epoch: 0, entries: Vec::new() }
    }

    pub(crate) fn write_down(self, recovered: &Recovered) {
        let is_through = |verdict: &Verdict| verdict.outcome == Outcome::RolledBack && verdict.kept.is_empty();
        if !matches!(recovered, Recovered::Ended(verdict) if is_through(verdict)) {
            return;
        }
        let mut world = self.world.lock();
        let (now, desk) = (world.now, world.stations[self.station].desk);
        // A record that cannot be written is warned of.
        let _ = world.desks[desk].end_again(now, self.epoch, owner(self.station), &self.entries);
    }
}

impl Surroundings for Aside {
    fn tell(&mut self, event: Event) {
        told(&self.world, self.station, &event);
    }

    fn started(&mut self, _: &Plan) -> std::io::Result<()> {
        Ok(())
    }

    fn record(&mut self, entry: &vocabulary::Entry) -> std::io::Result<()> {
        self.entries.push(entry.clone());
        Ok(())
    }
}

impl RecoveryRecords for Aside {
    fn recovering(&mut self, what: &FoundRun) -> std::io::Result<()> {
        self.epoch = what.epoch;
        self.world.lock().stations[self.station].alone = what.alone;
        Ok(())
    }

    fn ended_elsewhere(&mut self) {}
}

fn told(world: &Shared, station: usize, event: &Event) {
    crate::codes::keep(event);
    let mut world = world.lock();
    if let Event::PhaseStarted { phase } = event {
        world.stations[station].phase = *phase;
    }
    world.say(|| format!("        {station} {event:?}"));
}

impl Surroundings for Notebook {
    fn tell(&mut self, event: Event) {
        told(&self.world, self.station, &event);
    }

    fn started(&mut self, _: &Plan) -> std::io::Result<()> {
        Ok(())
    }

    fn record(&mut self, entry: &vocabulary::Entry) -> std::io::Result<()> {
        self.write(JournalEntry::from(entry.clone()))?;
        self.world.lock().check_recorded(self.station, entry);
        Ok(())
    }
}

impl RecoveryRecords for Notebook {
    fn recovering(&mut self, what: &FoundRun) -> std::io::Result<()> {
        let owner = owner(self.station);
        let desk = {
            let mut world = self.world.lock();
            let station = &mut world.stations[self.station];
            station.alone = what.alone;
            let unknown = what.plan.hosts.iter().filter(|host| host.boot_id.is_empty());
            station.never_seen = unknown.map(|host| host.name.clone()).collect();
            let desk = station.desk;
            if what.alone && !world.desks[desk].full {
                world.desks[desk].plan = Some(Plan::clone(&what.plan));
            }
            desk
        };
        let is_new = self.world.lock().desks[desk].journal.is_empty();
        if what.alone && is_new {
            self.write(started(what.epoch))?;
        }
        self.write(JournalEntry::Recovering(journal::Recovering { epoch: what.epoch, owner, alone: what.alone }))
    }

    fn ended_elsewhere(&mut self) {
        // A record that cannot be written says so once more next time.
        let _ = self.write(JournalEntry::Finished { outcome: Outcome::Superseded });
    }
}
