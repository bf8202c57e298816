//! Which hosts are meant: one kind of pattern for the inventory and for every command.
//!
//! A pattern is a name, a glob (`web*`, `db[12]`, `{a,b}`), a tag (`@edge`, `@edge*`), `@failed` or `all`; commas make
//! a union. A pattern that matches nothing is an error: a slip of the pen must not leave a host out, or in.

use std::collections::{BTreeSet, HashMap, HashSet};

use globset::{GlobBuilder, GlobMatcher};

use super::model::{BuildOn, Fleet, Host, HostName, Inventory, Jump, builders};
use super::words::{listed, nearest, shown};

/// The hosts that did not end well in the fleet's last run. Which these are is not known here: it is passed in.
pub const FAILED: &str = "@failed";

/// Why no hosts could be chosen.
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
pub enum SelectError {
    #[error("`{}` is not a pattern: {reason}", shown(pattern))]
    BadPattern { pattern: String, reason: String },
    #[error("no host matches `{}`", shown(pattern))]
    NothingMatches {
        pattern: String,
        /// What was probably meant.
        near: Option<String>,
        /// What could have been meant: the hosts there are.
        hosts: Vec<HostName>,
    },
    /// In an inventory, or for a command that works on no fleet.
    #[error("`{FAILED}` has no meaning here: it is of the last run of one fleet")]
    NoRunMeant,
    #[error("no host that failed in the last run is in this fleet any more")]
    FailedAreGone { failed: Vec<HostName> },
    /// Every host that was chosen was also excepted.
    #[error("no host is left: `--except` takes out every host that was chosen")]
    NothingLeft,
    /// A host is left out with `--without`, and others are reached only over it.
    #[error("the way to {} leads over a host that is left out ({})", waylaid(behind), over(behind))]
    BehindWithout {
        /// What was typed.
        named: Vec<HostName>,
        /// Each with the nearest host on its way that is left out.
        behind: Vec<(HostName, HostName)>,
    },
    #[error("no host is left: `--without` leaves out every host of the fleet")]
    NobodyLeft,
    /// Those that were chosen are those that are left out.
    #[error("no host is left: `--without` leaves out every host that was chosen")]
    ChosenAreWithout,
    #[error("there is no fleet `{}`", shown(name))]
    NoSuchFleet { name: String, near: Option<String>, fleets: Vec<String> },
    #[error("no fleet was named, and the inventory has {}", fleets.len())]
    FleetNotNamed { fleets: Vec<String> },
}

impl SelectError {
    /// `known` are the fleets that there are.
    #[must_use]
    pub fn no_such_fleet(name: &str, known: impl IntoIterator<Item = String>) -> Self {
        let fleets: Vec<String> = known.into_iter().collect();
        let near = nearest(name, fleets.iter().map(String::as_str)).map(Into::into);
        Self::NoSuchFleet { name: name.into(), near, fleets }
    }

    /// A name of no host, where it takes too long to look for one like it.
    pub(super) fn nothing_near(name: &str) -> Self {
        Self::NothingMatches { pattern: name.into(), near: None, hosts: Vec::new() }
    }

    /// How to mend it, for the `hint:` below an error.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let (near, there, word) = match self {
            Self::BadPattern { .. } => return Some("a pattern is a name, a glob like `web*`, `@tag` or `all`".into()),
            Self::NothingLeft | Self::NobodyLeft | Self::ChosenAreWithout => return None,
            Self::BehindWithout { named, behind } => {
                let names = named.iter().chain(behind.iter().map(|(host, _)| host));
                let words: Vec<&str> = names.map(HostName::as_str).collect();
                let they = if behind.len() == 1 { "it" } else { "they" };
                return Some(format!("{they} cannot be reached either: write `--without {}`", words.join(",")));
            }
            Self::NoRunMeant => return Some(format!("`--on {FAILED}` is for commands that take a fleet, like push")),
            Self::FailedAreGone { failed } => {
                return Some(format!("there failed {}", listed(failed.iter().map(HostName::as_str))));
            }
            Self::NothingMatches { near, hosts, .. } => (near, listed(hosts.iter().map(HostName::as_str)), "hosts"),
            Self::FleetNotNamed { fleets } => (&None, listed(fleets.iter().map(String::as_str)), "fleets"),
            Self::NoSuchFleet { near, fleets, .. } => (near, listed(fleets.iter().map(String::as_str)), "fleets"),
        };
        match near {
            Some(near) => Some(format!("did you mean `{near}`?")),
            None if there.is_empty() => None,
            None => Some(format!("the {word} are {there}")),
        }
    }
}

fn waylaid(behind: &[(HostName, HostName)]) -> String {
    listed(behind.iter().map(|(host, _)| host.as_str()))
}

fn over(behind: &[(HostName, HostName)]) -> String {
    let over: BTreeSet<&HostName> = behind.iter().map(|(_, over)| over).collect();
    listed(over.into_iter().map(HostName::as_str))
}

/// Returns whether the caller must look which hosts have failed, for [`select_of_run`].
#[must_use]
pub fn asks_for_failed(patterns: &[String]) -> bool {
    patterns.iter().flat_map(|text| union(text)).any(|pattern| pattern.trim() == FAILED)
}

/// Chooses hosts by patterns, without those that `except` matches; in the order of `hosts`, each once.
///
/// No patterns at all choose every host, as a command without `--on` does.
///
/// # Errors
/// [`SelectError`], also when a pattern in `except` matches none of `hosts`.
pub fn select<'a>(
    hosts: impl IntoIterator<Item = &'a Host> + Clone,
    patterns: &[String],
    except: &[String],
) -> Result<Vec<&'a Host>, SelectError> {
    select_of_run(hosts, patterns, except, None)
}

/// The same, where `@failed` means these hosts.
///
/// # Errors
/// [`SelectError`].
pub fn select_of_run<'a>(
    hosts: impl IntoIterator<Item = &'a Host> + Clone,
    patterns: &[String],
    except: &[String],
    failed: Option<&BTreeSet<HostName>>,
) -> Result<Vec<&'a Host>, SelectError> {
    let excepted = matching(hosts.clone(), except, failed)?;
    let chosen = if patterns.is_empty() { hosts.into_iter().collect() } else { matching(hosts, patterns, failed)? };
    let left: Vec<_> = chosen.into_iter().filter(|host| excepted.iter().all(|out| out.name != host.name)).collect();
    if left.is_empty() && !excepted.is_empty() { Err(SelectError::NothingLeft) } else { Ok(left) }
}

/// The hosts that at least one of the patterns matches; every pattern matches at least one.
fn matching<'a>(
    hosts: impl IntoIterator<Item = &'a Host> + Clone,
    patterns: &[String],
    failed: Option<&BTreeSet<HostName>>,
) -> Result<Vec<&'a Host>, SelectError> {
    let texts = patterns.iter().flat_map(|text| union(text));
    let parsed = texts.map(|text| Pattern::parse(text, failed)).collect::<Result<Vec<_>, _>>()?;
    for pattern in &parsed {
        if !hosts.clone().into_iter().any(|host| pattern.matches(host)) {
            return Err(pattern.nothing(hosts));
        }
    }
    Ok(hosts.into_iter().filter(|host| parsed.iter().any(|pattern| pattern.matches(host))).collect())
}

/// The parts between commas that are not inside braces.
#[must_use]
pub fn union(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth) = (Vec::new(), 0, 0_usize);
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => {
                parts.push(&text[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

/// Whether the text can only be a pattern, not the name of one host.
pub(super) fn is_pattern(text: &str) -> bool {
    text == "all" || text.starts_with('@') || text.contains(['*', '?', '[', '{', ','])
}

#[derive(Debug)]
struct Pattern<'a> {
    text: &'a str,
    rule: Rule<'a>,
}

#[derive(Debug)]
enum Rule<'a> {
    All,
    Failed(&'a BTreeSet<HostName>),
    Name(GlobMatcher),
    Tag(GlobMatcher),
}

impl<'a> Pattern<'a> {
    fn parse(text: &'a str, failed: Option<&'a BTreeSet<HostName>>) -> Result<Self, SelectError> {
        let text = text.trim();
        let glob = |glob: &str| {
            if glob.is_empty() {
                return Err(SelectError::BadPattern { pattern: text.into(), reason: "it is empty".into() });
            }
            let glob = GlobBuilder::new(glob).backslash_escape(false).build();
            glob.map(|glob| glob.compile_matcher())
                .map_err(|error| SelectError::BadPattern { pattern: text.into(), reason: error.kind().to_string() })
        };
        let rule = match text.strip_prefix('@') {
            _ if text == "all" => Rule::All,
            _ if text == FAILED => Rule::Failed(failed.ok_or(SelectError::NoRunMeant)?),
            Some(tag) => Rule::Tag(glob(tag)?),
            None => Rule::Name(glob(text)?),
        };
        Ok(Self { text, rule })
    }

    fn matches(&self, host: &Host) -> bool {
        match &self.rule {
            Rule::All => true,
            Rule::Failed(failed) => failed.contains(&host.name),
            Rule::Name(glob) => glob.is_match(host.name.as_str()),
            Rule::Tag(glob) => host.tags.iter().any(|tag| glob.is_match(tag)),
        }
    }

    fn nothing<'b>(&self, hosts: impl IntoIterator<Item = &'b Host>) -> SelectError {
        if let Rule::Failed(failed) = self.rule {
            return SelectError::FailedAreGone { failed: failed.iter().cloned().collect() };
        }
        let hosts: Vec<&Host> = hosts.into_iter().collect();
        let tags = hosts.iter().flat_map(|host| &host.tags).map(|tag| format!("@{tag}"));
        let names = hosts.iter().map(|host| host.name.to_string());
        let words: Vec<String> = names.chain(tags).chain(["all".to_owned()]).collect();
        // A tag that was written without its `@` is nearer than any other word.
        let tagged = format!("@{}", self.text);
        let near = words.iter().find(|word| **word == tagged).cloned();
        SelectError::NothingMatches {
            pattern: self.text.into(),
            near: near.or_else(|| nearest(self.text, words.iter().map(String::as_str)).map(Into::into)),
            hosts: hosts.into_iter().map(|host| host.name.clone()).collect(),
        }
    }
}

impl Inventory {
    /// The fleet of that name.
    ///
    /// # Errors
    /// [`SelectError::NoSuchFleet`].
    pub fn fleet(&self, name: &str) -> Result<&Fleet, SelectError> {
        self.fleets.get(name).ok_or_else(|| SelectError::no_such_fleet(name, self.fleets.keys().cloned()))
    }

    /// The fleet of a command for which none was named.
    ///
    /// # Errors
    /// [`SelectError::FleetNotNamed`]: there are several.
    pub fn only_fleet(&self) -> Result<&Fleet, SelectError> {
        let mut fleets = self.fleets.values();
        match (fleets.next(), fleets.next()) {
            (Some(fleet), None) => Ok(fleet),
            _ => Err(SelectError::FleetNotNamed { fleets: self.fleets.keys().cloned().collect() }),
        }
    }

    #[must_use]
    pub fn host(&self, name: &HostName) -> Option<&Host> {
        self.hosts.iter().find(|host| host.name == *name)
    }

    /// Builds the fleet's systems somewhere else than the file says.
    ///
    /// # Errors
    /// There is no such host.
    pub fn built_on(&self, mut fleet: Fleet, build_on: &BuildOn) -> Result<Fleet, SelectError> {
        if let BuildOn::Host(name) = build_on
            && self.host(name).is_none()
        {
            let near = nearest(name.as_str(), self.hosts.iter().map(|host| host.name.as_str())).map(Into::into);
            let hosts = self.hosts.iter().map(|host| host.name.clone()).collect();
            return Err(SelectError::NothingMatches { pattern: name.to_string(), near, hosts });
        }
        for host in &mut fleet.hosts {
            host.build_on = build_on.clone().seen_from(&host.name);
        }
        fleet.builders = builders(fleet.hosts.iter(), self.hosts.iter());
        Ok(fleet)
    }

    /// The hosts that are not of the fleet, but through which the way to one of it leads; they need a master connection
    /// too.
    #[must_use]
    pub fn jumps_of(&self, fleet: &Fleet) -> Vec<&Host> {
        let by_name: HashMap<&HostName, &Host> = self.hosts.iter().map(|host| (&host.name, host)).collect();
        let reached = || fleet.hosts.iter().chain(&fleet.builders);
        let mut known: HashSet<&HostName> = reached().map(|host| &host.name).collect();
        let mut jumps: Vec<&Host> = Vec::new();
        let mut to_visit: Vec<&Host> = reached().collect();
        while let Some(host) = to_visit.pop() {
            let Some(Jump::Host(name)) = &host.jump else { continue };
            if let (true, Some(host)) = (known.insert(name), by_name.get(name)) {
                jumps.push(host);
                to_visit.push(host);
            }
        }
        jumps
    }
}
