//! What an ssh config says of a host: all its blocks for which the name fits, the first value of each keyword.

use super::super::note::SourcePlace;

/// What is said below one line of `Host`, or of all hosts.
#[derive(Debug)]
pub(super) struct SshConfigBlock {
    /// As on the line: names, patterns, and patterns with `!`.
    pub(super) patterns: Vec<String>,
    pub(super) place: SourcePlace,
    /// Keywords, the first value of each, and where that stands.
    pub(super) lines: Vec<(String, String, SourcePlace)>,
}

/// The first value of each counts, as in ssh.
#[derive(Debug, Clone, Default)]
pub(super) struct SshConfigHost {
    pub(super) hostname: Option<String>,
    pub(super) user: Option<String>,
    pub(super) port: Option<String>,
    /// The first of `ProxyJump` and `ProxyCommand` is the way, except a `ProxyJump none`, which only ends the jumps.
    jump: Option<(String, SourcePlace)>,
    command: Option<(String, SourcePlace)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Proxy {
    Jump(String),
    Command(String),
}

impl Proxy {
    fn text(&self) -> &str {
        match self {
            Self::Jump(text) | Self::Command(text) => text,
        }
    }
}

fn is_none(value: &str) -> bool {
    value.eq_ignore_ascii_case("none")
}

impl SshConfigBlock {
    pub(super) fn of_all(place: SourcePlace) -> Self {
        Self { patterns: vec!["*".to_owned()], place, lines: Vec::new() }
    }

    pub(super) fn is_of_all(&self) -> bool {
        self.patterns.iter().any(|pattern| pattern == "*") && !self.patterns.iter().any(|one| one.starts_with('!'))
    }

    /// Source: PATTERNS in `ssh_config(5)`.
    fn is_of(&self, alias: &str) -> bool {
        let is_not = |pattern: &String| pattern.strip_prefix('!').is_some_and(|pattern| is_like(pattern, alias));
        self.patterns.iter().any(|pattern| is_like(pattern, alias)) && !self.patterns.iter().any(is_not)
    }
}

impl SshConfigHost {
    fn take(&mut self, keyword: &str, value: &str, place: &SourcePlace) {
        let at_place = || Some((value.to_owned(), place.clone()));
        match keyword {
            "hostname" => drop(self.hostname.get_or_insert_with(|| value.to_owned())),
            "user" => drop(self.user.get_or_insert_with(|| value.to_owned())),
            "port" => drop(self.port.get_or_insert_with(|| value.to_owned())),
            "proxyjump" if self.takes_jump() => self.jump = at_place(),
            "proxycommand" if self.takes_command() => self.command = at_place(),
            _ => {}
        }
    }

    fn takes_jump(&self) -> bool {
        self.jump.is_none() && self.command.is_none()
    }

    fn takes_command(&self) -> bool {
        self.command.is_none() && self.jump.as_ref().is_none_or(|(jump, _)| is_none(jump))
    }

    /// All that ssh would hear of a host.
    pub(super) fn of(alias: &str, blocks: &[SshConfigBlock]) -> Self {
        let mut said = Self::default();
        for (keyword, value, place) in blocks.iter().filter(|block| block.is_of(alias)).flat_map(|block| &block.lines) {
            said.take(keyword, value, place);
        }
        said
    }

    /// How ssh gets there, if not directly.
    pub(super) fn way(self) -> Option<(Proxy, SourcePlace)> {
        let command = self.command.map(|(command, place)| (Proxy::Command(command), place));
        command.or(self.jump.map(|(jump, place)| (Proxy::Jump(jump), place))).filter(|(way, _)| !is_none(way.text()))
    }
}

/// Only `*` and `?` mean something.
fn is_like(pattern: &str, name: &str) -> bool {
    let letter = |letter: char| match letter {
        '*' | '?' => letter.to_string(),
        _ => globset::escape(&letter.to_string()),
    };
    let pattern: String = pattern.chars().map(letter).collect();
    globset::Glob::new(&pattern).is_ok_and(|glob| glob.compile_matcher().is_match(name))
}

pub(super) fn is_pattern(word: &str) -> bool {
    word.contains(['*', '?']) || word.starts_with('!')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_star_and_a_question_mark_stand_for_something_else() {
        assert!(is_like("w?b-*", "web-1") && !is_like("w?b", "web-1") && !is_like("[a]", "a") && is_like("[a]", "[a]"));
    }
}
