//! Decides for the hosts that a run goes on without which links are still looked at, and which of them count.
//!
//! Such a host takes no part for the whole run, even if it answers later. The links to it are still looked at from the
//! others, so that the matrix shows them; none of them counts for or against the run. No link is looked at from it,
//! because the run does not log in there.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::event::reason::absent::AbsentHub;
use crate::facts::links::{Link, Probe, Round};
use crate::inventory::model::{CheckKind, Fleet, Host, HostName, Place, VpnShape};

/// How long the other end of a link that does not count may take to answer. Probes of a round run side by side, and the
/// round waits for the slowest: a host that is off must not cost more than this in each round.
const SHORT_LOOK: Duration = Duration::from_secs(1);

/// What the silence of a host means for a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Silence {
    /// It is `optional`: the run goes on without it.
    Skipped,
    /// It is not to change: only its links are not proven.
    Witness,
    /// The run does not begin.
    MustAnswer,
}

impl Silence {
    #[must_use]
    pub fn of(host: &Host, selected: &BTreeSet<HostName>) -> Self {
        if host.optional {
            Self::Skipped
        } else if selected.contains(&host.name) {
            Self::MustAnswer
        } else {
            Self::Witness
        }
    }
}

/// Returns the links without those that begin at an absent host; those that end there do not count any more.
#[must_use]
pub fn without(links: Vec<Link>, absent: &[&Host]) -> Vec<Link> {
    let begins_there = |link: &Link| absent.iter().any(|host| link.from == Place::Host(host.name.clone()));
    let stays = links.into_iter().filter(|link| !begins_there(link));
    stays
        .map(|link| match absent.iter().find(|host| ends_at(&link, host)) {
            None => link,
            Some(host) => Link {
                left_out: Some(host.name.clone()),
                required: false,
                timeout: link.timeout.min(SHORT_LOOK),
                ..link
            },
        })
        .collect()
}

/// Returns whether the link ends at this host, by name or by one of its addresses.
#[must_use]
pub fn ends_at(link: &Link, host: &Host) -> bool {
    let is_its = |address: &str| {
        address == host.name.as_str()
            || address == host.address
            || host.vpn.as_deref() == Some(address)
            || host.other_addresses.iter().any(|other| other == address)
    };
    let address = match &link.probe {
        Probe::Http { url, .. } => host_of(url),
        Probe::Dns { server, .. } => server.as_deref(),
        other => other.address(),
    };
    link.to_host.as_ref() == Some(&host.name) || address.is_some_and(is_its)
}

/// Returns whether the link begins or ends at this host.
#[must_use]
pub fn touches(link: &Link, host: &Host) -> bool {
    link.from == Place::Host(host.name.clone()) || ends_at(link, host)
}

/// Returns `10.0.0.1` of `http://ada@10.0.0.1:8080/health`.
fn host_of(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let place = authority.rsplit('@').next()?;
    match place.strip_prefix('[') {
        Some(literal) => literal.split(']').next(),
        None => place.split(':').next(),
    }
}

/// Returns the silent hosts at which a required link begins or ends, each with the number of these links.
#[must_use]
pub fn needed<'a>(links: &[Link], silent: &[&'a Host]) -> Vec<(&'a Host, usize)> {
    let counts = |host: &Host, link: &&Link| link.required && touches(link, host);
    let needed = silent.iter().map(|host| (*host, links.iter().filter(|link| counts(host, link)).count()));
    needed.filter(|(_, links)| *links > 0).collect()
}

/// Returns the absent hosts that have a link up in this round and had none up before.
#[must_use]
pub fn answering(links: &[Link], before: &Round, now: &Round) -> BTreeSet<HostName> {
    let left_out = links.iter().enumerate().filter_map(|(id, link)| Some((id, link.left_out.as_ref()?)));
    let news = left_out.filter(|(id, _)| now.answer(*id).is_up() && !before.answer(*id).is_up());
    news.map(|(_, host)| host.clone()).collect()
}

/// Says why a link between two other hosts may be down: an absent host is the hub of their VPN.
#[must_use]
pub fn likely_cause(fleet: &Fleet, link: &Link, absent: &BTreeSet<HostName>) -> Option<AbsentHub> {
    let hub = fleet.checks.iter().find_map(|check| match &check.kind {
        CheckKind::Vpn(VpnShape::Hub(hub)) if absent.contains(hub) => Some((hub, check)),
        _ => None,
    });
    if let Some((hub, check)) = hub {
        return Some(AbsentHub::HubLeftOut { hub: hub.clone(), check: check.name.clone() });
    }
    let inside = |address: &str| fleet.hosts.iter().any(|host| host.vpn.as_deref() == Some(address));
    let is_tunnelled = link.probe.address().is_some_and(inside);
    (is_tunnelled && !absent.is_empty())
        .then(|| AbsentHub::HubMaybeLeftOut { left_out: absent.iter().cloned().collect() })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use pretty_assertions::assert_eq;

    use super::*;
    use crate::decide::matrix::link_text;
    use crate::facts::links::{LinkAnswer, resolve};
    use crate::inventory::Inventory;

    const LAB: &str = "
hosts:
  vps: {address: vps.example.org, vpn: 10.100.0.1}
  home: {vpn: 10.100.0.2}
  web: {addresses: [web.example.org, 192.0.2.7], vpn: 10.100.0.3}
fleets:
  lab:
    flake: .
    hosts: all
    checks:
      - vpn: mesh
      - {tcp: 443, to: [web, 192.0.2.7], from: vps}
      - {http: \"https://ada:x@web.example.org:8443/health\", from: home}
      - {http: \"http://[2001:db8::1]/\", from: home}
";

    fn fleet(text: &str) -> Fleet {
        let loaded = Inventory::parse(Path::new("inventory.yaml"), Path::new("/"), text);
        loaded.unwrap_or_else(|error| panic!("{error}")).inventory.fleets["lab"].clone()
    }

    fn host(name: &str) -> HostName {
        HostName::new(name).unwrap()
    }

    fn links_without(fleet: &Fleet, absent: &[&str]) -> Vec<Link> {
        let absent: Vec<&Host> = fleet.hosts.iter().filter(|host| absent.contains(&host.name.as_str())).collect();
        without(resolve(fleet, &BTreeMap::new()), &absent)
    }

    #[test]
    fn of_a_host_that_is_left_out_no_link_counts_and_those_to_it_are_still_shown() {
        let fleet = fleet(LAB);
        let whole = links_without(&fleet, &[]);
        assert!(whole.iter().all(|link| link.required && link.left_out.is_none()));
        let links = links_without(&fleet, &["web"]);
        let shown = |counts: bool| -> Vec<String> {
            links.iter().filter(|link| link.left_out.is_none() == counts).map(link_text).collect()
        };
        assert_eq!(
            shown(true),
            [
                "vps -> home (ping)",
                "vps -> home (ssh)",
                "home -> vps (ping)",
                "home -> vps (ssh)",
                "home -> http://[2001:db8::1]/ (http)"
            ]
        );
        assert_eq!(
            shown(false),
            [
                "vps -> web (ping)",
                "vps -> web (ssh)",
                "home -> web (ping)",
                "home -> web (ssh)",
                "vps -> web (tcp)",
                "vps -> 192.0.2.7 (tcp)",
                "home -> https://web.example.org:8443/health (http)",
            ]
        );
        for link in links.iter().filter(|link| link.left_out.is_some()) {
            assert_eq!((&link.left_out, link.required), (&Some(host("web")), false));
            assert!(link.timeout <= Duration::from_secs(1), "a round waits for it");
        }
    }

    #[test]
    fn a_silent_host_is_needed_where_a_required_link_begins_or_ends() {
        let mut fleet = fleet(LAB);
        let needed_in = |fleet: &Fleet| -> Vec<(String, usize)> {
            let silent: Vec<&Host> = fleet.hosts.iter().filter(|one| one.name != host("vps")).collect();
            let links = resolve(fleet, &BTreeMap::new());
            needed(&links, &silent).into_iter().map(|(host, links)| (host.name.to_string(), links)).collect()
        };
        assert_eq!(needed_in(&fleet), [("home".to_owned(), 10), ("web".to_owned(), 11)]);
        fleet.checks.iter_mut().for_each(|check| check.required = false);
        assert_eq!(needed_in(&fleet), []);
    }

    #[test]
    fn a_host_that_is_left_out_answers_when_a_link_to_it_is_up_that_was_not() {
        let links = links_without(&fleet(LAB), &["web"]);
        let to_web = links.iter().position(|link| link.left_out.is_some()).unwrap();
        let others = links.iter().position(|link| link.left_out.is_none()).unwrap();
        let round = |up: &[usize]| Round {
            answers: up.iter().map(|link| (*link, LinkAnswer::Up { round_trip_us: None })).collect(),
            ..Round::default()
        };
        assert_eq!(answering(&links, &round(&[]), &round(&[others])), BTreeSet::new());
        assert_eq!(answering(&links, &round(&[]), &round(&[others, to_web])), BTreeSet::from([host("web")]));
        assert_eq!(answering(&links, &round(&[to_web]), &round(&[to_web])), BTreeSet::new());
    }

    #[test]
    fn the_hub_that_is_left_out_is_the_likely_cause_of_a_link_between_others() {
        let absent = BTreeSet::from([host("vps")]);
        let cause = |text: &str, absent: &BTreeSet<HostName>| {
            let fleet = fleet(text);
            let links = resolve(&fleet, &BTreeMap::new());
            let between = |link: &&Link| link.from == Place::Host(host("home")) && link.to == "web";
            likely_cause(&fleet, links.iter().find(between).unwrap(), absent)
        };
        let hub = LAB.replace("vpn: mesh", "vpn: {hub: vps}\n      - {ping: web, from: home}");
        assert_eq!(
            cause(&hub, &absent).map(|cause| cause.to_string()).as_deref(),
            Some("likely because vps is left out: it is the hub of `vpn hub vps`")
        );
        let text = cause(LAB, &absent).unwrap().to_string();
        assert!(text.starts_with("perhaps because vps is left out"), "{text}");
        assert_eq!(cause(&hub, &BTreeSet::new()), None);
    }
}
