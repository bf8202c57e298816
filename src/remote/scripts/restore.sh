# shellcheck shell=sh
# Puts a host back on what it ran and booted before the run: profile, boot default, current system, each by itself.
#
# Used by the roll-back job and by a guard that fires. Every function changes the host, is bounded in time, may be run
# again after it was killed, and says on its output what it did; only what is read back afterwards counts.
# shellcheck disable=SC2034,SC2154 # boot.sh reads $told_loader; the others are lib.sh's and boot.sh's

# The status of a step that found no place to install a boot loader into, before it had changed anything.
no_boot_place=99
# The status of `register` where this system cannot be tried, before it had changed anything.
not_to_be_tried=102

# load_old: what the plan says this host ran and booted, and how its boot loader is read.
load_old() {
    read_plan run
    run=$planned
    # A trial's is beside the others, where no older version takes it for a push's.
    read_plan roots
    [ "$planned" != .trial ] || roots=$trials
    read_plan old_current
    old_current=$planned
    read_plan old_boot
    old_boot=$planned
    read_plan old_profile
    old_profile=$planned
    read_plan old_generation
    old_generation=$planned
    read_plan init_link
    init_links=$planned
    read_plan boot_loader
    told_loader=$planned
    is_run "$run" && is_store_path "$old_current" && is_store_path "$old_boot" && is_store_path "$old_profile" &&
        is_number "$old_generation"
}

# What this run has begun to move is put back, and on the disk: from now on nothing here is its doing.
nothing_is_begun() {
    [ -e "$roots/$run/switching" ] || return 0
    rm -f "$roots/$run/switching"
    timeout -k 1 10 sync "$roots/$run"
}

# restore_profile SECONDS: the link goes back to the generation it had; the one that this run added is deleted, since
# boot loader installers write every generation and a full /boot would stay full.
restore_profile() {
    read_line "$roots/$run/added-generation"
    added=$line
    read_systems
    if [ "$profile $generation" != "$old_profile $old_generation" ]; then
        echo "profile: back to generation $old_generation ($old_profile)"
        if [ "$(exec readlink "$profiles/system-$old_generation-link")" != "$old_profile" ]; then
            echo "profile: generation $old_generation is gone; its system gets a new one"
            timeout -k 5 "$1" nix-env -p "$profiles/system" --set "$old_profile" </dev/null
        elif ! timeout -k 5 "$1" nix-env -p "$profiles/system" --switch-generation "$old_generation" </dev/null; then
            # A full disk or a locked database stops nix-env, and a link needs neither.
            echo "profile: nix-env failed; moving the link itself"
            ln -sfn "system-$old_generation-link" "$profiles/system.fleetdeploy" &&
                mv -T "$profiles/system.fleetdeploy" "$profiles/system"
        fi
    fi
    if is_number "$added"; then
        delete_generation "$added" "$(exec readlink "$roots/$run/new")" "$1"
        # A container that has booted the old system meanwhile has made one more for it.
        [ -z "$init_links" ] || delete_generation "$((added + 1))" "$old_profile" "$1"
    fi
    read_systems
    [ "$profile" = "$old_profile" ]
}

# delete_generation NUMBER SYSTEM SECONDS: if it is that system's, and neither what the host had nor what it has now.
delete_generation() {
    if [ "$1" != "$old_generation" ] && [ "$(exec readlink "$profiles/system-$1-link")" = "$2" ] &&
        [ "$(exec readlink "$profiles/system")" != "system-$1-link" ]; then
        echo "profile: deleting generation $1"
        timeout -k 5 "$3" nix-env -p "$profiles/system" --delete-generations "$1" </dev/null ||
            rm -f "$profiles/system-$1-link"
    fi
}

# restore_boot SECONDS [whole]: the boot loader is installed by the system that was the boot default, then read back.
# One that fails at once is tried again; one that is slow gets all of the time. It runs also when the default never
# moved but a switch began: a half-done installation leaves entries behind. `whole`: a reboot is to follow, so kernel
# and initrd are looked at also where nothing was installed: what the run has filled may have torn them.
restore_boot() {
    if [ -n "$init_links" ]; then
        restore_init "$1"
        return
    fi
    read_systems
    # What an installer writes into an empty folder is read back well, and no boot loader will ever see it.
    look_for_boot_place
    if [ -n "$boot_missing" ]; then
        case $boot_default in
        '' | "$old_boot")
            if loader_is_untouched; then
                echo "boot default: not to be read now, and nothing of this run has moved it: $boot_missing"
                return 0
            fi
            ;;
        esac
        echo "boot default: cannot be put back now: $boot_missing"
        return 1
    fi
    if [ "$boot_default" = "$old_boot" ] && loader_is_untouched && { [ "${2-}" != whole ] || boot_files_serve; }; then
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
        case $loader:$boot_default:$restore_status in
        # If the loader cannot be read, only the installer's word is left.
        unknown:*:0) return 0 ;;
        unknown:*) ;;
        *":$old_boot:0") ! boot_files_serve || return 0 ;;
        *":$old_boot:"*) echo "boot default: it is $old_boot, but its installer failed with $restore_status" ;;
        *)
            echo "boot default: the installer ended with $restore_status and the default is ${boot_default:-not known}"
            ;;
        esac
        sleep 2
    done
    # What is read back counts.
    [ "$loader" != unknown ] && [ "$boot_default" = "$old_boot" ] && boot_files_serve
}

# Whether no installation of this run can have changed what the loader has. A step that found no place for one says so.
loader_is_untouched() {
    [ ! -e "$roots/$run/added-generation" ] || return 1
    for untouched_kind in switch reactivate register keep; do
        ever_started "$untouched_kind" || continue
        read_job "$untouched_kind"
        case $untouched_kind:$job_state in
        *":exited $no_boot_place" | "register:exited $not_to_be_tried") ;;
        *) return 1 ;;
        esac
    done
}

# Whether kernel and initrd of the boot default are not known to be torn. What cannot be compared is not bad.
boot_files_serve() {
    look_at_boot_files "$old_boot"
    case $boot_files in
    bad*)
        echo "boot files: ${boot_files#bad }"
        return 1
        ;;
    esac
}

# ---- init: where activation itself moves what a reboot brings ----

# restore_init SECONDS: the links, whatever they are found at, then the installer of the old system for whatever else it
# writes. They are put back without it, so it may fail.
restore_init() {
    put_init_back || return
    switch_to "$old_boot" boot "$1" NIXOS_NO_CHECK=1 ||
        echo "boot default: the installer failed with $?; what a reboot starts is put back without it"
    put_init_back || return
    # A link that a process left which was killed before its rename.
    rm -f "$root"/sbin/init.fleetdeploy.* "$root"/bin/init.fleetdeploy.* "$root"/init.fleetdeploy.*
    read_systems
    [ "$boot_default" = "$old_boot" ]
}

# put_init_back: what starts the system is linked as it was when the guard was armed. Done already is done; on other
# hosts there is nothing to do.
put_init_back() {
    # shellcheck disable=SC2086
    point_links $init_links
}

# point_links [FILE TARGET]…
point_links() {
    point_status=0
    while [ $# -ge 2 ]; do
        if [ "$(exec readlink "$root$1")" != "$2" ]; then
            echo "$1: back to $2"
            point_link "$1" "$2" || point_status=1
        fi
        shift 2
    done
    return "$point_status"
}

# point_link FILE TARGET: one rename, and the link that it moves is on the disk before. `ln -f` may be an unlink and a
# link, and a power cut between them leaves nothing to boot.
point_link() {
    point_new=$root$1.fleetdeploy.$$ point_folder=$root${1%/*}/
    rm -f "$point_new"
    # A link cannot be synced by itself; its folder can. A disk that hangs must not hold up what follows.
    ln -s "$2" "$point_new" && { timeout -k 1 20 sync "$point_folder" || :; } &&
        mv -fT "$point_new" "$root$1" && { timeout -k 1 20 sync "$point_folder" || :; }
    [ "$(exec readlink "$root$1")" = "$2" ]
}

# The systemd-boot installer opens loader.tmp exclusively: killed in that instant, it leaves a file that makes every
# later installation fail. Only while no process holds the switch lock.
remove_stale_loader_files() {
    ! switch_runs || return 0
    for stale in "$root"/boot/loader/loader.tmp "$root"/efi/loader/loader.tmp "$root"/boot/efi/loader/loader.tmp; do
        [ ! -e "$stale" ] || rm -f "$stale"
    done
}

# restore_current SECONDS LOG: what ran is activated again, whatever /run/current-system says: a killed activation may
# have stopped units without having moved that link. One that fails is tried once more if that can take as long again:
# what going back leaves, the program may fall over, too, and only the next try finds the way cleared of it. LOG is what
# is written here.
restore_current() {
    read_uptime
    restore_end=$((uptime + $1))
    for restore_try in 1 2; do
        restore_began=$uptime
        clear_the_way
        read_uptime
        restore_left=$((restore_end - uptime))
        # 0 would be "as long as it takes".
        [ "$restore_left" -gt 0 ] || restore_left=1
        echo "current system: activating $old_current (try $restore_try)"
        switch_to "$old_current" test "$restore_left" NIXOS_NO_CHECK=1
        activation_status $? "$2"
        restore_status=$?
        read_systems
        echo "current system: it is $current (status $restore_status)"
        # 4 means that some unit of the host is failed; it may have been before. The caller looks at the units.
        case $current:$restore_status in "$old_current:0" | "$old_current:4") return 0 ;; esac
        read_uptime
        [ "$((restore_end - uptime))" -gt "$((uptime - restore_began))" ] || return 1
    done
    return 1
}

# activation_status STATUS LOG: 2 where the activation script has failed. Where units are failed, too, the program says
# 4, which alone would say that all was done. Source: docs/facts.md, "Exit statuses of switch-to-configuration".
activation_status() {
    [ "$1" -eq 4 ] || return "$1"
    # Of a way back there may be several tries in the log.
    ! awk '/^current system: activating / { failed = 0 } $0 == "Failed to run activate script" { failed = 1 }
        END { exit !failed }' "$2" 2>/dev/null || return 2
    return 4
}

# clear_the_way: what an activation that was cut off leaves, and the next falls over: no bus; in the list of what is
# still to be reloaded a unit that systemd has not loaded. One that is not up is started, as the program does itself if
# its file is the system's own; else it needs nothing. While a switch runs, the list is its own.
# Source: docs/facts.md, "What a switch that was cut off leaves".
clear_the_way() {
    ! switch_runs || return 0
    # No answer is not "it is down", and one that the host does not have is down, too. LoadState is said first.
    case $(exec timeout -k 1 10 systemctl show -p LoadState -p ActiveState dbus.socket 2>/dev/null) in
    *LoadState=loaded*ActiveState=inactive | *LoadState=loaded*ActiveState=failed)
        echo "the bus is down: starting it"
        within 5 systemctl reset-failed dbus.socket dbus.service
        within 10 systemctl start dbus.socket
        # It does not come back to a bus that was gone, and the program asks it who is logged in.
        within 10 systemctl try-restart systemd-logind.service
        ;;
    esac
    clear_lists=$root/run/nixos
    [ -s "$clear_lists/reload-list" ] || return 0
    set --
    while read -r clear_unit || [ -n "$clear_unit" ]; do
        if [ "$clear_unit" = -.mount ] || is_unit "$clear_unit"; then set -- "$@" "$clear_unit"; fi
    done <"$clear_lists/reload-list"
    clear_says=$(exec timeout -k 1 10 systemctl show -p Id -p ActiveState -- "$@" 2>/dev/null)
    case $clear_says in *ActiveState=*) ;; *) return 0 ;; esac
    clear_up=' ' clear_id='' clear_state=''
    while read -r clear_line; do
        case $clear_line in
        Id=*) clear_id=${clear_line#*=} ;;
        ActiveState=*) clear_state=${clear_line#*=} ;;
        '' | end)
            case $clear_state in active | activating) clear_up="$clear_up$clear_id " ;; esac
            clear_id='' clear_state=''
            ;;
        esac
    done <<STATES
$clear_says
end
STATES
    for clear_unit in "$@"; do
        shift
        case $clear_up in *" $clear_unit "*) set -- "$@" "$clear_unit" && continue ;; esac
        echo "not up, and so not to be reloaded: $clear_unit"
        # First into the one, then out of the other: nothing is lost between them.
        [ ! -e "$root$old_current/etc/systemd/system/$clear_unit" ] || echo "$clear_unit" >>"$clear_lists/start-list"
    done
    if [ $# -gt 0 ]; then write_lines "$clear_lists/reload-list" "$@"; else rm -f "$clear_lists/reload-list"; fi
}

# wait_for_job SECONDS: until this run's running step has ended; then it is killed.
wait_for_job() {
    for wait_kind in test switch reactivate register keep; do
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
    case $(exec timeout 10 systemctl show -p ActiveState "$1" 2>/dev/null) in *=inactive | *=failed) return 0 ;; esac
    timeout 10 systemctl stop "$1" && return
    # By the kernel, where systemd does not answer: nothing of a step may go on behind a guard's back.
    (echo 1 >"/sys/fs/cgroup/system.slice/$1/cgroup.kill") 2>/dev/null
    timeout 10 systemctl kill --signal=SIGKILL "$1"
    timeout 20 systemctl stop "$1"
}
