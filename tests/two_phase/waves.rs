//! A push by waves: what is sent to whom, and that a slow fleet has time enough.

use fleetdeploy::decide::time::MARGIN;
use pretty_assertions::assert_eq;

use super::*;

fn orders(fleet: &FakeFleet) -> Vec<String> {
    fleet.sent.lock().unwrap().clone()
}

fn words(words: &str) -> Vec<String> {
    words.split(", ").map(str::to_owned).collect()
}

#[tokio::test(start_paused = true)]
async fn a_push_by_waves_looks_at_every_host_and_extends_every_guard_between_two() {
    let fleet = FakeFleet::in_waves(&[1, 0]);
    let mut notebook = Notebook::default();
    let (outcome, _) = drive(&fleet, 900, &mut notebook).await;
    assert_eq!(outcome, Outcome::Committed);
    let sent = "arm 0, arm 1, test 1, login 0, login 1, extend 0, extend 1, test 0, login 0, login 1, switch 0, switch \
                1, disarm 0, disarm 1, clean 0, clean 1";
    assert_eq!(orders(&fleet), words(sent));
    let waves = notebook.told.iter().filter_map(|event| match event {
        Event::WaveStarted { wave, of, hosts } => Some(format!("{wave} of {of}: {}", hosts[0])),
        _ => None,
    });
    assert_eq!(waves.collect::<Vec<_>>(), ["1 of 2: host1", "2 of 2: host0"]);
}

#[tokio::test(start_paused = true)]
async fn a_canary_that_breaks_takes_back_itself_and_touches_no_other() {
    let fleet = FakeFleet { breaks_links: Some(HostId(1)), ..FakeFleet::of_waves(&[1, 0, 1]) };
    let fleet = Arc::new(fleet);
    let mut notebook = Notebook::default();
    let (outcome, text) = drive(&fleet, 900, &mut notebook).await;
    assert_eq!(outcome, Outcome::RolledBack);
    assert!(text.starts_with("links are down: host0 -> host1 (ping, no answer)"), "{text}");
    let sent = "arm 0, arm 1, arm 2, test 1, login 0, login 1, login 2, rollback 1, login 1, disarm 0, disarm 1, \
                disarm 2, clean 0, clean 1, clean 2";
    assert_eq!(orders(&fleet), words(sent));
    assert_eq!(*fleet.systems.lock().unwrap(), vec![Systems::all(&system("old")); 3]);
    let disarmed = notebook.told.iter().filter(|event| matches!(event, Event::GuardDisarmed { .. }));
    assert_eq!(disarmed.count(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_break_in_the_last_wave_takes_all_back() {
    let fleet = Arc::new(FakeFleet { breaks_links: Some(HostId(0)), ..FakeFleet::of_waves(&[1, 0, 0]) });
    let (outcome, _) = drive(&fleet, 900, &mut Notebook::default()).await;
    assert_eq!(outcome, Outcome::RolledBack);
    let sent = orders(&fleet);
    assert!(["rollback 0", "rollback 1", "rollback 2"].iter().all(|order| sent.contains(&(*order).to_owned())));
    assert_eq!(*fleet.systems.lock().unwrap(), vec![Systems::all(&system("old")); 3]);
}

/// Five tests that each take almost all that one may, under guards that are just long enough for one of them.
#[tokio::test(start_paused = true)]
async fn a_slow_fleet_is_never_refused_for_lack_of_time() {
    let Limits { connect, step, test, switch, rollback, .. } = Limits::default();
    let slow = test.mul_f32(0.99);
    let guard = step + test + connect + times(0).settle + switch + rollback + MARGIN;
    let fleet = Arc::new(FakeFleet { slow, ..FakeFleet::of_waves(&[0, 1, 2, 3, 4]) });
    let began = fleet.clock.now();
    let (outcome, text) = drive(&fleet, guard.as_secs(), &mut Notebook::default()).await;
    assert_eq!(outcome, Outcome::Committed, "{text}");
    assert!(fleet.clock.now() > began + guard + Duration::from_secs(300), "this was not slow");
}
