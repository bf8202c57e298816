//! Keeps `hosts.json`: how the hosts of a run were reached, which a report must hide.
//!
//! A report that is put together from the record alone would have to guess what in it is an address. The inventory
//! cannot be asked later: it changes, and lies on another workstation.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::inventory::model::{Host, HostName, Jump};
use crate::record::folder::RunFolder;
use crate::record::{RecordError, read_whole, write_error};

/// How one host was reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostAddress {
    pub name: HostName,
    /// The addresses that ssh was to connect to, and those at which a push that moves the host was to find it
    /// afterwards.
    pub addresses: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<u16>,
    /// Its addresses inside the VPN.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vpn: Vec<String>,
    /// A host of the inventory, or an address outside of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jump: Option<String>,
}

impl From<&Host> for HostAddress {
    fn from(host: &Host) -> Self {
        let after = &host.after;
        let both = |now: Option<&String>, after: &Option<String>| {
            let mut texts: Vec<String> = now.into_iter().chain(after).cloned().collect();
            texts.dedup();
            texts
        };
        let mut addresses = both(Some(&host.address), &after.address);
        addresses.extend(host.other_addresses.clone());
        let mut users = both(host.user.as_ref(), &after.user);
        let mut ports: Vec<u16> = host.port.into_iter().chain(after.port).collect();
        let jump = match &host.jump {
            None => None,
            Some(Jump::Host(name)) => Some(name.to_string()),
            Some(Jump::Destination { user, host, port }) => {
                // Its parts are as private as the host's own.
                addresses.push(host.clone());
                users.extend(user.clone());
                ports.extend(*port);
                Some(host.clone())
            }
        };
        ports.dedup();
        Self { name: host.name.clone(), addresses, users, ports, vpn: both(host.vpn.as_ref(), &after.vpn), jump }
    }
}

impl RunFolder {
    /// `hosts.json`.
    #[must_use]
    pub fn addresses(&self) -> PathBuf {
        self.path().join("hosts.json")
    }

    /// Writes down how the hosts are reached. What an earlier command of the same run has written stays beside it:
    /// the inventory may have been changed before a recovery, and the older events hold the older addresses.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write_addresses<'a>(&self, hosts: impl IntoIterator<Item = &'a Host>) -> Result<(), RecordError> {
        let mut known = self.read_addresses();
        for host in hosts.into_iter().map(HostAddress::from) {
            if !known.contains(&host) {
                known.push(host);
            }
        }
        self.write_whole(&self.addresses(), &known).map_err(write_error(&self.addresses()))
    }

    /// Reads what [`write_addresses`](Self::write_addresses) has written; nothing if it cannot be read: records of
    /// older versions have none.
    #[must_use]
    pub fn read_addresses(&self) -> Vec<HostAddress> {
        let read = read_whole(&self.addresses()).ok();
        read.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::time::SystemTime;

    use pretty_assertions::assert_eq;

    use super::*;
    use crate::inventory::Inventory;
    use crate::record::folder::StateFolder;

    fn hosts(yaml: &str) -> Vec<Host> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("inventory.yaml");
        std::fs::write(&path, format!("{yaml}\nfleets: {{lab: {{hosts: all, flake: .}}}}\n")).unwrap();
        Inventory::load(&path).unwrap().inventory.hosts
    }

    #[test]
    fn every_way_to_a_host_is_written_down_for_its_owner_alone() {
        let home = tempfile::tempdir().unwrap();
        let (run, _journal) = StateFolder::at(home.path().join("state")).create_run("lab", SystemTime::now()).unwrap();
        assert_eq!(run.read_addresses(), []);
        let before = hosts(
            "hosts: {vps: {address: vps.example.org, user: ada, port: 2222, vpn: 10.100.0.1, jump: 'ssh:eve@gate:23',
              after: {address: new.example.org}}, nas: {jump: vps}}",
        );
        run.write_addresses(&before).unwrap();
        let after = hosts("hosts: {nas: {jump: vps}, vps: {addresses: [192.0.2.7, 10.0.0.7]}}");
        run.write_addresses(&after).unwrap();
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let host = |name: &str, addresses: &[&str]| HostAddress {
            name: HostName::new(name).unwrap(),
            addresses: texts(addresses),
            users: Vec::new(),
            ports: Vec::new(),
            vpn: Vec::new(),
            jump: None,
        };
        assert_eq!(
            run.read_addresses(),
            [
                HostAddress {
                    users: texts(&["ada", "eve"]),
                    ports: vec![2222, 23],
                    vpn: texts(&["10.100.0.1"]),
                    jump: Some("gate".into()),
                    ..host("vps", &["vps.example.org", "new.example.org", "gate"])
                },
                HostAddress { jump: Some("vps".into()), ..host("nas", &["nas"]) },
                host("vps", &["192.0.2.7", "10.0.0.7"]),
            ]
        );
        assert_eq!(std::fs::metadata(run.addresses()).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
