//! `inventory import`: reads what another tool has, asks nix about a flake, writes the inventory, lists the rest.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum, ValueHint};

use super::{CommandResult, Trouble, tell};
use crate::commands::shared::fleet_hosts::parse_fleet;
use crate::event::Event;
use crate::event::reason::command_fault::Misuse;
use crate::event::reason::command_fault::WorkstationFault;
use crate::event::reason::inventory_fault::ImportRefusal;
use crate::exit::Ending;
use crate::import::{
    Hive, ImportError, ImportNote, ImportTarget, Imported, find_ansible_config, from_ansible, from_colmena,
    from_deploy_rs, from_ssh_config,
};
use crate::inventory::find::FILE_NAME;
use crate::nix::foreign::{self, ForeignError, HiveSource};
use crate::ui::mode::Mode;
use crate::ui::{print_answer, sanitise};

/// Make an inventory out of what Ansible, deploy-rs, colmena or ssh has
///
/// What can be said becomes an inventory on stdout, or in `--output`; everything else is listed on stderr, with its
/// place and what to do about it. Nothing is run: no playbook, no inventory script, and of a flake only data is
/// evaluated. Passwords and encrypted values are never read.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "\
Examples:
  fleetdeploy inventory import --from ansible hosts.ini --output inventory.yaml
  fleetdeploy inventory import --from ansible inventories/production/ --fleet production
  fleetdeploy inventory import --from deploy-rs .           the flake here
  fleetdeploy inventory import --from colmena hive.nix      or a flake with a hive
  fleetdeploy inventory import --from ssh-config            ~/.ssh/config

Exit status:
  0  the inventory is written; what is not in it is listed
  2  the source cannot be understood, or the output is there already")]
pub struct ImportArgs {
    /// What the source is of
    #[arg(long, value_enum, value_name = "TOOL")]
    pub from: Foreign,
    /// The inventory, ssh config or hive, or the flake; default: `~/.ssh/config`, or the flake here
    #[arg(value_name = "FILE|FLAKE", value_hint = ValueHint::AnyPath)]
    pub source: Option<String>,
    /// The name of the fleet that the hosts make; default: the name of the file, or `homelab`
    // Its own identity: a name that is still to be given is not completed from those that are there.
    #[arg(id = "new_fleet", long = "fleet", value_name = "NAME", value_parser = parse_fleet)]
    pub fleet: Option<String>,
    /// Write it to this file, which must not be there yet, instead of stdout
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Whose the source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Foreign {
    Ansible,
    DeployRs,
    Colmena,
    SshConfig,
}

pub(super) async fn run(mode: Mode, arguments: &ImportArgs) -> CommandResult {
    let target = arguments.output.as_deref().unwrap_or(Path::new(FILE_NAME));
    if arguments.output.is_some() && target.symlink_metadata().is_ok() {
        return Err(taken(target));
    }
    let wanted = ImportTarget { fleet: arguments.fleet.as_deref(), target };
    let imported = match arguments.from {
        Foreign::Ansible => ansible(arguments, &wanted)?,
        Foreign::SshConfig => {
            let (file, is_users) = ssh_config(arguments)?;
            from_ssh_config(&file, is_users, variable("HOME").as_deref(), &wanted).map_err(not_imported)?
        }
        Foreign::DeployRs => deploy_rs(arguments, &wanted).await?,
        Foreign::Colmena => colmena(arguments, &wanted).await?,
    };
    if let Some(path) = &arguments.output {
        write(path, &imported.text)?;
    }
    say(mode, arguments, &imported)?;
    Ok(Ending::Answered { yes: true })
}

fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

fn ansible(arguments: &ImportArgs, wanted: &ImportTarget<'_>) -> Result<Imported, Trouble> {
    let file = ansible_file(arguments)?;
    let named = variable("ANSIBLE_CONFIG");
    let config = find_ansible_config(named.as_deref(), &file, variable("HOME").as_deref());
    from_ansible(&file, config.as_deref(), wanted).map_err(not_imported)
}

fn ansible_file(arguments: &ImportArgs) -> Result<PathBuf, Trouble> {
    arguments.source.as_ref().map(PathBuf::from).ok_or_else(|| Trouble::not_understood(Misuse::AnsibleFileNotNamed))
}

/// Returns the file, and whether ssh reads it anyway.
fn ssh_config(arguments: &ImportArgs) -> Result<(PathBuf, bool), Trouble> {
    let users = variable("HOME").map(|home| home.join(".ssh/config"));
    match (&arguments.source, users) {
        (None, Some(users)) => Ok((users, true)),
        (Some(file), users) => {
            let real = |path: &Path| path.canonicalize().ok();
            let is_users =
                users.is_some_and(|users| real(&users).is_some_and(|users| real(Path::new(file)) == Some(users)));
            Ok((PathBuf::from(file), is_users))
        }
        (None, None) => Err(Trouble::not_understood(Misuse::HomeUnknown)),
    }
}

async fn deploy_rs(arguments: &ImportArgs, wanted: &ImportTarget<'_>) -> Result<Imported, Trouble> {
    let (flake, folder) = flake(arguments)?;
    let reference = seen_from(&flake, &folder, wanted.target);
    foreign::ensure_can_be_named(&reference).map_err(not_asked)?;
    let answer = foreign::deploy_rs(&flake, &folder).await.map_err(not_asked)?;
    let configurations = foreign::configurations(&flake, &folder).await;
    from_deploy_rs(&answer, configurations.as_deref(), &reference, wanted).map_err(not_imported)
}

async fn colmena(arguments: &ImportArgs, wanted: &ImportTarget<'_>) -> Result<Imported, Trouble> {
    let given = Path::new(arguments.source.as_deref().unwrap_or("."));
    let hive_file = if given.is_dir() { given.join("hive.nix") } else { given.to_owned() };
    let is_hive = hive_file.is_file() && !(given.is_dir() && given.join("flake.nix").exists());
    if is_hive {
        // A bare file name would be looked for in NIX_PATH.
        let file = std::path::absolute(&hive_file).map_err(|error| Trouble::no_working_folder(&error))?;
        let answer = foreign::hive(&HiveSource::File(file)).await.map_err(not_asked)?;
        let name = hive_file.display().to_string();
        let here = std::env::current_dir().map_err(|error| Trouble::no_working_folder(&error))?;
        let beside = hive_file.parent().unwrap_or(Path::new(""));
        let beside: PathBuf = Path::new(".").join(beside).components().collect();
        let systems = Path::new(&seen_from(&beside.display().to_string(), &here, wanted.target)).join("systems.nix");
        let hive = Hive::File { file: &name, systems: &systems.display().to_string() };
        return from_colmena(&answer.nodes, hive, wanted).map_err(not_imported);
    }
    let (flake, folder) = flake(arguments)?;
    let reference = seen_from(&flake, &folder, wanted.target);
    foreign::ensure_can_be_named(&reference).map_err(not_asked)?;
    let source = HiveSource::Flake { flake: flake.clone(), folder: folder.clone() };
    let answer = foreign::hive(&source).await.map_err(not_asked)?;
    let configurations = if answer.is_made { None } else { foreign::configurations(&flake, &folder).await };
    let hive = if answer.is_made {
        Hive::Made { flake: &reference }
    } else {
        Hive::Flake { flake: &reference, configurations: configurations.as_deref() }
    };
    from_colmena(&answer.nodes, hive, wanted).map_err(not_imported)
}

/// Returns the flake that was named, else the one here; and the folder in which relative ones begin.
fn flake(arguments: &ImportArgs) -> Result<(String, PathBuf), Trouble> {
    let flake = arguments.source.clone().unwrap_or_else(|| ".".to_owned());
    if let Some((flake, _)) = flake.split_once('#') {
        return Err(Trouble::not_understood(Misuse::FlakeWithOutput { flake: flake.to_owned() }));
    }
    let here = std::env::current_dir().map_err(|error| Trouble::no_working_folder(&error))?;
    Ok((flake, here))
}

/// Returns the flake as the inventory names it: relative paths begin at the inventory's folder.
fn seen_from(flake: &str, here: &Path, target: &Path) -> String {
    let is_relative = flake == "." || flake == ".." || flake.starts_with("./") || flake.starts_with("../");
    if !is_relative {
        return flake.to_owned();
    }
    let real = |path: PathBuf| path.canonicalize().unwrap_or(path);
    let folder = real(here.join(target).parent().map_or_else(|| here.to_owned(), Path::to_owned));
    if folder == real(here.to_owned()) {
        return flake.to_owned();
    }
    let flake = real(here.join(flake));
    if flake == folder { ".".to_owned() } else { flake.display().to_string() }
}

/// Writes a new file, and never over one that is there.
fn write(path: &Path, text: &str) -> Result<(), Trouble> {
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| {
        if error.kind() == ErrorKind::AlreadyExists {
            return taken(path);
        }
        let (path, said) = (path.display().to_string(), error.to_string());
        Trouble::not_begun(WorkstationFault::FileUnwritable { path, said })
    })
}

fn taken(path: &Path) -> Trouble {
    Trouble::not_understood(Misuse::FileThere { path: path.display().to_string() })
}

fn not_imported(error: ImportError) -> Trouble {
    Trouble::not_understood(ImportRefusal::from(&error)).shown_as(error)
}

fn not_asked(error: ForeignError) -> Trouble {
    Trouble::not_understood(ImportRefusal::from(&error)).shown_as(error)
}

/// Prints the inventory on stdout unless it went to a file, and the list of what is not in it on stderr.
fn say(mode: Mode, arguments: &ImportArgs, imported: &Imported) -> Result<(), Trouble> {
    let Imported { text, hosts, notes } = imported;
    if mode == Mode::Json {
        let texts: Vec<String> = notes.iter().map(ImportNote::whole).collect();
        let warned = notes.iter().map(|note| Event::warned(None, ImportRefusal::from(note)));
        let answer = match &arguments.output {
            Some(path) => serde_json::json!({ "output": path, "hosts": hosts, "not_carried_over": texts }),
            None => serde_json::json!({ "inventory": text, "hosts": hosts, "not_carried_over": texts }),
        };
        return tell(warned.chain([Event::Answer { answer }]), Ending::Answered { yes: true });
    }
    let is_verbose = matches!(mode, Mode::Live { verbose: true, .. } | Mode::Plain { verbose: true, .. });
    let mut said = listed(notes, if is_verbose { ImportNote::whole } else { ImportNote::to_string });
    match &arguments.output {
        Some(path) if !matches!(mode, Mode::Quiet { .. }) => {
            let count = if *hosts == 1 { "1 host".to_owned() } else { format!("{hosts} hosts") };
            // Writing to a String cannot fail.
            let _ = writeln!(said, "{} is written, with {count}", path.display());
        }
        Some(_) => {}
        None => print_answer(text).map_err(|error| Trouble::no_stdout(&error))?,
    }
    // A list is no event: it has no time and no host in front. If stderr is closed, no one can be told.
    let _ = std::io::stderr().lock().write_all(sanitise::text(&said).as_bytes());
    Ok(())
}

fn listed(notes: &[ImportNote], in_words: fn(&ImportNote) -> String) -> String {
    if notes.is_empty() {
        return String::new();
    }
    let title = format!("{} to look at: what could not be carried over as it was\n\n", things(notes.len()));
    notes.iter().fold(title, |text, note| format!("{text}{}\n\n", in_words(note)))
}

fn things(count: usize) -> String {
    if count == 1 { "1 thing".to_owned() } else { format!("{count} things") }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn a_flake_in_the_inventorys_folder_is_named_so() {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path().canonicalize().unwrap();
        std::fs::create_dir(here.join("sub")).unwrap();
        let seen = |flake: &str, target: &str| seen_from(flake, &here, Path::new(target));
        assert_eq!(seen(".", "inventory.yaml"), ".");
        assert_eq!(seen("./sub", "sub/inventory.yaml"), ".");
        assert_eq!(seen("./sub", "inventory.yaml"), "./sub");
        assert_eq!(seen(".", "sub/inventory.yaml"), here.display().to_string());
        assert_eq!(seen("github:me/lab", "inventory.yaml"), "github:me/lab");
    }
}
