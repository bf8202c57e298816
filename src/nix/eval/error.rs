//! Says why a fleet, or one host of it, has no system.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::facts::attr_path::BadAttrPath;
use crate::facts::store_path::BadStorePath;
use crate::inventory::model::HostName;
use crate::local::process::ProcessError;

/// Names of existing attributes that an error lists.
const LISTED_NAMES: usize = 12;

#[derive(Debug, thiserror::Error)]
pub enum EvalError {
    #[error(transparent)]
    Attr(#[from] BadAttrPath),
    /// It would be taken for an option, or for a reference and an attribute.
    #[error(
        "`{}` cannot be a flake reference: it is empty, begins with `-`, or has `#` or a control character in it",
        .0.escape_debug()
    )]
    Flake(String),
    /// It is about no one host: no such flake, a syntax error, a download that failed.
    #[error("cannot evaluate {source_name}: {message}")]
    Source { source_name: String, message: String },
    #[error("no system of {}", list(failed.keys()))]
    Hosts {
        failed: BTreeMap<HostName, HostProblem>,
        /// These evaluate.
        fine: Vec<HostName>,
        /// The time was over before it was their turn.
        not_asked: Vec<HostName>,
    },
    #[error("cannot evaluate the fleet")]
    Process(#[from] ProcessError),
    #[error("nix's answer about {source_name} makes no sense: {answer}")]
    Answer { source_name: String, answer: String },
}

/// Why one host has no system.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostProblem {
    #[error("{source_name} has no `{attribute}`; {}", has_instead(parent, has))]
    Missing { source_name: String, attribute: String, parent: String, has: Vec<String> },
    #[error("`{attribute}` of {source_name} is no derivation but a {kind}")]
    NotADerivation { source_name: String, attribute: String, kind: String },
    /// Throws, or is wrong; the text is the end of nix's message.
    #[error("{0}")]
    Fails(String),
    /// A content-addressed derivation has no path before it is built.
    #[error("its path is not known before it is built (a content-addressed derivation?): {0}")]
    NoPath(BadStorePath),
    #[error("the inventory names no `system` for it")]
    NotNamed,
    #[error("its `system` {} is no store path: {reason}", path.display())]
    NotInTheStore { path: PathBuf, reason: String },
}

fn has_instead(parent: &str, has: &[String]) -> String {
    let place = if parent.is_empty() { "it".to_owned() } else { format!("`{parent}`") };
    match has {
        [] => format!("{place} has nothing"),
        few if few.len() <= LISTED_NAMES => format!("{place} has: {}", few.join(", ")),
        many => format!("{place} has: {} and {} more", many[..LISTED_NAMES].join(", "), many.len() - LISTED_NAMES),
    }
}

fn list<'names>(names: impl Iterator<Item = &'names HostName>) -> String {
    names.map(HostName::as_str).collect::<Vec<_>>().join(", ")
}
