//! An Ansible inventory in INI form: `[group]`, `[group:children]`, `[group:vars]`, one host a line.
//!
//! Source: Ansible's `plugins/inventory/ini.py`; host lines are split like a shell's (`shlex`), values are then read as
//! Python's literals, so that one more pair of quotes falls off.

use super::super::note::{ImportNotes, SourcePlace};
use super::super::words::{Comments, OpenQuote, ShellWord, split};
use super::model::{ALL, Ansible, AnsibleValue, MOST_HOSTS, UNGROUPED, Variable, Variables};
use super::range;
use crate::inventory::words::shown;
use crate::inventory::yaml::Position;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Section {
    Hosts,
    Children,
    Vars,
}

/// Reads the file with this number; mistakes go to the notes.
pub(super) fn read(file: usize, ansible: &mut Ansible, notes: &mut ImportNotes) {
    let text = notes.text(file).to_owned();
    let mut reader = IniReader { file, ansible, notes, group: UNGROUPED.into(), section: Section::Hosts };
    let mut children = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let indent = line.chars().take_while(|letter| letter.is_whitespace()).count();
        let line = line.trim();
        let place = reader.place(number, indent + 1);
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if line.starts_with('[') && reader.header(line, &place) {
            continue;
        }
        match reader.section {
            Section::Hosts => reader.host(line, number, indent),
            Section::Vars => reader.variable(line, &place),
            Section::Children => children.extend(reader.child(line, &place)),
        }
    }
    for (child, place) in children {
        if !ansible.groups.contains_key(&child) {
            let what = format!("there is no group `{}`", shown(&child));
            notes.note(&place, what, "Ansible refuses this, too: take the line out, or add the group");
        }
    }
}

struct IniReader<'a> {
    file: usize,
    ansible: &'a mut Ansible,
    notes: &'a mut ImportNotes,
    group: String,
    section: Section,
}

impl IniReader<'_> {
    fn place(&self, line: usize, column: usize) -> SourcePlace {
        SourcePlace::Line { file: self.file, at: Position { line, column } }
    }

    /// Whether the line is a header, or would have been one.
    fn header(&mut self, line: &str, place: &SourcePlace) -> bool {
        let line = line.split_once('#').map_or(line, |(line, _)| line.trim_end());
        let Some(inner) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) else { return false };
        let (group, kind) = inner.split_once(':').map_or((inner, None), |(group, kind)| (group, Some(kind)));
        let is_group = !group.is_empty() && !group.contains(|letter: char| letter.is_whitespace() || letter == ']');
        self.section = match kind {
            None | Some("hosts") if is_group => Section::Hosts,
            Some("children") if is_group => Section::Children,
            Some("vars") if is_group => Section::Vars,
            // `[a:c]` alone is a range of hosts: Ansible refuses it here, and so does this.
            _ => {
                let what = format!("`{}` is not a header of a section", shown(line));
                self.notes.mistake(
                    place,
                    what,
                    "write `[group]`, `[group:children]` or `[group:vars]`, without spaces",
                );
                return true;
            }
        };
        group.clone_into(&mut self.group);
        self.ansible.group(group, place);
        true
    }

    fn host(&mut self, line: &str, number: usize, indent: usize) {
        let words = match split(line, Comments::Cut) {
            Ok(words) => words,
            Err(OpenQuote(column)) => {
                let place = self.place(number, indent + column);
                self.notes.mistake(&place, "a quote begins here and does not end", "close it, or write `\\` before it");
                return;
            }
        };
        let Some((name, assignments)) = words.split_first() else { return };
        let place = self.place(number, indent + name.column);
        let (names, port) = match range::expand(&name.text) {
            Ok(expanded) => expanded,
            Err(wrong) => {
                let what = format!("`{}` is not a range of hosts: {}", shown(&name.text), wrong.0);
                self.notes.mistake(&place, what, "write it as in `web[01:10].example.org` or `db-[a:c]`");
                return;
            }
        };
        if self.ansible.hosts.len() + names.len() > MOST_HOSTS {
            self.notes.mistake(&place, "these are more than 20000 hosts", "look at the range");
            return;
        }
        let mut variables = Variables::new();
        if let Some(port) = port {
            let value = AnsibleValue::Text(port.to_owned());
            variables.insert("ansible_port".into(), Variable { value, place: place.clone() });
        }
        for ShellWord { text, column } in assignments {
            let place = self.place(number, indent + column);
            let Some((key, value)) = text.split_once('=') else {
                let mend = "after a host's name come `key=value`; a value with spaces stands in quotes";
                self.notes.mistake(&place, "this is not `key=value`", mend);
                continue;
            };
            variables.insert(key.to_owned(), Variable { value: literal(value), place });
        }
        for name in names {
            let host = self.ansible.host(&name, &self.group, &place);
            host.variables.inline.extend(variables.clone());
        }
    }

    fn variable(&mut self, line: &str, place: &SourcePlace) {
        let Some((key, value)) = line.split_once('=') else {
            self.notes.mistake(place, "this is not `key=value`", "a section of variables has one on each line");
            return;
        };
        let variable = Variable { value: literal(value.trim()), place: place.clone() };
        self.ansible.group(&self.group, place).variables.inline.insert(key.trim().to_owned(), variable);
    }

    fn child(&mut self, line: &str, place: &SourcePlace) -> Option<(String, SourcePlace)> {
        let child = line.split_once('#').map_or(line, |(line, _)| line).trim();
        if child.contains(char::is_whitespace) {
            self.notes.mistake(place, "this is not the name of a group", "a section of children has one on each line");
            return None;
        }
        // Every group is below `all` anyway.
        if self.group != ALL {
            self.ansible.group(&self.group, place).children.insert(child.to_owned());
        }
        Some((child.to_owned(), place.clone()))
    }
}

/// A value as Python's `literal_eval` reads it, as far as texts, numbers and booleans go.
fn literal(text: &str) -> AnsibleValue {
    if text.starts_with("$ANSIBLE_VAULT") {
        return AnsibleValue::Vault;
    }
    if let Some(quoted) = quoted(text) {
        return AnsibleValue::Text(quoted);
    }
    let bare = text.split_once('#').map_or(text, |(value, _)| value.trim_end());
    let is_literal = matches!(bare, "True" | "False" | "None") || bare.parse::<f64>().is_ok();
    // Behind anything else a `#` is a part of the text.
    AnsibleValue::Text(if is_literal { bare } else { text }.to_owned())
}

/// The content of a text in one pair of quotes, with at most a comment behind it.
fn quoted(text: &str) -> Option<String> {
    let quote = text.chars().next().filter(|first| matches!(first, '"' | '\''))?;
    let mut content = String::new();
    let mut rest = text.chars().skip(1);
    while let Some(letter) = rest.next() {
        if letter == quote {
            let behind: String = rest.collect();
            let behind = behind.trim_start();
            return (behind.is_empty() || behind.starts_with('#')).then_some(content);
        }
        match letter {
            '\\' => match rest.next()? {
                escaped @ ('"' | '\'' | '\\') => content.push(escaped),
                other => content.extend(['\\', other]),
            },
            letter => content.push(letter),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use pretty_assertions::assert_eq;

    use super::*;

    fn parse(text: &str) -> (Ansible, Vec<String>) {
        let mut notes = ImportNotes::default();
        let file = notes.file(Path::new("hosts"), text.into());
        let mut ansible = Ansible::default();
        read(file, &mut ansible, &mut notes);
        let mistakes = notes.take_mistakes().iter().map(ToString::to_string).collect();
        (ansible, mistakes)
    }

    fn variable(ansible: &mut Ansible, host: &str, name: &str) -> Option<AnsibleValue> {
        Some(ansible.host_named(host)?.variables.inline.get(name)?.value.clone())
    }

    #[test]
    fn sections_hosts_and_variables_are_read() {
        let (mut ansible, mistakes) = parse(
            "lonely
[web] # the web
; a comment
web[1:2].example.org:2222 ansible_user=admin note=\"a # b\" # here
  web3 x='y z' secret=\"'#1'\"
[web:vars]
ansible_user = root
args='-o ProxyCommand=\"ssh -W %h:%p gate\"' # a comment
flag=True # a comment
text=a # b
[prod:children]
web
",
        );
        assert_eq!(mistakes, [""; 0]);
        let text = |text: &str| Some(AnsibleValue::Text(text.into()));
        assert_eq!(variable(&mut ansible, "web2.example.org", "ansible_port"), text("2222"));
        assert_eq!(variable(&mut ansible, "web2.example.org", "note"), text("a # b"));
        assert_eq!(variable(&mut ansible, "web3", "x"), text("y z"));
        assert_eq!(variable(&mut ansible, "web3", "secret"), text("#1"));
        let group = &ansible.groups["web"].variables.inline;
        let texts: Vec<_> = group.iter().map(|(key, variable)| (key.as_str(), variable.value.clone())).collect();
        let value = |text: &str| AnsibleValue::Text(text.into());
        assert_eq!(
            texts,
            [
                ("ansible_user", value("root")),
                ("args", value("-o ProxyCommand=\"ssh -W %h:%p gate\"")),
                ("flag", value("True")),
                ("text", value("a # b")),
            ]
        );
        assert_eq!(ansible.memberships()["web3"], ["prod", "web"]);
        assert_eq!(ansible.memberships()["lonely"], ["ungrouped"]);
    }

    #[test]
    fn all_mistakes_are_found_at_once_each_with_its_place() {
        let (_, mistakes) = parse("[a b]\n[web:x]\n[web]\n  w[2:1]\nx 'y\nx y\n[web:vars]\nz\n[w:children]\na b\n");
        let places: Vec<_> = mistakes.iter().filter_map(|mistake| mistake.split_once(": ")).map(|(at, _)| at).collect();
        assert_eq!(
            places,
            ["hosts:1:1", "hosts:2:1", "hosts:4:3", "hosts:5:3", "hosts:6:3", "hosts:8:1", "hosts:10:1"]
        );
    }

    #[test]
    fn a_line_that_begins_with_a_range_is_a_host() {
        let (ansible, mistakes) = parse("[web]\n[a:b]-web x=1\n[2001:db8::1]:22\n");
        assert_eq!(mistakes, [""; 0]);
        let names: Vec<_> = ansible.hosts.iter().map(|host| host.name.as_str()).collect();
        assert_eq!(names, ["a-web", "b-web", "2001:db8::1"]);
    }

    #[test]
    fn an_encrypted_value_stays_unread() {
        let (mut ansible, _) = parse("a p=$ANSIBLE_VAULT;1.1;AES256\n");
        assert_eq!(variable(&mut ansible, "a", "p"), Some(AnsibleValue::Vault));
    }
}
