# shellcheck shell=bash
# Fleets: up and down, and their workstations.
: "${code:?}" "${lab:?}" "${cgroup2?}" "${cgroup1?}"
# shellcheck source=scripts/lab/vm.sh
. "$code/vm.sh"

lab_up() { # FLEET [--hosts A,B] [--vm A,B:grub] [--binary PATH] [--params JSON] [--no-wait]
    local name=${1:-} hosts=vps,homeserver binary='' params='{}' wait=1 host template
    case $name in '' | -* | *[!A-Za-z0-9_.-]*) die "up: which fleet? (letters, digits, _ . -)" ;; esac
    shift
    while [ $# -gt 0 ]; do
        case $1 in
        --hosts) hosts=$(expand_hosts "$2") && shift ;;
        --vm) vms=$2 && shift ;;
        --binary) binary=$(readlink -f "$2") && shift ;;
        --params) params=$2 && shift ;;
        --no-wait) wait= ;;
        *) die "up: what is '$1'?" ;;
        esac
        shift
    done
    [ -z "$binary" ] || [ -x "$binary" ] || die "up: $binary is no program"
    lab_needs >&2
    [ -z "$vms" ] || expand_vms "$hosts"
    hosts_of "$hosts" >/dev/null
    ensure_base
    [ -z "$vms" ] || ensure_tools

    mkdir -p "$lab/fleets"
    mkdir "$lab/fleets/$name" 2>/dev/null || die "fleet '$name' is there already; \`lab.sh down $name\` first"
    fleet=$lab/fleets/$name
    trap 'undo $?' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    ensure_template "$hosts" "$params" "$fleet/template"
    printf '%s\n' "$binary" >"$fleet/binary"
    claim_id
    make_network

    for host in ${hosts//,/ }; do make_host "$host"; done
    workstation laptop
    inventory "$hosts" >"$fleet/ws/laptop/root/root/fleet/inventory.yaml"

    # The hub first: a spoke whose first handshake goes unanswered tries again only after five seconds.
    case ,$hosts, in
    *,vps,*)
        power_on vps
        until_true "$(patience vps 20)" tunnel_is_open vps ||
            die "the hub does not come up; see $fleet/hosts/vps/console.log"
        ;;
    esac
    for host in ${hosts//,/ }; do [ "$host" = vps ] || power_on "$host"; done
    if [ -n "$wait" ]; then
        set --
        for host in ${hosts//,/ }; do
            lab_wait_ssh "$name" "$host" &
            set -- "$@" $!
        done
        for host in "$@"; do wait "$host" || exit 1; done
    fi
    trap - EXIT INT TERM HUP
}

# $vms, with the boot loader of each that was given none.
expand_vms() { # HOSTS
    local given=$vms host loader
    vms=''
    for host in ${given//,/ }; do
        loader=$(table_of "${host%%:*}" | cut -f 5) # ends it where no such host is
        case $host in *:*) loader=${host#*:} ;; esac
        case $loader in systemd-boot | grub) ;; *) die "up: a vm has systemd-boot or grub, not '$loader'" ;; esac
        case ,$1, in *,"${host%%:*}",*) ;; *) die "up: ${host%%:*} is none of the hosts" ;; esac
        vms+=,${host%%:*}:$loader,
    done
}

# A fleet that did not come up leaves nothing but the reason.
undo() { # STATUS
    trap - EXIT
    [ "$1" = 0 ] || tail -n 5 "$fleet"/hosts/*/console.log >&2 2>/dev/null || true
    lab_down "${fleet##*/}"
    exit "$1"
}

# A number of its own for names that must be short and unique on the whole machine. The kernel's mkdir of a cgroup
# decides who has it.
claim_id() {
    local n=1
    # Else "too many open files" from a few hosts on.
    [ "$(cat /proc/sys/fs/inotify/max_user_instances)" -ge 4096 ] || echo 4096 >/proc/sys/fs/inotify/max_user_instances
    until mkdir "$cgroup2/lab-$n" 2>/dev/null; do
        [ $n -lt 10000 ] || die "cannot make a cgroup in $cgroup2"
        n=$((n + 1))
    done
    id=lab-$n
    echo "$id" >"$fleet/id"
    # Leaves: a group of processes that has groups in it can be given no limits.
    mkdir "$cgroup2/$id/ws" "$cgroup2/$id/mains"
    [ -z "$cgroup1" ] || mkdir -p "$cgroup1/$id"
}

# The namespace is the internet: a router with every host on a cable of its own. Behind NAT means: nothing new gets in.
make_network() {
    (
        flock 9 # ip's first mount of /run/netns is a race
        ip netns add "$id"
    ) 9>"$lab/fleets/lock"
    printf '%s\n' 'link set lo up' 'address add 198.51.100.1/32 dev lo' 'address add 203.0.113.1/32 dev lo' |
        ip -n "$id" -batch -
    nsenter --net="/run/netns/$id" bash -eu -c '
        echo 1 >/proc/sys/net/ipv4/ip_forward
        nft -f - <<EOF
table inet internet {
  chain forward {
    type filter hook forward priority filter; policy accept;
    ct state established,related accept
    ip daddr 203.0.113.0/24 drop
  }
}
EOF'
}

overlay() { # TARGET TMPFS SIZE LOWER: a file system that is gone with its mount
    mkdir -p "$1" "$2"
    mount -t tmpfs -o "size=$3" "lab" "$2"
    mkdir "$2/upper" "$2/work"
    mount -t overlay lab -o "lowerdir=$4:$base/root,upperdir=$2/upper,workdir=$2/work" "$1"
}

make_host() { # NAME
    local host=$fleet/hosts/$1 address vpn behind kind
    mkdir -p "$host/boot"
    # shellcheck disable=SC2034 # the columns of hosts.tsv
    IFS=$'\t' read -r _ address vpn behind _ kind <<<"$(hosts_of "$1")"
    echo "$address" >"$host/address"
    echo 0 >"$host/boots"
    if [ "$behind" = nat ]; then echo "-J root@198.51.100.10 root@$vpn"; else echo "root@$address"; fi >"$host/ssh"
    if [ "$kind" = vm ]; then
        echo "${tools:?}" >"$host/vm"
        echo "$base/ssh/id_ed25519" >"$host/key"
        cp --sparse=always "$template/hosts/$1/disk.img" "$template/hosts/$1/variables.fd" "$host/"
        return
    fi
    overlay "$host/root" "$host/disk" "${FLEETDEPLOY_LAB_DISK:-512m}" "$template/hosts/$1/root"
    mount -t tmpfs -o size=32m lab "$host/boot"
    cp -a "$template/hosts/$1/boot/." "$host/boot/"
}

# A workstation: the same keys, flake and store for each of them, with a cable of its own. Made when first asked for.
workstation() { # NAME
    local name=$1 ws=$fleet/ws/$1 binary
    case $name in laptop) n=2 ;; laptop2) n=3 ;; *) die "there are two workstations, laptop and laptop2" ;; esac
    base=${base:-$(sed -n 1p "$fleet/base")} template=$(cat "$fleet/template")
    echo "$base" >"$fleet/base"
    mkdir -p "$fleet/ws"
    exec 9>"$fleet/ws.lock"
    flock 9
    if [ ! -e "$ws/ready" ]; then
        overlay "$ws/root" "$ws/disk" 2g "$template/ws"
        mount -t proc proc "$ws/root/proc"
        mount --bind /dev "$ws/root/dev"
        mount --bind /dev/pts "$ws/root/dev/pts"
        read -r binary <"$fleet/binary" || true
        if [ -n "$binary" ]; then
            : >"$ws/root/usr/local/bin/fleetdeploy"
            mount --bind "$binary" "$ws/root/usr/local/bin/fleetdeploy"
        fi
        [ "$name" = laptop ] ||
            cp "$fleet/ws/laptop/root/root/fleet/"{inventory.yaml,params.json} "$ws/root/root/fleet/"
        echo "$name" >"$ws/root/etc/hostname"
        echo "198.51.100.$n" >"$ws/address"
        ip netns add "$id-$name"
        ip -n "$id" link add "$name" type veth peer name eth0 netns "$id-$name"
        printf '%s\n' 'link set lo up' "address add 198.51.100.$n/32 dev eth0" 'link set eth0 up' \
            'route add default via 198.51.100.1 dev eth0 onlink' |
            ip -n "$id-$name" -batch -
        plug_in "$name" "$ws"
        : >"$ws/ready"
    fi
    exec 9>&-
}

inventory() { # HOSTS
    local host address vpn behind
    echo "hosts:"
    for host in ${1//,/ }; do
        IFS=$'\t' read -r _ address vpn behind _ <<<"$(hosts_of "$host")"
        echo "  $host:"
        if [ "$behind" = nat ]; then
            printf '    address: %s\n    jump: vps\n' "$vpn"
        else
            printf '    address: %s\n' "$address"
        fi
        printf '    user: root\n    vpn: %s\n' "$vpn"
    done
    cat <<EOF
fleets:
  homelab:
    flake: .
    hosts: [${1//,/, }]
    guard: 15m
    steady: 0s
    checks:
      - vpn: mesh
EOF
}

tunnel_is_open() { # HOST: its WireGuard listens on UDP port 51820, 0xCA6C
    if [ -e "$fleet/hosts/$1/vm" ]; then
        (lab_host "${fleet##*/}" "$1" -- grep -q ':CA6C ' /proc/net/udp) 2>/dev/null
        return
    fi
    leader "$1"
    [ -n "$leader" ] && { mapfile -t sockets <"/proc/$leader/net/udp"; } 2>/dev/null &&
        [[ ${sockets[*]} = *:CA6C\ * ]]
}

lab_down() { # FLEET | --all; also half of one, also twice
    local name=${1:?} id group path
    if [ "$name" = --all ]; then
        for path in "$lab"/fleets/*/; do [ ! -d "$path" ] || lab_down "$(basename "$path")"; done
        return
    fi
    case $name in */* | .*) die "down: '$name'?" ;; esac
    fleet=$lab/fleets/$name
    [ -d "$fleet" ] || return 0
    id=$(cat "$fleet/id" 2>/dev/null || true)
    if [ -n "$id" ]; then
        for path in "$fleet"/hosts/*/; do [ ! -d "$path" ] || : >"$path/is-off"; done
        # Everything that runs for this fleet is in its cgroup, whoever started it.
        until_true 20 nothing_runs ||
            die "some processes of fleet '$name' do not end: $(cat "$cgroup2/$id"/**/cgroup.procs | xargs)"
        for path in /run/netns/"$id" /run/netns/"$id"-*; do
            [ ! -e "$path" ] || ip netns del "$(basename "$path")"
        done
        rm -rf /run/systemd/nspawn/propagate/"$id"-*
    fi
    # Deepest first; lazily where a process of somebody else looks in.
    awk -v under="$fleet/" 'index($5, under) == 1 { print $5 }' /proc/self/mountinfo | sort -r | while read -r path; do
        umount "$path" 2>/dev/null || umount -l "$path"
    done
    if [ -n "$id" ]; then
        # The one that claims the number is the last: what has it is another fleet's from then on.
        for group in ${cgroup1:+"$cgroup1/$id"} /sys/fs/cgroup/{memory,cpu}/"$id"-* "$cgroup2/$id"; do
            until_true 5 remove_group "$group" || die "cannot remove $group"
        done
    fi
    ! grep -qF " $fleet/" /proc/self/mountinfo || die "something is still mounted under $fleet"
    rm -rf "$fleet"
}

nothing_runs() {
    [ -d "$cgroup2/$id" ] || return 0
    echo 1 >"$cgroup2/$id/cgroup.kill"
    grep -qx 'populated 0' "$cgroup2/$id/cgroup.events"
}

# Once it is gone nobody looks again: a new one of that name is another fleet's.
remove_group() {
    [ -d "$1" ] || return 0
    find "$1" -mindepth 1 -depth -type d -exec rmdir {} + 2>/dev/null
    rmdir "$1" 2>/dev/null
}
