//! Runs the reader on a tree, as a host's /bin/sh would: each shell with each awk that a host may have.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use fleetdeploy::local::process::Invocation;

use crate::tree::Tree;

/// Shell and awk; both must be here, for a table that was run under half of them proves half.
const KINDS: [(&str, &str); 2] = [("dash", "mawk"), ("bash", "gawk")];
const SCRIPTS: [&str; 10] = [
    "lib.sh",
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

/// A file of efivarfs cannot be seeked, and GNU tail seeks in every regular file. On a real one: `scripts/lab/efi.sh`.
const TAIL: &str = r#"#!/bin/sh
for word in "$@"; do
    case $word in
    -*) ;;
    *) [ ! -f "$word" ] || { echo "tail: cannot seek to relative offset 4: Illegal seek" >&2; exit 1; } ;;
    esac
done
[ ! -f /dev/stdin ] || { echo "tail: cannot seek to relative offset 4: Illegal seek" >&2; exit 1; }
exec /usr/bin/tail "$@"
"#;

pub(crate) struct Host {
    pub(crate) root: tempfile::TempDir,
    programs: tempfile::TempDir,
    shell: &'static str,
    awk: &'static str,
}

impl Host {
    /// The same tree, once for each kind.
    pub(crate) fn each(tree: &Tree) -> Vec<Self> {
        KINDS.iter().map(|(shell, awk)| Self::new(tree, shell, awk)).collect()
    }

    fn new(tree: &Tree, shell: &'static str, awk: &'static str) -> Self {
        let host = Self { root: tempfile::tempdir().unwrap(), programs: tempfile::tempdir().unwrap(), shell, awk };
        tree.write_to(host.root.path());
        let awk = ["/usr/bin", "/bin"].iter().map(|folder| Path::new(folder).join(awk)).find(|awk| awk.exists());
        let awk = awk.unwrap_or_else(|| panic!("there is no {}: scripts/test.sh installs it", host.awk));
        symlink(awk, host.programs.path().join("awk")).unwrap();
        host.program("tail", TAIL);
        host.program("systemd-detect-virt", "#!/bin/sh\necho none\nexit 1\n");
        host.program("uname", "#!/bin/sh\necho x86_64\n");
        host
    }

    /// A program that stands before the machine's own.
    pub(crate) fn program(&self, name: &str, text: &str) {
        let path = self.programs.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    /// What these words print after all of the reader's functions; nothing may be said on the error output.
    pub(crate) async fn says(&self, words: &str) -> String {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/remote/scripts");
        let text: String = SCRIPTS.iter().map(|file| std::fs::read_to_string(folder.join(file)).unwrap()).collect();
        // As it is sent: an argument of a program has no room for all the comments.
        let is_sent = |line: &&str| !line.is_empty() && !line.trim_start().starts_with('#');
        let text: String = text.lines().filter(is_sent).flat_map(|line| [line, "\n"]).collect();
        let finished = Invocation::new(self.shell, Duration::from_secs(600))
            .args(["-c", "eval \"$1\"", "test"])
            .arg(format!("{text}\n{words}"))
            .env("FLEETDEPLOY_ROOT", self.root.path())
            .env("PATH", format!("{}:{}", self.programs.path().display(), std::env::var("PATH").unwrap()))
            .run()
            .await
            .unwrap();
        assert_eq!(finished.stderr_text(), "", "{}", self.kind());
        finished.stdout_text()
    }

    pub(crate) fn kind(&self) -> String {
        format!("{} with {}", self.shell, self.awk)
    }
}
