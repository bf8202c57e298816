//! `exec`: runs a command on every selected host.

use std::cell::RefCell;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use futures::StreamExt;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::shared::conclusion::millis;
use super::shared::fleet_context::FleetContext;
use super::shared::history::colour;
use super::{CommandResult, FAREWELL, Trouble, farewell};
use crate::commands::shared::fleet_hosts::FleetHostsArgs;
use crate::commands::shared::global::GlobalArgs;
use crate::decide::exec::{Came, Channel, ExecEnd, Printed, fold};
use crate::engine::exec::{ExecRequest, exec};
use crate::engine::shutdown::Shutdown;
use crate::event::Event;
use crate::event::reason::command::CommandNote;
use crate::event::stream::Events;
use crate::exit::{Ending, status};
use crate::inventory::model::{Become, HostName};
use crate::inventory::{Overrides, duration};
use crate::ui::mode::Mode;
use crate::ui::printer::Printer;
use crate::ui::{Screen, exec, print_note};

/// Run a command on the hosts of a fleet, side by side
///
/// The words after `--` are the command: they arrive on every host exactly as they were typed, and no shell there reads
/// them. For a pipe or a variable of the host begin with a shell: `-- sh -c '...'`. The command reads nothing. When its
/// time is over, or you press Ctrl-C, it is ended on the hosts too. Its output is shown host by host in the inventory's
/// order: `|` stands before a line of stdout, `!` before one of stderr.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "\
Examples:
  fleetdeploy exec homelab -- uptime
  fleetdeploy exec homelab --on '@edge' --sudo -- systemctl restart nginx.service
  fleetdeploy exec homelab --fold -- uname -r                        equal answers once
  fleetdeploy exec homelab --stream --timeout 1h -- journalctl -f    line by line, Ctrl-C ends it
  fleetdeploy exec homelab -- sh -c 'df -h / | tail -n 1'            with a shell of the host

Exit status:
  0  it ended with 0 on every host
  1  it failed on a host, or a host does not answer
  2  usage or inventory
  130, 143, 129  interrupted")]
pub struct ExecArgs {
    #[command(flatten)]
    pub fleet: FleetHostsArgs,
    /// Run it as root, the way the inventory's `become` says; else as the user that logs in
    #[arg(long)]
    pub sudo: bool,
    /// Show equal answers once, with the hosts that gave them
    #[arg(long)]
    pub fold: bool,
    /// Show each line as it comes, with its host in front
    #[arg(long, conflicts_with = "fold")]
    pub stream: bool,
    /// How long the command may run on a host
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "5m")]
    pub timeout: Duration,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    pub words: Vec<OsString>,
}

pub(super) async fn run(global: &GlobalArgs, mode: Mode, arguments: &ExecArgs) -> CommandResult {
    let mut context = FleetContext::prepare(global, &arguments.fleet, &Overrides::default())?;
    context.only_selected();
    if !arguments.sudo {
        // Without `--sudo` the command does not become root, so no password is asked for.
        context.fleet.hosts.iter_mut().for_each(|host| host.becoming = Become::No);
    }
    let mut shutdown = Shutdown::listen().map_err(Trouble::not_served)?;
    let workspace = context.workspace(&mut shutdown).await?;
    let events = Events::new(None);
    let (drawn, shown) = choose(mode, arguments.stream, arguments.fold, std::io::stdout().is_terminal());
    let screen = Screen::start(drawn, &events).map_err(Trouble::not_served)?;
    context.begin_query("exec", &events);

    let reach = context.reach(Arc::clone(&workspace), &events);
    let order = ExecRequest { words: arguments.words.clone(), as_root: arguments.sudo, limit: arguments.timeout };
    let (stop, stopped) = watch::channel(false);
    let stop = Arc::new(stop);
    let nobody_reads = Arc::clone(&stop);
    let printer = Printer::start(move || _ = nobody_reads.send(true)).map_err(Trouble::not_served)?;
    let names = context.fleet.hosts.iter().map(|host| &host.name);
    let lines = RefCell::new(exec::ExecLines::new(names, colour(global)));
    let on_piece = |host: &HostName, channel: Channel, bytes: &[u8]| {
        if shown == Shown::AsItComes {
            printer.print(lines.borrow_mut().take(host, channel, bytes));
        }
    };
    let mut answers = Vec::new();
    let mut interrupted = None;
    let mut at_once = false;
    {
        let mut asking = std::pin::pin!(exec(&reach, &context.fleet.hosts, &order, &events, &stopped, &on_piece));
        loop {
            let (host, came) = tokio::select! {
                next = asking.next() => match next {
                    Some(answer) => answer,
                    None => break,
                },
                signal = shutdown.requested() => {
                    at_once = interrupted.is_some();
                    if at_once {
                        break;
                    }
                    interrupted = Some(signal);
                    events.publish(Event::warned(None, CommandNote::CommandEnding { signal: signal.to_string() }));
                    // The listener lives as long as this.
                    let _ = stop.send(true);
                    continue;
                }
            };
            match shown {
                Shown::AsItComes => printer.print(lines.borrow_mut().end(&host, &came)),
                Shown::GroupByGroup => printer.print(exec::group(&[&host], &came, colour(global))),
                Shown::AtTheEnd | Shown::Never => {}
            }
            answers.push((host, came));
        }
    }
    let ending = match interrupted {
        Some(signal) => Ending::QueryInterrupted(signal),
        None => Ending::Answered { yes: answers.iter().all(|(_, came)| came.is_good()) },
    };
    if !at_once {
        events.publish(Event::Answer { answer: answer(&order, &answers) });
    }
    // The end of a master ends the commands that are still there: their input ends.
    reach.close().await;
    events.publish(Event::Ended { exit: i32::from(status(ending)) });
    farewell(screen, mode)?;
    if shown == Shown::AtTheEnd {
        let groups = if arguments.fold {
            fold(&answers)
        } else {
            answers.iter().map(|(host, came)| (vec![host], came)).collect()
        };
        for (hosts, came) in groups {
            printer.print(exec::group(&hosts, came, colour(global)));
        }
    }
    let left_out = printer.finish(FAREWELL).map_err(|error| Trouble::no_stdout(&error))?;
    if mode != Mode::Json && !(at_once || global.quiet && ending == (Ending::Answered { yes: true })) {
        print_note(&exec::summary(&answers));
        if left_out > 0 {
            print_note("stdout was too slow: not all lines were shown\n");
        }
    }
    Ok(ending)
}

/// The moment at which the output of the hosts is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    /// Line by line.
    AsItComes,
    /// Each host's group, as soon as it is its turn.
    GroupByGroup,
    AtTheEnd,
    /// It is all in the answer's event.
    Never,
}

/// Live rows and an answer that comes bit by bit cannot share one terminal.
fn choose(mode: Mode, stream: bool, fold: bool, stdout_is_terminal: bool) -> (Mode, Shown) {
    match mode {
        Mode::Json => (mode, Shown::Never),
        Mode::Live { colour, .. } if stream && stdout_is_terminal => (Mode::Quiet { colour }, Shown::AsItComes),
        _ if stream => (mode, Shown::AsItComes),
        Mode::Live { .. } if stdout_is_terminal => (mode, Shown::AtTheEnd),
        _ if fold => (mode, Shown::AtTheEnd),
        _ => (mode, Shown::GroupByGroup),
    }
}

fn answer(order: &ExecRequest, answers: &[(HostName, Came)]) -> Value {
    let words: Vec<_> = order.words.iter().map(|word| word.to_string_lossy()).collect();
    let hosts: Vec<Value> = answers.iter().map(|(host, came)| answer_of(host, came)).collect();
    json!({ "command": words, "as_root": order.as_root, "hosts": hosts })
}

fn answer_of(host: &HostName, came: &Came) -> Value {
    match came {
        Came::Unknown { why, hint } => {
            json!({ "host": host, "answered": false, "status": null, "why": why, "hint": hint })
        }
        Came::Ran(ran) => {
            let end = match ran.end {
                ExecEnd::ByItself => "by_itself",
                ExecEnd::TimedOut => "timed_out",
                ExecEnd::Stopped => "stopped",
            };
            let mut answer = json!({
                "host": host,
                "answered": true,
                "status": ran.status,
                "end": end,
                "took_ms": millis(ran.took),
            });
            for (name, printed) in [("stdout", &ran.stdout), ("stderr", &ran.stderr)] {
                add_printed(&mut answer, name, printed);
            }
            answer
        }
    }
}

/// JSON has no bytes: what is no UTF-8 is there twice, as far as it can be read and in full.
fn add_printed(answer: &mut Value, name: &str, printed: &Printed) {
    answer[name] = String::from_utf8_lossy(&printed.bytes).into();
    if std::str::from_utf8(&printed.bytes).is_err() {
        answer[format!("{name}_base64")] = base64(&printed.bytes).into();
    }
    if printed.dropped > 0 {
        answer[format!("{name}_dropped_bytes")] = printed.dropped.into();
    }
}

/// Source: RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0, |bits, byte| bits << 8 | usize::from(*byte)) << (8 * (3 - group.len()));
        for digit in 0..4 {
            text.push(if digit <= group.len() { DIGITS[bits >> (18 - 6 * digit) & 63].into() } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pretty_assertions::assert_eq;

    use super::*;
    use crate::decide::exec::Ran;

    #[test]
    fn rows_and_an_answer_that_comes_bit_by_bit_do_not_share_a_terminal() {
        let live = Mode::Live { colour: true, verbose: false, unicode: true };
        let plain = Mode::Plain { colour: false, verbose: false };
        let quiet = Mode::Quiet { colour: true };
        for (case, expected) in [
            (choose(live, false, false, true), (live, Shown::AtTheEnd)),
            (choose(live, false, false, false), (live, Shown::GroupByGroup)),
            (choose(live, false, true, false), (live, Shown::AtTheEnd)),
            (choose(live, true, false, true), (quiet, Shown::AsItComes)),
            (choose(live, true, false, false), (live, Shown::AsItComes)),
            (choose(plain, false, false, true), (plain, Shown::GroupByGroup)),
            (choose(plain, false, true, true), (plain, Shown::AtTheEnd)),
            (choose(Mode::Json, true, false, false), (Mode::Json, Shown::Never)),
        ] {
            assert_eq!(case, expected);
        }
    }

    #[test]
    fn the_answer_loses_no_byte() {
        let came = Came::Ran(Ran {
            status: 3,
            end: ExecEnd::TimedOut,
            stdout: Printed { bytes: b"\x1b[m\n".to_vec(), dropped: 7 },
            stderr: Printed { bytes: b"\xff".to_vec(), dropped: 0 },
            took: Duration::from_millis(1250),
        });
        let answer = answer_of(&HostName::new("vps").unwrap(), &came);
        let expected = json!({
            "host": "vps", "answered": true, "status": 3, "end": "timed_out", "took_ms": 1250,
            "stdout": "\u{1b}[m\n", "stdout_dropped_bytes": 7, "stderr": "\u{fffd}", "stderr_base64": "/w==",
        });
        assert_eq!(answer, expected);
    }

    #[test]
    fn base64_is_that_of_the_standard() {
        let tried = ["", "f", "fo", "foo", "foob", "fooba", "foobar"].map(|text| base64(text.as_bytes()));
        assert_eq!(tried, ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"]);
    }
}
