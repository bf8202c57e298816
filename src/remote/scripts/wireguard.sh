# shellcheck shell=sh
# WireGuard's interfaces and peers, without a secret: what must stay the same is given as a hash.
# shellcheck disable=SC2154 # lib.sh's variables

# print_wireguard PREFIX: lines `PREFIX_interface NAME INDEX HASH PORT` and, for each peer,
# `PREFIX_peer NAME PUBLIC_KEY ENDPOINT|- AGE|- KEEPALIVE|- ALLOWED,…|-`.
print_wireguard() {
    command -v wg >/dev/null || return 0
    # Only ever in a variable and in pipes: an argument or the environment could be read by others.
    wireguard_dump=$(timeout 5 wg show all dump 2>/dev/null)
    [ -n "$wireguard_dump" ] || return 0
    for wireguard_name in $(printf '%s\n' "$wireguard_dump" | awk '!seen[$1]++ { print $1 }'); do
        # The dump's columns: 5 for an interface (private key, public key, port, mark), 9 for a peer (public key,
        # preshared key, endpoint, allowed, handshake, received, sent, keepalive). Source: wg(8). Endpoints roam.
        wireguard_hash=$(printf '%s\n' "$wireguard_dump" | awk -F '\t' -v name="$wireguard_name" '
            $1 != name { next }
            NF == 5 { print $2, $4, $5 }
            NF == 9 { print $2, $3, $5, $9 }' | sort | sha256sum)
        wireguard_index=$(ip -o link show dev "$wireguard_name" 2>/dev/null)
        wireguard_index=${wireguard_index%%:*}
        wireguard_port=$(printf '%s\n' "$wireguard_dump" | awk -F '\t' -v name="$wireguard_name" '$1 == name && NF == 5 { print $4 }')
        put "$1_interface" "$wireguard_name ${wireguard_index:-0} ${wireguard_hash%% *} $wireguard_port"
    done
    printf '%s\n' "$wireguard_dump" | awk -F '\t' -v key="$1_peer" -v now="$(date +%s)" '
        function given(text) { return text == "(none)" || text == "off" || text == "" ? "-" : text }
        NF == 9 { print key, $1, $2, given($4), ($6 > 0 ? (now > $6 ? now - $6 : 0) : "-"), given($9), given($5) }'
}
