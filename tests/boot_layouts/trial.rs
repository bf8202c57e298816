//! Whether a host can boot an entry once, before it is the boot default: by what, or what is in the way.

use pretty_assertions::assert_eq;

use crate::grub;
use crate::host::Host;
use crate::tree::{A, B, C, Entry, Image, RUNS, Tree};

const LOOK: &str = "read_systems; print_trial";
const WATCHDOGD: &str = "etc/systemd/system/watchdogd.service";
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
        .file("boot/grub/grub.cfg", grub::hooked("0"))
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
    let guarded = watchdog(systemd_boot(), "inactive", "0").file("sys/kernel/kexec_loaded", "0\n");
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
    let forgets = |name: &str| {
        let marked = systemd_boot().file("nix/var/nix/gcroots/fleetdeploy/.trial/forgets", name);
        let boot = "7f0d1c1e-2f6a-4a63-9d1c-0a6c5b1f0e11\n";
        marked.variable("LoaderFirmwareInfo", "UEFI 2.70").file("proc/sys/kernel/random/boot_id", boot)
    };
    let another = said(&forgets("UEFI_2.60\n")).await;
    assert!(another.contains(&"trial_means efi-variable".to_owned()), "another firmware: {another:?}");
    let rows: [(Tree, &str); 12] = [
        (forgets("UEFI_2.70\n"), "forgets"),
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

/// What install-grub.pl is told, as `builtins.toXML` writes it, and where it is found.
fn installed(tree: Tree, system: &str, version: &str, more: &str) -> Tree {
    let name = &system["/nix/store/".len()..][..32];
    let told = format!("nix/store/{name}-grub-config.xml");
    let attribute = |name: &str, value: &str| format!("    <attr name=\"{name}\">\n      {value}\n    </attr>\n");
    let text = |value: &str| format!("<string value=\"{value}\" />");
    let xml = [
        attribute("devices", &format!("<list>\n        {}\n      </list>", text("nodev"))),
        attribute("extraEntries", &text(&format!("{more}&#xA;"))),
        attribute("fullVersion", &text(version)),
        attribute("grubEfi", &text(&format!("/nix/store/{name}-grub"))),
    ];
    let xml = format!("<expr>\n  <attrs>\n{}  </attrs>\n</expr>\n", xml.concat());
    let script = format!("nix/store/{name}-install-grub.sh");
    tree.file(&told, xml)
        .file(&script, format!("#!/bin/sh\nset -e\n/nix/store/{name}-perl/bin/perl /nix/store/x.pl /{told} $@\n"))
        .file(&format!("{}/bin/switch-to-configuration", &system[1..]), format!("INSTALL_BOOTLOADER=/{script}\n"))
}

/// The booted system is not the boot default, and its installer is to write the menu.
fn tried_by_grub(booted: (&str, &str)) -> Tree {
    let tree = installed(grub_on("ext4"), B, "2.12", grub::HOOK);
    installed(tree, A, booted.0, booted.1).link("run/booted-system", A).link("nix/var/nix/profiles/system-1-link", A)
}

#[tokio::test]
async fn grub_boots_an_entry_once_where_it_can_write_its_environment_and_its_menu_reads_our_file() {
    let kernel = "($drive1)//kernels/0gv1yx3wnyzhi0bjgjbmvxy7qnzwzw5h-linux-6.12.2-bzImage";
    let line = format!("trial_line {}", format!("{kernel} init={B}/init loglevel=4").len() + 24);
    for kind in ["ext4", "ext2"] {
        assert_eq!(said(&grub_on(kind)).await, [&line, "trial_means next-entry"], "{kind}");
    }
    let saving = grub::hooked("0").replace("set default=0", "set default=\"${saved_entry}\"");
    let savedefault = grub::hooked("0")
        .replace("menuentry \"NixOS\" --class nixos --unrestricted {", "menuentry \"NixOS\" {\n  savedefault");
    let never = grub::hooked("0").replace("next_entry", "other_entry");
    let behind = grub::hooked("3");
    let in_a_submenu =
        grub::config("0").replace("--class submenu {\n", &format!("--class submenu {{\n{}\n", grub::HOOK));
    let xen = grub::hooked("0")
        .replace("  linux ($drive1)//kernels/0gv1yx3wnyzhi0bjgjbmvxy7qnzwzw5h-linux-6.12.2", "  module ($drive1)/x");
    let quoted = grub::hooked("0").replace("25.11.2/init loglevel=4", "25.11.2/init dyndbg=\"file a +p\"");
    assert!([&saving, &savedefault, &never, &xen, &quoted].iter().all(|changed| **changed != grub::hooked("0")));
    let rows: [(Tree, &str); 15] = [
        (grub_on("btrfs"), "environment-on /boot btrfs"),
        (grub_on("zfs"), "environment-on /boot zfs"),
        (grub_on("vfat"), "menu-on-fat /boot"),
        (grub_on("ext4").folder("sys/dev/block/8:1/dm"), "environment-on /boot dm"),
        (grub_on("ext4").folder("sys/dev/block/8:1/md"), "environment-on /boot md"),
        (grub_on("ext4").without("boot/grub/grubenv"), "no-environment /boot/grub/grubenv"),
        (grub_on("ext4").without("sys/firmware/efi"), "bios"),
        (grub_on("ext4").file("boot/grub/grub.cfg", saving), "saves"),
        (grub_on("ext4").file("boot/grub/grub.cfg", savedefault), "saves"),
        (grub_on("ext4").file("boot/grub/grub.cfg", never), "takes-no-next-entry"),
        (grub_on("ext4").file("boot/grub/grub.cfg", grub::config("0")), "no-hook"),
        (grub_on("ext4").file("boot/grub/grub.cfg", in_a_submenu), "no-hook"),
        (grub_on("ext4").file("boot/grub/grub.cfg", behind).link("run/booted-system", C), "not-first"),
        (grub_on("ext4").file("boot/grub/grub.cfg", quoted), "line-unknown"),
        (grub_on("ext4").file("boot/grub/grub.cfg", xen), "line-unknown"),
    ];
    for (tree, lack) in rows {
        let all = said(&tree).await;
        let lacks: Vec<&String> =
            all.iter().filter(|line| line.starts_with("trial_l") && !line.starts_with("trial_line")).collect();
        assert_eq!(lacks, [&format!("trial_lack {lack}")], "{all:?}");
        assert!(!all.iter().any(|line| line.starts_with("trial_means")), "{lack}: {all:?}");
    }
    let mirrored = ["boot1", "boot2"].iter().fold(grub_on("ext4").without("boot"), |tree, place| {
        tree.file(&format!("{place}/grub/grub.cfg"), grub::hooked("0"))
            .file(&format!("{place}/grub/grubenv"), grub::environment(""))
    });
    assert_eq!(said(&mirrored).await, ["trial_lack mirrored"]);
}

/// Both installers of a trial write the menu; neither may write GRUB itself.
#[tokio::test]
async fn two_systems_that_would_each_install_grub_itself_are_not_tried() {
    assert!(said(&tried_by_grub(("2.12", grub::HOOK))).await.contains(&"trial_means next-entry".to_owned()));
    let newer = said(&tried_by_grub(("2.06", grub::HOOK))).await;
    assert!(newer.contains(&"trial_lack grub-differs".to_owned()), "{newer:?}");
    let unhooked = said(&tried_by_grub(("2.12", ""))).await;
    assert!(unhooked.contains(&"trial_lack no-hook".to_owned()), "{unhooked:?}");
    let unknown = grub_on("ext4").link("run/booted-system", A).installs_on(A, "install-grub");
    let unknown = said(&unknown.link("nix/var/nix/profiles/system-1-link", A)).await;
    assert!(unknown.contains(&"trial_lack grub-differs".to_owned()), "{unknown:?}");
}

/// What guards a trial must be there before anything that stage 1 has not mounted.
#[tokio::test]
async fn what_guards_a_trial_lies_on_what_stage_1_mounts() {
    let mounted = |more: &str| {
        let root = "22 1 8:2 / / rw,noatime - ext4 /dev/sda2 rw\n";
        systemd_boot().file("proc/self/mountinfo", format!("{root}{more}"))
    };
    let mount = |place: &str| format!("40 22 8:3 / {place} rw shared:9 - ext4 /dev/sda3 rw\n");
    let rows = [
        (String::new(), None),
        (mount("/nix"), None),
        // As NixOS mounts it, read-only.
        (mount("/nix/store"), None),
        (mount("/nix") + &mount("/nix/store"), None),
        (mount("/nix/variety"), None),
        (mount("/var"), None),
        (mount("/nix/var/log"), None),
        (mount("/nix/var"), Some("/nix/var")),
        (mount("/nix") + &mount("/nix/var"), Some("/nix/var")),
        // A bind mount of the same file system is made as late.
        ("40 22 8:2 /persist/var /nix/var rw - ext4 /dev/sda2 rw\n".to_owned(), Some("/nix/var")),
        (mount("/nix/var/nix"), Some("/nix/var/nix")),
        (mount("/nix/var/nix/gcroots"), Some("/nix/var/nix/gcroots")),
    ];
    for (more, lack) in rows {
        let all = said(&mounted(&more)).await;
        let lacks: Vec<&String> = all.iter().filter(|line| line.starts_with("trial_lack ")).collect();
        let expected = lack.map(|place| format!("trial_lack mounted-late {place}"));
        assert_eq!(lacks, expected.iter().collect::<Vec<_>>(), "{more}");
        assert_eq!(all.contains(&"trial_means efi-variable".to_owned()), lack.is_none(), "{more}");
    }
}

#[tokio::test]
async fn of_a_loader_that_boots_nothing_once_only_the_watchdog_is_told() {
    let extlinux = Tree::new()
        .installs("extlinux-conf-builder")
        .file("boot/extlinux/extlinux.conf", format!("DEFAULT a\nLABEL a\n  LINUX k\n  APPEND init={RUNS}/init\n"));
    assert_eq!(said(&extlinux).await, Vec::<String>::new());
    assert_eq!(said(&watchdog(extlinux, "inactive", "0")).await, ["watchdog yes"]);
}

fn watchdog(tree: Tree, state: &str, nowayout: &str) -> Tree {
    let at = |name: &str| format!("sys/class/watchdog/watchdog0/{name}");
    tree.file("dev/watchdog0", "")
        .file(&at("state"), format!("{state}\n"))
        .file(&at("nowayout"), format!("{nowayout}\n"))
}

/// Whoever has it would find it taken in the trial, and one that cannot be stopped would reset a host that was kept.
#[tokio::test]
async fn a_watchdog_counts_where_nobody_has_it_and_it_can_be_stopped() {
    let free = || watchdog(systemd_boot(), "inactive", "0");
    let rows = [
        (free(), true),
        (watchdog(systemd_boot(), "active", "0"), false),
        (watchdog(systemd_boot(), "inactive", "1"), false),
        (free().without("sys/class/watchdog"), false),
        (free().without("dev/watchdog0"), false),
        (free().link("nix/var/nix/profiles/system-1-link", B).file(&format!("{}/{WATCHDOGD}", &B[1..]), ""), false),
        (free().link("nix/var/nix/profiles/system-1-link", B).file(&format!("{}/{WATCHDOGD}", &RUNS[1..]), ""), true),
    ];
    for (at, (tree, counts)) in rows.iter().enumerate() {
        assert_eq!(said(tree).await.contains(&"watchdog yes".to_owned()), *counts, "row {at}");
    }
}
