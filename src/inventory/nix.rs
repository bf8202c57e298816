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

use super::hook::HookCommand;

/// The settings of `nix:`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NixOptions {
    pub substitute_on_destination: Substitute,
    /// Whether everything that goes over the ssh connection is compressed; `None`: ssh decides.
    pub compress: Option<bool>,
    /// The secret key by which the host's system is signed; absolute, or below `~/`.
    pub sign_key: Option<PathBuf>,
}

/// Whether a host itself fetches from its binary caches what these have, so that only the rest is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Substitute {
    Always,
    Never,
    /// Where all of them answer it in time.
    Auto,
}

/// Where the systems of a push are put once, before they are copied to their hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache {
    pub by: CacheFilling,
    /// The store that the hosts fetch from; `None`: the caches of their own configuration.
    pub from: Option<String>,
    /// The key that they take signatures of, beside those that they trust already.
    pub public_key: Option<String>,
}

/// What fills a cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CacheFilling {
    /// `nix copy` to this store.
    Store(String),
    /// A command of the person's own: it reads the systems' paths.
    Command(HookCommand),
}
