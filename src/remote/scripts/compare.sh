# shellcheck shell=sh
# compare OLD NEW: how two systems differ, if both are here. Changes nothing.
#
# Answers `kept yes|no`: whether NEW is here; if so the lines of compare_systems. And, for who has NEW elsewhere, what
# was booted here: `booted PART PATH` and `booted_params TEXT`.
# Needs lib.sh, boot.sh and comparing.sh.
# shellcheck disable=SC2154 # their variables

main() {
    demand is_store_path "$1" "$2"
    read_systems
    if is_kept "$2"; then
        put kept yes
        compare_systems "$1" "$2"
    else
        put kept no
    fi
    if [ -n "$booted" ]; then
        for compare_part in kernel initrd kernel-modules; do
            put booted "$compare_part $(part_of "$booted" "$compare_part")"
        done
        put booted_params "$(exec cat "$root$booted/kernel-params" 2>/dev/null)"
    fi
    finish
}
