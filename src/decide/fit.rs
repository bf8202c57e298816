//! Decides whether the new system's own word about its host lets a push go on.

use std::time::Duration;

use super::survey::Finding;
use crate::event::reason::fit::{NameNote, PreSwitchRefusal, Unfit};
use crate::facts::fit::{PreSwitchCheck, Renaming};
use crate::inventory::model::HostName;

/// What is to be said of a host's name. A name that differs refuses the push, for the system may be another host's;
/// unless somebody wants the host renamed. A host that was to be renamed and keeps its name refuses nothing: what is
/// typed a second time must not fail by that.
#[must_use]
pub fn judge_name(host: &HostName, here: &str, renaming: Option<&Renaming>, is_wanted: bool) -> Option<Finding> {
    match (renaming.cloned(), is_wanted) {
        (None, false) => None,
        (None, true) => Some(not_renamed(host, here)),
        (Some(Renaming { here, new }), true) => Some(Finding::warning(Some(host), NameNote::HostRenamed { here, new })),
        (Some(Renaming { here, new }), false) => {
            Some(Finding::refusal(Some(host), Unfit::HostNameDiffers { of: host.clone(), here, new }))
        }
    }
}

/// A host that was to be renamed, and keeps its name.
#[must_use]
pub fn not_renamed(host: &HostName, here: &str) -> Finding {
    Finding::warning(Some(host), NameNote::NothingToRename { here: here.to_owned() })
}

impl PreSwitchRefusal {
    /// `limit`: what the check was given. A system that knows no such check is not refused for it.
    #[must_use]
    pub fn of(check: PreSwitchCheck, limit: Duration) -> Option<Self> {
        match check {
            PreSwitchCheck::Failed => Some(Self::PreSwitchCheckFailed),
            PreSwitchCheck::CutOff => Some(Self::PreSwitchCheckCutOff { limit }),
            PreSwitchCheck::Passed | PreSwitchCheck::NotKnown => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::reason::Worded;

    #[test]
    fn a_check_that_was_cut_off_is_not_called_one_that_says_no() {
        let limit = Duration::from_secs(90);
        let cut_off = PreSwitchRefusal::of(PreSwitchCheck::CutOff, limit).unwrap();
        assert_eq!(
            cut_off.to_string(),
            "the new system's own pre-switch check had not ended within 1m 30s, and was cut off"
        );
        assert!(cut_off.mend().unwrap().contains("limits: {check:"), "{}", cut_off.mend().unwrap());
        assert_eq!(PreSwitchRefusal::of(PreSwitchCheck::Failed, limit), Some(PreSwitchRefusal::PreSwitchCheckFailed));
        for fine in [PreSwitchCheck::Passed, PreSwitchCheck::NotKnown] {
            assert_eq!(PreSwitchRefusal::of(fine, limit), None);
        }
    }

    #[test]
    fn another_name_refuses_unless_the_host_is_to_be_renamed_and_the_refusal_says_how() {
        use crate::decide::survey::Weight;
        let host = HostName::new("nas").unwrap();
        let renaming = Renaming::between("box", "attic");
        let refused = judge_name(&host, "box", renaming.as_ref(), false).unwrap();
        assert_eq!(refused.weight, Weight::Refusal);
        assert_eq!(refused.text.to_string(), "the new system calls itself attic, this host is box");
        assert!(refused.text.mend().unwrap().contains("`--rename nas`"));
        let renamed = judge_name(&host, "box", renaming.as_ref(), true).unwrap();
        assert_eq!(renamed.weight, Weight::Warning);
        let both = "is renamed: it calls itself box, and its new system attic; only the check of that name is off";
        assert_eq!(renamed.text.to_string(), both);
        let kept = judge_name(&host, "box", None, true).unwrap();
        assert_eq!((kept.weight, kept.text.code()), (Weight::Warning, Some("nothing-to-rename")));
        assert!(judge_name(&host, "box", None, false).is_none());
    }

    #[test]
    fn a_domain_is_no_part_of_a_host_s_own_name() {
        assert_eq!(Renaming::between("box.example.org", "box"), None);
        assert!(Renaming::between("box", "boxes").is_some());
    }
}
