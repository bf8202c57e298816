# shellcheck shell=sh
# The common ground of every script: how an answer is printed, who holds this host, what the guard's token says.
#
# It is sent before each script and evaluated by the host's /bin/sh as root. Nothing here changes the host, but for
# the few functions that say so. $root is empty on a host; tests let it point to a tree of their own.
# shellcheck disable=SC2034,SC2154 # the files that follow this one share its variables
# shellcheck disable=SC2094 # a lock is opened for writing and only looked at

# Ranges such as [a-z] and sorting must mean the same on every host.
LC_ALL=C
export LC_ALL
# sudo and a login without a profile leave little in PATH; what they did put there comes first.
PATH="$PATH:/run/current-system/sw/bin:/run/current-system/systemd/bin:/usr/sbin:/usr/bin:/sbin:/bin"
export PATH
# switch-to-configuration runs from here too, and makes files that every user may read.
umask 022

root=${FLEETDEPLOY_ROOT-}
place=$root/run/fleetdeploy
roots=$root/nix/var/nix/gcroots/fleetdeploy
# What outlives the reboot of a trial, a folder for each run. Older versions take nothing with a dot for a run.
trials=$roots/.trial
# In a boot that has it the unit of a trial's line does nothing any more. It lies beside the folder, where no version's
# clean-up takes it.
trial_over=$root/run/fleetdeploy-trial-over
# The lease of a rolling reboot. Its name has a dot, so that it is not taken for a run.
reboot_lease=$roots/reboot.lease
# Where systems come from, a file for each that a push has brought, by the hash of its path. Its lines: the system, what
# the push has said of it, `end`. Not among the roots: a file there that is called like a store path is one.
# Source: nix, libstore/gc.cc, findRoots.
origins=$root/nix/var/nix/fleetdeploy
profiles=$root/nix/var/nix/profiles
switch_lock=$root/run/nixos/switch-to-configuration.lock

# ---- answers ----

# put KEY VALUE: one line of the answer. What a terminal could act on is taken out; \ and newline are written as \\ and
# \n.
put() {
    case $2 in
    *[\\[:cntrl:]]*)
        printf '%s ' "$1"
        printf '%s\n' "$2" | tr '\t' ' ' | tr -d '\000-\011\013-\037\177' |
            awk '{ gsub(/\\/, "&&"); printf "%s%s", (NR > 1 ? "\\n" : ""), $0 } END { print "" }'
        ;;
    *) printf '%s %s\n' "$1" "$2" ;;
    esac
}

# put_lines KEY [LIMIT]: at the end of a pipe; each line of the input as a line of the answer, as soon as it has come;
# cut to 500 bytes or LIMIT. A program that buffers would hold back what a job prints until it has ended. Colours go as
# a whole; \ is written as \\.
put_lines() {
    exec sed -u -n -e 's/\x1b\[[0-9;:?]*[@-~]//g' -e 'y/\t/ /' -e 's/[[:cntrl:]]//g' -e "s/^\(.\{${2-500}\}\).*/\1/" \
        -e 's/\\/&&/g' -e "s/^/$1 /" -e 'G;P'
}

# put_each KEY [LIMIT]: the same for a few lines, which are all there; without a process where they are plain.
put_each() {
    while IFS= read -r each_line || [ -n "$each_line" ]; do
        case $each_line in
        *[\\[:cntrl:]]*) printf '%s\n' "$each_line" | put_lines "$@" ;;
        *)
            if [ "${#each_line}" -le "${2-500}" ]; then
                printf '%s %s\n' "$1" "$each_line"
            else
                printf '%s\n' "$each_line" | put_lines "$@"
            fi
            ;;
        esac
    done
}

# The last line of every answer; an answer without it was cut short.
finish() {
    echo end
    exit 0
}

# refuse REASON TEXT: the answer of a fence. Nothing was changed.
refuse() {
    put refused "$1"
    put text "$2"
}

# fail TEXT: something was tried and did not work.
fail() {
    put failed "$1"
}

# fail_to_write: what must not be forgotten cannot be written, so nothing is begun.
fail_to_write() {
    fail "cannot write to $place or $roots (is the disk full?)"
    put unwritable yes
}

# read_line FILE: its first line, in $line; fails where there is none. A file without a newline at its end is read all
# the same, and `read` says no.
read_line() {
    line=''
    [ -r "$1" ] || return 1
    read -r line <"$1" || :
    [ -n "$line" ]
}

# ---- what may stand in a path ----

is_run() {
    case $1 in '' | -* | *[!a-z0-9-]*) return 1 ;; esac
    [ "${#1}" -le 64 ]
}

is_number() {
    case $1 in '' | *[!0-9]* | ???????????????*) return 1 ;; esac
}

# The address of a store, as nix takes it.
is_store() {
    case $1 in '' | -* | *[!]a-zA-Z0-9/._+~@=,:?\&%[-]*) return 1 ;; esac
}

# The public key of a cache, or `-`.
is_cache_key() {
    case $1 in '' | *[!a-zA-Z0-9:+/=._-]*) return 1 ;; esac
}

is_store_path() {
    case ${1#/nix/store/} in "$1" | '' | .* | *[!a-zA-Z0-9+._?=-]*) return 1 ;; esac
}

# The rule for the names of hosts, also of the inventory.
is_host_name() {
    case $1 in '' | [.-]* | *[!a-zA-Z0-9_.-]*) return 1 ;; esac
    [ "${#1}" -le 63 ]
}

# Source: systemd.unit(5), on the names of units.
is_unit() {
    case $1 in '' | -* | *[!a-zA-Z0-9:_.@\\-]*) return 1 ;; esac
    [ "${#1}" -le 255 ]
}

# is_expectation VALUE: a store path, or `-` for any.
is_expectation() {
    [ "$1" = - ] || is_store_path "$1"
}

# demand TEST VALUE…: ends the script with an answer when an argument is not what it must be.
demand() {
    demand_test=$1
    shift
    for demand_value in "$@"; do
        "$demand_test" "$demand_value" && continue
        refuse bad_argument "bad argument: $demand_value ($demand_test)"
        # If the script has a reader of the boot default, the host also says how it stands: an answer like any other.
        case $(command -v read_boot_default) in read_boot_default) print_standing ;; esac
        finish
    done
}

# ---- this host ----

# Seconds since boot, also those asleep: the one clock of deadline, fence and display.
read_uptime() {
    read -r uptime _ <"${root}/proc/uptime"
    uptime=${uptime%%.*}
}

# $boot_id: the kernel's boot id, a dot, and when PID 1 was started: a container has its machine's boot id and keeps it
# over a restart. Source: proc(5), /proc/PID/stat, field 22; the second is a name in parentheses, which may have any of
# these.
read_boot_id() {
    boot_id='' boot_stat=''
    read -r boot_id <"${root}/proc/sys/kernel/random/boot_id" || :
    [ ! -r "$root/proc/1/stat" ] || read -r boot_stat <"$root/proc/1/stat" || :
    # shellcheck disable=SC2086 # numbers, from the third field on
    set -- ${boot_stat##*)}
    ! is_number "${20-}" || boot_id=$boot_id.${20}
}

# same_boot BOOT_ID: whether this is the boot that a coordinator speaks of. A run that an older version began names it
# without PID 1.
same_boot() {
    read_boot_id
    case $1 in
    '') return 1 ;;
    *.*) [ "$1" = "$boot_id" ] ;;
    *) [ "$1" = "${boot_id%%.*}" ] ;;
    esac
}

# resolve LINK: the store path a link leads to, in $resolved.
resolve() {
    resolved=$(exec readlink "$root$1" 2>/dev/null) || resolved=
    is_store_path "$resolved" && return
    [ -n "$root" ] || resolved=$(exec readlink -f "$1" 2>/dev/null) || resolved=
    is_store_path "$resolved" || resolved=
}

# follow LINK: the store path that it leads to, in $followed, without a process; fails where that is none, or no folder.
follow() {
    followed=''
    cd -P "$1" 2>/dev/null || return 1
    followed=$PWD
    cd /
    is_store_path "$followed"
}

# read_link LINK: where it leads, in $link: a root of ours, as a rule. Empty where it is none.
read_link() {
    link=''
    if follow "$1"; then link=$followed; else link=$(exec readlink "$1" 2>/dev/null); fi
}

# yes, or no: whether the plain case is read without a process. Not where what is read is what a roll back goes to: the
# number of the generation is told by what it leads to then, not by the link's own word.
quick_systems=no

# $current, $booted, $profile and $generation, and the loader's $boot_default and $next_boot (see boot.sh).
read_systems() {
    if [ "$quick_systems" = no ] || ! follow_systems; then read_links; fi
    read_boot_default
}

# follow_systems: the plain case: all of them lead to folders in the store, and one generation is the profile's.
follow_systems() {
    follow "$root/run/current-system" || return 1
    current=$followed
    follow "$root/run/booted-system" || return 1
    booted=$followed
    follow "$profiles/system" || return 1
    profile=$followed generation=''
    for follow_link in "$profiles"/system-*-link; do
        # shellcheck disable=SC3013 # dash and bash have -ef
        [ "$follow_link" -ef "$profiles/system" ] || continue
        [ -z "$generation" ] || return 1
        generation=${follow_link##*/system-}
        generation=${generation%-link}
    done
    is_number "$generation"
}

read_links() {
    # One process for all links; that of the newest generation is the profile's as a rule. It says nothing of one that
    # is not there. Source: coreutils, stat, %N and QUOTING_STYLE.
    read_newest_generation
    systems_links=$(
        QUOTING_STYLE=shell-always
        export QUOTING_STYLE
        exec stat -c %N "$root/run/current-system" "$root/run/booted-system" "$profiles/system" \
            "$profiles/system-$newest-link" 2>/dev/null
    )
    find_system /run/current-system
    current=$resolved
    find_system /run/booted-system
    booted=$resolved
    link_target "$profiles/system"
    [ -n "$link_target" ] || link_target=$(exec readlink "$profiles/system" 2>/dev/null)
    generation=${link_target##*/}
    find_system "/nix/var/nix/profiles/${generation:-system}"
    profile=$resolved
    generation=${generation#system-}
    generation=${generation%-link}
    is_number "$generation" || generation=0
}

# link_target LINK: where it leads by $systems_links; empty where it is none.
link_target() {
    link_target=${systems_links#*"'$1' -> '"}
    [ "$link_target" != "$systems_links" ] || link_target=
    link_target=${link_target%%"'"*}
}

# find_system LINK: the store path it leads to by $systems_links, in $resolved. What is not found there, in two steps or
# by a `stat` that writes otherwise, is asked for by itself.
find_system() {
    link_target "$root$1"
    resolved=$link_target
    is_store_path "$resolved" || resolve "$1"
}

# Whether any process holds the lock of switch-to-configuration; $switch_text then says which. The kernel's list is
# read: taking the lock, even for an instant, would make a switch that begins just then fail.
switch_runs() {
    [ -e "$switch_lock" ] && [ -r "$root/proc/locks" ] || return 1
    find_switch_lock || return 1
    # MAJOR:MINOR:INODE, two of them hexadecimal.
    while read -r _ switch_kind _ _ switch_pid switch_where _; do
        case $switch_kind:$switch_where in
        FLOCK:*:*:"$switch_inode")
            switch_minor=${switch_where#*:}
            if [ "$((0x${switch_where%%:*})) $((0x${switch_minor%%:*}))" = "$switch_device" ]; then
                name_switch_holder
                return 0
            fi
            ;;
        esac
    done <"$root/proc/locks"
    return 1
}

# $switch_device and $switch_inode of the lock: from what the kernel says of a file that is open, and, before Linux
# 5.14, from a process. Opening it takes nothing.
find_switch_lock() {
    switch_inode='' switch_mount='' switch_device=''
    {
        while read -r switch_key switch_value; do
            case $switch_key in mnt_id:) switch_mount=$switch_value ;; ino:) switch_inode=$switch_value ;; esac
        done </proc/self/fdinfo/7
    } 2>/dev/null 7<"$switch_lock"
    if [ -n "$switch_inode" ]; then
        while read -r switch_key _ switch_value _; do
            [ "$switch_key" != "$switch_mount" ] || switch_device="${switch_value%:*} ${switch_value#*:}"
        done </proc/self/mountinfo
    fi
    [ -z "$switch_device" ] || return 0
    # shellcheck disable=SC2046
    set -- $(exec stat -c '%D %i' "$switch_lock")
    [ $# -eq 2 ] || return 1
    switch_inode=$2 switch_device=$((0x$1))
    switch_device="$((switch_device >> 8 & 0xfff)) $((switch_device & 0xff | switch_device >> 12 & 0xfff00))"
}

# The list names the process that took the lock. A child that it left behind holds the lock on, and is nowhere named.
name_switch_holder() {
    switch_text="a switch is under way"
    if [ -d "$root/proc/$switch_pid" ]; then
        switch_text="$switch_text (process $switch_pid)"
        return 0
    fi
    for switch_file in "$root"/proc/[0-9]*/fd/*; do
        # shellcheck disable=SC3013 # dash and bash have -ef
        if [ "$switch_file" -ef "$switch_lock" ]; then
            switch_pid=${switch_file#"$root"/proc/}
            switch_text="a switch has ended, and process ${switch_pid%%/*}, which it began, still holds its lock"
            return 0
        fi
    done
}

# ask_systemd: with one question all that a fence asks of systemd. unit_lives and shutdown_due answer by it, until
# $systemd_says is emptied: before anything is waited for or started. A list takes systemd a third of what the same of
# single units does.
# Every way down has a job of shutdown.target, and reaches it. Source: systemd.special(7); units/systemd-reboot.service,
# and its sisters, in systemd.
ask_systemd() {
    systemd_says='' systemd_column=''
    systemd_answer=$(list_units --all fleetdeploy-guard.service fleetdeploy-job.service fleetdeploy-rollback.service \
        shutdown.target)
    while read -r systemd_unit _ systemd_state _ systemd_job _; do
        case $systemd_unit in
        '') break ;;
        # With a column for jobs where any of them has one; without one of its own a unit's description stands there.
        UNIT) systemd_column=$systemd_job && continue ;;
        esac
        case $systemd_column:$systemd_job in
        JOB:start | JOB:stop | JOB:*restart | JOB:reload* | JOB:verify-active | JOB:nop) ;;
        *) systemd_job='' ;;
        esac
        systemd_says="$systemd_says $systemd_unit=$systemd_state=$systemd_job "
    done <<ANSWER
$systemd_answer
ANSWER
    # It is always there. Where it is not, this was no answer, and each thing is asked for by itself.
    case $systemd_says in *' shutdown.target='*) ;; *) systemd_says='' ;; esac
}
systemd_says=''

# list_units ARG…: what `systemctl list-units` says of them, a line each, for `exec` in a subshell. systemd itself keeps
# the time: a process less. Source: systemd, ENVIRONMENT.md, $SYSTEMD_BUS_TIMEOUT.
list_units() {
    SYSTEMD_BUS_TIMEOUT=20s SYSTEMD_COLORS=0
    export SYSTEMD_BUS_TIMEOUT SYSTEMD_COLORS
    exec systemctl list-units --plain --full --no-pager "$@" 2>/dev/null
}

# unit_lives UNIT…: one of them runs, or systemd is about to start it again.
unit_lives() {
    if [ -n "$systemd_says" ]; then
        for lives_unit in "$@"; do
            case $systemd_says in
            *" $lives_unit=active="* | *" $lives_unit=activating="* | *" $lives_unit=reloading="*) return 0 ;;
            esac
        done
        return 1
    fi
    case $(exec systemctl show -p ActiveState "$@" 2>/dev/null) in
    *=active* | *=activating* | *=reloading*) ;;
    *) return 1 ;;
    esac
}

# The number of the profile's newest generation, in $newest.
read_newest_generation() {
    newest=0
    for newest_link in "$profiles"/system-*-link; do
        newest_link=${newest_link##*/system-}
        newest_link=${newest_link%-link}
        if is_number "$newest_link" && [ "$newest_link" -gt "$newest" ]; then
            newest=$newest_link
        fi
    done
}

# Whether a reboot or power-off is scheduled or has begun; $shutdown_text says which.
shutdown_due() {
    shutdown_text=
    if [ -e "$root/run/systemd/shutdown/scheduled" ]; then
        read_value MODE "$root/run/systemd/shutdown/scheduled"
        shutdown_text="a $value is scheduled"
        return 0
    fi
    shutdown_says=$systemd_says
    if [ -z "$shutdown_says" ]; then
        ask_systemd
        shutdown_says=$systemd_says systemd_says=''
    fi
    if [ -z "$shutdown_says" ]; then
        # In one step: a job comes before the state.
        shutdown_says=$(exec systemctl show -p ActiveState -p Job shutdown.target 2>/dev/null)
        case $shutdown_says in *Job=[1-9]* | *=active*) shutdown_says=active= ;; *) shutdown_says=inactive= ;; esac
    fi
    shutdown_says=${shutdown_says#*" shutdown.target="}
    case ${shutdown_says%% *} in active=* | *=?*) shutdown_text="a shutdown is under way" ;; esac
    [ -n "$shutdown_text" ]
}

# read_value KEY FILE: what follows the first `KEY=` there, in $value.
read_value() {
    value=''
    while IFS= read -r value_line || [ -n "$value_line" ]; do
        case $value_line in "$1="*) value=${value_line#"$1="} && return ;; esac
    done <"$2"
}

# switch_to SYSTEM ACTION SECONDS [NAME=VALUE…]: its switch-to-configuration, for at most SECONDS (0: as long as it
# takes), as it would be run by nixos-rebuild: nothing of ours in its environment, nothing to read. $switch_by is
# `exec` where the shell is for nothing else.
switch_to() {
    switch_system=$1 switch_action=$2 switch_limit=$3
    shift 3
    set -- env -u LC_ALL -u NIXOS_INSTALL_BOOTLOADER "$@" "$root$switch_system/bin/switch-to-configuration" \
        "$switch_action"
    [ "$switch_limit" = 0 ] || set -- timeout -k 5 "$switch_limit" "$@"
    ${switch_by-} "$@" </dev/null
}

# within SECONDS COMMAND…: a program, for at most so long; what it says is in $said. Status 124: it was ended. bash
# could keep the time itself, by reading from `<(program)`; but its `wait` for such a one has no status now and then.
within() {
    within_limit=$1
    shift
    said=$(exec timeout -k 1 "$within_limit" "$@" </dev/null 2>&1)
}

# ---- who holds it ----

# with_lock COMMAND…: runs it while no other script of ours looks or writes. Held for moments only.
with_lock() {
    while :; do
        [ -d "$place" ] || mkdir -m 700 "$place" 2>/dev/null || [ -d "$place" ] || return 75
        lock_status=75
        {
            # shellcheck disable=SC3013 # dash and bash have -ef
            # Clean removes the lock with the rest: a lock that is no longer the one in the folder protects nothing.
            if flock -w 20 9; then
                if [ "$place/lock" -ef /proc/self/fd/9 ]; then
                    "$@"
                    lock_status=$?
                    # A host that is not held keeps nothing: a step was refused on it. After a clean-up the lock may
                    # be the next one's.
                    if is_alone "$place"/* "$place"/.[!.]* && [ "$place/lock" -ef /proc/self/fd/9 ]; then
                        rm -f "$place/lock"
                        rmdir "$place"
                    fi
                else
                    lock_status=76
                fi
            fi
        } 9>"$place/lock"
        [ "$lock_status" -eq 76 ] || return "$lock_status"
    done
}

# is_alone FILE…: whether nothing of this is there but the lock.
is_alone() {
    for alone_file in "$@"; do
        if [ "$alone_file" != "$place/lock" ] && { [ -e "$alone_file" ] || [ -L "$alone_file" ]; }; then return 1; fi
    done
}

# write_lines PATH LINE…: its new content, whole or not at all.
write_lines() {
    lines_file=$1
    shift
    { printf '%s\n' "$@" >"$lines_file.new.$$"; } 2>/dev/null && mv -f "$lines_file.new.$$" "$lines_file"
}

# write_once PATH LINE…: as write_lines; but nobody can have begun to read a file that is not there yet, and nobody
# begins before all is written.
write_once() {
    if [ -e "$1" ]; then
        write_lines "$@"
        return
    fi
    once_file=$1
    shift
    { printf '%s\n' "$@" >"$once_file"; } 2>/dev/null
}

# write_file PATH: its new content from the input, whole or not at all.
write_file() {
    cat >"$1.new.$$" && mv -f "$1.new.$$" "$1"
}

# read_lease: which run holds this host, and the $lease_kind: a `run` has a lease that a reboot takes away; a rolling
# `reboot` has one that outlives it and counts for $lease_left s more. A lease that is over holds nothing, and neither
# does a run with the owner `-`: that stands there for older versions, which know no other fence.
read_lease() {
    lease_kind='' lease_run='' lease_epoch='' lease_owner=''
    if [ -e "$place/lease" ]; then
        read -r lease_run lease_epoch lease_owner <"$place/lease" || :
        if [ "$lease_owner" != - ]; then
            lease_kind=run
            is_run "$lease_run" && is_number "$lease_epoch"
            return
        fi
        lease_run='' lease_epoch='' lease_owner=''
    fi
    read_hold
}

# read_hold: the same of the lease of a rolling reboot alone, whoever else holds this host.
read_hold() {
    lease_kind='' lease_run='' lease_epoch='' lease_owner=''
    [ -e "$reboot_lease" ] || return 1
    read -r lease_run lease_boot lease_until lease_seconds lease_owner <"$reboot_lease" || :
    if is_run "$lease_run" && is_number "$lease_until" && is_number "$lease_seconds"; then
        lease_kind=reboot lease_epoch=0
        if same_boot "$lease_boot"; then
            read_uptime
            lease_left=$((lease_until - uptime))
        else
            read_boot_age
            lease_left=$((lease_seconds - boot_age))
        fi
        [ "$lease_left" -le 0 ] || return 0
    fi
    lease_kind='' lease_run='' lease_epoch='' lease_owner=''
    return 1
}

# $boot_age: how many seconds this boot of the host has lasted; after read_boot_id. A container sees its machine's
# uptime, and since when its own first process runs; if it is shown an uptime of its own (lxcfs does that), that is a
# mount. Source: proc(5): the start of a process is in ticks, 100 to the second on every machine that NixOS runs on.
read_boot_age() {
    read_uptime
    boot_age=$uptime boot_began=${boot_id##*.}
    is_number "$boot_began" && [ "$boot_began" != "$boot_id" ] || return 0
    while read -r _ _ _ _ boot_mount _; do
        [ "$boot_mount" != /proc/uptime ] || return 0
    done <"$root/proc/self/mountinfo"
    [ "$((boot_began / 100))" -gt "$uptime" ] || boot_age=$((uptime - boot_began / 100))
}

# $line_run: the run whose trial this boot is, by the kernel's line. In a container systemd has its parameters from the
# arguments of PID 1, and the kernel's line is its machine's.
read_line_run() {
    line_run='' line_words=''
    if [ -s "$root/run/systemd/container" ]; then
        line_words=$(exec tr '\000\n' '  ' <"$root/proc/1/cmdline" 2>/dev/null)
    elif [ -r "$root/proc/cmdline" ]; then
        read -r line_words <"$root/proc/cmdline" || :
    fi
    case " $line_words " in *' fleetdeploy.trial='*) ;; *) return 0 ;; esac
    # Ours is the last word on it.
    line_run=${line_words##*fleetdeploy.trial=}
    line_run=${line_run%% *}
    is_run "$line_run" || line_run=''
}

# read_go: whether the order to go was given in this boot: $go_run, and $go_failed, why the guard could not do it.
read_go() {
    go_run='' go_boot='' go_failed=''
    [ -r "$place/go" ] || return 1
    read -r go_run go_boot <"$place/go" || :
    is_run "$go_run" && same_boot "$go_boot" || return 1
    ! read_line "$place/go-failed" || go_failed=$line
}

# is_going: whether it was given, and the guard, whose token is armed, has not said that it cannot do it.
is_going() {
    read_go && [ -z "$go_failed" ] || return 1
    read_token
    read_plan run
    [ "$token_state $planned" = "armed $go_run" ]
}

# read_plan KEY [FILE]: $planned is that value of the plan that arm left, a line for each where there are several. No
# process: a guard reads it on a host that may have no memory for one.
read_plan() {
    planned=''
    [ -r "${2-$place/plan}" ] || return 0
    while read -r plan_key plan_value; do
        [ "$plan_key" != "$1" ] || planned="$planned${planned:+
}$plan_value"
    done <"${2-$place/plan}"
}

# What boot loader a system installs, as far as that was found, ` SYSTEM|KIND `; `-` is none (see boot.sh).
installers_known=' '

# recall_installers: what prepare has found, and written down, if this script is about a run.
recall_installers() {
    [ -n "${of_run-}" ] && [ -r "$roots/$of_run/installers" ] || return 0
    # A line that was cut off has no end.
    while read -r installer_system installer_is installer_end; do
        [ "$installer_end" != . ] || installers_known="$installers_known$installer_system|$installer_is "
    done <"$roots/$of_run/installers"
}

# panic_back: kernel.panic as it was before the guard.
panic_back() {
    read_plan panic
    ! is_number "$planned" || set_panic "$planned"
}

# set_panic SECONDS. Containers may not write it, and lose only that.
set_panic() {
    { echo "$1" >"$root/proc/sys/kernel/panic"; } 2>/dev/null || :
}

# ---- the guard ----

# start_guard [fired]: it runs, and its token is armed; with `fired` also where it has fired meanwhile.
#
# The guard is a service, not a timer: a timer's countdown begins anew with every daemon-reload. Without the default
# dependencies a shutdown does not stop it, so that it can force a reboot that hangs; an administrator's own reboot is
# not delayed, since systemd kills what is left without asking. It is not collected away, isolated away, limited in
# restarts, or the first to go when memory is short.
start_guard() {
    # One of an older version may have failed, and is in the way.
    case $systemd_says in
    *' fleetdeploy-guard.service=inactive='*) ;;
    *' fleetdeploy-guard.service='* | '') timeout 10 systemctl reset-failed fleetdeploy-guard.service 2>/dev/null ;;
    esac
    systemd_says=''
    read_plan path
    guard_path=$planned
    read_plan shell
    within 20 systemd-run --quiet --collect --no-ask-password --unit=fleetdeploy-guard \
        --description="fleetdeploy guard of $run" --service-type=exec --setenv=PATH="$guard_path" \
        -p DefaultDependencies=no -p IgnoreOnIsolate=yes -p Restart=on-failure -p RestartSec=1 \
        -p StartLimitIntervalSec=0 -p OOMScoreAdjust=-1000 -p OOMPolicy=continue -p TasksMax=infinity \
        -p TimeoutStopSec=10 -p WorkingDirectory=/ \
        "$planned" "$place/guard.sh"
    guard_status=$? guard_said=$said
    read_token
    # Its deadline was over, and it was at once through.
    [ "$guard_status" -ne 0 ] || [ "$token_state" != "${1-}" ] || return 0
    # The kernel's word takes no process. Where it is not there, systemd is asked.
    if [ "$token_state" = armed ] && {
        { [ "$guard_status" -eq 0 ] && has_processes fleetdeploy-guard.service; } ||
            unit_lives fleetdeploy-guard.service
    }; then
        return 0
    fi
    fail "the guard could not be started: $guard_said"
    return 1
}

# ---- the token ----

# $token_state (none, armed, fired, disarmed) and $token_deadline. A folder that is read during a rename may show both
# names or neither: the stronger one counts, and nothing at all is looked at again.
read_token() {
    for _ in 1 2 3 4 5 6 7 8; do
        token_state=none token_deadline=0
        for token_file in "$place"/token/armed-* "$place"/token/disarmed-* "$place"/token/fired-*; do
            token_name=${token_file##*/}
            [ -e "$token_file" ] && is_number "${token_name#*-}" &&
                token_state=${token_name%%-*} token_deadline=${token_name#*-}
        done
        [ "$token_state" = none ] && [ -d "$place/token" ] || return 0
    done
}

# move_token STATE NEW_NAME: one rename of the token that read_token saw, if it was in that state; of many who try, one
# succeeds.
move_token() {
    [ "$token_state" = "$1" ] || return 1
    [ "$token_state-$token_deadline" != "$2" ] || return 0
    mv -T "$place/token/$token_state-$token_deadline" "$place/token/$2" 2>/dev/null
}

# ---- the fence ----

# held_by RUN EPOCH BOOT_ID: whether this coordinator still speaks for this host; refuses aloud if not.
held_by() {
    # This comes first: a restart takes the lease away too, and that is not the act of another run.
    if ! same_boot "$3"; then
        refuse other_boot "this host has restarted: its boot id is $boot_id, not $3"
    elif ! read_lease; then
        refuse foreign_lease "no run holds this host"
    elif [ "$lease_run" != "$1" ]; then
        refuse foreign_lease "run $lease_run of $lease_owner holds this host"
    elif [ "$lease_epoch" -gt "$2" ]; then
        refuse superseded "$lease_owner has taken this run over"
    elif [ "$lease_epoch" -lt "$2" ]; then
        refuse other "epoch $2 was never written here (it is $lease_epoch): take over first"
    else
        return 0
    fi
    return 1
}

# guarded_for SECONDS: whether the guard is armed, alive, and leaves that much time; refuses aloud if not.
guarded_for() {
    read_uptime
    read_token
    case $token_state in
    armed) ;;
    fired)
        refuse fired "the guard has fired"
        return 1
        ;;
    *)
        refuse no_guard "no guard is armed (it is $token_state)"
        return 1
        ;;
    esac
    if ! unit_lives fleetdeploy-guard.service; then
        refuse no_guard "the guard's unit is not running"
    elif [ "$((token_deadline - uptime))" -lt "$1" ]; then
        refuse too_late "the guard fires in $((token_deadline - uptime)) s, and $1 s are needed"
    else
        return 0
    fi
    return 1
}

# stands_on CURRENT PROFILE BOOT_DEFAULT: whether the host is where it is expected to be; `-` is anywhere.
stands_on() {
    read_systems
    for stands in "current system:$current:$1" "profile:$profile:$2" "boot default:$boot_default:$3"; do
        stands_expected=${stands##*:} stands_found=${stands#*:}
        stands_found=${stands_found%:*}
        case $stands_expected in - | "$stands_found") continue ;; esac
        refuse moved "the ${stands%%:*} is ${stands_found:-not known}, not $stands_expected"
        return 1
    done
}

# boots_as_default: whether a reboot brings the boot default, and nothing else before it; refuses aloud if not. After
# stands_on; never on a way back.
boots_as_default() {
    [ -n "$next_boot" ] || return 0
    refuse moved "the next boot is $next_boot, once${next_boot_system:+: $next_boot_system}"
    return 1
}

# ---- standing ----

# job_unit KIND: $job_unit
job_unit() {
    case $1 in rollback) job_unit=fleetdeploy-rollback.service ;; *) job_unit=fleetdeploy-job.service ;; esac
}

# ever_started KIND: also under an older epoch; without a kind, any step at all.
ever_started() {
    for started_file in "$place"/jobs/*.started*; do
        case ${started_file##*/} in "${1-}"*.started*) ;; *) continue ;; esac
        [ ! -e "$started_file" ] || return 0
    done
    return 1
}

# set_aside KIND: what a step of this kind under an older epoch has left is kept, out of the way of the next. With the
# lock.
set_aside() {
    [ -e "$place/jobs/$1.started" ] || return 0
    read -r _ aside_epoch <"$place/jobs/$1.started"
    for aside_file in started status log; do
        [ ! -e "$place/jobs/$1.$aside_file" ] ||
            mv -f "$place/jobs/$1.$aside_file" "$place/jobs/$1.$aside_file.$aside_epoch"
    done
}

# is_held LOCK: whether somebody has it, or that cannot be known.
is_held() {
    [ -e "$1" ] && ! flock -s -n 7 2>/dev/null 7<"$1" && [ -e "$1" ]
}

# $job_state of the latest job of a kind: none, running, lost, or `exited N`.
read_job() {
    job_state=none
    [ -e "$place/jobs/$1.started" ] || return 0
    job_state=lost
    if [ -e "$place/jobs/$1.status" ]; then
        read -r job_status <"$place/jobs/$1.status"
        job_state="exited $job_status"
    elif is_held "$place/jobs/$1.lock"; then
        job_state=running
    elif [ -e "$place/jobs/$1.status" ]; then
        # It ended between the two looks.
        read_job "$1"
    fi
}

# Services as this host has said before that they are, by the word of the sender, who has it from its answers:
# ` UNIT=INVOCATION=MARKS=RESTARTS `. One that was not started since and runs is as it was, and is not asked for again:
# systemd, and its client, take milliseconds for each.
known_units=''

# The units that are looked at: those that are up, on their way, or failed.
looked_states=running,activating,reloading,deactivating,failed

# read_units: failed units, restart counts, whether the guard lives, and of each service that runs or has failed which
# start of it that is. A user's manager is that person's, not the system.
# `unit_now UNIT INVOCATION STATE MARKS`: active, failed or moving; n: a unit needs or wants it, t: a timer, path,
# socket or mount point starts it, x: made by a command, g: no system has it any more. $own_units: `unit UNIT STATE` of
# what is looked for by its name; $units: the lines that are an answer.
read_units() {
    case $known_units in
    *=*) look_at_units ;;
    *)
        ask_for_units --state="$looked_states" '*.service' '*.mount' '*.socket' '*.timer' '*.swap' '*.path'
        units=$asked_units own_units=$asked_own
        ;;
    esac
}

# look_at_units: asks for a list, and only for those that are not known, or not known to run as they did.
look_at_units() {
    units='' own_units='' look_gone='' look_ask=''
    look_list=$(list_units --no-legend --state="$looked_states" '*.service' '*.mount' '*.socket' '*.timer' '*.swap' \
        '*.path')
    set --
    while read -r look_unit look_load look_active look_sub _; do
        case $look_unit in
        '' | user@* | user-runtime-dir@*) continue ;;
        fleetdeploy-* | nixos-upgrade.service | nixos-rebuild-switch-to-configuration.service)
            own_units="${own_units}unit $look_unit $look_active
"
            case $look_unit in fleetdeploy-*) continue ;; esac
            ;;
        esac
        case $look_active:$look_sub:$look_unit in
        active:running:*.service)
            case $known_units in
            *" $look_unit="*) set -- "$@" "$root/run/systemd/units/invocation:$look_unit" ;;
            *) look_ask="$look_ask $look_unit" ;;
            esac
            [ "$look_load" != not-found ] || look_gone="$look_gone $look_unit "
            ;;
        active:*) ;;
        *) look_ask="$look_ask $look_unit" ;;
        esac
    done <<LIST
$look_list
LIST
    [ $# -eq 0 ] || know_units "$@"
    [ -n "$look_ask" ] || return 0
    # Names of units are no patterns, and no options: there is a -.mount, which a switch reloads.
    set -f
    # shellcheck disable=SC2086 # words
    ask_for_units -- $look_ask
    set +f
    units="$units${units:+${asked_units:+
}}$asked_units"
}

# know_units LINK…: the lines of services that run and have not been started since they were heard of; the others are
# asked for. systemd keeps a link for each that it has started, until that ends.
# Source: systemd, core/unit.c, unit_export_state_files and unit_unlink_state_files.
know_units() {
    know_links=$(
        QUOTING_STYLE=shell-always
        export QUOTING_STYLE
        exec stat -c %N "$@" 2>/dev/null
    )
    for know_link in "$@"; do
        know_unit=${know_link##*/invocation:}
        know_now=${know_links#*"'$know_link' -> '"}
        know_before=${known_units#*" $know_unit="}
        know_before=${know_before%% *}
        if [ "$know_now" = "$know_links" ] || [ "${know_now%%"'"*}" != "${know_before%%=*}" ]; then
            look_ask="$look_ask $know_unit"
            continue
        fi
        know_now=${know_now%%"'"*} know_marks=${know_before#*=}
        know_restarts=${know_marks#*=} know_marks=${know_marks%%=*}
        case $know_marks in *g*) know_marks=${know_marks%%g*}${know_marks#*g} ;; esac
        case $look_gone in *" $know_unit "*) know_marks=g$know_marks ;; esac
        [ "$know_restarts" = 0 ] || units="$units${units:+
}restarts $know_unit $know_restarts"
        units="$units${units:+
}unit_now $know_unit $know_now active =$know_marks"
    done
}

# ask_for_units ARG…: all that one question to systemd can tell of them, in $asked_units and $asked_own.
ask_for_units() {
    # bash can be the last of a pipe itself, which saves a process.
    # shellcheck disable=SC3044 # only in bash
    asked_own=$(
        [ -z "${BASH_VERSION-}" ] || shopt -s lastpipe
        # systemd itself keeps the time.
        SYSTEMD_BUS_TIMEOUT=20s systemctl show -p Id -p ActiveState -p SubState -p NRestarts \
            -p ExecMainStatus -p InvocationID \
            -p LoadState -p Transient -p TriggeredBy -p WantedBy -p RequiredBy -p RequisiteOf -p BoundBy -p UpheldBy \
            "$@" 2>/dev/null | exec awk '
        function out() {
            if (id ~ /^fleetdeploy-/ || id ~ /^nixos-(upgrade|rebuild-switch-to-configuration)\.service$/)
                own = own "unit " id " " active "\n"
            if (id ~ /^fleetdeploy-/ || id ~ /^user(-runtime-dir)?@/) return
            bad = (sub_state == "auto-restart" && status != 0)
            if (active == "failed" || bad) say("failed_unit " id)
            # The restart that is waited for counts: the number grows only when it comes.
            if (bad) restarts++
            if (restarts > 0) say("restarts " id " " restarts)
            state = "moving"
            if (active == "active" || active == "reloading" || active == "refreshing") state = "active"
            if (active == "failed" || bad) state = "failed"
            if (id ~ /\.service$/ || state == "failed")
                say("unit_now " id " " (invocation == "" ? "-" : invocation) " " state " =" marks)
        }
        function say(line) { said = said "\n" line }
        /^$/ { out(); id = active = sub_state = invocation = marks = ""; restarts = status = 0; next }
        { at = index($0, "="); key = substr($0, 1, at - 1); value = substr($0, at + 1) }
        key == "Id" { id = value; next }
        key == "ActiveState" { active = value; next }
        key == "SubState" { sub_state = value; next }
        key == "NRestarts" { restarts = value; next }
        key == "ExecMainStatus" { status = value; next }
        key == "InvocationID" { invocation = value; next }
        key == "LoadState" { if (value == "not-found") marks = marks "g"; next }
        key == "Transient" { if (value == "yes") marks = marks "x"; next }
        key == "TriggeredBy" { if (value != "") marks = marks "t"; next }
        value != "" { marks = marks "n" }
        END { if (id != "") out(); print own "=" said }'
    )
    asked_units=${asked_own#*="
"}
    [ "$asked_units" != "$asked_own" ] || asked_units=
    asked_own=${asked_own%%=*}
}

# Whether systemd has the guard; after read_units, or without it, by its name alone.
guard_is_there() {
    if [ "$standing_units" = yes ]; then
        case $own_units in *"unit fleetdeploy-guard.service activ"*) return 0 ;; esac
        return 1
    fi
    # The kernel's word takes no process. One that waits to be started again has none: systemd knows.
    has_processes fleetdeploy-guard.service || unit_lives fleetdeploy-guard.service
}

# has_processes UNIT: whether any is in its control group. Source: cgroups(7), cgroup.events.
has_processes() {
    {
        while read -r processes_key processes_value; do
            [ "$processes_key $processes_value" != "populated 1" ] || return 0
        done
    } 2>/dev/null <"$root/sys/fs/cgroup/system.slice/$1/cgroup.events"
    return 1
}

# What of a trial is here. `trial_run RUN`: the kernel's line of this boot names it; `trial_go RUN`, `trial_go_failed
# WHY`; `trial_over yes`: the unit of that line does nothing any more; and of each survivor `trial_left RUN BOOTED TRIED
# BEFORE SECONDS MARKS OWNER` (a comma between two marks; `-` for what is not known), `trial_failed RUN WHY` and
# `trial_trace RUN TEXT`.
print_trials() {
    line_run=''
    read_plan action
    # In a container the line costs a process, and most hosts have no trial.
    if [ -d "$trials" ] || [ -e "$trial_over" ] || [ "$planned" = trial ]; then read_line_run; fi
    [ -z "$line_run" ] || put trial_run "$line_run"
    if read_go; then
        put trial_go "$go_run"
        [ -z "$go_failed" ] || put trial_go_failed "$go_failed"
    fi
    [ ! -e "$trial_over" ] || put trial_over yes
    for trials_folder in "$trials"/*; do
        trials_run=${trials_folder##*/}
        if [ ! -d "$trials_folder" ] || ! is_run "$trials_run"; then continue; fi
        trials_words=''
        for trials_key in booted tried old_boot seconds; do
            read_plan "$trials_key" "$trials_folder/plan"
            trials_words="$trials_words ${planned:--}"
        done
        trials_marks=''
        for trials_key in kept-by-firmware proven over failed; do
            [ ! -e "$trials_folder/$trials_key" ] || trials_marks="$trials_marks${trials_marks:+,}$trials_key"
        done
        read_plan owner "$trials_folder/plan"
        put trial_left "$trials_run$trials_words ${trials_marks:--} ${planned:--}"
        ! read_line "$trials_folder/failed" || put trial_failed "$trials_run $(printf '%.500s' "$line")"
        ! read_line "$trials_folder/trace" || put trial_trace "$trials_run $(printf '%.500s' "$line")"
    done
}

put_units() {
    [ -z "$units" ] || printf '%s\n' "$units"
}

# yes, or no: the last steps of a run ask for no unit. Whatever had failed until then is judged; and to ask for all is
# the most that a standing costs.
standing_units=yes

# `read` where that was done just before, and nothing was changed since.
standing_systems=ask

print_standing() {
    read_boot_id
    [ "$standing_systems" = read ] || read_systems
    units='' own_units=''
    [ "$standing_units" = no ] || read_units
    put boot_id "$boot_id"
    put current "$current"
    put booted "$booted"
    put profile "$profile"
    put generation "$generation"
    put boot_default "$boot_default"
    put loader "$loader"
    [ -z "$boot_note" ] || put boot_note "$boot_note"
    [ -z "$next_boot" ] || put next_boot "${next_boot_system:--} $next_boot"
    if read_lease; then
        case $lease_kind in
        run) put lease "$lease_run $lease_epoch $lease_owner" ;;
        *) put rolling "$lease_run $lease_left $lease_boot $lease_owner" ;;
        esac
    fi
    read_token
    read_plan run
    guard_run=$planned
    case $token_state in
    none) put guard none ;;
    armed)
        if guard_is_there; then
            put guard "armed $guard_run $token_deadline"
        else
            put guard "dead $guard_run $token_deadline"
        fi
        ;;
    fired)
        # Its unit is there until it is through: with the reboot, or with what it does instead of one.
        if guard_is_there; then put guard "firing $guard_run"; else put guard "fired $guard_run"; fi
        ;;
    *) put guard "$token_state $guard_run" ;;
    esac
    for standing_kind in test switch reactivate rollback register keep; do
        read_job "$standing_kind"
        [ "$job_state" = none ] || put job "$standing_kind $job_state"
    done
    print_trials
    put_units
    # The traces of the run that the script is about.
    [ -z "${of_run-}" ] || print_run "$of_run"
    # Last, so that a deadline is never shown with more time left than there is.
    read_uptime
    put uptime "$uptime"
}
