//! fleetdeploy.

pub mod inventory;
