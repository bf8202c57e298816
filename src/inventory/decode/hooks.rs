//! The hooks of a fleet or of `defaults`.

use super::super::fields::FieldValue;
use super::super::file::{HookEntry, HooksEntry};
use super::super::scalar;
use super::super::wrong::Wrong;
use super::checks::command;
use super::elsewhere;

pub(super) fn hooks(value: &FieldValue<'_>) -> Option<HooksEntry> {
    let mut fields = value.fields()?;
    let mut list = |key| {
        let hooks = fields.take(key)?.list()?;
        Some(hooks.iter().filter_map(hook).collect())
    };
    let hooks =
        HooksEntry { before: list("before"), after_commit: list("after_commit"), after_abort: list("after_abort") };
    fields.finish(elsewhere);
    Some(hooks)
}

/// A command as it stands in a check, or a map that says more of it.
fn hook(value: &FieldValue<'_>) -> Option<HookEntry> {
    if !value.is_map() {
        return Some(HookEntry { command: Some(command(value)?), ..HookEntry::default() });
    }
    let mut fields = value.fields()?;
    let hook = HookEntry {
        name: fields.parse("name", scalar::check_name),
        command: fields.take("command").and_then(|value| command(&value)),
        timeout: fields.duration("timeout"),
    };
    if fields.take("command").is_none() {
        fields.wrong(Wrong::HookWithoutCommand);
    }
    fields.finish(elsewhere);
    Some(hook)
}
