//! What goes wrong, and how often at most.

use crate::world::To;

/// One thing that goes wrong by itself: what a change, a network, a machine or a person does to a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Fault {
    /// A connection is lost: with the command, or only with its reply.
    Loss,
    /// A copy of a command stays under way, and may arrive at any later time.
    Late,
    /// A reply, or a round of the matrix, comes long after what it tells of.
    Slow,
    /// A login is refused: nothing ran.
    Denial,
    /// A host loses its power, or restarts by itself.
    Restart,
    /// The guard's time is up although no coordinator waits for it.
    TimeUp,
    /// An activation or a roll back fails, or a boot loader cannot be installed.
    Step,
    /// A guard cannot be started.
    Arming,
    /// A link is down for one round.
    Flap,
    /// A round could not be carried out: the hosts were too slow for it.
    Blur,
    /// Each link of a large mesh misses a probe, the first one in a row.
    Miss,
    /// A host's cable is pulled.
    Cable,
    /// The record cannot be written any more.
    Disk,
    /// Ctrl-C.
    Signal,
    /// The one host that lies says that it is not this coordinator's, to any order.
    Lie,
    /// A person sets what the next reboot of a host brings once.
    NextBoot,
    /// One workstation cannot reach one host, for as long as it takes.
    Deaf,
    /// A person switches a host by hand that has booted since and is at rest.
    ByHand,
    /// A later run is begun, committed and cleaned away on a host that this one does not hold just then.
    LaterRun,
    /// A host is installed anew, under its old name, while no coordinator is at work.
    Anew,
}

const KINDS: usize = 20;

/// Who types `fleetdeploy recover`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum By {
    /// On the run's workstation, with its record.
    Record,
    /// On another one, from what the hosts hold.
    Hosts,
}

/// When they do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum When {
    /// After a death; from then on nothing goes wrong any more.
    InPeace,
    /// After a death.
    Dead,
    /// At any time: the push may only sleep.
    Asleep,
}

/// What may still go wrong, and how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Budget {
    kinds: [bool; KINDS],
    together: u8,
    /// Deaths of the workstation's process; beside the sum.
    pub(crate) deaths: u8,
    /// How often a person types `fleetdeploy recover`.
    pub(crate) recoveries: u8,
    /// `None`: either.
    pub(crate) by: Option<By>,
    pub(crate) when: When,
    /// What else than a recovery of all may be typed.
    pub(crate) typed: Typed,
    /// How often a push cleans up where a host is back; at any moment from the mark on, whoever drives.
    pub(crate) clean_ups: u8,
}

/// What is typed after `fleetdeploy recover`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Typed {
    Plain,
    /// Nothing, or `--without` any one host.
    Without,
    /// Nothing, or `--forget`, also with `--as-they-stand`.
    Forget,
    /// One after the other, by two people.
    InTurn([(By, To); 2]),
}

impl Budget {
    /// At most `together` faults in one run, each of one of `kinds`.
    pub(crate) fn of(kinds: &[Fault], together: u8, deaths: u8) -> Self {
        let mut budget = Self {
            kinds: [true; KINDS],
            together,
            deaths,
            recoveries: 0,
            by: None,
            when: When::Dead,
            typed: Typed::Plain,
            clean_ups: 0,
        };
        budget.keep_only(kinds);
        budget
    }

    /// And one recovery.
    pub(crate) fn recovered(self, by: Option<By>, when: When) -> Self {
        Self { recoveries: 1, by, when, ..self }
    }

    /// With these words allowed.
    pub(crate) fn typed(self, typed: Typed) -> Self {
        Self { typed, ..self }
    }

    /// And a push that cleans up where a host is back.
    pub(crate) fn cleaned_up(self) -> Self {
        Self { clean_ups: 1, ..self }
    }

    /// And two of them, at once or one after the other.
    pub(crate) fn recovered_twice(self, by: Option<By>, when: When) -> Self {
        Self { recoveries: 2, by, when, ..self }
    }

    /// What the next of two people types, where that is said beforehand.
    pub(crate) fn next_in_turn(&self) -> Option<(By, To)> {
        let Typed::InTurn(each) = self.typed else { return None };
        each.into_iter().rev().nth(usize::from(self.recoveries.checked_sub(1)?))
    }

    /// A recovery begins.
    pub(crate) fn recover(&mut self) {
        self.recoveries -= 1;
        if self.when == When::InPeace {
            self.together = 0;
            self.deaths = 0;
        }
        self.settle();
    }

    /// Nothing else can go wrong any more.
    pub(crate) fn keep_only(&mut self, kinds: &[Fault]) {
        let before = std::mem::replace(&mut self.kinds, [false; KINDS]);
        for kind in kinds {
            self.kinds[*kind as usize] = before[*kind as usize];
        }
        self.settle();
    }

    pub(crate) fn allows(&self, fault: Fault) -> bool {
        self.kinds[fault as usize]
    }

    pub(crate) fn spend(&mut self, fault: Fault) {
        assert!(self.allows(fault), "{fault:?} was not to happen");
        self.together -= 1;
        self.settle();
    }

    /// What cannot happen any more tells no two worlds apart.
    fn settle(&mut self) {
        if self.together == 0 {
            self.kinds = [false; KINDS];
        }
        if !self.kinds.contains(&true) {
            self.together = 0;
        }
        if self.recoveries == 0 {
            (self.by, self.when, self.typed) = (None, When::Dead, Typed::Plain);
        }
    }
}

/// What a network, a machine or a person does by itself: not the one that lies, nor next boots, nor ways that one alone
/// has lost, which are explored by name.
pub(crate) const ALL: [Fault; 12] = [
    Fault::Loss,
    Fault::Late,
    Fault::Slow,
    Fault::Denial,
    Fault::Restart,
    Fault::TimeUp,
    Fault::Step,
    Fault::Arming,
    Fault::Flap,
    Fault::Cable,
    Fault::Disk,
    Fault::Signal,
];

/// And a next boot.
pub(crate) const ALL_AND_NEXT_BOOT: [Fault; 13] = {
    let mut all = [Fault::NextBoot; 13];
    let mut at = 0;
    while at < ALL.len() {
        all[at] = ALL[at];
        at += 1;
    }
    all
};
