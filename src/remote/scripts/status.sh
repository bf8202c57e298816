# shellcheck shell=sh
# status: the survey, and what a person wants to know beyond it. One round trip. It changes nothing but a mark
# of ours that has proven wrong (witness.sh).
# Needs lib.sh, traces.sh, boot.sh, wireguard.sh, comparing.sh and survey.sh, whose `main` this one takes the place of.
# shellcheck disable=SC2154 # their variables

main() {
    survey_all
    status_all
    finish
}

status_all() {
    # The link is made with its generation, and never touched again.
    status_made=$(exec stat -c %Y "$profiles/system-$generation-link" 2>/dev/null) && put generation_made "$status_made"
    status_space
    put_reboot_for "$current"
    status_kernel=$(part_of "$current" kernel)
    # /nix/store/HASH-linux-6.12.8/bzImage
    status_kernel=${status_kernel#/nix/store/*-}
    [ -z "$status_kernel" ] || put current_kernel "${status_kernel%%/*}"
}

# `space PLACE FREE SIZE`, in bytes, of what a system needs room on.
status_space() {
    set -- / /nix/store
    for status_place in /boot /efi /boot/efi; do
        ! mountpoint -q "$root$status_place" 2>/dev/null || set -- "$@" "$status_place"
    done
    for status_place in "$@"; do
        df -P -k "$root$status_place" 2>/dev/null |
            awk -v place="$status_place" 'NR > 1 { printf "space %s %.0f %.0f\n", place, $4 * 1024, $2 * 1024 }'
    done
}
