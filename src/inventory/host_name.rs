//! The name of a host, and the rule that every name in an inventory keeps.

use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The name of a host: letters, digits, `_`, `.` and `-`, not beginning with `-` or `.`, at most 63.
///
/// It stands on command lines (as an ssh alias) and in paths, so it can be built only from text that can never be an
/// option, a path step or a word of a shell. The copies of one share its text: each link of a mesh names two.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct HostName(Arc<str>);

/// A text that cannot be a [`HostName`] (or a fleet's name, which follows the same rule).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a name: use letters, digits, `_`, `.` and `-`, not beginning with `-` or `.`, at most 63 of them"
)]
pub struct BadName(pub String);

impl HostName {
    /// # Errors
    /// [`BadName`] if the text breaks the rule in the type's description.
    pub fn new(text: impl Into<String>) -> Result<Self, BadName> {
        let text = text.into();
        if is_name(&text) { Ok(Self(text.into())) } else { Err(BadName(text)) }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The rule (docs/design.md, "Names") for names of hosts, fleets, groups and tags.
#[must_use]
pub fn is_name(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && !text.starts_with(['-', '.'])
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

impl fmt::Display for HostName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

impl TryFrom<String> for HostName {
    type Error = BadName;
    fn try_from(text: String) -> Result<Self, BadName> {
        Self::new(text)
    }
}

impl From<HostName> for String {
    fn from(name: HostName) -> Self {
        name.0.as_ref().to_owned()
    }
}
