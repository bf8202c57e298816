//! Foresees the copies of a push: how much goes to whom, and about how long that takes, by what former runs measured.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use crate::event::forecast::{CopiesForecast, CopyForecast};
use crate::facts::sending::SendingWay;
use crate::inventory::model::HostName;

/// The least copy that tells how fast a way is, in bytes: a smaller one tells how long a question takes there.
const LEAST_TELLING: u64 = 1_000_000;

/// The least time of a copy that tells that, in milliseconds: what nix does is looked at ten times a second.
const LEAST_TIME: u64 = 100;

/// How many copies by one way are looked at, the newest first.
const NEWEST: usize = 5;

/// A copy of a former run: what was sent, and how long that took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeasuredCopy {
    /// `None`: the cache of the fleet, where that is none of its hosts.
    pub host: Option<HostName>,
    /// The host that had built it.
    pub from: Option<HostName>,
    pub bytes: u64,
    pub took_ms: u64,
}

/// The end of a copy, and its beginning if that is not this workstation.
type CopyEnds = (Option<HostName>, Option<HostName>);

/// How fast copies were in former runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FormerCopies {
    /// Bytes a second, never 0.
    speeds: BTreeMap<CopyEnds, u64>,
}

impl FormerCopies {
    /// Takes the median of the newest copies by each way.
    #[must_use]
    pub fn of(newest_first: impl IntoIterator<Item = MeasuredCopy>) -> Self {
        let mut measured: BTreeMap<CopyEnds, Vec<u64>> = BTreeMap::new();
        for copy in newest_first {
            if copy.bytes < LEAST_TELLING || copy.took_ms < LEAST_TIME {
                continue;
            }
            let speeds = measured.entry((copy.host, copy.from)).or_default();
            if speeds.len() < NEWEST {
                speeds.push((copy.bytes.saturating_mul(1000) / copy.took_ms).max(1));
            }
        }
        let speeds = measured.into_iter().filter_map(|(ends, mut speeds)| {
            speeds.sort_unstable();
            // Of two in the middle the slower: who waits is rather through too early.
            let median = speeds.get(speeds.len().checked_sub(1)? / 2)?;
            Some((ends, *median))
        });
        Self { speeds: speeds.collect() }
    }

    /// Returns how long so many bytes take, in milliseconds.
    fn time(&self, host: Option<&HostName>, from: Option<&HostName>, bytes: u64) -> Option<u64> {
        if bytes == 0 {
            return Some(0);
        }
        let speed = self.speeds.get(&(host.cloned(), from.cloned()))?;
        Some(bytes.saturating_mul(1000) / speed)
    }
}

/// A copy that is to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComingCopy {
    /// `None`: to the cache of the fleet, where that is none of its hosts.
    pub host: Option<HostName>,
    pub way: SendingWay,
    /// `None`: what is there already is not known here.
    pub bytes: Option<u64>,
    /// It fills the cache, and all others come after it.
    pub fills_cache: bool,
    /// The jumps on the way to the host: a copy to one of them comes first.
    pub behind: Vec<HostName>,
}

/// Foresees the copies. At most `at_once` are under way at once, and begin in this order.
#[must_use]
pub fn foresee(coming: &[ComingCopy], former: &FormerCopies, at_once: usize) -> CopiesForecast {
    let each: Vec<CopyForecast> = coming
        .iter()
        .map(|copy| {
            let known = copy.bytes.filter(|_| copy.way.is_sent());
            let about_ms = known.and_then(|bytes| former.time(copy.host.as_ref(), copy.way.builder(), bytes));
            CopyForecast { host: copy.host.clone(), way: copy.way.clone(), bytes: copy.bytes, about_ms }
        })
        .collect();
    let about_ms = together(coming, &each, at_once);
    CopiesForecast { each, about_ms }
}

/// Returns when the last of them is through, counted from the first; `None` if the time of one is not known, or none is
/// sent at all.
fn together(coming: &[ComingCopy], each: &[CopyForecast], at_once: usize) -> Option<u64> {
    let mut begin = 0;
    let mut open: Vec<(&ComingCopy, u64)> = Vec::new();
    for (copy, foreseen) in coming.iter().zip(each).filter(|(copy, _)| copy.way.is_sent()) {
        match (copy.fills_cache, foreseen.about_ms?) {
            (true, time) => begin = time,
            (false, time) => open.push((copy, time)),
        }
    }
    if each.iter().all(|copy| !copy.way.is_sent()) {
        return None;
    }
    let mut free: BinaryHeap<Reverse<u64>> = std::iter::repeat_n(Reverse(begin), at_once.max(1)).collect();
    let mut through: BTreeMap<&HostName, u64> = BTreeMap::new();
    let mut last = begin;
    let mut to_come: BTreeSet<&HostName> = open.iter().filter_map(|(copy, _)| copy.host.as_ref()).collect();
    while !open.is_empty() {
        // The copies whose jumps are through, by when that is.
        let waits = |copy: &ComingCopy| copy.behind.iter().any(|jump| to_come.contains(jump));
        let from = |copy: &ComingCopy| copy.behind.iter().filter_map(|jump| through.get(jump)).max().copied();
        let ready = open.iter().enumerate().filter(|(_, (copy, _))| !waits(copy));
        // No jumps go in a circle. A mistake there must not become a loop.
        let next = ready.min_by_key(|(_, (copy, _))| from(copy)).map_or(0, |(place, _)| place);
        let (copy, time) = open.remove(next);
        let Reverse(turn) = free.pop()?;
        let end = turn.max(from(copy).unwrap_or(begin)).saturating_add(time);
        free.push(Reverse(end));
        through.extend(copy.host.as_ref().map(|host| (host, end)));
        copy.host.as_ref().map(|host| to_come.remove(host));
        last = last.max(end);
    }
    Some(last)
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    const MB: u64 = 1_000_000;

    fn name(host: &str) -> HostName {
        HostName::new(host).unwrap()
    }

    fn measured(host: &str, bytes: u64, took_ms: u64) -> MeasuredCopy {
        MeasuredCopy { host: Some(name(host)), from: None, bytes, took_ms }
    }

    fn coming(host: &str, bytes: Option<u64>, behind: &[&str]) -> ComingCopy {
        let behind = behind.iter().map(|jump| name(jump)).collect();
        ComingCopy { host: Some(name(host)), way: SendingWay::Sent, bytes, fills_cache: false, behind }
    }

    fn times(coming: &[ComingCopy], former: &FormerCopies, at_once: usize) -> (Vec<Option<u64>>, Option<u64>) {
        let foreseen = foresee(coming, former, at_once);
        (foreseen.each.iter().map(|copy| copy.about_ms).collect(), foreseen.about_ms)
    }

    #[test]
    fn the_median_of_the_newest_copies_by_a_way_tells_how_fast_it_is() {
        let speed =
            |copies: Vec<MeasuredCopy>| FormerCopies::of(copies).speeds.get(&(Some(name("vps")), None)).copied();
        assert_eq!(speed(vec![measured("vps", 10 * MB, 1000)]), Some(10 * MB));
        // One that stood still does not count for all.
        let three = [1000, 100_000, 2000].map(|took| measured("vps", 10 * MB, took));
        assert_eq!(speed(three.to_vec()), Some(5 * MB));
        // Of two the slower.
        assert_eq!(speed(vec![measured("vps", 10 * MB, 1000), measured("vps", 10 * MB, 5000)]), Some(2 * MB));
        // The line has become faster: the older ones are not looked at.
        let older = std::iter::repeat_n(measured("vps", 10 * MB, 100_000), 50);
        let newer = std::iter::repeat_n(measured("vps", 10 * MB, 1000), 5);
        assert_eq!(speed(newer.chain(older).collect()), Some(10 * MB));
    }

    #[test]
    fn a_small_copy_and_a_copy_by_another_way_tell_nothing() {
        let from_nas = MeasuredCopy { from: Some(name("nas")), ..measured("vps", 10 * MB, 1000) };
        let former = FormerCopies::of([measured("vps", MB - 1, 10_000), measured("web", 10 * MB, 99), from_nas]);
        let between = SendingWay::Between { from: name("nas") };
        let copies = [
            coming("vps", Some(20 * MB), &[]),
            ComingCopy { way: between, ..coming("vps", Some(20 * MB), &[]) },
            coming("vps", None, &[]),
            // Nothing is to be sent, which takes no time by any way.
            coming("vps", Some(0), &[]),
        ];
        assert_eq!(times(&copies, &former, 4), (vec![None, Some(2000), None, Some(0)], None));
        // What is through in less time than nix is looked at often says nothing of a way either.
        assert_eq!(times(&[coming("web", Some(10 * MB), &[])], &former, 4).1, None);
    }

    #[test]
    fn all_together_take_as_long_as_the_window_and_the_jumps_let_them() {
        let former = FormerCopies::of(["jump", "far", "web", "nas"].map(|host| measured(host, MB, 1000)));
        let all = |at_once| {
            let copies = [
                coming("far", Some(4 * MB), &["jump"]),
                coming("jump", Some(3 * MB), &[]),
                coming("web", Some(2 * MB), &[]),
                coming("nas", Some(2 * MB), &[]),
            ];
            times(&copies, &former, at_once).1
        };
        // far begins once the jump is through, at 3 s.
        assert_eq!(all(16), Some(7000));
        // Beside it the other two have the second turn.
        assert_eq!(all(2), Some(7000));
        assert_eq!(all(1), Some(11_000));
        let fast = coming("web", Some(2 * MB), &[]);
        let cache = ComingCopy { fills_cache: true, host: None, ..coming("web", Some(2 * MB), &[]) };
        assert_eq!(times(&[cache.clone(), fast.clone()], &former, 4).1, None);
        let to_nas = ComingCopy { host: Some(name("nas")), ..cache };
        assert_eq!(times(&[to_nas.clone(), fast.clone()], &former, 4).1, Some(4000));
        // What a host fetches by itself is no time of a copy from here.
        let fetched = ComingCopy { way: SendingWay::Fetched, ..fast };
        assert_eq!(times(&[to_nas, fetched.clone()], &former, 4), (vec![Some(2000), None], Some(2000)));
        assert_eq!(times(&[fetched], &former, 4), (vec![None], None));
        // A circle is a mistake of ours, and ends.
        let circle = [coming("web", Some(MB), &["nas"]), coming("nas", Some(MB), &["web"])];
        assert_eq!(times(&circle, &former, 4).1, Some(2000));
    }
}
