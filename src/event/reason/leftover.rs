//! What unfinished runs have left on a host.

use schemars::JsonSchema;
use serde::Serialize;
use strum::{IntoStaticStr, VariantNames};

use crate::facts::traces::EndSide;
use crate::inventory::model::HostName;

/// The traces of a run on a host that is not held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Left {
    /// Its guard has brought the host back, most likely.
    UnfinishedAtRest {
        fleet: String,
        #[serde(rename = "of_run")]
        run: String,
    },
    /// This refuses the push, because it would not know what to bring the host back to.
    UnfinishedBetween {
        fleet: String,
        #[serde(rename = "of_run")]
        run: String,
    },
    /// A later run has committed here.
    UnfinishedOver {
        fleet: String,
        #[serde(rename = "of_run")]
        run: String,
    },
    /// The others were ended without it, and it stands where they do.
    BackOnTheirSide {
        fleet: String,
        #[serde(rename = "of_run")]
        run: String,
        /// Where it stands, and they.
        side: EndSide,
    },
    /// The others were ended without it, and it stands on the other side.
    BackOnOtherSide {
        fleet: String,
        host: HostName,
        #[serde(rename = "of_run")]
        run: String,
        /// Where the others stand.
        ended: EndSide,
    },
    /// The others were ended without it, and it is on neither of the run's systems.
    BackElsewhere {
        fleet: String,
        #[serde(rename = "of_run")]
        run: String,
        /// Where the others stand.
        ended: EndSide,
    },
    /// It has the name of a host that was missing, and is another machine.
    MachineReplaced {
        fleet: String,
        #[serde(rename = "of_run")]
        run: String,
    },
    /// A trial has left something here, and nothing of it goes on.
    TrialAtRest {
        fleet: String,
        #[serde(rename = "of_run")]
        run: String,
    },
    /// The run was ended twice, by two recoveries that did not see each other's hosts.
    RunEndedTwice {
        fleet: String,
        #[serde(rename = "of_run")]
        run: String,
        /// The hosts that say that it was ended on the old systems.
        old: Vec<HostName>,
        /// The hosts that say that it was ended on the new systems.
        new: Vec<HostName>,
    },
}
