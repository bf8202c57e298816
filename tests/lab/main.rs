//! Real hosts, and the real binary that pushes to them: one named scenario per test. See `scripts/lab/README.md`.
//!
//! Every test boots a fleet of its own and takes it down again, so they run side by side. They need root and
//! systemd-nspawn and are therefore ignored by a plain `cargo test`; `scripts/test.sh` runs them.

#![expect(
    clippy::disallowed_methods,
    reason = "the lab's script and its hosts are the test's world, not fleetdeploy's"
)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stderr, reason = "a failing test shows what happened")]

#[path = "../support/codes.rs"]
#[expect(dead_code, reason = "a program says its end itself")]
mod codes;
mod fleet;
mod inventory;
#[path = "../support/old_runs.rs"]
mod old;
mod pushed;
mod standing;
mod status;
mod wait;

mod absent;
mod activation;
mod asked;
mod back;
mod become_root;
mod blockers;
mod broken;
mod built;
mod by_hand;
mod cached;
mod chaos;
mod claimed;
mod container;
mod copied;
mod dead_end;
mod doctor;
mod exec;
mod exits;
mod firmware;
mod good;
mod guard;
mod host_keys;
mod hostile;
mod interrupted;
mod lies;
mod loader;
mod login;
mod modules;
mod next_boot;
mod odd;
mod old_runs;
mod plan;
mod rare;
mod reasons;
mod reboot;
mod recover;
mod refused;
mod returned;
mod rolling;
mod signals;
mod slow;
mod told;
mod trial;
mod units;
mod vm;
mod vpn;
mod waves;
mod ways;
mod witness;
mod workstation;
