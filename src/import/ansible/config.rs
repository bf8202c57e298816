//! `ansible.cfg`: what it says of the way to every host is below all that an inventory says.
//!
//! Source: "Ansible Configuration Settings" in Ansible's documentation. The form is that of Python's `configparser`,
//! with `;` for a comment behind a value.

use std::path::{Path, PathBuf};

use super::super::note::{ImportNotes, SourcePlace};
use super::model::{ALL, Ansible, AnsibleValue, Variable};
use crate::inventory::words::listed;
use crate::inventory::yaml::Position;

/// What a setting is called as a variable.
const AS_VARIABLES: [(&str, &str, &str); 12] = [
    ("defaults", "remote_user", "ansible_user"),
    ("defaults", "remote_port", "ansible_port"),
    ("defaults", "private_key_file", "ansible_private_key_file"),
    ("defaults", "transport", "ansible_connection"),
    ("defaults", "host_key_checking", "ansible_ssh_host_key_checking"),
    ("ssh_connection", "ssh_args", "ansible_ssh_args"),
    ("ssh_connection", "ssh_common_args", "ansible_ssh_common_args"),
    ("ssh_connection", "ssh_extra_args", "ansible_ssh_extra_args"),
    ("ssh_connection", "host_key_checking", "ansible_ssh_host_key_checking"),
    ("privilege_escalation", "become", "ansible_become"),
    ("privilege_escalation", "become_method", "ansible_become_method"),
    ("privilege_escalation", "become_user", "ansible_become_user"),
];

/// Whether sudo asks for a password: in a variable it would be the password itself.
const ASKS: (&str, &str) = ("privilege_escalation", "become_ask_pass");

/// Whether a login asks for one.
const ASKS_FOR_LOGIN: (&str, &str) = ("defaults", "ask_pass");

/// Folders above that of an inventory in which the file is looked for: `inventories/production/hosts` has it two above.
const ABOVE: usize = 3;

/// The file that Ansible would take, if it were run where its files are: that which `ANSIBLE_CONFIG` names (`named`),
/// the one in the working folder, else the one beside the inventory or above it, the person's own, that of the machine.
#[must_use]
pub fn find(named: Option<&Path>, inventory: &Path, home: Option<&Path>) -> Option<PathBuf> {
    let named = named.map(|named| if named.is_dir() { named.join("ansible.cfg") } else { named.to_owned() });
    let whole = std::path::absolute(inventory).unwrap_or_else(|_| inventory.to_owned());
    let above =
        whole.ancestors().skip(usize::from(!inventory.is_dir())).take(ABOVE).map(|folder| folder.join("ansible.cfg"));
    let mut places = named
        .into_iter()
        .chain([PathBuf::from("ansible.cfg")])
        .chain(above)
        .chain(home.map(|home| home.join(".ansible.cfg")))
        .chain([PathBuf::from("/etc/ansible/ansible.cfg")]);
    places.find(|path| path.is_file())
}

/// Lays what the file says below the inventory, which has been read; the rest is listed.
pub(super) fn read(path: &Path, ansible: &mut Ansible, notes: &mut ImportNotes) {
    let text = match std::fs::read(path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => {
            let place = SourcePlace::File(notes.file(path, String::new()));
            notes.note(&place, format!("this file cannot be read: {error}"), "what it says of connections is missing");
            return;
        }
    };
    let file = notes.file(path, text.clone());
    let mut rest = Vec::new();
    for setting in settings(file, &text) {
        let ConfigSetting { section, key, value, place } = setting;
        if (section.as_str(), key.as_str()) == ASKS {
            if super::connection::is_true(&value) {
                let mend =
                    "write `become: sudo-password` where that is so: it is asked for once, before anything starts";
                notes.note(&place, "sudo asks for a password (`become_ask_pass`)", mend);
            }
            continue;
        }
        if (section.as_str(), key.as_str()) == ASKS_FOR_LOGIN {
            if super::connection::is_true(&value) {
                let mend = "fleetdeploy logs in with keys: put yours on the hosts, as with `ssh-copy-id`";
                notes.note(&place, "Ansible asks for the password of the logins (`ask_pass`)", mend);
            }
            continue;
        }
        let known = AS_VARIABLES.iter().find(|(of, name, _)| (*of, *name) == (section.as_str(), key.as_str()));
        let Some((_, _, variable)) = known else {
            rest.push(key);
            continue;
        };
        if key == "host_key_checking" && super::connection::is_true(&value) {
            // As it is here, whatever is said.
            continue;
        }
        let variables = &mut ansible.group(ALL, &place).variables.inline;
        variables.entry((*variable).to_owned()).or_insert(Variable { value: AnsibleValue::Text(value), place });
    }
    if !rest.is_empty() {
        let what = format!("for Ansible alone: {}", listed(rest.iter().map(String::as_str)));
        notes.note(
            &SourcePlace::File(file),
            what,
            "nothing to do: they say how Ansible works, and fleetdeploy does not run it",
        );
    }
}

struct ConfigSetting {
    section: String,
    key: String,
    value: String,
    place: SourcePlace,
}

/// `key = value` or `key: value` below `[section]`; a line that is further in goes on with the value above it.
fn settings(file: usize, text: &str) -> Vec<ConfigSetting> {
    let mut section = String::new();
    let mut settings: Vec<ConfigSetting> = Vec::new();
    let mut goes_on = false;
    for (number, line) in (1..).zip(text.lines()) {
        let indent = line.chars().take_while(|letter| letter.is_whitespace()).count();
        let content = without_comment(line.trim());
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        if indent > 0 && goes_on {
            if let Some(last) = settings.last_mut() {
                last.value = [last.value.as_str(), content].join(" ").trim().into();
            }
            continue;
        }
        goes_on = false;
        if let Some(name) = content.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name.trim().to_ascii_lowercase();
        } else if let Some((key, value)) = content.split_once(['=', ':']) {
            let place = SourcePlace::Line { file, at: Position { line: number, column: indent + 1 } };
            let (key, value) = (key.trim().to_ascii_lowercase(), value.trim());
            // Ansible takes quotes around a whole value off.
            let bare = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
            let value = bare.unwrap_or(value).to_owned();
            settings.push(ConfigSetting { section: section.clone(), key, value, place });
            goes_on = true;
        }
    }
    settings
}

fn without_comment(line: &str) -> &str {
    if line.starts_with(';') {
        return "";
    }
    let end = line.match_indices(';').find(|(at, _)| line[..*at].ends_with(char::is_whitespace));
    end.map_or(line, |(at, _)| line[..at].trim_end())
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn sections_comments_and_values_over_several_lines_are_read() {
        let text = "\
# remote_user = nobody
[defaults]
Remote_User: deploy   ; not root
; forks = 5
private_key_file = '~/.ssh/fleet'
empty =

[ssh_connection]
ssh_args = -o ProxyJump=gate;x
    -C
  # not this
";
        let read: Vec<(String, String, String)> =
            settings(0, text).into_iter().map(|setting| (setting.section, setting.key, setting.value)).collect();
        let wanted = [
            ("defaults", "remote_user", "deploy"),
            ("defaults", "private_key_file", "~/.ssh/fleet"),
            ("defaults", "empty", ""),
            ("ssh_connection", "ssh_args", "-o ProxyJump=gate;x -C"),
        ];
        assert_eq!(read, wanted.map(|(section, key, value)| (section.into(), key.into(), value.into())));
    }

    #[test]
    fn the_file_nearest_to_the_inventory_is_the_one() {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path();
        let inventory = here.join("inventories/production/hosts");
        std::fs::create_dir_all(inventory.parent().unwrap()).unwrap();
        for file in ["ansible.cfg", ".ansible.cfg", "other.cfg"] {
            std::fs::write(here.join(file), "").unwrap();
        }
        std::fs::write(&inventory, "").unwrap();
        let found = |named: Option<&Path>| find(named, &inventory, Some(here));
        assert_eq!(found(None), Some(here.join("ansible.cfg")));
        std::fs::write(here.join("inventories/ansible.cfg"), "").unwrap();
        assert_eq!(found(None), Some(here.join("inventories/ansible.cfg")));
        assert_eq!(found(Some(&here.join("other.cfg"))), Some(here.join("other.cfg")));
        assert_eq!(found(Some(&here.join("not-there.cfg"))), found(None));
        assert_eq!(find(None, Path::new("/nonexistent/hosts"), Some(here)), Some(here.join(".ansible.cfg")));
    }
}
