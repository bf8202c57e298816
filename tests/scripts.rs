//! The sh files that run on hosts, as far as they need no systemd: run here, on trees and with programs of our own.
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::fmt::Write as _;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use fleetdeploy::local::process::{Finished, Invocation};
use pretty_assertions::assert_eq;

#[path = "scripts/caches.rs"]
mod caches;
#[path = "scripts/fetch.rs"]
mod fetch;
#[path = "scripts/guard.rs"]
mod guard;
#[path = "scripts/probes.rs"]
mod probes;
#[path = "scripts/rolling.rs"]
mod rolling;
#[path = "scripts/traces.rs"]
mod traces;
#[path = "scripts/trial.rs"]
mod trial;
#[path = "scripts/trial_grub.rs"]
mod trial_grub;

const A: &str = "/nix/store/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-nixos-system-vps-25.11.1";
const B: &str = "/nix/store/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb-nixos-system-vps-25.11.2";
const C: &str = "/nix/store/cccccccccccccccccccccccccccccccc-nixos-system-vps-25.11.3";
const BOOT_ID: &str = "5f1c6b4e-8a43-4b0e-9c9f-0e3f5a1d2b7c";

/// What is sent as one where a script needs boot.sh.
const BOOT_FILES: [&str; 5] = ["boot.sh", "boot_systemd.sh", "boot_grub.sh", "boot_others.sh", "boot_files.sh"];

/// The shells that a host's /bin/sh may be, as far as they are here.
fn shells() -> Vec<&'static str> {
    ["dash", "bash"]
        .into_iter()
        .filter(|shell| Path::new("/bin").join(shell).exists() || Path::new("/usr/bin").join(shell).exists())
        .collect()
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/remote/scripts")
}

/// A host's file system, as little of it as the scripts look at.
struct Host {
    root: tempfile::TempDir,
}

impl Host {
    /// `fixture` is a folder of tests/fixtures/boot, copied.
    async fn with(fixture: Option<&str>) -> Self {
        let host = Self { root: tempfile::tempdir().unwrap() };
        if let Some(fixture) = fixture {
            let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/boot").join(fixture);
            let copied = Invocation::new("cp", Duration::from_secs(20))
                .args(["-r", "-T"])
                .args([&from, &host.root.path().to_owned()])
                .run()
                .await
                .unwrap();
            assert!(copied.succeeded(), "{}", copied.stderr_text());
        }
        // An entry without its kernel is none.
        host.write("boot/EFI/nixos/0gv1yx3wnyzhi0bjgjbmvxy7qnzwzw5h-linux-6.12.1-bzImage.efi", "MZ");
        host.write("proc/uptime", "1000.42 3000.00\n");
        host.write("proc/sys/kernel/random/boot_id", format!("{BOOT_ID}\n"));
        host.link("run/current-system", A);
        host.link("run/booted-system", A);
        host.link("nix/var/nix/profiles/system", "system-1-link");
        host.link("nix/var/nix/profiles/system-1-link", A);
        host
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        std::fs::create_dir_all(self.path(path).parent().unwrap()).unwrap();
        std::fs::write(self.path(path), text).unwrap();
    }

    fn link(&self, path: &str, target: &str) {
        std::fs::create_dir_all(self.path(path).parent().unwrap()).unwrap();
        symlink(target, self.path(path)).unwrap();
    }

    /// A program that says `answer` whatever it is asked.
    fn program(&self, name: &str, body: &str) {
        self.write(&format!("fake/{name}"), format!("#!/bin/sh\n{body}\n"));
        std::fs::set_permissions(self.path(&format!("fake/{name}")), std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Runs shell words after the scripts' functions, as the host would: evaluated, with its root here.
    async fn run(&self, shell: &str, files: &[&str], words: &str) -> Finished {
        let text: String = files
            .iter()
            .flat_map(|file| match *file {
                "boot.sh" => &BOOT_FILES[..],
                "lib.sh" => &["lib.sh", "traces.sh"],
                _ => std::slice::from_ref(file),
            })
            .map(|file| std::fs::read_to_string(scripts().join(file)).unwrap())
            .collect();
        // As it is sent: an argument of a program has no room for all the comments.
        let is_sent = |line: &&str| !line.is_empty() && !line.trim_start().starts_with('#');
        let text: String = text.lines().filter(is_sent).flat_map(|line| [line, "\n"]).collect();
        Invocation::new(shell, Duration::from_secs(60))
            .args(["-c", "eval \"$1\"", "test"])
            .arg(format!("{text}\n{words}"))
            .env("FLEETDEPLOY_ROOT", self.root.path())
            // The transport leaves the text there, for a script that needs another shell.
            .env("s", format!("{text}\n{words}"))
            .env("PATH", format!("{}:{}", self.path("fake").display(), std::env::var("PATH").unwrap()))
            .run()
            .await
            .unwrap()
    }

    async fn says(&self, files: &[&str], words: &str) -> String {
        let mut said = None;
        for shell in shells() {
            let finished = self.run(shell, files, words).await;
            assert_eq!(finished.stderr_text(), "", "{shell}");
            let text = finished.stdout_text();
            assert_eq!(without_ages(said.get_or_insert_with(|| text.clone())), without_ages(&text), "{shell} differs");
        }
        said.expect("there is a shell")
    }
}

#[tokio::test]
async fn a_program_is_ended_when_its_time_is_over_and_its_words_and_status_are_known() {
    let host = Host::with(None).await;
    let words = "within 5 sh -c 'echo one; echo two >&2; exit 3'; echo \"$? $said.\"
        within 5 sh -c :; echo \"$? $said.\"
        read -r begun _ </proc/uptime; within 1 sleep 20; echo $?; read -r ended _ </proc/uptime
        [ \"$((${ended%.*} - ${begun%.*}))\" -lt 15 ] && echo soon";
    assert_eq!(host.says(&["lib.sh"], words).await, "3 one\ntwo.\n0 .\n124\nsoon\n");
}

#[tokio::test]
async fn plain_lines_are_told_as_odd_ones_are() {
    let host = Host::with(None).await;
    let words = r#"text=$(printf 'a  b\n\n \033[1mred\033[0m\\n%0600d\nend' 7)
        each=$(printf '%s\n' "$text" | put_each log)
        [ "$each" = "$(printf '%s\n' "$text" | put_lines log)" ] && echo same; echo "${#each}""#;
    assert_eq!(host.says(&["lib.sh"], words).await, "same\n527\n");
}

#[tokio::test]
async fn systems_are_read_alike_with_and_without_a_process() {
    let host = Host::with(None).await;
    // The one place where a folder is below this root and in the store at once.
    let words = "is_store_path() { case $1 in */nix/store/*) ;; *) return 1 ;; esac; }
        store=$root/nix/store; mkdir -p $store/a $store/b; rm -f $root/run/*-system $profiles/system*
        ln -s $store/a $root/run/current-system; ln -s $store/b $root/run/booted-system
        ln -s $store/a $profiles/system-7-link; ln -s $store/b $profiles/system-8-link
        ln -s system-7-link $profiles/system; read_boot_default() { :; }
        told() { for told in $current $booted $profile $generation; do echo ${told#$root}; done; }
        for quick_systems in no yes; do read_systems; told; done
        stat() { echo asked >&2; }; quick_systems=yes; follow_systems && echo plain
        ln -s $store/a $profiles/system-9-link; follow_systems || echo 'two of them'
        rm $profiles/system-9-link $root/run/booted-system; follow_systems || echo 'one is not there'";
    let systems = "/nix/store/a\n/nix/store/b\n/nix/store/a\n7\n";
    let said = host.says(&["lib.sh"], words).await;
    assert_eq!(said, format!("{systems}{systems}plain\ntwo of them\none is not there\n"));
}

#[tokio::test]
async fn what_a_system_installs_is_recalled_only_from_a_whole_line_of_the_run() {
    let host = Host::with(None).await;
    let switch = "#!/bin/sh\n/nix/store/x-install-grub\n";
    for system in [A, B] {
        host.write(&format!("{}/bin/switch-to-configuration", &system[1..]), switch);
    }
    let words = format!(
        "mkdir -p $roots/r-1; printf '%s limine .\\n%s lim' {A} {B} >$roots/r-1/installers
        look_for_installers {A}; installer_of {A}; echo $installer_is; installers_known=' ' of_run=r-1
        for system in {A} {B} {C}; do
            look_for_installers $system; installer_of $system; echo \"$? $installer_is\"
        done"
    );
    assert_eq!(host.says(&["lib.sh", "boot.sh"], &words).await, "grub\n0 limine\n0 grub\n1 -\n");
}

#[tokio::test]
async fn a_file_is_the_same_only_byte_for_byte() {
    let host = Host::with(None).await;
    host.write("one", "abc".repeat(1_000_000));
    host.write("same", "abc".repeat(1_000_000));
    host.write("short", "abc".repeat(999_999));
    host.write("other", format!("{}abd", "abc".repeat(999_999)));
    let words = r#"for file in same short other gone; do
        ! is_same_file "$root/one" "$root/$file" || echo "$file"
        ! is_same_file "$root/$file" "$root/one" || echo "$file"
        done; echo end"#;
    // Another shell leaves it to the longer way; a file system that only reads through its cache does, too.
    let said = host.run("bash", &["lib.sh", "boot.sh"], words).await.stdout_text();
    assert!(["same\nsame\nend\n", "end\n"].contains(&said.as_str()), "{said}");
}

/// What stands between a parenthesis, just before this text, and the one that closes it.
fn up_to_its_end(text: &str) -> &str {
    let mut depth = 1;
    let end = text.find(|character| {
        depth += match character {
            '(' => 1,
            ')' => -1,
            _ => 0,
        };
        depth == 0
    });
    &text[..end.unwrap_or(text.len())]
}

/// A shell that has become a program runs nothing after it.
#[test]
fn no_second_command_stands_behind_an_exec_in_a_substitution() {
    for entry in std::fs::read_dir(scripts()).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        for inside in text.split("$(exec ").skip(1).map(up_to_its_end) {
            // What is in quotes is the text of another program.
            let first_line = inside.lines().next().unwrap_or_default();
            let unquoted: String = first_line.split('\'').step_by(2).collect();
            assert!(!["||", "&&"].iter().any(|chain| unquoted.contains(chain)), "{}: {inside}", path.display());
        }
    }
}

/// Leaves out how old handshakes are: two shells run one after the other, and a second may pass between them.
fn without_ages(text: &str) -> Vec<Vec<&str>> {
    text.lines()
        .map(|line| {
            let words = line.split(' ');
            let is_peer = line.starts_with("wg_peer ");
            words.enumerate().filter(|(at, _)| !is_peer || *at != 4).map(|(_, word)| word).collect()
        })
        .collect()
}

#[tokio::test]
async fn a_value_is_one_line_without_what_a_terminal_acts_on() {
    let host = Host::with(None).await;
    let said = host
        .says(
            &["lib.sh"],
            r#"put plain 'a  b'; put odd "$(printf 'x\\y\nz\tt\033[31m\001q')"; put empty ''
            printf 'a\\b\n\033c\n' | put_lines log"#,
        )
        .await;
    assert_eq!(said, "plain a  b\nodd x\\\\y\\nz t[31mq\nempty \nlog a\\\\b\nlog c\n");
}

#[tokio::test]
async fn what_could_leave_a_path_is_refused() {
    let host = Host::with(None).await;
    let words = r#"
        for run in r-1 20261122-abc; do is_run "$run" && echo "$run"; done
        for run in '' - -r ../x a/b 'a b' A r_1 "$(printf 'a\nb')"; do is_run "$run" && echo "bad: $run"; done
        for path in /nix/store/x-y /nix/store/x-y/z /nix/store/ /nix/store/.. /etc/passwd '/nix/store/a b' ''; do
            is_store_path "$path" && echo "$path"
        done
        for number in 1 007 -1 1x '' 99999999999999999; do is_number "$number" && echo "$number"; done
        demand is_run ../x
        echo never"#;
    assert_eq!(
        host.says(&["lib.sh"], words).await,
        "r-1\n20261122-abc\n/nix/store/x-y\n1\n007\nrefused bad_argument\ntext bad argument: ../x (is_run)\nend\n"
    );
}

/// Ends a process of this test and what it began, when the test ends.
struct Group(std::process::Child);

impl Group {
    /// In a group of its own; its first line says that it is ready.
    #[expect(clippy::disallowed_methods, reason = "whoever holds the lock of a switch is part of the test's world")]
    fn begin(words: &[&str]) -> Self {
        use std::io::BufRead as _;
        use std::os::unix::process::CommandExt as _;
        let mut command = std::process::Command::new(words[0]);
        command.args(&words[1..]).process_group(0).stdout(std::process::Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        std::io::BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        Self(child)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let group = nix::unistd::Pid::from_raw(i32::try_from(self.0.id()).unwrap());
        let _ = nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL);
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn whoever_holds_the_lock_of_a_switch_is_named_by_its_process() {
    let host = Host::with(None).await;
    std::fs::remove_dir_all(host.path("proc")).unwrap();
    host.link("proc", "/proc");
    host.write("run/nixos/switch-to-configuration.lock", "");
    let lock = host.path("run/nixos/switch-to-configuration.lock").display().to_string();
    let ask = "if switch_runs; then echo \"$switch_text\"; else echo nobody; fi";
    assert_eq!(host.says(&["lib.sh"], ask).await, "nobody\n");
    {
        let switch = Group::begin(&["flock", &lock, "sh", "-c", "echo ready; sleep 600"]);
        let named = format!("a switch is under way (process {})\n", switch.0.id());
        assert_eq!(host.says(&["lib.sh"], ask).await, named);
    }
    // What the switch began lives on, and has inherited the lock.
    let mut left = Group::begin(&["flock", &lock, "sh", "-c", "sleep 600 >/dev/null & echo \"$!\"; exit 0"]);
    left.0.wait().unwrap();
    let said = host.says(&["lib.sh"], ask).await;
    assert!(
        said.starts_with("a switch has ended, and process ") && said.ends_with(" still holds its lock\n"),
        "{said}"
    );
}

/// A host that run r-1 holds under epoch 2, with a guard that fires at 1500 (it is 1000 there).
async fn held() -> Host {
    let host = Host::with(Some("systemd-boot")).await;
    host.program("systemctl", "echo \"ActiveState=${FAKE_STATE-active}\"");
    host.write("run/fleetdeploy/lease", "r-1 2 ada@laptop at home\n");
    host.write("run/fleetdeploy/plan", "run r-1\n");
    host.write("run/fleetdeploy/token/armed-1500", "");
    host
}

/// What systemd 257 lists of these units: a column for jobs only where any of them has one; and none of a unit that it
/// has not loaded.
#[tokio::test]
async fn one_question_tells_of_the_units_and_of_a_shutdown() {
    let host = held().await;
    let words = "ask_systemd; echo asked\n\
                 unit_lives fleetdeploy-guard.service && echo guard\n\
                 unit_lives fleetdeploy-job.service fleetdeploy-rollback.service && echo step\n\
                 shutdown_due && echo \"$shutdown_text\"\n\
                 systemd_says=''; shutdown_due && echo \"again: $shutdown_text\"; echo \"[$systemd_says]\"";
    let down = "a shutdown is under way\nagain: a shutdown is under way\n[]\n";
    for (guard, rollback, shutdown, job, told) in [
        ("active", "", "inactive", "", "guard\n[]\n"),
        ("activating", "deactivating", "inactive", "", "guard\n[]\n"),
        ("failed", "active", "inactive", "", "step\n[]\n"),
        ("", "", "inactive", "start", down),
        ("", "", "inactive", "verify-active", down),
        ("", "", "active", "", down),
        ("", "", "inactive", "", "[]\n"),
    ] {
        for another_job in [false, true] {
            let with_jobs = another_job || !job.is_empty();
            let jobs = if with_jobs { "JOB " } else { "" };
            let mut shown = format!("UNIT LOAD ACTIVE SUB {jobs}DESCRIPTION\n");
            for (unit, state, job) in [
                ("fleetdeploy-guard.service", guard, ""),
                ("fleetdeploy-job.service", "inactive", if another_job { "stop" } else { "" }),
                ("fleetdeploy-rollback.service", rollback, ""),
                ("shutdown.target", shutdown, job),
            ] {
                if !state.is_empty() {
                    let _ = writeln!(shown, "{unit} loaded {state} dead {job} System Shutdown");
                }
            }
            shown += "\nLegend: LOAD   → Reflects whether the unit definition was properly loaded.\n";
            host.program("systemctl", &format!("echo asked >>\"$FLEETDEPLOY_ROOT/asked\"\ncat <<'EOF'\n{shown}EOF"));
            assert_eq!(
                host.says(&["lib.sh"], words).await,
                format!("asked\n{told}"),
                "{guard} {rollback} {shutdown} {job} {another_job}"
            );
        }
    }
    // Once before the fence, and once where nobody had asked; in each shell, of each row.
    let asked = std::fs::read_to_string(host.path("asked")).unwrap();
    assert_eq!(asked.lines().count(), 7 * 2 * 2 * shells().len());
    // A list without the one unit that every host has is no answer: each thing is asked for by itself.
    host.program("systemctl", "case $1 in show) printf 'ActiveState=%s\\nJob=%s\\n' inactive \"$FAKE_JOB\" ;; esac");
    let words = "export FAKE_JOB; for FAKE_JOB in '' 0 7; do shutdown_due && echo \"$FAKE_JOB: $shutdown_text\"; done";
    assert_eq!(host.says(&["lib.sh"], words).await, "7: a shutdown is under way\n");
}

/// To ask systemd for all units is the most that a look costs a host.
#[tokio::test]
async fn units_are_asked_for_only_where_somebody_reads_them() {
    let host = held().await;
    std::fs::create_dir_all(host.path("run/fleetdeploy/jobs")).unwrap();
    host.program(
        "systemctl",
        "case $* in *InvocationID*) echo all >>\"$FLEETDEPLOY_ROOT/asked\" ;; *) echo ActiveState=active ;; esac",
    );
    let standing = ["lib.sh", "boot.sh", "standing.sh"];
    let job = ["lib.sh", "boot.sh", "waiting.sh"];
    for (files, words, asks) in [
        (&standing[..], "main r-1 yes", true),
        (&standing[..], "main r-1 no", false),
        (&job[..], "echo 0 >\"$place/jobs/switch.status\"; print_ending switch", false),
        (&job[..], "echo 4 >\"$place/jobs/switch.status\"; print_ending switch", true),
        (&job[..], "rm \"$place/jobs/switch.status\"; print_ending switch", true),
        (&job[..], "echo 0 >\"$place/jobs/test.status\"; print_ending test", true),
    ] {
        host.write("run/fleetdeploy/jobs/switch.started", "r-1 2\n");
        host.write("run/fleetdeploy/jobs/switch.status", "0\n");
        host.write("run/fleetdeploy/jobs/test.started", "r-1 2\n");
        for shell in shells() {
            let said = host.run(shell, files, words).await.stdout_text();
            assert!(said.contains("\nguard ") && said.contains("\nuptime 1000\n"), "{words}: {said}");
            assert_eq!(said.contains("\nguard armed r-1 1500\n"), !asks, "{words}: {said}");
            assert_eq!(std::fs::remove_file(host.path("asked")).is_ok(), asks, "{shell}: {words}");
            host.write("run/fleetdeploy/jobs/switch.status", "0\n");
        }
    }
}

#[tokio::test]
async fn the_fence_lets_only_the_holder_through() {
    let host = held().await;
    let fence = "fence() { held_by \"$@\" && echo through; }\n";
    let ask = format!(
        "{fence} fence r-1 2 {BOOT_ID}; fence r-1 1 {BOOT_ID}; fence r-1 3 {BOOT_ID}; fence r-2 2 {BOOT_ID}; fence r-1 \
         2 other; rm \"$place/lease\"; fence r-1 2 {BOOT_ID}; echo r-1 2 ada@laptop at home >\"$place/lease\""
    );
    assert_eq!(
        host.says(&["lib.sh"], &ask).await,
        format!(
            "through\n\
             refused superseded\ntext ada@laptop at home has taken this run over\n\
             refused other\ntext epoch 3 was never written here (it is 2): take over first\n\
             refused foreign_lease\ntext run r-1 of ada@laptop at home holds this host\n\
             refused other_boot\ntext this host has restarted: its boot id is {BOOT_ID}, not other\n\
             refused foreign_lease\ntext no run holds this host\n"
        )
    );
}

#[tokio::test]
async fn the_fence_wants_a_living_guard_with_time_left() {
    let host = held().await;
    let ask = "
        export FAKE_STATE; FAKE_STATE=active
        guarded_for 500 && echo through
        guarded_for 501
        FAKE_STATE=activating; guarded_for 1 && echo through
        FAKE_STATE=inactive; guarded_for 1
        FAKE_STATE=active
        mv \"$place/token/armed-1500\" \"$place/token/fired-1500\"; guarded_for 1
        mv \"$place/token/fired-1500\" \"$place/token/disarmed-1500\"; guarded_for 1
        mv \"$place/token/disarmed-1500\" \"$place/token/armed-1500\"";
    assert_eq!(
        host.says(&["lib.sh"], ask).await,
        "through\n\
         refused too_late\ntext the guard fires in 500 s, and 501 s are needed\n\
         through\n\
         refused no_guard\ntext the guard's unit is not running\n\
         refused fired\ntext the guard has fired\n\
         refused no_guard\ntext no guard is armed (it is disarmed)\n"
    );
}

#[tokio::test]
async fn the_fence_names_what_has_moved() {
    let host = held().await;
    let ask = format!(
        "stands_on {A} {A} {B} && echo through; stands_on - - - && echo through; stands_on {A} - {C}; stands_on {B} \
         {A} {B}"
    );
    assert_eq!(
        host.says(&["lib.sh", "boot.sh"], &ask).await,
        format!(
            "through\nthrough\n\
             refused moved\ntext the boot default is {B}, not {C}\n\
             refused moved\ntext the current system is {A}, not {B}\n"
        )
    );
}

/// Disarm, extend and fire all rename one file: one of them comes first, and the others must see that they lost.
#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_rename_the_token_exactly_one_wins() {
    let host = held().await;
    for shell in shells() {
        for _ in 0..25 {
            // All wait for one file to appear, so that they begin together.
            let ask = r#"
                rm -rf "$place/token"; mkdir "$place/token"; : >"$place/token/armed-1500"; rm -f "$root/go"
                for name in disarmed-1500 armed-1600 fired-1500 armed-1700 disarmed-1500 fired-1500; do
                    (
                        read_token
                        until [ -e "$root/go" ]; do :; done
                        [ "$token_deadline" = 1500 ] && move_token armed "$name" && echo "$name"
                    ) &
                done
                sleep 0.02
                : >"$root/go"
                wait
                ls "$place/token""#;
            let finished = host.run(shell, &["lib.sh"], ask).await;
            let text = finished.stdout_text();
            let lines: Vec<&str> = text.lines().collect();
            assert_eq!(lines.len(), 2, "{shell}: one winner and one file, not {text}");
            assert_eq!(lines[0], lines[1], "{shell}");
        }
    }
}

#[tokio::test]
async fn a_later_epoch_takes_a_run_over_once() {
    let host = held().await;
    let ask = r#"
        print_standing() { [ ! -e "$place/lease" ] || cat "$place/lease"; }
        (main r-1 2 ada@desktop); (main r-1 3 ada@desktop); (main r-1 3 ada@desktop); (main r-1 3 bob@x)
        (main r-2 9 bob@x); mkdir -p "$roots/r-2"; (main r-2 9 bob@x)
        rm "$place/lease"; (main r-1 4 bob@x); mkdir -p "$roots/r-1"; (main r-1 4 bob@x)
        rm -r "$roots"; echo r-1 2 ada@laptop at home >"$place/lease""#;
    assert_eq!(
        host.says(&["lib.sh", "boot.sh", "take_over.sh"], ask).await,
        "refused superseded\ntext ada@laptop at home has taken this run over\nr-1 2 ada@laptop at home\nend\n\
         r-1 3 ada@desktop\nend\n\
         r-1 3 ada@desktop\nend\n\
         refused superseded\ntext ada@desktop has taken this run over\nr-1 3 ada@desktop\nend\n\
         refused ended\ntext nothing of run r-2 is left on this host: it has been ended\nr-1 3 ada@desktop\nend\n\
         refused foreign_lease\ntext run r-1 of ada@desktop holds this host\nr-1 3 ada@desktop\nend\n\
         refused ended\ntext nothing of run r-1 is left on this host: it has been ended\nend\n\
         r-1 4 bob@x\nend\n"
    );
}

#[tokio::test]
async fn a_host_that_is_asked_says_whether_anything_of_the_run_is_left_and_is_not_taken() {
    let host = held().await;
    let ask = r#"
        print_standing() { cat "$place/lease"; }
        (main r-1); (main r-2); (main ../x)"#;
    assert_eq!(
        host.says(&["lib.sh", "boot.sh", "ask.sh"], ask).await,
        "r-1 2 ada@laptop at home\nend\n\
         refused ended\ntext nothing of run r-2 is left on this host: it has been ended\nr-1 2 ada@laptop at \
         home\nend\nrefused bad_argument\ntext bad argument: ../x (is_run)\nr-1 2 ada@laptop at home\nend\n"
    );
}

#[tokio::test]
async fn clean_leaves_nothing_and_keeps_what_is_guarded() {
    let host = held().await;
    host.write("nix/var/nix/gcroots/fleetdeploy/r-1/hosts", "vps\n");
    let ask = "print_standing() { :; }\n(main r-1 2 -)";
    assert_eq!(
        host.says(&["lib.sh", "boot.sh", "clean.sh"], ask).await,
        "refused other\ntext a guard is on this host\nend\n"
    );
    host.program("systemctl", "echo ActiveState=inactive");
    std::fs::rename(host.path("run/fleetdeploy/token/armed-1500"), host.path("run/fleetdeploy/token/disarmed-1500"))
        .unwrap();
    assert_eq!(host.says(&["lib.sh", "boot.sh", "clean.sh"], ask).await, "end\n");
    assert!(!host.path("run/fleetdeploy").exists());
    assert!(!host.path("nix/var/nix/gcroots/fleetdeploy").exists());
}

/// Clean takes the lock away with the rest; a script that comes then makes a new one, and holds it.
#[tokio::test]
async fn a_lock_that_somebody_else_has_made_meanwhile_is_left_alone() {
    let host = Host::with(None).await;
    let ask = "cleaned() { rm \"$place/lock\"; : >\"$place/lock\"; }; with_lock cleaned; ls \"$place\"; with_lock \
               true; [ -e \"$place\" ] || echo gone";
    assert_eq!(host.says(&["lib.sh"], ask).await, "lock\ngone\n");
}

/// Asks with `arguments` behind the address (status, body), where the far end answers `code` and `page`.
async fn http(host: &Host, code: &str, page: &str, arguments: &[&str]) -> String {
    // What curl is asked for: the page in the file behind `-o`, the status and the time on stdout.
    host.program(
        "curl",
        "while [ \"$1\" != -o ]; do shift; done; cat \"$FAKE_PAGE\" >\"$2\"; echo \"$FAKE_CODE 0.012\"",
    );
    host.write("page", page);
    let quoted: Vec<String> = arguments.iter().map(|word| format!("'{word}'")).collect();
    let words = format!(
        "work=$root round=1; export FAKE_CODE={code} FAKE_PAGE=\"$root/page\"
        longest=0 now=0; learn_probes probe 1 http 5000 {} http://vps/ {}; begin_probe 1; finish_probe 1",
        arguments.len() + 1,
        quoted.join(" ")
    );
    host.says(&["lib.sh", "probes.sh", "probe.sh"], &words).await.trim_end().to_owned()
}

#[tokio::test]
async fn a_page_without_a_wanted_status_is_up_only_with_success_or_a_redirection() {
    let host = Host::with(None).await;
    for code in ["200", "204", "301", "399"] {
        assert_eq!(http(&host, code, "", &["-"]).await, format!("probe 1 1 up 12000 status {code}"));
    }
    for code in ["000", "100", "404", "500", "502", "2000"] {
        assert_eq!(http(&host, code, "", &["-"]).await, format!("probe 1 1 down - status {code}, which is no success"));
    }
    assert_eq!(http(&host, "401", "", &["401"]).await, "probe 1 1 up 12000 status 401");
    assert_eq!(http(&host, "200", "", &["401"]).await, "probe 1 1 down - status 200, not 401");
}

#[tokio::test]
async fn a_page_must_have_the_text_as_it_stands() {
    let host = Host::with(None).await;
    let page = "<p>Welcome (1.0)</p>\n";
    for text in ["Welcome", "(1.0)", "p>"] {
        assert_eq!(http(&host, "200", page, &["-", text]).await, "probe 1 1 up 12000 status 200", "{text}");
    }
    for text in ["-", "W.lcome", "(1.0|x)", "welcome", "^<p>"] {
        let down = format!("probe 1 1 down - status 200, but the body has no {text} in it");
        assert_eq!(http(&host, "200", page, &["-", text]).await, down);
    }
}

/// What job.sh leaves while it runs a test that does `body`; the end of it is awaited by `wait`.
fn test_job(body: &str) -> String {
    format!(
        r#"
        mkdir -p "$place/jobs"
        job() {{
            exec 8>"$place/jobs/test.lock" && flock 8
            echo r-1 1 >"$place/jobs/test.started"
            sleep 0.1
            exec >"$place/jobs/test.log"
            {body}
            echo 0 | write_file "$place/jobs/test.status"
        }}
        rm -rf "$place/jobs"/* "$root/heard"
        job &
        "#
    )
}

#[tokio::test]
async fn what_a_job_prints_is_told_while_it_runs_and_none_of_it_twice() {
    let host = held().await;
    let body = r#"
        echo first
        until [ -e "$root/heard" ]; do sleep 0.02; done
        i=0; while [ "$i" -lt 200 ]; do i=$((i + 1)); echo "line $i"; done
        printf '\tthe \033[1mend\033[0m \\ without a line'"#;
    let ask = format!(
        "{} await_job test 20 | while IFS= read -r line; do printf '%s\n' \"$line\"; : >\"$root/heard\"; done; wait; \
         read_job test; echo \"$job_state\"",
        test_job(body)
    );
    let lines: Vec<String> = (1..=200).map(|line| format!("printed test line {line}\n")).collect();
    let expected =
        format!("printed test first\n{}printed test  the end \\\\ without a line\nexited 0\n", lines.concat());
    assert_eq!(host.says(&["lib.sh", "waiting.sh"], &ask).await, expected);
}

#[tokio::test]
async fn a_job_that_has_ended_already_has_printed_all_the_same() {
    let host = held().await;
    let ask = format!(
        "{} wait; await_job test 20; await_job switch 0; print_logs switch test",
        test_job("echo a; echo; echo b")
    );
    let log = "printed test a\nprinted test \nprinted test b\n";
    host.program("systemctl", "echo ActiveState=inactive");
    assert_eq!(host.says(&["lib.sh", "waiting.sh"], &ask).await, format!("{log}{log}"));
}

/// As after a lost connection: the job goes on, and the process that copied its output is gone.
#[tokio::test]
async fn nobody_goes_on_copying_for_nobody() {
    let host = held().await;
    let ask = format!(
        r#"{} await_job test 20 | head -n 1; : >"$root/heard"; wait; tail -n 1 "$place/jobs/test.log""#,
        test_job(r#"until [ -e "$root/heard" ]; do echo more; sleep 0.1; done; echo the job has ended by itself"#)
    );
    assert_eq!(host.says(&["lib.sh", "waiting.sh"], &ask).await, "printed test more\nthe job has ended by itself\n");
}

#[tokio::test]
async fn a_journal_is_only_read_of_what_can_be_a_unit() {
    let host = Host::with(None).await;
    host.program(
        "journalctl",
        r#"for unit; do :; done; [ "$unit" = silent.service ] || printf '%s says\n\033[31mno\033[0m\n' "$unit""#,
    );
    let ask = r"(main a.service silent.service 'dev-x\x2dy.mount'); (main a.service '*.service'); (main --user)";
    assert_eq!(
        host.says(&["lib.sh", "journal.sh"], ask).await,
        "unit a.service\nlog a.service says\nlog no\nunit silent.service\nunit dev-x\\\\x2dy.mount\nlog \
         dev-x\\\\x2dy.mount says\nlog no\nend\nrefused bad_argument\ntext bad argument: *.service (is_unit)\nend\n\
         refused bad_argument\ntext bad argument: --user (is_unit)\nend\n"
    );
}

/// Systems with a kernel each, as links into the store, and its parameters as text.
fn kernel(host: &Host, system: &str, version: &str, parameters: &str) {
    for part in ["kernel", "initrd", "kernel-modules"] {
        host.write(&format!("nix/store/{version}/{part}"), "");
        host.link(&format!("{}/{part}", &system[1..]), &format!("../{version}/{part}"));
    }
    host.write(&format!("{}/kernel-params", &system[1..]), parameters);
    host.write(&format!("{}/nixos-version", &system[1..]), "25.11");
}

#[tokio::test]
async fn what_only_a_reboot_brings_is_what_differs_from_what_was_booted() {
    let host = Host::with(None).await;
    kernel(&host, A, "6.12.1", "quiet");
    kernel(&host, B, "6.12.1", "quiet");
    kernel(&host, C, "6.12.2", "loglevel=4");
    host.program(
        "nix",
        r"case $* in
        *diff-closures*/nix/store/a*/nix/store/c*) printf 'app: 1 → 2, \033[31;1m+13.9 KiB\033[0m\n' ;;
        *diff-closures*/nix/store/a*/nix/store/b*) ;;
        *) exit 1 ;;
        esac",
    );
    let ask = |new: &str| format!("read_systems; compare_systems {A} {new}");
    let files = ["lib.sh", "boot.sh", "comparing.sh"];
    assert_eq!(host.says(&files, &ask(B)).await, "compared yes\n");
    assert_eq!(
        host.says(&files, &ask(C)).await,
        "compared yes\nchange app: 1 → 2, +13.9 KiB\nreboot_for kernel\nreboot_for initrd\nreboot_for \
         kernel-modules\nreboot_for kernel-params\n"
    );
    // Where what runs was never booted, what its successor changes is told apart from what was pending already.
    let ask = |old: &str, new: &str| format!("read_systems; put_brought {old} {new}");
    assert_eq!(host.says(&files, &ask(A, C)).await, "");
    assert_eq!(host.says(&files, &ask(C, C)).await, "");
    host.write(&format!("{}/kernel-params", &B[1..]), "loglevel=4");
    assert_eq!(host.says(&files, &ask(B, A)).await, "brings kernel-params\n");
    // A container has no kernel, and a nix that fails says nothing.
    let container = A.replace('a', "d");
    host.write(&format!("{}/nixos-version", &container[1..]), "25.11");
    let ask = format!("booted={container}; compare_systems {container} {container}");
    assert_eq!(host.says(&files, &ask).await, "");
}

#[tokio::test]
async fn generations_are_told_with_the_time_that_nix_shows_and_whether_their_systems_are_left() {
    let host = Host::with(None).await;
    host.link("nix/var/nix/profiles/system-2-link", B);
    host.link("nix/var/nix/profiles/system-x-link", B);
    for (link, at) in [(1, "2026-11-20 00:00:10"), (2, "2026-11-20 00:00:20")] {
        let link = host.path(&format!("nix/var/nix/profiles/system-{link}-link"));
        let touched = Invocation::new("touch", Duration::from_secs(20))
            .args(["--no-dereference", "--date"])
            .arg(format!("{at} UTC"))
            .arg(link);
        assert!(touched.run().await.unwrap().succeeded());
    }
    host.write(&format!("{}/nixos-version", &A[1..]), "25.11");
    host.program("nix-store", "exit 0");
    let ask = format!("(main {A}); (main {B}); (main -); (main /etc)");
    let generations = format!("generation 1 1795132810 here {A}\ngeneration 2 1795132820 gone {B}\nend\n");
    assert_eq!(
        host.says(&["lib.sh", "comparing.sh", "generations.sh"], &ask).await,
        format!(
            "kept yes\n{generations}kept no\n{generations}{generations}\
             refused bad_argument\ntext bad argument: /etc (is_expectation)\nend\n"
        )
    );
    // What is there and not valid was left by a collector.
    host.program("nix-store", "exit 1");
    assert!(
        host.says(&["lib.sh", "comparing.sh", "generations.sh"], &format!("main {A}")).await.starts_with("kept no\n")
    );
}

/// One question for all: which of them are missing, and all of them where Nix cannot tell.
#[tokio::test]
async fn what_is_not_in_the_store_is_named_by_one_question() {
    let host = Host::with(None).await;
    let ask = format!("old_current={A} old_boot={A} new={B}; look_for_paths");
    let says = async || host.says(&["lib.sh", "boot.sh", "comparing.sh", "prepare.sh"], &ask).await;
    let missing = |path: &str| format!("misfit missing {path} is not in this host's store\n");
    let asked = format!("--check-validity --print-invalid {A} {B}");
    host.program("nix-store", &format!("[ \"$*\" = '{asked}' ] && echo {B}"));
    assert_eq!(says().await, missing(B));
    // Of a system that is not there nothing else is said: what it lacks besides is no cause.
    let files = ["lib.sh", "boot.sh", "comparing.sh", "prepare.sh"];
    let said = host.says(&files, &format!("main r-1 {A} {A} {B} 5 - vps")).await;
    assert_eq!(said, missing(B) + "check unknown\nend\n");
    host.program("nix-store", "exit 0");
    assert_eq!(says().await, "");
    host.program("nix-store", "exit 1");
    assert_eq!(says().await, missing(A) + &missing(B));
}

/// Both names are told where they differ, and neither where they do not, with whatever domain.
#[tokio::test]
async fn a_system_with_another_name_tells_both() {
    let host = Host::with(None).await;
    let files = ["lib.sh", "boot.sh", "comparing.sh", "prepare.sh"];
    let says = async |here: &str, new: &str| {
        host.write("proc/sys/kernel/hostname", format!("{here}\n"));
        host.write(&format!("{}/etc/hostname", &B[1..]), format!("{new}\n"));
        let said = host.says(&files, &format!("old_boot={A} new={B} run=r-1; look_at_new")).await;
        said.lines().filter(|line| line.starts_with("named")).collect::<Vec<_>>().join("|")
    };
    assert_eq!(says("box", "attic").await, "named_here box|named_new attic");
    assert_eq!(says("box.example.org", "box").await, "");
}

/// What a push says of a system is kept by the name of that system, and told of no other one.
#[tokio::test]
async fn where_a_system_comes_from_is_told_of_that_system_alone_and_goes_with_it() {
    let host = Host::with(None).await;
    let file = |system: &str| format!("nix/var/nix/fleetdeploy/{}", &system[11..43]);
    let brought = r#"{"run":"r-1","source":"git+file:///a b?x=$(reboot)`reboot`'","by":"ada@laptop"}"#;
    host.write("told", brought);
    let keep = format!("read -r origin <\"$root/told\"; new={B}; keep_origin; origin=-; keep_origin");
    assert_eq!(host.says(&["lib.sh", "prepare.sh"], &keep).await, "");
    assert_eq!(host.text(&file(B)), format!("{B}\n{brought}\nend\n"));
    let ask = format!("survey_origin {B}; survey_origin {A}; survey_origin -; survey_origin ''");
    let told = format!("origin {B} {brought}\n");
    let tells = async || host.says(&["lib.sh", "survey.sh"], &ask).await;
    assert_eq!(tells().await, told);
    // What another run left without a word about it is not lost by a push that has none.
    for part in [
        String::new(),
        format!("{B}\n"),
        format!("{B}\n{brought}\n"),
        format!("{A}\n{brought}\nend\n"),
        format!("{B}\n{}\nend\n", "x".repeat(1501)),
    ] {
        host.write(&file(B), &part);
        assert_eq!(tells().await, "", "{part}");
    }
    // It is one line for the host, and no more than that.
    let long = format!("{{{}}}", "x".repeat(1499));
    for (origin, fits) in
        [("-", true), (brought, true), ("", false), ("vps", false), ("{\u{1b}}", false), (&long, false)]
    {
        host.write("told", origin);
        let ask = "origin=$(cat \"$root/told\"); is_origin \"$origin\" && echo yes; :";
        let said = host.says(&["lib.sh", "prepare.sh"], ask).await;
        assert_eq!(said == "yes\n", fits, "{origin}");
    }
    // It goes with a clean-up once its system is gone.
    for system in [A, B] {
        host.write(&file(system), format!("{system}\n{brought}\nend\n"));
    }
    host.write("nix/var/nix/fleetdeploy/odd", "whatever\n");
    host.write(&B[1..], "");
    assert_eq!(host.says(&["lib.sh", "clean.sh"], "run=r-1; clean_roots").await, "");
    let kept = [A, B].map(|system| host.path(&file(system)).exists());
    assert_eq!((kept, host.path("nix/var/nix/fleetdeploy/odd").exists()), ([false, true], true));
}

/// A program that writes links otherwise, or is not there, costs more processes and no answer.
#[tokio::test]
async fn the_systems_are_read_without_stat_too() {
    let host = Host::with(None).await;
    let ask = "read_boot_default() { :; }; read_systems; echo \"$current $booted $profile $generation\"";
    let said = host.says(&["lib.sh"], ask).await;
    assert_eq!(said, format!("{A} {A} {A} 1\n"));
    for body in ["exit 1", "for link in $*; do echo \"$link -> somewhere\"; done"] {
        host.program("stat", body);
        assert_eq!(host.says(&["lib.sh"], ask).await, said, "{body}");
    }
}

#[tokio::test]
async fn two_systems_are_compared_as_far_as_they_are_here_and_what_was_booted_is_told() {
    let host = Host::with(None).await;
    kernel(&host, A, "6.12.1", "quiet");
    host.program("nix-store", "exit 0");
    host.program("nix", "echo 'app: 1 → 2'");
    let store = host.path("nix/store").display().to_string();
    let booted = format!(
        "booted kernel {store}/6.12.1/kernel\nbooted initrd {store}/6.12.1/initrd\n\
         booted kernel-modules {store}/6.12.1/kernel-modules\nbooted_params quiet\nend\n"
    );
    let files = ["lib.sh", "boot.sh", "comparing.sh", "compare.sh"];
    assert_eq!(host.says(&files, &format!("main {A} {B}")).await, format!("kept no\n{booted}"));
    kernel(&host, B, "6.12.1", "loglevel=4");
    let both = format!("kept yes\ncompared yes\nchange app: 1 → 2\nreboot_for kernel-params\n{booted}");
    assert_eq!(host.says(&files, &format!("main {A} {B}")).await, both);
    // With how the host stands, as the scripts that change a host say it.
    let said = host.says(&files, &format!("main {A} /etc")).await;
    assert!(said.starts_with("refused bad_argument\ntext bad argument: /etc (is_store_path)\nboot_id "), "{said}");
    assert!(said.contains("\nboot_default ") && said.ends_with("end\n"), "{said}");
}

#[tokio::test]
async fn a_dry_activation_is_not_run_where_a_run_holds_the_host() {
    let host = Host::with(None).await;
    let program = format!("{}/bin/switch-to-configuration", &A[1..]);
    host.write(
        &program,
        "#!/bin/sh\n[ \"$1\" = dry-activate ] && echo \"would stop the following units: a.service\" >&2\nexit 3\n",
    );
    std::fs::set_permissions(host.path(&program), std::fs::Permissions::from_mode(0o755)).unwrap();
    let files = ["lib.sh", "dry_activate.sh"];
    assert_eq!(
        host.says(&files, &format!("main {A} 20")).await,
        "status 3\nlog would stop the following units: a.service\nend\n"
    );
    host.write("run/fleetdeploy/lease", "run-1 1 ada@laptop\n");
    assert_eq!(
        host.says(&files, &format!("main {A} 20")).await,
        "refused foreign_lease\ntext run run-1 of ada@laptop holds this host\nend\n"
    );
}

/// Runs `exec.sh` as a host does, its input open for some seconds: what it says on stdout and stderr, times taken out.
async fn exec(shell: &Path, open: &str, limit: &str, words: &[&str]) -> (String, String) {
    let text = std::fs::read_to_string(scripts().join("exec.sh")).unwrap() + "main \"$@\"\n";
    let piped = "open=$1 shell=$2 text=$3; shift 3; sleep \"$open\" | \"$shell\" -c \"$text\" fleetdeploy \"$@\"";
    let finished = Invocation::new("sh", Duration::from_secs(60))
        .args(["-c", piped, "test", open])
        .arg(shell)
        .args([&text, "MARK", "login", limit])
        .args(words)
        .run()
        .await
        .unwrap();
    let stderr = finished.stderr_text();
    let stderr: Vec<String> = stderr
        .lines()
        .map(|line| match line.strip_prefix("MARK ended ").map(|ended| ended.split(' ').collect::<Vec<_>>()) {
            Some(words) => format!("ended {} {}", words[0], words[2]),
            None => line.to_owned(),
        })
        .collect();
    (finished.stdout_text(), stderr.join("\n"))
}

/// The shells of [`shells`] by the name `sh`, as a host has them: bash is another one then.
fn as_sh() -> (tempfile::TempDir, Vec<PathBuf>) {
    let folder = tempfile::tempdir().unwrap();
    let name = |shell: &str| {
        let program = ["/bin", "/usr/bin"].map(|place| Path::new(place).join(shell));
        let program = program.into_iter().find(|program| program.exists()).unwrap();
        std::fs::create_dir(folder.path().join(shell)).unwrap();
        let sh = folder.path().join(shell).join("sh");
        symlink(program, &sh).unwrap();
        sh
    };
    let all = shells().into_iter().map(name).collect();
    (folder, all)
}

#[tokio::test]
async fn a_typed_command_ends_by_itself_by_its_time_or_with_the_input() {
    let (_folder, all) = as_sh();
    let tried = all.iter().map(|shell| async move {
        let stubborn = ["sh", "-c", "trap '' TERM; sleep 100 & while :; do sleep 0.2; done"];
        let echo = ["sh", "-c", "echo \"$1\"; echo err >&2; exit 143", "\\0134", "a\\0012b\\0012"];
        let (itself, by_time, by_input, missing) = tokio::join!(
            exec(shell, "2", "60", &echo),
            exec(shell, "9", "1", &stubborn),
            exec(shell, "1", "60", &["sleep", "100"]),
            exec(shell, "1", "60", &["/nowhere/to be found"]),
        );
        let shown = shell.display();
        assert_eq!(itself, ("a\nb\n\n".into(), "MARK begun\nerr\nended 143 by_itself".into()), "{shown}");
        assert_eq!(by_time, (String::new(), "MARK begun\nended 137 timed_out".into()), "{shown}");
        assert_eq!(by_input.1.lines().last(), Some("ended 143 stopped"), "{shown}: {}", by_input.1);
        assert_eq!(missing.1.lines().last(), Some("ended 127 by_itself"), "{shown}: {}", missing.1);
        assert_eq!((by_input.1.lines().count(), missing.1.lines().count()), (2, 3), "{shown}");
    });
    futures::future::join_all(tried).await;
}
