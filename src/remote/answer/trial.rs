//! Reads what a host says about booting an entry once.

use super::standing::job_state;
use super::{Lines, all, number, one};
use crate::facts::host::JobState;
use crate::facts::store_path::StorePath;
use crate::facts::trial::{
    TrialFacts, TrialGo, TrialJob, TrialLack, TrialMeans, TrialStanding, TrialSurvivor, TrialSystems,
};

/// Reads the lines of `print_trials`. What is not understood claims nothing.
pub(super) fn trial_standing(lines: &Lines) -> TrialStanding {
    TrialStanding {
        line: one(lines, "trial_run").map(str::to_owned),
        go: one(lines, "trial_go")
            .map(|run| TrialGo { run: run.to_owned(), failed: one(lines, "trial_go_failed").map(str::to_owned) }),
        over_here: one(lines, "trial_over") == Some("yes"),
        jobs: all(lines, "job").filter_map(job).collect(),
        survivors: all(lines, "trial_left").filter_map(|text| survivor(text, lines)).collect(),
    }
}

fn job(text: &str) -> Option<(TrialJob, JobState)> {
    let (kind, state) = text.split_once(' ')?;
    Some((TrialJob::from_word(kind)?, job_state(state)?))
}

/// `RUN BOOTED TRIED BEFORE SECONDS MARKS OWNER`, each but the run `-` where there is none.
fn survivor(text: &str, lines: &Lines) -> Option<TrialSurvivor> {
    let mut words = text.splitn(7, ' ');
    let run = words.next().filter(|run| !run.is_empty())?.to_owned();
    let mut path = || StorePath::new(words.next()?).ok();
    let (booted, tried, before) = (path(), path(), path());
    let seconds = words.next().and_then(|seconds| seconds.parse().ok());
    let marks: Vec<&str> = words.next().unwrap_or_default().split(',').collect();
    let owner = words.next().filter(|owner| *owner != "-").unwrap_or_default().to_owned();
    let of_run = |key| all(lines, key).find_map(|text| text.strip_prefix(&run)?.strip_prefix(' ')).map(str::to_owned);
    Some(TrialSurvivor {
        systems: booted.zip(tried).zip(before).map(|((booted, tried), before)| TrialSystems { booted, tried, before }),
        seconds: seconds.unwrap_or_default(),
        owner,
        kept_by_firmware: marks.contains(&"kept-by-firmware"),
        proven: marks.contains(&"proven"),
        over: marks.contains(&"over"),
        failed: of_run("trial_failed").or_else(|| marks.contains(&"failed").then(String::new)),
        trace: of_run("trial_trace"),
        run,
    })
}

/// Reads the lines of `print_trial`. A host that says nothing of it can do nothing of it.
pub(super) fn trial(lines: &Lines) -> TrialFacts {
    TrialFacts {
        means: one(lines, "trial_means").and_then(means),
        lacks: all(lines, "trial_lack").map(lack).collect(),
        line: number(lines, "trial_line"),
        watchdog: one(lines, "watchdog") == Some("yes"),
        upgrade_in: one(lines, "upgrade_in").and_then(|seconds| seconds.parse().ok()),
    }
}

fn means(word: &str) -> Option<TrialMeans> {
    match word {
        "efi-variable" => Some(TrialMeans::EfiVariable),
        "next-entry" => Some(TrialMeans::NextEntry),
        _ => None,
    }
}

/// `WORD DETAIL…`.
fn lack(text: &str) -> TrialLack {
    let (word, detail) = text.split_once(' ').unwrap_or((text, ""));
    let whole = || detail.to_owned();
    let halves = || {
        let (one, other) = detail.split_once(' ').unwrap_or((detail, ""));
        (one.to_owned(), other.to_owned())
    };
    match word {
        "no-variables" => TrialLack::NoVariables,
        "other-loader" => TrialLack::OtherLoader,
        "read-only" => TrialLack::ReadOnlyVariables,
        "forgets" => TrialLack::Forgets,
        "chosen-by-variable" => TrialLack::ChosenByVariable { entry: whole() },
        "image" => TrialLack::Image,
        "bios" => TrialLack::Bios,
        "mirrored" => TrialLack::Mirrored,
        "saves" => TrialLack::Saves,
        "takes-no-next-entry" => TrialLack::TakesNoNextEntry,
        "no-environment" => TrialLack::NoEnvironment { file: whole() },
        "environment-on" => {
            let (place, kind) = halves();
            TrialLack::EnvironmentOn { place, kind }
        }
        "menu-on-fat" => TrialLack::MenuOnFat { place: whole() },
        "no-hook" => TrialLack::NoHook,
        "not-first" => TrialLack::NotFirst,
        "grub-differs" => TrialLack::GrubDiffers,
        "no-generator" => TrialLack::NoGenerator,
        "kexec" => TrialLack::Kexec,
        "loader-changes" => {
            let (before, after) = halves();
            TrialLack::LoaderChanges { before, after }
        }
        "machine" => TrialLack::Machine { machine: whole() },
        "line-unknown" => TrialLack::LineUnknown,
        "imports-none" => TrialLack::ImportsNone,
        "crash-kernel" => TrialLack::CrashKernel,
        "confidential" => TrialLack::Confidential { kind: whole() },
        "initrd-longer" => TrialLack::InitrdLonger { system: whole() },
        "mounted-late" => TrialLack::MountedLate { place: whole() },
        "not-on-the-menu" => TrialLack::NotOnTheMenu { system: whole() },
        _ => TrialLack::Unknown { word: text.to_owned() },
    }
}
