//! The variables that no inventory of ours says, each listed once with its place: whether or not any host has them.

use super::super::note::{Notes, Place};
use super::model::{Ansible, Scope, Value, Variable};
use crate::inventory::problem::{listed, shown};

/// What becomes a setting, or is listed where it is read.
pub(super) const READ: [&str; 23] = [
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
    "ansible_ssh_host_key_checking",
];

/// Lists the rest of all variables.
pub(super) fn list(ansible: &Ansible, notes: &mut Notes) {
    let groups = ansible.groups.values().map(|group| (&group.variables, &group.place));
    let hosts = ansible.hosts.iter().map(|host| (&host.variables, &host.place));
    for (Scope { inline, filed }, place) in groups.chain(hosts) {
        for variables in [inline, filed] {
            // Those of a file are listed with the file, those of a line with the line.
            let mut listed = variables.iter().filter(|(name, _)| !READ.contains(&name.as_str()));
            let place = listed.next().map_or(place, |(_, variable)| &variable.place);
            let place = match place {
                Place::Node { file, .. } if std::ptr::eq(variables, filed) => Place::File(*file),
                place => place.clone(),
            };
            rest(variables.iter(), &place, notes);
        }
    }
}

fn rest<'a>(variables: impl Iterator<Item = (&'a String, &'a Variable)>, place: &Place, notes: &mut Notes) {
    let mut of_playbooks = Vec::new();
    let mut of_ansible = Vec::new();
    let mut of_becoming = Vec::new();
    let mut encrypted = Vec::new();
    for (name, variable) in variables {
        if matches!(variable.value, Value::Vault) {
            encrypted.push(name.as_str());
        } else if is_password(name) {
            let mend = "it is not carried over: fleetdeploy logs in with keys, and asks for a sudo password itself";
            notes.note(&variable.place, format!("`{}` is a password", shown(name)), mend);
        } else if !name.starts_with("ansible_") {
            of_playbooks.push(name.as_str());
        } else if READ.contains(&name.as_str()) {
            // Has become a setting, or is listed where it is read.
        } else if ["ansible_become_", "ansible_sudo", "ansible_su"].iter().any(|begin| name.starts_with(begin)) {
            of_becoming.push(name.as_str());
        } else {
            of_ansible.push(name.as_str());
        }
    }
    if !encrypted.is_empty() {
        let what = format!("encrypted with Ansible Vault: {}", listed(encrypted));
        notes.note(place, what, "not read; a password is asked for, a secret of a host goes to sops-nix or agenix");
    }
    if !of_becoming.is_empty() {
        let what = format!("how a login becomes root: {}", listed(of_becoming));
        notes.note(place, what, "fleetdeploy knows plain sudo alone, with or without a password");
    }
    if !of_ansible.is_empty() {
        let what = format!("for Ansible alone: {}", listed(of_ansible));
        notes.note(place, what, "nothing to do: they say how Ansible runs its modules, and fleetdeploy runs none");
    }
    if !of_playbooks.is_empty() {
        let what = format!("variables of playbooks: {}", listed(of_playbooks));
        notes.note(place, what, "what they set on a host belongs into its NixOS configuration");
    }
}

fn is_password(name: &str) -> bool {
    name.starts_with("ansible_") && (name.ends_with("_pass") || name.ends_with("_password"))
}
