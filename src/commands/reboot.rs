//! `reboot`: reboots host after host, each proven back before the next.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use clap::Args;

use super::shared::conclusion::{Conclusion, with_next, with_skipped};
use super::shared::fleet_context::{FleetContext, owner};
use super::shared::push_record::PushRecord;
use super::{CommandResult, FAREWELL, Trouble};
use crate::commands::shared::fleet_hosts::FleetHostsArgs;
use crate::commands::shared::global::GlobalArgs;
use crate::decide::reboot::HostEnd;
use crate::decide::reboot::trial::TrialWish;
use crate::decide::survey::Allowed;
use crate::engine::reboot::{How, RebootRequest, Rolled, reboot};
use crate::engine::shutdown::Shutdown;
use crate::event::reason::any::AnyReason;
use crate::event::reason::notice::Notice;
use crate::event::reason::reboot::{HostWrong, RebootsEnded, RollingEnd};
use crate::event::stream::Events;
use crate::event::{Event, HostOutcome, Outcome};
use crate::exit::Ending;
use crate::inventory::model::{Fleet, HostName, Size};
use crate::inventory::{Overrides, duration};
use crate::ui::Screen;
use crate::ui::mode::Mode;

/// Reboot the hosts of a fleet one after the other, each proven back before the next
///
/// A host is back when it runs on another boot what it was to boot, takes a new ssh login that ends in root, no unit
/// fails that was fine before, and every required link is up that was up before. Hosts behind a jump come before the
/// jump. A system that its host did not boot last is tried first, where the host can do that: it is booted once, and
/// the host goes back by itself if it does not come up; `--no-trial` reboots into it at once. If a host does not come
/// back, no other is rebooted. Ctrl-C begins no further host and waits for the one that is under way; a second one
/// leaves at once.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "\
Examples:
  fleetdeploy reboot homelab                       one host after the other
  fleetdeploy reboot homelab --on vps              only one
  fleetdeploy reboot farm --on 'web*' --waves 3    three at a time
  fleetdeploy reboot farm --waves 1,25%            one, and then a quarter of them at a time
  fleetdeploy reboot homelab --no-trial            into new systems at once, without a trial

Exit status:
  0  every selected host was rebooted and is proven back
  1  a host said no, or went back from its trial; none that was still to come was rebooted
  2  usage or inventory
  3  a host did not come back as it should; look now
  130, 143, 129  interrupted: every host that was rebooted is back, the others were not")]
pub struct RebootArgs {
    #[command(flatten)]
    pub fleet: FleetHostsArgs,
    /// How many hosts at a time
    ///
    /// The sizes of the first waves, in hosts or in percent of those that are rebooted, rounded up; the last size is
    /// that of all waves that follow: `3` is three at a time, `1,25%` one host and then a quarter of them at a time. A
    /// host whose new system is tried goes alone.
    #[arg(long, value_name = "SIZES", value_delimiter = ',', default_value = "1", value_parser = str::parse::<Size>)]
    pub waves: Vec<Size>,
    /// How long links may take to come up after a reboot, instead of the inventory's `settle`
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub settle: Option<Duration>,
    /// Also hosts that would come up on something else than they run now
    #[arg(long)]
    pub accept_drift: bool,
    #[command(flatten)]
    pub trying: TryingArgs,
}

/// Which new systems are tried once before they are what a reboot brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Args)]
pub struct TryingArgs {
    /// Reboot at once into systems that were not booted before
    ///
    /// Without it such a system is tried first, where its host can do that: it is booted once, under a guard, while
    /// the boot default is the system that booted last, and it becomes the boot default once it has come up and is
    /// proven. A host that cannot do that says why, and is rebooted at once.
    #[arg(long, conflicts_with = "trial")]
    pub no_trial: bool,
    /// Refuse a host that cannot try its new system, instead of rebooting it at once
    ///
    /// Then no host is rebooted, even if what is in its way passes by itself. The machine that fleetdeploy runs on
    /// cannot try it either: nobody else would say that it is well.
    #[arg(long)]
    pub trial: bool,
}

impl TryingArgs {
    pub(super) fn wish(self) -> TrialWish {
        match (self.trial, self.no_trial) {
            (true, _) => TrialWish::Demanded,
            (_, true) => TrialWish::Never,
            (false, false) => TrialWish::WherePossible,
        }
    }
}

pub(super) async fn run(global: &GlobalArgs, mode: Mode, arguments: &RebootArgs) -> CommandResult {
    let overrides = Overrides { settle: arguments.settle, ..Overrides::default() };
    let context = FleetContext::prepare(global, &arguments.fleet, &overrides)?;
    let mut shutdown = Shutdown::listen().map_err(Trouble::not_served)?;
    let workspace = context.workspace(&mut shutdown).await?;
    // The lock keeps a push of the same fleet from beginning here: its hosts would be rebooted under it.
    let mut record = PushRecord::open(&context)?;
    let events = Events::new(Some(record.run.clone()));
    let began = Instant::now();
    let screen = Screen::start(mode, &events).map_err(Trouble::not_served)?;
    let recording = record.listen(&events)?;
    let allowed = Allowed { drift: arguments.accept_drift, broken: false };
    let scope = context.scope(allowed, std::path::PathBuf::new());
    let request = RebootRequest { scope, run: record.run.clone(), owner: owner(), tries: arguments.trying.wish() };
    let names = || context.fleet.hosts.iter().map(|host| &host.name);
    events.publish(Event::RebootStarted {
        fleet: context.fleet.name.clone(),
        hosts: names().cloned().collect(),
        selected: names().filter(|name| context.selected.contains(*name)).cloned().collect(),
        inventory: context.inventory.path.display().to_string(),
        record: record.folder.display().to_string(),
    });
    context.warn(&events);
    let rolled = reboot(&request, &arguments.waves, workspace, &events, &mut record, &mut shutdown).await;
    let skippable: BTreeSet<HostName> = context.selected.union(&context.without).cloned().collect();
    let concluded = conclude(&rolled, &context.fleet, &skippable);
    if let Err(error) = record.close_rolling(concluded.outcome) {
        events.publish(Event::warned(None, Notice::RecordFailed { said: error.to_string() }));
    }
    let ending = concluded.ending;
    recording.warn_of_losses(&events);
    events.publish(concluded.event(began.elapsed()));
    let _ = recording.finish(FAREWELL);
    let _ = screen.finish(FAREWELL);
    Ok(ending)
}

/// Returns the ends of all hosts of the fleet. Hosts of `selected` that were not there are skipped.
pub(super) fn conclude(rolled: &Rolled, fleet: &Fleet, selected: &BTreeSet<HostName>) -> Conclusion {
    let (away, rests_within): (&[HostName], _) = match &rolled.how {
        How::Left { away, rests_within, .. } => (away, *rests_within),
        _ => (&[], None),
    };
    let is_rebooted = |end: &HostEnd| *end == HostEnd::Rebooted;
    let outcome = if rolled.hosts.iter().any(|(host, end)| matches!(end, HostEnd::Wrong { .. }) && !away.contains(host))
    {
        Outcome::Split
    } else if !away.is_empty() {
        Outcome::Left
    } else if rolled.hosts.values().any(|end| matches!(end, HostEnd::WentBack { .. })) {
        Outcome::PartlyRebooted
    } else if !rolled.hosts.values().any(is_rebooted) {
        Outcome::Refused
    } else if rolled.hosts.values().all(is_rebooted) {
        Outcome::Rebooted
    } else {
        Outcome::PartlyRebooted
    };
    let interrupted = match &rolled.how {
        How::Interrupted(signal) | How::Left { signal, .. } => Some(*signal),
        How::Through | How::Refused { .. } | How::Stopped(_) => None,
    };
    let end = |host: &HostName| match rolled.hosts.get(host) {
        _ if away.contains(host) => {
            let back_within_ms = rests_within.map(|within| u64::try_from(within.as_millis()).unwrap_or(u64::MAX));
            HostOutcome::Left { why: RollingEnd::LeftWhileRebooting.into(), back_within_ms }
        }
        // No host was begun, so it is not known which would have been.
        None if rolled.hosts.is_empty() => HostOutcome::Untouched,
        None if selected.contains(host) => HostOutcome::Skipped,
        None => HostOutcome::Witness,
        Some(HostEnd::Rebooted) => HostOutcome::Rebooted,
        Some(HostEnd::Wrong { why }) => HostOutcome::Lost { why: why.clone() },
        Some(HostEnd::WentBack { .. }) => HostOutcome::WentBack,
        Some(HostEnd::Refused { .. } | HostEnd::NotBegun) => HostOutcome::Untouched,
    };
    let hosts = fleet.hosts.iter().map(|host| (host.name.clone(), end(&host.name))).collect();
    let text = with_skipped(RollingEnd::RebootsEnded(Box::new(ended(rolled, away))), &hosts);
    // It is written down as unfinished, and its hosts are held.
    let text = if matches!(rolled.how, How::Left { .. }) { with_next(text, fleet) } else { text };
    Conclusion { ending: Ending::Pushed { outcome, interrupted }, outcome, text, hosts }
}

fn ended(rolled: &Rolled, away: &[HostName]) -> RebootsEnded {
    let named = |wanted: &dyn Fn(&HostName, &HostEnd) -> bool| {
        rolled.hosts.iter().filter(|(host, end)| wanted(host, end)).map(|(host, _)| host.clone()).collect()
    };
    let (mut wrong, mut went_back, mut refused) = (Vec::new(), Vec::new(), Vec::new());
    for (host, end) in &rolled.hosts {
        let with = |cause: &AnyReason| HostWrong { name: host.clone(), cause: cause.clone() };
        match end {
            HostEnd::Wrong { why } => wrong.push(with(why)),
            HostEnd::WentBack { why } => went_back.push(with(why)),
            HostEnd::Refused { why } => refused.push(with(why)),
            HostEnd::Rebooted | HostEnd::NotBegun => {}
        }
    }
    let (none_begun, stopped, interrupted) = match &rolled.how {
        How::Refused { text } => (Some(text.clone()), None, None),
        How::Stopped(why) => (None, Some(why.clone().into()), None),
        How::Interrupted(signal) => (None, None, Some(*signal)),
        How::Through | How::Left { .. } => (None, None, None),
    };
    RebootsEnded {
        rebooted: named(&|_, end| *end == HostEnd::Rebooted),
        wrong,
        went_back,
        refused,
        left: away.to_vec(),
        not_rebooted: named(&|host, end| *end == HostEnd::NotBegun && !away.contains(host)),
        none_begun,
        stopped,
        interrupted,
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::decide::vocabulary::Signal;
    use crate::exit::status;

    /// How it ends: outcome, exit status and each host's end, of a fleet of `a`, `b` and `c`.
    fn end(ends: &[(&str, HostEnd)], how: How) -> (Outcome, u8, String) {
        let text = "hosts: {a: , b: , c: }\nfleets: {abc: {hosts: all, flake: .}}\n";
        let here = std::path::Path::new(".");
        let inventory = crate::inventory::Inventory::parse(here, here, text).unwrap().inventory;
        let hosts = ends.iter().map(|(name, end)| (HostName::new(*name).unwrap(), end.clone())).collect();
        let selected = [HostName::new("a").unwrap(), HostName::new("b").unwrap()].into();
        let concluded = conclude(&Rolled { hosts, how }, &inventory.fleets["abc"], &selected);
        let word = |end: &HostOutcome| serde_json::to_value(end).unwrap()["outcome"].as_str().unwrap().to_owned();
        let ends: Vec<String> = concluded.hosts.values().map(word).collect();
        let said = (concluded.outcome, status(concluded.ending), ends.join(" "));
        crate::codes::keep(&concluded.event(Duration::ZERO));
        said
    }

    #[test]
    fn a_rolling_reboot_ends_as_its_hosts_do() {
        let (good, not) = (HostEnd::Rebooted, HostEnd::NotBegun);
        let (wrong, no) = (
            HostEnd::Wrong { why: AnyReason::without_code("is away") },
            HostEnd::Refused { why: AnyReason::without_code("a guard") },
        );
        let back = HostEnd::WentBack { why: AnyReason::without_code("does not boot") };
        let left = |away: &[&str]| How::Left {
            signal: Signal::Sigint,
            away: away.iter().map(|name| HostName::new(*name).unwrap()).collect(),
            rests_within: None,
        };
        let refused = How::Refused { text: AnyReason::without_code("b does not answer") };
        let interrupted = How::Interrupted(Signal::Sigterm);
        for (ends, how, expected) in [
            (vec![("a", &good), ("b", &good)], How::Through, (Outcome::Rebooted, 0, "rebooted rebooted witness")),
            (vec![("a", &good), ("b", &no)], How::Through, (Outcome::PartlyRebooted, 1, "rebooted untouched witness")),
            (vec![("a", &no), ("b", &not)], How::Through, (Outcome::Refused, 1, "untouched untouched witness")),
            (vec![("a", &wrong), ("b", &not)], How::Through, (Outcome::Split, 3, "lost untouched witness")),
            (
                vec![("a", &back), ("b", &not)],
                How::Through,
                (Outcome::PartlyRebooted, 1, "went_back untouched witness"),
            ),
            (vec![], refused, (Outcome::Refused, 1, "untouched untouched untouched")),
            (vec![], interrupted.clone(), (Outcome::Refused, 143, "untouched untouched untouched")),
            (
                vec![("a", &good), ("b", &not)],
                interrupted.clone(),
                (Outcome::PartlyRebooted, 143, "rebooted untouched witness"),
            ),
            // The signal came when the last host was under way, and that host is back.
            (vec![("a", &good)], interrupted, (Outcome::Rebooted, 0, "rebooted skipped witness")),
            (vec![("a", &not), ("b", &not)], left(&["a"]), (Outcome::Left, 3, "left untouched witness")),
            (vec![("a", &good), ("b", &not)], left(&[]), (Outcome::PartlyRebooted, 130, "rebooted untouched witness")),
        ] {
            let ends: Vec<(&str, HostEnd)> = ends.into_iter().map(|(host, end)| (host, end.clone())).collect();
            let said = end(&ends, how.clone());
            assert_eq!((said.0, said.1, said.2.as_str()), expected, "{ends:?} {how:?}");
        }
    }
}
