use std::fmt;

use super::Worded;
use crate::event::reason::build::{BuildFault, BuildNote};

impl fmt::Display for BuildFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WorkstationNixOld { version, .. } => {
                write!(formatter, "this workstation has {version}, which is too old")
            }
            Self::WorkstationNixMissing { said }
            | Self::EvaluationFailed { said }
            | Self::SystemNotEvaluated { said }
            | Self::BuildFailed { said } => formatter.write_str(said),
            Self::FileUntracked { file, said, .. } => {
                write!(
                    formatter,
                    "{file} is there, but git does not track it, and so the flake does not have it: {said}"
                )
            }
            Self::BuilderMissing { name, system_type, features } => {
                write!(formatter, "cannot build its system: no machine that may build for this workstation is ")?;
                write!(formatter, "{system_type}")?;
                if !features.is_empty() {
                    write!(formatter, " with {}", features.join(", "))?;
                }
                write!(formatter, ", which {name} needs")
            }
            Self::DerivationFailed { name, said, .. } => {
                write!(formatter, "cannot build its system: {name} failed: {said}")
            }
            Self::SystemNotBuilt { said } => write!(formatter, "its system was not built: {said}"),
        }
    }
}

impl Worded for BuildFault {
    fn mend(&self) -> Option<String> {
        match self {
            Self::WorkstationNixOld { oldest, .. } => Some(format!("install Nix {oldest} or newer here")),
            Self::WorkstationNixMissing { .. } => Some("`nix` must be in PATH: install Nix".to_owned()),
            Self::DerivationFailed { derivation, .. } => Some(format!("nix log {derivation}")),
            Self::FileUntracked { file, repository, .. } => {
                let words = ["git", "-C", repository, "add", "--", file];
                shlex::try_join(words).ok().or_else(|| Some(format!("`git add` it in {repository}")))
            }
            Self::BuilderMissing { system_type, features, .. } if features.is_empty() => Some(format!(
                "nix.buildMachines with one that is {system_type}, or boot.binfmt.emulatedSystems = [ \"{system_type}\" ]; \
                 here"
            )),
            Self::BuilderMissing { features, .. } => {
                Some(format!("nix.settings.system-features with {}, here or in nix.buildMachines", features.join(", ")))
            }
            Self::EvaluationFailed { .. }
            | Self::SystemNotEvaluated { .. }
            | Self::SystemNotBuilt { .. }
            | Self::BuildFailed { .. } => None,
        }
    }
}

impl fmt::Display for BuildNote {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EvaluationWarning { said } => write!(formatter, "the evaluation warns: {said}"),
        }
    }
}

impl Worded for BuildNote {}
