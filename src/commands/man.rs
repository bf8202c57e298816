//! `man`: makes pages in the language of man(1) from the texts of `--help`.

use std::path::{Path, PathBuf};

use clap::Args;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use super::{CommandResult, Trouble, whole_command_line};
use crate::event::reason::command_fault::Misuse;
use crate::event::reason::command_fault::WorkstationFault;
use crate::exit::Ending;
use crate::ui::print_answer;

/// Print a manual page
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "\
Examples:
  fleetdeploy man push | man -l -
  fleetdeploy man inventory graph | man -l -
  fleetdeploy man --all ~/.local/share/man/man1")]
pub struct ManArgs {
    /// The command, if not fleetdeploy itself
    #[arg(value_name = "COMMAND")]
    pub command: Vec<String>,
    /// Write the pages of all commands into this folder, and print their names
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    pub all: Option<PathBuf>,
}

pub(super) fn run(arguments: &ManArgs) -> CommandResult {
    // The page of `help` would say nothing that `--help` does not.
    let mut command = whole_command_line().disable_help_subcommand(true);
    command.build();
    let text = match &arguments.all {
        Some(folder) => {
            let mut written = String::new();
            write_all(&command, folder, &mut written).map_err(|error| {
                let (path, said) = (folder.display().to_string(), error.to_string());
                Trouble::not_begun(WorkstationFault::PagesUnwritable { path, said })
            })?;
            written
        }
        None => page(find(&command, &arguments.command)?).map_err(|error| Trouble::no_stdout(&error))?,
    };
    print_answer(&text).map_err(|error| Trouble::no_stdout(&error))?;
    Ok(Ending::Answered { yes: true })
}

fn find<'a>(command: &'a clap::Command, words: &[String]) -> Result<&'a clap::Command, Trouble> {
    let mut found = command;
    for word in words {
        let shown = |inner: &&clap::Command| !inner.is_hide_set();
        found = found.find_subcommand(word).filter(shown).ok_or_else(|| {
            let there = found.get_subcommands().filter(shown).map(|inner| inner.get_name().to_owned());
            let (command, word, has) = (found.get_name().to_owned(), word.clone(), there.collect());
            Trouble::not_understood(Misuse::CommandUnknown { command, word, has })
        })?;
    }
    Ok(found)
}

fn write_all(command: &clap::Command, folder: &Path, written: &mut String) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let path = folder.join(Man::new(command.clone()).get_filename());
    std::fs::write(&path, page(command)?)?;
    written.push_str(&path.to_string_lossy());
    written.push('\n');
    let shown = command.get_subcommands().filter(|inner| !inner.is_hide_set());
    shown.into_iter().try_for_each(|inner| write_all(inner, folder, written))
}

/// Examples and exit statuses get sections of their own, line by line: `clap_mangen` would make one paragraph of them.
fn page(command: &clap::Command) -> std::io::Result<String> {
    let source = format!("fleetdeploy {}", env!("CARGO_PKG_VERSION"));
    let man = Man::new(command.clone()).source(source);
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    sections(&after).to_writer(&mut page)?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}

/// `Exit status:` at the beginning of a line is a heading; what is indented below it stands as it is.
fn sections(text: &str) -> Roff {
    let mut roff = Roff::new();
    let mut is_open = false;
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        match line.strip_suffix(':').filter(|_| !line.starts_with(' ')) {
            Some(heading) => {
                if std::mem::replace(&mut is_open, true) {
                    roff.control("fi", []);
                }
                roff.control("SH", [heading.to_uppercase().as_str()]).control("nf", []);
            }
            None => {
                roff.text([roman(line)]);
            }
        }
    }
    if is_open {
        roff.control("fi", []);
    }
    roff
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn every_command_has_a_page_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = whole_command_line().disable_help_subcommand(true);
        command.build();
        let mut written = String::new();
        write_all(&command, &folder.path().join("man1"), &mut written).unwrap();
        let names: Vec<&str> = written.lines().filter_map(|path| path.rsplit('/').next()).collect();
        for name in ["fleetdeploy.1", "fleetdeploy-push.1", "fleetdeploy-inventory-graph.1"] {
            assert!(names.contains(&name), "{names:?}");
        }
        let push = std::fs::read_to_string(folder.path().join("man1/fleetdeploy-push.1")).unwrap();
        assert!(push.contains("\n.SH \"EXIT STATUS\"\n.nf\n  0  committed, or nothing to do\n"), "{push}");
        assert!(push.contains(".SH EXAMPLES\n.nf\n  fleetdeploy push homelab \\-\\-dry\\-run  "), "{push}");
    }

    #[test]
    fn a_command_that_is_not_there_is_told_those_that_are() {
        let command = whole_command_line();
        let Err(trouble) = find(&command, &["inventory".to_owned(), "grpah".to_owned()]) else { panic!("found") };
        assert_eq!(trouble.error.to_string(), "`inventory` has no command `grpah`");
        assert!(trouble.hint().unwrap().contains("list, graph"));
    }
}
