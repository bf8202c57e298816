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
use crate::inventory::model::Fleet;
use crate::nix;

/// What is known of where the systems of a run come from, and what a person wants of it. Its clones are one.
#[derive(Debug, Clone)]
pub struct RunSource {
    /// `person@workstation`.
    owner: String,
    /// Whether only a tree without changes is taken, whose revision is known.
    pub clean: bool,
    known: Arc<Mutex<Option<Provenance>>>,
}

impl RunSource {
    #[must_use]
    pub fn new(owner: String) -> Self {
        Self { owner, clean: false, known: Arc::default() }
    }

    /// Makes the source of a run that was begun before, by whoever began it.
    #[must_use]
    pub fn of(provenance: Option<Provenance>) -> Self {
        Self { owner: String::new(), clean: false, known: Arc::new(Mutex::new(provenance)) }
    }

    /// Returns what was found last; `None`: nothing yet, or the systems are on the hosts already.
    #[must_use]
    pub fn known(&self) -> Option<Provenance> {
        lock(&self.known).clone()
    }

    /// Finds out what the source is now, and tells it if that is news.
    ///
    /// # Errors
    /// If it is not what was asked for; why was told.
    pub async fn find(&self, fleet: &Fleet, folder: &Path, events: &Events) -> Result<(), Refusal> {
        let limit = fleet.build_limit;
        let (tree, version) = tokio::join!(nix::tree(&fleet.source, folder, limit), nix::version(limit));
        let nix::Tree { source, revision, dirty, nar_hash, last_modified } = tree;
        let found = Provenance {
            source,
            revision,
            dirty,
            nar_hash,
            last_modified,
            by: self.owner.clone(),
            nix: version.ok().map(|version| version.to_string()),
            fleetdeploy: env!("CARGO_PKG_VERSION").to_owned(),
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
