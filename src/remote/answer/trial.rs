//! Reads what a host says about booting an entry once.

use super::{Lines, all, number, one};
use crate::facts::trial::{TrialFacts, TrialLack, TrialMeans};

/// Reads the lines of `print_trial`. A host that says nothing of it can do nothing of it.
pub(super) fn trial(lines: &Lines) -> TrialFacts {
    TrialFacts {
        means: one(lines, "trial_means").and_then(means),
        lacks: all(lines, "trial_lack").map(lack).collect(),
        line: number(lines, "trial_line"),
        watchdog: one(lines, "watchdog") == Some("yes"),
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
        "no-generator" => TrialLack::NoGenerator,
        "kexec" => TrialLack::Kexec,
        "loader-changes" => {
            let (before, after) = halves();
            TrialLack::LoaderChanges { before, after }
        }
        "not-on-the-menu" => TrialLack::NotOnTheMenu { system: whole() },
        _ => TrialLack::Unknown { word: text.to_owned() },
    }
}
