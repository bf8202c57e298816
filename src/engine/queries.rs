//! Questions about a fleet that change nothing: what it builds to, whether its links are up, how its systems differ.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::baseline::Baseline;
use super::inquiry::{FleetScope, Inquiry, Phased, plan, refuse_if};
use super::reach::Reach;
use crate::decide::survey::Surveyed;
use crate::event::forecast::Comparison;
use crate::event::reason::refusal::Refusal;
use crate::event::stream::Events;
use crate::event::{Cell, Event, Phase};
use crate::facts::store_path::StorePath;
use crate::inventory::model::HostName;
use crate::remote::Workspace;
use crate::remote::step::AskUnits;

/// Phase 1 alone: changes no host, and connects to those alone that build. Their connections are left to whoever made
/// `reach`: others may be at work on them.
///
/// # Errors
/// Why not; the details were told as events.
pub async fn build(
    scope: &FleetScope,
    reach: Arc<Reach>,
    events: &Events,
) -> Result<BTreeMap<HostName, StorePath>, Refusal> {
    let inquiry = Inquiry::over(scope, reach, events);
    let systems = inquiry.build().await?;
    inquiry.ensure_built(&scope.selected)?;
    Ok(systems)
}

/// The result of a look at every link.
#[derive(Debug)]
pub struct Checked {
    pub links: Vec<Cell>,
    /// Whether every required link is up.
    pub is_well: bool,
}

/// Survey and matrix alone: changes nothing.
///
/// # Errors
/// Why not; the details were told as events.
pub async fn check(scope: &FleetScope, workspace: Arc<Workspace>, events: &Events) -> Result<Checked, Refusal> {
    let inquiry = Inquiry::new(scope, workspace, events);
    let checked = inquiry.check().await;
    inquiry.reach.close().await;
    checked
}

/// Finds out how the systems of the selected hosts differ from what they run: it builds and asks, changes nothing and
/// copies nothing.
///
/// # Errors
/// Why not; the details were told as events.
pub async fn diff(
    scope: &FleetScope,
    workspace: Arc<Workspace>,
    events: &Events,
) -> Result<Vec<(HostName, Comparison)>, Refusal> {
    let inquiry = Inquiry::new(scope, workspace, events);
    let differing = inquiry.diff().await;
    inquiry.reach.close().await;
    differing
}

impl Inquiry<'_> {
    async fn check(&self) -> Phased<Checked> {
        // A person asks exactly because a host may be away: the others look at it all the same.
        let survey = self.survey(&self.scope.without).await;
        refuse_if(survey.answered.is_empty(), Refusal::NoHostAnswers)?;
        let hosts = self.scope.fleet.hosts.iter().filter(|host| survey.answered.contains_key(&host.name));
        let views: Vec<Surveyed<'_>> = hosts.map(|host| self.view(host, &survey.answered, None)).collect();
        let links = self.links(&survey).into_iter().filter(|link| link.is_of(&self.scope.selected)).collect();
        self.tell(Event::PhaseStarted { phase: Phase::Baseline });
        let Baseline { plan, cells, .. } =
            self.baseline(plan(&views, links), &survey.skipped, false, AskUnits::No).await;
        // A link that was down when it was asked last is not well, though it may have missed that one probe alone.
        let has_missed = !plan.unproven(&plan.baseline).is_disjoint(&plan.baseline.missed);
        let is_well = survey.all_answer_that_must && plan.broken(&plan.baseline).is_empty() && !has_missed;
        Ok(Checked { links: cells, is_well })
    }

    async fn diff(&self) -> Phased<Vec<(HostName, Comparison)>> {
        let survey = async {
            let survey = self.survey(&self.scope.without).await;
            survey.ensure_all_answer()?;
            Ok(survey.answered)
        };
        let (systems, surveyed) = tokio::try_join!(self.build(), survey)?;
        self.ensure_built(surveyed.keys())?;
        let hosts = self.scope.fleet.hosts.iter().filter(|host| surveyed.contains_key(&host.name));
        let views: Vec<Surveyed<'_>> = hosts.map(|host| self.view(host, &surveyed, systems.get(&host.name))).collect();
        Ok(self.compare_selected(&views).await)
    }
}
