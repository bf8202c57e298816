//! What a host says about booting an entry once, while its boot default stays: whether it can, and what of it is there.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::facts::job::JobState;
use crate::facts::store_path::StorePath;

/// How the boot loader is told to start an entry once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TrialMeans {
    /// systemd-boot's `LoaderEntryOneShot`.
    EfiVariable,
    /// GRUB's `next_entry`.
    NextEntry,
}

/// A thing of the boot loader that is in the way of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "lack", rename_all = "kebab-case")]
pub enum TrialLack {
    /// There are no EFI variables.
    NoVariables,
    /// systemd-boot has not left its name in them, in this boot.
    OtherLoader,
    ReadOnlyVariables,
    /// What starts it now has forgotten EFI variables over the reboot into a trial.
    Forgets,
    /// An EFI variable chooses the boot default.
    ChosenByVariable {
        entry: String,
    },
    /// The boot default is a unified image, and so its kernel's line cannot be added to.
    Image,
    /// GRUB was started by a BIOS.
    Bios,
    /// GRUB is on two mirrored partitions, and the firmware takes either.
    Mirrored,
    /// GRUB keeps the entry that was booted last.
    Saves,
    /// GRUB's menu starts nothing once.
    TakesNoNextEntry,
    /// GRUB's environment is not there.
    NoEnvironment {
        file: String,
    },
    /// GRUB cannot write its environment there: a kind of file system, or `dm` or `md` below it.
    EnvironmentOn {
        place: String,
        kind: String,
    },
    /// GRUB's menu lies on FAT, where an installer that is cut off may leave none.
    MenuOnFat {
        place: String,
    },
    /// GRUB's menu does not read the file in which our entry lies.
    NoHook,
    /// The boot default is not the first entry of GRUB's menu, which it takes where an entry is not there.
    NotFirst,
    /// The installers of the booted system and of the boot default would each install GRUB itself.
    GrubDiffers,
    /// The system that runs leaves out what makes a unit of the kernel's line.
    NoGenerator,
    /// A kernel is loaded for kexec.
    Kexec,
    LoaderChanges {
        before: String,
        after: String,
    },
    /// How long its kernel's line may be is not known.
    Machine {
        machine: String,
    },
    /// The kernel's line of its boot default was not looked up.
    LineUnknown,
    /// The options of its boot default keep systemd from taking anything from the kernel's line.
    ImportsNone,
    /// A kernel that a panic would start is loaded, or asked for.
    CrashKernel,
    /// It is a confidential virtual machine.
    Confidential {
        kind: String,
    },
    /// The initrd of this system on the menu is longer than its own.
    InitrdLonger {
        system: String,
    },
    /// What guards a trial would lie on a mount of its own, which is made after the guard begins.
    MountedLate {
        place: String,
    },
    /// The booted system is no generation, or has no entry in the menu.
    NotOnTheMenu {
        system: String,
    },
    /// A word of another version of the script.
    Unknown {
        word: String,
    },
}

/// The words of a host about that.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TrialFacts {
    /// `None`: by nothing, and `lacks` says why if the loader could in principle.
    pub means: Option<TrialMeans>,
    pub lacks: Vec<TrialLack>,
    /// The number of bytes of the kernel's line of the boot default; `None`: it was not looked up.
    pub line: Option<u64>,
    /// There is a hardware watchdog that a trial of the profile takes, and gives back.
    pub watchdog: bool,
    /// In how many seconds an upgrade of the host's own is due; below 0: it is overdue. `None`: it has no timer for it.
    #[serde(default)]
    pub upgrade_in: Option<i64>,
}

/// A detached step of a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrialJob {
    /// In the old boot: the booted system becomes the boot default, and the one that is to be tried gets our entry.
    Register,
    /// In the trial: what was tried becomes the boot default again.
    Keep,
}

impl TrialJob {
    /// The word that the scripts use.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Register => "register",
            Self::Keep => "keep",
        }
    }

    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Register, Self::Keep].into_iter().find(|job| job.word() == word)
    }
}

/// All of a trial that a host shows in its standing. On a host without one nothing of it is there.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TrialStanding {
    /// The run that the kernel's line of this boot names; in a container that of its first process.
    pub line: Option<String>,
    /// The order to go, if it was given in this boot.
    pub go: Option<TrialGo>,
    /// In this boot the unit of the kernel's line does nothing any more.
    pub over_here: bool,
    /// Those that were started in this boot.
    pub jobs: BTreeMap<TrialJob, JobState>,
    /// The trials of which anything outlives a reboot here, by their runs.
    pub survivors: Vec<TrialSurvivor>,
}

impl TrialStanding {
    /// Returns what is left of the trial of this run.
    #[must_use]
    pub fn of(&self, run: &str) -> Option<&TrialSurvivor> {
        self.survivors.iter().find(|survivor| survivor.run == run)
    }

    /// Returns whether the host is on its way to reboot into what is to be tried.
    #[must_use]
    pub fn is_going(&self) -> bool {
        self.go.as_ref().is_some_and(|go| go.failed.is_none())
    }

    /// Returns a trial that was in vain, as long as that says something: what was tried is the profile still, and what
    /// was booted before it is what the host runs. Also one that never wrote down how it ended, as after a power cut:
    /// `arm_trial.sh` judges the same.
    #[must_use]
    pub fn remembered(&self, profile: &StorePath, booted: &StorePath) -> Option<&TrialSurvivor> {
        let tried_in_vain = |survivor: &&TrialSurvivor| {
            let systems = survivor.systems.as_ref();
            profile != booted && systems.is_some_and(|of| of.tried == *profile && of.booted == *booted)
        };
        self.survivors.iter().find(tried_in_vain)
    }
}

/// The order to go.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TrialGo {
    pub run: String,
    /// Why the guard could not do it, in the words of the host. Then its token counts again.
    pub failed: Option<String>,
}

/// All of one trial that outlives a reboot of its host.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TrialSurvivor {
    pub run: String,
    /// `person@workstation`; empty: its plan cannot be read.
    pub owner: String,
    /// `None`: its plan cannot be read.
    pub systems: Option<TrialSystems>,
    /// The deadline of its guard, from the start of the kernel that is tried.
    pub seconds: u64,
    /// The next boot was still set in the trial.
    pub kept_by_firmware: bool,
    /// What was tried is the boot default, and whole.
    pub proven: bool,
    /// It was ended on what was tried.
    pub over: bool,
    /// It ended on the old system, and why.
    pub failed: Option<String>,
    /// The first line of what its guard has left of its firing.
    pub trace: Option<String>,
}

/// The systems of a trial.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TrialSystems {
    /// The system that was booted before it, and comes up where it fails.
    pub booted: StorePath,
    pub tried: StorePath,
    /// The boot default as it was before: one of the two.
    pub before: StorePath,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(name: &str) -> StorePath {
        StorePath::new(format!("/nix/store/{}-{name}", "a".repeat(32))).unwrap()
    }

    #[test]
    fn a_trial_that_has_ended_on_the_old_system_is_remembered_until_the_new_one_was_booted_or_is_not_the_profile() {
        let systems = TrialSystems { booted: path("b"), tried: path("d"), before: path("d") };
        let survivor = |failed: Option<&str>| TrialSurvivor {
            run: "r-1".into(),
            owner: "ada@laptop".into(),
            systems: Some(systems.clone()),
            seconds: 600,
            kept_by_firmware: false,
            proven: false,
            over: false,
            failed: failed.map(str::to_owned),
            trace: None,
        };
        let of = |failed| TrialStanding { survivors: vec![survivor(failed)], ..TrialStanding::default() };
        let failed = of(Some("no login"));
        assert!(failed.remembered(&path("d"), &path("b")).is_some());
        assert!(failed.remembered(&path("d"), &path("d")).is_none());
        assert!(failed.remembered(&path("x"), &path("b")).is_none());
        assert!(failed.remembered(&path("d"), &path("x")).is_none());
        // The power was cut before anybody could write down how it ended.
        assert!(of(None).remembered(&path("d"), &path("b")).is_some());
        assert!(failed.of("r-1").is_some() && failed.of("r-2").is_none());
    }

    #[test]
    fn a_host_goes_until_its_guard_says_that_it_cannot() {
        let go = |failed: Option<&str>| TrialStanding {
            go: Some(TrialGo { run: "r-1".into(), failed: failed.map(str::to_owned) }),
            ..TrialStanding::default()
        };
        assert!(go(None).is_going() && !go(Some("no variable")).is_going() && !TrialStanding::default().is_going());
    }
}
