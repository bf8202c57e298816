//! Lists the paths that a system needs, with their sizes: for the look at the room on a host.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::copy::Destination;
use super::invoke::{AskError, ask, nix};
use crate::facts::store_graph::{StoreGraph, StoreObject};
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

/// Gives the closure of paths that are valid in the local store, or in that of a host: of all of them together.
///
/// # Errors
/// See [`AskError`].
pub async fn closure<'a>(
    paths: impl IntoIterator<Item = &'a StorePath>,
    store: Option<Destination<'_>>,
    limit: Duration,
) -> Result<Closure, AskError> {
    // The table has been the same since 2.8; the JSON changed twice (docs/facts.md, "Versions of Nix").
    let mut question = nix(limit).args(["path-info", "--recursive", "--size"]);
    if let Some(store) = store {
        question = question.env("NIX_SSHOPTS", store.ssh_options).arg("--store").arg(store.store());
    }
    parse(&ask(COMMAND, question.arg("--").args(paths)).await?)
}

/// How many paths are asked for at once: the answer has each of their closures once, a kilobyte a path.
const ASKED_AT_ONCE: usize = 64;

/// Gives paths of the local store with all that they need.
///
/// # Errors
/// See [`AskError`]; also if one of them is not valid there.
pub async fn store_graph(paths: &[&StorePath], limit: Duration) -> Result<StoreGraph, AskError> {
    let mut graph = StoreGraph::default();
    for some in paths.chunks(ASKED_AT_ONCE) {
        let question = nix(limit).args(["path-info", "--recursive", "--json", "--"]).args(some);
        graph.add(objects_of(&ask(COMMAND, question).await?)?);
    }
    Ok(graph)
}

/// What the JSON tells of one path. Sources: docs/facts.md, "Versions of Nix".
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PathInfo {
    /// Only where they are in a list.
    path: Option<String>,
    nar_size: u64,
    references: Vec<String>,
}

/// Since 2.33 there is a map in a map.
#[derive(Deserialize)]
struct VersionedInfos {
    info: BTreeMap<String, PathInfo>,
}

fn objects_of(text: &str) -> Result<Vec<StoreObject>, AskError> {
    let bad = |what: String| AskError::Answer { command: COMMAND, answer: what };
    let infos: Vec<(String, PathInfo)> = if text.trim_start().starts_with('[') {
        let infos: Vec<PathInfo> = serde_json::from_str(text).map_err(|error| bad(error.to_string()))?;
        infos.into_iter().map(|mut info| (info.path.take().unwrap_or_default(), info)).collect()
    } else {
        let infos = match serde_json::from_str::<VersionedInfos>(text) {
            Ok(versioned) => versioned.info,
            Err(_) => serde_json::from_str(text).map_err(|error| bad(error.to_string()))?,
        };
        infos.into_iter().collect()
    };
    // The newest form has the names of paths without their folder.
    let whole = |text: String| {
        let text = if text.starts_with('/') { text } else { format!("/nix/store/{text}") };
        StorePath::new(text).map_err(|error| bad(error.0))
    };
    let object = |(path, info): (String, PathInfo)| {
        let needs = info.references.into_iter().map(whole).collect::<Result<_, _>>()?;
        Ok(StoreObject { path: whole(path)?, size: info.nar_size, needs })
    };
    infos.into_iter().map(object).collect()
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

    /// The first two as Nix 2.18 and 2.26 print them, shortened; the third as the release notes of 2.33 and the manual
    /// say.
    #[test]
    fn every_form_of_the_json_tells_the_same() {
        const BASE: &str = "jf93vdhms5pb1x0df9wlpwji9gxw7ykm-base";
        const SYSTEM: &str = "sq08zfhisq0n6qah1nv8zvj4xr85icj4-nixos-system-vps-1";
        let (base, system) = (format!("/nix/store/{BASE}"), format!("/nix/store/{SYSTEM}"));
        let list = format!(
            r#"[{{"narHash":"sha256:0","narSize":120,"path":"{base}","references":[],"valid":true}},
                {{"narHash":"sha256:0","narSize":168,"path":"{system}","references":["{base}"],"ultimate":true}}]"#
        );
        let map = format!(
            r#"{{"{base}":{{"ca":null,"narHash":"sha256-0","narSize":120,"references":[]}},
                "{system}":{{"ca":null,"deriver":"{system}.drv","narSize":168,"references":["{base}","{system}"]}}}}"#
        );
        let versioned = format!(
            r#"{{"info":{{"{BASE}":{{"narSize":120,"references":[],"storeDir":"/nix/store","version":2}},
                "{SYSTEM}":{{"narSize":168,"references":["{BASE}"],"version":2}}}},"storeDir":"/nix/store","version":2}}"#
        );
        let (base, system) = (StorePath::new(base).unwrap(), StorePath::new(system).unwrap());
        for text in [list, map, versioned] {
            let mut graph = StoreGraph::default();
            graph.add(objects_of(&text).unwrap());
            assert_eq!((graph.lacking([&system], []), graph.lacking([&system], [&base])), (Some(288), Some(168)));
        }
        for text in ["error: x", "{\"/nix/store/x\": null}", "[{\"path\": \"/nix/store/x\", \"valid\": false}]"] {
            assert!(matches!(objects_of(text), Err(AskError::Answer { .. })), "{text}");
        }
    }
}
