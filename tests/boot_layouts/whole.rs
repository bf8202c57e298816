//! Whether kernel and initrd of the boot default are whole: only what is proven to be wrong is bad.

use pretty_assertions::assert_eq;

use crate::host::Host;
use crate::tree::{A, B, Entry, Image, Tree};

const KERNEL: &str = "nix/store/0gv1yx3wnyzhi0bjgjbmvxy7qnzwzw5h-linux-6.12.2/bzImage";
const INITRD: &str = "nix/store/1gv1yx3wnyzhi0bjgjbmvxy7qnzwzw5h-initrd-linux-6.12.2/initrd";
/// By the names that NixOS's builders give to their copies.
const KERNEL_COPY: &str = "0gv1yx3wnyzhi0bjgjbmvxy7qnzwzw5h-linux-6.12.2-bzImage";
const INITRD_COPY: &str = "1gv1yx3wnyzhi0bjgjbmvxy7qnzwzw5h-initrd-linux-6.12.2-initrd";

fn kernel() -> Vec<u8> {
    b"MZ kernel \0\n".repeat(200_000)
}

fn initrd() -> Vec<u8> {
    b"070701 initrd \0\n".repeat(70_000)
}

/// The store's own files of system B.
fn store() -> Tree {
    Tree::new()
        .file(KERNEL, kernel())
        .file(INITRD, initrd())
        .link(&format!("{}/kernel", &B[1..]), &format!("/{KERNEL}"))
        .link(&format!("{}/initrd", &B[1..]), &format!("/{INITRD}"))
}

/// systemd-boot's entry of B, and the two copies.
fn systemd_boot(kernel: impl Into<Vec<u8>>, initrd: impl Into<Vec<u8>>) -> Tree {
    let loads = format!("linux /EFI/nixos/{KERNEL_COPY}.efi\ninitrd /EFI/nixos/{INITRD_COPY}.efi");
    store()
        .entry("boot", &Entry::generation(2, B).loading(&loads))
        .file("boot/loader/loader.conf", "default nixos-*\n")
        .file(&format!("boot/EFI/nixos/{KERNEL_COPY}.efi"), kernel)
        .file(&format!("boot/EFI/nixos/{INITRD_COPY}.efi"), initrd)
}

async fn said_of(tree: &Tree, system: &str) -> String {
    let mut said = Vec::new();
    for host in Host::each(tree) {
        said.push(host.says(&format!("read_systems; look_at_boot_files {system}; echo \"$boot_files\"")).await);
    }
    assert_eq!(said[0], said[1]);
    said[0].trim().to_owned()
}

async fn said(tree: &Tree) -> String {
    said_of(tree, B).await
}

fn cut(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate(bytes.len() / 2);
    bytes
}

fn with(mut bytes: Vec<u8>, more: &[u8]) -> Vec<u8> {
    bytes.extend(more);
    bytes
}

/// As long as before, and with zeros where the end was: a write that was torn.
fn torn(bytes: Vec<u8>) -> Vec<u8> {
    let length = bytes.len();
    let mut bytes = cut(bytes);
    bytes.resize(length, 0);
    bytes
}

#[tokio::test]
async fn equal_copies_are_whole() {
    assert_eq!(said(&systemd_boot(kernel(), initrd())).await, "whole");
}

#[tokio::test]
async fn a_file_that_is_cut_short_is_bad() {
    assert_eq!(
        said(&systemd_boot(cut(kernel()), initrd())).await,
        format!("bad the kernel /boot/EFI/nixos/{KERNEL_COPY}.efi is cut short: 1200000 bytes of 2400000")
    );
    assert_eq!(
        said(&systemd_boot(kernel(), cut(initrd()))).await,
        format!("bad the initrd /boot/EFI/nixos/{INITRD_COPY}.efi is cut short: 560000 bytes of 1120000")
    );
    assert_eq!(
        said(&systemd_boot(kernel(), "")).await,
        format!("bad the initrd /boot/EFI/nixos/{INITRD_COPY}.efi is cut short: 0 bytes of 1120000")
    );
}

#[tokio::test]
async fn a_copy_that_differs_from_what_it_says_it_is_is_bad() {
    assert_eq!(
        said(&systemd_boot(torn(kernel()), initrd())).await,
        format!("bad the kernel /boot/EFI/nixos/{KERNEL_COPY}.efi differs from the store's")
    );
}

#[tokio::test]
async fn a_file_of_the_same_length_under_another_name_is_not_bad() {
    let loads = "linux /EFI/own/kernel.efi\ninitrd /EFI/own/initrd.efi";
    let tree = store()
        .entry("boot", &Entry::generation(2, B).loading(loads))
        .file("boot/loader/loader.conf", "default nixos-*\n")
        .file("boot/EFI/own/kernel.efi", torn(kernel()))
        .file("boot/EFI/own/initrd.efi", initrd());
    assert_eq!(said(&tree).await, "unproven the kernel is not the store's");
}

#[tokio::test]
async fn an_initrd_that_is_missing_is_bad() {
    let tree = systemd_boot(kernel(), initrd()).without(&format!("boot/EFI/nixos/{INITRD_COPY}.efi"));
    assert_eq!(said(&tree).await, format!("bad the initrd /boot/EFI/nixos/{INITRD_COPY}.efi is missing"));
}

#[tokio::test]
async fn a_signed_kernel_and_an_initrd_with_secrets_are_not_bad() {
    let longer = |what| format!("unproven the {what} is longer than the store's: signed, or with secrets");
    assert_eq!(said(&systemd_boot(with(kernel(), b"signature"), initrd())).await, longer("kernel"));
    assert_eq!(said(&systemd_boot(kernel(), with(initrd(), b"secrets"))).await, longer("initrd"));
    // Whatever else may be unproven: what is bad is bad.
    assert_eq!(
        said(&systemd_boot(with(kernel(), b"signature"), cut(initrd()))).await,
        format!("bad the initrd /boot/EFI/nixos/{INITRD_COPY}.efi is cut short: 560000 bytes of 1120000")
    );
}

#[tokio::test]
async fn the_store_s_own_files_may_be_gone() {
    let tree = systemd_boot(kernel(), initrd()).without(KERNEL);
    assert_eq!(said(&tree).await, "unproven the store has no kernel to compare");
}

#[tokio::test]
async fn a_system_without_an_initrd_of_its_own_is_not_compared() {
    let tree = systemd_boot(kernel(), initrd()).without(&format!("{}/kernel", &B[1..]));
    assert_eq!(said(&tree).await, "unproven the system names no kernel and initrd of its own");
}

#[tokio::test]
async fn only_the_boot_default_is_looked_at() {
    assert_eq!(said_of(&systemd_boot(cut(kernel()), initrd()), A).await, format!("unproven the boot default is {B}"));
    let windows = systemd_boot(kernel(), initrd())
        .file("boot/loader/loader.conf", "default windows.conf\n")
        .file("boot/loader/entries/windows.conf", "title Windows\nefi /EFI/nixos/initrd.efi\ninitrd /gone\n")
        .file("boot/EFI/nixos/initrd.efi", "MZ");
    assert_eq!(said_of(&windows, "\"$boot_default\"").await, "unproven the boot default is not known");
}

/// What is chosen once may lie on another partition; the files of the default are looked at all the same.
#[tokio::test]
async fn the_default_s_files_are_looked_at_and_not_those_that_are_booted_once() {
    let tree = systemd_boot(kernel(), initrd())
        .file("efi/loader/loader.conf", "default nixos-generation-2.conf\n")
        .entry("efi", &Entry::generation(1, A))
        .without("boot/loader/loader.conf")
        .mounts(&[("/boot", "/dev/sda3"), ("/efi", "/dev/sda1")])
        .variable("LoaderEntryOneShot", "nixos-generation-1.conf");
    assert_eq!(said(&tree).await, "whole");
}

#[tokio::test]
async fn an_image_is_only_read() {
    let tree = store()
        .file("boot/loader/loader.conf", "default nixos-*\n")
        .file("boot/EFI/Linux/nixos-2.efi", Image::generation(2, B).bytes());
    assert_eq!(said(&tree).await, "unproven a unified image cannot be compared with the store");
}

#[tokio::test]
async fn what_the_disk_does_not_give_is_bad_and_what_takes_too_long_is_not() {
    for (dd, expected) in [
        (
            "echo \"dd: error reading '/x': Input/output error\" >&2; exit 1",
            format!("bad /boot/EFI/nixos/{KERNEL_COPY}.efi cannot be read: input/output error\n"),
        ),
        ("exit 124", format!("unproven /boot/EFI/nixos/{INITRD_COPY}.efi was not read within 10 s\n")),
        ("exit 1", format!("bad /boot/EFI/nixos/{KERNEL_COPY}.efi cannot be read\n")),
    ] {
        for host in Host::each(&systemd_boot(kernel(), initrd())) {
            host.program("dd", &format!("#!/bin/sh\n{dd}\n"));
            assert_eq!(
                host.says(&format!("read_systems; look_at_boot_files {B}; echo \"$boot_files\"")).await,
                expected
            );
        }
    }
}

#[tokio::test]
async fn a_file_system_that_cannot_read_past_its_cache_is_read_through_it() {
    for host in Host::each(&systemd_boot(kernel(), initrd())) {
        host.program(
            "dd",
            "#!/bin/sh\ncase \"$*\" in *iflag=direct*) echo \"dd: Invalid argument\" >&2; exit 1 ;; \
                            esac\nexec /bin/dd \"$@\"\n",
        );
        assert_eq!(host.says(&format!("read_systems; look_at_boot_files {B}; echo \"$boot_files\"")).await, "whole\n");
    }
}

fn grub(lines: &str) -> Tree {
    store().file("boot/grub/grub.cfg", format!("set default=0\nmenuentry \"NixOS\" {{\n{lines}}}\n"))
}

#[tokio::test]
async fn grub_s_copies_are_compared() {
    let lines = format!(
        "  linux ($drive1)//kernels/{KERNEL_COPY} init={B}/init loglevel=4\n  initrd ($drive1)//kernels/{INITRD_COPY}\n"
    );
    let copies = |kernel: Vec<u8>| {
        grub(&lines)
            .file(&format!("boot/kernels/{KERNEL_COPY}"), kernel)
            .file(&format!("boot/kernels/{INITRD_COPY}"), initrd())
    };
    assert_eq!(said(&copies(kernel())).await, "whole");
    assert_eq!(
        said(&copies(cut(kernel()))).await,
        format!("bad the kernel /boot/kernels/{KERNEL_COPY} is cut short: 1200000 bytes of 2400000")
    );
    assert_eq!(said(&grub(&lines)).await, format!("bad the kernel /boot/kernels/{KERNEL_COPY} is missing"));
    // Secrets are a file beside it, which nothing can be compared with.
    let secrets = lines.replace(INITRD_COPY, &format!("{INITRD_COPY} ($drive1)//kernels/secrets"));
    let tree = grub(&secrets)
        .file(&format!("boot/kernels/{KERNEL_COPY}"), kernel())
        .file(&format!("boot/kernels/{INITRD_COPY}"), initrd());
    assert_eq!(said(&tree).await, "bad the initrd /boot/kernels/secrets is missing");
    assert_eq!(said(&tree.file("boot/kernels/secrets", "x")).await, "whole");
}

#[tokio::test]
async fn what_grub_reads_from_the_store_itself_is_only_read_through() {
    let lines = format!("  linux ($drive2)/{KERNEL} init={B}/init\n  initrd ($drive2)/{INITRD}\n");
    assert_eq!(said(&grub(&lines)).await, "whole");
    let gone = grub(&lines).without(INITRD);
    assert_eq!(said(&gone).await, format!("bad the initrd /{INITRD} is missing"));
    let other = lines.replace("initrd-linux", "initrd-other");
    let tree = grub(&other).file(&INITRD.replace("initrd-linux", "initrd-other"), initrd());
    assert_eq!(said(&tree).await, "unproven the initrd is read from the store, and is not this system's");
}

/// A power cut may leave a file of the store, and its copy, without a byte.
#[tokio::test]
async fn an_empty_kernel_or_initrd_of_the_store_is_bad() {
    let lines = format!("  linux ($drive2)/{KERNEL} init={B}/init\n  initrd ($drive2)/{INITRD}\n");
    assert_eq!(said(&grub(&lines).file(KERNEL, "")).await, format!("bad the kernel /{KERNEL} is empty"));
    assert_eq!(said(&grub(&lines).file(INITRD, "")).await, format!("bad the initrd /{INITRD} is empty"));
    let both = systemd_boot("", initrd()).file(KERNEL, "");
    let copy = format!("/boot/EFI/nixos/{KERNEL_COPY}.efi");
    assert_eq!(said(&both).await, format!("bad the kernel {copy} is empty, as the store's is"));
    // No more is known of one that has a copy with bytes in it.
    let longer = "unproven the kernel is longer than the store's: signed, or with secrets";
    assert_eq!(said(&systemd_boot(kernel(), initrd()).file(KERNEL, "")).await, longer);
}

#[tokio::test]
async fn extlinux_s_copies_are_compared() {
    let config = format!(
        "DEFAULT nixos-default\nLABEL nixos-default\n  LINUX ../nixos/{KERNEL_COPY}\n  INITRD \
         ../nixos/{INITRD_COPY}\n  APPEND init={B}/init\n"
    );
    let tree = store().file("boot/extlinux/extlinux.conf", config).file(&format!("boot/nixos/{KERNEL_COPY}"), kernel());
    assert_eq!(said(&tree).await, format!("bad the initrd /boot/nixos/{INITRD_COPY} is missing"));
    assert_eq!(said(&tree.file(&format!("boot/nixos/{INITRD_COPY}"), initrd())).await, "whole");
}

#[tokio::test]
async fn a_bare_init_needs_no_files_and_an_unknown_loader_proves_nothing() {
    assert_eq!(said(&store().link("sbin/init", &format!("{B}/init"))).await, "whole");
    assert_eq!(said(&store()).await, "unproven the boot loader is not known");
}
