#!/usr/bin/env bash
# How much memory the workstation takes while many hosts are evaluated and signed, and copied to: fleetdeploy itself,
# and all nix and all ssh processes together. The number of those of nix is bounded by the windows
# (`evaluate: {workers: 2}`, `parallel`), whatever the number of hosts; an ssh holds each connection that is open.
# Called by scripts/bench.sh, as root, where the lab runs.
set -eu
code=$(dirname "$(readlink -f "$0")")
cd "$code/../.."
: "${binary:?}" "${sizes:?}"

fleet=sources-$$
trap 'scripts/lab.sh down "$fleet" >/dev/null 2>&1 || true' EXIT
scripts/lab.sh up "$fleet" --hosts vps,n1..n15 --binary "$binary" >/dev/null
ws=$(scripts/lab.sh path "$fleet" ws)
mkdir -p "$ws/root/bench" "$ws/root/many"
cp "$code/measure" "$ws/root/bench/"
# A host that evaluates in a moment: what is looked at is what grows with their number.
sed 's/@NUMBERS@/1000/; s/@ROUNDS@/1/' "$code/evaluation.nix" >"$ws/root/bench/flake.nix"
scripts/lab.sh ws "$fleet" -- sh -c 'nix key generate-secret --key-name bench-1 >/root/sign.key'

# measured LABEL FOLDER WORDS...
measured() {
    local label=$1 folder=$2
    shift 2
    # shellcheck disable=SC2016 # the workstation's shell
    scripts/lab.sh ws "$fleet" -- sh -c 'cd "$1" && shift && exec /root/bench/measure "$@"' sh "$folder" "$@" |
        awk -v label="$label" '{
            printf "%-36s %7.1f s %5d MB in %2d nix %6d MB in %3d ssh %5d MB fleetdeploy\n", \
                label, $1, $2, $3, $5, $6, $4
        }'
}

# address HOST
address() {
    if [ "$1" = vps ]; then echo 198.51.100.10; else echo "198.51.100.$((100 + ${1#n}))"; fi
}

for size in ${sizes//,/ }; do
    {
        echo "defaults: {evaluate: {workers: 2}, nix: {sign_key: ~/sign.key}}"
        echo "hosts: {$(seq -f 'h%03g: ' -s ', ' 1 "$size")}"
        echo "fleets: {many: {hosts: all, flake: .}}"
    } >"$ws/root/bench/inventory.yaml"
    measured "$size hosts evaluated, built, signed" /root/bench fleetdeploy build many --no-eval-cache
done

# pushed WINDOW HOSTS...: 20 MB for each.
version=2
pushed() {
    local window=$1 host
    shift
    {
        echo "defaults: {user: root, parallel: $window, evaluate: {workers: 2}, nix: {sign_key: ~/sign.key}}"
        echo "hosts:"
        for host in "$@"; do echo "  $host: {address: $(address "$host")}"; done
        echo "fleets: {homelab: {hosts: all, flake: ., steady: 0s, checks: []}}"
    } >"$ws/root/fleet/inventory.yaml"
    for host in "$@"; do
        scripts/lab.sh set "$fleet" "$host" version "\"$version\""
        scripts/lab.sh set "$fleet" "$host" size 20
    done
    version=$((version + 1))
    measured "$# hosts of 20 MB, parallel: $window" /root/fleet fleetdeploy push homelab
}

for window in 1 2 4 8; do pushed "$window" vps n1 n2 n3 n4 n5 n6 n7; done
for others in 1 3 7 15; do
    # shellcheck disable=SC2046 # a word for each
    pushed 2 vps $(seq -f 'n%g' 1 "$others")
done

# More hosts than can be booted: those that are, on many ports, each with a machine id of its own. Each of these has a
# connection and a system of its own, of 2 MB. They are copied to and looked at, by real programs; then that is refused,
# for such a system is no NixOS.
most=0
for size in ${sizes//,/ }; do [ "$size" -le "$most" ] || most=$size; done
ports=$(((most + 14) / 15))
for number in $(seq 1 15); do
    scripts/lab.sh host "$fleet" "n$number" -- sh -s "$ports" <"$code/as_many.sh"
done
# shellcheck disable=SC2016 # awk, on the workstation
scripts/lab.sh ws "$fleet" -- sh -c 'awk -F "[ ,]" -v ports="$1" "/^198.51.100.1[01][0-9],/ {
        for (port = 1; port <= ports; port++) print \"[\" \$1 \"]:\" 2200 + port, \$3, \$4
    }" ~/.ssh/known_hosts >~/known && cat ~/known >>~/.ssh/known_hosts' sh "$ports"
# shellcheck disable=SC2016 # the builder's $out
sed -e 's/args = .*/args = [ "-c" "\/usr\/bin\/head -c 2000000 \/dev\/urandom > $out" ];/' \
    -e 's/@NUMBERS@/10/; s/@ROUNDS@/1/' \
    "$code/evaluation.nix" >"$ws/root/many/flake.nix"
for size in ${sizes//,/ }; do
    {
        echo "defaults:"
        echo "  {user: root, parallel: 2, evaluate: {workers: 2}, nix: {sign_key: ~/sign.key},"
        echo "  limits: {connect: 60s, step: 300s}, guard: 30m}"
        echo "hosts:"
        for number in $(seq 0 $((size - 1))); do
            host=n$((number % 15 + 1))
            printf '  h%03d: {address: %s, port: %d}\n' $((number + 1)) "$(address "$host")" $((2201 + number / 15))
        done
        echo "fleets: {many: {hosts: all, flake: ., steady: 0s, checks: []}}"
    } >"$ws/root/many/inventory.yaml"
    measured "$size hosts get 2 MB, parallel: 2" /root/many --any-end fleetdeploy plan many --units
    copied=0
    for number in $(seq 1 15); do
        stored=$(scripts/lab.sh host "$fleet" "n$number" -- \
            sh -c 'ls /nix/store | grep -c -- "-h[0-9][0-9][0-9]$" || true')
        copied=$((copied + stored))
    done
    echo "  systems that are there now: $copied"
done
