//! Lists the paths that a system needs, with their sizes: for the look at the room on a host.

use std::collections::BTreeMap;
use std::time::Duration;

use super::copy::Destination;
use super::invoke::{AskError, ask, nix};
use crate::facts::store_path::StorePath;

const COMMAND: &str = "nix path-info";

/// All paths of a closure with their sizes in bytes, unpacked.
///
/// Which of them a host has already is not known here: the whole size is the most that a copy can need.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Closure {
    pub paths: BTreeMap<StorePath, u64>,
}

impl Closure {
    #[must_use]
    pub fn size(&self) -> u64 {
        self.paths.values().sum()
    }

    /// The size of what is not in `there`.
    pub fn size_without(&self, there: impl Fn(&StorePath) -> bool) -> u64 {
        self.paths.iter().filter(|(path, _)| !there(path)).map(|(_, size)| size).sum()
    }
}

/// Gives the closure of a path that is valid in the local store, or in that of a host.
///
/// # Errors
/// See [`AskError`].
pub async fn closure(path: &StorePath, store: Option<Destination<'_>>, limit: Duration) -> Result<Closure, AskError> {
    // The table has been the same since 2.8; the JSON changed twice (docs/facts.md, "Versions of Nix").
    let mut question = nix(limit).args(["path-info", "--recursive", "--size"]);
    if let Some(store) = store {
        question = question.env("NIX_SSHOPTS", store.ssh_options).arg("--store").arg(store.store());
    }
    parse(&ask(COMMAND, question.arg("--").arg(path)).await?)
}

fn parse(text: &str) -> Result<Closure, AskError> {
    let line = |line: &str| {
        let mut words = line.split_whitespace();
        let path = words.next().and_then(|word| StorePath::new(word).ok());
        let size = words.next().and_then(|word| word.parse().ok());
        path.zip(size).ok_or_else(|| AskError::Answer { command: COMMAND, answer: line.to_owned() })
    };
    let paths = text.lines().map(line).collect::<Result<_, _>>()?;
    Ok(Closure { paths })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_summed_and_what_is_there_is_left_out() {
        let text = "/nix/store/jf93vdhms5pb1x0df9wlpwji9gxw7ykm-base              \t        \
                    120\n/nix/store/sq08zfhisq0n6qah1nv8zvj4xr85icj4-nixos-system-vps-1\t        168\n";
        let closure = parse(text).unwrap();
        assert_eq!(closure.size(), 288);
        assert_eq!(closure.size_without(|path| path.name() == "base"), 168);
        assert!(matches!(parse("error"), Err(AskError::Answer { .. })));
    }
}
