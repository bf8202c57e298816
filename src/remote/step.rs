//! Lists everything that ever runs on a host: which script, with which arguments.
//!
//! The scripts themselves are in `scripts/`, and each is sent with the shared files that it needs. Typed values
//! become their arguments, and no text is pasted together. The snapshot in the tests is the whole list.

mod arguments;
mod needed;
mod script;

use std::ffi::OsString;
use std::time::Duration;

use crate::facts::host::{JobKind, Uptime};
use crate::facts::links::{LinkId, Probe};
use crate::facts::provenance::Brought;
use crate::facts::store_path::StorePath;
use crate::facts::systems::Systems;
use crate::facts::traces::EndMark;
use crate::facts::trial::TrialJob;
use crate::inventory::model::{GuardAction, HostName};

/// The run that speaks, and its right to do so: a host refuses a lower epoch than the one it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Speaker {
    /// It has letters `a` to `z`, digits and `-`, at most 64; the host checks this again.
    pub run: String,
    pub epoch: u64,
}

/// The systems that a host must be on for a step to begin; `None` is any.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Expected {
    pub current: Option<StorePath>,
    pub profile: Option<StorePath>,
    pub boot_default: Option<StorePath>,
}

impl From<&Systems> for Expected {
    fn from(systems: &Systems) -> Self {
        Self {
            current: Some(systems.current.clone()),
            profile: Some(systems.profile.clone()),
            // A boot default that was not known cannot be compared; the fence still checks the other two.
            boot_default: systems.known_boot_default().cloned(),
        }
    }
}

/// One probe of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkProbe {
    pub id: LinkId,
    pub probe: Probe,
    pub timeout: Duration,
    /// The host at its far end: all connections to its sshd are counted together, by whichever address.
    pub to_host: Option<HostName>,
}

/// Whether a look at a host asks systemd for all its units, which is the most that a look costs there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AskUnits {
    Yes,
    /// Nobody reads them in this answer.
    No,
}

/// Where a host looks for its own system, to tell whether it comes from there, and signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AskedCache {
    Nowhere,
    /// In the binary caches of its own configuration.
    Own,
    Store {
        from: String,
        /// A key that it takes there beside those of its own configuration.
        public_key: Option<String>,
    },
}

/// Which earlier answers of a cache a host does not believe: Nix keeps them, that something is missing for an hour, and
/// what was there for a month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Afresh {
    /// That it lacks something: it has just been filled.
    Absence,
    /// What it has, too: that was signed there since, or is packed anew. With this Nix keeps no answer in memory
    /// either, and asks for each path some four times.
    Everything,
}

/// One thing to run on a host.
///
/// Every step may be sent again after a lost reply: the host then says how it stands instead of doing it twice.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum RemoteStep {
    /// Every fact of the survey; changes nothing.
    Survey,
    /// The survey, and what a person wants to know beyond it; changes nothing.
    Status,
    /// The status, and everything else that could stop a push; changes nothing.
    Doctor { cache: AskedCache },
    /// How the host stands: the short facts, and what is left of the run; changes nothing.
    Standing { run: Option<String>, units: AskUnits },
    /// The same, refused where nothing of the run is left; changes nothing.
    Ask { run: String },
    /// The generations of the system profile, and whether this system is still there; changes nothing.
    Generations { system: Option<StorePath> },
    /// How two systems differ, as far as they are there, and what was booted; changes nothing.
    Compare { old: StorePath, new: StorePath },
    /// What the activation of a system that is there would do to the units; changes nothing.
    DryActivate { new: StorePath, limit: Duration },
    /// Which of the host's own binary caches answer; changes nothing.
    Caches,
    /// The new system, as far as it is not there, fetched by the host itself; only its store changes.
    Fetch {
        new: StorePath,
        from: String,
        /// Whose signatures count, beside those that the host trusts already.
        public_key: Option<String>,
        limit: Duration,
        /// How long nothing may move.
        longest_still: Duration,
        afresh: Afresh,
    },
    /// Roots for old and new against garbage collection, then whether the new system is there and fits the host.
    Prepare {
        run: String,
        old_current: StorePath,
        old_boot: StorePath,
        new: StorePath,
        /// How long the new system's own checks may take.
        check: Duration,
        /// What the host keeps of where the new system comes from; `None`: it keeps what it has.
        brought: Option<Brought>,
        hosts: Vec<HostName>,
    },
    /// The roots of old alone, for a guard without a push.
    Root { run: String, old_current: StorePath, old_boot: StorePath, hosts: Vec<HostName> },
    /// Lease and guard, if the survey's facts still hold and the host's clock is not past `latest`.
    Arm {
        speaker: Speaker,
        /// The owner, for a person who finds the lease: `person@workstation`.
        owner: String,
        boot_id: String,
        expected: Expected,
        latest: Uptime,
        /// How long until it fires; rounded up to seconds.
        guard: Duration,
        action: GuardAction,
        /// The guard's own times by the names in `guard.sh`, for tests that cannot wait for minutes; normally empty.
        pace: Vec<(&'static str, u64)>,
        hosts: Vec<HostName>,
    },
    /// A higher epoch: from now on the host refuses every lower one.
    TakeOver { speaker: Speaker, owner: String },
    /// The guard fires not before `guard` from now; never sooner than it would have.
    Extend { speaker: Speaker, boot_id: String, guard: Duration },
    /// A detached step: started once, awaited on the host for at most `limit`.
    Job {
        speaker: Speaker,
        boot_id: String,
        kind: JobKind,
        /// How much time the guard must have left for the step to begin.
        needs: Duration,
        expected: Expected,
        new: StorePath,
        limit: Duration,
    },
    /// Waits for a detached step that was started before; changes nothing.
    Await { run: String, kind: JobKind, limit: Duration },
    /// The token's one rename, if the host stands where it should.
    Disarm { speaker: Speaker, boot_id: String, expected: Expected },
    /// The end of what these units have said; changes nothing.
    Journal { units: Vec<String> },
    /// Reboots the host in order, if it is on that boot, where it is expected, and this rolling reboot holds it.
    Reboot { run: String, boot_id: String, expected: Expected },
    /// A rolling reboot holds the host, on this boot and on the next, for so long.
    Hold {
        run: String,
        /// The owner, for a person who finds the lease: `person@workstation`.
        owner: String,
        boot_id: String,
        /// By the host's clock; `None`: it goes on to hold it, and takes nothing.
        latest: Option<Uptime>,
        /// Rounded up to seconds.
        lasts: Duration,
    },
    /// The rolling reboot holds the host no more.
    LetGo { run: String },
    /// All that guards a trial, and its guard in the old boot, if the facts still hold and the host's clock is not past
    /// `latest`.
    ArmTrial {
        run: String,
        /// The owner, for a person who finds the lease: `person@workstation`.
        owner: String,
        boot_id: String,
        latest: Uptime,
        booted: StorePath,
        tried: StorePath,
        /// How long until it fires in the old boot; rounded up to seconds.
        guard: Duration,
        /// The deadline in the trial, from the start of its kernel; rounded up to seconds.
        seconds: Duration,
        /// As with `Arm`.
        pace: Vec<(&'static str, u64)>,
    },
    /// A detached step of a trial: started once, awaited on the host for at most `limit`.
    TrialJob {
        run: String,
        boot_id: String,
        kind: TrialJob,
        /// How much time the guard must have left for the step to begin.
        needs: Duration,
        limit: Duration,
    },
    /// Waits for a detached step of a trial that was started before; changes nothing.
    AwaitTrial { run: String, kind: TrialJob, limit: Duration },
    /// The host's guard sets the entry as the next boot, and reboots.
    Go { run: String, boot_id: String },
    /// The guard of a trial acts now.
    Fire { run: String, boot_id: String },
    /// A guard of a trial that is gone is started again; its deadline stays.
    Tend { run: String, boot_id: String },
    /// The trial ends on what was tried, without a reboot.
    EndTrial { run: String, boot_id: String },
    /// Takes away what a trial has left; where nothing was proven, and the old system is the boot default, a mark of
    /// that stays, with `why`.
    CleanTrial { run: String, why: String },
    /// Keeps the names of units that made the run roll back.
    Remember { speaker: Speaker, units: Vec<String> },
    /// How the host stands once everything that its boot starts has started, or has had `limit` for it.
    Booted { limit: Duration },
    /// Gives the run's claim back; the fence against lower epochs stays, also over a restart.
    Release { speaker: Speaker },
    /// Takes away everything that the run has left on the host; only when all hosts are through, or with a mark of
    /// those that are missing.
    Clean { speaker: Speaker, mark: EndMark },
    /// Takes a host that was missing out of the mark; `None`: the whole mark goes.
    Unmark { speaker: Speaker, host: Option<HostName> },
    /// A command that a person has typed; see [`crate::remote::Command`].
    Exec { mark: String, as_root: bool, limit: Duration, words: Vec<OsString> },
    /// The host's probes, round after round: its input is `round N` lines, see [`crate::remote::answer::RoundReader`].
    Probe { life: Duration, probes: Vec<LinkProbe> },
}

/// Returns whether this can be the name of a unit, and cannot be taken for an option or a pattern; the host checks this
/// again.
///
/// Source: systemd.unit(5): letters, digits, `:-_.\`, and the `@` of an instance; at most 255.
#[must_use]
pub fn is_unit(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b":-_.\\@".contains(&byte);
    (1..=255).contains(&text.len()) && !text.starts_with('-') && text.bytes().all(fits)
}

#[cfg(test)]
mod tests;
