//! Which nix the workstation has.

use std::fmt;
use std::time::Duration;

use tokio::sync::OnceCell;

use super::invoke::{AskError, ask, nix};

const COMMAND: &str = "nix --version";

/// The oldest Nix with words and options that these modules know.
const OLDEST: (u32, u32) = (2, 18);

/// The same for people.
pub const OLDEST_TEXT: &str = "2.18";

/// `nix (Lix, like Nix) 2.91.1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NixVersion {
    pub flavour: Flavour,
    pub major: u32,
    pub minor: u32,
    /// As it names itself, without the `nix (...)`.
    pub text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavour {
    Nix,
    Determinate,
    Lix,
    Other,
}

impl NixVersion {
    /// Reads what `nix --version` prints, here or on a host; `None` if it is nothing like it.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let line = line.trim();
        let (name, text) = line.rsplit_once(' ')?;
        if !name.starts_with("nix") {
            return None;
        }
        let flavour = match name.to_lowercase() {
            name if name.contains("determinate") => Flavour::Determinate,
            name if name.contains("lix") => Flavour::Lix,
            name if name.contains("(nix)") => Flavour::Nix,
            _ => Flavour::Other,
        };
        let digits = |part: &str| part.split(|digit: char| !digit.is_ascii_digit()).next()?.parse().ok();
        let mut parts = text.split('.');
        let (major, minor) = (digits(parts.next()?)?, digits(parts.next()?)?);
        Some(Self { flavour, major, minor, text: text.to_owned() })
    }

    /// Whether it is as new as what was tried; Lix counts on from 2.90.
    #[must_use]
    pub fn is_new_enough(&self) -> bool {
        (self.major, self.minor) >= OLDEST
    }
}

impl fmt::Display for NixVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.flavour {
            Flavour::Nix | Flavour::Other => "Nix",
            Flavour::Determinate => "Determinate Nix",
            Flavour::Lix => "Lix",
        };
        write!(formatter, "{name} {}", self.text)
    }
}

/// Asks the local nix for its version.
///
/// # Errors
/// See [`AskError`].
pub async fn version(limit: Duration) -> Result<NixVersion, AskError> {
    let answer = ask(COMMAND, nix(limit).arg("--version")).await?;
    NixVersion::parse(&answer).ok_or(AskError::Answer { command: COMMAND, answer })
}

/// The nix of this workstation, which is asked once in a run, whoever wants to know its version.
#[derive(Debug, Default)]
pub struct NixHere(OnceCell<NixVersion>);

impl NixHere {
    /// # Errors
    /// See [`AskError`]. Then the next one asks again.
    pub async fn version(&self, limit: Duration) -> Result<&NixVersion, AskError> {
        self.0.get_or_try_init(|| version(limit)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flavour_is_known_by_its_name() {
        for (line, shown, new_enough) in [
            ("nix (Nix) 2.26.3\n", "Nix 2.26.3", true),
            ("nix (Nix) 2.8.0", "Nix 2.8.0", false),
            ("nix (Nix) 2.34pre20260101_abcdef", "Nix 2.34pre20260101_abcdef", true),
            ("nix (Lix, like Nix) 2.91.1", "Lix 2.91.1", true),
            ("nix (Determinate Nix 3.0.0) 2.27.1", "Determinate Nix 2.27.1", true),
        ] {
            let version = NixVersion::parse(line).unwrap();
            assert_eq!((version.to_string().as_str(), version.is_new_enough()), (shown, new_enough));
        }
        assert_eq!(NixVersion::parse("bash: nix: command not found"), None);
    }
}
