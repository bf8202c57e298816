use std::ffi::OsString;
use std::time::Duration;

use pretty_assertions::assert_eq;

use super::*;
use crate::commands::inventory::InventoryCommand;
use crate::commands::shared::evaluation::EvaluationArgs;
use crate::commands::shared::fleet_hosts::{
    BuildOnArgs, ChosenHostsArgs, FleetHostsArgs, PatternArgs, WindowArgs, WithoutArgs,
};
use crate::commands::shared::reports::ReportArgs;
use crate::commands::shared::terms::{ShowingArgs, SourceArgs, TermsArgs};
use crate::inventory::model::{BuildOn, HostName, Size};
use crate::ui::mode::{Colour, Flags};

fn parse(words: &str) -> Result<Cli, clap::Error> {
    Cli::read(words.split_whitespace().map(OsString::from))
}

fn push(words: &str) -> PushArgs {
    match parse(words).unwrap().command {
        CliCommand::Push(push) => push,
        other => panic!("not a push: {other:?}"),
    }
}

#[test]
fn the_definition_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn a_push_takes_all_its_options() {
    let words = "fleetdeploy push homelab --on vps,@edge,{git,nas} --on web-* --except nas --without db,git --without \
                 old --guard 15m --settle 90s --canary @edge --canary web-1 --waves 1,25% --diff --ask --allow-broken \
                 --accept-drift --reboot --clean --parallel 4 --build-on target --override-input nixpkgs ../nixpkgs \
                 --option cores -1 --option keep-going true --show-trace --rename db --rename git,web --metrics m.prom \
                 --summary page.md";
    let patterns = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        push(words),
        PushArgs {
            fleet: FleetHostsArgs {
                name: "homelab".into(),
                chosen: ChosenHostsArgs {
                    hosts: PatternArgs {
                        on: patterns(&["vps,@edge,{git,nas}", "web-*"]),
                        except: patterns(&["nas"]),
                        without: WithoutArgs {
                            hosts: ["db", "git", "old"].map(|name| HostName::new(name).unwrap()).to_vec(),
                        },
                    },
                    window: WindowArgs { parallel: Some(4) },
                },
            },
            terms: TermsArgs {
                guard: Some(Duration::from_secs(900)),
                settle: Some(Duration::from_secs(90)),
                steady: None,
                canary: patterns(&["@edge", "web-1"]),
                waves: vec![Size::Hosts(1), Size::Percent(25)],
                allow_broken: true,
                accept_drift: true,
                accept_failed: Vec::new(),
                rename: ["db", "git", "web"].map(|name| HostName::new(name).unwrap()).to_vec(),
            },
            source: SourceArgs { clean: true },
            evaluation: EvaluationArgs {
                override_input: patterns(&["nixpkgs", "../nixpkgs"]),
                option: patterns(&["cores", "-1", "keep-going", "true"]),
                show_trace: true,
                ..EvaluationArgs::default()
            },
            building: BuildOnArgs { build_on: Some(BuildOn::Target) },
            reports: ReportArgs { metrics: Some("m.prom".into()), summary: Some("page.md".into()) },
            showing: ShowingArgs { dry_run: false, units: false, diff: true, ask: true },
            reboot: true,
            no_trial: false,
            trial: false,
        }
    );
}

#[test]
fn a_plan_and_a_rollback_take_the_terms_of_a_push() {
    let terms = "--guard 15m --settle 90s --canary vps --waves 1 --allow-broken --accept-drift";
    let pushed = push(&format!("fleetdeploy push homelab {terms}")).terms;
    let CliCommand::Plan(plan) = parse(&format!("fleetdeploy plan homelab --units {terms}")).unwrap().command else {
        panic!()
    };
    let words = format!("fleetdeploy rollback homelab --dry-run --units {terms}");
    let CliCommand::Rollback(rollback) = parse(&words).unwrap().command else { panic!() };
    assert_eq!((&plan.terms, &rollback.terms), (&pushed, &pushed));
    assert_eq!(rollback.showing, ShowingArgs { dry_run: true, units: true, diff: false, ask: false });
}

#[test]
fn global_options_stand_before_or_after_the_command() {
    let before = parse("fleetdeploy -i a.yaml --json --color never -vv inventory check").unwrap();
    let after = parse("fleetdeploy inventory check -i a.yaml --json --color never -vv").unwrap();
    assert_eq!(before, after);
    assert_eq!(before.global.inventory, Some("a.yaml".into()));
    assert_eq!(before.global.screen_flags(), Flags { json: true, quiet: false, verbose: true, colour: Colour::Never });
    let schema = InventoryArgs { command: InventoryCommand::Schema };
    assert_eq!(parse("fleetdeploy inventory schema").unwrap().command, CliCommand::Inventory(schema));
}

#[test]
fn looking_back_begins_with_the_last_run() {
    let show =
        ShowArgs { run: "last".into(), report: false, html: None, redacted: false, with_logs: false, output: None };
    assert_eq!(parse("fleetdeploy show").unwrap().command, CliCommand::Show(show));
    let show = ShowArgs {
        run: "2026".into(),
        report: true,
        html: None,
        redacted: false,
        with_logs: false,
        output: Some("-".into()),
    };
    assert_eq!(parse("fleetdeploy show 2026 --report --output -").unwrap().command, CliCommand::Show(show));
    let replay = ReplayArgs { file: "last".into(), speed: 2.5, until: Some(Duration::from_millis(1500)) };
    let words = "fleetdeploy replay last --speed 2.5 --until 1.5";
    assert_eq!(parse(words).unwrap().command, CliCommand::Replay(replay));
}

#[test]
fn the_words_of_a_command_are_taken_as_they_are() {
    let words =
        ["fleetdeploy", "exec", "homelab", "--on", "vps", "--sudo", "--", "-x", "--sudo", "", "a  b", "-v", "--"];
    let CliCommand::Exec(exec) = Cli::read(words.map(OsString::from)).unwrap().command else { panic!() };
    assert_eq!(exec.words, ["-x", "--sudo", "", "a  b", "-v", "--"]);
    assert_eq!((exec.sudo, exec.fold, exec.stream, exec.timeout), (true, false, false, Duration::from_secs(300)));
    assert_eq!(exec.fleet.chosen.hosts.on, ["vps"]);
}

#[test]
fn a_status_without_a_fleet_is_that_of_every_host() {
    let status = |words| match parse(words).unwrap().command {
        CliCommand::Status(status) => status,
        other => panic!("{other:?}"),
    };
    assert_eq!(status("fleetdeploy status --on @edge").name, None);
    assert!(status("fleetdeploy status homelab --build").build);
}

#[test]
fn what_is_not_understood_exits_with_2() {
    for words in [
        "fleetdeploy",
        "fleetdeploy push",
        "fleetdeploy teleport homelab",
        "fleetdeploy push -homelab",
        "fleetdeploy push -- -homelab",
        "fleetdeploy -Version",
        "fleetdeploy push --homelab",
        "fleetdeploy push home/lab",
        "fleetdeploy push homelab office",
        "fleetdeploy push homelab --on",
        "fleetdeploy push homelab --on -vps",
        "fleetdeploy push homelab --on=-vps",
        "fleetdeploy push homelab --on=vps,-nas",
        "fleetdeploy push homelab --on vps,,nas",
        "fleetdeploy push homelab --except=-vps",
        "fleetdeploy push homelab --without",
        "fleetdeploy push homelab --without -vps",
        "fleetdeploy push homelab --without vps,,nas",
        "fleetdeploy push homelab --without @edge",
        "fleetdeploy push homelab --without web*",
        "fleetdeploy push homelab --guard 0s",
        "fleetdeploy push homelab --guard soon",
        "fleetdeploy push homelab --guard 15M",
        "fleetdeploy push homelab --settle 15M",
        "fleetdeploy push homelab --guard -15m",
        "fleetdeploy push homelab --color sometimes",
        "fleetdeploy push homelab --canary -vps",
        "fleetdeploy push homelab --waves",
        "fleetdeploy push homelab --waves 0",
        "fleetdeploy push homelab --waves 1,101%",
        "fleetdeploy push homelab --waves 1,,2",
        "fleetdeploy push homelab --waves half",
        "fleetdeploy push homelab --dry-run --ask",
        "fleetdeploy plan homelab --ask",
        "fleetdeploy rollback homelab --to",
        "fleetdeploy rollback homelab --to @",
        "fleetdeploy rollback homelab --units",
        "fleetdeploy rollback homelab --diff --dry-run",
        "fleetdeploy rollback homelab --reboot",
        "fleetdeploy push homelab --units",
        "fleetdeploy diff homelab --units",
        "fleetdeploy build homelab --dry-run",
        "fleetdeploy inventory",
        "fleetdeploy inventory -i= check",
        "fleetdeploy exec homelab",
        "fleetdeploy exec homelab --",
        "fleetdeploy exec homelab uptime",
        "fleetdeploy exec homelab --timeout 0s -- uptime",
        "fleetdeploy exec homelab --fold --stream -- uptime",
        "fleetdeploy exec -- uptime",
        "fleetdeploy status --build",
        "fleetdeploy status -homelab",
        "fleetdeploy status --on -vps",
        "fleetdeploy runs --limit 0",
        "fleetdeploy runs home/lab",
        "fleetdeploy logs",
        "fleetdeploy show last --output report.txt",
        "fleetdeploy replay last --speed 0",
        "fleetdeploy replay last --speed nan",
        "fleetdeploy replay last --until -1",
        "fleetdeploy inventory import hosts",
        "fleetdeploy inventory import --from puppet hosts",
        "fleetdeploy inventory import --from ansible -x",
        "fleetdeploy inventory import --from ansible hosts --fleet a/b",
    ] {
        let error = parse(words).expect_err(words);
        assert_eq!(error.exit_code(), 2, "{words}");
    }
}

#[test]
fn help_and_version_are_answers() {
    for (words, kind) in [
        ("fleetdeploy --help", ErrorKind::DisplayHelp),
        ("fleetdeploy -V", ErrorKind::DisplayVersion),
        ("fleetdeploy push -h", ErrorKind::DisplayHelp),
        ("fleetdeploy help push", ErrorKind::DisplayHelp),
    ] {
        let error = parse(words).expect_err(words);
        assert_eq!((error.kind(), error.exit_code()), (kind, 0));
    }
}

#[test]
fn every_command_shows_an_example_and_its_exits() {
    const WIDTH: usize = 100;
    fn examples(command: &clap::Command) {
        for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
            if inner.has_subcommands() {
                examples(inner);
            } else {
                let help = inner.get_after_help().map(ToString::to_string).unwrap_or_default();
                assert!(help.contains("fleetdeploy"), "{} has no example", inner.get_name());
                // Written in columns: what is wrapped is no table any more.
                let long = help.lines().find(|line| line.chars().count() > WIDTH);
                assert_eq!(long, None, "{}", inner.get_name());
                let prints = ["schema", "replay", "completions", "man"].contains(&inner.get_name());
                assert!(prints || help.contains("\nExit status:\n  0  "), "{}", inner.get_name());
            }
        }
    }
    examples(&Cli::command());
}

#[test]
fn what_is_nearly_right_is_told_what_was_meant() {
    let said = |words: &str| parse(words).unwrap_err().to_string();
    for word in ["deploy", "apply", "switch"] {
        assert!(said(&format!("fleetdeploy {word} homelab")).contains("'push'"), "{word}");
    }
    assert!(said("fleetdeploy pusch homelab").contains("'push'"));
    let hidden = said("fleetdeploy repla");
    assert!(!hidden.contains("'replay'"), "{hidden}");
    let without = said("fleetdeploy exec homelab uptime");
    assert!(without.contains("put `--` before the command: fleetdeploy exec FLEET -- COMMAND"), "{without}");
    // A fleet may have that name, and an option that is nearly right is one.
    for words in ["fleetdeploy push exec uptime", "fleetdeploy exec homelab --strem"] {
        let other = said(words);
        assert!(!other.contains("put `--`"), "{other}");
    }
}

#[test]
fn the_fleet_of_a_command_that_changes_nothing_may_be_left_out() {
    for words in ["check", "doctor", "build", "diff", "plan"] {
        assert!(parse(&format!("fleetdeploy {words}")).is_ok(), "{words}");
    }
    for words in ["push", "rollback", "reboot"] {
        assert!(parse(&format!("fleetdeploy {words}")).is_err(), "{words}");
    }
}
