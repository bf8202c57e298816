//! An Ansible inventory in YAML form: groups, each with `hosts`, `vars` and `children`.
//!
//! Source: Ansible's `plugins/inventory/yaml.py`.

use super::super::note::ImportNotes;
use super::model::{ALL, Ansible, AnsibleValue, MOST_HOSTS, Variable};
use super::range;
use super::tree::{Branch, parse};
use crate::inventory::words::{listed, shown};

/// Deeper than any inventory, and far from the end of the stack.
const DEEPEST: usize = 64;

const REFUSED: &str = "Ansible refuses this, too";

/// Reads the file with this number; mistakes go to the notes.
pub(super) fn read(file: usize, ansible: &mut Ansible, notes: &mut ImportNotes) {
    let Some(node) = parse(file, notes) else { return };
    let root = Branch::root(&node, file);
    let Some(groups) = root.entries(notes) else {
        notes.mistake(&root.place(), "an inventory is a map of groups", "begin with `all:` and its `hosts:`");
        return;
    };
    if groups.iter().any(|(key, _)| key == "plugin") {
        let what = "this is the configuration of an inventory plugin, not an inventory";
        notes.mistake(&root.place(), what, super::EXPORT);
        return;
    }
    if groups.iter().any(|(key, _)| key == "_meta") {
        let what = "this is the form in which scripts answer Ansible, not an inventory that it reads from a file";
        notes.mistake(&root.place(), what, super::EXPORT);
        return;
    }
    for (name, group) in groups {
        read_group(&name, &group, 0, ansible, notes);
    }
}

fn read_group(name: &str, group: &Branch<'_>, depth: usize, ansible: &mut Ansible, notes: &mut ImportNotes) {
    let Some(entries) = group.entries(notes) else {
        notes.note(&group.key_place(), format!("the group `{}` is not a map", shown(name)), REFUSED);
        return;
    };
    if depth > DEEPEST {
        notes.mistake(&group.key_place(), "groups lie deeper in each other than can be meant", "look for a loop");
        return;
    }
    ansible.group(name, &group.key_place());
    let mut unknown = Vec::new();
    for (key, branch) in entries {
        match key.as_str() {
            "vars" => {
                let variables = branch.variables(notes);
                ansible.group(name, &group.key_place()).variables.inline.extend(variables);
            }
            "children" => {
                for (child, branch) in named(&branch, notes) {
                    if name != ALL {
                        ansible.group(name, &group.key_place()).children.insert(child.clone());
                    }
                    read_group(&child, &branch, depth + 1, ansible, notes);
                }
            }
            "hosts" => {
                for (pattern, branch) in named(&branch, notes) {
                    read_host(&pattern, &branch, name, ansible, notes);
                }
            }
            _ => unknown.push((key, branch.key_place())),
        }
    }
    for (key, place) in unknown {
        let what = format!("`{}` means nothing in a group", shown(&key));
        notes.note(
            &place,
            what,
            format!("Ansible passes it over: a group has {}", listed(["hosts", "vars", "children"])),
        );
    }
}

fn read_host(pattern: &str, branch: &Branch<'_>, group: &str, ansible: &mut Ansible, notes: &mut ImportNotes) {
    let place = branch.key_place();
    let (names, port) = match range::expand(pattern) {
        Ok(expanded) => expanded,
        Err(wrong) => {
            let what = format!("`{}` is not a range of hosts: {}", shown(pattern), wrong.0);
            notes.mistake(&place, what, "write it as in `web[01:10].example.org` or `db-[a:c]`");
            return;
        }
    };
    if ansible.hosts.len() + names.len() > MOST_HOSTS {
        notes.mistake(&place, "these are more than 20000 hosts", "look at the range");
        return;
    }
    let mut variables = if branch.is_empty() { super::model::Variables::new() } else { branch.variables(notes) };
    if let Some(port) = port {
        let port = Variable { value: AnsibleValue::Text(port.to_owned()), place: place.clone() };
        variables.entry("ansible_port".into()).or_insert(port);
    }
    for name in names {
        ansible.host(&name, group, &place).variables.inline.extend(variables.clone());
    }
}

/// The names in a map of hosts or groups, or the one name that stands there as a text. Some write a list, which Ansible
/// refuses: what is meant is clear.
fn named<'a>(branch: &Branch<'a>, notes: &mut ImportNotes) -> Vec<(String, Branch<'a>)> {
    if let Some(entries) = branch.entries(notes) {
        return entries;
    }
    if let Some(name) = branch.text() {
        return vec![(name, branch.without_content())];
    }
    notes.note(&branch.key_place(), "hosts and groups are a map here", format!("{REFUSED}: write `name:`, one a line"));
    branch
        .items()
        .unwrap_or_default()
        .into_iter()
        .filter_map(|item| Some((item.text()?, item.without_content())))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use pretty_assertions::assert_eq;

    use super::*;

    fn parse(text: &str) -> (Ansible, Vec<String>, Vec<String>) {
        let mut notes = ImportNotes::default();
        let file = notes.file(Path::new("hosts.yml"), text.into());
        let mut ansible = Ansible::default();
        read(file, &mut ansible, &mut notes);
        let mistakes = notes.take_mistakes().iter().map(ToString::to_string).collect();
        let notes = notes.into_notes().iter().map(|note| format!("{}: {}", note.places.join(" "), note.what)).collect();
        (ansible, mistakes, notes)
    }

    #[test]
    fn groups_in_groups_hosts_and_variables_are_read() {
        let (mut ansible, mistakes, notes) = parse(
            "all:
  vars: &base {ansible_user: root, flag: yes}
  hosts:
    lonely: {ansible_port: 2222}
  children:
    web:
      hosts:
        web[1:2].example.org:
          <<: *base
          flag: no
      children: {apache: , nginx: {hosts: {web3: }}}
    apache:
      hosts: {'web4:22': {secret: !vault x}}
",
        );
        assert_eq!((mistakes, notes), (vec![], vec![]));
        assert_eq!(ansible.memberships()["web4"], ["web", "apache"]);
        assert_eq!(ansible.memberships()["lonely"], ["ungrouped"]);
        let values = |ansible: &mut Ansible, host: &str| -> Vec<_> {
            let variables = &ansible.host_named(host).unwrap().variables.inline;
            variables.iter().map(|(key, variable)| (key.clone(), variable.value.clone())).collect()
        };
        let text = |text: &str| AnsibleValue::Text(text.into());
        assert_eq!(
            values(&mut ansible, "web2.example.org"),
            [("ansible_user".into(), text("root")), ("flag".into(), text("no"))]
        );
        assert_eq!(
            values(&mut ansible, "web4"),
            [("ansible_port".into(), text("22")), ("secret".into(), AnsibleValue::Vault)]
        );
    }

    #[test]
    fn what_ansible_passes_over_or_refuses_is_said() {
        let (ansible, mistakes, notes) =
            parse("web:\n  host: {a: }\n  hosts: [b, c]\ndb: 3\nweb:\n  hosts: {d: , d: }\nx: {vars: [1]}\n");
        assert_eq!(mistakes, [""; 0]);
        let names: Vec<_> = ansible.hosts.iter().map(|host| host.name.as_str()).collect();
        assert_eq!(names, ["d"]);
        assert_eq!(
            notes,
            [
                "hosts.yml:1:1: `web` is here twice",
                "hosts.yml:6:11: `d` is here twice",
                "hosts.yml:4:1: the group `db` is not a map",
                "hosts.yml:7:11: variables are a map here",
            ]
        );
        let (ansible, _, notes) = parse("web:\n  host: {a: }\n  hosts: [b, c]\n");
        assert_eq!(ansible.hosts.len(), 2);
        assert_eq!(
            notes,
            ["hosts.yml:3:3: hosts and groups are a map here", "hosts.yml:2:3: `host` means nothing in a group"]
        );
    }

    #[test]
    fn a_text_is_the_name_of_one_host_and_an_unsafe_text_is_its_text() {
        let (mut ansible, mistakes, notes) =
            parse("all:\n  hosts: only\nweb:\n  hosts: {w: {a: !unsafe root, b: !unsafe '{{ x }}'}}\n");
        assert_eq!((mistakes, notes), (vec![], vec![]));
        let names: Vec<_> = ansible.hosts.iter().map(|host| host.name.as_str()).collect();
        assert_eq!(names, ["only", "w"]);
        let variables = &ansible.host_named("w").unwrap().variables.inline;
        assert_eq!(variables["a"].value, AnsibleValue::Text("root".into()));
        assert_eq!(variables["b"].value, AnsibleValue::Other("a text with braces in it"));
    }

    #[test]
    fn what_is_no_inventory_is_refused_with_its_place() {
        for (text, place) in [
            ("- a\n", "hosts.yml:1:1: an inventory is a map"),
            ("plugin: aws_ec2\n", "hosts.yml:1:1: this is the configuration of an inventory plugin"),
            ("all: {{ x }}\n  a: [\n", "hosts.yml:"),
            ("all: {hosts: {'w[2:1]': }}\n", "hosts.yml:1:15: `w[2:1]` is not a range"),
        ] {
            let mistakes = parse(text).1;
            assert!(mistakes.len() == 1 && mistakes[0].starts_with(place), "{text}: {mistakes:?}");
        }
    }
}
