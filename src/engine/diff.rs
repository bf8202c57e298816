//! Compares a host's new system with the one that runs there.

use std::path::Path;
use std::time::Duration;

use futures::FutureExt;

use super::ask::ask_all;
use super::build::store_of;
use super::inquiry::Inquiry;
use super::mutex::lock;
use crate::decide::forecast::BootParts;
use crate::decide::survey::Surveyed;
use crate::event::forecast::Comparison;
use crate::event::reason::cause::Cause;
use crate::event::reason::push::PushNote;
use crate::facts::package_change::PackageChange;
use crate::facts::store_path::StorePath;
use crate::inventory::model::HostName;
use crate::nix;
use crate::remote::answer::kept::{Compared, compared};
use crate::remote::step::RemoteStep;

/// How much longer the look at the new system may take for the comparison with the old one; prepare.sh ends the
/// comparison before that.
pub(super) const COMPARISON: Duration = Duration::from_secs(25);

impl Inquiry<'_> {
    /// Compares alone, for every selected host, in the inventory's order.
    pub(super) async fn compare_selected(&self, views: &[Surveyed<'_>]) -> Vec<(HostName, Comparison)> {
        let selected = || views.iter().filter_map(|view| Some((view, view.new?)));
        let questions = selected().map(|(view, new)| (view.host.name.clone(), self.compare_one(view, new).boxed()));
        let mut answers = ask_all(questions).await;
        selected()
            .map(|(view, _)| (view.host.name.clone(), answers.remove(&view.host.name).unwrap_or_default()))
            .collect()
    }

    /// Compares first in this workstation's store, and asks the host for what that does not tell.
    pub(super) async fn compare_one(&self, view: &Surveyed<'_>, new: &StorePath) -> Comparison {
        let standing = &view.facts.standing;
        let old = &standing.systems.current;
        let limit = view.host.limits.step;
        // A system does not differ from itself, so it need not be in any store here.
        let mut packages = (old == new).then(Vec::new);
        if packages.is_none() && is_here(old) && is_here(new) {
            packages = nix::diff(old, new, None, limit).await.ok();
        }
        let new_parts = boot_parts(new);
        let booted = boot_parts(&standing.booted);
        let mut reboot_for = booted.zip(new_parts.as_ref()).map(|(booted, new)| booted.reboot_for(new));
        if packages.is_none() || reboot_for.is_none() {
            let there = self.compare_there(view, new).await;
            let changes = there.changes.map(|lines| lines.join("\n"));
            packages = packages.or_else(|| nix::diff::changes_in(&changes?).ok());
            if packages.is_none() {
                packages = self.compare_where_built(view, new).await;
            }
            reboot_for = reboot_for
                .or(there.reboot_for)
                .or_else(|| there.booted.zip(new_parts.as_ref()).map(|(booted, new)| booted.reboot_for(new)));
        }
        Comparison { packages, reboot_for }
    }

    /// Compares in the store of another host that has built the new system, and has the old one if it has built that,
    /// too.
    async fn compare_where_built(&self, view: &Surveyed<'_>, new: &StorePath) -> Option<Vec<PackageChange>> {
        let machine = lock(&self.built_there).get(&view.host.name).map(|there| there.machine.clone())?;
        if machine == view.host.name {
            return None;
        }
        let ssh_options = self.reach.workspace().nix_ssh_options();
        let old = &view.facts.standing.systems.current;
        nix::diff(old, new, Some(store_of(&machine, &ssh_options)), view.host.limits.step).await.ok()
    }

    /// Says what could not be found out. That stops nothing.
    async fn compare_there(&self, view: &Surveyed<'_>, new: &StorePath) -> Compared {
        let (name, old) = (&view.host.name, view.facts.standing.systems.current.clone());
        let script = RemoteStep::Compare { old, new: new.clone() }.script();
        match self.reach.run(name, &script, view.host.limits.step + COMPARISON).await {
            Ok(raw) => compared(&raw.lines),
            Err(error) => {
                self.warn(Some(name), PushNote::DifferencesNotKnown { cause: Cause::from(&error).into() });
                Compared::default()
            }
        }
    }
}

/// Returns whether a system lies in this workstation's store.
pub(super) fn is_here(system: &StorePath) -> bool {
    Path::new(system.as_str()).exists()
}

/// Finds the parts as prepare.sh finds them on a host: where the links of the system lead to.
fn boot_parts(system: &StorePath) -> Option<BootParts> {
    if !is_here(system) {
        return None;
    }
    let folder = Path::new(system.as_str());
    let part = |name: &str| {
        let path = folder.join(name).canonicalize().ok()?;
        Some(path.to_string_lossy().into_owned())
    };
    Some(BootParts {
        kernel: part("kernel"),
        initrd: part("initrd"),
        modules: part("kernel-modules"),
        parameters: std::fs::read_to_string(folder.join("kernel-params")).unwrap_or_default(),
    })
}
