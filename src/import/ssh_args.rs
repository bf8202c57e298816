//! Arguments of ssh, as Ansible's `ansible_ssh_common_args` and deploy-rs's `sshOpts` hold them: which of them an
//! inventory says in its own words.

use super::words::{Comments, split};

/// Options of ssh that take a value. Source: ssh(1).
const WITH_VALUE: &str = "BbcDEeFIiJLlmOoPpQRSWw";

/// A machine to jump through, as it is written: `[user@]host[:port]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hop {
    pub(super) user: Option<String>,
    pub(super) host: String,
    pub(super) port: Option<String>,
}

impl Hop {
    /// Reads one element of a `ProxyJump`.
    pub(super) fn parse(text: &str) -> Self {
        let text = text.strip_prefix("ssh://").unwrap_or(text);
        let (user, place) = text.rsplit_once('@').map_or((None, text), |(user, place)| (Some(user), place));
        let (host, port) = match place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, port)) => (host, port.strip_prefix(':')),
            // A second colon makes it an IPv6 address without a port.
            None => match place.split_once(':') {
                Some((host, port)) if !port.contains(':') => (host, Some(port)),
                _ => (place, None),
            },
        };
        Self { user: user.map(Into::into), host: host.to_owned(), port: port.map(Into::into) }
    }

    /// As the inventory writes a machine that is none of its own.
    pub(super) fn destination(&self) -> String {
        let user = self.user.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let port = self.port.as_ref().map(|port| format!(":{port}")).unwrap_or_default();
        format!("ssh:{user}{host}{port}")
    }
}

/// What could be read out of the arguments, and what was left.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SshArgs {
    /// The way, the nearest hop to us first; empty if it is direct.
    pub(super) jump: Vec<Hop>,
    pub(super) user: Option<String>,
    pub(super) port: Option<String>,
    pub(super) identity: Option<String>,
    pub(super) accepts_new_keys: bool,
    pub(super) left: Vec<UnreadArgument>,
}

/// An argument that the inventory does not say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UnreadArgument {
    pub(super) argument: String,
    pub(super) mend: &'static str,
}

const IN_SSH_CONFIG: &str = "write it into your ~/.ssh/config, which fleetdeploy honours";
const OF_THE_JUMP: &str = "write it for the jump into your ~/.ssh/config, or make the jump a host of the inventory";
const OWN_MASTER: &str = "leave it out: fleetdeploy keeps one connection to each host by itself";
const UNKNOWN_KEYS: &str = "an unknown host key refuses a push: log in once by hand, or write `host_key: accept-new`";
const NO_SUCH_JUMP: &str = "only `ssh -W %h:%p HOST` can be said as `jump`: write it into your ~/.ssh/config as it is";

impl SshArgs {
    /// Reads the arguments, in ssh's order: the first of two values wins.
    pub(super) fn read(words: &[String]) -> Self {
        let mut read = Self::default();
        for option in options(words).0 {
            match option {
                ('o', Some(setting)) => read.setting(&setting),
                ('J', Some(way)) => read.jump_through(&way),
                ('p', Some(port)) => drop(read.port.get_or_insert(port)),
                ('l', Some(user)) => drop(read.user.get_or_insert(user)),
                ('i', Some(path)) => drop(read.identity.get_or_insert(path)),
                ('F', Some(path)) => {
                    let mend = "fleetdeploy reads your ~/.ssh/config: put `Include` and that file's path there";
                    read.left.push(UnreadArgument { argument: format!("-F {path}"), mend });
                }
                // How much ssh talks is not the inventory's.
                ('q' | 'v' | 'T' | 't' | 'n' | 'N', None) => {}
                (letter, Some(value)) => read.leave(format!("-{letter} {value}"), IN_SSH_CONFIG),
                (letter, None) => read.leave(format!("-{letter}"), IN_SSH_CONFIG),
            }
        }
        for word in options(words).1 {
            read.leave(word.clone(), "ssh would take it for the host: take it out");
        }
        read
    }

    fn leave(&mut self, argument: String, mend: &'static str) {
        self.left.push(UnreadArgument { argument, mend });
    }

    fn jump_through(&mut self, way: &str) {
        if self.jump.is_empty() && !way.eq_ignore_ascii_case("none") {
            self.jump = way.split(',').map(str::trim).map(Hop::parse).collect();
        }
    }

    /// `-o Name=value`, `-o "Name value"`.
    fn setting(&mut self, text: &str) {
        let Some((name, value)) = name_and_value(text) else {
            self.leave(format!("-o {text}"), IN_SSH_CONFIG);
            return;
        };
        match (name.to_ascii_lowercase().as_str(), value) {
            ("proxyjump", way) => self.jump_through(way),
            ("proxycommand", command) if command != "none" => match proxy_command(command) {
                Some((hop, left)) => {
                    if self.jump.is_empty() {
                        self.jump.push(hop);
                    }
                    self.left.extend(left);
                }
                // The text is not shown as it stands: some have a password for `sshpass` in it.
                None => self.leave("-o ProxyCommand=…".to_owned(), NO_SUCH_JUMP),
            },
            ("port", port) => drop(self.port.get_or_insert(port.to_owned())),
            ("user", user) => drop(self.user.get_or_insert(user.to_owned())),
            ("identityfile", path) => drop(self.identity.get_or_insert(path.to_owned())),
            ("stricthostkeychecking", "accept-new") => self.accepts_new_keys = true,
            ("stricthostkeychecking", "no" | "off") => self.leave(format!("-o {text}"), UNKNOWN_KEYS),
            ("proxycommand", "none") | ("stricthostkeychecking", "yes" | "ask") => {}
            ("controlmaster" | "controlpath" | "controlpersist", _) => self.leave(format!("-o {text}"), OWN_MASTER),
            _ => self.leave(format!("-o {text}"), IN_SSH_CONFIG),
        }
    }
}

fn name_and_value(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|letter: char| letter == '=' || letter.is_whitespace())?;
    let value = text[end..].trim_start();
    let value = value.strip_prefix('=').unwrap_or(value).trim();
    // ssh takes quotes around a value off.
    let bare = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
    (!bare.is_empty()).then_some((&text[..end], bare))
}

/// The options, each with its value, and the words that are none, the first of which is the destination.
fn options(words: &[String]) -> (Vec<(char, Option<String>)>, &[String]) {
    let mut options = Vec::new();
    let mut index = 0;
    while let Some(letters) = words.get(index).and_then(|word| word.strip_prefix('-')).filter(|word| !word.is_empty()) {
        index += 1;
        for (at, letter) in letters.char_indices() {
            if !WITH_VALUE.contains(letter) {
                options.push((letter, None));
                continue;
            }
            let rest = &letters[at + letter.len_utf8()..];
            let value = if rest.is_empty() { words.get(index).cloned() } else { Some(rest.to_owned()) };
            index += usize::from(rest.is_empty());
            options.push((letter, value));
            break;
        }
    }
    (options, &words[index.min(words.len())..])
}

/// Reads `ssh -W %h:%p [options] HOST` and `ssh HOST nc %h %p` as the jump that they are.
pub(super) fn proxy_command(command: &str) -> Option<(Hop, Vec<UnreadArgument>)> {
    let words: Vec<String> = split(command, Comments::None).ok()?.into_iter().map(|word| word.text).collect();
    let (program, words) = words.split_first()?;
    if program.rsplit('/').next() != Some("ssh") {
        return None;
    }
    let (before, rest) = options(words);
    let (destination, rest) = rest.split_first()?;
    // ssh also reads options behind the destination.
    let (after, command) = options(rest);
    let options: Vec<_> = before.into_iter().chain(after).collect();
    let forwards =
        options.iter().any(|(letter, value)| *letter == 'W' && matches!(value.as_deref(), Some("%h:%p" | "[%h]:%p")));
    let is_netcat = matches!(command.first().map(String::as_str), Some("nc" | "netcat" | "ncat"))
        && command.ends_with(&["%h".to_owned(), "%p".to_owned()]);
    if !(forwards && command.is_empty() || !forwards && is_netcat) {
        return None;
    }
    let mut hop = Hop::parse(destination);
    let mut left = Vec::new();
    for (letter, value) in options {
        match (letter, value) {
            ('p', Some(port)) => hop.port = hop.port.or(Some(port)),
            ('l', Some(user)) => hop.user = hop.user.or(Some(user)),
            ('o', Some(setting)) => match name_and_value(&setting) {
                Some((name, port)) if name.eq_ignore_ascii_case("port") => hop.port = hop.port.or(Some(port.into())),
                Some((name, user)) if name.eq_ignore_ascii_case("user") => hop.user = hop.user.or(Some(user.into())),
                _ => left.push(UnreadArgument { argument: format!("-o {setting}"), mend: OF_THE_JUMP }),
            },
            ('W', _) | ('q' | 'v' | 'T' | 't' | 'n' | 'N', None) => {}
            (letter, Some(value)) => {
                left.push(UnreadArgument { argument: format!("-{letter} {value}"), mend: OF_THE_JUMP });
            }
            (letter, None) => left.push(UnreadArgument { argument: format!("-{letter}"), mend: OF_THE_JUMP }),
        }
    }
    Some((hop, left))
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn read(line: &str) -> SshArgs {
        let words: Vec<_> = split(line, Comments::None).unwrap().into_iter().map(|word| word.text).collect();
        SshArgs::read(&words)
    }

    fn way(line: &str) -> Vec<String> {
        read(line).jump.iter().map(Hop::destination).collect()
    }

    fn left(line: &str) -> Vec<String> {
        read(line).left.into_iter().map(|left| left.argument).collect()
    }

    #[test]
    fn every_way_to_say_a_jump_is_read() {
        for (line, jump) in [
            ("-J gate", "ssh:gate"),
            ("-Jme@gate:2222", "ssh:me@gate:2222"),
            ("-o ProxyJump=me@gate.example.org", "ssh:me@gate.example.org"),
            ("-oProxyJump=gate -J other", "ssh:gate"),
            ("-o 'ProxyJump gate'", "ssh:gate"),
            ("-J me@[2001:db8::1]:22", "ssh:me@[2001:db8::1]:22"),
            ("-J ssh://me@gate:22", "ssh:me@gate:22"),
            (r#"-o ProxyCommand="ssh -W %h:%p -q me@gate""#, "ssh:me@gate"),
            (r#"-o ProxyCommand="ssh -W %h:%p -q me@gate -p 32510""#, "ssh:me@gate:32510"),
            (r#"-o ProxyCommand="/usr/bin/ssh -l me -o Port=22 -W [%h]:%p gate""#, "ssh:me@gate:22"),
            (r#"-o ProxyCommand="ssh me@gate -p 22 nc -w 1 %h %p""#, "ssh:me@gate:22"),
        ] {
            assert_eq!(way(line), [jump], "{line}");
        }
        assert_eq!(way("-J a,b@c:1"), ["ssh:a", "ssh:b@c:1"]);
        assert_eq!(way("-J none -o ProxyJump=none -o ProxyCommand=none"), [""; 0]);
    }

    #[test]
    fn a_proxy_command_that_is_no_jump_is_left_as_it_is() {
        for line in [
            r#"-o ProxyCommand="nc -X 5 -x proxy:1080 %h %p""#,
            r#"-o ProxyCommand="cloudflared access ssh --hostname %h""#,
            r#"-o ProxyCommand="ssh gate nc %h %p; rm -rf /""#,
            r#"-o ProxyCommand="ssh gate sh -c 'nc %h %p'""#,
            r#"-o ProxyCommand="ssh -W other:22 gate""#,
            r#"-o ProxyCommand="sshpass -p hunter2 ssh -W %h:%p gate""#,
            r#"-o ProxyCommand="ssh""#,
        ] {
            assert_eq!(way(line), [""; 0], "{line}");
            assert_eq!(left(line), ["-o ProxyCommand=…"], "{line}");
        }
    }

    #[test]
    fn login_port_and_key_are_read_and_the_rest_is_left() {
        let args = read("-p 2222 -l admin -i ~/.ssh/id -o StrictHostKeyChecking=accept-new -qA -C -o Port=1");
        assert_eq!(
            (args.port.as_deref(), args.user.as_deref(), args.identity.as_deref(), args.accepts_new_keys),
            (Some("2222"), Some("admin"), Some("~/.ssh/id"), true)
        );
        assert_eq!(left("-qA -C -F x -o ControlMaster=auto"), ["-A", "-C", "-F x", "-o ControlMaster=auto"]);
        assert_eq!(left(r#"-o ProxyCommand="ssh -i k -W %h:%p gate" host"#), ["-i k", "host"]);
        assert_eq!(left("-o StrictHostKeyChecking=no -p"), ["-o StrictHostKeyChecking=no", "-p"]);
    }
}
