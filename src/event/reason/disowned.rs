//! The words of a host that take it away from a coordinator. It is believed about itself only.

use std::hash::{Hash, Hasher};

use schemars::JsonSchema;
use serde::Serialize;
use strum::{IntoStaticStr, VariantNames};

/// What a host says that is not this run's any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Disowned {
    /// A coordinator with a higher epoch holds it.
    SupersededByAnother {
        /// The host's own words.
        said: String,
    },
    /// Nothing of the run is left there.
    EndedElsewhere {
        /// The host's own words.
        said: String,
    },
    /// No run holds it any more, or another one does.
    HeldNoMore {
        /// The host's own words.
        said: String,
    },
}

/// The kind and the words are told, and steer nothing.
impl Hash for Disowned {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}
