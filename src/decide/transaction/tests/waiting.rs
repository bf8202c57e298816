//! What a person is told of waits: for what, until when, and whether leaving does harm.

use std::collections::BTreeSet;

use pretty_assertions::assert_eq;

use super::machine::{job, plan};
use super::world::{Fault, World};
use crate::decide::vocabulary::{Input, Signal, Step, Timer};
use crate::event::reason::cause::Cause;
use crate::event::waiting::{AfterWait, HeldBack, WaitedFor};
use crate::facts::host::JobKind;
use crate::facts::links::LinkId;
use crate::facts::plan::HostId;
use crate::inventory::model::Place;

fn login(step: &Step) -> bool {
    matches!(step, Step::Login { .. })
}

#[test]
fn one_host_is_armed_first_and_a_jump_begins_after_those_behind_it() {
    let mut world = World::new(plan(2, 2));
    let waits = |world: &World, host| world.now.transaction.waits_for(HostId(host));
    assert_eq!(waits(&world, 0), None);
    assert_eq!(waits(&world, 1), Some((HeldBack::FirstAlone, vec![HostId(0)])));
    world.until(1, job(JobKind::Test));
    assert_eq!(waits(&world, 0), Some((HeldBack::WayOfOthers, vec![HostId(1)])));
    world.give(Input::Started { host: HostId(1) });
    assert_eq!(waits(&world, 0), None);
}

#[test]
fn every_wait_of_a_proof_ends_and_all_go_back_then() {
    let mut world = World::new(plan(2, 2));
    world.until(0, login);
    let transaction = &world.now.transaction;
    assert_eq!(transaction.wait_of(Timer::Settle), Some((WaitedFor::Links, AfterWait::AllGoBack)));
    assert_eq!(transaction.wait_of(Timer::Rekey), Some((WaitedFor::Handshakes, AfterWait::AllGoBack)));
    assert_eq!(transaction.wait_of(Timer::RoundPause), None);
    assert_eq!(transaction.wait_of(Timer::SettleBack), None);
    assert_eq!(transaction.if_it_stays_away(HostId(0)), Some(AfterWait::AllGoBack));
}

#[test]
fn a_person_may_leave_once_every_host_that_answers_is_on_old_and_not_before() {
    let mut world = World::new(plan(2, 2));
    world.until(0, login);
    assert!(!world.now.transaction.may_leave());
    world.give(Input::CancelRequested(Signal::Sigint));
    let at = world.until(1, job(JobKind::Rollback));
    assert!(!world.now.transaction.may_leave(), "both are on new");
    world.end_step(at, Fault::None);
    assert!(!world.now.transaction.may_leave(), "one is on new, and answers");
    let waits = world.now.transaction.waits_for(HostId(1));
    assert_eq!(waits, Some((HeldBack::OthersAway, vec![HostId(0)])));
    let at = world.until(0, job(JobKind::Rollback));
    world.give(Input::ContactLost { host: HostId(0), why: Cause::NoTimeToAsk });
    assert!(world.now.transaction.may_leave(), "the other one does not answer: only its guard can help");
    assert_eq!(world.now.transaction.if_it_stays_away(HostId(0)), Some(AfterWait::ItsGuard));
    world.end_step(at, Fault::None);
    assert!(world.now.transaction.may_leave());
    world.run_to_end();
    assert!(!world.now.transaction.may_leave(), "nothing is left to be left");
}

#[test]
fn links_that_are_down_are_named_by_what_they_have_in_common() {
    let world = World::new(plan(3, 3));
    let links = &world.plan.links;
    let said = |down: &dyn Fn(LinkId) -> bool| {
        let down: BTreeSet<LinkId> = (0..links.len()).filter(|link| down(*link)).collect();
        world.now.transaction.in_common(&down).map(|cause| cause.to_string())
    };
    let host = |index: usize| world.plan.hosts[index].name.clone();
    let begins = |link: LinkId, index| links[link].from == Place::Host(host(index));
    let leads = |link: LinkId, index| links[link].to_host.as_ref() == Some(&host(index));
    assert_eq!(said(&|_| true).as_deref(), Some("all 6 links"));
    assert_eq!(said(&|link| begins(link, 1) || leads(link, 1)).as_deref(), Some("all 4 links from and to host1"));
    assert_eq!(said(&|link| link < 3), None);
    assert_eq!(said(&|link| leads(link, 2)), None, "two are named one by one");
}
