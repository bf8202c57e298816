# shellcheck shell=sh
# The two steps of a trial, after job.sh in its file: to register what is tried, and to keep it. Neither moves the
# profile.
# Needs lib.sh, boot.sh, boot_once.sh, trials.sh and restore.sh.
# shellcheck disable=SC2034,SC2154 # their variables, and theirs to read

# The system that was booted becomes the boot default, and only then is our entry written: it is at rest there until a
# guard sets it as the next boot.
run_register() {
    read_plan booted
    old=$planned
    folder=$roots/$run
    read_systems
    look_for_boot_place
    if [ -n "$boot_missing" ]; then
        echo "nothing was installed: $boot_missing"
        return "$no_boot_place"
    fi
    register_more=$(trial_parameters "$trials/$run" "$run") || return "$not_to_be_tried"
    # Before anything is moved.
    { judge_own_entry && look_at_own_files "$new" && look_at_own_files "$old"; } || return "$not_to_be_tried"
    read_systems
    remove_stale_loader_files
    switch_to "$old" boot 0 NIXOS_NO_CHECK=1 || return
    within 30 sync
    read_systems
    echo "boot default: ${boot_default:-not known} ($loader)${next_boot:+, next boot $next_boot}"
    [ "$boot_default|$next_boot" = "$old|" ] || return 94
    are_whole "$old" || return 97
    # Its installer has written it anew.
    judge_own_entry || return 103
    if ! write_trial_entry "$new" "$register_more"; then
        echo "our own entry cannot be written, or is not read back as it was written"
        return 103
    fi
    entry_is_default "$new"
    are_whole "$new" || return 97
    # What the guard looks for before it goes, and what is kept must be like.
    printf '%s\n' "$written_text" 2>/dev/null >"$folder/entry" && within 10 sync "$folder/entry" "$folder" || return 95
    echo "our own entry is written: ${entry_file#"$root"}"
}

judge_own_entry() {
    if ! find_own_entry "$new"; then
        echo "the loader has no entry with a kernel for $new"
        return 1
    fi
    if [ "$loader" = grub ] && [ "$grub_reads_ours" != first ]; then
        echo "the menu of GRUB does not read our file, or its default is not its first entry"
        return 1
    fi
    judge_options "$register_more"
}

# look_at_own_files SYSTEM: whether kernel and initrd of the loader's own entry for it are whole.
look_at_own_files() {
    if ! find_own_entry "$1"; then
        echo "the loader has no entry with a kernel for $1"
        return 1
    fi
    entry_is_default "$1"
    are_whole "$1"
}

# entry_is_default SYSTEM: the reader takes the files of an entry from these; until read_systems.
entry_is_default() {
    boot_default=$1 boot_image='' boot_partition=$root$entry_place boot_initrds=$entry_initrds
    boot_kernel=$boot_partition$entry_kernel
}

# are_whole SYSTEM: kernel and initrd of the entry that was read last are the store's. What is not known is not enough
# here: a firmware that is given half of one hangs.
are_whole() {
    look_at_boot_files "$1"
    [ "$boot_files" != whole ] || return 0
    echo "kernel and initrd of $1: $boot_files"
    return 1
}

# What was tried becomes the boot default again. That it has proven itself is written last of all, and by nobody else:
# once it is there no guard goes back.
run_keep() {
    read_plan booted
    old=$planned
    folder=$roots/$run
    find_boot_again || return "$no_boot_place"
    remove_stale_loader_files
    switch_to "$new" boot 0 || return
    within 30 sync
    read_systems
    echo "boot default: ${boot_default:-not known} ($loader)${next_boot:+, next boot $next_boot}"
    [ "$booted|$current|$profile|$boot_default|$next_boot" = "$new|$new|$new|$new|" ] || return 94
    look_at_boot_files "$new"
    case $boot_files in
    bad*)
        echo "a reboot would not come up: ${boot_files#bad }"
        return 97
        ;;
    esac
    if ! is_like_the_tried; then
        echo "the entry that its installer has written has another kernel, initrd or other options than what was tried"
        return 104
    fi
    { true >"$folder/proven.new" && within 10 sync "$folder/proven.new" &&
        mv -f "$folder/proven.new" "$folder/proven" && within 10 sync "$folder"; } && return
    rm -f "$folder/proven"
    return 95
}

find_boot_again() {
    read_systems
    look_for_boot_place
    [ -n "$boot_missing" ] || return 0
    echo "nothing was installed: $boot_missing"
    return 1
}

# Whether the loader's own entry boots what was tried, less our words.
is_like_the_tried() {
    entry_file=$folder/entry
    is_entry_of "$new" || return
    like_more=" $(trial_parameters "$trials/$run" "$run")"
    like_tried="$entry_kernel|$entry_initrds|${entry_options%"$like_more"}"
    find_own_entry "$new" && [ "$like_tried" = "$entry_kernel|$entry_initrds|$entry_options" ]
}
