//! Reads the answer of `doctor`.

use super::{AnswerError, Lines, all, condition, one, texts};
use crate::decide::cached::CacheSeen;
use crate::decide::doctor::Examined;
use crate::facts::signatures::Signatures;

/// # Errors
/// See [`AnswerError`].
pub fn examined(lines: &Lines) -> Result<Examined, AnswerError> {
    let setting = |text: &str| {
        let (key, value) = text.split_once(' ').unwrap_or((text, ""));
        (key.to_owned(), value.to_owned())
    };
    Ok(Examined {
        condition: condition(lines)?,
        login: one(lines, "login").unwrap_or("root").to_owned(),
        addresses: texts(lines, "address"),
        programs: texts(lines, "program").into_iter().collect(),
        sshd: all(lines, "sshd").map(setting).collect(),
        now: one(lines, "now").and_then(|now| now.parse().ok()),
        clock_ahead: None,
        trusted_keys: texts(lines, "trusted_key"),
        silent_caches: texts(lines, "cache_silent"),
        fleet_cache: fleet_cache(lines),
    })
}

/// What the cache of the fleet has said. The words are those of Nix 2.26.
fn fleet_cache(lines: &Lines) -> Option<CacheSeen> {
    let has: Vec<Signatures> =
        texts(lines, "fleet_cache_has").iter().filter_map(|line| Signatures::read(line)).collect();
    let status = one(lines, "fleet_cache");
    if !has.is_empty() {
        return Some(CacheSeen::Has(has.into_iter().flat_map(|signatures| signatures.keys).collect()));
    }
    let said = one(lines, "fleet_cache_said").unwrap_or_default();
    Some(match status? {
        "0" => CacheSeen::Lacks,
        // timeout(1) ends with this status.
        "124" => CacheSeen::Untold { said: String::new() },
        _ if said.ends_with("is not valid") => CacheSeen::Lacks,
        _ if said.contains("does not appear to be a binary cache") => CacheSeen::Bare,
        _ if is_out_of_reach(said) => CacheSeen::Silent { said: said.to_owned() },
        _ => CacheSeen::Untold { said: said.to_owned() },
    })
}

/// Whether these words of Nix say that it cannot reach a store. 28 is a timeout, of the same few seconds that it had:
/// where it starts slowly, or the line is slow, a second try gets through.
fn is_out_of_reach(said: &str) -> bool {
    let gets_nothing = said.contains("unable to download") && !said.contains(" (28)");
    gets_nothing || ["failed to start SSH connection", "cannot connect to"].iter().any(|words| said.contains(words))
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    /// The words are from Nix 2.26.3.
    #[test]
    fn a_cache_that_answers_is_told_from_one_that_does_not() {
        let seen = |lines: &[(&str, &str)]| {
            let lines: Vec<_> = lines.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            fleet_cache(&lines)
        };
        let failed = |said| seen(&[("fleet_cache", "1"), ("fleet_cache_said", said)]);
        let has = |line| seen(&[("fleet_cache", "0"), ("fleet_cache_has", line)]);
        let names = |names: &[&str]| Some(CacheSeen::Has(names.iter().map(|name| (*name).to_owned()).collect()));
        assert_eq!(seen(&[]), None);
        assert_eq!(seen(&[("fleet_cache", "0")]), Some(CacheSeen::Lacks));
        assert_eq!(has("/nix/store/x-nixos-system-web-1 home-1:Ab/+c=="), names(&["home-1"]));
        assert_eq!(has("/nix/store/x-nixos-system-web-1 "), names(&[]));
        // Of the host's own caches, where no status stands for all of them.
        assert_eq!(seen(&[("fleet_cache_has", "/nix/store/x-a ci-1:x")]), names(&["ci-1"]));
        assert_eq!(failed("error: path '/nix/store/x-nixos-system-web-1' is not valid"), Some(CacheSeen::Lacks));
        assert_eq!(failed("error: 'http://x:8081' does not appear to be a binary cache"), Some(CacheSeen::Bare));
        let refused = "error: unable to download 'http://x:8081/nix-cache-info': Could not connect to server (7)";
        assert_eq!(failed(refused), Some(CacheSeen::Silent { said: refused.to_owned() }));
        let late = seen(&[("fleet_cache", "124"), ("fleet_cache_said", "warning: x")]);
        assert_eq!(late, Some(CacheSeen::Untold { said: String::new() }));
        let ssh = "error: failed to start SSH connection to 'root@x'";
        assert_eq!(failed(ssh), Some(CacheSeen::Silent { said: ssh.to_owned() }));
        for untold in [
            "error: unable to download 'http://x:8081/nix-cache-info': Timeout was reached (28) Connection timed out",
            "error: unrecognised flag '--sigs'",
            "",
        ] {
            assert_eq!(failed(untold), Some(CacheSeen::Untold { said: untold.to_owned() }));
        }
    }
}
