//! What to know of a run that goes on all the same.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use strum::{IntoStaticStr, VariantNames};

use crate::event::reason::cause::Cause;
use crate::event::reason::disowned::Disowned;
use crate::event::reason::millis;
use crate::facts::signal::Signal;
use crate::inventory::model::HostName;

/// A warning of the transaction or of its driver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Notice {
    /// A signal came when the decision to commit was made, and it is in doubt whether the guards are disarmed.
    SignalInDoubt { signal: Signal },
    /// A signal came when the decision to commit was made: the run ends first.
    SignalTooLate { signal: Signal },
    /// A signal came while the hosts go back already: that goes on, and one more leaves.
    SignalWhileGoingBack { signal: Signal },
    /// Every host is out of reach at once, as if this workstation's own link were down.
    AllOutOfReach,
    /// The traces of the run could not be removed from the host.
    TracesKept { cause: Cause },
    /// A host says that another recovery has the run, and the others are asked before it is believed.
    TakeOverContested { cause: Disowned },
    /// A host says that it is not this run's any more.
    HostLost { cause: Disowned },
    /// The guard is armed without the unit that acts on it, and is disarmed.
    DeadGuardDisarmed,
    /// The guard is armed without the unit that acts on it, and is started again.
    DeadGuardStarted,
    /// The traces of a run are removed, because a person has asked to forget it.
    TracesRemoved {
        /// The hosts on which they are removed.
        removed_on: Vec<HostName>,
    },
    /// Some units are failed or restarting after an activation, and verify judges them; or a job of the activation has
    /// failed.
    UnitsUnsettled {
        /// What the activation said of its own jobs.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        said: Vec<String>,
    },
    /// The host could not be switched back from here.
    RollbackLeftToGuard { cause: Cause },
    /// The old systems run again, and not everything that was up before is up.
    NotAllUpAgain,
    /// The old systems run again, and links could not be looked at: the hosts could not keep up with their own probes.
    NotAllMeasured,
    /// The host runs its old system again, and its links could not be looked at: nobody knows that they are back.
    LinksStayUnmeasured,
    /// The host runs its old system again, and its links stay down.
    LinksStayDown,
    /// Under its old system the host takes no new login, or this workstation can make none.
    LoginRefusedAfterRollback { cause: Cause },
    /// The host runs its old system again, and no new login was seen there, as one was before.
    LoginStaysDown,
    /// A recovery without the run's record waits until the guards of silent hosts must have brought them back.
    WaitingForGuards,
    /// The links carry packets over a WireGuard session from before the change.
    WaitingForHandshake,
    /// A host that is not changed has restarted.
    WitnessRestarted,
    /// A host that is not changed has switched to another system.
    WitnessSwitched { onto: String },
    /// Something could not be written down in the run's record.
    RecordFailed { said: String },
    /// Somebody has deleted the run's record while the run went on, and it was made anew.
    RecordMadeAnew {
        /// The journal.
        path: String,
    },
    /// The default `steady` gives way, because the guards leave less time than it takes.
    SteadyShortened {
        /// How long what the push starts must be up.
        #[serde(rename = "to_ms", with = "millis")]
        #[schemars(with = "u64")]
        to: Duration,
        /// How long that is by default.
        #[serde(rename = "default_ms", with = "millis")]
        #[schemars(with = "u64")]
        default: Duration,
    },
}
