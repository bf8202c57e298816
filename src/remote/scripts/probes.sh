# shellcheck shell=bash
# One probe: asks once, bounded in time, and prints its line. What is asked of a host again and again must start few
# processes: one for a ping, one for up to sixteen connections; what they say is read by the shell.
# shellcheck disable=SC2034,SC2154 # lib.sh's, wireguard.sh's and probe.sh's variables

# What follows needs bash: its /dev/tcp, and reading with a time. Another shell reads it command by command (POSIX,
# eval), so nothing after this line is seen by one. NixOS has bash; without it this host looks at no link.
[ -n "${BASH_VERSION-}" ] || exec bash -c "$s" probe "$@"

# begin_probe ID: what takes time begins; finish_probe has its answer.
begin_probe() {
    local id=$1 first=${firsts[$1]}
    local -a argument=("${own[@]:first:counts[$1]}")
    local time=$(((times[id] + 9) / 10))
    [ "$time" -le "$longest" ] || longest=$time
    dues[id]=$((now + time)) children[id]='' readers[id]=''
    case ${kinds[id]} in
    ping) begin_ping "$id" "${argument[0]}" ;;
    ssh | tcp) note_connection "$id" "${argument[@]}" ;;
    http) begin_http "$id" "${argument[0]}" ;;
    dns) begin_dns "$id" "${argument[@]}" ;;
    argv) bounded "$id" "${argument[@]}" ;;
    shell) bounded "$id" sh -c "${argument[0]}" ;;
    esac
}

# finish_probe ID: the line of one that has begun.
finish_probe() {
    local id=$1 first=${firsts[$1]}
    local -a argument=("${own[@]:first:counts[$1]}")
    local answer_state=down answer_time=- answer_text='' seconds
    read_seconds "${times[id]}"
    case ${kinds[id]} in
    ping) read_ping "$id" ;;
    ssh | tcp) read_connection "$id" ;;
    http) read_http "$id" "${argument[@]}" ;;
    dns) read_dns "$id" "${argument[@]}" ;;
    wireguard) read_wireguard "${argument[@]}" ;;
    argv | shell) read_command "$id" ;;
    *) answer_text="this host does not know the probe ${kinds[id]}" ;;
    esac
    put_answer "$id"
}

put_answer() {
    answer_text=${answer_text//$'\n'/ }
    put probe "$round $1 $answer_state $answer_time ${answer_text:0:300}"
}

# is_silent: nothing was heard in the probe's time.
is_silent() {
    answer_state=silent answer_time=- answer_text="no answer in $seconds s"
}

# read_seconds MILLISECONDS: as programs take it, in $seconds.
read_seconds() {
    printf -v seconds '%d.%03d' "$(($1 / 1000))" "$(($1 % 1000))"
}

# read_scaled TEXT DIGITS: a number with a point in it, times ten to the power of DIGITS, in $scaled; `-` of anything
# else.
read_scaled() {
    local whole=${1%%.*} part=''
    case $1 in *.*) part=${1#*.} ;; esac
    part=${part}000000
    scaled=$whole${part:0:$2}
    while [[ $scaled == 0?* ]]; do scaled=${scaled#0}; done
    is_number "$scaled" || scaled=-
}

# ---- ping ----

# begin_ping ID ADDRESS
begin_ping() {
    case $2 in -* | '') return 0 ;; esac
    # One packet in each second, until one is answered: a line that loses some is not down. It ends by itself at the
    # latest a second after its time; a name that is asked for may take longer.
    exec {fd}< <(exec ping -n -c 1 -w "$((times[$1] / 1000 + 1))" "$2" 2>&1 </dev/null)
    begun+=("$!") children[$1]=$! fds[$1]=$fd
}

read_ping() {
    if [ -z "${children[$1]}" ]; then
        answer_text='that is no address'
        return
    fi
    local line ended=yes said='' fd=${fds[$1]}
    hear "$fd" "${dues[$1]}" || ended=''
    end_child "${children[$1]}"
    exec {fd}<&-
    for line in "${heard[@]}"; do
        case $line in
        *time=*' ms'*)
            # It was heard, even if the program did not end in time.
            line=${line##*time=}
            read_scaled "${line%%[!0-9.]*}" 3
            answer_state=up answer_time=$scaled answer_text=''
            return
            ;;
        *nreachable* | *'ot permitted'* | *'ot known'* | *ailure* | *'equired key'* | *'ot found'*)
            answer_text=${answer_text:-$line}
            ;;
        *) said=${line:-$said} ;;
        esac
    done
    [ -z "$answer_text" ] || return 0
    case $ended$said in
    yesping:* | yes*sage:*) answer_text=$said ;;
    *) is_silent ;;
    esac
}

# ---- connections ----
# An sshd punishes sources that connect and leave, and behind a jump all users share one; it knows them by their
# address, whichever of its own they have come to. So there is at most one connection in a second to one machine's sshd,
# all probes together, none for two seconds where it failed, and none for ten seconds after a refusal. The first probe
# of a round to a place that may be asked makes the connection; those to the same address and port use its answer, and
# another address has its turn later.

# So many connect one after the other in one process; what it has not come to soon gets one of its own.
batch_size=16
declare -A next=() last=()

# note_connection ID ADDRESS PORT [KEY]
note_connection() {
    addresses[$1]=$2 ports[$1]=${3-} stands[$1]='' connects[$1]='' greetings[$1]='' errors[$1]=''
    is_number "${3-}" || return 0
    local key=${sshd_of[$1]}
    [ "$moment" -ge "${next[$key]-0}" ] || return 0
    # Then no other probe of this round connects there either.
    next[$key]=$((moment + 100)) last["$2 $3"]=''
    connecting+=("$1")
}

# begin_batches: of all that may connect in this round.
begin_batches() {
    local at
    [ "${#connecting[@]}" -gt 0 ] || return 0
    need_work
    [ ! -e "$work/stop" ] || rm -f "$work/stop"
    for ((at = 0; at < ${#connecting[@]}; at += batch_size)); do
        begin_batch "$work/stop" "${connecting[@]:at:batch_size}"
    done
}

# begin_batch STOP ID…
begin_batch() {
    exec {fd}< <(connect_each "$@" 2>&1)
    begun+=("$!") batch_children+=("$!") batch_fds+=("$fd")
    shift
    batch_ids+=("$*")
}

# connect_each STOP ID…: one after the other, until there is a file STOP. Each is named before it is asked, and `left`
# is said of one that was named and not asked: so none is asked twice.
connect_each() {
    local id before after greeting stop=$1
    shift
    for id; do
        echo "begins $id"
        if [ -e "$stop" ]; then
            echo "left $id"
            return
        fi
        before=$EPOCHREALTIME
        # The reason comes on the error stream, as a line of bash.
        exec 3<>"/dev/tcp/${addresses[id]}/${ports[id]}" || continue
        after=$EPOCHREALTIME
        echo "connected $id $((${after/[.,]/} - ${before/[.,]/}))"
        # A greeting is read, so that the far end sees a client that listens; one that never ends is none.
        if [ "${kinds[id]}" = ssh ]; then
            if IFS= read -r -n 300 -t "$((times[id] / 1000 + 1))" -u 3 greeting || [ "$?" -le 128 ]; then
                echo "greeting $id $greeting"
            fi
        fi
        exec 3<&-
    done
}

# hear_batches: as long as they get on, and for half of the longest time. One that stands still for a moment has met
# something that is dropped on its way: what is not begun then is asked by a process each, for it may have to wait for
# as long as it may take.
hear_batches() {
    local at first_single id limit last pause=$((longest / 4 < 50 ? longest / 4 : 50))
    local -a open=() waits=()
    read_now
    limit=$((now + pause)) last=$((round_from + longest / 2))
    for at in "${!batch_fds[@]}"; do
        until hear_batch "$at" "$limit"; do
            if [ "${#heard[@]}" -eq 0 ] || [ "$limit" -ge "$last" ]; then
                open+=("$at")
                break
            fi
            limit=$((limit + pause))
        done
    done
    [ "${#open[@]}" -gt 0 ] || return 0
    : >"$work/stop"
    # What was said until just now; and a moment for who was named just then, and is left.
    read_now
    limit=$((now + 5))
    for at in "${open[@]}"; do hear_batch "$at" "$limit" || waits+=("$at"); done
    first_single=${#batch_fds[@]}
    for at in "${open[@]}"; do
        for id in ${batch_ids[at]}; do
            case $late${stands[id]} in '' | left) begin_batch /nonexistent "$id" ;; esac
        done
    done
    for ((at = first_single; at < ${#batch_fds[@]}; at++)); do waits+=("$at"); done
    # Each has its own whole time from here on.
    read_now
    limit=$now
    for at in "${waits[@]}"; do
        id=${batch_at[at]:-${batch_ids[at]%% *}}
        hear_batch "$at" "$((limit + (times[id] + 9) / 10))" || end_batch "$at"
    done
}

end_batch() {
    local fd=${batch_fds[$1]}
    end_child "${batch_children[$1]}"
    exec {fd}<&-
}

# hear_batch NUMBER UNTIL: what it says of its probes; fails where it has not ended by then.
hear_batch() {
    local line id ended=yes
    hear "${batch_fds[$1]}" "$2" "${batch_rests[$1]-}" || ended=''
    batch_rests[$1]=$rest
    for line in "${heard[@]}"; do
        id=${line#* }
        case $line in
        'begins '*) batch_at[$1]=$id stands[id]=begun ;;
        'left '*) stands[id]=left ;;
        'connected '*) connects[${id%% *}]=${id#* } ;;
        'greeting '*) greetings[${id%% *}]="=${id#* }" ;;
        *) [ -z "${batch_at[$1]-}" ] || errors[${batch_at[$1]}]=${line##*: } ;;
        esac
    done
    [ -n "$ended" ] || return 1
    end_batch "$1"
}

# read_connection ID: this probe's own answer, or that of the one whose connection it shares.
read_connection() {
    local place="${addresses[$1]} ${ports[$1]}" key=${sshd_of[$1]-} said
    if ! is_number "${ports[$1]}"; then
        answer_text='that is no port'
        return
    fi
    case ${stands[$1]:-$late} in
    yes*)
        answer_state=later answer_text='this host is too slow for that just now'
        return
        ;;
    '')
        # Another probe has connected there in this round. What was heard before is known, and proves nothing now.
        said=${last[$place]-}
        if [ -z "$said" ] || [ "${said%% *}" != "$round" ]; then
            answer_state=later answer_text='its machine was asked a moment ago'
        else
            said=${said#* }
            answer_state=${said%% *} said=${said#* }
            answer_time=${said%% *} answer_text="cached ${said#* }"
        fi
        return
        ;;
    left)
        answer_state=later answer_text='its turn did not come'
        return
        ;;
    esac
    said=${greetings[$1]#=} said=${said%[[:cntrl:]]}
    if [ -n "${connects[$1]}" ]; then
        if [ "${kinds[$1]}" = tcp ] || [[ $said == SSH-* ]]; then
            # It counts even if it could not end in time: it was heard.
            answer_state=up answer_time=${connects[$1]} answer_text=$said
        elif [[ $said == 'Exceeded MaxStartups'* || $said == 'Not allowed at this time'* ]]; then
            # It has too many logins under way, or punishes this address for a while.
            answer_state=busy answer_text="its sshd lets nobody in from here just now: $said"
        elif [ -n "${greetings[$1]}" ]; then
            answer_text="closed without a greeting: ${said:-${errors[$1]}}"
            next[$key]=$((moment + 1000))
        else
            is_silent
        fi
    else
        answer_text=${errors[$1]}
        case $answer_text in
        '' | *'imed out'*) is_silent ;;
        # What this host lacks says nothing about the other one.
        *emory* | *'open files'* | *'emporarily unavailable'*) answer_state=later ;;
        esac
    fi
    [ "$answer_state" = later ] || last[$place]="$round $answer_state $answer_time $answer_text"
    if [ "$answer_state" != up ] && [ "${next[$key]}" -lt "$((moment + 200))" ]; then
        next[$key]=$((moment + 200))
    fi
}

# ---- WireGuard ----

# begin_wireguard: asks for all of it, once a round. A tunnel's own program that hangs keeps wg waiting.
begin_wireguard() {
    wireguard_child=''
    command -v wg >/dev/null || return 0
    exec {wireguard_fd}< <(exec wg show all dump 2>/dev/null)
    begun+=("$!") wireguard_child=$!
}

# hear_wireguard: for no longer than the longest probe, or five seconds. Only ever in a variable and in pipes: an
# argument or the environment could be read by others, and a shell may keep a here-document in a file.
hear_wireguard() {
    wireguard_dump=''
    [ -n "$wireguard_child" ] || return 0
    IFS= read -r -d '' -t 5 -u "$wireguard_fd" wireguard_dump
    [ "$?" -le 128 ] || wireguard_dump=''
    end_child "$wireguard_child"
    exec {wireguard_fd}<&-
}

# read_wireguard ADDRESS SECONDS: how old the handshake is with the peer that packets to ADDRESS go to. After
# print_wireguard.
read_wireguard() {
    is_number "$2" || return 0
    local wireguard_said
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

# ---- http and names ----

# Success or a redirection, which curl does not follow (RFC 9110, 15.3 and 15.4).
is_success() {
    case $1 in [23][0-9][0-9]) ;; *) return 1 ;; esac
}

# begin_http ID URL: curl keeps its time itself, and says what came too late.
begin_http() {
    local seconds
    command -v curl >/dev/null || return 0
    need_work
    read_seconds "${times[$1]}"
    limited curl -q -sS -o "$work/out.$1" -w '%{http_code} %{time_total}\n' --max-time "$seconds" \
        --proto '=http,https' --globoff --url "$2" >"$work/said.$1" 2>&1 </dev/null &
    begun+=("$!") children[$1]=$!
}

# Of a body, so much is looked at.
body_size=1000000

# limited COMMAND…: no file of it gets larger than a body that is looked at, or twice that: it lies in the host's
# memory. Ends this process.
limited() {
    # A write beyond it fails, and ends nobody.
    trap '' XFSZ
    ulimit -f 2048
    exec "$@"
}

# read_http ID URL STATUS [TEXT]
read_http() {
    local line said='' error='' code status
    if [ -z "${children[$1]}" ]; then
        answer_text="this host has no curl"
        return
    fi
    wait "${children[$1]}" 2>/dev/null
    status=$?
    while IFS= read -r line || [ -n "$line" ]; do
        said=$line
        case $line in curl:*) error=${error:-$line} ;; esac
    done <"$work/said.$1"
    code=${said% *}
    # curl(1), EXIT CODES: 23, it could not write, because the body is larger than what is looked at; 28, it is late.
    if [ "$status" -ne 0 ] && { [ "$status" -ne 23 ] || [ "$(exec wc -c <"$work/out.$1")" -lt "$body_size" ]; }; then
        answer_text=${error:-curl ended with $status}
        [ "$status" -ne 28 ] || answer_state=silent
    elif [ "$3" != - ] && [ "$code" != "$3" ]; then
        answer_text="status $code, not $3"
    elif [ "$3" = - ] && ! is_success "$code"; then
        answer_text="status $code, which is no success"
    elif [ $# -ge 4 ] && ! head -c "$body_size" "$work/out.$1" | grep -Fq -e "$4"; then
        answer_text="status $code, but the body has no $4 in it"
    else
        read_scaled "${said#* }" 6
        answer_state=up answer_time=$scaled answer_text="status $code"
    fi
    # What was read stays no longer than it must.
    : >"$work/out.$1"
}

# begin_dns ID NAME SERVER: by the host's own resolver, or with a question of our own to SERVER: a plain NixOS has no
# dig.
begin_dns() {
    case $2 in -* | *[!a-zA-Z0-9._-]*) return 0 ;; esac
    if [ "$3" = - ]; then
        bounded "$1" getent ahosts "$2"
        return
    fi
    # Source: RFC 1035, 4.1: header, question; the answer's code and count stand in bytes 4, 7 and 8.
    # shellcheck disable=SC2016
    bounded "$1" bash -c '
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
        exit 1' dns "$2" "$3"
}

# read_dns ID NAME SERVER
read_dns() {
    if [ -z "${children[$1]}" ]; then
        answer_text='that is no name'
        return
    fi
    await_command "$1"
    if [ "$status" -eq 0 ]; then
        answer_state=up
        [ "$3" != - ] || last_line=${heard[0]%% *}
    elif [ -z "$last_line" ]; then
        last_line='no such name'
    fi
    answer_text=$last_line
}

# ---- commands ----

# bounded ID COMMAND…: begins it, within the probe's time, and await_command leaves nothing of it: timeout makes a
# process group of its own. Only the end of what it prints is kept.
bounded() {
    local id=$1 seconds
    shift
    need_work
    read_seconds "${times[id]}"
    [ -p "$work/printed.$id" ] || mkfifo "$work/printed.$id" || return 0
    exec {fd}< <(exec tail -c 4096 <"$work/printed.$id" 2>/dev/null)
    begun+=("$!") readers[id]=$! fds[id]=$fd
    timeout -k 1 "$seconds" "$@" >"$work/printed.$id" 2>&1 </dev/null &
    begun+=("$!") groups+=("$!") children[id]=$!
}

# await_command ID: its $status, what it printed last ($heard), and the $last_line of that.
await_command() {
    local line fd=${fds[$1]}
    wait "${children[$1]}" 2>/dev/null
    status=$?
    kill -s KILL -- "-${children[$1]}" 2>/dev/null
    # A child that has left the group may keep the pipe open: until the probe's time is over.
    hear "$fd" "${dues[$1]}" || :
    end_child "${readers[$1]}"
    exec {fd}<&-
    [ "$status" -ne 124 ] || heard=("no answer in $seconds s")
    last_line=''
    for line in "${heard[@]}"; do last_line=${line:-$last_line}; done
}

read_command() {
    if [ -z "${children[$1]}" ]; then
        answer_text='that could not be begun'
        return
    fi
    await_command "$1"
    if [ "$status" -eq 0 ]; then
        answer_state=up answer_text=$last_line
    else
        answer_text="status $status: $last_line"
        [ "$status" -ne 124 ] || answer_state=silent
    fi
}
