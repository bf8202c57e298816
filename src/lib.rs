//! fleetdeploy.

pub mod cli;
pub mod commands;
pub mod decide;
pub mod engine;
pub mod event;
pub mod exit;
pub mod inventory;
pub mod local;
pub mod nix;
pub mod record;
pub mod remote;
pub mod store_path;
pub mod ui;
