# shellcheck shell=sh
# The fences of a trial, and how it ends on this host. A trial has no epoch of its own: its lease has the highest that a
# script takes, so that nobody takes it over, and what is ordered is fenced by the run, the boot and the token.
# Needs lib.sh.
# shellcheck disable=SC2034,SC2154 # the files that follow share its variables, and it has lib.sh's

trial_epoch=99999999999999

# of_trial RUN: whether the plan in /run is that of this run's trial.
of_trial() {
    read_plan run
    trial_run=$planned
    read_plan action
    [ "$trial_run $planned" = "$1 trial" ]
}

# on_boot BOOT_ID: refuses aloud where this is another one.
on_boot() {
    same_boot "$1" && return
    refuse other_boot "this host has restarted: its boot id is $boot_id, not $1"
    return 1
}

# holds_for RUN: whether the rolling reboot holds this host, and its time is not over; refuses aloud if not.
holds_for() {
    read_hold && [ "$lease_run" = "$1" ] && return
    if [ -n "$lease_run" ]; then
        refuse foreign_lease "run $lease_run of $lease_owner holds this host"
    else
        refuse ended "rolling reboot $1 does not hold this host any more: its time is over, or it was ended"
    fi
    return 1
}

# has_trial RUN: refuses aloud where the plan is another's.
has_trial() {
    of_trial "$1" && return
    refuse no_guard "no trial of run $1 is under way on this host"
    return 1
}

# goes_nowhere: refuses aloud while the order to go is being followed.
goes_nowhere() {
    is_going || return 0
    refuse busy "this host is about to reboot into what run $go_run tries"
    return 1
}

# nothing_at_work: no step of ours, no other switch, no way down; refuses aloud if not. After ask_systemd, if at all.
nothing_at_work() {
    if unit_lives fleetdeploy-job.service fleetdeploy-rollback.service; then
        refuse busy "a step is still at work"
    elif switch_runs; then
        refuse busy "$switch_text on this host"
    elif shutdown_due; then
        refuse busy "$shutdown_text on this host"
    else
        return 0
    fi
    return 1
}

# stop_trying FOLDER: the trial has ended on this boot, without a reboot: nothing of it acts any more, and what its
# kernel's line has set for this boot is as it was. The lease goes: nobody could outbid it. With the lock, after the
# token. Done already is done.
stop_trying() {
    true 2>/dev/null >"$trial_over" || return
    { true 2>/dev/null >"$1/over" && within 10 sync "$1"; } || put volatile "that the trial is over could not be kept"
    panic_back
    watchdog_back
    # By its epoch: the plan may be lost.
    if read_lease && [ "$lease_kind $lease_epoch" = "run $trial_epoch" ]; then rm -f "$place/lease"; fi
}

# watchdog_back: PID 1's hardware watchdog, as it was in the old boot.
watchdog_back() {
    read_plan watchdog
    is_number "$planned" || return 0
    within 10 busctl set-property org.freedesktop.systemd1 /org/freedesktop/systemd1 \
        org.freedesktop.systemd1.Manager RuntimeWatchdogUSec t "$planned" || :
}
