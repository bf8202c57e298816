//! The hosts of an ssh config. Their settings stay where they are: fleetdeploy honours ~/.ssh/config, so an alias of it
//! is all that an inventory needs.
//!
//! Source: `ssh_config(5)`, for the form of the file and for what `Host`, `Match` and `Include` mean.

mod block;
mod hosts;
mod reader;

use std::path::Path;

use super::draft::{Draft, DraftSystems};
use super::note::{ImportNotes, SourcePlace};
use super::{ImportError, ImportTarget, Imported, finish};
use hosts::hosts;
use reader::SshConfigReader;

/// Reads an ssh config and what it includes. `is_users` says that ssh reads this file by itself, as it does
/// ~/.ssh/config; `home` is what `~` stands for.
///
/// # Errors
/// [`ImportError`], if it cannot be read or names no host.
pub fn from_ssh_config(
    path: &Path,
    is_users: bool,
    home: Option<&Path>,
    wanted: &ImportTarget<'_>,
) -> Result<Imported, ImportError> {
    let bytes = std::fs::read(path).map_err(|source| ImportError::Unreadable { path: path.to_owned(), source })?;
    let mut notes = ImportNotes::default();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let file = notes.file(path, text.clone());
    if !is_users {
        let what = "ssh does not read this file by itself, and so the aliases mean nothing to it";
        notes.note(
            &SourcePlace::File(file),
            what,
            "put `Include` and the file's path at the top of your ~/.ssh/config",
        );
    }
    let mut reader = SshConfigReader { home, notes: &mut notes, blocks: Vec::new(), open: vec![path.to_owned()] };
    reader.read(file, &text);
    let blocks = reader.blocks;
    let origin = format!("the ssh config {}", path.display());
    let mistakes = notes.take_mistakes();
    if !mistakes.is_empty() {
        return Err(ImportError::NotUnderstood { origin, mistakes });
    }
    let mut systems = DraftSystems::flake(".");
    systems.remark = vec![
        "ssh knows no systems: say which flake has them. A host's name here is its name there.".to_owned(),
        "Take hosts that are not NixOS out of `hosts` above, or name those to push instead of `all`.".to_owned(),
    ];
    let mut draft = Draft::new(origin, wanted.fleet_of(path), systems);
    draft.hosts = hosts(&blocks, &mut notes);
    finish(draft, notes, wanted)
}

#[cfg(test)]
mod tests;
