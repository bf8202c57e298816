//! A fleet and its hosts as they are typed: one form for every command.

use clap::{Args, value_parser};

use crate::inventory::model::{BuildOn, HostName, MOST_PARALLEL, is_name};
use crate::inventory::union;

/// A fleet, and some of its hosts.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct FleetHostsArgs {
    /// The fleet, as the inventory names it
    #[arg(value_name = "FLEET", value_parser = parse_fleet)]
    pub name: String,
    #[command(flatten)]
    pub chosen: ChosenHostsArgs,
}

/// The same for a command that changes nothing: it cannot meet the wrong fleet.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct AskedHostsArgs {
    /// The fleet, as the inventory names it; may be left out if there is only one
    #[arg(value_name = "FLEET", value_parser = parse_fleet)]
    pub name: Option<String>,
    #[command(flatten)]
    pub chosen: ChosenHostsArgs,
}

/// Some of a fleet's hosts, and how many of them at once.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct ChosenHostsArgs {
    #[command(flatten)]
    pub hosts: PatternArgs,
    #[command(flatten)]
    pub window: WindowArgs,
}

/// Some of a fleet's hosts; without any pattern all of them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct PatternArgs {
    /// Only these hosts: names, globs (`web-*`), tags (`@edge`), `@failed` (in the fleet's last run), `all`; commas
    /// between, may be repeated
    #[arg(long, value_name = "PATTERN", value_parser = parse_pattern)]
    pub on: Vec<String>,
    /// Not these hosts, written like those of `--on`
    #[arg(long, value_name = "PATTERN", value_parser = parse_pattern)]
    pub except: Vec<String>,
    #[command(flatten)]
    pub without: WithoutArgs,
}

/// Where the systems of a command are built.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct BuildOnArgs {
    /// Build every system there, instead of the inventory's `build_on`: `workstation`, `target` (each on its own host),
    /// or the name of a host
    #[arg(long, value_name = "WHERE", value_parser = parse_build_on)]
    pub build_on: Option<BuildOn>,
}

/// How much of the network a command takes at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Args)]
pub struct WindowArgs {
    /// So many logins, and so many copies, are under way at once, instead of the inventory's `parallel`; open
    /// connections are not counted
    #[arg(long, value_name = "NUMBER", value_parser = value_parser!(u16).range(1..=i64::from(MOST_PARALLEL)))]
    pub parallel: Option<u16>,
}

pub(crate) fn parse_fleet(text: &str) -> Result<String, String> {
    if is_name(text) {
        Ok(text.to_owned())
    } else {
        Err("a fleet's name has letters, digits, `_`, `.` and `-`, and does not begin with `-` or `.`".to_owned())
    }
}

/// One or more patterns: a comma inside braces is a part of its glob.
pub(crate) fn parse_pattern(text: &str) -> Result<String, String> {
    let patterns = union(text);
    if patterns.contains(&"") {
        return Err("a pattern is empty; write names, globs or @tags with one comma between".to_owned());
    }
    if patterns.iter().any(|pattern| pattern.starts_with('-')) {
        return Err("a pattern does not begin with `-`".to_owned());
    }
    Ok(text.to_owned())
}

/// Hosts that a command goes on without, as they are typed: names, no patterns, for a host that is left out by a glob
/// would be unexpected. [`crate::inventory::left_out`] says which hosts these are in a fleet.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct WithoutArgs {
    /// Go on without these hosts, which are off or gone: neither they nor their links take part; names with commas
    /// between, may be repeated
    #[arg(id = "without", long = "without", value_name = "HOST,...", value_delimiter = ',', value_parser = parse_host)]
    pub hosts: Vec<HostName>,
}

fn parse_build_on(text: &str) -> Result<BuildOn, String> {
    match text {
        "workstation" => Ok(BuildOn::Workstation),
        "target" => Ok(BuildOn::Target),
        name => parse_host(name).map(BuildOn::Host),
    }
}

pub(super) fn parse_host(text: &str) -> Result<HostName, String> {
    HostName::new(text).map_err(|error| match text {
        "" => "a name is empty; write names of hosts with one comma between".to_owned(),
        _ => error.to_string(),
    })
}
