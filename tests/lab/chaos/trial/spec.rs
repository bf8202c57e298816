//! What one run of trials is, all of it from one number.

use serde::Serialize;

use crate::chaos::spec::{Draw, Injection, Recoverer};

/// What is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Tried {
    Good,
    /// Good, and both installers are slow.
    Slow,
    /// A unit of it fails where a boot starts it, and not where a switch does.
    FailsFromCold,
    /// The firmware loses what is to be booted once.
    Forgotten,
    /// The firmware boots it again and again.
    Sticks,
}

impl Tried {
    /// Whether it is kept where nothing is done to it.
    pub(super) fn is_good(self) -> bool {
        matches!(self, Self::Good | Self::Slow)
    }

    /// What the firmware of the lab is told.
    pub(super) fn firmware(self) -> Option<&'static str> {
        match self {
            Self::Forgotten => Some("forgets"),
            Self::Sticks => Some("sticks"),
            Self::Good | Self::Slow | Self::FailsFromCold => None,
        }
    }
}

/// When something is done: what a host that is tried is said to be doing, after a while in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::chaos) enum Step {
    Arm,
    Register,
    Go,
    Boot,
    LogIn,
    Prove,
    Keep,
    CleanUp,
}

impl Step {
    pub(in crate::chaos) const ALL: [Self; 8] =
        [Self::Arm, Self::Register, Self::Go, Self::Boot, Self::LogIn, Self::Prove, Self::Keep, Self::CleanUp];

    /// As `RebootActivity` is said.
    pub(super) fn doing(self) -> &'static str {
        match self {
            Self::Arm => "arming a guard for its trial",
            Self::Register => "making its new system an entry of its own",
            Self::Go => "told to reboot",
            Self::Boot => "going down and booting",
            Self::LogIn => "is up; logging in anew",
            Self::Prove => "proving its links",
            Self::Keep => "keeping its new system",
            Self::CleanUp => "cleaning up after its trial",
        }
    }

    pub(in crate::chaos) fn word(self) -> &'static str {
        match self {
            Self::Arm => "trial: arm",
            Self::Register => "trial: register",
            Self::Go => "trial: go",
            Self::Boot => "trial: reboot",
            Self::LogIn => "trial: login",
            Self::Prove => "trial: proof",
            Self::Keep => "trial: keep",
            Self::CleanUp => "trial: clean up",
        }
    }

    /// About how long it takes in the lab, in milliseconds.
    fn span(self) -> u64 {
        match self {
            Self::Arm | Self::LogIn => 1000,
            Self::Register | Self::Go => 2500,
            Self::Boot => 7000,
            Self::Prove => 4000,
            Self::Keep => 2000,
            Self::CleanUp => 500,
        }
    }
}

/// Whom it is done to, where it is a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Victim {
    /// The host that is being tried.
    Tried,
    Other,
    Workstation,
}

/// One run.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Spec {
    pub(super) seed: u64,
    pub(super) tried: Tried,
    /// Hosts that run a system that they have not booted, and are to be rebooted.
    pub(super) changed: Vec<&'static str>,
    /// The one of them that is not good.
    pub(super) faulty: &'static str,
    pub(super) injection: Injection,
    pub(super) victim: Victim,
    pub(super) step: Step,
    /// After the step has begun.
    pub(super) delay_ms: u64,
    /// How long what passes by itself takes.
    pub(super) lasts_ms: u64,
    pub(super) recoverer: Recoverer,
    /// A dead run is recovered at once, not when the guards have done their work.
    pub(super) at_once: bool,
}

/// One of them behind the other, and both with the firmware that a trial asks for.
pub(super) const HOSTS: [&str; 2] = ["vps", "homeserver"];

/// What is done in each step, beside what changes from one round of seeds to the next.
const ALWAYS: [Injection; 3] = [Injection::Kill, Injection::PowerCut, Injection::CableForAWhile];
const IN_TURN: [Injection; 6] = [
    Injection::KillTwice,
    Injection::Asleep,
    Injection::GuardKilled,
    Injection::Interrupt,
    Injection::CableForLong,
    Injection::Nothing,
];

impl Spec {
    /// Over 40 seeds in a row each step comes with a kill, a power cut, a cable, and two of the others.
    pub(super) fn of(seed: u64) -> Self {
        let mut draw = Draw(seed ^ 0x7472_6961_6c00_0000);
        let round = usize::try_from(seed / 40).unwrap();
        let pairs: Vec<(Injection, Step)> = Step::ALL
            .iter()
            .enumerate()
            .flat_map(|(at, step)| {
                let others = [0, 1].map(|more| IN_TURN[(at * 2 + more + round) % IN_TURN.len()]);
                ALWAYS.into_iter().chain(others).map(|injection| (injection, *step))
            })
            .collect();
        // 17 and the number of pairs have no divisor in common: every pair is met, neighbours are far apart.
        let (injection, step) = pairs[usize::try_from(seed % 40).unwrap() * 17 % pairs.len()];
        assert_eq!(pairs.len(), 40, "see above");
        let tried = match draw.below(10) {
            0..=4 => Tried::Good,
            5 | 6 => Tried::Slow,
            7 => Tried::FailsFromCold,
            8 => Tried::Forgotten,
            _ => Tried::Sticks,
        };
        let changed = match draw.below(3) {
            0 => HOSTS.to_vec(),
            _ => vec![*draw.one_of(&HOSTS)],
        };
        let victim = match injection {
            Injection::CableForAWhile | Injection::CableForLong => {
                *draw.one_of(&[Victim::Tried, Victim::Tried, Victim::Other, Victim::Workstation])
            }
            Injection::PowerCut => *draw.one_of(&[Victim::Tried, Victim::Tried, Victim::Tried, Victim::Other]),
            _ => Victim::Tried,
        };
        let lasts_ms = match injection {
            // Longer than the links are waited for.
            Injection::CableForLong => 60_000 + draw.below(15_000),
            _ => 500 + draw.below(11_500),
        };
        let faulty = *draw.one_of(&changed);
        let recoverer =
            *draw.one_of(&[Recoverer::Same, Recoverer::Same, Recoverer::Other, Recoverer::Other, Recoverer::Both]);
        Self {
            seed,
            tried,
            changed,
            faulty,
            injection,
            victim,
            step,
            delay_ms: draw.below(step.span()),
            lasts_ms,
            recoverer,
            at_once: draw.below(3) > 0,
        }
    }
}
