//! Reads an ssh config, and what it includes, into blocks.

use std::path::{Path, PathBuf};

use super::block::{SshConfigBlock, is_pattern};
use crate::import::note::{ImportNotes, SourcePlace};
use crate::import::words::{Comments, split};
use crate::inventory::words::{listed, shown};
use crate::inventory::yaml::Position;

/// Files within files. Source: `READCONF_MAX_DEPTH` in OpenSSH's `readconf.h`.
const DEEPEST: usize = 16;

/// Collects the blocks of a config and of all that it includes.
pub(super) struct SshConfigReader<'a> {
    /// What `~` is; relative paths of an `Include` begin at `.ssh` there.
    pub(super) home: Option<&'a Path>,
    pub(super) notes: &'a mut ImportNotes,
    pub(super) blocks: Vec<SshConfigBlock>,
    /// The files that are being read, the innermost last.
    pub(super) open: Vec<PathBuf>,
}

impl SshConfigReader<'_> {
    pub(super) fn read(&mut self, file: usize, text: &str) {
        // Above the first `Host` all are meant.
        let mut current = Some(self.begin(SshConfigBlock::of_all(SourcePlace::File(file))));
        for (line, content) in (1..).zip(text.lines()) {
            let indent = content.chars().take_while(|letter| letter.is_whitespace()).count();
            let place = SourcePlace::Line { file, at: Position { line, column: indent + 1 } };
            let Some((keyword, values)) = keyword_and_values(content.trim(), &place, self.notes) else { continue };
            match keyword.as_str() {
                "host" => {
                    list_patterns(&values, &place, self.notes);
                    current = Some(self.begin(SshConfigBlock { patterns: values, place, lines: Vec::new() }));
                }
                "match" if values.len() == 1 && values[0].eq_ignore_ascii_case("all") => {
                    current = Some(self.begin(SshConfigBlock::of_all(place)));
                }
                "match" => {
                    current = None;
                    let mend =
                        "what it says still holds, since ssh reads it; a host that only it names is added by hand";
                    self.notes.note(&place, format!("`Match {}` names no host", shown(&values.join(" "))), mend);
                }
                "include" if current.is_some_and(|block| self.blocks[block].is_of_all()) => {
                    for value in &values {
                        self.include(value, &place);
                    }
                    // What follows comes after all that is in there.
                    current = Some(self.begin(SshConfigBlock::of_all(place)));
                }
                "include" => {
                    let what =
                        format!("`Include {}` holds for some hosts alone: not followed", shown(&values.join(" ")));
                    self.notes.note(&place, what, "hosts that only that file names are imported by its name, too");
                }
                _ => {
                    if let (Some(block), Some(value)) = (current, values.into_iter().next()) {
                        self.blocks[block].lines.push((keyword, value, place));
                    }
                }
            }
        }
    }

    fn begin(&mut self, block: SshConfigBlock) -> usize {
        self.blocks.push(block);
        self.blocks.len() - 1
    }

    fn include(&mut self, named: &str, place: &SourcePlace) {
        let not_followed = |notes: &mut ImportNotes, why: &str, mend: &str| {
            notes.note(place, format!("`Include {}` is not followed: {why}", shown(named)), mend);
        };
        let import_it = "its hosts are in that file: import it by its name, too";
        let Some(pattern) = self.place_of(named) else {
            return not_followed(self.notes, "only ssh knows what it stands for", import_it);
        };
        if self.open.len() > DEEPEST {
            return not_followed(self.notes, "files include each other more than 16 deep", "ssh refuses that, too");
        }
        // A path that cannot be looked at is none to ssh either.
        let files: Vec<PathBuf> =
            glob::glob(&pattern).into_iter().flatten().flatten().filter(|path| path.is_file()).collect();
        if files.is_empty() {
            return not_followed(self.notes, "there is no such file", "nothing to do: ssh passes it over, too");
        }
        for path in files {
            if self.open.contains(&path) {
                not_followed(self.notes, "it includes itself", "take it out: ssh refuses that");
                continue;
            }
            let Ok(bytes) = std::fs::read(&path) else {
                not_followed(self.notes, "it cannot be read", import_it);
                continue;
            };
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let file = self.notes.file(&path, text.clone());
            self.open.push(path);
            self.read(file, &text);
            self.open.pop();
        }
    }

    /// What ssh looks for; `None` for what it would first fill in.
    fn place_of(&self, named: &str) -> Option<String> {
        if named.contains(['%', '$']) {
            return None;
        }
        let path = match (named.strip_prefix("~/"), named) {
            (Some(below), _) => self.home?.join(below),
            (None, user) if user.starts_with('~') => return None,
            (None, absolute) if absolute.starts_with('/') => PathBuf::from(absolute),
            (None, relative) => self.home?.join(".ssh").join(relative),
        };
        path.into_os_string().into_string().ok()
    }
}

/// `Keyword value`, `Keyword=value`; keywords know no case.
fn keyword_and_values(line: &str, place: &SourcePlace, notes: &mut ImportNotes) -> Option<(String, Vec<String>)> {
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let end = line.find(|letter: char| letter == '=' || letter.is_whitespace()).unwrap_or(line.len());
    let (keyword, rest) = line.split_at(end);
    let rest = rest.trim_start();
    let rest = rest.strip_prefix('=').unwrap_or(rest);
    if keyword.eq_ignore_ascii_case("proxycommand") {
        // The rest of the line, as it stands, is for a shell.
        return Some((keyword.to_ascii_lowercase(), vec![rest.trim().to_owned()]));
    }
    match split(rest, Comments::None) {
        Ok(words) => {
            let values = words.into_iter().map(|word| word.text).take_while(|word| !word.starts_with('#'));
            Some((keyword.to_ascii_lowercase(), values.collect()))
        }
        // A command in quotes of its own is no business of ours; the name of a host is.
        Err(_) if keyword.eq_ignore_ascii_case("host") => {
            notes.mistake(place, "a quote begins here and does not end", "close it: ssh refuses the line, too");
            None
        }
        Err(_) => None,
    }
}

fn list_patterns(words: &[String], place: &SourcePlace, notes: &mut ImportNotes) {
    let patterns: Vec<&str> = words.iter().map(String::as_str).filter(|word| is_pattern(word)).collect();
    if !patterns.is_empty() {
        let what = format!("patterns of hosts: {}", listed(patterns));
        notes.note(place, what, "what is said of them still holds, since ssh reads it; they name no host to push to");
    }
}
