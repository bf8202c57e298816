//! The hosts of an ssh config. Their settings stay where they are: fleetdeploy honours ~/.ssh/config, so an alias of it is
//! all that an inventory needs.
//!
//! Source: `ssh_config(5)`, for the form of the file and for what `Host`, `Match` and `Include` mean.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::draft::{Draft, DraftHost, Setting, Systems};
use super::names::Names;
use super::note::{Notes, Place};
use super::ssh_args::Hop;
use super::words::{Comments, split};
use super::{ImportError, Imported, Wanted, finish, named};
use crate::inventory::problem::{Position, listed, shown};

/// Forges: whoever logs in as `git` finds no NixOS there.
const FORGE_USER: &str = "git";

/// Files within files. Source: `READCONF_MAX_DEPTH` in OpenSSH's `readconf.h`.
const DEEPEST: usize = 16;

/// One `Host` block without a pattern.
#[derive(Debug, Default)]
struct Block {
    aliases: Vec<String>,
    place: Option<Place>,
    /// The first value counts, as in ssh.
    hostname: Option<String>,
    user: Option<String>,
    jump: Option<(String, Place)>,
}

impl Block {
    fn take(&mut self, keyword: &str, value: String, place: Place) {
        match keyword {
            "hostname" => drop(self.hostname.get_or_insert(value)),
            "user" => drop(self.user.get_or_insert(value)),
            "proxyjump" => drop(self.jump.get_or_insert((value, place))),
            _ => {}
        }
    }
}

/// Reads an ssh config and what it includes. `is_users` says that ssh reads this file by itself, as it does ~/.ssh/config;
/// `home` is what `~` stands for.
///
/// # Errors
/// [`ImportError`], if it cannot be read or names no host.
pub fn from_ssh_config(
    path: &Path,
    is_users: bool,
    home: Option<&Path>,
    wanted: &Wanted<'_>,
) -> Result<Imported, ImportError> {
    let bytes = std::fs::read(path).map_err(|source| ImportError::Unreadable { path: path.to_owned(), source })?;
    let mut notes = Notes::default();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let file = notes.file(path, text.clone());
    if !is_users {
        let what = "ssh does not read this file by itself, and so the aliases mean nothing to it";
        notes.note(&Place::File(file), what, "put `Include` and the file's path at the top of your ~/.ssh/config");
    }
    let mut reader = Reader { home, notes: &mut notes, blocks: Vec::new(), open: vec![path.to_owned()] };
    reader.read(file, &text);
    let blocks = reader.blocks;
    let origin = format!("the ssh config {}", path.display());
    let mistakes = notes.take_mistakes();
    if !mistakes.is_empty() {
        return Err(ImportError::NotUnderstood { origin, mistakes });
    }
    let mut systems = Systems::flake(".");
    systems.remark = vec![
        "ssh knows no systems: say which flake has them. A host's name here is its name there.".to_owned(),
        "Take hosts that are not NixOS out of `hosts` above, or name those to push instead of `all`.".to_owned(),
    ];
    let mut draft = Draft::new(origin, wanted.fleet_of(path), systems);
    draft.hosts = hosts(&blocks, &mut notes);
    finish(draft, notes, wanted)
}

/// Which hosts the lines are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About {
    /// Above the first `Host`, and below `Host *`.
    All,
    /// Of the blocks, by its number.
    One(usize),
    /// Below a pattern or a `Match`.
    Some,
}

/// Collects the blocks of a config and of all that it includes.
struct Reader<'a> {
    /// What `~` is; relative paths of an `Include` begin at `.ssh` there.
    home: Option<&'a Path>,
    notes: &'a mut Notes,
    blocks: Vec<Block>,
    /// The files that are being read, the innermost last.
    open: Vec<PathBuf>,
}

impl Reader<'_> {
    fn read(&mut self, file: usize, text: &str) {
        let mut about = About::All;
        for (line, content) in (1..).zip(text.lines()) {
            let indent = content.chars().take_while(|letter| letter.is_whitespace()).count();
            let place = Place::Line { file, at: Position { line, column: indent + 1 } };
            let Some((keyword, values)) = keyword_and_values(content.trim(), &place, self.notes) else { continue };
            match keyword.as_str() {
                "host" => about = host_block(&values, &place, &mut self.blocks, self.notes),
                "match" if values.len() == 1 && values[0].eq_ignore_ascii_case("all") => about = About::All,
                "match" => {
                    about = About::Some;
                    let mend =
                        "what it says still holds, since ssh reads it; a host that only it names is added by hand";
                    self.notes.note(&place, format!("`Match {}` names no host", shown(&values.join(" "))), mend);
                }
                "include" if about == About::All => values.iter().for_each(|value| self.include(value, &place)),
                "include" => {
                    let what =
                        format!("`Include {}` holds for some hosts alone: not followed", shown(&values.join(" ")));
                    self.notes.note(&place, what, "hosts that only that file names are imported by its name, too");
                }
                _ => {
                    let About::One(block) = about else { continue };
                    if let Some(value) = values.into_iter().next() {
                        self.blocks[block].take(&keyword, value, place);
                    }
                }
            }
        }
    }

    fn include(&mut self, named: &str, place: &Place) {
        let not_followed = |notes: &mut Notes, why: &str, mend: &str| {
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
fn keyword_and_values(line: &str, place: &Place, notes: &mut Notes) -> Option<(String, Vec<String>)> {
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let end = line.find(|letter: char| letter == '=' || letter.is_whitespace()).unwrap_or(line.len());
    let (keyword, rest) = line.split_at(end);
    let rest = rest.trim_start();
    let rest = rest.strip_prefix('=').unwrap_or(rest);
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

/// The block of the names that are no patterns; one that is there already goes on.
fn host_block(patterns: &[String], place: &Place, blocks: &mut Vec<Block>, notes: &mut Notes) -> About {
    let is_for_all =
        patterns.iter().any(|pattern| pattern == "*") && !patterns.iter().any(|name| name.starts_with('!'));
    let is_pattern = |name: &&String| name.contains(['*', '?']) || name.starts_with('!');
    let (patterns, names): (Vec<&String>, Vec<&String>) = patterns.iter().partition(is_pattern);
    if !patterns.is_empty() {
        let what = format!("patterns of hosts: {}", listed(patterns.iter().map(|name| name.as_str())));
        notes.note(place, what, "what is said of them still holds, since ssh reads it; they name no host to push to");
    }
    let Some(first) = names.first() else { return if is_for_all { About::All } else { About::Some } };
    let known = blocks.iter().position(|block| block.aliases.contains(first));
    About::One(known.unwrap_or_else(|| {
        let aliases = names.into_iter().cloned().collect();
        blocks.push(Block { aliases, place: Some(place.clone()), ..Block::default() });
        blocks.len() - 1
    }))
}

fn hosts(blocks: &[Block], notes: &mut Notes) -> Vec<DraftHost> {
    let mut names = Names::default();
    let mut hosts: Vec<DraftHost> = Vec::new();
    let mut jumps: Vec<Option<(String, Place)>> = Vec::new();
    let mut aliases: BTreeSet<(String, String)> = BTreeSet::new();
    for block in blocks {
        let Some(place) = &block.place else { continue };
        if block.user.as_deref() == Some(FORGE_USER) {
            let what = format!("a login as `git`: left out: {}", listed(block.aliases.iter().map(String::as_str)));
            notes.note(place, what, "that is a forge; if it is a NixOS host, add it by hand");
            continue;
        }
        // With one address they are one machine, and a machine is in an inventory once.
        let is_one = block.hostname.as_ref().is_some_and(|hostname| !hostname.contains('%'));
        let (own, others) = block.aliases.split_at(if is_one { 1 } else { block.aliases.len() });
        if !others.is_empty() {
            let what = format!("other names of `{}`: {}", shown(&own[0]), listed(others.iter().map(String::as_str)));
            notes.note(
                place,
                what,
                "a machine is in an inventory once; take another of its names if you like that better",
            );
        }
        for alias in own {
            let Some(host) = named(alias, None, place, &mut names, notes) else { continue };
            let called = block.aliases.iter().filter(|_| is_one).chain([alias]);
            aliases.extend(called.map(|alias| (alias.to_lowercase(), host.name.to_string())));
            hosts.push(host);
            jumps.push(block.jump.clone());
        }
    }
    for (host, jump) in hosts.iter_mut().zip(jumps) {
        if let Some((way, place)) = jump {
            jump_of(host, &way, &place, &aliases, notes);
        }
    }
    hosts
}

/// A jump through a host of the file is said, so that both share its connection; any other stays ssh's.
fn jump_of(host: &mut DraftHost, way: &str, place: &Place, aliases: &BTreeSet<(String, String)>, notes: &mut Notes) {
    if way.eq_ignore_ascii_case("none") {
        return;
    }
    let hop = Hop::parse(way);
    let named = |name: &str| {
        let name = name.to_lowercase();
        aliases.iter().find(|(alias, _)| *alias == name).map(|(_, host)| host.clone())
    };
    let through = if hop.user.is_none() && hop.port.is_none() { named(&hop.host) } else { None };
    match through {
        Some(through) if through == host.name.as_str() => {
            notes.note(
                place,
                format!("`{through}` jumps through itself"),
                "ssh cannot reach it so: mend the ssh config",
            );
        }
        Some(through) => drop(host.settings.insert(Setting::Jump, through)),
        None => {
            host.remark = Some(format!("ssh reaches it through {way}, as its config says."));
            let what = format!("`ProxyJump {}` is not the name of one host in this file", shown(way));
            notes.note(place, what, "nothing to do: ssh jumps as its config says");
        }
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn read(text: &str) -> (Vec<(String, Option<String>)>, Vec<String>) {
        let mut notes = Notes::default();
        let file = notes.file(Path::new("config"), text.into());
        let mut reader = Reader { home: None, notes: &mut notes, blocks: Vec::new(), open: vec!["config".into()] };
        reader.read(file, text);
        let blocks = reader.blocks;
        let hosts = hosts(&blocks, &mut notes);
        let hosts = hosts.into_iter().map(|host| (host.name.to_string(), host.settings.get(&Setting::Jump).cloned()));
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
User admin
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
        let wanted = Wanted { fleet: None, target: Path::new("inventory.yaml") };
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
    fn a_jump_is_said_only_where_both_ends_are_here() {
        let (hosts, _) = read(
            "Host gate g\n HostName 192.0.2.1\nHost a\n ProxyJump G\nHost b\n ProxyJump me@gate\nHost c\n ProxyJump x,gate\nHost d\n ProxyJump none\nHost e\n ProxyJump e\n",
        );
        let jumps: Vec<_> = hosts.iter().map(|(_, jump)| jump.as_deref()).collect();
        assert_eq!(jumps, [None, Some("gate"), None, None, None, None]);
    }

    #[test]
    fn hostile_names_are_never_taken_as_they_are() {
        assert_eq!(names("Host \"a b\" -oProxyCommand=x all $(id)\n"), ["all-host"]);
    }
}
