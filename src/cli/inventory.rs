//! `inventory` and what it can do.

use clap::{Args, Subcommand};

use super::{Import, parse_fleet, parse_pattern};
use crate::ui::graph::Format;

/// The inventory's own tools
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Inventory {
    #[command(subcommand)]
    pub command: InventoryCommand,
}

#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum InventoryCommand {
    /// Check the inventory: every mistake, with its place and what was meant
    #[command(after_help = "\
Example:
  fleetdeploy inventory check -i ~/nixos/inventory.yaml

Exit status:
  0  it is right; what is only doubtful is a warning
  2  usage or inventory")]
    Check,
    List(InventoryList),
    Graph(InventoryGraph),
    /// Print the JSON schema of the inventory, for editors
    #[command(after_help = "\
Example:
  fleetdeploy inventory schema > inventory.schema.json
  # then, as the first line of inventory.yaml:
  # yaml-language-server: $schema=inventory.schema.json")]
    Schema,
    Import(Import),
}

/// List the hosts: how each is reached, its tags, its fleets, its guard
///
/// A host whose fleets reach or guard it differently stands there once for each way.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "\
Examples:
  fleetdeploy inventory list
  fleetdeploy inventory list --on @edge --json

Exit status:
  0  answered
  2  usage or inventory")]
pub struct InventoryList {
    /// Only these hosts: names, globs (`web-*`), tags (`@edge`), `all`; commas between, may be repeated
    #[arg(long, value_name = "PATTERN", value_parser = parse_pattern)]
    pub on: Vec<String>,
    /// Not these hosts, written like those of `--on`
    #[arg(long, value_name = "PATTERN", value_parser = parse_pattern)]
    pub except: Vec<String>,
}

/// Draw how the hosts are reached, and the links of the checks
///
/// What your ssh config adds to the way, like a jump of its own, is not in the picture.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "\
Examples:
  fleetdeploy inventory graph
  fleetdeploy inventory graph homelab --format dot | dot -Tsvg > homelab.svg

Exit status:
  0  answered
  2  usage or inventory")]
pub struct InventoryGraph {
    /// Only this fleet
    #[arg(value_name = "FLEET", value_parser = parse_fleet)]
    pub fleet: Option<String>,
    /// The language of the picture
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: Format,
}
