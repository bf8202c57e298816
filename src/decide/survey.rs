//! Judges the survey's facts before anything is touched: which hosts change, and what refuses the push.

mod boot;
mod leftovers;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::decide::guard;
use crate::decide::time::Times;
use crate::event::Event;
use crate::event::reason::any::AnyReason;
use crate::event::reason::boot::{BootDoubt, BootRefusal, WayOut};
use crate::event::reason::claim::Claim;
use crate::event::reason::leftover::Left;
use crate::event::reason::status::Ailment;
use crate::event::reason::survey::{GuardPart, Judgement};
use crate::facts::host::{Facts, GuardState, Lease};
use crate::facts::store_path::StorePath;
use crate::facts::systems::Systems;
use crate::inventory::model::{GuardAction, Host, HostName};

/// A finding about the fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub host: Option<HostName>,
    pub text: AnyReason,
    pub weight: Weight,
}

impl Finding {
    #[must_use]
    pub fn refusal(host: Option<&HostName>, reason: impl Into<AnyReason>) -> Self {
        Self::new(Weight::Refusal, host, reason.into())
    }

    #[must_use]
    pub fn warning(host: Option<&HostName>, reason: impl Into<AnyReason>) -> Self {
        Self::new(Weight::Warning, host, reason.into())
    }

    /// Returns what is told of it.
    #[must_use]
    pub fn event(&self) -> Event {
        let (host, text) = (self.host.clone(), self.text.clone());
        match self.weight {
            Weight::Warning => Event::Warned { host, text },
            Weight::Refusal => Event::failed(host.as_ref(), text),
        }
    }

    fn new(weight: Weight, host: Option<&HostName>, text: AnyReason) -> Self {
        Self { host: host.cloned(), text, weight }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    Warning,
    Refusal,
}

/// The things that the person allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Allowed {
    pub drift: bool,
    pub broken: bool,
}

/// A host as the push meets it.
#[derive(Debug, Clone, Copy)]
pub struct Surveyed<'a> {
    pub host: &'a Host,
    pub selected: bool,
    pub facts: &'a Facts,
    /// Absent for a witness.
    pub new: Option<&'a StorePath>,
    pub times: Times,
}

impl Surveyed<'_> {
    /// Returns whether the host changes. If its current system and its boot default are the new one already, no risk is
    /// taken for it.
    #[must_use]
    pub fn changes(&self) -> bool {
        self.new.is_some_and(|new| !self.facts.standing.systems.all_are(new))
    }
}

/// Finds everything that the facts say against the push, or about it, all at once.
#[must_use]
pub fn judge(fleet: &str, hosts: &[Surveyed<'_>], allowed: Allowed) -> Vec<Finding> {
    let mut findings = twice(hosts);
    findings.extend(Left::ended_twice(fleet, hosts).into_iter().map(|ends| Finding::warning(None, ends)));
    for surveyed in hosts {
        let mut judge = Judge { fleet, host: surveyed.host.name.clone(), findings: &mut findings };
        let claimed = judge.claims(surveyed);
        if surveyed.facts.lacks_bash {
            judge.refuse(Judgement::BashMissing);
        }
        // A system that another run has moved is that run's affair, and `nixos-rebuild switch` is not its mend.
        if surveyed.changes() && !claimed {
            judge.way_back(surveyed, allowed);
            judge.guard(surveyed);
            judge.survivors(surveyed, hosts);
        }
        if surveyed.changes() {
            judge.busy(surveyed);
        } else if !claimed {
            judge.next_boot_of_a_witness(surveyed);
        }
    }
    findings
}

/// An act on a host without a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByHand {
    Guard,
    Reboot,
}

/// Finds everything that the facts say against a guard by hand on the selected hosts, or against their reboot.
#[must_use]
pub fn judge_by_hand(fleet: &str, hosts: &[Surveyed<'_>], allowed: Allowed, what: ByHand) -> Vec<Finding> {
    let mut findings = twice(hosts);
    for surveyed in hosts {
        let mut judge = Judge { fleet, host: surveyed.host.name.clone(), findings: &mut findings };
        if !judge.claims(surveyed) && surveyed.selected {
            judge.busy(surveyed);
            match what {
                ByHand::Guard => judge.way_back(surveyed, allowed),
                ByHand::Reboot => judge.reboot(surveyed, allowed),
            }
            judge.survivors(surveyed, hosts);
        }
    }
    findings
}

/// Finds one machine under two names: it would be pushed twice at the same time.
///
/// Only machine id and boot together show one: all containers of a machine share its boot id, and machines that were
/// made from one image may share a machine id. A host that shows another's boot id alone is not that other host.
///
/// Its host key is no part of it: one machine may have several, one for each sshd, kind of key or way to it, and would
/// then be pushed twice. Two machines with all of a machine id, a boot id and the tick in which PID 1 was started in
/// common are refused, which harms nothing: a machine id of its own mends that.
fn twice(hosts: &[Surveyed<'_>]) -> Vec<Finding> {
    let mut seen: BTreeMap<(&str, &str), &HostName> = BTreeMap::new();
    let mut findings = Vec::new();
    for surveyed in hosts {
        let (name, facts) = (&surveyed.host.name, surveyed.facts);
        if let Some(other) = seen.insert((&facts.machine_id, &facts.standing.boot_id), name) {
            findings.push(Finding::refusal(Some(name), Judgement::SameMachine { other: other.clone() }));
        }
    }
    findings
}

/// Says of a profile that a reboot does not bring that it was tried there before, and not proven: what an installer
/// would make of it must not be a person's next step.
pub(super) fn tried_in_vain(fleet: &str, host: &Host, facts: &Facts) -> Option<Ailment> {
    let standing = &facts.standing;
    let Systems { profile, boot_default, .. } = &standing.systems;
    let survivor = standing.trial.remembered(profile, &standing.booted).filter(|_| profile != boot_default)?;
    Some(Ailment::TriedInVain {
        tried: profile.clone(),
        run: survivor.run.clone(),
        fleet: fleet.to_owned(),
        host: host.name.clone(),
    })
}

struct Judge<'a> {
    fleet: &'a str,
    host: HostName,
    findings: &'a mut Vec<Finding>,
}

impl Judge<'_> {
    fn refuse(&mut self, reason: impl Into<AnyReason>) {
        self.findings.push(Finding::refusal(Some(&self.host), reason));
    }

    fn warn(&mut self, reason: impl Into<AnyReason>) {
        self.findings.push(Finding::warning(Some(&self.host), reason));
    }

    /// Refuses another run's guard or lease, also on a witness, which may restart in the middle. Returns whether
    /// another run claims the host.
    fn claims(&mut self, surveyed: &Surveyed<'_>) -> bool {
        let standing = &surveyed.facts.standing;
        let fleet = || self.fleet.to_owned();
        let rolling = standing.rolling.as_ref().map(|lease| Claim::HeldByRollingReboot {
            fleet: fleet(),
            run: lease.run.clone(),
            owner: lease.owner.clone(),
            left: Duration::from_secs(lease.left),
        });
        let fires_in = |deadline: u64| Duration::from_secs(deadline.saturating_sub(standing.uptime));
        let by_hand = standing.lease.as_ref().filter(|lease| guard::is_marked(&lease.owner));
        let claim = if let Some(Lease { run: held, owner, .. }) = by_hand {
            let owner = owner.clone();
            Some(match &standing.guard {
                GuardState::Armed { run, deadline } => {
                    Claim::GuardArmedByHand { fleet: fleet(), run: run.clone(), owner, fires_in: fires_in(*deadline) }
                }
                _ => Claim::HeldByHand { fleet: fleet(), run: held.clone(), owner },
            })
        } else {
            match &standing.guard {
                GuardState::Armed { run, deadline } if standing.trial.of(run).is_some() => Some(Claim::InTrial {
                    fleet: fleet(),
                    run: run.clone(),
                    owner: standing.trial.of(run).map(|survivor| survivor.owner.clone()).unwrap_or_default(),
                    fires_in: fires_in(*deadline),
                    is_booted: standing.trial.line.as_ref() == Some(run),
                }),
                GuardState::Armed { run, deadline } => {
                    Some(Claim::GuardArmedElsewhere { fleet: fleet(), run: run.clone(), fires_in: fires_in(*deadline) })
                }
                GuardState::Dead { run, .. } => Some(Claim::GuardDeadElsewhere { fleet: fleet(), run: run.clone() }),
                GuardState::Firing { run } => Some(Claim::GuardFiringElsewhere { fleet: fleet(), run: run.clone() }),
                GuardState::None | GuardState::Fired { .. } | GuardState::Disarmed { .. } => {
                    standing.lease.as_ref().map(|lease| Claim::HeldByRun {
                        fleet: fleet(),
                        run: lease.run.clone(),
                        owner: lease.owner.clone(),
                    })
                }
            }
        };
        let claims: Vec<Claim> = rolling.into_iter().chain(claim).collect();
        let is_claimed = !claims.is_empty();
        for claim in claims {
            self.refuse(claim);
        }
        is_claimed
    }

    fn busy(&mut self, surveyed: &Surveyed<'_>) {
        for busy in &surveyed.facts.busy {
            self.refuse(Judgement::HostBusy { activity: busy.clone() });
        }
    }

    /// Checks whether a reboot would really bring back what runs.
    fn way_back(&mut self, surveyed: &Surveyed<'_>, allowed: Allowed) {
        let facts = surveyed.facts;
        let (refusals, doubts) = BootRefusal::of_guard(facts, surveyed.host.guard_action);
        for refusal in refusals {
            self.refuse(refusal);
        }
        for doubt in doubts {
            self.warn(doubt);
        }
        // If it is not known what a reboot brings, that has been said already.
        if facts.standing.systems.known_boot_default().is_some() && !facts.standing.systems.agree() {
            let Systems { current, profile, boot_default } = facts.standing.systems.clone();
            let in_vain = tried_in_vain(self.fleet, surveyed.host, facts);
            if let Some(in_vain) = in_vain.filter(|_| !allowed.drift) {
                self.refuse(in_vain);
            } else if allowed.drift {
                self.warn(Judgement::SystemsDifferAccepted { current, profile, boot_default });
            } else {
                self.refuse(Judgement::SystemsDiffer { current, profile, boot_default });
            }
        }
        if !facts.crypto_devices.is_empty() && !surveyed.host.guard_action_given {
            self.refuse(Judgement::EncryptedUnguarded { disks: facts.crypto_devices.clone() });
        }
    }

    /// Warns about a witness with a next boot. No guard reboots it, but a reboot meanwhile would bring something else
    /// than its links were proven with.
    fn next_boot_of_a_witness(&mut self, surveyed: &Surveyed<'_>) {
        for refusal in BootRefusal::all(surveyed.facts, WayOut::ByHand) {
            if let BootRefusal::NextBootSet { entry, system, .. } = refusal {
                self.warn(BootDoubt::WitnessNextBootSet { entry, system });
            }
        }
    }

    /// Checks whether the host would come up by itself, on what it runs.
    fn reboot(&mut self, surveyed: &Surveyed<'_>, allowed: Allowed) {
        let facts = surveyed.facts;
        for refusal in BootRefusal::all(facts, WayOut::ByHand) {
            self.refuse(refusal);
        }
        let Systems { current, boot_default, .. } = facts.standing.systems.clone();
        if facts.standing.systems.known_boot_default().is_some() && current != boot_default {
            if allowed.drift {
                self.warn(Judgement::BootDefaultDiffersAccepted { current, boot_default });
            } else {
                self.refuse(Judgement::BootDefaultDiffers { current, boot_default });
            }
        }
        if surveyed.host.guard_action == GuardAction::SwitchBack {
            self.refuse(Judgement::PersonNeededAtBoot);
        } else if !facts.crypto_devices.is_empty() && !surveyed.host.guard_action_given {
            self.refuse(Judgement::EncryptedReboot { disks: facts.crypto_devices.clone() });
        }
    }

    /// Judges what a push has left behind that died, or that was ended without this host.
    fn survivors(&mut self, surveyed: &Surveyed<'_>, hosts: &[Surveyed<'_>]) {
        for left in Left::of(self.fleet, surveyed, hosts) {
            if left.refuses() {
                self.refuse(left);
            } else {
                self.warn(left);
            }
        }
    }

    fn guard(&mut self, surveyed: &Surveyed<'_>) {
        let shortest = surveyed.host.shortest_guard(surveyed.times.settle, surveyed.times.steady);
        if surveyed.times.guard < shortest {
            let parts = surveyed.host.guard_parts(surveyed.times.settle, surveyed.times.steady);
            let parts = parts.into_iter().map(|(key, time)| GuardPart { key: key.to_owned(), time }).collect();
            self.refuse(Judgement::GuardTooShort { guard: surveyed.times.guard, shortest, parts });
        }
    }
}

#[cfg(test)]
mod tests;
