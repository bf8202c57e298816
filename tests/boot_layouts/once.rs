//! What the next boot alone brings, emptied: by whatever means a host has, and read back.

use pretty_assertions::assert_eq;

use crate::grub;
use crate::host::Host;
use crate::tree::{A, B, Entry, Tree};

const ONCE: &str = "sys/firmware/efi/efivars/LoaderEntryOneShot-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
const EMPTY: &str = "read_systems; empty_next_boot; echo \"$? $next_boot $boot_default\"";

fn chosen_once() -> Tree {
    Tree::new()
        .entry("boot", &Entry::generation(1, A))
        .entry("boot", &Entry::generation(2, B))
        .file("boot/loader/loader.conf", "default nixos-generation-2.conf\n")
        .variable("LoaderEntryOneShot", "nixos-generation-1.conf")
}

/// An efivarfs whose files cannot be deleted before `chattr -i`; `rm` says nothing of it.
fn immutable(host: &Host) {
    let flag = host.path("immutable");
    std::fs::write(&flag, "").unwrap();
    let flag = flag.display();
    host.program("rm", &format!("#!/bin/sh\n[ ! -e '{flag}' ] || exit 1\nexec /bin/rm \"$@\"\n"));
    host.program("chattr", "#!/bin/sh\nexit 1\n");
    host.program("bootctl", "#!/bin/sh\nexit 1\n");
}

#[tokio::test]
async fn nothing_chosen_is_empty_at_once() {
    for host in Host::each(&chosen_once().without(ONCE)) {
        immutable(&host);
        assert_eq!(host.says(EMPTY).await, format!("0  {B}\n"));
    }
}

#[tokio::test]
async fn an_efi_variable_is_deleted() {
    for host in Host::each(&chosen_once()) {
        assert_eq!(host.says(EMPTY).await, format!("0  {B}\n"));
        assert!(!host.path(ONCE).exists());
    }
}

#[tokio::test]
async fn an_immutable_variable_is_made_mutable_first() {
    for host in Host::each(&chosen_once()) {
        immutable(&host);
        let flag = host.path("immutable");
        host.program("chattr", &format!("#!/bin/sh\n[ \"$1\" = -i ] && exec /bin/rm '{}'\n", flag.display()));
        assert_eq!(host.says(EMPTY).await, format!("0  {B}\n"));
    }
}

#[tokio::test]
async fn bootctl_deletes_what_nothing_else_can() {
    for host in Host::each(&chosen_once()) {
        immutable(&host);
        let bootctl =
            format!("#!/bin/sh\n[ \"$1|$2|$#\" = 'set-oneshot||2' ] && exec /bin/rm '{}'\n", host.path(ONCE).display());
        host.program("bootctl", &bootctl);
        assert_eq!(host.says(EMPTY).await, format!("0  {B}\n"));
    }
}

#[tokio::test]
async fn a_variable_that_stays_is_no_success() {
    for host in Host::each(&chosen_once()) {
        immutable(&host);
        assert_eq!(host.says(EMPTY).await, format!("1 nixos-generation-1.conf {B}\n"));
    }
}

#[tokio::test]
async fn what_the_firmware_starts_once_is_deleted_too() {
    for host in Host::each(&chosen_once().without(ONCE).boot_next(3)) {
        assert_eq!(host.says(EMPTY).await, format!("0  {B}\n"));
    }
    for host in Host::each(&chosen_once().boot_next(3)) {
        assert_eq!(host.says(EMPTY).await, format!("0  {B}\n"), "both at once");
    }
}

/// GRUB knows the blocks of this file: the same inode, and 1024 bytes as before.
#[tokio::test]
async fn grub_s_environment_is_emptied_in_place_and_keeps_the_rest() {
    use std::os::unix::fs::MetadataExt as _;
    let block = grub::environment("saved_entry=third\nnext_entry=2>1\nboot_success=1\n");
    let tree = Tree::new().file("boot/grub/grub.cfg", grub::config("0")).file("boot/grub/grubenv", block);
    for host in Host::each(&tree) {
        let path = host.path("boot/grub/grubenv");
        let inode = std::fs::metadata(&path).unwrap().ino();
        // Cut to nothing first, it would be given other blocks.
        host.program("dd", "#!/bin/sh\ncase \"$*\" in *conv=notrunc*) exec /bin/dd \"$@\" ;; esac\n");
        assert_eq!(host.says(EMPTY).await, format!("0  {B}\n"));
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            grub::environment("saved_entry=third\nboot_success=1\n"),
            "{}",
            host.kind()
        );
        assert_eq!(std::fs::metadata(&path).unwrap().ino(), inode);
    }
}

#[tokio::test]
async fn mirrored_environments_are_both_emptied() {
    let block = grub::environment("next_entry=2>1\n");
    let tree = ["boot1", "boot2"].iter().fold(Tree::new(), |tree, place| {
        tree.file(&format!("{place}/grub/grub.cfg"), grub::config("0"))
            .file(&format!("{place}/grub/grubenv"), block.clone())
    });
    for host in Host::each(&tree) {
        assert_eq!(host.says(EMPTY).await, format!("0  {B}\n"));
        for place in ["boot1", "boot2"] {
            let left = std::fs::read_to_string(host.path(&format!("{place}/grub/grubenv"))).unwrap();
            assert_eq!(left, grub::environment(""), "{place}");
        }
    }
}

#[tokio::test]
async fn the_answer_says_what_is_pending_and_only_then() {
    let said = "print_standing | grep -E '^(boot_default|next_boot)'";
    let machine = |tree: Tree| {
        tree.file("proc/uptime", "1000.42 3000.00\n")
            .file("proc/sys/kernel/random/boot_id", "5f1c6b4e-8a43-4b0e-9c9f-0e3f5a1d2b7c\n")
            .file("proc/1/stat", format!("1 (systemd) S{}\n", " 0".repeat(49)))
    };
    for (tree, expected) in [
        (chosen_once(), format!("boot_default {B}\nnext_boot {A} nixos-generation-1.conf\n")),
        (
            chosen_once().variable("LoaderEntryOneShot", "auto-windows"),
            format!("boot_default {B}\nnext_boot - auto-windows\n"),
        ),
        (chosen_once().without(ONCE), format!("boot_default {B}\n")),
    ] {
        for host in Host::each(&machine(tree)) {
            host.program("systemctl", "#!/bin/sh\n");
            assert_eq!(host.says(said).await, expected);
        }
    }
}
