//! docs/design.md, "Invariants", as properties, by its numbers, with the exceptions that it names and no others.

use fleetdeploy::event::Outcome;
use stateright::Property;

use crate::faults::When;
use crate::host::{Guard, Host, Token};
use crate::words::{Places, Sys};
use crate::world::{Change, Fleet, OURS, THEIRS, World};

pub(crate) const ONE: &str = "1: a host at rest stands on one system, or on what it was before";
pub(crate) const TWO: &str = "2: no boot default moves before every host was armed, tested and verified";
pub(crate) const THREE: &str = "3: no step starts without an armed guard with time enough left";
pub(crate) const THREE_ENDS: &str = "3: a firing guard ends a running step first";
pub(crate) const FOUR: &str = "4: every host comes back into the baseline's reach, on its boot default";
pub(crate) const FOUR_BARRIER: &str = "4: no guard is disarmed for commit before every boot default has moved";
pub(crate) const FIVE: &str = "5: without a disarm for commit all end on old";
pub(crate) const SIX_COMMITTED: &str = "6: committed is said only of hosts on new and unguarded";
pub(crate) const SIX_BACK: &str = "6: rolled back is said only of hosts on old and unguarded";
pub(crate) const SEVEN: &str = "7: a recovery in which nothing goes wrong leads out of everything";
pub(crate) const EIGHT: &str = "8: a foreign guard or lease is never touched";
pub(crate) const WAVES: &str = "waves: none begins before the one before it was looked at";
pub(crate) const NEXT_BOOT: &str = "9: nothing goes forward while a reboot would bring something else first";
pub(crate) const NOBODY: &str = "11: superseded is said only where somebody else can have taken over";
pub(crate) const LEFT: &str = "11: no honest host is left to a guard from under which it could be taken back";
pub(crate) const TRUE: &str = "11: what is said of an honest host is true of it at that moment";
pub(crate) const ONE_GOES_ON: &str = "11: of several of whom none dies one goes on";
pub(crate) const BY_HAND: &str = "10: what a person has switched to by hand is not undone";
pub(crate) const PROGRESS: &str = "progress: the end is a rest, and a verdict where somebody lives to give it";

pub(crate) fn all() -> Vec<Property<Fleet>> {
    vec![
        Property::always(ONE, |_, world: &World| {
            let cut = |at: usize| world.history.cut_between_writes & (1 << at) != 0;
            let other = |at: usize| world.history.booted_other & (1 << at) != 0;
            world.hosts.iter().enumerate().all(|(at, host)| !host.at_rest() || is_settled(host, cut(at)) || other(at))
        }),
        Property::always(TWO, |_, world: &World| !world.history.moved_unproven),
        Property::always(THREE, |_, world: &World| !world.history.began_unguarded),
        Property::always(THREE_ENDS, |_, world: &World| !world.history.worked_under_a_step),
        Property::always(FOUR, |fleet: &Fleet, world: &World| {
            let excepted = world.history.disarmed_for_commit && world.history.fired;
            // Who recovers without the run's record knows no baseline, and asks for new logins alone.
            let baseline_is_known = !world.stations.iter().any(|station| station.alone);
            let in_reach = |(at, host): (usize, &Host)| {
                // A host that does not come back, or has come up on what somebody else had set, takes its links with
                // it: nobody can know what a reboot would mend.
                let other_is_missing = (world.history.given_up | world.history.booted_other) & !(1 << at) != 0;
                let carries = !(host.scarred && baseline_is_known && !other_is_missing)
                    && !(matches!(world.change, Change::CutsLinks | Change::CutsHosts) && host.on.current == Sys::New);
                carries && host.on.current == host.on.boot
            };
            let asked = |(at, host): &(usize, &Host)| {
                fleet.liar != Some(*at) && world.history.booted_other & (1 << at) == 0 && host.by_hand.is_none()
            };
            excepted || !is_over(world) || world.hosts.iter().enumerate().filter(asked).all(in_reach)
        }),
        Property::always(FOUR_BARRIER, |_, world: &World| !world.history.disarmed_too_soon),
        Property::always(FIVE, |_, world: &World| {
            let excepted = world.history.disarmed_for_commit || world.history.restarted_after_move;
            let on_old = |(at, host): (usize, &Host)| {
                let came_up = world.history.booted_other & (1 << at) != 0 && host.on.current == Sys::Other;
                (host.on.current == Sys::Old || came_up) && host.on.boot == Sys::Old
            };
            let of_the_run = |(_, host): &(usize, &Host)| host.by_hand.is_none();
            excepted || !is_over(world) || world.hosts.iter().enumerate().filter(of_the_run).all(on_old)
        }),
        Property::always(SIX_COMMITTED, |fleet: &Fleet, world: &World| {
            honest(fleet, world).all(|(at, host)| !says(world, at, Outcome::Committed) || is_left_on(host, Sys::New))
        }),
        Property::always(SIX_BACK, |fleet: &Fleet, world: &World| {
            // Before anything was tested a host that somebody else has taken over holds an empty guard at the most.
            let is_anothers = |host: &Host| host.lease.is_some_and(|lease| lease.run == OURS && lease.epoch > 1);
            // Nor is it this run's doing where a restart has brought what a person had set.
            let came_up = |host: &Host| host.on == Places { current: Sys::Other, ..Places::all(Sys::Old) };
            let is_not_ours = |host: &Host| (is_anothers(host) && host.on.all_are(Sys::Old)) || came_up(host);
            honest(fleet, world).all(|(at, host)| {
                let is_old = is_left_on(host, Sys::Old);
                (is_old || !says(world, at, Outcome::RolledBack))
                    && (is_old || is_not_ours(host) || !says(world, at, Outcome::Refused))
            })
        }),
        Property::always(NEXT_BOOT, |_, world: &World| !world.history.began_past_next_boot),
        Property::always(BY_HAND, |_, world: &World| !world.history.undone_by_hand),
        Property::always(NOBODY, |_, world: &World| !world.history.superseded_by_nobody),
        Property::always(LEFT, |_, world: &World| !world.history.left_to_guard),
        Property::always(TRUE, |_, world: &World| !world.history.said_untrue),
        Property::always(ONE_GOES_ON, |fleet: &Fleet, world: &World| {
            let all_stopped = world.stations.iter().all(|station| station.verdict == Some(Outcome::Superseded));
            fleet.budget.deaths > 0 || !all_stopped
        }),
        Property::always(SEVEN, |fleet: &Fleet, world: &World| {
            let peaceful = fleet.budget.when == When::InPeace;
            !peaceful || !world.stations.iter().any(|it| it.speaker.epoch > 1 && it.verdict == Some(Outcome::Split))
        }),
        Property::always(EIGHT, |fleet: &Fleet, world: &World| {
            !fleet.foreign
                || world.hosts.last().is_some_and(|host| {
                    host.boot > 0
                        || (host.lease.is_some_and(|lease| lease.run == THEIRS)
                            && (host.token, host.guard, host.guard_of) == (Token::Armed, Guard::Watching, THEIRS))
                })
        }),
        Property::always(WAVES, |_, world: &World| !world.stations.iter().any(|station| station.hasty)),
        Property::always(PROGRESS, |fleet: &Fleet, world: &World| {
            let ended = world.stations.iter().all(|station| !station.is_alive());
            let rests = world.hosts.iter().all(|host| host.at_rest() || host.guard_of != OURS);
            (ended && rests) || {
                let mut actions = Vec::new();
                fleet.choices(world, &mut actions);
                !actions.is_empty()
            }
        }),
    ]
}

/// One and the same everywhere; or, after a power cut between two writes, a profile that is not where the boot default
/// is: ahead of it when phase 9 was cut, behind it when that was being put back.
fn is_settled(host: &Host, cut_between_writes: bool) -> bool {
    let on = host.on;
    let between = on.current == on.boot && on.profile != on.boot;
    on.all_are(Sys::New) || on.all_are(Sys::Old) || host.by_hand.is_some() || (cut_between_writes && between)
}

/// No coordinator is at work, no step runs, and no guard will fire.
fn is_over(world: &World) -> bool {
    !world.anybody_drives() && world.all_rest()
}

fn honest<'a>(fleet: &'a Fleet, world: &'a World) -> impl Iterator<Item = (usize, &'a Host)> {
    let hosts = world.hosts.iter().enumerate();
    hosts.filter(|(at, host)| fleet.liar != Some(*at) && host.by_hand.is_none())
}

/// Whether a coordinator says so of this host, among others.
fn says(world: &World, host: usize, outcome: Outcome) -> bool {
    world.stations.iter().any(|station| station.meant & (1 << host) != 0 && station.verdict == Some(outcome))
}

/// Seen there for good: on this system everywhere, and nothing of ours can move it any more.
fn is_left_on(host: &Host, system: Sys) -> bool {
    host.on.rest_on(system) && (host.at_rest() || host.guard_of != OURS)
}
