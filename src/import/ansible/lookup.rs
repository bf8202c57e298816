//! The variables of one host, laid over each other as Ansible does, and templates in them as far as they only name
//! other variables.

use std::collections::BTreeMap;

use super::model::{ALL, Ansible, AnsibleValue, Scope, Variable, Variables};

/// Which layer a host's variable comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Origin {
    All,
    Group(String),
    Host,
}

/// A text that is true of a host, and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FoundValue<'a> {
    pub(super) name: &'a str,
    pub(super) value: Result<String, Unread>,
    pub(super) variable: &'a Variable,
    pub(super) origin: Origin,
}

/// Why a value is not known before Ansible runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unread {
    Vault,
    /// A template that does more than name a variable, or names one that is not there.
    Template,
    Other(&'static str),
}

/// Everything that is said of one host.
#[derive(Debug)]
pub(super) struct Lookup<'a> {
    name: &'a str,
    variables: BTreeMap<&'a str, (&'a Variable, Origin)>,
}

impl<'a> Lookup<'a> {
    /// Source: "Understanding variable precedence" in Ansible's documentation: groups of the inventory,
    /// `group_vars/all`, other `group_vars`, the host in the inventory, `host_vars`; `all` is below every other group.
    pub(super) fn new(ansible: &'a Ansible, name: &'a str, scope: &'a Scope, groups: &[&str]) -> Self {
        let group = |name: &str| ansible.groups.get(name).map(|group| &group.variables);
        let mut lookup = Self { name, variables: BTreeMap::new() };
        let pick: [fn(&Scope) -> &Variables; 2] = [|scope| &scope.inline, |scope| &scope.filed];
        for pick in pick {
            if let Some(scope) = group(ALL) {
                lookup.lay(pick(scope), &Origin::All);
            }
            for name in groups {
                if let Some(scope) = group(name) {
                    lookup.lay(pick(scope), &Origin::Group((*name).to_owned()));
                }
            }
        }
        for pick in pick {
            lookup.lay(pick(scope), &Origin::Host);
        }
        lookup
    }

    pub(super) fn name(&self) -> &'a str {
        self.name
    }

    fn lay(&mut self, variables: &'a Variables, origin: &Origin) {
        self.variables.extend(variables.iter().map(|(key, variable)| (key.as_str(), (variable, origin.clone()))));
    }

    /// The last of these variables that is set: where a setting has an old and a new name, Ansible takes the last.
    pub(super) fn find(&self, names: &[&'a str]) -> Option<FoundValue<'a>> {
        let (name, (variable, origin)) = names.iter().rev().find_map(|name| self.variables.get_key_value(name))?;
        let value = match &variable.value {
            AnsibleValue::Text(text) => self.render(text, 0).ok_or(Unread::Template),
            AnsibleValue::Vault => Err(Unread::Vault),
            AnsibleValue::Other(kind) => Err(Unread::Other(kind)),
        };
        Some(FoundValue { name, value, variable, origin: origin.clone() })
    }

    /// The text with `{{ name }}` replaced, if there is nothing else in double or other braces.
    fn render(&self, text: &str, depth: usize) -> Option<String> {
        /// Variables that name variables: more than these are a loop.
        const DEEPEST: usize = 8;
        if !text.contains("{{") && !text.contains("{%") {
            return Some(text.to_owned());
        }
        if text.contains("{%") || depth > DEEPEST {
            return None;
        }
        let mut rendered = String::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once("{{") {
            let (name, after) = behind.split_once("}}")?;
            rendered.push_str(before);
            rendered.push_str(&self.named(name.trim(), depth)?);
            rest = after;
        }
        rendered.push_str(rest);
        Some(rendered)
    }

    fn named(&self, name: &str, depth: usize) -> Option<String> {
        if matches!(name, "inventory_hostname") {
            return Some(self.name.to_owned());
        }
        if name == "inventory_hostname_short" {
            return Some(self.name.split('.').next().unwrap_or(self.name).to_owned());
        }
        match &self.variables.get(name)?.0.value {
            AnsibleValue::Text(text) => self.render(text, depth + 1),
            AnsibleValue::Vault | AnsibleValue::Other(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::super::super::note::SourcePlace;
    use super::*;

    fn set(variables: &mut Variables, pairs: &[(&str, &str)]) {
        for (key, value) in pairs {
            let variable = Variable { value: AnsibleValue::Text((*value).into()), place: SourcePlace::File(0) };
            variables.insert((*key).into(), variable);
        }
    }

    fn found(ansible: &Ansible, names: &[&str]) -> Option<(Result<String, Unread>, Origin)> {
        let memberships = ansible.memberships();
        let host = &ansible.hosts[0];
        let lookup = Lookup::new(ansible, &host.name, &host.variables, &memberships[host.name.as_str()]);
        lookup.find(names).map(|found| (found.value, found.origin))
    }

    #[test]
    fn files_of_groups_win_over_the_inventory_and_the_host_over_both() {
        let place = SourcePlace::File(0);
        let mut ansible = Ansible::default();
        ansible.host("web1", "web", &place);
        let mut expect = |change: &dyn Fn(&mut Ansible), value: &str, origin: Origin| {
            change(&mut ansible);
            assert_eq!(found(&ansible, &["u"]), Some((Ok(value.into()), origin)));
        };
        let web = || Origin::Group("web".into());
        expect(&|it| set(&mut it.group(ALL, &place).variables.inline, &[("u", "1")]), "1", Origin::All);
        expect(&|it| set(&mut it.group("web", &place).variables.inline, &[("u", "2")]), "2", web());
        expect(&|it| set(&mut it.group(ALL, &place).variables.filed, &[("u", "3")]), "3", Origin::All);
        expect(&|it| set(&mut it.group("web", &place).variables.filed, &[("u", "4")]), "4", web());
        expect(&|it| set(&mut it.host("web1", "web", &place).variables.inline, &[("u", "5")]), "5", Origin::Host);
        expect(&|it| set(&mut it.host("web1", "web", &place).variables.filed, &[("u", "6")]), "6", Origin::Host);
    }

    #[test]
    fn templates_that_only_name_variables_are_filled_in() {
        let mut ansible = Ansible::default();
        let host = ansible.host("web1.example.org", "web", &SourcePlace::File(0));
        let pairs = [
            ("a", "{{ inventory_hostname_short }}.{{b}}"),
            ("b", "{{ c }}.org"),
            ("c", "x"),
            ("loop", "{{ loop }}"),
            ("filter", "{{ c | upper }}"),
            ("missing", "{{ nothing }}"),
            ("block", "{% if x %}y{% endif %}"),
            ("open", "{{ c"),
        ];
        set(&mut host.variables.inline, &pairs);
        assert_eq!(found(&ansible, &["a"]).unwrap().0, Ok("web1.x.org".into()));
        for name in ["loop", "filter", "missing", "block", "open"] {
            assert_eq!(found(&ansible, &[name]).unwrap().0, Err(Unread::Template), "{name}");
        }
    }

    #[test]
    fn of_an_old_and_a_new_name_the_last_counts() {
        let mut ansible = Ansible::default();
        let host = ansible.host("web1", "web", &SourcePlace::File(0));
        set(&mut host.variables.inline, &[("ansible_user", "new"), ("ansible_ssh_user", "old")]);
        assert_eq!(found(&ansible, &["ansible_user", "ansible_ssh_user"]).unwrap().0, Ok("old".into()));
        assert_eq!(found(&ansible, &["ansible_user"]).unwrap().0, Ok("new".into()));
        assert_eq!(found(&ansible, &["x"]), None);
    }
}
