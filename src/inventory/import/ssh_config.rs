//! The hosts of an ssh config. Their settings stay where they are: fleetdeploy honours ~/.ssh/config, so an alias of it is
//! all that an inventory needs.
//!
//! Source: `ssh_config(5)`, for the form of the file and for what `Host`, `Match` and `Include` mean.

use std::collections::BTreeSet;
use std::path::Path;

use super::draft::{Draft, DraftHost, Setting, Systems};
use super::names::Names;
use super::note::{Notes, Place};
use super::ssh_args::Hop;
use super::words::{Comments, split};
use super::{ImportError, Imported, Wanted, finish, named};
use crate::inventory::problem::{Position, listed, shown};

/// Forges: whoever logs in as `git` finds no NixOS there.
const FORGE_USER: &str = "git";

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

/// Reads an ssh config. `is_users` says that ssh reads this file by itself, as it does ~/.ssh/config.
///
/// # Errors
/// [`ImportError`], if it cannot be read or names no host.
pub fn from_ssh_config(path: &Path, is_users: bool, wanted: &Wanted<'_>) -> Result<Imported, ImportError> {
    let bytes = std::fs::read(path).map_err(|source| ImportError::Unreadable { path: path.to_owned(), source })?;
    let mut notes = Notes::default();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let file = notes.file(path, text.clone());
    if !is_users {
        let what = "ssh does not read this file by itself, and so the aliases mean nothing to it";
        notes.note(&Place::File(file), what, "put `Include` and the file's path at the top of your ~/.ssh/config");
    }
    let blocks = blocks(file, &text, &mut notes);
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

fn blocks(file: usize, text: &str, notes: &mut Notes) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    // Above the first `Host`, below a pattern and below a `Match` nothing is about one host.
    let mut current: Option<usize> = None;
    for (line, content) in (1..).zip(text.lines()) {
        let indent = content.chars().take_while(|letter| letter.is_whitespace()).count();
        let place = Place::Line { file, at: Position { line, column: indent + 1 } };
        let Some((keyword, values)) = keyword_and_values(content.trim(), &place, notes) else { continue };
        match keyword.as_str() {
            "host" => current = host_block(&values, &place, &mut blocks, notes),
            "match" => {
                current = None;
                let mend = "what it says still holds, since ssh reads it; a host that only it names is added by hand";
                notes.note(&place, format!("`Match {}` names no host", shown(&values.join(" "))), mend);
            }
            "include" => {
                let what = format!("`Include {}` is not followed", shown(&values.join(" ")));
                notes.note(&place, what, "its hosts are in that file: import it by its name, too");
            }
            _ => {
                if let (Some(block), Some(value)) = (current.and_then(|index| blocks.get_mut(index)), values.first()) {
                    match keyword.as_str() {
                        "hostname" => drop(block.hostname.get_or_insert_with(|| value.clone())),
                        "user" => drop(block.user.get_or_insert_with(|| value.clone())),
                        "proxyjump" => drop(block.jump.get_or_insert_with(|| (value.clone(), place))),
                        _ => {}
                    }
                }
            }
        }
    }
    blocks
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
fn host_block(patterns: &[String], place: &Place, blocks: &mut Vec<Block>, notes: &mut Notes) -> Option<usize> {
    let is_pattern = |name: &&String| name.contains(['*', '?']) || name.starts_with('!');
    let (patterns, names): (Vec<&String>, Vec<&String>) = patterns.iter().partition(is_pattern);
    if !patterns.is_empty() {
        let what = format!("patterns of hosts: {}", listed(patterns.iter().map(|name| name.as_str())));
        notes.note(place, what, "what is said of them still holds, since ssh reads it; they name no host to push to");
    }
    let first = names.first()?;
    let known = blocks.iter().position(|block| block.aliases.contains(first));
    Some(known.unwrap_or_else(|| {
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
        let blocks = blocks(file, text, &mut notes);
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
