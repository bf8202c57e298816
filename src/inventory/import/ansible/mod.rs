//! An Ansible inventory: INI or YAML, one file or a folder of them, with `group_vars` and `host_vars` beside it.
//!
//! Groups become tags, and what a group says of the way to its hosts becomes settings by tag. Everything that is for
//! playbooks alone is listed: what it did on a host is NixOS's now.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::draft::{Draft, DraftHost, Setting, Settings, Systems};
use super::names::Names;
use super::note::{Notes, Place};
use super::ssh_args::Hop;
use super::{ImportError, Imported, Wanted, finish, named};
use crate::inventory::problem::{listed, shown};
use connection::{Connection, Reached};
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
pub fn from_ansible(path: &Path, config: Option<&Path>, wanted: &Wanted<'_>) -> Result<Imported, ImportError> {
    let mut notes = Notes::default();
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
        // A playbook's own are read by Ansible when it runs that playbook, and which one that is nobody knows here.
        let above = folder.join("..").join(kind);
        if above.is_dir() {
            let file = notes.file(&above, String::new());
            let mend = "if its `ansible_` variables are for these hosts, move it beside the inventory and import again";
            notes.note(&Place::File(file), "this folder is not beside the inventory: not read", mend);
        }
    }
    let mut systems = Systems::flake(".");
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
fn read_inventory(path: &Path, depth: usize, ansible: &mut Ansible, notes: &mut Notes) -> Result<(), ImportError> {
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
            let place = Place::File(notes.file(&entry, String::new()));
            notes.note(&place, "Ansible passes this over in a folder: not read", "import it by its name if it counts");
        } else {
            read_inventory(&entry, depth + 1, ansible, notes)?;
        }
    }
    Ok(())
}

fn read_file(path: &Path, ansible: &mut Ansible, notes: &mut Notes) -> Result<(), ImportError> {
    let unreadable = |source| ImportError::Unreadable { path: path.to_owned(), source };
    let bytes = std::fs::read(path).map_err(unreadable)?;
    let Ok(text) = String::from_utf8(bytes) else {
        let file = notes.file(path, String::new());
        notes.mistake(&Place::File(file), "this is not UTF-8 text", "save it as UTF-8");
        return Ok(());
    };
    let text = text.strip_prefix('\u{feff}').map_or_else(|| text.clone(), Into::into);
    let form = Form::of(path, &text);
    let file = notes.file(path, if form == Form::Vault { String::new() } else { text });
    match form {
        Form::Ini => ini::read(file, ansible, notes),
        Form::Yaml => yaml_form::read(file, ansible, notes),
        Form::Vault => {
            notes.mistake(&Place::File(file), "this inventory is encrypted with Ansible Vault", EXPORT);
        }
        Form::Program => notes.mistake(&Place::File(file), "this is a program that prints an inventory", EXPORT),
        Form::Toml => notes.mistake(&Place::File(file), "this is an inventory in TOML form", EXPORT),
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
fn fill(mut draft: Draft, ansible: &Ansible, notes: &mut Notes) -> Draft {
    let memberships = ansible.memberships();
    let mut names = Names::default();
    let mut made: Vec<(&model::Host, DraftHost, Connection)> = Vec::new();
    for host in &ansible.hosts {
        let groups = &memberships[host.name.as_str()];
        let lookup = Lookup::new(ansible, &host.name, &host.variables, groups);
        let Reached::BySsh(connection) = connection::read(&lookup, notes) else { continue };
        let address = connection.address.clone();
        let Some(entry) = named(&host.name, address, &host.place, &mut names, notes) else { continue };
        let tags = groups.iter().filter(|group| **group != UNGROUPED).filter_map(|group| names.tag(group));
        made.push((host, DraftHost { tags: tags.collect(), ..entry }, connection));
    }
    list_renamed_groups(ansible, &mut names, notes);
    let hops = Hops::new(&made);
    let mut spoken: Vec<BTreeMap<Setting, (String, Origin)>> = Vec::new();
    for (_, entry, connection) in &mut made {
        let mut settings = connection.settings.clone();
        if let Some((way, origin, place)) = &connection.way {
            match hops.jump(way, entry, connection, place, notes) {
                Some(jump) => drop(settings.insert(Setting::Jump, (jump, origin.clone()))),
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
fn said_by(origin: &Origin, spoken: &[BTreeMap<Setting, (String, Origin)>]) -> Settings {
    let said = |key: Setting| {
        let mut values = spoken.iter().filter_map(|settings| settings.get(&key)).filter(|(_, from)| from == origin);
        let (first, _) = values.next()?;
        values.all(|(value, _)| value == first).then(|| (key, first.clone()))
    };
    Setting::ALL.into_iter().filter_map(said).collect()
}

fn list_renamed_groups(ansible: &Ansible, names: &mut Names, notes: &mut Notes) {
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
    fn new(made: &[(&model::Host, DraftHost, Connection)]) -> Self {
        let setting = |connection: &Connection, key| connection.settings.get(&key).map(|(value, _)| value.clone());
        let mut known = BTreeMap::new();
        for (host, entry, connection) in made {
            let login =
                (entry.name.to_string(), setting(connection, Setting::User), setting(connection, Setting::Port));
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
        place: &Place,
        notes: &mut Notes,
    ) -> Option<String> {
        let user = connection.settings.get(&Setting::User).map(|(user, _)| user.clone());
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
            None => super::accepted(Setting::Jump, &last.destination(), place, notes),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use pretty_assertions::assert_eq;
    use proptest::prelude::*;

    use super::*;

    fn one_of(texts: &[&str]) -> impl Strategy<Value = String> + Clone + use<> {
        prop::sample::select(texts.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    /// A line of an inventory: mostly right in its form, with anything in its names and values.
    fn line() -> impl Strategy<Value = String> {
        let name = prop_oneof![
            9 => one_of(&["web1", "WEB1", "web[1:3]", "gate", "all", "none", "192.0.2.1", "'a b'", "::1", "-x"]),
            1 => "[-a-cA. @$:é]{1,6}",
        ];
        let value = prop_oneof![
            4 => one_of(&["gate", "web1", "root", "22", "yes", "no", "-J gate", "-J web1", "-J me@web1", "-J gate,web2"]),
            2 => one_of(&["{{ a }}", "{{ inventory_hostname }}", "local", "$ANSIBLE_VAULT;1", "-o ProxyCommand=x", ""]),
            1 => "[-a-c .@\"{}$;/#0-9]{0,8}",
        ];
        let key = prop_oneof![
            3 => one_of(&["ansible_ssh_common_args"]),
            2 => one_of(&["ansible_user"]),
            3 => one_of(&leftover::READ),
            1 => one_of(&["a"]),
        ];
        let group = prop_oneof![9 => one_of(&["web", "db", "all", "a.b", "a@b"]), 1 => "[a-c@.: -]{1,5}"];
        let quoted = (key.clone(), value.clone()).prop_map(|(key, value)| format!("{key}='{value}'"));
        prop_oneof![
            2 => group.clone().prop_map(|group| format!("[{group}]")),
            5 => (name, prop::collection::vec(quoted, 0..3))
                .prop_map(|(name, variables)| format!("{name} {}", variables.join(" "))),
            2 => (group.clone(), key, value).prop_map(|(group, key, value)| format!("[{group}:vars]\n{key}={value}\n[{group}]")),
            1 => (group.clone(), group).prop_map(|(above, group)| format!("[{above}:children]\n{group}\n[{group}]")),
        ]
    }

    proptest! {
        /// Whatever stands in the source: it is refused with its mistakes, or it becomes an inventory that is right.
        #[test]
        fn any_source_is_refused_or_becomes_an_inventory(lines in prop::collection::vec(line(), 0..12)) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("hosts.ini");
            std::fs::write(&path, lines.join("\n")).unwrap();
            let wanted = Wanted { fleet: None, target: Path::new("/lab/inventory.yaml") };
            match from_ansible(&path, None, &wanted) {
                Ok(imported) => prop_assert!(imported.hosts > 0),
                Err(ImportError::NotUnderstood { mistakes, .. }) => prop_assert!(!mistakes.is_empty()),
                Err(error) => prop_assert!(matches!(error, ImportError::NoHosts { .. }), "{error}: {:?}", error.source()),
            }
        }
    }

    /// The inventory's text, and what is said beside it, for these files; the first is the inventory.
    fn imported(files: &[(&str, &str)]) -> (String, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let wanted = Wanted { fleet: None, target: Path::new("/lab/inventory.yaml") };
        let imported = from_ansible(&folder.path().join(files[0].0), None, &wanted).unwrap();
        let here = format!("{}/", folder.path().display());
        let notes =
            imported.notes.iter().map(|note| note.whole().replace(&here, "").lines().next().unwrap().to_owned());
        (imported.text, notes.collect())
    }

    #[test]
    fn of_a_folder_and_a_file_of_variables_the_one_that_ansible_takes_counts() {
        let (text, notes) = imported(&[
            ("hosts", "h1\n"),
            ("group_vars/all/main.yml", "ansible_user: of-folder\n"),
            ("group_vars/all.yml", "ansible_user: of-file\nansible_port: 2222\n"),
            ("host_vars/h1.yaml", "ansible_host: of-yaml.lan\n"),
            ("host_vars/h1.yml", "ansible_host: of-yml.lan\n"),
        ]);
        assert!(text.contains("user: of-folder\n") && text.contains("address: of-yml.lan\n"), "{text}");
        assert!(!text.contains("2222"), "{text}");
        let passed_over = |note: &&String| note.contains("Ansible passes this over");
        assert_eq!(
            notes.iter().filter(passed_over).collect::<Vec<_>>(),
            [
                "group_vars/all.yml: Ansible passes this over: `group_vars/all` is beside it",
                "host_vars/h1.yaml: Ansible passes this over: `host_vars/h1.yml` is beside it",
            ]
        );
    }

    #[test]
    fn of_arguments_and_variables_the_first_that_ssh_would_see_wins() {
        let line = "h ansible_ssh_args='-p 99 -i ~/.ssh/args' ansible_port=22 ansible_user=ada \
                    ansible_ssh_private_key_file=~/.ssh/own ansible_ssh_common_args='-l bob -o Port=1'\n";
        let (text, notes) = imported(&[("hosts", line)]);
        for said in ["port: 99\n", "user: ada\n", "identity: ~/.ssh/args\n"] {
            assert!(text.contains(said), "{said}: {text}");
        }
        assert_eq!(notes, ["hosts:1:76: another key: `~/.ssh/own`"]);
    }

    #[test]
    fn what_is_left_has_the_place_of_its_first() {
        let text =
            "[all:vars]\nenv_name=x\nansible_port=22\nansible_shell_type=sh\none=1\n[web]\na ansible_host={{nobody}}\n";
        assert_eq!(
            imported(&[("hosts", text)]).1,
            [
                "hosts:7:3: `ansible_host` is a template that only Ansible can fill in",
                "hosts:4:1: for Ansible alone: `ansible_shell_type`",
                "hosts:2:1: variables of playbooks: `env_name` and `one`",
            ]
        );
    }

    #[test]
    fn two_names_of_one_machine_are_pointed_at() {
        let text = "a ansible_host=10.0.0.1\nb ansible_host=10.0.0.1\nc ansible_host=10.0.0.1 ansible_port=2222\n";
        assert_eq!(imported(&[("hosts", text)]).1, ["hosts:2:1: `a` and `b` are reached at one address, `10.0.0.1`"]);
    }

    #[test]
    fn the_answer_of_a_script_is_refused_with_what_to_type() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list.json");
        std::fs::write(
            &path,
            r#"{"_meta": {"hostvars": {"w": {"ansible_host": "10.0.0.1"}}}, "web": {"hosts": ["w"]}}"#,
        )
        .unwrap();
        let wanted = Wanted { fleet: None, target: Path::new("/lab/inventory.yaml") };
        let error = from_ansible(&path, None, &wanted).unwrap_err();
        assert!(
            matches!(error, ImportError::NotUnderstood { .. }) && error.to_string().contains("--list --yaml"),
            "{error}"
        );
    }

    #[test]
    fn a_folder_is_read_with_the_folders_and_ini_files_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("10.ini", "[web]\nw1\n");
        write("sub/20", "[db]\nd1\n");
        write("group_vars/web/main.yml", "ansible_user: ops\n");
        write("old.bak", "[gone]\ng1\n");
        let wanted = Wanted { fleet: None, target: Path::new("/lab/inventory.yaml") };
        let imported = from_ansible(folder.path(), None, &wanted).unwrap();
        assert!(imported.text.contains("  web:\n    user: ops\n"), "{}", imported.text);
        let hosts = "  w1:\n    tags: [web]\n  d1:\n    tags: [db]\n";
        assert!(imported.text.contains(hosts), "{}", imported.text);
        let [note] = &imported.notes[..] else { panic!("{:?}", imported.notes) };
        assert!(note.places[0].ends_with("old.bak"), "{note}");
    }

    #[test]
    fn a_file_is_read_by_its_name_or_by_how_it_begins() {
        let form = |path: &str, text: &str| Form::of(Path::new(path), text);
        assert_eq!(form("hosts", "# x\n\n[web]\na\n"), Form::Ini);
        assert_eq!(form("hosts", "---\nall:\n"), Form::Yaml);
        assert_eq!(form("hosts", "# x\nall:\n  hosts:\n"), Form::Yaml);
        assert_eq!(form("hosts", "all: # x\n  hosts:\n"), Form::Yaml);
        assert_eq!(form("hosts", "web1 x=a:\n"), Form::Ini);
        assert_eq!(form("hosts", "web1 # x:\n"), Form::Ini);
        assert_eq!(form("hosts.yml", "[web]\n"), Form::Yaml);
        assert_eq!(form("hosts.example.org", "a\n"), Form::Ini);
        assert_eq!(form("hosts.yml", "$ANSIBLE_VAULT;1.1;AES256\n"), Form::Vault);
        assert_eq!(form("inventory.py", "#!/usr/bin/env python3\n"), Form::Program);
        assert_eq!(form("hosts.toml", "[all.hosts]\n"), Form::Toml);
    }
}
