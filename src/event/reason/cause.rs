//! Why a host did not do, or did not say, what it was asked: no way to it, no answer, its own refusal, or no time.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use strum::{IntoStaticStr, VariantNames};

use crate::event::reason::job::JobFailure;
use crate::event::reason::millis;
use crate::facts::file_limit::FileLimit;
use crate::facts::privilege::RootProgram;
use crate::facts::step_answer::{RefusalReason, StepFailure, StepOutcome};
use crate::facts::store_path::StorePath;
use crate::facts::systems::Systems;

/// The cause of a failed contact or step. `said` is always the words of another program: of ssh, of sudo, of the host.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Cause {
    /// ssh does not know the host key of the machine.
    HostKeyUnknown {
        /// The host itself, or the jump on the way to it.
        machine: String,
        /// Kind and fingerprint of the key that it shows.
        #[serde(skip_serializing_if = "Option::is_none")]
        fingerprint: Option<String>,
        /// How a person would log in there.
        by_hand: String,
    },
    /// The machine shows another host key than the one that is known.
    HostKeyChanged {
        /// The host itself, or the jump on the way to it.
        machine: String,
        /// Kind and fingerprint of the key that it shows.
        #[serde(skip_serializing_if = "Option::is_none")]
        fingerprint: Option<String>,
        /// The file with the known key.
        #[serde(skip_serializing_if = "Option::is_none")]
        known_in: Option<String>,
        /// The line of that file.
        #[serde(skip_serializing_if = "Option::is_none")]
        known_line: Option<u32>,
        /// The name under which it is known there.
        #[serde(skip_serializing_if = "Option::is_none")]
        known_as: Option<String>,
        /// How a person would log in there.
        by_hand: String,
    },
    /// The machine takes none of our keys.
    LoginRefused {
        /// The host itself, or the jump on the way to it.
        machine: String,
        said: String,
        /// How a person would log in there.
        by_hand: String,
    },
    /// The machine takes none of our keys, and the ssh agent of this workstation could not give those that it may have:
    /// it has ended, is locked, or its key is unplugged.
    AgentFailed {
        /// The host itself, or the jump on the way to it.
        machine: String,
        said: String,
        /// What ssh says of the agent.
        agent: String,
        /// How a person would log in there.
        by_hand: String,
    },
    /// The machine takes the key, and does not let the account in: it has expired, or the machine is about to stop.
    AccountRefused {
        /// The host itself, or the jump on the way to it.
        machine: String,
        said: String,
        /// How a person would log in there.
        by_hand: String,
    },
    /// The machine's sshd takes no connection from here just now: it has too many logins under way, or punishes this
    /// address for logins that failed.
    SshdBusy {
        /// The host itself, or the jump on the way to it.
        machine: String,
        said: String,
        /// How a person would log in there.
        by_hand: String,
    },
    /// Nothing listens at the machine's ssh port.
    ConnectionRefused {
        /// The host itself, or the jump on the way to it.
        machine: String,
        said: String,
        /// How a person would log in there.
        by_hand: String,
    },
    /// There is no way to the machine, or the connection breaks off before the login.
    MachineUnreachable {
        /// The host itself, or the jump on the way to it.
        machine: String,
        said: String,
        /// How a person would log in there.
        by_hand: String,
    },
    /// The jump does not get through to the machine, or does not forward.
    JumpBlocked {
        /// The machine behind the jump.
        machine: String,
        /// How a person would log in there.
        by_hand: String,
    },
    /// The machine lets us in, and opens no session (sshd's `MaxSessions`).
    SessionRefused {
        machine: String,
        said: String,
        /// How a person would log in there.
        by_hand: String,
    },
    /// The machine has let nobody in within the time for that.
    LoginTimedOut {
        /// The host itself, or the jump on the way to it.
        machine: String,
        #[serde(rename = "waited_ms", with = "millis")]
        #[schemars(with = "u64")]
        waited: Duration,
        /// How a person would log in there.
        by_hand: String,
    },
    /// The machine said more than any login has, and was cut off.
    LoginTooLong {
        /// The host itself, or the jump on the way to it.
        machine: String,
        bytes: u64,
        /// How a person would log in there.
        by_hand: String,
    },
    /// The name of the machine has no address.
    NameUnknown {
        /// The host itself, or the jump on the way to it.
        machine: String,
        said: String,
        /// How a person would log in there.
        by_hand: String,
    },
    /// ssh ended before the login, for a reason that is not known here.
    LoginFailed {
        /// The host itself, or the jump on the way to it.
        machine: String,
        #[serde(skip_serializing_if = "String::is_empty")]
        said: String,
    },
    /// This workstation could not start ssh.
    SshNotStarted {
        /// The machine that it was to log in to.
        machine: String,
        /// The limit of open files that was reached, if it was that.
        #[serde(skip_serializing_if = "Option::is_none")]
        limit: Option<FileLimit>,
        /// What the kernel says.
        #[serde(skip_serializing_if = "String::is_empty")]
        said: String,
    },
    /// The folder that this run has on the workstation has vanished, and cannot be made anew.
    RunFolderGone {
        /// The machine that it was to log in to.
        machine: String,
        folder: String,
        /// Why it cannot be made anew.
        said: String,
    },
    /// Nothing can be written into the folder that this run has on the workstation, or be reached there.
    RunFolderUnusable {
        /// The machine that it was to log in to.
        machine: String,
        folder: String,
        /// What the kernel says.
        said: String,
    },
    /// What was to run cannot travel as it is.
    ScriptUnsendable { script: String, said: String },
    /// The host had not received the whole script, and ran nothing of it.
    ScriptNotBegun { machine: String, script: String, said: String },
    /// What makes the login root wants a password that it cannot be given.
    RootPasswordNeeded {
        machine: String,
        script: String,
        /// The program: `sudo`, `doas`, `run0`, or the first word of a command of your own.
        #[schemars(with = "String")]
        by: RootProgram,
        #[serde(skip_serializing_if = "String::is_empty")]
        said: String,
    },
    /// What makes the login root does not take the password.
    RootPasswordWrong {
        machine: String,
        script: String,
        /// The program: `sudo`, `doas`, `run0`, or the first word of a command of your own.
        #[schemars(with = "String")]
        by: RootProgram,
        #[serde(skip_serializing_if = "String::is_empty")]
        said: String,
    },
    /// What makes the login root does not let this user run what it must.
    RootNotAllowed {
        machine: String,
        script: String,
        /// The program: `sudo`, `doas`, `run0`, or the first word of a command of your own.
        #[schemars(with = "String")]
        by: RootProgram,
        #[serde(skip_serializing_if = "String::is_empty")]
        said: String,
    },
    /// What is to make the login root is not there.
    RootProgramMissing {
        machine: String,
        script: String,
        /// The program: `sudo`, `doas`, `run0`, or the first word of a command of your own.
        #[schemars(with = "String")]
        by: RootProgram,
        #[serde(skip_serializing_if = "String::is_empty")]
        said: String,
    },
    /// What makes the login root wants a terminal, and a run has none.
    RootTerminalNeeded {
        machine: String,
        script: String,
        /// The program: `sudo`, `doas`, `run0`, or the first word of a command of your own.
        #[schemars(with = "String")]
        by: RootProgram,
        #[serde(skip_serializing_if = "String::is_empty")]
        said: String,
    },
    /// What was to make the login root has left it somebody else.
    RootNotReached {
        machine: String,
        script: String,
        /// The program: `sudo`, `doas`, `run0`, or the first word of a command of your own.
        #[schemars(with = "String")]
        by: RootProgram,
        #[serde(skip_serializing_if = "String::is_empty")]
        said: String,
    },
    /// What makes the login root has not answered in its time.
    RootSilent {
        machine: String,
        script: String,
        /// The program: `sudo`, `doas`, `run0`, or the first word of a command of your own.
        #[schemars(with = "String")]
        by: RootProgram,
        #[serde(skip_serializing_if = "String::is_empty")]
        said: String,
    },
    /// What makes the login root failed for a reason that is not known here.
    RootFailed {
        machine: String,
        script: String,
        /// The program: `sudo`, `doas`, `run0`, or the first word of a command of your own.
        #[schemars(with = "String")]
        by: RootProgram,
        #[serde(skip_serializing_if = "String::is_empty")]
        said: String,
    },
    /// The login shell does not run scripts: `nologin`, a forced command, a shell that knows no single quotes.
    LoginShellUnfit {
        machine: String,
        script: String,
        status: i32,
        #[serde(skip_serializing_if = "String::is_empty")]
        said: String,
    },
    /// The password of the login has expired: the host wants a new one first, and that at a terminal.
    PasswordExpired {
        machine: String,
        #[serde(skip_serializing_if = "String::is_empty")]
        said: String,
    },
    /// A script ended with another status than 0.
    ScriptFailed {
        machine: String,
        script: String,
        status: i32,
        #[serde(skip_serializing_if = "String::is_empty")]
        said: String,
    },
    /// A script did not answer in its time; it may still be running.
    NoAnswer {
        machine: String,
        script: String,
        #[serde(rename = "waited_ms", with = "millis")]
        #[schemars(with = "u64")]
        waited: Duration,
    },
    /// The connection broke off while a script was running; it may still be running.
    ConnectionLost {
        machine: String,
        script: String,
        #[serde(skip_serializing_if = "String::is_empty")]
        said: String,
    },
    /// The host said more than any answer has, and was cut off.
    AnswerTooLong { machine: String, script: String, bytes: u64 },
    /// The answer has no last line.
    AnswerCutShort {
        machine: String,
        script: String,
        #[serde(skip_serializing_if = "String::is_empty")]
        said: String,
    },
    /// The answer lacks what every answer has.
    AnswerUnreadable {
        /// What it lacks.
        lacking: String,
    },
    /// The host runs another system than NixOS.
    NotNixos,
    /// Not even the attempt to ask came to its end in its time.
    SilentTooLong {
        #[serde(rename = "waited_ms", with = "millis")]
        #[schemars(with = "u64")]
        waited: Duration,
    },
    /// The time was over before the host could be asked.
    NoTimeToAsk,
    /// The program gave the step up.
    StepGivenUp,
    /// Another run holds the host.
    HeldByAnotherRun {
        #[serde(skip_serializing_if = "String::is_empty")]
        said: String,
    },
    /// A guard of another run, or one that was armed by hand, is armed there.
    ForeignGuardArmed {
        #[serde(skip_serializing_if = "String::is_empty")]
        said: String,
    },
    /// A coordinator with a higher epoch has taken over this run.
    RunSuperseded {
        #[serde(skip_serializing_if = "String::is_empty")]
        said: String,
    },
    /// The run has been ended and cleaned away there.
    RunEnded {
        #[serde(skip_serializing_if = "String::is_empty")]
        said: String,
    },
    /// The host is on another boot than the run knows.
    OtherBoot {
        #[serde(skip_serializing_if = "String::is_empty")]
        said: String,
    },
    /// Current system, profile or boot default are not what was expected.
    SystemMoved {
        #[serde(skip_serializing_if = "String::is_empty")]
        said: String,
    },
    /// No guard of this run is armed, or its unit is gone.
    GuardMissing {
        #[serde(skip_serializing_if = "String::is_empty")]
        said: String,
    },
    /// The guard fires too soon for the step.
    GuardTooSoon {
        #[serde(skip_serializing_if = "String::is_empty")]
        said: String,
    },
    /// The guard has fired.
    GuardHasFired {
        #[serde(skip_serializing_if = "String::is_empty")]
        said: String,
    },
    /// A switch, a reboot or an upgrade is under way there.
    ChangeUnderWay {
        #[serde(skip_serializing_if = "String::is_empty")]
        said: String,
    },
    /// What was sent has no form that the host's scripts take.
    ArgumentRejected {
        #[serde(skip_serializing_if = "String::is_empty")]
        said: String,
    },
    /// The host refused for another reason.
    HostRefused {
        #[serde(skip_serializing_if = "String::is_empty")]
        said: String,
    },
    /// The step ran and did not do what it should, as the host says.
    HostReportsFailure { said: String },
    /// The host cannot write what it must not forget: its disk is full, or read-only.
    HostUnwritable { said: String },
    /// A detached step has not ended as it should.
    JobFailed { cause: JobFailure },
    /// After its step the host is not on the systems that the step was to bring.
    NotWhereExpected { systems: Systems },
    /// The host is on these systems, and not where it should be.
    OnOtherSystems { systems: Systems },
    /// The host runs a system that this push did not bring.
    RunsForeignSystem { system: String },
    /// The host is on these systems, which are neither old nor new.
    NeitherOldNorNew { systems: Systems },
    /// The host is on these systems, and what it ran before the run is not known.
    OldNotKnown { systems: Systems },
    /// The host was out of reach when all others were through: a change may have cut the way to it.
    WayMayBeCut,
    /// The host has taken no login while links and logins were to settle.
    SilentWhileSettling,
    /// The host answers, and does not tell the state of its units.
    UnitsUnheard,
}

impl Cause {
    /// Makes the cause of a host's refusal, with its own words.
    #[must_use]
    pub fn refused(reason: RefusalReason, said: String) -> Self {
        match reason {
            RefusalReason::ForeignLease => Self::HeldByAnotherRun { said },
            RefusalReason::ForeignGuard => Self::ForeignGuardArmed { said },
            RefusalReason::Superseded => Self::RunSuperseded { said },
            RefusalReason::Ended => Self::RunEnded { said },
            RefusalReason::OtherBoot => Self::OtherBoot { said },
            RefusalReason::Moved => Self::SystemMoved { said },
            RefusalReason::NoGuard => Self::GuardMissing { said },
            RefusalReason::TooLate => Self::GuardTooSoon { said },
            RefusalReason::Fired => Self::GuardHasFired { said },
            RefusalReason::Busy => Self::ChangeUnderWay { said },
            RefusalReason::BadArgument => Self::ArgumentRejected { said },
            RefusalReason::Other => Self::HostRefused { said },
        }
    }

    /// Makes the cause of a step that did not do what it should; `None`: it did.
    #[must_use]
    pub fn of_outcome(outcome: StepOutcome) -> Option<Self> {
        match outcome {
            StepOutcome::Done => None,
            StepOutcome::Refused { reason, text } => Some(Self::refused(reason, text)),
            StepOutcome::Failed { failure } => Some(Self::failed(failure)),
        }
    }

    /// Makes the cause of a step that failed.
    #[must_use]
    pub fn failed(failure: StepFailure) -> Self {
        Self::failed_by_log(failure, &[])
    }

    /// Makes the cause of a step that failed, with the end of its log.
    #[must_use]
    pub fn failed_by_log(failure: StepFailure, log: &[String]) -> Self {
        match failure {
            StepFailure::Said(said) => Self::HostReportsFailure { said },
            StepFailure::Unwritable(said) => Self::HostUnwritable { said },
            StepFailure::Job(kind, end) => Self::JobFailed { cause: JobFailure::by_log(kind.word(), end, log) },
            StepFailure::Trial(job, end) => Self::JobFailed { cause: JobFailure::of_trial(job, end, log) },
        }
    }

    /// Makes the cause that a host runs this system, which the push did not bring.
    #[must_use]
    pub fn foreign(system: &StorePath) -> Self {
        Self::RunsForeignSystem { system: system.to_string() }
    }
}
