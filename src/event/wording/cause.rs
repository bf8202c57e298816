use std::fmt;

use super::{Worded, words};
use crate::event::reason::cause::Cause;
use crate::facts::file_limit::FileLimit;
use crate::facts::privilege::RootProgram;
use crate::facts::systems::Systems;

/// The three places of a host, as far as they differ.
impl fmt::Display for Systems {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let boots = match self.known_boot_default() {
            Some(system) => format!("a reboot brings {}", words::bare(system)),
            None => "what a reboot brings is not known".to_owned(),
        };
        if self.agree() {
            formatter.write_str(&words::bare(&self.current))
        } else {
            let (current, profile) = (words::bare(&self.current), words::bare(&self.profile));
            write!(formatter, "{current} ({boots}; its profile is {profile})")
        }
    }
}

impl fmt::Display for FileLimit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Process => {
                "this process may have no more files open: raise the limit with `ulimit -n`, also the hard one"
            }
            Self::Machine => "this machine can have no more files open: end what has them open, or raise fs.file-max",
        })
    }
}

impl fmt::Display for Cause {
    #[expect(clippy::too_many_lines, reason = "a sentence for each cause, and nothing else")]
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let no_login = |formatter: &mut fmt::Formatter<'_>, machine: &str, why: &dyn fmt::Display| {
            write!(formatter, "no ssh login on {machine}: {why}")
        };
        let no_root = |formatter: &mut fmt::Formatter<'_>, machine: &str, script: &str, why: &str| {
            write!(formatter, "no root on {machine} for `{script}`: {why}")
        };
        let shown =
            |fingerprint: &Option<String>| fingerprint.as_ref().map(|text| format!(" ({text})")).unwrap_or_default();
        match self {
            Self::HostKeyUnknown { machine, fingerprint, .. } => {
                no_login(formatter, machine, &format_args!("its host key is not known{}", shown(fingerprint)))
            }
            Self::HostKeyChanged { machine, fingerprint, .. } => {
                no_login(formatter, machine, &format_args!("ITS HOST KEY HAS CHANGED{}", shown(fingerprint)))
            }
            Self::LoginFailed { machine, said } if said.is_empty() => {
                no_login(formatter, machine, &"ssh ended without a word")
            }
            Self::LoginFailed { machine, said }
            | Self::LoginRefused { machine, said, .. }
            | Self::ConnectionRefused { machine, said, .. }
            | Self::MachineUnreachable { machine, said, .. }
            | Self::NameUnknown { machine, said, .. } => no_login(formatter, machine, said),
            Self::AgentFailed { machine, said, agent, .. } => no_login(
                formatter,
                machine,
                &format_args!("{said}, and the ssh agent of this workstation fails: {agent}"),
            ),
            Self::AccountRefused { machine, said, .. } => {
                no_login(formatter, machine, &format_args!("its sshd takes the key, and not the account: {said}"))
            }
            Self::SshdBusy { machine, said, .. } => {
                no_login(formatter, machine, &format_args!("its sshd lets nobody in from here just now: {said}"))
            }
            Self::SessionRefused { machine, said, .. } => {
                no_login(formatter, machine, &format_args!("its sshd lets us in, and opens no session: {said}"))
            }
            Self::JumpBlocked { machine, .. } => {
                no_login(formatter, machine, &"the jump on the way does not get through to it, or does not forward")
            }
            Self::LoginTimedOut { machine, waited, .. } => {
                no_login(formatter, machine, &format_args!("no answer within {} s", waited.as_secs()))
            }
            Self::LoginTooLong { machine, bytes, .. } => no_login(
                formatter,
                machine,
                &format_args!("it says more than any login has, and was cut off after {bytes} bytes"),
            ),
            Self::SshNotStarted { machine, .. } => no_login(formatter, machine, &"cannot run ssh"),
            Self::RunFolderGone { machine, folder, said } => no_login(
                formatter,
                machine,
                &format_args!(
                    "{folder}, where this run has its ssh config and sockets, is gone from this workstation, \
                               and cannot be made anew: {said}"
                ),
            ),
            Self::RunFolderUnusable { machine, folder, said } => no_login(
                formatter,
                machine,
                &format_args!(
                    "{folder}, where this run has its ssh config and sockets, cannot be used on this workstation: \
                     {said}"
                ),
            ),
            Self::ScriptUnsendable { script, said } => write!(formatter, "`{script}` cannot be sent: {said}"),
            Self::ScriptNotBegun { machine, script, said } => {
                write!(formatter, "`{script}` was not begun on {machine}: {said}")
            }
            Self::RootPasswordNeeded { machine, script, by, .. } => {
                no_root(formatter, machine, script, &format!("{by} wants a password"))
            }
            Self::RootPasswordWrong { machine, script, by, .. } => {
                no_root(formatter, machine, script, &format!("{by} refused the password"))
            }
            Self::RootNotAllowed { machine, script, by, .. } => {
                no_root(formatter, machine, script, &format!("{by} does not allow it to this user"))
            }
            Self::RootProgramMissing { machine, script, by, .. } => {
                no_root(formatter, machine, script, &format!("there is no {by}"))
            }
            Self::RootTerminalNeeded { machine, script, by, .. } => {
                no_root(formatter, machine, script, &format!("{by} wants a terminal"))
            }
            Self::RootNotReached { machine, script, by, .. } => {
                no_root(formatter, machine, script, &format!("after {by} the shell is not root's"))
            }
            Self::RootSilent { machine, script, by, .. } => {
                no_root(formatter, machine, script, &format!("{by} does not answer"))
            }
            Self::RootFailed { machine, script, by, .. } => {
                no_root(formatter, machine, script, &format!("{by} failed"))
            }
            Self::LoginShellUnfit { machine, script, status, .. } => {
                write!(formatter, "the login shell of {machine} cannot run `{script}` (status {status})")
            }
            Self::PasswordExpired { machine, .. } => {
                write!(formatter, "{machine} lets us in, and wants a new password first")
            }
            Self::ScriptFailed { machine, script, status, .. } => {
                write!(formatter, "`{script}` on {machine} exited with status {status}")
            }
            Self::NoAnswer { machine, script, waited } => {
                write!(formatter, "no answer from {machine} to `{script}` within {} s", waited.as_secs())
            }
            Self::ConnectionLost { machine, script, .. } => {
                write!(formatter, "lost the ssh connection to {machine} during `{script}`")
            }
            Self::AnswerTooLong { machine, script, bytes } => write!(
                formatter,
                "{machine} said more to `{script}` than any answer has, and was cut off after {bytes} bytes"
            ),
            Self::AnswerCutShort { machine, script, .. } => {
                write!(formatter, "the answer of {machine} to `{script}` was cut short")
            }
            Self::AnswerUnreadable { lacking } => {
                write!(formatter, "its answer made no sense: the answer has no usable `{lacking}`")
            }
            Self::NotNixos => formatter.write_str("the host is not a NixOS"),
            Self::SilentTooLong { waited } => write!(formatter, "no answer within {} s", waited.as_secs()),
            Self::NoTimeToAsk => formatter.write_str("there was no time to ask it"),
            Self::StepGivenUp => formatter.write_str("the step was given up"),
            Self::HeldByAnotherRun { .. } => formatter.write_str("another run holds this host"),
            Self::ForeignGuardArmed { .. } => formatter.write_str("somebody else's guard is armed on this host"),
            Self::RunSuperseded { .. } => formatter.write_str("another fleetdeploy has taken this run over"),
            Self::RunEnded { .. } => formatter.write_str("the run has been ended from elsewhere"),
            Self::OtherBoot { .. } => formatter.write_str("the host has restarted"),
            Self::SystemMoved { .. } => formatter.write_str("the host is not on the system that was expected"),
            Self::GuardMissing { .. } => formatter.write_str("no guard of this run is armed"),
            Self::GuardTooSoon { .. } => formatter.write_str("the guard fires too soon for this step"),
            Self::GuardHasFired { .. } => formatter.write_str("the guard has fired"),
            Self::ChangeUnderWay { .. } => formatter.write_str("a switch, a reboot or an upgrade is under way"),
            Self::ArgumentRejected { .. } => formatter.write_str("the host could not take what it was sent"),
            Self::HostRefused { .. } => formatter.write_str("the host refused"),
            Self::HostReportsFailure { said } | Self::HostUnwritable { said } => formatter.write_str(said),
            Self::JobFailed { cause } => cause.fmt(formatter),
            Self::NotWhereExpected { systems } => {
                write!(formatter, "the host is on {systems} afterwards, not where it should be")
            }
            Self::OnOtherSystems { systems } => write!(formatter, "it is on {systems}"),
            Self::RunsForeignSystem { system } => {
                write!(formatter, "it runs {}, which this push did not bring", words::bare_text(system))
            }
            Self::NeitherOldNorNew { systems } => write!(formatter, "it is on {systems}, neither old nor new"),
            Self::OldNotKnown { systems } => {
                write!(formatter, "it is on {systems}, and what it ran before the run was not known yet")
            }
            Self::WayMayBeCut => formatter
                .write_str("it is out of reach, and all others are through: a change may have cut the way to it"),
            Self::SilentWhileSettling => formatter.write_str("it did not answer within the settle time"),
            Self::UnitsUnheard => formatter.write_str("it does not say how its units are"),
        }?;
        match self.last_words() {
            Some(said) => write!(formatter, ": {said}"),
            None => Ok(()),
        }
    }
}

impl Cause {
    /// Returns the words of the host, or of a program there, that end the sentence.
    fn last_words(&self) -> Option<&str> {
        let said = match self {
            Self::RootPasswordNeeded { said, .. }
            | Self::RootPasswordWrong { said, .. }
            | Self::RootNotAllowed { said, .. }
            | Self::RootProgramMissing { said, .. }
            | Self::RootTerminalNeeded { said, .. }
            | Self::RootNotReached { said, .. }
            | Self::RootSilent { said, .. }
            | Self::RootFailed { said, .. }
            | Self::SshNotStarted { said, .. }
            | Self::LoginShellUnfit { said, .. }
            | Self::PasswordExpired { said, .. }
            | Self::ScriptFailed { said, .. }
            | Self::ConnectionLost { said, .. }
            | Self::AnswerCutShort { said, .. }
            | Self::HeldByAnotherRun { said }
            | Self::ForeignGuardArmed { said }
            | Self::RunSuperseded { said }
            | Self::RunEnded { said }
            | Self::OtherBoot { said }
            | Self::SystemMoved { said }
            | Self::GuardMissing { said }
            | Self::GuardTooSoon { said }
            | Self::GuardHasFired { said }
            | Self::ChangeUnderWay { said }
            | Self::ArgumentRejected { said }
            | Self::HostRefused { said } => said,
            Self::HostKeyUnknown { .. }
            | Self::HostKeyChanged { .. }
            | Self::LoginRefused { .. }
            | Self::AgentFailed { .. }
            | Self::AccountRefused { .. }
            | Self::SshdBusy { .. }
            | Self::ConnectionRefused { .. }
            | Self::MachineUnreachable { .. }
            | Self::JumpBlocked { .. }
            | Self::SessionRefused { .. }
            | Self::LoginTimedOut { .. }
            | Self::LoginTooLong { .. }
            | Self::NameUnknown { .. }
            | Self::LoginFailed { .. }
            | Self::RunFolderGone { .. }
            | Self::RunFolderUnusable { .. }
            | Self::ScriptUnsendable { .. }
            | Self::ScriptNotBegun { .. }
            | Self::NoAnswer { .. }
            | Self::AnswerTooLong { .. }
            | Self::AnswerUnreadable { .. }
            | Self::NotNixos
            | Self::SilentTooLong { .. }
            | Self::NoTimeToAsk
            | Self::StepGivenUp
            | Self::HostUnwritable { .. }
            | Self::HostReportsFailure { .. }
            | Self::JobFailed { .. }
            | Self::NotWhereExpected { .. }
            | Self::OnOtherSystems { .. }
            | Self::RunsForeignSystem { .. }
            | Self::NeitherOldNorNew { .. }
            | Self::OldNotKnown { .. }
            | Self::WayMayBeCut
            | Self::SilentWhileSettling
            | Self::UnitsUnheard => return None,
        };
        Some(said.as_str()).filter(|said| !said.is_empty())
    }
}

/// What to do where a password is wanted that nobody can give.
fn password_needed(by: &RootProgram) -> String {
    match by {
        RootProgram::Sudo => "set `become: sudo-password` for this host, or let its user run sudo without a password \
                              (`security.sudo.wheelNeedsPassword = false;`), or log in as root"
            .to_owned(),
        RootProgram::Doas => "doas reads a password from a terminal alone, and a run has none: let the user run doas \
                              without one (`permit nopass NAME as root` in doas.conf), or log in as root"
            .to_owned(),
        RootProgram::Run0 => "run0 asks polkit, which asks a person at a terminal, and a run has none: let polkit \
                              answer YES for this user and `org.freedesktop.systemd1.manage-units` \
                              (`security.polkit.extraConfig`), or log in as root"
            .to_owned(),
        RootProgram::Other(_) => "the words of `become` must make root without a question".to_owned(),
    }
}

/// What to do where the user may not become root.
fn not_allowed(by: &RootProgram) -> String {
    match by {
        RootProgram::Sudo => {
            "let the user run everything by sudo (put it into the group `wheel`), or log in as root".to_owned()
        }
        RootProgram::Doas => {
            "let the user run everything by doas (`permit nopass NAME as root` in doas.conf), or log in as root"
                .to_owned()
        }
        RootProgram::Run0 => "enable polkit there (`security.polkit.enable = true;`) and let it answer YES for this \
                              user and `org.freedesktop.systemd1.manage-units`, or log in as root"
            .to_owned(),
        RootProgram::Other(word) => format!("let the user run everything by {word}, or log in as root"),
    }
}

impl Worded for Cause {
    #[expect(clippy::too_many_lines, reason = "one line for each of what has no mend")]
    fn mend(&self) -> Option<String> {
        match self {
            Self::HostKeyUnknown { by_hand, .. } => Some(format!(
                "compare the fingerprint with the machine's own (`ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` \
                 there), then log in once by hand: {by_hand}"
            )),
            Self::HostKeyChanged { known_in, known_line, known_as, by_hand, .. } => {
                let place = match (known_in, known_line) {
                    (Some(file), Some(line)) => format!(" The key known so far is in {file}, line {line}."),
                    _ => String::new(),
                };
                let forget = match (known_in, known_as) {
                    (Some(file), Some(name)) => format!("ssh-keygen -f {file} -R '{name}'"),
                    _ => "ssh-keygen -R NAME".to_owned(),
                };
                Some(format!(
                    "somebody may be in the way, or the machine was installed anew.{place} Only if you know why: \
                     {forget}, then {by_hand}"
                ))
            }
            Self::LoginRefused { by_hand, .. } => {
                Some(format!("nothing is asked during a run: this must log in without a question: {by_hand}"))
            }
            Self::AgentFailed { by_hand, .. } => Some(format!(
                "start the agent again at the socket that SSH_AUTH_SOCK names, or unlock it: `ssh-add -l` must list \
                 the key; then this must log in without a question: {by_hand}"
            )),
            Self::AccountRefused { by_hand, .. } => Some(format!(
                "look there for why: `chage -l` of the user that logs in, /run/nologin; then try it by hand: {by_hand}"
            )),
            Self::SshdBusy { by_hand, .. } => Some(format!(
                "wait half a minute, and try it by hand: {by_hand}; such a penalty for failed logins ends by itself. \
                 If it comes again, look there for who fails to log in from this address (`journalctl -t sshd`), \
                 exempt it (services.openssh.settings.PerSourcePenaltyExemptList), or let more logins begin at once \
                 (services.openssh.settings.MaxStartups)"
            )),
            Self::ConnectionRefused { by_hand, .. }
            | Self::MachineUnreachable { by_hand, .. }
            | Self::JumpBlocked { by_hand, .. }
            | Self::LoginTimedOut { by_hand, .. }
            | Self::LoginTooLong { by_hand, .. }
            | Self::NameUnknown { by_hand, .. } => Some(format!("try it by hand: {by_hand}")),
            Self::SessionRefused { by_hand, .. } => Some(format!(
                "a push needs sessions: services.openssh.settings.MaxSessions = 10; and try it by hand: {by_hand} true"
            )),
            Self::SshNotStarted { limit: Some(limit), .. } => Some(limit.to_string()),
            Self::SshNotStarted { limit: None, .. } => Some(
                "`ssh` must be in PATH on this workstation, all the time that a run takes: install OpenSSH".to_owned(),
            ),
            Self::JobFailed { cause } => cause.mend(),
            Self::RootPasswordNeeded { by, .. } => Some(password_needed(by)),
            Self::RootPasswordWrong { by, .. } => {
                Some(format!("the {by} password is wrong: begin again with the right one"))
            }
            Self::RootNotAllowed { by, .. } => Some(not_allowed(by)),
            Self::RootProgramMissing { by: RootProgram::Sudo, .. } => Some(
                "this host has no sudo: set `user: root`, or `become: doas` or `become: run0` if it has one of these"
                    .to_owned(),
            ),
            Self::RootProgramMissing { by, .. } => {
                Some(format!("this host has no {by}: set another `become` for it, or `user: root`"))
            }
            Self::RootTerminalNeeded { .. } => Some(
                "a run has no terminal: take `Defaults requiretty` out of the host's sudoers, or write \
                 `Defaults:NAME !requiretty` for the user that logs in"
                    .to_owned(),
            ),
            Self::RootNotReached { .. } => {
                Some("the words of `become` must make root of the user that logs in".to_owned())
            }
            Self::PasswordExpired { .. } => Some(
                "change it there, or let it not expire: `chage -M -1 NAME`, and `chage -d $(date +%F) NAME` where the \
                 administrator has made it expire"
                    .to_owned(),
            ),
            Self::RunFolderGone { folder, .. } => {
                Some(format!("see to it that {folder} can be made again on this workstation: room, and rights"))
            }
            Self::HostUnwritable { .. } => Some(
                "make room on that host, or let root write there: `df -h /run /nix`, `nix-collect-garbage -d`"
                    .to_owned(),
            ),
            Self::RunFolderUnusable { folder, .. } => {
                let above = std::path::Path::new(folder).parent().unwrap_or(std::path::Path::new("/tmp"));
                Some(format!("make room in {} on this workstation: `df {}`", above.display(), above.display()))
            }
            Self::LoginFailed { .. }
            | Self::ScriptUnsendable { .. }
            | Self::ScriptNotBegun { .. }
            | Self::RootSilent { .. }
            | Self::RootFailed { .. }
            | Self::LoginShellUnfit { .. }
            | Self::ScriptFailed { .. }
            | Self::NoAnswer { .. }
            | Self::ConnectionLost { .. }
            | Self::AnswerTooLong { .. }
            | Self::AnswerCutShort { .. }
            | Self::AnswerUnreadable { .. }
            | Self::NotNixos
            | Self::SilentTooLong { .. }
            | Self::NoTimeToAsk
            | Self::StepGivenUp
            | Self::HeldByAnotherRun { .. }
            | Self::ForeignGuardArmed { .. }
            | Self::RunSuperseded { .. }
            | Self::RunEnded { .. }
            | Self::OtherBoot { .. }
            | Self::SystemMoved { .. }
            | Self::GuardMissing { .. }
            | Self::GuardTooSoon { .. }
            | Self::GuardHasFired { .. }
            | Self::ChangeUnderWay { .. }
            | Self::ArgumentRejected { .. }
            | Self::HostRefused { .. }
            | Self::HostReportsFailure { .. }
            | Self::NotWhereExpected { .. }
            | Self::OnOtherSystems { .. }
            | Self::RunsForeignSystem { .. }
            | Self::NeitherOldNorNew { .. }
            | Self::OldNotKnown { .. }
            | Self::WayMayBeCut
            | Self::SilentWhileSettling
            | Self::UnitsUnheard => None,
        }
    }
}
