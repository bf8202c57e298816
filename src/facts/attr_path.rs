//! The inventory's `attr`: a path to a host's system inside a flake or file, with `{host}` in it.

use std::fmt;

/// The text that stands for the host's name.
pub const HOST: &str = "{host}";

/// An attribute path, taken apart: `nixosConfigurations."{host}".config.system.build.toplevel`.
///
/// The name of a host is put into a component after the path was taken apart, so that a dot in it separates nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttrPath {
    components: Vec<String>,
}

/// An error: the text is no [`AttrPath`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
pub enum BadAttrPath {
    #[error("the attribute path `{0}` has no `{HOST}` in it: every host would get the same system")]
    NoHost(String),
    #[error("the attribute path `{0}` has an empty part")]
    EmptyPart(String),
    #[error("the attribute path `{0}` has a quote without its other one")]
    OpenQuote(String),
    #[error("the attribute path `{}` has a control character in it", .0.escape_debug())]
    ControlCharacter(String),
}

impl AttrPath {
    /// Takes a path apart as Nix does: at dots, but not at those between quotes.
    ///
    /// # Errors
    /// See [`BadAttrPath`].
    pub fn parse(text: &str) -> Result<Self, BadAttrPath> {
        let refuse = |how: fn(String) -> BadAttrPath| Err(how(text.to_owned()));
        if text.chars().any(char::is_control) {
            return refuse(BadAttrPath::ControlCharacter);
        }
        let mut components = Vec::new();
        let mut component = String::new();
        let mut quoted = false;
        for character in text.chars() {
            match character {
                '"' => quoted = !quoted,
                '.' if !quoted => components.push(std::mem::take(&mut component)),
                character => component.push(character),
            }
        }
        components.push(component);
        if quoted {
            refuse(BadAttrPath::OpenQuote)
        } else if components.iter().any(String::is_empty) {
            refuse(BadAttrPath::EmptyPart)
        } else if !components.iter().any(|component| component.contains(HOST)) {
            refuse(BadAttrPath::NoHost)
        } else {
            Ok(Self { components })
        }
    }

    /// Returns the path's parts for one host.
    pub(crate) fn first_for(&self, host: &str) -> String {
        self.components[0].replace(HOST, host)
    }

    /// Returns the parts below the first, `{host}` still in them.
    pub(crate) fn below_first(&self) -> &[String] {
        &self.components[1..]
    }

    pub(crate) fn components(&self) -> &[String] {
        &self.components
    }
}

impl fmt::Display for AttrPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&show(&self.components))
    }
}

/// Writes an attribute path as a person would, quoted where it must be.
pub(crate) fn show<Part: AsRef<str>>(components: &[Part]) -> String {
    let show_one = |part: &Part| {
        let part = part.as_ref();
        if is_identifier(part) { part.to_owned() } else { format!("\"{part}\"") }
    };
    components.iter().map(show_one).collect::<Vec<_>>().join(".")
}

/// Writes one component for the fragment of a flake reference, which Nix decodes before it takes it apart.
pub(crate) fn as_fragment(component: &str) -> String {
    if is_identifier(component) {
        return component.to_owned();
    }
    let mut fragment = String::from("%22");
    for byte in component.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_".contains(&byte) {
            fragment.push(char::from(byte));
        } else {
            fragment.push('%');
            fragment.extend([byte >> 4, byte & 0xf].map(|half| char::from(b"0123456789ABCDEF"[usize::from(half)])));
        }
    }
    fragment + "%22"
}

fn is_identifier(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
}

/// Writes a text as a string of the Nix language.
pub(crate) fn nix_string(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            // `${` would begin an interpolation. `\$` is the dollar itself, whatever follows.
            '$' => quoted.push_str("\\$"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            character => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

/// Writes texts as a list of strings of the Nix language.
pub(crate) fn nix_strings<Text: AsRef<str>>(texts: &[Text]) -> String {
    let strings: Vec<String> = texts.iter().map(|text| nix_string(text.as_ref())).collect();
    format!("[ {} ]", strings.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_taken_apart_at_dots_outside_quotes() {
        let path = AttrPath::parse("nixosConfigurations.\"{host}\".config.\"a.b\".toplevel").unwrap();
        assert_eq!(path.components(), ["nixosConfigurations", "{host}", "config", "a.b", "toplevel"]);
        assert_eq!(path.to_string(), "nixosConfigurations.\"{host}\".config.\"a.b\".toplevel");
        assert_eq!(AttrPath::parse("systems-{host}.top").unwrap().first_for("a.b"), "systems-a.b");
    }

    #[test]
    fn a_path_that_cannot_be_meant_is_refused() {
        for (text, error) in [
            ("nixosConfigurations.vps", BadAttrPath::NoHost("nixosConfigurations.vps".into())),
            ("a..{host}", BadAttrPath::EmptyPart("a..{host}".into())),
            ("{host}.", BadAttrPath::EmptyPart("{host}.".into())),
            ("", BadAttrPath::EmptyPart(String::new())),
            ("a.\"{host}", BadAttrPath::OpenQuote("a.\"{host}".into())),
            ("a.\n{host}", BadAttrPath::ControlCharacter("a.\n{host}".into())),
        ] {
            assert_eq!(AttrPath::parse(text), Err(error));
        }
    }

    #[test]
    fn nothing_in_a_text_leaves_its_nix_string() {
        assert_eq!(nix_string("a\"b\\c${d}$e\n"), r#""a\"b\\c\${d}\$e\n""#);
        assert_eq!(nix_strings(&["a", "b"]), "[ \"a\" \"b\" ]");
    }

    #[test]
    fn a_fragment_is_a_name_or_a_quoted_encoded_one() {
        assert_eq!(as_fragment("nixosConfigurations"), "nixosConfigurations");
        assert_eq!(as_fragment("my hosts.x^y#%"), "%22my%20hosts%2Ex%5Ey%23%25%22");
    }
}
