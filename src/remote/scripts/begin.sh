# shellcheck shell=sh
# The program of fleetdeploy-trial.service, which stands on the kernel's line of a trial's entry: in that boot, and
# before anything else of it, it arms the guard from what the run has left where a reboot leaves it.
#
# begin FOLDER. Status 0: a guard lives, or the trial is over. Any other: there is none, and systemd reboots at once
# (FailureAction=), into the boot default. It looks at nothing of the boot loader: /boot is not mounted yet, and where
# it is to be mounted by a look, that look would hang. Needs lib.sh, boot.sh, boot_once.sh and trials.sh, which stand
# before it in its file.
# shellcheck disable=SC2034,SC2154 # their variables, and theirs to read

main() {
    begin_folder=$1
    # The first that anybody of this boot says, before anything that may hang: its next boot was not forgotten.
    true 2>/dev/null >"$begin_folder/started"
    read_plan path "$begin_folder/plan"
    [ -z "$planned" ] || PATH=$PATH:$planned
    # Once more, where a script of ours was long: a lock is no reason to reboot.
    for _ in 1 2; do
        with_lock begin
        begin_status=$?
        [ "$begin_status" -eq 75 ] || break
    done
    # A disk that hangs keeps nobody up: where the guard lives it is its affair.
    [ "$begin_status" -eq 0 ] || drop_next_boot
    timeout -k 1 10 sync "$begin_folder/started" "$begin_folder" 2>/dev/null &
    [ "$begin_status" -ne 0 ] || exit 0
    wait
    exit 1
}

# A firmware that keeps it would bring this again and again. The variable is there without any partition.
drop_next_boot() {
    read_efi_variable LoaderEntryOneShot && [ "$efi_value" = "$trial_entry" ] || return 0
    delete_efi_variable LoaderEntryOneShot "$systemd_boot_vendor"
}

begin() {
    [ ! -e "$trial_over" ] || return 0
    read_token
    case $token_state in
    # As far as it goes: the token comes first, the file after it.
    disarmed) return 0 ;;
    armed)
        begin_guard
        return
        ;;
    # What a guard that has fired leaves is never worse than a reboot.
    fired)
        begin_guard
        return 0
        ;;
    esac
    if [ -e "$begin_folder/proven" ] || [ -e "$begin_folder/over" ]; then
        true 2>/dev/null >"$trial_over"
        return 0
    fi
    read_plan run "$begin_folder/plan"
    begin_run=$planned
    read_line_run
    is_run "$begin_run" && [ "$line_run" = "$begin_run" ] || return
    begin_anew && begin_guard
}

begin_anew() {
    read_plan seconds "$begin_folder/plan"
    begin_seconds=$planned
    is_number "$begin_seconds" || return
    read_plan owner "$begin_folder/plan"
    begin_owner=$planned
    begin_plan=$(exec cat "$begin_folder/plan") || return
    read_boot_id
    # From the start of this boot, whatever its first minute took: one that is late fires at once.
    read_boot_age
    begin_seconds=$((uptime - boot_age + begin_seconds))
    mkdir -p "$place/token" "$place/jobs" && cp "$begin_folder/guard.sh" "$place/guard.sh" &&
        write_lines "$place/plan" "$begin_plan" "boot_id $boot_id" &&
        write_lines "$place/lease" "$begin_run $trial_epoch $begin_owner" && : >"$place/token/armed-$begin_seconds"
}

begin_guard() {
    unit_lives fleetdeploy-guard.service && return
    read_plan run
    run=$planned
    start_guard fired
}
