//! Surveys one host: asks it for every fact, in one round trip.

use std::collections::BTreeSet;

use super::clock::{BootClock, Clock};
use super::orders::HostClock;
use super::reach::Reach;
use crate::event::activity::Doing;
use crate::event::reason::cause::Cause;
use crate::event::{Event, Phase};
use crate::facts::host::{Facts, GuardState, Lease};
use crate::facts::systems::BootFiles;
use crate::facts::traces::EndMark;
use crate::inventory::model::Host;
use crate::remote::answer;
use crate::remote::step::RemoteStep;

/// The facts that the survey of one host brought.
#[derive(Debug, Clone)]
pub struct Answered {
    pub facts: Facts,
    pub clock: HostClock,
}

impl Answered {
    /// The runs that the host holds something of.
    pub(super) fn runs(&self) -> BTreeSet<String> {
        let standing = &self.facts.standing;
        let of_guard = match &standing.guard {
            GuardState::Armed { run, .. } | GuardState::Dead { run, .. } | GuardState::Firing { run } => Some(run),
            GuardState::None | GuardState::Fired { .. } | GuardState::Disarmed { .. } => None,
        };
        // A lease that was given back claims nothing.
        let of_lease = standing.lease.as_ref().filter(|lease| lease.owner != Lease::NOBODY).map(|lease| &lease.run);
        self.facts.survivors.iter().chain(of_guard).chain(of_lease).cloned().collect()
    }

    /// The mark of a run that was ended while hosts were missing, as this host has it.
    pub(super) fn mark(&self, run: &str) -> Option<&EndMark> {
        self.facts.marks.iter().find(|mark| mark.run == run).map(|mark| &mark.ended.mark)
    }

    pub(super) fn holds(&self, run: &str) -> bool {
        self.runs().contains(run)
    }
}

/// What one host answered to its survey; or why there is no answer.
pub type SurveyAnswer = Result<Answered, Cause>;

/// Tells what is being done, and tells a good answer as soon as it is there: a slow host must not hide the answers of
/// the others.
pub(super) async fn aloud(
    host: &Host,
    answer: impl Future<Output = SurveyAnswer>,
    tell: impl Fn(Event),
) -> SurveyAnswer {
    let (host, connect) = (&host.name, host.limits.connect);
    tell(Event::moved_within(host, Doing::Connecting, connect));
    let answer = answer.await;
    if let Ok(Answered { facts, .. }) = &answer {
        tell(Event::HostSurveyed {
            host: host.clone(),
            nixos: facts.nixos_version.clone(),
            nix: facts.nix_version.clone(),
            systemd: facts.systemd_version.clone(),
            kernel: facts.kernel.clone(),
            boot_files_unproven: match &facts.boot_files {
                Some(BootFiles::Unproven { why }) => Some(why.clone()),
                Some(BootFiles::Whole | BootFiles::Bad { .. }) | None => None,
            },
        });
        tell(Event::HostDone { host: host.clone(), phase: Phase::Survey });
    }
    answer
}

/// Asks one host for its survey; or says why there is none.
pub(super) async fn ask(reach: &Reach, host: &Host) -> SurveyAnswer {
    let script = RemoteStep::Survey.script();
    let limit = host.limits.connect + host.limits.step;
    let raw = reach.run(&host.name, &script, limit).await;
    let at = BootClock.now();
    let raw = raw.map_err(|error| Cause::from(&error))?;
    let facts = answer::facts(&raw.lines).map_err(|error| Cause::from(&error))?;
    Ok(Answered { clock: HostClock { uptime: facts.standing.uptime, at }, facts })
}
