#!/bin/bash
# What the host does in each of its boots: `check NAME` lines on the console, then on to the next boot. efi.sh starts it
# and reads them.
#
# Nothing here is faked but the systems, which differ in name only: the variables are the firmware's, the entries are
# chosen by systemd-boot, the guard is armed by arm.sh and fires by itself.
set -u
here=/usr/lib/efi
variables=/sys/firmware/efi/efivars
vendor=4a67b082-0a4c-41cf-b6c7-440b29bb8c4f
firmware=8be4df61-93ca-11d2-aa0d-00e098032b8c
once=$variables/LoaderEntryOneShot-$vendor
profiles=/nix/var/nix/profiles
roots=/nix/var/nix/gcroots/fleetdeploy
for name in A B C; do declare "$name=$(echo /nix/store/*-nixos-system-vm-$name)"; done

check() { # NAME EXPECTED FOUND: a pattern
    # shellcheck disable=SC2053
    if [[ $3 == $2 ]]; then
        echo "ok: $1: $3"
    else
        echo "FAIL: $1: $3, not $2"
        return 1
    fi
}

# Where nothing that follows would mean anything.
must() { check "$@" || power_off; }

power_off() {
    systemctl poweroff --no-block
    exec sleep 600
}

text() { # FILE...
    (cd "$here/scripts" && cat "$@")
}

# The readers of the boot default, however many files they are.
boot_files() { (cd "$here/scripts" && echo boot.sh boot_*.sh); }

# What these words print after the readers' functions, under one of the two kinds of hosts that there are.
says() { # SHELL AWK WORDS
    # shellcheck disable=SC2016,SC2046 # the other shell's words
    PATH=$here/$2:$PATH "$1" -c 'eval "$1"' says "$(text lib.sh $(boot_files))
$3" 2>&1
}

each_says() { # NAME EXPECTED WORDS
    check "$1 (dash, mawk)" "$2" "$(says dash mawk "$3")"
    check "$1 (bash, gawk)" "$2" "$(says bash gawk "$3")"
}

# `BOOT DEFAULT|NEXT BOOT|ITS SYSTEM|NOTE`, each system by its last letter.
# shellcheck disable=SC2016
look='read_systems; echo "${boot_default##*-}|$next_boot|${next_boot_system##*-}|$boot_note"'
# shellcheck disable=SC2016
empty="read_systems; empty_next_boot; echo \"\$? [\$next_boot]\""

# A variable takes its attributes and its value in one write, and takes them from nobody while it is immutable.
write_variable() { # FILE OCTETS, as printf understands them
    [ ! -e "$1" ] || chattr -i "$1"
    printf '\007\000\000\000%b' "$2" | dd of="$1" bs=4k iflag=fullblock status=none
}

# shellcheck disable=SC2001 # each character, whatever it is
utf16() { printf '%s\\0000\\0000' "$(sed 's/./&\\0000/g' <<<"$1")"; }

selected() { tr -d '\000' <"$variables/LoaderEntrySelected-$vendor" | tail -c +2; }

booted() { # LETTER
    local system=${!1} number
    number=$(tr ABC 123 <<<"$1")
    must "boot $stage brings $1" "nixos-generation-$number.conf $system" "$(selected) $(readlink /run/booted-system)"
}

reboot_now() {
    echo "$((stage + 1))" >/var/stage
    sync
    systemctl reboot --no-block
    exec sleep 600
}

# As the workstation sends it: RUN.
arm() {
    # shellcheck disable=SC2016,SC2046 # the script's own words
    { text lib.sh traces.sh $(boot_files) arm.sh && echo 'told_loader=$1; shift; main "$@"'; } >"$here/arm"
    # shellcheck disable=SC2016,SC2046
    sh "$here/arm" - "$1" 1 ada@laptop "$(cat /proc/sys/kernel/random/boot_id)" "$A" "$A" "$A" 999999 20 reboot - \
        "$(text lib.sh $(boot_files) restore.sh)" "$(text guard.sh && echo 'main "$@"')" \
        "$(text job.sh && echo 'main "$@"')" vm 2>&1
}

# The host in a run from A to B, as a push has it at the moment when the workstation dies: B is in the profile and the
# boot default. And somebody has set a next boot since.
dies_in_a_run() { # RUN
    local said
    mkdir -p "$roots/$1"
    ln -sfn "$A" "$roots/$1/old-current"
    ln -sfn "$A" "$roots/$1/old-boot"
    ln -sfn "$B" "$roots/$1/new"

    bootctl set-oneshot nixos-generation-3.conf
    said=$(arm "$1")
    check "no run begins over a next boot" \
        "text the next boot is nixos-generation-3.conf, once: $C" "$(grep '^text' <<<"$said")"
    check "emptied" '0 \[\]' "$(says sh mawk "$empty")"

    said=$(arm "$1")
    must "armed under $(readlink -f /bin/sh)" "guard armed $1 *" "$(grep '^guard' <<<"$said")"
    ln -sfn system-2-link "$profiles/system"
    "$B/bin/switch-to-configuration" boot
    bootctl set-oneshot nixos-generation-3.conf
    check "what a reboot would bring now" 'B|nixos-generation-3.conf|C|' "$(says sh mawk "$look")"
    echo "$((stage + 1))" >/var/stage
    sync
    exec sleep 600
}

guard_has_fired() { # RUN
    local trace=$roots/$1/trace
    booted A
    each_says "after the guard" 'A|||' "$look"
    check "the profile" system-1-link "$(readlink "$profiles/system")"
    check "the trace says how it ended" \
        'the guard of run *: profile and boot default are put back: rebooting' "$(head -n 1 "$trace")"
    check "and what it found" \
        "found: current $A, profile $B, boot default $B, next boot nixos-generation-3.conf" "$(grep '^found' "$trace")"
    check "and what it emptied" \
        "the next boot was nixos-generation-3.conf ($C): emptied" "$(grep '^the next boot' "$trace")"
}

boot_1() {
    local value
    mkdir -p /nix/store/00000000000000000000000000000000-boot
    cp /boot/EFI/nixos/kernel.efi /nix/store/00000000000000000000000000000000-boot/kernel
    cp /boot/EFI/nixos/initrd.efi /nix/store/00000000000000000000000000000000-boot/initrd
    mkdir -p "$profiles"
    ln -s "$A" "$profiles/system-1-link"
    ln -s "$B" "$profiles/system-2-link"
    ln -s "$C" "$profiles/system-3-link"
    ln -s system-1-link "$profiles/system"

    booted A
    check "efivarfs is the kernel's" 'efivarfs rw,*' "$(findmnt -n -o FSTYPE,OPTIONS "$variables" | tr -s ' ')"
    # Why a reader must not seek.
    value=$(tail -c +5 "$variables/LoaderInfo-$vendor" 2>&1)
    check "a reader that seeks" '*Illegal seek' "$value"
    each_says "the loader's name" 'systemd-boot *' "read_efi_variable LoaderInfo; echo \"\$efi_value\""
    each_says "the loader's partition" '????????-????-????-????-????????????' \
        "read_efi_variable LoaderDevicePartUUID; echo \"\$efi_value\""
    each_says "the loader's list" '*nixos-generation-1.conf*' "read_efi_variable LoaderEntries; echo \"\$efi_value\""
    each_says "no variable" 'A|||' "$look"

    bootctl set-oneshot nixos-generation-3.conf
    each_says "a one-shot" 'A|nixos-generation-3.conf|C|' "$look"
    check "the kernel makes it immutable" '*i* *' "$(lsattr "$once")"
    check "so it cannot just be deleted" '*Operation not permitted' "$(rm -f "$once" 2>&1)"
    for kind in 'dash mawk' 'bash gawk'; do
        bootctl set-oneshot nixos-generation-3.conf
        # shellcheck disable=SC2086
        check "emptied ($kind)" '0 \[\]' "$(says $kind "$empty")"
        check "and the file" gone "$([ -e "$once" ] || echo gone)"
        bootctl set-oneshot nixos-generation-3.conf
        # shellcheck disable=SC2086
        check "emptied without chattr ($kind)" '0 \[\]' "$(says $kind "chattr() { return 127; }; $empty")"
        check "and the file" gone "$([ -e "$once" ] || echo gone)"
    done

    bootctl set-oneshot nixos-generation-3.conf
    mount -o remount,ro "$variables"
    each_says "what cannot be emptied is said" '1 \[nixos-generation-3.conf\]' "$empty"
    mount -o remount,rw "$variables"
    bootctl set-oneshot ''

    for kind in 'dash mawk' 'bash gawk'; do
        write_variable "$variables/BootNext-$firmware" '\0002\0000'
        # shellcheck disable=SC2086
        check "the firmware's own next boot ($kind)" 'A|Boot0002||' "$(says $kind "$look")"
        # shellcheck disable=SC2086
        check "emptied ($kind)" '0 \[\]' "$(says $kind "$empty")"
        check "and the file" gone "$([ -e "$variables/BootNext-$firmware" ] || echo gone)"
    done

    # Left: the next boot brings C.
    bootctl set-oneshot nixos-generation-3.conf
    reboot_now
}

boot_2() {
    booted C
    each_says "the loader has taken the one-shot" 'A|||' "$look"
    # What systemd-boot 257 does not know yet, and what it does.
    write_variable "$variables/LoaderEntryPreferred-$vendor" "$(utf16 nixos-generation-3.conf)"
    bootctl set-default nixos-generation-2.conf
    each_says "a default of its own" 'B|||an EFI variable chooses the entry nixos-generation-2.conf' "$look"
    reboot_now
}

boot_3() {
    booted B
    bootctl set-default ''
    chattr -i "$variables/LoaderEntryPreferred-$vendor"
    rm -f "$variables/LoaderEntryPreferred-$vendor"
    each_says "back to loader.conf" 'A|||' "$look"
    write_variable "$once" "$(utf16 nixos-generation-3.conf)"
    each_says "a one-shot, not written by bootctl" 'A|nixos-generation-3.conf|C|' "$look"
    check "emptied" '0 \[\]' "$(says sh mawk "$empty")"
    reboot_now
}

boot_4() {
    booted A
    dies_in_a_run one
}

boot_5() {
    guard_has_fired one
    # The other shell, and a host without chattr.
    ln -sf dash /bin/sh
    chmod a-x /usr/bin/chattr
    rm -rf "${roots:?}/one"
    dies_in_a_run two
}

boot_6() {
    guard_has_fired two
    echo "done"
    power_off
}

# The firmware leaves the cursor in the middle of a line.
echo
stage=$(cat /var/stage 2>/dev/null || echo 1)
"boot_$stage"
