use super::*;

/// Three hosts, recorded from Nix 2.26.3: `bad` fails, two systems need it, the third is built.
const BUILD: &str = include_str!("../samples/build-failed.log");

/// Two paths from a binary cache on the web, and two builds on them, recorded from Nix 2.26.3; most counts are left
/// out.
const SUBSTITUTED: &str = include_str!("../samples/substituted.log");

/// Three systems one after the other, recorded from Nix 2.26.3: it lets none of them stop before the last is built.
const SYSTEMS: &str = include_str!("../samples/systems.log");

/// The same with a fourth one that fails, three at a time.
const SYSTEMS_FAILED: &str = include_str!("../samples/systems-failed.log");

/// As [`SUBSTITUTED`], from a folder.
const SUBSTITUTED_FROM_FOLDER: &str = include_str!("../samples/substituted-from-folder.log");

/// Two paths to a host over ssh-ng, recorded from Nix 2.26.3.
const COPY: &str = include_str!("../samples/copy.log");

const BAD: &str = "/nix/store/fbmpni32r9wmi1qrgvi998c5qpih9qsv-bad.drv";
const VPS: &str = "/nix/store/zl65qzggwjsc35lm1d10vgcnjc2l8nnh-nixos-system-vps-1.drv";

fn tracked(lines: &str) -> Tracker {
    let mut tracker = Tracker::default();
    for line in lines.lines() {
        tracker.take(line);
    }
    tracker
}

/// All different values of what is looked at, in order.
fn course<Value: PartialEq>(lines: &str, look: impl Fn(&NixProgress) -> Value) -> Vec<Value> {
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
    assert_eq!(
        last,
        NixProgress { builds: Count { done: 2, expected: 6, running: 0, failed: 1 }, ..NixProgress::default() }
    );
    let done = course(BUILD, |progress| (progress.builds.done, progress.builds.failed));
    assert_eq!(done, [(0, 0), (1, 0), (1, 1), (2, 1)]);
    // One by one while nix lists them, and from then on what it said.
    assert_eq!(course(BUILD, |progress| progress.builds.expected), [0, 1, 2, 3, 4, 5, 6]);
}

/// Newer words of one message, in one.
#[test]
fn what_will_be_built_is_known_from_a_list_in_one_message_too() {
    let list = format!("this derivation will be built:\n  {BAD}\nthese 2 paths will be fetched (1 MiB):\n  {VPS}");
    let line = format!("@nix {}", serde_json::json!({"action": "msg", "level": 3, "msg": list}));
    assert_eq!(tracked(&line).progress().builds.expected, 1);
}

/// What is running and which systems are built, by names, in a nix that was asked for what is called a system.
fn systems(lines: &str) -> Vec<(Vec<String>, Vec<String>)> {
    let systems = lines.split('"').filter(|word| word.starts_with("/nix/store/") && word.contains("-nixos-system-"));
    let mut tracker = Tracker::asking_for(systems.map(str::to_owned).collect());
    let mut course = Vec::new();
    for line in lines.lines() {
        tracker.take(line);
        // As between two ticks: what nix says in one breath is read in one.
        if line.contains(r#""type":101"#) || line.contains(r#""level":0"#) {
            let now = tracker.progress();
            let running = now.running.into_iter().map(|build| build.name).collect();
            let value = (running, now.systems.iter().map(|system| name_of(system)).collect());
            if course.last() != Some(&value) {
                course.push(value);
            }
        }
    }
    course
}

fn names(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn a_system_that_is_built_is_not_said_to_be_building() {
    let (a, b, c) = ("nixos-system-a", "nixos-system-b", "nixos-system-c");
    let mut course = systems(SYSTEMS);
    for (_, built) in &mut course {
        built.sort();
    }
    assert_eq!(
        course,
        [(vec![], vec![]), (names(&[a]), vec![]), (names(&[b]), names(&[a])), (names(&[c]), names(&[a, b])),]
    );
    let mut tracker = Tracker::asking_for(BTreeSet::new());
    SYSTEMS.lines().for_each(|line| drop(tracker.take(line)));
    assert_eq!(tracker.progress().builds, Count { done: 7, expected: 7, running: 0, failed: 0 });
}

/// One of two silent builds has ended: the list of what is running may guess which, and no other part may.
#[test]
fn no_system_is_called_built_by_a_guess() {
    let start = |id: u64, system: &str| {
        format!(r#"@nix {{"action":"start","fields":["{system}","",1,1],"id":{id},"level":3,"type":105}}"#)
    };
    let counts = |counts: &str| format!(r#"@nix {{"action":"result","fields":[{counts}],"id":1,"type":105}}"#);
    let mut tracker = Tracker::asking_for([BAD, VPS].map(str::to_owned).into());
    let builds = r#"@nix {"action":"start","id":1,"level":0,"type":104}"#.to_owned();
    for line in [builds, start(2, BAD), counts("0,2,1,0"), start(3, VPS), counts("0,2,2,0"), counts("1,2,1,0")] {
        tracker.take(&line);
    }
    let now = tracker.progress();
    assert_eq!((now.running.len(), now.running[0].derivation.as_str(), now.systems.len()), (1, VPS, 0));
    // Now it is known.
    tracker.take(r#"@nix {"action":"result","fields":["x"],"id":2,"type":101}"#);
    let now = tracker.progress();
    assert_eq!((now.running[0].derivation.as_str(), now.systems), (BAD, [VPS.to_owned()].into()));
}

#[test]
fn no_system_is_called_built_before_it_is_known_which_one_failed() {
    let course = systems(SYSTEMS_FAILED);
    assert!(course.iter().all(|(_, built)| !built.contains(&"nixos-system-bad".to_owned())), "{course:#?}");
    let mut last = course.last().unwrap().1.clone();
    last.sort();
    assert_eq!(last, names(&["nixos-system-a", "nixos-system-b", "nixos-system-c"]));
}

#[test]
fn a_system_beside_a_failure_is_built_when_its_own_build_has_ended() {
    assert_eq!(systems(BUILD).last().unwrap().1, ["nixos-system-vps-1"]);
    let until_it_began = BUILD.rsplit_once("hello nixos-system-vps-1").unwrap().0;
    assert_eq!(systems(until_it_began).last().unwrap().1, [""; 0]);
}

#[test]
fn downloads_count_what_nix_announced_and_no_questions() {
    let course = course(SUBSTITUTED, |progress| (progress.fetched().done, progress.fetched().expected));
    let known = course.iter().position(|&(_, expected)| expected == 4_000_608).unwrap();
    assert!(course[..=known].iter().all(|&(done, _)| done == 0), "{course:?}");
    assert!(course.is_sorted() && course[known..].iter().all(|&(_, expected)| expected == 4_000_608), "{course:?}");
    assert_eq!(course.last(), Some(&(4_000_608, 4_000_608)));
}

#[test]
fn bytes_from_a_folder_are_those_of_its_paths() {
    let course = course(SUBSTITUTED_FROM_FOLDER, |progress| (progress.fetched().done, progress.fetched().expected));
    assert_eq!((course[0], course.last()), ((0, 0), Some(&(4_000_288, 4_000_288))));
    assert!(course.iter().all(|(done, expected)| done <= expected), "{course:?}");
}

#[test]
fn what_is_downloaded_is_named_by_its_path() {
    for lines in [SUBSTITUTED, SUBSTITUTED_FROM_FOLDER] {
        let names = course(lines, |progress| progress.transferring.clone());
        let own = |text: &str| Some(text.to_owned());
        assert_eq!(names, [None, own("linux-6.12.8"), None, own("glibc-2.40"), None]);
        let looking = course(lines, |progress| progress.looking);
        assert_eq!((looking[1], looking.last()), (true, Some(&false)));
        let builds = course(lines, |progress| (progress.builds.done, progress.builds.expected));
        assert_eq!(builds, [(0, 0), (0, 1), (0, 2), (2, 2)]);
    }
}

#[test]
fn a_download_of_no_path_is_named_by_the_end_of_its_address() {
    let name = |address: &str| {
        let start = serde_json::json!({"action": "start", "id": 1, "type": 101, "fields": [address]});
        tracked(&format!("@nix {start}")).progress().transferring
    };
    assert_eq!(name("https://me:secret@example.org/a/nixpkgs.tar.gz?token=x#y").as_deref(), Some("nixpkgs.tar.gz"));
    assert_eq!(name("https://token@example.org/").as_deref(), Some("example.org"));
    assert_eq!(name("x/token@example.org").as_deref(), Some("example.org"));
    assert_eq!(name(""), None);
}

#[test]
fn what_people_read_is_printed_and_the_rest_is_not() {
    let mut tracker = Tracker::default();
    let printed: Vec<String> = BUILD.lines().filter_map(|line| tracker.take(line)).collect();
    assert_eq!(
        printed[..11],
        [
            "these 6 derivations will be built:",
            "  /nix/store/fk7x644w0qb5spvhxsl72wam3nw3l1pm-base.drv",
            "  /nix/store/fbmpni32r9wmi1qrgvi998c5qpih9qsv-bad.drv",
            "  /nix/store/ljz73nx4qrarpq34315znqcgpwds83hn-mid.drv",
            "  /nix/store/6skrbbf9p6vvx5a4593wg6drgwk3iwva-nixos-system-sick-1.drv",
            "  /nix/store/i7rdf8dp9gmmpxy5v5db90y2zycw8jh8-nixos-system-sick2-1.drv",
            "  /nix/store/zl65qzggwjsc35lm1d10vgcnjc2l8nnh-nixos-system-vps-1.drv",
            "building '/nix/store/fk7x644w0qb5spvhxsl72wam3nw3l1pm-base.drv'",
            "base> one",
            "base> two",
            "building '/nix/store/fbmpni32r9wmi1qrgvi998c5qpih9qsv-bad.drv'",
        ]
    );
    assert!(printed.contains(&"bad> it hurts".to_owned()), "{printed:?}");
    assert_eq!(tracker.take("ssh: no route").as_deref(), Some("ssh: no route"));
    assert_eq!(tracker.take(r#"@nix {"action":"msg","level":4,"msg":"talk"}"#), None);
    let hook = r#"@nix {"action":"result","fields":["signing"],"id":1,"type":107}"#;
    assert_eq!(tracker.take(hook).as_deref(), Some("post-build hook> signing"));
}

#[test]
fn running_builds_are_named_with_phase_and_last_line() {
    let running = course(BUILD, |progress| progress.running.clone());
    let build = |name: &str, phase: Option<&str>, line: Option<&str>| {
        let own = |text: &str| text.to_owned();
        let derivation = match name {
            "base" => "/nix/store/fk7x644w0qb5spvhxsl72wam3nw3l1pm-base.drv",
            "bad" => BAD,
            _ => VPS,
        };
        vec![RunningBuild {
            derivation: own(derivation),
            name: own(name),
            phase: phase.map(own),
            machine: None,
            last_line: line.map(own),
        }]
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
            BuildFailure {
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
            "Cannot build '{bad}'.\n       Reason: builder failed with exit code 3.\n       Output paths:\n         \
             /nix/store/x\n       Last 1 log lines:\n       > it hurts"
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
        "a 'aarch64-linux' with features {{}} is required to build '{arm}', but I am a 'x86_64-linux' with features \
         {{kvm}}"
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
        NixProgress {
            copied: Amount { done: 288, expected: 288 },
            announced: 288,
            paths: Count { done: 1, expected: 1, ..Count::default() },
            ..NixProgress::default()
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

/// A host that is copied to can write to nix's stderr what it likes, also lines like nix's own.
#[test]
fn lines_without_an_end_fill_no_memory() {
    let mut tracker = Tracker::default();
    let long = "x".repeat(4000);
    for id in 0..6_000 {
        let build =
            r#"@nix {"action":"start","fields":["SUBJECT","SUBJECT",1,1],"id":ID,"level":9,"text":"","type":105}"#;
        tracker.take(&build.replace("SUBJECT", &long).replace("ID", &id.to_string()));
        for line in [
            r#"@nix {"action":"result","fields":["SUBJECT"],"id":ID,"type":101}"#,
            r#"@nix {"action":"result","fields":[ID,7],"id":1,"type":106}"#,
            r#"@nix {"action":"start","fields":["SUBJECT"],"id":9999999,"level":9,"text":"","type":ID}"#,
            r#"@nix {"action":"stop","id":9999999}"#,
            r#"@nix {"action":"msg","level":0,"msg":"error: 'NUMBER-a.drv'"}"#,
        ] {
            let path = format!("/nix/store/{id:032}");
            tracker.take(&line.replace("SUBJECT", &long).replace("ID", &id.to_string()).replace("NUMBER", &path));
        }
    }
    assert!(tracker.live.len() <= MOST_LIVE && tracker.builds.len() <= MOST_BUILDS);
    assert!(tracker.stopped.len() <= MOST_KINDS && tracker.failures.len() <= MOST_FAILURES);
    assert!(tracker.live.values().all(|one| one.subject.len() <= LONGEST_SUBJECT && one.announced.len() <= MOST_KINDS));
    assert!(tracker.builds.values().flat_map(|build| &build.log).all(|line| line.len() <= LONGEST_LOG_LINE));
    assert!(tracker.failures.len() > 500, "the test's errors are errors");
}
