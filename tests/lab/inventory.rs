//! The inventory of a test: short times, so that it is quick, and real ones, so that it proves something.

use std::fmt::Write as _;

/// What a test says differently from the common inventory.
#[derive(Debug, Clone)]
pub(crate) struct Inventory<'a> {
    /// Lines of `defaults`, besides times: `user: root`.
    pub(crate) defaults: &'a str,
    pub(crate) guard: &'a str,
    pub(crate) settle: &'a str,
    /// Nothing is waited for where that is not what is tested.
    pub(crate) steady: &'a str,
    pub(crate) boot_time: &'a str,
    /// Their sum with `settle` and the margin must stay below `guard`.
    pub(crate) limits: &'a str,
    /// More lines of a host, by its name.
    pub(crate) hosts: &'a [(&'a str, &'a str)],
    /// Items of the fleet's list of checks.
    pub(crate) checks: &'a str,
    /// Where the systems come from.
    pub(crate) source: &'a str,
}

/// For a push that is killed while it verifies: a link that never comes up holds that open, and the guards, which are
/// waited for, are as short as limits that a loaded machine keeps let them be.
pub(crate) const KILLED_IN_VERIFY: Inventory = Inventory {
    defaults: "user: root",
    guard: "65s",
    settle: "10s",
    steady: "0s",
    boot_time: "40s",
    limits: "{connect: 8s, step: 8s, test: 15s, switch: 5s, rollback: 12s}",
    hosts: &[],
    checks: "- vpn: mesh\n- tcp: 5432\n  to: vps\n  from: homeserver\n",
    source: "flake: .",
};

impl Default for Inventory<'_> {
    fn default() -> Self {
        Self {
            defaults: "user: root",
            guard: "90s",
            settle: "8s",
            steady: "0s",
            boot_time: "40s",
            limits: "{connect: 10s, step: 10s, test: 20s, switch: 15s, rollback: 20s}",
            hosts: &[],
            checks: "- vpn: mesh",
            source: "flake: .",
        }
    }
}

impl Inventory<'_> {
    /// The file, for these of the lab's hosts.
    pub(crate) fn text(&self, hosts: &[&str]) -> String {
        let mut text =
            format!("defaults:\n  guard: {}\n  boot_time: {}\n  limits: {}\n", self.guard, self.boot_time, self.limits);
        lines(&mut text, 2, self.defaults);
        text.push_str("hosts:\n");
        for host in hosts {
            let _ = writeln!(text, "  {host}:");
            lines(&mut text, 4, way(host));
            let more = self.hosts.iter().filter(|(name, _)| name == host);
            more.for_each(|(_, settings)| lines(&mut text, 4, settings));
        }
        let Self { settle, steady, .. } = self;
        let hosts = hosts.join(", ");
        let _ = writeln!(text, "fleets:\n  homelab:\n    hosts: [{hosts}]\n    settle: {settle}\n    steady: {steady}");
        lines(&mut text, 4, self.source);
        text.push_str("    checks:\n");
        lines(&mut text, 6, self.checks);
        text
    }
}

/// How a host of `scripts/lab/hosts.tsv` is reached.
fn way(host: &str) -> &'static str {
    match host {
        "vps" => "address: 198.51.100.10\nvpn: 10.100.0.1",
        "homeserver" => "address: 10.100.0.2\njump: vps\nvpn: 10.100.0.2",
        "web" => "address: 198.51.100.30\nvpn: 10.100.0.3",
        "mail" => "address: 198.51.100.50\nvpn: 10.100.0.5",
        "box" => "address: 198.51.100.90\nvpn: 10.100.0.9",
        "incus" => "address: 10.100.0.10\njump: vps\nvpn: 10.100.0.10",
        "db" => "address: 198.51.100.70\nvpn: 10.100.0.7",
        other => panic!("how is {other} reached?"),
    }
}

fn lines(text: &mut String, indent: usize, lines: &str) {
    for line in lines.lines() {
        let _ = writeln!(text, "{:indent$}{line}", "");
    }
}
