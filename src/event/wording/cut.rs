use std::fmt;

use super::Worded;
use crate::event::reason::cut::Cut;

impl fmt::Display for Cut {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let megabytes = |bytes: &usize| bytes.div_ceil(1024 * 1024);
        match self {
            Self::JobOutputCut { kind, most_bytes } => {
                write!(formatter, "`{kind}` prints more than {} MB: the rest is left out", megabytes(most_bytes))
            }
            Self::HostOutputCut { most_bytes } => write!(
                formatter,
                "this host prints more than {} MB in one run: the rest is left out",
                megabytes(most_bytes)
            ),
            Self::BuildOutputCut { most_bytes } => {
                write!(formatter, "builds and hooks print more than {} MB: the rest is left out", megabytes(most_bytes))
            }
        }
    }
}

impl Worded for Cut {}
