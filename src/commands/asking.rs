//! The one question, of `--ask`: whether to go on. A signal ends it.

use std::io::IsTerminal;
use std::time::Duration;

use tokio::sync::oneshot;

use super::Trouble;
use crate::event::Event;
use crate::event::stream::{Events, Follower};
use crate::ui::print_question;

/// How long what stands above the question may take to be on the screen.
const DRAWING: Duration = Duration::from_secs(10);

/// How long an answer may take. No guard waits for it; a fleet that is held by a question of yesterday is in the way.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Before anything is begun.
pub(super) fn ensure_somebody_can_be_asked() -> Result<(), Trouble> {
    if std::io::stdin().is_terminal() && std::io::stderr().is_terminal() {
        return Ok(());
    }
    let hint = "look with --dry-run first, and then go without --ask: it is guarded all the same";
    Err(Trouble::not_understood("--ask needs a terminal to ask on", Some(hint.to_owned())))
}

/// Asks once, and is through with any answer. Nothing else is drawn meanwhile.
///
/// # Errors
/// Why not, in words.
pub(super) async fn ask_whether_to_go_on(events: Events, screen: Follower, question: String) -> Result<(), String> {
    events.publish(Event::Asked { question: question.clone() });
    let drawn = tokio::task::spawn_blocking(move || screen.has_heard_all(DRAWING)).await;
    if !drawn.unwrap_or(false) {
        return Err("not begun: the terminal takes nothing, so nothing could be asked".to_owned());
    }
    print_question(&question).map_err(|error| format!("not begun: nothing could be asked: {error}"))?;
    let (answer, answered) = oneshot::channel();
    // The terminal is read by a thread of its own, which nothing can end but an answer or the end of this process.
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = std::io::stdin().read_line(&mut line);
        // Nobody listens any more when a signal came first.
        let _ = answer.send(read.map(|_| line));
    });
    let said = tokio::time::timeout(PATIENCE, answered).await;
    let yes = matches!(&said, Ok(Ok(Ok(line))) if is_yes(line));
    events.publish(Event::Replied { yes });
    match said {
        _ if yes => Ok(()),
        Ok(Ok(Ok(_))) => Err("not begun: the answer was no".to_owned()),
        Ok(_) => Err("not begun: the answer could not be read".to_owned()),
        Err(_) => Err("not begun: nobody has answered for an hour".to_owned()),
    }
}

fn is_yes(line: &str) -> bool {
    matches!(line.trim().to_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

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
