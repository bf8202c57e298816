//! Says why a fleet, or one host of it, has no system.

use std::collections::BTreeMap;
use std::fmt;

use crate::event::reason::build::BuildFault;
use crate::facts::store_path::BadStorePath;
use crate::inventory::model::HostName;
use crate::local::causes::below;
use crate::local::process::ProcessError;

#[derive(Debug, thiserror::Error)]
pub enum EvalError {
    /// It would be taken for an option, or for a reference and an attribute.
    Flake(String),
    /// It is about no one host: no such flake, a syntax error, a download that failed.
    Source {
        source_name: String,
        message: String,
    },
    Hosts {
        failed: BTreeMap<HostName, HostProblem>,
        /// These evaluate.
        fine: Vec<HostName>,
        /// The time was over before it was their turn.
        not_asked: Vec<HostName>,
    },
    Process(#[from] ProcessError),
    /// It was changed each time while it was evaluated.
    Changing {
        source_name: String,
    },
    Answer {
        source_name: String,
        answer: String,
    },
}

/// Why one host has no system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostProblem {
    Missing {
        source_name: String,
        attribute: String,
        parent: String,
        has: Vec<String>,
    },
    NotADerivation {
        source_name: String,
        attribute: String,
        kind: String,
    },
    /// Throws, or is wrong; the text is the end of nix's message.
    Fails(String),
    /// Its evaluation was under way when the time was over; the text is that of the process.
    NotEnded(String),
    /// A content-addressed derivation has no path before it is built.
    NoPath(BadStorePath),
}

impl EvalError {
    /// Returns the reason, if it is not one of each host.
    #[must_use]
    pub fn fault(&self) -> Option<BuildFault> {
        self.reason(below(self))
    }

    /// Returns the reason, with these words of the cause.
    fn reason(&self, said: String) -> Option<BuildFault> {
        Some(match self {
            Self::Flake(flake) => BuildFault::FlakeMistaken { flake: flake.clone() },
            Self::Source { source_name, message } => {
                BuildFault::EvaluationFailed { source: source_name.clone(), said: message.clone() }
            }
            Self::Hosts { .. } => return None,
            Self::Process(ProcessError::Start { .. }) => BuildFault::WorkstationNixMissing { said },
            Self::Process(_) => BuildFault::EvaluationNotEnded { said },
            Self::Changing { source_name } => BuildFault::FlakeChanging { source: source_name.clone() },
            Self::Answer { source_name, answer } => {
                BuildFault::EvaluationSenseless { source: source_name.clone(), said: answer.clone() }
            }
        })
    }
}

/// Its words are those of the reason; its cause is below it.
impl fmt::Display for EvalError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, self.reason(String::new())) {
            (Self::Hosts { failed, .. }, _) => {
                let hosts: Vec<&str> = failed.keys().map(HostName::as_str).collect();
                write!(formatter, "no system of {}", hosts.join(", "))
            }
            (_, reason) => reason.map_or(Ok(()), |reason| reason.fmt(formatter)),
        }
    }
}

impl From<&HostProblem> for BuildFault {
    fn from(problem: &HostProblem) -> Self {
        match problem.clone() {
            HostProblem::Missing { source_name, attribute, parent, has } => {
                Self::AttributeMissing { source: source_name, attribute, parent, has }
            }
            HostProblem::NotADerivation { source_name, attribute, kind } => {
                Self::AttributeNoDerivation { source: source_name, attribute, kind }
            }
            HostProblem::NotEnded(said) => Self::EvaluationNotEnded { said },
            HostProblem::Fails(said) => Self::SystemNotEvaluated { said },
            HostProblem::NoPath(wrong) => Self::SystemPathUnknown { said: wrong.to_string() },
        }
    }
}

/// Its words are those of the reason.
impl fmt::Display for HostProblem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        BuildFault::from(self).fmt(formatter)
    }
}
