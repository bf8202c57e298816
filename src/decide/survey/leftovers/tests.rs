use pretty_assertions::assert_eq;

use super::*;
use crate::decide::status::tests::{fleet, system, well};
use crate::decide::survey::{Allowed, Finding, Weight, judge};
use crate::decide::time::Times;
use crate::facts::host::{Facts, GuardState, Lease};
use crate::facts::systems::{Roots, Systems};
use crate::facts::traces::{EndMark, RunMark};

const LAB: &str = "hosts: {vps: , nas: , web: }\nfleets: {lab: {flake: ., hosts: all}}\n";

/// `vps`, `nas` and `web`, each on its old system.
fn three() -> [Facts; 3] {
    ["1", "2", "3"].map(|machine| {
        let mut facts = well().facts;
        facts.machine_id = machine.repeat(32);
        facts
    })
}

/// What was to bring system b to a host that ran system a.
fn left_on(facts: &mut Facts, run: &str) {
    facts.survivors.push(run.to_owned());
    let old = Systems::all(&system('a', "1"));
    facts.survivor_roots.insert(run.to_owned(), Roots { old: Some((old, 12)), new: Some(system('b', "2")) });
}

fn marked(facts: &mut Facts, run: &str, side: Option<EndSide>, missing: &str, machine: Option<&str>) {
    let missing = [(HostName::new(missing).unwrap(), machine.map(|machine| machine.repeat(32)))].into();
    let ended = Ended { epoch: 9, mark: EndMark { side, missing } };
    facts.marks.push(RunMark { run: run.to_owned(), ended });
}

/// Judges a push that changes all three.
fn findings(facts: &[Facts; 3]) -> Vec<Finding> {
    let fleet = fleet(LAB);
    let next = system('c', "3");
    let view = |(host, facts)| Surveyed {
        host,
        selected: true,
        facts,
        new: Some(&next),
        times: Times::of(host, fleet.settle, fleet.steady()),
    };
    let views: Vec<Surveyed<'_>> = fleet.hosts.iter().zip(facts).map(view).collect();
    let findings = judge("lab", &views, Allowed::default());
    for finding in &findings {
        crate::codes::keep(&finding.event());
    }
    findings
}

fn said(facts: &[Facts; 3]) -> Vec<(Option<String>, Weight, String)> {
    let name = |finding: &Finding| finding.host.as_ref().map(ToString::to_string);
    findings(facts).iter().map(|finding| (name(finding), finding.weight, finding.text.to_string())).collect()
}

#[test]
fn a_mark_alone_is_nothing_to_be_said() {
    let mut facts = three();
    marked(&mut facts[0], "r-1", Some(EndSide::Old), "web", Some("3"));
    marked(&mut facts[1], "r-1", Some(EndSide::Old), "web", None);
    assert_eq!(said(&facts), []);
}

#[test]
fn a_host_that_comes_back_is_judged_by_how_the_others_ended() {
    let stands = |facts: &mut Facts, system_of: char| {
        facts.standing.systems = Systems::all(&system(system_of, "2"));
    };
    let by_side = |side: EndSide, system_of: char| {
        let mut facts = three();
        left_on(&mut facts[2], "r-1");
        if system_of != 'a' {
            stands(&mut facts[2], system_of);
        }
        for host in [0, 1] {
            marked(&mut facts[host], "r-1", Some(side), "web", Some("3"));
        }
        said(&facts)
    };
    for (side, system_of, text) in [
        (
            EndSide::Old,
            'a',
            "was missing when run r-1 ended on the others, on their old systems, and is on its own old system, at \
             rest: only its garbage collection roots are left: a push of the fleet, or `fleetdeploy recover lab --run \
             r-1`, removes them",
        ),
        (
            EndSide::New,
            'b',
            "was missing when run r-1 ended on the others, on their new systems, and is on its own new system, at \
             rest: only its garbage collection roots are left: `fleetdeploy recover lab --run r-1` removes it",
        ),
        (
            EndSide::Old,
            'b',
            "was missing when run r-1 ended on the others, on their old systems, and has come back on its new system: \
             `fleetdeploy push lab --on web` or `fleetdeploy rollback lab --on web`, whichever is right",
        ),
        (
            EndSide::New,
            'a',
            "was missing when run r-1 ended on the others, on their new systems, and has come back on its old system: \
             `fleetdeploy push lab --on web` or `fleetdeploy rollback lab --on web`, whichever is right",
        ),
        (
            EndSide::New,
            'd',
            "was missing when run r-1 ended on the others, on their new systems, and has moved on since: only garbage \
             collection roots of that run are left: `fleetdeploy recover lab --run r-1` removes it",
        ),
    ] {
        assert_eq!(by_side(side, system_of), [(Some("web".to_owned()), Weight::Warning, text.to_owned())]);
    }
}

type Change = fn(&mut [Facts; 3]);

/// None of these says more than that the run did not come to its end there.
#[test]
fn marks_that_are_not_of_one_mind_or_not_about_this_host_judge_nobody() {
    let cases: [Change; 5] = [
        |_| {},
        |facts| marked(&mut facts[0], "r-1", Some(EndSide::Old), "nas", None),
        |facts| marked(&mut facts[0], "r-2", Some(EndSide::Old), "web", None),
        |facts| marked(&mut facts[0], "r-1", None, "web", None),
        // Its own word about itself.
        |facts| marked(&mut facts[2], "r-1", Some(EndSide::Old), "web", None),
    ];
    let at_rest = "run r-1 did not come to its end here; the host is at rest, and only its garbage collection roots \
                   are left: `fleetdeploy recover lab`";
    let at_rest = (Some("web".to_owned()), Weight::Warning, at_rest.to_owned());
    for (at, change) in cases.iter().enumerate() {
        let mut facts = three();
        left_on(&mut facts[2], "r-1");
        change(&mut facts);
        assert_eq!(said(&facts), std::slice::from_ref(&at_rest), "{at}");
    }
    let mut facts = three();
    left_on(&mut facts[2], "r-1");
    marked(&mut facts[0], "r-1", Some(EndSide::Old), "web", None);
    marked(&mut facts[1], "r-1", Some(EndSide::New), "web", None);
    let twice = "run r-1 was ended twice, each time without some of its hosts: on the old systems on vps, on the new \
                 ones on nas";
    assert_eq!(said(&facts), [(None, Weight::Warning, twice.to_owned()), at_rest]);
}

#[test]
fn what_is_over_is_said_so_and_a_host_between_refuses_whatever_the_marks_say() {
    let mut facts = three();
    left_on(&mut facts[2], "r-1");
    facts[2].over.insert("r-1".to_owned());
    let over = said(&facts);
    assert!(over.len() == 1 && over[0].1 == Weight::Warning && over[0].2.contains("a later run has committed since"));

    let mut facts = three();
    left_on(&mut facts[2], "r-1");
    marked(&mut facts[0], "r-1", Some(EndSide::Old), "web", Some("3"));
    facts[2].standing.systems.profile = system('b', "2");
    let all = findings(&facts);
    let between =
        all.iter().find(|finding| finding.text.to_string().contains("between two systems")).expect("it is said");
    assert_eq!(between.weight, Weight::Refusal);
    let hint = between.text.mend().unwrap();
    assert!(
        hint.contains("`fleetdeploy recover lab --forget r-1`") && hint.starts_with("type `fleetdeploy recover lab`:")
    );
}

#[test]
fn a_machine_that_was_made_anew_under_the_name_is_not_the_one_that_was_missing() {
    let mut facts = three();
    for host in [0, 1] {
        marked(&mut facts[host], "r-1", Some(EndSide::Old), "web", Some("9"));
    }
    let text = "is not the machine of this name that was missing when run r-1 ended on the others: `fleetdeploy \
                recover lab --forget r-1` removes what they keep of it";
    assert_eq!(said(&facts), [(Some("web".to_owned()), Weight::Warning, text.to_owned())], "once, not for each mark");
}

#[test]
fn every_refusal_that_a_run_causes_names_the_way_that_always_ends_it() {
    let states: [fn(&mut Facts); 4] = [
        |facts| facts.standing.guard = GuardState::Armed { run: "r-1".to_owned(), deadline: 90_000 },
        |facts| facts.standing.guard = GuardState::Dead { run: "r-1".to_owned(), deadline: 90_000 },
        |facts| facts.standing.guard = GuardState::Firing { run: "r-1".to_owned() },
        |facts| facts.standing.lease = Some(Lease { run: "r-1".to_owned(), epoch: 1, owner: "ada@laptop".to_owned() }),
    ];
    for state in states {
        let mut facts = three();
        state(&mut facts[0]);
        let all = findings(&facts);
        let [Finding { weight: Weight::Refusal, text, .. }] = all.as_slice() else { panic!("{all:#?}") };
        let hint = text.mend().unwrap();
        assert!(hint.contains("`fleetdeploy recover lab --forget r-1`"), "{hint}");
    }
}

/// Nobody else would ever clean it.
#[test]
fn what_a_trial_has_left_at_rest_is_named_and_what_is_only_remembered_of_one_is_not() {
    let mut facts = well().facts;
    let left = |facts: &Facts| Left::trials_at_rest("lab", &facts.standing);
    crate::decide::status::tests::tried_in_vain(&mut facts);
    assert_eq!(left(&facts), []);
    facts.standing.trial.survivors[0].failed = None;
    let at_rest = Left::TrialAtRest { fleet: "lab".into(), run: "r-1".into() };
    assert_eq!(left(&facts), std::slice::from_ref(&at_rest));
    crate::codes::keep_judged([at_rest]);
    // It goes on.
    facts.standing.guard = GuardState::Armed { run: "r-1".into(), deadline: 9 };
    assert_eq!(left(&facts), []);
}
