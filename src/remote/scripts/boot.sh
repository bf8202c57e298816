# shellcheck shell=sh
# What a reboot would bring, read as the boot loader itself reads it: systemd-boot, GRUB, extlinux, or a bare init.
#
# read_boot_default sets $boot_default (a toplevel, or empty), $loader, $boot_note when there is something to say, and
# $next_boot with $next_boot_system where the next boot alone brings something else. $told_loader is what the inventory
# says (`KIND`, `KIND:ESP`, `-:ESP`, or `-` for nothing): it decides which reader is asked, and is checked, not
# believed. The readers are in boot_systemd.sh, boot_grub.sh and boot_others.sh; boot_files.sh looks whether the files
# are whole. A loader that is not known is no reason to guess from its files: then the profile is taken for the boot
# default, and $loader says `unknown`.
# $root, $current, $booted and $profile are lib.sh's; the readers' files share the rest.
# shellcheck disable=SC2034,SC2154

# Where people mount the partition that the firmware reads, in the order of how many do.
boot_places='/boot /efi /boot/efi /boot/EFI /boot/esp /esp /boot1 /boot2 /boot/firmware'
efi_variables=/sys/firmware/efi/efivars
systemd_boot_vendor=4a67b082-0a4c-41cf-b6c7-440b29bb8c4f
firmware_vendor=8be4df61-93ca-11d2-aa0d-00e098032b8c

read_boot_default() {
    boot_default='' boot_note='' boot_found='' boot_variable='' boot_line=''
    boot_place='' boot_esp='' boot_image='' boot_kernel='' boot_initrds=''
    next_boot='' next_boot_system='' next_boot_found=''
    told_kind=${told_loader:--}
    told_esp=
    case $told_kind in *:*) told_esp=${told_kind#*:} told_kind=${told_kind%%:*} ;; esac
    find_loader
    # Nothing is read where the inventory and the system contradict each other.
    case $boot_note$loader in
    systemd-boot) read_systemd_boot ;;
    grub) read_grub ;;
    extlinux) read_extlinux ;;
    init) read_init ;;
    esac
    # limine knows this variable too.
    if [ "$loader" = unknown ] && read_efi_variable LoaderEntryOneShot; then
        next_boot=$efi_value
    fi
    read_firmware_once
    boot_default=${boot_found%/init}
    next_boot_system=${next_boot_found%/init}
    is_store_path "$next_boot_system" || next_boot_system=
    is_store_path "$boot_default" && return
    boot_default=
    if [ "$loader" != unknown ]; then
        boot_note="${boot_note:-the default entry of $loader does not start a NixOS system}"
        return
    fi
    boot_default=$profile
    case $boot_installer in
    limine) boot_note="limine boots the newest generation, whatever was installed" ;;
    other) boot_note="this system's boot loader is not one that can be read" ;;
    *) boot_note="the boot loader is not known" ;;
    esac
    boot_note="$boot_note: the profile is taken for the boot default"
}

# $loader and $boot_place. What the running system installs decides; files that another loader left do not. Between an
# activation and the installation the system that was booted still has the word: then the files that are newer count.
find_loader() {
    find_installers
    loader=$told_kind
    if [ "$loader" != - ]; then
        find_loader_place "$loader"
        case $boot_installer in
        '' | "$loader") ;;
        *) boot_note="the inventory says that $loader boots this host, and its system installs $boot_installer" ;;
        esac
        return
    fi
    loader=$boot_installer
    if [ -n "$loader" ] && [ -n "$boot_installer_before" ] && [ "$loader" != "$boot_installer_before" ]; then
        newer_loader "$loader" "$boot_installer_before" || loader=$boot_installer
    elif [ -z "$loader" ] && [ -n "$boot_installer_before" ]; then
        loader=$boot_installer_before
    fi
    case $loader in
    systemd-boot | grub | extlinux | init) find_loader_place "$loader" && return ;;
    '')
        # An installer that does not say whose it is. The firmware knows who started this boot.
        if find_loader_place systemd-boot; then
            read_efi_variable LoaderInfo
            case $efi_value in systemd-boot*) loader=systemd-boot && return ;; esac
        fi
        newer_loader systemd-boot grub extlinux || loader=init
        find_loader_place "$loader" && return
        loader=unknown
        ;;
    *) loader=unknown ;;
    esac
}

# newer_loader KIND…: $loader is the one of them whose files were written last; fails where none has any.
newer_loader() {
    newer_kind='' newer_file=''
    for newer_candidate in "$@"; do
        find_loader_place "$newer_candidate" || continue
        # shellcheck disable=SC3013 # dash and bash have -nt
        if [ -z "$newer_file" ] || [ "$root$boot_config" -nt "$newer_file" ]; then
            newer_kind=$newer_candidate newer_file=$root$boot_config
        fi
    done
    [ -z "$newer_kind" ] || loader=$newer_kind
    [ -n "$newer_kind" ]
}

# find_loader_place KIND: $boot_place is where its files are, and $boot_config the one that it reads first; fails where
# there are none.
find_loader_place() {
    boot_place=''
    boot_config=''
    case $1 in
    systemd-boot) find_esp ;;
    grub)
        find_config grub/grub.cfg || find_config grub2/grub.cfg
        ;;
    extlinux) find_config extlinux/extlinux.conf ;;
    init) find_init ;;
    *) return 1 ;;
    esac
}

# find_config FILE: the first of the places that has it.
find_config() {
    for boot_place in ${told_esp:-$boot_places}; do
        boot_config=$boot_place/$1
        [ ! -s "$root$boot_config" ] || return 0
    done
    boot_place='' boot_config=''
    return 1
}

# ---- who installs it ----

# $boot_installer of the running system, and $boot_installer_before of the one that was booted, where that is another:
# systemd-boot, grub, extlinux, init, limine, `other` for a known one that cannot be read here, or nothing. One process
# for both, where it is not known.
find_installers() {
    # A store path never changes: what was found in it holds for as long as this script runs.
    [ "${installers_of-}" != "$root $current $booted" ] || return 0
    installers_of="$root $current $booted" boot_installer='' boot_installer_before=''
    [ -n "$current" ] || return 0
    set -- "$current"
    [ -z "$booted" ] || [ "$booted" = "$current" ] || set -- "$@" "$booted"
    look_for_installers "$@" ${look_also_at:+"$look_also_at"}
    installer_of "$1" && boot_installer=$installer_is
    [ $# -eq 1 ] || { installer_of "$2" && boot_installer_before=$installer_is; }
}

# look_for_installers SYSTEM…: learns what each of them installs; one process for all that are not known.
look_for_installers() {
    recall_installers
    installers_asked=''
    for installer_system in "$@"; do
        case $installers_known in *" $installer_system|"*) continue ;; esac
        installers_asked="$installers_asked $installer_system"
    done
    [ -n "$installers_asked" ] || return 0
    # A name in the store may have a question mark.
    set -f
    set --
    for installer_system in $installers_asked; do
        set -- "$@" "$root$installer_system/bin/switch-to-configuration"
    done
    set +f
    installer_found=$(exec grep -a -o -H -m 1 -E "$installer_names" "$@" 2>/dev/null)
    for installer_system in "$@"; do
        installer_kind_of "$installer_system" || installer_is=-
        installer_system=${installer_system#"$root"}
        installers_known="$installers_known${installer_system%/bin/switch-to-configuration}|$installer_is "
    done
}

# installer_of SYSTEM: $installer_is, of one that was looked for; fails where it cannot be told.
installer_of() {
    installer_is=${installers_known#*" $1|"}
    installer_is=${installer_is%% *}
    case $installer_is in '' | -) return 1 ;; esac
}

# The programs by the names that nixpkgs and lanzaboote give them, at the end of a path: a host may be named like one. A
# hook that only says that it installs a boot loader is looked into.
installer_names='(install-)?(grub|systemd-boot|limine|refind|lanzaboote|extlinux-conf|(lx[a-z]-)?sbin-init)|lzbt'
installer_names="$installer_names|init-script-builder|raspberrypi-builder|uboot-builder|bootinstall|install-bootloader"
installer_names="(/nix/store/[0-9a-z]+-|/bin/)($installer_names)"

# installer_kind_of FILE: $installer_is, from what grep found in it.
installer_kind_of() {
    installer_is=''
    installer_line=${installer_found#*"$1":}
    [ "$installer_line" != "$installer_found" ] || return 1
    installer_line=${installer_line%%
*}
    case $installer_line in
    /nix/store/*-bootinstall | /nix/store/*-install-bootloader)
        installer_line=$(exec grep -a -o -h -m 1 -E '[/-](lzbt|systemd-boot|install-grub|extlinux-conf|limine)' \
            "$root$installer_line" "$root$installer_line".sh 2>/dev/null)
        installer_line=${installer_line%%
*}
        ;;
    esac
    case $installer_line in
    *grub) installer_is=grub ;;
    *systemd-boot | *lzbt | *lanzaboote) installer_is=systemd-boot ;;
    *extlinux-conf) installer_is=extlinux ;;
    *init-script-builder | *sbin-init) installer_is=init ;;
    *limine) installer_is=limine ;;
    *refind | *raspberrypi-builder | *uboot-builder) installer_is=other ;;
    *) return 1 ;;
    esac
}

# installer_kind SYSTEM: $installer_kind is the loader that its switch-to-configuration would install; empty where that
# cannot be told.
installer_kind() {
    look_for_installers "$1"
    installer_kind=''
    ! installer_of "$1" || [ "$installer_is" = other ] || installer_kind=$installer_is
}

# ---- EFI variables ----

# read_efi_variable NAME [VENDOR]: $efi_value, without its attributes, from UTF-16. Fails where there is none.
# A file of efivarfs cannot be seeked, so nothing may try to: it is read from its beginning, once. Of the four bytes of
# attributes one is not zero, and it is the first that is left.
read_efi_variable() {
    efi_value=
    efi_file=$root$efi_variables/$1-${2-$systemd_boot_vendor}
    [ -e "$efi_file" ] || return 1
    efi_value=$(exec tr -d '\000' <"$efi_file" 2>/dev/null)
    efi_value=${efi_value#?}
    [ -n "$efi_value" ]
}

# What the firmware itself would start once, past every loader (`efibootmgr --bootnext`): a number of two bytes.
read_firmware_once() {
    firmware_once=$root$efi_variables/BootNext-$firmware_vendor
    [ -z "$next_boot" ] && [ -e "$firmware_once" ] || return 0
    # shellcheck disable=SC2046 # four bytes of attributes and the two of the number
    set -- $(exec od -A n -v -t u1 <"$firmware_once" 2>/dev/null)
    [ $# -ge 6 ] || return 0
    next_boot=$(printf 'Boot%02X%02X' "$6" "$5")
}

# delete_efi_variable NAME VENDOR: fails if it is still there. The kernel makes most of these files immutable.
delete_efi_variable() {
    efi_file=$root$efi_variables/$1-$2
    [ -e "$efi_file" ] || return 0
    chattr -i "$efi_file" 2>/dev/null
    rm -f "$efi_file" 2>/dev/null
    [ -e "$efi_file" ] && [ "$1" = LoaderEntryOneShot ] && timeout 20 bootctl set-oneshot '' >/dev/null 2>&1
    [ ! -e "$efi_file" ]
}

# empty_next_boot: a reboot brings the boot default again; status 0 only if it was read back so. Needs read_systems.
empty_next_boot() {
    read_boot_default
    [ -n "$next_boot" ] || return 0
    [ "$loader" != grub ] || empty_grub_once
    delete_efi_variable LoaderEntryOneShot "$systemd_boot_vendor"
    delete_efi_variable BootNext "$firmware_vendor"
    read_boot_default
    [ -z "$next_boot" ]
}

# ---- whether it is there at all ----

# look_for_boot_place: $boot_missing says why what the loader reads is not where its installer would write. To be called
# after read_boot_default.
look_for_boot_place() {
    boot_missing=
    case $loader in
    init) boot_looked='/sbin/init /init' ;;
    *) boot_looked=${told_esp:-$boot_places} ;;
    esac
    boot_looked="none of its files is there (looked in $boot_looked)"
    if [ -z "$boot_place" ] && [ "$told_kind" = "$loader" ]; then
        boot_missing="the inventory says that $loader boots this host, and $boot_looked"
    elif [ -z "$boot_place" ] && [ "$loader" != unknown ]; then
        boot_missing="this system installs $loader, and $boot_looked"
    fi
    [ -r "$root/etc/fstab" ] && [ -r "$root/proc/self/mountinfo" ] || return 0
    boot_mounted=' '
    while read -r _ _ _ _ boot_mount _; do
        boot_mounted="$boot_mounted$boot_mount "
    done <"$root/proc/self/mountinfo"
    boot_unmounted=''
    while read -r boot_device boot_mount _ boot_options _ || [ -n "$boot_device" ]; do
        case $boot_device in '' | '#'*) continue ;; esac
        while :; do case $boot_mount in ?*/) boot_mount=${boot_mount%/} ;; *) break ;; esac done
        case " /boot /efi /boot/efi $told_esp " in *" $boot_mount "*) ;; *) continue ;; esac
        case $boot_options in *x-systemd.automount*) continue ;; esac
        case $boot_mounted in *" $boot_mount "*) ;; *) boot_unmounted=$boot_mount && break ;; esac
    done <"$root/etc/fstab"
    [ -z "$boot_unmounted" ] ||
        boot_missing="${boot_missing:+$boot_missing; }$boot_unmounted is in /etc/fstab and is not mounted"
}
