use super::output::{LINE_LIMIT, TALK_LIMIT};
use super::*;

const LONG: Duration = Duration::from_secs(30);

#[tokio::test]
async fn both_ends_and_the_status_are_captured() {
    let finished =
        Invocation::new("sh", LONG).args(["-c", "cat; echo talk >&2; exit 7"]).input("answer").run().await.unwrap();
    assert_eq!(
        (finished.status, finished.stdout_text(), finished.stderr_text()),
        (Some(7), "answer".into(), "talk\n".into())
    );
}

#[tokio::test]
async fn a_child_that_outlives_its_limit_is_killed_with_its_own_children() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let error = Invocation::new("sh", Duration::from_millis(300))
        .args(["-c", "sleep 600 & echo $! > \"$0\"; wait"])
        .arg(&file)
        .run()
        .await
        .unwrap_err();
    assert!(matches!(error, ProcessError::TimedOut { .. }), "{error}");
    let grandchild: i32 = std::fs::read_to_string(&file).unwrap().trim().parse().unwrap();
    assert_goes(grandchild).await;
}

fn is_gone(process: i32) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    state.is_empty() || state.contains(") Z ")
}

/// The kill is sent; the kernel may need a moment to carry it out.
async fn assert_goes(process: i32) {
    for _ in 0..200 {
        if is_gone(process) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("process {process} is still there");
}

#[tokio::test]
async fn a_child_that_does_not_listen_is_killed_before_the_program_ends() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let error = Invocation::new("sh", Duration::from_millis(300))
        .args(["-c", "trap : TERM; echo $$ > \"$0\"; sleep 600; sleep 600"])
        .arg(&file)
        .run()
        .await
        .unwrap_err();
    assert!(matches!(error, ProcessError::TimedOut { .. }), "{error}");
    let shell: i32 = std::fs::read_to_string(&file).unwrap().trim().parse().unwrap();
    let_children_end().await;
    assert_goes(shell).await;
}

#[tokio::test]
async fn what_a_child_leaves_behind_does_not_keep_it_from_having_ended() {
    let finished =
        Invocation::new("sh", LONG).args(["-c", "sleep 600 & echo $!; echo talk >&2; exit 3"]).run().await.unwrap();
    assert_eq!((finished.status, finished.stderr_text()), (Some(3), "talk\n".into()));
    let left: i32 = finished.stdout_text().trim().parse().unwrap();
    assert!(!is_gone(left), "it was asked to stay");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(left), nix::sys::signal::Signal::SIGKILL).unwrap();
}

#[tokio::test]
async fn a_child_has_a_process_group_of_its_own() {
    let finished =
        Invocation::new("sh", LONG).args(["-c", "cut -d' ' -f5 /proc/$$/stat; echo $$"]).run().await.unwrap();
    let text = finished.stdout_text();
    let numbers: Vec<&str> = text.lines().collect();
    assert_eq!(numbers[0], numbers[1]);
}

/// What a child may make us keep, in bytes: `limit` on either stream, or it is ended.
#[tokio::test]
async fn a_child_that_prints_without_an_end_is_ended() {
    for (script, limits) in [
        ("exec yes", (100_000, 100_000)),
        ("exec yes >&2", (100_000, 100_000)),
        // No line ever ends.
        ("exec tr '\\0' x </dev/zero", (100_000, 100_000)),
        ("exec tr '\\0' x </dev/zero >&2", (100_000, 100_000)),
    ] {
        let mut longest = 0;
        let ran = Invocation::new("sh", LONG).args(["-c", script]).at_most(limits.0, limits.1);
        let error = ran.run_with(|line| longest = longest.max(line.len())).await.unwrap_err();
        assert!(matches!(error, ProcessError::TooMuch { most: 100_000, .. }), "{script}: {error}");
        assert!(longest <= 100_000, "{script}: {longest}");
    }
    let endless = Invocation::new("sh", LONG).args(["-c", "exec tr '\\0' x </dev/zero >&2"]).longest_line(1 << 20);
    assert!(matches!(endless.run().await, Err(ProcessError::TooMuch { .. })));
    let just = Invocation::new("sh", LONG).args(["-c", "printf 12345; printf 123456 >&2"]).at_most(5, 6);
    let finished = just.run().await.unwrap();
    assert_eq!((finished.stdout_text().as_str(), finished.stderr_text().as_str()), ("12345", "123456"));
}

#[tokio::test]
async fn of_a_long_talk_the_end_is_kept_and_of_a_long_line_the_beginning() {
    let script = "head -c 6000000 /dev/zero | tr '\\0' 'x' >&2; echo >&2; i=0; \
                  while [ $i -lt 40 ]; do head -c 200000 /dev/zero | tr '\\0' y >&2; echo >&2; i=$((i + 1)); done; \
                  echo the end >&2";
    let mut lengths = Vec::new();
    let finished = Invocation::new("sh", LONG).args(["-c", script]).run_with(|line| lengths.push(line.len()));
    let finished = finished.await.unwrap();
    assert_eq!((lengths[0], lengths.len(), *lengths.last().unwrap()), (LINE_LIMIT, 42, 7));
    assert!(finished.stderr.len() as u64 <= 2 * TALK_LIMIT, "{}", finished.stderr.len());
    assert!(finished.stderr_text().ends_with("\nthe end\n"));
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named() {
    let error = Invocation::new("no-such-program-here", LONG).run().await.unwrap_err();
    assert_eq!(error.to_string(), "cannot start `no-such-program-here`");
}

/// By a path it is made by `posix_spawn(3)`, whatever its PATH; by its name it has what it would have had from a shell.
#[tokio::test]
async fn a_child_is_started_by_its_file_and_has_its_name() {
    let shown = "tr '\\000' '\\n' </proc/$$/cmdline | head -n 1; readlink /proc/$$/exe; command -v sh";
    let finished = Invocation::new("sh", LONG).args(["-c", shown]).run().await.unwrap();
    let text = finished.stdout_text();
    let [name, program, found] = text.lines().collect::<Vec<_>>()[..] else { panic!("{text}") };
    assert_eq!(name, "sh");
    assert_eq!(std::path::Path::new(program), std::fs::canonicalize(found).unwrap());
    let child = Invocation::new("sh", LONG);
    let file = programs::file(OsStr::new("sh"), None).unwrap();
    let command = child.command(file.as_os_str(), None).unwrap();
    assert_eq!(command.as_std().get_program(), file.as_os_str());
}

/// As in a shell.
#[tokio::test]
async fn a_script_that_names_no_shell_is_run_by_one() {
    let home = tempfile::tempdir().unwrap();
    let script = home.path().join("no-shell-named");
    std::fs::write(&script, "echo \"it runs: $1\"\n").unwrap();
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = std::env::join_paths([home.path().into(), std::path::PathBuf::from("/nowhere")]).unwrap();
    let finished = Invocation::new("no-shell-named", LONG).arg("a b").env("PATH", path).run().await.unwrap();
    assert_eq!((finished.status, finished.stdout_text().as_str()), (Some(0), "it runs: a b\n"));
}

/// Each of these is called by a link, and knows by its name what it is to be.
#[tokio::test]
async fn a_program_of_several_in_one_file_goes_by_its_name() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    std::fs::create_dir(at("profile")).unwrap();
    let shell = std::env::split_paths(&std::env::var_os("PATH").unwrap())
        .map(|folder| folder.join("bash"))
        .find(|file| file.exists())
        .unwrap();
    std::os::unix::fs::symlink(&shell, at("profile/several")).unwrap();
    let called = Invocation::new("several", LONG).args(["-c", "echo $0"]).env("PATH", at("profile"));
    assert_eq!(called.run().await.unwrap().stdout_text(), "several\n");
}
