# shellcheck shell=sh
# arm RUN EPOCH OWNER BOOT_ID CURRENT PROFILE BOOT_DEFAULT LATEST SECONDS ACTION TUNING LIB GUARD JOB HOST…
#
# Takes this host for the run and arms its guard, if the survey's facts still hold: boot id, the three systems (`-` is
# any), and the host's clock not past LATEST. The guard fires after SECONDS and does ACTION (reboot, switch-back).
# Asked again, for a reply that was lost, it answers with the guard that is there. LIB, GUARD and JOB are the texts that
# run here without us. TUNING: `-`, or `key=seconds,…` for the guard's constants.
# Needs lib.sh, traces.sh and boot.sh.
# shellcheck disable=SC2034,SC2154 # their variables, and theirs to read

main() {
    demand is_run "$1"
    demand is_number "$2" "$8" "$9"
    demand is_expectation "$5" "$6" "$7"
    run=$1 of_run=$1 epoch=$2 wanted_boot_id=$4 wanted_current=$5 wanted_profile=$6 wanted_boot=$7 latest=$8 seconds=$9
    owner_name "$3"
    shift 9
    action=$1 tuning=$2 lib_text=$3 guard_text=$4 job_text=$5
    shift 5
    demand is_action "$action"
    demand is_host_name "$@"
    with_lock arm "$@" || fail "cannot get the lock of $place"
    quick_systems=yes
    print_standing
    finish
}

is_action() {
    case $1 in reboot | switch-back) ;; *) return 1 ;; esac
}

# Everything here happens while no other script of ours looks or writes.
arm() {
    read_uptime
    if ! same_boot "$wanted_boot_id"; then
        refuse other_boot "this host has restarted: its boot id is $boot_id, not $wanted_boot_id"
        return 0
    fi
    had_lease=no
    if read_lease; then
        if [ "$lease_run" != "$run" ]; then
            refuse foreign_lease "run $lease_run of $lease_owner holds this host"
            return 0
        fi
        had_lease=yes
    fi
    read_fence "$run"
    ! outbid "$epoch" "$owner_name" || return 0
    # A higher epoch goes on with a run; it never begins one.
    if [ "$epoch" -gt 1 ] || read_mark "$run"; then
        still_here "$run" || return 0
    fi
    read_token
    ask_systemd
    guard_lives=no
    ! unit_lives fleetdeploy-guard.service || guard_lives=yes
    read_plan run
    guard_run=$planned
    read_plan epoch
    guard_epoch=$planned
    case $guard_lives:$token_state in
    yes:* | *:armed)
        if [ "$guard_run" != "$run" ]; then
            refuse foreign_guard "a guard of ${guard_run:-somebody unknown} is on this host"
            return 0
        elif [ "$token_state" = fired ]; then
            refuse fired "the guard has fired and is at work"
            return 0
        fi
        ;;
    esac
    if [ "$token_state" = armed ]; then
        # Ours already. A unit that died is started again, with the deadline it had.
        armed_before=yes
        if ! hold; then
            fail_to_write
        elif [ "$guard_lives" = no ]; then
            start_guard
        fi
        return 0
    fi
    if [ "$uptime" -gt "$latest" ]; then
        refuse too_late "the command came $((uptime - latest)) s too late"
    elif [ "$token_state" != none ] && [ "$guard_run $guard_epoch" = "$run $epoch" ]; then
        # A coordinator arms a host once on each boot: this is the same command, which was held up on its way.
        refuse other "this guard was $token_state already: the command came late"
    elif [ ! -d "$roots/$run" ]; then
        # Prepare makes them and clean takes them away.
        refuse other "nothing of this run is on this host: it was cleaned up already, or never prepared"
    elif is_over "$run"; then
        refuse ended "a run that was armed here later has committed on this host"
    elif switch_runs; then
        refuse busy "$switch_text on this host"
    elif shutdown_due; then
        refuse busy "$shutdown_text on this host"
    elif stands_on "$wanted_current" "$wanted_profile" "$wanted_boot" &&
        # One that this run has armed before is armed to be taken back, and its guard empties what it finds.
        { [ -e "$roots/$run/plan" ] || boots_as_default; }; then
        arm_anew "$@"
    fi
    return 0
}

arm_anew() {
    # What a run has left in /run that has given this host back would be taken for ours.
    if [ -n "$guard_run" ] && [ "$guard_run" != "$run" ]; then
        rm -rf "$place/token" "$place/jobs" "$place/fired-at" "$place/reactivated"
        token_state=none
    fi
    # A second arming is a way back, and never fails for what is there already and cannot be written anew.
    armed_before=no
    [ ! -e "$roots/$run/plan" ] || armed_before=yes
    deadline=$((uptime + seconds))
    # One that is over: it would count again after this host's next boot.
    [ ! -e "$reboot_lease" ] || rm -f "$reboot_lease"
    # The fence after what it syncs with it.
    if write_roots "$@" && write_plan && hold && write_programs; then
        # A crashed machine must not stand still for ever.
        set_panic 30
        mkdir -p "$place/token" "$place/jobs"
        if [ "$token_state" = none ]; then
            : >"$place/token/armed-$deadline"
        else
            move_token "$token_state" "armed-$deadline"
        fi
        if [ -e "$place/fired-at" ] || [ -e "$place/reactivated" ]; then
            rm -f "$place/fired-at" "$place/reactivated"
        fi
        if start_guard; then return; fi
    else
        fail_to_write
    fi
    # Nothing may look armed that is not.
    rm -rf "$place/token"
    [ "$had_lease" = yes ] || rm -f "$place/lease"
    panic_back
}

hold() {
    if ! raise_fence "$run" "$epoch" "$owner_name"; then
        [ "$armed_before" = yes ] || return
        volatile
    fi
    write_lines "$place/lease" "$run $epoch $owner_name"
}

# Roots that prepare has made stay: they say what the host ran before the run, also when it is armed a second time.
write_roots() {
    [ -L "$roots/$run/old-current" ] || ln -s "$current" "$roots/$run/old-current" || return
    if [ ! -L "$roots/$run/old-boot" ]; then
        ln -s "${boot_default:-$profile}" "$roots/$run/old-boot" || return
    fi
    # Prepare has written them already.
    roots_hosts=''
    if [ -r "$roots/$run/hosts" ]; then
        while read -r roots_host; do roots_hosts="$roots_hosts${roots_hosts:+ }$roots_host"; done <"$roots/$run/hosts"
    fi
    [ "$roots_hosts" = "$*" ] || [ $# -eq 0 ] || write_lines "$roots/$run/hosts" "$@" || [ "$armed_before" = yes ]
}

# What the guard restores, by store paths and programs that the old system's root keeps alive.
write_plan() {
    # That the run has a number says that it leaves traces; one that an older version has armed leaves only some of
    # them.
    [ "$armed_before" = yes ] || number_run "$run" || return
    read_plan old_profile "$roots/$run/plan"
    old_profile=$planned
    read_plan old_generation "$roots/$run/plan"
    old_generation=$planned
    read_plan panic
    panic=$planned
    [ -n "$panic" ] || read -r panic <"$root/proc/sys/kernel/panic" || panic=0
    read_link "$roots/$run/old-current"
    plan_current=$link
    read_link "$roots/$run/old-boot"
    # One path on each line, also of what is not there.
    # shellcheck disable=SC2046
    set -- "$plan_current" "$link" $(exec readlink -m /run/current-system/sw /run/current-system/systemd /bin/sh)
    [ $# -eq 5 ] && [ -n "$1" ] && [ -n "$2" ] || return
    # How the loader is read, and where activation moves it: what is read later may be what that has left. For PATH
    # whole folders: a coreutils program resolved by itself may be one that acts by the name it is called by.
    set -- "run $run" "epoch $epoch" "owner $owner_name" "boot_id $boot_id" "old_current $1" "old_boot $2" \
        "old_profile ${old_profile:-$profile}" "old_generation ${old_generation:-$generation}" \
        "boot_loader ${told_loader:--}" "action $action" "panic $panic" \
        "path $3/bin:$4/bin:/usr/sbin:/usr/bin:/sbin:/bin" "shell $5"
    read_tuning "$tuning"
    set -f
    IFS='
'
    # shellcheck disable=SC2086 # lines
    set -- "$@" $tuned
    if [ "$loader" = init ]; then
        # shellcheck disable=SC2046 # lines
        set -- "$@" $(print_init_links)
    fi
    unset IFS
    case $* in
    *[[:cntrl:]]*)
        IFS='
'
        # shellcheck disable=SC2046
        set -- $(printf '%s\n' "$@" | tr -d '\000-\011\013-\037\177')
        ;;
    esac
    unset IFS
    set +f
    write_lines "$place/plan" "$@" || return
    { printf '%s\n' "$@" 2>/dev/null >"$roots/$run/plan.new" && sync_traces "$roots/$run/plan.new" &&
        mv -f "$roots/$run/plan.new" "$roots/$run/plan"; } || [ "$armed_before" = yes ]
}

# `init_link FILE TARGET` for each link that activation may move and that a reboot starts: where it leads in the old
# system. A host that is armed a second time may stand on the new one.
print_init_links() {
    read_link "$roots/$run/old-boot"
    links_old=$link
    read_link "$roots/$run/new"
    links_new=$link
    for links_file in /sbin/init /bin/init /init; do
        links_target=$(exec readlink "$root$links_file") || continue
        case $links_target in
        "$links_old"/* | "${links_new:-$links_old}"/*)
            echo "init_link $links_file $links_old/${links_target#/nix/store/*/}"
            ;;
        # By way of the profile: an activation that moves it would leave it there no more.
        /nix/var/nix/profiles/system/*) echo "init_link $links_file $links_target" ;;
        esac
    done
}

write_programs() {
    write_once "$place/guard.sh" "$lib_text" "$guard_text" && write_once "$place/job.sh" "$lib_text" "$job_text"
}
