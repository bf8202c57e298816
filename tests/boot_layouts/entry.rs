//! An entry of our own, to be booted once: written beside the loader's, set as the next boot, and taken away again.

use pretty_assertions::assert_eq;

use crate::host::Host;
use crate::tree::{A, B, Entry, RUNS, Tree};

const OURS: &str = "boot/loader/entries/fleetdeploy-trial.conf";
const MORE: &str = "fleetdeploy.trial=r-1 panic=30";
const SHOW: &str = "echo \"$? ${boot_default##*-} [$next_boot] ${next_boot_system##*-}\"";

/// `bootctl`, as far as it is asked, on files.
const BOOTCTL: &str = r#"#!/bin/sh
[ "$1|$#" = 'set-oneshot|2' ] || exit 1
file=$FLEETDEPLOY_ROOT/sys/firmware/efi/efivars/LoaderEntryOneShot-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f
[ -n "$2" ] || exec rm -f "$file"
{ printf '\007\000\000\000'; printf %s "$2" | sed 's/./&\n/g' | while read -r c; do printf '%s\000' "$c"; done
  printf '\000\000'; } >"$file"
"#;

fn systemd_boot() -> Tree {
    Tree::new()
        .installs("systemd-boot")
        .folder("run/fleetdeploy")
        .entry("boot", &Entry::generation(1, RUNS))
        .entry("boot", &Entry::generation(2, B))
        .file("boot/loader/loader.conf", "timeout 5\ndefault nixos-generation-1.conf\n")
        .variable("LoaderInfo", "systemd-boot 257.13")
}

fn hosts(tree: &Tree) -> Vec<Host> {
    let hosts = Host::each(tree);
    for host in &hosts {
        host.program("bootctl", BOOTCTL);
    }
    hosts
}

async fn after(host: &Host, words: &str) -> String {
    host.says(&format!("read_systems; {words}; {SHOW}")).await
}

fn text(host: &Host, path: &str) -> String {
    std::fs::read_to_string(host.path(path)).unwrap()
}

#[tokio::test]
async fn the_entry_is_the_loader_s_own_with_more_on_its_line_and_changes_no_default() {
    for host in hosts(&systemd_boot()) {
        assert_eq!(after(&host, &format!("write_trial_entry {B} '{MORE}'")).await, "0 25.11.0 [] \n");
        let own = text(&host, "boot/loader/entries/nixos-generation-2.conf");
        let is_kept = |line: &&str| ["linux ", "initrd ", "options "].iter().any(|key| line.starts_with(key));
        let kept: String = own.lines().filter(is_kept).flat_map(|line| [line, "\n"]).collect();
        assert_eq!(text(&host, OURS), format!("title fleetdeploy trial\n{kept}options {MORE}\n"), "{}", host.kind());
        assert!(!host.path(&format!("{OURS}.new")).exists());
        assert_eq!(after(&host, &format!("set_trial_once {B}")).await, "0 25.11.0 [fleetdeploy-trial.conf] 25.11.2\n");
        assert_eq!(after(&host, &format!("set_trial_once {B}")).await, "0 25.11.0 [fleetdeploy-trial.conf] 25.11.2\n");
        assert_eq!(after(&host, "remove_trial_entry").await, "0 25.11.0 [] \n");
        assert!(!host.path(OURS).exists());
        assert_eq!(after(&host, "remove_trial_entry").await, "0 25.11.0 [] \n", "done already is done");
    }
}

/// One that has run out of its default falls to the first of the menu; that is never ours.
#[tokio::test]
async fn our_entry_is_never_what_a_menu_without_its_default_falls_to() {
    for host in hosts(&systemd_boot().file("boot/loader/loader.conf", "default nixos-generation-2.conf\n")) {
        assert_eq!(after(&host, &format!("write_trial_entry {RUNS} '{MORE}'")).await, "0 25.11.2 [] \n");
        std::fs::write(host.path("boot/loader/loader.conf"), "default gone.conf\n").unwrap();
        std::fs::remove_file(host.path("boot/loader/entries/nixos-generation-2.conf")).unwrap();
        std::fs::write(host.path("boot/loader/entries/nixos-generation-3.conf"), Entry::generation(3, A).text())
            .unwrap();
        let kernel = Entry::generation(3, A).kernel();
        std::fs::write(host.path(&format!("boot/EFI/nixos/{kernel}")), "MZ").unwrap();
        assert_eq!(after(&host, "true").await, "0 25.11.1 [] \n");
    }
}

#[tokio::test]
async fn nothing_is_written_of_a_system_that_the_menu_does_not_have_or_not_as_a_kernel() {
    let odd = Entry::generation(3, A).loading("uki /EFI/Linux/a.efi");
    for (tree, why) in [(systemd_boot(), "none"), (systemd_boot().entry("boot", &odd), "a unified image")] {
        for host in hosts(&tree) {
            assert_eq!(after(&host, &format!("write_trial_entry {A} '{MORE}'")).await, "1 25.11.0 [] \n", "{why}");
            assert!(!host.path(OURS).exists(), "{why}");
        }
    }
}

#[tokio::test]
async fn somebody_else_s_next_boot_is_neither_overwritten_nor_emptied() {
    let tree = systemd_boot().variable("LoaderEntryOneShot", "nixos-generation-1.conf");
    for host in hosts(&tree) {
        let theirs = "25.11.0 [nixos-generation-1.conf] 25.11.0\n";
        assert_eq!(after(&host, &format!("write_trial_entry {B} '{MORE}'")).await, format!("1 {theirs}"));
        assert_eq!(after(&host, &format!("set_trial_once {B}")).await, format!("1 {theirs}"));
        assert_eq!(after(&host, "remove_trial_entry").await, format!("0 {theirs}"));
    }
}

/// What does not say back what was set is taken back.
#[tokio::test]
async fn a_next_boot_that_cannot_be_read_back_is_none() {
    for host in hosts(&systemd_boot()) {
        assert_eq!(after(&host, &format!("write_trial_entry {B} '{MORE}'")).await, "0 25.11.0 [] \n");
        // The entry is another system's by now.
        assert_eq!(after(&host, &format!("set_trial_once {A}")).await, "1 25.11.0 [] \n");
        host.program("bootctl", "#!/bin/sh\nexit 0\n");
        assert_eq!(after(&host, &format!("set_trial_once {B}")).await, "1 25.11.0 [] \n");
    }
}

/// An entry that would still be started stays, for what guards it must stay too.
#[tokio::test]
async fn an_entry_whose_next_boot_cannot_be_emptied_is_not_removed() {
    for host in hosts(&systemd_boot()) {
        assert_eq!(
            after(&host, &format!("write_trial_entry {B} '{MORE}'; set_trial_once {B}")).await,
            "0 25.11.0 [fleetdeploy-trial.conf] 25.11.2\n"
        );
        host.program("bootctl", "#!/bin/sh\nexit 1\n");
        host.program("chattr", "#!/bin/sh\nexit 1\n");
        host.program("rm", "#!/bin/sh\ncase $* in *LoaderEntryOneShot*) exit 1 ;; esac\nexec /bin/rm \"$@\"\n");
        assert_eq!(after(&host, "remove_trial_entry").await, "1 25.11.0 [fleetdeploy-trial.conf] 25.11.2\n");
        assert!(host.path(OURS).exists());
    }
}

/// A full partition has left it, and nothing is boot by it.
#[tokio::test]
async fn half_an_entry_is_taken_away_too() {
    for host in hosts(&systemd_boot()) {
        std::fs::write(host.path(&format!("{OURS}.new")), "title fleet").unwrap();
        assert_eq!(after(&host, "remove_trial_entry").await, "0 25.11.0 [] \n");
        assert!(!host.path(&format!("{OURS}.new")).exists());
    }
}

/// Another run's is not taken for one's own, and neither is a longer name.
#[tokio::test]
async fn an_entry_says_whose_it_is() {
    for host in hosts(&systemd_boot()) {
        let ask = "for run in r-1 r-2 r-; do find_trial_entry && entry_is_of $run && echo $run; done";
        let said = host.says(&format!("read_systems; write_trial_entry {B} '{MORE}'; {ask}; :")).await;
        assert_eq!(said, "r-1\n", "{}", host.kind());
    }
}

/// What is cut off a line is its end, and the words of a user may keep the unit from being made.
#[tokio::test]
async fn a_line_that_is_too_long_or_takes_no_unit_takes_no_guard() {
    let room = 1920 - format!("init={B}/init  {MORE}").len();
    let rows: [(String, &str); 9] = [
        ("quiet".to_owned(), ""),
        ("a".repeat(room), ""),
        ("a".repeat(room + 1), "1921 bytes"),
        ("systemd.import_credentials=no".to_owned(), "import_credentials"),
        ("rd.systemd.import-credentials".to_owned(), "import_credentials"),
        ("x.reimport_credentials=no".to_owned(), ""),
        ("crashkernel=128M".to_owned(), "crashkernel="),
        ("quiet -- single".to_owned(), "--"),
        ("not-crashkernel=1".to_owned(), ""),
    ];
    for (options, lack) in rows {
        let text = Entry::generation(2, B).text();
        let line = text.lines().find(|line| line.starts_with("options ")).unwrap();
        let entry = text.replace(line, &format!("options init={B}/init {options}"));
        for host in hosts(&systemd_boot().file("boot/loader/entries/nixos-generation-2.conf", entry)) {
            host.program("uname", "#!/bin/sh\necho x86_64\n");
            let ask = format!("read_systems; find_own_entry {B} && judge_options '{MORE}'; echo $?");
            let said = host.says(&ask).await;
            let fits = said == "0\n";
            assert_eq!(fits, lack.is_empty(), "{options}: {said}");
            assert!(said.contains(lack), "{options}: {said}");
        }
    }
    for host in hosts(&systemd_boot()) {
        host.program("uname", "#!/bin/sh\necho riscv64\n");
        let said = host.says(&format!("read_systems; find_own_entry {B} && judge_options '{MORE}'; echo $?")).await;
        assert!(said.ends_with("riscv64\n1\n"), "{said}");
    }
}

/// The guard stands first, so that a line that is cut loses what is nice to have.
#[tokio::test]
async fn the_guard_is_the_first_of_our_words_and_starts_what_outlives_the_reboot() {
    for host in hosts(&systemd_boot().file("run/fleetdeploy/plan", "run r-1\nwatchdog 0\n")) {
        let said = host.says("trial_parameters /nix/x/r-1 r-1").await;
        let words: Vec<&str> = said.split_whitespace().collect();
        let unit = words[0].strip_prefix("systemd.set_credential_binary=systemd.extra-unit.fleetdeploy-trial.service:");
        assert_eq!(
            words[1..],
            [
                "systemd.wants=fleetdeploy-trial.service",
                "fleetdeploy.trial=r-1",
                "panic=30",
                "boot.panic_on_fail",
                "systemd.crash_action=reboot",
                "systemd.watchdog_sec=2min"
            ]
        );
        let text = host.says(&format!("echo {} | base64 -d", unit.unwrap())).await;
        for line in
            ["RemainAfterExit=yes", "StartLimitIntervalSec=0", "ExecStart=/bin/sh /nix/x/r-1/begin.sh /nix/x/r-1"]
        {
            assert!(text.lines().any(|found| found == line), "{text}");
        }
        // Without it the rest is the same.
        std::fs::write(host.path("run/fleetdeploy/plan"), "run r-1\nwatchdog -\n").unwrap();
        let without = host.says("trial_parameters /nix/x/r-1 r-1").await;
        assert_eq!(format!("{} {}\n", without.trim_end(), words[words.len() - 1]), said);
    }
}

// ---- GRUB ----

const GRUB_OURS: &str = "boot/grub/fleetdeploy.cfg";

/// It boots B, and A is the second of its generations.
fn grub() -> Tree {
    Tree::new()
        .installs("install-grub")
        .folder("run/fleetdeploy")
        .folder("sys/firmware/efi")
        .file("boot/grub/grub.cfg", crate::grub::hooked("0"))
        .file("boot/grub/grubenv", crate::grub::environment("theirs=1\n"))
}

#[tokio::test]
async fn in_grub_the_entry_is_a_file_of_its_own_that_is_there_in_the_one_boot_that_takes_it() {
    for host in Host::each(&grub()) {
        assert_eq!(after(&host, &format!("write_trial_entry {A} '{MORE}'")).await, "0 25.11.2 [] \n");
        assert_eq!(
            text(&host, GRUB_OURS),
            format!(
                "if [ \"${{default}}\" = \"fleetdeploy-trial\" ]; then\nset next_entry=unread\nload_env next_entry\n\
                 if [ -z \"${{next_entry}}\" ]; then\n\
                 menuentry \"fleetdeploy trial\" --id fleetdeploy-trial --unrestricted {{\n\
                 linux ($drive1)//kernels/0gv1yx3wnyzhi0bjgjbmvxy7qnzwzw5h-linux-6.12.1-bzImage init={A}/init \
                 loglevel=4 {MORE}\n}}\nfi\nfi\n"
            )
        );
        assert_eq!(text(&host, "boot/grub/grub.cfg"), crate::grub::hooked("0"), "nothing of ours is written there");
        for _ in 0..2 {
            assert_eq!(after(&host, &format!("set_trial_once {A}")).await, "0 25.11.2 [fleetdeploy-trial] 25.11.1\n");
        }
        let environment = text(&host, "boot/grub/grubenv");
        let begun = "# GRUB Environment Block\nnext_entry=fleetdeploy-trial\ntheirs=1\n#";
        assert!(environment.starts_with(begun) && environment.len() == 1024, "{environment}");
        let of_run = "find_trial_entry && entry_is_of r-1 && ! entry_is_of r";
        assert_eq!(after(&host, of_run).await, "0 25.11.2 [fleetdeploy-trial] 25.11.1\n");
        assert_eq!(after(&host, "remove_trial_entry").await, "0 25.11.2 [] \n");
        assert!(!host.path(GRUB_OURS).exists());
        assert_eq!(text(&host, "boot/grub/grubenv"), crate::grub::environment("theirs=1\n"));
        assert_eq!(after(&host, "remove_trial_entry").await, "0 25.11.2 [] \n", "done already is done");
    }
}

/// GRUB takes the first entry of its menu where one is not there: with our file gone, or a menu that does not read it.
#[tokio::test]
async fn in_grub_a_next_boot_of_ours_without_its_entry_is_the_boot_default() {
    for host in Host::each(&grub()) {
        let words = format!("write_trial_entry {A} '{MORE}'; set_trial_once {A}");
        assert_eq!(after(&host, &words).await, "0 25.11.2 [fleetdeploy-trial] 25.11.1\n");
        std::fs::rename(host.path(GRUB_OURS), host.path("aside")).unwrap();
        assert_eq!(after(&host, &format!("boots_once {A}")).await, "1 25.11.2 [fleetdeploy-trial] 25.11.2\n");
        std::fs::rename(host.path("aside"), host.path(GRUB_OURS)).unwrap();
        std::fs::write(host.path("boot/grub/grub.cfg"), crate::grub::config("0")).unwrap();
        let not_read = "1 25.11.2 [fleetdeploy-trial] 25.11.2\n";
        assert_eq!(after(&host, &format!("set_trial_once {A}")).await, not_read);
        assert_eq!(after(&host, "unset_trial_once").await, "0 25.11.2 [] \n");
    }
}

#[tokio::test]
async fn in_grub_nothing_is_written_where_it_would_not_be_read_or_not_as_it_is_meant() {
    let with = |config: String| grub().file("boot/grub/grub.cfg", config);
    let multiboot = crate::grub::hooked("0")
        .replace("linux ($drive1)//kernels/0gv1yx3wnyzhi0bjgjbmvxy7qnzwzw5h-linux-6.12.1", "multiboot ($drive1)/xen");
    let long = grub().file("boot/grub/grubenv", crate::grub::environment(&format!("theirs={}\n", "x".repeat(480))));
    let rows = [
        (with(crate::grub::config("0")), "no hook"),
        (with(crate::grub::hooked("3")), "its default is not its first"),
        (with(multiboot), "no kernel"),
    ];
    for (tree, why) in rows {
        for host in Host::each(&tree) {
            assert!(after(&host, &format!("write_trial_entry {A} '{MORE}'")).await.starts_with("1 "), "{why}");
            assert!(!host.path(GRUB_OURS).exists(), "{why}");
        }
    }
    for host in Host::each(&long) {
        let words = format!("write_trial_entry {A} '{MORE}'; set_trial_once {A}");
        assert_eq!(after(&host, &words).await, "1 25.11.2 [] \n", "not within one sector");
    }
    // What GRUB would read in another way, and what it puts before the line.
    for (options, more, fits) in
        [("a=1", MORE, true), ("a=\"1\"", MORE, false), ("a=$b", MORE, false), ("a;b", MORE, false)]
    {
        let tree =
            with(crate::grub::hooked("0").replace("25.11.1/init loglevel=4", &format!("25.11.1/init {options}")));
        for host in Host::each(&tree) {
            let words = format!("find_own_entry {A}; judge_options '{more}' >/dev/null");
            assert_eq!(after(&host, &words).await.starts_with("0 "), fits, "{options}");
        }
    }
}

#[tokio::test]
async fn in_grub_somebody_else_s_next_boot_is_neither_overwritten_nor_emptied() {
    for host in Host::each(&grub().file("boot/grub/grubenv", crate::grub::environment("next_entry=2>1\n"))) {
        let theirs = "25.11.2 [2>1] 25.11.1\n";
        assert_eq!(after(&host, &format!("write_trial_entry {A} '{MORE}'")).await, format!("1 {theirs}"));
        assert_eq!(after(&host, &format!("set_trial_once {A}")).await, format!("1 {theirs}"));
        assert_eq!(after(&host, "remove_trial_entry").await, format!("0 {theirs}"));
    }
}
