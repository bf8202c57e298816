//! What a host is doing, for the few words of its row.

/// What is being done with a host, or by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    TakenOver,
    AskedForHolder,
    Arming,
    Extending,
    Activating,
    MadePermanent,
    Reactivating,
    GoingBack,
    LoggingIn,
    WaitingForGuard,
    Disarming,
    Releasing,
    NotingReturn,
    CleaningUp,
    LookingAtUnits,
    Probing { links: usize },
    LookingWhetherFits,
    AskedForUnits,
    Built,
    WaitingForBuild,
    AskingCaches,
    InstallingLoader,
    WaitingForStep,
    PuttingProfileBack,
    PuttingBootDefaultBack,
    ActivatingOld,
}
