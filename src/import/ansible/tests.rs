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
        2 => (group.clone(), key, value)
            .prop_map(|(group, key, value)| format!("[{group}:vars]\n{key}={value}\n[{group}]")),
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
        let wanted = ImportTarget { fleet: None, target: Path::new("/lab/inventory.yaml") };
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
    let wanted = ImportTarget { fleet: None, target: Path::new("/lab/inventory.yaml") };
    let imported = from_ansible(&folder.path().join(files[0].0), None, &wanted).unwrap();
    let here = format!("{}/", folder.path().display());
    let notes = imported.notes.iter().map(|note| note.whole().replace(&here, "").lines().next().unwrap().to_owned());
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
    let (_, notes) = imported(&[("hosts", text)]);
    assert_eq!(notes[0], "hosts:2:1: `a` and `b` are reached at one address, `10.0.0.1`");
}

#[test]
fn the_answer_of_a_script_is_refused_with_what_to_type() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("list.json");
    std::fs::write(&path, r#"{"_meta": {"hostvars": {"w": {"ansible_host": "10.0.0.1"}}}, "web": {"hosts": ["w"]}}"#)
        .unwrap();
    let wanted = ImportTarget { fleet: None, target: Path::new("/lab/inventory.yaml") };
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
    let wanted = ImportTarget { fleet: None, target: Path::new("/lab/inventory.yaml") };
    let imported = from_ansible(folder.path(), None, &wanted).unwrap();
    assert!(imported.text.contains("  web:\n    user: ops\n"), "{}", imported.text);
    let hosts = "  w1:\n    tags: [web]\n  d1:\n    tags: [db]\n";
    assert!(imported.text.contains(hosts), "{}", imported.text);
    let [note, _] = &imported.notes[..] else { panic!("{:?}", imported.notes) };
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
