//! Why a tunnel that carries packets is not proven.

/// Why a link through a WireGuard tunnel counts as down although packets come through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TunnelDoubt {
    /// The last handshake is older than the change.
    HandshakeTooOld,
    /// The peer's endpoint is another one than the configured one.
    EndpointRoamed,
    /// The peer has lost its keepalive.
    KeepaliveGone,
}
