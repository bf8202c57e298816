//! What a host says about booting an entry once, while its boot default stays.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
    /// The system that runs leaves out what makes a unit of the kernel's line.
    NoGenerator,
    /// A kernel is loaded for kexec.
    Kexec,
    LoaderChanges {
        before: String,
        after: String,
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
    /// There is a hardware watchdog.
    pub watchdog: bool,
}
