use std::fmt;

use super::Worded;
use crate::event::reason::build::BuildFault;

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
            Self::EvaluationFailed { .. }
            | Self::SystemNotEvaluated { .. }
            | Self::SystemNotBuilt { .. }
            | Self::BuildFailed { .. } => None,
        }
    }
}
