//! Hashes the states of a run alike that go the same way from here on, whatever comes.
//!
//! The model checker tells states apart by their hash. Left out is what is only told, and what nothing reads any more
//! in the stage under way; `transaction/tests/walks.rs` holds that against the decider itself.

use std::hash::{Hash, Hasher};

use crate::decide::transaction::stage::Stage;
use crate::decide::transaction::state::{HostNow, Transaction};

impl Hash for Transaction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self {
            plan,
            hosts,
            stage,
            wave,
            probing,
            stale,
            units,
            rekeying,
            interrupted,
            silent,
            recovery,
            doubted,
            lost_on_new,
            lost_ones_keep_nothing: _,
            forgets_marks: _,
            told: _,
        } = self;
        (plan, stage, probing, stale, interrupted).hash(state);
        (recovery.is_some(), doubted, lost_on_new).hash(state);
        recovery.as_ref().map(|recovery| (recovery.aim, &recovery.ending)).hash(state);
        match stage {
            // The push only waits for the last answers.
            Stage::Clean(_) | Stage::Over(_) => {
                for HostNow { step, activated, .. } in hosts {
                    (step, activated).hash(state);
                }
            }
            // The looks of the way forward, and how a recovery found its hosts, are not read any more.
            Stage::Back(_) | Stage::BackProof(..) | Stage::BackDisarm(_) => {
                for host in hosts {
                    host.hash_way(state);
                }
                // A silent host holds up only the jumps through which it is reached.
                let is_far = |host: &&_| plan.host(**host).behind.is_some();
                silent.iter().filter(is_far).for_each(|host| host.hash(state));
            }
            Stage::TakeOver
            | Stage::Arm
            | Stage::Test(_)
            | Stage::Verify(_)
            | Stage::ExtendToTest
            | Stage::ExtendToSwitch(_)
            | Stage::Switch(_)
            | Stage::Proof(_)
            | Stage::ExtendToDisarm(_)
            | Stage::Disarm(_) => {
                for host in hosts {
                    host.hash_way(state);
                    host.found.hash(state);
                }
                (units, rekeying, wave, silent, recovery).hash(state);
            }
        }
        for host in hosts {
            host.end.as_ref().map(std::mem::discriminant).hash(state);
            (host.disowned, host.missing).hash(state);
        }
    }
}

impl HostNow {
    fn hash_way<H: Hasher>(&self, state: &mut H) {
        let Self {
            step,
            progress,
            armed,
            activated,
            moved,
            logged_in,
            boot_id,
            back,
            armed_again,
            disarms_in_vain,
            given_up,
            disowned: _,
            set_aside: _,
            missing: _,
            on: _,
            held,
            found: _,
            end: _,
        } = self;
        (step, progress, armed, activated, moved, logged_in).hash(state);
        (boot_id, back, armed_again, disarms_in_vain, given_up, held).hash(state);
    }
}
