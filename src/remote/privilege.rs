//! The command lines that become root on a host, and what a refusal means.
//!
//! Every command line is a constant of single-quoted words. The first `/bin/sh` says that it runs, becomes root and
//! hands over to [`BOOT`], which it finds in `$0`.

use std::fmt;

use super::transport::BOOT;
use crate::inventory::model::Become;

/// Says that `/bin/sh` runs. The empty line ends whatever a login shell printed without a newline. PATH: where NixOS
/// has `sudo`.
const PROLOGUE: &str = concat!(
    "echo; echo fleetdeploy-shell; ",
    r#"PATH="${PATH:+$PATH:}/run/wrappers/bin:/run/current-system/sw/bin"; LC_ALL=C; export PATH LC_ALL; "#,
);

const DIRECTLY: &str = r#"exec /bin/sh -c "$0""#;
const UNLESS_ROOT: &str = r#"if [ "$(id -u)" = 0 ]; then exec /bin/sh -c "$0"; fi; exec sudo -n -- /bin/sh -c "$0""#;
const SUDO: &str = r#"exec sudo -n -- /bin/sh -c "$0""#;

/// The password is sent twice, on a line each; sudo tries the first one alone. Given a wrong password sudo would ask
/// again and take the script's lines for further tries, and the account would be locked (`passwd_tries`, sudoers(5);
/// `pam_faillock`). `-k` with a command neither uses nor leaves a cached credential. The second line goes to sudo
/// itself, or, where it asks for no password, to the boot, which skips it.
const SUDO_WITH_PASSWORD: &str = concat!(
    "IFS= read -r p || exit 97; n=$(echo; echo x); ",
    r#"printf %s "$p${n%x}" | sudo -S -k -p "" -- true || exit 98; unset p; "#,
    r#"exec sudo -S -k -p "" -- /bin/sh -c "$0""#,
);

/// Returns the command line for ssh.
#[must_use]
pub(super) fn command(becoming: Become) -> String {
    let way = match becoming {
        Become::Auto => UNLESS_ROOT,
        Become::No => DIRECTLY,
        Become::Sudo => SUDO,
        Become::SudoPassword => SUDO_WITH_PASSWORD,
    };
    format!("/bin/sh -c '{PROLOGUE}{way}' '{BOOT}'")
}

/// A sudo password. It is only sent on stdin, and never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// Takes a password; `None` for a text that cannot be one line of input.
    #[must_use]
    pub fn new(text: String) -> Option<Self> {
        (!text.chars().any(char::is_control)).then_some(Self(text))
    }

    /// Returns the lines before the framed script.
    pub(super) fn lines(&self) -> String {
        format!("{0}\n{0}\n", self.0)
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Password(…)")
    }
}

/// The reason why a host did not let us be root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RootRefusal {
    PasswordNeeded,
    WrongPassword,
    NotAllowed,
    NoSudo,
    Other,
}

impl RootRefusal {
    /// Reads the reason from sudo's words on stderr, in the C locale.
    ///
    /// Source: the messages of sudo 1.9 (tried by hand with 1.9.13) and of sudo-rs (its source, from memory).
    pub(super) fn read(stderr: &str) -> Self {
        let says = |texts: &[&str]| texts.iter().any(|text| stderr.contains(text));
        if says(&["not in the sudoers", "may not run sudo", "is not allowed to", "can't do that"]) {
            Self::NotAllowed
        } else if says(&["try again", "incorrect password", "incorrect authentication", "Authentication fail"]) {
            Self::WrongPassword
        } else if says(&["password is required", "terminal is required", "authentication is required"]) {
            Self::PasswordNeeded
        } else if says(&["sudo: not found", "sudo: command not found"]) {
            Self::NoSudo
        } else {
            Self::Other
        }
    }
}

impl fmt::Display for RootRefusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::PasswordNeeded => "sudo wants a password",
            Self::WrongPassword => "sudo refused the password",
            Self::NotAllowed => "sudo does not allow it to this user",
            Self::NoSudo => "there is no sudo",
            Self::Other => "sudo failed",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::time::Duration;

    use super::super::Script;
    use super::super::transport::{Reading, frame};
    use super::*;
    use crate::inventory::model::BootLoaderHint;
    use crate::local::process::{Finished, Invocation};

    /// Stands in for sudo: asks for the password `secret` on stdin as sudo does, up to three times, unless told not to.
    const FAKE_SUDO: &str = r#"#!/bin/sh
[ "$1" = -n ] && [ -n "$NEEDS" ] && { echo "sudo: a password is required" >&2; exit 1; }
if [ "$1" = -S ] && [ -n "$NEEDS" ]; then
    for try in 1 2 3; do
        echo try >>"$TRIES"
        IFS= read -r p || { echo "sudo: no password was provided" >&2; exit 1; }
        [ "$p" = "$NEEDS" ] && break
        echo "Sorry, try again." >&2
        [ $try = 3 ] && exit 1
    done
fi
while [ "$1" != -- ]; do shift; done
shift
IS_ROOT=yes exec "$@"
"#;

    async fn run(becoming: Become, needs: &str, password: Option<&str>) -> (Finished, Reading, usize) {
        let folder = tempfile::tempdir().unwrap();
        let (sudo, id, tries) = (folder.path().join("sudo"), folder.path().join("id"), folder.path().join("tries"));
        for (file, text) in [(&sudo, FAKE_SUDO), (&id, "#!/bin/sh\necho 1000\n")] {
            std::fs::write(file, text).unwrap();
            std::fs::set_permissions(file, PermissionsExt::from_mode(0o755)).unwrap();
        }
        let script = Script {
            name: "try",
            text: "echo root $IS_ROOT\necho end\n".into(),
            arguments: vec![],
            reads_boot_loader: false,
        };
        let password = password.map(|text| Password::new(text.into()).unwrap().lines()).unwrap_or_default();
        let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
        let finished = Invocation::new("sh", Duration::from_secs(30))
            .arg("-c")
            .arg(command(becoming))
            .env("PATH", path)
            .env("NEEDS", needs)
            .env("TRIES", &tries)
            .input(password + &frame(&script, &BootLoaderHint::default()).unwrap())
            .run()
            .await
            .unwrap();
        let reading = Reading::of(&finished.stdout);
        let tries = std::fs::read_to_string(tries).unwrap_or_default().lines().count();
        (finished, reading, tries)
    }

    #[tokio::test]
    async fn everybody_but_root_goes_through_sudo() {
        for becoming in [Become::Auto, Become::Sudo] {
            let (finished, reading, _) = run(becoming, "", None).await;
            assert_eq!(reading.lines, [("root".into(), "yes".into())], "{}", finished.stderr_text());
        }
        assert_eq!(run(Become::No, "", None).await.1.lines, [("root".into(), String::new())]);
    }

    #[tokio::test]
    async fn the_right_password_opens() {
        let (finished, reading, tries) = run(Become::SudoPassword, r"se cr'e\nt-", Some(r"se cr'e\nt-")).await;
        assert_eq!(reading.lines, [("root".into(), "yes".into())], "{}", finished.stderr_text());
        assert_eq!(tries, 2);
    }

    #[tokio::test]
    async fn a_password_that_nobody_asks_for_does_no_harm() {
        let (finished, reading, _) = run(Become::SudoPassword, "", Some("secret")).await;
        assert_eq!(reading.lines, [("root".into(), "yes".into())], "{}", finished.stderr_text());
    }

    #[tokio::test]
    async fn a_wrong_password_is_tried_once_and_no_line_of_the_script_is() {
        let (finished, reading, tries) = run(Become::SudoPassword, "right", Some("wrong")).await;
        assert!(reading.shell_seen && !reading.answer_seen);
        // The second try found the end of its input.
        assert_eq!(tries, 2);
        assert_eq!(RootRefusal::read(&finished.stderr_text()), RootRefusal::WrongPassword);
    }

    #[tokio::test]
    async fn a_password_that_sudo_wants_and_we_have_not_is_told_apart() {
        let (finished, reading, _) = run(Become::Auto, "x", None).await;
        assert!(reading.shell_seen && !reading.answer_seen);
        assert_eq!(RootRefusal::read(&finished.stderr_text()), RootRefusal::PasswordNeeded);
    }

    #[test]
    fn a_password_is_never_shown() {
        assert_eq!(format!("{:?}", Password::new("secret".into()).unwrap()), "Password(…)");
        assert_eq!(Password::new("two\nlines".into()), None);
    }
}
