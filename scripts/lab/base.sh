#!/usr/bin/env bash
# Makes the base file system of hosts and workstations: `base.sh DIRECTORY` fills DIRECTORY/root and
# DIRECTORY/keys.json. A change of this file makes a new base.
set -eu
directory=$1
root=$directory/root
suite=trixie
packages=systemd,systemd-sysv,dbus,libpam-systemd,openssh-server,openssh-client,wireguard-go,wireguard-tools
packages=$packages,iproute2,iputils-ping,nftables,sudo,curl,procps,busybox,jq

# From where this machine has its own packages.
targets="\$(SITE) \$(COMPONENT) \$(RELEASE)"
mirror=${FLEETDEPLOY_LAB_MIRROR:-$(apt-get indextargets --format "$targets" 'Created-By: Packages' |
    awk '$2 == "main" && $3 !~ /security|updates|backports/ && $1 ~ /debian/ { print $1; exit }')}
[ -n "$mirror" ] || {
    echo "lab.sh: no Debian mirror in this machine's apt sources; set FLEETDEPLOY_LAB_MIRROR" >&2
    exit 1
}
proxy=$(apt-config dump --format '%v' Acquire::http::Proxy)
[ -z "$proxy" ] || export http_proxy="$proxy"

debootstrap --variant=minbase --include="$packages" "$suite" "$root" "$mirror"
in_root() {
    chroot "$root" /usr/bin/env -i PATH=/usr/bin:/bin:/usr/sbin:/sbin DEBIAN_FRONTEND=noninteractive \
        http_proxy="$proxy" "$@"
}

# debootstrap stumbles over nix-bin's virtual dependencies; apt does not. bootctl is no host's: it judges boot layouts
# in tests. nginx serves a binary cache, where a test starts it: activation takes away what the package has enabled. The
# rest are other ways to root, and other login shells; polkit is what run0 asks.
cp /etc/resolv.conf "$root/etc/resolv.conf"
in_root apt-get install -y --no-install-recommends nix-bin systemd-boot-tools nginx-light \
    opendoas sudo-rs polkitd zsh fish tcsh
rm -rf "$root/etc/resolv.conf" "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* \
    "$root"/usr/share/doc/* "$root"/usr/share/locale/* \
    "$root"/etc/ssh/ssh_host_* "$root/etc/machine-id" "$root/var/lib/dbus/machine-id"

ln -sf bash "$root/bin/sh" # as on NixOS
mkdir -p "$root"/nix/store "$root"/nix/var/nix "$root"/boot "$root/var/log/journal" "$root/usr/lib/lab"
chmod 1775 "$root/nix/store"
for user in deploy admin; do in_root useradd --create-home --shell /bin/bash "$user"; done
echo 'admin:correct horse' | in_root chpasswd
# What PAM does for a login here costs a tenth of a second, and NixOS does not do it.
sed -i '/pam_motd\|pam_mail/d' "$root/etc/pam.d/sshd"

# Keys that stay the same from fleet to fleet: WireGuard's by host and number, ssh's by host.
mkdir -p "$directory/ssh"
ssh-keygen -q -t ed25519 -N '' -C workstation -f "$directory/ssh/id_ed25519"
keys() {
    local host n private public comma separator=''
    echo '{ "hosts": {'
    while read -r host _; do
        case $host in '#' | '') continue ;; esac
        ssh-keygen -q -t ed25519 -N '' -C "$host" -f "$directory/ssh/$host"
        printf '%s"%s": {' "$separator" "$host"
        separator=,
        comma=''
        for n in 1 2 wrong; do
            private=$(in_root wg genkey)
            public=$(in_root wg pubkey <<<"$private")
            printf '%s"%s": { "private": "%s", "public": "%s" }' "$comma" "$n" "$private" "$public"
            comma=,
        done
        echo '}'
    done <"$(dirname "$0")/hosts.tsv"
    printf '}, "psk": { "1": "%s", "2": "%s" },\n' "$(in_root wg genpsk)" "$(in_root wg genpsk)"
    printf '"workstation": "%s" }\n' "$(cat "$directory/ssh/id_ed25519.pub")"
}
keys >"$directory/keys.json"
in_root jq -e . <"$directory/keys.json" >/dev/null
