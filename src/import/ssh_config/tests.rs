use pretty_assertions::assert_eq;

use super::*;
use crate::import::draft::DraftSetting;

fn read(text: &str) -> (Vec<(String, Option<String>)>, Vec<String>) {
    let mut notes = ImportNotes::default();
    let file = notes.file(Path::new("config"), text.into());
    let mut reader = SshConfigReader { home: None, notes: &mut notes, blocks: Vec::new(), open: vec!["config".into()] };
    reader.read(file, text);
    let blocks = reader.blocks;
    let hosts = hosts(&blocks, &mut notes);
    let hosts = hosts.into_iter().map(|host| (host.name.to_string(), host.settings.get(&DraftSetting::Jump).cloned()));
    let hosts = hosts.collect();
    (hosts, notes.into_notes().iter().map(|note| format!("{}: {}", note.places.join(" "), note.what)).collect())
}

fn names(text: &str) -> Vec<String> {
    read(text).0.into_iter().map(|(name, _)| name).collect()
}

#[test]
fn blocks_are_hosts_and_patterns_are_not() {
    let (hosts, notes) = read(
        "# global
Compression yes
Host vps   # the one outside
  HostName vps.example.org
host=nas
  PROXYJUMP vps
Host *.lan !gate *
  ProxyJump gate
Match host x exec \"test 'a'\"
  User git
Include config.d/*
Host vps
  User git
",
    );
    assert_eq!(hosts, [("nas".into(), None)], "`vps` logs in as git, as its second block says");
    let places: Vec<_> = notes.iter().filter_map(|note| note.split_once(": ")).map(|(at, _)| at).collect();
    assert_eq!(places, ["config:7:1", "config:9:1", "config:11:1", "config:3:1", "config:6:3"], "{notes:?}");
}

#[test]
fn what_is_included_is_read_as_ssh_does() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join(".ssh");
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("config.d/10-work", "Host work\n  HostName 192.0.2.1\n  User first\nHost deep*\n  Include config.d/none\n");
    write("config.d/20-home", "Include ~/.ssh/config.d/nested/*.conf\n");
    write("config.d/nested/a.conf", "Include config.d/20-home\nHost nested\n  ProxyJump work\n");
    write("config.d/nested/a.conf~", "Host old\n");
    write("some", "Host some\n");
    let path = folder.join("config");
    let text = "Include config.d/*\nInclude missing ~/.ssh/%h\nHost own\n  Include some\nHost *\n  Include some\n";
    std::fs::write(&path, text).unwrap();
    let wanted = ImportTarget { fleet: None, target: Path::new("inventory.yaml") };
    let imported = from_ssh_config(&path, true, Some(home.path()), &wanted).unwrap();
    let inventory = crate::inventory::Inventory::parse(Path::new("i"), Path::new("/"), &imported.text).unwrap();
    let names: Vec<&str> = inventory.inventory.hosts.iter().map(|host| host.name.as_str()).collect();
    assert_eq!(names, ["work", "nested", "own", "some"]);
    let said: Vec<&str> = imported.notes.iter().map(|note| note.what.as_str()).collect();
    for what in [
        "`Include config.d/none` holds for some hosts alone: not followed",
        "`Include config.d/20-home` is not followed: it includes itself",
        "`Include missing` is not followed: there is no such file",
        "`Include ~/.ssh/%h` is not followed: only ssh knows what it stands for",
        "`Include some` holds for some hosts alone: not followed",
    ] {
        assert!(said.contains(&what), "{what}: {said:#?}");
    }
}

#[test]
fn names_of_one_address_are_one_machine_and_others_are_many() {
    assert_eq!(names("Host vps v vps.example.org\n  HostName 192.0.2.1\n"), ["vps"]);
    assert_eq!(names("Host a b\n  HostName %h.lan\nHost c d\n"), ["a", "b", "c", "d"]);
}

#[test]
fn what_is_said_of_a_host_in_several_places_is_put_together_as_ssh_does() {
    let told = |text: &str| -> Vec<(String, Option<String>)> { read(text).0 };
    let host = |name: &str, jump: Option<&str>| (name.to_owned(), jump.map(Into::into));
    assert_eq!(names("Host web\n HostName 1.1.1.1\nHost web db cache\n User root\n"), ["web", "db", "cache"]);
    assert_eq!(
        told(
            "Host gate\n HostName 9.9.9.9\nHost web\n HostName 1.1.1.1\nHost db\n HostName 1.1.1.2\nHost web db\n \
             ProxyJump gate\n"
        ),
        [host("gate", None), host("web", Some("gate")), host("db", Some("gate"))]
    );
    assert_eq!(
        told("Host gate\nHost web db\n HostName %h.lan\nHost web\n ProxyJump gate\n"),
        [host("gate", None), host("web", Some("gate")), host("db", None)]
    );
    assert_eq!(
        told("Host gate\nHost a.lan\nHost b.lan\n ProxyJump none\nHost !gate *.lan\n ProxyJump gate\n"),
        [host("gate", None), host("a.lan", Some("gate")), host("b.lan", None)]
    );
    // Above all others, and so the first.
    assert_eq!(names("User me\nHost forge\n User git\n"), ["forge"]);
    assert_eq!(names("Host vps\n HostName 1.1.1.1\nHost vps-root\n HostName 1.1.1.1\n User root\n"), ["vps"]);
    assert_eq!(names("Host a\n HostName h\n Port 1\nHost b\n HostName h\n Port 2\n"), ["a", "b"]);
}

#[test]
fn a_command_that_jumps_is_a_jump() {
    let (hosts, notes) = read(
        "Host gate\nHost a\n ProxyCommand ssh -W %h:%p gate\nHost b\n ProxyCommand=ssh -q gate nc \"%h\" %p\nHost \
         c\n ProxyCommand ssh -i k -W %h:%p gate\nHost d\n ProxyCommand cloudflared access ssh 'x\nHost e\n \
         ProxyCommand none\n ProxyJump gate\nHost f\n ProxyJump none\n ProxyCommand ssh -W %h:%p gate\n",
    );
    let jumps: Vec<_> = hosts.iter().map(|(_, jump)| jump.as_deref()).collect();
    assert_eq!(jumps, [None, Some("gate"), Some("gate"), None, None, None, Some("gate")]);
    let what = "`ProxyCommand` is no jump through one host in this file";
    assert_eq!(notes, [format!("config:7:2 config:9:2: {what}")]);
}

#[test]
fn a_jump_is_said_only_where_both_ends_are_here() {
    let (hosts, _) = read(
        "Host gate g\n HostName 192.0.2.1\nHost a\n ProxyJump G\nHost b\n ProxyJump me@gate\nHost c\n ProxyJump \
         x,gate\nHost d\n ProxyJump none\nHost e\n ProxyJump e\n",
    );
    let jumps: Vec<_> = hosts.iter().map(|(_, jump)| jump.as_deref()).collect();
    assert_eq!(jumps, [None, Some("gate"), None, None, None, None]);
}

#[test]
fn hostile_names_are_never_taken_as_they_are() {
    assert_eq!(names("Host \"a b\" -oProxyCommand=x all $(id)\n"), ["all-host"]);
}
