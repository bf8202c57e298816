#!/usr/bin/env bash
# Shows fleetdeploy at work on two hosts that boot on this machine: a good push, then one that breaks the VPN.
set -uo pipefail
cd "$(dirname "$(readlink -f "$0")")/.." || exit 1

usage() {
    cat <<'HELP'
usage: scripts/demo.sh [--keep] [--no-install]
  --keep         leave the fleet up at the end, to play with; says how
  --no-install   install nothing: say what is missing

As root on Debian 12 or later it installs what it needs, by apt-get, but for Rust itself. The hosts and their network
live in namespaces of their own: nothing outside of this machine is contacted, but for the packages.

exit: 0 everything went as announced, 1 not, 2 usage, 3 something is missing here
HELP
}

keep='' no_install=''
for option in "$@"; do
    case $option in
    --keep) keep=1 ;;
    --no-install) no_install=1 ;;
    -h | --help) usage && exit ;;
    *) usage >&2 && exit 2 ;;
    esac
done
# shellcheck source=scripts/needs.sh
. scripts/needs.sh

strong='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then strong=$'\e[1m' plain=$'\e[0m'; fi
title() { printf '\n%s=== %s ===%s\n' "$strong" "$1" "$plain"; }
say() { printf '%s\n' "$@"; }

failed() {
    printf '\n%sTHE DEMO DID NOT GO AS ANNOUNCED: %s%s\n' "$strong" "$1" "$plain"
    exit 1
}

# --- what is needed ---

has cargo || {
    how_to_get_rust
    exit 3
}
need cc gcc libc6-dev
need update-ca-certificates ca-certificates # cargo downloads the crates
install_needs
has cc || exit 3
if may_install && ! scripts/lab.sh needs >/dev/null; then
    title "Installing what it takes to boot hosts here"
    scripts/lab.sh install
fi
scripts/lab.sh needs || exit 3

title "Building fleetdeploy"
cargo build --locked || exit 1
binary=$(cargo metadata --locked --no-deps --format-version 1 |
    sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/debug/fleetdeploy

# --- the fleet ---

fleet=demo-$$
cleanup() {
    trap '' INT TERM HUP
    [ -n "$keep" ] || scripts/lab.sh down "$fleet"
}
trap cleanup EXIT
trap 'keep=; exit 130' INT
trap 'keep=; exit 143' TERM
trap 'keep=; exit 129' HUP

on_workstation() { scripts/lab.sh ws "$fleet" -- "$@"; }
in_host() { scripts/lab.sh host "$fleet" "$@"; }

run() { # shows the command as the person on the workstation would type it
    printf '\n%slaptop$ %s%s\n' "$strong" "$*" "$plain"
    on_workstation "$@"
}

show_hosts() {
    local host
    say "" "What the hosts themselves say:"
    for host in vps homeserver; do
        printf '  %-11s runs %s, a reboot would bring %s; it has booted %s time(s)\n' "$host" \
            "$(running "$host")" "$(boot_default "$host")" "$(scripts/lab.sh boots "$fleet" "$host")"
    done
}

# The name of a host's system, without the store's folder and the hash.
name_of() {
    local path
    read -r path
    path=${path##*/}
    echo "${path#*-}"
}

running() { in_host "$1" -- readlink /run/current-system | name_of; }

boot_default() { # as the boot loader has it
    # shellcheck disable=SC2016 # the host's
    in_host "$1" -- bash -c 'entry=$(sed -n "s/^default //p" /boot/loader/loader.conf)
        sed -n "s|^options init=\([^ ]*\)/init.*|\1|p" "/boot/loader/entries/$entry"' | name_of
}

title "Booting two hosts"
say "A vps with a fixed address; a homeserver behind NAT, which is reached only through the vps and the WireGuard" \
    "tunnel between them; and a laptop, which pushes to both. (The first time their file systems are built: a minute" \
    "or two.)"
scripts/lab.sh up "$fleet" --binary "$binary" || exit 1
show_hosts

# --- a good change ---

title "1. A good change"
how_it_looks="lines, each with its host in front"
if [ -t 1 ]; then
    how_it_looks="a row for each host, the ten phases above the rows, and a sentence that says what protects the fleet"
fi
say "What is seen of a push here: $how_it_looks." ""
say "Both hosts get version 2 of their system. Watch: guards are armed first; the new systems are activated, but not" \
    "yet made the boot default; every link is probed from both hosts; only then the change becomes permanent and the" \
    "guards go."
for host in vps homeserver; do scripts/lab.sh set "$fleet" "$host" version '"2"'; done
run fleetdeploy push homelab
status=$?
say "" "(exit status $status)"
[ $status = 0 ] || failed "the good push ended with $status, not with 0"
show_hosts
say "" "That is: both run version 2, a reboot would bring version 2, and neither was rebooted for it."

# --- a change that breaks the VPN ---

title "2. A change that breaks the VPN"
say "The vps gets version 3, with a wrong WireGuard key. Its activation will look fine on the vps itself, and the" \
    "homeserver will be out of reach: by hand, this is the moment to fetch the car keys. Watch: the links do not come" \
    "up, both hosts go back. --settle 20s: links are given 20 seconds to come up, not the usual minute."
for host in vps homeserver; do scripts/lab.sh set "$fleet" "$host" version '"3"'; done
scripts/lab.sh set "$fleet" vps wg_key '"wrong"'
run fleetdeploy push homelab --settle 20s
status=$?
say "" "(exit status $status: the answer is no, and every host was seen on its old system)"
[ $status = 1 ] || failed "the bad push ended with $status, not with 1"
show_hosts
say "" "That is: both run version 2 again, and would boot it. A host that has booted twice was brought back by the" \
    "reboot of its guard; one that has booted once, over ssh, as soon as the tunnel was there again."
say "" "And the tunnel is up again, as every link says:"
run fleetdeploy check homelab || failed "a link is down after the roll back"

for host in vps homeserver; do
    case "$(running "$host") $(boot_default "$host")" in *.2\ *.2) ;; *) failed "$host is not back on version 2" ;; esac
done

title "The end"
if [ -n "$keep" ]; then
    say "The fleet stays up. To play with it:" \
        "  scripts/lab.sh ws $fleet                     a shell on the laptop, where the inventory and the flake are" \
        "  scripts/lab.sh set $fleet vps version '\"4\"'  another change (all: scripts/lab/fleet/nixos/params.nix)" \
        "  scripts/lab.sh host $fleet homeserver        a shell inside a host, also when its network is gone" \
        "  scripts/lab.sh down $fleet                   the end of it"
else
    say "The hosts are gone. What stays for the next time: packages, target/, and the hosts' base file system in" \
        "${FLEETDEPLOY_LAB:-/var/lib/fleetdeploy-lab}. Run it with --keep to play with the fleet."
fi
