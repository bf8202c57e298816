//! The hosts that a command goes on without: those that are named, and no host that is reached only over them.

use std::collections::BTreeSet;

use super::model::{Host, HostName};
use super::select::SelectError;
use super::words::nearest;

/// Finds the hosts that `names` mean among those of a fleet.
///
/// A host that is reached through one of them cannot be asked either, so it must be named as well: to leave out more
/// hosts than were named would surprise the person, and to wait for a host that cannot be reached would be no help.
///
/// # Errors
/// [`SelectError::NothingMatches`], [`SelectError::BehindWithout`], [`SelectError::NobodyLeft`].
pub fn left_out(hosts: &[Host], names: &[HostName]) -> Result<BTreeSet<HostName>, SelectError> {
    let known = || hosts.iter().map(|host| &host.name);
    if let Some(unknown) = names.iter().find(|name| !known().any(|host| host == *name)) {
        let near = nearest(unknown.as_str(), known().map(HostName::as_str)).map(Into::into);
        return Err(SelectError::NothingMatches {
            pattern: unknown.to_string(),
            near,
            hosts: known().cloned().collect(),
        });
    }
    let out: BTreeSet<HostName> = names.iter().cloned().collect();
    let behind = hosts.iter().filter(|host| !out.contains(&host.name)).filter_map(|host| {
        let over = host.way.iter().find(|jump| out.contains(*jump))?;
        Some((host.name.clone(), over.clone()))
    });
    let behind: Vec<(HostName, HostName)> = behind.collect();
    if !behind.is_empty() {
        return Err(SelectError::BehindWithout { named: names.to_vec(), behind });
    }
    if !out.is_empty() && known().all(|host| out.contains(host)) {
        return Err(SelectError::NobodyLeft);
    }
    Ok(out)
}

/// The option that leaves out these hosts, and those that are reached only over them; `None` where none of the selected
/// hosts would be left.
#[must_use]
pub fn words_without(hosts: &[Host], selected: &BTreeSet<HostName>, silent: &BTreeSet<&HostName>) -> Option<String> {
    let of_fleet = |jump: &&HostName| silent.contains(*jump) && hosts.iter().any(|host| host.name == **jump);
    let is_out = |host: &&Host| silent.contains(&host.name) || host.way.iter().any(|jump| of_fleet(&jump));
    let (out, left): (Vec<&Host>, Vec<&Host>) = hosts.iter().partition(is_out);
    let names: Vec<&str> = out.iter().map(|host| host.name.as_str()).collect();
    let is_use = left.iter().any(|host| selected.contains(&host.name)) && !names.is_empty();
    is_use.then(|| format!("--without {}", names.join(",")))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use pretty_assertions::assert_eq;

    use super::*;
    use crate::inventory::Inventory;

    fn hosts() -> Vec<Host> {
        let text = "hosts: {gate: {}, db: {jump: gate}, deep: {jump: db}, web: {}}\n\
                    fleets: {lab: {flake: ., hosts: all}}\n";
        let inventory = Inventory::parse(Path::new("inventory.yaml"), Path::new("/"), text).unwrap().inventory;
        inventory.fleets["lab"].hosts.clone()
    }

    fn chosen(names: &[&str]) -> Result<Vec<String>, (String, Option<String>)> {
        let names: Vec<HostName> = names.iter().map(|name| HostName::new(*name).unwrap()).collect();
        left_out(&hosts(), &names)
            .map(|out| out.iter().map(ToString::to_string).collect())
            .map_err(|error| (error.to_string(), error.hint()))
    }

    #[test]
    fn exactly_the_named_hosts_are_left_out() {
        assert_eq!(chosen(&[]), Ok(vec![]));
        assert_eq!(chosen(&["web", "deep", "web"]), Ok(vec!["deep".to_owned(), "web".to_owned()]));
        assert_eq!(chosen(&["db", "gate", "deep"]).unwrap().len(), 3);
    }

    #[test]
    fn a_host_behind_a_jump_that_is_left_out_is_to_be_named_too() {
        let (error, hint) = chosen(&["gate"]).unwrap_err();
        assert_eq!(error, "the way to `db` and `deep` leads over a host that is left out (`gate`)");
        assert_eq!(hint.as_deref(), Some("they cannot be reached either: write `--without gate,db,deep`"));
        let (error, hint) = chosen(&["web", "db"]).unwrap_err();
        assert_eq!(error, "the way to `deep` leads over a host that is left out (`db`)");
        assert_eq!(hint.as_deref(), Some("it cannot be reached either: write `--without web,db,deep`"));
    }

    #[test]
    fn a_name_of_no_host_and_a_fleet_of_nobody_are_refused() {
        let (error, hint) = chosen(&["wbe"]).unwrap_err();
        assert_eq!((error.as_str(), hint.as_deref()), ("no host matches `wbe`", Some("did you mean `web`?")));
        let (error, _) = chosen(&["gate", "db", "deep", "web"]).unwrap_err();
        assert_eq!(error, "no host is left: `--without` leaves out every host of the fleet");
    }

    #[test]
    fn the_words_to_add_are_such_as_are_taken() {
        let words = |silent: &[&str], selected: &[&str]| {
            let names = |words: &[&str]| -> BTreeSet<HostName> {
                words.iter().map(|word| HostName::new(*word).unwrap()).collect()
            };
            let silent = names(silent);
            words_without(&hosts(), &names(selected), &silent.iter().collect())
        };
        let all = ["gate", "db", "deep", "web"];
        for (silent, expected) in [
            (&["web"][..], Some("--without web")),
            (&["db"], Some("--without db,deep")),
            (&["gate", "deep"], Some("--without gate,db,deep")),
            (&[], None),
            (&all, None),
        ] {
            let said = words(silent, &all);
            assert_eq!(said.as_deref(), expected);
            if let Some(said) = said {
                let names: Vec<&str> = said.trim_start_matches("--without ").split(',').collect();
                assert!(chosen(&names).is_ok(), "{said}");
            }
        }
        assert_eq!(words(&["web"], &["web"]), None, "there would be nothing to do");
        assert_eq!(words(&["web"], &["db"]).as_deref(), Some("--without web"));
    }
}
