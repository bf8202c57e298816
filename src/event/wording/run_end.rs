use std::fmt;

use super::{Worded, names};
use crate::event::reason::run_end::{Concluded, FleetEnd, LinksAtEnd, Supersession, WhyEnded};

/// Links that are named of those that are not up: more of them than a person reads one by one make no line.
const LINKS_NAMED: usize = 8;

impl fmt::Display for FleetEnd {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LeftToAnother { cause } => {
                write!(formatter, "{cause}; this fleetdeploy has left every host to that one")
            }
            Self::NothingLeft => formatter.write_str("nothing of the run was left to be ended"),
            Self::NotAllAnswer => {
                formatter.write_str("every host that answers is on its new system, and not every host does")
            }
            Self::NotAllDisarmed => formatter.write_str("not every guard could be disarmed"),
            Self::AllBackBefore => formatter.write_str("every host was back on its old system already"),
            Self::NothingTouched => formatter.write_str("nothing had been touched"),
            Self::AllAsMeant { links } => write!(formatter, "every host runs what it was to run; {links}"),
        }
    }
}

impl Worded for FleetEnd {}

impl fmt::Display for Supersession {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherOwnerShown { said } => formatter.write_str(said),
            Self::HostsDisown { cause } => cause.fmt(formatter),
            Self::NoHostHoldsRun => {
                formatter.write_str("the run has been ended from elsewhere: no host holds anything of it")
            }
        }
    }
}

impl Worded for Supersession {}

impl fmt::Display for LinksAtEnd {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (required, up, down) = match self {
            Self::NoLinkToSee => return formatter.write_str("there is no link that could be looked at"),
            Self::LinksNotSeen => return formatter.write_str("its links were not looked at again"),
            Self::LinksSeen { required, up, accepted_as_down, down, down_not_required, not_measured } => {
                let fronts = ["accepted as down", "down", "down, and not required", "not measured"];
                let links = [accepted_as_down, down, down_not_required, not_measured];
                (*required, *up, fronts.into_iter().zip(links))
            }
        };
        match (required, up) {
            (0, _) => formatter.write_str("no link is required"),
            (1, 1) => formatter.write_str("the one required link is up"),
            (of, up) if of == up => write!(formatter, "all {of} required links are up"),
            (of, up) => write!(formatter, "{up} of {of} required links are up"),
        }?;
        for (front, links) in down.filter(|(_, links)| !links.is_empty()) {
            // The matrix and the record have all of them.
            let named = &links[..links.len().min(LINKS_NAMED)];
            write!(formatter, "; {front}: {}", named.join(", "))?;
            if links.len() > named.len() {
                write!(formatter, " and {} more", links.len() - named.len())?;
            }
        }
        Ok(())
    }
}

impl Worded for LinksAtEnd {}

impl fmt::Display for Concluded {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.why {
            WhyEnded::TurnedBack(reason) => reason.fmt(formatter),
            WhyEnded::HeldUp(reason) => reason.fmt(formatter),
            WhyEnded::End(reason) => reason.fmt(formatter),
        }?;
        if self.network_as_before {
            formatter.write_str("; the network is as before: every link that was up is up again")?;
        }
        for (what, hosts) in [
            ("missing", &self.ended_without),
            ("moved on, and not meant by that", &self.moved_on),
            ("and that it ended so could not be left on", &self.not_marked),
            ("holding nothing of the run, and not known", &self.not_known),
        ] {
            if !hosts.is_empty() {
                write!(formatter, "; {what}: {}", names(hosts))?;
            }
        }
        Ok(())
    }
}

impl Worded for Concluded {
    fn mend(&self) -> Option<String> {
        match &self.why {
            WhyEnded::TurnedBack(reason) => reason.mend(),
            WhyEnded::HeldUp(reason) => reason.mend(),
            WhyEnded::End(reason) => reason.mend(),
        }
    }
}
