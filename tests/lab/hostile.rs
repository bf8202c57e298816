//! Names that look like options or commands of a shell: an error, and nothing is run.

use fleetdeploy::event::Outcome;
use pretty_assertions::assert_eq;

use crate::fleet::Fleet;
use crate::inventory::Inventory;

/// An error of usage or of the inventory, and neither workstation nor hosts have run anything.
fn assert_nothing_ran(fleet: &Fleet, words: &[&str], said: &str) {
    let before = (fleet.logins("vps"), fleet.logins("homeserver"));
    let pushed = fleet.plain(words);
    assert_eq!(pushed.status, Some(2), "{words:?}: {}", pushed.stderr);
    assert!(pushed.stderr.contains(said), "{words:?}: nothing was said of {said:?}: {}", pushed.stderr);
    assert_eq!(fleet.ws("find / -xdev -name 'pwned*' -not -path '/proc/*'"), "", "{words:?}");
    assert_eq!((fleet.logins("vps"), fleet.logins("homeserver")), before, "{words:?}");
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn words_that_look_like_options_or_commands_are_errors_and_run_nothing() {
    let fleet = Fleet::up("hostile-words");
    fleet.change(&["vps", "homeserver"]);
    assert_nothing_ran(
        &fleet,
        &["push", "homelab", "--on", "-oProxyCommand=touch /tmp/pwned"],
        "unexpected argument '-o'",
    );
    assert_nothing_ran(&fleet, &["push", "homelab", "--on=-oProxyCommand=touch /tmp/pwned"], "begin with `-`");
    assert_nothing_ran(&fleet, &["push", "homelab", "--on", "$(touch /tmp/pwned)"], "$(touch");
    assert_nothing_ran(&fleet, &["push", "--", "-oProxyCommand=touch /tmp/pwned"], "-oProxyCommand");
    assert_nothing_ran(&fleet, &["push", "../../pwned"], "pwned");
    fleet.assert_untouched();
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn an_inventory_of_options_and_commands_is_an_error_with_its_place_and_runs_nothing() {
    let fleet = Fleet::up("hostile-names");
    fleet.change(&["vps", "homeserver"]);
    let good = Inventory::default().text(&["vps", "homeserver"]);
    for (from, to) in [
        ("  vps:\n", "  $(touch pwned):\n"),
        ("  vps:\n", "  -oProxyCommand=touch pwned:\n"),
        ("  vps:\n", "  ../pwned:\n"),
        ("  homelab:\n", "  \"`touch pwned`\":\n"),
        ("user: root", "user: -l"),
        ("user: root", "user: \"-oProxyCommand=touch pwned\""),
        ("user: root", "user: \"root;touch pwned\""),
        ("address: 198.51.100.10", "address: \"-oProxyCommand=touch pwned\""),
        ("address: 198.51.100.10", "address: \"$(touch pwned)\""),
        ("address: 198.51.100.10", "address: \"x\\nProxyCommand touch pwned\""),
        ("vpn: 10.100.0.1\n", "vpn: \"10.100.0.1;touch pwned\"\n"),
        ("jump: vps", "jump: \"ssh:-oProxyCommand=touch pwned\""),
        ("jump: vps", "jump: \"ssh:a@b;touch pwned\""),
        ("user: root", "identity: \"-oProxyCommand=touch pwned\\nx\""),
        ("flake: .", "flake: \"--eval-store\""),
        ("flake: .", "file: \"-f;touch pwned\"\n    attr: \"{host}\""),
        ("flake: .", "flake: .\n    attr: \"--expr {host}\""),
        ("hosts: [vps, homeserver]", "hosts: [\"$(touch pwned)\"]"),
        ("user: root", "tags: [\"-x;touch pwned\"]"),
        ("vpn: mesh", "ping: \"-f 198.51.100.10;touch pwned\""),
        ("vpn: mesh", "tcp: \"vps:22;touch pwned\""),
        ("vpn: mesh", "dns: \"@198.51.100.10 -f pwned\""),
        ("vpn: mesh", "dns: {query: example.org, server: \"-f;touch pwned\"}"),
        ("vpn: mesh", "http: \"http://vps/ -o pwned\""),
        ("vpn: mesh", "http: \"-opwned http://vps/\""),
        ("vpn: mesh", "http: \"http://$(touch pwned)/\""),
    ] {
        assert!(good.contains(from), "{from}");
        fleet.write("inventory.yaml", &good.replacen(from, to, 1));
        assert_nothing_ran(&fleet, &["push", "homelab"], "inventory.yaml:");
    }
    fleet.assert_untouched();
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn all_mistakes_of_an_inventory_are_shown_at_once_and_nothing_is_asked_of_the_hosts() {
    let fleet = Fleet::up("mistakes");
    let good = Inventory::default().text(&["vps", "homeserver"]);
    fleet.write("inventory.yaml", &good.replace("jump: vps", "jump: vsp").replace("settle:", "setle:"));
    assert_nothing_ran(&fleet, &["push", "homelab"], "did you mean `vps`");
    assert_nothing_ran(&fleet, &["inventory", "check"], "did you mean `settle`");
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_source_that_only_nix_can_judge_is_one_word_to_it_and_to_no_shell() {
    let fleet = Fleet::up("hostile-source");
    let good = Inventory::default().text(&["vps", "homeserver"]);
    for source in [
        r#"flake: "x; touch pwned""#,
        r#"flake: "$(touch pwned)""#,
        r#"flake: "path:.?dir=`touch pwned`""#,
        r#"flake: "ext::touch pwned""#,
        r#"flake: "git+ext::touch pwned""#,
        r#"{file: "./x;touch pwned", attr: "{host}"}"#,
        r#"{flake: ., attr: "{host};touch pwned"}"#,
        r#"{flake: ., attr: "{host} --impure"}"#,
        r#"{flake: ., attr: "x.\"${builtins.toFile \"pwned\" \"\"}\".{host}"}"#,
        r#"{flake: ., attr: "{host}\" --expr \"1"}"#,
    ] {
        let source = source.trim_matches(['{', '}']).replace(", attr", "\n    attr");
        fleet.write("inventory.yaml", &good.replacen("flake: .", &source, 1));
        let pushed = fleet.plain(&["build", "homelab"]);
        assert!(matches!(pushed.status, Some(1 | 2)), "{source}: {:?} {}", pushed.status, pushed.stderr);
        assert_eq!(fleet.ws("find / -xdev -name 'pwned*' -not -path '/proc/*'"), "", "{source}");
    }
    fleet.assert_untouched();
}

/// Clears the screen, names the window, hides what follows, goes up a line; and one of the other kind of controls.
const PAINT: &str = "\u{1b}[2J\u{1b}]0;owned\u{7}\u{1b}[8m\u{1b}[1A\u{9b}31m";

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn neither_a_build_nor_a_host_can_paint_the_screen() {
    let fleet = Fleet::up("paint");
    fleet.change(&["vps", "homeserver"]);
    fleet.ws(&format!(
        "sed -i 's/^    echo \"error: part 30/&{PAINT}/' nixos/tree.sh
         sed -i \"s/the lab's check: /&{PAINT}/\" nixos/default.nix"
    ));
    for (key, says) in [("build", "part 30"), ("pre_switch", "the lab's check: ")] {
        fleet.set("vps", key, "\"fails\"");
        let plain = fleet.plain(&["push", "homelab"]);
        assert_eq!(plain.status, Some(1), "{}{}", plain.stdout, plain.stderr);
        let said = format!("{}{}", plain.stdout, plain.stderr);
        assert!(said.contains(says), "{said}");
        assert_eq!(said.chars().find(|letter| letter.is_control() && *letter != '\n'), None, "{said:?}");

        let terminal = fleet.on_terminal("push homelab").ended().stdout;
        assert!(terminal.contains(says), "{terminal}");
        for paint in ["\u{1b}[2J", "\u{1b}]", "\u{1b}[8m", "\u{9b}", "\u{7}"] {
            assert!(!terminal.contains(paint), "{paint:?} reaches the terminal: {terminal:?}");
        }
        fleet.push(&["homelab"]).assert_ended(1, Outcome::Refused);
        fleet.set("vps", key, "null");
    }
    fleet.assert_untouched();
}
