use pretty_assertions::assert_eq;

use super::*;
use crate::decide::status::tests::{fleet, system, tried_in_vain, well};
use crate::facts::host::Lease;
use crate::facts::systems::{BootFiles, BootLoader, NextBoot};

/// What is asked of a host.
#[derive(Debug, Clone, Copy)]
enum Asked {
    Push,
    /// It is a witness.
    Watch,
    Guard,
    Reboot,
}

const NO_GUARD: &str = "hosts: {vps: }\nfleets: {lab: {flake: ., hosts: all}}\n";
const SWITCH_BACK: &str = "hosts: {vps: {guard_action: switch-back}}\nfleets: {lab: {flake: ., hosts: all}}\n";

/// What is wrong, what is asked, and the codes that are said, those of refusals with a mark.
fn said(inventory: &str, change: impl FnOnce(&mut Facts), asked: Asked, drift: bool) -> Vec<String> {
    let fleet = fleet(inventory);
    let mut facts = well().facts;
    change(&mut facts);
    let new = system('b', "2");
    let surveyed = Surveyed {
        host: &fleet.hosts[0],
        selected: !matches!(asked, Asked::Watch),
        facts: &facts,
        new: matches!(asked, Asked::Push).then_some(&new),
        times: Times::of(&fleet.hosts[0], fleet.settle, fleet.steady()),
    };
    let allowed = Allowed { drift, broken: false };
    let findings = match asked {
        Asked::Push | Asked::Watch => judge("lab", &[surveyed], allowed),
        Asked::Guard => judge_by_hand("lab", &[surveyed], allowed, ByHand::Guard),
        Asked::Reboot => judge_by_hand("lab", &[surveyed], allowed, ByHand::Reboot),
    };
    let mark = |finding: &Finding| if finding.weight == Weight::Refusal { "!" } else { "" };
    let codes = |finding: &Finding| {
        crate::codes::keep(&finding.event());
        format!("{}{}", finding.text.code().unwrap(), mark(finding))
    };
    findings.iter().map(codes).collect()
}

fn lease(owner: &str) -> Lease {
    serde_json::from_value(serde_json::json!({"run": "r-1", "epoch": 1, "owner": owner})).unwrap()
}

#[test]
fn a_host_that_is_well_is_refused_nothing() {
    for asked in [Asked::Push, Asked::Watch, Asked::Guard, Asked::Reboot] {
        assert_eq!(said(NO_GUARD, |_| {}, asked, false), [""; 0], "{asked:?}");
    }
}

#[test]
fn what_a_reboot_would_not_bring_back_is_refused_where_one_may_come() {
    let drifted = |facts: &mut Facts| facts.standing.systems.boot_default = system('c', "3");
    assert_eq!(said(NO_GUARD, drifted, Asked::Push, false), ["systems-differ!"]);
    assert_eq!(said(NO_GUARD, drifted, Asked::Push, true), ["systems-differ-accepted"]);
    assert_eq!(said(NO_GUARD, drifted, Asked::Reboot, false), ["boot-default-differs!"]);
    assert_eq!(said(NO_GUARD, drifted, Asked::Reboot, true), ["boot-default-differs-accepted"]);
    let encrypted = |facts: &mut Facts| facts.crypto_devices = vec!["root".into()];
    assert_eq!(said(NO_GUARD, encrypted, Asked::Push, false), ["encrypted-unguarded!"]);
    assert_eq!(said(NO_GUARD, encrypted, Asked::Reboot, false), ["encrypted-reboot!"]);
    assert_eq!(said(SWITCH_BACK, encrypted, Asked::Push, false), [""; 0]);
    assert_eq!(said(SWITCH_BACK, encrypted, Asked::Reboot, false), ["person-needed-at-boot!"]);
}

/// An installer would make it the boot default, and the next reset would start it with nobody there.
#[test]
fn a_system_that_was_tried_in_vain_is_not_advised_to_be_made_the_boot_default() {
    for asked in [Asked::Push, Asked::Guard] {
        assert_eq!(said(NO_GUARD, tried_in_vain, asked, false), ["tried-in-vain!"], "{asked:?}");
        assert_eq!(said(NO_GUARD, tried_in_vain, asked, true), ["systems-differ-accepted"], "{asked:?}");
        // A person has made it that since.
        let made = |facts: &mut Facts| {
            tried_in_vain(facts);
            facts.standing.systems.boot_default = facts.standing.systems.profile.clone();
        };
        assert_eq!(said(NO_GUARD, made, asked, false), ["systems-differ!"], "{asked:?}");
    }
}

#[test]
fn a_boot_loader_that_nobody_knows_is_a_doubt_where_no_guard_reboots() {
    let unknown = |facts: &mut Facts| facts.standing.loader = BootLoader::Unknown;
    assert_eq!(said(NO_GUARD, unknown, Asked::Push, false), ["boot-loader-unknown!"]);
    assert_eq!(said(SWITCH_BACK, unknown, Asked::Push, false), ["boot-loader-doubtful"]);
    let not_told = |facts: &mut Facts| facts.standing.systems.boot_default = Systems::not_known();
    assert_eq!(said(NO_GUARD, not_told, Asked::Push, false), ["boot-default-unknown!"]);
    let bad = |facts: &mut Facts| facts.boot_files = Some(BootFiles::Bad { why: "half a kernel".into() });
    assert_eq!(said(NO_GUARD, bad, Asked::Push, false), ["boot-files-bad!"]);
    assert_eq!(said(SWITCH_BACK, bad, Asked::Push, false), ["boot-files-doubtful"]);
    let next = |facts: &mut Facts| {
        facts.standing.next_boot = Some(NextBoot { entry: "windows.conf".into(), system: None });
    };
    assert_eq!(said(NO_GUARD, next, Asked::Push, false), ["next-boot-set!"]);
    assert_eq!(said(NO_GUARD, next, Asked::Watch, false), ["witness-next-boot-set"]);
}

#[test]
fn what_somebody_else_holds_is_named_for_who_holds_it() {
    let armed = GuardState::Armed { run: "r-1".into(), deadline: 90_000 };
    let by_hand = |guard: GuardState| {
        move |facts: &mut Facts| {
            facts.standing.guard = guard;
            facts.standing.lease = Some(lease(&guard::marked("ada@laptop")));
        }
    };
    let elsewhere = |guard: GuardState| move |facts: &mut Facts| facts.standing.guard = guard;
    assert_eq!(said(NO_GUARD, by_hand(armed.clone()), Asked::Push, false), ["guard-armed-by-hand!"]);
    assert_eq!(said(NO_GUARD, by_hand(GuardState::None), Asked::Push, false), ["held-by-hand!"]);
    assert_eq!(said(NO_GUARD, elsewhere(armed), Asked::Watch, false), ["guard-armed-elsewhere!"]);
    let firing = GuardState::Firing { run: "r-1".into() };
    assert_eq!(said(NO_GUARD, elsewhere(firing), Asked::Guard, false), ["guard-firing-elsewhere!"]);
    let held = |facts: &mut Facts| facts.standing.lease = Some(lease("bob@desktop"));
    assert_eq!(said(NO_GUARD, held, Asked::Reboot, false), ["held-by-run!"]);
}
