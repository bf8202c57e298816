//! What is to be said of links and logins before anything has changed.

use schemars::JsonSchema;
use serde::Serialize;
use strum::{IntoStaticStr, VariantNames};

use crate::event::reason::absent::AbsentHub;
use crate::event::reason::cause::Cause;
use crate::inventory::model::Place;

/// A required link is down already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum BaselineLink {
    /// Nothing changes: it is shown as it is.
    LinkDown {
        link: LinkName,
        /// What may be the cause, as far as that is known.
        cause: Option<AbsentHub>,
    },
    /// Nothing changes, and the link could not be looked at.
    LinkNotProbed {
        link: LinkName,
        /// What may be the cause, as far as that is known.
        cause: Option<AbsentHub>,
    },
    /// A person accepts it as it is.
    LinkDownAccepted {
        link: LinkName,
        /// Whether its probe could be made: else the link is not known to be down.
        probed: bool,
        /// What may be the cause, as far as that is known.
        cause: Option<AbsentHub>,
    },
    /// This push may mend it; otherwise it goes back.
    LinkDownMendable {
        link: LinkName,
        /// Whether its probe could be made: else the link is not known to be down.
        probed: bool,
    },
    /// No host that this push changes can mend it.
    LinkDownHopeless {
        link: LinkName,
        /// Whether its probe could be made: else the link is not known to be down.
        probed: bool,
    },
    /// It would be looked at by a program that the inventory names, and such a one was not run.
    LinkNotTried { link: LinkName },
    /// A host that takes no part may be the cause of it, and whether it could mend it is not known.
    LinkDownAbsentHub {
        link: LinkName,
        /// Whether its probe could be made: else the link is not known to be down.
        probed: bool,
        cause: AbsentHub,
    },
    /// Of many links the same is to be said as of those that were named.
    MoreLinks {
        /// What was said of the ones that were named: a code of this list.
        as_in: String,
        more: usize,
    },
}

/// What a new login has shown, before anything has changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum BaselineLogin {
    /// The host has answered the survey, and takes no second login: verify would end so.
    NewLoginMissing { cause: Cause },
    /// The host is logged into only as this push is to leave it.
    MovedAlready,
}

/// One link, as a person finds it in the matrix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LinkName {
    pub from: Place,
    pub to: String,
    /// `ping`, `tcp`, `vpn`.
    pub kind: String,
    /// What its probe has said, if it is down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}
