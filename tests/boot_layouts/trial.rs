//! Whether a host can boot an entry once, before it is the boot default: by what, or what is in the way.

use pretty_assertions::assert_eq;

use crate::grub;
use crate::host::Host;
use crate::tree::{A, B, Entry, Image, RUNS, Tree};

const LOOK: &str = "read_systems; print_trial";
const EFI: &str = "EFI variables at /sys/firmware/efi/efivars";

/// What is said of the tree under each kind of shell; both must say the same.
async fn said(tree: &Tree) -> Vec<String> {
    let mut all = Vec::new();
    for host in Host::each(tree) {
        all.push(host.says(LOOK).await);
    }
    assert_eq!(all[0], all[1]);
    all[0].lines().map(str::to_owned).collect()
}

/// systemd-boot has started the booted system, which is the boot default.
fn systemd_boot() -> Tree {
    Tree::new()
        .installs("systemd-boot")
        .entry("boot", &Entry::generation(1, RUNS))
        .entry("boot", &Entry::generation(2, B))
        .file("boot/loader/loader.conf", "timeout 5\ndefault nixos-generation-1.conf\n")
        .variable("LoaderInfo", "systemd-boot 257.13")
}

fn mounts(efi: &str, boot: (&str, &str)) -> String {
    format!(
        "22 1 8:2 / / rw,noatime - ext4 /dev/sda2 rw\n\
         30 22 8:1 / /boot {} - {} /dev/sda1 rw\n\
         31 22 0:30 / /sys rw,nosuid shared:7 - sysfs sysfs rw\n{efi}",
        boot.1, boot.0
    )
}

fn efivarfs(mount: &str, system: &str) -> String {
    format!("32 31 0:31 / /sys/firmware/efi/efivars {mount} shared:8 - efivarfs efivarfs {system}\n")
}

/// GRUB on a machine with EFI, with its environment on this kind of file system.
fn grub_on(kind: &str) -> Tree {
    Tree::new()
        .installs_on(RUNS, "install-grub")
        .file("boot/grub/grub.cfg", grub::config("0"))
        .file("boot/grub/grubenv", grub::environment(""))
        .folder("sys/firmware/efi")
        // The default starts it.
        .link("run/booted-system", B)
        .link("run/current-system", B)
        .file("proc/self/mountinfo", mounts("", (kind, "rw,relatime")))
}

#[tokio::test]
async fn systemd_boot_boots_an_entry_once_by_an_efi_variable() {
    let line = format!("trial_line {}", format!(" init={RUNS}/init loglevel=4 lsm=landlock,yama,bpf").len());
    assert_eq!(said(&systemd_boot()).await, [line.clone(), "trial_means efi-variable".to_owned()]);
    let guarded = systemd_boot().file("dev/watchdog0", "").file("sys/kernel/kexec_loaded", "0\n");
    assert_eq!(said(&guarded).await, ["watchdog yes".to_owned(), line, "trial_means efi-variable".to_owned()]);
}

/// What stands in the way, each alone, with what is said of it.
#[tokio::test]
async fn what_systemd_boot_lacks_is_named() {
    let with = |mount: &str, system: &str| {
        systemd_boot().file("proc/self/mountinfo", mounts(&efivarfs(mount, system), ("vfat", "rw")))
    };
    assert!(said(&with("rw,nosuid", "rw")).await.contains(&"trial_means efi-variable".to_owned()), "{EFI}");
    let image = Image::generation(3, B).bytes();
    let rows: [(Tree, &str); 11] = [
        (systemd_boot().file("boot/loader/entries/Other.conf", "title other\n"), "line-unknown"),
        (systemd_boot().without("sys/firmware/efi/efivars"), "no-variables"),
        (systemd_boot().without("sys/firmware/efi/efivars").folder("sys/firmware/efi/efivars"), "other-loader"),
        (with("ro,nosuid", "rw"), "read-only"),
        (with("rw,nosuid", "ro"), "read-only"),
        (
            systemd_boot().variable("LoaderEntryDefault", "nixos-generation-1.conf"),
            "chosen-by-variable nixos-generation-1.conf",
        ),
        (
            systemd_boot()
                .file("boot/EFI/Linux/nixos-generation-3.efi", image)
                .file("boot/loader/loader.conf", "default nixos-generation-3.efi\n")
                .link("run/booted-system", B),
            "image",
        ),
        (systemd_boot().file("sys/kernel/kexec_loaded", "1\n"), "kexec"),
        (systemd_boot().link("etc/systemd/system-generators/systemd-debug-generator", "/dev/null"), "no-generator"),
        (
            systemd_boot()
                .installs_on(A, "install-grub")
                .link("run/booted-system", A)
                .link("nix/var/nix/profiles/system-2-link", A)
                .entry("boot", &Entry::generation(3, A)),
            "loader-changes grub systemd-boot",
        ),
        (systemd_boot().link("run/booted-system", A), "not-on-the-menu"),
    ];
    for (tree, lack) in rows {
        let said = said(&tree).await;
        let lacks: Vec<&String> = said.iter().filter(|line| line.starts_with("trial_lack ")).collect();
        assert!(lacks.len() == 1 && lacks[0].starts_with(&format!("trial_lack {lack}")), "{lack}: {said:?}");
        assert!(!said.iter().any(|line| line.starts_with("trial_means")), "{lack}: {said:?}");
    }
}

/// The booted system is to become the boot default again: of a generation alone does an installer make an entry.
#[tokio::test]
async fn a_booted_system_must_be_a_generation_and_on_the_menu() {
    let booted = |tree: Tree| tree.link("run/booted-system", B).installs_on(B, "systemd-boot");
    let lacks = |said: &[String]| said.iter().any(|line| *line == format!("trial_lack not-on-the-menu {B}"));
    assert!(lacks(&said(&booted(systemd_boot())).await), "an entry is left of a generation that is gone");
    let generation = booted(systemd_boot()).link("nix/var/nix/profiles/system-2-link", B);
    assert!(!lacks(&said(&generation).await));
    let ours = Entry::generation(2, B).named("fleetdeploy-trial.conf");
    let gone = generation.entry("boot", &ours).without("boot/loader/entries/nixos-generation-2.conf");
    assert!(lacks(&said(&gone).await), "a limit of the menu has taken its entry");
}

#[tokio::test]
async fn grub_boots_an_entry_once_where_it_can_write_its_environment() {
    for kind in ["ext4", "ext2", "vfat"] {
        assert_eq!(said(&grub_on(kind)).await, ["trial_means next-entry"], "{kind}");
    }
    let saving = grub::config("0").replace("set default=0", "set default=\"${saved_entry}\"");
    let savedefault = grub::config("0")
        .replace("menuentry \"NixOS\" --class nixos --unrestricted {", "menuentry \"NixOS\" {\n  savedefault");
    let never = grub::config("0").replace("next_entry", "other_entry");
    assert!([&saving, &savedefault, &never].iter().all(|changed| **changed != grub::config("0")));
    let rows: [(Tree, &str); 9] = [
        (grub_on("btrfs"), "environment-on /boot btrfs"),
        (grub_on("zfs"), "environment-on /boot zfs"),
        (grub_on("ext4").folder("sys/dev/block/8:1/dm"), "environment-on /boot dm"),
        (grub_on("ext4").folder("sys/dev/block/8:1/md"), "environment-on /boot md"),
        (grub_on("ext4").without("boot/grub/grubenv"), "no-environment /boot/grub/grubenv"),
        (grub_on("ext4").without("sys/firmware/efi"), "bios"),
        (grub_on("ext4").file("boot/grub/grub.cfg", saving), "saves"),
        (grub_on("ext4").file("boot/grub/grub.cfg", savedefault), "saves"),
        (grub_on("ext4").file("boot/grub/grub.cfg", never), "takes-no-next-entry"),
    ];
    for (tree, lack) in rows {
        assert_eq!(said(&tree).await, [format!("trial_lack {lack}")]);
    }
    let mirrored = ["boot1", "boot2"].iter().fold(grub_on("ext4").without("boot"), |tree, place| {
        tree.file(&format!("{place}/grub/grub.cfg"), grub::config("0"))
            .file(&format!("{place}/grub/grubenv"), grub::environment(""))
    });
    assert_eq!(said(&mirrored).await, ["trial_lack mirrored"]);
}

#[tokio::test]
async fn of_a_loader_that_boots_nothing_once_only_the_watchdog_is_told() {
    let extlinux = Tree::new()
        .installs("extlinux-conf-builder")
        .file("boot/extlinux/extlinux.conf", format!("DEFAULT a\nLABEL a\n  LINUX k\n  APPEND init={RUNS}/init\n"));
    assert_eq!(said(&extlinux).await, Vec::<String>::new());
    assert_eq!(said(&extlinux.file("dev/watchdog0", "")).await, ["watchdog yes"]);
}
