//! The inventory from outside: files as people write them, and every word they get to read about their mistakes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use fleetdeploy::facts::attr_path::AttrPath;
use fleetdeploy::facts::links;
use fleetdeploy::facts::store_path::StorePath;
use fleetdeploy::inventory::model::{
    Become, Check, CheckKind, Fleet, GuardAction, Hook, HookCommand, Hooks, HostKey, HostName, Jump, Place, Size,
    Source, Steady, Target, VpnShape,
};
use fleetdeploy::inventory::{Inventory, LoadError, Loaded, Overrides, asks_for_failed, schema, select, select_of_run};
use proptest::prelude::*;

const EXAMPLE: &str = include_str!("../inventory.example.yaml");
const README: &str = include_str!("../README.md");

fn parse(text: &str) -> Result<Loaded, String> {
    Inventory::parse(Path::new("inventory.yaml"), Path::new("/lab"), text).map_err(|mistakes| mistakes.to_string())
}

fn good(text: &str) -> Inventory {
    parse(text).unwrap_or_else(|mistakes| panic!("{mistakes}")).inventory
}

fn host(name: &str) -> HostName {
    HostName::new(name).expect("the tests name hosts well")
}

fn place(name: &str) -> Place {
    Place::Host(host(name))
}

/// Three hosts, two of them in a VPN, and a fleet that the test goes on with.
fn with_fleet(rest: &str) -> String {
    format!(
        "hosts:
  vps: {{vpn: 10.0.0.1}}
  homeserver: {{vpn: 10.0.0.2}}
  nas:
fleets:
  lab:
    hosts: [vps, homeserver, nas]
{rest}"
    )
}

fn checks(rest: &str) -> Vec<Check> {
    good(&with_fleet(&format!("    flake: .\n    checks:\n{rest}"))).fleets["lab"].checks.clone()
}

mod good_files {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn the_first_inventory_of_the_readme_is_right() {
        let (_, rest) = README.split_once("```yaml\n").unwrap();
        let (text, _) = rest.split_once("```").unwrap();
        let loaded = parse(text).unwrap_or_else(|mistakes| panic!("{mistakes}"));
        assert_eq!(loaded.warnings, []);
        assert_eq!(loaded.inventory.fleets["homelab"].hosts.len(), 2);
    }

    #[test]
    fn the_inventory_of_the_design_is_understood() {
        let inventory = good(
            "hosts:
  vps:
    address: vps.example.org
    user: root
    vpn: 10.100.0.1
    tags: [edge]
  homeserver:
    address: 10.100.0.2
    jump: vps
    vpn: 10.100.0.2
    boot_time: 3m
fleets:
  homelab:
    flake: .
    hosts: [vps, homeserver]
    guard: 15m
    checks:
      - vpn: mesh
      - name: the site answers
        from: homeserver
        http: http://vps:8080/health
",
        );
        let fleet = inventory.fleet("homelab").unwrap();
        let attr = AttrPath::parse("nixosConfigurations.\"{host}\".config.system.build.toplevel").unwrap();
        assert_eq!(fleet.source, Source::Flake { flake: "/lab".into(), attr });
        assert_eq!(fleet.hosts[1].jump, Some(Jump::Host(host("vps"))));
        assert_eq!(fleet.hosts[1].boot_time, Duration::from_secs(180));
        let check = |name: &str, kind, from| Check {
            name: name.into(),
            kind,
            to_themselves: if name == "vpn mesh" { vec![] } else { vec![host("homeserver")] },
            from,
            required: true,
            timeout: Duration::from_secs(5),
        };
        let url = "http://vps:8080/health".into();
        assert_eq!(
            fleet.checks,
            [
                check("vpn mesh", CheckKind::Vpn(VpnShape::Mesh), vec![place("vps"), place("homeserver")]),
                check("the site answers", CheckKind::Http { url, status: None, body: None }, vec![place("homeserver")]),
            ]
        );
    }

    #[test]
    fn a_way_to_root_is_a_word_or_the_words_of_a_command() {
        let of = |becoming: &str| {
            let text = format!("hosts: {{a: {{become: {becoming}}}}}\nfleets: {{lab: {{hosts: all, flake: .}}}}\n");
            parse(&text).map(|loaded| loaded.inventory.hosts[0].becoming.clone())
        };
        assert_eq!(of("doas"), Ok(Become::Doas));
        assert_eq!(of("run0"), Ok(Become::Run0));
        let words = ["sudo", "-n", "it's $HOME", ""].map(str::to_owned);
        assert_eq!(of(r#"[sudo, -n, "it's $HOME", ""]"#), Ok(Become::Words(words.into())));
        for (bad, said) in [
            ("[]", "empty"),
            ("[-n, sudo]", "`-n`"),
            (r#"[sudo, "a\nb"]"#, "control characters"),
            ("su", "not a word that is known"),
        ] {
            let wrong = of(bad).unwrap_err();
            assert!(wrong.contains(said), "{bad}: {wrong}");
        }
    }

    #[test]
    fn a_host_of_which_nothing_is_said_is_as_the_schema_tells_the_defaults() {
        let schema = schema();
        let defaults = |map: &str| -> Vec<String> {
            let keys = schema["definitions"][map]["properties"].as_object().unwrap().iter();
            keys.filter_map(|(key, value)| Some(format!("{key}: {}", value.get("default")?))).collect()
        };
        let (host, fleet) = (defaults("Settings"), defaults("FleetEntry"));
        let (limits, nix) = (defaults("LimitsEntry"), defaults("NixEntry"));
        assert!(host.len() >= 7 && fleet.len() >= 10 && limits.len() == 7 && nix.len() == 1, "{host:?} {fleet:?}");
        let host = format!("{}, limits: {{{}}}, nix: {{{}}}", host.join(", "), limits.join(", "), nix.join(", "));
        let fleet = |of_host: &str, of_fleet: &str| {
            let text = format!("hosts: {{one: {{{of_host}}}}}\nfleets: {{lab: {{hosts: all, flake: .{of_fleet}}}}}\n");
            let mut fleet = good(&text).fleets.remove("lab").unwrap();
            // That a person has said it is no other value.
            fleet.hosts[0].guard_action_given = false;
            fleet.steady = Steady::Given(fleet.steady());
            fleet
        };
        assert_eq!(fleet(&host, &format!(", {}", defaults("FleetEntry").join(", "))), fleet("", ""));
    }

    #[test]
    fn later_layers_win_and_lists_replace() {
        let inventory = good(
            "defaults: {user: from-defaults, port: 1, guard: 10m, limits: {test: 1m, step: 1m}, guard_action: \
             switch-back}
groups:
  b: {user: from-b, port: 2, boot_time: 1m}
  a: {user: from-a, limits: {step: 2m}}
hosts:
  one: {tags: [a, b], guard: 40m}
  two: {tags: [b, a]}
  three: {user: own, become: sudo, host_key: accept-new, identity: keys/id}
fleets:
  lab: {hosts: all, flake: ., port: 3, guard: 20m, user: from-fleet}
",
        );
        let [one, two, three] = inventory.hosts.as_slice() else { panic!("three hosts") };
        assert_eq!((one.user.as_deref(), two.user.as_deref()), (Some("from-b"), Some("from-a")));
        assert_eq!((one.port, three.port), (Some(2), Some(1)));
        assert_eq!(one.limits.step, Duration::from_secs(120));
        assert_eq!(one.limits.test, Duration::from_secs(60), "`limits` are laid over each other key by key");
        assert_eq!(three.identity, Some(PathBuf::from("/lab/keys/id")));
        assert_eq!((&three.becoming, three.host_key), (&Become::Sudo, HostKey::AcceptNew));
        assert_eq!((three.guard_action, three.guard_action_given), (GuardAction::SwitchBack, true));

        let fleet = inventory.fleet("lab").unwrap();
        let users: Vec<_> = fleet.hosts.iter().map(|host| host.user.as_deref()).collect();
        assert_eq!(users, [Some("from-fleet"), Some("from-fleet"), Some("own")]);
        assert_eq!(fleet.hosts[1].port, Some(3));
        let guards = |fleet: &Fleet| fleet.hosts.iter().map(|host| host.guard.as_secs() / 60).collect::<Vec<_>>();
        assert_eq!(guards(fleet), [40, 20, 20]);

        let minutes = |minutes: u64| Some(Duration::from_secs(minutes * 60));
        let overridden =
            fleet.clone().overridden(&Overrides { guard: minutes(30), settle: minutes(2), ..Overrides::default() });
        assert_eq!(guards(&overridden), [30, 30, 30]);
        assert_eq!(Some(overridden.settle), minutes(2));
    }

    #[test]
    fn the_window_of_logins_and_copies_is_16_unless_the_file_or_the_command_line_says_otherwise() {
        let inventory = good(
            "defaults: {parallel: 4}
hosts: {a: }
fleets: {one: {hosts: a, flake: .}, two: {hosts: a, flake: ., parallel: 1}}
",
        );
        let parallel = |fleet: &str| inventory.fleets[fleet].parallel;
        assert_eq!((inventory.parallel, parallel("one"), parallel("two")), (4, 4, 1));
        let overrides = Overrides { parallel: Some(2), ..Overrides::default() };
        assert_eq!(inventory.fleets["one"].clone().overridden(&overrides).parallel, 2);
        let silent = good("hosts: {a: }\nfleets: {lab: {hosts: a, flake: .}}\n");
        assert_eq!((silent.parallel, silent.fleets["lab"].parallel), (16, 16));
    }

    #[test]
    fn how_a_fleet_is_evaluated_is_said_by_the_fleet_over_the_defaults() {
        let inventory = good(
            "defaults: {evaluate: {workers: 4, memory: 4GiB}, nix: {impure: true, options: {cores: '1'}}}
hosts: {a: }
fleets:
  one: {hosts: a, flake: .}
  two:
    hosts: a
    flake: .
    evaluate: {memory: 1500 MiB}
    nix:
      impure: false
      options: {}
      override_inputs: {nixpkgs: ../nixpkgs, a/b: 'github:a/b'}
      accept_flake_config: true
",
        );
        let one = &inventory.fleets["one"].evaluation;
        assert_eq!(
            (one.workers, one.memory, one.impure, one.options["cores"].as_str()),
            (Some(4), Some(4 << 30), true, "1")
        );
        let two = &inventory.fleets["two"].evaluation;
        assert_eq!((two.workers, two.memory, two.impure), (Some(4), Some(1500 << 20), false));
        assert!(two.options.is_empty() && two.accept_flake_config && !one.accept_flake_config);
        // Relative to the inventory's folder, like the flake itself.
        assert!(two.override_inputs["nixpkgs"].starts_with('/'), "{two:?}");
        assert_eq!(two.override_inputs["a/b"], "github:a/b");
    }

    #[test]
    fn units_to_ignore_replace_each_other_and_a_fleets_steady_that_of_the_defaults() {
        let inventory = good(
            "defaults: {steady: 20s, units: {ignore: [a.service]}}
groups: {edge: {units: {ignore: [b-*.service, c.mount]}}}
hosts: {one: , two: {tags: [edge]}, three: {tags: [edge], units: {ignore: []}}}
fleets: {lab: {hosts: all, flake: ., steady: 0s}, other: {hosts: all, flake: .}, third: {hosts: all, flake: .}}
",
        );
        let ignored = |host: &fleetdeploy::inventory::model::Host| {
            host.ignored_units.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let all: Vec<_> = inventory.hosts.iter().map(ignored).collect();
        assert_eq!(all, [vec!["a.service"], vec!["b-*.service", "c.mount"], vec![]]);
        let steady = |fleet: &str| inventory.fleet(fleet).unwrap().steady().as_secs();
        assert_eq!((steady("lab"), steady("other")), (0, 20));
        let overrides = Overrides { steady: Some(Duration::from_secs(3)), ..Overrides::default() };
        assert_eq!(inventory.fleet("lab").unwrap().clone().overridden(&overrides).steady().as_secs(), 3);
    }

    #[test]
    fn hooks_are_commands_and_a_fleets_lists_replace_those_of_the_defaults() {
        let inventory = good(
            "defaults: {hooks: {before: ['true  && true'], after_abort: [[mail, -s, x]]}}
hosts: {a: }
fleets:
  own: {hosts: a, flake: ., hooks: {before: [{name: clean, command: [git, diff], timeout: 10s}], after_commit: []}}
  lab: {hosts: a, flake: .}
",
        );
        let argv = |words: &[&str]| HookCommand::Argv(words.iter().map(|word| (*word).to_owned()).collect());
        let hook = |name: &str, command, seconds| Hook {
            name: name.to_owned(),
            command,
            timeout: Duration::from_secs(seconds),
        };
        let abort = vec![hook("mail -s x", argv(&["mail", "-s", "x"]), 300)];
        let Hooks { before, after_commit, after_abort } = inventory.fleets["own"].hooks.clone();
        assert_eq!((before, after_commit), (vec![hook("clean", argv(&["git", "diff"]), 10)], vec![]));
        assert_eq!(after_abort, abort);
        let Hooks { before, after_commit, after_abort } = inventory.fleets["lab"].hooks.clone();
        assert_eq!(
            (before, after_commit),
            (vec![hook("true && true", HookCommand::Shell("true  && true".into()), 300)], vec![])
        );
        assert_eq!(after_abort, abort);
    }

    #[test]
    fn how_nix_copies_is_laid_over_each_other_key_by_key() {
        use fleetdeploy::inventory::model::Substitute::{Always, Auto, Never};
        let inventory = good(
            "defaults: {nix: {substitute_on_destination: true, compress: true}}
groups: {lan: {nix: {compress: false}}}
hosts: {a: {tags: [lan]}, b: {nix: {substitute_on_destination: false}}, c: {nix: {substitute_on_destination: auto}}}
fleets: {lab: {hosts: all, flake: .}}
",
        );
        let nix = |host: &fleetdeploy::inventory::model::Host| (host.nix.substitute_on_destination, host.nix.compress);
        let fleet = &inventory.fleets["lab"];
        assert_eq!(
            fleet.hosts.iter().map(nix).collect::<Vec<_>>(),
            [(Always, Some(false)), (Never, Some(true)), (Auto, Some(true))]
        );
        assert_eq!(nix(&good("hosts: {a: }\nfleets: {lab: {hosts: a, flake: .}}\n").hosts[0]), (Never, None));
    }

    #[test]
    fn the_cache_of_a_fleet_takes_the_place_of_that_of_all() {
        use fleetdeploy::inventory::model::{Cache, CacheFilling};
        let inventory = good(
            "defaults: {cache: {to: ssh-ng://a, from: 'http://a:8080', public_key: \
             'a-1:7/+JE3HAiTmsPi/1ELLi348NXrR6KhbT9nCSG3R1/DY='}}
hosts: {a: }
fleets: {lab: {hosts: all, flake: .}, own: {hosts: all, flake: ., cache: {command: [attic, push]}}}
",
        );
        let cache = |fleet: &str| inventory.fleets[fleet].cache.clone().unwrap();
        let lab = cache("lab");
        assert_eq!((lab.by, lab.from), (CacheFilling::Store("ssh-ng://a".into()), Some("http://a:8080".into())));
        assert!(lab.public_key.is_some());
        let by = CacheFilling::Command(HookCommand::Argv(vec!["attic".into(), "push".into()]));
        assert_eq!(cache("own"), Cache { by, from: None, public_key: None });
    }

    #[test]
    fn where_a_system_is_built_is_laid_over_and_a_host_is_no_builder_for_itself_by_name() {
        let inventory = good(
            "defaults: {build_on: big, nix: {sign_key: keys/sign}}
groups: {pi: {build_on: target, nix: {sign_key: ~/sign}}}
hosts: {big: , a: {tags: [pi]}, b: {build_on: workstation}, c: {jump: d}, d: , forge: {jump: d}}
fleets:
  lab: {hosts: [big, a, b, c], flake: .}
  other: {hosts: [c], flake: ., build_on: forge}
",
        );
        let words = |fleet: &str| {
            let fleet = &inventory.fleets[fleet];
            let hosts = fleet.hosts.iter().map(|host| format!("{} on {}", host.name, host.build_on));
            let builders = fleet.builders.iter().map(|host| format!("and {}", host.name));
            hosts.chain(builders).collect::<Vec<_>>().join(", ")
        };
        assert_eq!(words("lab"), "big on target, a on target, b on workstation, c on big");
        assert_eq!(words("other"), "c on forge, and forge");
        let jumps: Vec<_> =
            inventory.jumps_of(&inventory.fleets["other"]).iter().map(|host| host.name.to_string()).collect();
        assert_eq!(jumps, ["d"]);
        let keys = inventory.fleets["lab"].hosts.iter().map(|host| host.nix.sign_key.clone().unwrap());
        let keys: Vec<_> = keys.map(|key| key.to_string_lossy().into_owned()).collect();
        assert!(keys[0].ends_with("/keys/sign") && keys[0].starts_with('/') && keys[1] == "~/sign", "{keys:?}");
        let lab = |build_on: &fleetdeploy::inventory::model::BuildOn| {
            inventory.built_on(inventory.fleets["lab"].clone(), build_on)
        };
        let forge = lab(&fleetdeploy::inventory::model::BuildOn::Host(host("forge"))).unwrap();
        assert_eq!((forge.builders.len(), forge.hosts[2].build_on.to_string()), (1, "forge".to_owned()));
        assert!(lab(&fleetdeploy::inventory::model::BuildOn::Host(host("forgo"))).is_err());
    }

    #[test]
    fn what_is_said_of_a_boot_loader_replaces_what_is_said_further_away() {
        let inventory = good(
            "defaults: {boot_loader: {kind: grub, esp: /boot2}, limits: {check: 1m}}
groups: {arm: {boot_loader: {kind: extlinux}}, box: {boot_loader: {kind: init}}}
hosts: {a: , b: {tags: [arm]}, c: {tags: [box]}, d: {boot_loader: {esp: /boot/efi}}}
fleets:
  lab: {hosts: all, flake: .}
  other: {hosts: all, flake: ., boot_loader: {kind: systemd-boot, esp: /efi}, limits: {check: 20m}}
",
        );
        let words = |fleet: &str| {
            inventory.fleets[fleet].hosts.iter().map(|host| host.boot_loader.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(words("lab"), ["grub:/boot2", "extlinux", "init", "-:/boot/efi"]);
        let other = "systemd-boot:/efi";
        assert_eq!(words("other"), [other, other, other, "-:/boot/efi"]);
        let checks = |fleet: &str| inventory.fleets[fleet].hosts[0].limits.check.as_secs();
        assert_eq!((checks("lab"), checks("other")), (60, 1200));
        let silent = good("hosts: {a: }\nfleets: {lab: {hosts: a, flake: .}}\n");
        assert_eq!(silent.hosts[0].boot_loader.to_string(), "-");
        assert_eq!(silent.hosts[0].limits.check.as_secs(), 300);
    }

    #[test]
    fn the_first_of_several_addresses_is_the_one_that_others_look_at() {
        let inventory = good(
            "hosts: {a: {addresses: [10.0.0.1, a.example.org]}, b: }
fleets: {lab: {hosts: all, flake: ., checks: [{ping: a, from: b}]}}
",
        );
        let [a, b] = inventory.hosts.as_slice() else { panic!("two hosts") };
        assert_eq!((a.address.as_str(), a.other_addresses.as_slice()), ("10.0.0.1", &["a.example.org".to_owned()][..]));
        assert_eq!((b.address.as_str(), b.other_addresses.len()), ("b", 0));
        assert_eq!(a.probe_address(), "10.0.0.1");
    }

    #[test]
    fn a_fleet_says_who_is_tested_first_and_in_which_waves() {
        let inventory = good(
            "hosts: {a: , b1: {tags: [edge]}, b2: , c: }
fleets:
  lab: {hosts: [a, 'b*'], flake: ., canary: ['@edge', a], waves: '1, 25%'}
  list: {hosts: c, flake: ., waves: [1, 25%]}
  two: {hosts: c, flake: ., waves: 2}
  other: {hosts: c, flake: .}
",
        );
        let lab = &inventory.fleets["lab"];
        assert_eq!(lab.canaries, [host("a"), host("b1")].into());
        assert_eq!(lab.waves, [Size::Hosts(1), Size::Percent(25)]);
        assert_eq!(inventory.fleets["list"].waves, lab.waves);
        assert_eq!(inventory.fleets["two"].waves, [Size::Hosts(2)]);
        assert!(inventory.fleets["other"].canaries.is_empty() && inventory.fleets["other"].waves.is_empty());
    }

    #[test]
    fn a_jump_for_everybody_is_not_meant_for_the_jump_itself() {
        let inventory = good(
            "defaults: {jump: gate}
groups: {guest: {runs_on: big}}
hosts:
  gate:
  far:
  near: {jump: none}
  out: {jump: 'ssh:me@other:22'}
  big: {tags: [guest]}
  small: {tags: [guest]}
fleets: {lab: {hosts: '*', flake: .}, some: {hosts: [small, far], flake: .}}
",
        );
        let jumps: Vec<_> = inventory.hosts.iter().map(|host| host.jump.clone()).collect();
        let gate = Some(Jump::Host(host("gate")));
        let other = Some(Jump::Destination { user: Some("me".into()), host: "other".into(), port: Some(22) });
        assert_eq!(jumps, [None, gate.clone(), None, other, gate.clone(), gate]);
        let runs_on: Vec<_> = inventory.hosts.iter().map(|host| host.runs_on.clone()).collect();
        assert_eq!(runs_on, [None, None, None, None, None, Some(host("big"))]);

        let some = inventory.fleet("some").unwrap();
        assert_eq!(some.hosts[1].runs_on, None, "the hypervisor is not of this fleet");
        let names: Vec<_> = inventory.jumps_of(some).into_iter().map(|host| host.name.as_str()).collect();
        assert_eq!(names, ["gate"]);
    }

    #[test]
    fn the_way_to_a_host_leads_over_the_jumps_of_its_jump_whoever_they_belong_to() {
        let inventory = good(
            "hosts: {a: , b: {jump: a}, c: {jump: b}, d: {}}
fleets: {lab: {hosts: [a, c], flake: .}, other: {hosts: d, flake: ., jump: c}}
",
        );
        let way = |host: &fleetdeploy::inventory::model::Host| {
            host.way.iter().map(|jump| jump.as_str().to_owned()).collect::<Vec<_>>()
        };
        let [a, b, c, d] = inventory.hosts.as_slice() else { panic!("four hosts") };
        assert_eq!(
            (way(a).len(), way(b), way(c), way(d).len()),
            (0, vec!["a".into()], vec!["b".into(), "a".into()], 0)
        );
        assert_eq!(way(&inventory.fleets["lab"].hosts[1]), ["b", "a"]);
        assert_eq!(way(&inventory.fleets["other"].hosts[0]), ["c", "b", "a"]);
        let jumps = inventory.jumps_of(&inventory.fleets["other"]);
        assert_eq!(jumps.into_iter().map(|host| host.name.as_str()).collect::<Vec<_>>(), ["c", "b", "a"]);
    }

    /// A fleet of a hypervisor, a guest on it and a guest on that guest, beside a host of its own.
    const NESTED: &str = "defaults: {guard: 30m, limits: {switch: 2m}}
hosts:
  inner: {runs_on: outer}
  outer: {runs_on: big, limits: {switch: 1m}}
  big:
  beside:
fleets: {lab: {hosts: all, flake: .}, some: {hosts: [outer, beside], flake: .}}
";

    #[test]
    fn a_guests_guard_fires_before_that_of_its_hypervisor() {
        let minutes = |fleet: &Fleet| fleet.hosts.iter().map(|host| host.guard.as_secs() / 60).collect::<Vec<_>>();
        let inventory = good(NESTED);
        // A minute for a step to end, and the limit of `switch`: 2 min for `outer`, 3 min for `inner`.
        assert_eq!(minutes(&inventory.fleets["lab"]), [25, 28, 30, 30]);
        assert_eq!(minutes(&inventory.fleets["some"]), [30, 30], "its hypervisor is not pushed with it");
        let guard = Some(Duration::from_secs(60 * 60));
        let overridden = inventory.fleets["lab"].clone().overridden(&Overrides { guard, ..Overrides::default() });
        assert_eq!(minutes(&overridden), [55, 58, 60, 60]);

        let early = good(&NESTED.replace("{runs_on: outer}", "{runs_on: outer, guard: 20m}"));
        assert_eq!(minutes(&early.fleets["lab"]), [20, 28, 30, 30], "earlier than it must be stays so");
    }

    #[test]
    fn every_kind_of_check_is_understood() {
        let kinds = |rest: &str| -> Vec<(String, CheckKind)> {
            checks(rest).into_iter().map(|check| (check.name, check.kind)).collect()
        };
        let to = |name: &str| Target::Host(host(name));
        let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
        let all = kinds(
            "      - vpn: {hub: vps}
        from: homeserver
      - ping: [vps, one.example.org, vps]
      - ping:
        to: 'home*'
      - tcp: 5432
        to: nas
      - http: {url: 'https://x/', status: 204, body: ok}
      - dns: example.org
      - dns: {query: x, server: 10.0.0.1}
      - wireguard: vps
      - wireguard: {handshake: 2m}
        to: vps
      - command: [test, -d, /srv]
      - command: |
          true &&
          true
",
        );
        let ping_to = vec![to("vps"), Target::Address("one.example.org".into())];
        let argv = vec!["test".into(), "-d".into(), "/srv".into()];
        let expected: [(&str, CheckKind); 11] = [
            ("vpn hub vps", CheckKind::Vpn(VpnShape::Hub(host("vps")))),
            ("ping vps,one.example.org,vps", CheckKind::Ping { to: ping_to }),
            ("ping home*", CheckKind::Ping { to: vec![to("homeserver")] }),
            ("tcp nas 5432", CheckKind::Tcp { to: vec![to("nas")], port: 5432 }),
            (
                "http https://x/",
                CheckKind::Http { url: "https://x/".into(), status: Some(204), body: Some("ok".into()) },
            ),
            ("dns example.org", CheckKind::Dns { query: "example.org".into(), server: None }),
            ("dns x", CheckKind::Dns { query: "x".into(), server: Some("10.0.0.1".into()) }),
            ("wireguard vps", CheckKind::Wireguard { to: vec![to("vps")], handshake: minutes(3) }),
            ("wireguard vps (2)", CheckKind::Wireguard { to: vec![to("vps")], handshake: minutes(2) }),
            ("command test -d /srv", CheckKind::Command(HookCommand::Argv(argv))),
            ("command true && true", CheckKind::Command(HookCommand::Shell("true &&\ntrue\n".into()))),
        ];
        assert_eq!(all, expected.map(|(name, kind)| (name.to_owned(), kind)));
    }

    #[test]
    fn a_check_runs_where_it_says_else_everywhere() {
        let places = |rest: &str| checks(rest).remove(0).from;
        assert_eq!(places("      - {vpn: {hub: vps}, from: homeserver}\n"), [place("vps"), place("homeserver")]);
        assert_eq!(
            places("      - {ping: vps, from: ['n*', workstation, vps]}\n"),
            [Place::Workstation, place("vps"), place("nas")]
        );
        assert_eq!(places("      - {ping: vps}\n"), [place("vps"), place("homeserver"), place("nas")]);
    }

    #[test]
    fn a_host_looks_at_itself_only_where_it_is_named() {
        let ends = |rest: &str| {
            let fleet = good(&with_fleet(&format!("    flake: .\n    checks:\n{rest}"))).fleets["lab"].clone();
            let word = |from: Place| if let Place::Host(name) = from { name.to_string() } else { "here".into() };
            let ends = |link: links::Link| format!("{} {}", word(link.from), link.to);
            links::resolve(&fleet, &BTreeMap::new()).into_iter().map(ends).collect::<Vec<_>>()
        };
        assert_eq!(ends("      - {tcp: 5432, to: nas}\n"), ["vps nas", "homeserver nas"]);
        assert_eq!(ends("      - {tcp: 5432, to: nas, from: nas}\n"), ["nas nas"]);
        assert_eq!(ends("      - {ping: nas, from: [vps, nas]}\n"), ["vps nas", "nas nas"]);
        assert_eq!(ends("      - {ping: nas, from: ['n*', vps]}\n"), ["vps nas"]);
        assert_eq!(ends("      - {wireguard: vps, from: [vps, nas]}\n"), ["nas vps"]);
    }

    #[test]
    fn a_part_of_a_fleet_has_the_links_at_its_own_ends() {
        let checks = "      - {ping: nas, from: [vps, homeserver, workstation]}
      - {ping: 192.0.2.1, from: [homeserver, workstation]}\n";
        let fleet = good(&with_fleet(&format!("    flake: .\n    checks:\n{checks}"))).fleets["lab"].clone();
        let all = links::resolve(&fleet, &BTreeMap::new());
        let of = |names: &[&str]| {
            let hosts = names.iter().map(|name| host(name)).collect();
            let word = |from: &Place| if let Place::Host(name) = from { name.to_string() } else { "here".into() };
            let kept = all.iter().filter(|link| link.is_of(&hosts));
            kept.map(|link| format!("{} {}", word(&link.from), link.to)).collect::<Vec<_>>()
        };
        assert_eq!(of(&["vps"]), ["vps nas", "here 192.0.2.1"]);
        assert_eq!(of(&["homeserver"]), ["homeserver nas", "here 192.0.2.1", "homeserver 192.0.2.1"]);
        assert_eq!(of(&["nas"]), ["here nas", "vps nas", "homeserver nas", "here 192.0.2.1"]);
    }

    #[test]
    fn without_checks_the_hosts_with_a_vpn_address_are_meshed() {
        let inventory = good(&with_fleet("    flake: .\n"));
        let [mesh] = inventory.fleets["lab"].checks.as_slice() else { panic!("one check") };
        assert_eq!(mesh.kind, CheckKind::Vpn(VpnShape::Mesh));
        assert_eq!(mesh.from, [place("vps"), place("homeserver")]);
        let alone = good("hosts: {a: {vpn: 10.0.0.1}, b: }\nfleets: {lab: {hosts: all, flake: .}}\n");
        assert_eq!(alone.fleets["lab"].checks, []);
        assert_eq!(good(&with_fleet("    flake: .\n    checks: []\n")).fleets["lab"].checks, []);
    }

    #[test]
    fn a_host_of_another_fleet_is_looked_at_by_its_address() {
        let inventory = good(
            "hosts: {a: {}, b: {address: b.example.org}, c: {vpn: 10.0.0.3}}
fleets: {one: {hosts: a, flake: ., checks: [{ping: [b, c]}]}, two: {hosts: [b, c], flake: .}}
",
        );
        let to = vec![Target::Address("b.example.org".into()), Target::Address("10.0.0.3".into())];
        assert_eq!(inventory.fleets["one"].checks[0].kind, CheckKind::Ping { to });
    }

    #[test]
    fn systems_that_are_built_already_go_to_their_hosts() {
        let system = "/nix/store/0gv1yx3wnyzhi0bjgjbmvxy7qnzwzw5h-nixos-system-a-25.05";
        let text = format!("hosts: {{a: , b: }}\nfleets: {{lab: {{hosts: [a], system: {{a: {system}}}}}}}\n");
        let fleet = &good(&text).fleets["lab"];
        assert_eq!(fleet.source, Source::System);
        assert_eq!(fleet.hosts[0].system, Some(StorePath::new(system).unwrap()));
    }

    #[test]
    fn a_file_source_is_relative_to_the_inventorys_folder() {
        let inventory = good("hosts: {a: }\nfleets: {lab: {hosts: a, file: ../hosts.nix, attr: 'x.{host}'}}\n");
        let source = Source::File { file: "/hosts.nix".into(), attr: AttrPath::parse("x.{host}").unwrap() };
        assert_eq!(inventory.fleets["lab"].source, source);
    }

    #[test]
    fn a_file_without_hosts_in_a_fleet_is_read_with_warnings() {
        let text = "groups:
  later: {port: 22}
hosts:
  gate:
  far: {jump: gate}
  idle:
fleets:
  lab: {hosts: far, flake: .}
";
        let warnings = parse(text).unwrap().warnings;
        let all: Vec<_> = warnings.iter().map(ToString::to_string).collect();
        assert_eq!(
            all.join("\n\n"),
            "\
inventory.yaml:2:3: no host has the tag `later`
  2 |   later: {port: 22}
    |   ^
      a group is for the hosts with that tag: `tags: [...]`

inventory.yaml:4:3: the host `gate` is in no fleet: others jump through it, but nothing pushes it
  4 |   gate:
    |   ^

inventory.yaml:6:3: the host `idle` is in no fleet, so nothing pushes it
  6 |   idle:
    |   ^"
        );
    }
}

mod bad_files {
    use pretty_assertions::assert_eq;

    use super::*;

    /// All that is said about a bad file, but for the line that counts the mistakes.
    fn said(text: &str) -> String {
        let Err(mistakes) = parse(text) else { panic!("no mistake was found in:\n{text}") };
        mistakes.split_once("\n\n").map_or(mistakes.clone(), |(_, problems)| problems.to_owned())
    }

    /// Every mistake in short: `line:column what` and, behind an arrow, the mend.
    fn short(text: &str) -> Vec<String> {
        let file = (Path::new("inventory.yaml"), Path::new("/lab"));
        let Err(mistakes) = Inventory::parse(file.0, file.1, text) else { panic!("no mistake was found in:\n{text}") };
        let line = |problem: fleetdeploy::inventory::Problem| {
            let at = problem.at.map(|at| format!("{}:{} ", at.line, at.column)).unwrap_or_default();
            let mend = problem.wrong.mend().map(|mend| format!(" -> {mend}")).unwrap_or_default();
            format!("{at}{}{mend}", problem.what())
        };
        mistakes.problems.into_iter().map(line).collect()
    }

    #[test]
    fn a_boot_loader_that_no_host_can_read_and_a_place_that_is_none_are_said_where_they_stand() {
        let text = "defaults: {boot_loader: {kind: limine}}
groups: {a: {boot_loader: }, b: {boot_loader: systemd-boot}}
hosts:
  a:
    tags: [a, b]
    boot_loader:
      kind: init
      esp: /boot
  b: {boot_loader: {esp: boot}, esp: /efi}
  c: {boot_loader: {kind: grub, esp: /boot/../efi, part: 1}}
  d: {boot_loader: {esp: \"/boot\\nx\"}}
fleets: {lab: {hosts: all, flake: ., boot_loader: {}}}
";
        let said = short(text);
        assert_eq!(
            said,
            [
                "1:32 `limine` is not a word that is known here -> write `systemd-boot`, `grub`, `extlinux` or `init`",
                "2:14 nothing stands here, but a map (lines of `key: value`) is wanted",
                "2:47 `boot_loader` is a map of `kind` and `esp`, not a word -> write `boot_loader: {kind: \
                 systemd-boot}`",
                "8:12 `esp` means nothing beside `kind: init`, which has no partition -> take it out",
                "9:26 `boot` is not a place where a partition is mounted -> write it from the root: `/boot`, `/efi`, \
                 `/boot/esp`",
                "9:33 the key `esp` is not known here -> it belongs to the map behind `boot_loader`",
                "10:38 `/boot/../efi` is not a place where a partition is mounted -> use letters, digits, `.`, `-`, \
                 `_` and `+` between single `/`, no part beginning with `.`: `/boot/esp`",
                "10:52 the key `part` is not known here -> the keys here are `kind` and `esp`",
                "11:26 `/boot\\nx` is not a place where a partition is mounted -> use letters, digits, `.`, `-`, `_` \
                 and `+` between single `/`, no part beginning with `.`: `/boot/esp`",
                "12:51 `boot_loader` says nothing -> write `kind`, `esp` or both: `boot_loader: {esp: /boot/esp}`",
            ]
        );
    }

    #[test]
    fn all_mistakes_are_shown_at_once() {
        let text = "defaults: {guard: 15}
hosts:
  vps:
    usr: root
    port: ssh
  homeserver:
    jump: vsp
    jump: vps
fleets:
  lab:
    hosts: [vps, homesever]
    flake: .
";
        assert_eq!(
            parse(text).unwrap_err(),
            "\
6 mistakes in the inventory inventory.yaml

inventory.yaml:1:19: the time `15` has no unit
  1 | defaults: {guard: 15}
    |                   ^
      write `15m` for minutes or `15s` for seconds

inventory.yaml:4:5: the key `usr` is not known here
  4 |     usr: root
    |     ^
      did you mean `user`?

inventory.yaml:5:11: this is a text, but a whole number is wanted
  5 |     port: ssh
    |           ^

inventory.yaml:7:11: there is no host `vsp`
  7 |     jump: vsp
    |           ^
      did you mean `vps`?

inventory.yaml:8:5: the key `jump` is here twice (the first is on line 7)
  8 |     jump: vps
    |     ^
      keep one of the two

inventory.yaml:11:18: no host matches `homesever`
  11 |     hosts: [vps, homesever]
     |                  ^
       did you mean `homeserver`?"
        );
    }

    #[test]
    fn what_is_not_yaml_has_its_place_and_a_word_on_the_usual_slips() {
        assert_eq!(
            said("hosts:\n  vps: {address: [}\n"),
            "\
inventory.yaml:2:19: this is not YAML: did not find expected node content, while parsing a flow node
  2 |   vps: {address: [}
    |                   ^"
        );
        assert_eq!(
            said("fleets:\n  lab:\n    hosts: [@edge]\n"),
            "\
inventory.yaml:3:13: this is not YAML: found character that cannot start any token, while scanning for the next token
  3 |     hosts: [@edge]
    |             ^
      a tag stands in quotes: `\"@edge\"`"
        );
        assert_eq!(
            said("hosts:\n\tvps:\n"),
            "\
inventory.yaml:2:1: this is not YAML: found character that cannot start any token, while scanning for the next token
  2 |  vps:
    | ^
      YAML is indented with spaces, not with tabs"
        );
    }

    #[test]
    fn an_empty_file_is_told_what_belongs_into_it() {
        for text in ["", "# nothing yet\n"] {
            let Err(mistakes) = parse(text) else { panic!("an empty file was read") };
            assert!(mistakes.contains("the inventory is empty"), "{mistakes}");
        }
        assert_eq!(
            short("defaults: {}\n"),
            [
                "1:1 the inventory has no `hosts` -> name at least one: `hosts: {vps: {address: vps.example.org}}`",
                "1:1 the inventory has no `fleets` -> name at least one: `fleets: {homelab: {flake: ., hosts: all}}`",
            ]
        );
    }

    #[test]
    fn two_hosts_with_one_name_are_refused_whatever_their_case() {
        assert_eq!(
            short("hosts:\n  vps:\n  nas:\n  vps:\n  NAS:\nfleets: {lab: {hosts: all, flake: .}}\n"),
            [
                "4:3 the host `vps` is here twice (the first is on line 2) -> keep one of the two",
                "5:3 `nas` and `NAS` are one name to ssh, which knows no case (the first is on line 3) \
                 -> give one of them another name",
            ]
        );
    }

    #[test]
    fn names_that_could_be_options_or_words_of_ours_are_refused() {
        let rule = "use letters, digits, `_`, `.` and `-`, not beginning with `-` or `.`, at most 63 of them";
        assert_eq!(
            short("hosts:\n  -oProxyCommand=x:\n  a b:\n  all:\n  ok:\nfleets:\n  -x: {hosts: ok, flake: .}\n"),
            [
                format!("2:3 `-oProxyCommand=x` cannot be a name -> {rule}"),
                format!("3:3 `a b` cannot be a name -> {rule}"),
                "4:3 no host can be called `all`: the word has a meaning of its own \
                 -> give it another name, and its real one as `address`"
                    .to_owned(),
                format!("7:3 `-x` cannot be a name -> {rule}"),
            ]
        );
    }

    #[test]
    fn values_that_are_not_safe_in_an_ssh_config_are_refused() {
        let text = r#"hosts:
  vps:
    address: "vps\nProxyCommand x"
    user: "ro ot"
    vpn: "-x"
    identity: "~/a key"
    after: {address: 'a"b', user: "\e[2J"}
fleets: {lab: {hosts: all, flake: .}}
"#;
        let lines: Vec<_> = short(text).into_iter().map(|line| line.split(" -> ").next().unwrap().to_owned()).collect();
        assert_eq!(
            lines,
            [
                "3:14 `vps\\nProxyCommand x` is not an address",
                "4:11 `ro ot` is not a user name",
                "5:10 `-x` is not an address",
                "6:15 `~/a key` cannot be the path of a key",
                "7:22 `a\"b` is not an address",
                "7:35 `\\u{1b}[2J` is not a user name",
            ]
        );
    }

    #[test]
    fn hooks_have_their_place_and_their_command() {
        assert_eq!(
            short(
                "hosts: {a: {hooks: {}}}
fleets:
  lab: {hosts: all, flake: ., before: [x], hooks: {before: x, after: [y], after_abort: [[], {name: z}, 5]}}
"
            ),
            [
                "1:13 the key `hooks` is not known here -> it belongs to a fleet, or `defaults`",
                "3:31 the key `before` is not known here -> it belongs to the map behind `hooks`",
                "3:60 this is a text, but a list is wanted -> write it in brackets: `[x]`",
                "3:63 the key `after` is not known here -> it belongs to a host",
                "3:89 this command is empty -> write the program and its arguments: `[systemctl, is-active, nginx]`",
                "3:93 this hook does not say what it runs -> add `command: ...`",
                "3:104 this is a number, but a text is wanted -> write it in quotes: `\"5\"`",
            ]
        );
    }

    #[test]
    fn who_has_failed_is_not_for_an_inventory_to_say() {
        assert_eq!(
            short("hosts: {a: {tags: [failed]}}\nfleets: {lab: {hosts: '@failed', flake: .}}\n"),
            [
                "1:20 no tag can be called `failed`: `@failed` means the hosts that failed in the last run \
                 -> give it another name",
                "2:23 `@failed` has no meaning here: it is of the last run of one fleet \
                 -> `--on @failed` is for commands that take a fleet, like push",
            ]
        );
    }

    #[test]
    fn canaries_are_hosts_of_the_fleet_and_waves_have_a_size() {
        assert_eq!(
            short(
                "hosts: {vps: , nas: , web: }
fleets:
  lab: {hosts: [vps, nas], flake: ., canary: [web, nass], waves: '1,101%'}
  all: {hosts: all, flake: ., canary: [], waves: {a: 2}}
  more: {hosts: all, flake: ., waves: [half, 0]}
groups: {edge: {canary: vps}}
"
            ),
            [
                "3:47 no host matches `web` -> the hosts are `vps` and `nas`",
                "3:52 no host matches `nass` -> did you mean `nas`?",
                "3:66 `101%` cannot be a wave: there are no more hosts than 100% -> write it like `1,25%`",
                "4:39 this list is empty -> name something, or take the key out",
                "4:50 this is a map, but the size of a wave is wanted -> write a number of hosts or a share: `2`, \
                 `25%`",
                "5:40 `half` cannot be a wave: a wave is a number of hosts, like `2`, or a share of those that change, \
                 like `25%` -> write it like `1,25%`",
                "5:46 `0` cannot be a wave: a wave has at least one host -> write it like `1,25%`",
                "6:17 the key `canary` is not known here -> it belongs to a fleet",
            ]
        );
    }

    #[test]
    fn several_addresses_stand_instead_of_one() {
        assert_eq!(
            short(
                "hosts:
  a: {address: x, addresses: [y, z]}
  b: {addresses: []}
  c: {addresses: [x, y, x]}
  d: {addresses: x}
  e: {addresses: [x, '-oProxyCommand=x']}
fleets: {lab: {hosts: all, flake: .}}
"
            ),
            [
                "2:30 this host has `addresses` beside `address` -> keep one of the two",
                "3:18 this list is empty -> name an address, or take the key out",
                "4:25 the address `x` is here twice -> keep one of the two",
                "5:18 this is a text, but a list is wanted -> write it in brackets: `[x]`",
                "6:22 `-oProxyCommand=x` is not an address -> an address is an IP address, a DNS name or an alias of \
                 your ~/.ssh/config: letters, digits, `.`, `-` and `_`, not beginning with `-`",
            ]
        );
    }

    #[test]
    fn jump_loops_are_shown_once_with_the_way_round() {
        let mend = "one of them must be reached directly: take out its `jump`, or write `jump: none`";
        assert_eq!(
            short(
                "hosts:
  a: {jump: b}
  b: {jump: c}
  c: {jump: b}
  d: {jump: d}
fleets: {lab: {hosts: all, flake: .}}
"
            ),
            [
                format!("3:13 this jump is a loop: b -> c -> b -> {mend}"),
                "5:13 `d` cannot be reached through itself -> name another host, or write `jump: none` if it is \
                 reached directly"
                    .to_owned(),
            ]
        );
    }

    #[test]
    fn a_loop_that_only_a_fleet_makes_is_found() {
        assert_eq!(
            short(
                "hosts:
  gate: {jump: far}
  far:
fleets: {lab: {hosts: all, flake: ., jump: gate}}
"
            ),
            ["2:16 this jump is a loop: gate -> far -> gate -> \
              one of them must be reached directly: take out its `jump`, or write `jump: none`"]
        );
    }

    #[test]
    fn hosts_that_run_on_each_other_are_refused() {
        assert_eq!(
            short("hosts:\n  a: {runs_on: b}\n  b: {runs_on: a}\nfleets: {lab: {hosts: all, flake: .}}\n"),
            ["2:16 these hosts run on each other: a -> b -> a -> take out one `runs_on`"]
        );
    }

    #[test]
    fn a_wrong_name_that_many_hosts_share_is_one_mistake() {
        assert_eq!(
            short("defaults: {jump: x}\nhosts: {a: , b: , c: }\nfleets: {lab: {hosts: all, flake: .}}\n"),
            ["1:18 there is no host `x` -> any other machine is written `ssh:user@host:port`"]
        );
    }

    #[test]
    fn a_fleet_needs_hosts_and_one_source() {
        assert_eq!(
            short(
                "hosts: {a: , b: }
fleets:
  none: {}
  empty: {hosts: [], flake: .}
  two: {hosts: a, flake: ., file: x.nix}
  attr: {hosts: a, flake: ., attr: hosts.a}
  hash: {hosts: a, flake: '.#a'}
  stray: {hosts: a, system: {a: ./result, c: /nix/store/0gv1yx3wnyzhi0bjgjbmvxy7qnzwzw5h-c}}
  gap: {hosts: [a, b], system: {a: /nix/store/0gv1yx3wnyzhi0bjgjbmvxy7qnzwzw5h-a}, attr: '{host}'}
"
            ),
            [
                "3:9 this fleet does not say where its systems come from \
                 -> add `flake: .`, or `file: ./hosts.nix`, or a store path for each host as `system`",
                "3:9 this fleet has no `hosts` -> name them: `hosts: [vps, homeserver]`, or `hosts: all`",
                "4:18 this fleet is empty -> name its hosts: `hosts: [vps, homeserver]`, or `hosts: all`",
                "5:35 this fleet has `file` beside `flake`: systems come from one place \
                 -> keep one of `flake`, `file` and `system`",
                "6:36 `attr` has no `{host}` in it, so every host would get the same system -> write `{host}` where \
                 the host's name belongs: `nixosConfigurations.\"{host}\".config.system.build.toplevel`",
                "7:27 what stands behind `#` has a key of its own \
                 -> write it as `attr`, with `{host}` for the host's name: `attr: a`",
                "8:33 `./result` is not a system of the store -> write its own path, \
                 `/nix/store/HASH-nixos-system-NAME-VERSION`: what `readlink -f result` prints",
                "8:43 there is no host `c` in the fleet `stray` -> take the line out",
                "9:32 `system` has no store path for `b` -> add `HOST: /nix/store/...` for each host of the fleet",
                "9:90 `attr` means nothing beside `system` -> take it out",
            ]
        );
    }

    #[test]
    fn patterns_that_match_nothing_are_refused_with_what_was_meant() {
        assert_eq!(
            short(
                "hosts: {web1: {tags: [edge]}, web2: }
fleets:
  a: {hosts: ['db*'], flake: .}
  b: {hosts: '@egde', flake: .}
  c: {hosts: edge, flake: .}
  d: {hosts: 'web1,wbe2', flake: .}
  e: {hosts: '[', flake: .}
"
            ),
            [
                "3:15 no host matches `db*` -> the hosts are `web1` and `web2`",
                "4:14 no host matches `@egde` -> did you mean `@edge`?",
                "5:14 no host matches `edge` -> did you mean `@edge`?",
                "6:14 no host matches `wbe2` -> did you mean `web2`?",
                "7:14 `[` is not a pattern: unclosed character class; missing ']' \
                 -> a pattern is a name, a glob like `web*`, `@tag` or `all`",
            ]
        );
    }

    #[test]
    fn a_group_that_is_nearly_a_tag_is_a_slip() {
        assert_eq!(
            short("groups: {egde: {}}\nhosts: {a: {tags: [edge]}}\nfleets: {lab: {hosts: all, flake: .}}\n"),
            ["1:10 no host has the tag `egde` -> did you mean `edge`?"]
        );
    }

    #[test]
    fn a_pattern_that_can_match_no_unit_is_a_mistake() {
        assert_eq!(
            short("hosts: {a: {units: {ignore: [backup, '[x.service']}}}\nfleets: {lab: {hosts: a, flake: .}}\n"),
            [
                "1:30 `backup` matches no unit: a unit's name ends in its kind -> write `backup.service`, or another \
                 kind",
                "1:38 `[x.service` is no pattern of units: unclosed character class; missing ']' -> \
                 write a name or a glob: `restic-backups-*.service`",
            ]
        );
    }

    #[test]
    fn times_say_their_unit_and_are_not_zero_or_months() {
        let example = "write a number and its unit: `90s`, `15m`, `1m30s`, `2h`";
        assert_eq!(
            short(
                "hosts: {a: {guard: 0s, boot_time: 15M, limits: {test: '90', copy: soon, step: [1s]}}}
fleets: {lab: {hosts: all, flake: ., settle: 60}}
"
            ),
            [
                format!("1:20 this time is zero -> {example}"),
                "1:35 `15M` is longer than a week -> minutes are a small `m`: a large `M` means months".to_owned(),
                "1:55 the time `90` has no unit -> write `90m` for minutes or `90s` for seconds".to_owned(),
                format!("1:67 `soon` is not a time -> {example}"),
                format!("1:79 this is a list, but a time is wanted -> {example}"),
                "2:46 the time `60` has no unit -> write `60m` for minutes or `60s` for seconds".to_owned(),
            ]
        );
    }

    #[test]
    fn a_guard_holds_a_whole_push_and_its_roll_back() {
        let lab = |settings: &str, fleet: &str| {
            format!("hosts: {{a: {{{settings}}}}}\nfleets: {{lab: {{hosts: all, flake: .{fleet}}}}}\n")
        };
        let said = |at: &str, guard: &str, needed: &str, parts: &str| {
            vec![format!(
                "{at} a guard of {guard} is shorter than what a push and its roll back may take, {needed}: {parts} -> \
                 give a longer `guard`, or smaller `limits`, `settle` and `steady`"
            )]
        };
        let parts = |test: &str, settle: &str, again: &str| {
            format!(
                "limits.step 30s + limits.test {test} + limits.connect 20s + settle {settle} + limits.switch 1m 30s + \
                 {again}limits.rollback 5m + a margin 5s"
            )
        };
        let usual = parts("4m", "1m", "");
        assert!(parse(&lab("", "")).is_ok(), "the default guard holds the default limits");
        assert!(parse(&lab("guard: 745s", "")).is_ok());
        assert_eq!(short(&lab("guard: 744s", "")), said("1:20", "12m 24s", "12m 25s", &usual));
        assert_eq!(short(&lab("", ", settle: 1h")), said("2:46", "15m", "1h 11m 25s", &parts("4m", "1h", "")));
        assert_eq!(
            short(&lab("limits: {copy: 3h, test: 10m}", "")),
            said("1:9", "15m", "18m 25s", &parts("10m", "1m", ""))
        );
        assert_eq!(
            short(&lab("reactivate: true", "")),
            said("1:9", "15m", "16m 25s", &parts("4m", "1m", "limits.test again (reactivate) 4m + "))
        );
        // What nobody has asked for gives way, what somebody has does not: twice where units are started twice.
        let steady = |guard: &str, fleet: &str| {
            good(&lab(&format!("guard: {guard}"), fleet)).fleet("lab").unwrap().steady().as_secs()
        };
        assert_eq!([steady("755s", ""), steady("750s", ""), steady("745s", "")], [10, 5, 0]);
        assert_eq!(steady("780s", ", steady: 35s"), 35);
        assert_eq!(steady("745s", ", steady: 0s"), 0);
        assert_eq!(
            short(&lab("guard: 750s", ", steady: 6s")),
            said("1:20", "12m 30s", "12m 31s", &parts("4m", "1m + steady 6s", ""))
        );
        assert_eq!(steady("1000s, reactivate: true", ""), 7);
        assert_eq!(
            short(&lab("", ", steady: 10m")),
            said("2:46", "15m", "22m 25s", &parts("4m", "1m + steady 10m", ""))
        );
        assert_eq!(
            short("hosts: {a: {runs_on: b}, b: {guard: 14m}}\nfleets: {lab: {hosts: all, flake: .}}\n"),
            [format!(
                "1:9 a guard of 11m 30s is shorter than what a push and its roll back may take, 12m 25s: {usual} -> it \
                 fires before that of `b`: give that one a longer `guard`, or smaller `limits`, `settle` and `steady`"
            )]
        );
    }

    #[test]
    fn an_attribute_path_is_one_before_a_build() {
        let with =
            |attr: &str| format!("hosts: {{a: }}\nfleets: {{lab: {{hosts: all, file: x.nix, attr: '{attr}'}}}}\n");
        let said = |attr: &str| short(&with(attr));
        let mend = "-> write names with one dot between; a name with a dot stands in quotes";
        assert_eq!(said("{host}..x"), [format!("2:47 the attribute path `{{host}}..x` has an empty part {mend}")]);
        assert_eq!(
            said("{host}.x\""),
            [format!("2:47 the attribute path `{{host}}.x\"` has a quote without its other one {mend}")]
        );
        assert!(parse(&with("\"{host}\".\"a.b\"")).is_ok());
    }

    fn short_checks(rest: &str) -> Vec<String> {
        short(&with_fleet(&format!("    flake: .\n    checks:\n{rest}")))
    }

    #[test]
    fn a_check_looks_at_exactly_one_thing() {
        assert_eq!(
            short_checks(
                "      - {name: x}
      - {ping: vps, tcp: 22}
      - {tcp: 22}
      - wireguard:
      - {ping: vps, to: vps}
      - {dns: x, to: vps}
      - {http: {status: 20}}
      - {command: []}
      - {tcp: 'vps:22'}
      - {name: y, ping: vps}
      - {name: y, ping: nas}
"
            ),
            [
                "10:9 this check does not say what it looks at -> \
                 add exactly one of `vpn`, `ping`, `tcp`, `http`, `dns`, `wireguard` and `command`",
                "11:26 this check has `tcp` beside `ping`: a check looks at one thing -> make two checks of it",
                "12:9 this check does not say what `tcp` looks at -> add `to: HOST`, an address, or a list of them",
                "13:19 this check does not say what `wireguard` looks at -> add `to: HOST`, an address, or a list of \
                 them",
                "14:25 `to` names targets, and `ping` does it too -> keep one of the two",
                "15:22 `to` means nothing beside `dns` -> take it out: only `ping`, `tcp` and `wireguard` look at `to`",
                "16:16 the address is missing -> add `url: http://...`",
                "16:25 `20` is not an HTTP status -> a status is a number from 100 to 599, like 200",
                "17:19 this command is empty -> write the program and its arguments: `[systemctl, is-active, nginx]`",
                "18:15 `tcp` is a port alone -> write `tcp: 22`, and `to: vps` below it",
                "20:16 the check `y` is here twice (the first is on line 19) -> give one of them another name",
            ]
        );
    }

    #[test]
    fn a_check_has_something_left_to_look_at() {
        let itself = "-> write `from: nas` if that is what you want, or name another host";
        assert_eq!(
            short_checks(
                "      - {ping: nas, from: 'n*'}
      - {tcp: 22, to: nas, from: 'n*'}
      - {wireguard: vps, from: vps}
      - {ping: nas, from: nas}
"
            ),
            [
                format!("10:9 no link is left to look at: `nas` would look at itself alone {itself}"),
                format!("11:23 no link is left to look at: `nas` would look at itself alone {itself}"),
                "12:9 no link is left to look at: no host is its own peer -> name a peer, or other hosts as `from`"
                    .into(),
            ]
        );
        let alone = "hosts: {nas: }\nfleets: {lab: {hosts: all, flake: ., checks: [{tcp: 443, to: nas}]}}\n";
        assert_eq!(
            short(alone),
            [format!("2:62 no link is left to look at: `nas` would look at itself alone {itself}")]
        );
    }

    #[test]
    fn a_check_names_hosts_that_are_there() {
        assert_eq!(
            short_checks(
                "      - {ping: homesever}
      - {ping: 10.0.0.300, from: nsa}
      - {ping: [vps, 'x y'], from: []}
      - {ping: '@edge', from: 'w*'}
"
            ),
            [
                "10:16 there is no host `homesever` -> \
                 did you mean `homeserver`? (An address of that name is written `homesever.`)",
                "11:34 there is no host `nsa` -> did you mean `nas`?",
                "12:22 `x y` is not an address -> an address is an IP address, a DNS name or an alias of your \
                 ~/.ssh/config: letters, digits, `.`, `-` and `_`, not beginning with `-`",
                "12:36 this list is empty -> name something, or take the key out",
                "13:16 no host matches `@edge` -> the hosts are `vps`, `homeserver` and `nas`",
                "13:31 no host matches `w*` -> the hosts are `vps`, `homeserver` and `nas`",
            ]
        );
        assert_eq!(
            short(
                "hosts: {a: , b: }\nfleets: {x: {hosts: a, flake: ., checks: [{dns: x, from: b}]}, y: {hosts: b, \
                 flake: .}}\n"
            ),
            ["2:58 the host `b` is not in this fleet -> \
              add it to the fleet's `hosts`: a check runs only on hosts of its fleet"]
        );
    }

    #[test]
    fn a_vpn_needs_an_address_on_every_host_that_takes_part() {
        assert_eq!(
            short_checks(
                "      - vpn: mesh
      - {vpn: mesh, from: [vps, workstation, homeserver]}
      - {vpn: {hub: nas}, from: vps}
      - {vpn: {hub: npas}}
      - {vpn: mehs}
      - {vpn: mesh, from: vps}
      - vpn: {}
"
            ),
            [
                "10:14 `nas` has no `vpn` address -> \
                 add `vpn: ADDRESS` to the host, or name those that take part as `from`",
                "11:33 the workstation has no place in a `vpn` check, which is between hosts -> \
                 write a `ping` check `from: workstation`",
                "12:15 `nas` has no `vpn` address -> \
                 add `vpn: ADDRESS` to the host, or name those that take part as `from`",
                "13:21 there is no host `npas` -> did you mean `nas`?",
                "14:15 `mehs` is not a shape of a VPN -> did you mean `mesh`?",
                "15:15 a VPN needs two hosts at least -> take the check out, or add hosts",
                "16:14 the hub is not named -> write `vpn: {hub: HOST}`",
            ]
        );
    }

    #[test]
    fn two_hosts_of_a_mesh_with_one_address_are_refused() {
        assert_eq!(
            short("hosts:\n  a: {vpn: 10.0.0.1}\n  b: {vpn: 10.0.0.1}\nfleets: {lab: {hosts: all, flake: .}}\n"),
            ["3:12 `a` and `b` have the same `vpn` address (the first is on line 2) -> give each host its own"]
        );
    }

    #[test]
    fn a_key_in_the_wrong_place_is_told_where_it_belongs() {
        assert_eq!(
            short(
                "hosts: {a: {settle: 1m, connect: 5s, <<: {}}}
guard: 15m
fleets: {lab: {hosts: all, flake: ., address: x, check: []}}
"
            ),
            [
                "1:13 the key `settle` is not known here -> it belongs to a fleet",
                "1:25 the key `connect` is not known here -> it belongs to the map behind `limits`",
                "1:38 the key `<<` is not known here -> \
                 merge keys are not read: `defaults` and `groups` are for what several hosts share",
                "2:1 the key `guard` is not known here -> \
                 the keys here are `defaults`, `groups`, `hosts` and `fleets`",
                "3:38 the key `address` is not known here -> it belongs to a host",
                "3:50 the key `check` is not known here -> did you mean `checks`?",
            ]
        );
    }

    #[test]
    fn one_mistake_does_not_bring_others_with_it() {
        assert_eq!(
            short(
                "hosts:
  vps: {vpn: 10.0.0.1/24}
  nas: [x]
  homeserver: {vpn: 10.0.0.2, jump: nas}
fleets: {lab: {hosts: [vps, homesever], flake: ., checks: [{vpn: mesh}, {ping: vps, from: homeserver}]}}
"
            ),
            [
                "2:14 `10.0.0.1/24` is not an address -> write the address alone: `10.0.0.1`",
                "3:8 this is a list, but a map (lines of `key: value`) is wanted",
                "5:29 no host matches `homesever` -> did you mean `homeserver`?",
            ]
        );
    }

    #[test]
    fn a_file_that_is_not_text_or_not_there_is_an_error_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("inventory.yaml");
        assert!(matches!(Inventory::load(&path), Err(LoadError::Unreadable { .. })));
        std::fs::write(&path, b"hosts:\n  a\xff:\n").unwrap();
        let error = Inventory::load(&path).unwrap_err().to_string();
        assert!(error.contains(":2:4: this is not UTF-8 text\n  2 |   a\u{fffd}:\n    |    ^"), "{error}");
    }
}

/// Every code of a mistake, each with a text that bears it.
mod codes {
    use std::fmt::Write as _;

    use fleetdeploy::inventory::{Problem, Wrong};
    use pretty_assertions::assert_eq;

    use super::*;

    fn host_with(rest: &str) -> String {
        format!("hosts: {{a: {{{rest}}}}}\nfleets: {{lab: {{hosts: all, flake: .}}}}\n")
    }

    fn fleet_with(rest: &str) -> String {
        format!("hosts: {{a: {{}}, b: {{}}}}\nfleets: {{lab: {{{rest}}}}}\n")
    }

    fn check_with(rest: &str) -> String {
        fleet_with(&format!("hosts: all, flake: ., checks: [{{{rest}}}]"))
    }

    fn cached(cache: &str) -> String {
        fleet_with(&format!("hosts: all, flake: ., cache: {cache}"))
    }

    #[expect(clippy::too_many_lines, reason = "a line for each")]
    fn texts() -> Vec<(&'static str, String)> {
        let system = "/nix/store/0gv1yx3wnyzhi0bjgjbmvxy7qnzwzw5h-a";
        let laughs = format!("a: &a [{}]\nb: [{}]\n", vec!["x"; 1000].join(","), vec!["*a"; 1000].join(","));
        let long_name = format!("name: {}, dns: x", "n".repeat(81));
        vec![
            ("not-yaml", "hosts: [}\n".into()),
            ("nested-too-deep", "[".repeat(200) + &"]".repeat(200)),
            ("too-many-aliases", laughs),
            ("second-document", "a: 1\n---\nb: 1\n".into()),
            ("empty-inventory", String::new()),
            ("section-missing", "hosts: {a: }\n".into()),
            ("empty-section", "hosts: {}\nfleets: {}\n".into()),
            ("unknown-key", host_with("usr: root")),
            ("duplicate-key", host_with("port: 1, port: 2")),
            ("wrong-type", host_with("port: ssh")),
            ("empty-list", fleet_with("hosts: all, flake: ., canary: []")),
            ("empty-text", fleet_with("hosts: all, flake: ''")),
            ("looks-like-an-option", fleet_with("hosts: all, flake: --impure")),
            ("control-characters", fleet_with("hosts: all, flake: \"a\\tb\"")),
            ("unknown-word", host_with("become: su")),
            ("not-a-duration", host_with("guard: soon")),
            ("duration-without-unit", host_with("guard: 15")),
            ("zero-duration", host_with("guard: 0s")),
            ("duration-too-long", host_with("guard: 15M")),
            ("not-a-port", host_with("port: 0")),
            ("not-a-name", "hosts: {a b: }\nfleets: {lab: {hosts: all, flake: .}}\n".into()),
            ("reserved-name", "hosts: {all: }\nfleets: {lab: {hosts: all, flake: .}}\n".into()),
            ("names-differ-in-case", "hosts: {nas: , NAS: }\nfleets: {lab: {hosts: all, flake: .}}\n".into()),
            ("tag-with-at", host_with("tags: ['@edge']")),
            ("reserved-tag", host_with("tags: [failed]")),
            ("not-an-address", host_with("address: root@vps")),
            ("duplicate-address", host_with("addresses: [x, x]")),
            ("address-and-addresses", host_with("address: x, addresses: [y, z]")),
            ("not-a-user", host_with("user: ro ot")),
            ("not-a-key-path", host_with("identity: a key")),
            ("unsafe-folder", host_with("identity: key")),
            ("not-a-jump", host_with("jump: root@gate")),
            ("no-such-host", host_with("jump: gate")),
            ("jump-to-itself", host_with("jump: a")),
            ("jump-loop", "hosts: {a: {jump: b}, b: {jump: a}}\nfleets: {lab: {hosts: all, flake: .}}\n".into()),
            ("runs-on-itself", host_with("runs_on: a")),
            (
                "runs-on-loop",
                "hosts: {a: {runs_on: b}, b: {runs_on: a}}\nfleets: {lab: {hosts: all, flake: .}}\n".into(),
            ),
            ("guard-too-short", host_with("guard: 1m")),
            ("boot-loader-not-a-map", host_with("boot_loader: grub")),
            ("empty-boot-loader", host_with("boot_loader: {}")),
            ("esp-beside-init", host_with("boot_loader: {kind: init, esp: /boot}")),
            ("not-a-mount-point", host_with("boot_loader: {esp: boot}")),
            ("unit-without-kind", host_with("units: {ignore: [backup]}")),
            ("not-a-unit-pattern", host_with("units: {ignore: ['[x.service']}")),
            ("fleet-without-hosts", fleet_with("flake: .")),
            ("empty-fleet", fleet_with("hosts: [], flake: .")),
            ("fleet-without-source", fleet_with("hosts: all")),
            ("several-sources", fleet_with("hosts: all, flake: ., file: x.nix")),
            ("attr-beside-system", fleet_with(&format!("hosts: a, system: {{a: {system}}}, attr: '{{host}}'"))),
            ("attr-in-flake", fleet_with("hosts: all, flake: '.#a'")),
            ("attr-without-host", fleet_with("hosts: all, flake: ., attr: hosts.a")),
            ("not-an-attr-path", fleet_with("hosts: all, flake: ., attr: '{host}..x'")),
            ("system-not-a-map", fleet_with("hosts: a, system: ./result")),
            ("not-a-store-path", fleet_with("hosts: a, system: {a: ./result}")),
            ("system-of-no-host", fleet_with(&format!("hosts: a, system: {{a: {system}, c: {system}}}"))),
            ("system-missing", fleet_with(&format!("hosts: all, system: {{a: {system}}}"))),
            ("not-a-wave", fleet_with("hosts: all, flake: ., waves: 0")),
            ("not-a-pattern", fleet_with("hosts: '[', flake: .")),
            ("no-match", fleet_with("hosts: db, flake: .")),
            ("failed-named", fleet_with("hosts: '@failed', flake: .")),
            ("group-of-no-tag", format!("groups: {{egde: {{}}}}\n{}", host_with("tags: [edge]"))),
            ("unused-group", format!("groups: {{later: {{}}}}\n{}", host_with(""))),
            ("host-without-fleet", fleet_with("hosts: a, flake: .")),
            ("name-too-long", check_with(&long_name)),
            ("duplicate-check-name", check_with("name: x, dns: y}, {name: x, dns: z")),
            ("check-without-kind", check_with("name: x")),
            ("check-of-several-kinds", check_with("ping: a, tcp: 22")),
            ("check-without-target", check_with("tcp: 22")),
            ("targets-in-two-places", check_with("ping: a, to: b")),
            ("to-without-meaning", check_with("dns: x, to: a")),
            ("host-of-another-fleet", fleet_with("hosts: a, flake: ., checks: [{dns: x, from: b}]")),
            (
                "workstation-is-a-host",
                "hosts: {workstation: }\nfleets: {lab: {hosts: all, flake: ., checks: [{dns: x, from: workstation}]}}\n"
                    .into(),
            ),
            ("host-looks-at-itself", check_with("ping: a, from: 'a*'")),
            ("no-peer-left", check_with("wireguard: a, from: a")),
            ("not-a-vpn-shape", check_with("vpn: star")),
            ("hub-missing", check_with("vpn: {}")),
            ("vpn-address-missing", check_with("vpn: mesh")),
            (
                "duplicate-vpn-address",
                "hosts: {a: {vpn: 10.0.0.1}, b: {vpn: 10.0.0.1}}\nfleets: {lab: {hosts: all, flake: .}}\n".into(),
            ),
            (
                "vpn-of-one-host",
                "hosts: {a: {vpn: 10.0.0.1}}\nfleets: {lab: {hosts: all, flake: ., checks: [{vpn: mesh}]}}\n".into(),
            ),
            ("workstation-in-vpn", check_with("vpn: mesh, from: [a, b, workstation]")),
            ("host-beside-port", check_with("tcp: 'a:22'")),
            ("url-missing", check_with("http: {status: 200}")),
            ("not-a-url", check_with("http: ftp://x")),
            ("not-a-store", cached("{to: 'ssh-ng://-x'}")),
            ("not-a-public-key", cached("{to: 'ssh-ng://a', public_key: x}")),
            ("cache-without-to", cached("{from: 'http://x'}")),
            (
                "command-beside-to",
                cached("{to: 'ssh-ng://a', command: x}"),
            ),
            ("not-a-window", "defaults: {parallel: 0}\nhosts: {a: }\nfleets: {lab: {hosts: a, flake: .}}\n".into()),
            ("not-so-many-workers", fleet_with("hosts: all, flake: ., evaluate: {workers: 0}")),
            ("not-an-amount-of-memory", fleet_with("hosts: all, flake: ., evaluate: {memory: 4GB}")),
            ("not-an-input", fleet_with("hosts: all, flake: ., nix: {override_inputs: {--impure: .}}")),
            ("nix-setting-taken", fleet_with("hosts: all, flake: ., nix: {options: {store: /mnt}}")),
            ("not-a-nix-setting", fleet_with("hosts: all, flake: ., nix: {options: {--impure: x}}")),
            ("not-for-one-host", "hosts: {a: {nix: {impure: true}}}\nfleets: {lab: {hosts: a, flake: .}}\n".into()),
            ("not-a-status", check_with("http: {url: 'http://x', status: 20}")),
            ("empty-body", check_with("http: {url: 'http://x', body: ''}")),
            ("body-of-several-lines", check_with("http: {url: 'http://x', body: \"a\\nb\"}")),
            ("query-missing", check_with("dns: {server: 10.0.0.1}")),
            ("empty-command", check_with("command: []")),
            ("nul-in-command", check_with("command: \"a\\0\"")),
            ("hook-without-command", fleet_with("hosts: all, flake: ., hooks: {before: [{name: x}]}")),
        ]
    }

    /// All that is said about a text, mistakes or warnings.
    fn said(code: &str, text: &str) -> Vec<Problem> {
        // The first name cannot stand in an ssh config.
        let folder = Path::new(if code == "unsafe-folder" { "/my lab" } else { "/lab" });
        match Inventory::parse(Path::new("inventory.yaml"), folder, text) {
            Ok(loaded) => loaded.warnings,
            Err(mistakes) => mistakes.problems,
        }
    }

    /// What is said with each code, in the order of the types.
    fn examples() -> Vec<(&'static str, Problem)> {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let path = folder.path().join("inventory.yaml");
        std::fs::write(&path, b"hosts:\n  a\xff:\n").expect("a file can be written there");
        let Err(LoadError::Mistakes(not_text)) = Inventory::load(&path) else { panic!("it was read") };
        let texts: BTreeMap<_, _> = texts().into_iter().collect();
        let example = |(code, _): &(&'static str, &str)| {
            let problems = match texts.get(code) {
                Some(text) => said(code, text),
                None => not_text.problems.clone(),
            };
            let found = problems.iter().find(|problem| problem.wrong.code() == *code).cloned();
            (*code, found.unwrap_or_else(|| panic!("no text bears `{code}`: {problems:#?}")))
        };
        Wrong::CODES.iter().map(example).collect()
    }

    #[test]
    fn every_code_is_kebab_case_and_once_in_a_real_text() {
        let codes: BTreeSet<_> = Wrong::CODES.iter().map(|(code, _)| *code).collect();
        assert_eq!(codes.len(), Wrong::CODES.len(), "a code is there twice");
        for code in codes {
            assert!(code.bytes().all(|byte| byte.is_ascii_lowercase() || b"-8".contains(&byte)), "{code}");
        }
        for (code, problem) in examples() {
            assert!(problem.at.is_some() && !problem.what().is_empty(), "{code}");
        }
    }

    /// `FLEETDEPLOY_BLESS=1 cargo test --test inventory` writes it anew, below its first lines.
    #[test]
    fn the_page_of_mistakes_has_every_code() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/inventory-mistakes.md");
        let page = std::fs::read_to_string(&path).unwrap();
        let (first_lines, _) = page.split_once("\n| code").unwrap();
        let mut wanted = format!("{first_lines}\n| code | means | for example |\n|---|---|---|\n");
        let means: BTreeMap<_, _> = Wrong::CODES.iter().copied().collect();
        for (code, problem) in examples() {
            let mend = problem.wrong.mend().map(|mend| format!(". To mend it: {mend}")).unwrap_or_default();
            let said = format!("{}{mend}", problem.what()).replace('|', "\\|");
            let _ = writeln!(wanted, "| `{code}` | {} | {said} |", means[code].trim());
        }
        if std::env::var_os("FLEETDEPLOY_BLESS").is_some() {
            std::fs::write(&path, &wanted).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), wanted);
    }

    #[test]
    fn a_program_gets_every_mistake_with_its_place_and_its_code() {
        let text = "hosts:\n  vps:\n    usr: root\n  vps:\nfleets: {lab: {hosts: all, flake: .}}\n";
        let Err(mistakes) = Inventory::parse(Path::new("inventory.yaml"), Path::new("/lab"), text) else {
            panic!("no mistake was found")
        };
        assert_eq!(
            LoadError::Mistakes(mistakes).answer(),
            Some(serde_json::json!({
                "inventory": "inventory.yaml",
                "mistakes": [
                    {
                        "file": "inventory.yaml", "line": 3, "column": 5, "code": "unknown-key",
                        "message": "the key `usr` is not known here", "mend": "did you mean `user`?",
                    },
                    {
                        "file": "inventory.yaml", "line": 4, "column": 3, "code": "duplicate-key",
                        "message": "the host `vps` is here twice (the first is on line 2)",
                        "mend": "keep one of the two",
                    },
                ],
            }))
        );
    }
}

/// Files with a mistake for each host, or for each other thing that there can be thousands of.
mod many_mistakes {
    use std::fmt::Write as _;

    use nix::sys::resource::{UsageWho, getrusage};
    use nix::sys::time::TimeValLike as _;
    use pretty_assertions::assert_eq;

    use super::*;

    /// A host for each number, and a fleet.
    fn with_hosts(count: usize, host: impl Fn(usize) -> String, fleet: &str) -> String {
        let mut text = "hosts:\n".to_owned();
        for number in 0..count {
            let _ = writeln!(text, "  host{number:05}: {{{}}}", host(number));
        }
        let _ = writeln!(text, "fleets: {{lab: {{flake: ., {fleet}}}}}");
        text
    }

    fn names(count: usize, word: &str) -> String {
        (0..count).map(|number| format!("{word}{number:05}")).collect::<Vec<_>>().join(", ")
    }

    /// Every kind of text that was once read again, or compared with all others, for each mistake.
    fn kinds(count: usize) -> [(&'static str, String); 7] {
        let one_line = |host: usize| format!("\"host{host:05}\": {{\"usr\": \"root\"}}");
        let hosts: Vec<_> = (0..count).map(one_line).collect();
        let on_one_line = format!(
            "{{\"hosts\": {{{}}}, \"fleets\": {{\"lab\": {{\"flake\": \".\", \"hosts\": \"all\"}}}}}}",
            hosts.join(", ")
        );
        let all = "hosts: all, checks: []";
        [
            ("a key that is not known", with_hosts(count, |_| "usr: root".into(), all)),
            ("a jump over no host", with_hosts(count, |host| format!("jump: gate{host:05}"), all)),
            ("a loop of jumps", with_hosts(count, |host| format!("jump: host{:05}", host ^ 1), all)),
            ("one vpn address twice", with_hosts(count, |_| "vpn: 10.0.0.1".into(), "hosts: all")),
            (
                "a fleet of no hosts",
                with_hosts(count, |_| String::new(), &format!("hosts: [{}]", names(count, "hots"))),
            ),
            (
                "a check from no hosts",
                with_hosts(
                    count,
                    |_| String::new(),
                    &format!("hosts: all, checks: [{{dns: x, from: [{}]}}]", names(count, "hots")),
                ),
            ),
            ("a file of one line", on_one_line),
        ]
    }

    /// What the processor worked for it, since the machine does other things, too; the better of two.
    fn time_of(text: &str) -> Duration {
        let worked = || {
            let usage = getrusage(UsageWho::RUSAGE_THREAD).expect("a thread knows its own usage");
            let time = usage.user_time() + usage.system_time();
            Duration::from_micros(time.num_microseconds().try_into().expect("no time is negative"))
        };
        let once = || {
            let begun = worked();
            assert!(parse(text).is_err());
            worked().saturating_sub(begun)
        };
        once().min(once())
    }

    #[test]
    fn eight_times_the_mistakes_take_eight_times_the_time_and_not_its_square() {
        for ((kind, few), (_, many)) in kinds(100).into_iter().zip(kinds(800)) {
            let (few, many) = (time_of(&few), time_of(&many));
            assert!(many < few * 8 * 3, "{kind}: {few:?} for 100, {many:?} for 800");
        }
    }

    #[test]
    fn a_person_is_shown_fifty_and_a_program_all() {
        let text = with_hosts(60, |_| "usr: root".into(), "hosts: all");
        let Err(mistakes) = Inventory::parse(Path::new("inventory.yaml"), Path::new("/lab"), &text) else {
            panic!("no mistake was found")
        };
        assert_eq!(mistakes.problems.len(), 60);
        let shown = mistakes.to_string();
        assert!(shown.starts_with("60 mistakes in the inventory inventory.yaml\n\n"), "{shown}");
        assert_eq!(shown.matches("is not known here").count(), 50);
        assert!(shown.ends_with("\n\nand 10 more; `inventory check --json` tells all of them"), "{shown}");
    }

    #[test]
    fn what_no_reader_should_try_is_refused_with_its_place() {
        let refused = |text: &str| parse(text).unwrap_err().split_once("\n\n").unwrap().1.to_owned();
        assert!(
            refused(&format!("hosts: {}", "[".repeat(100_000)))
                .starts_with("inventory.yaml:1:136: lists and maps stand more than 128 deep in each other\n")
        );
        let levels: Vec<String> = (1..10)
            .map(|level| format!("x{level}: &x{level} [{}]\n", vec![format!("*x{}", level - 1); 10].join(", ")))
            .collect();
        let laughs = levels.concat();
        let said = refused(&format!("x0: &x0 ha\n{laughs}"));
        assert!(said.starts_with("inventory.yaml:2:10: the aliases repeat more than 100000 values"), "{said}");
    }
}

mod patterns {
    use pretty_assertions::assert_eq;

    use super::*;

    fn chosen(patterns: &[&str], except: &[&str]) -> Result<Vec<String>, String> {
        let inventory = good(
            "hosts: {web1: {tags: [edge]}, web2: , db: {tags: [edge-far]}}
fleets: {lab: {hosts: all, flake: .}}
",
        );
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        select(&inventory.hosts, &owned(patterns), &owned(except))
            .map(|hosts| hosts.into_iter().map(|host| host.name.to_string()).collect())
            .map_err(|error| format!("{error}; {}", error.hint().unwrap_or_default()))
    }

    #[test]
    fn names_globs_tags_and_unions_choose_in_the_inventorys_order() {
        let some = |names: &[&str]| Ok(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert_eq!(chosen(&[], &[]), some(&["web1", "web2", "db"]));
        assert_eq!(chosen(&["all"], &["web*"]), some(&["db"]));
        assert_eq!(chosen(&["db", "web1"], &[]), some(&["web1", "db"]));
        assert_eq!(chosen(&["db,web1"], &[]), some(&["web1", "db"]));
        assert_eq!(chosen(&["{db,web1}", "db"], &[]), some(&["web1", "db"]));
        assert_eq!(chosen(&["web[2-9]"], &[]), some(&["web2"]));
        assert_eq!(chosen(&["@edge"], &[]), some(&["web1"]));
        assert_eq!(chosen(&["@edge*"], &[]), some(&["web1", "db"]));
    }

    #[test]
    fn a_slip_neither_leaves_a_host_out_nor_in() {
        let error = |text: &str| Err(text.to_owned());
        assert_eq!(chosen(&["wbe1"], &[]), error("no host matches `wbe1`; did you mean `web1`?"));
        assert_eq!(chosen(&["all"], &["bd"]), error("no host matches `bd`; did you mean `db`?"));
        assert_eq!(
            chosen(&["web1,"], &[]),
            error("`` is not a pattern: it is empty; a pattern is a name, a glob like `web*`, `@tag` or `all`")
        );
        assert_eq!(
            chosen(&["db"], &["all"]),
            error("no host is left: `--except` takes out every host that was chosen; ")
        );
    }

    #[test]
    fn who_has_failed_is_passed_in_and_a_run_must_be_meant() {
        let inventory = good("hosts: {a: , b: , c: }\nfleets: {lab: {hosts: all, flake: .}}\n");
        let some = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let choose = |patterns: &[&str], except: &[&str], failed: Option<&[&str]>| {
            let failed = failed.map(|names| names.iter().map(|name| host(name)).collect());
            select_of_run(&inventory.hosts, &some(patterns), &some(except), failed.as_ref())
                .map(|hosts| hosts.into_iter().map(|host| host.name.to_string()).collect::<Vec<_>>())
                .map_err(|error| format!("{error}; {}", error.hint().unwrap_or_default()))
        };
        assert_eq!(choose(&["@failed"], &[], Some(&["c", "a", "gone"])), Ok(some(&["a", "c"])));
        assert_eq!(choose(&["a,@failed"], &["c"], Some(&["c", "b"])), Ok(some(&["a", "b"])));
        assert_eq!(choose(&[], &["@failed"], Some(&["c"])), Ok(some(&["a", "b"])));
        assert_eq!(
            choose(&["@failed"], &[], Some(&["gone"])),
            Err("no host that failed in the last run is in this fleet any more; there failed `gone`".into())
        );
        assert_eq!(
            choose(&["@failed"], &[], None),
            Err("`@failed` has no meaning here: it is of the last run of one fleet; \
                 `--on @failed` is for commands that take a fleet, like push"
                .into())
        );
        assert!(asks_for_failed(&some(&["a", "b,@failed"])) && !asks_for_failed(&some(&["{@failed,b}", "@failed*"])));
    }

    #[test]
    fn an_unknown_fleet_is_told_the_known_ones() {
        let inventory = good("hosts: {a: }\nfleets: {homelab: {hosts: all, flake: .}}\n");
        let error = inventory.fleet("homlab").unwrap_err();
        assert_eq!(
            (error.to_string(), error.hint()),
            ("there is no fleet `homlab`".into(), Some("did you mean `homelab`?".into()))
        );
        assert_eq!(inventory.fleet("x").unwrap_err().hint(), Some("the fleets are `homelab`".into()));
    }
}

mod schema_and_example {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn the_checked_in_schema_is_that_of_the_types() {
        let checked_in = include_str!("../inventory.schema.json");
        let generated = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
        assert!(
            checked_in == generated,
            "run `cargo run -- inventory schema > inventory.schema.json`: it is not what the types say"
        );
    }

    /// The keys that the decoder offers for an unknown one.
    fn keys_offered(text: &str) -> BTreeSet<String> {
        let Err(mistakes) = parse(text) else { panic!("`zzzzzzzzzzzz` is known in:\n{text}") };
        let offered = mistakes.lines().find_map(|line| line.trim().strip_prefix("the keys here are "));
        let Some(offered) = offered else { panic!("no keys are offered:\n{mistakes}") };
        offered.replace(" and ", ", ").split(", ").map(|key| key.trim_matches('`').to_owned()).collect()
    }

    #[test]
    fn decoder_and_schema_know_the_same_keys_at_every_level() {
        const Z: &str = "zzzzzzzzzzzz: 1";
        let fleet = |rest: &str| format!("hosts: {{a: }}\nfleets: {{lab: {{hosts: a, flake: ., {rest}}}}}\n");
        let host = |rest: &str| format!("hosts: {{a: {{{rest}}}}}\nfleets: {{lab: {{hosts: a, flake: .}}}}\n");
        let check = |rest: &str| fleet(&format!("checks: [{{{rest}}}]"));
        let levels = [
            ("", format!("{Z}\n{}", host(""))),
            ("Defaults", format!("defaults: {{{Z}}}\n{}", host(""))),
            ("HooksEntry", format!("defaults: {{hooks: {{{Z}}}}}\n{}", host(""))),
            ("CacheEntry", fleet(&format!("cache: {{to: ssh-ng://a, {Z}}}"))),
            ("HookEntry", fleet(&format!("hooks: {{before: [{{command: x, {Z}}}]}}"))),
            ("Settings", format!("groups: {{x: {{{Z}}}}}\n{}", host("tags: [x]"))),
            ("BootLoaderEntry", host(&format!("boot_loader: {{{Z}}}"))),
            ("NixEntry", host(&format!("nix: {{{Z}}}"))),
            ("LimitsEntry", host(&format!("limits: {{{Z}}}"))),
            ("EvaluateEntry", fleet(&format!("evaluate: {{{Z}}}"))),
            ("UnitsEntry", host(&format!("units: {{{Z}}}"))),
            ("HostEntry", host(Z)),
            ("AfterEntry", host(&format!("after: {{{Z}}}"))),
            ("FleetEntry", fleet(Z)),
            ("CheckEntry", check(&format!("dns: x, {Z}"))),
            ("HubEntry", check(&format!("vpn: {{hub: a, {Z}}}"))),
            ("HttpEntry", check(&format!("http: {{url: 'http://x', {Z}}}"))),
            ("DnsEntry", check(&format!("dns: {{query: x, {Z}}}"))),
            ("WireguardEntry", check(&format!("wireguard: {{{Z}}}, to: b.example.org"))),
        ];
        let schema = schema();
        let mut levels_left: BTreeSet<_> = schema["definitions"].as_object().unwrap().keys().cloned().collect();
        for (level, text) in levels {
            let types = if level.is_empty() { &schema } else { &schema["definitions"][level] };
            let keys: BTreeSet<_> = types["properties"].as_object().unwrap().keys().cloned().collect();
            assert_eq!(keys_offered(&text), keys, "{level}");
            levels_left.remove(level);
        }
        assert_eq!(levels_left, BTreeSet::new(), "levels that this test does not know");
    }

    #[test]
    fn the_example_is_a_good_inventory_without_warnings() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("inventory.example.yaml");
        let Loaded { inventory, warnings } = Inventory::load(&path).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(warnings, []);
        let fleet = inventory.fleet("homelab").unwrap();
        assert_eq!(fleet.hosts.iter().map(|host| host.name.as_str()).collect::<Vec<_>>(), ["vps", "homeserver", "git"]);
        let flake = env!("CARGO_MANIFEST_DIR").to_owned();
        assert!(matches!(&fleet.source, Source::Flake { flake: here, .. } if *here == flake));
    }

    #[test]
    fn the_template_of_the_flake_is_a_good_inventory_without_warnings() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("nix/template/inventory.yaml");
        let Loaded { inventory, warnings } = Inventory::load(&path).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(warnings, []);
        let fleet = inventory.fleet("homelab").unwrap();
        // Each of them has a folder in the flake.
        let names: Vec<&str> = fleet.hosts.iter().map(|host| host.name.as_str()).collect();
        assert_eq!(names, ["vps", "web"]);
        assert!(names.iter().all(|name| path.with_file_name("hosts").join(name).join("default.nix").exists()));
    }

    #[test]
    fn the_example_names_the_schema_for_editors() {
        assert_eq!(EXAMPLE.lines().next(), Some("# yaml-language-server: $schema=inventory.schema.json"));
    }

    #[test]
    fn every_key_stands_in_the_example() {
        fn keys(schema: &serde_json::Value, found: &mut BTreeSet<String>) {
            if let Some(properties) = schema.get("properties").and_then(serde_json::Value::as_object) {
                found.extend(properties.keys().cloned());
            }
            match schema {
                serde_json::Value::Object(map) => map.values().for_each(|value| keys(value, found)),
                serde_json::Value::Array(items) => items.iter().for_each(|value| keys(value, found)),
                _ => {}
            }
        }
        let mut all = BTreeSet::new();
        keys(&schema(), &mut all);
        let before_colon = |part: &str| {
            part.rsplit(|letter: char| !letter.is_ascii_lowercase() && letter != '_').next().map(str::to_owned)
        };
        let written: BTreeSet<_> = EXAMPLE
            .lines()
            .filter(|line| !line.trim_start().starts_with('#') || code_behind_hash(line).is_some())
            .flat_map(|line| line.split(':').filter_map(before_colon).collect::<Vec<_>>())
            .collect();
        let missing: Vec<_> = all.iter().filter(|key| !written.contains(*key)).collect();
        assert_eq!(missing, Vec::<&String>::new());
    }

    /// `#key: value`, `#- item` and what belongs to it: `#` and then code, where prose has one space.
    fn code_behind_hash(line: &str) -> Option<(usize, &str)> {
        let indent = line.len() - line.trim_start().len();
        let code = line.trim_start().strip_prefix('#')?;
        let is_prose = code.is_empty() || (code.starts_with(' ') && !code.starts_with("  "));
        (!is_prose).then_some((indent, code))
    }

    /// The example with each of its commented alternatives taken in, one at a time.
    fn alternatives() -> Vec<(String, String)> {
        let lines: Vec<&str> = EXAMPLE.lines().collect();
        let mut alternatives = Vec::new();
        let mut index = 0;
        while index < lines.len() {
            let start = index;
            while lines.get(index).is_some_and(|line| code_behind_hash(line).is_some()) {
                index += 1;
            }
            if start == index {
                index += 1;
                continue;
            }
            let block: Vec<String> = lines[start..index]
                .iter()
                .filter_map(|line| code_behind_hash(line))
                .map(|(indent, code)| format!("{}{code}", " ".repeat(indent)))
                .collect();
            let key = block[0].split(':').next().unwrap_or_default().to_owned() + ":";
            // The nearest line with the same key at the same depth above it is what the alternative stands for.
            let depth = key.len() - key.trim_start().len();
            let is_sibling = |line: &&&str| {
                line.trim().is_empty()
                    || line.trim_start().starts_with('#')
                    || line.len() - line.trim_start().len() >= depth
            };
            let replaced = lines[..start]
                .iter()
                .rev()
                .take_while(is_sibling)
                .position(|line| is_stood_for_by(line, &key) && !key.contains('-'));
            let replaced = replaced.map(|back| start - 1 - back);
            let text: Vec<&str> = (lines[..start].iter().enumerate())
                .filter(|(number, _)| Some(*number) != replaced)
                .map(|(_, line)| *line)
                .chain(block.iter().map(String::as_str))
                .chain(lines[index..].iter().copied())
                .collect();
            alternatives.push((block.join("\n"), text.join("\n")));
        }
        alternatives
    }

    /// The same key, or the one that it stands instead of.
    fn is_stood_for_by(line: &str, key: &str) -> bool {
        line.starts_with(key) || (key.trim() == "addresses:" && line.trim_start().starts_with("address:"))
    }

    #[test]
    fn every_commented_alternative_of_the_example_is_good() {
        let alternatives = alternatives();
        assert!(alternatives.len() > 20, "only {} alternatives were found", alternatives.len());
        for (block, text) in alternatives {
            match parse(&text) {
                Ok(loaded) => assert_eq!(loaded.warnings, [], "{block}"),
                Err(mistakes) => panic!("{block}\n\n{mistakes}"),
            }
        }
    }
}

proptest! {
    /// Written as JSON, which is YAML, any text can be a key.
    #[test]
    fn any_text_as_the_name_of_a_host_is_refused_or_safe(
        name in any::<String>(), nearly in "[-a-z0-9._ /@\u{e9}]{0,70}",
    ) {
        for name in [name, nearly] {
            let lab = serde_json::json!({ "hosts": "all", "flake": "." });
            let text = serde_json::json!({ "hosts": { &name: {} }, "fleets": { "lab": lab } });
            let Ok(loaded) = parse(&text.to_string()) else { continue };
            let read = loaded.inventory.hosts[0].name.as_str();
            prop_assert_eq!(read, &name);
            prop_assert!(!read.is_empty() && read.len() <= 63 && !read.starts_with(['-', '.']));
            prop_assert!(read.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)));
            prop_assert!(read != "all" && read != "none");
        }
    }

    /// Whatever stands in a file, reading it ends in an inventory or in mistakes that are safe to print.
    #[test]
    fn no_text_makes_the_reader_panic_or_the_terminal_move(
        text in any::<String>(), yamlish in "([a-z]{1,3}|[-:,{}\\[\\]#&*!|>'\"%@` \n\t\u{1b}])*",
    ) {
        for text in [text, yamlish] {
            if let Err(mistakes) = parse(&text) {
                prop_assert!(!mistakes.chars().any(|letter| letter.is_control() && letter != '\n'), "{mistakes:?}");
            }
        }
    }
}
