//! Divides the hosts that change into waves, which are tested one after the other.

use std::collections::BTreeSet;

use crate::decide::survey::Finding;
use crate::event::reason::waves::WaveFault;
use crate::inventory::model::{After, Host, HostName, Size};

/// The waves that a person wants: the canaries first, then waves of these sizes, then all that are left.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Waves {
    pub canaries: BTreeSet<HostName>,
    pub sizes: Vec<Size>,
}

impl Waves {
    /// Returns the hosts that change, wave by wave, each wave in the order of `changing`; no wave is empty.
    #[must_use]
    pub fn divide(&self, changing: &[HostName]) -> Vec<Vec<HostName>> {
        let (canaries, mut left): (Vec<HostName>, Vec<HostName>) =
            changing.iter().cloned().partition(|host| self.canaries.contains(host));
        let mut waves = vec![canaries];
        for size in &self.sizes {
            let rest = left.split_off(size.of(changing.len()).min(left.len()));
            waves.push(std::mem::replace(&mut left, rest));
        }
        waves.push(left);
        waves.retain(|wave| !wave.is_empty());
        waves
    }

    /// Judges these waves: finds what is against them, or needs a word. `changing` are the hosts that change.
    #[must_use]
    pub fn judge(&self, changing: &[&Host]) -> Vec<Finding> {
        let names: Vec<HostName> = changing.iter().map(|host| host.name.clone()).collect();
        let idle = self
            .canaries
            .iter()
            .filter(|canary| !names.contains(canary))
            .map(|canary| Finding::warning(Some(canary), WaveFault::CanaryUnchanged));
        // Between two waves some far ends would have their new address and some the old one, and a round looks at all
        // of them in one way.
        let in_waves = self.divide(&names).len() > 1;
        let moving = changing
            .iter()
            .filter(|host| in_waves && host.after != After::default())
            .map(|host| Finding::refusal(Some(&host.name), WaveFault::AddressMovesBetweenWaves));
        idle.chain(moving).collect()
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::decide::survey::Weight;

    fn names(names: &str) -> Vec<HostName> {
        names.split_whitespace().map(|name| HostName::new(name).unwrap()).collect()
    }

    fn waves(canaries: &str, sizes: &str) -> Waves {
        let sizes = sizes.split(',').filter(|size| !size.is_empty()).map(|size| size.parse().unwrap()).collect();
        Waves { canaries: names(canaries).into_iter().collect(), sizes }
    }

    #[test]
    fn waves_take_hosts_in_their_order_and_what_is_left_is_the_last() {
        for (hosts, canaries, sizes, expected) in [
            // Nothing was asked for: one wave.
            ("a b c", "", "", "a b c"),
            ("", "", "", ""),
            ("", "a", "1", ""),
            ("a b c d e", "", "1", "a | b c d e"),
            // The first waves, not waves of two again and again.
            ("a b c d e", "", "2", "a b | c d e"),
            ("a b c d e", "", "1,2", "a | b c | d e"),
            // A share of all, rounded up, at least one host.
            ("a b c d e", "", "25%", "a b | c d e"),
            ("a b c d e", "", "1%", "a | b c d e"),
            ("a b c d", "", "50%,50%", "a b | c d"),
            ("a b c d e", "", "1,25%,50%", "a | b c | d e"),
            ("a b c", "", "100%", "a b c"),
            // More than there are.
            ("a b c", "", "2,9,1", "a b | c"),
            ("a b", "", "99999999999999999999999", "a b"),
            // A canary flies first, wherever it stands, and counts among all.
            ("a b c d", "c", "", "c | a b d"),
            ("a b c d", "d b", "1", "b d | a | c"),
            ("a b c d", "c", "50%", "c | a b | d"),
            // One that does not change makes no wave.
            ("a b", "z", "", "a b"),
            ("a b", "a b", "1", "a b"),
        ] {
            let divided = waves(canaries, sizes).divide(&names(hosts));
            let words = |wave: &Vec<HostName>| wave.iter().map(HostName::as_str).collect::<Vec<_>>().join(" ");
            let divided = divided.iter().map(words).collect::<Vec<_>>().join(" | ");
            assert_eq!(divided, expected, "{hosts}, canaries {canaries:?}, waves {sizes:?}");
        }
    }

    #[test]
    fn an_address_that_the_push_itself_changes_is_refused_with_more_than_one_wave() {
        let text = "hosts: {a: {}, b: {after: {port: 2222}}}\nfleets: {both: {hosts: all, flake: .}}\n";
        let here = std::path::Path::new(".");
        let inventory = crate::inventory::Inventory::parse(here, here, text).unwrap().inventory;
        let hosts: Vec<&Host> = inventory.hosts.iter().collect();
        let said = |waves: Waves, hosts: &[&Host]| -> Vec<(String, Weight)> {
            let findings = waves.judge(hosts);
            crate::codes::keep_judged(findings.iter().map(|finding| finding.text.clone()));
            findings.into_iter().map(|finding| (finding.host.unwrap().to_string(), finding.weight)).collect()
        };
        assert_eq!(said(waves("", "1"), &hosts), [("b".to_owned(), Weight::Refusal)]);
        assert_eq!(said(waves("a", ""), &hosts), [("b".to_owned(), Weight::Refusal)]);
        assert_eq!(said(waves("", ""), &hosts), []);
        assert_eq!(said(waves("", "2"), &hosts), [], "all at once");
        assert_eq!(said(waves("a", ""), &hosts[1..]), [("a".to_owned(), Weight::Warning)], "a is current already");
    }
}
