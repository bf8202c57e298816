//! Judges the matrix and the new logins as they were found before anything changes: what refuses a push, and what it
//! only warns of.

use std::collections::{BTreeMap, BTreeSet};

use crate::decide::absent;
use crate::decide::survey::{Finding, Weight};
use crate::event::reason::absent::Absence;
use crate::event::reason::baseline::{BaselineLink, BaselineLogin, LinkName};
use crate::event::reason::cause::Cause;
use crate::event::reason::refusal::Refusal;
use crate::facts::links::{Link, LinkAnswer, LinkId, Round};
use crate::facts::plan::{LoginBefore, Plan};
use crate::inventory::model::{Fleet, HostName, Place};

/// How many links of a kind are named.
const LINKS_NAMED: usize = 8;

/// What the findings are to be weighed by.
#[derive(Debug, Clone, Copy)]
pub struct BaselineTerms<'a> {
    pub fleet: &'a Fleet,
    /// The hosts that take no part.
    pub skipped: &'a BTreeSet<HostName>,
    /// Whether something changes: then what is down is said as what it means for that.
    pub changes: bool,
    /// Whether links that are down are accepted as they are.
    pub accepts_broken: bool,
}

/// What is to be said of the baseline, and whether a push may go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JudgedBaseline {
    pub findings: Vec<Finding>,
    /// Required links that are down.
    pub down: Vec<LinkId>,
    /// A login that is missing comes first: it is the likelier cause.
    pub refusal: Option<Refusal>,
}

/// Judges a round of the plan's links, and the new logins of its hosts.
#[must_use]
pub fn judge(
    plan: &Plan,
    round: &Round,
    logins: &BTreeMap<HostName, Result<LoginBefore, Cause>>,
    terms: BaselineTerms<'_>,
) -> JudgedBaseline {
    let mut findings: Vec<Finding> = logins.iter().filter_map(|(host, login)| of_login(host, login)).collect();
    let refuses = |findings: &[Finding]| findings.iter().any(|finding| finding.weight == Weight::Refusal);
    let is_shut = refuses(&findings);
    let answering = absent::answering(&plan.links, &Round::default(), round);
    findings.extend(answering.iter().map(|host| Finding::warning(Some(host), Absence::LeftOutAnswers)));
    let down: Vec<LinkId> = round.down(&plan.links).into_iter().filter(|link| plan.links[*link].required).collect();
    let of_links: Vec<Finding> = down.iter().map(|link| of_link(plan, round, *link, terms)).collect();
    let refusal = match (is_shut, refuses(&of_links)) {
        (true, _) => Some(Refusal::NoNewLogin),
        (false, true) => Some(Refusal::RequiredLinkHopeless),
        (false, false) => None,
    };
    findings.extend(folded(of_links));
    JudgedBaseline { findings, down, refusal }
}

fn of_login(host: &HostName, login: &Result<LoginBefore, Cause>) -> Option<Finding> {
    match login {
        Ok(LoginBefore::NotTaken) => Some(Finding::warning(Some(host), BaselineLogin::MovedAlready)),
        Ok(LoginBefore::Taken | LoginBefore::Unknown) => None,
        Err(cause) => Some(Finding::refusal(Some(host), BaselineLogin::NewLoginMissing { cause: cause.clone() })),
    }
}

/// Says what it means that this required link is down.
fn of_link(plan: &Plan, round: &Round, id: LinkId, terms: BaselineTerms<'_>) -> Finding {
    let one = &plan.links[id];
    let why = match round.answer(id) {
        // Where nothing changes the matrix is the answer, and says it.
        LinkAnswer::Down { why } if terms.changes => Some(why.trim().to_owned()).filter(|why| !why.is_empty()),
        LinkAnswer::Up { .. } | LinkAnswer::Down { .. } | LinkAnswer::Unknown => None,
    };
    let link = LinkName { why, ..LinkName::from(one) };
    let probed = *round.answer(id) != LinkAnswer::Unknown;
    let cause = absent::likely_cause(terms.fleet, one, terms.skipped);
    let reason = match cause {
        cause if !terms.changes && !probed => BaselineLink::LinkNotProbed { link, cause },
        cause if !terms.changes => BaselineLink::LinkDown { link, cause },
        cause if terms.accepts_broken => BaselineLink::LinkDownAccepted { link, probed, cause },
        None if is_mendable(plan, one) => BaselineLink::LinkDownMendable { link, probed },
        None => BaselineLink::LinkDownHopeless { link, probed },
        // It is not known whether a host that takes no part could mend the link.
        Some(cause) => BaselineLink::LinkDownAbsentHub { link, probed, cause },
    };
    match reason {
        BaselineLink::LinkDownHopeless { .. } | BaselineLink::LinkDownAbsentHub { .. } => {
            Finding::refusal(None, reason)
        }
        BaselineLink::LinkDown { .. }
        | BaselineLink::LinkNotProbed { .. }
        | BaselineLink::LinkDownAccepted { .. }
        | BaselineLink::LinkDownMendable { .. }
        | BaselineLink::LinkNotTried { .. }
        | BaselineLink::MoreLinks { .. } => Finding::warning(None, reason),
    }
}

/// Names of a large mesh so many links of each kind, and counts the others: nobody reads thousands of lines.
fn folded(findings: Vec<Finding>) -> Vec<Finding> {
    let mut of_kind: BTreeMap<Option<String>, (usize, Weight)> = BTreeMap::new();
    let mut named = Vec::new();
    for finding in findings {
        let code = finding.text.code().map(ToOwned::to_owned);
        let (count, _) = of_kind.entry(code).or_insert((0, finding.weight));
        *count += 1;
        if *count <= LINKS_NAMED {
            named.push(finding);
        }
    }
    let others = of_kind.into_iter().filter(|(_, (count, _))| *count > LINKS_NAMED);
    named.extend(others.map(|(code, (count, weight))| {
        let as_in = code.unwrap_or_default();
        Finding { weight, ..Finding::warning(None, BaselineLink::MoreLinks { as_in, more: count - LINKS_NAMED }) }
    }));
    named
}

/// Says of which required links it is not known whether they would refuse a push, because nobody has looked at them.
#[must_use]
pub fn not_tried(plan: &Plan, links: &[Link]) -> Vec<Finding> {
    let could_refuse = |link: &&Link| link.required && !is_mendable(plan, link);
    let finding = |link: &Link| Finding::warning(None, BaselineLink::LinkNotTried { link: link.into() });
    links.iter().filter(could_refuse).map(finding).collect()
}

/// Returns whether a host that the push changes is at one of its ends.
fn is_mendable(plan: &Plan, link: &Link) -> bool {
    let changing = |name: &HostName| plan.hosts.iter().any(|host| host.changes && host.name == *name);
    matches!(&link.from, Place::Host(from) if changing(from)) || link.to_host.as_ref().is_some_and(changing)
}

impl From<&Link> for LinkName {
    fn from(link: &Link) -> Self {
        Self { from: link.from.clone(), to: link.to.clone(), kind: link.probe.kind().to_owned(), why: None }
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::decide::status::tests::{fleet, system};
    use crate::facts::links::resolve;
    use crate::facts::plan::HostPlan;
    use crate::facts::systems::Systems;

    const LAB: &str = "
hosts: {vps: {}, home: {}}
fleets:
  lab:
    flake: .
    hosts: all
    checks:
      - {tcp: 22, to: home, from: vps}
      - {tcp: 443, to: far.example.org, from: workstation}
      - {tcp: 80, to: far.example.org, from: workstation, required: false}
";

    fn host(name: &str) -> HostName {
        HostName::new(name).unwrap()
    }

    /// A push that changes these hosts.
    fn plan(fleet: &Fleet, changing: &[&str]) -> Plan {
        let current = system('a', "1");
        let host = |name: &str| HostPlan {
            name: host(name),
            changes: changing.contains(&name),
            old: Systems::all(&current),
            generation: 1,
            new: system('b', "2"),
            boot_id: "b".to_owned(),
            machine_id: name.to_owned(),
            behind: None,
            reactivate: false,
            wave: 0,
            login: LoginBefore::Unknown,
            failed_units: BTreeSet::new(),
            restarts: BTreeMap::new(),
            units: crate::facts::units::UnitTerms::default(),
        };
        Plan {
            hosts: ["vps", "home"].map(host).to_vec(),
            links: resolve(fleet, &BTreeMap::new()),
            baseline: Round::default(),
            accepted: BTreeSet::new(),
        }
    }

    fn said(judged: &JudgedBaseline) -> Vec<(&str, Weight)> {
        crate::codes::keep_judged(judged.findings.iter().map(|finding| finding.text.clone()));
        judged.findings.iter().map(|finding| (finding.text.code().unwrap(), finding.weight)).collect()
    }

    /// Of all links that are down, and of logins that are taken, unless it is said otherwise.
    #[test]
    fn a_link_that_is_down_refuses_where_nothing_that_changes_is_at_its_ends() {
        let fleet = fleet(LAB);
        let nobody = BTreeSet::new();
        let terms = BaselineTerms { fleet: &fleet, skipped: &nobody, changes: true, accepts_broken: false };
        let judged =
            |changing: &[&str], terms| judge(&plan(&fleet, changing), &Round::default(), &BTreeMap::new(), terms);
        let both = judged(&["home"], terms);
        assert_eq!(
            said(&both),
            [("link-down-mendable", Weight::Warning), ("link-down-hopeless", Weight::Refusal)],
            "an optional link is only shown"
        );
        assert_eq!((both.down, both.refusal), (vec![0, 1], Some(Refusal::RequiredLinkHopeless)));

        let accepted = judged(&["home"], BaselineTerms { accepts_broken: true, ..terms });
        assert_eq!(said(&accepted), [("link-down-accepted", Weight::Warning); 2]);
        assert_eq!((accepted.down, accepted.refusal), (vec![0, 1], None));

        let idle = judged(&[], BaselineTerms { changes: false, ..terms });
        assert_eq!(said(&idle), [("link-not-probed", Weight::Warning); 2]);
        assert_eq!(idle.refusal, None);
    }

    /// Nobody knows whether a host that takes no part could mend the link: it may be what the VPN leads over.
    #[test]
    fn a_link_of_a_vpn_that_is_down_while_a_host_is_left_out_refuses_and_names_that_host() {
        let vpn = LAB.replace("- {tcp: 22, to: home, from: vps}", "- {vpn: mesh}");
        let vpn = vpn.replace("vps: {}", "vps: {vpn: 10.100.0.1}").replace("home: {}", "home: {vpn: 10.100.0.2}");
        let fleet = fleet(&vpn);
        let left_out = [host("hub")].into();
        let terms = BaselineTerms { fleet: &fleet, skipped: &left_out, changes: true, accepts_broken: false };
        let judged = judge(&plan(&fleet, &["home"]), &Round::default(), &BTreeMap::new(), terms);
        let named =
            judged.findings.iter().filter(|finding| finding.text.to_string().contains("because hub is left out"));
        assert!(named.count() >= 2, "{judged:#?}");
        assert_eq!(judged.refusal, Some(Refusal::RequiredLinkHopeless));
        assert!(said(&judged).contains(&("link-down-absent-hub", Weight::Refusal)));
    }

    #[test]
    fn a_link_whose_probe_could_not_be_made_is_not_said_to_be_down() {
        let fleet = fleet(LAB);
        let nobody = BTreeSet::new();
        let terms = BaselineTerms { fleet: &fleet, skipped: &nobody, changes: true, accepts_broken: false };
        let plan = plan(&fleet, &["home"]);
        let words = |round: &Round| -> Vec<bool> {
            let judged = judge(&plan, round, &BTreeMap::new(), terms);
            assert_eq!(judged.refusal, Some(Refusal::RequiredLinkHopeless), "not known is not up");
            judged.findings.iter().map(|finding| finding.text.to_string().contains("is already down")).collect()
        };
        assert_eq!(words(&Round::default()), [false, false]);
        let down = Round {
            answers: [0, 1].map(|link| (link, LinkAnswer::Down { why: String::new() })).into(),
            ..Round::default()
        };
        assert_eq!(words(&down), [true, true]);
    }

    /// A mesh of 64 hosts that could not be measured told of 4,218 links, a line each.
    #[test]
    fn of_many_links_that_are_down_eight_of_a_kind_are_named_and_the_others_counted() {
        let checks: Vec<String> =
            (1..=20).map(|port| format!("      - {{tcp: {port}, to: home, from: vps}}")).collect();
        let fleet = fleet(&LAB.replace("      - {tcp: 22, to: home, from: vps}", &checks.join("\n")));
        let nobody = BTreeSet::new();
        let terms = BaselineTerms { fleet: &fleet, skipped: &nobody, changes: true, accepts_broken: false };
        let judged = judge(&plan(&fleet, &["home"]), &Round::default(), &BTreeMap::new(), terms);
        let said = said(&judged);
        assert_eq!(said.iter().filter(|(code, _)| *code == "link-down-mendable").count(), 8);
        assert_eq!(said.last(), Some(&("more-links", Weight::Warning)));
        assert!(judged.findings.last().unwrap().text.to_string().contains("12 more links"));
        assert_eq!((said.len(), judged.down.len()), (10, 21), "the one that nobody can mend, too");
    }

    #[test]
    fn a_login_that_is_missing_is_named_before_a_link_that_is_down() {
        let fleet = fleet(LAB);
        let nobody = BTreeSet::new();
        let terms = BaselineTerms { fleet: &fleet, skipped: &nobody, changes: true, accepts_broken: false };
        let logins = BTreeMap::from([
            (host("home"), Err(Cause::NoTimeToAsk)),
            (host("vps"), Ok(LoginBefore::NotTaken)),
            (host("web"), Ok(LoginBefore::Taken)),
        ]);
        let judged = judge(&plan(&fleet, &["vps", "home"]), &Round::default(), &logins, terms);
        assert_eq!(
            said(&judged),
            [
                ("new-login-missing", Weight::Refusal),
                ("moved-already", Weight::Warning),
                ("link-down-mendable", Weight::Warning),
                ("link-down-hopeless", Weight::Refusal),
            ]
        );
        assert_eq!(judged.refusal, Some(Refusal::NoNewLogin));
    }

    #[test]
    fn of_links_that_nobody_looks_at_those_are_said_that_could_refuse() {
        let fleet = fleet(LAB);
        let plan = plan(&fleet, &["vps"]);
        let said = not_tried(&plan, &plan.links);
        crate::codes::keep_judged(said.iter().map(|finding| finding.text.clone()));
        let links: Vec<String> = said.iter().map(|finding| finding.text.to_string()).collect();
        assert_eq!(links.len(), 1, "{links:#?}");
        assert!(links[0].contains("far.example.org") && links[0].contains("was not looked at"), "{links:#?}");
    }
}
