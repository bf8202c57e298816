use std::fmt;

use super::Worded;
use super::status::more_space;
use crate::event::reason::doctor::{HostHealth, Stake};
use crate::facts::privilege::{RootLack, RootProgram};

impl fmt::Display for HostHealth {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LoginAsRoot { login } => write!(formatter, "logs in as {login}, and is root there"),
            Self::RebootBringsSame => formatter.write_str("a reboot brings back what runs"),
            Self::BootLoaderRead { loader } => write!(formatter, "its boot loader can be read: {}", loader.word()),
            Self::NoPassphraseAtBoot => formatter.write_str("no disk that it boots from wants a passphrase"),
            Self::EncryptedAndGuarded => {
                formatter.write_str("one of its disks is encrypted, and the inventory says how it is guarded")
            }
            Self::GuardTraceLeft { trace, .. } => write!(formatter, "a guard has fired here: {trace}"),
            Self::NixVersionUnknown => formatter.write_str("which Nix it has could not be found out"),
            Self::NixOlderThanTried { version, oldest } => write!(formatter, "its {version} is older than {oldest}"),
            Self::SystemdOlderThanTried { version, oldest } => {
                write!(formatter, "its {version} is older than {oldest}")
            }
            Self::NixTried { version } | Self::SystemdTried { version } => formatter.write_str(version),
            Self::KernelSeen { release, system_type } => write!(formatter, "kernel {release}, {system_type}"),
            Self::CopyTaken => formatter.write_str("takes what is copied to it"),
            Self::BuiltThere { login } => {
                write!(formatter, "its nix builds its own system for {login}: nothing needs a signature")
            }
            Self::SignatureTrusted { login, key } => {
                write!(formatter, "its Nix takes what {} brings, signed by {}", in_nix(login), in_nix(key))
            }
            Self::OnlyNewSigned { login, key, .. } => write!(
                formatter,
                "its Nix takes what {} brings if it is built from now on, signed by {}; not all that was built here \
                 before was seen to be signed",
                in_nix(login),
                in_nix(key)
            ),
            Self::SignatureUnread { login, .. } => write!(
                formatter,
                "its Nix does not trust {}, and whether it trusts the key that signs here cannot be seen",
                in_nix(login)
            ),
            Self::LoginNotTrusted { login, key: None } => {
                write!(formatter, "its Nix does not trust {}, and nothing is signed here", in_nix(login))
            }
            Self::LoginNotTrusted { login, key: Some(_) } => {
                write!(formatter, "its Nix trusts neither {} nor the key that signs here", in_nix(login))
            }
            Self::OnlySignedElsewhere { login, key } => write!(
                formatter,
                "its Nix does not trust {}: it takes what was fetched here from a cache that signs as {}, and nothing \
                 that is built here",
                in_nix(login),
                in_nix(key)
            ),
            Self::OnlyByCache { login, cache, key } => only_by_cache(formatter, login, cache, key.as_deref()),
            Self::LoginTrustUntold { login } => {
                write!(formatter, "its Nix does not say whether it trusts {}", in_nix(login))
            }
            Self::CopyUnanswered { error, .. } => write!(formatter, "nothing can be copied to it: {error}"),
            Self::CacheSilent { url } => write!(formatter, "its binary cache {url} does not answer within 5 s"),
            Self::FleetCacheAnswers { cache } => write!(formatter, "the fleet's cache {cache} answers it"),
            Self::FleetCacheBare { cache } => {
                write!(formatter, "where the fleet's cache is to be, {cache}, it finds no binary cache")
            }
            Self::FleetCacheSilent { cache, said } if said.is_empty() => {
                write!(formatter, "the fleet's cache {cache} does not answer it within 5 s")
            }
            Self::FleetCacheSilent { cache, said } => {
                write!(formatter, "the fleet's cache {cache} does not answer it: {said}")
            }
            Self::CopyUntried => formatter.write_str("whether anything can be copied to it was not tried"),
            Self::SpaceEnough { place, free_bytes, size_bytes }
            | Self::SpaceScarce { place, free_bytes, size_bytes }
            | Self::SpaceUsedUp { place, free_bytes, size_bytes } => {
                write!(formatter, "{} MiB of {} are free on {place}", free_bytes >> 20, size_bytes >> 20)
            }
            Self::ClockOff { ahead_ms } => {
                let word = if *ahead_ms > 0 { "ahead of" } else { "behind" };
                write!(formatter, "its clock is {} s {word} this workstation's", ahead_ms.unsigned_abs() / 1000)
            }
            Self::ClockRight => formatter.write_str("its clock goes right"),
            Self::VpnAddressThere { vpn } => write!(formatter, "has its VPN address {vpn}"),
            Self::VpnAddressMissing { vpn } => write!(formatter, "has no interface with its VPN address {vpn}"),
            Self::SshSessionsFew { sessions, .. } => {
                let plural = if *sessions == 1 { "" } else { "s" };
                write!(formatter, "its sshd takes {sessions} session{plural} on one connection")
            }
            Self::SshSessionsEnough => formatter.write_str("its sshd takes enough sessions"),
            Self::SshForwardsNothing => {
                formatter.write_str("its sshd forwards nothing, and a host that does not answer is reached through it")
            }
            Self::SshPenaltiesOn => {
                formatter.write_str("its sshd punishes addresses that connect and leave; probes keep below that")
            }
            Self::RebootDoubt { said } => formatter.write_str(said),
            Self::NoUnitFailed => formatter.write_str("no unit has failed"),
            Self::CheckProgramsThere => formatter.write_str("has every program that its checks need"),
            Self::CheckProgramMissing { program, checks, .. } => {
                write!(formatter, "has no `{program}`, which its checks need: {}", checks.join(", "))
            }
            Self::WgProgramMissing { .. } => formatter.write_str("has no `wg`"),
        }
    }
}

fn only_by_cache(formatter: &mut fmt::Formatter<'_>, login: &str, cache: &str, key: Option<&str>) -> fmt::Result {
    let login = in_nix(login);
    write!(formatter, "its Nix does not trust {login}: its system comes by the cache {cache} alone, ")?;
    match key.map(|key| key.split_once(':').map_or(key, |(name, _)| name)) {
        Some(name) => write!(formatter, "signed by {name}"),
        None => formatter.write_str("if what that gives is signed by a key that the host takes"),
    }
}

impl Worded for HostHealth {
    fn mend(&self) -> Option<String> {
        Some(match self {
            Self::GuardTraceLeft { fleet, .. } => {
                format!("`fleetdeploy recover {fleet}` cleans it up once you have read why")
            }
            Self::NixVersionUnknown => "see there what `nix --version` says".to_owned(),
            Self::NixOlderThanTried { .. } => "nix.package = pkgs.nix;  # of a newer nixpkgs".to_owned(),
            Self::SystemdOlderThanTried { .. } => {
                "update it to a NixOS that is still maintained, for once without a guard".to_owned()
            }
            Self::OnlyNewSigned { file, .. } => format!(
                "as somebody who can read the key: `nix store sign --all --key-file {0}`, once; or in the inventory \
                 `nix: {{sign_key: {0}}}`, which signs before each copy",
                in_nix(file)
            ),
            Self::SignatureUnread { file, .. } => format!(
                "its `nix.settings.trusted-public-keys` must have the public key of {}: `nix key \
                 convert-secret-to-public <{0}`, as root",
                in_nix(file)
            ),
            Self::LoginNotTrusted { login, key: Some(key) } | Self::OnlyByCache { login, key: Some(key), .. } => {
                format!(
                    "nix.settings.trusted-public-keys = [ \"{}\" ];  # or, which makes it as good as root: {}",
                    in_nix(key),
                    trusted(login)
                )
            }
            Self::LoginNotTrusted { login, key: None }
            | Self::OnlyByCache { login, key: None, .. }
            | Self::OnlySignedElsewhere { login, .. } => format!(
                "sign what is built here: {SIGN_HERE} and there nix.settings.trusted-public-keys = [ \"its public \
                 key\" ]; or build it there: `build_on: target`  # or, which makes it as good as root: {}",
                trusted(login)
            ),
            Self::LoginTrustUntold { login } => format!("make sure of it: {}", trusted(login)),
            Self::CopyUnanswered { daemon_in_path: true, .. } => {
                "see there whether `systemctl status nix-daemon.socket` is well".to_owned()
            }
            Self::CopyUnanswered { daemon_in_path: false, .. } => {
                "a login without a terminal finds no `nix-daemon`: see what sets its PATH".to_owned()
            }
            Self::CopyUntried => "install Nix here".to_owned(),
            Self::CacheSilent { .. } => {
                "take it out of its nix.settings.substituters, or set `nix: {substitute_on_destination: false}`"
                    .to_owned()
            }
            Self::FleetCacheBare { .. } => {
                "the first push fills it; where one has, see whether `from` of `cache` leads to it".to_owned()
            }
            Self::FleetCacheSilent { cache, .. } if cache.starts_with("http") => format!(
                "see whether it runs, and there whether `curl -m 5 {cache}/nix-cache-info` gets through",
                cache = cache.trim_end_matches('/')
            ),
            Self::FleetCacheSilent { cache, .. } => {
                format!("see whether it runs, and there as root what `nix store ping --store {cache}` says")
            }
            Self::SpaceScarce { place, .. } | Self::SpaceUsedUp { place, .. } => more_space(place).to_owned(),
            Self::ClockOff { .. } => "services.timesyncd.enable = true;  # and look at the clock here, too".to_owned(),
            Self::VpnAddressMissing { .. } => {
                "the inventory's `vpn` and the host's, for example `networking.wireguard.interfaces.wg0.ips`, must \
                 agree"
                    .to_owned()
            }
            Self::SshSessionsFew { needed, .. } => format!("services.openssh.settings.MaxSessions = {needed};"),
            Self::SshForwardsNothing => {
                "services.openssh.settings = { AllowTcpForwarding = \"local\"; DisableForwarding = false; };".to_owned()
            }
            Self::CheckProgramMissing { package, .. } | Self::WgProgramMissing { package } => {
                format!("environment.systemPackages = [ pkgs.{package} ];")
            }
            Self::LoginAsRoot { .. }
            | Self::RebootBringsSame
            | Self::BootLoaderRead { .. }
            | Self::NoPassphraseAtBoot
            | Self::EncryptedAndGuarded
            | Self::NixTried { .. }
            | Self::SystemdTried { .. }
            | Self::KernelSeen { .. }
            | Self::CopyTaken
            | Self::BuiltThere { .. }
            | Self::SignatureTrusted { .. }
            | Self::FleetCacheAnswers { .. }
            | Self::SpaceEnough { .. }
            | Self::ClockRight
            | Self::VpnAddressThere { .. }
            | Self::SshSessionsEnough
            | Self::SshPenaltiesOn
            | Self::RebootDoubt { .. }
            | Self::NoUnitFailed
            | Self::CheckProgramsThere => return None,
        })
    }

    fn stake(&self) -> Option<&'static str> {
        Some(match self {
            Self::GuardTraceLeft { .. } => "what was being pushed then did not hold on this host",
            Self::NixVersionUnknown => "the new system is copied into its store by its own Nix",
            Self::NixOlderThanTried { .. } => "nobody has tried a copy to it",
            Self::SystemdOlderThanTried { .. } => "nobody has tried the guard with it",
            Self::SignatureUnread { .. }
            | Self::OnlySignedElsewhere { .. }
            | Self::LoginNotTrusted { .. }
            | Self::LoginTrustUntold { .. } => {
                "a host takes what is signed by a key that it trusts, and anything from a user that it trusts"
            }
            Self::OnlyNewSigned { .. } => {
                "what is built already is not built again: a push that brings something unsigned is refused"
            }
            Self::OnlyByCache { .. } => {
                "a cache may fail, and what is copied from here it does not take: such a push is refused"
            }
            Self::CopyUnanswered { .. } => "the new system comes to it by `nix copy`",
            Self::CacheSilent { .. } => "a copy waits for it, for minutes",
            Self::FleetCacheBare { .. } | Self::FleetCacheSilent { .. } => {
                "what it does not get from there is sent from here, after a wait"
            }
            Self::CopyUntried => "there is no nix on this workstation to try it with",
            Self::SpaceScarce { .. } => "a new system, its kernel or its logs may not fit",
            Self::SpaceUsedUp { .. } => "nothing new fits in there",
            Self::ClockOff { .. } => "certificates and the times of logs are read wrong; guards do not mind",
            Self::VpnAddressMissing { .. } => {
                "links to it are down before the push already, unless the push brings the address"
            }
            Self::SshSessionsFew { .. } => "scripts and the copy go side by side over one connection, up to 10 at once",
            Self::SshForwardsNothing => "a jump needs forwarding",
            Self::RebootDoubt { .. } => {
                "it may keep a reboot from doing what it should; a guard's reboot takes no notice of inhibitors"
            }
            Self::CheckProgramMissing { .. } => "a link that cannot be looked at counts as down",
            Self::WgProgramMissing { .. } => {
                "where its VPN is WireGuard, a link is not proven by a new handshake, and an old session can outlive a \
                 wrong key"
            }
            Self::LoginAsRoot { .. }
            | Self::RebootBringsSame
            | Self::BootLoaderRead { .. }
            | Self::NoPassphraseAtBoot
            | Self::EncryptedAndGuarded
            | Self::NixTried { .. }
            | Self::SystemdTried { .. }
            | Self::KernelSeen { .. }
            | Self::CopyTaken
            | Self::BuiltThere { .. }
            | Self::SignatureTrusted { .. }
            | Self::FleetCacheAnswers { .. }
            | Self::SpaceEnough { .. }
            | Self::ClockRight
            | Self::VpnAddressThere { .. }
            | Self::SshSessionsEnough
            | Self::SshPenaltiesOn
            | Self::NoUnitFailed
            | Self::CheckProgramsThere => return None,
        })
    }
}

impl fmt::Display for Stake {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::PushRefused => "a push is refused as long as this is so",
            Self::PushWarns => "a push goes on all the same, and warns",
            Self::RunUnfinished(_) => {
                "it may have left hosts guarded, or between two systems: a push refuses until it is ended"
            }
            Self::NothingProven => "links that are proven before and after are what a push is believed by",
            Self::NixosNeeded => "a push brings NixOS systems, and the guard restarts into them",
            Self::RootNeeded { .. } => "systems are activated as root",
            Self::LoginNeeded | Self::KeyNeeded { .. } => "everything goes over a login that asks nothing",
            Self::IdentityNeeded => "whoever answers may not be that host",
            Self::WitnessAway => "a push goes on without it, unless a required link begins or ends there",
            Self::OptionalAway => "a push goes on without it, and its links are not proven",
            Self::Away { .. } => "a host that does not answer refuses the push, unless it is left out or `optional`",
        })
    }
}

impl Stake {
    /// Says what to do about it; `own` is what the reason itself says about that.
    #[must_use]
    pub fn mend(&self, own: Option<String>) -> Option<String> {
        let name = |user: &Option<String>| user.clone().unwrap_or_else(|| "NAME".to_owned());
        match self {
            Self::PushRefused
            | Self::PushWarns
            | Self::NothingProven
            | Self::LoginNeeded
            | Self::IdentityNeeded
            | Self::WitnessAway
            | Self::OptionalAway => own,
            Self::RunUnfinished(open) => Some(open.command()),
            Self::NixosNeeded => {
                Some("install NixOS there, for example by nixos-anywhere, or take it out of the fleet".to_owned())
            }
            Self::RootNeeded { user, by, lack } => {
                let doas = |user| {
                    format!("security.doas.extraRules = [ {{ users = [ \"{}\" ]; noPass = true; }} ];", name(user))
                };
                let nixos = match (by, lack) {
                    (RootProgram::Sudo, RootLack::Password | RootLack::WrongPassword) => {
                        Some("security.sudo.wheelNeedsPassword = false;".to_owned())
                    }
                    (RootProgram::Sudo, RootLack::Permission) => {
                        Some(format!("users.users.{}.extraGroups = [ \"wheel\" ];", name(user)))
                    }
                    (RootProgram::Sudo, RootLack::Program) => Some("security.sudo.enable = true;".to_owned()),
                    (RootProgram::Doas, RootLack::Password | RootLack::Permission) => Some(doas(user)),
                    (RootProgram::Doas, RootLack::Program) => Some("security.doas.enable = true;".to_owned()),
                    _ => None,
                };
                let mend = [nixos, own].into_iter().flatten().collect::<Vec<_>>().join("  # or: ");
                Some(mend).filter(|mend| !mend.is_empty())
            }
            Self::KeyNeeded { user } => {
                let own = own.map(|own| format!("  # {own}")).unwrap_or_default();
                Some(format!(
                    "users.users.{}.openssh.authorizedKeys.keys = [ \"the text of your ~/.ssh/id_ed25519.pub\" ];{own}",
                    name(user)
                ))
            }
            Self::Away { host } => {
                let on_without = format!("push on `--without {host}`");
                Some(own.map_or_else(|| on_without.clone(), |own| format!("{own}; or {on_without}")))
            }
        }
    }
}

/// How a workstation comes to sign what it builds.
pub(super) const SIGN_HERE: &str =
    "`nix key generate-secret --key-name NAME-1 >FILE`, `nix: {sign_key: FILE}` in the inventory,";

fn trusted(login: &str) -> String {
    format!("nix.settings.trusted-users = [ \"root\" \"{}\" ];", in_nix(login))
}

/// Escapes a text for the quotes of Nix. A login's name is the host's word, and a text that a person pastes must not be
/// code of the host.
fn in_nix(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace("${", "\\${")
}
