//! Why there is no inventory, no fleet or no host of the name, or no inventory out of what another tool has.
//!
//! The words are those of the inventory and of the import, which have dictionaries of their own: they come along.

use schemars::JsonSchema;
use serde::Serialize;
use strum::{IntoStaticStr, VariantNames};

use crate::inventory::model::HostName;

/// A reason of the inventory, with the words of its room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct InventoryRefusal {
    #[serde(flatten)]
    pub fault: InventoryFault,
    #[serde(skip)]
    pub words: String,
    #[serde(skip)]
    pub mend: Option<String>,
}

/// Its code is that of the fault.
impl From<&InventoryRefusal> for &'static str {
    fn from(refusal: &InventoryRefusal) -> Self {
        (&refusal.fault).into()
    }
}

/// What is wrong with an inventory, or with the names that a command was given of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum InventoryFault {
    /// None is found from the working folder upwards.
    InventoryNotFound {
        /// A file whose name is nearly right.
        #[serde(skip_serializing_if = "Option::is_none")]
        near: Option<String>,
    },
    /// The one above the working folder belongs to another user.
    InventoryNotOurs { path: String, owner: u32 },
    /// The one that was named is not there.
    InventoryMissing {
        path: String,
        /// `--inventory`, or the variable of the environment.
        by: String,
    },
    /// It cannot be read.
    InventoryUnreadable {
        path: String,
        /// The operating system's words.
        said: String,
    },
    /// There are mistakes in it: each is in the event `answer`, with a code of its own.
    InventoryMistaken { path: String, mistakes: usize },
    /// Something in it is right, and worth a look.
    InventoryDoubt {
        /// Its code among those of an inventory.
        doubt: String,
        path: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        line: Option<usize>,
        #[serde(skip_serializing_if = "Option::is_none")]
        column: Option<usize>,
    },
    /// A pattern of hosts is none.
    PatternMistaken { pattern: String },
    /// No host matches a pattern.
    NoHostMatches {
        pattern: String,
        /// What was probably meant.
        #[serde(skip_serializing_if = "Option::is_none")]
        near: Option<String>,
        known: Vec<HostName>,
    },
    /// `@failed` stands where no run of a fleet is meant.
    FailedOfNoRun,
    /// The hosts that failed in the last run are not in the fleet any more.
    FailedHostsGone { failed: Vec<HostName> },
    /// Every host that was chosen is excepted, too.
    AllHostsExcepted,
    /// The way to a host leads over one that is left out.
    WayOverLeftOut {
        /// The hosts that cannot be reached.
        behind: Vec<HostName>,
    },
    /// Every host of the fleet is left out.
    AllHostsLeftOut,
    /// Every host that was chosen is left out.
    ChosenHostsLeftOut,
    /// No fleet was named, and there are several.
    FleetNotNamed { known: Vec<String> },
    /// There is no such fleet.
    FleetUnknown {
        fleet: String,
        /// What was probably meant.
        #[serde(skip_serializing_if = "Option::is_none")]
        near: Option<String>,
        known: Vec<String>,
    },
}

/// A reason of the import, with the words of its room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ImportRefusal {
    #[serde(flatten)]
    pub fault: ImportFault,
    #[serde(skip)]
    pub words: String,
}

/// Its code is that of the fault.
impl From<&ImportRefusal> for &'static str {
    fn from(refusal: &ImportRefusal) -> Self {
        (&refusal.fault).into()
    }
}

/// Why what another tool has becomes no inventory, or not all of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum ImportFault {
    /// Something is not in the inventory as it was in the source.
    NotCarriedOver {
        /// `hosts.ini:12:5` in a file, `deploy.nodes.web.sshOpts` in a flake.
        places: Vec<String>,
    },
    /// The source cannot be read.
    SourceUnreadable {
        path: String,
        /// The operating system's words.
        said: String,
    },
    /// The source cannot be understood.
    SourceNotUnderstood { source: String },
    /// No host is left of the source.
    SourceHasNoHosts { source: String },
    /// What became of the source is not right, which is a mistake of ours.
    ImportMistaken { source: String },
    /// Nix's answer about the source has another shape than was asked for.
    ImportAnswerSenseless { source: String },
    /// The flake has no such output.
    OutputMissing { source: String, output: String },
    /// The output of the flake is something else.
    OutputStrange { source: String, output: String },
    /// The source does not evaluate.
    SourceNotEvaluated {
        /// Nix's words.
        said: String,
    },
}
