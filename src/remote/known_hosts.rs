//! Keeps what the first login on a machine trusted, for all later ones of the run.
//!
//! ssh knows a machine by a name, and the same machine has other names for it: `[name]:port`, then `name` alone for a
//! port that is not 22, and never the second where `HostKeyAlias` is set (OpenSSH, sshconnect.c, `check_host_key`). The
//! run reaches a machine by an address instead of its name, or at another port after the push. So the lines that the
//! first login went by are copied to a file of the run, under one name, and that file alone is asked from then on.
//! The lines are found by `ssh-keygen -F`, which reads hashed names and patterns as ssh does. Held by
//! `later_logins_trust_what_the_first_one_trusted` in `tests/ssh.rs`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::connect_error::ConnectCause;
use crate::local::private;
use crate::local::process::Invocation;

/// How long `ssh-keygen -F` may take to read one file. It is longer than a slow disk under load takes.
const READ_FILE: Duration = Duration::from_secs(5);

/// More than the lines of one name in any `known_hosts`, in bytes.
const LINES_OF_A_NAME: u64 = 1 << 20;

/// How ssh looks for a machine's key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Known {
    /// The host name, or the user's `HostKeyAlias`. A certificate must be for this name.
    pub(super) name: String,
    /// What is looked for first: `name`, or `[name]:port` (sshd(8)).
    pub(super) first: String,
    /// The files, those of the user before those of the system.
    pub(super) files: Vec<PathBuf>,
}

/// What a machine is known by from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trust {
    /// The name in `file`.
    pub(super) name: String,
    pub(super) file: PathBuf,
    /// The name that the user's files have.
    known_as: String,
    /// Where each line of `file` comes from: a file, and a line of it.
    origins: Vec<(PathBuf, u32)>,
    /// `file` is empty, and the next login writes the key that it sees there.
    pub(super) learns: bool,
}

/// Where a login has found the key that it trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeySource {
    /// Under the name that is looked for first.
    UnderFirst,
    /// Under the name without the port.
    WithoutPort,
    /// ssh has not said it.
    Unsaid,
    /// The user's `KnownHostsCommand` gave it.
    ByCommand { certificate: bool },
    /// It was not asked for: `NoHostAuthenticationForLocalhost`, or the name service vouches for it.
    NotAsked,
}

impl KeySource {
    /// Reads it from what `ssh -v` says. The first word about a key is that of the login itself: what the host says
    /// comes later.
    pub(super) fn read(log: &str) -> Self {
        let mut lines = log.lines().map(|line| line.trim_end_matches('\r'));
        while let Some(line) = lines.next() {
            let Some(said) = line.strip_prefix("debug1: ") else {
                if line.starts_with("Warning: Permanently added ") {
                    return Self::UnderFirst;
                }
                continue;
            };
            if said.starts_with("Forcing accepting of host key") || said == "matching host key fingerprint found in DNS"
            {
                return Self::NotAsked;
            }
            let (place, certificate) =
                match (said.strip_prefix("KeySource key in "), said.strip_prefix("KeySource CA key in ")) {
                    (Some(place), _) => (place, false),
                    (_, Some(place)) => (place, true),
                    _ => continue,
                };
            if place.starts_with("KnownHostsCommand-") {
                return Self::ByCommand { certificate };
            }
            return match lines.next() {
                Some("debug1: found matching key w/out port") => Self::WithoutPort,
                _ => Self::UnderFirst,
            };
        }
        Self::Unsaid
    }
}

impl Known {
    /// Gathers what a login trusts that has found its key as `found` says, and writes it to `file`. `None`: nothing of
    /// it stands in a file.
    ///
    /// # Errors
    /// `file` cannot be written.
    pub(super) async fn trust(&self, found: KeySource, file: PathBuf) -> std::io::Result<Option<Trust>> {
        // A name with one of these is a pattern, or no name at all, in a file.
        let is_odd = |character: char| character.is_whitespace() || "*?!,|@".contains(character);
        if matches!(found, KeySource::ByCommand { .. } | KeySource::NotAsked) || self.name.contains(is_odd) {
            return Ok(None);
        }
        let (first, second) = if self.first == self.name {
            (self.lines_of(&self.first).await, Vec::new())
        } else {
            futures::future::join(self.lines_of(&self.first), self.lines_of(&self.name)).await
        };
        let lines = chosen(found, first, second);
        if !lines.iter().any(|line| line.marker != Some(Marker::Revoked)) {
            return Ok(None);
        }
        private::write_whole(&file, &text(&self.name, &lines))?;
        let origins = lines.into_iter().map(|line| line.origin).collect();
        Ok(Some(Trust { name: self.name.clone(), file, known_as: self.first.clone(), origins, learns: false }))
    }

    /// Begins a file for a machine whose key was taken at first sight, and that the user's files cannot keep (a link
    /// into the Nix store). Without it each login would take any key.
    ///
    /// # Errors
    /// `file` cannot be written.
    pub(super) fn learn(&self, file: PathBuf) -> std::io::Result<Trust> {
        private::write_whole(&file, "")?;
        let (name, known_as) = (self.name.clone(), self.first.clone());
        Ok(Trust { name, file, known_as, origins: Vec::new(), learns: true })
    }

    async fn lines_of(&self, name: &str) -> Vec<KnownLine> {
        let read = self.files.iter().map(|file| async move {
            if !file.is_file() {
                return Vec::new();
            }
            let found = Invocation::new("ssh-keygen", READ_FILE)
                .args(["-F", name, "-f"])
                .arg(file)
                .at_most(LINES_OF_A_NAME, LINES_OF_A_NAME)
                .run()
                .await;
            // Its status is no use: it ends with 1 where nothing was found, and where another line is no line at all.
            // What cannot be read is not trusted here, and the login stays with the user's own files.
            found.map(|found| read_lines(file, &found.stdout_text())).unwrap_or_default()
        });
        futures::future::join_all(read).await.into_iter().flatten().collect()
    }
}

impl Trust {
    /// Says of a key that has changed where the user's files have the known one, instead of the run's own file.
    pub(super) fn in_the_users_words(&self, cause: ConnectCause) -> ConnectCause {
        match cause {
            ConnectCause::ChangedHostKey { fingerprint, known: Some((file, line)), .. } if file == self.file => {
                let known = usize::try_from(line).ok().and_then(|line| self.origins.get(line.checked_sub(1)?)).cloned();
                let known_as = known.is_some().then(|| self.known_as.clone());
                ConnectCause::ChangedHostKey { fingerprint, known, known_as }
            }
            other => other,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Marker {
    CertAuthority,
    Revoked,
}

/// One line of a `known_hosts`, without its names.
#[derive(Debug, Clone, PartialEq, Eq)]
struct KnownLine {
    marker: Option<Marker>,
    /// Type and key.
    key: String,
    origin: (PathBuf, u32),
}

/// Reads what `ssh-keygen -F` prints: `# Host NAME found: line 3 CA`, and the line as it stands there.
fn read_lines(file: &Path, printed: &str) -> Vec<KnownLine> {
    let mut lines = printed.lines();
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        let number = line
            .strip_prefix("# Host ")
            .and_then(|rest| rest.rsplit_once(" found: line "))
            .and_then(|(_, rest)| rest.split_whitespace().next()?.parse::<u32>().ok());
        let (Some(number), Some(known)) = (number, lines.next()) else { continue };
        let mut words = known.split_whitespace().peekable();
        let marker = match words.next_if(|word| word.starts_with('@')) {
            Some("@cert-authority") => Some(Marker::CertAuthority),
            Some("@revoked") => Some(Marker::Revoked),
            Some(_) => continue,
            None => None,
        };
        let (Some(_names), Some(kind), Some(key)) = (words.next(), words.next(), words.next()) else { continue };
        found.push(KnownLine { marker, key: format!("{kind} {key}"), origin: (file.to_owned(), number) });
    }
    found
}

/// Chooses of the lines for the name with the port and of those for the name without it.
///
/// Where the login has not said which of them it went by, it is as ssh would look: the second only where the first has
/// none of that kind (sshconnect.c: `HOST_NEW`). A revoked key is revoked under either name.
fn chosen(found: KeySource, first: Vec<KnownLine>, second: Vec<KnownLine>) -> Vec<KnownLine> {
    let trusted = |lines: &[KnownLine]| lines.iter().any(|line| line.marker != Some(Marker::Revoked));
    let only_revoked = |lines: Vec<KnownLine>| lines.into_iter().filter(|line| line.marker == Some(Marker::Revoked));
    match found {
        KeySource::UnderFirst if trusted(&first) => first.into_iter().chain(only_revoked(second)).collect(),
        KeySource::WithoutPort if trusted(&second) => only_revoked(first).chain(second).collect(),
        _ => {
            let has = |marker| first.iter().any(|line| line.marker == marker);
            let (has_keys, has_authorities) = (has(None), has(Some(Marker::CertAuthority)));
            let second = second.into_iter().filter(|line| match line.marker {
                None => !has_keys,
                Some(Marker::CertAuthority) => !has_authorities,
                Some(Marker::Revoked) => true,
            });
            let second: Vec<_> = second.collect();
            first.into_iter().chain(second).collect()
        }
    }
}

fn text(name: &str, lines: &[KnownLine]) -> String {
    let line = |line: &KnownLine| {
        let marker = match line.marker {
            Some(Marker::CertAuthority) => "@cert-authority ",
            Some(Marker::Revoked) => "@revoked ",
            None => "",
        };
        format!("{marker}{name} {}\n", line.key)
    };
    lines.iter().map(line).collect()
}

/// Splits what `ssh -G` prints of several files. It puts one blank between them, and a name that has blanks has no
/// quotes around it. So the longest run of words that `is_there` counts; else a word that does not begin a path
/// belongs to the one before it.
pub(super) fn split_files(printed: &str, is_there: impl Fn(&Path) -> bool) -> Vec<PathBuf> {
    let words: Vec<&str> = printed.split(' ').collect();
    let mut files = Vec::new();
    let mut at = 0;
    while at < words.len() {
        let whole = (at + 1..=words.len()).rev().find(|&end| is_there(Path::new(&words[at..end].join(" "))));
        let end = whole.unwrap_or_else(|| {
            let begins = |word: &&str| word.starts_with(['/', '~', '%', '$']) || *word == "none";
            words[at + 1..].iter().position(begins).map_or(words.len(), |more| at + 1 + more)
        });
        let file = words[at..end].join(" ");
        if !file.is_empty() {
            files.push(PathBuf::from(file));
        }
        at = end;
    }
    files
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn line(marker: Option<Marker>, key: &str) -> KnownLine {
        KnownLine { marker, key: key.to_owned(), origin: ("/k".into(), 1) }
    }

    #[test]
    fn what_ssh_keygen_prints_is_read_whatever_else_stands_there() {
        let printed = "# Host vps found: line 3 \n|1|salt=|hash= ssh-ed25519 AAAA me@desk at home\n\
            # Host vps found: line 4 CA\n@cert-authority *.org,vps ssh-rsa BBBB\n\
            # Host vps found: line 9 REVOKED\n@revoked * ssh-ed25519 CCCC\nnoise\n# Host vps found: line 10 \nvps\n";
        let file = Path::new("/my keys/known");
        let lines = read_lines(file, printed);
        assert_eq!(
            text("vps", &lines),
            "vps ssh-ed25519 AAAA\n@cert-authority vps ssh-rsa BBBB\n@revoked vps ssh-ed25519 CCCC\n"
        );
        assert_eq!(lines[1].origin, (file.to_owned(), 4));
    }

    #[test]
    fn the_name_that_the_login_went_by_is_the_one_that_is_kept() {
        let (first, second) =
            (|| vec![line(None, "port")], || vec![line(None, "bare"), line(Some(Marker::Revoked), "r")]);
        let keys = |found| {
            let lines = chosen(found, first(), second());
            lines.iter().map(|line| line.key.clone()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(keys(KeySource::UnderFirst), "port r");
        assert_eq!(keys(KeySource::WithoutPort), "bare r");
        assert_eq!(keys(KeySource::Unsaid), "port r");
        let authority = || vec![line(Some(Marker::CertAuthority), "ca")];
        // An authority under one name says nothing of the keys under the other.
        assert_eq!(chosen(KeySource::Unsaid, authority(), second()).len(), 3);
        // A proxy's own ssh may have spoken first: what is there counts.
        assert_eq!(chosen(KeySource::WithoutPort, first(), Vec::new()), first());
    }

    #[test]
    fn where_a_login_found_its_key_is_read_from_its_first_word_about_it() {
        let bare = "debug1: checking without port identifier\r\ndebug1: Host 'h' is known and matches the ED25519 host \
            key.\r\ndebug1: KeySource key in /my keys/k:1\r\ndebug1: found matching key w/out port\r\n";
        assert_eq!(KeySource::read(bare), KeySource::WithoutPort);
        let ported = "debug1: KeySource key in /k:1\r\ndebug1: rekey\r\ndebug1: found matching key w/out port\r\n";
        assert_eq!(KeySource::read(ported), KeySource::UnderFirst);
        let command = "debug1: KeySource CA key in KnownHostsCommand-HOSTNAME:1\n";
        assert_eq!(KeySource::read(command), KeySource::ByCommand { certificate: true });
        assert_eq!(
            KeySource::read("Warning: Permanently added '[h]:1' (ED25519) to the list.\n"),
            KeySource::UnderFirst
        );
        assert_eq!(
            KeySource::read("debug1: Forcing accepting of host key for loopback/localhost.\n"),
            KeySource::NotAsked
        );
        assert_eq!(KeySource::read("debug1: hello\n"), KeySource::Unsaid);
    }

    #[test]
    fn file_names_with_blanks_are_told_apart() {
        let there = |file: &Path| ["/home/a b/k", "/a /b"].map(Path::new).contains(&file);
        let split = |text| split_files(text, there).iter().map(|file| file.display().to_string()).collect::<Vec<_>>();
        assert_eq!(split("/k1 /k2"), ["/k1", "/k2"]);
        assert_eq!(split("/home/a b/k /a /b /c"), ["/home/a b/k", "/a /b", "/c"]);
        assert_eq!(split("/not there /k"), ["/not there", "/k"]);
        assert_eq!(split("none"), ["none"]);
    }
}
