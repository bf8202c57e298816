//! Decides a rolling reboot: which hosts are next, whether one is back, and when no further one is begun.
//!
//! Feed [`RollingReboot::handle`] what happened, and carry out what it returns. Like the decider of a push it keeps no
//! time. No host is rebooted before this rolling reboot holds every host of the fleet that answers: see `lease.rs`. A
//! host that is to be tried has a wave of its own, and in it a decider of its own: see `trial.rs`.

mod lease;
pub mod trial;
pub mod unfinished;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::decide::asking::open_rounds;
use crate::decide::matrix::{cells, link_text};
use crate::decide::vocabulary::Signal;
use crate::event::reason::any::AnyReason;
use crate::event::reason::reboot::{RebootActivity, Regression, RollingReason};
use crate::event::reason::trying::TryingReason;
use crate::event::{Event, Phase};
use crate::facts::host::{GuardState, Standing, same_boot};
use crate::facts::links::Round;
use crate::facts::plan::{HostId, Plan};
use crate::inventory::model::{HostName, Size};

use lease::Holding;
use trial::{Trial, TrialEnd, TrialInput, TrialOrder, TrialPlan};

/// How many rounds in a row must hold, as in a push.
const ROUNDS: u32 = 3;

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RebootInput {
    /// The host is held by this rolling reboot, or still is.
    Held {
        host: HostId,
    },
    /// The host is not held, or that is not known.
    NotHeld {
        host: HostId,
        cause: AnyReason,
    },
    /// An entry could not be made durable; nothing that was to follow it was carried out.
    RecordFailed {
        error: String,
    },
    /// The host is on another boot, and has taken a new login.
    Back {
        host: HostId,
        standing: Box<Standing>,
    },
    /// The host itself said no, or was never asked: it was not rebooted.
    Refused {
        host: HostId,
        why: AnyReason,
    },
    /// It was told to reboot, or may have been, and is not back in its time.
    Lost {
        host: HostId,
        why: AnyReason,
    },
    /// Something came of a host's trial.
    Tried {
        host: HostId,
        input: TrialInput,
        /// The boot that was logged into.
        boot_id: Option<String>,
    },
    RoundSeen {
        round: Round,
    },
    /// The links' time to come up after the reboots of this wave is over.
    SettleElapsed {
        wave: usize,
    },
    CancelRequested(Signal),
}

/// An order for the driver; they are carried out in this order.
#[derive(Debug, Clone, PartialEq)]
pub enum RebootEffect {
    /// Durable before any effect after it is carried out.
    Record(RebootEntry),
    /// Takes the host's lease, or renews it: then it must still be there. Answered by [`RebootInput::Held`] or
    /// [`RebootInput::NotHeld`].
    Hold {
        host: HostId,
        /// The boot that the host must be on.
        boot_id: String,
        renews: bool,
        /// The lease is to last for a whole trial.
        for_a_trial: bool,
    },
    /// Gives the leases back on the hosts that can be reached. Nothing waits for it, and nothing answers it.
    LetGo(BTreeSet<HostId>),
    Reboot(HostId),
    /// An order of a host's trial, answered by [`RebootInput::Tried`].
    Try {
        host: HostId,
        order: TrialOrder,
    },
    /// Asks for one round of the whole matrix; answered by [`RebootInput::RoundSeen`].
    Probe {
        after_a_pause: bool,
    },
    /// Starts the settle time; answered by [`RebootInput::SettleElapsed`].
    Expect {
        wave: usize,
    },
    Tell(Event),
    Finish,
}

/// An entry that steers `recover`. It is written before the act that it announces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RebootEntry {
    Rebooting {
        hosts: Vec<HostName>,
    },
    /// The host is told to reboot into its trial.
    Trying {
        host: HostName,
    },
}

/// The end of one of the hosts that were to be rebooted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostEnd {
    /// It was rebooted, and is proven back.
    Rebooted,
    /// It was told to reboot, and is not as it should be after it.
    Wrong { why: AnyReason },
    /// Its new system was tried, or may have been, and it runs again what it booted before.
    WentBack { why: AnyReason },
    /// It was not rebooted: it said no, or what should have led to it failed and was put back.
    Refused { why: AnyReason },
    /// Its turn did not come.
    NotBegun,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum RebootStage {
    Holding,
    Rebooting,
    Proving,
    Over,
}

#[derive(Debug, Clone, PartialEq)]
pub struct RollingReboot {
    plan: Arc<Plan>,
    waves: Vec<Vec<HostId>>,
    wave: usize,
    stage: RebootStage,
    /// The machine that this runs on, if it is to be rebooted.
    own: Option<HostId>,
    holding: Holding,
    /// Why no further host is begun, if no host is to blame.
    stopped: Option<RollingReason>,
    /// The hosts that are to be tried, each alone in its wave.
    tried: BTreeMap<HostId, TrialPlan>,
    /// The trial that is under way.
    trial: Option<(HostId, Trial)>,
    /// This wave begins once more, without its trial.
    begins_again: bool,
    /// No host is rebooted into a new system that it cannot try.
    only_tried: bool,
    /// The hosts of this wave that are not back yet.
    away: BTreeSet<HostId>,
    ends: BTreeMap<HostId, HostEnd>,
    /// The boots on which hosts came back.
    boots: BTreeMap<HostId, String>,
    /// Rounds in a row that held.
    streak: u32,
    /// The settle time is over: the next round that does not hold ends it.
    overtime: bool,
    /// Rounds since then in which nothing but turns of a large mesh's links was missing.
    open_rounds: usize,
    last_restarts: BTreeMap<HostId, BTreeMap<String, u64>>,
    interrupted: Option<Signal>,
}

/// Two of one plan differ in what is here: states are told apart without reading reasons and rounds.
impl Hash for RollingReboot {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.stage, self.wave, self.streak, self.overtime, self.open_rounds, self.interrupted).hash(state);
        (&self.away, &self.boots, &self.trial).hash(state);
        (self.stopped.is_some(), self.holding.is_asking()).hash(state);
        self.ends.values().for_each(|end| std::mem::discriminant(end).hash(state));
    }
}

/// Groups the hosts that are rebooted together: those behind a jump before the jump, and never beside it.
///
/// `sizes` are those of the first waves, and the last of them is that of all that follow. While a wave reboots its
/// hosts are away, so all that are left at once would be an outage, other than in a push. No size: one host. `own` is
/// the machine that this program runs on: it comes last and alone, because its reboot ends the program. `alone` are
/// hosts that go alone in their place, because each is to be tried.
#[must_use]
pub fn waves(
    plan: &Plan,
    selected: &BTreeSet<HostId>,
    sizes: &[Size],
    own: Option<HostId>,
    alone: &BTreeSet<HostId>,
) -> Vec<Vec<HostId>> {
    let most = |wave: usize| sizes.get(wave).or(sizes.last()).map_or(1, |size| size.of(selected.len()));
    let depth = |host: HostId| plan.ids().filter(|jump| plan.is_behind(host, *jump)).count();
    let own = own.filter(|own| selected.contains(own));
    let mut order: Vec<HostId> = selected.iter().copied().filter(|host| Some(*host) != own).collect();
    // The sort is stable, so equals stay in the inventory's order.
    order.sort_by_key(|host| std::cmp::Reverse(depth(*host)));
    let mut waves: Vec<Vec<HostId>> = Vec::new();
    for host in order {
        let most = most(waves.len().saturating_sub(1));
        let fits = |wave: &&mut Vec<HostId>| {
            wave.len() < most
                && !alone.contains(&host)
                && !wave.iter().any(|other| alone.contains(other))
                && !wave.iter().any(|other| plan.is_behind(*other, host) || plan.is_behind(host, *other))
        };
        match waves.last_mut().filter(fits) {
            Some(wave) => wave.push(host),
            None => waves.push(vec![host]),
        }
    }
    waves.extend(own.map(|own| vec![own]));
    waves
}

/// Says how many waves there are more for hosts that go alone because each is to be tried; `None`: no more.
#[must_use]
pub fn tried_one_by_one(
    plan: &Plan,
    selected: &BTreeSet<HostId>,
    sizes: &[Size],
    own: Option<HostId>,
    tried: &BTreeSet<HostId>,
) -> Option<TryingReason> {
    let number =
        |alone: &BTreeSet<HostId>| u64::try_from(waves(plan, selected, sizes, own, alone).len()).unwrap_or(u64::MAX);
    let (waves, untried) = (number(tried), number(&BTreeSet::new()));
    let hosts = || tried.iter().map(|host| plan.host(*host).name.clone()).collect();
    (waves > untried).then(|| TryingReason::TriedOneByOne { hosts: hosts(), waves, untried })
}

impl RollingReboot {
    #[must_use]
    pub fn new(plan: Arc<Plan>, selected: &BTreeSet<HostId>, sizes: &[Size], own: Option<HostId>) -> Self {
        Self::trying(plan, selected, sizes, own, BTreeMap::new())
    }

    /// The same, with hosts whose new systems are tried before they are what a reboot brings.
    #[must_use]
    pub fn trying(
        plan: Arc<Plan>,
        selected: &BTreeSet<HostId>,
        sizes: &[Size],
        own: Option<HostId>,
        tried: BTreeMap<HostId, TrialPlan>,
    ) -> Self {
        let waves = waves(&plan, selected, sizes, own, &tried.keys().copied().collect());
        Self {
            own: own.filter(|own| selected.contains(own)),
            holding: Holding::default(),
            stopped: None,
            ends: selected.iter().map(|host| (*host, HostEnd::NotBegun)).collect(),
            plan,
            waves,
            wave: 0,
            stage: RebootStage::Over,
            tried,
            trial: None,
            begins_again: false,
            only_tried: false,
            away: BTreeSet::new(),
            boots: BTreeMap::new(),
            streak: 0,
            overtime: false,
            open_rounds: 0,
            last_restarts: BTreeMap::new(),
            interrupted: None,
        }
    }

    /// The same, and a host that turns out not to be able to try its new system is not rebooted.
    #[must_use]
    pub fn only_tried(self) -> Self {
        Self { only_tried: true, ..self }
    }

    /// The first orders.
    #[must_use]
    pub fn start(&mut self) -> Vec<RebootEffect> {
        let names = |wave: &Vec<HostId>| wave.iter().map(|host| self.plan.host(*host).name.clone()).collect();
        let mut effects =
            vec![RebootEffect::Tell(Event::WavesPlanned { waves: self.waves.iter().map(names).collect() })];
        self.take_leases(&mut effects);
        effects
    }

    #[must_use]
    pub fn handle(&mut self, input: RebootInput) -> Vec<RebootEffect> {
        let mut effects = Vec::new();
        match input {
            RebootInput::Held { host } => self.held(host, &mut effects),
            RebootInput::NotHeld { host, cause } => self.not_held(host, cause, &mut effects),
            RebootInput::RecordFailed { error } => {
                let why = RollingReason::RebootNotRecorded { error };
                self.stopped = Some(why.clone());
                if let Some((host, _)) = &self.trial {
                    let host = *host;
                    self.in_trial(host, TrialInput::NotRecorded { why: why.into() }, &mut effects);
                } else {
                    self.away.clear();
                    self.finish(&mut effects);
                }
            }
            RebootInput::Tried { host, input, boot_id } => {
                self.boots.extend(boot_id.map(|boot_id| (host, boot_id)));
                self.in_trial(host, input, &mut effects);
            }
            RebootInput::Back { host, standing } => {
                let wrong = self.came_up_wrong(host, &standing);
                if wrong.is_none() {
                    self.boots.insert(host, standing.boot_id);
                }
                let why = wrong.unwrap_or(RollingReason::LinksNotProven);
                self.ended(host, HostEnd::Wrong { why: why.into() }, &mut effects);
            }
            RebootInput::Refused { host, why } => self.ended(host, HostEnd::Refused { why }, &mut effects),
            RebootInput::Lost { host, why } => self.ended(host, HostEnd::Wrong { why }, &mut effects),
            RebootInput::RoundSeen { round } => self.round_seen(&round, &mut effects),
            // The round that is out, or to come, decides.
            RebootInput::SettleElapsed { wave } => {
                if wave == self.wave && self.stage == RebootStage::Proving {
                    self.settle_time_is_over(&mut effects);
                }
            }
            RebootInput::CancelRequested(signal) => {
                if self.stage != RebootStage::Over && self.interrupted.replace(signal).is_none() {
                    effects.push(RebootEffect::Tell(Event::warned(None, RollingReason::NoFurtherReboot { signal })));
                    if let Some((host, _)) = &self.trial {
                        let host = *host;
                        self.in_trial(host, TrialInput::Cancelled, &mut effects);
                    }
                }
            }
        }
        effects
    }

    /// Returns the end of every host that was to be rebooted, as known by now.
    #[must_use]
    pub fn ends(&self) -> &BTreeMap<HostId, HostEnd> {
        &self.ends
    }

    #[must_use]
    pub fn interrupted(&self) -> Option<Signal> {
        self.interrupted
    }

    /// Returns the hosts that are rebooting now.
    #[must_use]
    pub fn away(&self) -> &BTreeSet<HostId> {
        &self.away
    }

    /// Returns the trial that is under way.
    #[must_use]
    pub fn trial(&self) -> Option<(HostId, &Trial)> {
        self.trial.as_ref().map(|(host, trial)| (*host, trial))
    }

    /// Returns why no further host was begun, if no host is to blame.
    #[must_use]
    pub fn stopped(&self) -> Option<&RollingReason> {
        self.stopped.as_ref()
    }

    /// Returns whether the machine that this program runs on is going down.
    #[must_use]
    pub fn is_going_down(&self) -> bool {
        self.own.is_some_and(|own| self.away.contains(&own))
    }

    fn is_to_stop(&self) -> bool {
        self.interrupted.is_some()
            || self.stopped.is_some()
            || self.ends.values().any(|end| !matches!(end, HostEnd::Rebooted | HostEnd::NotBegun))
    }

    fn finish(&mut self, effects: &mut Vec<RebootEffect>) {
        self.stage = RebootStage::Over;
        effects.push(RebootEffect::LetGo(self.holding.hosts.clone()));
        effects.push(RebootEffect::Finish);
    }

    fn begin_wave(&mut self, effects: &mut Vec<RebootEffect>) {
        if self.is_to_stop() || self.wave >= self.waves.len() {
            self.finish(effects);
        } else {
            self.renew_leases(effects);
        }
    }

    /// Begins the reboots of a wave: every lease is there, and holds for the whole wave.
    fn reboot_wave(&mut self, effects: &mut Vec<RebootEffect>) {
        if self.is_to_stop() {
            self.finish(effects);
            return;
        }
        let wave = &self.waves[self.wave];
        let hosts = wave.iter().map(|host| self.plan.host(*host).name.clone()).collect();
        let to_try = wave.first().and_then(|host| Some((*host, self.tried.get(host)?.tried.clone())));
        // Of a trial the record says it before the order to go: up to there nothing is rebooted.
        if to_try.is_none() {
            effects.push(RebootEffect::Record(RebootEntry::Rebooting { hosts }));
        }
        self.stage = RebootStage::Rebooting;
        self.away = wave.iter().copied().collect();
        let number = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        if !std::mem::take(&mut self.begins_again) {
            effects.push(RebootEffect::Tell(Event::WaveStarted {
                wave: number(self.wave + 1),
                of: number(self.waves.len()),
                hosts: wave.iter().map(|host| self.plan.host(*host).name.clone()).collect(),
            }));
            effects.push(RebootEffect::Tell(Event::PhaseStarted { phase: Phase::Reboot }));
        }
        let Some((host, system)) = to_try else {
            effects.extend(wave.iter().copied().map(RebootEffect::Reboot));
            return;
        };
        let (trial, order) = Trial::begin(system);
        self.trial = Some((host, trial));
        self.order(host, order, effects);
    }

    /// Feeds the trial that is under way.
    fn in_trial(&mut self, host: HostId, input: TrialInput, effects: &mut Vec<RebootEffect>) {
        let Some((tried, trial)) = self.trial.as_mut().filter(|(tried, _)| *tried == host) else { return };
        let host = *tried;
        let next = trial.handle(input);
        if let Some(order) = next {
            self.order(host, order, effects);
        }
        let Some((_, trial)) = self.trial.take_if(|(_, trial)| trial.end().is_some()) else { return };
        if let (Some(end), remains) = (trial.end(), trial.remains()) {
            self.tried_to_the_end(host, end.clone(), remains.cloned(), effects);
        }
    }

    fn order(&mut self, host: HostId, order: TrialOrder, effects: &mut Vec<RebootEffect>) {
        // A proof that is left ends with any other order.
        self.stage = RebootStage::Rebooting;
        match order {
            TrialOrder::Prove => {
                self.enter_proving();
                self.last_restarts.clear();
                effects.push(RebootEffect::Tell(Event::moved(
                    &self.plan.host(host).name,
                    RebootActivity::ProvingLinks.to_string(),
                )));
                effects.push(RebootEffect::Expect { wave: self.wave });
                effects.push(RebootEffect::Probe { after_a_pause: false });
            }
            order => {
                if order == TrialOrder::Go {
                    let host = self.plan.host(host).name.clone();
                    effects.push(RebootEffect::Record(RebootEntry::Trying { host }));
                }
                effects.push(RebootEffect::Try { host, order });
            }
        }
    }

    /// Ends a host's trial, and with it the host's wave.
    fn tried_to_the_end(
        &mut self,
        host: HostId,
        end: TrialEnd,
        remains: Option<AnyReason>,
        effects: &mut Vec<RebootEffect>,
    ) {
        let name = self.plan.host(host).name.clone();
        let is_clean = remains.is_none();
        if let Some(cause) = remains {
            effects.push(RebootEffect::Tell(Event::warned(Some(&name), TryingReason::TrialRemains { cause })));
        }
        let end = match end {
            TrialEnd::Kept => HostEnd::Rebooted,
            // It holds this host still, and stands where it stood: its wave begins once more, without a trial.
            TrialEnd::CannotTry { why } if is_clean && self.may_go_untried(host) && !self.is_to_stop() => {
                let cause = why;
                effects.push(RebootEffect::Tell(Event::warned(Some(&name), TryingReason::RebootedUntried { cause })));
                self.tried.remove(&host);
                self.away.remove(&host);
                self.begins_again = true;
                self.begin_wave(effects);
                return;
            }
            TrialEnd::CannotTry { why } => HostEnd::Refused { why: TryingReason::CannotTry { cause: why }.into() },
            // What failed was put back, or else it is wrong: it is on the boot that it was on, as it was.
            TrialEnd::Refused { why } | TrialEnd::Failed { why } => HostEnd::Refused { why },
            TrialEnd::Cancelled => HostEnd::NotBegun,
            TrialEnd::WentBack { why } => HostEnd::WentBack { why },
            TrialEnd::Wrong { why } | TrialEnd::Lost { why } => HostEnd::Wrong { why },
        };
        let told = match &end {
            HostEnd::Rebooted => Some(Event::HostDone { host: name, phase: Phase::Reboot }),
            HostEnd::Refused { why } => {
                Some(Event::failed(Some(&name), RollingReason::HostNotRebooted { cause: why.clone() }))
            }
            HostEnd::Wrong { why } | HostEnd::WentBack { why } => Some(Event::failed(Some(&name), why.clone())),
            HostEnd::NotBegun => None,
        };
        effects.extend(told.map(RebootEffect::Tell));
        self.away.remove(&host);
        self.ends.insert(host, end);
        self.wave += 1;
        self.begin_wave(effects);
    }

    /// Returns whether it may be rebooted untried: a reboot would bring what is to be tried, and not what booted last.
    fn may_go_untried(&self, host: HostId) -> bool {
        !self.only_tried && self.tried.get(&host).is_some_and(|plan| plan.before == plan.tried)
    }

    /// Ends a host's reboot: nothing more is to come of it.
    fn ended(&mut self, host: HostId, end: HostEnd, effects: &mut Vec<RebootEffect>) {
        if !self.away.remove(&host) {
            return;
        }
        let name = &self.plan.host(host).name;
        match &end {
            HostEnd::Refused { why } => {
                let refused = RollingReason::HostNotRebooted { cause: why.clone() };
                effects.push(RebootEffect::Tell(Event::failed(Some(name), refused)));
            }
            HostEnd::Wrong { why } if !self.boots.contains_key(&host) => {
                effects.push(RebootEffect::Tell(Event::failed(Some(name), why.clone())));
            }
            _ => {
                let doing = RebootActivity::ProvingLinks.to_string();
                effects.push(RebootEffect::Tell(Event::moved(name, doing)));
            }
        }
        self.ends.insert(host, end);
        if !self.away.is_empty() {
            return;
        }
        // With one host lost its links cannot hold, and no further host is begun, so the links of the others need no
        // proof.
        let wave = &self.waves[self.wave];
        let is_back = |host: &HostId| self.boots.contains_key(host);
        let is_lost = |host: &HostId| !is_back(host) && matches!(self.ends[host], HostEnd::Wrong { .. });
        if wave.iter().any(is_back) && !wave.iter().any(is_lost) {
            self.enter_proving();
            self.last_restarts.clear();
            effects.push(RebootEffect::Expect { wave: self.wave });
            effects.push(RebootEffect::Probe { after_a_pause: false });
        } else {
            self.begin_wave(effects);
        }
    }

    /// Says why a host that has restarted is not where it should be.
    fn came_up_wrong(&self, host: HostId, standing: &Standing) -> Option<RollingReason> {
        let plan = self.plan.host(host);
        let wanted = &plan.old.boot_default;
        let systems = &standing.systems;
        if same_boot(&standing.boot_id, &plan.boot_id) {
            return Some(RollingReason::RebootDidNotHappen);
        }
        if let GuardState::Armed { run, .. } | GuardState::Firing { run } = &standing.guard {
            return Some(RollingReason::BackUnderGuard { run: run.clone() });
        }
        let wrong = systems.current != *wanted || standing.booted != *wanted || systems.boot_default != *wanted;
        wrong.then(|| RollingReason::BootedSomethingElse {
            wanted: wanted.clone(),
            booted: standing.booted.clone(),
            current: systems.current.clone(),
            profile: systems.profile.clone(),
            boot_default: systems.known_boot_default().cloned(),
        })
    }

    /// The turns of a large mesh have that time once more; then the next round decides.
    fn settle_time_is_over(&mut self, effects: &mut Vec<RebootEffect>) {
        if self.overtime {
            self.open_rounds = usize::MAX;
        } else {
            self.overtime = true;
            if self.plan.links.iter().any(|link| link.shared) {
                effects.push(RebootEffect::Expect { wave: self.wave });
            }
        }
    }

    fn enter_proving(&mut self) {
        (self.stage, self.streak, self.overtime, self.open_rounds) = (RebootStage::Proving, 0, false, 0);
    }

    fn round_seen(&mut self, round: &Round, effects: &mut Vec<RebootEffect>) {
        if self.stage != RebootStage::Proving {
            return;
        }
        let mut wrong = self.wrong_in(round);
        let open = self.plan.newly_unproven(round);
        let is_missed = !open.is_disjoint(&round.missed);
        self.streak = match (wrong.is_empty() && !is_missed, open.is_empty()) {
            (true, true) => self.streak + 1,
            // It neither proves anything nor speaks against what was proven.
            (true, false) => self.streak,
            (false, _) => 0,
        };
        let share_rounds = !open.is_empty() && open.iter().all(|link| self.plan.links[*link].shared);
        if self.overtime && wrong.is_empty() && share_rounds && self.open_rounds < open_rounds(&self.plan.links) {
            self.open_rounds += 1;
        } else if self.overtime {
            wrong.extend(open.into_iter().map(|open| {
                let link = link_text(&self.plan.links[open]);
                if round.missed.contains(&open) {
                    Regression::LinkDownAfterReboot { link }
                } else {
                    Regression::LinkNotMeasuredAfterReboot { link }
                }
            }));
        }
        let over = self.streak >= ROUNDS || (self.overtime && !wrong.is_empty());
        if !over {
            effects.push(RebootEffect::Probe { after_a_pause: true });
            return;
        }
        effects.push(RebootEffect::Tell(Event::MatrixSeen {
            phase: Phase::Reboot,
            cells: cells(&self.plan, round, false),
        }));
        if let Some((host, _)) = &self.trial {
            let host = *host;
            let input = if self.streak >= ROUNDS {
                TrialInput::Proven
            } else {
                TrialInput::NotProven { why: RollingReason::NotAllAsBefore { wrong }.into() }
            };
            self.in_trial(host, input, effects);
            return;
        }
        let mut wave = self.waves[self.wave].clone();
        wave.retain(|host| self.boots.contains_key(host));
        let proven = self.streak >= ROUNDS;
        for host in wave {
            let name = &self.plan.host(host).name;
            if proven {
                self.ends.insert(host, HostEnd::Rebooted);
                effects.push(RebootEffect::Tell(Event::HostDone { host: name.clone(), phase: Phase::Reboot }));
            } else {
                let why: AnyReason = RollingReason::NotAllAsBefore { wrong: wrong.clone() }.into();
                effects.push(RebootEffect::Tell(Event::failed(Some(name), why.clone())));
                self.ends.insert(host, HostEnd::Wrong { why });
            }
        }
        self.wave += 1;
        self.begin_wave(effects);
    }

    /// Names what was fine before the reboots and is not in this round.
    fn wrong_in(&mut self, round: &Round) -> Vec<Regression> {
        let links = self.plan.newly_broken(round);
        let down = |link: usize| Regression::LinkDownAfterReboot { link: link_text(&self.plan.links[link]) };
        let mut wrong: Vec<Regression> = links.into_iter().map(down).collect();
        let plan = Arc::clone(&self.plan);
        for host in plan.ids() {
            let name = &plan.host(host).name;
            match (round.hosts.get(name), self.boots.get(&host)) {
                // A host behind a jump that was rebooted counts too: the way to it must be there again.
                (None, _) if plan.baseline.hosts.contains_key(name) => {
                    wrong.push(Regression::HostSilentAfterReboot { name: name.clone() });
                }
                (None, _) | (Some(_), None) => {}
                (Some(seen), Some(boot)) if !same_boot(&seen.boot_id, boot) => {
                    wrong.push(Regression::RestartedOnceMore { name: name.clone() });
                }
                (Some(seen), Some(_)) => {
                    let last = self.last_restarts.insert(host, seen.restarts.clone());
                    let failures = plan.new_failures(host, &seen.failed_units, &seen.restarts, last.as_ref());
                    let fails = |unit| Regression::UnitFailsAfterReboot { unit, name: name.clone() };
                    wrong.extend(failures.into_iter().map(fails));
                }
            }
        }
        wrong
    }
}

#[cfg(test)]
mod tests;
