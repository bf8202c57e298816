# shellcheck shell=sh
# generations SYSTEM: the generations of this host's system profile, and whether SYSTEM (`-` is none) is still here.
#
# Changes nothing. Answers `generation NUMBER TIME here|gone SYSTEM` for each, TIME in seconds since 1970 of the day it
# was made, and `kept yes|no`.
# Needs lib.sh and comparing.sh.
# shellcheck disable=SC2154 # their variables

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
