//! What Ansible's variables say of the way to a host, in the inventory's words.

use std::collections::BTreeMap;

use super::super::draft::DraftSetting;
use super::super::note::{ImportNotes, SourcePlace};
use super::super::ssh_args::{Hop, SshArgs};
use super::super::words::{Comments, split};
use super::super::{OTHER_KEY, accepted, accepted_address};
use super::lookup::{FoundValue, Lookup, Origin, Unread};
use crate::inventory::words::shown;

/// The settings of a host, each with the layer that says it.
#[derive(Debug, Default)]
pub(super) struct Connection {
    pub(super) address: Option<String>,
    pub(super) settings: BTreeMap<DraftSetting, (String, Origin)>,
    /// The hops to it, the nearest to us first, and where they are said: which of them are hosts of the inventory is
    /// only known when all hosts are.
    pub(super) way: Option<(Vec<Hop>, Origin, SourcePlace)>,
}

/// Whether the host can be pushed to at all.
pub(super) enum Reachable {
    BySsh(Connection),
    /// It is not reached by ssh; the note is written.
    NotAtAll,
}

/// Reads the connection of one host.
pub(super) fn read(host: &Lookup<'_>, notes: &mut ImportNotes) -> Reachable {
    if !is_by_ssh(host, notes) {
        return Reachable::NotAtAll;
    }
    let mut reader = ConnectionReader { host, notes, connection: Connection::default() };
    if let Some((address, _, place)) = reader.text(&["ansible_host", "ansible_ssh_host"]) {
        reader.connection.address = accepted_address(&address, &place, reader.notes);
    }
    // Ansible puts these before the options that it makes of the variables, and the others behind them. Source:
    // `_build_command` in its `plugins/connection/ssh.py`; of two values ssh takes the first.
    reader.arguments("ansible_ssh_args");
    reader.setting(DraftSetting::User, &["ansible_user", "ansible_ssh_user"]);
    reader.setting(DraftSetting::Port, &["ansible_port", "ansible_ssh_port"]);
    reader.setting(DraftSetting::Identity, &["ansible_private_key_file", "ansible_ssh_private_key_file"]);
    for name in ["ansible_ssh_common_args", "ansible_ssh_extra_args"] {
        reader.arguments(name);
    }
    reader.becoming();
    if let Some(found) = host.find(&["ansible_host_key_checking", "ansible_ssh_host_key_checking"]) {
        let mend = "an unknown host key refuses a push: log in once by hand, or write `host_key: accept-new`";
        reader.notes.note(&found.variable.place, "how host keys are checked is not carried over", mend);
    }
    Reachable::BySsh(reader.connection)
}

/// Listed once for each place that says it, however many hosts it is for.
fn is_by_ssh(host: &Lookup<'_>, notes: &mut ImportNotes) -> bool {
    let Some(found) = host.find(&["ansible_connection"]) else { return true };
    let Ok(kind) = &found.value else {
        unread(&found, notes);
        return true;
    };
    let short = kind.rsplit('.').next().unwrap_or(kind);
    if matches!(short, "ssh" | "smart" | "paramiko" | "paramiko_ssh" | "openssh" | "mitogen_ssh") {
        return true;
    }
    let (what, mend) = if short == "local" {
        let what = "reached without ssh (`ansible_connection` is `local`): left out".to_owned();
        (what, "this is the machine that Ansible runs on: to push to it too, add it as a host that ssh reaches")
    } else {
        let what = format!("reached by `{}`, not by ssh: left out", shown(kind));
        (what, "fleetdeploy pushes to NixOS hosts over ssh: if this is one, add it by hand")
    };
    notes.note(&found.variable.place, format!("{what}: `{}`", shown(host.name())), mend);
    false
}

/// Lists a value that is not known.
fn unread(found: &FoundValue<'_>, notes: &mut ImportNotes) {
    let name = found.name;
    let what = match found.value {
        // What is encrypted is listed with all that is.
        Ok(_) | Err(Unread::Vault) => return,
        Err(Unread::Template) => format!("`{name}` is a template that only Ansible can fill in"),
        Err(Unread::Other(kind)) => format!("`{name}` is {kind}, not a text"),
    };
    notes.note(&found.variable.place, what, "not carried over: write the value by hand");
}

struct ConnectionReader<'a, 'b> {
    host: &'b Lookup<'a>,
    notes: &'b mut ImportNotes,
    connection: Connection,
}

impl ConnectionReader<'_, '_> {
    /// A text that is known, and not empty; else a note.
    fn text(&mut self, names: &[&str]) -> Option<(String, Origin, SourcePlace)> {
        let found = self.host.find(names)?;
        match &found.value {
            Ok(text) if text.trim().is_empty() => None,
            Ok(text) => Some((text.trim().to_owned(), found.origin.clone(), found.variable.place.clone())),
            Err(_) => {
                unread(&found, self.notes);
                None
            }
        }
    }

    fn setting(&mut self, key: DraftSetting, names: &[&str]) {
        if let Some((text, origin, place)) = self.text(names) {
            self.put(key, &text, &origin, &place);
        }
    }

    /// The first wins.
    fn put(&mut self, key: DraftSetting, text: &str, origin: &Origin, place: &SourcePlace) {
        if let Some((known, _)) = self.connection.settings.get(&key) {
            if key == DraftSetting::Identity && known != text {
                self.notes.note(place, format!("another key: `{}`", shown(text)), OTHER_KEY);
            }
            return;
        }
        if let Some(value) = accepted(key, text, place, self.notes) {
            if key == DraftSetting::Identity && !value.starts_with(['/', '~']) {
                let mend = "fleetdeploy looks for it below the inventory's folder, Ansible below its working folder";
                self.notes.note(place, format!("the key `{}` has a relative path", shown(&value)), mend);
            }
            self.connection.settings.insert(key, (value, origin.clone()));
        }
    }

    fn arguments(&mut self, name: &str) {
        let Some((text, origin, place)) = self.text(&[name]) else { return };
        let Ok(words) = split(&text, Comments::None) else {
            self.notes.note(&place, format!("`{name}` has an open quote"), "write what it says by hand");
            return;
        };
        let words: Vec<String> = words.into_iter().map(|word| word.text).collect();
        let read = SshArgs::read(&words);
        for (key, value) in
            [(DraftSetting::User, read.user), (DraftSetting::Port, read.port), (DraftSetting::Identity, read.identity)]
        {
            if let Some(value) = value {
                self.put(key, &value, &origin, &place);
            }
        }
        if read.accepts_new_keys {
            self.put(DraftSetting::HostKey, "accept-new", &origin, &place);
        }
        if self.connection.way.is_none() && !read.jump.is_empty() {
            self.connection.way = Some((read.jump, origin, place.clone()));
        }
        for left in read.left {
            self.notes.note(&place, format!("an argument of ssh: `{}`", shown(&left.argument)), left.mend);
        }
    }

    fn becoming(&mut self) {
        let password = self.host.find(&["ansible_sudo_pass", "ansible_become_pass", "ansible_become_password"]);
        let mut way = "sudo";
        if let Some((method, _, place)) = self.text(&["ansible_become_method"]) {
            match method.rsplit('.').next().unwrap_or(&method) {
                "sudo" => {}
                "doas" => way = "doas",
                "run0" => way = "run0",
                _ => {
                    let what = format!("the host becomes root by `{}`", shown(&method));
                    self.notes.note(&place, what, "name it by `become`: `doas`, `run0`, or the words of its command");
                }
            }
        }
        if let Some((user, _, place)) = self.text(&["ansible_become_user"])
            && user != "root"
        {
            let what = format!("the host becomes `{}`", shown(&user));
            self.notes.note(&place, what, "a push is root's work: fleetdeploy becomes root");
        }
        let asked = self.text(&["ansible_become"]);
        let is_root = self.connection.settings.get(&DraftSetting::User).is_some_and(|(user, _)| user == "root");
        match asked {
            // Without a word about it a playbook says so, and `auto` does the same. Root need not become another user.
            _ if is_root => {}
            Some((word, _, place)) if !is_true(&word) => {
                let mend = "a push is root's work: without `become` fleetdeploy uses sudo where the login is not root";
                self.notes.note(&place, "`ansible_become` is off", mend);
            }
            Some((_, origin, place)) => {
                let (word, origin) = match &password {
                    Some(found) if way == "sudo" => ("sudo-password", origin.max(found.origin.clone())),
                    _ => (way, origin),
                };
                self.put(DraftSetting::Become, word, &origin, &place);
            }
            None => {
                if let Some(found) = password.filter(|_| way == "sudo") {
                    self.put(DraftSetting::Become, "sudo-password", &found.origin, &found.variable.place);
                }
            }
        }
    }
}

/// Source: Ansible's `boolean` (`module_utils/parsing/convert_bool.py`).
pub(super) fn is_true(word: &str) -> bool {
    matches!(word.to_lowercase().as_str(), "y" | "yes" | "on" | "1" | "true" | "t" | "1.0")
}
