//! The hosts of an inventory: a table, or where that is too wide a list.

use crate::inventory::Inventory;
use crate::inventory::model::Host;
use crate::ui::paint::{Tone, paint};
use crate::ui::table::{self, TableCell};

/// A host as some of its fleets see it; as `defaults`, groups and the host itself do, if it is in none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<'a> {
    host: &'a Host,
    fleets: Vec<&'a str>,
}

/// Lists these hosts in their order. A host that has other settings in another fleet stands there once for each.
#[must_use]
pub fn listed<'a>(inventory: &'a Inventory, hosts: &[&'a Host]) -> Vec<Listed<'a>> {
    hosts.iter().flat_map(|host| ways_to_see(inventory, host)).collect()
}

fn ways_to_see<'a>(inventory: &'a Inventory, host: &'a Host) -> Vec<Listed<'a>> {
    let mut ways: Vec<Listed<'a>> = Vec::new();
    for fleet in inventory.fleets.values() {
        let Some(seen) = fleet.hosts.iter().find(|member| member.name == host.name) else { continue };
        match ways.iter_mut().find(|way| look_the_same(way.host, seen)) {
            Some(way) => way.fleets.push(&fleet.name),
            None => ways.push(Listed { host: seen, fleets: vec![&fleet.name] }),
        }
    }
    if ways.is_empty() { vec![Listed { host, fleets: Vec::new() }] } else { ways }
}

/// Address, VPN address and tags are the host's own, whatever fleet it is in.
fn look_the_same(one: &Host, other: &Host) -> bool {
    let shown = |host: &Host| (host.user.clone(), host.port, host.jump.clone(), host.guard);
    shown(one) == shown(other)
}

const HEADING: [&str; 9] = ["host", "address", "port", "user", "jump", "vpn", "tags", "fleets", "guard"];

/// For a terminal of so many columns.
#[must_use]
pub fn render(listed: &[Listed<'_>], columns: usize, colour: bool) -> String {
    let rows: Vec<[String; 9]> = listed.iter().map(row).collect();
    let cells: Vec<Vec<TableCell>> =
        rows.iter().map(|row| row.iter().cloned().map(TableCell::from).collect()).collect();
    table::render(&HEADING, &cells, columns, colour)
        .unwrap_or_else(|| rows.iter().map(|row| list(row, colour)).collect())
}

fn row(listed: &Listed<'_>) -> [String; 9] {
    let Listed { host, fleets } = listed;
    [
        host.name.to_string(),
        addresses(host).join(", "),
        host.port.map(|port| port.to_string()).unwrap_or_default(),
        host.user.clone().unwrap_or_default(),
        host.jump.as_ref().map(ToString::to_string).unwrap_or_default(),
        host.vpn.clone().unwrap_or_default(),
        host.tags.join(", "),
        fleets.join(", "),
        humantime::format_duration(host.guard).to_string(),
    ]
}

fn addresses(host: &Host) -> Vec<&str> {
    std::iter::once(&host.address).chain(&host.other_addresses).map(String::as_str).collect()
}

fn list(row: &[String; 9], colour: bool) -> String {
    let [name, rest @ ..] = row;
    let mut out = paint(colour, Tone::Strong, name) + "\n";
    for (key, value) in HEADING[1..].iter().zip(rest).filter(|(_, value)| !value.is_empty()) {
        out += &format!("  {key:<7}  {value}\n");
    }
    out
}

/// For programs: the same, with every key.
#[must_use]
pub fn answer(listed: &[Listed<'_>]) -> serde_json::Value {
    let host = |Listed { host, fleets }: &Listed<'_>| {
        serde_json::json!({
            "host": host.name,
            "addresses": addresses(host),
            "port": host.port,
            "user": host.user,
            "jump": host.jump.as_ref().map(ToString::to_string),
            "vpn": host.vpn,
            "tags": host.tags,
            "fleets": fleets,
            "guard_ms": u64::try_from(host.guard.as_millis()).unwrap_or(u64::MAX),
            "guard_action": host.guard_action,
        })
    };
    serde_json::json!({ "hosts": listed.iter().map(host).collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use pretty_assertions::assert_eq;

    use super::*;

    const TEXT: &str = "
hosts:
  vps: {address: vps.example.org, user: root, port: 2222, vpn: 10.100.0.1, tags: [edge, web]}
  nas: {jump: vps}
  idle:
fleets:
  lab: {hosts: [vps, nas], flake: ., guard: 20m}
  more: {hosts: [nas], flake: ., guard: 20m}
  slow: {hosts: [nas], flake: ., guard: 1h}
";

    fn inventory() -> Inventory {
        Inventory::parse(Path::new("inventory.yaml"), Path::new("/lab"), TEXT).unwrap().inventory
    }

    #[test]
    fn each_host_stands_there_once_for_each_way_to_see_it() {
        let inventory = inventory();
        let listed = listed(&inventory, &inventory.hosts.iter().collect::<Vec<_>>());
        assert_eq!(
            render(&listed, 200, false),
            "  host  address          port  user  jump  vpn         tags       fleets     guard
  vps   vps.example.org  2222  root        10.100.0.1  edge, web  lab        20m
  nas   nas                          vps                          lab, more  20m
  nas   nas                          vps                          slow       1h
  idle  idle                                                                 15m\n"
        );
    }

    #[test]
    fn a_table_that_is_too_wide_becomes_a_list() {
        let inventory = inventory();
        let listed = listed(&inventory, &[&inventory.hosts[0], &inventory.hosts[2]]);
        assert_eq!(
            render(&listed, 40, false),
            "vps
  address  vps.example.org
  port     2222
  user     root
  vpn      10.100.0.1
  tags     edge, web
  fleets   lab
  guard    20m
idle
  address  idle
  guard    15m\n"
        );
    }

    #[test]
    fn a_program_gets_every_key() {
        let inventory = inventory();
        let listed = listed(&inventory, &[&inventory.hosts[1]]);
        assert_eq!(
            answer(&listed)["hosts"][0],
            serde_json::json!({
                "host": "nas", "addresses": ["nas"], "port": null, "user": null, "jump": "vps", "vpn": null, "tags": [],
                "fleets": ["lab", "more"], "guard_ms": 1_200_000, "guard_action": "reboot",
            })
        );
    }
}
