//! Reads the answer of `status`.

use super::fit::parts;
use super::{AnswerError, Lines, all, facts, number, one};
use crate::decide::status::{Condition, Space};

/// Where a system needs room; see `status.sh`.
const PLACES: [&str; 5] = ["/", "/nix/store", "/boot", "/efi", "/boot/efi"];

/// # Errors
/// See [`AnswerError`].
pub fn condition(lines: &Lines) -> Result<Condition, AnswerError> {
    Ok(Condition {
        facts: facts(lines)?,
        generation_made: number(lines, "generation_made"),
        spaces: spaces(all(lines, "space")),
        reboot_for: parts(lines, "reboot_for"),
        current_kernel: one(lines, "current_kernel").map(str::to_owned),
    })
}

/// The first line of each place that is asked for: a host may not name others, nor one twice, of which metrics would
/// have a series twice.
fn spaces<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<Space> {
    let mut found: Vec<Space> = Vec::new();
    for space in lines.filter_map(space) {
        if found.iter().all(|one| one.place != space.place) {
            found.push(space);
        }
    }
    found
}

fn space(text: &str) -> Option<Space> {
    let mut words = text.split(' ');
    let place = words.next().filter(|place| PLACES.contains(place))?.to_owned();
    Some(Space { place, free: words.next()?.parse().ok()?, size: words.next()?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn a_line_of_space_has_a_place_and_two_numbers() {
        let space_of = |place: &str, free, size| Some(Space { place: place.into(), free, size });
        assert_eq!(space("/boot 1024 4096"), space_of("/boot", 1024, 4096));
        assert_eq!(space("/ 0 1"), space_of("/", 0, 1));
        for other in ["", "/boot", "/boot 1", "/boot a 1", "boot 1 1"] {
            assert_eq!(space(other), None, "{other}");
        }
    }

    #[test]
    fn a_host_has_each_place_once_and_no_other_place() {
        let lines = ["/ 1 2", "/boot 3 4", "/ 5 6", "/mine 7 8", "/boot 3 4", "/nix/store 9 9"];
        let found = spaces(lines.into_iter()).into_iter().map(|one| (one.place, one.free));
        let found: Vec<(String, u64)> = found.collect();
        assert_eq!(found, [("/".into(), 1), ("/boot".into(), 3), ("/nix/store".into(), 9)]);
    }
}
