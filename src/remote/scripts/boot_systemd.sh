# shellcheck shell=sh
# systemd-boot: its list of entries, in its order, and which of them it starts.
# shellcheck disable=SC2034,SC2154 # boot.sh's and lib.sh's variables

# find_esp: $boot_esp (also $boot_place) and $boot_config, its loader.conf, which need not exist; fails where no place
# has anything of systemd-boot. Of several the one counts that is mounted, that the firmware started from, that is
# newest.
find_esp() {
    boot_esp='' esp_rivals=''
    for esp_place in ${told_esp:-$boot_places}; do
        [ -s "$root$esp_place/loader/loader.conf" ] || continue
        esp_rivals="$esp_rivals $esp_place"
        [ -n "$boot_esp" ] || boot_esp=$esp_place
    done
    case $esp_rivals in *' '*' '*) choose_esp ;; esac
    # Without a loader.conf, which is allowed: where the loader itself is, then where its entries are.
    for esp_sign in EFI/systemd loader/entries EFI/Linux; do
        [ -z "$boot_esp" ] || break
        for esp_place in ${told_esp:-$boot_places}; do
            [ -d "$root$esp_place/$esp_sign" ] || continue
            boot_esp=$esp_place
            break
        done
    done
    boot_place=$boot_esp
    boot_config=$boot_esp/loader/loader.conf
    [ -n "$boot_esp" ]
}

choose_esp() {
    read_mounts
    esp_mounted=
    for esp_place in $esp_rivals; do
        case $boot_mounts in *" $esp_place="*) esp_mounted="$esp_mounted $esp_place" ;; esac
    done
    [ -z "$esp_mounted" ] || esp_rivals=$esp_mounted
    boot_esp=
    # The partition that this boot was started from, by its device.
    if read_efi_variable LoaderDevicePartUUID; then
        esp_device=$(printf %s "$efi_value" | tr A-F a-f)
        esp_device=$(exec readlink "$root/dev/disk/by-partuuid/$esp_device")
        for esp_place in $esp_rivals; do
            case $boot_mounts in *" $esp_place=${esp_device##*/} "*) boot_esp=$esp_place && return ;; esac
        done
    fi
    for esp_place in $esp_rivals; do
        # shellcheck disable=SC3013 # dash and bash have -nt
        [ -n "$boot_esp" ] && [ ! "$root$esp_place/loader/loader.conf" -nt "$root$boot_esp/loader/loader.conf" ] ||
            boot_esp=$esp_place
    done
}

# $boot_mounts: ` PLACE=DEVICE` of each mount, by the last part of its device's name.
read_mounts() {
    boot_mounts=$(exec awk '{
        for (at = 7; at < NF && $at != "-"; at++) { }
        device = $(at + 2)
        sub(/.*\//, "", device)
        printf " %s=%s", $5, device
    } END { print " " }' "$root/proc/self/mountinfo" 2>/dev/null)
}

# A second partition with entries (XBOOTLDR), beside the ESP: $boot_extra, or empty.
find_extra() {
    boot_extra=
    for extra_place in /boot /xbootldr; do
        if [ "$extra_place" = "$boot_esp" ] || [ -e "$root$extra_place/loader/loader.conf" ]; then
            continue
        fi
        [ -d "$root$extra_place/loader/entries" ] || [ -d "$root$extra_place/EFI/Linux" ] || continue
        # A folder of / is no partition, and the loader does not see it.
        if [ -r "$root/proc/self/mountinfo" ]; then
            read_mounts
            case $boot_mounts in *" $extra_place="*) ;; *) continue ;; esac
        fi
        boot_extra=$extra_place
        return
    done
}

# Source: systemd-boot(7), loader.conf(5), systemd's boot.c. In the loader's own order: what is chosen once; `preferred`
# of the variable, then of the file, both without entries that have no tries left; `default` of the variable, then of
# the file; then the first of the list.
read_systemd_boot() {
    if [ -z "$boot_esp" ]; then
        boot_note="systemd-boot has no files"
        # What is to be booted once is known without them.
        ! read_efi_variable LoaderEntryOneShot || next_boot=$efi_value
        return
    fi
    find_extra
    ! read_plain_entry || return 0
    list_systemd_boot
    case $preferred_variable$preferred_file in
    ?*) loader_knows_preferred || preferred_variable='' preferred_file='' ;;
    esac
    boot_variable=
    if choose_entry "$preferred_variable" good; then
        boot_variable=$entry_id
    elif choose_entry "$preferred_file" good; then
        :
    elif choose_entry "$default_variable" any; then
        boot_variable=$entry_id
    elif ! choose_entry "$default_file" any && ! choose_entry '*' any; then
        boot_note="systemd-boot has no entries"
        return
    fi
    [ -z "$boot_variable" ] || boot_note="an EFI variable chooses the entry $boot_variable"
    boot_found=$entry_init boot_image=$entry_image boot_kernel=$entry_kernel boot_initrds=$entry_initrds
    boot_partition=$entry_partition
    [ -n "$next_boot" ] || return 0
    choose_entry "$once" any && next_boot_found=$entry_init
    return 0
}

# read_plain_entry: the usual case, which needs no process: no variable chooses, `default` of loader.conf is an entry's
# name, and of that name there is one entry, as an installer writes it. Everything else is left to the loader's order.
read_plain_entry() {
    [ -z "$boot_extra" ] && [ -r "$root$boot_config" ] || return 1
    for plain_file in OneShot Preferred Default; do
        [ ! -e "$root$efi_variables/LoaderEntry$plain_file-$systemd_boot_vendor" ] || return 1
    done
    plain_name=''
    while read -r plain_key plain_value || [ -n "$plain_key" ]; do
        case $plain_key:$plain_key$plain_value in
        *[[:cntrl:]]* | preferred:*) return 1 ;;
        default:*) plain_name=$plain_value ;;
        esac
    done <"$root$boot_config"
    # Small letters only: the loader's comparison knows no others.
    case $plain_name in *[!a-z0-9._-]* | .* | auto-*) return 1 ;; *.conf) ;; *) return 1 ;; esac
    plain_file=$root$boot_esp/loader/entries/$plain_name
    [ -s "$plain_file" ] && [ -r "$plain_file" ] || return 1
    # One with counters, or with other letters, may have the same name.
    for plain_other in "${plain_file%.conf}"+* "${plain_file%/*}"/*[A-Z]*; do
        [ ! -e "$plain_other" ] || return 1
    done
    plain_kernel='' plain_initrds='' plain_options=''
    while read -r plain_key plain_value || [ -n "$plain_key" ]; do
        case $plain_key:$plain_key$plain_value in
        *[\"\\\|[:cntrl:]]* | efi:* | uki:* | uki-url:* | architecture:*) return 1 ;;
        linux:*)
            [ -z "$plain_kernel" ] || return 1
            plain_kernel=$plain_value
            ;;
        initrd:*) plain_initrds="$plain_initrds${plain_initrds:+ }$plain_value" ;;
        options:*) plain_options="$plain_options $plain_value" ;;
        esac
    done <"$plain_file"
    case $plain_kernel in /*) ;; *) return 1 ;; esac
    [ -e "$root$boot_esp$plain_kernel" ] || return 1
    plain_init=${plain_options#*init=/nix/store/}
    case $plain_init in "$plain_options" | *init=/nix/store/*) return 1 ;; esac
    case $plain_init in */init*) plain_init=/nix/store/${plain_init%%/*}/init ;; *) return 1 ;; esac
    case $plain_options in *"init=$plain_init"*) ;; *) return 1 ;; esac
    is_store_path "${plain_init%/init}" || return 1
    boot_variable='' boot_found=$plain_init boot_image='' boot_kernel=$root$boot_esp$plain_kernel
    boot_initrds=$plain_initrds boot_partition=$root$boot_esp boot_line=$plain_options
}

# loader_knows_preferred: whether the loader on the ESP is new enough for that word; one that cannot be asked is.
loader_knows_preferred() {
    loader_version=$(exec grep -a -o -h -m 1 'LoaderInfo: systemd-boot [0-9]*' \
        "$root$boot_esp"/EFI/systemd/systemd-boot*.efi 2>/dev/null)
    loader_version=${loader_version%%
*}
    loader_version=${loader_version##* }
    ! is_number "$loader_version" || [ "$loader_version" -ge 260 ]
}

# choose_entry PATTERN good|any: the first entry of the list that matches, in $entry_id and the like; with `good`, no
# entry that has run out of tries. An entry whose kernel or image is gone is none.
choose_entry() {
    choose_pattern=$1 choose_mode=$2 entry_image=''
    if [ "$choose_pattern" = @saved ]; then
        read_efi_variable LoaderEntryLastBooted || return 1
        choose_pattern=$(printf %s "$efi_value" | tr '[:upper:]' '[:lower:]')
    fi
    [ -n "$choose_pattern" ] || return 1
    set -f
    IFS='
'
    # shellcheck disable=SC2086 # a line is a word
    set -- $boot_list
    unset IFS
    set +f
    for entry_line in "$@"; do
        # BAD|ID|KIND|PARTITION|KERNEL|INIT|INITRDS
        entry_bad=${entry_line%%|*} entry_line=${entry_line#*|}
        entry_id=${entry_line%%|*} entry_line=${entry_line#*|}
        # shellcheck disable=SC2254 # a pattern
        case $entry_id in $choose_pattern) ;; *) continue ;; esac
        [ "$choose_mode$entry_bad" != good1 ] || continue
        entry_kind=${entry_line%%|*} entry_line=${entry_line#*|}
        entry_partition=${entry_line%%|*} entry_line=${entry_line#*|}
        entry_kernel=$entry_partition${entry_line%%|*} entry_line=${entry_line#*|}
        [ -e "$entry_kernel" ] || continue
        entry_init=${entry_line%%|*} entry_initrds=${entry_line#*|}
        case $entry_kind in
        image) entry_image=$entry_kernel ;;
        uki)
            entry_image=$entry_kernel
            [ -n "$entry_init" ] || read_image_init
            ;;
        esac
        return 0
    done
    # What the loader found by itself: Windows, the firmware's setup. It is on its own list, of the last boot.
    case $choose_pattern in
    auto-*)
        read_efi_variable LoaderEntries
        case $efi_value in *"$choose_pattern"*) ;; *) return 1 ;; esac
        entry_id=$choose_pattern entry_init='' entry_kernel='' entry_initrds='' entry_partition=''
        return 0
        ;;
    esac
    return 1
}

# The init= inside the image that an entry names.
read_image_init() {
    entry_line=$(printf '' | table_of_entries "$entry_image")
    entry_init=${entry_line##*|image|}
    entry_init=${entry_init#*|*|}
    entry_init=${entry_init%%|*}
}

# $boot_list, and what is chosen by the variables and by loader.conf.
list_systemd_boot() {
    set --
    [ ! -s "$root$boot_config" ] || set -- "$root$boot_config"
    for entry_place in "$boot_esp" $boot_extra; do
        for entry_file in "$root$entry_place"/loader/entries/*.conf "$root$entry_place"/EFI/Linux/*.efi; do
            [ ! -s "$entry_file" ] || set -- "$@" "$entry_file"
        done
    done
    once='' preferred_variable='' default_variable=''
    read_efi_variable LoaderEntryOneShot && once=$efi_value
    next_boot=$once
    read_efi_variable LoaderEntryPreferred && preferred_variable=$efi_value
    read_efi_variable LoaderEntryDefault && default_variable=$efi_value
    boot_list=$(once=$once preferred=$preferred_variable default=$default_variable table_of_entries "$@" </dev/null)
    entry_line=${boot_list%%
*}
    boot_list=${boot_list#"$entry_line"}
    boot_list=${boot_list#"
"}
    once=${entry_line%%|*} entry_line=${entry_line#*|}
    preferred_variable=${entry_line%%|*} entry_line=${entry_line#*|}
    default_variable=${entry_line%%|*} entry_line=${entry_line#*|}
    preferred_file=${entry_line%%|*}
    default_file=${entry_line#*|}
}

# table_of_entries FILE…: one process reads loader.conf, the entries, and of unified images the two sections that count.
# First line `ONCE|PREFERRED|DEFAULT|PREFERRED|DEFAULT`, from the environment and then from loader.conf, in small
# letters, as the loader compares; then the entries in the loader's order, `BAD|ID|KIND|PARTITION|KERNEL|INIT|INITRDS`.
# Sources: boot.c boot_entry_compare, strverscmp_improved; the Boot Loader Specification; the PE format.
table_of_entries() {
    awk '
        # A key whose order as plain text is the order of versions: ~ is oldest, then the end, - ^ . and letters, and
        # digits are newest; a number counts by its length first.
        function version_key(text,   key, part) {
            key = ""
            while (1) {
                sub(/^[^0-9A-Za-z~^.-]+/, "", text)
                if (substr(text, 1, 1) == "~") { key = key "0"; text = substr(text, 2) }
                if (text == "") return key "1"
                if (substr(text, 1, 1) == "-") { key = key "2"; text = substr(text, 2) }
                if (substr(text, 1, 1) == "^") { key = key "3"; text = substr(text, 2) }
                if (substr(text, 1, 1) == ".") { key = key "4"; text = substr(text, 2) }
                if (match(text, /^[0-9]+/)) {
                    part = substr(text, 1, RLENGTH)
                    text = substr(text, RLENGTH + 1)
                    sub(/^0+/, "", part)
                    key = key "6" sprintf("%03d", length(part)) part
                } else {
                    match(text, /^[A-Za-z]*/)
                    key = key "5" substr(text, 1, RLENGTH) "!"
                    text = substr(text, RLENGTH + 1)
                }
            }
        }
        function init_in(text,   found) {
            found = ""
            while (match(text, /init=\/nix\/store\/[a-zA-Z0-9+._?=-]*\/init/)) {
                found = substr(text, RSTART + 5, RLENGTH - 5)
                text = substr(text, RSTART + RLENGTH)
            }
            return found
        }
        function before(one, two) {
            if (bad[one] != bad[two]) return bad[one] < bad[two]
            if ((sort_key[one] == "") != (sort_key[two] == "")) return sort_key[one] != ""
            if (sort_key[one] != "") {
                if (sort_key[one] "" != sort_key[two] "") return sort_key[one] "" < sort_key[two] ""
                if (machine[one] "" != machine[two] "") return machine[one] "" < machine[two] ""
                if (version[one] "" != version[two] "") return version[one] "" > version[two] ""
            }
            if (order[one] "" != order[two] "") return order[one] "" > order[two] ""
            if (left[one] == "" || left[two] == "") return 0
            if (left[one] != left[two]) return left[one] + 0 > left[two] + 0
            return done[one] + 0 < done[two] + 0
        }
        # Takes the entry into the list, which is kept sorted; files come by name, so that most go to its beginning.
        function add(kind, partition, kernel, key, own, text, init, initrds,   entry, at, last, name, count) {
            entry = ++entries
            name = FILE
            sub(/.*\//, "", name)
            bad[entry] = 0
            left[entry] = done[entry] = ""
            # name+LEFT-DONE.conf: the counters do not belong to the name.
            if (match(name, /\+[0-9]+(-[0-9]+)?\.(conf|efi)$/)) {
                count = substr(name, RSTART + 1)
                name = substr(name, 1, RSTART - 1) (count ~ /conf$/ ? ".conf" : ".efi")
                left[entry] = count + 0
                bad[entry] = left[entry] == 0
                done[entry] = 0
                if (sub(/^[0-9]+-/, "", count)) done[entry] = count + 0
            }
            name = tolower(name)
            sort_key[entry] = key
            machine[entry] = own
            version[entry] = version_key(text)
            order[entry] = version_key(name)
            line[entry] = name "|" kind "|" partition "|" kernel "|" init "|" initrds
            last = 0
            for (at = after[0]; at && !before(entry, at); at = after[at]) last = at
            after[last] = entry
            after[entry] = at
        }
        function finish_text(   partition) {
            if (FILE ~ /\/loader\/loader\.conf$/ || kind == "" || kind == "bad" || FILE ~ /\/auto-[^\/]*$/) return
            partition = FILE
            sub(/\/loader\/entries\/[^\/]*$/, "", partition)
            gsub(/\\/, "/", loader)
            if (loader !~ /^\//) loader = "/" loader
            add(kind, partition, loader, field["sort-key"], field["machine-id"], field["version"],
                init_in(options), initrds)
        }
        function number(text, at,   value, byte) {
            value = 0
            for (byte = 3; byte >= 0; byte--) value = value * 256 + code[substr(text, at + byte, 1)]
            return value
        }
        # The section table of an image: where the first .osrel and the first .cmdline lie.
        function sections(text,   header, count, at, name) {
            header = number(text, 61)
            if (substr(text, 1, 2) != "MZ" || substr(text, header + 1, 2) != "PE") return 0
            count = number(text, header + 7) % 65536
            at = header + 25 + number(text, header + 21) % 65536
            for (; count > 0 && at + 40 <= length(text) + 1; count--) {
                name = substr(text, at, 8)
                name = name ~ /^\.osrel/ ? "osrel" : name ~ /^\.cmdline/ ? "cmdline" : ""
                if (name != "" && !(name in from)) {
                    from[name] = number(text, at + 20)
                    size[name] = number(text, at + 8)
                    if (number(text, at + 16) < size[name]) size[name] = number(text, at + 16)
                    if (from[name] + size[name] > until) until = from[name] + size[name]
                }
                at += 40
            }
            return "osrel" in from
        }
        # What of the sections lies in this text, which begins at that place of the file.
        function collect(text, place,   name, begin, end) {
            for (name in from) {
                begin = from[name] > place ? from[name] : place
                end = from[name] + size[name]
                if (end > place + length(text)) end = place + length(text)
                if (end > begin) content[name] = content[name] substr(text, begin - place + 1, end - begin)
            }
        }
        function finish_image(   lines, count, at, name, value, partition) {
            if (!("osrel" in from)) return
            count = split(content["osrel"], lines, "\n")
            split("", field)
            for (at = 1; at <= count; at++) {
                if (!(name = index(lines[at], "="))) continue
                value = substr(lines[at], name + 1)
                sub(/[ \t\r]+$/, "", value)
                if (value ~ /^".*"$/ || value ~ /^'\''.*'\''$/) value = substr(value, 2, length(value) - 2)
                field[substr(lines[at], 1, name - 1)] = value
            }
            # One without a name is not shown.
            if (field["PRETTY_NAME"] field["IMAGE_ID"] field["NAME"] field["ID"] == "") return
            value = field["IMAGE_VERSION"]
            if (value == "") value = field["VERSION"]
            if (value == "") value = field["VERSION_ID"]
            if (value == "") value = field["BUILD_ID"]
            partition = FILE
            sub(/\/EFI\/Linux\/[^\/]*$/, "", partition)
            add("image", partition, substr(FILE, length(partition) + 1),
                field["IMAGE_ID"] != "" ? field["IMAGE_ID"] : field["ID"], "", value, init_in(content["cmdline"]), "")
        }
        function finish() {
            if (FILE ~ /\.efi$/) finish_image()
            else if (FILE != "") finish_text()
        }
        BEGIN { for (at = 1; at < 256; at++) code[sprintf("%c", at)] = at }
        FNR == 1 {
            finish()
            FILE = FILENAME
            kind = loader = options = initrds = head = ""
            place = until = known = 0
            split("", field); split("", from); split("", size); split("", content)
        }
        FILE ~ /\.efi$/ {
            if (!known) {
                head = head $0 "\n"
                if (length(head) < 4096) next
                known = 1
                if (!sections(head)) nextfile
                collect(head, 0)
                place = length(head)
                head = ""
            } else {
                collect($0 "\n", place)
                place += length($0) + 1
            }
            if (place >= until) nextfile
            next
        }
        {
            sub(/\r$/, "")
            sub(/[ \t]+$/, "")
            sub(/^[ \t]+/, "")
            if ($0 == "" || /^#/) next
            key = $1
            value = $0
            sub(/^[^ \t]+[ \t]*/, "", value)
            if (value ~ /^".*"$/) value = substr(value, 2, length(value) - 2)
        }
        FILE ~ /\/loader\/loader\.conf$/ { chosen[key] = tolower(value); next }
        key == "linux" || key == "efi" || key == "uki" || key == "uki-url" {
            kind = kind == "" || kind == key ? key : "bad"
            loader = value
        }
        key == "architecture" {
            if (own_architecture == "") "uname -m" | getline own_architecture
            if (tolower(value) != architecture_name(own_architecture)) kind = "bad"
        }
        key == "options" { options = options " " value }
        key == "initrd" { initrds = initrds (initrds == "" ? "" : " ") value }
        { field[key] = value }
        END {
            finish()
            asked = tolower(ENVIRON["once"] "|" ENVIRON["preferred"] "|" ENVIRON["default"])
            print asked "|" chosen["preferred"] "|" chosen["default"]
            for (at = after[0]; at; at = after[at]) print bad[at] "|" line[at]
        }
        function architecture_name(machine) {
            if (machine == "x86_64") return "x64"
            if (machine == "aarch64") return "aa64"
            if (machine ~ /^i.86$/) return "ia32"
            if (machine ~ /^arm/) return "arm"
            return machine
        }' "$@"
}
