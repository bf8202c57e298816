//! Judges an unfinished rolling reboot: how each of its hosts is found. It changes no host.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::reason::reboot::FoundRolling;
use crate::facts::host::{Standing, same_boot};
use crate::inventory::model::HostName;

/// The knowledge of a record about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnfinishedReboot {
    /// The hosts that were to be rebooted, with the boot that each was on.
    pub hosts: BTreeMap<HostName, String>,
    /// The hosts that it came to.
    pub told: BTreeSet<HostName>,
    /// The host that it was trying when it wrote its last entry.
    pub tried: Option<HostName>,
}

/// Returns how its hosts are found; those in `answers` without a standing do not answer. Without a record the hosts
/// themselves tell on which boot they were held last.
#[must_use]
pub fn found(
    run: &str,
    begun: Option<&UnfinishedReboot>,
    answers: &BTreeMap<HostName, Option<Standing>>,
) -> BTreeMap<HostName, FoundRolling> {
    let by_record = |begun: &UnfinishedReboot, host: &HostName, standing: Option<&Standing>| {
        let (before, told) = (begun.hosts.get(host)?, begun.told.contains(host));
        Some(match standing {
            None => FoundRolling::AwayFromReboot { told: Some(told) },
            Some(standing) if !told && same_boot(&standing.boot_id, before) => FoundRolling::RebootNotBegun,
            Some(standing) if same_boot(&standing.boot_id, before) => FoundRolling::RebootToldOnly,
            Some(_) => FoundRolling::RebootDone,
        })
    };
    let by_host = |standing: Option<&Standing>| {
        let Some(standing) = standing else { return Some(FoundRolling::AwayFromReboot { told: None }) };
        let lease = standing.rolling.as_ref().filter(|lease| lease.run == run)?;
        let same = same_boot(&lease.boot_id, &standing.boot_id);
        Some(if same { FoundRolling::RebootNotBegun } else { FoundRolling::RebootDone })
    };
    let one = |(host, standing): (&HostName, &Option<Standing>)| {
        let found = match begun {
            Some(begun) => by_record(begun, host, standing.as_ref()),
            None => by_host(standing.as_ref()),
        };
        found.map(|found| (host.clone(), found))
    };
    answers.iter().filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::decide::reboot::tests::standing;
    use crate::facts::host::RollingLease;

    fn name(host: &str) -> HostName {
        HostName::new(host).unwrap()
    }

    fn on(boot_id: &str, held_on: Option<&str>) -> Standing {
        let lease =
            |boot_id: &str| RollingLease { run: "r-1".into(), left: 9, boot_id: boot_id.into(), owner: "a@b".into() };
        Standing { boot_id: boot_id.into(), rolling: held_on.map(lease), ..standing() }
    }

    #[test]
    fn with_its_record_every_host_that_was_to_be_rebooted_is_named_and_no_other() {
        let hosts = ["a", "b", "c", "d", "e"].map(|host| (name(host), "old.1".to_owned()));
        let begun = UnfinishedReboot { hosts: hosts.into(), told: ["a", "b", "c"].map(name).into(), tried: None };
        let answers = [
            ("a", Some(on("new.2", None))),
            ("b", Some(on("old.1", Some("old.1")))),
            ("c", None),
            ("d", Some(on("old.1", None))),
            ("e", None),
            ("witness", None),
        ];
        let answers = answers.map(|(host, standing)| (name(host), standing)).into();
        let found: Vec<_> =
            found("r-1", Some(&begun), &answers).into_iter().map(|(host, found)| (host.to_string(), found)).collect();
        let expected = [
            ("a", FoundRolling::RebootDone),
            ("b", FoundRolling::RebootToldOnly),
            ("c", FoundRolling::AwayFromReboot { told: Some(true) }),
            ("d", FoundRolling::RebootNotBegun),
            ("e", FoundRolling::AwayFromReboot { told: Some(false) }),
        ];
        assert_eq!(found, expected.map(|(host, found)| (host.to_owned(), found)));
    }

    #[test]
    fn without_a_record_the_hosts_tell_on_which_boot_they_were_held() {
        let answers = [
            ("a", Some(on("new.2", Some("old.1")))),
            ("b", Some(on("old.1", Some("old.1")))),
            ("c", None),
            // It was let go, or never held.
            ("d", Some(on("old.1", None))),
        ];
        let answers = answers.map(|(host, standing)| (name(host), standing)).into();
        let found: Vec<_> = found("r-1", None, &answers).into_values().collect();
        assert_eq!(
            found,
            [FoundRolling::RebootDone, FoundRolling::RebootNotBegun, FoundRolling::AwayFromReboot { told: None }]
        );
    }
}
