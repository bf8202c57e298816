//! What a person says of a host's boot loader, where its files alone do not tell or tell too much.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The settings of `boot_loader:`. They choose which files are read; what stands in those is never taken from here.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BootLoaderHint {
    /// `None`: the host finds it out.
    pub kind: Option<LoaderKind>,
    /// Where the partition with the loader's files is mounted: an absolute path of plain characters. `None`: as `kind`.
    pub esp: Option<String>,
}

/// A boot loader that a host can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LoaderKind {
    SystemdBoot,
    Grub,
    Extlinux,
    Init,
}

impl LoaderKind {
    pub const ALL: [Self; 4] = [Self::SystemdBoot, Self::Grub, Self::Extlinux, Self::Init];

    /// The word of the inventory and of the scripts.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::SystemdBoot => "systemd-boot",
            Self::Grub => "grub",
            Self::Extlinux => "extlinux",
            Self::Init => "init",
        }
    }
}

/// One word for the scripts: `-` where nothing is said, `KIND`, `KIND:ESP`, or `-:ESP`.
impl fmt::Display for BootLoaderHint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.kind.map_or("-", LoaderKind::word))?;
        match &self.esp {
            Some(esp) => write!(formatter, ":{esp}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_told_one_word() {
        let word = |kind: Option<LoaderKind>, esp: Option<&str>| {
            BootLoaderHint { kind, esp: esp.map(str::to_owned) }.to_string()
        };
        assert_eq!(word(None, None), "-");
        assert_eq!(word(Some(LoaderKind::Grub), None), "grub");
        assert_eq!(word(Some(LoaderKind::SystemdBoot), Some("/boot/esp")), "systemd-boot:/boot/esp");
        assert_eq!(word(None, Some("/efi")), "-:/efi");
    }
}
