//! The checks of a fleet, and commands as they stand in them.

use super::super::fields::{At, FieldValue};
use super::super::file::{CheckEntry, DnsEntry, HttpEntry, VpnEntry, WireguardEntry};
use super::super::model::HookCommand;
use super::super::problem::nearest;
use super::super::scalar;
use super::super::shapes::KINDS;
use super::super::wrong::Wrong;
use super::{elsewhere, some_texts, texts};

pub(super) fn checks(value: &FieldValue<'_>) -> Option<Vec<At<CheckEntry>>> {
    Some(value.list()?.iter().filter_map(|value| Some(value.at(check(value)?))).collect())
}

fn check(value: &FieldValue<'_>) -> Option<CheckEntry> {
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
        [] => fields.wrong(Wrong::CheckWithoutKind { kinds: &KINDS }),
        [_] => {}
        [(first, _), rest @ ..] => {
            for (kind, value) in rest {
                value.wrong(Wrong::CheckOfSeveralKinds { kind, first });
            }
        }
    }
    fields.finish(elsewhere);
    Some(check)
}

fn vpn(value: &FieldValue<'_>) -> Option<At<VpnEntry>> {
    if !value.is_map() {
        let mesh = |text: &str| match text {
            "mesh" => Ok(VpnEntry::Mesh),
            _ => {
                let near = nearest(text, ["mesh"]).map(str::to_owned);
                Err(Wrong::NotAVpnShape { text: text.to_owned(), near })
            }
        };
        return value.parse(mesh);
    }
    let mut fields = value.fields()?;
    let hub = fields.parse("hub", scalar::host_name);
    if hub.is_none() && fields.take("hub").is_none() {
        fields.wrong(Wrong::HubMissing);
    }
    fields.finish(elsewhere);
    Some(value.at(VpnEntry::Hub(hub?)))
}

/// Hosts or addresses right behind the kind; nothing if they stand in `to`.
fn peers(value: &FieldValue<'_>) -> Option<At<Vec<At<String>>>> {
    if value.is_null() { Some(value.at(Vec::new())) } else { Some(value.at(texts(value)?)) }
}

fn tcp(value: &FieldValue<'_>) -> Option<At<u16>> {
    if let Some((host, port)) = value.as_text().and_then(|text| text.rsplit_once(':')) {
        value.wrong(Wrong::HostBesidePort { host: host.to_owned(), port: port.to_owned() });
        return None;
    }
    value.number(scalar::port)
}

fn http(value: &FieldValue<'_>) -> Option<At<HttpEntry>> {
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
        fields.wrong(Wrong::UrlMissing);
    }
    fields.finish(elsewhere);
    Some(value.at(http))
}

fn dns(value: &FieldValue<'_>) -> Option<At<DnsEntry>> {
    if !value.is_map() {
        let query = value.parse(scalar::address)?;
        return Some(value.at(DnsEntry { query: Some(query), ..DnsEntry::default() }));
    }
    let mut fields = value.fields()?;
    let dns =
        DnsEntry { query: fields.parse("query", scalar::address), server: fields.parse("server", scalar::address) };
    if fields.take("query").is_none() {
        fields.wrong(Wrong::QueryMissing);
    }
    fields.finish(elsewhere);
    Some(value.at(dns))
}

fn wireguard(value: &FieldValue<'_>) -> Option<At<WireguardEntry>> {
    if !value.is_map() {
        let peers = peers(value)?.value;
        return Some(value.at(WireguardEntry { peers, handshake: None }));
    }
    let mut fields = value.fields()?;
    let handshake = fields.duration("handshake");
    fields.finish(|key| if key == "to" { Some("the check itself, beside `wireguard`") } else { elsewhere(key) });
    Some(value.at(WireguardEntry { peers: Vec::new(), handshake }))
}

pub(super) fn command(value: &FieldValue<'_>) -> Option<At<HookCommand>> {
    let not_empty = |text: &str| match text {
        _ if text.trim().is_empty() => Err(Wrong::EmptyCommand { is_list: false }),
        _ if text.contains('\0') => Err(Wrong::NulInCommand),
        _ => Ok(text.to_owned()),
    };
    if !value.is_list() {
        return value.parse(not_empty).map(|text| At { value: HookCommand::Shell(text.value), way: text.way });
    }
    let items = value.list()?;
    let Some((program, arguments)) = items.split_first() else {
        value.wrong(Wrong::EmptyCommand { is_list: true });
        return None;
    };
    let any = |text: &str| if text.contains('\0') { not_empty("\0") } else { Ok(text.to_owned()) };
    let program = program.parse(not_empty)?;
    let arguments: Option<Vec<_>> = arguments.iter().map(|value| value.parse(any).map(|at| at.value)).collect();
    Some(value.at(HookCommand::Argv([vec![program.value], arguments?].concat())))
}
