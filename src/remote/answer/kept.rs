//! Reads the answers of the scripts that look at systems which a host has already.

use super::fit::{compared_lines, parts};
use super::{AnswerError, Lines, all, one};
use crate::decide::forecast::BootParts;
use crate::decide::rollback::{Generation, Kept};
use crate::facts::store_path::StorePath;

/// Reads the answer of `generations`.
///
/// # Errors
/// [`AnswerError::Missing`] if the host refused to look.
pub fn kept(lines: &Lines) -> Result<Kept, AnswerError> {
    if one(lines, "refused").is_some() {
        return Err(AnswerError::Missing("generation"));
    }
    let mut generations: Vec<Generation> = all(lines, "generation").filter_map(generation).collect();
    generations.sort_by_key(|generation| generation.number);
    Ok(Kept { generations, named_is_here: one(lines, "kept") == Some("yes") })
}

/// `NUMBER TIME here|gone SYSTEM`.
fn generation(text: &str) -> Option<Generation> {
    let words: Vec<&str> = text.split(' ').collect();
    let [number, made, state, system] = words[..] else { return None };
    Some(Generation {
        number: number.parse().ok()?,
        made: made.parse().ok()?,
        system: StorePath::new(system).ok()?,
        is_here: state == "here",
    })
}

/// The difference of two systems, as a host says it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Compared {
    /// The output of `nix store diff-closures` there, line by line; `None`: it could not run, or the new system is not
    /// there.
    pub changes: Option<Vec<String>>,
    /// `None`: the new system is not there.
    pub reboot_for: Option<Vec<String>>,
    /// The files of the booted system; `None`: the host does not say.
    pub booted: Option<BootParts>,
}

/// Reads the answer of `compare`.
#[must_use]
pub fn compared(lines: &Lines) -> Compared {
    let part = |wanted: &str| {
        let parts = all(lines, "booted").filter_map(|text| text.split_once(' '));
        parts.filter(|(part, _)| *part == wanted).map(|(_, path)| path.to_owned()).find(|path| !path.is_empty())
    };
    let booted = one(lines, "booted_params").map(|parameters| BootParts {
        kernel: part("kernel"),
        initrd: part("initrd"),
        modules: part("kernel-modules"),
        parameters: parameters.to_owned(),
    });
    let is_here = one(lines, "kept") == Some("yes") && booted.is_some();
    Compared { changes: compared_lines(lines), reboot_for: is_here.then(|| parts(lines, "reboot_for")), booted }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn lines(text: &str) -> Vec<(String, String)> {
        let pairs = text.lines().filter_map(|line| line.split_once(' '));
        pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn generations_are_read_by_their_numbers_and_nonsense_is_left_out() {
        let path = format!("/nix/store/{}-nixos-system-vps-1", "a".repeat(32));
        let said = format!(
            "kept yes\ngeneration 10 300 here {path}\ngeneration 9 200 gone {path}\ngeneration x 1 here {path}\n\
             generation 1 2 here /etc/passwd\ngeneration\n"
        );
        let kept = kept(&lines(&said)).unwrap();
        let read: Vec<_> = kept.generations.iter().map(|one| (one.number, one.made, one.is_here)).collect();
        assert_eq!((read, kept.named_is_here), (vec![(9, 200, false), (10, 300, true)], true));
    }

    #[test]
    fn a_host_that_has_nothing_says_so_and_one_that_refuses_says_nothing() {
        assert_eq!(kept(&lines("kept no\n")), Ok(Kept::default()));
        assert!(kept(&lines("refused other\ntext bad argument\n")).is_err());
    }

    #[test]
    fn a_comparison_says_what_it_knows_and_what_was_booted() {
        let booted = "booted kernel /nix/store/a-linux/bzImage\nbooted initrd \nbooted_params quiet\n";
        let parts = BootParts {
            kernel: Some("/nix/store/a-linux/bzImage".into()),
            parameters: "quiet".into(),
            ..BootParts::default()
        };
        let absent = compared(&lines(&format!("kept no\n{booted}")));
        assert_eq!(absent, Compared { changes: None, reboot_for: None, booted: Some(parts.clone()) });
        let said = format!("kept yes\ncompared yes\nchange app: 1 → 2\nreboot_for kernel-params\n{booted}");
        let both = compared(&lines(&said));
        let (changes, reboot_for) = (vec!["app: 1 → 2".to_owned()], vec!["kernel parameters".to_owned()]);
        assert_eq!(both, Compared { changes: Some(changes), reboot_for: Some(reboot_for), booted: Some(parts) });
        assert_eq!(compared(&lines("refused other\n")), Compared::default());
    }
}
