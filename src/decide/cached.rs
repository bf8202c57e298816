//! Judges what a fleet's cache brings to a host: for the push, which lets the host fetch, and for `doctor`, which asks
//! what becomes of a copy that the host's Nix would refuse for its trust.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

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

/// What a host has heard of the cache of its fleet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CacheSeen {
    /// It has the host's system, and these are the names of the keys that have signed it there.
    Has(BTreeSet<String>),
    /// It answers, and has not got the host's system.
    Lacks,
    /// It answers, and is no binary cache: nothing has been put there yet, or it is elsewhere.
    Bare,
    /// It cannot be reached.
    Silent {
        /// The words of the host's nix.
        said: String,
    },
    /// It gives no answer, and whether it would give one to a push, which waits for longer, is not known.
    Untold {
        /// The words of the host's nix; empty: none within its time.
        said: String,
    },
}

/// The name in a public key, which stands in each signature by it.
#[must_use]
pub fn name_of_key(key: &str) -> &str {
    key.split_once(':').map_or(key, |(name, _)| name)
}

/// Judges how a host that trusts no login of ours takes what the cache has. `signing`: the public keys that sign what
/// comes there from here; `trusted`: those that the host's own configuration trusts; `served`: the names of the keys by
/// which the cache gives out a system of the fleet, or `None` if nobody has found one in it.
///
/// What was served counts, and what the inventory says only where nothing was.
#[must_use]
pub fn cache_trust<'a>(
    fleet: &Fleet,
    host: &Host,
    signing: &'a [String],
    trusted: &[String],
    served: Option<&BTreeSet<String>>,
) -> CacheTrust<'a> {
    // What another machine builds is put into no cache.
    let cache = fleet.cache.as_ref().filter(|_| host.build_on.machine(&host.name).is_none());
    let Some(cache) = cache.filter(|cache| cache_host(fleet, cache) != Some(&host.name)) else {
        return CacheTrust::Missing;
    };
    let given = cache.public_key.as_ref().filter(|_| cache.from.is_some());
    let is_taken = |key: &&String| given == Some(*key) || trusted.contains(key);
    if let Some(key) = signing.iter().find(is_taken) {
        return CacheTrust::SignedHere(key);
    }
    let signs = match served {
        Some(names) => given.into_iter().chain(trusted).any(|key| names.contains(name_of_key(key))),
        None => given.is_some(),
    };
    if signs && may_sign(cache) { CacheTrust::SignedThere } else { CacheTrust::Missing }
}

/// The files of the secret keys by which nix signs what it puts into the cache.
#[must_use]
pub fn signing_files(cache: &Cache) -> Vec<PathBuf> {
    let CacheFilling::Store(to) = &cache.by else { return Vec::new() };
    let options = to.split_once('?').map_or("", |(_, options)| options);
    let files = options.split('&').filter_map(|option| match option.split_once('=') {
        Some(("secret-key", file)) => Some(vec![file]),
        Some(("secret-keys", files)) => Some(files.split(',').collect()),
        _ => None,
    });
    files.flatten().map(PathBuf::from).collect()
}

/// Whether what comes out of it may have signatures that did not go in. A folder, and a store that is fetched from by
/// ssh, are given out as they are; who serves a store by HTTP may sign what it gives, and so may what a command fills.
fn may_sign(cache: &Cache) -> bool {
    let CacheFilling::Store(to) = &cache.by else { return true };
    let is_folder = ["file:", "s3:", "/"].iter().any(|form| to.starts_with(form)) || to.contains("remote-store=file:");
    let is_served = cache.from.as_ref().is_none_or(|from| from.starts_with("http"));
    // The nix of another machine signs what it puts into its folder.
    let signs = to.contains("remote-store=") && to.contains("secret-key");
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

/// How a host's fetch has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchEnd {
    /// All has come, and be it by the second fetch.
    Whole,
    /// Not all has come.
    Short,
    /// The cache has it without a signature that the host takes: it answers, however long it has looked for it.
    Unsigned,
    /// Something is no longer where the cache has had it once, which the host's Nix believes for a month: the cache was
    /// emptied since, or packs in another way. It answers.
    Moved,
}

impl CacheCourse {
    /// Takes how a host has fetched, and how long that took.
    pub fn take(&mut self, end: FetchEnd, took: Duration) {
        match end {
            FetchEnd::Whole => self.in_vain = 0,
            FetchEnd::Short if took >= LONG_WAIT => self.in_vain = self.in_vain.saturating_add(1),
            FetchEnd::Short | FetchEnd::Unsigned | FetchEnd::Moved => {}
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

    /// Judges web, whose Nix trusts the keys of cache.nixos.org and of ci, where home-1 signs here if `signs` says so.
    fn judged(cache: &str, of_host: &str, signs: bool, served: Option<&[&str]>) -> String {
        let text = format!(
            "hosts: {{vps: {{}}, web: {{{of_host}}}}}\nfleets: {{lab: {{flake: ., hosts: all, cache: {{{cache}}}}}}}\n"
        );
        let text = text.replace("KEY", BYTES);
        let inventory = Inventory::parse(Path::new("inventory.yaml"), Path::new("/"), &text).unwrap().inventory;
        let [ours, nixos, ci] = ["home-1", "cache.nixos.org-1", "ci-1"].map(|name| format!("{name}:{BYTES}"));
        let served = served.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
        let fleet = &inventory.fleets["lab"];
        let web = fleet.hosts.iter().find(|host| host.name.as_str() == "web").unwrap();
        let signing = if signs { vec![ours] } else { Vec::new() };
        match cache_trust(fleet, web, &signing, &[nixos, ci], served.as_ref()) {
            CacheTrust::Missing => "no".to_owned(),
            CacheTrust::SignedHere(key) => key.replace(BYTES, "KEY"),
            CacheTrust::SignedThere => "who serves it".to_owned(),
        }
    }

    #[test]
    fn a_cache_brings_what_is_signed_by_a_key_that_the_host_takes_there() {
        let folder = "to: 'file:///srv/cache?compression=zstd', from: 'http://x:8081'";
        let with_key = |cache: &str| format!("{cache}, public_key: 'home-1:KEY'");
        // Also where what was put there last has no signature: it gets one there.
        for served in [None, Some(&[][..])] {
            let judged = |cache: &str, of_host: &str, signs| judged(cache, of_host, signs, served);
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
        // What was signed by a key that is no longer here says nothing of what comes next.
        assert_eq!(judged(&with_key(folder), "", false, Some(&["home-1"])), "no");
    }

    #[test]
    fn a_cache_for_which_two_hosts_have_waited_in_vain_is_given_up_until_one_gets_something() {
        use FetchEnd::{Moved, Short, Unsigned, Whole};
        let long = Duration::from_secs(65);
        let mut course = CacheCourse::default();
        let mut after = |end, took| {
            course.take(end, took);
            let given_up = course.given_up("http://vps:5000");
            crate::codes::keep_judged(given_up.clone());
            given_up.is_some()
        };
        // Another one has been refused at once, which costs nothing.
        let at_once = Duration::from_secs(1);
        assert_eq!([after(Short, long), after(Short, at_once), after(Short, long)], [false, false, true]);
        // One that was under way meanwhile.
        assert_eq!([after(Whole, long), after(Short, long), after(Short, long)], [false, false, true]);
        // What has no signature was answered, though it took long; and that takes back nothing.
        assert_eq!([after(Whole, long), after(Unsigned, long), after(Unsigned, long)], [false; 3]);
        assert_eq!([after(Whole, long), after(Moved, long), after(Moved, long)], [false; 3]);
        assert_eq!([after(Short, long), after(Unsigned, at_once), after(Short, long)], [false, false, true]);
    }

    #[test]
    fn who_serves_a_cache_signs_where_it_was_seen_to_or_the_inventory_says_so_of_an_empty_one() {
        const REMOTE: &str = "ssh-ng://vps?remote-store=file:///srv/cache%3Fsecret-key=/root/key";
        let there = "who serves it";
        for cache in [
            "to: 'ssh-ng://vps', from: 'http://vps:5000'",
            "command: [attic, push, home, --stdin], from: 'https://attic.example.org/home'",
            &format!("to: '{REMOTE}', from: 'http://vps:5000'"),
        ] {
            let with_key = format!("{cache}, public_key: 'vps-1:KEY'");
            // The host trusts the key of cache.nixos.org, as all do, and that signs nothing of theirs.
            assert_eq!(judged(cache, "", false, None), "no", "{cache}");
            assert_eq!(judged(cache, "", false, Some(&["vps-1"])), "no", "{cache}");
            assert_eq!(judged(cache, "", false, Some(&["ci-1"])), there, "{cache}");
            assert_eq!(judged(&with_key, "", false, None), there, "{cache}");
            assert_eq!(judged(&with_key, "", false, Some(&["vps-1"])), there, "{cache}");
            // It was asked, and does not sign.
            assert_eq!(judged(&with_key, "", false, Some(&[])), "no", "{cache}");
        }
        assert_eq!(judged("command: [cachix, push, home]", "", false, None), "no");
        assert_eq!(judged("command: [cachix, push, home]", "", false, Some(&["ci-1"])), there);
    }

    #[test]
    fn the_keys_by_which_nix_signs_what_it_puts_into_a_cache_stand_in_its_address() {
        let files = |to: &str| {
            let text =
                format!("hosts: {{web: {{}}}}\nfleets: {{lab: {{flake: ., hosts: all, cache: {{to: '{to}'}}}}}}\n");
            let loaded = Inventory::parse(Path::new("inventory.yaml"), Path::new("/"), &text).unwrap();
            signing_files(loaded.inventory.fleets["lab"].cache.as_ref().unwrap())
        };
        assert_eq!(files("file:///srv/cache?compression=zstd&secret-key=/root/key"), [PathBuf::from("/root/key")]);
        assert_eq!(files("s3://bucket?secret-keys=/a,/b"), [PathBuf::from("/a"), PathBuf::from("/b")]);
        assert_eq!(files("file:///srv/cache?compression=zstd"), Vec::<PathBuf>::new());
    }
}
