//! Makes hosts out of the blocks: one for each machine, whatever it is called.

use std::collections::BTreeSet;

use super::block::{Proxy, SshConfigBlock, SshConfigHost, is_pattern};
use crate::import::draft::{DraftHost, DraftSetting};
use crate::import::named;
use crate::import::names::Names;
use crate::import::note::{ImportNotes, SourcePlace};
use crate::import::ssh_args::{Hop, proxy_command};
use crate::inventory::words::{listed, shown};

/// Forges: a login as `git` finds no NixOS there.
const FORGE_USER: &str = "git";

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

pub(super) fn hosts(blocks: &[SshConfigBlock], notes: &mut ImportNotes) -> Vec<DraftHost> {
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
