//! `check`: the matrix alone.

use super::build::FAREWELL;
use super::ground::Ground;
use super::past::{colour, print};
use super::{Ended, Trouble};
use crate::cli::{Check, Global};
use crate::engine::queries::{Checked, check};
use crate::engine::shutdown::Shutdown;
use crate::event::Event;
use crate::event::stream::Events;
use crate::exit::{Ending, status};
use crate::inventory::Overrides;
use crate::ui::mode::Mode;
use crate::ui::{Screen, columns_of_stdout, matrix};

pub(super) async fn run(global: &Global, mode: Mode, arguments: &Check) -> Ended {
    let ground = Ground::prepare(global, &arguments.fleet, &Overrides::default())?;
    // Before anything is asked: a signal from here on is ours.
    let mut shutdown = Shutdown::listen().map_err(|error| Trouble::not_begun(error, None))?;
    let workspace = ground.workspace(&mut shutdown).await?;
    let events = Events::new(None);
    let screen = Screen::start(mode, &events).map_err(|error| Trouble::not_begun(error, None))?;
    ground.begin_query("check", &events);
    let request = ground.question("check", std::path::PathBuf::new());
    let mut page = String::new();
    let ending = tokio::select! {
        checked = check(&request, std::sync::Arc::clone(&workspace), &events) => match checked {
            Ok(Checked { links, is_well }) => {
                let answer = serde_json::json!({ "every_required_link_is_up": is_well, "links": links });
                events.publish(Event::Answer { answer });
                if !(global.quiet && is_well) {
                    page = format!("{}\n{}", matrix::count(&links), matrix::render(&links, columns_of_stdout(), colour(global)));
                }
                Ending::Answered { yes: is_well }
            }
            Err(text) => {
                events.publish(Event::Failed { host: None, text, hint: None });
                Ending::Answered { yes: false }
            }
        },
        signal = shutdown.requested() => {
            workspace.close().await;
            Ending::QueryInterrupted(signal)
        }
    };
    events.publish(Event::Ended { exit: i32::from(status(ending)) });
    let _ = screen.finish(FAREWELL);
    if mode != Mode::Json {
        // Once the rows are gone: stdout may be the same terminal.
        print(&page)?;
    }
    Ok(ending)
}
