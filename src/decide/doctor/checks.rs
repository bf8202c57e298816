//! Checks whether a host has the programs that the fleet's checks run there.

use std::collections::BTreeMap;

use super::{DoctorFinding, Examined};
use crate::event::reason::doctor::HostHealth;
use crate::inventory::model::{Check, CheckKind, Fleet, Host, Place};

/// A program that probes run, and the package that has it.
struct Needed {
    program: &'static str,
    package: &'static str,
}

const PING: Needed = Needed { program: "ping", package: "iputils" };
const CURL: Needed = Needed { program: "curl", package: "curl" };
const GETENT: Needed = Needed { program: "getent", package: "getent" };
const WG: Needed = Needed { program: "wg", package: "wireguard-tools" };

/// Without bash, which all of them need, a push is refused. Source: probes.sh.
fn needed(kind: &CheckKind) -> &'static [Needed] {
    match kind {
        CheckKind::Vpn(_) | CheckKind::Ping { .. } => &[PING],
        CheckKind::Http { .. } => &[CURL],
        CheckKind::Dns { server: None, .. } => &[GETENT],
        CheckKind::Wireguard { .. } => &[WG],
        CheckKind::Tcp { .. } | CheckKind::Dns { server: Some(_), .. } | CheckKind::Command(_) => &[],
    }
}

/// Finds which programs of the checks that run on this host are there.
pub(super) fn of_host(fleet: &Fleet, host: &Host, examined: &Examined, findings: &mut Vec<DoctorFinding>) {
    let runs_here = |check: &&Check| check.from.contains(&Place::Host(host.name.clone()));
    let mut missing: BTreeMap<&str, (&Needed, Vec<&Check>)> = BTreeMap::new();
    let mut any = false;
    for check in fleet.checks.iter().filter(runs_here) {
        any = true;
        for need in needed(&check.kind).iter().filter(|need| !examined.programs.contains(need.program)) {
            missing.entry(need.program).or_insert((need, Vec::new())).1.push(check);
        }
    }
    if any && missing.is_empty() {
        findings.push(DoctorFinding::fine(HostHealth::CheckProgramsThere));
    }
    for (program, (need, checks)) in missing {
        let missing = HostHealth::CheckProgramMissing {
            program: program.to_owned(),
            package: need.package.to_owned(),
            checks: checks.iter().map(|check| check.name.clone()).collect(),
        };
        // What that means for a push, its links say: what it brings may bring the program, too.
        findings.push(DoctorFinding::warning(missing));
    }
    let has_tunnel = fleet.checks.iter().filter(runs_here).any(|check| matches!(check.kind, CheckKind::Vpn(_)));
    if has_tunnel && !examined.programs.contains(WG.program) {
        let package = WG.package.to_owned();
        findings.push(DoctorFinding::warning(HostHealth::WgProgramMissing { package }));
    }
}
