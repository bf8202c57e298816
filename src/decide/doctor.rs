//! Judges from facts alone what would stop a push, or endanger it, and says how to mend it.
//!
//! What a push would refuse, the judges of a push say: [`preflight`], [`waves`](super::waves), and
//! [`baseline`](super::baseline). So both can never differ.

mod checks;
mod workstation;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::{Deserialize, Serialize, Serializer};

use crate::decide::cached::{CacheSeen, cache_host};
use crate::decide::preflight;
use crate::decide::status::Condition;
use crate::decide::survey::{Allowed, Finding, Surveyed, Weight};
use crate::decide::time::Times;
use crate::decide::waves::Waves;
use crate::event::reason::any::AnyReason;
use crate::event::reason::build::BuildFault;
use crate::event::reason::copy::CopyFault;
use crate::event::reason::doctor::{HostHealth, Stake};
use crate::event::reason::look_ahead::NotSeenAhead;
use crate::event::reason::status::Ailment;
use crate::event::reason::trial::TrialOutlook;
use crate::facts::store_path::StorePath;
use crate::facts::systems::BootLoader;
use crate::inventory::model::{Fleet, Host, HostName, Jump, Substitute, url_without_login};

pub use workstation::{Nix, Workstation, of_workstation};

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
    /// The keys whose signatures its Nix takes.
    pub trusted_keys: Vec<String>,
    /// The binary caches of its Nix that do not answer.
    pub silent_caches: Vec<String>,
    /// What it has heard of the fleet's cache; `None`: it was not to ask.
    pub fleet_cache: Option<CacheSeen>,
}

/// Nix's answer about a copy to the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Copying {
    Trusted,
    /// Its system is built on the host itself, for any login.
    BuiltThere,
    /// The inventory's key cannot sign, so a push refuses before it builds.
    KeyUnusable {
        path: String,
        said: String,
    },
    /// The host's Nix does not trust the login, and the key that signs what is copied to it.
    Signed {
        /// Its name.
        key: String,
    },
    /// The same of the key that signs what is built here, and not all that was built before was seen to be signed.
    NewSigned {
        /// Its name.
        key: String,
        /// The file of the secret key.
        file: String,
    },
    /// The host's Nix does not trust the login, and what is built here is signed by a key that cannot be read.
    SignedUnread {
        file: String,
    },
    /// The same, and the fleet's cache brings the host what it takes there.
    ByCache {
        /// What it fetches from, without a login.
        cache: String,
        /// The public key that signs here, if it is not what serves the cache.
        key: Option<String>,
    },
    /// The host's Nix trusts neither the login nor a key that signs here, and one of a binary cache from which what was
    /// pushed last came to this workstation.
    SignedElsewhere {
        /// Its name.
        key: String,
    },
    /// The host's Nix trusts neither the login nor a key of this workstation.
    Untrusted {
        /// The public key that signs what is built here, if one does.
        key: Option<String>,
    },
    /// It answers, and does not say.
    NotTold,
    /// Its login shell has printed this before Nix there.
    Garbled(String),
    /// It does not answer.
    Failed(String),
    /// The workstation has no nix to ask with.
    NotAsked,
}

/// The weight of a finding, the heaviest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// A push that is to change the host is refused before anything is touched.
    Blocker,
    Warning,
    Fine,
}

/// A thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoctorFinding {
    pub severity: Severity,
    pub what: AnyReason,
    /// Why it matters, if `what` was not made for this and does not say it.
    stake: Option<Stake>,
}

impl DoctorFinding {
    #[must_use]
    pub fn new(severity: Severity, what: impl Into<AnyReason>) -> Self {
        Self { severity, what: what.into(), stake: None }
    }

    /// Takes over a reason of another judge, which matters here for the cause named.
    #[must_use]
    pub fn taken(severity: Severity, what: impl Into<AnyReason>, stake: Stake) -> Self {
        Self { severity, what: what.into(), stake: Some(stake) }
    }

    /// What could not be seen of the new configuration stops no look at all else.
    #[must_use]
    pub fn not_seen_ahead(what: NotSeenAhead) -> Self {
        let severity = match &what {
            NotSeenAhead::ConfigurationNotAwaited => Severity::Fine,
            NotSeenAhead::ConfigurationNotEvaluated { .. } => Severity::Warning,
        };
        Self::new(severity, what)
    }

    fn blocker(what: impl Into<AnyReason>) -> Self {
        Self::new(Severity::Blocker, what)
    }

    fn warning(what: impl Into<AnyReason>) -> Self {
        Self::new(Severity::Warning, what)
    }

    fn fine(what: impl Into<AnyReason>) -> Self {
        Self::new(Severity::Fine, what)
    }

    /// Says why it matters; empty if it is fine.
    #[must_use]
    pub fn why(&self) -> String {
        match &self.stake {
            Some(stake) => stake.to_string(),
            None => self.what.stake().unwrap_or_default().to_owned(),
        }
    }

    /// Says what to do about it.
    #[must_use]
    pub fn mend(&self) -> Option<String> {
        let own = self.what.mend();
        match &self.stake {
            Some(stake) => stake.mend(own),
            None => own,
        }
    }
}

impl Serialize for DoctorFinding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Shape<'a> {
            severity: Severity,
            #[serde(flatten, serialize_with = "AnyReason::write_as_what")]
            what: &'a AnyReason,
            why: String,
            mend: Option<String>,
        }
        Shape { severity: self.severity, what: &self.what, why: self.why(), mend: self.mend() }.serialize(serializer)
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

/// A host that has answered.
#[derive(Debug, Clone, Copy)]
pub struct Visit<'a> {
    pub host: &'a Host,
    pub examined: &'a Examined,
    /// `None`: a witness, to which nothing is copied.
    pub copying: Option<&'a Copying>,
}

/// Makes a system that no host has: a push would change every host to which it is to come.
///
/// # Panics
/// Never: the text has the form of a store path.
#[must_use]
pub fn another_system() -> StorePath {
    StorePath::new("/nix/store/00000000000000000000000000000000-what-a-push-would-bring")
        .expect("that is the form of a store path")
}

/// Makes what the judges of a push look at, for a push that would bring this system to every host that is no witness.
#[must_use]
pub fn as_pushed<'a>(fleet: &Fleet, visits: &[Visit<'a>], new: &'a StorePath) -> Vec<Surveyed<'a>> {
    let view = |visit: &Visit<'a>| Surveyed {
        host: visit.host,
        selected: visit.copying.is_some(),
        facts: &visit.examined.condition.facts,
        new: visit.copying.map(|_| new),
        times: Times::of(visit.host, fleet.settle, fleet.steady()),
    };
    visits.iter().map(view).collect()
}

/// What was found, by what it is about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FleetFindings {
    pub hosts: BTreeMap<HostName, Vec<DoctorFinding>>,
    /// Findings that are no single host's: of links.
    pub fleet: Vec<DoctorFinding>,
}

impl FleetFindings {
    /// Takes over what the judges of a push say.
    pub fn take(&mut self, findings: impl IntoIterator<Item = Finding>) {
        for finding in findings {
            match finding.host.clone() {
                Some(host) => self.hosts.entry(host).or_default().push(finding.into()),
                None => self.fleet.push(finding.into()),
            }
        }
    }

    /// Brings the heaviest to the front.
    #[must_use]
    pub fn sorted(mut self) -> Self {
        for findings in self.hosts.values_mut().chain([&mut self.fleet]) {
            findings.sort_by_key(|finding| finding.severity);
        }
        self
    }
}

/// Judges every host that has answered. `silent` are the others that must answer.
///
/// Of a witness only that is found for which a push of the others would be refused, or would warn.
#[must_use]
pub fn of_hosts(fleet: &Fleet, visits: &[Visit<'_>], silent: &BTreeSet<HostName>, waves: &Waves) -> FleetFindings {
    let mut found = FleetFindings::default();
    let another = another_system();
    let views = as_pushed(fleet, visits, &another);
    let mut refused = preflight::judge(&fleet.name, &views, Allowed::default(), &BTreeSet::new());
    let changing: Vec<&Host> = views.iter().filter(|view| view.changes()).map(|view| view.host).collect();
    refused.extend(waves.judge(&changing));
    for Visit { host, examined, copying } in visits {
        let Some(copying) = copying else { continue };
        found.hosts.insert(host.name.clone(), Patient { fleet, host, examined, silent }.findings(copying));
    }
    found.take(refused);
    found
}

impl From<Finding> for DoctorFinding {
    fn from(finding: Finding) -> Self {
        let (severity, stake) = match finding.weight {
            Weight::Refusal => (Severity::Blocker, Stake::PushRefused),
            Weight::Warning => (Severity::Warning, Stake::PushWarns),
        };
        match finding.text.stake() {
            Some(_) => Self::new(severity, finding.text),
            None => Self::taken(severity, finding.text, stake),
        }
    }
}

/// Judges one host that has answered.
struct Patient<'a> {
    fleet: &'a Fleet,
    host: &'a Host,
    examined: &'a Examined,
    /// Hosts that must answer, and do not.
    silent: &'a BTreeSet<HostName>,
}

impl Patient<'_> {
    fn findings(&self, copying: &Copying) -> Vec<DoctorFinding> {
        let mut findings = vec![DoctorFinding::fine(HostHealth::LoginAsRoot { login: self.examined.login.clone() })];
        self.way_back(&mut findings);
        self.programs_of_the_system(copying, &mut findings);
        self.caches(&mut findings);
        self.fleet_cache(copying, &mut findings);
        self.space(&mut findings);
        self.network(&mut findings);
        self.sshd(&mut findings);
        self.rest(&mut findings);
        checks::of_host(self.fleet, self.host, self.examined, &mut findings);
        findings
    }

    /// Says which parts of the way back are as they should be; the survey refuses the others.
    fn way_back(&self, findings: &mut Vec<DoctorFinding>) {
        let facts = &self.examined.condition.facts;
        let standing = &facts.standing;
        if standing.systems.agree() {
            findings.push(DoctorFinding::fine(HostHealth::RebootBringsSame));
        }
        match standing.loader {
            BootLoader::Unknown => {}
            loader => findings.push(DoctorFinding::fine(HostHealth::BootLoaderRead { loader })),
        }
        if facts.crypto_devices.is_empty() {
            findings.push(DoctorFinding::fine(HostHealth::NoPassphraseAtBoot));
        } else if self.host.guard_action_given {
            findings.push(DoctorFinding::fine(HostHealth::EncryptedAndGuarded));
        }
        let outlooks = TrialOutlook::all(self.host, self.fleet.settle, facts);
        findings.extend(outlooks.into_iter().map(DoctorFinding::fine));
        for trace in &facts.traces {
            let trace = trace.lines().next().unwrap_or_default().to_owned();
            let fleet = self.fleet.name.clone();
            findings.push(DoctorFinding::warning(HostHealth::GuardTraceLeft { trace, fleet }));
        }
    }

    fn programs_of_the_system(&self, copying: &Copying, findings: &mut Vec<DoctorFinding>) {
        let facts = &self.examined.condition.facts;
        let nix = facts.nix_version.clone();
        findings.push(match version(&nix) {
            None => DoctorFinding::warning(HostHealth::NixVersionUnknown),
            Some(found) if found < OLDEST_NIX => {
                let oldest = format!("{}.{}", OLDEST_NIX.0, OLDEST_NIX.1);
                DoctorFinding::warning(HostHealth::NixOlderThanTried { version: nix, oldest })
            }
            Some(_) => DoctorFinding::fine(HostHealth::NixTried { version: nix }),
        });
        let systemd = facts.systemd_version.clone();
        findings.push(match version(&systemd) {
            Some((major, _)) if major < OLDEST_SYSTEMD => {
                DoctorFinding::warning(HostHealth::SystemdOlderThanTried { version: systemd, oldest: OLDEST_SYSTEMD })
            }
            _ => DoctorFinding::fine(HostHealth::SystemdTried { version: systemd }),
        });
        let (release, system_type) = (facts.kernel.clone(), facts.system_type.clone());
        findings.push(DoctorFinding::fine(HostHealth::KernelSeen { release, system_type }));
        let login = self.examined.login.clone();
        findings.push(match copying {
            Copying::Trusted => DoctorFinding::fine(HostHealth::CopyTaken),
            Copying::BuiltThere => DoctorFinding::fine(HostHealth::BuiltThere { login }),
            Copying::KeyUnusable { path, said } => {
                let fault = BuildFault::SignKeyUnusable { path: path.clone(), said: said.clone() };
                DoctorFinding::taken(Severity::Blocker, fault, Stake::PushRefused)
            }
            Copying::Signed { key } => DoctorFinding::fine(HostHealth::SignatureTrusted { login, key: key.clone() }),
            Copying::NewSigned { key, file } => {
                DoctorFinding::warning(HostHealth::OnlyNewSigned { login, key: key.clone(), file: file.clone() })
            }
            // Also where the host does not trust what has signed the last push: the key may be another one since.
            Copying::SignedUnread { file } => {
                DoctorFinding::warning(HostHealth::SignatureUnread { login, file: file.clone() })
            }
            Copying::ByCache { cache, key } => {
                DoctorFinding::warning(HostHealth::OnlyByCache { login, cache: cache.clone(), key: key.clone() })
            }
            Copying::SignedElsewhere { key } => {
                DoctorFinding::warning(HostHealth::OnlySignedElsewhere { login, key: key.clone() })
            }
            Copying::Untrusted { key } => {
                DoctorFinding::blocker(HostHealth::LoginNotTrusted { login, key: key.clone() })
            }
            Copying::NotTold if login == "root" => DoctorFinding::fine(HostHealth::CopyTaken),
            Copying::NotTold => DoctorFinding::warning(HostHealth::LoginTrustUntold { login }),
            Copying::Garbled(said) => {
                let (machine, said) = (self.host.name.to_string(), said.clone());
                let fault = CopyFault::CopyGarbled { machine, said };
                DoctorFinding::taken(Severity::Blocker, fault, Stake::PushRefused)
            }
            Copying::Failed(error) => DoctorFinding::blocker(HostHealth::CopyUnanswered {
                error: error.clone(),
                daemon_in_path: self.examined.programs.contains("nix-daemon"),
            }),
            Copying::NotAsked => DoctorFinding::warning(HostHealth::CopyUntried),
        });
    }

    /// Only a copy that fetches from them waits for binary caches.
    fn caches(&self, findings: &mut Vec<DoctorFinding>) {
        let fetches_by_itself = || {
            let is_filled = self.host.build_on.machine(&self.host.name).is_none();
            is_filled && self.fleet.cache.as_ref().is_some_and(|cache| cache.from.is_none())
        };
        if self.host.nix.substitute_on_destination != Substitute::Never || fetches_by_itself() {
            let silent = self.examined.silent_caches.iter();
            findings.extend(silent.map(|url| DoctorFinding::warning(HostHealth::CacheSilent { url: url.clone() })));
        }
    }

    /// Whether the host reaches what it is to fetch from. The host that is the cache has everything.
    fn fleet_cache(&self, copying: &Copying, findings: &mut Vec<DoctorFinding>) {
        let cache = self.fleet.cache.as_ref().filter(|cache| cache_host(self.fleet, cache) != Some(&self.host.name));
        let Some((from, seen)) = cache.and_then(|cache| cache.from.as_ref()).zip(self.examined.fleet_cache.as_ref())
        else {
            return;
        };
        let cache = url_without_login(from);
        findings.push(match seen {
            CacheSeen::Has(_) | CacheSeen::Lacks => DoctorFinding::fine(HostHealth::FleetCacheAnswers { cache }),
            CacheSeen::Bare => DoctorFinding::warning(HostHealth::FleetCacheBare { cache }),
            CacheSeen::Silent { said } | CacheSeen::Untold { said } => {
                let silent = HostHealth::FleetCacheSilent { cache, said: said.clone() };
                match (copying, seen) {
                    // What is copied instead it does not take.
                    (Copying::ByCache { .. }, CacheSeen::Silent { .. }) => {
                        DoctorFinding::taken(Severity::Blocker, silent, Stake::PushRefused)
                    }
                    _ => DoctorFinding::warning(silent),
                }
            }
        });
    }

    fn space(&self, findings: &mut Vec<DoctorFinding>) {
        for space in &self.examined.condition.spaces {
            let (place, free_bytes, size_bytes) = (space.place.clone(), space.free, space.size);
            findings.push(if !space.is_little() {
                DoctorFinding::fine(HostHealth::SpaceEnough { place, free_bytes, size_bytes })
            } else if space.is_none() {
                // What is copied and rooted goes to these; the boot loader's place is not written before the decision.
                let refuses = free_bytes == 0 && ["/", "/nix/store"].contains(&place.as_str());
                let severity = if refuses { Severity::Blocker } else { Severity::Warning };
                DoctorFinding::new(severity, HostHealth::SpaceUsedUp { place, free_bytes, size_bytes })
            } else {
                DoctorFinding::warning(HostHealth::SpaceScarce { place, free_bytes, size_bytes })
            });
        }
    }

    fn network(&self, findings: &mut Vec<DoctorFinding>) {
        let examined = self.examined;
        match examined.clock_ahead {
            Some(ahead) if ahead.unsigned_abs() > CLOCK_SECONDS => {
                let ahead_ms = ahead.saturating_mul(1000);
                findings.push(DoctorFinding::warning(HostHealth::ClockOff { ahead_ms }));
            }
            Some(_) => findings.push(DoctorFinding::fine(HostHealth::ClockRight)),
            None => {}
        }
        let Some(vpn) = self.host.vpn.clone() else { return };
        if examined.addresses.is_empty() {
            return;
        }
        // fd00:0::2 and fd00::2 are one address.
        let same = |address: &String| match (address.parse::<IpAddr>(), vpn.parse::<IpAddr>()) {
            (Ok(address), Ok(vpn)) => address == vpn,
            _ => *address == vpn,
        };
        findings.push(if examined.addresses.iter().any(same) {
            DoctorFinding::fine(HostHealth::VpnAddressThere { vpn })
        } else {
            DoctorFinding::warning(HostHealth::VpnAddressMissing { vpn })
        });
    }

    fn sshd(&self, findings: &mut Vec<DoctorFinding>) {
        let setting = |key: &str| self.examined.sshd.get(key).map(String::as_str);
        match setting("maxsessions").and_then(|sessions| sessions.parse::<u64>().ok()) {
            Some(sessions) if sessions < SESSIONS => {
                findings.push(DoctorFinding::warning(HostHealth::SshSessionsFew { sessions, needed: SESSIONS }));
            }
            Some(_) => findings.push(DoctorFinding::fine(HostHealth::SshSessionsEnough)),
            None => {}
        }
        let name = &self.host.name;
        // Where the hosts behind it answer it does forward, whatever is written above a `Match` of its settings. Where
        // one does not, that is what refuses a push, and this may be the cause.
        let silent_behind = |host: &Host| {
            matches!(&host.jump, Some(Jump::Host(jump)) if jump == name) && self.silent.contains(&host.name)
        };
        let forwards_nothing = matches!(setting("allowtcpforwarding"), Some("no" | "remote"))
            || setting("disableforwarding") == Some("yes");
        if forwards_nothing && self.fleet.hosts.iter().any(silent_behind) {
            findings.push(DoctorFinding::warning(HostHealth::SshForwardsNothing));
        }
        if setting("persourcepenalties").is_some_and(|penalties| penalties != "no") {
            findings.push(DoctorFinding::fine(HostHealth::SshPenaltiesOn));
        }
    }

    fn rest(&self, findings: &mut Vec<DoctorFinding>) {
        let facts = &self.examined.condition.facts;
        for note in &facts.notes {
            findings.push(DoctorFinding::warning(HostHealth::RebootDoubt { said: note.clone() }));
        }
        let units = facts.standing.failed_units.clone();
        findings.push(if units.is_empty() {
            DoctorFinding::fine(HostHealth::NoUnitFailed)
        } else {
            let (fleet, host) = (self.fleet.name.clone(), self.host.name.clone());
            DoctorFinding::warning(Ailment::FailedUnitsSeen { units, fleet, host })
        });
    }
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
