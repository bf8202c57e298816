# shellcheck shell=sh
# survey: everything that a push must know of a host before it touches it, in one round trip. Changes nothing, but for
# what is forgotten of units that came right.
#
# No argument. A program that is missing costs its own answers, never the others'.
# Needs lib.sh, traces.sh, boot.sh, boot_once.sh, boot_trial.sh and wireguard.sh.
# shellcheck disable=SC2034,SC2154 # their variables, and theirs to read

main() {
    survey_all
    finish
}

survey_all() {
    if [ ! -e "$root/etc/NIXOS" ] && ! grep -qs '^ID="\{0,1\}nixos' "$root/etc/os-release"; then
        put nixos no
        finish
    fi
    put nixos yes
    # shellcheck disable=SC3028 # bash knows
    put uid "${EUID:-$(exec id -u)}"
    # Whatever is looked at round after round is looked at by it (probes.sh).
    command -v bash >/dev/null || put no_bash yes
    read -r survey_name <"$root/proc/sys/kernel/hostname"
    put host_name "$survey_name"
    ! read_line "$root/etc/machine-id" || put machine_id "$line"
    # shellcheck disable=SC3028 # bash has a clock
    put time "${EPOCHSECONDS:-$(exec date +%s)}"
    survey_boot
    [ -n "$boot_missing" ] || print_trial
    standing_systems='read'
    print_standing
    survey_rolling
    survey_system
    survey_space
    survey_port "$PPID"
    survey_crypto
    survey_survivors
    survey_origin "$current"
    survey_remembered
    survey_busy
    print_wireguard wireguard
}

# Whether a reboot would find what it boots. Before the standing, whose clock must not be old by the time that two files
# take to read.
survey_boot() {
    read_systems
    look_for_boot_place
    # If the system contradicts the inventory, no file was looked for: $boot_note says so, and none is missing.
    if [ "$told_kind" != - ] && [ -n "$boot_installer" ] && [ "$told_kind" != "$boot_installer" ]; then
        return
    fi
    if [ -n "$boot_missing" ]; then
        put boot_missing "$boot_missing"
    elif [ -n "$boot_default" ]; then
        look_at_boot_files "$boot_default"
        put boot_files "$boot_files"
    fi
}

# A rolling reboot's lease that is over, and would count again after the next restart of this host.
survey_rolling() {
    if [ -z "$lease_kind" ] && [ -e "$reboot_lease" ]; then
        read -r survey_over _ <"$reboot_lease" || :
        ! is_run "$survey_over" || put rolling_over "$survey_over"
    fi
}

survey_system() {
    # Kernels before 6.1 do not say the one.
    if read_line "$root/proc/sys/kernel/arch"; then
        put architecture "$line"
        read_line "$root/proc/sys/kernel/osrelease"
        put kernel "$line"
    else
        survey_kernel=$(exec uname -rm)
        put architecture "${survey_kernel##* }"
        put kernel "${survey_kernel% *}"
    fi
    ! read_line "$root$current/nixos-version" || put nixos_version "$line"
    ! read_line "$root$current/system" || put system_type "$line"
    # The version stands in the store path; asking the program itself takes longer than all the rest.
    # The first of PATH, as the shell would take it.
    survey_nix=''
    IFS=:
    set -f
    for survey_folder in $PATH; do
        [ -n "$survey_nix" ] || [ ! -x "$survey_folder/nix" ] || survey_nix=$survey_folder/nix
    done
    set +f
    unset IFS
    # A line for each of the two; an empty name is none.
    survey_programs=$(exec readlink -f "${survey_nix:-/}" "$root/run/current-system/systemd")
    survey_nix=${survey_programs%%
*}
    case $survey_nix in
    /nix/store/*-nix-[0-9]* | /nix/store/*-lix-[0-9]* | /nix/store/*-determinate-nix-[0-9]*)
        survey_nix=${survey_nix#/nix/store/*-}
        put nix_version "${survey_nix%%/*}"
        ;;
    *)
        survey_said=$(exec timeout 5 nix --version 2>/dev/null)
        put nix_version "${survey_said%%
*}"
        ;;
    esac
    survey_systemd=${survey_programs#*"
"}
    case $survey_systemd in
    /nix/store/*-systemd-[0-9]*) put systemd_version "systemd ${survey_systemd##*-systemd-}" ;;
    *)
        survey_said=$(exec systemctl --version 2>/dev/null)
        put systemd_version "${survey_said%%
*}"
        ;;
    esac
    read_newest_generation
    put last_generation "$newest"
    survey_booted=no
    if [ "$current" = "$booted" ]; then
        survey_booted=yes
    fi
    put current_was_booted "$survey_booted"
}

survey_space() {
    # A file system of its own, or 0: then its bytes are those of / already. The boot partition is the first of those
    # that are one: where it is not, df answers with another's mount point.
    survey_df=$(exec df -P -k "$root/" "$root/nix/store" "$root/boot" "$root/efi" "$root/boot/efi" 2>/dev/null)
    survey_line=0
    while read -r _ _ _ survey_free _ survey_mount; do
        survey_line=$((survey_line + 1))
        is_number "$survey_free" || survey_free=0
        case $survey_line:$survey_mount in
        1:*) ;;
        2:*) put free_root "$((survey_free * 1024))" ;;
        3:*) put free_store "$((survey_free * 1024))" ;;
        *:"$root/boot" | *:"$root/efi" | *:"$root/boot/efi")
            put free_boot "$((survey_free * 1024))"
            break
            ;;
        esac
    done <<TABLE
$survey_df
TABLE
}

# survey_port PID: the port of the sshd that we came through. sudo drops SSH_CONNECTION; the process that called sudo
# still has it.
survey_port() {
    survey_connection=${SSH_CONNECTION-}
    survey_process=$1
    for _ in 1 2 3 4 5 6 7 8; do
        if [ -n "$survey_connection" ] || [ "${survey_process:-0}" -le 1 ]; then
            break
        fi
        survey_connection=$(tr '\000' '\n' <"/proc/$survey_process/environ" 2>/dev/null |
            sed -n 's/^SSH_CONNECTION=//p')
        survey_parent=''
        while read -r survey_key survey_value _; do
            case $survey_key in PPid:) survey_parent=$survey_value && break ;; esac
        done 2>/dev/null <"/proc/$survey_process/status"
        survey_process=$survey_parent
    done
    survey_port=${survey_connection##* }
    if ! is_number "$survey_port"; then
        survey_port=$(exec ss -Hltnp 2>/dev/null | awk '/"sshd"/ { sub(/.*:/, "", $4); print $4; exit }')
    fi
    is_number "$survey_port" && put ssh_port "$survey_port"
}

# Devices that may want a passphrase at boot, from the kernel's own tables: whatever lies below /, /nix and /boot; every
# data set of a pool, and every bcachefs, that encrypts itself; and every LUKS device that is open, since NixOS unlocks
# what any file system of the machine needs, and a file system that is missing stops the boot as well. Not plain
# dm-crypt elsewhere: that is swap with a random key. Those that a container sees
# are its machine's, which stays up when it reboots.
survey_crypto() {
    [ "$loader" != init ] || [ ! -s "$root/run/systemd/container" ] || return 0
    survey_crypto=$(
        for survey_luks in /sys/block/dm-*; do
            [ -r "$survey_luks/dm/uuid" ] || continue
            read -r survey_uuid <"$survey_luks/dm/uuid" || :
            case $survey_uuid in CRYPT-LUKS*) crypto_below "$survey_luks" ;; esac
        done
        crypto_below_system
    )
    [ -z "$survey_crypto" ] || printf '%s\n' "$survey_crypto" | sort -u
}

crypto_below_system() {
    survey_pools=no
    while read -r _ _ survey_number _ survey_mount survey_rest; do
        # shellcheck disable=SC2086
        set -- ${survey_rest#* - }
        case $1 in
        zfs)
            [ "$survey_pools" = yes ] || encrypted_data_sets
            survey_pools=yes
            continue
            ;;
        bcachefs)
            encrypted_bcachefs "$2"
            # Its disks may be encrypted below it, and have no table but this.
            case $2 in /dev/*) crypto_below "$(exec readlink -f "/sys/class/block/${2##*/}")" ;; esac
            continue
            ;;
        esac
        case $survey_mount in / | /nix | /nix/store | /boot | /boot/efi | /efi) ;; *) continue ;; esac
        case $1 in
        btrfs)
            # Its device number is its own; its disks, all of them, are listed under their file system.
            survey_disk=$(exec readlink -f "$2")
            for survey_member in /sys/fs/btrfs/*/devices/"${survey_disk##*/}"; do
                [ -e "$survey_member" ] || continue
                for survey_disk in "${survey_member%/*}"/*; do crypto_below "$survey_disk"; done
            done
            ;;
        *) crypto_below "/sys/dev/block/$survey_number" ;;
        esac
    done <"$root/proc/self/mountinfo"
}

# All pools are looked at: NixOS asks for the keys of every encrypted data set in a pool that it imports at boot,
# mounted or not.
encrypted_data_sets() {
    timeout 5 zfs get -H -t filesystem,volume -o name,value encryption 2>/dev/null |
        while read -r survey_set survey_cipher; do
            case $survey_cipher in '' | off | -) ;; *) put crypto "zfs $survey_set ($survey_cipher)" ;; esac
        done
}

# encrypted_bcachefs DEVICE[:DEVICE…]: whether it encrypts itself stands in the superblock of each of its devices, at
# 4096, and nowhere in /sys. What cannot be read may be encrypted.
# Source: kernel, bcachefs_format.h, struct bch_sb: flags[1] at byte 152, BCH_SB_ENCRYPTION_TYPE its bits 10 to 13.
encrypted_bcachefs() {
    survey_device=${1%%:*}
    survey_bits=$(exec timeout 5 od -A n -t u1 -j 4249 -N 1 "$root$survey_device" 2>/dev/null | tr -d ' ')
    if ! is_number "$survey_bits"; then
        put crypto "bcachefs on $survey_device, which cannot be read"
    elif [ "$((survey_bits / 4 % 16))" -ne 0 ]; then
        put crypto "bcachefs on $survey_device"
    fi
}

# crypto_below DEVICE: it, the disk it is a part of, and all it is made of.
crypto_below() {
    [ -e "$1" ] || return 0
    if [ -r "$1/dm/uuid" ]; then
        read -r survey_uuid <"$1/dm/uuid" || :
        read -r survey_dm <"$1/dm/name" || :
        # CRYPT-LUKS2-UUID-NAME, and a name may have dashes of its own.
        survey_kind=${survey_uuid#CRYPT-}
        case $survey_uuid in CRYPT-*) put crypto "$survey_dm (CRYPT-${survey_kind%%-*})" ;; esac
    fi
    for survey_slave in "$1"/slaves/*; do
        [ ! -e "$survey_slave" ] || (crypto_below "$survey_slave")
    done
    [ ! -e "$1/partition" ] || (crypto_below "$(exec readlink -f "$1/..")")
}

# Runs whose roots are still here, what is known of them, and what guards that fired have written; and the marks of
# those that were ended without all their hosts. After print_standing.
survey_survivors() {
    for survey_run in "$roots"/.ended/*; do
        if is_run "${survey_run##*/}" && read_mark "${survey_run##*/}"; then
            put mark "${survey_run##*/} $mark_side $mark_epoch$mark_missing"
            put_fence "${survey_run##*/}"
        fi
    done
    for survey_run in "$roots"/*; do
        is_run "${survey_run##*/}" || continue
        # Left by a clean-up that was cut off.
        [ ! -e "$roots/.ended/${survey_run##*/}" ] || continue
        put survivor "${survey_run##*/}"
        [ ! -r "$survey_run/hosts" ] || put survivor_hosts "${survey_run##*/} $(exec tr '\n' ' ' <"$survey_run/hosts")"
        survey_roots "$survey_run"
        put_fence "${survey_run##*/}"
        [ ! -e "$survey_run/switching" ] || put switching "${survey_run##*/}"
        ! is_over "${survey_run##*/}" || put over "${survey_run##*/}"
        [ ! -r "$survey_run/trace" ] || put trace "$(exec head -c 4000 "$survey_run/trace")"
    done
}

# Units that made a run roll back and are failed still. One that is not is forgotten: not while a run is at work here,
# and not where it is on its way up.
survey_remembered() {
    [ -n "$units" ] && [ -r "$roots/failed_units" ] || return 0
    survey_kept='' survey_forgets=no
    while read -r survey_unit survey_run _; do
        survey_state=${units#*"unit_now $survey_unit "}
        if [ "$survey_state" = "$units" ]; then
            survey_state=none
        else
            survey_state=${survey_state#* }
            survey_state=${survey_state%% *}
        fi
        case $survey_state in
        failed) put remembered "$survey_unit $survey_run" ;;
        moving) ;;
        *)
            survey_forgets=yes
            continue
            ;;
        esac
        survey_kept="$survey_kept$survey_unit $survey_run
"
    done <"$roots/failed_units"
    [ "$survey_forgets" = no ] || with_lock survey_forget
}

survey_forget() {
    if read_lease; then
        return 0
    elif [ -n "$survey_kept" ]; then
        printf '%s' "$survey_kept" | write_file "$roots/failed_units"
    else
        rm -f "$roots/failed_units"
        rmdir "$roots" 2>/dev/null || :
    fi
}

# survey_roots FOLDER: what the run found here, and what it is to bring. Where it never armed there is no plan, only
# roots.
survey_roots() {
    survey_old="$(exec readlink "$1/old-current")" survey_boot="$(exec readlink "$1/old-boot")"
    read_plan old_profile "$1/plan"
    survey_profile=$planned
    read_plan old_generation "$1/plan"
    survey_generation=$planned
    survey_new=$(exec readlink "$1/new") || survey_new=-
    # A recovery from the hosts alone learns by it what it goes on with.
    [ "$survey_new" = "$current" ] || survey_origin "$survey_new"
    put survivor_roots \
        "${1##*/} ${survey_old:--} ${survey_profile:--} ${survey_boot:--} ${survey_generation:--} $survey_new"
}

# survey_origin SYSTEM: where it comes from, as the push that has brought it said: `origin SYSTEM TEXT`. A part that a
# full disk has left, and what another system's file says, is nothing.
survey_origin() {
    survey_file=${1#/nix/store/}
    survey_file=$origins/${survey_file%%-*} survey_of='' survey_text='' survey_end=''
    [ -f "$survey_file" ] || return 0
    {
        read -r survey_of || :
        IFS= read -r survey_text || :
        read -r survey_end || :
    } <"$survey_file"
    if [ "$survey_of $survey_end" = "$1 end" ] && [ "${#survey_text}" -le 1500 ]; then
        put origin "$1 $survey_text"
    fi
}

# What would get in the way of a push, or be got in the way of.
survey_busy() {
    if switch_runs; then
        put busy "$switch_text"
    fi
    if shutdown_due; then
        put busy "$shutdown_text"
    fi
    for survey_unit in nixos-rebuild-switch-to-configuration nixos-upgrade; do
        case $own_units in *"unit $survey_unit.service activ"*) put busy "$survey_unit is running" ;; esac
    done
    if [ -e "$root/etc/systemd/system/nixos-upgrade.timer" ]; then
        survey_next=$(exec timeout 5 systemctl show -p NextElapseUSecRealtime --value nixos-upgrade.timer 2>/dev/null)
        survey_next=$(exec date -d "$survey_next" +%s 2>/dev/null) && [ "$survey_next" -gt 0 ] &&
            put upgrade_in "$((survey_next - $(exec date +%s)))"
    fi
    for survey_inhibitor in "$root"/run/systemd/inhibit/*; do
        [ -f "$survey_inhibitor" ] || continue
        read_value WHAT "$survey_inhibitor"
        survey_what=$value
        read_value MODE "$survey_inhibitor"
        case $value:$survey_what in
        block*:*shutdown*)
            read_value WHO "$survey_inhibitor"
            survey_who=$value
            read_value WHY "$survey_inhibitor"
            put inhibitor "$survey_who: $value"
            ;;
        esac
    done
}
