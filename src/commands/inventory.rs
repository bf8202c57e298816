//! `inventory check`, `list`, `graph` and `schema`: the inventory alone is read, nothing is asked.

use std::fmt::Write as _;
use std::io::IsTerminal as _;

use clap::{Args, Subcommand};

use super::shared::fleet_context::{load, not_selected, read};
use super::{CommandResult, Trouble, tell};
use crate::commands::import::ImportArgs;
use crate::commands::shared::fleet_hosts::{parse_fleet, parse_pattern};
use crate::commands::shared::global::GlobalArgs;
use crate::event::Event;
use crate::event::reason::any::AnyReason;
use crate::event::reason::inventory_fault::InventoryRefusal;
use crate::event::reason::unlinked::Unlinked;
use crate::exit::Ending;
use crate::inventory::{Loaded, Problem, select};
use crate::ui::graph::{Format, Graph, text};
use crate::ui::inventory::{answer as hosts_as_answer, listed, render};
use crate::ui::mode::{Mode, Terminal, choose_colour};
use crate::ui::{columns_of_stdout, print_answer};

/// The inventory's own tools
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct InventoryArgs {
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
    List(InventoryListArgs),
    Graph(InventoryGraphArgs),
    /// Print the JSON schema of the inventory, for editors
    #[command(after_help = "\
Example:
  fleetdeploy inventory schema > inventory.schema.json
  # then, as the first line of inventory.yaml:
  # yaml-language-server: $schema=inventory.schema.json")]
    Schema,
    Import(ImportArgs),
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
pub struct InventoryListArgs {
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
pub struct InventoryGraphArgs {
    /// Only this fleet
    #[arg(value_name = "FLEET", value_parser = parse_fleet)]
    pub fleet: Option<String>,
    /// The language of the picture
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: Format,
}

pub(super) fn check(global: &GlobalArgs, mode: Mode) -> CommandResult {
    let Loaded { inventory, warnings: problems } = read(global)?;
    let mut warnings: Vec<AnyReason> = problems.iter().map(|doubt| InventoryRefusal::from(doubt).into()).collect();
    let unlinked = inventory.fleets.values().filter_map(Unlinked::of).map(AnyReason::from);
    warnings.extend(unlinked.map(|unlinked| {
        let mend = unlinked.mend().unwrap_or_default();
        unlinked.followed_by(&format!("\n  {mend}"))
    }));
    let (hosts, fleets) = (inventory.hosts.len(), inventory.fleets.len());
    if mode == Mode::Json {
        let doubts: Vec<_> = problems.iter().map(Problem::answer).collect();
        let answer = serde_json::json!({
            "inventory": inventory.path, "hosts": hosts, "fleets": fleets, "mistakes": [], "warnings": doubts,
        });
        return tell_answer(warnings, answer);
    }
    let mut text = String::new();
    for warning in &warnings {
        text.push_str(warning.to_string().trim_end());
        text.push_str("\n\n");
    }
    let count = |number: usize, word: &str| format!("{number} {word}{}", if number == 1 { "" } else { "s" });
    // Writing to a String cannot fail.
    let _ =
        writeln!(text, "{} is right: {}, {}", inventory.path.display(), count(hosts, "host"), count(fleets, "fleet"));
    answer(&text)
}

pub(super) fn list(global: &GlobalArgs, mode: Mode, arguments: &InventoryListArgs) -> CommandResult {
    let (inventory, warnings) = load(global)?;
    let hosts = select(&inventory.hosts, &arguments.on, &arguments.except).map_err(|error| not_selected(&error))?;
    let listed = listed(&inventory, &hosts);
    if mode == Mode::Json {
        return tell_answer(warnings, hosts_as_answer(&listed));
    }
    let terminal = Terminal::look(std::io::stdout().is_terminal(), |name| std::env::var(name).ok());
    answer(&render(&listed, columns_of_stdout(), choose_colour(global.color, terminal)))
}

pub(super) fn graph(global: &GlobalArgs, mode: Mode, arguments: &InventoryGraphArgs) -> CommandResult {
    let (inventory, warnings) = load(global)?;
    let fleet =
        arguments.fleet.as_ref().map(|name| inventory.fleet(name)).transpose().map_err(|error| not_selected(&error))?;
    let graph = || fleet.map_or_else(|| Graph::of_inventory(&inventory), |fleet| Graph::of_fleet(&inventory, fleet));
    if mode == Mode::Json {
        return tell_answer(warnings, graph().answer());
    }
    answer(&match arguments.format {
        Format::Text => text(&inventory, fleet),
        Format::Dot => graph().dot(),
        Format::Mermaid => graph().mermaid(),
    })
}

fn tell_answer(warnings: Vec<AnyReason>, answer: serde_json::Value) -> CommandResult {
    let warnings = warnings.into_iter().map(|text| Event::Warned { host: None, text });
    let ending = Ending::Answered { yes: true };
    tell(warnings.chain([Event::Answer { answer }]), ending)?;
    Ok(ending)
}

pub(super) fn schema() -> CommandResult {
    let schema = serde_json::to_string_pretty(&crate::inventory::schema());
    let mut text = schema.map_err(|error| Trouble::not_served(error.into()))?;
    text.push('\n');
    answer(&text)
}

fn answer(text: &str) -> CommandResult {
    print_answer(text).map_err(|error| Trouble::no_stdout(&error))?;
    Ok(Ending::Answered { yes: true })
}
