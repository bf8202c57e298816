//! Phase 2: makes one master and one round trip for each host, and says which facts are against the push.

use std::collections::{BTreeMap, BTreeSet};

use futures::FutureExt;

use super::clock::{BootClock, Clock};
use super::orders::HostClock;
use super::push::{Phased, Push, lock, refuse_if};
use super::reach::Reach;
use super::ssh_hosts::{ask_all, reason};
use super::surveyor::{Answered, Surveyed};
use crate::decide::remembered;
use crate::decide::survey::{self, Finding, Weight};
use crate::event::{Event, Phase};
use crate::facts::systems::BootFiles;
use crate::inventory::model::{Host, HostName};
use crate::remote::answer;
use crate::remote::step::Step as RemoteStep;

impl Push<'_> {
    /// Surveys every host that must answer.
    pub(super) async fn survey(&self) -> Phased<BTreeMap<HostName, Answered>> {
        let (surveyed, all_answer) = self.ask_everybody().await;
        refuse_if(!all_answer, "not every host could be surveyed")?;
        Ok(surveyed)
    }

    /// Surveys all hosts, because the links of all of them are the proof: a witness that is silent and needed refuses
    /// as well.
    pub(super) async fn survey_with_witnesses(&self) -> Phased<BTreeMap<HostName, Answered>> {
        let (surveyed, all_answer) = self.ask_everybody().await;
        let all_needed = self.needed_witnesses_answer(&surveyed);
        refuse_if(!all_answer || !all_needed, "not every host could be surveyed")?;
        Ok(surveyed)
    }

    /// Returns the survey of every host that answers, and whether all hosts answer that must. Hosts that are left out
    /// are not asked.
    pub(super) async fn ask_everybody(&self) -> (BTreeMap<HostName, Answered>, bool) {
        self.tell(Event::PhaseStarted { phase: Phase::Survey });
        // A host that was left out once stays left out for the whole run, even if it answers by now.
        let skipped = lock(&self.skipped).clone();
        for host in self.request.fleet.hosts.iter().map(|host| &host.name).filter(|host| skipped.contains(*host)) {
            self.tell(Event::HostLeftOut { host: host.clone() });
            self.tell(Event::HostDone { host: host.clone(), phase: Phase::Survey });
        }
        let hosts = || self.request.fleet.hosts.iter().filter(|host| !skipped.contains(&host.name));
        let question = |host| aloud(host, ask(&self.reach, host), |event| self.tell(event)).boxed();
        let questions = hosts().map(|host| (host.name.clone(), question(host)));
        let answers = ask_all(questions).await;
        let mut surveyed = BTreeMap::new();
        let mut all_answer = true;
        let silent: BTreeSet<&HostName> =
            answers.iter().filter(|(_, answer)| answer.is_err()).map(|(host, _)| host).collect();
        for host in hosts() {
            match answers[&host.name].as_ref() {
                Ok(_) => self.tell_address(&host.name),
                Err((text, hint)) if host.optional => {
                    let text = format!(
                        "is left out with its links, since it is `optional` and does not answer: {text}{}",
                        hinted(hint.as_ref())
                    );
                    self.warn(Some(&host.name), text);
                    self.tell(Event::HostLeftOut { host: host.name.clone() });
                    lock(&self.skipped).insert(host.name.clone());
                }
                Err((text, hint)) if !self.request.selected.contains(&host.name) => {
                    self.warn(
                        Some(&host.name),
                        format!("this witness does not answer: {text}{}", hinted(hint.as_ref())),
                    );
                }
                Err((text, hint)) => {
                    let hint = self.or_without(&silent, hint.as_ref());
                    self.fail(Some(&host.name), text.clone(), hint);
                    all_answer = false;
                }
            }
        }
        for (host, answer) in answers {
            if let Ok(answered) = answer {
                surveyed.insert(host, answered);
            }
        }
        (surveyed, all_answer)
    }

    /// Tells by which of its several addresses the host is reached, from now on.
    fn tell_address(&self, host: &HostName) {
        let Some((address, passed_over)) = self.reach.workspace().settled_on(host) else { return };
        for why in passed_over {
            self.warn(Some(host), format!("another of its addresses was passed over: {why}"));
        }
        self.tell(Event::AddressChosen { host: host.clone(), address: address.to_owned() });
    }

    pub(super) fn judge(&self, views: &[survey::Surveyed<'_>]) -> Phased<()> {
        let mut findings = survey::judge(&self.request.fleet.name, views, self.request.allowed);
        findings.extend(remembered::judge(views, &self.request.accept_failed));
        self.tell_findings(&findings);
        for view in views {
            for note in view.facts.notes.iter().filter(|_| view.changes()) {
                self.warn(Some(&view.host.name), note.clone());
            }
        }
        refuse_if(findings.iter().any(|finding| finding.weight == Weight::Refusal), "a host must not be touched now")
    }

    pub(super) fn tell_findings(&self, findings: &[Finding]) {
        for finding in findings {
            match finding.weight {
                Weight::Warning => self.warn(finding.host.as_ref(), finding.text.clone()),
                Weight::Refusal => self.fail(finding.host.as_ref(), finding.text.clone(), finding.hint.clone()),
            }
        }
    }
}

/// Tells what is being done, and tells a good answer as soon as it is there: a slow host must not hide the answers of
/// the others.
pub(super) async fn aloud(host: &Host, answer: impl Future<Output = Surveyed>, tell: impl Fn(Event)) -> Surveyed {
    let host = &host.name;
    tell(Event::HostMoved { host: host.clone(), doing: "connecting".to_owned() });
    let answer = answer.await;
    if let Ok(Answered { facts, .. }) = &answer {
        tell(Event::HostSurveyed {
            host: host.clone(),
            nixos: facts.nixos_version.clone(),
            nix: facts.nix_version.clone(),
            systemd: facts.systemd_version.clone(),
            kernel: facts.kernel.clone(),
            boot_files_unproven: match &facts.boot_files {
                Some(BootFiles::Unproven { why }) => Some(why.clone()),
                Some(BootFiles::Whole | BootFiles::Bad { .. }) | None => None,
            },
        });
        tell(Event::HostDone { host: host.clone(), phase: Phase::Survey });
    }
    answer
}

/// Asks one host for its survey; or says why there is none, and what to do about it.
pub(super) async fn ask(reach: &Reach, host: &Host) -> Surveyed {
    let script = RemoteStep::Survey.script();
    let limit = host.limits.connect + host.limits.step;
    let raw = reach.run(&host.name, &script, limit).await;
    let at = BootClock.now();
    let raw = raw.map_err(|error| (reason(&error), error.hint()))?;
    let facts = answer::facts(&raw.lines).map_err(|error| (error.to_string(), None))?;
    Ok(Answered { clock: HostClock { uptime: facts.standing.uptime, at }, facts })
}

fn hinted(hint: Option<&String>) -> String {
    hint.map(|hint| format!(" ({hint})")).unwrap_or_default()
}
