#!/usr/bin/env bash
# What leaves the workstation over a line of 20 Mbit when four hosts need the same 10 MB, without a cache and with one of
# the hosts as the cache. `scripts/bench.sh uplink`.
set -eu
cd "$(dirname "$(readlink -f "$0")")/../.."
: "${binary:?}"

fleet=bench-$$
trap 'scripts/lab.sh down "$fleet"' EXIT
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
inventory() { # CACHE
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
sent() { ip -n "$id-laptop" -j -s link show dev eth0 | tr ',' '\n' | sed -n '/"tx"/s/.*"bytes":\([0-9]*\).*/\1/p'; }

push() { # NAME CACHE
    local host before after begun=$EPOCHREALTIME
    inventory "$2"
    for host in vps n1 n2 n3; do
        scripts/lab.sh set "$fleet" "$host" version "\"$1\""
        scripts/lab.sh set "$fleet" "$host" size 10
    done
    before=$(sent)
    begun=$EPOCHREALTIME
    scripts/lab.sh ws "$fleet" -- fleetdeploy push homelab >"$ws/root/said" 2>&1 || { cat "$ws/root/said" && exit 1; }
    after=$(sent)
    ! grep -i 'cache' "$ws/root/said" | grep -i 'copied from here' >&2 || true
    printf '%-16s %10d bytes left the workstation, %s s\n' "$1" $((after - before)) \
        "$(awk "BEGIN { printf \"%.1f\", ${EPOCHREALTIME/,/.} - ${begun/,/.} }")"
}
push without ''
push with-cache ", cache: {to: ssh-ng://vps, from: 'ssh-ng://root@198.51.100.10', public_key: '$key'}"
