//! A workstation: what stays of a run on its disk when the program that wrote it is gone.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use fleetdeploy::decide::vocabulary;
use fleetdeploy::engine::recover::{FoundRun, RecordedRun, RecoveryRecords};
use fleetdeploy::engine::surroundings::Surroundings;
use fleetdeploy::event::{Event, Outcome};
use fleetdeploy::facts::plan::Plan;
use fleetdeploy::record::journal::{self, Entry, Started, Written};

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

fn started(epoch: u64) -> Entry {
    Entry::Started(Started {
        fleet: "fleet".to_owned(),
        inventory: "/inventory.yaml".into(),
        epoch,
        owner: "somebody".to_owned(),
        hosts: Vec::new(),
        without: BTreeSet::new(),
    })
}

impl Desk {
    /// A push begins here.
    pub(crate) fn begin(&mut self, plan: &Plan, now: Ms) {
        self.plan = Some(plan.clone());
        self.journal.push(Written { at: at(now), entry: started(1) });
    }

    pub(crate) fn has_recorded(&self, entry: &vocabulary::Entry) -> bool {
        let entry = Entry::from(entry.clone());
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
            Entry::Started(started) => Some(started.epoch),
            Entry::Recovering(recovering) => Some(recovering.epoch),
            _ => None,
        });
        let whole = !self.journal.iter().any(|written| matches!(&written.entry, Entry::Recovering(how) if how.alone));
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

    fn write(&mut self, now: Ms, entry: Entry) -> std::io::Result<()> {
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
    fn write(&self, entry: Entry) -> std::io::Result<()> {
        let mut world = self.world.lock();
        world.say(|| format!("{} records {entry:?}", self.station));
        let (now, desk) = (world.now, world.stations[self.station].desk);
        world.desks[desk].write(now, entry)
    }
}

impl Surroundings for Notebook {
    fn tell(&mut self, event: Event) {
        let mut world = self.world.lock();
        if let Event::PhaseStarted { phase } = &event {
            world.stations[self.station].phase = *phase;
        }
        world.say(|| format!("        {} {event:?}", self.station));
    }

    fn started(&mut self, _: &Plan) -> std::io::Result<()> {
        Ok(())
    }

    fn record(&mut self, entry: &vocabulary::Entry) -> std::io::Result<()> {
        self.write(Entry::from(entry.clone()))?;
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
        self.write(Entry::Recovering(journal::Recovering { epoch: what.epoch, owner, alone: what.alone }))
    }

    fn ended_elsewhere(&mut self) {
        // A record that cannot be written says so once more next time.
        let _ = self.write(Entry::Finished { outcome: Outcome::Superseded });
    }
}
