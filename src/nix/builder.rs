//! Finds out what is wrong with a host that was to build for others, where no build has failed.

use super::copy::{CONNECTION, NO_ROOM, is_no_nix, is_of_ssh, printed_before};
use super::tracker::Tracker;
use crate::event::reason::build::BuildFault;
use crate::inventory::model::HostName;

/// What nix says where the one there lets the login not even begin: of `allowed-users` it hears no more than the end of
/// the connection.
const NOT_LET_IN: &[&str] = &["not allowed to connect to the nix daemon", "cannot open connection to remote store"];

/// What is wrong with the machine that was to build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuilderTrouble {
    /// The connection to it, or its nix, ended in the middle.
    Lost,
    /// Its disk is full.
    Full,
    /// It has no nix that can be spoken to by this login.
    Unusable,
}

impl BuilderTrouble {
    /// Reads it, with the words that say most, from what nix and ssh have said.
    pub(super) fn of(tracker: &Tracker) -> Option<(Self, String)> {
        let errors: Vec<String> = tracker.errors().map(str::to_lowercase).collect();
        let nix_says = |words: &[&str]| errors.iter().any(|error| words.iter().any(|words| error.contains(words)));
        let of_ssh = || tracker.others().rev().find(|line| is_of_ssh(line)).map(str::to_owned);
        if nix_says(NO_ROOM) {
            Some((Self::Full, tracker.message()))
        } else if let Some(printed) = printed_before(&tracker.message()) {
            Some((Self::Unusable, printed))
        } else if let Some(line) = tracker.others().find(|line| is_no_nix(line)) {
            Some((Self::Unusable, line.to_owned()))
        } else if nix_says(NOT_LET_IN) && of_ssh().is_none() {
            Some((Self::Unusable, tracker.message()))
        } else if nix_says(CONNECTION) || of_ssh().is_some() {
            // ssh knows more about a connection than nix.
            Some((Self::Lost, of_ssh().unwrap_or_else(|| tracker.message())))
        } else {
            None
        }
    }

    pub(super) fn fault(self, machine: &HostName, said: &str) -> BuildFault {
        let (machine, said) = (machine.clone(), said.to_owned());
        match self {
            Self::Lost => BuildFault::BuilderLost { machine, said },
            Self::Full => BuildFault::BuilderFull { machine, said },
            Self::Unusable => BuildFault::BuilderUnusable { machine, said },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trouble(lines: &[&str]) -> Option<(BuilderTrouble, String)> {
        let mut tracker = Tracker::default();
        for line in lines {
            tracker.take(line);
        }
        BuilderTrouble::of(&tracker)
    }

    fn error(text: &str) -> String {
        format!(r#"@nix {{"action":"msg","level":0,"msg":"error: {text}"}}"#)
    }

    /// Recorded from Nix 2.26.3 with OpenSSH 10.0.
    #[test]
    fn what_is_wrong_with_a_builder_is_told_from_a_build_that_fails() {
        let kind = |lines: &[&str]| trouble(lines).map(|(trouble, _)| trouble);
        let eof = error("unexpected end-of-file");
        assert_eq!(kind(&[&eof]), Some(BuilderTrouble::Lost));
        let said = trouble(&["Connection to 198.51.100.10 closed by remote host.", &eof]).map(|(_, said)| said);
        assert_eq!(said.as_deref(), Some("Connection to 198.51.100.10 closed by remote host."));
        assert_eq!(kind(&[&error("writing to file: No space left on device")]), Some(BuilderTrouble::Full));
        assert_eq!(kind(&["bash: line 1: nix-daemon: command not found", &eof]), Some(BuilderTrouble::Unusable));
        let closed = error(
            "cannot open connection to remote store 'ssh-ng://': error: Nix daemon disconnected unexpectedly (maybe it \
             crashed?)",
        );
        assert_eq!(kind(&[&closed]), Some(BuilderTrouble::Unusable));
        assert_eq!(kind(&["client_loop: send disconnect: Broken pipe", &closed]), Some(BuilderTrouble::Lost));
        assert_eq!(kind(&[&error("1 dependencies of derivation 'x' failed to build")]), None);
        assert_eq!(kind(&[]), None);
    }
}
