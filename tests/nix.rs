//! Evaluate, build, copy and compare with a real nix, on a fleet of derivations that a shell builds offline.
//!
//! Ignored unless asked for: `cargo test --test nix -- --ignored`, on a machine with nix whose configuration has
//! `sandbox = false` and `substituters =`, as the lab's workstation. The copies also need a host:
//! `FLEETDEPLOY_TEST_SSHOPTS` and `FLEETDEPLOY_TEST_ALIAS` (a login that is a trusted user there).

#![expect(clippy::unwrap_used, reason = "helpers of tests, which `allow-unwrap-in-tests` does not see")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use fleetdeploy::facts::attr_path::AttrPath;
use fleetdeploy::facts::store_path::StorePath;
use fleetdeploy::inventory::model::{
    Become, EvaluationTerms, Host, HostKey, HostName, Limits, NixOptions, NixSettings, Source,
};
use fleetdeploy::local::process::Invocation;
use fleetdeploy::nix::foreign::{ForeignError, HiveSource};
use fleetdeploy::nix::{
    self, BuildError, BuildStore, Destination, EvalError, EvalNews, EvalRequest, EvalTarget, Evaluation, Evaluator,
    Heard, HostProblem, KeptEvaluations, Needs, NixProgress,
};
use pretty_assertions::assert_eq;

const LONG: Duration = Duration::from_secs(120);

const FLAKE: &str = r##"{
  outputs = { self }: let
    make = name: script: derivation {
      inherit name; system = "@SYSTEM@"; builder = "/bin/sh"; args = [ "-c" "# @SALT@\n${script}" ];
    };
    base = make "base" "echo one; echo base > $out";
    bad = make "bad" "echo building bad ${base}; echo it hurts >&2; exit 3";
    mid = make "mid" "echo ${bad} > $out";
    slow = make "slow" "while :; do :; done";
    part = n: make "part-${toString n}"
      "i=0; while [ $i -lt 8000 ]; do echo ${toString n} is a part, line $i; i=$((i+1)); done > $out";
    host = name: needs: { config.system.build.toplevel = make "nixos-system-${name}-1" "echo ${needs} > $out"; };
  in {
    nixosConfigurations = {
      vps = host "vps" base;
      home = host "home" base;
      "dotted.name" = host "dotted" base;
      outPath = host "outPath" base;
      sick = host "sick" mid;
      sick2 = host "sick2" bad;
      slow = host "slow" slow;
      cores = host "cores" (make "cores" "echo $NIX_BUILD_CORES > $out");
      hangs = host "hangs" (builtins.readFile (make "hangs" "exec /bin/sleep 100"));
      many = host "many" (toString (builtins.genList part 6));
      old = builtins.trace "warning: an option of old has a new name" (host "old" base);
      throws = throw "this one throws";
      wrong = { config.system.build.toplevel = 1 + "x"; };
      text = { config.system.build.toplevel = "hello"; };
      hollow.config = { };
      seen = { config = { services.openssh = { enable = builtins.trace "warning: old" true; ports = [ 2222 ]; }; }
        // (host "seen" base).config; };
      blind = { config = { services.openssh.enable = abort "not for whoever looks ahead"; }
        // (host "blind" base).config; };
    };
    "systems of vps".top = base;
    "systems of home".top = base;
  };
}
"##;

/// Nix says of the steps before it that they are cut, and we say so, too.
const THROWS: &str = "this one throws\n(the steps that led there: --show-trace)";

const TOPLEVEL: &str = "nixosConfigurations.\"{host}\".config.system.build.toplevel";

/// Evaluates with the usual terms, and keeps nothing.
async fn evaluate(
    source: &Source,
    hosts: &[Host],
    base: &Path,
    hear: &(dyn Fn(Option<&HostName>, Vec<String>) + Send + Sync),
) -> Result<BTreeMap<HostName, EvalTarget>, EvalError> {
    let terms = EvaluationTerms::default();
    let request = EvalRequest { source, hosts, base, limit: LONG, terms: &terms, kept: None };
    let hear = |news: EvalNews<'_>| {
        if let EvalNews::Printed { host, lines } = news {
            hear(host, lines);
        }
    };
    Evaluator::begin(request).await.evaluate(&hear).await.map(|evaluation| evaluation.targets)
}

struct Fleet {
    folder: tempfile::TempDir,
}

impl Fleet {
    /// A salt of its own makes every test build anew.
    fn new(salt: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let salt = format!("{salt} {}", folder.path().display());
        let system = format!("{}-linux", std::env::consts::ARCH);
        let text = FLAKE.replace("@SYSTEM@", &system).replace("@SALT@", &salt);
        std::fs::write(folder.path().join("flake.nix"), text).unwrap();
        let file = "{ }: (import ./flake.nix).outputs { self = null; }";
        std::fs::write(folder.path().join("fleet file.nix"), file).unwrap();
        Self { folder }
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }

    async fn evaluate(&self, names: &[&str]) -> Result<BTreeMap<HostName, EvalTarget>, EvalError> {
        evaluate(&flake(TOPLEVEL), &hosts(names), self.folder(), &|_, _| {}).await
    }

    async fn build(&self, names: &[&str], limit: Duration) -> (Result<BTreeMap<HostName, String>, BuildError>, Heards) {
        let targets = self.evaluate(names).await.unwrap();
        let mut heards = Heards::default();
        let built = nix::build(
            &targets,
            BuildStore::Here { roots: &self.folder().join("roots") },
            &NixSettings::new(),
            limit,
            |heard| {
                heards.take(heard);
            },
        )
        .await;
        (built.map(|built| built.into_iter().map(|(host, path)| (host, path.to_string())).collect()), heards)
    }
}

/// All that was heard of one nix.
#[derive(Default)]
struct Heards {
    course: Vec<NixProgress>,
    printed: Vec<String>,
}

impl Heards {
    fn take(&mut self, heard: Heard<'_>) {
        match heard {
            Heard::Progress(now) => self.course.push(now.clone()),
            Heard::Printed(lines) => self.printed.extend(lines),
            Heard::Still { .. } => {}
        }
    }
}

fn flake(attr: &str) -> Source {
    Source::Flake { flake: ".".into(), attr: AttrPath::parse(attr).unwrap() }
}

fn name(text: &str) -> HostName {
    HostName::new(text).unwrap()
}

fn names(texts: &[&str]) -> Vec<HostName> {
    texts.iter().map(|text| name(text)).collect()
}

fn hosts(names: &[&str]) -> Vec<Host> {
    names.iter().map(|text| host(text)).collect()
}

fn host(text: &str) -> Host {
    Host {
        name: name(text),
        address: text.into(),
        other_addresses: Vec::new(),
        port: None,
        user: None,
        identity: None,
        jump: None,
        way: Vec::new(),
        becoming: Become::Auto,
        host_key: HostKey::Strict,
        vpn: None,
        tags: Vec::new(),
        boot_time: LONG,
        guard: LONG,
        guard_action: fleetdeploy::inventory::model::GuardAction::Reboot,
        boot_loader: fleetdeploy::inventory::model::BootLoaderHint::default(),
        runs_on: None,
        optional: false,
        reactivate: false,
        after: fleetdeploy::inventory::model::After::default(),
        build_on: fleetdeploy::inventory::model::BuildOn::Workstation,
        nix: NixOptions::default(),
        limits: Limits::default(),
        ignored_units: Vec::new(),
        system: None,
        guard_action_given: false,
    }
}

fn output_name(target: &EvalTarget) -> &str {
    target.output().name()
}

#[tokio::test]
#[ignore = "needs nix: `cargo test --test nix -- --ignored` in the lab's workstation"]
async fn one_evaluation_finds_every_system_whatever_the_host_is_called() {
    let fleet = Fleet::new("eval");
    let found = fleet.evaluate(&["vps", "dotted.name", "outPath"]).await.unwrap();
    let found: Vec<_> = found.iter().map(|(host, target)| (host.as_str(), output_name(target))).collect();
    assert_eq!(
        found,
        [
            ("dotted.name", "nixos-system-dotted-1"),
            ("outPath", "nixos-system-outPath-1"),
            ("vps", "nixos-system-vps-1")
        ]
    );
}

#[tokio::test]
#[ignore = "needs nix: `cargo test --test nix -- --ignored` in the lab's workstation"]
async fn a_file_and_a_path_that_begins_with_the_host_give_the_same() {
    let fleet = Fleet::new("file");
    let attr = "nixosConfigurations.{host}.config.system.build.toplevel";
    let source = Source::File { file: "fleet file.nix".into(), attr: AttrPath::parse(attr).unwrap() };
    let from_file = evaluate(&source, &hosts(&["vps", "dotted.name"]), fleet.folder(), &|_, _| {}).await.unwrap();
    let from_flake = fleet.evaluate(&["vps", "dotted.name"]).await.unwrap();
    assert_eq!(from_file, from_flake);

    let source = flake("\"systems of {host}\".top");
    let found = evaluate(&source, &hosts(&["vps", "home"]), fleet.folder(), &|_, _| {}).await.unwrap();
    assert_eq!(found.values().map(output_name).collect::<Vec<_>>(), ["base", "base"]);
}

#[tokio::test]
#[ignore = "needs nix: `cargo test --test nix -- --ignored` in the lab's workstation"]
async fn a_host_that_does_not_evaluate_is_named_and_the_others_are_fine() {
    let fleet = Fleet::new("blame");
    let error = fleet.evaluate(&["vps", "throws", "wrong", "home"]).await.unwrap_err();
    let EvalError::Hosts { failed, fine, not_asked } = error else { panic!("{error}") };
    assert_eq!((fine, not_asked), (names(&["home", "vps"]), vec![]));
    assert_eq!(failed[&name("throws")], HostProblem::Fails(THROWS.into()));
    let HostProblem::Fails(wrong) = &failed[&name("wrong")] else { panic!("{failed:?}") };
    assert!(wrong.starts_with("cannot add a string to an integer"), "{wrong}");
}

#[tokio::test]
#[ignore = "needs nix: `cargo test --test nix -- --ignored` in the lab's workstation"]
async fn what_is_missing_is_named_with_what_is_there() {
    let fleet = Fleet::new("missing");
    let error = fleet.evaluate(&["vps", "nope", "text", "hollow"]).await.unwrap_err();
    let EvalError::Hosts { failed, fine, .. } = error else { panic!("{error}") };
    assert_eq!(fine, names(&["vps"]));
    let failed: Vec<_> = failed.values().map(ToString::to_string).collect();
    assert_eq!(
        failed,
        [
            "the flake . has no `nixosConfigurations.hollow.config.system`; `nixosConfigurations.hollow.config` has \
             nothing",
            "the flake . has no `nixosConfigurations.nope`; `nixosConfigurations` has: blind, cores, dotted.name, \
             hangs, hollow, home, many, old, outPath, seen, sick, sick2 and 5 more",
            "`nixosConfigurations.text.config.system.build.toplevel` of the flake . is no derivation but a string",
        ]
    );
}

#[tokio::test]
#[ignore = "needs nix: `cargo test --test nix -- --ignored` in the lab's workstation"]
async fn a_flake_that_is_not_there_is_nobodys_fault() {
    let folder = tempfile::tempdir().unwrap();
    let source = flake("nixosConfigurations.{host}.x");
    let error = evaluate(&source, &hosts(&["vps", "home"]), folder.path(), &|_, _| {}).await.unwrap_err();
    assert!(matches!(&error, EvalError::Source { .. }), "{error}");

    let fleet = Fleet::new("attribute");
    let error = evaluate(&flake("nope.{host}.x"), &hosts(&["vps"]), fleet.folder(), &|_, _| {}).await.unwrap_err();
    assert!(error.to_string().contains("does not provide attribute"), "{error}");
}

#[tokio::test]
#[ignore = "needs nix: `cargo test --test nix -- --ignored` in the lab's workstation"]
async fn one_build_makes_all_systems_and_roots_them() {
    let fleet = Fleet::new("build");
    let (built, heards) = fleet.build(&["vps", "home"], LONG).await;
    let built = built.unwrap();
    let roots: std::collections::BTreeSet<String> = std::fs::read_dir(fleet.folder().join("roots"))
        .unwrap()
        .map(|entry| std::fs::read_link(entry.unwrap().path()).unwrap().display().to_string())
        .collect();
    assert_eq!(built.values().cloned().collect::<std::collections::BTreeSet<_>>(), roots);
    let last = heards.course.last().unwrap();
    assert_eq!((last.builds.done, last.builds.expected, last.builds.failed), (3, 3, 0));
    // A second build has nothing to do.
    let (again, _) = fleet.build(&["vps", "home"], LONG).await;
    assert_eq!(again.unwrap(), built);
}

#[tokio::test]
#[ignore = "needs nix: `cargo test --test nix -- --ignored` in the lab's workstation"]
async fn a_failed_derivation_is_blamed_on_the_hosts_that_need_it() {
    let fleet = Fleet::new("fails");
    let (built, heards) = fleet.build(&["vps", "sick", "sick2"], LONG).await;
    let error = built.unwrap_err();
    assert_eq!(error.to_string(), "cannot build the system of sick, sick2");
    let BuildError::Failed { hosts, built, failures, .. } = error else { panic!() };
    assert_eq!((hosts, built), (names(&["sick", "sick2"]), names(&["vps"])));
    let [failure] = failures.as_slice() else { panic!("{failures:?}") };
    assert_eq!((failure.name.as_str(), &failure.hosts), ("bad", &names(&["sick", "sick2"])));
    assert_eq!(failure.log.last().unwrap(), "it hurts");
    assert!(failure.reason.contains("failed with exit code 3"), "{}", failure.reason);
    assert_eq!(heards.course.last().unwrap().builds.failed, 1);
}

#[tokio::test]
#[ignore = "needs nix: `cargo test --test nix -- --ignored` in the lab's workstation"]
async fn a_build_beyond_its_time_says_what_it_was_at() {
    let fleet = Fleet::new("slow");
    let (built, _) = fleet.build(&["slow"], Duration::from_secs(4)).await;
    let error = built.unwrap_err();
    let BuildError::Process { running, .. } = error else { panic!("{error}") };
    assert_eq!(running, ["slow"]);
}

#[tokio::test]
#[ignore = "needs nix: `cargo test --test nix -- --ignored` in the lab's workstation"]
async fn named_systems_are_taken_from_the_store_or_missed_by_name() {
    let fleet = Fleet::new("named");
    let (built, _) = fleet.build(&["vps"], LONG).await;
    let built = built.unwrap();
    let mut by_path = host("by-path");
    by_path.system = Some(StorePath::new(built[&name("vps")].clone()).unwrap());
    let found = evaluate(&Source::System, &[by_path.clone()], fleet.folder(), &|_, _| {}).await.unwrap();
    nix::build(&found, BuildStore::Here { roots: &fleet.folder().join("again") }, &NixSettings::new(), LONG, |_| {})
        .await
        .unwrap();
    assert!(fleet.folder().join("again/system").exists());

    let mut gone = host("gone");
    gone.system = Some(StorePath::new("/nix/store/0gv1yx3wnyzhi0bjgjbmvxy7qnzwzw5h-nope").unwrap());
    let found = evaluate(&Source::System, &[by_path, gone], fleet.folder(), &|_, _| {}).await.unwrap();
    let error = nix::build(
        &found,
        BuildStore::Here { roots: &fleet.folder().join("third") },
        &NixSettings::new(),
        LONG,
        |_| {},
    )
    .await
    .unwrap_err();
    let BuildError::Failed { hosts, built, message, .. } = error else { panic!("{error}") };
    assert_eq!((hosts, built), (names(&["gone"]), names(&["by-path"])));
    assert!(message.contains("0gv1yx3wnyzhi0bjgjbmvxy7qnzwzw5h-nope"), "{message}");
}

#[tokio::test]
#[ignore = "needs nix: `cargo test --test nix -- --ignored` in the lab's workstation"]
async fn two_systems_are_compared_and_a_closure_is_sized() {
    let fleet = Fleet::new("diff");
    let targets = fleet.evaluate(&["vps", "home"]).await.unwrap();
    let built = nix::build(
        &targets,
        BuildStore::Here { roots: &fleet.folder().join("roots") },
        &NixSettings::new(),
        LONG,
        |_| {},
    )
    .await
    .unwrap();
    let (home, vps) = (&built[&name("home")], &built[&name("vps")]);
    let changes = nix::diff(home, vps, None, LONG).await.unwrap();
    let changes: Vec<_> =
        changes.iter().map(|change| (change.package.as_str(), change.before.len(), change.after.len())).collect();
    assert_eq!(changes, [("nixos-system-home", 1, 0), ("nixos-system-vps", 0, 1)]);
    let closure = nix::closure([vps], None, LONG).await.unwrap();
    assert_eq!((closure.paths.len(), closure.size_without(|path| path == vps) < closure.size()), (2, true));
    assert!(nix::version(LONG).await.unwrap().is_new_enough());
}

#[tokio::test]
#[ignore = "needs nix: `cargo test --test nix -- --ignored` in the lab's workstation"]
async fn what_the_evaluation_warns_of_is_heard_and_an_error_of_its_host() {
    let fleet = Fleet::new("warns");
    let source = flake("nixosConfigurations.\"{host}\".config.system.build.toplevel");
    let printed = Mutex::new(Vec::new());
    let hear = |host: Option<&HostName>, lines: Vec<String>| {
        let host = host.map(ToString::to_string);
        printed.lock().unwrap().extend(lines.into_iter().map(|line| (host.clone(), line)));
    };
    evaluate(&source, &hosts(&["old"]), fleet.folder(), &hear).await.unwrap();
    let warning = (None, "trace: warning: an option of old has a new name".to_owned());
    assert!(printed.lock().unwrap().contains(&warning), "{printed:?}");

    evaluate(&source, &hosts(&["throws", "vps"]), fleet.folder(), &hear).await.unwrap_err();
    let printed = printed.into_inner().unwrap();
    let of_host =
        |(host, line): &(Option<String>, String)| host.as_deref() == Some("throws") && line.contains("this one throws");
    assert!(printed.iter().any(of_host), "{printed:?}");
}

#[tokio::test]
#[ignore = "needs nix: `cargo test --test nix -- --ignored` in the lab's workstation"]
async fn what_builders_print_is_heard_with_their_names_and_each_host_knows_what_it_needs() {
    let fleet = Fleet::new("prints");
    let targets = fleet.evaluate(&["vps", "many", "sick"]).await.unwrap();
    let mut heards = Heards::default();
    let built = nix::build(
        &targets,
        BuildStore::Here { roots: &fleet.folder().join("roots") },
        &NixSettings::new(),
        LONG,
        |heard| {
            heards.take(heard);
        },
    )
    .await;
    let BuildError::Failed { failures, .. } = built.unwrap_err() else { panic!() };
    for line in ["base> one", "bad> it hurts"] {
        assert!(heards.printed.iter().any(|printed| printed == line), "{line} is not in {:#?}", heards.printed);
    }
    assert!(heards.printed[0].ends_with("derivations will be built:"), "{:#?}", heards.printed);
    // base, bad, mid, 6 parts and 3 systems: known from the first moment on, and kept in a failure.
    let last = heards.course.last().unwrap();
    assert_eq!((last.builds.done, last.builds.failed, last.builds.expected), (9, 1, 12));
    let system = |host: &str| targets[&name(host)].derivation().unwrap().to_string();
    assert_eq!(last.systems, [system("vps"), system("many")].into());

    let log = nix::build_log(&failures[0].derivation, 2000, LONG).await.unwrap();
    assert!(log[0].starts_with("building bad /nix/store/"), "{log:?}");
    assert_eq!(log[1..], ["it hurts"]);
    assert_eq!(nix::build_log(&failures[0].derivation, 1, LONG).await.unwrap(), ["it hurts"]);

    let needs = Needs::of(&targets).await;
    assert_eq!(needs.hosts_of(failures[0].derivation.as_str()), [&name("sick")].into());
    assert_eq!(needs.hosts_of(&system("many")), [&name("many")].into());
}

#[tokio::test]
#[ignore = "needs nix and a host: FLEETDEPLOY_TEST_SSHOPTS, FLEETDEPLOY_TEST_ALIAS"]
async fn a_system_is_copied_with_its_bytes_counted_and_once() {
    let (Ok(ssh_options), Ok(alias)) =
        (std::env::var("FLEETDEPLOY_TEST_SSHOPTS"), std::env::var("FLEETDEPLOY_TEST_ALIAS"))
    else {
        panic!("FLEETDEPLOY_TEST_SSHOPTS and FLEETDEPLOY_TEST_ALIAS name the host to copy to");
    };
    let fleet = Fleet::new("copy");
    let targets = fleet.evaluate(&["vps", "many"]).await.unwrap();
    let built = nix::build(
        &targets,
        BuildStore::Here { roots: &fleet.folder().join("roots") },
        &NixSettings::new(),
        LONG,
        |_| {},
    )
    .await
    .unwrap();
    let (host, alias) = (name("vps"), name(&alias));
    let to = Destination { host: &host, alias: &alias, ssh_options: &ssh_options, substitute: false, from: None };
    for (system, paths) in [("vps", 2), ("many", 7)] {
        let system = &built[&name(system)];
        let closure = nix::closure([system], None, LONG).await.unwrap();
        assert_eq!(closure.paths.len(), paths);
        let mut heards = Heards::default();
        nix::copy(system, to, LONG, |heard| heards.take(heard)).await.unwrap();
        let course: Vec<_> = heards.course.iter().map(|now| (now.copied.done, now.copied.expected)).collect();
        assert!(course.is_sorted(), "{course:?}");
        let size = closure.size();
        assert!(course.iter().all(|&(done, expected)| done <= expected && [0, size].contains(&expected)), "{course:?}");
        assert_eq!(course.last(), Some(&(size, size)));
        assert!(heards.printed.contains(&format!("copying {paths} paths")), "{:?}", heards.printed);

        let mut again = Heards::default();
        nix::copy(system, to, LONG, |heard| again.take(heard)).await.unwrap();
        let copied = again.course.last().unwrap().copied;
        assert_eq!((copied.done, copied.expected), (0, 0));
    }
}

/// The fixtures of `inventory import`, and what this nix must answer about them as the recorded one did.
macro_rules! foreign {
    ($path:literal) => {
        include_str!(concat!("fixtures/import/", $path))
    };
}

#[tokio::test]
#[ignore = "needs nix: `cargo test --test nix -- --ignored` in the lab's workstation"]
async fn what_other_tools_have_is_read_as_the_tests_of_the_import_know_it() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let json = |text: &str| -> serde_json::Value { serde_json::from_str(text).unwrap() };
    let flake = || HiveSource::Flake { flake: ".".into(), folder: folder.path().into() };
    for (text, answer, names) in [
        (
            foreign!("deploy-rs-nodes/flake.nix"),
            foreign!("nix/deploy-rs-nodes.deploy.json"),
            ["attic", "garden"].as_slice(),
        ),
        (
            foreign!("deploy-rs-shared/flake.nix"),
            foreign!("nix/deploy-rs-shared.deploy.json"),
            &["one", "three", "two"],
        ),
    ] {
        write("flake.nix", text);
        let nodes = nix::foreign::deploy_rs(".", folder.path()).await.unwrap();
        assert_eq!(json(&nodes), json(answer));
        assert_eq!(nix::foreign::configurations(".", folder.path()).await.unwrap(), names);
        let error = nix::foreign::hive(&flake()).await.unwrap_err();
        assert!(matches!(error, ForeignError::NoOutput { .. }), "{error}");
    }
    for (text, answer, is_made) in [
        (foreign!("colmena-flake/flake.nix"), foreign!("nix/colmena-flake.colmena.json"), false),
        (foreign!("colmena-made/flake.nix"), foreign!("nix/colmena-made.colmenaHive.json"), true),
    ] {
        write("flake.nix", text);
        let hive = nix::foreign::hive(&flake()).await.unwrap();
        assert_eq!((json(&hive.nodes), hive.is_made), (json(answer), is_made));
    }
    write("hive.nix", foreign!("colmena-hive/hive.nix"));
    write("beta.nix", foreign!("colmena-hive/beta.nix"));
    write("gamma.nix", foreign!("colmena-hive/gamma.nix"));
    let hive = nix::foreign::hive(&HiveSource::File(folder.path().join("hive.nix"))).await.unwrap();
    assert_eq!(json(&hive.nodes), json(foreign!("nix/colmena-hive.hive.json")));
}

#[tokio::test]
#[ignore = "needs nix: `cargo test --test nix -- --ignored` in the lab's workstation"]
async fn nothing_is_built_and_nothing_written_to_look_at_what_other_tools_have() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    std::fs::create_dir(folder.path().join("input")).unwrap();
    write("input/flake.nix", "{ outputs = _: { }; }");
    write(
        "flake.nix",
        "{ inputs.input.url = \"path:./input\"; outputs = { self, input }: { deploy.nodes.a.hostname = \
         \"a.example.org\"; }; }",
    );
    let nodes = nix::foreign::deploy_rs(".", folder.path()).await.unwrap();
    assert!(nodes.contains("a.example.org"), "{nodes}");
    assert!(!folder.path().join("flake.lock").exists());
    write(
        "hive.nix",
        "{ a.deployment.targetHost = builtins.readFile (derivation { name = \"x\"; builder = \"/bin/sh\"; system = \
         \"x86_64-linux\"; args = [ \"-c\" \"echo x > $out\" ]; }); }",
    );
    let error = nix::foreign::hive(&HiveSource::File(folder.path().join("hive.nix"))).await.unwrap_err();
    assert!(error.to_string().contains("during evaluation"), "{error}");
}

/// A fleet whose results are kept.
struct Keeping {
    fleet: Fleet,
    cache: tempfile::TempDir,
    terms: EvaluationTerms,
    source: Source,
}

/// What one evaluation came to.
struct Seen {
    evaluation: Evaluation,
    /// Warnings of hosts that were not evaluated now.
    warned: Vec<String>,
    printed: Vec<String>,
    /// How many nix processes have evaluated.
    processes: usize,
}

impl Keeping {
    fn new(salt: &str) -> Self {
        let cache = tempfile::tempdir().unwrap();
        Self { fleet: Fleet::new(salt), cache, terms: EvaluationTerms::default(), source: flake(TOPLEVEL) }
    }

    async fn try_evaluate(&self, names: &[&str]) -> Result<Seen, EvalError> {
        let kept = KeptEvaluations::at(self.cache.path().join("kept"));
        let hosts = hosts(names);
        let heard = Mutex::new((Vec::new(), Vec::new(), 0));
        let request = EvalRequest {
            source: &self.source,
            hosts: &hosts,
            base: self.fleet.folder(),
            limit: LONG,
            terms: &self.terms,
            kept: Some(&kept),
        };
        let hear = |news: EvalNews<'_>| {
            let mut heard = heard.lock().unwrap();
            match news {
                EvalNews::Warned(said) => heard.0.push(said.to_owned()),
                EvalNews::Printed { lines, .. } => heard.1.extend(lines),
                EvalNews::Moved { .. } => heard.2 += 1,
            }
        };
        let evaluation = Evaluator::begin(request).await.evaluate(&hear).await?;
        assert_eq!(evaluation.targets.len(), names.len());
        let (warned, printed, processes) = heard.into_inner().unwrap();
        Ok(Seen { evaluation, warned, printed, processes })
    }

    async fn evaluate(&self, names: &[&str]) -> Seen {
        self.try_evaluate(names).await.unwrap()
    }

    /// Returns how many hosts were evaluated now.
    async fn anew(&self, names: &[&str]) -> usize {
        let seen = self.evaluate(names).await;
        let anew = names.len() - seen.evaluation.kept;
        assert_eq!(seen.processes == 0, anew == 0);
        anew
    }

    fn edit(&self, from: &str, to: &str) {
        let path = self.fleet.folder().join("flake.nix");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{from}");
        std::fs::write(path, text.replace(from, to)).unwrap();
    }

    fn files(&self) -> Vec<std::path::PathBuf> {
        let Ok(entries) = std::fs::read_dir(self.cache.path().join("kept")) else { return Vec::new() };
        entries.map(|entry| entry.unwrap().path()).collect()
    }
}

#[tokio::test]
#[ignore = "needs nix: `cargo test --test nix -- --ignored` in the lab's workstation"]
async fn what_has_not_changed_is_not_evaluated_again_and_its_warnings_are_told_again() {
    let keeping = Keeping::new("kept");
    let first = keeping.evaluate(&["vps", "old"]).await;
    assert_eq!((first.evaluation.kept, first.warned.len()), (0, 0));
    assert!(first.printed.iter().any(|line| line.contains("an option of old")), "{:?}", first.printed);
    let second = keeping.evaluate(&["vps", "old"]).await;
    assert_eq!((second.evaluation.kept, second.processes), (2, 0));
    assert_eq!(second.evaluation.targets, first.evaluation.targets);
    assert_eq!(second.evaluation.source, first.evaluation.source);
    assert!(second.evaluation.source.unwrap().nar_hash.is_some());
    assert!(second.warned.contains(&"an option of old has a new name".to_owned()), "{:?}", second.warned);
    // Only what is not known of another selection is evaluated.
    assert_eq!(keeping.anew(&["vps", "home"]).await, 1);
    assert_eq!(keeping.anew(&["vps", "home", "old"]).await, 0);
}

#[tokio::test]
#[ignore = "needs nix: `cargo test --test nix -- --ignored` in the lab's workstation"]
async fn everything_that_an_evaluation_can_depend_on_makes_it_another_one() {
    let mut keeping = Keeping::new("parts");
    let all = ["vps", "home"];
    assert_eq!(keeping.anew(&all).await, 2);
    // Another content, and the former one again.
    keeping.edit("base > $out", "base >> $out");
    assert_eq!((keeping.anew(&all).await, keeping.anew(&all).await), (2, 0));
    keeping.edit("base >> $out", "base > $out");
    // Its date is another, and a flake can read it; nix knows whole seconds.
    let file = std::fs::File::options().append(true).open(keeping.fleet.folder().join("flake.nix")).unwrap();
    file.set_modified(SystemTime::now() + Duration::from_secs(60)).unwrap();
    assert_eq!((keeping.anew(&all).await, keeping.anew(&all).await), (2, 0));
    keeping.terms.options.insert("cores".into(), "3".into());
    assert_eq!((keeping.anew(&all).await, keeping.anew(&all).await), (2, 0));
    keeping.source = flake("\"systems of {host}\".top");
    assert_eq!((keeping.anew(&all).await, keeping.anew(&all).await), (2, 0));
    keeping.terms.anew = true;
    assert_eq!((keeping.anew(&all).await, keeping.anew(&all).await), (2, 2));
}

#[tokio::test]
#[ignore = "needs nix: `cargo test --test nix -- --ignored` in the lab's workstation"]
async fn another_lock_or_another_input_makes_it_another_evaluation() {
    let mut keeping = Keeping::new("inputs");
    let input = |name: &str, value: &str| {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("flake.nix"), format!("{{ outputs = _: {{ {name} = \"{value}\"; }}; }}"))
            .unwrap();
        folder
    };
    let (one, two) = (input("word", "one"), input("word", "two"));
    keeping.edit(
        "outputs = { self }",
        &format!("inputs.word.url = \"path:{}\"; outputs = {{ self, word }}", one.path().display()),
    );
    keeping.edit("echo one;", "echo ${word.word};");
    let first = keeping.evaluate(&["vps"]).await;
    // The lock file was written meanwhile, which makes it another flake: it is known all the same.
    assert!(keeping.fleet.folder().join("flake.lock").exists());
    assert_eq!(keeping.anew(&["vps"]).await, 0);
    let two = format!("path:{}", two.path().display());
    keeping.terms.override_inputs.insert("word".into(), two);
    let other = keeping.evaluate(&["vps"]).await;
    assert_eq!(other.evaluation.kept, 0);
    assert_ne!(other.evaluation.targets, first.evaluation.targets);
    assert_eq!(keeping.anew(&["vps"]).await, 0);
    keeping.terms.override_inputs.clear();
    assert_eq!(keeping.evaluate(&["vps"]).await.evaluation.targets, first.evaluation.targets);
}

#[tokio::test]
#[ignore = "needs nix: `cargo test --test nix -- --ignored` in the lab's workstation"]
async fn a_result_whose_derivation_is_gone_and_a_broken_file_are_evaluated_again() {
    let keeping = Keeping::new("gone");
    let first = keeping.evaluate(&["vps", "home"]).await;
    let gone = first.evaluation.targets[&name("vps")].derivation().unwrap().to_string();
    let deleted = Invocation::new("nix-store", LONG).args(["--delete", &gone]).run().await.unwrap();
    assert!(deleted.succeeded(), "{}", deleted.stderr_text());
    assert_eq!(keeping.anew(&["vps", "home"]).await, 1);
    assert!(Path::new(&gone).exists());
    let [file] = keeping.files().try_into().unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    let (vps, home) = (&first.evaluation.targets[&name("vps")], &first.evaluation.targets[&name("home")]);
    for broken in ["", "{}", &text[..text.len() / 2], &text.replace(vps.output().as_str(), home.output().as_str())] {
        std::fs::write(&file, broken).unwrap();
        let again = keeping.evaluate(&["vps", "home"]).await;
        assert_eq!((again.evaluation.kept, &again.evaluation.targets), (0, &first.evaluation.targets));
    }
    assert_eq!(keeping.anew(&["vps", "home"]).await, 0);
}

#[tokio::test]
#[ignore = "needs nix: `cargo test --test nix -- --ignored` in the lab's workstation"]
async fn what_may_be_impure_is_never_kept() {
    let mut keeping = Keeping::new("impure");
    for (impure, accept) in [(true, false), (false, true)] {
        keeping.terms = EvaluationTerms { impure, accept_flake_config: accept, ..EvaluationTerms::default() };
        assert_eq!((keeping.anew(&["vps"]).await, keeping.anew(&["vps"]).await), (1, 1));
    }
    keeping.terms = EvaluationTerms::default();
    keeping.terms.options.insert("pure-eval".into(), "false".into());
    assert_eq!((keeping.anew(&["vps"]).await, keeping.anew(&["vps"]).await), (1, 1));
    keeping.terms = EvaluationTerms::default();
    let attr = AttrPath::parse("nixosConfigurations.\"{host}\".config.system.build.toplevel").unwrap();
    keeping.source = Source::File { file: "fleet file.nix".into(), attr };
    assert_eq!((keeping.anew(&["vps"]).await, keeping.anew(&["vps"]).await), (1, 1));
    assert_eq!(keeping.files(), Vec::<std::path::PathBuf>::new());
}

#[tokio::test]
#[ignore = "needs nix: `cargo test --test nix -- --ignored` in the lab's workstation"]
async fn workers_share_the_hosts_and_an_error_in_the_middle_costs_no_other_host_a_second_look() {
    let mut keeping = Keeping::new("workers");
    keeping.terms.workers = Some(2);
    let seen = keeping.evaluate(&["vps", "home", "many", "dotted.name", "outPath", "sick"]).await;
    assert!(seen.processes > 2, "{}", seen.processes);

    keeping.terms.anew = true;
    keeping.edit("outputs = { self }: let", "outputs = { self }: let loud = name: builtins.trace \"seen ${name}\";");
    keeping.edit("host = name: needs: {", "host = name: needs: loud name {");
    let hosts = ["vps", "home", "many", "throws", "sick", "old"];
    let heard = Mutex::new(Vec::new());
    let hear = |host: Option<&HostName>, lines: Vec<String>| {
        let host = host.map(ToString::to_string);
        heard.lock().unwrap().extend(lines.into_iter().map(|line| (host.clone(), line)));
    };
    let source = flake(TOPLEVEL);
    let error = evaluate(&source, &self::hosts(&hosts), keeping.fleet.folder(), &hear).await.unwrap_err();
    let EvalError::Hosts { failed, fine, not_asked } = error else { panic!("{error}") };
    assert_eq!((fine, not_asked), (names(&["home", "many", "old", "sick", "vps"]), vec![]));
    assert_eq!(failed[&name("throws")], HostProblem::Fails(THROWS.into()));
    let heard = heard.into_inner().unwrap();
    // The first two are evaluated alone, before anything is known of their size.
    for host in ["vps", "home"] {
        let line = format!("trace: seen {host}");
        assert_eq!(heard.iter().filter(|(_, said)| *said == line).count(), 1, "{host}: {heard:#?}");
    }
    // What is good is kept.
    keeping.terms.anew = false;
    keeping.try_evaluate(&hosts).await.map(|_| ()).unwrap_err();
    assert_eq!(keeping.anew(&["vps", "home", "many", "old"]).await, 0);
}

#[tokio::test]
#[ignore = "needs nix: `cargo test --test nix -- --ignored` in the lab's workstation"]
async fn a_flake_that_is_edited_while_it_is_evaluated_gives_systems_of_one_state() {
    let mut keeping = Keeping::new("edited");
    keeping.terms.workers = Some(1);
    let file = keeping.fleet.folder().join("flake.nix");
    let text = std::fs::read_to_string(&file).unwrap();
    let edits = std::sync::atomic::AtomicUsize::new(0);
    let hosts = hosts(&["vps", "home", "sick"]);
    let edit = |most: usize| {
        let number = edits.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if number < most {
            std::fs::write(&file, text.replace("echo one;", &format!("echo edit {number} of {most};"))).unwrap();
        }
    };
    for (most, settles) in [(1, true), (usize::MAX, false)] {
        edits.store(0, std::sync::atomic::Ordering::Relaxed);
        let request = EvalRequest {
            source: &keeping.source,
            hosts: &hosts,
            base: keeping.fleet.folder(),
            limit: LONG,
            terms: &keeping.terms,
            kept: None,
        };
        let hear = |news: EvalNews<'_>| {
            if let EvalNews::Moved { done: 1, .. } = news {
                edit(most);
            }
        };
        let evaluated = Evaluator::begin(request).await.evaluate(&hear).await;
        if settles {
            let targets = evaluated.unwrap().targets;
            assert_eq!(targets, keeping.evaluate(&["vps", "home", "sick"]).await.evaluation.targets);
        } else {
            assert!(matches!(evaluated, Err(EvalError::Changing { .. })), "{evaluated:?}");
        }
    }
}

/// The program itself, with a `nix` before the real one that writes down what it is started with.
struct Program {
    home: tempfile::TempDir,
}

impl Program {
    fn new(fleet: &Fleet) -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        let home = tempfile::tempdir().unwrap();
        let (log, version) = (home.path().join("log"), home.path().join("version"));
        let (log, version) = (log.display(), version.display());
        for program in ["nix", "nix-store"] {
            let script = format!(
                "#!/bin/sh\necho \"{program} $*\" >> {log}\ncase \"$*\" in *--version) [ -e {version} ] && exec cat \
                 {version} ;; esac\nexec /usr/bin/{program} \"$@\"\n"
            );
            let path = home.path().join(program);
            std::fs::write(&path, script).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let hosts = "hosts: {vps: , home: , sick: }\nfleets: {lab: {hosts: all, flake: .}}\n";
        std::fs::write(fleet.folder().join("inventory.yaml"), hosts).unwrap();
        Self { home }
    }

    /// Returns the events of `build` of two hosts, and what nix was started with, by the word behind its options.
    async fn build(&self, fleet: &Fleet, options: &[&str]) -> (String, String) {
        let log = self.home.path().join("log");
        let _ = std::fs::remove_file(&log);
        let path = format!("{}:{}", self.home.path().display(), std::env::var("PATH").unwrap());
        let built = Invocation::new("fleetdeploy", LONG)
            .args(["--json", "build", "lab", "--on", "vps,home"])
            .args(options)
            .folder(fleet.folder())
            .env("PATH", path)
            .env("XDG_CACHE_HOME", self.home.path())
            .run()
            .await
            .unwrap();
        assert!(built.succeeded(), "{}{}", built.stdout_text(), built.stderr_text());
        (built.stdout_text(), std::fs::read_to_string(log).unwrap())
    }
}

#[tokio::test]
#[ignore = "needs nix and the program: `scripts/test.sh`"]
async fn the_program_starts_no_evaluation_where_nothing_has_changed_and_says_so() {
    let fleet = Fleet::new("program");
    let program = Program::new(&fleet);
    let evaluated = |events: &str| {
        let mut lines = events.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let event = lines.find(|line| line["event"] == "evaluated").unwrap();
        (event["anew"].as_u64().unwrap(), event["kept"].as_u64().unwrap())
    };
    let (events, log) = program.build(&fleet, &[]).await;
    assert_eq!(evaluated(&events), (2, 0));
    assert!(log.contains(" eval ") && log.contains("--option accept-flake-config false"), "{log}");
    let (events, log) = program.build(&fleet, &[]).await;
    assert_eq!(evaluated(&events), (0, 2));
    assert!(!log.contains(" eval ") && log.contains(" metadata "), "{log}");
    for options in [["--impure"].as_slice(), &["--no-eval-cache"], &["--option", "cores", "2"]] {
        assert_eq!(evaluated(&program.build(&fleet, options).await.0), (2, 0), "{options:?}");
    }
    assert_eq!(evaluated(&program.build(&fleet, &["--option", "cores", "2"]).await.0), (0, 2));
    // Another Nix may evaluate otherwise.
    std::fs::write(program.home.path().join("version"), "nix (Nix) 2.27.0\n").unwrap();
    assert_eq!(evaluated(&program.build(&fleet, &[]).await.0), (2, 0));
    assert_eq!(evaluated(&program.build(&fleet, &[]).await.0), (0, 2));
}

/// A setting is heard by what is built here, too: a builder is told how many cores it has.
#[tokio::test]
#[ignore = "needs nix: `cargo test --test nix -- --ignored` in the lab's workstation"]
async fn settings_of_the_fleet_and_of_the_flake_that_is_let_reach_the_build() {
    for (options, accepts, cores) in [
        (&[("cores", "3")][..], false, Some("3")),
        (&[], true, Some("977")),
        (&[("cores", "3")], true, Some("3")),
        (&[], false, None),
    ] {
        let mut keeping = Keeping::new("settings");
        keeping.edit("{\n  outputs", "{\n  nixConfig.cores = 977;\n  outputs");
        // Its own input is nowhere, and the fleet has another in its place.
        keeping.edit("outputs = { self }", "inputs.word.url = \"path:/nowhere\"; outputs = { self, word }");
        let word = tempfile::tempdir().unwrap();
        std::fs::write(word.path().join("flake.nix"), "{ outputs = _: { }; }").unwrap();
        keeping.terms.override_inputs.insert("word".into(), format!("path:{}", word.path().display()));
        keeping.terms.options = options.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        keeping.terms.accept_flake_config = accepts;
        let Evaluation { targets, settings, .. } = keeping.evaluate(&["cores"]).await.evaluation;
        let roots = keeping.fleet.folder().join("roots");
        nix::build(&targets, BuildStore::Here { roots: &roots }, &settings, LONG, |_| {}).await.unwrap();
        let read = |path: &str| std::fs::read_to_string(path).unwrap().trim().to_owned();
        let told = read(&read(targets[&name("cores")].output().as_str()));
        match cores {
            Some(cores) => assert_eq!(told, cores, "{options:?} {accepts}"),
            None => assert_ne!(told, "977"),
        }
    }
}

/// Evaluates these hosts with two workers.
async fn evaluate_by_two(
    fleet: &Fleet,
    names: &[&str],
    limit: Duration,
    setting: &str,
) -> Result<Evaluation, EvalError> {
    let options = [(setting.to_owned(), "1".to_owned())].into();
    let terms = EvaluationTerms { workers: Some(2), options, ..EvaluationTerms::default() };
    let (source, hosts) = (flake(TOPLEVEL), hosts(names));
    let request =
        EvalRequest { source: &source, hosts: &hosts, base: fleet.folder(), limit, terms: &terms, kept: None };
    Evaluator::begin(request).await.evaluate(&|_| {}).await
}

#[tokio::test]
#[ignore = "needs nix: `cargo test --test nix -- --ignored` in the lab's workstation"]
async fn a_host_whose_evaluation_does_not_end_is_named_and_the_others_are_fine() {
    let fleet = Fleet::new("hangs");
    let error = evaluate_by_two(&fleet, &["vps", "home", "hangs"], Duration::from_secs(30), "cores").await.unwrap_err();
    let EvalError::Hosts { failed, fine, not_asked } = error else { panic!("{error}") };
    assert_eq!((fine, not_asked), (names(&["home", "vps"]), vec![]));
    assert!(
        matches!(&failed[&name("hangs")], HostProblem::NotEnded(said) if said.contains("did not end")),
        "{failed:?}"
    );
}

/// As the kernel kills where memory is short: it is asked once more, alone, and then it is named.
#[tokio::test]
#[ignore = "needs nix: `cargo test --test nix -- --ignored` in the lab's workstation"]
async fn a_host_whose_evaluation_is_killed_is_named_and_the_others_are_fine() {
    // By this its processes are told from those of tests beside it.
    const MARK: &str = "narinfo-cache-negative-ttl";
    let fleet = Fleet::new("killed");
    let killed = Mutex::new(std::collections::BTreeSet::new());
    let kill = async {
        loop {
            for entry in std::fs::read_dir("/proc").unwrap().flatten() {
                let Some(id) = entry.file_name().to_str().and_then(|id| id.parse::<i32>().ok()) else { continue };
                let words = std::fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
                // Tests run side by side, each with its own hosts.
                if words.contains("\0--apply\0") && words.contains("[ \"hangs\" ]") && words.contains(MARK) {
                    killed.lock().unwrap().insert(id);
                    let id = ::nix::unistd::Pid::from_raw(id);
                    let _ = ::nix::sys::signal::kill(id, ::nix::sys::signal::Signal::SIGKILL);
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let error = tokio::select! {
        evaluated = evaluate_by_two(&fleet, &["vps", "home", "hangs"], LONG, MARK) => evaluated.unwrap_err(),
        () = kill => unreachable!(),
    };
    let EvalError::Hosts { failed, fine, not_asked } = error else { panic!("{error}") };
    assert_eq!((fine, not_asked), (names(&["home", "vps"]), vec![]));
    assert!(matches!(&failed[&name("hangs")], HostProblem::Fails(said) if said.contains("was killed")), "{failed:?}");
    // A process that nix has just forked looks like nix itself.
    assert!(killed.into_inner().unwrap().len() >= 2);
}

/// `blind` ends Nix when it is looked at, which nothing in Nix can catch.
#[tokio::test]
#[ignore = "needs a nix"]
async fn the_configuration_is_seen_beside_the_system_and_a_look_that_fails_costs_nothing_else() {
    let mut keeping = Keeping::new("ahead");
    let ports = |seen: &Seen, host: &str| {
        let configured = seen.evaluation.configured.get(&name(host))?;
        configured.sshd.enabled.map(|_| configured.sshd.ports.clone())
    };
    let first = keeping.evaluate(&["seen", "vps"]).await;
    assert_eq!((ports(&first, "seen"), ports(&first, "vps")), (Some(vec![2222]), None));
    // Neither our own lines nor what the look has printed is news.
    assert_eq!((first.printed, first.warned), (Vec::<String>::new(), Vec::new()));
    // What is kept warns as what is evaluated.
    let again = keeping.evaluate(&["seen", "vps"]).await;
    assert_eq!((again.evaluation.kept, again.processes), (2, 0));
    assert_eq!(again.evaluation.configured, first.evaluation.configured);
    // Alone and with others.
    keeping.terms.anew = true;
    let alone = keeping.evaluate(&["blind"]).await;
    assert_eq!((alone.evaluation.configured.len(), alone.printed.len()), (0, 0));
    keeping.evaluate(&["blind", "seen", "vps", "home"]).await;
}
