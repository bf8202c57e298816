# shellcheck shell=sh
# The loaders without a menu of their own to speak of: extlinux, and a bare /sbin/init (LXC, Incus, nspawn,
# init-script).
# shellcheck disable=SC2034,SC2154 # boot.sh's and lib.sh's variables

# Source: nixpkgs extlinux-conf-builder.sh; U-Boot's doc/README.pxe; syslinux wiki, DEFAULT, LABEL, APPEND.
read_extlinux() {
    if [ -z "$boot_config" ]; then
        boot_note="there is no extlinux.conf"
        return
    fi
    extlinux_default=$(exec awk '
        { sub(/\r$/, ""); key = toupper($1) }
        key == "DEFAULT" || key == "ONTIMEOUT" { $1 = ""; sub(/^[ \t]+/, ""); wanted = $0 }
        key == "LABEL" { $1 = ""; sub(/^[ \t]+/, ""); label = $0; if (first == "") first = label; labels[label] = 1 }
        key == "MENU" && toupper($2) == "DEFAULT" { marked = label }
        key == "LINUX" || key == "KERNEL" { kernel[label] = $2 }
        key == "INITRD" { initrd[label] = $2 }
        key == "APPEND" {
            while (match($0, /init=\/nix\/store\/[a-zA-Z0-9+._?=-]*\/init/)) {
                init[label] = substr($0, RSTART + 5, RLENGTH - 5)
                $0 = substr($0, RSTART + RLENGTH)
            }
        }
        END {
            if (wanted == "") wanted = marked == "" ? first : marked
            if (wanted in labels) print init[wanted] "|" kernel[wanted] "|" initrd[wanted]
        }' "$root$boot_config")
    boot_found=${extlinux_default%%|*}
    extlinux_default=${extlinux_default#*|}
    boot_kernel=${extlinux_default%%|*}
    boot_initrds=${extlinux_default#*|}
    [ -n "$boot_found" ] || boot_note="the default label of extlinux was not found, or starts no NixOS system"
}

# find_init: $boot_place is the init that a container's manager or a kernel without init= starts, $init_target where it
# leads; fails where neither of the two leads into a system.
find_init() {
    for boot_config in /sbin/init /init; do
        [ -e "$root$boot_config" ] || [ -L "$root$boot_config" ] || continue
        init_target=$(exec readlink "$root$boot_config") || init_of_script
        case $init_target in
        /nix/store/*/init) ;;
        # With systemd in the initrd `init` is systemd itself, and this is what containers start.
        /nix/store/*/prepare-root) init_target=${init_target%/prepare-root}/init ;;
        /nix/var/nix/profiles/system*/init) ;;
        *) continue ;;
        esac
        boot_place=$boot_config
        return 0
    done
    boot_place='' boot_config='' init_target=''
    return 1
}

# The line that nixpkgs' init-script-builder writes: `exec /nix/store/…/init`.
init_of_script() {
    init_target=
    [ -f "$root$boot_config" ] && [ -r "$root$boot_config" ] || return 0
    init_lines=0
    while read -r init_word init_rest && [ "$init_lines" -lt 20 ]; do
        init_lines=$((init_lines + 1))
        case $init_lines:$init_word in
        1:'#!'*) ;;
        # A program, not a script.
        1:*) return 0 ;;
        *:exec) init_target=${init_rest%% *} ;;
        esac
    done <"$root$boot_config"
}

# Source: nixpkgs lxc-container.nix, init-script-builder.sh.
read_init() {
    case ${init_target-} in
    '') boot_note="neither /sbin/init nor /init leads into a NixOS system" ;;
    /nix/store/*) boot_found=$init_target ;;
    /nix/var/nix/profiles/system/init) boot_found=$profile ;;
    *)
        resolve "${init_target%/init}"
        boot_found=$resolved
        ;;
    esac
}
