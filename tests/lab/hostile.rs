//! Names that look like options or commands of a shell: an error, and nothing is run.

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
