//! Phase 2: makes one master and one round trip for each host, and finds out which of them answer.

use std::collections::{BTreeMap, BTreeSet};

use futures::FutureExt;

use super::ask::ask_all;
use super::host_survey::{Answered, aloud, ask};
use super::inquiry::{Inquiry, Phased, refuse_if};
use crate::decide::absent::Silence;
use crate::event::reason::absent::Absence;
use crate::event::reason::refusal::Refusal;
use crate::event::{Event, Phase};
use crate::inventory::model::HostName;

/// The result of the survey of a fleet.
pub(super) struct FleetSurvey {
    pub(super) answered: BTreeMap<HostName, Answered>,
    /// Hosts that take no part: those that were left out before, and optional ones that do not answer.
    pub(super) skipped: BTreeSet<HostName>,
    pub(super) all_answer_that_must: bool,
}

impl FleetSurvey {
    /// Refuses if a host is silent that must answer; it was told which.
    pub(super) fn ensure_all_answer(&self) -> Phased<()> {
        refuse_if(!self.all_answer_that_must, Refusal::HostsNotSurveyed)
    }
}

impl Inquiry<'_> {
    /// Asks every host that is not skipped already. A host that was left out once stays so for the whole run, even if
    /// it answers by now.
    pub(super) async fn survey(&self, skipped: &BTreeSet<HostName>) -> FleetSurvey {
        self.tell(Event::PhaseStarted { phase: Phase::Survey });
        for host in self.scope.fleet.hosts.iter().map(|host| &host.name).filter(|host| skipped.contains(*host)) {
            self.tell(Event::HostLeftOut { host: host.clone() });
            self.tell(Event::HostDone { host: host.clone(), phase: Phase::Survey });
        }
        let hosts = || self.scope.fleet.hosts.iter().filter(|host| !skipped.contains(&host.name));
        let question = |host| aloud(host, ask(&self.reach, host), |event| self.tell(event)).boxed();
        let questions = hosts().map(|host| (host.name.clone(), question(host)));
        let answers = ask_all(questions).await;
        let mut skipped_now = skipped.clone();
        let mut all_answer_that_must = true;
        let silent: BTreeSet<&HostName> =
            answers.iter().filter(|(_, answer)| answer.is_err()).map(|(host, _)| host).collect();
        for host in hosts() {
            let Err(cause) = answers[&host.name].as_ref() else {
                self.tell_address(&host.name);
                continue;
            };
            match Silence::of(host, &self.scope.selected) {
                Silence::Skipped => {
                    self.warn(Some(&host.name), Absence::OptionalHostSilent { cause: cause.clone() });
                    self.tell(Event::HostLeftOut { host: host.name.clone() });
                    skipped_now.insert(host.name.clone());
                }
                Silence::Witness => {
                    self.warn(Some(&host.name), Absence::WitnessSilent { cause: cause.clone() });
                }
                Silence::MustAnswer => {
                    self.tell_silence(&silent, &host.name, cause);
                    all_answer_that_must = false;
                }
            }
        }
        let answered = answers.into_iter().filter_map(|(host, answer)| Some((host, answer.ok()?))).collect();
        FleetSurvey { answered, skipped: skipped_now, all_answer_that_must }
    }

    /// Refuses if a host is silent that must answer, or a witness that is needed: the links of all hosts are the proof.
    pub(super) fn ensure_witnesses_answer(&self, survey: &FleetSurvey) -> Phased<()> {
        // Before the refusal: all that is missing is said at once.
        let needed = self.needed_witnesses(survey);
        self.tell_findings(&needed);
        survey.ensure_all_answer()?;
        refuse_if(!needed.is_empty(), Refusal::HostsNotSurveyed)
    }

    /// Tells by which of its several addresses the host is reached, from now on.
    fn tell_address(&self, host: &HostName) {
        let Some((address, passed_over)) = self.reach.workspace().settled_on(host) else { return };
        for why in passed_over {
            self.warn(Some(host), Absence::AddressPassedOver { cause: why.clone() });
        }
        self.tell(Event::AddressChosen { host: host.clone(), address: address.to_owned() });
    }
}
