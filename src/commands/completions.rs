//! Completes words in bash, zsh and fish: the script that `completions` prints asks this program at every TAB.
//!
//! Words are completed from the inventory and from the record, which are only read. An error gives no candidate and
//! prints no word, because a person is typing.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate, complete};
use clap_complete::env::{EnvCompleter, Fish, Zsh};

use super::shared::fleet_context::load;
use super::{CommandResult, Trouble, whole_command_line};
use crate::commands::shared::global::GlobalArgs;
use crate::exit::Ending;
use crate::inventory::{FAILED, Inventory, union};
use crate::record::folder::StateFolder;
use crate::record::name::{LAST, LAST_FAILED};
use crate::ui::print_answer;

/// Print the script that makes a shell complete commands, fleets, hosts and runs
///
/// Fleets and hosts come from the inventory that a command would read, runs from the record.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "\
Examples:
  source <(fleetdeploy completions bash)      in ~/.bashrc
  source <(fleetdeploy completions zsh)       in ~/.zshrc, below compinit
  fleetdeploy completions fish | source       in ~/.config/fish/config.fish")]
pub struct CompletionsArgs {
    #[arg(value_enum, value_name = "SHELL")]
    pub shell: Shell,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// In the environment of a call by a shell; its value is the shell's name.
const VARIABLE: &str = "FLEETDEPLOY_COMPLETE";
const NAME: &str = "fleetdeploy";

/// For bash. The library's own script is not used: bash parts a word at `@`, `=` and `:`, so that `@edge` and
/// `--on=vps` would never be completed. Here the program gets the line up to the cursor, and the piece that bash will
/// replace.
const BASH: &str = r#"_fleetdeploy() {
    local IFS=$'\n'
    compopt +o nospace 2>/dev/null
    COMPREPLY=($(VARIABLE=bash PROGRAM -- "$2" "${COMP_LINE:0:COMP_POINT}" 2>/dev/null))
    if [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *[=/] ]]; then
        compopt -o nospace 2>/dev/null
    fi
}
complete -o nosort -F _fleetdeploy fleetdeploy 2>/dev/null || complete -F _fleetdeploy fleetdeploy
"#;

/// `completions`: the script for a shell.
pub(super) fn script(arguments: &CompletionsArgs) -> CommandResult {
    let program = program(&std::env::args_os().next().unwrap_or_else(|| NAME.into()));
    let mut script = Vec::new();
    let written = match arguments.shell {
        Shell::Bash => script
            .write_all(BASH.replace("VARIABLE", VARIABLE).replace("PROGRAM", &quoted_for_bash(&program)).as_bytes()),
        Shell::Zsh => Zsh.write_registration(VARIABLE, NAME, NAME, &program, &mut script),
        Shell::Fish => Fish.write_registration(VARIABLE, NAME, NAME, &program, &mut script),
    };
    written.map_err(|error| Trouble::no_stdout(&error))?;
    print_answer(&String::from_utf8_lossy(&script)).map_err(|error| Trouble::no_stdout(&error))?;
    Ok(Ending::Answered { yes: true })
}

/// Returns the program as the shell is to call it: by its name if it was found in PATH now, else by its whole path.
fn program(called: &OsStr) -> String {
    let path = Path::new(called);
    let path = if path.components().count() > 1 {
        std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
    } else {
        path.to_owned()
    };
    path.to_string_lossy().into_owned()
}

fn quoted_for_bash(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Answers a shell, if it is one that has called.
pub(super) fn answer(words: &[OsString]) -> Option<ExitCode> {
    let shell = std::env::var_os(VARIABLE).filter(|shell| !shell.is_empty())?;
    let words: Vec<OsString> = words.iter().skip_while(|word| *word != "--").skip(1).cloned().collect();
    let here = std::env::current_dir().ok();
    let mut said = Vec::new();
    let answered = match shell.to_str() {
        Some("bash") => match words.as_slice() {
            [piece, line] => in_bash(&piece.to_string_lossy(), &line.to_string_lossy(), here.as_deref(), &mut said),
            _ => return Some(ExitCode::FAILURE),
        },
        Some("zsh") => Zsh.write_complete(&mut command(&words), words, here.as_deref(), &mut said),
        Some("fish") if !words.is_empty() => {
            Fish.write_complete(&mut command(&words), words, here.as_deref(), &mut said)
        }
        _ => return Some(ExitCode::FAILURE),
    };
    // A shell that does not listen any more needs no error.
    let _ = print_answer(&String::from_utf8_lossy(&said));
    Some(if answered.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Writes one candidate on each line, without the part of the last word that stands before `piece`: bash keeps that
/// part.
fn in_bash(piece: &str, line: &str, here: Option<&Path>, said: &mut Vec<u8>) -> std::io::Result<()> {
    let mut words = shell_words(line);
    let word = words.pop().unwrap_or_default();
    let kept = word.len().saturating_sub(piece.len());
    let words: Vec<OsString> = words.into_iter().chain([word]).map(OsString::from).collect();
    let index = words.len().saturating_sub(1);
    for candidate in complete(&mut command(&words), words, index, here)? {
        let candidate = candidate.get_value().to_string_lossy();
        if let Some(rest) = candidate.get(kept..).filter(|rest| !rest.contains('\n')) {
            writeln!(said, "{}", escaped_for_bash(rest))?;
        }
    }
    Ok(())
}

/// Takes the command line before the cursor apart as bash does; the last word may be empty, or still within quotes.
fn shell_words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut characters = line.chars();
    let mut quote = None;
    while let Some(character) = characters.next() {
        let is_empty = words.last().is_some_and(String::is_empty);
        let Some(word) = words.last_mut() else { break };
        match (quote, character) {
            (Some('\''), '\'') | (Some('"'), '"') => quote = None,
            (None, '\'' | '"') => quote = Some(character),
            (None | Some('"'), '\\') => word.extend(characters.next()),
            (None, ' ' | '\t') if is_empty => {}
            (None, ' ' | '\t') => words.push(String::new()),
            _ => word.push(character),
        }
    }
    words
}

/// Names are plain; a path may have anything in it.
fn escaped_for_bash(text: &str) -> String {
    let plain = |letter: &char| letter.is_alphanumeric() || "-_./@=:,+%".contains(*letter);
    text.chars().flat_map(|letter| (!plain(&letter)).then_some('\\').into_iter().chain([letter])).collect()
}

/// The command line with all that its words may be.
fn command(words: &[OsString]) -> clap::Command {
    with_candidates(whole_command_line(), &Arc::new(Typed::read(words)))
}

/// The facts that the words before the cursor tell.
#[derive(Debug, Default)]
struct Typed {
    words: Vec<String>,
    inventory: Option<PathBuf>,
}

impl Typed {
    fn read(words: &[OsString]) -> Self {
        let words: Vec<String> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        let beside = |number: usize, word: &String| match word.as_str() {
            "-i" | "--inventory" => words.get(number + 1).cloned(),
            _ => word.strip_prefix("--inventory=").map(str::to_owned),
        };
        let inventory = words.iter().enumerate().find_map(|(number, word)| beside(number, word));
        // `~` stands there as it was typed: the shell has not expanded it yet.
        let home = |path: String| match (path.strip_prefix("~/"), std::env::var_os("HOME")) {
            (Some(rest), Some(home)) => Path::new(&home).join(rest),
            _ => PathBuf::from(path),
        };
        Self { inventory: inventory.map(home), words }
    }

    fn load(&self) -> Option<Inventory> {
        let global = GlobalArgs { inventory: self.inventory.clone(), ..GlobalArgs::default() };
        load(&global).ok().map(|(inventory, _)| inventory)
    }

    fn fleets(&self) -> Vec<String> {
        self.load().map(|inventory| inventory.fleets.into_keys().collect()).unwrap_or_default()
    }

    /// Returns the hosts of the fleet that is named, else all, with their tags.
    fn hosts(&self) -> (Vec<String>, BTreeSet<String>) {
        let Some(inventory) = self.load() else { return Default::default() };
        let fleet = self.words.iter().skip(1).find_map(|word| inventory.fleets.get(word));
        let hosts = fleet.map_or(&inventory.hosts, |fleet| &fleet.hosts);
        let tags = hosts.iter().flat_map(|host| &host.tags).map(|tag| format!("@{tag}")).collect();
        (hosts.iter().map(|host| host.name.to_string()).collect(), tags)
    }

    /// Newest first.
    fn runs() -> Vec<String> {
        let runs =
            StateFolder::locate(|name| std::env::var_os(name)).and_then(|state| state.list()).unwrap_or_default();
        let runs: Vec<String> = runs.iter().rev().map(ToString::to_string).collect();
        let names = if runs.is_empty() { &[][..] } else { &[LAST, LAST_FAILED] };
        names.iter().map(|name| (*name).to_owned()).chain(runs).collect()
    }

    /// Returns the candidates for a value of this name; `None` if they are not known.
    fn candidates(&self, value: &str, typed: &str) -> Option<Vec<String>> {
        Some(match value {
            "FLEET" => self.fleets(),
            "RUN" => Self::runs(),
            "HOST" => self.hosts().0,
            "HOST,..." => {
                let before = typed.rfind(',').map_or(0, |comma| comma + 1);
                self.hosts().0.into_iter().map(|host| format!("{}{host}", &typed[..before])).collect()
            }
            "PATTERN" => {
                let (hosts, tags) = self.hosts();
                let before = typed.len() - union(typed).last().map_or(0, |last| last.len());
                let words = hosts.into_iter().chain(tags).chain([FAILED.to_owned(), "all".to_owned()]);
                words.map(|word| format!("{}{word}", &typed[..before])).collect()
            }
            _ => return None,
        })
    }
}

/// They are chosen by the name of the value, so that every command has them without code of its own.
fn with_candidates(command: clap::Command, typed: &Arc<Typed>) -> clap::Command {
    let is_option = typed.words.last().is_some_and(|word| word.starts_with('-'));
    let command = command.disable_help_flag(!is_option).disable_version_flag(!is_option).mut_args(|argument| {
        // A person who has typed no dash looks for a fleet, a host or a run. If there is none, options are offered all
        // the same.
        let argument = if is_option || argument.is_positional() { argument } else { argument.hide(true) };
        let name = argument.get_value_names().and_then(|names| names.first()).map(ToString::to_string);
        // If several kinds of values are possible, the first is the one to be completed.
        let name = name.and_then(|name| name.split('|').next().map(str::to_owned));
        let Some(name) = name.filter(|name| ["FLEET", "RUN", "HOST", "HOST,...", "PATTERN"].contains(&name.as_str()))
        else {
            return argument;
        };
        let typed = Arc::clone(typed);
        argument.add(ArgValueCompleter::new(move |word: &OsStr| {
            let Some(word) = word.to_str() else { return Vec::new() };
            let candidates = typed.candidates(&name, word).unwrap_or_default();
            let candidates = candidates.into_iter().filter(|candidate| candidate.starts_with(word));
            let in_order = candidates.enumerate();
            in_order.map(|(number, text)| CompletionCandidate::new(text).display_order(Some(number))).collect()
        }))
    });
    let typed = Arc::clone(typed);
    command.mut_subcommands(move |inner| with_candidates(inner, &typed))
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn a_line_is_parted_as_bash_parts_it() {
        let words = |line: &str| shell_words(line);
        assert_eq!(words("fleetdeploy push  home"), ["fleetdeploy", "push", "home"]);
        assert_eq!(words("fleetdeploy push "), ["fleetdeploy", "push", ""]);
        assert_eq!(words(r#"f 'a b' "c\"d" e\ f "g h"#), ["f", "a b", "c\"d", "e f", "g h"]);
        assert_eq!(words("f --on=@ed"), ["f", "--on=@ed"]);
    }

    #[test]
    fn what_bash_would_take_for_more_than_a_word_is_escaped() {
        assert_eq!(escaped_for_bash("my file$(x).yaml"), r"my\ file\$\(x\).yaml");
        assert_eq!(escaped_for_bash("@edge,web-1"), "@edge,web-1");
        assert_eq!(quoted_for_bash("/it's/here"), r"'/it'\''s/here'");
    }

    #[test]
    fn the_inventory_that_is_named_is_the_one_that_is_read() {
        let named = |line: &str| Typed::read(&shell_words(line).into_iter().map(OsString::from).collect::<Vec<_>>());
        assert_eq!(named("f -i a.yaml push ").inventory, Some("a.yaml".into()));
        assert_eq!(named("f push --inventory=/a b").inventory, Some("/a".into()));
        assert_eq!(named("f push ").inventory, None);
        assert_eq!(named("f -i").inventory, None);
    }

    /// A command's own tests cannot know of these.
    #[test]
    fn no_fleet_and_no_pattern_of_the_command_line_is_without_candidates() {
        fn without(command: &clap::Command, found: &mut Vec<String>) {
            for argument in command.get_arguments() {
                let about_hosts = ["on", "except", "without", "canary", "rename", "fleet"];
                let about_hosts = about_hosts.contains(&argument.get_id().as_str());
                if about_hosts && argument.get::<ArgValueCompleter>().is_none() {
                    found.push(format!("{} {}", command.get_name(), argument.get_id()));
                }
            }
            command.get_subcommands().for_each(|inner| without(inner, found));
        }
        let mut found = Vec::new();
        without(&command(&[]), &mut found);
        assert_eq!(found, Vec::<String>::new());
    }
}
