//! Makes the command with which a person would log in, for hints. It names addresses, because only the inventory knows
//! its hosts by their names.

use crate::inventory::model::{Host, Jump};

/// Makes the command for a host. `hosts` are all hosts of the inventory that take part, so that jumps among them are
/// written out.
pub(super) fn to_host(host: &Host, hosts: &[Host]) -> String {
    let mut jumps = Vec::new();
    let mut at = host;
    // A jump loop is refused by the inventory; the bound keeps a mistake there from becoming a hang here.
    for _ in 0..hosts.len() {
        match &at.jump {
            Some(Jump::Host(name)) => {
                let Some(jump) = hosts.iter().find(|other| other.name == *name) else { break };
                jumps.insert(0, destination(jump.user.as_deref(), &jump.address, jump.port));
                at = jump;
            }
            Some(Jump::Destination { user, host, port }) => {
                jumps.insert(0, destination(user.as_deref(), host, *port));
                break;
            }
            None => break,
        }
    }
    command(&jumps, host.user.as_deref(), &host.address, host.port)
}

pub(super) fn to_jump(user: Option<&str>, address: &str, port: Option<u16>) -> String {
    command(&[], user, address, port)
}

/// `user@host:port`, as `ssh -J` and people write it.
pub(super) fn destination(user: Option<&str>, address: &str, port: Option<u16>) -> String {
    let user = user.map(|user| format!("{user}@")).unwrap_or_default();
    match port {
        Some(port) if address.contains(':') => format!("{user}[{address}]:{port}"),
        Some(port) => format!("{user}{address}:{port}"),
        None => format!("{user}{address}"),
    }
}

fn command(jumps: &[String], user: Option<&str>, address: &str, port: Option<u16>) -> String {
    let jumps = if jumps.is_empty() { String::new() } else { format!("-J {} ", jumps.join(",")) };
    let port = port.map(|port| format!("-p {port} ")).unwrap_or_default();
    format!("ssh {jumps}{port}{}", destination(user, address, None))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use pretty_assertions::assert_eq;

    use super::*;
    use crate::inventory::model::Inventory;

    const HOSTS: &str = "
hosts:
  vps: {address: vps.example.org, user: ada, port: 2222}
  home: {address: 10.100.0.2, user: root, jump: vps}
  nas: {address: 10.100.0.3, jump: home}
  inner: {jump: 'ssh:bob@door:2200'}
fleets:
  homelab: {flake: ., hosts: all}
";

    #[test]
    fn jumps_are_written_out_by_their_addresses() {
        let loaded = Inventory::parse(Path::new("inventory.yaml"), Path::new("/"), HOSTS).unwrap();
        let hosts = &loaded.inventory.fleet("homelab").unwrap().hosts;
        let hints: Vec<String> = hosts.iter().map(|host| to_host(host, hosts)).collect();
        assert_eq!(
            hints,
            [
                "ssh -p 2222 ada@vps.example.org",
                "ssh -J ada@vps.example.org:2222 root@10.100.0.2",
                "ssh -J ada@vps.example.org:2222,root@10.100.0.2 10.100.0.3",
                "ssh -J bob@door:2200 inner",
            ]
        );
    }
}
