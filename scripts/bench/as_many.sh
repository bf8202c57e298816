#!/bin/sh
# Lets this machine of the lab stand for COUNT machines, each on a port of its own from 2201 on, with a machine id of
# its own: fleetdeploy takes no machine under two names. All else of them is this one. Called by sources.sh, on hosts.
set -eu
mkdir -p /run/many
cat >/run/many/enter <<'ENTER'
#!/bin/sh
port=${SSH_CONNECTION##* }
export port
exec unshare -m sh -c 'mount --bind "/run/many/$port" /etc/machine-id && exec sh -c "$SSH_ORIGINAL_COMMAND"'
ENTER
chmod 755 /run/many/enter
nft add rule inet nixos-fw input tcp dport "2201-$((2200 + $1))" accept
# An sshd listens on sixteen sockets at most (sshd.c, MAX_LISTEN_SOCKS).
number=1
while [ "$number" -le "$1" ]; do
    config=/run/many/config.$number
    sed '/^Port /d; /^Match /,$d' /etc/ssh/sshd_config >"$config"
    printf '%s\n' 'AddressFamily inet' 'ForceCommand /run/many/enter' "PidFile $config.pid" >>"$config"
    last=$((number + 15))
    while [ "$number" -le "$1" ] && [ "$number" -le "$last" ]; do
        port=$((2200 + number))
        echo "Port $port" >>"$config"
        printf '%s%04d\n' "$(cut -c 1-28 /etc/machine-id)" "$number" >"/run/many/$port"
        number=$((number + 1))
    done
    # It wants its whole path.
    "$(command -v sshd)" -f "$config"
done
