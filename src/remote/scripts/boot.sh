# shellcheck shell=sh
# What a reboot would bring, read from the boot loader itself: systemd-boot, GRUB, extlinux.
#
# read_boot_default sets $boot_default (a toplevel, or empty), $loader, and $boot_note when there is something to say.
# An unknown loader is no reason to guess from its files: then the profile is taken for the boot default, and
# $loader says `unknown`.
# shellcheck disable=SC2154 # $root, $current and $profile are lib.sh's

read_boot_default() {
    boot_default='' boot_note='' boot_found=''
    loader=$(boot_loader)
    case $loader in
    systemd-boot) read_systemd_boot ;;
    grub) read_grub ;;
    extlinux) read_extlinux ;;
    esac
    boot_default=${boot_found%/init}
    is_store_path "$boot_default" && return
    if [ "$loader" = unknown ]; then
        boot_default=$profile
        boot_note="the boot loader is not known: the profile is taken for the boot default"
    else
        boot_default=''
        boot_note="${boot_note:-the default entry of $loader does not start a NixOS system}"
    fi
}

# The loader by what it left. Where a machine was moved from one to another and has the files of both: the firmware's
# word, then the installer of what runs, then the newest file.
boot_loader() {
    boot_kinds='' boot_newest='' boot_newest_kind=unknown
    for boot_file in "$root"/boot/loader/loader.conf "$root"/efi/loader/loader.conf "$root"/boot/efi/loader/loader.conf \
        "$root"/boot/grub/grub.cfg "$root"/boot/grub2/grub.cfg "$root"/boot/extlinux/extlinux.conf; do
        [ -e "$boot_file" ] || continue
        case $boot_file in
        */loader.conf) boot_kind=systemd-boot ;;
        */grub.cfg) boot_kind=grub ;;
        *) boot_kind=extlinux ;;
        esac
        case $boot_kinds in *"$boot_kind"*) ;; *) boot_kinds="$boot_kinds $boot_kind" ;; esac
        # shellcheck disable=SC3013 # dash and bash have -nt
        if [ -z "$boot_newest" ] || [ "$boot_file" -nt "$boot_newest" ]; then
            boot_newest=$boot_file boot_newest_kind=$boot_kind
        fi
    done
    case $boot_kinds in
    *' '*' '*) ;;
    *) echo "$boot_newest_kind" && return ;;
    esac
    case $(efi_variable LoaderInfo) in systemd-boot*) echo systemd-boot && return ;; esac
    case $(installer_kind "$current") in
    '') echo "$boot_newest_kind" ;;
    *) installer_kind "$current" ;;
    esac
}

# installer_kind SYSTEM: the loader that its switch-to-configuration would install, from the path of the installer;
# nothing where that cannot be told.
installer_kind() {
    case $(grep -a -o -E 'install-grub|systemd-boot|extlinux-conf-builder|lzbt|limine' \
        "$root$1/bin/switch-to-configuration" 2>/dev/null | head -n 1) in
    install-grub) echo grub ;;
    systemd-boot | lzbt) echo systemd-boot ;;
    extlinux-conf-builder) echo extlinux ;;
    limine) echo unknown ;;
    esac
}

# init_of FILE…: the last init= of boot entries; also inside a unified kernel image, whose command line is plain text.
init_of() {
    grep -a -h -o 'init=/nix/store/[a-zA-Z0-9+._?=-]*/init' "$@" 2>/dev/null | tail -n 1 | cut -d= -f2-
}

# ---- systemd-boot ----

# efi_variable NAME: systemd-boot's variable, without its four bytes of attributes, from UTF-16.
efi_variable() {
    tail -c +5 "$root/sys/firmware/efi/efivars/$1-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f" 2>/dev/null | tr -d '\000'
}

# Source: systemd-boot(7), loader.conf(5), systemd boot.c config_select_default_entry.
read_systemd_boot() {
    boot_entries=$(systemd_boot_entries)
    boot_configured=''
    for boot_file in "$root"/efi/loader/loader.conf "$root"/boot/efi/loader/loader.conf "$root"/boot/loader/loader.conf; do
        [ -e "$boot_file" ] || continue
        boot_configured=$(awk '$1 == "preferred" || $1 == "default" { found[$1] = $2 }
            END { print found["preferred"], found["default"] }' "$boot_file")
        break
    done
    boot_once=$(efi_variable LoaderEntryOneShot)
    boot_preferred=$(efi_variable LoaderEntryPreferred)
    boot_variable=$(efi_variable LoaderEntryDefault)
    # In the loader's own order: once, the variables, loader.conf.
    set -f
    # shellcheck disable=SC2086 # two words or fewer, and no file names
    set -- "$boot_once" "$boot_preferred" "$boot_variable" $boot_configured
    set +f
    for boot_pattern in "$@"; do
        [ "$boot_pattern" != @saved ] || boot_pattern=$(efi_variable LoaderEntryLastBooted)
        [ -n "$boot_pattern" ] || continue
        boot_file=$(printf '%s\n' "$boot_entries" | first_entry "$boot_pattern")
        [ -n "$boot_file" ] || continue
        case $boot_pattern in
        "$boot_once" | "$boot_preferred" | "$boot_variable") boot_note="an EFI variable chooses the entry $boot_pattern" ;;
        esac
        boot_found=$(init_of "$boot_file")
        return
    done
    # Nothing chosen, or nothing that is there: the loader takes the first.
    boot_file=$(printf '%s\n' "$boot_entries" | first_entry '*')
    boot_found=$(init_of "$boot_file")
    [ -n "$boot_file" ] || boot_note="systemd-boot has no entries"
}

# Lines `ID FILE` in the loader's order: entries that ran out of tries last, then by sort key, version and name.
systemd_boot_entries() {
    set --
    for entry_file in "$root"/boot/loader/entries/*.conf "$root"/efi/loader/entries/*.conf \
        "$root"/boot/efi/loader/entries/*.conf; do
        [ ! -s "$entry_file" ] || set -- "$@" "$entry_file"
    done
    {
        [ $# -eq 0 ] || awk '
            function out() { if (file != "") print (key == "" ? "1|" : "0|" key) "|" version "|" file }
            FNR == 1 { out(); file = FILENAME; key = version = "" }
            $1 == "sort-key" { key = $2 }
            $1 == "version" { $1 = ""; gsub(/[ \t|]+/, "_"); version = $0 }
            END { out() }' "$@"
        for entry_file in "$root"/boot/EFI/Linux/*.efi "$root"/efi/EFI/Linux/*.efi "$root"/boot/efi/EFI/Linux/*.efi; do
            [ ! -e "$entry_file" ] || printf '1|||%s\n' "$entry_file"
        done
    } | awk -F '|' '{
        id = $4
        sub(/.*\//, "", id)
        # nixos-generation-5+2-1.conf: tries left, tries done; neither belongs to the name.
        bad = id ~ /\+0(-[0-9]+)?\.(conf|efi)$/
        sub(/\+[0-9]+(-[0-9]+)?\./, ".", id)
        print bad "|" $1 "|" $2 "|" $3 "|" id "|" $4
    }' | sort -t '|' -k1,1n -k2,2n -k3,3 -k4,4Vr -k5,5Vr | awk -F '|' '{ print $5, $6 }'
}

# first_entry PATTERN: the file of the first entry whose id matches; loader.conf may leave the suffix out.
first_entry() {
    while read -r first_id first_file; do
        # shellcheck disable=SC2254
        case $first_id in $1 | $1.conf) printf '%s\n' "$first_file" && return ;; esac
    done
}

# ---- GRUB ----

# The menu of NixOS's grub.cfg: `set default=` under simple conditions, menu entries by number, title or id, submenus.
# Source: nixpkgs install-grub.pl; GRUB manual, "default".
read_grub() {
    for boot_file in "$root"/boot/grub/grub.cfg "$root"/boot/grub2/grub.cfg; do
        [ -e "$boot_file" ] && break
    done
    grub_environment=${boot_file%/*}/grubenv
    boot_found=$(awk -v next_entry="$(grub_variable next_entry)" -v saved_entry="$(grub_variable saved_entry)" \
        -v environment="$([ -s "$grub_environment" ] && echo yes)" '
        # The value of a variable, or of text with one variable in it.
        function expand(text) {
            gsub(/["'\'']/, "", text)
            if (text == "${next_entry}") return next_entry
            if (text == "${saved_entry}") return saved_entry
            if (text ~ /\$/) return ""
            return text
        }
        function holds(line) {
            if (line ~ /-s \$\{?prefix\}?\/grubenv/) return environment != ""
            if (match(line, /\$\{[a-z_]+\}/)) return expand(substr(line, RSTART, RLENGTH)) != ""
            return 0
        }
        function active(   level) {
            for (level = 1; level <= ifs; level++) if (!taken[level]) return 0
            return 1
        }
        # Title and id of a menuentry or submenu line.
        function title(line,   quote) {
            sub(/^[ \t]*(menuentry|submenu)[ \t]+/, "", line)
            quote = substr(line, 1, 1)
            if (quote != "\"" && quote != "'\''") { sub(/[ \t].*/, "", line); return line }
            line = substr(line, 2)
            return substr(line, 1, index(line, quote) - 1)
        }
        function id(line) {
            if (!match(line, /(--id[= ]|\$menuentry_id_option[ ])[ ]*["'\'']?[^"'\'' ]+/)) return ""
            line = substr(line, RSTART, RLENGTH)
            sub(/^(--id[= ]|\$menuentry_id_option )[ ]*["'\'']?/, "", line)
            return line
        }
        BEGIN { depth = ifs = 0 }
        { sub(/^[ \t]+/, "") }
        /^#/ { next }
        /^function / { in_function = 1 }
        in_function { if (/^}/ || /}$/) in_function = 0; next }
        /^(menuentry|submenu)[ \t]/ {
            number = count[depth]++
            depth++
            names[depth] = title($0); ids[depth] = id($0); numbers[depth] = number
            kinds[depth] = /^menuentry/ ? "entry" : "menu"
            count[depth] = 0
            next
        }
        depth && /^}/ { depth--; next }
        depth && kinds[depth] == "entry" {
            if (match($0, /init=\/nix\/store\/[a-zA-Z0-9+._?=-]*\/init/)) {
                entries++
                levels[entries] = depth
                for (level = 1; level <= depth; level++) {
                    entry_name[entries, level] = names[level]
                    entry_id[entries, level] = ids[level]
                    entry_number[entries, level] = numbers[level]
                }
                init[entries] = substr($0, RSTART + 5, RLENGTH - 5)
            }
            next
        }
        /^if / { taken[++ifs] = holds($0); was[ifs] = taken[ifs]; next }
        /^elif / { taken[ifs] = !was[ifs] && holds($0); was[ifs] = was[ifs] || taken[ifs]; next }
        /^else/ { taken[ifs] = !was[ifs]; next }
        /^fi/ { ifs--; next }
        /^set default=/ { if (active()) { sub(/^set default=/, ""); wanted = expand($0) } }
        END {
            if (wanted == "") wanted = "0"
            parts = split(wanted, part, ">")
            for (entry = 1; entry <= entries; entry++) {
                # A title may itself hold a ">"; then the whole text is the title of an entry at the top.
                good = levels[entry] == 1 && entry_name[entry, 1] == wanted
                if (!good) {
                    good = 1
                    for (level = 1; level <= levels[entry]; level++) {
                        want = level <= parts ? part[level] : "0"
                        if (want ~ /^[0-9]+$/ ? want != entry_number[entry, level] \
                            : want != entry_name[entry, level] && want != entry_id[entry, level]) good = 0
                    }
                    if (parts > levels[entry]) good = 0
                }
                if (good) { print init[entry]; exit }
            }
        }' "$boot_file")
    [ -n "$boot_found" ] || boot_note="the default entry of GRUB was not found, or starts no NixOS system"
}

# grub_variable NAME: from grubenv.
grub_variable() {
    sed -n "s/^$1=//p" "$grub_environment" 2>/dev/null | tail -n 1
}

# ---- extlinux ----

# Source: nixpkgs extlinux-conf-builder.sh; syslinux wiki, DEFAULT, LABEL, APPEND.
read_extlinux() {
    boot_found=$(awk '
        { key = toupper($1) }
        key == "DEFAULT" { wanted = $2 }
        key == "LABEL" { label = $2; if (first == "") first = label }
        key == "APPEND" && match($0, /init=\/nix\/store\/[a-zA-Z0-9+._?=-]*\/init/) {
            init[label] = substr($0, RSTART + 5, RLENGTH - 5)
        }
        END { print (wanted in init ? init[wanted] : wanted == "" ? init[first] : "") }' \
        "$root/boot/extlinux/extlinux.conf")
    [ -n "$boot_found" ] || boot_note="the default label of extlinux was not found, or starts no NixOS system"
}
