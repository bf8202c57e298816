//! From the file's shape to a validated [`Inventory`]: layers laid, hosts chosen, names known, no loops.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::checks;
use super::fields::{At, Heap};
use super::file::{ATTR_OF_FILE, ATTR_OF_FLAKE, File, FleetEntry, FleetSettings, NixEntry, Settings};
use super::layers::{self, Groups, HostLayers, Laid};
use super::model::{self, BuildOn, EvaluationTerms, Fleet, HostName, Inventory, Jump, Source};
use super::scalar;
use super::select::{SelectError, is_pattern, select};
use super::wrong::{HostMend, Wrong};
use super::yaml::NodeWay;
use crate::facts::attr_path::AttrPath;
use crate::facts::store_path::StorePath;

/// Makes an inventory of what could be read. If the heap holds a mistake afterwards, the result is only good for
/// finding more of them.
pub(super) fn inventory(file: &File, path: &Path, folder: &Path, heap: &Heap) -> Inventory {
    let names = file.hosts.iter().flatten().map(|(name, _)| name.value.as_str()).collect();
    let groups = file.groups.iter().flatten().map(|(name, settings)| (name.value.as_str(), settings)).collect();
    let resolver = Resolver { file, folder, heap, names, groups };
    resolver.ensure_names_differ();
    resolver.ensure_named_hosts_exist();
    resolver.ensure_evaluation_is_of_fleets();
    let mut laid = resolver.lay(None);
    fill_ways(&mut laid);
    resolver.ensure_identities_are_safe(&laid);
    resolver.ensure_no_loops(&laid);
    let fleets: BTreeMap<_, _> = file
        .fleets
        .iter()
        .flatten()
        .map(|(name, entry)| (name.value.clone(), resolver.fleet(name, entry, &laid)))
        .collect();
    resolver.warn_of_hosts_without_fleet(&laid, &fleets);
    resolver.warn_of_unused_groups(&laid);
    let hosts = laid.into_iter().map(|laid| laid.host).collect();
    Inventory { path: path.to_owned(), hosts, fleets, parallel: layers::of_every_fleet(file).parallel() }
}

struct Resolver<'a> {
    file: &'a File,
    folder: &'a Path,
    heap: &'a Heap,
    names: HashSet<&'a str>,
    groups: Groups<'a>,
}

impl Resolver<'_> {
    fn host_names(&self) -> impl Iterator<Item = &str> + Clone {
        self.file.hosts.iter().flatten().map(|(name, _)| name.value.as_str())
    }

    /// ssh reads names of hosts without regard to case: two that differ only so would be one host to it.
    fn ensure_names_differ(&self) {
        let mut seen: BTreeMap<String, &At<HostName>> = BTreeMap::new();
        for (name, _) in self.file.hosts.iter().flatten() {
            if let Some(first) = seen.get(&name.value.as_str().to_lowercase()) {
                let (first_name, second) = (first.value.to_string(), name.value.to_string());
                self.heap.twice(&name.way, &first.way, Wrong::NamesDifferInCase { first: first_name, second });
            } else {
                seen.insert(name.value.as_str().to_lowercase(), name);
            }
        }
    }

    /// Looks at every layer once, so that a wrong name in `defaults` is one mistake and not one per host.
    fn ensure_named_hosts_exist(&self) {
        let File { defaults, groups, hosts, fleets } = self.file;
        // Without `hosts` every name would be unknown, which says nothing.
        let Some(hosts) = hosts else { return };
        let layers = (defaults.iter().map(|defaults| &defaults.settings))
            .chain(groups.iter().flatten().map(|(_, settings)| settings))
            .chain(hosts.iter().map(|(_, host)| &host.settings))
            .chain(fleets.iter().flatten().map(|(_, fleet)| &fleet.settings));
        for Settings { jump, runs_on, build_on, .. } in layers {
            if let Some(At { value: BuildOn::Host(name), way }) = build_on {
                self.ensure_host_exists(name, Some(way), HostMend::Builder);
            }
            if let Some(name) = jump.as_ref().and_then(|jump| jump.value.host()) {
                let way = jump.as_ref().map(|jump| &jump.way);
                self.ensure_host_exists(name, way, HostMend::OtherMachine);
            }
            if let Some(name) = runs_on {
                self.ensure_host_exists(&name.value, Some(&name.way), HostMend::Hypervisor);
            }
        }
    }

    fn ensure_host_exists(&self, name: &HostName, way: Option<&NodeWay>, otherwise: HostMend) {
        if let (false, Some(way)) = (self.names.contains(name.as_str()), way) {
            let near = self.heap.nearest(name.as_str(), self.host_names());
            let mend = near.map_or(otherwise, |near| HostMend::Near(near.to_owned()));
            self.heap.wrong(way, Wrong::NoSuchHost { name: name.to_string(), mend });
        }
    }

    /// A relative key is joined to the inventory's folder, which has not been checked yet.
    fn ensure_identities_are_safe(&self, laid: &[Laid]) {
        let is_safe = |path: &PathBuf| path.to_str().is_some_and(scalar::is_safe_path);
        for laid in laid {
            if laid.host.identity.as_ref().is_some_and(|path| !is_safe(path)) {
                let folder = self.folder.to_string_lossy().into_owned();
                self.heap.wrong(&laid.name_at, Wrong::UnsafeFolder { folder });
            }
        }
    }

    fn lay(&self, fleet: Option<&Settings>) -> Vec<Laid> {
        let layers = HostLayers { file: self.file, groups: &self.groups, folder: self.folder, fleet };
        self.file.hosts.iter().flatten().map(|(name, entry)| layers.lay(name, entry)).collect()
    }

    fn ensure_no_loops(&self, laid: &[Laid]) {
        let jump = |laid: &Laid| match &laid.host.jump {
            Some(Jump::Host(name)) => Some(name.clone()),
            Some(Jump::Destination { .. }) | None => None,
        };
        for (start, way) in loops(laid, jump) {
            let Some(at) = &laid[start].jump_at else { continue };
            let wrong = match way.as_slice() {
                [only] => Wrong::JumpToItself { host: only.clone() },
                _ => Wrong::JumpLoop { way },
            };
            self.heap.wrong(at, wrong);
        }
        for (start, way) in loops(laid, |laid| laid.host.runs_on.clone()) {
            let Some(at) = &laid[start].runs_on_at else { continue };
            let wrong = match way.as_slice() {
                [only] => Wrong::RunsOnItself { host: only.clone() },
                _ => Wrong::RunsOnLoop { way },
            };
            self.heap.wrong(at, wrong);
        }
    }

    fn fleet(&self, name: &At<String>, entry: &FleetEntry, base: &[Laid]) -> Fleet {
        let mut all = self.lay(Some(&entry.settings));
        let chosen = self.choose(entry, &all);
        // Hosts of other fleets are seen without this fleet's settings: it only jumps through them.
        for (laid, base) in all.iter_mut().zip(base) {
            if !chosen.contains(&laid.host.name) {
                *laid = base.clone();
            }
        }
        self.ensure_no_loops(&all);
        fill_ways(&mut all);
        all.retain(|laid| chosen.contains(&laid.host.name));
        for laid in &mut all {
            laid.host.runs_on = laid.host.runs_on.take().filter(|hypervisor| chosen.contains(hypervisor));
        }
        self.fill_systems(name, entry, &mut all);
        let builders = model::builders(all.iter().map(|laid| &laid.host), base.iter().map(|laid| &laid.host));
        let places: Vec<NodeWay> = all.iter().map(|laid| guard_place(laid, entry).clone()).collect();
        let settings = layers::of_fleet(self.file, entry);
        let fleet = Fleet {
            name: name.value.clone(),
            checks: checks::checks(entry, &all, base, self.heap),
            canaries: self.canaries(entry, &all),
            waves: entry.waves.clone().unwrap_or_default(),
            hosts: all.into_iter().map(|laid| laid.host).collect(),
            builders,
            source: self.source(entry),
            hooks: layers::hooks(&settings),
            settle: entry.settle(),
            steady: layers::steady(&settings),
            build_limit: entry.build_limit(),
            evaluation: self.evaluation(entry, &settings),
            parallel: settings.parallel(),
            cache: layers::cache(&settings),
        };
        let fleet = fleet.with_guests_first();
        self.ensure_guards_hold(&fleet, &places);
        fleet
    }

    /// Checks this from the file alone, so that a person need not wait for a build to hear it. The survey looks again,
    /// at what the command line says.
    fn ensure_guards_hold(&self, fleet: &Fleet, places: &[NodeWay]) {
        let steady = fleet.steady();
        for (host, place) in fleet.hosts.iter().zip(places) {
            let shortest = host.shortest_guard(fleet.settle, steady);
            if host.guard >= shortest {
                continue;
            }
            let hypervisor = host.runs_on.as_ref().map(HostName::to_string);
            let parts = host.guard_parts(fleet.settle, steady);
            self.heap.wrong(place, Wrong::GuardTooShort { guard: host.guard, shortest, parts, hypervisor });
        }
    }

    fn choose(&self, entry: &FleetEntry, all: &[Laid]) -> HashSet<HostName> {
        let matching = |pattern: &str| select(all.iter().map(|laid| &laid.host), &[pattern.to_owned()], &[]);
        let mut chosen = HashSet::new();
        for pattern in entry.hosts.iter().flatten() {
            // A name alone is looked up: to try it on every host as a pattern takes too long where many are named.
            if let (Ok(name), false) = (HostName::new(pattern.value.as_str()), is_pattern(&pattern.value)) {
                if self.names.contains(name.as_str()) {
                    chosen.insert(name);
                    continue;
                }
                if !all.is_empty() && !self.heap.has_time_for(all.len()) {
                    self.heap.wrong(&pattern.way, Wrong::no_match(SelectError::nothing_near(name.as_str())));
                    continue;
                }
            }
            let hosts = matching(&pattern.value).or_else(|error| {
                // Without a single host nothing can match: that there is none has been said.
                if !all.is_empty() {
                    self.heap.wrong(&pattern.way, Wrong::no_match(error.clone()));
                }
                // Goes on with what was probably meant, so that one slip is not followed by mistakes that it makes.
                let SelectError::NothingMatches { near: Some(near), .. } = error else { return Ok(Vec::new()) };
                matching(&near)
            });
            chosen.extend(hosts.iter().flatten().map(|host| host.name.clone()));
        }
        chosen
    }

    /// Among the fleet's own hosts.
    fn canaries(&self, entry: &FleetEntry, hosts: &[Laid]) -> BTreeSet<HostName> {
        let mut canaries = BTreeSet::new();
        for pattern in entry.canary.iter().flatten() {
            let of_fleet = hosts.iter().map(|laid| &laid.host);
            match select(of_fleet, std::slice::from_ref(&pattern.value), &[]) {
                Ok(chosen) => canaries.extend(chosen.into_iter().map(|host| host.name.clone())),
                // This has been said already of a fleet without hosts.
                Err(error) if !hosts.is_empty() => self.heap.wrong(&pattern.way, Wrong::no_match(error.clone())),
                Err(_) => {}
            }
        }
        canaries
    }

    fn fill_systems(&self, fleet: &At<String>, entry: &FleetEntry, hosts: &mut [Laid]) {
        let Some(systems) = &entry.system else { return };
        let names: HashSet<&str> = hosts.iter().map(|laid| laid.host.name.as_str()).collect();
        for (name, _) in &systems.value {
            if !names.contains(name.value.as_str()) {
                let near = self.heap.nearest(&name.value, hosts.iter().map(|laid| laid.host.name.as_str()));
                let (name_text, near) = (name.value.clone(), near.map(str::to_owned));
                let wrong = Wrong::SystemOfNoHost { name: name_text, fleet: fleet.value.clone(), near };
                self.heap.wrong(&name.way, wrong);
            }
        }
        let paths: HashMap<&str, &StorePath> =
            systems.value.iter().map(|(name, path)| (name.value.as_str(), &path.value)).collect();
        for laid in hosts.iter_mut() {
            laid.host.system = paths.get(laid.host.name.as_str()).map(|path| (*path).clone());
        }
        if self.heap.is_wrong_below(&systems.way) {
            return;
        }
        let without: Vec<String> =
            hosts.iter().filter(|laid| laid.host.system.is_none()).map(|laid| laid.host.name.to_string()).collect();
        if !without.is_empty() {
            self.heap.wrong(&systems.way, Wrong::SystemMissing { hosts: without });
        }
    }

    fn source(&self, entry: &FleetEntry) -> Source {
        let default = |default| AttrPath::parse(default).expect("a default has the host's name in it");
        let attr = |otherwise| entry.attr.as_ref().map_or_else(|| default(otherwise), |attr| attr.value.clone());
        if let Some(flake) = &entry.flake {
            let attr = attr(ATTR_OF_FLAKE);
            return Source::Flake { flake: absolute_flake(&flake.value, self.folder), attr };
        }
        match &entry.file {
            Some(file) => Source::File { file: plain(&self.folder.join(&file.value)), attr: attr(ATTR_OF_FILE) },
            None => Source::System,
        }
    }

    fn evaluation(&self, entry: &FleetEntry, settings: &FleetSettings) -> EvaluationTerms {
        let mut terms = layers::evaluation(self.file, entry, settings);
        for reference in terms.override_inputs.values_mut() {
            *reference = absolute_flake(reference, self.folder);
        }
        terms
    }

    /// One evaluation is for a whole fleet: what a group or a host says of it would be without effect.
    fn ensure_evaluation_is_of_fleets(&self) {
        let groups = self.file.groups.iter().flatten().map(|(_, settings)| settings);
        let hosts = self.file.hosts.iter().flatten().map(|(_, host)| &host.settings);
        for nix in groups.chain(hosts).filter_map(|settings| settings.nix.as_ref()) {
            let NixEntry { impure, override_inputs, options, accept_flake_config, .. } = nix;
            let ways = [
                ("impure", impure.as_ref().map(|at| &at.way)),
                ("override_inputs", override_inputs.as_ref().map(|at| &at.way)),
                ("options", options.as_ref().map(|at| &at.way)),
                ("accept_flake_config", accept_flake_config.as_ref().map(|at| &at.way)),
            ];
            for (key, way) in ways {
                if let Some(way) = way {
                    self.heap.wrong(way, Wrong::NotForOneHost { key });
                }
            }
        }
    }

    fn warn_of_hosts_without_fleet(&self, laid: &[Laid], fleets: &BTreeMap<String, Fleet>) {
        // A host that others jump through has its part without a fleet.
        let jump = |laid: &Laid| laid.host.jump.clone();
        let ways: HashSet<Jump> = laid.iter().filter_map(jump).collect();
        let builders: HashSet<&HostName> =
            fleets.values().flat_map(|fleet| fleet.builders.iter().map(|host| &host.name)).collect();
        let of_fleets: HashSet<&HostName> =
            fleets.values().flat_map(|fleet| fleet.hosts.iter().map(|host| &host.name)).collect();
        for Laid { host, name_at, .. } in laid {
            if !of_fleets.contains(&host.name) && !builders.contains(&host.name) {
                let is_jump = ways.contains(&Jump::Host(host.name.clone()));
                self.heap.warn(name_at, Wrong::HostWithoutFleet { host: host.name.to_string(), is_jump });
            }
        }
    }

    /// A group whose name is nearly a tag is a slip, and its settings would be missing; else it may be for later.
    fn warn_of_unused_groups(&self, laid: &[Laid]) {
        let tags: BTreeSet<&str> = laid.iter().flat_map(|laid| laid.host.tags.iter().map(String::as_str)).collect();
        for (name, _) in self.file.groups.iter().flatten() {
            if tags.contains(name.value.as_str()) {
                continue;
            }
            let group = name.value.clone();
            match self.heap.nearest(&group, tags.iter().copied()) {
                Some(near) => self.heap.wrong(&name.way, Wrong::GroupOfNoTag { near: near.to_owned(), group }),
                None => self.heap.warn(&name.way, Wrong::UnusedGroup { group }),
            }
        }
    }
}

/// Follows the jumps, which may lead over hosts of other fleets.
fn fill_ways(laid: &mut [Laid]) {
    let jumps: BTreeMap<HostName, HostName> = laid
        .iter()
        .filter_map(|laid| match &laid.host.jump {
            Some(Jump::Host(jump)) => Some((laid.host.name.clone(), jump.clone())),
            Some(Jump::Destination { .. }) | None => None,
        })
        .collect();
    for laid in laid {
        let way = std::iter::successors(jumps.get(&laid.host.name), |jump| jumps.get(*jump));
        // A loop is a mistake that has been said.
        let mut seen = HashSet::new();
        laid.host.way = way.take_while(|jump| seen.insert(*jump)).cloned().collect();
    }
}

/// What is to blame for a guard that is too short: the guard, else the settle time, else the host's own settings.
fn guard_place<'b>(laid: &'b Laid, entry: &'b FleetEntry) -> &'b NodeWay {
    let times = entry.settle.as_ref().or(entry.of_fleet.steady.as_ref());
    laid.guard_at.as_ref().or(times.map(|time| &time.way)).unwrap_or(&laid.name_at)
}

/// The loops that `next` makes, each once: the host where it is reported, and the way round, in words.
///
/// A loop is reported at its first host in the file's order; hosts that only lead into one are not named.
fn loops(laid: &[Laid], next: impl Fn(&Laid) -> Option<HostName>) -> Vec<(usize, Vec<String>)> {
    let indices: HashMap<&HostName, usize> =
        laid.iter().enumerate().map(|(index, laid)| (&laid.host.name, index)).collect();
    let follow = |index: usize| indices.get(&next(&laid[index])?).copied();
    let mut found = Vec::new();
    // No host is followed twice.
    let mut followed = vec![false; laid.len()];
    for start in 0..laid.len() {
        let mut way = Vec::new();
        let mut at = Some(start);
        while let Some(index) = at.filter(|index| !followed[*index]) {
            followed[index] = true;
            way.push(index);
            at = follow(index);
        }
        // The way has come back to itself, and not to what an earlier start has led to.
        if let Some(back) = at.and_then(|index| way.iter().position(|known| *known == index)) {
            let mut round = way.split_off(back);
            let first = (0..round.len()).min_by_key(|place| round[*place]).unwrap_or_default();
            round.rotate_left(first);
            let mut names: Vec<_> = round.iter().map(|index| laid[*index].host.name.to_string()).collect();
            if names.len() > 1 {
                names.push(names[0].clone());
            }
            found.push((round[0], names));
        }
    }
    found.sort_by_key(|(first, _)| *first);
    found
}

/// A flake of the file system as an absolute path: the working folder is not the inventory's.
pub(super) fn absolute_flake(flake: &str, folder: &Path) -> String {
    let (scheme, rest) = match flake.strip_prefix("path:") {
        Some(rest) => ("path:", rest),
        None => ("", flake),
    };
    let (path, query) = rest.split_at(rest.find('?').unwrap_or(rest.len()));
    let is_relative = path == "." || path == ".." || path.starts_with("./") || path.starts_with("../");
    if !is_relative && (scheme.is_empty() || path.starts_with('/')) {
        return flake.to_owned();
    }
    format!("{scheme}{}{query}", plain(&folder.join(path)).display())
}

/// Without `.` and `..`, as far as the text alone can tell.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_flakes_of_the_file_system_move_to_the_inventorys_folder() {
        let absolute = |flake| absolute_flake(flake, Path::new("/etc/lab"));
        assert_eq!(absolute("."), "/etc/lab");
        assert_eq!(absolute("./hosts"), "/etc/lab/hosts");
        assert_eq!(absolute("../other?dir=x"), "/etc/other?dir=x");
        assert_eq!(absolute("path:."), "path:/etc/lab");
        assert_eq!(absolute("path:hosts"), "path:/etc/lab/hosts");
        for other in ["/srv/lab", "path:/srv/lab", "github:me/lab", "nixpkgs", "git+ssh://git@host/lab?ref=main"] {
            assert_eq!(absolute(other), other);
        }
    }
}
