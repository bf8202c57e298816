use std::fmt;

use super::Worded;
use crate::event::reason::workstation::{FolderObstacle, WorkstationHealth};

impl fmt::Display for WorkstationHealth {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SshHere { version } => write!(formatter, "ssh: {version}"),
            Self::SshMissing => formatter.write_str("has no `ssh`"),
            Self::NixHere { version } => {
                write!(formatter, "{version}; what is experimental of it is switched on for each command")
            }
            Self::NixMissing { error } => write!(formatter, "has no `nix`: {error}"),
            Self::NixTooOld { version } => write!(formatter, "{version} is too old"),
            Self::NixStoreSilent { error } => write!(formatter, "its store does not answer: {error}"),
            Self::RecordsWritable { folder } => write!(formatter, "records can be written to {folder}"),
            Self::RecordsUnwritable { cause } => write!(formatter, "no record can be written: {cause}"),
            Self::RoomEnough { place, free_bytes }
            | Self::RecordRoomScarce { place, free_bytes }
            | Self::StoreRoomScarce { place, free_bytes } => {
                write!(formatter, "{} MiB are free in {place}", free_bytes >> 20)
            }
        }
    }
}

impl Worded for WorkstationHealth {
    fn mend(&self) -> Option<String> {
        let mend = match self {
            Self::SshMissing => "install OpenSSH",
            Self::NixMissing { .. } => "install Nix, and have it in PATH",
            Self::NixTooOld { .. } => "install Nix 2.18 or newer",
            Self::NixStoreSilent { .. } => "see whether `nix store ping` and nix-daemon are well",
            Self::RecordsUnwritable { cause: FolderObstacle::Full { .. } } => {
                "make room there, or name another place for it in XDG_STATE_HOME"
            }
            Self::RecordsUnwritable { .. } => "XDG_STATE_HOME names another place for it",
            Self::RecordRoomScarce { .. } | Self::StoreRoomScarce { .. } => "make room there",
            Self::SshHere { .. } | Self::NixHere { .. } | Self::RecordsWritable { .. } | Self::RoomEnough { .. } => {
                return None;
            }
        };
        Some(mend.to_owned())
    }

    fn stake(&self) -> Option<&'static str> {
        match self {
            Self::SshMissing => Some("every host is reached by it"),
            Self::NixMissing { .. } | Self::NixTooOld { .. } | Self::NixStoreSilent { .. } => {
                Some("the systems are evaluated, built and copied by it")
            }
            Self::RecordsUnwritable { .. } => {
                Some("nothing is begun without its record, which is what `recover` goes by")
            }
            Self::RecordRoomScarce { .. } => Some("a record that cannot be written ends a push"),
            Self::StoreRoomScarce { .. } => Some("the systems are built here"),
            Self::SshHere { .. } | Self::NixHere { .. } | Self::RecordsWritable { .. } | Self::RoomEnough { .. } => {
                None
            }
        }
    }
}

impl fmt::Display for FolderObstacle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PlaceUnknown { error } => formatter.write_str(error),
            Self::Full { path } => write!(formatter, "nothing more fits into {path}"),
            Self::NotAFolder { path } => write!(formatter, "{path} is no folder"),
            Self::NotWritable { path, error } => write!(formatter, "{path}: {error}"),
        }
    }
}
