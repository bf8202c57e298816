//! Why a command does not begin, or cannot give its answer.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use strum::{IntoStaticStr, VariantNames};

use crate::event::reason::millis;
use crate::event::reason::record_fault::RecordFault;
use crate::facts::signal::Signal;
use crate::inventory::model::HostName;

/// What a person has asked for that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Misuse {
    /// `@failed` is asked for, and no run of the fleet is recorded.
    FailedNotRecorded { fleet: String },
    /// `@failed` is asked for, and the last run has not ended.
    FailedNotKnown {
        #[serde(rename = "of_run")]
        run: String,
        fleet: String,
    },
    /// `@failed` is asked for, and every host of the last run ended well.
    NobodyFailed {
        #[serde(rename = "of_run")]
        run: String,
        fleet: String,
    },
    /// All hosts that are to go back were left out of the run.
    AllPassedOver {
        #[serde(rename = "of_run")]
        run: String,
        #[serde(rename = "on_hosts")]
        hosts: Vec<HostName>,
    },
    /// An option of the evaluation has a name or a value that cannot be one.
    OptionNotUnderstood { said: String },
    /// A password must be asked for, and there is no terminal.
    PasswordNeedsTerminal {
        #[serde(rename = "on_hosts")]
        hosts: Vec<HostName>,
    },
    /// The password could not be asked for, or what was typed is none.
    PasswordNotAsked {
        /// The operating system's words.
        said: String,
    },
    /// A signal came at the question for the password.
    InterruptedAtPassword { signal: Signal },
    /// The plan is to be asked about, and there is no terminal.
    AskNeedsTerminal,
    /// A generation was named, and it is another system on each host.
    GenerationOfManyHosts {
        generation: u64,
        /// How many hosts are selected.
        selected: usize,
    },
    /// A time was named, and there is no such time.
    TimeNotUnderstood {
        /// What is wrong with it.
        said: String,
    },
    /// The guard would fire before a person can work under it.
    HandGuardTooShort {
        name: HostName,
        #[serde(rename = "guard_ms", with = "millis")]
        #[schemars(with = "u64")]
        guard: Duration,
        #[serde(rename = "least_ms", with = "millis")]
        #[schemars(with = "u64")]
        least: Duration,
    },
    /// A recovery without a name, and no run is unfinished.
    NoRunUnfinished {
        /// Those of the inventory, if it can be read.
        fleets: Vec<String>,
    },
    /// The command has no command of this name.
    CommandUnknown {
        command: String,
        word: String,
        /// The commands that it has.
        has: Vec<String>,
    },
    /// The file to be replayed holds no event.
    NothingToReplay { path: String },
    /// The run has no log of this host.
    LogNotThere {
        #[serde(rename = "of_run")]
        run: String,
        name: String,
        /// What was probably meant.
        #[serde(skip_serializing_if = "Option::is_none")]
        near: Option<String>,
        /// The logs that it has.
        has: Vec<String>,
    },
    /// Something of Ansible's is to be imported, and it is not said what.
    AnsibleFileNotNamed,
    /// Something of ssh's is to be imported, and there is no home.
    HomeUnknown,
    /// A flake was named with an output.
    FlakeWithOutput { flake: String },
    /// A file is there already.
    FileThere { path: String },
    /// The working folder cannot be told.
    FolderUnknown {
        /// The operating system's words.
        said: String,
    },
}

/// What this workstation lacks, or takes from a command. `said` is always the operating system's words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum WorkstationFault {
    /// The operating system gives the program not what any command needs: signals, threads, a screen.
    ProgramNotServed { said: String },
    /// Nothing is begun without a record.
    NothingWithoutRecord { cause: RecordFault },
    /// There is no place for files that are not kept.
    NoTemporaryFolder { said: String },
    /// The answer could not be written.
    StdoutUnwritable { said: String },
    /// A file could not be written.
    FileUnwritable { path: String, said: String },
    /// The manual pages could not be written.
    PagesUnwritable { path: String, said: String },
    /// The report could not be begun.
    ReportUnwritable {
        path: String,
        said: String,
        /// The file is there already.
        is_there: bool,
    },
    /// The report is not whole.
    ReportCutShort { path: String, said: String },
    /// There is no place for the sockets of ssh.
    SocketsHaveNoPlace { path: String, said: String },
    /// ssh could not be asked about its config.
    SshConfigNotAsked { destination: String, said: String },
    /// ssh took too long to say what its config says.
    SshConfigSlow { destination: String, said: String },
    /// ssh cannot read its config.
    SshConfigUnreadable {
        destination: String,
        /// ssh's words.
        said: String,
    },
    /// The jumps of a host lead in a circle.
    JumpsInCircle { destination: String },
}
