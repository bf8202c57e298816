# shellcheck shell=sh
# Puts a host back on what it ran and booted before the run: profile, boot default, current system, each by itself.
#
# Used by the roll-back job and by a guard that fires. Every function changes the host, is bounded in time, may be run
# again after it was killed, and says on its output what it did; only what is read back afterwards counts.
# shellcheck disable=SC2154 # lib.sh's variables

# load_old: what the plan says this host ran and booted.
load_old() {
    run=$(plan run)
    old_current=$(plan old_current)
    old_boot=$(plan old_boot)
    old_profile=$(plan old_profile)
    old_generation=$(plan old_generation)
    is_run "$run" && is_store_path "$old_current" && is_store_path "$old_boot" && is_store_path "$old_profile" &&
        is_number "$old_generation"
}

# restore_profile SECONDS: the link goes back to the generation it had; the one that this run added is deleted, since
# boot loader installers write every generation and a full /boot would stay full.
restore_profile() {
    added=$(cat "$roots/$run/added-generation" 2>/dev/null)
    read_systems
    if [ "$profile $generation" != "$old_profile $old_generation" ]; then
        echo "profile: back to generation $old_generation ($old_profile)"
        if [ "$(readlink "$profiles/system-$old_generation-link")" != "$old_profile" ]; then
            echo "profile: generation $old_generation is gone; its system gets a new one"
            timeout -k 5 "$1" nix-env -p "$profiles/system" --set "$old_profile" </dev/null
        elif ! timeout -k 5 "$1" nix-env -p "$profiles/system" --switch-generation "$old_generation" </dev/null; then
            # A full disk or a locked database stops nix-env, and a link needs neither.
            echo "profile: nix-env failed; moving the link itself"
            ln -sfn "system-$old_generation-link" "$profiles/system.fleetdeploy" &&
                mv -T "$profiles/system.fleetdeploy" "$profiles/system"
        fi
    fi
    if is_number "$added" && [ "$added" != "$old_generation" ] && [ -L "$profiles/system-$added-link" ]; then
        resolve /nix/var/nix/profiles/system
        if [ "$(readlink "$profiles/system-$added-link")" = "$(readlink "$roots/$run/new")" ] &&
            [ "$(readlink "$profiles/system")" != "system-$added-link" ]; then
            echo "profile: deleting generation $added"
            timeout -k 5 "$1" nix-env -p "$profiles/system" --delete-generations "$added" </dev/null ||
                rm -f "$profiles/system-$added-link"
        fi
    fi
    read_systems
    [ "$profile" = "$old_profile" ]
}

# restore_boot SECONDS: the boot loader is installed by the system that was the boot default, then read back. One that
# fails at once is tried again; one that is slow gets all of the time. It runs also when the default never moved but a
# switch began: a half-done installation leaves entries behind.
restore_boot() {
    read_systems
    if [ "$boot_default" = "$old_boot" ] && ! ever_started switch && ! ever_started reactivate &&
        [ ! -e "$roots/$run/added-generation" ]; then
        return 0
    fi
    read_uptime
    restore_end=$((uptime + $1))
    for restore_try in 1 2 3; do
        read_uptime
        restore_left=$((restore_end - uptime))
        [ "$restore_left" -gt 0 ] || break
        echo "boot default: back to $old_boot (try $restore_try)"
        remove_stale_loader_files
        switch_to "$old_boot" boot "$restore_left" NIXOS_NO_CHECK=1
        restore_status=$?
        read_systems
        # Where the loader cannot be read, the installer's word is all there is.
        case $loader:$boot_default:$restore_status in
        unknown:*:0) return 0 ;;
        unknown:*) ;;
        *":$old_boot:0") return 0 ;;
        *":$old_boot:"*)
            echo "boot default: it is $old_boot, but its installer failed with $restore_status"
            continue
            ;;
        esac
        echo "boot default: the installer ended with $restore_status and the default is ${boot_default:-not known}"
        sleep 2
    done
    # What is read back counts.
    [ "$loader" != unknown ] && [ "$boot_default" = "$old_boot" ]
}

# The systemd-boot installer opens loader.tmp exclusively: killed in that instant, it leaves a file that makes every
# later installation fail. Only while nobody holds the switch lock.
remove_stale_loader_files() {
    ! switch_runs || return 0
    for stale in "$root"/boot/loader/loader.tmp "$root"/efi/loader/loader.tmp "$root"/boot/efi/loader/loader.tmp; do
        [ ! -e "$stale" ] || rm -f "$stale"
    done
}

# restore_current SECONDS: what ran is activated again, whatever /run/current-system says: a killed activation may have
# stopped units without having moved that link.
restore_current() {
    echo "current system: activating $old_current"
    switch_to "$old_current" test "$1" NIXOS_NO_CHECK=1
    restore_status=$?
    read_systems
    echo "current system: it is $current (status $restore_status)"
    # 4 means that some unit of the host is failed; it may have been before. The caller looks at the units.
    [ "$current" = "$old_current" ] && { [ "$restore_status" -eq 0 ] || [ "$restore_status" -eq 4 ]; }
}

# wait_for_job SECONDS: until this run's running step has ended; then it is killed.
wait_for_job() {
    for wait_kind in test switch reactivate; do
        read_job "$wait_kind"
        [ "$job_state" = running ] || continue
        echo "the step $wait_kind is still running: it has $1 s to end"
        flock -s -w "$1" "$place/jobs/$wait_kind.lock" true || echo "the step $wait_kind is killed"
    done
    stop_unit fleetdeploy-job.service
}

# stop_unit UNIT: it and all its processes are gone afterwards.
stop_unit() {
    # No answer is not "it is gone".
    case $(timeout 10 systemctl show -p ActiveState --value "$1" 2>/dev/null) in inactive | failed) return 0 ;; esac
    timeout 10 systemctl stop "$1" && return
    # By the kernel, where systemd does not answer: nothing of a step may go on behind a guard's back.
    (echo 1 >"/sys/fs/cgroup/system.slice/$1/cgroup.kill") 2>/dev/null
    timeout 10 systemctl kill --signal=SIGKILL "$1"
    timeout 20 systemctl stop "$1"
}
