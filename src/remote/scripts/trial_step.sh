# shellcheck shell=sh
# trial_step RUN BOOT_ID KIND NEEDS LIMIT LIB JOB: a step of a trial, detached from this connection, once; waits for its
# end for at most LIMIT seconds, and answers as step.sh does.
#
# KIND: register (in the old boot) | keep (in the trial). The fence: the boot, the run's trial, its guard armed and
# alive with NEEDS seconds left, and the host where that step begins. LIB and JOB are the texts that run here without
# us.
# Needs lib.sh, traces.sh, boot.sh, trials.sh and waiting.sh.
# shellcheck disable=SC2034,SC2154 # their variables, and theirs to read

main() {
    demand is_run "$1"
    demand is_trial_kind "$3"
    demand is_number "$4" "$5"
    run=$1 wanted_boot_id=$2 kind=$3 needs=$4 limit=$5 lib_text=$6 job_text=$7
    put asked "$kind"
    with_lock start
    case $? in
    0)
        put begun "$kind"
        await_job "$kind" "$limit"
        print_ending "$kind"
        ;;
    1) print_standing ;;
    *)
        fail "cannot get the lock of $place"
        print_standing
        ;;
    esac
    finish
}

is_trial_kind() {
    case $1 in register | keep) ;; *) return 1 ;; esac
}

# Succeeds if the step is there to be waited for.
start() {
    on_boot "$wanted_boot_id" && has_trial "$run" || return 1
    [ ! -e "$place/jobs/$kind.started" ] || return 0
    ask_systemd
    guarded_for "$needs" && goes_nowhere && nothing_at_work || return 1
    read_plan booted
    old=$planned
    read_plan tried
    new=$planned
    read_line_run
    case $kind in register) may_register ;; *) may_keep ;; esac || return 1
    boots_as_default || return 1
    systemd_says=''
    write_lines "$place/job.sh" "$lib_text" "$job_text" || {
        fail_to_write
        return 1
    }
    read_plan path
    step_path=$planned
    read_plan shell
    within 20 systemd-run --quiet --collect --no-ask-password \
        --unit=fleetdeploy-job --description="fleetdeploy $kind of $run" --service-type=exec \
        --setenv=PATH="$step_path" -p OOMPolicy=continue -p TimeoutStopSec=10 -p WorkingDirectory=/ \
        "$planned" "$place/job.sh" "$run" "$trial_epoch" "$kind" "$new" || {
        fail "the step could not be started: $said"
        return 1
    }
}

may_register() {
    if [ "$line_run" = "$run" ]; then
        refuse other "this is the boot of the trial already"
        return 1
    fi
    holds_for "$run" || return 1
    read_plan old_current
    register_current=$planned
    read_plan old_boot
    stands_on "$register_current" "$new" "$planned" && was_booted "$old"
}

may_keep() {
    if [ "$line_run" != "$run" ]; then
        refuse other "this is not the boot of the trial"
        return 1
    elif [ -e "$trials/$run/kept-by-firmware" ]; then
        refuse other "the firmware has not taken the next boot back: it would be booted again and again"
        return 1
    fi
    stands_on "$new" "$new" "$old" && was_booted "$new"
}

# was_booted SYSTEM: after stands_on; refuses aloud if not.
was_booted() {
    [ "$booted" != "$1" ] || return 0
    refuse moved "$booted was booted, not $1"
    return 1
}
