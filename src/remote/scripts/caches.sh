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
put_silent_caches() {
    caches_kept=$(exec mktemp -d) || return 0
    nix_setting substituters | {
        while IFS= read -r caches_url; do
            caches_shown=$(printf '%s\n' "$caches_url" | sed 's#//[^/@]*@#//#')
            printf '%s\n' "$caches_shown" | put_lines cache
            XDG_CACHE_HOME=$caches_kept NIX_CACHE_HOME=$caches_kept \
                timeout -k 1 5 nix --extra-experimental-features nix-command store ping --store "$caches_url" \
                </dev/null >/dev/null 2>&1 ||
                printf '%s\n' "$caches_shown" | put_lines cache_silent &
        done
        wait
    }
    rm -rf "$caches_kept"
}
