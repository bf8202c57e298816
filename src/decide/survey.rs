//! Judges the survey's facts before anything is touched: which hosts change, and what refuses the push.

mod boot;
mod leftovers;
mod reboot_lease;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::decide::guard;
use crate::decide::time::Times;
use crate::facts::host::{Facts, GuardState};
use crate::facts::store_path::StorePath;
use crate::facts::systems::Systems;
use crate::inventory::model::{GuardAction, Host, HostName};

pub use boot::{BootDoubt, BootRefusal, WayOut};
pub use leftovers::{EndedTwice, Left, forget};
pub use reboot_lease::RollingRefusal;

/// A finding about the fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub host: Option<HostName>,
    pub text: String,
    /// Says what to do about it.
    pub hint: Option<String>,
    pub weight: Weight,
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
    findings.extend(EndedTwice::all(hosts).into_iter().map(|ends| Finding {
        host: None,
        text: ends.to_string(),
        hint: Some(ends.hint(fleet)),
        weight: Weight::Warning,
    }));
    for surveyed in hosts {
        let mut judge = Judge { fleet, host: surveyed.host.name.clone(), findings: &mut findings };
        let claimed = judge.claims(surveyed);
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
fn twice(hosts: &[Surveyed<'_>]) -> Vec<Finding> {
    let mut seen: BTreeMap<(&str, &str), &HostName> = BTreeMap::new();
    let mut findings = Vec::new();
    for surveyed in hosts {
        let (name, facts) = (&surveyed.host.name, surveyed.facts);
        if let Some(other) = seen.insert((&facts.machine_id, &facts.standing.boot_id), name) {
            findings.push(Finding {
                host: Some(name.clone()),
                text: format!("is the same machine as {other}: both have its machine id, and are on one boot"),
                hint: Some("give each machine one name in the inventory".to_owned()),
                weight: Weight::Refusal,
            });
        }
    }
    findings
}

struct Judge<'a> {
    fleet: &'a str,
    host: HostName,
    findings: &'a mut Vec<Finding>,
}

impl Judge<'_> {
    fn refuse(&mut self, text: impl Into<String>, hint: impl Into<String>) {
        self.push(Weight::Refusal, text.into(), Some(hint.into()));
    }

    fn warn(&mut self, text: impl Into<String>) {
        self.push(Weight::Warning, text.into(), None);
    }

    fn push(&mut self, weight: Weight, text: String, hint: Option<String>) {
        self.findings.push(Finding { host: Some(self.host.clone()), text, hint, weight });
    }

    /// Refuses another run's guard or lease, also on a witness, which may restart in the middle. Returns whether
    /// another run claims the host.
    fn claims(&mut self, surveyed: &Surveyed<'_>) -> bool {
        let before = self.findings.len();
        let standing = &surveyed.facts.standing;
        if let Some(refusal) = RollingRefusal::of(standing, self.fleet) {
            self.refuse(refusal.to_string(), refusal.hint());
        }
        let by_hand = standing.lease.as_ref().filter(|lease| guard::is_marked(&lease.owner));
        if let Some(lease) = by_hand {
            let text = match &standing.guard {
                GuardState::Armed { run, deadline } => {
                    let left = Duration::from_secs(deadline.saturating_sub(standing.uptime));
                    let left = humantime::format_duration(left);
                    format!("a guard that {} has armed (run {run}) fires in {left}", lease.owner)
                }
                _ => format!("is held by run {} of {}", lease.run, lease.owner),
            };
            let hint =
                format!("that work ends with `fleetdeploy guard disarm {}`, or when the guard fires", self.fleet);
            self.refuse(text, hint);
            return true;
        }
        match &standing.guard {
            GuardState::Armed { run, deadline } => {
                let left = deadline.saturating_sub(standing.uptime);
                self.refuse(
                    format!(
                        "a guard of run {run} is armed: it fires in {}",
                        humantime::format_duration(Duration::from_secs(left))
                    ),
                    format!(
                        "wait for that push to end, or for its guard to fire; if whoever began it is gone: {}; {}",
                        self.recover(),
                        forget(self.fleet, run)
                    ),
                );
            }
            GuardState::Dead { run, .. } => self.refuse(
                format!("run {run} armed a guard here, and the unit that should act on it is gone"),
                format!(
                    "look at fleetdeploy-guard.service in its journal; {} arms it anew; {}",
                    self.recover(),
                    forget(self.fleet, run)
                ),
            ),
            GuardState::Firing { run } => self.refuse(
                format!("the guard of run {run} has fired and is bringing this host back"),
                format!("wait until the host is back, then type {}; {}", self.recover(), forget(self.fleet, run)),
            ),
            GuardState::None | GuardState::Fired { .. } | GuardState::Disarmed { .. } => {
                if let Some(lease) = &standing.lease {
                    let text = format!("is held by run {} of {}", lease.run, lease.owner);
                    let hint = format!(
                        "wait for that push to end; if whoever began it is gone: {}; {}",
                        self.recover(),
                        forget(self.fleet, &lease.run)
                    );
                    self.refuse(text, hint);
                }
            }
        }
        self.findings.len() > before
    }

    fn busy(&mut self, surveyed: &Surveyed<'_>) {
        for busy in &surveyed.facts.busy {
            self.refuse(busy.clone(), "let it finish, or cancel it, and try again");
        }
    }

    /// Checks whether a reboot would really bring back what runs.
    fn way_back(&mut self, surveyed: &Surveyed<'_>, allowed: Allowed) {
        let facts = surveyed.facts;
        let Systems { current, profile, boot_default } = &facts.standing.systems;
        let (refusals, doubts) = BootRefusal::of_guard(facts, surveyed.host.guard_action);
        for refusal in &refusals {
            self.refuse(refusal.to_string(), refusal.hint());
        }
        for doubt in &doubts {
            self.warn(doubt.to_string());
        }
        // If it is not known what a reboot brings, that has been said already.
        if facts.standing.systems.known_boot_default().is_some() && !facts.standing.systems.agree() {
            let text = format!(
                "a reboot would not bring back what runs:\n  current      {current}\n  profile      {profile}\n  boot \
                 default {boot_default}"
            );
            if allowed.drift {
                self.warn(format!(
                    "{text}\n  accepted: a roll back restores each to what it was; a guard that fires \
                                   brings what a reboot brings"
                ));
            } else {
                self.refuse(
                    text,
                    "run `nixos-rebuild switch` (or `boot`, or reboot) there first, or give --accept-drift: \
                     then going back restores each to what it was",
                );
            }
        }
        if !facts.crypto_devices.is_empty() && !surveyed.host.guard_action_given {
            self.refuse(
                format!(
                    "one of its disks is encrypted ({}): a reboot may stop at a passphrase that nobody is there to \
                     type",
                    facts.crypto_devices.join(", ")
                ),
                "say in the inventory how it is to be guarded: `guard_action: reboot` if it unlocks by itself, \
                 `guard_action: switch-back` if it needs a person at boot",
            );
        }
    }

    /// Warns about a witness with a next boot. No guard reboots it, but a reboot meanwhile would bring something else
    /// than its links were proven with.
    fn next_boot_of_a_witness(&mut self, surveyed: &Surveyed<'_>) {
        let refusals = BootRefusal::all(surveyed.facts, WayOut::ByHand);
        for next in refusals.iter().filter(|refusal| matches!(refusal, BootRefusal::NextBoot { .. })) {
            self.warn(format!("{next}; this push leaves that as it is, since it does not change the host"));
        }
    }

    /// Checks whether the host would come up by itself, on what it runs.
    fn reboot(&mut self, surveyed: &Surveyed<'_>, allowed: Allowed) {
        let facts = surveyed.facts;
        let Systems { current, boot_default, .. } = &facts.standing.systems;
        for refusal in BootRefusal::all(facts, WayOut::ByHand) {
            self.refuse(refusal.to_string(), refusal.hint());
        }
        if facts.standing.systems.known_boot_default().is_some() && current != boot_default {
            let text = format!(
                "it would come up on something else than it runs:\n  current      {current}\n  boot default \
                 {boot_default}"
            );
            if allowed.drift {
                self.warn(format!("{text}\n  accepted: its boot default is what it must come up on"));
            } else {
                let hint = "make what runs permanent there with `nixos-rebuild switch` first, or give --accept-drift \
                            to have what the loader brings";
                self.refuse(text, hint);
            }
        }
        if surveyed.host.guard_action == GuardAction::SwitchBack {
            let hint = "reboot it by hand with somebody beside it, and leave it out here with --except";
            self.refuse("needs a person at boot, as the inventory says (`guard_action: switch-back`)", hint);
        } else if !facts.crypto_devices.is_empty() && !surveyed.host.guard_action_given {
            let disks = facts.crypto_devices.join(", ");
            let text = format!("one of its disks is encrypted ({disks}): it may stop at a passphrase at boot");
            self.refuse(text, "say in the inventory that it unlocks by itself: `guard_action: reboot`");
        }
    }

    /// Judges what a push has left behind that died, or that was ended without this host.
    fn survivors(&mut self, surveyed: &Surveyed<'_>, hosts: &[Surveyed<'_>]) {
        for left in Left::of(surveyed, hosts) {
            let hint = left.hint(self.fleet, &self.host);
            if left.refuses() {
                self.refuse(left.to_string(), hint);
            } else {
                self.warn(format!("{left}: {hint}"));
            }
        }
    }

    /// Returns the command that ends what another run has left.
    fn recover(&self) -> String {
        format!("`fleetdeploy recover {}`", self.fleet)
    }

    fn guard(&mut self, surveyed: &Surveyed<'_>) {
        let shortest = surveyed.host.shortest_guard(surveyed.times.settle, surveyed.times.steady);
        if surveyed.times.guard < shortest {
            self.refuse(
                format!(
                    "a guard of {} is shorter than what a push and its roll back may take, {}",
                    humantime::format_duration(surveyed.times.guard),
                    humantime::format_duration(shortest)
                ),
                "give a longer `guard`, or smaller `limits`, `settle` and `steady`",
            );
        }
    }
}
