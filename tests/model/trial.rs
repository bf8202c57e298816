//! One host's trial within a rolling reboot, in every order of events: docs/trial-boots.md.
//!
//! The real `decide::reboot::RollingReboot` drives it, and `decide::reboot::trial::left` recovers. What the host does
//! is in `host.rs`, after the page's own tables.

mod explored;
mod found;
mod host;
mod properties;
mod world;
