#!/usr/bin/env bash
# Makes the records behind docs/screens.md anew: real runs on the lab, good ones and bad ones, with what the hosts
# themselves say at the end of each.
set -eu
cd "$(dirname "$(readlink -f "$0")")/.."

usage() {
    cat <<'HELP'
usage: scripts/screens.sh [NAME…]
  NAME   only these runs: good mesh vpn lost loader rollback reboot killed hand cable

As root, where the lab runs (scripts/lab.sh needs). Writes into tests/fixtures/screens NAME.jsonl, the events of a run,
and NAME.hosts, how its hosts stood afterwards. FLEETDEPLOY_BLESS=1 cargo test --test screens writes docs/screens.md.
HELP
}

case ${1:-} in -h | --help) usage && exit ;; esac
wanted=("$@")
[ $# -gt 0 ] || wanted=(good mesh vpn lost loader rollback reboot killed hand cable)

cargo build --locked
target=$(cargo metadata --locked --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
hosts=(vps homeserver web)
fleet=screens-$$
version=1
out=tests/fixtures/screens
mkdir -p "$out"
trap 'scripts/lab.sh down "$fleet" || true' EXIT
scripts/lab.sh up "$fleet" --hosts "$(IFS=,; echo "${hosts[*]}")" --binary "$target/debug/fleetdeploy" >/dev/null

ws() { scripts/lab.sh ws "$fleet" -- "$@"; }
set_of() { scripts/lab.sh set "$fleet" "$@"; }

# Short times, as in the lab's tests; the guards differ, as in many fleets.
inventory() {
    ws tee inventory.yaml >/dev/null <<YAML
defaults:
  user: root
  guard: 140s
  boot_time: 40s
  limits: {connect: 15s, step: 15s, test: 40s, switch: 20s, rollback: 25s}
hosts:
  vps:
    address: 198.51.100.10
    vpn: 10.100.0.1
  homeserver:
    address: 10.100.0.2
    jump: vps
    vpn: 10.100.0.2
  web:
    address: 198.51.100.30
    vpn: 10.100.0.3
    guard: 200s
fleets:
  homelab:
    hosts: all
    flake: .
    settle: 18s
    steady: 0s
    checks:
      - vpn: mesh
      - name: app
        tcp: 8080
        from: [homeserver, web]
        to: vps
YAML
}

# A new version for every host, without any fault.
change() {
    version=$((version + 1))
    for host in "${hosts[@]}"; do set_of "$host" version "\"$version\""; done
}

# Starts a command in the background; its pid is $typed. Its screen is thrown away, its record is kept.
start() {
    scripts/lab.sh ws "$fleet" -- fleetdeploy "$@" --json >"$target/screens.jsonl" 2>"$target/screens.err" &
    typed=$!
}

# Waits until the command has told this event, by a pattern of grep.
heard() {
    local tries=600
    until grep -q -- "$1" "$target/screens.jsonl" 2>/dev/null; do
        tries=$((tries - 1))
        if [ $tries = 0 ] || ! kill -0 "$typed" 2>/dev/null; then
            echo "never heard: $1" >&2
            return 1
        fi
        sleep 0.2
    done
}

# The process of fleetdeploy below this one: no other fleetdeploy of this machine is meant.
below() { # PID
    local child children
    if [ "$(cat "/proc/$1/comm" 2>/dev/null)" = fleetdeploy ]; then echo "$1" && return; fi
    read -ra children <"/proc/$1/task/$1/children" || true
    for child in "${children[@]}"; do below "$child"; done
}

# Sends a signal to what was started.
signal() { # NAME
    local pid
    pid=$(below "$typed" | head -n 1)
    [ -n "$pid" ] || { echo "there is no fleetdeploy below $typed" >&2 && return 1; }
    kill "-$1" "$pid"
}

# Waits for the end of what was started, and keeps its events as NAME.
keep() { # NAME
    local status=0
    wait "$typed" || status=$?
    cp "$target/screens.jsonl" "$out/$1.jsonl"
    hosts_now "$1" "$status"
}

# How the hosts stand, from inside of each: also of one that no network reaches.
hosts_now() { # NAME STATUS
    local host
    {
        echo "exit status $2"
        for host in "${hosts[@]}"; do
            if ! scripts/lab.sh host "$fleet" "$host" -- true 2>/dev/null; then
                echo "$host is switched off"
                continue
            fi
            # shellcheck disable=SC2016 # the host's
            scripts/lab.sh host "$fleet" "$host" -- sh -c 'name() { basename "$(readlink -f "$1")" | cut -d- -f2-; }
                guard=unguarded
                systemctl is-active --quiet "fleetdeploy-guard*" && guard="under a guard"
                echo "'"$host"' runs $(name /run/current-system), $guard"'
            echo "$host has booted $(scripts/lab.sh boots "$fleet" "$host") times"
        done
    } >"$out/$1.hosts"
}

up_again() { for host in "${hosts[@]}"; do scripts/lab.sh wait-ssh "$fleet" "$host" 120 >/dev/null; done; }

run_good() { # every host changes, each takes a moment
    change
    for host in "${hosts[@]}"; do set_of "$host" activate '"slow:3"'; done
    set_of web reboot_needed true
    start push homelab
    keep good
    for host in "${hosts[@]}"; do set_of "$host" activate null; done
    set_of web reboot_needed null
}

run_vpn() { # a wrong key: the VPN of vps is down, and homeserver behind it out of reach
    change
    set_of vps wg_key '"wrong"'
    start push homelab
    keep vpn
    set_of vps wg_key null
    up_again
}

run_mesh() { # a wrong key: the tunnel of web is down, and nothing else
    change
    set_of web wg_key '"wrong"'
    start push homelab
    keep mesh
    set_of web wg_key null
}

run_lost() { # homeserver cuts itself off: only its guard can bring it back; a person leaves meanwhile
    change
    set_of homeserver wg_key '"wrong"'
    start push homelab
    heard '"event":"may_leave","may":true'
    sleep 4
    signal INT
    sleep 2
    signal INT
    keep left
    set_of homeserver wg_key null
    up_again
    start recover homelab
    keep after-left
}

run_loader() { # the boot loader of web cannot be installed, after the decision
    change
    set_of web loader '"fails"'
    start push homelab
    keep loader
    set_of web loader null
}

run_cable() { # homeserver's cable is pulled in the middle of the test, and its power cut: it never comes back in time
    change
    set_of homeserver activate '"slow:6"'
    start push homelab
    heard '"event":"phase_started","phase":"test"'
    sleep 1
    scripts/lab.sh cable "$fleet" homeserver down
    keep cable
    scripts/lab.sh cable "$fleet" homeserver up
    set_of homeserver activate null
    up_again
    start recover homelab
    wait $typed || true
}

run_rollback() {
    start rollback homelab
    keep rollback
}

run_reboot() {
    start reboot homelab
    keep reboot
}

run_killed() { # the laptop dies in verify; another one types recover
    change
    set_of web wg_key '"wrong"'
    start push homelab
    heard '"event":"links_moved"'
    signal KILL
    wait $typed || true
    set_of web wg_key null
    start recover homelab
    keep killed
    up_again
}

run_hand() {
    start guard arm homelab --guard 5m
    keep hand
    ws fleetdeploy guard disarm homelab >/dev/null 2>&1
}

inventory
for name in "${wanted[@]}"; do
    echo "--- $name"
    "run_$name"
done
