//! Encodes typed values as a script's arguments.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use super::{Expected, LinkProbe, Speaker};
use crate::facts::links::Probe;
use crate::inventory::model::GuardAction;

impl Speaker {
    pub(super) fn arguments(&self) -> Vec<String> {
        vec![self.run.clone(), self.epoch.to_string()]
    }
}

impl Expected {
    pub(super) fn arguments(&self) -> [String; 3] {
        [&self.current, &self.profile, &self.boot_default]
            .map(|system| system.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string))
    }
}

/// Returns a machine's id as the scripts take one. The missing host once said it, and no word of that host may keep the
/// others from ending.
pub(super) fn machine_word(machine: Option<&str>) -> &str {
    let fits = |id: &&str| (1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    machine.filter(fits).unwrap_or("-")
}

pub(super) fn action_word(action: GuardAction) -> &'static str {
    match action {
        GuardAction::Reboot => "reboot",
        GuardAction::SwitchBack => "switch-back",
    }
}

pub(super) fn pace_argument(pace: &[(&'static str, u64)]) -> String {
    if pace.is_empty() {
        return "-".to_owned();
    }
    pace.iter().map(|(name, seconds)| format!("{name}={seconds}")).collect::<Vec<_>>().join(",")
}

/// Rounds up to whole seconds.
pub(super) fn seconds_up(duration: Duration) -> String {
    (duration.as_secs() + u64::from(duration.subsec_nanos() > 0)).to_string()
}

/// Encodes a word for the host's `printf %b`: it may have any byte but 0 in it, and a script travels as text.
pub(super) fn encode_word(word: &OsString) -> String {
    let mut encoded = String::with_capacity(word.len());
    let octal = |encoded: &mut String, byte: u8| {
        // Writing to a String cannot fail.
        let _ = write!(encoded, "\\0{byte:03o}");
    };
    for chunk in word.as_bytes().utf8_chunks() {
        for character in chunk.valid().chars() {
            if character.is_control() || character == '\\' {
                character.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| octal(&mut encoded, byte));
            } else {
                encoded.push(character);
            }
        }
        chunk.invalid().iter().for_each(|byte| octal(&mut encoded, *byte));
    }
    encoded
}

/// `probe ID KIND TIMEOUT_MS COUNT ARG…`
pub(super) fn probe_arguments(LinkProbe { id, probe, timeout, to_host }: &LinkProbe) -> Vec<String> {
    let any = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    let (kind, own) = match probe {
        Probe::Ping { address } => ("ping", vec![address.clone()]),
        Probe::Ssh { address, port } => {
            let host = to_host.as_ref().map(ToString::to_string);
            ("ssh", [address.clone(), port.to_string()].into_iter().chain(host).collect())
        }
        Probe::Tcp { address, port } => ("tcp", vec![address.clone(), port.to_string()]),
        Probe::Http { url, status, body } => {
            let status = any(status.map(|status| status.to_string()));
            ("http", [url.clone(), status].into_iter().chain(body.clone()).collect())
        }
        Probe::Dns { query, server } => ("dns", vec![query.clone(), any(server.clone())]),
        Probe::Wireguard { address, handshake } => ("wireguard", vec![address.clone(), seconds_up(*handshake)]),
        Probe::Argv(words) => ("argv", words.clone()),
        Probe::Shell(text) => ("shell", vec![text.clone()]),
    };
    let mut arguments = vec!["probe".to_owned(), id.to_string(), kind.to_owned()];
    arguments.extend([timeout.as_millis().to_string(), own.len().to_string()]);
    arguments.extend(own);
    arguments
}
