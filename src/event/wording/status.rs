use std::fmt;

use super::Worded;
use crate::event::reason::status::{Ailment, KernelDue, ShortTrouble};
use crate::facts::store_path::StorePath;
use crate::inventory::model::HostName;

const AS_IT_IS: &str = "a push with --accept-drift takes it as it is";
const LOADER_ANEW: &str =
    "`/nix/var/nix/profiles/system/bin/switch-to-configuration boot` there installs the boot loader anew";

impl fmt::Display for Ailment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RunUnfinishedThere { run, .. } => write!(formatter, "run {run} did not come to its end here"),
            Self::CurrentStandsAlone { current, profile, boot_default } => {
                let told = |system| told(system, [current, profile, boot_default]);
                write!(formatter, "a reboot brings {}, not what runs now, {}", told(boot_default), told(current))
            }
            Self::BootDefaultStandsAlone { current, profile, boot_default } => {
                let told = |system| told(system, [current, profile, boot_default]);
                write!(
                    formatter,
                    "the boot loader starts {}, not what runs and the profile says, {}",
                    told(boot_default),
                    told(current)
                )
            }
            Self::ProfileStandsAlone { current, profile, boot_default } => {
                let told = |system| told(system, [current, profile, boot_default]);
                write!(
                    formatter,
                    "the profile says {}, not what runs and a reboot brings, {}",
                    told(profile),
                    told(current)
                )
            }
            Self::TriedInVain { tried, run, .. } => write!(
                formatter,
                "the profile says {tried}, which run {run} has tried to boot and not proven: a reboot brings what the \
                 host booted last, and the next installer makes the tried one the boot default"
            ),
            Self::SystemsAllDiffer { current, profile, boot_default } => {
                let told = |system| told(system, [current, profile, boot_default]);
                write!(
                    formatter,
                    "{} runs, the profile says {}, and a reboot brings {}",
                    told(current),
                    told(profile),
                    told(boot_default)
                )
            }
            Self::EndedWithoutOthers { run, missing, .. } => {
                write!(formatter, "run {run} was ended here without {}", named(missing))
            }
            Self::BusyThere { said } => formatter.write_str(said),
            Self::FailedUnitsSeen { units, .. } => {
                let units: Vec<&str> = units.iter().map(String::as_str).collect();
                write!(formatter, "units that failed: {}", units.join(", "))
            }
            Self::SpaceLow { place, free_bytes, size_bytes } => {
                write!(formatter, "only {} MiB of {} are free on {place}", free_bytes >> 20, size_bytes >> 20)
            }
            Self::RebootDue { parts, kernel, .. } => {
                write!(formatter, "a reboot brings what the current system changes: {}", parts.join(", "))?;
                match kernel {
                    Some(KernelDue { running, current }) => {
                        write!(formatter, " (kernel {running} runs, {current} would)")
                    }
                    None => Ok(()),
                }
            }
        }
    }
}

impl Worded for Ailment {
    fn mend(&self) -> Option<String> {
        Some(match self {
            Self::RunUnfinishedThere { fleet, .. } => format!("fleetdeploy recover {fleet}"),
            Self::CurrentStandsAlone { .. } => {
                format!("reboot it, or make what runs its own: `nixos-rebuild switch`; {AS_IT_IS}")
            }
            Self::BootDefaultStandsAlone { .. } => LOADER_ANEW.to_owned(),
            Self::ProfileStandsAlone { current, .. } => {
                format!("{LOADER_ANEW}; or back: `nix-env -p /nix/var/nix/profiles/system --set {current}`")
            }
            Self::TriedInVain { fleet, host, .. } => {
                format!(
                    "push a system that boots, with --accept-drift, or try it once more: fleetdeploy reboot {fleet} \
                     --on {host}"
                )
            }
            Self::SystemsAllDiffer { .. } => format!("`nixos-rebuild switch` to what it is to run; {AS_IT_IS}"),
            Self::EndedWithoutOthers { fleet, .. } => format!("fleetdeploy recover {fleet}, when it is back"),
            Self::BusyThere { .. } => return None,
            Self::FailedUnitsSeen { units, fleet, host } => journal_of(fleet, host, units.first()?),
            Self::SpaceLow { place, .. } => more_space(place).to_owned(),
            Self::RebootDue { fleet, host, .. } => {
                format!("when nobody needs it: fleetdeploy reboot {fleet} --on {host}")
            }
        })
    }

    fn stake(&self) -> Option<&'static str> {
        match self {
            Self::FailedUnitsSeen { .. } => {
                Some("a push does not blame itself for them, and so would not see if it broke them anew")
            }
            Self::RunUnfinishedThere { .. }
            | Self::CurrentStandsAlone { .. }
            | Self::BootDefaultStandsAlone { .. }
            | Self::ProfileStandsAlone { .. }
            | Self::TriedInVain { .. }
            | Self::SystemsAllDiffer { .. }
            | Self::EndedWithoutOthers { .. }
            | Self::BusyThere { .. }
            | Self::SpaceLow { .. }
            | Self::RebootDue { .. } => None,
        }
    }
}

impl fmt::Display for ShortTrouble {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::UnfinishedRun => "unfinished run",
            Self::Drift => "drift",
            Self::Boot(words) => words,
            Self::Without(missing) => return write!(formatter, "without {}", named(missing)),
            Self::Busy => "busy",
            Self::UnitsFailed(count) => return write!(formatter, "{count} failed"),
            Self::Space => "space",
            Self::TrialLeft => "trial left",
            Self::Reboot => "reboot",
            Self::Claimed => "claimed",
        })
    }
}

fn named(hosts: &[HostName]) -> String {
    hosts.iter().map(HostName::as_str).collect::<Vec<_>>().join(", ")
}

/// Says what to type to read a unit's journal. The name is the host's word, so it stands in quotes if a shell would
/// change it: the backslash in `dev-disk\x2dby.mount`, or a `;` that no honest host has in it.
fn journal_of(fleet: &str, host: &HostName, unit: &str) -> String {
    let unit = shlex::try_quote(unit).unwrap_or_else(|_| "UNIT".into());
    format!("fleetdeploy exec {fleet} --on {host} --sudo -- journalctl -n 50 --unit={unit}")
}

/// Says what makes room there, as NixOS configuration if that helps.
pub(super) fn more_space(place: &str) -> &'static str {
    match place {
        "/boot" | "/efi" | "/boot/efi" => {
            "keep fewer generations (`boot.loader.systemd-boot.configurationLimit = 10;`, or `boot.loader.grub.\
             configurationLimit`), then `nix-collect-garbage -d` there and push once more"
        }
        "/nix/store" => {
            "`nix-collect-garbage --delete-older-than 30d` there; for good: `nix.gc = { automatic = true; options = \
             \"--delete-older-than 30d\"; };`"
        }
        _ => "see there what fills it: `du -xh / | sort -h | tail`",
    }
}

/// Names a system by its version; also by the beginning of its hash, if another one has the same version.
fn told(system: &StorePath, all: [&StorePath; 3]) -> String {
    let name = system.name().trim_start_matches("nixos-system-");
    let ambiguous = all.iter().any(|other| *other != system && other.name() == system.name());
    let hash = &system.as_str()["/nix/store/".len()..][..8];
    if ambiguous { format!("{name} ({hash})") } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn a_unit_s_name_is_one_word_to_a_shell_whatever_a_host_says() {
        let vps = HostName::new("vps").unwrap();
        let unit = |name: &str| journal_of("lab", &vps, name).split_once("--unit=").unwrap().1.to_owned();
        assert_eq!(unit("getty@tty1.service"), "getty@tty1.service");
        for name in [r"dev-disk\x2dby.mount", "a;reboot", "$(reboot)", "it's", "-x"] {
            assert_eq!(shlex::split(&unit(name)), Some(vec![name.to_owned()]));
        }
    }
}
