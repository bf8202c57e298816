//! The subcommands: wiring only. Each reads its command line, gets its parts together and lets the engine work.

mod build;
mod check;
mod command_line;
mod completions;
mod diff;
mod doctor;
mod exec;
mod guard;
mod import;
mod inventory;
mod logs;
mod man;
mod plan;
mod push;
mod reboot;
mod recover;
mod replay;
mod report;
mod rollback;
mod runs;
mod shared;
mod show;
mod status;

use std::error::Error;
use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::CommandFactory;

pub use self::command_line::Cli;

use self::command_line::CliCommand;
use self::inventory::InventoryCommand;
use crate::event::Event;
use crate::event::reason::any::AnyReason;
use crate::event::reason::command_fault::{Misuse, WorkstationFault};
use crate::event::reason::record_fault::RecordFault;
use crate::event::stream::Events;
use crate::exit::{self, Ending};
use crate::inventory::LoadError;
use crate::local::{limits, process};
use crate::record::RecordError;
use crate::ui::mode::{Mode, Terminal, choose, choose_colour};
use crate::ui::{Screen, ScreenEnd, annotations, errors, print_to_runner};

/// What completion and manual pages are made from.
fn whole_command_line() -> clap::Command {
    Cli::command()
}

/// How long the last lines may take to reach the screen.
const FAREWELL: Duration = Duration::from_secs(5);

/// A command that ended before it had an answer: what was wrong, how to mend it, and how that ends the program.
#[derive(Debug)]
struct Trouble {
    reason: AnyReason,
    /// The reason as a person sees it: with each of its causes on a line.
    error: Box<dyn Error>,
    ending: Ending,
}

impl Trouble {
    /// Usage, inventory, a password that cannot be asked for.
    fn not_understood(reason: impl Into<AnyReason>) -> Self {
        Self::new(reason.into(), Ending::NotUnderstood)
    }

    /// Something of this workstation is missing or taken: nothing was begun.
    fn not_begun(reason: impl Into<AnyReason>) -> Self {
        Self::new(reason.into(), Ending::NotBegun)
    }

    fn new(reason: AnyReason, ending: Ending) -> Self {
        Self { error: Box::new(reason.clone()), reason, ending }
    }

    /// Shows a person this error, which the reason was made from.
    fn shown_as(self, error: impl Into<Box<dyn Error>>) -> Self {
        Self { error: error.into(), ..self }
    }

    /// What a person can do about it. If no file can be opened any more, it is about that, whatever the file was for.
    fn hint(&self) -> Option<String> {
        limits::reached(self.error.as_ref()).map(|limit| limit.to_string()).or_else(|| self.reason.mend())
    }

    /// As a recovery ends that did not begin: nobody was seen, and what is unfinished is as it was.
    fn in_doubt(self) -> Self {
        let ending = if self.ending == Ending::NotBegun { Ending::InDoubt } else { self.ending };
        Self { ending, ..self }
    }

    /// What any command needs of the operating system.
    fn not_served(error: io::Error) -> Self {
        Self::not_begun(WorkstationFault::ProgramNotServed { said: error.to_string() }).shown_as(error)
    }

    /// A command that changes a host does not begin without its record.
    fn no_record(error: RecordError) -> Self {
        let cause = RecordFault::from(&error);
        let reason = match cause {
            // Another place would only hide the run that is to be ended.
            RecordFault::RecordOfNewerVersion { .. } => cause.into(),
            cause => AnyReason::from(WorkstationFault::NothingWithoutRecord { cause }),
        };
        Self::not_begun(reason).shown_as(error)
    }

    fn no_folder(error: &io::Error) -> Self {
        Self::not_begun(WorkstationFault::NoTemporaryFolder { said: error.to_string() })
    }

    fn no_working_folder(error: &io::Error) -> Self {
        Self::not_understood(Misuse::FolderUnknown { said: error.to_string() })
    }

    fn no_stdout(error: &io::Error) -> Self {
        Self::not_begun(WorkstationFault::StdoutUnwritable { said: error.to_string() })
    }
}

type CommandResult = Result<Ending, Trouble>;

/// Runs the program: `words` is its command line, its own name first.
pub fn main(words: impl IntoIterator<Item = OsString>) -> ExitCode {
    let words: Vec<OsString> = words.into_iter().collect();
    if let Some(exit) = completions::answer(&words) {
        return exit;
    }
    limits::raise_open_files();
    let cli = match Cli::read(words) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to stdout with status 0, mistakes to stderr with 2. Nothing to do if that fails.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let flags = cli.global.screen_flags();
    let terminal = Terminal::look(std::io::stderr().is_terminal(), |name| std::env::var(name).ok());
    let mode = choose(flags, terminal);
    let global = &cli.global;
    let ended = match &cli.command {
        CliCommand::Push(arguments) => block_on(push::run(global, mode, arguments)),
        CliCommand::Plan(arguments) => block_on(plan::run(global, mode, arguments)),
        CliCommand::Diff(arguments) => block_on(diff::run(global, mode, arguments)),
        CliCommand::Rollback(arguments) => block_on(rollback::run(global, mode, arguments)),
        CliCommand::Recover(arguments) => block_on(recover::run(global, mode, arguments)),
        CliCommand::Build(arguments) => block_on(build::run(global, mode, arguments)),
        CliCommand::Check(arguments) => block_on(check::run(global, mode, arguments)),
        CliCommand::Exec(arguments) => block_on(exec::run(global, mode, arguments)),
        CliCommand::Doctor(arguments) => block_on(doctor::run(global, mode, arguments)),
        CliCommand::Status(arguments) => block_on(status::run(global, mode, arguments)),
        CliCommand::Guard(arguments) => block_on(guard::run(global, mode, &arguments.command)),
        CliCommand::Reboot(arguments) => block_on(reboot::run(global, mode, arguments)),
        CliCommand::Inventory(arguments) => match &arguments.command {
            InventoryCommand::Check => inventory::check(global, mode),
            InventoryCommand::List(arguments) => inventory::list(global, mode, arguments),
            InventoryCommand::Graph(arguments) => inventory::graph(global, mode, arguments),
            InventoryCommand::Schema => inventory::schema(),
            InventoryCommand::Import(arguments) => block_on(import::run(mode, arguments)),
        },
        CliCommand::Runs(arguments) => runs::run(global, mode, arguments),
        CliCommand::Show(arguments) => show::run(global, mode, arguments),
        CliCommand::Logs(arguments) => logs::run(global, mode, arguments),
        CliCommand::Replay(arguments) => block_on(replay::run(mode, arguments)),
        CliCommand::Completions(arguments) => completions::script(arguments),
        CliCommand::Man(arguments) => man::run(arguments),
    };
    let ending = ended.unwrap_or_else(|trouble| {
        if mode == Mode::Json {
            // A program need not read the sentences of a bad inventory.
            let mistakes =
                trouble.error.downcast_ref().and_then(LoadError::answer).map(|answer| Event::Answer { answer });
            let failed = Event::Failed { host: None, text: trouble.reason.clone(), hint: trouble.hint() };
            // It does not matter whether it can be written: stderr says it as well.
            let _ = tell(mistakes.into_iter().chain([failed]), trouble.ending);
        }
        let mistaken = trouble.error.downcast_ref().filter(|_| annotations::are_read());
        if let Some(LoadError::Mistakes(mistakes)) = mistaken {
            let workspace = std::env::var_os("GITHUB_WORKSPACE").map(PathBuf::from);
            print_to_runner(&annotations::of_mistakes(&mistakes.problems, workspace.as_deref()));
        }
        let colour = choose_colour(flags.colour, terminal);
        errors::print_to_stderr(trouble.error.as_ref(), trouble.hint().as_deref(), colour);
        trouble.ending
    });
    ExitCode::from(exit::status(ending))
}

/// The events of a command that has no others, and its end, as JSON lines.
fn tell(told: impl IntoIterator<Item = Event>, ending: Ending) -> Result<(), Trouble> {
    let events = Events::new(None);
    let screen = Screen::start(Mode::Json, &events).map_err(Trouble::not_served)?;
    told.into_iter().for_each(|event| events.publish(event));
    events.publish(Event::Ended { exit: i32::from(exit::status(ending)) });
    match screen.finish(FAREWELL) {
        ScreenEnd::Failed(error) => Err(Trouble::not_served(error)),
        ScreenEnd::Complete | ScreenEnd::Stuck => Ok(()),
    }
}

/// Runs a command to its end, and to the end of the children that it has told to end.
fn block_on(command: impl Future<Output = CommandResult>) -> CommandResult {
    runtime()?.block_on(async {
        let ended = command.await;
        process::let_children_end().await;
        ended
    })
}

/// Closes the screen. With `--json` its last lines are the answer of a query, so the person must hear if they went
/// nowhere.
fn farewell(screen: Screen, mode: Mode) -> Result<(), Trouble> {
    match screen.finish(FAREWELL) {
        ScreenEnd::Failed(error) if mode == Mode::Json => Err(Trouble::no_stdout(&error)),
        _ => Ok(()),
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Trouble> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(Trouble::not_served)
}
