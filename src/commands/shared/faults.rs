//! Turns errors of the inventory, of the import and of nix, which know nothing of events, into reasons with codes.

use crate::engine::causes::chain;
use crate::event::reason::inventory_fault::{ImportFault, ImportRefusal, InventoryFault, InventoryRefusal};
use crate::import::{ImportError, ImportNote};
use crate::inventory::find::FindError;
use crate::inventory::problem::Problem;
use crate::inventory::{LoadError, SelectError};
use crate::nix::foreign::ForeignError;

impl From<&FindError> for InventoryRefusal {
    fn from(error: &FindError) -> Self {
        let fault = match error {
            FindError::Nowhere { other, .. } => {
                InventoryFault::InventoryNotFound { near: other.as_ref().map(|path| path.display().to_string()) }
            }
            FindError::Foreign { path, owner } => {
                InventoryFault::InventoryNotOurs { path: path.display().to_string(), owner: *owner }
            }
            FindError::Missing { path, by } => InventoryFault::InventoryMissing {
                path: path.display().to_string(),
                by: by.trim_matches('`').to_owned(),
            },
        };
        Self { fault, words: error.to_string(), mend: Some(error.hint()) }
    }
}

impl From<&LoadError> for InventoryRefusal {
    fn from(error: &LoadError) -> Self {
        let fault = match error {
            LoadError::Unreadable { path, source } => {
                InventoryFault::InventoryUnreadable { path: path.display().to_string(), said: source.to_string() }
            }
            LoadError::Mistakes(mistakes) => InventoryFault::InventoryMistaken {
                path: mistakes.file.display().to_string(),
                mistakes: mistakes.problems.len(),
            },
        };
        Self { fault, words: chain(error), mend: None }
    }
}

/// A warning: its words have several lines, and say what to do.
impl From<&Problem> for InventoryRefusal {
    fn from(doubt: &Problem) -> Self {
        let fault = InventoryFault::InventoryDoubt {
            doubt: doubt.wrong.code().to_owned(),
            path: doubt.file.display().to_string(),
            line: doubt.at.map(|at| at.line),
            column: doubt.at.map(|at| at.column),
        };
        Self { fault, words: doubt.to_string(), mend: None }
    }
}

impl From<&SelectError> for InventoryRefusal {
    fn from(error: &SelectError) -> Self {
        let fault = match error.clone() {
            SelectError::BadPattern { pattern, .. } => InventoryFault::PatternMistaken { pattern },
            SelectError::NothingMatches { pattern, near, hosts } => {
                InventoryFault::NoHostMatches { pattern, near, known: hosts }
            }
            SelectError::NoRunMeant => InventoryFault::FailedOfNoRun,
            SelectError::FailedAreGone { failed } => InventoryFault::FailedHostsGone { failed },
            SelectError::NothingLeft => InventoryFault::AllHostsExcepted,
            SelectError::BehindWithout { behind, .. } => {
                InventoryFault::WayOverLeftOut { behind: behind.into_iter().map(|(host, _)| host).collect() }
            }
            SelectError::NobodyLeft => InventoryFault::AllHostsLeftOut,
            SelectError::ChosenAreWithout => InventoryFault::ChosenHostsLeftOut,
            SelectError::FleetNotNamed { fleets } => InventoryFault::FleetNotNamed { known: fleets },
            SelectError::NoSuchFleet { name, near, fleets } => {
                InventoryFault::FleetUnknown { fleet: name, near, known: fleets }
            }
        };
        Self { fault, words: error.to_string(), mend: error.hint() }
    }
}

impl From<&ImportNote> for ImportRefusal {
    fn from(note: &ImportNote) -> Self {
        Self { fault: ImportFault::NotCarriedOver { places: note.places.clone() }, words: note.whole() }
    }
}

impl From<&ImportError> for ImportRefusal {
    fn from(error: &ImportError) -> Self {
        let fault = match error {
            ImportError::Unreadable { path, source } => {
                ImportFault::SourceUnreadable { path: path.display().to_string(), said: source.to_string() }
            }
            ImportError::NotUnderstood { origin, .. } => ImportFault::SourceNotUnderstood { source: origin.clone() },
            ImportError::NoHosts { origin, .. } => ImportFault::SourceHasNoHosts { source: origin.clone() },
            ImportError::NotRight { origin, .. } => ImportFault::ImportMistaken { source: origin.clone() },
            ImportError::Answer { origin, .. } => ImportFault::ImportAnswerSenseless { source: origin.clone() },
        };
        Self { fault, words: chain(error) }
    }
}

impl From<&ForeignError> for ImportRefusal {
    fn from(error: &ForeignError) -> Self {
        let fault = match error {
            ForeignError::NoOutput { source_name, output } => {
                ImportFault::OutputMissing { source: source_name.clone(), output: output.clone() }
            }
            ForeignError::Strange { source_name, output } => {
                ImportFault::OutputStrange { source: source_name.clone(), output: output.clone() }
            }
            ForeignError::Eval(error) => ImportFault::SourceNotEvaluated { said: chain(error) },
        };
        Self { fault, words: chain(error) }
    }
}
