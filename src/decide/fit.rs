//! Decides whether the new system's own word about its host lets a push go on.

use std::fmt;
use std::time::Duration;

use crate::facts::fit::PreSwitchCheck;

/// Why the new system's own pre-switch check refuses the push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PreSwitchRefusal {
    SaysNo,
    /// It was ended after `limit`: it has said neither yes nor no.
    CutOff {
        limit: Duration,
    },
}

impl PreSwitchRefusal {
    /// `limit`: what the check was given. A system that knows no such check is not refused for it.
    #[must_use]
    pub fn of(check: PreSwitchCheck, limit: Duration) -> Option<Self> {
        match check {
            PreSwitchCheck::Failed => Some(Self::SaysNo),
            PreSwitchCheck::CutOff => Some(Self::CutOff { limit }),
            PreSwitchCheck::Passed | PreSwitchCheck::NotKnown => None,
        }
    }

    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::SaysNo => "what it says is above; such a change wants `nixos-rebuild boot` and a reboot".to_owned(),
            Self::CutOff { .. } => "give it longer in the inventory: `limits: {check: 15m}`".to_owned(),
        }
    }
}

impl fmt::Display for PreSwitchRefusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SaysNo => formatter.write_str("the new system's own pre-switch check says no"),
            Self::CutOff { limit } => write!(
                formatter,
                "the new system's own pre-switch check had not ended within {}, and was cut off",
                humantime::format_duration(*limit)
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_that_was_cut_off_is_not_called_one_that_says_no() {
        let limit = Duration::from_secs(90);
        let cut_off = PreSwitchRefusal::of(PreSwitchCheck::CutOff, limit).unwrap();
        assert_eq!(
            cut_off.to_string(),
            "the new system's own pre-switch check had not ended within 1m 30s, and was cut off"
        );
        assert!(cut_off.hint().contains("limits: {check:"), "{}", cut_off.hint());
        assert_eq!(PreSwitchRefusal::of(PreSwitchCheck::Failed, limit), Some(PreSwitchRefusal::SaysNo));
        for fine in [PreSwitchCheck::Passed, PreSwitchCheck::NotKnown] {
            assert_eq!(PreSwitchRefusal::of(fine, limit), None);
        }
    }
}
