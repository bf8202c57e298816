//! Keeps the words of fleetdeploy in an event that is hidden, where a host is called like one: `"action": "reboot"`.

use serde::Deserialize as _;
use serde_json::Value;

use crate::event::line::Line;

/// A name that no word of ours is.
const NAME: &str = "HOST-1";

/// Returns the event of a line after `hide`; where it cannot be read any more, its JSON.
pub(super) fn hidden_line(value: Value, mut hide: impl FnMut(&mut Value)) -> Result<Line, String> {
    let mut hidden = value.clone();
    hide(&mut hidden);
    if let Ok(line) = Line::deserialize(&hidden) {
        return Ok(line);
    }
    let mut kept = value;
    let words = take_words(&mut kept);
    hide(&mut kept);
    put_back(&mut kept, &words);
    Line::deserialize(&kept).map_err(|_| format!("{hidden}\n"))
}

/// Takes out every text in whose place the line would not take a name: it is a word of ours. A number stands there.
fn take_words(line: &mut Value) -> Vec<(u64, String)> {
    let mut words = Vec::new();
    for (index, path) in texts(line, String::new()).into_iter().enumerate() {
        let Some(place) = line.pointer_mut(&path) else { continue };
        let Value::String(text) = place.take() else { continue };
        *place = NAME.into();
        let takes_a_name = Line::deserialize(&*line).is_ok();
        if let Some(place) = line.pointer_mut(&path) {
            *place = text.clone().into();
        }
        if !takes_a_name {
            words.push((u64::MAX - index as u64, path, text));
        }
    }
    for (number, path, _) in &words {
        if let Some(place) = line.pointer_mut(path) {
            *place = (*number).into();
        }
    }
    words.into_iter().map(|(number, _, text)| (number, text)).collect()
}

/// Names in a map may have changed meanwhile, so that no path leads there any more.
fn put_back(value: &mut Value, words: &[(u64, String)]) {
    match value {
        Value::Number(number) => {
            let word = words.iter().find(|(stands, _)| number.as_u64() == Some(*stands));
            if let Some((_, word)) = word {
                *value = word.clone().into();
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| put_back(value, words)),
        Value::Object(fields) => fields.values_mut().for_each(|value| put_back(value, words)),
        _ => {}
    }
}

/// Returns where each text stands.
fn texts(value: &Value, path: String) -> Vec<String> {
    match value {
        Value::String(_) => vec![path],
        Value::Array(values) => {
            values.iter().enumerate().flat_map(|(index, value)| texts(value, format!("{path}/{index}"))).collect()
        }
        Value::Object(fields) => {
            let step = |name: &String| name.replace('~', "~0").replace('/', "~1");
            fields.iter().flat_map(|(name, value)| texts(value, format!("{path}/{}", step(name)))).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::ui::redact::{KnownTexts, Redactor};

    /// A host may be called like a field, or like a word of ours: then the line must still be one.
    #[test]
    fn a_line_stays_one_whatever_hosts_are_called() {
        let told = include_str!("../../../tests/codes/told.jsonl").lines();
        let values: Vec<Value> =
            told.map(|line| serde_json::from_str::<Value>(line).unwrap()["event"].clone()).collect();
        let lines: Vec<Value> = values.into_iter().filter(|value| Line::deserialize(value).is_ok()).collect();
        assert!(lines.len() > 100, "{}", lines.len());
        let mut words = BTreeSet::new();
        let mut all = lines.clone();
        while let Some(value) = all.pop() {
            match value {
                Value::String(text) => words.extend((text.len() < 20).then_some(text)),
                Value::Array(inner) => all.extend(inner),
                Value::Object(fields) => {
                    words.extend(fields.keys().cloned());
                    all.extend(fields.into_iter().map(|(_, value)| value));
                }
                _ => {}
            }
        }
        let hosts = words.into_iter().filter(|word| crate::inventory::model::is_name(word)).collect();
        let mut redactor = Redactor::new(KnownTexts { hosts, ..KnownTexts::default() });
        for line in lines {
            let hidden = hidden_line(line.clone(), |value| redactor.json(value));
            assert!(hidden.is_ok(), "{line}\n{hidden:?}");
        }
    }
}
