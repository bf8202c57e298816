#!/usr/bin/env bash
# What leaves the workstation over a line of 20 Mbit/s, and how long a push takes then. `scripts/bench.sh uplink`.
set -eu
cd "$(dirname "$(readlink -f "$0")")/../.."
: "${binary:?}"

fleet=bench-$$
trap 'scripts/lab.sh down "$fleet"' EXIT

# The workstation's line, in one direction.
shape() {
    # shellcheck disable=SC2016 # the workstation's shell
    scripts/lab.sh ws "$fleet" -- sh -c 'dev=$(ip -o route get 198.51.100.10 | sed "s/.* dev \([^ ]*\).*/\1/")
        tc qdisc replace dev "$dev" root tbf rate 20mbit burst 64kb latency 200ms'
}

# Bytes that have left the workstation, retransmissions too.
sent() {
    scripts/lab.sh ws "$fleet" -- cat /proc/net/dev |
        awk '/:/ && $1 != "lo:" { sub(/.*:/, ""); sum += $9 } END { print sum }'
}

# measure WHAT WORDS...: a push, with what it has sent.
measure() {
    local what=$1 before start end
    shift
    before=$(sent) start=$(date +%s.%N)
    scripts/lab.sh ws "$fleet" -- fleetdeploy push homelab "$@" >"/tmp/$fleet.said" 2>&1 ||
        { cat "/tmp/$fleet.said" >&2 && exit 1; }
    end=$(date +%s.%N)
    awk -v what="$what" -v bytes="$(($(sent) - before))" -v begun="$start" -v ended="$end" \
        'BEGIN { printf "%-40s %9.3f MB sent, %5.1f s\n", what, bytes / 1000000, ended - begun }'
    rm "/tmp/$fleet.said"
}

# 50 MB that are built, copied from the workstation and then built on the host, for a login that it does not trust.
build_on_target() {
    scripts/lab.sh up "$fleet" --hosts vps --binary "$binary" >/dev/null
    ws=$(scripts/lab.sh path "$fleet" ws)
    sed -i 's/^      - vpn: mesh//; s/^    checks:$/    checks: []/' "$ws/root/fleet/inventory.yaml"
    shape
    scripts/lab.sh set "$fleet" vps size 50
    scripts/lab.sh set "$fleet" vps version '"copied"'
    measure 'one host, 50 MB, built here'
    sed -i 's/user: root/user: deploy/' "$ws/root/fleet/inventory.yaml"
    scripts/lab.sh host "$fleet" vps -- sh -c 'rm -f /etc/nix/nix.conf
        sed "s/^trusted-users.*/trusted-users = root/" /etc/static/nix/nix.conf >/etc/nix/nix.conf
        systemctl stop nix-daemon.socket nix-daemon.service; systemctl start nix-daemon.socket'
    scripts/lab.sh set "$fleet" vps version '"built"'
    measure 'one host, 50 MB, build_on: target' --build-on target
    scripts/lab.sh down "$fleet"
}

build_on_target
