//! How a push has ended, and how hosts stand, as numbers: in the text format that the node exporter of Prometheus reads
//! from a file. Sources: prometheus.io, "Exposition formats" and "Metric and label naming".

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use crate::decide::status::Condition;
use crate::event::{HostOutcome, Outcome};
use crate::inventory::model::HostName;
use crate::ui::view::FleetView;

/// Each has a sample, 1 or 0, so that a query sees the change of one.
const OUTCOMES: [Outcome; 10] = [
    Outcome::Committed,
    Outcome::Unchanged,
    Outcome::Planned,
    Outcome::RolledBack,
    Outcome::Refused,
    Outcome::Split,
    Outcome::Left,
    Outcome::Superseded,
    Outcome::Rebooted,
    Outcome::PartlyRebooted,
];

/// The same for what became of hosts.
const HOST_OUTCOMES: [&str; 12] = [
    "committed",
    "unchanged",
    "witness",
    "rolled_back",
    "went_back",
    "untouched",
    "lost",
    "left",
    "skipped",
    "rebooted",
    "missing",
    "moved_on",
];

/// The text of metrics, all of which are gauges.
#[derive(Debug, Default)]
struct Metrics {
    text: String,
}

impl Metrics {
    /// Adds all samples of one name; nothing where there is none. `labels`: names with their values.
    fn add<'a, const LABELS: usize>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = ([(&'a str, String); LABELS], f64)>,
    ) {
        for (number, (labels, value)) in samples.into_iter().enumerate() {
            if number == 0 {
                self.text += &format!("# HELP fleetdeploy_{name} {help}\n# TYPE fleetdeploy_{name} gauge\n");
            }
            // What a label does not say is left out, as an empty one means the same.
            let labels: Vec<String> = labels
                .iter()
                .filter(|(_, value)| !value.is_empty())
                .map(|(label, value)| format!("{label}=\"{}\"", escaped(value)))
                .collect();
            let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            self.text += &format!("fleetdeploy_{name}{labels} {value}\n");
        }
    }
}

/// What a label's value is between its quotes.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn seconds(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

fn truth(is: bool) -> f64 {
    f64::from(u8::from(is))
}

/// A number in seconds or bytes; the text format knows no other kind.
#[expect(clippy::cast_precision_loss, reason = "a gauge is a float, and exact below 2^53")]
fn number(value: u64) -> f64 {
    value as f64
}

/// The name that a value has in the events.
fn word(value: impl serde::Serialize) -> String {
    let value = serde_json::to_value(value).unwrap_or_default();
    value.as_str().or_else(|| value["outcome"].as_str()).unwrap_or_default().to_owned()
}

/// The metrics of a push that has ended; nothing of one that has not. `last_commit`: when a push of that fleet from
/// here has brought new systems last.
#[must_use]
pub fn of_push(view: &FleetView, last_commit: Option<SystemTime>) -> String {
    let (Some(finished), Some(ended)) = (&view.finished, view.heard) else { return String::new() };
    let fleet = || ("fleet", view.fleet.clone().unwrap_or_default());
    let mut metrics = Metrics::default();
    metrics.add("push_end_timestamp_seconds", "When the last push ended.", [([fleet()], seconds(ended))]);
    let took = finished.took.as_secs_f64();
    metrics.add("push_duration_seconds", "How long the last push took.", [([fleet()], took)]);
    let exit = f64::from(finished.exit);
    metrics.add("push_exit_status", "The exit status of the last push.", [([fleet()], exit)]);
    let outcomes = OUTCOMES.map(|outcome| ([fleet(), ("outcome", word(outcome))], truth(finished.outcome == outcome)));
    metrics.add("push_outcome", "Whether the last push ended so.", outcomes);
    let mut phases: BTreeMap<String, Duration> = BTreeMap::new();
    for phase in &view.phases {
        let took = phase.ended.unwrap_or(ended).duration_since(phase.began).unwrap_or_default();
        *phases.entry(word(phase.phase)).or_default() += took;
    }
    let phases = phases.into_iter().map(|(phase, took)| ([fleet(), ("phase", phase)], took.as_secs_f64()));
    metrics.add("push_phase_duration_seconds", "How long a phase of the last push took.", phases);
    let mut hosts: BTreeMap<String, u64> = HOST_OUTCOMES.map(|outcome| (outcome.to_owned(), 0)).into();
    for outcome in finished.hosts.values() {
        *hosts.entry(word(outcome)).or_default() += 1;
    }
    let hosts = hosts.into_iter().map(|(outcome, count)| ([fleet(), ("outcome", outcome)], number(count)));
    metrics.add("push_hosts", "How many hosts ended so in the last push.", hosts);
    let wants = view.hosts.iter().filter_map(|host| {
        let wants = host.changes.as_ref().map(|changes| !changes.reboot_for.is_empty() && !host.is_rebooted());
        let needs = match finished.hosts.get(&host.name) {
            // Its profile is what it has tried, and it runs what it booted before.
            Some(HostOutcome::WentBack) => true,
            Some(HostOutcome::Committed) => wants?,
            _ => wants.map(|_| false)?,
        };
        Some(([fleet(), ("host", host.name.to_string())], truth(needs)))
    });
    let help = "Whether what the last push brought wants a reboot of the host.";
    metrics.add("push_host_reboot_needed", help, wants);
    let help = "When a push from this workstation has brought new systems last.";
    metrics.add("push_last_commit_timestamp_seconds", help, last_commit.map(|at| ([fleet()], seconds(at))));
    metrics.text
}

/// A host, as `status` has found it.
#[derive(Debug, Clone, Copy)]
pub struct HostMetrics<'a> {
    pub host: &'a HostName,
    /// `None`: it did not answer.
    pub condition: Option<&'a Condition>,
    /// Whether it would boot something else than what runs.
    pub drifts: bool,
    /// How much is not as it should be.
    pub troubles: usize,
}

/// The metrics of hosts. `fleet` is empty where all of an inventory were asked.
#[must_use]
pub fn of_status(fleet: &str, hosts: &[HostMetrics<'_>], now: SystemTime, last_commit: Option<SystemTime>) -> String {
    let of_fleet = || ("fleet", fleet.to_owned());
    let labels = |host: &HostMetrics<'_>| [of_fleet(), ("host", host.host.to_string())];
    let answered = || hosts.iter().filter_map(|host| Some((host, host.condition?)));
    let mut metrics = Metrics::default();
    metrics.add("status_timestamp_seconds", "When the hosts were asked.", [([of_fleet()], seconds(now))]);
    let up = hosts.iter().map(|host| (labels(host), truth(host.condition.is_some())));
    metrics.add("host_up", "Whether the host has answered.", up);
    let drifts = answered().map(|(host, _)| (labels(host), truth(host.drifts)));
    metrics.add("host_drift", "Whether a reboot brings something else than what runs.", drifts);
    let wants = answered().map(|(host, condition)| (labels(host), truth(!condition.reboot_for.is_empty())));
    metrics.add("host_reboot_needed", "Whether what runs wants a reboot.", wants);
    let failed = |condition: &Condition| number(condition.facts.standing.failed_units.len() as u64);
    let units = answered().map(|(host, condition)| (labels(host), failed(condition)));
    metrics.add("host_failed_units", "How many units have failed.", units);
    let troubles = answered().map(|(host, _)| (labels(host), number(host.troubles as u64)));
    metrics.add("host_troubles", "How many things are not as they should be.", troubles);
    let generations = answered().map(|(host, found)| (labels(host), number(found.facts.standing.generation)));
    metrics.add("host_generation", "The generation of the system profile.", generations);
    let made = answered().filter_map(|(host, found)| Some((labels(host), number(found.generation_made?))));
    metrics.add("host_generation_timestamp_seconds", "When that generation was made.", made);
    let spaces = |of: fn(&crate::decide::status::Space) -> u64| {
        answered().flat_map(move |(host, found)| {
            found.spaces.iter().map(move |space| {
                let [fleet, host] = labels(host);
                ([fleet, host, ("place", space.place.clone())], number(of(space)))
            })
        })
    };
    metrics.add("host_space_free_bytes", "How much is free on a file system.", spaces(|space| space.free));
    metrics.add("host_space_size_bytes", "How large a file system is.", spaces(|space| space.size));
    let help = "When a push from this workstation has brought new systems last.";
    metrics.add("status_last_commit_timestamp_seconds", help, last_commit.map(|at| ([of_fleet()], seconds(at))));
    metrics.text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use pretty_assertions::assert_eq;
    use regex::Regex;

    use super::*;
    use crate::decide::status::tests::well;
    use crate::event::Event;
    use crate::event::line::Line;
    use crate::event::reason::any::AnyReason;
    use crate::inventory::model::HostName;

    /// Reads the text as strictly as Prometheus does, and as `promtool check metrics` wants it: each name once, with
    /// its help and its type before all of its samples, each series once, a number behind it, units without a prefix.
    fn read(text: &str) -> Vec<String> {
        let sample = Regex::new(
            r#"^([a-z_]+)(?:\{([a-z_]+="(?:[^"\\\n]|\\[\\"n])*"(?:,[a-z_]+="(?:[^"\\\n]|\\[\\"n])*")*)\})? (\S+)$"#,
        )
        .unwrap();
        assert!(text.is_empty() || text.ends_with('\n'));
        let (mut names, mut series) = (BTreeSet::new(), BTreeSet::new());
        let (mut help, mut kind) = (String::new(), String::new());
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, words) = rest.split_once(' ').unwrap();
                assert!(words.ends_with('.') && names.insert(name.to_owned()), "{line}");
                help = name.to_owned();
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                assert_eq!(rest, format!("{help} gauge"));
                kind.clone_from(&help);
            } else {
                let found = sample.captures(line).unwrap_or_else(|| panic!("{line}"));
                assert_eq!(found[1], kind);
                assert!(found[3].parse::<f64>().is_ok_and(f64::is_finite), "{line}");
                let key = line.rsplit_once(' ').unwrap().0.to_owned();
                assert!(series.insert(key), "twice: {line}");
            }
        }
        for name in &names {
            assert!(name.starts_with("fleetdeploy_"), "{name}");
            let odd = ["_ms", "_total", "_count", "_sum", "_bucket", "_mb", "_minutes"];
            assert!(!odd.iter().any(|end| name.ends_with(end)), "{name}");
        }
        text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn name(host: &str) -> HostName {
        HostName::new(host).unwrap()
    }

    #[test]
    fn a_push_is_told_as_prometheus_reads_it() {
        let hosts = BTreeMap::from([(name("vps"), HostOutcome::Committed), (name("web"), HostOutcome::Unchanged)]);
        let (outcome, text) = (Outcome::Committed, AnyReason::without_code("done"));
        let finished = Event::Finished { outcome, text, hosts, exit: 0, took_ms: 41_500 };
        let line = Line { version: 1, run: None, seq: 1, at: at(1_795_364_100), event: finished };
        let mut view = FleetView::of([&line]);
        view.fleet = Some("a\"b\\".into());
        let samples = read(&of_push(&view, Some(at(1_795_000_000))));
        let fleet = r#"fleet="a\"b\\""#;
        for wanted in [
            format!("fleetdeploy_push_end_timestamp_seconds{{{fleet}}} 1795364100"),
            format!("fleetdeploy_push_duration_seconds{{{fleet}}} 41.5"),
            format!("fleetdeploy_push_outcome{{{fleet},outcome=\"committed\"}} 1"),
            format!("fleetdeploy_push_outcome{{{fleet},outcome=\"partly_rebooted\"}} 0"),
            format!("fleetdeploy_push_hosts{{{fleet},outcome=\"unchanged\"}} 1"),
            // What none has become is 0 and not absent.
            format!("fleetdeploy_push_hosts{{{fleet},outcome=\"lost\"}} 0"),
            format!("fleetdeploy_push_last_commit_timestamp_seconds{{{fleet}}} 1795000000"),
        ] {
            assert!(samples.contains(&wanted), "{wanted}: {samples:#?}");
        }
        assert_eq!(samples.iter().filter(|sample| sample.contains("push_outcome")).count(), OUTCOMES.len());
        assert_eq!(of_push(&FleetView::default(), None), "");
    }

    #[test]
    fn each_outcome_of_a_host_is_counted() {
        let schema = serde_json::to_value(schemars::schema_for!(HostOutcome)).unwrap();
        let kinds = schema["oneOf"].as_array().unwrap().iter();
        let kinds: BTreeSet<&str> =
            kinds.map(|kind| kind["properties"]["outcome"]["const"].as_str().unwrap()).collect();
        assert_eq!(kinds, BTreeSet::from(HOST_OUTCOMES));
    }

    #[test]
    fn a_host_that_went_back_from_its_trial_wants_a_reboot() {
        let started = Event::PushStarted {
            fleet: "lab".into(),
            hosts: vec![name("vps"), name("web")],
            selected: vec![name("vps"), name("web")],
            inventory: "inventory.yaml".into(),
            guard_ms: 0,
            record: None,
            dry_run: false,
            rollback_to: None,
        };
        let hosts = BTreeMap::from([(name("vps"), HostOutcome::WentBack), (name("web"), HostOutcome::Unchanged)]);
        let (outcome, text) = (Outcome::Committed, AnyReason::without_code("done"));
        let finished = Event::Finished { outcome, text, hosts, exit: 1, took_ms: 1 };
        let line = |event| Line { version: 1, run: None, seq: 1, at: at(1), event };
        let view = FleetView::of([&line(started), &line(finished)]);
        let samples = read(&of_push(&view, None));
        let wanted = "fleetdeploy_push_host_reboot_needed{fleet=\"lab\",host=\"vps\"} 1";
        assert!(samples.iter().any(|sample| sample == wanted), "{samples:#?}");
        assert_eq!(samples.iter().filter(|sample| sample.contains("reboot_needed")).count(), 1);
    }

    #[test]
    fn hosts_are_told_as_prometheus_reads_it_and_one_that_is_silent_is_down_and_no_more() {
        let mut condition = well();
        condition.reboot_for = vec!["kernel".into()];
        let (vps, web) = (name("vps"), name("web"));
        let hosts = [
            HostMetrics { host: &vps, condition: Some(&condition), drifts: true, troubles: 2 },
            HostMetrics { host: &web, condition: None, drifts: false, troubles: 0 },
        ];
        let samples = read(&of_status("lab", &hosts, at(1_795_364_100), None));
        for wanted in [
            "fleetdeploy_host_up{fleet=\"lab\",host=\"vps\"} 1",
            "fleetdeploy_host_up{fleet=\"lab\",host=\"web\"} 0",
            "fleetdeploy_host_drift{fleet=\"lab\",host=\"vps\"} 1",
            "fleetdeploy_host_reboot_needed{fleet=\"lab\",host=\"vps\"} 1",
            "fleetdeploy_host_troubles{fleet=\"lab\",host=\"vps\"} 2",
            "fleetdeploy_host_generation{fleet=\"lab\",host=\"vps\"} 12",
        ] {
            assert!(samples.iter().any(|sample| sample == wanted), "{wanted}: {samples:#?}");
        }
        assert_eq!(samples.iter().filter(|sample| sample.contains("host=\"web\"")).count(), 1);
        // Of all hosts of an inventory there is no fleet to name.
        assert!(read(&of_status("", &hosts, at(1), None)).contains(&"fleetdeploy_host_up{host=\"vps\"} 1".to_owned()));
    }
}
