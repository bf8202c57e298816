# shellcheck shell=sh
# What of a system is on this host, and how it differs from another. Functions only; sent with lib.sh.
# shellcheck disable=SC2154 # its variables

# is_kept SYSTEM. A path that is there and not valid is one that a garbage collector, or a copy that was cut off, has
# left.
is_kept() {
    [ -e "$root$1" ] && timeout 20 nix-store --check-validity "$1" 2>/dev/null
}

# compare_systems OLD NEW: packages as Nix tells them, and what only a reboot brings. Whatever cannot be found out is
# left out, and stops nothing.
compare_systems() {
    tell_changes "$1" "$2"
    put_changes
    put_reboot_for "$2"
}

# tell_changes OLD NEW: $compare_told is yes where Nix has both, and $compare_changes what it says.
tell_changes() {
    compare_told=no
    # Offline: what is not in the store here is not to be fetched for this.
    compare_changes=$(exec timeout -k 1 20 nix --extra-experimental-features nix-command --offline \
        store diff-closures "$1" "$2" </dev/null 2>/dev/null) && compare_told=yes
}

put_changes() {
    [ "$compare_told" = yes ] || return 0
    put compared yes
    # A package with many outputs has many versions on its line.
    [ -z "$compare_changes" ] || put_each change 4000 <<CHANGES
$compare_changes
CHANGES
}

# put_reboot_for SYSTEM: `reboot_for WHAT` for each part in which it differs from what was booted and which only a
# reboot brings.
put_reboot_for() {
    [ -z "$booted" ] || put_parts reboot_for "$booted" "$1"
}

# put_brought OLD NEW: `brings WHAT` for each such part in which NEW differs from OLD, if OLD runs and was never booted:
# then what a reboot brings was pending before NEW.
put_brought() {
    [ "$1" = "$booted" ] || put_parts brings "$1" "$2"
}

# put_parts WORD OLD NEW: `WORD WHAT` for each part in which NEW differs from OLD and which only a reboot brings.
put_parts() {
    [ -e "$root$3/nixos-version" ] || return 0
    for compare_part in kernel initrd kernel-modules; do
        # One and the same file needs no process.
        # shellcheck disable=SC3013 # dash and bash have -ef
        [ "$root$2/$compare_part" -ef "$root$3/$compare_part" ] ||
            [ "$(part_of "$2" "$compare_part")" = "$(part_of "$3" "$compare_part")" ] ||
            put "$1" "$compare_part"
    done
    read_line "$root$2/kernel-params"
    compare_here=$line
    read_line "$root$3/kernel-params"
    [ "$compare_here" = "$line" ] || put "$1" kernel-params
}

# part_of SYSTEM PART: where it leads to; nothing where there is none, as in a container.
part_of() {
    [ ! -e "$root$1/$2" ] || readlink -f "$root$1/$2"
}
