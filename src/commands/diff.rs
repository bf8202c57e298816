//! `diff`: which packages a push would change.

use std::collections::BTreeMap;

use super::build::FAREWELL;
use super::ground::Ground;
use super::past::{colour, columns, print};
use super::{Ended, Trouble};
use crate::cli::{Diff, Global};
use crate::engine::queries::diff;
use crate::engine::shutdown::Shutdown;
use crate::event::Event;
use crate::event::forecast::Comparison;
use crate::event::stream::Events;
use crate::exit::{Ending, status};
use crate::inventory::Overrides;
use crate::inventory::model::HostName;
use crate::ui::Screen;
use crate::ui::forecast::{Style, differences};
use crate::ui::mode::Mode;

pub(super) async fn run(global: &Global, mode: Mode, arguments: &Diff) -> Ended {
    let ground = Ground::prepare(global, &arguments.fleet, &Overrides::default())?;
    let mut shutdown = Shutdown::listen().map_err(|error| Trouble::not_begun(error, None))?;
    let workspace = ground.workspace(&mut shutdown).await?;
    let events = Events::new(None);
    let screen = Screen::start(mode, &events).map_err(|error| Trouble::not_begun(error, None))?;
    // The systems are kept from a collector for as long as they are compared.
    let roots = tempfile::tempdir().map_err(|error| Trouble::no_folder(&error))?;
    ground.begin_query("diff", &events);
    let request = ground.question("diff", roots.path().to_owned());
    let mut page = String::new();
    let ending = tokio::select! {
        differing = diff(&request, std::sync::Arc::clone(&workspace), &events) => match differing {
            Ok(differing) => {
                events.publish(Event::Answer { answer: answer(&differing) });
                let style = Style { colour: colour(global), columns: columns() };
                page = differences(differing.iter().map(|(host, comparison)| (host, comparison)), style);
                Ending::Answered { yes: true }
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

fn answer(differing: &[(HostName, Comparison)]) -> serde_json::Value {
    let hosts: BTreeMap<&HostName, &Comparison> =
        differing.iter().map(|(host, comparison)| (host, comparison)).collect();
    serde_json::json!({ "hosts": hosts })
}
