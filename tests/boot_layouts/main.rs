//! What a reboot brings: the reader on a table of layouts, each a small tree of files after the real formats.
//!
//! Every layout is read under dash with mawk and under bash with gawk, with a `tail` in the way that cannot seek. What
//! bootctl can judge it is asked too (`judge.rs`); that test wants root and the lab's base, and `scripts/test.sh` runs it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stderr, reason = "the judge says what it was not asked")]

mod host;
mod judge;
mod layout;
mod tree;

mod grub;
mod others;
mod places;
mod systemd;

mod missing;
mod once;
mod whole;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use pretty_assertions::assert_eq;

use crate::host::Host;
use crate::layout::Layout;

fn every_layout() -> Vec<Layout> {
    [systemd::layouts(), places::layouts(), grub::layouts(), others::layouts()].into_iter().flatten().collect()
}

/// Runs the table's rows and shows all that are wrong, not only the first.
async fn read(layouts: Vec<Layout>) {
    let mut wrong = String::new();
    for layout in layouts {
        let expected = format!(
            "{}|{}|{}|{}",
            layout.loader,
            layout.boots.unwrap_or_default(),
            layout.next.map_or("", |(name, _)| name),
            layout.next.and_then(|(_, system)| system).unwrap_or_default(),
        );
        for host in Host::each(&layout.tree) {
            let words = format!(
                "told_loader='{}'; read_systems; echo \"$loader|$boot_default|$next_boot|$next_boot_system\"; echo \"$boot_note\"",
                layout.told
            );
            let said = host.says(&words).await;
            let (found, note) = said.split_once('\n').unwrap();
            let noted = if layout.note.is_empty() { note.trim().is_empty() } else { note.contains(layout.note) };
            if found != expected || !noted {
                writeln!(
                    wrong,
                    "{} ({}):\n  wants {expected} {}\n  reads {found} {}",
                    layout.name,
                    host.kind(),
                    layout.note,
                    note.trim()
                )
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
