//! The checks of a fleet, and commands as they stand in them.

use super::super::super::fields::{At, FieldValue};
use super::super::super::model::HookCommand;
use super::super::super::scalar;
use super::super::super::shapes::KINDS;
use super::super::super::words::nearest;
use super::super::super::wrong::Wrong;
use super::super::table::Keys as _;
use super::super::{CheckEntry, DnsEntry, HttpEntry, HubEntry, VpnEntry, WireguardEntry, WireguardValue};
use super::{elsewhere, texts};

pub(in crate::inventory) fn checks(value: &FieldValue<'_>) -> Option<Vec<At<CheckEntry>>> {
    Some(value.list()?.iter().filter_map(|value| Some(value.at(check(value)?))).collect())
}

fn check(value: &FieldValue<'_>) -> Option<CheckEntry> {
    let mut fields = value.fields()?;
    let check = CheckEntry::read(&mut fields);
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

pub(in crate::inventory) fn vpn(value: &FieldValue<'_>) -> Option<At<VpnEntry>> {
    if !value.is_map() {
        let mesh = |text: &str| match text {
            "mesh" => Ok(VpnEntry::Mesh),
            "full-mesh" => Ok(VpnEntry::FullMesh),
            _ => {
                let near = nearest(text, ["mesh", "full-mesh"]).map(str::to_owned);
                Err(Wrong::NotAVpnShape { text: text.to_owned(), near })
            }
        };
        return value.parse(mesh);
    }
    let mut fields = value.fields()?;
    let HubEntry { hub } = HubEntry::read(&mut fields);
    if hub.is_none() && fields.take("hub").is_none() {
        fields.wrong(Wrong::HubMissing);
    }
    fields.finish(elsewhere);
    Some(value.at(VpnEntry::Hub(hub?)))
}

/// Hosts or addresses right behind the kind; nothing if they stand in `to`.
pub(in crate::inventory) fn peers(value: &FieldValue<'_>) -> Option<At<Vec<At<String>>>> {
    if value.is_null() { Some(value.at(Vec::new())) } else { Some(value.at(texts(value)?)) }
}

pub(in crate::inventory) fn tcp(value: &FieldValue<'_>) -> Option<At<u16>> {
    if let Some((host, port)) = value.as_text().and_then(|text| text.rsplit_once(':')) {
        value.wrong(Wrong::HostBesidePort { host: host.to_owned(), port: port.to_owned() });
        return None;
    }
    value.number(scalar::port)
}

pub(in crate::inventory) fn http(value: &FieldValue<'_>) -> Option<At<HttpEntry>> {
    if !value.is_map() {
        let url = value.parse(scalar::url)?;
        return Some(value.at(HttpEntry { url: Some(url), ..HttpEntry::default() }));
    }
    let mut fields = value.fields()?;
    let http = HttpEntry::read(&mut fields);
    if fields.take("url").is_none() {
        fields.wrong(Wrong::UrlMissing);
    }
    fields.finish(elsewhere);
    Some(value.at(http))
}

pub(in crate::inventory) fn dns(value: &FieldValue<'_>) -> Option<At<DnsEntry>> {
    if !value.is_map() {
        let query = value.parse(scalar::address)?;
        return Some(value.at(DnsEntry { query: Some(query), ..DnsEntry::default() }));
    }
    let mut fields = value.fields()?;
    let dns = DnsEntry::read(&mut fields);
    if fields.take("query").is_none() {
        fields.wrong(Wrong::QueryMissing);
    }
    fields.finish(elsewhere);
    Some(value.at(dns))
}

pub(in crate::inventory) fn wireguard(value: &FieldValue<'_>) -> Option<At<WireguardValue>> {
    if !value.is_map() {
        return Some(value.at(WireguardValue::Peers(peers(value)?.value)));
    }
    let mut fields = value.fields()?;
    let map = WireguardEntry::read(&mut fields);
    fields.finish(|key| if key == "to" { Some("the check itself, beside `wireguard`") } else { elsewhere(key) });
    Some(value.at(WireguardValue::Map(map)))
}

pub(in crate::inventory) fn command(value: &FieldValue<'_>) -> Option<At<HookCommand>> {
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
