# shellcheck shell=sh
# step RUN EPOCH BOOT_ID KIND NEEDS CURRENT PROFILE BOOT_DEFAULT NEW LIMIT
#
# Starts a step of the run, detached from this connection, once; waits for its end for at most LIMIT seconds. The fence:
# the run's guard must be armed and alive with NEEDS seconds left, and the three systems as expected (`-` is any).
# KIND: test | switch | reactivate | rollback. Asked again, it waits for and answers the step that was started.
# Answers `asked KIND`, `begun KIND` as soon as it runs, `printed KIND LINE` for each line of its log as it comes, then
# the standing (with `job KIND …`) and the end of its log.
# Needs lib.sh, traces.sh, boot.sh and waiting.sh.
# shellcheck disable=SC2034,SC2154 # their variables, and theirs to read

main() {
    demand is_run "$1"
    demand is_number "$2" "$5" "${10}"
    demand is_expectation "$6" "$7" "$8" "$9"
    demand is_kind "$4"
    run=$1 of_run=$1 epoch=$2 wanted_boot_id=$3 kind=$4 needs=$5
    wanted_current=$6 wanted_profile=$7 wanted_boot=$8 new=$9
    limit=${10} quick_systems=yes
    put asked "$kind"
    with_lock start
    case $? in
    0)
        put begun "$kind"
        await_job "$kind" "$limit"
        # The coordinator that waited for the step that was undone has turned round before its end.
        [ "$kind" != rollback ] || print_logs test switch reactivate
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

# Succeeds if the step is there to be waited for.
start() {
    held_by "$run" "$epoch" "$wanted_boot_id" || return 1
    started_by=''
    [ ! -e "$place/jobs/$kind.started" ] || read -r started_by <"$place/jobs/$kind.started"
    [ "$started_by" != "$run $epoch" ] || return 0
    ask_systemd
    guarded_for "$needs" && stands_on "$wanted_current" "$wanted_profile" "$wanted_boot" && free_to_start || return 1
    [ "$kind" = rollback ] || boots_as_default || return 1
    job_unit "$kind"
    # No job of another kind is alive: one must not start beside it.
    if [ "$kind" = rollback ] && unit_lives "$job_unit"; then
        return 0
    fi
    systemd_says=''
    # A coordinator that waits must not take the end of an older step for that of this one.
    set_aside "$kind"
    read_plan path
    step_path=$planned
    read_plan shell
    within 20 systemd-run --quiet --collect --no-ask-password \
        --unit="${job_unit%.service}" --description="fleetdeploy $kind of $run" --service-type=exec \
        --setenv=PATH="$step_path" -p OOMPolicy=continue -p TimeoutStopSec=10 -p WorkingDirectory=/ \
        "$planned" "$place/job.sh" "$run" "$epoch" "$kind" "$new" || {
        fail "the step could not be started: $said"
        return 1
    }
}

# Nothing else may be at work: no step of ours (a roll back ends it by itself), and no other switch.
free_to_start() {
    if [ "$kind" != rollback ]; then
        if ever_started rollback; then
            refuse other "this host has been rolled back in this run"
            return 1
        elif unit_lives fleetdeploy-job.service; then
            refuse busy "another step of this run is still at work"
            return 1
        elif switch_runs; then
            refuse busy "$switch_text on this host"
            return 1
        fi
    fi
    if shutdown_due; then
        refuse busy "$shutdown_text on this host"
        return 1
    fi
}
