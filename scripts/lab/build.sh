# shellcheck shell=bash
# What is built once and kept: the machine's own programs, the base file system, and templates: a workstation that has
# built the first systems, and hosts that have them installed. A fleet is then only overlay mounts.
: "${code:?}" "${lab:?}" "${cgroup2?}"
# shellcheck source=scripts/needs.sh
. "$code/../needs.sh"

# What it runs, each with the package of Debian that has it.
programs='systemd-nspawn systemd-container
debootstrap debootstrap
ip iproute2
nft nftables
nsenter util-linux
flock util-linux
setsid util-linux
ssh-keygen openssh-client
apt-get apt'

missing() { # a line for each thing this machine lacks
    local program
    [ "$(uname -s)" = Linux ] || echo "Linux"
    [ "$(id -u)" = 0 ] || echo "root"
    while read -r program package; do
        command -v "$program" >/dev/null 2>&1 || echo "the program $program (package $package)"
    done <<<"$programs"
    [ -c /dev/net/tun ] || echo "/dev/net/tun"
    [ -n "$cgroup2" ] || echo "the unified cgroup hierarchy (cgroup2)"
    [ ! -d "$cgroup2" ] || [ -w "$cgroup2" ] || echo "a writable $cgroup2"
    grep -qw overlay /proc/filesystems || echo "overlay file systems in the kernel"
}

lab_needs() {
    local list
    list=$(missing)
    [ -n "$list" ] || return 0
    printf 'This machine cannot run the lab yet. It lacks:\n%s\n' "$list"
    echo "On Debian 12 or later, as root: scripts/lab.sh install"
    return 1
}

lab_install() {
    local program package
    while read -r program package; do
        need "$program" "$package"
    done <<<"$programs"
    install_needs
    lab_needs
}

hash_of() { sha256sum | cut -c 1-16; }

# $base: the base file system's directory, made if it is not there yet.
ensure_base() {
    base=$lab/base/$(cat "$code/base.sh" "$code/hosts.tsv" | hash_of)
    [ -e "$base/done" ] && return
    mkdir -p "$lab/base"
    exec 9>"$lab/base/lock"
    flock 9
    if [ ! -e "$base/done" ]; then
        echo "lab.sh: building the base file system, about a minute; log in $base.log" >&2
        rm -rf "$base.new"
        mkdir -p "$base.new"
        "$code/base.sh" "$base.new" >"$base.log" 2>&1 9>&- || {
            tail -n 20 "$base.log" >&2
            die "the base file system cannot be built"
        }
        : >"$base.new/done"
        rm -rf "$base"
        mv "$base.new" "$base"
    fi
    exec 9>&-
}

lab_base() { # [--vm]
    case ${1:-} in '' | --vm) ;; *) die "base: what is '$1'?" ;; esac
    lab_needs >&2
    ensure_base
    ensure_template vps,homeserver '{}' /dev/null
    if [ -n "${1:-}" ]; then
        ensure_tools
        vms=,web:systemd-boot,
        ensure_template vps,web '{}' /dev/null
    fi
    echo "$base"
}

# Hosts with a firmware, HOST:LOADER with commas around each.
vms=${vms:-}

# The fleet's part of hosts.tsv: hosts_of A,B prints their lines. Numbered hosts stand in no table. A sixth column says
# `vm` of hosts with a firmware.
hosts_of() {
    local host address vpn behind loader kind table
    table=$(table_of "$1") || return
    while IFS=$'\t' read -r host address vpn behind loader; do
        kind=container
        case $vms in
        *,"$host":*)
            kind=vm
            loader=${vms##*,"$host":} loader=${loader%%,*}
            ;;
        esac
        printf '%s\t' "$host" "$address" "$vpn" "$behind" "$loader"
        printf '%s\n' "$kind"
    done <<<"$table"
}

table_of() {
    local host n
    for host in ${1//,/ }; do
        n=${host#n}
        case $host:$n in
        n[1-9]:? | n[1-9][0-9]:??) printf '%s\t198.51.100.%s\t10.100.0.%s\t-\tsystemd-boot\n' "$host" \
            $((100 + n)) $((100 + n)) ;;
        *) grep -P "^$host\t" "$code/hosts.tsv" || die "hosts.tsv knows no host '$host'" ;;
        esac
    done
}

# expand_hosts A,n1..n3: A,n1,n2,n3
expand_hosts() {
    local host n expanded=''
    for host in ${1//,/ }; do
        if [[ $host =~ ^n([1-9][0-9]?)\.\.n([1-9][0-9]?)$ ]]; then
            for ((n = BASH_REMATCH[1]; n <= BASH_REMATCH[2]; n++)); do expanded+=,n$n; done
        else
            expanded+=,$host
        fi
    done
    echo "${expanded#,}"
}

# $template: the directory for these hosts and first parameters, made if it is not there yet. Its name goes to FILE
# while the lock of all is held, so that nobody clears it away.
ensure_template() { # HOSTS PARAMS FILE
    local recipe old
    recipe=$({ echo "$base" && cat "$code/build.sh" && cd "$code" &&
        find fleet firmware bootctl hosts.tsv -type f | sort | xargs sha256sum; } | hash_of)
    template=$lab/template/$recipe-$({
        printf '%s %s' "$1" "$2"
        [ -z "$vms" ] || { echo " $vms $tools" && cat "$code"/vm.sh "$code"/vm/*; }
    } | hash_of)
    mkdir -p "$lab/template"
    exec 9>"$lab/template/lock"
    flock 9
    printf '%s\n' "$template" >"$3"
    if [ ! -e "$template/done" ]; then
        for old in "$lab"/template/*-*; do
            case $old in "$lab/template/$recipe-"* | *'*'*) continue ;; esac
            # Nor one that is being made, which has the lock below.
            grep -qsxF "$old" "$lab"/fleets/*/template || flock -n "$old" rm -rf "$old" || true
        done
        mkdir -p "$template"
        # A lock for each: while one is made, which takes seconds, the fleets of others come up.
        exec 8<"$template"
        flock -n 8 || {
            exec 9>&- # somebody else makes it
            flock 8
        }
    fi
    exec 9>&-
    if [ ! -e "$template/done" ]; then
        rm -rf "${template:?}"/*
        (make_template "$1" "$2") >"$template.log" 2>&1 8<&- || {
            tail -n 20 "$template.log" >&2
            die "the first systems cannot be built; log in $template.log"
        }
        : >"$template/done"
    fi
    exec 8<&-
}

# What it mounts goes away with the mount namespace.
make_template() { # HOSTS PARAMS
    mkdir -p "$template/making"
    hosts_of "$1" >"$template/hosts.tsv"
    printf '%s\n' "$2" >"$template/params.json"
    export template base code lab tools
    unshare --mount --net bash -eu "$code/template.sh" || return 1
    rm -rf "${template:?}/work"
}
