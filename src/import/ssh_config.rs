//! The hosts of an ssh config. Their settings stay where they are: fleetdeploy honours ~/.ssh/config, so an alias of it
//! is all that an inventory needs.
//!
//! Source: `ssh_config(5)`, for the form of the file and for what `Host`, `Match` and `Include` mean.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use block::{Proxy, SshConfigBlock, SshConfigHost, is_pattern};

use super::draft::{Draft, DraftHost, DraftSetting, DraftSystems};
use super::names::Names;
use super::note::{ImportNotes, SourcePlace};
use super::ssh_args::{Hop, proxy_command};
use super::words::{Comments, split};
use super::{ImportError, ImportTarget, Imported, finish, named};
use crate::inventory::problem::{listed, shown};
use crate::inventory::yaml::Position;

mod block;

/// Forges: a login as `git` finds no NixOS there.
const FORGE_USER: &str = "git";

/// Files within files. Source: `READCONF_MAX_DEPTH` in OpenSSH's `readconf.h`.
const DEEPEST: usize = 16;

/// Reads an ssh config and what it includes. `is_users` says that ssh reads this file by itself, as it does
/// ~/.ssh/config; `home` is what `~` stands for.
///
/// # Errors
/// [`ImportError`], if it cannot be read or names no host.
pub fn from_ssh_config(
    path: &Path,
    is_users: bool,
    home: Option<&Path>,
    wanted: &ImportTarget<'_>,
) -> Result<Imported, ImportError> {
    let bytes = std::fs::read(path).map_err(|source| ImportError::Unreadable { path: path.to_owned(), source })?;
    let mut notes = ImportNotes::default();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let file = notes.file(path, text.clone());
    if !is_users {
        let what = "ssh does not read this file by itself, and so the aliases mean nothing to it";
        notes.note(
            &SourcePlace::File(file),
            what,
            "put `Include` and the file's path at the top of your ~/.ssh/config",
        );
    }
    let mut reader = SshConfigReader { home, notes: &mut notes, blocks: Vec::new(), open: vec![path.to_owned()] };
    reader.read(file, &text);
    let blocks = reader.blocks;
    let origin = format!("the ssh config {}", path.display());
    let mistakes = notes.take_mistakes();
    if !mistakes.is_empty() {
        return Err(ImportError::NotUnderstood { origin, mistakes });
    }
    let mut systems = DraftSystems::flake(".");
    systems.remark = vec![
        "ssh knows no systems: say which flake has them. A host's name here is its name there.".to_owned(),
        "Take hosts that are not NixOS out of `hosts` above, or name those to push instead of `all`.".to_owned(),
    ];
    let mut draft = Draft::new(origin, wanted.fleet_of(path), systems);
    draft.hosts = hosts(&blocks, &mut notes);
    finish(draft, notes, wanted)
}

/// Collects the blocks of a config and of all that it includes.
struct SshConfigReader<'a> {
    /// What `~` is; relative paths of an `Include` begin at `.ssh` there.
    home: Option<&'a Path>,
    notes: &'a mut ImportNotes,
    blocks: Vec<SshConfigBlock>,
    /// The files that are being read, the innermost last.
    open: Vec<PathBuf>,
}

impl SshConfigReader<'_> {
    fn read(&mut self, file: usize, text: &str) {
        // Above the first `Host` all are meant.
        let mut current = Some(self.begin(SshConfigBlock::of_all(SourcePlace::File(file))));
        for (line, content) in (1..).zip(text.lines()) {
            let indent = content.chars().take_while(|letter| letter.is_whitespace()).count();
            let place = SourcePlace::Line { file, at: Position { line, column: indent + 1 } };
            let Some((keyword, values)) = keyword_and_values(content.trim(), &place, self.notes) else { continue };
            match keyword.as_str() {
                "host" => {
                    list_patterns(&values, &place, self.notes);
                    current = Some(self.begin(SshConfigBlock { patterns: values, place, lines: Vec::new() }));
                }
                "match" if values.len() == 1 && values[0].eq_ignore_ascii_case("all") => {
                    current = Some(self.begin(SshConfigBlock::of_all(place)));
                }
                "match" => {
                    current = None;
                    let mend =
                        "what it says still holds, since ssh reads it; a host that only it names is added by hand";
                    self.notes.note(&place, format!("`Match {}` names no host", shown(&values.join(" "))), mend);
                }
                "include" if current.is_some_and(|block| self.blocks[block].is_of_all()) => {
                    for value in &values {
                        self.include(value, &place);
                    }
                    // What follows comes after all that is in there.
                    current = Some(self.begin(SshConfigBlock::of_all(place)));
                }
                "include" => {
                    let what =
                        format!("`Include {}` holds for some hosts alone: not followed", shown(&values.join(" ")));
                    self.notes.note(&place, what, "hosts that only that file names are imported by its name, too");
                }
                _ => {
                    if let (Some(block), Some(value)) = (current, values.into_iter().next()) {
                        self.blocks[block].lines.push((keyword, value, place));
                    }
                }
            }
        }
    }

    fn begin(&mut self, block: SshConfigBlock) -> usize {
        self.blocks.push(block);
        self.blocks.len() - 1
    }

    fn include(&mut self, named: &str, place: &SourcePlace) {
        let not_followed = |notes: &mut ImportNotes, why: &str, mend: &str| {
            notes.note(place, format!("`Include {}` is not followed: {why}", shown(named)), mend);
        };
        let import_it = "its hosts are in that file: import it by its name, too";
        let Some(pattern) = self.place_of(named) else {
            return not_followed(self.notes, "only ssh knows what it stands for", import_it);
        };
        if self.open.len() > DEEPEST {
            return not_followed(self.notes, "files include each other more than 16 deep", "ssh refuses that, too");
        }
        // A path that cannot be looked at is none to ssh either.
        let files: Vec<PathBuf> =
            glob::glob(&pattern).into_iter().flatten().flatten().filter(|path| path.is_file()).collect();
        if files.is_empty() {
            return not_followed(self.notes, "there is no such file", "nothing to do: ssh passes it over, too");
        }
        for path in files {
            if self.open.contains(&path) {
                not_followed(self.notes, "it includes itself", "take it out: ssh refuses that");
                continue;
            }
            let Ok(bytes) = std::fs::read(&path) else {
                not_followed(self.notes, "it cannot be read", import_it);
                continue;
            };
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let file = self.notes.file(&path, text.clone());
            self.open.push(path);
            self.read(file, &text);
            self.open.pop();
        }
    }

    /// What ssh looks for; `None` for what it would first fill in.
    fn place_of(&self, named: &str) -> Option<String> {
        if named.contains(['%', '$']) {
            return None;
        }
        let path = match (named.strip_prefix("~/"), named) {
            (Some(below), _) => self.home?.join(below),
            (None, user) if user.starts_with('~') => return None,
            (None, absolute) if absolute.starts_with('/') => PathBuf::from(absolute),
            (None, relative) => self.home?.join(".ssh").join(relative),
        };
        path.into_os_string().into_string().ok()
    }
}

/// `Keyword value`, `Keyword=value`; keywords know no case.
fn keyword_and_values(line: &str, place: &SourcePlace, notes: &mut ImportNotes) -> Option<(String, Vec<String>)> {
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let end = line.find(|letter: char| letter == '=' || letter.is_whitespace()).unwrap_or(line.len());
    let (keyword, rest) = line.split_at(end);
    let rest = rest.trim_start();
    let rest = rest.strip_prefix('=').unwrap_or(rest);
    if keyword.eq_ignore_ascii_case("proxycommand") {
        // The rest of the line, as it stands, is for a shell.
        return Some((keyword.to_ascii_lowercase(), vec![rest.trim().to_owned()]));
    }
    match split(rest, Comments::None) {
        Ok(words) => {
            let values = words.into_iter().map(|word| word.text).take_while(|word| !word.starts_with('#'));
            Some((keyword.to_ascii_lowercase(), values.collect()))
        }
        // A command in quotes of its own is no business of ours; the name of a host is.
        Err(_) if keyword.eq_ignore_ascii_case("host") => {
            notes.mistake(place, "a quote begins here and does not end", "close it: ssh refuses the line, too");
            None
        }
        Err(_) => None,
    }
}

fn list_patterns(words: &[String], place: &SourcePlace, notes: &mut ImportNotes) {
    let patterns: Vec<&str> = words.iter().map(String::as_str).filter(|word| is_pattern(word)).collect();
    if !patterns.is_empty() {
        let what = format!("patterns of hosts: {}", listed(patterns));
        notes.note(place, what, "what is said of them still holds, since ssh reads it; they name no host to push to");
    }
}

/// A machine, and all that it is called.
struct SshConfigMachine<'a> {
    aliases: Vec<&'a str>,
    place: &'a SourcePlace,
    way: Option<(Proxy, SourcePlace)>,
    /// The address, the port and the way, where an address is said: two names that share them are one machine.
    whereabouts: Option<(String, Option<String>, Option<Proxy>)>,
}

fn machines<'a>(blocks: &'a [SshConfigBlock], notes: &mut ImportNotes) -> Vec<SshConfigMachine<'a>> {
    let mut machines: Vec<SshConfigMachine<'a>> = Vec::new();
    let mut forges: Vec<(&SourcePlace, Vec<&str>)> = Vec::new();
    let mut seen = BTreeSet::new();
    for block in blocks {
        for alias in block.patterns.iter().map(String::as_str).filter(|word| !is_pattern(word)) {
            if !seen.insert(alias) {
                continue;
            }
            let said = SshConfigHost::of(alias, blocks);
            if said.user.as_deref() == Some(FORGE_USER) {
                match forges.last_mut() {
                    Some((place, aliases)) if *place == &block.place => aliases.push(alias),
                    _ => forges.push((&block.place, vec![alias])),
                }
                continue;
            }
            let address = said.hostname.as_ref().map(|name| name.replace("%h", alias).to_lowercase());
            let port = said.port.clone();
            let way = said.way();
            let whereabouts = address.map(|address| (address, port, way.as_ref().map(|(way, _)| way.clone())));
            match machines.iter_mut().find(|known| whereabouts.is_some() && known.whereabouts == whereabouts) {
                Some(known) => known.aliases.push(alias),
                None => machines.push(SshConfigMachine { aliases: vec![alias], place: &block.place, way, whereabouts }),
            }
        }
    }
    for (place, aliases) in forges {
        let what = format!("a login as `git`: left out: {}", listed(aliases));
        notes.note(place, what, "that is a forge; if it is a NixOS host, add it by hand");
    }
    machines
}

fn hosts(blocks: &[SshConfigBlock], notes: &mut ImportNotes) -> Vec<DraftHost> {
    let mut names = Names::default();
    let mut hosts: Vec<DraftHost> = Vec::new();
    let mut ways: Vec<Option<(Proxy, SourcePlace)>> = Vec::new();
    let mut aliases: BTreeSet<(String, String)> = BTreeSet::new();
    for machine in machines(blocks, notes) {
        let Some((own, others)) = machine.aliases.split_first() else { continue };
        if !others.is_empty() {
            let what = format!("other names of `{}`: {}", shown(own), listed(others.iter().copied()));
            let mend = "a machine is in an inventory once; take another of its names if you like that better";
            notes.note(machine.place, what, mend);
        }
        let Some(host) = named(own, None, machine.place, &mut names, notes) else { continue };
        aliases.extend(machine.aliases.iter().map(|alias| (alias.to_lowercase(), host.name.to_string())));
        hosts.push(host);
        ways.push(machine.way);
    }
    for (host, way) in hosts.iter_mut().zip(ways) {
        if let Some((way, place)) = way {
            jump_of(host, &way, &place, &aliases, notes);
        }
    }
    hosts
}

/// A jump through a host of the file is said, so that both share its connection; any other way stays ssh's.
fn jump_of(
    host: &mut DraftHost,
    way: &Proxy,
    place: &SourcePlace,
    aliases: &BTreeSet<(String, String)>,
    notes: &mut ImportNotes,
) {
    let hop = match way {
        Proxy::Jump(text) => Some(Hop::parse(text)),
        // What else the command says of the jump, only ssh can do.
        Proxy::Command(text) => proxy_command(text).filter(|(_, left)| left.is_empty()).map(|(hop, _)| hop),
    };
    let named = |hop: Hop| {
        let name = hop.host.to_lowercase();
        let is_bare = hop.user.is_none() && hop.port.is_none();
        aliases.iter().find(|(alias, _)| is_bare && *alias == name).map(|(_, host)| host.clone())
    };
    match hop.and_then(named) {
        Some(through) if through == host.name.as_str() => {
            notes.note(
                place,
                format!("`{through}` jumps through itself"),
                "ssh cannot reach it so: mend the ssh config",
            );
        }
        Some(through) => drop(host.settings.insert(DraftSetting::Jump, through)),
        None => {
            // A command may have a password in it.
            let (remark, what) = match way {
                Proxy::Jump(text) => {
                    (text.as_str(), format!("`ProxyJump {}` is not the name of one host", shown(text)))
                }
                Proxy::Command(_) => ("a command", "`ProxyCommand` is no jump through one host".to_owned()),
            };
            host.remark = Some(format!("ssh reaches it through {remark}, as its config says."));
            notes.note(place, format!("{what} in this file"), "nothing to do: ssh goes as its config says");
        }
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn read(text: &str) -> (Vec<(String, Option<String>)>, Vec<String>) {
        let mut notes = ImportNotes::default();
        let file = notes.file(Path::new("config"), text.into());
        let mut reader =
            SshConfigReader { home: None, notes: &mut notes, blocks: Vec::new(), open: vec!["config".into()] };
        reader.read(file, text);
        let blocks = reader.blocks;
        let hosts = hosts(&blocks, &mut notes);
        let hosts =
            hosts.into_iter().map(|host| (host.name.to_string(), host.settings.get(&DraftSetting::Jump).cloned()));
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
        write(
            "config.d/10-work",
            "Host work\n  HostName 192.0.2.1\n  User first\nHost deep*\n  Include config.d/none\n",
        );
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
}
