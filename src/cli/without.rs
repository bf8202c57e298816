//! `--without`: one form of it for every command that can go on without a host.

use clap::Args;

use crate::inventory::model::HostName;

/// Hosts that a command goes on without, as they are typed: names, no patterns, for a host that is left out by a glob
/// would be unexpected. [`crate::inventory::left_out`] says which hosts these are in a fleet.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct Without {
    /// Go on without these hosts, which are off or gone: neither they nor their links take part; names with commas
    /// between, may be repeated
    #[arg(id = "without", long = "without", value_name = "HOST,...", value_delimiter = ',', value_parser = parse_host)]
    pub hosts: Vec<HostName>,
}

fn parse_host(text: &str) -> Result<HostName, String> {
    HostName::new(text).map_err(|error| match text {
        "" => "a name is empty; write names of hosts with one comma between".to_owned(),
        _ => error.to_string(),
    })
}
