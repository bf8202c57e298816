//! fleetdeploy.

pub mod decide;
pub mod engine;
pub mod event;
pub mod inventory;
pub mod local;
pub mod nix;
pub mod remote;
pub mod store_path;
