//! Reads the settings of Nix that a flake brings (`nixConfig`). An evaluation of the flake takes them over by itself; a
//! build of what was evaluated is of a derivation, and has to be told.

use serde_json::Value;

use super::metadata::FlakeMetadata;
use crate::facts::attr_path::nix_string;
use crate::inventory::model::{NixSettings, TAKEN_SETTINGS};
use crate::local::process::Invocation;
use crate::nix::invoke::{AskError, ask};
use crate::nix::plain::{cut, plain};

const COMMAND: &str = "nix eval";

/// Asks for the settings of a flake. `nix` is one that takes over no setting of a flake.
///
/// Nix itself reads them from the file alone, before any input, and lets nothing stand there that needs more. As a
/// flake it would fetch the inputs of the lock file, without those that a fleet overrides, and call its outputs.
///
/// # Errors
/// See [`AskError`].
pub(super) async fn flake_settings(nix: Invocation, flake: &FlakeMetadata) -> Result<NixSettings, AskError> {
    // A Nix that copies no tree to the store before something is read of it has the file elsewhere.
    let elsewhere = format!("(builtins.getFlake {}).outPath + \"/flake.nix\"", nix_string(&flake.locked_url));
    let file = match flake.file.as_deref().map(nix_string) {
        Some(file) => format!("if builtins.pathExists {file} then {file} else {elsewhere}"),
        None => elsewhere,
    };
    // Only an impure evaluation reads a file by its path.
    let expression = format!("(import ({file})).nixConfig or {{ }}");
    let question = nix.args(["eval", "--json", "--impure", "--expr", &expression]);
    read(&ask(COMMAND, question).await?)
}

fn read(answer: &str) -> Result<NixSettings, AskError> {
    let nonsense = || AskError::Answer { command: COMMAND, answer: cut(&plain(answer), 200).to_owned() };
    let Ok(Value::Object(settings)) = serde_json::from_str(answer) else { return Err(nonsense()) };
    let settings = settings.into_iter().filter(|(name, _)| !TAKEN_SETTINGS.contains(&name.as_str()));
    settings
        .map(|(name, value)| Some((beside_ours(name), text_of(&value)?)))
        .collect::<Option<_>>()
        .ok_or_else(nonsense)
}

/// A build needs the features that every nix of ours is run with, whatever the flake wants beside them.
fn beside_ours(name: String) -> String {
    if name == "experimental-features" { format!("extra-{name}") } else { name }
}

/// Writes a value as Nix does that takes it over. Source: Nix, `flake/config.cc`, `ConfigFile::apply`.
fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(yes) => Some(yes.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::Array(texts) => Some(texts.iter().map(Value::as_str).collect::<Option<Vec<_>>>()?.join(" ")),
        Value::Null | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn each_value_is_written_as_nix_writes_it_and_what_is_ours_is_left_out() {
        let answer = r#"{"extra-substituters":["https://a","https://b"],"cores":2,"sandbox":false,"store":"/x",
            "experimental-features":["ca-derivations"]}"#;
        let settings = read(answer).unwrap();
        let settings: Vec<_> = settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let features = ("extra-experimental-features", "ca-derivations");
        let caches = ("extra-substituters", "https://a https://b");
        assert_eq!(settings, [("cores", "2"), features, caches, ("sandbox", "false")]);
        assert!(read(r#"{"cores":{}}"#).is_err() && read("[]").is_err());
    }
}
