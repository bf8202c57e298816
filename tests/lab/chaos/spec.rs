//! What one run of the chaos is, all of it from one number: which fleet, which push, what is done to it and when.

use serde::Serialize;

/// What is pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Push {
    Good,
    /// Good, and slow to activate and to install: long phases, so that more falls into them.
    Slow,
    ActivationFails,
    UnitFails,
    /// The tunnel between the hosts does not come up again.
    NoTunnel,
    NoNewSsh,
    LoaderFails,
}

impl Push {
    pub(super) const ALL: [Self; 7] = [
        Self::Good,
        Self::Slow,
        Self::ActivationFails,
        Self::UnitFails,
        Self::NoTunnel,
        Self::NoNewSsh,
        Self::LoaderFails,
    ];

    /// The parameter of `scripts/lab/fleet/nixos/params.nix` that makes it so, for one host, as JSON.
    pub(super) fn fault(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Good => &[],
            Self::Slow => &[("activate", "\"slow:2\""), ("loader", "\"slow:2\"")],
            Self::ActivationFails => &[("activate", "\"fails\"")],
            Self::UnitFails => &[("unit_fails", "true")],
            Self::NoTunnel => &[("wg_key", "\"wrong\"")],
            Self::NoNewSsh => &[("fw", "\"drop-new-ssh\"")],
            Self::LoaderFails => &[("loader", "\"fails\"")],
        }
    }

    pub(super) fn is_good(self) -> bool {
        matches!(self, Self::Good | Self::Slow)
    }
}

/// When something is done to it: in a phase of the push, after a while in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Moment {
    Build,
    Survey,
    Copy,
    Baseline,
    Arm,
    Test,
    Verify,
    Decide,
    Switch,
    Disarm,
    /// Every guard is disarmed, and what the run keeps on the hosts is being removed.
    CleanUp,
    RollBack,
}

impl Moment {
    pub(super) const ALL: [Self; 12] = [
        Self::Build,
        Self::Survey,
        Self::Copy,
        Self::Baseline,
        Self::Arm,
        Self::Test,
        Self::Verify,
        Self::Decide,
        Self::Switch,
        Self::Disarm,
        Self::CleanUp,
        Self::RollBack,
    ];

    /// About how long it takes in the lab, in milliseconds.
    fn span(self) -> u64 {
        match self {
            Self::Build | Self::Verify => 3500,
            Self::RollBack => 3000,
            Self::Baseline | Self::Test => 2500,
            Self::Switch => 2000,
            Self::Copy => 1200,
            Self::Survey | Self::Arm => 800,
            Self::Decide | Self::Disarm => 300,
            Self::CleanUp => 150,
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Survey => "survey",
            Self::Copy => "copy",
            Self::Baseline => "baseline",
            Self::Arm => "arm",
            Self::Test => "test",
            Self::Verify => "verify",
            Self::Decide => "decide",
            Self::Switch => "switch",
            Self::Disarm => "disarm",
            Self::CleanUp => "clean up",
            Self::RollBack => "roll back",
        }
    }
}

/// What is done to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Injection {
    Nothing,
    /// SIGKILL for the workstation's process.
    Kill,
    /// And for the first recovery after it.
    KillTwice,
    /// SIGSTOP for the workstation's process, a recovery from another workstation, SIGCONT.
    Asleep,
    PowerCut,
    /// Back after some seconds.
    CableForAWhile,
    /// Back when the push has ended, whatever it took.
    CableForGood,
    DiskFull,
    BootFull,
    SshdStopped,
    ReloadFlood,
    /// SIGINT for the workstation's process, once.
    Interrupt,
    /// SIGKILL for the guard, which systemd starts again.
    GuardKilled,
    /// Longer than links are waited for.
    CableForLong,
}

impl Injection {
    /// What is done to trials alone.
    pub(super) const OF_TRIALS: [Self; 3] = [Self::Interrupt, Self::GuardKilled, Self::CableForLong];

    pub(super) const ALL: [Self; 10] = [
        Self::Kill,
        Self::KillTwice,
        Self::Asleep,
        Self::PowerCut,
        Self::CableForAWhile,
        Self::CableForGood,
        Self::DiskFull,
        Self::BootFull,
        Self::SshdStopped,
        Self::ReloadFlood,
    ];

    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Kill => "kill -9 of the push",
            Self::KillTwice => "kill -9 of the push, then of `recover`",
            Self::Asleep => "SIGSTOP, `recover` from elsewhere, SIGCONT",
            Self::PowerCut => "power cut of a host",
            Self::CableForAWhile => "cable out for a while",
            Self::CableForGood => "cable out until the push has ended",
            Self::DiskFull => "disk of a host full",
            Self::BootFull => "/boot of a host full",
            Self::SshdStopped => "sshd of a host stopped",
            Self::ReloadFlood => "daemon-reload in a loop",
            Self::Interrupt => "Ctrl-C",
            Self::GuardKilled => "kill -9 of the guard",
            Self::CableForLong => "cable out for more than a minute",
        }
    }
}

/// Who recovers a push that was killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Recoverer {
    /// The workstation that has the record.
    Same,
    /// Another one, that has only the hosts.
    Other,
    /// Two at once.
    Both,
}

/// One run.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Spec {
    pub(super) seed: u64,
    pub(super) hosts: &'static [&'static str],
    pub(super) push: Push,
    /// Hosts that get a new system; the others are witnesses.
    pub(super) changed: Vec<&'static str>,
    /// The one that a bad push is bad on.
    pub(super) faulty: &'static str,
    pub(super) injection: Injection,
    /// The host or workstation that it is done to, where it is one.
    pub(super) victim: &'static str,
    pub(super) moment: Moment,
    /// After the moment has begun.
    pub(super) delay_ms: u64,
    /// How long what passes by itself takes.
    pub(super) lasts_ms: u64,
    pub(super) recoverer: Recoverer,
    /// A dead push is recovered at once, not when the guards have done their work.
    pub(super) at_once: bool,
}

/// The same hosts for so many runs, so that a fleet can be used again.
pub(super) const BLOCK: u64 = 8;

impl Spec {
    /// Over as many seeds in a row as there are pairs of injection and moment, each pair comes once. All else is
    /// drawn.
    pub(super) fn of(seed: u64) -> Self {
        let mut draw = Draw(seed);
        let mut pairs = vec![(Injection::Nothing, Moment::Build); 5];
        pairs.extend(Injection::ALL.iter().flat_map(|injection| Moment::ALL.iter().map(|at| (*injection, *at))));
        // 53 and the number of pairs, 125, have no divisor in common: every pair is met, neighbours are far apart.
        let (injection, moment) = pairs[usize::try_from(seed % 125).unwrap() * 53 % pairs.len()];
        assert_eq!(pairs.len(), 125, "see above");

        // Every fourth block has a container, which has no boot loader: behind the tunnel, and reached directly.
        let hosts: &[&str] = match (seed / BLOCK) % 8 {
            3 => &["vps", "incus"],
            7 => &["vps", "homeserver", "box"],
            block if block % 2 == 0 => &["vps", "homeserver"],
            _ => &["vps", "homeserver", "web"],
        };
        let bad = [Push::ActivationFails, Push::UnitFails, Push::NoTunnel, Push::NoNewSsh, Push::LoaderFails];
        let good = *draw.one_of(&[Push::Good, Push::Slow]);
        let push = match moment {
            Moment::RollBack => *draw.one_of(&bad),
            Moment::Decide => Push::Slow,
            Moment::Switch | Moment::Disarm | Moment::CleanUp => good,
            _ if draw.below(3) == 0 => *draw.one_of(&bad),
            _ => good,
        };
        let changed = match draw.below(4) {
            0 => vec![*draw.one_of(hosts)],
            _ => hosts.to_vec(),
        };
        let victim = match injection {
            Injection::CableForAWhile | Injection::CableForGood if draw.below(3) == 0 => "laptop",
            _ => draw.one_of(hosts),
        };
        // Without its hub nothing of a tunnel is left to be wrong.
        let faulty = *draw.one_of(&changed);
        let recoverer = *draw.one_of(&[Recoverer::Same, Recoverer::Same, Recoverer::Other, Recoverer::Both]);
        Self {
            seed,
            hosts,
            push,
            changed,
            faulty,
            injection,
            victim,
            moment,
            delay_ms: draw.below(moment.span()),
            lasts_ms: 500 + draw.below(11_500),
            recoverer,
            at_once: draw.below(3) > 0,
        }
    }
}

/// Numbers that look random and are the same for the same seed, on every machine.
///
/// Source: Steele, Lea, Flood: Fast splittable pseudorandom number generators (splitmix64).
#[derive(Debug)]
pub(super) struct Draw(pub(super) u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    pub(super) fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[usize::try_from(self.below(all.len() as u64)).unwrap()]
    }
}
