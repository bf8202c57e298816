//! Everything that can be wrong with an inventory: a variant each, with what a sentence needs and a code for programs.
//!
//! The sentences are in [`wording`](super::wording). A code is never renamed within version 1, and has no host, path or
//! value in it. Its line in `docs/inventory-mistakes.md` is the variant's comment; `tests/inventory.rs` holds both.

use std::time::Duration;

use super::model::SizeError;
use super::select::SelectError;
use crate::facts::attr_path::BadAttrPath;

/// Declares [`Wrong`]: the comment, the name with its fields, and the code of each variant.
macro_rules! wrongs {
    ($(
        $(#[doc = $doc:literal])+
        $variant:ident $({ $($field:ident: $type:ty),* $(,)? })? = $code:literal;
    )+) => {
        /// What is wrong with one value, or worth a warning, before its place is known.
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub enum Wrong {
            $($(#[doc = $doc])+ $variant $({ $($field: $type),* })?,)+
        }

        impl Wrong {
            /// Every code, with what it means.
            pub const CODES: &[(&str, &str)] = &[$(($code, concat!($($doc),+))),+];

            /// Returns the word by which a program knows it.
            #[must_use]
            pub fn code(&self) -> &'static str {
                match self {
                    $(Self::$variant { .. } => $code,)+
                }
            }
        }
    };
}

wrongs! {
    // The file as a whole.

    /// The file is not UTF-8 text.
    NotUtf8 = "not-utf-8";
    /// The text is not YAML: `message` is that of the parser.
    NotYaml { message: String, slip: Option<YamlSlip> } = "not-yaml";
    /// Lists and maps stand too deep in each other.
    NestedTooDeep { most: usize } = "nested-too-deep";
    /// The aliases repeat more values than any inventory has.
    TooManyAliases { most: usize } = "too-many-aliases";
    /// The file has a second YAML document.
    SecondDocument = "second-document";
    /// The file is empty.
    EmptyInventory = "empty-inventory";
    /// The file has no `hosts` or no `fleets`.
    SectionMissing { section: &'static str } = "section-missing";
    /// `hosts` or `fleets` has nothing in it.
    EmptySection { section: &'static str } = "empty-section";

    // Any key, any value.

    /// The key is not known where it stands.
    UnknownKey { key: String, mend: KeyMend } = "unknown-key";
    /// The same key, or name, stands twice in one map.
    DuplicateKey { thing: String, key: String } = "duplicate-key";
    /// The value is of another type than the key takes.
    WrongType { found: FoundType, wanted: &'static str, mend: TypeMend } = "wrong-type";
    /// The list is empty where something must be named.
    EmptyList { wanted: &'static str } = "empty-list";
    /// The text is empty.
    EmptyText = "empty-text";
    /// The text begins with `-` and would be taken for an option.
    LooksLikeOption { text: String } = "looks-like-an-option";
    /// The text has control characters in it.
    ControlCharacters { text: String } = "control-characters";
    /// The word is none of those that the key takes.
    UnknownWord { text: String, near: Option<String>, words: Vec<String> } = "unknown-word";
    /// The text is not a time.
    NotADuration { text: String } = "not-a-duration";
    /// The time has no unit.
    DurationWithoutUnit { number: String } = "duration-without-unit";
    /// The time is zero.
    ZeroDuration = "zero-duration";
    /// The time is longer than a week.
    DurationTooLong { text: String } = "duration-too-long";
    /// The number is not a port.
    NotAPort { text: String } = "not-a-port";

    // Names, and the way to a host.

    /// The text cannot be the name of a host, fleet, group or tag.
    NotAName { text: String } = "not-a-name";
    /// The name of the host is a word with a meaning of its own.
    ReservedName { text: String } = "reserved-name";
    /// The names of two hosts differ in case alone.
    NamesDifferInCase { first: String, second: String } = "names-differ-in-case";
    /// The tag is written with its `@`.
    TagWithAt { name: String } = "tag-with-at";
    /// The tag is a word with a meaning of its own.
    ReservedTag { text: String } = "reserved-tag";
    /// The text is not an address.
    NotAnAddress { text: String, slip: AddressSlip } = "not-an-address";
    /// The host has the same address twice.
    DuplicateAddress { address: String } = "duplicate-address";
    /// The host has both `address` and `addresses`.
    AddressAndAddresses = "address-and-addresses";
    /// The text is not a user name.
    NotAUser { text: String } = "not-a-user";
    /// The text cannot be the path of a key.
    NotAKeyPath { text: String } = "not-a-key-path";
    /// The inventory's folder has a name that cannot stand in an ssh config, and `identity` is relative to it.
    UnsafeFolder { folder: String } = "unsafe-folder";
    /// The text is neither the name of a host nor `ssh:...`.
    NotAJump { text: String, is_reserved: bool } = "not-a-jump";
    /// There is no host of that name.
    NoSuchHost { name: String, mend: HostMend } = "no-such-host";
    /// The host is reached through itself.
    JumpToItself { host: String } = "jump-to-itself";
    /// Hosts are reached through each other.
    JumpLoop { way: Vec<String> } = "jump-loop";
    /// The host is its own hypervisor.
    RunsOnItself { host: String } = "runs-on-itself";
    /// Hosts run on each other.
    RunsOnLoop { way: Vec<String> } = "runs-on-loop";

    // Settings of hosts.

    /// The guard is shorter than a push and its roll back may take.
    GuardTooShort {
        guard: Duration,
        shortest: Duration,
        parts: Vec<(&'static str, Duration)>,
        hypervisor: Option<String>,
    } = "guard-too-short";
    /// `boot_loader` is a word, and not a map.
    BootLoaderNotAMap { kind: Option<&'static str> } = "boot-loader-not-a-map";
    /// `boot_loader` is an empty map.
    EmptyBootLoader = "empty-boot-loader";
    /// `esp` stands beside `kind: init`, which has no partition.
    EspBesideInit = "esp-beside-init";
    /// The text is not a place where a partition is mounted.
    NotAMountPoint { text: String, slip: MountSlip } = "not-a-mount-point";
    /// The name of the unit has no kind at its end.
    UnitWithoutKind { pattern: String } = "unit-without-kind";
    /// The text is no pattern of units.
    NotAUnitPattern { pattern: String, reason: String } = "not-a-unit-pattern";

    // Fleets.

    /// The fleet has no `hosts`.
    FleetWithoutHosts = "fleet-without-hosts";
    /// The fleet's list of hosts is empty.
    EmptyFleet = "empty-fleet";
    /// The fleet does not say where its systems come from.
    FleetWithoutSource = "fleet-without-source";
    /// The fleet has more than one of `flake`, `file` and `system`.
    SeveralSources { key: &'static str, first: &'static str } = "several-sources";
    /// `attr` stands beside `system`.
    AttrBesideSystem = "attr-beside-system";
    /// The attribute stands in `flake`, behind a `#`.
    AttrInFlake { attr: String } = "attr-in-flake";
    /// `attr` has no `{host}` in it.
    AttrWithoutHost = "attr-without-host";
    /// `attr` is not a path of attributes.
    NotAnAttrPath { error: BadAttrPath } = "not-an-attr-path";
    /// `system` is not a map of store paths.
    SystemNotAMap = "system-not-a-map";
    /// The text is not a system of the store.
    NotAStorePath { text: String } = "not-a-store-path";
    /// `system` names a host that is not in the fleet.
    SystemOfNoHost { name: String, fleet: String, near: Option<String> } = "system-of-no-host";
    /// `system` has no store path for a host of the fleet.
    SystemMissing { hosts: Vec<String> } = "system-missing";
    /// The text is not the size of a wave.
    NotAWave { text: String, error: SizeError } = "not-a-wave";
    /// The text is not a pattern of hosts.
    NotAPattern { error: SelectError } = "not-a-pattern";
    /// The pattern matches no host.
    NoMatch { error: SelectError } = "no-match";
    /// `@failed` has no meaning in an inventory.
    FailedNamed { error: SelectError } = "failed-named";
    /// No host has the tag of the group, but a tag is spelt nearly so.
    GroupOfNoTag { group: String, near: String } = "group-of-no-tag";
    /// Warning: no host has the tag of the group.
    UnusedGroup { group: String } = "unused-group";
    /// Warning: the host is in no fleet.
    HostWithoutFleet { host: String, is_jump: bool } = "host-without-fleet";

    // Checks and hooks.

    /// The name is longer than the screen bears.
    NameTooLong { most: usize } = "name-too-long";
    /// Two checks have the same name.
    DuplicateCheckName { name: String } = "duplicate-check-name";
    /// The check does not say what it looks at.
    CheckWithoutKind { kinds: &'static [&'static str] } = "check-without-kind";
    /// The check looks at more than one thing.
    CheckOfSeveralKinds { kind: &'static str, first: &'static str } = "check-of-several-kinds";
    /// The check has no target.
    CheckWithoutTarget { kind: &'static str } = "check-without-target";
    /// The check names its targets in two places.
    TargetsInTwoPlaces { kind: &'static str } = "targets-in-two-places";
    /// `to` has no meaning beside this kind of check.
    ToWithoutMeaning { kind: &'static str } = "to-without-meaning";
    /// The check is to run on a host that is not in the fleet.
    HostOfAnotherFleet { host: String } = "host-of-another-fleet";
    /// `workstation` is this machine, but also a host of the fleet.
    WorkstationIsAHost = "workstation-is-a-host";
    /// The host would look at itself alone.
    HostLooksAtItself { host: String } = "host-looks-at-itself";
    /// The check of WireGuard has no peer left to look at.
    NoPeerLeft = "no-peer-left";
    /// The text is not a shape of a VPN.
    NotAVpnShape { text: String, near: Option<String> } = "not-a-vpn-shape";
    /// The hub of the VPN is not named.
    HubMissing = "hub-missing";
    /// A host that takes part in the check of the VPN has no `vpn` address.
    VpnAddressMissing { hosts: Vec<String> } = "vpn-address-missing";
    /// Two hosts have the same `vpn` address.
    DuplicateVpnAddress { first: String, second: String } = "duplicate-vpn-address";
    /// The check of the VPN has one host alone.
    VpnOfOneHost = "vpn-of-one-host";
    /// The workstation is named in a check of the VPN.
    WorkstationInVpn = "workstation-in-vpn";
    /// `tcp` has a host beside its port.
    HostBesidePort { host: String, port: String } = "host-beside-port";
    /// The check of a page has no `url`.
    UrlMissing = "url-missing";
    /// The text is not a web address.
    NotAUrl { text: String, slip: UrlSlip } = "not-a-url";
    /// The text is no store that nix can copy to or fetch from.
    NotAStore { text: String } = "not-a-store";
    /// The text is not the public key of a cache.
    NotAPublicKey { text: String } = "not-a-public-key";
    /// The cache does not say what fills it.
    CacheWithoutTo = "cache-without-to";
    /// The cache is filled by a command and by `nix copy`.
    CommandBesideTo = "command-beside-to";
    /// So many logins or copies are never under way at once.
    NotAWindow { number: i128, most: u16 } = "not-a-window";
    /// So many processes never evaluate at once.
    NotSoManyWorkers { number: i128, most: u16 } = "not-so-many-workers";
    /// The text is no amount of memory.
    NotAnAmountOfMemory { text: String } = "not-an-amount-of-memory";
    /// The text cannot be the name of a flake's input.
    NotAnInput { text: String } = "not-an-input";
    /// The text cannot be the name of a setting of Nix.
    NotANixSetting { text: String } = "not-a-nix-setting";
    /// A setting of Nix with which its answers would not be understood, or would be about another store.
    NixSettingTaken { name: String } = "nix-setting-taken";
    /// What is for the evaluation of a whole fleet stands in a host or a group.
    NotForOneHost { key: &'static str } = "not-for-one-host";
    /// The number is not an HTTP status.
    NotAStatus { number: i128 } = "not-a-status";
    /// The piece of the page is empty.
    EmptyBody = "empty-body";
    /// The piece of the page has more than one line.
    BodyOfSeveralLines = "body-of-several-lines";
    /// The name to resolve is missing.
    QueryMissing = "query-missing";
    /// The command is empty.
    EmptyCommand { is_list: bool } = "empty-command";
    /// The command has a NUL in it.
    NulInCommand = "nul-in-command";
    /// The hook does not say what it runs.
    HookWithoutCommand = "hook-without-command";
}

impl Wrong {
    /// What to say of a pattern that chooses nothing.
    pub(super) fn no_match(error: SelectError) -> Self {
        match error {
            SelectError::BadPattern { .. } => Self::NotAPattern { error },
            SelectError::NoRunMeant => Self::FailedNamed { error },
            _ => Self::NoMatch { error },
        }
    }
}

/// A slip that our own patterns invite in YAML.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum YamlSlip {
    Tab,
    Tag,
    Glob,
    Text,
}

/// What to say of a key that is not known.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum KeyMend {
    /// It is `<<`.
    Merge,
    /// Where it belongs.
    Elsewhere(&'static str),
    Near(String),
    /// All keys that are known here.
    Known(Vec<&'static str>),
}

/// What stands where another type is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum FoundType {
    Nothing,
    Boolean,
    Number,
    Fraction,
    Text,
    List,
    Map,
    Tagged(String),
}

/// How the type that is wanted is written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TypeMend {
    None,
    /// The value in quotes, where it is known how it was written.
    InQuotes(Option<String>),
    /// A text that begins like a map.
    TextLikeAMap,
    WithoutQuotes(String),
    InBrackets(String),
    Word(&'static str),
    WaveSize,
    Duration,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum AddressSlip {
    None,
    Brackets { inner: String },
    User { user: String },
    Port { host: String, port: String },
    Network { address: String },
    Letters,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum MountSlip {
    Relative,
    LastSlash { shorter: String },
    Letters,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UrlSlip {
    Scheme,
    Host,
    Letters,
}

/// How to mend the name of a host that is not there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HostMend {
    Near(String),
    /// It may have been meant as an address, too.
    NearOrAddress(String),
    OtherMachine,
    Builder,
    Hypervisor,
    /// These are there.
    Known(Option<String>),
}
