# shellcheck shell=sh
# Which binary caches this host has, and which of them answer. Needs lib.sh.

# nix_setting NAME: the words of a setting of Nix, a line each. Before Nix 2.20 it showed all of its settings only.
nix_setting() {
    {
        timeout -k 1 5 nix --extra-experimental-features nix-command config show "$1" ||
            timeout -k 1 5 nix --extra-experimental-features nix-command show-config | sed -n "s/^$1 = //p"
    } 2>/dev/null | tr ' ' '\n' | grep .
}

# `cache URL` for each binary cache of this host, and `cache_silent URL` for each that does not answer in time; all are
# asked at once. Nix keeps what a cache has said of itself for a week and does not ask it again: hence the empty folder
# for what it keeps.
#
# put_caches WHERE SYSTEM KEYS: the same, and beside them what the cache of the fleet says of a system of this host:
# WHERE is its address, or `own`, which is any of the host's own, or `-`, which is none. KEYS: those that this host
# takes there, a line or a word each.
put_caches() {
    caches_kept=$(exec mktemp -d) || return 0
    caches_fleet='' caches_keys=''
    for caches_key in $3; do caches_keys="$caches_keys $caches_key"; done
    case $1 in
    http:* | https:* | ssh:* | ssh-ng:*)
        put_fleet_cache "$1" "$2" &
        caches_fleet=$!
        ;;
    # Nix makes a folder that it is asked of.
    *) ;;
    esac
    nix_setting substituters | {
        while IFS= read -r caches_url; do
            caches_shown=$(printf '%s\n' "$caches_url" | without_login)
            printf '%s\n' "$caches_shown" | put_lines cache
            if ! of_cache "$caches_url" store ping >/dev/null 2>&1; then
                printf '%s\n' "$caches_shown" | put_lines cache_silent
            elif [ "$1" = own ]; then
                signatures_in_cache "$caches_url" "$2" 2>/dev/null | put_lines fleet_cache_has 2000
            fi &
        done
        wait
    }
    [ -z "$caches_fleet" ] || wait "$caches_fleet"
    rm -rf "$caches_kept"
}

# `fleet_cache STATUS`; with 0 also `fleet_cache_has PATH SIGNATURE...`, and else Nix's last words, `fleet_cache_said`.
# What is fetched by ssh has the signatures that it was brought with: whether that machine answers is enough.
put_fleet_cache() {
    case $1 in
    http*) fleet_cache_said=$(signatures_in_cache "$1" "$2" 2>&1) ;;
    *) fleet_cache_said=$(of_cache "$1" store ping 2>&1) ;;
    esac
    fleet_cache_status=$?
    put fleet_cache "$fleet_cache_status"
    if [ "$fleet_cache_status" -eq 0 ]; then
        printf '%s\n' "$fleet_cache_said" | grep '^/nix/store/' | put_lines fleet_cache_has 2000
    else
        # A web server's page may stand behind its status.
        fleet_cache_words=$(printf '%s\n' "$fleet_cache_said" | grep error:) || fleet_cache_words=$fleet_cache_said
        printf '%s\n' "$fleet_cache_words" | grep . | tail -n 1 | without_login | put_lines fleet_cache_said
    fi
}

# signatures_in_cache URL SYSTEM: `SYSTEM SIGNATURE...`, as the cache has it. It shall not fetch it from others itself.
#
# A signature names its key, and does not tell it from another one of that name: one that was made anew, most likely.
# Where no key that this host takes has signed the system, those signatures that have the names of such are left out.
signatures_in_cache() {
    signatures_line=$(of_cache "$1" path-info --option substitute false --option download-attempts 1 --sigs "$2") ||
        return
    of_cache "$1" store verify --no-contents --sigs-needed 1 --option secret-key-files '' \
        --option trusted-public-keys "${caches_keys# }" "$2" >/dev/null 2>&1
    # Its bit 2: not signed by any of these. Source: nix, verify.cc.
    if [ $? -ne 2 ]; then
        printf '%s\n' "$signatures_line"
        return
    fi
    signatures_kept=''
    # A name in the store may have a question mark.
    set -f
    for signatures_word in $signatures_line; do
        case $caches_keys in
        *" ${signatures_word%%:*}:"*) ;;
        *) signatures_kept="$signatures_kept $signatures_word" ;;
        esac
    done
    set +f
    printf '%s\n' "${signatures_kept# }"
}

# of_cache URL WORD...: asks this store by nix, for 5 s. Not as an argument: others on this host see those, and the
# address may have a password. A login by a key without a passphrase gets no question.
of_cache() {
    caches_store=$1
    shift
    NIX_REMOTE=$caches_store NIX_SSHOPTS='-oBatchMode=yes -oConnectTimeout=5' \
        XDG_CACHE_HOME=$caches_kept NIX_CACHE_HOME=$caches_kept \
        timeout -k 1 5 nix --extra-experimental-features nix-command "$@" </dev/null
}

# Of each address in a line; a password may have an `@`.
without_login() {
    sed 's#//[^/ ]*@#//#g'
}
