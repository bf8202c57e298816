use std::fmt;

use super::{Worded, words};
use crate::event::reason::look_ahead::{LookAhead, NotSeenAhead};

impl fmt::Display for LookAhead {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SshdOff => {
                formatter.write_str("its new system has no sshd (`services.openssh.enable` is false): no login")
            }
            Self::SshPortGone { port, ports } => write!(
                formatter,
                "the sshd of its new system listens on {}, and is reached on port {port} now \
                 (`services.openssh.ports`)",
                all(ports)
            ),
            Self::SshPortClosed { ports } => write!(
                formatter,
                "the firewall of its new system has {} closed, where sshd listens \
                 (`networking.firewall.allowedTCPPorts`)",
                all(ports)
            ),
            Self::RootLoginOff { setting } => write!(
                formatter,
                "the sshd of its new system does not take root, who logs in \
                 (`services.openssh.settings.PermitRootLogin` is \"{setting}\")"
            ),
            Self::LoginNotAllowed { user, option } => {
                write!(formatter, "the sshd of its new system does not take {user}, who logs in (`{option}`)")
            }
            Self::LoginUserGone { user } => write!(
                formatter,
                "its new system has no user {user}, who logs in (`users.users.{user}` is not there, or not enabled)"
            ),
            Self::LoginKeysGone { user } => write!(
                formatter,
                "its new system has no key with which {user} could log in \
                 (`users.users.{user}.openssh.authorizedKeys.keys` is empty)"
            ),
            Self::RootProgramOff { program } => write!(
                formatter,
                "its new system has no {program}, by which the login becomes root (`security.{program}.enable` is \
                 false)"
            ),
            Self::RootRuleGone { user } => write!(
                formatter,
                "no rule of sudo of its new system is about {user}, who becomes root by it (`extraRules` of \
                 `security.sudo` or `security.sudo-rs`)"
            ),
            Self::VpnAddressGone { vpn, option } => {
                write!(formatter, "no interface of its new system has its VPN address {vpn} (`{option}`)")
            }
            Self::VpnPeerGone { vpn, to, option } => write!(
                formatter,
                "no WireGuard peer of its new system leads to {vpn}, the VPN address of {to} (`{option}`, \
                 `allowedIPs`)"
            ),
            Self::VpnPortClosed { interface, port } => write!(
                formatter,
                "the firewall of its new system has UDP port {port} closed, where all peers of {interface} are to \
                 call it (`networking.firewall.allowedUDPPorts`)"
            ),
            Self::BootRoomShort { option, free_bytes } => write!(
                formatter,
                "its boot loader keeps every generation, and /boot has {} left (`{option}` is not set)",
                words::size(*free_bytes)
            ),
            Self::PassphraseAhead { devices } => write!(
                formatter,
                "its new system wants a passphrase at boot for {}, and the one that runs does not \
                 (`boot.initrd.luks.devices`)",
                devices.join(", ")
            ),
        }
    }
}

impl Worded for LookAhead {
    fn mend(&self) -> Option<String> {
        Some(match self {
            Self::SshdOff => "services.openssh.enable = true;".to_owned(),
            Self::SshPortGone { port, .. } => {
                format!(
                    "add {port} to `services.openssh.ports`, or `after: {{port: ...}}` in the inventory if it is to \
                     move"
                )
            }
            Self::SshPortClosed { ports } => {
                let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
                let ports = ports.join(" ");
                format!(
                    "`services.openssh.openFirewall = true;`, or add {ports} to `networking.firewall.allowedTCPPorts`"
                )
            }
            Self::RootLoginOff { .. } => {
                let mend = "`services.openssh.settings.PermitRootLogin = \"prohibit-password\";`, or `user` in the \
                            inventory";
                mend.to_owned()
            }
            Self::LoginNotAllowed { user, option } if option.ends_with("DenyUsers") => {
                format!("take {user} out of `{option}`")
            }
            Self::LoginNotAllowed { user, option } => format!("add {user} to `{option}`"),
            Self::LoginUserGone { user } => {
                format!(
                    "declare {user} with its keys and its way to root, or `after: {{user: ...}}` in the inventory if \
                     another one logs in then"
                )
            }
            Self::LoginKeysGone { user } => {
                format!("add the key to `users.users.{user}.openssh.authorizedKeys.keys`")
            }
            Self::RootProgramOff { program } => {
                format!("`security.{program}.enable = true;`, or `become` in the inventory")
            }
            Self::RootRuleGone { user } => format!(
                "add `{{ users = [ \"{user}\" ]; commands = [ {{ command = \"ALL\"; options = [ \"NOPASSWD\" ]; }} ]; \
                 }}` to `security.sudo.extraRules`, or to those of `security.sudo-rs` where that is on"
            ),
            Self::VpnAddressGone { option, .. } if option.ends_with(".enable") => format!("{option} = true;"),
            Self::VpnAddressGone { vpn, option } => {
                format!("give {option} the address {vpn}, or `after: {{vpn: ...}}` in the inventory if it is to move")
            }
            Self::VpnPeerGone { vpn, to, option } => {
                format!("{option}: a peer for {to} with allowedIPs = [ \"{vpn}\" ];")
            }
            Self::VpnPortClosed { port, .. } => format!("add {port} to `networking.firewall.allowedUDPPorts`"),
            Self::BootRoomShort { option, .. } => format!("{option} = 10;"),
            Self::PassphraseAhead { .. } => {
                let mend = "boot.initrd.clevis, a keyFile or boot.initrd.network.ssh; or say by `guard_action` in the \
                            inventory that somebody is there";
                mend.to_owned()
            }
        })
    }
}

impl fmt::Display for NotSeenAhead {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ConfigurationNotAwaited => formatter.write_str(
                "the new configuration is not known yet: its evaluation takes longer than this look at hosts",
            ),
            Self::ConfigurationNotEvaluated { said } => {
                write!(formatter, "the new configuration is not known, because it does not evaluate: {said}")
            }
        }
    }
}

impl Worded for NotSeenAhead {
    fn stake(&self) -> Option<&'static str> {
        match self {
            Self::ConfigurationNotAwaited => None,
            Self::ConfigurationNotEvaluated { .. } => Some("a push is refused as long as this is so"),
        }
    }

    fn mend(&self) -> Option<String> {
        match self {
            Self::ConfigurationNotAwaited => Some("`fleetdeploy plan` waits for it".to_owned()),
            Self::ConfigurationNotEvaluated { .. } => None,
        }
    }
}

/// `port 22`, `ports 22, 2222`.
fn all(ports: &[u16]) -> String {
    let listed: Vec<String> = ports.iter().map(ToString::to_string).collect();
    format!("port{} {}", if ports.len() == 1 { "" } else { "s" }, listed.join(", "))
}
