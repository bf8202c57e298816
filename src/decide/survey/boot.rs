//! Finds what a host's boot loader says against relying on a reboot.

use crate::event::reason::boot::{BootDoubt, BootRefusal, WayOut};
use crate::facts::host::Facts;
use crate::facts::systems::{BootFiles, BootLoader};
use crate::inventory::model::GuardAction;

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
            all.push(Self::BootNotMounted { what: what.clone() });
        } else if loader == BootLoader::Unknown {
            all.push(Self::BootLoaderUnknown { note, way_out });
        } else if standing.systems.known_boot_default().is_none() {
            all.push(Self::BootDefaultUnknown { loader, note });
        } else if let Some(BootFiles::Bad { why }) = &facts.boot_files {
            all.push(Self::BootFilesBad { fault: why.clone() });
        }
        if let Some(next) = &standing.next_boot {
            all.push(Self::NextBootSet { loader, entry: next.entry.clone(), system: next.system.clone() });
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
                Self::BootLoaderUnknown { .. } => {
                    doubts.push(BootDoubt::BootLoaderDoubtful);
                    false
                }
                Self::BootFilesBad { fault } => {
                    doubts.push(BootDoubt::BootFilesDoubtful { fault: fault.clone() });
                    false
                }
                // These are about files that the push itself writes and reads back.
                Self::BootNotMounted { .. } | Self::BootDefaultUnknown { .. } | Self::NextBootSet { .. } => true,
            });
        }
        (refusals, doubts)
    }

    /// Returns one or two words, for a table.
    #[must_use]
    pub fn short(&self) -> &'static str {
        match self {
            Self::BootNotMounted { .. } => "/boot missing",
            Self::BootLoaderUnknown { .. } | Self::BootDefaultUnknown { .. } => "boot not known",
            Self::NextBootSet { .. } => "next boot set",
            Self::BootFilesBad { .. } => "boot files",
        }
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::decide::status::tests::{system, well};
    use crate::decide::survey::{Allowed, Surveyed, Weight, judge};
    use crate::decide::time::Times;
    use crate::decide::transaction::inspection::Found;
    use crate::event::reason::Worded;
    use crate::facts::host::GuardState;
    use crate::facts::plan::HostPlan;
    use crate::facts::systems::{NextBoot, Systems};

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
        assert_eq!(refusals, [BootRefusal::BootLoaderUnknown { note: Some(note.into()), way_out: WayOut::SwitchBack }]);
        assert_eq!(doubts, []);
        assert!(refusals[0].to_string().contains(note), "{}", refusals[0]);
        for way_out in ["guard_action: switch-back", "boot_loader: {kind:"] {
            assert!(refusals[0].mend().unwrap().contains(way_out), "{}", refusals[0].mend().unwrap());
        }
        assert_eq!(
            BootRefusal::of_guard(&limine, GuardAction::SwitchBack),
            (vec![], vec![BootDoubt::BootLoaderDoubtful])
        );
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
            login: crate::facts::plan::LoginBefore::Unknown,
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
            assert!(found.told().to_string().contains("what a reboot brings is not known"), "{}", found.told());
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
            (refusals[0].to_string(), refusals[0].mend().unwrap())
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
        assert_eq!(refusals, [BootRefusal::BootFilesBad { fault: why() }]);
        let (refusals, doubts) = BootRefusal::of_guard(&torn, GuardAction::SwitchBack);
        assert_eq!((refusals, doubts), (vec![], vec![BootDoubt::BootFilesDoubtful { fault: why() }]));
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
            let about = findings.into_iter().filter(|finding| finding.text.to_string().contains("`windows.conf`"));
            about.map(|finding| finding.weight).collect::<Vec<_>>()
        };
        assert_eq!(judged(None), [Weight::Warning]);
        assert_eq!(judged(Some(&new)), [Weight::Refusal]);
    }
}
