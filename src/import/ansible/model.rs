//! An Ansible inventory as its files say it, INI and YAML alike.

use std::collections::{BTreeMap, BTreeSet};

use super::super::note::SourcePlace;

/// The value of a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum AnsibleValue {
    /// A text, or a number or boolean as it is written.
    Text(String),
    /// A value that is encrypted with Ansible Vault. The import does not look into it.
    Vault,
    /// A list, a map, nothing, or a YAML tag: no setting of a connection is one.
    Other(&'static str),
}

/// A variable, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Variable {
    pub(super) value: AnsibleValue,
    pub(super) place: SourcePlace,
}

pub(super) type Variables = BTreeMap<String, Variable>;

/// Variables of one group or host, in the inventory itself and in `group_vars` or `host_vars`: the latter win, and
/// against groups further down, too.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope {
    pub(super) inline: Variables,
    pub(super) filed: Variables,
}

#[derive(Debug, Clone)]
pub(super) struct AnsibleGroup {
    pub(super) variables: Scope,
    pub(super) hosts: BTreeSet<String>,
    pub(super) children: BTreeSet<String>,
    pub(super) place: SourcePlace,
}

#[derive(Debug, Clone)]
pub(super) struct AnsibleHost {
    pub(super) name: String,
    pub(super) variables: Scope,
    pub(super) place: SourcePlace,
}

/// The group of every host, and that of the hosts in no other one.
pub(super) const ALL: &str = "all";
pub(super) const UNGROUPED: &str = "ungrouped";

/// More hosts than any inventory has: a range in a hostile or mistyped file must not fill the memory.
pub(super) const MOST_HOSTS: usize = 20_000;

#[derive(Debug, Clone, Default)]
pub(super) struct Ansible {
    /// In the order in which they are named first.
    pub(super) hosts: Vec<AnsibleHost>,
    /// By name, among [`Ansible::hosts`].
    index: BTreeMap<String, usize>,
    pub(super) groups: BTreeMap<String, AnsibleGroup>,
}

impl Ansible {
    pub(super) fn group(&mut self, name: &str, place: &SourcePlace) -> &mut AnsibleGroup {
        self.groups.entry(name.to_owned()).or_insert_with(|| AnsibleGroup {
            variables: Scope::default(),
            hosts: BTreeSet::new(),
            children: BTreeSet::new(),
            place: place.clone(),
        })
    }

    /// The host of that name, put into the group.
    pub(super) fn host(&mut self, name: &str, group: &str, place: &SourcePlace) -> &mut AnsibleHost {
        self.group(group, place).hosts.insert(name.to_owned());
        let index = *self.index.entry(name.to_owned()).or_insert_with(|| {
            self.hosts.push(AnsibleHost { name: name.to_owned(), variables: Scope::default(), place: place.clone() });
            self.hosts.len() - 1
        });
        &mut self.hosts[index]
    }

    pub(super) fn host_named(&mut self, name: &str) -> Option<&mut AnsibleHost> {
        self.index.get(name).map(|index| &mut self.hosts[*index])
    }

    /// The groups of each host in the order in which their variables are laid over each other: by depth, priority and
    /// name. `all` is none of them; a host in no other group is in `ungrouped`.
    ///
    /// Source: Ansible's `Group.depth` (one more than the deepest parent) and `sort_groups` in `inventory/helpers.py`.
    pub(super) fn memberships(&self) -> BTreeMap<&str, Vec<&str>> {
        let depths = self.depths();
        let mut groups: Vec<&str> = self.groups.keys().map(String::as_str).filter(|name| *name != ALL).collect();
        groups.sort_by_key(|name| (depths.get(name).copied().unwrap_or_default(), self.priority(name), *name));
        let mut memberships: BTreeMap<&str, Vec<&str>> =
            self.hosts.iter().map(|host| (host.name.as_str(), Vec::new())).collect();
        for group in groups.into_iter().filter(|name| *name != UNGROUPED) {
            for below in self.below(group) {
                for host in self.groups.get(below).iter().flat_map(|group| &group.hosts) {
                    if let Some(groups) = memberships.get_mut(host.as_str()).filter(|groups| !groups.contains(&group)) {
                        groups.push(group);
                    }
                }
            }
        }
        memberships.values_mut().filter(|groups| groups.is_empty()).for_each(|groups| groups.push(UNGROUPED));
        memberships
    }

    /// The group and all groups below it, each once.
    fn below<'a>(&'a self, group: &'a str) -> BTreeSet<&'a str> {
        let mut below = BTreeSet::from([group]);
        let mut to_visit = vec![group];
        while let Some(group) = to_visit.pop() {
            for child in self.groups.get(group).iter().flat_map(|group| &group.children) {
                if below.insert(child) {
                    to_visit.push(child);
                }
            }
        }
        below
    }

    fn depths(&self) -> BTreeMap<&str, usize> {
        let mut depths: BTreeMap<&str, usize> = BTreeMap::new();
        // A way down is not longer than there are groups, loops left aside.
        for _ in 0..self.groups.len() {
            let mut changed = false;
            for (parent, group) in self.groups.iter().filter(|(parent, _)| *parent != ALL) {
                let depth = depths.get(parent.as_str()).copied().unwrap_or_default() + 1;
                for child in &group.children {
                    let known = depths.entry(child).or_default();
                    changed |= *known < depth;
                    *known = depth.max(*known);
                }
            }
            if !changed {
                break;
            }
        }
        depths
    }

    fn priority(&self, group: &str) -> i64 {
        let variables = self.groups.get(group).map(|group| &group.variables);
        let priority = variables.and_then(|scope| {
            scope.filed.get("ansible_group_priority").or_else(|| scope.inline.get("ansible_group_priority"))
        });
        match priority.map(|priority| &priority.value) {
            Some(AnsibleValue::Text(text)) => text.parse().unwrap_or(1),
            _ => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn inventory(groups: &[(&str, &[&str], &[&str])]) -> Ansible {
        let mut ansible = Ansible::default();
        let place = SourcePlace::File(0);
        for (group, hosts, children) in groups {
            for host in *hosts {
                ansible.host(host, group, &place);
            }
            ansible.group(group, &place).children.extend(children.iter().map(ToString::to_string));
        }
        ansible
    }

    #[test]
    fn a_host_is_in_the_groups_above_its_own_and_the_deepest_comes_last() {
        let ansible = inventory(&[
            ("all", &["lonely"], &["prod"]),
            ("web", &["web1"], &[]),
            ("apache", &["web2"], &[]),
            ("prod", &[], &["web", "db"]),
            ("web", &[], &["apache"]),
            ("db", &["web1"], &[]),
        ]);
        let memberships = ansible.memberships();
        assert_eq!(memberships["web1"], ["prod", "db", "web"]);
        assert_eq!(memberships["web2"], ["prod", "web", "apache"]);
        assert_eq!(memberships["lonely"], ["ungrouped"]);
    }

    #[test]
    fn groups_that_are_in_each_other_end_somewhere() {
        let ansible = inventory(&[("a", &["x"], &["b"]), ("b", &[], &["a"])]);
        assert_eq!(ansible.memberships()["x"].len(), 2);
    }

    #[test]
    fn a_group_with_a_higher_priority_comes_later() {
        let mut ansible = inventory(&[("a", &["x"], &[]), ("b", &["x"], &[])]);
        let ten = Variable { value: AnsibleValue::Text("10".into()), place: SourcePlace::File(0) };
        let first = ansible.group("a", &SourcePlace::File(0));
        first.variables.inline.insert("ansible_group_priority".into(), ten);
        assert_eq!(ansible.memberships()["x"], ["b", "a"]);
    }
}
