//! The sentences for everything that can be wrong with an inventory: what it is, and how to mend it.

use super::file::decode::SECTIONS;
use super::model::url_without_login;
use super::scalar::RESERVED_TAG;
use super::select::FAILED;
use super::words::{listed, shown};
use super::wrong::{AddressSlip, FoundType, HostMend, KeyMend, MountSlip, TypeMend, UrlSlip, Wrong, YamlSlip};

const NAME: &str = "use letters, digits, `_`, `.` and `-`, not beginning with `-` or `.`, at most 63 of them";
const DURATION: &str = "write a number and its unit: `90s`, `15m`, `1m30s`, `2h`";
const TAKE_OUT: &str = "take it out";

impl Wrong {
    /// Returns what is wrong, in a line.
    #[must_use]
    #[expect(clippy::too_many_lines, reason = "one sentence for each variant")]
    pub fn what(&self) -> String {
        let time = |time| humantime::format_duration(time);
        match self {
            Self::NotUtf8 => "this is not UTF-8 text".into(),
            Self::NotYaml { message, .. } => format!("this is not YAML: {message}"),
            Self::NestedTooDeep { most } => format!("lists and maps stand more than {most} deep in each other"),
            Self::TooManyAliases { most } => {
                format!("the aliases repeat more than {most} values, or each other too often")
            }
            Self::SecondDocument => "a second YAML document begins here; an inventory is one".into(),
            Self::EmptyInventory => "the inventory is empty".into(),
            Self::SectionMissing { section } => format!("the inventory has no `{section}`"),
            Self::EmptySection { section } => format!("there is no {} in `{section}`", section.trim_end_matches('s')),
            Self::UnknownKey { key, .. } => format!("the key `{}` is not known here", shown(key)),
            Self::DuplicateKey { thing, key } => format!("the {thing} `{}` is here twice", shown(key)),
            Self::WrongType { found, wanted, .. } => format!("{}, but {wanted} is wanted", found.words()),
            Self::EmptyList { .. } => "this list is empty".into(),
            Self::EmptyText => "this is empty".into(),
            Self::LooksLikeOption { text } => format!("`{}` would be taken for an option", shown(text)),
            Self::ControlCharacters { text } => format!("`{}` has control characters in it", shown(text)),
            Self::UnknownWord { text, .. } => format!("`{}` is not a word that is known here", shown(text)),
            Self::NotADuration { text } => format!("`{}` is not a time", shown(text)),
            Self::DurationWithoutUnit { number } => format!("the time `{number}` has no unit"),
            Self::ZeroDuration => "this time is zero".into(),
            Self::DurationTooLong { text } => format!("`{}` is longer than a week", shown(text)),
            Self::NotAPort { text } => format!("`{}` is not a port", shown(text)),
            Self::NotAName { text } | Self::NotAJump { text, is_reserved: false } => {
                format!("`{}` cannot be a name", shown(text))
            }
            Self::ReservedName { text } | Self::NotAJump { text, is_reserved: true } => {
                format!("no host can be called `{text}`: the word has a meaning of its own")
            }
            Self::NamesDifferInCase { first, second } => {
                format!("`{first}` and `{second}` are one name to ssh, which knows no case")
            }
            Self::TagWithAt { .. } => "a tag is named without `@` here".into(),
            Self::ReservedTag { .. } => {
                let word = RESERVED_TAG;
                format!("no tag can be called `{word}`: `{FAILED}` means the hosts that failed in the last run")
            }
            Self::NotAnAddress { text, .. } => format!("`{}` is not an address", shown(text)),
            Self::DuplicateAddress { address } => format!("the address `{address}` is here twice"),
            Self::AddressAndAddresses => "this host has `addresses` beside `address`".into(),
            Self::NotAUser { text } => format!("`{}` is not a user name", shown(text)),
            Self::NotAKeyPath { text } => format!("`{}` cannot be the path of a key", shown(text)),
            Self::UnsafeFolder { folder } => {
                format!(
                    "the folder of the inventory has a name that cannot stand in an ssh config: `{}`",
                    shown(folder)
                )
            }
            Self::NoSuchHost { name, .. } => format!("there is no host `{}`", shown(name)),
            Self::JumpToItself { host } => format!("`{host}` cannot be reached through itself"),
            Self::JumpLoop { way } => format!("this jump is a loop: {}", way.join(" -> ")),
            Self::RunsOnItself { host } => format!("`{host}` cannot be its own hypervisor"),
            Self::RunsOnLoop { way } => format!("these hosts run on each other: {}", way.join(" -> ")),
            Self::GuardTooShort { guard, shortest, parts, .. } => {
                let parts: Vec<String> = parts.iter().map(|(key, part)| format!("{key} {}", time(*part))).collect();
                format!(
                    "a guard of {} is shorter than what a push and its roll back may take, {}: {}",
                    time(*guard),
                    time(*shortest),
                    parts.join(" + ")
                )
            }
            Self::BootLoaderNotAMap { .. } => "`boot_loader` is a map of `kind` and `esp`, not a word".into(),
            Self::EmptyBootLoader => "`boot_loader` says nothing".into(),
            Self::EspBesideInit => "`esp` means nothing beside `kind: init`, which has no partition".into(),
            Self::NotAMountPoint { text, .. } => {
                format!("`{}` is not a place where a partition is mounted", shown(text))
            }
            Self::UnitWithoutKind { pattern } => {
                format!("`{}` matches no unit: a unit's name ends in its kind", shown(pattern))
            }
            Self::NotAUnitPattern { pattern, reason } => {
                format!("`{}` is no pattern of units: {reason}", shown(pattern))
            }
            Self::FleetWithoutHosts => "this fleet has no `hosts`".into(),
            Self::EmptyFleet => "this fleet is empty".into(),
            Self::FleetWithoutSource => "this fleet does not say where its systems come from".into(),
            Self::SeveralSources { key, first } => {
                format!("this fleet has `{key}` beside `{first}`: systems come from one place")
            }
            Self::AttrBesideSystem => "`attr` means nothing beside `system`".into(),
            Self::AttrInFlake { .. } => "what stands behind `#` has a key of its own".into(),
            Self::AttrWithoutHost => "`attr` has no `{host}` in it, so every host would get the same system".into(),
            Self::NotAnAttrPath { error } => error.to_string(),
            Self::SystemNotAMap => "`system` names a store path for each host".into(),
            Self::NotAStorePath { text } => format!("`{}` is not a system of the store", shown(text)),
            Self::SystemOfNoHost { name, fleet, .. } => format!("there is no host `{name}` in the fleet `{fleet}`"),
            Self::SystemMissing { hosts } => format!("`system` has no store path for {}", names(hosts)),
            Self::NotAWave { text, error } => format!("`{}` cannot be a wave: {error}", shown(text)),
            Self::NotAPattern { error } | Self::NoMatch { error } | Self::FailedNamed { error } => error.to_string(),
            Self::GroupOfNoTag { group, .. } | Self::UnusedGroup { group } => format!("no host has the tag `{group}`"),
            Self::HostWithoutFleet { host, is_jump: true } => {
                format!("the host `{host}` is in no fleet: others jump through it, but nothing pushes it")
            }
            Self::HostWithoutFleet { host, is_jump: false } => {
                format!("the host `{host}` is in no fleet, so nothing pushes it")
            }
            Self::NameTooLong { most } => format!("this name is longer than {most} characters"),
            Self::DuplicateCheckName { name } => format!("the check `{}` is here twice", shown(name)),
            Self::CheckWithoutKind { .. } => "this check does not say what it looks at".into(),
            Self::CheckOfSeveralKinds { kind, first } => {
                format!("this check has `{kind}` beside `{first}`: a check looks at one thing")
            }
            Self::CheckWithoutTarget { kind } => format!("this check does not say what `{kind}` looks at"),
            Self::TargetsInTwoPlaces { kind } => format!("`to` names targets, and `{kind}` does it too"),
            Self::ToWithoutMeaning { kind } => format!("`to` means nothing beside `{kind}`"),
            Self::HostOfAnotherFleet { host } => format!("the host `{host}` is not in this fleet"),
            Self::WorkstationIsAHost => "`workstation` is this machine here, but also a host of the fleet".into(),
            Self::HostLooksAtItself { host } => {
                format!("no link is left to look at: `{host}` would look at itself alone")
            }
            Self::NoPeerLeft => "no link is left to look at: no host is its own peer".into(),
            Self::NotAVpnShape { text, .. } => format!("`{}` is not a shape of a VPN", shown(text)),
            Self::HubMissing => "the hub is not named".into(),
            Self::VpnAddressMissing { hosts } => {
                format!("{} {} no `vpn` address", names(hosts), if hosts.len() == 1 { "has" } else { "have" })
            }
            Self::DuplicateVpnAddress { first, second } => {
                format!("`{first}` and `{second}` have the same `vpn` address")
            }
            Self::VpnOfOneHost => "a VPN needs two hosts at least".into(),
            Self::WorkstationInVpn => "the workstation has no place in a `vpn` check, which is between hosts".into(),
            Self::HostBesidePort { .. } => "`tcp` is a port alone".into(),
            Self::UrlMissing => "the address is missing".into(),
            Self::NotAUrl { text, .. } => format!("`{}` is not a web address", shown(&url_without_login(text))),
            Self::NotAStore { text } => {
                format!("`{}` is not a store that nix can copy to or fetch from", shown(&url_without_login(text)))
            }
            Self::NotAPublicKey { text } => format!("`{}` is not the public key of a cache", shown(text)),
            Self::CacheWithoutTo => "this cache does not say what fills it".into(),
            Self::CommandBesideTo => "this cache is filled by `to` already".into(),
            Self::NotAWindow { number, .. } => format!("`{number}` logins or copies at once are none, or too many"),
            Self::NotSoManyWorkers { number, .. } => format!("`{number}` evaluations at once are none, or too many"),
            Self::NotAnAmountOfMemory { text } => format!("`{}` is no amount of memory", shown(text)),
            Self::NotAnInput { text } => format!("`{}` cannot be the name of an input", shown(text)),
            Self::NixSettingTaken { name } => format!("`{name}` of Nix is not for a fleet to set"),
            Self::NotANixSetting { text } => format!("`{}` cannot be the name of a setting of Nix", shown(text)),
            Self::NotForOneHost { key } => format!("`{key}` is for the evaluation of a whole fleet"),
            Self::NotAStatus { number } => format!("`{number}` is not an HTTP status"),
            Self::EmptyBody => "an empty text is in every page".into(),
            Self::BodyOfSeveralLines => "this text has more than one line, or a control character".into(),
            Self::QueryMissing => "the name to resolve is missing".into(),
            Self::EmptyCommand { .. } => "this command is empty".into(),
            Self::NulInCommand => "a command cannot have a NUL in it".into(),
            Self::HookWithoutCommand => "this hook does not say what it runs".into(),
        }
    }

    /// Returns how to mend it, where there is more to say than what is wrong.
    #[must_use]
    #[expect(clippy::too_many_lines, reason = "one sentence for each variant")]
    pub fn mend(&self) -> Option<String> {
        let mend: String = match self {
            Self::NestedTooDeep { .. }
            | Self::TooManyAliases { .. }
            | Self::SecondDocument
            | Self::EmptyText
            | Self::LooksLikeOption { .. }
            | Self::ControlCharacters { .. }
            | Self::HostWithoutFleet { .. }
            | Self::NameTooLong { .. }
            | Self::EmptyCommand { is_list: false }
            | Self::NulInCommand => return None,
            Self::NotUtf8 => "save the file as UTF-8".into(),
            Self::NotYaml { slip, .. } => return slip.map(|slip| slip.mend().into()),
            Self::EmptyInventory => "it has `hosts:` and `fleets:`; inventory.example.yaml shows all it can say".into(),
            Self::SectionMissing { section } | Self::EmptySection { section } => {
                let example = SECTIONS.iter().find(|(name, _)| name == section);
                return example.map(|(_, example)| format!("name at least one: `{example}`"));
            }
            Self::UnknownKey { mend, .. } => mend.words(),
            Self::DuplicateKey { .. }
            | Self::DuplicateAddress { .. }
            | Self::AddressAndAddresses
            | Self::TargetsInTwoPlaces { .. } => "keep one of the two".into(),
            Self::WrongType { mend, .. } => return mend.words(),
            Self::EmptyList { wanted } => format!("name {wanted}, or take the key out"),
            Self::UnknownWord { near, words, .. } => {
                let words = listed(words.iter().map(String::as_str)).replace(" and ", " or ");
                did_you_mean(near.as_deref(), &format!("write {words}"))
            }
            Self::NotADuration { .. } | Self::ZeroDuration => DURATION.into(),
            Self::DurationWithoutUnit { number } => format!("write `{number}m` for minutes or `{number}s` for seconds"),
            Self::DurationTooLong { .. } => "minutes are a small `m`: a large `M` means months".into(),
            Self::NotAPort { .. } => "a port is a number from 1 to 65535".into(),
            Self::NotAName { .. } => NAME.into(),
            Self::ReservedName { .. } => "give it another name, and its real one as `address`".into(),
            Self::NamesDifferInCase { .. } | Self::DuplicateCheckName { .. } => "give one of them another name".into(),
            Self::TagWithAt { name } => format!("write `{name}`"),
            Self::ReservedTag { .. } => "give it another name".into(),
            Self::NotAnAddress { slip, .. } => return slip.mend(),
            Self::NotAUser { .. } => "use letters, digits, `.`, `-`, `_` and `+`, not beginning with `-`".into(),
            Self::NotAKeyPath { .. } => {
                "it stands in an ssh config: no spaces, quotes, `%`, `$` or control characters, \
                                         not beginning with `-`"
                    .into()
            }
            Self::UnsafeFolder { .. } => "write `identity` as an absolute path".into(),
            Self::NotAJump { .. } => {
                "write the name of a host of this inventory, or `ssh:user@host:port` for any other \
                                      machine"
                    .into()
            }
            Self::NoSuchHost { name, mend } => return mend.words(name),
            Self::JumpToItself { .. } => "name another host, or write `jump: none` if it is reached directly".into(),
            Self::JumpLoop { .. } => {
                "one of them must be reached directly: take out its `jump`, or write `jump: none`".into()
            }
            Self::RunsOnItself { .. } | Self::RunsOnLoop { .. } => "take out one `runs_on`".into(),
            Self::GuardTooShort { hypervisor: Some(hypervisor), .. } => format!(
                "it fires before that of `{hypervisor}`: give that one a longer `guard`, or smaller `limits`, `settle` \
                 and `steady`"
            ),
            Self::GuardTooShort { hypervisor: None, .. } => {
                "give a longer `guard`, or smaller `limits`, `settle` and `steady`".into()
            }
            Self::BootLoaderNotAMap { kind } => {
                format!("write `boot_loader: {{kind: {}}}`", kind.unwrap_or("grub"))
            }
            Self::EmptyBootLoader => "write `kind`, `esp` or both: `boot_loader: {esp: /boot/esp}`".into(),
            Self::EspBesideInit | Self::AttrBesideSystem => TAKE_OUT.into(),
            Self::NotAMountPoint { slip, .. } => slip.mend(),
            Self::UnitWithoutKind { pattern } => format!("write `{}.service`, or another kind", shown(pattern)),
            Self::NotAUnitPattern { .. } => "write a name or a glob: `restic-backups-*.service`".into(),
            Self::FleetWithoutHosts => "name them: `hosts: [vps, homeserver]`, or `hosts: all`".into(),
            Self::EmptyFleet => "name its hosts: `hosts: [vps, homeserver]`, or `hosts: all`".into(),
            Self::FleetWithoutSource => {
                "add `flake: .`, or `file: ./hosts.nix`, or a store path for each host as `system`".into()
            }
            Self::SeveralSources { .. } => "keep one of `flake`, `file` and `system`".into(),
            Self::AttrInFlake { attr } => {
                format!("write it as `attr`, with `{{host}}` for the host's name: `attr: {}`", shown(attr))
            }
            Self::AttrWithoutHost => "write `{host}` where the host's name belongs: \
                                      `nixosConfigurations.\"{host}\".config.system.build.toplevel`"
                .into(),
            Self::NotAnAttrPath { .. } => "write names with one dot between; a name with a dot stands in quotes".into(),
            Self::SystemNotAMap => "write a map: `system: {vps: /nix/store/HASH-nixos-system-vps-VERSION}`".into(),
            Self::NotAStorePath { .. } => "write its own path, `/nix/store/HASH-nixos-system-NAME-VERSION`: what \
                                           `readlink -f result` prints"
                .into(),
            Self::SystemOfNoHost { near, .. } => did_you_mean(near.as_deref(), "take the line out"),
            Self::SystemMissing { .. } => "add `HOST: /nix/store/...` for each host of the fleet".into(),
            Self::NotAWave { .. } => "write it like `1,25%`".into(),
            Self::NotAPattern { error } | Self::NoMatch { error } | Self::FailedNamed { error } => return error.hint(),
            Self::GroupOfNoTag { near, .. } => did_you_mean(Some(near), ""),
            Self::UnusedGroup { .. } => "a group is for the hosts with that tag: `tags: [...]`".into(),
            Self::CheckWithoutKind { kinds } => format!("add exactly one of {}", listed(kinds.iter().copied())),
            Self::CheckOfSeveralKinds { .. } => "make two checks of it".into(),
            Self::CheckWithoutTarget { .. } => "add `to: HOST`, an address, or a list of them".into(),
            Self::ToWithoutMeaning { .. } => "take it out: only `ping`, `tcp` and `wireguard` look at `to`".into(),
            Self::HostOfAnotherFleet { .. } => {
                "add it to the fleet's `hosts`: a check runs only on hosts of its fleet".into()
            }
            Self::WorkstationIsAHost => "write `workstatio[n]` for the host, or give it another name".into(),
            Self::HostLooksAtItself { host } => {
                format!("write `from: {host}` if that is what you want, or name another host")
            }
            Self::NoPeerLeft => "name a peer, or other hosts as `from`".into(),
            Self::NotAVpnShape { near, .. } => {
                did_you_mean(near.as_deref(), "write `vpn: mesh`, `vpn: full-mesh`, or `vpn: {hub: HOST}`")
            }
            Self::HubMissing => "write `vpn: {hub: HOST}`".into(),
            Self::VpnAddressMissing { .. } => {
                "add `vpn: ADDRESS` to the host, or name those that take part as `from`".into()
            }
            Self::DuplicateVpnAddress { .. } => "give each host its own".into(),
            Self::VpnOfOneHost => "take the check out, or add hosts".into(),
            Self::WorkstationInVpn => "write a `ping` check `from: workstation`".into(),
            Self::HostBesidePort { host, port } => format!("write `tcp: {port}`, and `to: {host}` below it"),
            Self::UrlMissing => "add `url: http://...`".into(),
            Self::NotAUrl { slip, .. } => slip.mend().into(),
            Self::NotAStore { .. } => {
                "write `ssh-ng://HOST`, `file:///FOLDER`, `http://`, `https://` or `s3://`, with letters such as \
                 spaces and quotes as `%20` and the like"
                    .into()
            }
            Self::NotAPublicKey { .. } => "it is a name, a colon and 44 letters of base64: `cache-1:M0bd...=`".into(),
            Self::CacheWithoutTo => "write `to: ssh-ng://HOST`, or `command: [attic, push, CACHE, --stdin]`".into(),
            Self::CommandBesideTo => "leave `to` or `command`".into(),
            Self::NotAWindow { most, .. } => format!("write a number from 1 to {most}, like 16"),
            Self::NotSoManyWorkers { most, .. } => format!("write a number from 1 to {most}, like 2"),
            Self::NotAnAmountOfMemory { .. } => "write a whole number with `MiB` or `GiB`: `4GiB`".into(),
            Self::NotAnInput { .. } => {
                "write its name as flake.nix has it, or the way to it: `nixpkgs`, `home-manager/nixpkgs`".into()
            }
            Self::NixSettingTaken { name } if name == "log-format" => "leave it out".into(),
            Self::NixSettingTaken { .. } => "leave it out; `build_on` says in whose store a system is built".into(),
            Self::NotANixSetting { .. } => "write it as nix.conf has it: `max-jobs`".into(),
            Self::NotForOneHost { .. } => "write it below `nix` of the fleet, or of `defaults`".into(),
            Self::NotAStatus { .. } => "a status is a number from 100 to 599, like 200".into(),
            Self::EmptyBody => "take it out, or write a word of the page".into(),
            Self::BodyOfSeveralLines => "write a piece of one line of the page".into(),
            Self::QueryMissing => "add `query: NAME`".into(),
            Self::EmptyCommand { is_list: true } => {
                "write the program and its arguments: `[systemctl, is-active, nginx]`".into()
            }
            Self::HookWithoutCommand => "add `command: ...`".into(),
        };
        Some(mend)
    }
}

fn names(hosts: &[String]) -> String {
    listed(hosts.iter().map(String::as_str))
}

fn did_you_mean(near: Option<&str>, otherwise: &str) -> String {
    near.map_or_else(|| otherwise.to_owned(), |near| format!("did you mean `{near}`?"))
}

impl YamlSlip {
    fn mend(self) -> &'static str {
        match self {
            Self::Tab => "YAML is indented with spaces, not with tabs",
            Self::Tag => "a tag stands in quotes: `\"@edge\"`",
            Self::Glob => "a glob that begins with `*` stands in quotes: `\"*-web\"`",
            Self::Text => "a text that begins so stands in quotes",
        }
    }
}

impl KeyMend {
    fn words(&self) -> String {
        match self {
            Self::Merge => "merge keys are not read: `defaults` and `groups` are for what several hosts share".into(),
            Self::Elsewhere(place) => format!("it belongs to {place}"),
            Self::Near(near) => did_you_mean(Some(near), ""),
            Self::Known(keys) => format!("the keys here are {}", listed(keys.iter().copied())),
        }
    }
}

impl FoundType {
    fn words(&self) -> String {
        match self {
            Self::Nothing => "nothing stands here".into(),
            Self::Boolean => "this is `true` or `false`".into(),
            Self::Number => "this is a number".into(),
            Self::Fraction => "this is a number with a fraction".into(),
            Self::Text => "this is a text".into(),
            Self::List => "this is a list".into(),
            Self::Map => "this is a map".into(),
            Self::Tagged(tag) => format!("this has the YAML tag `!{}`", shown(tag)),
        }
    }
}

impl TypeMend {
    fn words(&self) -> Option<String> {
        Some(match self {
            Self::None => return None,
            Self::InQuotes(Some(written)) => format!("write it in quotes: `\"{written}\"`"),
            Self::InQuotes(None) => "write it in quotes".into(),
            Self::TextLikeAMap => "a text that begins with `{` or has `: ` in it is written in quotes".into(),
            Self::WithoutQuotes(text) => format!("write it without quotes: `{text}`"),
            Self::InBrackets(text) => format!("write it in brackets: `[{}]`", shown(text)),
            Self::Word(word) => format!("write `{word}`"),
            Self::WaveSize => "write a number of hosts or a share: `2`, `25%`".into(),
            Self::Duration => DURATION.into(),
        })
    }
}

impl AddressSlip {
    fn mend(&self) -> Option<String> {
        Some(match self {
            Self::None => return None,
            Self::Brackets { inner } => format!("write an IPv6 address without brackets: `{}`", shown(inner)),
            Self::User { user } => format!("the user has a key of its own: `user: {}`", shown(user)),
            Self::Port { host, port } => format!("write `{}` alone, and `port: {port}` beside it", shown(host)),
            Self::Network { address } => format!("write the address alone: `{address}`"),
            Self::Letters => "an address is an IP address, a DNS name or an alias of your ~/.ssh/config: letters, \
                              digits, `.`, `-` and `_`, not beginning with `-`"
                .into(),
        })
    }
}

impl MountSlip {
    fn mend(&self) -> String {
        match self {
            Self::Relative => "write it from the root: `/boot`, `/efi`, `/boot/esp`".into(),
            Self::LastSlash { shorter } => format!("write it without the last `/`: `{}`", shown(shorter)),
            Self::Letters => "use letters, digits, `.`, `-`, `_` and `+` between single `/`, no part beginning with \
                              `.`: `/boot/esp`"
                .into(),
        }
    }
}

impl UrlSlip {
    fn mend(self) -> &'static str {
        match self {
            Self::Scheme => "it begins with `http://` or `https://`",
            Self::Host => "the host is missing",
            Self::Letters => "it has spaces, quotes or other characters that must be written as `%20` and the like",
        }
    }
}

impl HostMend {
    fn words(&self, name: &str) -> Option<String> {
        Some(match self {
            Self::Near(near) => did_you_mean(Some(near), ""),
            Self::NearOrAddress(near) => {
                format!("did you mean `{near}`? (An address of that name is written `{}.`)", shown(name))
            }
            Self::OtherMachine => "any other machine is written `ssh:user@host:port`".into(),
            Self::Builder => "write `workstation`, `target`, or the name of a host of this inventory".into(),
            Self::Hypervisor => "a hypervisor is a host of this inventory".into(),
            Self::Known(hosts) => return hosts.clone(),
        })
    }
}
