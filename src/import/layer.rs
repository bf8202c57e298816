//! Says once what many hosts share, so that an inventory does not repeat itself.
//!
//! What is true of each host is known before; this only moves it to `defaults` and `groups`, and looks for every host
//! that the layers come to exactly that.

use super::draft::{Draft, DraftHost, DraftSetting, DraftSettings};

/// Moves what hosts share to the layers, and leaves at each host only what differs from them.
///
/// The draft's `defaults` and `groups` hold what the source says of all hosts or of a group; a value there that would
/// make something else of a host than what is true of it, and that the host could not take back, is taken out.
pub(super) fn layer(draft: &mut Draft) {
    share_what_all_have(draft);
    for key in DraftSetting::ALL {
        while let Some(wrong) = what_no_host_could_take_back(draft, key) {
            draft.layer(&wrong).and_then(|settings| settings.remove(&key));
        }
    }
    take_out_what_changes_nothing(draft);
    let mut hosts = std::mem::take(&mut draft.hosts);
    for host in &mut hosts {
        for key in DraftSetting::ALL {
            let below = below(draft, host, key).map(|(_, value)| value);
            match (host.settings.get(&key), below) {
                (Some(own), Some(below)) if *own == below => drop(host.settings.remove(&key)),
                (None, Some(below)) => {
                    let nothing = key.nothing().filter(|nothing| *nothing != below);
                    host.settings.extend(nothing.map(|nothing| (key, nothing.to_owned())));
                }
                _ => {}
            }
        }
    }
    draft.hosts = hosts;
    draft.groups.retain(|_, settings| !settings.is_empty());
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Layer {
    Defaults,
    Group(String),
}

impl Draft {
    fn layer(&mut self, layer: &Layer) -> Option<&mut DraftSettings> {
        match layer {
            Layer::Defaults => Some(&mut self.defaults),
            Layer::Group(tag) => self.groups.get_mut(tag),
        }
    }
}

/// What the layers say of a host, without its own entry, and which of them says it: `defaults`, then the groups in the
/// order of its tags. A jump to itself is not meant for a host.
fn below(draft: &Draft, host: &DraftHost, key: DraftSetting) -> Option<(Layer, String)> {
    let is_meant = |value: &&String| key != DraftSetting::Jump || *value != host.name.as_str();
    let group = |tag: &String| {
        let value = draft.groups.get(tag)?.get(&key).filter(is_meant)?;
        Some((Layer::Group(tag.clone()), value.clone()))
    };
    let defaults = || draft.defaults.get(&key).filter(is_meant).map(|value| (Layer::Defaults, value.clone()));
    host.tags.iter().rev().find_map(group).or_else(defaults)
}

fn share_what_all_have(draft: &mut Draft) {
    for key in DraftSetting::ALL {
        let [first, rest @ ..] = draft.hosts.as_slice() else { return };
        let Some(value) = first.settings.get(&key) else { continue };
        let is_shared = !rest.is_empty() && rest.iter().all(|host| host.settings.get(&key) == Some(value));
        if is_shared {
            draft.defaults.insert(key, value.clone());
            draft.groups.values_mut().for_each(|group| drop(group.remove(&key)));
        }
    }
}

fn what_no_host_could_take_back(draft: &Draft, key: DraftSetting) -> Option<Layer> {
    if key.nothing().is_some() {
        return None;
    }
    let without = draft.hosts.iter().filter(|host| !host.settings.contains_key(&key));
    without.filter_map(|host| below(draft, host, key)).map(|(layer, _)| layer).next()
}

/// Takes out what no host takes, and what a layer below says as well.
fn take_out_what_changes_nothing(draft: &mut Draft) {
    for key in DraftSetting::ALL {
        // How many hosts need not say it themselves.
        let told = |draft: &Draft| -> usize {
            let is_told = |host: &&DraftHost| {
                let below = below(draft, host, key).map(|(_, value)| value);
                below.is_some() && below.as_ref() == host.settings.get(&key)
            };
            draft.hosts.iter().filter(is_told).count()
        };
        let tags: Vec<String> = draft.groups.keys().cloned().collect();
        for layer in tags.into_iter().map(Layer::Group).chain([Layer::Defaults]) {
            let before = told(draft);
            let Some(value) = draft.layer(&layer).and_then(|settings| settings.remove(&key)) else { continue };
            if told(draft) < before
                && let Some(settings) = draft.layer(&layer)
            {
                settings.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use pretty_assertions::assert_eq;
    use proptest::prelude::*;

    use super::super::draft::DraftSystems;
    use super::super::note::SourcePlace;
    use super::*;
    use crate::inventory::model::HostName;

    fn settings(user: Option<&str>, jump: Option<&str>) -> DraftSettings {
        let pairs = [(DraftSetting::User, user), (DraftSetting::Jump, jump)];
        pairs.into_iter().filter_map(|(key, value)| Some((key, value?.to_owned()))).collect()
    }

    fn host(name: &str, tags: &[&str], settings: DraftSettings) -> DraftHost {
        let tags = tags.iter().map(ToString::to_string).collect();
        DraftHost { tags, settings, ..DraftHost::new(HostName::new(name).unwrap(), SourcePlace::File(0)) }
    }

    fn draft(defaults: DraftSettings, groups: &[(&str, DraftSettings)], hosts: Vec<DraftHost>) -> Draft {
        let groups = groups.iter().map(|(tag, settings)| ((*tag).to_owned(), settings.clone())).collect();
        Draft { defaults, groups, hosts, ..Draft::new(String::new(), "lab".into(), DraftSystems::flake(".")) }
    }

    #[test]
    fn what_all_hosts_share_is_said_once() {
        let root = || settings(Some("root"), None);
        let mut all = draft(DraftSettings::new(), &[], vec![host("a", &[], root()), host("b", &[], root())]);
        layer(&mut all);
        assert_eq!(all.defaults, root());
        assert!(all.hosts.iter().all(|host| host.settings.is_empty()));

        let mut one = draft(DraftSettings::new(), &[], vec![host("a", &[], root())]);
        layer(&mut one);
        assert_eq!((one.defaults, one.hosts[0].settings.clone()), (DraftSettings::new(), root()));
    }

    #[test]
    fn a_host_that_is_left_out_of_a_shared_jump_says_so() {
        let jump = |to| settings(None, to);
        let hosts = vec![
            host("gate", &["web"], jump(None)),
            host("near", &["web"], jump(None)),
            host("far", &["web"], jump(Some("gate"))),
        ];
        let mut all = draft(DraftSettings::new(), &[("web", jump(Some("gate")))], hosts);
        layer(&mut all);
        let own: Vec<_> =
            all.hosts.iter().map(|host| host.settings.get(&DraftSetting::Jump).map(String::as_str)).collect();
        assert_eq!(own, [None, Some("none"), None], "the gate is not meant anyway");
    }

    #[test]
    fn a_group_says_only_what_is_not_said_below_it() {
        let user = |name| settings(Some(name), None);
        let hosts = vec![host("a", &["web"], user("ops")), host("b", &[], user("ops")), host("c", &["db"], user("pg"))];
        let groups = [("web", user("ops")), ("db", user("pg")), ("none", user("x"))];
        let mut all = draft(user("ops"), &groups, hosts);
        layer(&mut all);
        assert_eq!(all.defaults, user("ops"));
        assert_eq!(all.groups, BTreeMap::from([("db".to_owned(), user("pg"))]));
        assert!(all.hosts.iter().all(|host| host.settings.is_empty()));
    }

    #[test]
    fn a_user_that_one_host_does_not_have_cannot_be_shared() {
        let user = |name| settings(name, None);
        let hosts = vec![host("a", &["web"], user(Some("admin"))), host("b", &["web"], user(None))];
        let mut all = draft(DraftSettings::new(), &[("web", user(Some("admin")))], hosts);
        layer(&mut all);
        assert_eq!(all.groups, BTreeMap::new());
        assert_eq!(all.hosts[0].settings, user(Some("admin")));
    }

    proptest! {
        /// Whatever the layers are offered, each host comes out as it was.
        #[test]
        fn the_layers_come_to_what_is_true_of_each_host(
            truths in prop::collection::vec((0..4u8, 0..4u8, prop::collection::vec(0..3usize, 0..3)), 1..6),
            offered in prop::collection::vec((0..4u8, 0..4u8), 4),
        ) {
            let users = [None, Some("u1"), Some("u2"), Some("u3")];
            let jumps = [None, Some("h0"), Some("h1"), Some("ssh:x")];
            let pick = |(user, jump): (u8, u8)| settings(users[usize::from(user)], jumps[usize::from(jump)]);
            let tags = ["a", "b", "c"];
            let hosts: Vec<_> = truths.iter().enumerate().map(|(number, (user, jump, worn))| {
                let worn: Vec<&str> = worn.iter().map(|tag| tags[*tag]).collect();
                let mut truth = pick((*user, *jump));
                // No host jumps through itself: that is sorted out before.
                if truth.get(&DraftSetting::Jump) == Some(&format!("h{number}")) {
                    truth.remove(&DraftSetting::Jump);
                }
                host(&format!("h{number}"), &worn, truth)
            }).collect();
            let groups = [("a", pick(offered[1])), ("b", pick(offered[2])), ("c", pick(offered[3]))];
            let mut all = draft(pick(offered[0]), &groups, hosts.clone());
            layer(&mut all);
            for (before, after) in hosts.iter().zip(&all.hosts) {
                for key in [DraftSetting::User, DraftSetting::Jump] {
                    let own = after.settings.get(&key).cloned();
                    let seen = own.or_else(|| below(&all, after, key).map(|(_, value)| value));
                    let seen = seen.filter(|value| Some(value.as_str()) != key.nothing());
                    prop_assert_eq!(seen.as_ref(), before.settings.get(&key));
                }
            }
        }
    }
}
