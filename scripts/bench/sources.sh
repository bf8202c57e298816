#!/usr/bin/env bash
# How much memory the workstation takes while many hosts are evaluated and signed, and while eight are copied to:
# fleetdeploy itself, and all nix processes together. The number of these is bounded by the windows
# (`evaluate: {workers: 2}`, `parallel`), whatever the number of hosts. Called by scripts/bench.sh, as root, where the
# lab runs.
set -eu
code=$(dirname "$(readlink -f "$0")")
cd "$code/../.."
: "${binary:?}" "${sizes:?}"

fleet=sources-$$
hosts=vps,n1,n2,n3,n4,n5,n6,n7
trap 'scripts/lab.sh down "$fleet" >/dev/null 2>&1 || true' EXIT
scripts/lab.sh up "$fleet" --hosts "$hosts" --binary "$binary" >/dev/null
ws=$(scripts/lab.sh path "$fleet" ws)
mkdir -p "$ws/root/bench"
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
        awk -v label="$label" '{ printf "%-34s %7.1f s %6d MB in %3d nix %6d MB fleetdeploy\n", label, $1, $2, $3, $4 }'
}

for size in ${sizes//,/ }; do
    {
        echo "defaults: {evaluate: {workers: 2}, nix: {sign_key: ~/sign.key}}"
        echo "hosts: {$(seq -f 'h%03g: ' -s ', ' 1 "$size")}"
        echo "fleets: {many: {hosts: all, flake: .}}"
    } >"$ws/root/bench/inventory.yaml"
    measured "$size hosts evaluated, built, signed" /root/bench fleetdeploy build many --no-eval-cache
done

for window in 1 2 4 8; do
    {
        echo "defaults: {user: root, parallel: $window, evaluate: {workers: 2}, nix: {sign_key: ~/sign.key}}"
        echo "hosts:"
        echo "  vps: {address: 198.51.100.10}"
        for host in 1 2 3 4 5 6 7; do echo "  n$host: {address: 198.51.100.10$host}"; done
        echo "fleets: {homelab: {hosts: all, flake: ., steady: 0s, checks: []}}"
    } >"$ws/root/fleet/inventory.yaml"
    for host in ${hosts//,/ }; do
        scripts/lab.sh set "$fleet" "$host" version "\"$window\""
        scripts/lab.sh set "$fleet" "$host" size 20
    done
    measured "8 hosts of 20 MB, parallel: $window" /root/fleet fleetdeploy push homelab
done
