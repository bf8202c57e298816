//! What a run waits for, and what comes if that was in vain.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the whole run waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WaitedFor {
    /// Every required link, and a new login to every host.
    Links,
    /// Hosts out of reach in the middle of a step that all others are through with.
    SilentHosts,
    /// Units that the push has started: each must have been up for long enough.
    SteadyUnits,
    /// WireGuard's next handshakes.
    Handshakes,
    /// The links as they were before the push, and a new login to every host that went back.
    OldLinks,
    /// Guards that bring back hosts that do not answer.
    Guards,
    /// Another recovery of the same run, which may be on its way.
    OtherRecovery,
}

/// What comes after a wait that was in vain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AfterWait {
    /// Every host goes back to its old system.
    AllGoBack,
    /// The guard of the host brings it back.
    ItsGuard,
    /// Hosts at a link that is still down are left to their guards.
    LeftToGuards,
    /// The roll back ends, and says what is not as it was.
    EndsAsItIs,
    /// Hosts that did not answer are asked once more.
    AskedAgain,
    /// The run goes on without the hosts that do not answer.
    GoesOnWithout,
    /// The rolling reboot ends: no further host is rebooted.
    NoFurtherReboot,
}

/// Why a host stands by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HeldBack {
    /// One host comes alone, before all others, so that of two runs exactly one goes on.
    FirstAlone,
    /// The way to the others leads through it, and its own step may cut that way.
    WayOfOthers,
    /// It is on its old system, and keeps its guard until the others are back.
    OthersAway,
}
