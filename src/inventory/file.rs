//! The shape of an inventory file: what may stand where. Its doc comments are what an editor shows, through the schema.
//!
//! Filled by [`decode`](super::decode), made into an [`Inventory`](super::model::Inventory) by
//! [`resolve`](super::resolve). Nothing here has a default: absent is absent, so that layers can lie over each other.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;

use super::fields::At;
use super::model::{Become, GuardAction, HookCommand, HostKey, HostName, LoaderKind, Size, UnitPattern};
use super::scalar::JumpTo;
use super::shapes;

/// The hosts of a fleet, how they are reached, and what must work between them. Read by fleetdeploy.
#[derive(Debug, Default, JsonSchema)]
#[schemars(
    default,
    deny_unknown_fields,
    title = "fleetdeploy inventory",
    transform = shapes::requires(&["hosts", "fleets"])
)]
pub(super) struct File {
    /// Settings of every host, unless a group, a fleet or the host itself says otherwise.
    pub(super) defaults: Option<Defaults>,
    /// Settings of every host with a tag, by tag. A host with several tags takes them in the order of its `tags`: later
    /// wins.
    #[schemars(schema_with = "shapes::by_name::<Settings>")]
    pub(super) groups: Option<Vec<(At<String>, Settings)>>,
    /// All machines, by name. The name is also the address, unless `address` says otherwise.
    #[schemars(schema_with = "shapes::by_name_or_empty::<HostEntry>")]
    pub(super) hosts: Option<Vec<(At<HostName>, HostEntry)>>,
    /// Sets of hosts that are pushed as one, by name.
    #[schemars(schema_with = "shapes::by_name::<FleetEntry>")]
    pub(super) fleets: Option<Vec<(At<String>, FleetEntry)>>,
}

/// The settings of every host and fleet that does not say otherwise.
#[derive(Debug, Default, JsonSchema)]
#[schemars(default, deny_unknown_fields)]
pub(super) struct Defaults {
    /// Commands on this workstation around every push; a fleet's own lists replace these.
    pub(super) hooks: Option<HooksEntry>,
    /// How long every unit that a push starts or restarts must have been up before the decision; `0s` is none. Default:
    /// 10s.
    #[schemars(schema_with = "shapes::duration")]
    pub(super) steady: Option<At<Duration>>,
    #[schemars(flatten)]
    pub(super) settings: Settings,
}

/// The settings of one host, of all hosts with a tag, of a fleet, or of all.
#[derive(Debug, Clone, Default, JsonSchema)]
#[schemars(default, deny_unknown_fields)]
pub(super) struct Settings {
    /// Who logs in. Absent: ssh decides.
    #[schemars(schema_with = "shapes::user")]
    pub(super) user: Option<At<String>>,
    /// The port of sshd. Absent: ssh decides.
    #[schemars(schema_with = "shapes::port")]
    pub(super) port: Option<At<u16>>,
    /// The private key, relative to the inventory's folder; `~/` is your home.
    #[schemars(schema_with = "shapes::text")]
    pub(super) identity: Option<At<PathBuf>>,
    /// The host of this inventory through which it is reached; `ssh:user@host:port` for any other machine; `none`.
    #[schemars(schema_with = "shapes::text")]
    pub(super) jump: Option<At<JumpTo>>,
    /// How the login becomes root.
    #[schemars(schema_with = "shapes::becoming")]
    pub(super) r#become: Option<At<Become>>,
    /// What happens with a host key that ssh does not know. A changed key is always refused.
    #[schemars(schema_with = "shapes::host_key")]
    pub(super) host_key: Option<At<HostKey>>,
    /// How long it may take from a reboot to a running sshd. Default: 5m.
    #[schemars(schema_with = "shapes::duration")]
    pub(super) boot_time: Option<At<Duration>>,
    /// How long until the guard brings the old system back, unless it is disarmed. Default: 15m.
    #[schemars(schema_with = "shapes::duration")]
    pub(super) guard: Option<At<Duration>>,
    /// What the guard does: `switch-back` for a host that needs a person at boot.
    #[schemars(schema_with = "shapes::guard_action")]
    pub(super) guard_action: Option<At<GuardAction>>,
    /// Which boot loader the host has, and where its files are mounted: only where the host does not find that out by
    /// itself.
    pub(super) boot_loader: Option<BootLoaderEntry>,
    /// The hypervisor that this host is a guest of: the guest's guard fires 1m and its `limits.switch` before the
    /// hypervisor's, or earlier.
    #[schemars(schema_with = "shapes::name")]
    pub(super) runs_on: Option<At<HostName>>,
    /// Whether a push goes on without this host when it does not answer. Default: false.
    #[schemars(with = "bool")]
    pub(super) optional: Option<At<bool>>,
    /// Whether the system is activated a second time when it is made permanent. Default: false.
    #[schemars(with = "bool")]
    pub(super) reactivate: Option<At<bool>>,
    /// How Nix brings the new system to the host.
    pub(super) nix: Option<NixEntry>,
    /// How long each kind of step may take.
    pub(super) limits: Option<LimitsEntry>,
    /// Which of its units a push looks at.
    pub(super) units: Option<UnitsEntry>,
}

/// Which units a push looks at.
#[derive(Debug, Clone, Default, JsonSchema)]
#[schemars(default, deny_unknown_fields)]
pub(super) struct UnitsEntry {
    /// Units that may fail, by name or glob: `restic-backups-*.service`. No push is rolled back for them, or waits for
    /// them.
    #[schemars(schema_with = "shapes::unit_patterns")]
    pub(super) ignore: Option<Vec<At<UnitPattern>>>,
}

/// The boot loader of the host. It decides which files are read; the files are checked all the same.
#[derive(Debug, Clone, Default, JsonSchema)]
#[schemars(default, deny_unknown_fields, extend("minProperties" = 1))]
pub(super) struct BootLoaderEntry {
    /// `init`: none at all, as in a container, where `/sbin/init` leads into the system. Absent: the host finds it out.
    #[schemars(schema_with = "shapes::loader_kind")]
    pub(super) kind: Option<At<LoaderKind>>,
    /// Where the partition with the loader's files is mounted, such as `/boot/esp`. Absent: the usual places.
    #[schemars(schema_with = "shapes::mount_point")]
    pub(super) esp: Option<At<String>>,
}

/// How Nix brings the new system to the host.
#[derive(Debug, Clone, Default, JsonSchema)]
#[schemars(default, deny_unknown_fields)]
pub(super) struct NixEntry {
    /// Whether the host itself fetches from its binary caches what these have, so that only the rest is sent. Default:
    /// false.
    #[schemars(with = "bool")]
    pub(super) substitute_on_destination: Option<At<bool>>,
    /// Whether the ssh connection to the host is compressed, for a slow line. Absent: ssh decides.
    #[schemars(with = "bool")]
    pub(super) compress: Option<At<bool>>,
}

/// How long each kind of step may take on a host.
#[derive(Debug, Clone, Default, JsonSchema)]
#[schemars(default, deny_unknown_fields)]
pub(super) struct LimitsEntry {
    /// One ssh login, jumps included. Default: 20s.
    #[schemars(schema_with = "shapes::duration")]
    pub(super) connect: Option<At<Duration>>,
    /// A short remote command. Default: 30s.
    #[schemars(schema_with = "shapes::duration")]
    pub(super) step: Option<At<Duration>>,
    /// Copying the new system. Default: 1h.
    #[schemars(schema_with = "shapes::duration")]
    pub(super) copy: Option<At<Duration>>,
    /// The new system's own checks before it is activated. Default: 5m.
    #[schemars(schema_with = "shapes::duration")]
    pub(super) check: Option<At<Duration>>,
    /// Activating the new system. Default: 4m.
    #[schemars(schema_with = "shapes::duration")]
    pub(super) test: Option<At<Duration>>,
    /// Installing the boot loader. Default: 90s.
    #[schemars(schema_with = "shapes::duration")]
    pub(super) switch: Option<At<Duration>>,
    /// Rolling one host back. Default: 5m.
    #[schemars(schema_with = "shapes::duration")]
    pub(super) rollback: Option<At<Duration>>,
}

/// A machine. Its settings win over those of `defaults`, its groups and its fleet.
#[derive(Debug, Default, JsonSchema)]
#[schemars(default, deny_unknown_fields, transform = shapes::not_both("address", "addresses"))]
pub(super) struct HostEntry {
    /// Where ssh connects to: a DNS name, an IP address or an alias of ~/.ssh/config. Default: the host's name.
    #[schemars(schema_with = "shapes::address")]
    pub(super) address: Option<At<String>>,
    /// Instead of `address`: where it is looked for, in this order. The first that answers is used for the whole run.
    #[schemars(schema_with = "shapes::addresses")]
    pub(super) addresses: Option<Vec<At<String>>>,
    /// Its address inside the VPN.
    #[schemars(schema_with = "shapes::address")]
    pub(super) vpn: Option<At<String>>,
    /// Words to choose hosts by, as `@tag`, and to give them the settings of groups.
    #[schemars(schema_with = "shapes::names")]
    pub(super) tags: Option<Vec<At<String>>>,
    /// What this push changes about the way to the host: used once the new system runs.
    pub(super) after: Option<AfterEntry>,
    #[schemars(flatten)]
    pub(super) settings: Settings,
}

/// What this push changes about the way to the host.
#[derive(Debug, Default, JsonSchema)]
#[schemars(default, deny_unknown_fields)]
pub(super) struct AfterEntry {
    /// The new `address`.
    #[schemars(schema_with = "shapes::address")]
    pub(super) address: Option<At<String>>,
    /// The new `port`.
    #[schemars(schema_with = "shapes::port")]
    pub(super) port: Option<At<u16>>,
    /// The new `user`.
    #[schemars(schema_with = "shapes::user")]
    pub(super) user: Option<At<String>>,
    /// The new `vpn` address.
    #[schemars(schema_with = "shapes::address")]
    pub(super) vpn: Option<At<String>>,
}

/// A set of hosts that is pushed as one. Its settings win over those of `defaults` and groups.
#[derive(Debug, Default, JsonSchema)]
#[schemars(
    default,
    deny_unknown_fields,
    transform = shapes::exactly_one_source,
    transform = shapes::requires(&["hosts"])
)]
pub(super) struct FleetEntry {
    /// Names, globs like `web*`, `"@tag"` or `all`: one, or a list.
    #[schemars(schema_with = "shapes::one_or_many")]
    pub(super) hosts: Option<Vec<At<String>>>,
    /// The flake with the hosts' systems, relative to the inventory's folder.
    #[schemars(schema_with = "shapes::text")]
    pub(super) flake: Option<At<String>>,
    /// A Nix file with the hosts' systems, without flakes, relative to the inventory's folder.
    #[schemars(schema_with = "shapes::text")]
    pub(super) file: Option<At<PathBuf>>,
    /// A system for each host that is built already, as a store path, by the host's name.
    #[schemars(schema_with = "shapes::system_by_name")]
    pub(super) system: Option<At<SystemEntries>>,
    /// Where in the flake or file a host's system is; `{host}` stands for its name.
    /// Default: `nixosConfigurations."{host}".config.system.build.toplevel`, in a file without `nixosConfigurations`.
    #[schemars(schema_with = "shapes::text")]
    pub(super) attr: Option<At<String>>,
    /// What must work. Default: `vpn: mesh` between the hosts with a `vpn` address.
    #[schemars(with = "Vec<CheckEntry>")]
    pub(super) checks: Option<Vec<At<CheckEntry>>>,
    /// Commands on this workstation around a push of this fleet.
    pub(super) hooks: Option<HooksEntry>,
    /// The hosts on which a push activates the new systems first: names, globs like `web*`, `"@tag"`: one, or a list.
    #[schemars(schema_with = "shapes::one_or_many")]
    pub(super) canary: Option<Vec<At<String>>>,
    /// The sizes of the first waves of a push, in hosts or in percent: `[1, 25%]`, or `"1,25%"`. All hosts that are
    /// left are the last wave.
    #[schemars(schema_with = "shapes::waves")]
    pub(super) waves: Option<Vec<Size>>,
    /// How long links may take to come up once the new systems run. Default: 60s.
    #[schemars(schema_with = "shapes::duration")]
    pub(super) settle: Option<At<Duration>>,
    /// How long every unit that a push starts or restarts must have been up before the decision; `0s` is none. Default:
    /// 10s.
    #[schemars(schema_with = "shapes::duration")]
    pub(super) steady: Option<At<Duration>>,
    /// How long the build of the whole fleet may take. Default: 2h.
    #[schemars(schema_with = "shapes::duration")]
    pub(super) build_limit: Option<At<Duration>>,
    #[schemars(flatten)]
    pub(super) settings: Settings,
}

/// Commands on this workstation around a push, one after the other, in the inventory's folder.
#[derive(Debug, Clone, Default, JsonSchema)]
#[schemars(default, deny_unknown_fields)]
pub(super) struct HooksEntry {
    /// Before anything else. One that fails refuses the push.
    #[schemars(schema_with = "shapes::hooks::<HookEntry>")]
    pub(super) before: Option<Vec<HookEntry>>,
    /// After a push that has committed, or had nothing to do.
    #[schemars(schema_with = "shapes::hooks::<HookEntry>")]
    pub(super) after_commit: Option<Vec<HookEntry>>,
    /// After a push that was refused, rolled back or split.
    #[schemars(schema_with = "shapes::hooks::<HookEntry>")]
    pub(super) after_abort: Option<Vec<HookEntry>>,
}

/// The long form of a hook; the short one is its `command` alone.
#[derive(Debug, Clone, Default, JsonSchema)]
#[schemars(default, deny_unknown_fields, transform = shapes::requires(&["command"]))]
pub(super) struct HookEntry {
    /// What the screen calls it.
    #[schemars(schema_with = "shapes::text")]
    pub(super) name: Option<At<String>>,
    /// A list is a program with its arguments, a text goes to `sh -c`.
    #[schemars(schema_with = "shapes::one_or_many")]
    pub(super) command: Option<At<HookCommand>>,
    /// How long it may run. Default: 5m.
    #[schemars(schema_with = "shapes::duration")]
    pub(super) timeout: Option<At<Duration>>,
}

/// Store paths by the names of hosts.
pub(super) type SystemEntries = Vec<(At<String>, At<PathBuf>)>;

/// A thing that must work, seen from somewhere: exactly one of `vpn`, `ping`, `tcp`, `http`, `dns`, `wireguard`,
/// `command`.
#[derive(Debug, Default, JsonSchema)]
#[schemars(default, deny_unknown_fields, transform = shapes::exactly_one_kind)]
pub(super) struct CheckEntry {
    /// What the screen calls it.
    #[schemars(schema_with = "shapes::text")]
    pub(super) name: Option<At<String>>,
    /// The hosts it runs on, or `workstation`. Default: every host of the fleet. A host looks at itself only if it is
    /// named here.
    #[schemars(schema_with = "shapes::one_or_many")]
    pub(super) from: Option<Vec<At<String>>>,
    /// What `ping`, `tcp` and `wireguard` look at: hosts or other addresses.
    #[schemars(schema_with = "shapes::one_or_many")]
    pub(super) to: Option<Vec<At<String>>>,
    /// Whether a push is rolled back if it fails. Default: true.
    #[schemars(with = "bool")]
    pub(super) required: Option<At<bool>>,
    /// How long one probe may take. Default: 5s, for a `command` 30s.
    #[schemars(schema_with = "shapes::duration")]
    pub(super) timeout: Option<At<Duration>>,
    /// `mesh`: every host reaches every other one inside the VPN. `{hub: HOST}`: the hub and every other host reach
    /// each other.
    #[schemars(schema_with = "shapes::word_or_map::<shapes::Mesh, HubEntry>")]
    pub(super) vpn: Option<At<VpnEntry>>,
    /// Pings hosts or addresses, named here or as `to`.
    #[schemars(schema_with = "shapes::one_or_many_or_empty")]
    pub(super) ping: Option<At<Vec<At<String>>>>,
    /// Connects to this port of the hosts or addresses in `to`.
    #[schemars(schema_with = "shapes::port")]
    pub(super) tcp: Option<At<u16>>,
    /// Asks for this web address.
    #[schemars(schema_with = "shapes::word_or_map::<shapes::Text, HttpEntry>")]
    pub(super) http: Option<At<HttpEntry>>,
    /// Resolves this name.
    #[schemars(schema_with = "shapes::word_or_map::<shapes::Text, DnsEntry>")]
    pub(super) dns: Option<At<DnsEntry>>,
    /// The WireGuard peers, named here or as `to`, have shaken hands lately.
    #[schemars(schema_with = "shapes::peers::<WireguardEntry>")]
    pub(super) wireguard: Option<At<WireguardEntry>>,
    /// A command that must exit with 0: a list is a program with its arguments, a text goes to `sh -c`.
    #[schemars(schema_with = "shapes::one_or_many")]
    pub(super) command: Option<At<HookCommand>>,
}

/// The value of `vpn`.
#[derive(Debug)]
pub(super) enum VpnEntry {
    Mesh,
    Hub(At<HostName>),
}

/// The long form of `vpn`.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "only the schema is made from it: the value is a `VpnEntry`")]
pub(super) struct HubEntry {
    /// The host in the middle.
    #[schemars(schema_with = "shapes::name")]
    hub: HostName,
}

/// The value of `http`; a text is the `url` alone.
#[derive(Debug, Default, JsonSchema)]
#[schemars(default, deny_unknown_fields, transform = shapes::requires(&["url"]))]
pub(super) struct HttpEntry {
    /// Begins with `http://` or `https://`.
    #[schemars(schema_with = "shapes::text")]
    pub(super) url: Option<At<String>>,
    /// The status of the answer. Default: any from 200 to 399.
    #[schemars(schema_with = "shapes::status")]
    pub(super) status: Option<At<u16>>,
    /// A text of one line that the page has in it, letter by letter, in its first megabyte.
    #[schemars(schema_with = "shapes::text")]
    pub(super) body: Option<At<String>>,
}

/// The value of `dns`; a text is the `query` alone.
#[derive(Debug, Default, JsonSchema)]
#[schemars(default, deny_unknown_fields, transform = shapes::requires(&["query"]))]
pub(super) struct DnsEntry {
    /// The name to resolve.
    #[schemars(schema_with = "shapes::address")]
    pub(super) query: Option<At<String>>,
    /// The server to ask. Default: the one that the host uses.
    #[schemars(schema_with = "shapes::address")]
    pub(super) server: Option<At<String>>,
}

/// The long form of `wireguard`; the short one names the peers.
#[derive(Debug, Default, JsonSchema)]
#[schemars(default, deny_unknown_fields)]
pub(super) struct WireguardEntry {
    /// The peers of the short form.
    #[schemars(skip)]
    pub(super) peers: Vec<At<String>>,
    /// How old the latest handshake may be. Default: 3m.
    #[schemars(schema_with = "shapes::duration")]
    pub(super) handshake: Option<At<Duration>>,
}
