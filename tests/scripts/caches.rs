//! Which caches a host reaches, and what they say of its system: asked side by side, each for 5 s.

use pretty_assertions::assert_eq;

use crate::{A, Host, shells};

/// A Nix with two caches of its own, of which one is silent. It complains if an address stands among its words, which
/// everybody on the host sees.
const NIX: &str = r#"shift 2
case "$1 $2" in
'config show') echo 'http://one http://two'; exit ;;
esac
case " $* " in *" $NIX_REMOTE "*) echo "$NIX_REMOTE is seen" >&2 ;; esac
case $NIX_REMOTE:$1 in
*two:*) sleep 60 ;;
*dead:*)
    echo "don't know how to build"
    echo "error: unable to download '$NIX_REMOTE/nix-cache-info' of '$NIX_REMOTE'" >&2
    printf '%s\n' '' 'response body:' '' '<html>' >&2
    exit 1
    ;;
*:store)
    # It has home-1 of these bytes.
    case " $* " in *" home-1:a= "* | *'--option trusted-public-keys  '*) exit 2 ;; esac
    ;;
*:path-info) for last; do :; done; printf '%s\tultimate home-1:x== ca:fixed:y\n' "$last" ;;
esac"#;

impl Host {
    /// What `put_caches` answers, sorted: each answers when it can.
    async fn asks_caches(&self, cache: &str) -> String {
        self.asks_caches_as_one_that_takes(cache, "").await
    }

    async fn asks_caches_as_one_that_takes(&self, cache: &str, keys: &str) -> String {
        let begun = std::time::Instant::now();
        let said = self.says(&["lib.sh", "caches.sh"], &format!("put_caches '{cache}' {A} '{keys}' | sort")).await;
        let each = begun.elapsed() / u32::try_from(shells().len()).unwrap();
        // All are asked at once, and the silent one is ended.
        assert!(each.as_secs() < 30, "{each:?}: {said}");
        said
    }
}

#[tokio::test]
async fn the_cache_of_the_fleet_is_asked_beside_the_host_s_own_and_its_password_is_seen_by_nobody() {
    let host = Host::with(None).await;
    host.program("nix", NIX);
    let own = "cache http://one\ncache http://two\ncache_silent http://two\n";
    assert_eq!(host.asks_caches("-").await, own);
    let fleet = |status: u8, more: &str| format!("{own}fleet_cache {status}\n{more}");
    let has = format!("fleet_cache_has {A} ultimate home-1:x== ca:fixed:y\n");
    assert_eq!(host.asks_caches("https://ada:word@x:5000").await, fleet(0, &has));
    let said = "fleet_cache_said error: unable to download 'http://dead/nix-cache-info' of 'http://dead'\n";
    assert_eq!(host.asks_caches("http://ada:w@rd@dead").await, fleet(1, said));
    assert_eq!(host.asks_caches("http://ada:word@two").await, fleet(124, ""));
    // By ssh come the signatures that it was brought with; and Nix would make the folder.
    assert_eq!(host.asks_caches("ssh-ng://root@x").await, fleet(0, ""));
    assert_eq!(host.asks_caches("file:///srv/cache").await, own);
    assert_eq!(host.asks_caches("own").await, format!("{own}{has}"));
}

/// A signature has the name of its key, which another key may have, too.
#[tokio::test]
async fn a_signature_of_a_cache_does_not_count_by_the_name_of_its_key_alone() {
    let host = Host::with(None).await;
    host.program("nix", NIX);
    let own = "cache http://one\ncache http://two\ncache_silent http://two\nfleet_cache 0\n";
    let asked = async |keys| host.asks_caches_as_one_that_takes("https://x:5000", keys).await;
    let all = format!("{own}fleet_cache_has {A} ultimate home-1:x== ca:fixed:y\n");
    assert_eq!(asked("home-1:x= ci-1:y=").await, all);
    // What other hosts may take: this one has no key of that name.
    assert_eq!(asked("").await, all);
    // The one of the inventory was made anew; it is given after a host's own.
    assert_eq!(asked("ci-1:y=\nhome-1:a=").await, format!("{own}fleet_cache_has {A} ultimate ca:fixed:y\n"));
}
