//! Why the end of a host is not the one that was meant: it is not known, not where it should be, or not waited for.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use strum::{IntoStaticStr, VariantNames};

use crate::event::reason::cause::Cause;
use crate::event::reason::disowned::Disowned;
use crate::event::reason::inspection::FoundAs;
use crate::facts::systems::Systems;
use crate::facts::traces::EndSide;
use crate::inventory::model::HostName;

/// What became of a host that a run has lost or left, beside the causes of a step that failed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Fate {
    /// The host says that it is not this run's any more.
    NotOurs { cause: Disowned },
    /// Its guard was disarmed, and it is not on its new system.
    DisarmedElsewhere { systems: Systems },
    /// A disarm was on its way to it, and it does not answer any more.
    DisarmInDoubt { cause: Cause },
    /// Its guard brought it back, and others are committed.
    BroughtBackBeforeDisarm,
    /// It was where it should be, and is not any more.
    MovedMeanwhile { systems: Systems },
    /// Another coordinator has taken the run over.
    LeftToOther,
    /// A recovery was held up, and has left it so.
    LeftAsItWas { found: FoundAs },
    /// The traces of the run were removed where the hosts stood.
    ForgottenAsItStood { found: FoundAs },
    /// It was missing when the run was ended, and another one that was missing is on the other side.
    MissingOnesApart { found: FoundAs },
    /// It is on its new system, and the others were ended on old.
    ApartOnNew {
        /// The host, for the command to type.
        #[serde(skip)]
        host: HostName,
        /// The fleet, for the command to type.
        fleet: String,
    },
    /// It is on its old system, and the others were ended on new.
    ApartOnOld {
        /// The host, for the command to type.
        #[serde(skip)]
        host: HostName,
        /// The fleet, for the command to type.
        fleet: String,
    },
    /// No guard of the run is armed there, and it may not be armed anew.
    GuardGone { systems: Systems },
    /// Its guard has fired and did not come to its end in its time.
    GuardStillAtWork { systems: Systems },
    /// It has gone back, and its guard has neither fired nor could it be disarmed.
    NotDisarmed { cause: Cause },
    /// Its guard should have brought it back, and it does not answer.
    SilentAfterGuard { cause: Cause },
    /// A recovery has left it as it was found.
    LeftAsFound { found: FoundAs },
    /// It was not asked, and the run is not ended without it.
    NotEndedWithout,
    /// A recovery has left it as it was, because somebody else may be recovering the run.
    LeftInContest,
    /// That the run is ended without missing hosts could not be written down there.
    MarkNotLeft {
        /// The hosts that the run is ended without.
        missing: Vec<HostName>,
        /// The fleet, for the command to type.
        fleet: String,
        cause: Cause,
    },
    /// It is under its guard, and is not waited for.
    LeftToItsGuard {
        /// It was on its old systems already: its guard only restarts it.
        seen_on_old: bool,
        /// The command that disarms it is out.
        may_be_disarmed: bool,
        /// The time until it should be back at the latest; zero: it should be back by now. The outcome has it, too.
        #[serde(skip)]
        back_within: Duration,
    },
}

impl Fate {
    /// Makes the fate of a host that is not on the side on which the others were ended.
    #[must_use]
    pub fn apart(host: &HostName, others: EndSide, fleet: &str) -> Self {
        let (host, fleet) = (host.clone(), fleet.to_owned());
        match others {
            EndSide::Old => Self::ApartOnNew { host, fleet },
            EndSide::New => Self::ApartOnOld { host, fleet },
        }
    }
}
