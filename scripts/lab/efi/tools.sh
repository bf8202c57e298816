#!/usr/bin/env bash
# Makes what a machine with real firmware needs: `tools.sh BASE DIRECTORY` fills DIRECTORY/root (QEMU, OVMF, the kernel
# and systemd-boot, to be used with chroot) and DIRECTORY/host.ext4 (the file system of the machine itself), from the
# lab's base. A change of this file makes both anew.
set -eu
base=$1
directory=$2
root=$directory/root
# A host's own programs, beside the base's: an awk and a chattr as NixOS has them.
of_the_host=(dash mawk gawk e2fsprogs)
of_the_machine=(
    qemu-system-x86 ovmf mtools dosfstools gdisk cpio zstd xz-utils linux-image-cloud-amd64 systemd-boot-efi
    busybox-static kmod
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

# Before the machine's programs come, which a host does not have.
ln -sf bash "$root/bin/sh"
truncate -s 600M "$directory/host.ext4"
mke2fs -q -F -t ext4 -O ^has_journal -d "$root" "$directory/host.ext4"

# Nothing here boots with Debian's initrd.
mkdir -p "$root/etc/initramfs-tools"
echo 'update_initramfs=no' >"$root/etc/initramfs-tools/update-initramfs.conf"
install "${of_the_machine[@]}"
rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/usr/share/doc/*

# What the initrd loads, in the order in which they need each other.
kernel=$(basename "$root"/lib/modules/*)
mkdir "$root/modules"
number=0
for module in virtio_blk efivarfs vfat nls_cp437 nls_ascii nls_iso8859-1; do
    for file in $(in_root modprobe -S "$kernel" --show-depends "$module" | awk '$1 == "insmod" { print $2 }'); do
        number=$((number + 1))
        name=$(basename "${file%%.ko*}")
        case $file in
        *.xz) in_root xz -dc "$file" ;;
        *.zst) in_root zstd -dc "$file" ;;
        *) cat "$root$file" ;;
        esac >"$root/modules/$(printf %02d "$number")-$name.ko"
    done
done
