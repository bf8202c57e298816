//! `check`: the matrix alone.

use super::build::FAREWELL;
use super::ground::{Ground, owner};
use super::{Ended, Trouble};
use crate::cli::{Check, Global};
use crate::decide::survey::Allowed;
use crate::engine::push::{Request, check};
use crate::engine::shutdown::Shutdown;
use crate::event::Event;
use crate::event::stream::Events;
use crate::exit::{Ending, status};
use crate::inventory::Overrides;
use crate::ui::Screen;
use crate::ui::mode::Mode;

pub(super) async fn run(global: &Global, mode: Mode, arguments: &Check) -> Ended {
    let ground = Ground::prepare(global, &arguments.fleet, &Overrides::default())?;
    // Before anything is asked: a signal from here on is ours.
    let mut shutdown = Shutdown::listen().map_err(|error| Trouble::not_begun(error, None))?;
    let workspace = ground.workspace(&mut shutdown).await?;
    let events = Events::new(None);
    let screen = Screen::start(mode, &events).map_err(|error| Trouble::not_begun(error, None))?;
    let request = Request {
        folder: ground.folder(),
        fleet: ground.fleet,
        selected: ground.selected,
        allowed: Allowed::default(),
        dry_run: true,
        run: "check".to_owned(),
        owner: owner(),
        roots: std::path::PathBuf::new(),
    };
    for text in ground.warnings {
        events.publish(Event::Warned { host: None, text });
    }
    let ending = tokio::select! {
        checked = check(&request, std::sync::Arc::clone(&workspace), &events) => match checked {
            Ok(up) => {
                events.publish(Event::Answer { answer: serde_json::json!({ "every_required_link_is_up": up }) });
                Ending::Answered { yes: up }
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
    Ok(ending)
}
