//! Looks at what a new system is configured to be, before anything is touched: would its host still be reached?
//!
//! Nothing here refuses a push, which proves all of it. A warning that is wrong would teach people not to read them: so
//! each rule is silent where its option is not known, and wherever something else may do the same.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use crate::decide::survey::{Finding, Surveyed};
use crate::decide::tunnel::prefix_length;
use crate::event::reason::look_ahead::LookAhead;
use crate::facts::configured::{Configured, ConfiguredFirewall, ConfiguredSshd, ConfiguredTunnel, ConfiguredUser};
use crate::facts::links::{Link, Round};
use crate::inventory::model::{Become, Host, HostName, Place};

/// A kernel and its initrd take some 40 to 80 MB: there is room for a few more.
const SCARCE: u64 = 256 << 20;

/// Where NixOS itself puts the keys of `authorizedKeys`.
const OF_NIXOS: &str = "/etc/ssh/authorized_keys.d/%u";

/// Judges the hosts whose configuration is known. `links` are those of the plan, and `now` is what the hosts have said
/// of themselves before anything was changed.
#[must_use]
pub fn judge(
    views: &[Surveyed<'_>],
    links: &[Link],
    now: &Round,
    configured: &BTreeMap<HostName, Configured>,
) -> Vec<Finding> {
    let known = views.iter().filter_map(|view| Some((view, configured.get(&view.host.name)?)));
    let of_host = |(view, configured): (&Surveyed<'_>, &Configured)| {
        let has_tunnel_now = now.hosts.get(&view.host.name).is_some_and(|host| !host.wireguard.is_empty());
        let ahead = HostAhead { view: *view, configured, has_tunnel_now };
        let found = ahead.look(links);
        let name = view.host.name.clone();
        found.into_iter().map(move |reason| Finding::warning(Some(&name), reason)).collect::<Vec<_>>()
    };
    known.flat_map(of_host).collect()
}

/// One host, and what it is to be.
struct HostAhead<'a> {
    view: Surveyed<'a>,
    configured: &'a Configured,
    /// Whether a WireGuard interface is up on it.
    has_tunnel_now: bool,
}

impl HostAhead<'_> {
    fn look(&self, links: &[Link]) -> Vec<LookAhead> {
        let mut found = self.sshd();
        found.extend(self.user());
        found.extend(self.way_to_root());
        found.extend(self.vpn_address());
        found.extend(self.peers(links));
        found.extend(self.vpn_ports());
        found.extend(self.boot());
        found
    }

    fn host(&self) -> &Host {
        self.view.host
    }

    /// The user that logs in afterwards; `None`: ssh's own configuration says it.
    fn login(&self) -> Option<&str> {
        self.host().after.user.as_deref().or(self.host().user.as_deref())
    }

    fn configured_user(&self) -> Option<&ConfiguredUser> {
        let login = self.login()?;
        self.configured.users.all.iter().find(|user| user.name == login)
    }

    fn sshd(&self) -> Vec<LookAhead> {
        let sshd = &self.configured.sshd;
        match sshd.enabled {
            // Another unit, or another program, may be who lets us in.
            Some(false) if sshd.units.is_empty() && sshd.others.is_empty() => vec![LookAhead::SshdOff],
            Some(true) => {
                let ports = self.ports();
                let listens = ports.as_ref().and_then(|ports| self.port_gone(ports));
                let closed = ports.as_ref().filter(|_| listens.is_none()).and_then(|ports| self.port_closed(ports));
                listens.into_iter().chain(closed).chain(self.not_allowed()).collect()
            }
            Some(false) | None => Vec::new(),
        }
    }

    /// Where sshd listens; `None`: that is not known.
    fn ports(&self) -> Option<BTreeSet<u16>> {
        let sshd = &self.configured.sshd;
        if says(sshd, &["include"]) || sets(sshd, &["port", "listenaddress"]) || sshd.ports.is_empty() {
            return None;
        }
        let of_line = |line: &String| {
            let (word, rest) = line.trim().split_once([' ', '\t', '='])?;
            let rest = rest.trim();
            match word.to_ascii_lowercase().as_str() {
                "port" => rest.parse().ok(),
                "listenaddress" => rest.rsplit_once(':')?.1.parse().ok(),
                _ => None,
            }
        };
        Some(sshd.ports.iter().copied().chain(sshd.extra.iter().filter_map(of_line)).collect())
    }

    /// The port of the inventory may be that of a router in between: what counts is where sshd itself was reached.
    fn port_now(&self) -> Option<u16> {
        self.view.facts.ssh_port.filter(|_| self.host().after.port.is_none())
    }

    fn port_gone(&self, ports: &BTreeSet<u16>) -> Option<LookAhead> {
        let port = self.port_now()?;
        let sshd = &self.configured.sshd;
        // A socket may have ports of its own, and so may the sshd of another unit.
        let is_known = !sshd.on_demand && sshd.others.is_empty();
        let gone = is_known && !ports.contains(&port);
        gone.then(|| LookAhead::SshPortGone { port, ports: ports.iter().copied().collect() })
    }

    fn port_closed(&self, ports: &BTreeSet<u16>) -> Option<LookAhead> {
        // A socket may have ports of its own.
        let sshd = &self.configured.sshd;
        if !self.firewall_is_known() || !sshd.others.is_empty() || sshd.on_demand {
            return None;
        }
        let asked: Vec<u16> = match self.port_now() {
            Some(port) if ports.contains(&port) => vec![port],
            _ => ports.iter().copied().collect(),
        };
        // On whatever interface: which one we come by is not known.
        let open = asked.iter().any(|port| is_open(&self.configured.firewall.tcp, *port));
        (!open).then_some(LookAhead::SshPortClosed { ports: asked })
    }

    /// Whether nothing but the lists of ports opens anything. VPN programs open their own interfaces themselves.
    fn firewall_is_known(&self) -> bool {
        let ConfiguredFirewall { enabled, known, trusted, own_rules, .. } = &self.configured.firewall;
        let vpns = self.configured.vpn.others.iter().any(|other| other != "networkmanager");
        *enabled == Some(true) && *known && trusted.is_empty() && !own_rules && !vpns
    }

    fn not_allowed(&self) -> Option<LookAhead> {
        let user = self.login()?;
        let sshd = &self.configured.sshd;
        if says(sshd, &["match", "include", "permitrootlogin", "allowusers", "denyusers"]) || !sshd.others.is_empty() {
            return None;
        }
        let option = |name: &str| format!("services.openssh.settings.{name}");
        let is_pattern = |pattern: &String| pattern.contains(['*', '?', '@', '!']);
        let allowed = &sshd.allow_users;
        match sshd.root_login.as_deref() {
            Some(setting @ ("no" | "forced-commands-only")) if user == "root" => {
                Some(LookAhead::RootLoginOff { setting: setting.to_owned() })
            }
            _ if sshd.deny_users.iter().any(|denied| denied == user) => {
                Some(LookAhead::LoginNotAllowed { user: user.to_owned(), option: option("DenyUsers") })
            }
            _ if !allowed.is_empty() && !allowed.iter().any(|one| one == user || is_pattern(one)) => {
                Some(LookAhead::LoginNotAllowed { user: user.to_owned(), option: option("AllowUsers") })
            }
            _ => None,
        }
    }

    fn user(&self) -> Option<LookAhead> {
        let login = self.login()?;
        let users = &self.configured.users;
        let name = || login.to_owned();
        match self.configured_user() {
            // A user that was made by hand, or comes from elsewhere, is written down nowhere.
            None => {
                let gone = users.mutable == Some(false) && !users.elsewhere && !users.all.is_empty() && login != "root";
                gone.then(|| LookAhead::LoginUserGone { user: name() })
            }
            Some(user) if !user.enabled => Some(LookAhead::LoginUserGone { user: name() }),
            Some(user) if user.keys_known && user.keys == 0 && self.takes_configured_keys_alone() => {
                Some(LookAhead::LoginKeysGone { user: name() })
            }
            Some(_) => None,
        }
    }

    /// Whether sshd takes no other key than those of the configuration: none in the home folder, no certificate.
    fn takes_configured_keys_alone(&self) -> bool {
        const OTHER_WAYS: [&str; 9] = [
            "match",
            "include",
            "trustedusercakeys",
            "authorizedkeysfile",
            "authorizedkeyscommand",
            "authorizedprincipalsfile",
            "authorizedprincipalscommand",
            "gssapiauthentication",
            "hostbasedauthentication",
        ];
        let sshd = &self.configured.sshd;
        let files = sshd.keys_files.as_ref();
        sshd.enabled == Some(true)
            && files.is_some_and(|files| !files.is_empty() && files.iter().all(|file| file == OF_NIXOS))
            && !(sshd.keys_command || says(sshd, &OTHER_WAYS) || sets(sshd, &OTHER_WAYS))
            && sshd.others.is_empty()
            && !self.configured.users.elsewhere
    }

    fn way_to_root(&self) -> Option<LookAhead> {
        let root = &self.configured.root;
        let off = |program: &str| LookAhead::RootProgramOff { program: program.to_owned() };
        let by_sudo = match self.host().becoming {
            // Root stays root, also where it is root that is not named here.
            Become::Auto => self.login().is_some_and(|login| login != "root"),
            Become::Sudo | Become::SudoPassword => true,
            Become::Doas if root.doas == Some(false) => return Some(off("doas")),
            Become::Doas | Become::No | Become::Run0 | Become::Words(_) => return None,
        };
        match root.sudo {
            Some(false) if by_sudo => Some(off("sudo")),
            Some(true) if by_sudo => self.rule_gone(),
            _ => None,
        }
    }

    /// Whether some rule is about the login; whether it gives enough, sudo itself says in the survey.
    fn rule_gone(&self) -> Option<LookAhead> {
        let root = &self.configured.root;
        let user = self.configured_user()?;
        // An alias, a number, a netgroup: whoever that is, it may be the login.
        let may_be = |named: &String| {
            *named == user.name
                || named.starts_with(['#', '+', '!'])
                || named.chars().all(|one| one.is_ascii_uppercase() || one.is_ascii_digit() || one == '_')
                || named.strip_prefix('%').is_some_and(|group| is_in(user, group))
        };
        let is_known = root.rules_known && !root.own_rules && user.name != "root";
        let has_rule = root.users.iter().chain(&root.granted).any(may_be)
            || root.groups.iter().any(|group| group == "ALL" || group.starts_with('#') || is_in(user, group))
            || is_in(user, "wheel");
        (is_known && !has_rule).then(|| LookAhead::RootRuleGone { user: user.name.clone() })
    }

    fn vpn_text(&self) -> Option<&str> {
        self.host().after.vpn.as_deref().or(self.host().vpn.as_deref())
    }

    fn has_vpn_address(&self, vpn: IpAddr) -> bool {
        self.configured.vpn.addresses.iter().any(|address| bare(address).is_none_or(|address| address == vpn))
    }

    fn vpn_address(&self) -> Option<LookAhead> {
        let text = self.vpn_text()?;
        let vpn: IpAddr = text.parse().ok()?;
        let declared = &self.configured.vpn;
        if self.has_vpn_address(vpn) || declared.hooked || !declared.others.is_empty() {
            return None;
        }
        let gone = |option: String| Some(LookAhead::VpnAddressGone { vpn: text.to_owned(), option });
        if let Some(first) = declared.tunnels.first() {
            // A tunnel to somewhere else says nothing of a host whose address comes by DHCP.
            let near = declared.tunnels.iter().find(|tunnel| {
                tunnel.addresses.iter().any(|own| prefix_length(own, vpn).is_some_and(|length| length > 0))
            });
            return match near {
                Some(tunnel) => gone(addresses_of(tunnel)),
                None if declared.by_dhcp => None,
                None => gone(addresses_of(first)),
            };
        }
        // Nothing that is known here makes a VPN. Units and files with such a name may.
        if !declared.hints.is_empty() {
            None
        } else if declared.known && self.has_tunnel_now && !declared.by_dhcp {
            gone("networking.wireguard.interfaces".to_owned())
        } else if declared.tailscale == Some(false) && is_of_tailscale(vpn) {
            gone("services.tailscale.enable".to_owned())
        } else {
            None
        }
    }

    /// Whether each host that a link leads to is still an address of a peer. Without it WireGuard drops what is sent.
    fn peers(&self, links: &[Link]) -> Vec<LookAhead> {
        let declared = &self.configured.vpn;
        let Some(own) = self.vpn_text().and_then(|vpn| vpn.parse().ok()) else { return Vec::new() };
        let is_known = !declared.hooked && declared.others.is_empty() && !declared.tunnels.is_empty();
        if !is_known || !self.has_vpn_address(own) {
            return Vec::new();
        }
        // The one that has the address is who speaks with the others. Of networkd it is not known which.
        let Some(tunnel) =
            declared.tunnels.iter().find(|tunnel| tunnel.addresses.iter().any(|address| bare(address) == Some(own)))
        else {
            return Vec::new();
        };
        let mut told = BTreeSet::new();
        let mut found = Vec::new();
        for link in links.iter().filter(|link| link.required && link.left_out.is_none()) {
            let (Place::Host(from), Some(to), Some(text)) = (&link.from, &link.to_host, link.probe_after.address())
            else {
                continue;
            };
            let Ok(address) = text.parse::<IpAddr>() else { continue };
            // Elsewhere than in the tunnel's own network it may go by another way.
            let is_inside =
                tunnel.addresses.iter().any(|own| prefix_length(own, address).is_some_and(|length| length > 0));
            let leads = |tunnel: &ConfiguredTunnel| {
                tunnel.peers.iter().flat_map(|peer| &peer.allowed).any(|allowed| may_have(allowed, address))
            };
            let is_gone = *from == self.host().name && is_inside && !declared.tunnels.iter().any(leads);
            if is_gone && address != own && told.insert(address) {
                let option = format!("{}.peers", tunnel.option);
                found.push(LookAhead::VpnPeerGone { vpn: text.to_owned(), to: to.clone(), option });
            }
        }
        found
    }

    /// Where this end calls nobody, everybody must be able to call it.
    fn vpn_ports(&self) -> Vec<LookAhead> {
        if !self.firewall_is_known() {
            return Vec::new();
        }
        let waits = |tunnel: &&ConfiguredTunnel| {
            !tunnel.hooked && !tunnel.peers.is_empty() && !tunnel.peers.iter().any(|peer| peer.dials)
        };
        let closed = |tunnel: &ConfiguredTunnel| {
            let port = tunnel.port.filter(|port| *port != 0 && !is_open(&self.configured.firewall.udp, *port))?;
            Some(LookAhead::VpnPortClosed { interface: tunnel.name.clone(), port })
        };
        self.configured.vpn.tunnels.iter().filter(waits).filter_map(closed).collect()
    }

    fn boot(&self) -> Vec<LookAhead> {
        let (boot, facts) = (&self.configured.boot, self.view.facts);
        let unlimited = boot.copies.iter().find(|loader| loader.limit.is_none());
        let short = unlimited
            .zip(facts.free_boot.filter(|free| *free < SCARCE))
            .map(|(loader, free_bytes)| LookAhead::BootRoomShort { option: loader.option.clone(), free_bytes });
        // Of a disk that is encrypted already the survey speaks; and a person may have said that it is thought of.
        let is_new = facts.crypto_devices.is_empty() && !self.host().guard_action_given;
        let asks = is_new && !boot.locked.is_empty() && !boot.unlocked_from_afar;
        let passphrase = asks.then(|| LookAhead::PassphraseAhead { devices: boot.locked.clone() });
        short.into_iter().chain(passphrase).collect()
    }
}

/// Whether a line of sshd's own text begins with one of these words.
fn says(sshd: &ConfiguredSshd, words: &[&str]) -> bool {
    let first = |line: &String| line.trim().split([' ', '\t', '=']).next().unwrap_or_default().to_ascii_lowercase();
    sshd.extra.iter().any(|line| words.contains(&first(line).as_str()))
}

fn sets(sshd: &ConfiguredSshd, names: &[&str]) -> bool {
    sshd.settings.iter().any(|name| names.contains(&name.to_ascii_lowercase().as_str()))
}

fn is_in(user: &ConfiguredUser, group: &str) -> bool {
    user.groups.iter().any(|one| one == group)
}

fn is_open(ranges: &[(u16, u16)], port: u16) -> bool {
    ranges.iter().any(|(from, to)| (*from..=*to).contains(&port))
}

/// The address without the length of its prefix; `None`: it is none, and may be anything.
fn bare(address: &str) -> Option<IpAddr> {
    address.split('/').next().unwrap_or_default().trim().parse().ok()
}

/// Whether an entry of `allowedIPs` has the address; what is not understood may.
fn may_have(allowed: &str, address: IpAddr) -> bool {
    allowed.split(',').map(str::trim).any(|one| match bare(one) {
        None => true,
        Some(only) if !one.contains('/') => only == address,
        Some(_) => prefix_length(one, address).is_some(),
    })
}

/// The option that has its addresses.
fn addresses_of(tunnel: &ConfiguredTunnel) -> String {
    let option = &tunnel.option;
    if option.starts_with("systemd.network") {
        "systemd.network.networks".to_owned()
    } else if option.contains("wg-quick") {
        format!("{option}.address")
    } else {
        format!("{option}.ips")
    }
}

/// 100.64.0.0/10, where it gives its hosts their addresses.
fn is_of_tailscale(address: IpAddr) -> bool {
    let IpAddr::V4(address) = address else { return false };
    u32::from(address) >> 22 == u32::from(Ipv4Addr::new(100, 64, 0, 0)) >> 22
}
