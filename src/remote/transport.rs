//! Says how a script travels to a host and how its answer comes back: text in, text out, no connection here.
//!
//! The command line given to ssh is one constant per kind of [`Become`](crate::inventory::model::Become) (see
//! [`privilege`](super::privilege)); it reads everything that varies from its standard input. Once root's shell has
//! said that it runs ([`ROOT_MARK`]), that is
//!
//! ```text
//! fleetdeploy-script
//! 1234                       how many bytes the script has, and the x behind it
//! ...the script...x          (a shell drops the newlines at the end of what a process has said)
//! =first argument            one line each, as it is
//! %second\nargument          one with a backslash or a newline: these as \\ and \n
//! #5678                      a long one: how many bytes, and then these, and an x
//! ...third argument...x
//! fleetdeploy-go
//! ...the script's own input...
//! ```
//!
//! A host runs nothing before it has read `fleetdeploy-go`: a connection that dies while sending leaves no half script
//! behind. On stdout the host says [`SHELL_MARK`], then (as root) [`ROOT_MARK`] and [`ANSWER_MARK`]; lines that a login
//! shell prints before these are skipped, and their end is kept for the case that no answer comes. Then come the
//! script's lines, `key value`, and `end` as the last one: an answer without it was cut.

use std::collections::VecDeque;
use std::fmt::Write as _;

use super::bounds::{Excess, LINE, Meter};
use super::{BadScript, Script};
use crate::inventory::model::BootLoaderHint;

/// Says that the host's `/bin/sh` is running, not root yet.
pub(super) const SHELL_MARK: &str = "fleetdeploy-shell";
/// Says that sudo has taken the password, and is asked a second time.
pub(super) const AGAIN_MARK: &str = "fleetdeploy-again";
/// Says that root's shell runs.
pub(super) const ROOT_MARK: &str = "fleetdeploy-root 0";
/// Begins the line of a shell that runs as somebody else: their id follows.
pub(super) const ROOT_MARK_OF_NOBODY: &str = "fleetdeploy-root";
/// Says that the whole script has arrived, and begins now.
pub(super) const ANSWER_MARK: &str = "fleetdeploy-answer";
/// The last line of a complete answer.
pub(super) const END: &str = "end";
/// The boot's exit status when its input ended before [`GO`]: nothing was run. Held by the tests in this file.
pub(super) const NOTHING_RUN: i32 = 97;

const SCRIPT: &str = "fleetdeploy-script";
const GO: &str = "fleetdeploy-go";

/// Reads script and arguments from stdin and runs them: the argument of `/bin/sh -c`.
///
/// It stands between single quotes on a command line that bash, dash, zsh and fish must read alike, so it has no single
/// quote, no backslash, no newline and no `!` in it; a test holds this. `read` takes single bytes from a pipe (POSIX,
/// read: "shall not read more than it needs") and `head -c` no more than it was told, so what follows `fleetdeploy-go`
/// is left for the script. The bytes are counted because reading a long script line by line costs a host half a second.
/// bash counts them without a process, and reads no more than it was told, but in its POSIX mode only one by one; a
/// /bin/sh that is bash is in that mode (tried with bash 5.2).
/// The C locale keeps the output of programs readable for us, and makes `${#s}` count bytes. The added folders are
/// where NixOS has `sudo` and the rest if a login shell has set no PATH. The script finds its own text in `$s`.
pub(super) const BOOT: &str = concat!(
    r#"PATH="${PATH:+$PATH:}/run/wrappers/bin:/run/current-system/sw/bin"; LC_ALL=C; export PATH LC_ALL; "#,
    r#"take() { if [ -n "${BASH_VERSION-}" ]; then set +o posix; IFS= read -r -N "$1" t; set -o posix; "#,
    r#"else t=$(exec head -c "$1"); fi; [ "${#t}" -eq "$1" ] || exit 97; t=${t%x}; }; "#,
    r"p=0; s=; set --; ",
    r"while [ $p -lt 3 ]; do IFS= read -r l || exit 97; case $p$l in ",
    r"0fleetdeploy-script) p=1;; 0*) ;; ",
    r#"1[0-9]*) take "$l"; s=$t; p=2;; "#,
    r#"2=*) set -- "$@" "${l#=}";; "#,
    r#"2%*) a=$(printf %bx "${l#%}"); set -- "$@" "${a%x}";; "#,
    r##"2#*) take "${l#?}"; set -- "$@" "$t";; "##,
    r#"2fleetdeploy-go) p=3;; *) exit 97;; "#,
    r#"esac; done; unset p l a t; unset -f take; echo; echo fleetdeploy-answer; eval "$s""#,
);

/// The length in bytes from which on an argument is counted instead of encoded on one line.
const LONG: usize = 512;

/// Makes the input of [`BOOT`], up to and with `fleetdeploy-go`.
///
/// # Errors
/// [`BadScript`] when a text could not arrive as it is.
pub(super) fn frame(script: &Script, hint: &BootLoaderHint, units: &str) -> Result<String, BadScript> {
    let mut input = String::with_capacity(script.text.len() + 256);
    let bad = |reason: String| BadScript { script: script.name, reason };
    let unfit = |text: &str| text.chars().find(|character| character.is_control() && !"\t\n".contains(*character));
    if let Some(character) = unfit(&script.text) {
        return Err(bad(format!("its text has the control character {character:?}")));
    }
    let _ = write!(input, "{SCRIPT}\n{}\n{}x", script.text.len() + 1, script.text);
    for (number, argument) in script.words(hint, units).enumerate() {
        if let Some(character) = unfit(&argument) {
            return Err(bad(format!("argument {} has the control character {character:?}", number + 1)));
        }
        let _ = if argument.len() > LONG {
            write!(input, "#{}\n{argument}x", argument.len() + 1)
        } else if argument.contains(['\\', '\n']) {
            writeln!(input, "%{}", encode(&argument))
        } else {
            // It is sent as it is, because a host needs one process for each argument that it decodes.
            writeln!(input, "={argument}")
        };
    }
    // It comes last, after every argument: a host that has not read it has run nothing, however far the rest has come.
    input.push_str(GO);
    input.push('\n');
    Ok(input)
}

/// Encodes a backslash as `\\` and a newline as `\n`.
pub(super) fn encode(text: &str) -> String {
    text.replace('\\', r"\\").replace('\n', r"\n")
}

/// Decodes what [`encode`] has made; a backslash before anything else stays as it is.
pub(super) fn decode(text: &str) -> String {
    let mut decoded = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match (character, characters.peek()) {
            ('\\', Some('\\')) => {
                characters.next();
                decoded.push('\\');
            }
            ('\\', Some('n')) => {
                characters.next();
                decoded.push('\n');
            }
            (other, _) => decoded.push(other),
        }
    }
    decoded
}

/// The answer of a script: its lines without the marks, values decoded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RawAnswer {
    /// Keys and values in the order they came; a key may come several times.
    pub lines: Vec<(String, String)>,
    /// The last lines of the script's stderr, for the log.
    pub stderr_tail: String,
}

impl RawAnswer {
    /// Returns the value of a key that comes exactly once.
    #[must_use]
    pub fn one(&self, key: &str) -> Option<&str> {
        let mut values = self.all(key);
        match (values.next(), values.next()) {
            (Some(value), None) => Some(value),
            _ => None,
        }
    }

    /// Returns every value of a key, in order.
    pub fn all<'answer>(&'answer self, key: &str) -> impl Iterator<Item = &'answer str> {
        self.lines.iter().filter(move |(found, _)| found == key).map(|(_, value)| value.as_str())
    }
}

/// How many lines before the answer are kept.
const NOISE_LINES: usize = 20;

/// How far a host got, as far as its stdout tells.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Reading {
    pub(super) shell_seen: bool,
    /// As whom the shell runs that takes the script, if it has said so.
    pub(super) uid: Option<u32>,
    pub(super) answer_seen: bool,
    pub(super) end_seen: bool,
    pub(super) lines: Vec<(String, String)>,
    /// The last lines before the answer: what a login shell, or what stands in for one, has printed.
    pub(super) noise: VecDeque<String>,
    /// Set if it has more lines than any answer, or a line that is longer than any; the rest was not read.
    pub(super) excess: Option<Excess>,
}

impl Reading {
    pub(super) fn of(stdout: &[u8]) -> Self {
        let mut reading = Self::default();
        let mut meter = Meter::of_answer();
        for line in stdout.split_inclusive(|byte| *byte == b'\n') {
            // A line without its newline was cut: it is no line, least of all an `end`.
            let Some(line) = line.strip_suffix(b"\n") else {
                reading.take_rest(line);
                break;
            };
            let too_long = if line.len() > LINE { Err(Excess { most: LINE as u64 }) } else { Ok(()) };
            reading.excess = too_long.and_then(|()| meter.take_line()).err();
            if reading.excess.is_some() {
                break;
            }
            // The lines before the answer count for the meter, too: a login shell may print without an end.
            let line = reading.take(&String::from_utf8_lossy(line));
            reading.lines.extend(line);
        }
        reading
    }

    /// Takes what came after the last newline. A program in the place of a shell may leave its only line so.
    fn take_rest(&mut self, rest: &[u8]) {
        let rest = String::from_utf8_lossy(&rest[..rest.len().min(LINE)]);
        if !self.answer_seen && !rest.trim().is_empty() {
            self.noise.push_back(rest.into_owned());
        }
    }

    /// Takes the next line of stdout; gives it back if it belongs to the script's answer.
    pub(super) fn take(&mut self, line: &str) -> Option<(String, String)> {
        if !self.answer_seen {
            // The two marks are kept apart: between them the host becomes root and takes the whole script in, and a
            // host that ended there has run nothing.
            self.shell_seen |= line == SHELL_MARK;
            self.answer_seen = line == ANSWER_MARK;
            match line.strip_prefix(ROOT_MARK_OF_NOBODY) {
                Some(uid) => self.uid = uid.trim().parse().ok(),
                None if line.trim().is_empty() || [SHELL_MARK, AGAIN_MARK, ANSWER_MARK].contains(&line) => {}
                None => {
                    if self.noise.len() == NOISE_LINES {
                        self.noise.pop_front();
                    }
                    self.noise.push_back(line.to_owned());
                }
            }
            return None;
        }
        // Lines that a trap or a child prints after the end are not part of the answer.
        if self.end_seen {
            return None;
        }
        // The script prints it last, after all that it does: once it is here, a connection that is lost changes
        // nothing.
        self.end_seen = line == END;
        if self.end_seen || line.is_empty() {
            return None;
        }
        let (key, value) = line.split_once(' ').unwrap_or((line, ""));
        Some((key.to_owned(), decode(value)))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::time::Duration;

    use super::super::bounds::LINES;
    use super::super::privilege;
    use super::*;
    use crate::inventory::model::Become;
    use crate::local::process::{Finished, Invocation};

    const LIMIT: Duration = Duration::from_secs(30);

    fn script(text: &str, arguments: &[&str]) -> Script {
        Script {
            name: "try",
            text: text.to_owned(),
            arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
            is_told: false,
        }
    }

    fn frame(script: &Script) -> Result<String, BadScript> {
        super::frame(script, &BootLoaderHint::default(), "-")
    }

    /// As sshd does: the command line is one argument of the login shell's `-c`.
    async fn run_by(login_shell: &str, input: String) -> Finished {
        Invocation::new(login_shell, LIMIT)
            .arg("-c")
            .arg(privilege::command(&Become::No))
            .input(input)
            .run()
            .await
            .unwrap()
    }

    /// The three that are always there, and three more where they are installed.
    fn login_shells() -> Vec<&'static str> {
        let folders: Vec<_> = std::env::split_paths(&std::env::var_os("PATH").unwrap()).collect();
        let is_there = |name: &&str| folders.iter().any(|folder| folder.join(name).exists());
        ["sh", "bash", "dash"].into_iter().chain(["zsh", "fish", "tcsh"].into_iter().filter(is_there)).collect()
    }

    #[test]
    fn the_command_line_is_read_alike_by_every_shell() {
        use Become::{Auto, Doas, No, Run0, Sudo, SudoPassword};

        let words = Become::Words(vec!["please".into(), "a 'b' $c".into()]);
        for becoming in [Auto, No, Sudo, SudoPassword, Doas, Run0, words] {
            let command = privilege::command(&becoming);
            assert_eq!(command.matches('\'').count(), 6, "{command}");
            assert!(!command.contains(['\\', '\n', '!']), "{command}");
        }
    }

    #[tokio::test]
    async fn nasty_arguments_arrive_as_they_are() {
        let long = format!("{}\n\\n'é\n\n", "long = ".repeat(2000));
        let arguments = [
            long.as_str(),
            "",
            "'",
            "\"",
            "$(touch x)",
            "`x`",
            "-n",
            "-",
            "--help",
            "a\nb",
            "\n",
            "x\n\n",
            "\\",
            "\\n",
            "a\\\\c",
            "\\c",
            "  two  spaces ",
            "*",
            "ünïcödé 日本",
            "%s%d",
            "tab\there",
            "fleetdeploy-go",
            "=",
            "&& exit 3",
            "$HOME",
            "\\0101",
        ];
        // Prints each argument in our own encoding.
        let text = "for a do printf 'argument '; printf '%s.' \"$a\" | sed -e 's/\\\\/\\\\\\\\/g' | awk 'NR > 1 { \
                    printf \"%s\", \"\\\\n\" } { printf \"%s\", $0 }'; echo; done\nprintf 'count %s\\n' \"$#\"\necho \
                    end\n";
        for shell in login_shells() {
            let finished = run_by(shell, frame(&script(text, &arguments)).unwrap()).await;
            let reading = Reading::of(&finished.stdout);
            let expected: Vec<(String, String)> = arguments
                .iter()
                .map(|argument| ("argument".to_owned(), format!("{argument}.")))
                .chain([("count".to_owned(), arguments.len().to_string())])
                .collect();
            assert_eq!(reading.lines, expected, "{shell}: {}", finished.stderr_text());
            assert!(reading.shell_seen && reading.answer_seen && reading.end_seen, "{shell}");
        }
    }

    /// On NixOS /bin/sh is bash. It is told to be as strict as POSIX by its name, and must be so again for the script.
    #[tokio::test]
    async fn bash_takes_a_script_without_a_process_and_leaves_what_follows() {
        let folder = tempfile::tempdir().unwrap();
        let paths = std::env::var("PATH").unwrap();
        let mut folders = std::env::split_paths(&paths);
        let bash = folders.find(|folder| folder.join("bash").exists()).expect("bash is here").join("bash");
        let sh = folder.path().join("sh");
        std::os::unix::fs::symlink(bash, &sh).unwrap();
        std::fs::write(folder.path().join("head"), "#!/bin/sh\necho asked >&2\nexit 1\n").unwrap();
        std::fs::set_permissions(folder.path().join("head"), std::fs::Permissions::from_mode(0o755)).unwrap();
        let (umlauts, long) = ("ü".repeat(40_000), format!("{}\n\\ 日本 \n\n", "x ".repeat(3000)));
        let text = format!(
            "# {umlauts}\nIFS= read -r next; case :$SHELLOPTS: in *:posix:*) echo posix;; esac\nprintf 'got %s %s \
             %s\\n' \"${{#1}}\" \"$2\" \"$next\"\necho end\n"
        );
        let input = frame(&script(&text, &[&long, "b"])).unwrap() + "one\ntwo\n";
        let command = privilege::command(&Become::No).replace("/bin/sh", sh.to_str().unwrap());
        let paths = format!("{}:{paths}", folder.path().display());
        let finished =
            Invocation::new("sh", LIMIT).args(["-c", &command]).env("PATH", paths).input(input).run().await.unwrap();
        let reading = Reading::of(&finished.stdout);
        assert_eq!(finished.stderr_text(), "");
        let got = format!("{} b one", long.len());
        assert_eq!(reading.lines, [("posix".to_owned(), String::new()), ("got".to_owned(), got)]);
        assert!(reading.end_seen);
    }

    #[tokio::test]
    async fn a_cut_input_runs_nothing_wherever_it_is_cut() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ran");
        let long = "x".repeat(LONG + 1);
        let whole = frame(&script("touch \"$1\"\necho end\n", &[file.to_str().unwrap(), &long])).unwrap();
        for length in (0..whole.len()).filter(|length| *length < 200 || length % 37 == 0 || length + 40 > whole.len()) {
            // Every cut that matters for one shell; for the others the cuts at the ends.
            let shells = if length + 3 > whole.len() || length == 0 { login_shells() } else { vec!["sh"] };
            for shell in shells {
                let finished = run_by(shell, whole[..length].to_owned()).await;
                assert_eq!(finished.status, Some(NOTHING_RUN), "{shell}, {length}: {}", finished.stderr_text());
                assert!(!file.exists(), "{shell}: ran with {:?}", &whole[..length]);
            }
        }
        run_by("sh", whole).await;
        assert!(file.exists());
    }

    #[tokio::test]
    async fn what_follows_is_the_input_of_the_script_itself() {
        for shell in login_shells() {
            let mut input =
                frame(&script("while IFS= read -r line; do echo \"got $line\"; done\necho end", &[])).unwrap();
            input.push_str("one\ntwo  2\n");
            let reading = Reading::of(&run_by(shell, input).await.stdout);
            assert_eq!(reading.lines, [("got".into(), "one".into()), ("got".into(), "two  2".into())], "{shell}");
        }
    }

    #[tokio::test]
    async fn the_exit_status_is_the_scripts_own() {
        let finished = run_by("sh", frame(&script("echo half\nexit 97\n", &[])).unwrap()).await;
        let reading = Reading::of(&finished.stdout);
        assert_eq!((finished.status, reading.answer_seen, reading.end_seen), (Some(97), true, false));
    }

    #[test]
    fn the_noise_of_a_login_shell_is_skipped() {
        let reading = Reading::of(
            b"Welcome!\nend\nkey x\nno newline\nfleetdeploy-shell\n\nfleetdeploy-answer\na \\\\n\\n.\nb\nend\nlate x\n",
        );
        let expected = vec![("a".to_owned(), "\\n\n.".to_owned()), ("b".to_owned(), String::new())];
        assert_eq!(
            reading,
            Reading {
                shell_seen: true,
                answer_seen: true,
                end_seen: true,
                lines: expected,
                noise: ["Welcome!", "end", "key x", "no newline"].map(str::to_owned).into(),
                ..Reading::default()
            }
        );
    }

    #[test]
    fn more_lines_than_any_answer_has_and_a_line_that_is_longer_than_any_are_no_answer() {
        let answer = |lines: &str| Reading::of(format!("fleetdeploy-answer\n{lines}end\n").as_bytes());
        let units = answer(&"failed_unit a.service\n".repeat(300_000));
        assert!(units.excess.is_some() && units.lines.len() <= LINES && !units.end_seen);
        let long = answer(&format!("a {}\nb\n", "x".repeat(1 << 20)));
        assert!(long.excess.is_some() && long.lines.is_empty() && !long.end_seen);
        let most = answer(&format!("a {}\n", "x".repeat(LINE - 2)).repeat(30));
        assert_eq!((most.excess, most.lines.len(), most.end_seen), (None, 30, true));
    }

    #[test]
    fn a_cut_end_is_no_end() {
        assert!(!Reading::of(b"fleetdeploy-answer\na b\nend").end_seen);
    }

    #[test]
    fn what_cannot_arrive_is_refused() {
        let reason = |script: &Script| frame(script).unwrap_err().reason;
        assert_eq!(reason(&script("", &["ok", "a\0b"])), "argument 2 has the control character '\\0'");
        assert_eq!(reason(&script("", &["\u{1b}[2J"])), "argument 1 has the control character '\\u{1b}'");
        assert_eq!(reason(&script("a\r\nb", &[])).as_str(), "its text has the control character '\\r'");
    }

    #[test]
    fn keys_are_found_once_or_often() {
        let answer = RawAnswer {
            lines: [("a", "1"), ("b", "2"), ("a", "3")].map(|(key, value)| (key.into(), value.into())).to_vec(),
            stderr_tail: String::new(),
        };
        assert_eq!((answer.one("a"), answer.one("b"), answer.one("c")), (None, Some("2"), None));
        assert_eq!(answer.all("a").collect::<Vec<_>>(), ["1", "3"]);
    }

    proptest::proptest! {
        #[test]
        fn decoding_undoes_encoding(text in "[\\\\n\n\t a-z]{0,40}") {
            assert_eq!(decode(&encode(&text)), text);
        }
    }
}
