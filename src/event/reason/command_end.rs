//! How a command ends that no verdict of the transaction ends: before it, beside it, or through a mistake of ours.

use schemars::JsonSchema;
use serde::Serialize;
use strum::{IntoStaticStr, VariantNames};

use crate::event::reason::fate::Fate;
use crate::facts::signal::Signal;
use crate::inventory::model::HostName;

/// The end of a command on a fleet, or of a host in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum CommandEnd {
    /// What a push would do is shown, and nothing was touched.
    PlanShown,
    /// A signal came before anything was touched.
    InterruptedUntouched { signal: Signal },
    /// A second signal came: nothing is waited for any more.
    LeftAtOnce {
        /// The hosts that are under their guards.
        guarded: Vec<GuardedHost>,
        /// Others are committed already, and a guard that fires takes its host to the other side.
        others_committed: bool,
    },
    /// fleetdeploy itself has failed, before anything was touched.
    ProgramFailedUntouched,
    /// fleetdeploy itself has failed in the middle.
    ProgramFailed,
    /// What is known of a host when fleetdeploy itself has failed.
    ProgramFailedMidway,
    /// A recovery has found nothing of a run, and every host answers.
    NothingUnfinished,
    /// A recovery has found nothing of a run on the hosts that answer.
    NothingHeldWhereAnswered,
    /// A signal came before the hosts had answered a recovery, and this workstation knows of no unfinished run.
    InterruptedUnanswered { signal: Signal },
    /// A signal came before a recovery had taken any host over.
    InterruptedBeforeTakeOver { signal: Signal },
}

/// A host that is left under its guard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct GuardedHost {
    pub name: HostName,
    /// How it is left.
    pub cause: Fate,
}

/// Why a push that was shown to a person is not begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum NotAgreed {
    /// The person said no.
    AnswerWasNo,
    /// The terminal takes no lines.
    TerminalStuck,
    /// The question could not be written.
    QuestionNotAsked {
        /// The operating system's words.
        said: String,
    },
    /// The answer could not be read.
    ReplyNotRead,
    /// Nobody has answered in the time for that.
    NobodyReplied {
        #[serde(rename = "waited_ms", with = "crate::event::reason::millis")]
        #[schemars(with = "u64")]
        waited: std::time::Duration,
    },
}

/// What a run was that did not come to its end, and keeps others from its fleet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum OpenRun {
    /// A guard that a person has armed.
    HandGuardOpen {
        #[serde(rename = "of_run")]
        run: String,
        fleet: String,
    },
    /// A rolling reboot.
    RollingRebootOpen {
        #[serde(rename = "of_run")]
        run: String,
        fleet: String,
    },
    /// A push or a rollback.
    PushOpen {
        #[serde(rename = "of_run")]
        run: String,
        fleet: String,
    },
}
