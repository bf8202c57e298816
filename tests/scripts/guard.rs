//! What the guard and the steps do to a host, and what kills them in the middle of it: in a tree, with programs of our
//! own.

use std::path::Path;

use pretty_assertions::assert_eq;

use crate::{A, B, BOOT_ID, C, Host, shells};

pub(crate) const GUARD: [&str; 4] = with_boot("guard.sh");
const JOB: [&str; 4] = with_boot("job.sh");

const fn with_boot(last: &'static str) -> [&'static str; 4] {
    ["lib.sh", "boot.sh", "restore.sh", last]
}

/// A loader that is what these three files say, for what does not depend on how it is read.
pub(crate) const LOADER: &str = r#"
    read_boot_default() {
        loader=systemd-boot boot_note=
        boot_default=$(cat "$root/boot-default") next_boot=$(cat "$root/next-boot" 2>/dev/null) next_boot_system=
    }
    empty_next_boot() { [ ! -e "$root/stuck" ] && rm -f "$root/next-boot"; }
    look_at_boot_files() { boot_files=$(cat "$root/boot-files" 2>/dev/null || echo whole); echo "looked at ${1##*.}"; }
    look_for_boot_place() { boot_missing=$(cat "$root/boot-missing" 2>/dev/null); }
"#;

/// A guard that has fired, without what nobody here can wait for.
const FIRE: &str = r#"
    token_deadline=1500 tries=2
    nap() { :; }
    reboot_this_host() { echo REBOOT >>"$root/log"; exit 0; }
    fire
"#;

const TRACE: &str = "nix/var/nix/gcroots/fleetdeploy/r-1/trace";

/// A host in the middle of run r-1, which goes from A to B; `plan` are more lines of its plan.
pub(crate) async fn in_a_run(plan: &str) -> Host {
    let host = Host::with(None).await;
    host.write("run/fleetdeploy/lease", "r-1 2 ada@laptop\n");
    host.write(
        "run/fleetdeploy/plan",
        format!(
            "run r-1\nold_current {A}\nold_boot {A}\nold_profile {A}\nold_generation 1\naction reboot\nboot_loader \
                 -\n{plan}"
        ),
    );
    host.write("run/fleetdeploy/token/fired-1500", "");
    std::fs::create_dir_all(host.path("run/fleetdeploy/jobs")).unwrap();
    for (root, system) in [("new", B), ("old-current", A), ("old-boot", A)] {
        host.link(&format!("nix/var/nix/gcroots/fleetdeploy/r-1/{root}"), system);
    }
    host.write("boot-default", A);
    host.program("systemctl", "case $* in *ActiveState*) echo ActiveState=inactive ;; esac");
    for idle in ["sync", "sleep"] {
        host.program(idle, "exit 0");
    }
    host.program(
        "nix-env",
        r#"cd "$FLEETDEPLOY_ROOT/nix/var/nix/profiles" || exit
        case $3 in
        --set) [ -e system-2-link ] || ln -s "$4" system-2-link; ln -sfn system-2-link system ;;
        --switch-generation) ln -sfn "system-$4-link" system ;;
        --delete-generations) shift 3; for number; do rm -f "system-$number-link"; done ;;
        esac"#,
    );
    host
}

/// As [`in_a_run`], of a container: its activation moves what a reboot brings, and its installer does, if `installs`.
async fn container(installs: bool) -> Host {
    let host = in_a_run(&format!("init_link /sbin/init {A}/init\n")).await;
    host.link("sbin/init", &format!("{A}/init"));
    let boot = if installs { "boot" } else { "nothing" };
    for system in [A, B] {
        host.write(&format!("{}/init", &system[1..]), "#!/bin/sh\n");
        switch(
            &host,
            system,
            &format!(
                r#"case $1 in
                test)
                    ln -sfn {system} "$FLEETDEPLOY_ROOT/run/current-system"
                    ln -sfn {system}/init "$FLEETDEPLOY_ROOT/sbin/init" ;;
                {boot}) ln -sfn {system}/init "$FLEETDEPLOY_ROOT/sbin/init" ;;
                esac"#
            ),
        );
    }
    host
}

/// Gives a system a `switch-to-configuration`; it writes `ACTION VERSION` into the log.
fn switch(host: &Host, system: &str, body: &str) {
    let path = format!("{}/bin/switch-to-configuration", &system[1..]);
    let version = system.rsplit('.').next().unwrap();
    host.executable(
        &path,
        &format!("# install-lxc-sbin-init.sh\necho \"$1 {version}\" >>\"$FLEETDEPLOY_ROOT/log\"\n{body}"),
    );
}

impl Host {
    pub(crate) fn executable(&self, path: &str, body: &str) {
        use std::os::unix::fs::PermissionsExt;
        self.write(path, format!("#!/bin/sh\n{body}\n"));
        std::fs::set_permissions(self.path(path), std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub(crate) fn text(&self, path: &str) -> String {
        std::fs::read_to_string(self.path(path)).unwrap_or_default()
    }

    pub(crate) fn leads_to(&self, path: &str) -> Option<String> {
        Some(std::fs::read_link(self.path(path)).ok()?.to_str().unwrap().to_owned())
    }

    pub(crate) fn remove(&self, path: &str) {
        let _ = std::fs::remove_file(self.path(path));
    }

    /// A container on which both steps of the run were at work.
    fn has_switched(&self) {
        let profiles = "nix/var/nix/profiles";
        for (link, target) in [
            ("run/current-system", B.to_owned()),
            ("sbin/init", format!("{B}/init")),
            (&format!("{profiles}/system-2-link"), B.to_owned()),
            (&format!("{profiles}/system"), "system-2-link".to_owned()),
        ] {
            self.remove(link);
            self.link(link, &target);
        }
        self.write("nix/var/nix/gcroots/fleetdeploy/r-1/added-generation", "2\n");
        for step in ["test", "switch"] {
            self.write(&format!("run/fleetdeploy/jobs/{step}.started"), "r-1 2\n");
        }
    }

    /// Current system, what /sbin/init leads to, the profile and its second generation.
    fn stands(&self) -> [Option<String>; 4] {
        let profiles = "nix/var/nix/profiles";
        ["run/current-system", "sbin/init", &format!("{profiles}/system"), &format!("{profiles}/system-2-link")]
            .map(|link| self.leads_to(link))
    }
}

fn on(system: &str, generation: u8, second: Option<&str>) -> [Option<String>; 4] {
    [
        Some(system.to_owned()),
        Some(format!("{system}/init")),
        Some(format!("system-{generation}-link")),
        second.map(str::to_owned),
    ]
}

/// Its clock is the test's own: a nap moves it on, and then something happens.
#[tokio::test]
async fn a_guard_looks_every_two_seconds_and_each_second_before_its_deadline_and_is_never_later_than_a_nap() {
    let host = in_a_run("").await;
    let words = |event: &str| {
        format!(
            r#"
            rm -f "$place"/token/*; : >"$place/token/armed-1500"; echo 1485.00 0 >"$root/proc/uptime"
            token() {{ mv "$place"/token/* "$place/token/$1"; }}
            nap() {{
                read_uptime
                naps="$naps$1" uptime=$((uptime + $1))
                case $uptime in {event} esac
                echo "$uptime.00 0" >"$root/proc/uptime"
            }}
            fire() {{ read_uptime; echo "fires at $uptime"; }}
            naps=''; trap 'echo "naps $naps"; rm -f "$place/nap"' EXIT
            main"#
        )
    };
    for (event, told) in [
        ("", "fires at 1500\nnaps 222111111111\n"),
        // Awake again long after its time, or just before it.
        ("1487) uptime=1600 ;;", "fires at 1600\nnaps 2\n"),
        ("1487) uptime=1499 ;;", "fires at 1500\nnaps 21\n"),
        // Extended, in time and at the last moment.
        ("1487) token armed-1503 ;;", "fires at 1503\nnaps 22221111111111\n"),
        ("1499) token armed-1502 ;;", "fires at 1502\nnaps 22211111111111\n"),
        ("1487) token disarmed-1500 ;;", "naps 2\n"),
        ("1500) token disarmed-1500 ;;", "naps 222111111111\n"),
        // Nobody of ours brings a deadline forward.
        ("1489) token armed-1488 ;;", "fires at 1489\nnaps 22\n"),
    ] {
        assert_eq!(host.says(&GUARD, &words(event)).await, told, "{event}");
    }
}

#[tokio::test]
async fn a_boot_is_known_by_the_kernel_s_id_and_by_when_its_first_process_began() {
    let host = Host::with(None).await;
    let stat = |began: &str| {
        format!("1 (a (b) c)) S 0 1 1 0 -1 4194560 2973 31095 0 0 13 5 25 22 25 5 1 0 {began} 23031808 3262\n")
    };
    host.write("proc/1/stat", stat("4711"));
    let ask = format!(
        "read_boot_id; echo \"$boot_id\"
        for other in {BOOT_ID}.4711 {BOOT_ID} {BOOT_ID}.4712 {BOOT_ID}. other other.4711 ''; do
            same_boot \"$other\" && echo \"same: $other\"
        done
        held_by r-1 1 {BOOT_ID}.4710; held_by r-1 1 {BOOT_ID}.4711"
    );
    // A container that was started again has its machine's boot id, and no lease: that is not somebody else's doing.
    assert_eq!(
        host.says(&["lib.sh"], &ask).await,
        format!(
            "{BOOT_ID}.4711\nsame: {BOOT_ID}.4711\nsame: {BOOT_ID}\n\
             refused other_boot\ntext this host has restarted: its boot id is {BOOT_ID}.4711, not {BOOT_ID}.4710\n\
             refused foreign_lease\ntext no run holds this host\n"
        )
    );
    host.remove("proc/1/stat");
    assert_eq!(host.says(&["lib.sh"], "read_boot_id; echo \"$boot_id\"").await, format!("{BOOT_ID}\n"));
}

#[tokio::test]
async fn a_pending_next_boot_keeps_out_what_goes_forward_and_nothing_that_goes_back() {
    let host = in_a_run("").await;
    host.write("next-boot", "windows.conf");
    host.write("proc/sys/kernel/panic", "0\n");
    let ask = |action: &str| format!("{LOADER}\nprint_standing() {{ read_systems; }}\n{action}");
    let refused = "refused moved\ntext the next boot is windows.conf, once\n";

    let token = |state: &str| {
        for name in ["fired-1500", "armed-1500"] {
            host.remove(&format!("run/fleetdeploy/token/{name}"));
        }
        host.write(&format!("run/fleetdeploy/token/{state}-1500"), "");
    };
    token("armed");
    host.program(
        "systemctl",
        "case $* in *ActiveState*guard.service) echo ActiveState=active ;; *ActiveState*) echo ActiveState=inactive ;; \
         esac",
    );
    host.program("systemd-run", "echo begun >>\"$FLEETDEPLOY_ROOT/log\"");
    for (kind, begun) in [("test", false), ("switch", false), ("reactivate", false), ("rollback", true)] {
        host.remove("log");
        let start = format!("run=r-1 epoch=2 wanted_boot_id={BOOT_ID} kind={kind} needs=1 new={B}");
        let start =
            format!("{start} wanted_current=- wanted_profile=- wanted_boot={A}; with_lock start && echo started");
        let said = host.says(&["lib.sh", "step.sh"], &ask(&start)).await;
        assert_eq!(said, if begun { "started\n" } else { refused }, "{kind}");
        assert_eq!(host.text("log").contains("begun"), begun, "{kind}");
    }
    let disarm =
        format!("(main r-1 2 {BOOT_ID} {A} {A} {A}); mv \"$place\"/token/disarmed-1500 \"$place\"/token/armed-1500");
    assert_eq!(host.says(&["lib.sh", "disarm.sh"], &ask(&disarm)).await, "end\n");

    host.remove("run/fleetdeploy/token/armed-1500");
    std::fs::remove_dir(host.path("run/fleetdeploy/token")).unwrap();
    host.program("systemctl", "echo ActiveState=inactive");
    let arm = format!("(main r-1 2 ada@laptop {BOOT_ID} {A} {A} {A} 2000 500 reboot - LIB GUARD JOB vps)");
    assert_eq!(host.says(&["lib.sh", "arm.sh"], &ask(&arm)).await, format!("{refused}end\n"));
    // What this run has armed before is armed to be taken back.
    host.write("nix/var/nix/gcroots/fleetdeploy/r-1/plan", "run r-1\n");
    let again = ask(&format!("arm_anew() {{ echo armed; }}\n{arm}"));
    assert_eq!(host.says(&["lib.sh", "arm.sh"], &again).await, "armed\nend\n");
    host.remove("run/fleetdeploy/lease");
    host.write("nix/var/nix/gcroots/fleetdeploy/reboot.lease", format!("r-3 {BOOT_ID} 9000 600 ada@laptop\n"));
    let reboot = format!("(main r-3 {BOOT_ID} {A} {A} {A})");
    let said = host.says(&["lib.sh", "reboot.sh"], &ask(&reboot)).await;
    assert_eq!(said, format!("looked at 1\n{refused}end\n"));
}

/// What `arm` writes down, and what of it a second arming keeps.
#[tokio::test]
async fn the_plan_says_how_the_loader_is_read_and_where_activation_moves_it() {
    let host = container(true).await;
    host.remove("sbin/init");
    host.link("sbin/init", &format!("{A}/prepare-root"));
    host.link("bin/init", &format!("{A}/init"));
    host.link("init", &format!("{C}/init"));
    host.write("proc/sys/kernel/panic", "0\n");
    let ask = "
        told_loader=init run=r-1 action=reboot tuning=- current=$1 profile=$1 generation=1
        read_systems
        write_plan && grep -E '^(boot_loader|init_link)' \"$place/plan\"";
    let lines = format!("boot_loader init\ninit_link /sbin/init {A}/prepare-root\ninit_link /bin/init {A}/init\n");
    let mut files = with_boot("arm.sh").to_vec();
    files.retain(|file| *file != "restore.sh");
    assert_eq!(host.says(&files, ask).await, lines);
    // It came up on the new system, and is armed to be taken back.
    for (link, target) in [("sbin/init", "prepare-root"), ("bin/init", "init")] {
        host.remove(link);
        host.link(link, &format!("{B}/{target}"));
    }
    assert_eq!(host.says(&files, ask).await, lines);
}

#[tokio::test]
async fn a_test_on_a_container_leaves_what_a_reboot_brings_as_it_was() {
    for (installs, status) in [(true, 0), (false, 4)] {
        let host = container(installs).await;
        let stc = host.text(&format!("{}/bin/switch-to-configuration", &B[1..]));
        host.executable(
            &format!("{}/bin/switch-to-configuration", &B[1..]),
            &format!("{stc}\n[ \"$1\" != test ] || exit {status}"),
        );
        let ask =
            format!("load_old; new={B}; run_test >/dev/null; echo \"status $?\"; read_systems; echo \"$boot_default\"");
        assert_eq!(host.says(&JOB, &ask).await, format!("status {status}\n{A}\n"));
        assert_eq!(host.stands(), [&on(B, 1, None)[..1], &on(A, 1, None)[1..]].concat()[..]);
        // The container's first boot into it would make this generation.
        assert_eq!(host.text("nix/var/nix/gcroots/fleetdeploy/r-1/added-generation"), "2\n");

        // What makes it permanent moves it, whether or not the installer does.
        let ask = format!("load_old; new={B}; run_switch boot >/dev/null; echo \"status $?\"");
        assert_eq!(host.says(&JOB, &ask).await, "status 0\n", "installs: {installs}");
        assert_eq!(host.stands(), on(B, 2, Some(B)));
    }
}

#[tokio::test]
async fn a_test_whose_last_act_fails_has_failed() {
    let host = container(true).await;
    host.program("mv", "case $* in */sbin/init) exit 1 ;; esac; exec /bin/mv \"$@\"");
    let ask = format!("load_old; new={B}; run_test >/dev/null; echo \"status $?\"");
    assert_eq!(host.says(&JOB, &ask).await, "status 98\n");
}

#[tokio::test]
async fn a_container_that_is_rolled_back_boots_what_it_booted_also_where_two_systems_are_restored() {
    let host = container(true).await;
    host.write(
        "run/fleetdeploy/plan",
        host.text("run/fleetdeploy/plan")
            .replace(&format!("old_boot {A}"), &format!("old_boot {C}"))
            .replace(&format!("/sbin/init {A}"), &format!("/sbin/init {C}")),
    );
    switch(&host, C, "[ \"$1\" != boot ] || exit 1");
    for shell in shells() {
        let ask = format!("load_old; new={B}; run_test >/dev/null; roll_back >/dev/null; echo \"status $?\"");
        let finished = host.run(shell, &JOB, &ask).await;
        assert_eq!((finished.stdout_text().as_str(), finished.stderr_text().as_str()), ("status 0\n", ""), "{shell}");
        assert_eq!(host.leads_to("sbin/init"), Some(format!("{C}/init")), "activating what ran has moved it");
        assert_eq!(host.leads_to("run/current-system").as_deref(), Some(A));
    }
}

/// At every program by which a step or a guard changes anything, one after another: everything is killed just there,
/// and the power may fail just then, so there is always something whole to boot. The guard that comes after it brings
/// all of it back.
#[tokio::test]
async fn a_container_that_is_killed_at_any_program_can_always_boot_and_goes_back_as_a_whole() {
    let job = format!(
        "echo r-1 2 >\"$place/jobs/test.started\"; load_old; new={B}; run_test
        echo r-1 2 >\"$place/jobs/switch.started\"; run_switch boot"
    );
    let shells = shells();
    for (shell, files, words) in [(shells[0], &JOB, job.as_str()), (shells[shells.len() - 1], &GUARD, FIRE)] {
        let (mut kills, mut all_killed) = (0, true);
        // Some at once: most of the time goes by in waiting for programs to start.
        while all_killed {
            let next = (kills + 1..=kills + 8).map(|at| is_killed_and_comes_back(shell, files, words, at));
            let killed = futures::future::join_all(next).await;
            all_killed = killed.iter().all(|killed| *killed);
            kills += 8;
        }
        assert!(kills > 8, "nothing was killed");
    }
}

/// Kills a step, or the guard of a host on which everything has moved, where it starts its `at`-th program; `false`
/// when it ended before.
async fn is_killed_and_comes_back(shell: &str, files: &[&str], words: &str, at: u32) -> bool {
    let host = container(true).await;
    if words == FIRE {
        host.has_switched();
    }
    let killed = run_killed(&host, shell, files, words, at).await;
    let boots = host.leads_to("sbin/init").unwrap_or_default();
    let whole = [A, B].map(|system| format!("{system}/init"));
    assert!(whole.contains(&boots), "{shell}: killed at {at}: a reboot finds {boots:?}");
    if !killed {
        assert_eq!(boots, whole[usize::from(words != FIRE)], "{shell}: nothing was done");
    }
    host.remove("log");
    let finished = host.run(shell, &GUARD, FIRE).await;
    assert!(host.text("log").ends_with("REBOOT\n"), "{shell}: killed at {at}: {}", finished.stderr_text());
    // The current system is the reboot's.
    assert_eq!(host.stands()[1..], on(A, 1, None)[1..], "{shell}: killed at {at}");
    let beside = std::fs::read_dir(host.path("sbin")).unwrap().count();
    assert_eq!(beside, 1, "{shell}: killed at {at}: something is left beside it");
    killed
}

/// Runs words that are killed, with all that they have started, where they start their `at`-th program; `false` when
/// they ended before.
pub(crate) async fn run_killed(host: &Host, shell: &str, files: &[&str], words: &str, at: u32) -> bool {
    for program in ["rm", "ln", "mv", "timeout", "nix-env"] {
        let real = [host.path("fake"), "/usr/bin".into(), "/bin".into()].map(|place| place.join(program));
        let real = real.iter().find(|path| path.exists()).unwrap().display().to_string();
        host.executable(
            &format!("counting/{program}"),
            &format!(
                "echo >>\"$FLEETDEPLOY_ROOT/count\"; read -r leader <\"$FLEETDEPLOY_ROOT/leader\"
                [ \"$(wc -l <\"$FLEETDEPLOY_ROOT/count\")\" != {at} ] || kill -s KILL -- \"-$leader\" 0
                exec {real} \"$@\""
            ),
        );
    }
    let words = format!("echo $$ >\"$root/leader\"; PATH={}:$PATH\n{words}", host.path("counting").display());
    host.run(shell, files, &words).await;
    host.text("count").lines().count() >= usize::try_from(at).unwrap()
}

/// The step that the guard waits for may go on for a minute, and the power may fail meanwhile; and it may move it once
/// more.
#[tokio::test]
async fn a_guard_puts_a_container_s_boot_default_back_before_it_waits_for_a_step_and_again_after_it() {
    let host = container(false).await;
    host.has_switched();
    let step = format!(
        r#"(
            exec 8>"$place/jobs/test.lock"
            flock 8
            : >"$root/begun"
            tries=0
            until [ "$(readlink "$root/sbin/init")" = {A}/init ] || [ "$tries" -gt 300 ]; do
                tries=$((tries + 1))
                /bin/sleep 0.05
            done
            echo "while it runs: $(readlink "$root/sbin/init")" >>"$root/log"
            ln -sfn {B}/init "$root/sbin/init"
        ) &
        until [ -e "$root/begun" ]; do /bin/sleep 0.02; done
        job_wait=20"#
    );
    for shell in shells() {
        host.remove("log");
        host.remove("begun");
        host.remove("sbin/init");
        host.link("sbin/init", &format!("{B}/init"));
        host.run(shell, &GUARD, &format!("{step}\n{FIRE}")).await;
        assert_eq!(host.text("log"), format!("while it runs: {A}/init\nboot 1\nREBOOT\n"), "{shell}");
        assert_eq!(host.leads_to("sbin/init"), Some(format!("{A}/init")), "{shell}");
    }
}

#[tokio::test]
async fn a_guard_empties_the_next_boot_before_it_reboots_and_its_trace_says_what_it_was() {
    let host = in_a_run("").await;
    host.write("run/fleetdeploy/jobs/test.started", "r-1 2\n");
    for shell in shells() {
        host.write("next-boot", "memtest.conf");
        host.remove("log");
        host.run(shell, &GUARD, &format!("{LOADER}{FIRE}")).await;
        assert_eq!(host.text("log"), "REBOOT\n", "{shell}");
        assert!(!host.path("next-boot").exists());
        let trace = host.text(TRACE);
        for says in
            ["\nfound: ", ", next boot memtest.conf\n", "\nthe next boot was memtest.conf: emptied\n", "rebooting\n"]
        {
            assert!(trace.contains(says), "{shell}: {says:?}: {trace}");
        }
    }
}

#[tokio::test]
async fn a_guard_that_cannot_empty_the_next_boot_activates_the_old_system_and_does_not_reboot() {
    let host = in_a_run("").await;
    host.write("run/fleetdeploy/jobs/test.started", "r-1 2\n");
    host.write("next-boot", "memtest.conf");
    host.write("stuck", "");
    switch(&host, A, &format!("ln -sfn {A} \"$FLEETDEPLOY_ROOT/run/current-system\""));
    for shell in shells() {
        host.remove("log");
        host.remove("run/current-system");
        host.link("run/current-system", B);
        host.run(shell, &GUARD, &format!("{LOADER}{FIRE}")).await;
        assert_eq!(host.text("log"), "test 1\n", "{shell}");
        assert_eq!(host.leads_to("run/current-system").as_deref(), Some(A));
        let trace = host.text(TRACE);
        for says in
            ["NOT all could be put back (try 2 of 2)", "the next boot was memtest.conf, and could not be emptied"]
        {
            assert!(trace.contains(says), "{shell}: {says:?}: {trace}");
        }
    }
}

/// The old system's kernel is torn: its installer is run again, and if that does not mend it, nothing is rebooted into
/// it.
#[tokio::test]
async fn a_guard_does_not_reboot_into_a_kernel_that_is_not_whole() {
    for (mends, ends, says) in [
        (true, "boot 1\nREBOOT\n", "rebooting"),
        (
            false,
            "boot 1\nboot 1\nboot 1\ntest 1\nboot 1\nboot 1\nboot 1\n",
            "boot files the kernel is shorter; not rebooting",
        ),
    ] {
        let host = in_a_run("").await;
        host.write("run/fleetdeploy/jobs/test.started", "r-1 2\n");
        let mend = if mends { "rm -f \"$FLEETDEPLOY_ROOT/boot-files\"" } else { "" };
        switch(&host, A, &format!("{mend}\nln -sfn {A} \"$FLEETDEPLOY_ROOT/run/current-system\""));
        for shell in shells() {
            host.write("boot-files", "bad the kernel is shorter");
            for left in ["log", "run/fleetdeploy/reactivated"] {
                host.remove(left);
            }
            host.run(shell, &GUARD, &format!("{LOADER}{FIRE}")).await;
            assert_eq!(host.text("log"), ends, "{shell}");
            assert!(host.text(TRACE).contains(says), "{shell}: {}", host.text(TRACE));
        }
    }
}

/// Where the boot partition is gone before anything was installed, a reboot brings what it did, and is the surer way
/// back; after an installation nobody knows.
#[tokio::test]
async fn a_guard_without_a_boot_partition_reboots_only_where_nothing_was_installed() {
    for (step, ends) in [("test", "REBOOT\n"), ("switch", "test 1\n")] {
        let host = in_a_run("").await;
        host.write(&format!("run/fleetdeploy/jobs/{step}.started"), "r-1 2\n");
        host.write("boot-missing", "/boot is not mounted");
        host.write("boot-default", "");
        switch(&host, A, &format!("ln -sfn {A} \"$FLEETDEPLOY_ROOT/run/current-system\""));
        for shell in shells() {
            host.remove("log");
            host.run(shell, &GUARD, &format!("{LOADER}{FIRE}")).await;
            assert_eq!(host.text("log"), ends, "{shell}: {step}: {}", host.text(TRACE));
        }
    }
}

/// After a power cut in the middle of its switch it has booted the old system, and its boot has made a generation of
/// it.
#[tokio::test]
async fn the_generation_that_a_container_s_own_boot_has_made_goes_with_the_run_s() {
    let host = container(true).await;
    host.has_switched();
    for (number, system) in [(3, A), (4, A)] {
        host.link(&format!("nix/var/nix/profiles/system-{number}-link"), system);
    }
    host.remove("nix/var/nix/profiles/system");
    host.link("nix/var/nix/profiles/system", "system-3-link");
    for shell in shells() {
        assert!(host.run(shell, &JOB, "load_old; restore_profile 20").await.succeeded());
        let left = [1, 2, 3, 4].map(|number| host.leads_to(&format!("nix/var/nix/profiles/system-{number}-link")));
        // The fourth is somebody else's.
        assert_eq!(left, [Some(A), None, None, Some(A)].map(|system| system.map(str::to_owned)));
        assert_eq!(host.leads_to("nix/var/nix/profiles/system").as_deref(), Some("system-1-link"));
    }
}

/// The same, where the host came up on the old system by itself and there was nothing to roll back: at the end of the
/// run.
#[tokio::test]
async fn a_container_that_came_back_by_itself_keeps_no_generation_that_was_never_proven() {
    for (number, system, runs, left) in
        [(3, A, A, [true, false, false]), (2, B, B, [true, true, false]), (3, C, C, [true; 3])]
    {
        let host = container(true).await;
        host.has_switched();
        for link in
            ["run/fleetdeploy/token/fired-1500", "run/current-system", "nix/var/nix/profiles/system", "sbin/init"]
        {
            host.remove(link);
        }
        host.link("run/current-system", runs);
        host.link("sbin/init", &format!("{runs}/init"));
        if number == 3 {
            host.link("nix/var/nix/profiles/system-3-link", system);
        }
        host.link("nix/var/nix/profiles/system", &format!("system-{number}-link"));
        let plan = host.text("run/fleetdeploy/plan");
        let shell = shells()[0];
        host.write("nix/var/nix/gcroots/fleetdeploy/r-1/plan", plan);
        let ask = "print_standing() { :; }\nmain r-1 2 -";
        let mut files = with_boot("clean.sh").to_vec();
        files.retain(|file| *file != "restore.sh");
        assert_eq!(host.run(shell, &files, ask).await.stdout_text(), "end\n");
        let links =
            [1, 2, 3].map(|number| host.leads_to(&format!("nix/var/nix/profiles/system-{number}-link")).is_some());
        assert_eq!(links, left, "generation {number} of {system} is the profile's");
        let expected = if system == A { 1 } else { number };
        assert_eq!(host.leads_to("nix/var/nix/profiles/system"), Some(format!("system-{expected}-link")));
        assert!(!host.path("nix/var/nix/gcroots/fleetdeploy").exists());
    }
}

#[tokio::test]
async fn a_switch_whose_kernel_is_not_whole_has_failed_and_one_that_cannot_be_compared_has_not() {
    for (files, status, says) in [
        ("whole", 0, None),
        (
            "unproven the kernel is signed",
            0,
            Some("kernel and initrd of the boot default are there, and not compared: the kernel is signed"),
        ),
        ("bad the kernel is shorter", 97, Some("a reboot would not come up: the kernel is shorter")),
    ] {
        for switched in [0, 4] {
            let host = in_a_run("").await;
            switch(&host, B, &format!("echo {B} >\"$FLEETDEPLOY_ROOT/boot-default\"\nexit {switched}"));
            host.write("boot-files", files);
            let ask = format!("{LOADER}\nload_old; new={B}; run_switch boot; echo \"status $?\"");
            let said = host.says(&JOB, &ask).await;
            let status = if status == 0 { switched } else { status };
            assert!(said.ends_with(&format!("\nstatus {status}\n")), "{files}: {said}");
            assert!(says.is_none_or(|says| said.lines().any(|line| line == says)), "{files}: {said}");
        }
    }
}

/// The program tells of failed units alone, in its status.
#[tokio::test]
async fn an_activation_that_failed_beside_a_failed_unit_has_failed() {
    for (log, status) in [("activating the configuration...\n", 4), ("Failed to run activate script\n", 2)] {
        let host = in_a_run("").await;
        switch(&host, B, "exit 4");
        host.write("run/fleetdeploy/jobs/test.log", log);
        let ask = format!("{LOADER}\nkind=test; load_old; new={B}; run_test >/dev/null; echo \"status $?\"");
        assert_eq!(host.says(&JOB, &ask).await, format!("status {status}\n"));
    }
}

/// As the program falls over it: it asks systemd for each unit in the list, and one that is not loaded ends it.
const FALLS_OVER_ITS_LIST: &str = r#"
    echo "activated with $(paste -sd, "$FLEETDEPLOY_ROOT/run/nixos/start-list" 2>/dev/null)" >>"$FLEETDEPLOY_ROOT/log"
    for change in $(cat "$FLEETDEPLOY_ROOT/changes"); do
        echo "$change" >>"$FLEETDEPLOY_ROOT/run/nixos/reload-list"
    done
    : >"$FLEETDEPLOY_ROOT/changes"
    ! grep -q mnt "$FLEETDEPLOY_ROOT/run/nixos/reload-list" 2>/dev/null || exit 1
"#;

/// What `systemctl` says of the bus and of units: those of this host, and those that are not up.
const FEW_ARE_UP: &str = r#"
    case $* in
    *dbus.socket*ActiveState* | *ActiveState*dbus.socket*)
        printf 'LoadState=loaded\nActiveState=%s\n' "$(cat "$FLEETDEPLOY_ROOT/bus")"
        ;;
    start* | try-restart*) echo "$*" >>"$FLEETDEPLOY_ROOT/log"; echo active >"$FLEETDEPLOY_ROOT/bus" ;;
    *--*) while [ "$1" != -- ]; do shift; done; shift
        for unit; do
            case $unit in firewall* | -.mount) state=active ;; *) state=inactive ;; esac
            echo "Id=$unit"; echo "ActiveState=$state"; echo
        done ;;
    *ActiveState*) echo ActiveState=inactive ;;
    esac
"#;

#[tokio::test]
async fn a_way_back_is_not_blocked_by_what_is_not_loaded() {
    // Left by the new system alone; and written anew by the first try, which compares the mounts of the two.
    for (changes, tries) in [("", 1), ("mnt-n.mount", 2)] {
        for shell in shells() {
            let host = in_a_run("").await;
            host.program("systemctl", FEW_ARE_UP);
            switch(&host, A, FALLS_OVER_ITS_LIST);
            host.write("bus", "active\n");
            host.write("changes", changes);
            host.write("run/nixos/reload-list", "mnt-n.mount\nfirewall.service\napp@a\\x2db.service\n-.mount\n\n");
            host.write("run/nixos/start-list", "stopped.service\n");
            host.write(&format!("{}/etc/systemd/system/app@a\\x2db.service", &A[1..]), "");
            let ask = format!("{LOADER}\nload_old; restore_current 240 /dev/null; echo \"status $?\"");
            let said = host.run(shell, &JOB, &ask).await.stdout_text();
            assert!(said.ends_with("status 0\n"), "{shell}: {said}");
            assert!(said.contains("not up, and so not to be reloaded: mnt-n.mount\n"), "{shell}: {said}");
            // What was up when the new system came is not forgotten, and what was stopped comes up with it.
            let began = "test 1\nactivated with stopped.service,app@a\\x2db.service\n";
            assert_eq!(host.text("log"), began.repeat(tries), "{shell}");
            assert_eq!(host.text("run/nixos/reload-list"), "firewall.service\n-.mount\n", "{shell}");
        }
    }
}

#[tokio::test]
async fn a_way_back_starts_a_bus_that_is_down_and_touches_nothing_that_systemd_does_not_tell() {
    for shell in shells() {
        let host = in_a_run("").await;
        host.program("systemctl", FEW_ARE_UP);
        host.write("bus", "failed\n");
        switch(&host, A, "grep -q inactive \"$FLEETDEPLOY_ROOT/bus\" && exit 1\nexit 0");
        let ask = format!("{LOADER}\nload_old; restore_current 240 /dev/null; echo \"status $?\"");
        let said = host.run(shell, &JOB, &ask).await.stdout_text();
        assert!(said.starts_with("the bus is down: starting it\n") && said.ends_with("status 0\n"), "{shell}: {said}");
        assert_eq!(host.text("log"), "start dbus.socket\ntry-restart systemd-logind.service\ntest 1\n", "{shell}");

        host.program("systemctl", "exit 1");
        let list = "mnt-n.mount\n";
        host.write("run/nixos/reload-list", list);
        host.run(shell, &JOB, &ask).await;
        assert_eq!(host.text("run/nixos/reload-list"), list, "{shell}");
    }
}

/// Units may be failed since long; that is no reason to take a half of the old system for the whole.
#[tokio::test]
async fn a_way_back_whose_activation_failed_beside_a_failed_unit_has_failed() {
    for (fails, status, tries) in [("never", 0, 1), ("once", 0, 2), ("always", 1, 2)] {
        for shell in shells() {
            let host = in_a_run("").await;
            let falls = format!(
                "case {fails}$(grep -c . \"$FLEETDEPLOY_ROOT/log\") in always* | once1)\n\
                     echo 'Failed to run activate script' ;;\nesac\nexit 4"
            );
            switch(&host, A, &falls);
            let log = host.path("run/fleetdeploy/jobs/rollback.log").display().to_string();
            let ask = format!("{LOADER}\nload_old; restore_current 240 {log} >{log} 2>&1; echo \"status $?\"");
            assert_eq!(host.run(shell, &JOB, &ask).await.stdout_text(), format!("status {status}\n"), "{fails}");
            assert_eq!(host.text("log"), "test 1\n".repeat(tries), "{fails} {shell}");
        }
    }
}

#[tokio::test]
async fn a_host_whose_kernel_is_not_whole_is_not_rebooted() {
    let host = in_a_run("").await;
    host.remove("run/fleetdeploy/lease");
    host.remove("run/fleetdeploy/token/fired-1500");
    host.program(
        "systemctl",
        "case $* in reboot*) echo reboot >>\"$FLEETDEPLOY_ROOT/log\" ;; *) echo ActiveState=inactive ;; esac",
    );
    host.write("nix/var/nix/gcroots/fleetdeploy/reboot.lease", format!("r-3 {BOOT_ID} 9000 600 ada@laptop\n"));
    let ask = format!("{LOADER}\nprint_standing() {{ read_systems; }}\n(main r-3 {BOOT_ID} {A} {A} {A})");
    host.write("boot-files", "bad the kernel is shorter");
    let refused = "looked at 1\nrefused other\ntext a reboot would not come up: the kernel is shorter\nend\n";
    assert_eq!(host.says(&["lib.sh", "reboot.sh"], &ask).await, refused);
    assert_eq!(host.text("log"), "");
    host.write("boot-files", "unproven it is signed");
    assert_eq!(host.says(&["lib.sh", "reboot.sh"], &ask).await, "looked at 1\nend\n");
    assert!(host.text("log").starts_with("reboot\n"));
}

#[tokio::test]
async fn a_roll_back_that_had_no_place_to_install_into_and_moved_nothing_is_none_that_failed() {
    let host = in_a_run("").await;
    host.write("boot-missing", "/boot is not mounted");
    host.program("nix-env", "echo nix-env >>\"$FLEETDEPLOY_ROOT/log\"");
    switch(&host, A, "exit 1");
    switch(&host, B, "exit 1");
    let step = format!("{LOADER}\nload_old; new={B}");
    let said = host.says(&JOB, &format!("{step}; run_switch boot; echo \"status $?\"")).await;
    assert_eq!(said, "nothing was installed: /boot is not mounted\nstatus 99\n");
    assert_eq!(host.text("log"), "", "neither profile nor loader is touched");

    let back = format!("{step}; roll_back; echo \"status $?\"");
    host.write("run/fleetdeploy/jobs/switch.started", "r-1 2\n");
    for (ended, default, status) in [("99", "", 0), ("1", "", 92), ("99", A, 0), ("1", A, 92), ("99", C, 92)] {
        host.write("run/fleetdeploy/jobs/switch.status", format!("{ended}\n"));
        host.write("boot-default", default);
        let said = host.says(&JOB, &back).await;
        assert!(said.ends_with(&format!("status {status}\n")), "{ended} {default:?}: {said}");
    }
    // What ran has mounted it again.
    switch(
        &host,
        A,
        "rm -f \"$FLEETDEPLOY_ROOT/boot-missing\"; echo $FLEETDEPLOY_A >\"$FLEETDEPLOY_ROOT/boot-default\"",
    );
    host.write("run/fleetdeploy/jobs/test.started", "r-1 2\n");
    for shell in shells() {
        host.write("run/fleetdeploy/jobs/switch.status", "1\n");
        host.write("boot-missing", "/boot is not mounted");
        let said = host.run(shell, &JOB, &format!("export FLEETDEPLOY_A={A}; {back}")).await.stdout_text();
        assert!(said.ends_with("status 0\n"), "{shell}: {said}");
    }
    assert!(Path::new(&host.path("log")).exists());
}
