//! How to reach a host that is not reached directly.

use std::fmt;

use super::host_name::HostName;

/// How to reach a host that is not reached directly.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Jump {
    /// A host of this inventory, perhaps of no or another fleet ([`Inventory::jumps_of`](super::Inventory::jumps_of)):
    /// its master connection is used.
    Host(HostName),
    /// `ssh:user@host:port`: a machine that is not ours.
    Destination { user: Option<String>, host: String, port: Option<u16> },
}

/// As the inventory takes it.
impl fmt::Display for Jump {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(name) => formatter.write_str(name.as_str()),
            Self::Destination { user, host, port } => {
                formatter.write_str("ssh:")?;
                if let Some(user) = user {
                    write!(formatter, "{user}@")?;
                }
                match port {
                    Some(port) if host.contains(':') => write!(formatter, "[{host}]:{port}"),
                    Some(port) => write!(formatter, "{host}:{port}"),
                    None => formatter.write_str(host),
                }
            }
        }
    }
}
