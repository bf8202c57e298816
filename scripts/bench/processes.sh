#!/usr/bin/env bash
# The processes and the CPU seconds that a push, or the same by hand, takes on each host, phase by phase.
# `scripts/bench.sh processes` and `scripts/bench.sh floor`.
#
# A host counts its own processes, threads too: the last field of /proc/loadavg is the newest number in its namespace.
# CPU is its cgroup's, with PID 1 and all that it serves. Both are read when a phase begins, so that what a host does at
# that very moment may be counted for the phase beside it.
set -eu
code=$(dirname "$(readlink -f "$0")")
cd "$code/../.."
: "${runs:?}" "${hosts:?}" "${links:?}" "${binary:?}" "${same?}" "${cpu?}"
what=$1

fleet=bench-$$ folder=$(mktemp -d)
counters=()
finish() {
    local pid status=$?
    [ "$status" = 0 ] || tail -n 20 "$folder/said" >&2 || true
    for pid in "${counters[@]}"; do kill "$pid" 2>/dev/null || true; done
    scripts/lab.sh down "$fleet"
    rm -rf "$folder"
}
trap finish EXIT
scripts/lab.sh up "$fleet" --hosts "$hosts" --binary "$binary" >/dev/null
read -ra names <<<"$(for path in "$(scripts/lab.sh path "$fleet")"/hosts/*/; do basename "$path"; done | xargs)"
read -r id <"$(scripts/lab.sh path "$fleet")/id"
read -r ws <<<"$(scripts/lab.sh path "$fleet" ws)"
[ "$links" = mesh ] || sed -i 's/^      - vpn: mesh//; s/^    checks:$/    checks: []/' "$ws/root/fleet/inventory.yaml"

# A reader inside each host, which starts no process to read.
declare -A ask answer
for name in "${names[@]}"; do
    [ -z "$cpu" ] || scripts/lab.sh cpu "$fleet" "$name" "$cpu"
    mkfifo "$folder/$name.ask" "$folder/$name.answer"
    # shellcheck disable=SC2016 # the host's shell
    scripts/lab.sh host "$fleet" "$name" -- bash -c \
        'while read -r _; do read -r _ _ _ _ last </proc/loadavg; echo "$last"; done' \
        <"$folder/$name.ask" >"$folder/$name.answer" &
    counters+=("$!")
    exec {fd}>"$folder/$name.ask"
    ask[$name]=$fd
    exec {fd}<"$folder/$name.answer"
    answer[$name]=$fd
done
for group in /sys/fs/cgroup/unified /sys/fs/cgroup; do [ ! -e "$group/$id/cpu.stat" ] || break; done

# mark PHASE: a line `RUN PHASE SECONDS HOST PROCESSES MICROSECONDS` for each host.
mark() {
    local name last usage now=$EPOCHREALTIME
    for name in "${names[@]}"; do echo >&"${ask[$name]}"; done
    for name in "${names[@]}"; do
        read -r last <&"${answer[$name]}"
        read -r _ usage <"$group/$id/$name/cpu.stat"
        echo "$run $1 ${now/,/.} $name $last $usage"
    done >>"$folder/marks"
}

# Reads the events of a push. Build and survey run side by side.
follow_push() {
    local line phase
    while read -r line; do
        case $line in
        *'"event":"phase_started"'*)
            phase=${line#*'"phase":"'}
            mark "${phase%%'"'*}"
            ;;
        *'"event":"finished"'*) echo "$line" >"$folder/finished" ;;
        esac
    done
}

push() {
    mark start
    scripts/lab.sh ws "$fleet" -- fleetdeploy push homelab --json </dev/null 2>"$folder/said" | follow_push
    mark end
    grep -q '"outcome":"\(committed\|unchanged\|nothing_to_do\)"' "$folder/finished" || {
        cat "$folder/finished" >&2
        exit 1
    }
}

# each STEP: one ssh to each host, all at once.
each() {
    local name pids=()
    for name in "${names[@]}"; do
        scripts/lab.sh ws "$fleet" -- ssh -o BatchMode=yes -o ControlMaster=auto -o ControlPersist=60 \
            -o ControlPath=/tmp/floor-%C "${addresses[$name]}" "${1//SYSTEM/${systems[$name]-}}" </dev/null >/dev/null &
        pids+=("$!")
    done
    for name in "${pids[@]}"; do wait "$name"; done
}

declare -A addresses systems
by_hand() {
    local name attributes=() pids=() paths
    for name in "${names[@]}"; do
        attributes+=(".#nixosConfigurations.$name.config.system.build.toplevel")
        # One that is reached through another is `-J JUMP ADDRESS`, and a plain word for ssh's own configuration here.
        addresses[$name]=by-hand-$name
    done
    mark build
    paths=$(scripts/lab.sh ws "$fleet" -- nix build --no-link --print-out-paths "${attributes[@]}")
    mapfile -t paths <<<"$paths"
    for name in "${!names[@]}"; do systems[${names[name]}]=${paths[name]}; done
    mark copy
    each true
    for name in "${names[@]}"; do
        scripts/lab.sh ws "$fleet" -- env NIX_SSHOPTS="-o ControlPath=/tmp/floor-%C" \
            nix copy --to "ssh://${addresses[$name]}" "${systems[$name]}" </dev/null &
        pids+=("$!")
    done
    for name in "${pids[@]}"; do wait "$name"; done
    mark test
    each "SYSTEM/bin/switch-to-configuration test"
    mark verify
    [ "$links" = none ] || each "$pings"
    mark switch
    each "nix-env -p /nix/var/nix/profiles/system --set SYSTEM && SYSTEM/bin/switch-to-configuration switch"
    mark look
    each "readlink /run/current-system /nix/var/nix/profiles/system; systemctl --failed"
    for name in "${names[@]}"; do
        scripts/lab.sh ws "$fleet" -- ssh -o ControlPath=/tmp/floor-%C -O exit "${addresses[$name]}" 2>/dev/null || true
    done
}

floor() {
    mark start
    by_hand
    mark end
}

if [ "$what" = floor ]; then
    pings=''
    for name in "${names[@]}"; do
        read -ra words <"$(scripts/lab.sh path "$fleet")/hosts/$name/ssh"
        address=${words[${#words[@]} - 1]#root@}
        printf 'Host by-hand-%s\n  HostName %s\n  User root\n' "$name" "$address"
        [ "${#words[@]}" = 1 ] || printf '  ProxyJump %s\n' "${words[1]}"
    done >>"$ws/root/.ssh/config"
    while read -r word address; do
        [ "$word $address" = "vpn: ${address//[!0-9.]/}" ] || continue
        pings="$pings ping -n -c 1 -W 2 $address & "
    done <"$ws/root/fleet/inventory.yaml"
    pings="$pings wait"
fi

version() {
    local name
    for name in "${names[@]}"; do scripts/lab.sh set "$fleet" "$name" version "\"bench-$1\""; done
}

# One that does not count: a host that has just booted still has work of its own, and has never been pushed to.
run=0
version 0
if [ "$what" = floor ]; then floor 2>"$folder/said"; else push; fi
: >"$folder/marks"
for run in $(seq "$runs"); do
    [ -n "$same" ] || version "$run"
    sleep 2
    if [ "$what" = floor ]; then floor 2>"$folder/said"; else push; fi
done

# Medians over the runs; of a phase and of the whole, a host's mean and the highest.
awk -v runs="$runs" -v hosts="${#names[@]}" -v what="$what" -v links="$links" '
    function median(values,   one, two, kept) {
        for (one = 1; one <= runs; one++) for (two = one + 1; two <= runs; two++)
            if (values[two] < values[one]) { kept = values[one]; values[one] = values[two]; values[two] = kept }
        return runs % 2 ? values[(runs + 1) / 2] : (values[runs / 2] + values[runs / 2 + 1]) / 2
    }
    function show(phase,   run, measure, list) {
        printf "%-10s", phase
        for (measure = 1; measure <= 5; measure++) {
            for (run = 1; run <= runs; run++) list[run] = figure[phase, run, measure]
            printf " %10.*f", (measure == 2 || measure == 3 ? 0 : 2), median(list)
        }
        print ""
    }
    function note(phase, run, processes, cpu, seconds) {
        figure[phase, run, 1] = seconds
        figure[phase, run, 2] += processes / hosts
        if (processes > figure[phase, run, 3]) figure[phase, run, 3] = processes
        figure[phase, run, 4] += cpu / hosts
        if (cpu > figure[phase, run, 5]) figure[phase, run, 5] = cpu
    }
    {
        if ($2 == "start") { first_at[$4] = $3; first[$4] = $5; first_cpu[$4] = $6 }
        else {
            if (!(phase[$4] in seen)) { seen[phase[$4]] = 1; order[++phases] = phase[$4] }
            # A phase may come again: with waves.
            sum[$1, phase[$4], $4] += $5 - last[$4]
            sum_cpu[$1, phase[$4], $4] += ($6 - last_cpu[$4]) / 1000000
            sum_at[$1, phase[$4], $4] += $3 - last_at[$4]
            if ($2 == "end") note("all", $1, $5 - first[$4], ($6 - first_cpu[$4]) / 1000000, $3 - first_at[$4])
        }
        phase[$4] = $2; last[$4] = $5; last_cpu[$4] = $6; last_at[$4] = $3
        name[$4] = 1
    }
    END {
        for (at = 1; at <= phases; at++) for (run = 1; run <= runs; run++) for (host in name)
            note(order[at], run, sum[run, order[at], host], sum_cpu[run, order[at], host], sum_at[run, order[at], host])
        printf "%s: %d hosts, links: %s, medians of %d\n", what, hosts, links, runs
        printf "%-10s %10s %10s %10s %10s %10s\n", "", "seconds", "processes", "most", "CPU s", "most"
        for (at = 1; at <= phases; at++) show(order[at])
        show("all")
    }' "$folder/marks"
