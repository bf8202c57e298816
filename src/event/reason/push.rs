//! What is to be said of a push as a whole.

use schemars::JsonSchema;
use serde::Serialize;
use strum::{IntoStaticStr, VariantNames};

use crate::event::reason::any::AnyReason;

/// What has happened to a push beside its phases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum PushNote {
    /// There is nothing to do.
    EveryHostCurrent,
    /// A run that will not begin could not be cleaned away there.
    RootsLeft { cause: AnyReason },
    /// What the run will do cannot be written down, and so it does not begin.
    RecordNotWritten {
        /// The operating system's words.
        said: String,
    },
    /// The host says something that stops nothing.
    HostNoted { said: String },
    /// What the new system changes could not be found out.
    DifferencesNotKnown { cause: AnyReason },
}
