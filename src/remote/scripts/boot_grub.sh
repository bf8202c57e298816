# shellcheck shell=sh
# GRUB, as NixOS configures it: `set default=` under simple conditions, entries by number, title or id, submenus.
# shellcheck disable=SC2034,SC2154 # boot.sh's and lib.sh's variables

# Source: nixpkgs install-grub.pl; GRUB manual, "default"; GRUB's normal/menu.c for how a default is looked up.
read_grub() {
    if [ -z "$boot_config" ]; then
        boot_note="there is no grub.cfg"
        return
    fi
    read_grub_menu "$boot_config"
    # Mirrored boot partitions: the firmware takes either, so both must say the same.
    case $boot_config in /boot1/*) ;; *) return ;; esac
    [ -s "$root/boot2${boot_config#/boot1}" ] || return
    mirror_first="$boot_found|$next_boot" mirror_kernel=$boot_kernel mirror_initrds=$boot_initrds
    read_grub_menu "/boot2${boot_config#/boot1}"
    boot_kernel=$mirror_kernel boot_initrds=$mirror_initrds
    [ "$boot_found|$next_boot" = "$mirror_first" ] ||
        boot_found='' boot_note="the mirrored /boot1 and /boot2 have different defaults"
}

read_grub_menu() {
    grub_environment=${1%/*}/grubenv grub_platform=pc
    [ ! -d "$root/sys/firmware/efi" ] || grub_platform=efi
    set -- "$root$1"
    [ ! -s "$root$grub_environment" ] || set -- "$root$grub_environment" "$@"
    grub_menu=$(awk -v platform="$grub_platform" '
        # Text with its variables put in; unknown ones are empty. Pass 1 has all, 0 and 2 are without what may be chosen once.
        function expand(text, pass,   done, name, value) {
            gsub(/["'\'']/, "", text)
            done = ""
            while (match(text, /\$\{?[A-Za-z_][A-Za-z_0-9]*\}?/)) {
                name = substr(text, RSTART, RLENGTH)
                gsub(/[${}]/, "", name)
                value = name in environment ? environment[name] : ""
                if (name == "grub_platform") value = platform
                if (pass == 0 && name == "next_entry" || pass == 2 && name == "saved_entry") value = ""
                done = done substr(text, 1, RSTART - 1) value
                text = substr(text, RSTART + RLENGTH)
            }
            return done text
        }
        function holds(line, pass,   sides) {
            if (line ~ /-s +\$\{?prefix\}?\/grubenv/) return has_environment
            if (!sub(/^(el)?if +\[ */, "", line) || !sub(/ *\] *;? *(then)? *$/, "", line)) return 0
            if (split(line, sides, / +==? +/) == 2) return expand(sides[1], pass) == expand(sides[2], pass)
            if (sub(/^-z +/, "", line)) return expand(line, pass) == ""
            sub(/^-n +/, "", line)
            return line ~ /^-/ || line ~ / / ? 0 : expand(line, pass) != ""
        }
        function active(pass,   level) {
            for (level = 1; level <= ifs; level++) if (!taken[pass, level]) return 0
            return 1
        }
        function control(line) {
            for (pass = 0; pass <= 2; pass++) control_pass(line, pass)
        }
        function control_pass(line, pass) {
            if (line ~ /^if /) { taken[pass, ifs] = was[pass, ifs] = holds(line, pass) }
            else if (line ~ /^elif /) {
                taken[pass, ifs] = !was[pass, ifs] && holds(line, pass)
                if (taken[pass, ifs]) was[pass, ifs] = 1
            }
            else if (line ~ /^else/) { taken[pass, ifs] = !was[pass, ifs] }
            else if (active(pass)) { sub(/^set +default=/, "", line); wanted[pass] = expand(line, pass) }
        }
        function id_of(line) {
            if (!match(line, /(--id[= ]|\$menuentry_id_option )[ ]*["'\'']?[^"'\'' {]+/)) return ""
            line = substr(line, RSTART, RLENGTH)
            sub(/^(--id[= ]|\$menuentry_id_option )[ ]*["'\'']?/, "", line)
            return line
        }
        # A menuentry or submenu line: a new node under the menu that is open.
        function open(line,   quote, rest, at) {
            node = ++nodes
            is_menu[node] = line ~ /^submenu/
            sub(/^(menuentry|submenu)[ \t]+/, "", line)
            quote = substr(line, 1, 1)
            if (quote == "\"" || quote == "'\''") {
                line = substr(line, 2)
                at = index(line, quote)
                title[node] = substr(line, 1, at - 1)
                rest = substr(line, at + 1)
            } else {
                match(line, /^[^ \t]+/)
                title[node] = substr(line, 1, RLENGTH)
                rest = substr(line, RLENGTH + 1)
            }
            id[node] = id_of(rest)
            parent[node] = menu
            if (active(0)) child[menu, counts[menu]++] = node
            # All on one line: closed again at once.
            if (rest ~ /\{.*\}[ \t]*$/) { sub(/^[^{]*\{/, "", rest); inside(rest); return }
            menu = node
        }
        function inside(line,   words) {
            sub(/^[ \t]+/, "", line)
            while (match(line, /init=\/nix\/store\/[a-zA-Z0-9+._?=-]*\/init/)) {
                init[node] = substr(line, RSTART + 5, RLENGTH - 5)
                split(line, words, /[ \t]+/)
                if (!(node in kernel)) kernel[node] = words[2]
                line = substr(line, RSTART + RLENGTH)
            }
            if (line ~ /^(initrd|initrdefi|initrd16)[ \t]/ || (node in kernel && line ~ /^module2?[ \t]/)) {
                sub(/^[a-z0-9]+[ \t]+/, "", line)
                initrds[node] = line
            }
        }
        # Up to a ">" that is not doubled; what follows it is for the submenu.
        function chosen(spec, level,   at, part, number, node) {
            rest_of_spec = ""
            for (at = 1; at <= length(spec); at++) {
                if (substr(spec, at, 1) != ">") continue
                if (substr(spec, at + 1, 1) == ">") { at++; continue }
                rest_of_spec = substr(spec, at + 1)
                spec = substr(spec, 1, at - 1)
                break
            }
            part = spec
            gsub(/>>/, ">", part)
            # What is not in the menu is its first entry.
            node = child[level, 0]
            if (spec ~ /^[0-9]+$/) { if (spec + 0 < counts[level]) node = child[level, spec + 0] }
            else for (number = 0; number < counts[level]; number++)
                if (title[child[level, number]] == part || id[child[level, number]] == part) {
                    node = child[level, number]
                    break
                }
            return node
        }
        function find(spec,   node) {
            node = chosen(spec, 0)
            while (is_menu[node] && counts[node] > 0) node = chosen(rest_of_spec, node)
            return node
        }
        BEGIN { menu = nodes = ifs = 0; once = "next_entry"; usual = 0 }
        { sub(/\r$/, "") }
        FILENAME ~ /\/grubenv$/ {
            has_environment = 1
            if (FNR == 1) valid = $0 == "# GRUB Environment Block"
            else if (valid && !/^#/ && (at = index($0, "="))) environment[substr($0, 1, at - 1)] = substr($0, at + 1)
            next
        }
        { sub(/^[ \t]+/, "") }
        /^#/ { next }
        /^function / { in_function = 1 }
        in_function { if (/^}/ || /}$/) in_function = 0; next }
        /^(menuentry|submenu)[ \t]/ { open($0); next }
        menu && /^}/ { menu = parent[menu]; next }
        menu && !is_menu[menu] { node = menu; inside($0); next }
        # Before 21.05, saved_entry was what is chosen once.
        /^set +saved_entry=$/ { once = "saved_entry"; usual = 2 }
        /^if / { ifs++; control($0); next }
        /^(elif |else)/ || /^set +default=/ { control($0); next }
        /^fi$/ || /^fi[ \t;]/ { ifs--; next }
        END {
            entry = find(wanted[usual])
            print init[entry] "|" kernel[entry] "|" initrds[entry]
            if (environment[once] != "") print once "|" environment[once] "|" init[find(wanted[1])]
        }' "$@")
    grub_next=${grub_menu#*
}
    [ "$grub_next" != "$grub_menu" ] || grub_next=
    grub_menu=${grub_menu%%
*}
    boot_found=${grub_menu%%|*}
    grub_menu=${grub_menu#*|}
    boot_kernel=${grub_menu%%|*}
    boot_initrds=${grub_menu#*|}
    [ -n "$boot_found" ] || boot_note="the default entry of GRUB starts no NixOS system"
    [ -n "$grub_next" ] || return 0
    grub_once=${grub_next%%|*}
    next_boot_found=${grub_next##*|}
    grub_next=${grub_next#*|}
    next_boot=${grub_next%|*}
}

# Takes what is chosen once out of GRUB's environment, in place: GRUB has the blocks of this file by heart, and their size.
empty_grub_once() {
    set -- "${boot_config%/*}/grubenv"
    case $1 in /boot1/*) set -- "$1" "/boot2${1#/boot1}" ;; esac
    for grub_environment in "$@"; do
        grub_environment=$root$grub_environment
        if [ ! -s "$grub_environment" ] || [ -z "${grub_once-}" ]; then
            continue
        fi
        # shellcheck disable=SC2094 # read as a whole before it is written
        grub_new=$(awk -v once="$grub_once" '
            { size += length($0) + 1 }
            /^#+$/ || index($0, once "=") == 1 { next }
            { kept = kept $0 "\n" }
            END {
                # The last line of the block ends without a newline.
                for (at = length(kept) + 1; at < size; at++) kept = kept "#"
                print kept
            }' "$grub_environment")
        printf %s "$grub_new" | dd of="$grub_environment" conv=notrunc,fsync bs=4096 iflag=fullblock status=none
    done
}
