//! `push`.

use std::time::Duration;

use clap::Args;

use super::{FleetHosts, Showing, parse_pattern};
use crate::decide::waves::Size;
use crate::inventory::duration;

/// Push new systems to a fleet: all hosts or none
///
/// Builds every system, copies them, arms on every host a guard that brings the old system back, activates the new
/// systems, logs in anew and probes every link, and only then makes them permanent and disarms the guards. If anything
/// fails, every host goes back to the system it ran; if you press Ctrl-C, too, unless the systems are being made
/// permanent already: that is finished. If this workstation dies, the guards bring the hosts back.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "\
Examples:
  fleetdeploy push homelab --dry-run           what would happen? touches nothing
  fleetdeploy push homelab                     the whole fleet
  fleetdeploy push homelab --on vps,@edge      only some hosts; the others are witnesses
  fleetdeploy push homelab --canary nas        one host first; the others once it and all links hold
  fleetdeploy push homelab --waves 1,25%       one host, then a quarter of them, then all the others
  fleetdeploy push homelab --guard 30m         more time before the guards fire
  fleetdeploy push homelab --ask               shows the plan, and asks before the first host is touched
  fleetdeploy push homelab --reboot            and then reboot for a new kernel, host by host

Exit status:
  0  committed, or nothing to do
  1  refused or rolled back: every touched host was seen on its old system
  2  usage or inventory
  3  split: some hosts are not where they should be; or committed, and a host was lost in its reboot; look now
  130, 143, 129  interrupted and rolled back")]
pub struct Push {
    #[command(flatten)]
    pub fleet: FleetHosts,
    /// How long until a guard brings the old system back by itself, instead of the inventory's `guard`
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub guard: Option<Duration>,
    /// How long links may take to come up after the new systems are active, instead of the inventory's `settle`
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub settle: Option<Duration>,
    /// Activate the new systems on these hosts first, written like those of `--on`, and on the others only once they and
    /// every link hold
    ///
    /// All of it is still one transaction: nothing is made permanent before every host runs its new system, and if
    /// anything fails in any wave, all hosts go back that have been touched.
    #[arg(long, value_name = "PATTERN", value_parser = parse_pattern)]
    pub canary: Vec<String>,
    /// Activate the new systems wave by wave, and look at the whole fleet after each
    ///
    /// The sizes of the first waves, in hosts or in percent of those that change, rounded up; all that are left then are
    /// the last wave: `2` is two hosts and then all the others, `1,25%,50%` has four waves. Hosts come in the inventory's
    /// order, after the canaries.
    #[arg(long, value_name = "SIZES", value_delimiter = ',', value_parser = str::parse::<Size>)]
    pub waves: Vec<Size>,
    #[command(flatten)]
    pub showing: Showing,
    /// Commit although links are down that were down before the push
    #[arg(long)]
    pub allow_broken: bool,
    /// Push to hosts on which a reboot would not bring what runs now; a roll back restores both as they were
    #[arg(long)]
    pub accept_drift: bool,
    /// After the commit, reboot the hosts that need it for their new systems, one after the other
    #[arg(long)]
    pub reboot: bool,
}
