# shellcheck shell=bash
# Hosts with a firmware: what they are made of, their disks, and how one runs. See README.md.
: "${code:?}" "${lab:?}"

# $tools: made once, as the base is, and only for who asks for such a host.
ensure_tools() {
    : "${base:?}"
    [ "$(uname -m)" = x86_64 ] || die "the firmware of a vm is that of an x86_64 machine"
    tools=$lab/vm/${base##*/}-$(cat "$code"/vm/{tools.sh,initrd} | hash_of)
    [ ! -e "$tools/done" ] || return 0
    mkdir -p "$lab/vm"
    exec 9>"$lab/vm/lock"
    flock -w 900 9 || die "somebody else has been building the machine for a quarter of an hour; log in $tools.log"
    if [ ! -e "$tools/done" ]; then
        echo "lab.sh: installing QEMU, OVMF and a kernel, about a minute; log in $tools.log" >&2
        rm -rf "$tools"
        mkdir "$tools"
        "$code/vm/tools.sh" "$base" "$tools" >"$tools.log" 2>&1 9>&- </dev/null || {
            tail -n 20 "$tools.log" >&2
            die "the machine cannot be built"
        }
        : >"$tools/done"
    fi
    exec 9>&-
}

# What template.sh gives a host beside its system: a login of the lab's own, which no fault of its network reaches.
give_agent() { # ROOT
    local folder=$1/usr/lib/lab unit
    install -m 755 "$code"/vm/{agent,enter} "$folder/"
    install -m 600 "$base/ssh/id_ed25519.pub" "$folder/authorized_keys"
    unit=$1/usr/lib/systemd/system/lab-agent.service
    install -m 644 "$code/vm/lab-agent.service" "$unit"
    mkdir -p "${unit%/*}/sysinit.target.wants"
    ln -s ../lab-agent.service "${unit%/*}/sysinit.target.wants/"
}

# The loaders' own programs onto a boot partition, which the installers take as they find them.
give_loaders() { # BOOT LOADER
    mkdir -p "$1/EFI/BOOT"
    case $2 in
    systemd-boot)
        mkdir -p "$1/EFI/systemd"
        cp "$tools/root/usr/lib/systemd/boot/efi/systemd-bootx64.efi" "$1/EFI/systemd/"
        cp "$1/EFI/systemd/systemd-bootx64.efi" "$1/EFI/BOOT/BOOTX64.EFI"
        ;;
    grub) cp "$tools/grubx64.efi" "$1/EFI/BOOT/BOOTX64.EFI" ;;
    *) die "a vm has systemd-boot or grub" ;;
    esac
}

# DIRECTORY/disk.img from DIRECTORY/boot and DIRECTORY/root, which it takes away: the boot partition, or with GRUB two,
# and what lies over the base. In a mount namespace of the caller's own.
make_disk() { # DIRECTORY
    mkdir "$1/work" "$1/disk"
    mv "$1/root" "$1/work" "$1/disk/"
    mount --bind "$1" "$tools/root/mnt"
    mount --rbind /dev "$tools/root/dev"
    chroot "$tools/root" /usr/bin/env -i PATH=/usr/bin:/bin:/usr/sbin:/sbin bash -e <<'END'
cd /mnt
truncate -s 96M esp.img
mkfs.vfat -F 32 -n ESP esp.img >/dev/null
if [ -d boot/grub ]; then
    # A partition of its own, by whose name the lab's GRUB looks for it; GRUB itself stays on the firmware's.
    mcopy -s -i esp.img boot/EFI ::/
    rm -r boot/EFI
    truncate -s 96M boot.img
    mke2fs -q -F -t ext4 -L lab-boot -O ^metadata_csum_seed,^orphan_file -J size=4 -m 0 -d boot boot.img
else
    mcopy -s -i esp.img boot/* ::/
fi
truncate -s 512M root.img
mke2fs -q -F -t ext4 -J size=8 -m 0 -d disk root.img
truncate -s 707M disk.img
dd if=esp.img of=disk.img bs=1M seek=1 conv=notrunc,sparse status=none
dd if=root.img of=disk.img bs=1M seek=97 conv=notrunc,sparse status=none
sgdisk -n1:2048:+96M -t1:ef00 -n2:0:+512M -t2:8304 disk.img >/dev/null
if [ -e boot.img ]; then
    dd if=boot.img of=disk.img bs=1M seek=609 conv=notrunc,sparse status=none
    sgdisk -n3:0:+96M -t3:8300 disk.img >/dev/null
    rm boot.img
fi
cp /usr/share/OVMF/OVMF_VARS_4M.fd variables.fd
rm -r esp.img root.img disk boot
END
    umount -R "$tools/root/dev" "$tools/root/mnt"
}

# Becomes the machine that $host is, until it is off or reboots. Its serial console is stdout, and what the emulator
# says of its end lies in $host/qmp.log afterwards. Its disk has a place in the order of what is booted, so the firmware
# asks nothing else: at times it waited for minutes for a server on each of the cables first.
run_vm() { # NAME
    local address port mac accel
    : "${host:?}" "${id:?}"
    read -r tools <"$host/vm"
    read -r accel <"$tools/accel"
    read -r address <"$host/address"
    port=$(vm_port "$address")
    # shellcheck disable=SC2046,SC2183 # three words wanted
    mac=$(printf '52:54:00:%02x:%02x:%02x' $(tr . ' ' <<<"${address#*.}"))
    # shellcheck disable=SC2016,SC2086 # the inner shell's; words wanted
    exec nsenter --net="/run/netns/$id" unshare --mount sh -c '
        mount --bind "$1" "$2/mnt" && mount --rbind /dev "$2/dev" && shift && exec chroot "$@"' \
        sh "$host" "$tools/root" /usr/bin/env -i PATH=/usr/bin:/bin qemu-system-x86_64 -name "$1" \
        $accel -M q35,smm=off -smp 1 -m 512 -nodefaults -no-reboot \
        -display none -serial stdio -chardev file,id=qmp,path=/mnt/qmp.log,input-path=/mnt/qmp \
        -mon chardev=qmp,mode=control \
        -drive if=pflash,format=raw,unit=0,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd \
        -drive if=pflash,format=raw,unit=1,file=/mnt/variables.fd \
        -drive file=/mnt/disk.img,format=raw,if=none,id=disk,cache=unsafe \
        -drive file=/srv/host.ext4,format=raw,if=none,id=base,readonly=on \
        -device virtio-blk-pci,drive=disk,bootindex=0 -device virtio-blk-pci,drive=base \
        -netdev "tap,id=cable,ifname=$1,script=no,downscript=no" \
        -device "virtio-net-pci,netdev=cable,mac=$mac,romfile=" \
        -netdev "user,id=agent,restrict=on,ipv6=off,hostfwd=tcp:127.0.0.1:$port-:22" \
        -device virtio-net-pci,netdev=agent,romfile= \
        -device virtio-rng-pci -device i6300esb </dev/null
}
