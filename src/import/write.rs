//! Writes a draft down as an inventory that a person reads and goes on with.

use std::fmt::Write as _;

use super::draft::{Draft, DraftHost, DraftSettings, DraftSystems};
use crate::inventory::words::disturbs;
use crate::inventory::yaml::{self, Node};

/// The text of the inventory. Every word in it that comes from the source is a value that the inventory's own rules
/// took, or stands in a comment and stays in its line.
pub(super) fn write(draft: &Draft) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(text, "# Made from {} by `fleetdeploy inventory import`, which listed", remark(&draft.origin));
    text.push_str(
        "# what it could not carry over. inventory.example.yaml shows all that an inventory can say;
# `fleetdeploy inventory check` shows every mistake in this one.
",
    );
    if !draft.defaults.is_empty() {
        text.push_str("\n# Settings of every host; a group, the fleet and the host itself win over them.\ndefaults:\n");
        settings(&mut text, "  ", &draft.defaults);
    }
    if !draft.groups.is_empty() {
        text.push_str(
            "\n# Settings of every host with a tag; a later one of a host's tags wins over an earlier one.\ngroups:\n",
        );
        for (tag, group) in &draft.groups {
            let _ = writeln!(text, "  {}:", scalar(tag));
            settings(&mut text, "    ", group);
        }
    }
    text.push_str(
        "
# A host's name is also its name in the flake. With `vpn: ADDRESS`, its address inside the VPN, a push proves that the
# hosts reach each other there before it is made permanent.
hosts:
",
    );
    for entry in &draft.hosts {
        host(&mut text, entry);
    }
    fleet(&mut text, draft);
    text
}

fn host(text: &mut String, host: &DraftHost) {
    if let Some(remark) = &host.remark {
        let _ = writeln!(text, "  # {}", self::remark(remark));
    }
    let _ = writeln!(text, "  {}:", scalar(host.name.as_str()));
    if let Some(address) = &host.address {
        let _ = writeln!(text, "    address: {}", scalar(address));
    }
    settings(text, "    ", &host.settings);
    if !host.tags.is_empty() {
        let tags: Vec<_> = host.tags.iter().map(|tag| scalar(tag)).collect();
        let _ = writeln!(text, "    tags: [{}]", tags.join(", "));
    }
}

fn fleet(text: &mut String, draft: &Draft) {
    let DraftSystems { key, source, attr, remark } = &draft.systems;
    let _ = writeln!(text, "\nfleets:\n  {}:", scalar(&draft.fleet));
    for line in remark {
        let _ = writeln!(text, "    # {line}");
    }
    let _ = writeln!(text, "    {key}: {}", scalar(source));
    if let Some(attr) = attr {
        let _ = writeln!(text, "    attr: {}", scalar(attr));
    }
    text.push_str(
        "    hosts: all
    # How long a host waits before it goes back to its old system by itself, unless the push has ended well.
    guard: 15m
",
    );
}

/// A foreign text as a comment: whatever it holds, it does not leave its line.
fn remark(text: &str) -> String {
    text.chars().map(|letter| if disturbs(letter) { ' ' } else { letter }).collect()
}

fn settings(text: &mut String, indent: &str, settings: &DraftSettings) {
    for (key, value) in settings {
        let number = *key == super::draft::DraftSetting::Port;
        let value = if number { value.clone() } else { scalar(value) };
        let _ = writeln!(text, "{indent}{}: {value}", key.word());
    }
}

/// A text as a YAML scalar that is read as that text: bare where every reader takes it for one, else in quotes.
fn scalar(text: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "_.-/~+@:".contains(letter);
    // `yes` and its like are booleans to older readers of YAML.
    let is_word = ["yes", "no", "on", "off", "y", "n"].iter().all(|word| !text.eq_ignore_ascii_case(word));
    let stays = text.chars().all(is_plain)
        && text.starts_with(|letter: char| letter.is_ascii_alphanumeric() || "_./~".contains(letter))
        && !text.ends_with(':')
        && is_word
        && matches!(yaml::parse(text), Ok(Node::Text(read)) if read == text);
    if stays {
        return text.to_owned();
    }
    if text.contains('"') && !text.contains('\'') && !text.chars().any(disturbs) {
        return format!("'{text}'");
    }
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            letter if letter.is_control() => {
                let _ = write!(quoted, "\\U{:08x}", u32::from(letter));
            }
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_what_needs_quotes_has_them() {
        for (text, written) in [
            ("web1.example.org", "web1.example.org"),
            ("2001:db8::1", "2001:db8::1"),
            ("~/.ssh/id", "~/.ssh/id"),
            ("~", "\"~\""),
            ("123", "\"123\""),
            ("1.5", "\"1.5\""),
            ("1e3", "\"1e3\""),
            ("Yes", "\"Yes\""),
            ("null", "\"null\""),
            ("nixosConfigurations.\"{host}\"", "'nixosConfigurations.\"{host}\"'"),
        ] {
            assert_eq!(scalar(text), written);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_back_as_it_was(text in "[ -~äö\u{1b}\n\t\u{202e}]{0,20}") {
            prop_assert_eq!(yaml::parse(&scalar(&text)), Ok(Node::Text(text)));
        }

        #[test]
        fn any_word_is_read_back_in_a_list_too(text in "[-_.a-zA-Z0-9:/]{1,12}") {
            let list = format!("[{}, x]", scalar(&text));
            prop_assert_eq!(yaml::parse(&list), Ok(Node::List(vec![Node::Text(text), Node::Text("x".into())])));
        }
    }
}
