//! How many hosts are tested, or rebooted, together.

use std::str::FromStr;

/// How many hosts a wave has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    Hosts(usize),
    /// A share of all hosts that change, rounded up.
    Percent(usize),
}

/// Why a text is not the size of a wave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum SizeError {
    #[error("a wave is a number of hosts, like `2`, or a share of those that change, like `25%`")]
    NotASize,
    #[error("a wave has at least one host")]
    NoHosts,
    #[error("there are no more hosts than 100%")]
    TooMany,
}

impl FromStr for Size {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, SizeError> {
        let (digits, percent) = text.strip_suffix('%').map_or((text, false), |digits| (digits, true));
        // `usize` would also take a sign.
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(SizeError::NotASize);
        }
        match (digits.parse(), percent) {
            (Ok(0), _) => Err(SizeError::NoHosts),
            (Ok(percent @ 1..=100), true) => Ok(Self::Percent(percent)),
            (Ok(hosts), false) => Ok(Self::Hosts(hosts)),
            (Ok(_) | Err(_), true) => Err(SizeError::TooMany),
            // More than any fleet has: all that are left.
            (Err(_), false) => Ok(Self::Hosts(usize::MAX)),
        }
    }
}

impl Size {
    /// How many hosts that is of so many.
    pub(crate) fn of(self, changing: usize) -> usize {
        match self {
            Self::Hosts(hosts) => hosts,
            Self::Percent(percent) => (changing * percent).div_ceil(100),
        }
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn what_is_no_size_says_why() {
        for (text, expected) in [
            ("1", Ok(Size::Hosts(1))),
            ("25%", Ok(Size::Percent(25))),
            ("100%", Ok(Size::Percent(100))),
            ("0", Err(SizeError::NoHosts)),
            ("0%", Err(SizeError::NoHosts)),
            ("101%", Err(SizeError::TooMany)),
            ("99999999999999999999999%", Err(SizeError::TooMany)),
            ("", Err(SizeError::NotASize)),
            ("%", Err(SizeError::NotASize)),
            ("+1", Err(SizeError::NotASize)),
            ("-1", Err(SizeError::NotASize)),
            ("2.5%", Err(SizeError::NotASize)),
            ("a third", Err(SizeError::NotASize)),
        ] {
            assert_eq!(text.parse::<Size>(), expected, "{text:?}");
        }
    }
}
