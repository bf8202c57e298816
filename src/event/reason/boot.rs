//! Why it is not known, or not well, what a reboot of a host brings.

use schemars::JsonSchema;
use serde::Serialize;
use strum::{IntoStaticStr, VariantNames};

use crate::facts::store_path::StorePath;
use crate::facts::systems::BootLoader;

/// The reason why it is not known what a reboot of this host brings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum BootRefusal {
    /// The partition that the loader boots from is not where its files are written.
    BootNotMounted {
        /// What is wrong with it.
        #[serde(rename = "fault")]
        what: String,
    },
    /// No reader of ours knows the loader.
    BootLoaderUnknown {
        /// What the host says of it.
        note: Option<String>,
        way_out: WayOut,
    },
    /// The loader is known, and not what it would start.
    BootDefaultUnknown {
        loader: BootLoader,
        /// What the host says of it.
        note: Option<String>,
    },
    /// A person or a program has set what the next reboot brings, once.
    NextBootSet {
        loader: BootLoader,
        /// The loader's name for it.
        entry: String,
        /// The system that this entry starts; absent: it is not known, or is no NixOS system.
        system: Option<StorePath>,
    },
    /// Kernel or initrd of the boot default would not start.
    BootFilesBad {
        /// What is wrong with them; empty: that is not known.
        fault: String,
    },
}

/// The way out for a host with an unknown loader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WayOut {
    /// A guard need not reboot.
    SwitchBack,
    /// A person has asked for the reboot itself.
    ByHand,
}

/// A doubt about reboots on a host with a guard that makes none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum BootDoubt {
    /// No reader of ours knows the loader, and its guard does not reboot.
    BootLoaderDoubtful,
    /// Kernel or initrd of the boot default would not start, and its guard does not reboot.
    BootFilesDoubtful {
        /// What is wrong with them; empty: that is not known.
        fault: String,
    },
    /// The running system was activated and never booted, and the push changes parts that only a boot proves.
    NeverBooted {
        /// `kernel`, `initrd`, `kernel modules`, `kernel parameters`.
        parts: Vec<String>,
    },
    /// The next reboot of a host that does not change brings something else, once.
    WitnessNextBootSet {
        /// The loader's name for it.
        entry: String,
        /// The system that this entry starts; absent: it is not known, or is no NixOS system.
        system: Option<StorePath>,
    },
}
