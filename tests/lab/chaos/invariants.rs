//! docs/design.md, "Invariants", asked of the hosts themselves.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use fleetdeploy::event::{Event, HostOutcome, Outcome};

use crate::chaos::records::Records;
use crate::chaos::spec::{Injection, Spec};
use crate::fleet::Fleet;
use crate::pushed::Pushed;
use crate::standing::Standing;
use crate::wait::seconds;

/// Longer than any guard here, what it does when it fires, and a boot.
const REST: Duration = seconds(150);

/// A tunnel that was down comes up again: a rekey and a handshake, with hosts that restart at different times.
const REACH: Duration = seconds(60);

/// The systems that the run was to bring, by host; empty when it did not come to its plan.
pub(super) type New = BTreeMap<String, String>;

/// What the hosts are and what they were.
#[derive(Debug)]
pub(super) struct Truth<'a> {
    pub(super) fleet: &'a Fleet,
    pub(super) spec: &'a Spec,
    pub(super) new: &'a New,
}

/// Where a host stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Old,
    New,
    Neither,
}

impl Truth<'_> {
    fn side(&self, host: &str, now: &Standing) -> Side {
        let places = [&now.current, &now.profile, &now.boot_default];
        let old = self.fleet.before(host);
        let olds = [&old.current, &old.profile, &old.boot_default];
        if places == olds {
            Side::Old
        } else if self.new.get(host).is_some_and(|new| places.iter().all(|place| *place == new)) {
            Side::New
        } else {
            Side::Neither
        }
    }

    /// Whether what a command has said last is true now: `committed` and `rolled back` are said only of what was seen
    /// (invariant 6), also of the single hosts of a split.
    pub(super) fn of_claim(&self, who: &str, ended: &Pushed) -> Vec<String> {
        let Some(status) = ended.status else { return vec![format!("{who} died of a signal that nobody sent")] };
        let finished = ended.events().find_map(|event| match event {
            Event::Finished { outcome, hosts, .. } => Some((*outcome, hosts)),
            _ => None,
        });
        let Some((outcome, hosts)) = finished else {
            return vec![format!("{who} ended with {status} and without its last event")];
        };
        let right = match outcome {
            Outcome::Committed | Outcome::Unchanged | Outcome::Planned => status == 0,
            Outcome::RolledBack | Outcome::Refused => status == 1,
            Outcome::Split | Outcome::Left | Outcome::Superseded => status == 3,
            Outcome::Rebooted | Outcome::PartlyRebooted => false,
        };
        let mut wrong = Vec::new();
        if !right {
            wrong.push(format!("{who} ended with {status} and {outcome:?}"));
        }
        for host in self.spec.hosts {
            let of_host = hosts.iter().find(|(name, _)| name.as_str() == *host).map(|(_, of_host)| of_host);
            let claim = match (outcome, of_host) {
                (Outcome::Committed, _) if self.spec.changed.contains(host) => Side::New,
                (Outcome::Split, Some(HostOutcome::Committed)) => Side::New,
                (Outcome::Committed | Outcome::RolledBack | Outcome::Refused, _)
                | (Outcome::Split, Some(HostOutcome::RolledBack { .. })) => Side::Old,
                // Nothing is claimed of where it is.
                _ => continue,
            };
            let now = self.fleet.standing(host);
            let side = self.side(host, &now);
            if side != claim {
                wrong.push(format!("{who} said {outcome:?}, {of_host:?}, and {host} is on {side:?}: {now:?}"));
            } else if let Some(guard) = guard_of(&now) {
                wrong.push(format!("{who} said {outcome:?}, {of_host:?}, and {host} is not unguarded: {guard}"));
            }
        }
        wrong
    }

    /// Everything that must hold when all is at rest and nothing is left to do.
    pub(super) fn at_rest(&self, records: &Records) -> (Side, Vec<String>) {
        let mut wrong = Vec::new();
        let mut sides = Vec::new();
        for host in self.spec.hosts {
            let (now, before) = (self.fleet.standing(host), self.fleet.before(host));
            let (now, before) = (without_scraps(now), without_scraps(before.clone()));
            let changed = self.spec.changed.contains(host);
            let side = self.side(host, &now);
            if side == Side::Neither || (side == Side::New && !changed) {
                wrong.push(format!("{host} is neither on old nor on new: {now:?}, before {before:?}"));
                continue;
            }
            if changed {
                sides.push((side, *host));
            }
            let restarts = now.boots - before.boots;
            if restarts > 0 && self.spec.injection == Injection::Nothing {
                wrong.push(format!("{host} has restarted, and nobody has done anything to it"));
            }
            let expected = match side {
                Side::New => before.moved_to(&self.new[*host]),
                _ => before.clone(),
            };
            let expected = Standing { boots: now.boots, boot_id: now.boot_id.clone(), ..expected };
            if now != expected {
                wrong.push(format!(
                    "{host} is on {side:?}, and not all is as it should be: {now:?}, expected {expected:?}"
                ));
            }
        }
        let side = sides.first().map_or(Side::Old, |(side, _)| *side);
        if sides.iter().any(|(other, _)| *other != side) {
            wrong.push(format!("the fleet is split: {sides:?}"));
        }
        if side == Side::New && !records.decided() {
            wrong.push("the fleet is on new, and no journal has the decision".to_owned());
        }
        wrong.extend(self.reach());
        (side, wrong)
    }

    /// The baseline's reach: every link, and a login on every host.
    fn reach(&self) -> Vec<String> {
        let start = Instant::now();
        loop {
            let checked = self.fleet.plain(&["check", "homelab"]);
            if checked.status == Some(0) {
                return Vec::new();
            }
            if start.elapsed() > REACH {
                return vec![format!("links are down at rest:\n{}{}", checked.stdout, checked.stderr)];
            }
        }
    }

    /// Waits until every host is up, and no guard is armed or at work and no step is.
    pub(super) fn wait_for_rest(&self) -> Result<(), String> {
        let start = Instant::now();
        for host in self.spec.hosts {
            loop {
                let now = self.fleet.standing(host);
                let Some(busy) = guard_of(&now) else { break };
                if start.elapsed() > REST {
                    return Err(format!("{host} does not come to rest: {busy}"));
                }
                std::thread::sleep(Duration::from_millis(300));
            }
        }
        Ok(())
    }
}

/// Without what an installer leaves that found no room, NixOS's as well: no boot loader reads it.
fn without_scraps(mut standing: Standing) -> Standing {
    standing.entries.retain(|entry| Path::new(entry).extension().is_none_or(|ending| ending != "tmp"));
    standing
}

/// An armed token or a unit of ours, if one is there.
fn guard_of(now: &Standing) -> Option<&String> {
    now.leftovers.iter().find(|left| left.contains("/token/armed-") || left.starts_with("unit fleetdeploy"))
}
