//! The whole world: hosts, workstations, what is under way between them. What can happen in it is in `choices.rs`, what
//! comes of that in `events.rs`.

use std::collections::BTreeSet;
use std::sync::Arc;

use fleetdeploy::decide::transaction::recover::Reached;
use fleetdeploy::decide::vocabulary::Timer;
use fleetdeploy::facts::host::JobKind;
use fleetdeploy::facts::plan::{HostId, Plan};
use stateright::{Model, Property};

use crate::faults::{Budget, Fault};
use crate::host::{Guard, Host, Lease, Token};
use crate::mistakes::Mistake;
use crate::properties;
use crate::scripts::Order;
use crate::station::{Journal, Station};
use crate::words::Sys;

/// The run that is explored, in `guard_of` and leases.
pub(crate) const OURS: u8 = 1;
pub(crate) const THEIRS: u8 = 9;

/// What the new system does to the links of a host that runs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Change {
    Good,
    /// The links between the hosts are down for as long as it runs.
    CutsLinks,
    /// No workstation reaches the host as long as it runs.
    CutsHosts,
    /// The links stay down, also on the old system, until the host has rebooted.
    Lasts,
}

/// What is explored.
#[derive(Debug, Clone)]
pub(crate) struct Fleet {
    pub(crate) plan: Arc<Plan>,
    pub(crate) changes: Vec<Change>,
    pub(crate) budget: Budget,
    /// The first host's guard switches back instead of rebooting it.
    pub(crate) switch_back: bool,
    /// The guard and lease of another run appear on the last host between the survey and the arming.
    pub(crate) foreign: bool,
    /// The workstation dies only once the run's record has come so far.
    pub(crate) mortal_from: Reached,
    /// The host that may lie. The only claim about it is that it hurts no other host.
    pub(crate) liar: Option<usize>,
    pub(crate) mistake: Option<Mistake>,
}

/// What happened, as far as the properties ask for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct History {
    pub(crate) moved_unproven: bool,
    pub(crate) began_unguarded: bool,
    pub(crate) worked_under_a_step: bool,
    /// By bit: hosts whose boot default has moved.
    pub(crate) moved: u8,
    /// A guard was disarmed for commit while another host's boot default had never moved.
    pub(crate) disarmed_too_soon: bool,
    /// A guard was disarmed so that its host stays on new.
    pub(crate) disarmed_for_commit: bool,
    pub(crate) fired: bool,
    /// A host restarted by itself after its boot default moved.
    pub(crate) restarted_after_move: bool,
    /// By bit: hosts whose power was cut between two writes.
    pub(crate) cut_between_writes: u8,
    /// By bit: hosts that were out of reach still when their guards must have brought them back. Asked for only where a
    /// link may need a reboot.
    pub(crate) given_up: u8,
    /// By bit: hosts that a restart by themselves has brought onto what a person had set as the next boot.
    pub(crate) booted_other: u8,
    /// A step that goes forward began although the next boot was not the boot default.
    pub(crate) began_past_next_boot: bool,
    /// A coordinator ended, not superseded, with an honest host in reach that is still under a guard which it holds.
    pub(crate) left_to_guard: bool,
    /// A coordinator said of an honest host that it is where it was not.
    pub(crate) said_untrue: bool,
    /// By bit: hosts that a person has switched by hand while a coordinator was at work.
    pub(crate) by_hand_beside: u8,
    /// A push's clean-up has cleaned a host that was not on old and at rest, or has moved one.
    pub(crate) cleaned_amiss: bool,
    /// What a person had switched a host to by hand was undone.
    pub(crate) undone_by_hand: bool,
    /// By bit: the coordinators that have cleaned a host.
    pub(crate) cleaned_by: u8,
    /// A coordinator said that the run was taken over, and there was none that could have.
    pub(crate) superseded_by_nobody: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct World {
    pub(crate) change: Change,
    pub(crate) hosts: Vec<Host>,
    pub(crate) stations: Vec<Arc<Station>>,
    pub(crate) journal: Journal,
    /// Copies of commands that are still under way although no coordinator waits for their answer.
    pub(crate) late: BTreeSet<(usize, LateOrder)>,
    pub(crate) left: Budget,
    pub(crate) history: History,
}

/// An [`Order`], in an order of its own so that states are canonical.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct LateOrder(pub(crate) Order);

impl LateOrder {
    fn rank(&self) -> (u8, u8, String, bool) {
        let Order { speaker, step, expired } = &self.0;
        (speaker.run, speaker.epoch, format!("{step:?}"), *expired)
    }
}

impl PartialOrd for LateOrder {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for LateOrder {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        if self == other { std::cmp::Ordering::Equal } else { self.rank().cmp(&other.rank()) }
    }
}

/// How a command and its reply fare on their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Well,
    /// It is carried out, and the reply is lost with the connection.
    ReplyLost,
    /// It is carried out, and the reply takes its time.
    ReplySlow,
    /// It is carried out, and arming fails.
    ArmingFails,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// The order of this workstation for this host arrives there.
    Arrive(usize, usize, Way),
    /// A slow reply is here.
    Reply(usize, usize),
    /// The connection is lost before the command has reached the host.
    LoseContact(usize, usize),
    /// The connection is lost, and the order stays under way: it may arrive later, beside the one that is sent again.
    Linger(usize, usize),
    /// The driver's time for this order is over: it is not known whether it ran.
    GiveUp(usize, usize),
    Deny(usize, usize),
    /// The driver knows that there is no time for it.
    NotSent(usize, usize),
    /// A copy that lingered arrives: the `n`th.
    ArriveLate(usize),
    /// A round of the matrix ends; `flap`: with a link down that is up.
    Round {
        station: usize,
        flap: bool,
    },
    /// A round ends that could not be carried out: nothing is known of any link.
    BlurredRound(usize),
    /// A round ends in which links that share the rounds have missed one probe each.
    MissedRound(usize),
    /// A round ends, and its result is slow.
    SlowRound(usize),
    Elapse(usize, Timer),
    Weigh(usize, bool),
    Interrupt(usize),
    DiskFull(usize),
    /// The workstation's process is killed. Its orders are lost, or stay under way.
    Die {
        station: usize,
        orders_go_on: bool,
    },
    Begin(usize, JobKind),
    GoOn(usize, JobKind, bool),
    TimeIsUp(usize),
    Fire(usize),
    FireOn(usize, bool),
    Restart(usize),
    PullCable(usize),
    MendCable(usize),
    /// The host that lies says so; `runs`: the order was carried out all the same.
    Lie {
        station: usize,
        word: Word,
        runs: bool,
    },
    SetNextBoot(usize),
    Deafen(usize, usize),
    Hear(usize, usize),
    /// A person types `fleetdeploy recover`; if `alone`, on another workstation, without the run's record.
    Recover {
        alone: bool,
        to: To,
    },
    /// A push begins to clean up where a host is back.
    CleanUp,
    SwitchByHand(usize, Sys),
    CommitLater(usize, Sys),
    InstallAnew(usize, Sys),
}

/// What a recovery is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum To {
    Recover,
    GoWithout(usize),
    Forget { as_they_stand: bool },
    CleanUp,
}

/// What a host says that lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    Superseded,
    Ended,
    NotHeld,
}

impl World {
    /// Whether this workstation reaches the host.
    pub(crate) fn is_heard(&self, plan: &Plan, station: usize, host: usize) -> bool {
        self.reaches(plan, host) && self.stations[station].deaf_to & (1 << host) == 0
    }

    /// Whether the links of this host carry packets.
    pub(crate) fn links_hold(&self, host: &Host) -> bool {
        let cut_by_change = matches!(self.change, Change::CutsLinks | Change::CutsHosts) && host.on.current == Sys::New;
        !cut_by_change && !host.scarred && !host.cut
    }

    pub(crate) fn reaches(&self, plan: &Plan, host: usize) -> bool {
        let answers = |at: usize| {
            let host = &self.hosts[at];
            !host.cut && !(self.change == Change::CutsHosts && host.on.current == Sys::New)
        };
        answers(host) && plan.host(HostId(host)).behind.is_none_or(|jump| answers(jump.0))
    }

    /// By bit: hosts that are missing by the marks, and under whose names other machines answer that hold nothing of
    /// the run. engine::recover::take_over, `replaced`.
    pub(crate) fn replaced(&self, alone: bool) -> u8 {
        let recorded = self.journal.1.filter(|_| !alone);
        let marks = self.hosts.iter().filter_map(|host| host.mark).chain(recorded);
        let missing = marks.fold(0, |missing, mark| missing | mark.missing);
        let is_another = |host: &Host| host.anew && host.saved.is_none() && host.lease.is_none();
        let others = self.hosts.iter().enumerate().filter(|(_, host)| is_another(host));
        missing & others.fold(0, |all, (host, _)| all | 1 << host)
    }

    /// Whether a mark on old names a host that still holds something of the run. What that one stands on a push has
    /// seen at its survey: here nothing is held against it but what the decider sees itself.
    pub(crate) fn may_be_cleaned_up(&self) -> bool {
        let marks = self.hosts.iter().filter_map(|host| host.mark).filter(|mark| mark.side == Some(Sys::Old));
        let missing = marks.fold(0, |missing, mark| missing | mark.missing);
        self.hosts.iter().enumerate().any(|(host, its)| missing & (1 << host) != 0 && its.saved.is_some())
    }

    pub(crate) fn all_rest(&self) -> bool {
        self.hosts.iter().all(Host::at_rest)
    }

    pub(crate) fn anybody_drives(&self) -> bool {
        self.stations.iter().any(|station| station.is_alive())
    }

    /// No coordinator lives or will come, and no order is under way: each host goes its own way to its end.
    pub(crate) fn is_left_alone(&self) -> bool {
        let nobody_comes = self.left.recoveries == 0 && self.left.clean_ups == 0;
        !self.anybody_drives() && nobody_comes && self.late.is_empty()
    }

    /// Forgets what nothing that can still happen, and no property, asks for: so that worlds that differ in it alone
    /// are one.
    pub(crate) fn forget(&mut self) {
        for host in &mut self.hosts {
            host.forget();
        }
        if self.left.recoveries == 0 {
            self.journal = Journal::new();
        }
        if self.left.recoveries == 0 && !self.anybody_drives() && self.late.is_empty() && !self.may_be_cleaned_up() {
            self.left.clean_ups = 0;
        }
        if self.is_left_alone() {
            self.left.keep_only(&[Fault::Restart, Fault::Step, Fault::NextBoot]);
            // Both are asked for with a disarm for commit, and none can come any more.
            self.history.moved = 0;
            self.history.fired &= self.history.disarmed_for_commit;
            self.hosts.iter_mut().for_each(|host| host.cut = false);
        }
        let Self { stations, hosts, late, .. } = self;
        for station in stations {
            let epoch = station.speaker.epoch;
            let may_move =
                !late.is_empty() || station.sends_a_switch() || hosts.iter().any(|host| host.switch.is_of(epoch));
            let is_through = !station.is_alive() || station.going_back;
            if is_through && !station.proof.is_empty() && !may_move {
                Arc::make_mut(station).proof.clear();
            }
        }
    }
}

impl Model for Fleet {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let mut hosts = vec![Host::new(); self.plan.hosts.len()];
        hosts[0].switch_back = self.switch_back;
        if let (true, Some(last)) = (self.foreign, hosts.last_mut()) {
            last.lease = Some(Lease { run: THEIRS, epoch: 1 });
            (last.token, last.guard, last.guard_of) = (Token::Armed, Guard::Watching, THEIRS);
        }
        let world = |change: &Change| {
            let mut journal = Journal::new();
            let push = Station::push(&self.plan, &mut journal, self.mistake);
            World {
                change: *change,
                hosts: hosts.clone(),
                stations: vec![Arc::new(push)],
                journal,
                late: BTreeSet::new(),
                left: self.budget,
                history: History::default(),
            }
        };
        self.changes.iter().map(world).collect()
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        self.choices(world, actions);
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        self.happen(&mut next, action)?;
        self.hear_verdicts(world, &mut next);
        let undone = |host: &Host| host.by_hand.is_some_and(|to| !host.on.all_are(to));
        next.history.undone_by_hand |= next.hosts.iter().any(undone);
        next.forget();
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all()
    }
}
