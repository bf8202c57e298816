//! The world of one trial: the host, the rolling reboot that drives it, and whoever recovers.

use std::collections::VecDeque;
use std::sync::{Arc, LazyLock};

use fleetdeploy::decide::reboot::trial::left::{TrialLeft, TrialRemedy};
use fleetdeploy::decide::reboot::trial::{TrialAnswer, TrialInput, TrialOrder, TrialPlan, TrialSight};
use fleetdeploy::decide::reboot::{HostEnd, RebootEffect, RebootEntry, RebootInput, RollingReboot};
use fleetdeploy::decide::vocabulary::Signal;
use fleetdeploy::event::reason::any::AnyReason;
use fleetdeploy::facts::links::{HostRound, Round};
use fleetdeploy::facts::plan::{HostId, Plan};
use stateright::{Model, Property};

use super::host::{Answered, Cold, Firmware, Next, Past, RUN, Step, Token, Tried, Unit};
use super::properties;
use crate::words::{Places, Sys, boot_id, plan, round};

/// The host that is tried, and the one that would be rebooted after it.
const TRIED: HostId = HostId(0);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Mistake {
    // Of the guard.
    ActivatesTheOldSystem,
    RebootsBesideProven,
    StaysWhereTheInstallerFails,
    BelievesItUntouched,
    PutsBackWhatWasTried,
    ForgetsToGo,
    LeaseOutlivesItsGuard,
    // Of the steps.
    KeepsByTheBootAlone,
    KeepsWithoutAGuard,
    ProvenBeforeTheDefault,
    NextBootBeforeTheSurvivor,
    NextBootBeforeTheDefault,
    GoUnderAnyToken,
    ASecondGoIsRefused,
    CleansUnderGo,
    CleansAPersonsSwitch,
    OverrulesAPersonsSwitch,
    CleansTheSurvivorAlone,
    ForgetsThatItFailed,
    NobodyTends,
    // Of `begin`.
    BeginsAnewWhereItIsOver,
    // Of the decider, and of whoever recovers.
    ASignalFiresAfterKeep,
    WentBackIsGoodEnough,
    TheHoldIsShort,
    RecoversItAsAPush,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Fault {
    /// An order is lost, or only its answer.
    Loss,
    /// An order that was given up arrives later.
    Late,
    PowerCut,
    StepFails,
    GuardRestarts,
    GuardIsLost,
    TimeUp,
    /// Another installer runs there, for what is tried or for what booted last.
    Installer,
    /// A person switches it to a third system.
    Switch,
    /// A person sets a next boot.
    NextBoot,
    InstallerBreaks,
    SoftReboot,
    Signal,
    RecordFails,
}

pub(crate) const ALL: [Fault; 14] = [
    Fault::Loss,
    Fault::Late,
    Fault::PowerCut,
    Fault::StepFails,
    Fault::GuardRestarts,
    Fault::GuardIsLost,
    Fault::TimeUp,
    Fault::Installer,
    Fault::Switch,
    Fault::NextBoot,
    Fault::InstallerBreaks,
    Fault::SoftReboot,
    Fault::Signal,
    Fault::RecordFails,
];

/// What is explored.
#[derive(Debug, Clone)]
pub(crate) struct Trials {
    pub(crate) colds: Vec<Cold>,
    pub(crate) firmwares: Vec<Firmware>,
    /// What the boot default is when it begins: what is tried, or what booted last where it is tried once more.
    pub(crate) befores: Vec<Sys>,
    pub(crate) kinds: Vec<Fault>,
    pub(crate) faults: u8,
    pub(crate) deaths: u8,
    pub(crate) mistake: Option<Mistake>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Station {
    pub(crate) mind: RollingReboot,
    /// The order whose answer the decider waits for.
    pub(crate) out: Option<TrialOrder>,
    /// It has come to the host: a detached step that is waited for.
    pub(crate) delivered: bool,
    /// It was sent before, and the answer to that was lost.
    pub(crate) sent_again: bool,
    /// A round of the proof is out.
    pub(crate) probes: bool,
    /// The boot that it speaks of.
    pub(crate) boot: u8,
    pub(crate) disk_full: bool,
    /// The order to keep was given.
    pub(crate) keeps: bool,
    pub(crate) signalled: bool,
}

impl std::hash::Hash for Station {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (&self.mind, &self.out, self.delivered, self.sent_again, self.probes, self.boot).hash(state);
        (self.disk_full, self.keeps, self.signalled).hash(state);
    }
}

/// What was said of the host in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Said {
    Rebooted,
    WentBack,
    Refused,
    NotBegun,
    Wrong,
}

#[derive(Debug, Clone, PartialEq, Hash)]
pub(crate) struct World {
    pub(crate) host: Tried,
    pub(crate) past: Past,
    /// Both hosts are held.
    pub(crate) held: bool,
    pub(crate) station: Option<Station>,
    /// An order that is under way although nobody waits for it, and the boot that it is for.
    pub(crate) late: Option<(TrialOrder, u8)>,
    pub(crate) faults: u8,
    pub(crate) deaths: u8,
    /// What was said, and whether it was so at that moment.
    pub(crate) said: Option<(Said, bool)>,
    /// The next host was begun, and whether this one was kept.
    pub(crate) further: Option<bool>,
    /// A signal made the guard fire after the order to keep.
    pub(crate) fired_after_keep: bool,
    /// The hold was over in the trial.
    pub(crate) held_too_short: bool,
    /// The reboot into the next boot, or out of the trial, has come to nothing.
    pub(crate) by_hand: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Action {
    Carry,
    LoseOrder,
    LoseAnswer,
    Linger,
    Late,
    AnswerStep,
    Work,
    FailStep,
    Guard,
    Fire,
    RestartGuard,
    LoseGuard,
    Cut,
    Install(Sys),
    Switch,
    SetNext,
    Break,
    SoftReboot,
    Look,
    Silence,
    Login,
    Rounds,
    Signal,
    FillDisk,
    Die,
    Cycle,
    Recover,
    EndHold,
}

static PLAN: LazyLock<Arc<Plan>> = LazyLock::new(|| plan(2, false));

fn why() -> AnyReason {
    AnyReason::without_code("")
}

fn trial_plan(before: Sys) -> TrialPlan {
    TrialPlan {
        run: RUN.into(),
        boot_id: boot_id(0),
        booted: Sys::Old.path().clone(),
        tried: Sys::New.path().clone(),
        before: before.path().clone(),
    }
}

impl World {
    fn new(cold: Cold, firmware: Firmware, before: Sys, trials: &Trials) -> Self {
        let fleet = Arc::clone(&PLAN);
        let mut round = good(0);
        round.hosts.clear();
        let mut plan = Plan::clone(&fleet);
        plan.baseline = good(0);
        plan.hosts[0].old = Places { current: Sys::New, profile: Sys::New, boot: before }.systems();
        let tried = [(TRIED, trial_plan(before))].into();
        let selected = plan.ids().collect();
        let mut mind = RollingReboot::trying(Arc::new(plan), &selected, &[], None, tried);
        let effects = mind.start();
        let station = Station {
            mind,
            out: None,
            delivered: false,
            sent_again: false,
            probes: false,
            boot: 0,
            disk_full: false,
            keeps: false,
            signalled: false,
        };
        let mut world = Self {
            host: Tried::new(cold, firmware, before),
            past: Past::default(),
            held: false,
            station: Some(station),
            late: None,
            faults: trials.faults,
            deaths: trials.deaths,
            said: None,
            further: None,
            fired_after_keep: false,
            held_too_short: false,
            by_hand: false,
        };
        world.carry_out(effects, trials.mistake);
        world
    }

    pub(crate) fn sight(&self) -> TrialSight {
        TrialSight::of(&trial_plan(self.host.before), &self.host.standing())
    }

    fn carry_out(&mut self, effects: Vec<RebootEffect>, mistake: Option<Mistake>) {
        let mut queue: VecDeque<RebootEffect> = effects.into();
        while let Some(effect) = queue.pop_front() {
            let Some(station) = &mut self.station else { return };
            match effect {
                RebootEffect::Record(RebootEntry::Trying { .. }) if station.disk_full => {
                    queue = station.mind.handle(RebootInput::RecordFailed { error: String::new() }).into();
                }
                RebootEffect::Record(_) | RebootEffect::Expect { .. } | RebootEffect::Tell(_) => {}
                RebootEffect::Hold { host, .. } => {
                    self.held = true;
                    queue.extend(station.mind.handle(RebootInput::Held { host }));
                }
                RebootEffect::LetGo(_) => self.held = false,
                // Untried, after `register` has failed: what is said in the end tells whether it stands as before.
                RebootEffect::Reboot(TRIED) => {
                    queue.extend(station.mind.handle(RebootInput::Refused { host: TRIED, why: why() }));
                }
                RebootEffect::Reboot(host) => {
                    self.further = Some(self.host.booted == Sys::New && self.past.ever_proven);
                    queue.extend(station.mind.handle(RebootInput::Refused { host, why: why() }));
                }
                RebootEffect::Try { order, .. } => {
                    if order == TrialOrder::Keep {
                        station.keeps = true;
                    }
                    (station.out, station.delivered, station.probes) = (Some(order), false, false);
                    station.sent_again = false;
                }
                RebootEffect::Probe { .. } => (station.out, station.probes) = (None, true),
                RebootEffect::Finish => {
                    let end = match &station.mind.ends()[&TRIED] {
                        HostEnd::Rebooted => Said::Rebooted,
                        HostEnd::Wrong { .. } => Said::Wrong,
                        HostEnd::WentBack { .. } => Said::WentBack,
                        HostEnd::Refused { .. } => Said::Refused,
                        HostEnd::NotBegun => Said::NotBegun,
                    };
                    self.said = Some((end, self.is_so(end)));
                    self.station = None;
                }
            }
        }
        let _ = mistake;
    }

    /// Whether what is said of the host is so at this moment.
    fn is_so(&self, said: Said) -> bool {
        let host = &self.host;
        match said {
            Said::Rebooted => {
                let is_default = host.default == Sys::New || self.past.installed_after_it;
                is_default && self.past.ever_proven && host.token != Token::Armed
            }
            Said::WentBack => host.booted == Sys::Old && (host.default == Sys::Old || self.past.installed_by_another),
            Said::Refused | Said::NotBegun => {
                let excused = self.past.installed_by_another || self.past.next_by_another;
                host.default == host.before && !host.lives() || excused || !host.up || host.boot > 0
            }
            Said::Wrong => true,
        }
    }

    fn tell(&mut self, input: TrialInput, boot_id: Option<String>, mistake: Option<Mistake>) {
        let Some(station) = &mut self.station else { return };
        let effects = station.mind.handle(RebootInput::Tried { host: TRIED, input, boot_id });
        self.carry_out(effects, mistake);
    }

    fn answer(&mut self, answer: TrialAnswer, mistake: Option<Mistake>) {
        let Some(order) = self.station.as_ref().and_then(|station| station.out.clone()) else { return };
        self.tell(TrialInput::Answered { order, answer }, None, mistake);
    }

    /// The host carries an order out; `None`: it is a detached step that has begun.
    fn arrive(&mut self, order: &TrialOrder, boot: u8, mistake: Option<Mistake>) -> Option<Answered> {
        let (host, past) = (&mut self.host, &mut self.past);
        Some(match order {
            TrialOrder::Arm => host.arm(boot, self.held, mistake),
            TrialOrder::Go => host.order_go(boot, self.held, mistake),
            TrialOrder::Register | TrialOrder::Keep => {
                let began = match order {
                    TrialOrder::Register => host.register(boot, self.held, past),
                    _ => host.keep(boot, mistake, past),
                };
                if began == Answered::Done {
                    return None;
                }
                began
            }
            TrialOrder::End => host.end(boot),
            TrialOrder::Fire => host.fire(boot),
            TrialOrder::Tend if mistake == Some(Mistake::NobodyTends) => Answered::Refused,
            TrialOrder::Tend => host.tend(boot),
            TrialOrder::Leave => host.leave(boot, past, mistake),
            TrialOrder::Clean { .. } => host.clean(mistake),
            TrialOrder::Await(_) | TrialOrder::LogIn | TrialOrder::Prove => Answered::Refused,
        })
    }

    fn step_of(&self) -> Option<(TrialOrder, bool, u8)> {
        let station = self.station.as_ref()?;
        let order = station.out.clone()?;
        let is_step = !matches!(order, TrialOrder::Await(_) | TrialOrder::LogIn | TrialOrder::Prove);
        is_step.then_some((order, station.delivered, station.boot))
    }

    /// The sight settles what the decider waits for.
    fn settles(&self) -> bool {
        let Some(station) = &self.station else { return false };
        let (Some(TrialOrder::Await(awaited)), Some((_, trial))) = (&station.out, station.mind.trial()) else {
            return false;
        };
        self.host.is_reached() && trial.is_settled_by(*awaited, &self.sight())
    }

    fn awaits(&self) -> bool {
        matches!(&self.station, Some(Station { out: Some(TrialOrder::Await(_)), .. }))
    }

    /// Something happens there without anybody.
    fn moves_by_itself(&self) -> bool {
        let host = &self.host;
        host.up && (host.guard_acts() || host.step_runs() || (host.unit == Unit::Waiting && host.token == Token::Armed))
    }
}

/// A good round, by the boot that the tried host is on.
fn good(boot: u8) -> Round {
    let mut good = round(PLAN.links.len(), true);
    for id in PLAN.ids() {
        let boot_id = boot_id(if id == TRIED { boot } else { 0 });
        good.hosts.insert(PLAN.host(id).name.clone(), HostRound { boot_id, ..HostRound::default() });
    }
    good
}

impl Model for Trials {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let mut all = Vec::new();
        for cold in &self.colds {
            for firmware in &self.firmwares {
                all.extend(self.befores.iter().map(|before| World::new(*cold, *firmware, *before, self)));
            }
        }
        all
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        let host = &world.host;
        let may = |fault: Fault| world.faults > 0 && self.kinds.contains(&fault);
        let mut offer = |is_possible: bool, action: Action| {
            if is_possible {
                actions.push(action);
            }
        };
        if let Some((order, delivered, _)) = world.step_of() {
            let reached = host.is_reached();
            offer(reached && !delivered, Action::Carry);
            // Nobody answers at all: no fault of its own.
            offer(!reached || may(Fault::Loss), Action::LoseOrder);
            offer(reached && !delivered && may(Fault::Loss), Action::LoseAnswer);
            let lingers = matches!(order, TrialOrder::Go | TrialOrder::Fire | TrialOrder::Keep);
            offer(lingers && !delivered && world.late.is_none() && may(Fault::Late), Action::Linger);
            offer(reached && delivered && !host.step_runs(), Action::AnswerStep);
        }
        offer(world.late.is_some() && host.is_reached(), Action::Late);
        offer(host.up && host.step_runs(), Action::Work);
        offer(host.up && host.step_runs() && may(Fault::StepFails), Action::FailStep);
        offer(host.up && host.guard_acts(), Action::Guard);
        let waits = host.up && host.unit == Unit::Waiting && host.token == Token::Armed && !host.is_going();
        let comes = world.station.is_none() || (world.awaits() && !world.settles());
        offer(waits && (comes || may(Fault::TimeUp)), Action::Fire);
        offer(host.up && host.lives() && may(Fault::GuardRestarts), Action::RestartGuard);
        offer(host.up && host.lives() && may(Fault::GuardIsLost), Action::LoseGuard);
        offer(host.up && may(Fault::PowerCut), Action::Cut);
        for system in [Sys::Old, Sys::New] {
            offer(host.up && may(Fault::Installer) && host.default != system, Action::Install(system));
        }
        let may_switch = may(Fault::Switch) && !host.step_runs() && host.profile != Sys::Other;
        offer(host.up && may_switch, Action::Switch);
        offer(host.up && may(Fault::NextBoot) && host.next == Next::None, Action::SetNext);
        offer(may(Fault::InstallerBreaks) && !host.broken, Action::Break);
        offer(host.up && host.line && may(Fault::SoftReboot), Action::SoftReboot);
        offer(world.settles(), Action::Look);
        offer(world.awaits() && !world.settles() && !world.moves_by_itself(), Action::Silence);
        if let Some(station) = &world.station {
            offer(station.out == Some(TrialOrder::LogIn), Action::Login);
            offer(station.probes, Action::Rounds);
            offer(may(Fault::Signal) && !station.signalled, Action::Signal);
            offer(may(Fault::RecordFails) && !station.disk_full, Action::FillDisk);
            offer(world.deaths > 0, Action::Die);
            let short = self.mistake == Some(Mistake::TheHoldIsShort);
            offer(short && world.held && host.line && host.token == Token::Armed, Action::EndHold);
            return;
        }
        // As the screen says of one that is not back when it must be.
        let stands = !host.up || (host.line && !host.is_reached() && !world.moves_by_itself());
        offer(stands, Action::Cycle);
        let left = TrialLeft::of(RUN, &host.standing());
        let takes_it_for_a_push = self.mistake == Some(Mistake::RecoversItAsAPush) && host.token == Token::Armed;
        let hurries = self.mistake == Some(Mistake::CleansUnderGo) && matches!(left, Some(TrialLeft::Leaving { .. }));
        let nobody_tends = self.mistake == Some(Mistake::NobodyTends);
        let acts = left.is_some_and(|left| match left.remedy() {
            TrialRemedy::Wait => false,
            TrialRemedy::Tend => !nobody_tends,
            TrialRemedy::Clean => true,
        });
        offer(host.is_reached() && (acts || takes_it_for_a_push || hurries || world.held), Action::Recover);
    }

    fn next_state(&self, last: &World, action: Action) -> Option<World> {
        let mut world = last.clone();
        let mistake = self.mistake;
        if action.is_fault(last, self) {
            world.faults -= 1;
            let of_go = world.step_of().is_some_and(|(order, ..)| order == TrialOrder::Go);
            world.past.other_fault |= !(of_go && action == Action::LoseAnswer);
        }
        match action {
            Action::Carry | Action::LoseAnswer => {
                let (order, _, boot) = world.step_of()?;
                let answered = world.arrive(&order, boot, mistake);
                let was_sent = world.station.as_ref()?.sent_again;
                // A detached step is asked about until it has ended; the others are sent again.
                let is_sent_again = !was_sent && !matches!(order, TrialOrder::Register | TrialOrder::Keep);
                let may_have_gone = order == TrialOrder::Go && mistake != Some(Mistake::ASecondGoIsRefused);
                if action == Action::LoseAnswer && is_sent_again {
                    world.station.as_mut()?.sent_again = true;
                } else if action == Action::LoseAnswer
                    || (was_sent && may_have_gone && answered == Some(Answered::Refused))
                {
                    world.answer(TrialAnswer::Unknown { why: why() }, mistake);
                } else if let Some(answered) = answered {
                    world.answer(answered.into(), mistake);
                } else {
                    world.station.as_mut()?.delivered = true;
                }
            }
            Action::LoseOrder => world.answer(TrialAnswer::Unknown { why: why() }, mistake),
            Action::Linger => {
                let (order, _, boot) = world.step_of()?;
                world.late = Some((order, boot));
                world.answer(TrialAnswer::Unknown { why: why() }, mistake);
            }
            Action::Late => {
                let (order, boot) = world.late.take()?;
                let _ = world.arrive(&order, boot, mistake);
            }
            Action::AnswerStep => {
                let answered = match world.host.step {
                    Step::Ended { well: true } => TrialAnswer::Done,
                    _ => TrialAnswer::Failed { why: why() },
                };
                world.answer(answered, mistake);
            }
            Action::Work => world.host.works(mistake, &mut world.past),
            Action::FailStep => world.host.step_fails(&mut world.past),
            Action::Guard => world.host.guards(mistake, &mut world.past),
            Action::Fire => world.host.takes_the_token(),
            Action::RestartGuard => {
                let forgets = mistake == Some(Mistake::ForgetsToGo) && world.host.is_going();
                world.host.unit = match (world.host.token, world.host.unit) {
                    _ if forgets => Unit::Absent,
                    (Token::Fired, _) => Unit::EndsTheStep,
                    _ => Unit::Waiting,
                };
                // With `go` it sets anew what it has set.
                if world.host.unit == Unit::Waiting && world.host.is_going() && world.host.next == Next::Ours {
                    world.host.unit = Unit::Set;
                }
            }
            Action::LoseGuard => {
                (world.host.unit, world.past.guard_was_lost) = (Unit::Dead, true);
            }
            Action::Cut => world.host.reboots(&mut world.past, mistake),
            Action::Install(system) => {
                world.past.installed_after_it |= world.host.over_here;
                (world.host.default, world.past.installed_by_another) = (system, true);
            }
            Action::Switch => world.host.is_switched(&mut world.past),
            Action::SetNext => {
                (world.host.next, world.past.next_by_another) = (Next::Foreign, true);
            }
            Action::Break => world.host.broken = true,
            Action::SoftReboot => {
                if world.host.lives() {
                    world.host.unit = Unit::Dead;
                }
                world.host.step = Step::None;
                world.host.begins(&mut world.past, mistake);
            }
            Action::Look => {
                let mut sight = world.sight();
                if matches!(sight, TrialSight::BackOnOld { .. }) && mistake == Some(Mistake::WentBackIsGoodEnough) {
                    sight = TrialSight::Kept { ended: true };
                }
                world.station.as_mut()?.boot = world.host.boot;
                world.tell(TrialInput::Seen(sight), None, mistake);
            }
            Action::Silence => world.tell(TrialInput::Silent { why: why() }, None, mistake),
            Action::Login => {
                let station = world.station.as_mut()?;
                if world.host.is_reached() {
                    station.boot = world.host.boot;
                    let sight = world.sight();
                    let boot = boot_id(world.host.boot);
                    world.tell(TrialInput::LoggedIn(sight), Some(boot), mistake);
                } else {
                    world.tell(TrialInput::NoLogin { why: why() }, None, mistake);
                }
            }
            Action::Rounds => world.rounds(mistake),
            Action::Signal => {
                let station = world.station.as_mut()?;
                station.signalled = true;
                let keeps = station.keeps && !last.host.proven;
                let effects = station.mind.handle(RebootInput::CancelRequested(Signal::Sigint));
                world.carry_out(effects, mistake);
                if keeps && mistake == Some(Mistake::ASignalFiresAfterKeep) {
                    world.fired_after_keep = world.host.fire(world.host.boot) == Answered::Done;
                }
            }
            Action::FillDisk => world.station.as_mut()?.disk_full = true,
            Action::Die => {
                (world.station, world.deaths) = (None, world.deaths - 1);
            }
            Action::Cycle => world.host.power_cycle(&mut world.past, mistake),
            Action::Recover => world.recover(mistake),
            Action::EndHold => (world.held, world.held_too_short) = (false, true),
        }
        (world != *last).then_some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all()
    }
}

impl World {
    fn rounds(&mut self, mistake: Option<Mistake>) {
        let holds = self.host.is_reached() && self.host.cold != Cold::Lame;
        let mut round = good(self.host.boot);
        if !holds {
            round = Round { hosts: round.hosts, ..crate::words::round(PLAN.links.len(), false) };
        }
        for input in 0..5 {
            let Some(station) = self.station.as_mut().filter(|station| station.probes) else { return };
            station.probes = false;
            // Three that hold are enough; then its time is over.
            if input == 3 {
                let _ = station.mind.handle(RebootInput::SettleElapsed { wave: 0 });
            }
            let effects = station.mind.handle(RebootInput::RoundSeen { round: round.clone() });
            self.carry_out(effects, mistake);
        }
    }

    fn recover(&mut self, mistake: Option<Mistake>) {
        let boot = self.host.boot;
        if mistake == Some(Mistake::RecoversItAsAPush) && self.host.token == Token::Armed {
            // What a push's recovery does: its step activates the old system, live.
            (self.host.current, self.held) = (Sys::Old, false);
            self.host.token = Token::Disarmed;
            (self.host.unit, self.host.lease) = (Unit::Absent, false);
            return;
        }
        let left = TrialLeft::of(RUN, &self.host.standing());
        match left.map(|left| (left.remedy(), left)) {
            Some((TrialRemedy::Tend, _)) => {
                let _ = self.host.tend(boot);
            }
            Some((TrialRemedy::Clean, _)) => {
                let _ = self.host.clean(mistake);
            }
            Some((TrialRemedy::Wait, TrialLeft::Leaving { .. })) if mistake == Some(Mistake::CleansUnderGo) => {
                let _ = self.host.clean(mistake);
            }
            Some(_) => {}
            // Nothing of it is left: the holds go.
            None => self.held = false,
        }
    }
}

impl Action {
    fn is_fault(&self, world: &World, trials: &Trials) -> bool {
        match self {
            Self::LoseOrder => world.host.is_reached(),
            Self::Fire => {
                let comes = world.station.is_none() || (world.awaits() && !world.settles());
                !comes && trials.kinds.contains(&Fault::TimeUp)
            }
            Self::LoseAnswer
            | Self::Linger
            | Self::FailStep
            | Self::RestartGuard
            | Self::LoseGuard
            | Self::Cut
            | Self::Install(_)
            | Self::Switch
            | Self::SetNext
            | Self::Break
            | Self::SoftReboot
            | Self::Signal
            | Self::FillDisk => true,
            Self::Carry
            | Self::Late
            | Self::AnswerStep
            | Self::Work
            | Self::Guard
            | Self::Look
            | Self::Silence
            | Self::Login
            | Self::Rounds
            | Self::Die
            | Self::Cycle
            | Self::Recover
            | Self::EndHold => false,
        }
    }
}

impl From<Answered> for TrialAnswer {
    fn from(answered: Answered) -> Self {
        match answered {
            Answered::Done => Self::Done,
            Answered::Refused => Self::Refused { why: why() },
            Answered::Failed => Self::Failed { why: why() },
            Answered::Elsewhere => Self::Unknown { why: why() },
        }
    }
}
