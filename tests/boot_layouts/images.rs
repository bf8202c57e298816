//! Unified images: lanzaboote's, and others'.

use crate::layout::Layout;
use crate::tree::{A, B, C, Entry, Image, Tree};

fn boots(name: &'static str, tree: Tree, system: &'static str) -> Layout {
    Layout::new(name, "systemd-boot", tree, Some(system))
}

pub(crate) fn layouts() -> Vec<Layout> {
    let mut all = ordered();
    all.extend(odd());
    all
}

fn image(tree: Tree, name: &str, image: &Image) -> Tree {
    tree.file(&format!("boot/EFI/Linux/{name}"), image.bytes())
}

fn conf() -> Tree {
    Tree::new().file("boot/loader/loader.conf", "timeout 1\ndefault nixos-*\n")
}

fn three() -> Tree {
    let tree = image(conf(), "nixos-generation-8-zzz.efi", &Image::generation(8, A));
    let tree = image(tree, "nixos-generation-10-aaa.efi", &Image::generation(10, B));
    image(tree, "nixos-generation-9-mmm.efi", &Image::generation(9, C))
}

/// By what the image says of itself.
fn ordered() -> Vec<Layout> {
    let release = Image::new;
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
    ]
}

/// Images that are none, and entries beside images.
fn odd() -> Vec<Layout> {
    vec![
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
