//! Parts of a push that answer a question, and change nothing: the build alone, the matrix alone, the differences
//! alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::push::{Phased, Push, Request, lock, plan, refuse_if};
use crate::decide::survey::Surveyed;
use crate::event::forecast::Comparison;
use crate::event::stream::Events;
use crate::event::{Cell, Event, Phase};
use crate::facts::store_path::StorePath;
use crate::inventory::model::{Host, HostName};
use crate::remote::Workspace;

/// Phase 1 alone: touches no host and connects to none.
///
/// # Errors
/// Why not, in one sentence; the details were told as events.
pub async fn build(
    request: &Request,
    workspace: Arc<Workspace>,
    events: &Events,
) -> Result<BTreeMap<HostName, StorePath>, String> {
    Push::new(request, workspace, events).build().await.map_err(|refused| refused.text)
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
/// Why not, in one sentence; the details were told as events.
pub async fn check(request: &Request, workspace: Arc<Workspace>, events: &Events) -> Result<Checked, String> {
    let push = Push::new(request, workspace, events);
    let checked = push.check().await.map_err(|refused| refused.text);
    push.reach.close().await;
    checked
}

/// Finds out how the systems of the selected hosts differ from what they run: it builds and asks, changes nothing and
/// copies nothing.
///
/// # Errors
/// Why not, in one sentence; the details were told as events.
pub async fn diff(
    request: &Request,
    workspace: Arc<Workspace>,
    events: &Events,
) -> Result<Vec<(HostName, Comparison)>, String> {
    let push = Push::new(request, workspace, events);
    let differing = push.diff().await.map_err(|refused| refused.text);
    push.reach.close().await;
    differing
}

impl Push<'_> {
    async fn check(&self) -> Phased<Checked> {
        let fleet = &self.request.fleet;
        // A person asks exactly because a host may be away: the others look at it all the same.
        let (surveyed, all_answer) = self.ask_everybody().await;
        refuse_if(surveyed.is_empty(), "no host answers")?;
        let hosts: Vec<&Host> = fleet.hosts.iter().filter(|host| surveyed.contains_key(&host.name)).collect();
        let views: Vec<Surveyed<'_>> = hosts.iter().map(|host| self.view(host, &surveyed, None)).collect();
        let links = self.links(&surveyed).into_iter().filter(|link| link.is_of(&self.request.selected)).collect();
        let plan = plan(&views, links);
        self.tell(Event::PhaseStarted { phase: Phase::Baseline });
        let plan = self.baseline(plan, &self.identity(Vec::new()), false).await?;
        let is_well = all_answer && plan.broken(&plan.baseline).is_empty();
        Ok(Checked { links: std::mem::take(&mut lock(&self.ahead).links), is_well })
    }

    async fn diff(&self) -> Phased<Vec<(HostName, Comparison)>> {
        let (systems, surveyed) = tokio::try_join!(self.build(), self.survey())?;
        let hosts = self.request.fleet.hosts.iter().filter(|host| surveyed.contains_key(&host.name));
        let views: Vec<Surveyed<'_>> = hosts.map(|host| self.view(host, &surveyed, systems.get(&host.name))).collect();
        Ok(self.compare_selected(&views).await)
    }
}
