//! systemd-boot: how it orders its entries, and which it takes.

use crate::layout::Layout;
use crate::tree::{A, B, C, Entry, Tree};

const NOT_NIXOS: &str = "does not start a NixOS system";
const NEWER_THAN_BOOTCTL: &str = "`preferred` needs bootctl 260";

/// Generations 1, 2 and 3 on the ESP at /boot, and this loader.conf.
fn three(loader_conf: &str) -> Tree {
    entries(&[(1, A), (2, B), (3, C)]).file("boot/loader/loader.conf", loader_conf)
}

fn entries(generations: &[(u32, &str)]) -> Tree {
    generations
        .iter()
        .fold(Tree::new(), |tree, (number, system)| tree.entry("boot", &Entry::generation(*number, system)))
}

fn boots(name: &'static str, tree: Tree, system: &'static str) -> Layout {
    Layout::new(name, "systemd-boot", tree, Some(system))
}

fn boots_none(name: &'static str, tree: Tree, note: &'static str) -> Layout {
    Layout::new(name, "systemd-boot", tree, None).saying(note)
}

pub(crate) fn layouts() -> Vec<Layout> {
    let mut all = configured();
    all.extend(gone());
    all.extend(ordered());
    all.extend(counted());
    all.extend(variables());
    all
}

/// What loader.conf says.
fn configured() -> Vec<Layout> {
    let windows = |tree: Tree| {
        tree.file("boot/loader/entries/windows.conf", "title Windows\nefi /EFI/Microsoft/Boot/bootmgfw.efi\n")
            .file("boot/EFI/Microsoft/Boot/bootmgfw.efi", "MZ")
    };
    vec![
        boots("the default is an entry", three("timeout 5\ndefault nixos-generation-2.conf\nconsole-mode keep\n"), B),
        boots("a default without its suffix is no entry", three("default nixos-generation-2\n"), C),
        boots("a default that is not there leaves the first", three("default nixos-generation-9.conf\n"), C),
        boots("no default leaves the first", three("timeout 5\n"), C),
        boots("an empty default leaves the first", three("default\n"), C),
        boots("no loader.conf leaves the first", entries(&[(1, A), (2, B)]).folder("boot/EFI/systemd"), B),
        boots("an empty loader.conf leaves the first", three(""), C),
        boots(
            "a pattern takes the newest",
            entries(&[(9, A), (10, B), (1, C)]).file("boot/loader/loader.conf", "default nixos-*\n"),
            B,
        ),
        boots("a pattern of one letter", three("default nixos-generation-?.conf\n"), C),
        boots("a pattern of a range", three("default nixos-generation-[12].conf\n"), B),
        boots("the default in capital letters", three("default NixOS-Generation-2.CONF\n"), B),
        boots("lines end as on Windows", three("timeout 5\r\ndefault nixos-generation-2.conf\r\n"), B),
        boots(
            "tabs, blanks and comments",
            three("# default nixos-generation-1.conf\n\t default\t nixos-generation-2.conf  \n\n"),
            B,
        ),
        boots(
            "of two defaults the last counts",
            three("default nixos-generation-1.conf\ndefault nixos-generation-2.conf\n"),
            B,
        ),
        boots_none("the default is another system", windows(three("default windows.conf\n")), NOT_NIXOS),
        boots(
            "a default that is not on the loader's own list is not there",
            three("default auto-windows\n").loader_entries(&["nixos-generation-3.conf"]),
            C,
        ),
        boots_none(
            "the default is what the loader found itself",
            three("default auto-windows\n").loader_entries(&["nixos-generation-3.conf", "auto-windows"]),
            NOT_NIXOS,
        )
        .unjudged("bootctl looks for the default before it adds what the loader found"),
        boots(
            "entries whose lines end as on Windows",
            {
                let entry = Entry::generation(4, B);
                let text = entry.text().replace('\n', "\r\n");
                entries(&[(1, A)])
                    .entry("boot", &entry)
                    .file("boot/loader/entries/nixos-generation-4.conf", text)
                    .file("boot/loader/loader.conf", "timeout 1\n")
            },
            B,
        ),
        boots(
            "options in several lines",
            {
                let entry =
                    Entry::generation(4, B).options(Some(&format!("init={A}/init quiet\ninit={B}/init\nloglevel=4")));
                entries(&[(1, A)])
                    .entry("boot", &entry)
                    .file("boot/loader/loader.conf", "default nixos-generation-4.conf\n")
            },
            B,
        ),
        boots_none(
            "an entry without init=",
            {
                entries(&[(1, A)])
                    .entry("boot", &Entry::generation(4, B).options(Some("quiet")))
                    .file("boot/loader/loader.conf", "timeout 1\n")
            },
            NOT_NIXOS,
        ),
        boots(
            "a specialisation is an entry like others",
            specialised("default nixos-generation-2-specialisation-gaming.conf\n"),
            C,
        ),
        boots("a generation is not its specialisation", specialised("default nixos-generation-2.conf\n"), B),
        boots(
            "of a generation and its specialisation a pattern takes the first",
            specialised("default nixos-generation-2*\n"),
            B,
        ),
    ]
}

fn specialised(loader_conf: &str) -> Tree {
    let special = Entry::generation(2, C).named("nixos-generation-2-specialisation-gaming.conf");
    entries(&[(1, A), (2, B)]).entry("boot", &special).file("boot/loader/loader.conf", loader_conf)
}

/// An entry whose file is gone is none, and one that is badly made neither.
fn gone() -> Vec<Layout> {
    let newest = |entry: Entry| entries(&[(1, A), (2, B)]).entry("boot", &entry);
    let conf = |tree: Tree| tree.file("boot/loader/loader.conf", "timeout 1\n");
    vec![
        boots("the newest kernel is gone", conf(newest(Entry::generation(3, C).gone())), B),
        boots(
            "the default's kernel is gone",
            newest(Entry::generation(3, C).gone()).file("boot/loader/loader.conf", "default nixos-generation-3.conf\n"),
            B,
        ),
        boots_none(
            "every kernel is gone",
            conf(
                Tree::new()
                    .entry("boot", &Entry::generation(1, A).gone())
                    .entry("boot", &Entry::generation(2, B).gone()),
            ),
            "systemd-boot has no entries",
        ),
        boots_none(
            "there is no entry",
            Tree::new().file("boot/loader/loader.conf", "default nixos-*\n"),
            "systemd-boot has no entries",
        ),
        boots("an efi file that is gone", conf(newest(Entry::generation(3, C).loading("efi /EFI/other/gone.efi"))), B),
        boots(
            "an entry of two kinds",
            conf(newest(Entry::generation(3, C).loading("linux /EFI/nixos/initrd.efi\nefi /EFI/nixos/initrd.efi"))),
            B,
        )
        .unjudged("bootctl shows such an entry, and the loader does not"),
        boots("an entry that loads nothing", conf(newest(Entry::generation(3, C).loading("title again"))), B)
            .unjudged("bootctl shows such an entry, and the loader does not"),
        boots(
            "an entry for another architecture",
            conf(newest(Entry::generation(3, C).loading("linux /EFI/nixos/initrd.efi\narchitecture riscv64"))),
            B,
        )
        .unjudged("bootctl shows such an entry, and the loader does not"),
        boots(
            "a kernel's path without its first slash",
            conf(newest(Entry::generation(3, C).loading("linux EFI/nixos/initrd.efi"))),
            C,
        ),
        boots(
            "a kernel's path with backslashes",
            conf(newest(Entry::generation(3, C).loading("efi \\EFI\\nixos\\initrd.efi"))),
            C,
        ),
        boots("a file that is no entry by its name", conf(newest(Entry::generation(3, C).named("auto-nixos.conf"))), B)
            .unjudged("bootctl shows such an entry, and the loader does not"),
        boots("an entry that is empty", conf(entries(&[(1, A), (2, B)]).file("boot/loader/entries/zzz.conf", "")), B),
    ]
}

/// Sort key, machine, version, name; a version as systemd compares it.
fn ordered() -> Vec<Layout> {
    let two = |one: Entry, other: Entry| {
        Tree::new().entry("boot", &one).entry("boot", &other).file("boot/loader/loader.conf", "timeout 1\n")
    };
    let versions =
        |older: &str, newer: &str| two(Entry::generation(7, A).version(older), Entry::generation(1, B).version(newer));
    vec![
        boots("sort keys go up", two(Entry::generation(1, B).sorted(Some("arch")), Entry::generation(2, A)), B),
        boots(
            "an entry without a sort key is behind",
            two(Entry::generation(9, A).sorted(None), Entry::generation(1, B)),
            B,
        ),
        boots(
            "without sort keys the name decides",
            two(Entry::generation(10, B).sorted(None).version("1"), Entry::generation(9, A).sorted(None).version("2")),
            B,
        ),
        boots(
            "machines are kept together",
            two(
                Entry::generation(9, A).of_machine("ffffffffffffffffffffffffffffffff"),
                Entry::generation(1, B).of_machine("00000000000000000000000000000000"),
            ),
            B,
        ),
        boots("numbers count as numbers", versions("Generation 9", "Generation 10"), B),
        boots("zeros before a number do not count", versions("Generation 009", "Generation 10"), B),
        boots("digits are newer than letters", versions("Generation two", "Generation 2"), B),
        boots("a version that goes on is newer", versions("6.12", "6.12.1"), B),
        boots("a pre-release is older", versions("6.12~rc1", "6.12"), B),
        boots("a point is newer than a dash", versions("6.12-3", "6.12.1-1"), B),
        boots("a patched release is newer than a packaged one", versions("6.12-3", "6.12^1"), B),
        boots("a letter is newer than a point", versions("6.12.1", "6.12a"), B),
        boots("capital letters are older than small ones", versions("Beta", "alpha"), B),
        boots(
            "what is no part of a version only divides",
            versions("Generation 2, Linux 6.6", "Generation (2) Linux 6.12"),
            B,
        ),
        boots("a number longer than any counter", versions("20261128195959123456788", "20261128195959123456789"), B),
        boots(
            "equal versions leave it to the name",
            two(
                Entry::generation(2, A).named("nixos-abc.conf").version("1"),
                Entry::generation(3, B).named("nixos-1.conf").version("1"),
            ),
            B,
        ),
    ]
}

/// Boot counting, and the words of NixOS 26.11.
fn counted() -> Vec<Layout> {
    let hash = |letter: &str, counter: &str| format!("nixos-{}{counter}.conf", letter.repeat(64));
    let counting = |first: &str, second: &str, conf: &str| {
        Tree::new()
            .entry("boot", &Entry::generation(4, A).named(&hash("1", "")))
            .entry("boot", &Entry::generation(5, B).named(&hash("2", first)))
            .entry("boot", &Entry::generation(6, C).named(&hash("3", second)))
            .file("boot/loader/loader.conf", conf)
    };
    let preferred = |letter: &str| format!("preferred {}\ndefault nixos-*\n", hash(letter, ""));
    vec![
        boots("an entry with tries left keeps its place", counting("", "+3", "default nixos-*\n"), C),
        boots("an entry without tries left is last", counting("+2-1", "+0-3", "default nixos-*\n"), B),
        boots("a counter of one number", counting("+2", "+0", "default nixos-*\n"), B),
        boots("a counter is no part of the name", counting("+2-1", "+3", &format!("default {}\n", hash("2", ""))), B),
        boots(
            "a default without tries left is taken all the same",
            counting("+0-3", "+3", &format!("default {}\n", hash("2", ""))),
            B,
        ),
        boots(
            "every entry ran out of tries",
            {
                Tree::new()
                    .entry("boot", &Entry::generation(1, A).named("nixos-1+0-3.conf"))
                    .entry("boot", &Entry::generation(2, B).named("nixos-2+0-3.conf"))
                    .file("boot/loader/loader.conf", "timeout 1\n")
            },
            B,
        ),
        boots(
            "a plus in the middle is no counter",
            {
                Tree::new()
                    .entry("boot", &Entry::generation(1, A))
                    .entry("boot", &Entry::generation(2, B).named("nixos+0-rc.conf"))
                    .file("boot/loader/loader.conf", "timeout 1\n")
            },
            B,
        ),
        boots(
            "the same entry with more tries left is first",
            {
                Tree::new()
                    .entry("boot", &Entry::generation(1, A).named("nixos-1+1-2.conf"))
                    .entry("boot", &Entry::generation(1, B).named("nixos-1+2-1.conf"))
                    .file("boot/loader/loader.conf", "timeout 1\n")
            },
            B,
        )
        .unjudged("bootctl stops comparing at the name"),
        boots("preferred goes before default", counting("", "+3", &preferred("2")), B).unjudged(NEWER_THAN_BOOTCTL),
        boots("preferred with tries left", counting("+2-1", "", &preferred("2")), B).unjudged(NEWER_THAN_BOOTCTL),
        boots("preferred that ran out of tries is passed over", counting("", "+0-3", &preferred("3")), B)
            .unjudged(NEWER_THAN_BOOTCTL),
        boots("preferred passes on to the next that matches", counting("", "+0-3", "preferred nixos-*\n"), B)
            .unjudged(NEWER_THAN_BOOTCTL),
        boots(
            "an older loader does not know preferred",
            counting("", "+3", &preferred("2"))
                .file("boot/EFI/systemd/systemd-bootx64.efi", "MZ\0#### LoaderInfo: systemd-boot 257.9 ####\0"),
            C,
        ),
        boots(
            "a newer loader knows preferred",
            counting("", "+3", &preferred("2"))
                .file("boot/EFI/systemd/systemd-bootx64.efi", "MZ\0#### LoaderInfo: systemd-boot 260.1 ####\0"),
            B,
        )
        .unjudged(NEWER_THAN_BOOTCTL),
    ]
}

/// What `bootctl` and the keys of the menu leave in the firmware.
fn variables() -> Vec<Layout> {
    const CHOSEN: &str = "an EFI variable chooses the entry nixos-generation-1.conf";
    let conf = || three("default nixos-generation-2.conf\n");
    vec![
        boots("a variable outranks loader.conf", conf().variable("LoaderEntryDefault", "nixos-generation-1.conf"), A)
            .saying(CHOSEN),
        boots("a variable may be a pattern", conf().variable("LoaderEntryDefault", "*-1.conf"), A).saying(CHOSEN),
        boots("a variable in capital letters", conf().variable("LoaderEntryDefault", "NIXOS-GENERATION-1.CONF"), A)
            .saying(CHOSEN),
        boots("a variable that names nothing", conf().variable("LoaderEntryDefault", "nixos-generation-9.conf"), B),
        boots(
            "a preferred variable outranks a default one",
            conf()
                .variable("LoaderEntryPreferred", "nixos-generation-1.conf")
                .variable("LoaderEntryDefault", "nixos-generation-3.conf"),
            A,
        )
        .saying(CHOSEN)
        .unjudged(NEWER_THAN_BOOTCTL),
        boots(
            "a preferred variable that ran out of tries",
            {
                entries(&[(2, B)])
                    .entry("boot", &Entry::generation(1, A).named("nixos-generation-1+0-3.conf"))
                    .file("boot/loader/loader.conf", "default nixos-generation-2.conf\n")
                    .variable("LoaderEntryPreferred", "nixos-generation-1.conf")
            },
            B,
        )
        .unjudged(NEWER_THAN_BOOTCTL),
        boots(
            "loader.conf's preferred outranks a default variable",
            three("preferred nixos-generation-2.conf\n").variable("LoaderEntryDefault", "nixos-generation-1.conf"),
            B,
        )
        .unjudged(NEWER_THAN_BOOTCTL),
        boots(
            "saved is what was booted last",
            three("default @saved\n").variable("LoaderEntryLastBooted", "nixos-generation-1.conf"),
            A,
        )
        .unjudged("bootctl takes what this boot came from for what was booted last"),
        boots(
            "saved by a variable",
            conf()
                .variable("LoaderEntryDefault", "@saved")
                .variable("LoaderEntryLastBooted", "nixos-generation-1.conf"),
            A,
        )
        .saying(CHOSEN)
        .unjudged("bootctl takes what this boot came from for what was booted last"),
        boots("nothing was saved yet", three("default @saved\n"), C),
        boots(
            "what is chosen once is not the default",
            conf().variable("LoaderEntryOneShot", "nixos-generation-3.conf"),
            B,
        )
        .next("nixos-generation-3.conf", Some(C)),
        boots(
            "what is chosen once may be the default too",
            conf().variable("LoaderEntryOneShot", "nixos-generation-2.conf"),
            B,
        )
        .next("nixos-generation-2.conf", Some(B)),
        boots("what is chosen once is not there", conf().variable("LoaderEntryOneShot", "nixos-generation-9.conf"), B)
            .next("nixos-generation-9.conf", None),
        boots(
            "the firmware's setup is chosen once",
            conf()
                .variable("LoaderEntryOneShot", "auto-reboot-to-firmware-setup")
                .loader_entries(&["nixos-generation-3.conf", "auto-reboot-to-firmware-setup"]),
            B,
        )
        .next("auto-reboot-to-firmware-setup", None),
        boots(
            "once and always by variables",
            conf()
                .variable("LoaderEntryOneShot", "nixos-generation-3.conf")
                .variable("LoaderEntryDefault", "nixos-generation-1.conf"),
            A,
        )
        .saying(CHOSEN)
        .next("nixos-generation-3.conf", Some(C)),
        boots("the firmware starts something else once", conf().boot_next(0x1c), B).next("Boot001C", None),
    ]
}
