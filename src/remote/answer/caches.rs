//! Reads what a host says of binary caches.

use super::{AnswerError, Lines, one, texts};
use crate::decide::cached::FetchEnd;
use crate::inventory::model::url_without_login;

/// The binary caches in a host's own configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OwnCaches {
    pub all: Vec<String>,
    /// Those that did not answer in time.
    pub silent: Vec<String>,
}

/// Reads the answer of `caches`.
#[must_use]
pub fn own_caches(lines: &Lines) -> OwnCaches {
    OwnCaches { all: texts(lines, "cache"), silent: texts(lines, "cache_silent") }
}

/// Judges by the last words of a fetch that has not brought all how it has ended for the store `from`. What they say of
/// other stores, which the host has in its own configuration, says nothing of this one.
#[must_use]
pub fn short_fetch(said: &str, from: &str) -> FetchEnd {
    let tells = |words: &str| said.split("; ").any(|line| line.contains(words) && is_about(line, from));
    if tells("unable to download") {
        FetchEnd::Short
    } else if tells("not signed by any of the keys") {
        FetchEnd::Unsigned
    } else if tells("does not exist in binary cache") {
        FetchEnd::Moved
    } else {
        FetchEnd::Short
    }
}

/// Whether a line of Nix names this store, or something in it: it leaves the options out, and a slash at the end.
fn is_about(line: &str, store: &str) -> bool {
    let store = url_without_login(store);
    let plain = store.split('?').next().unwrap_or_default().trim_end_matches('/');
    line.split('\'').any(|named| match named.strip_prefix(plain) {
        Some(rest) => rest.is_empty() || rest.starts_with(['/', '?']),
        // Nix 2.26 names no machine of `ssh-ng`.
        None => named.ends_with("://") && plain.starts_with(named),
    })
}

/// Reads the answer of `fetch`: `None` is that all has come, and else its last words, those about the store `from`
/// before others.
///
/// # Errors
/// An answer without a status.
pub fn fetched(lines: &Lines, from: &str) -> Result<Option<String>, AnswerError> {
    let status = one(lines, "status").ok_or(AnswerError::Missing("status"))?;
    if status == "0" {
        return Ok(None);
    }
    // timeout(1) ends with this status.
    let in_time = (status != "124").then(|| texts(lines, "log"));
    let errors = |log: Vec<String>| {
        // A store that is refused for its signatures says so in a warning, before the error that says little. And who
        // has interrupted it is no user, but its script, which says why. What is tried again is told at its end.
        let told = |line: &&String| {
            (line.contains("error:") || line.contains("warning:"))
                && !line.ends_with("interrupted by the user")
                && !line.contains("; retrying in ")
        };
        let mut told: Vec<String> = log.iter().filter(told).cloned().collect();
        told.sort_by_key(|line| !is_about(line, from));
        told.truncate(4);
        if told.is_empty() { log.last().cloned().unwrap_or_default() } else { told.join("; ") }
    };
    Ok(Some(in_time.map(errors).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn lines(lines: &[(&str, &str)]) -> Vec<(String, String)> {
        lines.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    /// The log is from Nix 2.26.3.
    #[test]
    fn a_fetch_that_failed_says_why() {
        let fetched = |lines: &Lines| fetched(lines, "ssh-ng://root@vps");
        assert_eq!(fetched(&lines(&[("status", "0"), ("log", "warning: x")])).unwrap(), None);
        let refused = "warning: ignoring substitute for '/nix/store/x-top' from 'ssh-ng://', as it's not signed by any \
                       of the keys in 'trusted-public-keys'";
        let end = "error: build of '/nix/store/x-top' failed";
        let said = lines(&[("status", "1"), ("log", "these 3 paths:"), ("log", refused), ("log", end)]);
        assert_eq!(fetched(&said).unwrap(), Some(format!("{refused}; {end}")));
        let still = "error: nothing has moved for 64 s";
        let said = lines(&[("status", "143"), ("log", still), ("log", "error: interrupted by the user")]);
        assert_eq!(fetched(&said).unwrap(), Some(still.to_owned()));
        assert_eq!(fetched(&lines(&[("status", "124"), ("log", "x")])).unwrap(), Some(String::new()));
        assert!(fetched(&lines(&[])).is_err());
    }

    #[test]
    fn what_is_said_of_the_cache_itself_comes_first_and_what_is_tried_again_not_at_all() {
        let other = |path: &str| ("log", format!("warning: ignoring substitute for '{path}' from 'http://other'"));
        let dead = "warning: unable to download 'http://vps:5000/nix-cache-info': Timeout was reached (28)";
        let mut log: Vec<_> = ["a", "b", "c", "d", "e"].into_iter().map(other).collect();
        log.extend([("log", format!("{dead}; retrying in 264 ms")), ("log", dead.to_owned())]);
        log.push(("status", "1".to_owned()));
        let log: Vec<_> = log.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        let said = fetched(&log, "http://ada:word@vps:5000/?priority=10").unwrap().unwrap();
        assert!(said.starts_with(&format!("{dead}; warning: ignoring substitute for 'a'")), "{said}");
        assert!(!said.contains("retrying") && !said.contains("'d'"), "{said}");
    }

    /// The words are from Nix 2.26.3; those of a file that is gone are read (`http-binary-cache-store.cc`).
    #[test]
    fn only_what_is_said_of_the_cache_itself_tells_how_a_fetch_has_ended_for_it() {
        let unsigned = |store: &str| {
            format!(
                "warning: ignoring substitute for '/nix/store/x-top' from '{store}', as it's not signed by any of the \
                 keys in 'trusted-public-keys'"
            )
        };
        let (ours, bare, other) = (unsigned("http://vps:5000"), unsigned("ssh-ng://"), unsigned("http://vps:5001"));
        let dead = |at: &str| format!("warning: unable to download '{at}/nix-cache-info': Timeout was reached (28)");
        let (dead, other_dead) = (dead("http://vps:5000"), dead("http://other"));
        let moved = "error: file 'nar/1x.nar.zst' does not exist in binary cache 'http://vps:5000'";
        let end = "error: build of '/nix/store/x-top' failed";
        let from = "http://vps:5000";
        for (from, said, ends) in [
            (from, format!("{ours}; {end}"), FetchEnd::Unsigned),
            ("http://ada:word@vps:5000/?priority=10", format!("{ours}; {end}"), FetchEnd::Unsigned),
            ("ssh-ng://root@vps?compress=true", format!("{bare}; {end}"), FetchEnd::Unsigned),
            (from, format!("{other_dead}; {ours}; {end}"), FetchEnd::Unsigned),
            // Caches of the host's own have what is not signed.
            (from, format!("{other}; {end}"), FetchEnd::Short),
            (from, format!("{dead}; {other}; {end}"), FetchEnd::Short),
            (from, format!("{dead}; {ours}; {end}"), FetchEnd::Short),
            (from, end.to_owned(), FetchEnd::Short),
            // It was emptied since, and filled anew.
            (from, format!("{moved}; {end}"), FetchEnd::Moved),
            ("http://other", format!("{moved}; {end}"), FetchEnd::Short),
            (from, format!("{moved}; {ours}; {end}"), FetchEnd::Unsigned),
            (from, format!("{dead}; {moved}; {end}"), FetchEnd::Short),
        ] {
            assert_eq!(short_fetch(&said, from), ends, "{from}: {said}");
        }
    }
}
