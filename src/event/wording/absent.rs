use std::fmt;

use super::Worded;
use crate::event::reason::absent::{Absence, AbsentHub};
use crate::event::reason::cause::Cause;
use crate::inventory::model::HostName;

impl fmt::Display for Absence {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LeftOutAnswers => formatter.write_str(
                "was left out and answers now: it stays left out of this run, and its links do not count; push it \
                 afterwards",
            ),
            Self::WitnessNeeded { links: 1, .. } => formatter.write_str(
                "is needed as a witness: a required link begins or ends there, of which nothing could be proven",
            ),
            Self::WitnessNeeded { links, .. } => write!(
                formatter,
                "is needed as a witness: {links} required links begin or end there, of which nothing could be proven"
            ),
            Self::OptionalHostSilent { cause } => write!(
                formatter,
                "is left out with its links, since it is `optional` and does not answer: {cause}{}",
                in_brackets(cause)
            ),
            Self::WitnessSilent { cause } => {
                write!(formatter, "this witness does not answer: {cause}{}", in_brackets(cause))
            }
            Self::AddressPassedOver { cause } => {
                write!(formatter, "another of its addresses was passed over: {cause}")
            }
            Self::InterruptedUnasked => formatter.write_str("interrupted before it was asked"),
        }
    }
}

impl Worded for Absence {
    fn mend(&self) -> Option<String> {
        match self {
            Self::LeftOutAnswers
            | Self::OptionalHostSilent { .. }
            | Self::WitnessSilent { .. }
            | Self::AddressPassedOver { .. }
            | Self::InterruptedUnasked => None,
            Self::WitnessNeeded { without, .. } => go_on_without(None, without.as_deref()),
        }
    }
}

/// What mends a cause, behind it.
pub(super) fn in_brackets(cause: &Cause) -> String {
    cause.mend().map(|mend| format!(" ({mend})")).unwrap_or_default()
}

/// Says what mends a host's silence, and what to add to go on without all that are silent.
#[must_use]
pub fn go_on_without(mend: Option<String>, without: Option<&str>) -> Option<String> {
    let on_without = without.map(|words| format!("add `{words}` to go on without it"));
    match (mend, on_without) {
        (Some(mend), Some(words)) => Some(format!("{mend}; or {words}")),
        (mend, words) => mend.or(words),
    }
}

impl fmt::Display for AbsentHub {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HubLeftOut { hub, check } => {
                write!(formatter, "likely because {hub} is left out: it is the hub of `{check}`")
            }
            Self::HubMaybeLeftOut { left_out } => {
                let names: Vec<&str> = left_out.iter().map(HostName::as_str).collect();
                write!(
                    formatter,
                    "perhaps because {} is left out, if the VPN between these two leads over it",
                    names.join(" or ")
                )
            }
        }
    }
}

impl Worded for AbsentHub {}
