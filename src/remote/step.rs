//! Lists everything that ever runs on a host: which script, with which arguments.
//!
//! The scripts themselves are in `scripts/`, and each is sent with the shared files that it needs. Here typed values
//! become their arguments, and no text is pasted together. The snapshot test at the end is the whole list.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use crate::facts::host::{JobKind, Uptime};
use crate::facts::links::{LinkId, Probe};
use crate::facts::store_path::StorePath;
use crate::facts::systems::Systems;
use crate::facts::traces::{EndMark, EndSide};
use crate::inventory::model::{GuardAction, HostName};
use crate::remote::Script;

const LIB: &str = include_str!("scripts/lib.sh");
const TRACES: &str = include_str!("scripts/traces.sh");
/// Reads what a reboot would bring: one text of several files, because they need each other.
const BOOT: &str = concat!(
    include_str!("scripts/boot.sh"),
    include_str!("scripts/boot_systemd.sh"),
    include_str!("scripts/boot_grub.sh"),
    include_str!("scripts/boot_others.sh"),
    include_str!("scripts/boot_files.sh"),
);
const RESTORE: &str = include_str!("scripts/restore.sh");
const SURVEY: &str = include_str!("scripts/survey.sh");
const STATUS: &str = include_str!("scripts/status.sh");
const WAITING: &str = include_str!("scripts/waiting.sh");
const COMPARING: &str = include_str!("scripts/comparing.sh");
const WIREGUARD: &str = include_str!("scripts/wireguard.sh");
const PROBES: &str = include_str!("scripts/probes.sh");

/// The last line of every text: it calls `main` once the script and its shared files are whole.
const CALL: &str = "main \"$@\"\n";
/// The last line of a script that reads the boot loader; see [`Script::reads_boot_loader`].
const CALL_TOLD: &str = "told_loader=$1; shift; main \"$@\"\n";

/// The run that speaks, and its right to do so: a host refuses a lower epoch than the one it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Speaker {
    /// It has letters `a` to `z`, digits and `-`, at most 64; the host checks this again.
    pub run: String,
    pub epoch: u64,
}

/// The systems that a host must be on for a step to begin; `None` is any.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Expected {
    pub current: Option<StorePath>,
    pub profile: Option<StorePath>,
    pub boot_default: Option<StorePath>,
}

impl From<&Systems> for Expected {
    fn from(systems: &Systems) -> Self {
        Self {
            current: Some(systems.current.clone()),
            profile: Some(systems.profile.clone()),
            // A boot default that was not known cannot be compared; the fence still checks the other two.
            boot_default: systems.known_boot_default().cloned(),
        }
    }
}

/// One thing to run on a host.
///
/// Every step may be sent again after a lost reply: the host then says how it stands instead of doing it twice.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum RemoteStep {
    /// Every fact of the survey; changes nothing.
    Survey,
    /// The survey, and what a person wants to know beyond it; changes nothing.
    Status,
    /// The status, and everything else that could stop a push; changes nothing.
    Doctor,
    /// How the host stands: the short facts, and what is left of the run; changes nothing.
    Standing { run: Option<String> },
    /// The same, refused where nothing of the run is left; changes nothing.
    Ask { run: String },
    /// The generations of the system profile, and whether this system is still there; changes nothing.
    Generations { system: Option<StorePath> },
    /// How two systems differ, as far as they are there, and what was booted; changes nothing.
    Compare { old: StorePath, new: StorePath },
    /// What the activation of a system that is there would do to the units; changes nothing.
    DryActivate { new: StorePath, limit: Duration },
    /// Roots for old and new against garbage collection, then whether the new system is there and fits the host.
    Prepare {
        run: String,
        old_current: StorePath,
        old_boot: StorePath,
        new: StorePath,
        /// How long the new system's own checks may take.
        check: Duration,
        hosts: Vec<HostName>,
    },
    /// The roots of old alone, for a guard without a push.
    Root { run: String, old_current: StorePath, old_boot: StorePath, hosts: Vec<HostName> },
    /// Lease and guard, if the survey's facts still hold and the host's clock is not past `latest`.
    Arm {
        speaker: Speaker,
        /// The owner, for a person who finds the lease: `person@workstation`.
        owner: String,
        boot_id: String,
        expected: Expected,
        latest: Uptime,
        /// How long until it fires; rounded up to seconds.
        guard: Duration,
        action: GuardAction,
        /// The guard's own times by the names in `guard.sh`, for tests that cannot wait for minutes; normally empty.
        pace: Vec<(&'static str, u64)>,
        hosts: Vec<HostName>,
    },
    /// A higher epoch: from now on the host refuses every lower one.
    TakeOver { speaker: Speaker, owner: String },
    /// The guard fires not before `guard` from now; never sooner than it would have.
    Extend { speaker: Speaker, boot_id: String, guard: Duration },
    /// A detached step: started once, awaited on the host for at most `limit`.
    Job {
        speaker: Speaker,
        boot_id: String,
        kind: JobKind,
        /// How much time the guard must have left for the step to begin.
        needs: Duration,
        expected: Expected,
        new: StorePath,
        limit: Duration,
    },
    /// Waits for a detached step that was started before; changes nothing.
    Await { run: String, kind: JobKind, limit: Duration },
    /// The token's one rename, if the host stands where it should.
    Disarm { speaker: Speaker, boot_id: String, expected: Expected },
    /// The end of what these units have said; changes nothing.
    Journal { units: Vec<String> },
    /// Reboots the host in order, if it is on that boot, where it is expected, and this rolling reboot holds it.
    Reboot { run: String, boot_id: String, expected: Expected },
    /// A rolling reboot holds the host, on this boot and on the next, for so long.
    Hold {
        run: String,
        /// The owner, for a person who finds the lease: `person@workstation`.
        owner: String,
        boot_id: String,
        /// By the host's clock; `None`: it goes on to hold it, and takes nothing.
        latest: Option<Uptime>,
        /// Rounded up to seconds.
        lasts: Duration,
    },
    /// The rolling reboot holds the host no more.
    LetGo { run: String },
    /// Keeps the names of units that made the run roll back.
    Remember { speaker: Speaker, units: Vec<String> },
    /// How the host stands once everything that its boot starts has started, or has had `limit` for it.
    Booted { limit: Duration },
    /// Gives the run's claim back; the fence against lower epochs stays, also over a restart.
    Release { speaker: Speaker },
    /// Takes away everything that the run has left on the host; only when all hosts are through, or with a mark of
    /// those that are missing.
    Clean { speaker: Speaker, mark: EndMark },
    /// Takes a host that was missing out of the mark; `None`: the whole mark goes.
    Unmark { speaker: Speaker, host: Option<HostName> },
    /// A command that a person has typed; see [`crate::remote::Command`].
    Exec { mark: String, as_root: bool, limit: Duration, words: Vec<OsString> },
    /// The host's probes, round after round: its input is `round N` lines, see [`crate::remote::answer::RoundReader`].
    Probe { life: Duration, probes: Vec<(LinkId, Probe, Duration)> },
}

impl RemoteStep {
    /// Returns the script that is sent.
    #[must_use]
    #[expect(clippy::too_many_lines, reason = "a table with a row for each step")]
    pub fn script(&self) -> Script {
        let (name, files, arguments): (&'static str, &[&str], Vec<String>) = match self {
            Self::Survey => ("survey", &[LIB, TRACES, BOOT, WIREGUARD, SURVEY], Vec::new()),
            Self::Status => ("status", &[LIB, TRACES, BOOT, WIREGUARD, COMPARING, SURVEY, STATUS], Vec::new()),
            Self::Doctor => {
                let files =
                    &[LIB, TRACES, BOOT, WIREGUARD, COMPARING, SURVEY, STATUS, include_str!("scripts/doctor.sh")];
                ("doctor", files, Vec::new())
            }
            Self::Standing { run } => {
                let run = run.clone().unwrap_or_else(|| "-".to_owned());
                ("standing", &[LIB, TRACES, BOOT, include_str!("scripts/standing.sh")], vec![run])
            }
            Self::Ask { run } => ("ask", &[LIB, TRACES, BOOT, include_str!("scripts/ask.sh")], vec![run.clone()]),
            Self::Generations { system } => {
                let system = system.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
                ("generations", &[LIB, COMPARING, include_str!("scripts/generations.sh")], vec![system])
            }
            Self::Compare { old, new } => {
                let arguments = vec![old.to_string(), new.to_string()];
                ("compare", &[LIB, BOOT, COMPARING, include_str!("scripts/compare.sh")], arguments)
            }
            Self::DryActivate { new, limit } => {
                let arguments = vec![new.to_string(), limit.as_secs().to_string()];
                ("dry_activate", &[LIB, include_str!("scripts/dry_activate.sh")], arguments)
            }
            Self::Prepare { run, old_current, old_boot, new, check, hosts } => {
                let mut arguments = vec![run.clone(), old_current.to_string(), old_boot.to_string(), new.to_string()];
                arguments.push(seconds_up(*check));
                arguments.extend(hosts.iter().map(HostName::to_string));
                ("prepare", &[LIB, BOOT, COMPARING, include_str!("scripts/prepare.sh")], arguments)
            }
            Self::Root { run, old_current, old_boot, hosts } => {
                let mut arguments = vec![run.clone(), old_current.to_string(), old_boot.to_string()];
                arguments.extend(["-", "0"].map(str::to_owned));
                arguments.extend(hosts.iter().map(HostName::to_string));
                ("prepare", &[LIB, BOOT, include_str!("scripts/prepare.sh")], arguments)
            }
            Self::Arm { speaker, owner, boot_id, expected, latest, guard, action, pace, hosts } => {
                let mut arguments = speaker.arguments();
                arguments.extend([owner.clone(), boot_id.clone()]);
                arguments.extend(expected.arguments());
                arguments.extend([latest.to_string(), seconds_up(*guard), action_word(*action).to_owned()]);
                arguments.push(pace_argument(pace));
                arguments.extend([text(&[LIB, BOOT, RESTORE], ""), guard_text(), job_text()]);
                arguments.extend(hosts.iter().map(HostName::to_string));
                ("arm", &[LIB, TRACES, BOOT, include_str!("scripts/arm.sh")], arguments)
            }
            Self::TakeOver { speaker, owner } => {
                let mut arguments = speaker.arguments();
                arguments.push(owner.clone());
                ("take_over", &[LIB, TRACES, BOOT, include_str!("scripts/take_over.sh")], arguments)
            }
            Self::Extend { speaker, boot_id, guard } => {
                let mut arguments = speaker.arguments();
                arguments.extend([boot_id.clone(), seconds_up(*guard)]);
                ("extend", &[LIB, TRACES, BOOT, include_str!("scripts/extend.sh")], arguments)
            }
            Self::Job { speaker, boot_id, kind, needs, expected, new, limit } => {
                let mut arguments = speaker.arguments();
                arguments.extend([boot_id.clone(), kind.word().to_owned(), seconds_up(*needs)]);
                arguments.extend(expected.arguments());
                arguments.extend([new.to_string(), limit.as_secs().to_string()]);
                (kind.word(), &[LIB, TRACES, BOOT, WAITING, include_str!("scripts/step.sh")], arguments)
            }
            Self::Await { run, kind, limit } => {
                let arguments = vec![run.clone(), kind.word().to_owned(), limit.as_secs().to_string()];
                ("await", &[LIB, TRACES, BOOT, WAITING, include_str!("scripts/await.sh")], arguments)
            }
            Self::Disarm { speaker, boot_id, expected } => {
                let mut arguments = speaker.arguments();
                arguments.push(boot_id.clone());
                arguments.extend(expected.arguments());
                ("disarm", &[LIB, TRACES, BOOT, include_str!("scripts/disarm.sh")], arguments)
            }
            Self::Journal { units } => ("journal", &[LIB, include_str!("scripts/journal.sh")], units.clone()),
            Self::Remember { speaker, units } => {
                let arguments = speaker.arguments().into_iter().chain(units.clone()).collect();
                ("remember", &[LIB, include_str!("scripts/remember.sh")], arguments)
            }
            Self::Reboot { run, boot_id, expected } => {
                let arguments = [run.clone(), boot_id.clone()].into_iter().chain(expected.arguments()).collect();
                ("reboot", &[LIB, BOOT, include_str!("scripts/reboot.sh")], arguments)
            }
            Self::Hold { run, owner, boot_id, latest, lasts } => {
                let latest = latest.map_or_else(|| "-".to_owned(), |latest| latest.to_string());
                let arguments = vec![run.clone(), owner.clone(), boot_id.clone(), latest, seconds_up(*lasts)];
                ("hold", &[LIB, BOOT, include_str!("scripts/hold.sh")], arguments)
            }
            Self::LetGo { run } => ("let_go", &[LIB, BOOT, include_str!("scripts/let_go.sh")], vec![run.clone()]),
            Self::Booted { limit } => {
                ("booted", &[LIB, BOOT, include_str!("scripts/booted.sh")], vec![limit.as_secs().to_string()])
            }
            Self::Release { speaker } => {
                ("release", &[LIB, TRACES, BOOT, include_str!("scripts/release.sh")], speaker.arguments())
            }
            Self::Clean { speaker, mark } => {
                let mut arguments = speaker.arguments();
                arguments.push(mark.side.map_or("-", EndSide::word).to_owned());
                let missing = mark.missing.iter();
                arguments.extend(missing.map(|(host, machine)| format!("{host}:{}", machine_word(machine.as_deref()))));
                ("clean", &[LIB, TRACES, BOOT, include_str!("scripts/clean.sh")], arguments)
            }
            Self::Unmark { speaker, host } => {
                let mut arguments = speaker.arguments();
                arguments.push(host.as_ref().map_or_else(|| "-".to_owned(), HostName::to_string));
                ("unmark", &[LIB, TRACES, BOOT, include_str!("scripts/unmark.sh")], arguments)
            }
            Self::Exec { mark, as_root, limit, words } => {
                let who = if *as_root { "root" } else { "login" };
                let mut arguments = vec![mark.clone(), who.to_owned(), seconds_up(*limit)];
                arguments.extend(words.iter().map(encode_word));
                ("exec", &[include_str!("scripts/exec.sh")], arguments)
            }
            Self::Probe { life, probes } => {
                let mut arguments = vec![life.as_secs().to_string()];
                arguments.extend(probes.iter().flat_map(|(id, probe, timeout)| probe_arguments(*id, probe, *timeout)));
                ("probe", &[LIB, WIREGUARD, PROBES, include_str!("scripts/probe.sh")], arguments)
            }
        };
        let reads_boot_loader = files.contains(&BOOT);
        let call = if reads_boot_loader { CALL_TOLD } else { CALL };
        Script { name, text: text(files, call), arguments, reads_boot_loader }
    }
}

impl Speaker {
    fn arguments(&self) -> Vec<String> {
        vec![self.run.clone(), self.epoch.to_string()]
    }
}

impl Expected {
    fn arguments(&self) -> [String; 3] {
        [&self.current, &self.profile, &self.boot_default]
            .map(|system| system.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string))
    }
}

/// Returns a machine's id as the scripts take one. The missing host once said it, and no word of that host may keep the
/// others from ending.
fn machine_word(machine: Option<&str>) -> &str {
    let fits = |id: &&str| (1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    machine.filter(fits).unwrap_or("-")
}

/// Returns whether this can be the name of a unit, and cannot be taken for an option or a pattern; the host checks this
/// again.
///
/// Source: systemd.unit(5): letters, digits, `:-_.\`, and the `@` of an instance; at most 255.
#[must_use]
pub fn is_unit(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b":-_.\\@".contains(&byte);
    (1..=255).contains(&text.len()) && !text.starts_with('-') && text.bytes().all(fits)
}

/// Joins the files, without the lines that are only comments: comments are for readers of the files, and a host reads
/// its input byte by byte.
fn text(files: &[&str], call: &str) -> String {
    let mut text: String = files
        .iter()
        .flat_map(|file| file.lines())
        .filter(|line| !line.is_empty() && !line.trim_start().starts_with('#'))
        .flat_map(|line| [line, "\n"])
        .collect();
    text.push_str(call);
    text
}

fn guard_text() -> String {
    text(&[include_str!("scripts/guard.sh")], CALL)
}

fn job_text() -> String {
    text(&[include_str!("scripts/job.sh")], CALL)
}

fn action_word(action: GuardAction) -> &'static str {
    match action {
        GuardAction::Reboot => "reboot",
        GuardAction::SwitchBack => "switch-back",
    }
}

fn pace_argument(pace: &[(&'static str, u64)]) -> String {
    if pace.is_empty() {
        return "-".to_owned();
    }
    pace.iter().map(|(name, seconds)| format!("{name}={seconds}")).collect::<Vec<_>>().join(",")
}

/// Rounds up to whole seconds.
fn seconds_up(duration: Duration) -> String {
    (duration.as_secs() + u64::from(duration.subsec_nanos() > 0)).to_string()
}

/// Encodes a word for the host's `printf %b`: it may have any byte but 0 in it, and a script travels as text.
fn encode_word(word: &OsString) -> String {
    let mut encoded = String::with_capacity(word.len());
    let octal = |encoded: &mut String, byte: u8| {
        // Writing to a String cannot fail.
        let _ = write!(encoded, "\\0{byte:03o}");
    };
    for chunk in word.as_bytes().utf8_chunks() {
        for character in chunk.valid().chars() {
            if character.is_control() || character == '\\' {
                character.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| octal(&mut encoded, byte));
            } else {
                encoded.push(character);
            }
        }
        chunk.invalid().iter().for_each(|byte| octal(&mut encoded, *byte));
    }
    encoded
}

/// `probe ID KIND TIMEOUT_MS COUNT ARG…`
fn probe_arguments(id: LinkId, probe: &Probe, timeout: Duration) -> Vec<String> {
    let any = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    let (kind, own) = match probe {
        Probe::Ping { address } => ("ping", vec![address.clone()]),
        Probe::Ssh { address, port } => ("ssh", vec![address.clone(), port.to_string()]),
        Probe::Tcp { address, port } => ("tcp", vec![address.clone(), port.to_string()]),
        Probe::Http { url, status, body } => {
            let status = any(status.map(|status| status.to_string()));
            ("http", [url.clone(), status].into_iter().chain(body.clone()).collect())
        }
        Probe::Dns { query, server } => ("dns", vec![query.clone(), any(server.clone())]),
        Probe::Wireguard { address, handshake } => ("wireguard", vec![address.clone(), seconds_up(*handshake)]),
        Probe::Argv(words) => ("argv", words.clone()),
        Probe::Shell(text) => ("shell", vec![text.clone()]),
    };
    let mut arguments = vec!["probe".to_owned(), id.to_string(), kind.to_owned()];
    arguments.extend([timeout.as_millis().to_string(), own.len().to_string()]);
    arguments.extend(own);
    arguments
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use pretty_assertions::assert_eq;

    use super::*;
    use crate::inventory::model::{BootLoaderHint, LoaderKind};

    const OLD: &str = "/nix/store/0gv1yx3wnyzhi0bjgjbmvxy7qnzwzw5h-nixos-system-vps-1";
    const NEW: &str = "/nix/store/1gv1yx3wnyzhi0bjgjbmvxy7qnzwzw5h-nixos-system-vps-2";
    const BOOT_ID: &str = "5f1c6b4e-8a43-4b0e-9c9f-0e3f5a1d2b7c";

    fn path(text: &str) -> StorePath {
        StorePath::new(text).unwrap()
    }

    fn hosts() -> Vec<HostName> {
        ["vps", "homeserver"].map(|name| HostName::new(name).unwrap()).to_vec()
    }

    /// Makes the mark of three hosts that were missing.
    fn mark() -> EndMark {
        let missing = [("web", Some("1e7e1eea20dd855201641749a2e5733d")), ("db", None), ("nas", Some("a b"))];
        let missing = missing.map(|(host, machine)| (HostName::new(host).unwrap(), machine.map(str::to_owned)));
        EndMark { side: Some(EndSide::Old), missing: missing.into() }
    }

    /// Every step there is; a new one does not compile until it is listed here.
    fn every_step() -> Vec<RemoteStep> {
        let speaker = Speaker { run: "20261122-161005-k3f".into(), epoch: 1 };
        let boot_id = BOOT_ID.to_owned();
        let old = Expected::from(&Systems::all(&path(OLD)));
        let tested = Expected { current: Some(path(NEW)), ..old.clone() };
        let job = |kind: JobKind| RemoteStep::Job {
            speaker: speaker.clone(),
            boot_id: boot_id.clone(),
            kind,
            needs: Duration::from_millis(600_500),
            expected: if kind == JobKind::Rollback { Expected::default() } else { tested.clone() },
            new: path(NEW),
            limit: Duration::from_secs(240),
        };
        let second = Duration::from_secs(1);
        vec![
            RemoteStep::Survey,
            RemoteStep::Status,
            RemoteStep::Doctor,
            RemoteStep::Standing { run: None },
            RemoteStep::Standing { run: Some(speaker.run.clone()) },
            RemoteStep::Ask { run: speaker.run.clone() },
            RemoteStep::Generations { system: Some(path(OLD)) },
            RemoteStep::Generations { system: None },
            RemoteStep::Compare { old: path(OLD), new: path(NEW) },
            RemoteStep::DryActivate { new: path(NEW), limit: Duration::from_secs(240) },
            RemoteStep::Prepare {
                run: speaker.run.clone(),
                old_current: path(OLD),
                old_boot: path(OLD),
                new: path(NEW),
                check: Duration::from_secs(300),
                hosts: hosts(),
            },
            RemoteStep::Root { run: speaker.run.clone(), old_current: path(OLD), old_boot: path(OLD), hosts: hosts() },
            RemoteStep::Arm {
                speaker: speaker.clone(),
                owner: "ada@laptop".into(),
                boot_id: boot_id.clone(),
                expected: old.clone(),
                latest: 4242,
                guard: Duration::from_secs(900),
                action: GuardAction::Reboot,
                pace: Vec::new(),
                hosts: hosts(),
            },
            RemoteStep::Arm {
                speaker: speaker.clone(),
                owner: "ada@laptop".into(),
                boot_id: boot_id.clone(),
                expected: Expected::default(),
                latest: 4242,
                guard: Duration::from_millis(1),
                action: GuardAction::SwitchBack,
                pace: vec![("job_wait", 5), ("reboot_patience", 10)],
                hosts: Vec::new(),
            },
            RemoteStep::TakeOver { speaker: Speaker { epoch: 2, ..speaker.clone() }, owner: "ada@desktop".into() },
            RemoteStep::Extend { speaker: speaker.clone(), boot_id: boot_id.clone(), guard: Duration::from_secs(600) },
            job(JobKind::Test),
            job(JobKind::Switch),
            job(JobKind::Reactivate),
            job(JobKind::Rollback),
            RemoteStep::Await { run: speaker.run.clone(), kind: JobKind::Test, limit: Duration::from_secs(240) },
            RemoteStep::Disarm { speaker: speaker.clone(), boot_id: boot_id.clone(), expected: old.clone() },
            RemoteStep::Booted { limit: Duration::from_secs(60) },
            RemoteStep::Journal { units: vec!["app.service".into(), r"dev-disk\x2dby.mount".into()] },
            RemoteStep::Remember { speaker: speaker.clone(), units: vec!["app.service".into(), "a.mount".into()] },
            RemoteStep::Release { speaker: Speaker { epoch: 2, ..speaker.clone() } },
            RemoteStep::Clean { speaker: speaker.clone(), mark: EndMark::of_all(Some(EndSide::New)) },
            RemoteStep::Clean { speaker: speaker.clone(), mark: mark() },
            RemoteStep::Unmark { speaker: speaker.clone(), host: Some(HostName::new("web").unwrap()) },
            RemoteStep::Unmark { speaker, host: None },
            RemoteStep::Exec {
                mark: "fleetdeploy-1f".into(),
                as_root: true,
                limit: Duration::from_secs(300),
                words: ["printf", "%s\\n", "a b\nc", "", "-n", "$HOME 'ü'"].map(OsString::from).to_vec(),
            },
            RemoteStep::Exec {
                mark: "fleetdeploy-1f".into(),
                as_root: false,
                limit: Duration::from_millis(1500),
                words: vec![OsString::from_vec(b"cat\xff\x1b[m".to_vec())],
            },
            RemoteStep::Probe {
                life: Duration::from_secs(1800),
                probes: vec![
                    (0, Probe::Ping { address: "10.100.0.2".into() }, second),
                    (1, Probe::Ssh { address: "fd00::2".into(), port: 22 }, second),
                    (2, Probe::Tcp { address: "10.100.0.2".into(), port: 443 }, second),
                    (3, Probe::Http { url: "http://vps/".into(), status: Some(200), body: None }, second),
                    (8, Probe::Http { url: "http://vps/".into(), status: None, body: Some("-".into()) }, second),
                    (4, Probe::Dns { query: "vps.example.org".into(), server: None }, second),
                    (5, Probe::Wireguard { address: "10.100.0.2".into(), handshake: 180 * second }, second),
                    (6, Probe::Argv(vec!["test".into(), "-e".into(), "/run/a b; c".into()]), second),
                    (7, Probe::Shell("echo \"$HOME\" | grep .\n".into()), second),
                ],
            },
        ]
    }

    fn steps_of_a_rolling_reboot() -> Vec<RemoteStep> {
        let run = || "20261122-161005-k3f".to_owned();
        vec![
            RemoteStep::Reboot {
                run: run(),
                boot_id: BOOT_ID.to_owned(),
                expected: Expected::from(&Systems::all(&path(OLD))),
            },
            RemoteStep::Hold {
                run: run(),
                owner: "ada@laptop".into(),
                boot_id: BOOT_ID.to_owned(),
                latest: Some(4242),
                lasts: Duration::from_millis(600_500),
            },
            RemoteStep::Hold {
                run: run(),
                owner: "ada@laptop".into(),
                boot_id: BOOT_ID.to_owned(),
                latest: None,
                lasts: Duration::from_secs(1),
            },
            RemoteStep::LetGo { run: run() },
        ]
    }

    /// Lists all that we run as root on a host, on one screen. Texts that are arguments are named instead of shown.
    #[test]
    fn every_step_is_this_script_with_these_arguments() {
        let shown: Vec<String> = [every_step(), steps_of_a_rolling_reboot()]
            .concat()
            .iter()
            .map(|step| {
                let script = step.script();
                let hint = BootLoaderHint { kind: Some(LoaderKind::Grub), esp: Some("/boot2".to_owned()) };
                let arguments = script.words(&hint).map(|argument| {
                    for (name, known) in
                        [("LIB", text(&[LIB, BOOT, RESTORE], "")), ("GUARD", guard_text()), ("JOB", job_text())]
                    {
                        if argument == known {
                            return name.to_owned();
                        }
                    }
                    argument.replace(OLD, "OLD").replace(NEW, "NEW").replace(BOOT_ID, "BOOT-ID").replace('\n', "\\n")
                });
                let arguments: Vec<String> = arguments.collect();
                format!("{} {}", script.name, arguments.join(" | "))
            })
            .collect();
        insta::assert_snapshot!(shown.join("\n"), @r#"
        survey grub:/boot2
        status grub:/boot2
        doctor grub:/boot2
        standing grub:/boot2 | -
        standing grub:/boot2 | 20261122-161005-k3f
        ask grub:/boot2 | 20261122-161005-k3f
        generations OLD
        generations -
        compare grub:/boot2 | OLD | NEW
        dry_activate NEW | 240
        prepare grub:/boot2 | 20261122-161005-k3f | OLD | OLD | NEW | 300 | vps | homeserver
        prepare grub:/boot2 | 20261122-161005-k3f | OLD | OLD | - | 0 | vps | homeserver
        arm grub:/boot2 | 20261122-161005-k3f | 1 | ada@laptop | BOOT-ID | OLD | OLD | OLD | 4242 | 900 | reboot | - | LIB | GUARD | JOB | vps | homeserver
        arm grub:/boot2 | 20261122-161005-k3f | 1 | ada@laptop | BOOT-ID | - | - | - | 4242 | 1 | switch-back | job_wait=5,reboot_patience=10 | LIB | GUARD | JOB
        take_over grub:/boot2 | 20261122-161005-k3f | 2 | ada@desktop
        extend grub:/boot2 | 20261122-161005-k3f | 1 | BOOT-ID | 600
        test grub:/boot2 | 20261122-161005-k3f | 1 | BOOT-ID | test | 601 | NEW | OLD | OLD | NEW | 240
        switch grub:/boot2 | 20261122-161005-k3f | 1 | BOOT-ID | switch | 601 | NEW | OLD | OLD | NEW | 240
        reactivate grub:/boot2 | 20261122-161005-k3f | 1 | BOOT-ID | reactivate | 601 | NEW | OLD | OLD | NEW | 240
        rollback grub:/boot2 | 20261122-161005-k3f | 1 | BOOT-ID | rollback | 601 | - | - | - | NEW | 240
        await grub:/boot2 | 20261122-161005-k3f | test | 240
        disarm grub:/boot2 | 20261122-161005-k3f | 1 | BOOT-ID | OLD | OLD | OLD
        booted grub:/boot2 | 60
        journal app.service | dev-disk\x2dby.mount
        remember 20261122-161005-k3f | 1 | app.service | a.mount
        release grub:/boot2 | 20261122-161005-k3f | 2
        clean grub:/boot2 | 20261122-161005-k3f | 1 | new
        clean grub:/boot2 | 20261122-161005-k3f | 1 | old | db:- | nas:- | web:1e7e1eea20dd855201641749a2e5733d
        unmark grub:/boot2 | 20261122-161005-k3f | 1 | web
        unmark grub:/boot2 | 20261122-161005-k3f | 1 | -
        exec fleetdeploy-1f | root | 300 | printf | %s\0134n | a b\0012c |  | -n | $HOME 'ü'
        exec fleetdeploy-1f | login | 2 | cat\0377\0033[m
        probe 1800 | probe | 0 | ping | 1000 | 1 | 10.100.0.2 | probe | 1 | ssh | 1000 | 2 | fd00::2 | 22 | probe | 2 | tcp | 1000 | 2 | 10.100.0.2 | 443 | probe | 3 | http | 1000 | 2 | http://vps/ | 200 | probe | 8 | http | 1000 | 3 | http://vps/ | - | - | probe | 4 | dns | 1000 | 2 | vps.example.org | - | probe | 5 | wireguard | 1000 | 2 | 10.100.0.2 | 180 | probe | 6 | argv | 1000 | 3 | test | -e | /run/a b; c | probe | 7 | shell | 1000 | 1 | echo "$HOME" | grep .\n
        reboot grub:/boot2 | 20261122-161005-k3f | BOOT-ID | OLD | OLD | OLD
        hold grub:/boot2 | 20261122-161005-k3f | ada@laptop | BOOT-ID | 4242 | 601
        hold grub:/boot2 | 20261122-161005-k3f | ada@laptop | BOOT-ID | - | 1
        let_go grub:/boot2 | 20261122-161005-k3f
        "#);
    }

    #[test]
    fn a_boot_default_that_was_not_known_is_nothing_to_compare_with() {
        let systems = Systems { boot_default: Systems::not_known(), ..Systems::all(&path(OLD)) };
        assert_eq!(Expected::from(&systems).arguments(), [OLD, OLD, "-"]);
    }

    #[test]
    fn only_what_names_a_unit_is_asked_for_as_one() {
        for unit in ["app.service", r"dev-disk\x2dby-label.mount", "getty@tty1.service", "a:b_c.timer"] {
            assert!(is_unit(unit), "{unit}");
        }
        for other in ["", "-x", "--user", "a b", "*.service", "a[b].service", "a\nb", "ä.service", "$(x).service"] {
            assert!(!is_unit(other), "{other}");
        }
    }

    #[test]
    fn a_text_ends_by_calling_main_and_carries_no_comment() {
        for step in [every_step(), steps_of_a_rolling_reboot()].concat() {
            let script = step.script();
            assert!(script.text.ends_with(CALL), "{}", script.name);
            assert_eq!(
                script.text.ends_with(CALL_TOLD),
                script.text.contains("read_boot_default() {"),
                "{}",
                script.name
            );
            assert!(script.text.starts_with("LC_ALL=C\n"), "{}", script.name);
            assert!(!script.text.lines().any(|line| line.trim_start().starts_with('#')), "{}", script.name);
        }
    }
}
