//! The entry that systemd-boot starts is most often found without a process. Whatever is not plain must be left to the
//! long way, and where both lead somewhere, they lead to the same.

use std::fmt::Write as _;

use pretty_assertions::assert_eq;

use crate::host::Host;
use crate::tree::{A, B, C, Entry, Tree};

/// Both ways of one look, with all that they leave behind for whoever asks next, and whether the short one is gone.
const BOTH_WAYS: &str = r#"left() {
    echo "$loader|$boot_default|$boot_note|$next_boot|$next_boot_system|$boot_found|$boot_place|$boot_esp"
    echo "$boot_image|$boot_kernel|$boot_initrds|$boot_partition|$current|$booted|$profile|$generation"
}
both_ways() {
    root=$FLEETDEPLOY_ROOT/$1 profiles=$FLEETDEPLOY_ROOT/$1/nix/var/nix/profiles told_loader=$2 boot_partition=''
    read_systems
    left
    (
        read_plain_entry() { return 1; }
        boot_partition=''
        read_systems
        left
    )
    if read_plain_entry; then echo short; else echo long; fi
}
"#;

/// Two generations, and the second one is chosen by this loader.conf.
fn two(loader_conf: &str) -> Tree {
    [(1, A), (2, B)]
        .into_iter()
        .fold(Tree::new(), |tree, (number, system)| tree.entry("boot", &Entry::generation(number, system)))
        .file("boot/loader/loader.conf", loader_conf)
}

/// One entry more, by these lines behind its kernel, and it is the default.
fn one(name: &str, lines: &str) -> Tree {
    two(&format!("default {name}\n"))
        .file(&format!("boot/loader/entries/{name}"), format!("title NixOS\nlinux /EFI/nixos/kernel.efi\n{lines}"))
        .file("boot/EFI/nixos/kernel.efi", "MZ kernel")
}

/// What looks plain and is not, or nearly.
fn tempting() -> Vec<(&'static str, Tree)> {
    const CHOSEN: &str = "default nixos-generation-2.conf\n";
    let options = |options: &str| one("plain.conf", &format!("options {options}\n"));
    let named = |name: &str| two(CHOSEN).entry("boot", &Entry::generation(2, C).named(name));
    let init = format!("init={C}/init");
    vec![
        ("an entry of the same name with counters", named("nixos-generation-2+3.conf")),
        ("one that has run out of tries", named("nixos-generation-2+0-3.conf")),
        ("an entry of the same name in capital letters", named("NixOS-generation-2.conf")),
        ("preferred", two("preferred nixos-generation-1.conf\ndefault nixos-generation-2.conf\n")),
        ("a later line that is empty", two("default nixos-generation-1.conf\ndefault\r\n")),
        ("quotes", two("default \"nixos-generation-1.conf\"\n")),
        ("blanks", two("  default \t nixos-generation-1.conf  \t\n")),
        ("two words", two("default nixos-generation-1.conf nixos-generation-2.conf\n")),
        ("no newline at the end", two("#default x.conf\ndefault nixos-generation-1.conf")),
        ("an automatic name", one("auto-2.conf", &format!("options {init}\n"))),
        ("another machine's", one("plain.conf", &format!("options {init}\narchitecture arm\n"))),
        ("a program", one("plain.conf", &format!("options {init}\nefi /EFI/nixos/kernel.efi\n"))),
        ("a second kernel", one("plain.conf", &format!("options {init}\nlinux /EFI/nixos/other.efi\n"))),
        ("a plain one", options(&init)),
        (
            "options in two lines",
            one("plain.conf", &format!("options quiet\ninitrd /a\ninitrd /b\noptions {init} x\n")),
        ),
        ("two systems", options(&format!("init={A}/init {init}"))),
        ("another's init", options(&format!("init=/sbin/init rd.{init}rd"))),
        ("no program init", options(&format!("init={C}/sw/init"))),
        ("quoted options", options(&format!("\"{init}\""))),
        ("a bar in a name", one("plain.conf", &format!("initrd /a|b\noptions {init}\n"))),
        ("a kernel that is gone", options(&init).without("boot/EFI/nixos/kernel.efi")),
        ("a variable that is empty", two(CHOSEN).variable("LoaderEntryDefault", "")),
        ("a variable", two(CHOSEN).variable("LoaderEntryDefault", "nixos-generation-1.conf")),
        ("once", two(CHOSEN).variable("LoaderEntryOneShot", "nixos-generation-1.conf")),
        ("a second partition", two(CHOSEN).entry("xbootldr", &Entry::generation(2, C))),
    ]
}

#[tokio::test]
async fn the_short_way_to_an_entry_leads_where_the_long_way_does() {
    let mut trees: Vec<(&str, Tree, &str)> = super::every_layout()
        .into_iter()
        .filter(|layout| layout.loader == "systemd-boot")
        .map(|layout| (layout.name, layout.tree, layout.told))
        .collect();
    trees.extend(tempting().into_iter().map(|(name, tree)| (name, tree, "-")));
    for host in Host::each(&Tree::default()) {
        let mut words = BOTH_WAYS.to_owned();
        for (row, (_, tree, told)) in trees.iter().enumerate() {
            tree.write_to(&host.path(&row.to_string()));
            writeln!(words, "both_ways {row} '{told}'").unwrap();
        }
        let said = host.says(&words).await;
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines.len(), 5 * trees.len());
        let mut wrong = String::new();
        let mut shorter = 0;
        for ((name, ..), lines) in trees.iter().zip(lines.chunks(5)) {
            if lines[..2] != lines[2..4] {
                writeln!(wrong, "{name} ({}):\n  {}\n  {}", host.kind(), lines[..2].concat(), lines[2..4].concat())
                    .unwrap();
            }
            shorter += usize::from(lines[4] == "short");
        }
        assert_eq!(wrong, "");
        assert!(shorter >= 8, "{shorter} are read in the short way ({})", host.kind());
    }
}
