use super::*;

/// Three hosts, recorded from Nix 2.26.3: `bad` fails, two systems need it, the third is built.
const BUILD: &str = include_str!("../samples/build-failed.log");

/// Two paths to a host over ssh-ng, recorded from Nix 2.26.3.
const COPY: &str = include_str!("../samples/copy.log");

fn tracked(lines: &str) -> Tracker {
    let mut tracker = Tracker::default();
    for line in lines.lines() {
        tracker.take(line);
    }
    tracker
}

/// All different values of what is looked at, in order.
fn course<Value: PartialEq>(lines: &str, look: impl Fn(&Progress) -> Value) -> Vec<Value> {
    let mut tracker = Tracker::default();
    let mut course = Vec::new();
    for line in lines.lines() {
        tracker.take(line);
        let value = look(&tracker.progress());
        if course.last() != Some(&value) {
            course.push(value);
        }
    }
    course
}

fn error(text: &str) -> String {
    format!(
        "@nix {}",
        serde_json::json!({"action": "msg", "level": 0, "msg": format!("\u{1b}[31;1merror:\u{1b}[0m {text}")})
    )
}

#[test]
fn a_build_counts_what_is_done_and_what_failed() {
    let last = tracked(BUILD).progress();
    assert_eq!(last, Progress { builds: Count { done: 2, expected: 3, running: 0, failed: 1 }, ..Progress::default() });
    let done = course(BUILD, |progress| (progress.builds.done, progress.builds.failed));
    assert_eq!(done, [(0, 0), (1, 0), (1, 1), (2, 1)]);
}

#[test]
fn running_builds_are_named_with_phase_and_last_line() {
    let running = course(BUILD, |progress| progress.running.clone());
    let build = |name: &str, phase: Option<&str>, line: Option<&str>| {
        let own = |text: &str| text.to_owned();
        vec![RunningBuild { name: own(name), phase: phase.map(own), machine: None, last_line: line.map(own) }]
    };
    let bad = "building bad /nix/store/jf93vdhms5pb1x0df9wlpwji9gxw7ykm-base";
    assert_eq!(
        running,
        [
            vec![],
            build("base", None, None),
            build("base", None, Some("one")),
            build("base", None, Some("two")),
            vec![],
            build("bad", None, None),
            build("bad", None, Some(bad)),
            build("bad", None, Some("it hurts")),
            vec![],
            build("nixos-system-vps-1", None, None),
            build("nixos-system-vps-1", Some("buildPhase"), None),
            build("nixos-system-vps-1", Some("buildPhase"), Some("hello nixos-system-vps-1")),
            vec![],
        ]
    );
}

#[test]
fn only_the_derivation_that_failed_itself_is_blamed() {
    let failures = tracked(BUILD).into_failures();
    assert_eq!(
        failures.into_iter().map(|(derivation, failure)| (derivation.to_string(), failure)).collect::<Vec<_>>(),
        [(
            "/nix/store/fbmpni32r9wmi1qrgvi998c5qpih9qsv-bad.drv".to_owned(),
            Failure {
                reason: "builder for '/nix/store/fbmpni32r9wmi1qrgvi998c5qpih9qsv-bad.drv' failed with exit code 3"
                    .into(),
                log: vec!["building bad /nix/store/jf93vdhms5pb1x0df9wlpwji9gxw7ykm-base".into(), "it hurts".into()],
            }
        )]
    );
}

#[test]
fn a_single_build_that_failed_is_told_after_it_stopped() {
    let drv = "/nix/store/fbmpni32r9wmi1qrgvi998c5qpih9qsv-bad.drv";
    let lines = [
        format!(r#"@nix {{"action":"start","fields":["{drv}","",1,1],"id":7,"level":3,"type":105}}"#),
        r#"@nix {"action":"result","fields":["it hurts"],"id":7,"type":101}"#.into(),
        r#"@nix {"action":"stop","id":7}"#.into(),
        error(&format!("\u{1b}[0mbuilder for '\u{1b}[35;1m{drv}\u{1b}[0m' failed with exit code 3\u{1b}[0m")),
    ];
    let failures = tracked(&lines.join("\n")).into_failures();
    assert_eq!(failures.values().next().unwrap().log, ["it hurts"]);
}

/// The shape since Nix 2.31, and in Determinate Nix.
#[test]
fn the_newer_words_for_a_failure_are_understood() {
    let bad = "/nix/store/fbmpni32r9wmi1qrgvi998c5qpih9qsv-bad.drv";
    let mid = "/nix/store/ljz73nx4qrarpq34315znqcgpwds83hn-mid.drv";
    let lines = [
        error(&format!(
            "Cannot build '{bad}'.\n       Reason: builder failed with exit code 3.\n       Output paths:\n         /nix/store/x\n       Last 1 log lines:\n       > it hurts"
        )),
        error(&format!(
            "Cannot build '{mid}'.\n       Reason: 1 dependency failed.\n       Output paths:\n         /nix/store/y"
        )),
        error("Build failed due to failed dependency"),
    ];
    let failures = tracked(&lines.join("\n")).into_failures();
    let reasons: Vec<_> = failures.values().map(|failure| failure.reason.as_str()).collect();
    assert_eq!(reasons, [format!("Cannot build '{bad}'.\nReason: builder failed with exit code 3.")]);
}

/// Recorded from Nix 2.26.3: it never starts a build, and ends everything, `--keep-going` or not.
#[test]
fn a_missing_platform_is_blamed_on_the_derivation_that_wants_it() {
    let arm = "/nix/store/8dipn0kcq380z46vc4hcnnkmksrxhv4v-arm.drv";
    let text = format!(
        "a 'aarch64-linux' with features {{}} is required to build '{arm}', but I am a 'x86_64-linux' with features {{kvm}}"
    );
    let failures = tracked(&error(&text)).into_failures();
    assert_eq!(
        failures.into_iter().map(|(path, failure)| (path.to_string(), failure.reason)).collect::<Vec<_>>(),
        [(arm.to_owned(), text)]
    );
}

#[test]
fn a_copy_counts_bytes_of_paths() {
    assert_eq!(
        tracked(COPY).progress(),
        Progress {
            copied: Amount { done: 288, expected: 288 },
            paths: Count { done: 1, expected: 1, ..Count::default() },
            ..Progress::default()
        }
    );
    let copied = course(COPY, |progress| (progress.copied.done, progress.copied.expected));
    assert_eq!((copied[0], copied[1]), ((0, 0), (0, 288)));
    assert!(copied.is_sorted() && copied[1..].iter().all(|&(_, expected)| expected == 288), "{copied:?}");
}

#[test]
fn what_others_say_is_the_message_when_nix_says_nothing() {
    assert_eq!(tracked("ssh: no route\n").message(), "ssh: no route");
    assert_eq!(tracked("").message(), "nix gave no reason");
    assert_eq!(tracked(&format!("ssh: no route\n{}", error("failed to start"))).message(), "failed to start");
}

#[test]
fn a_flood_is_kept_within_bounds() {
    let mut tracker = Tracker::default();
    for id in 0..10_000 {
        tracker.take(&format!(r#"@nix {{"action":"start","fields":["/nix/store/x.drv"],"id":{id},"type":105}}"#));
        tracker.take(&format!(r#"@nix {{"action":"result","fields":["x"],"id":{id},"type":101}}"#));
        tracker.take(&format!(r#"@nix {{"action":"stop","id":{id}}}"#));
        tracker.take("ssh: again");
        tracker.take(&error("no"));
    }
    assert_eq!((tracker.live.len(), tracker.builds.len()), (0, STOPPED_BUILDS));
    assert_eq!((tracker.others.len(), tracker.errors.len()), (KEPT_MESSAGES, KEPT_MESSAGES));
}
