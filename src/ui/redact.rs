//! Takes addresses, names and keys out of a text that a person sends to another.
//!
//! Two rules. It rather takes out too much than too little: a reader of the report can ask, but a text that was sent
//! cannot be taken back. And the same thing becomes the same word everywhere (`ADDRESS-1`, `NAME-2`, `KEY-1`), so that
//! a reader can still follow.
//!
//! These stay, because the report could not be understood without them: names of fleets, unit names, file names,
//! options of NixOS, store paths with their hashes, and addresses that are the same on every machine.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::ops::Range;

use regex::{Captures, Regex};
use serde_json::Value;

use crate::ui::sanitise;

mod findings;
mod patterns;
mod words;

use findings::{is_everywhere, is_port_of_every_machine};
use patterns::{
    ASSIGNED, BLOCK, COLONS, COMMAND_LOGIN, COMMAND_PASSWORD, DOTTED, DOTTED_NUMBERS, FINGERPRINT, HEADER, HOME,
    HYPHENED_MAC, JWT, KNOWN_TOKEN, LOGIN, NUMBER, PORT, SECRET, SSH_KEY, STORE_PATH, TOKEN, URL, WIREGUARD_KEY,
    pattern,
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
    /// The hosts' names in lower case, the longest first.
    lower_hosts: Vec<String>,
    /// A key that began in an earlier text and has not ended, and how many texts more may be a part of it.
    open_key: usize,
    /// Short texts that were looked through already: a record says the same words again and again.
    seen: HashMap<String, String>,
}

/// A text is kept up to this length, in bytes, and so many of them.
const LONGEST_SEEN: usize = 256;
const MOST_SEEN: usize = 50_000;

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
        // A record names the same things in many places.
        each_once(&mut known.hosts, |host| host.to_lowercase());
        each_once(&mut known.addresses, Clone::clone);
        each_once(&mut known.users, |user| user.to_lowercase());
        let mut lower_hosts: Vec<String> = known.hosts.iter().map(|host| host.to_lowercase()).collect();
        lower_hosts.sort_by_key(|host| std::cmp::Reverse(host.len()));
        let mut redactor = Self {
            names: None,
            given: BTreeMap::new(),
            counts: BTreeMap::new(),
            lower_hosts,
            open_key: 0,
            seen: HashMap::new(),
            known: known.clone(),
        };
        // In the inventory's order, so that the numbers mean something and stay the same for one fleet.
        for host in &known.hosts {
            redactor.give(HiddenKind::Host, &host.to_lowercase());
        }
        for (address, _) in &known.addresses {
            redactor.address_or_name(address);
        }
        for user in &known.users {
            redactor.user(user);
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
        // What a text means depends on the ones before it only while a key goes on, or where one begins or ends.
        let stands_alone = self.open_key == 0 && raw.len() <= LONGEST_SEEN && !raw.contains("-----");
        if let (true, Some(clean)) = (stands_alone, self.seen.get(raw)) {
            return clean.clone();
        }
        let clean = self.look_through(raw);
        if stands_alone && self.seen.len() < MOST_SEEN {
            self.seen.insert(raw.to_owned(), clean.clone());
        }
        clean
    }

    fn look_through(&mut self, raw: &str) -> String {
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
        if self.known.ports.iter().any(|port| !is_port_of_every_machine(*port)) {
            pieces = self.pass(pieces, &PORT, Self::port);
            pieces = self.pass(pieces, &NUMBER, Self::port_number);
        }
        pieces
            .into_iter()
            .map(|piece| match piece {
                TextPiece::Raw(text) | TextPiece::Done(text) => text,
            })
            .collect()
    }

    /// Every text in a JSON value, names in its maps among them. What names a kind of thing stays as it is, and so do
    /// the names of fields: a host may be called like one.
    pub fn json(&mut self, value: &mut Value) {
        if let Value::Object(fields) = value {
            for (name, value) in fields {
                // A line's own kind, time and run.
                let is_kept = matches!(name.as_str(), "event" | "entry" | "at" | "run");
                if !(is_kept && value.as_str().is_some_and(is_kind)) {
                    self.field(name, value);
                }
            }
        } else {
            self.field("", value);
        }
    }

    /// The value of a field of this name.
    fn field(&mut self, name: &str, value: &mut Value) {
        match value {
            Value::String(text) if is_word_of_ours(name, text) => {}
            Value::String(secret) if means_a_secret(name) => *secret = self.give(HiddenKind::Secret, secret),
            Value::String(text) => *text = self.text(text),
            Value::Array(values) => {
                let lines: Option<Vec<&str>> = values.iter().map(Value::as_str).collect();
                // A key that was printed is one line after the other.
                match lines.map(|lines| lines.join("\n")) {
                    Some(text) if text.contains("-----BEGIN ") || text.contains("-----END ") => {
                        *values = self.text(&text).split('\n').map(Value::from).collect();
                    }
                    _ => values.iter_mut().for_each(|value| self.field(name, value)),
                }
            }
            Value::Object(fields) => {
                for (inner, mut value) in std::mem::take(fields) {
                    self.field(&inner, &mut value);
                    let is_field = !MAPS.contains(&name) && is_name_of_a_field(&inner);
                    fields.insert(if is_field { inner } else { self.text(&inner) }, value);
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
        if user == "root" || self.is_kept(user) {
            return user.to_owned();
        }
        self.give(HiddenKind::User, &user.to_lowercase())
    }

    /// The word for the end of a link that is not called like a host, whatever it is called.
    #[must_use]
    pub fn name(&mut self, name: &str) -> String {
        self.host(name).unwrap_or_else(|| self.give(HiddenKind::Name, &name.to_lowercase()))
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
            // Most patterns are in no text, and to look for one is far cheaper than to look for its groups.
            while pattern.is_match_at(&text, at)
                && let Some(found) = pattern.captures_at(&text, at)
            {
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

/// Fields whose values are words of ours. A host may be called like one, and then the value would be none any more.
const KINDS: [&str; 5] = ["event", "phase", "state", "outcome", "kind"];

/// Fields that are maps: the names in them are names of hosts, units and the like.
const MAPS: [&str; 8] = ["after", "answers", "before", "fields", "hosts", "restarts", "systems", "units"];

fn is_word_of_ours(field: &str, text: &str) -> bool {
    KINDS.contains(&field) && is_kind(text)
}

fn is_name_of_a_field(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

/// Whether the value of a field of this name is secret, whatever it is.
fn means_a_secret(field: &str) -> bool {
    [&*SECRET, &*ASSIGNED].iter().any(|pattern| pattern.is_match(&format!("{field}=x")))
}

/// Drops what is there a second time, and keeps the order.
fn each_once<T, K: Ord>(things: &mut Vec<T>, key: impl Fn(&T) -> K) {
    let mut seen = BTreeSet::new();
    things.retain(|thing| seen.insert(key(thing)));
}

/// Whether it can be a word of ours, a time or a run's id.
fn is_kind(text: &str) -> bool {
    text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.:-".contains(&byte))
}

#[cfg(test)]
mod tests;
