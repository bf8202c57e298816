//! Makes the text of the generated ssh config, from the inventory and from what `ssh -G` says. It is pure.
//!
//! One config serves the masters, jumps, `nix copy` and new logins alike. Every block has the `ControlPath` of its own
//! machine, so that a `ProxyJump` uses the jump's master. `-F` switches the user's and the system's config off, so
//! their settings for a machine are put into its block.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::known_hosts::{Known, Trust, split_files};
use crate::inventory::model::HostKey;

/// The settings of every machine. The first value wins in ssh, so they stand above all blocks.
///
/// `ServerAlive*`: a dead link is noticed after 15 to 20 s (`ssh_config(5)`). `UpdateHostKeys no`: a run does not
/// rewrite the user's `known_hosts`. ssh never asks a question.
const COMMON: &str = "\
BatchMode yes
ControlMaster no
ServerAliveInterval 5
ServerAliveCountMax 3
ConnectionAttempts 1
ClearAllForwardings yes
RemoteCommand none
RequestTTY no
ForwardAgent no
ForwardX11 no
CheckHostIP no
UpdateHostKeys no
CanonicalizeHostname no
";

/// The settings that are taken over from the user's config: how to connect, where to, as which user, with which keys
/// and ciphers.
///
/// These are left out: forwardings, commands, the environment, all that asks or talks, and what [`COMMON`] decides.
/// Names as `ssh -G` prints them; `ssh_config(5)`.
const TAKEN_OVER: [&str; 37] = [
    "addressfamily",
    "bindaddress",
    "bindinterface",
    "casignaturealgorithms",
    "certificatefile",
    "ciphers",
    "compression",
    "enablesshkeysign",
    "globalknownhostsfile",
    "gssapiauthentication",
    "hashknownhosts",
    "hostbasedacceptedalgorithms",
    "hostbasedauthentication",
    "hostkeyalgorithms",
    "hostkeyalias",
    "identitiesonly",
    "identityagent",
    "identityfile",
    "ipqos",
    "kexalgorithms",
    "knownhostscommand",
    "macs",
    "nohostauthenticationforlocalhost",
    "obscurekeystroketiming",
    "pkcs11provider",
    "preferredauthentications",
    "proxycommand",
    "proxyusefdpass",
    "pubkeyacceptedalgorithms",
    "pubkeyauthentication",
    "rekeylimit",
    "requiredrsasize",
    "revokedhostkeys",
    "securitykeyprovider",
    "tcpkeepalive",
    "userknownhostsfile",
    "verifyhostkeydns",
];

/// Each line of these has one path, which may have spaces.
const ONE_PATH: [&str; 3] = ["identityfile", "identityagent", "certificatefile"];

/// Each line of these has several paths.
const SEVERAL_PATHS: [&str; 2] = ["userknownhostsfile", "globalknownhostsfile"];

/// The settings that tell which keys are trusted. They do not count any more where the run has its own [`Trust`].
const TRUST: [&str; 5] =
    ["globalknownhostsfile", "hostkeyalias", "knownhostscommand", "userknownhostsfile", "verifyhostkeydns"];

/// The settings of the user's config for one destination.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct UserSettings {
    pub(super) hostname: String,
    pub(super) user: Option<String>,
    pub(super) port: u16,
    /// Hops as the user wrote them, the nearest to us first.
    pub(super) proxy_jump: Vec<String>,
    pub(super) host_key_alias: Option<String>,
    pub(super) proxy_command: bool,
    /// Whether a setting names the machine by its host name while connecting: then an address must not stand in for it.
    pub(super) needs_name: bool,
    /// The files that ssh looks for the machine's key in.
    pub(super) known_hosts: Vec<PathBuf>,
    /// Lines for the block, as they go in.
    pub(super) lines: Vec<String>,
}

impl UserSettings {
    /// Reads the output of `ssh -G` for `destination`: `configured` with the user's config, `bare` with none (`-F
    /// none`).
    ///
    /// Only what differs goes in. The defaults must not: `HostKeyAlgorithms` spelled out, even with its default, stops
    /// ssh from asking first for the key type that `known_hosts` has (sshconnect2.c, `order_hostkeyalgs`), and a
    /// known host then looks unknown. Held by `a_host_known_by_another_key_type_is_known` in `tests/ssh.rs`.
    pub(super) fn read(destination: &str, configured: &str, bare: &str) -> Self {
        let pairs = |text: &'_ str| -> Vec<(String, String)> {
            text.lines()
                .filter_map(|line| line.split_once(' '))
                .map(|(key, value)| (key.to_ascii_lowercase(), value.trim().to_owned()))
                .collect()
        };
        let (configured, bare) = (pairs(configured), pairs(bare));
        let all = |pairs: &[(String, String)], key: &str| -> Vec<String> {
            pairs.iter().filter(|(found, _)| found == key).map(|(_, value)| value.clone()).collect()
        };
        let one = |key: &str| all(&configured, key).pop().filter(|value| value != "none" && !value.is_empty());
        let hostname = one("hostname").unwrap_or_else(|| destination.to_owned());
        let mut lines = Vec::new();
        for key in TAKEN_OVER {
            let (values, defaults) = (all(&configured, key), all(&bare, key));
            if values == defaults || (key == "proxycommand" && values == ["none"]) {
                continue;
            }
            for value in values {
                if SEVERAL_PATHS.contains(&key) {
                    lines.push(several_paths(key, &value));
                    continue;
                }
                let value = match key {
                    "hostkeyalgorithms" => relative_to_default(&value, &defaults.join(",")),
                    _ => expand(&value, destination, &hostname),
                };
                lines.push(line(key, &value));
            }
        }
        let known_hosts = SEVERAL_PATHS.iter().flat_map(|key| all(&configured, key));
        Self {
            known_hosts: known_hosts.flat_map(|printed| split_files(&printed, Path::exists)).collect(),
            user: one("user"),
            port: one("port").and_then(|port| port.parse().ok()).unwrap_or(22),
            proxy_jump: one("proxyjump").map(|hops| hops.split(',').map(str::to_owned).collect()).unwrap_or_default(),
            host_key_alias: one("hostkeyalias"),
            proxy_command: one("proxycommand").is_some(),
            needs_name: one("verifyhostkeydns").is_some_and(|value| value != "false" && value != "no"),
            hostname,
            lines,
        }
    }

    /// Returns how ssh looks for this machine's key.
    pub(super) fn known(&self) -> Known {
        let name = self.host_key_alias.as_ref().unwrap_or(&self.hostname).to_ascii_lowercase();
        let first = match &self.host_key_alias {
            None if self.port != 22 => format!("[{name}]:{}", self.port),
            _ => name.clone(),
        };
        Known { name, first, files: self.known_hosts.clone() }
    }
}

/// Writes paths that `ssh -G` has printed. It has expanded `~` and every `%` in them (OpenSSH, ssh.c).
fn several_paths(key: &str, printed: &str) -> String {
    let files = split_files(printed, Path::exists);
    files.iter().fold(key.to_owned(), |line, file| format!("{line} {}", quoted(file)))
}

/// Writes a path so that ssh reads it as it is (OpenSSH, misc.c, `argv_split`, and `percent_expand`).
fn quoted(file: &Path) -> String {
    let text = file.to_string_lossy().replace('%', "%%");
    if text.contains([' ', '"', '\'', '\\']) {
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    } else {
        text
    }
}

fn line(key: &str, value: &str) -> String {
    if ONE_PATH.contains(&key) && value.contains(' ') && !value.contains('"') {
        format!("{key} \"{value}\"")
    } else {
        format!("{key} {value}")
    }
}

/// Expands `%n` and `%h` of the user's config: they mean the destination that the user types, not our alias or a pinned
/// address.
fn expand(value: &str, destination: &str, hostname: &str) -> String {
    let mut text = String::with_capacity(value.len());
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        match character {
            '%' => match characters.next() {
                Some('n') => text.push_str(&destination.replace('%', "%%")),
                Some('h') => text.push_str(&hostname.replace('%', "%%")),
                Some(other) => text.extend(['%', other]),
                None => text.push('%'),
            },
            other => text.push(other),
        }
    }
    text
}

/// Writes a list that only adds to the default or takes from it in that form again: only then does ssh keep its order.
fn relative_to_default(value: &str, default: &str) -> String {
    let (wanted, standard): (Vec<&str>, Vec<&str>) = (value.split(',').collect(), default.split(',').collect());
    if let Some(added) = value.strip_prefix(default).and_then(|rest| rest.strip_prefix(',')) {
        return format!("+{added}");
    }
    let kept: Vec<&str> = standard.iter().copied().filter(|name| wanted.contains(name)).collect();
    let removed: Vec<&str> = standard.iter().copied().filter(|name| !wanted.contains(name)).collect();
    if kept == wanted && !removed.is_empty() { format!("-{}", removed.join(",")) } else { value.to_owned() }
}

/// One `Host` block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HostBlock {
    pub(super) alias: String,
    pub(super) hostname: String,
    pub(super) user: Option<String>,
    pub(super) port: u16,
    pub(super) identity: Option<PathBuf>,
    /// The alias of the jump.
    pub(super) jump: Option<String>,
    /// The name to look for in `known_hosts`, when it is not `hostname`.
    pub(super) known_as: Option<String>,
    /// What the machine is known by instead, since a login has worked.
    pub(super) trust: Option<Trust>,
    pub(super) host_key: HostKey,
    pub(super) control: PathBuf,
    pub(super) connect: Duration,
    /// Whether the connection is compressed, and so all that uses its master; `None` is what the user's config says.
    pub(super) compress: Option<bool>,
    pub(super) lines: Vec<String>,
}

impl HostBlock {
    fn write(&self, text: &mut String) {
        let strict = match self.host_key {
            HostKey::AcceptNew if self.trust.as_ref().is_none_or(|trust| trust.learns) => "accept-new",
            HostKey::Strict | HostKey::AcceptNew => "yes",
        };
        let _ = write!(
            text,
            "\nHost {}\n  HostName {}\n  Port {}\n",
            self.alias,
            // HostName expands %h (and %%), and an address with a zone has a percent sign of its own.
            self.hostname.replace('%', "%%"),
            self.port
        );
        let mut put = |key: &str, value: &str| {
            let _ = writeln!(text, "  {key} {value}");
        };
        if let Some(user) = &self.user {
            put("User", user);
        }
        put("ControlPath", &self.control.to_string_lossy());
        put("StrictHostKeyChecking", strict);
        put("ConnectTimeout", &self.connect.as_secs().max(1).to_string());
        if let Some(compress) = self.compress {
            put("Compression", if compress { "yes" } else { "no" });
        }
        match (&self.trust, &self.known_as) {
            (Some(trust), _) => {
                put("HostKeyAlias", &trust.name);
                put("UserKnownHostsFile", &quoted(&trust.file));
                put("GlobalKnownHostsFile", "none");
            }
            (None, Some(known_as)) => put("HostKeyAlias", known_as),
            (None, None) => {}
        }
        if let Some(jump) = &self.jump {
            put("ProxyJump", jump);
        }
        let identity = self.identity.as_ref().map(|file| line("identityfile", &file.to_string_lossy()));
        for line in identity.iter().chain(self.lines.iter().filter(|line| Some(*line) != identity.as_ref())) {
            let key = line.split(' ').next().unwrap_or_default();
            // If we give a jump, the user's own proxy must not come back; if we give what is trusted, nothing beside
            // it.
            let is_ours =
                (self.jump.is_some() && key.starts_with("proxy")) || (self.trust.is_some() && TRUST.contains(&key));
            if !is_ours {
                let _ = writeln!(text, "  {line}");
            }
        }
    }
}

/// Makes the whole config.
pub(super) fn render(blocks: &[HostBlock]) -> String {
    let mut text = format!("# Written by fleetdeploy for one run; it goes with the run.\n{COMMON}");
    for block in blocks {
        block.write(&mut text);
    }
    text
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    const BARE: &str = "host vps.example.org\nuser me\nhostname vps.example.org\nport 22\nidentityfile ~/.ssh/id_rsa\n\
        identityfile ~/.ssh/id_ed25519\nhostkeyalgorithms a,b,c\nuserknownhostsfile /k1 /k2\nsendenv LANG\n";

    #[test]
    fn what_the_user_did_not_set_stays_the_default_of_ssh() {
        let settings = UserSettings::read("vps.example.org", BARE, BARE);
        assert_eq!(settings.lines, Vec::<String>::new());
        assert_eq!(
            (settings.user.as_deref(), settings.port, settings.known().first.as_str()),
            (Some("me"), 22, "vps.example.org")
        );
    }

    #[test]
    fn the_users_settings_are_taken_over() {
        let configured = "host home\nuser root\nhostname Home.Example.org\nport 2222\nidentityfile ~/my keys/%h %n\n\
            hostkeyalgorithms a,b,c,ssh-rsa\nuserknownhostsfile /k1\nproxyjump me@bastion:2200,second\nsendenv LANG\n\
            localforward 1 2\nremotecommand rm\npermitlocalcommand yes\nproxycommand none\n";
        let settings = UserSettings::read("home", configured, BARE);
        assert_eq!(
            settings.lines,
            [
                "hostkeyalgorithms +ssh-rsa",
                "identityfile \"~/my keys/Home.Example.org home\"",
                "userknownhostsfile /k1"
            ]
        );
        assert_eq!(settings.proxy_jump, ["me@bastion:2200", "second"]);
        assert!(!settings.proxy_command);
        let known = settings.known();
        assert_eq!((known.first.as_str(), known.name.as_str()), ("[home.example.org]:2222", "home.example.org"));
    }

    #[test]
    fn a_list_of_algorithms_is_written_relative_to_the_default_where_it_can_be() {
        assert_eq!(relative_to_default("a,b,c,d,e", "a,b,c"), "+d,e");
        assert_eq!(relative_to_default("a,c", "a,b,c"), "-b");
        assert_eq!(relative_to_default("c,a", "a,b,c"), "c,a");
        assert_eq!(relative_to_default("x", "a,b,c"), "x");
    }

    #[test]
    fn the_config_is_as_it_should_be() {
        let vps = HostBlock {
            alias: "vps".into(),
            hostname: "198.51.100.1".into(),
            user: Some("root".into()),
            port: 2222,
            identity: Some("/keys/my key".into()),
            jump: None,
            known_as: Some("[vps.example.org]:2222".into()),
            trust: None,
            host_key: HostKey::Strict,
            control: "/run/user/1000/fleetdeploy-x/m0".into(),
            connect: Duration::from_secs(20),
            compress: None,
            lines: vec!["identityfile \"/keys/my key\"".into(), "proxycommand nc %h %p".into()],
        };
        let home = HostBlock {
            alias: "homeserver".into(),
            hostname: "fe80::1%eth0".into(),
            user: None,
            port: 22,
            identity: None,
            jump: Some("vps".into()),
            known_as: None,
            host_key: HostKey::AcceptNew,
            compress: Some(true),
            control: "/run/user/1000/fleetdeploy-x/m1".into(),
            ..vps.clone()
        };
        assert_eq!(
            render(&[vps, home]),
            "\
# Written by fleetdeploy for one run; it goes with the run.
BatchMode yes
ControlMaster no
ServerAliveInterval 5
ServerAliveCountMax 3
ConnectionAttempts 1
ClearAllForwardings yes
RemoteCommand none
RequestTTY no
ForwardAgent no
ForwardX11 no
CheckHostIP no
UpdateHostKeys no
CanonicalizeHostname no

Host vps
  HostName 198.51.100.1
  Port 2222
  User root
  ControlPath /run/user/1000/fleetdeploy-x/m0
  StrictHostKeyChecking yes
  ConnectTimeout 20
  HostKeyAlias [vps.example.org]:2222
  identityfile \"/keys/my key\"
  proxycommand nc %h %p

Host homeserver
  HostName fe80::1%%eth0
  Port 22
  ControlPath /run/user/1000/fleetdeploy-x/m1
  StrictHostKeyChecking accept-new
  ConnectTimeout 20
  Compression yes
  ProxyJump vps
  identityfile \"/keys/my key\"
"
        );
    }
}
