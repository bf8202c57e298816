//! Runs a query that asks the engine one thing: it is shown while it works, a signal ends it, and its answer is on
//! stdout once the rows are gone.

use super::fleet_context::FleetContext;
use super::history::print;
use crate::commands::Trouble;
use crate::commands::{CommandResult, farewell};
use crate::decide::vocabulary::Signal;
use crate::engine::shutdown::Shutdown;
use crate::event::Event;
use crate::event::reason::command_end::CommandEnd;
use crate::event::reason::refusal::Refusal;
use crate::event::stream::Events;
use crate::exit::{Ending, status};
use crate::remote::Workspace;
use crate::ui::Screen;
use crate::ui::mode::Mode;

/// An answer, for programs and for people.
pub(crate) struct Reply {
    pub(crate) yes: bool,
    pub(crate) answer: serde_json::Value,
    pub(crate) page: String,
}

/// Says of a command that only looks, or has only looked so far, that a signal has ended it.
pub(crate) fn interrupted(signal: Signal) -> Event {
    Event::failed(None, CommandEnd::InterruptedUntouched { signal })
}

/// A query that has begun.
pub(crate) struct Query {
    pub(crate) events: Events,
    screen: Screen,
    mode: Mode,
}

impl Query {
    pub(crate) fn begin(command: &str, mode: Mode, context: &FleetContext) -> Result<Self, Trouble> {
        let events = Events::new(None);
        let screen = Screen::start(mode, &events).map_err(Trouble::not_served)?;
        context.begin_query(command, &events);
        Ok(Self { events, screen, mode })
    }

    /// Waits for the answer, or for a signal. Why there is no answer is told as it comes.
    pub(crate) async fn end(
        self,
        asking: impl Future<Output = Result<Reply, Refusal>>,
        workspace: &Workspace,
        shutdown: &mut Shutdown,
    ) -> CommandResult {
        let mut page = String::new();
        let ending = tokio::select! {
            answered = asking => match answered {
                Ok(answered) => {
                    self.events.publish(Event::Answer { answer: answered.answer });
                    page = answered.page;
                    Ending::Answered { yes: answered.yes }
                }
                Err(refusal) => {
                    self.events.publish(Event::failed(None, refusal));
                    Ending::Answered { yes: false }
                }
            },
            signal = shutdown.requested() => {
                self.events.publish(interrupted(signal));
                workspace.close().await;
                Ending::QueryInterrupted(signal)
            }
        };
        self.events.publish(Event::Ended { exit: i32::from(status(ending)) });
        farewell(self.screen, self.mode)?;
        if self.mode != Mode::Json {
            // The answer comes once the rows are gone, because stdout may be the same terminal.
            print(&page)?;
        }
        Ok(ending)
    }
}
