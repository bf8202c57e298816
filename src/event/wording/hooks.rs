use std::fmt;

use super::Worded;
use crate::event::reason::hooks::{HookFault, HooksEnd};

impl HookFault {
    /// Without its last words.
    fn brief(&self) -> String {
        match self {
            Self::HookFailed { hook, status, .. } => format!("the hook `{hook}` exited with status {status}"),
            Self::HookKilled { hook, .. } => format!("the hook `{hook}` was ended by a signal"),
            Self::HookTimedOut { hook, limit, .. } => {
                format!("the hook `{hook}` did not end within {}", humantime::format_duration(*limit))
            }
            Self::HookNotRun { hook, said, .. } => format!("the hook `{hook}` could not be run: {said}"),
        }
    }
}

impl fmt::Display for HookFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::HookFailed { tail, .. }
        | Self::HookKilled { tail, .. }
        | Self::HookTimedOut { tail, .. }
        | Self::HookNotRun { tail, .. }) = self;
        formatter.write_str(&self.brief())?;
        tail.iter().try_for_each(|line| write!(formatter, "\n  | {line}"))
    }
}

impl Worded for HookFault {
    fn mend(&self) -> Option<String> {
        let (Self::HookFailed { fleet, .. }
        | Self::HookKilled { fleet, .. }
        | Self::HookTimedOut { fleet, .. }
        | Self::HookNotRun { fleet, .. }) = self;
        Some(format!("mend it, or take it out of the `hooks` of `{fleet}`"))
    }
}

impl fmt::Display for HooksEnd {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HookRefuses { cause } => write!(formatter, "{}: nothing was touched", cause.brief()),
            Self::InterruptedInHook { signal } => {
                write!(formatter, "interrupted by {signal} before anything was touched")
            }
            Self::AfterHookFailed { cause } => write!(formatter, "{cause}\nthe push has ended all the same"),
            Self::HooksInterrupted { signal, hooks } => {
                write!(formatter, "{signal}: these hooks did not run to their end: {}", hooks.join(", "))
            }
        }
    }
}

impl Worded for HooksEnd {}
