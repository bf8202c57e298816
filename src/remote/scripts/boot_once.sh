# shellcheck shell=sh
# An entry of our own for a system, to be booted once while the boot default stays: written, read back, set as the next
# boot, and taken away again. Every function reads back what it has done, and fails where that is not so. For
# systemd-boot, and for GRUB with boot_once_grub.sh.
#
# The entry is a copy of the loader's own for that system: what an installer adds to it (a device tree, secrets behind
# the initrd) must be there too. Nothing that the loader has is changed, and no number in its menu.
# shellcheck disable=SC2034,SC2154 # boot.sh's, its readers' and lib.sh's variables

# One name for all runs: an entry that a run has left is overwritten by the next, and found by everyone who cleans. It
# has small letters only: systemd-boot compares it so.
trial_entry=fleetdeploy-trial.conf
trial_title='fleetdeploy trial'

# How many bytes of the kernel's line we count on: it is cut at 2048, and the loader may add to it.
# Source: kernel, COMMAND_LINE_SIZE of x86 and arm64.
longest_line=1920

# ---- the loader's own entry ----

# find_own_entry SYSTEM: $entry_file has a kernel, and this system's init and no other's; it is the loader's.
find_own_entry() {
    if [ "$loader" = grub ]; then
        entry_place='' entry_file=$root$boot_config
        grub_is_entry_of "$1" "$entry_file"
        return
    fi
    for entry_place in "$boot_esp" $boot_extra; do
        for entry_file in "$root$entry_place"/loader/entries/*.conf; do
            case $entry_file in */"$trial_entry") continue ;; esac
            ! is_entry_of "$1" || return 0
        done
    done
    return 1
}

# is_entry_of SYSTEM: whether $entry_file is; $entry_kernel, $entry_initrds and $entry_options.
is_entry_of() {
    entry_kernel='' entry_initrds='' entry_options=''
    [ -r "$entry_file" ] || return 1
    if [ "$loader" = grub ]; then
        grub_is_entry_of "$1" "$entry_file"
        return
    fi
    while read -r entry_key entry_value || [ -n "$entry_key" ]; do
        case $entry_key in
        linux)
            [ -z "$entry_kernel" ] || return 1
            entry_kernel=$entry_value
            ;;
        initrd) entry_initrds="$entry_initrds${entry_initrds:+ }$entry_value" ;;
        efi | uki | uki-url) return 1 ;;
        options) entry_options="$entry_options${entry_options:+ }$entry_value" ;;
        esac
    done <"$entry_file"
    case " $entry_options " in *" init=$1/init "*) [ -n "$entry_kernel" ] ;; *) return 1 ;; esac
}

# judge_options PARAMETERS: whether the options of an entry can take ours; says why not. After is_entry_of.
judge_options() {
    judge_machine=$(exec uname -m)
    case $judge_machine in
    x86_64 | aarch64) ;;
    *)
        echo "how long the kernel's line may be is not known of $judge_machine"
        return 1
        ;;
    esac
    judge_words=" $(printf %s "$entry_options" | tr _ -) "
    case $judge_words in
    *[\ .]import-credentials[\ =]*)
        echo "its kernel's line has import_credentials of systemd: it might take no unit from there"
        return 1
        ;;
    *' crashkernel='*)
        echo "its kernel's line has crashkernel=: a panic would start another kernel, and not go back"
        return 1
        ;;
    *' -- '*)
        echo "its kernel's line has --: what follows it is not the kernel's"
        return 1
        ;;
    esac
    judge_line="$entry_options $1"
    if [ "$loader" = grub ]; then
        grub_takes_options || return
        # It puts the kernel before them.
        judge_line="BOOT_IMAGE=(hd00,gpt000)$entry_kernel $judge_line"
    fi
    [ "${#judge_line}" -le "$longest_line" ] && return
    echo "its kernel's line would have ${#judge_line} bytes, and more than $longest_line may be cut"
    return 1
}

# ---- ours ----

# write_trial_entry SYSTEM PARAMETERS: needs read_systems. The boot default must be what it was, and no next boot.
# $entry_file, and what is_entry_of reads, are those of ours afterwards.
write_trial_entry() {
    written_default=$boot_default
    [ -n "$written_default" ] && [ -z "$next_boot" ] && find_own_entry "$1" || return
    if [ "$loader" = grub ]; then
        # An entry that GRUB does not find is the first of its menu.
        [ "$grub_reads_ours" = first ] || return
        grub_write_entry "$2" || return
    else
        written_file=${entry_file%/*}/$trial_entry
        # Without a sort-key it stands behind all that have one, and is not the first of the menu where a default is
        # gone.
        written_keys='title|version|sort-key|machine-id'
        written_text=$(exec grep -v -E "^[[:space:]]*($written_keys)[[:space:]]" "$entry_file") || return
        written_text="title $trial_title
$written_text
options $2"
    fi
    printf '%s\n' "$written_text" 2>/dev/null >"$written_file.new" || return
    timeout -k 1 20 sync "$written_file.new" && mv -f "$written_file.new" "$written_file" &&
        timeout -k 1 20 sync -f "$written_file" || return
    entry_file=$written_file
    read_past_cache "$entry_file"
    [ "$past_cache" = "$written_text" ] && is_entry_of "$1" || return
    read_boot_default
    [ "$boot_default|$next_boot" = "$written_default|" ]
}

# read_past_cache FILE: $past_cache, what the firmware will read, where the file system can tell.
read_past_cache() {
    past_cache=$(timeout -k 1 10 dd if="$1" iflag=direct bs=1M status=none 2>/dev/null) ||
        past_cache=$(timeout -k 1 10 dd if="$1" bs=1M status=none 2>/dev/null)
}

# find_trial_entry: $entry_file is ours; fails where there is none.
find_trial_entry() {
    if [ "$loader" = grub ]; then
        entry_file=$root${boot_config%/*}/fleetdeploy.cfg
        [ -e "$entry_file" ]
        return
    fi
    for entry_place in "$boot_esp" $boot_extra; do
        entry_file=$root$entry_place/loader/entries/$trial_entry
        [ ! -e "$entry_file" ] || return 0
    done
    return 1
}

# entry_is_of RUN: whether our entry, $entry_file, names this run.
entry_is_of() {
    grep -qsE "^(options|linux) (.* )?fleetdeploy.trial=$1( |\$)" "$entry_file"
}

# boots_once SYSTEM: whether the next boot, and that alone, is our entry, and it starts this system. Needs
# read_boot_default.
boots_once() {
    is_next_ours && [ "$next_boot_system" = "$1" ]
}

# is_next_ours: whether the next boot is our entry, whatever that starts, if it is there. Needs read_boot_default.
is_next_ours() {
    case $loader in
    grub) [ "$next_boot" = "$grub_trial" ] ;;
    *) [ "$next_boot" = "$trial_entry" ] ;;
    esac
}

# set_trial_once SYSTEM: the last thing before the reboot. What cannot be read back is taken back.
set_trial_once() {
    once_default=$boot_default
    # Somebody else's next boot is not overwritten.
    [ -z "$next_boot" ] || boots_once "$1" || return
    case $loader in
    grub) [ "$grub_once" = next_entry ] || set_grub_once "$grub_trial" ;;
    *)
        call_witness
        set_loader_once
        # It may have taken the room that this needs.
        if ! is_next_ours && [ -e "$witness_file" ]; then dismiss_witness && set_loader_once; fi
        ;;
    esac
    read_boot_default
    boots_once "$1" && [ "$boot_default" = "$once_default" ] && return
    unset_trial_once
    return 1
}

set_loader_once() {
    timeout -k 1 20 bootctl set-oneshot "$trial_entry" >/dev/null 2>&1
    read_boot_default
}

# unset_trial_once: if the next boot is our entry it is emptied; anything else is left, also beside it.
unset_trial_once() {
    read_boot_default
    is_next_ours || return 0
    if [ "$loader" = grub ]; then
        empty_grub_once
    else
        delete_efi_variable LoaderEntryOneShot "$systemd_boot_vendor"
    fi
    read_boot_default
    ! is_next_ours
}

# remove_trial_entry: the next boot first; an entry that would still be started stays, and so does what guards it.
remove_trial_entry() {
    unset_trial_once || return
    if [ "$loader" = grub ]; then
        remove_grub_entry
        return
    fi
    # It was written, and lies where nothing is mounted now.
    if [ -z "$boot_esp" ] && [ -e "${folder-}/entry" ]; then return 1; fi
    for entry_place in "$boot_esp" $boot_extra; do
        entry_file=$root$entry_place/loader/entries/$trial_entry
        # A full partition has left the one and not the other.
        if [ -e "$entry_file" ] || [ -e "$entry_file.new" ]; then remove_entry_file || return; fi
    done
}

remove_entry_file() {
    rm -f "$entry_file" "$entry_file.new" && timeout -k 1 20 sync -f "${entry_file%/*}"
}

# ---- what stands on the kernel's line ----

# takes_watchdog SYSTEM: whether PID 1 of a trial of it can take the hardware watchdog and give it back: nobody has it
# (also PID 1 by the host's own setting, which does the same), it can be stopped, and nothing in SYSTEM wants it for
# itself. Of a kernel that tells nothing of it, not.
# Source: kernel, Documentation/ABI/testing/sysfs-class-watchdog; nixpkgs, watchdogd.nix.
takes_watchdog() {
    watchdog_place=$root/sys/class/watchdog/watchdog0
    [ -e "$root/dev/watchdog0" ] && read_line "$watchdog_place/state" && [ "$line" = inactive ] &&
        read_line "$watchdog_place/nowayout" && [ "$line" = 0 ] &&
        [ ! -e "$root$1/etc/systemd/system/watchdogd.service" ]
}

# trial_parameters FOLDER RUN: they follow the system's own, and so are the last word: the user's own `panic=` or
# watchdog stands before them. The guard comes first among them: what is cut off a line is its end.
# The plan has a value for the watchdog where the trial takes it (arm_trial.sh): of both boots the same.
trial_parameters() {
    # It runs once in a boot, since each switch starts the target that wants it; a soft-reboot lets it run again.
    trial_unit=$(printf '%s\n' '[Unit]' 'DefaultDependencies=no' 'IgnoreOnIsolate=yes' \
        'Before=basic.target sshd.service' 'ConditionPathExists=!/run/fleetdeploy-trial-over' \
        'StartLimitIntervalSec=0' 'FailureAction=reboot-force' \
        '[Service]' 'Type=oneshot' 'RemainAfterExit=yes' 'TimeoutStartSec=60' \
        "ExecStart=/bin/sh $1/begin.sh $1" | exec base64 -w 0) || return
    trial_more=''
    read_plan watchdog
    ! is_number "$planned" || trial_more=' systemd.watchdog_sec=2min'
    echo "systemd.set_credential_binary=systemd.extra-unit.fleetdeploy-trial.service:$trial_unit" \
        "systemd.wants=fleetdeploy-trial.service fleetdeploy.trial=$2 panic=30 boot.panic_on_fail" \
        "systemd.crash_action=reboot$trial_more"
}
