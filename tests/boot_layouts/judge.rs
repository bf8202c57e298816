//! bootctl, asked about every layout that it can judge: what it lists as the default must be what the reader found.
//!
//! It lists type 1 entries whose files are gone, which the loader does not show: those are taken away before it is
//! asked. It wants partitions, so each tree is mounted where it looks, in a mount namespace of its own; and the lab's
//! base has the newest bootctl that Debian has.

use std::path::Path;
use std::time::Duration;

use fleetdeploy::local::process::{Finished, Invocation};

use crate::layout::{Judge, Layout};

/// `judge ROOT TREE ESP EXTRA`: nothing of ROOT is changed, for what is mounted is seen here alone.
const ASK: &str = r#"
set -eu
mount -t tmpfs tmpfs "$1/mnt"
mkdir "$1/mnt/esp" "$1/mnt/extra" "$1/mnt/sys"
mount --bind "$2/$3" "$1/mnt/esp"
set -- "$1" "$2" "$4" --esp-path=/mnt/esp
if [ "$3" != - ]; then
    mount --bind "$2/$3" "$1/mnt/extra"
    set -- "$@" --boot-path=/mnt/extra
fi
# With no folder for it, this machine's own variables would be seen.
mount --bind "$1/mnt/sys" "$1/sys"
[ ! -d "$2/sys" ] || mount --bind "$2/sys" "$1/sys"
root=$1
shift 3
exec chroot "$root" env SYSTEMD_RELAX_ESP_CHECKS=1 SYSTEMD_RELAX_XBOOTLDR_CHECKS=1 bootctl list --json=short "$@"
"#;

async fn run(program: &str, arguments: &[&str]) -> Finished {
    Invocation::new(program, Duration::from_secs(900)).args(arguments).run().await.unwrap()
}

/// The root of the lab's base, or another one that is named: it has bootctl.
async fn base() -> String {
    if let Ok(root) = std::env::var("FLEETDEPLOY_BOOTCTL_ROOT") {
        return root;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/lab.sh");
    let found = run(script.to_str().unwrap(), &["base"]).await;
    assert!(found.succeeded(), "the lab's base cannot be built: {}", found.stderr_text());
    format!("{}/root", found.stdout_text().trim())
}

/// The command line of what bootctl takes for the default.
async fn default(root: &str, tree: &Path, esp: &str, extra: Option<&str>) -> String {
    let arguments = ["-m", "sh", "-c", ASK, "judge", root, tree.to_str().unwrap(), esp, extra.unwrap_or("-")];
    let listed = run("unshare", &arguments).await;
    // Without any entry it says so and fails.
    let Ok(entries) = serde_json::from_str::<Vec<serde_json::Value>>(&listed.stdout_text()) else {
        assert!(listed.stderr_text().contains("No boot loader entries"), "{}", listed.stderr_text());
        return String::new();
    };
    let chosen = entries.iter().find(|entry| entry["isDefault"] == true);
    chosen.and_then(|entry| entry["cmdline"].as_str().or(entry["options"].as_str())).unwrap_or_default().to_owned()
}

/// Takes away the entries that systemd-boot does not show, because what they load is not on their partition.
fn without_what_is_gone(partition: &Path) {
    let Ok(entries) = std::fs::read_dir(partition.join("loader/entries")) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let loads = text.lines().filter_map(|line| {
            let (key, value) = line.trim().split_once(char::is_whitespace)?;
            ["linux", "efi"].contains(&key).then(|| value.trim().replace('\\', "/"))
        });
        let here = loads.clone().count() > 0
            && loads.into_iter().all(|file| partition.join(file.trim_start_matches('/')).exists());
        if !here {
            std::fs::remove_file(path).unwrap();
        }
    }
}

#[tokio::test]
#[ignore = "wants root and the lab's base: scripts/test.sh runs it"]
async fn bootctl_agrees_with_every_layout_that_it_can_judge() {
    let root = base().await;
    let version = run("chroot", &[&root, "bootctl", "--version"]).await;
    assert!(version.succeeded(), "there is no bootctl in {root}, so nobody judges: {}", version.stderr_text());
    let (mut asked, mut wrong) = (0, Vec::new());
    for layout in crate::every_layout() {
        let (esp, extra) = match layout.judge {
            Judge::Bootctl { esp, extra } => (esp, extra),
            Judge::Nobody(why) => {
                eprintln!("not judged: {} ({}): {why}", layout.name, layout.loader);
                continue;
            }
        };
        let tree = tempfile::tempdir().unwrap();
        layout.tree.write_to(tree.path());
        [Some(esp), extra].into_iter().flatten().for_each(|place| without_what_is_gone(&tree.path().join(place)));
        let Layout { name, boots, next, .. } = layout;
        let mut expectations = vec![("default", boots)];
        if let Some((_, Some(system))) = next {
            expectations.insert(0, ("next boot", Some(system)));
        }
        for (what, system) in expectations {
            if what == "default" {
                let once = tree
                    .path()
                    .join("sys/firmware/efi/efivars/LoaderEntryOneShot-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f");
                let _ = std::fs::remove_file(once);
            }
            asked += 1;
            let said = default(&root, tree.path(), esp, extra).await;
            let agrees = match system {
                Some(system) => said.contains(&format!("init={system}/init")),
                None => !said.contains("init=/nix/store/"),
            };
            if !agrees {
                wrong.push(format!("{name}: the {what} is {system:?} by the table, and bootctl starts {said:?}"));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert!(asked >= 60, "bootctl judged only {asked}");
}
