//! Which loader it is, and where its files are: other mount points, moved machines, stale files.

use crate::layout::Layout;
use crate::tree::{A, B, C, Entry, RUNS, Tree};

const NOT_KNOWN: &str = "the profile is taken for the boot default";

fn boots(name: &'static str, tree: Tree, system: &'static str) -> Layout {
    Layout::new(name, "systemd-boot", tree, Some(system))
}

/// An ESP of systemd-boot at `place` that boots this system.
fn esp(tree: Tree, place: &str, system: &str) -> Tree {
    tree.entry(place, &Entry::generation(2, system))
        .file(&format!("{place}/loader/loader.conf"), "default nixos-generation-2.conf\n")
}

fn grub(tree: Tree, system: &str) -> Tree {
    tree.file(
        "boot/grub/grub.cfg",
        format!("set default=0\nmenuentry \"NixOS\" {{\n  linux /kernels/k init={system}/init\n}}\n"),
    )
}

fn extlinux(tree: Tree, folder: &str, system: &str) -> Tree {
    tree.file(
        &format!("{folder}/extlinux/extlinux.conf"),
        format!("DEFAULT nixos-default\nLABEL nixos-default\n  LINUX ../nixos/k\n  APPEND init={system}/init\n"),
    )
}

pub(crate) fn layouts() -> Vec<Layout> {
    let mut all = mounted();
    all.extend(moved());
    all.extend(installed());
    all.extend(without_files());
    all.extend(in_between());
    all.extend(told());
    all
}

fn mounted() -> Vec<Layout> {
    let one = |place: &'static str| esp(Tree::new(), place, B);
    let split =
        || Tree::new().file("efi/loader/loader.conf", "default nixos-generation-2.conf\n").folder("efi/EFI/systemd");
    vec![
        boots("an ESP at /efi", one("efi"), B).on("efi", None),
        boots("an ESP at /boot/efi", one("boot/efi"), B).on("boot/efi", None),
        boots("an ESP at /boot/EFI", one("boot/EFI"), B).on("boot/EFI", None),
        boots("an ESP at /boot/esp", one("boot/esp"), B).on("boot/esp", None),
        boots("an ESP at /esp", one("esp"), B).on("esp", None),
        boots(
            "entries on a partition of their own",
            split().entry("boot", &Entry::generation(2, B)).mounts(&[("/boot", "/dev/sda3"), ("/efi", "/dev/sda1")]),
            B,
        )
        .on("efi", Some("boot")),
        boots(
            "entries on both partitions",
            split()
                .entry("boot", &Entry::generation(3, C))
                .entry("efi", &Entry::generation(2, B))
                .mounts(&[("/boot", "/dev/sda3"), ("/efi", "/dev/sda1")])
                .file("efi/loader/loader.conf", "timeout 1\n"),
            C,
        )
        .on("efi", Some("boot")),
        boots(
            "a kernel is looked for on the partition of its entry",
            {
                split()
                    .entry("boot", &Entry::generation(2, C).gone())
                    .entry("efi", &Entry::generation(1, B))
                    .file("efi/EFI/nixos/nixos-generation-2-linux-bzImage.efi", "MZ")
                    .mounts(&[("/boot", "/dev/sda3"), ("/efi", "/dev/sda1")])
            },
            B,
        )
        .on("efi", Some("boot")),
        boots(
            "a folder of / is no partition of entries",
            split()
                .entry("efi", &Entry::generation(1, B))
                .entry("boot", &Entry::generation(2, C))
                .mounts(&[("/efi", "/dev/sda1")]),
            B,
        )
        .on("efi", None),
    ]
}

fn moved() -> Vec<Layout> {
    let both = || esp(esp(Tree::new(), "boot", B), "efi", C);
    let started_from = |tree: Tree, uuid: &str| tree.variable("LoaderDevicePartUUID", uuid);
    let disks = |tree: Tree| {
        tree.mounts(&[("/boot", "/dev/sda1"), ("/efi", "/dev/sdb1")])
            .link("dev/disk/by-partuuid/9b39b4c4-c48b-4ebf-bfea-a56b2395b7e0", "../../sda1")
            .link("dev/disk/by-partuuid/0b39b4c4-c48b-4ebf-bfea-a56b2395b7e1", "../../sdb1")
    };
    vec![
        boots("moved from /efi to /boot, the old one no longer mounted", both().mounts(&[("/boot", "/dev/sda1")]), B),
        boots("moved from /boot to /efi, the old one no longer mounted", both().mounts(&[("/efi", "/dev/sda1")]), C)
            .on("efi", None),
        boots(
            "both mounted, and the firmware says which",
            started_from(disks(both()), "9B39B4C4-C48B-4EBF-BFEA-A56B2395B7E0"),
            B,
        ),
        boots(
            "both mounted, and the firmware says the other",
            started_from(disks(both()), "0b39b4c4-c48b-4ebf-bfea-a56b2395b7e1"),
            C,
        )
        .on("efi", None),
        boots("both mounted, and the newer one counts", disks(both()).aged("efi/loader/loader.conf", 60), B),
        boots("both mounted, and the other one is newer", disks(both()).aged("boot/loader/loader.conf", 60), C)
            .on("efi", None),
        boots(
            "mirrored on /boot1 and /boot2",
            {
                started_from(esp(esp(Tree::new(), "boot1", B), "boot2", C), "9b39b4c4-c48b-4ebf-bfea-a56b2395b7e0")
                    .mounts(&[("/boot1", "/dev/sda1"), ("/boot2", "/dev/sdb1")])
                    .link("dev/disk/by-partuuid/9b39b4c4-c48b-4ebf-bfea-a56b2395b7e0", "../../sda1")
            },
            B,
        )
        .on("boot1", None),
    ]
}

/// The files of three loaders.
fn all(tree: Tree) -> Tree {
    extlinux(grub(esp(tree, "boot", A), B), "boot", C)
}

fn of(name: &'static str, loader: &'static str, tree: Tree, system: &'static str) -> Layout {
    Layout::new(name, loader, tree, Some(system)).unjudged("bootctl does not ask who installs")
}

/// Files of another loader than the one that the running system installs.
fn installed() -> Vec<Layout> {
    let unknown = |name, tree| of(name, "unknown", tree, RUNS).saying(NOT_KNOWN);
    vec![
        of(
            "systemd-boot installs, GRUB left files",
            "systemd-boot",
            all(Tree::new().installs("install-systemd-boot.sh")),
            A,
        ),
        of("GRUB installs, systemd-boot left files", "grub", all(Tree::new().installs("install-grub.sh")), B),
        of(
            "GRUB installs, and its files are older",
            "grub",
            all(Tree::new().installs("install-grub.sh")).aged("boot/grub/grub.cfg", 900),
            B,
        ),
        of(
            "extlinux installs, others left files",
            "extlinux",
            all(Tree::new().installs("extlinux-conf-builder.sh -g 20 -t 50 -c")),
            C,
        ),
        of("a newer builder of extlinux", "extlinux", all(Tree::new().installs("install-extlinux-conf.sh")), C),
        of(
            "an installer of images that calls itself so",
            "systemd-boot",
            all(Tree::new().installs("install-lanzaboote")),
            A,
        ),
        of(
            "a hook that says nothing, around extlinux's",
            "extlinux",
            {
                let hook = format!("nix/store/{}-install-bootloader.sh", "0".repeat(32));
                all(Tree::new().installs("install-bootloader.sh"))
                    .file(&hook, "#!/bin/sh\n/nix/store/x-extlinux-conf-builder.sh -c \"$@\"\n")
            },
            C,
        ),
        of(
            "a bootinstall of lanzaboote",
            "systemd-boot",
            {
                let hook = format!("nix/store/{}-bootinstall", "0".repeat(32));
                all(Tree::new().installs("bootinstall"))
                    .file(&hook, "#!/bin/sh\nexec /nix/store/x-lzbt/bin/lzbt install\n")
            },
            A,
        ),
        unknown("limine installs, systemd-boot left files", all(Tree::new().installs("limine-install.py")))
            .saying("limine boots the newest generation"),
        unknown("rEFInd installs, systemd-boot left files", all(Tree::new().installs("refind-install"))),
        unknown("Raspberry Pi's builder, systemd-boot left files", all(Tree::new().installs("uboot-builder.sh"))),
        unknown("nobody's files", Tree::new()),
        of(
            "a host that is named like a loader",
            "grub",
            all(Tree::new().installs("noop PRE_SWITCH_CHECK=/nix/store/0-nixos-system-limine-25.11/systemd-boot"))
                .aged("boot/loader/loader.conf", 9)
                .aged("boot/extlinux/extlinux.conf", 9),
            B,
        ),
        of(
            "an installer in the system itself",
            "grub",
            all(Tree::new().file(
                &format!("{}/bin/switch-to-configuration", &RUNS[1..]),
                format!(
                    "#!/bin/sh\nexport OUT={RUNS}\n\
                     export INSTALL_BOOTLOADER={RUNS}/bin/install-grub PRE_SWITCH_CHECK={RUNS}/bin/pre-switch-check\n"
                ),
            )),
            B,
        ),
        of(
            "a wrapper that is a program",
            "grub",
            all(Tree::new().file(
                &format!("{}/bin/switch-to-configuration", &RUNS[1..]),
                format!("\x7fELF\0OUT\0{RUNS}\0INSTALL_BOOTLOADER\0/nix/store/{}-install-grub.sh\0", "0".repeat(32)),
            )),
            B,
        ),
        unknown(
            "limine with what is chosen once",
            Tree::new().installs("limine-install.py").variable("LoaderEntryOneShot", "2"),
        )
        .saying("limine boots the newest generation")
        .next("2", None),
    ]
}

/// An installer whose loader has no files, beside those of another one.
fn without_files() -> Vec<Layout> {
    vec![
        Layout::new(
            "systemd-boot installs, and has no files",
            "systemd-boot",
            grub(Tree::new().installs("install-systemd-boot.sh"), B),
            None,
        )
        .saying("systemd-boot has no files")
        .unjudged("there is no ESP"),
        Layout::new(
            "GRUB installs, and has no files",
            "grub",
            esp(Tree::new().installs("install-grub.sh"), "boot", A),
            None,
        )
        .saying("there is no grub.cfg"),
        Layout::new(
            "extlinux installs, and has no files",
            "extlinux",
            Tree::new().installs("extlinux-conf-builder.sh"),
            None,
        )
        .saying("there is no extlinux.conf"),
    ]
}

/// Activated and not yet installed, and installers without a name.
fn in_between() -> Vec<Layout> {
    let activated = |tree: Tree, installer: &str| {
        tree.link("run/current-system", C).installs_on(C, installer).installs("install-grub.sh")
    };
    vec![
        of("activated, and not yet installed", "grub", grub(activated(Tree::new(), "install-systemd-boot.sh"), B), B),
        of(
            "activated, and installed",
            "systemd-boot",
            esp(grub(activated(Tree::new(), "install-systemd-boot.sh"), B), "boot", A).aged("boot/grub/grub.cfg", 9),
            A,
        ),
        of(
            "activated, and an older loader left files",
            "grub",
            esp(grub(activated(Tree::new(), "install-systemd-boot.sh"), B), "boot", A)
                .aged("boot/loader/loader.conf", 9),
            B,
        ),
        of(
            "an installer without a name, and the firmware knows",
            "systemd-boot",
            all(Tree::new().installs("external-hook"))
                .aged("boot/loader/loader.conf", 9)
                .variable("LoaderInfo", "systemd-boot 257.9"),
            A,
        ),
        of(
            "an installer without a name leaves it to the newest file",
            "grub",
            all(Tree::new().installs("external-hook"))
                .aged("boot/loader/loader.conf", 9)
                .aged("boot/extlinux/extlinux.conf", 9),
            B,
        ),
        of(
            "an Incus machine that once had GRUB",
            "init",
            grub(Tree::new().installs("install-lxc-sbin-init.sh"), B).link("sbin/init", &format!("{A}/init")),
            A,
        ),
    ]
}

/// What the inventory says is looked for, and nothing else.
fn told() -> Vec<Layout> {
    let both = || grub(esp(Tree::new(), "boot", A), B);
    vec![
        boots("told systemd-boot", both(), A).told("systemd-boot"),
        Layout::new("told GRUB", "grub", both(), Some(B)).told("grub"),
        boots("told where", esp(esp(Tree::new(), "boot", B), "srv/esp", C), C).told("-:/srv/esp").on("srv/esp", None),
        boots("told what and where", esp(grub(Tree::new(), B), "srv/esp", C), C)
            .told("systemd-boot:/srv/esp")
            .on("srv/esp", None),
        Layout::new("told a loader that has no files", "extlinux", both(), None)
            .told("extlinux")
            .saying("there is no extlinux.conf"),
        Layout::new("told another loader than is installed", "grub", both().installs("install-systemd-boot.sh"), None)
            .told("grub")
            .saying("the inventory says that grub boots this host, and its system installs systemd-boot"),
        Layout::new("told an init, and there is one", "init", both().link("sbin/init", &format!("{C}/init")), Some(C))
            .told("init"),
    ]
}
