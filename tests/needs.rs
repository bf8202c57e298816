//! Runs what the repository's own scripts do to install what they need, with programs that only tell how they are
//! called: nothing is installed.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "helpers of tests are tests, and start a shell")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

fn bash(folder: &Path, script: &str) -> Output {
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let mut bash = Command::new("bash");
    bash.args(["-euc", script]).env("PATH", path).env("CARGO_HOME", folder).current_dir(env!("CARGO_MANIFEST_DIR"));
    bash.output().unwrap()
}

fn program(folder: &Path, name: &str, script: &str) {
    let path = folder.join(name);
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Cargo is silent with `--quiet`, for half an hour on a slow machine.
#[test]
fn who_waits_for_nextest_to_be_installed_is_told_so_and_sees_it_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let cargo = "case \"$*\" in *quiet*) ;; *) echo '   Compiling one v1.0.0' >&2 ;; esac";
    program(folder.path(), "cargo", cargo);
    let ended = bash(folder.path(), ". scripts/needs.sh; install_nextest");
    let told = String::from_utf8(ended.stderr).unwrap();
    assert!(told.starts_with("installing cargo-nextest") && told.contains("half an hour"), "{told}");
    assert!(told.contains("Compiling one"), "{told}");
    assert!(ended.stdout.is_empty());
}

/// No question, no service started, nothing read from stdin: that is `by_apt` of scripts/needs.sh. And it is asked for
/// what is missing alone.
#[test]
fn the_lab_is_installed_as_everything_else_and_only_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    program(folder.path(), "apt-get", "echo asked >&2");
    let script = "code=scripts/lab lab=/nowhere cgroup2=''; . scripts/lab/build.sh
        programs='no-such-program its-package\nsh dash'
        by_apt() { echo \"by_apt $*\"; }
        may_install() { true; }
        lab_install || true";
    let ended = bash(folder.path(), script);
    let told = String::from_utf8(ended.stdout).unwrap();
    assert!(told.contains("by_apt its-package\n"), "{told}");
    assert!(!String::from_utf8(ended.stderr).unwrap().contains("asked"));
}
