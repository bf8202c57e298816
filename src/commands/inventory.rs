//! `inventory check`, `list`, `graph` and `schema`: the inventory alone is read, nothing is asked.

use std::fmt::Write as _;
use std::io::IsTerminal as _;

use super::fleet_context::{load, not_selected};
use super::{Ended, Trouble, tell};
use crate::cli::{Global, InventoryGraph, InventoryList};
use crate::decide::unlinked::Unlinked;
use crate::event::Event;
use crate::exit::Ending;
use crate::inventory::select;
use crate::ui::graph::{Format, Graph, text};
use crate::ui::inventory::{answer as hosts_as_answer, listed, render};
use crate::ui::mode::{Mode, Terminal, choose_colour};
use crate::ui::{columns_of_stdout, print_answer};

pub(super) fn check(global: &Global, mode: Mode) -> Ended {
    let (inventory, mut warnings) = load(global)?;
    let unlinked = inventory.fleets.values().filter_map(Unlinked::of);
    warnings.extend(unlinked.map(|unlinked| format!("{unlinked}\n  {}", unlinked.mend())));
    let (hosts, fleets) = (inventory.hosts.len(), inventory.fleets.len());
    if mode == Mode::Json {
        let answer = serde_json::json!({ "inventory": inventory.path, "hosts": hosts, "fleets": fleets });
        return tell_answer(warnings, answer);
    }
    let mut text = String::new();
    for warning in &warnings {
        text.push_str(warning.trim_end());
        text.push_str("\n\n");
    }
    let count = |number: usize, word: &str| format!("{number} {word}{}", if number == 1 { "" } else { "s" });
    // Writing to a String cannot fail.
    let _ =
        writeln!(text, "{} is right: {}, {}", inventory.path.display(), count(hosts, "host"), count(fleets, "fleet"));
    answer(&text)
}

pub(super) fn list(global: &Global, mode: Mode, arguments: &InventoryList) -> Ended {
    let (inventory, warnings) = load(global)?;
    let hosts = select(&inventory.hosts, &arguments.on, &arguments.except).map_err(not_selected)?;
    let listed = listed(&inventory, &hosts);
    if mode == Mode::Json {
        return tell_answer(warnings, hosts_as_answer(&listed));
    }
    let terminal = Terminal::look(std::io::stdout().is_terminal(), |name| std::env::var(name).ok());
    answer(&render(&listed, columns_of_stdout(), choose_colour(global.color, terminal)))
}

pub(super) fn graph(global: &Global, mode: Mode, arguments: &InventoryGraph) -> Ended {
    let (inventory, warnings) = load(global)?;
    let fleet = arguments.fleet.as_ref().map(|name| inventory.fleet(name)).transpose().map_err(not_selected)?;
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

fn tell_answer(warnings: Vec<String>, answer: serde_json::Value) -> Ended {
    let warnings = warnings.into_iter().map(|text| Event::Warned { host: None, text });
    let ending = Ending::Answered { yes: true };
    tell(warnings.chain([Event::Answer { answer }]), ending)?;
    Ok(ending)
}

pub(super) fn schema() -> Ended {
    let schema = serde_json::to_string_pretty(&crate::inventory::schema());
    let mut text = schema.map_err(|error| Trouble::not_begun(error, None))?;
    text.push('\n');
    answer(&text)
}

fn answer(text: &str) -> Ended {
    print_answer(text).map_err(|error| Trouble::no_stdout(&error))?;
    Ok(Ending::Answered { yes: true })
}
