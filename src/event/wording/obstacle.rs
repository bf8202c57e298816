use std::fmt;

use super::{Worded, names};
use crate::event::reason::obstacle::HeldUp;
use crate::inventory::model::HostName;

impl fmt::Display for HeldUp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MoreHostsSilent { missing, silent } => write!(
                formatter,
                "everything was left as it was: {} {} not answer either, and the run is not ended without a host \
                 that was not named: --without {}",
                names(silent),
                if silent.len() == 1 { "does" } else { "do" },
                missing.iter().chain(silent).map(HostName::as_str).collect::<Vec<_>>().join(",")
            ),
            Self::StillGuarded { guarded } => write!(
                formatter,
                "nothing was removed: a guard of the run is armed or at work on {}; once it has fired, type this again",
                names(guarded)
            ),
            Self::NotOnOneSide { stands } => {
                let stands: Vec<String> =
                    stands.iter().map(|stand| format!("{} {}", stand.host, stand.found)).collect();
                write!(
                    formatter,
                    "nothing was removed: the hosts are not at rest on one side ({}); --as-they-stand accepts that",
                    stands.join("; ")
                )
            }
            Self::EndedOnBothSides { old, new } => write!(
                formatter,
                "the run was ended twice, on old on {}, and on new on {}: `fleetdeploy push` brings them together, and \
                 `recover --forget` then removes the marks",
                names(old),
                names(new)
            ),
            Self::NotAsMarked { elsewhere, found } => write!(
                formatter,
                "everything was left as it was: the run was ended without a host, others say, and {elsewhere} {found}"
            ),
            Self::NotBackOnOld => formatter
                .write_str("everything was left as it was: not all that are back are at rest on their old systems"),
        }
    }
}

impl Worded for HeldUp {}
