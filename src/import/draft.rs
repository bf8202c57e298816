//! An inventory in the making: what every source becomes, before it is text.

use std::collections::BTreeMap;

use super::note::SourcePlace;
use crate::inventory::model::HostName;
use crate::inventory::{Wrong, scalar};

/// The settings that a source can bring along.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum DraftSetting {
    User,
    Port,
    Identity,
    Jump,
    Become,
    HostKey,
}

impl DraftSetting {
    pub(super) const ALL: [Self; 6] = [Self::User, Self::Port, Self::Identity, Self::Jump, Self::Become, Self::HostKey];

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Port => "port",
            Self::Identity => "identity",
            Self::Jump => "jump",
            Self::Become => "become",
            Self::HostKey => "host_key",
        }
    }

    /// The word that stands for "as if nothing were said", for a host that a layer below says something about. `user`,
    /// `port` and `identity` have none.
    pub(super) fn nothing(self) -> Option<&'static str> {
        match self {
            Self::Jump => Some("none"),
            Self::Become => Some("auto"),
            Self::HostKey => Some("strict"),
            Self::User | Self::Port | Self::Identity => None,
        }
    }

    /// The value, if the inventory takes it.
    pub(super) fn accept(self, text: &str) -> Result<String, Wrong> {
        match self {
            Self::User => scalar::user(text),
            Self::Port => port(text).map(|port| port.to_string()),
            Self::Identity => scalar::identity(text).map(|_| text.to_owned()),
            Self::Jump => scalar::jump(text).map(|_| text.to_owned()),
            Self::Become => scalar::becoming(text).map(|_| text.to_owned()),
            Self::HostKey => scalar::host_key(text).map(|_| text.to_owned()),
        }
    }
}

/// A port that stands as a text in the source.
pub(super) fn port(text: &str) -> Result<u16, Wrong> {
    // What is no number at all is as wrong as the port 0.
    scalar::port(text.trim().parse().unwrap_or_default()).map_err(|_| Wrong::NotAPort { text: text.to_owned() })
}

pub(super) type DraftSettings = BTreeMap<DraftSetting, String>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DraftHost {
    pub(super) name: HostName,
    /// Absent: the name is the address.
    pub(super) address: Option<String>,
    /// In the order in which their settings are laid over each other.
    pub(super) tags: Vec<String>,
    /// First everything that is so for this host; after [`layer`](super::layer::layer) only what no layer below says.
    pub(super) settings: DraftSettings,
    /// A line above it, for the person.
    pub(super) remark: Option<String>,
    /// Where the source names it.
    pub(super) place: SourcePlace,
}

impl DraftHost {
    pub(super) fn new(name: HostName, place: SourcePlace) -> Self {
        Self { name, address: None, tags: Vec::new(), settings: DraftSettings::new(), remark: None, place }
    }

    /// Says the address, unless it is the name anyway.
    pub(super) fn reached_at(&mut self, address: String) {
        self.address = (address != self.name.as_str()).then_some(address);
    }
}

/// Where the fleet's systems come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DraftSystems {
    /// `flake` or `file`.
    pub(super) key: &'static str,
    pub(super) source: String,
    pub(super) attr: Option<String>,
    /// What a person must know of it.
    pub(super) remark: Vec<String>,
}

impl DraftSystems {
    pub(super) fn flake(flake: impl Into<String>) -> Self {
        Self { key: "flake", source: flake.into(), attr: None, remark: Vec::new() }
    }
}

/// A whole inventory before it is written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Draft {
    /// "the Ansible inventory hosts.ini".
    pub(super) origin: String,
    pub(super) fleet: String,
    pub(super) systems: DraftSystems,
    pub(super) defaults: DraftSettings,
    pub(super) groups: BTreeMap<String, DraftSettings>,
    pub(super) hosts: Vec<DraftHost>,
}

impl Draft {
    pub(super) fn new(origin: String, fleet: String, systems: DraftSystems) -> Self {
        Self { origin, fleet, systems, defaults: DraftSettings::new(), groups: BTreeMap::new(), hosts: Vec::new() }
    }
}
