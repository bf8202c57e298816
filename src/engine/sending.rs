//! Before anything is sent: finds out how much goes to whom, and about how long that takes; and measures what is sent.
//!
//! No host is asked for that: what it has is what its systems have, if this workstation has these.

use std::collections::{BTreeMap, BTreeSet};

use tokio::time::Instant;

use super::diff::is_here;
use super::mutex::lock;
use super::push::{Preview, Push};
use crate::decide::sending::{ComingCopy, foresee};
use crate::decide::survey::Surveyed;
use crate::event::Event;
use crate::event::forecast::CopiesForecast;
use crate::facts::sending::SendingWay;
use crate::facts::store_graph::StoreGraph;
use crate::facts::store_path::StorePath;
use crate::inventory::model::{Cache, CacheFilling, HostName, Substitute};
use crate::nix;

/// What is known of the copies before the first of them.
#[derive(Debug, Default)]
pub(super) struct Weighed {
    pub(super) copies: CopiesForecast,
    /// How many bytes a host is brought from here at most.
    most: BTreeMap<HostName, u64>,
}

impl Weighed {
    /// Whether what a host is brought from here finds room there for sure.
    pub(super) fn finds_room(&self, view: &Surveyed<'_>) -> bool {
        self.most.get(&view.host.name).is_some_and(|bytes| *bytes <= free(view))
    }
}

impl Push<'_> {
    /// Weighs the copies: one question to this workstation's store for all but large fleets, and none for each host
    /// that has room.
    pub(super) async fn weigh(&self, views: &[Surveyed<'_>], changing: &[(&Surveyed<'_>, &StorePath)]) -> Weighed {
        // A rollback's systems are on their hosts.
        if self.request.back.is_some() {
            return Weighed::default();
        }
        let elsewhere: BTreeMap<HostName, HostName> =
            lock(&self.inquiry.built_there).iter().map(|(host, there)| (host.clone(), there.machine.clone())).collect();
        let from_here: BTreeSet<&StorePath> =
            changing.iter().filter(|(view, _)| !elsewhere.contains_key(&view.host.name)).map(|(_, new)| *new).collect();
        let graph = self.graph(views, &from_here).await;
        let lacks = |view: &Surveyed<'_>, wanted: &BTreeSet<&StorePath>| {
            let graph = graph.as_ref()?;
            let there: Vec<&StorePath> = systems_of(view).into_iter().filter(|system| graph.has(system)).collect();
            // A host that was never pushed from here has most of it all the same, but that is not known.
            if there.is_empty() { None } else { graph.lacking(wanted.iter().copied(), there) }
        };
        let lacking: BTreeMap<HostName, u64> = changing
            .iter()
            .filter(|(view, _)| !elsewhere.contains_key(&view.host.name))
            .filter_map(|(view, new)| Some((view.host.name.clone(), lacks(view, &BTreeSet::from([*new]))?)))
            .collect();
        let whole = |new: &StorePath| graph.as_ref().and_then(|graph| graph.lacking([new], []));
        let most =
            changing.iter().filter(|(view, _)| !elsewhere.contains_key(&view.host.name)).filter_map(|(view, new)| {
                let name = &view.host.name;
                Some((name.clone(), lacking.get(name).copied().or_else(|| whole(new))?))
            });
        let most: BTreeMap<HostName, u64> = most.collect();

        let cache = self.cache_to_fill().filter(|_| !from_here.is_empty());
        let host_of_cache = cache.and_then(|cache| self.host_of_cache(cache));
        let filling = cache.map(|_| {
            let view = host_of_cache.and_then(|host| views.iter().find(|view| view.host.name == *host));
            ComingCopy {
                host: host_of_cache.cloned(),
                way: SendingWay::Sent,
                bytes: view.and_then(|view| lacks(view, &from_here)),
                fills_cache: true,
                behind: Vec::new(),
            }
        });
        let copies = changing.iter().filter_map(|(view, _)| {
            let host = view.host;
            let builder = elsewhere.get(&host.name);
            // What it has built itself lies there; and so does what it has got as the cache.
            if builder == Some(&host.name) || host_of_cache == Some(&host.name) && builder.is_none() {
                return None;
            }
            let asks = host.nix.substitute_on_destination != Substitute::Never;
            let way = match (builder, cache) {
                (Some(from), _) => SendingWay::Between { from: from.clone() },
                (None, Some(cache)) if cache.from.is_some() => SendingWay::Fetched,
                (None, cache) if cache.is_some() || asks => SendingWay::SentOrFetched,
                (None, _) => SendingWay::Sent,
            };
            let behind = host.way.iter().filter(|jump| **jump != host.name).cloned().collect();
            let bytes = lacking.get(&host.name).copied();
            Some(ComingCopy { host: Some(host.name.clone()), way, bytes, fills_cache: false, behind })
        });
        let coming: Vec<ComingCopy> = filling.into_iter().chain(copies).collect();
        let at_once = usize::from(self.request.scope.fleet.parallel);
        Weighed { copies: foresee(&coming, &self.request.former, at_once), most }
    }

    /// The new systems with all that they need, and those systems of the hosts that are here, too.
    async fn graph(&self, views: &[Surveyed<'_>], new: &BTreeSet<&StorePath>) -> Option<StoreGraph> {
        if new.is_empty() {
            return None;
        }
        let limit = views.iter().map(|view| view.host.limits.step).max()?;
        let known = views.iter().flat_map(systems_of).filter(|system| is_here(system));
        let all: BTreeSet<&StorePath> = known.chain(new.iter().copied()).collect();
        let all: Vec<&StorePath> = all.into_iter().collect();
        if let Ok(graph) = nix::store_graph(&all, limit).await {
            return Some(graph);
        }
        // A file that lies there need not be valid.
        let new: Vec<&StorePath> = new.iter().copied().collect();
        if all.len() == new.len() { None } else { nix::store_graph(&new, limit).await.ok() }
    }

    fn cache_to_fill(&self) -> Option<&Cache> {
        // What only looks ahead and copies runs no program of the inventory.
        let is_filled = |cache: &&Cache| {
            self.request.first != Preview::ShowPlan { units: true } || !matches!(cache.by, CacheFilling::Command(_))
        };
        self.request.scope.fleet.cache.as_ref().filter(is_filled)
    }
}

/// The room in the host's store, in bytes.
pub(super) fn free(view: &Surveyed<'_>) -> u64 {
    if view.facts.free_store == 0 { view.facts.free_root } else { view.facts.free_store }
}

/// The systems that lie on a host for sure.
fn systems_of<'a>(view: &Surveyed<'a>) -> Vec<&'a StorePath> {
    let standing = &view.facts.standing;
    let systems = &standing.systems;
    [&systems.current, &systems.profile, &standing.booted].into_iter().chain(systems.known_boot_default()).collect()
}

/// Measures one copy by what nix tells of it.
#[derive(Debug, Default)]
pub(super) struct CopyMeter {
    /// When it was known what is to be sent: the login and the questions before tell nothing of how fast the way is.
    begun: Option<Instant>,
    bytes: u64,
}

impl CopyMeter {
    pub(super) fn take(&mut self, heard: &nix::Heard<'_>) {
        if let nix::Heard::Progress(nix::NixProgress { copied, announced, .. }) = heard
            && copied.expected.max(*announced) > 0
        {
            self.begun.get_or_insert_with(Instant::now);
            // A path that is soon through ends without its last count, and then is not expected any more either: of a
            // copy that ends well all that was ever expected was sent.
            self.bytes = self.bytes.max(copied.expected).max(*announced);
        }
    }

    /// Returns what is to be told of a copy that is through; `None`: nothing was sent.
    pub(super) fn measured(&self, host: Option<&HostName>, from: Option<&HostName>) -> Option<Event> {
        let begun = self.begun.filter(|_| self.bytes > 0)?;
        let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        Some(Event::CopyMeasured { host: host.cloned(), from: from.cloned(), bytes: self.bytes, took_ms })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pretty_assertions::assert_eq;

    use super::*;
    use crate::nix::progress::Amount;

    /// As Nix 2.26.3 tells of a path of 3 MB that was sent in less than the time between two of its counts.
    #[tokio::test(start_paused = true)]
    async fn what_nix_has_not_counted_to_its_end_was_sent_all_the_same() {
        let mut meter = CopyMeter::default();
        let mut after = async |seconds, done, expected| {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            let now = nix::NixProgress { copied: Amount { done, expected }, ..nix::NixProgress::default() };
            meter.take(&nix::Heard::Progress(&now));
        };
        // The login takes none of the time.
        for (seconds, done, expected) in [(9, 0, 0), (1, 0, 3_198_968), (2, 37_600, 3_198_968), (2, 52_232, 52_960)] {
            after(seconds, done, expected).await;
        }
        let vps = HostName::new("vps").unwrap();
        let told = Event::CopyMeasured { host: Some(vps.clone()), from: None, bytes: 3_198_968, took_ms: 4000 };
        assert_eq!(meter.measured(Some(&vps), None), Some(told));
        assert_eq!(CopyMeter::default().measured(Some(&vps), None), None);
    }
}
