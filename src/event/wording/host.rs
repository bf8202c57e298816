//! What an event says of the one host that it is about, for the screen, the plain lines and the host's log alike.
//!
//! Names, versions and reasons are as a host tells them: who prints the words cleans them.

use crate::event::Event;
use crate::event::wording::{packages, sending, waiting, words};
use crate::facts::package_change::PackageChange;
use crate::inventory::model::{GuardAction, HostName};

/// Returns the host and the sentence. `most`: how many packages are named. `None`: the event is about several hosts or
/// the whole fleet, or is said in another way: a warning, a failure, what programs print, a question.
pub(crate) fn sentence(event: &Event, most: usize) -> Option<(&HostName, String)> {
    Some(match event {
        Event::HostLeftOut { host } => (host, "left out: it takes no part".to_owned()),
        Event::HostMoved { host, doing, .. } => (host, doing.clone()),
        Event::AddressChosen { host, address } => (host, format!("is reached at {address}")),
        Event::CopyMoved { host, done_bytes, expected_bytes } if *expected_bytes > 0 => {
            (host, format!("copied {} of {}", words::size(*done_bytes), words::size(*expected_bytes)))
        }
        Event::CopyMeasured { host: Some(host), from, bytes, took_ms } => {
            (host, format!("was sent {}", sending::measured(from.as_ref(), *bytes, *took_ms)))
        }
        Event::HostSurveyed { host, nixos, nix, systemd, kernel, boot_files_unproven } => {
            let nixos = nixos.as_ref().map(|nixos| format!("NixOS {nixos}, ")).unwrap_or_default();
            let unproven = boot_files_unproven.as_ref();
            let unproven = unproven.map(|why| format!("; what it boots cannot be compared: {why}")).unwrap_or_default();
            let (nix, systemd) = (words::program("Nix", nix), words::program("systemd", systemd));
            (host, format!("{nixos}{nix}, {systemd}, kernel {kernel}{unproven}"))
        }
        Event::Compared { host, packages, reboot_for } => (host, compared(packages.as_deref(), reboot_for, most)),
        Event::HostDone { host, phase } => (host, format!("{} done", phase.word())),
        Event::GuardArmed { host, left_ms, way_back } => {
            let (left, back) = (words::span_ms(*left_ms), waiting::way_back(way_back.as_ref()));
            (host, format!("guard armed: goes back to the old system in {left}{back}, unless the push ends well"))
        }
        Event::GuardSeen { host, left_ms, way_back } => {
            let (left, back) = (words::span_ms(*left_ms), waiting::way_back(way_back.as_ref()));
            (host, format!("its guard fires in {left}{back}"))
        }
        Event::GuardExtended { host, left_ms, way_back } => {
            let (left, back) = (words::span_ms(*left_ms), waiting::way_back(way_back.as_ref()));
            (host, format!("guard extended: fires in {left}{back}"))
        }
        Event::GuardDisarmed { host } => (host, "guard disarmed".to_owned()),
        Event::BootDefaultMoved { host, generation } => (host, format!("a reboot brings generation {generation} now")),
        Event::ContactLost { host, within_ms, then, why } => {
            let until = within_ms.map(|within| format!(" for up to {}", words::span_ms(within))).unwrap_or_default();
            let then = then.map(|then| format!(", else {then}")).unwrap_or_default();
            (host, format!("contact lost, connecting again{until}{then}: {why}"))
        }
        Event::HostWaits { host, waits_for, more, why: Some(why) } => {
            (host, waiting::held_back(*why, waits_for, *more))
        }
        Event::ContactMade { host } => (host, "contact made".to_owned()),
        Event::HostFound { host, text } => (host, format!("found: {text}")),
        Event::LeftToGuard { host, fires_in_ms, boot_ms, action } => {
            let (left, boot) = (words::span_ms(*fires_in_ms), words::span_ms(*boot_ms));
            let reboots = if *action == Some(GuardAction::SwitchBack) { "" } else { " and boot" };
            let text = match (fires_in_ms, boot_ms) {
                (0, 0) => "left to its guard, which must have fired: it should be back by now".to_owned(),
                (0, _) => format!("left to its guard, which must have fired: it should be back within {boot}"),
                _ => format!("left to its guard: fires within {left}, then up to {boot} to go back{reboots}"),
            };
            (host, text)
        }
        Event::HostRebooted { host, took_ms, old_kernel, new_kernel } => {
            let kernels = if old_kernel == new_kernel {
                format!("kernel {new_kernel} as before")
            } else {
                format!("kernel {old_kernel} -> {new_kernel}")
            };
            (host, format!("rebooted in {}, {kernels}", words::span_ms(*took_ms)))
        }
        Event::CameBack { host, text } => (host, format!("came back: {text}")),
        Event::PushStarted { .. }
        | Event::RecoverStarted { .. }
        | Event::RebootStarted { .. }
        | Event::QueryStarted { .. }
        | Event::WorkstationSeen { .. }
        | Event::SourceKnown { .. }
        | Event::RunChosen { .. }
        | Event::Planned { .. }
        | Event::WavesPlanned { .. }
        | Event::WaveStarted { .. }
        | Event::PhaseStarted { .. }
        | Event::HookStarted { .. }
        | Event::Foreseen { .. }
        | Event::Asked { .. }
        | Event::Replied { .. }
        | Event::BuildMoved { .. }
        | Event::Evaluated { .. }
        | Event::CopiesForeseen { .. }
        // Nothing is to be copied.
        | Event::CopyMoved { .. }
        | Event::CopyMeasured { .. }
        | Event::Warned { .. }
        | Event::EventsLost { .. }
        | Event::Failed { .. }
        | Event::Logged { .. }
        | Event::Printed { .. }
        | Event::MatrixSeen { .. }
        | Event::LinksMoved { .. }
        | Event::WaitStarted { .. }
        | Event::WaitEnded { .. }
        // It goes on.
        | Event::HostWaits { .. }
        | Event::MayLeave { .. }
        | Event::Decided
        | Event::RollBackStarted { .. }
        | Event::Answer { .. }
        | Event::Ended { .. }
        | Event::Finished { .. } => return None,
    })
}

fn compared(packages: Option<&[PackageChange]>, reboot_for: &[String], most: usize) -> String {
    let mut text = match packages {
        None => "which packages change could not be found out".to_owned(),
        Some(packages) => packages::sentence(packages, most),
    };
    if !reboot_for.is_empty() {
        text += &format!("; a reboot will be needed for: {}", reboot_for.join(", "));
    }
    text
}
