//! `inventory check` and `inventory schema`.

use std::fmt::Write as _;

use super::ground::load;
use super::{Ended, Trouble, tell};
use crate::cli::Global;
use crate::event::Event;
use crate::exit::Ending;
use crate::ui::mode::Mode;
use crate::ui::print_answer;

pub(super) fn check(global: &Global, mode: Mode) -> Ended {
    let (inventory, warnings) = load(global)?;
    let (hosts, fleets) = (inventory.hosts.len(), inventory.fleets.len());
    if mode == Mode::Json {
        let answer = serde_json::json!({ "inventory": inventory.path, "hosts": hosts, "fleets": fleets });
        let warnings = warnings.into_iter().map(|text| Event::Warned { host: None, text });
        tell(warnings.chain([Event::Answer { answer }]), Ending::Answered { yes: true })?;
        return Ok(Ending::Answered { yes: true });
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
