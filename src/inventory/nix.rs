//! Where Nix builds a system, and how it brings it to its host.

use std::fmt;
use std::path::PathBuf;

use super::host_name::HostName;

/// Where a host's system is built.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum BuildOn {
    Workstation,
    /// On the host itself.
    Target,
    /// On another host of the inventory.
    Host(HostName),
}

/// As it is written in the file.
impl fmt::Display for BuildOn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Workstation => "workstation",
            Self::Target => "target",
            Self::Host(name) => name.as_str(),
        })
    }
}

impl BuildOn {
    /// What it is for `host`: a name that many hosts have in common may be its own.
    #[must_use]
    pub fn seen_from(self, host: &HostName) -> Self {
        match self {
            Self::Host(name) if name == *host => Self::Target,
            other => other,
        }
    }

    /// The machine on which the system of `host` is built, unless that is this workstation.
    #[must_use]
    pub fn machine<'a>(&'a self, host: &'a HostName) -> Option<&'a HostName> {
        match self {
            Self::Workstation => None,
            Self::Target => Some(host),
            Self::Host(name) => Some(name),
        }
    }
}

/// The settings of `nix:`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NixOptions {
    /// The host itself fetches from its binary caches what these have; only the rest is sent.
    pub substitute_on_destination: bool,
    /// Whether everything that goes over the ssh connection is compressed; `None`: ssh decides.
    pub compress: Option<bool>,
    /// The secret key by which the host's system is signed; absolute, or below `~/`.
    pub sign_key: Option<PathBuf>,
}
