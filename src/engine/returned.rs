//! Takes away what earlier runs have left, before a push begins: leases of rolling reboots that are over, what trials
//! have left at rest, and the traces of a run that was ended on old while a host was missing, if that host is back on
//! old, at rest.
//!
//! The last is what `recover` would do there, by the same rules: every host of the run is asked anew, and nothing is
//! done if anything else would have to be done.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;

use super::epochs::tag;
use super::inquiry::Inquiry;
use super::recover::{FoundRun, RecoverRequest, Recovered, RecoveryRecords, RollingEnded, recover_with};
use super::shutdown::Shutdown;
use super::surroundings::{CleanedUp, Surroundings};
use super::surveyor::{SshSurveyor, Surveyor, let_go_all};
use crate::decide::left_to_guard::LeftRun;
use crate::decide::reboot::trial::left::{TrialLeft, TrialRemedy};
use crate::decide::survey::Surveyed;
use crate::decide::transaction::recover::Aim;
use crate::decide::vocabulary::{Entry, Signal};
use crate::event::reason::any::AnyReason;
use crate::event::reason::cause::Cause;
use crate::event::reason::leftover::Left;
use crate::event::reason::reboot::RebootActivity;
use crate::event::reason::recover::{CleaningUp, RecoverReason};
use crate::event::reason::trying::TryingReason;
use crate::event::stream::Events;
use crate::event::{Event, GUARD_TRACE, Outcome};
use crate::facts::plan::Plan;
use crate::facts::traces::is_of_guard;
use crate::inventory::model::{Fleet, Host, HostName};

/// What a push has cleaned away on a host, for its log.
const CLEANED: &str = "cleaned";

/// The runs that were ended without hosts of this push, which are back on old; and by host what their guards have
/// written there.
type Returned = BTreeMap<String, BTreeMap<HostName, Vec<String>>>;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Leftovers {
    returned: Returned,
    /// Leases of rolling reboots, by the hosts that hold them.
    rolling: BTreeMap<HostName, String>,
    /// What trials have left at rest.
    trials: Vec<TrialAtRest>,
}

/// What a trial has left on a host that stands on one system: its boot loader needs nothing, so that the clean-up moves
/// nothing that the push has seen. The host itself refuses it where anything of any trial goes on there.
#[derive(Debug, Clone, PartialEq, Eq)]
struct TrialAtRest {
    host: HostName,
    run: String,
}

impl TrialAtRest {
    /// A witness keeps it: this push does not wait for a host that it does not change.
    fn all(view: &Surveyed<'_>) -> Vec<Self> {
        if !view.selected {
            return Vec::new();
        }
        let (standing, host) = (&view.facts.standing, &view.host.name);
        let is_still = standing.systems.known_boot_default().is_some() && standing.systems.agree();
        let at_rest = |run: &&String| {
            is_still && TrialLeft::of(run, standing).is_some_and(|left| left.remedy() == TrialRemedy::Clean)
        };
        let runs = standing.trial.survivors.iter().map(|survivor| &survivor.run).filter(at_rest);
        let of = |run: &String| Self { host: host.clone(), run: run.clone() };
        runs.map(of).collect()
    }
}

impl Leftovers {
    pub(super) fn of(fleet: &str, views: &[Surveyed<'_>]) -> Self {
        let rolling = views.iter().filter_map(|view| Some((view.host.name.clone(), view.facts.rolling_over.clone()?)));
        let trials = views.iter().flat_map(TrialAtRest::all).collect();
        Self { returned: returned(fleet, views), rolling: rolling.collect(), trials }
    }
}

/// Takes witnesses of the push, too, and only runs of which every host answers, except those that were missing: the
/// push does not wait for a host here.
fn returned(fleet: &str, views: &[Surveyed<'_>]) -> Returned {
    let mut returned = Returned::new();
    for view in views {
        for run in Left::of(fleet, view, views).iter().filter_map(Left::back_on_old) {
            let is_its = |trace: &&String| is_of_guard(trace, run);
            let traces = view.facts.traces.iter().filter(is_its).cloned().collect();
            returned.entry(run.to_owned()).or_default().insert(view.host.name.clone(), traces);
        }
    }
    returned.retain(|run, _| {
        let marks = || views.iter().flat_map(|view| &view.facts.marks).filter(|mark| mark.run == *run);
        let is_missing =
            |host: &str| marks().any(|mark| mark.ended.mark.missing.keys().any(|name| name.as_str() == host));
        let mut hosts = views.iter().filter_map(|view| view.facts.survivor_hosts.get(run)).flatten();
        hosts.all(|host| is_missing(host) || views.iter().any(|view| view.host.name.as_str() == host))
    });
    returned
}

/// Where it is taken away: by whom, and who hears of it.
struct Clearing<'a> {
    fleet: &'a Fleet,
    /// Hosts that take no part.
    skipped: &'a BTreeSet<HostName>,
    owner: &'a str,
    events: &'a Events,
}

impl Leftovers {
    /// Takes it away. Traces that cannot be cleaned up do not hinder the push: it tells of them, and says what to type.
    ///
    /// # Errors
    /// The signal that has interrupted it.
    pub(super) async fn clear_away(
        &self,
        inquiry: &Inquiry<'_>,
        skipped: &BTreeSet<HostName>,
        owner: &str,
        surroundings: &mut impl Surroundings,
        shutdown: &mut Shutdown,
    ) -> Result<(), Signal> {
        let surveyor = SshSurveyor { reach: Arc::clone(&inquiry.reach) };
        let place = Clearing { fleet: &inquiry.scope.fleet, skipped, owner, events: inquiry.events };
        self.clear_away_with(&surveyor, place, surroundings, shutdown).await
    }

    /// The same over any way to the hosts.
    async fn clear_away_with(
        &self,
        surveyor: &impl Surveyor,
        Clearing { fleet, skipped, owner, events }: Clearing<'_>,
        surroundings: &mut impl Surroundings,
        shutdown: &mut Shutdown,
    ) -> Result<(), Signal> {
        let Self { returned, rolling, trials } = self;
        let over = fleet.hosts.iter().filter_map(|host| Some((host, rolling.get(&host.name)?.as_str())));
        let_go_all(surveyor, over.collect()).await;
        let cleanings = trials.iter().filter_map(|left| {
            let host = fleet.hosts.iter().find(|host| host.name == left.host)?;
            // No installer runs there: it stands on one system.
            let within = host.limits.connect + host.limits.step;
            events.publish(Event::moved_within(&host.name, RebootActivity::CleaningTrial, within));
            let cleaning = surveyor.clean_trial(host, &left.run, "", within);
            Some(cleaning.map(move |answer| (left, answer)))
        });
        let tidied = tokio::select! {
            tidied = futures::future::join_all(cleanings) => tidied,
            signal = shutdown.requested() => return Err(signal),
        };
        for (TrialAtRest { host, run }, answer) in tidied {
            match answer {
                Ok(()) => {
                    let cleaned = TryingReason::TrialCleaned { run: run.clone(), cause: None };
                    let (what, lines) = (CLEANED.to_owned(), vec![cleaned.to_string()]);
                    events.publish(Event::Logged { host: host.clone(), what, lines });
                }
                Err(cause) => {
                    events.publish(Event::warned(Some(host), TryingReason::TrialRemains { cause: cause.into() }));
                }
            }
        }
        for (run, hosts) in returned {
            for event in looking(fleet, skipped, run) {
                events.publish(event);
            }
            let tag = tag();
            let request = RecoverRequest {
                fleet: fleet.clone(),
                owner: format!("{owner}#{tag:04x}"),
                tag,
                known: None,
                run: Some(run.clone()),
                aim: Aim::Returned,
                without: skipped.clone(),
                ended: Vec::new(),
            };
            let mut notes = RecoveryNotes::default();
            // The events of that recovery belong to another run, and are not told here.
            let unheard = Events::new(None);
            let recovered = recover_with(surveyor, &request, &unheard, &mut notes, shutdown).await;
            let mut kept = BTreeMap::new();
            let mut is_ended_here = false;
            let why = match recovered {
                Recovered::Interrupted(signal) | Recovered::Left(LeftRun { signal, .. }) => return Err(signal),
                Recovered::Ended(verdict) => {
                    if let Some(signal) = verdict.interrupted {
                        return Err(signal);
                    }
                    kept = verdict.kept;
                    is_ended_here = true;
                    (verdict.outcome != Outcome::RolledBack).then_some(verdict.text)
                }
                // Another coordinator has done it meanwhile, and written down what there is to be written.
                Recovered::Nothing { silent } | Recovered::NotBegun(RecoverReason::NothingOfRun { silent, .. })
                    if !silent.iter().any(|host| hosts.contains_key(host)) =>
                {
                    None
                }
                Recovered::Nothing { silent } => Some(RecoverReason::NothingOfRun { run: run.clone(), silent }.into()),
                Recovered::NotBegun(why) => Some(why.into()),
                // Neither can have the id of this run, unless a host says so that lies.
                Recovered::Rolling(RollingEnded { run, hosts, .. }) => {
                    let hosts = hosts.into_keys().collect();
                    Some(RecoverReason::HeldByRolling { run, hosts, fleet: fleet.name.clone() }.into())
                }
                Recovered::ByHand { run } => {
                    Some(RecoverReason::HandGuardStillArmed { run, fleet: fleet.name.clone() }.into())
                }
            };
            for (host, cleaned) in cleaned(run, &fleet.name, hosts.keys(), why.as_ref(), &kept) {
                let is_done = matches!(cleaned, RecoverReason::LeftoverRemoved { .. });
                let traces = hosts.get(&host).filter(|_| is_done);
                for trace in traces.into_iter().flatten() {
                    let lines = trace.lines().map(str::to_owned).collect();
                    events.publish(Event::Logged { host: host.clone(), what: GUARD_TRACE.to_owned(), lines });
                }
                events.publish(Event::warned(Some(&host), cleaned));
            }
            // While a mark is left a later recovery has something to do.
            if is_ended_here && why.is_none() && kept.is_empty() {
                let cleaned = CleanedUp { run: run.clone(), epoch: notes.epoch, entries: notes.entries };
                if let Err(error) = surroundings.cleaned_up(&cleaned) {
                    let (run, error) = (run.clone(), error.to_string());
                    events.publish(Event::warned(None, RecoverReason::CleanUpNotRecorded { run, error }));
                }
            }
        }
        Ok(())
    }
}

/// What the hosts show while they are asked, each of them with as long as all may take.
fn looking(fleet: &Fleet, skipped: &BTreeSet<HostName>, run: &str) -> Vec<Event> {
    let asked: Vec<&Host> = fleet.hosts.iter().filter(|host| !skipped.contains(&host.name)).collect();
    let doing = CleaningUp { run: run.to_owned(), limit: longest(&asked) }.to_string();
    asked.iter().map(|host| Event::moved(&host.name, &doing)).collect()
}

/// How long a clean-up may take: all are asked, the first is taken over and then the others, which wait for a switch
/// that is under way; they are cleaned, and who is back goes out of the marks, host by host.
fn longest(asked: &[&Host]) -> Duration {
    let longest = |one: &dyn Fn(&Host) -> Duration| asked.iter().map(|host| one(host)).max().unwrap_or_default();
    let answer = longest(&|host| host.limits.connect + host.limits.step);
    let switch = longest(&|host| host.limits.switch);
    let count = u32::try_from(asked.len()).unwrap_or(u32::MAX);
    2 * (answer + switch) + answer * (2 + count)
}

/// Says of each host that is back, and of each other one where something stays, what was done there. `why`: nothing was
/// cleaned up at all.
fn cleaned<'a>(
    run: &str,
    fleet: &str,
    back: impl Iterator<Item = &'a HostName>,
    why: Option<&AnyReason>,
    kept: &'a BTreeMap<HostName, Cause>,
) -> BTreeMap<HostName, RecoverReason> {
    let cleaned = |host: &HostName| match why.cloned().or_else(|| Some(kept.get(host)?.clone().into())) {
        None => RecoverReason::LeftoverRemoved { run: run.to_owned() },
        Some(cause) => RecoverReason::LeftoverStays { run: run.to_owned(), cause, fleet: fleet.to_owned() },
    };
    back.chain(kept.keys()).map(|host| (host.clone(), cleaned(host))).collect()
}

/// Collects what the recovery would write down. What it tells belongs to another run.
#[derive(Default)]
struct RecoveryNotes {
    epoch: u64,
    entries: Vec<Entry>,
}

impl Surroundings for RecoveryNotes {
    fn tell(&mut self, _: Event) {}

    fn started(&mut self, _: &Plan) -> io::Result<()> {
        Ok(())
    }

    fn record(&mut self, entry: &Entry) -> io::Result<()> {
        self.entries.push(entry.clone());
        Ok(())
    }
}

impl RecoveryRecords for RecoveryNotes {
    fn recovering(&mut self, what: &FoundRun) -> io::Result<()> {
        self.epoch = what.epoch;
        Ok(())
    }

    fn ended_elsewhere(&mut self) {}
}

#[cfg(test)]
mod tests {
    use futures::future::BoxFuture;
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::decide::asking::Continuity;
    use crate::decide::status::tests::{fleet, system, well};
    use crate::decide::time::Times;
    use crate::decide::vocabulary::{Answer, Step};
    use crate::engine::clock::{BootClock, Clock};
    use crate::engine::host_survey::{Answered, SurveyAnswer};
    use crate::engine::hosts::{Hosts, Order, StepNotes};
    use crate::engine::orders::{HostClock, Orders};
    use crate::engine::recover::tests::{RUN, Told, facts, held};
    use crate::event::reason::sample::Sample;
    use crate::facts::host::{Facts, GuardState, Standing};
    use crate::facts::links::{LinkId, Round};
    use crate::facts::plan::HostId;
    use crate::facts::step_answer::{RefusalReason, StepAnswer, StepOutcome};
    use crate::facts::systems::{Roots, Systems};
    use crate::facts::traces::{EndMark, EndSide, Ended, RunMark, RunTraces};
    use crate::facts::trial::{TrialSurvivor, TrialSystems};

    const LAB: &str = "hosts: {vps: , nas: }\nfleets: {lab: {flake: ., hosts: all}}\n";

    fn name(host: &str) -> HostName {
        HostName::new(host).unwrap()
    }

    /// Of a push of `vps`: what is found back, where `nas` was missing when a run was ended on this side.
    fn back(side: EndSide, is_pushed: bool) -> Vec<(String, HostName)> {
        let fleet = fleet(LAB);
        let [mut vps, mut nas]: [Facts; 2] = [well().facts, well().facts];
        let mark = EndMark { side: Some(side), missing: [(name("nas"), None)].into() };
        vps.marks.push(RunMark { run: RUN.to_owned(), ended: Ended { epoch: 9, mark } });
        nas.survivors.push(RUN.to_owned());
        let old = nas.standing.systems.clone();
        assert_eq!(old, Systems::all(&system('a', "1")));
        let roots = Roots { old: Some((old, 12)), new: Some(system('b', "2")) };
        nas.survivor_roots.insert(RUN.to_owned(), roots);
        let new = system('c', "3");
        let view = |(host, facts)| {
            let selected = is_pushed || host == &fleet.hosts[0];
            let times = Times::of(host, fleet.settle, fleet.steady());
            Surveyed { host, selected, facts, new: selected.then_some(&new), times }
        };
        let views: Vec<Surveyed<'_>> = fleet.hosts.iter().zip([&vps, &nas]).map(view).collect();
        let found = Leftovers::of("lab", &views).returned;
        found.into_iter().flat_map(|(run, hosts)| hosts.into_keys().map(move |host| (run.clone(), host))).collect()
    }

    #[test]
    fn who_is_back_on_old_is_cleaned_up_also_as_a_witness_of_the_push() {
        for is_pushed in [true, false] {
            assert_eq!(back(EndSide::Old, is_pushed), [(RUN.to_owned(), name("nas"))], "{is_pushed}");
            assert_eq!(back(EndSide::New, is_pushed), [], "{is_pushed}");
        }
    }

    #[test]
    fn each_host_that_is_asked_shows_so_and_for_how_long() {
        let fleet = fleet(LAB);
        let shown = looking(&fleet, &[name("nas")].into(), RUN);
        let limits = &fleet.hosts[0].limits;
        let limit = 5 * (limits.connect + limits.step) + 2 * limits.switch;
        let limit = humantime::format_duration(limit);
        let doing = format!("cleaning up what run {RUN} has left, {limit} at most");
        assert_eq!(shown, [Event::moved(&name("vps"), doing)]);
    }

    #[test]
    fn something_stays_only_where_it_could_not_be_cleaned_away() {
        let said = |why: Option<&str>, kept: &[&str]| -> Vec<String> {
            let back = [name("nas"), name("vps")];
            let kept = kept.iter().map(|host| (name(host), Cause::NoTimeToAsk)).collect();
            let why = why.map(|why| Sample::new(why, None).into());
            let all = cleaned(RUN, "lab", back.iter(), why.as_ref(), &kept);
            all.into_iter().map(|(host, cleaned)| format!("{host} {cleaned}")).collect()
        };
        let done = |host: &str| format!("{host} what run {RUN} had left here is removed");
        let stays = |host: &str, why: &str| {
            format!(
                "{host} what run {RUN} has left here stays: {why}; `fleetdeploy recover lab --run {RUN}` looks at it"
            )
        };
        assert_eq!(said(None, &[]), [done("nas"), done("vps")]);
        assert_eq!(said(None, &["vps"]), [done("nas"), stays("vps", "there was no time to ask it")]);
        // Such as a mark of who is back on one that was there all the time.
        assert_eq!(said(None, &["web"]), [done("nas"), done("vps"), stays("web", "there was no time to ask it")]);
        assert_eq!(said(Some("it is held"), &[]), [stays("nas", "it is held"), stays("vps", "it is held")]);
    }

    /// Keeps its own record, which is on a disk that may be full.
    struct Push {
        is_full: bool,
        cleaned_up: Vec<CleanedUp>,
    }

    impl Surroundings for Push {
        fn tell(&mut self, event: Event) {
            panic!("what the clean-up tells is another run's: {event:?}");
        }

        fn started(&mut self, _: &Plan) -> io::Result<()> {
            Ok(())
        }

        fn record(&mut self, entry: &Entry) -> io::Result<()> {
            panic!("what the clean-up records is another run's: {entry:?}");
        }

        fn cleaned_up(&mut self, what: &CleanedUp) -> io::Result<()> {
            self.cleaned_up.push(what.clone());
            if self.is_full { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        }
    }

    /// `home` with the mark that a run was ended without `vps`, and `vps`, which is back on old; each does what it is
    /// told.
    #[derive(Clone)]
    struct Back([Facts; 2]);

    impl Back {
        fn new() -> Self {
            let [mut home, mut vps] = [facts(&[]), facts(&[RUN])];
            let mark = EndMark { side: Some(EndSide::Old), missing: [(name("vps"), None)].into() };
            let ended = Ended { epoch: 9, mark };
            home.standing.run_traces = Some(RunTraces { ended: Some(ended.clone()), ..RunTraces::default() });
            home.marks.push(RunMark { run: RUN.to_owned(), ended });
            let roots = Roots { old: Some((vps.standing.systems.clone(), 1)), new: Some(system('b', "2")) };
            vps.survivor_roots.insert(RUN.to_owned(), roots);
            Self([home, vps])
        }
    }

    impl Hosts for Back {
        fn outbid(&self, _: HostId) {}

        fn perform(self: Arc<Self>, host: HostId, order: Order, _: StepNotes) -> BoxFuture<'static, Answer> {
            let ended = || StepOutcome::Refused { reason: RefusalReason::Ended, text: String::new() };
            let is_over = host.0 == 0 && matches!(order.step, Step::TakeOver { .. });
            let outcome = if is_over { ended() } else { StepOutcome::Done };
            let standing = self.0[host.0].standing.clone();
            std::future::ready(Answer::Said(Box::new(StepAnswer { outcome, standing, log: Vec::new() }))).boxed()
        }

        fn round(self: Arc<Self>, _: bool, _: Continuity) -> BoxFuture<'static, (Round, BTreeSet<LinkId>)> {
            panic!("nobody is moved, so no link is asked for")
        }
    }

    impl Surveyor for Back {
        type Hosts = Self;

        fn clock(&self) -> Arc<dyn Clock> {
            Arc::new(BootClock)
        }

        fn ask<'a>(&'a self, host: &'a Host) -> BoxFuture<'a, SurveyAnswer> {
            let facts = self.0[usize::from(host.name.as_str() == "vps")].clone();
            std::future::ready(Ok(Answered { facts, clock: HostClock { uptime: 1000, at: Duration::ZERO } })).boxed()
        }

        fn hosts(&self, _: Orders) -> Arc<Self> {
            Arc::new(self.clone())
        }

        fn dismiss(&self, _: Arc<Self>) -> BoxFuture<'_, ()> {
            std::future::ready(()).boxed()
        }
    }

    /// What a push says that finds `vps` back on old, if the hosts answer so when they are asked anew; and what it
    /// writes down of the end of that run.
    async fn clears(surveyor: impl Surveyor, is_full: bool) -> (Vec<(HostName, String)>, Vec<CleanedUp>) {
        let returned = [(RUN.to_owned(), [(name("vps"), Vec::new())].into())].into();
        clears_all(Leftovers { returned, ..Leftovers::default() }, surveyor, is_full).await
    }

    async fn clears_all(
        leftovers: Leftovers,
        surveyor: impl Surveyor,
        is_full: bool,
    ) -> (Vec<(HostName, String)>, Vec<CleanedUp>) {
        let events = Events::new(None);
        let (told, heard) = std::sync::mpsc::channel();
        let listener = events.listen("test", move |line| {
            let (host, said) = match &line.event {
                Event::Warned { host, text } => (host.clone(), text.code().unwrap_or_default().to_owned()),
                Event::Logged { host, what, lines } if what == CLEANED => (Some(host.clone()), lines.concat()),
                Event::HostMoved { host, doing, within_ms: Some(_), .. } => (Some(host.clone()), doing.clone()),
                _ => return Ok(()),
            };
            told.send((host.unwrap_or_else(|| name("nobody")), said)).map_err(io::Error::other)?;
            Ok(())
        });
        let fleet = crate::engine::recover::tests::fleet();
        let place = Clearing { fleet: &fleet, skipped: &BTreeSet::new(), owner: "ada@laptop", events: &events };
        let mut push = Push { is_full, cleaned_up: Vec::new() };
        let mut shutdown = Shutdown::from_stream(futures::stream::pending());
        let cleared = leftovers.clear_away_with(&surveyor, place, &mut push, &mut shutdown).await;
        assert_eq!(cleared, Ok(()));
        let _ = listener.unwrap().finish(Duration::from_secs(10));
        (heard.try_iter().collect(), push.cleaned_up)
    }

    /// Both hosts answer so.
    fn all(facts: &Facts) -> Told {
        Told::of(["home", "vps"].map(|host| (host, vec![Some(facts.clone())])))
    }

    /// Nobody knows what is left on a host that does not answer any more.
    #[tokio::test]
    async fn what_was_back_and_is_silent_again_is_not_called_clean() {
        let surveyor = Told::of([("home", vec![Some(facts(&[]))]), ("vps", vec![None])]);
        let stays = (name("vps"), "leftover-stays".to_owned());
        assert_eq!(clears(surveyor, false).await, (vec![stays], Vec::new()));
    }

    #[tokio::test]
    async fn what_is_cleaned_away_is_written_down_as_the_end_of_that_run() {
        for is_full in [false, true] {
            let (told, cleaned_up) = Box::pin(clears(Back::new(), is_full)).await;
            let removed = (name("vps"), "leftover-removed".to_owned());
            let not_recorded = (name("nobody"), "clean-up-not-recorded".to_owned());
            assert_eq!(told, if is_full { vec![removed, not_recorded] } else { vec![removed] });
            let [CleanedUp { run, epoch, entries }] = cleaned_up.as_slice() else { panic!("{cleaned_up:?}") };
            assert_eq!((run.as_str(), entries.last()), (RUN, Some(&Entry::Finished { outcome: Outcome::RolledBack })));
            assert!(*epoch > 9, "{epoch}");
        }
    }

    /// There is nothing to be written down either: this run has ended nothing.
    #[tokio::test]
    async fn what_another_coordinator_has_cleaned_away_meanwhile_does_not_stay() {
        let is_removed = (name("vps"), "leftover-removed".to_owned());
        assert_eq!(clears(all(&facts(&[])), false).await, (vec![is_removed], Vec::new()));
    }

    /// A trial that goes on, or that ended with its host between two systems, is not a push's affair.
    #[tokio::test]
    async fn what_a_trial_has_left_at_rest_is_cleaned_before_the_push_begins() {
        let fleet = fleet(LAB);
        let left = |change: &dyn Fn(&mut Standing)| {
            let mut facts = well().facts;
            let systems = TrialSystems { booted: system('b', "0"), tried: system('a', "1"), before: system('a', "1") };
            let survivor = TrialSurvivor {
                run: RUN.to_owned(),
                owner: "ada@laptop".to_owned(),
                systems: Some(systems),
                seconds: 900,
                kept_by_firmware: false,
                proven: true,
                over: true,
                failed: None,
                trace: None,
            };
            facts.standing.trial.survivors.push(survivor);
            change(&mut facts.standing);
            let host = &fleet.hosts[0];
            let times = Times::of(host, fleet.settle, fleet.steady());
            let of = |selected| Leftovers::of("lab", &[Surveyed { host, selected, facts: &facts, new: None, times }]);
            assert_eq!(of(false), Leftovers::default(), "of a witness");
            of(true)
        };
        let armed = GuardState::Armed { run: RUN.to_owned(), deadline: 2000 };
        assert_eq!(left(&|at| at.guard = armed.clone()), Leftovers::default());
        assert_eq!(left(&|at| at.systems.boot_default = system('b', "0")), Leftovers::default());
        assert_eq!(left(&|at| at.trial.survivors[0].failed = Some("no login".to_owned())), Leftovers::default());
        let leftovers = left(&|_| ());
        assert_eq!(leftovers.trials.len(), 1);
        let (told, _) = clears_all(leftovers, all(&facts(&[])), false).await;
        let cleaned = format!("what a trial of run {RUN} had left here is cleaned away");
        assert_eq!(told, [(name("vps"), "cleaning up after its trial".to_owned()), (name("vps"), cleaned)]);
    }

    /// Whoever began the rolling reboot ends it; the push goes on all the same.
    #[tokio::test]
    async fn what_a_rolling_reboot_holds_meanwhile_stays_and_says_why() {
        let stays = (name("vps"), "leftover-stays".to_owned());
        assert_eq!(clears(all(&held(&[RUN])), false).await, (vec![stays], Vec::new()));
    }
}
