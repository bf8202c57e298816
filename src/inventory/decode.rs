//! From the tree to the file's shape: every key is read here and nowhere else. Collects all mistakes; never stops.

use super::fields::{At, Fields, Heap, Value};
use super::file::{
    AfterEntry, CheckEntry, DnsEntry, File, FleetEntry, HostEntry, HttpEntry, LimitsEntry, Settings, Systems, VpnEntry,
    WireguardEntry,
};
use super::model::Command;
use super::problem::{Wrong, listed, nearest, shown};
use super::scalar;
use super::yaml::Node;

/// The kinds of checks; a check has exactly one.
pub(super) const KINDS: [&str; 7] = ["vpn", "ping", "tcp", "http", "dns", "wireguard", "command"];

/// Reads the tree. What could not be read is missing in the result, and a mistake on the heap says so.
pub(super) fn file(root: &Node, heap: &Heap) -> File {
    let root = Value::root(root, heap);
    if root.is_null() {
        root.wrong(
            Wrong::new("the inventory is empty")
                .mend("it has `hosts:` and `fleets:`; inventory.example.yaml shows all it can say"),
        );
        return File::default();
    }
    let Some(mut fields) = root.fields() else { return File::default() };
    let file = File {
        defaults: fields.take("defaults").and_then(|value| just_settings(&value)),
        groups: fields.take("groups").and_then(|value| by_name(&value, "group", scalar::name, just_settings)),
        hosts: fields
            .take("hosts")
            .and_then(|value| by_name(&value, "host", scalar::host_name, |value| Some(host(value)))),
        fleets: fields.take("fleets").and_then(|value| by_name(&value, "fleet", scalar::name, fleet)),
    };
    for (key, what) in [("hosts", "host"), ("fleets", "fleet")] {
        match fields.take(key) {
            None => fields.wrong(Wrong::new(format!("the inventory has no `{key}`")).mend(example(key))),
            Some(value) if value.entries(what).is_some_and(|entries| entries.is_empty()) => {
                value.wrong(Wrong::new(format!("there is no {what} in `{key}`")).mend(example(key)));
            }
            Some(_) => {}
        }
    }
    fields.finish(elsewhere);
    file
}

fn example(key: &str) -> &'static str {
    match key {
        "hosts" => "name at least one: `hosts: {vps: {address: vps.example.org}}`",
        _ => "name at least one: `fleets: {homelab: {flake: ., hosts: all}}`",
    }
}

/// Where a key belongs that is often looked for in the wrong place.
fn elsewhere(key: &str) -> Option<&'static str> {
    Some(match key {
        "settle" | "build_limit" | "checks" | "flake" | "file" | "attr" => "a fleet",
        "address" | "addresses" | "tags" | "after" => "a host",
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
    value: &Value<'_>,
    thing: &str,
    name: impl Fn(&str) -> Result<K, Wrong>,
    read: impl Fn(&Value<'_>) -> Option<V>,
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

fn just_settings(value: &Value<'_>) -> Option<Settings> {
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
        runs_on: fields.parse("runs_on", scalar::host_name),
        optional: fields.boolean("optional"),
        reactivate: fields.boolean("reactivate"),
        limits: fields.take("limits").and_then(|value| limits(&value)),
    }
}

fn limits(value: &Value<'_>) -> Option<LimitsEntry> {
    let mut fields = value.fields()?;
    let limits = LimitsEntry {
        connect: fields.duration("connect"),
        step: fields.duration("step"),
        copy: fields.duration("copy"),
        test: fields.duration("test"),
        switch: fields.duration("switch"),
        rollback: fields.duration("rollback"),
    };
    fields.finish(elsewhere);
    Some(limits)
}

/// `vps:` with nothing behind it is a host without settings of its own.
fn host(value: &Value<'_>) -> HostEntry {
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
        several.wrong(Wrong::new("this host has `addresses` beside `address`").mend("keep one of the two"));
    }
    fields.finish(elsewhere);
    host
}

/// The places where one host is looked for, each once.
fn addresses(value: &Value<'_>) -> Option<Vec<At<String>>> {
    let items = value.list()?;
    if items.is_empty() {
        value.wrong(Wrong::new("this list is empty").mend("name an address, or take the key out"));
    }
    let mut addresses: Vec<At<String>> = Vec::new();
    for address in items.iter().filter_map(|item| item.parse(scalar::address)) {
        if addresses.iter().any(|known| known.value == address.value) {
            let wrong = Wrong::new(format!("the address `{}` is here twice", address.value));
            value.wrong_at(&address.way, wrong.mend("keep one of the two"));
        }
        addresses.push(address);
    }
    Some(addresses)
}

fn tags(value: &Value<'_>) -> Option<Vec<At<String>>> {
    let tag = |text: &str| match text.strip_prefix('@') {
        Some(name) => Err(Wrong::new("a tag is named without `@` here").mend(format!("write `{name}`"))),
        None => scalar::name(text),
    };
    Some(value.list()?.iter().filter_map(|value| value.parse(tag)).collect())
}

fn after(value: &Value<'_>) -> Option<AfterEntry> {
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

fn fleet(value: &Value<'_>) -> Option<FleetEntry> {
    let mut fields = value.fields()?;
    let fleet = FleetEntry {
        hosts: fields.take("hosts").and_then(|value| texts(&value)),
        flake: fields.parse("flake", scalar::flake),
        file: fields.parse("file", scalar::file),
        system: fields.take("system").and_then(|value| systems(&value)),
        attr: fields.parse("attr", scalar::attr),
        checks: fields.take("checks").and_then(|value| checks(&value)),
        settle: fields.duration("settle"),
        build_limit: fields.duration("build_limit"),
        settings: settings(&mut fields),
    };
    ensure_one_source(&mut fields);
    match fields.take("hosts") {
        None => fields.wrong(
            Wrong::new("this fleet has no `hosts`").mend("name them: `hosts: [vps, homeserver]`, or `hosts: all`"),
        ),
        Some(value) if fleet.hosts.as_ref().is_some_and(Vec::is_empty) => {
            value.wrong(
                Wrong::new("this fleet is empty").mend("name its hosts: `hosts: [vps, homeserver]`, or `hosts: all`"),
            );
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
        [] => fields.wrong(
            Wrong::new("this fleet does not say where its systems come from")
                .mend("add `flake: .`, or `file: ./hosts.nix`, or a store path for each host as `system`"),
        ),
        [(key, _)] => {
            if let (&"system", Some(attr)) = (key, fields.take("attr")) {
                attr.wrong(Wrong::new("`attr` means nothing beside `system`").mend("take it out"));
            }
        }
        [(first, _), rest @ ..] => {
            for (key, value) in rest {
                value.wrong(
                    Wrong::new(format!("this fleet has `{key}` beside `{first}`: systems come from one place"))
                        .mend("keep one of `flake`, `file` and `system`"),
                );
            }
        }
    }
}

fn systems(value: &Value<'_>) -> Option<At<Systems>> {
    if !value.is_map() {
        value.wrong(
            Wrong::new("`system` names a store path for each host")
                .mend("write a map: `system: {vps: /nix/store/HASH-nixos-system-vps-VERSION}`"),
        );
        return None;
    }
    Some(value.at(by_name(value, "host", scalar::name, |value| value.parse(scalar::system))?))
}

fn texts(value: &Value<'_>) -> Option<Vec<At<String>>> {
    let as_it_stands = |text: &str| Ok(text.to_owned());
    Some(value.one_or_many()?.iter().filter_map(|value| value.parse(as_it_stands)).collect())
}

fn some_texts(value: &Value<'_>) -> Option<Vec<At<String>>> {
    if value.is_list() && value.list()?.is_empty() {
        value.wrong(Wrong::new("this list is empty").mend("name something, or take the key out"));
        return None;
    }
    texts(value)
}

fn checks(value: &Value<'_>) -> Option<Vec<At<CheckEntry>>> {
    Some(value.list()?.iter().filter_map(|value| Some(value.at(check(value)?))).collect())
}

fn check(value: &Value<'_>) -> Option<CheckEntry> {
    let mut fields = value.fields()?;
    let check = CheckEntry {
        name: fields.parse("name", scalar::check_name),
        from: fields.take("from").and_then(|value| some_texts(&value)),
        to: fields.take("to").and_then(|value| some_texts(&value)),
        required: fields.boolean("required"),
        timeout: fields.duration("timeout"),
        vpn: fields.take("vpn").and_then(|value| vpn(&value)),
        ping: fields.take("ping").and_then(|value| peers(&value)),
        tcp: fields.take("tcp").and_then(|value| tcp(&value)),
        http: fields.take("http").and_then(|value| http(&value)),
        dns: fields.take("dns").and_then(|value| dns(&value)),
        wireguard: fields.take("wireguard").and_then(|value| wireguard(&value)),
        command: fields.take("command").and_then(|value| command(&value)),
    };
    let kinds: Vec<_> = KINDS.into_iter().filter_map(|kind| Some((kind, fields.take(kind)?))).collect();
    match kinds.as_slice() {
        [] => fields.wrong(
            Wrong::new("this check does not say what it looks at")
                .mend(format!("add exactly one of {}", listed(KINDS))),
        ),
        [_] => {}
        [(first, _), rest @ ..] => {
            for (kind, value) in rest {
                value.wrong(
                    Wrong::new(format!("this check has `{kind}` beside `{first}`: a check looks at one thing"))
                        .mend("make two checks of it"),
                );
            }
        }
    }
    fields.finish(elsewhere);
    Some(check)
}

fn vpn(value: &Value<'_>) -> Option<At<VpnEntry>> {
    if !value.is_map() {
        let mesh = |text: &str| match text {
            "mesh" => Ok(VpnEntry::Mesh),
            _ => Err(Wrong::new(format!("`{}` is not a shape of a VPN", shown(text)))
                .did_you_mean(nearest(text, ["mesh"]), || "write `vpn: mesh`, or `vpn: {hub: HOST}`".into())),
        };
        return value.parse(mesh);
    }
    let mut fields = value.fields()?;
    let hub = fields.parse("hub", scalar::host_name);
    if hub.is_none() && fields.take("hub").is_none() {
        fields.wrong(Wrong::new("the hub is not named").mend("write `vpn: {hub: HOST}`"));
    }
    fields.finish(elsewhere);
    Some(value.at(VpnEntry::Hub(hub?)))
}

/// Hosts or addresses right behind the kind; nothing if they stand in `to`.
fn peers(value: &Value<'_>) -> Option<At<Vec<At<String>>>> {
    if value.is_null() { Some(value.at(Vec::new())) } else { Some(value.at(texts(value)?)) }
}

fn tcp(value: &Value<'_>) -> Option<At<u16>> {
    if let Some((host, port)) = value.as_text().and_then(|text| text.rsplit_once(':')) {
        let wrong = Wrong::new("`tcp` is a port alone").mend(format!("write `tcp: {port}`, and `to: {host}` below it"));
        value.wrong(wrong);
        return None;
    }
    value.number(scalar::port)
}

fn http(value: &Value<'_>) -> Option<At<HttpEntry>> {
    if !value.is_map() {
        let url = value.parse(scalar::url)?;
        return Some(value.at(HttpEntry { url: Some(url), ..HttpEntry::default() }));
    }
    let mut fields = value.fields()?;
    let http = HttpEntry {
        url: fields.parse("url", scalar::url),
        status: fields.number("status", scalar::status),
        body: fields.parse("body", scalar::piece),
    };
    if fields.take("url").is_none() {
        fields.wrong(Wrong::new("the address is missing").mend("add `url: http://...`"));
    }
    fields.finish(elsewhere);
    Some(value.at(http))
}

fn dns(value: &Value<'_>) -> Option<At<DnsEntry>> {
    if !value.is_map() {
        let query = value.parse(scalar::address)?;
        return Some(value.at(DnsEntry { query: Some(query), ..DnsEntry::default() }));
    }
    let mut fields = value.fields()?;
    let dns =
        DnsEntry { query: fields.parse("query", scalar::address), server: fields.parse("server", scalar::address) };
    if fields.take("query").is_none() {
        fields.wrong(Wrong::new("the name to resolve is missing").mend("add `query: NAME`"));
    }
    fields.finish(elsewhere);
    Some(value.at(dns))
}

fn wireguard(value: &Value<'_>) -> Option<At<WireguardEntry>> {
    if !value.is_map() {
        let peers = peers(value)?.value;
        return Some(value.at(WireguardEntry { peers, handshake: None }));
    }
    let mut fields = value.fields()?;
    let handshake = fields.duration("handshake");
    fields.finish(|key| if key == "to" { Some("the check itself, beside `wireguard`") } else { elsewhere(key) });
    Some(value.at(WireguardEntry { peers: Vec::new(), handshake }))
}

fn command(value: &Value<'_>) -> Option<At<Command>> {
    let not_empty = |text: &str| match text {
        _ if text.trim().is_empty() => Err(Wrong::new("this command is empty")),
        _ if text.contains('\0') => Err(Wrong::new("a command cannot have a NUL in it")),
        _ => Ok(text.to_owned()),
    };
    if !value.is_list() {
        return value.parse(not_empty).map(|text| At { value: Command::Shell(text.value), way: text.way });
    }
    let items = value.list()?;
    let Some((program, arguments)) = items.split_first() else {
        value.wrong(
            Wrong::new("this command is empty")
                .mend("write the program and its arguments: `[systemctl, is-active, nginx]`"),
        );
        return None;
    };
    let any = |text: &str| if text.contains('\0') { not_empty("\0") } else { Ok(text.to_owned()) };
    let program = program.parse(not_empty)?;
    let arguments: Option<Vec<_>> = arguments.iter().map(|value| value.parse(any).map(|at| at.value)).collect();
    Some(value.at(Command::Argv([vec![program.value], arguments?].concat())))
}
