//! Takes away what earlier runs have left, before a push begins: leases of rolling reboots that are over, and the
//! traces of a run that was ended on old while a host was missing, if that host is back on old, at rest.
//!
//! The second is what `recover` would do there, by the same rules: every host of the run is asked anew, and nothing is
//! done if anything else would have to be done.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::{fmt, io};

use super::epochs::tag;
use super::inquiry::Inquiry;
use super::recover::{FoundRun, RecoverRequest, Recovered, RecoveryRecords, recover_with};
use super::shutdown::Shutdown;
use super::surroundings::{CleanedUp, Surroundings};
use super::surveyor::{SshSurveyor, let_go_all};
use crate::decide::survey::{Left, Surveyed};
use crate::decide::transaction::recover::Aim;
use crate::decide::vocabulary::{Entry, Signal};
use crate::event::stream::Events;
use crate::event::{Event, Outcome};
use crate::facts::plan::Plan;
use crate::inventory::model::HostName;

/// The runs that were ended without hosts of this push, which are back on old; and by host what their guards have
/// written there.
type Returned = BTreeMap<String, BTreeMap<HostName, Vec<String>>>;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Leftovers {
    returned: Returned,
    /// Leases of rolling reboots, by the hosts that hold them.
    rolling: BTreeMap<HostName, String>,
}

impl Leftovers {
    pub(super) fn of(views: &[Surveyed<'_>]) -> Self {
        let rolling = views.iter().filter_map(|view| Some((view.host.name.clone(), view.facts.rolling_over.clone()?)));
        Self { returned: returned(views), rolling: rolling.collect() }
    }
}

/// Takes only runs of which every host answers, except those that were missing: the push does not wait for a host here.
fn returned(views: &[Surveyed<'_>]) -> Returned {
    let mut returned = Returned::new();
    for view in views.iter().filter(|view| view.selected) {
        for run in Left::of(view, views).iter().filter_map(Left::back_on_old) {
            let is_its = |trace: &&String| trace.starts_with(&format!("the guard of run {run} ("));
            let traces = view.facts.traces.iter().filter(is_its).cloned().collect();
            returned.entry(run.to_owned()).or_default().insert(view.host.name.clone(), traces);
        }
    }
    returned.retain(|run, _| {
        let marks = || views.iter().flat_map(|view| &view.facts.marks).filter(|mark| mark.run == *run);
        let is_missing =
            |host: &str| marks().any(|mark| mark.ended.mark.missing.keys().any(|name| name.as_str() == host));
        let mut hosts = views.iter().filter_map(|view| view.facts.survivor_hosts.get(run)).flatten();
        hosts.all(|host| is_missing(host) || views.iter().any(|view| view.host.name.as_str() == host))
    });
    returned
}

impl Leftovers {
    /// Takes it away. Traces that cannot be cleaned up do not hinder the push: it tells of them, and says what to type.
    ///
    /// # Errors
    /// The signal that has interrupted it.
    pub(super) async fn clear_away(
        &self,
        inquiry: &Inquiry<'_>,
        skipped: &BTreeSet<HostName>,
        owner: &str,
        surroundings: &mut impl Surroundings,
        shutdown: &mut Shutdown,
    ) -> Result<(), Signal> {
        let Self { returned, rolling } = self;
        let surveyor = SshSurveyor { reach: Arc::clone(&inquiry.reach) };
        let hosts = inquiry.scope.fleet.hosts.iter();
        let over = hosts.filter_map(|host| Some((host, rolling.get(&host.name)?.as_str())));
        let_go_all(&surveyor, over.collect()).await;
        for (run, hosts) in returned {
            let tag = tag();
            let request = RecoverRequest {
                fleet: inquiry.scope.fleet.clone(),
                owner: format!("{owner}#{tag:04x}"),
                tag,
                known: None,
                run: Some(run.clone()),
                aim: Aim::Returned,
                without: skipped.clone(),
                ended: Vec::new(),
            };
            let mut notes = RecoveryNotes::default();
            // The events of that recovery belong to another run, and are not told here.
            let events = Events::new(None);
            let recovered = recover_with(&surveyor, &request, &events, &mut notes, shutdown).await;
            let why = match recovered {
                Recovered::Interrupted(signal) | Recovered::Left { signal, .. } => return Err(signal),
                Recovered::Ended(verdict) => {
                    if let Some(signal) = verdict.interrupted {
                        return Err(signal);
                    }
                    (verdict.outcome != Outcome::RolledBack).then_some(verdict.text)
                }
                Recovered::NotBegun { text, .. } => Some(text),
                // Another coordinator has done it meanwhile.
                Recovered::Nothing { .. } => None,
                Recovered::Rolling(_) | Recovered::ByHand { .. } => Some("something else has begun there".to_owned()),
            };
            for (host, traces) in hosts {
                let told = || notes.told.iter().find(|(about, _)| about == host).map(|(_, text)| text.clone());
                let run = run.clone();
                let cleaning = match why.clone().or_else(told) {
                    None => Cleaning::Done { run },
                    Some(why) => Cleaning::NotDone { run, why, fleet: inquiry.scope.fleet.name.clone() },
                };
                for trace in traces.iter().filter(|_| matches!(cleaning, Cleaning::Done { .. })) {
                    let lines = trace.lines().map(str::to_owned).collect();
                    inquiry.tell(Event::Logged { host: host.clone(), what: "its guard's trace".to_owned(), lines });
                }
                inquiry.warn(Some(host), cleaning.to_string());
            }
            if why.is_none() {
                let cleaned = CleanedUp { run: run.clone(), epoch: notes.epoch, entries: notes.entries };
                if let Err(error) = surroundings.cleaned_up(&cleaned) {
                    inquiry.warn(None, format!("the end of run {run} could not be written down: {error}"));
                }
            }
        }
        Ok(())
    }
}

/// Says of a host that it is back.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Cleaning {
    Done { run: String },
    NotDone { run: String, why: String, fleet: String },
}

impl fmt::Display for Cleaning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done { run } => write!(formatter, "what run {run} had left here is removed"),
            Self::NotDone { run, why, fleet } => write!(
                formatter,
                "what run {run} has left here stays: {why}; `fleetdeploy recover {fleet} --run {run}` looks at it"
            ),
        }
    }
}

/// Collects what the recovery would write down, and what it says of hosts.
#[derive(Default)]
struct RecoveryNotes {
    epoch: u64,
    entries: Vec<Entry>,
    told: Vec<(HostName, String)>,
}

impl Surroundings for RecoveryNotes {
    fn tell(&mut self, event: Event) {
        if let Event::Warned { host: Some(host), text } = event {
            self.told.push((host, text));
        }
    }

    fn started(&mut self, _: &Plan) -> io::Result<()> {
        Ok(())
    }

    fn record(&mut self, entry: &Entry) -> io::Result<()> {
        self.entries.push(entry.clone());
        Ok(())
    }
}

impl RecoveryRecords for RecoveryNotes {
    fn recovering(&mut self, what: &FoundRun) -> io::Result<()> {
        self.epoch = what.epoch;
        Ok(())
    }

    fn ended_elsewhere(&mut self) {}
}
