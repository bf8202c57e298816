use std::fmt;

use super::Worded;
use crate::event::reason::build::{BuildFault, BuildNote};
use crate::inventory::model::HostName;

impl fmt::Display for BuildFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WorkstationNixOld { version, .. } => {
                write!(formatter, "this workstation has {version}, which is too old")
            }
            Self::SystemNotEvaluated { said } => formatter.write_str(said),
            Self::WorkstationNixMissing { said } => with_cause(formatter, "cannot evaluate the fleet", said),
            Self::EvaluationNotEnded { said } => with_cause(formatter, "the evaluation came to no end", said),
            Self::TreeDirty { source, revision: Some(revision) } => {
                write!(formatter, "{source} has changes that are not in its commit {revision}")
            }
            Self::TreeDirty { source, revision: None } => {
                write!(formatter, "{source} has changes that are in no commit")
            }
            Self::RevisionUnknown { source } if source.is_empty() => {
                formatter.write_str("the inventory names the systems by their store paths, and no revision of them")
            }
            Self::RevisionUnknown { source } => write!(formatter, "no revision is known of {source}"),
            Self::FlakeMistaken { flake } => write!(
                formatter,
                "`{}` cannot be a flake reference: it is empty, begins with `-`, or has `#` or a control character in \
                 it",
                flake.escape_debug()
            ),
            Self::EvaluationFailed { source, said } => write!(formatter, "cannot evaluate {source}: {said}"),
            Self::FlakeChanging { source } => {
                write!(
                    formatter,
                    "{source} was changed each time while it was evaluated: its hosts would not fit together"
                )
            }
            Self::EvaluationSenseless { source, said } => {
                write!(formatter, "nix's answer about {source} makes no sense: {said}")
            }
            Self::AttributeMissing { source, attribute, parent, has } => {
                write!(formatter, "{source} has no `{attribute}`; {}", has_instead(parent, has))
            }
            Self::AttributeNoDerivation { source, attribute, kind } => {
                write!(formatter, "`{attribute}` of {source} is no derivation but a {kind}")
            }
            Self::SystemPathUnknown { said } => {
                write!(formatter, "its path is not known before it is built (a content-addressed derivation?): {said}")
            }
            Self::RootsFolderMissing { path, said } => {
                with_cause(formatter, &format!("cannot make the folder {path} for the systems' roots"), said)
            }
            Self::NixFailedAfterBuild { said } => write!(formatter, "nix failed after the build: {said}"),
            Self::BuildFailed { said } => with_cause(formatter, "cannot build the fleet", said),
            Self::BuildNotSeen { said } => with_cause(formatter, "cannot see what was built", said),
            Self::FileUntracked { file, said, .. } => {
                write!(
                    formatter,
                    "{file} is there, but git does not track it, and so the flake does not have it: {said}"
                )
            }
            Self::BuilderMissing { name, system_type, features, machine } => {
                let machine = machine.as_ref().map_or("this workstation", HostName::as_str);
                write!(formatter, "cannot build its system: no machine that may build for {machine} is ")?;
                write!(formatter, "{system_type}")?;
                if !features.is_empty() {
                    write!(formatter, " with {}", features.join(", "))?;
                }
                write!(formatter, ", which {name} needs")
            }
            Self::DerivationFailed { name, said, machine: None, .. } => {
                write!(formatter, "cannot build its system: {name} failed: {said}")
            }
            Self::DerivationFailed { name, said, machine: Some(machine), .. } => {
                write!(formatter, "cannot build its system on {machine}: {name} failed: {said}")
            }
            Self::BuilderNotReached { machine, cause } => {
                write!(formatter, "cannot build its system on {machine}: {cause}")
            }
            Self::BuilderLost { machine, said } => {
                write!(formatter, "cannot build its system: {machine}, which was building it, was lost: {said}")
            }
            Self::BuilderFull { machine, said } => {
                write!(
                    formatter,
                    "cannot build its system: the disk of {machine}, which was to build it, is full: {said}"
                )
            }
            Self::BuilderUnusable { machine, said } => {
                write!(formatter, "cannot build its system: {machine} cannot be asked to build it: {said}")
            }
            Self::SignKeyUnusable { path, said } => write!(formatter, "cannot sign by {path}: {said}"),
            Self::SystemNotSigned { path, said, machine: None } => {
                write!(formatter, "cannot sign the systems by {path}: {said}")
            }
            Self::SystemNotSigned { path, said, machine: Some(machine) } => {
                write!(formatter, "cannot sign the systems in the store of {machine} by {path}: {said}")
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
            Self::DerivationFailed { derivation, machine: None, .. } => Some(format!("nix log {derivation}")),
            Self::DerivationFailed { derivation, machine: Some(machine), .. } => {
                Some(format!("on {machine}: nix-store --read-log {derivation}"))
            }
            Self::BuilderNotReached { cause, .. } => cause.mend(),
            Self::BuilderLost { machine, .. } => Some(format!(
                "push again, once {machine} answers: what is built there already is not built again; or name another \
                 `build_on`"
            )),
            Self::BuilderFull { machine, .. } => Some(format!(
                "make room there, such as with `nix-collect-garbage` on {machine}; or name another `build_on`"
            )),
            Self::BuilderUnusable { machine, .. } => Some(format!(
                "the login on {machine} must find its nix and be one of its nix.settings.allowed-users; or name \
                 another `build_on`"
            )),
            Self::SignKeyUnusable { path, .. } => Some(format!(
                "`sign_key` is the file that `nix key generate-secret --key-name NAME-1 >{path}` makes, readable for \
                 you"
            )),
            Self::FileUntracked { file, repository, .. } => {
                let words = ["git", "-C", repository, "add", "--", file];
                shlex::try_join(words).ok().or_else(|| Some(format!("`git add` it in {repository}")))
            }
            Self::BuilderMissing { system_type, features, machine, .. } => {
                let place = machine.as_ref().map_or_else(|| "here".to_owned(), |machine| format!("on {machine}"));
                // A host that is of that kind can build for itself.
                let elsewhere = match machine {
                    None => "`build_on: target`, where the host itself can build it; ",
                    Some(_) => "another `build_on`; ",
                };
                Some(if features.is_empty() {
                    format!(
                        "{elsewhere}nix.buildMachines with one that is {system_type}, or boot.binfmt.emulatedSystems = \
                         [ \"{system_type}\" ]; {place}"
                    )
                } else {
                    let features = features.join(", ");
                    format!("{elsewhere}nix.settings.system-features with {features}, {place} or in nix.buildMachines")
                })
            }
            Self::TreeDirty { .. } => Some("commit them, or leave out --clean".to_owned()),
            Self::RevisionUnknown { .. } => Some("take a flake of a git repository, or leave out --clean".to_owned()),
            Self::FlakeChanging { .. } => Some("commit it, or leave it as it is until this is done".to_owned()),
            Self::FlakeMistaken { .. }
            | Self::EvaluationFailed { .. }
            | Self::EvaluationNotEnded { .. }
            | Self::EvaluationSenseless { .. }
            | Self::SystemNotEvaluated { .. }
            | Self::AttributeMissing { .. }
            | Self::AttributeNoDerivation { .. }
            | Self::SystemPathUnknown { .. }
            | Self::SystemNotBuilt { .. }
            | Self::RootsFolderMissing { .. }
            | Self::NixFailedAfterBuild { .. }
            | Self::BuildFailed { .. }
            | Self::SystemNotSigned { .. }
            | Self::BuildNotSeen { .. } => None,
        }
    }
}

/// Says of how many hosts the systems were evaluated, and of how many that was done before.
pub(crate) fn evaluated(anew: usize, kept: usize) -> String {
    let hosts = |count: usize| if count == 1 { "1 host".to_owned() } else { format!("{count} hosts") };
    match (anew, kept) {
        (anew, 0) => format!("evaluated {}", hosts(anew)),
        (0, kept) => format!("nothing to evaluate: nothing has changed for {} since the last time", hosts(kept)),
        (anew, kept) => {
            format!("evaluated {}; nothing has changed for {} since the last time", hosts(anew), hosts(kept))
        }
    }
}

fn with_cause(formatter: &mut fmt::Formatter<'_>, what: &str, said: &str) -> fmt::Result {
    if said.is_empty() { formatter.write_str(what) } else { write!(formatter, "{what}: {said}") }
}

fn has_instead(parent: &str, has: &[String]) -> String {
    /// Names of existing attributes that a sentence lists.
    const LISTED: usize = 12;
    let place = if parent.is_empty() { "it".to_owned() } else { format!("`{parent}`") };
    match has {
        [] => format!("{place} has nothing"),
        few if few.len() <= LISTED => format!("{place} has: {}", few.join(", ")),
        many => format!("{place} has: {} and {} more", many[..LISTED].join(", "), many.len() - LISTED),
    }
}

impl fmt::Display for BuildNote {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EvaluationWarning { said } => write!(formatter, "the evaluation warns: {said}"),
            Self::EvaluationTraced { count: 1, first } => write!(formatter, "the evaluation traces: {first}"),
            Self::EvaluationTraced { count, first } => {
                write!(formatter, "the evaluation traces {count} values, the first: {first}")
            }
        }
    }
}

impl Worded for BuildNote {}
