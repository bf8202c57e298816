//! Pushes that show first what they would do, and those that ask before they do it.

use std::io::Write as _;

use crate::fleet::Fleet;

const BOTH: [&str; 2] = ["vps", "homeserver"];

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_push_that_asks_goes_on_with_a_yes_alone() {
    let fleet = Fleet::up("asked");
    fleet.change(&BOTH);
    // Without a terminal nobody can be asked.
    let piped = fleet.plain(&["push", "homelab", "--ask"]);
    assert_eq!((piped.status, piped.stdout.as_str()), (Some(2), ""));
    assert!(piped.stderr.contains("--ask needs a terminal"), "{}", piped.stderr);
    for (typed, status, said) in [("n\n", 1, "the answer was no"), ("\u{3}", 130, "interrupted by SIGINT")] {
        let mut push = fleet.on_terminal("push homelab --ask");
        push.wait_for_text("push homelab now? [y/N] ");
        push.stdin().write_all(typed.as_bytes()).unwrap();
        let ended = push.ended();
        assert_eq!(ended.status, Some(status), "{}", ended.stdout);
        assert!(ended.stdout.contains(said) && ended.stdout.contains("app 1 -> 2"), "{}", ended.stdout);
        fleet.assert_untouched();
    }
    let mut push = fleet.on_terminal("push homelab --ask");
    push.wait_for_text("push homelab now? [y/N] ");
    push.stdin().write_all(b"y\n").unwrap();
    let ended = push.ended();
    assert_eq!(ended.status, Some(0), "{}", ended.stdout);
    fleet.assert_on_new(&BOTH);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_push_can_show_every_package_before_it_touches_a_host() {
    let fleet = Fleet::up("diff");
    fleet.change(&BOTH);
    let pushed = fleet.plain(&["push", "homelab", "--diff"]);
    assert_eq!(pushed.status, Some(0), "{}", pushed.stderr);
    let (before, after) = pushed.stderr.split_once("== arm").unwrap();
    let page = "\npackages\n  vps: one package changes\n    app 1 -> 2\n  homeserver: no package changes\n\n";
    assert!(before.contains(page) && !after.contains(page), "{}", pushed.stderr);
    fleet.assert_on_new(&BOTH);
}
