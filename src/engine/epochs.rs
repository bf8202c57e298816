//! Chooses the epochs that a coordinator speaks to its hosts with: above every epoch that was written before, and never
//! that of another coordinator.
//!
//! The epoch alone tells two recoveries apart that run at once, and every host must order them in the same way. So
//! there is one epoch for all hosts, above what any of them shows. But a host is believed about itself only: one that
//! shows a number near the highest that the scripts take would leave no room on the other hosts, for ever. So the
//! numbers that hosts show raise the common epoch only as far as recoveries can have raised it. One host alone, far
//! above all others, does not count, because at most one host lies; it is spoken to with a higher epoch of its own.

use std::hash::{BuildHasher, Hasher, RandomState};

use crate::facts::plan::HostId;

/// The scripts take numbers of at most 14 digits (`is_number` in lib.sh).
const HIGHEST: u64 = 99_999_999_999_999;

/// The number of low bits of an epoch that tell one coordinator from another.
const TAG_BITS: u32 = 16;

/// The room above an epoch that must be left: a recovery may have to bid once more.
const RESERVE: u64 = 4 << TAG_BITS;

/// The most that the count above the tag can honestly rise between two looks at the hosts. A recovery adds one to it,
/// and a run is not recovered a thousand times between two looks.
const MOST_BETWEEN: u64 = 1 << 10;

/// Returns the epoch of a recovery: higher than any known one, and not that of another coordinator.
///
/// Two recoveries may know of the same epochs, and hosts that have restarted know of none. The fence tells coordinators
/// apart by the epoch alone, so `tag` is a part of it: the lower 16 bits. The bits above them count.
///
/// `None`: there is no room above that number.
#[must_use]
pub fn later_epoch(highest: u64, tag: u16) -> Option<u64> {
    let count = (highest >> TAG_BITS).checked_add(1)?.checked_mul(1 << TAG_BITS)?;
    Some(count | u64::from(tag)).filter(|later| *later <= HIGHEST)
}

/// Returns a number that tells this recovery from another one of the same person on a workstation of the same name.
#[must_use]
pub fn tag() -> u16 {
    // The keys of std's hash maps are random and new for each process, so no crate for random numbers is needed.
    let [first, second, ..] = RandomState::new().build_hasher().finish().to_le_bytes();
    u16::from_le_bytes([first, second])
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Epochs {
    tag: u16,
    /// The highest epoch before this coordinator that is believed, of all hosts together.
    believed: u64,
    /// The epoch that each host has shown last, by its place in the plan.
    shown: Vec<Option<u64>>,
    speaks: Vec<u64>,
}

impl Epochs {
    /// Makes the epochs of the coordinator that begins a run.
    #[must_use]
    pub fn first(hosts: usize) -> Self {
        Self { tag: 0, believed: 0, shown: vec![None; hosts], speaks: vec![1; hosts] }
    }

    /// Makes one epoch for all hosts, as it was written there.
    #[must_use]
    pub fn same(epoch: u64, hosts: usize) -> Self {
        Self { speaks: vec![epoch; hosts], ..Self::first(hosts) }
    }

    /// Makes the epochs of a coordinator that takes a run over. `shown` is what each host shows, `recorded` the highest
    /// in a record of the run.
    #[must_use]
    pub fn above(shown: Vec<Option<u64>>, recorded: u64, tag: u16) -> Self {
        let speaks = vec![1; shown.len()];
        let mut epochs =
            Self { tag, believed: believed(shown.iter().flatten().copied().chain([recorded])), shown, speaks };
        epochs.raise();
        epochs
    }

    /// Returns the epoch for a host.
    #[must_use]
    pub fn of(&self, host: HostId) -> u64 {
        self.speaks.get(host.0).copied().unwrap_or(1)
    }

    /// Returns the epoch for all hosts that show nothing above it; a record keeps this one.
    #[must_use]
    pub fn common(&self) -> u64 {
        later_epoch(self.believed, self.tag).unwrap_or(HIGHEST)
    }

    /// Returns whether the host has shown a number that leaves no room for another.
    #[must_use]
    pub fn has_no_room(&self, host: HostId) -> bool {
        self.shown.get(host.0).copied().flatten().is_some_and(|shown| later_epoch(shown, self.tag).is_none())
    }

    pub fn saw(&mut self, host: HostId, epoch: u64) {
        if let Some(shown) = self.shown.get_mut(host.0) {
            *shown = Some(epoch);
        }
    }

    /// Raises the epochs above what this host has shown, as far as that can be.
    pub fn outbid(&mut self, host: HostId) {
        let shown = self.shown.get(host.0).copied().flatten();
        // The host's number is weighed against our own epoch alone: one that lies far above it does not take the other
        // hosts along.
        self.believed = believed(shown.into_iter().chain([self.common()]));
        self.raise();
    }

    fn raise(&mut self) {
        let common = self.common();
        for (speaks, shown) in self.speaks.iter_mut().zip(&self.shown) {
            let own = shown.and_then(|shown| later_epoch(shown, self.tag));
            // A host that shows more than the common epoch is spoken to with a higher one of its own.
            *speaks = own.map_or(common, |own| own.max(common));
        }
    }
}

/// Returns the highest epoch that leaves room for more, without one that stands alone far above all others.
fn believed(epochs: impl Iterator<Item = u64>) -> u64 {
    let leaves_room =
        |epoch: &u64| epoch.checked_add(RESERVE).is_some_and(|epoch| later_epoch(epoch, u16::MAX).is_some());
    let mut epochs: Vec<u64> = epochs.filter(leaves_room).chain([1]).collect();
    epochs.sort_unstable();
    match epochs[..] {
        // At most one host lies, so a number that two hosts show is true.
        [.., below, highest] if (highest >> TAG_BITS) - (below >> TAG_BITS) > MOST_BETWEEN => below,
        [.., highest] => highest,
        [] => 1,
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn counts(epochs: &Epochs) -> Vec<u64> {
        (0..epochs.speaks.len()).map(|host| epochs.of(HostId(host)) >> TAG_BITS).collect()
    }

    #[test]
    fn an_epoch_is_later_than_all_before_and_never_that_of_another() {
        let [first, second] = [0xffff, 0].map(|tag| later_epoch(1, tag).unwrap());
        assert!(1 < first && first != second);
        assert!(later_epoch(first, 0).unwrap() > first && later_epoch(second, 0).unwrap() > second);
        // There is room for a billion recoveries of one run.
        assert!(later_epoch((1_000_000_000 << 16) | 0xffff, u16::MAX).is_some());
        assert_eq!((later_epoch(HIGHEST, 0), later_epoch(u64::MAX, 7)), (None, None));
    }

    #[test]
    fn what_one_host_shows_raises_all_only_as_far_as_recoveries_can_have() {
        let at = |count: u64| Some(count << TAG_BITS | 7);
        for (shown, recorded, all) in [
            (vec![None, None], 1, vec![1, 1]),
            (vec![at(3), None], 1, vec![4, 4]),
            (vec![at(3), at(4)], 1, vec![5, 5]),
            // Many recoveries were made elsewhere, and every host shows it.
            (vec![at(3_000), at(3_000)], 1, vec![3_001, 3_001]),
            // The hosts that would show it have restarted.
            (vec![None, Some(HIGHEST)], 1, vec![1, 1]),
            // One host alone shows a number that no coordinator can have written.
            (vec![at(3), at(1_000_000)], 1, vec![4, 1_000_001]),
            (vec![at(3), Some(HIGHEST)], 1, vec![4, 4]),
            // And so does a record that an older fleetdeploy let one host raise.
            (vec![at(3), at(3)], HIGHEST, vec![4, 4]),
        ] {
            let epochs = Epochs::above(shown.clone(), recorded, 9);
            assert_eq!(counts(&epochs), all, "{shown:?} {recorded}");
        }
        let lie = Epochs::above(vec![at(3), Some(HIGHEST)], 1, 9);
        assert_eq!([0, 1].map(|host| lie.has_no_room(HostId(host))), [false, true]);
    }

    /// A recovery that has seen another one's lease on one host is above it on every host.
    #[test]
    fn who_has_seen_another_is_above_it_on_every_host() {
        let first = Epochs::above(vec![None, None, Some(500 << TAG_BITS)], 1, u16::MAX);
        let second = Epochs::above(vec![Some(first.of(HostId(0))), None, Some(HIGHEST - 1)], 1, 0);
        assert!(
            [0, 1].into_iter().all(|host| second.of(HostId(host)) > first.of(HostId(host))),
            "{first:?} {second:?}"
        );
    }

    #[test]
    fn who_begins_anew_is_above_what_the_refusing_host_has_shown() {
        let mut epochs = Epochs::above(vec![Some(1), Some(1), Some(1)], 1, 9);
        epochs.saw(HostId(0), 5 << TAG_BITS | 3);
        epochs.outbid(HostId(0));
        assert_eq!(counts(&epochs), [6, 6, 6]);
        // No lie takes the others along.
        epochs.saw(HostId(0), HIGHEST);
        epochs.outbid(HostId(0));
        assert_eq!(counts(&epochs), [7, 7, 7]);
    }
}
