//! `build`: the systems of a fleet, and no host touched.

use std::time::Duration;

use super::ground::Ground;
use super::{Ended, Trouble};
use crate::cli::{Build, Global};
use crate::engine::queries::build;
use crate::engine::shutdown::Shutdown;
use crate::event::Event;
use crate::event::stream::Events;
use crate::exit::{Ending, status};
use crate::inventory::Overrides;
use crate::remote::Workspace;
use crate::ui::Screen;
use crate::ui::mode::Mode;

/// How long the last lines may take to reach the screen.
pub(super) const FAREWELL: Duration = Duration::from_secs(5);

pub(super) async fn run(global: &Global, mode: Mode, arguments: &Build) -> Ended {
    let ground = Ground::prepare(global, &arguments.fleet, &Overrides::default())?;
    let events = Events::new(None);
    let screen = Screen::start(mode, &events).map_err(|error| Trouble::not_begun(error, None))?;
    let mut shutdown = Shutdown::listen().map_err(|error| Trouble::not_begun(error, None))?;
    let roots = tempfile::tempdir().map_err(|error| Trouble::no_folder(&error))?;
    let workspace = Workspace::create(&[], std::collections::BTreeMap::new(), None)
        .await
        .map_err(|error| Trouble::not_begun(error, None))?;
    ground.begin_query("build", &events);
    let request = ground.question("build", roots.path().to_owned());
    let mut answer = String::new();
    let ending = tokio::select! {
        built = build(&request, workspace, &events) => match built {
            Ok(systems) => {
                let lines: Vec<String> = systems.iter().map(|(host, system)| format!("{host} {system}\n")).collect();
                answer = lines.concat();
                events.publish(Event::Answer { answer: serde_json::json!({ "systems": systems }) });
                Ending::Answered { yes: true }
            }
            Err(text) => {
                events.publish(Event::Failed { host: None, text, hint: None });
                Ending::Answered { yes: false }
            }
        },
        signal = shutdown.requested() => Ending::QueryInterrupted(signal),
    };
    events.publish(Event::Ended { exit: i32::from(status(ending)) });
    let _ = screen.finish(FAREWELL);
    if mode != Mode::Json {
        // Once the rows are gone: stdout may be the same terminal.
        crate::ui::print_answer(&answer).map_err(|error| Trouble::no_stdout(&error))?;
    }
    Ok(ending)
}
