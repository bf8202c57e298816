//! fleetdeploy.

pub mod inventory;
pub mod local;
