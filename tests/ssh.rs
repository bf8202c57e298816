//! The ssh side against real sshds on loopback, each with a host key, a log and authorized keys of its own.

#![expect(clippy::disallowed_methods, reason = "sshd and ssh-keygen are part of the test's world, not of fleetdeploy")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use fleetdeploy::decide::asking::Continuity;
use fleetdeploy::decide::exec::ExecEnd;
use fleetdeploy::engine::hosts::Hosts;
use fleetdeploy::engine::orders::{Identity, Orders};
use fleetdeploy::engine::reach::Reach;
use fleetdeploy::engine::ssh_hosts::SshHosts;
use fleetdeploy::engine::turns::Turns;
use fleetdeploy::event::reason::cause::Cause;
use fleetdeploy::event::stream::Events;
use fleetdeploy::facts::links::{Link, Probe, Round};
use fleetdeploy::facts::plan::Plan;
use fleetdeploy::inventory::model::{
    After, Become, GuardAction, Host, HostKey, HostName, Jump, Limits, NixOptions, Place,
};
use fleetdeploy::remote::step::RemoteStep;
use fleetdeploy::remote::{
    ConnectCause, Piece, Script, Session, StepError, Way, Workspace, login_anew, login_anew_all_the_way,
};
use tokio::net::UnixStream;

#[path = "support/codes.rs"]
#[expect(dead_code, reason = "nothing here is a whole run")]
mod codes;

const LIMIT: Duration = Duration::from_secs(20);

/// A temporary home: a key, `known_hosts`, an ssh config. (ssh takes its home from the user database, not from `HOME`.)
struct Home {
    folder: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        let home = Self { folder: tempfile::tempdir().unwrap() };
        keygen(&home.path("key"), "ed25519");
        std::fs::write(
            home.path("config"),
            format!(
                "IdentityFile {}\nIdentitiesOnly yes\nIdentityAgent none\nUserKnownHostsFile {}\nGlobalKnownHostsFile \
                 /dev/null\n",
                home.path("key").display(),
                home.path("known_hosts").display()
            ),
        )
        .unwrap();
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn know(&self, name: &str, port: u16, public_key: &Path) {
        let key = std::fs::read_to_string(public_key).unwrap();
        let old = std::fs::read_to_string(self.path("known_hosts")).unwrap_or_default();
        std::fs::write(self.path("known_hosts"), format!("{old}[{name}]:{port} {key}")).unwrap();
    }

    async fn workspace(&self, hosts: &[Host]) -> Arc<Workspace> {
        Workspace::create(hosts, BTreeMap::new(), Some(&self.path("config"))).await.unwrap()
    }
}

/// The host keys of a machine.
struct Keys {
    folder: tempfile::TempDir,
}

impl Keys {
    fn new() -> Self {
        let keys = Self { folder: tempfile::tempdir().unwrap() };
        for kind in ["ed25519", "ecdsa"] {
            keygen(&keys.path(kind), kind);
        }
        keys
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// A running sshd; its process is ended with this.
struct Sshd {
    folder: tempfile::TempDir,
    process: std::process::Child,
    port: u16,
}

impl Sshd {
    fn start(home: &Home, more: &str) -> Self {
        Self::start_with(&Keys::new(), home, more)
    }

    /// With the keys of another: the same machine to whoever logs in.
    fn start_as(other: &Self, home: &Home, more: &str) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), other.folder.path(), home, more)
    }

    fn start_with(keys: &Keys, home: &Home, more: &str) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), keys.folder.path(), home, more)
    }

    fn start_in(folder: tempfile::TempDir, keys: &Path, home: &Home, more: &str) -> Self {
        // sshd started by root wants this folder to be there (sshd.c, `_PATH_PRIVSEP_CHROOT_DIR`).
        let _ = std::fs::create_dir_all("/run/sshd");
        let path = |name: &str| folder.path().join(name);
        for kind in ["ed25519", "ecdsa", "ed25519.pub", "ecdsa.pub"] {
            // A copy keeps the permissions, which sshd looks at.
            std::fs::copy(keys.join(kind), path(kind)).unwrap();
        }
        let port = free_port();
        std::fs::write(
            path("config"),
            format!(
                "Port {port}\nListenAddress 127.0.0.1\nHostKey {ed25519}\nHostKey {ecdsa}\nPidFile none\nUsePAM no\n\
                 StrictModes no\nPermitRootLogin yes\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
                 AuthorizedKeysFile {key}.pub\nLogLevel VERBOSE\n{more}\n",
                ed25519 = path("ed25519").display(),
                ecdsa = path("ecdsa").display(),
                key = home.path("key").display(),
            ),
        )
        .unwrap();
        let process = Command::new(sshd_program())
            .args(["-D", "-E"])
            .arg(path("log"))
            .arg("-f")
            .arg(path("config"))
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let sshd = Self { folder, process, port };
        let deadline = Instant::now() + LIMIT;
        while !sshd.log().contains("Server listening") {
            assert!(Instant::now() < deadline, "sshd does not start:\n{}", sshd.log());
            std::thread::yield_now();
        }
        sshd
    }

    fn known(home: &Home) -> Self {
        let sshd = Self::start(home, "");
        home.know("127.0.0.1", sshd.port, &sshd.public_key("ed25519"));
        sshd
    }

    fn public_key(&self, kind: &str) -> PathBuf {
        self.folder.path().join(format!("{kind}.pub"))
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn logins(&self) -> usize {
        self.log().lines().filter(|line| line.starts_with("Accepted publickey")).count()
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn sshd_program() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let more = ["/usr/sbin", "/run/current-system/sw/bin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(more)
        .map(|folder| folder.join("sshd"))
        .find(|program| program.exists())
        .expect("these tests need a real sshd: install openssh-server")
}

fn keygen(file: &Path, kind: &str) {
    let status = Command::new("ssh-keygen").args(["-q", "-N", "", "-t", kind, "-f"]).arg(file).status();
    assert!(status.expect("these tests need ssh-keygen: install openssh-client").success());
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

fn name(text: &str) -> HostName {
    HostName::new(text).unwrap()
}

fn host(text: &str, port: u16) -> Host {
    Host {
        name: name(text),
        address: "127.0.0.1".into(),
        other_addresses: vec![],
        port: Some(port),
        user: None,
        identity: None,
        jump: None,
        way: Vec::new(),
        becoming: Become::No,
        host_key: HostKey::Strict,
        vpn: None,
        tags: vec![],
        boot_time: LIMIT,
        guard: LIMIT,
        guard_action: GuardAction::Reboot,
        boot_loader: fleetdeploy::inventory::model::BootLoaderHint::default(),
        runs_on: None,
        optional: false,
        reactivate: false,
        after: After::default(),
        build_on: fleetdeploy::inventory::model::BuildOn::Workstation,
        nix: NixOptions::default(),
        limits: Limits::default(),
        ignored_units: Vec::new(),
        system: None,
        guard_action_given: false,
    }
}

fn turns(at_once: u16) -> Turns {
    Turns::new(at_once, &Events::new(None))
}

fn behind(jump: &str, host: Host) -> Host {
    Host { jump: Some(Jump::Host(name(jump))), ..host }
}

/// What a real sshd, and what runs behind it, has refused.
fn kept<Refused>(error: Refused) -> Refused
where
    for<'a> Cause: From<&'a Refused>,
{
    codes::keep_judged([Cause::from(&error)]);
    error
}

fn script(text: &str, arguments: &[&str]) -> Script {
    let arguments = arguments.iter().map(|text| (*text).to_owned()).collect();
    Script { name: "try", text: text.into(), arguments, is_told: false }
}

fn echo(text: &str) -> Script {
    script("printf 'said %s\\n' \"$1\"\necho end\n", &[text])
}

/// The process id of a host's master.
fn master(workspace: &Workspace, host: &str) -> i32 {
    let output = Command::new("ssh").arg("-F").arg(workspace.config()).args(["-O", "check", host]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let (_, rest) = text.split_once("pid=").unwrap_or_else(|| panic!("no master of {host}: {text}"));
    rest.split_once(')').unwrap().0.parse().unwrap()
}

fn kill(process: i32) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(process), nix::sys::signal::Signal::SIGKILL).unwrap();
}

#[tokio::test]
async fn scripts_run_side_by_side_over_one_login() {
    let home = Home::new();
    let sshd = Sshd::known(&home);
    let workspace = home.workspace(&[host("one", sshd.port)]).await;
    let session = Session::open(&workspace, &name("one"), LIMIT).await.unwrap();
    let texts: Vec<String> = (0..20).map(|number| format!("it's $({number})\n\\n")).collect();
    let scripts: Vec<Script> = texts
        .iter()
        .map(|text| script("printf 'said %s\\n' \"$(printf %s \"$1\" | tr '\\n' _)\"\necho end\n", &[text]))
        .collect();
    let answers = futures::future::join_all(scripts.iter().map(|script| session.run(script, LIMIT))).await;
    for (text, answer) in texts.iter().zip(answers) {
        assert_eq!(answer.unwrap().one("said").unwrap(), text.replace('\n', "_").replace("\\n", "\n"));
    }
    assert_eq!(sshd.logins(), 1);
    assert!(session.is_alive().await);
    let config = workspace.config().to_owned();
    session.close().await;
    workspace.close().await;
    assert!(!config.parent().unwrap().exists());
}

#[tokio::test]
async fn a_big_answer_arrives_whole() {
    let home = Home::new();
    let sshd = Sshd::known(&home);
    let workspace = home.workspace(&[host("one", sshd.port)]).await;
    let session = Session::open(&workspace, &name("one"), LIMIT).await.unwrap();
    let text = "i=0; while [ $i -lt 16384 ]; do echo line \
                0123456789012345678901234567890123456789012345678901234567890123; i=$((i+1)); done\necho end\n";
    let answer = session.run(&script(text, &[]), LIMIT).await.unwrap();
    assert_eq!(answer.all("line").filter(|value| value.len() == 64).count(), 16384);
    workspace.close().await;
}

#[tokio::test]
async fn the_end_of_a_script_is_told_apart() {
    let home = Home::new();
    let sshd = Sshd::known(&home);
    let workspace = home.workspace(&[host("one", sshd.port)]).await;
    let session = Session::open(&workspace, &name("one"), LIMIT).await.unwrap();
    let run_for = async |text: &str, limit| kept(session.run(&script(text, &[]), limit).await.unwrap_err());
    let run = async |text: &str| run_for(text, LIMIT).await;
    for status in [3, 97, 127, 255] {
        let error = run(&format!("echo why >&2; echo half; exit {status}")).await;
        assert_eq!(error.to_string(), format!("`try` on one exited with status {status}: why"));
        assert_eq!(error.stderr_tail(), Some("why"));
    }
    assert!(matches!(run("echo half").await, StepError::Truncated { .. }));
    assert!(matches!(run_for("sleep 30", Duration::from_secs(2)).await, StepError::TimedOut { .. }));
    assert!(matches!(run("kill -9 $$").await, StepError::Disconnected { .. }));
    workspace.close().await;
}

#[tokio::test]
async fn a_stream_is_talked_to_line_by_line() {
    let home = Home::new();
    let sshd = Sshd::known(&home);
    let workspace = home.workspace(&[host("one", sshd.port)]).await;
    let session = Session::open(&workspace, &name("one"), LIMIT).await.unwrap();
    let echoing = script("while read -r line; do echo \"got $line\"; done\necho bye\necho end\n", &[]);
    let mut stream = session.stream(&echoing, LIMIT).await.unwrap();
    for number in 0..5 {
        stream.send_line(&format!("round {number}")).await.unwrap();
        let line = tokio::time::timeout(LIMIT, stream.next_line()).await.unwrap().unwrap();
        assert_eq!(line, Some(("got".into(), format!("round {number}"))));
    }
    assert!(matches!(kept(stream.send_line("two\nlines").await.unwrap_err()), StepError::BadScript(_)));
    stream.close().await.unwrap();
    let mut stream = session.stream(&script("read -r line; exit 5", &[]), LIMIT).await.unwrap();
    stream.send_line("go").await.unwrap();
    let error = kept(tokio::time::timeout(LIMIT, stream.next_line()).await.unwrap().unwrap_err());
    assert_eq!(error.to_string(), "`try` on one exited with status 5");
    workspace.close().await;
}

#[tokio::test]
async fn an_unknown_key_is_refused_with_its_fingerprint() {
    let home = Home::new();
    let sshd = Sshd::start(&home, "");
    let workspace = home.workspace(&[host("one", sshd.port)]).await;
    let error = Session::open(&workspace, &name("one"), LIMIT).await.unwrap_err();
    let ConnectCause::UnknownHostKey { fingerprint: Some(fingerprint) } = &error.cause else { panic!("{error:?}") };
    let output = Command::new("ssh-keygen").arg("-lf").arg(sshd.public_key("ed25519")).output().unwrap();
    let expected = String::from_utf8_lossy(&output.stdout).split(' ').nth(1).unwrap().to_owned();
    assert!(fingerprint.ends_with(&expected), "{fingerprint} {expected}");
    assert!(error.hint().unwrap().ends_with(&format!("log in once by hand: ssh -p {} 127.0.0.1", sshd.port)));
    // The same over a login of its own.
    let error = login_anew(&workspace, &name("one"), Way::Usual, &echo("x"), LIMIT).await.unwrap_err();
    assert!(error.nothing_ran());
    let StepError::NoLogin { source, .. } = error else { panic!("{error:?}") };
    assert!(matches!(source.cause, ConnectCause::UnknownHostKey { fingerprint: Some(_) }), "{source:?}");
    assert_eq!(sshd.logins(), 0);
    workspace.close().await;
}

#[tokio::test]
async fn a_new_key_is_taken_where_the_inventory_says_so() {
    let home = Home::new();
    let sshd = Sshd::start(&home, "");
    let workspace = home.workspace(&[Host { host_key: HostKey::AcceptNew, ..host("one", sshd.port) }]).await;
    Session::open(&workspace, &name("one"), LIMIT).await.unwrap();
    assert!(std::fs::read_to_string(home.path("known_hosts")).unwrap().contains(&format!("[127.0.0.1]:{}", sshd.port)));
    workspace.close().await;
}

#[tokio::test]
async fn a_changed_key_is_refused_with_its_place() {
    let home = Home::new();
    let sshd = Sshd::start(&home, "");
    let other = home.path("other");
    keygen(&other, "ed25519");
    home.know("127.0.0.1", 1, &home.path("key.pub"));
    home.know("127.0.0.1", sshd.port, &other.with_extension("pub"));
    for host_key in [HostKey::Strict, HostKey::AcceptNew] {
        let workspace = home.workspace(&[Host { host_key, ..host("one", sshd.port) }]).await;
        let error = Session::open(&workspace, &name("one"), LIMIT).await.unwrap_err();
        let ConnectCause::ChangedHostKey { fingerprint, known, known_as } = &error.cause else { panic!("{error:?}") };
        assert!(fingerprint.is_some());
        assert_eq!(known.as_ref().unwrap(), &(home.path("known_hosts"), 2));
        assert_eq!(known_as.as_deref(), Some(format!("[127.0.0.1]:{}", sshd.port).as_str()));
        workspace.close().await;
    }
}

#[tokio::test]
async fn a_host_known_by_another_key_type_is_known() {
    let home = Home::new();
    let sshd = Sshd::start(&home, "");
    home.know("127.0.0.1", sshd.port, &sshd.public_key("ecdsa"));
    let workspace = home.workspace(&[host("one", sshd.port)]).await;
    Session::open(&workspace, &name("one"), LIMIT).await.unwrap();
    workspace.close().await;
}

#[tokio::test]
async fn every_way_to_have_no_login_has_its_name() {
    let home = Home::new();
    let sshd = Sshd::start(&home, "AllowUsers nobody-at-all");
    home.know("127.0.0.1", sshd.port, &sshd.public_key("ed25519"));
    let hosts = [
        host("refused", sshd.port),
        host("closed", free_port()),
        Host { address: "no-such-name.invalid".into(), ..host("nameless", 22) },
    ];
    let workspace = home.workspace(&hosts).await;
    let open = async |host: &str| kept(Session::open(&workspace, &name(host), LIMIT).await.unwrap_err());
    let error = open("refused").await;
    assert!(matches!(error.cause, ConnectCause::AuthRefused(_)), "{error:?}");
    let error = open("closed").await;
    assert!(
        matches!(&error.cause, ConnectCause::Unreachable(text) if text.contains("Connection refused")),
        "{error:?}"
    );
    let error = open("nameless").await;
    assert!(matches!(error.cause, ConnectCause::NameUnknown(_)), "{error:?}");
    workspace.close().await;
}

#[tokio::test]
async fn a_host_that_accepts_and_never_answers_is_given_up_in_time() {
    let home = Home::new();
    let sshd = Sshd::known(&home);
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = silent.local_addr().unwrap().port();
    let workspace =
        home.workspace(&[host("silent", port), host("jump", sshd.port), behind("jump", host("far", port))]).await;
    for host in ["silent", "far"] {
        let begun = Instant::now();
        let error = Session::open(&workspace, &name(host), Duration::from_secs(3)).await.unwrap_err();
        assert!(matches!(error.cause, ConnectCause::TimedOut(_)), "{host}: {error:?}");
        assert!(begun.elapsed() < Duration::from_secs(4), "{host}: {:?}", begun.elapsed());
        let error =
            login_anew(&workspace, &name(host), Way::Usual, &echo("x"), Duration::from_secs(3)).await.unwrap_err();
        assert!(
            matches!(&error, StepError::NoLogin { source, .. } if matches!(source.cause, ConnectCause::TimedOut(_))),
            "{error:?}"
        );
        assert!(begun.elapsed() < Duration::from_secs(7), "{host}: {:?}", begun.elapsed());
    }
    workspace.close().await;
}

#[tokio::test]
async fn a_round_of_probes_that_still_logs_in_does_not_hold_up_an_order_between_rounds() {
    let home = Home::new();
    let (nobody, port) = silent();
    let workspace = home.workspace(&[host("one", port)]).await;
    // A login takes longer than the round waits, and so is still under way after it.
    let connect = Duration::from_secs(8);
    let reach = Arc::new(Reach::new(workspace, BTreeMap::from([(name("one"), connect)]), turns(16)));
    let probe = Probe::Ping { address: "127.0.0.1".into() };
    let link = Link {
        check: "vpn mesh".into(),
        from: Place::Host(name("one")),
        to: "other".into(),
        to_host: None,
        probe_after: probe.clone(),
        probe,
        required: true,
        timeout: Duration::from_millis(100),
        left_out: None,
        shared: false,
    };
    let plan = Plan { hosts: vec![], links: vec![link], baseline: Round::default(), accepted: BTreeSet::new() };
    let identity = Identity { run: "20261122-161005-k3f".into(), owner: "ada@laptop".into(), hosts: vec![] };
    let orders = Orders::new(Arc::new(plan), identity, vec![], vec![]);
    let hosts = Arc::new(SshHosts::new(Arc::clone(&reach), orders));
    let (round, _) = Arc::clone(&hosts).round(false, Continuity::Anew).await;
    assert_eq!((round.answers.len(), connections(&nobody)), (0, 1));
    // Nobody asks for another round, as in a roll back.
    let (one, order) = (name("one"), echo("x"));
    let answer = tokio::time::timeout(LIMIT * 3, reach.run(&one, &order, LIMIT)).await;
    let error = answer.expect("the order waits for a login that nobody goes on with").unwrap_err();
    assert!(matches!(error, StepError::NoLogin { .. }), "{error:?}");
    reach.close().await;
}

/// A push looks before and after its change. A new prober costs a host a session, a bash and its start.
#[tokio::test]
async fn one_prober_looks_before_and_after_the_change_where_it_asks_the_network_alone() {
    let ping = Probe::Ping { address: "127.0.0.1".into() };
    let other = Probe::Ping { address: "127.0.0.2".into() };
    let program = Probe::Argv(vec!["true".into()]);
    for (probe, probe_after, probers) in
        [(ping.clone(), ping.clone(), 1), (ping, other, 2), (program.clone(), program, 2)]
    {
        let home = Home::new();
        let sshd = Sshd::known(&home);
        let workspace = home.workspace(&[host("one", sshd.port)]).await;
        let reach = Arc::new(Reach::new(workspace, BTreeMap::from([(name("one"), LIMIT)]), turns(16)));
        let hosts = probing_hosts(&reach, probe, probe_after);
        let sessions = || sshd.log().lines().filter(|line| line.starts_with("Starting session")).count();
        for (after, continuity) in [(false, Continuity::Anew), (true, Continuity::Anew), (true, Continuity::GoesOn)] {
            let (round, _) = Arc::clone(&hosts).round(after, continuity).await;
            assert!(round.hosts.contains_key(&name("one")), "{round:?}");
        }
        assert_eq!(sessions(), probers);
        // An activation may end the sessions that are there.
        let order = script("for p in $(pgrep -P $PPID); do [ $p = $$ ] || kill -KILL $p; done; echo end", &[]);
        reach.run(&name("one"), &order, LIMIT).await.unwrap();
        let (round, _) = Arc::clone(&hosts).round(true, Continuity::Anew).await;
        assert!(round.hosts.contains_key(&name("one")), "it costs a round: {round:?}");
        assert_eq!(sessions(), probers + 2);
        hosts.stop_probing().await;
        reach.close().await;
    }
}

/// The hosts of a plan with one link, which begins at the host `one`.
fn probing_hosts(reach: &Arc<Reach>, probe: Probe, probe_after: Probe) -> Arc<SshHosts> {
    let link = Link {
        check: "vpn mesh".into(),
        from: Place::Host(name("one")),
        to: "other".into(),
        to_host: None,
        probe,
        probe_after,
        required: true,
        timeout: Duration::from_secs(5),
        left_out: None,
        shared: false,
    };
    let plan = Plan { hosts: vec![], links: vec![link], baseline: Round::default(), accepted: BTreeSet::new() };
    let identity = Identity { run: "20261122-161005-k3f".into(), owner: "ada@laptop".into(), hosts: vec![] };
    Arc::new(SshHosts::new(Arc::clone(reach), Orders::new(Arc::new(plan), identity, vec![], vec![])))
}

/// Logs in to all of these hosts at once, with so many turns.
async fn reach_all(workspace: Arc<Workspace>, hosts: &[&str], connect: Duration, at_once: u16) -> Vec<bool> {
    let hosts: Vec<HostName> = hosts.iter().map(|host| name(host)).collect();
    let reach = Reach::new(workspace, hosts.iter().map(|host| (host.clone(), connect)).collect(), turns(at_once));
    let order = echo("x");
    let all = futures::future::join_all(hosts.iter().map(|host| reach.run(host, &order, LIMIT)));
    let answers = tokio::time::timeout(LIMIT * 6, all).await.expect("a login waits for one that waits for it");
    reach.close().await;
    answers.into_iter().map(|answer| answer.is_ok()).collect()
}

#[tokio::test]
async fn no_more_hosts_are_logged_in_to_at_once_than_the_window_lets_and_each_has_its_whole_time() {
    let home = Home::new();
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    // It accepts and never answers, so that every login lasts until its limit. It counts those under way.
    let (now, most, all) =
        (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counting = tokio::spawn({
        let (now, most, all) = (Arc::clone(&now), Arc::clone(&most), Arc::clone(&all));
        async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                all.fetch_add(1, Ordering::SeqCst);
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                let now = Arc::clone(&now);
                tokio::spawn(async move {
                    let _ = tokio::io::copy(&mut connection, &mut tokio::io::sink()).await;
                    now.fetch_sub(1, Ordering::SeqCst);
                });
            }
        }
    });
    let names = ["a", "b", "c", "d", "e", "f"];
    let workspace = home.workspace(&names.map(|one| host(one, port))).await;
    assert_eq!(reach_all(workspace, &names, Duration::from_secs(2), 2).await, [false; 6]);
    let counted = (most.load(Ordering::SeqCst), all.load(Ordering::SeqCst));
    assert_eq!(counted, (2, 6), "(most at once, all): one that has waited for its turn is tried like the others");
    counting.abort();
}

#[tokio::test]
async fn hosts_that_stand_behind_each_other_do_not_wait_for_each_others_turns() {
    let home = Home::new();
    let sshds = [Sshd::known(&home), Sshd::known(&home), Sshd::known(&home)];
    let hosts = [
        host("first", sshds[0].port),
        behind("first", host("second", sshds[1].port)),
        behind("second", host("third", sshds[2].port)),
    ];
    for order in [["third", "second", "first"], ["first", "second", "third"]] {
        let workspace = home.workspace(&hosts).await;
        assert_eq!(reach_all(workspace, &order, LIMIT, 1).await, [true; 3], "{order:?}");
    }
    assert_eq!(sshds.each_ref().map(Sshd::logins), [2; 3], "one login to each in either order");
}

#[tokio::test]
async fn hosts_behind_a_jump_share_one_login_on_it() {
    let home = Home::new();
    let (jump, far) = (Sshd::known(&home), Sshd::known(&home));
    let hosts = [host("jump", jump.port), behind("jump", host("a", far.port)), behind("jump", host("b", far.port))];
    let workspace = home.workspace(&hosts).await;
    let (a, b) = (name("a"), name("b"));
    let (a_session, b_session) =
        tokio::join!(Session::open(&workspace, &a, LIMIT), Session::open(&workspace, &b, LIMIT));
    let (a_session, b_session) = (a_session.unwrap(), b_session.unwrap());
    assert_eq!((jump.logins(), far.logins()), (1, 2));
    assert_eq!(a_session.run(&echo("a"), LIMIT).await.unwrap().one("said"), Some("a"));
    assert_eq!(b_session.run(&echo("b"), LIMIT).await.unwrap().one("said"), Some("b"));
    let answer = login_anew(&workspace, &a, Way::Usual, &echo("anew"), LIMIT).await.unwrap();
    assert_eq!((answer.one("said"), answer.stderr_tail.as_str()), (Some("anew"), ""));
    assert_eq!((jump.logins(), far.logins()), (1, 3));
    // The jump's master dies, and with it every way through it.
    kill(master(&workspace, "jump"));
    tokio::join!(a_session.lost(), b_session.lost());
    assert!(!a_session.is_alive().await);
    let error = kept(a_session.run(&echo("lost"), LIMIT).await.unwrap_err());
    assert!(error.nothing_ran(), "{error:?}");
    let (a_again, b_again) = tokio::join!(a_session.reopen(LIMIT), b_session.reopen(LIMIT));
    a_again.unwrap();
    b_again.unwrap();
    assert_eq!(a_session.run(&echo("back"), LIMIT).await.unwrap().one("said"), Some("back"));
    assert_eq!((jump.logins(), far.logins()), (2, 5));
    workspace.close().await;
}

#[tokio::test]
async fn a_jump_may_have_a_jump_and_each_is_logged_into_once() {
    let home = Home::new();
    let (first, second, third, far) = (Sshd::known(&home), Sshd::known(&home), Sshd::known(&home), Sshd::known(&home));
    // The other way round than they are reached.
    let hosts = [
        behind("third", host("far", far.port)),
        behind("third", host("beside", far.port)),
        behind("second", host("third", third.port)),
        behind("first", host("second", second.port)),
        host("first", first.port),
    ];
    let workspace = home.workspace(&hosts).await;
    let (far_name, beside_name) = (name("far"), name("beside"));
    let (session, beside) =
        tokio::join!(Session::open(&workspace, &far_name, LIMIT), Session::open(&workspace, &beside_name, LIMIT));
    let (session, beside) = (session.unwrap(), beside.unwrap());
    assert_eq!(session.run(&echo("far"), LIMIT).await.unwrap().one("said"), Some("far"));
    assert_eq!(beside.run(&echo("beside"), LIMIT).await.unwrap().one("said"), Some("beside"));
    let answer = login_anew(&workspace, &far_name, Way::Usual, &echo("anew"), LIMIT).await.unwrap();
    assert_eq!((answer.one("said"), answer.stderr_tail.as_str()), (Some("anew"), ""));
    assert_eq!([&first, &second, &third, &far].map(Sshd::logins), [1, 1, 1, 3]);
    // A jump in the middle is lost: what is before it stays, what is behind it is made again.
    kill(master(&workspace, "second"));
    tokio::join!(session.lost(), beside.lost());
    session.reopen(LIMIT).await.unwrap();
    assert_eq!(session.run(&echo("back"), LIMIT).await.unwrap().one("said"), Some("back"));
    assert_eq!([&first, &second, &third, &far].map(Sshd::logins), [1, 2, 2, 4]);
    workspace.close().await;
}

#[tokio::test]
async fn a_jump_that_does_not_get_through_to_its_own_host_is_named() {
    let home = Home::new();
    let first = Sshd::known(&home);
    let hosts =
        [host("first", first.port), behind("first", host("second", free_port())), behind("second", host("far", 1))];
    let workspace = home.workspace(&hosts).await;
    let error = Session::open(&workspace, &name("far"), LIMIT).await.unwrap_err();
    assert_eq!(error.machine, "second");
    let by_hand = format!("ssh -J 127.0.0.1:{} -p {} 127.0.0.1", first.port, hosts[1].port.unwrap());
    assert_eq!(error.hint().unwrap(), format!("try it by hand: {by_hand}"));
    workspace.close().await;
}

#[tokio::test]
async fn a_jump_that_refuses_is_named() {
    let home = Home::new();
    let (jump, far) = (Sshd::start(&home, ""), Sshd::known(&home));
    let hosts = [host("jump", jump.port), behind("jump", host("far", far.port))];
    let workspace = home.workspace(&hosts).await;
    let error = Session::open(&workspace, &name("far"), LIMIT).await.unwrap_err();
    assert!(matches!(error.cause, ConnectCause::UnknownHostKey { fingerprint: Some(_) }), "{error:?}");
    assert_eq!(error.machine, "jump");
    workspace.close().await;
}

#[tokio::test]
async fn a_host_that_the_jump_cannot_reach_is_unreachable() {
    let home = Home::new();
    let jump = Sshd::known(&home);
    let hosts = [host("jump", jump.port), behind("jump", host("far", free_port()))];
    let workspace = home.workspace(&hosts).await;
    let error = Session::open(&workspace, &name("far"), LIMIT).await.unwrap_err();
    assert!(matches!(error.cause, ConnectCause::JumpBlocked), "{error:?}");
    assert_eq!(error.machine, "far");
    workspace.close().await;
}

#[tokio::test]
async fn jumps_outside_the_inventory_and_of_the_users_config_are_shared_too() {
    let home = Home::new();
    let (jump, far) = (Sshd::known(&home), Sshd::known(&home));
    let config = std::fs::read_to_string(home.path("config")).unwrap();
    let users = format!(
        "Host by-users-jump\n  HostName 127.0.0.1\n  Port {}\n  ProxyJump 127.0.0.1:{}\nHost *\n{config}",
        far.port, jump.port
    );
    std::fs::write(home.path("config"), users).unwrap();
    let destination = Jump::Destination { user: None, host: "127.0.0.1".into(), port: Some(jump.port) };
    let hosts = [
        Host { jump: Some(destination), ..host("a", far.port) },
        Host { address: "by-users-jump".into(), port: None, ..host("b", 0) },
    ];
    let workspace = home.workspace(&hosts).await;
    for host in ["a", "b"] {
        let session = Session::open(&workspace, &name(host), LIMIT).await.unwrap();
        assert_eq!(session.run(&echo(host), LIMIT).await.unwrap().one("said"), Some(host));
        // The port that it was logged in to: the host's, and not the one of the jump.
        let place = script("printf 'said %s\\n' \"${SSH_CONNECTION##* }\"\necho end\n", &[]);
        let far = far.port.to_string();
        assert_eq!(session.run(&place, LIMIT).await.unwrap().one("said"), Some(far.as_str()), "{host}");
    }
    assert_eq!((jump.logins(), far.logins()), (1, 2));
    workspace.close().await;
}

#[tokio::test]
async fn a_dead_master_is_replaced() {
    let home = Home::new();
    let sshd = Sshd::known(&home);
    let workspace = home.workspace(&[host("one", sshd.port)]).await;
    let session = Session::open(&workspace, &name("one"), LIMIT).await.unwrap();
    let waiting = async {
        let running = script("echo begun; sleep 30", &[]);
        let mut stream = session.stream(&running, LIMIT).await.unwrap();
        assert_eq!(stream.next_line().await.unwrap(), Some(("begun".into(), String::new())));
        kill(master(&workspace, "one"));
        let error = kept(tokio::time::timeout(LIMIT, stream.next_line()).await.unwrap().unwrap_err());
        assert!(matches!(error, StepError::Disconnected { .. }), "{error:?}");
    };
    waiting.await;
    session.reopen(LIMIT).await.unwrap();
    assert_eq!(session.run(&echo("back"), LIMIT).await.unwrap().one("said"), Some("back"));
    // Also one that is there, but whose link is said to be lost.
    let before = master(&workspace, "one");
    session.reopen(LIMIT).await.unwrap();
    assert_ne!(master(&workspace, "one"), before);
    assert_eq!(session.run(&echo("again"), LIMIT).await.unwrap().one("said"), Some("again"));
    assert_eq!(sshd.logins(), 3);
    workspace.close().await;
}

#[tokio::test]
async fn a_name_is_pinned_to_the_address_of_the_first_login() {
    let home = Home::new();
    let sshd = Sshd::start(&home, "");
    home.know("localhost", sshd.port, &sshd.public_key("ed25519"));
    let workspace = home.workspace(&[Host { address: "localhost".into(), ..host("one", sshd.port) }]).await;
    Session::open(&workspace, &name("one"), LIMIT).await.unwrap();
    let config = std::fs::read_to_string(workspace.config()).unwrap();
    assert!(config.contains("  HostName 127.0.0.1\n"), "{config}");
    assert!(config.contains("  HostKeyAlias localhost\n  UserKnownHostsFile /"), "{config}");
    login_anew(&workspace, &name("one"), Way::Usual, &echo("x"), LIMIT).await.unwrap();
    workspace.close().await;
}

/// One way of ssh to know a host at a port that is not 22.
struct KnownBy {
    way: &'static str,
    /// Lines of the user's `known_hosts`. NAME, PORT, ED25519, ECDSA and AUTHORITY stand for what they say.
    lines: &'static str,
    /// Lines of the user's config; FILES stands for the folder.
    config: &'static str,
    hashed: bool,
    certified: bool,
}

const KNOWN_BY_NAME: KnownBy =
    KnownBy { way: "bare name", lines: "NAME ED25519", config: "", hashed: false, certified: false };

/// Every way that ssh has of knowing a host (`sshd(8)`, "`SSH_KNOWN_HOSTS` FILE FORMAT"; `ssh_config(5)`).
const WAYS_TO_BE_KNOWN: [KnownBy; 14] = [
    KNOWN_BY_NAME,
    KnownBy { way: "name and port", lines: "[NAME]:PORT ED25519", ..KNOWN_BY_NAME },
    KnownBy { way: "hashed bare name", hashed: true, ..KNOWN_BY_NAME },
    KnownBy { way: "hashed name and port", lines: "[NAME]:PORT ED25519", hashed: true, ..KNOWN_BY_NAME },
    KnownBy { way: "a pattern", lines: "*host,!other ED25519", ..KNOWN_BY_NAME },
    KnownBy { way: "several keys", lines: "NAME ECDSA\nNAME ED25519", ..KNOWN_BY_NAME },
    KnownBy { way: "a certificate", lines: "@cert-authority NAME AUTHORITY", certified: true, ..KNOWN_BY_NAME },
    KnownBy {
        way: "a certificate, by a pattern with a port",
        lines: "@cert-authority [*]:* AUTHORITY",
        certified: true,
        ..KNOWN_BY_NAME
    },
    KnownBy { way: "the key of a host that has a certificate", certified: true, ..KNOWN_BY_NAME },
    KnownBy { way: "HostKeyAlias", lines: "Known ED25519", config: "HostKeyAlias known\n", ..KNOWN_BY_NAME },
    KnownBy {
        way: "HostKeyAlias and a certificate",
        lines: "@cert-authority known AUTHORITY",
        config: "HostKeyAlias known\n",
        certified: true,
        ..KNOWN_BY_NAME
    },
    KnownBy {
        way: "the second of several files, with a blank in its name",
        config: "UserKnownHostsFile /dev/null \"FILES/my known hosts\"\n",
        ..KNOWN_BY_NAME
    },
    KnownBy {
        way: "a file of the system",
        config: "UserKnownHostsFile none\nGlobalKnownHostsFile \"FILES/my known hosts\"\n",
        ..KNOWN_BY_NAME
    },
    KnownBy { way: "a file for each host", config: "UserKnownHostsFile \"FILES/known to %k\"\n", ..KNOWN_BY_NAME },
];

impl KnownBy {
    /// Makes a host's user, whose first login on `sshd` at `name` is fine.
    fn prepare(&self, home: &Home, sshd: &Sshd, name: &str, authority: &Path) {
        let key = |file: PathBuf| std::fs::read_to_string(file).unwrap().trim_end().to_owned();
        let text = self
            .lines
            .replace("NAME", name)
            .replace("PORT", &sshd.port.to_string())
            .replace("ED25519", &key(sshd.public_key("ed25519")))
            .replace("ECDSA", &key(sshd.public_key("ecdsa")))
            .replace("AUTHORITY", &key(authority.with_extension("pub")));
        for file in ["known_hosts", "my known hosts", &format!("known to {name}")] {
            std::fs::write(home.path(file), format!("{text}\n")).unwrap();
        }
        if self.hashed {
            let hash = Command::new("ssh-keygen").args(["-q", "-H", "-f"]).arg(home.path("known_hosts")).output();
            assert!(hash.unwrap().status.success());
        }
        let config = std::fs::read_to_string(home.path("config")).unwrap();
        let more = self.config.replace("FILES", &home.path("").display().to_string());
        std::fs::write(home.path("config"), more + &config).unwrap();
    }
}

/// Signs the host keys in a folder for some names.
fn certify(sshd_keys: &Path, authority: &Path, names: &str) {
    let signed = Command::new("ssh-keygen")
        .args(["-q", "-h", "-I", "host", "-n", names, "-s"])
        .arg(authority)
        .arg(sshd_keys)
        .status();
    assert!(signed.unwrap().success());
}

#[tokio::test]
async fn later_logins_trust_what_the_first_one_trusted() {
    let by_address = ["bare name", "name and port", "a certificate", "a file of the system"];
    let (keys, strangers_keys) = (Keys::new(), Keys::new());
    let rows = WAYS_TO_BE_KNOWN.iter().flat_map(|known_by| {
        let addresses = ["localhost", "127.0.0.1"];
        addresses.into_iter().take(if by_address.contains(&known_by.way) { 2 } else { 1 }).map(move |at| (known_by, at))
    });
    let rows = rows.map(|(known_by, address)| {
        let (keys, strangers_keys) = (&keys, &strangers_keys);
        async move { what_is_wrong(known_by, address, keys, strangers_keys).await }
    });
    let wrong: Vec<Vec<String>> = futures::future::join_all(rows).await;
    assert!(wrong.concat().is_empty(), "{}", wrong.concat().join("\n"));
}

async fn what_is_wrong(known_by: &KnownBy, address: &str, keys: &Keys, strangers_keys: &Keys) -> Vec<String> {
    let mut wrong = Vec::new();
    let home = Home::new();
    let authority = home.path("authority");
    keygen(&authority, "ed25519");
    let mut more = String::new();
    if known_by.certified {
        let certificate = home.path("host.pub");
        std::fs::copy(keys.path("ed25519.pub"), &certificate).unwrap();
        certify(&certificate, &authority, &format!("{address},known"));
        more = format!("HostCertificate {}\n", home.path("host-cert.pub").display());
    }
    let before = Sshd::start_with(keys, &home, &more);
    // The same machine at another port.
    let after = Sshd::start_with(keys, &home, &more);
    let stranger = Sshd::start_with(strangers_keys, &home, "");
    known_by.prepare(&home, &before, address, &authority);
    let host = |name: &str, after: &Sshd| Host {
        address: address.into(),
        after: After { port: Some(after.port), ..After::default() },
        ..host(name, before.port)
    };
    let workspace = home.workspace(&[host("one", &after), host("two", &stranger)]).await;
    let mut expect = |what: &str, is_right: bool, seen: &dyn std::fmt::Debug| {
        if !is_right {
            wrong.push(format!("{} at {address}: {what}: {seen:?}", known_by.way));
        }
    };
    let session = match Session::open(&workspace, &name("one"), LIMIT).await {
        Ok(session) => session,
        Err(error) => {
            expect("the first login", false, &error);
            return wrong;
        }
    };
    let login = async |host: &str, way| login_anew(&workspace, &name(host), way, &echo("x"), LIMIT).await;
    let usual = login("one", Way::Usual).await;
    expect("a new login", usual.is_ok(), &usual);
    let new_way = login("one", Way::After).await;
    expect("a login by the new way", new_way.is_ok(), &new_way);
    // What counts is what the user's files said when the host was logged into.
    let files = ["known_hosts", "my known hosts", &format!("known to {address}")].map(|file| home.path(file));
    let texts = files.each_ref().map(|file| std::fs::read(file).unwrap());
    for file in &files {
        std::fs::write(file, "").unwrap();
    }
    kill(master(&workspace, "one"));
    session.lost().await;
    let reopened = session.reopen(LIMIT).await;
    expect("a reconnect", reopened.is_ok(), &reopened);
    let first_now = Session::open(&workspace, &name("two"), LIMIT).await;
    expect("a host that is not known any more", first_now.is_err(), &"a login");
    files.iter().zip(texts).for_each(|(file, text)| std::fs::write(file, text).unwrap());
    Session::open(&workspace, &name("two"), LIMIT).await.unwrap();
    let strangely = login("two", Way::After).await;
    let cause = match &strangely {
        Err(StepError::NoLogin { source, .. }) => Some(&source.cause),
        _ => None,
    };
    let is_refused = matches!(cause, Some(ConnectCause::ChangedHostKey { .. } | ConnectCause::UnknownHostKey { .. }));
    expect("a stranger", is_refused && stranger.logins() == 0, &strangely);
    if let Some(ConnectCause::ChangedHostKey { known, .. }) = cause {
        let is_the_users = known.as_ref().is_some_and(|(file, _)| files.contains(file));
        expect("the place of the key", is_the_users, &known);
    }
    workspace.close().await;
    wrong
}

/// On NixOS `known_hosts` may be a link into the store.
#[tokio::test]
async fn a_key_that_was_taken_at_first_sight_and_cannot_be_written_down_is_kept_for_the_run() {
    let home = Home::new();
    let config = std::fs::read_to_string(home.path("config")).unwrap();
    let unwritable = format!("UserKnownHostsFile {}\n", home.path("none/such").display());
    std::fs::write(home.path("config"), unwritable + &config).unwrap();
    let (sshd, stranger) = (Sshd::start(&home, ""), Sshd::start(&home, ""));
    let after = After { port: Some(stranger.port), ..After::default() };
    let new = Host { host_key: HostKey::AcceptNew, after, ..host("one", sshd.port) };
    let workspace = home.workspace(&[new]).await;
    Session::open(&workspace, &name("one"), LIMIT).await.unwrap();
    login_anew(&workspace, &name("one"), Way::Usual, &echo("x"), LIMIT).await.unwrap();
    let error = login_anew(&workspace, &name("one"), Way::After, &echo("x"), LIMIT).await.unwrap_err();
    assert!(
        matches!(
            &error,
            StepError::NoLogin { source, .. } if matches!(source.cause, ConnectCause::ChangedHostKey { .. })
        ),
        "{error:?}"
    );
    assert_eq!((sshd.logins(), stranger.logins()), (2, 0));
    workspace.close().await;
}

#[tokio::test]
async fn the_new_way_to_a_host_is_used_after_the_push_and_must_have_the_same_key() {
    let home = Home::new();
    let before = Sshd::known(&home);
    // The same machine at another port: the same keys.
    let after = Sshd::start_as(&before, &home, "");
    let other = Sshd::start(&home, "");
    let moved =
        |name: &str, port| Host { after: After { port: Some(port), ..After::default() }, ..host(name, before.port) };
    let workspace = home.workspace(&[moved("one", after.port), moved("wrong", other.port)]).await;
    let login = async |host: &str, way| login_anew(&workspace, &name(host), way, &echo("x"), LIMIT).await;
    login("one", Way::Usual).await.unwrap();
    let error = login("wrong", Way::After).await.unwrap_err();
    assert!(
        matches!(
            &error,
            StepError::NoLogin { source, .. } if matches!(source.cause, ConnectCause::ChangedHostKey { .. })
        ),
        "{error:?}"
    );
    assert_eq!((before.logins(), other.logins()), (1, 0));
    let session = Session::open(&workspace, &name("one"), LIMIT).await.unwrap();
    drop(before);
    kill(master(&workspace, "one"));
    session.lost().await;
    session.reopen(LIMIT).await.unwrap();
    assert_eq!(after.logins(), 1);
    workspace.close().await;
}

/// A host that is looked for at several names, each a block of the user's config with a port of its own.
fn at_each(home: &Home, host_name: &str, ports: &[(&str, u16)]) -> Host {
    let config = std::fs::read_to_string(home.path("config")).unwrap();
    let block = |(name, port): &(&str, u16)| format!("Host {name}\n  HostName 127.0.0.1\n  Port {port}\n");
    let blocks: String = ports.iter().map(block).collect();
    std::fs::write(home.path("config"), format!("{blocks}Host *\n{config}")).unwrap();
    let mut addresses = ports.iter().map(|(name, _)| (*name).to_owned());
    Host { address: addresses.next().unwrap(), other_addresses: addresses.collect(), port: None, ..host(host_name, 0) }
}

/// A port that takes connections and never says a word.
fn silent() -> (TcpListener, u16) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

fn connections(listener: &TcpListener) -> usize {
    listener.set_nonblocking(true).unwrap();
    std::iter::from_fn(|| listener.accept().ok()).count()
}

#[tokio::test]
async fn the_first_address_that_lets_us_in_is_used_for_the_whole_run() {
    let home = Home::new();
    let sshd = Sshd::known(&home);
    let (nobody, silent_port) = silent();
    let host = at_each(&home, "one", &[("at-home", silent_port), ("gone", free_port()), ("away", sshd.port)]);
    let workspace = home.workspace(&[host]).await;
    assert_eq!(workspace.settled_on(&name("one")), None);
    let begun = Instant::now();
    let session = Session::open(&workspace, &name("one"), LIMIT).await.unwrap();
    assert!(begun.elapsed() < LIMIT / 2, "the silent one was waited for: {:?}", begun.elapsed());
    assert_eq!(workspace.settled_on(&name("one")), Some(("away", &[][..])));
    assert_eq!(session.run(&echo("x"), LIMIT).await.unwrap().one("said"), Some("x"));
    // What others read: nix, a jump through it, a login of its own.
    let answer = login_anew(&workspace, &name("one"), Way::Usual, &echo("anew"), LIMIT).await.unwrap();
    assert_eq!(answer.one("said"), Some("anew"));
    kill(master(&workspace, "one"));
    session.lost().await;
    session.reopen(LIMIT).await.unwrap();
    // Not one of the later logins has looked there; under load even the first may have been too late to.
    assert!(sshd.logins() == 3 && connections(&nobody) <= 1);
    workspace.close().await;
}

#[tokio::test]
async fn an_address_that_is_not_needed_is_not_touched() {
    let home = Home::new();
    let sshd = Sshd::known(&home);
    let (nobody, silent_port) = silent();
    let host = at_each(&home, "one", &[("at-home", sshd.port), ("away", silent_port)]);
    let workspace = home.workspace(&[host]).await;
    Session::open(&workspace, &name("one"), LIMIT).await.unwrap();
    assert_eq!(workspace.settled_on(&name("one")), Some(("at-home", &[][..])));
    assert_eq!((sshd.logins(), connections(&nobody)), (1, 0));
    workspace.close().await;
}

#[tokio::test]
async fn a_stranger_at_one_of_the_addresses_is_passed_over_and_named() {
    let home = Home::new();
    let (stranger, sshd) = (Sshd::start(&home, ""), Sshd::known(&home));
    let host = at_each(&home, "one", &[("at-home", stranger.port), ("away", sshd.port)]);
    let workspace = home.workspace(&[host]).await;
    Session::open(&workspace, &name("one"), LIMIT).await.unwrap();
    let host = name("one");
    let (address, passed_over) = workspace.settled_on(&host).unwrap();
    assert_eq!(address, "away");
    let [why] = passed_over else { panic!("{passed_over:?}") };
    assert!(why.to_string().starts_with("no ssh login on one at at-home: its host key is not known"), "{why}");
    assert_eq!((stranger.logins(), sshd.logins()), (0, 1));
    workspace.close().await;
}

#[tokio::test]
async fn where_no_address_lets_us_in_the_most_telling_one_is_named() {
    let home = Home::new();
    let stranger = Sshd::start(&home, "");
    let host = at_each(&home, "one", &[("at-home", free_port()), ("away", stranger.port)]);
    let workspace = home.workspace(&[host]).await;
    let error = Session::open(&workspace, &name("one"), LIMIT).await.unwrap_err();
    assert!(matches!(error.cause, ConnectCause::UnknownHostKey { .. }), "{error:?}");
    assert_eq!((error.machine.as_str(), error.by_hand.as_str()), ("one at away", "ssh away"));
    assert_eq!(workspace.settled_on(&name("one")), None);
    workspace.close().await;
}

#[tokio::test]
async fn a_jump_and_a_host_behind_it_may_both_have_several_addresses() {
    let home = Home::new();
    let (jump, far) = (Sshd::known(&home), Sshd::known(&home));
    let through = at_each(&home, "jump", &[("jump-gone", free_port()), ("jump-away", jump.port)]);
    let behind_it = at_each(&home, "far", &[("far-gone", free_port()), ("far-there", far.port)]);
    let workspace = home.workspace(&[through, behind("jump", behind_it)]).await;
    let session = Session::open(&workspace, &name("far"), LIMIT).await.unwrap();
    assert_eq!(session.run(&echo("far"), LIMIT).await.unwrap().one("said"), Some("far"));
    login_anew(&workspace, &name("far"), Way::Usual, &echo("anew"), LIMIT).await.unwrap();
    assert_eq!(workspace.settled_on(&name("jump")), Some(("jump-away", &[][..])));
    assert_eq!(workspace.settled_on(&name("far")), Some(("far-there", &[][..])));
    assert_eq!((jump.logins(), far.logins()), (1, 2));
    workspace.close().await;
}

/// Both the ways there were and the new one are tried, until one of them works.
#[tokio::test]
async fn a_host_that_has_moved_already_is_found_beside_its_addresses() {
    let home = Home::new();
    let before = Sshd::known(&home);
    let after = Sshd::start_as(&before, &home, "");
    let (port, gone) = (before.port, Host { other_addresses: vec!["localhost".into()], ..host("one", before.port) });
    home.know("localhost", port, &before.public_key("ed25519"));
    drop(before);
    let moved = Host { after: After { port: Some(after.port), ..After::default() }, ..gone };
    let workspace = home.workspace(&[moved]).await;
    Session::open(&workspace, &name("one"), LIMIT).await.unwrap();
    assert_eq!(after.logins(), 1);
    workspace.close().await;
}

#[tokio::test]
async fn a_login_that_cannot_be_root_says_so() {
    let home = Home::new();
    let no_shell = Sshd::start(&home, "ForceCommand echo This account is not available; exit 1");
    home.know("127.0.0.1", no_shell.port, &no_shell.public_key("ed25519"));
    let workspace = home.workspace(&[host("one", no_shell.port)]).await;
    let session = Session::open(&workspace, &name("one"), LIMIT).await.unwrap();
    let error = kept(session.run(&echo("x"), LIMIT).await.unwrap_err());
    assert!(matches!(error, StepError::NoShell { status: 1, .. }), "{error:?}");
    workspace.close().await;
}

/// Each part of a run's contact with a host, with its folder cleaned away just before.
#[tokio::test]
async fn a_run_whose_folder_vanishes_goes_on_in_every_phase() {
    let home = Home::new();
    let jump = Sshd::known(&home);
    let sshd = Sshd::known(&home);
    let hosts = [host("jump", jump.port), behind("jump", host("one", sshd.port))];
    let workspace = home.workspace(&hosts).await;
    let connect = hosts.iter().map(|host| (host.name.clone(), LIMIT)).collect();
    let reach = Reach::new(Arc::clone(&workspace), connect, turns(16));
    let folder = workspace.config().parent().unwrap().to_owned();
    assert!(folder.starts_with("/tmp"), "{folder:?}: XDG_RUNTIME_DIR goes at logout");
    let vanish = || std::fs::remove_dir_all(&folder).unwrap();
    let said = |raw: &fleetdeploy::remote::RawAnswer| raw.one("said").map(str::to_owned);
    // Before the first login.
    vanish();
    assert_eq!(said(&reach.run(&name("one"), &echo("first"), LIMIT).await.unwrap()).as_deref(), Some("first"));
    // Between two scripts, and while one runs: that one goes on.
    let running = script("echo begun; read -r line; echo \"got $line\"; echo end", &[]);
    let mut stream = reach.stream(&name("one"), &running, LIMIT).await.unwrap();
    assert_eq!(stream.next_line().await.unwrap(), Some(("begun".into(), String::new())));
    vanish();
    assert_eq!(said(&reach.run(&name("one"), &echo("second"), LIMIT).await.unwrap()).as_deref(), Some("second"));
    stream.send_line("it").await.unwrap();
    assert_eq!(stream.next_line().await.unwrap(), Some(("got".into(), "it".into())));
    // A login of its own, the only file alone, and what Nix is told.
    vanish();
    let raw = reach.login_anew(&name("one"), Way::Usual, None, &echo("third"), LIMIT).await.unwrap();
    assert_eq!(said(&raw).as_deref(), Some("third"));
    std::fs::remove_file(workspace.config()).unwrap();
    let raw = reach.login_anew(&name("jump"), Way::Usual, None, &echo("fourth"), LIMIT).await.unwrap();
    assert_eq!(said(&raw).as_deref(), Some("fourth"));
    vanish();
    assert!(workspace.nix_ssh_options().contains(workspace.config().to_str().unwrap()));
    assert!(workspace.config().exists());
    // Where it cannot be made anew, that is what is said.
    vanish();
    std::fs::write(&folder, "in the way").unwrap();
    let error = kept(reach.run(&name("one"), &echo("x"), LIMIT).await.unwrap_err());
    let StepError::NoLogin { source, .. } = &error else { panic!("{error:?}") };
    assert!(matches!(source.cause, ConnectCause::FolderGone { .. }), "{source:?}");
    std::fs::remove_file(&folder).unwrap();
    assert_eq!(said(&reach.run(&name("one"), &echo("fifth"), LIMIT).await.unwrap()).as_deref(), Some("fifth"));
    reach.close().await;
    assert!(!folder.exists());
}

/// A script may run long, and only its login takes a place of the window.
#[tokio::test]
async fn a_new_login_lets_its_turn_go_once_its_session_stands() {
    let home = Home::new();
    let sshd = Sshd::known(&home);
    let hosts = [host("slow", sshd.port), host("quick", sshd.port)];
    let workspace = home.workspace(&hosts).await;
    let connect = hosts.iter().map(|host| (host.name.clone(), LIMIT)).collect();
    let reach = Reach::new(Arc::clone(&workspace), connect, turns(1));
    let (slow, quick) = (name("slow"), name("quick"));
    let begun = home.path("begun");
    let waits = format!("echo begun >'{}'; sleep 600", begun.display());
    let script = script(waits.leak(), &[]);
    tokio::select! {
        _ = reach.login_anew(&slow, Way::Usual, None, &script, LIMIT) => panic!("it runs for ten minutes"),
        () = async {
            while !begun.exists() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            let raw = reach.login_anew(&quick, Way::Usual, None, &echo("x"), LIMIT).await.unwrap();
            assert_eq!(raw.one("said"), Some("x"));
        } => {}
    }
    reach.close().await;
}

/// What stands in for a login shell says why it is none on stdout, or it never begins.
#[tokio::test]
async fn the_last_words_of_what_stands_in_for_a_shell_are_kept() {
    let home = Home::new();
    for (more, expected) in [
        ("ForceCommand echo This account is not available; exit 1", "This account is not available"),
        ("ForceCommand printf 'only backups here'; exit 3", "only backups here"),
        ("ForceCommand echo Welcome; echo no shells today >&2; exit 2", "no shells today"),
    ] {
        let sshd = Sshd::start(&home, more);
        home.know("127.0.0.1", sshd.port, &sshd.public_key("ed25519"));
        let workspace = home.workspace(&[host("one", sshd.port)]).await;
        let session = Session::open(&workspace, &name("one"), LIMIT).await.unwrap();
        let over_master = kept(session.run(&echo("x"), LIMIT).await.unwrap_err());
        let anew = kept(login_anew(&workspace, &name("one"), Way::Usual, &echo("x"), LIMIT).await.unwrap_err());
        for error in [over_master, anew] {
            assert!(matches!(error, StepError::NoShell { .. }), "{error:?}");
            assert_eq!(error.stderr_tail().and_then(|tail| tail.lines().last()), Some(expected));
        }
        workspace.close().await;
    }
}

/// The banner of a host has any words, and is not ssh.
#[tokio::test]
async fn a_banner_is_not_taken_for_the_words_of_ssh() {
    let home = Home::new();
    let banner = "Host key verification failed.\nSo say strangers. Idle sessions: Connection timed out.\n\
                  ssh: connect to host evil port 22: Connection refused\n";
    std::fs::write(home.path("banner"), banner).unwrap();
    let more = format!("Banner {}\nDenyUsers *", home.path("banner").display());
    let sshd = Sshd::start(&home, &more);
    home.know("127.0.0.1", sshd.port, &sshd.public_key("ed25519"));
    let workspace = home.workspace(&[host("one", sshd.port)]).await;
    let error = kept(Session::open(&workspace, &name("one"), LIMIT).await.unwrap_err());
    assert!(
        matches!(&error.cause, ConnectCause::AuthRefused(said) if said.contains("Permission denied (")),
        "{error:?}"
    );
    workspace.close().await;
}

/// A login shell that never begins is told from a host that is gone, and nothing is sent to it.
#[tokio::test]
async fn a_script_is_sent_only_when_the_shell_of_root_has_said_that_it_runs() {
    let home = Home::new();
    let taken = home.path("taken");
    // It reads all of its input, as a program does that asks for a password.
    let more = format!("ForceCommand echo; echo fleetdeploy-shell; cat >{}; exit 1", taken.display());
    let sshd = Sshd::start(&home, &more);
    home.know("127.0.0.1", sshd.port, &sshd.public_key("ed25519"));
    let becoming = Become::Words(vec!["please".into(), "-u root".into()]);
    let one = Host { becoming, ..host("one", sshd.port) };
    let workspace = home.workspace(&[one]).await;
    let limit = Duration::from_secs(3);
    let session = Session::open(&workspace, &name("one"), LIMIT).await.unwrap();
    let secret = script("echo a line of the script\necho end\n", &[]);
    let over_master = kept(session.run(&secret, limit).await.unwrap_err());
    let streamed = kept(session.stream(&secret, limit).await.map(drop).unwrap_err());
    for error in [over_master, streamed] {
        assert!(error.nothing_ran(), "{error:?}");
        assert!(matches!(error, StepError::NotRoot { .. }), "{error:?}");
    }
    assert_eq!(std::fs::read_to_string(&taken).unwrap(), "2\nplease\n-u root\n");
    workspace.close().await;
}

#[tokio::test]
async fn a_host_with_one_session_for_each_connection_is_spoken_to_all_the_same() {
    let home = Home::new();
    let sshd = Sshd::start(&home, "MaxSessions 1");
    home.know("127.0.0.1", sshd.port, &sshd.public_key("ed25519"));
    let workspace = home.workspace(&[host("one", sshd.port)]).await;
    let session = Session::open(&workspace, &name("one"), LIMIT).await.unwrap();
    // As the prober of a proof: it has the only session for as long as it likes.
    let prober = script("echo begun; read -r line; echo got \"$line\"; echo end\n", &[]);
    let mut stream = session.stream(&prober, LIMIT).await.unwrap();
    assert_eq!(stream.next_line().await.unwrap(), Some(("begun".into(), String::new())));
    for text in ["switch", "disarm", "clean"] {
        assert_eq!(session.run(&echo(text), LIMIT).await.unwrap().one("said"), Some(text));
    }
    let mut job = session.stream(&prober, LIMIT).await.unwrap();
    assert_eq!(job.next_line().await.unwrap(), Some(("begun".into(), String::new())));
    assert_eq!(session.run(&echo("beside"), LIMIT).await.unwrap().one("said"), Some("beside"));
    for stream in [&mut stream, &mut job] {
        stream.send_line("on").await.unwrap();
        assert_eq!(stream.next_line().await.unwrap(), Some(("got".into(), "on".into())));
    }
    // One connection for each session that is open at once, and no more.
    assert_eq!(sshd.logins(), 3);
    // The first one is the way still.
    let before = master(&workspace, "one");
    kill(before);
    session.lost().await;
    session.reopen(LIMIT).await.unwrap();
    assert_eq!(session.run(&echo("again"), LIMIT).await.unwrap().one("said"), Some("again"));
    workspace.close().await;
}

#[tokio::test]
async fn a_jump_that_no_longer_forwards_is_found_by_a_new_login_on_it() {
    let home = Home::new();
    let (jump, far) = (Sshd::known(&home), Sshd::known(&home));
    // The same machine after the push.
    let closed = Sshd::start_as(&jump, &home, "DisableForwarding yes");
    let through = Host { after: After { port: Some(closed.port), ..After::default() }, ..host("jump", jump.port) };
    let workspace = home.workspace(&[through, behind("jump", host("far", far.port))]).await;
    Session::open(&workspace, &name("far"), LIMIT).await.unwrap();
    let far = name("far");
    let login = |jump| {
        let workspace = Arc::clone(&workspace);
        let far = far.clone();
        async move { login_anew_all_the_way(&workspace, &far, Way::After, jump, &echo("x"), LIMIT).await }
    };
    // Over what is open on the jump all looks well.
    login(None).await.unwrap();
    login(Some(Way::Usual)).await.unwrap();
    let error = login(Some(Way::After)).await.unwrap_err();
    assert!(
        matches!(&error, StepError::NoLogin { source, .. } if matches!(source.cause, ConnectCause::JumpBlocked)),
        "{error:?}"
    );
    // The first login, that of the master; one that forwarded, and one that did not.
    assert_eq!((jump.logins(), closed.logins()), (2, 1));
    workspace.close().await;
}

/// What sshd's own limits do to a run: each is survived, or has its name.
#[tokio::test]
async fn the_limits_of_an_sshd_are_survived_or_named() {
    let home = Home::new();
    let known = |more: &str| {
        let sshd = Sshd::start(&home, more);
        home.know("127.0.0.1", sshd.port, &sshd.public_key("ed25519"));
        sshd
    };
    let anew = async |sshd: &Sshd| {
        let workspace = home.workspace(&[host("one", sshd.port)]).await;
        let answer = login_anew(&workspace, &name("one"), Way::Usual, &echo("x"), LIMIT).await;
        workspace.close().await;
        answer.map(|_| ()).map_err(|error| Cause::from(&error).to_string())
    };
    // A forced command runs instead of ours, whatever it says and however it ends.
    for (forced, status) in [("echo only backups here", 0), ("echo only backups here; exit 7", 7)] {
        let sshd = known(&format!("ForceCommand {forced}"));
        let said = anew(&sshd).await.unwrap_err();
        assert!(said.contains(&format!("cannot run `try` (status {status})")), "{said}");
    }
    // One connection that has not logged in yet takes the only place.
    let sshd = known("MaxStartups 1:100:1");
    let taken = std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, sshd.port)).unwrap();
    let deadline = Instant::now() + LIMIT;
    while !sshd.log().contains("Connection from") {
        assert!(Instant::now() < deadline, "{}", sshd.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let said = anew(&sshd).await.unwrap_err();
    assert!(said.contains("no ssh login on one: its sshd lets nobody in from here just now: "), "{said}");
    drop(taken);
    // A user who is not let in, by name.
    let said = anew(&known("DenyUsers *")).await.unwrap_err();
    assert!(said.contains("Permission denied"), "{said}");
    // One that looks whether we are still there, and one that gives no terminal, no tunnel and no agent.
    let sshd = known("ClientAliveInterval 1\nClientAliveCountMax 1\nPermitTTY no\nDisableForwarding yes");
    let workspace = home.workspace(&[host("one", sshd.port)]).await;
    let session = Session::open(&workspace, &name("one"), LIMIT).await.unwrap();
    let slow = script("sleep 4; echo said slow; echo end\n", &[]);
    assert_eq!(session.run(&slow, LIMIT).await.unwrap().one("said"), Some("slow"));
    assert_eq!(sshd.logins(), 1);
    workspace.close().await;
}

/// By itself it would live on for a minute.
#[tokio::test]
async fn a_master_that_is_told_to_end_ends_at_once() {
    let home = Home::new();
    let sshd = Sshd::known(&home);
    let workspace = home.workspace(&[host("one", sshd.port)]).await;
    let session = Session::open(&workspace, &name("one"), LIMIT).await.unwrap();
    workspace.close().await;
    tokio::time::timeout(Duration::from_secs(10), session.lost()).await.expect("the master has ended");
}

/// OpenSSH's own behaviour that `remote::master` stands on.
#[tokio::test]
async fn a_master_lives_as_long_as_it_is_held() {
    let home = Home::new();
    let sshd = Sshd::known(&home);
    let workspace = home.workspace(&[host("one", sshd.port)]).await;
    let socket = workspace.config().with_file_name("held");
    let status = Command::new("ssh")
        .arg("-F")
        .arg(workspace.config())
        .args(["-M", "-f", "-N", "-oControlPersist=1", "-S"])
        .arg(&socket)
        .arg("one")
        .stderr(Stdio::null())
        .status();
    assert!(status.unwrap().success());
    let hold = UnixStream::connect(&socket).await.unwrap();
    // Time has to pass here: that nothing happens in it is the claim.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(UnixStream::connect(&socket).await.is_ok());
    drop(hold);
    let deadline = Instant::now() + LIMIT;
    while socket.exists() {
        assert!(Instant::now() < deadline, "the master outlives its last client");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    workspace.close().await;
}

/// What a command printed and came to.
#[derive(Debug)]
struct Ran {
    out: Vec<u8>,
    err: String,
    status: i32,
    end: ExecEnd,
}

fn order(words: impl IntoIterator<Item = impl Into<OsString>>, limit: Duration) -> RemoteStep {
    let words = words.into_iter().map(Into::into).collect();
    RemoteStep::Exec { mark: "fleetdeploy-12ab".into(), as_root: false, limit, words }
}

/// Reads a command to its end; stops it as soon as `stop_at` was printed.
async fn run_command(session: &Session, order: &RemoteStep, stop_at: Option<&str>) -> Result<Ran, StepError> {
    let mut command = session.command(order, LIMIT).await?;
    let (mut out, mut err) = (Vec::new(), Vec::new());
    loop {
        match tokio::time::timeout(LIMIT, command.next()).await.expect("it prints or ends in time")? {
            Piece::Out(bytes) => {
                out.extend(bytes);
                if stop_at.is_some_and(|text| String::from_utf8_lossy(&out).contains(text)) {
                    command.stop().await;
                }
            }
            Piece::Err(bytes) => err.extend(bytes),
            Piece::Ended { status, end, .. } => {
                return Ok(Ran { out, err: String::from_utf8_lossy(&err).into_owned(), status, end });
            }
            Piece::Refused(text) => panic!("{text}"),
        }
    }
}

/// Login shells read the command line, and this one knows no POSIX.
#[tokio::test]
async fn the_words_of_a_command_arrive_as_they_were_typed_whatever_the_login_shell() {
    let home = Home::new();
    let every_byte: Vec<u8> = (1..=255).collect();
    let words: Vec<OsString> =
        ["", " two  spaces ", "'", "\"", "$HOME", "`x`", "a\nb\n\n", "-n", "--", "\\0101", "\\", "*", "%s", "ü✓"]
            .into_iter()
            .map(OsString::from)
            .chain([OsString::from_vec(every_byte), "x".repeat(100_000).into()])
            .collect();
    let fish = std::env::split_paths(&std::env::var_os("PATH").unwrap()).any(|folder| folder.join("fish").exists());
    let by_fish = "ForceCommand exec fish -c \"$SSH_ORIGINAL_COMMAND\"";
    for more in ["", by_fish].into_iter().filter(|more| more.is_empty() || fish) {
        let sshd = Sshd::start(&home, more);
        home.know("127.0.0.1", sshd.port, &sshd.public_key("ed25519"));
        let workspace = home.workspace(&[host("one", sshd.port)]).await;
        let session = Session::open(&workspace, &name("one"), LIMIT).await.unwrap();
        let printf = ["printf", "%s\\0"].map(OsString::from);
        let ran = run_command(&session, &order(printf.into_iter().chain(words.clone()), LIMIT), None).await.unwrap();
        let expected: Vec<u8> = words.iter().flat_map(|word| [word.clone().into_vec(), vec![0]].concat()).collect();
        assert!(ran.out == expected, "{more}: {}", String::from_utf8_lossy(&ran.out));
        assert_eq!((ran.err.as_str(), ran.status, ran.end), ("", 0, ExecEnd::ByItself));
        // A word that looks like an option of something on the way is the command, and is not found.
        let ran = run_command(&session, &order(["-k", "x"], LIMIT), None).await.unwrap();
        assert_eq!((ran.status, ran.end), (127, ExecEnd::ByItself), "{}", ran.err);
        workspace.close().await;
    }
}

#[tokio::test]
async fn a_command_has_two_streams_a_status_of_its_own_and_nothing_to_read() {
    let home = Home::new();
    let sshd = Sshd::known(&home);
    let workspace = home.workspace(&[host("one", sshd.port)]).await;
    let session = Session::open(&workspace, &name("one"), LIMIT).await.unwrap();
    let sh = |text: &str, limit| order(["sh", "-c", text], limit);
    for status in [0, 1, 97, 124, 137, 255] {
        let text = format!("cat; echo out; echo \"${{LC_ALL-none}}\"; printf err >&2; exit {status}");
        let ran = run_command(&session, &sh(&text, LIMIT), None).await.unwrap();
        assert_eq!((ran.out.as_slice(), ran.err.as_str()), (&b"out\nnone\n"[..], "err"));
        assert_eq!((ran.status, ran.end), (status, ExecEnd::ByItself));
    }
    let ran = run_command(&session, &sh("kill -9 $$", LIMIT), None).await.unwrap();
    assert_eq!((ran.status, ran.end), (137, ExecEnd::ByItself));
    // Much on both at once, and something left behind that keeps them open.
    let text = "sleep 60 & head -c 3000000 /dev/zero >&2 & head -c 5000000 /dev/zero; wait $!";
    let began = Instant::now();
    let ran = run_command(&session, &sh(text, LIMIT), None).await.unwrap();
    assert_eq!((ran.out.len(), ran.err.len(), ran.status), (5_000_000, 3_000_000, 0));
    assert!(began.elapsed() < LIMIT);
    workspace.close().await;
}

/// The process group of a command that says its number, until it is gone.
fn assert_gone(group: i32) {
    let deadline = Instant::now() + LIMIT;
    while nix::sys::signal::killpg(nix::unistd::Pid::from_raw(group), None).is_ok() {
        assert!(Instant::now() < deadline, "the command's processes live on");
        std::thread::yield_now();
    }
}

fn group_in(out: &[u8]) -> i32 {
    String::from_utf8_lossy(out).split(['=', '\n']).nth(1).unwrap().trim().parse().unwrap()
}

/// Says its process group, has a child, and takes no notice of SIGTERM.
const STUBBORN: &str = "trap '' TERM; sleep 1000 & echo \"group=$(ps -o pgid= -p $$)\"; while :; do sleep 1; done";

#[tokio::test]
async fn a_command_ends_with_its_time_with_its_stop_and_with_its_connection() {
    let home = Home::new();
    let sshd = Sshd::known(&home);
    let workspace = home.workspace(&[host("one", sshd.port)]).await;
    let session = Session::open(&workspace, &name("one"), LIMIT).await.unwrap();

    let ran = run_command(&session, &order(["sh", "-c", STUBBORN], Duration::from_secs(1)), None).await.unwrap();
    assert_eq!((ran.status, ran.end), (137, ExecEnd::TimedOut));
    assert_gone(group_in(&ran.out));
    let gentle = "sleep 1000 & echo \"group=$(ps -o pgid= -p $$)\"; wait";
    let ran = run_command(&session, &order(["sh", "-c", gentle], Duration::from_secs(1)), None).await.unwrap();
    assert_eq!((ran.status, ran.end), (124, ExecEnd::TimedOut));
    assert_gone(group_in(&ran.out));

    for text in [STUBBORN, gentle] {
        let ran = run_command(&session, &order(["sh", "-c", text], LIMIT), Some("\n")).await.unwrap();
        assert_eq!(ran.end, ExecEnd::Stopped);
        assert_gone(group_in(&ran.out));
    }

    // Whoever has sent it is gone.
    let mut command = session.command(&order(["sh", "-c", gentle], LIMIT), LIMIT).await.unwrap();
    let Piece::Out(out) = command.next().await.unwrap() else { panic!("it says its group first") };
    kill(master(&workspace, "one"));
    let lost = kept(tokio::time::timeout(LIMIT, command.next()).await.unwrap().unwrap_err());
    assert!(matches!(lost, StepError::Disconnected { .. }), "{lost}");
    assert_gone(group_in(&out));
    workspace.close().await;
}

#[tokio::test]
async fn a_command_that_cannot_begin_says_why() {
    let home = Home::new();
    let sshd = Sshd::start(&home, "ForceCommand exit 3");
    home.know("127.0.0.1", sshd.port, &sshd.public_key("ed25519"));
    let workspace = home.workspace(&[host("one", sshd.port)]).await;
    let session = Session::open(&workspace, &name("one"), LIMIT).await.unwrap();
    let error = kept(run_command(&session, &order(["true"], LIMIT), None).await.unwrap_err());
    assert_eq!(error.to_string(), "the login shell of one cannot run `exec` (status 3)");
    assert!(error.nothing_ran());
    workspace.close().await;
}

/// A host that says what it likes, whatever it is asked; `lie` is its script.
fn lying(home: &Home) -> (Sshd, PathBuf) {
    let lie = home.path("lie");
    let sshd = Sshd::start(home, &format!("ForceCommand exec sh {}", lie.display()));
    home.know("127.0.0.1", sshd.port, &sshd.public_key("ed25519"));
    (sshd, lie)
}

/// The rest of the script's input is of no interest to a liar.
const ANSWER: &str = "echo fleetdeploy-shell; echo; echo fleetdeploy-answer; ";

#[tokio::test]
async fn a_host_that_says_more_than_any_answer_has_is_cut_off_and_the_next_answer_comes_over_the_same_login() {
    let home = Home::new();
    let (sshd, lie) = lying(&home);
    let workspace = home.workspace(&[host("liar", sshd.port)]).await;
    std::fs::write(&lie, "eval \"$SSH_ORIGINAL_COMMAND\"").unwrap();
    let session = Session::open(&workspace, &name("liar"), LIMIT).await.unwrap();
    for (what, said) in [
        ("lines", "exec yes"),
        ("a line", "exec tr '\\0' x </dev/zero"),
        ("one long line", "head -c 1048576 /dev/zero | tr '\\0' x; echo; echo end; exec sleep 600"),
        ("many lines", "yes 'failed_unit a' | head -n 300000; echo end"),
        ("stderr", "exec yes >&2"),
    ] {
        std::fs::write(&lie, format!("{ANSWER}{said}")).unwrap();
        let cut_off = |error: StepError| matches!(error, StepError::TooMuch { bytes: 1.., .. });
        let begun = Instant::now();
        // A line is as long as that only together with what follows it.
        if what != "one long line" {
            let run = kept(session.run(&echo("x"), LIMIT).await.unwrap_err());
            assert!(cut_off(run.clone()), "{what}: {run}");
            assert!(!run.nothing_ran() && run.to_string().contains("cut off after"), "{run}");
            let anew = kept(login_anew(&workspace, &name("liar"), Way::Usual, &echo("x"), LIMIT).await.unwrap_err());
            assert!(cut_off(anew.clone()), "{what}: {anew}");
        }
        let mut stream = session.stream(&echo("x"), LIMIT).await.unwrap();
        let lines = async {
            loop {
                match stream.next_line().await {
                    Ok(Some(_)) => {}
                    other => return other,
                }
            }
        };
        let streamed = tokio::time::timeout(LIMIT, lines).await.expect("it is cut off in time").unwrap_err();
        assert!(cut_off(streamed.clone()), "{what}: {streamed}");
        assert!(begun.elapsed() < LIMIT, "{what}: {:?}", begun.elapsed());
    }
    std::fs::write(&lie, "exec yes").unwrap();
    let noise = kept(session.run(&echo("x"), LIMIT).await.unwrap_err());
    assert!(matches!(noise, StepError::TooMuch { .. }), "{noise}");
    std::fs::write(&lie, "eval \"$SSH_ORIGINAL_COMMAND\"").unwrap();
    assert_eq!(session.run(&echo("still there"), LIMIT).await.unwrap().one("said"), Some("still there"));
    // What a liar still holds open would keep the master.
    workspace.close().await;
}

#[tokio::test]
async fn an_answer_that_never_ends_is_silence_when_its_time_is_over() {
    // Long enough for a login on a machine that has no time.
    const SHORT: Duration = Duration::from_secs(5);
    let home = Home::new();
    let (sshd, lie) = lying(&home);
    let workspace = home.workspace(&[host("liar", sshd.port)]).await;
    std::fs::write(&lie, "eval \"$SSH_ORIGINAL_COMMAND\"").unwrap();
    let session = Session::open(&workspace, &name("liar"), LIMIT).await.unwrap();
    for said in [
        "while printf x; do sleep 0.2; done",
        "while echo a b; do sleep 0.2; done",
        // The answer is whole, and the channel stays open.
        "echo a b; echo end; exec sleep 600",
    ] {
        std::fs::write(&lie, format!("{ANSWER}{said}")).unwrap();
        for anew in [false, true] {
            let begun = Instant::now();
            let error = if anew {
                login_anew(&workspace, &name("liar"), Way::Usual, &echo("x"), SHORT).await.unwrap_err()
            } else {
                session.run(&echo("x"), SHORT).await.unwrap_err()
            };
            assert!(matches!(error, StepError::TimedOut { .. }), "{said}: {error}");
            assert!(begun.elapsed() < SHORT * 3, "{said}: {:?}", begun.elapsed());
        }
    }
    workspace.close().await;
}

#[tokio::test]
async fn a_login_that_talks_without_an_end_is_no_login() {
    let home = Home::new();
    // ssh writes each control character of a banner as four.
    std::fs::write(home.path("banner"), vec![1; 140_000]).unwrap();
    let sshd = Sshd::start(&home, &format!("Banner {}", home.path("banner").display()));
    home.know("127.0.0.1", sshd.port, &sshd.public_key("ed25519"));
    let workspace = home.workspace(&[host("talks", sshd.port)]).await;
    let error = Session::open(&workspace, &name("talks"), LIMIT).await.unwrap_err();
    assert!(matches!(error.cause, ConnectCause::TooMuch { .. }), "{error}");
    let error = login_anew(&workspace, &name("talks"), Way::Usual, &echo("x"), LIMIT).await.unwrap_err();
    assert!(matches!(error, StepError::NoLogin { .. } | StepError::TooMuch { .. }), "{error}");
}

#[tokio::test]
async fn what_a_run_keeps_is_its_owners_alone_whatever_the_umask_and_no_log_of_ssh_is_in_it() {
    use std::os::unix::fs::{FileTypeExt, PermissionsExt};

    let home = Home::new();
    let sshd = Sshd::known(&home);
    for bits in [0o000, 0o077, 0o777] {
        let before = nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(bits));
        let workspace = home.workspace(&[host("one", sshd.port)]).await;
        let session = Session::open(&workspace, &name("one"), LIMIT).await;
        nix::sys::stat::umask(before);
        session.unwrap().run(&echo("x"), LIMIT).await.unwrap();
        let folder = workspace.config().parent().unwrap();
        let mode = |path: &Path| std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(folder), 0o700, "umask {bits:o}");
        let mut sockets = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let kind = entry.file_type().unwrap();
            sockets += usize::from(kind.is_socket());
            assert!(kind.is_symlink() || mode(&entry.path()) == 0o600, "umask {bits:o}: {:?}", entry.path());
            assert!(!entry.file_name().to_string_lossy().ends_with(".log"), "{:?}", entry.path());
        }
        assert_eq!(sockets, 1);
        workspace.close().await;
    }
}
