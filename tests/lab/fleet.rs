//! A fleet of its own for each test: real hosts and a workstation, by `scripts/lab.sh`.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use fleetdeploy::inventory::model::BootLoaderHint;
use fleetdeploy::remote::step::RemoteStep;
use pretty_assertions::assert_eq;

use crate::codes;
use crate::inventory::Inventory;
use crate::pushed::{Log, Pushed, Pushing, piped};
use crate::standing::Standing;
use crate::wait::{seconds, until};

const LAB: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/lab.sh");

/// A fleet that runs until this is dropped, or until the test's process ends in whatever way.
#[derive(Debug)]
pub(crate) struct Fleet {
    name: String,
    /// Where it lies on this machine.
    place: PathBuf,
    hosts: Vec<&'static str>,
    /// Those of them that have a firmware, and an emulated processor: `HOST:LOADER`.
    vms: Vec<&'static str>,
    /// How every host stood when the fleet was up, or at [`Fleet::look`].
    before: BTreeMap<&'static str, Standing>,
    logs: RefCell<Vec<Arc<Log>>>,
    /// Takes the fleet down when its stdin is closed, also by a SIGKILL of this process.
    janitor: Child,
}

/// How a fleet is made, where it is not as always.
#[derive(Debug, Clone)]
pub(crate) struct Setup<'a> {
    pub(crate) hosts: &'a [&'static str],
    /// Parameters of the first systems, as JSON: `{"vps": {"psk": 1}}`.
    pub(crate) params: &'a str,
    /// Size of every host's disk, as tmpfs knows it.
    pub(crate) disk: &'a str,
    /// Which of the hosts have a firmware, a boot loader (`HOST:LOADER`) and a kernel, and not only their files.
    pub(crate) vms: &'a [&'static str],
}

impl Default for Setup<'_> {
    fn default() -> Self {
        Self { hosts: &["vps", "homeserver"], params: "{}", disk: "512m", vms: &[] }
    }
}

impl Fleet {
    /// The VPS and the home server behind NAT, with the common inventory. `test` is a short name, for a person who
    /// looks.
    pub(crate) fn up(test: &str) -> Self {
        Self::made(test, &Setup::default())
    }

    pub(crate) fn made(test: &str, setup: &Setup) -> Self {
        let name = format!("{test}-{}", std::process::id());
        let mut janitor = Command::new("setsid");
        janitor.args(["sh", "-c", "cat >/dev/null; exec \"$0\" down \"$1\"", LAB, &name]);
        janitor.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let janitor = janitor.spawn().unwrap();
        let mut fleet = Self {
            name,
            place: PathBuf::new(),
            hosts: setup.hosts.to_vec(),
            vms: setup.vms.to_vec(),
            before: BTreeMap::new(),
            logs: RefCell::default(),
            janitor,
        };
        let up = Command::new(LAB)
            .args(["up", &fleet.name, "--hosts", &setup.hosts.join(","), "--params", setup.params])
            .args(["--binary", env!("CARGO_BIN_EXE_fleetdeploy")])
            .args(if setup.vms.is_empty() { vec![] } else { vec!["--vm".to_owned(), setup.vms.join(",")] })
            .env("FLEETDEPLOY_LAB_DISK", setup.disk)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(up.status.success(), "the fleet does not come up:\n{}", text(&up.stderr));
        fleet.place = PathBuf::from(fleet.run("path", &[]).trim());
        fleet.write_inventory(&Inventory::default());
        fleet.look();
        fleet
    }

    // --- the world around the push ---

    /// Runs `lab.sh WORD FLEET ...`.
    fn lab<Word: AsRef<OsStr>>(&self, word: &str, words: &[Word]) -> Command {
        let mut command = Command::new(LAB);
        command.arg(word).arg(&self.name).args(words).stdin(Stdio::null());
        command
    }

    fn run(&self, word: &str, words: &[&str]) -> String {
        let output = self.lab(word, words).output().unwrap();
        assert!(output.status.success(), "lab.sh {word} {words:?} failed:\n{}", text(&output.stderr));
        text(&output.stdout)
    }

    /// Gives the host's next system a parameter of `scripts/lab/fleet/nixos/params.nix`; `null`: as by default.
    pub(crate) fn set(&self, host: &str, key: &str, json: &str) {
        self.run("set", &[host, key, json]);
    }

    /// A good change of these hosts: another version, another application.
    pub(crate) fn change(&self, hosts: &[&str]) {
        for host in hosts {
            self.set(host, "version", "\"2\"");
        }
    }

    pub(crate) fn cable(&self, host: &str, state: &str) {
        self.run("cable", &[host, state]);
    }

    pub(crate) fn power(&self, host: &str, state: &str) {
        self.run("power", &[host, state]);
    }

    pub(crate) fn freeze(&self, host: &str, state: &str) {
        self.run("freeze", &[host, state]);
    }

    /// Until it reboots, the host's processes may take only so much more memory than they have now.
    pub(crate) fn memory(&self, host: &str, megabytes: u32) {
        self.run("memory", &[host, &megabytes.to_string()]);
    }

    /// Runs a shell script inside a host, also with its network down, and answers with its stdout.
    pub(crate) fn host(&self, host: &str, script: &str) -> String {
        self.run("host", &[host, "--", "/bin/sh", "-c", script])
    }

    /// The same on a host that may be on its way down or up: whether it ran is not known.
    pub(crate) fn try_host(&self, host: &str, script: &str) {
        let _ = self.lab("host", &[host, "--", "/bin/sh", "-c", script]).output();
    }

    /// Begins a shell script inside a host, with pipes for what it says.
    pub(crate) fn begin(&self, host: &str, script: &str, words: &[&str]) -> Child {
        let all: Vec<&str> = [host, "--", "/bin/sh", "-c", script, "begun"].iter().chain(words).copied().collect();
        self.lab("host", &all).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Runs one of fleetdeploy's own scripts inside a host, without a connection, and answers with its lines.
    pub(crate) fn step(&self, host: &str, step: &RemoteStep) -> Vec<(String, String)> {
        let script = step.script();
        let mut words = vec![host, "--", "/bin/sh", "-c", &script.text, "fleetdeploy"];
        let told: Vec<_> = script.words(&BootLoaderHint::default(), "-").collect();
        words.extend(told.iter().map(AsRef::as_ref));
        let answer = self.run("host", &words);
        let pairs = answer.lines().map(|line| line.split_once(' ').unwrap_or((line, "")));
        pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    /// Gives a host what the workstation has: the program, its key and whom it knows, an inventory in /root/fleet.
    pub(crate) fn become_workstation(&self, host: &str, inventory: &str) {
        let (from, to) = (self.workstation(), PathBuf::from(self.run("path", &[host]).trim()));
        std::fs::create_dir_all(to.join("root/fleet")).unwrap();
        std::fs::write(to.join("root/fleet/inventory.yaml"), inventory).unwrap();
        for file in ["root/.ssh/id_ed25519", "root/.ssh/known_hosts"] {
            std::fs::copy(from.join(file), to.join(file)).unwrap();
        }
        std::fs::copy(env!("CARGO_BIN_EXE_fleetdeploy"), to.join("root/fleetdeploy")).unwrap();
    }

    /// Runs a shell script on the workstation, in the flake's folder.
    pub(crate) fn ws(&self, script: &str) -> String {
        self.run("ws", &["--", "sh", "-c", script])
    }

    /// Makes the second workstation, which otherwise is made when it is first asked for.
    pub(crate) fn make_workstation(&self, workstation: &str) {
        self.run("ws", &["--as", workstation, "--", "true"]);
    }

    /// Writes a file on the workstation; a relative path is relative to the flake's folder.
    pub(crate) fn write(&self, path: &str, content: &str) {
        let mut child =
            self.lab("ws", &["--", "tee", path]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(content.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
    }

    pub(crate) fn write_inventory(&self, inventory: &Inventory) {
        self.write("inventory.yaml", &inventory.text(&self.hosts));
    }

    /// Makes all that the laptop has written down of a run that much older.
    pub(crate) fn age_record(&self, run: &str, by: Duration) {
        let journal = format!("/root/.local/state/fleetdeploy/runs/{run}/journal.jsonl");
        let lines = self.ws(&format!("cat {journal}"));
        let lines = lines.lines().map(|line| {
            let mut line: serde_json::Value = serde_json::from_str(line).unwrap();
            let at = humantime::parse_rfc3339(line["at"].as_str().unwrap()).unwrap() - by;
            line["at"] = humantime::format_rfc3339_millis(at).to_string().into();
            line.to_string() + "\n"
        });
        self.write(&journal, &lines.collect::<String>());
    }

    /// Where the fleet lies on this machine.
    pub(crate) fn place(&self) -> &Path {
        &self.place
    }

    /// Where the file system of the workstation lies on this machine.
    pub(crate) fn workstation(&self) -> PathBuf {
        self.place.join("ws/laptop/root")
    }

    /// Makes the flake's folder a git repository, if it is none yet, and commits all of it; answers with the commit.
    pub(crate) fn commit_flake(&self) -> String {
        let git = |words: &[&str]| {
            let mut command = Command::new("git");
            command.arg("-C").arg(self.workstation().join("root/fleet"));
            let output = command.args(["-c", "user.name=ada", "-c", "user.email=ada@laptop"]).args(words).output();
            let output = output.unwrap();
            assert!(output.status.success(), "git {words:?}: {}", text(&output.stderr));
            text(&output.stdout).trim().to_owned()
        };
        git(&["init", "--quiet"]);
        git(&["add", "--all"]);
        git(&["commit", "--quiet", "--message", "as it is"]);
        git(&["rev-parse", "HEAD"])
    }

    /// The command lines of everything that runs on the workstations now.
    pub(crate) fn on_workstation(&self) -> Vec<String> {
        let id = std::fs::read_to_string(self.place().join("id")).unwrap();
        let groups =
            ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(|top| format!("{top}/{}/ws/cgroup.procs", id.trim()));
        let processes = groups.iter().find_map(|file| std::fs::read_to_string(file).ok()).unwrap();
        let words = |process: &str| std::fs::read_to_string(format!("/proc/{process}/cmdline")).unwrap_or_default();
        let words = processes.lines().map(|process| words(process).trim_end_matches('\0').replace('\0', " "));
        words.filter(|words| !words.is_empty()).collect()
    }

    /// The system that the flake gives for this host now, built.
    pub(crate) fn system(&self, host: &str) -> String {
        let attribute = format!(".#nixosConfigurations.{host}.config.system.build.toplevel");
        self.ws(&format!("nix build --no-link --print-out-paths '{attribute}'")).trim().to_owned()
    }

    /// Builds the system that the flake gives for this host now and copies it there.
    pub(crate) fn copy_by_hand(&self, host: &str) -> String {
        let system = self.system(host);
        let to = match host {
            "vps" => "ssh://root@198.51.100.10",
            "homeserver" => "ssh://root@10.100.0.2",
            "web" => "ssh://root@198.51.100.30",
            "mail" => "ssh://root@198.51.100.50",
            "db" => "ssh://root@198.51.100.70",
            "box" => "ssh://root@198.51.100.90",
            "incus" => "ssh://root@10.100.0.10",
            other => panic!("how is {other} reached?"),
        };
        let jump = if ["homeserver", "incus"].contains(&host) { "NIX_SSHOPTS='-J root@198.51.100.10'" } else { "" };
        self.ws(&format!("{jump} nix copy --no-check-sigs --to {to} {system}"));
        system
    }

    /// Makes a host run what the flake gives now, as by hand: `action` of `switch-to-configuration`, and the profile
    /// where it belongs to it.
    pub(crate) fn rebuild_by_hand(&self, host: &str, action: &str) -> Output {
        let system = self.copy_by_hand(host);
        let profile = match action {
            "switch" | "boot" => format!("nix-env -p /nix/var/nix/profiles/system --set {system} && "),
            _ => String::new(),
        };
        let script = format!("{profile}{system}/bin/switch-to-configuration {action}");
        self.lab("host", &[host, "--", "/bin/sh", "-c", &script]).output().unwrap()
    }

    // --- the push ---

    /// `fleetdeploy push WORDS --json`, to its end.
    pub(crate) fn push(&self, words: &[&str]) -> Pushed {
        self.start(words).ended()
    }

    /// `fleetdeploy push WORDS --json`, followed while it runs.
    pub(crate) fn start(&self, words: &[&str]) -> Pushing {
        self.start_as("laptop", words)
    }

    /// The same from another workstation: `laptop` or `laptop2`.
    pub(crate) fn start_as(&self, workstation: &str, words: &[&str]) -> Pushing {
        let words: Vec<&str> = ["push"].iter().chain(words).chain(&["--json"]).copied().collect();
        self.follow(self.binary(workstation, &words), true)
    }

    /// Any command of fleetdeploy with `--json` on a workstation, followed while it runs.
    pub(crate) fn start_any(&self, workstation: &str, words: &[&str]) -> Pushing {
        let words: Vec<&str> = words.iter().chain(&["--json"]).copied().collect();
        self.follow(self.binary(workstation, &words), true)
    }

    /// Any command of fleetdeploy with `--json`, to its end.
    pub(crate) fn run_json(&self, words: &[&str]) -> Pushed {
        let words: Vec<&str> = words.iter().chain(&["--json"]).copied().collect();
        self.follow(self.binary("laptop", &words), true).ended()
    }

    /// `fleetdeploy recover WORDS --json` on a workstation, to its end.
    pub(crate) fn recover(&self, workstation: &str, words: &[&str]) -> Pushed {
        self.start_recover(workstation, words).ended()
    }

    /// The same, followed while it runs.
    pub(crate) fn start_recover(&self, workstation: &str, words: &[&str]) -> Pushing {
        let words: Vec<&str> = ["recover"].iter().chain(words).chain(&["--json"]).copied().collect();
        self.follow(self.binary(workstation, &words), true)
    }

    /// `fleetdeploy WORDS` with the events of `--json`, to its end.
    pub(crate) fn query(&self, words: &[&str]) -> Pushed {
        self.start_query(words).ended()
    }

    /// The same with these assignments in its environment.
    pub(crate) fn query_in(&self, environment: &[&str], words: &[&str]) -> Pushed {
        self.query_by(&[&["env"], environment, &["fleetdeploy", "--json"], words].concat())
    }

    /// The same, begun by this command line.
    pub(crate) fn query_by(&self, words: &[&str]) -> Pushed {
        let mut command = self.lab("ws", &["--"]);
        command.args(words);
        self.follow(command, true).ended()
    }

    /// The same, followed while it runs.
    pub(crate) fn start_query(&self, words: &[&str]) -> Pushing {
        let words: Vec<&str> = ["--json"].iter().chain(words).copied().collect();
        self.follow(self.binary("laptop", &words), true)
    }

    /// Any command of fleetdeploy, to its end, with the output a person gets.
    pub(crate) fn plain(&self, words: &[&str]) -> Pushed {
        // What a person reads has the same reasons: as events they have codes. Only what changes nothing is asked
        // twice.
        if codes::folder().is_some() && matches!(words, ["doctor" | "check" | "plan" | "diff", ..]) {
            self.query(words);
        }
        self.follow(self.binary("laptop", words), false).ended()
    }

    /// Any command of fleetdeploy on a terminal of its own (everything it says is its stdout); what is written to stdin
    /// is typed there.
    pub(crate) fn on_terminal(&self, words: &str) -> Pushing {
        // A person's terminal is not a pipeline's, also where one runs the tests.
        let script = format!("env -u CI fleetdeploy {words}");
        let words =
            ["--", "script", "--quiet", "--flush", "--return", "--echo", "never", "--command", &script, "/dev/null"];
        self.follow(self.lab("ws", &words), false)
    }

    fn binary(&self, workstation: &str, words: &[&str]) -> Command {
        let mut command = self.lab("ws", &["--as", workstation, "--", "fleetdeploy"]);
        command.args(words);
        command
    }

    fn follow(&self, mut command: Command, json: bool) -> Pushing {
        let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy().into_owned()).collect();
        let (pushing, log) = Pushing::follow(piped(&mut command), words.join(" "), json);
        self.logs.borrow_mut().push(log);
        pushing
    }

    // --- what came of it ---

    /// The test itself has restarted this host, once: that is not the push's doing.
    pub(crate) fn restarted(&mut self, host: &str) {
        let now = self.standing(host);
        let before = self.before.get_mut(host).unwrap();
        *before = before.restarted(1, &now);
    }

    /// [`Fleet::assert_untouched`], without a login from the workstation.
    pub(crate) fn assert_untouched_and_unreached(&self) {
        assert_eq!(self.standings(), self.before, "not every host is untouched (left: now, right: before)");
    }

    /// What a host's sshd has written down of logins since its first boot.
    pub(crate) fn logins(&self, host: &str) -> Logins {
        let journal = self.host(host, "journalctl -q -o cat -t sshd -t sshd-session");
        let count = |words: &str| journal.lines().filter(|line| line.starts_with(words)).count();
        Logins { connections: count("Accepted publickey for "), commands: count("Starting session: ") }
    }

    /// How many times it has booted: as `lab.sh boots` says, and without its processes, for a test asks this twenty
    /// times a second while it waits for a guard.
    pub(crate) fn boots(&self, host: &str) -> u32 {
        let boots = std::fs::read_to_string(self.place.join("hosts").join(host).join("boots")).unwrap();
        boots.trim().parse().unwrap()
    }

    /// Waits for a host that is on its way up.
    pub(crate) fn wait_until_up(&self, host: &str) {
        until(seconds(self.patience(host, 60)), &format!("{host} is up"), || {
            // It waits by itself from when systemd can be asked, and fails at once before that.
            let ask = [host, "--", "systemctl", "is-system-running", "--wait"];
            let state = self.lab("host", &ask).output().unwrap();
            matches!(text(&state.stdout).trim(), "running" | "degraded").then_some(())
        });
    }

    /// How a host stands now; waits for one that is on its way up.
    pub(crate) fn standing(&self, host: &str) -> Standing {
        self.wait_until_up(host);
        Standing::ask(|script| self.host(host, script), self.boots(host))
    }

    fn standings(&self) -> BTreeMap<&'static str, Standing> {
        self.hosts.iter().map(|host| (*host, self.standing(host))).collect()
    }

    /// What [`Fleet::before`] says from now on.
    pub(crate) fn look(&mut self) {
        self.before = self.standings();
    }

    pub(crate) fn before(&self, host: &str) -> &Standing {
        &self.before[host]
    }

    /// Every host stands as it did, on the same boot: nothing has touched it.
    pub(crate) fn assert_untouched(&self) {
        self.assert_on_old(&[]);
    }

    /// Every host stands as it did, after one restart of each of `restarted` and none of the others, and can be
    /// reached.
    pub(crate) fn assert_on_old(&self, restarted: &[&str]) {
        let now = self.standings();
        let expected = self
            .before
            .iter()
            .map(|(host, before)| (*host, before.restarted(u32::from(restarted.contains(host)), &now[host])));
        assert_eq!(now, expected.collect::<BTreeMap<_, _>>(), "not every host is on old (left: now, right: expected)");
        self.assert_reachable();
    }

    /// These hosts run, and would boot, the system that the flake gives now, and nothing of the push is left; the
    /// others stand as they did. No host has restarted.
    pub(crate) fn assert_on_new(&self, changed: &[&str]) {
        let now = self.standings();
        let expected = self.before.iter().map(|(host, before)| {
            let new = if changed.contains(host) { before.moved_to(&self.system(host)) } else { before.clone() };
            (*host, new)
        });
        assert_eq!(now, expected.collect::<BTreeMap<_, _>>(), "not every host is on new (left: now, right: expected)");
        self.assert_reachable();
    }

    /// The workstation logs in to every host, over the tunnel where there is no other way.
    pub(crate) fn assert_reachable(&self) {
        self.hosts.iter().for_each(|host| self.assert_reached(host));
    }

    /// The same of one host, where others are off.
    pub(crate) fn assert_reached(&self, host: &str) {
        self.run("wait-ssh", &[host, &self.patience(host, 60).to_string()]);
    }

    /// How many seconds for what a container is given so many for: as `lab.sh` has it.
    fn patience(&self, host: &str, seconds: u64) -> u64 {
        let is_vm = self.vms.iter().any(|vm| vm.split(':').next() == Some(host));
        if is_vm { seconds * 8 } else { seconds }
    }
}

/// Counted by a host's sshd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Logins {
    pub(crate) connections: usize,
    pub(crate) commands: usize,
}

impl Drop for Fleet {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.show();
        }
        self.keep_codes();
        drop(self.janitor.stdin.take());
        let _ = self.janitor.wait();
    }
}

impl Fleet {
    /// Of what was printed, and of what the workstation's records have: a run on a terminal prints no events.
    fn keep_codes(&self) {
        self.logs.borrow().iter().for_each(|log| codes::keep_lines(&log.stdout()));
        let runs = self.workstation().join("root/.local/state/fleetdeploy/runs");
        let runs = std::fs::read_dir(runs).into_iter().flatten().flatten();
        let recorded = runs.filter_map(|run| std::fs::read_to_string(run.path().join("events.jsonl")).ok());
        recorded.for_each(|events| codes::keep_lines(&events));
    }

    /// Begins to keep what the commands say anew, for a fleet that is used again.
    pub(crate) fn forget_logs(&self) {
        self.keep_codes();
        self.logs.borrow_mut().clear();
    }

    /// Everything a person needs to see why a test failed, with what each part is.
    pub(crate) fn evidence(&self) -> Vec<(String, String)> {
        let logs = self.logs.borrow().iter().map(|log| log.words()).collect::<Vec<_>>().join("\n");
        let mut parts = vec![("commands".to_owned(), logs)];
        let answer =
            |words: &[&str]| self.lab(words[0], &words[1..]).output().map_or(String::new(), |said| text(&said.stdout));
        for host in &self.hosts {
            let state = "journalctl -q --no-pager -o short-iso -n 60 -u 'fleetdeploy*'; tail -n 20 \
                         /run/fleetdeploy/*.log /run/fleetdeploy/jobs/*; cat /nix/var/nix/gcroots/fleetdeploy/*/trace";
            parts.push((format!("{host}, of fleetdeploy"), answer(&["host", host, "--", "/bin/sh", "-c", state])));
            let console =
                std::fs::read(answer(&["console", host]).trim()).map(|bytes| text(&bytes)).unwrap_or_default();
            let lines: Vec<&str> = console.lines().collect();
            parts.push((format!("{host}, console"), lines[lines.len().saturating_sub(20)..].join("\n")));
        }
        parts
    }

    fn show(&self) {
        for (title, part) in self.evidence() {
            eprintln!("--- {title}\n{part}");
        }
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
