//! What a run leaves beside its roots: what a restart does not take away, what is on the disk before it is answered,
//! and what still goes when there is no room left.

use pretty_assertions::assert_eq;

use crate::guard::{GUARD, LOADER, in_a_run, run_killed};
use crate::{A, B, BOOT_ID, C, Host, shells};

const ROOTS: &str = "nix/var/nix/gcroots/fleetdeploy";

/// The short facts without those that are of no interest here.
const STANDING: &str = r#"
    print_standing() {
        read_systems
        read_token
        read_plan run
        guard_run=$planned
        ! read_lease || put lease "$lease_run $lease_epoch $lease_owner"
        [ -z "${of_run-}" ] || print_run "$of_run"
    }
"#;

impl Host {
    /// What the script answers, without its end.
    async fn asked(&self, shell: &str, script: &str, arguments: &str) -> String {
        let text = format!("{LOADER}{STANDING}main {arguments}");
        let finished = self.run(shell, &["lib.sh", &format!("{script}.sh")], &text).await;
        assert_eq!(finished.stderr_text(), "", "{shell}: {script} {arguments}");
        let said = finished.stdout_text();
        said.strip_suffix("end\n").unwrap_or_else(|| panic!("{script} {arguments}: {said}")).to_owned()
    }

    async fn arms(&self, shell: &str, run: &str, epoch: u64, owner: &str) -> String {
        let arguments = format!("{run} {epoch} {owner} {BOOT_ID} - - - 2000 500 reboot - 'lib' 'guard' 'job' vps web");
        self.asked(shell, "arm", &arguments).await
    }

    /// Prepared for a run, and nothing more.
    fn prepared(&self, run: &str, new: &str) {
        for (root, system) in [("new", new), ("old-current", A), ("old-boot", A)] {
            self.link(&format!("{ROOTS}/{run}/{root}"), system);
        }
        self.write(&format!("{ROOTS}/{run}/hosts"), "vps\nweb\n");
    }

    /// Everything in /run is gone, and with it the guard.
    fn restarts(&self) {
        let _ = std::fs::remove_dir_all(self.path("run/fleetdeploy"));
        self.guard_dies();
    }

    fn guard_dies(&self) {
        self.program("systemctl", "case $* in *ActiveState*) echo ActiveState=inactive ;; esac");
    }

    /// Its guard is disarmed, or has fired.
    fn token(&self, state: &str) {
        let token = self.path("run/fleetdeploy/token");
        let name = std::fs::read_dir(&token).unwrap().next().unwrap().unwrap().file_name();
        let deadline = name.to_str().unwrap().rsplit('-').next().unwrap().to_owned();
        std::fs::rename(token.join(&name), token.join(format!("{state}-{deadline}"))).unwrap();
        self.guard_dies();
    }

    /// It has been switched, wholly.
    fn stands_on(&self, system: &str) {
        for link in ["run/current-system", "nix/var/nix/profiles/system-1-link"] {
            std::fs::remove_file(self.path(link)).unwrap();
            self.link(link, system);
        }
        self.write("boot-default", system);
    }

    /// The names in a folder, in order.
    fn names(&self, folder: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.path(folder)).into_iter().flatten();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Every write beside the roots fails, as on a disk that is full.
    fn has_no_room(&self) {
        self.program("mv", r#"case $* in *gcroots*) exit 1 ;; esac; exec /bin/mv "$@""#);
        self.program("sync", r"case $* in *gcroots*) exit 1 ;; esac");
    }
}

/// A host on which nothing was ever armed; arming works there, and its systemd starts what it is told to.
async fn idle() -> Host {
    let host = Host::with(None).await;
    host.write("boot-default", A);
    host.write("proc/sys/kernel/panic", "0\n");
    host.guard_dies();
    for silent in ["sync", "sleep", "nix-env"] {
        host.program(silent, "exit 0");
    }
    host.program(
        "systemd-run",
        "printf '#!/bin/sh\\ncase $* in *ActiveState*guard*) echo ActiveState=active ;; *ActiveState*) echo \
         ActiveState=inactive ;; esac\\n' >\"$FLEETDEPLOY_ROOT/fake/systemctl\"",
    );
    host
}

#[tokio::test]
async fn a_fence_holds_over_a_restart_against_every_lower_epoch_and_everybody_else() {
    for shell in shells() {
        let host = idle().await;
        host.prepared("r-1", B);
        let said = host.arms(shell, "r-1", 1, "ada@laptop").await;
        assert_eq!(said, "lease r-1 1 ada@laptop\nfence r-1 1 ada@laptop\nran r-1\n", "{shell}");
        host.token("fired");
        let said = host.asked(shell, "take_over", "r-1 65543 'bob@desk top'").await;
        assert_eq!(said, "lease r-1 65543 bob@desk top\nfence r-1 65543 bob@desk top\nran r-1\n");

        host.restarts();
        let shown = "fence r-1 65543 bob@desk top\nran r-1\n";
        let refused = format!("refused superseded\ntext bob@desk top has taken this run over\n{shown}");
        // The coordinator of the push wakes up, and somebody with the very number of the other.
        assert_eq!(host.arms(shell, "r-1", 1, "ada@laptop").await, refused, "{shell}");
        assert_eq!(host.arms(shell, "r-1", 65543, "eve@laptop").await, refused, "{shell}");
        assert_eq!(host.asked(shell, "take_over", "r-1 65542 eve@laptop").await, refused, "{shell}");
        assert_eq!(host.asked(shell, "take_over", "r-1 65543 eve@laptop").await, refused, "{shell}");
        assert_eq!(host.asked(shell, "clean", "r-1 65542 old").await, refused, "{shell}");
        assert_eq!(host.asked(shell, "ask", "r-1").await, shown, "who asks reads what to be above");
        assert_eq!(host.asked(shell, "standing", "r-1").await, shown);
        assert_eq!(host.asked(shell, "standing", "-").await, "", "of no run nothing is told");
        let said = host.arms(shell, "r-1", 65543, "'bob@desk top'").await;
        assert_eq!(said, format!("lease r-1 65543 bob@desk top\n{shown}"), "{shell}");
        assert_eq!(
            host.names(&format!("{ROOTS}/r-1")),
            ["epoch.65543.bob@desk top", "hosts", "new", "old-boot", "old-current", "plan", "seq.1"]
        );
    }
}

/// A take-over that was cut off between its two writes is none: both must be this one's.
#[tokio::test]
async fn a_take_over_that_was_cut_off_is_done_as_a_whole_when_it_is_asked_again() {
    for shell in shells() {
        let host = in_a_run("").await;
        host.write(&format!("{ROOTS}/r-1/epoch.7.bob@desktop"), "");
        let said = host.asked(shell, "take_over", "r-1 7 bob@desktop").await;
        assert_eq!(said, "lease r-1 7 bob@desktop\nfence r-1 7 bob@desktop\nran r-1\n", "{shell}");
    }
}

#[tokio::test]
async fn a_claim_that_was_given_back_hinders_nobody_else_and_keeps_the_run_s_own_coordinators_out() {
    for shell in shells() {
        let host = idle().await;
        host.prepared("r-1", B);
        host.arms(shell, "r-1", 1, "ada@laptop").await;
        let said = host.asked(shell, "release", "r-1 1").await;
        assert!(said.starts_with("refused other\n"), "a guard is armed: {said}");
        host.token("fired");
        host.write("run/fleetdeploy/jobs/test.started", "r-1 1\n");
        host.write("run/fleetdeploy/jobs/test.status", "0\n");
        host.asked(shell, "take_over", "r-1 9 bob@desktop").await;
        let said = host.asked(shell, "release", "r-1 8").await;
        assert!(said.starts_with("refused superseded\ntext bob@desktop has"), "{said}");
        for _ in 0..2 {
            let said = host.asked(shell, "release", "r-1 9").await;
            assert_eq!(said, "fence r-1 9 -\nran r-1\n", "{shell}");
        }
        // Its own take-over, held up on its way, comes after it.
        let refused = "refused superseded\ntext a recovery that has ended has taken this run over\n";
        assert_eq!(
            host.asked(shell, "take_over", "r-1 9 bob@desktop").await,
            format!("{refused}fence r-1 9 -\nran r-1\n")
        );
        assert!(host.arms(shell, "r-1", 1, "ada@laptop").await.starts_with(refused));

        // Another run finds nothing of the steps that this one has left in /run.
        host.prepared("r-2", C);
        let said = host.arms(shell, "r-2", 1, "ada@laptop").await;
        assert_eq!(said, "lease r-2 1 ada@laptop\nfence r-2 1 ada@laptop\nran r-2\n", "{shell}");
        assert_eq!(host.names("run/fleetdeploy/jobs"), [""; 0]);
        assert_eq!(host.names("run/fleetdeploy/token"), ["armed-1500"]);
        // And what is cleaned of the first leaves the second's guard alone.
        assert_eq!(host.asked(shell, "clean", "r-1 9 old").await, "lease r-2 1 ada@laptop\nran r-1\n");
        assert_eq!(host.names("run/fleetdeploy/token"), ["armed-1500"]);
        assert_eq!(host.names(ROOTS), ["r-2"]);
        // Also where the second has given the host back, and what is in /run is still its.
        host.token("fired");
        host.asked(shell, "release", "r-2 1").await;
        host.prepared("r-3", B);
        assert_eq!(host.asked(shell, "clean", "r-3 1 old").await, "ran r-3\n");
        assert_eq!(
            (host.names("run/fleetdeploy/token"), host.names(ROOTS)),
            (vec!["fired-1500".into()], vec!["r-2".into()])
        );
    }
}

/// Commands of an older version look at nothing but the lease.
#[tokio::test]
async fn a_run_that_an_older_version_has_armed_keeps_a_lease_that_is_nobody_s() {
    for shell in shells() {
        let host = in_a_run("").await;
        host.guard_dies();
        host.write(&format!("{ROOTS}/r-1/plan"), format!("run r-1\nold_profile {A}\nold_generation 1\n"));
        assert_eq!(
            host.asked(shell, "standing", "r-1").await,
            "lease r-1 2 ada@laptop\nfence r-1 2 ada@laptop\nran r-1 untraced\n"
        );
        let said = host.asked(shell, "release", "r-1 3").await;
        assert_eq!(said, "fence r-1 3 -\nran r-1 untraced\n", "{shell}");
        assert_eq!(host.text("run/fleetdeploy/lease"), "r-1 3 -\n");
        // What arms it again does not make it one that has left traces from its beginning.
        host.token("disarmed");
        host.write("proc/sys/kernel/panic", "0\n");
        host.program(
            "systemd-run",
            "printf '#!/bin/sh\\necho ActiveState=active\\n' >\"$FLEETDEPLOY_ROOT/fake/systemctl\"",
        );
        let said = host.arms(shell, "r-1", 4, "bob@desktop").await;
        assert_eq!(said, "lease r-1 4 bob@desktop\nfence r-1 4 bob@desktop\nran r-1 untraced\n", "{shell}");
    }
}

const WEB: &str = "web:1e7e1eea20dd855201641749a2e5733d";

#[tokio::test]
async fn a_run_that_ends_without_a_host_leaves_a_mark_that_claims_nothing_and_lets_nobody_begin_anew() {
    for shell in shells() {
        let host = idle().await;
        host.prepared("r-1", B);
        host.arms(shell, "r-1", 1, "ada@laptop").await;
        let marked = format!("fence r-1 9 -\nran r-1 ended old 9 {WEB} db:-\n");
        let said = host.asked(shell, "clean", &format!("r-1 9 old {WEB} db:-")).await;
        assert!(said.starts_with("refused other\n") && !said.contains("ended"), "a guard is armed: {said}");
        assert_eq!(host.names(ROOTS), ["r-1"]);
        host.token("fired");
        for _ in 0..2 {
            assert_eq!(host.asked(shell, "clean", &format!("r-1 9 old {WEB} db:-")).await, marked, "{shell}");
            assert_eq!(
                (host.names(ROOTS), host.names(&format!("{ROOTS}/.ended"))),
                (vec![".ended".into()], vec!["r-1".into()])
            );
            assert!(!host.path("run/fleetdeploy").exists());
        }
        let refused = format!("refused ended\ntext run r-1 was ended on this host without {WEB} db:-\n{marked}");
        for (script, arguments) in [("take_over", "r-1 70000 bob@desktop"), ("ask", "r-1")] {
            assert_eq!(host.asked(shell, script, arguments).await, refused, "{shell}");
        }
        assert_eq!(host.arms(shell, "r-1", 70000, "bob@desktop").await, refused, "{shell}");
        assert!(host.arms(shell, "r-1", 1, "ada@laptop").await.starts_with("refused superseded\n"), "{shell}");
        let prepare = format!("r-1 {A} {A} - 0 - vps web");
        assert_eq!(host.asked(shell, "prepare", &prepare).await, "failed run r-1 has been ended on this host\n");
        // A clean-up of the push that was held up, and one of a version that knows no marks: both name no one.
        assert!(host.asked(shell, "clean", "r-1 1 new").await.starts_with("refused superseded\n"), "{shell}");
        assert_eq!(host.asked(shell, "clean", "r-1 9 old").await, marked, "{shell}");

        // Another run is armed as if there were nothing.
        host.prepared("r-2", C);
        assert_eq!(
            host.arms(shell, "r-2", 1, "ada@laptop").await,
            "lease r-2 1 ada@laptop\nfence r-2 1 ada@laptop\nran r-2\n"
        );
        host.token("disarmed");
        host.asked(shell, "clean", "r-2 1 new").await;

        // Who is dealt with goes out of it, one after the other.
        assert!(host.asked(shell, "unmark", "r-1 8 web").await.starts_with("refused superseded\n"), "{shell}");
        for _ in 0..2 {
            assert_eq!(host.asked(shell, "unmark", "r-1 10 web").await, "fence r-1 10 -\nran r-1 ended old 10 db:-\n");
        }
        for _ in 0..2 {
            assert_eq!(host.asked(shell, "unmark", "r-1 11 db").await, "ran r-1\n");
        }
        assert!(!host.path(ROOTS).exists());
    }
}

#[tokio::test]
async fn a_mark_goes_as_a_whole_when_it_is_forgotten_and_takes_along_what_was_cut_off() {
    for shell in shells() {
        let host = idle().await;
        host.prepared("r-1", B);
        host.write(&format!("{ROOTS}/.ended/r-1"), "- 9\nweb:-\ndb:-\n");
        assert_eq!(host.asked(shell, "unmark", "r-1 9 -").await, "ran r-1\n", "{shell}");
        assert!(!host.path(ROOTS).exists(), "{shell}");
        for arguments in ["r-1 9 '-x'", "r-1 9 ''", "../x 9 -"] {
            let said = host.asked(shell, "unmark", arguments).await;
            assert!(said.starts_with("refused bad_argument\n"), "{said}");
        }
        for missing in ["web", "web:", "web:../x", ":1", "web:a b", "'web:1\nnew 2'"] {
            let said = host.asked(shell, "clean", &format!("r-1 9 old {missing}")).await;
            assert!(said.starts_with("refused bad_argument\n"), "{missing}: {said}");
        }
        assert!(host.asked(shell, "clean", "r-1 9 both").await.starts_with("refused bad_argument\n"));
        // One that a power cut has emptied names nobody, and still lets nobody begin.
        host.prepared("r-1", B);
        host.write(&format!("{ROOTS}/.ended/r-1"), "");
        let damaged = "refused ended\ntext run r-1 was ended on this host without all its hosts\nran r-1 ended - 0\n";
        assert_eq!(host.arms(shell, "r-1", 1, "ada@laptop").await, damaged, "{shell}");
        assert_eq!(host.asked(shell, "unmark", "r-1 9 -").await, "ran r-1\n", "{shell}");
        // Where nothing of the run is there is nothing to be marked.
        assert_eq!(host.asked(shell, "clean", "r-1 9 old web:-").await, "ran r-1\n");
        assert!(!host.path(ROOTS).exists(), "{shell}");
    }
}

/// Wherever it is killed: nothing is gone as long as no mark says why, and what is left is finished by asking again.
#[tokio::test]
async fn a_clean_up_with_a_mark_that_is_killed_at_any_program_never_leaves_nothing() {
    for shell in shells() {
        let mut at = 0;
        loop {
            at += 1;
            let host = idle().await;
            host.prepared("r-1", B);
            host.arms(shell, "r-1", 1, "ada@laptop").await;
            host.token("fired");
            let words = format!("{LOADER}{STANDING}main r-1 9 old {WEB}");
            let killed = run_killed(&host, shell, &["lib.sh", "clean.sh"], &words, at).await;
            let marked = host.text(&format!("{ROOTS}/.ended/r-1")) == format!("old 9\n{WEB}\n");
            let whole = ["new", "old-current", "old-boot"]
                .iter()
                .all(|root| host.leads_to(&format!("{ROOTS}/r-1/{root}")).is_some());
            assert!(marked || whole, "{shell}: killed at {at}: {:?}", host.names(&format!("{ROOTS}/r-1")));
            if !marked {
                assert!(host.path("run/fleetdeploy/lease").exists(), "{shell}: killed at {at}");
            }
            let said = host.asked(shell, "clean", &format!("r-1 9 old {WEB}")).await;
            assert_eq!(said, format!("fence r-1 9 -\nran r-1 ended old 9 {WEB}\n"), "{shell}: killed at {at}");
            assert_eq!((host.names(ROOTS), host.path("run/fleetdeploy").exists()), (vec![".ended".to_owned()], false));
            if !killed {
                break;
            }
        }
        assert!(at > 4, "nothing was killed");
    }
}

/// What is answered is on the disk: each sync names what was written, and comes before the answer's act.
#[tokio::test]
async fn what_is_answered_was_on_the_disk_before() {
    let log = r#"
        for word in "$@"; do
            case $word in
            */gcroots/*)
                token=$(ls -A "$FLEETDEPLOY_ROOT/run/fleetdeploy/token" 2>/dev/null)
                echo "sync ${word#"$FLEETDEPLOY_ROOT"/nix/var/nix/gcroots/}: $token" >>"$FLEETDEPLOY_ROOT/log" ;;
            esac
        done"#;
    for shell in shells() {
        let host = idle().await;
        host.program("sync", log);
        host.prepared("r-1", B);
        host.arms(shell, "r-1", 1, "ada@laptop").await;
        // The plan's text before its name, and all names before there is a token.
        assert_eq!(
            host.text("log"),
            "sync fleetdeploy/r-1/plan.new: \nsync fleetdeploy/r-1: \nsync fleetdeploy: \n",
            "{shell}"
        );
        host.remove("log");
        host.asked(shell, "take_over", "r-1 7 bob@desktop").await;
        assert_eq!(host.text("log"), "sync fleetdeploy/r-1: armed-1500\nsync fleetdeploy: armed-1500\n", "{shell}");
        host.remove("log");
        host.stands_on(B);
        let said = host.asked(shell, "disarm", &format!("r-1 7 {BOOT_ID} {B} {B} {B}")).await;
        assert_eq!(said, "lease r-1 7 bob@desktop\nfence r-1 7 bob@desktop\nran r-1 committed\n", "{shell}");
        assert_eq!(host.text("log"), "sync fleetdeploy/r-1: armed-1500\n", "before the rename");
        host.remove("log");
        host.guard_dies();
        host.asked(shell, "clean", "r-1 7 new web:-").await;
        assert!(
            host.text("log").starts_with("sync fleetdeploy/.ended/.r-1.new: disarmed-1500\nsync fleetdeploy/.ended: "),
            "{shell}"
        );
    }
}

const VOLATILE: &str = "volatile it could not be written beside the roots (is the disk full?): a restart forgets it\n";

/// A disk that the push has filled is no reason why its hosts cannot be brought back.
#[tokio::test]
async fn without_room_a_run_is_still_taken_over_disarmed_and_given_back_and_only_what_begins_or_marks_is_refused() {
    for shell in shells() {
        let host = idle().await;
        host.prepared("r-2", C);
        host.prepared("r-1", B);
        host.arms(shell, "r-1", 1, "ada@laptop").await;
        host.has_no_room();
        let said = host.asked(shell, "take_over", "r-1 7 bob@desktop").await;
        assert_eq!(said, format!("{VOLATILE}lease r-1 7 bob@desktop\nfence r-1 7 bob@desktop\nran r-1\n"), "{shell}");
        // Its unit dies, and whoever goes on with the run arms it again.
        host.guard_dies();
        let said = host.arms(shell, "r-1", 7, "bob@desktop").await;
        assert_eq!(said, format!("{VOLATILE}lease r-1 7 bob@desktop\nfence r-1 7 bob@desktop\nran r-1\n"), "{shell}");
        host.token("fired");
        let said = host.arms(shell, "r-1", 8, "bob@desktop").await;
        assert_eq!(said, format!("{VOLATILE}lease r-1 8 bob@desktop\nfence r-1 8 bob@desktop\nran r-1\n"), "{shell}");
        assert_eq!(host.names("run/fleetdeploy/token"), ["armed-1500"]);
        let said = host.asked(shell, "take_over", "r-1 9 bob@desktop").await;
        assert_eq!(said, format!("{VOLATILE}lease r-1 9 bob@desktop\nfence r-1 9 bob@desktop\nran r-1\n"), "{shell}");
        // The lease alone holds now.
        assert!(host.arms(shell, "r-1", 1, "ada@laptop").await.starts_with("refused superseded\n"));
        host.stands_on(B);
        let said = host.asked(shell, "disarm", &format!("r-1 9 {BOOT_ID} {B} {B} {B}")).await;
        assert!(!said.contains("refused") && !said.contains("failed") && said.starts_with(VOLATILE), "{shell}: {said}");
        assert_eq!(host.names("run/fleetdeploy/token"), ["disarmed-1500"]);
        host.guard_dies();
        let said = host.asked(shell, "clean", "r-1 9 new web:-").await;
        assert!(
            said.starts_with("failed cannot write down who was missing: nothing was removed (is the disk full?)\n"),
            "{said}"
        );
        assert_eq!(
            (host.names(ROOTS), host.path("run/fleetdeploy/lease").exists()),
            (vec!["r-1".into(), "r-2".into()], true)
        );
        let said = host.asked(shell, "release", "r-1 9").await;
        assert!(said.starts_with(VOLATILE) && !said.contains("lease"), "{said}");
        assert_eq!(host.text("run/fleetdeploy/lease"), "r-1 9 -\n", "the fence that is left");
        let said = host.arms(shell, "r-2", 1, "ada@laptop").await;
        assert!(said.starts_with("failed cannot write to "), "{shell}: {said}");
        assert_eq!(host.names("run/fleetdeploy/token"), [""; 0]);
    }
}

/// The order is the host's own: what was armed here later and has committed ends what was armed before it.
#[tokio::test]
async fn a_commit_ends_every_run_that_was_armed_here_before_it_and_none_after() {
    for shell in shells() {
        let host = idle().await;
        // By its id the later of the two, by a workstation's clock that is wrong.
        host.prepared("r-9", B);
        host.arms(shell, "r-9", 1, "ada@laptop").await;
        host.restarts();
        host.prepared("r-1", C);
        host.arms(shell, "r-1", 1, "bob@desktop").await;
        assert_eq!(
            (host.names(&format!("{ROOTS}/r-9")).pop(), host.names(&format!("{ROOTS}/r-1")).pop()),
            (Some("seq.1".into()), Some("seq.2".into()))
        );
        // Only prepared: whatever it is, it has begun nothing here.
        host.prepared("r-5", B);
        host.stands_on(C);
        assert_eq!(
            host.asked(shell, "standing", "r-9").await,
            "lease r-1 1 bob@desktop\nfence r-9 1 ada@laptop\nran r-9\n"
        );
        host.asked(shell, "disarm", &format!("r-1 1 {BOOT_ID} {C} {C} {C}")).await;
        let over = "fence r-9 1 ada@laptop\nran r-9 over\n";
        assert_eq!(host.asked(shell, "standing", "r-9").await, format!("lease r-1 1 bob@desktop\n{over}"), "{shell}");
        // Its clean-up is lost; only what lies beside the roots is left.
        host.restarts();
        assert_eq!(host.asked(shell, "standing", "r-9").await, over, "{shell}");
        assert_eq!(host.asked(shell, "standing", "r-1").await, "fence r-1 1 bob@desktop\nran r-1 committed\n");
        let said = host.arms(shell, "r-9", 1, "ada@laptop").await;
        assert_eq!(
            said,
            format!("refused ended\ntext a run that was armed here later has committed on this host\n{over}")
        );
        // Fenced it is all the same, so that nothing of it can begin.
        assert_eq!(
            host.asked(shell, "take_over", "r-9 7 bob@desktop").await,
            "lease r-9 7 bob@desktop\nfence r-9 7 bob@desktop\nran r-9 over\n"
        );
        host.asked(shell, "release", "r-9 7").await;
        // And it is known when the later one is gone.
        host.asked(shell, "clean", "r-1 1 new").await;
        assert_eq!(host.asked(shell, "standing", "r-9").await, "fence r-9 7 -\nran r-9 over\n", "{shell}");
        assert_eq!(host.asked(shell, "standing", "r-5").await, "ran r-5\n", "{shell}");
    }
}

/// What was about to be kept, and was not.
#[tokio::test]
async fn an_intent_to_commit_counts_for_nothing_where_the_guard_has_fired_or_the_host_stands_elsewhere() {
    for shell in shells() {
        let host = in_a_run("").await;
        host.write(&format!("{ROOTS}/r-1/plan"), "run r-1\n");
        host.write(&format!("{ROOTS}/r-1/seq.2"), "");
        host.write(&format!("{ROOTS}/r-1/committed"), "");
        host.write(&format!("{ROOTS}/r-0/plan"), "run r-0\n");
        host.write(&format!("{ROOTS}/r-0/seq.1"), "");
        host.stands_on(B);
        let told = async |run: &str| host.asked(shell, "standing", run).await.lines().last().unwrap().to_owned();
        assert_eq!(told("r-1").await, "ran r-1", "it has fired on this boot");
        assert_eq!(told("r-0").await, "ran r-0");
        host.token("armed");
        assert_eq!(told("r-1").await, "ran r-1", "killed before the rename");
        host.token("disarmed");
        assert_eq!(told("r-1").await, "ran r-1 committed");
        assert_eq!(told("r-0").await, "ran r-0 over");
        host.stands_on(A);
        assert_eq!(told("r-1").await, "ran r-1");
        assert_eq!(told("r-0").await, "ran r-0");
        host.stands_on(B);
        host.restarts();
        assert_eq!(told("r-1").await, "ran r-1 committed");
        host.write(&format!("{ROOTS}/r-1/trace"), "the guard of run r-1 fired\n");
        assert_eq!(told("r-1").await, "ran r-1");
    }
}

const FIRES: &str = r#"
    token_deadline=1500 tries=2
    nap() { :; }
    reboot_this_host() { ls "$roots/$run" >"$root/beside"; exit 0; }
    fire
"#;

#[tokio::test]
async fn who_puts_a_host_back_takes_away_what_the_run_said_that_it_had_begun() {
    for shell in shells() {
        // The job says it before the profile moves, and a roll back that has ended well takes it away.
        let host = in_a_run("").await;
        let switch = "case $1 in boot) echo \"$FLEETDEPLOY_SYSTEM\" >\"$FLEETDEPLOY_ROOT/boot-default\" ;; test) ln \
                      -sfn \"$FLEETDEPLOY_SYSTEM\" \"$FLEETDEPLOY_ROOT/run/current-system\" ;; esac";
        for system in [A, B] {
            host.executable(
                &format!("{}/bin/switch-to-configuration", &system[1..]),
                &switch.replace("$FLEETDEPLOY_SYSTEM", system),
            );
        }
        host.program(
            "nix-env",
            &format!(
                "{}\n[ \"$3\" != --set ] || ls \"$FLEETDEPLOY_ROOT/{ROOTS}/r-1\" >\"$FLEETDEPLOY_ROOT/beside\"",
                host.text("fake/nix-env")
            ),
        );
        let job = ["lib.sh", "boot.sh", "restore.sh", "job.sh"];
        let words = format!("{LOADER}load_old; new={B}; run_switch boot >/dev/null; echo \"$?\"");
        assert_eq!(host.run(shell, &job, &words).await.stdout_text(), "0\n", "{shell}");
        assert!(
            host.text("beside").contains("switching\n"),
            "{shell}: before the first write: {}",
            host.text("beside")
        );
        assert!(host.path(&format!("{ROOTS}/r-1/switching")).exists());
        let back = format!("{LOADER}load_old; new={B}; roll_back >/dev/null; echo \"$?\"");
        assert_eq!(host.run(shell, &job, &back).await.stdout_text(), "0\n", "{shell}");
        assert!(!host.path(&format!("{ROOTS}/r-1/switching")).exists(), "{shell}");

        // A guard: what was to be kept goes first, what has begun last.
        for left in ["switching", "committed"] {
            host.write(&format!("{ROOTS}/r-1/{left}"), "");
        }
        host.write("run/fleetdeploy/jobs/switch.started", "r-1 2\n");
        host.remove("beside");
        host.run(shell, &GUARD, &format!("{LOADER}{FIRES}")).await;
        assert_eq!(host.text("beside"), "added-generation\nnew\nold-boot\nold-current\ntrace\n", "{shell}");

        // One that cannot be written down never begins.
        let host = in_a_run("").await;
        host.program("sync", "case $* in *gcroots*) exit 1 ;; esac");
        assert_eq!(host.run(shell, &job, &words).await.stdout_text(), "95\n", "{shell}");
        assert_eq!(host.leads_to("nix/var/nix/profiles/system").as_deref(), Some("system-1-link"));
    }
}

#[tokio::test]
async fn a_guard_that_could_not_put_everything_back_leaves_what_the_run_said() {
    for shell in shells() {
        let host = in_a_run("").await;
        host.write(&format!("{ROOTS}/r-1/switching"), "");
        host.write("run/fleetdeploy/jobs/switch.started", "r-1 2\n");
        // The old system's own installer and activation fail.
        host.executable(&format!("{}/bin/switch-to-configuration", &A[1..]), "exit 1");
        host.stands_on(B);
        host.run(shell, &GUARD, &format!("{LOADER}{FIRES}")).await;
        assert!(host.text(&format!("{ROOTS}/r-1/trace")).contains("NOT all could be put back"));
        assert!(host.path(&format!("{ROOTS}/r-1/switching")).exists(), "{shell}");
    }
}

/// Two runs have the same epoch: only the very same command was asked before.
#[tokio::test]
async fn a_step_of_another_run_is_not_taken_for_this_one_s() {
    for shell in shells() {
        let host = in_a_run("").await;
        host.token("armed");
        host.program(
            "systemctl",
            "case $* in *ActiveState*guard.service) echo ActiveState=active ;; *ActiveState*) echo \
             ActiveState=inactive ;; esac",
        );
        host.program("systemd-run", "echo begun >>\"$FLEETDEPLOY_ROOT/log\"");
        host.write("run/fleetdeploy/jobs/test.started", "r-0 2\n");
        let words = format!(
            "{LOADER}run=r-1 epoch=2 wanted_boot_id={BOOT_ID} kind=test needs=1 new={B} wanted_current=- \
             wanted_profile=- wanted_boot=-; with_lock start && echo started"
        );
        assert_eq!(host.run(shell, &["lib.sh", "step.sh"], &words).await.stdout_text(), "started\n", "{shell}");
        assert_eq!(host.text("log"), "begun\n", "{shell}");
    }
}

#[tokio::test]
async fn a_survey_tells_of_every_run_what_is_left_of_it_and_of_an_ended_one_only_its_mark() {
    for shell in shells() {
        let host = idle().await;
        for (run, seq) in [("r-1", 1), ("r-2", 2)] {
            host.prepared(run, B);
            host.write(&format!("{ROOTS}/{run}/plan"), format!("run {run}\nold_profile {A}\nold_generation 1\n"));
            host.write(&format!("{ROOTS}/{run}/seq.{seq}"), "");
        }
        host.write(&format!("{ROOTS}/r-1/epoch.7.bob@desktop"), "");
        host.write(&format!("{ROOTS}/r-1/switching"), "");
        host.write(&format!("{ROOTS}/r-2/committed"), "");
        // Cut off in its clean-up, and files of others beside them.
        host.prepared("r-3", B);
        host.write(&format!("{ROOTS}/.ended/r-3"), format!("new 9\n{WEB}\n"));
        host.write(&format!("{ROOTS}/.ended/.r-3.new"), "");
        host.write(&format!("{ROOTS}/.failed-units"), "app.service\n");
        host.stands_on(B);
        let words = format!("{LOADER}read_systems; read_token; read_plan run; guard_run=$planned; survey_survivors");
        let finished = host.run(shell, &["lib.sh", "survey.sh"], &words).await;
        assert_eq!(finished.stderr_text(), "");
        assert_eq!(
            finished.stdout_text(),
            format!(
                "mark r-3 new 9 {WEB}\nfence r-3 9 -\n\
                 survivor r-1\nsurvivor_hosts r-1 vps web \nsurvivor_roots r-1 {A} {A} {A} 1 {B}\n\
                 fence r-1 7 bob@desktop\nswitching r-1\nover r-1\n\
                 survivor r-2\nsurvivor_hosts r-2 vps web \nsurvivor_roots r-2 {A} {A} {A} 1 {B}\n"
            ),
            "{shell}"
        );
    }
}
