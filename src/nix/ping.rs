//! Whether a store can be worked with: this workstation's, or that of a host over ssh.

use std::time::Duration;

use serde_json::Value;

use super::copy::Destination;
use super::invoke::{AskError, ask, nix};

const COMMAND: &str = "nix store ping";

/// The words of a store about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pinged {
    /// The version of the nix that answers there.
    pub version: Option<String>,
    /// Whether it takes unsigned paths from this login; `None`: it does not say.
    pub trusted: Option<bool>,
}

/// Asks the workstation's own store, or that of a host, in the way in which a copy goes there.
///
/// # Errors
/// [`AskError`]: nix is not here, or the store does not answer.
pub async fn ping(store: Option<Destination<'_>>, limit: Duration) -> Result<Pinged, AskError> {
    let mut invocation = nix(limit);
    if let Some(Destination { ssh_options, .. }) = store {
        invocation = invocation.env("NIX_SSHOPTS", ssh_options);
    }
    invocation = invocation.args(["store", "ping", "--json"]);
    if let Some(store) = store {
        invocation = invocation.arg("--store").arg(store.store());
    }
    let answer = ask(COMMAND, invocation).await?;
    read(&answer).ok_or(AskError::Answer { command: COMMAND, answer })
}

fn read(answer: &str) -> Option<Pinged> {
    let answer: Value = serde_json::from_str(answer).ok()?;
    let trusted = match answer.get("trusted") {
        Some(Value::Bool(trusted)) => Some(*trusted),
        Some(Value::Number(trusted)) => Some(trusted.as_u64() != Some(0)),
        _ => None,
    };
    let version = answer.get("version").and_then(Value::as_str).map(str::to_owned);
    answer.is_object().then_some(Pinged { version, trusted })
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn trust_is_a_number_a_truth_or_not_told() {
        let pinged = |trusted| Some(Pinged { version: Some("2.26.3".into()), trusted });
        assert_eq!(read(r#"{"trusted":1,"url":"ssh-ng://","version":"2.26.3"}"#), pinged(Some(true)));
        assert_eq!(read(r#"{"trusted":false,"version":"2.26.3"}"#), pinged(Some(false)));
        assert_eq!(read(r#"{"trusted":0,"version":"2.26.3"}"#), pinged(Some(false)));
        assert_eq!(read(r#"{"trusted":null,"version":"2.26.3"}"#), pinged(None));
        assert_eq!(read("{}"), Some(Pinged { version: None, trusted: None }));
        assert_eq!(read("Store URL: local"), None);
    }
}
