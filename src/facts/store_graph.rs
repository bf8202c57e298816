//! The paths of a store with their sizes, and which of them need which others.

use std::collections::{HashMap, HashSet};

use crate::facts::store_path::StorePath;

/// One path: what a store knows of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreObject {
    pub path: StorePath,
    /// Bytes, unpacked.
    pub size: u64,
    /// The paths that it needs; itself may be one of them.
    pub needs: Vec<StorePath>,
}

/// Paths of one store, with all that they need.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoreGraph {
    places: HashMap<StorePath, usize>,
    nodes: Vec<StoreNode>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct StoreNode {
    size: u64,
    needs: Vec<usize>,
}

impl StoreGraph {
    /// Adds paths with all that they need. A path that is needed and not among them counts as nothing.
    pub fn add(&mut self, objects: Vec<StoreObject>) {
        let new: Vec<StoreObject> =
            objects.into_iter().filter(|object| !self.places.contains_key(&object.path)).collect();
        for (place, object) in (self.nodes.len()..).zip(&new) {
            self.places.insert(object.path.clone(), place);
        }
        for object in new {
            let needs = object.needs.iter().filter_map(|path| self.places.get(path).copied()).collect();
            self.nodes.push(StoreNode { size: object.size, needs });
        }
    }

    #[must_use]
    pub fn has(&self, path: &StorePath) -> bool {
        self.places.contains_key(path)
    }

    /// Returns how many bytes `wanted` and all that they need have, beyond `there` and all that those need. `None`: one
    /// of `wanted` is not known.
    pub fn lacking<'a>(
        &self,
        wanted: impl IntoIterator<Item = &'a StorePath>,
        there: impl IntoIterator<Item = &'a StorePath>,
    ) -> Option<u64> {
        let mut seen = HashSet::new();
        self.walk(there.into_iter().filter_map(|path| self.places.get(path).copied()).collect(), &mut seen);
        let wanted = wanted.into_iter().map(|path| self.places.get(path).copied()).collect::<Option<_>>()?;
        Some(self.walk(wanted, &mut seen))
    }

    /// Returns the size of what was not seen before.
    fn walk(&self, mut open: Vec<usize>, seen: &mut HashSet<usize>) -> u64 {
        let mut size: u64 = 0;
        while let Some(place) = open.pop() {
            if seen.insert(place) {
                let node = &self.nodes[place];
                size = size.saturating_add(node.size);
                open.extend(&node.needs);
            }
        }
        size
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn path(name: &str) -> StorePath {
        StorePath::new(format!("/nix/store/{}-{name}", "a".repeat(32))).unwrap()
    }

    fn object(name: &str, size: u64, needs: &[&str]) -> StoreObject {
        StoreObject { path: path(name), size, needs: needs.iter().map(|name| path(name)).collect() }
    }

    #[test]
    fn what_is_lacking_is_counted_once_and_what_is_there_not_at_all() {
        let mut graph = StoreGraph::default();
        graph.add(vec![object("old", 5, &["glibc"]), object("glibc", 1000, &["glibc"])]);
        graph.add(vec![
            object("new", 10, &["new", "kernel", "glibc", "not-known"]),
            object("other", 20, &["kernel", "glibc"]),
            object("kernel", 100, &[]),
            object("glibc", 1000, &["glibc"]),
        ]);
        let (new, other, old) = (path("new"), path("other"), path("old"));
        assert_eq!(graph.lacking([&new], []), Some(1110));
        assert_eq!(graph.lacking([&new], [&old]), Some(110));
        assert_eq!(graph.lacking([&new, &other], [&old]), Some(130));
        assert_eq!(graph.lacking([&new], [&new]), Some(0));
        // Whatever else a host has is not known here, and takes nothing away.
        assert_eq!(graph.lacking([&new], [&path("elsewhere")]), Some(1110));
        assert_eq!(graph.lacking([&path("elsewhere")], [&old]), None);
        assert!(graph.has(&old) && !graph.has(&path("elsewhere")));
    }
}
