//! Tells how long each phase took in former runs of a fleet: limits are long, and say nothing of a usual day.

use std::collections::BTreeMap;
use std::time::Duration;

use super::conclusion::millis;
use crate::event::forecast::Forecast;
use crate::event::{Event, Phase};
use crate::record::folder::StateFolder;
use crate::record::read;
use crate::ui::view::FleetView;

/// How many former runs are looked at, the newest first.
const RUNS: usize = 5;

/// Writes beside each phase of the forecast how long it took at most in the last runs of that fleet on this
/// workstation. A record that cannot be read is passed over: a plan does not need it.
pub(crate) fn add_what_former_runs_took(forecast: &mut Forecast) {
    let Ok(state) = StateFolder::locate(|name| std::env::var_os(name)) else { return };
    let took = took(&state, &forecast.fleet);
    for one in &mut forecast.phases {
        one.took_ms = took.get(&one.phase).copied().map(millis);
    }
}

fn took(state: &StateFolder, fleet: &str) -> BTreeMap<Phase, Duration> {
    let mut longest: BTreeMap<Phase, Duration> = BTreeMap::new();
    let runs = state.list().unwrap_or_default();
    for id in runs.iter().rev().filter(|id| id.fleet() == fleet).take(RUNS) {
        let Some(run) = state.open_run(id) else { continue };
        let mut lines = Vec::new();
        let Ok(_) = read::each_event(&run.events(), |line| lines.push(line)) else { continue };
        // Between an interrupted run and its recovery nothing happened, and a guard by hand has no phases.
        let until = lines.iter().position(|line| matches!(line.event, Event::RecoverStarted { .. }));
        let view = FleetView::of(&lines[..until.unwrap_or(lines.len())]);
        for (phase, time) in view.hosts.iter().flat_map(|host| &host.times) {
            let known = longest.entry(*phase).or_default();
            *known = (*known).max(*time);
        }
    }
    longest
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn the_longest_time_of_each_phase_is_taken_and_only_of_that_fleet() {
        let runs = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");
        let state = StateFolder::at(runs.into());
        let took_at = |fleet: &str| took(&state, fleet);
        let homelab = took_at("homelab");
        assert_eq!(homelab.get(&Phase::Survey), Some(&Duration::from_millis(3200)), "{homelab:?}");
        assert_eq!(took_at("no-such-fleet"), BTreeMap::new());
    }
}
