//! Looks at what the patterns have found: is it what it looks like, and what is to stand instead?

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use regex::Captures;

use super::patterns::{COLONS, END_OF_KEY, KEY_FILE};
use super::words::{is_code, is_file, is_public, is_state, is_top_level, is_unit};
use super::{FoundText, HiddenKind, Redactor, TextPiece};

/// As many characters as 16 bytes have in hexadecimal digits.
const SHORTEST_TOKEN: usize = 32;

/// Behind `token` or `password` what is no longer than this, and has letters alone, is the sentence going on.
const LONGEST_WORD: usize = 12;

/// Texts behind the beginning of a key that may belong to it: the lines of a key of 8192 bits, and some.
const LINES_OF_A_KEY: usize = 120;

impl Redactor {
    /// Key files, also those of which a text has only a part.
    pub(super) fn key_files(&mut self, mut pieces: Vec<TextPiece>) -> Vec<TextPiece> {
        if let (true, [TextPiece::Raw(text)]) = (self.open_key > 0, pieces.as_slice()) {
            self.open_key -= 1;
            let is_base64 =
                |word: &str| word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte));
            if text.split_whitespace().all(is_base64) {
                return vec![TextPiece::Done(self.give(HiddenKind::Key, &text.clone()))];
            }
        }
        let mut is_open = false;
        pieces = self.pass(pieces, &KEY_FILE, |this, _, found| {
            let key = found.get(0)?;
            is_open = !key.as_str().contains("-----END ");
            Some((key.range(), this.give(HiddenKind::Key, key.as_str())))
        });
        pieces = self.pass(pieces, &END_OF_KEY, |this, _, found| {
            this.open_key = 0;
            let key = found.get(0)?;
            Some((key.range(), this.give(HiddenKind::Key, key.as_str())))
        });
        if is_open {
            self.open_key = LINES_OF_A_KEY;
        }
        pieces
    }

    /// It stays, but for the name of a host: systems are called after theirs.
    pub(super) fn store_path(&mut self, _: &str, found: &Captures<'_>) -> FoundText {
        let path = found.get(0)?;
        let mut words: Vec<(usize, usize)> = Vec::new();
        let lower = path.as_str().to_lowercase();
        for host in &self.lower_hosts {
            for (at, _) in lower.match_indices(host.as_str()) {
                let range = at..at + host.len();
                let is_taken = words.iter().any(|(start, end)| range.start < *end && *start < range.end);
                if !is_taken && !is_in_a_word(&lower, &range) {
                    words.push((range.start, range.end));
                }
            }
        }
        words.sort_unstable();
        let (mut clean, mut written) = (String::new(), 0);
        for (start, end) in words {
            clean += &path.as_str()[written..start];
            clean += &self.host(&path.as_str()[start..end])?;
            written = end;
        }
        Some((path.range(), clean + &path.as_str()[written..]))
    }

    /// Finds the value that is given to a name that means a password. A path only tells where a secret is.
    pub(super) fn value_of_a_secret(&mut self, _: &str, found: &Captures<'_>) -> FoundText {
        let value = ["double", "single", "bare"].into_iter().find_map(|name| found.name(name))?;
        (!is_path(value.as_str())).then(|| (value.range(), self.give(HiddenKind::Secret, value.as_str())))
    }

    pub(super) fn url(&mut self, _: &str, found: &Captures<'_>) -> FoundText {
        let (login, host) = (found.name("user"), found.name("host")?);
        if host.is_empty() && login.is_none() {
            return None;
        }
        let mut instead = String::new();
        if let Some(login) = login {
            instead = self.credentials(login.as_str()) + "@";
        }
        if !host.is_empty() {
            instead += &self.address_or_name(host.as_str());
        }
        let mut end = host.end();
        if let Some(port) = found.name("port") {
            instead += &format!(":{}", self.port_word(port.as_str()));
            end = port.end();
        }
        Some((login.map_or(host.start(), |login| login.start())..end, instead))
    }

    /// `user` or `user:password`.
    pub(super) fn credentials(&mut self, login: &str) -> String {
        match login.split_once(':') {
            None => self.user(login),
            Some((user, secret)) => format!("{}:{}", self.user(user), self.give(HiddenKind::Secret, secret)),
        }
    }

    pub(super) fn header(&mut self, _: &str, found: &Captures<'_>) -> FoundText {
        self.group(found, "value", HiddenKind::Secret)
    }

    pub(super) fn secret(&mut self, _: &str, found: &Captures<'_>) -> FoundText {
        let strong = found.name("strong").is_some();
        let value = ["double", "single", "bare"].into_iter().find_map(|name| found.name(name))?;
        let between = found.name("between")?.as_str();
        let is_given = between.contains('=') || (between.contains(':') && (strong || !between.ends_with(' ')));
        // `the password is wrong`, `the token was taken`: words, and no secret. A path tells where a secret is.
        let word = value.as_str().trim_end_matches(['.', ',', ';', ':', ')']);
        let is_word = if between.trim().is_empty() || between.contains([':', '=']) {
            word.len() <= LONGEST_WORD && word.bytes().all(|byte| byte.is_ascii_alphabetic())
        } else {
            // `the passphrase is X`: whatever it is, if it does not say how the passphrase is.
            is_state(word)
        };
        if (is_word && !is_given) || is_path(word) {
            return None;
        }
        Some((value.range(), self.give(HiddenKind::Secret, value.as_str())))
    }

    pub(super) fn token(&mut self, _: &str, found: &Captures<'_>) -> FoundText {
        let token = found.get(0)?;
        // Letters, digits and cases that change all the time: in the words of paths and names they do not.
        let kind = |byte: u8| match byte {
            b'a'..=b'z' => 0,
            b'A'..=b'Z' => 1,
            b'0'..=b'9' => 2,
            b'+' => 3,
            _ => 4,
        };
        let kinds: Vec<u8> = token.as_str().bytes().map(kind).collect();
        let changes = |part: &[u8]| part.windows(2).filter(|pair| pair[0] != pair[1] && !pair.contains(&4)).count();
        let is_random = kinds.windows(SHORTEST_TOKEN).any(|part| changes(part) * 4 >= SHORTEST_TOKEN);
        is_random.then(|| (token.range(), self.give(HiddenKind::Key, token.as_str())))
    }

    pub(super) fn login(&mut self, text: &str, found: &Captures<'_>) -> FoundText {
        const TEMPLATES: [&str; 9] = [
            "getty",
            "serial-getty",
            "autovt",
            "wg-quick",
            "user",
            "user-runtime-dir",
            "container",
            "sshd",
            "modprobe",
        ];
        let (login, host) = (found.name("user")?, found.name("host")?);
        let name = host.as_str().trim_end_matches(['.', '-', '_']);
        let is_template = TEMPLATES.contains(&login.as_str()) || login.as_str().starts_with("systemd-");
        if is_unit(name) || is_template || is_public(&name.to_lowercase()) {
            return None;
        }
        let who = login.as_str().strip_prefix("ssh:").unwrap_or(login.as_str());
        let start = login.end() - who.len();
        let is_number = name.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let colons = COLONS.find_at(text, host.start()).filter(|colons| colons.start() == host.start());
        let is_address = host.as_str().starts_with(['[', ':'])
            || name.parse::<Ipv4Addr>().is_ok()
            || colons.is_some_and(|colons| colons.as_str().contains("::") || colons.as_str().matches(':').count() >= 5);
        if is_number && !is_address {
            // A version, or a number.
            return None;
        }
        if is_address {
            // What it is is seen by the passes for addresses.
            return Some((start..login.end(), self.credentials(who)));
        }
        let instead = format!("{}@{}", self.credentials(who), self.address_or_name(name));
        Some((start..host.start() + name.len(), instead))
    }

    pub(super) fn colons(&mut self, text: &str, found: &Captures<'_>) -> FoundText {
        let whole = found.get(0)?;
        let mut run = whole.as_str();
        let mut start = whole.start();
        if run.starts_with(':') && !run.starts_with("::") {
            (run, start) = (&run[1..], start + 1);
        }
        run = run.trim_end_matches('.');
        if run.ends_with(':') && !run.ends_with("::") {
            run = &run[..run.len() - 1];
        }
        let colons = run.bytes().filter(|byte| *byte == b':').count();
        if !run.bytes().any(|byte| byte.is_ascii_hexdigit()) || (!run.contains("::") && colons < 5) {
            return None;
        }
        let range = start..start + run.len();
        // `std::fmt`, `Foo::Bar`: letters go on at an end, and nothing in it is a digit.
        if colons < 5 && is_in_a_word(text, &range) && !run.bytes().any(|byte| byte.is_ascii_digit()) {
            return None;
        }
        match run.parse::<Ipv6Addr>() {
            Ok(address) if is_everywhere(address.into()) || self.is_kept(run) => None,
            Ok(address) => Some((range, self.give(HiddenKind::Address, &address.to_string()))),
            Err(_) => {
                let kind = if colons > 8 { HiddenKind::Key } else { HiddenKind::Address };
                Some((range, self.give(kind, &run.to_lowercase())))
            }
        }
    }

    pub(super) fn dotted_numbers(&mut self, _: &str, found: &Captures<'_>) -> FoundText {
        let run = found.get(0)?;
        let parts: Vec<Option<u8>> = run.as_str().split('.').map(|part| part.parse().ok()).collect();
        let has_address = parts.windows(4).any(|parts| parts.iter().all(Option::is_some));
        let everywhere = run.as_str().parse::<Ipv4Addr>().is_ok_and(|address| is_everywhere(address.into()));
        (has_address && !everywhere && !self.is_kept(run.as_str()))
            .then(|| (run.range(), self.give(HiddenKind::Address, run.as_str())))
    }

    pub(super) fn known_name(&mut self, text: &str, found: &Captures<'_>) -> FoundText {
        let name = found.get(0)?;
        let range = name.range();
        if is_in_a_word(text, &range) {
            return None;
        }
        let is_user = self.known.users.iter().any(|user| user.eq_ignore_ascii_case(name.as_str()));
        let is_address = self.known.addresses.iter().any(|(known, _)| known.eq_ignore_ascii_case(name.as_str()));
        let instead =
            if is_user && !is_address { self.user(name.as_str()) } else { self.address_or_name(name.as_str()) };
        if is_user && !is_address {
            return Some((range, instead));
        }
        let around = dotted_around(text, &range);
        let labels = [
            text[around.start..range.start].trim_end_matches('.'),
            text[range.end..around.end].trim_start_matches('.'),
        ];
        let [before, behind] = labels.map(|labels| self.labels(labels));
        let dotted: Vec<String> = [before, Some(instead), behind].into_iter().flatten().collect();
        Some((around, dotted.join(".")))
    }

    /// Hides labels beside the name of a host. The ends that names everywhere have stay.
    fn labels(&mut self, labels: &str) -> Option<String> {
        if labels.is_empty() {
            return None;
        }
        let is_known = |label: &str| is_top_level(label) || label.bytes().all(|byte| byte.is_ascii_digit());
        if is_known(&labels.to_lowercase()) { Some(labels.to_owned()) } else { Some(self.name(labels)) }
    }

    pub(super) fn dotted(&mut self, text: &str, found: &Captures<'_>) -> FoundText {
        let word = found.get(0)?;
        let before = text[..word.start()].chars().next_back();
        let lower = word.as_str().to_lowercase();
        let labels: Vec<&str> = word.as_str().split('.').collect();
        let last = labels.last()?;
        let is_label = last.len() >= 2
            && (last.starts_with("xn--")
                || last.bytes().all(|byte| byte.is_ascii_lowercase())
                || last.bytes().all(|byte| byte.is_ascii_uppercase()));
        if !is_label || is_unit(&lower) || is_public(&lower) || self.is_kept(word.as_str()) {
            return None;
        }
        if !is_top_level(&last.to_lowercase()) {
            let is_part_of_a_path = matches!(before, Some('/' | '#' | '$'));
            let has_numbers = labels.iter().take(2).all(|label| label.bytes().all(|byte| byte.is_ascii_digit()));
            if is_part_of_a_path
                || has_numbers
                || is_file(&labels)
                || is_code(word.as_str(), &labels)
                || self.is_kept(labels[0])
            {
                return None;
            }
        }
        Some((word.range(), self.give(HiddenKind::Name, &lower)))
    }

    pub(super) fn port(&mut self, _: &str, found: &Captures<'_>) -> FoundText {
        let port = found.name("port")?;
        let word = self.port_word(port.as_str());
        (word != port.as_str()).then(|| (port.range(), word))
    }

    /// Finds a number that is known as a port, whatever stands beside it: `2222/tcp`, `tcp 2222`.
    pub(super) fn port_number(&mut self, text: &str, found: &Captures<'_>) -> FoundText {
        let number = found.get(0)?;
        // A part of a version is none.
        let is_part = text[..number.start()].ends_with('.') || is_in_a_word(text, &number.range());
        let word = self.port_word(number.as_str());
        (!is_part && word != number.as_str()).then(|| (number.range(), word))
    }

    pub(super) fn port_word(&mut self, port: &str) -> String {
        match port.parse() {
            // A word that every machine has tells nothing.
            Ok(number) if !is_port_of_every_machine(number) && self.known.ports.contains(&number) => {
                self.give(HiddenKind::Port, port)
            }
            _ => port.to_owned(),
        }
    }
}

/// Returns where the name with dots begins and ends of which a name is a part: `vps.smithcorp`. A unit, a file or an
/// option that is called like a host is a part of none.
fn dotted_around(text: &str, name: &Range<usize>) -> Range<usize> {
    let goes_on = |character: char| character.is_ascii_alphanumeric() || matches!(character, '.' | '-' | '_');
    let start = text[..name.start]
        .rfind(|character| !goes_on(character))
        .map_or(0, |at| at + text[at..].chars().next().map_or(1, char::len_utf8));
    let end = text[name.end..].find(|character| !goes_on(character)).map_or(text.len(), |at| name.end + at);
    // The dot behind a sentence belongs to no name.
    let start =
        start + text[start..name.start].len() - text[start..name.start].trim_start_matches(['.', '-', '_']).len();
    let end = name.end + text[name.end..end].trim_end_matches(['.', '-', '_']).len();
    let (before, behind) = (&text[start..name.start], &text[name.end..end]);
    let has_edges = (before.is_empty() || before.ends_with('.')) && (behind.is_empty() || behind.starts_with('.'));
    let word = &text[start..end];
    let labels: Vec<&str> = word.split('.').collect();
    let is_another_thing = labels.iter().any(|label| label.is_empty())
        || matches!(text[..start].chars().next_back(), Some('/' | '#' | '$'))
        || is_unit(&word.to_lowercase())
        || is_file(&labels)
        || is_code(word, &labels);
    if has_edges && !is_another_thing { start..end } else { name.clone() }
}

/// A port that tells nothing: every machine has it.
pub(super) fn is_port_of_every_machine(port: u16) -> bool {
    matches!(port, 22 | 80 | 443)
}

/// Whether letters or digits go on before or behind it. In a text with escapes (`\n`) their letter is none.
fn is_in_a_word(text: &str, range: &Range<usize>) -> bool {
    let before = &text[..range.start];
    let is_escape = ["\\n", "\\r", "\\t"].iter().any(|escape| before.ends_with(escape));
    let goes_on = |character: Option<char>| character.is_some_and(|character| character.is_ascii_alphanumeric());
    (goes_on(before.chars().next_back()) && !is_escape) || goes_on(text[range.end..].chars().next())
}

/// Addresses that are the same on every machine, and tell nothing.
pub(super) fn is_everywhere(address: IpAddr) -> bool {
    address.is_loopback() || address.is_unspecified() || address == IpAddr::V4(Ipv4Addr::BROADCAST)
}

/// `/run/secrets/x`.
pub(super) fn is_path(text: &str) -> bool {
    let Some(rest) = text.strip_prefix('/') else { return false };
    rest.contains('/')
        && rest.split('/').all(|part| {
            !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        })
}
