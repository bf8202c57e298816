//! What is done to a fleet, and how it is mended.

use std::time::Duration;

use crate::chaos::spec::{Injection, Spec};
use crate::fleet::Fleet;
use crate::pushed::Pushing;

const FLOOD: &str = "systemd-run -q --collect --unit=flood -E PATH=\"$PATH\" \
                     sh -c 'while :; do systemctl daemon-reload; sleep 0.1; done'";

/// Does it. What passes by itself has passed when this returns; the rest stays until [`mend`].
pub(super) fn inject(fleet: &Fleet, spec: &Spec, push: &Pushing) {
    let lasts = Duration::from_millis(spec.lasts_ms);
    match spec.injection {
        Injection::Nothing => {}
        Injection::Kill | Injection::KillTwice => push.signal("KILL"),
        Injection::Asleep => push.signal("STOP"),
        Injection::PowerCut => fleet.power(spec.victim, "cut"),
        Injection::CableForAWhile => {
            fleet.cable(spec.victim, "down");
            std::thread::sleep(lasts);
            fleet.cable(spec.victim, "up");
        }
        Injection::CableForGood => fleet.cable(spec.victim, "down"),
        // Also what is left after the last whole block.
        Injection::DiskFull => on_victim(fleet, spec, "cat /dev/zero >/full 2>/dev/null; true"),
        Injection::BootFull => on_victim(fleet, spec, "cat /dev/zero >/boot/full 2>/dev/null; true"),
        Injection::SshdStopped => on_victim(fleet, spec, "systemctl stop sshd"),
        Injection::ReloadFlood => on_victim(fleet, spec, FLOOD),
        Injection::Interrupt | Injection::GuardKilled | Injection::CableForLong => panic!("not done to a push"),
    }
}

/// Takes away what was done, as a person would who has found out; also what a reboot has taken away already.
pub(super) fn mend(fleet: &Fleet, spec: &Spec) {
    match spec.injection {
        Injection::CableForGood => fleet.cable(spec.victim, "up"),
        Injection::DiskFull | Injection::BootFull => on_victim(fleet, spec, "rm -f /full /boot/full"),
        Injection::SshdStopped => on_victim(fleet, spec, "systemctl start sshd"),
        Injection::ReloadFlood => on_victim(fleet, spec, "systemctl stop flood 2>/dev/null; true"),
        Injection::Nothing
        | Injection::Kill
        | Injection::KillTwice
        | Injection::Asleep
        | Injection::PowerCut
        | Injection::CableForAWhile
        | Injection::Interrupt
        | Injection::GuardKilled
        | Injection::CableForLong => {}
    }
}

/// A host that is on its way up just now is waited for.
fn on_victim(fleet: &Fleet, spec: &Spec, script: &str) {
    fleet.wait_until_up(spec.victim);
    fleet.host(spec.victim, script);
}
