# shellcheck shell=bash
# What every command needs, and the quick commands themselves: a test calls them hundreds of times.
: "${code:?}" "${lab:?}"

die() {
    echo "lab.sh: $*" >&2
    exit 1
}

# --- where things are ---

# The cgroup hierarchies: the unified one, and systemd's old one where it is mounted.
cgroup2=
for cgroup2 in /sys/fs/cgroup /sys/fs/cgroup/unified ''; do
    [ -z "$cgroup2" ] || [ ! -e "$cgroup2/cgroup.procs" ] || [ ! -e "$cgroup2/cgroup.controllers" ] || break
done
cgroup1=/sys/fs/cgroup/systemd
[ -e "$cgroup1/cgroup.procs" ] || cgroup1=

fleet_dir() { # FLEET -> $fleet, $id
    fleet=$lab/fleets/$1
    { read -r id <"$fleet/id"; } 2>/dev/null || die "there is no fleet '$1'"
}

host_dir() { # FLEET HOST -> also $host
    fleet_dir "$1"
    host=$fleet/hosts/$2
    [ -d "$host" ] || die "fleet '$1' has no host '$2'"
}

# PID of the host's PID 1, seen from here, in $leader; empty while it is off. Asking the kernel is quicker than keeping
# a file, and never stale.
leader() { # NAME
    local nspawn children=''
    leader=
    { read -r nspawn <"$cgroup2/$id/$1/supervisor/cgroup.procs"; } 2>/dev/null || return 0
    { read -r children <"/proc/$nspawn/task/$nspawn/children"; } 2>/dev/null || true # it ends without a newline
    leader=${children%% *}
}

until_true() { # SECONDS COMMAND...: asks again every 20 ms
    local deadline=$((${EPOCHREALTIME/./} + $1 * 1000000))
    shift
    until "$@"; do
        [ "${EPOCHREALTIME/./}" -lt "$deadline" ] || return 1
        nap 0.02
    done
}

# A sleep without a process of its own.
nap() {
    [ -n "${nap_fd:-}" ] || exec {nap_fd}<> <(:)
    read -r -t "$1" -u "$nap_fd" || true
}

# --- the quick commands ---

lab_ws() { # FLEET [--as NAME] -- CMD...
    local name=laptop root variable keep=()
    fleet_dir "${1:?}"
    shift
    if [ "${1:-}" = --as ]; then
        name=$2
        shift 2
    fi
    [ "${1:-}" != -- ] || shift
    [ $# -gt 0 ] || set -- bash -l
    root=$fleet/ws/$name/root
    if [ ! -e "$root/root/fleet" ]; then
        # shellcheck source=scripts/lab/fleet.sh
        . "$code/fleet.sh"
        workstation "$name"
    fi
    # The environment is the workstation's, but for what a test says to the program under test.
    for variable in TERM COLUMNS LINES CI NO_COLOR CLICOLOR_FORCE "${!FLEETDEPLOY_@}" "${!RUST_@}"; do
        [ -z "${!variable+set}" ] || [ "$variable" = FLEETDEPLOY_LAB ] || keep+=("$variable=${!variable}")
    done
    echo $$ >"$cgroup2/$id/ws/cgroup.procs"
    exec nsenter --net="/run/netns/$id-$name" --root="$root" --wd="$root/root/fleet" /usr/bin/env -i \
        PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin HOME=/root USER=root LOGNAME=root \
        SHELL=/bin/bash LANG=C.UTF-8 "${keep[@]}" "$@"
}

lab_host() { # FLEET HOST -- CMD...
    host_dir "${1:?}" "${2:?}"
    leader "$2"
    [ -n "$leader" ] || die "$2 is off"
    shift 2
    [ "${1:-}" != -- ] || shift
    [ $# -gt 0 ] || set -- bash -l
    [ ! -e "$host/vm" ] || in_vm "$@"
    # The command is not nsenter's own child: nsenter stops when its child is stopped, as systemd stops everything at
    # the end of a shutdown, and nobody lets it go on. The child would not be reaped, and the host not end, and so not
    # boot.
    # shellcheck disable=SC2016 # the inner shell's
    exec nsenter --target "$leader" --mount --uts --ipc --net --pid --root --wd --no-fork \
        /bin/sh -c 'exec 3<&0; "$@" <&3 3<&- & wait "$!"' sh /usr/bin/env -i \
        PATH=/run/wrappers/bin:/run/current-system/sw/bin:/usr/bin:/usr/sbin \
        HOME=/root USER=root LANG=C.UTF-8 "TERM=${TERM:-dumb}" "$@"
}

# Becomes CMD inside a vm, over its second cable. One connection for each of its boots takes all of them: a handshake
# costs a machine without KVM a second.
in_vm() { # CMD...
    local words key ssh
    read -r key <"$host/key"
    ssh=(ssh -F none -S "$host/agent" -o LogLevel=ERROR -o BatchMode=yes)
    exec 8>"$host/agent.lock"
    flock 8
    until_true 180 agent_answers || die "${host##*/} has not come up"
    exec 8>&-
    words=$(printf '%q ' "$@")
    exec "${ssh[@]}" -- root@vm "$words"
}

agent_answers() {
    local address
    leader "${host##*/}"
    [ -n "$leader" ] || return 1
    "${ssh[@]}" -O check vm 2>/dev/null && return
    read -r address <"$host/address"
    (
        echo "$BASHPID" >"$cgroup2/$id/mains/cgroup.procs"
        exec nsenter --net="/run/netns/$id" "${ssh[@]}" -f -N -M -i "$key" -p "$(vm_port "$address")" \
            -o ConnectTimeout=10 -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
            -o HostKeyAlgorithms=ssh-ed25519 -o KexAlgorithms=curve25519-sha256 root@127.0.0.1
    ) </dev/null >/dev/null 2>&1 8>&-
}

# On the router's loopback: one for each host of a fleet.
vm_port() { # ADDRESS
    echo $((20000 + ${1##*.}))
}

# How many seconds for what a container is given so many for.
patience() { # HOST SECONDS
    if [ -e "$fleet/hosts/$1/vm" ]; then echo $(($2 * 8)); else echo "$2"; fi
}

lab_set() { # FLEET HOST KEY JSON
    local params new
    host_dir "${1:?}" "${2:?}"
    params=$fleet/ws/laptop/root/root/fleet/params.json
    grep -q "^  $3 = " "$code/fleet/nixos/params.nix" || die "no parameter is called '$3'"
    exec 8>"$fleet/lock"
    flock 8
    # shellcheck disable=SC2016 # jq's variables
    new=$(chroot "$fleet/ws/laptop/root" jq --arg host "$2" --arg key "$3" --argjson value "${4:?}" \
        'if $value == null then del(.[$host][$key]) else .[$host][$key] = $value end' /root/fleet/params.json)
    printf '%s\n' "$new" >"$params.tmp"
    mv "$params.tmp" "$params"
}

lab_cable() { # FLEET HOST|WORKSTATION down|up
    local end
    fleet_dir "${1:?}"
    end=$fleet/hosts/${2:?}
    [ -d "$end" ] || end=$fleet/ws/$2
    [ -d "$end" ] || die "fleet '$1' has no host or workstation '$2'"
    case ${3:-} in
    down)
        : >"$end/cable-is-out"
        # While it restarts there is none, and the next one stays down.
        ip -n "$id" link set "$2" down 2>/dev/null || true
        ;;
    up)
        rm -f "$end/cable-is-out"
        plug_in "$2" "$end" 2>/dev/null || true
        ;;
    *) die "cable: down or up" ;;
    esac
}

# The router's end of a host's cable: a route dies with its interface, so it comes back with it.
plug_in() { # NAME DIRECTORY
    local address
    [ ! -e "$2/cable-is-out" ] || return 0
    read -r address <"$2/address"
    printf 'link set %s up\nroute replace %s dev %s\n' "$1" "$address" "$1" | ip -n "$id" -batch -
}

power_loop_runs() {
    local pid
    { read -r pid <"$host/power.pid"; } 2>/dev/null && [ -d "/proc/$pid" ]
}

lab_power() { # FLEET HOST cut|off|on
    host_dir "${1:?}" "${2:?}"
    case ${3:-} in
    cut)
        leader "$2"
        [ -z "$leader" ] || kill -KILL "$leader"
        ;;
    off)
        : >"$host/is-off"
        until_true 10 is_dark "$2" || die "$2 does not go off"
        ;;
    on)
        rm -f "$host/is-off"
        if ! power_loop_runs; then power_on "$2"; fi
        ;;
    *) die "power: cut, off or on" ;;
    esac
}

is_dark() { # HOST; cuts it as often as it takes, since it may be on its way up
    leader "$1"
    [ -z "$leader" ] || kill -KILL "$leader" 2>/dev/null || true
    ! power_loop_runs
}

power_on() { # HOST
    setsid -f "$code/power.sh" "$lab" "${fleet##*/}" "$1" </dev/null >>"$fleet/hosts/$1/console.log" 2>&1 8>&- 9>&-
}

lab_freeze() { # FLEET HOST on|off
    local frozen
    host_dir "${1:?}" "${2:?}"
    case ${3:-} in on) frozen=1 ;; off) frozen=0 ;; *) die "freeze: on or off" ;; esac
    echo "$frozen" >"$cgroup2/$id/$2/payload/cgroup.freeze"
}

# Until it reboots: what its processes have now is not counted, and what they take from now on may not be more than
# this.
lab_memory() { # FLEET HOST MEGABYTES
    local group=/sys/fs/cgroup/memory
    host_dir "${1:?}" "${2:?}"
    [ ! -e "$host/vm" ] || die "$2 has its own memory"
    leader "$2"
    [ -n "$leader" ] || die "$2 is off"
    if [ -e "$group/cgroup.procs" ]; then
        group=$group/$id-$2
        mkdir -p "$group"
        echo "${3:?}M" >"$group/memory.limit_in_bytes"
        move_processes "$group"
    else
        for group in "$cgroup2" "$cgroup2/$id" "$cgroup2/$id/$2"; do echo +memory >"$group/cgroup.subtree_control"; done
        group=$cgroup2/$id/$2/payload
        echo "$(($(cat "$group/memory.current") + ${3:?} * 1048576))" >"$group/memory.max"
    fi
}

# Until it reboots: how much of one processor it may take, at most.
lab_cpu() { # FLEET HOST PERCENT|all
    local group=/sys/fs/cgroup/cpu quota=-1
    host_dir "${1:?}" "${2:?}"
    [ "${3:?}" = all ] || quota=$(($3 * 1000))
    if [ -e "$group/cgroup.procs" ]; then
        group=$group/$id-$2
        mkdir -p "$group"
        echo "$quota" >"$group/cpu.cfs_quota_us"
        move_processes "$group"
    else
        for group in "$cgroup2" "$cgroup2/$id"; do echo +cpu >"$group/cgroup.subtree_control"; done
        echo "${quota/#-1/max} 100000" >"$cgroup2/$id/$2/cpu.max"
    fi
}

# All of $host's into a group of one of the old hierarchies.
move_processes() { # GROUP
    local pid
    find "$cgroup2/$id/${host##*/}/payload" -name cgroup.procs -exec cat {} + | while read -r pid; do
        echo "$pid" >"$1/cgroup.procs" 2>/dev/null || true # it has ended meanwhile
    done
}

lab_boots() {
    host_dir "${1:?}" "${2:?}"
    cat "$host/boots"
}

lab_console() {
    host_dir "${1:?}" "${2:?}"
    echo "$host/console.log"
}

lab_path() {
    fleet_dir "${1:?}"
    case ${2:-} in
    '') echo "$fleet" ;;
    ws) echo "$fleet/ws/laptop/root" ;;
    *)
        host_dir "$1" "$2"
        [ ! -e "$host/vm" ] || die "the file system of $2 lies on its own disk"
        echo "$host/root"
        ;;
    esac
}

lab_list() {
    local file
    for file in "$lab"/fleets/*/id; do
        [ ! -e "$file" ] || basename "$(dirname "$file")"
    done
}

# Logs in for real, over the tunnel where there is no other way. A refused connection costs nothing, and no connection
# is left hanging without a login: sshd would punish the workstation's address for that.
lab_wait_ssh() { # FLEET HOST [SECONDS]
    host_dir "${1:?}" "${2:?}"
    local limit=${3:-$(patience "$2" 30)}
    until_true "$limit" answers "$1" "$2" || die "no ssh on $2 within $limit s"
}

answers() { # FLEET HOST
    # An attempt is a handful of processes, many times a second, and the host has its processor to boot with. sshd
    # writes this file when it listens.
    if [ ! -e "$fleet/hosts/$2/vm" ]; then
        leader "$2"
        [ -n "$leader" ] && [ -e "/proc/$leader/root/run/sshd.pid" ] || return 1
    fi
    # shellcheck disable=SC2046 # words wanted
    (lab_ws "$1" -- ssh -o BatchMode=yes -o ConnectTimeout="$(patience "$2" 2)" \
        -o ControlPath=none $(cat "$fleet/hosts/$2/ssh") true) >/dev/null 2>&1
}
