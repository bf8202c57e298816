//! `defaults` < groups < fleet < host: later wins, lists replace, `nix`, `limits` and `units` key by key.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::fields::At;
use super::file::table::{Keys as _, Layered as _};
use super::file::{
    AfterEntry, BootLoaderEntry, File, FleetEntry, FleetSettings, HookEntry, HostEntry, LimitsEntry, NixEntry,
    Settings, UnitsEntry,
};
use super::model::{
    After, BootLoaderHint, Cache, CacheFilling, EvaluationTerms, Hook, Hooks, Host, HostName, Jump, Limits, NixOptions,
    Steady, UnitPattern,
};
use super::scalar::JumpTo;
use super::words::shown;
use super::yaml::{NodeStep, NodeWay};

/// Letters of a command that stand for the name of a hook that has none.
const LONGEST_NAME: usize = 60;

/// A host with its layers laid over each other, and the places of what it says about other hosts.
#[derive(Debug, Clone)]
pub(super) struct Laid {
    pub(super) host: Host,
    pub(super) name_at: NodeWay,
    /// The host's whole entry.
    pub(super) entry_at: NodeWay,
    pub(super) vpn_at: Option<NodeWay>,
    pub(super) jump_at: Option<NodeWay>,
    pub(super) runs_on_at: Option<NodeWay>,
    pub(super) guard_at: Option<NodeWay>,
}

/// The settings of the groups, by tag.
pub(super) type Groups<'a> = HashMap<&'a str, &'a Settings>;

/// What lies below a host's own settings.
pub(super) struct HostLayers<'a> {
    pub(super) file: &'a File,
    pub(super) groups: &'a Groups<'a>,
    /// The inventory's.
    pub(super) folder: &'a Path,
    /// `None`: as `defaults`, groups and the host see it.
    pub(super) fleet: Option<&'a Settings>,
}

impl HostLayers<'_> {
    /// Lays one host's layers over each other.
    pub(super) fn lay(&self, name: &At<HostName>, entry: &HostEntry) -> Laid {
        let tags = entry.tags.iter().flatten();
        let groups = tags.filter_map(|tag| self.groups.get(tag.value.as_str()).copied());
        let shared = self.file.defaults.iter().map(|defaults| &defaults.settings).chain(groups).chain(self.fleet);
        let settings = shared
            .map(|layer| layer.clone().but_not_to_itself(&name.value))
            .chain([entry.settings.clone()])
            .fold(Settings::default(), |below, above| above.over(below));
        laid(name, entry, &settings, self.folder)
    }
}

fn laid(name: &At<HostName>, entry: &HostEntry, settings: &Settings, folder: &Path) -> Laid {
    let addresses = entry.addresses.as_deref().unwrap_or_default();
    Laid {
        name_at: name.way.clone(),
        entry_at: value_beside(&name.way),
        vpn_at: entry.vpn.as_ref().map(|vpn| vpn.way.clone()),
        jump_at: settings.jump.as_ref().map(|jump| jump.way.clone()),
        runs_on_at: settings.runs_on.as_ref().map(|runs_on| runs_on.way.clone()),
        guard_at: settings.guard.as_ref().map(|guard| guard.way.clone()),
        host: Host {
            name: name.value.clone(),
            address: value(entry.address.as_ref().or(addresses.first()))
                .unwrap_or_else(|| name.value.as_str().to_owned()),
            other_addresses: addresses.iter().skip(1).map(|address| address.value.clone()).collect(),
            port: value(settings.port.as_ref()),
            user: value(settings.user.as_ref()),
            identity: value(settings.identity.as_ref()).map(|path| below(folder, path)),
            jump: value(settings.jump.as_ref()).and_then(JumpTo::jump),
            way: Vec::new(),
            becoming: settings.r#become(),
            host_key: settings.host_key(),
            vpn: value(entry.vpn.as_ref()),
            tags: entry.tags.iter().flatten().map(|tag| tag.value.clone()).collect(),
            boot_time: settings.boot_time(),
            guard: settings.guard(),
            guard_action: settings.guard_action(),
            boot_loader: settings.boot_loader.as_ref().map(boot_loader).unwrap_or_default(),
            runs_on: value(settings.runs_on.as_ref()),
            optional: settings.optional(),
            reactivate: settings.reactivate(),
            after: entry.after.as_ref().map(after).unwrap_or_default(),
            build_on: settings.build_on().seen_from(&name.value),
            nix: nix(settings.nix.as_ref().unwrap_or(&NixEntry::ABSENT), folder),
            limits: limits(settings.limits.as_ref().unwrap_or(&LimitsEntry::ABSENT)),
            ignored_units: settings.units.as_ref().map(ignored_units).unwrap_or_default(),
            system: None,
            guard_action_given: settings.guard_action.is_some(),
        },
    }
}

/// Returns a path as it counts in the inventory's folder; `~/` stays.
fn below(folder: &Path, path: PathBuf) -> PathBuf {
    if path.starts_with("~") { path } else { folder.join(path) }
}

/// The way to a map's value out of the way to its key.
fn value_beside(key: &NodeWay) -> NodeWay {
    let mut way = key.clone();
    if let Some(NodeStep::Key(number)) = way.pop() {
        way.push(NodeStep::Value(number));
    }
    way
}

fn value<T: Clone>(at: Option<&At<T>>) -> Option<T> {
    at.map(|at| at.value.clone())
}

fn after(entry: &AfterEntry) -> After {
    After {
        address: value(entry.address.as_ref()),
        port: value(entry.port.as_ref()),
        user: value(entry.user.as_ref()),
        vpn: value(entry.vpn.as_ref()),
    }
}

/// Lays what a fleet says over what `defaults` says of all fleets.
pub(super) fn of_fleet(file: &File, fleet: &FleetEntry) -> FleetSettings {
    fleet.of_fleet.clone().over(of_every_fleet(file))
}

/// What `defaults` says of all fleets.
pub(super) fn of_every_fleet(file: &File) -> FleetSettings {
    file.defaults.as_ref().map(|defaults| defaults.of_fleet.clone()).unwrap_or_default()
}

pub(super) fn hooks(settings: &FleetSettings) -> Hooks {
    let entry = settings.hooks.clone().unwrap_or_default();
    let list = |hooks: &Option<Vec<HookEntry>>| hooks.iter().flatten().filter_map(hook).collect();
    Hooks {
        before: list(&entry.before),
        after_commit: list(&entry.after_commit),
        after_abort: list(&entry.after_abort),
    }
}

/// `None` if its command could not be read: that has been said.
fn hook(entry: &HookEntry) -> Option<Hook> {
    let command = value(entry.command.as_ref())?;
    let words = || Some(shown(&command.words()).chars().take(LONGEST_NAME).collect());
    Some(Hook { name: value(entry.name.as_ref()).or_else(words)?, timeout: entry.timeout(), command })
}

fn boot_loader(entry: &BootLoaderEntry) -> BootLoaderHint {
    BootLoaderHint { kind: value(entry.kind.as_ref()), esp: value(entry.esp.as_ref()) }
}

pub(super) fn nix(entry: &NixEntry, folder: &Path) -> NixOptions {
    NixOptions {
        sign_key: value(entry.sign_key.as_ref()).map(|path| below(folder, path)),
        substitute_on_destination: entry.substitute_on_destination(),
        compress: value(entry.compress.as_ref()),
    }
}

/// How a fleet is evaluated: as it says itself, over what `defaults` says.
pub(super) fn evaluation(file: &File, fleet: &FleetEntry, settings: &FleetSettings) -> EvaluationTerms {
    let of_all = file.defaults.as_ref().and_then(|defaults| defaults.settings.nix.clone());
    let nix = fleet.settings.nix.clone().over(of_all).unwrap_or_default();
    let evaluate = settings.evaluate.clone().unwrap_or_default();
    EvaluationTerms {
        workers: value(evaluate.workers.as_ref()),
        memory: value(evaluate.memory.as_ref()),
        impure: value(nix.impure.as_ref()).unwrap_or_default(),
        accept_flake_config: value(nix.accept_flake_config.as_ref()).unwrap_or_default(),
        override_inputs: value(nix.override_inputs.as_ref()).unwrap_or_default(),
        options: value(nix.options.as_ref()).unwrap_or_default(),
        show_trace: false,
        anew: false,
    }
}

/// `None`, too, if what fills it could not be read: that has been said.
pub(super) fn cache(settings: &FleetSettings) -> Option<Cache> {
    let entry = settings.cache.as_ref()?;
    let by = match (&entry.to, &entry.command) {
        (Some(to), _) => CacheFilling::Store(to.value.clone()),
        (None, command) => CacheFilling::Command(value(command.as_ref())?),
    };
    Some(Cache { by, from: value(entry.from.as_ref()), public_key: value(entry.public_key.as_ref()) })
}

fn ignored_units(entry: &UnitsEntry) -> Vec<UnitPattern> {
    entry.ignore.iter().flatten().map(|pattern| pattern.value.clone()).collect()
}

pub(super) fn steady(settings: &FleetSettings) -> Steady {
    settings.steady.as_ref().map_or(Steady::Default, |steady| Steady::Given(steady.value))
}

pub(super) fn limits(entry: &LimitsEntry) -> Limits {
    Limits {
        connect: entry.connect(),
        step: entry.step(),
        copy: entry.copy(),
        check: entry.check(),
        test: entry.test(),
        switch: entry.switch(),
        rollback: entry.rollback(),
    }
}

impl JumpTo {
    fn jump(self) -> Option<Jump> {
        match self {
            Self::Nobody => None,
            Self::Through(jump) => Some(jump),
        }
    }

    /// The host of this inventory that is named, if one is.
    pub(super) fn host(&self) -> Option<&HostName> {
        match self {
            Self::Through(Jump::Host(name)) => Some(name),
            Self::Through(Jump::Destination { .. }) | Self::Nobody => None,
        }
    }
}

impl Settings {
    /// "Everything through `vps`" in a layer that many hosts share is not meant for `vps` itself.
    fn but_not_to_itself(mut self, name: &HostName) -> Self {
        self.jump = self.jump.filter(|jump| jump.value.host() != Some(name));
        self.runs_on = self.runs_on.filter(|runs_on| runs_on.value != *name);
        self
    }
}
