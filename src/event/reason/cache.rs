//! Why a push goes on without a binary cache, or with less of it. All are warnings: what no cache brings is copied.

use schemars::JsonSchema;
use serde::Serialize;
use strum::{IntoStaticStr, VariantNames};

/// Why a cache is not used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum CacheNote {
    /// The systems could not be put into it.
    CacheNotFilled {
        /// The store, without a login, or the command.
        cache: String,
        said: String,
    },
    /// The host could not fetch its new system from it.
    CacheNotFetched {
        cache: String,
        /// Its own words; absent: it did not end in its time.
        #[serde(skip_serializing_if = "String::is_empty")]
        said: String,
        /// The cache itself has it without a signature that the host takes; what others have so is in `said` alone.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        lacks_signature: bool,
        /// Why it could not be signed there, where that was missing.
        #[serde(skip_serializing_if = "Option::is_none")]
        unsigned: Option<String>,
    },
    /// Other hosts have waited for it for nothing, so that this one does not ask it.
    CacheGivenUp { cache: String },
    /// Of the host's own binary caches these do not answer, so that it fetches from none.
    OwnCachesSilent { caches: Vec<String> },
}
