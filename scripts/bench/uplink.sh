#!/usr/bin/env bash
# What leaves the workstation over a line of 20 Mbit/s, and how long a push takes then: four hosts that need the same
# 10 MB, without a cache and with one of them as the cache; and 50 MB that are built here, or on their host.
# `scripts/bench.sh uplink`.
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

# Four hosts that share 10 MB.
scripts/lab.sh up "$fleet" --hosts vps,n1,n2,n3 --binary "$binary" >/dev/null
read -r id <"$(scripts/lab.sh path "$fleet")/id"
ws=$(scripts/lab.sh path "$fleet" ws)
# shellcheck disable=SC2016 # the workstation's shell
key=$(scripts/lab.sh ws "$fleet" -- sh -c 'nix-store --generate-binary-cache-key bench-1 ~/cache.sec ~/cache.pub &&
    echo "secret-key-files = /root/cache.sec" >>/etc/nix/nix.conf && cat ~/cache.pub')
for host in n1 n2 n3; do
    scripts/lab.sh host "$fleet" "$host" -- sh -c 'umask 077 && mkdir -p /root/.ssh && cat >/root/.ssh/id_ed25519' \
        <"$ws/root/.ssh/id_ed25519"
    scripts/lab.sh host "$fleet" "$host" -- sh -c 'cat >/root/.ssh/known_hosts' <"$ws/root/.ssh/known_hosts"
done
inventory_of_four() { # MORE
    cat >"$ws/root/fleet/inventory.yaml" <<YAML
defaults: {user: root$1}
hosts:
  vps: {address: 198.51.100.10}
  n1: {address: 198.51.100.101}
  n2: {address: 198.51.100.102}
  n3: {address: 198.51.100.103}
fleets:
  homelab: {hosts: all, flake: ., steady: 0s, checks: []}
YAML
}
tc -n "$id-laptop" qdisc add dev eth0 root tbf rate 20mbit burst 32kbit latency 400ms
sent_by_link() {
    ip -n "$id-laptop" -j -s link show dev eth0 | tr ',' '\n' | sed -n '/"tx"/s/.*"bytes":\([0-9]*\).*/\1/p'
}

push_four() { # NAME MEGABYTES MORE
    local host before after begun=$EPOCHREALTIME
    inventory_of_four "$3"
    for host in vps n1 n2 n3; do
        scripts/lab.sh set "$fleet" "$host" version "\"$1\""
        scripts/lab.sh set "$fleet" "$host" size "$2"
    done
    before=$(sent_by_link)
    begun=$EPOCHREALTIME
    scripts/lab.sh ws "$fleet" -- fleetdeploy push homelab >"$ws/root/said" 2>&1 || { cat "$ws/root/said" && exit 1; }
    after=$(sent_by_link)
    ! grep -i 'cache' "$ws/root/said" | grep -i 'copied from here' >&2 || true
    awk -v what="$1" -v bytes=$((after - before)) -v begun="${begun/,/.}" -v ended="${EPOCHREALTIME/,/.}" \
        'BEGIN { printf "%-40s %9.3f MB sent, %5.1f s; %.2f of 10 MiB\n",
            what, bytes / 1000000, ended - begun, bytes / 10485760 }'
}
cache=", cache: {to: ssh-ng://vps, from: 'ssh-ng://root@198.51.100.10', public_key: '$key'}"
packed=', nix: {compress: true}'
# What a push sends besides: scripts, most of all.
push_four four 0 ''
push_four four-compressed 0 "$packed"
push_four four-share-10-MB 10 ''
push_four four-share-10-MB-cache 10 "$cache"
push_four four-share-10-MB-cache-compressed 10 "$cache$packed"
