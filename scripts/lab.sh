#!/usr/bin/env bash
# Real hosts on one machine, for tests and for a demo: systemd, sshd, Nix, WireGuard, reboots. See
# scripts/lab/README.md.
set -eu
code=$(dirname "$(readlink -f "$0")")/lab
lab=${FLEETDEPLOY_LAB:-/var/lib/fleetdeploy-lab}

# shellcheck source=scripts/lab/common.sh
. "$code/common.sh"

usage() {
    cat <<'EOF'
usage: lab.sh COMMAND
  needs | install | base [--vm]        can this machine do it; apt-get what is missing; build the base file system,
                                       with --vm also what hosts with a firmware want
  up FLEET [--hosts A,B,n1..n7] [--vm A,B:grub] [--binary PATH] [--params JSON] [--no-wait]
                                       --vm: these of the hosts have a firmware, a boot loader and a kernel of their own
  down FLEET | down --all | list
  ws FLEET [--as NAME] -- CMD...       run CMD on the workstation (another one with --as: laptop2)
  host FLEET HOST -- CMD...            run CMD inside a host, also with its network down
  set FLEET HOST KEY JSON              a parameter of the host's next system (null: as by default)
  cable FLEET HOST down|up             HOST may be a workstation (laptop)
  power FLEET HOST cut|off|on
  freeze FLEET HOST on|off             on: accepts TCP, never answers
  memory FLEET HOST MEGABYTES          how much more its processes may take, until it reboots
  cpu FLEET HOST PERCENT|all           how much of one processor it may take, until it reboots
  boots FLEET HOST                     how many times it has booted
  console FLEET HOST                   path of its console's log
  path FLEET [ws|HOST]                 where the fleet, a file system of it, lies on this machine
  wait-ssh FLEET HOST [SECONDS]
EOF
}

command=${1:-help}
[ $# = 0 ] || shift
case $command in
needs | install | base | up | down)
    # shellcheck source=scripts/lab/build.sh
    . "$code/build.sh"
    # shellcheck source=scripts/lab/fleet.sh
    . "$code/fleet.sh"
    "lab_$command" "$@"
    ;;
ws | host | set | cable | power | freeze | memory | cpu | boots | console | path | list | wait-ssh)
    "lab_${command/-/_}" "$@" ;;
help | -h | --help) usage ;;
*) usage >&2 && exit 2 ;;
esac
