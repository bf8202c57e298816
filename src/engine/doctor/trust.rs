//! Judges whether signatures let a copy through to a host whose Nix does not trust the login, or the fleet's cache
//! brings it all. A push asks nobody: it tries, and is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::sync::Mutex;

use crate::decide::cached::{CacheSeen, CacheTrust, cache_trust, name_of_key, signing_files};
use crate::decide::doctor::Copying;
use crate::engine::cache::name_of;
use crate::facts::signatures::Signatures;
use crate::facts::store_path::StorePath;
use crate::inventory::model::{Cache, Fleet, Host, url_without_login};
use crate::nix;
use crate::remote::step::AskedCache;

/// What nix has answered of a copy to a host.
pub(super) enum CopyAnswer {
    /// It is known what becomes of it.
    Told(Copying),
    /// The host takes what is signed, and no more.
    Untrusted(Signers),
}

/// Who signs what a host is to get.
#[derive(Debug, Default)]
pub(super) struct Signers {
    /// The public key of the inventory's `sign_key`, which signs all that is copied.
    of_inventory: Option<String>,
    /// The keys of the nix here, which sign what is built from when on it has them.
    keys: nix::SigningKeys,
    /// The public keys by which nix signs what it puts into the cache.
    into_cache: Vec<String>,
    /// How the store here has the system that the host runs, if it does.
    pushed: Option<Signatures>,
    /// The public keys that the host trusts and that have signed this. Of a key that was made anew under its old name
    /// a signature tells nothing.
    have_signed: Vec<String>,
    /// All that the store here has is signed by keys that the host trusts.
    is_all_signed: bool,
}

/// What the store here was asked: whether all in it is signed by these keys. Many hosts trust the same.
pub(super) type StoreAsked = Mutex<BTreeMap<Vec<String>, bool>>;

impl Signers {
    /// Looks for them here: no host is asked. `current`: what the host runs, which was pushed last; `trusted`: the keys
    /// that it trusts.
    pub(super) async fn look(
        (of_inventory, keys): (Option<String>, nix::SigningKeys),
        fleet: &Fleet,
        current: &StorePath,
        trusted: &[String],
        asked: &StoreAsked,
        limit: Duration,
    ) -> Self {
        let mut into_cache = Vec::new();
        for file in fleet.cache.as_ref().map(signing_files).unwrap_or_default() {
            into_cache.extend(nix::public_key(&file, limit).await.ok());
        }
        // What is signed elsewhere, or by a key that cannot be read, is seen by what was pushed last.
        let is_of_use = !keys.fetched.is_empty() || !keys.unread.is_empty();
        let pushed = if is_of_use { nix::signatures(current, limit).await } else { None };
        let mut have_signed = Vec::new();
        for key in trusted.iter().filter(|key| pushed.as_ref().is_some_and(|it| it.keys.contains(name_of_key(key)))) {
            if nix::are_signed(nix::Verified::Path(current), std::slice::from_ref(key), limit).await {
                have_signed.push(key.clone());
            }
        }
        let mut signers = Self { of_inventory, keys, into_cache, pushed, have_signed, is_all_signed: false };
        if signers.new_signed(trusted).is_some() {
            let mut keys = trusted.to_vec();
            keys.sort_unstable();
            keys.dedup();
            let mut asked = asked.lock().await;
            signers.is_all_signed = match asked.get(&keys) {
                Some(known) => *known,
                None => nix::are_signed(nix::Verified::Store, &keys, limit).await,
            };
            asked.insert(keys, signers.is_all_signed);
        }
        signers
    }

    /// The public keys that sign what is copied from here, as far as they are known.
    fn public(&self) -> impl Iterator<Item = &String> {
        self.of_inventory.iter().chain(self.keys.own.iter().map(|own| &own.public))
    }

    /// The name of the key by which what is built here from now on is signed, where the host trusts it, and the file of
    /// the secret one. What the inventory's key signs is signed, whenever it was built.
    fn new_signed(&self, trusted: &[String]) -> Option<(String, String)> {
        let own = self.keys.own.iter().find(|own| trusted.contains(&own.public));
        let readable = own.map(|own| (name_of_key(&own.public).to_owned(), own.file.display().to_string()));
        readable.or_else(|| Some((self.seen_to_sign()?, self.keys.unread.first()?.display().to_string())))
    }

    /// `trusted`: the keys that the host trusts. `seen`: how it has the fleet's cache; `served`: see [`served`].
    pub(super) fn judge(
        &self,
        fleet: &Fleet,
        host: &Host,
        trusted: &[String],
        seen: Option<&CacheSeen>,
        served: Option<&BTreeSet<String>>,
    ) -> Copying {
        if let Some(key) = self.of_inventory.as_ref().filter(|key| trusted.contains(key)) {
            return Copying::Signed { key: name_of_key(key).to_owned() };
        }
        if let Some((key, file)) = self.new_signed(trusted) {
            return if self.is_all_signed { Copying::Signed { key } } else { Copying::NewSigned { key, file } };
        }
        let its_own = match seen {
            Some(CacheSeen::Has(names)) => Some(names),
            _ => None,
        };
        let into_cache: Vec<String> = self.public().chain(&self.into_cache).cloned().collect();
        let by_cache = cache_trust(fleet, host, &into_cache, trusted, its_own.or(served));
        let cache = fleet.cache.as_ref();
        let cache =
            cache.map(|cache| cache.from.as_ref().map_or_else(|| name_of(cache), |from| url_without_login(from)));
        let cache = cache.unwrap_or_default();
        let unread = self.keys.unread.first().map(|file| file.display().to_string());
        match (by_cache, unread) {
            (CacheTrust::SignedHere(key), _) => return Copying::ByCache { cache, key: Some(key.to_owned()) },
            (_, Some(file)) if !self.signs_here() => return Copying::SignedUnread { file },
            (CacheTrust::SignedThere, _) => return Copying::ByCache { cache, key: None },
            (CacheTrust::Missing, _) => {}
        }
        if let Some(key) = self.seen_to_be_fetched() {
            return Copying::SignedElsewhere { key };
        }
        match self.keys.unread.first() {
            Some(file) => Copying::SignedUnread { file: file.display().to_string() },
            None => Copying::Untrusted { key: self.public().next().cloned() },
        }
    }

    /// Whether what was pushed last was built here, and signed.
    fn signs_here(&self) -> bool {
        self.pushed.as_ref().is_some_and(|pushed| pushed.is_built_there && !pushed.keys.is_empty())
    }

    /// A key that cannot be read, and that has signed what was built here and pushed last.
    fn seen_to_sign(&self) -> Option<String> {
        let key = self.have_signed.first().filter(|_| !self.keys.unread.is_empty() && self.signs_here())?;
        Some(name_of_key(key).to_owned())
    }

    /// A key of a binary cache from which what was pushed last has come; what comes next may come from there, too.
    fn seen_to_be_fetched(&self) -> Option<String> {
        self.pushed.as_ref().filter(|pushed| !pushed.is_built_there)?;
        let key = self.keys.fetched.iter().find(|key| self.have_signed.contains(key))?;
        Some(name_of_key(key).to_owned())
    }
}

/// Returns the names of the keys by which the fleet's cache gives out systems of its hosts, as these have seen it;
/// `None` if none has found one there.
pub(super) fn served<'a>(seen: impl Iterator<Item = &'a CacheSeen>) -> Option<BTreeSet<String>> {
    let names = seen.filter_map(|seen| match seen {
        CacheSeen::Has(names) => Some(names.clone()),
        CacheSeen::Lacks | CacheSeen::Bare | CacheSeen::Silent { .. } | CacheSeen::Untold { .. } => None,
    });
    // What only some of them have says nothing of the next one.
    names.reduce(|one, other| one.intersection(&other).cloned().collect())
}

/// Returns where a host looks for its system, to tell whether it comes from the fleet's cache, and signed.
pub(super) fn asked_cache(fleet: &Fleet, host: &Host, is_selected: bool) -> AskedCache {
    // What another machine builds is put into no cache.
    let asks = is_selected && host.build_on.machine(&host.name).is_none();
    match fleet.cache.as_ref().filter(|_| asks) {
        None => AskedCache::Nowhere,
        Some(Cache { from: Some(from), public_key, .. }) => {
            AskedCache::Store { from: from.clone(), public_key: public_key.clone() }
        }
        Some(Cache { from: None, .. }) => AskedCache::Own,
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use pretty_assertions::assert_eq;

    use super::*;
    use crate::inventory::model::Inventory;

    /// A key of 32 bytes in base64.
    fn key(name: &str) -> String {
        format!("{name}:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
    }

    fn keys(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| key(name)).collect()
    }

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn pushed(is_built_there: bool, by: &[&str]) -> Signatures {
        Signatures { is_built_there, keys: names(by) }
    }

    /// The keys that the host trusts and that have signed it: those of the names.
    fn signed(by: Option<&Signatures>, trusted: &[&str]) -> Vec<String> {
        let names = trusted.iter().filter(|name| by.is_some_and(|it| it.keys.contains(**name)));
        names.map(|name| key(name)).collect()
    }

    /// web trusts cache.nixos.org and `trusted`, and has heard of the fleet's cache what `seen` says.
    fn judged(cache: &str, signers: &Signers, trusted: &[&str], seen: Option<&CacheSeen>) -> Copying {
        let text = format!("hosts: {{vps: {{}}, web: {{}}}}\nfleets: {{lab: {{flake: ., hosts: all{cache}}}}}\n");
        let loaded = Inventory::parse(Path::new("inventory.yaml"), Path::new("/"), &text).unwrap();
        let fleet = &loaded.inventory.fleets["lab"];
        let web = fleet.hosts.iter().find(|host| host.name.as_str() == "web").unwrap();
        let trusted = keys(&[&["cache.nixos.org-1"], trusted].concat());
        signers.judge(fleet, web, &trusted, seen, served(seen.into_iter()).as_ref())
    }

    /// Both sides trust a key of somebody else's cache, as with nix-community's: that alone lets nothing through.
    #[test]
    fn a_key_counts_only_where_something_was_signed_by_it() {
        let elsewhere = |pushed: Option<Signatures>, trusted: &[&str]| Signers {
            keys: nix::SigningKeys { fetched: keys(&["ci-1"]), ..nix::SigningKeys::default() },
            have_signed: signed(pushed.as_ref(), trusted),
            pushed,
            ..Signers::default()
        };
        let untrusted = Copying::Untrusted { key: None };
        for (seen, copying) in [
            (None, &untrusted),
            (Some(pushed(true, &[])), &untrusted),
            // Signed by hand; or by a key that signed here, and does not any more.
            (Some(pushed(true, &["ci-1"])), &untrusted),
            (Some(pushed(false, &["other-1"])), &untrusted),
            (Some(pushed(false, &["ci-1"])), &Copying::SignedElsewhere { key: "ci-1".into() }),
        ] {
            let signers = elsewhere(seen.clone(), &["ci-1"]);
            assert_eq!(judged("", &signers, &["ci-1"], None), *copying, "{seen:?}");
            assert_eq!(judged("", &elsewhere(seen.clone(), &[]), &[], None), untrusted);
            // The key was made anew under its old name, and has signed nothing of this.
            assert_eq!(judged("", &Signers { have_signed: Vec::new(), ..signers }, &["ci-1"], None), untrusted);
        }
    }

    #[test]
    fn a_key_that_cannot_be_read_is_known_by_what_it_has_signed() {
        let file = "/etc/nix/key".to_owned();
        let unread = |pushed: Option<Signatures>, trusted: &[&str]| Signers {
            keys: nix::SigningKeys { unread: vec![PathBuf::from(&file)], ..nix::SigningKeys::default() },
            have_signed: signed(pushed.as_ref(), trusted),
            pushed,
            ..Signers::default()
        };
        let copying = Copying::SignedUnread { file: file.clone() };
        for unknown in [None, Some(pushed(true, &[])), Some(pushed(false, &["cache.nixos.org-1"]))] {
            assert_eq!(judged("", &unread(unknown, &["home-1"]), &["home-1"], None), copying);
        }
        let home = || Some(pushed(true, &["home-1"]));
        let new_signed = Copying::NewSigned { key: "home-1".into(), file: file.clone() };
        assert_eq!(judged("", &unread(home(), &["home-1"]), &["home-1"], None), new_signed);
        let all = Signers { is_all_signed: true, ..unread(home(), &["home-1"]) };
        assert_eq!(judged("", &all, &["home-1"], None), Copying::Signed { key: "home-1".into() });
        // The host has another key of that name.
        let anew = Signers { have_signed: Vec::new(), ..unread(home(), &["home-1"]) };
        assert_eq!(judged("", &anew, &["home-1"], None), copying);
        // What the file has now may be `other-1`: the host may have been given the new key before this push.
        let signed = unread(home(), &["other-1"]);
        assert_eq!(judged("", &signed, &["other-1"], None), copying);
        // The cache may sign all the same.
        let cache = ", cache: {to: ssh-ng://vps, from: 'http://vps:5000'}";
        let by_cache = Copying::ByCache { cache: "http://vps:5000".into(), key: None };
        assert_eq!(judged(cache, &signed, &["vps-1"], Some(&CacheSeen::Has(names(&["vps-1"])))), by_cache);
    }

    /// Nix signs what it builds from when on it has a key; the inventory's key signs all that is copied.
    #[test]
    fn what_was_built_before_its_nix_had_a_key_is_not_taken_for_signed() {
        let own = nix::OwnKey { public: key("home-1"), file: PathBuf::from("/root/key") };
        let keys = nix::SigningKeys { own: vec![own], ..nix::SigningKeys::default() };
        let ours = Signers { keys: keys.clone(), ..Signers::default() };
        let new_signed = Copying::NewSigned { key: "home-1".into(), file: "/root/key".into() };
        let signed = Copying::Signed { key: "home-1".into() };
        assert_eq!(judged("", &ours, &["home-1"], None), new_signed);
        assert_eq!(judged("", &Signers { is_all_signed: true, ..ours }, &["home-1"], None), signed);
        let of_inventory = Some(key("home-1"));
        assert_eq!(judged("", &Signers { of_inventory, keys, ..Signers::default() }, &["home-1"], None), signed);
    }

    #[test]
    fn a_cache_brings_what_it_was_seen_to_sign_and_what_nix_signs_on_the_way_there() {
        let (nobody, untrusted) = (Signers::default(), Copying::Untrusted { key: None });
        let cache = ", cache: {to: ssh-ng://vps, from: 'http://vps:5000'}";
        let by = |key: Option<String>, from: &str| Copying::ByCache { cache: from.into(), key };
        // The host trusts a key, and whether the cache signs by it is not known.
        assert_eq!(judged(cache, &nobody, &["vps-1"], Some(&CacheSeen::Lacks)), untrusted);
        assert_eq!(judged(cache, &nobody, &["vps-1"], Some(&CacheSeen::Has(names(&[])))), untrusted);
        let has = CacheSeen::Has(names(&["vps-1"]));
        assert_eq!(judged(cache, &nobody, &["vps-1"], Some(&has)), by(None, "http://vps:5000"));
        assert_eq!(judged(cache, &nobody, &[], Some(&has)), untrusted);
        let folder = ", cache: {to: 'file:///srv/cache?secret-key=/root/key', from: 'http://x:8081'}";
        let signs = Signers { into_cache: keys(&["home-1"]), ..Signers::default() };
        assert_eq!(judged(folder, &signs, &["home-1"], None), by(Some(key("home-1")), "http://x:8081"));
        assert_eq!(judged(folder, &signs, &[], None), untrusted);
        assert_eq!(judged(folder, &nobody, &["home-1"], Some(&has)), untrusted);
    }

    #[test]
    fn what_all_have_seen_of_the_cache_counts_for_those_who_have_seen_nothing() {
        let has = |by: &[&str]| CacheSeen::Has(names(by));
        let silent = CacheSeen::Silent { said: String::new() };
        assert_eq!(served([CacheSeen::Lacks, silent, CacheSeen::Bare].iter()), None);
        assert_eq!(served([CacheSeen::Lacks, has(&["a-1", "b-1"])].iter()), Some(names(&["a-1", "b-1"])));
        assert_eq!(served([has(&["a-1", "b-1"]), has(&["b-1"])].iter()), Some(names(&["b-1"])));
        assert_eq!(served([has(&["a-1"]), has(&[])].iter()), Some(names(&[])));
    }
}
