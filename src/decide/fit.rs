//! Decides whether the new system's own word about its host lets a push go on.

use std::time::Duration;

use crate::event::reason::fit::PreSwitchRefusal;
use crate::facts::fit::PreSwitchCheck;

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
}
