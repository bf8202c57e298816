//! From the tree to the file's shape: what a rule for one value does not say, and what keys have to do with each other.
//! Collects all mistakes; never stops.

pub(super) mod checks;
pub(super) mod hooks;

use std::collections::BTreeMap;

use super::super::fields::{At, FieldValue, Fields, Heap};
use super::super::model::{Become, LoaderKind, Size, Substitute, UnitPattern};
use super::super::scalar;
use super::super::words::nearest;
use super::super::wrong::Wrong;
use super::super::yaml::Node;
use super::table::Keys as _;
use super::{
    BootLoaderEntry, CacheEntry, DnsEntry, EvaluateEntry, File, FleetEntry, FleetSettings, HooksEntry, HostEntry,
    HttpEntry, HubEntry, LimitsEntry, NixEntry, SystemEntries, UnitsEntry, WireguardEntry,
};

/// Reads the tree. What could not be read is missing in the result, and a mistake on the heap says so.
pub(in crate::inventory) fn file(root: &Node, heap: &Heap) -> File {
    let root = FieldValue::root(root, heap);
    if root.is_null() {
        root.wrong(Wrong::EmptyInventory);
        return File::default();
    }
    let Some(mut fields) = root.fields() else { return File::default() };
    let file = File::read(&mut fields);
    for (section, _) in SECTIONS {
        match fields.take(section) {
            None => fields.wrong(Wrong::SectionMissing { section }),
            Some(value) if value.entries(section.trim_end_matches('s')).is_some_and(|entries| entries.is_empty()) => {
                value.wrong(Wrong::EmptySection { section });
            }
            Some(_) => {}
        }
    }
    fields.finish(elsewhere);
    file
}

/// What every inventory has, each with an example.
pub(in crate::inventory) const SECTIONS: [(&str, &str); 2] =
    [("hosts", "hosts: {vps: {address: vps.example.org}}"), ("fleets", "fleets: {homelab: {flake: ., hosts: all}}")];

/// The maps in which a key is looked for that stands elsewhere. Of a key that is in several, the first is meant.
const PLACES: [(&str, &[&str]); 15] = [
    (File::PLACE, File::KEYS),
    (FleetSettings::PLACE, FleetSettings::KEYS),
    (FleetEntry::PLACE, FleetEntry::KEYS),
    (HostEntry::PLACE, HostEntry::KEYS),
    (HooksEntry::PLACE, HooksEntry::KEYS),
    (CacheEntry::PLACE, CacheEntry::KEYS),
    (NixEntry::PLACE, NixEntry::KEYS),
    (EvaluateEntry::PLACE, EvaluateEntry::KEYS),
    (BootLoaderEntry::PLACE, BootLoaderEntry::KEYS),
    (UnitsEntry::PLACE, UnitsEntry::KEYS),
    (WireguardEntry::PLACE, WireguardEntry::KEYS),
    (HttpEntry::PLACE, HttpEntry::KEYS),
    (DnsEntry::PLACE, DnsEntry::KEYS),
    (HubEntry::PLACE, HubEntry::KEYS),
    (LimitsEntry::PLACE, LimitsEntry::KEYS),
];

/// Where a key belongs that is often looked for in the wrong place.
pub(super) fn elsewhere(key: &str) -> Option<&'static str> {
    // `check` is rather a slip for `checks` than that of `limits`.
    PLACES.iter().find(|(_, keys)| keys.contains(&key) && key != "check").map(|(place, _)| *place)
}

/// A map from names of the person's own to entries. An entry with a bad name is left out.
pub(super) fn by_name<K, V>(
    value: &FieldValue<'_>,
    thing: &str,
    name: impl Fn(&str) -> Result<K, Wrong>,
    read: impl Fn(&FieldValue<'_>) -> Option<V>,
) -> Option<Vec<(At<K>, V)>> {
    let mut entries = Vec::new();
    for (key, value) in value.entries(thing)? {
        let named = name(key.value).map_err(|wrong| value.wrong_at(&key.way, wrong)).ok();
        let entry = read(&value);
        if let (Some(name), Some(entry)) = (named, entry) {
            entries.push((At { value: name, way: key.way }, entry));
        }
    }
    Some(entries)
}

pub(super) fn unit_patterns(value: &FieldValue<'_>) -> Option<Vec<At<UnitPattern>>> {
    Some(value.list()?.iter().filter_map(|one| one.parse(scalar::unit_pattern)).collect())
}

pub(super) fn boot_loader(value: &FieldValue<'_>) -> Option<BootLoaderEntry> {
    if let Some(word) = value.as_text() {
        let kind = LoaderKind::ALL.map(LoaderKind::word).into_iter();
        let kind = kind.clone().find(|kind| *kind == word).or_else(|| nearest(word, kind));
        value.wrong(Wrong::BootLoaderNotAMap { kind });
        return None;
    }
    let mut fields = value.fields()?;
    let entry = BootLoaderEntry::read(&mut fields);
    match (fields.take("kind"), fields.take("esp")) {
        (None, None) => value.wrong(Wrong::EmptyBootLoader),
        (_, Some(esp)) if entry.kind.as_ref().is_some_and(|kind| kind.value == LoaderKind::Init) => {
            esp.wrong(Wrong::EspBesideInit);
        }
        _ => {}
    }
    fields.finish(elsewhere);
    Some(entry)
}

/// `vps:` with nothing behind it is a host without settings of its own.
pub(super) fn host(value: &FieldValue<'_>) -> HostEntry {
    if value.is_null() {
        return HostEntry::default();
    }
    // A host that cannot be read still exists: what names it is not wrong as well.
    let Some(mut fields) = value.fields() else { return HostEntry::default() };
    let host = HostEntry::read(&mut fields);
    if let (Some(_), Some(several)) = (fields.take("address"), fields.take("addresses")) {
        several.wrong(Wrong::AddressAndAddresses);
    }
    fields.finish(elsewhere);
    host
}

/// The places where one host is looked for, each once.
pub(super) fn addresses(value: &FieldValue<'_>) -> Option<Vec<At<String>>> {
    let items = value.list()?;
    if items.is_empty() {
        value.wrong(Wrong::EmptyList { wanted: "an address" });
    }
    let mut addresses: Vec<At<String>> = Vec::new();
    for address in items.iter().filter_map(|item| item.parse(scalar::address)) {
        if addresses.iter().any(|known| known.value == address.value) {
            value.wrong_at(&address.way, Wrong::DuplicateAddress { address: address.value.clone() });
        }
        addresses.push(address);
    }
    Some(addresses)
}

pub(super) fn tags(value: &FieldValue<'_>) -> Option<Vec<At<String>>> {
    let tag = |text: &str| match text.strip_prefix('@') {
        Some(name) => Err(Wrong::TagWithAt { name: name.to_owned() }),
        None if text == scalar::RESERVED_TAG => Err(Wrong::ReservedTag { text: text.to_owned() }),
        None => scalar::name(text),
    };
    Some(value.list()?.iter().filter_map(|value| value.parse(tag)).collect())
}

pub(super) fn fleet(value: &FieldValue<'_>) -> Option<FleetEntry> {
    let mut fields = value.fields()?;
    let fleet = FleetEntry::read(&mut fields);
    ensure_one_source(&mut fields);
    match fields.take("hosts") {
        None => fields.wrong(Wrong::FleetWithoutHosts),
        Some(value) if fleet.hosts.as_ref().is_some_and(Vec::is_empty) => {
            value.wrong(Wrong::EmptyFleet);
        }
        Some(_) => {}
    }
    fields.finish(elsewhere);
    Some(fleet)
}

/// Exactly one of `flake`, `file` and `system`; `attr` only beside the first two.
fn ensure_one_source(fields: &mut Fields<'_>) {
    let named: Vec<_> =
        ["flake", "file", "system"].into_iter().filter_map(|key| Some((key, fields.take(key)?))).collect();
    match named.as_slice() {
        [] => fields.wrong(Wrong::FleetWithoutSource),
        [(key, _)] => {
            if let (&"system", Some(attr)) = (key, fields.take("attr")) {
                attr.wrong(Wrong::AttrBesideSystem);
            }
        }
        [(first, _), rest @ ..] => {
            for (key, value) in rest {
                value.wrong(Wrong::SeveralSources { key, first });
            }
        }
    }
}

pub(super) fn systems(value: &FieldValue<'_>) -> Option<At<SystemEntries>> {
    if !value.is_map() {
        value.wrong(Wrong::SystemNotAMap);
        return None;
    }
    Some(value.at(by_name(value, "host", scalar::name, |value| value.parse(scalar::system))?))
}

/// Flake references by the names of the inputs that they replace.
pub(super) fn override_inputs(value: &FieldValue<'_>) -> Option<At<BTreeMap<String, String>>> {
    texts_by_name(value, "input", scalar::input, scalar::flake)
}

/// Settings of Nix by name.
pub(super) fn nix_options(value: &FieldValue<'_>) -> Option<At<BTreeMap<String, String>>> {
    texts_by_name(value, "setting of Nix", scalar::nix_setting, scalar::nix_value)
}

fn texts_by_name(
    value: &FieldValue<'_>,
    thing: &str,
    name: fn(&str) -> Result<String, Wrong>,
    rule: fn(&str) -> Result<String, Wrong>,
) -> Option<At<BTreeMap<String, String>>> {
    let texts = by_name(value, thing, name, |value| value.parse(rule))?;
    Some(value.at(texts.into_iter().map(|(name, text)| (name.value, text.value)).collect()))
}

pub(super) fn texts(value: &FieldValue<'_>) -> Option<Vec<At<String>>> {
    let as_it_stands = |text: &str| Ok(text.to_owned());
    Some(value.one_or_many()?.iter().filter_map(|value| value.parse(as_it_stands)).collect())
}

pub(super) fn some_texts(value: &FieldValue<'_>) -> Option<Vec<At<String>>> {
    ensure_not_empty(value)?;
    texts(value)
}

pub(super) fn becoming(value: &FieldValue<'_>) -> Option<At<Become>> {
    if !value.is_list() {
        return value.parse(scalar::becoming);
    }
    let items = value.list()?;
    let Some((program, arguments)) = items.split_first() else {
        value.wrong(Wrong::EmptyCommand { is_list: true });
        return None;
    };
    let program = program.parse(scalar::words)?;
    let arguments: Option<Vec<_>> =
        arguments.iter().map(|value| value.parse(scalar::argument).map(|at| at.value)).collect();
    Some(value.at(Become::Words([vec![program.value], arguments?].concat())))
}

pub(super) fn substitute(value: &FieldValue<'_>) -> Option<At<Substitute>> {
    if value.as_text() == Some("auto") {
        return Some(value.at(Substitute::Auto));
    }
    let always = value.boolean()?;
    Some(value.at(if always.value { Substitute::Always } else { Substitute::Never }))
}

pub(super) fn cache(value: &FieldValue<'_>) -> Option<CacheEntry> {
    let mut fields = value.fields()?;
    let entry = CacheEntry::read(&mut fields);
    match (fields.take("to"), fields.take("command")) {
        (None, None) => fields.wrong(Wrong::CacheWithoutTo),
        (Some(_), Some(command)) => command.wrong(Wrong::CommandBesideTo),
        (Some(_), None) | (None, Some(_)) => {}
    }
    fields.finish(elsewhere);
    Some(entry)
}

pub(super) fn waves(value: &FieldValue<'_>) -> Option<Vec<Size>> {
    ensure_not_empty(value)?;
    if value.is_list() {
        Some(value.list()?.iter().filter_map(FieldValue::sizes).flatten().collect())
    } else {
        value.sizes()
    }
}

fn ensure_not_empty(value: &FieldValue<'_>) -> Option<()> {
    if value.is_list() && value.list()?.is_empty() {
        value.wrong(Wrong::EmptyList { wanted: "something" });
        return None;
    }
    Some(())
}
