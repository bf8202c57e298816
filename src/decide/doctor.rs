//! Judges from facts alone what would stop a push, or endanger it, and says how to mend it.
//!
//! It asks [`survey::judge`] what the survey of a push would refuse, so that both can never differ.

mod checks;
mod workstation;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::decide::status::{Condition, journal_of, space_mend};
use crate::decide::survey::{self, Allowed, Surveyed, Weight};
use crate::decide::time::Times;
use crate::facts::store_path::StorePath;
use crate::facts::systems::BootLoader;
use crate::inventory::model::{Fleet, Host, HostName, Jump};

pub use workstation::{Nix, Unfinished, Workstation, of_workstation};

/// The words of a host about itself, for the doctor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Examined {
    pub condition: Condition,
    /// The user that logs in.
    pub login: String,
    /// The addresses of its interfaces, without the length of their prefixes.
    pub addresses: Vec<String>,
    /// The programs that are there, of those that probes need.
    pub programs: BTreeSet<String>,
    /// Settings of its sshd, as `sshd -T` names them; empty if they could not be read.
    pub sshd: BTreeMap<String, String>,
    /// Its clock: seconds since 1970.
    pub now: Option<i64>,
    /// How many seconds its clock is ahead of the workstation's; negative: behind.
    pub clock_ahead: Option<i64>,
}

/// Nix's answer about a copy to the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Copying {
    Trusted,
    Untrusted,
    /// It answers, and does not say.
    NotTold,
    /// It does not answer.
    Failed(String),
    /// The workstation has no nix to ask with.
    NotAsked,
}

/// The weight of a finding, the heaviest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// A push is refused, or cannot end well.
    Blocker,
    Warning,
    Fine,
}

/// A thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DoctorFinding {
    pub severity: Severity,
    pub what: String,
    /// Why it matters; empty if it is fine.
    pub why: String,
    pub mend: Option<String>,
}

impl DoctorFinding {
    #[must_use]
    pub fn new(severity: Severity, what: impl Into<String>, why: &str, mend: Option<String>) -> Self {
        Self { severity, what: what.into(), why: why.to_owned(), mend }
    }

    fn blocker(what: impl Into<String>, why: &str, mend: impl Into<String>) -> Self {
        Self::new(Severity::Blocker, what, why, Some(mend.into()))
    }

    fn warning(what: impl Into<String>, why: &str, mend: impl Into<String>) -> Self {
        Self::new(Severity::Warning, what, why, Some(mend.into()))
    }

    fn fine(what: impl Into<String>) -> Self {
        Self::new(Severity::Fine, what, "", None)
    }
}

/// The oldest systemd that the guard was tried with (docs/facts.md, "Versions that are in use").
const OLDEST_SYSTEMD: u64 = 252;
/// The oldest Nix whose words are known; Lix counts on from 2.90.
const OLDEST_NIX: (u64, u64) = (2, 18);
/// How many sessions a push needs of sshd's `MaxSessions`: 8 scripts at once, `nix copy`, and one more (sshd's own
/// default).
const SESSIONS: u64 = 10;
/// How many seconds a clock may be wrong: logs that are compared, certificates and handshakes bear this much.
const CLOCK_SECONDS: u64 = 30;

/// Judges every host that has answered; each host's findings are sorted, the heaviest first.
#[must_use]
pub fn of_hosts(fleet: &Fleet, answered: &[(&Host, &Examined, &Copying)]) -> Vec<(HostName, Vec<DoctorFinding>)> {
    let refused = refusals(fleet, answered);
    let of_host = |(host, examined, copying): &(&Host, &Examined, &Copying)| {
        let mut findings = vec![DoctorFinding::fine(format!("logs in as {}, and is root there", examined.login))];
        findings.extend(refused.iter().filter(|(name, _)| *name == host.name).map(|(_, finding)| finding.clone()));
        let patient = Patient { fleet, host, examined };
        patient.way_back(&mut findings);
        patient.programs_of_the_system(copying, &mut findings);
        patient.space(&mut findings);
        patient.network(&mut findings);
        patient.sshd(&mut findings);
        patient.rest(&mut findings);
        checks::of_host(fleet, host, examined, &mut findings);
        findings.sort_by_key(|finding| finding.severity);
        (host.name.clone(), findings)
    };
    answered.iter().map(of_host).collect()
}

/// Asks what the survey of a push would say that changes every one of these hosts.
fn refusals(fleet: &Fleet, answered: &[(&Host, &Examined, &Copying)]) -> Vec<(HostName, DoctorFinding)> {
    let another = StorePath::new("/nix/store/00000000000000000000000000000000-what-a-push-would-bring")
        .expect("that is the form of a store path");
    let views: Vec<Surveyed<'_>> = answered
        .iter()
        .map(|(host, examined, _)| Surveyed {
            host,
            selected: true,
            facts: &examined.condition.facts,
            new: Some(&another),
            times: Times::of(host, fleet.settle, fleet.steady()),
        })
        .collect();
    let findings = survey::judge(&fleet.name, &views, Allowed::default());
    let finding = |found: survey::Finding| {
        let (severity, why) = match found.weight {
            Weight::Refusal => (Severity::Blocker, "a push is refused as long as this is so"),
            Weight::Warning => (Severity::Warning, "a push goes on all the same, and warns"),
        };
        Some((found.host?, DoctorFinding::new(severity, found.text.to_string(), why, found.hint)))
    };
    findings.into_iter().filter_map(finding).collect()
}

/// Judges one host that has answered.
struct Patient<'a> {
    fleet: &'a Fleet,
    host: &'a Host,
    examined: &'a Examined,
}

impl Patient<'_> {
    /// Says which parts of the way back are as they should be; the survey refuses the others.
    fn way_back(&self, findings: &mut Vec<DoctorFinding>) {
        let facts = &self.examined.condition.facts;
        let standing = &facts.standing;
        if standing.systems.agree() {
            findings.push(DoctorFinding::fine("a reboot brings back what runs"));
        }
        match standing.loader {
            BootLoader::Unknown => {}
            loader => findings.push(DoctorFinding::fine(format!("its boot loader can be read: {}", loader.word()))),
        }
        if facts.crypto_devices.is_empty() {
            findings.push(DoctorFinding::fine("no disk that it boots from wants a passphrase"));
        } else if self.host.guard_action_given {
            findings
                .push(DoctorFinding::fine("one of its disks is encrypted, and the inventory says how it is guarded"));
        }
        for trace in &facts.traces {
            let trace = trace.lines().next().unwrap_or_default();
            findings.push(DoctorFinding::warning(
                format!("a guard has fired here: {trace}"),
                "what was being pushed then did not hold on this host",
                format!("`fleetdeploy recover {}` cleans it up once you have read why", self.fleet.name),
            ));
        }
    }

    fn programs_of_the_system(&self, copying: &Copying, findings: &mut Vec<DoctorFinding>) {
        let facts = &self.examined.condition.facts;
        match version(&facts.nix_version) {
            None => findings.push(DoctorFinding::warning(
                "which Nix it has could not be found out",
                "the new system is copied into its store by its own Nix",
                "see there what `nix --version` says",
            )),
            Some(found) if found < OLDEST_NIX => findings.push(DoctorFinding::warning(
                format!("its {} is older than {}.{}", facts.nix_version, OLDEST_NIX.0, OLDEST_NIX.1),
                "nobody has tried a copy to it",
                "nix.package = pkgs.nix;  # of a newer nixpkgs",
            )),
            Some(_) => findings.push(DoctorFinding::fine(facts.nix_version.clone())),
        }
        match version(&facts.systemd_version) {
            Some((major, _)) if major < OLDEST_SYSTEMD => findings.push(DoctorFinding::warning(
                format!("its {} is older than {OLDEST_SYSTEMD}", facts.systemd_version),
                "nobody has tried the guard with it",
                "update it to a NixOS that is still maintained, for once without a guard",
            )),
            _ => findings.push(DoctorFinding::fine(facts.systemd_version.clone())),
        }
        findings.push(DoctorFinding::fine(format!("kernel {}, {}", facts.kernel, facts.system_type)));
        let login = &in_nix(&self.examined.login);
        findings.push(match copying {
            Copying::Trusted => DoctorFinding::fine("takes what is copied to it"),
            Copying::Untrusted => DoctorFinding::blocker(
                format!("its Nix does not trust {login}"),
                "what was built here is signed by nobody, and only a trusted user may bring that",
                format!("nix.settings.trusted-users = [ \"root\" \"{login}\" ];"),
            ),
            Copying::NotTold if login == "root" => DoctorFinding::fine("takes what is copied to it"),
            Copying::NotTold => DoctorFinding::warning(
                format!("its Nix does not say whether it trusts {login}"),
                "what was built here is signed by nobody, and only a trusted user may bring that",
                format!("make sure of it: nix.settings.trusted-users = [ \"root\" \"{login}\" ];"),
            ),
            Copying::Failed(why) => DoctorFinding::blocker(
                format!("nothing can be copied to it: {why}"),
                "the new system comes to it by `nix copy`",
                if self.examined.programs.contains("nix-daemon") {
                    "see there whether `systemctl status nix-daemon.socket` is well".to_owned()
                } else {
                    "a login without a terminal finds no `nix-daemon`: see what sets its PATH".to_owned()
                },
            ),
            Copying::NotAsked => DoctorFinding::warning(
                "whether anything can be copied to it was not tried",
                "there is no nix on this workstation to try it with",
                "install Nix here",
            ),
        });
    }

    fn space(&self, findings: &mut Vec<DoctorFinding>) {
        for space in &self.examined.condition.spaces {
            let what = format!("{} MiB of {} are free on {}", space.free >> 20, space.size >> 20, space.place);
            findings.push(if !space.is_little() {
                DoctorFinding::fine(what)
            } else if space.is_none() {
                DoctorFinding::blocker(what, "nothing new fits in there", space_mend(&space.place))
            } else {
                DoctorFinding::warning(
                    what,
                    "a new system, its kernel or its logs may not fit",
                    space_mend(&space.place),
                )
            });
        }
    }

    fn network(&self, findings: &mut Vec<DoctorFinding>) {
        let examined = self.examined;
        match examined.clock_ahead {
            Some(ahead) if ahead.unsigned_abs() > CLOCK_SECONDS => {
                let word = if ahead > 0 { "ahead of" } else { "behind" };
                findings.push(DoctorFinding::warning(
                    format!("its clock is {} s {word} this workstation's", ahead.unsigned_abs()),
                    "certificates and the times of logs are read wrong; guards do not mind",
                    "services.timesyncd.enable = true;  # and look at the clock here, too",
                ));
            }
            Some(_) => findings.push(DoctorFinding::fine("its clock goes right")),
            None => {}
        }
        let Some(vpn) = &self.host.vpn else { return };
        if examined.addresses.is_empty() {
            return;
        }
        // fd00:0::2 and fd00::2 are one address.
        let same = |address: &String| match (address.parse::<IpAddr>(), vpn.parse::<IpAddr>()) {
            (Ok(address), Ok(vpn)) => address == vpn,
            _ => address == vpn,
        };
        findings.push(if examined.addresses.iter().any(same) {
            DoctorFinding::fine(format!("has its VPN address {vpn}"))
        } else {
            DoctorFinding::warning(
                format!("has no interface with its VPN address {vpn}"),
                "links to it are down before the push already, unless the push brings the address",
                "the inventory's `vpn` and the host's, for example `networking.wireguard.interfaces.wg0.ips`, must \
                 agree",
            )
        });
    }

    fn sshd(&self, findings: &mut Vec<DoctorFinding>) {
        let setting = |key: &str| self.examined.sshd.get(key).map(String::as_str);
        match setting("maxsessions").and_then(|sessions| sessions.parse::<u64>().ok()) {
            Some(sessions) if sessions < SESSIONS => findings.push(DoctorFinding::warning(
                format!("its sshd takes {sessions} sessions on one connection"),
                "scripts and the copy go side by side over one connection, up to 10 at once",
                format!("services.openssh.settings.MaxSessions = {SESSIONS};"),
            )),
            Some(_) => findings.push(DoctorFinding::fine("its sshd takes enough sessions")),
            None => {}
        }
        let name = &self.host.name;
        let is_jump = |host: &Host| matches!(&host.jump, Some(Jump::Host(jump)) if jump == name);
        if self.fleet.hosts.iter().any(is_jump) && matches!(setting("allowtcpforwarding"), Some("no" | "remote")) {
            findings.push(DoctorFinding::blocker(
                "its sshd forwards nothing, and other hosts of the fleet are reached through it",
                "a jump needs forwarding",
                "services.openssh.settings.AllowTcpForwarding = \"local\";",
            ));
        }
        if setting("persourcepenalties").is_some_and(|penalties| penalties != "no") {
            findings.push(DoctorFinding::fine(
                "its sshd punishes addresses that connect and leave; probes keep below that",
            ));
        }
    }

    fn rest(&self, findings: &mut Vec<DoctorFinding>) {
        let facts = &self.examined.condition.facts;
        for note in &facts.notes {
            findings.push(DoctorFinding::new(
                Severity::Warning,
                note.clone(),
                "it may keep a reboot from doing what it should; a guard's reboot takes no notice of inhibitors",
                None,
            ));
        }
        let failed: Vec<&str> = facts.standing.failed_units.iter().map(String::as_str).collect();
        if failed.is_empty() {
            findings.push(DoctorFinding::fine("no unit has failed"));
        } else {
            findings.push(DoctorFinding::warning(
                format!("units that failed: {}", failed.join(", ")),
                "a push does not blame itself for them, and so would not see if it broke them anew",
                journal_of(&self.fleet.name, &self.host.name, failed[0]),
            ));
        }
    }
}

/// Escapes a text for the quotes of Nix. A login's name is the host's word, and a text that a person pastes must not be
/// code of the host.
fn in_nix(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace("${", "\\${")
}

/// Reads the first two numbers of a version: `nix (Nix) 2.26.3`, `lix-2.91.1`, `systemd 257.13`.
fn version(text: &str) -> Option<(u64, u64)> {
    let at = text.find(|character: char| character.is_ascii_digit())?;
    let mut numbers = text[at..].split(|character: char| !character.is_ascii_digit()).map(str::parse);
    let major = numbers.next()?.ok()?;
    Some((major, numbers.next().and_then(Result::ok).unwrap_or(0)))
}

#[cfg(test)]
mod tests;
