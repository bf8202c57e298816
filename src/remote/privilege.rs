//! The command lines that become root on a host, and what a refusal means.
//!
//! Every command line is a constant of single-quoted words. The first `/bin/sh` says that it runs, becomes root and
//! hands over to [`BOOT`]. What differs from host to host (a password, the words of a command) comes on stdin.
//!
//! How the programs behave, tried with sudo 1.9.16, sudo-rs 0.2.5, `OpenDoas` 6.8.2 and run0 of systemd 257: each takes
//! words after `--`, leaves stdin to the command, and with the option given here asks nothing. Only the two sudos read
//! a password from stdin, byte by byte to the end of the line; doas and run0 want a terminal for it.

use std::fmt;

use super::transport::{AGAIN_MARK, BOOT, ROOT_MARK, ROOT_MARK_OF_NOBODY};
use crate::facts::privilege::{RootLack, RootProgram};
use crate::inventory::model::Become;
use crate::local::process::{InputPart, StopWords};

/// Says that `/bin/sh` runs. The empty line ends whatever a login shell printed without a newline. PATH: where NixOS
/// has `sudo`.
const PROLOGUE: &str = concat!(
    "echo; echo fleetdeploy-shell; ",
    r#"PATH="${PATH:+$PATH:}/run/wrappers/bin:/run/current-system/sw/bin"; LC_ALL=C; export PATH LC_ALL; "#,
);

/// What the shell of root says first. A script is sent only then: what becomes root may read its input, too, and would
/// take the script's lines for passwords.
/// bash knows who it is; only another shell needs a process for it.
/// PATH once more: run0 gives the shell that of a unit, in which there is no `id`.
const IS_ROOT: &str = concat!(
    r#"PATH="${PATH:+$PATH:}/run/wrappers/bin:/run/current-system/sw/bin"; "#,
    r#"echo; echo "fleetdeploy-root ${EUID:-$(id -u)}"; "#,
);

/// This shell is as good as the next.
const DIRECTLY: &str = r#"eval "$2""#;
const UNLESS_ROOT: &str = concat!(
    r#"if [ "${EUID:-$(id -u)}" = 0 ]; then echo fleetdeploy-root 0; eval "$2"; exit; fi; "#,
    r#"exec sudo -n -- /bin/sh -c "$1$2" fleetdeploy"#,
);
const SUDO: &str = r#"exec sudo -n -- /bin/sh -c "$1$2" fleetdeploy"#;
const DOAS: &str = r#"exec doas -n -- /bin/sh -c "$1$2" fleetdeploy"#;
/// Without the description systemd would name the unit by our whole command line.
const RUN0: &str = r#"exec run0 --no-ask-password --description=fleetdeploy -- /bin/sh -c "$1$2" fleetdeploy"#;

/// The password is tried alone first, and sent a second time only when it was right: given a wrong one sudo asks again,
/// and at the end of its input sudo-rs takes that for an empty password, twice more. The account would be locked
/// (`passwd_tries`, sudoers(5); `pam_faillock`). So nothing is sent and the input stays open until `timeout` has killed
/// sudo-rs: until it is root it may be killed by its user. sudo may not, but tries nothing at the end of its input.
/// `-k` with a command neither uses nor leaves a cached credential. Where no password is asked for, the boot skips it.
const SUDO_WITH_PASSWORD: &str = concat!(
    r#"timeout -s KILL 15 sudo -S -k -p "" -- true || exit 98; echo; echo fleetdeploy-again; "#,
    r#"exec sudo -S -k -p "" -- /bin/sh -c "$1$2" fleetdeploy"#,
);

/// Reads how many words there are, and the words, a line each.
const WORDS: &str = concat!(
    r#"b=$1$2; set --; IFS= read -r n || exit 97; "#,
    r#"while [ "$n" -gt 0 ]; do IFS= read -r w || exit 97; set -- "$@" "$w"; n=$((n - 1)); done; "#,
    r#"exec "$@" /bin/sh -c "$b" fleetdeploy"#,
);

/// Returns the command line for ssh.
#[must_use]
pub(super) fn command(becoming: &Become) -> String {
    let way = match becoming {
        Become::Auto => UNLESS_ROOT,
        Become::No => DIRECTLY,
        Become::Sudo => SUDO,
        Become::SudoPassword => SUDO_WITH_PASSWORD,
        Become::Doas => DOAS,
        Become::Run0 => RUN0,
        Become::Words(_) => WORDS,
    };
    format!("/bin/sh -c '{PROLOGUE}{way}' fleetdeploy '{IS_ROOT}' '{BOOT}'")
}

/// Makes the input of [`command`]: what becoming root needs, and then the script, `framed`.
///
/// `as_root`: the login is known to be root's. Then nothing stands between, and the script is sent at once.
pub(super) fn input(
    becoming: &Become,
    as_root: bool,
    password: Option<&Password>,
    framed: String,
) -> (Vec<InputPart>, StopWords) {
    let part = |after, text: String| InputPart { after, bytes: text.into_bytes() };
    let script = |after| part(after, framed);
    let parts = match becoming {
        Become::No => vec![script(None)],
        Become::Auto if as_root => vec![script(None)],
        Become::Auto | Become::Sudo | Become::Doas | Become::Run0 => vec![script(Some(ROOT_MARK))],
        Become::SudoPassword => {
            let line = password.map(Password::line).unwrap_or_default();
            vec![part(None, line.clone()), part(Some(AGAIN_MARK), line), script(Some(ROOT_MARK))]
        }
        Become::Words(words) => {
            let lines = std::iter::once(words.len().to_string()).chain(words.iter().cloned());
            let lines: String = lines.map(|line| line + "\n").collect();
            vec![part(None, lines), script(Some(ROOT_MARK))]
        }
    };
    (parts, StopWords { stdout: Some(ROOT_MARK_OF_NOBODY), stderr: Some(SUDO_ASKS_AGAIN) })
}

/// What sudo says before it asks again; sudo-rs has other words.
const SUDO_ASKS_AGAIN: &str = "Sorry, try again.";

/// A sudo password. It is only sent on stdin, and never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// Takes a password; `None` for a text that cannot be one line of input.
    #[must_use]
    pub fn new(text: String) -> Option<Self> {
        (!text.chars().any(char::is_control)).then_some(Self(text))
    }

    fn line(&self) -> String {
        format!("{}\n", self.0)
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Password(…)")
    }
}

/// Who was to make us root on a host, and why it did not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootRefusal {
    pub by: RootProgram,
    pub why: RootLack,
}

impl RootRefusal {
    /// Reads the reason from the words of the program on stderr, in the C locale. `uid` is what the shell has said that
    /// it runs as, if one has begun.
    ///
    /// Each line is read only in the form in which the program itself says it: before it may stand whatever a login
    /// shell prints. Source: what sudo 1.9.16, sudo-rs 0.2.5, `OpenDoas` 6.8.2 and systemd 257 say on a host of the
    /// lab; the table in `table.rs` has it.
    pub(super) fn read(becoming: &Become, uid: Option<u32>, stderr: &str) -> Self {
        let by = RootProgram::of(becoming);
        let why = match uid {
            Some(0) | None => stderr.lines().find_map(|line| by.reads(line.trim())).unwrap_or(RootLack::NotKnown),
            Some(_) => RootLack::StillNotRoot,
        };
        Self { by, why }
    }
}

impl RootProgram {
    fn of(becoming: &Become) -> Self {
        match becoming {
            Become::Auto | Become::No | Become::Sudo | Become::SudoPassword => Self::Sudo,
            Become::Doas => Self::Doas,
            Become::Run0 => Self::Run0,
            Become::Words(words) => Self::Other(words.first().cloned().unwrap_or_default()),
        }
    }

    /// Reads one line of stderr; `None` if it says nothing about this.
    fn reads(&self, line: &str) -> Option<RootLack> {
        // `/bin/sh: line 1: exec: sudo: not found`; `timeout: failed to run command 'sudo': No such file or directory`.
        let lost = [": not found", ": No such file or directory"].iter().find_map(|end| line.strip_suffix(end));
        let before = lost.map(|lost| lost.trim_end_matches('\'')).and_then(|lost| lost.strip_suffix(self.name()));
        if before.is_some_and(|before| before.ends_with([' ', '\''])) {
            return Some(RootLack::Program);
        }
        match self {
            Self::Sudo => of_sudo(line),
            Self::Doas => match line.strip_prefix("doas: ")? {
                "Authentication required" | "Authorization required" => Some(RootLack::Password),
                "Operation not permitted" => Some(RootLack::Permission),
                words if words.starts_with("doas is not enabled") => Some(RootLack::Permission),
                _ => None,
            },
            Self::Run0 => match line.strip_prefix("Failed to start transient service unit: ")? {
                "Interactive authentication required." => Some(RootLack::Password),
                "Access denied" => Some(RootLack::Permission),
                _ => None,
            },
            // A command of the person's own may go through one of these.
            Self::Other(_) => [Self::Sudo, Self::Doas, Self::Run0].iter().find_map(|program| program.reads(line)),
        }
    }
}

fn of_sudo(line: &str) -> Option<RootLack> {
    // These two have no name before them, or that of the first line of another program.
    if line == SUDO_ASKS_AGAIN {
        return Some(RootLack::WrongPassword);
    }
    if let Some(rest) = line.strip_prefix("Sorry, user ") {
        return rest.contains(" may not run sudo on ").then_some(RootLack::Permission);
    }
    let words = line.strip_prefix("sudo: ").or_else(|| line.strip_prefix("sudo-rs: "))?;
    let has = |texts: &[&str]| texts.iter().any(|text| words.contains(text));
    if words == "sorry, you must have a tty to run sudo" {
        Some(RootLack::Terminal)
    } else if ["a password is required", "interactive authentication is required"].contains(&words) {
        Some(RootLack::Password)
    } else if words == "Authentication failed, try again."
        || has(&["incorrect password attempt", "incorrect authentication attempts"])
    {
        Some(RootLack::WrongPassword)
    } else if has(&["I'm afraid I can't do that", "is not allowed to execute", "is not in the sudoers"]) {
        Some(RootLack::Permission)
    } else {
        None
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

    /// Stands in for sudo: asks for the password `$NEEDS` on stdin as sudo does, up to three times, unless told not to.
    /// As sudo-rs it takes the end of its input for an empty password.
    const FAKE_SUDO: &str = r#"#!/bin/sh
[ "$1" = -n ] && [ -n "$NEEDS" ] && { echo "sudo: a password is required" >&2; exit 1; }
if [ "$1" = -S ] && [ -n "$NEEDS" ]; then
    for try in 1 2 3; do
        if ! IFS= read -r p; then
            [ -n "$IS_RS" ] || { echo "sudo: no password was provided" >&2; exit 1; }
            p=
        fi
        printf "%s\n" "$p" >>"$TRIES"
        [ "$p" = "$NEEDS" ] && break
        again="Sorry, try again."
        [ -z "$IS_RS" ] || again="sudo: Authentication failed, try again."
        echo "$again" >&2
        [ $try = 3 ] && exit 1
    done
fi
while [ "$1" != -- ]; do shift; done
shift
IS_ROOT=yes exec "$@"
"#;

    /// Also in the place of `id`: whoever has come through the stand-in is root.
    const FAKE_ID: &str = "#!/bin/sh\n[ \"$IS_ROOT\" = yes ] && echo 0 || echo 1000\n";

    /// A script that takes its time to arrive: what asks for a password meanwhile would take its lines for one.
    async fn run(
        becoming: Become,
        needs: &str,
        password: Option<&str>,
        is_rs: &str,
    ) -> (Finished, Reading, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let please = FAKE_SUDO.replace("while", "shift\nwhile");
        for (file, text) in [("sudo", FAKE_SUDO), ("id", FAKE_ID), ("please", &please), ("doas", FAKE_SUDO)] {
            std::fs::write(at(file), text).unwrap();
            std::fs::set_permissions(at(file), PermissionsExt::from_mode(0o755)).unwrap();
        }
        let script =
            Script { name: "try", text: "echo root $IS_ROOT\necho end\n".into(), arguments: vec![], is_told: false };
        let password = password.map(|text| Password::new(text.into()).unwrap());
        let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
        let framed = frame(&script, &BootLoaderHint::default(), "-").unwrap();
        let (parts, stop) = input(&becoming, false, password.as_ref(), framed);
        let finished = Invocation::new("sh", Duration::from_secs(30))
            .arg("-c")
            // bash knows itself who it is; here the stand-in for `id` is asked, whichever shell this machine has.
            .arg(command(&becoming).replace("EUID", "NOBODY_SETS_THIS"))
            .env("PATH", path)
            .env("NEEDS", needs)
            .env("IS_RS", is_rs)
            .env("TRIES", at("tries"))
            .input_in_parts(parts, stop)
            .run()
            .await
            .unwrap();
        let reading = Reading::of(&finished.stdout);
        let tries = std::fs::read_to_string(at("tries")).unwrap_or_default();
        (finished, reading, tries.lines().map(str::to_owned).collect())
    }

    fn yes() -> Vec<(String, String)> {
        vec![("root".into(), "yes".into())]
    }

    #[tokio::test]
    async fn everybody_but_root_goes_through_what_the_inventory_names() {
        let words = Become::Words(["please", "do 'it'", "$HOME", "--"].map(str::to_owned).into());
        for becoming in [Become::Auto, Become::Sudo, Become::Doas, words] {
            let (finished, reading, _) = run(becoming.clone(), "", None, "").await;
            assert_eq!(reading.lines, yes(), "{becoming:?}: {}", finished.stderr_text());
            assert_eq!(reading.uid, Some(0), "{becoming:?}");
        }
        assert_eq!(run(Become::No, "", None, "").await.1.lines, [("root".into(), String::new())]);
    }

    #[tokio::test]
    async fn bash_asks_no_program_who_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let id = folder.path().join("id");
        std::fs::write(&id, "#!/bin/sh\necho 4711\n").unwrap();
        std::fs::set_permissions(&id, PermissionsExt::from_mode(0o755)).unwrap();
        let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
        for text in [IS_ROOT.to_owned(), format!("set -- '{IS_ROOT}' ''; {UNLESS_ROOT}")] {
            let asking = Invocation::new("bash", Duration::from_secs(30));
            let asked = asking.args(["-c", &text]).env("PATH", &path).run().await.unwrap();
            let said = asked.stdout_text();
            assert!(!said.contains("4711"), "{said}");
            assert!(nix::unistd::geteuid().as_raw() != 0 || said.contains("fleetdeploy-root 0\n"), "{said}");
        }
    }

    #[tokio::test]
    async fn the_right_password_opens() {
        for is_rs in ["", "yes"] {
            let (finished, reading, tries) =
                run(Become::SudoPassword, r"se cr'e\nt-", Some(r"se cr'e\nt-"), is_rs).await;
            assert_eq!(reading.lines, yes(), "{}", finished.stderr_text());
            assert_eq!(tries.len(), 2);
        }
    }

    #[tokio::test]
    async fn a_password_that_nobody_asks_for_does_no_harm() {
        let (finished, reading, _) = run(Become::SudoPassword, "", Some("secret"), "").await;
        assert_eq!(reading.lines, yes(), "{}", finished.stderr_text());
    }

    #[tokio::test]
    async fn a_wrong_password_is_tried_once_and_no_line_of_the_script_is() {
        let (finished, reading, tries) = run(Become::SudoPassword, "right", Some("wrong"), "").await;
        assert!(reading.shell_seen && !reading.answer_seen);
        assert_eq!(tries, ["wrong"]);
        let refusal = RootRefusal::read(&Become::SudoPassword, None, &finished.stderr_text());
        assert_eq!(refusal, RootRefusal { by: RootProgram::Sudo, why: RootLack::WrongPassword });
    }

    #[tokio::test]
    async fn sudo_rs_tries_no_empty_password_after_a_wrong_one() {
        let (finished, reading, tries) = run(Become::SudoPassword, "right", Some("wrong"), "yes").await;
        assert!(reading.shell_seen && !reading.answer_seen);
        assert_eq!(tries, ["wrong"]);
        let refusal = RootRefusal::read(&Become::SudoPassword, None, &finished.stderr_text());
        assert_eq!(refusal.why, RootLack::WrongPassword);
    }

    #[tokio::test]
    async fn a_password_that_sudo_wants_and_we_have_not_is_told_apart() {
        let (finished, reading, _) = run(Become::Auto, "x", None, "").await;
        assert!(reading.shell_seen && !reading.answer_seen);
        assert_eq!(RootRefusal::read(&Become::Auto, None, &finished.stderr_text()).why, RootLack::Password);
    }

    #[tokio::test]
    async fn words_that_do_not_make_root_get_no_script() {
        let (_, reading, _) = run(Become::Words(vec!["env".into(), "--".into()]), "", None, "").await;
        assert_eq!((reading.uid, reading.answer_seen), (Some(1000), false));
        assert_eq!(reading.lines, []);
    }

    #[test]
    fn a_password_is_never_shown() {
        assert_eq!(format!("{:?}", Password::new("secret".into()).unwrap()), "Password(…)");
        assert_eq!(Password::new("two\nlines".into()), None);
    }
}
