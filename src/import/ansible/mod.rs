//! An Ansible inventory: INI or YAML, one file or a folder of them, with `group_vars` and `host_vars` beside it.
//!
//! Groups become tags, and what a group says of the way to its hosts becomes settings by tag. Everything that is for
//! playbooks alone is listed: what it did on a host is NixOS's now.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::draft::{Draft, DraftHost, DraftSetting, DraftSettings, DraftSystems};
use super::names::Names;
use super::note::{ImportNotes, SourcePlace};
use super::ssh_args::Hop;
use super::{ImportError, ImportTarget, Imported, finish, named};
use crate::inventory::words::{listed, shown};
use connection::{Connection, Reachable};
use lookup::{Lookup, Origin};
use model::{ALL, Ansible, UNGROUPED};

pub(super) mod config;
mod connection;
mod files;
mod ini;
mod leftover;
mod lookup;
mod model;
mod range;
mod tree;
mod yaml_form;

/// What to do with an inventory that only Ansible can make.
const EXPORT: &str =
    "let Ansible write it down, and import that: `ansible-inventory -i SOURCE --list --yaml > hosts.yml`";

/// What Ansible passes over in a folder of inventories. Source: `INVENTORY_IGNORE_EXTS` in its configuration; `ini` was
/// among them before ansible-core 2.18.
const PASSED_OVER: [&str; 11] = ["pyc", "pyo", "swp", "bak", "rpm", "md", "txt", "rst", "orig", "cfg", "retry"];

/// Folders in a folder of inventories that hold none. Source: `IGNORED_ALWAYS` in its `inventory/manager.py`.
const NO_INVENTORIES: [&str; 3] = ["group_vars", "host_vars", "vars_plugins"];

/// Folders within folders: more are a loop of links.
const DEEPEST: usize = 8;

/// Reads an inventory of Ansible's, and the `ansible.cfg` that was found for it ([`find_config`](config::find)).
///
/// # Errors
/// [`ImportError::NotUnderstood`] holds all that is wrong with it.
pub fn from_ansible(path: &Path, config: Option<&Path>, wanted: &ImportTarget<'_>) -> Result<Imported, ImportError> {
    let mut notes = ImportNotes::default();
    let mut ansible = Ansible::default();
    let origin = format!("the Ansible inventory {}", path.display());
    let folder = if path.is_dir() { path } else { path.parent().unwrap_or(Path::new("")) };
    read_inventory(path, 0, &mut ansible, &mut notes)?;
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    files::read(folder, &mut ansible, &mut notes);
    if let Some(config) = config {
        config::read(config, &mut ansible, &mut notes);
    }
    let mistakes = notes.take_mistakes();
    if !mistakes.is_empty() {
        return Err(ImportError::NotUnderstood { origin, mistakes });
    }
    for kind in ["group_vars", "host_vars"] {
        // Ansible reads a playbook's own variables when it runs that playbook, and it is not known here which one that
        // is.
        let above = folder.join("..").join(kind);
        if above.is_dir() {
            let file = notes.file(&above, String::new());
            let mend = "if its `ansible_` variables are for these hosts, move it beside the inventory and import again";
            notes.note(&SourcePlace::File(file), "this folder is not beside the inventory: not read", mend);
        }
    }
    let mut systems = DraftSystems::flake(".");
    systems.remark = vec![
        "Ansible knows no systems: say which flake has them. A host's name here is its name there.".to_owned(),
        "Take hosts that are not NixOS out of `hosts` above, or name those to push instead of `all`.".to_owned(),
    ];
    let draft = Draft::new(origin, wanted.fleet_of(path), systems);
    let draft = fill(draft, &ansible, &mut notes);
    leftover::list(&ansible, &mut notes);
    finish(draft, notes, wanted)
}

/// Reads a file, or everything in a folder as Ansible would.
fn read_inventory(
    path: &Path,
    depth: usize,
    ansible: &mut Ansible,
    notes: &mut ImportNotes,
) -> Result<(), ImportError> {
    if !path.is_dir() {
        return read_file(path, ansible, notes);
    }
    for entry in files::sorted(path) {
        let name = entry.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let extension = entry.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        if entry.is_dir() && NO_INVENTORIES.contains(&name.as_str()) {
            continue;
        }
        // A pipe or a device would be waited for.
        let is_something = entry.is_file() || entry.is_dir() && depth < DEEPEST;
        if !is_something || name.starts_with('.') || name.ends_with('~') || PASSED_OVER.contains(&extension) {
            let place = SourcePlace::File(notes.file(&entry, String::new()));
            notes.note(&place, "Ansible passes this over in a folder: not read", "import it by its name if it counts");
        } else {
            read_inventory(&entry, depth + 1, ansible, notes)?;
        }
    }
    Ok(())
}

fn read_file(path: &Path, ansible: &mut Ansible, notes: &mut ImportNotes) -> Result<(), ImportError> {
    let unreadable = |source| ImportError::Unreadable { path: path.to_owned(), source };
    let bytes = std::fs::read(path).map_err(unreadable)?;
    let Ok(text) = String::from_utf8(bytes) else {
        let file = notes.file(path, String::new());
        notes.mistake(&SourcePlace::File(file), "this is not UTF-8 text", "save it as UTF-8");
        return Ok(());
    };
    let text = text.strip_prefix('\u{feff}').map_or_else(|| text.clone(), Into::into);
    let form = Form::of(path, &text);
    let file = notes.file(path, if form == Form::Vault { String::new() } else { text });
    match form {
        Form::Ini => ini::read(file, ansible, notes),
        Form::Yaml => yaml_form::read(file, ansible, notes),
        Form::Vault => {
            notes.mistake(&SourcePlace::File(file), "this inventory is encrypted with Ansible Vault", EXPORT);
        }
        Form::Program => notes.mistake(&SourcePlace::File(file), "this is a program that prints an inventory", EXPORT),
        Form::Toml => notes.mistake(&SourcePlace::File(file), "this is an inventory in TOML form", EXPORT),
    }
    Ok(())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Ini,
    Yaml,
    Vault,
    /// It is not run: what it would do is its own.
    Program,
    Toml,
}

impl Form {
    /// By the name; without an extension that says so, by the first line that is no comment.
    fn of(path: &Path, text: &str) -> Self {
        if text.starts_with("$ANSIBLE_VAULT") {
            return Self::Vault;
        }
        if text.starts_with("#!") {
            return Self::Program;
        }
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("yml" | "yaml" | "json") => return Self::Yaml,
            Some("toml") => return Self::Toml,
            Some("ini" | "cfg") => return Self::Ini,
            _ => {}
        }
        let first = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with(['#', ';']));
        match first {
            Some(line) if line.starts_with("---") || line.starts_with('{') => Self::Yaml,
            Some(line) if is_key(line) => Self::Yaml,
            _ => Self::Ini,
        }
    }
}

/// `web:`, which begins a map, with at most a comment behind it.
fn is_key(line: &str) -> bool {
    let line = line.split_once(" #").map_or(line, |(line, _)| line.trim_end());
    line.ends_with(':') && !line.contains(char::is_whitespace)
}

/// Makes hosts, tags and settings of what was read.
fn fill(mut draft: Draft, ansible: &Ansible, notes: &mut ImportNotes) -> Draft {
    let memberships = ansible.memberships();
    let mut names = Names::default();
    let mut made: Vec<(&model::AnsibleHost, DraftHost, Connection)> = Vec::new();
    for host in &ansible.hosts {
        let groups = &memberships[host.name.as_str()];
        let lookup = Lookup::new(ansible, &host.name, &host.variables, groups);
        let Reachable::BySsh(connection) = connection::read(&lookup, notes) else { continue };
        let address = connection.address.clone();
        let Some(entry) = named(&host.name, address, &host.place, &mut names, notes) else { continue };
        let tags = groups.iter().filter(|group| **group != UNGROUPED).filter_map(|group| names.tag(group));
        made.push((host, DraftHost { tags: tags.collect(), ..entry }, connection));
    }
    list_renamed_groups(ansible, &mut names, notes);
    let hops = Hops::new(&made);
    let mut spoken: Vec<BTreeMap<DraftSetting, (String, Origin)>> = Vec::new();
    for (_, entry, connection) in &mut made {
        let mut settings = connection.settings.clone();
        if let Some((way, origin, place)) = &connection.way {
            match hops.jump(way, entry, connection, place, notes) {
                Some(jump) => drop(settings.insert(DraftSetting::Jump, (jump, origin.clone()))),
                None if way.len() > 1 => entry.remark = Some("Reached by several jumps: say the last one.".to_owned()),
                None => {}
            }
        }
        spoken.push(settings);
    }
    draft.hosts = made.into_iter().map(|(_, entry, _)| entry).collect();
    for (host, spoken) in draft.hosts.iter_mut().zip(&spoken) {
        host.settings = spoken.iter().map(|(key, (value, _))| (*key, value.clone())).collect();
    }
    draft.defaults = said_by(&Origin::All, &spoken);
    let groups: BTreeSet<&str> = memberships.values().flatten().copied().filter(|group| *group != UNGROUPED).collect();
    for group in groups {
        let said = said_by(&Origin::Group(group.to_owned()), &spoken);
        if let Some(tag) = names.tag(group).filter(|_| !said.is_empty()) {
            draft.groups.insert(tag, said);
        }
    }
    draft
}

/// What a layer says of all the hosts that take a setting from it, where it says the same of each.
fn said_by(origin: &Origin, spoken: &[BTreeMap<DraftSetting, (String, Origin)>]) -> DraftSettings {
    let said = |key: DraftSetting| {
        let mut values = spoken.iter().filter_map(|settings| settings.get(&key)).filter(|(_, from)| from == origin);
        let (first, _) = values.next()?;
        values.all(|(value, _)| value == first).then(|| (key, first.clone()))
    };
    DraftSetting::ALL.into_iter().filter_map(said).collect()
}

fn list_renamed_groups(ansible: &Ansible, names: &mut Names, notes: &mut ImportNotes) {
    for (name, group) in ansible.groups.iter().filter(|(name, _)| ![ALL, UNGROUPED].contains(&name.as_str())) {
        match names.tag(name) {
            Some(tag) if tag == *name => {}
            Some(tag) => {
                let what = format!("`{}` cannot be a tag, or is taken", shown(name));
                notes.note(&group.place, what, format!("its hosts have the tag `{tag}`"));
            }
            None => {
                let mend = "its hosts have no tag for it: name it with letters, digits, `_`, `.` and `-`";
                notes.note(&group.place, format!("`{}` cannot be a tag", shown(name)), mend);
            }
        }
    }
    let used: BTreeSet<&str> = ansible.memberships().values().flatten().copied().collect();
    let empty = ansible.groups.iter().filter(|(name, _)| *name != ALL && *name != UNGROUPED);
    for (name, group) in empty.filter(|(name, _)| !used.contains(name.as_str())) {
        let what = format!("the group `{}` has no hosts", shown(name));
        notes.note(&group.place, what, "nothing of it is left: a tag is what a host has");
    }
}

/// The hosts that others may jump through.
struct Hops {
    /// By name in Ansible, and by address: the host's name here, its user and its port.
    known: BTreeMap<String, (String, Option<String>, Option<String>)>,
}

impl Hops {
    fn new(made: &[(&model::AnsibleHost, DraftHost, Connection)]) -> Self {
        let setting = |connection: &Connection, key| connection.settings.get(&key).map(|(value, _)| value.clone());
        let mut known = BTreeMap::new();
        for (host, entry, connection) in made {
            let login = (
                entry.name.to_string(),
                setting(connection, DraftSetting::User),
                setting(connection, DraftSetting::Port),
            );
            for name in [Some(&host.name), entry.address.as_ref()].into_iter().flatten() {
                known.entry(name.clone()).or_insert_with(|| login.clone());
            }
        }
        Self { known }
    }

    /// The host that a hop is, if nothing of its login says otherwise.
    fn host(&self, hop: &Hop) -> Option<&str> {
        let (name, user, port) = self.known.get(&hop.host)?;
        let same_user = hop.user.is_none() || hop.user == *user;
        let port_of = |port: &Option<String>| port.clone().unwrap_or_else(|| "22".to_owned());
        let same_port = hop.port.is_none() || port_of(&hop.port) == port_of(port);
        (same_user && same_port).then_some(name)
    }

    /// What `jump` says for this way; `None` with a note if it cannot be said.
    fn jump(
        &self,
        way: &[Hop],
        entry: &DraftHost,
        connection: &Connection,
        place: &SourcePlace,
        notes: &mut ImportNotes,
    ) -> Option<String> {
        let user = connection.settings.get(&DraftSetting::User).map(|(user, _)| user.clone());
        // In a ProxyCommand `%r` is the user of the host itself.
        let mut way: Vec<Hop> = way.to_vec();
        way.iter_mut().filter(|hop| hop.user.as_deref() == Some("%r")).for_each(|hop| hop.user.clone_from(&user));
        let (last, before) = way.split_last()?;
        let host = self.host(last);
        if host == Some(entry.name.as_str()) {
            // What is said of a whole group is not meant for the jump itself.
            return None;
        }
        if !before.is_empty() {
            let hops: Vec<String> = way.iter().map(Hop::destination).collect();
            let what = format!("a way with several jumps: {}", listed(hops.iter().map(String::as_str)));
            let Some(host) = host else {
                let mend = "make the last one a host of the inventory with a `jump` of its own, and name it as `jump`";
                notes.note(place, what, mend);
                return None;
            };
            notes.note(place, what, format!("`{host}` is named as `jump`: the way to it is what `{host}` says itself"));
        }
        match host {
            Some(host) => Some(host.to_owned()),
            None => super::accepted(DraftSetting::Jump, &last.destination(), place, notes),
        }
    }
}

#[cfg(test)]
mod tests;
