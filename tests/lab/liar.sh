#!/bin/bash
# The login shell of root on a host that was taken over: it runs what it is given, and edits the answers.
#
# /etc/lie has `WHEN WHAT`. WHEN: always | armed (once a run holds this host) | kept (from then on, also after a
# reboot) | a script: survey, prepare, arm, extend, test, switch, rollback, disarm, clean, compare, dry, probe.
# WHAT: how it lies; `edit` is by /etc/lie.sed; `claim` says of the scripts named in /etc/lie.claims that they were
# done, and does nothing of it. `first` is no lie: something else happens here just before, which /etc/lie.first says.

honest() { exec /bin/sh "$@"; }
case ${2-} in *fleetdeploy-shell*) ;; *) honest "$@" ;; esac
read -r when what 2>/dev/null </etc/lie || honest "$@"

# The script, and not a byte of what follows it: `sed -u` reads no more than it needs.
sent=$(mktemp /tmp/liar.XXXXXX)
sed -u '/^fleetdeploy-go$/q' >"$sent"
if grep -q '^survey_all()' "$sent" && ! grep -q '^status_' "$sent"; then script=survey
elif grep -q '^disarm()' "$sent"; then script=disarm
elif grep -q '^arm()' "$sent"; then script=arm
elif grep -q '^extend()' "$sent"; then script=extend
elif grep -q '^clean()' "$sent"; then script=clean
elif grep -q 'put kept' "$sent"; then script=compare
elif grep -q 'dry_log=' "$sent"; then script=dry
elif grep -q '^check_new()' "$sent"; then script=prepare
elif grep -qx '=probe' "$sent"; then script=probe
else script=$(grep -oxE '=(test|switch|rollback)' "$sent" | head -n 1 | tr -d =)
fi
case $when in
always | "$script") lies=1 ;;
armed) [ ! -e /run/fleetdeploy/lease ] || lies=1 ;;
kept) [ ! -e /run/fleetdeploy/lease ] || touch /var/lib/lies && [ ! -e /var/lib/lies ] || lies=1 ;;
esac

run() {
    {
        cat "$sent"
        rm -f "$sent"
        exec cat
    } | /bin/sh "$@"
}
begin() {
    rm -f "$sent"
    printf '\nfleetdeploy-shell\n\nfleetdeploy-answer\n'
    case $script in test | switch | rollback) printf 'asked %s\nbegun %s\n' "$script" "$script" ;; esac
}

# The script is sent with the number of its bytes, so what does nothing is as long as what it stands for.
claim() {
    new=$(cat /etc/lie.new)
    edit="s|^current .*|current $new|; s|^\(host [0-9]* current\) .*|\1 $new|"
    case " $(cat /etc/lie.claims) " in
    *" $script "*)
        awk '
            /^    with_lock (start|disarm)/ {
                line = "    true"
                while (length(line) < length($0)) line = line " "
                $0 = line
            }
            1
        ' "$sent" >"$sent.new" && mv "$sent.new" "$sent"
        edit="$edit; s/^asked \(.*\)$/&\njob \1 exited 0/"
        touch "/run/liar.$script"
        ;;
    esac
    [ ! -e /run/liar.switch ] || edit="$edit; s|^profile .*|profile $new|; s|^boot_default .*|boot_default $new|"
    [ ! -e /run/liar.disarm ] || edit="$edit; s/^guard armed \([^ ]*\) .*/guard disarmed \1/"
    run "$@" | sed -u "$edit"
}

# A prober is there since before the run held this host, and tells the same lie as every script after it.
claim_links() {
    run "$@" | while IFS= read -r line; do
        case $line in
        host\ *\ current\ *) [ ! -e /run/fleetdeploy/lease ] || line="${line%current *}current $(cat /etc/lie.new)" ;;
        esac
        printf '%s\n' "$line"
    done
}

case $what:$script in claim:probe) claim_links "$@"; exit ;; esac
case ${lies:+$what} in
'') run "$@" ;;
claim) claim "$@" ;;
edit) run "$@" | sed -u -f /etc/lie.sed ;;
first) /bin/sh /etc/lie.first </dev/null >/dev/null 2>&1 && run "$@" ;;
hangs-up) begin && kill -9 $$ ;;
endless-line) begin && exec tr '\0' x </dev/zero ;;
endless-lines) begin && exec yes 'failed_unit a.service' ;;
long-lines) begin && tr '\0' x </dev/zero | exec fold -w 1048576 ;;
endless-log) begin && exec yes "printed $script $(head -c 500 /dev/zero | tr '\0' x)" ;;
endless-stderr) begin && exec yes 'no end' >&2 ;;
endless-noise) rm -f "$sent" && exec yes 'Welcome!' ;;
many-units) run "$@" | sed -u '/^end$/e seq -f "failed_unit u%.0f.service" 300000' ;;
drip)
    begin
    while printf x; do sleep 1; done
    ;;
drip-lines)
    begin
    while echo "failed_unit a.service"; do sleep 1; done
    ;;
never-closes)
    run "$@"
    exec sleep 3600
    ;;
esac
