# shellcheck shell=sh
# Whether the kernel and the initrd that the boot default needs are whole: a firmware that is given half of one hangs,
# and nothing of ours runs there.
#
# What cannot be compared is not bad: only what is missing, unreadable or shorter than the store's is, and what differs
# though its name says that it is a copy.
# shellcheck disable=SC2154 # boot.sh's and lib.sh's variables

# look_at_boot_files SYSTEM: $boot_files is `whole`, `unproven WHY`, or `bad WHY`. To be called after read_boot_default.
look_at_boot_files() {
    boot_files=whole files_unproven=''
    case $loader in
    init) return ;;
    unknown)
        boot_files='unproven the boot loader is not known'
        return
        ;;
    esac
    if [ -z "$1" ] || [ "$boot_default" != "$1" ]; then
        boot_files="unproven the boot default is ${boot_default:-not known}"
        return
    fi
    if [ -n "$boot_image" ]; then
        files_unproven="a unified image cannot be compared with the store"
        read_file_through "$boot_image"
    elif [ -z "$boot_kernel" ]; then
        files_unproven="the entry names no kernel"
    else
        files_kernel='' files_initrd=''
        # The usual case; whatever is otherwise is looked at in full, and named.
        ! boots_the_same "$1" || return 0
        if [ -L "$root$1/kernel" ] && [ -L "$root$1/initrd" ]; then
            # shellcheck disable=SC2046 # two store paths
            set -- $(exec readlink "$root$1/kernel" "$root$1/initrd")
            files_kernel=$1 files_initrd=$2
        else
            files_unproven="the system names no kernel and initrd of its own"
        fi
        look_at_file kernel "$boot_kernel" "$files_kernel"
        set -f
        for files_path_told in $boot_initrds; do
            look_at_file initrd "$files_path_told" "$files_initrd"
            # The parts behind the first were added by other programs: secrets, microcode.
            files_initrd=''
        done
        set +f
    fi
    case $boot_files:$files_unproven in
    whole:?*) boot_files="unproven $files_unproven" ;;
    esac
}

# boots_the_same SYSTEM: whether the loader has this system's kernel and one initrd, both the store's, byte for byte.
boots_the_same() {
    case $boot_initrds in '' | *[!a-zA-Z0-9/._-]*) return 1 ;; esac
    for files_name in kernel initrd; do
        case $files_name in
        kernel) place_boot_file "$boot_kernel" ;;
        initrd) place_boot_file "$boot_initrds" ;;
        esac
        case $files_path in '' | "$root/nix/store/"*) return 1 ;; esac
        [ -L "$root$1/$files_name" ] && is_same_file "$files_path" "$root$1/$files_name" || return 1
    done
}

# is_same_file FILE ORIGINAL: as read_file_through, and nothing but yes or no, with half of the processes. Whatever
# becomes of the reader: what has come is all of the original, and no byte more.
is_same_file() {
    [ -s "$1" ] && [ -s "$2" ] || return 1
    case ${BASH_VERSION-} in [5-9].[1-9]* | [1-9][0-9].*) eval "$same_in_bash" ;; *) return 1 ;; esac
}

# Another shell cannot read it.
# shellcheck disable=SC2016 # evaluated
same_in_bash='
    exec {same_fd}< <(exec dd if="$1" iflag=direct bs=1M status=none 2>/dev/null </dev/null)
    timeout -k 2 10 cmp -s - "$2" <&"$same_fd"
    same_status=$?
    exec {same_fd}<&-
    [ "$same_status" -eq 0 ]'

files_bad() {
    case $boot_files in bad*) ;; *) boot_files="bad $1" ;; esac
}

# look_at_file NAME PATH ORIGINAL: PATH as the loader has it; without an original it need only be readable.
look_at_file() {
    place_boot_file "$2"
    case $files_path in
    '') files_unproven="the $1 is read from $2, which is not on a partition of its own" && return ;;
    # The very file: there is nothing to compare it with, and it is only read through.
    "$root/nix/store/"*)
        if [ -n "$3" ] && [ "$files_path" = "$root$3" ]; then
            # A power cut may have left it so.
            [ ! -e "$files_path" ] || [ -s "$files_path" ] || files_bad "the $1 $3 is empty"
            set -- "$1" "$2" ''
        else
            files_unproven="the $1 is read from the store, and is not this system's"
        fi
        ;;
    esac
    if [ ! -e "$files_path" ]; then
        files_bad "the $1 ${files_path#"$root"} is missing"
        return
    fi
    if [ -z "$3" ] || [ ! -e "$root$3" ]; then
        [ -z "$3" ] || files_unproven="the store has no $1 to compare"
        read_file_through "$files_path"
        return
    fi
    # shellcheck disable=SC2046 # two numbers
    set -- "$1" "$root$3" $(exec stat -L -c %s "$files_path" "$root$3" 2>/dev/null)
    if [ $# -ne 4 ]; then
        files_unproven="the size of the $1 cannot be read"
    elif [ "$3" -lt "$4" ]; then
        files_bad "the $1 ${files_path#"$root"} is cut short: $3 bytes of $4"
    elif [ "$3" -gt "$4" ]; then
        files_unproven="the $1 is longer than the store's: signed, or with secrets"
        read_file_through "$files_path"
    elif [ "$3" -eq 0 ]; then
        files_bad "the $1 ${files_path#"$root"} is empty, as the store's is"
    else
        read_file_through "$files_path" "$2"
        [ "$files_same" = no ] || return 0
        if is_copy_of "$files_path" "$2"; then
            files_bad "the $1 ${files_path#"$root"} differs from the store's"
        else
            files_unproven="the $1 is not the store's"
        fi
    fi
}

# place_boot_file PATH: $files_path, where the loader's word lies in this host's file system; empty where that cannot be
# told.
place_boot_file() {
    case $loader in
    systemd-boot)
        # The kernel comes with its partition; an initrd lies on the same one.
        files_path=$1
        case $1 in "$boot_partition"/*) ;; /*) files_path=$boot_partition$1 ;; *) files_path=$boot_partition/$1 ;; esac
        ;;
    grub)
        # Relative to the top of a file system that GRUB searched: ($drive1)//kernels/…, ($drive2)/nix/store/….
        case $1 in
        */kernels/*) files_path=$root$boot_place/kernels/${1##*/kernels/} ;;
        */store/*) files_path=$root/nix/store/${1#*/store/} ;;
        *) files_path='' ;;
        esac
        ;;
    extlinux)
        case $1 in
        */nix/store/*) files_path=$root/nix/store/${1#*/nix/store/} ;;
        ../*) files_path=$root$boot_place/${1#../} ;;
        /*) files_path=$root$boot_place$1 ;;
        *) files_path=$root${boot_config%/*}/$1 ;;
        esac
        ;;
    esac
}

# is_copy_of FILE ORIGINAL: whether its name says so: installers join the parts of the store path.
is_copy_of() {
    copy_name=${2#"$root/nix/store/"}
    case ${1##*/} in "${copy_name%%/*}"*) ;; *) return 1 ;; esac
}

# read_file_through FILE [ORIGINAL]: read to its end, past the page cache where the file system can; $files_same is yes,
# no, or empty. One that cannot be read is bad; one that takes too long is only unproven.
read_file_through() {
    files_same=''
    for files_flag in iflag=direct iflag=fullblock; do
        files_read=$({
            if [ -z "${2-}" ]; then
                LC_ALL=C timeout -k 2 10 dd if="$1" of=/dev/null "$files_flag" bs=1M status=none 2>&3
                echo "read $?"
                echo "same 0"
            else
                { LC_ALL=C timeout -k 2 10 dd if="$1" "$files_flag" bs=1M status=none 2>&3; echo "read $?" >&3; } |
                    cmp -s - "$2"
                echo "same $?"
            fi
        } 3>&1)
        case $files_read in
        *'Input/output error'*)
            files_bad "${1#"$root"} cannot be read: input/output error"
            return
            ;;
        *'read 124'* | *'read 137'*)
            files_unproven="${1#"$root"} was not read within 10 s"
            return
            ;;
        *'same 2'*)
            files_unproven="the store's own file cannot be read"
            return
            ;;
        *'same 1'*)
            files_same=no
            # One that cannot be read past the cache is empty, and differs.
            case $files_read in *'read 0'* | *'read 141'*) return ;; esac
            ;;
        *'read 0'*)
            files_same=yes
            return
            ;;
        esac
    done
    files_same=''
    files_bad "${1#"$root"} cannot be read"
}
