//! docs/trial-boots.md, "Rules", asked of the hosts themselves.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fleetdeploy::event::{Event, HostOutcome, Outcome};

use super::spec::{HOSTS, Spec, Step, Tried};
use crate::chaos::records::boot_default;
use crate::chaos::spec::Injection;
use crate::fleet::Fleet;
use crate::pushed::Pushed;
use crate::standing::Standing;
use crate::wait::seconds;

const TRIAL_ENTRY: &str = "fleetdeploy-trial.conf";
/// The unit on the kernel's line of a boot that was kept: it has done its work, and lies there until the next boot.
const SPENT: &str = "unit fleetdeploy-trial.service";
const REST: Duration = seconds(200);
const REACH: Duration = seconds(60);

/// What a host booted last when the run began, and what it runs.
#[derive(Debug, Clone)]
pub(super) struct Systems {
    pub(super) booted: String,
    pub(super) tried: String,
}

/// What the hosts are and what they were.
#[derive(Debug)]
pub(super) struct Truth<'a> {
    pub(super) fleet: &'a Fleet,
    pub(super) spec: &'a Spec,
    pub(super) systems: &'a BTreeMap<&'static str, Systems>,
}

/// Where a host stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Side {
    /// The new system is booted, and everything is it.
    New,
    /// The old one is booted, and what was tried is remembered.
    Back,
    /// It was not rebooted.
    Untouched,
    Neither,
}

impl Truth<'_> {
    fn side(&self, host: &str, now: &Standing, booted: &str) -> Side {
        let Systems { booted: old, tried: new } = &self.systems[host];
        let places = [booted, &now.current, &now.profile, &now.boot_default];
        if places == [new; 4] {
            Side::New
        } else if places == [old, old, new, old] {
            Side::Back
        } else if places == [old, new, new, new] {
            Side::Untouched
        } else {
            Side::Neither
        }
    }

    fn stands(&self, host: &str) -> (Standing, Side) {
        let now = self.fleet.standing(host);
        let booted = booted(self.fleet, host);
        let side = self.side(host, &now, &booted);
        (now, side)
    }

    /// Whether what the run itself has said last is true: of each host that it says was rebooted, or went back.
    pub(super) fn of_claim(&self, ended: &Pushed) -> Vec<String> {
        let Some(status) = ended.status else { return vec!["the run died of a signal that nobody sent".to_owned()] };
        let finished = ended.events().find_map(|event| match event {
            Event::Finished { outcome, hosts, .. } => Some((*outcome, hosts)),
            _ => None,
        });
        let Some((outcome, hosts)) = finished else {
            return vec![format!("the run ended with {status} and without its last event")];
        };
        let mut wrong = Vec::new();
        if (outcome == Outcome::Rebooted) != (status == 0) {
            wrong.push(format!("the run ended with {status} and {outcome:?}"));
        }
        for host in &self.spec.changed {
            let of_host = hosts.iter().find(|(name, _)| name.as_str() == *host).map(|(_, of_host)| of_host);
            let claim = match of_host {
                Some(HostOutcome::Rebooted) => Side::New,
                Some(HostOutcome::WentBack | HostOutcome::RolledBack { .. }) => Side::Back,
                Some(HostOutcome::Untouched) => Side::Untouched,
                _ => continue,
            };
            let (now, side) = self.stands(host);
            // A power cut or a cable ends no later than the run: what it says of the end is not overtaken.
            if side != claim {
                wrong.push(format!("the run said {outcome:?}, {of_host:?}, and {host} is on {side:?}: {now:?}"));
            }
        }
        wrong
    }

    /// Everything that must hold when all is at rest and nothing is left to do.
    pub(super) fn at_rest(&self) -> (BTreeMap<&'static str, Side>, Vec<String>) {
        let (mut sides, mut wrong) = (BTreeMap::new(), Vec::new());
        for host in HOSTS {
            let before = self.fleet.before(host);
            let (now, side) = self.stands(host);
            let changed = self.spec.changed.contains(&host);
            if changed {
                sides.insert(host, side);
            }
            if side == Side::Neither {
                wrong.push(format!("{host} is on neither: {now:?}, {:?}", self.systems[host]));
            }
            // One that was not to be rebooted: a power cut has, into its default.
            let may_boot_untried = self.spec.injection == Injection::PowerCut
                && (!changed || matches!(self.spec.step, Step::Arm | Step::Register));
            let is_bad = host == self.spec.faulty && !self.spec.tried.is_good();
            if changed && side == Side::New && is_bad && !may_boot_untried {
                wrong.push(format!("{host} has kept a system that is {:?}", self.spec.tried));
            }
            if !changed && side != Side::Untouched && !(side == Side::New && may_boot_untried) {
                wrong.push(format!("{host} was not to be rebooted, and is on {side:?}"));
            }
            let left = self.fleet.host(host, LEFT);
            if !left.trim().is_empty() {
                wrong.push(format!("{host} has something of a trial that would be booted: {left}"));
            }
            wrong.extend(wrong_leftovers(host, &now, side));
            let cold = host == self.spec.faulty && self.spec.tried == Tried::FailsFromCold && side == Side::New;
            if !cold && now.failed_units != before.failed_units {
                wrong.push(format!("{host} has units that have failed: {:?}", now.failed_units));
            }
            if now.kernel_panic != before.kernel_panic {
                wrong.push(format!("{host} has kernel.panic {}, not {}", now.kernel_panic, before.kernel_panic));
            }
            if now.generations != before.generations {
                wrong.push(format!("{host} has other generations: {:?}", now.generations));
            }
        }
        wrong.extend(self.reach());
        (sides, wrong)
    }

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
        for host in HOSTS {
            loop {
                let now = self.fleet.standing(host);
                let busy = now.leftovers.iter().find(|left| {
                    left.contains("/token/armed-") || (left.starts_with("unit fleetdeploy") && *left != SPENT)
                });
                let Some(busy) = busy else { break };
                if start.elapsed() > REST {
                    return Err(format!("{host} does not come to rest: {busy}"));
                }
                hurry(self.fleet, host);
                std::thread::sleep(Duration::from_millis(500));
            }
        }
        Ok(())
    }
}

/// What a boot would take: our entry, and our next boot.
const LEFT: &str = "ls /boot/loader/entries | grep fleetdeploy; ls /sys/firmware/efi/efivars | grep OneShot; true";

/// Only a host that went back has something: that it did.
fn wrong_leftovers(host: &str, now: &Standing, side: Side) -> Vec<String> {
    let roots = "/nix/var/nix/gcroots/fleetdeploy";
    // What its firmware is, a host keeps in mind wherever it stands.
    let forgets = now.leftovers.iter().any(|left| left.ends_with("/.trial/forgets"));
    let is_mark = |left: &str| {
        let Some(rest) = left.strip_prefix(roots) else { return false };
        let parts: Vec<&str> = rest.split('/').skip(1).collect();
        match parts[..] {
            [] | [".trial"] | [".trial", "forgets"] => forgets || side == Side::Back,
            [".trial", _] | [".trial", _, "failed" | "plan" | "old" | "trace"] => side == Side::Back,
            _ => false,
        }
    };
    let lefts: Vec<&String> = now.leftovers.iter().filter(|left| *left != SPENT && !is_mark(left)).collect();
    let mut wrong = Vec::new();
    if !lefts.is_empty() {
        wrong.push(format!("{host} is on {side:?}, with leftovers {lefts:?}"));
    }
    if side == Side::Back && !now.leftovers.iter().any(|left| left.ends_with("/failed")) {
        wrong.push(format!("{host} went back, and does not remember it: {:?}", now.leftovers));
    }
    wrong
}

pub(super) fn booted(fleet: &Fleet, host: &str) -> String {
    fleet.host(host, "readlink -f /run/booted-system").trim().to_owned()
}

/// The deadline of a guard of a trial is minutes away, and nothing comes before it.
pub(super) fn hurry(fleet: &Fleet, host: &str) {
    let script = "cd /run/fleetdeploy/token 2>/dev/null || exit 0; set -- armed-*; [ -e \"$1\" ] || exit 0; \
                  now=$(cut -d. -f1 /proc/uptime); \
                  [ \"$((${1#armed-} - now))\" -le 15 ] || mv \"$1\" \"armed-$((now + 10))\"";
    fleet.try_host(host, script);
}

/// Looks all the time that whenever our entry is booted next there is something behind it: the old system as the boot
/// default, the entry, and what guards it.
#[derive(Debug)]
pub(super) struct Watch {
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Option<String>>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Watch {
    pub(super) fn over(fleet: &Fleet, systems: &BTreeMap<&'static str, Systems>) -> Self {
        let (stop, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(None)));
        let hosts: Vec<(PathBuf, String)> = systems
            .iter()
            .map(|(host, systems)| (fleet.place().join("hosts").join(host), systems.booted.clone()))
            .collect();
        let (stopped, found) = (Arc::clone(&stop), Arc::clone(&seen));
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                for (host, old) in &hosts {
                    if let Some(wrong) = wrong_next_boot(host, old) {
                        found.lock().unwrap().get_or_insert(wrong);
                    }
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        Self { stop, seen, thread: Some(thread) }
    }

    pub(super) fn ended(mut self) -> Option<String> {
        self.end();
        self.seen.lock().unwrap().take()
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.end();
    }
}

fn wrong_next_boot(host: &Path, old: &str) -> Option<String> {
    let is_ours = || is_next_boot_ours(host);
    if !is_ours() {
        return None;
    }
    let default = boot_default(&host.join("boot"));
    let has_entry = host.join("boot/loader/entries").join(TRIAL_ENTRY).exists();
    let survivors = host.join("root/nix/var/nix/gcroots/fleetdeploy/.trial");
    let is_guarded = std::fs::read_dir(&survivors).is_ok_and(|runs| {
        runs.filter_map(Result::ok)
            .any(|run| ["plan", "begin.sh", "guard.sh"].iter().all(|file| run.path().join(file).exists()))
    });
    let holds = default.as_deref() == Some(old) && has_entry && is_guarded;
    // Between the looks it may have been taken, or taken back.
    (!holds && is_ours()).then(|| {
        let name = host.display();
        format!("{name}: our next boot is set, the default {default:?}, an entry: {has_entry}, guarded: {is_guarded}")
    })
}

fn is_next_boot_ours(host: &Path) -> bool {
    let Ok(variables) = std::fs::read_dir(host.join("root/usr/lib/lab/firmware.d/efivars")) else { return false };
    variables.filter_map(Result::ok).any(|file| {
        file.file_name().to_string_lossy().starts_with("LoaderEntryOneShot-") && {
            let text: Vec<u8> =
                std::fs::read(file.path()).unwrap_or_default().into_iter().filter(|byte| *byte != 0).collect();
            text.ends_with(TRIAL_ENTRY.as_bytes())
        }
    })
}
