//! Asks on the terminal: whether to go on, for `--ask`, and whether to wait any longer, for `recover`. A signal ends
//! each question.

use std::io::{self, IsTerminal};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::commands::Trouble;
use crate::event::Event;
use crate::event::reason::command_end::NotAgreed;
use crate::event::reason::command_fault::Misuse;
use crate::event::stream::{Events, Follower};
use crate::inventory::model::HostName;
use crate::ui::print_question;

/// How long the lines above the question may take to be on the screen.
const DRAWING: Duration = Duration::from_secs(10);

/// How long an answer may take. No guard waits for it; but a question of yesterday must not hold a fleet.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Before anything is begun.
pub(crate) fn ensure_somebody_can_be_asked() -> Result<(), Trouble> {
    if std::io::stdin().is_terminal() && std::io::stderr().is_terminal() {
        return Ok(());
    }
    Err(Trouble::not_understood(Misuse::AskNeedsTerminal))
}

/// How long a recovery waits for an answer, before it waits for its hosts: guards run out meanwhile.
const SHORT_PATIENCE: Duration = Duration::from_secs(60);

/// Asks whether a push is to go on.
///
/// # Errors
/// Why not.
pub(crate) async fn ask_whether_to_go_on(events: Events, screen: Follower, question: String) -> Result<(), NotAgreed> {
    let agreed = ask_here(events, screen, question, PATIENCE).await?;
    if agreed { Ok(()) } else { Err(NotAgreed::AnswerWasNo) }
}

/// Asks whether a recovery is to end its run without these hosts; no answer means no.
pub(crate) async fn ask_whether_to_end_without(
    events: Events,
    screen: Follower,
    silent: impl IntoIterator<Item = &HostName>,
    wait: Duration,
) -> bool {
    let silent: Vec<&str> = silent.into_iter().map(HostName::as_str).collect();
    ask_here(events, screen, end_without(&silent, wait), SHORT_PATIENCE).await.unwrap_or(false)
}

fn end_without(silent: &[&str], wait: Duration) -> String {
    let (do_not, are, they, of_them) = match silent {
        [_] => ("does not", "is", "it", "it"),
        _ => ("do not", "are", "they", "them"),
    };
    let wait = Duration::from_secs(wait.as_secs() + u64::from(wait.subsec_nanos() > 0));
    let wait = if wait.is_zero() {
        format!("no guard can be armed on {of_them} any more")
    } else {
        format!("that waits for up to {}, until no guard can be armed on {of_them}", humantime::format_duration(wait))
    };
    format!(
        "{} {do_not} answer, and {are} waited for if {they} may come back: end the run without {of_them}, as by \
         --without {} ({wait})? [y/N, within {} s]",
        silent.join(", "),
        silent.join(","),
        SHORT_PATIENCE.as_secs()
    )
}

/// How long what is asked may take.
#[derive(Debug, Clone, Copy)]
struct Waits {
    drawing: Duration,
    patience: Duration,
}

async fn ask_here(events: Events, screen: Follower, question: String, patience: Duration) -> Result<bool, NotAgreed> {
    let read = || {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map(|_| line)
    };
    ask(events, screen, question, Waits { drawing: DRAWING, patience }, print_question, read).await
}

/// Asks once, and takes any answer. Nothing else is drawn meanwhile.
///
/// # Errors
/// Why there is no answer.
async fn ask(
    events: Events,
    screen: Follower,
    question: String,
    Waits { drawing, patience }: Waits,
    print: impl FnOnce(&str) -> io::Result<()>,
    read: impl FnOnce() -> io::Result<String> + Send + 'static,
) -> Result<bool, NotAgreed> {
    events.publish(Event::Asked { question: question.clone() });
    let drawn = tokio::task::spawn_blocking(move || screen.has_heard_all(drawing)).await;
    if !drawn.unwrap_or(false) {
        return Err(NotAgreed::TerminalStuck);
    }
    print(&question).map_err(|error| NotAgreed::QuestionNotAsked { said: error.to_string() })?;
    let (answer, answered) = oneshot::channel();
    // A thread of its own reads the terminal. Only an answer or the end of this process can end it.
    std::thread::spawn(move || {
        // The receiver is gone if a signal came first.
        let _ = answer.send(read());
    });
    let said = tokio::time::timeout(patience, answered).await;
    let yes = matches!(&said, Ok(Ok(Ok(line))) if is_yes(line));
    events.publish(Event::Replied { yes });
    match said {
        Ok(Ok(Ok(_))) => Ok(yes),
        Ok(_) => Err(NotAgreed::ReplyNotRead),
        Err(_) => Err(NotAgreed::NobodyReplied { waited: patience }),
    }
}

fn is_yes(line: &str) -> bool {
    matches!(line.trim().to_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::line::Line;
    use crate::event::stream::ListenerEnd;

    #[test]
    fn whoever_is_asked_hears_how_long_the_end_without_hosts_waits() {
        assert_eq!(
            end_without(&["nas"], Duration::from_millis(558_200)),
            "nas does not answer, and is waited for if it may come back: end the run without it, as by --without nas \
             (that waits for up to 9m 19s, until no guard can be armed on it)? [y/N, within 60 s]"
        );
        assert_eq!(
            end_without(&["nas", "vps"], Duration::ZERO),
            "nas, vps do not answer, and are waited for if they may come back: end the run without them, as by \
             --without nas,vps (no guard can be armed on them any more)? [y/N, within 60 s]"
        );
    }

    /// Asks on this terminal, and says what came of it; with a screen that is held up if `stuck`.
    async fn asked(
        stuck: bool,
        print: fn(&str) -> io::Result<()>,
        read: fn() -> io::Result<String>,
    ) -> Result<bool, &'static str> {
        let events = Events::new(None);
        // The screen goes on as soon as this is dropped.
        let (hold, released) = std::sync::mpsc::channel::<()>();
        let screen = events
            .listen("screen", move |line: &Line| {
                if stuck && matches!(line.event, Event::Asked { .. }) {
                    let _ = released.recv();
                }
                Ok(())
            })
            .unwrap();
        let waits = Waits {
            drawing: if stuck { Duration::from_millis(20) } else { DRAWING },
            patience: Duration::from_millis(200),
        };
        let said = ask(events, screen.follower(), "push lab now? [y/N]".into(), waits, print, read).await;
        drop(hold);
        assert!(matches!(screen.finish(DRAWING), ListenerEnd::Complete));
        said.map_err(|why| {
            crate::codes::keep_judged([why.clone()]);
            (&why).into()
        })
    }

    #[tokio::test]
    async fn nothing_but_an_answer_in_time_lets_a_push_go_on() {
        let never = || -> io::Result<String> {
            loop {
                std::thread::park();
            }
        };
        assert_eq!(asked(false, |_| Ok(()), || Ok("y\n".into())).await, Ok(true));
        assert_eq!(asked(false, |_| Ok(()), || Ok("n\n".into())).await, Ok(false));
        assert_eq!(asked(false, |_| Ok(()), never).await, Err("nobody-replied"));
        // What was typed is no text.
        let unread = || -> io::Result<String> { Err(io::ErrorKind::InvalidData.into()) };
        assert_eq!(asked(false, |_| Ok(()), unread).await, Err("reply-not-read"));
        // The terminal was closed, or takes nothing: a yes that is there already is no answer to what nobody has seen.
        let closed = |_: &str| -> io::Result<()> { Err(io::ErrorKind::BrokenPipe.into()) };
        assert_eq!(asked(false, closed, || Ok("y\n".into())).await, Err("question-not-asked"));
        assert_eq!(asked(true, |_| Ok(()), || Ok("y\n".into())).await, Err("terminal-stuck"));
    }

    #[test]
    fn only_a_plain_yes_is_one() {
        for yes in ["y\n", "Yes\n", " y "] {
            assert!(is_yes(yes), "{yes:?}");
        }
        for no in ["", "\n", "n\n", "yy\n", "yes please\n", "j\n"] {
            assert!(!is_yes(no), "{no:?}");
        }
    }
}
