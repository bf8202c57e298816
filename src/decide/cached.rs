//! Judges what a fleet's cache brings to a host: for the push, which lets the host fetch, and for `doctor`, which asks
//! what becomes of a copy that the host's Nix would refuse for its trust.

use std::time::Duration;

use crate::event::reason::cache::CacheNote;
use crate::inventory::model::{Cache, CacheFilling, Fleet, Host, HostName};

/// Who signs what a host gets from the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheTrust<'a> {
    /// Nobody by a key that the host takes there, or it gets nothing from there.
    Missing,
    /// This workstation, by this public key.
    SignedHere(&'a str),
    /// The program that fills or serves it, if any: that is not known here.
    SignedThere,
}

/// Returns the host of the fleet that is the cache.
#[must_use]
pub fn cache_host<'a>(fleet: &'a Fleet, cache: &Cache) -> Option<&'a HostName> {
    let CacheFilling::Store(store) = &cache.by else { return None };
    let name = store.strip_prefix("ssh-ng://")?;
    fleet.hosts.iter().map(|host| &host.name).find(|host| host.as_str() == name)
}

/// Judges how a host that trusts no login of ours takes what the cache has. `signing`: the public keys that sign what
/// comes there from here; `trusted`: those that the host's own configuration trusts.
#[must_use]
pub fn cache_trust<'a>(fleet: &Fleet, host: &Host, signing: &'a [String], trusted: &[String]) -> CacheTrust<'a> {
    // What another machine builds is put into no cache.
    let cache = fleet.cache.as_ref().filter(|_| host.build_on.machine(&host.name).is_none());
    let Some(cache) = cache.filter(|cache| cache_host(fleet, cache) != Some(&host.name)) else {
        return CacheTrust::Missing;
    };
    let given = cache.public_key.as_ref().filter(|_| cache.from.is_some());
    let is_taken = |key: &&String| given == Some(*key) || trusted.contains(key);
    match signing.iter().find(is_taken) {
        Some(key) => CacheTrust::SignedHere(key),
        None if may_sign(cache) && (given.is_some() || !trusted.is_empty()) => CacheTrust::SignedThere,
        None => CacheTrust::Missing,
    }
}

/// Whether what comes out of it may have signatures that did not go in. A folder, and a store that is fetched from by
/// ssh, are given out as they are; who serves a store by HTTP may sign what it gives, and so may what a command fills.
fn may_sign(cache: &Cache) -> bool {
    let CacheFilling::Store(to) = &cache.by else { return true };
    // nix signs what it puts there.
    let signs = to.split_once('?').is_some_and(|(_, options)| {
        options.split('&').any(|option| option.starts_with("secret-key=") || option.starts_with("secret-keys="))
    });
    let is_folder = ["file:", "s3:", "/"].iter().any(|form| to.starts_with(form)) || to.contains("remote-store=file:");
    let is_served = cache.from.as_ref().is_none_or(|from| from.starts_with("http"));
    signs || !is_folder && is_served
}

/// How fetching from the cache has gone in this run, so that not each host waits for one that is dead.
#[derive(Debug, Default)]
pub struct CacheCourse {
    /// How many hosts in a row have got nothing in the end.
    in_vain: u8,
}

/// So many hosts have to say it: what one cannot reach may be its own fault.
const IN_VAIN: u8 = 2;

/// From when on a fetch without a result is a wait that is worth being spared. What is refused is refused at once, and
/// a cache that does not answer takes 10 s: two tries of 5 s.
const LONG_WAIT: Duration = Duration::from_secs(8);

impl CacheCourse {
    /// Takes how a host has fetched, and how long that took.
    pub fn take(&mut self, is_fetched: bool, took: Duration) {
        if is_fetched {
            self.in_vain = 0;
        } else if took >= LONG_WAIT {
            self.in_vain = self.in_vain.saturating_add(1);
        }
    }

    /// Says why a host that has not begun does without this cache, if it does.
    #[must_use]
    pub fn given_up(&self, cache: &str) -> Option<CacheNote> {
        (self.in_vain >= IN_VAIN).then(|| CacheNote::CacheGivenUp { cache: cache.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use pretty_assertions::assert_eq;

    use super::*;
    use crate::inventory::model::Inventory;

    /// 32 bytes in base64.
    const BYTES: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

    /// Judges web, whose Nix trusts the key of cache.nixos.org, where home-1 signs here if `signs` says so.
    fn judged(cache: &str, of_host: &str, signs: bool) -> String {
        let text = format!(
            "hosts: {{vps: {{}}, web: {{{of_host}}}}}\nfleets: {{lab: {{flake: ., hosts: all, cache: {{{cache}}}}}}}\n"
        );
        let text = text.replace("KEY", BYTES);
        let inventory = Inventory::parse(Path::new("inventory.yaml"), Path::new("/"), &text).unwrap().inventory;
        let [ours, theirs] = ["home-1", "cache.nixos.org-1"].map(|name| format!("{name}:{BYTES}"));
        let fleet = &inventory.fleets["lab"];
        let web = fleet.hosts.iter().find(|host| host.name.as_str() == "web").unwrap();
        let signing = if signs { vec![ours] } else { Vec::new() };
        match cache_trust(fleet, web, &signing, &[theirs]) {
            CacheTrust::Missing => "no".to_owned(),
            CacheTrust::SignedHere(key) => key.replace(BYTES, "KEY"),
            CacheTrust::SignedThere => "who serves it".to_owned(),
        }
    }

    #[test]
    fn a_cache_brings_what_is_signed_by_a_key_that_the_host_takes_there() {
        let folder = "to: 'file:///srv/cache?compression=zstd', from: 'http://x:8081'";
        let with_key = |cache: &str| format!("{cache}, public_key: 'home-1:KEY'");
        assert_eq!(judged(&with_key(folder), "", true), "home-1:KEY");
        // The host does not take that key, or nothing signs what comes into the folder.
        assert_eq!(judged(folder, "", true), "no");
        assert_eq!(judged(&with_key(folder), "", false), "no");
        // What others build never comes there, and the cache fetches nothing from itself.
        assert_eq!(judged(&with_key(folder), "build_on: vps", true), "no");
        assert_eq!(judged(&with_key("to: 'ssh-ng://web', from: 'ssh-ng://web'"), "", true), "no");
        assert_eq!(judged(&with_key("to: 'ssh-ng://vps', from: 'ssh-ng://vps'"), "", true), "home-1:KEY");
        assert_eq!(judged(&with_key("to: 'ssh-ng://vps', from: 'ssh-ng://vps'"), "", false), "no");
    }

    #[test]
    fn a_cache_for_which_two_hosts_have_waited_in_vain_is_given_up_until_one_gets_something() {
        let long = Duration::from_secs(65);
        let mut course = CacheCourse::default();
        let mut after = |is_fetched, took| {
            course.take(is_fetched, took);
            let given_up = course.given_up("http://vps:5000");
            crate::codes::keep_judged(given_up.clone());
            given_up.is_some()
        };
        // Another one has been refused at once, which costs nothing.
        let at_once = Duration::from_secs(1);
        assert_eq!([after(false, long), after(false, at_once), after(false, long)], [false, false, true]);
        // One that was under way meanwhile.
        assert_eq!([after(true, long), after(false, long), after(false, long)], [false, false, true]);
    }

    #[test]
    fn who_serves_a_cache_may_sign_what_it_gives() {
        for cache in [
            "to: 'ssh-ng://vps', from: 'http://vps:5000', public_key: 'vps-1:KEY'",
            "to: 'ssh-ng://vps', from: 'http://vps:5000'",
            "command: [attic, push, home, --stdin], from: 'https://attic.example.org/home'",
            "command: [cachix, push, home]",
            "to: 'file:///srv/cache?secret-key=/root/key', from: 'http://x:8081', public_key: 'x-1:KEY'",
        ] {
            assert_eq!(judged(cache, "", false), "who serves it", "{cache}");
        }
    }
}
