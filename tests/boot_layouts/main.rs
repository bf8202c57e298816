//! What a reboot brings: the reader on a table of layouts, each a small tree of files after the real formats.
//!
//! Every layout is read under dash with mawk and under bash with gawk, with a `tail` in the way that cannot seek. What
//! bootctl can judge it is asked too (`judge.rs`); that test wants root and the lab's base, and `scripts/test.sh` runs
//! it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stderr, reason = "the judge says what it was not asked")]

mod host;
mod judge;
mod layout;
mod tree;

mod grub;
mod images;
mod others;
mod places;
mod systemd;

mod entry;
mod missing;
mod once;
mod short;
mod trial;
mod whole;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use pretty_assertions::assert_eq;

use crate::host::Host;
use crate::layout::Layout;
use crate::tree::Tree;

fn every_layout() -> Vec<Layout> {
    [systemd::layouts(), images::layouts(), places::layouts(), grub::layouts(), others::layouts()]
        .into_iter()
        .flatten()
        .collect()
}

/// Reads the table's rows, all in one shell as a guard reads again and again, and shows all that are wrong. The second
/// kind of host reads them the other way round: nothing of one may be left for another.
async fn read(layouts: Vec<Layout>) {
    let mut wrong = String::new();
    for (at, host) in Host::each(&Tree::default()).into_iter().enumerate() {
        let mut order: Vec<usize> = (0..layouts.len()).collect();
        if at == 1 {
            order.reverse();
        }
        let mut words = String::new();
        for row in &order {
            let layout = &layouts[*row];
            layout.tree.write_to(&host.path(&row.to_string()));
            write!(
                words,
                "root=$FLEETDEPLOY_ROOT/{row}; profiles=$root/nix/var/nix/profiles; told_loader='{}'\n\
                 # On one host a store path is always the same.\n\
                 installers_known=' '; read_systems\n\
                 echo \"$loader|$boot_default|$next_boot|$next_boot_system\"; echo \"$boot_note\"\n",
                layout.told
            )
            .unwrap();
        }
        let said = host.says(&words).await;
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines.len(), 2 * layouts.len());
        for (row, answer) in order.into_iter().zip(lines.chunks(2)) {
            let layout = &layouts[row];
            let expected = layout.expected();
            let (found, note) = (answer[0], answer[1]);
            let noted = if layout.note.is_empty() { note.is_empty() } else { note.contains(layout.note) };
            if found != expected || !noted {
                let (name, kind) = (layout.name, host.kind());
                write!(wrong, "{name} ({kind}):\n  wants {expected} {}\n  reads {found} {note}\n", layout.note)
                    .unwrap();
            }
        }
    }
    assert_eq!(wrong, "");
}

#[tokio::test]
async fn systemd_boot_is_read_as_it_reads_itself() {
    read(systemd::layouts()).await;
}

#[tokio::test]
async fn unified_images_are_read_as_systemd_boot_reads_them() {
    read(images::layouts()).await;
}

#[tokio::test]
async fn the_loader_and_its_place_are_found() {
    read(places::layouts()).await;
}

#[tokio::test]
async fn grub_is_read_as_it_reads_itself() {
    read(grub::layouts()).await;
}

#[tokio::test]
async fn extlinux_and_a_bare_init_are_read() {
    read(others::layouts()).await;
}

#[test]
fn every_layout_has_a_name_of_its_own_and_there_are_enough() {
    let layouts = every_layout();
    let named: BTreeSet<(&str, &str)> = layouts.iter().map(|layout| (layout.loader, layout.name)).collect();
    assert_eq!(named.len(), layouts.len());
    assert!(layouts.len() >= 70, "{}", layouts.len());
}
