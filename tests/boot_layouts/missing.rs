//! Whether what the loader reads is there at all: /boot not mounted, or without any file of the loader that is
//! installed.

use pretty_assertions::assert_eq;

use crate::grub;
use crate::host::Host;
use crate::tree::{B, Entry, Tree};

/// Where a partition with a loader's files is looked for.
const PLACES: &str = "/boot /efi /boot/efi /boot/EFI /boot/esp /esp /boot1 /boot2 /boot/firmware";

async fn missing(tree: &Tree) -> String {
    let mut said = Vec::new();
    for host in Host::each(tree) {
        said.push(host.says("read_systems; look_for_boot_place; echo \"$boot_missing\"").await);
    }
    assert_eq!(said[0], said[1]);
    said[0].trim().to_owned()
}

/// A host of systemd-boot whose ESP is in fstab.
fn host(mounts: &[(&str, &str)], options: &str) -> Tree {
    Tree::new()
        .installs("install-systemd-boot.sh")
        .entry("boot", &Entry::generation(2, B))
        .file("boot/loader/loader.conf", "default nixos-*\n")
        .file(
            "etc/fstab",
            format!(
                "# /efi is a comment\n/dev/disk/by-label/root / ext4 x-initrd.mount 0 \
                     1\n/dev/disk/by-uuid/12CE-A600 /boot vfat {options} 0 2\n"
            ),
        )
        .mounts(mounts)
}

#[tokio::test]
async fn a_boot_partition_that_is_mounted_is_not_missing() {
    assert_eq!(missing(&host(&[("/boot", "/dev/sda1")], "fmask=0077")).await, "");
}

#[tokio::test]
async fn one_that_is_not_mounted_is() {
    assert_eq!(missing(&host(&[], "fmask=0077")).await, "/boot is in /etc/fstab and is not mounted");
    assert_eq!(missing(&host(&[], "noauto,nofail")).await, "/boot is in /etc/fstab and is not mounted");
    assert_eq!(
        missing(&host(&[("/boot/efi", "/dev/sda1")], "fmask=0077")).await,
        "/boot is in /etc/fstab and is not mounted"
    );
}

#[tokio::test]
async fn one_that_mounts_itself_is_not() {
    assert_eq!(missing(&host(&[("/boot", "autofs")], "fmask=0077")).await, "");
    assert_eq!(missing(&host(&[], "noauto,x-systemd.automount")).await, "");
}

#[tokio::test]
async fn a_loader_without_any_file_is_missing() {
    for (installer, kind) in [
        ("install-systemd-boot.sh", "systemd-boot"),
        ("install-grub.sh", "grub"),
        ("extlinux-conf-builder.sh", "extlinux"),
        ("install-lxc-sbin-init.sh", "init"),
    ] {
        let looked = if kind == "init" { "/sbin/init /init" } else { PLACES };
        let expected = format!("this system installs {kind}, and none of its files is there (looked in {looked})");
        assert_eq!(missing(&Tree::new().installs(installer)).await, expected);
    }
}

#[tokio::test]
async fn a_loader_that_the_inventory_names_and_that_has_no_files_is_missing() {
    for host in Host::each(&Tree::new()) {
        let said = host.says("told_loader=extlinux; read_systems; look_for_boot_place; echo \"$boot_missing\"").await;
        let names = "the inventory says that extlinux boots this host, and none of its files is there";
        assert_eq!(said, format!("{names} (looked in {PLACES})\n"));
        let said = host.says("told_loader=grub:/efi; read_systems; look_for_boot_place; echo \"$boot_missing\"").await;
        let names = "the inventory says that grub boots this host, and none of its files is there";
        assert_eq!(said, format!("{names} (looked in /efi)\n"));
    }
}

#[tokio::test]
async fn both_are_said() {
    let tree = host(&[], "fmask=0077").without("boot");
    let expected = format!(
        "this system installs systemd-boot, and none of its files is there (looked in {PLACES}); /boot is in \
         /etc/fstab and is not mounted"
    );
    assert_eq!(missing(&tree).await, expected);
}

#[tokio::test]
async fn who_installs_is_not_known_and_nothing_is_said() {
    assert_eq!(missing(&Tree::new()).await, "");
    assert_eq!(missing(&Tree::new().installs("limine-install.py")).await, "");
    assert_eq!(
        missing(&Tree::new().installs("install-grub.sh").file("boot/grub/grub.cfg", grub::config("0"))).await,
        ""
    );
}
