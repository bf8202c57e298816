//! How a login becomes root on a host, and what may be in the way.

use std::fmt;

use serde::{Serialize, Serializer};

/// The program that makes a login root. In `--json` it is its name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RootProgram {
    /// sudo or sudo-rs.
    Sudo,
    Doas,
    Run0,
    /// A command of the person's own, by its first word.
    Other(String),
}

impl RootProgram {
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Sudo => "sudo",
            Self::Doas => "doas",
            Self::Run0 => "run0",
            Self::Other(word) => word,
        }
    }
}

impl fmt::Display for RootProgram {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl Serialize for RootProgram {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// What keeps a login from becoming root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RootLack {
    /// The program wants a password, and there is none for it.
    Password,
    /// The password is wrong.
    WrongPassword,
    /// The program does not allow it to this user.
    Permission,
    /// The program is not there.
    Program,
    /// The program wants a terminal (`requiretty`).
    Terminal,
    /// A shell runs, and not as root.
    StillNotRoot,
    /// Neither a shell nor a refusal came in its time.
    Silent,
    NotKnown,
}
