//! The hooks of a fleet or of `defaults`.

use super::super::super::fields::FieldValue;
use super::super::super::wrong::Wrong;
use super::super::HookEntry;
use super::super::table::Keys as _;
use super::checks::command;
use super::elsewhere;

pub(in crate::inventory) fn hooks(value: &FieldValue<'_>) -> Option<Vec<HookEntry>> {
    Some(value.list()?.iter().filter_map(hook).collect())
}

/// A command as it stands in a check, or a map that says more of it.
fn hook(value: &FieldValue<'_>) -> Option<HookEntry> {
    if !value.is_map() {
        return Some(HookEntry { command: Some(command(value)?), ..HookEntry::default() });
    }
    let mut fields = value.fields()?;
    let hook = HookEntry::read(&mut fields);
    if fields.take("command").is_none() {
        fields.wrong(Wrong::HookWithoutCommand);
    }
    fields.finish(elsewhere);
    Some(hook)
}
