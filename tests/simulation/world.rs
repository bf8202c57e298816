//! The world: its time, its network, and what arrives where. One queue of happenings; the checks look after each.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use fleetdeploy::decide::fact::{JobKind, RefusalReason, StepAnswer, StepOutcome};
use fleetdeploy::decide::links::{HostRound, LinkAnswer, LinkId, Round};
use fleetdeploy::decide::plan::HostId;
use fleetdeploy::decide::vocabulary::Step;
use fleetdeploy::engine::clock::Clock;
use fleetdeploy::engine::hosts::{Note, Notes};
use fleetdeploy::inventory::model::Place;
use fleetdeploy::remote::step::Step as RemoteStep;
use tokio::sync::{Notify, oneshot};

use crate::chance::Chance;
use crate::checks::Seen;
use crate::clock::VirtualClock;
use crate::fleet::RUN;
use crate::host::{Arming, Did, Host, Job, Mistake, Ms, Power, Stand, Starting, Sys, Work};
use crate::scenario::{Flaw, Scenario, Trouble, When};
use crate::station::Station;

/// ssh notices within this that its connection is dead (`ServerAliveInterval` times `ServerAliveCountMax`).
const ALIVE: Ms = 15_000;
/// A host that was up before the world began.
const FOR_EVER: Ms = Ms::MAX;

#[derive(Debug)]
pub(crate) enum Reply {
    Said(Box<StepAnswer>),
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
    pub(crate) notes: Option<Notes>,
    pub(crate) reply: Option<oneshot::Sender<Reply>>,
    reply_is_lost: bool,
    /// The step it waits for on the host, on which boot.
    waits: Option<(JobKind, u32)>,
}

#[derive(Debug)]
pub(crate) enum Happening {
    Arrive(u64),
    Answer(u64, Reply),
    /// A script has waited long enough on its host.
    WaitedEnough(u64),
    Alive(u64),
    Begin {
        host: usize,
        kind: JobKind,
        id: u64,
    },
    Job {
        host: usize,
        kind: JobKind,
        id: u64,
        stage: u8,
        since: Ms,
    },
    Guard {
        host: usize,
        boot: u32,
        stage: crate::works::GuardStage,
    },
    Boot(usize),
    Trouble(Trouble),
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) now: Ms,
    queue: BTreeMap<(Ms, u64), Happening>,
    serial: u64,
    pub(crate) hosts: Vec<Host>,
    pub(crate) scenario: Scenario,
    pub(crate) chance: Chance,
    pub(crate) mistake: Option<Mistake>,
    pub(crate) stations: Vec<Station>,
    pub(crate) seen: Seen,
    messages: BTreeMap<u64, Message>,
    sent: u64,
    cut_until: Vec<Ms>,
    all_cut_until: Ms,
    pub(crate) disk_full: bool,
    clock: Arc<VirtualClock>,
    pub(crate) changed: Arc<Notify>,
    log: Option<String>,
}

pub(crate) fn millis(duration: Duration) -> Ms {
    u64::try_from(duration.as_millis()).expect("a short time")
}

impl World {
    pub(crate) fn new(seed: u64, mistake: Option<Mistake>, clock: Arc<VirtualClock>, logs: bool) -> Self {
        let mut chance = Chance::new(seed);
        let now = millis(clock.now());
        let scenario = Scenario::from(&mut chance, now);
        let mut hosts: Vec<Host> =
            scenario.natures.iter().map(|nature| Host::new(nature.up_since, nature.drift)).collect();
        for host in scenario.plan.changing() {
            // As the copy leaves it.
            hosts[host.0].roots.insert(RUN.to_owned(), Stand::all(Sys::Old));
        }
        let mut world = Self {
            now,
            queue: BTreeMap::new(),
            serial: 0,
            seen: Seen::new(hosts.len()),
            cut_until: vec![0; hosts.len()],
            hosts,
            scenario,
            chance,
            mistake,
            stations: Vec::new(),
            messages: BTreeMap::new(),
            sent: 0,
            all_cut_until: 0,
            disk_full: false,
            clock,
            changed: Arc::new(Notify::new()),
            log: logs.then(String::new),
        };
        if logs {
            let text = format!("{:#?}", world.scenario.natures);
            let plan: Vec<_> =
                world.scenario.plan.hosts.iter().map(|host| (&host.name, host.changes, host.behind)).collect();
            let text = format!("{plan:?}\n{:?}\n{:?}\n{text}", world.scenario.times, world.scenario.troubles);
            world.say(|| text);
        }
        for (when, trouble) in world.scenario.troubles.clone() {
            if let When::At(at) = when {
                world.at(at, Happening::Trouble(trouble));
            }
        }
        world
    }

    /// One line of the log; made only if there is one.
    pub(crate) fn say(&mut self, text: impl FnOnce() -> String) {
        if let Some(log) = &mut self.log {
            let _ = writeln!(log, "{:>10.3} {}", Duration::from_millis(self.now).as_secs_f64(), text());
        }
    }

    pub(crate) fn take_log(&mut self) -> String {
        self.log.take().unwrap_or_default()
    }

    pub(crate) fn at(&mut self, at: Ms, happening: Happening) {
        self.serial += 1;
        self.queue.insert((at.max(self.now), self.serial), happening);
        self.changed.notify_one();
    }

    pub(crate) fn after(&mut self, wait: Ms, happening: Happening) {
        self.at(self.now + wait, happening);
    }

    pub(crate) fn next_at(&self) -> Option<Ms> {
        self.queue.first_key_value().map(|((at, _), _)| *at)
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.now >= self.scenario.quiet_from
    }

    /// Lets everything happen that is due.
    pub(crate) fn advance(&mut self) {
        self.advance_to(millis(self.clock.now()));
    }

    fn advance_to(&mut self, end: Ms) {
        while let Some(entry) = self.queue.first_entry().filter(|entry| entry.key().0 <= end) {
            let ((at, _), happening) = entry.remove_entry();
            self.now = self.now.max(at);
            self.happen(happening);
            self.check_hosts_at_rest();
        }
        self.now = self.now.max(end);
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Arrive(id) => self.arrive(id),
            Happening::Answer(id, reply) => self.answer_arrives(id, reply),
            Happening::WaitedEnough(id) => self.stop_waiting(id),
            Happening::Alive(id) => self.is_alive(id),
            Happening::Begin { host, kind, id } => self.begin(host, kind, id),
            Happening::Job { host, kind, id, stage, since } => self.job_goes_on(host, kind, id, stage, since),
            Happening::Guard { host, boot, stage } => self.guard_goes_on(host, boot, stage),
            Happening::Boot(host) => {
                let now = self.now;
                self.hosts[host].come_up(now);
                self.say(|| format!("host{host} is up again"));
            }
            Happening::Trouble(trouble) => self.trouble(trouble),
        }
    }

    fn trouble(&mut self, trouble: Trouble) {
        self.say(|| format!("TROUBLE {trouble:?}"));
        match trouble {
            Trouble::Cut(host, lasts) => {
                self.cut_until[host] = lasts.map_or(FOR_EVER, |lasts| self.now + lasts).max(self.cut_until[host]);
            }
            Trouble::CutAll(lasts) => self.all_cut_until = self.all_cut_until.max(self.now + lasts),
            Trouble::Crash(host, off) => self.crash(host, off),
            Trouble::Suspend(lasts) => {
                // The world goes on, and the workstation hears of nothing until it wakes up.
                let end = self.now + lasts;
                self.advance_to(end);
                self.clock.jump(Duration::from_millis(lasts));
                self.say(|| "the workstation wakes up".to_owned());
            }
            Trouble::Signal(signal) => self.stations[0].signal(signal),
            Trouble::Kill => self.kill_station(0),
            Trouble::Meddle(host) if self.hosts[host].power == Power::On => {
                self.seen.meddled[host] = true;
                self.hosts[host].stand = crate::host::Stand::all(Sys::Other);
                self.hosts[host].activated_at = self.now;
            }
            Trouble::Meddle(_) => {}
            Trouble::DiskFull => self.disk_full = true,
        }
    }

    // The network.

    /// Whether the whole way from the workstation to a host is open.
    pub(crate) fn reaches(&self, host: usize) -> bool {
        let mut at = Some(HostId(host));
        while let Some(HostId(here)) = at {
            if !self.is_on_the_net(here) {
                return false;
            }
            at = self.scenario.plan.hosts[here].behind;
        }
        self.now >= self.all_cut_until
    }

    fn is_on_the_net(&self, host: usize) -> bool {
        self.hosts[host].power == Power::On && self.now >= self.cut_until[host] && !self.has(host, Flaw::Deaf)
    }

    /// Since when at least the whole way to a host was open; `None`: it is not.
    pub(crate) fn reached_since(&self, host: usize) -> Option<Ms> {
        let mut since = self.reaches(host).then_some(self.all_cut_until)?;
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

    fn fate(&mut self, percent: u64) -> bool {
        !self.is_quiet() && percent > 0 && self.chance.percent(percent)
    }

    /// Sends a command on its way.
    pub(crate) fn send(
        &mut self,
        (station, host): (usize, usize),
        command: RemoteStep,
        step: &Step,
        notes: Option<Notes>,
        reply: oneshot::Sender<Reply>,
    ) {
        self.advance();
        self.sent += 1;
        let (serial, noise) = (self.sent, self.scenario.noise);
        let due: Vec<Trouble> = self
            .scenario
            .troubles
            .iter()
            .filter(|(when, _)| *when == When::Sent(serial))
            .map(|(_, trouble)| *trouble)
            .collect();
        for trouble in due {
            self.after(0, Happening::Trouble(trouble));
        }
        self.check_sent(station, host, &command);
        let login = matches!(step, Step::Login { .. });
        let mut message =
            Message { station, host, command, login, notes, reply: Some(reply), reply_is_lost: false, waits: None };
        let way = self.scenario.natures[host].latency;
        let notices = self.chance.pick(&[50, 1_000, ALIVE]);
        if !self.reaches(host) || self.fate(noise.command_lost) {
            self.after(notices, Happening::Answer(serial, Reply::Lost("no way to the host")));
        } else if self.fate(noise.late) {
            // Somewhere between here and there it is kept, and goes on much later.
            let late = self.chance.spread(500, 1_800_000);
            let reply = message.reply.take();
            self.say(|| format!("late by {late} ms: {:?}", message.command.script().name));
            self.after(late, Happening::Arrive(serial));
            let id = self.fresh();
            self.messages.insert(id, Message { reply, command: RemoteStep::Standing, ..message.copy() });
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

    fn arrive(&mut self, id: u64) {
        let Some(message) = self.messages.get(&id) else { return };
        let (host, login) = (message.host, message.login);
        if !self.reaches(host) {
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
        let message = self.messages.remove(&id).expect("it was there");
        let before = self.before(host);
        let did = self.execute(&message);
        self.check_executed(&message, &before);
        self.say(|| format!("host{host} ← {} of {}: {did:?}", message.command.script().name, message.station));
        match did {
            Did::Said(outcome) => self.answer(id, message, outcome),
            Did::Await { kind, begin } => {
                if let Some(notes) = &message.notes {
                    // Who started it may be gone.
                    let _ = notes.send(Note::Started);
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

    /// Whoever waits for this step of this host hears how it stands.
    pub(crate) fn step_ended(&mut self, host: usize, kind: JobKind) {
        let boot = self.hosts[host].boot;
        let waiting =
            |message: &&u64| self.messages[message].host == host && self.messages[message].waits == Some((kind, boot));
        let waiting: Vec<u64> = self.messages.keys().filter(waiting).copied().collect();
        for id in waiting {
            self.stop_waiting(id);
        }
    }

    fn stop_waiting(&mut self, id: u64) {
        let Some(message) = self.messages.get(&id) else { return };
        let host = message.host;
        let Some((kind, boot)) = message.waits else { return };
        if self.hosts[host].boot != boot || self.hosts[host].power != Power::On {
            return;
        }
        let failed = |text: &str| StepOutcome::Failed { text: text.to_owned() };
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
    fn is_alive(&mut self, id: u64) {
        let Some(message) = self.messages.get(&id) else { return };
        let Some((_, boot)) = message.waits else { return };
        if !self.reaches(message.host) || self.hosts[message.host].boot != boot {
            self.answer_arrives(id, Reply::Lost("the connection is dead"));
        } else {
            self.after(ALIVE, Happening::Alive(id));
        }
    }

    fn answer(&mut self, id: u64, mut message: Message, outcome: StepOutcome) {
        let host = message.host;
        message.waits = None;
        let standing = self.standing(host);
        self.check_said(host, &outcome, &standing);
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
            self.after(
                way,
                Happening::Answer(id, Reply::Said(Box::new(StepAnswer { outcome, standing, log: Vec::new() }))),
            );
        }
    }

    fn answer_arrives(&mut self, id: u64, reply: Reply) {
        let Some(message) = self.messages.get(&id) else { return };
        if matches!(reply, Reply::Said(_)) && !self.reaches(message.host) {
            self.after(ALIVE, Happening::Answer(id, Reply::Lost("the answer did not come through")));
            return;
        }
        let message = self.messages.remove(&id).expect("it was there");
        if let Some(sender) = message.reply {
            // Who asked may have given up.
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
                host.arm(&arming, now).map(|wind_up| {
                    if wind_up {
                        self.wind_up(index);
                    }
                })
            }
            RemoteStep::TakeOver { speaker, owner } => host.take_over(speaker, owner),
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
            RemoteStep::Clean { speaker } => host.clean(speaker),
            RemoteStep::Await { kind, .. } => return Did::Await { kind: *kind, begin: false },
            _ => Ok(()),
        };
        Did::Said(said.err().unwrap_or(StepOutcome::Done))
    }

    pub(crate) fn standing(&self, host: usize) -> fleetdeploy::decide::fact::Standing {
        self.hosts[host].standing(self.now, self.failed_units(host))
    }

    fn failed_units(&self, host: usize) -> BTreeSet<String> {
        if self.has(host, Flaw::Unit) { BTreeSet::from(["nginx.service".to_owned()]) } else { BTreeSet::new() }
    }

    /// How long a round takes: one silent host holds it up.
    pub(crate) fn round_takes(&mut self) -> Duration {
        self.advance();
        let all = (0..self.hosts.len()).all(|host| self.reaches(host));
        Duration::from_millis(if all { self.chance.between(20, 700) } else { 5_000 })
    }

    pub(crate) fn round(&mut self, after: bool) -> (Round, BTreeSet<LinkId>) {
        self.advance();
        let plan = Arc::clone(&self.scenario.plan);
        let lost = self.scenario.noise.round_lost;
        let answering: Vec<bool> = (0..self.hosts.len()).map(|host| self.reaches(host) && !self.fate(lost)).collect();
        let mut round = Round::default();
        let mut waiting = BTreeSet::new();
        let index =
            |place: &fleetdeploy::inventory::model::HostName| plan.hosts.iter().position(|host| host.name == *place);
        for (id, link) in plan.links.iter().enumerate() {
            let Place::Host(from) = &link.from else { continue };
            let (Some(from), Some(to)) = (index(from), link.to_host.as_ref().and_then(index)) else { continue };
            if !answering[from] && self.mistake != Some(Mistake::SilenceIsUp) {
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
            round.hosts.insert(plan.hosts[host].name.clone(), seen);
        }
        (round, waiting)
    }
}

impl Message {
    /// The same message without what can be there only once.
    fn copy(&self) -> Self {
        Self {
            station: self.station,
            host: self.host,
            command: RemoteStep::Standing,
            login: self.login,
            notes: None,
            reply: None,
            reply_is_lost: false,
            waits: None,
        }
    }
}
