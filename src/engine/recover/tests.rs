use std::collections::VecDeque;
use std::sync::Mutex;

use futures::FutureExt;
use futures::future::BoxFuture;
use pretty_assertions::assert_eq;

use super::take_over::told_provenance;
use super::*;
use crate::decide::asking::Continuity;
use crate::decide::reboot::trial::left::TrialRemedy;
use crate::decide::vocabulary::{Answer, Entry};
use crate::engine::host_survey::SurveyAnswer;
use crate::engine::hosts::{Hosts, Order, StepNotes};
use crate::engine::orders::{HostClock, Orders};
use crate::event::reason::Worded;
use crate::event::reason::cause::Cause;
use crate::event::reason::reboot::FoundRolling;
use crate::event::reason::recover::ClaimDoubt;
use crate::facts::host::{Facts, GuardState, Standing};
use crate::facts::links::{LinkId, Round};
use crate::facts::plan::HostId;
use crate::facts::provenance::{Brought, SystemOrigin};
use crate::facts::store_path::StorePath;
use crate::facts::systems::{BootLoader, Systems};
use crate::inventory::model::{After, Become, BootLoaderHint, Hooks, HostKey, Limits, NixOptions, Source};

/// Hosts that answer the survey as they are told, one answer after the other, and are never touched; and who was let go
/// of which rolling reboot.
#[derive(Default)]
pub(in crate::engine) struct Told(Mutex<BTreeMap<HostName, VecDeque<Option<Facts>>>>, Mutex<Vec<(HostName, String)>>);

pub(in crate::engine) struct NoHosts;

/// A host that has answered, and cannot be reached when it is to be let go.
const GONE: &str = "gone";

pub(in crate::engine) const RUN: &str = "20261128-200000-lab-3f9c";

impl Hosts for NoHosts {
    fn outbid(&self, _: HostId) {}

    fn perform(self: Arc<Self>, host: HostId, order: Order, _: StepNotes) -> BoxFuture<'static, Answer> {
        panic!("{host:?} is ordered {order:?}")
    }

    fn round(self: Arc<Self>, _: bool, _: Continuity) -> BoxFuture<'static, (Round, BTreeSet<LinkId>)> {
        panic!("a round is asked for")
    }
}

/// The tests need not wait for it.
#[derive(Debug, Default)]
struct FastClock(Mutex<Duration>);

impl Clock for FastClock {
    fn now(&self) -> Duration {
        *self.0.lock().unwrap()
    }

    fn sleep_until(&self, at: Duration) -> BoxFuture<'static, ()> {
        let mut now = self.0.lock().unwrap();
        *now = at.max(*now);
        std::future::ready(()).boxed()
    }
}

impl Surveyor for Told {
    type Hosts = NoHosts;

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(FastClock::default())
    }

    fn ask<'a>(&'a self, host: &'a Host) -> BoxFuture<'a, SurveyAnswer> {
        let mut told = self.0.lock().unwrap();
        let answer = told.get_mut(&host.name).unwrap().pop_front().flatten();
        let clock = HostClock { uptime: 1000, at: Duration::ZERO };
        let answer = answer.map(|facts| Answered { facts, clock }).ok_or(Cause::NoTimeToAsk);
        std::future::ready(answer).boxed()
    }

    /// One cannot be asked for it.
    fn let_go<'a>(&'a self, host: &'a Host, run: &'a str) -> BoxFuture<'a, Result<(), Cause>> {
        self.1.lock().unwrap().push((host.name.clone(), run.to_owned()));
        let is_gone = host.name.as_str() == GONE;
        std::future::ready(if is_gone { Err(Cause::NoTimeToAsk) } else { Ok(()) }).boxed()
    }

    /// One cannot be cleaned.
    fn mend_trial<'a>(
        &'a self,
        host: &'a Host,
        _: &'a str,
        _: &'a str,
        _: TrialRemedy,
        _: &'a str,
    ) -> BoxFuture<'a, Result<(), Cause>> {
        let is_gone = host.name.as_str() == GONE;
        std::future::ready(if is_gone { Err(Cause::NoTimeToAsk) } else { Ok(()) }).boxed()
    }

    fn hosts(&self, _: Orders) -> Arc<NoHosts> {
        Arc::new(NoHosts)
    }

    fn dismiss(&self, _: Arc<NoHosts>) -> BoxFuture<'_, ()> {
        std::future::ready(()).boxed()
    }
}

impl Told {
    pub(in crate::engine) fn of<const COUNT: usize>(answers: [(&str, Vec<Option<Facts>>); COUNT]) -> Self {
        let answers = answers.map(|(name, answers)| (HostName::new(name).unwrap(), answers.into()));
        Self(Mutex::new(answers.into()), Mutex::default())
    }
}

/// Without a record, for nothing in particular.
fn request() -> RecoverRequest {
    RecoverRequest {
        fleet: fleet(),
        owner: "ada@desktop".to_owned(),
        tag: 7,
        known: None,
        run: None,
        aim: Aim::Recover,
        without: BTreeSet::new(),
        ended: Vec::new(),
    }
}

/// What was written down: nothing should be.
#[derive(Default)]
struct Records(Vec<Entry>);

impl Surroundings for Records {
    fn tell(&mut self, event: Event) {
        crate::codes::keep(&event);
    }

    fn started(&mut self, _: &Plan) -> std::io::Result<()> {
        Ok(())
    }

    fn record(&mut self, entry: &Entry) -> std::io::Result<()> {
        self.0.push(entry.clone());
        Ok(())
    }
}

impl super::RecoveryRecords for Records {
    fn recovering(&mut self, _: &FoundRun) -> std::io::Result<()> {
        Ok(())
    }

    fn ended_elsewhere(&mut self) {}
}

/// A person who is asked.
struct Asked {
    says: bool,
    about: Vec<(BTreeSet<HostName>, Duration)>,
}

impl Surroundings for Asked {
    fn tell(&mut self, event: Event) {
        crate::codes::keep(&event);
    }

    fn started(&mut self, _: &Plan) -> std::io::Result<()> {
        Ok(())
    }

    fn record(&mut self, _: &Entry) -> std::io::Result<()> {
        Ok(())
    }
}

impl super::RecoveryRecords for Asked {
    fn recovering(&mut self, _: &FoundRun) -> std::io::Result<()> {
        Ok(())
    }

    fn goes_on_without(&mut self, silent: &BTreeSet<HostName>, wait: Duration) -> impl Future<Output = bool> + Send {
        self.about.push((silent.clone(), wait));
        std::future::ready(self.says)
    }

    fn ended_elsewhere(&mut self) {}
}

fn host(name: &str) -> Host {
    Host {
        name: HostName::new(name).unwrap(),
        address: name.to_owned(),
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
        boot_time: Host::DEFAULT_BOOT_TIME,
        guard: Host::DEFAULT_GUARD,
        guard_action: crate::inventory::model::GuardAction::Reboot,
        boot_loader: BootLoaderHint::default(),
        runs_on: None,
        optional: false,
        reactivate: false,
        after: After::default(),
        build_on: crate::inventory::model::BuildOn::Workstation,
        nix: NixOptions::default(),
        limits: Limits::default(),
        ignored_units: Vec::new(),
        system: None,
        guard_action_given: false,
    }
}

/// Makes the survey of a host that holds these runs.
pub(in crate::engine) fn facts(runs: &[&str]) -> Facts {
    let system = StorePath::new("/nix/store/00000000000000000000000000000000-old").unwrap();
    let runs: Vec<String> = runs.iter().map(|run| (*run).to_owned()).collect();
    let hosts = vec!["home".to_owned(), "vps".to_owned()];
    Facts {
        standing: Standing {
            boot_id: "boot".to_owned(),
            uptime: 1000,
            systems: Systems::all(&system),
            booted: system,
            generation: 1,
            loader: BootLoader::SystemdBoot,
            next_boot: None,
            guard: GuardState::None,
            lease: None,
            rolling: None,
            jobs: BTreeMap::new(),
            failed_units: BTreeSet::new(),
            restarts: BTreeMap::new(),
            units: BTreeMap::new(),
            run_traces: None,
            fence: None,
            trial: crate::facts::trial::TrialStanding::default(),
        },
        host_name: String::new(),
        machine_id: String::new(),
        system_type: String::new(),
        free_root: 0,
        free_store: 0,
        free_boot: None,
        nix_version: String::new(),
        systemd_version: String::new(),
        kernel: String::new(),
        nixos_version: None,
        ssh_port: None,
        crypto_devices: Vec::new(),
        survivor_hosts: runs.iter().map(|run| (run.clone(), hosts.clone())).collect(),
        survivors: runs,
        survivor_roots: BTreeMap::new(),
        remembered: BTreeMap::new(),
        fences: BTreeMap::new(),
        marks: Vec::new(),
        over: BTreeSet::new(),
        switching: BTreeSet::new(),
        rolling_over: None,
        traces: Vec::new(),
        busy: Vec::new(),
        boot_missing: None,
        boot_files: None,
        trial: crate::facts::trial::TrialFacts::default(),
        boot_note: None,
        notes: Vec::new(),
        current_was_booted: true,
        lacks_bash: false,
        origins: Vec::new(),
        wireguard: Vec::new(),
    }
}

pub(in crate::engine) fn fleet() -> Fleet {
    Fleet {
        name: "homelab".to_owned(),
        hosts: vec![host("home"), host("vps")],
        source: Source::System,
        checks: Vec::new(),
        settle: Fleet::DEFAULT_SETTLE,
        steady: crate::inventory::model::Steady::Default,
        hooks: Hooks::default(),
        builders: Vec::new(),
        build_limit: Fleet::DEFAULT_BUILD_LIMIT,
        evaluation: fleetdeploy::inventory::model::EvaluationTerms::default(),
        parallel: Fleet::DEFAULT_PARALLEL,
        cache: None,
        canaries: BTreeSet::new(),
        waves: Vec::new(),
    }
}

/// What a recovery of the fleet of `home` and `vps` comes to, and what it writes down.
async fn recovers(answers: [(&str, Vec<Option<Facts>>); 2], known: Option<RecordedRun>) -> (Recovered, Vec<Entry>) {
    let answers = answers.map(|(name, answers)| (HostName::new(name).unwrap(), answers.into()));
    let told = Told(Mutex::new(answers.into()), Mutex::default());
    recovers_as(&told, &RecoverRequest { known, ..request() }).await
}

async fn recovers_as(told: &Told, request: &RecoverRequest) -> (Recovered, Vec<Entry>) {
    let mut records = Records::default();
    let mut shutdown = Shutdown::from_stream(futures::stream::pending());
    let recovered = recover_with(told, request, &Events::new(None), &mut records, &mut shutdown).await;
    if let Recovered::NotBegun(why) = &recovered {
        crate::codes::keep(&Event::failed(None, why.clone()));
    }
    (recovered, records.0)
}

#[tokio::test]
async fn a_run_that_is_ended_while_its_silent_hosts_are_waited_for_is_nothing_to_recover() {
    let answers = [("home", vec![None, Some(facts(&[]))]), ("vps", vec![Some(facts(&[RUN])), Some(facts(&[]))])];
    let recovered = recovers(answers, None).await;
    assert_eq!(recovered, (Recovered::Nothing { silent: Vec::new() }, Vec::new()));
}

/// A record that tells no more than that there is one.
fn known() -> RecordedRun {
    RecordedRun {
        run: RUN.to_owned(),
        plan: None,
        recorded: Recorded::nowhere(),
        epoch: 1,
        since: Duration::ZERO,
        rolling: None,
        mark: None,
        guards: None,
    }
}

#[tokio::test]
async fn a_record_without_the_pushs_plan_ends_nothing_while_no_host_answers() {
    let known = known();
    let (recovered, entries) = recovers([("home", Vec::new()), ("vps", Vec::new())], Some(known)).await;
    let silent = ["home", "vps"].map(|name| HostName::new(name).unwrap()).into();
    assert_eq!((recovered, entries), (Recovered::Nothing { silent }, Vec::new()));
}

#[test]
fn a_host_that_was_cleaned_already_stays_in_the_plan_of_those_that_were_not() {
    let clock = HostClock { uptime: 1000, at: Duration::ZERO };
    let surveyed = [("home", facts(&[])), ("vps", facts(&[RUN]))]
        .map(|(name, facts)| (HostName::new(name).unwrap(), Answered { facts, clock }));
    let surveyed = SurveyedHosts::from(surveyed);
    let request = request();
    let (told, events) = (Told::default(), Events::new(None));
    let recovery = RecoveryRun { request: &request, surveyor: &told, clock: told.clock(), events: &events };
    let chosen = recovery.choose(&surveyed).unwrap().unwrap();
    let (plan, ..) = recovery.plan(&chosen, &surveyed).unwrap();
    let changing: Vec<&str> = plan.changing().map(|host| plan.host(host).name.as_str()).collect();
    assert_eq!(changing, ["home", "vps"]);
}

/// Makes the surveys of hosts by name; each holds these runs, with this owner's lease of the last run, if an owner is
/// given.
fn claimed(hosts: &[(&str, &[&str], Option<&str>)]) -> SurveyedHosts {
    let one = |(name, runs, owner): &(&str, &[&str], Option<&str>)| {
        let mut facts = facts(runs);
        facts.standing.lease = owner.zip(runs.last()).map(|(owner, run)| crate::facts::host::Lease {
            run: (*run).to_owned(),
            epoch: 1,
            owner: owner.to_owned(),
        });
        let clock = HostClock { uptime: 1000, at: Duration::ZERO };
        (HostName::new(*name).unwrap(), Answered { facts, clock })
    };
    hosts.iter().map(one).collect()
}

#[test]
fn the_run_that_most_hosts_hold_is_recovered_and_not_what_one_makes_up() {
    let newer = "29991231-235959-lab-ffff";
    for (hosts, chosen) in [
        (claimed(&[("home", &[RUN], None), ("nas", &[RUN], None), ("vps", &[newer], None)]), Some(RUN)),
        (claimed(&[("home", &[RUN], None), ("vps", &[newer], None)]), Some(newer)),
        (claimed(&[("home", &[], None), ("vps", &["zzz"], None)]), None),
    ] {
        let mut runs: BTreeMap<String, BTreeSet<HostName>> = BTreeMap::new();
        for (host, one) in &hosts {
            for run in one.runs() {
                runs.entry(run).or_default().insert(host.clone());
            }
        }
        assert_eq!(claims::most_claimed(&runs).as_deref(), chosen);
    }
}

#[test]
fn one_host_alone_makes_no_run_a_guard_by_hand_and_names_no_stranger() {
    let by_hand = crate::decide::guard::marked("ada@laptop");
    let armed = |hosts: &mut SurveyedHosts| {
        for one in hosts.values_mut() {
            one.facts.standing.guard = GuardState::Armed { run: RUN.to_owned(), deadline: 1900 };
        }
    };
    let mut all = claimed(&[("home", &[RUN], Some(&by_hand)), ("vps", &[RUN], Some(&by_hand))]);
    armed(&mut all);
    assert!(claims::is_by_hand(RUN, all.values()));
    let mut one = claimed(&[("home", &[RUN], Some("ada@laptop")), ("vps", &[RUN], Some(&by_hand))]);
    armed(&mut one);
    assert!(!claims::is_by_hand(RUN, one.values()));
    let vps = &one[&HostName::new("vps").unwrap()];
    let doubt = claims::doubt(RUN, vps, false);
    crate::codes::keep_judged(doubt.clone());
    assert_eq!(doubt, Some(ClaimDoubt::ByHandSaidByOne));

    let mut three = claimed(&[("home", &[RUN], None), ("nas", &[RUN], None), ("vps", &[RUN], None)]);
    let stranger = HostName::new("stranger").unwrap();
    let named: BTreeSet<HostName> = [stranger.clone()].into();
    let mut strangers = |by: &[&str]| {
        for (host, one) in &mut three {
            let hosts = one.facts.survivor_hosts.get_mut(RUN).unwrap();
            hosts.retain(|name| name != "stranger");
            if by.contains(&host.as_str()) {
                hosts.push("stranger".to_owned());
            }
        }
        claims::strangers(RUN, &named, &fleet(), &three, false)
    };
    assert_eq!(strangers(&["vps"]), []);
    assert_eq!(strangers(&["vps", "nas"]), [stranger]);
}

#[test]
fn nobody_waits_longer_than_a_second_host_says_that_a_guard_holds() {
    let shown = |lefts: &[u64]| {
        let mut hosts = claimed(&[("home", &[RUN], None), ("nas", &[RUN], None), ("vps", &[RUN], None)]);
        for (one, left) in hosts.values_mut().zip(lefts) {
            one.facts.standing.guard = GuardState::Armed { run: RUN.to_owned(), deadline: 1000 + left };
        }
        claims::longest_guard(
            RUN,
            &[Times::of(&host("home"), Fleet::DEFAULT_SETTLE, std::time::Duration::ZERO)],
            hosts.values(),
        )
        .as_secs()
    };
    let by_the_inventory = shown(&[60, 60, 60]);
    assert_eq!(shown(&[60, 60, 100_000_000_000_000]), by_the_inventory);
    assert_eq!(shown(&[60, 7200, 7300]), 7200);
}

/// What `vps` says while a rolling reboot holds it.
pub(in crate::engine) fn held(runs: &[&str]) -> Facts {
    let mut facts = facts(runs);
    facts.standing.rolling = Some(crate::facts::host::RollingLease {
        run: OTHER.to_owned(),
        left: 300,
        boot_id: facts.standing.boot_id.clone(),
        owner: "ada@laptop".to_owned(),
    });
    facts
}

const OTHER: &str = "20261122-170000-homelab-aaaa";

#[tokio::test]
async fn a_rolling_reboot_that_holds_the_hosts_is_ended_and_not_recovered_as_a_push() {
    let answers = || [("home", vec![Some(held(&[]))]), ("vps", vec![Some(held(&[]))])];
    let hosts = ["home", "vps"].map(|host| (HostName::new(host).unwrap(), FoundRolling::RebootNotBegun)).into();
    let ended = Recovered::Rolling(RollingEnded { run: OTHER.to_owned(), hosts, ..RollingEnded::default() });
    assert_eq!(recovers(answers(), None).await, (ended, Vec::new()));
    // This workstation's own push waits for it, and says what ends it.
    let known = known();
    let (recovered, entries) = recovers(answers(), Some(known)).await;
    let Recovered::NotBegun(why) = recovered else { panic!("{recovered:?}") };
    assert_eq!((why.to_string(), entries), (format!("rolling reboot {OTHER} holds home, vps"), Vec::new()));
    assert!(why.mend().unwrap().contains(&format!("--run {OTHER}")));
}

/// What a recovery of these hosts, with this request made of the usual one, says that a rolling reboot is to it.
async fn rolling_of(
    answers: &[(&str, Facts)],
    ask: impl FnOnce(&mut RecoverRequest),
) -> (reboot::RollingClaim, SurveyedHosts) {
    let clock = HostClock { uptime: 1000, at: Duration::ZERO };
    let answers = answers.iter().map(|(name, facts)| (HostName::new(*name).unwrap(), facts.clone()));
    let mut surveyed: SurveyedHosts = answers.map(|(host, facts)| (host, Answered { facts, clock })).collect();
    let again = surveyed.iter().map(|(host, one)| (host.clone(), [Some(one.facts.clone())].into())).collect();
    let (told, events) = (Told(Mutex::new(again), Mutex::default()), Events::new(None));
    let mut request = RecoverRequest {
        fleet: Fleet { hosts: vec![host("home"), host("nas"), host("vps")], ..fleet() },
        known: Some(known()),
        ..request()
    };
    ask(&mut request);
    let recovery = RecoveryRun { request: &request, surveyor: &told, clock: told.clock(), events: &events };
    let mut found = recovery.rolling(&surveyed);
    if let reboot::RollingClaim::SaidByOne { run, host } = found {
        found = recovery.look_at_rolling_again(run, host, &mut surveyed).await;
    }
    (found, surveyed)
}

/// Else a host that lies would keep the hosts of a dead push from ever being recovered.
#[tokio::test]
async fn a_host_that_alone_says_that_a_rolling_reboot_holds_it_is_left_out_and_no_other() {
    let vps = HostName::new("vps").unwrap();
    let push = || [("home", facts(&[RUN])), ("nas", facts(&[RUN])), ("vps", held(&[RUN]))];
    let named = |request: &mut RecoverRequest| (request.known, request.run) = (None, Some(RUN.to_owned()));
    for ask in [|_: &mut RecoverRequest| {}, named, |request: &mut RecoverRequest| request.known = None] {
        let (found, surveyed) = rolling_of(&push(), ask).await;
        let said = reboot::RollingClaim::SaidByOne { run: OTHER.to_owned(), host: vps.clone() };
        assert_eq!(found, said);
        let doubt = claims::doubt(RUN, &surveyed[&vps], false).expect("it is set aside");
        crate::codes::keep_judged([doubt.clone()]);
        assert!(doubt.to_string().contains(OTHER), "{doubt}");
        assert_eq!(claims::doubt(RUN, &surveyed[&HostName::new("home").unwrap()], false), None);
    }
    // Two of them are believed.
    let two = [("home", facts(&[RUN])), ("nas", held(&[RUN])), ("vps", held(&[RUN]))];
    let (found, _) = rolling_of(&two, |_| {}).await;
    let hosts = [HostName::new("nas").unwrap(), vps.clone()].into();
    assert_eq!(found, reboot::RollingClaim::Holds { run: OTHER.to_owned(), hosts });
    // If there is nothing else to end, the recovery ends this.
    let alone = [("home", facts(&[])), ("nas", facts(&[])), ("vps", held(&[]))];
    let (found, _) = rolling_of(&alone, |request| request.known = None).await;
    assert_eq!(found, reboot::RollingClaim::Ends { run: OTHER.to_owned(), begun: None });
}

/// It was just being taken: by now the others have it, too.
#[tokio::test]
async fn a_rolling_reboot_that_was_seen_at_its_first_host_is_looked_at_once_more() {
    let answers = [("home", vec![Some(facts(&[])), Some(held(&[]))]), ("vps", vec![Some(held(&[])), Some(held(&[]))])];
    let (recovered, entries) = recovers(answers, Some(known())).await;
    let Recovered::NotBegun(why) = recovered else { panic!("{recovered:?}") };
    assert_eq!((why.to_string(), entries), (format!("rolling reboot {OTHER} holds home, vps"), Vec::new()));
}

/// A host that a run is to end without is asked for nothing, so that nothing that it says can be in the way.
#[tokio::test]
async fn a_host_that_the_run_is_to_end_without_is_not_asked() {
    let vps = HostName::new("vps").unwrap();
    let answers = [("home", vec![Some(facts(&[]))]), ("vps", vec![Some(held(&[RUN]))])];
    let told = Told::of(answers);
    let request = RecoverRequest { aim: Aim::Without, without: [vps.clone()].into(), ..request() };
    let mut shutdown = Shutdown::from_stream(futures::stream::pending());
    let recovered = recover_with(&told, &request, &Events::new(None), &mut Records::default(), &mut shutdown).await;
    assert_eq!(recovered, Recovered::Nothing { silent: vec![vps.clone()] });
    assert_eq!(told.0.lock().unwrap()[&vps].len(), 1, "it was asked");
}

#[tokio::test]
async fn a_rolling_reboot_of_this_workstations_record_names_who_was_begun_and_who_is_away() {
    let boot_id = facts(&[]).standing.boot_id;
    let name = |host: &str| HostName::new(host).unwrap();
    let hosts = [(name("home"), boot_id.clone()), (name("vps"), boot_id)].into();
    let rolling = Some(UnfinishedReboot { hosts, told: [name("home")].into(), tried: None });
    let known = RecordedRun { run: OTHER.to_owned(), rolling, ..known() };
    let (recovered, _) = recovers([("home", vec![None]), ("vps", vec![Some(held(&[]))])], Some(known)).await;
    let hosts = [
        (name("home"), FoundRolling::AwayFromReboot { told: Some(true) }),
        (name("vps"), FoundRolling::RebootNotBegun),
    ]
    .into();
    assert_eq!(recovered, Recovered::Rolling(RollingEnded { run: OTHER.to_owned(), hosts, ..RollingEnded::default() }));
}

/// A guard that was not seen is counted from when it was armed, and not from what a recovery has written since.
#[test]
fn what_nobody_has_seen_is_counted_from_when_it_was_armed() {
    let clock = HostClock { uptime: 1000, at: Duration::ZERO };
    let surveyed = SurveyedHosts::from([(HostName::new("vps").unwrap(), Answered { facts: facts(&[RUN]), clock })]);
    let guard = |ago| RecordedGuard { ago: Duration::from_secs(ago), holds: Duration::from_secs(90) };
    let (told, events) = (Told::default(), Events::new(None));
    let plan = {
        let request = RecoverRequest { known: Some(known()), ..request() };
        let recovery = RecoveryRun { request: &request, surveyor: &told, clock: told.clock(), events: &events };
        recovery.plan(&recovery.chosen(RUN, &surveyed), &surveyed).unwrap().0
    };
    let times = |known: RecordedRun, waited: bool| {
        let known = Some(RecordedRun { plan: Some(plan.clone()), ..known });
        let request = RecoverRequest { known, ..request() };
        let recovery = RecoveryRun { request: &request, surveyor: &told, clock: told.clock(), events: &events };
        let chosen = Chosen { waited, ..recovery.chosen(RUN, &surveyed) };
        let (plan, times, ..) = recovery.plan(&chosen, &surveyed).unwrap();
        let home = plan.hosts.iter().position(|host| host.name.as_str() == "home").unwrap();
        let without = [plan.hosts[home].name.clone()].into();
        let until = recovery.until_no_guard_is_armed_on(&without, &chosen, &plan, &times, &surveyed).unwrap();
        let (its, firing) = (times[home], times[home].limits.firing().as_secs());
        let waits = until.saturating_sub(told.clock().now()).as_secs();
        (its.unseen_guard.as_secs(), its.overdue.as_secs(), waits, firing)
    };
    let armed = |ago| RecordedRun { guards: Some([(HostName::new("home").unwrap(), guard(ago))].into()), ..known() };
    let (unseen, overdue, waits, firing) = times(armed(60), false);
    assert_eq!((unseen, overdue, waits), (30, 0, 30 + firing));
    // An end without the host waits for its guard to be over once, and not again from now on.
    let (unseen, overdue, waits, _) = times(armed(100), false);
    assert_eq!((unseen, overdue, waits), (0, 10, firing - 10));
    let (unseen, overdue, waits, _) = times(armed(450), false);
    assert_eq!((unseen, overdue, waits), (0, 360, firing.saturating_sub(360)));
    // An order of the way back may have arrived after the last entry, and the guard holds from then on.
    let limits = &fleet().hosts[0].limits;
    let longest = {
        let all: Vec<Times> =
            fleet().hosts.iter().map(|host| Times::of(host, fleet().settle, Duration::ZERO)).collect();
        Times::longest_guard(&all) + limits.connect + limits.step
    };
    for (since, wanted) in
        [(Duration::ZERO, longest + limits.firing()), (longest, limits.firing()), (2 * longest, Duration::ZERO)]
    {
        let recorded = Recorded { turned_back: true, ..Recorded::nowhere() };
        let (_, _, waits, _) = times(RecordedRun { recorded, since, ..armed(60) }, false);
        assert_eq!(waits, wanted.as_secs(), "{since:?}");
    }
    let (unseen, overdue, ..) = times(armed(60), true);
    assert_eq!(unseen, 0);
    assert!(overdue > 0, "its guard and its boot were waited for");
}

/// The hosts that the run is to end without, as the person answers, and the hosts that the person was asked about.
async fn asked(
    answers: [(&str, Vec<Option<Facts>>); 2],
    aim: Aim,
    says: bool,
) -> (Option<BTreeSet<HostName>>, Vec<(BTreeSet<HostName>, Duration)>) {
    let told = Told::of(answers);
    let request = RecoverRequest { aim, ..request() };
    let events = Events::new(None);
    let recovery = RecoveryRun { request: &request, surveyor: &told, clock: told.clock(), events: &events };
    let mut records = Asked { says, about: Vec::new() };
    let without = recovery.find(&mut records).await.ok().map(|(_, _, without)| without);
    (without, records.about)
}

#[tokio::test]
async fn before_it_waits_for_a_silent_host_a_person_is_asked_whether_to_end_the_run_without_it() {
    let home: BTreeSet<HostName> = [HostName::new("home").unwrap()].into();
    let silent = |name, then: usize| (name, [vec![None], vec![Some(facts(&[RUN])); then]].concat());
    let there = |name| (name, vec![Some(facts(&[RUN])); 2]);
    let yes = asked([silent("home", 0), there("vps")], Aim::Recover, true).await;
    // No token is left to be seen: its guard may have been armed just now, for as long as any of the fleet may hold.
    let all: Vec<Times> = fleet().hosts.iter().map(|its| Times::of(its, fleet().settle, Duration::ZERO)).collect();
    let wait = Times::longest_guard(&all) + fleet().hosts[0].limits.firing();
    assert_eq!(yes, (Some(home.clone()), vec![(home.clone(), wait)]));
    // It comes back while it is waited for.
    let no = asked([silent("home", 1), there("vps")], Aim::Recover, false).await;
    assert_eq!(no, (Some(BTreeSet::new()), vec![(home, wait)]));
    // There is nothing to be asked where all answer, or none, or where all was said before.
    for (answers, aim) in [
        ([there("home"), there("vps")], Aim::Recover),
        ([silent("home", 0), silent("vps", 0)], Aim::Recover),
        ([silent("home", 0), there("vps")], Aim::Without),
        ([silent("home", 0), there("vps")], Aim::Forget { as_they_stand: false }),
    ] {
        let (_, about) = asked(answers, aim, true).await;
        assert_eq!(about, Vec::new(), "{aim:?}");
    }
}

/// Only a lease that counts is something to end, and one that is over would count again after the next boot.
#[tokio::test]
async fn a_rolling_reboot_that_is_over_is_no_reason_to_stop_and_its_lease_goes() {
    let over = Facts { rolling_over: Some(OTHER.to_owned()), ..facts(&[]) };
    let answers = [("home", vec![Some(over)]), ("vps", vec![Some(facts(&[]))])];
    let told = Told::of(answers);
    let request = request();
    let mut shutdown = Shutdown::from_stream(futures::stream::pending());
    let recovered = recover_with(&told, &request, &Events::new(None), &mut Records::default(), &mut shutdown).await;
    assert_eq!(recovered, Recovered::Nothing { silent: Vec::new() });
    assert_eq!(*told.1.lock().unwrap(), [(HostName::new("home").unwrap(), OTHER.to_owned())]);
}

/// Why nothing is begun where `home` and `vps` answer so, and a person asks so.
async fn not_begun(answers: [(&str, Vec<Option<Facts>>); 2], ask: impl FnOnce(&mut RecoverRequest)) -> RecoverReason {
    let mut request = request();
    ask(&mut request);
    let (recovered, entries) = recovers_as(&Told::of(answers), &request).await;
    assert_eq!(entries, []);
    let Recovered::NotBegun(why) = recovered else { panic!("{recovered:?}") };
    why
}

#[tokio::test]
async fn a_recovery_that_could_not_be_right_is_not_begun() {
    let run = || RUN.to_owned();
    let fleet = || "homelab".to_owned();
    let there = |runs: &[&str]| vec![Some(facts(runs)); 2];
    let [home, stranger] = ["home", "stranger"].map(|name| HostName::new(name).unwrap());
    let why = not_begun([("home", there(&[])), ("vps", there(&[]))], |request| request.run = Some(run())).await;
    assert_eq!(why, RecoverReason::NothingOfRun { run: run(), silent: Vec::new() });
    let silent = [("home", vec![None; 2]), ("vps", there(&[]))];
    let why = not_begun(silent, |request| request.run = Some(run())).await;
    assert_eq!(why, RecoverReason::NothingOfRun { run: run(), silent: vec![home.clone()] });

    let silent = [("home", vec![None; 2]), ("vps", there(&[RUN]))];
    let why = not_begun(silent, |request| request.aim = Aim::Without).await;
    let hosts = vec![home];
    assert_eq!(why, RecoverReason::SilentHostsNotNamed { all: hosts.clone(), hosts, fleet: fleet() });

    let mut named = facts(&[RUN]);
    named.survivor_hosts.get_mut(RUN).unwrap().push("stranger".to_owned());
    let answers = ["home", "vps"].map(|host| (host, vec![Some(named.clone()); 2]));
    let why = not_begun(answers, |_| {}).await;
    assert_eq!(why, RecoverReason::HostsNotInFleet { run: run(), hosts: vec![stranger], fleet: fleet() });
}

#[tokio::test]
async fn what_is_not_recovered_now_is_told() {
    let events = Events::new(None);
    let told: Arc<Mutex<Vec<String>>> = Arc::default();
    let heard = Arc::clone(&told);
    let listener = events.listen("test", move |line| {
        if let Event::Warned { text, .. } = &line.event {
            heard.lock().unwrap().push(text.code().unwrap().to_owned());
        }
        Ok(())
    });
    let surveyor = Told::of([("home", vec![]), ("vps", vec![])]);
    let request = request();
    let recovery = RecoveryRun { request: &request, surveyor: &surveyor, clock: surveyor.clock(), events: &events };
    let both = claimed(&[("home", &[RUN], None), ("vps", &[OTHER], None)]);
    assert!(recovery.choose(&both).is_ok_and(|chosen| chosen.is_some()));

    // A new machine has the name of one that was missing when the run was ended.
    let clock = HostClock { uptime: 1000, at: Duration::ZERO };
    let vps = HostName::new("vps").unwrap();
    let mut home = facts(&[]);
    let missing = [(vps, Some("0".repeat(32)))].into();
    let mark = crate::facts::traces::EndMark { side: None, missing };
    home.marks.push(crate::facts::traces::RunMark {
        run: RUN.to_owned(),
        ended: crate::facts::traces::Ended { epoch: 9, mark },
    });
    let answers = [("home", home), ("vps", facts(&[]))];
    let answers = answers.map(|(host, facts)| (HostName::new(host).unwrap(), Answered { facts, clock }));
    assert_eq!(recovery.tell_of_marks(BTreeSet::new(), &answers.into()), BTreeSet::new());
    let _ = listener.unwrap().finish(Duration::from_secs(10));
    assert_eq!(*told.lock().unwrap(), ["another-run-unfinished", "replaced-while-missing"]);
}

/// The codes of what a recovery tells, and what it comes to.
async fn told_by(
    answers: [(&str, Vec<Option<Facts>>); 2],
    request: &RecoverRequest,
    records: &mut impl super::RecoveryRecords,
) -> (Vec<String>, Recovered) {
    let events = Events::new(None);
    let (told, heard) = std::sync::mpsc::channel();
    let listener = events.listen("test", move |line| {
        if let Event::Warned { text, .. } | Event::HostFound { text, .. } = &line.event {
            told.send(text.code().unwrap_or_default().to_owned()).map_err(std::io::Error::other)?;
        }
        Ok(())
    });
    let mut shutdown = Shutdown::from_stream(futures::stream::pending());
    let recovered = recover_with(&Told::of(answers), request, &events, records, &mut shutdown).await;
    if let Recovered::NotBegun(why) = &recovered {
        crate::codes::keep(&Event::failed(None, why.clone()));
    }
    let _ = listener.unwrap().finish(Duration::from_secs(10));
    (heard.try_iter().collect(), recovered)
}

#[tokio::test]
async fn a_host_that_could_not_be_let_go_by_a_rolling_reboot_is_named() {
    let boot_id = facts(&[]).standing.boot_id;
    let [gone, vps] = [GONE, "vps"].map(|host| HostName::new(host).unwrap());
    let rolling = UnfinishedReboot {
        hosts: [(gone.clone(), boot_id.clone()), (vps.clone(), boot_id)].into(),
        told: [vps.clone()].into(),
        tried: None,
    };
    let request = RecoverRequest {
        fleet: Fleet { hosts: vec![host(GONE), host("vps")], ..fleet() },
        known: Some(RecordedRun { run: OTHER.to_owned(), rolling: Some(rolling), ..known() }),
        ..request()
    };
    let answers = [(GONE, vec![Some(held(&[]))]), ("vps", vec![Some(held(&[]))])];
    let (told, recovered) = told_by(answers, &request, &mut Records::default()).await;
    assert_eq!(told, ["reboot-not-begun", "reboot-told-only", "may-still-be-held-for"]);
    let hosts = [(gone, FoundRolling::RebootNotBegun), (vps, FoundRolling::RebootToldOnly)].into();
    assert_eq!(recovered, Recovered::Rolling(RollingEnded { run: OTHER.to_owned(), hosts, ..RollingEnded::default() }));
}

/// A disk that is full.
struct Full;

impl Surroundings for Full {
    fn tell(&mut self, event: Event) {
        panic!("it has begun: {event:?}");
    }

    fn started(&mut self, _: &Plan) -> std::io::Result<()> {
        panic!("no push begins")
    }

    fn record(&mut self, entry: &Entry) -> std::io::Result<()> {
        panic!("it has begun: {entry:?}");
    }
}

impl super::RecoveryRecords for Full {
    fn recovering(&mut self, _: &FoundRun) -> std::io::Result<()> {
        Err(std::io::Error::from(std::io::ErrorKind::StorageFull))
    }

    fn ended_elsewhere(&mut self) {}
}

/// What it would wait for, and whom it would leave as it is, is known before; [`NoHosts`] takes no order.
#[tokio::test]
async fn without_its_record_a_recovery_takes_no_host_over() {
    let vps = HostName::new("vps").unwrap();
    let ends_without = RecoverRequest { aim: Aim::Without, without: [vps.clone()].into(), ..request() };
    let there = |name, facts: Facts| (name, vec![Some(facts); 2]);
    for (request, vps, told) in [
        (request(), held(&[RUN]), ["rolling-said-by-one", "host-set-aside"].as_slice()),
        (ends_without, facts(&[RUN]), ["ends-without-hosts"].as_slice()),
    ] {
        let answers = [there("home", facts(&[RUN])), there("vps", vps)];
        let (said, recovered) = told_by(answers, &request, &mut Full).await;
        assert_eq!(said, told);
        let Recovered::NotBegun(why) = recovered else { panic!("{recovered:?}") };
        assert!(matches!(why, RecoverReason::RecoveryNotRecorded { .. }), "{why}");
    }
}

/// Its part of the plan cannot be carried out: nobody knows here how it is reached.
#[tokio::test]
async fn a_run_with_a_host_that_has_left_the_inventory_is_not_recovered_without_it() {
    let surveyed = claimed(&[("home", &[RUN], None), ("vps", &[RUN], None)]);
    let mut plan = {
        let (request, told, events) = (request(), Told::default(), Events::new(None));
        let recovery = RecoveryRun { request: &request, surveyor: &told, clock: told.clock(), events: &events };
        recovery.plan(&recovery.chosen(RUN, &surveyed), &surveyed).unwrap().0
    };
    let nas = HostName::new("nas").unwrap();
    plan.hosts[0].name = nas.clone();
    let there = |name| (name, vec![Some(facts(&[RUN])); 2]);
    let why = not_begun([there("home"), there("vps")], |request| {
        // Whoever names the run knows it, whatever hosts it says that it has.
        (request.known, request.run) = (Some(RecordedRun { plan: Some(plan), ..known() }), Some(RUN.to_owned()));
    })
    .await;
    let (run, fleet) = (RUN.to_owned(), "homelab".to_owned());
    assert_eq!(why, RecoverReason::HostLeftFleet { run, name: nas, fleet });
}

/// Each host speaks for itself alone, and of no other run.
#[test]
fn where_a_run_comes_from_is_what_its_hosts_agree_on() {
    let provenance = |by: &str| Provenance { by: by.to_owned(), ..Provenance::default() };
    let told = |words: [Option<(&str, &str)>; 2]| {
        let mut surveyed = claimed(&[("home", &[RUN], None), ("vps", &[RUN], None)]);
        for (one, word) in surveyed.values_mut().zip(words) {
            let system = one.facts.standing.systems.current.clone();
            let brought = |(run, by): (&str, &str)| Brought { run: run.to_owned(), at: 7, provenance: provenance(by) };
            one.facts.origins = word.map(|word| SystemOrigin { system, brought: brought(word) }).into_iter().collect();
        }
        let (request, told, events) = (request(), Told::default(), Events::new(None));
        let recovery = RecoveryRun { request: &request, surveyor: &told, clock: told.clock(), events: &events };
        let plan = recovery.plan(&recovery.chosen(RUN, &surveyed), &surveyed).unwrap().0;
        told_provenance(RUN, &plan, &surveyed)
    };
    assert_eq!(told([Some((RUN, "ada")), Some((RUN, "ada"))]), Some(provenance("ada")));
    assert_eq!(told([Some((RUN, "ada")), None]), Some(provenance("ada")));
    assert_eq!(told([Some((RUN, "ada")), Some((RUN, "eve"))]), None);
    assert_eq!(told([Some((OTHER, "ada")), None]), None);
}

/// How `vps` stands in a trial of the run that holds it, or after it.
fn tried(change: impl FnOnce(&mut Standing)) -> Facts {
    let path = |name: &str| StorePath::new(format!("/nix/store/{}-{name}", "0".repeat(32))).unwrap();
    let (booted, tried) = (path("old"), path("new"));
    let mut facts = held(&[]);
    let standing = &mut facts.standing;
    standing.boot_id = "trial".to_owned();
    standing.booted = tried.clone();
    standing.systems = Systems { boot_default: booted.clone(), ..Systems::all(&tried) };
    standing.guard = GuardState::Armed { run: OTHER.to_owned(), deadline: 1300 };
    standing.trial.line = Some(OTHER.to_owned());
    standing.trial.survivors = vec![crate::facts::trial::TrialSurvivor {
        run: OTHER.to_owned(),
        owner: "ada@laptop".to_owned(),
        systems: Some(crate::facts::trial::TrialSystems { booted, before: tried.clone(), tried }),
        seconds: 300,
        kept_by_firmware: false,
        proven: false,
        over: false,
        failed: None,
        trace: None,
    }];
    change(standing);
    facts
}

/// It is never taken over: the clock on its host ends it, and what is left is cleaned then.
#[tokio::test]
async fn a_trial_that_nobody_drives_is_waited_for_and_says_how_it_ended() {
    let back = |standing: &mut Standing| {
        let old = standing.systems.boot_default.clone();
        let profile = standing.systems.profile.clone();
        (standing.boot_id, standing.guard, standing.trial.line) = ("back".to_owned(), GuardState::None, None);
        (standing.booted, standing.systems) = (old.clone(), Systems { profile, ..Systems::all(&old) });
    };
    let bare = |standing: &mut Standing| standing.guard = GuardState::None;
    let kept = |standing: &mut Standing| {
        bare(standing);
        standing.trial.survivors[0].proven = true;
        standing.systems = Systems::all(&standing.booted);
    };
    let home = || std::iter::repeat_with(|| Some(held(&[]))).take(4).collect::<Vec<_>>();
    for (last, found, code) in [
        (tried(back), FoundRolling::TrialWentBack, "trial-went-back"),
        (tried(bare), FoundRolling::TrialUnproven, "trial-unproven"),
        (tried(kept), FoundRolling::RebootDone, "reboot-done"),
    ] {
        // It goes down in between.
        let answers = [("home", home()), ("vps", vec![Some(tried(|_| ())), None, Some(last)])];
        let (told, recovered) = told_by(answers, &request(), &mut Records::default()).await;
        assert_eq!(told, ["still-in-trial", "waits-for-trial", "reboot-not-begun", code]);
        let [home, vps] = ["home", "vps"].map(|name| HostName::new(name).unwrap());
        let hosts = [(home, FoundRolling::RebootNotBegun), (vps.clone(), found)].into();
        let ended = RollingEnded { run: OTHER.to_owned(), hosts, cleaned: [vps].into() };
        assert_eq!(recovered, Recovered::Rolling(ended));
    }
}

/// Its run holds the others, and nobody has a record of whom it has sent away.
#[tokio::test]
async fn without_a_record_a_host_that_is_silent_in_its_trial_is_waited_for_and_one_that_stays_away_is_not_for_ever() {
    let held = || {
        let mut facts = held(&[]);
        facts.standing.rolling.as_mut().unwrap().left = 2000;
        Some(facts)
    };
    let home = || std::iter::repeat_with(held).take(4).collect::<Vec<_>>();
    let kept = tried(|standing| {
        standing.guard = GuardState::None;
        standing.trial.survivors[0].proven = true;
        standing.systems = Systems::all(&standing.booted);
    });
    let answers = || [("home", home()), ("vps", vec![None, None, Some(tried(|_| ())), None, Some(kept.clone())])];
    let (told, recovered) = told_by(answers(), &request(), &mut Records::default()).await;
    assert_eq!(told, ["silent-in-recovery", "waits-for-rebooted", "still-in-trial", "reboot-not-begun", "reboot-done"]);
    let Recovered::Rolling(RollingEnded { hosts, .. }) = recovered else { panic!("{recovered:?}") };
    assert_eq!(hosts.get(&HostName::new("vps").unwrap()), Some(&FoundRolling::RebootDone));
    let (told, _) = told_by([("home", home()), ("vps", Vec::new())], &request(), &mut Records::default()).await;
    assert_eq!(told, ["silent-in-recovery", "waits-for-rebooted", "reboot-not-begun", "away-from-reboot"]);
    // A person does not want it to be waited for.
    let without = [HostName::new("vps").unwrap()].into();
    let left_out = RecoverRequest { without, ..request() };
    let (told, _) = told_by([("home", home()), ("vps", Vec::new())], &left_out, &mut Records::default()).await;
    assert_eq!(told, ["silent-in-recovery", "reboot-not-begun", "away-from-reboot"]);
}

/// The push's guards do not wait for a clean-up that is refused while they are armed.
#[tokio::test]
async fn what_is_left_of_a_trial_keeps_no_push_from_being_recovered() {
    let at_rest = || {
        tried(|standing| {
            let old = standing.systems.boot_default.clone();
            (standing.booted, standing.systems, standing.trial.line) = (old.clone(), Systems::all(&old), None);
            standing.guard = GuardState::Armed { run: RUN.to_owned(), deadline: 1300 };
        })
    };
    let surveyed = |standing: fn(&mut Facts)| {
        let mut surveyed = claimed(&[("home", &[RUN], None), ("vps", &[], None)]);
        let mut found = at_rest();
        standing(&mut found);
        surveyed.values_mut().last().unwrap().facts = found;
        surveyed
    };
    let (request, told, events) = (request(), Told::default(), Events::new(None));
    let recovery = RecoveryRun { request: &request, surveyor: &told, clock: told.clock(), events: &events };
    let ended = recovery.end_trial(&mut surveyed(|_| ()), &BTreeSet::new()).await;
    assert_eq!(ended, None, "the push's guard is armed there");
    let mut alone = surveyed(|facts| facts.standing.guard = GuardState::None);
    let ended = recovery.end_trial(&mut alone, &BTreeSet::new()).await;
    assert_eq!(ended.map(|ended| ended.run), Some(OTHER.to_owned()));
}

/// What `vps` has of a trial that nobody has held since, and that a reset has ended.
fn left_at_rest(change: impl FnOnce(&mut Standing)) -> Facts {
    tried(|standing| {
        let (old, profile) = (standing.systems.boot_default.clone(), standing.systems.profile.clone());
        (standing.guard, standing.trial.line, standing.rolling) = (GuardState::None, None, None);
        (standing.booted, standing.systems) = (old.clone(), Systems { profile, ..Systems::all(&old) });
        change(standing);
    })
}

#[tokio::test]
async fn what_another_trial_has_left_is_cleaned_in_passing_and_is_no_end_of_what_a_recovery_was_called_for() {
    let [home, vps] = ["home", "vps"].map(|name| HostName::new(name).unwrap());
    let left = || ("vps", vec![Some(left_at_rest(|_| ()))]);
    // There is nothing else.
    let (told, recovered) =
        told_by([("home", vec![Some(facts(&[]))]), left()], &request(), &mut Records::default()).await;
    assert_eq!(told, ["trial-cleaned"]);
    let hosts = [(vps.clone(), FoundRolling::TrialWentBack)].into();
    let ended = RollingEnded { run: OTHER.to_owned(), hosts, cleaned: [vps.clone()].into() };
    assert_eq!(recovered, Recovered::Rolling(ended));
    // The rolling reboot of this workstation died.
    let rolling =
        UnfinishedReboot { hosts: [(home.clone(), "boot".to_owned())].into(), told: BTreeSet::new(), tried: None };
    let known = Some(RecordedRun { rolling: Some(rolling), ..known() });
    let request_of_own = RecoverRequest { known, ..request() };
    let (told, recovered) =
        told_by([("home", vec![Some(facts(&[]))]), left()], &request_of_own, &mut Records::default()).await;
    assert_eq!(told, ["trial-cleaned", "reboot-not-begun"]);
    let hosts = [(home, FoundRolling::RebootNotBegun)].into();
    assert_eq!(recovered, Recovered::Rolling(RollingEnded { run: RUN.to_owned(), hosts, ..RollingEnded::default() }));
    // It is named.
    let named = RecoverRequest { run: Some(OTHER.to_owned()), ..request() };
    let (told, _) = told_by([("home", vec![Some(facts(&[]))]), left()], &named, &mut Records::default()).await;
    assert_eq!(told, ["trial-went-back"]);
}

/// All of its guards have fired, and no record of it is here.
#[tokio::test]
async fn a_push_that_other_workstations_left_is_recovered_beside_a_trial_s_leftover_that_cannot_be_cleaned() {
    for (name, told) in [("vps", "trial-cleaned"), (GONE, "trial-remains")] {
        let of_push = || facts(&[RUN]);
        let answers = [("home", vec![Some(of_push()); 2]), (name, vec![Some(left_at_rest(|_| ())); 2])];
        let mut of_both = facts(&[RUN]);
        of_both.survivor_hosts.insert(RUN.to_owned(), vec!["home".to_owned(), name.to_owned()]);
        let surveyor = Told::of(answers);
        surveyor.0.lock().unwrap().insert(HostName::new("home").unwrap(), vec![Some(of_both); 2].into());
        let request = RecoverRequest { fleet: Fleet { hosts: vec![host("home"), host(name)], ..fleet() }, ..request() };
        let events = Events::new(None);
        let (tell, heard) = std::sync::mpsc::channel();
        let listener = events.listen("test", move |line| {
            if let Event::Warned { text, .. } = &line.event {
                tell.send(text.code().unwrap_or_default().to_owned()).map_err(std::io::Error::other)?;
            }
            Ok(())
        });
        let recovery = RecoveryRun { request: &request, surveyor: &surveyor, clock: surveyor.clock(), events: &events };
        let found = recovery.find(&mut Records::default()).await;
        assert_eq!(found.map(|(chosen, ..)| chosen.run).ok(), Some(RUN.to_owned()), "{name}");
        let _ = listener.unwrap().finish(Duration::from_secs(10));
        assert_eq!(heard.try_iter().collect::<Vec<_>>(), [told]);
    }
}

/// Its record says that it went, and nobody sees it come back.
#[tokio::test]
async fn a_host_that_stays_away_from_its_trial_is_lost_once_it_must_be_back_by_itself() {
    let vps = HostName::new("vps").unwrap();
    let rolling = UnfinishedReboot {
        hosts: [(vps.clone(), "boot".to_owned())].into(),
        told: [vps.clone()].into(),
        tried: Some(vps.clone()),
    };
    let known = RecordedRun { run: OTHER.to_owned(), rolling: Some(rolling), ..known() };
    let request = RecoverRequest { known: Some(known), ..request() };
    let home = std::iter::repeat_with(|| Some(held(&[]))).take(2000).collect();
    let (told, recovered) = told_by([("home", home), ("vps", vec![])], &request, &mut Records::default()).await;
    assert_eq!(told, ["silent-in-recovery", "waits-for-trial", "away-from-reboot"]);
    let hosts = [(vps, FoundRolling::AwayFromReboot { told: Some(true) })].into();
    assert_eq!(recovered, Recovered::Rolling(RollingEnded { run: OTHER.to_owned(), hosts, ..RollingEnded::default() }));
}
