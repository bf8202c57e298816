//! The scripts that look at a host before a push, run on trees of files: what they find of the boot, of disks that may
//! ask, and of a check that is too slow. Under every shell that a host may have as `/bin/sh`.
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::fmt::Write as _;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use fleetdeploy::local::process::Invocation;
use pretty_assertions::assert_eq;

const SYSTEM: &str = "/nix/store/0gv1yx3wnyzhi0bjgjbmvxy7qnzwzw5h-nixos-system-vps-1";
const READER: [&str; 11] = [
    "lib.sh",
    "traces.sh",
    "boot.sh",
    "boot_systemd.sh",
    "boot_grub.sh",
    "boot_others.sh",
    "boot_files.sh",
    "boot_trial.sh",
    "boot_once.sh",
    "witness.sh",
    "boot_once_grub.sh",
];

/// A host's file system, as little of it as the scripts look at.
struct Host {
    root: tempfile::TempDir,
}

impl Host {
    fn new() -> Self {
        let host = Self { root: tempfile::tempdir().unwrap() };
        host.write("proc/uptime", "1000.42 3000.00\n");
        host.write("proc/self/mountinfo", "");
        host.write("proc/sys/kernel/random/boot_id", "5f1c6b4e-8a43-4b0e-9c9f-0e3f5a1d2b7c\n");
        host.link("run/current-system", SYSTEM);
        host.link("run/booted-system", SYSTEM);
        host.link("nix/var/nix/profiles/system", "system-1-link");
        host.link("nix/var/nix/profiles/system-1-link", SYSTEM);
        host
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path.trim_start_matches('/'))
    }

    fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        std::fs::create_dir_all(self.path(path).parent().unwrap()).unwrap();
        std::fs::write(self.path(path), text).unwrap();
    }

    fn program(&self, path: &str, body: &str) {
        self.write(path, format!("#!/bin/sh\n{body}\n"));
        std::fs::set_permissions(self.path(path), std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn link(&self, path: &str, target: &str) {
        std::fs::create_dir_all(self.path(path).parent().unwrap()).unwrap();
        symlink(target, self.path(path)).unwrap();
    }

    /// What the words print after the files' functions; the same under every shell.
    async fn says(&self, files: &[&str], words: &str) -> String {
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/remote/scripts");
        let text: String = files.iter().map(|file| std::fs::read_to_string(scripts.join(file)).unwrap()).collect();
        // As it is sent: an argument of a program has no room for all the comments.
        let is_sent = |line: &&str| !line.is_empty() && !line.trim_start().starts_with('#');
        let text: String = text.lines().filter(is_sent).flat_map(|line| [line, "\n"]).collect();
        let mut said = None;
        for shell in ["dash", "bash"].into_iter().filter(|shell| Path::new("/bin").join(shell).exists()) {
            let finished = Invocation::new(shell, Duration::from_secs(60))
                .args(["-c", "eval \"$1\"", "test"])
                .arg(format!("{text}\n{words}"))
                .env("FLEETDEPLOY_ROOT", self.root.path())
                .env("PATH", format!("{}:{}", self.path("fake").display(), std::env::var("PATH").unwrap()))
                .run()
                .await
                .unwrap();
            assert_eq!(finished.stderr_text(), "", "{shell}");
            let text = finished.stdout_text();
            assert_eq!(said.get_or_insert_with(|| text.clone()), &text, "{shell} differs");
        }
        said.expect("there is a shell")
    }

    async fn survey(&self, words: &str) -> String {
        let files: Vec<&str> = READER.into_iter().chain(["wireguard.sh", "survey.sh"]).collect();
        self.says(&files, words).await
    }
}

/// A line of `/proc/self/mountinfo`.
fn mount(place: &str, kind: &str, source: &str) -> String {
    format!("22 1 0:21 / {place} rw,relatime shared:1 - {kind} {source} rw\n")
}

fn systemd_boot(host: &Host) {
    host.write(&format!("{SYSTEM}/bin/switch-to-configuration"), "exec /nix/store/x-systemd-boot-builder.py\n");
    host.write("boot/loader/loader.conf", "default nixos-generation-1.conf\n");
    host.write("boot/EFI/nixos/kernel.efi", "kernel");
    host.write("boot/EFI/nixos/initrd.efi", "initrd");
    host.write(
        "boot/loader/entries/nixos-generation-1.conf",
        format!(
            "title NixOS\nversion 1\nlinux /EFI/nixos/kernel.efi\ninitrd /EFI/nixos/initrd.efi\noptions \
             init={SYSTEM}/init\n"
        ),
    );
}

#[tokio::test]
async fn a_survey_says_whether_a_reboot_would_find_what_it_boots() {
    let host = Host::new();
    systemd_boot(&host);
    let said = host.survey("survey_boot").await;
    assert!(said.starts_with("boot_files ") && !said.contains("boot_missing"), "{said}");

    // What the inventory says and the system contradicts is not read, and is no file that is missing.
    let said = host
        .survey("told_loader=grub; survey_boot; put boot_default \"$boot_default\"; put boot_note \"$boot_note\"")
        .await;
    assert!(said.starts_with("boot_default \nboot_note the inventory says that grub boots this host"), "{said}");

    // Where a part of it is gone, whatever else the reader finds.
    std::fs::remove_file(host.path("boot/EFI/nixos/initrd.efi")).unwrap();
    let said = host.survey("survey_boot").await;
    assert!(said.starts_with("boot_files bad ") && said.contains("initrd"), "{said}");

    host.write("etc/fstab", "/dev/sda1 /boot vfat defaults 0 2\n");
    host.write("proc/self/mountinfo", mount("/", "ext4", "/dev/sda2"));
    let said = host.survey("survey_boot").await;
    assert!(said.starts_with("boot_missing ") && said.contains("/boot"), "{said}");
    assert!(!said.contains("boot_files"), "what follows from it is not said as well: {said}");
}

#[tokio::test]
async fn a_bcachefs_that_encrypts_itself_may_ask_for_its_passphrase() {
    // The superblock begins at 4096; the byte at 4249 has the kind of encryption in its bits 2 to 5.
    let superblock = |bits: u8| {
        let mut bytes = vec![0; 8192];
        bytes[4249] = bits;
        bytes
    };
    let host = Host::new();
    host.write("dev/plain", superblock(0b1100_0011));
    host.write("dev/one", superblock(0b0000_0100));
    host.write("proc/self/mountinfo", mount("/", "bcachefs", "/dev/plain:/dev/other"));
    assert_eq!(host.survey("crypto_below_system").await, "");
    // Not only below /: NixOS asks for each that it mounts at boot.
    host.write("proc/self/mountinfo", mount("/srv", "bcachefs", "/dev/one:/dev/two"));
    assert_eq!(host.survey("crypto_below_system").await, "crypto bcachefs on /dev/one\n");
    host.write("proc/self/mountinfo", mount("/", "bcachefs", "/dev/gone"));
    assert_eq!(host.survey("crypto_below_system").await, "crypto bcachefs on /dev/gone, which cannot be read\n");
}

#[tokio::test]
async fn every_encrypted_data_set_of_every_pool_may_ask() {
    let host = Host::new();
    host.program(
        "fake/zfs",
        "case \" $* \" in *' tank'*) exit 1 ;; esac; printf \
         'tank/root\\toff\\nbackup/all\\taes-256-gcm\\nbackup/swap\\t-\\n'",
    );
    host.write("proc/self/mountinfo", mount("/", "zfs", "tank/root") + &mount("/nix", "zfs", "tank/nix"));
    assert_eq!(host.survey("crypto_below_system").await, "crypto zfs backup/all (aes-256-gcm)\n");
}

#[tokio::test]
async fn what_a_container_sees_of_its_machine_s_disks_asks_nobody() {
    let host = Host::new();
    host.write("dev/one", vec![0xff; 8192]);
    host.write("proc/self/mountinfo", mount("/", "bcachefs", "/dev/one"));
    host.write("run/systemd/container", "lxc");
    assert_eq!(host.survey("loader=init survey_crypto").await, "");
    assert_ne!(host.survey("loader=systemd-boot survey_crypto").await, "");
}

#[tokio::test]
async fn a_check_that_is_cut_off_is_not_one_that_says_no() {
    let host = Host::new();
    std::fs::remove_file(host.path("proc/uptime")).unwrap();
    host.link("proc/uptime", "/proc/uptime");
    let check = |body: &str| {
        let body = format!("case $1 in --help) echo 'boot check test' ;; check) {body} ;; esac");
        host.program(&format!("{SYSTEM}/bin/switch-to-configuration"), &body);
    };
    let files: Vec<&str> = READER.into_iter().chain(["comparing.sh", "prepare.sh"]).collect();
    let words = format!("new={SYSTEM} check_limit=2; check_new");
    check("echo fine");
    assert_eq!(host.says(&files, &words).await, "check ok\nlog fine\n");
    check("echo no; exit 1");
    assert_eq!(host.says(&files, &words).await, "check failed\nlog no\n");
    check("echo slow; sleep 20");
    assert_eq!(host.says(&files, &words).await, "check cut_off\nlog slow\n");
    // The same status, from a check that has ended by itself.
    check("exit 124");
    assert_eq!(host.says(&files, &words).await, "check failed\n");
}

/// What systemd says of one unit, in no order that anybody promises.
const SHOWN: &str = "\
TriggeredBy=
NRestarts=0
ExecMainStatus=0
Id=app.service
RequiredBy=
WantedBy=multi-user.target
LoadState=loaded
ActiveState=active
SubState=running
Transient=no
InvocationID=aa

Id=loop.service
NRestarts=2
ExecMainStatus=1
WantedBy=
TriggeredBy=loop.timer
ActiveState=activating
SubState=auto-restart
InvocationID=bb

Id=gone.service
LoadState=not-found
ActiveState=failed
SubState=failed
InvocationID=cc

Id=a.mount
ActiveState=failed
SubState=failed
BoundBy=b.service
InvocationID=

Id=nix.socket
ActiveState=active
SubState=running
InvocationID=dd

Id=run-1.service
Transient=yes
ActiveState=active
SubState=running
InvocationID=ee

Id=user@1000.service
ActiveState=failed
SubState=failed
InvocationID=ff

Id=fleetdeploy-guard.service
ActiveState=active
SubState=running
InvocationID=ab";

#[tokio::test]
async fn units_are_read_with_their_starts_and_who_starts_them_and_a_users_manager_is_none_of_them() {
    let host = Host::new();
    host.program("bin/systemctl", &format!("cat <<'EOF'\n{SHOWN}\nEOF"));
    let said =
        host.says(&["lib.sh"], "PATH=$root/bin:$PATH; read_units; printf '%s\\n%s' \"$units\" \"$own_units\"").await;
    let wanted = "\
unit_now app.service aa active =n
failed_unit loop.service
restarts loop.service 3
unit_now loop.service bb failed =t
failed_unit gone.service
unit_now gone.service cc failed =g
failed_unit a.mount
unit_now a.mount - failed =n
unit_now run-1.service ee active =x
unit fleetdeploy-guard.service active
";
    assert_eq!(said, wanted);
}

/// systemd with these units: `UNIT LOAD ACTIVE SUB INVOCATION RESTARTS`. Its list and what it shows are the same.
fn systemd(host: &Host, units: &[(&str, &str, &str, &str, &str, u64)]) {
    let mut list = String::new();
    for (unit, load, active, sub, invocation, restarts) in units {
        let _ = writeln!(list, "{unit} {load} {active} {sub} Some words of {unit}");
        let shown = format!(
            "NRestarts={restarts}\nId={unit}\nLoadState={load}\nWantedBy=multi-user.target\nActiveState={active}\n\
             SubState={sub}\nExecMainStatus=1\nInvocationID={invocation}\n"
        );
        host.write(&format!("systemd/{unit}"), shown);
        let link = format!("run/systemd/units/invocation:{unit}");
        let _ = std::fs::remove_file(host.path(&link));
        if *active == "active" {
            host.link(&link, invocation);
        }
    }
    host.write("list", list);
    host.program(
        "fake/systemctl",
        r#"cd "$FLEETDEPLOY_ROOT"
        if [ "$1" = list-units ]; then cat list; exit; fi
        names='' over=''
        for word; do case $over$word in
            --) over=over: ;;
            -.*) exit 1 ;; # an option that there is not
            *.service | *.mount) names="$names $word" ;;
        esac; done
        case $names in *'*'*) names=$(cut -d ' ' -f 1 list) ;; *) echo "asked for$names" >>asked ;; esac
        for name in $names; do [ -z "$between" ] || echo; between=yes; cat "systemd/$name"; done"#,
    );
}

const RUNS: [(&str, &str, &str, &str, &str, u64); 4] = [
    ("app.service", "loaded", "active", "running", "a1", 0),
    (r"dev\x2dfoo@1.service", "loaded", "active", "running", "b2", 3),
    ("old.service", "not-found", "active", "running", "c3", 0),
    ("nix.socket", "loaded", "active", "running", "d4", 0),
];

/// What the coordinator makes of the answer about the four.
const KNOWN: &str = r" app.service=a1=n=0 dev\x2dfoo@1.service=b2=n=3 old.service=c3=gn=0 ";

#[tokio::test]
async fn of_services_that_were_not_started_since_systemd_is_not_asked_again() {
    let host = Host::new();
    let whole = "read_units; printf '%s\n' \"$units\" | sort";
    let told = format!("known_units='{KNOWN}'; {whole}; [ ! -e \"$root/asked\" ] || cat \"$root/asked\"");
    let ends = |one: &str, asked: &str| format!("{one}{asked}");
    systemd(&host, &RUNS);
    // Nothing has changed.
    let said = host.says(&["lib.sh"], whole).await;
    assert!(said.contains("unit_now old.service c3 active =gn\n"), "{said}");
    assert_eq!(host.says(&["lib.sh"], &told).await, said);
    // Each change by itself is seen, and asked for alone: a new start, a restart that is waited for, a failure, a new
    // service, and a system that has one no more, or has it again.
    let changed = [
        (vec![("app.service", "loaded", "active", "running", "a9", 1)], "app.service"),
        (vec![("app.service", "loaded", "activating", "auto-restart", "a1", 0)], "app.service"),
        (vec![("app.service", "loaded", "failed", "failed", "a1", 0)], "app.service"),
        (vec![("app.service", "loaded", "deactivating", "stop-sigterm", "a1", 0)], "app.service"),
        (vec![("a.mount", "loaded", "failed", "failed", "", 0)], "a.mount"),
        (vec![("-.mount", "loaded", "reloading", "reloading", "", 0)], "-.mount"),
        (vec![("new.service", "loaded", "active", "running", "e5", 0)], "new.service"),
        (vec![("old.service", "loaded", "active", "running", "c3", 0)], ""),
        (vec![("app.service", "not-found", "active", "running", "a1", 0)], ""),
    ];
    for (changes, asked) in changed {
        let kept = RUNS.iter().filter(|(unit, ..)| !changes.iter().any(|(other, ..)| other == unit));
        let units: Vec<_> = changes.iter().chain(kept).copied().collect();
        systemd(&host, &units);
        let said = host.says(&["lib.sh"], whole).await;
        let asked = if asked.is_empty() { String::new() } else { format!("asked for {asked}\n") };
        let told = format!("rm -f \"$root/asked\"; {told}");
        assert_eq!(host.says(&["lib.sh"], &told).await, ends(&said, &asked), "{changes:?}");
    }
    // Without its link a service is asked for.
    systemd(&host, &RUNS);
    std::fs::remove_file(host.path("run/systemd/units/invocation:app.service")).unwrap();
    let told = format!("rm -f \"$root/asked\"; {told}");
    assert_eq!(host.says(&["lib.sh"], &told).await, ends(&said, "asked for app.service\n"));
    // A systemd that says nothing is no empty host.
    host.program("fake/systemctl", "exit 1");
    assert_eq!(host.says(&["lib.sh"], &format!("known_units='{KNOWN}'; read_units; echo \"[$units]\"")).await, "[]\n");
}

#[tokio::test]
async fn what_a_unit_made_roll_back_is_told_while_it_has_failed_and_forgotten_after_that() {
    let kept = "nix/var/nix/gcroots/fleetdeploy/failed_units";
    let units =
        "units='unit_now a.service 1 failed =n\nunit_now b.service 2 moving =n\nunit_now c.service 3 active =n'";
    let files = ["lib.sh", "survey.sh"];
    let script = format!("{units}; survey_remembered; cat \"$root/{kept}\" 2>/dev/null || :");
    let fresh = |lease: bool| {
        let host = Host::new();
        host.write(kept, "a.service r-0\nb.service r-0\nc.service r-1\nd.service r-1\n");
        if lease {
            host.write("run/fleetdeploy/lease", "r-2 1 ada@laptop\n");
        }
        host
    };
    let told = "remembered a.service r-0\n";
    assert_eq!(fresh(false).says(&files, &script).await, format!("{told}a.service r-0\nb.service r-0\n"));
    // Nothing is forgotten while a run is at work, nor where systemd did not answer.
    let all = "a.service r-0\nb.service r-0\nc.service r-1\nd.service r-1\n";
    assert_eq!(fresh(true).says(&files, &script).await, format!("{told}{all}"));
    let silent = script.replace(units, "units=''");
    assert_eq!(fresh(false).says(&files, &silent).await, all);
    let well = script.replace(units, "units='unit_now x.service 1 active ='");
    assert_eq!(fresh(false).says(&files, &well).await, "");

    let host = fresh(true);
    let remember =
        format!("main r-2 1 e.service a.service; main r-2 0 x.service; main r-3 1 x.service; cat \"$root/{kept}\"");
    let said = host.says(&["lib.sh", "remember.sh"], &remember.replace("main ", "(main ").replace(';', ");")).await;
    assert!(said.ends_with("e.service r-2\na.service r-2\n"), "{said}");
    assert_eq!(said.matches("refused foreign_lease").count(), 2, "{said}");
}
