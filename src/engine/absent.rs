//! Handles the hosts that a run goes on without, and names those that it could go on without.

use std::collections::{BTreeMap, BTreeSet};

use super::host_survey::Answered;
use super::inquiry::Inquiry;
use super::survey::FleetSurvey;
use crate::decide::absent;
use crate::facts::links::{self, Link};
use crate::inventory::model::{Host, HostName};
use crate::inventory::words_without;

impl Inquiry<'_> {
    /// Returns the fleet's links that are looked at: without those that begin at a host that takes no part.
    pub(super) fn links(&self, survey: &FleetSurvey) -> Vec<Link> {
        let absent: Vec<&Host> =
            self.scope.fleet.hosts.iter().filter(|host| survey.skipped.contains(&host.name)).collect();
        absent::without(links::resolve(&self.scope.fleet, &ssh_ports(&survey.answered)), &absent)
    }

    /// Checks whether every witness answers that the proof needs; tells which do not, and what to add.
    ///
    /// Without this check a push would begin, wait out the settle time for links that no host can bring up, and go
    /// back.
    pub(super) fn needed_witnesses_answer(&self, survey: &FleetSurvey) -> bool {
        if self.scope.allowed.broken {
            // With `--allow-broken` their links are accepted like the others that are down, each by its name.
            return true;
        }
        let is_silent_witness = |host: &&Host| {
            let name = &host.name;
            !survey.answered.contains_key(name) && !survey.skipped.contains(name) && !self.scope.selected.contains(name)
        };
        let silent: Vec<&Host> = self.scope.fleet.hosts.iter().filter(is_silent_witness).collect();
        let names: BTreeSet<&HostName> = silent.iter().map(|host| &host.name).collect();
        let needed = absent::needed(&self.links(survey), &silent);
        for (host, links) in &needed {
            let of = if *links == 1 {
                "a required link begins or ends".to_owned()
            } else {
                format!("{links} required links begin or end")
            };
            let text = format!("is needed as a witness: {of} there, of which nothing could be proven");
            self.fail(Some(&host.name), text, self.or_without(&names, None));
        }
        needed.is_empty()
    }

    /// What mends a host's silence, and the words to add to go on without all that are silent.
    pub(super) fn or_without(&self, silent: &BTreeSet<&HostName>, hint: Option<&String>) -> Option<String> {
        or_without(&self.scope.fleet.hosts, &self.scope.selected, silent, hint)
    }
}

/// What mends a host's silence, and the words to add to go on without all that are silent.
pub(super) fn or_without(
    hosts: &[Host],
    selected: &BTreeSet<HostName>,
    silent: &BTreeSet<&HostName>,
    hint: Option<&String>,
) -> Option<String> {
    let on_without = words_without(hosts, selected, silent).map(|words| format!("add `{words}` to go on without it"));
    match (hint, on_without) {
        (Some(hint), Some(words)) => Some(format!("{hint}; or {words}")),
        (hint, words) => hint.cloned().or(words),
    }
}

fn ssh_ports(surveyed: &BTreeMap<HostName, Answered>) -> BTreeMap<HostName, u16> {
    surveyed.iter().filter_map(|(host, one)| Some((host.clone(), one.facts.ssh_port?))).collect()
}
