//! Reads the WireGuard interfaces of a host.

use super::{Lines, all};
use crate::facts::host::{WireguardInterface, WireguardPeer};

/// `PREFIX_interface` and `PREFIX_peer` lines; see wireguard.sh.
pub(super) fn wireguard(lines: &Lines, prefix: &str) -> Vec<WireguardInterface> {
    let mut interfaces: Vec<WireguardInterface> =
        all(lines, &format!("{prefix}_interface")).filter_map(wireguard_interface).collect();
    for text in all(lines, &format!("{prefix}_peer")) {
        let words: Vec<&str> = text.split(' ').collect();
        let [name, public_key, endpoint, age, keepalive, allowed] = words[..] else { continue };
        let given = |word: &str| (word != "-").then(|| word.to_owned());
        if let Some(interface) = interfaces.iter_mut().find(|interface| interface.name == name) {
            interface.peers.push(WireguardPeer {
                public_key: public_key.to_owned(),
                endpoint: given(endpoint),
                handshake_age: age.parse().ok(),
                keepalive: keepalive.parse().ok(),
                allowed: given(allowed).map(|all| all.split(',').map(str::to_owned).collect()).unwrap_or_default(),
            });
        }
    }
    interfaces
}

fn wireguard_interface(text: &str) -> Option<WireguardInterface> {
    let words: Vec<&str> = text.split(' ').collect();
    let [name, index, settings, port] = words[..] else { return None };
    Some(WireguardInterface {
        name: name.to_owned(),
        index: index.parse().ok()?,
        settings: settings.to_owned(),
        port: port.parse().ok()?,
        peers: Vec::new(),
    })
}
