# shellcheck shell=sh
# prepare RUN OLD_CURRENT OLD_BOOT NEW SECONDS ORIGIN HOST…: roots for old and new, then a look whether NEW is there and
# fits this host.
#
# NEW is `-` for a guard without a push: then there is nothing to look at. SECONDS is what NEW's own checks may take.
# ORIGIN is a line about where NEW comes from, or `-`: it is kept, and read by nothing here.
#
# Run after the copy. Changes nothing but the roots. HOST… are the run's hosts, for a recovery from the hosts alone.
# Answers `misfit KIND TEXT` for each thing that is wrong, `check ok|failed|cut_off|unknown`, `log` lines,
# `loader_change`; what NEW changes: `compared` with a `change` for each package, `reboot_for WHAT`, and
# `brings WHAT` where a reboot was pending already.
# Needs lib.sh, boot.sh and comparing.sh.
# shellcheck disable=SC2034,SC2154 # their variables, and theirs to read

main() {
    demand is_run "$1"
    demand is_store_path "$2" "$3"
    demand is_expectation "$4"
    demand is_number "$5"
    demand is_origin "$6"
    run=$1 old_current=$2 old_boot=$3 new=$4 check_limit=$5 origin=$6
    shift 6
    demand is_host_name "$@"
    # A command that was held up on its way.
    if [ -e "$roots/.ended/$run" ]; then
        fail "run $run has been ended on this host"
        finish
    fi
    if ! put_roots "$@"; then
        fail "cannot write the roots in $roots/$run (is the disk full?)"
        finish
    fi
    # A collector that was already running may not have seen the roots. Source: nix, libstore/gc.cc, gc.lock.
    if ! flock -s -w 20 7 2>/dev/null 7<"$root/nix/var/nix/gc.lock" && [ -e "$root/nix/var/nix/gc.lock" ]; then
        fail "a garbage collection is running; try again when it is through"
        finish
    fi
    compare_told=no
    # Nix tells the difference of systems only where it has both, with all that they need.
    if [ "$new" != - ]; then tell_changes "$old_current" "$new"; fi
    look_for_paths
    # Of a system that is not there nothing else is true either.
    if [ "$new" = - ] || [ -n "$prepare_gone" ]; then
        put check unknown
        finish
    fi
    keep_origin
    look_at_new
    put_changes
    put_reboot_for "$new"
    put_brought "$old_current" "$new"
    finish
}

is_origin() {
    case $1 in -) ;; *[[:cntrl:]]*) return 1 ;; '{'*'}') ;; *) return 1 ;; esac
    [ "${#1}" -le 1500 ]
}

put_roots() {
    [ -d "$roots/$run" ] || mkdir -p "$roots/$run" || return
    write_once "$roots/$run/hosts" "$@" &&
        ln -sfn "$old_current" "$roots/$run/old-current" &&
        ln -sfn "$old_boot" "$roots/$run/old-boot" || return
    [ "$new" = - ] || ln -sfn "$new" "$roots/$run/new"
}

# It names its system, and says nothing of any other: it may stand there before that runs, and stays while that is in
# the store. Where it cannot be written nothing is known, and that stops no push.
keep_origin() {
    [ "$origin" != - ] || return 0
    origin_hash=${new#/nix/store/}
    [ -d "$origins" ] || mkdir -m 700 "$origins" 2>/dev/null || return 0
    printf '%s\n' "$new" "$origin" end 2>/dev/null >"$origins/${origin_hash%%-*}" || :
}

# All of them with one question, which names those that are missing. Source: nix-store(1), --print-invalid.
look_for_paths() {
    set --
    [ "$compare_told" = yes ] || set -- "$old_current"
    [ "$old_boot" = "$old_current" ] || set -- "$@" "$old_boot"
    [ "$compare_told" = yes ] || [ "$new" = - ] || set -- "$@" "$new"
    prepare_gone=
    [ $# -gt 0 ] || return 0
    # If it cannot tell, none of them counts as there.
    prepare_missing=$(exec timeout 20 nix-store --check-validity --print-invalid "$@" 2>/dev/null) ||
        prepare_missing="$*"
    # A name in the store may have a question mark.
    set -f
    for prepare_path in $prepare_missing; do
        [ "$prepare_path" != "$new" ] || prepare_gone=yes
        put misfit "missing $prepare_path is not in this host's store"
    done
    set +f
}

look_at_new() {
    # Its installer is asked for together with theirs.
    look_also_at=$new
    read_systems
    put_installers
    read_line "$root$current/system"
    prepare_here=$line
    read_line "$root$new/system"
    prepare_new=$line
    if [ "$prepare_here" != "$prepare_new" ]; then
        prepare_misfit="the new system is for ${prepare_new:-nothing known}, this host is ${prepare_here:-not known}"
        put misfit "architecture $prepare_misfit"
    fi
    [ -e "$root$new/nixos-version" ] || put misfit "no_system $new is not a NixOS system"
    read -r prepare_here <"$root/proc/sys/kernel/hostname"
    if read_line "$root$new/etc/hostname" && [ "${line%%.*}" != "${prepare_here%%.*}" ]; then
        put named_here "$prepare_here"
        put named_new "$line"
    fi
    if [ "$old_boot" = "$current" ]; then
        installer_kind=$boot_installer
        [ "$installer_kind" != other ] || installer_kind=''
    else
        installer_kind "$old_boot"
    fi
    prepare_here=$installer_kind
    installer_kind "$new"
    prepare_new=$installer_kind
    if [ -n "$prepare_here" ] && [ -n "$prepare_new" ] && [ "$prepare_here" != "$prepare_new" ]; then
        put loader_change "$prepare_here $prepare_new"
    fi
    if [ ! -x "$root$new/bin/switch-to-configuration" ]; then
        put misfit "no_switch the new system has no bin/switch-to-configuration"
        put check unknown
        return
    fi
    check_new
}

# What was found in these systems is found in them for good: the run's other scripts need not look.
put_installers() {
    set -f
    for prepare_system in $installers_known; do
        printf '%s %s .\n' "${prepare_system%|*}" "${prepare_system##*|}"
    done 2>/dev/null >"$roots/$run/installers"
    set +f
}

# The new system's own pre-switch checks. Older programs do not know the action: they are asked first.
check_new() {
    prepare_help=$(switch_by="exec" && switch_to "$new" --help 10 2>&1)
    case " $prepare_help " in
    *[!a-zA-Z0-9_]check[!a-zA-Z0-9_]*) ;;
    *)
        put check unknown
        return
        ;;
    esac
    read_uptime
    prepare_end=$((uptime + check_limit))
    prepare_log=$(switch_by="exec" && switch_to "$new" check "$check_limit" 2>&1)
    prepare_status=$?
    read_uptime
    case $prepare_status:$prepare_log in
    0:*) put check ok ;;
    # The status of timeout(1), which a check may also end with by itself: then it is too early.
    124:* | 137:*) if [ "$uptime" -ge "$prepare_end" ]; then put check cut_off; else put check failed; fi ;;
    *"Could not acquire lock"*)
        # The kernel's list may not show whose lock it is.
        switch_runs || switch_text="a switch is under way"
        put misfit "busy $switch_text on this host"
        put check unknown
        ;;
    *) put check failed ;;
    esac
    [ -z "$prepare_log" ] || printf '%s\n' "$prepare_log" | tail -n 60 | put_lines log
}
