//! Who has made and signed what a store has, as `nix path-info --sigs` shows it.

use std::collections::BTreeSet;

/// What a store says of one of its paths.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Signatures {
    /// It was built in this store, and not brought there.
    pub is_built_there: bool,
    /// The names of the keys that have signed it.
    pub keys: BTreeSet<String>,
}

impl Signatures {
    /// Reads a line: the path, `ultimate` for what was built there, `ca:...` for what is named by its content, and
    /// `KEY:SIGNATURE` for each signature. `None`: it is about no path.
    #[must_use]
    pub fn read(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        words.next().filter(|path| path.starts_with("/nix/store/"))?;
        let mut signatures = Self::default();
        for word in words {
            match word.split_once(':') {
                None => signatures.is_built_there |= word == "ultimate",
                Some((key, signature)) if !signature.contains(':') => _ = signatures.keys.insert(key.to_owned()),
                Some(_) => {}
            }
        }
        Some(signatures)
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    /// As Nix 2.26.3 prints them.
    #[test]
    fn a_line_tells_who_has_built_and_signed_a_path() {
        let read = |text: &str| {
            Signatures::read(text)
                .map(|seen| (seen.is_built_there, seen.keys.into_iter().collect::<Vec<_>>().join(" ")))
        };
        assert_eq!(read("/nix/store/x-a\t"), Some((false, String::new())));
        assert_eq!(read("/nix/store/x-a\tultimate"), Some((true, String::new())));
        assert_eq!(read("/nix/store/x-a\tultimate b-1:Ab/+c== a-1:x=="), Some((true, "a-1 b-1".to_owned())));
        assert_eq!(read("/nix/store/x-source\tca:fixed:r:sha256:17b2mj"), Some((false, String::new())));
        assert_eq!(read("warning: the group 'nixbld' does not exist"), None);
        assert_eq!(read(""), None);
    }
}
