# shellcheck shell=sh
# GRUB, as NixOS configures it: `set default=` under simple conditions, entries by number, title or id, submenus.
# shellcheck disable=SC2034,SC2154 # boot.sh's and lib.sh's variables

# The line of the menu that reads our file; see boot_once_grub.sh.
# shellcheck disable=SC2016 # GRUB's variable
grub_hook='if [ -s $prefix/fleetdeploy.cfg ]; then source $prefix/fleetdeploy.cfg; fi'

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
    grub_once='' grub_reads_ours=''
    grub_environment=${1%/*}/grubenv grub_platform=pc
    [ ! -d "$root/sys/firmware/efi" ] || grub_platform=efi
    set -- "$root$1"
    [ ! -s "$root$grub_environment" ] || set -- "$root$grub_environment" "$@"
    grub_menu=$(exec awk -v platform="$grub_platform" -v hook="$grub_hook" -v trial=fleetdeploy-trial '
        # A variable. Pass 1 has all of them; 0 and 2 are without what may be chosen once.
        function value(name, pass) {
            if ((pass, name) in variables) return variables[pass, name]
            if (name == "grub_platform") return platform
            if (name ~ /^feature_/) return "y"
            if (pass == 0 && name == "next_entry" || pass == 2 && name == "saved_entry") return ""
            return environment[name]
        }
        # The first word of a text, as the shell of GRUB takes it; what follows it is left in $rest_of_line.
        function word(text, pass,   out, letter, quote, name) {
            out = quote = ""
            sub(/^[ \t]+/, "", text)
            for (; text != ""; text = substr(text, 2)) {
                letter = substr(text, 1, 1)
                if (letter == quote) { quote = ""; continue }
                if (quote == "") {
                    if (letter ~ /[ \t]/) break
                    if (letter == "\"" || letter == "'\''") { quote = letter; continue }
                    # No such word: GRUB drops the whole command.
                    if (letter ~ /[<>|&]/) broken = 1
                }
                if (letter == "\\" && quote != "'\''") { text = substr(text, 2); letter = substr(text, 1, 1) }
                else if (letter == "$" && quote != "'\''" && match(text, /^\$\{?[A-Za-z_][A-Za-z_0-9]*\}?/)) {
                    name = substr(text, 1, RLENGTH)
                    text = substr(text, RLENGTH)
                    gsub(/[${}]/, "", name)
                    letter = value(name, pass)
                }
                out = out letter
            }
            rest_of_line = text
            return out
        }
        function holds(line, pass,   count, words) {
            for (count = 0; line ~ /[^ \t]/; line = rest_of_line) words[++count] = word(line, pass)
            if (words[1] != "[" || words[count] != "]") return 0
            if (count == 3) return words[2] != ""
            if (count == 4 && words[2] == "-n") return words[3] != ""
            if (count == 4 && words[2] == "-z") return words[3] == ""
            if (count == 4 && words[2] == "-s") return words[3] == "/grubenv" && has_environment
            if (count == 5 && words[3] ~ /^==?$/) return words[2] "" == words[4] ""
            if (count == 5 && words[3] == "!=") return words[2] "" != words[4] ""
            return 0
        }
        function active(pass,   level) {
            for (level = 1; level <= ifs; level++) if (!taken[pass, level]) return 0
            return 1
        }
        # A line outside of the menu: conditions and assignments, several of them or one.
        function run(line,   count, parts, at, part, pass) {
            count = split(line, parts, ";")
            for (at = 1; at <= count; at++) {
                part = parts[at]
                sub(/^[ \t]+/, "", part)
                sub(/^then([ \t]+|$)/, "", part)
                if (part ~ /^if[ \t]/) ifs++
                for (pass = 0; pass <= 2; pass++) run_pass(part, pass)
                if (part ~ /^fi([ \t]|$)/) ifs--
            }
        }
        function run_pass(part, pass,   name) {
            if (sub(/^if[ \t]+/, "", part)) { taken[pass, ifs] = was[pass, ifs] = holds(part, pass); return }
            if (sub(/^elif[ \t]+/, "", part)) {
                taken[pass, ifs] = !was[pass, ifs] && holds(part, pass)
                if (taken[pass, ifs]) was[pass, ifs] = 1
                return
            }
            if (sub(/^else([ \t]+|$)/, "", part)) taken[pass, ifs] = !was[pass, ifs]
            sub(/^set[ \t]+/, "", part)
            if (!match(part, /^[A-Za-z_][A-Za-z_0-9]*=/)) return
            name = substr(part, 1, RLENGTH - 1)
            part = substr(part, RLENGTH + 1)
            # Before 21.05, saved_entry was what is chosen once.
            if (name == "saved_entry" && part == "") { once = name; usual = 2 }
            if (name == "default" && part ~ /\$\{?next_entry/) takes_next = 1
            if (name == "default" && part ~ /\$\{?saved_entry/ && pass == 0 && active(0)) saves = 1
            broken = 0
            part = word(part, pass)
            if (active(pass) && !broken) variables[pass, name] = part
        }
        # The words between the title and the block.
        function id_of(line,   option) {
            while (line ~ /[^ \t]/ && line !~ /^[ \t]*\{/) {
                option = word(line, 1)
                line = rest_of_line
                if (option == "--id") return word(line, 1)
                if (sub(/^--id=/, "", option)) return option
            }
            return ""
        }
        # A menuentry or submenu line: a new node under the menu that is open.
        function open(line,   rest) {
            node = ++nodes
            is_menu[node] = line ~ /^submenu/
            sub(/^(menuentry|submenu)[ \t]+/, "", line)
            title[node] = word(line, 1)
            rest = rest_of_line
            # An empty block is an error, and GRUB drops it.
            if (rest ~ /\{[ \t]*\}[ \t]*$/) return
            id[node] = id_of(rest)
            parent[node] = menu
            if (active(0)) child[menu, counts[menu]++] = node
            # All on one line: closed again at once.
            if (rest ~ /\{.*\}[ \t]*$/) { sub(/^[^{]*\{/, "", rest); inside(rest); return }
            menu = node
        }
        function inside(line,   words) {
            sub(/^[ \t]+/, "", line)
            if (line ~ /^savedefault([ \t;]|$)/) saves = 1
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
        # As strtoul with any base: the digits at the beginning, whatever follows them.
        function number_of(text,   base, number, digit) {
            base = 10
            number = 0
            sub(/^[ \t]+/, "", text)
            if (text ~ /^0/) base = 8
            if (sub(/^0[xX]/, "", text)) base = 16
            for (; text != ""; text = substr(text, 2)) {
                digit = index("0123456789abcdef", tolower(substr(text, 1, 1))) - 1
                if (digit < 0 || digit >= base) break
                number = number * base + digit
            }
            return number
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
            if (spec ~ /^[ \t]*[0-9]/) {
                number = number_of(spec)
                if (number < counts[level]) node = child[level, number]
            }
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
        BEGIN { menu = nodes = ifs = usual = 0; once = "next_entry" }
        { sub(/\r$/, "") }
        FILENAME ~ /\/grubenv$/ {
            has_environment = 1
            if (FNR == 1) valid = $0 == "# GRUB Environment Block"
            else if (valid && !/^#/ && (at = index($0, "="))) environment[substr($0, 1, at - 1)] = substr($0, at + 1)
            next
        }
        { sub(/^[ \t]+/, "") }
        /^#/ { next }
        /^function / { in_function = !/}$/; next }
        in_function { if (/^}/) in_function = 0; next }
        /^(menuentry|submenu)[ \t]/ { open($0); next }
        menu && /^}/ { menu = parent[menu]; next }
        menu && !is_menu[menu] { node = menu; inside($0); next }
        !menu && !ifs && $0 == hook { hooked = 1 }
        { run($0) }
        END {
            entry = find(value("default", usual))
            if (once == "saved_entry") saves = 1
            # What it boots where an entry is not found.
            if (hooked) ours = entry == find(trial) ? "first" : "behind"
            print saves "|" takes_next "|" ours "|" init[entry] "|" kernel[entry] "|" initrds[entry]
            if (environment[once] != "") print once "|" environment[once] "|" init[find(value("default", 1))]
        }' "$@")
    grub_next=${grub_menu#*"
"}
    [ "$grub_next" != "$grub_menu" ] || grub_next=
    grub_menu=${grub_menu%%
*}
    # Whether it keeps what was booted as its default, and whether it starts next_entry once.
    grub_saves=${grub_menu%%|*}
    grub_menu=${grub_menu#*|}
    grub_takes_next=${grub_menu%%|*}
    grub_menu=${grub_menu#*|}
    # `first`: its menu reads our file, and a default that is not there is the boot default; `behind`: it is another.
    grub_reads_ours=${grub_menu%%|*}
    grub_menu=${grub_menu#*|}
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
    # Our own entry is there in the boot that takes it alone.
    if [ "$next_boot" = fleetdeploy-trial ] && [ -n "$grub_reads_ours" ] &&
        [ -s "$root${boot_config%/*}/fleetdeploy.cfg" ]; then
        next_boot_found=$(exec sed -n 's/^linux .* init=\([^ ]*\) .*/\1/p' "$root${boot_config%/*}/fleetdeploy.cfg")
    fi
}

# Takes what is chosen once out of GRUB's environment, in place: GRUB has the blocks of this file by heart, and their
# size.
empty_grub_once() {
    set -- "${boot_config%/*}/grubenv"
    case $1 in /boot1/*) set -- "$1" "/boot2${1#/boot1}" ;; esac
    for grub_environment in "$@"; do
        grub_environment=$root$grub_environment
        if [ ! -s "$grub_environment" ] || [ -z "$grub_once" ]; then
            continue
        fi
        # shellcheck disable=SC2094 # read as a whole before it is written
        grub_new=$(exec awk -v once="$grub_once" '
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
