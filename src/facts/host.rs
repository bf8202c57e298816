//! Defines what hosts say about themselves: the facts that decisions are made from.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::facts::store_path::StorePath;
use crate::facts::traces::{RunMark, RunTraces};
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

/// The three places that say which system a host is on. At rest they are one and the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Systems {
    /// The system that runs: `/run/current-system`.
    pub current: StorePath,
    /// The system that `/nix/var/nix/profiles/system` points to.
    pub profile: StorePath,
    /// The system that a reboot brings, as the boot loader itself says; [`Systems::not_known`] if that is not known.
    pub boot_default: StorePath,
}

impl Systems {
    /// The store path that stands for a boot default that is not known, for example because /boot is not mounted.
    ///
    /// It equals no system that was ever built. So a comparison with it finds neither old nor new, and nothing is taken
    /// for done, or for brought back, by a guess. A host that says so is still a host that answers.
    const NOT_KNOWN: &str = "/nix/store/00000000000000000000000000000000-not-known";

    /// Returns the boot default of a host on which it is not known.
    ///
    /// # Panics
    /// Never: the text has the form of a store path.
    #[must_use]
    pub fn not_known() -> StorePath {
        StorePath::new(Self::NOT_KNOWN).expect("it has the form of a store path")
    }

    /// Returns the system that a reboot brings; `None`: that is not known.
    #[must_use]
    pub fn known_boot_default(&self) -> Option<&StorePath> {
        Some(&self.boot_default).filter(|system| system.as_str() != Self::NOT_KNOWN)
    }

    /// Names the boot default for people.
    #[must_use]
    pub fn boot_default_text(&self) -> String {
        self.known_boot_default().map_or_else(|| "not known".to_owned(), ToString::to_string)
    }

    /// Makes the three places one system.
    #[must_use]
    pub fn all(system: &StorePath) -> Self {
        Self { current: system.clone(), profile: system.clone(), boot_default: system.clone() }
    }

    /// Returns whether a reboot would bring back what runs.
    #[must_use]
    pub fn agree(&self) -> bool {
        self.current == self.boot_default && self.profile == self.boot_default
    }

    /// Returns whether every place says `system`.
    #[must_use]
    pub fn all_are(&self, system: &StorePath) -> bool {
        self.agree() && self.current == *system
    }
}

/// The boot loader that a default was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BootLoader {
    SystemdBoot,
    Grub,
    Extlinux,
    /// No loader at all: a link such as `/sbin/init` leads into the system, as in a container; activation itself moves
    /// it.
    Init,
    /// A loader with files that were not recognised: the boot default is inferred if booted, current and profile are
    /// one.
    Unknown,
}

impl BootLoader {
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::SystemdBoot => "systemd-boot",
            Self::Grub => "GRUB",
            Self::Extlinux => "extlinux",
            Self::Init => "init",
            Self::Unknown => "unknown",
        }
    }
}

/// The entry that the next reboot brings, once, instead of the boot default: the loader's one-shot entry, GRUB's
/// `next_entry`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NextBoot {
    /// The loader's name for it: `nixos-generation-5.conf`, `1>0`.
    pub entry: String,
    /// The system that this entry starts; `None`: it is not known, or is no NixOS system.
    pub system: Option<StorePath>,
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

/// The state of a detached step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum JobState {
    /// It was never started here on this boot.
    None,
    Running,
    Exited {
        status: i32,
    },
    /// It was started, is not running and left no status: it was killed.
    Lost,
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
    /// Notes of the boot loader's reader: why it does not know the loader, or its default.
    #[serde(default)]
    pub boot_note: Option<String>,
    /// Notes that stop nothing: an EFI variable that chooses the boot entry, an inhibitor.
    pub notes: Vec<String>,
    /// Whether what runs was ever booted here.
    pub current_was_booted: bool,
    pub wireguard: Vec<WireguardInterface>,
}

/// Whether kernel and initrd of the boot default are where the loader reads them, and whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum BootFiles {
    /// They equal the system's own, byte for byte.
    Whole,
    /// They cannot be compared: signed, with secrets in them, or not copied from the store. That is no fault of theirs.
    Unproven { why: String },
    /// One is missing, cannot be read, or is shorter than the system's own.
    Bad { why: String },
}

/// The systems that a run keeps on a host, across reboots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roots {
    /// The systems that the host ran and booted when it was armed, with the number of its generation; `None`: it never
    /// was armed.
    pub old: Option<(Systems, u64)>,
    /// `None`: it was never prepared.
    pub new: Option<StorePath>,
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

/// How a step that changes a host ended, as the host says.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum StepOutcome {
    Done,
    /// The fence said no; nothing was changed by this command.
    Refused {
        reason: RefusalReason,
        /// In words, from the host.
        text: String,
    },
    /// It ran and did not do what it should.
    Failed {
        text: String,
    },
}

/// The reason why a host's fence refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalReason {
    ForeignLease,
    ForeignGuard,
    /// A coordinator with a higher epoch has taken over this run.
    Superseded,
    /// The run has been ended and cleaned away here.
    Ended,
    /// The host has restarted since.
    OtherBoot,
    /// Current system, profile or boot default are not what was expected.
    Moved,
    /// No armed guard of this run, or its unit is gone.
    NoGuard,
    /// The guard fires too soon for this step.
    TooLate,
    /// The guard has fired.
    Fired,
    /// A switch, a reboot or an upgrade is under way.
    Busy,
    /// The command has no form that its scripts take: nothing ran.
    BadArgument,
    Other,
}

/// The answer of a host to a step that changes it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StepAnswer {
    pub outcome: StepOutcome,
    pub standing: Standing,
    /// The end of the step's log, line by line.
    pub log: Vec<String>,
}

/// Whether the new system fits a host it was copied to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fit {
    /// Each refuses the push.
    pub misfits: Vec<Misfit>,
    pub check: PreSwitchCheck,
    /// The kinds of boot loader, if the new system would install another kind than the one that boots the old: `from
    /// grub to ...`.
    pub loader_change: Option<String>,
    /// The output of the pre-switch check, line by line.
    pub log: Vec<String>,
    /// The output of `nix store diff-closures` there, for the running system and the new one; `None`: it could not run.
    pub changes: Option<Vec<String>>,
    /// The parts that only a reboot brings, in words.
    pub reboot_for: Vec<String>,
}

/// Something about the new system that cannot be right for this host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Misfit {
    /// `architecture`, `host_name`, `missing`, `no_system`, `no_switch`, `not_prepared`.
    pub kind: String,
    pub text: String,
}

/// The result of the new system's own `switch-to-configuration check`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PreSwitchCheck {
    Passed,
    Failed,
    /// It did not end within its limit, and was ended: its answer is not known.
    CutOff,
    /// It does not know that action: NixOS of 2024 and before.
    NotKnown,
}

impl fmt::Display for RefusalReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::ForeignLease => "another run holds this host",
            Self::ForeignGuard => "somebody else's guard is armed on this host",
            Self::Superseded => "another fleetdeploy has taken this run over",
            Self::Ended => "the run has been ended from elsewhere",
            Self::OtherBoot => "the host has restarted",
            Self::Moved => "the host is not on the system that was expected",
            Self::NoGuard => "no guard of this run is armed",
            Self::TooLate => "the guard fires too soon for this step",
            Self::Fired => "the guard has fired",
            Self::Busy => "a switch, a reboot or an upgrade is under way",
            Self::BadArgument => "the host could not take what it was sent",
            Self::Other => "the host refused",
        })
    }
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
