//! Judges how a host is, day by day: where it has drifted to, what it lacks, what it needs, and what to do about it.

use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};

use crate::decide::survey::{self, Allowed, Surveyed};
use crate::decide::time::Times;
use crate::event::reason::any::AnyReason;
use crate::event::reason::boot::BootRefusal;
use crate::event::reason::leftover::Left;
use crate::event::reason::status::{Ailment, KernelDue, ShortTrouble};
use crate::facts::host::Facts;
use crate::facts::systems::Systems;
use crate::inventory::model::{Host, HostName};

/// The words of a host about itself, for `status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    pub facts: Facts,
    /// When the profile's current generation was made: seconds since 1970, by the host's clock.
    pub generation_made: Option<u64>,
    /// `/`, the store, and /boot where it is a file system of its own.
    pub spaces: Vec<Space>,
    /// The parts, in words, in which its current system differs from the booted one so that only a reboot brings them.
    pub reboot_for: Vec<String>,
    /// `linux-6.12.8`, of the current system; the kernel that runs may be another one.
    pub current_kernel: Option<String>,
}

/// A file system that a system needs room on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Space {
    pub place: String,
    /// Bytes.
    pub free: u64,
    pub size: u64,
}

impl Space {
    /// Returns whether that is little: less than a push may need, and less than a seventh of the whole, so that a small
    /// disk that is nearly empty is not called full.
    #[must_use]
    pub fn is_little(&self) -> bool {
        self.free < self.need() && self.free < self.size / 7
    }

    /// Returns whether no part of a new system fits any more.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.is_little() && self.free < self.need() / 8
    }

    /// A kernel with its initrd is some 60 MB in /boot; the copy of a closure some 100 MB or more in the store; a full
    /// / keeps systemd from working at all.
    fn need(&self) -> u64 {
        match self.place.as_str() {
            "/" => 200 << 20,
            "/nix/store" => 1 << 30,
            _ => 80 << 20,
        }
    }
}

/// A thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusTrouble {
    pub short: ShortTrouble,
    pub text: AnyReason,
}

impl StatusTrouble {
    fn new(short: ShortTrouble, ailment: Ailment) -> Self {
        Self { short, text: ailment.into() }
    }

    /// Says what to do about it.
    #[must_use]
    pub fn mend(&self) -> Option<String> {
        self.text.mend()
    }
}

impl Serialize for StatusTrouble {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Shape<'a> {
            short: String,
            #[serde(flatten)]
            text: &'a AnyReason,
            mend: Option<String>,
        }
        Shape { short: self.short.to_string(), text: &self.text, mend: self.mend() }.serialize(serializer)
    }
}

/// Finds everything that is not as it should be, the most urgent first. `fleet` is for the commands to type.
#[must_use]
pub fn troubles(fleet: &str, host: &Host, condition: &Condition) -> Vec<StatusTrouble> {
    let facts = &condition.facts;
    let fleet_name = || fleet.to_owned();
    let mut troubles = claims(fleet, host, facts);
    let claimed = !troubles.is_empty();
    let mut add = |short: ShortTrouble, ailment: Ailment| troubles.push(StatusTrouble::new(short, ailment));
    if !claimed {
        for run in &facts.survivors {
            let unfinished = Ailment::RunUnfinishedThere { run: run.clone(), fleet: fleet_name() };
            add(ShortTrouble::UnfinishedRun, unfinished);
        }
        // A system that another run has moved is that run's affair.
        if let Some(drift) = drift(&facts.standing.systems) {
            add(ShortTrouble::Drift, survey::tried_in_vain(fleet, host, facts).unwrap_or(drift));
        }
    }
    if !claimed {
        let left = Left::trials_at_rest(fleet, &facts.standing).into_iter();
        troubles.extend(left.map(|left| StatusTrouble { short: ShortTrouble::TrialLeft, text: left.into() }));
    }
    // A /boot that is gone, or a next boot that a person has set, is also in the way of the end of a run that holds the
    // host.
    let (refusals, _) = BootRefusal::of_guard(facts, host.guard_action);
    troubles.extend(
        refusals
            .into_iter()
            .map(|refusal| StatusTrouble { short: ShortTrouble::Boot(refusal.short()), text: refusal.into() }),
    );
    let mut add = |short: ShortTrouble, ailment: Ailment| troubles.push(StatusTrouble::new(short, ailment));
    for mark in &facts.marks {
        let missing: Vec<HostName> = mark.ended.mark.missing.keys().cloned().collect();
        let ended =
            Ailment::EndedWithoutOthers { run: mark.run.clone(), missing: missing.clone(), fleet: fleet_name() };
        add(ShortTrouble::Without(missing), ended);
    }
    for busy in &facts.busy {
        add(ShortTrouble::Busy, Ailment::BusyThere { said: busy.clone() });
    }
    let units = facts.standing.failed_units.clone();
    if !units.is_empty() {
        let short = ShortTrouble::UnitsFailed(units.len());
        add(short, Ailment::FailedUnitsSeen { units, fleet: fleet_name(), host: host.name.clone() });
    }
    for space in condition.spaces.iter().filter(|space| space.is_little()) {
        let (place, free_bytes, size_bytes) = (space.place.clone(), space.free, space.size);
        add(ShortTrouble::Space, Ailment::SpaceLow { place, free_bytes, size_bytes });
    }
    // If a reboot brings something else, a person must hear that above all.
    if !condition.reboot_for.is_empty() && facts.standing.systems.agree() {
        let kernel = condition.current_kernel.as_ref().and_then(|kernel| {
            let current = kernel.strip_prefix("linux-").unwrap_or(kernel);
            let differs = !facts.kernel.is_empty() && facts.kernel != current;
            differs.then(|| KernelDue { running: facts.kernel.clone(), current: current.to_owned() })
        });
        let parts = condition.reboot_for.clone();
        let due = Ailment::RebootDue { parts, kernel, fleet: fleet_name(), host: host.name.clone() };
        add(ShortTrouble::Reboot, due);
    }
    troubles
}

/// Finds what the survey of a push would say of guard and lease.
fn claims(fleet: &str, host: &Host, facts: &Facts) -> Vec<StatusTrouble> {
    let times = Times::of(host, Duration::ZERO, Duration::ZERO);
    let surveyed = Surveyed { host, selected: false, facts, new: None, times };
    let findings = survey::judge(fleet, &[surveyed], Allowed::default());
    let claim = |finding: survey::Finding| StatusTrouble { short: ShortTrouble::Claimed, text: finding.text };
    findings.into_iter().filter(|finding| finding.weight == survey::Weight::Refusal).map(claim).collect()
}

/// Says where a host's three systems differ, and what brings them together; `None`: they are one, or it is not known.
#[must_use]
pub fn drift(systems: &Systems) -> Option<Ailment> {
    // An unknown boot default is no drift: it is a trouble of its own.
    if systems.agree() || systems.known_boot_default().is_none() {
        return None;
    }
    let Systems { current, profile, boot_default } = systems.clone();
    Some(match (current == profile, current == boot_default, profile == boot_default) {
        (_, _, true) => Ailment::CurrentStandsAlone { current, profile, boot_default },
        (true, _, _) => Ailment::BootDefaultStandsAlone { current, profile, boot_default },
        (_, true, _) => Ailment::ProfileStandsAlone { current, profile, boot_default },
        _ => Ailment::SystemsAllDiffer { current, profile, boot_default },
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::Path;

    use pretty_assertions::assert_eq;

    use super::*;
    use crate::facts::host::{GuardState, Lease, Standing};
    use crate::facts::store_path::StorePath;
    use crate::facts::systems::{BootFiles, BootLoader, NextBoot};
    use crate::facts::traces::{EndMark, EndSide, Ended, RunMark};
    use crate::facts::trial::{TrialFacts, TrialMeans, TrialSurvivor, TrialSystems};
    use crate::inventory::model::{Fleet, Inventory};

    pub(crate) fn system(hash: char, version: &str) -> StorePath {
        let hash = hash.to_string().repeat(32);
        StorePath::new(format!("/nix/store/{hash}-nixos-system-vps-{version}")).unwrap()
    }

    /// A host that is as it should be.
    pub(crate) fn well() -> Condition {
        let current = system('a', "1");
        Condition {
            facts: Facts {
                standing: Standing {
                    boot_id: "5f1c6b4e-8a43-4b0e-9c9f-0e3f5a1d2b7c".into(),
                    uptime: 86_400,
                    systems: Systems::all(&current),
                    booted: current,
                    generation: 12,
                    loader: BootLoader::SystemdBoot,
                    next_boot: None,
                    guard: GuardState::None,
                    lease: None,
                    rolling: None,
                    jobs: BTreeMap::new(),
                    failed_units: BTreeSet::new(),
                    restarts: BTreeMap::new(),
                    units: BTreeMap::new(),
                    run_traces: None,
                    fence: None,
                    trial: crate::facts::trial::TrialStanding::default(),
                },
                host_name: "vps".into(),
                machine_id: "0".repeat(32),
                system_type: "x86_64-linux".into(),
                free_root: 10 << 30,
                free_store: 10 << 30,
                free_boot: Some(300 << 20),
                nix_version: "nix-2.26.3".into(),
                systemd_version: "systemd 257.13".into(),
                kernel: "6.12.1".into(),
                nixos_version: Some("25.11".into()),
                ssh_port: Some(22),
                crypto_devices: vec![],
                survivors: vec![],
                survivor_hosts: BTreeMap::new(),
                survivor_roots: BTreeMap::new(),
                remembered: BTreeMap::new(),
                fences: BTreeMap::new(),
                marks: Vec::new(),
                over: BTreeSet::new(),
                switching: BTreeSet::new(),
                rolling_over: None,
                traces: vec![],
                busy: vec![],
                boot_missing: None,
                boot_files: None,
                trial: TrialFacts { means: Some(TrialMeans::EfiVariable), watchdog: true, ..TrialFacts::default() },
                boot_note: None,
                notes: vec![],
                current_was_booted: true,
                lacks_bash: false,
                origins: vec![],
                wireguard: vec![],
            },
            generation_made: Some(1_795_364_100),
            spaces: [("/", 10 << 30), ("/nix/store", 10 << 30), ("/boot", 300 << 20)]
                .map(|(place, free)| Space { place: place.into(), free, size: free * 2 })
                .into(),
            reboot_for: vec![],
            current_kernel: Some("linux-6.12.1".into()),
        }
    }

    pub(crate) fn fleet(text: &str) -> Fleet {
        let loaded = Inventory::parse(Path::new("inventory.yaml"), Path::new("/"), text).unwrap();
        loaded.inventory.fleets.into_values().next().unwrap()
    }

    fn shorts(change: impl FnOnce(&mut Condition)) -> Vec<String> {
        let fleet = fleet("hosts: {vps: }\nfleets: {lab: {flake: ., hosts: all}}\n");
        let mut condition = well();
        change(&mut condition);
        let troubles = troubles("lab", &fleet.hosts[0], &condition);
        crate::codes::keep_judged(troubles.iter().map(|trouble| trouble.text.clone()));
        troubles.into_iter().map(|trouble| trouble.short.to_string()).collect()
    }

    /// Its profile was tried once, and the host has booted what it booted before.
    pub(crate) fn tried_in_vain(facts: &mut Facts) {
        let (booted, tried) = (system('a', "1"), system('b', "2"));
        let systems = TrialSystems { booted: booted.clone(), tried: tried.clone(), before: tried.clone() };
        facts.standing.trial.survivors = vec![TrialSurvivor {
            run: "r-1".into(),
            owner: "ada@laptop".into(),
            systems: Some(systems),
            seconds: 600,
            kept_by_firmware: false,
            proven: false,
            over: true,
            failed: Some("no login".into()),
            trace: None,
        }];
        facts.standing.booted = booted.clone();
        facts.standing.systems = Systems { profile: tried, ..Systems::all(&booted) };
    }

    #[test]
    fn nobody_is_told_to_make_a_system_the_boot_default_that_was_tried_in_vain() {
        assert_eq!(shorts(|host| tried_in_vain(&mut host.facts)), ["drift"]);
        let fleet = fleet("hosts: {vps: }\nfleets: {lab: {flake: ., hosts: all}}\n");
        let mut condition = well();
        tried_in_vain(&mut condition.facts);
        let mend = troubles("lab", &fleet.hosts[0], &condition)[0].text.mend().unwrap();
        assert!(!mend.contains("installs the boot loader") && mend.contains("reboot lab --on vps"), "{mend}");
    }

    #[test]
    fn a_host_that_is_well_has_no_trouble() {
        assert_eq!(shorts(|_| {}), Vec::<String>::new());
    }

    #[test]
    fn every_trouble_has_its_word() {
        let drifted = Systems { current: system('b', "2"), ..Systems::all(&system('a', "1")) };
        assert_eq!(shorts(|host| host.facts.standing.systems = drifted.clone()), ["drift"]);
        assert_eq!(shorts(|host| host.reboot_for = vec!["kernel".into()]), ["reboot"]);
        assert_eq!(shorts(|host| host.facts.busy = vec!["a switch is under way".into()]), ["busy"]);
        assert_eq!(shorts(|host| host.spaces[2].free = 1 << 20), ["space"]);
        assert_eq!(shorts(|host| host.spaces.iter_mut().for_each(|space| space.free = 0)), ["space"; 3]);
        // A small disk that is all but empty.
        let small = Space { place: "/nix/store".into(), free: 400 << 20, size: 512 << 20 };
        assert_eq!(shorts(|host| host.spaces[1] = small), Vec::<String>::new());
        assert_eq!(shorts(|host| host.facts.survivors = vec!["r-1".into()]), ["unfinished run"]);
        let units = ["a.service", "b.service"].map(String::from);
        assert_eq!(shorts(|host| host.facts.standing.failed_units = units.into()), ["2 failed"]);
        assert_eq!(shorts(|host| host.facts.boot_missing = Some("/boot is not mounted".into())), ["/boot missing"]);
        assert_eq!(shorts(|host| host.facts.standing.loader = BootLoader::Unknown), ["boot not known"]);
        assert_eq!(
            shorts(|host| host.facts.standing.systems.boot_default = Systems::not_known()),
            ["boot not known"],
            "not a drift as well"
        );
        let next = NextBoot { entry: "windows.conf".into(), system: None };
        assert_eq!(shorts(|host| host.facts.standing.next_boot = Some(next)), ["next boot set"]);
        let bad = BootFiles::Bad { why: "the initrd is missing".into() };
        assert_eq!(shorts(|host| host.facts.boot_files = Some(bad)), ["boot files"]);
        // What another run has moved is its affair.
        let claimed = shorts(|host| {
            host.facts.standing.lease = Some(Lease { run: "r-1".into(), epoch: 1, owner: "ada@laptop".into() });
            host.facts.standing.guard = GuardState::Armed { run: "r-1".into(), deadline: 90_000 };
            host.facts.standing.systems = drifted;
            host.facts.survivors = vec!["r-1".into()];
        });
        assert_eq!(claimed, ["claimed"]);
        // What a person has set there, or what is gone there, is not.
        let next = NextBoot { entry: "windows.conf".into(), system: None };
        let held = shorts(|host| {
            host.facts.standing.lease = Some(Lease { run: "r-1".into(), epoch: 1, owner: "ada@laptop".into() });
            host.facts.standing.next_boot = Some(next);
            host.facts.boot_missing = Some("/boot is not mounted".into());
        });
        assert_eq!(held, ["claimed", "/boot missing", "next boot set"]);
    }

    #[test]
    fn a_run_that_was_ended_without_others_is_named_with_them_on_each_host_that_keeps_its_mark() {
        let nas = HostName::new("nas").unwrap();
        let mark = EndMark { side: Some(EndSide::Old), missing: [(nas.clone(), None)].into() };
        let ended = Ended { epoch: 9, mark };
        let marked = |host: &mut Condition| host.facts.marks.push(RunMark { run: "r-1".into(), ended });
        assert_eq!(shorts(marked), ["without nas"]);
    }

    #[test]
    fn a_reboot_says_which_kernel_runs_and_which_would() {
        let fleet = fleet("hosts: {vps: }\nfleets: {lab: {flake: ., hosts: all}}\n");
        let mut condition = well();
        condition.reboot_for = vec!["kernel".into(), "initrd".into()];
        condition.current_kernel = Some("linux-6.12.2".into());
        let troubles = troubles("lab", &fleet.hosts[0], &condition);
        let expected =
            "a reboot brings what the current system changes: kernel, initrd (kernel 6.12.1 runs, 6.12.2 would)";
        assert_eq!(troubles[0].text.to_string(), expected);
    }

    #[test]
    fn drift_says_where_the_three_part() {
        let [one, two, three] = [system('a', "1"), system('b', "1"), system('c', "3")];
        let said = |current: &StorePath, profile: &StorePath, boot_default: &StorePath| {
            let systems =
                Systems { current: current.clone(), profile: profile.clone(), boot_default: boot_default.clone() };
            let drift = drift(&systems);
            crate::codes::keep_judged(drift.clone());
            drift.map(|drift| drift.to_string())
        };
        assert_eq!(said(&one, &one, &one), None);
        assert_eq!(
            said(&two, &one, &one).unwrap(),
            "a reboot brings vps-1 (aaaaaaaa), not what runs now, vps-1 (bbbbbbbb)"
        );
        assert_eq!(
            said(&one, &one, &three).unwrap(),
            "the boot loader starts vps-3, not what runs and the profile says, vps-1"
        );
        assert_eq!(
            said(&one, &three, &one).unwrap(),
            "the profile says vps-3, not what runs and a reboot brings, vps-1"
        );
        let all = said(&one, &two, &three).unwrap();
        assert_eq!(all, "vps-1 (aaaaaaaa) runs, the profile says vps-1 (bbbbbbbb), and a reboot brings vps-3");
    }
}
