//! What is sent, what of it arrives, and what comes back.

use std::time::Duration;

use fleetdeploy::engine::hosts::{StepNote, StepNotes};
use fleetdeploy::facts::host::{Facts, JobKind};
use fleetdeploy::facts::step_answer::{RefusalReason, StepAnswer, StepOutcome};
use fleetdeploy::remote::step::{AskUnits, RemoteStep};
use tokio::sync::oneshot;

use crate::host::{Job, Power, Work};
use crate::mistakes::Mistake;
use crate::scenario::{Flaw, Trouble, When};
use crate::scripts::{Arming, Did, Starting};
use crate::world::{Happening, World, millis};

/// ssh notices within this that its connection is dead (`ServerAliveInterval` times `ServerAliveCountMax`).
const ALIVE: u64 = 15_000;

#[derive(Debug)]
pub(crate) enum Reply {
    Said(Box<StepAnswer>),
    Surveyed(Box<Facts>),
    Lost(&'static str),
    Denied(&'static str),
}

/// A command on its way, or being waited for.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) station: usize,
    pub(crate) host: usize,
    pub(crate) command: RemoteStep,
    pub(crate) login: bool,
    pub(crate) notes: Option<StepNotes>,
    pub(crate) reply: Option<oneshot::Sender<Reply>>,
    reply_is_lost: bool,
    /// The step it waits for on the host, on which boot.
    waits: Option<(JobKind, u32)>,
}

impl World {
    pub(crate) fn fate(&mut self, percent: u64) -> bool {
        !self.is_quiet() && percent > 0 && self.chance.percent(percent)
    }

    /// Sends a command on its way.
    pub(crate) fn send(
        &mut self,
        (station, host): (usize, usize),
        command: RemoteStep,
        login: bool,
        notes: Option<StepNotes>,
        reply: oneshot::Sender<Reply>,
    ) {
        // As its sender saw it: a suspend in this very moment is the host's to notice.
        self.check_sent(station, host, &command);
        self.advance();
        self.sent += 1;
        let (serial, noise) = (self.sent, self.scenario.noise);
        let due: Vec<Trouble> = self
            .scenario
            .troubles
            .iter()
            .filter(|(when, _)| *when == When::Sent(serial) && !self.is_peace)
            .map(|(_, trouble)| *trouble)
            .collect();
        for trouble in due {
            self.after(0, Happening::Trouble(trouble));
        }
        let mut message =
            Message { station, host, command, login, notes, reply: Some(reply), reply_is_lost: false, waits: None };
        let way = self.scenario.natures[host].latency;
        let notices = self.chance.pick(&[50, 1_000, ALIVE]);
        if !self.reaches(self.stations[station].desk, host) || self.fate(noise.command_lost) {
            self.after(notices, Happening::Answer(serial, Reply::Lost("no way to the host")));
        } else if self.fate(noise.late) {
            // Somewhere between here and there it is kept, and goes on much later.
            let late = self.chance.spread(500, 1_800_000);
            let reply = message.reply.take();
            self.say(|| format!("late by {late} ms: {:?}", message.command.script().name));
            self.after(late, Happening::Arrive(serial));
            let id = self.fresh();
            self.messages.insert(id, Message { reply, ..message.copy() });
            message.notes = None;
            self.after(notices, Happening::Answer(id, Reply::Lost("the connection hangs")));
        } else {
            message.reply_is_lost = self.fate(noise.reply_lost);
            self.after(way, Happening::Arrive(serial));
        }
        self.messages.insert(serial, message);
    }

    /// A number for what is no message that was counted.
    pub(crate) fn fresh(&mut self) -> u64 {
        self.serial += 1;
        self.serial | 1 << 60
    }

    pub(crate) fn arrive(&mut self, id: u64) {
        let Some(message) = self.messages.get(&id) else { return };
        let (station, host) = (message.station, message.host);
        // A coordinator without a connection makes one first.
        let connection = (station, host, self.hosts[host].boot);
        let login = message.login || !self.connected.contains(&connection);
        if !self.reaches(self.stations[station].desk, host) {
            let notices = self.chance.pick(&[1_000, ALIVE]);
            self.after(notices, Happening::Answer(id, Reply::Lost("the way is gone")));
            return;
        }
        let way = self.scenario.natures[host].latency;
        if login && self.has(host, Flaw::NoLogin) {
            let reply = if id.is_multiple_of(2) { Reply::Denied("no root there") } else { Reply::Lost("no login") };
            self.after(way, Happening::Answer(id, reply));
            return;
        }
        self.connected.insert(connection);
        let message = self.messages.remove(&id).expect("it was there");
        self.check_clean_up(&message);
        let before = self.before(host);
        let did = self.execute(&message);
        let said = match &did {
            Did::Said(outcome) => outcome.clone(),
            Did::Await { .. } => StepOutcome::Done,
        };
        self.check_executed(&message, &before, &said);
        self.say(|| format!("host{host} ← {} of {}: {did:?}", message.command.script().name, message.station));
        match did {
            Did::Said(outcome) => self.answer(id, message, outcome),
            Did::Await { kind, begin } => {
                if let Some(notes) = &message.notes {
                    // Who started it may be gone.
                    let _ = notes.send(StepNote::Started);
                }
                self.wait_for(id, message, kind, begin);
            }
        }
    }

    fn wait_for(&mut self, id: u64, mut message: Message, kind: JobKind, begin: bool) {
        let host = message.host;
        let limit = match &message.command {
            RemoteStep::Job { limit, .. } | RemoteStep::Await { limit, .. } => millis(*limit),
            _ => return,
        };
        if let (true, RemoteStep::Job { speaker, .. }) = (begin, &message.command) {
            let job = self.fresh();
            let record = Job { id: job, run: speaker.run.clone(), epoch: speaker.epoch, work: Work::Starting };
            self.hosts[host].run.jobs.insert(kind, record);
            let wait = self.chance.between(5, 200);
            self.after(wait, Happening::Begin { host, kind, id: job });
        }
        message.waits = Some((kind, self.hosts[host].boot));
        let over = self.hosts[host].run.jobs.get(&kind).is_none_or(|job| !job.work.lives());
        self.messages.insert(id, message);
        if over {
            self.step_ended(host, kind);
        } else {
            self.after(limit, Happening::WaitedEnough(id));
            self.after(ALIVE, Happening::Alive(id));
        }
    }

    /// Tells the coordinators that wait for this step of this host how it stands.
    pub(crate) fn step_ended(&mut self, host: usize, kind: JobKind) {
        let boot = self.hosts[host].boot;
        let waiting =
            |message: &&u64| self.messages[message].host == host && self.messages[message].waits == Some((kind, boot));
        let waiting: Vec<u64> = self.messages.keys().filter(waiting).copied().collect();
        for id in waiting {
            self.stop_waiting(id);
        }
    }

    pub(crate) fn stop_waiting(&mut self, id: u64) {
        let Some(message) = self.messages.get(&id) else { return };
        let host = message.host;
        let Some((kind, boot)) = message.waits else { return };
        if self.hosts[host].boot != boot || self.hosts[host].power != Power::On {
            return;
        }
        let failed = |text: &str| StepOutcome::said_to_have_failed(text);
        let outcome = match self.hosts[host].run.jobs.get(&kind).map(|job| job.work) {
            Some(Work::Exited(0)) => StepOutcome::Done,
            Some(Work::Exited(_)) => failed("a status"),
            Some(Work::Running) => failed("has not ended within its limit"),
            Some(Work::Lost) => failed("was killed before its end"),
            None | Some(Work::Starting | Work::NotBegun) => failed("did not begin"),
        };
        let message = self.messages.remove(&id).expect("it was there");
        self.answer(id, message, outcome);
    }

    /// A connection whose other end is gone is noticed after a while.
    pub(crate) fn is_alive(&mut self, id: u64) {
        let Some(message) = self.messages.get(&id) else { return };
        let Some((_, boot)) = message.waits else { return };
        let desk = self.stations[message.station].desk;
        if !self.reaches(desk, message.host) || self.hosts[message.host].boot != boot {
            self.answer_arrives(id, Reply::Lost("the connection is dead"));
        } else {
            self.after(ALIVE, Happening::Alive(id));
        }
    }

    fn answer(&mut self, id: u64, mut message: Message, outcome: StepOutcome) {
        let host = message.host;
        message.waits = None;
        let standing = self.standing(host);
        self.check_said(host, &standing);
        let said = if message.command == RemoteStep::Survey {
            Reply::Surveyed(Box::new(self.facts(host)))
        } else {
            let mut standing = standing.clone();
            if matches!(message.command, RemoteStep::Standing { units: AskUnits::No, .. }) {
                standing.failed_units.clear();
            }
            Reply::Said(Box::new(StepAnswer { outcome, standing, log: Vec::new() }))
        };
        let lost = message.reply_is_lost;
        self.messages.insert(id, message);
        let way = self.scenario.natures[host].latency;
        if lost {
            let notices = self.chance.pick(&[10, 1_000, ALIVE]);
            let reply = if self.mistake == Some(Mistake::LostReplyIsRefusal) {
                let outcome = StepOutcome::Refused { reason: RefusalReason::Other, text: "lost".to_owned() };
                Reply::Said(Box::new(StepAnswer { outcome, standing, log: Vec::new() }))
            } else {
                Reply::Lost("the reply was lost")
            };
            self.after(notices, Happening::Answer(id, reply));
        } else {
            self.after(way, Happening::Answer(id, said));
        }
    }

    pub(crate) fn answer_arrives(&mut self, id: u64, reply: Reply) {
        let Some(message) = self.messages.get(&id) else { return };
        let desk = self.stations[message.station].desk;
        if matches!(reply, Reply::Said(_) | Reply::Surveyed(_)) && !self.reaches(desk, message.host) {
            self.after(ALIVE, Happening::Answer(id, Reply::Lost("the answer did not come through")));
            return;
        }
        let message = self.messages.remove(&id).expect("it was there");
        if let Some(sender) = message.reply {
            // The coordinator that asked may have given up.
            let _ = sender.send(reply);
        }
    }

    fn execute(&mut self, message: &Message) -> Did {
        let (now, mistake) = (self.now, self.mistake);
        let index = message.host;
        let host = &mut self.hosts[index];
        let seconds = |duration: &Duration| duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
        let said = match &message.command {
            RemoteStep::Arm { speaker, owner, boot_id, expected, latest, guard, action, pace, .. } => {
                let job_wait = pace.iter().find(|(name, _)| *name == "job_wait").map_or(60, |(_, wait)| *wait) * 1000;
                let (action, seconds) = (*action, seconds(guard));
                let latest = *latest;
                let arming = Arming { speaker, owner, boot_id, expected, latest, seconds, action, job_wait };
                host.arm(&arming, now, mistake).map(|wind_up| {
                    if wind_up {
                        self.wind_up(index);
                    }
                })
            }
            RemoteStep::Ask { run } => host.still_here(run),
            RemoteStep::TakeOver { speaker, owner } => host.take_over(speaker, owner, mistake),
            RemoteStep::Extend { speaker, boot_id, guard } => {
                host.extend(speaker, boot_id, seconds(guard), now, mistake)
            }
            RemoteStep::Job { speaker, boot_id, kind, needs, expected, .. } => {
                let step = Starting { speaker, boot_id, kind: *kind, needs: seconds(needs), expected };
                match host.start(&step, now, mistake) {
                    Ok(begin) => return Did::Await { kind: *kind, begin },
                    Err(refusal) => Err(refusal),
                }
            }
            RemoteStep::Disarm { speaker, boot_id, expected } => host.disarm(speaker, boot_id, expected, mistake),
            RemoteStep::Release { speaker } => host.release(speaker),
            RemoteStep::Clean { speaker, mark } => host.clean(speaker, mark),
            RemoteStep::Unmark { speaker, host: missing } => host.unmark(speaker, missing.as_ref()),
            RemoteStep::Await { kind, .. } => return Did::Await { kind: *kind, begin: false },
            _ => Ok(()),
        };
        Did::Said(said.err().unwrap_or(StepOutcome::Done))
    }
}

impl Message {
    /// The same message without what can be there only once.
    fn copy(&self) -> Self {
        Self {
            station: self.station,
            host: self.host,
            command: RemoteStep::Standing { run: None, units: AskUnits::No },
            login: self.login,
            notes: None,
            reply: None,
            reply_is_lost: false,
            waits: None,
        }
    }
}
