use std::fmt;

use super::Worded;
use crate::event::reason::trial::{TrialOutlook, TrialRefusal};
use crate::facts::systems::BootLoader;
use crate::facts::trial::TrialMeans;

impl fmt::Display for TrialOutlook {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TrialPossible { means, watchdog, back_within_s } => {
                let by = match means {
                    TrialMeans::EfiVariable => "systemd-boot's one-shot entry, an EFI variable",
                    TrialMeans::NextEntry => "GRUB's next_entry",
                };
                write!(
                    formatter,
                    "its boot loader can boot a system once, before it is the boot default: by {by}; one that fails \
                     goes back by itself, within {} min even where each part takes as long as it may; ",
                    back_within_s.div_ceil(60)
                )?;
                formatter.write_str(if *watchdog {
                    "a hardware watchdog resets a hang from the start of systemd on, and one before that waits for a \
                     power cycle"
                } else {
                    "no hardware watchdog is set for it, so a hang may wait for a power cycle"
                })
            }
            Self::TrialNotPossible { cause } => {
                write!(formatter, "no system can be booted here once, before it is the boot default: {cause}")
            }
        }
    }
}

impl Worded for TrialOutlook {
    fn mend(&self) -> Option<String> {
        match self {
            Self::TrialPossible { .. } => None,
            Self::TrialNotPossible { cause } => cause.mend(),
        }
    }
}

impl fmt::Display for TrialRefusal {
    #[expect(clippy::too_many_lines, reason = "a table with a row for each refusal")]
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TrialBootNotKnown => formatter.write_str("what a reboot brings is not known, or not whole"),
            Self::TrialLoaderUnfit { loader: BootLoader::Init } => {
                formatter.write_str("it has no boot loader, as a container")
            }
            Self::TrialLoaderUnfit { loader: BootLoader::Unknown } => {
                formatter.write_str("its boot loader is not one that fleetdeploy can read")
            }
            Self::TrialLoaderUnfit { loader } => write!(formatter, "{} boots nothing once", loader.word()),
            Self::TrialSystemdTooOld { version, .. } if version.is_empty() => {
                formatter.write_str("its systemd does not say its version, and an old one takes no guard from the line")
            }
            Self::TrialSystemdTooOld { version, oldest } => write!(
                formatter,
                "its {version} is older than {oldest}, and takes no unit from the kernel's line, where the guard would \
                 stand"
            ),
            Self::TrialDiskAsks { devices } => {
                write!(formatter, "a disk may want a person at boot: {}", devices.join(", "))
            }
            Self::TrialGuardSwitchesBack => {
                formatter.write_str("its guard is not to reboot (guard_action: switch-back)")
            }
            Self::TrialVariablesMissing => {
                formatter.write_str("it has no EFI variables: its firmware is a BIOS, or they are not mounted")
            }
            Self::TrialOtherLoaderStarted => {
                formatter.write_str("its EFI variables do not say that systemd-boot has started it")
            }
            Self::TrialVariablesReadOnly => formatter.write_str("its EFI variables are mounted read-only"),
            Self::TrialVariablesForgotten => formatter.write_str(
                "its firmware seems to forget EFI variables: one was gone right after the reboot into an earlier trial",
            ),
            Self::TrialDefaultByVariable { entry } => {
                write!(formatter, "an EFI variable chooses its boot default ({entry}), which no installer moves")
            }
            Self::TrialImageSigned => formatter
                .write_str("it boots a unified image, in which the kernel's line stands and cannot be added to"),
            Self::TrialMachineUnknown { machine } => {
                write!(formatter, "how long the kernel's line may be is not known of {machine}")
            }
            Self::TrialLineUnknown => {
                formatter.write_str("its boot default has an entry of which the kernel's line was not looked up")
            }
            Self::TrialFilesNotCompared { fault } => write!(
                formatter,
                "kernel and initrd of its boot default cannot be compared ({fault}): half of one would hang in a boot"
            ),
            Self::TrialImportsNone => formatter
                .write_str("its kernel's line has import_credentials of systemd, so that no guard is taken from it"),
            Self::TrialCrashKernel => formatter
                .write_str("a crash kernel is set up there, which a panic would start in the place of the old system"),
            Self::TrialMachineConfidential { kind } => {
                write!(formatter, "it is a confidential virtual machine ({kind}), which takes no guard from its line")
            }
            Self::TrialInitrdLonger { system } => write!(
                formatter,
                "the initrd on its boot menu is longer than that of {system}: secrets are written into it at each \
                 installation, and it would be torn where that is cut off"
            ),
            Self::TrialGuardMountedLate { place } => write!(
                formatter,
                "its {place} is a mount of its own, which may come only after the guard of a trial has to begin there"
            ),
            Self::TrialUpgradeDue { seconds } if *seconds < 0 => {
                formatter.write_str("an upgrade of its own is overdue, and would move the boot default meanwhile")
            }
            Self::TrialUpgradeDue { seconds } => write!(
                formatter,
                "an upgrade of its own is due in {} min, and would move the boot default meanwhile",
                seconds / 60
            ),
            Self::TrialGrubOnBios => {
                formatter.write_str("its GRUB is started by a BIOS, with which this was not tried")
            }
            Self::TrialGrubMirrored => {
                formatter.write_str("its GRUB is on two mirrored partitions, of which the firmware takes either")
            }
            Self::TrialGrubSaves => formatter.write_str("its GRUB keeps what was booted last as its default"),
            Self::TrialGrubNotOnce => formatter.write_str("the menu of its GRUB knows no next_entry"),
            Self::TrialGrubEnvironmentMissing { file } => {
                write!(formatter, "its GRUB has no environment to keep next_entry in ({file})")
            }
            Self::TrialGrubMenuOnFat { place } => write!(
                formatter,
                "the menu of its GRUB is on {place}, on FAT: a trial has it written twice more, and a power cut in \
                 that may leave none"
            ),
            Self::TrialGrubReadsNone => {
                formatter.write_str("the menu of its GRUB does not read the file for the entry of a trial")
            }
            Self::TrialGrubDefaultBehind => formatter.write_str(
                "its boot default is not the first of GRUB's menu, which is booted where an entry is not there",
            ),
            Self::TrialGrubsDiffer => formatter.write_str(
                "its booted system and its boot default would each install GRUB itself anew, or that cannot be told",
            ),
            Self::TrialGrubEnvironmentOn { place, kind } => write!(
                formatter,
                "its GRUB cannot write its environment on {place} ({kind}), and would boot the entry again and again"
            ),
            Self::TrialGeneratorMasked => formatter
                .write_str("its system masks systemd-debug-generator, which takes a guard from the kernel's line"),
            Self::TrialKexecLoaded => {
                formatter.write_str("a kernel is loaded there for kexec, which would pass the boot loader")
            }
            Self::TrialLoaderChanges { before, after } => {
                write!(formatter, "the system that it booted installs {before}, and the one that runs {after}")
            }
            Self::TrialNotOnMenu { system } => {
                write!(formatter, "what it booted is no generation any more, or not on the boot menu: {system}")
            }
            Self::TrialLineTooLong { bytes, most } => {
                write!(formatter, "its kernel's line has {bytes} bytes, and with more than {most} a guard does not fit")
            }
            Self::TrialAnswerUnknown { said } if said.is_empty() => {
                formatter.write_str("it does not say whether its boot loader can")
            }
            Self::TrialAnswerUnknown { said } => write!(formatter, "it says what is not understood: {said}"),
        }
    }
}

/// Where GRUB's environment is, unless the inventory names another place.
const USUAL_ENVIRONMENT: &str = "/boot/grub/grubenv";

impl Worded for TrialRefusal {
    fn mend(&self) -> Option<String> {
        let mend = match self {
            Self::TrialDefaultByVariable { .. } => {
                "`bootctl set-default \"\"` there takes it back, unless the variable is LoaderEntryPreferred"
            }
            Self::TrialVariablesReadOnly => "`mount -o remount,rw /sys/firmware/efi/efivars` there",
            Self::TrialVariablesForgotten => {
                "`reboot` brings new systems there untried, as with --no-trial; a reboot by it that keeps a variable \
                 takes this back. Where the machine was switched off and on in that reboot, because the new system \
                 hung, do not: `rm /nix/var/nix/gcroots/fleetdeploy/.trial/forgets` there"
            }
            Self::TrialGrubReadsNone => {
                "`boot.loader.grub.extraEntries = \"if [ -s $prefix/fleetdeploy.cfg ]; then source \
                 $prefix/fleetdeploy.cfg; fi\";` in its configuration makes it read that, once that is booted"
            }
            Self::TrialGrubSaves => "take `boot.loader.grub.default = \"saved\"` out of its configuration",
            // What a host says is never a part of a command, not even of one that a person types.
            Self::TrialGrubEnvironmentMissing { file } if file == USUAL_ENVIRONMENT => {
                "`nix-shell -p grub2 --run 'grub-editenv /boot/grub/grubenv create'` there makes it"
            }
            Self::TrialGrubEnvironmentMissing { .. } => {
                "`grub-editenv FILE create` there, of the package grub2, makes it"
            }
            Self::TrialKexecLoaded => "`kexec -u` there unloads it",
            Self::TrialBootNotKnown
            | Self::TrialLoaderUnfit { .. }
            | Self::TrialSystemdTooOld { .. }
            | Self::TrialDiskAsks { .. }
            | Self::TrialGuardSwitchesBack
            | Self::TrialVariablesMissing
            | Self::TrialOtherLoaderStarted
            | Self::TrialMachineUnknown { .. }
            | Self::TrialLineUnknown
            | Self::TrialFilesNotCompared { .. }
            | Self::TrialImportsNone
            | Self::TrialCrashKernel
            | Self::TrialMachineConfidential { .. }
            | Self::TrialInitrdLonger { .. }
            | Self::TrialGuardMountedLate { .. }
            | Self::TrialUpgradeDue { .. }
            | Self::TrialImageSigned
            | Self::TrialGrubOnBios
            | Self::TrialGrubMirrored
            | Self::TrialGrubNotOnce
            | Self::TrialGrubMenuOnFat { .. }
            | Self::TrialGrubDefaultBehind
            | Self::TrialGrubsDiffer
            | Self::TrialGrubEnvironmentOn { .. }
            | Self::TrialGeneratorMasked
            | Self::TrialLoaderChanges { .. }
            | Self::TrialNotOnMenu { .. }
            | Self::TrialLineTooLong { .. }
            | Self::TrialAnswerUnknown { .. } => return None,
        };
        Some(mend.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_word_of_a_host_stands_in_what_a_person_is_to_type() {
        for file in ["/boot/grub/grubenv", "x'; reboot '"] {
            let mend = TrialRefusal::TrialGrubEnvironmentMissing { file: file.to_owned() }.mend().unwrap();
            assert!(mend.contains("create") && !mend.contains("reboot"), "{mend}");
        }
    }
}
