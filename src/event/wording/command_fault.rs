use std::fmt;

use humantime::format_duration;

use super::{Worded, names, quoted};
use crate::event::reason::command_fault::{Misuse, WorkstationFault};

impl fmt::Display for Misuse {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failed =
            |fleet: &str| format!("`@failed` means the hosts that did not end well in the last run of `{fleet}`");
        match self {
            Self::FailedNotRecorded { fleet } => {
                write!(formatter, "{}, and this workstation has no record of one", failed(fleet))
            }
            Self::FailedNotKnown { run, fleet } => {
                write!(formatter, "{}, and {run} did not come to its end", failed(fleet))
            }
            Self::NobodyFailed { run, fleet } => write!(formatter, "{}, and in {run} there was none", failed(fleet)),
            Self::AllPassedOver { run, hosts } => {
                write!(formatter, "run {run} was without {}: nothing of it is there to go back from", names(hosts))
            }
            Self::PasswordNeedsTerminal { hosts } => {
                write!(formatter, "{}: `become: sudo-password` needs a terminal to ask for the password", names(hosts))
            }
            Self::PasswordNotAsked { said } => write!(formatter, "no password was typed: {said}"),
            Self::TimeNotUnderstood { said } | Self::OptionNotUnderstood { said } => formatter.write_str(said),
            Self::FolderUnknown { said } => write!(formatter, "cannot tell the working folder: {said}"),
            Self::InterruptedAtPassword { signal } => {
                write!(formatter, "interrupted by {signal} at the question for the password")
            }
            Self::AskNeedsTerminal => formatter.write_str("--ask needs a terminal to ask on"),
            Self::GenerationOfManyHosts { generation, selected } => write!(
                formatter,
                "generation {generation} is another system on each host, and {selected} of them are selected"
            ),
            Self::HandGuardTooShort { name, guard, .. } => write!(
                formatter,
                "the guard of {name} would fire {} after it is armed: too soon to work under it",
                format_duration(*guard)
            ),
            Self::NoRunUnfinished { .. } => formatter.write_str("this workstation has no record of an unfinished run"),
            Self::CommandUnknown { command, word, .. } => {
                write!(formatter, "`{command}` has no command `{}`", word.escape_debug())
            }
            Self::NothingToReplay { path } => write!(formatter, "{path} holds no event"),
            Self::LogNotThere { run, name, .. } => {
                write!(formatter, "run {run} has no log of `{}`", name.escape_debug())
            }
            Self::AnsibleFileNotNamed => formatter.write_str("it is not said which inventory of Ansible's"),
            Self::HomeUnknown => formatter.write_str("there is no HOME in the environment, and so no ~/.ssh/config"),
            Self::FlakeWithOutput { .. } => formatter.write_str("a flake to import from has no `#`"),
            Self::FileThere { path } => write!(formatter, "{path} is there already"),
        }
    }
}

impl Worded for Misuse {
    fn mend(&self) -> Option<String> {
        let mend = match self {
            Self::FailedNotRecorded { .. } => "`fleetdeploy runs` lists those there are; name the hosts",
            Self::FailedNotKnown { fleet, .. } => {
                return Some(format!("type `fleetdeploy recover {fleet}` first, or name the hosts"));
            }
            Self::NobodyFailed { .. } => "name the hosts, or leave the pattern out",
            Self::AllPassedOver { .. } => "name another run, or a time: --to @2026-11-20",
            Self::PasswordNeedsTerminal { .. } => {
                "run it on a terminal, or use `become: sudo` with a rule that asks no password"
            }
            Self::AskNeedsTerminal => {
                "look with --dry-run first, and then go without --ask: it is guarded all the same"
            }
            Self::GenerationOfManyHosts { .. } => {
                "choose one with --on HOST; a whole fleet goes back to a run or a @TIME, and a run is named by its \
                 whole date at the least"
            }
            Self::HandGuardTooShort { least, .. } => {
                return Some(format!("give it {} or more: `--guard 15m`", format_duration(*least)));
            }
            Self::NoRunUnfinished { fleets } if fleets.is_empty() => {
                "fleetdeploy recover FLEET asks the hosts themselves"
            }
            Self::NoRunUnfinished { fleets } => {
                let fleets = fleets.join(", ");
                return Some(format!("fleetdeploy recover FLEET asks the hosts themselves; the fleets are {fleets}"));
            }
            Self::CommandUnknown { command, has, .. } if has.is_empty() => {
                return Some(format!("`{command}` has no commands of its own"));
            }
            Self::CommandUnknown { has, .. } => return Some(format!("the commands are {}", has.join(", "))),
            Self::NothingToReplay { .. } => "name a run, or its events.jsonl",
            Self::LogNotThere { has, .. } if has.is_empty() => "it ended before any host was asked",
            Self::LogNotThere { near: Some(near), has, .. } => {
                return Some(format!("did you mean `{near}`? There are logs of {}", quoted(has)));
            }
            Self::LogNotThere { near: None, has, .. } => return Some(format!("there are logs of {}", quoted(has))),
            Self::AnsibleFileNotNamed => {
                "name the file that `ansible-playbook -i` names, or its folder: `--from ansible hosts.ini`"
            }
            Self::HomeUnknown => "name the file",
            Self::FlakeWithOutput { flake } => {
                return Some(format!("name the flake alone: `{flake}`; which of its outputs is looked at is known"));
            }
            Self::FileThere { .. } => "nothing is overwritten: name another file, or move that one away",
            Self::PasswordNotAsked { .. }
            | Self::InterruptedAtPassword { .. }
            | Self::TimeNotUnderstood { .. }
            | Self::OptionNotUnderstood { .. }
            | Self::FolderUnknown { .. } => return None,
        };
        Some(mend.to_owned())
    }
}

impl fmt::Display for WorkstationFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = match self {
            Self::ProgramNotServed { said } => return formatter.write_str(said),
            Self::NothingWithoutRecord { cause } => return cause.fmt(formatter),
            Self::NoTemporaryFolder { said } => {
                formatter.write_str("cannot make a temporary folder")?;
                said
            }
            Self::StdoutUnwritable { said } => {
                formatter.write_str("cannot write to stdout")?;
                said
            }
            Self::FileUnwritable { path, said } | Self::ReportUnwritable { path, said, .. } => {
                write!(formatter, "cannot write {path}")?;
                said
            }
            Self::PagesUnwritable { path, said } => {
                write!(formatter, "cannot write the pages to {path}")?;
                said
            }
            Self::ReportCutShort { path, said } => {
                write!(formatter, "{path} could not be written whole, and is not there")?;
                said
            }
            Self::SocketsHaveNoPlace { path, said } => {
                write!(formatter, "cannot make the folder for ssh's sockets under {path}")?;
                said
            }
            Self::SshConfigNotAsked { destination, said } | Self::SshConfigSlow { destination, said } => {
                write!(formatter, "cannot read what ssh's config says about `{destination}`")?;
                said
            }
            Self::SshConfigUnreadable { destination, said } => {
                write!(formatter, "ssh cannot read its config about `{destination}`")?;
                said
            }
            Self::JumpsInCircle { destination } => {
                return write!(formatter, "{destination}: its jumps lead in a circle");
            }
        };
        if said.is_empty() { Ok(()) } else { write!(formatter, ": {said}") }
    }
}

impl Worded for WorkstationFault {
    fn mend(&self) -> Option<String> {
        let mend = match self {
            Self::NothingWithoutRecord { .. } => {
                "nothing is begun without its record: XDG_STATE_HOME names another place for it"
            }
            Self::NoTemporaryFolder { .. } => "TMPDIR names another place for it",
            Self::ReportUnwritable { is_there: true, .. } => {
                "nothing is overwritten: name another file, or `-` to print it"
            }
            Self::ReportUnwritable { is_there: false, .. } => "name another file, or `-` to print it",
            Self::ReportCutShort { .. } => "make room, and write it to another file",
            Self::SocketsHaveNoPlace { .. } => {
                "make room in /tmp, or set XDG_RUNTIME_DIR to a folder of yours, with a short path"
            }
            Self::SshConfigSlow { destination, .. } => {
                return Some(format!(
                    "something in ssh's config takes longer than that, such as a `Match exec`: try `ssh -G \
                     {destination}`"
                ));
            }
            Self::SshConfigNotAsked { .. } => "`ssh` must be in PATH: install OpenSSH",
            Self::ProgramNotServed { .. }
            | Self::StdoutUnwritable { .. }
            | Self::FileUnwritable { .. }
            | Self::PagesUnwritable { .. }
            | Self::SshConfigUnreadable { .. }
            | Self::JumpsInCircle { .. } => return None,
        };
        Some(mend.to_owned())
    }
}
