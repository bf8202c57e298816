use std::fmt;

use super::Worded;
use crate::event::reason::refusal::Refusal;

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::SystemsNotEvaluated => "the systems could not be evaluated",
            Self::SourceNotClean => "the systems would not come from a commit as it is, which --clean asks for",
            Self::SystemsNotBuilt => "the systems could not be built",
            Self::HostsNotSurveyed => "not every host could be surveyed",
            Self::NoHostAnswers => "no host answers",
            Self::RollbackTargetsMissing => "not every host has what it is to go back to",
            Self::HostNotTouchable => "a host must not be touched now",
            Self::WavesNotProvable => "not every wave of this push could be proven",
            Self::SystemsNotBrought => "a new system could not be brought to its host, or does not fit it",
            Self::SystemsNotBringable => "a new system could not be brought to its host",
            Self::RequiredLinkHopeless => "a required link is down that this push cannot mend",
            Self::NoNewLogin => "a host takes no new login, by which it could be proven",
            Self::RecordNotBegun => "the run's record cannot be written",
        })
    }
}

impl Worded for Refusal {}
