//! Defines what hosts say about themselves: the facts that decisions are made from.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use crate::facts::job::JobState;
use crate::facts::provenance::SystemOrigin;
use crate::facts::store_path::StorePath;
use crate::facts::systems::{BootFiles, BootLoader, NextBoot, Roots, Systems};
use crate::facts::traces::{RunMark, RunTraces};
use crate::facts::trial::{TrialFacts, TrialStanding};
use crate::facts::units::Units;

/// Seconds on a host's own `/proc/uptime`: the one clock of guard, fence and display.
pub type Uptime = u64;

/// Returns whether two boot identities are of one boot. An identity is the boot id, a dot, and when the first process
/// of that boot was started.
///
/// Containers have the boot id of the machine that they run on, and keep it over their own restart: only the second
/// half tells their boots apart. Records and plans of runs that an older fleetdeploy began hold the boot id alone: then
/// nothing else can be compared. `remote/scripts/lib.sh` compares them in the same way.
#[must_use]
pub fn same_boot(one: &str, other: &str) -> bool {
    match (one.split_once('.'), other.split_once('.')) {
        (Some(_), Some(_)) | (None, None) => one == other,
        (Some((bare, _)), None) => bare == other,
        (None, Some((bare, _))) => one == bare,
    }
}

/// The guard as the host reports it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum GuardState {
    /// Nothing was armed since this boot.
    None,
    Armed {
        run: String,
        /// The deadline on the host's own clock.
        deadline: Uptime,
    },
    /// The token says armed, and the unit that should act on it is not there.
    Dead {
        run: String,
        deadline: Uptime,
    },
    /// It has fired and is at work: it puts things back, or waits for its reboot.
    Firing {
        run: String,
    },
    /// It has fired and is through on this boot: nothing had begun, or it brought the host back without a reboot.
    Fired {
        run: String,
    },
    Disarmed {
        run: String,
    },
}

/// The lease on a host: the run that holds it, or has held it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Lease {
    pub run: String,
    pub epoch: u64,
    /// The owner, as `person@workstation`; `-`: there is none any more, because the claim was given back.
    pub owner: String,
}

/// The rolling reboot that holds a host: by a lease that outlives the host's reboot, and that is not over.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RollingLease {
    pub run: String,
    /// The number of seconds that it still counts, if it is not renewed.
    pub left: u64,
    /// The boot on which it was written or renewed last.
    pub boot_id: String,
    /// `person@workstation`.
    pub owner: String,
}

impl Lease {
    /// Names the coordinator that took the run over, for people.
    #[must_use]
    pub fn who(&self) -> &str {
        if self.owner == Self::NOBODY { "a recovery that has ended" } else { &self.owner }
    }

    /// Says the same as a host's own fence that refuses a lower epoch.
    #[must_use]
    pub fn taken_over(&self) -> String {
        format!("{} has taken this run over", self.who())
    }

    /// Stands in the place of an owner: the claim was given back.
    pub const NOBODY: &str = "-";
}

/// A detached step on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobKind {
    /// `switch-to-configuration test`.
    Test,
    /// Profile set and boot loader installed.
    Switch,
    /// The full `switch-to-configuration switch`, for `reactivate: true`.
    Reactivate,
    Rollback,
}

impl JobKind {
    /// The word that the scripts use.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Test => "test",
            Self::Switch => "switch",
            Self::Reactivate => "reactivate",
            Self::Rollback => "rollback",
        }
    }
}

/// The short facts that every step's answer carries.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Standing {
    pub boot_id: String,
    pub uptime: Uptime,
    pub systems: Systems,
    /// The system that was booted: `/run/booted-system`.
    pub booted: StorePath,
    /// The number of the profile's current generation.
    pub generation: u64,
    pub loader: BootLoader,
    /// `None`: a reboot brings the boot default.
    #[serde(default)]
    pub next_boot: Option<NextBoot>,
    pub guard: GuardState,
    pub lease: Option<Lease>,
    #[serde(default)]
    pub rolling: Option<RollingLease>,
    pub jobs: BTreeMap<JobKind, JobState>,
    /// Units in the state `failed`, and services that restart again and again with a bad status.
    pub failed_units: BTreeSet<String>,
    /// Restart counts of units, only those above 0.
    pub restarts: BTreeMap<String, u64>,
    /// Services that run, and all units that have failed.
    #[serde(default)]
    pub units: Units,
    /// The traces that the run that was asked about has left here; `None`: they were not told.
    #[serde(default)]
    pub run_traces: Option<RunTraces>,
    /// The highest epoch of that run that was ever written here, and its owner, whether or not it claims the host now.
    #[serde(default)]
    pub fence: Option<Lease>,
    /// All of a trial that is there.
    #[serde(default)]
    pub trial: TrialStanding,
}

/// The facts of the survey: everything that a push must know before it touches a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    pub standing: Standing,
    pub host_name: String,
    pub machine_id: String,
    /// The text of the toplevel's `system` file: `x86_64-linux`.
    pub system_type: String,
    /// Bytes.
    pub free_root: u64,
    pub free_store: u64,
    /// Bytes; `None` if /boot is no file system of its own.
    pub free_boot: Option<u64>,
    pub nix_version: String,
    pub systemd_version: String,
    /// The release of the kernel that runs.
    #[serde(default)]
    pub kernel: String,
    /// `26.05.20261120.abcdef`, as the current system says.
    #[serde(default)]
    pub nixos_version: Option<String>,
    /// The port of the sshd that this connection came through.
    pub ssh_port: Option<u16>,
    /// Crypto devices under /, /nix or /boot, and encrypted ZFS: a disk that may want a passphrase at boot.
    pub crypto_devices: Vec<String>,
    /// Runs that still have roots on the host, except those that were ended there.
    pub survivors: Vec<String>,
    /// The hosts of those runs, by name, as the runs left them there.
    pub survivor_hosts: BTreeMap<String, Vec<String>>,
    /// The systems that those runs found here, and those that they were to bring.
    pub survivor_roots: BTreeMap<String, Roots>,
    /// Units that made a run roll back and are still failed, each with that run, which left the names there.
    #[serde(default)]
    pub remembered: BTreeMap<String, String>,
    /// The highest epoch of each run that has left anything here.
    #[serde(default)]
    pub fences: BTreeMap<String, Lease>,
    /// Runs that were ended here while another of their hosts was not seen.
    #[serde(default)]
    pub marks: Vec<RunMark>,
    /// Survivors after which a later run has committed here.
    #[serde(default)]
    pub over: BTreeSet<String>,
    /// Survivors that have begun to move here what a reboot brings.
    #[serde(default)]
    pub switching: BTreeSet<String>,
    /// A rolling reboot with a lease that is over, and would count again after the host's next boot.
    #[serde(default)]
    pub rolling_over: Option<String>,
    /// Traces of fired guards, in the words that the guard left.
    pub traces: Vec<String>,
    /// The things in the way, in words: a switch, a reboot or an upgrade under way or due.
    pub busy: Vec<String>,
    /// Why a reboot may not find its way to the boot default's files: a partition that is not mounted. `None`: it does.
    #[serde(default)]
    pub boot_missing: Option<String>,
    /// Kernel and initrd of the boot default; `None`: they were not looked at.
    #[serde(default)]
    pub boot_files: Option<BootFiles>,
    /// Whether its boot loader can start an entry once.
    #[serde(default)]
    pub trial: TrialFacts,
    /// Notes of the boot loader's reader: why it does not know the loader, or its default.
    #[serde(default)]
    pub boot_note: Option<String>,
    /// Notes that stop nothing: an EFI variable that chooses the boot entry, an inhibitor.
    pub notes: Vec<String>,
    /// Whether what runs was ever booted here.
    pub current_was_booted: bool,
    /// There is no bash, which looks at links and units round after round.
    #[serde(default)]
    pub lacks_bash: bool,
    /// Where the system that runs comes from, and those that the survivors were to bring, as far as pushes have left
    /// that here.
    #[serde(default)]
    pub origins: Vec<SystemOrigin>,
    pub wireguard: Vec<WireguardInterface>,
}

impl Facts {
    /// Returns where this system comes from, if a push has brought it here and has said so.
    #[must_use]
    pub fn origin_of(&self, system: &StorePath) -> Option<&SystemOrigin> {
        self.origins.iter().find(|origin| origin.system == *system)
    }

    /// Returns where the system comes from that runs now.
    #[must_use]
    pub fn origin(&self) -> Option<&SystemOrigin> {
        self.origin_of(&self.standing.systems.current)
    }
}

/// A WireGuard interface, without its secrets.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct WireguardInterface {
    pub name: String,
    /// The kernel's number: another one after an interface was deleted and made again.
    pub index: u64,
    /// SHA-256 of its settings without endpoints, which roam.
    pub settings: String,
    pub port: u16,
    pub peers: Vec<WireguardPeer>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct WireguardPeer {
    pub public_key: String,
    pub endpoint: Option<String>,
    /// Seconds since the latest handshake; `None` when there was none.
    pub handshake_age: Option<u64>,
    /// Seconds; `None` when off.
    pub keepalive: Option<u64>,
    pub allowed: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_boot_id_of_an_older_run_is_compared_by_the_half_that_it_has() {
        for (one, other, same) in [
            ("a.12", "a.12", true),
            ("a.12", "a.900", false),
            ("a.12", "b.12", false),
            ("a", "a.12", true),
            ("a.12", "a", true),
            ("b", "a.12", false),
            ("a", "a", true),
            ("", "a.12", false),
        ] {
            assert_eq!(same_boot(one, other), same, "{one} {other}");
        }
    }
}
