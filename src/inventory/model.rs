//! The validated inventory: what the rest of the program works with. No YAML, no options left open.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::facts::attr_path::AttrPath;
use crate::facts::store_path::StorePath;

pub use super::boot_loader::{BootLoaderHint, LoaderKind};
pub use super::evaluation::{EvaluationTerms, MOST_WORKERS, NixSettings, TAKEN_SETTINGS};
pub use super::hook::{Hook, HookCommand, Hooks};
pub use super::host_name::{BadName, HostName, is_name};
pub use super::jump::Jump;
pub use super::nix::{BuildOn, Cache, CacheFilling, NixOptions, Substitute};
pub use super::units::{BadUnitPattern, UnitPattern};
pub use super::wave::{Size, SizeError};

/// A whole inventory file, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inventory {
    /// The file it was read from; relative paths in it are relative to the file's folder.
    pub path: PathBuf,
    /// In the order of the file: the screen keeps it.
    pub hosts: Vec<Host>,
    pub fleets: BTreeMap<String, Fleet>,
    /// As in [`Fleet::parallel`], for a command on hosts of several fleets.
    pub parallel: u16,
}

/// One machine as a fleet sees it, with `defaults`, groups, fleet and host already laid over each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    pub name: HostName,
    /// Where ssh connects to; never empty, never beginning with `-`.
    pub address: String,
    /// The addresses at which it is looked for when it does not answer there at once, in this order: the first that
    /// lets us log in is used for the whole run.
    pub other_addresses: Vec<String>,
    pub port: Option<u16>,
    pub user: Option<String>,
    pub identity: Option<PathBuf>,
    pub jump: Option<Jump>,
    /// The hosts of this inventory that the way to it leads over, of whatever fleet; the nearest to it first.
    pub way: Vec<HostName>,
    pub becoming: Become,
    pub host_key: HostKey,
    /// Its address inside the VPN.
    pub vpn: Option<String>,
    pub tags: Vec<String>,
    /// How long it may take from a reboot to a running sshd.
    pub boot_time: Duration,
    /// In a fleet, not later than [`Limits::firing`] before that of its hypervisor.
    pub guard: Duration,
    pub guard_action: GuardAction,
    pub boot_loader: BootLoaderHint,
    /// The hypervisor that this host is a guest of. In a fleet, always a host of that fleet.
    pub runs_on: Option<HostName>,
    pub optional: bool,
    /// `true`: phase 9 runs the full `switch-to-configuration switch`.
    pub reactivate: bool,
    /// What this push changes about the way to the host itself.
    pub after: After,
    /// Never the host itself by its name: that is [`BuildOn::Target`].
    pub build_on: BuildOn,
    pub nix: NixOptions,
    pub limits: Limits,
    /// Units whose failures are no concern of a push.
    pub ignored_units: Vec<UnitPattern>,
    /// A store path of its own, for `system` sources.
    pub system: Option<StorePath>,
    /// The person said that the disk passphrase at boot is thought of (`guard_action` was given explicitly).
    pub guard_action_given: bool,
}

/// Between the end of a step and the deadline of its guard: covers the whole seconds of the guard's clock and a slow
/// host's first moment of firing.
pub const MARGIN: Duration = Duration::from_secs(5);

impl Host {
    /// The shortest guard that can hold a whole push: everything from arming to a roll back at the last moment.
    #[must_use]
    pub fn shortest_guard(&self, settle: Duration, steady: Duration) -> Duration {
        self.guard_parts(settle, steady).into_iter().map(|(_, time)| time).sum()
    }

    /// Returns what the shortest guard is made of, by the keys of the inventory and in the order of a push; without
    /// what is zero.
    #[must_use]
    pub fn guard_parts(&self, settle: Duration, steady: Duration) -> Vec<(&'static str, Duration)> {
        let Limits { connect, step, test, switch, rollback, .. } = self.limits;
        let again = |time| if self.reactivate { time } else { Duration::ZERO };
        let parts = [
            ("limits.step", step),
            ("limits.test", test),
            ("limits.connect", connect),
            ("settle", settle),
            ("steady", steady),
            ("limits.switch", switch),
            ("limits.test again (reactivate)", again(test)),
            ("steady again (reactivate)", again(steady)),
            ("limits.rollback", rollback),
            ("a margin", MARGIN),
        ];
        parts.into_iter().filter(|(_, time)| !time.is_zero()).collect()
    }

    /// The longest `steady`, in whole seconds, that its guard leaves time for.
    fn longest_steady(&self, settle: Duration) -> Duration {
        let times = if self.reactivate { 2 } else { 1 };
        let left = self.guard.saturating_sub(self.shortest_guard(settle, Duration::ZERO));
        Duration::from_secs(left.as_secs() / times)
    }

    /// Where a check looks when it names this host: inside the VPN if it is there, else where ssh connects to.
    #[must_use]
    pub fn probe_address(&self) -> &str {
        self.vpn.as_deref().unwrap_or(&self.address)
    }
}

/// How a login becomes root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Become {
    /// Root stays root; every other user uses `sudo` without a password.
    Auto,
    No,
    Sudo,
    /// The password is asked for once, before anything starts.
    SudoPassword,
    /// Without a password: doas takes one from a terminal alone.
    Doas,
    /// Without a password, as polkit's rules allow it: it takes one from a terminal alone.
    Run0,
    /// A command that runs the words after its own as root, and leaves them its stdin: `[sudo, -n, -u, root, --]`. No
    /// shell reads these words.
    #[serde(untagged)]
    Words(Vec<String>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostKey {
    /// An unknown key refuses the push.
    Strict,
    AcceptNew,
}

/// What a guard that fires does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GuardAction {
    Reboot,
    /// Re-activates the old system and does not reboot: for a host that needs a person at boot.
    SwitchBack,
}

/// What verify uses instead of the address and login that the survey used.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct After {
    pub address: Option<String>,
    pub port: Option<u16>,
    pub user: Option<String>,
    pub vpn: Option<String>,
}

/// How long each kind of step may take on a host. A guard shorter than their sum is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// One ssh login, jumps included.
    pub connect: Duration,
    /// A short remote command: survey, prepare, arm, disarm, clean up.
    pub step: Duration,
    /// `nix copy` to one host.
    pub copy: Duration,
    /// The new system's own pre-switch checks.
    pub check: Duration,
    /// `switch-to-configuration test`.
    pub test: Duration,
    /// The boot loader's installer.
    pub switch: Duration,
    /// Everything a roll back of one host does.
    pub rollback: Duration,
}

impl Limits {
    /// How long a guard that has fired may take until it reboots: it may stop a job (1 min, `job_wait` of `guard.sh`),
    /// and puts the boot default back.
    #[must_use]
    pub fn firing(&self) -> Duration {
        Duration::from_secs(60) + self.switch
    }
}

/// A named set of hosts that is pushed as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fleet {
    pub name: String,
    /// In the inventory's order, each once.
    pub hosts: Vec<Host>,
    /// Hosts of other fleets, or of none, that build for hosts of this one.
    pub builders: Vec<Host>,
    pub source: Source,
    pub checks: Vec<Check>,
    pub hooks: Hooks,
    /// Those of its hosts that a push tests first.
    pub canaries: BTreeSet<HostName>,
    /// The sizes of the first waves of a push, after the canaries; all hosts that are left are the last wave.
    pub waves: Vec<Size>,
    /// How long links may take to come up after `test`; after a roll back at least 20 s.
    pub settle: Duration,
    pub steady: Steady,
    /// The build of the whole fleet.
    pub build_limit: Duration,
    pub evaluation: EvaluationTerms,
    /// How many logins, and how many copies, are under way at once; from 1 to [`MOST_PARALLEL`].
    pub parallel: u16,
    /// Where its new systems are put once a push, before they are copied.
    pub cache: Option<Cache>,
}

/// With more logins at once a workstation runs out of files and processes before the window has a use.
pub const MOST_PARALLEL: u16 = 1000;

/// How long every unit that a push starts or restarts must have been up before the decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Steady {
    /// A person has said so: zero is none.
    Given(Duration),
    /// No person has set it: [`Fleet::DEFAULT_STEADY`], or what the guards leave time for.
    Default,
}

/// A URL as it may be shown and kept: without the user and the password that it may carry.
#[must_use]
pub fn url_without_login(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => format!("{scheme}://{}", &rest[at + 1..]),
        None => url.to_owned(),
    }
}

impl Fleet {
    /// How long what a push starts must have been up.
    ///
    /// A default that no person has asked for must not refuse a guard that was long enough without it: it gives way.
    #[must_use]
    pub fn steady(&self) -> Duration {
        match self.steady {
            Steady::Given(steady) => steady,
            Steady::Default => {
                let fits = self.hosts.iter().map(|host| host.longest_steady(self.settle)).min();
                fits.map_or(Self::DEFAULT_STEADY, |fits| fits.min(Self::DEFAULT_STEADY))
            }
        }
    }

    /// The machines that a run may log in on, with how long a login may take: its hosts, and those that only build.
    #[must_use]
    pub fn reached(&self) -> BTreeMap<HostName, Duration> {
        self.hosts.iter().chain(&self.builders).map(|host| (host.name.clone(), host.limits.connect)).collect()
    }

    /// The fleet as the command line wants it: the last layer, above what the file says.
    #[must_use]
    pub fn overridden(mut self, overrides: &Overrides) -> Self {
        if let Some(guard) = overrides.guard {
            self.hosts.iter_mut().for_each(|host| host.guard = guard);
        }
        if let Some(settle) = overrides.settle {
            self.settle = settle;
        }
        if let Some(steady) = overrides.steady {
            self.steady = Steady::Given(steady);
        }
        if let Some(parallel) = overrides.parallel {
            self.parallel = parallel;
        }
        self.with_guests_first()
    }

    /// A guest's guard fires, and has done its work, before its hypervisor's guard takes it along.
    #[must_use]
    pub(super) fn with_guests_first(mut self) -> Self {
        let by_name: BTreeMap<&HostName, &Host> = self.hosts.iter().map(|host| (&host.name, host)).collect();
        let below = |host: &Host| host.runs_on.as_ref().and_then(|name| by_name.get(name)).copied();
        let guard = |guest: &Host| {
            let (mut guard, mut lead, mut at) = (guest.guard, Duration::ZERO, guest);
            // Hosts that run on each other are a mistake that has been said: no way down is longer than the fleet.
            for _ in &by_name {
                let Some(hypervisor) = below(at).filter(|hypervisor| hypervisor.name != guest.name) else { break };
                lead += at.limits.firing();
                guard = guard.min(hypervisor.guard.saturating_sub(lead));
                at = hypervisor;
            }
            guard
        };
        let guards: Vec<Duration> = self.hosts.iter().map(guard).collect();
        self.hosts.iter_mut().zip(guards).for_each(|(host, guard)| host.guard = guard);
        self
    }
}

/// Returns those of all hosts that build for some of a fleet's hosts, and are none of them.
pub(super) fn builders<'a>(
    of_fleet: impl Iterator<Item = &'a Host> + Clone,
    all: impl Iterator<Item = &'a Host>,
) -> Vec<Host> {
    let named = |host: &'a Host| match &host.build_on {
        BuildOn::Host(name) => Some(name),
        BuildOn::Workstation | BuildOn::Target => None,
    };
    let mut builders: BTreeSet<&HostName> = of_fleet.clone().filter_map(named).collect();
    for host in of_fleet {
        builders.remove(&host.name);
    }
    all.filter(|host| builders.contains(&host.name)).cloned().collect()
}

/// What the command line says instead of the inventory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Overrides {
    pub guard: Option<Duration>,
    pub settle: Option<Duration>,
    pub steady: Option<Duration>,
    pub parallel: Option<u16>,
}

/// Where the systems come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A flake of the file system is an absolute path: relative ones were relative to the
    /// inventory's folder.
    Flake { flake: String, attr: AttrPath },
    /// An absolute path.
    File { file: PathBuf, attr: AttrPath },
    /// Every host names its own store path ([`Host::system`]).
    System,
}

/// One check, with its kind and the hosts it concerns resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    pub name: String,
    pub kind: CheckKind,
    /// Where it runs, in the inventory's order; after loading never empty. For `vpn` the hosts that take part, at both
    /// ends, the hub among them; never the workstation.
    pub from: Vec<Place>,
    /// Those of `from` that are named there one by one: where such a host is also looked at, it looks at itself.
    pub to_themselves: Vec<HostName>,
    pub required: bool,
    pub timeout: Duration,
}

impl Check {
    /// Whether there is a link from this place to this host of the fleet. No host is its own WireGuard peer.
    #[must_use]
    pub fn looks_from(&self, from: &Place, to: &HostName) -> bool {
        match from {
            Place::Host(from) if from == to => {
                self.to_themselves.contains(to) && !matches!(self.kind, CheckKind::Wireguard { .. })
            }
            Place::Host(_) | Place::Workstation => true,
        }
    }
}

/// Where a probe runs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    Workstation,
    Host(HostName),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckKind {
    /// Every host to every other one, or hub to leaves and back; all named have a `vpn` address.
    Vpn(VpnShape),
    Ping {
        to: Vec<Target>,
    },
    Tcp {
        to: Vec<Target>,
        port: u16,
    },
    Http {
        url: String,
        status: Option<u16>,
        body: Option<String>,
    },
    Dns {
        query: String,
        server: Option<String>,
    },
    /// The latest handshake with the peer is not older than this.
    Wireguard {
        to: Vec<Target>,
        handshake: Duration,
    },
    Command(HookCommand),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VpnShape {
    /// Of a large one the rounds share the links.
    Mesh,
    /// Each round asks every link.
    FullMesh,
    Hub(HostName),
}

/// What a check looks at: a host of the fleet ([`Host::probe_address`]) or any other address, that of a host of another
/// fleet among them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    Host(HostName),
    Address(String),
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn a_url_is_shown_without_its_login() {
        for (url, shown) in [
            ("http://vps:8080/health", "http://vps:8080/health"),
            ("https://ada:s3cret@vps/health?to=x@y", "https://vps/health?to=x@y"),
            ("https://vps/people/@ada", "https://vps/people/@ada"),
            ("http://a@b@vps", "http://vps"),
            ("vps", "vps"),
        ] {
            assert_eq!(url_without_login(url), shown);
        }
    }
}
