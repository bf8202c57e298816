//! Why a run ended as it did, for the whole fleet.

use schemars::JsonSchema;
use serde::Serialize;
use strum::{IntoStaticStr, VariantNames};

use crate::event::reason::disowned::Disowned;
use crate::event::reason::obstacle::HeldUp;
use crate::event::reason::rollback::RollbackReason;
use crate::inventory::model::HostName;

/// How a run ended that was not turned back, or had nothing to turn back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum FleetEnd {
    /// Another coordinator goes on with the run, or has ended it.
    LeftToAnother { cause: Supersession },
    /// Nothing of the run was left to be ended.
    NothingLeft,
    /// Every host that answers is on its new system, and not every host does.
    NotAllAnswer,
    /// Some are committed, and not every guard could be disarmed.
    NotAllDisarmed,
    /// Every host was back on its old system already.
    AllBackBefore,
    /// Nothing had been touched.
    NothingTouched,
    /// Every host runs what it was to run.
    AllAsMeant { links: LinksAtEnd },
}

/// How it is known that another coordinator has the run.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Supersession {
    /// A host shows the lease of another one.
    OtherOwnerShown {
        /// The host's own words.
        said: String,
    },
    /// Hosts say that they are not this run's any more.
    HostsDisown { cause: Disowned },
    /// No host holds anything of the run any more.
    NoHostHoldsRun,
}

/// The links at the end of a run, as they were seen in its last round, and no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum LinksAtEnd {
    /// There is no link that could be looked at.
    NoLinkToSee,
    /// The links were not looked at again.
    LinksNotSeen,
    /// The links were seen.
    LinksSeen {
        /// How many links are required.
        required: usize,
        /// How many of these are up.
        up: usize,
        /// Required links that are down and were accepted as down.
        accepted_as_down: Vec<String>,
        /// Other required links that are down.
        down: Vec<String>,
        /// Links that are down and not required.
        down_not_required: Vec<String>,
        /// Required links of which the last look could say nothing.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        not_measured: Vec<String>,
    },
}

/// Why a run ended as it did, and the hosts that this does not mean.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Concluded {
    #[serde(flatten)]
    pub why: WhyEnded,
    /// After a roll back: every link that was up before the run was seen up again, and new logins were taken.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub network_as_before: bool,
    /// The hosts that the run was ended without.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ended_without: Vec<HostName>,
    /// The hosts that a later act has brought onto something else.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub moved_on: Vec<HostName>,
    /// The hosts on which it could not be written down that the run ended so.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_marked: Vec<HostName>,
    /// The hosts that hold nothing of the run, and of which it is not known what they were to run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_known: Vec<HostName>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum WhyEnded {
    TurnedBack(RollbackReason),
    HeldUp(HeldUp),
    End(FleetEnd),
}

/// Its code is that of the reason inside.
impl From<&Concluded> for &'static str {
    fn from(concluded: &Concluded) -> Self {
        match &concluded.why {
            WhyEnded::TurnedBack(reason) => reason.into(),
            WhyEnded::HeldUp(reason) => reason.into(),
            WhyEnded::End(reason) => reason.into(),
        }
    }
}
