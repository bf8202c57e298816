//! Signs the systems by the keys of the inventory, so that hosts take them from a login that they do not trust.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use super::groups::{by_machine, store_of};
use crate::engine::causes::chain;
use crate::engine::inquiry::{Inquiry, Phased, refuse_if};
use crate::engine::mutex::lock;
use crate::event::Event;
use crate::event::activity::Doing;
use crate::event::reason::build::BuildFault;
use crate::event::reason::refusal::Refusal;
use crate::facts::store_path::StorePath;
use crate::inventory::model::{Host, HostName};
use crate::nix;

/// How long reading a key may take.
pub(in crate::engine) const KEY_LIMIT: Duration = Duration::from_secs(10);

/// How long signing the systems in one store may take: a signature is a moment's work, and a closure has thousands.
pub(in crate::engine) const SIGN_LIMIT: Duration = Duration::from_secs(600);

impl Inquiry<'_> {
    /// Refuses if a key that is to sign cannot do so.
    pub(super) async fn ensure_keys_sign(&self, hosts: &[Host]) -> Phased<()> {
        let mut failed = false;
        for (key, of) in by_key(hosts) {
            let Err(fault) = nix::public_key(key, KEY_LIMIT).await else { continue };
            let fault = BuildFault::SignKeyUnusable { path: key.display().to_string(), said: chain(&fault) };
            for host in of {
                self.fail(Some(host), fault.clone());
            }
            failed = true;
        }
        refuse_if(failed, Refusal::SystemsNotBuilt)
    }

    /// Signs what is to be copied, in the stores where it lies. What a host has built for itself stays there.
    pub(super) async fn sign(&self, hosts: &[Host], systems: &BTreeMap<HostName, StorePath>) -> Phased<()> {
        let there = lock(&self.built_there).clone();
        let machine = |host: &HostName| there.get(host).map(|there| there.machine.clone());
        let mut failed = false;
        for (key, of) in by_key(hosts) {
            let copied: BTreeSet<&HostName> =
                of.into_iter().filter(|host| machine(host).as_ref() != Some(*host)).collect();
            for (machine, systems) in by_machine(systems, machine, &copied) {
                let is_signed = |host: &&HostName| there.get(*host).map(|there| &there.machine) == machine.as_ref();
                for host in copied.iter().copied().filter(is_signed) {
                    self.tell(Event::moved_within(host, Doing::Signing, SIGN_LIMIT));
                }
                failed |= !self.sign_in(key, machine.as_ref(), &systems).await;
            }
        }
        refuse_if(failed, Refusal::SystemsNotBuilt)
    }

    async fn sign_in(&self, key: &Path, machine: Option<&HostName>, systems: &BTreeSet<&StorePath>) -> bool {
        let ssh_options = self.reach.workspace().nix_ssh_options();
        let store = machine.map(|machine| store_of(machine, &ssh_options));
        match nix::sign(key, systems, store, SIGN_LIMIT).await {
            Ok(()) => true,
            Err(error) => {
                let (path, said) = (key.display().to_string(), chain(&error));
                self.tell(Event::failed(None, BuildFault::SystemNotSigned { path, said, machine: machine.cloned() }));
                false
            }
        }
    }
}

fn by_key(hosts: &[Host]) -> BTreeMap<&Path, BTreeSet<&HostName>> {
    let mut by_key: BTreeMap<&Path, BTreeSet<&HostName>> = BTreeMap::new();
    for host in hosts {
        if let Some(key) = &host.nix.sign_key {
            by_key.entry(key).or_default().insert(&host.name);
        }
    }
    by_key
}
