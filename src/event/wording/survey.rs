use std::fmt;

use super::Worded;
use crate::event::reason::survey::{GuardPart, Judgement};
use crate::facts::store_path::StorePath;

impl fmt::Display for Judgement {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SameMachine { other } => {
                write!(formatter, "is the same machine as {other}: both have its machine id, and are on one boot")
            }
            Self::BashMissing => formatter.write_str("has no bash: its links and units could not be looked at"),
            Self::HostBusy { activity } => formatter.write_str(activity),
            Self::SystemsDiffer { current, profile, boot_default } => {
                systems_differ(current, profile, boot_default, formatter)
            }
            Self::SystemsDifferAccepted { current, profile, boot_default } => {
                systems_differ(current, profile, boot_default, formatter)?;
                formatter.write_str(
                    "\n  accepted: a roll back restores each to what it was; a guard that fires brings what a reboot \
                     brings",
                )
            }
            Self::BootDefaultDiffers { current, boot_default } => {
                boot_default_differs(current, boot_default, formatter)
            }
            Self::BootDefaultDiffersAccepted { current, boot_default } => {
                boot_default_differs(current, boot_default, formatter)?;
                formatter.write_str("\n  accepted: its boot default is what it must come up on")
            }
            Self::EncryptedUnguarded { disks } => write!(
                formatter,
                "one of its disks is encrypted ({}): a reboot may stop at a passphrase that nobody is there to type",
                disks.join(", ")
            ),
            Self::EncryptedReboot { disks } => {
                let disks = disks.join(", ");
                write!(formatter, "one of its disks is encrypted ({disks}): it may stop at a passphrase at boot")
            }
            Self::PersonNeededAtBoot => {
                formatter.write_str("needs a person at boot, as the inventory says (`guard_action: switch-back`)")
            }
            Self::GuardTooShort { guard, shortest, parts } => {
                let part = |part: &GuardPart| format!("{} {}", part.key, humantime::format_duration(part.time));
                write!(
                    formatter,
                    "a guard of {} is shorter than what a push and its roll back may take, {}: {}",
                    humantime::format_duration(*guard),
                    humantime::format_duration(*shortest),
                    parts.iter().map(part).collect::<Vec<_>>().join(" + ")
                )
            }
        }
    }
}

impl Worded for Judgement {
    fn mend(&self) -> Option<String> {
        let mend = match self {
            Self::SameMachine { .. } => "give each machine one name in the inventory",
            Self::BashMissing => {
                "have bash in PATH there, as a plain NixOS has: `environment.systemPackages = [ pkgs.bashInteractive ]`"
            }
            Self::HostBusy { .. } => "let it finish, or cancel it, and try again",
            Self::SystemsDiffer { .. } => {
                "run `nixos-rebuild switch` (or `boot`, or reboot) there first, or give --accept-drift: then going \
                 back restores each to what it was"
            }
            Self::BootDefaultDiffers { .. } => {
                "make what runs permanent there with `nixos-rebuild switch` first, or give --accept-drift to have what \
                 the loader brings"
            }
            Self::EncryptedUnguarded { .. } => {
                "say in the inventory how it is to be guarded: `guard_action: reboot` if it unlocks by itself, \
                 `guard_action: switch-back` if it needs a person at boot"
            }
            Self::EncryptedReboot { .. } => "say in the inventory that it unlocks by itself: `guard_action: reboot`",
            Self::PersonNeededAtBoot => {
                "reboot it by hand with somebody beside it, and leave it out here with --except"
            }
            Self::GuardTooShort { .. } => "give a longer `guard`, or smaller `limits`, `settle` and `steady`",
            Self::SystemsDifferAccepted { .. } | Self::BootDefaultDiffersAccepted { .. } => return None,
        };
        Some(mend.to_owned())
    }
}

fn systems_differ(
    current: &StorePath,
    profile: &StorePath,
    boot_default: &StorePath,
    formatter: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    write!(
        formatter,
        "a reboot would not bring back what runs:\n  current      {current}\n  profile      {profile}\n  boot default \
         {boot_default}"
    )
}

fn boot_default_differs(
    current: &StorePath,
    boot_default: &StorePath,
    formatter: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    write!(
        formatter,
        "it would come up on something else than it runs:\n  current      {current}\n  boot default {boot_default}"
    )
}
