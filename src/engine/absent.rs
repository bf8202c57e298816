//! Handles the hosts that a run goes on without, and names those that it could go on without.

use std::collections::{BTreeMap, BTreeSet};

use super::host_survey::Answered;
use super::inquiry::Inquiry;
use super::survey::FleetSurvey;
use crate::decide::absent;
use crate::decide::survey::Finding;
use crate::event::Event;
use crate::event::reason::Worded;
use crate::event::reason::absent::Absence;
use crate::event::reason::cause::Cause;
use crate::event::wording::absent::go_on_without;
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

    /// Finds the silent witnesses that the proof needs, and says what to add.
    ///
    /// Without this check a push would begin, wait out the settle time for links that no host can bring up, and go
    /// back.
    pub(super) fn needed_witnesses(&self, survey: &FleetSurvey) -> Vec<Finding> {
        if self.scope.allowed.broken {
            // With `--allow-broken` their links are accepted like the others that are down, each by its name.
            return Vec::new();
        }
        let is_silent_witness = |host: &&Host| {
            let name = &host.name;
            !survey.answered.contains_key(name) && !survey.skipped.contains(name) && !self.scope.selected.contains(name)
        };
        let silent: Vec<&Host> = self.scope.fleet.hosts.iter().filter(is_silent_witness).collect();
        let names: BTreeSet<&HostName> = silent.iter().map(|host| &host.name).collect();
        let finding = |(host, links): (&Host, usize)| {
            let without = words_without(&self.scope.fleet.hosts, &self.scope.selected, &names);
            Finding::refusal(Some(&host.name), Absence::WitnessNeeded { links, without })
        };
        absent::needed(&self.links(survey), &silent).into_iter().map(finding).collect()
    }

    /// Tells of a host that must answer and does not.
    pub(super) fn tell_silence(&self, silent: &BTreeSet<&HostName>, host: &HostName, cause: &Cause) {
        self.tell(silence(&self.scope.fleet.hosts, &self.scope.selected, silent, host, cause));
    }
}

/// Makes the failure of a host that must answer and does not: with what mends it, and with the words to add to go on
/// without all that are silent.
pub(super) fn silence(
    hosts: &[Host],
    selected: &BTreeSet<HostName>,
    silent: &BTreeSet<&HostName>,
    host: &HostName,
    cause: &Cause,
) -> Event {
    let hint = go_on_without(cause.mend(), words_without(hosts, selected, silent).as_deref());
    Event::Failed { host: Some(host.clone()), text: cause.clone().into(), hint }
}

fn ssh_ports(surveyed: &BTreeMap<HostName, Answered>) -> BTreeMap<HostName, u16> {
    surveyed.iter().filter_map(|(host, one)| Some((host.clone(), one.facts.ssh_port?))).collect()
}
