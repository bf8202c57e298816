//! Whether a system can be booted on a host once, before it is its boot default; and why not.

use schemars::JsonSchema;
use serde::Serialize;
use strum::{IntoStaticStr, VariantNames};

use crate::facts::systems::BootLoader;
use crate::facts::trial::TrialMeans;

/// Whether a system can be booted on a host once, before it is its boot default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum TrialOutlook {
    /// Its boot loader can start an entry once.
    TrialPossible {
        means: TrialMeans,
        /// It has a hardware watchdog that a trial takes: one that can be stopped, and that nothing else has.
        watchdog: bool,
        /// After how long a host whose trial fails is back by itself, where each part takes as long as it may.
        back_within_s: u64,
    },
    /// It cannot be done there.
    TrialNotPossible { cause: TrialRefusal },
}

/// Why no system can be booted on a host once, before it is its boot default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum TrialRefusal {
    /// It is not known what a reboot brings, or that is not whole.
    TrialBootNotKnown,
    /// Its boot loader starts nothing once, or is not known.
    TrialLoaderUnfit { loader: BootLoader },
    /// Its systemd takes no unit from the kernel's line.
    TrialSystemdTooOld {
        #[serde(rename = "program_version")]
        version: String,
        oldest: u64,
    },
    /// A disk may want a person at boot.
    TrialDiskAsks { devices: Vec<String> },
    /// The inventory wants no reboot of its guard.
    TrialGuardSwitchesBack,
    /// It has no EFI variables.
    TrialVariablesMissing,
    /// systemd-boot has not started this boot, or has not said so.
    TrialOtherLoaderStarted,
    /// Its EFI variables cannot be written.
    TrialVariablesReadOnly,
    /// Its firmware has forgotten EFI variables over the reboot into an earlier trial.
    TrialVariablesForgotten,
    /// An EFI variable chooses the boot default, past what an installer writes.
    TrialDefaultByVariable { entry: String },
    /// Its boot default is a unified image.
    TrialImageSigned,
    /// How long the line of its kernel may be is not known.
    TrialMachineUnknown { machine: String },
    /// The kernel's line of its boot default was not looked up.
    TrialLineUnknown,
    /// Kernel and initrd of its boot default cannot be compared with the system's own.
    TrialFilesNotCompared { fault: String },
    /// The options of its boot default keep systemd from taking a guard from the kernel's line.
    TrialImportsNone,
    /// A panic would start another kernel, and not go back.
    TrialCrashKernel,
    /// It is a confidential virtual machine, which takes nothing from the kernel's line.
    TrialMachineConfidential { kind: String },
    /// The initrd on the boot menu is longer than the system's own, so that each installation writes into it.
    TrialInitrdLonger { system: String },
    /// What guards a trial would lie on a mount of its own, which may be made only after the guard has to begin.
    TrialGuardMountedLate { place: String },
    /// An upgrade of its own would move the boot default meanwhile. `seconds` until it is due; below 0: it is overdue.
    TrialUpgradeDue { seconds: i64 },
    /// Its GRUB was started by a BIOS, with which it was not tried.
    TrialGrubOnBios,
    /// Its GRUB is on two mirrored partitions.
    TrialGrubMirrored,
    /// Its GRUB keeps as its default what was booted last.
    TrialGrubSaves,
    /// The menu of its GRUB starts nothing once.
    TrialGrubNotOnce,
    /// The environment of its GRUB is not there.
    TrialGrubEnvironmentMissing { file: String },
    /// The menu of its GRUB lies on FAT, where a writer that is cut off may leave none.
    TrialGrubMenuOnFat { place: String },
    /// The menu of its GRUB does not read the file in which the entry of a trial lies.
    TrialGrubReadsNone,
    /// Its boot default is not the first of GRUB's menu, which is booted where an entry is not there.
    TrialGrubDefaultBehind,
    /// The installers of the two systems would each install GRUB itself anew, or it cannot be told.
    TrialGrubsDiffer,
    /// Its GRUB cannot write its environment, and would start the entry again and again.
    TrialGrubEnvironmentOn {
        place: String,
        /// A kind of file system, or `dm` or `md`.
        kind: String,
    },
    /// Its system leaves out what makes a unit of the kernel's line.
    TrialGeneratorMasked,
    /// A kernel is loaded for kexec, which would pass the boot loader.
    TrialKexecLoaded,
    /// The system that runs installs another boot loader than the booted one.
    TrialLoaderChanges { before: String, after: String },
    /// The booted system cannot become the boot default: it is no generation, or not on the menu.
    TrialNotOnMenu { system: String },
    /// There is no room on the kernel's line.
    TrialLineTooLong { bytes: u64, most: u64 },
    /// It says something that is not understood.
    TrialAnswerUnknown { said: String },
}
