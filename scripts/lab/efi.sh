#!/usr/bin/env bash
# A host with a real firmware: OVMF, systemd-boot and Debian's kernel under QEMU, for what a container cannot show. See
# README.md.
set -eu
code=$(dirname "$(readlink -f "$0")")
lab=${FLEETDEPLOY_LAB:-/var/lib/fleetdeploy-lab}
scripts=$code/../../src/remote/scripts
limit=600 # seconds, of all boots together
# shellcheck source=scripts/lab/common.sh
. "$code/common.sh"
# shellcheck source=scripts/lab/build.sh
. "$code/build.sh"
# shellcheck source=scripts/lab/vm.sh
. "$code/vm.sh"

case ${1:-} in
'') ;;
--scripts) scripts=${2:?} ;;
*) die "usage: efi.sh [--scripts DIRECTORY]" ;;
esac
[ "$(uname -m)" = x86_64 ] || die "efi.sh: the firmware is that of an x86_64 machine"
lab_needs >&2

ensure_base  # $base
ensure_tools # $tools
: "${tools:?}"

mkdir -p "$lab/efi"
run=$(mktemp -d "$lab/efi/run.XXXXXX")
# Of a run that failed, or was interrupted, only what can be read is kept.
trap 'rm -rf "$run"/initrd "$run"/esp "$run"/*.img "$run"/variables.fd; rmdir "$run" 2>/dev/null || true' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
# shellcheck disable=SC2016 # the inner shell's
in_tools() { nice -n 10 unshare --mount --pid --fork --kill-child --mount-proc="$tools/root/proc" sh -c '
    mount --bind "$1" "$2/mnt" && mount --rbind /dev "$2/dev" && cd / && shift && exec chroot "$@"' \
    sh "$run" "$tools/root" /usr/bin/env -i PATH=/usr/bin:/bin:/usr/sbin:/sbin "$@"; }

# --- the initrd, and in it all that is not the host's own ---
mkdir -p "$run"/initrd/{bin,proc,dev,root} \
    "$run"/initrd/host/{usr/lib/efi/{mawk,gawk},etc/systemd/system,nix/store,boot}
cp "$tools/root/bin/busybox" "$run/initrd/bin/"
cp -r "$tools/root/modules" "$run/initrd/"
install -m 755 "$code/efi/initrd" "$run/initrd/init"
host=$run/initrd/host
install -m 755 "$code/efi/host.sh" "$host/usr/lib/efi/"
cp -r "$scripts" "$host/usr/lib/efi/scripts"
for awk in mawk gawk; do ln -s "/usr/bin/$awk" "$host/usr/lib/efi/$awk/awk"; done
touch "$host/etc/NIXOS"
echo 0123456789abcdef0123456789abcdef >"$host/etc/machine-id"
printf '%s\n' '[Unit]' 'Wants=efi.service' >"$host/etc/systemd/system/efi.target"
printf '%s\n' '[Unit]' 'DefaultDependencies=no' 'Conflicts=shutdown.target' 'Before=shutdown.target' \
    '[Service]' 'ExecStart=/usr/lib/efi/host.sh' 'StandardOutput=tty' 'StandardError=tty' 'TTYPath=/dev/ttyS0' \
    >"$host/etc/systemd/system/efi.service"

# --- three systems and their entries ---
esp=$run/esp
mkdir -p "$esp"/{EFI/{BOOT,systemd,nixos},loader/entries}
cp "$tools/root/usr/lib/systemd/boot/efi/systemd-bootx64.efi" "$esp/EFI/systemd/"
cp "$tools/root/usr/lib/systemd/boot/efi/systemd-bootx64.efi" "$esp/EFI/BOOT/BOOTX64.EFI"
cp "$tools/kernel" "$esp/EFI/nixos/kernel.efi"
kernel_options='console=ttyS0 quiet panic=5 mitigations=off audit=0 cryptomgr.notests tsc=unstable no_timer_check'
kernel_options+=' systemd.unit=efi.target systemd.show_status=0'
number=0
for letter in A B C; do
    number=$((number + 1))
    system=/nix/store/$(printf "%032d" "$number")-nixos-system-vm-$letter
    mkdir -p "$host$system/bin"
    install -m 755 "$code/efi/switch-to-configuration" "$host$system/bin/"
    ln -s /usr/lib/systemd/systemd "$host$system/init"
    ln -s /usr "$host$system/sw"
    ln -s /usr "$host$system/systemd"
    for file in kernel initrd; do
        ln -s "/nix/store/00000000000000000000000000000000-boot/$file" "$host$system/$file"
    done
    printf '%s\n' 'title NixOS' 'sort-key nixos' "version Generation $number" \
        'linux /EFI/nixos/kernel.efi' 'initrd /EFI/nixos/initrd.efi' \
        "options init=$system/init $kernel_options" \
        >"$esp/loader/entries/nixos-generation-$number.conf"
done
printf 'timeout 0\ndefault nixos-generation-1.conf\nconsole-mode keep\n' >"$esp/loader/loader.conf"

# --- the disks; the firmware's variables are a file beside them ---
in_tools bash -e <<'END'
cd /mnt/initrd && find . | cpio --quiet -o -H newc | zstd -q -1 >/mnt/esp/EFI/nixos/initrd.efi
cd /mnt
truncate -s 98M esp.img disk.img
truncate -s 96M esp.img
mkfs.vfat -F 32 -n ESP esp.img >/dev/null
mcopy -s -i esp.img esp/* ::/
dd if=esp.img of=disk.img bs=1M seek=1 conv=notrunc status=none
sgdisk -n1:2048:+96M -t1:ef00 disk.img >/dev/null
cp /usr/share/OVMF/OVMF_VARS_4M.fd variables.fd
END
cp --sparse=always "$tools/root/srv/host.ext4" "$run/host.img"

# --- the machine ---
status=0
began=$SECONDS
in_tools timeout "$limit" qemu-system-x86_64 -accel tcg -cpu Nehalem -M q35,smm=off -smp 1 -m 512 \
    -nodefaults -display none -serial stdio \
    -drive if=pflash,format=raw,unit=0,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd \
    -drive if=pflash,format=raw,unit=1,file=/mnt/variables.fd \
    -drive file=/mnt/disk.img,format=raw,if=virtio -drive file=/mnt/host.img,format=raw,if=virtio,cache=unsafe \
    -device virtio-rng-pci </dev/null 2>"$run/qemu.log" |
    sed -u 's/\r//g' | tee "$run/console.log" | grep --line-buffered -a -E '^(ok|FAIL): ' || true

grep -a -q '^done$' "$run/console.log" || status=1
! grep -a -q 'FAIL: ' "$run/console.log" || status=1
if [ "$status" = 0 ]; then
    echo "efi.sh: all as expected, $(grep -a -c '^ok: ' "$run/console.log") checks in $((SECONDS - began)) s"
    rm -rf "$run"
else
    echo "efi.sh: not as expected, or not to the end; $run/console.log and qemu.log" >&2
fi
exit "$status"
