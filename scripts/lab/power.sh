#!/usr/bin/env bash
# The mains of one host: `power.sh LAB FLEET HOST`, started by `lab.sh`. It boots the host, again after a reboot or a
# power cut, and ends when the host powers itself off or is told to stay off. A boot has a network namespace of its own,
# so nothing of the old one is left.
set -eu
lab=$1 name=$3
code=$(dirname "$(readlink -f "$0")")
# shellcheck source=scripts/lab/common.sh
. "$code/common.sh"
# shellcheck source=scripts/lab/vm.sh
. "$code/vm.sh"
host_dir "$2" "$3"
: "${id:?}" "${host:?}" "${cgroup2:?}" "$lab"
echo $$ >"$host/power.pid"
echo $$ >"$cgroup2/$id/mains/cgroup.procs"
read -r address <"$host/address"
machine=$id-$name

sweep() { # what an earlier boot left
    local group
    ip -n "$id" link del "$name" 2>/dev/null || true
    ip netns del "$machine" 2>/dev/null || true
    for group in "$cgroup2/$id/$name" ${cgroup1:+"$cgroup1/$id/$name"}; do
        [ ! -d "$group" ] || find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || true
        mkdir -p "$group"
    done
    rm -rf "/run/systemd/nspawn/propagate/$machine"
}

container() (
    # A cgroup of its own before nspawn starts: with --keep-unit all hosts would share one `payload` otherwise,
    # and their units of the same name collide.
    echo "$BASHPID" >"$cgroup2/$id/$name/cgroup.procs"
    [ -z "$cgroup1" ] || echo "$BASHPID" >"$cgroup1/$id/$name/cgroup.procs"
    SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 exec systemd-nspawn --quiet \
        --directory="$host/root" --machine="$machine" --hostname="$name" \
        --register=no --keep-unit --settings=no --link-journal=no --timezone=off \
        --resolv-conf=off --console=read-only --setenv=SYSTEMD_SECCOMP=0 \
        --network-namespace-path="/run/netns/$machine" --capability=CAP_NET_ADMIN \
        --bind=/dev/net/tun --bind="$host/boot:/boot" \
        --kill-signal=SIGRTMIN+3 /usr/lib/lab/firmware
)

# The emulator is to a vm what nspawn's payload is to a container, also in its cgroups. It ends with status 0 when the
# host powers itself off, and as nspawn does when it reboots.
vm() {
    local group=$cgroup2/$id/$name status=0 orders
    mkdir -p "$group/supervisor" "$group/payload"
    rm -f "$host/qmp" "$host/qmp.log"
    mkfifo "$host/qmp"
    exec {orders}<>"$host/qmp"
    echo '{"execute":"qmp_capabilities"}' >&"$orders" # from then on it tells what happens
    (
        echo "$BASHPID" >"$group/supervisor/cgroup.procs"
        (
            echo "$BASHPID" >"$group/payload/cgroup.procs"
            run_vm "$name"
        ) &
        wait "$!"
    ) || status=$?
    exec {orders}>&-
    ! grep -qs '"event": "WATCHDOG"' "$host/qmp.log" || echo "=== reset by its watchdog ==="
    if [ "$status" = 0 ] && ! grep -qs '"reason": "guest-shutdown"' "$host/qmp.log"; then status=133; fi
    return "$status"
}

# All of it is read before it runs: the loop outlives an edit of this file.
main() {
    quick=0
    while [ ! -e "$host/is-off" ]; do
        sweep
        if [ -e "$host/vm" ]; then
            ip -n "$id" tuntap add dev "$name" mode tap
        else
            ip netns add "$machine"
            ip -n "$id" link add "$name" type veth peer name eth0 netns "$machine"
        fi
        plug_in "$name" "$host"
        boots=$(($(cat "$host/boots") + 1))
        # Renamed into place: who counts the boots just now must not find an empty file.
        echo "$boots" >"$host/boots.new" && mv -f "$host/boots.new" "$host/boots"
        echo "=== power on, boot $boots ==="
        started=${EPOCHREALTIME/./}
        status=0
        if [ -e "$host/vm" ]; then vm || status=$?; else container || status=$?; fi
        echo "=== ended with status $status ==="
        [ "$status" != 0 ] || break # it powered itself off
        # 133 is a reboot; anything else a power cut, after which a machine boots too.
        if [ $((${EPOCHREALTIME/./} - started)) -lt 200000 ]; then
            quick=$((quick + 1))
            [ $quick -lt 10 ] || die "$name cannot even start"
        else
            quick=0
        fi
    done
    sweep
    echo "=== off, $address ==="
}

main
exit 0
