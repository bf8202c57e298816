//! The one sentence that a frightened person looks for: what protects the fleet right now.

use std::time::{Duration, SystemTime};

use crate::event::Phase;
use crate::event::wording::words::span;
use crate::inventory::model::HostName;
use crate::ui::host_view::{GuardView, HostView};
use crate::ui::paint::Tone;
use crate::ui::view::{FleetView, What};

/// The fate of the fleet if this workstation died now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Safety {
    /// No host was touched: nothing would.
    Untouched,
    /// Nothing is changed yet; guards are being armed.
    Arming { armed: usize, of: usize },
    /// Every host that this push touches goes back by itself; the last guard fires then.
    Guarded { last: SystemTime },
    /// It is decided: the new systems become permanent, still under the guards. A signal does not stop it any more.
    MakingPermanent { last: SystemTime },
    /// All is proven, and the guards go.
    Disarming { disarmed: usize, of: usize },
    /// The push takes hosts back, under their guards.
    GoingBack { back: usize, of: usize, last: Option<SystemTime> },
    /// A host is out of reach, and its guard brings it back.
    Awaiting { host: HostName, others: usize, fires: SystemTime, back: SystemTime },
    /// A recovery does not know yet what protects the hosts.
    TakingOver,
    /// Nothing of the fleet is guarded any more, nor needs to be.
    Through,
}

impl Safety {
    /// `None` for a query, which touches nothing and says nothing of it.
    #[must_use]
    pub fn of(view: &FleetView) -> Option<Self> {
        match view.what {
            // Units that a reboot stops, and boots, are under no guard.
            What::Query | What::Reboot => return None,
            What::DryRun => return Some(Self::Untouched),
            What::Push | What::Recovery => {}
        }
        if let Some(awaiting) = awaiting(view) {
            return Some(awaiting);
        }
        let changing: Vec<&HostView> = view.hosts.iter().filter(|host| host.takes_part(Phase::Arm)).collect();
        let armed = changing.iter().filter(|host| matches!(host.guard, GuardView::Armed { .. })).count();
        let last = changing.iter().filter_map(|host| fires(host)).max();
        let of = changing.len();
        Some(match (view.phase(), last) {
            (Some(Phase::RollBack), last) => {
                let back = changing.iter().filter(|host| is_back(host)).count();
                Self::GoingBack { back, of, last }
            }
            (Some(Phase::Arm), _) => Self::Arming { armed, of },
            (Some(Phase::Disarm), _) => {
                let disarmed = changing.iter().filter(|host| host.guard == GuardView::Disarmed).count();
                Self::Disarming { disarmed, of }
            }
            (Some(Phase::Switch), Some(last)) => Self::MakingPermanent { last },
            (_, Some(last)) => Self::Guarded { last },
            (_, None) if view.what == What::Recovery => Self::TakingOver,
            (_, None) if view.has_begun(Phase::Arm) => Self::Through,
            (_, None) => Self::Untouched,
        })
    }

    /// In words, with how much it should alarm.
    #[must_use]
    pub(crate) fn words(&self, now: SystemTime) -> (Tone, String) {
        let left = |until: SystemTime| span(until.duration_since(now).unwrap_or_default());
        match self {
            Self::Untouched => (Tone::Good, "nothing is touched; Ctrl-C leaves every host as it is".to_owned()),
            Self::Arming { armed, of } => {
                (Tone::Good, format!("nothing is changed yet; guards are being armed, {armed} of {of} are"))
            }
            Self::Guarded { last } if *last <= now => {
                let text =
                    "the guards' time is over: whatever host still has one goes back to its old system by itself";
                (Tone::Doubtful, text.to_owned())
            }
            Self::Guarded { last } => {
                let text = "guarded: whatever breaks now, this computer too, every host goes back to its old system by \
                            itself";
                (Tone::Good, format!("{text}, the last in {}; Ctrl-C: back at once", left(*last)))
            }
            Self::MakingPermanent { last } => {
                let text = "proven: the new systems are being made permanent; if this computer dies now, every host \
                            goes back by itself";
                (Tone::Good, format!("{text}, the last in {}; Ctrl-C lets this finish", left(*last)))
            }
            Self::Disarming { disarmed, of } => {
                (Tone::Good, format!("all is proven: the guards are being disarmed, {disarmed} of {of} are"))
            }
            Self::GoingBack { back, of, last } => {
                let guards = match last {
                    Some(last) => {
                        format!(
                            "; the guards stay armed and would bring back the rest, the last one in {}",
                            left(*last)
                        )
                    }
                    None => String::new(),
                };
                (Tone::Doubtful, format!("going back: {back} of {of} hosts run their old system again{guards}"))
            }
            Self::Awaiting { host, others, fires, back } => {
                let who = match others {
                    0 => format!("{host} is out of reach"),
                    _ => format!("{host} and {others} more are out of reach"),
                };
                let boot = span(back.duration_since(*fires).unwrap_or_default());
                if now < *fires {
                    let text = format!(
                        "{who}, and comes back by itself: its guard fires in {}, then up to {boot} to go back and boot",
                        left(*fires)
                    );
                    (Tone::Doubtful, text)
                } else if now < *back {
                    let text = format!("{who}: its guard must have fired, it should be back within {}", left(*back));
                    (Tone::Doubtful, text)
                } else {
                    let late = span(now.duration_since(*back).unwrap_or_default());
                    (Tone::Bad, format!("{who} AND OVERDUE: its guard should have brought it back {late} ago"))
                }
            }
            Self::TakingOver => {
                (Tone::Doubtful, "looking what protects the hosts; guards that are armed hold".to_owned())
            }
            Self::Through => (Tone::Good, "no guard is armed any more".to_owned()),
        }
    }
}

/// Returns the one of several hosts that is back last.
fn awaiting(view: &FleetView) -> Option<Safety> {
    let awaited: Vec<(&HostName, SystemTime, SystemTime)> = view
        .hosts
        .iter()
        .filter_map(|host| match host.guard {
            GuardView::Awaited { fires, back } => Some((&host.name, fires, back)),
            _ => None,
        })
        .collect();
    let (host, fires, back) = awaited.iter().max_by_key(|(_, _, back)| *back)?;
    Some(Safety::Awaiting { host: (*host).clone(), others: awaited.len() - 1, fires: *fires, back: *back })
}

fn fires(host: &HostView) -> Option<SystemTime> {
    match host.guard {
        GuardView::Armed { fires, .. } => Some(fires),
        _ => None,
    }
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
        let said = |last| Safety::Guarded { last: at(last) }.words(at(100));
        let (tone, text) = said(110);
        assert_eq!(tone, Tone::Good);
        assert!(text.contains("the last in 10s"), "{text}");
        for last in [100, 40] {
            let (tone, text) = said(last);
            assert_eq!(tone, Tone::Doubtful);
            assert!(text.starts_with("the guards' time is over") && !text.contains("0s"), "{text}");
        }
    }
}
