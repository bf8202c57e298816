//! The variables that no inventory of ours says, each listed once with its place: whether or not any host has them.

use super::super::note::{ImportNotes, SourcePlace};
use super::model::{Ansible, AnsibleValue, Scope, Variable};
use crate::inventory::words::{listed, shown};

/// What becomes a setting, or is listed where it is read.
pub(super) const READ: [&str; 24] = [
    "ansible_host",
    "ansible_ssh_host",
    "ansible_port",
    "ansible_ssh_port",
    "ansible_user",
    "ansible_ssh_user",
    "ansible_private_key_file",
    "ansible_ssh_private_key_file",
    "ansible_ssh_common_args",
    "ansible_ssh_extra_args",
    "ansible_ssh_args",
    "ansible_become",
    "ansible_become_method",
    "ansible_become_user",
    "ansible_become_password",
    "ansible_become_pass",
    "ansible_sudo_pass",
    "ansible_connection",
    "ansible_group_priority",
    "ansible_password",
    "ansible_ssh_pass",
    "ansible_ssh_password",
    "ansible_host_key_checking",
    "ansible_ssh_host_key_checking",
];

/// Lists the rest of all variables, those of a line together, and those of a file.
pub(super) fn list(ansible: &Ansible, notes: &mut ImportNotes) {
    let groups = ansible.groups.values().map(|group| &group.variables);
    let hosts = ansible.hosts.iter().map(|host| &host.variables);
    for Scope { inline, filed } in groups.chain(hosts) {
        for variables in [inline, filed] {
            // In the order of the source.
            let mut variables: Vec<(&String, &Variable)> = variables.iter().collect();
            variables.sort_by(|(_, one), (_, other)| one.place.cmp(&other.place));
            rest(&variables, notes);
        }
    }
}

/// Names, and where the first of them stands.
#[derive(Debug, Default)]
struct LeftoverKind<'a> {
    place: Option<&'a SourcePlace>,
    names: Vec<&'a str>,
}

impl<'a> LeftoverKind<'a> {
    fn add(&mut self, name: &'a str, variable: &'a Variable) {
        self.place.get_or_insert(&variable.place);
        self.names.push(name);
    }

    fn note(self, what: &str, mend: &str, notes: &mut ImportNotes) {
        if let Some(place) = self.place {
            notes.note(place, format!("{what}: {}", listed(self.names)), mend);
        }
    }
}

fn rest(variables: &[(&String, &Variable)], notes: &mut ImportNotes) {
    let [mut of_playbooks, mut of_ansible, mut of_becoming, mut encrypted] = <[LeftoverKind<'_>; 4]>::default();
    for (name, variable) in variables {
        if matches!(variable.value, AnsibleValue::Vault) {
            encrypted.add(name, variable);
        } else if is_password(name) {
            let mend = "it is not carried over: fleetdeploy logs in with keys, and asks for a sudo password itself";
            notes.note(&variable.place, format!("`{}` is a password", shown(name)), mend);
        } else if !name.starts_with("ansible_") {
            of_playbooks.add(name, variable);
        } else if READ.contains(&name.as_str()) {
            // Has become a setting, or is listed where it is read.
        } else if ["ansible_become_", "ansible_sudo", "ansible_su"].iter().any(|begin| name.starts_with(begin)) {
            of_becoming.add(name, variable);
        } else {
            of_ansible.add(name, variable);
        }
    }
    let mend = "not read; a password is asked for, a secret of a host goes to sops-nix or agenix";
    encrypted.note("encrypted with Ansible Vault", mend, notes);
    let mend = "`become` names another way: `doas`, `run0`, or the words of its command";
    of_becoming.note("how a login becomes root", mend, notes);
    let mend = "nothing to do: they say how Ansible runs its modules, and fleetdeploy runs none";
    of_ansible.note("for Ansible alone", mend, notes);
    of_playbooks.note("variables of playbooks", "what they set on a host belongs into its NixOS configuration", notes);
}

fn is_password(name: &str) -> bool {
    name.starts_with("ansible_") && (name.ends_with("_pass") || name.ends_with("_password"))
}
