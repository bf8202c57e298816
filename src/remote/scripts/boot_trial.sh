# shellcheck shell=sh
# Whether this host's boot loader can start an entry once, under a guard on its kernel's line, while the boot default
# stays: by what, or why not. Looks alone, and starts one process in the usual case.
# Needs lib.sh, boot.sh with its readers, and boot_once.sh.
# shellcheck disable=SC2154 # their variables

# print_trial: `trial_means KIND`; or `trial_lack WORD DETAIL` for each thing that is in the way; `trial_line N`, the
# length of the kernel's line of the boot default; `watchdog yes` where a trial has one. Of a loader that starts nothing
# once, only the last.
# To be called after read_boot_default.
print_trial() {
    ! takes_watchdog "$profile" || put watchdog yes
    trial_means=''
    case $loader:$boot_place in
    systemd-boot:/*) trial_means=efi-variable ;;
    grub:/*) trial_means=next-entry ;;
    *) return 0 ;;
    esac
    case $loader in
    systemd-boot) trial_of_systemd_boot ;;
    grub) trial_of_grub ;;
    esac
    # It makes a unit of what stands on the kernel's line; a system may leave it out.
    [ ! -c "$root/etc/systemd/system-generators/systemd-debug-generator" ] || lacks no-generator
    # It would be started in the place of the loader.
    line=''
    read_line "$root/sys/kernel/kexec_loaded" || :
    [ "$line" != 1 ] || lacks kexec
    if [ -n "$boot_installer" ] && [ -n "$boot_installer_before" ] &&
        [ "$boot_installer" != "$boot_installer_before" ]; then
        lacks loader-changes "$boot_installer_before $boot_installer"
    fi
    # Of all that may lie below the trial's folder stage 1 mounts these two for sure, and its guard begins soon after
    # that. Source: nixpkgs, nixos/lib/utils.nix, "pathsNeededForBoot".
    if trial_mount "${trials#"$root"}"; then
        case $trial_place in / | /nix) ;; *) lacks mounted-late "$trial_place" ;; esac
    fi
    trial_of_machine
    # What is booted has to become the boot default, which an installer makes of a generation alone.
    if [ -n "$booted" ] && [ -n "$boot_default" ] && [ "$booted" != "$boot_default" ]; then
        is_on_the_menu "$booted" || lacks not-on-the-menu "$booted"
        has_plain_initrd "$booted" || lacks initrd-longer "$booted"
    fi
    # Secrets are appended to it in place by each installation, and what is cut off there tears it.
    case ${boot_files-} in *'initrd is longer'*) lacks initrd-longer "$boot_default" ;; esac
    [ -z "$trial_means" ] || put trial_means "$trial_means"
}

# Whether its kernel takes a guard from its line, and goes back where it panics. A process only where nothing else is in
# the way.
trial_of_machine() {
    line=''
    read_line "$root/proc/sys/kernel/arch" || line=$(exec uname -m)
    case $line in x86_64 | aarch64) ;; *) lacks machine "$line" ;; esac
    trial_words=" $boot_line "
    case $trial_words in *[.\ ]import[_-]credentials[=\ ]*) lacks imports-none ;; esac
    line=''
    read_line "$root/sys/kernel/kexec_crash_loaded" || :
    case $line:$trial_words in 1:* | *' crashkernel='*) lacks crash-kernel ;; esac
    [ -n "$trial_means" ] || return 0
    # It says what it has found, or `none` with a status.
    trial_cvm=$(exec timeout -k 1 5 systemd-detect-virt --cvm 2>/dev/null) && lacks confidential "$trial_cvm"
    return 0
}

# has_plain_initrd SYSTEM: whether its initrd on the menu is no longer than its own, as far as that can be told.
has_plain_initrd() {
    [ "$loader" = systemd-boot ] && find_own_entry "$1" || return 0
    # shellcheck disable=SC2046,SC2086 # two numbers
    set -- $(exec stat -L -c %s "$root$entry_place${entry_initrds%% *}" "$root$1/initrd" 2>/dev/null)
    [ $# -ne 2 ] || [ "$1" -le "$2" ]
}

# lacks WORD [DETAIL]
lacks() {
    trial_means=''
    put trial_lack "$*"
}

trial_of_systemd_boot() {
    trial_variables
    # An installer writes loader.conf, and this goes before it.
    [ -z "$boot_variable" ] || lacks chosen-by-variable "$boot_variable"
    # It is signed as a whole, the kernel's line in it.
    if [ -n "$boot_image" ]; then
        lacks image
    elif [ -n "$boot_line" ]; then
        put trial_line "${#boot_line}"
    elif [ -n "$trial_means" ]; then
        # Found by the loader's own order, and not looked into.
        lacks line-unknown
    fi
}

# The loader leaves its name there in each boot: then variables are kept, and the loader reads them.
trial_variables() {
    trial_folder=$root$efi_variables
    if [ ! -d "$trial_folder" ]; then
        lacks no-variables
    elif [ ! -e "$trial_folder/LoaderInfo-$systemd_boot_vendor" ]; then
        lacks other-loader
    elif trial_mount "$efi_variables" && [ "$trial_place" = "$efi_variables" ]; then
        case ",$trial_options," in *,ro,*) lacks read-only ;; esac
    fi
    ! is_forgetful || lacks forgets
}

# GRUB itself takes the entry back, so it must be able to write its environment: else the entry would be started again
# and again. Source: GRUB manual, "Environment block"; for btrfs its fs/btrfs.c.
trial_of_grub() {
    [ -d "$root/sys/firmware/efi" ] || lacks bios
    case $boot_place in /boot1) lacks mirrored ;; esac
    [ -z "$grub_saves" ] || lacks saves
    [ -n "$grub_takes_next" ] || lacks takes-no-next-entry
    [ -s "$root$grub_environment" ] || lacks no-environment "$grub_environment"
    trial_place_of_grub
    case $grub_reads_ours in
    first) ;;
    '') lacks no-hook ;;
    *) lacks not-first ;;
    esac
    [ -n "$trial_means" ] || return 0
    # The menu is written anew by the booted system before anything is tried.
    trial_installs_of_grub || lacks grub-differs
    [ -n "$trial_hooked" ] || lacks no-hook
    if find_own_entry "$boot_default"; then
        boot_line="$entry_kernel $entry_options"
        # As judge_options counts it.
        put trial_line "$((${#boot_line} + 24))"
        grub_takes_options >/dev/null || lacks line-unknown
    else
        lacks line-unknown
    fi
}

trial_place_of_grub() {
    trial_mount "$boot_place" || return 0
    case $trial_type in
    ext2 | ext3 | ext4) ;;
    # A trial has its menu written twice more, and there each writing may be cut in half: it starts nothing at all then.
    vfat) lacks menu-on-fat "$trial_place" ;;
    *) lacks environment-on "$trial_place $trial_type" && return ;;
    esac
    for trial_kind in dm md; do
        [ ! -e "$root/sys/dev/block/$trial_number/$trial_kind" ] || lacks environment-on "$trial_place $trial_kind"
    done
}

# Whether the two installers of a trial leave GRUB itself alone: they put it onto the disk anew where one of these is
# not what it was. Source: nixpkgs, install-grub.pl, "requireNewInstall".
trial_installs_of_grub() {
    trial_hooked=yes
    # Nothing is tried there, or it is said already.
    [ -n "$booted" ] && [ "$booted" != "$boot_default" ] || return 0
    grub_installed_by "$booted" || return
    trial_installed=$grub_installed
    grep -qsF -e "$grub_hook" "$root$grub_told" || trial_hooked=''
    grub_installed_by "$boot_default" && [ "$grub_installed" = "$trial_installed" ]
}

# grub_installed_by SYSTEM: $grub_installed, what decides it; fails where that cannot be read.
grub_installed_by() {
    grub_installed=''
    grub_script=$(exec grep -a -o -h -m 1 -E '/nix/store/[a-zA-Z0-9+._?=/-]+install-grub\.sh' \
        "$root$1/bin/switch-to-configuration" 2>/dev/null)
    [ -n "$grub_script" ] || return
    grub_told=$(exec grep -o -h -E '/nix/store/[a-zA-Z0-9+._?=-]+grub-config\.xml' \
        "$root${grub_script%%
*}" 2>/dev/null)
    # More than one is of mirrored partitions.
    is_store_path "${grub_told%.xml}" || return
    grub_installed=$(exec awk '
        /<attr name="(grub|grubEfi|grubTarget|grubTargetEfi)">/ { is_package = 1 }
        /<attr name="(fullName|fullVersion|devices|efiSysMountPoint|extraGrubInstallArgs)">/ { is_told = 1 }
        is_package && /<string/ { print /value=""/ ? "none" : "some" }
        is_told { print }
        /<\/attr>/ { is_package = is_told = 0 }' "$root$grub_told" 2>/dev/null)
    case $grub_installed in *fullVersion*) ;; *) return 1 ;; esac
}

# trial_mount FOLDER: the mount that it lies on, as $trial_place, $trial_type, $trial_options and $trial_number, of
# those above each other the last; fails where the kernel's list cannot be read.
trial_mount() {
    trial_place='' trial_type='' trial_options='' trial_number=''
    [ -r "$root/proc/self/mountinfo" ] || return 1
    while read -r _ _ mount_number _ mount_place mount_options mount_rest; do
        case $1/ in "${mount_place%/}/"*) ;; *) continue ;; esac
        [ "${#mount_place}" -ge "${#trial_place}" ] || continue
        mount_rest=${mount_rest#*- }
        trial_place=$mount_place trial_options=$mount_options trial_number=$mount_number trial_type=${mount_rest%% *}
        # The file system's own options may say more than the mount's.
        trial_options=$trial_options,${mount_rest##* }
    done <"$root/proc/self/mountinfo"
    [ -n "$trial_place" ]
}

# is_on_the_menu SYSTEM: whether it is a generation, and the loader has an entry of it. Our own is none: it names a
# system, too, and goes.
is_on_the_menu() {
    case "
$(exec readlink "$profiles"/system-*-link)
" in *"
$1
"*) ;; *) return 1 ;; esac
    menu_init=init=$1/init
    case $loader in
    systemd-boot)
        for menu_entry in "$root$boot_esp"/loader/entries/*.conf; do
            case $menu_entry in */fleetdeploy-trial.conf) continue ;; esac
            ! grep -qsF "$menu_init" "$menu_entry" || return 0
        done
        return 1
        ;;
    grub) grep -qsF "$menu_init" "$root$boot_config" ;;
    esac
}
