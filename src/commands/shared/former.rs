//! Tells how long each phase took in former runs of a fleet, and how fast the copies were: limits are long, and say
//! nothing of a usual day.

use std::collections::BTreeMap;
use std::time::Duration;

use super::conclusion::millis;
use crate::decide::sending::{FormerCopies, MeasuredCopy};
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

/// How many former runs are looked at for copies: most runs bring little, and not to every host.
const RUNS_WITH_COPIES: usize = 20;

/// How much of a run's events is read for them, in bytes: copies come before all that a large mesh tells.
const EVENTS_BEFORE_COPIES: u64 = 4 << 20;

/// Returns how fast copies were in the last runs of that fleet on this workstation. A record that cannot be read is
/// passed over.
pub(crate) fn former_copies(fleet: &str) -> FormerCopies {
    let state = StateFolder::locate(|name| std::env::var_os(name)).ok();
    FormerCopies::of(state.map(|state| measured_copies(&state, fleet)).unwrap_or_default())
}

/// The copies of former runs, the newest first.
fn measured_copies(state: &StateFolder, fleet: &str) -> Vec<MeasuredCopy> {
    let mut measured = Vec::new();
    let runs = state.list().unwrap_or_default();
    for id in runs.iter().rev().filter(|id| id.fleet() == fleet).take(RUNS_WITH_COPIES) {
        let Some(run) = state.open_run(id) else { continue };
        let mut of_run = Vec::new();
        let _ = read::each_event_named(&run.events(), "copy_measured", EVENTS_BEFORE_COPIES, |line| {
            if let Event::CopyMeasured { host, from, bytes, took_ms } = line.event {
                of_run.push(MeasuredCopy { host, from, bytes, took_ms });
            }
        });
        measured.extend(of_run.into_iter().rev());
    }
    measured
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::event::line::Line;
    use crate::inventory::model::HostName;

    #[test]
    fn the_longest_time_of_each_phase_is_taken_and_only_of_that_fleet() {
        let runs = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");
        let state = StateFolder::at(runs.into());
        let took_at = |fleet: &str| took(&state, fleet);
        let homelab = took_at("homelab");
        assert_eq!(homelab.get(&Phase::Survey), Some(&Duration::from_millis(3200)), "{homelab:?}");
        assert_eq!(took_at("no-such-fleet"), BTreeMap::new());
    }

    #[test]
    fn the_copies_of_the_newest_runs_of_a_fleet_come_first_and_no_other_event_is_one() {
        let home = tempfile::tempdir().unwrap();
        let state = StateFolder::at(home.path().to_owned());
        let mut seconds = 1_800_000_000;
        let mut write = |fleet: &str, events: Vec<Event>| {
            seconds += 1;
            let now = std::time::UNIX_EPOCH + Duration::from_secs(seconds);
            let (run, _journal) = state.create_run(fleet, now).unwrap();
            let line = |event| Line { version: 1, run: Some(run.id().to_string()), seq: 1, at: now, event };
            let lines: Vec<String> =
                events.into_iter().map(|event| serde_json::to_string(&line(event)).unwrap() + "\n").collect();
            std::fs::write(run.events(), lines.concat() + "{\"version\":1,\"event\":\"copy_measured\",\"bytes\"")
                .unwrap();
        };
        let vps = HostName::new("vps").unwrap();
        let measured = |bytes| Event::CopyMeasured { host: Some(vps.clone()), from: None, bytes, took_ms: 1000 };
        let printed = vec!["\"event\":\"copy_measured\"".to_owned()];
        write(
            "homelab",
            vec![measured(1), Event::Printed { host: None, by: "nix".into(), lines: printed }, measured(2)],
        );
        write("other", vec![measured(3)]);
        write("homelab", vec![measured(4)]);
        let bytes = measured_copies(&state, "homelab").iter().map(|copy| copy.bytes).collect::<Vec<_>>();
        assert_eq!(bytes, [4, 2, 1]);
    }
}
