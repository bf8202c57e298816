//! Pushes that end well.

use crate::fleet::Fleet;

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_good_change_of_both_hosts_is_committed_and_leaves_nothing_behind() {
    let fleet = Fleet::up("good");
    fleet.change(&["vps", "homeserver"]);
    assert!(fleet.rebuild_by_hand("vps", "switch").status.success());
    assert!(fleet.rebuild_by_hand("homeserver", "switch").status.success());
    fleet.assert_on_new(&["vps", "homeserver"]);
}
