//! Finds what a host's boot loader says against relying on a reboot.

use std::fmt;

use crate::facts::host::Facts;
use crate::facts::systems::{BootFiles, BootLoader, NextBoot};
use crate::inventory::model::GuardAction;

/// The reason why it is not known what a reboot of this host brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BootRefusal {
    /// The partition that the loader boots from is not where its files are written.
    NotMounted { what: String },
    /// No reader of ours knows the loader.
    LoaderUnknown { note: Option<String>, way_out: WayOut },
    /// The loader is known, and not what it would start.
    DefaultUnknown { loader: BootLoader, note: Option<String> },
    /// A person or a program has set what the next reboot brings, once.
    NextBoot { loader: BootLoader, next: NextBoot },
    /// Kernel or initrd of the boot default would not start.
    FilesBad { why: String },
}

/// The way out for a host with an unknown loader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WayOut {
    /// A guard need not reboot.
    SwitchBack,
    /// A person has asked for the reboot itself.
    ByHand,
}

/// A doubt about reboots on a host with a guard that makes none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BootDoubt {
    LoaderUnknown,
    FilesBad {
        why: String,
    },
    /// The running system was activated and never booted, and the push changes parts that only a boot proves.
    NeverBooted {
        parts: Vec<String>,
    },
}

impl BootDoubt {
    /// Returns that doubt. A push says it only if it changes parts that a boot brings: most systems are never booted,
    /// and work well.
    #[must_use]
    pub fn of_parts(facts: &Facts, parts: &[String]) -> Option<Self> {
        (!facts.current_was_booted && !parts.is_empty()).then(|| Self::NeverBooted { parts: parts.to_vec() })
    }
}

impl BootRefusal {
    /// Finds everything that stands against a reboot, each cause before its consequences.
    #[must_use]
    pub fn all(facts: &Facts, way_out: WayOut) -> Vec<Self> {
        let standing = &facts.standing;
        let (loader, note) = (standing.loader, facts.boot_note.clone());
        let mut all = Vec::new();
        // Other files that could not be read then have the same cause.
        if let Some(what) = &facts.boot_missing {
            all.push(Self::NotMounted { what: what.clone() });
        } else if loader == BootLoader::Unknown {
            all.push(Self::LoaderUnknown { note, way_out });
        } else if standing.systems.known_boot_default().is_none() {
            all.push(Self::DefaultUnknown { loader, note });
        } else if let Some(BootFiles::Bad { why }) = &facts.boot_files {
            all.push(Self::FilesBad { why: why.clone() });
        }
        if let Some(next) = &standing.next_boot {
            all.push(Self::NextBoot { loader, next: next.clone() });
        }
        all
    }

    /// Finds the same for a guard, and which of it is only a doubt if the guard does not reboot.
    #[must_use]
    pub fn of_guard(facts: &Facts, action: GuardAction) -> (Vec<Self>, Vec<BootDoubt>) {
        let mut doubts = Vec::new();
        let mut refusals = Self::all(facts, WayOut::SwitchBack);
        if action == GuardAction::SwitchBack {
            refusals.retain(|refusal| match refusal {
                Self::LoaderUnknown { .. } => {
                    doubts.push(BootDoubt::LoaderUnknown);
                    false
                }
                Self::FilesBad { why } => {
                    doubts.push(BootDoubt::FilesBad { why: why.clone() });
                    false
                }
                // These are about files that the push itself writes and reads back.
                Self::NotMounted { .. } | Self::DefaultUnknown { .. } | Self::NextBoot { .. } => true,
            });
        }
        (refusals, doubts)
    }

    /// Returns one or two words, for a table.
    #[must_use]
    pub fn short(&self) -> &'static str {
        match self {
            Self::NotMounted { .. } => "/boot missing",
            Self::LoaderUnknown { .. } | Self::DefaultUnknown { .. } => "boot not known",
            Self::NextBoot { .. } => "next boot set",
            Self::FilesBad { .. } => "boot files",
        }
    }

    /// Says what to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::NotMounted { .. } => {
                "mount it there, or unmount what hides it, and see why that was so: `findmnt --verify`, `findmnt \
                 /boot`; if it is mounted elsewhere, say where in the inventory: `boot_loader: {esp: /boot/esp}`"
                    .to_owned()
            }
            Self::LoaderUnknown { way_out, .. } => {
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
            Self::DefaultUnknown { .. } => {
                "where the inventory says `boot_loader` of it, mend that or take it out; else install it anew with \
                 `nixos-rebuild boot` there, or, if the wrong files are read, say in the inventory which are right: \
                 `boot_loader: {kind: systemd-boot, esp: /boot}`"
                    .to_owned()
            }
            Self::NextBoot { loader, next } => {
                let command = match loader {
                    // Returns whether it is an entry of the firmware, which passes every loader: `Boot0003`.
                    _ if is_firmware_s(&next.entry) => "`efibootmgr --delete-bootnext` there takes it back",
                    BootLoader::SystemdBoot => "`bootctl set-oneshot \"\"` there takes it back",
                    BootLoader::Grub => {
                        "`nix-shell -p grub2 --run 'grub-editenv /boot/grub/grubenv unset next_entry'` there takes it \
                         back"
                    }
                    BootLoader::Extlinux | BootLoader::Init | BootLoader::Unknown => "take it back there",
                };
                format!("{command}; or reboot it by hand, which uses it up")
            }
            Self::FilesBad { .. } => "make room on /boot if it is full, then install them anew there: \
                 `/run/current-system/bin/switch-to-configuration boot`"
                .to_owned(),
        }
    }
}

impl fmt::Display for BootRefusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotMounted { what } => {
                write!(formatter, "{what}: what is installed for the next boot would lie where no reboot looks for it")
            }
            Self::LoaderUnknown { note, .. } => {
                write!(
                    formatter,
                    "its boot loader is not one that fleetdeploy can read, so what a reboot would bring is not known"
                )?;
                in_brackets(note.as_deref(), formatter)
            }
            Self::DefaultUnknown { loader, note } => {
                write!(formatter, "what a reboot would bring cannot be told from its {}", loader.word())?;
                in_brackets(note.as_deref(), formatter)
            }
            Self::NextBoot { next: NextBoot { entry, system }, .. } => {
                write!(formatter, "somebody has set its next boot, for once, to `{entry}`")?;
                match system {
                    Some(system) => write!(formatter, ", which is {system}"),
                    None => Ok(()),
                }
            }
            Self::FilesBad { why } => write!(formatter, "a reboot would not start what it boots: {}", or_else(why)),
        }
    }
}

impl fmt::Display for BootDoubt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LoaderUnknown => formatter.write_str(
                "its boot loader is not one that fleetdeploy can read: the boot default is taken from the profile, and \
                 what a reboot brings is not known",
            ),
            Self::NeverBooted { parts } => write!(
                formatter,
                "what runs now was never booted, and this push brings another {}: a guard that fires boots, for the \
                 first time, what runs now",
                parts.join(", ")
            ),
            Self::FilesBad { why } => write!(
                formatter,
                "a reboot would not start what it boots: {}; its guard does not reboot, and this push may mend it",
                or_else(why)
            ),
        }
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

fn or_else(why: &str) -> &str {
    if why.is_empty() { "its kernel or initrd is not whole" } else { why }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::decide::status::tests::{system, well};
    use crate::decide::survey::{Allowed, Surveyed, Weight, judge};
    use crate::decide::time::Times;
    use crate::decide::transaction::inspection::Found;
    use crate::facts::host::GuardState;
    use crate::facts::plan::HostPlan;
    use crate::facts::systems::Systems;

    fn facts(change: impl FnOnce(&mut Facts)) -> Facts {
        let mut facts = well().facts;
        change(&mut facts);
        facts
    }

    fn texts(facts: &Facts) -> Vec<String> {
        BootRefusal::all(facts, WayOut::SwitchBack).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_host_whose_boot_is_known_is_not_refused() {
        for files in [None, Some(BootFiles::Whole), Some(BootFiles::Unproven { why: "it is signed".into() })] {
            let facts = facts(|facts| facts.boot_files = files);
            assert_eq!(BootRefusal::of_guard(&facts, GuardAction::Reboot), (vec![], vec![]));
        }
        let container = facts(|facts| facts.standing.loader = BootLoader::Init);
        assert_eq!(texts(&container), Vec::<String>::new());
    }

    #[test]
    fn what_a_reboot_brings_must_be_known_where_a_guard_reboots() {
        let note = "limine boots the newest generation, whatever is installed";
        let limine = facts(|facts| {
            facts.standing.loader = BootLoader::Unknown;
            facts.boot_note = Some(note.into());
        });
        let (refusals, doubts) = BootRefusal::of_guard(&limine, GuardAction::Reboot);
        assert_eq!(refusals, [BootRefusal::LoaderUnknown { note: Some(note.into()), way_out: WayOut::SwitchBack }]);
        assert_eq!(doubts, []);
        assert!(refusals[0].to_string().contains(note), "{}", refusals[0]);
        for way_out in ["guard_action: switch-back", "boot_loader: {kind:"] {
            assert!(refusals[0].hint().contains(way_out), "{}", refusals[0].hint());
        }
        assert_eq!(BootRefusal::of_guard(&limine, GuardAction::SwitchBack), (vec![], vec![BootDoubt::LoaderUnknown]));
    }

    #[test]
    fn a_default_that_cannot_be_told_is_refused_whatever_a_guard_does() {
        let facts = facts(|facts| {
            facts.standing.systems.boot_default = Systems::not_known();
            facts.boot_note = Some("systemd-boot has no entries".into());
        });
        let expected = "what a reboot would bring cannot be told from its systemd-boot (systemd-boot has no entries)";
        for action in [GuardAction::Reboot, GuardAction::SwitchBack] {
            let (refusals, doubts) = BootRefusal::of_guard(&facts, action);
            assert_eq!((refusals.len(), doubts.len()), (1, 0));
            assert_eq!(refusals[0].to_string(), expected);
        }
    }

    /// A reason that refuses a push does not keep a recovery from a host that was armed before: its guard must still be
    /// taken over.
    #[test]
    fn nothing_that_a_survey_refuses_makes_a_recovery_pass_a_host_over() {
        let mut standing = well().facts.standing;
        let old = standing.systems.clone();
        let plan = HostPlan {
            name: crate::inventory::model::HostName::new("vps").unwrap(),
            changes: true,
            old: old.clone(),
            generation: 1,
            new: system('b', "2"),
            boot_id: standing.boot_id.clone(),
            machine_id: "0".repeat(32),
            behind: None,
            reactivate: false,
            wave: 0,
            failed_units: [].into(),
            restarts: [].into(),
            units: crate::facts::units::UnitTerms::default(),
        };
        standing.loader = BootLoader::Unknown;
        standing.next_boot = Some(NextBoot { entry: "windows.conf".into(), system: None });
        standing.systems = Systems { boot_default: Systems::not_known(), ..Systems::all(&plan.new) };
        standing.guard = GuardState::Armed { run: "r-1".into(), deadline: 90_000 };
        assert!(matches!(Found::of(&plan, &standing), Found::Guarded(_)), "{:?}", Found::of(&plan, &standing));
        // And it is never taken for through, on old or on new.
        standing.guard = GuardState::None;
        for systems in [Systems::all(&plan.new), old] {
            standing.systems = Systems { boot_default: Systems::not_known(), ..systems };
            let found = Found::of(&plan, &standing);
            assert!(!matches!(found, Found::Old { .. } | Found::New { .. }), "{found:?}");
            assert!(found.text().contains("boot default not known"), "{}", found.text());
        }
    }

    #[test]
    fn what_is_not_mounted_is_said_and_not_what_follows_from_it() {
        let facts = facts(|facts| {
            facts.boot_missing = Some("/boot is in fstab and is not mounted".into());
            facts.boot_note = Some("systemd-boot has no entries".into());
            facts.standing.systems.boot_default = Systems::not_known();
            facts.boot_files = Some(BootFiles::Bad { why: "the kernel is missing".into() });
        });
        assert_eq!(
            texts(&facts),
            ["/boot is in fstab and is not mounted: what is installed for the next boot would lie where no reboot \
                 looks for it"]
        );
    }

    #[test]
    fn a_next_boot_that_is_pending_says_what_to_type() {
        let pending = |loader: BootLoader, entry: &str, system: Option<_>| {
            let facts = facts(|facts| {
                facts.standing.loader = loader;
                facts.standing.next_boot = Some(NextBoot { entry: entry.into(), system });
            });
            let (refusals, _) = BootRefusal::of_guard(&facts, GuardAction::SwitchBack);
            assert_eq!(refusals.len(), 1);
            (refusals[0].to_string(), refusals[0].hint())
        };
        let (text, hint) = pending(BootLoader::SystemdBoot, "nixos-generation-5.conf", Some(system('b', "2")));
        assert!(text.contains("for once, to `nixos-generation-5.conf`, which is /nix/store/bbbb"), "{text}");
        assert!(hint.starts_with("`bootctl set-oneshot \"\"`"), "{hint}");
        let (text, hint) = pending(BootLoader::Grub, "1>0", None);
        assert!(text.ends_with("somebody has set its next boot, for once, to `1>0`"), "{text}");
        assert!(hint.contains("unset next_entry"), "{hint}");
        let (_, hint) = pending(BootLoader::SystemdBoot, "Boot000A", None);
        assert!(hint.starts_with("`efibootmgr --delete-bootnext`"), "{hint}");
    }

    #[test]
    fn a_torn_kernel_refuses_where_a_guard_would_boot_it() {
        let torn = facts(|facts| facts.boot_files = Some(BootFiles::Bad { why: "the initrd is missing".into() }));
        let why = || "the initrd is missing".to_owned();
        let (refusals, _) = BootRefusal::of_guard(&torn, GuardAction::Reboot);
        assert_eq!(refusals, [BootRefusal::FilesBad { why: why() }]);
        let (refusals, doubts) = BootRefusal::of_guard(&torn, GuardAction::SwitchBack);
        assert_eq!((refusals, doubts), (vec![], vec![BootDoubt::FilesBad { why: why() }]));
    }

    #[test]
    fn a_next_boot_on_a_witness_is_a_warning_and_on_a_host_that_changes_a_refusal() {
        let fleet = crate::decide::status::tests::fleet("hosts: {vps: }\nfleets: {lab: {flake: ., hosts: all}}\n");
        let host = &fleet.hosts[0];
        let pending = NextBoot { entry: "windows.conf".into(), system: None };
        let facts = facts(|facts| facts.standing.next_boot = Some(pending));
        let new = system('b', "2");
        let judged = |new| {
            let times = Times::of(host, fleet.settle, fleet.steady());
            let surveyed = Surveyed { host, selected: false, facts: &facts, new, times };
            let findings = judge("lab", &[surveyed], Allowed::default());
            let about = findings.into_iter().filter(|finding| finding.text.contains("`windows.conf`"));
            about.map(|finding| finding.weight).collect::<Vec<_>>()
        };
        assert_eq!(judged(None), [Weight::Warning]);
        assert_eq!(judged(Some(&new)), [Weight::Refusal]);
    }
}
