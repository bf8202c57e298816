//! What `doctor` finds on a host: what is well, what endangers a push, and what would stop it.

use schemars::JsonSchema;
use serde::Serialize;
use strum::{IntoStaticStr, VariantNames};

use crate::event::reason::command_end::OpenRun;
use crate::facts::privilege::{RootLack, RootProgram};
use crate::facts::systems::BootLoader;
use crate::inventory::model::HostName;

/// A finding about a host that has answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, IntoStaticStr, VariantNames)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum HostHealth {
    /// It lets this user in, who becomes root.
    LoginAsRoot { login: String },
    /// Current system, profile and boot default are one.
    RebootBringsSame,
    /// What its boot loader brings can be read.
    BootLoaderRead { loader: BootLoader },
    /// It boots without a passphrase.
    NoPassphraseAtBoot,
    /// It may want a passphrase at boot, and the inventory says what its guard does.
    EncryptedAndGuarded,
    /// A guard has fired on it, and its trace is still there.
    GuardTraceLeft {
        /// The first line of what the guard wrote.
        trace: String,
        fleet: String,
    },
    /// Its Nix does not say its version.
    NixVersionUnknown,
    /// Its Nix is older than any that a copy was tried with.
    NixOlderThanTried {
        #[serde(rename = "program_version")]
        version: String,
        oldest: String,
    },
    /// Its Nix is new enough.
    NixTried {
        #[serde(rename = "program_version")]
        version: String,
    },
    /// Its systemd is older than any that the guard was tried with.
    SystemdOlderThanTried {
        #[serde(rename = "program_version")]
        version: String,
        oldest: u64,
    },
    /// Its systemd is new enough.
    SystemdTried {
        #[serde(rename = "program_version")]
        version: String,
    },
    /// The kernel that it runs, and its kind of machine.
    KernelSeen { release: String, system_type: String },
    /// Its Nix takes unsigned paths from the user that logs in.
    CopyTaken,
    /// Its Nix builds its own system, for the user that logs in.
    BuiltThere { login: String },
    /// Its Nix takes what this workstation signs, and all that goes to it is signed, or all in the store here.
    SignatureTrusted {
        login: String,
        /// The name of the key.
        key: String,
    },
    /// Its Nix takes no unsigned paths from the user that logs in. It takes what is built here from now on, and in the
    /// store here there is something without a signature that it takes, or that was not seen in time.
    OnlyNewSigned {
        login: String,
        /// The name of the key.
        key: String,
        /// The file of the secret key.
        file: String,
    },
    /// Its Nix takes no unsigned paths from the user that logs in, and which key signs them here cannot be seen: it
    /// was seen to trust no signature of what was pushed last, and the key may be another one since.
    SignatureUnread {
        login: String,
        /// The file of the secret key.
        file: String,
    },
    /// Its Nix takes no unsigned paths from the user that logs in.
    LoginNotTrusted {
        login: String,
        /// The public key that signs what is built here, and that it does not trust either.
        #[serde(skip_serializing_if = "Option::is_none")]
        key: Option<String>,
    },
    /// Its Nix takes no unsigned paths from the user that logs in, and what it runs came to this workstation from a
    /// binary cache whose key it trusts: it takes what was built and signed there.
    OnlySignedElsewhere {
        login: String,
        /// The name of the cache's key.
        key: String,
    },
    /// Its Nix takes no unsigned paths from the user that logs in: what comes to it comes by the fleet's cache alone.
    OnlyByCache {
        login: String,
        /// What it fetches from, without a login.
        cache: String,
        /// The public key that signs here, and that the host takes for the cache; absent: what serves it has to sign.
        #[serde(skip_serializing_if = "Option::is_none")]
        key: Option<String>,
    },
    /// Its Nix does not say whether it trusts the user that logs in.
    LoginTrustUntold { login: String },
    /// Its Nix does not answer a copy.
    CopyUnanswered {
        /// The words of nix here.
        error: String,
        /// A login without a terminal finds `nix-daemon` there.
        daemon_in_path: bool,
    },
    /// There is no nix here to try a copy with.
    CopyUntried,
    /// A binary cache of its Nix does not answer, and a copy to it asks there.
    CacheSilent { url: String },
    /// The host reaches the cache of the fleet.
    FleetCacheAnswers {
        /// What it fetches from, without a login.
        cache: String,
    },
    /// Where the host is to fetch from there is no binary cache, or an empty one.
    FleetCacheBare { cache: String },
    /// The cache of the fleet does not answer the host.
    FleetCacheSilent {
        cache: String,
        /// The words of its nix; absent: no answer within 5 s.
        #[serde(skip_serializing_if = "String::is_empty")]
        said: String,
    },
    /// A file system has room for a new system.
    SpaceEnough { place: String, free_bytes: u64, size_bytes: u64 },
    /// A file system may be too small for a new system.
    SpaceScarce { place: String, free_bytes: u64, size_bytes: u64 },
    /// A file system has no room for any part of a new system.
    SpaceUsedUp { place: String, free_bytes: u64, size_bytes: u64 },
    /// Its clock and this workstation's are apart.
    ClockOff {
        /// Negative: it is behind.
        ahead_ms: i64,
    },
    /// Its clock and this workstation's agree.
    ClockRight,
    /// One of its interfaces has the VPN address of the inventory.
    VpnAddressThere { vpn: String },
    /// None of its interfaces has the VPN address of the inventory.
    VpnAddressMissing { vpn: String },
    /// Its sshd takes fewer sessions on one connection than a push may need.
    SshSessionsFew { sessions: u64, needed: u64 },
    /// Its sshd takes enough sessions on one connection.
    SshSessionsEnough,
    /// It is the jump of other hosts, and its sshd forwards nothing.
    SshForwardsNothing,
    /// Its sshd has `PerSourcePenalties` switched on.
    SshPenaltiesOn,
    /// Something on it may keep a reboot from doing what it should.
    RebootDoubt {
        /// The host's own words.
        said: String,
    },
    /// No unit has failed.
    NoUnitFailed,
    /// It has all programs that its checks run.
    CheckProgramsThere,
    /// A program is not there that its checks run.
    CheckProgramMissing {
        program: String,
        /// The attribute of nixpkgs that has it.
        package: String,
        /// The checks that need it.
        checks: Vec<String>,
    },
    /// It is looked at over a VPN, and has no `wg` to prove handshakes with.
    WgProgramMissing {
        /// The attribute of nixpkgs that has it.
        package: String,
    },
}

/// Why a finding matters that has another reason of its own: what a push would say, or the failure to ask a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stake {
    /// A push is refused for it.
    PushRefused,
    /// A push warns of it.
    PushWarns,
    /// A run of the fleet has not ended.
    RunUnfinished(OpenRun),
    /// The fleet has no link.
    NothingProven,
    /// It is no NixOS.
    NixosNeeded,
    /// The login does not become root.
    RootNeeded { user: Option<String>, by: RootProgram, lack: RootLack },
    /// Nobody is let in, for another cause than those below.
    LoginNeeded,
    /// The key of the person is not taken.
    KeyNeeded { user: Option<String> },
    /// Its host key is not the one that is known.
    IdentityNeeded,
    /// It is not to change, and is away.
    WitnessAway,
    /// It is `optional`, and is away.
    OptionalAway,
    /// It is away.
    Away { host: HostName },
}
