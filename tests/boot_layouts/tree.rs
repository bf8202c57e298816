//! A host's file system, as little of it as the reader looks at: what is to be written, after the real formats.

use std::fs::File;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, SystemTime};

pub(crate) const A: &str = "/nix/store/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-nixos-system-vps-25.11.1";
pub(crate) const B: &str = "/nix/store/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb-nixos-system-vps-25.11.2";
pub(crate) const C: &str = "/nix/store/cccccccccccccccccccccccccccccccc-nixos-system-vps-25.11.3";
/// Runs and was booted on every layout, and its profile's only generation; no menu has it unless the layout says so.
pub(crate) const RUNS: &str = "/nix/store/rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr-nixos-system-vps-25.11.0";
pub(crate) const MACHINE: &str = "1e7e1eea20dd855201641749a2e5733d";

const SYSTEMD_BOOT: &str = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
const FIRMWARE: &str = "8be4df61-93ca-11d2-aa0d-00e098032b8c";

#[derive(Debug, Clone)]
enum Node {
    Text(Vec<u8>),
    Link(String),
    Folder,
    Gone,
}

/// Files in the order in which they are written; a later one takes the place of an earlier one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tree {
    nodes: Vec<(String, Node)>,
    /// How long ago a file was written, in minutes.
    ages: Vec<(String, u64)>,
}

impl Tree {
    /// A host on [`RUNS`], whose installer does not say whose it is.
    pub(crate) fn new() -> Self {
        Self::default()
            .link("run/current-system", RUNS)
            .link("run/booted-system", RUNS)
            .link("nix/var/nix/profiles/system", "system-1-link")
            .link("nix/var/nix/profiles/system-1-link", RUNS)
    }

    pub(crate) fn file(mut self, path: &str, text: impl Into<Vec<u8>>) -> Self {
        self.nodes.push((path.to_owned(), Node::Text(text.into())));
        self
    }

    pub(crate) fn link(mut self, path: &str, target: &str) -> Self {
        self.nodes.push((path.to_owned(), Node::Link(target.to_owned())));
        self
    }

    pub(crate) fn folder(mut self, path: &str) -> Self {
        self.nodes.push((path.to_owned(), Node::Folder));
        self
    }

    pub(crate) fn without(mut self, path: &str) -> Self {
        self.nodes.push((path.to_owned(), Node::Gone));
        self
    }

    pub(crate) fn aged(mut self, path: &str, minutes: u64) -> Self {
        self.ages.push((path.to_owned(), minutes));
        self
    }

    /// What the running system's `switch-to-configuration` would install, by the name of its program.
    pub(crate) fn installs(self, program: &str) -> Self {
        self.installs_on(RUNS, program)
    }

    pub(crate) fn installs_on(self, system: &str, program: &str) -> Self {
        let text = format!(
            "#!/bin/sh\nexport OUT='{system}'\nexport INSTALL_BOOTLOADER='/nix/store/{}-{program}'\n",
            "0".repeat(32)
        );
        self.file(&format!("{}/bin/switch-to-configuration", &system[1..]), text)
    }

    /// A variable of systemd-boot: four bytes of attributes, then UTF-16 with an end.
    pub(crate) fn variable(self, name: &str, value: &str) -> Self {
        let mut bytes = vec![7, 0, 0, 0];
        bytes.extend(value.encode_utf16().chain([0]).flat_map(u16::to_le_bytes));
        self.file(&format!("sys/firmware/efi/efivars/{name}-{SYSTEMD_BOOT}"), bytes)
    }

    /// The list that systemd-boot leaves of what it showed: each with an end of its own.
    pub(crate) fn loader_entries(self, names: &[&str]) -> Self {
        let mut bytes = vec![6, 0, 0, 0];
        for name in names {
            bytes.extend(name.encode_utf16().chain([0]).flat_map(u16::to_le_bytes));
        }
        self.file(&format!("sys/firmware/efi/efivars/LoaderEntries-{SYSTEMD_BOOT}"), bytes)
    }

    pub(crate) fn boot_next(self, number: u16) -> Self {
        let mut bytes = vec![7, 0, 0, 0];
        bytes.extend(number.to_le_bytes());
        self.file(&format!("sys/firmware/efi/efivars/BootNext-{FIRMWARE}"), bytes)
    }

    /// The kernel's list of mounts: `PLACE DEVICE`, each an ordinary partition.
    pub(crate) fn mounts(self, mounts: &[(&str, &str)]) -> Self {
        let line = |(at, (place, device)): (usize, &(&str, &str))| {
            let (kind, device) = if *device == "autofs" { ("autofs", "systemd-1") } else { ("vfat", *device) };
            format!("{} 1 8:{at} / {place} rw,relatime shared:{at} - {kind} {device} rw,fmask=0022\n", 30 + at)
        };
        let lines = mounts.iter().enumerate().map(line).collect::<Vec<_>>().concat();
        self.file("proc/self/mountinfo", format!("22 1 8:2 / / rw,noatime - ext4 /dev/sda2 rw\n{lines}"))
    }

    /// An entry of systemd-boot on the partition at `place`, and its kernel and initrd there.
    pub(crate) fn entry(self, place: &str, entry: &Entry) -> Self {
        let tree = self.file(&format!("{place}/loader/entries/{}", entry.name), entry.text());
        if entry.kernel_is_gone {
            return tree;
        }
        tree.file(&format!("{place}/EFI/nixos/{}", entry.kernel()), "MZ kernel")
            .file(&format!("{place}/EFI/nixos/initrd.efi"), "initrd")
    }

    pub(crate) fn write_to(&self, root: &Path) {
        for (path, node) in &self.nodes {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            match node {
                Node::Text(text) => std::fs::write(path, text).unwrap(),
                Node::Link(target) => {
                    let _ = std::fs::remove_file(&path);
                    symlink(target, path).unwrap();
                }
                Node::Folder => std::fs::create_dir_all(path).unwrap(),
                Node::Gone if path.is_dir() => std::fs::remove_dir_all(path).unwrap(),
                Node::Gone => std::fs::remove_file(path).unwrap(),
            }
        }
        for (path, minutes) in &self.ages {
            let when = SystemTime::now() - Duration::from_secs(60 * minutes);
            File::options().write(true).open(root.join(path)).unwrap().set_modified(when).unwrap();
        }
    }
}

/// A type 1 entry as NixOS's builder writes it.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) sort_key: Option<&'static str>,
    pub(crate) machine: &'static str,
    /// Instead of the line that names the kernel.
    pub(crate) loads: Option<String>,
    pub(crate) options: Option<String>,
    kernel_is_gone: bool,
}

impl Entry {
    pub(crate) fn generation(number: u32, system: &str) -> Self {
        Self {
            name: format!("nixos-generation-{number}.conf"),
            version: format!(
                "Generation {number} NixOS Xantusia 25.11.{number} (Linux 6.12.{number}), built on 2026-11-02"
            ),
            sort_key: Some("nixos"),
            machine: MACHINE,
            loads: None,
            options: Some(format!("init={system}/init loglevel=4 lsm=landlock,yama,bpf")),
            kernel_is_gone: false,
        }
    }

    pub(crate) fn named(mut self, name: &str) -> Self {
        self.name = name.into();
        self
    }

    pub(crate) fn version(mut self, version: &str) -> Self {
        self.version = version.into();
        self
    }

    pub(crate) fn sorted(mut self, key: Option<&'static str>) -> Self {
        self.sort_key = key;
        self
    }

    pub(crate) fn of_machine(mut self, machine: &'static str) -> Self {
        self.machine = machine;
        self
    }

    pub(crate) fn loading(mut self, line: &str) -> Self {
        self.loads = Some(line.to_owned());
        self
    }

    pub(crate) fn options(mut self, options: Option<&str>) -> Self {
        self.options = options.map(str::to_owned);
        self
    }

    /// Its files are not on the partition.
    pub(crate) fn gone(mut self) -> Self {
        self.kernel_is_gone = true;
        self
    }

    pub(crate) fn kernel(&self) -> String {
        format!("{}-linux-bzImage.efi", self.name.replace(".conf", ""))
    }

    pub(crate) fn text(&self) -> String {
        let own = |key: &str, value: &str| format!("{key} {value}\n");
        let mut lines = vec![own("title", "NixOS"), own("version", &self.version), own("machine-id", self.machine)];
        lines.extend(self.sort_key.map(|key| own("sort-key", key)));
        match &self.loads {
            Some(loads) => lines.push(format!("{loads}\n")),
            None => lines.extend([
                own("linux", &format!("/EFI/nixos/{}", self.kernel())),
                own("initrd", "/EFI/nixos/initrd.efi"),
            ]),
        }
        lines.extend(self.options.iter().flat_map(|options| options.lines()).map(|line| own("options", line)));
        lines.concat()
    }
}

/// A unified image: a PE with the sections that a loader looks at, in the order and with the room that `ukify` leaves.
#[derive(Debug, Clone)]
pub(crate) struct Image {
    sections: Vec<(&'static str, Vec<u8>)>,
}

impl Image {
    pub(crate) fn new(release: &str, system: &str) -> Self {
        // Text of the stub that looks like what is searched for, and lines of every length.
        let stub = b"ID=stub\ninit=/nix/store/x/init\n\x90\x90\n\n".repeat(300);
        Self {
            sections: vec![
                (".text", stub),
                (".osrel", release.as_bytes().to_vec()),
                (".cmdline", format!("init={system}/init loglevel=4").into_bytes()),
                (".initrd", b"\x1f\x8b initrd\0\n".repeat(50)),
                (".linux", b"MZ kernel\0\n".repeat(50)),
            ],
        }
    }

    /// What lanzaboote writes: the generation is in the version.
    pub(crate) fn generation(number: u32, system: &str) -> Self {
        Self::new(
            &format!(
                "ID=lanza\nPRETTY_NAME=\"NixOS 25.11.{number} (Generation {number})\"\nVERSION_ID=\"Generation \
                 {number}, 2026-11-02\"\n"
            ),
            system,
        )
    }

    pub(crate) fn lacking(mut self, section: &str) -> Self {
        self.sections.retain(|(name, _)| *name != section);
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        const HEADER: usize = 0x80;
        let mut image = vec![0; HEADER];
        image[..2].copy_from_slice(b"MZ");
        image[0x3c] = HEADER.to_le_bytes()[0];
        image.extend(b"PE\0\0");
        let count = u16::try_from(self.sections.len()).unwrap();
        // COFF: x86-64, sections, no symbols, an optional header of 240 bytes, an executable image.
        image.extend(0x8664_u16.to_le_bytes());
        image.extend(count.to_le_bytes());
        image.extend([0; 12]);
        image.extend(240_u16.to_le_bytes());
        image.extend(0x0022_u16.to_le_bytes());
        let mut optional = vec![0; 240];
        optional[..2].copy_from_slice(&0x20b_u16.to_le_bytes());
        optional[68..70].copy_from_slice(&10_u16.to_le_bytes());
        optional[108..112].copy_from_slice(&16_u32.to_le_bytes());
        image.extend(optional);
        let mut at = 0x1000;
        for (name, content) in &self.sections {
            let mut header = [0; 40];
            header[..name.len()].copy_from_slice(name.as_bytes());
            let length = u32::try_from(content.len()).unwrap();
            let place = u32::try_from(at).unwrap();
            header[8..12].copy_from_slice(&length.to_le_bytes());
            header[12..16].copy_from_slice(&place.to_le_bytes());
            header[16..20].copy_from_slice(&length.next_multiple_of(512).to_le_bytes());
            header[20..24].copy_from_slice(&place.to_le_bytes());
            image.extend(header);
            at += content.len().next_multiple_of(512);
        }
        image.resize(0x1000, 0);
        for (_, content) in &self.sections {
            image.extend(content);
            image.resize(image.len().next_multiple_of(512), 0);
        }
        image
    }
}
