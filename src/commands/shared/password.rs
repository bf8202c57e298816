//! Asks the one question of a command that works on hosts: the sudo password. A signal ends it.

use std::collections::BTreeMap;
use std::io::{Error, ErrorKind, IsTerminal};
use std::time::Duration;

use ::nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::commands::Trouble;
use crate::decide::vocabulary::Signal;
use crate::engine::shutdown::Shutdown;
use crate::event::reason::command_fault::Misuse;
use crate::exit::Ending;
use crate::inventory::model::{Become, Host, HostName};
use crate::remote::Password;

/// Asks for the sudo password if any host needs one: once, now, and never again.
pub(crate) async fn passwords(
    hosts: &[Host],
    shutdown: &mut Shutdown,
) -> Result<BTreeMap<HostName, Password>, Trouble> {
    let in_need = hosts.iter().filter(|host| host.becoming == Become::SudoPassword);
    let in_need: Vec<&HostName> = in_need.map(|host| &host.name).collect();
    if in_need.is_empty() {
        return Ok(BTreeMap::new());
    }
    if !std::io::stdin().is_terminal() {
        let hosts = in_need.into_iter().cloned().collect();
        return Err(Trouble::not_understood(Misuse::PasswordNeedsTerminal { hosts }));
    }
    let names: Vec<&str> = in_need.iter().map(|name| name.as_str()).collect();
    let names = names.join(", ");
    let password = ask(format!("sudo password for {names}: "), shutdown).await?;
    Ok(in_need.into_iter().map(|name| (name.clone(), password.clone())).collect())
}

/// Reads the terminal in a thread of its own, which only an answer or the end of this process can end. So the changes
/// that it has made to the terminal are undone here.
async fn ask(question: String, shutdown: &mut Shutdown) -> Result<Password, Trouble> {
    let before = tcgetattr(std::io::stdin()).map_err(|error| unanswered(&error.into()))?;
    let (answer, answered) = oneshot::channel();
    std::thread::spawn(move || {
        // The receiver is gone if a signal came first.
        let _ = answer.send(rpassword::prompt_password(question));
    });
    tokio::select! {
        asked = answered => {
            // The thread ends without an answer only if it panics.
            let typed = asked.unwrap_or_else(|error| Err(Error::other(error)));
            typed.and_then(one_line).map_err(|error| unanswered(&error))
        }
        signal = shutdown.requested() => {
            give_back(&before).await;
            Err(interrupted(signal))
        }
    }
}

/// What reads the terminal leaves control characters out, and a password must not rest on that.
fn one_line(typed: String) -> Result<Password, Error> {
    Password::new(typed).ok_or_else(|| ErrorKind::InvalidData.into())
}

/// How long the thread may take from its question to its settings of the terminal; a loaded machine keeps that.
const SETTINGS_LIMIT: Duration = Duration::from_secs(2);

/// Sets the terminal to what it was, once the thread has set it: a signal can come between the question and that, and
/// what is set after our settings would stay. Nothing but the terminal tells when that is.
async fn give_back(before: &Termios) {
    let deadline = Instant::now() + SETTINGS_LIMIT;
    let is_set = || tcgetattr(std::io::stdin()).map_or(true, |now| now.local_flags != before.local_flags);
    while !is_set() && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // A terminal that was closed takes no settings, and needs none.
    let _ = tcsetattr(std::io::stdin(), SetArg::TCSANOW, before);
}

/// Handles a question without an answer. The terminal is read raw: Ctrl-C is a letter there, and no signal.
fn unanswered(error: &Error) -> Trouble {
    match error.kind() {
        ErrorKind::Interrupted => interrupted(Signal::Sigint),
        _ => Trouble::not_understood(Misuse::PasswordNotAsked { said: error.to_string() }),
    }
}

fn interrupted(signal: Signal) -> Trouble {
    Trouble::new(Misuse::InterruptedAtPassword { signal }.into(), Ending::QueryInterrupted(signal))
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn ctrl_c_at_the_question_for_the_password_is_an_interrupt() {
        assert_eq!(unanswered(&Error::from(ErrorKind::Interrupted)).ending, Ending::QueryInterrupted(Signal::Sigint));
        assert_eq!(unanswered(&Error::from(ErrorKind::UnexpectedEof)).ending, Ending::NotUnderstood);
    }
}
