//! Judges whether a system can be booted on a host once, before it is its boot default: a trial.

use std::time::Duration;

use crate::decide::reboot::trial::times::{SETTLE_AFTER_BOOT, TrialTimes};
use crate::event::reason::boot::{BootRefusal, WayOut};
use crate::event::reason::trial::{TrialOutlook, TrialRefusal};
use crate::facts::host::Facts;
use crate::facts::systems::{BootFiles, BootLoader};
use crate::facts::trial::TrialLack;
use crate::inventory::model::{GuardAction, Host};

/// The oldest systemd that takes a unit from a credential on the kernel's line (docs/facts.md, "EFI variables").
const OLDEST_SYSTEMD: u64 = 256;
/// How many bytes the kernel's line may have at most: x86 and arm64 cut it at 2048, and the loader may add to it. The
/// host measures it again before it writes anything (`longest_line` in `boot_once.sh`).
const LONGEST_LINE: u64 = 1920;
/// How many of them the guard needs, with all that makes a kernel reboot which fails: it has 925 for the longest name
/// of a run, and 760 as a rule.
const GUARD_ON_LINE: u64 = 930;
/// Within how many seconds an upgrade that is due would meet a trial.
const SOON: i64 = 3600;

impl TrialOutlook {
    /// Says that it is possible, or each thing that is in the way, the most important first. `settle` is the fleet's.
    #[must_use]
    pub fn all(host: &Host, settle: Duration, facts: &Facts) -> Vec<Self> {
        let refusals = TrialRefusal::all(host, facts);
        match facts.trial.means {
            Some(means) if refusals.is_empty() => {
                let times = TrialTimes::of(&host.limits, host.boot_time, settle.max(SETTLE_AFTER_BOOT));
                let back_within_s = times.back_by_itself.as_secs();
                vec![Self::TrialPossible { means, watchdog: facts.trial.watchdog, back_within_s }]
            }
            _ => refusals.into_iter().map(|cause| Self::TrialNotPossible { cause }).collect(),
        }
    }
}

impl TrialRefusal {
    /// Finds everything that is in the way of a trial. What cannot be known is in the way.
    #[must_use]
    pub fn all(host: &Host, facts: &Facts) -> Vec<Self> {
        let loader = facts.standing.loader;
        if !matches!(loader, BootLoader::SystemdBoot | BootLoader::Grub) {
            return vec![Self::TrialLoaderUnfit { loader }];
        }
        if !BootRefusal::all(facts, WayOut::ByHand).is_empty() {
            return vec![Self::TrialBootNotKnown];
        }
        let mut all: Vec<Self> = facts.trial.lacks.iter().map(Self::of_lack).collect();
        if !facts.crypto_devices.is_empty() {
            // A longer line also changes what a TPM measures, so that such a disk may ask in this boot alone.
            all.push(Self::TrialDiskAsks { devices: facts.crypto_devices.clone() });
        } else if host.guard_action == GuardAction::SwitchBack {
            all.push(Self::TrialGuardSwitchesBack);
        }
        // The host demands it of both systems before it moves anything (`job_trial.sh`).
        if let Some(BootFiles::Unproven { why }) = &facts.boot_files {
            all.push(Self::TrialFilesNotCompared { fault: why.clone() });
        }
        if let Some(seconds) = facts.trial.upgrade_in.filter(|seconds| *seconds < SOON) {
            all.push(Self::TrialUpgradeDue { seconds });
        }
        let version = &facts.systemd_version;
        if major(version).is_none_or(|major| major < OLDEST_SYSTEMD) {
            all.push(Self::TrialSystemdTooOld { version: version.clone(), oldest: OLDEST_SYSTEMD });
        }
        let most = LONGEST_LINE - GUARD_ON_LINE;
        if let Some(bytes) = facts.trial.line.filter(|bytes| *bytes > most) {
            all.push(Self::TrialLineTooLong { bytes, most });
        }
        if all.is_empty() && facts.trial.means.is_none() {
            all.push(Self::TrialAnswerUnknown { said: String::new() });
        }
        all
    }

    /// Returns whether no other system cures it: it belongs to the machine, its firmware, or what was booted there.
    #[must_use]
    pub fn is_of_machine(&self) -> bool {
        match self {
            Self::TrialLoaderUnfit { .. }
            | Self::TrialVariablesMissing
            | Self::TrialOtherLoaderStarted
            | Self::TrialVariablesForgotten
            | Self::TrialDefaultByVariable { .. }
            | Self::TrialGrubOnBios
            | Self::TrialGrubMirrored
            | Self::TrialGrubEnvironmentOn { .. }
            | Self::TrialGrubMenuOnFat { .. }
            | Self::TrialMachineUnknown { .. }
            | Self::TrialMachineConfidential { .. }
            | Self::TrialDiskAsks { .. }
            // The inventory says so, also of the system that comes.
            | Self::TrialGuardSwitchesBack
            // The installer of what was booted writes the menu that a trial is started from.
            | Self::TrialGrubReadsNone => true,
            Self::TrialBootNotKnown
            | Self::TrialVariablesReadOnly
            | Self::TrialImageSigned
            | Self::TrialGrubSaves
            | Self::TrialGrubNotOnce
            | Self::TrialGrubEnvironmentMissing { .. }
            | Self::TrialGrubDefaultBehind
            | Self::TrialGrubsDiffer
            | Self::TrialGeneratorMasked
            | Self::TrialKexecLoaded
            | Self::TrialLoaderChanges { .. }
            | Self::TrialLineUnknown
            | Self::TrialImportsNone
            | Self::TrialCrashKernel
            | Self::TrialInitrdLonger { .. }
            | Self::TrialGuardMountedLate { .. }
            | Self::TrialNotOnMenu { .. }
            | Self::TrialFilesNotCompared { .. }
            | Self::TrialUpgradeDue { .. }
            | Self::TrialSystemdTooOld { .. }
            | Self::TrialLineTooLong { .. }
            | Self::TrialAnswerUnknown { .. } => false,
        }
    }

    fn of_lack(lack: &TrialLack) -> Self {
        match lack {
            TrialLack::NoVariables => Self::TrialVariablesMissing,
            TrialLack::OtherLoader => Self::TrialOtherLoaderStarted,
            TrialLack::ReadOnlyVariables => Self::TrialVariablesReadOnly,
            TrialLack::Forgets => Self::TrialVariablesForgotten,
            TrialLack::ChosenByVariable { entry } => Self::TrialDefaultByVariable { entry: entry.clone() },
            TrialLack::Image => Self::TrialImageSigned,
            TrialLack::Bios => Self::TrialGrubOnBios,
            TrialLack::Mirrored => Self::TrialGrubMirrored,
            TrialLack::Saves => Self::TrialGrubSaves,
            TrialLack::TakesNoNextEntry => Self::TrialGrubNotOnce,
            TrialLack::NoEnvironment { file } => Self::TrialGrubEnvironmentMissing { file: file.clone() },
            TrialLack::EnvironmentOn { place, kind } => {
                Self::TrialGrubEnvironmentOn { place: place.clone(), kind: kind.clone() }
            }
            TrialLack::MenuOnFat { place } => Self::TrialGrubMenuOnFat { place: place.clone() },
            TrialLack::NoHook => Self::TrialGrubReadsNone,
            TrialLack::NotFirst => Self::TrialGrubDefaultBehind,
            TrialLack::GrubDiffers => Self::TrialGrubsDiffer,
            TrialLack::NoGenerator => Self::TrialGeneratorMasked,
            TrialLack::Kexec => Self::TrialKexecLoaded,
            TrialLack::LoaderChanges { before, after } => {
                Self::TrialLoaderChanges { before: before.clone(), after: after.clone() }
            }
            TrialLack::Machine { machine } => Self::TrialMachineUnknown { machine: machine.clone() },
            TrialLack::LineUnknown => Self::TrialLineUnknown,
            TrialLack::ImportsNone => Self::TrialImportsNone,
            TrialLack::CrashKernel => Self::TrialCrashKernel,
            TrialLack::Confidential { kind } => Self::TrialMachineConfidential { kind: kind.clone() },
            TrialLack::InitrdLonger { system } => Self::TrialInitrdLonger { system: system.clone() },
            TrialLack::MountedLate { place } => Self::TrialGuardMountedLate { place: place.clone() },
            TrialLack::NotOnTheMenu { system } => Self::TrialNotOnMenu { system: system.clone() },
            TrialLack::Unknown { word } => Self::TrialAnswerUnknown { said: word.clone() },
        }
    }
}

/// Reads the first number of `systemd 257.13`.
fn major(version: &str) -> Option<u64> {
    let at = version.find(|character: char| character.is_ascii_digit())?;
    version[at..].split(|character: char| !character.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::decide::reboot::trial::hindrance_before;
    use crate::decide::status::tests::{fleet, well};
    use crate::event::reason::Worded as _;
    use crate::event::reason::trying::TryingReason;
    use crate::facts::systems::NextBoot;
    use crate::facts::trial::{TrialFacts, TrialMeans};
    use crate::inventory::model::Fleet;

    fn lab() -> Fleet {
        fleet("hosts: {vps: , box: {guard_action: switch-back}}\nfleets: {lab: {flake: ., hosts: all}}\n")
    }

    /// What is said of the first host, or of the other.
    fn said_of(host: usize, change: impl FnOnce(&mut Facts)) -> Vec<TrialOutlook> {
        let mut facts = well().facts;
        change(&mut facts);
        let said = TrialOutlook::all(&lab().hosts[host], Fleet::DEFAULT_SETTLE, &facts);
        crate::codes::keep_judged(said.clone());
        said
    }

    fn said(change: impl FnOnce(&mut Facts)) -> Vec<TrialOutlook> {
        said_of(0, change)
    }

    fn not(causes: impl IntoIterator<Item = TrialRefusal>) -> Vec<TrialOutlook> {
        causes.into_iter().map(|cause| TrialOutlook::TrialNotPossible { cause }).collect()
    }

    #[test]
    fn a_host_whose_loader_boots_an_entry_once_can_try_and_says_what_a_watchdog_covers() {
        for (means, by) in [(TrialMeans::EfiVariable, "an EFI variable; "), (TrialMeans::NextEntry, "next_entry; ")] {
            for (watchdog, rest) in
                [(true, "one before that waits for a power cycle"), (false, "so a hang may wait for a power cycle")]
            {
                let said =
                    said(|facts| facts.trial = TrialFacts { means: Some(means), watchdog, ..facts.trial.clone() });
                let host = &lab().hosts[0];
                let settle = Fleet::DEFAULT_SETTLE.max(SETTLE_AFTER_BOOT);
                let back = TrialTimes::of(&host.limits, host.boot_time, settle).back_by_itself;
                assert_eq!(said, [TrialOutlook::TrialPossible { means, watchdog, back_within_s: back.as_secs() }]);
                let text = said[0].to_string();
                assert!(text.contains(by) && text.ends_with(rest) && text.contains(" min even"), "{text}");
            }
        }
    }

    /// What is pushed may bring what the system that runs lacks, and no other firmware.
    #[test]
    fn a_push_is_refused_beforehand_only_for_what_no_other_system_brings() {
        let lacking = |lacks: &[TrialLack]| {
            let mut facts = well().facts;
            facts.trial.lacks = lacks.to_vec();
            facts
        };
        let machine = lacking(&[TrialLack::Kexec, TrialLack::Forgets]);
        let system = lacking(&[TrialLack::NoGenerator, TrialLack::ImportsNone]);
        let host = &lab().hosts[0];
        let stays = hindrance_before(host, &machine, false);
        assert_eq!(stays, Some((TrialRefusal::TrialVariablesForgotten.into(), true)));
        let (cause, stays) = hindrance_before(host, &system, false).unwrap();
        assert_eq!((cause, stays), (TrialRefusal::TrialGeneratorMasked.into(), false));
        assert_eq!(hindrance_before(host, &system, true), Some((TryingReason::NobodyJudges.into(), true)));
        assert_eq!(hindrance_before(host, &lacking(&[]), false), None);
        crate::codes::keep_judged(Some(TryingReason::MayNotBeTried {
            cause: TrialRefusal::TrialGeneratorMasked.into(),
        }));
    }

    /// What the host says is in the way, and what is said of that; each alone, and all of them with words of their own.
    #[test]
    fn whatever_its_loader_lacks_is_in_the_way_and_named() {
        let text = |text: &str| text.to_owned();
        let rows = [
            (TrialLack::NoVariables, TrialRefusal::TrialVariablesMissing),
            (TrialLack::OtherLoader, TrialRefusal::TrialOtherLoaderStarted),
            (TrialLack::ReadOnlyVariables, TrialRefusal::TrialVariablesReadOnly),
            (TrialLack::Forgets, TrialRefusal::TrialVariablesForgotten),
            (
                TrialLack::ChosenByVariable { entry: text("windows.conf") },
                TrialRefusal::TrialDefaultByVariable { entry: text("windows.conf") },
            ),
            (TrialLack::Image, TrialRefusal::TrialImageSigned),
            (TrialLack::Bios, TrialRefusal::TrialGrubOnBios),
            (TrialLack::Mirrored, TrialRefusal::TrialGrubMirrored),
            (TrialLack::Saves, TrialRefusal::TrialGrubSaves),
            (TrialLack::TakesNoNextEntry, TrialRefusal::TrialGrubNotOnce),
            (
                TrialLack::NoEnvironment { file: text("/boot/grub/grubenv") },
                TrialRefusal::TrialGrubEnvironmentMissing { file: text("/boot/grub/grubenv") },
            ),
            (
                TrialLack::EnvironmentOn { place: text("/boot"), kind: text("btrfs") },
                TrialRefusal::TrialGrubEnvironmentOn { place: text("/boot"), kind: text("btrfs") },
            ),
            (TrialLack::MenuOnFat { place: text("/boot") }, TrialRefusal::TrialGrubMenuOnFat { place: text("/boot") }),
            (TrialLack::NoHook, TrialRefusal::TrialGrubReadsNone),
            (TrialLack::NotFirst, TrialRefusal::TrialGrubDefaultBehind),
            (TrialLack::GrubDiffers, TrialRefusal::TrialGrubsDiffer),
            (TrialLack::NoGenerator, TrialRefusal::TrialGeneratorMasked),
            (TrialLack::Kexec, TrialRefusal::TrialKexecLoaded),
            (
                TrialLack::LoaderChanges { before: text("grub"), after: text("systemd-boot") },
                TrialRefusal::TrialLoaderChanges { before: text("grub"), after: text("systemd-boot") },
            ),
            (
                TrialLack::Machine { machine: text("riscv64") },
                TrialRefusal::TrialMachineUnknown { machine: text("riscv64") },
            ),
            (TrialLack::LineUnknown, TrialRefusal::TrialLineUnknown),
            (TrialLack::ImportsNone, TrialRefusal::TrialImportsNone),
            (TrialLack::CrashKernel, TrialRefusal::TrialCrashKernel),
            (
                TrialLack::Confidential { kind: text("sev-snp") },
                TrialRefusal::TrialMachineConfidential { kind: text("sev-snp") },
            ),
            (
                TrialLack::InitrdLonger { system: text("/nix/store/x") },
                TrialRefusal::TrialInitrdLonger { system: text("/nix/store/x") },
            ),
            (
                TrialLack::MountedLate { place: text("/nix/var") },
                TrialRefusal::TrialGuardMountedLate { place: text("/nix/var") },
            ),
            (
                TrialLack::NotOnTheMenu { system: text("/nix/store/x") },
                TrialRefusal::TrialNotOnMenu { system: text("/nix/store/x") },
            ),
            (TrialLack::Unknown { word: text("moon") }, TrialRefusal::TrialAnswerUnknown { said: text("moon") }),
        ];
        let mut words = std::collections::BTreeSet::new();
        for (lack, cause) in &rows {
            let lacks = TrialFacts { lacks: vec![lack.clone()], ..TrialFacts::default() };
            let said = said(|facts| facts.trial = lacks);
            assert_eq!(said, not([cause.clone()]));
            assert_eq!(said[0].mend(), cause.mend());
            words.insert(said[0].to_string());
        }
        assert_eq!(words.len(), rows.len(), "{words:#?}");
        // A host that lists a lack and a means beside it is not believed.
        let both = |facts: &mut Facts| facts.trial.lacks = vec![TrialLack::Kexec];
        assert_eq!(said(both), not([TrialRefusal::TrialKexecLoaded]));
        let silent = |facts: &mut Facts| facts.trial = TrialFacts::default();
        assert_eq!(said(silent), not([TrialRefusal::TrialAnswerUnknown { said: String::new() }]));
    }

    #[test]
    fn what_else_stands_against_it_is_found_whatever_the_loader_can_do() {
        for loader in [BootLoader::Init, BootLoader::Unknown, BootLoader::Extlinux] {
            let said = said(|facts| facts.standing.loader = loader);
            assert_eq!(said, not([TrialRefusal::TrialLoaderUnfit { loader }]));
        }
        let torn = BootFiles::Bad { why: "the initrd is missing".into() };
        assert_eq!(said(|facts| facts.boot_files = Some(torn)), not([TrialRefusal::TrialBootNotKnown]));
        let pending = NextBoot { entry: "windows.conf".into(), system: None };
        assert_eq!(said(|facts| facts.standing.next_boot = Some(pending)), not([TrialRefusal::TrialBootNotKnown]));
        let devices = vec!["root (CRYPT-LUKS2)".to_owned()];
        let asks = TrialRefusal::TrialDiskAsks { devices: devices.clone() };
        assert_eq!(said_of(1, |facts| facts.crypto_devices = devices), not([asks]));
        assert_eq!(said_of(1, |_| {}), not([TrialRefusal::TrialGuardSwitchesBack]));
        for (version, is_old) in
            [("systemd 255.4", true), ("", true), ("systemd 256", false), ("systemd 261~rc1", false)]
        {
            let said = said(|facts| facts.systemd_version = version.into());
            let old = TrialRefusal::TrialSystemdTooOld { version: version.into(), oldest: 256 };
            assert_eq!(said == not([old]), is_old, "{version}: {said:?}");
        }
        let why = "the kernel is longer than the store's: signed, or with secrets".to_owned();
        let unproven = BootFiles::Unproven { why: why.clone() };
        let said_of_files = said(|facts| facts.boot_files = Some(unproven));
        assert_eq!(said_of_files, not([TrialRefusal::TrialFilesNotCompared { fault: why }]));
        for (seconds, is_due) in [(3600, false), (3599, true), (-5, true)] {
            let said = said(|facts| facts.trial.upgrade_in = Some(seconds));
            assert_eq!(said == not([TrialRefusal::TrialUpgradeDue { seconds }]), is_due, "{said:?}");
        }
        for (bytes, fits) in [(990, true), (991, false)] {
            let said = said(|facts| facts.trial.line = Some(bytes));
            assert_eq!(said == not([TrialRefusal::TrialLineTooLong { bytes, most: 990 }]), !fits, "{said:?}");
        }
    }
}
