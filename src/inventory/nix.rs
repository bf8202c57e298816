//! How Nix brings a system to a host.

use super::hook::HookCommand;

/// The settings of `nix:`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NixOptions {
    pub substitute_on_destination: Substitute,
    /// Whether everything that goes over the ssh connection is compressed; `None`: ssh decides.
    pub compress: Option<bool>,
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
