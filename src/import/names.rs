//! Names of another tool as names of ours. What cannot be one is changed, and that is said; nothing is taken as it is
//! without having passed the rule for names.

use std::collections::{BTreeMap, BTreeSet};

use crate::inventory::model::{HostName, is_name};
use crate::inventory::{FAILED, scalar};

/// A name has 63 characters at most; a number may have to find room behind it.
const LONGEST: usize = 60;

/// Gives names, each once: ssh reads names of hosts without regard to case.
#[derive(Debug, Default)]
pub(super) struct Names {
    taken: BTreeSet<String>,
    /// A foreign tag, and what it is called here.
    tags: BTreeMap<String, Option<String>>,
    taken_tags: BTreeSet<String>,
}

impl Names {
    /// The name of a host, the same if it can be; `None` if nothing of it can stand in a name.
    pub(super) fn host(&mut self, foreign: &str) -> Option<HostName> {
        let mut name = fitting(foreign)?;
        if scalar::host_name(&name).is_err() {
            name.push_str("-host");
        }
        let name = free(name, |name| self.taken.contains(&name.to_lowercase()));
        self.taken.insert(name.to_lowercase());
        HostName::new(name).ok()
    }

    /// Why a host could not keep its name.
    pub(super) fn why_not(foreign: &str) -> &'static str {
        if scalar::host_name(foreign).is_ok() {
            "is taken, since ssh knows no case in names"
        } else {
            "cannot be the name of a host"
        }
    }

    /// The tag for a group, the same whenever it is asked for.
    pub(super) fn tag(&mut self, foreign: &str) -> Option<String> {
        if let Some(known) = self.tags.get(foreign) {
            return known.clone();
        }
        // A pattern `@failed` is no tag.
        let is_taken = |tag: &str| self.taken_tags.contains(tag) || FAILED.strip_prefix('@') == Some(tag);
        let tag = fitting(foreign).map(|tag| free(tag, is_taken));
        self.taken_tags.extend(tag.clone());
        self.tags.insert(foreign.to_owned(), tag.clone());
        tag
    }
}

/// The text with everything that cannot stand in a name made a `-`.
fn fitting(foreign: &str) -> Option<String> {
    if is_name(foreign) {
        return Some(foreign.to_owned());
    }
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "_.-".contains(letter);
    let name: String = foreign.chars().map(|letter| if allowed(letter) { letter } else { '-' }).collect();
    let name = name.trim_start_matches(['-', '.']).trim_end_matches('-');
    let name = name[..name.len().min(LONGEST)].to_owned();
    is_name(&name).then_some(name)
}

/// The name, or the first of `name-2`, `name-3`, ... that is not taken.
fn free(name: String, is_taken: impl Fn(&str) -> bool) -> String {
    if !is_taken(&name) {
        return name;
    }
    let stem = &name[..name.len().min(LONGEST - 4)];
    let mut number: u32 = 2;
    loop {
        let other = format!("{stem}-{number}");
        if !is_taken(&other) {
            return other;
        }
        number += 1;
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use proptest::prelude::*;

    use super::*;

    fn host(names: &mut Names, foreign: &str) -> Option<String> {
        names.host(foreign).map(String::from)
    }

    #[test]
    fn what_can_be_a_name_stays_and_the_rest_is_made_one() {
        let names = &mut Names::default();
        for (foreign, name) in [
            ("web1.example.org", Some("web1.example.org")),
            ("WEB1.example.org", Some("WEB1.example.org-2")),
            ("2001:db8::1", Some("2001-db8--1")),
            ("all", Some("all-host")),
            ("none", Some("none-host")),
            ("-oProxyCommand=touch /tmp/x", Some("oProxyCommand-touch--tmp-x")),
            ("../../etc/passwd", Some("etc-passwd")),
            ("a b\n$(x)", Some("a-b---x")),
            ("--", None),
            ("", None),
            ("äö", None),
        ] {
            assert_eq!(host(names, foreign).as_deref(), name, "{foreign:?}");
        }
    }

    #[test]
    fn a_tag_is_the_same_whenever_it_is_asked_for_and_never_two_groups() {
        let names = &mut Names::default();
        assert_eq!(names.tag("k8s cluster").as_deref(), Some("k8s-cluster"));
        assert_eq!(names.tag("k8s-cluster").as_deref(), Some("k8s-cluster-2"));
        assert_eq!(names.tag("k8s cluster").as_deref(), Some("k8s-cluster"));
        assert_eq!(names.tag("failed").as_deref(), Some("failed-2"), "`@failed` has a meaning of its own");
    }

    proptest! {
        #[test]
        fn every_name_follows_the_rule_and_is_given_once(
            foreign in prop::collection::vec("[-aA.: /\u{202e}é]{0,70}", 0..8),
        ) {
            let mut names = Names::default();
            let mut given = BTreeSet::new();
            for foreign in foreign {
                if let Some(name) = host(&mut names, &foreign) {
                    prop_assert!(scalar::host_name(&name).is_ok(), "{name:?}");
                    prop_assert!(given.insert(name.to_lowercase()), "{name:?}");
                }
            }
        }
    }
}
