//! What arguments of ssh say of the way to a host, and which of its hops are hosts themselves.

use super::draft::{DraftHost, DraftSetting};
use super::note::{ImportNotes, SourcePlace};
use super::ssh_args::{Hop, SshArgs};
use super::{OTHER_KEY, accepted};
use crate::inventory::words::{listed, shown};

/// The hops to a host, the nearest to us first, and where they are said: which of them are hosts of the inventory is
/// only known when all hosts are.
pub(super) type JumpWay = Option<(Vec<Hop>, SourcePlace)>;

/// Takes over what the arguments say and nothing has said yet, and lists the rest.
pub(super) fn take_arguments(
    host: &mut DraftHost,
    words: &[String],
    place: &SourcePlace,
    notes: &mut ImportNotes,
) -> JumpWay {
    let read = SshArgs::read(words);
    for (key, value) in
        [(DraftSetting::Port, read.port), (DraftSetting::Identity, read.identity), (DraftSetting::User, read.user)]
    {
        match (host.settings.get(&key), value) {
            (Some(known), Some(value)) if key == DraftSetting::Identity && *known != value => {
                notes.note(place, format!("another key: `{}`", shown(&value)), OTHER_KEY);
            }
            (None, Some(value)) => {
                host.settings.extend(accepted(key, &value, place, notes).map(|value| (key, value)));
            }
            _ => {}
        }
    }
    if read.accepts_new_keys {
        host.settings.insert(DraftSetting::HostKey, "accept-new".to_owned());
    }
    for left in read.left {
        notes.note(place, format!("an argument of ssh: `{}`", shown(&left.argument)), left.mend);
    }
    (!read.jump.is_empty()).then(|| (read.jump, place.clone()))
}

/// A hop that is a node becomes that host; any other stays a destination.
pub(super) fn jumps(hosts: &mut [DraftHost], ways: Vec<JumpWay>, notes: &mut ImportNotes) {
    let known: Vec<(String, Option<String>)> =
        hosts.iter().map(|host| (host.name.to_string(), host.address.clone())).collect();
    for (host, way) in hosts.iter_mut().zip(ways) {
        let Some((way, at)) = way else { continue };
        if way.len() > 1 {
            let hops: Vec<String> = way.iter().map(Hop::destination).collect();
            let what = format!("a way with several jumps: {}", listed(hops.iter().map(String::as_str)));
            notes.note(&at, what, "name the last one as `jump`, and give it a `jump` of its own");
            continue;
        }
        let Some(hop) = way.first() else { continue };
        let node = known.iter().find(|(name, address)| *name == hop.host || address.as_ref() == Some(&hop.host));
        let through = match node {
            Some((name, _)) if hop.user.is_none() && hop.port.is_none() && *name != host.name.as_str() => name.clone(),
            _ => hop.destination(),
        };
        host.settings.extend(accepted(DraftSetting::Jump, &through, &at, notes).map(|jump| (DraftSetting::Jump, jump)));
    }
}
