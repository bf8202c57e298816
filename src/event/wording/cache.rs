use std::fmt;

use super::Worded;
use crate::event::reason::cache::CacheNote;

impl fmt::Display for CacheNote {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CacheNotFilled { cache, said } => {
                write!(
                    formatter,
                    "the cache {cache} does not take the new systems, so each is copied from here: {said}"
                )
            }
            Self::CacheNotFetched { cache, said, .. } if said.is_empty() => {
                write!(formatter, "fetching from {cache} did not end in its time: what is missing is copied from here")
            }
            Self::CacheNotFetched { cache, said, unsigned, .. } => {
                write!(formatter, "it cannot fetch from {cache}, so what is missing is copied from here: {said}")?;
                match unsigned {
                    Some(why) => write!(formatter, "; and it cannot be signed there: {why}"),
                    None => Ok(()),
                }
            }
            Self::CacheGivenUp { cache } => write!(
                formatter,
                "it does not ask the cache {cache}, for which other hosts have waited in vain: what is missing is \
                 copied from here"
            ),
            Self::OwnCachesSilent { caches } => {
                let caches = caches.join(", ");
                write!(formatter, "its binary caches do not all answer ({caches}): everything is copied from here")
            }
        }
    }
}

impl Worded for CacheNote {
    fn mend(&self) -> Option<String> {
        match self {
            Self::CacheNotFetched { lacks_signature: true, unsigned: None, .. } => Some(
                "sign what is built here, and name the public key: `cache: {..., public_key: NAME:...}`".to_owned(),
            ),
            // What a store has already, a copy does not bring once more.
            Self::CacheNotFetched { lacks_signature: true, .. } => {
                Some("take it out of the cache: what is signed here comes there anew by the next push".to_owned())
            }
            Self::CacheNotFilled { .. }
            | Self::CacheNotFetched { .. }
            | Self::CacheGivenUp { .. }
            | Self::OwnCachesSilent { .. } => None,
        }
    }
}
