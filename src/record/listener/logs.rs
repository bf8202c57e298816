//! Keeps the logs open: one for each host, and one for nix.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::SystemTime;

use crate::inventory::model::HostName;
use crate::local::private;
use crate::record::folder::RunFolder;
use crate::record::open_to_append;

#[derive(Debug, Clone, Copy)]
pub(super) enum LogTarget<'a> {
    Build,
    Host(&'a HostName),
}

/// `build.log` and `hosts/NAME.log`, opened when there is something to say.
#[derive(Debug)]
pub(super) struct OpenLogs {
    build: PathBuf,
    hosts: PathBuf,
    pub(super) files: BTreeMap<PathBuf, File>,
}

impl OpenLogs {
    pub(super) fn new(run: &RunFolder) -> Self {
        Self { build: run.build_log(), hosts: run.hosts(), files: BTreeMap::new() }
    }

    /// Goes on in new files, after the folder of the run was deleted.
    ///
    /// # Errors
    /// If the folders cannot be made.
    pub(super) fn begin_anew(&mut self) -> io::Result<()> {
        self.files.clear();
        private::make_folders(&self.hosts)
    }

    /// Adds one entry, with its time in front of every line, in one write: several writers of one log do not mix their
    /// lines. Control characters other than line ends are written out (`\u{1b}`), so that the log can be looked at on
    /// a terminal and nothing is lost.
    pub(super) fn append(&mut self, log: LogTarget<'_>, at: SystemTime, text: &str) -> io::Result<()> {
        let path = match log {
            LogTarget::Build => self.build.clone(),
            LogTarget::Host(host) => self.hosts.join(format!("{host}.log")),
        };
        let file = match self.files.entry(path) {
            std::collections::btree_map::Entry::Occupied(open) => open.into_mut(),
            std::collections::btree_map::Entry::Vacant(new) => {
                let file = open_to_append(new.key())?;
                new.insert(file)
            }
        };
        let time = humantime::format_rfc3339_millis(at).to_string();
        let mut clean = String::with_capacity(text.len() + time.len() + 2);
        for line in text.trim_end().lines() {
            clean.push_str(&time);
            clean.push(' ');
            for character in line.chars() {
                if character.is_control() && character != '\t' {
                    clean.extend(character.escape_default());
                } else {
                    clean.push(character);
                }
            }
            clean.push('\n');
        }
        file.write_all(clean.as_bytes())
    }
}
