//! Options that every command has.

use std::path::PathBuf;

use clap::{ArgAction, Args};

use crate::ui::mode::{Colour, Flags};

/// Options that every command has.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
#[command(next_help_heading = "Global options")]
pub struct GlobalArgs {
    /// The inventory file; default: `$FLEETDEPLOY_INVENTORY`, else `inventory.yaml`, looked for upwards from the
    /// working folder
    #[arg(short, long, global = true, value_name = "FILE")]
    pub inventory: Option<PathBuf>,
    /// Say more: every step of every host, whole logs
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
    /// Say only what is wrong
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Write events as JSON lines on stdout, in the shape of `events.schema.json`
    #[arg(long, global = true)]
    pub json: bool,
    /// When to use colour
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub color: Colour,
}

impl GlobalArgs {
    /// What the screen's mode is chosen from.
    #[must_use]
    pub fn screen_flags(&self) -> Flags {
        Flags { json: self.json, quiet: self.quiet, verbose: self.verbose > 0, colour: self.color }
    }
}
