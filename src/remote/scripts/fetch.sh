# shellcheck shell=sh
# fetch NEW FROM KEY SECONDS: NEW and what it needs, as far as this host has not got it, from the store FROM or a cache
# of its own. Signatures by KEY count, too; `-` is none.
#
# Changes nothing but the store, and there it only adds. Nothing is built, and nothing comes in that has no signature
# which this host takes. Answers `status N` and the last `log` lines. Needs lib.sh.

main() {
    demand is_store_path "$1"
    demand is_store "$2"
    demand is_cache_key "$3"
    demand is_number "$4"
    fetch_new=$1 fetch_key=$3 fetch_limit=$4
    [ "$fetch_key" != - ] || fetch_key=''
    # Not as arguments: others on this host see those, and the address may have a password.
    NIX_CONFIG="extra-substituters = $2
extra-trusted-public-keys = $fetch_key"
    # Whoever has no key gets no question, and whoever does not answer is not waited for.
    NIX_SSHOPTS='-oBatchMode=yes -oConnectTimeout=5 -oServerAliveInterval=10'
    export NIX_CONFIG NIX_SSHOPTS
    fetch_log=$(exec timeout -k 5 "$fetch_limit" nix-store --realise --option max-jobs 0 --option builders '' \
        --option connect-timeout 5 --option stalled-download-timeout 30 --option download-attempts 2 \
        "$fetch_new" 2>&1 </dev/null)
    put status "$?"
    [ -z "$fetch_log" ] || printf '%s\n' "$fetch_log" | tail -n 20 | sed 's#//[^/@]*@#//#' | put_lines log
    finish
}

is_store() {
    case $1 in '' | -* | *[!]a-zA-Z0-9/._+~@=,:?\&%[-]*) return 1 ;; esac
}

is_cache_key() {
    case $1 in '' | *[!a-zA-Z0-9:+/=._-]*) return 1 ;; esac
}
