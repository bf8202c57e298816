//! Prepares a rollback: a push to systems that the hosts have already. Nothing is evaluated, built or copied.

use std::collections::BTreeMap;

use futures::FutureExt;

use super::ask::ask_all;
use super::inquiry::{Phased, refuse_if};
use super::push::Push;
use super::survey::FleetSurvey;
use crate::decide::rollback::{Kept, To, choose, doubt};
use crate::event::reason::cause::Cause;
use crate::event::reason::refusal::Refusal;
use crate::event::{Event, Phase};
use crate::facts::store_path::StorePath;
use crate::inventory::model::{Host, HostName};
use crate::remote::answer::kept::kept;
use crate::remote::step::RemoteStep;

impl Push<'_> {
    /// Makes phases 1 and 2 of a rollback. It names all missing systems at once, before anything is touched.
    pub(super) async fn survey_and_choose(&self, to: &To) -> Phased<(BTreeMap<HostName, StorePath>, FleetSurvey)> {
        self.inquiry.tell(Event::PhaseStarted { phase: Phase::Build });
        let selected =
            || self.request.scope.fleet.hosts.iter().filter(|host| self.request.scope.selected.contains(&host.name));
        for host in selected() {
            self.inquiry.tell(Event::HostDone { host: host.name.clone(), phase: Phase::Build });
        }
        let survey = self.survey_with_witnesses().await?;
        let surveyed = &survey.answered;
        let asked: Vec<&Host> = selected().filter(|host| surveyed.contains_key(&host.name)).collect();
        let questions = asked.iter().map(|host| (host.name.clone(), self.ask_what_is_kept(to, host).boxed()));
        let answers = ask_all(questions).await;
        let (mut systems, mut missing) = (BTreeMap::new(), false);
        for host in asked {
            let name = &host.name;
            let chosen = match &answers[name] {
                Ok(kept) => choose(to, name, kept),
                Err(cause) => {
                    self.inquiry.fail(Some(name), cause.clone());
                    missing = true;
                    continue;
                }
            };
            match chosen {
                Ok(system) => {
                    if let Some(doubt) = doubt(to, name, &surveyed[name].facts.standing.systems.current) {
                        self.inquiry.tell(Event::warned(Some(name), doubt));
                    }
                    systems.insert(name.clone(), system);
                }
                Err(doubt) => {
                    self.inquiry.tell(Event::failed(Some(name), doubt));
                    missing = true;
                }
            }
        }
        refuse_if(missing, Refusal::RollbackTargetsMissing)?;
        Ok((systems, survey))
    }

    async fn ask_what_is_kept(&self, to: &To, host: &Host) -> Result<Kept, Cause> {
        let script = RemoteStep::Generations { system: to.named(&host.name).cloned() }.script();
        let raw = self.inquiry.reach.run(&host.name, &script, host.limits.step).await;
        let raw = raw.map_err(|error| Cause::from(&error))?;
        kept(&raw.lines).map_err(|error| Cause::from(&error))
    }
}
