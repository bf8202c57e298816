use std::fmt;

use super::Worded;
use crate::event::reason::boot::{BootDoubt, BootRefusal, WayOut};
use crate::facts::store_path::StorePath;
use crate::facts::systems::BootLoader;

impl fmt::Display for BootRefusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BootNotMounted { what } => {
                write!(formatter, "{what}: what is installed for the next boot would lie where no reboot looks for it")
            }
            Self::BootLoaderUnknown { note, .. } => {
                write!(
                    formatter,
                    "its boot loader is not one that fleetdeploy can read, so what a reboot would bring is not known"
                )?;
                in_brackets(note.as_deref(), formatter)
            }
            Self::BootDefaultUnknown { loader, note } => {
                write!(formatter, "what a reboot would bring cannot be told from its {}", loader.word())?;
                in_brackets(note.as_deref(), formatter)
            }
            Self::NextBootSet { entry, system, .. } => next_boot(entry, system.as_ref(), formatter),
            Self::BootFilesBad { fault } => {
                write!(formatter, "a reboot would not start what it boots: {}", or_else(fault))
            }
        }
    }
}

impl Worded for BootRefusal {
    fn mend(&self) -> Option<String> {
        Some(match self {
            Self::BootNotMounted { .. } => {
                "mount it there, or unmount what hides it, and see why that was so: `findmnt --verify`, `findmnt \
                 /boot`; if it is mounted elsewhere, say where in the inventory: `boot_loader: {esp: /boot/esp}`"
                    .to_owned()
            }
            Self::BootLoaderUnknown { way_out, .. } => {
                let instead = match way_out {
                    WayOut::SwitchBack => {
                        "say in the inventory `guard_action: switch-back`: its guard then activates the old system \
                         again, without a reboot"
                    }
                    WayOut::ByHand => "reboot it by hand with somebody beside it, and leave it out here with --except",
                };
                format!(
                    "{instead}; or, if its loader is one of systemd-boot, grub, extlinux and init, which: \
                         `boot_loader: {{kind: grub}}`"
                )
            }
            Self::BootDefaultUnknown { .. } => {
                "where the inventory says `boot_loader` of it, mend that or take it out; else install it anew with \
                 `nixos-rebuild boot` there, or, if the wrong files are read, say in the inventory which are right: \
                 `boot_loader: {kind: systemd-boot, esp: /boot}`"
                    .to_owned()
            }
            Self::NextBootSet { loader, entry, .. } => {
                let command = match loader {
                    // It is an entry of the firmware, which passes every loader: `Boot0003`.
                    _ if is_firmware_s(entry) => "`efibootmgr --delete-bootnext` there takes it back",
                    BootLoader::SystemdBoot => "`bootctl set-oneshot \"\"` there takes it back",
                    BootLoader::Grub => {
                        "`nix-shell -p grub2 --run 'grub-editenv /boot/grub/grubenv unset next_entry'` there takes it \
                         back"
                    }
                    BootLoader::Extlinux | BootLoader::Init | BootLoader::Unknown => "take it back there",
                };
                format!("{command}; or reboot it by hand, which uses it up")
            }
            Self::BootFilesBad { .. } => "make room on /boot if it is full, then install them anew there: \
                 `/run/current-system/bin/switch-to-configuration boot`"
                .to_owned(),
        })
    }
}

impl fmt::Display for BootDoubt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BootLoaderDoubtful => formatter.write_str(
                "its boot loader is not one that fleetdeploy can read: the boot default is taken from the profile, and \
                 what a reboot brings is not known",
            ),
            Self::NeverBooted { parts } => write!(
                formatter,
                "its old system, which runs now, was never booted, and this push brings another {}: if its guard \
                 fires, that old system boots for the first time; to be sure of it, reboot before you push",
                parts.join(", ")
            ),
            Self::BootFilesDoubtful { fault } => write!(
                formatter,
                "a reboot would not start what it boots: {}; its guard does not reboot, and this push may mend it",
                or_else(fault)
            ),
            Self::WitnessNextBootSet { entry, system } => {
                next_boot(entry, system.as_ref(), formatter)?;
                formatter.write_str("; this push leaves that as it is, since it does not change the host")
            }
        }
    }
}

impl Worded for BootDoubt {}

fn next_boot(entry: &str, system: Option<&StorePath>, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(formatter, "somebody has set its next boot, for once, to `{entry}`")?;
    match system {
        Some(system) => write!(formatter, ", which is {system}"),
        None => Ok(()),
    }
}

fn is_firmware_s(entry: &str) -> bool {
    entry
        .strip_prefix("Boot")
        .is_some_and(|number| number.len() == 4 && number.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn in_brackets(note: Option<&str>, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    match note {
        Some(note) => write!(formatter, " ({note})"),
        None => Ok(()),
    }
}

fn or_else(fault: &str) -> &str {
    if fault.is_empty() { "its kernel or initrd is not whole" } else { fault }
}
