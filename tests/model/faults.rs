//! What goes wrong, and how often at most.

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
    /// The guard's time is up although nobody waits for it.
    TimeUp,
    /// An activation or a roll back fails, or a boot loader cannot be installed.
    Step,
    /// A guard cannot be started.
    Arming,
    /// A link is down for one round.
    Flap,
    /// A host's cable is pulled.
    Cable,
    /// The record cannot be written any more.
    Disk,
    /// Ctrl-C.
    Signal,
}

const KINDS: usize = 12;

/// How often each thing may still go wrong, and all of them together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Budget {
    each: [u8; KINDS],
    together: u8,
    /// Deaths of the workstation's process; beside the sum.
    pub(crate) deaths: u8,
    /// How often somebody types `fleetdeploy recover`.
    pub(crate) recoveries: u8,
    /// Whether they do it while the push only sleeps.
    pub(crate) asleep: bool,
    /// Whether nothing goes wrong any more from then on.
    pub(crate) then_peace: bool,
}

impl Budget {
    /// Each of `kinds` at most once, and at most `together` of them in one run.
    pub(crate) fn of(kinds: &[Fault], together: u8, deaths: u8) -> Self {
        let mut each = [0; KINDS];
        for kind in kinds {
            each[*kind as usize] += 1;
        }
        Self { each, together, deaths, recoveries: 0, asleep: false, then_peace: false }
    }

    pub(crate) fn recovered(self, recoveries: u8, asleep: bool, then_peace: bool) -> Self {
        Self { recoveries, asleep, then_peace, ..self }
    }

    /// Nothing goes wrong any more.
    pub(crate) fn make_peace(&mut self) {
        *self = Self { recoveries: self.recoveries, ..Self::of(&[], 0, 0) };
    }

    pub(crate) fn allows(&self, fault: Fault) -> bool {
        self.together > 0 && self.each[fault as usize] > 0
    }

    pub(crate) fn spend(&mut self, fault: Fault) {
        self.together -= 1;
        self.each[fault as usize] -= 1;
        if self.together == 0 {
            // What cannot happen any more tells no two states apart.
            self.each = [0; KINDS];
        }
    }
}

pub(crate) const ALL: [Fault; KINDS] = [
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
