//! fleetdeploy pushes NixOS systems to a fleet from a workstation, as one guarded transaction: either every host ends
//! on its new system with the network between the hosts proven, or every host is back on the old one.
//!
//! # The life of a run
//!
//! 1. [`commands`] reads the command line and gets the parts together: the [`inventory`], the run's [`record`], a
//!    screen ([`ui`]), an ssh [`Workspace`](remote::Workspace).
//! 2. [`engine::push`] goes through the phases that touch nothing: build ([`nix`]) beside survey, copy, baseline. Pure
//!    judges in [`decide::survey`] say what refuses the push.
//! 3. [`engine::driver`] carries out what the [`decide::transaction::Transaction`] decides, from arming the guards to
//!    the last clean-up. Each answer of a host is an input; each effect is an order, an entry of the journal or an
//!    event. A run that was interrupted goes on there too, by [`engine::recover`]: every host is taken over first, then
//!    [`decide::transaction::recover`] knows the way.
//! 4. What runs on the hosts is in `remote/scripts/`, small sh files, with typed arguments from [`remote::step`].
//!
//! # Words
//!
//! One word for one thing, in code, on screen, in YAML: a *host* of a *fleet* runs a *system* (a store path); a *link*
//! goes from one host to one address by one probe, all links are the *matrix*; the *guard* is the scheduled reboot, it
//! is *armed*, *extended*, *disarmed* or *fires*; a run's claim on a host is its *lease* with an *epoch*; the *fence*
//! is what a host checks before it lets a step begin; a *witness* is not changed and still probes; *unknown* is a host
//! that does not answer just now.
//!
//! # Arrows
//!
//! ARCHITECTURE.md draws which room may know which, and `tests/architecture.rs` holds it. `ui` and `engine` never
//! import each other, and `decide` has no I/O, no clock and no ssh.
//!
//! # Papers
//!
//! `docs/design.md` (what holds) and `docs/facts.md` (how systemd, Nix, ssh and boot loaders behave, with the sources),
//! which comments cite by heading; `tests/citations.rs` holds that each is there.

pub mod commands;
pub mod decide;
pub mod engine;
pub mod event;
pub mod exit;
pub mod facts;
pub mod import;
pub mod inventory;
pub mod local;
pub mod nix;
pub mod record;
pub mod remote;
pub mod ui;

// What tests of the library share with the tests beside it names the library as they do.
#[cfg(test)]
extern crate self as fleetdeploy;

#[cfg(test)]
#[path = "../tests/support/codes.rs"]
#[expect(dead_code, reason = "no program runs here")]
mod codes;
