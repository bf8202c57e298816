//! From the tree to the file's shape: every key is read here and below, and nowhere else. Collects all mistakes; never
//! stops.

mod checks;
mod hooks;

use super::fields::{At, FieldValue, Fields, Heap};
use super::file::{
    AfterEntry, BootLoaderEntry, Defaults, File, FleetEntry, HostEntry, LimitsEntry, NixEntry, Settings, SystemEntries,
    UnitsEntry,
};
use super::model::{LoaderKind, Size};
use super::problem::nearest;
use super::scalar;
use super::wrong::Wrong;
use super::yaml::Node;
use checks::checks;
use hooks::hooks;

/// Reads the tree. What could not be read is missing in the result, and a mistake on the heap says so.
pub(super) fn file(root: &Node, heap: &Heap) -> File {
    let root = FieldValue::root(root, heap);
    if root.is_null() {
        root.wrong(Wrong::EmptyInventory);
        return File::default();
    }
    let Some(mut fields) = root.fields() else { return File::default() };
    let file = File {
        defaults: fields.take("defaults").and_then(|value| defaults(&value)),
        groups: fields.take("groups").and_then(|value| by_name(&value, "group", scalar::name, just_settings)),
        hosts: fields
            .take("hosts")
            .and_then(|value| by_name(&value, "host", scalar::host_name, |value| Some(host(value)))),
        fleets: fields.take("fleets").and_then(|value| by_name(&value, "fleet", scalar::name, fleet)),
    };
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
pub(super) const SECTIONS: [(&str, &str); 2] =
    [("hosts", "hosts: {vps: {address: vps.example.org}}"), ("fleets", "fleets: {homelab: {flake: ., hosts: all}}")];

/// Where a key belongs that is often looked for in the wrong place.
fn elsewhere(key: &str) -> Option<&'static str> {
    Some(match key {
        "hooks" | "steady" => "a fleet, or `defaults`",
        "before" | "after_commit" | "after_abort" => "the map behind `hooks`",
        "settle" | "build_limit" | "canary" | "waves" | "checks" | "flake" | "file" | "attr" => "a fleet",
        "address" | "addresses" | "tags" | "after" => "a host",
        "substitute_on_destination" | "compress" => "the map behind `nix`",
        "kind" | "esp" => "the map behind `boot_loader`",
        "ignore" => "the map behind `units`",
        "handshake" => "the map behind `wireguard`",
        "status" | "body" | "url" => "the map behind `http`",
        "query" | "server" => "the map behind `dns`",
        "hub" => "the map behind `vpn`",
        "connect" | "step" | "copy" | "test" | "switch" | "rollback" => "the map behind `limits`",
        "hosts" | "fleets" | "defaults" | "groups" => "the top of the file",
        _ => return None,
    })
}

/// A map from names of the person's own to entries. An entry with a bad name is left out.
fn by_name<K, V>(
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

fn defaults(value: &FieldValue<'_>) -> Option<Defaults> {
    let mut fields = value.fields()?;
    let defaults = Defaults {
        hooks: fields.take("hooks").and_then(|value| hooks(&value)),
        steady: fields.duration_or_none("steady"),
        settings: settings(&mut fields),
    };
    fields.finish(elsewhere);
    Some(defaults)
}

fn just_settings(value: &FieldValue<'_>) -> Option<Settings> {
    let mut fields = value.fields()?;
    let settings = settings(&mut fields);
    fields.finish(elsewhere);
    Some(settings)
}

fn settings(fields: &mut Fields<'_>) -> Settings {
    Settings {
        user: fields.parse("user", scalar::user),
        port: fields.number("port", scalar::port),
        identity: fields.parse("identity", scalar::identity),
        jump: fields.parse("jump", scalar::jump),
        r#become: fields.parse("become", scalar::becoming),
        host_key: fields.parse("host_key", scalar::host_key),
        boot_time: fields.duration("boot_time"),
        guard: fields.duration("guard"),
        guard_action: fields.parse("guard_action", scalar::guard_action),
        boot_loader: fields.take("boot_loader").and_then(|value| boot_loader(&value)),
        runs_on: fields.parse("runs_on", scalar::host_name),
        optional: fields.boolean("optional"),
        reactivate: fields.boolean("reactivate"),
        nix: fields.take("nix").and_then(|value| nix(&value)),
        limits: fields.take("limits").and_then(|value| limits(&value)),
        units: fields.take("units").and_then(|value| units(&value)),
    }
}

fn units(value: &FieldValue<'_>) -> Option<UnitsEntry> {
    let mut fields = value.fields()?;
    let ignore = fields.take("ignore").and_then(|value| value.list());
    let patterns = ignore.map(|all| all.iter().filter_map(|one| one.parse(scalar::unit_pattern)).collect());
    fields.finish(elsewhere);
    Some(UnitsEntry { ignore: patterns })
}

fn boot_loader(value: &FieldValue<'_>) -> Option<BootLoaderEntry> {
    if let Some(word) = value.as_text() {
        let kind = LoaderKind::ALL.map(LoaderKind::word).into_iter();
        let kind = kind.clone().find(|kind| *kind == word).or_else(|| nearest(word, kind));
        value.wrong(Wrong::BootLoaderNotAMap { kind });
        return None;
    }
    let mut fields = value.fields()?;
    let entry = BootLoaderEntry {
        kind: fields.parse("kind", scalar::loader_kind),
        esp: fields.parse("esp", scalar::mount_point),
    };
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

fn nix(value: &FieldValue<'_>) -> Option<NixEntry> {
    let mut fields = value.fields()?;
    let nix = NixEntry {
        substitute_on_destination: fields.boolean("substitute_on_destination"),
        compress: fields.boolean("compress"),
    };
    fields.finish(elsewhere);
    Some(nix)
}

fn limits(value: &FieldValue<'_>) -> Option<LimitsEntry> {
    let mut fields = value.fields()?;
    let limits = LimitsEntry {
        connect: fields.duration("connect"),
        step: fields.duration("step"),
        copy: fields.duration("copy"),
        check: fields.duration("check"),
        test: fields.duration("test"),
        switch: fields.duration("switch"),
        rollback: fields.duration("rollback"),
    };
    fields.finish(elsewhere);
    Some(limits)
}

/// `vps:` with nothing behind it is a host without settings of its own.
fn host(value: &FieldValue<'_>) -> HostEntry {
    if value.is_null() {
        return HostEntry::default();
    }
    // A host that cannot be read still exists: what names it is not wrong as well.
    let Some(mut fields) = value.fields() else { return HostEntry::default() };
    let host = HostEntry {
        address: fields.parse("address", scalar::address),
        addresses: fields.take("addresses").and_then(|value| addresses(&value)),
        vpn: fields.parse("vpn", scalar::address),
        tags: fields.take("tags").and_then(|value| tags(&value)),
        after: fields.take("after").and_then(|value| after(&value)),
        settings: settings(&mut fields),
    };
    if let (Some(_), Some(several)) = (fields.take("address"), fields.take("addresses")) {
        several.wrong(Wrong::AddressAndAddresses);
    }
    fields.finish(elsewhere);
    host
}

/// The places where one host is looked for, each once.
fn addresses(value: &FieldValue<'_>) -> Option<Vec<At<String>>> {
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

fn tags(value: &FieldValue<'_>) -> Option<Vec<At<String>>> {
    let tag = |text: &str| match text.strip_prefix('@') {
        Some(name) => Err(Wrong::TagWithAt { name: name.to_owned() }),
        None if text == scalar::RESERVED_TAG => Err(Wrong::ReservedTag { text: text.to_owned() }),
        None => scalar::name(text),
    };
    Some(value.list()?.iter().filter_map(|value| value.parse(tag)).collect())
}

fn after(value: &FieldValue<'_>) -> Option<AfterEntry> {
    let mut fields = value.fields()?;
    let after = AfterEntry {
        address: fields.parse("address", scalar::address),
        port: fields.number("port", scalar::port),
        user: fields.parse("user", scalar::user),
        vpn: fields.parse("vpn", scalar::address),
    };
    fields.finish(elsewhere);
    Some(after)
}

fn fleet(value: &FieldValue<'_>) -> Option<FleetEntry> {
    let mut fields = value.fields()?;
    let fleet = FleetEntry {
        hosts: fields.take("hosts").and_then(|value| texts(&value)),
        flake: fields.parse("flake", scalar::flake),
        file: fields.parse("file", scalar::file),
        system: fields.take("system").and_then(|value| systems(&value)),
        attr: fields.parse("attr", scalar::attr),
        checks: fields.take("checks").and_then(|value| checks(&value)),
        hooks: fields.take("hooks").and_then(|value| hooks(&value)),
        canary: fields.take("canary").and_then(|value| some_texts(&value)),
        waves: fields.take("waves").and_then(|value| waves(&value)),
        settle: fields.duration("settle"),
        steady: fields.duration_or_none("steady"),
        build_limit: fields.duration("build_limit"),
        settings: settings(&mut fields),
    };
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

fn systems(value: &FieldValue<'_>) -> Option<At<SystemEntries>> {
    if !value.is_map() {
        value.wrong(Wrong::SystemNotAMap);
        return None;
    }
    Some(value.at(by_name(value, "host", scalar::name, |value| value.parse(scalar::system))?))
}

fn texts(value: &FieldValue<'_>) -> Option<Vec<At<String>>> {
    let as_it_stands = |text: &str| Ok(text.to_owned());
    Some(value.one_or_many()?.iter().filter_map(|value| value.parse(as_it_stands)).collect())
}

fn some_texts(value: &FieldValue<'_>) -> Option<Vec<At<String>>> {
    ensure_not_empty(value)?;
    texts(value)
}

fn waves(value: &FieldValue<'_>) -> Option<Vec<Size>> {
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
