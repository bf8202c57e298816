//! Finds the hosts that did not end well in a fleet's last run: what `@failed` means.

use std::collections::BTreeSet;
use std::path::Path;

use crate::event::{Event, HostOutcome};
use crate::inventory::model::HostName;
use crate::record::folder::{StateFolder, same_file};
use crate::record::run_id::RunId;
use crate::record::{RecordError, read};

/// The last run of a fleet, with its hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastRun {
    pub run: RunId,
    /// `None`: it did not come to its end, or a process still works on it.
    pub failed: Option<BTreeSet<HostName>>,
}

impl StateFolder {
    /// Finds the newest run of this fleet of this inventory. Runs that tell of no fleet are passed over.
    ///
    /// # Errors
    /// If the runs cannot be listed, or the events of that run not be read.
    pub fn last_run(&self, fleet: &str, inventory: &Path) -> Result<Option<LastRun>, RecordError> {
        for run in self.open_all()?.rev() {
            let events = run.events();
            let mut told = HeardOfRun::default();
            match read::each_event(&events, |line| told.hear(line.event)) {
                Ok(_) => {}
                // Its folder was made, and nothing more: it was never a run.
                Err(RecordError::Read { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            }
            let is_it =
                told.of.as_ref().is_some_and(|(name, path)| name == fleet && same_file(path.as_ref(), inventory));
            if is_it {
                return Ok(Some(LastRun { run: run.id().clone(), failed: told.failed }));
            }
        }
        Ok(None)
    }
}

/// The facts that were heard of a run.
#[derive(Debug, Default)]
struct HeardOfRun {
    /// The fleet and the inventory.
    of: Option<(String, String)>,
    /// Hosts with a failure that was told.
    blamed: BTreeSet<HostName>,
    failed: Option<BTreeSet<HostName>>,
}

impl HeardOfRun {
    fn hear(&mut self, event: Event) {
        match event {
            Event::PushStarted { fleet, inventory, .. }
            | Event::RecoverStarted { fleet, inventory, .. }
            | Event::RebootStarted { fleet, inventory, .. } => {
                self.of = Some((fleet, inventory));
                // A recovery goes on with a run, and ends it anew.
                self.failed = None;
            }
            Event::Failed { host: Some(host), .. } => {
                self.blamed.insert(host);
            }
            Event::Finished { hosts, .. } => {
                let is_failed = |host: &HostName, end: &HostOutcome| match end {
                    HostOutcome::RolledBack { .. }
                    | HostOutcome::WentBack
                    | HostOutcome::Lost { .. }
                    | HostOutcome::Left { .. }
                    | HostOutcome::Missing => true,
                    // A refused push has touched no host; the hosts that it was refused for have failed.
                    HostOutcome::Untouched => self.blamed.contains(host),
                    HostOutcome::Committed
                    | HostOutcome::Unchanged
                    | HostOutcome::Witness
                    | HostOutcome::Skipped
                    | HostOutcome::Rebooted
                    | HostOutcome::MovedOn { .. } => false,
                };
                self.failed = Some(
                    hosts.iter().filter(|(host, end)| is_failed(host, end)).map(|(host, _)| host.clone()).collect(),
                );
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use pretty_assertions::assert_eq;

    use super::*;
    use crate::event::Outcome;
    use crate::event::reason::any::AnyReason;
    use crate::event::stream::{Events, ListenerEnd};
    use crate::record::listener;

    const INVENTORY: &str = "/lab/inventory.yaml";

    fn host(name: &str) -> HostName {
        HostName::new(name).unwrap()
    }

    fn started(fleet: &str) -> Event {
        let (fleet, inventory) = (fleet.to_owned(), INVENTORY.to_owned());
        Event::RecoverStarted { fleet, hosts: Vec::new(), inventory }
    }

    fn finished(ends: &[(&str, HostOutcome)]) -> Event {
        Event::Finished {
            outcome: Outcome::Split,
            text: AnyReason::without_code(""),
            hosts: ends.iter().map(|(name, end)| (host(name), end.clone())).collect(),
            exit: 3,
            took_ms: 1,
        }
    }

    /// Returns the hosts that failed in the last run of a record with these runs, the oldest first.
    fn last_run(runs: &[&[Event]]) -> Option<String> {
        let home = tempfile::tempdir().unwrap();
        let state = StateFolder::at(home.path().join("state"));
        for (day, events) in runs.iter().enumerate() {
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(day).unwrap() * 86_400);
            let (run, _journal) = state.create_run("lab", at).unwrap();
            let stream = Events::new(None);
            let listener = listener::start(&stream, &run).unwrap();
            events.iter().for_each(|event| stream.publish(event.clone()));
            assert!(matches!(listener.finish(Duration::from_secs(30)), ListenerEnd::Complete));
        }
        let Some(failed) = state.last_run("lab", Path::new(INVENTORY)).unwrap()?.failed else {
            return Some("unfinished".to_owned());
        };
        Some(failed.iter().map(HostName::as_str).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn who_was_rolled_back_lost_or_the_reason_of_a_refusal_has_failed() {
        let why = String::new();
        let blamed = |name| Event::Failed { host: Some(host(name)), text: AnyReason::without_code(""), hint: None };
        let ends = finished(&[
            ("a", HostOutcome::RolledBack { by_guard: true }),
            ("w", HostOutcome::WentBack),
            ("b", HostOutcome::Lost { why: AnyReason::without_code(&why) }),
            ("c", HostOutcome::Committed),
            ("d", HostOutcome::Witness),
            ("e", HostOutcome::Untouched),
            ("f", HostOutcome::Untouched),
        ]);
        assert_eq!(last_run(&[&[started("lab"), blamed("c"), blamed("f"), ends]]), Some("a b f w".to_owned()));
    }

    #[test]
    fn it_is_the_newest_run_of_that_fleet_that_counts() {
        let (good, bad) = (finished(&[("a", HostOutcome::Committed)]), HostOutcome::RolledBack { by_guard: false });
        let bad = finished(&[("a", bad)]);
        let (lab, other) = (started("lab"), started("other"));
        assert_eq!(last_run(&[]), None);
        assert_eq!(last_run(&[&[other.clone(), bad.clone()], &[]]), None);
        assert_eq!(last_run(&[&[lab.clone(), bad.clone()], &[other, good.clone()]]), Some("a".to_owned()));
        assert_eq!(last_run(&[&[lab.clone(), bad.clone()], &[lab.clone(), good.clone()]]), Some(String::new()));
        assert_eq!(last_run(&[&[lab.clone(), bad.clone()], std::slice::from_ref(&lab)]), Some("unfinished".to_owned()));
        // A recovery writes on in the record of its run.
        assert_eq!(last_run(&[&[lab.clone(), bad.clone(), lab.clone()]]), Some("unfinished".to_owned()));
        assert_eq!(last_run(&[&[lab.clone(), bad, lab, good]]), Some(String::new()));
    }
}
