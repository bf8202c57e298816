//! Finds units that had no rest before a push: the push does not wait for them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::facts::host::Standing;
use crate::facts::links::HostRound;

/// Returns the units that had no rest between two looks: on average they did not stay up as long as a unit that a push
/// starts must.
///
/// A unit that was started anew once is not restless for that: a person may have done it, or it was its yearly crash.
#[must_use]
pub fn restless(steady: Duration, before: &Standing, now: &HostRound) -> BTreeSet<String> {
    let between = now.uptime.saturating_sub(before.uptime);
    let starts = |unit: &String| {
        let count = |restarts: &BTreeMap<String, u64>| restarts.get(unit).copied().unwrap_or(0);
        count(&now.restarts).saturating_sub(count(&before.restarts)).max(1)
    };
    let started = now
        .units
        .iter()
        .filter(|(unit, now)| before.units.get(*unit).is_some_and(|before| before.invocation != now.invocation));
    let is_restless = |unit: &&String| starts(unit).saturating_mul(steady.as_secs()) >= between;
    started.map(|(unit, _)| unit).filter(is_restless).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::units::{UnitNow, UnitState, Units};

    /// A service's start and how often systemd has started it again, in a look at this second.
    fn looks(first: (&str, u64, u64), second: (&str, u64, u64)) -> BTreeSet<String> {
        let unit = || "app.service".to_owned();
        let units = |invocation: &str| -> Units {
            let state = UnitState::Active;
            let (needed, triggered, transient, gone) = (true, false, false, false);
            let invocation = invocation.to_owned();
            [(unit(), UnitNow { invocation, state, needed, triggered, transient, gone })].into()
        };
        let plan = crate::decide::transaction::tests::plan(1, 1);
        let standing = Standing {
            uptime: first.2,
            units: units(first.0),
            restarts: [(unit(), first.1)].into(),
            ..crate::decide::transaction::tests::standing(&plan.hosts[0])
        };
        let round = HostRound {
            uptime: second.2,
            units: units(second.0),
            restarts: [(unit(), second.1)].into(),
            ..HostRound::default()
        };
        restless(Duration::from_secs(10), &standing, &round)
    }

    #[test]
    fn a_unit_is_restless_that_was_started_again_as_often_as_it_would_have_to_be_up() {
        for (first, second, is) in [
            (("a", 0, 100), ("a", 0, 160), false),
            // Every eight seconds.
            (("a", 12, 100), ("b", 20, 160), true),
            // Once in a minute, by itself or by a person.
            (("a", 0, 100), ("b", 1, 160), false),
            (("a", 0, 100), ("b", 0, 160), false),
            // A shorter time between the looks proves nothing.
            (("a", 0, 100), ("b", 0, 110), true),
            // A person has started it anew, and it is counted from there.
            (("a", 400, 100), ("b", 0, 160), false),
        ] {
            assert_eq!(!looks(first, second).is_empty(), is, "{first:?} {second:?}");
        }
    }
}
