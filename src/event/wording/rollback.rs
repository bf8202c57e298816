use std::collections::BTreeSet;
use std::fmt;

use super::{Worded, names};
use crate::event::reason::rollback::{BootsNow, DownLink, LinkEnds, LinksCause, RollbackReason, Unarmed, Undone};
use crate::facts::units::failing_text;
use crate::inventory::model::{HostName, Place};

/// Links that are named of those that are down.
const LINKS_NAMED: usize = 3;

/// Hosts that are named of those that were too slow.
const HOSTS_NAMED: usize = 5;

impl fmt::Display for RollbackReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotArmed { host, cause } => write!(formatter, "the guard on {host} could not be armed: {cause}"),
            Self::StepFailed { host, phase, cause, boots } => {
                write!(formatter, "{} failed on {host}: {cause}", phase.word())?;
                if let Some(BootsNow::Old) = boots {
                    write!(formatter, "; what {host} boots is unchanged")?;
                }
                formatter.write_str(match boots {
                    None => "",
                    Some(BootsNow::Old) => ": a reboot now would still start its old system",
                    Some(BootsNow::New) => "; a reboot now would start its new system",
                    Some(BootsNow::Another) => "; a reboot now would start neither its old nor its new system",
                    Some(BootsNow::NotKnown) => "; what a reboot now would bring is not known",
                })
            }
            Self::HostRestarted { host } => write!(formatter, "{host} has restarted in the middle of the push"),
            Self::UnitsFailed { host, units } => {
                write!(formatter, "units fail on {host}: {}", failing_text(units))
            }
            Self::UnitsUnsteady { host, units, steady } => {
                let steady = humantime::format_duration(*steady);
                write!(formatter, "what this push started was not up for {steady} on {host}: {}", joined(units))
            }
            Self::NoLogin { host, cause } => write!(formatter, "{host} takes no new ssh login: {cause}"),
            Self::LinksDown { links, common: Some(common) } => {
                write!(formatter, "{common} {} down", if common.links == 1 { "is" } else { "are" })?;
                // One of them shows what the probes say.
                links.first().map_or(Ok(()), |link| write!(formatter, "; for one {link}"))
            }
            Self::LinksDown { links, common: None } => {
                // The matrix has all of them.
                let named: Vec<String> = links.iter().take(LINKS_NAMED).map(ToString::to_string).collect();
                write!(formatter, "links are down: {}", named.join("; "))?;
                match links.len() - named.len() {
                    0 => Ok(()),
                    more => write!(formatter, "; and {more} more"),
                }
            }
            Self::LinksNotMeasured { links, hosts } => {
                let links = if *links == 1 { "a link".to_owned() } else { format!("{links} links") };
                write!(
                    formatter,
                    "{links} could not be measured, and nothing else was wrong: too slow for their own probes"
                )?;
                let named: Vec<&str> = hosts.iter().take(HOSTS_NAMED).map(HostName::as_str).collect();
                if !named.is_empty() {
                    write!(formatter, " were {}", named.join(", "))?;
                }
                match hosts.len() - named.len() {
                    0 => Ok(()),
                    more => write!(formatter, " and {more} more"),
                }
            }
            Self::NoTimeLeft => formatter.write_str("the guards leave too little time for the rest of the push"),
            Self::HostDisowned { host, cause } => write!(formatter, "{host} says that {cause}"),
            Self::RecordUnwritable { said } => write!(formatter, "the run's record cannot be written: {said}"),
            Self::RunUndone { cause } => write!(formatter, "the interrupted run is undone: {cause}"),
            Self::Interrupted { signal } => write!(formatter, "interrupted by {signal}"),
        }
    }
}

impl Worded for RollbackReason {
    fn mend(&self) -> Option<String> {
        match self {
            Self::LinksNotMeasured { .. } => Some(
                "type it again when they have less to do, with a longer `timeout` in the check, or with fewer hosts \
                 at once (`--on`)"
                    .to_owned(),
            ),
            Self::StepFailed { cause, .. }
            | Self::NoLogin { cause, .. }
            | Self::NotArmed { cause: Unarmed::Cause(cause), .. } => cause.mend(),
            Self::NotArmed { cause: Unarmed::Disowned(_), .. }
            | Self::HostRestarted { .. }
            | Self::UnitsFailed { .. }
            | Self::UnitsUnsteady { .. }
            | Self::LinksDown { .. }
            | Self::NoTimeLeft
            | Self::HostDisowned { .. }
            | Self::RecordUnwritable { .. }
            | Self::RunUndone { .. }
            | Self::Interrupted { .. } => None,
        }
    }
}

fn joined(units: &BTreeSet<String>) -> String {
    units.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Unarmed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cause(cause) => cause.fmt(formatter),
            Self::Disowned(disowned) => disowned.fmt(formatter),
        }
    }
}

/// `all 8 links of vpn from and to vps`
impl fmt::Display for LinksCause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { checks, at, ends, links } = self;
        write!(formatter, "all {links} links")?;
        if !checks.is_empty() {
            write!(formatter, " of {}", checks.join(" and "))?;
        }
        let ends = match ends {
            LinkEnds::Both => "from and to",
            LinkEnds::To => "to",
            LinkEnds::From => "from",
        };
        at.as_ref().map_or(Ok(()), |host| write!(formatter, " {ends} {host}"))
    }
}

impl fmt::Display for DownLink {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to, kind, said, was_down_before } = self;
        let from = match from {
            Place::Workstation => "workstation",
            Place::Host(name) => name.as_str(),
        };
        write!(formatter, "{from} -> {to} ({kind}")?;
        if !said.is_empty() {
            write!(formatter, ", {said}")?;
        }
        formatter.write_str(if *was_down_before { ", was down before)" } else { ")" })
    }
}

impl fmt::Display for Undone {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TurnedBackBefore => formatter.write_str("it was being rolled back already"),
            Self::LostHostNotOnNew { lost } => {
                write!(formatter, "{lost} is lost to this recovery, and is not on its new system for good")
            }
            Self::NoneOnNewWithoutMissing { missing } => write!(
                formatter,
                "it is ended without {}, and no host that answers is on its new system for good",
                names(missing)
            ),
            Self::RecordElsewhere => formatter.write_str("its record is not here, and no host is committed"),
            Self::NotDecided => formatter.write_str("it had not come to the decision to commit"),
            Self::HostCannotGoForward { stays, found } => write!(formatter, "{stays} cannot go forward: {found}"),
            Self::MissingHostNotAtRest { back, found } => {
                write!(formatter, "{back} {found}, and the run was ended without it")
            }
        }
    }
}

impl Worded for Undone {}
