# shellcheck shell=sh
# Whether the firmware keeps what it is told over a reboot. Follows boot_once.sh in its file.
# shellcheck disable=SC2034,SC2154 # boot.sh's, trials' and lib.sh's variables
#
# A next boot that is gone after a reboot was taken by the loader, or forgotten by the firmware: the system that was
# booted before cannot tell the two apart. So a variable of our own is set before it, which no loader takes back, the
# witness: where that is gone, too, the firmware forgets. It holds the boot that has set it, so that in any other boot
# it is itself the proof that variables are kept.
witness_vendor=5c0f4b6e-9d0a-4a52-8f0e-2b7f6f0c3d41
witness_file=$root$efi_variables/FleetdeployWitness-$witness_vendor
# What has forgotten it, beside the trials' folders: no version takes a file there for one of them.
forgetful=$trials/forgets

# Within how many seconds of the order to reboot a boot must have begun, to be the one that it has brought. A machine
# that loses its variables with its power has them until then; later it may be back from a hang, by its power button.
straight_back=300

# call_witness: it is set and read back, and only then written down in $folder, with what is asked. What fails here
# costs its answer alone.
call_witness() {
    [ -d "${folder-}" ] && set_witness && name_firmware || return 0
    witness_at=$(exec date +%s) || return 0
    printf '%s %s %s\n' "$firmware_name" "$witness_at" "$boot_id" 2>/dev/null >"$folder/witness.new" &&
        timeout -k 1 10 sync "$folder/witness.new" && mv -f "$folder/witness.new" "$folder/witness" &&
        timeout -k 1 10 sync "$folder"
    return 0
}

# set_witness: fails where the one of this boot is not there afterwards. One of an earlier boot would answer for it.
set_witness() {
    read_boot_id
    [ -n "$boot_id" ] && [ -d "${witness_file%/*}" ] || return
    # The kernel makes it immutable there: a host that cannot undo that would keep it for ever.
    [ "$(exec stat -f -c %T "${witness_file%/*}" 2>/dev/null)" != efivarfs ] || command -v chattr >/dev/null || return
    read_witness
    [ "$witness_says" != "$boot_id" ] || return 0
    delete_efi_variable FleetdeployWitness "$witness_vendor" 2>/dev/null || return
    # All of it in one write, or it would be another variable.
    printf '\007\000\000\000%s' "$boot_id" |
        timeout -k 1 10 dd of="$witness_file" bs=128 iflag=fullblock status=none 2>/dev/null
    read_witness
    [ "$witness_says" = "$boot_id" ]
}

# $witness_says: the boot that has set it; empty: it is not there.
read_witness() {
    witness_says=''
    [ ! -f "$witness_file" ] || witness_says=$(exec tr -d '\000\007' <"$witness_file" 2>/dev/null)
}

# Whether a variable that another boot has set is there: nothing is held against this firmware any more. One that was
# there when it forgot, and comes back each time, is no proof; the mark has its boot behind the firmware's name.
has_survived() {
    read_witness
    read_boot_id
    [ -n "$boot_id" ] && [ "${#witness_says}" -ge 32 ] && [ "$witness_says" != "$boot_id" ] || return
    read_line "$forgetful" && [ "${line##* }" != "$witness_says" ] && rm -f "$forgetful"
}

# look_at_witness FOLDER: whatever was to be booted once from there is over; keeps in mind a firmware that has forgotten
# its witness. Of variables that cannot be read nothing is known; and where the trial is known to have been booted, the
# next boot was not forgotten, whatever has become of the variable since.
look_at_witness() {
    read_line "$1/witness" || return 0
    read_witness
    # The one of that boot is still there: nothing is held against this firmware.
    [ "$witness_says" != "${line##* }" ] || {
        rm -f "$forgetful"
        return 0
    }
    for been_there in started trace proven kept-by-firmware; do
        [ ! -e "$1/$been_there" ] || return 0
    done
    # What stands there was set in this boot, for another look; or an older one came back in its place.
    read_boot_id
    [ "$witness_says" != "$boot_id" ] && was_straight_back || return 0
    name_firmware && [ "$firmware_name" = "$witness_firmware" ] || return 0
    printf '%s\n' "$firmware_name${witness_says:+ $witness_says}" 2>/dev/null >"$forgetful.new" &&
        timeout -k 1 10 sync "$forgetful.new" &&
        mv -f "$forgetful.new" "$forgetful" && timeout -k 1 10 sync "$trials"
    return 0
}

# was_straight_back: whether this boot is the one that the order has brought, by what `witness` says in $line;
# $witness_firmware. What hangs before it can leave a word, and is reset by a person, comes later.
was_straight_back() {
    witness_firmware=${line%% *}
    line=${line#* }
    witness_at=${line%% *}
    witness_boot=${line#* }
    ! same_boot "$witness_boot" && is_number "$witness_at" || return
    witness_now=$(exec date +%s) || return
    read_boot_age
    witness_later=$((witness_now - boot_age - witness_at))
    [ "$witness_later" -ge 0 ] && [ "$witness_later" -le "$straight_back" ]
}

# Nobody waits for its word any more: what is written down first, since that without the variable would accuse.
dismiss_witness() {
    rm -f "$trials"/*/witness
    [ -e "$witness_file" ] || return 0
    timeout -k 1 10 sync -f "$trials" 2>/dev/null
    delete_efi_variable FleetdeployWitness "$witness_vendor"
    return 0
}

# Whether the firmware that starts this host has forgotten, and has not kept anything since.
is_forgetful() {
    read_line "$forgetful" && name_firmware && [ "${line%% *}" = "$firmware_name" ] && ! has_survived
}

# name_firmware: $firmware_name; fails where the loader has not left its name, also where no variable can be read.
name_firmware() {
    read_efi_variable LoaderFirmwareInfo || return
    firmware_name=$(printf %s "$efi_value" | tr -c 'a-zA-Z0-9.,-' _)
}
