//! What docs/trial-boots.md promises, as properties.

use stateright::{Model as _, Property};

use super::host::{Cold, Firmware, Next, Token, Tried, Unit};
use super::world::{Said, Trials, World};
use crate::words::Sys;

pub(crate) const KERNEL: &str = "the old system is never activated on the tried one's kernel";
pub(crate) const NEXT_BOOT: &str =
    "a next boot of ours has the old system behind it, its survivor, and a guard before it";
pub(crate) const PUT_BACK: &str = "the old boot's guard leaves the boot default as it was before";
pub(crate) const PROVEN: &str = "what was proven stays the boot default";
pub(crate) const KEEPS: &str = "nothing is kept but under the guard of its trial";
pub(crate) const LEASE: &str = "a lease ends with its guard";
pub(crate) const NO_RESET: &str = "no kept host is reset";
pub(crate) const NO_RETURN: &str = "no signal turns back what is being kept";
pub(crate) const FURTHER: &str = "a further host is begun only after one that was kept";
pub(crate) const SAID: &str = "what is said of the host is so at that moment";
pub(crate) const HELD: &str = "the hold outlasts the trial";
pub(crate) const GOES_ON: &str = "a good system is kept where only the answer to the order to go was lost";
pub(crate) const THEIRS: &str = "what a person has switched it to, but for the trial's own boot, is never moved";
pub(crate) const REST: &str =
    "at rest the boot default is as it was, or what was proven, or the old system and that is remembered";
pub(crate) const WAY_OUT: &str = "from every state a command leads out, or a power cycle";

pub(crate) fn all() -> Vec<Property<Trials>> {
    vec![
        Property::always(KERNEL, |_, world: &World| !(world.host.booted == Sys::New && world.host.current == Sys::Old)),
        Property::always(NEXT_BOOT, |_, world: &World| {
            let host = &world.host;
            let by_another = world.past.installed_by_another;
            let is_behind = host.default == Sys::Old || by_another;
            // Lost for good, or on the way down: the reboot that it was to make may still come by hand.
            let is_before = host.boot > 0 || host.lives() || world.past.guard_was_lost;
            !world.past.set_unguarded && (host.next != Next::Ours || (is_behind && host.survivor && is_before))
        }),
        Property::always(PUT_BACK, |_, world: &World| {
            let host = &world.host;
            let is_through = host.boot == 0 && host.token == Token::Fired && host.unit == Unit::Absent;
            !is_through || host.default == host.before || host.broken || world.past.installed_by_another
        }),
        Property::always(PROVEN, |_, world: &World| {
            !world.past.ever_proven || world.host.default == Sys::New || world.past.installed_by_another
        }),
        Property::always(KEEPS, |_, world: &World| !world.past.kept_unguarded),
        Property::always(LEASE, |_, world: &World| {
            !world.host.lease || world.host.token == Token::Armed || world.host.unit != Unit::Absent
        }),
        Property::always(NO_RESET, |_, world: &World| !world.past.kept_was_reset),
        Property::always(NO_RETURN, |_, world: &World| !world.fired_after_keep),
        Property::always(FURTHER, |_, world: &World| world.further != Some(false)),
        Property::always(SAID, |_, world: &World| world.said.is_none_or(|(_, is_so)| is_so)),
        Property::always(HELD, |_, world: &World| !world.held_too_short),
        Property::always(GOES_ON, |_, world: &World| {
            let is_good = world.host.cold == Cold::Good && world.host.firmware == Firmware::Takes;
            let ended = world.said.map(|(said, _)| said);
            !is_good || world.past.other_fault || matches!(ended, None | Some(Said::Rebooted))
        }),
        Property::always(THEIRS, |_, world: &World| !world.past.switched_to_stay || world.host.default == Sys::Other),
        Property::always(REST, |trials: &Trials, world: &World| !is_the_end(trials, world) || is_settled(world)),
        Property::always(WAY_OUT, |trials: &Trials, world: &World| {
            let is_clean = |host: &Tried| host.rests() && host.next != Next::Ours && !host.lease && !host.survivor;
            // A power cut before the default has moved is the reboot of today, into what nobody has tried.
            let is_as_today = |host: &Tried| host.boot > 0 && !host.line && !host.is_reached();
            let is_out = |host: &Tried| is_as_today(host) || is_clean(host) && !world.held;
            !is_the_end(trials, world) || (world.station.is_none() && is_out(&world.host))
        }),
    ]
}

/// Nothing can happen any more, but for faults that did not come.
fn is_the_end(trials: &Trials, world: &World) -> bool {
    let trials = Trials { kinds: Vec::new(), deaths: 0, ..trials.clone() };
    let world = World { deaths: 0, ..world.clone() };
    let mut actions = Vec::new();
    trials.actions(&world, &mut actions);
    actions.iter().all(|action| trials.next_state(&world, action.clone()).is_none())
}

fn is_settled(world: &World) -> bool {
    let (host, past) = (&world.host, &world.past);
    if past.installed_by_another || past.next_by_another {
        return true;
    }
    let never_left = host.boot == 0 && (host.default == host.before || host.broken);
    // A power cut before anything was registered is the reboot of today.
    let as_today = host.booted == Sys::New && host.default == Sys::New && !past.ever_registered;
    let kept = host.booted == Sys::New && host.default == Sys::New && past.ever_proven;
    // One rename away from `proven`: it was tried, less our words on the line. Its installer's failure counts the same.
    let is_left_so = !host.line || past.guard_was_lost;
    let cut_in_keep = host.booted == Sys::New && host.default == Sys::New && past.cut_in_keep && is_left_so;
    let put_back = host.booted == Sys::New && host.default == host.before && host.before == Sys::New && !host.line;
    let went_back = host.booted == Sys::Old && host.default == Sys::Old && host.failed;
    // Drift, until a person or a command reboots it: it has no guard, or that was lost for good in its firing.
    let lacks_a_guard = host.cold == Cold::Bare || past.guard_was_lost;
    let drift = lacks_a_guard && host.booted == Sys::New && host.default == Sys::Old && host.failed;
    never_left || as_today || kept || cut_in_keep || put_back || went_back || drift
}

/// Which ends were reached at all: an exploration that never keeps, or never goes back, proves nothing.
pub(crate) fn end_of(world: &World) -> Option<Said> {
    world.said.map(|(said, _)| said)
}
