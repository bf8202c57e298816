//! The command line as a whole. Each command's own arguments are in its file. Usage errors exit with 2.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, Parser, Subcommand};

use crate::commands::build::BuildArgs;
use crate::commands::check::CheckArgs;
use crate::commands::completions::CompletionsArgs;
use crate::commands::diff::DiffArgs;
use crate::commands::doctor::DoctorArgs;
use crate::commands::exec::ExecArgs;
use crate::commands::guard::GuardArgs;
use crate::commands::inventory::InventoryArgs;
use crate::commands::logs::LogsArgs;
use crate::commands::man::ManArgs;
use crate::commands::plan::PlanArgs;
use crate::commands::push::PushArgs;
use crate::commands::reboot::RebootArgs;
use crate::commands::recover::RecoverArgs;
use crate::commands::replay::ReplayArgs;
use crate::commands::rollback::RollbackArgs;
use crate::commands::runs::RunsArgs;
use crate::commands::shared::global::GlobalArgs;
use crate::commands::show::ShowArgs;
use crate::commands::status::StatusArgs;

/// Pushes NixOS systems to a fleet as one guarded transaction
///
/// Either every host ends on its new system with the network between the hosts proven, or every host is back on its
/// old one, also when this workstation, a host or a link dies in the middle.
#[derive(Debug, Clone, PartialEq, Eq, Parser)]
#[command(name = "fleetdeploy", version, max_term_width = 100, arg_required_else_help = true)]
#[command(after_help = "\
Example:
  fleetdeploy inventory check     is the inventory right?
  fleetdeploy check homelab       are all links of the fleet up?
  fleetdeploy doctor homelab      would anything stop a push?
  fleetdeploy push homelab        build, test, prove the network, make permanent
  fleetdeploy status              what does every host run and need?
  fleetdeploy show                what did the last push do?")]
pub struct Cli {
    #[command(flatten)]
    pub global: GlobalArgs,
    #[command(subcommand)]
    pub command: CliCommand,
}

impl Cli {
    /// Reads a command line, the program's name first.
    ///
    /// # Errors
    /// Usage errors, and help and version when they were asked for in so many words: `push -homelab` is `-h` with
    /// more letters to clap, and help ends with 0, which a script would take for a push that committed.
    pub fn read(words: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let words: Vec<OsString> = words.into_iter().collect();
        Self::try_parse_from(&words).map_err(|mut error| {
            correct_suggestions(&mut error, &words);
            let asked = |forms: &[&str]| words.iter().skip(1).any(|word| forms.iter().any(|form| word == form));
            let meant = match error.kind() {
                ErrorKind::DisplayHelp => asked(&["-h", "--help", "help"]),
                ErrorKind::DisplayVersion => asked(&["-V", "--version"]),
                _ => true,
            };
            if meant {
                error
            } else {
                let text = "a word begins with the letter of an option and is none; a name cannot begin with `-`";
                Self::command().error(ErrorKind::UnknownArgument, text)
            }
        })
    }
}

/// What other tools call a push.
const PUSH_ELSEWHERE: [&str; 5] = ["apply", "deploy", "rebuild", "switch", "up"];

/// Suggests no hidden command, but what is meant where clap cannot know it.
fn correct_suggestions(error: &mut clap::Error, words: &[OsString]) {
    let Some(ContextValue::String(wrong)) =
        error.get(ContextKind::InvalidSubcommand).or_else(|| error.get(ContextKind::InvalidArg)).cloned()
    else {
        return;
    };
    match error.kind() {
        ErrorKind::InvalidSubcommand => {
            if PUSH_ELSEWHERE.contains(&wrong.as_str()) {
                error.insert(ContextKind::SuggestedSubcommand, ContextValue::Strings(vec!["push".to_owned()]));
            } else if let Some(ContextValue::Strings(near)) = error.get(ContextKind::SuggestedSubcommand).cloned() {
                let command = Cli::command();
                let is_shown = |name: &String| command.find_subcommand(name).is_some_and(|found| !found.is_hide_set());
                let shown: Vec<String> = near.into_iter().filter(is_shown).collect();
                error.remove(ContextKind::SuggestedSubcommand);
                if !shown.is_empty() {
                    error.insert(ContextKind::SuggestedSubcommand, ContextValue::Strings(shown));
                }
            }
        }
        // Words that are not behind `--` are not taken: an option among them could be meant for fleetdeploy.
        ErrorKind::UnknownArgument
            if is_exec(error) && !wrong.starts_with('-') && !words.iter().any(|word| word == "--") =>
        {
            let text = "put `--` before the command: fleetdeploy exec FLEET -- COMMAND";
            error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![text.into()]));
        }
        _ => {}
    }
}

/// Whether it is about `exec`: another word of the command line may be a fleet of that name.
fn is_exec(error: &clap::Error) -> bool {
    error.get(ContextKind::Usage).is_some_and(|usage| usage.to_string().contains("fleetdeploy exec "))
}

#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum CliCommand {
    Push(PushArgs),
    Plan(PlanArgs),
    Diff(DiffArgs),
    Rollback(RollbackArgs),
    Recover(RecoverArgs),
    Build(BuildArgs),
    Check(CheckArgs),
    Status(StatusArgs),
    Exec(ExecArgs),
    Doctor(DoctorArgs),
    Guard(GuardArgs),
    Reboot(RebootArgs),
    Inventory(InventoryArgs),
    Runs(RunsArgs),
    Show(ShowArgs),
    Logs(LogsArgs),
    Replay(ReplayArgs),
    Completions(CompletionsArgs),
    Man(ManArgs),
}

#[cfg(test)]
mod tests;
