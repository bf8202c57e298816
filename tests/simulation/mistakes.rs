//! Seeded mistakes: each must be found by the checks.

/// Of a host, unless it says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mistake {
    /// A guard that fires reboots without having put the boot default back.
    GuardLeavesTheBootDefault,
    /// A guard that fires does not stop the run's own step.
    GuardLeavesTheStep,
    /// The fence looks at no guard.
    FenceWithoutGuard,
    /// Disarming says done and leaves the token.
    DisarmStopsOnlyTheUnit,
    /// An arm command is taken also where the run has been ended and cleaned away.
    ArmForgetsThatItIsOver,
    /// A host that is taken over keeps no epoch, and its fence asks for none.
    RecoverWithoutEpoch,
    /// A recovery is told that a host without a guard was armed, and the fence lets it roll that host back.
    RecoverWithoutArming,
    /// Of the network: a lost reply is told as a refusal.
    LostReplyIsRefusal,
    /// Of the workstation: its clock stands still in a suspend.
    ClockStandsStill,
    /// Of the matrix: a link that nobody answered for is taken for one that is up.
    SilenceIsUp,
    /// Of the matrix: as long as a wave is still to come, every link is taken for one that is up.
    NothingIsBrokenBetweenWaves,
}
