//! Reads what a host says of binary caches.

use super::{AnswerError, Lines, one, texts};

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

/// Whether these words of a host say that what it was to fetch has no signature which it takes.
#[must_use]
pub fn lacks_signature(said: &str) -> bool {
    said.contains("not signed by any of the keys")
}

/// Reads the answer of `fetch`: `None` is that all has come, and else its last words.
///
/// # Errors
/// An answer without a status.
pub fn fetched(lines: &Lines) -> Result<Option<String>, AnswerError> {
    let status = one(lines, "status").ok_or(AnswerError::Missing("status"))?;
    if status == "0" {
        return Ok(None);
    }
    // timeout(1) ends with this status.
    let in_time = (status != "124").then(|| texts(lines, "log"));
    let errors = |log: Vec<String>| {
        // A store that is refused for its signatures says so in a warning, before the error that says little. And who
        // has interrupted it is no user, but its script, which says why.
        let told = |line: &&String| {
            (line.contains("error:") || line.contains("warning:")) && !line.ends_with("interrupted by the user")
        };
        let told: Vec<String> = log.iter().filter(told).take(4).cloned().collect();
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
        assert_eq!(fetched(&lines(&[("status", "0"), ("log", "warning: x")])).unwrap(), None);
        let refused = "warning: ignoring substitute for '/nix/store/x-top' from 'ssh-ng://', as it's not signed by any \
                       of the keys in 'trusted-public-keys'";
        let end = "error: build of '/nix/store/x-top' failed";
        let said = lines(&[("status", "1"), ("log", "these 3 paths:"), ("log", refused), ("log", end)]);
        assert_eq!(fetched(&said).unwrap(), Some(format!("{refused}; {end}")));
        assert!(lacks_signature(refused) && !lacks_signature(end));
        let still = "error: nothing has moved for 64 s";
        let said = lines(&[("status", "143"), ("log", still), ("log", "error: interrupted by the user")]);
        assert_eq!(fetched(&said).unwrap(), Some(still.to_owned()));
        assert_eq!(fetched(&lines(&[("status", "124"), ("log", "x")])).unwrap(), Some(String::new()));
        assert!(fetched(&lines(&[])).is_err());
    }
}
