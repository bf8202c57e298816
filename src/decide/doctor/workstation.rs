//! Judges what a push needs of the workstation.

use super::{DoctorFinding, Severity};
use crate::event::reason::Worded;
use crate::event::reason::unlinked::Unlinked;

/// The findings about the workstation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workstation {
    pub nix: Nix,
    /// `OpenSSH_10.0p2`; `None`: there is none.
    pub ssh: Option<String>,
    /// The place of the records, with the free space there; or why it cannot be written.
    pub record: Result<(String, Option<u64>), String>,
    /// Bytes that are free in the store.
    pub free_store: Option<u64>,
    /// A run of this fleet that did not come to its end.
    pub unfinished: Option<Unfinished>,
    /// The fleet has no link.
    pub unlinked: Option<Unlinked>,
}

/// A run that has not ended, and the command that ends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    pub text: String,
    pub mend: String,
}

/// The workstation's nix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Nix {
    Missing(String),
    TooOld(String),
    /// Nix is there, and its store does not answer.
    Broken(String),
    Works(String),
}

/// Less than this is little for records, and for a build.
const LITTLE_RECORD: u64 = 50 << 20;
const LITTLE_STORE: u64 = 1 << 30;

/// Finds what would stop a push here.
#[must_use]
pub fn of_workstation(found: &Workstation) -> Vec<DoctorFinding> {
    let mut findings = vec![nix(&found.nix)];
    findings.push(match &found.ssh {
        Some(version) => DoctorFinding::fine(format!("ssh: {version}")),
        None => DoctorFinding::blocker("has no `ssh`", "every host is reached by it", "install OpenSSH"),
    });
    match &found.record {
        Err(why) => findings.push(DoctorFinding::blocker(
            format!("no record can be written: {why}"),
            "nothing is begun without its record, which is what `recover` goes by",
            "XDG_STATE_HOME names another place for it",
        )),
        Ok((folder, free)) => {
            findings.push(DoctorFinding::fine(format!("records can be written to {folder}")));
            findings.extend(
                free.map(|free| room(folder, free, LITTLE_RECORD, "a record that cannot be written ends a push")),
            );
        }
    }
    findings.extend(found.free_store.map(|free| room("/nix/store", free, LITTLE_STORE, "the systems are built here")));
    findings.extend(found.unfinished.as_ref().map(|Unfinished { text, mend }| {
        let why = "it may have left hosts guarded, or between two systems: a push refuses until it is ended";
        DoctorFinding::blocker(text.clone(), why, mend.clone())
    }));
    findings.extend(found.unlinked.as_ref().map(|unlinked| {
        let why = "links that are proven before and after are what a push is believed by";
        DoctorFinding::new(Severity::Warning, unlinked.to_string(), why, unlinked.mend())
    }));
    findings.sort_by_key(|finding| finding.severity);
    findings
}

fn nix(nix: &Nix) -> DoctorFinding {
    let why = "the systems are evaluated, built and copied by it";
    match nix {
        Nix::Missing(text) => {
            DoctorFinding::blocker(format!("has no `nix`: {text}"), why, "install Nix, and have it in PATH")
        }
        Nix::TooOld(version) => {
            DoctorFinding::blocker(format!("{version} is too old"), why, "install Nix 2.18 or newer")
        }
        Nix::Broken(text) => DoctorFinding::blocker(
            format!("its store does not answer: {text}"),
            why,
            "see whether `nix store ping` and nix-daemon are well",
        ),
        Nix::Works(version) => {
            DoctorFinding::fine(format!("{version}; what is experimental of it is switched on for each command"))
        }
    }
}

fn room(place: &str, free: u64, little: u64, why: &str) -> DoctorFinding {
    let what = format!("{} MiB are free in {place}", free >> 20);
    if free < little {
        DoctorFinding::new(Severity::Warning, what, why, Some("make room there".to_owned()))
    } else {
        DoctorFinding::fine(what)
    }
}
