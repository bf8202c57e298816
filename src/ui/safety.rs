//! The one sentence that a frightened person looks for: what protects the fleet right now.

use std::time::{Duration, SystemTime};

use crate::event::Phase;
use crate::event::wording::waiting;
use crate::event::wording::words::span;
use crate::inventory::model::{GuardAction, HostName};
use crate::ui::host_view::{GuardView, HostView, Turn};
use crate::ui::paint::Tone;
use crate::ui::view::{FleetView, What};

/// The fate of the fleet if this workstation died now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Safety {
    /// No host was touched: nothing would.
    Untouched,
    /// Nothing is changed yet; guards are being armed.
    Arming { armed: usize, of: usize, guards: Option<ArmedGuards> },
    /// Every host that this push touches goes back by itself.
    Guarded { guards: ArmedGuards },
    /// It is decided: the new systems become permanent, still under the guards. A signal does not stop it any more.
    MakingPermanent { guards: ArmedGuards },
    /// All is proven, and the guards go.
    Disarming { disarmed: usize, of: usize, guards: Option<ArmedGuards> },
    /// The push takes hosts back, under their guards.
    GoingBack { back: usize, of: usize, guards: Option<ArmedGuards>, leaving: Leaving },
    /// A host is out of reach, and its guard brings it back.
    Awaiting {
        host: HostName,
        others: usize,
        fires: SystemTime,
        back: SystemTime,
        action: GuardAction,
        leaving: Leaving,
    },
    /// A recovery does not know yet what protects the hosts.
    TakingOver,
    /// Nothing of the fleet is guarded any more, nor needs to be.
    Through,
    /// A rolling reboot: no guard is needed. `until`: the hosts are waited for until then.
    Rebooting { hosts: Vec<HostName>, until: Option<SystemTime> },
    /// Guards that were armed by hand hold while a person works.
    ByHand { guards: ArmedGuards },
}

/// The guards that are armed, as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArmedGuards {
    pub first: SystemTime,
    pub last: SystemTime,
    /// When the last host is back at the latest, if every guard fires; `None`: an old record does not say.
    pub back: Option<SystemTime>,
    /// How a guard takes its host back; `None`: not all in the same way.
    pub action: Option<GuardAction>,
}

/// What the two systems of a host are called: in a rollback the new ones are the older ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sides {
    its_old: &'static str,
    their_old: &'static str,
    new: &'static str,
}

impl Sides {
    pub(crate) fn of(view: &FleetView) -> Self {
        match view.rollback_to {
            None => Self { its_old: "its old system", their_old: "their old systems", new: "the new systems" },
            Some(_) => Self {
                its_old: "what it ran until now",
                their_old: "what they ran until now",
                new: "the earlier systems",
            },
        }
    }
}

/// What a signal does now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaving {
    /// Hosts that still run their new system would be left to their guards. `once`: a signal has come already.
    ToGuards { once: bool },
    /// Every host that answers is on its old system: nothing is lost.
    Harmless { once: bool, back: Option<SystemTime> },
}

impl ArmedGuards {
    fn of<'a>(hosts: impl IntoIterator<Item = &'a HostView>) -> Option<Self> {
        let armed = hosts.into_iter().filter_map(|host| match host.guard {
            GuardView::Armed { fires, back, action, .. } => {
                Some(Self { first: fires, last: fires, back, action: Some(action) })
            }
            _ => None,
        });
        armed.reduce(|one, other| Self {
            first: one.first.min(other.first),
            last: one.last.max(other.last),
            back: one.back.max(other.back),
            action: one.action.filter(|action| other.action == Some(*action)),
        })
    }

    /// `by a reboot, back at the latest in 17m 53s`
    fn way(&self, now: SystemTime) -> String {
        let how = self.action.map_or("by a reboot, or without one as the inventory says", waiting::by);
        let back = self.back.unwrap_or(self.last);
        let when = if self.back.is_some() { "back at the latest in" } else { "the last in" };
        format!("{how}, {when} {}", left(back, now))
    }

    /// Guards of very different lengths look like a mistake, and are none.
    fn spread(&self, now: SystemTime) -> String {
        let (first, last) = (self.first.duration_since(now), self.last.duration_since(now));
        match (first, last) {
            (Ok(first), Ok(last)) if first + Duration::from_secs(15) < last => {
                let (first, last) = (span(first), span(last));
                format!(
                    " (each guard is as long as the inventory says: the first fires in {first}, the last in {last}; \
                     then hosts boot)"
                )
            }
            _ => String::new(),
        }
    }
}

fn left(until: SystemTime, now: SystemTime) -> String {
    span(until.duration_since(now).unwrap_or_default())
}

impl Safety {
    /// `None` for a query, which touches nothing and says nothing of it.
    #[must_use]
    pub fn of(view: &FleetView) -> Option<Self> {
        match view.what {
            // Guards that a person arms by hand.
            What::Query => return ArmedGuards::of(&view.hosts).map(|guards| Self::ByHand { guards }),
            // Units that a reboot stops, and boots, are under no guard.
            What::Reboot => return Some(rebooting(view)),
            What::DryRun => return Some(Self::Untouched),
            What::Push | What::Recovery => {}
        }
        if view.phase() == Some(Phase::Reboot) {
            return Some(rebooting(view));
        }
        let leaving = match view.may_leave {
            Some(back) => Leaving::Harmless { once: view.interrupted, back },
            None => Leaving::ToGuards { once: view.interrupted },
        };
        if let Some(awaiting) = awaiting(view, leaving) {
            return Some(awaiting);
        }
        let changing: Vec<&HostView> = view.hosts.iter().filter(|host| host.takes_part(Phase::Arm)).collect();
        let armed = changing.iter().filter(|host| matches!(host.guard, GuardView::Armed { .. })).count();
        let guards = ArmedGuards::of(changing.iter().copied());
        let of = changing.len();
        Some(match (view.phase(), guards) {
            (Some(Phase::RollBack), guards) => {
                let back = changing.iter().filter(|host| is_back(host)).count();
                Self::GoingBack { back, of, guards, leaving }
            }
            (Some(Phase::Arm), guards) => Self::Arming { armed, of, guards },
            (Some(Phase::Disarm), guards) => {
                let disarmed = changing.iter().filter(|host| host.guard == GuardView::Disarmed).count();
                Self::Disarming { disarmed, of, guards }
            }
            (Some(Phase::Switch), Some(guards)) => Self::MakingPermanent { guards },
            (_, None) if view.what == What::Recovery => Self::TakingOver,
            (_, Some(_)) if matches!(view.phase(), Some(Phase::Survey | Phase::TakeOver)) => Self::TakingOver,
            (_, Some(guards)) => Self::Guarded { guards },
            (_, None) if view.has_begun(Phase::Arm) => Self::Through,
            (_, None) => Self::Untouched,
        })
    }

    /// In words, with how much it should alarm. `fleet`: its name, for what to type.
    #[must_use]
    pub(crate) fn words(&self, fleet: &str, sides: Sides, now: SystemTime) -> (Tone, String) {
        // From any workstation that has the inventory and may log in. Before the guards have fired it takes the hosts
        // back by itself; afterwards it finds them back, and cleans up.
        let recover = format!("fleetdeploy recover {fleet}");
        let Sides { its_old, their_old, new } = sides;
        match self {
            Self::Untouched => (Tone::Good, "nothing is touched; Ctrl-C leaves every host as it is".to_owned()),
            Self::Arming { armed, of, guards } => {
                let way = guards.map_or("by itself".to_owned(), |guards| guards.way(now));
                let text = format!(
                    "nothing is changed yet; guards are being armed, {armed} of {of} are: a host that has one goes \
                     back to {its_old}, {way}, unless this program disarms it before; Ctrl-C takes the guards away; if \
                     this computer dies: {recover}, at any time, from any other, takes them away"
                );
                (Tone::Good, text)
            }
            Self::Guarded { guards } if guards.last <= now => {
                let text = format!(
                    "the guards' time is over: whatever host still has one goes back to {its_old} by itself; {recover} \
                     looks at each, from anywhere"
                );
                (Tone::Doubtful, text)
            }
            Self::Guarded { guards } => {
                let (way, spread) = (guards.way(now), guards.spread(now));
                let text = format!(
                    "guarded: if anything breaks now, even this computer, every host goes back to {its_old}, \
                     {way}{spread}; if nothing does, the guards are disarmed in time; Ctrl-C takes all back at once; \
                     if this computer dies: {recover}, at any time, from any other, takes all back, too"
                );
                (Tone::Good, text)
            }
            Self::MakingPermanent { guards } => {
                // From elsewhere the decision is not known as long as no host is through on new.
                let text = format!(
                    "proven: {new} are being made permanent, and Ctrl-C does not stop that; if this computer dies \
                     now, every host goes back {}; {recover}, before the first guard fires in {}, finishes it if it \
                     is typed on this computer, and takes all back if on any other",
                    guards.way(now),
                    left(guards.first, now)
                );
                (Tone::Good, text)
            }
            Self::Disarming { disarmed, of, guards } => {
                let text = format!("all is proven, and stays: guards are being disarmed, {disarmed} of {of} are");
                let dies = guards.map_or_else(String::new, |guards| {
                    let fires = left(guards.first, now);
                    format!(
                        "; Ctrl-C does not stop that; if this computer dies now, type {recover} within {fires}, on \
                         any other, which brings all to one side: else the guards that are left fire"
                    )
                });
                (Tone::Good, text + &dies)
            }
            Self::GoingBack { back, of, guards, leaving } => {
                (Tone::Doubtful, going_back((*back, *of), guards.as_ref(), *leaving, (&recover, their_old), now))
            }
            Self::Awaiting { host, others, fires, back, action, leaving } => {
                let who = match others {
                    0 => format!("{host} is out of reach"),
                    _ => format!("{host} and {others} more are out of reach"),
                };
                let leave = leaving.words(&recover, now, false);
                awaited(&who, (*fires, *back), *action, &recover, now, &leave)
            }
            Self::TakingOver => {
                let text = "nothing is moved yet: looking how each host stands; guards stay armed meanwhile, and bring \
                            their hosts back when they fire; then all hosts go to one side: to their new systems if \
                            that was decided and all can, else to their old ones";
                (Tone::Doubtful, format!("{text}; Ctrl-C leaves all as it is, the guards armed"))
            }
            Self::Through => (Tone::Good, "no guard is armed any more".to_owned()),
            Self::Rebooting { hosts, .. } if hosts.is_empty() => {
                let text = "no host is down; no system is changed; Ctrl-C: no host is rebooted";
                (Tone::Good, text.to_owned())
            }
            Self::Rebooting { hosts, until } => {
                let names = hosts.iter().map(HostName::as_str).collect::<Vec<_>>().join(", ");
                let (its, reboots, it_is) =
                    if hosts.len() == 1 { ("its", "reboots", "it is") } else { ("their", "reboot", "they are") };
                let until = until.filter(|until| *until > now);
                let waited = until.map_or_else(String::new, |until| {
                    format!(": {it_is} waited for, at most {} more", left(until, now))
                });
                let text = format!(
                    "{names} {reboots} now, and no other host does; what {its} boot loader starts by default comes \
                     up, without a guard{waited}; the next host begins when that is proven, else none does; Ctrl-C: \
                     no further reboot; if this computer dies: {recover}, at any time, from any other, ends this \
                     without a further reboot"
                );
                (Tone::Good, text)
            }
            Self::ByHand { guards } => {
                let (fires, way) = (left(guards.first, now), guards.way(now));
                let text = format!(
                    "guarded: work on the hosts, and within {fires} type fleetdeploy guard disarm {fleet}, which keeps \
                     the systems that run then; else every host goes back to the one that it ran before, {way}, \
                     whatever you do there"
                );
                (Tone::Good, text)
            }
        }
    }
}

fn going_back(
    (back, of): (usize, usize),
    guards: Option<&ArmedGuards>,
    leaving: Leaving,
    (recover, their_old): (&str, &str),
    now: SystemTime,
) -> String {
    let hosts = if of == 1 { "host runs" } else { "hosts run" };
    let mut text = format!("going back: {back} of {of} {hosts} {their_old} again");
    if let (Leaving::ToGuards { once }, Some(guards)) = (leaving, guards) {
        let signal = signal(once);
        text += &format!(
            ", as a rule without a reboot; {signal} stops here, and leaves those that are not back to their guards; \
             if so, or if this computer dies, they go back {}; {recover}, at any time, from any other computer, then \
             ends the run",
            guards.way(now)
        );
    } else {
        text += &leaving.words(recover, now, true);
    }
    text
}

/// What makes it leave; `once`: the first of two signals has come.
fn signal(once: bool) -> &'static str {
    if once { "Ctrl-C once more" } else { "Ctrl-C twice" }
}

/// Who is out of reach, and when its guard fires and it is back.
fn awaited(
    who: &str,
    (fires, back): (SystemTime, SystemTime),
    action: GuardAction,
    recover: &str,
    now: SystemTime,
    leave: &str,
) -> (Tone, String) {
    let how = waiting::by(action);
    if now < fires {
        let (fires, back) = (left(fires, now), left(back, now));
        let text =
            format!("{who}, and comes back {how}: its guard fires in {fires}, back at the latest in {back}{leave}");
        (Tone::Doubtful, text)
    } else if now < back {
        let back = left(back, now);
        let text = format!("{who}: its guard's time is over, so it comes back {how}, at the latest in {back}{leave}");
        (Tone::Doubtful, text)
    } else {
        let late = left(now, back);
        let text = format!(
            "{who} AND OVERDUE: its guard should have brought it back {late} ago; if it does not come: switch it off \
             and on, then {recover}{leave}"
        );
        (Tone::Bad, text)
    }
}

impl Leaving {
    /// What leaving does, from the moment on from which it is harmless. `with_end`: when the rest is back was not said.
    fn words(self, recover: &str, now: SystemTime, with_end: bool) -> String {
        let Self::Harmless { once, back } = self else { return String::new() };
        let how = signal(once);
        let rest = match back {
            Some(back) if with_end && now < back => {
                format!(", and what is out of reach now is back within {}", left(back, now))
            }
            _ => String::new(),
        };
        let back = "; every host that answers is on its old system: who waits has kept guards disarmed at the end";
        format!(
            "{back}; {how} leaves, and nothing is lost by that: kept guards then fire, too, and reboot their \
             hosts{rest}; later, to look: fleetdeploy show last, to end it: {recover}"
        )
    }
}

/// The hosts that are down, or may be.
fn rebooting(view: &FleetView) -> Safety {
    let is_away = |host: &&HostView| {
        host.phase == Some(Phase::Reboot)
            && host.turn == Turn::Its
            && host.through.is_none()
            && host.takes_part(Phase::Reboot)
    };
    let hosts = view.hosts.iter().filter(is_away).filter(|_| view.phase() == Some(Phase::Reboot));
    let until = hosts.clone().filter_map(|host| host.ends).map(|(until, _)| until).max();
    Safety::Rebooting { hosts: hosts.map(|host| host.name.clone()).collect(), until }
}

/// Returns the one of several hosts that is back last.
fn awaiting(view: &FleetView, leaving: Leaving) -> Option<Safety> {
    let awaited: Vec<(&HostName, SystemTime, SystemTime, GuardAction)> = view
        .hosts
        .iter()
        .filter_map(|host| match host.guard {
            GuardView::Awaited { fires, back, action } => Some((&host.name, fires, back, action)),
            _ => None,
        })
        .collect();
    let (host, fires, back, action) = *awaited.iter().max_by_key(|(_, _, back, _)| *back)?;
    Some(Safety::Awaiting { host: host.clone(), others: awaited.len() - 1, fires, back, action, leaving })
}

fn is_back(host: &HostView) -> bool {
    host.times.contains_key(&Phase::RollBack) || matches!(host.guard, GuardView::Fired | GuardView::Disarmed)
}

/// How alarming it is that so much of a guard is left.
pub(crate) fn alarm(left: Duration, length: Duration) -> Tone {
    if left < length / 5 {
        Tone::Bad
    } else if left < length / 2 {
        Tone::Doubtful
    } else {
        Tone::Good
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guard_whose_time_is_over_is_not_counted_down() {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let guards = |last| ArmedGuards { first: at(last), last: at(last), back: Some(at(last + 330)), action: None };
        let sides = Sides::of(&FleetView::default());
        let said = |last| Safety::Guarded { guards: guards(last) }.words("homelab", sides, at(100));
        let (tone, text) = said(110);
        assert_eq!(tone, Tone::Good);
        assert!(text.contains("back at the latest in 5m 40s"), "{text}");
        for last in [100, 40] {
            let (tone, text) = said(last);
            assert_eq!(tone, Tone::Doubtful);
            assert!(text.starts_with("the guards' time is over") && !text.contains("0s"), "{text}");
        }
    }
}
