#!/usr/bin/env bash
# The processes and the CPU seconds that a push, or the same by hand, takes on each host, phase by phase.
# `scripts/bench.sh processes` and `scripts/bench.sh floor`; both in turn on one fleet for `scripts/bench.sh bounds`.
#
# A host counts its own processes, threads too: the last field of /proc/loadavg is the newest number in its namespace.
# CPU is its cgroup's, with PID 1 and all that it serves. Both are read when a phase begins, so that what a host does at
# that very moment may be counted for the phase beside it.
set -eu
code=$(dirname "$(readlink -f "$0")")
cd "$code/../.."
: "${runs:?}" "${hosts:?}" "${links:?}" "${binary:?}" "${same?}" "${cpu?}"
case $1 in
processes) kinds=(push) ;;
floor) kinds=(floor) ;;
both) kinds=(floor push) ;;
esac

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
    done >>"$folder/marks.$kind"
}

# weigh: a line `RUN KILOBYTES THREADS`: the most memory so far of the workstation's fleetdeploy, and its threads.
weigh() {
    local pid name key value memory=0 threads=0
    while read -r pid; do
        { read -r name <"/proc/$pid/comm"; } 2>/dev/null || continue
        [ "$name" = fleetdeploy ] || continue
        while read -r key value _; do
            case $key in VmHWM:) memory=$value ;; Threads:) threads=$value ;; esac
        done <"/proc/$pid/status"
        echo "$run $memory $threads" >>"$folder/weights"
    done <"$group/$id/ws/cgroup.procs"
}

# Reads the events of a push, and marks the phases. Build and survey run side by side.
follow_push() {
    local line phase
    while read -r line; do
        case $line in
        *'"event":"phase_started"'*)
            phase=${line#*'"phase":"'}
            mark "${phase%%'"'*}"
            weigh
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

floor() {
    local word step ended=''
    mark start
    while read -r word step; do
        case $word in
        step) mark "$step" ;;
        ended) ended=yes ;;
        esac
    done < <(scripts/lab.sh ws "$fleet" -- bash -c "$(cat "$code/by_hand.sh")" by_hand "$addresses" "${names[@]}" \
        </dev/null 2>"$folder/said")
    mark end
    [ -n "$ended" ]
}

for name in "${names[@]}"; do
    read -ra words <"$(scripts/lab.sh path "$fleet")/hosts/$name/ssh"
    printf 'Host by-hand-%s\n  HostName %s\n  User root\n' "$name" "${words[${#words[@]} - 1]#root@}"
    # One that is reached through another is `-J JUMP ADDRESS`.
    [ "${#words[@]}" = 1 ] || printf '  ProxyJump %s\n' "${words[1]}"
done >>"$ws/root/.ssh/config"

addresses=''
declare -A address_of
name=''
while read -r word address; do
    case $word in
    vpn:) [ "$links" = none ] || address_of[$name]=$address addresses="$addresses $address" ;;
    fleets:) break ;;
    *:) [ -n "$address" ] || name=${word%:} ;;
    esac
done <"$ws/root/fleet/inventory.yaml"

# An installer of a boot loader writes each generation, with a dozen processes for one in the lab: whoever comes second
# in a run would pay for one more.
version() {
    local name
    for name in "${names[@]}"; do
        scripts/lab.sh set "$fleet" "$name" version "\"bench-$1\""
        scripts/lab.sh host "$fleet" "$name" -- nix-env -p /nix/var/nix/profiles/system --delete-generations old \
            >/dev/null 2>&1
    done
}

# One that does not count: a host that has just booted still has work of its own, and has never been pushed to.
run=0
for kind in "${kinds[@]}"; do
    version "$kind-0"
    "$kind"
done
rm -f "$folder"/marks.* "$folder/weights"
for run in $(seq "$runs"); do
    for kind in "${kinds[@]}"; do
        [ -n "$same" ] || version "$kind-$run"
        sleep 2
        "$kind"
    done
done

# Medians over the runs; of a phase and of the whole, a host's mean and the highest.
table() { # KIND
    awk -v runs="$runs" -v hosts="${#names[@]}" -v what="$1" -v links="$links" '
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
            for (at = 1; at <= phases; at++) for (run = 1; run <= runs; run++) for (host in name) {
                one = order[at]
                note(one, run, sum[run, one, host], sum_cpu[run, one, host], sum_at[run, one, host])
            }
            printf "%s: %d hosts, links: %s, medians of %d\n", what, hosts, links, runs
            printf "%-10s %10s %10s %10s %10s %10s\n", "", "seconds", "processes", "most", "CPU s", "most"
            for (at = 1; at <= phases; at++) show(order[at])
            show("all")
        }' "$folder/marks.$1"
}

for kind in "${kinds[@]}"; do table "$kind"; done
[ ! -e "$folder/weights" ] || awk '
    $2 > memory { memory = $2 }
    $3 > threads { threads = $3 }
    END { printf "workstation: %.0f MB at most, %d threads at most\n", memory / 1024, threads }' "$folder/weights"

# A round of all links of one host, a ping and a connection to each other one, with nothing else going on.
count_rounds() {
    local name other before after id=0 from=${names[0]} arguments=(3600) counted=()
    for other in "${names[@]:1}"; do
        arguments+=(probe $((id++)) ping 3000 1 "${address_of[$other]}")
        arguments+=(probe $((id++)) ssh 3000 3 "${address_of[$other]}" 22 "$other")
    done
    coproc prober {
        cd src/remote/scripts
        # shellcheck disable=SC2016 # the host's shell
        ../../../scripts/lab.sh host "$fleet" "$from" -- bash -c \
            "$(cat lib.sh wireguard.sh probes.sh probe.sh; echo 'main "$@"')" probe "${arguments[@]}"
    }
    for run in $(seq 0 "$runs"); do
        # Nobody is asked for a second connection within a second, nor the control within two.
        sleep 2.2
        echo >&"${ask[$from]}"
        read -r before <&"${answer[$from]}"
        echo "round $run" >&"${prober[1]}"
        while read -r word _ <&"${prober[0]}" && [ "$word" != "done" ]; do :; done
        echo >&"${ask[$from]}"
        read -r after <&"${answer[$from]}"
        # The first one learns what it keeps.
        [ "$run" = 0 ] || counted+=($((after - before)))
    done
    echo stop >&"${prober[1]}"
    mapfile -t counted < <(printf '%s\n' "${counted[@]}" | sort -n)
    echo "round: $id links, ${counted[runs / 2]} processes"
}

[ "${#kinds[@]}" = 1 ] || [ "$links" = none ] || count_rounds
