use std::collections::BTreeMap;

use pretty_assertions::assert_eq;

use super::*;
use crate::decide::reboot::tests::standing;
use crate::decide::transaction::tests::system;
use crate::event::reason::Worded as _;
use crate::facts::host::GuardState;
use crate::facts::systems::{NextBoot, Systems};
use crate::facts::trial::{TrialGo, TrialStanding, TrialSurvivor, TrialSystems};
use crate::inventory::model::HostName;

fn why(text: &str) -> AnyReason {
    AnyReason::without_code(text)
}

fn trial() -> Trial {
    let (trial, order) = Trial::begin(system("tried"));
    assert_eq!(order, TrialOrder::Arm);
    trial
}

fn answer(trial: &mut Trial, answer: TrialAnswer) -> Option<TrialOrder> {
    let order = trial.out.clone();
    trial.handle(TrialInput::Answered { order, answer })
}

fn done(trial: &mut Trial) -> Option<TrialOrder> {
    answer(trial, TrialAnswer::Done)
}

fn see(trial: &mut Trial, sight: TrialSight) -> Option<TrialOrder> {
    let TrialOrder::Await(awaited) = trial.out else { panic!("{trial:?}") };
    assert!(trial.is_settled_by(awaited, &sight), "{sight:?} in {trial:?}");
    trial.handle(TrialInput::Seen(sight))
}

fn passes(trial: &Trial, sight: &TrialSight) -> bool {
    let TrialOrder::Await(awaited) = trial.out else { panic!("{trial:?}") };
    !trial.is_settled_by(awaited, sight)
}

/// On its way: from the order to go on.
fn gone() -> Trial {
    let mut trial = trial();
    assert_eq!(done(&mut trial), Some(TrialOrder::Register));
    assert_eq!(done(&mut trial), Some(TrialOrder::Go));
    assert!(!trial.may_have_gone() || trial.out == TrialOrder::Go);
    assert_eq!(done(&mut trial), Some(TrialOrder::Await(Awaited::Return)));
    trial
}

fn old_armed() -> TrialSight {
    TrialSight::OldArmed { is_alive: true, said: None }
}

fn in_trial() -> TrialSight {
    TrialSight::InTrial { is_alive: true, lacks: None }
}

/// Logged in on its new system, under its guard.
fn proving() -> Trial {
    let mut trial = gone();
    assert_eq!(see(&mut trial, in_trial()), Some(TrialOrder::LogIn));
    assert_eq!(trial.handle(TrialInput::LoggedIn(in_trial())), Some(TrialOrder::Prove));
    trial
}

fn keeping() -> Trial {
    let mut trial = proving();
    assert_eq!(trial.handle(TrialInput::Proven), Some(TrialOrder::Keep));
    trial
}

/// Cleans, and is over.
#[expect(clippy::needless_pass_by_value, reason = "what has just been answered")]
fn ends(trial: &mut Trial, order: Option<TrialOrder>) -> TrialEnd {
    assert!(matches!(order, Some(TrialOrder::Clean { .. })), "{order:?}");
    assert_eq!(trial.end(), None);
    assert_eq!(done(trial), None);
    let end = trial.end().cloned().expect("it is over");
    let said = match &end {
        TrialEnd::Refused { why }
        | TrialEnd::CannotTry { why }
        | TrialEnd::Failed { why }
        | TrialEnd::WentBack { why }
        | TrialEnd::Wrong { why }
        | TrialEnd::Lost { why } => Some(why.clone()),
        TrialEnd::Kept | TrialEnd::Cancelled => None,
    };
    crate::codes::keep_judged(said);
    end
}

#[test]
fn a_good_trial_is_kept_only_after_login_and_rounds() {
    let mut trial = keeping();
    assert_eq!(done(&mut trial), Some(TrialOrder::End));
    let clean = done(&mut trial);
    assert_eq!(clean, Some(TrialOrder::Clean { why: String::new() }));
    assert_eq!(ends(&mut trial, clean), TrialEnd::Kept);
    assert_eq!(trial.remains(), None);
}

#[test]
fn what_fails_before_the_order_to_go_is_put_back_by_the_old_boots_guard() {
    let rest = TrialSight::OldAtRest { restored: true };
    for steps in 0..3 {
        for (said, end) in [
            (TrialAnswer::Refused { why: why("no") }, TrialEnd::Refused { why: why("no") }),
            (TrialAnswer::Failed { why: why("full") }, TrialEnd::Failed { why: why("full") }),
            (TrialAnswer::Unknown { why: why("silent") }, TrialEnd::Failed { why: why("silent") }),
        ] {
            let mut trial = trial();
            (0..steps).for_each(|_| drop(done(&mut trial)));
            let next = answer(&mut trial, said.clone());
            if steps == 2 && matches!(said, TrialAnswer::Unknown { .. }) {
                // It may have been read.
                assert_eq!(next, Some(TrialOrder::Await(Awaited::Return)));
                continue;
            }
            assert_eq!(next, Some(TrialOrder::Fire));
            assert_eq!(done(&mut trial), Some(TrialOrder::Await(Awaited::Rest)));
            assert!(passes(&trial, &TrialSight::OldFiring) && passes(&trial, &old_armed()));
            let clean = see(&mut trial, rest.clone());
            // A plain reboot needs no `register`, so its failure stands in no reboot's way.
            let end = match end {
                TrialEnd::Failed { why } if steps == 1 && why.to_string() == "full" => TrialEnd::CannotTry { why },
                end => end,
            };
            assert_eq!(ends(&mut trial, clean), end, "{steps}");
        }
    }
}

#[test]
fn what_the_host_cannot_try_is_told_apart_from_what_it_refuses() {
    let mut trial = trial();
    let _ = done(&mut trial);
    assert_eq!(answer(&mut trial, TrialAnswer::CannotTry { why: why("no room") }), Some(TrialOrder::Fire));
    assert!(trial.is_on_its_first_boot());
    let _ = done(&mut trial);
    let clean = see(&mut trial, TrialSight::OldAtRest { restored: true });
    assert_eq!(ends(&mut trial, clean), TrialEnd::CannotTry { why: why("no room") });
}

#[test]
fn orders_of_the_old_boot_are_for_that_boot_alone() {
    let mut trial = trial();
    assert!(trial.is_on_its_first_boot());
    let _ = (done(&mut trial), done(&mut trial));
    assert!(trial.out == TrialOrder::Go && trial.is_on_its_first_boot());
    assert!(!gone().is_on_its_first_boot() && !keeping().is_on_its_first_boot());
}

#[test]
fn a_host_that_something_else_has_restarted_before_it_went_has_tried_nothing() {
    let mut trial = trial();
    let _ = done(&mut trial);
    let _ = answer(&mut trial, TrialAnswer::Unknown { why: why("silent") });
    let _ = done(&mut trial);
    let clean = see(&mut trial, TrialSight::BackOnOld { trace: None });
    let said = TryingReason::RestartedUntried { tried: system("tried") };
    assert_eq!(ends(&mut trial, clean), TrialEnd::WentBack { why: said.into() });
}

#[test]
fn a_boot_default_that_could_not_be_put_back_is_wrong() {
    let mut trial = trial();
    let _ = answer(&mut trial, TrialAnswer::Refused { why: why("no") });
    let _ = done(&mut trial);
    let clean = see(&mut trial, TrialSight::OldAtRest { restored: false });
    assert_eq!(ends(&mut trial, clean), TrialEnd::Wrong { why: TryingReason::NotPutBack.into() });
}

#[test]
fn an_order_to_go_without_an_answer_is_waited_for_and_then_it_is_seen_what_became_of_it() {
    let unknown = || {
        let mut trial = trial();
        let _ = (done(&mut trial), done(&mut trial));
        let _ = answer(&mut trial, TrialAnswer::Unknown { why: why("silent") });
        assert!(trial.may_have_gone() && passes(&trial, &TrialSight::Leaving { is_alive: true }));
        trial
    };
    // It went.
    assert_eq!(see(&mut unknown(), in_trial()), Some(TrialOrder::LogIn));
    // It did not: the order cannot come any more once the guard has fired.
    let mut stayed = unknown();
    assert_eq!(see(&mut stayed, old_armed()), Some(TrialOrder::Fire));
    let _ = done(&mut stayed);
    let clean = see(&mut stayed, TrialSight::OldAtRest { restored: true });
    assert_eq!(ends(&mut stayed, clean), TrialEnd::Failed { why: why("silent") });
    // It came just before the guard was told to act, and the host refused that.
    let mut late = unknown();
    let _ = see(&mut late, old_armed());
    assert_eq!(
        answer(&mut late, TrialAnswer::Refused { why: why("go is under way") }),
        Some(TrialOrder::Await(Awaited::Rest))
    );
    assert_eq!(see(&mut late, TrialSight::Leaving { is_alive: true }), Some(TrialOrder::Await(Awaited::Return)));
    // It came back, and nobody knows whether it went: no guard has left a word.
    let mut back = unknown();
    let clean = see(&mut back, TrialSight::BackOnOld { trace: None });
    let tried = system("tried");
    assert_eq!(ends(&mut back, clean), TrialEnd::WentBack { why: TryingReason::BackWithoutATrace { tried }.into() });
}

#[test]
fn a_guard_that_could_not_go_ends_it_on_the_old_boot() {
    let mut told = gone();
    let said = Some("the next boot is windows.conf".to_owned());
    let armed = TrialSight::OldArmed { is_alive: true, said: said.clone() };
    assert_eq!(see(&mut told, armed), Some(TrialOrder::Fire));
    let _ = done(&mut told);
    let clean = see(&mut told, TrialSight::OldAtRest { restored: true });
    let end = ends(&mut told, clean);
    let TrialEnd::Failed { why } = &end else { panic!("{end:?}") };
    assert!(why.to_string().ends_with("windows.conf"), "{why}");
    let mut trial = gone();
    assert_eq!(see(&mut trial, TrialSight::OldFiring), Some(TrialOrder::Await(Awaited::Rest)));
    let clean = see(&mut trial, TrialSight::OldAtRest { restored: true });
    assert_eq!(ends(&mut trial, clean), TrialEnd::Failed { why: TryingReason::DidNotGo { said: None }.into() });
}

#[test]
fn what_does_not_hold_from_cold_goes_back() {
    let tried = || system("tried");
    let back = |mut trial: Trial, fired: Option<TrialOrder>| {
        assert_eq!(fired, Some(TrialOrder::Fire));
        // Whatever came of the order, the guard's own clock brings it back.
        assert_eq!(
            answer(&mut trial, TrialAnswer::Unknown { why: why("silent") }),
            Some(TrialOrder::Await(Awaited::End))
        );
        assert!(passes(&trial, &in_trial()) && passes(&trial, &TrialSight::Firing));
        let clean = see(&mut trial, TrialSight::BackOnOld { trace: Some("fired".into()) });
        let Some(TrialOrder::Clean { why }) = &clean else { panic!("{clean:?}") };
        assert!(!why.is_empty() && !why.contains('\n'), "{why}");
        ends(&mut trial, clean)
    };
    let because = |cause| TrialEnd::WentBack { why: TryingReason::BackFor { tried: tried(), cause }.into() };
    let mut no_login = gone();
    let _ = see(&mut no_login, in_trial());
    let fired = no_login.handle(TrialInput::NoLogin { why: why("refused") });
    assert_eq!(back(no_login, fired), because(why("refused")));
    let mut rounds = proving();
    let fired = rounds.handle(TrialInput::NotProven { why: why("a link") });
    assert_eq!(back(rounds, fired), because(why("a link")));
    let mut moved = gone();
    let _ = see(&mut moved, in_trial());
    let lacks = TrialSight::InTrial { is_alive: true, lacks: Some(TryingReason::NextBootStays.into()) };
    let fired = moved.handle(TrialInput::LoggedIn(lacks));
    assert_eq!(back(moved, fired), because(TryingReason::NextBootStays.into()));
    for said in [TrialAnswer::Failed { why: why("full") }, TrialAnswer::Unknown { why: why("full") }] {
        let mut kept = keeping();
        let fired = answer(&mut kept, said);
        assert_eq!(back(kept, fired), because(TryingReason::NotKept { cause: why("full") }.into()));
    }
}

#[test]
fn a_host_that_went_back_by_itself_says_by_what() {
    let tried = || system("tried");
    for (trace, said) in [
        (Some("fired at 300"), TryingReason::BackByItsGuard { tried: tried(), trace: "fired at 300".into() }),
        (None, TryingReason::BackWithoutATrace { tried: tried() }),
    ] {
        let mut trial = gone();
        // Where the firmware forgets the next boot each trial would end so.
        let way_out = said.mend().is_some_and(|mend| mend.contains("--accept-drift") && mend.contains("--no-trial"));
        assert_eq!(way_out, trace.is_none(), "{said}");
        let clean = see(&mut trial, TrialSight::BackOnOld { trace: trace.map(str::to_owned) });
        assert_eq!(ends(&mut trial, clean), TrialEnd::WentBack { why: said.into() });
    }
    // Its deadline came while it was logged into.
    let mut trial = gone();
    let _ = see(&mut trial, in_trial());
    assert_eq!(trial.handle(TrialInput::LoggedIn(TrialSight::Firing)), Some(TrialOrder::Await(Awaited::End)));
    let clean = see(&mut trial, TrialSight::BackOnOld { trace: None });
    assert!(matches!(ends(&mut trial, clean), TrialEnd::WentBack { .. }));
}

#[test]
fn a_host_that_is_silent_past_the_time_at_which_it_is_back_by_itself_is_lost() {
    let mut trial = gone();
    assert_eq!(trial.handle(TrialInput::Silent { why: why("silent") }), None);
    assert_eq!(trial.end(), Some(&TrialEnd::Lost { why: why("silent") }));
}

#[test]
fn a_trial_without_its_guard_is_left_by_a_reboot_and_one_with_a_dead_guard_gets_it_back() {
    let mut unguarded = gone();
    assert_eq!(see(&mut unguarded, TrialSight::Unguarded), Some(TrialOrder::Leave));
    assert_eq!(done(&mut unguarded), Some(TrialOrder::Await(Awaited::End)));
    assert!(passes(&unguarded, &TrialSight::Unguarded), "it is told once");
    let clean = see(&mut unguarded, TrialSight::BackOnOld { trace: None });
    let cause = TryingReason::CameUpUnguarded.into();
    let why = TryingReason::BackFor { tried: system("tried"), cause }.into();
    assert_eq!(ends(&mut unguarded, clean), TrialEnd::WentBack { why });
    // It says at once that it cannot: nothing that is waited for would take it out of there.
    let mut stays = gone();
    assert_eq!(see(&mut stays, TrialSight::Unguarded), Some(TrialOrder::Leave));
    let torn = || AnyReason::without_code("the kernel is cut short");
    let clean = answer(&mut stays, TrialAnswer::Refused { why: torn() });
    let not_left = TryingReason::NotLeft { cause: torn() };
    crate::codes::keep_judged([not_left.clone()]);
    assert_eq!(ends(&mut stays, clean), TrialEnd::Wrong { why: not_left.into() });
    let dead = || TrialSight::InTrial { is_alive: false, lacks: None };
    let mut trial = gone();
    assert_eq!(see(&mut trial, dead()), Some(TrialOrder::Tend));
    assert_eq!(done(&mut trial), Some(TrialOrder::Await(Awaited::Return)));
    assert_eq!(see(&mut trial, in_trial()), Some(TrialOrder::LogIn));
    // One that does not stay alive is as good as none.
    assert_eq!(trial.handle(TrialInput::LoggedIn(dead())), Some(TrialOrder::Leave));
    let mut old = gone();
    assert_eq!(see(&mut old, TrialSight::OldArmed { is_alive: false, said: None }), Some(TrialOrder::Tend));
    assert_eq!(done(&mut old), Some(TrialOrder::Await(Awaited::Return)));
    assert_eq!(see(&mut old, in_trial()), Some(TrialOrder::LogIn));
    // On its way, with the next boot set: nobody else would reboot it.
    let mut leaving = gone();
    assert!(passes(&leaving, &TrialSight::Leaving { is_alive: true }));
    assert_eq!(see(&mut leaving, TrialSight::Leaving { is_alive: false }), Some(TrialOrder::Tend));
    assert_eq!(done(&mut leaving), Some(TrialOrder::Await(Awaited::Return)));
    assert!(passes(&leaving, &TrialSight::Leaving { is_alive: false }), "it is started again once");
}

#[test]
fn any_other_boot_is_wrong_and_nothing_is_kept() {
    for other in [TryingReason::GuardStayed, TryingReason::BootedNeither { booted: system("x"), line: None }] {
        let mut trial = gone();
        let clean = see(&mut trial, TrialSight::Other { why: other.clone().into() });
        assert_eq!(ends(&mut trial, clean), TrialEnd::Wrong { why: other.into() });
    }
}

#[test]
fn a_signal_before_go_turns_back_and_one_after_it_waits_for_the_host_and_sends_it_back() {
    for steps in 0..2 {
        let mut trial = trial();
        (0..steps).for_each(|_| drop(done(&mut trial)));
        assert_eq!(trial.handle(TrialInput::Cancelled), None, "the step that is out is waited for");
        assert_eq!(done(&mut trial), Some(TrialOrder::Fire));
        let _ = done(&mut trial);
        let clean = see(&mut trial, TrialSight::OldAtRest { restored: true });
        assert_eq!(ends(&mut trial, clean), TrialEnd::Cancelled);
    }
    let went_back = |mut trial: Trial, fired| {
        assert_eq!(fired, Some(TrialOrder::Fire));
        let _ = done(&mut trial);
        let clean = see(&mut trial, TrialSight::BackOnOld { trace: None });
        let tried = system("tried");
        assert_eq!(ends(&mut trial, clean), TrialEnd::WentBack { why: TryingReason::BackBySignal { tried }.into() });
    };
    let mut away = gone();
    assert_eq!(away.handle(TrialInput::Cancelled), None);
    let fired = see(&mut away, in_trial());
    went_back(away, fired);
    let mut logging_in = gone();
    let _ = see(&mut logging_in, in_trial());
    assert_eq!(logging_in.handle(TrialInput::Cancelled), None);
    let fired = logging_in.handle(TrialInput::LoggedIn(in_trial()));
    went_back(logging_in, fired);
    let mut rounds = proving();
    let fired = rounds.handle(TrialInput::Cancelled);
    // A round that was out comes too late.
    assert_eq!(rounds.handle(TrialInput::Proven), None);
    went_back(rounds, fired);
}

#[test]
fn after_the_order_to_keep_no_signal_turns_back() {
    let mut trial = keeping();
    assert_eq!(trial.handle(TrialInput::Cancelled), None);
    assert_eq!(done(&mut trial), Some(TrialOrder::End));
    assert_eq!(trial.handle(TrialInput::Cancelled), None);
    let clean = done(&mut trial);
    assert_eq!(ends(&mut trial, clean), TrialEnd::Kept);
}

#[test]
fn what_is_proven_stays_whatever_came_of_the_answers() {
    // `keep` was through, and its answer was not: the guard finds it proven.
    let mut kept = keeping();
    assert_eq!(answer(&mut kept, TrialAnswer::Unknown { why: why("silent") }), Some(TrialOrder::Fire));
    let _ = done(&mut kept);
    let clean = see(&mut kept, TrialSight::Kept { ended: true });
    assert_eq!(ends(&mut kept, clean), TrialEnd::Kept);
    // The end was not heard of: it is asked for once more, and then its clock ends it.
    let mut ending = keeping();
    let _ = done(&mut ending);
    assert_eq!(answer(&mut ending, TrialAnswer::Unknown { why: why("silent") }), Some(TrialOrder::Await(Awaited::End)));
    assert_eq!(see(&mut ending, TrialSight::Kept { ended: false }), Some(TrialOrder::End));
    assert_eq!(answer(&mut ending, TrialAnswer::Unknown { why: why("silent") }), Some(TrialOrder::Await(Awaited::End)));
    assert!(passes(&ending, &TrialSight::Kept { ended: false }));
    let clean = see(&mut ending, TrialSight::Kept { ended: true });
    assert_eq!(ends(&mut ending, clean), TrialEnd::Kept);
}

#[test]
fn without_its_record_the_host_is_not_told_to_go() {
    let mut trial = trial();
    let _ = (done(&mut trial), done(&mut trial));
    assert_eq!(trial.handle(TrialInput::NotRecorded { why: why("disk full") }), Some(TrialOrder::Fire));
    let _ = done(&mut trial);
    let clean = see(&mut trial, TrialSight::OldAtRest { restored: true });
    assert_eq!(ends(&mut trial, clean), TrialEnd::Cancelled);
}

#[test]
fn a_clean_up_that_does_not_come_through_is_said_and_changes_no_end() {
    let mut trial = keeping();
    let _ = (done(&mut trial), done(&mut trial));
    assert_eq!(answer(&mut trial, TrialAnswer::Refused { why: why("busy") }), None);
    assert_eq!((trial.end(), trial.remains()), (Some(&TrialEnd::Kept), Some(&why("busy"))));
}

#[test]
fn an_answer_to_another_order_is_passed_over() {
    let mut trial = trial();
    let _ = done(&mut trial);
    let late = TrialInput::Answered { order: TrialOrder::Arm, answer: TrialAnswer::Refused { why: why("late") } };
    assert_eq!(trial.handle(late), None);
    assert_eq!(trial.handle(TrialInput::Seen(in_trial())), None);
    assert_eq!(trial.handle(TrialInput::Proven), None);
    assert_eq!(trial.out, TrialOrder::Register);
}

fn plan() -> TrialPlan {
    let (booted, tried) = (system("booted"), system("tried"));
    TrialPlan { run: "r-1".into(), boot_id: "one.1".into(), booted, before: tried.clone(), tried }
}

fn survivor(change: impl FnOnce(&mut TrialSurvivor)) -> TrialSurvivor {
    let plan = plan();
    let mut survivor = TrialSurvivor {
        run: "r-1".into(),
        owner: "ada@desk".into(),
        systems: Some(TrialSystems { booted: plan.booted, tried: plan.tried, before: plan.before }),
        seconds: 300,
        kept_by_firmware: false,
        proven: false,
        over: false,
        failed: None,
        trace: None,
    };
    change(&mut survivor);
    survivor
}

fn armed() -> GuardState {
    GuardState::Armed { run: "r-1".into(), deadline: 300 }
}

/// The old boot as it stands once it is registered.
fn old(change: impl FnOnce(&mut crate::facts::host::Standing)) -> TrialSight {
    let mut standing = standing();
    standing.boot_id = "one.1".into();
    standing.booted = system("booted");
    standing.systems = Systems { boot_default: system("booted"), ..Systems::all(&system("tried")) };
    standing.guard = armed();
    standing.trial = TrialStanding { survivors: vec![survivor(|_| ())], ..TrialStanding::default() };
    change(&mut standing);
    TrialSight::of(&plan(), &standing)
}

/// The trial's own boot.
fn new(change: impl FnOnce(&mut crate::facts::host::Standing)) -> TrialSight {
    let mut standing = standing();
    standing.boot_id = "two.1".into();
    standing.booted = system("tried");
    standing.systems = Systems { boot_default: system("booted"), ..Systems::all(&system("tried")) };
    standing.guard = armed();
    standing.trial = TrialStanding {
        line: Some("r-1".into()),
        survivors: vec![survivor(|_| ())],
        jobs: BTreeMap::new(),
        ..TrialStanding::default()
    };
    change(&mut standing);
    TrialSight::of(&plan(), &standing)
}

#[test]
fn the_old_boot_is_told_by_its_guard_and_by_the_order_to_go() {
    let go = |failed: Option<&str>| Some(TrialGo { run: "r-1".into(), failed: failed.map(str::to_owned) });
    assert_eq!(old(|_| ()), old_armed());
    assert_eq!(
        old(|at| at.guard = GuardState::Dead { run: "r-1".into(), deadline: 1 }),
        TrialSight::OldArmed { is_alive: false, said: None }
    );
    assert_eq!(old(|at| at.trial.go = go(None)), TrialSight::Leaving { is_alive: true });
    let dead = GuardState::Dead { run: "r-1".into(), deadline: 1 };
    assert_eq!(old(|at| (at.trial.go, at.guard) = (go(None), dead)), TrialSight::Leaving { is_alive: false });
    let said = Some("the loader".to_owned());
    assert_eq!(old(|at| at.trial.go = go(Some("the loader"))), TrialSight::OldArmed { is_alive: true, said });
    let of_another = Some(TrialGo { run: "r-2".into(), failed: None });
    assert_eq!(old(|at| at.trial.go = of_another), old_armed());
    assert_eq!(old(|at| at.guard = GuardState::Firing { run: "r-1".into() }), TrialSight::OldFiring);
    for guard in [GuardState::Fired { run: "r-1".into() }, GuardState::None, GuardState::Firing { run: "r-2".into() }] {
        assert_eq!(old(|at| at.guard = guard.clone()), TrialSight::OldAtRest { restored: false });
        let restored = old(|at| (at.guard, at.systems) = (guard, Systems::all(&system("tried"))));
        assert_eq!(restored, TrialSight::OldAtRest { restored: true });
    }
}

#[test]
fn the_trial_is_told_by_its_run_on_the_line_its_system_and_its_guard() {
    assert_eq!(new(|_| ()), in_trial());
    let dead = GuardState::Dead { run: "r-1".into(), deadline: 1 };
    assert_eq!(new(|at| at.guard = dead.clone()), TrialSight::InTrial { is_alive: false, lacks: None });
    assert_eq!(new(|at| at.guard = GuardState::None), TrialSight::Unguarded);
    // Another workstation's recovery has ended it well meanwhile: a kept host is not told to leave.
    let ended = |boot_default| {
        new(|at| {
            (at.guard, at.systems.boot_default) = (GuardState::None, boot_default);
            at.trial.survivors.clear();
        })
    };
    assert_eq!(ended(system("tried")), TrialSight::Kept { ended: true });
    assert_eq!(ended(system("booted")), TrialSight::Unguarded);
    // And has pushed since: nobody is to reboot that by hand.
    let moved_on = new(|at| {
        (at.guard, at.systems, at.trial.over_here) = (GuardState::None, Systems::all(&system("x")), true);
        at.trial.survivors.clear();
    });
    assert!(matches!(&moved_on, TrialSight::Other { why } if why.code() == Some("moved-in-trial")), "{moved_on:?}");
    assert_eq!(new(|at| at.guard = GuardState::Firing { run: "r-1".into() }), TrialSight::Firing);
    let stayed = new(|at| at.guard = GuardState::Fired { run: "r-1".into() });
    assert_eq!(stayed, TrialSight::Other { why: TryingReason::GuardStayed.into() });
    let moved = |change: &dyn Fn(&mut Systems)| {
        let sight = new(|at| change(&mut at.systems));
        matches!(sight, TrialSight::InTrial { lacks: Some(why), .. } if why.code() == Some("moved-in-trial"))
    };
    assert!(moved(&|systems| systems.current = system("x")));
    assert!(moved(&|systems| systems.profile = system("x")));
    assert!(moved(&|systems| systems.boot_default = system("tried")));
    let stays = Some(AnyReason::from(TryingReason::NextBootStays));
    let pending = NextBoot { entry: "fleetdeploy-trial.conf".into(), system: None };
    assert_eq!(new(|at| at.next_boot = Some(pending)), TrialSight::InTrial { is_alive: true, lacks: stays.clone() });
    let kept = vec![survivor(|of| of.kept_by_firmware = true)];
    assert_eq!(new(|at| at.trial.survivors = kept), TrialSight::InTrial { is_alive: true, lacks: stays });
}

#[test]
fn what_is_proven_is_kept_in_its_own_boot_and_in_every_later_one() {
    let proven = || vec![survivor(|of| of.proven = true)];
    let dead = GuardState::Dead { run: "r-1".into(), deadline: 1 };
    for (guard, ended) in [
        (armed(), false),
        (dead, false),
        (GuardState::Firing { run: "r-1".into() }, false),
        (GuardState::Fired { run: "r-1".into() }, true),
        (GuardState::Disarmed { run: "r-1".into() }, true),
        (GuardState::None, true),
    ] {
        let kept = |at: &mut crate::facts::host::Standing| {
            (at.guard, at.trial.survivors) = (guard.clone(), proven());
            at.systems = Systems::all(&system("tried"));
        };
        assert_eq!(new(kept), TrialSight::Kept { ended }, "{guard:?}");
    }
    let later = |default: &str| {
        new(|at| {
            (at.trial.line, at.guard, at.trial.survivors) = (None, GuardState::None, proven());
            at.systems = Systems { boot_default: system(default), ..Systems::all(&system("tried")) };
        })
    };
    assert_eq!(later("tried"), TrialSight::Kept { ended: true });
    // Another installer has run since.
    let TrialSight::Other { why } = later("booted") else { panic!("{:?}", later("booted")) };
    crate::codes::keep_judged([why.clone()]);
    assert_eq!(why.code(), Some("moved-in-trial"));
}

#[test]
fn every_other_boot_is_told_as_what_it_is() {
    let back = |change: &dyn Fn(&mut crate::facts::host::Standing)| {
        new(|at| {
            (at.booted, at.trial.line, at.guard) = (system("booted"), None, GuardState::None);
            change(at);
        })
    };
    assert_eq!(back(&|_| ()), TrialSight::BackOnOld { trace: None });
    let traced = back(&|at| at.trial.survivors = vec![survivor(|of| of.trace = Some("fired".into()))]);
    assert_eq!(traced, TrialSight::BackOnOld { trace: Some("fired".into()) });
    let other = |change: &dyn Fn(&mut crate::facts::host::Standing)| match new(|at| change(at)) {
        TrialSight::Other { why } => {
            crate::codes::keep_judged([why.clone()]);
            why.code().unwrap_or_default().to_owned()
        }
        sight => panic!("{sight:?}"),
    };
    assert_eq!(other(&|at| at.trial.line = None), "booted-beside-trial", "its own entry, or a crash kernel");
    assert_eq!(other(&|at| at.trial.line = Some("r-2".into())), "booted-beside-trial");
    assert_eq!(other(&|at| at.booted = system("x")), "booted-neither");
}

#[test]
fn a_wait_that_is_over_says_what_came_of_the_last_look() {
    let waited = std::time::Duration::from_secs(90);
    let overdue = |last| gone().overdue(waited, last);
    for (last, says) in [(None, "do not switch it off"), (Some(why("no route")), "no route; switch it off and on")] {
        let said = overdue(last);
        crate::codes::keep_judged([said.clone()]);
        let said = said.to_string();
        assert!(said.contains("within 90 s") && said.contains(says), "{said}");
    }
    // What a power cycle brings, by how far it had come.
    let brings = |trial: &Trial| trial.overdue(waited, Some(why("no route"))).to_string();
    assert!(brings(&gone()).ends_with("it boots what it booted before"));
    let mut lame = proving();
    let _ = lame.handle(TrialInput::NotProven { why: why("a link") });
    assert!(brings(&lame).ends_with("it boots what it booted before"));
    let mut kept = keeping();
    let _ = done(&mut kept);
    let _ = answer(&mut kept, TrialAnswer::Unknown { why: why("silent") });
    assert!(brings(&kept).ends_with("it boots what it tried, which was proven"));
    let mut unheard = keeping();
    let _ = answer(&mut unheard, TrialAnswer::Unknown { why: why("silent") });
    let _ = done(&mut unheard);
    assert!(brings(&unheard).ends_with("it boots what it booted before, or what it tried"));
}

/// What becomes of the new system of the first host of the fleet of the status, by its facts.
fn to_try(is_own: bool, change: impl FnOnce(&mut crate::facts::host::Facts)) -> ToTry {
    to_try_where(is_own, TrialWish::WherePossible, change)
}

fn to_try_where(is_own: bool, wish: TrialWish, change: impl FnOnce(&mut crate::facts::host::Facts)) -> ToTry {
    let fleet = crate::decide::status::tests::fleet("hosts: {vps: }\nfleets: {lab: {flake: ., hosts: all}}\n");
    let mut facts = crate::decide::status::tests::well().facts;
    facts.standing.booted = system("booted");
    facts.standing.systems = Systems::all(&system("tried"));
    change(&mut facts);
    let said = ToTry::of("r-1", &fleet.hosts[0], &facts, is_own, wish);
    if let ToTry::Not(why) | ToTry::NotAgain(why) | ToTry::Refused(why) = &said {
        crate::codes::keep_judged([why.clone()]);
    }
    said
}

#[test]
fn what_was_not_booted_is_tried_where_the_host_can_do_that() {
    let ToTry::Plan(plan) = to_try(false, |_| ()) else { panic!("{:?}", to_try(false, |_| ())) };
    assert_eq!((plan.booted, plan.tried, plan.before), (system("booted"), system("tried"), system("tried")));
    assert_eq!(to_try(false, |facts| facts.standing.booted = system("tried")), ToTry::Nothing);
    let drift = |facts: &mut crate::facts::host::Facts| {
        facts.standing.systems = Systems { profile: system("tried"), ..Systems::all(&system("booted")) };
    };
    assert_eq!(to_try(false, drift), ToTry::Nothing, "what booted last comes again");
    assert_eq!(to_try_where(false, TrialWish::Never, |_| ()), ToTry::Nothing, "nobody wants it");
    // The same, where a trial is remembered: also where the power was cut, and nobody wrote down how it ended.
    for failed in [Some("no login".to_owned()), None] {
        let remembered = |facts: &mut crate::facts::host::Facts| {
            drift(facts);
            facts.standing.trial.survivors = vec![survivor(|of| of.failed = failed.clone())];
        };
        let again = to_try(false, remembered);
        let ToTry::Plan(plan) = again else { panic!("{again:?}") };
        assert_eq!((plan.booted, plan.tried, plan.before), (system("booted"), system("tried"), system("booted")));
        // A reboot would bring what booted last, and nobody would learn that.
        let untried = to_try_where(false, TrialWish::Never, remembered);
        let ToTry::NotAgain(why) = untried else { panic!("{untried:?}") };
        let way_out = "`push --accept-drift` and then `reboot --no-trial`";
        assert_eq!(why.mend().map(|mend| mend.contains(way_out)), Some(true), "{why}");
        let cannot = to_try(true, remembered);
        let ToTry::NotAgain(why) = cannot else { panic!("{cannot:?}") };
        assert_eq!(why.mend().map(|mend| mend.contains("-trial")), Some(false), "{why}");
    }
}

#[test]
fn what_cannot_be_tried_says_why() {
    let own = TryingReason::RebootedUntried { cause: TryingReason::NobodyJudges.into() };
    assert_eq!(to_try(true, |_| ()), ToTry::Not(own));
    let init = to_try(false, |facts| facts.standing.loader = crate::facts::systems::BootLoader::Init);
    let ToTry::Not(why) = init else { panic!("{init:?}") };
    assert!(why.to_string().ends_with("as a container"), "{why}");
    // Whoever demands it has no host rebooted without.
    let cause = TryingReason::NobodyJudges.into();
    let demanded = to_try_where(true, TrialWish::Demanded, |_| ());
    assert_eq!(demanded, ToTry::Refused(TryingReason::TrialDemanded { cause }));
    // `nixos-rebuild boot` by hand, and the drift of it is accepted: nobody has booted what comes then.
    let by_hand = |facts: &mut crate::facts::host::Facts| facts.standing.systems.current = system("booted");
    let cause = || AnyReason::from(TryingReason::TrialOfDrift);
    assert_eq!(to_try(false, by_hand), ToTry::Not(TryingReason::RebootedUntried { cause: cause() }));
    let demanded = to_try_where(false, TrialWish::Demanded, by_hand);
    assert_eq!(demanded, ToTry::Refused(TryingReason::TrialDemanded { cause: cause() }));
    assert_eq!(to_try_where(false, TrialWish::Never, by_hand), ToTry::Nothing);
    // The profile is what booted, and the boot default is a third system.
    let third = |facts: &mut crate::facts::host::Facts| {
        let systems = Systems::all(&system("booted"));
        facts.standing.systems = Systems { boot_default: system("third"), ..systems };
    };
    assert_eq!(to_try(false, third), ToTry::Not(TryingReason::RebootedUntried { cause: cause() }));
}

#[test]
fn hosts_that_are_rebooted_untried_for_one_reason_are_told_in_one_line() {
    let untried = |cause: &dyn Fn() -> AnyReason| TryingReason::RebootedUntried { cause: cause() };
    let drift = || AnyReason::from(TryingReason::TrialOfDrift);
    let own = || AnyReason::from(TryingReason::NobodyJudges);
    let name = |text: &str| HostName::new(text).unwrap();
    let told = vec![(name("a"), untried(&drift)), (name("b"), untried(&own)), (name("c"), untried(&drift))];
    let of_two = TryingReason::HostsRebootedUntried { hosts: vec![name("a"), name("c")], cause: drift() };
    assert_eq!(of_two.mend(), drift().mend());
    assert!(of_two.to_string().starts_with("a, c are rebooted into their new systems at once"), "{of_two}");
    crate::codes::keep_judged([of_two.clone()]);
    assert_eq!(said_once(told), [(None, of_two), (Some(name("b")), untried(&own))]);
    // Each has words of its own about the systems of one host.
    let older = || TryingReason::BootsOlder { tried: system("tried"), booted: system("booted") };
    let alone = said_once(vec![(name("a"), older()), (name("b"), older())]);
    assert_eq!(alone, [(Some(name("a")), older()), (Some(name("b")), older())]);
}

#[test]
fn a_trial_that_nobody_drives_is_waited_for_tended_or_cleaned() {
    use super::left::{TrialLeft, TrialRemedy};
    let left = |change: &dyn Fn(&mut crate::facts::host::Standing)| {
        let mut standing = standing();
        standing.boot_id = "two.1".into();
        standing.booted = system("tried");
        standing.systems = Systems { boot_default: system("booted"), ..Systems::all(&system("tried")) };
        standing.trial =
            TrialStanding { line: Some("r-1".into()), survivors: vec![survivor(|_| ())], ..Default::default() };
        change(&mut standing);
        TrialLeft::of("r-1", &standing)
    };
    let remedy = |change: &dyn Fn(&mut crate::facts::host::Standing)| left(change).map(|left| left.remedy());
    let dead = || GuardState::Dead { run: "r-1".into(), deadline: 1 };
    assert_eq!(remedy(&|at| at.guard = armed()), Some(TrialRemedy::Wait));
    assert_eq!(remedy(&|at| at.guard = dead()), Some(TrialRemedy::Tend));
    assert_eq!(remedy(&|at| at.guard = GuardState::Firing { run: "r-1".into() }), Some(TrialRemedy::Wait));
    let going = |guard: GuardState| {
        remedy(&|at| {
            at.trial.go = Some(TrialGo { run: "r-1".into(), failed: None });
            at.guard = guard.clone();
        })
    };
    assert_eq!((going(armed()), going(dead())), (Some(TrialRemedy::Wait), Some(TrialRemedy::Tend)));
    assert!(matches!(left(&|_| ()), Some(TrialLeft::Unproven { .. })));
    let proven = |at: &mut crate::facts::host::Standing| at.trial.survivors = vec![survivor(|of| of.proven = true)];
    assert!(matches!(left(&proven), Some(TrialLeft::Unproven { .. })), "its default was moved since");
    // A later push, in that boot or after it; or a person.
    let pushed = |at: &mut crate::facts::host::Standing| {
        proven(at);
        at.systems = Systems::all(&system("x"));
    };
    assert_eq!(left(&pushed), Some(TrialLeft::Kept));
    let elsewhere = |booted: &'static str, systems: &'static str| {
        left(&|at| {
            (at.booted, at.systems) = (system(booted), Systems::all(&system(systems)));
            at.trial.line = None;
        })
    };
    assert_eq!(elsewhere("x", "x"), Some(TrialLeft::NotBegun));
    // The power was cut in `keep`, behind the rename of the default: it has rebooted, and nobody has proven it.
    assert_eq!(elsewhere("tried", "tried"), Some(TrialLeft::Unproven { boot_default: Some(system("tried")) }));
    // What nobody follows any more keeps nobody.
    assert_eq!(going(GuardState::Fired { run: "r-1".into() }), Some(TrialRemedy::Clean));
    let kept = |at: &mut crate::facts::host::Standing| {
        proven(at);
        at.systems = Systems::all(&system("tried"));
    };
    assert_eq!(left(&kept), Some(TrialLeft::Kept));
    assert_eq!(remedy(&kept), Some(TrialRemedy::Clean));
    assert_eq!(left(&|at| at.booted = system("booted")), Some(TrialLeft::WentBack { trace: None }));
    let as_before = |at: &mut crate::facts::host::Standing| {
        (at.booted, at.systems) = (system("booted"), Systems::all(&system("tried")));
    };
    assert_eq!(left(&as_before), Some(TrialLeft::NotBegun));
    assert_eq!(left(&|at| at.booted = system("x")), Some(TrialLeft::Elsewhere { booted: system("x") }));
    // What has ended is remembered, and nothing is left to do; and what is not of this run is not its.
    assert_eq!(left(&|at| at.trial.survivors = vec![survivor(|of| of.failed = Some("no".into()))]), None);
    assert_eq!(left(&|at| at.trial = TrialStanding::default()), None);
}
