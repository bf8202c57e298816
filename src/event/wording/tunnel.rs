use std::fmt;

use crate::event::reason::tunnel::TunnelDoubt;

impl fmt::Display for TunnelDoubt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::HandshakeTooOld => "waiting for a WireGuard handshake newer than the change",
            Self::EndpointRoamed => {
                "the WireGuard endpoint is not the configured one; it would not come up again from cold"
            }
            Self::KeepaliveGone => "the WireGuard keepalive is gone; behind NAT the tunnel would fall asleep",
        })
    }
}
