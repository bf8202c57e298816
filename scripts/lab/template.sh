#!/usr/bin/env bash
# Fills $template: ws/ (workstation) and hosts/NAME/{root,boot}, upper layers over $base/root, with the first systems
# built and installed. Runs in a mount and network namespace of its own, so nothing of it stays and nothing can be
# fetched.
set -eu
: "${template:?}" "${base:?}" "${code:?}"
# shellcheck source=scripts/lab/vm.sh
. "$code/vm.sh"
ws=$template/making/ws
mkdir -p "$template/ws" "$template/ws.work" "$ws"
mount -t overlay none -o "lowerdir=$base/root,upperdir=$template/ws,workdir=$template/ws.work" "$ws"
mount -t proc proc "$ws/proc"
mount --rbind /dev "$ws/dev"

# --- the workstation ---
cp -r "$code/fleet" "$ws/root/fleet"
cp "$base/keys.json" "$template/params.json" "$ws/root/fleet/"
in_ws() { chroot "$ws" /usr/bin/env -i PATH=/usr/bin:/bin:/usr/sbin:/sbin HOME=/root "$@"; }
# A numbered host has no keys in the base: a fleet has as many of them as were asked for.
cp -r "$base/ssh" "$template/ssh"
numbered=''
while read -r name _; do
    [ ! -e "$template/ssh/$name" ] || continue
    ssh-keygen -q -t ed25519 -N '' -C "$name" -f "$template/ssh/$name"
    pairs=''
    for n in 1 2 wrong; do
        private=$(in_ws wg genkey)
        public=$(in_ws wg pubkey <<<"$private")
        pairs="$pairs${pairs:+, }\"$n\": { \"private\": \"$private\", \"public\": \"$public\" }"
    done
    numbered="$numbered${numbered:+, }\"$name\": { $pairs }"
done <"$template/hosts.tsv"
# shellcheck disable=SC2016 # jq's variable
[ -z "$numbered" ] || in_ws jq --argjson numbered "{ $numbered }" '.hosts += $numbered' \
    <"$base/keys.json" >"$ws/root/fleet/keys.json"
mkdir -p "$ws/etc/nix" "$ws/root/.ssh"
printf '%s\n' 'experimental-features = nix-command flakes' 'sandbox = false' 'build-users-group =' 'substituters =' \
    >"$ws/etc/nix/nix.conf"
echo laptop >"$ws/etc/hostname"
echo '127.0.0.1 localhost laptop' >"$ws/etc/hosts"
echo 'tmpfs / tmpfs defaults 0 0' >"$ws/etc/fstab"
install -m 600 "$base/ssh/id_ed25519" "$ws/root/.ssh/id_ed25519"
cp "$base/ssh/id_ed25519.pub" "$ws/root/.ssh/"

# hosts.json, and known_hosts under every address a host can have
json='' known=''
while IFS=$'\t' read -r name address vpn behind loader kind; do
    host="\"address\": \"$address\", \"gateway\": \"${address%.*}.1\", \"vpn\": \"$vpn\""
    host="$host, \"behind\": \"$behind\", \"loader\": \"$loader\""
    [ "$kind" != vm ] || host="$host, \"vm\": \"$(cat "$tools/release")\""
    json="$json${json:+, }\"$name\": { $host }"
    known="$known$address,$vpn $(cut -d' ' -f1,2 "$template/ssh/$name.pub")"$'\n'
done <"$template/hosts.tsv"
echo "{ \"platform\": \"$(uname -m)-linux\", \"hosts\": { $json } }" >"$ws/root/fleet/hosts.json"
printf '%s' "$known" >"$ws/root/.ssh/known_hosts"

# What the systems of hosts with a firmware are built from.
if grep -q $'\tvm$' "$template/hosts.tsv"; then
    mkdir -p "$ws/usr/lib/lab/vm"
    cp "$tools/kernel" "$tools/initrd" "$ws/usr/lib/lab/vm/"
fi

# --- the first systems: one build for all ---
set --
while read -r name _; do
    set -- "$@" "/root/fleet#nixosConfigurations.$name.config.system.build.toplevel"
done <"$template/hosts.tsv"
in_ws nix build --no-link --print-out-paths "$@" >"$template/making/systems"
cat "$template/making/systems"

# --- the hosts ---
exec 7<"$template/making/systems"
while read -r name address _ _ loader kind; do
    read -r system <&7
    echo "--- $name $system"
    upper=$template/hosts/$name/root
    root=$template/making/$name
    mkdir -p "$upper" "$upper.work" "$root"
    mount -t overlay none -o "lowerdir=$base/root,upperdir=$upper,workdir=$upper.work" "$root"
    mkdir -p "$ws/mnt/$name"
    mount --bind "$root" "$ws/mnt/$name"
    in_ws nix copy --no-check-sigs --to "local?root=/mnt/$name" "$system"
    umount "$ws/mnt/$name"
    rmdir "$ws/mnt/$name"

    install -m 755 "$code/firmware" "$code/bootctl" "$root/usr/lib/lab/"
    install -m 600 "$template/ssh/$name" "$root/etc/ssh/ssh_host_ed25519_key"
    cp "$template/ssh/$name.pub" "$root/etc/ssh/ssh_host_ed25519_key.pub"
    printf 'fleetdeploy lab %s' "$name" | md5sum | cut -c 1-32 >"$root/etc/machine-id"
    touch "$root/etc/NIXOS"
    if [ "$kind" = vm ]; then
        give_agent "$root"
        give_loaders "$root/boot" "$loader"
    fi
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    mount -t tmpfs none "$root/run"
    in_host() { chroot "$root" /usr/bin/env -i PATH=/usr/bin:/bin:/usr/sbin:/sbin HOME=/root "$@"; }
    (
        # The host's name is the namespace's here: it must not become the machine's.
        unshare --uts chroot "$root" "$system/activate" 
        in_host nix-env -p /nix/var/nix/profiles/system --set "$system"
        in_host env NIXOS_INSTALL_BOOTLOADER=1 "$system/bin/switch-to-configuration" boot
    )
    umount -R "$root/run" "$root/dev" "$root/proc"
    # Systemd does a first boot's work when /usr is newer than these.
    touch -r "$root/usr" "$root/etc/.updated" "$root/var/.updated"
    mv "$root/boot" "$template/hosts/$name/boot"
    mkdir "$root/boot"
    umount "$root"
    rm -rf "$upper.work"
    [ "$kind" != vm ] || make_disk "$template/hosts/$name"
done <"$template/hosts.tsv"

umount -R "$ws/dev" "$ws/proc" "$ws"
rm -rf "$template/ws.work"
