//! The defaults of the table of keys, for code that makes hosts and fleets without a file.

use std::path::Path;
use std::time::Duration;

use super::file::table::Keys as _;
use super::file::{FleetEntry, FleetSettings, LimitsEntry, NixEntry, Settings};
use super::layers;
use super::model::{Fleet, Host, Limits, NixOptions};

const OF_HOST: &Settings = &Settings::ABSENT;
const OF_FLEET: &FleetEntry = &FleetEntry::ABSENT;
const OF_EVERY_FLEET: &FleetSettings = &FleetSettings::ABSENT;

impl Host {
    /// How long a host may take from a reboot to a running sshd, unless the inventory says otherwise.
    pub const DEFAULT_BOOT_TIME: Duration = OF_HOST.boot_time();
    /// How long its guard waits.
    pub const DEFAULT_GUARD: Duration = OF_HOST.guard();
}

impl Fleet {
    /// How long links may take to come up once the new systems run.
    pub const DEFAULT_SETTLE: Duration = OF_FLEET.settle();
    /// How long the build of a whole fleet may take.
    pub const DEFAULT_BUILD_LIMIT: Duration = OF_FLEET.build_limit();
    /// How many logins, and how many copies, are under way at once.
    pub const DEFAULT_PARALLEL: u16 = OF_EVERY_FLEET.parallel();
    /// How long every unit that a push starts must have been up.
    pub const DEFAULT_STEADY: Duration = OF_EVERY_FLEET.steady();
}

impl Default for Limits {
    fn default() -> Self {
        layers::limits(&LimitsEntry::ABSENT)
    }
}

impl Default for NixOptions {
    fn default() -> Self {
        layers::nix(&NixEntry::ABSENT, Path::new("/"))
    }
}
