//! What the live screen costs with many hosts: time for each event and for each frame. Prints figures, asserts nothing.
//!
//! `cargo run --release --example screen_cost [HOSTS]`

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::error::Error;
use std::io;
use std::time::{Duration, Instant, SystemTime};

use fleetdeploy::event::line::Line;
use fleetdeploy::event::{Event, Phase, VERSION};
use fleetdeploy::inventory::model::HostName;
use fleetdeploy::ui::mode::Mode;
use fleetdeploy::ui::tui::Tui;

const ROUNDS: u32 = 100;

fn main() -> Result<(), Box<dyn Error>> {
    let count: usize = std::env::args().nth(1).map_or(Ok(200), |text| text.parse())?;
    let hosts: Vec<HostName> =
        (0..count).map(|number| HostName::new(format!("host{number}"))).collect::<Result<_, _>>()?;
    let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_364_100);
    let line = |event| Line { version: VERSION, run: None, seq: 1, at: start, event };
    let mode = Mode::Live { colour: true, verbose: false, unicode: true };
    let mut tui = Tui::new(mode, io::sink(), Box::new(|| (120, 50)), Box::new(move || start));
    tui.take(&line(Event::PushStarted {
        fleet: "office".to_owned(),
        hosts: hosts.clone(),
        selected: hosts.clone(),
        inventory: "inventory.yaml".to_owned(),
        guard_ms: 900_000,
        record: None,
        dry_run: false,
        rollback_to: None,
    }));
    tui.take(&line(Event::PhaseStarted { phase: Phase::Test }));
    let (mut events, mut frames) = (Duration::ZERO, Duration::ZERO);
    for round in 0..ROUNDS {
        let began = Instant::now();
        for host in &hosts {
            tui.take(&line(Event::moved(host, format!("starting unit-{round}.service"))));
        }
        events += began.elapsed();
        let began = Instant::now();
        tui.draw()?;
        frames += began.elapsed();
    }
    println!(
        "{count} hosts: {:?} for an event, {:?} for a frame",
        events / ROUNDS / u32::try_from(count)?,
        frames / ROUNDS
    );
    Ok(())
}
