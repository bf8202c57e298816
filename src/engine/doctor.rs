//! Looks at the workstation and at every host for anything that would stop a push. It changes nothing.

mod ahead;
mod trust;
mod workstation;

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::StreamExt;
use tokio::sync::oneshot;

use super::ask::{Gathered, NoAnswer, gather};
use super::causes::chain;
use super::clock::{BootClock, Clock};
use super::host_survey::Answered;
use super::inquiry::{FleetScope, Inquiry, plan};
use super::orders::HostClock;
use super::survey::FleetSurvey;
use crate::decide::absent::{self, Silence};
use crate::decide::baseline;
use crate::decide::doctor::{
    Copying, DoctorFinding, Examined, FleetFindings, Severity, Visit, another_system, as_pushed, of_hosts,
};
use crate::decide::look_ahead;
use crate::decide::waves::Waves;
use crate::event::activity::Doing;
use crate::event::reason::doctor::Stake;
use crate::event::stream::Events;
use crate::event::{Event, Phase};
use crate::facts::links::Link;
use crate::inventory::model::{Fleet, Host, HostName};
use crate::nix;
use crate::remote::answer::{self, AnswerError};
use crate::remote::step::{AskUnits, RemoteStep};
use crate::remote::{ConnectCause, StepError, Workspace};

use ahead::{SeenAhead, await_seen};
use trust::{CopyAnswer, Signers, StoreAsked, asked_cache, served};

pub use workstation::{has_ssh, workstation};

/// How long a program of the workstation may take to say its state.
const LIMIT: Duration = Duration::from_secs(20);

/// What a look at a whole fleet has found.
#[derive(Debug, Default)]
pub struct Diagnosis {
    /// In the inventory's order: the selected hosts, and each witness that a push would say something of.
    pub hosts: Vec<(HostName, Vec<DoctorFinding>)>,
    /// Of the fleet's links.
    pub fleet: Vec<DoctorFinding>,
}

/// Looks at a fleet as a push would that changes every selected host: surveys it, and looks at its baseline, with new
/// logins. `signing`: the keys of the nix here; `None`: there is no nix to ask with.
///
/// It runs no program that the inventory names: the links of such checks are not looked at.
pub async fn diagnose(
    scope: &FleetScope,
    waves: &Waves,
    workspace: Arc<Workspace>,
    signing: Option<&nix::SigningKeys>,
    events: &Events,
) -> Diagnosis {
    let inquiry = Inquiry::new(scope, workspace, events);
    let diagnosis = inquiry.diagnose(waves, signing).await;
    inquiry.reach.close().await;
    diagnosis
}

impl Inquiry<'_> {
    /// The evaluation goes on beside the look at the hosts, and ends with it.
    async fn diagnose(&self, waves: &Waves, signing: Option<&nix::SigningKeys>) -> Diagnosis {
        let (tell, seen) = oneshot::channel();
        let evaluate = async {
            if signing.is_some() {
                let _ = tell.send(Box::pin(self.configurations()).await);
            }
            std::future::pending::<Infallible>().await
        };
        tokio::select! {
            diagnosis = Box::pin(self.examine_all(waves, signing, seen)) => diagnosis,
            never = evaluate => match never {},
        }
    }

    async fn examine_all(
        &self,
        waves: &Waves,
        signing: Option<&nix::SigningKeys>,
        seen: oneshot::Receiver<SeenAhead>,
    ) -> Diagnosis {
        let has_nix = signing.is_some();
        let FleetScope { fleet, selected, without, .. } = self.scope;
        let hosts = || fleet.hosts.iter().filter(|host| !without.contains(&host.name));
        let asked = StoreAsked::default();
        let signing = signing.map(|keys| (keys, &asked));
        let gathered: BTreeMap<HostName, Gathered<Examination>> =
            gather(hosts(), Phase::Ask, self.events, |host| self.examine(host, signing)).collect().await;
        let copying = copying_to(fleet, &gathered);
        let mut survey =
            FleetSurvey { answered: BTreeMap::new(), skipped: without.clone(), all_answer_that_must: true };
        let mut visits = Vec::new();
        let (mut silent, mut of_silent) = (BTreeSet::new(), Vec::new());
        for host in hosts() {
            let name = host.name.clone();
            match &gathered[&name] {
                Ok(answers) => {
                    visits.push(Visit { host, examined: &answers.examined, copying: copying.get(&name) });
                    survey.answered.insert(name, answers.surveyed.clone());
                }
                Err(no_answer) => {
                    let silence = Silence::of(host, selected);
                    match silence {
                        Silence::Skipped => _ = survey.skipped.insert(name.clone()),
                        Silence::MustAnswer => {
                            survey.all_answer_that_must = false;
                            silent.insert(name.clone());
                        }
                        Silence::Witness => {}
                    }
                    of_silent.push((name, of_silence(host, no_answer, silence)));
                }
            }
        }
        let mut found = of_hosts(fleet, &visits, &silent, waves);
        for (name, finding) in of_silent {
            found.hosts.entry(name).or_default().push(finding);
        }
        found.take(self.needed_witnesses(&survey));
        let (not_run, links): (Vec<Link>, Vec<Link>) =
            self.links(&survey).into_iter().partition(|link| link.probe.is_command());
        // What is down at a host that is silent is said by its silence, also of a witness that is needed.
        let is_silent = |host: &Host| !survey.answered.contains_key(&host.name) && !survey.skipped.contains(&host.name);
        let is_told = |link: &Link| hosts().any(|host| is_silent(host) && absent::touches(link, host));
        let links: Vec<Link> = links.into_iter().filter(|link| !is_told(link)).collect();
        let another = another_system();
        let plan = plan(&as_pushed(fleet, &visits, &another), links);
        found.take(baseline::not_tried(&plan, &not_run));
        if !visits.is_empty() {
            self.tell(Event::PhaseStarted { phase: Phase::Baseline });
            // Also where the hosts that are to change are silent: once they answer, a push of them goes this far.
            let baseline = self.look_at_baseline(plan, &survey.skipped, true, AskUnits::Yes).await;
            if let Some(probing) = baseline.probing {
                probing.stop().await;
            }
            found.take(baseline.findings);
            if has_nix {
                match await_seen(seen).await {
                    Ok(configured) => {
                        let views = as_pushed(fleet, &visits, &another);
                        let selected: Vec<_> = views.into_iter().filter(|view| view.selected).collect();
                        let (links, now) = (&baseline.plan.links, &baseline.plan.baseline);
                        found.take(look_ahead::judge(&selected, links, now, &configured));
                    }
                    Err(not_seen) => found.fleet.push(DoctorFinding::not_seen_ahead(not_seen)),
                }
            }
        }
        let FleetFindings { hosts: mut of_hosts, fleet: of_fleet } = found.sorted();
        let hosts = hosts().filter_map(|host| Some((host.name.clone(), of_hosts.remove(&host.name)?))).collect();
        Diagnosis { hosts, fleet: of_fleet }
    }

    async fn examine(&self, host: &Host, signing: Option<(&nix::SigningKeys, &StoreAsked)>) -> Gathered<Examination> {
        let cache = asked_cache(&self.scope.fleet, host, self.scope.selected.contains(&host.name));
        let script = RemoteStep::Doctor { cache }.script();
        let raw = self.reach.run(&host.name, &script, host.limits.connect + host.limits.step).await?;
        let at = BootClock.now();
        let here = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let mut examined = answer::examined(&raw.lines)?;
        let here = i64::try_from(here.as_secs()).unwrap_or(i64::MAX);
        examined.clock_ahead = examined.now.map(|now| now.saturating_sub(here));
        let copying = match (self.scope.selected.contains(&host.name), signing) {
            (false, _) => None,
            (true, None) => Some(CopyAnswer::Told(Copying::NotAsked)),
            (true, Some((keys, asked))) => Some(self.ask_nix(host, &examined, keys, asked).await),
        };
        let facts = examined.condition.facts.clone();
        let surveyed = Answered { clock: HostClock { uptime: facts.standing.uptime, at }, facts };
        Ok(Examination { examined, surveyed, copying })
    }

    /// Asks whether a copy to the host would be taken.
    async fn ask_nix(
        &self,
        host: &Host,
        examined: &Examined,
        signing: &nix::SigningKeys,
        asked: &StoreAsked,
    ) -> CopyAnswer {
        let machine = host.build_on.machine(&host.name);
        // By the keys of the nix here is signed what is built here; by the inventory's what is copied, from anywhere.
        let signing = if machine.is_none() { signing.clone() } else { nix::SigningKeys::default() };
        let mut of_inventory = None;
        if let Some(key) = &host.nix.sign_key {
            match nix::public_key(key, LIMIT).await {
                Ok(key) => of_inventory = Some(key),
                Err(fault) => {
                    let path = key.display().to_string();
                    return CopyAnswer::Told(Copying::KeyUnusable { path, said: chain(&fault) });
                }
            }
        }
        self.tell(Event::moved_within(&host.name, Doing::AskedForItsNix, host.limits.connect + LIMIT));
        let ssh_options = self.reach.workspace().nix_ssh_options();
        let store = nix::Destination {
            host: &host.name,
            alias: &host.name,
            ssh_options: &ssh_options,
            substitute: false,
            from: None,
        };
        CopyAnswer::Told(match nix::ping(Some(store), host.limits.connect + LIMIT).await {
            Ok(_) if machine == Some(&host.name) => Copying::BuiltThere,
            Ok(nix::Pinged { trusted: Some(true), .. }) => Copying::Trusted,
            Ok(nix::Pinged { trusted: Some(false), .. }) => {
                let current = &examined.condition.facts.standing.systems.current;
                let (fleet, trusted) = (&self.scope.fleet, &examined.trusted_keys);
                let signers = Signers::look((of_inventory, signing), fleet, current, trusted, asked, LIMIT).await;
                return CopyAnswer::Untrusted(signers);
            }
            Ok(nix::Pinged { trusted: None, .. }) => Copying::NotTold,
            Err(error) => {
                let said = chain(&error);
                nix::printed_before(&said).map_or(Copying::Failed(said), Copying::Garbled)
            }
        })
    }
}

/// The answers of one host.
struct Examination {
    examined: Examined,
    surveyed: Answered,
    /// `None`: it is a witness.
    copying: Option<CopyAnswer>,
}

/// Says what becomes of a copy to each host that is no witness. What one has seen of the fleet's cache tells of the
/// others, too.
fn copying_to(fleet: &Fleet, gathered: &BTreeMap<HostName, Gathered<Examination>>) -> BTreeMap<HostName, Copying> {
    let answers = || gathered.iter().filter_map(|(name, answers)| Some((name, answers.as_ref().ok()?)));
    let served = served(answers().filter_map(|(_, answers)| answers.examined.fleet_cache.as_ref()));
    let judged = |(name, Examination { examined, copying, .. }): (&HostName, &Examination)| {
        let copying = match copying.as_ref()? {
            CopyAnswer::Told(copying) => copying.clone(),
            CopyAnswer::Untrusted(signers) => {
                let host = fleet.hosts.iter().find(|host| host.name == *name)?;
                signers.judge(fleet, host, &examined.trusted_keys, examined.fleet_cache.as_ref(), served.as_ref())
            }
        };
        Some((name.clone(), copying))
    };
    answers().filter_map(judged).collect()
}

/// By which keys this workstation's Nix signs.
pub async fn signing_here() -> nix::SigningKeys {
    nix::signing_keys(LIMIT).await
}

/// Says why a host cannot be examined at all.
fn of_silence(host: &Host, no_answer: &NoAnswer, silence: Silence) -> DoctorFinding {
    // Whether a silent witness is needed depends on the links.
    let severity = if silence == Silence::MustAnswer { Severity::Blocker } else { Severity::Warning };
    let stake = match no_answer {
        NoAnswer::Senseless(AnswerError::NotNixos) => Stake::NixosNeeded,
        NoAnswer::Step(StepError::NotRoot { refusal, .. }) => {
            Stake::RootNeeded { user: host.user.clone(), by: refusal.by.clone(), lack: refusal.why }
        }
        NoAnswer::Step(StepError::NoLogin { source, .. }) => match &source.cause {
            ConnectCause::AuthRefused(_) | ConnectCause::AgentFailed { .. } => {
                Stake::KeyNeeded { user: host.user.clone() }
            }
            ConnectCause::UnknownHostKey { .. } | ConnectCause::ChangedHostKey { .. } => Stake::IdentityNeeded,
            _ => match silence {
                Silence::Skipped => Stake::OptionalAway,
                Silence::Witness => Stake::WitnessAway,
                Silence::MustAnswer => Stake::Away { host: host.name.clone() },
            },
        },
        _ => Stake::LoginNeeded,
    };
    DoctorFinding::taken(severity, no_answer.reason(), stake)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use pretty_assertions::assert_eq;

    use super::*;
    use crate::facts::privilege::{RootLack, RootProgram};
    use crate::inventory::model::Inventory;
    use crate::remote::{ConnectError, RootRefusal};

    fn judged(optional: bool, no_answer: &NoAnswer) -> DoctorFinding {
        let text =
            format!("hosts: {{nas: {{user: ada, optional: {optional}}}}}\nfleets: {{lab: {{flake: ., hosts: all}}}}\n");
        let loaded = Inventory::parse(Path::new("inventory.yaml"), Path::new("/"), &text).unwrap();
        let host = &loaded.inventory.hosts[0];
        of_silence(host, no_answer, Silence::of(host, &BTreeSet::from([host.name.clone()])))
    }

    fn no_login(cause: ConnectCause) -> NoAnswer {
        let source = ConnectError { machine: "nas".into(), by_hand: "ssh ada@nas".into(), cause };
        let host = HostName::new("nas").unwrap();
        NoAnswer::Step(StepError::NoLogin { host, script: "doctor", source: Box::new(source) })
    }

    fn no_root(why: RootLack) -> NoAnswer {
        let refusal = RootRefusal { by: RootProgram::Sudo, why };
        let (host, stderr_tail) = (HostName::new("nas").unwrap(), String::new());
        NoAnswer::Step(StepError::NotRoot { host, script: "doctor", refusal, stderr_tail })
    }

    #[test]
    fn silence_has_a_cause_and_its_mend_is_configuration_where_it_can_be() {
        for (no_answer, what, mend) in [
            (no_login(ConnectCause::TimedOut(Duration::from_secs(5))), "no answer within 5 s", "ssh ada@nas"),
            (
                no_login(ConnectCause::UnknownHostKey { fingerprint: None }),
                "host key is not known",
                "compare the fingerprint",
            ),
            (
                no_login(ConnectCause::AuthRefused("Permission denied".into())),
                "Permission denied",
                "users.users.ada.openssh",
            ),
            (no_root(RootLack::Password), "sudo wants a password", "security.sudo.wheelNeedsPassword = false;"),
            (no_root(RootLack::Permission), "does not allow it", "users.users.ada.extraGroups = [ \"wheel\" ];"),
            (no_root(RootLack::Program), "there is no sudo", "security.sudo.enable = true;"),
            (AnswerError::NotNixos.into(), "not a NixOS", "nixos-anywhere"),
        ] {
            let finding = judged(false, &no_answer);
            assert_eq!(finding.severity, Severity::Blocker, "{finding:?}");
            assert!(finding.what.to_string().contains(what) && !finding.why().is_empty(), "{finding:?}");
            assert!(finding.mend().as_deref().unwrap_or_default().contains(mend), "{finding:?}");
        }
    }

    #[test]
    fn an_optional_host_that_is_away_blocks_nothing() {
        let finding = judged(true, &no_login(ConnectCause::TimedOut(Duration::from_secs(5))));
        assert_eq!(finding.severity, Severity::Warning);
        assert!(finding.why().contains("goes on without it"), "{finding:?}");
    }
}
