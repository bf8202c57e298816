# shellcheck shell=sh
# The entry of our own where GRUB boots, after boot_once.sh in its text. It lies in a file beside grub.cfg, which the
# menu reads where the host's configuration says so: nothing of ours is ever written into the one file that starts every
# system, so that no torn write of ours leaves a host without its default.
#
# In the file it exists only in the boot that was told to take it, and only once GRUB has read from its disk that it is
# not to be taken again: a next boot that cannot be taken back, or not be read, starts nothing, and no number of the
# menu moves. An entry that is not there is the first of the menu, and so that must be the boot default.
# Source: GRUB manual, "load_env", "menuentry"; normal/menu.c.
# shellcheck disable=SC2034,SC2154 # boot.sh's, its readers' and lib.sh's variables

# Its id, and so what is chosen once.
grub_trial=fleetdeploy-trial

# grub_entry_of SYSTEM FILE: $grub_entry are the lines of the first entry in this menu that starts it, as a whole: by
# one `linux`, and by nothing else.
grub_entry_of() {
    grub_entry=$(exec awk -v init=" init=$1/init " '
        { sub(/\r$/, ""); sub(/^[ \t]+/, "") }
        /^#/ { next }
        /^menuentry[ \t].*[{][ \t]*$/ { inside = 1; kept = ""; kernels = found = odd = 0; next }
        inside && /^}/ {
            if (found && kernels == 1 && !odd) { printf "%s", kept; exit }
            inside = 0
        }
        inside {
            kept = kept $0 "\n"
            if (/^linux[ \t]/) { kernels++; if (index($0 " ", init)) found = 1 }
            else if (/^(linux|multiboot|module|chainloader|configfile|savedefault|submenu|initrd[^ \t])/) odd = 1
        }' "$2" 2>/dev/null)
    [ -n "$grub_entry" ]
}

# grub_is_entry_of SYSTEM FILE: as is_entry_of.
grub_is_entry_of() {
    entry_kernel='' entry_initrds='' entry_options=''
    grub_entry_of "$1" "$2" || return
    set -f
    IFS='
'
    for grub_line in $grub_entry; do
        case $grub_line in
        linux*)
            grub_line=${grub_line#linux?}
            entry_kernel=${grub_line%% *}
            entry_options=${grub_line#* }
            ;;
        initrd*) entry_initrds=${grub_line#initrd?} ;;
        esac
    done
    unset IFS
    set +f
    [ -n "$entry_kernel" ]
}

# Whether the words of the kernel's line are what they look like: whatever else GRUB would read in them is refused.
grub_takes_options() {
    case $entry_kernel$entry_options in
    *[\"\'\\\;\{\}\#\<\>\|\&]*) ;;
    *) case $entry_options in *\$*) ;; *) return 0 ;; esac ;;
    esac
    echo "its kernel's line has characters that GRUB reads in its own way"
    return 1
}

# grub_write_entry PARAMETERS: $written_file and $written_text, after find_own_entry.
grub_write_entry() {
    written_file=$root${boot_config%/*}/fleetdeploy.cfg
    # shellcheck disable=SC2016 # GRUB's variables
    written_text=$(printf '%s\n' 'if [ "${default}" = "fleetdeploy-trial" ]; then' 'set next_entry=unread' \
        'load_env next_entry' 'if [ -z "${next_entry}" ]; then' \
        "menuentry \"$trial_title\" --id $grub_trial --unrestricted {" &&
        printf '%s\n' "$grub_entry" | exec awk -v more="$1" '{ print (/^linux/ ? $0 " " more : $0) }' &&
        printf '%s\n' '}' 'fi' 'fi')
}

# set_grub_once NAME: in place, since GRUB has the blocks of this file by heart, and their size; first of all, so that
# it lies in one sector as a whole.
set_grub_once() {
    grub_file=$root${boot_config%/*}/grubenv
    grub_new=$(exec awk -v once="next_entry=$1" '
        { size += length($0) + 1 }
        NR == 1 { valid = $0 == "# GRUB Environment Block"; kept = $0 "\n" once "\n"; next }
        /^#+$/ || index($0, "next_entry=") == 1 { next }
        { kept = kept $0 "\n" }
        END {
            # The last line of the block ends without a newline; what others keep there stays in its first sector.
            if (!valid || size != 1025 || length(kept) > 512) exit 1
            for (at = length(kept) + 1; at < size; at++) kept = kept "#"
            print kept
        }' "$grub_file" 2>/dev/null) || return
    printf %s "$grub_new" | timeout -k 1 20 dd of="$grub_file" conv=notrunc,fsync bs=4096 iflag=fullblock status=none
    read_past_cache "$grub_file"
    [ "$past_cache" = "$grub_new" ]
}

# As remove_trial_entry, once the next boot is not ours.
remove_grub_entry() {
    if [ -z "$boot_place" ] && [ -e "${folder-}/entry" ]; then return 1; fi
    if find_trial_entry || [ -e "$entry_file.new" ]; then remove_entry_file; fi
}
