//! The command lines of those who work by hand: the guard alone, and the rolling reboot.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::FleetHosts;
use crate::inventory::duration;
use crate::inventory::model::Size;

/// The guard of a push, for a person who works by hand
///
/// Armed, it brings each host back after its time: profile and boot default as they were, then a reboot (or, on a host
/// marked `guard_action: switch-back`, what ran is activated again). It lives on the hosts: this workstation may be
/// closed meanwhile. Disarmed, what runs by then stays.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Guard {
    #[command(subcommand)]
    pub command: GuardCommand,
}

#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum GuardCommand {
    Arm(ArmGuard),
    Status(GuardStatus),
    Extend(ExtendGuard),
    Disarm(DisarmGuard),
}

/// Arm the guard on every selected host, or on none
///
/// Refused where a reboot would not bring back what runs now, and where another run or person has a guard or a lease.
/// While it is armed, a push of the fleet is refused.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "\
Examples:
  fleetdeploy guard arm homelab                the systems go back in the inventory's `guard` time
  fleetdeploy guard arm homelab --guard 30m    in half an hour
  fleetdeploy guard arm homelab --on vps       only one host

Exit status:
  0  armed on every selected host
  1  refused: armed on none
  2  usage or inventory
  3  a host does not answer, and may be armed: `guard status`
  130, 143, 129  interrupted: armed on none")]
pub struct ArmGuard {
    #[command(flatten)]
    pub fleet: FleetHosts,
    /// How long until it fires, at least 20s, instead of the inventory's `guard`
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub guard: Option<Duration>,
    /// Also on hosts on which a reboot would not bring what runs now: a guard that fires then brings what a reboot
    /// brings
    #[arg(long)]
    pub accept_drift: bool,
}

/// Show on which hosts a guard is armed, until when and whose it is
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "\
Example:
  fleetdeploy guard status homelab

Exit status:
  0  every selected host answers
  1  a host does not answer
  2  usage or inventory
  130, 143, 129  interrupted")]
pub struct GuardStatus {
    #[command(flatten)]
    pub fleet: FleetHosts,
}

/// Give every armed guard more time, from now on
///
/// No guard is ever made to fire sooner than it would have. All are looked at first: unless each of them can be
/// extended, none is.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "\
Example:
  fleetdeploy guard extend homelab --guard 15m    15 minutes from now on

Exit status:
  0  every guard is extended
  1  a host has no guard of yours, or it has fired
  2  usage or inventory
  3  a host does not answer
  130, 143, 129  interrupted before it began")]
pub struct ExtendGuard {
    #[command(flatten)]
    pub fleet: FleetHosts,
    /// How long until they fire, from now on, instead of the inventory's `guard`
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub guard: Option<Duration>,
}

/// Disarm the guards: what the hosts run now stays
///
/// Refused, on all of them, while a host would come up on something else than it runs: then a guard is the only way
/// back. Make what runs permanent there (`nixos-rebuild switch`), or let the guard fire.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "\
Examples:
  fleetdeploy guard disarm homelab
  fleetdeploy guard disarm homelab --on vps    only there; the other guards count down

Exit status:
  0  no guard of yours is armed any more, and none has fired
  1  refused, or a guard has fired
  2  usage or inventory
  3  a host does not answer
  130, 143, 129  interrupted before it began")]
pub struct DisarmGuard {
    #[command(flatten)]
    pub fleet: FleetHosts,
}

/// Reboot the hosts of a fleet one after the other, each proven back before the next
///
/// A host is back when it runs on another boot what it was to boot, takes a new ssh login that ends in root, no unit
/// fails that was fine before, and every required link is up that was up before. Hosts behind a jump come before the
/// jump. If a host does not come back, no other is rebooted. Ctrl-C begins no further host and waits for the one that
/// is under way; a second one leaves at once.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "\
Examples:
  fleetdeploy reboot homelab                       one host after the other
  fleetdeploy reboot homelab --on vps              only one
  fleetdeploy reboot farm --on 'web*' --waves 3    three at a time
  fleetdeploy reboot farm --waves 1,25%            one, and then a quarter of them at a time

Exit status:
  0  every selected host was rebooted and is proven back
  1  a host said no: it was not rebooted, nor any that was still to come
  2  usage or inventory
  3  a host did not come back as it should; look now
  130, 143, 129  interrupted: every host that was rebooted is back, the others were not")]
pub struct Reboot {
    #[command(flatten)]
    pub fleet: FleetHosts,
    /// How many hosts at a time
    ///
    /// The sizes of the first waves, in hosts or in percent of those that are rebooted, rounded up; the last size is
    /// that of all waves that follow: `3` is three at a time, `1,25%` one host and then a quarter of them at a time.
    #[arg(long, value_name = "SIZES", value_delimiter = ',', default_value = "1", value_parser = str::parse::<Size>)]
    pub waves: Vec<Size>,
    /// How long links may take to come up after a reboot, instead of the inventory's `settle`
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub settle: Option<Duration>,
    /// Also hosts that would come up on something else than they run now
    #[arg(long)]
    pub accept_drift: bool,
}
