//! `push`: runs the transaction.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::time::{Instant, SystemTime};

use clap::Args;
use futures::FutureExt;

use super::reboot::TryingArgs;
use super::shared::conclusion::{Conclusion, millis};
use super::shared::confirm::ensure_somebody_can_be_asked;
use super::shared::fleet_context::{FleetContext, owner};
use super::shared::former::former_copies;
use super::shared::history::{colour, columns, print};
use super::shared::hooks::HooksOfPush;
use super::shared::push_record::{PushListener, PushRecord, would_refuse};
use super::shared::reports::{ReportArgs, Reports};
use super::{CommandResult, FAREWELL, Trouble, farewell};
use crate::commands::shared::evaluation::EvaluationArgs;
use crate::commands::shared::fleet_hosts::{BuildOnArgs, FleetHostsArgs};
use crate::commands::shared::global::GlobalArgs;
use crate::commands::shared::terms::{ShowingArgs, SourceArgs, TermsArgs};
use crate::decide::reboot::trial::TrialWish;
use crate::decide::rollback::To;
use crate::decide::sending::FormerCopies;
use crate::decide::survey::Allowed;
use crate::decide::waves::Waves;
use crate::engine::inquiry::FleetScope;
use crate::engine::push::{Preview, PushRequest, Pushed, push};
use crate::engine::shutdown::Shutdown;
use crate::event::forecast::Forecast;
use crate::event::reason::any::AnyReason;
use crate::event::reason::command::CommandNote;
use crate::event::reason::command_end::CommandEnd;
use crate::event::stream::Events;
use crate::event::{Event, HostOutcome, Outcome};
use crate::exit::{Ending, status};
use crate::inventory::Overrides;
use crate::inventory::model::{Fleet, HostName};
use crate::record::run_id::RunId;
use crate::ui::Screen;
use crate::ui::forecast::{ForecastStyle, render};
use crate::ui::mode::Mode;

/// Push new systems to a fleet: all hosts or none
///
/// Builds every system, copies them, arms on every host a guard that brings the old system back, activates the new
/// systems, logs in anew and probes every link, and only then makes them permanent and disarms the guards. If anything
/// fails, every host goes back to the system it ran; if you press Ctrl-C, too, unless the systems are being made
/// permanent already: that is finished. If this workstation dies, the guards bring the hosts back.
///
/// A push runs what its inventory says: it evaluates the flake, runs the hooks and the `command` checks of the
/// workstation here, as you, and those of the hosts there, as root. --dry-run runs neither hooks nor checks.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "\
Examples:
  fleetdeploy push homelab --dry-run           what would happen? touches nothing
  fleetdeploy push homelab                     the whole fleet
  fleetdeploy push homelab --on vps,@edge      only some hosts; the others are witnesses
  fleetdeploy push homelab --without web       web is switched off; the others go on
  fleetdeploy push homelab --canary nas        one host first; the others once it and all links hold
  fleetdeploy push homelab --waves 1,25%       one host, then a quarter of them, then all the others
  fleetdeploy push homelab --guard 30m         more time before the guards fire
  fleetdeploy push homelab --ask               shows the plan, and asks before it touches a host
  fleetdeploy push homelab --rename web        web gets another name with its new system
  fleetdeploy push homelab --reboot            and then reboot for a new kernel, host by host

Exit status:
  0  committed, or nothing to do
  1  refused or rolled back: every touched host was seen on its old system
     (also: committed, and a host said no to its reboot)
  2  usage or inventory
  3  split: some hosts are not where they should be; look now
     (also: committed, and a host was lost in its reboot)
  130, 143, 129  interrupted and rolled back
     (also: committed, and no further host was rebooted)")]
pub struct PushArgs {
    #[command(flatten)]
    pub fleet: FleetHostsArgs,
    #[command(flatten)]
    pub terms: TermsArgs,
    #[command(flatten)]
    pub building: BuildOnArgs,
    #[command(flatten)]
    pub source: SourceArgs,
    #[command(flatten)]
    pub showing: ShowingArgs,
    #[command(flatten)]
    pub evaluation: EvaluationArgs,
    #[command(flatten)]
    pub reports: ReportArgs,
    /// After the commit, reboot the hosts that need it for their new systems, one after the other; also those that had
    /// them already
    ///
    /// As `fleetdeploy reboot` does it: each is proven back before the next, whatever `--waves` says of the test; and
    /// what a host did not boot last is tried first, where the host can do that.
    #[arg(long)]
    pub reboot: bool,
    /// With --reboot: reboot into the new systems at once, as `fleetdeploy reboot --no-trial`
    #[arg(long, requires = "reboot", conflicts_with = "trial")]
    pub no_trial: bool,
    /// With --reboot: refuse to reboot a host that cannot try its new system, as `fleetdeploy reboot --trial`
    ///
    /// Nothing is pushed then, if it can be told before; what is found out after the commit, which stays, means that no
    /// host is rebooted.
    #[arg(long, requires = "reboot")]
    pub trial: bool,
}

pub(super) async fn run(global: &GlobalArgs, mode: Mode, arguments: &PushArgs) -> CommandResult {
    let mut context = prepare(global, &arguments.fleet, &arguments.terms)?.built_on(&arguments.building)?;
    arguments.evaluation.lay_over(&mut context.fleet.evaluation)?;
    let wanted = Wanted::new(&context, &arguments.terms, first(arguments.showing))?;
    let trying = TryingArgs { no_trial: arguments.no_trial, trial: arguments.trial };
    go(
        global,
        mode,
        &context,
        Wanted {
            reboot: arguments.reboot.then_some(trying.wish()),
            clean: arguments.source.clean,
            reports: arguments.reports.clone(),
            ..wanted
        },
    )
    .await
}

pub(super) fn prepare(global: &GlobalArgs, hosts: &FleetHostsArgs, terms: &TermsArgs) -> Result<FleetContext, Trouble> {
    FleetContext::prepare(global, hosts, &overrides(terms))
}

pub(super) fn overrides(terms: &TermsArgs) -> Overrides {
    let TermsArgs { guard, settle, steady, .. } = terms;
    Overrides { guard: *guard, settle: *settle, steady: *steady, ..Overrides::default() }
}

pub(super) fn first(showing: ShowingArgs) -> Preview {
    let ShowingArgs { dry_run, units, diff, ask } = showing;
    match (dry_run, ask, diff) {
        (true, _, _) => Preview::ShowPlan { units },
        // What is shown before the question has the differences in it.
        (false, true, _) => Preview::Ask,
        (false, false, true) => Preview::ShowDifferences,
        (false, false, false) => Preview::Nothing,
    }
}

/// The wishes for a push, whichever command has them.
pub(super) struct Wanted {
    pub(super) allowed: Allowed,
    pub(super) accept_failed: BTreeSet<String>,
    /// Hosts that may get another name.
    pub(super) renamed: BTreeSet<HostName>,
    pub(super) waves: Waves,
    pub(super) first: Preview,
    /// Whether hosts are rebooted after it, and then which new systems are tried first.
    pub(super) reboot: Option<TrialWish>,
    /// Whether only a tree without changes is taken.
    pub(super) clean: bool,
    pub(super) reports: ReportArgs,
    /// Where a rollback goes: to systems that the hosts have already.
    pub(super) back: Option<To>,
}

impl Wanted {
    /// A push to new systems, without a reboot.
    pub(super) fn new(context: &FleetContext, terms: &TermsArgs, first: Preview) -> Result<Self, Trouble> {
        let allowed = Allowed { drift: terms.accept_drift, broken: terms.allow_broken };
        let sizes = if terms.waves.is_empty() { &context.fleet.waves } else { &terms.waves };
        let waves = Waves { canaries: context.canaries(&terms.canary)?, sizes: sizes.clone() };
        let accept_failed = terms.accept_failed.iter().cloned().collect();
        Ok(Self {
            allowed,
            accept_failed,
            renamed: context.renamed(&terms.rename)?,
            waves,
            first,
            reboot: None,
            clean: false,
            reports: ReportArgs::default(),
            back: None,
        })
    }
}

pub(super) async fn go(global: &GlobalArgs, mode: Mode, context: &FleetContext, wanted: Wanted) -> CommandResult {
    if wanted.first == Preview::Ask {
        ensure_somebody_can_be_asked()?;
    }
    // Signals are listened to before anything is written or asked, so that none is lost.
    let mut shutdown = Shutdown::listen().map_err(Trouble::not_served)?;
    let workspace = context.workspace(&mut shutdown).await?;

    let (mut record, refusal) =
        if wanted.first.is_all() { (None, would_refuse(context)) } else { (Some(PushRecord::open(context)?), None) };
    let scratch = tempfile::tempdir().map_err(|error| Trouble::no_folder(&error))?;
    let run = record.as_ref().map(|record| record.run.clone());
    // A dry run with `--units` has no record, and may leave roots on the hosts if it is killed: `recover` finds them by
    // this id.
    let id = run.clone().unwrap_or_else(|| RunId::new(&context.fleet.name, SystemTime::now()).to_string());
    let events = Events::new(run.clone());
    // The clock starts after the question for a password: the time in which a person types does not count.
    let began = Instant::now();
    let screen = Screen::start(mode, &events).map_err(Trouble::not_served)?;
    let reports = Reports::start(wanted.reports, &context.fleet.hooks, &events);
    let recording = match &mut record {
        Some(record) => Some(record.listen(&events)?),
        None => None,
    };

    let roots = record.as_ref().map_or_else(|| scratch.path().to_owned(), |record| record.folder.join("systems"));
    let mut scope = context.scope(wanted.allowed, roots);
    scope.source.clean = wanted.clean;
    let request = PushRequest {
        scope,
        accept_failed: wanted.accept_failed,
        renamed: wanted.renamed,
        waves: wanted.waves,
        // A rollback copies nothing.
        former: if wanted.back.is_none() { former_copies(&context.fleet.name) } else { FormerCopies::default() },
        back: wanted.back,
        first: wanted.first,
        reboot: wanted.reboot,
        run: id,
        owner: owner(),
    };
    let record_folder = record.as_ref().map(|record| record.folder.clone());
    let record_at = record_folder.as_ref().map(|folder| folder.display().to_string());
    events.publish(push_started(&request, context.inventory.path.display().to_string(), record_at));
    context.warn(&events);
    context.warn_of_no_link(&events);

    let asks_for_units = request.first == (Preview::ShowPlan { units: true });
    if asks_for_units {
        let copies = request.back.is_none();
        events.publish(Event::warned(None, CommandNote::UnitsWillBeAsked { copies }));
    }
    let mut keeper = PushListener::new(&events, screen.follower(), record, &request);
    let source = request.scope.source.clone();
    let record_at = record_folder.as_deref();
    let hooks = HooksOfPush::new(context, &context.selected, run.as_deref(), record_at, source, &events);
    // A rollback takes nothing from the source.
    let looks = request.back.is_none() && (request.scope.source.clean || hooks.begin_before());
    let ready = match Box::pin(find_source(&request.scope, looks, &events, &mut shutdown)).await {
        Ok(()) => {
            let began = hooks.before(&mut shutdown).await;
            if hooks.begin_before() {
                request.scope.source.look_again();
            }
            began.map_err(|stopped| stopped.conclude(&request.scope.fleet))
        }
        Err(concluded) => Err(concluded),
    };
    let concluded = match ready {
        Ok(()) => {
            let pushing = push(&request, workspace, &events, &mut keeper, &mut shutdown);
            // A mistake of ours must not end without a word while guards are armed.
            let pushed = AssertUnwindSafe(pushing).catch_unwind().await;
            conclude(pushed.ok(), keeper.touched, keeper.guarded, &request.scope.fleet)
        }
        Err(concluded) => concluded,
    };
    let mut page = keeper.foreseen.take();
    let concluded = or_refused(concluded, refusal, page.as_mut(), &request.scope.fleet, &events);
    if let Some(forecast) = page.as_ref().filter(|_| request.first.is_all()) {
        publish(forecast, &events);
    }
    let recap = || reports.recap(&concluded.clone().event(began.elapsed()));
    hooks.after(&concluded, recap, &mut shutdown).await;
    keeper.close_rolling(concluded.outcome);
    let ending = concluded.ending;
    if let Some(recording) = &recording {
        recording.warn_of_losses(&events);
    }
    events.publish(concluded.event(began.elapsed()));
    if let Some(recording) = recording {
        let _ = recording.finish(FAREWELL);
    }
    let heard = farewell(screen, mode);
    reports.finish();
    if request.first.is_all() {
        // The exit of a push that touches hosts does not depend on its screen.
        heard?;
    }
    if let Some(forecast) = page.filter(|_| request.first.is_all() && mode != Mode::Json) {
        // The answer comes once the rows are gone, because stdout may be the same terminal.
        let nothing = "nothing was touched, and nothing copied";
        let nothing = if asks_for_units { "nothing was changed" } else { nothing };
        let style = ForecastStyle { colour: colour(global), columns: columns() };
        print(&format!("{}\n{nothing}\n", render(&forecast, style)))?;
    }
    Ok(ending)
}

/// A look ahead that the records of this workstation would not let go on is refused. `page`: what it shows.
fn or_refused(
    concluded: Conclusion,
    refusal: Option<AnyReason>,
    page: Option<&mut Forecast>,
    fleet: &Fleet,
    events: &Events,
) -> Conclusion {
    let Some(text) = refusal.filter(|_| matches!(concluded.outcome, Outcome::Planned | Outcome::Unchanged)) else {
        return concluded;
    };
    if let Some(forecast) = page {
        (forecast.refused, forecast.refusal) = (Some(text.to_string()), Some(text.clone()));
    }
    events.publish(Event::failed(None, text.clone()));
    let ending = Ending::Pushed { outcome: Outcome::Refused, interrupted: None };
    Conclusion::of_all(fleet, &HostOutcome::Untouched, ending, Outcome::Refused, text)
}

/// Finds out where the systems come from before a hook runs: the hook may ask for it, and what is refused must not have
/// begun. What a hook changes of it, the build finds.
async fn find_source(
    scope: &FleetScope,
    looks: bool,
    events: &Events,
    shutdown: &mut Shutdown,
) -> Result<(), Conclusion> {
    if !looks {
        return Ok(());
    }
    let (why, interrupted) = tokio::select! {
        found = scope.source.find(&scope.fleet, &scope.folder, events) => match found {
            Ok(()) => return Ok(()),
            Err(refusal) => (AnyReason::from(refusal), None),
        },
        signal = shutdown.requested() => (CommandEnd::InterruptedUntouched { signal }.into(), Some(signal)),
    };
    let ending = Ending::Pushed { outcome: Outcome::Refused, interrupted };
    Err(Conclusion::of_all(&scope.fleet, &HostOutcome::Untouched, ending, Outcome::Refused, why))
}

/// Publishes the answer, for programs.
fn publish(forecast: &Forecast, events: &Events) {
    // It is made of texts and numbers, which can always be written.
    if let Ok(answer) = serde_json::to_value(forecast) {
        events.publish(Event::Answer { answer });
    }
}

fn push_started(request: &PushRequest, inventory: String, record: Option<String>) -> Event {
    let names = || request.scope.fleet.hosts.iter().map(|host| &host.name);
    Event::PushStarted {
        fleet: request.scope.fleet.name.clone(),
        hosts: names().cloned().collect(),
        selected: names().filter(|name| request.scope.selected.contains(*name)).cloned().collect(),
        inventory,
        guard_ms: millis(request.scope.fleet.hosts.iter().map(|host| host.guard).min().unwrap_or_default()),
        record,
        dry_run: request.first.is_all(),
        rollback_to: request.back.as_ref().map(|to| to.aim().to_string()),
    }
}

/// `None`: the engine has panicked.
fn conclude(pushed: Option<Pushed>, touched: bool, guards_armed: bool, fleet: &Fleet) -> Conclusion {
    let untouched = HostOutcome::Untouched;
    match pushed {
        Some(Pushed::Ended(verdict)) => Conclusion::of_verdict(fleet, verdict),
        Some(Pushed::Rebooted(verdict, rolled)) => {
            let mut concluded = Conclusion::of_verdict(fleet, verdict);
            let rebooted = super::reboot::conclude(&rolled, fleet, &BTreeSet::new());
            // The outcome stays as it is, whatever the reboots brought. The exit says that not all went well, and the
            // row of a host says if it was lost in its reboot.
            concluded.text = concluded.text.followed_by(&format!("; {}", rebooted.text));
            if status(rebooted.ending) != 0 {
                concluded.ending = rebooted.ending;
                let before = if concluded.outcome == Outcome::Committed { "committed" } else { "unchanged" };
                concluded.text = rebooted.text.preceded_by(&format!("{before}, and then: "));
            }
            let is_news = |host: &HostName, end: &HostOutcome| match end {
                HostOutcome::Lost { .. } | HostOutcome::Left { .. } | HostOutcome::WentBack => true,
                HostOutcome::Rebooted => concluded.hosts.get(host) == Some(&HostOutcome::Unchanged),
                _ => false,
            };
            let news: Vec<_> = rebooted.hosts.into_iter().filter(|(host, end)| is_news(host, end)).collect();
            concluded.hosts.extend(news);
            concluded
        }
        Some(Pushed::Planned) => {
            let ending = Ending::Answered { yes: true };
            Conclusion::of_all(fleet, &untouched, ending, Outcome::Planned, CommandEnd::PlanShown)
        }
        Some(Pushed::Interrupted(signal)) => {
            let ending = Ending::Pushed { outcome: Outcome::Refused, interrupted: Some(signal) };
            let text = CommandEnd::InterruptedUntouched { signal };
            Conclusion::of_all(fleet, &untouched, ending, Outcome::Refused, text)
        }
        Some(Pushed::Left(left)) => Conclusion::left(fleet, left, &untouched),
        None if !touched => {
            let text = CommandEnd::ProgramFailedUntouched;
            Conclusion::of_all(fleet, &untouched, Ending::Bug { guards_armed }, Outcome::Refused, text)
        }
        None => Conclusion::bug(fleet, guards_armed),
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn a_mistake_of_ours_before_anything_was_touched_is_no_split() {
        let fleet = Fleet {
            name: "homelab".into(),
            hosts: Vec::new(),
            source: crate::inventory::model::Source::System,
            checks: Vec::new(),
            hooks: crate::inventory::model::Hooks::default(),
            settle: Fleet::DEFAULT_SETTLE,
            steady: crate::inventory::model::Steady::Default,
            builders: Vec::new(),
            build_limit: Fleet::DEFAULT_BUILD_LIMIT,
            evaluation: crate::inventory::model::EvaluationTerms::default(),
            parallel: Fleet::DEFAULT_PARALLEL,
            cache: None,
            canaries: std::collections::BTreeSet::new(),
            waves: Vec::new(),
        };
        let end = |touched, guards_armed| {
            let concluded = conclude(None, touched, guards_armed, &fleet);
            let said = (concluded.outcome, status(concluded.ending));
            crate::codes::keep(&concluded.event(std::time::Duration::ZERO));
            said
        };
        assert_eq!(end(false, false), (Outcome::Refused, 1));
        assert_eq!(end(true, true), (Outcome::Split, 3));
        let planned = conclude(Some(Pushed::Planned), false, false, &fleet);
        assert_eq!((planned.outcome, status(planned.ending)), (Outcome::Planned, 0));
    }
}
