//! Takes addresses, names and keys out of a text that a person sends to another.
//!
//! Two rules. It rather takes out too much than too little: a reader of the report can ask, but a text that was sent
//! cannot be taken back. And the same thing becomes the same word everywhere (`ADDRESS-1`, `NAME-2`, `KEY-1`), so that
//! a reader can still follow.
//!
//! These stay, because the report could not be understood without them: names of fleets, unit names, file names,
//! options of NixOS, store paths with their hashes, and addresses that are the same on every machine.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::ops::Range;

use regex::{Captures, Regex};
use serde_json::Value;

use crate::ui::sanitise;

mod findings;
mod patterns;
mod words;

use findings::is_everywhere;
use patterns::{
    ASSIGNED, BLOCK, COLONS, COMMAND_LOGIN, COMMAND_PASSWORD, DOTTED, DOTTED_NUMBERS, FINGERPRINT, HEADER, HOME,
    HYPHENED_MAC, JWT, KNOWN_TOKEN, LOGIN, PORT, SECRET, SSH_KEY, STORE_PATH, TOKEN, URL, WIREGUARD_KEY, pattern,
};
use words::{is_ordinary, is_public};

/// The private words that a report is known to hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KnownTexts {
    /// Fleets: these stay.
    pub kept: BTreeSet<String>,
    /// Inventory hosts: their bare names are hidden wherever they stand as words, also in store paths.
    pub hosts: Vec<String>,
    /// Addresses and names of hosts, each with the host it is of, if it is one.
    pub addresses: Vec<(String, Option<String>)>,
    pub users: Vec<String>,
    pub ports: Vec<u16>,
}

/// The kind of a hidden thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum HiddenKind {
    Host,
    Address,
    Name,
    User,
    Port,
    Key,
    Secret,
}

impl HiddenKind {
    fn word(self) -> &'static str {
        match self {
            Self::Host => "HOST",
            Self::Address => "ADDRESS",
            Self::Name => "NAME",
            Self::User => "USER",
            Self::Port => "PORT",
            Self::Key => "KEY",
            Self::Secret => "SECRET",
        }
    }
}

/// Hides the same thing behind the same word in every text that it is given.
#[derive(Debug)]
pub struct Redactor {
    known: KnownTexts,
    /// Every known name as a whole word, the longest first.
    names: Option<Regex>,
    given: BTreeMap<(HiddenKind, String), usize>,
    counts: BTreeMap<HiddenKind, usize>,
    /// A key that began in an earlier text and has not ended, and how many texts more may be a part of it.
    open_key: usize,
}

/// A part of a text: still to be looked at, or a replacement that nothing may be found in.
enum TextPiece {
    Raw(String),
    Done(String),
}

/// A place in the text, and the words that stand there instead.
type FoundText = Option<(Range<usize>, String)>;

impl Redactor {
    #[must_use]
    pub fn new(mut known: KnownTexts) -> Self {
        let is_kept = |known: &KnownTexts, text: &str| known.kept.contains(text);
        known.addresses = std::mem::take(&mut known.addresses)
            .into_iter()
            .filter(|(address, _)| !address.is_empty() && !is_kept(&known, address))
            .collect();
        known.users = std::mem::take(&mut known.users)
            .into_iter()
            .filter(|user| !user.is_empty() && user != "root" && !is_kept(&known, user))
            .collect();
        known.hosts = std::mem::take(&mut known.hosts)
            .into_iter()
            .filter(|host| !host.is_empty() && !is_kept(&known, host))
            .collect();
        let mut redactor =
            Self { names: None, given: BTreeMap::new(), counts: BTreeMap::new(), open_key: 0, known: known.clone() };
        // In the inventory's order, so that the numbers mean something and stay the same for one fleet.
        for host in &known.hosts {
            redactor.give(HiddenKind::Host, &host.to_lowercase());
        }
        for (address, _) in &known.addresses {
            redactor.address_or_name(address);
        }
        for user in &known.users {
            redactor.give(HiddenKind::User, user);
        }
        let mut words: Vec<&str> = known.addresses.iter().map(|(address, _)| address.as_str()).collect();
        // A user with the name of a thing of every day is hidden only where it can only be a user.
        words.extend(known.users.iter().map(String::as_str).filter(|user| user.len() > 1 && !is_ordinary(user)));
        words.extend(known.hosts.iter().map(String::as_str));
        words.sort_by_key(|word| std::cmp::Reverse(word.len()));
        let words: Vec<String> = words.into_iter().map(regex::escape).collect();
        redactor.names = (!words.is_empty()).then(|| pattern(&format!("(?i){}", words.join("|"))));
        redactor
    }

    /// Returns the replacement of each known thing, for the report's head: `ADDRESS-1`, and the host that has this
    /// address.
    #[must_use]
    pub fn legend(&mut self) -> Vec<(String, String)> {
        let known = self.known.addresses.clone();
        let of = |(address, host): (String, Option<String>)| {
            let word = self.address_or_name(&address);
            host.map(|host| (word, host))
        };
        let mut legend: Vec<(String, String)> = known.into_iter().filter_map(of).collect();
        legend.dedup();
        legend
    }

    /// The text without anything that is to be hidden, and without control sequences.
    #[must_use]
    pub fn text(&mut self, raw: &str) -> String {
        let clean = sanitise::text(raw);
        if clean.is_empty() {
            return clean;
        }
        let mut pieces = vec![TextPiece::Raw(clean)];
        pieces = self.key_files(pieces);
        pieces = self.pass(pieces, &STORE_PATH, Self::store_path);
        pieces = self.pass(pieces, &URL, Self::url);
        pieces = self.pass(pieces, &HEADER, Self::header);
        pieces = self.pass(pieces, &SECRET, Self::secret);
        for secrets in [&*ASSIGNED, &*COMMAND_PASSWORD] {
            pieces = self.pass(pieces, secrets, Self::value_of_a_secret);
        }
        pieces = self.pass(pieces, &COMMAND_LOGIN, |this, _, found| {
            let login = found.name("login")?;
            Some((login.range(), this.credentials(login.as_str())))
        });
        for tokens in [&*JWT, &*KNOWN_TOKEN] {
            pieces = self.pass(pieces, tokens, |this, _, found| this.group(found, "token", HiddenKind::Key));
        }
        pieces = self.pass(pieces, &FINGERPRINT, |this, _, found| this.group(found, "hash", HiddenKind::Key));
        for keys in [&*SSH_KEY, &*WIREGUARD_KEY] {
            pieces = self.pass(pieces, keys, |this, _, found| {
                let key = found.get(0)?;
                Some((key.range(), this.give(HiddenKind::Key, key.as_str())))
            });
        }
        pieces = self.pass(pieces, &TOKEN, Self::token);
        pieces = self.pass(pieces, &BLOCK, |this, _, found| {
            let block = found.get(0)?;
            Some((block.range(), this.give(HiddenKind::Key, block.as_str())))
        });
        pieces = self.pass(pieces, &LOGIN, Self::login);
        pieces = self.pass(pieces, &COLONS, Self::colons);
        pieces = self.pass(pieces, &HYPHENED_MAC, |this, _, found| {
            let address = found.get(0)?;
            Some((address.range(), this.give(HiddenKind::Address, &address.as_str().replace('-', ":"))))
        });
        pieces = self.pass(pieces, &DOTTED_NUMBERS, Self::dotted_numbers);
        pieces = self.pass(pieces, &HOME, |this, _, found| {
            let user = found.name("user")?;
            Some((user.range(), this.user(user.as_str())))
        });
        if let Some(names) = self.names.clone() {
            pieces = self.pass(pieces, &names, Self::known_name);
        }
        pieces = self.pass(pieces, &DOTTED, Self::dotted);
        if !self.known.ports.is_empty() {
            pieces = self.pass(pieces, &PORT, Self::port);
        }
        pieces
            .into_iter()
            .map(|piece| match piece {
                TextPiece::Raw(text) | TextPiece::Done(text) => text,
            })
            .collect()
    }

    /// Every text in a JSON value, the keys of its maps among them. What names a kind of thing stays as it is.
    pub fn json(&mut self, value: &mut Value) {
        const KINDS: [&str; 8] = ["event", "entry", "phase", "state", "outcome", "at", "run", "kind"];
        match value {
            Value::String(text) => *text = self.text(text),
            Value::Array(values) => {
                let lines: Option<Vec<&str>> = values.iter().map(Value::as_str).collect();
                // A key that was printed is one line after the other.
                match lines.map(|lines| lines.join("\n")) {
                    Some(text) if text.contains("-----BEGIN ") || text.contains("-----END ") => {
                        *values = self.text(&text).split('\n').map(Value::from).collect();
                    }
                    _ => values.iter_mut().for_each(|value| self.json(value)),
                }
            }
            Value::Object(fields) => {
                for (name, mut value) in std::mem::take(fields) {
                    let names_a_secret = [&*SECRET, &*ASSIGNED].iter().any(|one| one.is_match(&format!("{name}=x")));
                    match &mut value {
                        Value::String(text) if KINDS.contains(&name.as_str()) && is_kind(text) => {}
                        Value::String(secret) if names_a_secret => *secret = self.give(HiddenKind::Secret, secret),
                        value => self.json(value),
                    }
                    fields.insert(self.text(&name), value);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// The word for a thing: always the same one.
    fn give(&mut self, kind: HiddenKind, thing: &str) -> String {
        let number = self.given.entry((kind, thing.to_owned())).or_insert_with(|| {
            let count = self.counts.entry(kind).or_default();
            *count += 1;
            *count
        });
        format!("{}-{number}", kind.word())
    }

    fn group(&mut self, found: &Captures<'_>, group: &str, kind: HiddenKind) -> FoundText {
        let group = found.name(group)?;
        Some((group.range(), self.give(kind, group.as_str())))
    }

    /// The word for an inventory host, if this is the bare name of one.
    fn host(&mut self, name: &str) -> Option<String> {
        let is_it = self.known.hosts.iter().any(|host| host.eq_ignore_ascii_case(name));
        is_it.then(|| self.give(HiddenKind::Host, &name.to_lowercase()))
    }

    fn user(&mut self, user: &str) -> String {
        if user == "root" || self.is_kept(user) { user.to_owned() } else { self.give(HiddenKind::User, user) }
    }

    /// An address of a host, by which way it is written.
    fn address_or_name(&mut self, text: &str) -> String {
        let bare = text.trim_start_matches('[').trim_end_matches(']');
        let lower = bare.trim_end_matches('.').to_lowercase();
        if let Some(host) = self.host(&lower) {
            return host;
        }
        if self.is_kept(bare) || is_public(&lower) {
            return text.to_owned();
        }
        let without_zone = bare.split('%').next().unwrap_or(bare);
        match without_zone.parse::<IpAddr>() {
            Ok(address) if is_everywhere(address) => text.to_owned(),
            Ok(address) => self.give(HiddenKind::Address, &address.to_string()),
            Err(_) => self.give(HiddenKind::Name, &lower),
        }
    }

    fn is_kept(&self, text: &str) -> bool {
        self.known.kept.contains(text)
    }

    /// Looks through what is still raw.
    fn pass(
        &mut self,
        pieces: Vec<TextPiece>,
        pattern: &Regex,
        mut hide: impl FnMut(&mut Self, &str, &Captures<'_>) -> FoundText,
    ) -> Vec<TextPiece> {
        let mut out = Vec::with_capacity(pieces.len());
        for piece in pieces {
            let TextPiece::Raw(text) = piece else {
                out.push(piece);
                continue;
            };
            let (mut written, mut at) = (0, 0);
            while let Some(found) = pattern.captures_at(&text, at) {
                let whole = found.get(0).map_or(at..at, |whole| whole.range());
                if let Some((range, instead)) = hide(self, &text, &found) {
                    out.push(TextPiece::Raw(text[written..range.start].to_owned()));
                    out.push(TextPiece::Done(instead));
                    (written, at) = (range.end, range.end);
                } else {
                    at = found.name("again").map_or(whole.end, |again| again.end());
                }
                // A pattern that finds nothing at all must not find it for ever.
                if whole.is_empty() {
                    at += text[at..].chars().next().map_or(1, char::len_utf8);
                }
                if at > text.len() {
                    break;
                }
            }
            out.push(TextPiece::Raw(text[written..].to_owned()));
        }
        out
    }
}

/// Whether it can be a word of ours, a time or a run's id.
fn is_kind(text: &str) -> bool {
    text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.:-".contains(&byte))
}

#[cfg(test)]
mod tests;
