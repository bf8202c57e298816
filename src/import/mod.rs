//! Moving in: an inventory out of what another tool has.
//!
//! Every source becomes a [`Draft`], and what the draft cannot say a [`ImportNote`]; the draft becomes a text, and the
//! text is read as any inventory is before it is given out. A foreign inventory is not trusted: each value that is
//! carried over has passed the rule of its key ([`scalar`]), and none is run, expanded or asked for anywhere. Reads
//! files, and never a flake: what nix says of one comes in as JSON.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::facts::attr_path::show;
use crate::inventory::Inventory;
use crate::inventory::model::{HostName, is_name};
use crate::inventory::problem::Mistakes;
use crate::inventory::scalar;
use crate::inventory::words::{listed, shown};
use draft::{Draft, DraftHost, DraftSetting};
use names::Names;
use note::{ImportNotes, SourcePlace};

mod ansible;
mod colmena;
mod deploy_rs;
mod draft;
mod layer;
mod names;
mod note;
mod ssh_args;
mod ssh_config;
mod way;
mod words;
mod write;

pub use ansible::config::find as find_ansible_config;
pub use ansible::from_ansible;
pub use colmena::{Hive, from_colmena};
pub use deploy_rs::from_deploy_rs;
pub use note::ImportNote;
pub use ssh_config::from_ssh_config;

/// The name of a fleet for which the source has none.
const ANY_FLEET: &str = "homelab";

/// A note for a host to which ssh offers several keys.
const OTHER_KEY: &str = "a host has one `identity`: name the other key in your ~/.ssh/config, or have it in your agent";

/// What files are called that hold no name of a fleet.
const NO_NAMES: [&str; 10] =
    ["hosts", "host", "inventory", "inventories", "config", "main", "all", "none", "hive", "default"];

/// An inventory, and what is not in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    pub text: String,
    pub hosts: usize,
    /// In the order in which they were found.
    pub notes: Vec<ImportNote>,
}

/// Where the inventory is to stand, and the fleet's name if the person has said it.
#[derive(Debug, Clone, Copy)]
pub struct ImportTarget<'a> {
    pub fleet: Option<&'a str>,
    /// For messages; relative paths of the inventory begin at its folder.
    pub target: &'a Path,
}

/// Why there is no inventory.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error("cannot read {}", path.display())]
    Unreadable {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot understand {origin}{}", below(mistakes))]
    NotUnderstood { origin: String, mistakes: Vec<ImportNote> },
    /// What came from nix has another shape than it was asked for.
    #[error("nix's answer about {origin} makes no sense")]
    Answer {
        origin: String,
        #[source]
        source: serde_json::Error,
    },
    #[error("nothing is left of {origin}{}", below(notes))]
    NoHosts { origin: String, notes: Vec<ImportNote> },
    /// A mistake of this program: nothing wrong may be written.
    #[error("the inventory that {origin} became is not right, which is a bug of fleetdeploy")]
    NotRight {
        origin: String,
        #[source]
        source: Mistakes,
    },
}

fn below(notes: &[ImportNote]) -> String {
    notes.iter().fold(String::new(), |text, note| format!("{text}\n\n{note}"))
}

impl ImportTarget<'_> {
    /// The fleet's name: what was asked for, else what the file is called, unless that says nothing.
    fn fleet_of(&self, source: &Path) -> String {
        let stem = source.file_stem().and_then(|stem| stem.to_str()).filter(|stem| is_name(stem));
        let stem = stem.filter(|stem| !NO_NAMES.contains(&stem.to_lowercase().as_str()));
        self.fleet.or(stem).unwrap_or(ANY_FLEET).to_owned()
    }
}

/// Makes the text, and reads it as every command will.
fn finish(mut draft: Draft, mut notes: ImportNotes, wanted: &ImportTarget<'_>) -> Result<Imported, ImportError> {
    let origin = draft.origin.clone();
    if draft.hosts.is_empty() {
        return Err(ImportError::NoHosts { origin, notes: notes.into_notes() });
    }
    // Nix reads in folders with names that no inventory can hold.
    if let Err(wrong) = scalar::words(&draft.systems.source) {
        notes.mistake(&SourcePlace::Attribute(origin.clone()), wrong.what(), "rename the folder, or move it");
    }
    let mistakes = notes.take_mistakes();
    if !mistakes.is_empty() {
        return Err(ImportError::NotUnderstood { origin, mistakes });
    }
    let absolute = std::path::absolute(wanted.target).unwrap_or_else(|_| wanted.target.to_owned());
    let folder = absolute.parent().unwrap_or(Path::new("/"));
    leave_out_keys_below(folder, &mut draft, &mut notes);
    open_jump_loops(&mut draft, &mut notes);
    list_twins(&draft, &mut notes);
    say_that_no_link_is_there(&draft, &mut notes);
    layer::layer(&mut draft);
    let text = write::write(&draft);
    match Inventory::parse(wanted.target, folder, &text) {
        Ok(loaded) => Ok(Imported { text, hosts: loaded.inventory.hosts.len(), notes: notes.into_notes() }),
        Err(source) => Err(ImportError::NotRight { origin, source }),
    }
}

/// Two hosts that are reached at one address, by one port and one way, may be one machine under two names.
fn list_twins(draft: &Draft, notes: &mut ImportNotes) {
    let mut known: BTreeMap<(&str, Option<&String>, Option<&String>), &HostName> = BTreeMap::new();
    for host in &draft.hosts {
        let Some(address) = &host.address else { continue };
        let whereabouts =
            (address.as_str(), host.settings.get(&DraftSetting::Port), host.settings.get(&DraftSetting::Jump));
        if let Some(first) = known.get(&whereabouts) {
            let what = format!("`{first}` and `{}` are reached at one address, `{}`", host.name, shown(address));
            notes.note(&host.place, what, "a machine is in an inventory once: if they are one, take one of them out");
        } else {
            known.insert(whereabouts, &host.name);
        }
    }
}

/// No source says which addresses hosts have inside a VPN, and without them a push proves logins alone.
fn say_that_no_link_is_there(draft: &Draft, notes: &mut ImportNotes) {
    if draft.hosts.len() > 1 {
        let what =
            "no host has its `vpn` address, which is not told there: the fleet has no link that a push could prove";
        let mend = "give each host that is inside your VPN `vpn: ADDRESS`, or the fleet `checks`";
        notes.note(&SourcePlace::Attribute(draft.origin.clone()), what, mend);
    }
}

/// A relative path of a key is below the inventory's folder, whose name may be one that no ssh config takes.
fn leave_out_keys_below(folder: &Path, draft: &mut Draft, notes: &mut ImportNotes) {
    if folder.to_str().is_some_and(scalar::is_safe_path) {
        return;
    }
    for host in &mut draft.hosts {
        let is_relative = |path: &String| !path.starts_with(['/', '~']);
        if host.settings.get(&DraftSetting::Identity).is_some_and(is_relative) {
            host.settings.remove(&DraftSetting::Identity);
            let what = "the inventory's folder has a name that cannot stand in an ssh config, and the key is below it";
            notes.note(&host.place, what, "write `identity` as an absolute path");
        }
    }
}

/// Breaks loops: hosts that are reached through each other cannot be reached, so the first of each loop loses its jump.
fn open_jump_loops(draft: &mut Draft, notes: &mut ImportNotes) {
    for start in 0..draft.hosts.len() {
        let jumps: BTreeMap<&str, &str> = (draft.hosts.iter())
            .filter_map(|host| Some((host.name.as_str(), host.settings.get(&DraftSetting::Jump)?.as_str())))
            .collect();
        let first = draft.hosts[start].name.as_str();
        let mut way = vec![first];
        while let Some(next) = way.last().and_then(|last| jumps.get(last)).filter(|next| !way[1..].contains(next)) {
            way.push(next);
            if *next == first {
                break;
            }
        }
        if way.len() < 2 || way.last() != Some(&first) {
            continue;
        }
        let what = match way[..way.len() - 1] {
            [only] => format!("`{only}` would be reached through itself"),
            ref several => format!("{} would be reached through each other", listed(several.iter().copied())),
        };
        notes.note(&draft.hosts[start].place, what, format!("`{first}` has no `jump`: say how it is reached"));
        draft.hosts[start].settings.remove(&DraftSetting::Jump);
    }
}

/// The value if the inventory takes it; else a note.
fn accepted(key: DraftSetting, text: &str, place: &SourcePlace, notes: &mut ImportNotes) -> Option<String> {
    match key.accept(text) {
        Ok(value) => Some(value),
        Err(wrong) => {
            let mend = wrong.mend().unwrap_or_else(|| "give the host another one".to_owned());
            notes.note(place, wrong.what(), format!("{mend}; then write it as `{}`", key.word()));
            None
        }
    }
}

/// The address if the inventory takes it; else a note.
fn accepted_address(text: &str, place: &SourcePlace, notes: &mut ImportNotes) -> Option<String> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    match scalar::address(bare) {
        Ok(address) => Some(address),
        Err(wrong) => {
            let mend = wrong.mend().unwrap_or_default();
            notes.note(place, wrong.what(), format!("{mend}; then write it as `address`"));
            None
        }
    }
}

/// A name as a part of an attribute path, in quotes where it needs them.
fn attribute(name: &str) -> String {
    show(&[shown(name)])
}

/// The host, reached at `address` or else by its name, and called otherwise where its name cannot be one. `None` if
/// nothing leads to it; the notes say all of that.
fn named(
    foreign: &str,
    address: Option<String>,
    place: &SourcePlace,
    names: &mut Names,
    notes: &mut ImportNotes,
) -> Option<DraftHost> {
    let shown = shown(foreign);
    let Some(name) = names.host(foreign) else {
        let mend = "give it one of letters, digits, `_`, `.` and `-`, or add it by hand";
        notes.note(place, format!("`{shown}` cannot be the name of a host: left out"), mend);
        return None;
    };
    let mut host = DraftHost::new(name, place.clone());
    if host.name.as_str() == foreign {
        if let Some(address) = address {
            host.reached_at(address);
        }
        return Some(host);
    }
    // What has lost its name is still reached by it.
    let Some(address) = address.or_else(|| scalar::address(foreign).ok()) else {
        let mend = "say how it is reached, and add it by hand";
        notes.note(place, format!("`{shown}` is neither the name of a host nor an address: left out"), mend);
        return None;
    };
    let what = format!("`{shown}` {}", Names::why_not(foreign));
    notes.note(place, what, format!("it is called `{}` here, and so must its system be", host.name));
    host.remark = Some(format!("Called {foreign} where it comes from."));
    host.reached_at(address);
    Some(host)
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::draft::DraftSystems;
    use super::*;
    use crate::inventory::model::HostName;

    fn wanted() -> ImportTarget<'static> {
        ImportTarget { fleet: None, target: Path::new("inventory.yaml") }
    }

    fn draft(jumps: &[(&str, Option<&str>)]) -> Draft {
        let mut draft = Draft::new("the test".into(), "lab".into(), DraftSystems::flake("."));
        for (name, jump) in jumps {
            let mut host = DraftHost::new(HostName::new(*name).unwrap(), SourcePlace::Attribute((*name).into()));
            host.settings.extend(jump.map(|jump| (DraftSetting::Jump, jump.to_owned())));
            draft.hosts.push(host);
        }
        draft
    }

    #[test]
    fn a_fleet_is_called_as_its_file_unless_that_says_nothing() {
        let name = |path| wanted().fleet_of(Path::new(path));
        assert_eq!(name("inventories/production.ini"), "production");
        assert_eq!(name("/etc/ansible/hosts"), "homelab");
        assert_eq!(name("Inventory.yml"), "homelab");
        assert_eq!(name("my fleet.ini"), "homelab");
        assert_eq!(ImportTarget { fleet: Some("lab"), ..wanted() }.fleet_of(Path::new("x")), "lab");
    }

    #[test]
    fn a_loop_of_jumps_is_opened_with_a_word() {
        let loops = [("a", Some("b")), ("b", Some("c")), ("c", Some("b")), ("d", Some("d"))];
        let imported = finish(draft(&loops), ImportNotes::default(), &wanted()).unwrap();
        let notes: Vec<_> = imported.notes.iter().map(ToString::to_string).collect();
        assert_eq!(
            notes,
            [
                "b: `b` and `c` would be reached through each other\n  `b` has no `jump`: say how it is reached",
                "d: `d` would be reached through itself\n  `d` has no `jump`: say how it is reached",
                "the test: no host has its `vpn` address, which is not told there: the fleet has no link that a push \
                 could prove\n  give each host that is inside your VPN `vpn: ADDRESS`, or the fleet `checks`",
            ]
        );
        assert_eq!(imported.hosts, 4);
    }

    #[test]
    fn an_inventory_without_a_host_is_none() {
        let error = finish(draft(&[]), ImportNotes::default(), &wanted()).unwrap_err();
        assert_eq!(error.to_string(), "nothing is left of the test");
    }

    #[test]
    fn a_folder_that_no_inventory_can_name_is_said_to_be_one() {
        let mut draft = draft(&[("a", None)]);
        draft.systems = DraftSystems::flake("/my\tlab");
        let error = finish(draft, ImportNotes::default(), &wanted()).unwrap_err();
        let said = error.to_string();
        assert!(matches!(error, ImportError::NotUnderstood { .. }), "{said}");
        assert!(said.contains("control character") && said.contains("rename the folder"), "{said}");
    }

    #[test]
    fn a_key_below_a_folder_with_a_strange_name_is_left_out() {
        let mut draft = draft(&[("a", None)]);
        draft.hosts[0].settings.insert(DraftSetting::Identity, "keys/id".into());
        let target = Path::new("/my lab/inventory.yaml");
        let imported = finish(draft, ImportNotes::default(), &ImportTarget { target, ..wanted() }).unwrap();
        assert_eq!(imported.notes[0].mend, "write `identity` as an absolute path");
        assert!(!imported.text.contains("identity"), "{}", imported.text);
    }

    #[test]
    fn nothing_wrong_is_ever_written() {
        let error = finish(draft(&[("a", Some("nobody"))]), ImportNotes::default(), &wanted()).unwrap_err();
        assert!(matches!(error, ImportError::NotRight { .. }), "{error}");
    }
}
