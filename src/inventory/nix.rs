//! How Nix brings a system to a host.

/// The settings of `nix:`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NixOptions {
    /// The host itself fetches from its binary caches what these have; only the rest is sent.
    pub substitute_on_destination: bool,
    /// Whether everything that goes over the ssh connection is compressed; `None`: ssh decides.
    pub compress: Option<bool>,
}
