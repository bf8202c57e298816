//! Between build and copy: puts the new systems into the cache of the fleet, once a run, and lets each host fetch from
//! there, or from its own caches.
//!
//! Nothing here is needed for a push, and nothing here is believed: the copy that follows asks the host what is missing
//! and brings that. So whatever fails here is a warning.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use super::build::{KEY_LIMIT, SIGN_LIMIT, store_of};
use super::causes::chain;
use super::mutex::lock;
use super::push::Push;
use super::sending::CopyMeter;
use crate::decide::cached::{CacheCourse, FetchEnd, cache_host};
use crate::decide::survey::Surveyed;
use crate::event::Event;
use crate::event::activity::Doing;
use crate::event::reason::cache::CacheNote;
use crate::event::reason::cause::Cause;
use crate::facts::store_path::StorePath;
use crate::inventory::model::{Cache, CacheFilling, Host, HostName, Substitute, url_without_login};
use crate::nix;
use crate::remote::answer;
use crate::remote::step::{Afresh, RemoteStep};

/// How long the host's caches may take together to answer: each has 5 s, and so has each of two questions for them.
const CACHES_ANSWER: Duration = Duration::from_secs(20);

/// How long nothing may move while a host fetches. Nix itself gives up a web server after two tries of 30 s.
const LONGEST_STILL: Duration = Duration::from_secs(64);

/// A cache that has got the new systems.
#[derive(Debug)]
pub(super) struct Filled<'a> {
    cache: &'a Cache,
    /// The host of this run that is the cache.
    host: Option<&'a HostName>,
    /// What was put there.
    systems: BTreeSet<StorePath>,
    /// What became of signing them there, by key. Of several hosts that miss a signature one signs, and the others wait
    /// for that.
    signed: tokio::sync::Mutex<BTreeMap<PathBuf, Result<(), String>>>,
    course: Mutex<CacheCourse>,
}

impl Push<'_> {
    /// Fills the cache, if the fleet has one and systems are to be copied. `None`: everything is copied from here.
    pub(super) async fn fill_cache(&self, changing: &[(&Surveyed<'_>, &StorePath)]) -> Option<Filled<'_>> {
        let cache = self.request.scope.fleet.cache.as_ref()?;
        // Who only looks ahead runs no program of the inventory.
        if self.request.first.is_all() && matches!(cache.by, CacheFilling::Command(_)) {
            return None;
        }
        // A rollback's systems are on their hosts; and this workstation has none that was built elsewhere.
        let elsewhere: BTreeSet<HostName> = lock(&self.inquiry.built_there).keys().cloned().collect();
        let changing: Vec<_> = changing.iter().filter(|(view, _)| !elsewhere.contains(&view.host.name)).collect();
        if self.request.back.is_some() || changing.is_empty() {
            return None;
        }
        let limit = changing.iter().map(|(view, _)| view.host.limits.copy).max()?;
        for (view, _) in &changing {
            self.inquiry.tell(Event::moved_within(&view.host.name, Doing::FillingCache, limit));
        }
        let mut paths: Vec<StorePath> = changing.iter().map(|(_, new)| (*new).clone()).collect();
        paths.sort();
        paths.dedup();
        let host = self.host_of_cache(cache);
        let mut meter = CopyMeter::default();
        let hear = |heard: nix::Heard<'_>| {
            meter.take(&heard);
            match heard {
                nix::Heard::Progress(nix::NixProgress { copied, .. }) => {
                    // Its own row shows it; no other host has got anything yet.
                    if let Some(host) = host {
                        let (done_bytes, expected_bytes) = (copied.done, copied.expected);
                        self.inquiry.tell(Event::CopyMoved { host: host.clone(), done_bytes, expected_bytes });
                    }
                }
                nix::Heard::Printed(lines) => {
                    self.inquiry.tell(Event::Printed { host: None, by: "cache".to_owned(), lines });
                }
                nix::Heard::Still { .. } => {}
            }
        };
        let filled = match (&cache.by, host) {
            (CacheFilling::Store(_), Some(host)) => {
                let ssh_options = self.inquiry.reach.workspace().nix_ssh_options();
                let to =
                    nix::Destination { host, alias: host, ssh_options: &ssh_options, substitute: false, from: None };
                nix::fill_host(&paths, to, limit, hear).await
            }
            (CacheFilling::Store(store), None) => nix::fill_store(&paths, store, limit, hear).await,
            (CacheFilling::Command(command), _) => {
                nix::fill_by_command(&paths, command, &self.request.scope.folder, limit, hear).await
            }
        };
        match filled {
            Ok(()) => {
                if let Some(measured) = meter.measured(host, None) {
                    self.inquiry.tell(measured);
                }
                let systems = paths.into_iter().collect();
                Some(Filled { cache, host, systems, signed: tokio::sync::Mutex::default(), course: Mutex::default() })
            }
            Err(error) => {
                let note = CacheNote::CacheNotFilled { cache: name_of(cache), said: error.to_string() };
                self.inquiry.warn(None, note);
                None
            }
        }
    }

    /// The host of the fleet that is the cache, and that has let this run in.
    pub(super) fn host_of_cache(&self, cache: &Cache) -> Option<&HostName> {
        cache_host(&self.request.scope.fleet, cache)
    }

    /// Lets the host fetch from the cache by itself.
    pub(super) async fn fetch_from(&self, filled: &Filled<'_>, host: &Host, new: &StorePath) {
        let Some(from) = filled.cache.from.clone().filter(|_| filled.host != Some(&host.name)) else { return };
        if let Some(note) = lock(&filled.course).given_up(&url_without_login(&from)) {
            self.inquiry.warn(Some(&host.name), note);
            return;
        }
        let mut begun = Instant::now();
        let mut fetched = self.fetch(filled, host, new, &from, Afresh::Absence).await;
        let asks_afresh = match end_of(&fetched, &from) {
            // Also where nothing is signed from here: who serves it may do so since the host has asked last.
            Some(FetchEnd::Unsigned) => self.sign_in_cache(filled, host).await.map(|()| true),
            Some(FetchEnd::Moved) => Ok(true),
            Some(FetchEnd::Whole | FetchEnd::Short) | None => Ok(false),
        };
        if asks_afresh == Ok(true) {
            // The wait before was not in vain: the cache has answered.
            begun = Instant::now();
            fetched = self.fetch(filled, host, new, &from, Afresh::Everything).await;
        }
        let unsigned = asks_afresh.err();
        if let Some(end) = end_of(&fetched, &from) {
            lock(&filled.course).take(end, begun.elapsed());
        }
        if let Some(note) = not_fetched(fetched, &from, unsigned) {
            self.inquiry.warn(Some(&host.name), note);
        }
    }

    /// Returns why not all has come, or `None`.
    async fn fetch(
        &self,
        filled: &Filled<'_>,
        host: &Host,
        new: &StorePath,
        from: &str,
        afresh: Afresh,
    ) -> Result<Option<String>, Cause> {
        let limit = host.limits.copy / 2;
        self.inquiry.tell(Event::moved_within(&host.name, Doing::FetchingFromCache, limit));
        let public_key = filled.cache.public_key.clone();
        let (new, store) = (new.clone(), from.to_owned());
        let script =
            RemoteStep::Fetch { new, from: store, public_key, limit, longest_still: LONGEST_STILL, afresh }.script();
        match self.inquiry.reach.run(&host.name, &script, limit + host.limits.step).await {
            Ok(raw) => answer::fetched(&raw.lines, from).map_err(|error| Cause::from(&error)),
            Err(error) => Err(Cause::from(&error)),
        }
    }

    /// Signs by the host's key what the cache has: some of it may have come there before there was a key, and is not
    /// sent again. Does nothing where no key of ours would help; an error says why it cannot be signed.
    async fn sign_in_cache(&self, filled: &Filled<'_>, host: &Host) -> Result<(), String> {
        let (Some(key), CacheFilling::Store(store)) = (&host.nix.sign_key, &filled.cache.by) else { return Ok(()) };
        self.inquiry.tell(Event::moved_within(&host.name, Doing::SigningInCache, SIGN_LIMIT));
        let mut signed = filled.signed.lock().await;
        if let Some(known) = signed.get(key) {
            return known.clone();
        }
        let is_taken = match &filled.cache.public_key {
            // The hosts take another one, and so this would change nothing.
            Some(taken) => nix::public_key(key, KEY_LIMIT).await.is_ok_and(|public| public == *taken),
            None => true,
        };
        let paths: BTreeSet<&StorePath> = filled.systems.iter().collect();
        let done = match filled.host {
            _ if !is_taken => Ok(()),
            Some(machine) => {
                let ssh_options = self.inquiry.reach.workspace().nix_ssh_options();
                let to = store_of(machine, &ssh_options);
                nix::sign(key, &paths, Some(to), SIGN_LIMIT).await
            }
            None => nix::sign_in_store(key, &paths, store, SIGN_LIMIT).await,
        };
        let done = done.map_err(|error| chain(&error));
        signed.insert(key.clone(), done.clone());
        done
    }

    /// Whether the copy lets the host fetch from the caches of its own configuration. A cache that does not answer
    /// would hold the copy up for minutes: Nix has no way to bound that over ssh (docs/facts.md, "Binary caches").
    pub(super) async fn fetches_by_itself(&self, host: &Host, filled: Option<&Filled<'_>>) -> bool {
        match host.nix.substitute_on_destination {
            Substitute::Always => return true,
            Substitute::Auto => {}
            // The cache that was filled is one of its own.
            Substitute::Never if filled.is_some_and(|filled| filled.cache.from.is_none()) => {}
            Substitute::Never => return false,
        }
        self.inquiry.tell(Event::moved_within(&host.name, Doing::AskingCaches, CACHES_ANSWER));
        // A host that does not answer now is heard of by the copy.
        let Ok(raw) = self.inquiry.reach.run(&host.name, &RemoteStep::Caches.script(), CACHES_ANSWER).await else {
            return false;
        };
        let caches = answer::own_caches(&raw.lines);
        if caches.silent.is_empty() {
            return !caches.all.is_empty();
        }
        self.inquiry.warn(Some(&host.name), CacheNote::OwnCachesSilent { caches: caches.silent });
        false
    }
}

/// How a fetch has ended for the cache `from`; `None`: the host itself is not heard of, which is no fault of the cache.
fn end_of(fetched: &Result<Option<String>, Cause>, from: &str) -> Option<FetchEnd> {
    let said = fetched.as_ref().ok()?;
    Some(said.as_ref().map_or(FetchEnd::Whole, |said| answer::short_fetch(said, from)))
}

/// Says why not all has come from the cache `from`. `unsigned`: why it could not be signed there.
fn not_fetched(fetched: Result<Option<String>, Cause>, from: &str, unsigned: Option<String>) -> Option<CacheNote> {
    let lacks_signature = end_of(&fetched, from) == Some(FetchEnd::Unsigned);
    let said = fetched.unwrap_or_else(|cause| Some(cause.to_string()))?;
    Some(CacheNote::CacheNotFetched { cache: url_without_login(from), said, lacks_signature, unsigned })
}

/// What the person calls it, without a login.
pub(super) fn name_of(cache: &Cache) -> String {
    match &cache.by {
        CacheFilling::Store(store) => url_without_login(store),
        CacheFilling::Command(command) => command.words(),
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::event::reason::Worded;
    use crate::remote::answer::AnswerError;

    /// The first two are from Nix 2.26.3.
    #[test]
    fn a_refusal_for_a_signature_is_no_sign_of_a_dead_cache() {
        let unsigned = "warning: ignoring substitute for '/nix/store/x-top' from 'http://x', as it's not signed by any \
                        of the keys in 'trusted-public-keys'; error: build of '/nix/store/x-top' failed";
        let dead = "warning: unable to download 'http://x/nix-cache-info': Timeout was reached (28)";
        for (fetched, end) in [
            (Ok(Some(unsigned.to_owned())), Some(FetchEnd::Unsigned)),
            (Ok(Some(dead.to_owned())), Some(FetchEnd::Short)),
            // It did not end in its time.
            (Ok(Some(String::new())), Some(FetchEnd::Short)),
            (Ok(None), Some(FetchEnd::Whole)),
            (Err(Cause::from(&AnswerError::Missing("status"))), None),
        ] {
            assert_eq!(end_of(&fetched, "http://x"), end, "{fetched:?}");
        }
    }

    #[test]
    fn the_mend_of_a_missing_signature_is_named_for_the_cache_that_lacks_it() {
        let unsigned = |at: &str| {
            format!(
                "warning: ignoring substitute for '/nix/store/x-top' from '{at}', as it's not signed by any of the \
                 keys in 'trusted-public-keys'"
            )
        };
        let mend = |said: String, why: Option<&str>| {
            let note = not_fetched(Ok(Some(said)), "http://x", why.map(str::to_owned)).unwrap();
            crate::codes::keep_judged(Some(note.clone()));
            note.mend().unwrap_or_default()
        };
        assert!(mend(unsigned("http://x"), None).starts_with("sign what is built here"));
        assert!(mend(unsigned("http://x"), Some("no room")).starts_with("take it out of the cache"));
        // It is one of the host's own that lacks it, and the fleet's is down.
        let dead = "warning: unable to download 'http://x/nix-cache-info': Timeout was reached (28)";
        assert_eq!(mend(format!("{dead}; {}", unsigned("http://other")), None), "");
        assert_eq!(not_fetched(Ok(None), "http://x", None), None);
    }
}
