//! What a seed makes of a world: its hosts, what their new systems are worth, and what goes wrong when.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use fleetdeploy::decide::time::{MARGIN, Times};
use fleetdeploy::decide::vocabulary::Signal;
use fleetdeploy::decide::waves::Waves;
use fleetdeploy::facts::links::{Link, LinkAnswer, Probe, Round};
use fleetdeploy::facts::plan::{HostId, HostPlan, LoginBefore, Plan};
use fleetdeploy::inventory::model::Size;
use fleetdeploy::inventory::model::{GuardAction, HostName, Limits, Place};

use crate::chance::Chance;
use crate::desk::DESKS;
use crate::host::Ms;
use crate::systems::{Stand, Sys};
use crate::world::millis;

/// What is wrong with a new system, from when on after its activation, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// Nothing reaches the host, nor those behind it.
    Deaf,
    /// It takes no new login.
    NoLogin,
    /// Its links are down; ssh works.
    LinksDown,
    /// Its tunnels carry packets over old sessions only.
    OldHandshake,
    /// A unit that was fine before has failed.
    Unit,
    /// It has hardly any time for its own probes: in most rounds it cannot say what it has not heard.
    Slow,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ends {
    Well,
    /// With a status, having moved what it was to move, or not.
    Badly {
        moved: bool,
    },
    Never,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Doing {
    pub(crate) takes: Ms,
    pub(crate) ends: Ends,
}

/// How one host behaves.
#[derive(Debug, Clone)]
pub(crate) struct Nature {
    pub(crate) flaw: Option<(Flaw, Ms, Ms)>,
    pub(crate) test: Doing,
    pub(crate) switch: Doing,
    /// The old system's activation in a roll back.
    pub(crate) back: Doing,
    /// How often the old system's installer fails before it works.
    pub(crate) installer_fails: u64,
    pub(crate) boot: Ms,
    pub(crate) drift: i64,
    pub(crate) up_since: i64,
    pub(crate) action: GuardAction,
    pub(crate) latency: Ms,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Contact to a host and those behind it is lost; `None`: for good.
    Cut(usize, Option<Ms>),
    /// A power cut; `None`: it stays dark.
    Crash(usize, Option<Ms>),
    /// A person switches the host by hand.
    Meddle(usize),
    /// A person recovers the run from this workstation, beside whatever goes on.
    Recover(usize),
    OfStation(StationTrouble),
}

/// What hits one of the programs that are awake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StationTrouble {
    /// Its workstation's own link.
    Cut(Ms),
    /// Its workstation is suspended.
    Suspend(Ms),
    /// It is stopped, and a person may recover the run before it goes on.
    Stop(Ms, Option<Reaction>),
    Signal(Signal),
    Kill(Option<Reaction>),
    /// No record can be written from now on.
    DiskFull,
}

/// A person recovers the run, so long after; perhaps another one does too, so long after that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reaction {
    pub(crate) after: Ms,
    pub(crate) desk: usize,
    pub(crate) second: Option<(Ms, usize)>,
}

impl Trouble {
    /// For the tables.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Cut(_, Some(_)) => "a host cut off for a while",
            Self::Cut(_, None) => "a host cut off for good",
            Self::Crash(_, Some(_)) => "power cut",
            Self::Crash(_, None) => "power cut for good",
            Self::Meddle(_) => "switch by hand",
            Self::Recover(_) => "recover beside it",
            Self::OfStation(StationTrouble::Cut(_)) => "its own link cut",
            Self::OfStation(StationTrouble::Suspend(_)) => "suspend",
            Self::OfStation(StationTrouble::Stop(..)) => "stopped for a while",
            Self::OfStation(StationTrouble::Signal(_)) => "signal",
            Self::OfStation(StationTrouble::Kill(_)) => "kill -9",
            Self::OfStation(StationTrouble::DiskFull) => "its disk full",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    At(Ms),
    /// When so many commands were sent.
    Sent(u64),
}

/// Percent of all messages.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Noise {
    pub(crate) command_lost: u64,
    pub(crate) reply_lost: u64,
    pub(crate) late: u64,
    pub(crate) round_lost: u64,
}

#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) plan: Arc<Plan>,
    pub(crate) times: Vec<Times>,
    pub(crate) natures: Vec<Nature>,
    pub(crate) noise: Noise,
    pub(crate) troubles: Vec<(When, Trouble)>,
    /// Nothing is wrong with any host or its new system, and nothing goes wrong on the way.
    is_good: bool,
    /// From then on nothing new goes wrong.
    pub(crate) quiet_from: Ms,
}

impl Scenario {
    /// `begin`: the world's first moment.
    pub(crate) fn from(chance: &mut Chance, begin: Ms) -> Self {
        let count = chance.pick(&[2, 2, 2, 2, 3, 3, 3, 4, 5, 6]);
        // None, some, many: what goes wrong all at once covers itself.
        let evil = chance.pick(&[0, 1, 1, 1, 1, 2, 2, 3]);
        let plan = plan(chance, count);
        let times = times(chance, &plan);
        let natures = (0..count).map(|host| nature(chance, evil, &times[host])).collect();
        let noise = match evil {
            0 => Noise::default(),
            _ => Noise {
                command_lost: chance.pick(&[0, 0, 2, 10, 30]),
                reply_lost: chance.pick(&[0, 0, 2, 10, 30]),
                late: chance.pick(&[0, 0, 0, 3, 20]),
                round_lost: chance.pick(&[0, 0, 0, 5, 30]),
            },
        };
        let mut scenario = Self {
            plan: Arc::new(plan),
            times,
            natures,
            noise,
            troubles: Vec::new(),
            is_good: evil == 0,
            quiet_from: begin,
        };
        if evil > 0 {
            let length = chance.spread(10_000, 1_200_000);
            let guard = millis(scenario.times[0].guard);
            for _ in 0..chance.below(evil * 2 + 1) {
                let when = if chance.percent(60) {
                    let commands = chance.pick(&[12, 12, 12, 30]);
                    When::Sent(chance.between(0, commands * count as u64))
                } else {
                    When::At(begin + chance.below(length))
                };
                let trouble = trouble(chance, count, guard);
                scenario.troubles.push((when, trouble));
            }
            scenario.quiet_from = begin + length;
        }
        scenario
    }

    /// Whether nothing at all goes wrong: then the push must commit.
    pub(crate) fn is_harmless(&self) -> bool {
        self.troubles.is_empty() && self.is_good
    }
}

fn name(index: usize) -> HostName {
    HostName::new(format!("host{index}")).expect("a host's name")
}

fn plan(chance: &mut Chance, count: usize) -> Plan {
    let mut links = Vec::new();
    let sparse = count > 3;
    for from in 0..count {
        for to in (0..count).filter(|to| *to != from) {
            if sparse && chance.percent(50) {
                continue;
            }
            let probe = Probe::Ping { address: format!("10.0.0.{to}") };
            links.push(Link {
                check: "vpn".to_owned(),
                from: Place::Host(name(from)),
                to: name(to).to_string(),
                to_host: Some(name(to)),
                probe: probe.clone(),
                probe_after: probe,
                required: chance.percent(95),
                timeout: Duration::from_secs(2),
                left_out: None,
                shared: false,
            });
        }
    }
    let up = || LinkAnswer::Up { round_trip_us: None };
    let baseline = Round { answers: (0..links.len()).map(|link| (link, up())).collect(), ..Round::default() };
    let always = chance.index(count);
    let hosts = (0..count)
        .map(|index| HostPlan {
            name: name(index),
            changes: index == always || chance.percent(80),
            old: Stand::all(Sys::Old).systems(),
            generation: 1,
            new: Sys::New.path(),
            boot_id: "boot-0".to_owned(),
            machine_id: format!("{:08}", chance.below(100_000_000)),
            behind: (index > 0 && chance.percent(50)).then(|| HostId(chance.index(index))),
            reactivate: chance.percent(10),
            wave: 0,
            login: LoginBefore::Taken,
            failed_units: BTreeSet::new(),
            restarts: BTreeMap::new(),
            units: fleetdeploy::facts::units::UnitTerms::default(),
        })
        .collect();
    let plan = in_waves(Plan { hosts, links, baseline, accepted: BTreeSet::new() });
    Plan { hosts: plan.hosts.into_iter().map(logged_into).collect(), ..plan }
}

/// Some hosts had moved already, and took no new login in the baseline by the way that was usual; some records do not
/// say it. Which, comes out of what was chosen already, as in [`in_waves`].
fn logged_into(host: HostPlan) -> HostPlan {
    let number: usize = host.machine_id.parse().expect("digits");
    let login = match number % 5 {
        0 => LoginBefore::NotTaken,
        1 => LoginBefore::Unknown,
        _ => LoginBefore::Taken,
    };
    HostPlan { login, ..host }
}

/// One push in three goes by waves. Which, comes out of what was chosen already: so the others are what they were, and
/// their seeds still name them.
fn in_waves(mut plan: Plan) -> Plan {
    let number: usize = plan.hosts[0].machine_id.parse().expect("digits");
    let changing: Vec<HostName> = plan.changing().map(|host| plan.host(host).name.clone()).collect();
    if number.is_multiple_of(3) {
        let canaries = changing.last().filter(|_| (number / 3).is_multiple_of(2)).cloned().into_iter().collect();
        let sizes = [&[][..], &[Size::Hosts(1)], &[Size::Hosts(1), Size::Percent(50)]][(number / 6) % 3].to_vec();
        let waves = Waves { canaries, sizes }.divide(&changing);
        for host in plan.hosts.iter_mut().filter(|host| host.changes) {
            host.wave = waves.iter().position(|wave| wave.contains(&host.name)).expect("each is in one");
        }
    }
    plan
}

fn times(chance: &mut Chance, plan: &Plan) -> Vec<Times> {
    let secs = Duration::from_secs;
    // One settle time for the fleet; limits and guards may be each host's own.
    let settle = secs(chance.pick(&[5, 20, 60]));
    let short = chance.percent(40);
    (0..plan.hosts.len())
        .map(|host| {
            let limits = if short {
                Limits { test: secs(40), switch: secs(30), rollback: secs(60), ..Limits::default() }
            } else {
                Limits::default()
            };
            let mut times = Times {
                guard: Duration::ZERO,
                unseen_guard: Duration::ZERO,
                overdue: Duration::ZERO,
                boot_time: secs(chance.between(30, 180)),
                guard_action: GuardAction::Reboot,
                limits,
                settle,
                steady: Duration::ZERO,
            };
            let again = if plan.hosts[host].reactivate { limits.test } else { Duration::ZERO };
            let Limits { connect, step, test, switch, rollback, .. } = limits;
            // The shortest that the inventory takes.
            times.guard = step
                + test
                + connect
                + settle
                + switch
                + again
                + rollback
                + MARGIN
                + secs(chance.pick(&[0, 0, 60, 600]));
            times.unseen_guard = times.guard;
            times
        })
        .collect()
}

fn nature(chance: &mut Chance, evil: u64, times: &Times) -> Nature {
    let mut flaw = None;
    let doing = |chance: &mut Chance, limit: Duration| {
        let quick = chance.spread(300, 15_000).min(millis(limit) / 3);
        let mut doing = Doing { takes: quick, ends: Ends::Well };
        match if evil > 0 { chance.below(12) } else { 12 } {
            0 => doing.ends = chance.pick(&[Ends::Badly { moved: true }, Ends::Badly { moved: false }, Ends::Never]),
            1 => doing.takes = chance.between(quick, millis(limit) * 3 / 2),
            _ => {}
        }
        doing
    };
    if evil > 0 && chance.percent(20) {
        let kinds =
            [Flaw::Deaf, Flaw::Deaf, Flaw::NoLogin, Flaw::LinksDown, Flaw::OldHandshake, Flaw::Unit, Flaw::Slow];
        let from = chance.pick(&[0, 0, 0, 500, 3000, 20_000]);
        let lasts = if chance.percent(30) { chance.spread(2_000, 300_000) } else { Ms::MAX / 2 };
        flaw = Some((chance.pick(&kinds), from, lasts));
    }
    let boot_limit = millis(times.boot_time);
    Nature {
        flaw,
        test: doing(chance, times.limits.test),
        switch: doing(chance, times.limits.switch),
        back: doing(chance, times.limits.rollback),
        installer_fails: if evil > 0 && chance.percent(5) { chance.between(1, 5) } else { 0 },
        boot: chance.between(boot_limit / 4, boot_limit * 3 / 4),
        drift: chance.between(0, 2000).cast_signed() - 1000,
        up_since: -chance.between(60_000, 100_000_000).cast_signed(),
        action: if chance.percent(15) { GuardAction::SwitchBack } else { GuardAction::Reboot },
        latency: chance.spread(2, 300),
    }
}

fn trouble(chance: &mut Chance, count: usize, guard: Ms) -> Trouble {
    let host = chance.index(count);
    Trouble::OfStation(match chance.below(100) {
        0..18 => {
            return Trouble::Cut(host, if chance.percent(15) { None } else { Some(chance.spread(500, 1_200_000)) });
        }
        18..34 => {
            return Trouble::Crash(host, if chance.percent(8) { None } else { Some(chance.spread(1_000, 300_000)) });
        }
        34..38 => return Trouble::Meddle(host),
        38..44 => return Trouble::Recover(chance.index(DESKS)),
        44..51 => StationTrouble::Cut(chance.spread(500, 1_200_000)),
        51..57 => StationTrouble::Suspend(sleep(chance, guard)),
        57..67 => StationTrouble::Stop(sleep(chance, guard), reaction(chance)),
        67..76 => StationTrouble::Signal(chance.pick(&[Signal::Sigint, Signal::Sigterm, Signal::Sighup])),
        76..96 => StationTrouble::Kill(reaction(chance)),
        _ => StationTrouble::DiskFull,
    })
}

/// Often about as long as a guard: then it is nearly too late.
fn sleep(chance: &mut Chance, guard: Ms) -> Ms {
    if chance.percent(40) { chance.between(guard / 2, guard * 11 / 10) } else { chance.spread(1_000, 7_200_000) }
}

fn reaction(chance: &mut Chance) -> Option<Reaction> {
    let desk = |chance: &mut Chance| chance.pick(&[0, 0, 1, 2]);
    chance.percent(75).then(|| Reaction {
        after: chance.spread(100, 1_800_000),
        desk: desk(chance),
        second: chance.percent(25).then(|| (chance.spread(1, 60_000), desk(chance))),
    })
}
