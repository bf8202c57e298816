# shellcheck shell=sh
# What a run leaves beside its roots: the fence against older coordinators, and how far it had come. A restart takes all
# of /run away; what a coordinator was told before must still hold after it.
#
# In the run's folder there are files whose names say it all and that are empty, since a name takes no room: on a full
# disk a fence is still raised, by one rename.
#   epoch.N.OWNER  the highest epoch that ever spoke here; `-` instead of an owner: it has given the host back
#   seq.N          which of the runs it is that were armed here
#   switching      it has begun to move what a reboot brings, and nobody has put that back
#   committed      its guard is disarmed to keep the new system, or was just about to be
#   over           a run that was armed here later has committed
# Beside the folders, `.ended/RUN`: the run was ended while a host of it was missing. `SIDE EPOCH`, then `HOST:MACHINE`
# in lines. With a dot, for no version takes that for the name of a run.
# Needs lib.sh.
# shellcheck disable=SC2034,SC2154 # the files that follow share its variables, and it has lib.sh's

is_side() {
    case $1 in old | new | -) ;; *) return 1 ;; esac
}

# HOST:MACHINE, the machine's id or `-`.
is_missing() {
    is_host_name "${1%%:*}" || return
    case ${1#*:} in "$1" | '' | *[!a-zA-Z0-9-]*) return 1 ;; esac
    [ "${#1}" -le 140 ]
}

# sync_traces FILE…: they are on the disk when it succeeds. Shorter than others wait for the lock.
sync_traces() {
    within 10 sync "$@"
}

# $owner_name: an owner as it can stand in the name of a file.
owner_name() {
    owner_name=$1
    case $1 in */* | *[[:cntrl:]]*) owner_name=$(printf %s "$1" | tr '/\000-\037\177' '_') ;; esac
    [ "${#owner_name}" -le 150 ] || owner_name=$(printf '%.150s' "$owner_name")
    [ -n "$owner_name" ] || owner_name=-
}

# read_tuning TUNING: `-`, or `key=seconds,…` for a guard's constants: $tuned, those of them that are whole, in lines
# as a plan has them.
read_tuning() {
    tuned=''
    set -f
    IFS=,
    for tuning_word in $1; do
        case ${tuning_word%%=*}:${tuning_word#*=} in
        "$tuning_word:"* | :* | *[!a-z_]*:* | *: | *:*[!0-9]*) ;;
        *) tuned="$tuned
${tuning_word%%=*} ${tuning_word#*=}" ;;
        esac
    done
    unset IFS
    set +f
}

# read_mark RUN: whether the run was ended here without all its hosts: $mark_side, $mark_epoch and $mark_missing.
read_mark() {
    mark_side='' mark_epoch=0 mark_missing=''
    [ -e "$roots/.ended/$1" ] || return 1
    {
        read -r mark_side mark_epoch || :
        while read -r mark_host; do mark_missing="$mark_missing $mark_host"; done
    } <"$roots/.ended/$1"
    is_side "$mark_side" && is_number "$mark_epoch" && return
    # A damaged fence still keeps every coordinator out.
    mark_side=- mark_epoch=0
}

# write_mark RUN SIDE EPOCH HOST:MACHINE…: on the disk, or the one that was there is still whole.
write_mark() {
    mark_file=$roots/.ended/$1 mark_new=$roots/.ended/.$1.new
    mark_line="$2 $3"
    shift 3
    mkdir -p "$roots/.ended" 2>/dev/null && printf '%s\n' "$mark_line" "$@" 2>/dev/null >"$mark_new" &&
        sync_traces "$mark_new" && mv -fT "$mark_new" "$mark_file" && sync_traces "$roots/.ended" "$roots" && return
    rm -f "$mark_new"
    rmdir "$roots/.ended" 2>/dev/null
    return 1
}

# read_fence RUN: $fence_epoch and $fence_owner, the highest that ever spoke here, as beside the roots, in the mark, or
# in the lease; an epoch of 0 is none. $fence_file is where it stands beside the roots.
read_fence() {
    fence_epoch=0 fence_owner='' fence_file=''
    for fence_name in "$roots/$1"/epoch.*; do
        fence_found=${fence_name##*/epoch.}
        if is_number "${fence_found%%.*}" && [ "${fence_found%%.*}" -ge "$fence_epoch" ]; then
            fence_epoch=${fence_found%%.*} fence_owner=${fence_found#*.} fence_file=$fence_name
        fi
    done
    if read_mark "$1" && [ "$mark_epoch" -gt "$fence_epoch" ]; then
        fence_epoch=$mark_epoch fence_owner=-
    fi
    read_lease || :
    if [ "$lease_run" = "$1" ] && is_number "$lease_epoch" && [ "$lease_epoch" -gt "$fence_epoch" ]; then
        fence_epoch=$lease_epoch fence_owner=$lease_owner
    fi
}

# outbid EPOCH [OWNER]: after read_fence: whether a coordinator with a higher epoch has spoken here, or, if OWNER is
# given, another one with the same; refuses aloud then.
outbid() {
    if [ "$fence_epoch" -lt "$1" ]; then
        return 1
    elif [ "$fence_epoch" -eq "$1" ]; then
        case ${2-$fence_owner} in "$fence_owner") return 1 ;; esac
    fi
    case $fence_owner in
    -) refuse superseded "a recovery that has ended has taken this run over" ;;
    *) refuse superseded "$fence_owner has taken this run over" ;;
    esac
}

# raise_fence RUN EPOCH OWNER: after read_fence; on the disk when it succeeds. A run that has no folder here cannot be
# armed here, and needs no fence.
raise_fence() {
    [ -d "$roots/$1" ] || return 0
    fence_new=$roots/$1/epoch.$2.$3
    if [ "$fence_file" = '' ]; then
        true 2>/dev/null >"$fence_new" || return
    elif [ "$fence_file" != "$fence_new" ]; then
        mv -fT "$fence_file" "$fence_new" 2>/dev/null || return
    fi
    sync_traces "$roots/$1" "$roots"
}

# What was to be written beside the roots found no room, and that stops nothing. It is said at once: who holds the lock
# has no other way to tell.
volatile() {
    put volatile "it could not be written beside the roots (is the disk full?): a restart forgets it"
}

# read_seq RUN: its number among the runs that were armed here, in $seq; empty: it has none.
read_seq() {
    seq=''
    for seq_file in "$roots/$1"/seq.*; do
        ! is_number "${seq_file##*/seq.}" || seq=${seq_file##*/seq.}
    done
}

# number_run RUN: one more than the highest there is. Ids and clocks of workstations say nothing of an order.
number_run() {
    read_seq "$1"
    [ -z "$seq" ] || return 0
    for seq_file in "$roots"/*/seq.*; do
        is_number "${seq_file##*/seq.}" && [ "${seq_file##*/seq.}" -gt "${seq:-0}" ] && seq=${seq_file##*/seq.}
    done
    true 2>/dev/null >"$roots/$1/seq.$((${seq:-0} + 1))"
}

# still_here RUN: whether this host holds anything of the run that is not ended. A clean-up takes all of it away, and a
# coordinator that comes after it would begin anew what another has ended; refuses aloud then.
still_here() {
    if read_mark "$1"; then
        refuse ended "run $1 was ended on this host without${mark_missing:- all its hosts}"
        return 1
    elif read_lease && [ "$lease_run" = "$1" ] || [ -d "$roots/$1" ]; then
        return 0
    fi
    refuse ended "nothing of run $1 is left on this host: it has been ended"
    return 1
}

# has_committed RUN: what is written before the rename counts where nothing speaks against it: no guard of it that is
# armed or has fired, and all three places are its new system. After read_token, with $guard_run.
has_committed() {
    [ -e "$roots/$1/committed" ] || return 1
    case $token_state:$guard_run in
    disarmed:"$1") ;;
    armed:"$1" | fired:"$1") return 1 ;;
    *) [ ! -e "$roots/$1/trace" ] || return 1 ;;
    esac
    [ -n "${current-}" ] || read_systems
    read_link "$roots/$1/new"
    [ -n "$link" ] && [ "$current $profile $boot_default" = "$link $link $link" ]
}

# is_over RUN: whether a run that was armed here later has committed. One that was never armed here has begun nothing.
is_over() {
    [ -e "$roots/$1/plan" ] || return 1
    [ ! -e "$roots/$1/over" ] || return 0
    read_seq "$1"
    over_seq=${seq:-0}
    for over_file in "$roots"/*/committed; do
        over_run=${over_file%/committed} over_run=${over_run##*/}
        [ "$over_run" != "$1" ] || continue
        read_seq "$over_run"
        [ "${seq:-0}" -gt "$over_seq" ] && has_committed "$over_run" && return 0
    done
    return 1
}

# put_fence RUN
put_fence() {
    read_fence "$1"
    [ "$fence_epoch" -eq 0 ] || put fence "$1 $fence_epoch ${fence_owner:--}"
}

# print_run RUN: `fence RUN EPOCH OWNER` and `ran RUN WORD…`.
print_run() {
    put_fence "$1"
    run_words=''
    if [ -e "$roots/$1/plan" ]; then
        read_seq "$1"
        [ -n "$seq" ] || run_words="$run_words untraced"
        [ ! -e "$roots/$1/switching" ] || run_words="$run_words switching"
        ! has_committed "$1" || run_words="$run_words committed"
        ! is_over "$1" || run_words="$run_words over"
    fi
    ! read_mark "$1" || run_words="$run_words ended $mark_side $mark_epoch$mark_missing"
    put ran "$1$run_words"
}
