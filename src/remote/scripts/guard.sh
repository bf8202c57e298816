# shellcheck shell=sh
# The program of fleetdeploy-guard.service: waits for the deadline in the token's name, and fires.
#
# It needs nothing but this host: no connection, no workstation, no program of the new system. Killed at any moment it
# is started again by systemd and goes on from the token: every part may run twice.
# Needs lib.sh, boot.sh and restore.sh, which stand before it in its file.
# shellcheck disable=SC2154 # their variables

# Seconds; a key of the same name in the plan overrides one.
job_wait=60            # for the run's own step to end before it is killed
profile_limit=60       # for putting the profile back
boot_limit=240         # for the boot loader's installer: a late reboot is harmless, an unrestored one is not
activate_limit=240     # for re-activating what ran
sync_limit=30          # for writing the disks out
reboot_patience=240    # for the orderly reboot, then by force
force_patience=150     # for the forced one (systemd gives processes 90 s), then without systemd
kernel_patience=30     # for that, then the kernel's own key
tries=30               # to put back what could not be put back, with half a minute between them
last_resort=2400       # since it fired: whatever hangs, no more waiting
guard_action=''        # what it does; a trial's guard has more to do than to wait
by_hand=0              # 1: a person works on this host, and not all that they do shows in its systems

main() {
    while read -r main_key main_value; do
        case $main_key in
        job_wait) job_wait=$main_value ;;
        profile_limit) profile_limit=$main_value ;;
        boot_limit) boot_limit=$main_value ;;
        activate_limit) activate_limit=$main_value ;;
        sync_limit) sync_limit=$main_value ;;
        reboot_patience) reboot_patience=$main_value ;;
        force_patience) force_patience=$main_value ;;
        kernel_patience) kernel_patience=$main_value ;;
        tries) tries=$main_value ;;
        last_resort) last_resort=$main_value ;;
        by_hand) by_hand=$main_value ;;
        action) guard_action=$main_value ;;
        esac
    done <"$place/plan"
    # Its own text says so, whatever became of the plan.
    case $(command -v fire_trial) in fire_trial) guard_action=trial ;; esac
    # bash can wait without a new process, which a host out of memory may not give; dash cannot.
    if [ -n "${BASH_VERSION-}" ]; then
        [ -p "$place/nap" ] || mkfifo "$place/nap"
        exec 7<>"$place/nap"
    fi
    while :; do
        read_token
        case $token_state in
        fired) fire && exit 0 ;;
        armed)
            # guard_trial.sh
            [ "$guard_action" != trial ] || attend || continue
            read_uptime
            # A look takes CPU, and a host waits for its guard as a rule for nothing. It is in time all the same: a
            # deadline is never brought forward, and a nap that a suspended host outslept has a second or two left.
            if [ "$uptime" -lt "$((token_deadline - 10))" ]; then
                nap 2
            elif [ "$uptime" -lt "$token_deadline" ]; then
                nap 1
            elif ! move_token armed "fired-$token_deadline"; then
                # Disarmed or extended in this instant, or no memory for a process: look again.
                nap 1
            fi
            ;;
        # Disarmed, or everything was cleaned away.
        *) exit 0 ;;
        esac
    done
}

# nap SECONDS
nap() {
    if [ -n "${BASH_VERSION-}" ]; then
        # shellcheck disable=SC3045 # only in bash
        read -r -t "$1" _ <&7 || :
    else
        sleep "$1"
    fi
}

fire() {
    read_line "$place/fired-at"
    fired_at=$line
    read_uptime
    if ! is_number "$fired_at"; then
        fired_at=$uptime
        echo "$fired_at" >"$place/fired-at"
    fi
    if [ "$guard_action" = trial ]; then
        fire_trial
        return
    fi
    if [ "$((uptime - fired_at))" -gt "$last_resort" ] && [ ! -e "$place/reactivated" ]; then
        kernel_reboot
    fi
    # No memory for a process, most likely: systemd starts this anew until there is. Nothing is put back by half a plan.
    load_old || exit 1
    read_plan action
    action=$planned
    # What was to be kept is not.
    [ ! -e "$roots/$run/committed" ] || rm -f "$roots/$run/committed"
    read_lease
    mkdir -p "$place/jobs"
    fire_log=$place/jobs/guard.log
    # Nothing is left undone because its words found no room.
    true >>"$fire_log" || fire_log=/dev/null
    read_systems
    found="current $current, profile $profile, boot default ${boot_default:-not known}"
    found="$found${next_boot:+, next boot $next_boot}"
    found_moved=no
    if [ "$by_hand" = 1 ] || [ "$current $profile $boot_default" != "$old_current $old_profile $old_boot" ]; then
        found_moved=yes
    fi
    whom=''
    for found_system in "$current" "$profile" "$boot_default"; do
        case $found_system in
        "$old_current" | "$old_boot" | "$old_profile" | "$(exec readlink "$roots/$run/new")" | '') ;;
        *) whom="somebody had moved this host to $found_system: overruled" ;;
        esac
    done
    # Before anything is waited for: a power cut comes when it likes.
    put_init_back >>"$fire_log" 2>&1
    # After this no step can begin any more, and one that began has said so.
    with_lock true
    trace "has begun"
    if [ "$found_moved" = no ] && ! ever_started; then
        panic_back
        trace "no step had begun and nothing had moved: nothing was done, no reboot"
        return 0
    fi
    reactivated=no fire_try=0
    while [ "$fire_try" -lt "$tries" ]; do
        fire_try=$((fire_try + 1))
        put_back >>"$fire_log" 2>&1
        if [ "$restored $action $reactivated" = "yes reboot no" ]; then
            trace "profile and boot default are put back: rebooting"
            timeout -k 1 "$sync_limit" sync
            nothing_is_begun
            reboot_this_host
        fi
        # shellcheck disable=SC2094 # what a try has said is read afterwards
        # A host that needs a person at boot; or one that a reboot would bring up on something else, or not at all.
        if [ "$reactivated" = yes ] || restore_current "$activate_limit" "$fire_log" >>"$fire_log" 2>&1; then
            reactivated=yes
            # A reboot would be the worse end from now on, whatever else fails.
            : >"$place/reactivated"
        fi
        # The old activation moves it too, and where two systems are restored, to the wrong one.
        put_init_back >>"$fire_log" 2>&1 || restored=no
        if [ "$restored $reactivated" = "yes yes" ]; then
            panic_back
            trace "profile, boot default and current system are put back, without a reboot"
            timeout -k 1 "$sync_limit" sync
            nothing_is_begun
            return 0
        fi
        read_systems
        fire_state="current $current, profile $profile, boot default ${boot_default:-not known}"
        fire_state="$fire_state${not_whole:+, $not_whole}"
        trace "NOT all could be put back (try $fire_try of $tries): $fire_state; not rebooting"
        nap 30
    done
    panic_back
    return 0
}

# Everything that a reboot depends on; $restored says whether it would bring the old system, and $not_whole what of it
# would not come up.
put_back() {
    restored=yes not_whole=''
    stop_steps
    # Again: the step that was stopped may have moved it meanwhile.
    put_init_back || restored=no
    restore_profile "$profile_limit" || restored=no
    boot_files=''
    case $action in
    reboot) restore_boot "$boot_limit" whole ;;
    *) restore_boot "$boot_limit" ;;
    esac || restored=no
    case $boot_files in bad*) not_whole="boot files ${boot_files#bad }" ;; esac
    [ "$action" != reboot ] || no_next_boot || restored=no
}

# no_next_boot: empties the next boot, whoever set it: the guard's reboot would bring that instead. Last of all, since
# an installer may set one.
no_next_boot() {
    read_systems
    [ -n "$next_boot" ] || return 0
    next_said="the next boot was $next_boot${next_boot_system:+ ($next_boot_system)}"
    echo "$next_said: emptied"
    if ! empty_next_boot; then
        next_said="$next_said, and could not be emptied"
        echo "$next_said"
        return 1
    fi
    next_said="$next_said: emptied"
}

# The run's own step and a roll back of it get their time, then an end.
stop_steps() {
    wait_for_job "$job_wait"
    read_job rollback
    [ "$job_state" != running ] || flock -s -w "$job_wait" "$place/jobs/rollback.lock" true
    stop_unit fleetdeploy-rollback.service
}

# trace WHAT: what survives a reboot, for the next who asks this host.
trace() {
    read_uptime
    mkdir -p "$roots/$run" && {
        trace_whose="the guard of run $run (${lease_owner:-owner not known}, epoch ${lease_epoch:-not known})"
        trace_fired="fired $fired_at s after the boot, due at $token_deadline s"
        trace_now="$(exec date -u +%Y-%m-%dT%H:%M:%SZ), $((uptime - fired_at)) s later"
        echo "$trace_whose $trace_fired; $trace_now: $1"
        echo "found: $found"
        [ -z "$whom" ] || echo "$whom"
        [ -z "${next_said-}" ] || echo "$next_said"
        echo "failed units: $(timeout 10 systemctl list-units --failed --plain --no-legend 2>/dev/null |
            awk '{ printf "%s ", $1 }')"
        for trace_log in "$place"/jobs/*.log; do
            [ ! -r "$trace_log" ] || tail -n 12 "$trace_log" | sed "s|^|${trace_log##*/}: |"
        done
    } | tr -d '\000-\011\013-\037\177' | write_file "$roots/$run/trace"
    timeout -k 1 10 sync "$roots/$run/trace"
}

# In order first; then what hangs is left behind. `-i`: no inhibitor counts. Never kexec, which would skip the loader,
# and never a soft-reboot, to which a mount on /run/nextroot would turn it: that keeps the kernel.
# Source: systemd, systemctl-logind.c and ENVIRONMENT.md.
reboot_this_host() {
    SYSTEMCTL_SKIP_AUTO_KEXEC=1 SYSTEMCTL_SKIP_AUTO_SOFT_REBOOT=1
    export SYSTEMCTL_SKIP_AUTO_KEXEC SYSTEMCTL_SKIP_AUTO_SOFT_REBOOT
    timeout -k 1 30 systemctl reboot -i --no-wall --no-block
    wait_out "$reboot_patience"
    timeout -k 1 30 systemctl reboot --force
    wait_out "$force_patience"
    timeout -k 1 30 systemctl reboot --force --force
    wait_out "$kernel_patience"
    kernel_reboot
}

# wait_out SECONDS: on the clock of the deadline.
wait_out() {
    read_uptime
    wait_end=$((uptime + $1))
    while [ "$uptime" -lt "$wait_end" ]; do
        nap 1
        read_uptime
    done
}

# Sync, remount read-only, reboot, by the kernel alone. Shell words only: it works when no process can be started.
kernel_reboot() {
    (echo 1 >/proc/sys/kernel/sysrq) 2>/dev/null
    for kernel_key in s u b; do
        echo "$kernel_key" >/proc/sysrq-trigger
        nap 2
    done
}
