//! `inventory check` and `inventory schema`.

use std::fmt::Write as _;

use super::ground::load;
use super::{Ended, Trouble};
use crate::cli::Global;
use crate::exit::Ending;
use crate::ui::print_answer;

pub(super) fn check(global: &Global) -> Ended {
    let (inventory, warnings) = load(global)?;
    let mut text = String::new();
    for warning in &warnings {
        text.push_str(warning.trim_end());
        text.push_str("\n\n");
    }
    let (hosts, fleets) = (inventory.hosts.len(), inventory.fleets.len());
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{} is right: {hosts} hosts, {fleets} fleets", inventory.path.display());
    answer(&text)
}

pub(super) fn schema() -> Ended {
    let schema = serde_json::to_string_pretty(&crate::inventory::schema());
    let mut text = schema.map_err(|error| Trouble::not_begun(error, None))?;
    text.push('\n');
    answer(&text)
}

fn answer(text: &str) -> Ended {
    print_answer(text).map_err(|error| Trouble::not_begun(error, None))?;
    Ok(Ending::Answered { yes: true })
}
