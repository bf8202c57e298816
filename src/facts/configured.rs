//! What the configuration of a host, as it is evaluated, says of the ways in: made by `nix/eval/look_ahead.nix`.
//!
//! Absent means not known: the option is not there, throws, or is of another kind. Nothing is concluded from that.

use serde::{Deserialize, Serialize};

/// The ways into a host, as its new system has them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Configured {
    pub sshd: ConfiguredSshd,
    pub firewall: ConfiguredFirewall,
    pub users: ConfiguredUsers,
    pub root: ConfiguredRoot,
    pub vpn: ConfiguredVpn,
    pub boot: ConfiguredBoot,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ConfiguredSshd {
    pub enabled: Option<bool>,
    /// By a socket, whose unit may have ports of its own.
    pub on_demand: bool,
    pub ports: Vec<u16>,
    /// The lines of `extraConfig` that decide who gets in, or where; NixOS writes ports there itself.
    pub extra: Vec<String>,
    /// The names of the settings that do so, and are set.
    pub settings: Vec<String>,
    pub root_login: Option<String>,
    pub allow_users: Vec<String>,
    pub deny_users: Vec<String>,
    pub keys_files: Option<Vec<String>>,
    pub keys_command: bool,
    /// Units, and programs, that may let somebody in in its place.
    pub others: Vec<String>,
    /// Its own units.
    pub units: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ConfiguredFirewall {
    pub enabled: Option<bool>,
    /// Open ports, from and to, on whatever interface.
    pub tcp: Vec<(u16, u16)>,
    pub udp: Vec<(u16, u16)>,
    /// Whether both lists could be read.
    pub known: bool,
    /// Interfaces on which everything is open, but for `lo`.
    pub trusted: Vec<String>,
    /// Rules beside the options, which may let anything in.
    pub own_rules: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ConfiguredUsers {
    /// Whether users that were made by hand stay.
    pub mutable: Option<bool>,
    /// Whether users may also come from somewhere else: LDAP and its like.
    pub elsewhere: bool,
    pub all: Vec<ConfiguredUser>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ConfiguredUser {
    pub name: String,
    pub enabled: bool,
    pub keys: u64,
    pub keys_known: bool,
    pub groups: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ConfiguredRoot {
    /// sudo or sudo-rs.
    pub sudo: Option<bool>,
    pub doas: Option<bool>,
    pub rules_known: bool,
    /// Those whom a rule of sudo names; `ALL`: anybody.
    pub users: Vec<String>,
    pub groups: Vec<String>,
    /// Lines of `extraConfig` that give something to somebody.
    pub own_rules: bool,
    /// Those to whom the file as a whole gives something.
    pub granted: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ConfiguredVpn {
    /// Whether there is an option for WireGuard at all, so that nothing in it means none.
    pub known: bool,
    pub tailscale: Option<bool>,
    /// The WireGuard interfaces.
    pub tunnels: Vec<ConfiguredTunnel>,
    /// All addresses of interfaces that are written down, mostly with the length of their prefix.
    pub addresses: Vec<String>,
    /// Other programs that may give the host an address.
    pub others: Vec<String>,
    /// Units and files with a name that sounds like a VPN.
    pub hints: Vec<String>,
    pub by_dhcp: bool,
    /// Whether some interface is also set up by somebody's own commands, or by a file.
    pub hooked: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ConfiguredTunnel {
    pub name: String,
    /// Where it is written down: `networking.wireguard.interfaces.wg0`.
    pub option: String,
    /// Of networkd these are not known to be its own.
    pub addresses: Vec<String>,
    pub port: Option<u16>,
    pub peers: Vec<ConfiguredPeer>,
    pub hooked: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ConfiguredPeer {
    pub allowed: Vec<String>,
    /// Whether it has an endpoint, so that this end begins.
    pub dials: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ConfiguredBoot {
    /// The boot loaders that copy kernels to /boot.
    pub copies: Vec<CopyingLoader>,
    /// Encrypted devices that nothing opens by itself.
    pub locked: Vec<String>,
    /// Whether somebody may open them from afar, or the initrd has other ways.
    pub unlocked_from_afar: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CopyingLoader {
    /// The option that limits how many generations it keeps.
    pub option: String,
    /// `None`: all of them.
    pub limit: Option<u64>,
}
