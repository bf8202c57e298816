use std::fmt;

use super::{Worded, names};
use crate::event::reason::fate::Fate;
use crate::inventory::model::HostName;

impl fmt::Display for Fate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOurs { cause } => write!(formatter, "it says that {cause}"),
            Self::DisarmedElsewhere { systems } => write!(formatter, "disarmed, and on {systems}"),
            Self::DisarmInDoubt { cause } => write!(formatter, "it is not known what has become of it: {cause}"),
            Self::BroughtBackBeforeDisarm => {
                formatter.write_str("its guard brought it back before it could be disarmed")
            }
            Self::MovedMeanwhile { systems } => {
                write!(formatter, "it is on {systems}: somebody else has moved it meanwhile")
            }
            Self::LeftToOther => formatter.write_str("left to who has taken this run over"),
            Self::LeftAsItWas { found } => write!(formatter, "left as it was: {found}"),
            Self::ForgottenAsItStood { found } => write!(formatter, "forgotten as it stood: {found}"),
            Self::MissingOnesApart { found } => {
                write!(formatter, "{found}, and another host of the run that was missing, too, is on the other side")
            }
            Self::ApartOnNew { host, fleet } => write!(
                formatter,
                "it is on its new system, and the others were ended on old: `fleetdeploy rollback {fleet} --on {host}` \
                 takes it back, `push` takes the others along"
            ),
            Self::ApartOnOld { host, fleet } => write!(
                formatter,
                "it is on its old system, and the others were ended on new: `fleetdeploy push {fleet} --on {host}` \
                 takes it along, `rollback` takes the others back"
            ),
            Self::GuardGone { systems } => {
                write!(formatter, "it has no guard of this run any more, and is on {systems}")
            }
            Self::GuardStillAtWork { systems } => {
                write!(formatter, "its guard has fired and is still at work; it is on {systems}")
            }
            Self::NotDisarmed { cause } => {
                write!(formatter, "its guard has not fired, and could not be disarmed: {cause}")
            }
            Self::SilentAfterGuard { cause } => {
                write!(formatter, "its guard should have brought it back, and it does not answer: {cause}")
            }
            Self::LeftAsFound { found } => write!(formatter, "as it was found: {found}"),
            Self::NotEndedWithout => formatter.write_str("it was not asked, and the run is not ended without it"),
            Self::LeftInContest => formatter.write_str("left as it was: somebody else may be recovering this run"),
            Self::MarkNotLeft { missing, fleet, cause } => write!(
                formatter,
                "that the run is ended without {} could not be left there ({cause}): `fleetdeploy recover {fleet} \
                 --without {}` does it, and until then a recovery from elsewhere knows nothing of it",
                names(missing),
                missing.iter().map(HostName::as_str).collect::<Vec<_>>().join(",")
            ),
            Self::LeftToItsGuard { seen_on_old, may_be_disarmed, back_within } => {
                formatter.write_str(if *seen_on_old {
                    "was seen on its old system with its guard armed, which restarts it into that once more"
                } else {
                    "its guard brings it back to its old system"
                })?;
                if *may_be_disarmed {
                    formatter.write_str(", unless the command that disarms it has arrived")?;
                }
                match back_within.as_secs() {
                    0 => formatter.write_str("; it should be back by now"),
                    seconds => write!(formatter, "; back at the latest in {}m {:02}s", seconds / 60, seconds % 60),
                }
            }
        }
    }
}

impl Worded for Fate {}
