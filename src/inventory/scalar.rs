//! The rules for single values: what may stand in an ssh config line, on a command line, in a path.
//!
//! Every text that leaves the inventory for a command line or a generated ssh config has passed one of these. They list
//! what is allowed, not what is forbidden: no rule here lets through white space, a quote, a control character, a
//! backslash or, but for [`words`], a `%` or `$`, and nothing begins with `-`.

use std::net::{IpAddr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::model::{
    BadUnitPattern, Become, BuildOn, GuardAction, HostKey, HostName, Jump, LoaderKind, MOST_PARALLEL, MOST_WORKERS,
    Size, TAKEN_SETTINGS, UnitPattern, is_name,
};
use super::words::{disturbs, nearest};
use super::wrong::{AddressSlip, MountSlip, UrlSlip, Wrong};
use crate::facts::attr_path::{AttrPath, BadAttrPath};
use crate::facts::store_path::StorePath;

/// Longer than this, a duration is a slip: humantime reads `15M` as 15 months.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// Far above any mounted path, far below what a command line takes.
const LONGEST_PATH: usize = 255;

/// Longer than this, a name leaves no room for anything else on a line.
const LONGEST_NAME: usize = 80;

/// The tag that would be written like [`FAILED`](super::select::FAILED).
pub(crate) const RESERVED_TAG: &str = "failed";

/// Words that patterns and settings use for themselves: no host can be called so.
pub(crate) const RESERVED: [&str; 2] = ["all", "none"];

/// Where a host's system is built.
pub(crate) fn build_on(text: &str) -> Result<BuildOn, Wrong> {
    match text {
        "workstation" => Ok(BuildOn::Workstation),
        "target" => Ok(BuildOn::Target),
        name => host_name(name).map(BuildOn::Host),
    }
}

/// A host's jump as the file says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum JumpTo {
    /// `none`: reached directly, whatever `defaults`, a group or the fleet say.
    Nobody,
    /// By a host, or by `ssh:...`.
    Through(Jump),
}

/// A name of a fleet, a group or a tag.
pub(crate) fn name(text: &str) -> Result<String, Wrong> {
    if is_name(text) {
        return Ok(text.to_owned());
    }
    Err(Wrong::NotAName { text: text.to_owned() })
}

/// A name of a host.
pub(crate) fn host_name(text: &str) -> Result<HostName, Wrong> {
    if RESERVED.contains(&text) {
        return Err(Wrong::ReservedName { text: text.to_owned() });
    }
    name(text).and_then(|text| HostName::new(text).map_err(|error| Wrong::NotAName { text: error.0 }))
}

/// A DNS name, an ssh alias, or an IP address without brackets.
pub(crate) fn address(text: &str) -> Result<String, Wrong> {
    let bad = |slip| Err(Wrong::NotAnAddress { text: text.to_owned(), slip });
    if text.parse::<IpAddr>().is_ok() {
        return Ok(text.to_owned());
    }
    let bracketed = text.strip_prefix('[').and_then(|rest| rest.split_once("]:"));
    if let Some((host, Ok(port))) = bracketed.map(|(host, port)| (host, port.parse::<u16>())) {
        return bad(AddressSlip::Port { host: host.to_owned(), port: port.to_string() });
    }
    if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return bad(AddressSlip::Brackets { inner: inner.to_owned() });
    }
    if let Some((user, _)) = text.split_once('@') {
        return bad(AddressSlip::User { user: user.to_owned() });
    }
    if let Some((host, Ok(port))) = text.split_once(':').map(|(host, port)| (host, port.parse::<u16>())) {
        return bad(AddressSlip::Port { host: host.to_owned(), port: port.to_string() });
    }
    if let Some((address, _)) = text.split_once('/').filter(|(address, _)| address.parse::<IpAddr>().is_ok()) {
        return bad(AddressSlip::Network { address: address.to_owned() });
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    if !(1..=253).contains(&text.len()) || text.starts_with(['-', '.']) || !text.bytes().all(allowed) {
        return bad(AddressSlip::Letters);
    }
    Ok(text.to_owned())
}

/// A login name.
pub(crate) fn user(text: &str) -> Result<String, Wrong> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'+');
    if (1..=64).contains(&text.len()) && !text.starts_with('-') && text.bytes().all(allowed) {
        return Ok(text.to_owned());
    }
    Err(Wrong::NotAUser { text: text.to_owned() })
}

/// The path of a private key, as the person wrote it.
pub(crate) fn identity(text: &str) -> Result<PathBuf, Wrong> {
    if is_safe_path(text) {
        return Ok(text.into());
    }
    Err(Wrong::NotAKeyPath { text: text.to_owned() })
}

/// A path that an ssh config reads as it stands: ssh expands `%` and `$`, and takes `#` for a comment.
pub(crate) fn is_safe_path(text: &str) -> bool {
    let allowed = |letter: char| letter.is_alphanumeric() || "/._-+~@=,:".contains(letter);
    !text.is_empty() && !text.starts_with('-') && text.chars().all(allowed)
}

/// `none`, the name of a host, or `ssh:[user@]host[:port]`.
pub(crate) fn jump(text: &str) -> Result<JumpTo, Wrong> {
    if text == "none" {
        return Ok(JumpTo::Nobody);
    }
    let Some(destination) = text.strip_prefix("ssh:") else {
        return host_name(text)
            .map(|name| JumpTo::Through(Jump::Host(name)))
            .map_err(|_| Wrong::NotAJump { text: text.to_owned(), is_reserved: RESERVED.contains(&text) });
    };
    let destination = destination.trim_start_matches("//");
    let (login, place) =
        destination.rsplit_once('@').map_or((None, destination), |(login, place)| (Some(login), place));
    let (host, port) = host_and_port(place)?;
    Ok(JumpTo::Through(Jump::Destination {
        user: login.map(user).transpose()?,
        host: address(host)?,
        port: port.map(|text| text.parse().map_err(|_| text).and_then(port_number).map_err(bad_port)).transpose()?,
    }))
}

/// Splits `host`, `host:port`, `[v6]:port` and a bare IPv6 address.
fn host_and_port(text: &str) -> Result<(&str, Option<&str>), Wrong> {
    if let Some(rest) = text.strip_prefix('[') {
        return match rest.split_once(']') {
            Some((host, "")) => Ok((host, None)),
            Some((host, port)) if port.starts_with(':') => Ok((host, Some(&port[1..]))),
            _ => Err(Wrong::NotAnAddress { text: text.to_owned(), slip: AddressSlip::None }),
        };
    }
    if text.parse::<Ipv6Addr>().is_ok() {
        return Ok((text, None));
    }
    Ok(text.rsplit_once(':').map_or((text, None), |(host, port)| (host, Some(port))))
}

fn port_number<'a>(number: u16) -> Result<u16, &'a str> {
    if number == 0 { Err("0") } else { Ok(number) }
}

fn bad_port(text: &str) -> Wrong {
    Wrong::NotAPort { text: text.to_owned() }
}

/// A port.
pub(crate) fn port(number: i128) -> Result<u16, Wrong> {
    u16::try_from(number).ok().filter(|number| *number != 0).ok_or_else(|| bad_port(&number.to_string()))
}

/// A time as people write it: `15m`, `90s`, `1m30s`.
pub(crate) fn duration(text: &str) -> Result<Duration, Wrong> {
    let time = humantime::parse_duration(text).map_err(|_| Wrong::NotADuration { text: text.to_owned() })?;
    if time.is_zero() {
        return Err(Wrong::ZeroDuration);
    }
    if time > LONGEST {
        return Err(Wrong::DurationTooLong { text: text.to_owned() });
    }
    Ok(time)
}

/// The same, where `0s` is none.
pub(crate) fn duration_or_none(text: &str) -> Result<Duration, Wrong> {
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => Ok(Duration::ZERO),
        _ => duration(text),
    }
}

/// The sizes of waves, with commas between.
pub(crate) fn waves(text: &str) -> Result<Vec<Size>, Wrong> {
    let size = |text: &str| text.parse().map_err(|error| Wrong::NotAWave { text: text.to_owned(), error });
    text.split(',').map(str::trim).map(size).collect()
}

/// A whole system in the store: `/nix/store/HASH-NAME`.
pub(crate) fn system(text: &str) -> Result<StorePath, Wrong> {
    let path = StorePath::new(text).ok().filter(|path| !path.is_derivation());
    path.ok_or_else(|| Wrong::NotAStorePath { text: text.to_owned() })
}

/// An argument of `nix`, like a flake or an attribute: one line, not an option.
pub(crate) fn words(text: &str) -> Result<String, Wrong> {
    if text.trim().is_empty() {
        return Err(Wrong::EmptyText);
    }
    if text.starts_with('-') {
        return Err(Wrong::LooksLikeOption { text: text.to_owned() });
    }
    if text.chars().any(disturbs) {
        return Err(Wrong::ControlCharacters { text: text.to_owned() });
    }
    Ok(text.to_owned())
}

/// A word of a command that travels on a line of its own.
pub(crate) fn argument(text: &str) -> Result<String, Wrong> {
    if text.chars().any(disturbs) {
        return Err(Wrong::ControlCharacters { text: text.to_owned() });
    }
    Ok(text.to_owned())
}

/// A flake, without the attribute.
pub(crate) fn flake(text: &str) -> Result<String, Wrong> {
    match text.split_once('#') {
        Some((_, attr)) => Err(Wrong::AttrInFlake { attr: attr.to_owned() }),
        None => words(text),
    }
}

/// An attribute with a place for the host's name.
pub(crate) fn attr(text: &str) -> Result<AttrPath, Wrong> {
    match AttrPath::parse(&words(text)?) {
        Ok(attr) => Ok(attr),
        Err(BadAttrPath::NoHost(_)) => Err(Wrong::AttrWithoutHost),
        Err(error @ (BadAttrPath::EmptyPart(_) | BadAttrPath::OpenQuote(_) | BadAttrPath::ControlCharacter(_))) => {
            Err(Wrong::NotAnAttrPath { error })
        }
    }
}

/// The name of a check, as the screen shows it.
pub(crate) fn check_name(text: &str) -> Result<String, Wrong> {
    let name = words(text)?;
    if name.chars().count() > LONGEST_NAME {
        return Err(Wrong::NameTooLong { most: LONGEST_NAME });
    }
    Ok(name)
}

/// An address of the web.
pub(crate) fn url(text: &str) -> Result<String, Wrong> {
    let bad = |slip| Err(Wrong::NotAUrl { text: text.to_owned(), slip });
    let Some(rest) = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")) else {
        return bad(UrlSlip::Scheme);
    };
    if rest.is_empty() || rest.starts_with(['/', '-']) {
        return bad(UrlSlip::Host);
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"'`\\<>{}|^".contains(&byte)) {
        return bad(UrlSlip::Letters);
    }
    Ok(text.to_owned())
}

/// The kinds of stores that a cache can be. Others, such as `local` and `daemon`, are on one machine alone.
const STORES: [&str; 6] = ["file://", "http://", "https://", "s3://", "ssh://", "ssh-ng://"];

/// A store of Nix, as its options have it. Source: nix help-stores.
pub(crate) fn store(text: &str) -> Result<String, Wrong> {
    let bad = || Wrong::NotAStore { text: text.to_owned() };
    let scheme = STORES.into_iter().find(|scheme| text.starts_with(scheme)).ok_or_else(bad)?;
    let place = &text[scheme.len()..];
    // ssh takes a host that begins with `-` for an option, and `%2d` may become one.
    let host = place.rsplit_once('@').map_or(place, |(_, host)| host);
    let first = if scheme == "file://" { place.starts_with('/') } else { !place.starts_with('/') };
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+~@=,:?&%[]".contains(&byte);
    let is_one = first && !place.starts_with(['-', '%']) && !host.starts_with(['-', '%']) && !host.is_empty();
    if is_one && text.bytes().all(allowed) { Ok(text.to_owned()) } else { Err(bad()) }
}

/// A public key of a cache: `NAME:` and 32 bytes in base64.
pub(crate) fn public_key(text: &str) -> Result<String, Wrong> {
    let is_key = |key: &str| {
        let letters = key.strip_suffix('=').unwrap_or_default();
        letters.len() == 43 && letters.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(&byte))
    };
    let is_named = |name: &str| {
        !name.is_empty()
            && !name.starts_with('-')
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    };
    match text.split_once(':') {
        Some((name, key)) if text.len() <= 200 && is_named(name) && is_key(key) => Ok(text.to_owned()),
        _ => Err(Wrong::NotAPublicKey { text: text.to_owned() }),
    }
}

/// A piece of a page: to `grep` an empty text is in every page, and so is one of two lines if one of them is there.
pub(crate) fn piece(text: &str) -> Result<String, Wrong> {
    if text.is_empty() {
        return Err(Wrong::EmptyBody);
    }
    if text.chars().any(char::is_control) {
        return Err(Wrong::BodyOfSeveralLines);
    }
    Ok(text.to_owned())
}

/// How many logins or copies are under way at once.
pub(crate) fn parallel(number: i128) -> Result<u16, Wrong> {
    let is_window = |number: &u16| (1..=MOST_PARALLEL).contains(number);
    u16::try_from(number).ok().filter(is_window).ok_or(Wrong::NotAWindow { number, most: MOST_PARALLEL })
}

/// How many processes evaluate at once.
pub(crate) fn workers(number: i128) -> Result<u16, Wrong> {
    let is_count = |number: &u16| (1..=MOST_WORKERS).contains(number);
    u16::try_from(number).ok().filter(is_count).ok_or(Wrong::NotSoManyWorkers { number, most: MOST_WORKERS })
}

/// An amount of memory, in bytes.
pub(crate) fn memory(text: &str) -> Result<u64, Wrong> {
    let amount = || {
        let (number, unit) = [("MiB", 1 << 20), ("GiB", 1 << 30)]
            .iter()
            .find_map(|(word, unit)| Some((text.strip_suffix(word)?, unit)))?;
        let number = number.strip_suffix(' ').unwrap_or(number);
        let is_plain = !number.starts_with('0') && number.bytes().all(|byte| byte.is_ascii_digit());
        number.parse::<u64>().ok().filter(|_| is_plain)?.checked_mul(*unit)
    };
    amount().ok_or_else(|| Wrong::NotAnAmountOfMemory { text: text.to_owned() })
}

/// The name of an input of a flake, or the way to one of an input's: `nixpkgs`, `home-manager/nixpkgs`.
pub(crate) fn input(text: &str) -> Result<String, Wrong> {
    let is_name = |part: &str| {
        part.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_'-".contains(&byte))
    };
    let wrong = || Wrong::NotAnInput { text: text.to_owned() };
    if text.split('/').all(is_name) { Ok(text.to_owned()) } else { Err(wrong()) }
}

/// The name of a setting of Nix, as in nix.conf.
pub(crate) fn nix_setting(text: &str) -> Result<String, Wrong> {
    if TAKEN_SETTINGS.contains(&text) {
        return Err(Wrong::NixSettingTaken { name: text.to_owned() });
    }
    let is_name = text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if is_name { Ok(text.to_owned()) } else { Err(Wrong::NotANixSetting { text: text.to_owned() }) }
}

/// Its value: nix takes it as it stands, whatever it begins with.
pub(crate) fn nix_value(text: &str) -> Result<String, Wrong> {
    if text.chars().any(char::is_control) {
        return Err(Wrong::ControlCharacters { text: text.to_owned() });
    }
    Ok(text.to_owned())
}

/// A status of an HTTP answer.
pub(crate) fn status(number: i128) -> Result<u16, Wrong> {
    u16::try_from(number).ok().filter(|number| (100..=599).contains(number)).ok_or(Wrong::NotAStatus { number })
}

/// The words of `become`.
pub(crate) fn becoming(text: &str) -> Result<Become, Wrong> {
    use Become::{Auto, Doas, No, Run0, Sudo, SudoPassword};
    let words =
        [("auto", Auto), ("no", No), ("sudo", Sudo), ("sudo-password", SudoPassword), ("doas", Doas), ("run0", Run0)];
    one_of(text, &words)
}

/// The words of `host_key`.
pub(crate) fn host_key(text: &str) -> Result<HostKey, Wrong> {
    one_of(text, &[("strict", HostKey::Strict), ("accept-new", HostKey::AcceptNew)])
}

/// The words of `guard_action`.
pub(crate) fn guard_action(text: &str) -> Result<GuardAction, Wrong> {
    one_of(text, &[("reboot", GuardAction::Reboot), ("switch-back", GuardAction::SwitchBack)])
}

/// The words of `boot_loader.kind`.
pub(crate) fn loader_kind(text: &str) -> Result<LoaderKind, Wrong> {
    one_of(text, &LoaderKind::ALL.map(|kind| (kind.word(), kind)))
}

/// Where a partition is mounted on a host: it becomes an argument there, and a part of paths.
pub(crate) fn mount_point(text: &str) -> Result<String, Wrong> {
    let bad = |slip| Err(Wrong::NotAMountPoint { text: text.to_owned(), slip });
    let Some(rest) = text.strip_prefix('/') else {
        return bad(MountSlip::Relative);
    };
    if let Some(shorter) = text.strip_suffix('/').filter(|shorter| !shorter.is_empty()) {
        return bad(MountSlip::LastSlash { shorter: shorter.to_owned() });
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'+');
    let plain = |part: &str| !part.is_empty() && !part.starts_with('.') && part.bytes().all(allowed);
    if text.len() > LONGEST_PATH || !rest.split('/').all(plain) {
        return bad(MountSlip::Letters);
    }
    Ok(text.to_owned())
}

/// Names of units of a host.
pub(crate) fn unit_pattern(text: &str) -> Result<UnitPattern, Wrong> {
    UnitPattern::new(text).map_err(|error| match error {
        BadUnitPattern::NoKind { pattern } => Wrong::UnitWithoutKind { pattern },
        BadUnitPattern::NoGlob { pattern, reason } => Wrong::NotAUnitPattern { pattern, reason },
    })
}

/// One word out of a few.
pub(crate) fn one_of<T: Clone>(text: &str, words: &[(&str, T)]) -> Result<T, Wrong> {
    let known = || words.iter().map(|(word, _)| *word);
    words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| meaning.clone()).ok_or_else(|| Wrong::UnknownWord {
        text: text.to_owned(),
        near: nearest(text, known()).map(str::to_owned),
        words: known().map(str::to_owned).collect(),
    })
}

/// A path of the file system, relative to the inventory's folder.
pub(crate) fn file(text: &str) -> Result<PathBuf, Wrong> {
    words(text).map(|text| Path::new(&text).to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mend<T: std::fmt::Debug>(wrong: Result<T, Wrong>) -> String {
        wrong.unwrap_err().mend().unwrap_or_default()
    }

    #[test]
    fn addresses_are_names_aliases_and_ip_addresses() {
        for good in ["vps.example.org", "10.0.0.1", "fd00::1", "my_alias", "localhost", "vps."] {
            assert_eq!(address(good).as_deref(), Ok(good));
        }
        for bad in ["", "-oProxyCommand=x", "a b", "a\nb", "a\"b", "%h", "a,b", "fe80::1%eth0", ".a", "$(x)", "ä.de"] {
            assert!(address(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_slip_in_an_address_says_where_the_part_belongs() {
        assert_eq!(mend(address("root@vps")), "the user has a key of its own: `user: root`");
        assert_eq!(mend(address("vps:2222")), "write `vps` alone, and `port: 2222` beside it");
        assert_eq!(mend(address("[2001:db8::1]:0022")), "write `2001:db8::1` alone, and `port: 22` beside it");
        assert_eq!(mend(address("[fd00::1]")), "write an IPv6 address without brackets: `fd00::1`");
        assert_eq!(mend(address("10.0.0.1/24")), "write the address alone: `10.0.0.1`");
    }

    #[test]
    fn jumps_are_hosts_or_marked_destinations() {
        let through = |user: Option<&str>, host: &str, port| {
            Ok(JumpTo::Through(Jump::Destination { user: user.map(Into::into), host: host.into(), port }))
        };
        assert_eq!(jump("none"), Ok(JumpTo::Nobody));
        assert_eq!(jump("ssh:root@gate.example.org:2222"), through(Some("root"), "gate.example.org", Some(2222)));
        assert_eq!(jump("ssh:gate"), through(None, "gate", None));
        assert_eq!(jump("ssh://gate"), through(None, "gate", None));
        assert_eq!(jump("ssh:fd00::1"), through(None, "fd00::1", None));
        assert_eq!(jump("ssh:me@[fd00::1]:22"), through(Some("me"), "fd00::1", Some(22)));
        for bad in
            ["root@gate", "gate:22", "ssh:", "ssh:gate:0", "ssh:gate:x", "ssh:-x", "ssh:[fd00::1", "ssh:a@b@c", "-W"]
        {
            assert!(jump(bad).is_err(), "{bad:?}");
        }
        for text in ["gate", "ssh:gate", "ssh:me@gate:22", "ssh:me@[fd00::1]:22", "ssh:fd00::1"] {
            let Ok(JumpTo::Through(jump)) = jump(text) else { panic!("{text} is a jump") };
            assert_eq!(jump.to_string(), text, "it is shown as it is written");
        }
    }

    #[test]
    fn a_mount_point_is_one_plain_path_from_the_root() {
        for good in ["/boot", "/efi", "/boot/efi", "/boot/EFI", "/mnt/esp-1_a+b.c"] {
            assert_eq!(mount_point(good).as_deref(), Ok(good));
        }
        let long = "/a".repeat(128);
        for bad in [
            "",
            "/",
            "//",
            "boot",
            "./boot",
            "/boot/",
            "/boot//efi",
            "/boot/..",
            "/../boot",
            "/.",
            "/boot/.hidden",
            "/bo ot",
            "/boot:x",
            "/boot\n",
            "/boot\u{1b}[m",
            "/b*",
            "/$x",
            "/a'b",
            "/b\\c",
            "/bö",
            "-",
            &long,
        ] {
            assert!(mount_point(bad).is_err(), "{bad:?}");
        }
        assert_eq!(mend(mount_point("/boot/")), "write it without the last `/`: `/boot`");
        assert_eq!(mend(mount_point("boot")), "write it from the root: `/boot`, `/efi`, `/boot/esp`");
        assert_eq!(mend(loader_kind("systemd-bot")), "did you mean `systemd-boot`?");
    }

    #[test]
    fn a_time_needs_its_unit_and_is_not_months() {
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(mend(duration("15M")), "minutes are a small `m`: a large `M` means months");
        for bad in ["15", "", "0s", "m", "-5m", "fifteen minutes"] {
            assert!(duration(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_system_is_a_whole_store_path() {
        let good = "/nix/store/0000000000000000000000000000000a-nixos-system-vps-25.05";
        assert_eq!(system(good).map(|path| path.to_string()), Ok(good.into()));
        for bad in [
            "result",
            "/nix/store/",
            "/nix/store/x-y",
            &format!("{good}/bin"),
            "/nix/store/../etc",
            &format!("{good}\n"),
        ] {
            assert!(system(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_flake_brings_no_attribute_and_an_attribute_has_room_for_the_host() {
        assert!(flake("github:me/lab?dir=hosts").is_ok());
        assert!(flake(".#vps").is_err());
        assert!(flake("--impure").is_err());
        assert!(attr("hosts.{host}").is_ok());
        assert!(attr("hosts.vps").is_err());
    }

    #[test]
    fn a_piece_of_a_page_is_one_line_that_not_every_page_has() {
        for good in ["ok", "-", "{\"ok\": true}", "a  b", "$(x)"] {
            assert_eq!(piece(good).as_deref(), Ok(good));
        }
        for bad in ["", "ok\n", "a\nb", "a\0b"] {
            assert!(piece(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn urls_are_http_and_in_one_piece() {
        assert!(url("http://vps:8080/health?x=%20").is_ok());
        // Nor is a login told, where it may be read by others than who wrote it.
        let wrong = url("https://ada:word@vps/a|b").unwrap_err();
        assert_eq!(wrong.what(), "`https://vps/a|b` is not a web address");
        for bad in ["vps:8080", "ftp://x", "http://", "http://-x", "http://a b", "http://a\"b"] {
            assert!(url(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_store_is_a_url_of_a_known_kind_that_no_program_takes_for_an_option() {
        let good = [
            "ssh-ng://vps",
            "ssh-ng://nix-ssh@vps.example.org:22",
            "file:///srv/cache?compression=zstd",
            "https://cache.example.org/main",
            "s3://bucket?endpoint=s3.example.org&region=eu",
        ];
        for text in good {
            assert_eq!(store(text).as_deref(), Ok(text));
        }
        for bad in [
            "",
            "vps",
            "local",
            "daemon",
            "unix:///x",
            "ssh-ng://",
            "ssh-ng://-oProxyCommand=x",
            "ssh-ng://a@-x",
            "ssh-ng://%2doProxyCommand=x",
            "ssh-ng://a@%2dx",
            "file://",
            "file://srv",
            "http://a b",
            "http://a\nb",
            "http://a#b",
            "http://$x",
            "--help",
            "https:///x",
        ] {
            assert!(store(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_public_key_is_a_name_and_32_bytes() {
        let key = "cache.example.org-1:7/+JE3HAiTmsPi/1ELLi348NXrR6KhbT9nCSG3R1/DY=";
        assert_eq!(public_key(key).as_deref(), Ok(key));
        for bad in [
            "",
            "x",
            "x:y",
            ":7/+JE3HAiTmsPi/1ELLi348NXrR6KhbT9nCSG3R1/DY=",
            "a b:7/+JE3HAiTmsPi/1ELLi348NXrR6KhbT9nCSG3R1/DY=",
        ] {
            assert!(public_key(bad).is_err(), "{bad:?}");
        }
    }

    /// What may stand in a line of an ssh config and on a command line as it is.
    fn is_one_plain_word(text: &str) -> bool {
        !text.is_empty()
            && !text.starts_with('-')
            && !text
                .chars()
                .any(|letter| letter.is_whitespace() || disturbs(letter) || "\"'`\\%$#;&|<>(){}*?!".contains(letter))
    }

    proptest! {
        #[test]
        fn any_text_is_refused_or_safe(text in any::<String>()) {
            every_accepted_word_is_plain(&text)?;
        }

        /// Nearly right texts come through more often than random ones.
        #[test]
        fn any_nearly_right_text_is_refused_or_safe(text in "[-a-z0-9.:@_/~ %\"'\\\\\n\t\u{202e}\\[\\]#]{1,12}") {
            every_accepted_word_is_plain(&text)?;
            every_accepted_word_is_plain(&format!("ssh:{text}"))?;
        }
    }

    fn every_accepted_word_is_plain(text: &str) -> Result<(), TestCaseError> {
        let mut accepted = Vec::new();
        accepted.extend(host_name(text).ok().map(String::from));
        accepted.extend(name(text).ok());
        accepted.extend(address(text).ok());
        accepted.extend(user(text).ok());
        accepted.extend(mount_point(text).ok());
        accepted.extend(identity(text).ok().map(|path| path.display().to_string()));
        accepted.extend(system(text).ok().map(|path| path.to_string().replace('?', "")));
        match jump(text) {
            Ok(JumpTo::Through(Jump::Host(name))) => accepted.push(name.into()),
            Ok(JumpTo::Through(Jump::Destination { user, host, .. })) => {
                accepted.extend(user);
                accepted.push(host);
            }
            Ok(JumpTo::Nobody) | Err(_) => {}
        }
        for word in accepted {
            prop_assert!(is_one_plain_word(&word), "{word:?} out of {text:?}");
        }
        Ok(())
    }
}
