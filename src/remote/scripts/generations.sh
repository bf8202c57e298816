# shellcheck shell=sh
# generations SYSTEM: the generations of this host's system profile, and whether SYSTEM (`-` is none) is still here.
#
# Changes nothing. Answers `generation NUMBER TIME here|gone SYSTEM` for each, TIME in seconds since 1970 of the day it was
# made, and `kept yes|no`.
# Needs lib.sh.
# shellcheck disable=SC2154 # its variables

main() {
    demand is_expectation "$1"
    if [ "$1" != - ]; then
        if is_kept "$1"; then put kept yes; else put kept no; fi
    fi
    # The link's own time is what `nix-env --list-generations` shows. Source: nix, libstore/profiles.cc.
    stat -c '%Y %n' "$profiles"/system-*-link 2>/dev/null | while read -r generation_time generation_link; do
        generation_link=${generation_link##*/}
        generation_number=${generation_link#system-}
        generation_number=${generation_number%-link}
        is_number "$generation_number" || continue
        resolve "/nix/var/nix/profiles/$generation_link" || continue
        generation_state=gone
        [ ! -e "$root$resolved" ] || generation_state=here
        put generation "$generation_number $generation_time $generation_state $resolved"
    done
    finish
}

# A path that is there and not valid is one that a garbage collector, or a copy that was cut off, has left.
is_kept() {
    [ -e "$root$1" ] && timeout 20 nix-store --check-validity "$1" 2>/dev/null
}
