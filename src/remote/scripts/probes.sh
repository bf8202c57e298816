# shellcheck shell=sh
# One probe: asks once, bounded in time, and prints its line.
# shellcheck disable=SC2154 # lib.sh's and probe.sh's variables

# ask_probe ID KIND TIMEOUT_MS COUNT ARG… (and the probes after it)
ask_probe() {
    trap - EXIT
    probe_id=$1 probe_kind=$2 probe_ms=$3 ask_keep=$4
    shift 4
    # Keep its own COUNT arguments: go round once, and put back only those.
    ask_left=$#
    while [ "$ask_left" -gt 0 ]; do
        [ "$ask_keep" -le 0 ] || set -- "$@" "$1"
        shift
        ask_keep=$((ask_keep - 1)) ask_left=$((ask_left - 1))
    done
    if ! is_number "$probe_id" || ! is_number "$probe_ms"; then
        return 0
    fi
    seconds=$((probe_ms / 1000)).$(printf %03d $((probe_ms % 1000)))
    probe_out=$work/out.$probe_id
    answer_state=down answer_time=- answer_text=''
    case $probe_kind in
    ping) ask_ping "$1" ;;
    ssh | tcp) ask_connection "$1" "$2" ;;
    http) ask_http "$@" ;;
    dns) ask_dns "$1" "$2" ;;
    wireguard) ask_wireguard "$1" "$2" ;;
    argv) ask_command "$@" ;;
    shell) ask_command sh -c "$1" ;;
    *) answer_text="this host does not know the probe $probe_kind" ;;
    esac
    rm -f "$probe_out"
    put probe "$round $probe_id $answer_state $answer_time $(printf %.300s "$answer_text" | tr '\n' ' ')"
}

# bounded COMMAND…: within the probe's time, its output in a file (a child that outlives it would keep a pipe open), and
# nothing of it left afterwards: timeout makes a process group of its own.
bounded() {
    timeout -k 1 "$seconds" "$@" >"$probe_out" 2>&1 </dev/null &
    bounded_group=$!
    : >"$work/group.$bounded_group"
    wait "$bounded_group"
    bounded_status=$?
    kill -s KILL -- "-$bounded_group" 2>/dev/null
    rm -f "$work/group.$bounded_group"
    [ "$bounded_status" -ne 124 ] || echo "no answer in $seconds s" >"$probe_out"
    return "$bounded_status"
}

last_line() {
    tail -n 1 "$probe_out" | cut -b 1-300
}

ask_ping() {
    case $1 in -*) return 0 ;; esac
    if bounded ping -n -c 1 -W "$((probe_ms / 1000 + 1))" "$1"; then
        answer_state=up
        answer_time=$(sed -n 's/.*time=\([0-9.]*\) *ms.*/\1/p' "$probe_out" | awk 'NR == 1 { printf "%.0f", $1 * 1000 }')
        answer_time=${answer_time:--}
    else
        answer_text=$(grep -m 1 -i -E 'unreachable|not permitted|not known|failure|no answer|required key' "$probe_out")
        answer_text=${answer_text:-no answer in $seconds s}
    fi
}

# ask_connection ADDRESS PORT: at most one at a time to one address; see probe.sh.
ask_connection() {
    is_number "$2" || return 0
    ask_key=$(connection_key "$probe_kind" "$1" "$2")
    ask_chosen=''
    [ ! -r "$work/chosen.$ask_key" ] || read -r ask_chosen <"$work/chosen.$ask_key"
    if [ "$ask_chosen" = "$probe_id" ]; then
        connect "$1" "$2"
        printf '%s %s %s\n' "$answer_state" "$answer_time" "$answer_text" | write_file "$work/last.$ask_key"
    elif [ -n "$ask_chosen" ]; then
        # Another probe of this round is asking: its answer is ours, and it comes within its own time.
        ask_left=$((probe_ms / 50 + 20))
        while [ "$ask_left" -gt 0 ] && [ ! -e "$work/last.$ask_key" ]; do
            sleep 0.05
            ask_left=$((ask_left - 1))
        done
    fi
    [ "$ask_chosen" = "$probe_id" ] || {
        if read -r answer_state answer_time answer_text <"$work/last.$ask_key"; then
            answer_text="cached $answer_text"
        fi
    } 2>/dev/null
}

# connect ADDRESS PORT: an ssh probe reads the greeting, so that the far end sees a client that listens; what is heard
# is left as the text.
connect() {
    # $1 and $2 are bash's own arguments here.
    # shellcheck disable=SC2016
    if bounded bash -c '
        before=$EPOCHREALTIME
        exec 3<>"/dev/tcp/$1/$2" || exit 1
        after=$EPOCHREALTIME
        echo "connected $((${after//[.,]/} - ${before//[.,]/}))"
        [ "$3" = ssh ] || exit 0
        IFS= read -r -u 3 greeting || exit 2
        echo "$greeting"
        case $greeting in SSH-*) ;; *) exit 2 ;; esac' connect "$1" "$2" "$probe_kind"; then
        answer_state=up
        answer_time=$(sed -n 's/^connected \([0-9]*\)$/\1/p' "$probe_out")
        [ "$probe_kind" = tcp ] || answer_text=$(last_line | tr -d '\r')
    elif [ "$bounded_status" -eq 2 ]; then
        answer_text="closed without a greeting: $(sed 1d "$probe_out" | head -n 1 | tr -d '\r')"
        read_moment
        echo "$((moment + 1000))" >"$work/next.$ask_key"
    else
        answer_text=$(last_line | sed 's/^.*: //')
    fi
}

# Success or a redirection, which curl does not follow (RFC 9110, 15.3 and 15.4).
is_success() {
    case $1 in [23][0-9][0-9]) ;; *) return 1 ;; esac
}

# ask_http URL STATUS [TEXT]
ask_http() {
    if ! command -v curl >/dev/null; then
        answer_text="this host has no curl"
        return
    fi
    http_said=$(curl -q -sS -o "$probe_out" -w '%{http_code} %{time_total}' --max-time "$seconds" \
        --proto '=http,https' --globoff --url "$1" 2>&1 </dev/null)
    http_status=$?
    http_code=${http_said% *}
    if [ "$http_status" -ne 0 ]; then
        answer_text=$(printf '%s\n' "$http_said" | grep -m 1 '^curl:' || echo "curl ended with $http_status")
    elif [ "$2" != - ] && [ "$http_code" != "$2" ]; then
        answer_text="status $http_code, not $2"
    elif [ "$2" = - ] && ! is_success "$http_code"; then
        answer_text="status $http_code, which is no success"
    elif [ $# -ge 3 ] && ! head -c 1000000 "$probe_out" | grep -Fq -e "$3"; then
        answer_text="status $http_code, but the body has no $3 in it"
    else
        answer_state=up
        answer_time=$(awk -v seconds="${http_said#* }" 'BEGIN { printf "%.0f", seconds * 1000000 }')
        answer_text="status $http_code"
    fi
}

# ask_dns NAME SERVER: by the host's own resolver, or with a question of our own to SERVER: a plain NixOS has no dig.
ask_dns() {
    case $1 in -* | *[!a-zA-Z0-9._-]*) return 0 ;; esac
    if [ "$2" = - ]; then
        if bounded getent ahosts "$1"; then
            answer_state=up
            answer_text=$(awk 'NR == 1 { print $1 }' "$probe_out")
        else
            answer_text=$(last_line)
            answer_text=${answer_text:-no such name}
        fi
        return
    fi
    # Source: RFC 1035, 4.1: header, question; the answer's code and count stand in bytes 4, 7 and 8.
    # shellcheck disable=SC2016
    if bounded bash -c '
        # One datagram: one write, so one printf.
        question() {
            local label text="\\x46\\x44\\x01\\x00\\x00\\x01\\x00\\x00\\x00\\x00\\x00\\x00" IFS=.
            for label in ${1%.}; do text+="\\x$(printf %02x "${#label}")$label"; done
            printf "$text\\x00\\x00$2\\x00\\x01"
        }
        for type in \\x01 \\x1c; do
            exec 3<>"/dev/udp/$2/53" || exit 1
            question "$1" "$type" >&3
            set -- "$1" "$2" $(dd bs=4096 count=1 <&3 2>/dev/null | od -An -v -tu1 -N 12)
            [ $# -ge 14 ] || exit 1
            if [ $(($6 % 16)) -eq 0 ] && [ $(($9 * 256 + ${10})) -gt 0 ]; then echo "answered"; exit 0; fi
            echo "the server says: code $(($6 % 16)), no address"
        done
        exit 1' dns "$1" "$2"; then
        answer_state=up
    fi
    answer_text=$(last_line)
}

# ask_wireguard ADDRESS SECONDS: how old the handshake is with the peer that packets to ADDRESS go to.
ask_wireguard() {
    is_number "$2" || return 0
    wireguard_said=$(print_wireguard wg | awk -v address="$1" -v limit="$2" '
        # An address as a string of bits; 32 of them or 128.
        function bits(text,   part, count, group, missing, left, right, out, i) {
            out = ""
            if (text !~ /:/) {
                if (split(text, part, ".") != 4) return ""
                for (i = 1; i <= 4; i++) out = out binary(part[i], 8)
                return out
            }
            left = text; right = ""
            i = index(text, "::")
            if (i) { left = substr(text, 1, i - 1); right = substr(text, i + 2) }
            count = split(left, part, ":")
            for (group = 1; group <= count; group++) out = out binary(hex(part[group]), 16)
            count = split(right, part, ":")
            if (i) for (missing = 128 - length(out) - 16 * count; missing > 0; missing--) out = out "0"
            for (group = 1; group <= count; group++) out = out binary(hex(part[group]), 16)
            return out
        }
        function hex(text,   value, i) {
            for (i = 1; i <= length(text); i++) value = value * 16 + index("0123456789abcdef", tolower(substr(text, i, 1))) - 1
            return value + 0
        }
        function binary(value, width,   out) {
            out = ""
            for (; width > 0; width--) { out = (value % 2) out; value = int(value / 2) }
            return out
        }
        BEGIN { wanted = bits(address); best = -1 }
        $1 == "wg_peer" {
            count = split($7, network, ",")
            for (one = 1; one <= count; one++) {
                split(network[one], half, "/")
                base = bits(half[1])
                if (length(base) != length(wanted) || substr(base, 1, half[2]) != substr(wanted, 1, half[2])) continue
                if (half[2] + 0 > best) { best = half[2] + 0; age = $5; name = $2 }
            }
        }
        END {
            if (best < 0) print "down no WireGuard peer here has this address"
            else if (age == "-") print "down no handshake yet on " name
            else if (age + 0 > limit + 0) print "down the handshake on " name " is " age " s old"
            else print "up handshake " age " s ago on " name
        }')
    answer_state=${wireguard_said%% *} answer_text=${wireguard_said#* }
}

ask_command() {
    if bounded "$@"; then
        answer_state=up
        answer_text=$(last_line)
    else
        answer_text="status $bounded_status: $(last_line)"
    fi
}
