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
  inventory   how long `inventory check`, a TAB and `inventory graph` take for thousands of hosts

  --binary PATH     the fleetdeploy to measure (default target/release/fleetdeploy, then target/debug/fleetdeploy)
  --runs N          how often, one after another; the figures are medians (default 5)
  --hosts LIST      of the lab, e.g. vps,n1..n7 (default vps,homeserver)         [processes, floor]
  --links KIND      `none`, or `mesh`, the links of the VPN (default)            [processes, floor]
  --same            push what runs already                                       [processes]
  --cpu PERCENT     of one processor, for every host: 20 is a Raspberry Pi or so [processes, floor]

As root, where the lab runs (scripts/lab.sh needs), but for `inventory`. Build first: cargo build --release --locked
HELP
}

command=${1:-help}
[ $# = 0 ] || shift
runs=5 hosts=vps,homeserver links=mesh same='' cpu='' binary=target/release/fleetdeploy
[ -x "$binary" ] || binary=target/debug/fleetdeploy
while [ $# -gt 0 ]; do
    case $1 in
    --same) same=yes && shift && continue ;;
    --binary | --runs | --hosts | --links | --cpu) [ $# -ge 2 ] || { usage >&2 && exit 2; } ;;
    *) usage >&2 && exit 2 ;;
    esac
    printf -v "${1#--}" %s "$2"
    shift 2
done
case $runs:$links:$cpu in *[!0-9]*:*:* | :*:* | 0:*:* | *:*:*[!0-9]*) usage >&2 && exit 2 ;; esac
case $links in none | mesh) ;; *) usage >&2 && exit 2 ;; esac
export runs hosts links same cpu binary

case $command in
phases | processes | floor | inventory)
    binary=$(readlink -m "$binary")
    [ -x "$binary" ] || { echo "no $binary: cargo build --release --locked" >&2 && exit 1; }
    ;;
help | -h | --help) usage && exit ;;
*) usage >&2 && exit 2 ;;
esac
case $command in
phases | inventory) exec "$code/$command.sh" ;;
*) exec "$code/processes.sh" "$command" ;;
esac
