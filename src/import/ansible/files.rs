//! `group_vars` and `host_vars` beside an inventory: a file, or a folder of files, for each group and host.
//!
//! Source: Ansible's `plugins/vars/host_group_vars.py` and `DataLoader.find_vars_files`.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::super::note::{ImportNotes, SourcePlace};
use super::model::{Ansible, Variables};
use super::tree::{Branch, parse};
use crate::inventory::words::shown;

/// The endings of files of variables, in the order in which Ansible looks for them, after no ending.
const EXTENSIONS: [&str; 3] = ["yml", "yaml", "json"];

/// Folders within folders: more are a loop of links.
const DEEPEST: usize = 8;

/// Reads both folders below `folder`.
pub(super) fn read(folder: &Path, ansible: &mut Ansible, notes: &mut ImportNotes) {
    for (kind, is_group) in [("group_vars", true), ("host_vars", false)] {
        for (name, mut paths) in by_name(&folder.join(kind)) {
            // Ansible takes the first that there is.
            paths.sort_by_key(|path| rank(path));
            let path = paths.remove(0);
            for passed_over in &paths {
                let place = SourcePlace::File(notes.file(passed_over, String::new()));
                let what = format!("Ansible passes this over: `{}` is beside it", shown(&path.display().to_string()));
                notes.note(&place, what, "nothing of it is read, by Ansible neither");
            }
            let known = if is_group {
                let place = SourcePlace::File(notes.file(&path, String::new()));
                let is_known = ansible.groups.contains_key(&name)
                    || [super::model::ALL, super::model::UNGROUPED].contains(&name.as_str());
                is_known.then(|| &mut ansible.group(&name, &place).variables.filed)
            } else {
                ansible.host_named(&name).map(|host| &mut host.variables.filed)
            };
            let Some(variables) = known else {
                let place = SourcePlace::File(notes.file(&path, String::new()));
                let kind = if is_group { "group" } else { "host" };
                let what = format!("the inventory has no {kind} `{}`", shown(&name));
                notes.note(&place, what, "nothing of it is read, by Ansible neither");
                continue;
            };
            read_into(&path, 0, variables, notes);
        }
    }
}

/// A file of variables, or all of a folder in the order of their names: later ones win.
fn read_into(path: &Path, depth: usize, variables: &mut Variables, notes: &mut ImportNotes) {
    if path.is_dir() {
        if depth < DEEPEST {
            for path in sorted(path).iter().filter(|path| stem(path).is_some()) {
                if path.is_dir() || has_extension_of_variables(path) {
                    read_into(path, depth + 1, variables, notes);
                } else {
                    let place = SourcePlace::File(notes.file(path, String::new()));
                    let mend = "call it `.yml` if what it says counts";
                    notes.note(&place, "Ansible passes this over in a folder of variables: not read", mend);
                }
            }
        }
        return;
    }
    // A pipe or a device would be waited for.
    let text = if path.is_file() { std::fs::read_to_string(path) } else { Err(ErrorKind::InvalidInput.into()) };
    let text = match text {
        Ok(text) => text,
        Err(error) => {
            let place = SourcePlace::File(notes.file(path, String::new()));
            notes.note(&place, format!("this file cannot be read: {error}"), "what it says of connections is missing");
            return;
        }
    };
    let is_vault = text.starts_with("$ANSIBLE_VAULT");
    // The text of a vault is not needed, not even to find a line in it.
    let file = notes.file(path, if is_vault { String::new() } else { text });
    if is_vault {
        let mend = "it is not read; what it says of connections must be written by hand, and passwords are asked for";
        notes.note(&SourcePlace::File(file), "this file is encrypted with Ansible Vault", mend);
        return;
    }
    if let Some(node) = parse(file, notes) {
        variables.extend(Branch::root(&node, file).variables(notes));
    }
}

/// Source: `_get_dir_vars_files` in Ansible's `parsing/dataloader.py`.
fn has_extension_of_variables(path: &Path) -> bool {
    match path.extension() {
        None => true,
        Some(extension) => EXTENSIONS.iter().any(|known| extension == *known),
    }
}

/// The files and folders of variables, by the name that they are for.
fn by_name(folder: &Path) -> BTreeMap<String, Vec<PathBuf>> {
    let mut named: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for path in sorted(folder) {
        if let Some(name) = stem(&path) {
            named.entry(name).or_default().push(path);
        }
    }
    named
}

/// If several files have the same name, the lowest counts. Source: `find_vars_files` in Ansible's
/// `parsing/dataloader.py`.
fn rank(path: &Path) -> usize {
    let extension = path.extension().filter(|_| !path.is_dir());
    EXTENSIONS.iter().position(|known| extension.is_some_and(|own| own == *known)).map_or(0, |place| place + 1)
}

/// The name that a file or folder of variables is for; `None` for what Ansible passes over, too.
fn stem(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    if name.starts_with('.') || name.ends_with('~') {
        return None;
    }
    if path.is_dir() {
        return Some(name.to_owned());
    }
    match path.extension().and_then(|extension| extension.to_str()) {
        Some(extension) if EXTENSIONS.contains(&extension) => path.file_stem()?.to_str().map(Into::into),
        // `web1.example.org` is a host's file without an extension.
        Some("bak" | "swp" | "orig" | "retry" | "md" | "txt" | "rst") => None,
        _ => Some(name.to_owned()),
    }
}

/// What a folder holds, by name; nothing if there is none.
pub(super) fn sorted(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}
