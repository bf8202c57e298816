#!/usr/bin/env bash
# How long the evaluation of a fleet takes, and how much memory: by one process for all hosts, as Nix alone does it, by
# one and by two workers, and where nothing has changed. The flake is synthetic: each host keeps lists of numbers, and
# counts in a loop. Called by scripts/bench.sh, as root, where the lab runs.
set -eu
code=$(dirname "$(readlink -f "$0")")
cd "$code/../.."
: "${runs:?}" "${binary:?}" "${largest:?}" "${only_largest?}"
numbers=${numbers:-2100000} rounds=${rounds:-8000}

fleet=evaluation-$$
trap 'scripts/lab.sh down "$fleet" >/dev/null 2>&1 || true' EXIT
scripts/lab.sh up "$fleet" --hosts vps --binary "$binary" >/dev/null
ws=$(scripts/lab.sh path "$fleet" ws)
mkdir -p "$ws/root/bench"
cp "$code/evaluation.nix" "$ws/root/bench/flake.nix"
sed -i "s/@NUMBERS@/$numbers/; s/@ROUNDS@/$rounds/" "$ws/root/bench/flake.nix"
{
    echo "hosts: {$(seq -f 'h%03g: ' -s ', ' 1 "$largest")}"
    echo "fleets:"
    echo "  eight: {hosts: 'h00[1-8]', flake: .}"
    echo "  one: {hosts: h001, flake: .}"
    echo "  many: {hosts: all, flake: .}"
} >"$ws/root/bench/inventory.yaml"

cp "$code/measure" "$ws/root/bench/"

measured() {
    label=$1 times=$2
    shift 2
    for ((run = 0; run < times; run++)); do
        scripts/lab.sh ws "$fleet" -- sh -c 'cd /root/bench && exec ./measure "$@"' sh "$@"
    done | sort -n | awk -v label="$label" '{ s[NR] = $1; if ($2 > m) m = $2 }
        END { printf "%-44s %7.2f s %7d MB\n", label, s[int((NR + 1) / 2)], m }'
}
echo "evaluation                                     seconds    memory at most, all nix processes together"
eight_hosts() {
    local all workers
    # shellcheck disable=SC2016 # Nix's variables
    all='root: map (host: root.${host}.config.system.build.toplevel.drvPath)
        (builtins.genList (n: "h00${toString (n + 1)}") 8)'
    measured "8 hosts, one nix process" "$runs" nix eval --json --apply "$all" .#nixosConfigurations
    measured "1 host" "$runs" fleetdeploy build one --no-eval-cache
    for workers in 1 2; do
        sed -i '/^defaults/d' "$ws/root/bench/inventory.yaml"
        echo "defaults: {evaluate: {workers: $workers}}" >>"$ws/root/bench/inventory.yaml"
        measured "8 hosts, workers: $workers" "$runs" fleetdeploy build eight --no-eval-cache
    done
    measured "8 hosts, nothing has changed" "$runs" fleetdeploy build eight
    measured "  of these: nix flake metadata" "$runs" nix flake metadata --json .
}
[ -n "$only_largest" ] || eight_hosts
sed -i '/^defaults/d' "$ws/root/bench/inventory.yaml"
echo "defaults: {evaluate: {workers: 2}}" >>"$ws/root/bench/inventory.yaml"
measured "$largest hosts, workers: 2" 1 fleetdeploy build many --no-eval-cache
