//! How a hook has failed, and what that means for the push.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use strum::{IntoStaticStr, VariantNames};

use crate::event::reason::millis;

/// Why a hook did not succeed. `tail` is the end of what it printed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum HookFault {
    /// It ended with a status of its own.
    HookFailed { fleet: String, hook: String, status: i32, tail: Vec<String> },
    /// A signal ended it.
    HookKilled { fleet: String, hook: String, tail: Vec<String> },
    /// It did not end in its time.
    HookTimedOut {
        fleet: String,
        hook: String,
        #[serde(rename = "limit_ms", with = "millis")]
        #[schemars(with = "u64")]
        limit: Duration,
        tail: Vec<String>,
    },
    /// It could not be run.
    HookNotRun {
        fleet: String,
        hook: String,
        /// The operating system's words.
        said: String,
        tail: Vec<String>,
    },
}

/// What comes of the hooks around a push.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum HooksEnd {
    /// A hook before the push has failed: there is no push.
    HookRefuses { cause: HookFault },
    /// A signal came while a hook before the push ran: there is no push.
    InterruptedInHook { signal: String },
    /// A hook after the push has failed, which changes nothing of it.
    AfterHookFailed { cause: HookFault },
    /// A signal came while the hooks after the push ran.
    HooksInterrupted {
        signal: String,
        /// Those that did not run to their end.
        hooks: Vec<String>,
    },
}
