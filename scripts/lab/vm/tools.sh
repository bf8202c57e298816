#!/usr/bin/env bash
# Makes what machines with real firmware need: `tools.sh BASE DIRECTORY` fills, from the lab's base, DIRECTORY with
#   root/               QEMU, OVMF, systemd-boot and GRUB, to be used with chroot; modules/ are the initrds'
#   root/srv/host.ext4  the file system of such a machine itself, below what is its own
#   kernel, release     Debian's kernel, and what `uname -r` says under it
#   initrd              of a host of a fleet (`initrd` in this folder)
#   accel               what QEMU is told of the processor: KVM, where this kernel has come up under it
#   grubx64.efi         GRUB as grub-install would put it onto the partition, with /grub of that one as its folder
# A change of this folder makes all of it anew.
set -eu
code=$(dirname "$(readlink -f "$0")")
base=$1
directory=$2
root=$directory/root
# A host's own programs, beside the base's: an awk and a chattr as NixOS has them, and modprobe, which its kernel asks.
of_the_host=(dash mawk gawk e2fsprogs kmod)
of_the_machine=(
    qemu-system-x86 ovmf mtools dosfstools gdisk cpio zstd xz-utils systemd-boot-efi grub-common grub-efi-amd64-bin
    busybox-static
)

cp -a "$base/root" "$root"
cp /etc/resolv.conf "$root/etc/resolv.conf"
proxy=$(apt-config dump --format '%v' Acquire::http::Proxy)
in_root() {
    chroot "$root" /usr/bin/env -i PATH=/usr/bin:/bin:/usr/sbin:/sbin DEBIAN_FRONTEND=noninteractive \
        http_proxy="$proxy" "$@"
}
install() { in_root apt-get install -y --no-install-recommends -o Dpkg::Options::=--force-confold "$@"; }
in_root apt-get update
install "${of_the_host[@]}"

# The kernel without what its package wants beside it: nothing here boots with Debian's initrd.
package=$(in_root apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: \(linux-image-.*\)/\1/p' | head -n 1)
mkdir "$root/kernel"
in_root sh -c "cd /kernel && apt-get -o APT::Sandbox::User=root download '$package' && dpkg-deb -x ./*.deb ."
mv "$root"/kernel/boot/vmlinuz-* "$directory/kernel"
modules=$(dirname "$root"/kernel/{,usr/}lib/modules/*/kernel | tail -n 1)
release=$(basename "$modules")
echo "$release" >"$directory/release"
mkdir -p "$root/usr/lib/modules"
mv "$modules" "$root/usr/lib/modules/"
# Those that a firewall and WireGuard load are not unpacked at each boot.
in_root find "/usr/lib/modules/$release"/kernel/{net,crypto,drivers/net/wireguard} -name '*.ko.xz' \
    -exec busybox unxz {} +
rm -r "$root/kernel"
in_root depmod "$release"

# Before the machine's programs come, which a host does not have.
ln -sf bash "$root/bin/sh"
truncate -s 800M "$directory/host.ext4"
mke2fs -q -F -t ext4 -O ^has_journal -m 0 -d "$root" "$directory/host.ext4"
mv "$directory/host.ext4" "$root/srv/"

install "${of_the_machine[@]}"
rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/usr/share/doc/*

# What an initrd loads, in the order in which they need each other. What comes later, the host's modprobe loads.
mkdir "$root/modules"
number=0
for module in virtio_blk virtio_net i6300esb efivarfs vfat nls_cp437 nls_ascii nls_iso8859-1 overlay; do
    for file in $(in_root modprobe -S "$release" --show-depends "$module" | awk '$1 == "insmod" { print $2 }'); do
        name=$(basename "${file%%.ko*}")
        ! ls "$root"/modules/*-"$name.ko" >/dev/null 2>&1 || continue
        number=$((number + 1))
        case $file in
        *.xz) in_root xz -dc "$file" ;;
        *.zst) in_root zstd -dc "$file" ;;
        *) cat "$root$file" ;;
        esac >"$root/modules/$(printf %02d "$number")-$name.ko"
    done
done

initrd=$root/initrd
mkdir -p "$initrd"/{bin,proc,sys,dev,run,root,base,disk}
cp "$root/bin/busybox" "$initrd/bin/"
cp -r "$root/modules" "$initrd/"
cp "$code/initrd" "$initrd/init"
chmod 755 "$initrd/init"
in_root bash -c 'cd /initrd && find . | cpio --quiet -o -H newc | zstd -q -10' >"$directory/initrd"
rm -r "$initrd"

# shellcheck disable=SC2016 # GRUB's variables
printf '%s\n' 'search --file --set=root /grub/grub.cfg' 'set prefix=($root)/grub' 'configfile /grub/grub.cfg' \
    >"$root/early.cfg"
in_root grub-mkimage -O x86_64-efi -p /grub -c /early.cfg -o /grubx64.efi part_gpt fat ext2 normal linux search \
    search_fs_file search_fs_uuid search_label loadenv echo test configfile reboot serial terminal minicmd sleep
mv "$root/grubx64.efi" "$directory/"
rm "$root/early.cfg"

# That /dev/kvm opens says little: under some machines' own virtualisation no firmware and no kernel gets through.
cp "$directory/kernel" "$root/tried"
# shellcheck disable=SC2016 # the inner shell's
said=$(unshare --mount sh -c '
    mount --rbind /dev "$1/dev" && exec chroot "$1" timeout -k 5 30 qemu-system-x86_64 -accel kvm -cpu host -M q35 \
        -m 256 -nodefaults -no-reboot -display none -serial stdio \
        -drive if=pflash,format=raw,unit=0,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd \
        -drive if=pflash,format=raw,unit=1,snapshot=on,file=/usr/share/OVMF/OVMF_VARS_4M.fd \
        -kernel /tried -append "console=ttyS0 panic=-1"' sh "$root" 2>&1 </dev/null | tr -d '\000' || true)
rm "$root/tried"
case $said in
*'Kernel panic - not syncing: VFS'*) accel='-accel kvm -cpu host' ;;
*) accel='-accel tcg,tb-size=192 -cpu Nehalem' ;;
esac
echo "$accel" >"$directory/accel"
