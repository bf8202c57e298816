# shellcheck shell=sh
# WireGuard's interfaces and peers, without a secret: what must stay the same is given as a hash.
# shellcheck disable=SC2154 # lib.sh's variables

# What splits the dump. Literal: a process for each of them would cost more than all that follows.
wireguard_tab='	'
wireguard_newline='
'
# The settings that were hashed last, and what came of it: a prober asks every second or so, and they hardly ever
# change.
wireguard_hashed='' wireguard_hashes=''

# print_wireguard PREFIX: lines `PREFIX_interface NAME INDEX HASH PORT` and, for each peer,
# `PREFIX_peer NAME PUBLIC_KEY ENDPOINT|- AGE|- KEEPALIVE|- ALLOWED,…|-`; the latter also in $wireguard_peers.
print_wireguard() {
    command -v wg >/dev/null || return 0
    # Only ever in a variable and in pipes: an argument or the environment could be read by others, and a shell may keep
    # a here-document in a file. A tunnel's own program that hangs keeps wg waiting.
    wireguard_dump=$(exec timeout 5 wg show all dump 2>/dev/null)
    print_wireguard_dump "$1"
}

# print_wireguard_dump PREFIX: the same, of what wg has said already.
print_wireguard_dump() {
    wireguard_prefix=$1 wireguard_peers=''
    [ -n "$wireguard_dump" ] || return 0
    # bash has a clock; dash asks for it.
    # shellcheck disable=SC3028
    wireguard_now=${EPOCHSECONDS:-$(exec date +%s)}
    wireguard_settings='' wireguard_names=''
    each_wireguard_line note_settings
    [ "$wireguard_settings" = "$wireguard_hashed" ] || hash_settings
    each_wireguard_line put_interface
    each_wireguard_line put_peer
    wireguard_dump=''
}

# each_wireguard_line FUNCTION: calls it with the columns of each line of the dump: 5 for an interface (name, private
# key, public key, port, mark), 9 for a peer (name, public key, preshared key, endpoint, allowed, handshake, received,
# sent, keepalive). None is ever empty. Source: wg(8).
each_wireguard_line() {
    # An endpoint may have brackets.
    set -f
    IFS=$wireguard_newline
    for wireguard_line in $wireguard_dump; do
        IFS=$wireguard_tab
        # shellcheck disable=SC2086 # columns
        "$1" $wireguard_line
        IFS=$wireguard_newline
    done
    unset IFS
    set +f
}

# What must stay the same of each interface and its peers. Endpoints roam.
note_settings() {
    case $# in
    5)
        wireguard_names="$wireguard_names $1"
        wireguard_settings="$wireguard_settings$1 : $2 $4 $5$wireguard_newline"
        ;;
    9) wireguard_settings="$wireguard_settings$1 : $2 $3 $5 $9$wireguard_newline" ;;
    esac
}

hash_settings() {
    wireguard_hashes=' '
    set -f
    for wireguard_name in $wireguard_names; do
        wireguard_hash=$(hash_of "$wireguard_name")
        wireguard_hashes="$wireguard_hashes$wireguard_name ${wireguard_hash%% *} "
    done
    set +f
    wireguard_hashed=$wireguard_settings
}

# hash_of NAME, in a subshell: two processes, and one more where there are many peers.
hash_of() {
    # bash can be the last of a pipe itself.
    # shellcheck disable=SC3044 # only in bash
    [ -z "${BASH_VERSION-}" ] || shopt -s lastpipe
    sort_settings "$1"
    if [ -z "$wireguard_many" ]; then
        printf %s "$wireguard_sorted" | exec sha256sum
    else
        printf %s "$wireguard_many" | sort | exec sha256sum
    fi
}

# sort_settings NAME: its lines in order, in $wireguard_sorted; unsorted in $wireguard_many where this shell would take
# longer than a process.
sort_settings() {
    wireguard_sorted='' wireguard_many='' wireguard_count=0
    set -f
    IFS=$wireguard_newline
    for wireguard_line in $wireguard_settings; do
        case $wireguard_line in "$1 : "*) wireguard_line=${wireguard_line#"$1 : "} ;; *) continue ;; esac
        wireguard_count=$((wireguard_count + 1)) wireguard_many=$wireguard_many$wireguard_line$wireguard_newline
        [ "$wireguard_count" -le 12 ] || continue
        wireguard_before='' wireguard_after=$wireguard_sorted
        while [ -n "$wireguard_after" ]; do
            # shellcheck disable=SC3012 # dash and bash have it
            [ "${wireguard_after%%"$wireguard_newline"*}" \< "$wireguard_line" ] || break
            wireguard_before=$wireguard_before${wireguard_after%%"$wireguard_newline"*}$wireguard_newline
            wireguard_after=${wireguard_after#*"$wireguard_newline"}
        done
        wireguard_sorted=$wireguard_before$wireguard_line$wireguard_newline$wireguard_after
    done
    [ "$wireguard_count" -gt 12 ] || wireguard_many=''
}

put_interface() {
    [ $# -eq 5 ] || return 0
    wireguard_index=0
    # Where the kernel's folder is another machine's, its table of groups has it, or ip.
    { read -r wireguard_index <"$root/sys/class/net/$1/ifindex"; } 2>/dev/null || find_index "$1" || {
        wireguard_index=$(exec ip -o link show dev "$1" 2>/dev/null)
        wireguard_index=${wireguard_index%%:*}
    }
    wireguard_hash=${wireguard_hashes#* "$1" }
    put "${wireguard_prefix}_interface" "$1 ${wireguard_index:-0} ${wireguard_hash%% *} $4"
}

# find_index NAME: $wireguard_index, without a process. A long name has its colon with it.
# Source: kernel, net/ipv4/igmp.c, igmp_mc_seq_show; the lines of a group begin with its address.
find_index() {
    {
        # Lines of this script may be split by something else just now.
        while IFS="$wireguard_tab " read -r index_number index_name _; do
            [ "${index_name%:}" != "$1" ] || ! is_number "$index_number" || {
                wireguard_index=$index_number
                return 0
            }
        done
    } 2>/dev/null <"$root/proc/net/igmp"
    return 1
}

put_peer() {
    [ $# -eq 9 ] || return 0
    wireguard_age=-
    if is_number "$6" && [ "$6" -gt 0 ]; then
        wireguard_age=$((wireguard_now > $6 ? wireguard_now - $6 : 0))
    fi
    wireguard_peer="${wireguard_prefix}_peer $1 $2"
    for wireguard_word in "$4" "$wireguard_age" "$9" "$5"; do
        case $wireguard_word in '(none)' | off) wireguard_word=- ;; esac
        wireguard_peer="$wireguard_peer $wireguard_word"
    done
    printf '%s\n' "$wireguard_peer"
    wireguard_peers="$wireguard_peers$wireguard_peer$wireguard_newline"
}
