//! Says in each host's row which derivation is being built for it. It has no clock.

use std::collections::BTreeMap;

use crate::event::activity::{Doing, Standstill};
use crate::inventory::model::HostName;
use crate::nix::{EvalTarget, Needs, NixProgress, RunningBuild};

/// Folds the progress of the build into the rows of its hosts, and says which have changed.
pub(super) struct BuildRows {
    /// Unknown until something is being built and the store was asked.
    needs: Option<Needs>,
    hosts: Vec<BuildRow>,
    now: NixProgress,
    /// What is said while nothing is built and nothing moves.
    still: Option<String>,
    /// The row to look at first: every row has its turn, even if another one changes all the time.
    turn: usize,
}

struct BuildRow {
    host: HostName,
    derivation: Option<String>,
    told: Option<String>,
}

impl BuildRows {
    pub(super) fn new(targets: &BTreeMap<HostName, EvalTarget>) -> Self {
        let row = |(host, target): (&HostName, &EvalTarget)| BuildRow {
            host: host.clone(),
            derivation: target.derivation().map(ToString::to_string),
            told: None,
        };
        let hosts = targets.iter().map(row).collect();
        Self { needs: None, hosts, now: NixProgress::default(), still: None, turn: 0 }
    }

    pub(super) fn see(&mut self, now: &NixProgress) {
        self.now.clone_from(now);
        self.still = None;
    }

    /// Takes note that nothing has moved for a while. A build that runs may be silent for hours, and its row names it.
    pub(super) fn stand(&mut self, still: &Standstill) {
        self.still = self.now.running.is_empty().then(|| still.to_string());
    }

    pub(super) fn know(&mut self, needs: Needs) {
        self.needs = Some(needs);
    }

    /// Returns the next row in turn that has changed since it was last told.
    pub(super) fn next_changed(&mut self) -> Option<(HostName, String)> {
        let needs = self.needs.as_ref()?;
        let count = self.hosts.len();
        let (place, doing) = (self.turn..self.turn + count).map(|place| place % count).find_map(|place| {
            let row = &self.hosts[place];
            let doing = row.doing(needs, &self.now, self.still.as_ref());
            (row.told.as_ref() != Some(&doing)).then_some((place, doing))
        })?;
        self.turn = place + 1;
        let row = &mut self.hosts[place];
        row.told = Some(doing.clone());
        Some((row.host.clone(), doing))
    }
}

impl BuildRow {
    fn doing(&self, needs: &Needs, now: &NixProgress, still: Option<&String>) -> String {
        if self.derivation.as_ref().is_some_and(|derivation| now.systems.contains(derivation)) {
            return Doing::Built.to_string();
        }
        let is_mine = |build: &&RunningBuild| needs.hosts_of(&build.derivation).contains(&self.host);
        match now.running.iter().find(is_mine) {
            Some(build) => format!("building {}", shown(build)),
            None => still.cloned().unwrap_or_else(|| Doing::WaitingForBuild.to_string()),
        }
    }
}

/// `linux-6.12.8 (buildPhase)`.
pub(super) fn shown(build: &RunningBuild) -> String {
    match &build.phase {
        Some(phase) => format!("{} ({phase})", build.name),
        None => build.name.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pretty_assertions::assert_eq;

    use super::*;
    use crate::facts::store_path::StorePath;

    const LINUX: &str = "/nix/store/fk7x644w0qb5spvhxsl72wam3nw3l1pm-linux-6.12.8.drv";
    const ETC: &str = "/nix/store/ljz73nx4qrarpq34315znqcgpwds83hn-etc.drv";
    const HOME: &str = "/nix/store/6skrbbf9p6vvx5a4593wg6drgwk3iwva-nixos-system-home-1.drv";
    const VPS: &str = "/nix/store/zl65qzggwjsc35lm1d10vgcnjc2l8nnh-nixos-system-vps-1.drv";

    fn host(name: &str) -> HostName {
        HostName::new(name).unwrap()
    }

    fn rows() -> BuildRows {
        let target = |derivation: &str| EvalTarget::Derivation {
            derivation: StorePath::new(derivation).unwrap(),
            output: StorePath::new("/nix/store/sq08zfhisq0n6qah1nv8zvj4xr85icj4-out").unwrap(),
        };
        BuildRows::new(&[(host("home"), target(HOME)), (host("vps"), target(VPS))].into())
    }

    fn needs() -> Needs {
        let (home, vps) = (format!("{LINUX}\n{HOME}\n"), format!("{LINUX}\n{ETC}\n{VPS}\n"));
        Needs::from_answers(&[(&host("home"), &home), (&host("vps"), &vps)])
    }

    fn progress(running: &[(&str, Option<&str>)], systems: &[&str]) -> NixProgress {
        let build = |&(derivation, phase): &(&str, Option<&str>)| RunningBuild {
            derivation: derivation.to_owned(),
            name: StorePath::new(derivation).unwrap().name().trim_end_matches(".drv").to_owned(),
            phase: phase.map(str::to_owned),
            machine: None,
            last_line: None,
        };
        NixProgress {
            running: running.iter().map(build).collect(),
            systems: systems.iter().map(ToString::to_string).collect(),
            ..NixProgress::default()
        }
    }

    fn told(rows: &mut BuildRows) -> Vec<(String, String)> {
        std::iter::from_fn(|| rows.next_changed()).map(|(host, doing)| (host.to_string(), doing)).collect()
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(host, doing)| ((*host).to_owned(), (*doing).to_owned())).collect()
    }

    #[test]
    fn each_host_shows_the_first_build_that_it_needs_and_only_when_that_changes() {
        let mut rows = rows();
        rows.see(&progress(&[(ETC, None), (LINUX, None)], &[]));
        assert_eq!(told(&mut rows), [], "nobody knows yet who needs what");
        rows.know(needs());
        assert_eq!(told(&mut rows), pairs(&[("home", "building linux-6.12.8"), ("vps", "building etc")]));
        rows.see(&progress(&[(ETC, None), (LINUX, Some("buildPhase"))], &[]));
        assert_eq!(told(&mut rows), pairs(&[("home", "building linux-6.12.8 (buildPhase)")]));
        rows.see(&progress(&[(ETC, None)], &[]));
        assert_eq!(told(&mut rows), pairs(&[("home", "waiting for the build")]));
        rows.see(&progress(&[(VPS, None)], &[HOME]));
        assert_eq!(told(&mut rows), pairs(&[("vps", "building nixos-system-vps-1"), ("home", "its system is built")]));
    }

    #[test]
    fn a_nix_that_stands_still_without_a_build_is_told_and_one_with_a_build_is_not() {
        let mut rows = rows();
        rows.know(needs());
        let still = Standstill { silent: Duration::from_secs(8), last: Some("asking".to_owned()) };
        rows.see(&progress(&[(LINUX, None)], &[VPS]));
        rows.stand(&still);
        assert_eq!(told(&mut rows), pairs(&[("home", "building linux-6.12.8"), ("vps", "its system is built")]));
        rows.see(&progress(&[], &[VPS]));
        rows.stand(&still);
        assert_eq!(told(&mut rows), pairs(&[("home", "nothing has moved for 8 s: asking")]));
        rows.see(&progress(&[], &[VPS, HOME]));
        assert_eq!(told(&mut rows), pairs(&[("home", "its system is built")]));
    }

    #[test]
    fn a_host_that_changes_all_the_time_does_not_keep_the_others_from_their_turn() {
        let mut rows = rows();
        rows.know(needs());
        let first = rows.next_changed().unwrap().0;
        rows.see(&progress(&[(LINUX, None)], &[]));
        let second = rows.next_changed().unwrap().0;
        assert_eq!((first.as_str(), second.as_str()), ("home", "vps"));
    }
}
