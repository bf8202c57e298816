//! The nodes of deploy-rs, as [`nix::foreign`](crate::nix::foreign) has read them from a flake.
//!
//! Source: deploy-rs's `interface.json` and README: a setting of a profile wins over that of its node, and that over
//! the one of `deploy` itself; `sshOpts` of all three are put together.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::draft::{Draft, DraftHost, DraftSetting, DraftSystems};
use super::names::Names;
use super::note::{ImportNotes, SourcePlace};
use super::way::{JumpWay, jumps, take_arguments};
use super::{ImportError, ImportTarget, Imported, accepted, accepted_address, attribute, finish, named};
use crate::inventory::words::{listed, shown};

type DeploySettings = BTreeMap<String, Value>;

/// What nix is asked for.
#[derive(Debug, Deserialize)]
struct DeployAnswer {
    /// The settings of `deploy` itself.
    settings: DeploySettings,
    nodes: Vec<DeployNode>,
}

#[derive(Debug, Deserialize)]
struct DeployNode {
    name: String,
    settings: DeploySettings,
    profiles: Vec<Profile>,
}

#[derive(Debug, Deserialize)]
struct Profile {
    name: String,
    settings: DeploySettings,
}

/// The profile that is a whole system.
const SYSTEM: &str = "system";

const GUARDED: &str =
    "every push is guarded: what a push activates goes back by itself unless the whole fleet is proven";

/// Settings that fleetdeploy has its own way for.
const OTHERWISE: [(&str, &str); 9] = [
    ("magicRollback", GUARDED),
    ("autoRollback", GUARDED),
    ("confirmTimeout", "how long links may take is `settle`, and how long a host waits is `guard`"),
    ("activationTimeout", "how long an activation may take is `limits: {test: TIME}`"),
    ("fastConnection", "whether a host fetches for itself is `nix: {substitute_on_destination: true}`"),
    ("remoteBuild", "where it is true, write `build_on: target` for the host"),
    ("tempPath", "nothing to do: fleetdeploy keeps its files in /run/fleetdeploy"),
    ("sudoFile", "not read: a sudo password is asked for once, before a push begins"),
    ("sudoSecret", "not read: a sudo password is asked for once, before a push begins"),
];

/// Makes an inventory of nix's answer about the flake. `flake` is what the inventory is to say, relative to its folder;
/// `configurations` are the names of the flake's `nixosConfigurations`, if it has them.
///
/// # Errors
/// [`ImportError::Answer`] if the answer has another shape, [`ImportError::NoHosts`] if no node has a system.
pub fn from_deploy_rs(
    answer: &str,
    configurations: Option<&[String]>,
    flake: &str,
    wanted: &ImportTarget<'_>,
) -> Result<Imported, ImportError> {
    let origin = format!("the deploy-rs nodes of the flake {flake}");
    let answer: DeployAnswer =
        serde_json::from_str(answer).map_err(|source| ImportError::Answer { origin: origin.clone(), source })?;
    let mut notes = ImportNotes::default();
    let mut names = Names::default();
    let fleet = wanted.fleet.unwrap_or(super::ANY_FLEET).to_owned();
    let mut draft = Draft::new(origin, fleet, DraftSystems::flake(flake));
    list_otherwise(&answer.settings, "deploy", &mut notes);
    let mut ways = Vec::new();
    for node in &answer.nodes {
        let path = format!("deploy.nodes.{}", attribute(&node.name));
        list_otherwise(&node.settings, &path, &mut notes);
        list_profiles(node, &path, &mut notes);
        let Some(system) = node.profiles.iter().find(|profile| profile.name == SYSTEM) else {
            let mend = "fleetdeploy pushes whole systems: add the host by hand if its flake has one";
            notes.note(&SourcePlace::Attribute(path), "this node has no profile `system`: left out", mend);
            continue;
        };
        let of_profile = format!("{path}.profiles.{SYSTEM}");
        let layers =
            [(&system.settings, of_profile), (&node.settings, path.clone()), (&answer.settings, "deploy".into())];
        let Some((host, way)) = host(&node.name, &path, &layers, &mut names, &mut notes) else { continue };
        if configurations.is_some_and(|known| known.iter().all(|known| known != host.name.as_str())) {
            let what = "the flake has none of this name in `nixosConfigurations`";
            let mend = "give the host the name that its configuration has there, or the fleet another `attr`";
            notes.note(&SourcePlace::Attribute(path), what, mend);
        }
        draft.hosts.push(host);
        ways.push(way);
    }
    if configurations.is_none() {
        let mend = "say as the fleet's `attr` where in the flake a host's system is";
        notes.note(
            &SourcePlace::Attribute("nixosConfigurations".into()),
            "the flake has none, or they cannot be read",
            mend,
        );
    }
    jumps(&mut draft.hosts, ways, &mut notes);
    finish(draft, notes, wanted)
}

type Layers<'a> = [(&'a DeploySettings, String)];

fn host(
    name: &str,
    path: &str,
    layers: &Layers<'_>,
    names: &mut Names,
    notes: &mut ImportNotes,
) -> Option<(DraftHost, JumpWay)> {
    let place = SourcePlace::Attribute(path.to_owned());
    let address = found(layers, "hostname").and_then(|(value, at)| text(value, "hostname", &at, notes));
    let address = address.and_then(|address| accepted_address(&address, &place, notes));
    let mut host = named(name, address, &place, names, notes)?;
    let mut way = None;
    if let Some((value, at)) = found(layers, "sshUser")
        && let Some(user) = text(value, "sshUser", &at, notes)
    {
        host.settings.extend(accepted(DraftSetting::User, &user, &at, notes).map(|user| (DraftSetting::User, user)));
    }
    for (settings, path) in layers {
        let Some(options) = settings.get("sshOpts") else { continue };
        let at = SourcePlace::Attribute(format!("{path}.sshOpts"));
        let Ok(words) = serde_json::from_value::<Vec<String>>(options.clone()) else {
            notes.note(&at, "this is not a list of texts", "write what it says by hand");
            continue;
        };
        // Some write an option and its value as one element.
        let words: Vec<String> = words.iter().flat_map(|word| one_option(word)).collect();
        let of_layer = take_arguments(&mut host, &words, &at, notes);
        way = way.or(of_layer);
    }
    becoming(&mut host, layers, notes);
    Some((host, way))
}

/// `"-p 2222"` as `-p` and `2222`; a text that begins with no option is one word, spaces and all.
fn one_option(word: &str) -> Vec<String> {
    match word.split_once(' ') {
        Some((option, value)) if option.len() == 2 && option.starts_with('-') => {
            vec![option.into(), value.trim().into()]
        }
        _ => vec![word.to_owned()],
    }
}

fn becoming(host: &mut DraftHost, layers: &Layers<'_>, notes: &mut ImportNotes) {
    if let Some((value, at)) = found(layers, "user")
        && let Some(user) = text(value, "user", &at, notes)
        && user != "root"
    {
        let mend = "a system is root's: fleetdeploy logs in and becomes root";
        notes.note(&at, format!("the profile `system` belongs to `{}`", shown(&user)), mend);
    }
    if let Some((sudo, at)) = found(layers, "sudo") {
        let is_sudo = sudo.as_str().is_some_and(|sudo| sudo.starts_with("sudo"));
        if !is_sudo {
            let what = "the host becomes root by another command than sudo";
            notes.note(&at, what, "name it by `become`: `doas`, `run0`, or the words of its command");
        }
    }
    let is_root = host.settings.get(&DraftSetting::User).is_some_and(|user| user == "root");
    if !is_root && found(layers, "interactiveSudo").is_some_and(|(value, _)| *value == Value::Bool(true)) {
        host.settings.insert(DraftSetting::Become, "sudo-password".to_owned());
    }
}

/// The nearest layer's value, and its place.
fn found<'a>(layers: &'a Layers<'_>, name: &str) -> Option<(&'a Value, SourcePlace)> {
    layers.iter().find_map(|(settings, path)| {
        let value = settings.get(name).filter(|value| !value.is_null())?;
        Some((value, SourcePlace::Attribute(format!("{path}.{name}"))))
    })
}

fn text(value: &Value, name: &str, place: &SourcePlace, notes: &mut ImportNotes) -> Option<String> {
    let text = value.as_str();
    if text.is_none() {
        notes.note(place, format!("`{name}` is not a text, or cannot be read"), "write it by hand");
    }
    text.map(Into::into)
}

fn list_otherwise(settings: &DeploySettings, path: &str, notes: &mut ImportNotes) {
    for (name, mend) in OTHERWISE {
        if settings.get(name).is_some_and(|value| !value.is_null()) {
            notes.note(
                &SourcePlace::Attribute(format!("{path}.{name}")),
                format!("`{name}` is not carried over"),
                mend,
            );
        }
    }
}

fn list_profiles(node: &DeployNode, path: &str, notes: &mut ImportNotes) {
    let others: Vec<&str> =
        node.profiles.iter().map(|profile| profile.name.as_str()).filter(|name| *name != SYSTEM).collect();
    if !others.is_empty() {
        let mend = "only `system` is pushed: a profile of a user can be a part of it (home-manager's NixOS module)";
        notes.note(
            &SourcePlace::Attribute(format!("{path}.profiles")),
            format!("other profiles: {}", listed(others)),
            mend,
        );
    }
    for profile in &node.profiles {
        let path = format!("{path}.profiles.{}", attribute(&profile.name));
        list_otherwise(&profile.settings, &path, notes);
        if profile.name == SYSTEM && profile.settings.contains_key("profilePath") {
            let mend = "a system's profile is /nix/var/nix/profiles/system: nothing to do if that is it";
            notes.note(
                &SourcePlace::Attribute(format!("{path}.profilePath")),
                "where the profile is is not carried over",
                mend,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;

    fn import(answer: &Value) -> Result<Imported, ImportError> {
        let wanted = ImportTarget { fleet: None, target: Path::new("/lab/inventory.yaml") };
        from_deploy_rs(&answer.to_string(), Some(&[]), ".", &wanted)
    }

    #[test]
    fn an_answer_of_another_shape_is_refused() {
        for answer in ["", "null", "[]", r#"{"nodes":{}}"#, r#"{"settings":{},"nodes":[{"name":1}]}"#] {
            let wanted = ImportTarget { fleet: None, target: Path::new("inventory.yaml") };
            let error = from_deploy_rs(answer, None, ".", &wanted).unwrap_err();
            assert!(matches!(error, ImportError::Answer { .. }), "{answer}: {error}");
        }
    }

    #[test]
    fn the_nearest_layer_wins_and_options_are_put_together() {
        let imported = import(&serde_json::json!({
            "settings": { "sshUser": "top", "sshOpts": ["-p", "1"] },
            "nodes": [{
                "name": "vps",
                "settings": { "sshUser": "node", "hostname": "vps.example.org", "sshOpts": ["-i ~/.ssh/id"] },
                "profiles": [{ "name": "system", "settings": { "sshUser": "profile" } }],
            }],
        }));
        let text = imported.unwrap().text;
        for line in ["user: profile", "port: 1", "identity: ~/.ssh/id", "address: vps.example.org"] {
            assert!(text.contains(&format!("    {line}\n")), "{line}: {text}");
        }
    }

    proptest! {
        /// Whatever stands in a flake: it never becomes an inventory that is wrong.
        #[test]
        fn any_nodes_become_an_inventory_or_nothing(
            nodes in prop::collection::vec(
                ("[-a-c .:é$]{0,5}", "[-a-c .:@$1-9]{0,8}", "[a-c -;]{0,4}", "-J [a-c,@:1]{0,4}"),
                0..5,
            ),
        ) {
            let nodes: Vec<Value> = nodes.iter().map(|(name, address, user, options)| serde_json::json!({
                "name": name,
                "settings": { "hostname": address, "sshUser": user, "sshOpts": [options] },
                "profiles": [{ "name": "system", "settings": {} }],
            })).collect();
            let imported = import(&serde_json::json!({ "settings": {}, "nodes": nodes }));
            prop_assert!(matches!(imported, Ok(_) | Err(ImportError::NoHosts { .. })), "{imported:?}");
        }
    }
}
