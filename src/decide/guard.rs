//! Judges the guard of a person who works by hand: its owner, its state, and whether a host may be left without it.
//!
//! On a host it is a guard like any other. The lease says behind the owner's name that a person works there and no
//! program of ours goes on meanwhile. So every workstation sees it, even without the run's record.

use std::time::Duration;

use crate::event::reason::guard::HandGuard;
use crate::facts::host::{Facts, GuardState, Lease, Standing};
use crate::facts::systems::Systems;
use crate::facts::traces::is_of_guard;

/// The words behind the owner of a lease.
const MARK: &str = " (by hand)";

/// Returns the owner as a lease of a guard by hand names them.
#[must_use]
pub fn marked(owner: &str) -> String {
    format!("{owner}{MARK}")
}

#[must_use]
pub fn is_marked(owner: &str) -> bool {
    owner.ends_with(MARK)
}

/// Returns whether this run is a guard by hand, and still armed on this host.
#[must_use]
pub fn is_armed(run: &str, standing: &Standing) -> bool {
    let is_of_run = |lease: &Lease| lease.run == run && is_marked(&lease.owner);
    matches!(&standing.guard, GuardState::Armed { run: of, .. } if of == run)
        && standing.lease.as_ref().is_some_and(is_of_run)
}

/// How the guard of a host stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hold {
    /// There is none, and no lease.
    Free,
    Armed {
        left: Duration,
    },
    /// Its unit is gone: nothing will fire.
    Dead,
    Firing,
    /// It has brought the host back.
    Fired,
    Disarmed,
    /// A lease without a guard: a person works here, or has left something behind.
    Leased,
}

/// A host's guard, and its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    pub hold: Hold,
    /// The run that it belongs to.
    pub run: Option<String>,
    pub owner: Option<String>,
    pub epoch: u64,
    /// Whether it was armed by hand, by the person who asks.
    pub mine: bool,
}

/// Returns what a host holds. `owner` asks; `known` is the run that this workstation has armed by hand and not ended
/// yet.
#[must_use]
pub fn held(facts: &Facts, owner: &str, known: Option<&str>) -> Held {
    let standing = &facts.standing;
    let lease = standing.lease.as_ref();
    let by_guard = match &standing.guard {
        GuardState::None => None,
        GuardState::Armed { run, deadline } => {
            let left = Duration::from_secs(deadline.saturating_sub(standing.uptime));
            Some((run, Hold::Armed { left }))
        }
        GuardState::Dead { run, .. } => Some((run, Hold::Dead)),
        GuardState::Firing { run } => Some((run, Hold::Firing)),
        GuardState::Fired { run } => Some((run, Hold::Fired)),
        GuardState::Disarmed { run } => Some((run, Hold::Disarmed)),
    };
    // After a guard has fired, the reboot leaves only the roots, with its trace.
    let trace = |run: &String| facts.traces.iter().find(|trace| is_of_guard(trace, run));
    let is_mine = |trace: &String| trace.contains(&format!(" ({}, epoch ", marked(owner)));
    let (run, hold) = match (by_guard, lease) {
        (Some((run, hold)), _) => (Some(run.clone()), hold),
        (None, Some(lease)) => (Some(lease.run.clone()), Hold::Leased),
        (None, None) => {
            let mut fired = facts.survivors.iter().rev();
            let fired = fired.find(|run| known == Some(run.as_str()) || trace(run).is_some_and(is_mine)).cloned();
            let hold = match &fired {
                None => Hold::Free,
                Some(run) if trace(run).is_some() => Hold::Fired,
                Some(_) => Hold::Leased,
            };
            (fired, hold)
        }
    };
    let lease = lease.filter(|lease| Some(&lease.run) == run.as_ref());
    let mine = match (&run, lease) {
        (None, _) => false,
        (Some(_), Some(lease)) => lease.owner == marked(owner),
        (Some(run), None) => known == Some(run.as_str()) || trace(run).is_some_and(is_mine),
    };
    Held { hold, run, owner: lease.map(|lease| lease.owner.clone()), epoch: lease.map_or(1, |lease| lease.epoch), mine }
}

/// Judges whether a host may be left without its guard.
///
/// # Errors
/// A reboot would bring something else than runs.
pub fn may_be_disarmed(systems: &Systems) -> Result<(), HandGuard> {
    if systems.agree() {
        return Ok(());
    }
    Err(HandGuard::GuardStays {
        current: systems.current.clone(),
        profile: systems.profile.clone(),
        boot_default: systems.known_boot_default().cloned(),
    })
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::event::reason::Worded;
    use crate::facts::host::Lease;
    use crate::facts::store_path::StorePath;

    const RUN: &str = "20261122-161005-homelab-k3f1";

    fn facts(guard: &GuardState, owner: Option<&str>) -> Facts {
        let system = StorePath::new("/nix/store/00000000000000000000000000000000-old").unwrap();
        let lease = owner.map(|owner| serde_json::json!({"run": RUN, "epoch": 1, "owner": owner}));
        serde_json::from_value(serde_json::json!({
            "standing": {
                "boot_id": "b", "uptime": 1000, "systems": Systems::all(&system), "booted": system, "generation": 1,
                "loader": "grub", "guard": guard, "lease": lease, "jobs": {}, "failed_units": [], "restarts": {},
            },
            "host_name": "vps", "machine_id": "m", "system_type": "x86_64-linux", "free_root": 0, "free_store": 0,
            "free_boot": null, "nix_version": "2", "systemd_version": "257", "ssh_port": 22, "crypto_devices": [],
            "survivors": [RUN], "survivor_hosts": {}, "survivor_roots": {}, "traces": [], "busy": [], "notes": [],
            "current_was_booted": true, "wireguard": [],
        }))
        .unwrap()
    }

    fn armed() -> GuardState {
        GuardState::Armed { run: RUN.to_owned(), deadline: 1090 }
    }

    #[test]
    fn only_a_guard_that_the_same_person_armed_by_hand_is_theirs() {
        let left = Duration::from_secs(90);
        for (owner, mine) in [
            ("ada@laptop (by hand)", true),
            // A push of hers.
            ("ada@laptop", false),
            ("bob@desktop (by hand)", false),
        ] {
            let held = held(&facts(&armed(), Some(owner)), "ada@laptop", Some(RUN));
            assert_eq!((held.hold, held.mine), (Hold::Armed { left }, mine), "{owner}");
        }
        assert_eq!(serde_json::from_str::<Lease>(r#"{"run":"r","epoch":1,"owner":"o"}"#).unwrap().epoch, 1);
    }

    #[test]
    fn a_run_is_an_armed_guard_by_hand_by_its_lease_and_its_token() {
        let marked = Some("bob@desktop (by hand)");
        for (guard, owner, run, wanted) in [
            (armed(), marked, RUN, true),
            (armed(), Some("bob@desktop"), RUN, false),
            (armed(), marked, "another", false),
            (GuardState::Fired { run: RUN.to_owned() }, marked, RUN, false),
            (armed(), None, RUN, false),
        ] {
            assert_eq!(is_armed(run, &facts(&guard, owner).standing), wanted, "{guard:?} {owner:?} {run}");
        }
    }

    #[test]
    fn a_guard_that_fired_is_known_after_the_reboot_by_its_trace_or_the_record() {
        let mut facts = facts(&GuardState::None, None);
        assert_eq!(held(&facts, "ada@laptop", None).hold, Hold::Free);
        // Prepared and never armed.
        assert_eq!(held(&facts, "ada@laptop", Some(RUN)).hold, Hold::Leased);
        facts.traces =
            vec![format!("the guard of run {RUN} (ada@laptop (by hand), epoch 1) fired 90 s after the boot")];
        let fired = held(&facts, "ada@laptop", None);
        assert_eq!((fired.hold, fired.run.as_deref(), fired.mine), (Hold::Fired, Some(RUN), true));
        assert_eq!(held(&facts, "bob@desktop", None).hold, Hold::Free);
    }

    #[test]
    fn a_host_that_would_come_up_on_something_else_keeps_its_guard() {
        let old = StorePath::new("/nix/store/00000000000000000000000000000000-old").unwrap();
        let new = StorePath::new("/nix/store/11111111111111111111111111111111-new").unwrap();
        assert_eq!(may_be_disarmed(&Systems::all(&new)), Ok(()));
        let stays = may_be_disarmed(&Systems { current: new, ..Systems::all(&old) }).unwrap_err();
        let (text, mend) = (stays.to_string(), stays.mend().unwrap());
        assert!(text.contains("-new") && text.contains("-old") && mend.contains("nixos-rebuild switch"), "{text}");
    }
}
