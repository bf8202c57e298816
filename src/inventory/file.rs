//! The table of all keys of an inventory: what may stand where, one entry a key. Its comments are what an editor and
//! `docs/inventory.md` show, through the schema.
//!
//! [`table`] makes of each entry a field, its schema, its reader, its rule for layers and its default; what is more
//! than one value reads [`decode`]. [`resolve`](super::resolve) makes an [`Inventory`](super::model::Inventory) of it.
//! In the fields absent is absent, so that layers can lie over each other: below all of them lies the default.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;

use super::fields::{At, FieldValue};
use super::model::{
    Become, BuildOn, GuardAction, HookCommand, HostKey, HostName, LoaderKind, Size, Substitute, UnitPattern,
};
use super::scalar::JumpTo;
use super::{scalar, shapes};
use crate::facts::attr_path::AttrPath;
use crate::facts::store_path::StorePath;
use table::{hours, keys, minutes, seconds};

pub(super) mod decode;
pub(super) mod table;

keys! {
/// The hosts of a fleet, how they are reached, and what must work between them. Read by fleetdeploy.
#[schemars(title = "fleetdeploy inventory", transform = shapes::requires(&["hosts", "fleets"]))]
by_key File in "the top of the file" {
    /// Settings of every host, unless a group, a fleet or the host itself says otherwise.
    defaults: Defaults = Defaults::of;
    /// Settings of every host with a tag, by tag. A host with several tags takes them in the order of its `tags`: later
    /// wins.
    #[schemars(schema_with = "shapes::by_name::<Settings>")]
    groups: Vec<(At<String>, Settings)> = |value| decode::by_name(value, "group", scalar::name, Settings::of);
    /// All machines, by name. The name is also the address, unless `address` says otherwise.
    #[schemars(schema_with = "shapes::by_name_or_empty::<HostEntry>")]
    hosts: Vec<(At<HostName>, HostEntry)> =
        |value| decode::by_name(value, "host", scalar::host_name, |value| Some(decode::host(value)));
    /// Sets of hosts that are pushed as one, by name.
    #[schemars(schema_with = "shapes::by_name::<FleetEntry>")]
    fleets: Vec<(At<String>, FleetEntry)> = |value| decode::by_name(value, "fleet", scalar::name, decode::fleet);
}
}

keys! {
/// The settings of every host and fleet that does not say otherwise.
by_key Defaults in "`defaults`" {} and of_fleet: FleetSettings and settings: Settings
}

keys! {
/// The settings of one fleet, or of all.
by_key FleetSettings in "a fleet, or `defaults`" {
    /// Commands on this workstation around a push; a fleet's own lists replace those of `defaults`.
    hooks: HooksEntry = HooksEntry::of;
    /// How long every unit that a push starts or restarts must have been up before the decision; `0s` is none.
    // A service that ends with its first request, or at its first try to reach another, has mostly ended by then.
    #[schemars(schema_with = "shapes::duration")]
    steady: At<Duration> = FieldValue::duration_or_none, default seconds(10);
    /// How many logins, and how many copies, are under way at once; the other hosts wait for their turn. Connections
    /// that are open are not counted.
    // A copy takes some 40 MB of memory on the workstation (measured).
    #[schemars(schema_with = "shapes::parallel")]
    parallel: At<u16> = |value| value.number(scalar::parallel), default 16;
    /// Where the new systems are put once a push, before they are copied: what several hosts need then leaves this
    /// workstation once. What the hosts do not fetch from there is copied as without it.
    cache: CacheEntry = decode::cache;
    /// How the systems are evaluated: how many nix processes at once, and with how much memory.
    evaluate: EvaluateEntry = EvaluateEntry::of;
}
}

keys! {
/// How the systems are evaluated.
by_key EvaluateEntry in "the map behind `evaluate`" {
    /// How many nix processes evaluate at once, each some of the hosts. Absent: one for each processor and each GiB of
    /// three quarters of the free memory.
    #[schemars(schema_with = "shapes::workers")]
    workers: At<u16> = |value| value.number(scalar::workers);
    /// How much memory these processes may take, all together: `4GiB`. A process with several hosts takes no more than
    /// its share; one host may take more, and then fewer run at once. Absent: 1 GiB for each.
    #[schemars(schema_with = "shapes::memory")]
    memory: At<u64> = |value| value.parse(scalar::memory);
}
}

keys! {
/// The settings of one host, of all hosts with a tag, of a fleet, or of all.
by_key Settings in "a host, a group, a fleet or `defaults`" {
    /// Who logs in. Absent: ssh decides.
    #[schemars(schema_with = "shapes::user")]
    user: At<String> = |value| value.parse(scalar::user);
    /// The port of sshd. Absent: ssh decides.
    #[schemars(schema_with = "shapes::port")]
    port: At<u16> = |value| value.number(scalar::port);
    /// The private key, relative to the inventory's folder; `~/` is your home.
    #[schemars(schema_with = "shapes::text")]
    identity: At<PathBuf> = |value| value.parse(scalar::identity);
    /// The host of this inventory through which it is reached; `ssh:user@host:port` for any other machine; `none`.
    #[schemars(schema_with = "shapes::text")]
    jump: At<JumpTo> = |value| value.parse(scalar::jump);
    /// How the login becomes root. A list of words is a command that runs the words after its own as root, such as
    /// `[sudo, -n, -u, root, --]`.
    #[schemars(schema_with = "shapes::becoming")]
    r#become: At<Become> = decode::becoming, owned default Become::Auto;
    /// What happens with a host key that ssh does not know. A changed key is always refused.
    #[schemars(schema_with = "shapes::host_key")]
    host_key: At<HostKey> = |value| value.parse(scalar::host_key), default HostKey::Strict;
    /// How long it may take from a reboot to a running sshd.
    // Servers count their memory for minutes, and waiting too long costs nothing.
    #[schemars(schema_with = "shapes::duration")]
    boot_time: At<Duration> = FieldValue::duration, default minutes(5);
    /// How long until the guard brings the old system back, unless it is disarmed.
    // The time between arming and the reboot that kept the homelab alive (docs/design.md, "Where it comes from").
    #[schemars(schema_with = "shapes::duration")]
    guard: At<Duration> = FieldValue::duration, default minutes(15);
    /// What the guard does: `switch-back` for a host that needs a person at boot.
    #[schemars(schema_with = "shapes::guard_action")]
    guard_action: At<GuardAction> = |value| value.parse(scalar::guard_action), default GuardAction::Reboot;
    /// Which boot loader the host has, and where its files are mounted: only where the host does not find that out by
    /// itself.
    boot_loader: BootLoaderEntry = decode::boot_loader;
    /// The hypervisor that this host is a guest of: the guest's guard fires 1m and its `limits.switch` before the
    /// hypervisor's, or earlier.
    #[schemars(schema_with = "shapes::name")]
    runs_on: At<HostName> = |value| value.parse(scalar::host_name);
    /// Whether a push goes on without this host when it does not answer.
    #[schemars(with = "bool")]
    optional: At<bool> = FieldValue::boolean, default false;
    /// Whether the system is activated a second time when it is made permanent.
    #[schemars(with = "bool")]
    reactivate: At<bool> = FieldValue::boolean, default false;
    /// Where the new system is built: `workstation`, `target` (on the host itself), or a host of this inventory, from
    /// which it is then copied. The host's own Nix builds, for any login that it lets in.
    #[schemars(schema_with = "shapes::text")]
    build_on: At<BuildOn> = |value| value.parse(scalar::build_on), owned default BuildOn::Workstation;
    /// How Nix brings the new system to the host.
    nix: NixEntry = NixEntry::of;
    /// How long each kind of step may take.
    limits: LimitsEntry = LimitsEntry::of;
    /// Which of its units a push looks at.
    units: UnitsEntry = UnitsEntry::of;
}
}

keys! {
/// Which units a push looks at.
by_key UnitsEntry in "the map behind `units`" {
    /// Units that may fail, by name or glob: `restic-backups-*.service`. No push is rolled back for them, or waits for
    /// them.
    #[schemars(schema_with = "shapes::unit_patterns")]
    ignore: Vec<At<UnitPattern>> = decode::unit_patterns;
}
}

keys! {
/// The boot loader of the host. It decides which files are read; the files are checked all the same.
#[schemars(extend("minProperties" = 1))]
whole BootLoaderEntry in "the map behind `boot_loader`" {
    /// `init`: none at all, as in a container, where `/sbin/init` leads into the system. Absent: the host finds it out.
    #[schemars(schema_with = "shapes::loader_kind")]
    kind: At<LoaderKind> = |value| value.parse(scalar::loader_kind);
    /// Where the partition with the loader's files is mounted, such as `/boot/esp`. Absent: the usual places.
    #[schemars(schema_with = "shapes::mount_point")]
    esp: At<String> = |value| value.parse(scalar::mount_point);
}
}

keys! {
/// A store that nix can copy to, or a command that fills one: either `to` or `command`.
#[schemars(transform = shapes::not_both("to", "command"), extend("minProperties" = 1))]
whole CacheEntry in "the map behind `cache`" {
    /// The store, as `nix copy --to` has it: `ssh-ng://HOST`, `file:///srv/cache?compression=zstd`, `s3://...`. A
    /// `HOST` of the fleet is reached as the fleet reaches it.
    #[schemars(schema_with = "shapes::store")]
    to: At<String> = |value| value.parse(scalar::store);
    /// What puts the systems into a cache: their paths are on its stdin, one a line. A list is a program with its
    /// arguments, a text goes to `sh -c`.
    #[schemars(schema_with = "shapes::one_or_many")]
    command: At<HookCommand> = decode::checks::command;
    /// Where the hosts fetch from, as root: a binary cache, or `ssh-ng://` for which root of each host has a key.
    /// Absent: from the caches in their own configuration, if these answer.
    #[schemars(schema_with = "shapes::store")]
    from: At<String> = |value| value.parse(scalar::store);
    /// The key whose signatures the hosts take for what they fetch, as in nix.settings.trusted-public-keys. Absent:
    /// only those keys that they trust already.
    #[schemars(schema_with = "shapes::public_key")]
    public_key: At<String> = |value| value.parse(scalar::public_key);
}
}

keys! {
/// How Nix brings the new system to the host; of a fleet, or of all, also how its systems are evaluated.
by_key NixEntry in "the map behind `nix`" {
    /// Whether the host itself fetches from its binary caches what these have, so that only the rest is sent. `auto`:
    /// where all of them answer it in 5 s.
    #[schemars(schema_with = "shapes::substitute")]
    substitute_on_destination: At<Substitute> = decode::substitute, default Substitute::Never;
    /// Whether the ssh connection to the host is compressed, for a slow line. Absent: ssh decides.
    #[schemars(with = "bool")]
    compress: At<bool> = FieldValue::boolean;
    /// In a fleet, or in `defaults`: whether the evaluation may read everything of this workstation. Its results are
    /// not kept for the next one. Absent: no.
    #[schemars(with = "bool")]
    impure: At<bool> = FieldValue::boolean;
    /// In a fleet, or in `defaults`: other flakes in the place of the flake's inputs, by the input's name; relative to
    /// the inventory's folder.
    #[schemars(schema_with = "shapes::text_by_input")]
    override_inputs: At<BTreeMap<String, String>> = decode::override_inputs;
    /// In a fleet, or in `defaults`: settings of Nix for the evaluation and for what is built on this workstation, by
    /// name, as in nix.conf. A host that builds has its own.
    #[schemars(schema_with = "shapes::text_by_setting")]
    options: At<BTreeMap<String, String>> = decode::nix_options;
    /// In a fleet, or in `defaults`: whether settings of Nix are taken over that the flake brings (`nixConfig`), for
    /// the evaluation and for what is built on this workstation. Results are not kept then: such a setting may make the
    /// evaluation impure. Absent: no.
    #[schemars(with = "bool")]
    accept_flake_config: At<bool> = FieldValue::boolean;
    /// The file with the secret key by which what is built here, or on another host, is signed before it is copied:
    /// relative to the inventory's folder; `~/` is your home. The host's `trusted-public-keys` must have the public
    /// one.
    #[schemars(schema_with = "shapes::text")]
    sign_key: At<PathBuf> = |value| value.parse(scalar::identity);
}
}

keys! {
/// How long each kind of step may take on a host.
// Their sum, with the settle time, stays below the default guard; held by `tests/inventory.rs`.
by_key LimitsEntry in "the map behind `limits`" {
    /// One ssh login, jumps included.
    #[schemars(schema_with = "shapes::duration")]
    connect: At<Duration> = FieldValue::duration, default seconds(20);
    /// A short remote command.
    #[schemars(schema_with = "shapes::duration")]
    step: At<Duration> = FieldValue::duration, default seconds(30);
    /// Copying the new system.
    #[schemars(schema_with = "shapes::duration")]
    copy: At<Duration> = FieldValue::duration, default hours(1);
    /// The new system's own checks before it is activated.
    #[schemars(schema_with = "shapes::duration")]
    check: At<Duration> = FieldValue::duration, default minutes(5);
    /// Activating the new system.
    #[schemars(schema_with = "shapes::duration")]
    test: At<Duration> = FieldValue::duration, default minutes(4);
    /// Installing the boot loader.
    #[schemars(schema_with = "shapes::duration")]
    switch: At<Duration> = FieldValue::duration, default seconds(90);
    /// Rolling one host back.
    #[schemars(schema_with = "shapes::duration")]
    rollback: At<Duration> = FieldValue::duration, default minutes(5);
}
}

keys! {
/// A machine. Its settings win over those of `defaults`, its groups and its fleet.
#[schemars(transform = shapes::not_both("address", "addresses"))]
by_key HostEntry in "a host" {
    /// Where ssh connects to: a DNS name, an IP address or an alias of ~/.ssh/config. Default: the host's name.
    #[schemars(schema_with = "shapes::address")]
    address: At<String> = |value| value.parse(scalar::address);
    /// Instead of `address`: where it is looked for, in this order. The first that answers is used for the whole run.
    #[schemars(schema_with = "shapes::addresses")]
    addresses: Vec<At<String>> = decode::addresses;
    /// Its address inside the VPN.
    #[schemars(schema_with = "shapes::address")]
    vpn: At<String> = |value| value.parse(scalar::address);
    /// Words to choose hosts by, as `@tag`, and to give them the settings of groups.
    #[schemars(schema_with = "shapes::names")]
    tags: Vec<At<String>> = decode::tags;
    /// What this push changes about the way to the host: used once the new system runs.
    after: AfterEntry = AfterEntry::of;
} and settings: Settings
}

keys! {
/// What this push changes about the way to the host.
by_key AfterEntry in "the map behind `after`" {
    /// The new `address`.
    #[schemars(schema_with = "shapes::address")]
    address: At<String> = |value| value.parse(scalar::address);
    /// The new `port`.
    #[schemars(schema_with = "shapes::port")]
    port: At<u16> = |value| value.number(scalar::port);
    /// The new `user`.
    #[schemars(schema_with = "shapes::user")]
    user: At<String> = |value| value.parse(scalar::user);
    /// The new `vpn` address.
    #[schemars(schema_with = "shapes::address")]
    vpn: At<String> = |value| value.parse(scalar::address);
}
}

/// The default `attr` in a flake.
pub(super) const ATTR_OF_FLAKE: &str = "nixosConfigurations.\"{host}\".config.system.build.toplevel";
/// That in a file.
pub(super) const ATTR_OF_FILE: &str = "\"{host}\".config.system.build.toplevel";

keys! {
/// A set of hosts that is pushed as one. Its settings win over those of `defaults` and groups.
#[schemars(transform = shapes::exactly_one_source, transform = shapes::requires(&["hosts"]))]
by_key FleetEntry in "a fleet" {
    /// Names, globs like `web*`, `"@tag"` or `all`: one, or a list.
    #[schemars(schema_with = "shapes::one_or_many")]
    hosts: Vec<At<String>> = decode::texts;
    /// The flake with the hosts' systems, relative to the inventory's folder.
    #[schemars(schema_with = "shapes::text")]
    flake: At<String> = |value| value.parse(scalar::flake);
    /// A Nix file with the hosts' systems, without flakes, relative to the inventory's folder.
    #[schemars(schema_with = "shapes::text")]
    file: At<PathBuf> = |value| value.parse(scalar::file);
    /// A system for each host that is built already, as a store path, by the host's name.
    #[schemars(schema_with = "shapes::system_by_name")]
    system: At<SystemEntries> = decode::systems;
    /// Where in the flake or file a host's system is; `{host}` stands for its name.
    #[schemars(schema_with = "shapes::text")]
    #[schemars(transform = shapes::with_default_attrs(ATTR_OF_FLAKE, ATTR_OF_FILE))]
    attr: At<AttrPath> = |value| value.parse(scalar::attr);
    /// What must work. Default: `vpn: mesh` between the hosts with a `vpn` address.
    #[schemars(with = "Vec<CheckEntry>")]
    checks: Vec<At<CheckEntry>> = decode::checks::checks;
    /// The hosts on which a push activates the new systems first: names, globs like `web*`, `"@tag"`: one, or a list.
    #[schemars(schema_with = "shapes::one_or_many")]
    canary: Vec<At<String>> = decode::some_texts;
    /// The sizes of the first waves of a push, in hosts or in percent: `[1, 25%]`, or `"1,25%"`. All hosts that are
    /// left are the last wave.
    #[schemars(schema_with = "shapes::waves")]
    waves: Vec<Size> = decode::waves;
    /// How long links may take to come up once the new systems run.
    // Three rounds of a matrix, and a WireGuard handshake that needs its second or third attempt.
    #[schemars(schema_with = "shapes::duration")]
    settle: At<Duration> = FieldValue::duration, default seconds(60);
    /// How long the build of the whole fleet may take.
    // Nothing is touched while it runs, so it is long: a kernel may be built.
    #[schemars(schema_with = "shapes::duration")]
    build_limit: At<Duration> = FieldValue::duration, default hours(2);
} and of_fleet: FleetSettings and settings: Settings
}

keys! {
/// Commands on this workstation around a push, one after the other, in the inventory's folder. Their environment tells
/// of the push: `FLEETDEPLOY_FLEET`, `_RUN`, `_RECORD`, `_INVENTORY`, `_HOSTS`, `_PHASE`, `_SOURCE`, `_REVISION`,
/// `_DIRTY`, and after it `_OUTCOME`, `_EXIT` and `_RECAP`, a file.
by_key HooksEntry in "the map behind `hooks`" {
    /// Before anything else. One that fails refuses the push.
    #[schemars(schema_with = "shapes::hooks::<HookEntry>")]
    before: Vec<HookEntry> = decode::hooks::hooks;
    /// After a push that has committed, or had nothing to do.
    #[schemars(schema_with = "shapes::hooks::<HookEntry>")]
    after_commit: Vec<HookEntry> = decode::hooks::hooks;
    /// After a push that was refused, rolled back or split.
    #[schemars(schema_with = "shapes::hooks::<HookEntry>")]
    after_abort: Vec<HookEntry> = decode::hooks::hooks;
}
}

keys! {
/// The long form of a hook; the short one is its `command` alone.
#[schemars(transform = shapes::requires(&["command"]))]
by_key HookEntry in "a hook" {
    /// What the screen calls it.
    #[schemars(schema_with = "shapes::text")]
    name: At<String> = |value| value.parse(scalar::check_name);
    /// A list is a program with its arguments, a text goes to `sh -c`.
    #[schemars(schema_with = "shapes::one_or_many")]
    command: At<HookCommand> = decode::checks::command;
    /// How long it may run.
    // Long enough for a snapshot or a word to a monitor, and an end to what hangs.
    #[schemars(schema_with = "shapes::duration")]
    timeout: At<Duration> = FieldValue::duration, default minutes(5);
}
}

/// Store paths by the names of hosts.
pub(super) type SystemEntries = Vec<(At<String>, At<StorePath>)>;

/// The default `timeout` of a check: long enough for a lost packet and its repetition.
pub(super) const PROBE_TIMEOUT: Duration = seconds(5);
/// That of a `command`: one of the person's own may do real work.
pub(super) const COMMAND_TIMEOUT: Duration = seconds(30);

keys! {
/// A thing that must work, seen from somewhere: exactly one of `vpn`, `ping`, `tcp`, `http`, `dns`, `wireguard`,
/// `command`.
#[schemars(transform = shapes::exactly_one_kind)]
by_key CheckEntry in "a check" {
    /// What the screen calls it.
    #[schemars(schema_with = "shapes::text")]
    name: At<String> = |value| value.parse(scalar::check_name);
    /// The hosts it runs on, or `workstation`. Default: every host of the fleet. A host looks at itself only if it is
    /// named here.
    #[schemars(schema_with = "shapes::one_or_many")]
    from: Vec<At<String>> = decode::some_texts;
    /// What `ping`, `tcp` and `wireguard` look at: hosts or other addresses.
    #[schemars(schema_with = "shapes::one_or_many")]
    to: Vec<At<String>> = decode::some_texts;
    /// Whether a push is rolled back if it fails.
    #[schemars(with = "bool")]
    required: At<bool> = FieldValue::boolean, default true;
    /// How long one probe may take.
    #[schemars(schema_with = "shapes::duration")]
    #[schemars(transform = shapes::with_defaults(PROBE_TIMEOUT, COMMAND_TIMEOUT))]
    timeout: At<Duration> = FieldValue::duration;
    /// `mesh`: every host reaches every other one inside the VPN; of more than ten hosts a round asks only some of the
    /// links, and the proof all of them. `full-mesh`: the same, and each round asks every link. `{hub: HOST}`: the hub
    /// and every other host reach each other.
    #[schemars(schema_with = "shapes::word_or_map::<shapes::Mesh, HubEntry>")]
    vpn: At<VpnEntry> = decode::checks::vpn;
    /// Pings hosts or addresses, named here or as `to`.
    #[schemars(schema_with = "shapes::one_or_many_or_empty")]
    ping: At<Vec<At<String>>> = decode::checks::peers;
    /// Connects to this port of the hosts or addresses in `to`.
    #[schemars(schema_with = "shapes::port")]
    tcp: At<u16> = decode::checks::tcp;
    /// Asks for this web address.
    #[schemars(schema_with = "shapes::word_or_map::<shapes::Text, HttpEntry>")]
    http: At<HttpEntry> = decode::checks::http;
    /// Resolves this name.
    #[schemars(schema_with = "shapes::word_or_map::<shapes::Text, DnsEntry>")]
    dns: At<DnsEntry> = decode::checks::dns;
    /// The WireGuard peers, named here or as `to`, have shaken hands lately.
    #[schemars(schema_with = "shapes::peers::<WireguardEntry>")]
    wireguard: At<WireguardValue> = decode::checks::wireguard;
    /// A command that must exit with 0: a list is a program with its arguments, a text goes to `sh -c`.
    #[schemars(schema_with = "shapes::one_or_many")]
    command: At<HookCommand> = decode::checks::command;
}
}

/// The value of `wireguard`.
#[derive(Debug, Clone)]
pub(super) enum WireguardValue {
    Peers(Vec<At<String>>),
    Map(WireguardEntry),
}

/// The value of `vpn`.
#[derive(Debug, Clone)]
pub(super) enum VpnEntry {
    Mesh,
    FullMesh,
    Hub(At<HostName>),
}

keys! {
/// The long form of `vpn`.
#[schemars(transform = shapes::requires(&["hub"]))]
by_key HubEntry in "the map behind `vpn`" {
    /// The host in the middle.
    #[schemars(schema_with = "shapes::name")]
    hub: At<HostName> = |value| value.parse(scalar::host_name);
}
}

keys! {
/// The value of `http`; a text is the `url` alone.
#[schemars(transform = shapes::requires(&["url"]))]
by_key HttpEntry in "the map behind `http`" {
    /// Begins with `http://` or `https://`.
    #[schemars(schema_with = "shapes::text")]
    url: At<String> = |value| value.parse(scalar::url);
    /// The status of the answer. Default: any from 200 to 399.
    #[schemars(schema_with = "shapes::status")]
    status: At<u16> = |value| value.number(scalar::status);
    /// A text of one line that the page has in it, letter by letter, in its first megabyte.
    #[schemars(schema_with = "shapes::text")]
    body: At<String> = |value| value.parse(scalar::piece);
}
}

keys! {
/// The value of `dns`; a text is the `query` alone.
#[schemars(transform = shapes::requires(&["query"]))]
by_key DnsEntry in "the map behind `dns`" {
    /// The name to resolve.
    #[schemars(schema_with = "shapes::address")]
    query: At<String> = |value| value.parse(scalar::address);
    /// The server to ask. Default: the one that the host uses.
    #[schemars(schema_with = "shapes::address")]
    server: At<String> = |value| value.parse(scalar::address);
}
}

keys! {
/// The long form of `wireguard`; the short one names the peers.
by_key WireguardEntry in "the map behind `wireguard`" {
    /// How old the latest handshake may be.
    // WireGuard drops a session without a new one after 180 s (`REJECT_AFTER_TIME`, wireguard.com/protocol).
    #[schemars(schema_with = "shapes::duration")]
    handshake: At<Duration> = FieldValue::duration, default minutes(3);
}
}
