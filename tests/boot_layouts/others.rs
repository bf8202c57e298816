//! extlinux, and a bare init.

use crate::layout::Layout;
use crate::tree::{A, B, C, RUNS, Tree};

pub(crate) const EXTLINUX: &str = r"# Generated file, all changes will be lost on nixos-rebuild!

# Change this to e.g. nixos-42 to temporarily boot to an older configuration.
DEFAULT nixos-default

MENU TITLE ------------------------------------------------------------
TIMEOUT 50

LABEL nixos-default
  MENU LABEL NixOS - Default
  LINUX ../nixos/0gv1yx3wnyzhi0bjgjbmvxy7qnzwzw5h-linux-6.12.1-Image
  INITRD ../nixos/1gv1yx3wnyzhi0bjgjbmvxy7qnzwzw5h-initrd-linux-6.12.1-initrd
  APPEND init=/nix/store/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb-nixos-system-vps-25.11.2/init console=ttyS0,115200n8
  FDTDIR ../nixos/2gv1yx3wnyzhi0bjgjbmvxy7qnzwzw5h-linux-6.12.1-dtbs

LABEL nixos-1-default
  MENU LABEL NixOS - Configuration 1-default (2026-11-01 10:00 - 25.11.1)
  LINUX ../nixos/0gv1yx3wnyzhi0bjgjbmvxy7qnzwzw5h-linux-6.12.1-Image
  APPEND init=/nix/store/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-nixos-system-vps-25.11.1/init console=ttyS0,115200n8

LABEL memtest
  LINUX ../memtest.bin
";

pub(crate) fn layouts() -> Vec<Layout> {
    let mut all = extlinux();
    all.extend(init());
    all
}

fn extlinux() -> Vec<Layout> {
    const NOT_FOUND: &str = "the default label of extlinux was not found, or starts no NixOS system";
    let at = |folder: &str, text: String| Tree::new().file(&format!("{folder}/extlinux/extlinux.conf"), text);
    let boots = |name, text: String, system| Layout::new(name, "extlinux", at("boot", text), Some(system));
    let boots_none = |name, text: String| Layout::new(name, "extlinux", at("boot", text), None).saying(NOT_FOUND);
    let default = |line: &str| EXTLINUX.replace("DEFAULT nixos-default", line);
    vec![
        boots("the default label", EXTLINUX.into(), B),
        boots("another label", default("DEFAULT nixos-1-default"), A),
        boots(
            "small letters",
            default("default nixos-1-default").replace("LABEL", "label").replace("APPEND", "append"),
            A,
        ),
        boots("no default is the first label", default(""), B),
        boots("ONTIMEOUT after DEFAULT", default("DEFAULT nixos-default\nONTIMEOUT nixos-1-default"), A),
        boots(
            "MENU DEFAULT in a label",
            default("")
                .replace("  MENU LABEL NixOS - Configuration", "  MENU DEFAULT\n  MENU LABEL NixOS - Configuration"),
            A,
        ),
        boots("lines end as on Windows", default("DEFAULT nixos-1-default").replace('\n', "\r\n"), A),
        boots_none("a label that is not there", default("DEFAULT nixos-9-default")),
        boots_none("a label of another system", default("DEFAULT memtest")),
        boots_none("an empty menu", "TIMEOUT 50\n".into()),
        Layout::new("a partition of the firmware's", "extlinux", at("boot/firmware", EXTLINUX.into()), Some(B)),
    ]
}

fn init() -> Vec<Layout> {
    let boots = |name, tree, system| Layout::new(name, "init", tree, Some(system));
    let unknown = |name, tree| {
        Layout::new(name, "unknown", tree, Some(RUNS))
            .saying("the boot loader is not known: the profile is taken for the boot default")
    };
    // As init-script-builder writes it.
    let script = |system: &str| {
        format!(
            "#!/bin/sh\n# NixOS - Default\n# created by init-script-builder.sh\nexec {system}/init\n# older \
             configurations: /boot/init-other-configurations-contents.txt\n"
        )
    };
    let lxc = || Tree::new().installs("install-lxc-sbin-init.sh");
    vec![
        boots("an LXC container's link", lxc().link("sbin/init", &format!("{B}/init")), B),
        boots(
            "an older LXD container's link",
            Tree::new().installs("install-lxd-sbin-init.sh").link("sbin/init", &format!("{A}/init")),
            A,
        ),
        boots(
            "an own installer of such a link",
            Tree::new().installs("install-sbin-init.sh").link("sbin/init", &format!("{A}/init")),
            A,
        ),
        boots(
            "a link, and an installer that does nothing",
            Tree::new().installs("noop").link("sbin/init", &format!("{B}/init")),
            B,
        ),
        boots("a link in the root", Tree::new().link("init", &format!("{B}/init")), B),
        boots(
            "of two links the manager takes the first",
            Tree::new().link("sbin/init", &format!("{C}/init")).link("init", &format!("{B}/init")),
            C,
        ),
        boots("a link to the profile", lxc().link("sbin/init", "/nix/var/nix/profiles/system/init"), RUNS),
        boots(
            "a link to a generation",
            lxc()
                .link("nix/var/nix/profiles/system-7-link", C)
                .link("sbin/init", "/nix/var/nix/profiles/system-7-link/init"),
            C,
        ),
        boots(
            "a script of init-script-builder",
            Tree::new().installs("init-script-builder.sh").file("sbin/init", script(B)),
            B,
        ),
        boots("a script, and an installer without a name", Tree::new().file("sbin/init", script(C)), C),
        Layout::new("an installer of links, and no link", "init", lxc(), None)
            .saying("neither /sbin/init nor /init leads into a NixOS system"),
        unknown(
            "a link to systemd itself",
            Tree::new()
                .link("sbin/init", "/nix/store/00000000000000000000000000000000-systemd-257/lib/systemd/systemd"),
        ),
        unknown("a program", Tree::new().file("sbin/init", b"\x7fELF\x02\x01\0\0\nexec /nix/store/x/init\n".to_vec())),
        unknown(
            "a script that starts something else",
            Tree::new().file("sbin/init", "#!/bin/sh\nexec /lib/systemd/systemd\n"),
        ),
        Layout::new(
            "a host with a loader may have an init too",
            "grub",
            Tree::new()
                .installs("install-grub.sh")
                .link("sbin/init", &format!("{C}/init"))
                .file("boot/grub/grub.cfg", crate::grub::config("0")),
            Some(B),
        ),
        Layout::new(
            "a loader's files go before an init",
            "grub",
            Tree::new().link("sbin/init", &format!("{C}/init")).file("boot/grub/grub.cfg", crate::grub::config("0")),
            Some(B),
        ),
    ]
}
