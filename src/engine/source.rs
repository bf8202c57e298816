//! Finds out where the systems of a run come from, before they are evaluated, and refuses a tree with changes that are
//! in no commit if a person has asked for that.

use std::path::Path;
use std::sync::{Arc, Mutex};

use super::mutex::lock;
use crate::event::Event;
use crate::event::reason::build::BuildFault;
use crate::event::reason::refusal::Refusal;
use crate::event::stream::Events;
use crate::facts::provenance::Provenance;
use crate::facts::source::FlakeSource;
use crate::inventory::model::{Fleet, Source};
use crate::nix;

/// What is known of where the systems of a run come from, and what a person wants of it. Its clones are one.
#[derive(Debug, Clone)]
pub struct RunSource {
    /// `person@workstation`.
    owner: String,
    /// Whether only a tree without changes is taken, whose revision is known.
    pub clean: bool,
    known: Arc<Mutex<Option<Provenance>>>,
    /// What Nix has said of it, for an evaluation that begins at once.
    looked: Arc<Mutex<Option<nix::FlakeLook>>>,
}

impl RunSource {
    #[must_use]
    pub fn new(owner: String) -> Self {
        Self { owner, clean: false, known: Arc::default(), looked: Arc::default() }
    }

    /// Makes the source of a run that was begun before, by whoever began it.
    #[must_use]
    pub fn of(provenance: Option<Provenance>) -> Self {
        Self { known: Arc::new(Mutex::new(provenance)), ..Self::new(String::new()) }
    }

    /// Returns what was found last; `None`: nothing yet, or the systems are on the hosts already.
    #[must_use]
    pub fn known(&self) -> Option<Provenance> {
        lock(&self.known).clone()
    }

    /// Finds out what the source is now, and tells it if that is news. The evaluation does not ask again, unless
    /// [`Self::look_again`] says so.
    ///
    /// # Errors
    /// If it is not what was asked for; why was told.
    pub async fn find(&self, fleet: &Fleet, folder: &Path, events: &Events) -> Result<(), Refusal> {
        let looking = nix::Evaluator::begin(nix::EvalRequest {
            source: &fleet.source,
            hosts: &[],
            base: folder,
            limit: fleet.build_limit,
            terms: &fleet.evaluation,
            kept: None,
        })
        .await;
        let taken = self.take(fleet, folder, looking.source(), looking.version().ok(), events);
        *lock(&self.looked) = Some(looking.into_look());
        taken
    }

    /// Lets the evaluation look for itself: the source may have changed since it was found.
    pub fn look_again(&self) {
        self.looked();
    }

    pub(super) fn looked(&self) -> Option<nix::FlakeLook> {
        lock(&self.looked).take()
    }

    /// Takes what the source is now, as Nix has said it, and tells it if that is news. `None`: it is no flake, or Nix
    /// does not say; then the evaluation says why.
    pub(super) fn take(
        &self,
        fleet: &Fleet,
        folder: &Path,
        source: Option<&FlakeSource>,
        version: Option<&nix::NixVersion>,
        events: &Events,
    ) -> Result<(), Refusal> {
        let found = Provenance {
            by: self.owner.clone(),
            nix: version.map(ToString::to_string),
            fleetdeploy: env!("CARGO_PKG_VERSION").to_owned(),
            ..of_source(&fleet.source, folder, source)
        };
        let before = lock(&self.known).replace(found.clone());
        if before.as_ref() != Some(&found) {
            events.publish(Event::SourceKnown { provenance: found.clone() });
        }
        match self.fault(found) {
            Some(fault) => {
                events.publish(Event::failed(None, fault));
                Err(Refusal::SourceNotClean)
            }
            None => Ok(()),
        }
    }

    /// Says why it is not what was asked for.
    fn fault(&self, found: Provenance) -> Option<BuildFault> {
        let source = found.source.unwrap_or_default();
        match found.revision {
            _ if !self.clean => None,
            revision if found.dirty => Some(BuildFault::TreeDirty { source, revision }),
            None => Some(BuildFault::RevisionUnknown { source }),
            Some(_) => None,
        }
    }
}

/// What Nix puts behind the commit of a dirty tree. Source: Nix, libfetchers/git.cc, `dirtyRev`.
const DIRTY: &str = "-dirty";

/// Returns the part that the source itself tells.
fn of_source(source: &Source, folder: &Path, known: Option<&FlakeSource>) -> Provenance {
    let named = match source {
        Source::System => None,
        Source::File { file, .. } => Some(folder.join(file).display().to_string()),
        Source::Flake { flake, .. } => Some(nix::without_credentials(flake).into_owned()),
    };
    let Some(known) = known else { return Provenance { source: named, ..Provenance::default() } };
    let base = known.dirty_revision.as_ref().map(|text| text.strip_suffix(DIRTY).unwrap_or(text).to_owned());
    Provenance {
        source: Some(known.url.clone()),
        revision: known.revision.clone().or(base),
        dirty: known.revision.is_none() && known.dirty_revision.is_some(),
        nar_hash: known.nar_hash.clone(),
        last_modified: known.last_modified,
        ..Provenance::default()
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::facts::attr_path::AttrPath;

    #[test]
    fn a_login_in_a_flake_reference_is_not_kept_and_a_dirty_tree_stands_on_a_commit() {
        let flake = "git+https://ada:hunter2@git.example.org/fleet".to_owned();
        let source = Source::Flake { flake, attr: AttrPath::parse("systems.{host}").unwrap() };
        let unknown = of_source(&source, Path::new("/"), None);
        assert_eq!(unknown.source.as_deref(), Some("git+https://git.example.org/fleet"));
        let dirty = FlakeSource {
            url: "git+file:///fleet".into(),
            locked_url: "git+file:///fleet".into(),
            nar_hash: None,
            revision: None,
            dirty_revision: Some("a1b2c3d4-dirty".into()),
            last_modified: None,
        };
        let known = of_source(&source, Path::new("/"), Some(&dirty));
        assert_eq!((known.source.as_deref(), known.revision.as_deref()), (Some("git+file:///fleet"), Some("a1b2c3d4")));
        assert!(known.dirty);
    }
}
