//! A table of what ssh, sshd, PAM, login shells and the programs that make root really say, and what we make of it.
//!
//! All of it was said on hosts of the lab: OpenSSH 10.0 on both ends, sudo 1.9.16, sudo-rs 0.2.5, `OpenDoas` 6.8.2,
//! systemd 257 with polkit 126; sshd had the option that is in question, or the account was made so. Of `ssh -v` the
//! lines of `debug1` that nobody reads are left out, and long lines are cut. Where a row has a banner, that one has the
//! very words by which other rows are read.

use std::time::Duration;

use pretty_assertions::assert_eq;

use super::connect_error::{ConnectCause, ConnectError};
use super::login::ScriptEnd;
use super::transport::Reading;
use crate::event::reason::Worded;
use crate::event::reason::cause::Cause;
use crate::facts::privilege::RootLack;
use crate::inventory::model::{Become, HostName};

/// What `ssh -v` said on stderr when there was no login, or no session.
struct SshRow {
    who: &'static str,
    when: &'static str,
    said: &'static str,
    code: &'static str,
    /// A part of what is to be done.
    mend: &'static str,
}

#[expect(clippy::too_many_lines, reason = "one row for each output, and nothing else")]
fn of_ssh() -> Vec<SshRow> {
    vec![
        SshRow {
            who: "ssh",
            when: "before login",
            said: "ssh: connect to host 198.51.100.10 port 2222: Connection timed out\r\n",
            code: "login-timed-out",
            mend: "try it by hand",
        },
        SshRow {
            who: "ssh",
            when: "before login",
            said: "ssh: connect to host 198.51.100.10 port 2299: Connection refused\r\n",
            code: "connection-refused",
            mend: "try it by hand",
        },
        SshRow {
            who: "ssh",
            when: "before login",
            said: "ssh: connect to host 198.51.100.77 port 22: Network is unreachable\r\n",
            code: "machine-unreachable",
            mend: "try it by hand",
        },
        SshRow {
            who: "ssh",
            when: "before login",
            said: "ssh: Could not resolve hostname nowhere.invalid: Temporary failure in name resolution\r\n",
            code: "name-unknown",
            mend: "try it by hand",
        },
        SshRow {
            who: "ssh",
            when: "before login",
            said: concat!(
                "debug1: Server host key: ssh-ed25519 SHA256:T2nfdUl3RrFVefkXrHTIU7nXHnH7pUpZ7pHkfAEt6Fc\r\n",
                "No ED25519 host key is known for [198.51.100.10]:2222 and you have requested strict checking.\r\n",
                "Host key verification failed.\r\n",
            ),
            code: "host-key-unknown",
            mend: "compare the fingerprint",
        },
        SshRow {
            who: "sshd 10.0, of a penalty, or beyond MaxStartups",
            when: "before login",
            said: concat!(
                "debug1: kex_exchange_identification: banner line 0: Not allowed at this time\r\n",
                "kex_exchange_identification: read: Connection reset by peer\r\n",
                "Connection reset by 198.51.100.10 port 22\r\n",
            ),
            code: "sshd-busy",
            mend: "PerSourcePenaltyExemptList",
        },
        SshRow {
            who: "sshd 9.2, beyond MaxStartups",
            when: "before login",
            said: concat!(
                "debug1: kex_exchange_identification: banner line 0: Exceeded MaxStartups\r\n",
                "Connection closed by 127.0.0.1 port 22922\r\n",
            ),
            code: "sshd-busy",
            mend: "MaxStartups",
        },
        SshRow {
            who: "a host that talks before its greeting",
            when: "before login",
            said: concat!(
                "debug1: kex_exchange_identification: banner line 0: Not allowed at this time, evil\r\n",
                "Connection closed by 198.51.100.10 port 22\r\n",
            ),
            code: "machine-unreachable",
            mend: "try it by hand",
        },
        SshRow {
            who: "ssh",
            when: "before login",
            said: "Unable to negotiate with 198.51.100.10 port 2226: no matching key exchange method found. T\r\n",
            code: "login-failed",
            mend: "",
        },
        SshRow {
            who: "sshd",
            when: "before login",
            said: concat!(
                "kex_exchange_identification: read: Connection reset by peer\r\n",
                "Connection reset by 198.51.100.10 port 2228\r\n",
            ),
            code: "machine-unreachable",
            mend: "try it by hand",
        },
        SshRow {
            who: "the jump's sshd",
            when: "before login",
            said: concat!(
                "debug1: Server host key: ssh-ed25519 SHA256:T2nfdUl3RrFVefkXrHTIU7nXHnH7pUpZ7pHkfAEt6Fc\r\n",
                "debug1: SSH2_MSG_SERVICE_ACCEPT received\r\n",
                "debug1: Authentications that can continue: publickey,password,keyboard-interactive\r\n",
                "debug1: Server accepts key: /root/.ssh/id_ed25519 ED25519 SHA256:WDBhjeb307mT/Vo+nOCZLxWWa\r\n",
                "Authenticated to 198.51.100.10 ([198.51.100.10]:22) using \"publickey\".\r\n",
                "channel 0: open failed: connect failed: Network is unreachable\r\n",
                "stdio forwarding failed\r\n",
                "kex_exchange_identification: Connection closed by remote host\r\n",
                "Connection closed by UNKNOWN port 65535\r\n",
            ),
            code: "jump-blocked",
            mend: "try it by hand",
        },
        SshRow {
            who: "sshd, with a banner",
            when: "at login",
            said: concat!(
                "debug1: Server host key: ssh-ed25519 SHA256:T2nfdUl3RrFVefkXrHTIU7nXHnH7pUpZ7pHkfAEt6Fc\r\n",
                "debug1: SSH2_MSG_SERVICE_ACCEPT received\r\n",
                "***********************************************************\n",
                "Unauthorized access is logged. Host key verification failed\n",
                "attempts are reported. Connection timed out sessions are\n",
                "closed. Permission denied (to strangers).\n",
                "ssh: connect to host evil port 22: Connection refused\n",
                "***********************************************************\n",
                "debug1: Authentications that can continue: publickey,password,keyboard-interactive\r\n",
                "@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@\r\n",
                "@         WARNING: UNPROTECTED PRIVATE KEY FILE!          @\r\n",
                "@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@\r\n",
                "Permissions 0666 for '/dev/null' are too open.\r\n",
                "It is required that your private key files are NOT accessible by others.\r\n",
                "This private key will be ignored.\r\n",
                "Load key \"/dev/null\": bad permissions\r\n",
                "deploy@198.51.100.10: Permission denied (publickey,password,keyboard-interactive).\r\n",
            ),
            code: "login-refused",
            mend: "must log in without a question",
        },
        SshRow {
            who: "sshd",
            when: "at login",
            said: concat!(
                "debug1: Server host key: ssh-ed25519 SHA256:T2nfdUl3RrFVefkXrHTIU7nXHnH7pUpZ7pHkfAEt6Fc\r\n",
                "debug1: SSH2_MSG_SERVICE_ACCEPT received\r\n",
                "debug1: Authentications that can continue: publickey,password,keyboard-interactive\r\n",
                "debug1: Authentications that can continue: publickey,password,keyboard-interactive\r\n",
                "deploy@198.51.100.10: Permission denied (publickey,password,keyboard-interactive).\r\n",
            ),
            code: "login-refused",
            mend: "must log in without a question",
        },
        SshRow {
            who: "sshd",
            when: "at login",
            said: concat!(
                "debug1: Server host key: ssh-ed25519 SHA256:T2nfdUl3RrFVefkXrHTIU7nXHnH7pUpZ7pHkfAEt6Fc\r\n",
                "debug1: SSH2_MSG_SERVICE_ACCEPT received\r\n",
                "debug1: Authentications that can continue: publickey,password,keyboard-interactive\r\n",
                "Received disconnect from 198.51.100.10 port 2227:2: Too many authentication failures\r\n",
                "Disconnected from 198.51.100.10 port 2227\r\n",
            ),
            code: "login-refused",
            mend: "must log in without a question",
        },
        SshRow {
            who: "PAM, after a banner",
            when: "at login",
            said: concat!(
                "debug1: Server host key: ssh-ed25519 SHA256:T2nfdUl3RrFVefkXrHTIU7nXHnH7pUpZ7pHkfAEt6Fc\r\n",
                "debug1: SSH2_MSG_SERVICE_ACCEPT received\r\n",
                "***********************************************************\n",
                "Unauthorized access is logged. Host key verification failed\n",
                "attempts are reported. Connection timed out sessions are\n",
                "closed. Permission denied (to strangers).\n",
                "ssh: connect to host evil port 22: Connection refused\n",
                "***********************************************************\n",
                "debug1: Authentications that can continue: publickey,password,keyboard-interactive\r\n",
                "debug1: Server accepts key: /root/.ssh/id_ed25519 ED25519 SHA256:WDBhjeb307mT/Vo+nOCZLxWWa\r\n",
                "Your account has expired; please contact your system administrator.\n",
                "Connection closed by 198.51.100.10 port 2222\r\n",
            ),
            code: "account-refused",
            mend: "chage -l",
        },
        SshRow {
            who: "PAM, after a banner",
            when: "at login",
            said: concat!(
                "debug1: Server host key: ssh-ed25519 SHA256:T2nfdUl3RrFVefkXrHTIU7nXHnH7pUpZ7pHkfAEt6Fc\r\n",
                "debug1: SSH2_MSG_SERVICE_ACCEPT received\r\n",
                "***********************************************************\n",
                "Unauthorized access is logged. Host key verification failed\n",
                "attempts are reported. Connection timed out sessions are\n",
                "closed. Permission denied (to strangers).\n",
                "ssh: connect to host evil port 22: Connection refused\n",
                "***********************************************************\n",
                "debug1: Authentications that can continue: publickey,password,keyboard-interactive\r\n",
                "debug1: Server accepts key: /root/.ssh/id_ed25519 ED25519 SHA256:WDBhjeb307mT/Vo+nOCZLxWWa\r\n",
                "Down for the move to the cellar.\n",
                "Connection closed by 198.51.100.10 port 2222\r\n",
            ),
            code: "account-refused",
            mend: "/run/nologin",
        },
        SshRow {
            who: "sshd",
            when: "after login",
            said: concat!(
                "debug1: Server host key: ssh-ed25519 SHA256:T2nfdUl3RrFVefkXrHTIU7nXHnH7pUpZ7pHkfAEt6Fc\r\n",
                "debug1: SSH2_MSG_SERVICE_ACCEPT received\r\n",
                "debug1: Authentications that can continue: publickey,password,keyboard-interactive\r\n",
                "debug1: Server accepts key: /root/.ssh/id_ed25519 ED25519 SHA256:WDBhjeb307mT/Vo+nOCZLxWWa\r\n",
                "Authenticated to 198.51.100.10 ([198.51.100.10]:2225) using \"publickey\".\r\n",
                "channel 0: open failed: connect failed: open failed\r\n",
            ),
            code: "session-refused",
            mend: "MaxSessions",
        },
    ]
}

/// What a host said when it was given the command line of a script, and ran none.
struct HostRow {
    who: &'static str,
    becoming: Become,
    status: i32,
    stdout: &'static str,
    stderr: &'static str,
    code: &'static str,
    /// The words that are shown.
    said: &'static str,
    mend: &'static str,
}

const SHELL: &str = "\nfleetdeploy-shell\n";

#[expect(clippy::too_many_lines, reason = "one row for each output, and nothing else")]
fn of_hosts() -> Vec<HostRow> {
    let no_shell = |who, status, stdout, stderr, said| HostRow {
        who,
        becoming: Become::Auto,
        status,
        stdout,
        stderr,
        code: "login-shell-unfit",
        said,
        mend: "",
    };
    let no_root = |who, becoming, status, stderr, code, said, mend| HostRow {
        who,
        becoming,
        status,
        stdout: SHELL,
        stderr,
        code,
        said,
        mend,
    };
    let words = || Become::Words(vec!["/nonexistent/please".into(), "--".into()]);
    vec![
        // In the place of a shell, on either stream.
        no_shell(
            "nologin",
            1,
            "This account is currently not available.\n",
            "",
            "This account is currently not available.",
        ),
        no_shell("a forced command", 3, "only backups here\n", "", "only backups here"),
        no_shell(
            "ForceCommand internal-sftp",
            1,
            "This service allows sftp connections only.\n",
            "",
            "This service allows sftp connections only.",
        ),
        HostRow {
            code: "password-expired",
            mend: "chage -M -1",
            ..no_shell(
                "PAM, of a password",
                1,
                "",
                "You are required to change your password immediately (administrator enforced).\n\
                 WARNING: Your password has expired.\nPassword change required but no TTY available.\n",
                "Password change required but no TTY available.",
            )
        },
        // At root, on stderr.
        no_root(
            "sudo",
            Become::Auto,
            1,
            "sudo: a password is required\n",
            "root-password-needed",
            "sudo: a password is required",
            "become: sudo-password",
        ),
        no_root(
            "sudo, after a mistake in sudoers",
            Become::Sudo,
            1,
            "/etc/sudoers:1:13: syntax error\ngarbage here\n            ^\nsudo: a password is required\n",
            "root-password-needed",
            "sudo: a password is required",
            "become: sudo-password",
        ),
        no_root(
            "sudo, of a wrong password",
            Become::SudoPassword,
            98,
            "Sorry, try again.\n\nsudo: no password was provided\nsudo: 1 incorrect password attempt\n",
            "root-password-wrong",
            "sudo: 1 incorrect password attempt",
            "the sudo password is wrong",
        ),
        no_root(
            "sudo with requiretty",
            Become::Sudo,
            1,
            "sudo: sorry, you must have a tty to run sudo\n",
            "root-terminal-needed",
            "sudo: sorry, you must have a tty to run sudo",
            "!requiretty",
        ),
        no_root(
            "sudo, of a sudoers that it does not trust",
            Become::Sudo,
            1,
            "sudo: /etc/sudoers is world writable\nsudo: error initializing audit plugin sudoers_audit\n",
            "root-failed",
            "sudo: error initializing audit plugin sudoers_audit",
            "",
        ),
        no_root(
            "sudo in a container",
            Become::Sudo,
            1,
            "sudo: The \"no new privileges\" flag is set, which prevents sudo from running as root.\n\
             sudo: If sudo is running in a container, you may need to adjust the container configuration to disable \
             the flag.\n",
            "root-failed",
            "sudo: If sudo is running in a container, you may need to adjust the container configuration to disable \
             the flag.",
            "",
        ),
        no_root(
            "bash, of sudo",
            Become::Auto,
            127,
            "/bin/sh: line 1: exec: sudo: not found\n",
            "root-program-missing",
            "/bin/sh: line 1: exec: sudo: not found",
            "this host has no sudo",
        ),
        no_root(
            "dash, of sudo",
            Become::Auto,
            127,
            "fleetdeploy: 1: exec: sudo: not found\n",
            "root-program-missing",
            "fleetdeploy: 1: exec: sudo: not found",
            "this host has no sudo",
        ),
        no_root(
            "sudo-rs",
            Become::Sudo,
            1,
            "sudo-rs: interactive authentication is required\n",
            "root-password-needed",
            "sudo-rs: interactive authentication is required",
            "become: sudo-password",
        ),
        no_root(
            "sudo-rs, of who is not in sudoers",
            Become::Sudo,
            1,
            "sudo-rs: I'm sorry nobodyx. I'm afraid I can't do that\n",
            "root-not-allowed",
            "sudo-rs: I'm sorry nobodyx. I'm afraid I can't do that",
            "wheel",
        ),
        no_root(
            "sudo-rs, of a wrong password",
            Become::SudoPassword,
            98,
            "\nsudo: Authentication failed, try again.\n",
            "root-password-wrong",
            "sudo: Authentication failed, try again.",
            "the sudo password is wrong",
        ),
        no_root(
            "doas without its file",
            Become::Doas,
            1,
            "doas: doas is not enabled, /etc/doas.conf: No such file or directory\n",
            "root-not-allowed",
            "doas: doas is not enabled, /etc/doas.conf: No such file or directory",
            "permit nopass",
        ),
        no_root(
            "doas",
            Become::Doas,
            1,
            "doas: Authentication required\n",
            "root-password-needed",
            "doas: Authentication required",
            "permit nopass",
        ),
        no_root(
            "doas, of who is in no rule",
            Become::Doas,
            1,
            "doas: Operation not permitted\n",
            "root-not-allowed",
            "doas: Operation not permitted",
            "permit nopass",
        ),
        no_root(
            "run0",
            Become::Run0,
            1,
            "Failed to start transient service unit: Interactive authentication required.\n",
            "root-password-needed",
            "Failed to start transient service unit: Interactive authentication required.",
            "polkit",
        ),
        no_root(
            "run0 without polkit",
            Become::Run0,
            1,
            "Failed to start transient service unit: Access denied\n",
            "root-not-allowed",
            "Failed to start transient service unit: Access denied",
            "security.polkit.enable",
        ),
        no_root(
            "bash, of a command of one's own",
            words(),
            127,
            "fleetdeploy: line 1: /nonexistent/please: No such file or directory\n",
            "root-program-missing",
            "fleetdeploy: line 1: /nonexistent/please: No such file or directory",
            "has no /nonexistent/please",
        ),
    ]
}

#[test]
fn what_ssh_says_has_its_cause_and_its_mend_whoever_speaks_between() {
    for SshRow { who, when, said, code, mend } in of_ssh() {
        let cause = ConnectCause::read(said, Duration::from_secs(5));
        let error = ConnectError { machine: "vps".into(), by_hand: "ssh vps".into(), cause };
        let cause = Cause::from(&error);
        #[cfg(test)]
        crate::codes::keep_judged([cause.clone()]);
        let found: &'static str = (&cause).into();
        assert_eq!(found, code, "{who}, {when}: {cause}");
        assert!(cause.mend().unwrap_or_default().contains(mend), "{who}, {when}: {cause}: {:?}", cause.mend());
        assert!(!cause.to_string().contains("evil"), "{who}, {when}: the banner speaks: {cause}");
    }
}

#[test]
fn what_pam_gives_as_its_reason_is_what_is_shown() {
    for reason in
        ["Your account has expired; please contact your system administrator.", "Down for the move to the cellar."]
    {
        let rows = of_ssh();
        let row = rows.iter().find(|row| row.said.contains(reason)).unwrap();
        match ConnectCause::read(row.said, Duration::ZERO) {
            ConnectCause::AccountRefused(said) => assert_eq!(said, reason),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn what_a_host_says_in_the_place_of_a_script_has_its_cause_and_its_mend() {
    let host = HostName::new("vps").unwrap();
    for HostRow { who, becoming, status, stdout, stderr, code, said, mend } in of_hosts() {
        let end = ScriptEnd {
            host: &host,
            script: "survey",
            becoming: &becoming,
            status: Some(status),
            stderr: stderr.as_bytes(),
        };
        let error = end.judge(Reading::of(stdout.as_bytes())).unwrap_err();
        let cause = Cause::from(&error);
        #[cfg(test)]
        crate::codes::keep_judged([cause.clone()]);
        let found: &'static str = (&cause).into();
        assert_eq!(found, code, "{who}: {cause}");
        assert!(cause.to_string().ends_with(said), "{who}: {cause}");
        assert!(cause.mend().unwrap_or_default().contains(mend), "{who}: {cause}: {:?}", cause.mend());
    }
}

#[test]
fn a_program_that_makes_root_and_says_nothing_is_told_from_a_shell_that_never_began() {
    let host = HostName::new("vps").unwrap();
    let end = ScriptEnd { host: &host, script: "survey", becoming: &Become::Sudo, status: None, stderr: b"" };
    let silent = end.unsent(&Reading::of(SHELL.as_bytes()), true);
    assert!(
        matches!(&silent, super::StepError::NotRoot { refusal, .. } if refusal.why == RootLack::Silent),
        "{silent:?}"
    );
    let no_shell = end.unsent(&Reading::of(b"Loading your profile...\n"), true);
    assert!(no_shell.nothing_ran() && no_shell.to_string().contains("login shell"), "{no_shell}");
}
