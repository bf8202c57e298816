//! Looks whether a host and its new system agree on the host's name, and tells what comes of it.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use super::push::Push;
use crate::decide::fit::{judge_name, not_renamed};
use crate::decide::survey::{Surveyed, Weight};
use crate::facts::fit::Renaming;
use crate::facts::store_path::StorePath;

/// How much of the file with the name is read: a host name has 64 characters at most.
const NAME_BYTES: u64 = 1024;

impl Push<'_> {
    /// Tells what is to be said of the host's name, and returns whether it lets the push go on.
    pub(super) fn name_fits(&self, view: &Surveyed<'_>, renaming: Option<&Renaming>) -> bool {
        let is_wanted = self.request.renamed.contains(&view.host.name);
        let finding = judge_name(&view.host.name, &view.facts.host_name, renaming, is_wanted);
        self.inquiry.tell_findings(finding.as_slice());
        finding.is_none_or(|finding| finding.weight != Weight::Refusal)
    }

    /// The same before a copy: by the new system in this workstation's store. One that lies elsewhere is looked at on
    /// its host, once it is there; nothing is said of it here.
    pub(super) fn name_fits_from_here(&self, view: &Surveyed<'_>, new: &StorePath) -> bool {
        let Some(name) = name_in(new) else { return true };
        self.name_fits(view, Renaming::between(&view.facts.host_name, &name).as_ref())
    }

    /// Says of every host that was to be renamed and does not change that it keeps its name.
    pub(super) fn tell_names_kept(&self, views: &[Surveyed<'_>]) {
        for view in views.iter().filter(|view| !view.changes() && self.request.renamed.contains(&view.host.name)) {
            self.inquiry.tell(not_renamed(&view.host.name, &view.facts.host_name).event());
        }
    }
}

/// Reads the name that a system gives its host, if it gives one and lies in this workstation's store.
fn name_in(system: &StorePath) -> Option<String> {
    let file = File::open(Path::new(system.as_str()).join("etc/hostname")).ok()?;
    let mut line = String::new();
    BufReader::new(file.take(NAME_BYTES)).read_line(&mut line).ok()?;
    let name = line.trim_end_matches('\n');
    (!name.is_empty()).then(|| name.to_owned())
}
