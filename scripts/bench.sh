#!/usr/bin/env bash
# Measures fleetdeploy: where the time of a push goes, and the processes and the CPU that it takes on each host. Prints
# figures; asserts nothing.
set -eu
code=$(dirname "$(readlink -f "$0")")/bench
cd "$code/../.."

usage() {
    cat <<'HELP'
usage: scripts/bench.sh COMMAND [OPTIONS]
  phases      how long each phase of a push to two hosts takes, and what is left without build, copy and activation
  processes   the processes (threads too) and CPU seconds of each phase of a push, on each host
  floor       the same of the six steps by hand, in parallel: build, copy, test, ping, switch, look
  bounds      what a push may cost beside the floor, and what it does: fleets of 2 to 64 hosts, a row each as it comes;
              twenty minutes of a machine that does nothing else, and 12 GiB for 64 hosts
  uplink      what leaves the workstation over a line of 20 Mbit/s, and how long that takes
  workstation what a push of many simulated hosts costs the workstation
  evaluation  how long the evaluation of 8 and of --largest hosts takes, with one and two workers, and how much memory
  sources     the memory of the workstation while --sizes hosts are evaluated, signed and copied to
  inventory   how long `inventory check`, a TAB and `inventory graph` take for thousands of hosts

  --binary PATH     the fleetdeploy to measure (default target/release/fleetdeploy, then target/debug/fleetdeploy)
  --runs N          how often, one after another; the figures are medians (default 5; 7 of bounds, of dozens 3 at most)
  --hosts LIST      of the lab, e.g. vps,n1..n7 (default vps,homeserver)         [processes, floor]
  --links KIND      `none`, or `mesh`, the links of the VPN (default)            [processes, floor]
  --same            push what runs already                                       [processes]
  --cpu PERCENT     of one processor, for every host: 20 is a Raspberry Pi or so [processes, floor]
  --sizes LIST      of the simulated fleets (default 8,64,100,200,500)           [workstation, sources]
  --cases LIST      of two,slow,eight,mesh,same,dozens,many (default: all)       [bounds]
  --largest N       the number of hosts in `many` (default 64)                   [bounds, evaluation]
  --only-largest    that number of hosts alone                                   [evaluation]
  --details         the phases of each fleet, on the error stream                [bounds]

As root, where the lab runs (scripts/lab.sh needs), but for `inventory` and `workstation`. Build first:
cargo build --release --locked
HELP
}

command=${1:-help}
[ $# = 0 ] || shift
runs='' hosts=vps,homeserver links=mesh same='' cpu='' binary=target/release/fleetdeploy
cases=two,slow,eight,mesh,same,dozens,many largest=64 only_largest='' details='' sizes=8,64,100,200,500
[ -x "$binary" ] || binary=target/debug/fleetdeploy
while [ $# -gt 0 ]; do
    case $1 in
    --same | --details) printf -v "${1#--}" yes && shift && continue ;;
    --only-largest) only_largest=yes && shift && continue ;;
    --binary | --runs | --hosts | --links | --cpu | --cases | --largest | --sizes)
        [ $# -ge 2 ] || { usage >&2 && exit 2; }
        ;;
    *) usage >&2 && exit 2 ;;
    esac
    printf -v "${1#--}" %s "$2"
    shift 2
done
case $command in bounds) runs=${runs:-7} ;; *) runs=${runs:-5} ;; esac
case $runs:$largest:${sizes//,/0}:$cpu in *[!0-9:]* | 0:* | *:0:* | *::*) usage >&2 && exit 2 ;; esac
for case in ${cases//,/ }; do
    case $case in two | slow | eight | mesh | same | dozens | many) ;; *) usage >&2 && exit 2 ;; esac
done
case $links in none | mesh) ;; *) usage >&2 && exit 2 ;; esac
export runs hosts links same cpu binary cases largest only_largest details sizes

case $command in
workstation) exec "$code/workstation.sh" ;;
phases | processes | floor | bounds | evaluation | inventory | uplink | sources)
    binary=$(readlink -m "$binary")
    [ -x "$binary" ] || { echo "no $binary: cargo build --release --locked" >&2 && exit 1; }
    ;;
help | -h | --help) usage && exit ;;
*) usage >&2 && exit 2 ;;
esac
case $command in
phases | bounds | evaluation | inventory | uplink | sources) exec "$code/$command.sh" ;;
*) exec "$code/processes.sh" "$command" ;;
esac
