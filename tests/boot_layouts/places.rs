//! Which loader it is, and where its files are: other mount points, moved machines, stale files, unified images.

use crate::layout::Layout;
use crate::tree::{A, B, C, Entry, Image, RUNS, Tree};

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
    all.extend(told());
    all.extend(unified());
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

/// Files of another loader than the one that the running system installs.
fn installed() -> Vec<Layout> {
    let all = |tree: Tree| extlinux(grub(esp(tree, "boot", A), B), "boot", C);
    let of = |name, loader, tree, system| {
        Layout::new(name, loader, tree, Some(system)).unjudged("bootctl does not ask who installs")
    };
    let unknown = |name, tree| of(name, "unknown", tree, RUNS).saying(NOT_KNOWN);
    let activated = |tree: Tree, installer: &str| {
        tree.link("run/current-system", C).installs_on(C, installer).installs("install-grub.sh")
    };
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
            all(Tree::new().installs("noop PRE_SWITCH_CHECK=/nix/store/0-nixos-system-limine-25.11/systemd-boot")).aged("boot/loader/loader.conf", 9).aged("boot/extlinux/extlinux.conf", 9),
            B,
        ),
        of("an installer in the system itself", "grub", all(Tree::new().file(&format!("{}/bin/switch-to-configuration", &RUNS[1..]), format!("#!/bin/sh\nexport OUT={RUNS}\nexport INSTALL_BOOTLOADER={RUNS}/bin/install-grub PRE_SWITCH_CHECK={RUNS}/bin/pre-switch-check\n"))), B),
        of("a wrapper that is a program", "grub", all(Tree::new().file(&format!("{}/bin/switch-to-configuration", &RUNS[1..]), format!("\x7fELF\0OUT\0{RUNS}\0INSTALL_BOOTLOADER\0/nix/store/{}-install-grub.sh\0", "0".repeat(32)))), B),
        unknown("limine with what is chosen once", Tree::new().installs("limine-install.py").variable("LoaderEntryOneShot", "2")).saying("limine boots the newest generation").next("2", None),
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

/// Unified images: lanzaboote's, and others'.
fn unified() -> Vec<Layout> {
    let image = |tree: Tree, name: &str, image: &Image| tree.file(&format!("boot/EFI/Linux/{name}"), image.bytes());
    let conf = || Tree::new().file("boot/loader/loader.conf", "timeout 1\ndefault nixos-*\n");
    let three = || {
        let tree = image(conf(), "nixos-generation-8-zzz.efi", &Image::generation(8, A));
        let tree = image(tree, "nixos-generation-10-aaa.efi", &Image::generation(10, B));
        image(tree, "nixos-generation-9-mmm.efi", &Image::generation(9, C))
    };
    let release = |text: &str, system| Image::new(text, system);
    vec![
        boots("images by their version", three(), B),
        boots("an image by its name", three().file("boot/loader/loader.conf", "default nixos-generation-9-*.efi\n"), C),
        boots(
            "a specialisation's name is not its place",
            {
                let tree = image(conf(), "nixos-generation-4-specialisation-zfs-aaa.efi", &Image::generation(4, A));
                image(tree, "nixos-generation-5-bbb.efi", &Image::generation(5, B))
            },
            B,
        ),
        boots(
            "a name that seems newer is not",
            {
                let tree = image(conf(), "nixos-zz.efi", &Image::generation(4, A));
                image(tree, "nixos-aa.efi", &Image::generation(5, B))
            },
            B,
        ),
        boots(
            "the image's own id and version go first",
            {
                let tree = image(
                    conf(),
                    "nixos-1.efi",
                    &release("ID=nixos\nIMAGE_ID=box\nIMAGE_VERSION=7\nVERSION_ID=1\nNAME=x\n", B),
                );
                image(
                    tree,
                    "nixos-2.efi",
                    &release("ID=nixos\nIMAGE_ID='box'\nIMAGE_VERSION=\"6\"\nVERSION_ID=9\nNAME=x\n", A),
                )
            },
            B,
        ),
        boots(
            "a version goes before its id, and both before a build",
            {
                let tree =
                    image(conf(), "nixos-1.efi", &release("ID=nixos\nVERSION=\"3 (Xantusia)\"\nVERSION_ID=1\n", B));
                image(tree, "nixos-2.efi", &release("ID=nixos\nVERSION_ID=2\nBUILD_ID=9\n", A))
            },
            B,
        ),
        boots(
            "an id goes up as a sort key does",
            {
                let tree = image(conf(), "nixos-9.efi", &release("ID=zebra\nVERSION=9\n", A));
                image(tree, "nixos-1.efi", &release("ID=ant\nVERSION=1\n", B))
            },
            B,
        ),
        boots(
            "an image without .osrel is none",
            image(three(), "nixos-generation-11.efi", &Image::generation(11, C).lacking(".osrel")),
            B,
        ),
        boots(
            "an image that is none",
            three().file("boot/EFI/Linux/nixos-generation-11.efi", "MZ this is no image".repeat(900)),
            B,
        ),
        boots(
            "an image that was cut short",
            {
                let mut bytes = Image::generation(11, C).bytes();
                bytes.truncate(600);
                three().file("boot/EFI/Linux/nixos-generation-11.efi", bytes)
            },
            B,
        ),
        Layout::new(
            "an image without a command line",
            "systemd-boot",
            image(three(), "nixos-generation-11.efi", &Image::generation(11, C).lacking(".cmdline")),
            None,
        )
        .saying("does not start a NixOS system"),
        boots(
            "an image that ran out of tries",
            image(three(), "nixos-generation-11+0-3.efi", &Image::generation(11, C)),
            B,
        ),
        boots(
            "lanzaboote after systemd-boot",
            {
                (20..24)
                    .fold(three(), |tree, number| tree.entry("boot", &Entry::generation(number, C).sorted(None).gone()))
            },
            B,
        ),
        boots(
            "images beside entries",
            image(
                conf().entry("boot", &Entry::generation(50, A).sorted(Some("z"))),
                "nixos-1.efi",
                &Image::generation(1, B),
            ),
            B,
        ),
        boots(
            "an entry that names an image",
            {
                let entry = Entry::generation(3, A).loading("uki /EFI/nixos/three.efi").options(None);
                conf()
                    .entry("boot", &Entry::generation(2, A))
                    .entry("boot", &entry)
                    .file("boot/EFI/nixos/three.efi", Image::generation(3, B).bytes())
            },
            B,
        )
        .unjudged("bootctl does not look inside for the command line"),
        boots(
            "an entry that names an image that is gone",
            {
                let entry = Entry::generation(3, A).loading("uki /EFI/nixos/three.efi").options(None);
                conf().entry("boot", &Entry::generation(2, B)).entry("boot", &entry)
            },
            B,
        )
        .unjudged("bootctl does not look whether a file is there"),
    ]
}
