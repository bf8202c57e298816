# shellcheck shell=bash
# by_hand.sh LINKS HOST…: the six steps of a push by hand, on the workstation, for all hosts at once: build, copy,
# `test`, a ping of each address in LINKS, profile and `switch`, a look. No guard, no proof. ssh knows each HOST as
# `by-hand-HOST`. Prints `step NAME` when one begins, and `ended`.
set -eu
links=$1
shift
master=(-o BatchMode=yes -o ControlMaster=auto -o ControlPersist=60 -o ControlPath=/tmp/by-hand-%C)
declare -A systems

# for_all COMMAND HOST…: COMMAND HOST for each, side by side.
for_all() {
    local host command=$1 pids=()
    shift
    for host; do
        "$command" "$host" </dev/null >/dev/null &
        pids+=("$!")
    done
    for host in "${pids[@]}"; do wait "$host"; done
}

on() { # HOST COMMAND
    # shellcheck disable=SC2029 # it is this side that knows the system
    ssh "${master[@]}" "by-hand-$1" "$2"
}

login() { on "$1" true; }
copy() { NIX_SSHOPTS="${master[*]}" nix copy --to "ssh://by-hand-$1" "${systems[$1]}"; }
try() { on "$1" "${systems[$1]}/bin/switch-to-configuration test"; }
look_at_links() { on "$1" "for link in $links; do ping -n -c 1 -W 2 \$link & done; wait"; }
switch() {
    on "$1" "nix-env -p /nix/var/nix/profiles/system --set ${systems[$1]} &&
        ${systems[$1]}/bin/switch-to-configuration switch"
}
look() { on "$1" "readlink /run/current-system /nix/var/nix/profiles/system; systemctl --failed"; }
leave() { ssh "${master[@]}" -O exit "by-hand-$1" 2>/dev/null || true; }

echo step build
attributes=()
for host; do attributes+=(".#nixosConfigurations.$host.config.system.build.toplevel"); done
built=$(nix build --no-link --print-out-paths "${attributes[@]}")
mapfile -t built <<<"$built"
for host; do systems[$host]=${built[0]} built=("${built[@]:1}"); done
echo step copy
for_all login "$@"
for_all copy "$@"
echo step test
for_all try "$@"
echo step verify
[ -z "$links" ] || for_all look_at_links "$@"
echo step switch
for_all switch "$@"
echo step look
for_all look "$@"
for_all leave "$@"
echo ended
