//! Reads the answer of `status`.

use super::fit::parts;
use super::{AnswerError, Lines, all, facts, number, one};
use crate::decide::status::{Condition, Space};

/// # Errors
/// See [`AnswerError`].
pub fn condition(lines: &Lines) -> Result<Condition, AnswerError> {
    Ok(Condition {
        facts: facts(lines)?,
        generation_made: number(lines, "generation_made"),
        spaces: all(lines, "space").filter_map(space).collect(),
        reboot_for: parts(lines, "reboot_for"),
        current_kernel: one(lines, "current_kernel").map(str::to_owned),
    })
}

fn space(text: &str) -> Option<Space> {
    let mut words = text.split(' ');
    let place = words.next().filter(|place| place.starts_with('/'))?.to_owned();
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
}
