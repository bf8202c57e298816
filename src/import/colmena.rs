//! The nodes of a colmena hive, as [`nix::foreign`](crate::nix::foreign) has read them.
//!
//! Source: colmena's `options.nix`: `targetHost` is the node's name unless it says otherwise, `targetUser` is root.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::draft::{Draft, DraftHost, DraftSetting, DraftSystems};
use super::names::Names;
use super::note::{ImportNotes, SourcePlace};
use super::way::{JumpWay, jumps, take_arguments};
use super::{ImportError, ImportTarget, Imported, accepted, accepted_address, attribute, finish, named};
use crate::inventory::words::{listed, shown};

/// Where a hive was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hive<'a> {
    /// The flake's output `colmena`: modules, which are not evaluated. The names are those of its
    /// `nixosConfigurations`, if it has them.
    Flake { flake: &'a str, configurations: Option<&'a [String]> },
    /// The flake's output `colmenaHive`: whole configurations, of which `deployment` was asked for.
    Made { flake: &'a str },
    /// A `hive.nix`, and the file beside it that is to evaluate its nodes.
    File { file: &'a str, systems: &'a str },
}

#[derive(Debug, Deserialize)]
struct ColmenaNode {
    name: String,
    /// What could be read of `deployment`, `defaults` below the node's own.
    deployment: BTreeMap<String, Value>,
    /// The options of `deployment` that are there and that only the whole configuration would tell.
    unknown: Vec<String>,
    /// What else is in `deployment`.
    others: Vec<String>,
    /// Where other modules are imported, which may say more: the node itself, `defaults`.
    imports: Vec<String>,
}

const SECRETS: &str = "what is pushed beside a system cannot be rolled back: sops-nix or agenix puts secrets into it";

/// Options that fleetdeploy has its own way for.
const OTHERWISE: [(&str, &str); 4] = [
    ("buildOnTarget", "where it is true, write `build_on: target` for the host"),
    ("allowLocalDeployment", "fleetdeploy pushes over ssh, to this machine, too: an sshd is enough"),
    (
        "replaceUnknownProfiles",
        "fleetdeploy shows what a host runs, and refuses one that a reboot would not bring back",
    ),
    ("privilegeEscalationCommand", "name it by `become`: `doas`, `run0`, or the words of its command"),
];

/// Makes an inventory of nix's answer about the hive.
///
/// # Errors
/// [`ImportError::Answer`] if the answer has another shape, [`ImportError::NoHosts`] if no node is left.
pub fn from_colmena(answer: &str, hive: Hive<'_>, wanted: &ImportTarget<'_>) -> Result<Imported, ImportError> {
    let origin = match hive {
        Hive::Flake { flake, .. } | Hive::Made { flake } => format!("the colmena hive of the flake {flake}"),
        Hive::File { file, .. } => format!("the colmena hive {file}"),
    };
    let hosts: Vec<ColmenaNode> =
        serde_json::from_str(answer).map_err(|source| ImportError::Answer { origin: origin.clone(), source })?;
    let mut notes = ImportNotes::default();
    let mut names = Names::default();
    let fleet = wanted.fleet.unwrap_or(super::ANY_FLEET).to_owned();
    let mut draft = Draft::new(origin, fleet, systems(hive, &hosts, &mut notes));
    let mut ways = Vec::new();
    for (host, way) in hosts.iter().filter_map(|node| host(&node.name, node, &mut names, &mut notes)) {
        draft.hosts.push(host);
        ways.push(way);
    }
    jumps(&mut draft.hosts, ways, &mut notes);
    finish(draft, notes, wanted)
}

/// Where the systems are, which a hive of modules alone does not say.
fn systems(hive: Hive<'_>, hosts: &[ColmenaNode], notes: &mut ImportNotes) -> DraftSystems {
    let are_in = |known: &[String]| hosts.iter().all(|node| known.contains(&node.name));
    match hive {
        Hive::Made { flake } => {
            let attr = Some("colmenaHive.toplevel.\"{host}\"".to_owned());
            DraftSystems {
                attr,
                remark: vec!["The systems that colmena itself builds.".to_owned()],
                ..DraftSystems::flake(flake)
            }
        }
        Hive::Flake { flake, configurations } if configurations.is_some_and(are_in) => {
            let remark = vec!["Every node of the hive is in the flake's nixosConfigurations, too.".to_owned()];
            DraftSystems { remark, ..DraftSystems::flake(flake) }
        }
        Hive::Flake { flake, .. } => {
            let place = SourcePlace::Attribute("colmena".into());
            let what = "not every node of the hive is in `nixosConfigurations`: fleetdeploy builds what is evaluated";
            let mend =
                "add `colmenaHive = colmena.lib.makeHive self.outputs.colmena;` to the flake: `attr` names its systems";
            notes.note(&place, what, mend);
            let remark = vec!["The flake needs `colmenaHive = colmena.lib.makeHive self.outputs.colmena;`.".to_owned()];
            DraftSystems {
                attr: Some("colmenaHive.toplevel.\"{host}\"".to_owned()),
                remark,
                ..DraftSystems::flake(flake)
            }
        }
        Hive::File { file, systems } => {
            let place = SourcePlace::Attribute(file.to_owned());
            let what =
                "a hive holds modules, not systems: the inventory names a file `systems.nix` that is not there yet";
            notes.note(&place, what, "docs/from-colmena.md has that file: it evaluates the hive's nodes");
            let remark = vec!["docs/from-colmena.md has this file: it evaluates the nodes of hive.nix.".to_owned()];
            DraftSystems { key: "file", source: systems.to_owned(), attr: None, remark }
        }
    }
}

fn host(name: &str, node: &ColmenaNode, names: &mut Names, notes: &mut ImportNotes) -> Option<(DraftHost, JumpWay)> {
    let path = attribute(name);
    let at = |option: &str| SourcePlace::Attribute(format!("{path}.deployment.{option}"));
    let place = SourcePlace::Attribute(path.clone());
    list_unread(node, &path, notes);
    let address = match node.deployment.get("targetHost") {
        None => None,
        Some(Value::String(address)) => accepted_address(address, &at("targetHost"), notes),
        Some(Value::Null) => {
            let what = "`targetHost` is null, for a machine that only pushes to itself: left out";
            notes.note(&at("targetHost"), what, "if ssh reaches it, add it by hand");
            return None;
        }
        Some(_) => {
            notes.note(&at("targetHost"), "this is not a text", "write it by hand, as `address`");
            None
        }
    };
    let mut host = named(name, address, &place, names, notes)?;
    let mut way = None;
    if let Some(options) = node.deployment.get("sshOptions").filter(|options| !options.is_null()) {
        // colmena hands them to ssh before its own.
        match serde_json::from_value::<Vec<String>>(options.clone()) {
            Ok(words) => way = take_arguments(&mut host, &words, &at("sshOptions"), notes),
            Err(_) => notes.note(&at("sshOptions"), "this is not a list of texts", "write what it says by hand"),
        }
    }
    let user = match node.deployment.get("targetUser") {
        Some(Value::String(user)) => accepted(DraftSetting::User, user, &at("targetUser"), notes),
        Some(_) => None,
        None if node.unknown.iter().any(|option| option == "targetUser" || option == "deployment") => None,
        None => Some("root".to_owned()),
    };
    if let Some(user) = user {
        host.settings.entry(DraftSetting::User).or_insert(user);
    }
    if let Some(port) = node.deployment.get("targetPort").filter(|port| !port.is_null()) {
        let port = accepted(DraftSetting::Port, &port.to_string(), &at("targetPort"), notes);
        if let Some(port) = port {
            host.settings.entry(DraftSetting::Port).or_insert(port);
        }
    }
    host.tags = tags(node, &at("tags"), names, notes);
    Some((host, way))
}

fn tags(node: &ColmenaNode, place: &SourcePlace, names: &mut Names, notes: &mut ImportNotes) -> Vec<String> {
    let given = node.deployment.get("tags").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let mut tags: Vec<String> = Vec::new();
    for given in given {
        let Some(tag) = names.tag(given) else {
            let mend = "name it with letters, digits, `_`, `.` and `-`";
            notes.note(place, format!("`{}` cannot be a tag: left out", shown(given)), mend);
            continue;
        };
        if tag != given {
            notes.note(
                place,
                format!("`{}` cannot be a tag, or is taken", shown(given)),
                format!("it is `{tag}` here"),
            );
        }
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    tags
}

fn list_unread(node: &ColmenaNode, path: &str, notes: &mut ImportNotes) {
    let at = |option: &str| SourcePlace::Attribute(format!("{path}.deployment.{option}"));
    let in_whole = ["deployment".to_owned()];
    if node.unknown == in_whole {
        let what = "`deployment` depends on the whole configuration, which is not evaluated";
        notes.note(&SourcePlace::Attribute(format!("{path}.deployment")), what, "write address, user and tags by hand");
    }
    for option in node.unknown.iter().filter(|option| !in_whole.contains(option)) {
        let what = format!("`{}` depends on the whole configuration, which is not evaluated", shown(option));
        notes.note(&at(option), what, "not carried over: write the value by hand");
    }
    for importing in &node.imports {
        let what = "imported modules are not looked into, since that would evaluate the whole configuration";
        let mend = "if one of them sets `deployment` (`targetHost`, `tags`, ...), write that by hand";
        notes.note(&SourcePlace::Attribute(format!("{}.imports", attribute(importing))), what, mend);
    }
    for other in &node.others {
        let what = format!("`{}` is not known here", shown(other));
        notes.note(&at(&attribute(other)), what, "not carried over: see colmena's manual for what it does");
    }
    for (option, mend) in OTHERWISE {
        let default = matches!(node.deployment.get(option), None | Some(Value::Null));
        let is_off = node.deployment.get(option) == Some(&Value::Bool(option == "replaceUnknownProfiles"));
        let is_sudo = option == "privilegeEscalationCommand"
            && node.deployment.get(option).and_then(|words| words[0].as_str()) == Some("sudo");
        if !(default || is_off || is_sudo) {
            notes.note(&at(option), format!("`{option}` is not carried over"), mend);
        }
    }
    if let Some(keys) = node.deployment.get("keys").and_then(Value::as_array).filter(|keys| !keys.is_empty()) {
        let keys = keys.iter().filter_map(Value::as_str);
        notes.note(&at("keys"), format!("secrets pushed beside the system: {}", listed(keys)), SECRETS);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;

    fn import(hosts: &Value, configurations: Option<&[String]>) -> Result<Imported, ImportError> {
        let wanted = ImportTarget { fleet: None, target: Path::new("/lab/inventory.yaml") };
        from_colmena(&hosts.to_string(), Hive::Flake { flake: ".", configurations }, &wanted)
    }

    #[test]
    fn systems_come_from_nixos_configurations_where_every_node_is_among_them() {
        let hosts = serde_json::json!([{ "name": "a", "deployment": {}, "unknown": [], "others": [], "imports": [] }]);
        let both = ["a".to_owned(), "b".to_owned()];
        let known = import(&hosts, Some(&both)).unwrap();
        assert!(!known.text.contains("attr:") && known.notes.is_empty(), "{}", known.text);
        for configurations in [None, Some(&both[1..])] {
            let other = import(&hosts, configurations).unwrap();
            assert!(other.text.contains("attr: 'colmenaHive.toplevel.\"{host}\"'\n"), "{}", other.text);
            assert_eq!(other.notes.len(), 1);
        }
    }

    proptest! {
        /// Whatever stands in a hive: it never becomes an inventory that is wrong.
        #[test]
        fn any_nodes_become_an_inventory_or_nothing(
            nodes in prop::collection::vec(
                ("[-a-c .:é$]{0,5}", "[-a-c .:@$1-9]{0,8}", "[a-c -;]{0,4}", 0..70000u32, "[a-c @]{0,3}"),
                0..5,
            ),
        ) {
            let hosts: Vec<Value> = nodes.iter().map(|(name, address, user, port, tag)| serde_json::json!({
                "name": name,
                "deployment": { "targetHost": address, "targetUser": user, "targetPort": port, "tags": [tag, "x"] },
                "unknown": [],
                "others": [],
                "imports": [],
            })).collect();
            let imported = import(&hosts.into(), None);
            prop_assert!(matches!(imported, Ok(_) | Err(ImportError::NoHosts { .. })), "{imported:?}");
        }
    }
}
