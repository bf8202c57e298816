//! How a host fetches its system from a cache: with an end, whatever the cache does.

use pretty_assertions::assert_eq;

use crate::{A, Host, shells};

impl Host {
    /// What `fetch` answers where Nix does this.
    async fn fetches(&self, nix: &str, seconds: u64, still: u64) -> String {
        self.fetches_afresh(nix, seconds, still, "-").await
    }

    /// `believed`: for how long an answer of the cache counts that it has something.
    async fn fetches_afresh(&self, nix: &str, seconds: u64, still: u64, believed: &str) -> String {
        self.program("nix-store", nix);
        let words = format!("main {A} ssh-ng://vps - {seconds} {still} {believed}");
        let begun = std::time::Instant::now();
        let said = self.says(&["lib.sh", "fetch.sh"], &words).await;
        let each = begun.elapsed().as_secs() / shells().len() as u64;
        // Whatever is left behind holds nobody up.
        assert!(each < 45, "{each} s: {said}");
        said
    }
}

#[tokio::test]
async fn a_fetch_in_which_nothing_moves_is_ended_and_one_that_moves_is_not() {
    let host = Host::with(None).await;
    let said = host.fetches("echo copying; exec sleep 60", 50, 2).await;
    assert_eq!(said, "status 143\nlog copying\nlog error: nothing has moved for 2 s\nend\n");
    let moves = "for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14; do sleep 0.5; printf .; done; echo";
    assert_eq!(host.fetches(moves, 50, 6).await, "status 0\nlog ..............\nend\n");
    assert_eq!(host.fetches("echo on; exec sleep 60", 3, 40).await, "status 124\nlog on\nend\n");
    let login = "echo \"error: no 'http://ada:w@rd@x/a' in 'http://ada:w@rd@x'\"; exit 1";
    assert_eq!(host.fetches(login, 50, 40).await, "status 1\nlog error: no 'http://x/a' in 'http://x'\nend\n");
    // An old answer that the cache has it not is none. That it has it, with what signatures, counts for as long as Nix
    // keeps that: with 0 it asks some four times for each path. Only who was refused for a signature, or has found
    // something gone, asks anew.
    let asks = r#"while [ $# -gt 1 ]; do case $1 in narinfo-*) echo "$1 $2" ;; esac; shift; done; echo "$1""#;
    let absence = "log narinfo-cache-negative-ttl 0\n";
    assert_eq!(host.fetches(asks, 50, 40).await, format!("status 0\n{absence}log {A}\nend\n"));
    let everything = format!("{absence}log narinfo-cache-positive-ttl 0\n");
    let afresh = host.fetches_afresh(asks, 50, 40, "0").await;
    assert_eq!(afresh, format!("status 0\n{everything}log {A}\nend\n"));
    assert!(host.fetches_afresh(asks, 50, 40, "x").await.contains("bad argument"));
}
