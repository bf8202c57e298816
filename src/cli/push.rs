//! `push`.

use clap::Args;

use super::{FleetHosts, Showing, Terms};

/// Push new systems to a fleet: all hosts or none
///
/// Builds every system, copies them, arms on every host a guard that brings the old system back, activates the new
/// systems, logs in anew and probes every link, and only then makes them permanent and disarms the guards. If anything
/// fails, every host goes back to the system it ran; if you press Ctrl-C, too, unless the systems are being made
/// permanent already: that is finished. If this workstation dies, the guards bring the hosts back.
///
/// A push runs what its inventory says: it evaluates the flake, runs the hooks and the `command` checks of the
/// workstation here, as you, and those of the hosts there, as root. --dry-run runs neither hooks nor checks.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "\
Examples:
  fleetdeploy push homelab --dry-run           what would happen? touches nothing
  fleetdeploy push homelab                     the whole fleet
  fleetdeploy push homelab --on vps,@edge      only some hosts; the others are witnesses
  fleetdeploy push homelab --without web       web is switched off; the others go on
  fleetdeploy push homelab --canary nas        one host first; the others once it and all links hold
  fleetdeploy push homelab --waves 1,25%       one host, then a quarter of them, then all the others
  fleetdeploy push homelab --guard 30m         more time before the guards fire
  fleetdeploy push homelab --ask               shows the plan, and asks before it touches a host
  fleetdeploy push homelab --reboot            and then reboot for a new kernel, host by host

Exit status:
  0  committed, or nothing to do
  1  refused or rolled back: every touched host was seen on its old system
     (also: committed, and a host said no to its reboot)
  2  usage or inventory
  3  split: some hosts are not where they should be; look now
     (also: committed, and a host was lost in its reboot)
  130, 143, 129  interrupted and rolled back
     (also: committed, and no further host was rebooted)")]
pub struct Push {
    #[command(flatten)]
    pub fleet: FleetHosts,
    #[command(flatten)]
    pub terms: Terms,
    #[command(flatten)]
    pub showing: Showing,
    /// After the commit, reboot the hosts that need it for their new systems, one after the other; also those that had
    /// them already
    ///
    /// As `fleetdeploy reboot` does it: each is proven back before the next, whatever `--waves` says of the test.
    #[arg(long)]
    pub reboot: bool,
}
