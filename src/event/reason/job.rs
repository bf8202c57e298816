//! Why a detached step on a host did not do what it should: what its status means.
//!
//! Source: docs/facts.md, "Exit statuses of switch-to-configuration"; job.sh.

use schemars::JsonSchema;
use serde::Serialize;
use strum::{IntoStaticStr, VariantNames};

use crate::facts::step_answer::JobEnd;
use crate::facts::trial::TrialJob;

/// What switch-to-configuration prints where the boot loader's installer has failed.
///
/// Source: docs/facts.md, "Exit statuses of switch-to-configuration".
const LOADER_FAILED: &str = "Failed to install bootloader";

/// How the line begins in which it says what ended it.
///
/// Source: docs/facts.md, "Lines that switch-to-configuration prints".
const PROGRAM_ERROR: &str = "Error: ";

/// How it begins a line on a unit, or a person's units, where something failed and it has gone on.
///
/// Source: docs/facts.md, "Lines that switch-to-configuration prints".
const WENT_ON_AFTER: [&str; 5] =
    ["Failed to start ", "Failed to restart ", "Failed to reload ", "Failed to stop ", "warning: user activation for "];

/// What it prints where another one holds its lock; its status is 11 then, and after some other errors, too.
///
/// Source: docs/facts.md, "Exit statuses of switch-to-configuration".
pub(crate) const LOCK_TAKEN: &str = "Could not acquire lock";

/// Returns the lines of its log on what failed while it went on: its status is 4 then, as where a unit of the host is
/// failed, and no unit need be failed for it.
#[must_use]
pub fn went_wrong_on_the_way(log: &[String]) -> Vec<String> {
    let of_it = |line: &&str| WENT_ON_AFTER.iter().any(|begin| line.starts_with(begin));
    let mut lines: Vec<String> = Vec::new();
    for line in log.iter().map(|line| line.trim()).filter(of_it) {
        let line = line.strip_prefix("warning: ").unwrap_or(line);
        // systemctl says the same in its own words, with the unit's description behind it.
        let is_known = lines.iter().any(|known| line.starts_with(known.as_str()) || known.starts_with(line));
        if !is_known && lines.len() < 4 {
            lines.push(line.to_owned());
        }
    }
    lines
}

/// What became of a detached step. `step` is its word in the scripts: `test`, `switch`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum JobFailure {
    /// Its time is over, and it still runs.
    JobUnfinished { step: &'static str },
    /// It left no status.
    JobKilled { step: &'static str },
    /// It was sent, and nothing of it ran.
    JobNotBegun { step: &'static str },
    /// The new system's activation script has failed.
    ActivationScriptFailed { step: &'static str, status: i32 },
    /// Another switch is under way.
    SwitchLockTaken { step: &'static str, status: i32 },
    /// The old system did not come up again.
    OldSystemNotActivated,
    /// What the boot loader starts is not what it started before.
    BootDefaultNotPutBack,
    /// The system profile is not what it was before.
    ProfileNotPutBack,
    /// The new system was not made the profile's.
    ProfileNotMoved,
    /// The boot loader does not start the new system.
    BootDefaultNotMoved,
    /// The number of the generation that is about to be made could not be kept.
    GenerationNotWrittenDown,
    /// The file with what the run does there is not whole.
    PlanThereDamaged,
    /// A kernel or an initrd that the boot loader would start is not whole.
    BootedFilesNotWhole,
    /// What the activation changed of the next boot could not be undone.
    NextBootNotPutBack,
    /// The boot loader's installer has failed.
    LoaderNotInstalled {
        step: &'static str,
        /// The line before that of its log; empty: there was none.
        said: String,
    },
    /// There is neither an ESP nor a disk for a boot loader.
    NoPlaceForLoader,
    /// The new system cannot be activated without a reboot.
    ActivationNeedsReboot { step: &'static str, status: i32 },
    /// The program of the new system that activates it has given up on the way.
    SwitchProgramFailed {
        step: &'static str,
        status: i32,
        /// What it says of that; empty: nothing.
        said: String,
    },
    /// The program of the new system that activates it has crashed.
    SwitchProgramCrashed { step: &'static str, status: i32 },
    /// A step of a trial did not come to its end.
    TrialStepFailed {
        step: &'static str,
        /// The last line of its log; empty: there was none.
        said: String,
    },
    /// It ended with a status that nothing is known of.
    JobStatusUnknown { step: &'static str, status: i32 },
}

impl JobFailure {
    /// Says what this end of a step means.
    #[must_use]
    pub fn new(step: &'static str, end: JobEnd) -> Self {
        let status = match end {
            JobEnd::Unfinished => return Self::JobUnfinished { step },
            JobEnd::Killed => return Self::JobKilled { step },
            JobEnd::NotBegun => return Self::JobNotBegun { step },
            JobEnd::Status(status) => status,
        };
        match status {
            1 => Self::SwitchProgramFailed { step, status, said: String::new() },
            2 => Self::ActivationScriptFailed { step, status },
            90 => Self::ProfileNotMoved,
            91 => Self::OldSystemNotActivated,
            92 => Self::BootDefaultNotPutBack,
            93 => Self::ProfileNotPutBack,
            94 => Self::BootDefaultNotMoved,
            95 => Self::GenerationNotWrittenDown,
            96 => Self::PlanThereDamaged,
            97 => Self::BootedFilesNotWhole,
            98 => Self::NextBootNotPutBack,
            99 => Self::NoPlaceForLoader,
            100 => Self::ActivationNeedsReboot { step, status },
            101 => Self::SwitchProgramCrashed { step, status },
            status => Self::JobStatusUnknown { step, status },
        }
    }

    /// Says what this end of a step of a trial means: its own log has the words.
    #[must_use]
    pub fn of_trial(job: TrialJob, end: JobEnd, log: &[String]) -> Self {
        match end {
            JobEnd::Status(94 | 95 | 97 | 102..=104) => {
                let said = log.iter().rev().map(|line| line.trim()).find(|line| !line.is_empty());
                Self::TrialStepFailed { step: job.word(), said: said.unwrap_or_default().to_owned() }
            }
            _ => Self::by_log(job.word(), end, log),
        }
    }

    /// Says what this end of a step means, by the end of its log where the status alone does not tell.
    #[must_use]
    pub fn by_log(step: &'static str, end: JobEnd, log: &[String]) -> Self {
        let of_loader = log.iter().position(|line| line.trim() == LOADER_FAILED).filter(|_| end == JobEnd::Status(1));
        match of_loader {
            Some(at) => {
                let said = log[..at].iter().rev().map(|line| line.trim()).find(|line| !line.is_empty());
                Self::LoaderNotInstalled { step, said: said.unwrap_or_default().to_owned() }
            }
            None if end == JobEnd::Status(11) && log.iter().any(|line| line.contains(LOCK_TAKEN)) => {
                Self::SwitchLockTaken { step, status: 11 }
            }
            None if end == JobEnd::Status(1) => {
                let said = log.iter().rev().find_map(|line| line.trim().strip_prefix(PROGRAM_ERROR));
                let last = || log.iter().rev().map(|line| line.trim()).find(|line| !line.is_empty());
                let said = said.or_else(last).unwrap_or_default().to_owned();
                Self::SwitchProgramFailed { step, status: 1, said }
            }
            None => Self::new(step, end),
        }
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn what_ended_a_step_of_a_trial_is_said_in_the_words_of_its_log() {
        let log = lines("boot default: /nix/store/x (systemd-boot)\nits kernel's line has crashkernel=\n");
        let of = |status| {
            let failure = JobFailure::of_trial(TrialJob::Register, JobEnd::Status(status), &log);
            crate::codes::keep_judged([failure.clone()]);
            failure.to_string()
        };
        assert_eq!(of(102), "`register` did not come to its end: its kernel's line has crashkernel=");
        assert_eq!(of(99), JobFailure::NoPlaceForLoader.to_string());
        assert_eq!(of(5), "`register` ended with status 5");
    }

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn what_ended_the_program_is_said_in_its_words() {
        let log = "restarting sysinit-reactivation.target\nError: Failed to get unit mnt-n.mount\n\nCaused by:\n    \
                   Unit mnt-n.mount not loaded.";
        for (log, says) in [
            (log, ": Failed to get unit mnt-n.mount"),
            ("checking\nPre-switch checks failed\n", ": Pre-switch checks failed"),
            ("", ""),
        ] {
            let failure = JobFailure::by_log("test", JobEnd::Status(1), &lines(log));
            let expected = format!("`test`: switch-to-configuration gave up before its end (status 1){says}");
            assert_eq!(failure.to_string(), expected);
        }
    }

    #[test]
    fn what_failed_on_the_way_is_each_job_once() {
        let log = "activating the configuration...\nFailed to reload firewall.service\n\
                   warning: user activation for ada failed\nFailed to run activate script\n\
                   Failed to reload firewall.service: refused\nwarning: the following units failed: a.service\n\
                   [a.service] Failed to start a.service - A.";
        assert_eq!(
            went_wrong_on_the_way(&lines(log)),
            ["Failed to reload firewall.service", "user activation for ada failed"]
        );
        assert_eq!(went_wrong_on_the_way(&lines("warning: the following units failed: a.service")), [""; 0]);
    }
}
