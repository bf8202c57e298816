//! What the evaluated configuration of a host says against it being reached once it runs.

use schemars::JsonSchema;
use serde::Serialize;
use strum::{IntoStaticStr, VariantNames};

use crate::inventory::model::HostName;

/// What a new system would do to the ways into its host, as its configuration says; each with the option that says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum LookAhead {
    /// There is no sshd any more.
    SshdOff,
    /// sshd does not listen any more where it is reached now.
    SshPortGone { port: u16, ports: Vec<u16> },
    /// The firewall lets nobody in to sshd.
    SshPortClosed { ports: Vec<u16> },
    /// sshd does not take root, and root is who logs in.
    RootLoginOff { setting: String },
    /// sshd does not take the user that logs in.
    LoginNotAllowed { user: String, option: String },
    /// The user that logs in is not there any more.
    LoginUserGone { user: String },
    /// The user that logs in has no key any more.
    LoginKeysGone { user: String },
    /// The program by which the login becomes root is switched off.
    RootProgramOff { program: String },
    /// No rule of sudo is about the login any more.
    RootRuleGone { user: String },
    /// No interface has the host's VPN address any more.
    VpnAddressGone {
        vpn: String,
        /// The option that has such addresses now.
        option: String,
    },
    /// No WireGuard peer has the address of a host any more that a link leads to.
    VpnPeerGone {
        vpn: String,
        to: HostName,
        /// The option that has the peers.
        option: String,
    },
    /// All peers of a WireGuard interface are to call it, and the firewall lets none in.
    VpnPortClosed { interface: String, port: u16 },
    /// The boot loader keeps all generations, and /boot has little room left.
    BootRoomShort { option: String, free_bytes: u64 },
    /// A disk wants a passphrase at boot, which it does not now.
    PassphraseAhead { devices: Vec<String> },
}

/// Why the new configuration of a fleet was not looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum NotSeenAhead {
    /// Its evaluation takes longer than everything else.
    ConfigurationNotAwaited,
    /// It does not evaluate.
    ConfigurationNotEvaluated {
        /// The words of nix.
        said: String,
    },
}
