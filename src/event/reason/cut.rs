//! What is left out of what foreign programs print.

use schemars::JsonSchema;
use serde::Serialize;
use strum::{IntoStaticStr, VariantNames};

/// The part that was left out of what is told of foreign output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Cut {
    /// A part of the log of one job.
    JobOutputCut {
        /// `test`, `switch`.
        kind: &'static str,
        /// What is told of it.
        most_bytes: usize,
    },
    /// A part of all that a host prints in a run.
    HostOutputCut {
        /// What is told of it.
        most_bytes: usize,
    },
    /// A part of all that builds and hooks print.
    BuildOutputCut {
        /// What is told of it.
        most_bytes: usize,
    },
}
