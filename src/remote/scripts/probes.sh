# shellcheck shell=sh
# One probe: asks once, bounded in time, and prints its line. What is asked of a host again and again must start few
# processes: one for a ping or a connection; what they say is read by the shell.
# shellcheck disable=SC2154 # lib.sh's, wireguard.sh's and probe.sh's variables

probe_newline='
'

# begin_probe ID KIND TIMEOUT_MS COUNT ARG… (and the probes after it): what takes time begins; finish_probe has its
# answer.
begin_probe() {
    if ! is_number "$1" || ! is_number "$3"; then
        return 0
    fi
    eval "child_$1=''"
    probe_id=$1 probe_ms=$3
    probe_out=$work/out.$1
    read_seconds "$3"
    case $2 in
    ping) begin_ping "$5" ;;
    ssh | tcp) begin_connection "$5" "$6" "$2" ;;
    http) begin_http "$5" ;;
    dns) begin_dns "$5" "$6" ;;
    argv) begin_command "$@" ;;
    shell) bounded sh -c "$5" ;;
    esac
}

# finish_probe ID KIND TIMEOUT_MS COUNT ARG…: the line of one that has begun.
finish_probe() {
    if ! is_number "$1" || ! is_number "$3"; then
        return 0
    fi
    probe_id=$1 probe_ms=$3
    probe_out=$work/out.$1
    read_seconds "$3"
    answer_state=down answer_time=- answer_text=''
    eval "probe_child=\$child_$1"
    [ -z "$probe_child" ] || await_child
    case $2 in
    ping) [ -z "$probe_child" ] || read_ping ;;
    ssh | tcp) ! is_number "$6" || read_connection "$2" ;;
    http) read_http "$4" "$6" "${7-}" ;;
    dns) [ -z "$probe_child" ] || read_dns "$6" ;;
    wireguard) read_wireguard "$5" "$6" ;;
    argv | shell) read_command ;;
    *) answer_text="this host does not know the probe $2" ;;
    esac
    # What a command has printed stays no longer than it must.
    [ -z "$probe_child" ] || : >"$probe_out"
    put_answer
}

put_answer() {
    [ "${#answer_text}" -le 300 ] || answer_text=$(printf %.300s "$answer_text")
    case $answer_text in *"$probe_newline"*) answer_text=$(printf %s "$answer_text" | tr '\n' ' ') ;; esac
    put probe "$round $probe_id $answer_state $answer_time $answer_text"
}

# read_seconds MILLISECONDS: as programs take it, in $seconds.
read_seconds() {
    seconds=$(($1 % 1000 + 1000))
    seconds=$(($1 / 1000)).${seconds#1}
}

# read_scaled TEXT DIGITS: a number with a point in it, times ten to the power of DIGITS, in $scaled; `-` of anything
# else.
read_scaled() {
    scaled=${1%%.*} scaled_left=$2
    case $1 in *.*) scaled_part=${1#*.} ;; *) scaled_part='' ;; esac
    while [ "$scaled_left" -gt 0 ]; do
        scaled_rest=${scaled_part#?}
        scaled_digit=${scaled_part%"$scaled_rest"}
        scaled=$scaled${scaled_digit:-0} scaled_part=$scaled_rest scaled_left=$((scaled_left - 1))
    done
    while :; do case $scaled in 0?*) scaled=${scaled#0} ;; *) break ;; esac; done
    is_number "$scaled" || scaled=-
}

# bounded COMMAND…: begins it, within the probe's time, and await_child leaves nothing of it: timeout makes a process
# group of its own. Only the end of what it prints comes into a file, for that lies in the host's memory.
bounded() {
    [ -p "$work/printed.$probe_id" ] || mkfifo "$work/printed.$probe_id" || return 0
    tail -c 4096 <"$work/printed.$probe_id" >"$probe_out" 2>/dev/null &
    began_reader "$probe_id" "$probe_ms" "$!"
    timeout -k 1 "$seconds" "$@" >"$work/printed.$probe_id" 2>&1 </dev/null &
    began_group "$probe_id" "$!"
}

# $probe_status of what the probe has begun.
await_child() {
    wait "$probe_child" 2>/dev/null
    probe_status=$?
    case " $groups " in
    *" $probe_id "*)
        kill -s KILL -- "-$probe_child" 2>/dev/null
        # A child that has left the group may keep the pipe open: until the probe's time is over.
        eval "wait \"\$reader_$probe_id\"" 2>/dev/null
        [ "$probe_status" -ne 124 ] || echo "no answer in $seconds s" >"$probe_out"
        ;;
    esac
    eval "child_$probe_id=''"
}

# $last_line of what was printed.
read_last_line() {
    last_line=''
    while IFS= read -r read_line || [ -n "$read_line" ]; do
        last_line=${read_line:-$last_line}
    done <"$probe_out"
}

begin_ping() {
    case $1 in -*) return 0 ;; esac
    # It ends by itself at the latest a second after its time; a name that is asked for may take longer.
    ping -n -c 1 -W "$((probe_ms / 1000 + 1))" "$1" >"$probe_out" 2>&1 </dev/null &
    began "$probe_id" "$probe_ms" "$!"
}

read_ping() {
    while IFS= read -r read_line || [ -n "$read_line" ]; do
        case $read_line in
        *time=*' ms'*)
            read_line=${read_line##*time=}
            read_scaled "${read_line%%[!0-9.]*}" 3
            [ "$answer_time" != - ] || answer_time=$scaled
            ;;
        *nreachable* | *'ot permitted'* | *'ot known'* | *ailure* | *'equired key'*)
            answer_text=${answer_text:-$read_line}
            ;;
        esac
    done <"$probe_out"
    if [ "$probe_status" -eq 0 ]; then
        answer_state=up answer_text=''
    else
        answer_time=- answer_text=${answer_text:-no answer in $seconds s}
    fi
}

# It is bash's alone; $1 to $4 are those of who evaluates it. A greeting that never ends is none.
# shellcheck disable=SC2016
connect_text='
    before=$EPOCHREALTIME
    exec 3<>"/dev/tcp/$1/$2" || exit 1
    after=$EPOCHREALTIME
    echo "connected $((${after//[.,]/} - ${before//[.,]/}))"
    [ "$3" = ssh ] || exit 0
    IFS= read -r -n 300 -t "$4" -u 3 greeting || exit
    echo "$greeting"
    exit 0'

# connect ADDRESS PORT KIND SECONDS: an ssh probe reads the greeting, so that the far end sees a client that listens;
# what is heard is left as the text. Ends this process.
connect() {
    trap - EXIT
    [ -n "${BASH_VERSION-}" ] || exec bash -c "$connect_text" connect "$@"
    eval "$connect_text"
}

# begin_connection ADDRESS PORT KIND: at most one at a time to one address; see probe.sh.
begin_connection() {
    is_number "$2" && may_connect "$probe_id" || return 0
    connect "$1" "$2" "$3" "$((probe_ms / 1000 + 1))" >"$probe_out" 2>&1 </dev/null &
    began "$probe_id" "$probe_ms" "$!"
}

# read_connection KIND: this probe's own answer, or that of the one whose connection it shares.
read_connection() {
    eval "read_key=\$key_$probe_id"
    if [ -z "$probe_child" ]; then
        eval "answer_text=\$last_$read_key"
        [ -n "$answer_text" ] || return 0
        answer_state=${answer_text%% *} answer_text=${answer_text#* }
        answer_time=${answer_text%% *} answer_text="cached ${answer_text#* }"
        return 0
    fi
    read_first='' read_second=''
    { IFS= read -r read_first && IFS= read -r read_second; } <"$probe_out" || :
    read_second=${read_second%[[:cntrl:]]}
    case $1:$read_first:$read_second in
    tcp:'connected '* | ssh:'connected '*:SSH-*)
        # It counts even if it could not end in time: it was heard.
        answer_state=up answer_time=${read_first#connected } answer_text=$read_second
        ;;
    *)
        if [ "$probe_status" -ge 128 ]; then
            answer_text="no answer in $seconds s"
        elif [ "$read_first" != "${read_first#connected }" ]; then
            answer_text="closed without a greeting: $read_second"
            read_moment
            eval "next_$read_key=$((moment + 1000))"
        else
            read_last_line
            answer_text=${last_line##*: }
        fi
        ;;
    esac
    eval "last_$read_key=\"\$answer_state \$answer_time \$answer_text\""
}

# Success or a redirection, which curl does not follow (RFC 9110, 15.3 and 15.4).
is_success() {
    case $1 in [23][0-9][0-9]) ;; *) return 1 ;; esac
}

# begin_http URL: curl keeps its time itself, and says what came too late.
begin_http() {
    command -v curl >/dev/null || return 0
    limited curl -q -sS -o "$probe_out" -w '%{http_code} %{time_total}\n' --max-time "$seconds" \
        --proto '=http,https' --globoff --url "$1" >"$work/said.$probe_id" 2>&1 </dev/null &
    began "$probe_id" - "$!"
}

# Of a body, so much is looked at.
body_size=1000000

# limited COMMAND…: no file of it gets larger than a body that is looked at, or twice that (bash and dash count in other
# units): it lies in the host's memory. Ends this process.
limited() {
    trap - EXIT
    # A write beyond it fails, and ends nobody.
    trap '' XFSZ
    ulimit -f 2048
    exec "$@"
}

# Whether curl has ended because the body is larger than what is looked at.
is_cut() {
    # curl(1), EXIT CODES: it could not write.
    [ "$probe_status" -eq 23 ] && [ "$(exec wc -c <"$probe_out")" -ge "$body_size" ]
}

# read_http COUNT STATUS [TEXT]: a text is wanted if the probe has COUNT 3.
read_http() {
    if [ -z "$probe_child" ]; then
        answer_text="this host has no curl"
        return
    fi
    http_said='' http_error=''
    while IFS= read -r read_line || [ -n "$read_line" ]; do
        http_said=$read_line
        case $read_line in curl:*) http_error=${http_error:-$read_line} ;; esac
    done <"$work/said.$probe_id"
    http_code=${http_said% *}
    if [ "$probe_status" -ne 0 ] && ! is_cut; then
        answer_text=${http_error:-curl ended with $probe_status}
    elif [ "$2" != - ] && [ "$http_code" != "$2" ]; then
        answer_text="status $http_code, not $2"
    elif [ "$2" = - ] && ! is_success "$http_code"; then
        answer_text="status $http_code, which is no success"
    elif [ "$1" -ge 3 ] && ! head -c "$body_size" "$probe_out" | grep -Fq -e "$3"; then
        answer_text="status $http_code, but the body has no $3 in it"
    else
        read_scaled "${http_said#* }" 6
        answer_state=up answer_time=$scaled answer_text="status $http_code"
    fi
}

# begin_dns NAME SERVER: by the host's own resolver, or with a question of our own to SERVER: a plain NixOS has no dig.
begin_dns() {
    case $1 in -* | *[!a-zA-Z0-9._-]*) return 0 ;; esac
    if [ "$2" = - ]; then
        bounded getent ahosts "$1"
        return
    fi
    # Source: RFC 1035, 4.1: header, question; the answer's code and count stand in bytes 4, 7 and 8.
    # shellcheck disable=SC2016
    bounded bash -c '
        # One datagram: one write, so one printf.
        question() {
            local label size text="\\x46\\x44\\x01\\x00\\x00\\x01\\x00\\x00\\x00\\x00\\x00\\x00" IFS=.
            for label in ${1%.}; do printf -v size %02x "${#label}"; text+="\\x$size$label"; done
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
        exit 1' dns "$1" "$2"
}

# read_dns SERVER
read_dns() {
    [ "$probe_status" -ne 0 ] || answer_state=up
    if [ "$1" = - ] && [ "$probe_status" -eq 0 ]; then
        read -r answer_text _ <"$probe_out"
        return
    fi
    read_last_line
    answer_text=$last_line
    [ "$1" != - ] || answer_text=${answer_text:-no such name}
}

# read_wireguard ADDRESS SECONDS: how old the handshake is with the peer that packets to ADDRESS go to. After
# print_wireguard.
read_wireguard() {
    is_number "$2" || return 0
    wireguard_said=$(exec awk -v address="$1" -v limit="$2" '
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
            for (i = 1; i <= length(text); i++)
                value = value * 16 + index("0123456789abcdef", tolower(substr(text, i, 1))) - 1
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
        }' <<X
$wireguard_peers
X
    )
    answer_state=${wireguard_said%% *} answer_text=${wireguard_said#* }
}

# begin_command ID argv TIMEOUT_MS COUNT WORD… (and the probes after it)
begin_command() {
    command_keep=$4
    shift 4
    # Keep its own COUNT arguments: go round once, and put back only those.
    command_left=$#
    while [ "$command_left" -gt 0 ]; do
        [ "$command_keep" -le 0 ] || set -- "$@" "$1"
        shift
        command_keep=$((command_keep - 1)) command_left=$((command_left - 1))
    done
    bounded "$@"
}

read_command() {
    read_last_line
    if [ "$probe_status" -eq 0 ]; then
        answer_state=up answer_text=$last_line
    else
        answer_text="status $probe_status: $last_line"
    fi
}
