use std::fmt;

use super::Worded;
use crate::event::reason::disowned::Disowned;

impl fmt::Display for Disowned {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (meaning, said) = match self {
            Self::SupersededByAnother { said } => ("another fleetdeploy has taken this run over", said),
            Self::EndedElsewhere { said } => ("this run has been ended from elsewhere", said),
            Self::HeldNoMore { said } => ("this run does not hold it any more", said),
        };
        if said.is_empty() { formatter.write_str(meaning) } else { write!(formatter, "{meaning} ({said})") }
    }
}

impl Worded for Disowned {}
