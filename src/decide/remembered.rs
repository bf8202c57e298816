//! Handles units that made a run roll back and have failed since: they count for a push that is typed again.

use std::collections::{BTreeMap, BTreeSet};

use crate::decide::survey::{Finding, Surveyed};
use crate::event::reason::units::UnitCaution;

/// Returns the units that this host remembers and the person has not accepted, each with the run that failed by it.
#[must_use]
pub fn remembered(view: &Surveyed<'_>, accepted: &BTreeSet<String>) -> BTreeMap<String, String> {
    let ignores = |unit: &str| view.host.ignored_units.iter().any(|pattern| pattern.matches(unit));
    let counts = |(unit, _): &(&String, &String)| !accepted.contains(*unit) && !ignores(unit);
    view.facts.remembered.iter().filter(counts).map(|(unit, run)| (unit.clone(), run.clone())).collect()
}

/// Says what is to be said of them before anything is touched.
#[must_use]
pub fn judge(hosts: &[Surveyed<'_>], accepted: &BTreeSet<String>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for view in hosts.iter().filter(|view| view.changes()) {
        let host = &view.host.name;
        for (unit, run) in remembered(view, accepted) {
            // The push starts units that another unit needs, and units that only the new system has.
            let now = view.facts.standing.units.get(&unit);
            let is_started = now.is_none_or(|now| now.needed || now.gone);
            findings.push(if is_started {
                Finding::warning(Some(host), UnitCaution::UnitRemembered { unit, run })
            } else {
                Finding::refusal(Some(host), UnitCaution::UnitRememberedIdle { unit, run })
            });
        }
    }
    let unknown = |unit: &&String| !hosts.iter().any(|view| view.facts.remembered.contains_key(*unit));
    let unknown = accepted.iter().filter(unknown);
    findings
        .extend(unknown.map(|unit| Finding::warning(None, UnitCaution::AcceptedUnitUnknown { unit: unit.clone() })));
    findings
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::decide::status::tests::{fleet, system, well};
    use crate::decide::survey::Weight;
    use crate::decide::time::Times;

    #[test]
    fn what_is_accepted_is_not_spoken_of_and_a_slip_in_its_name_is() {
        let fleet = fleet("hosts: {vps: }\nfleets: {lab: {flake: ., hosts: all}}\n");
        let mut facts = well().facts;
        facts.remembered = [("app.service".to_owned(), "r-1".to_owned())].into();
        let new = system('b', "2");
        let view = Surveyed {
            host: &fleet.hosts[0],
            selected: true,
            facts: &facts,
            new: Some(&new),
            times: Times::of(&fleet.hosts[0], fleet.settle, fleet.steady()),
        };
        let said = |accepted: &[&str]| {
            let findings = judge(std::slice::from_ref(&view), &accepted.iter().map(ToString::to_string).collect());
            for finding in &findings {
                crate::codes::keep(&finding.event());
            }
            assert!(findings.iter().all(|finding| finding.weight == Weight::Warning));
            findings.iter().map(|finding| finding.text.code().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(said(&[]), ["unit-remembered"]);
        assert_eq!(said(&["app.service"]), [""; 0]);
        assert_eq!(said(&["ap.service"]), ["unit-remembered", "accepted-unit-unknown"]);
    }
}
