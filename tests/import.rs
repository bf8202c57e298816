//! `inventory import` from outside: what becomes of inventories that have the structure of real public ones, what is
//! said of the rest, and what is refused.
//!
//! `tests/fixtures/import/expected/` has, for each source, the inventory and the list of what is not in it, as a person
//! gets them. `tests/fixtures/import/nix/nix` gives the answers that a real nix gave, which tests/nix.rs asks again.
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use fleetdeploy::inventory::Inventory;
use fleetdeploy::inventory::model::{Become, Jump};
use fleetdeploy::local::process::{Finished, Invocation};
use pretty_assertions::assert_eq;
use serde_json::Value;

/// A name among the expected, the tool, and the source below `tests/fixtures/import`.
const SOURCES: [(&str, &str, &str); 16] = [
    // Structures of kubespray's inventories, in both forms.
    ("cluster-ini", "ansible", "cluster-ini/inventory.ini"),
    ("cluster-yaml", "ansible", "cluster-yaml/hosts.yaml"),
    // The one of a book that many began with: addresses, a group of groups, its variables.
    ("book", "ansible", "book/hosts.ini"),
    // DebOps: a host is in as many groups as it has services; old names of variables.
    ("debops", "ansible", "debops/hosts"),
    // OpenShift's: ranges, repeated in every group.
    ("ranges", "ansible", "ranges/hosts"),
    // A server of Matrix: everything on its line, a password among it, a placeholder left.
    ("matrix", "ansible", "matrix/hosts"),
    // A homelab in YAML, with variables in variables, `group_vars`, `host_vars` and a vault.
    ("homelab", "ansible", "homelab/hosts.yml"),
    // An inventory that Terraform's templates write: a bastion, and all hosts behind it.
    ("terraform", "ansible", "terraform/inventory"),
    // A folder of inventories.
    ("folder", "ansible", "folder"),
    // Names and values that want to be something else.
    ("hostile", "ansible", "hostile/hosts"),
    ("ssh-config", "ssh-config", "ssh-config/config"),
    ("deploy-rs-nodes", "deploy-rs", "./deploy-rs-nodes"),
    ("deploy-rs-shared", "deploy-rs", "./deploy-rs-shared"),
    ("colmena-flake", "colmena", "./colmena-flake"),
    ("colmena-made", "colmena", "./colmena-made"),
    ("colmena-hive", "colmena", "colmena-hive/hive.nix"),
];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/import")
}

/// The binary, run beside the fixtures, with a nix that knows its answers.
fn import(words: &[&str]) -> Invocation {
    let path = format!("{}:/usr/bin:/bin", fixtures().join("nix").display());
    Invocation::new(env!("CARGO_BIN_EXE_fleetdeploy"), Duration::from_secs(120))
        .args(["inventory", "import"])
        .args(words)
        .folder(fixtures())
        .env("HOME", "/nonexistent")
        // This machine's own is none of them.
        .env("ANSIBLE_CONFIG", fixtures().join("nothing.cfg"))
        .env("PATH", path)
}

async fn run(words: &[&str]) -> Finished {
    import(words).run().await.unwrap()
}

fn expected(name: &str, kind: &str) -> String {
    std::fs::read_to_string(fixtures().join(format!("expected/{name}.{kind}"))).unwrap()
}

fn assert_expected(name: &str, finished: &Finished) {
    assert_eq!(finished.status, Some(0), "{name}: {}", finished.stderr_text());
    assert_eq!(finished.stdout_text(), expected(name, "yaml"), "{name}");
    assert_eq!(finished.stderr_text(), expected(name, "txt"), "{name}");
}

#[tokio::test]
async fn each_source_becomes_its_inventory_and_what_is_left_is_listed() {
    for (name, tool, source) in SOURCES {
        assert_expected(name, &run(&["--from", tool, source]).await);
    }
}

#[tokio::test]
async fn what_ansible_is_configured_to_holds_where_the_inventory_says_nothing() {
    let source = "config/inventories/production/hosts";
    let finished = import(&["--from", "ansible", source]).env("ANSIBLE_CONFIG", "config/ansible.cfg").run().await;
    assert_expected("config", &finished.unwrap());
}

#[tokio::test]
async fn what_is_written_is_an_inventory_and_nothing_is_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    for (name, tool, source) in SOURCES {
        let path = folder.path().join(format!("{name}.yaml"));
        let words = ["--from", tool, source, "--output", path.to_str().unwrap()];
        let finished = run(&words).await;
        assert_eq!((finished.status, finished.stdout_text().as_str()), (Some(0), ""), "{name}");
        let inventory = Inventory::load(&path).unwrap_or_else(|mistakes| panic!("{name}: {mistakes}"));
        assert_eq!(inventory.warnings, [], "{name}");
        let said = finished.stderr_text();
        let count = inventory.inventory.hosts.len();
        assert!(said.ends_with(&format!("{name}.yaml is written, with {count} hosts\n")), "{name}: {said}");

        let before = std::fs::read_to_string(&path).unwrap();
        let again = run(&words).await;
        assert_eq!(again.status, Some(2), "{name}");
        assert!(again.stderr_text().contains("is there already"), "{name}: {}", again.stderr_text());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), before, "{name}");
    }
}

#[test]
fn the_way_to_each_host_is_what_the_other_tool_took() {
    let load = |name: &str| Inventory::load(&fixtures().join(format!("expected/{name}.yaml"))).unwrap().inventory;
    let way = |name: &str| -> Vec<_> {
        let hosts = load(name).hosts.into_iter();
        let way =
            hosts.map(|host| (String::from(host.name), host.address, host.user, host.port, host.jump, host.becoming));
        way.collect()
    };
    let of = |name: &str, address: &str, user: &str, port, jump: Option<&str>, becoming| {
        let jump = jump.map(|jump| Jump::Host(fleetdeploy::inventory::model::HostName::new(jump).unwrap()));
        (name.to_owned(), address.to_owned(), Some(user.to_owned()), port, jump, becoming)
    };
    assert_eq!(
        way("homelab"),
        [
            of("pve1", "pve1", "root", None, None, Become::Auto),
            of("pve2", "pve2", "root", None, None, Become::Auto),
            of("media", "media.lab.example.org", "ada", None, None, Become::Auto),
            of("paper", "198.51.100.32", "ada", Some(2222), None, Become::SudoPassword),
            of("vps", "vps.example.org", "ada", None, None, Become::Auto),
            of("nas", "198.51.100.40", "ada", None, Some("vps"), Become::Auto),
        ]
    );
    let cluster = way("cluster-ini");
    assert_eq!(cluster[0], of("ctl1", "192.0.2.11", "ops", None, Some("bastion"), Become::Sudo));
    assert_eq!(cluster[4], of("bastion", "203.0.113.9", "jump", None, None, Become::Sudo));
}

#[tokio::test]
async fn what_cannot_be_understood_is_refused_with_its_place_and_without_its_secrets() {
    for (tool, source, said) in [
        (
            "ansible",
            "bad/quote",
            &["bad/quote:3:44: a quote begins here and does not end", "bad/quote:4:1: ", "bad/quote:6:1: "][..],
        ),
        ("ansible", "bad/program.py", &["a program that prints an inventory", "ansible-inventory -i SOURCE --list"]),
        ("ansible", "bad/plugin.yml", &["configuration of an inventory plugin", "ansible-inventory -i SOURCE --list"]),
        ("ansible", "bad/broken.yml", &["bad/broken.yml:3:27: this is not YAML"]),
        ("ansible", "bad/only-local", &["nothing is left of the Ansible inventory", "bad/only-local:1:11: "]),
        ("ansible", "bad/none", &["cannot read bad/none", "because: No such file"]),
        ("ssh-config", "bad/none", &["cannot read bad/none"]),
        ("ssh-config", "bad/broken.yml", &["nothing is left of the ssh config bad/broken.yml"]),
        ("deploy-rs", "./colmena-flake", &["the flake ./colmena-flake has no output `deploy`", "hint: "]),
        ("colmena", "./deploy-rs-nodes", &["has no output `colmenaHive`", "hint: "]),
        ("deploy-rs", ".#vps", &["a flake to import from has no `#`"]),
        ("deploy-rs", "", &["cannot be a flake reference"]),
    ] {
        let finished = run(&["--from", tool, source]).await;
        assert_eq!((finished.status, finished.stdout_text().as_str()), (Some(2), ""), "{tool} {source}");
        for said in said {
            assert!(finished.stderr_text().contains(said), "{tool} {source}: {}", finished.stderr_text());
        }
        assert!(!finished.stderr_text().contains("hunter2"), "{tool} {source}");
    }
    let unnamed = run(&["--from", "ansible"]).await;
    assert_eq!(unnamed.status, Some(2));
    assert!(unnamed.stderr_text().contains("which inventory"), "{}", unnamed.stderr_text());
}

#[test]
fn no_password_and_nothing_encrypted_is_in_any_answer() {
    for (name, ..) in SOURCES {
        for kind in ["yaml", "txt"] {
            let text = expected(name, kind);
            for secret in ["hunter2", "$ANSIBLE_VAULT", "31323334", "35363738"] {
                assert!(!text.contains(secret), "{name}.{kind} has {secret}");
            }
        }
    }
}

#[tokio::test]
async fn programs_get_the_inventory_and_the_list_as_events() {
    let finished = run(&["--from", "ansible", "book/hosts.ini", "--json"]).await;
    let events: Vec<Value> = finished.stdout_text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let names: Vec<_> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(names, ["warned", "warned", "answer", "ended"]);
    let answer = &events[2]["answer"];
    assert_eq!((&answer["inventory"], &answer["hosts"]), (&expected("book", "yaml").into(), &3.into()));
    assert_eq!(answer["not_carried_over"][0], events[0]["text"]);
    // None of these sources tells which addresses are inside a VPN.
    assert!(events[1]["text"].as_str().unwrap().contains("`vpn: ADDRESS`"), "{}", events[1]);
    assert_eq!(events[3]["exit"], 0);
}

#[tokio::test]
async fn the_fleet_is_called_as_it_is_said_and_the_ssh_config_is_the_users() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join(".ssh")).unwrap();
    std::fs::copy(fixtures().join("ssh-config/config"), home.path().join(".ssh/config")).unwrap();
    let finished =
        import(&["--from", "ssh-config", "--fleet", "lab", "-q"]).env("HOME", home.path()).run().await.unwrap();
    assert_eq!(finished.status, Some(0));
    assert!(finished.stdout_text().contains("\nfleets:\n  lab:\n"), "{}", finished.stdout_text());
    assert!(!finished.stderr_text().contains("ssh does not read this file"), "{}", finished.stderr_text());
    assert!(expected("ssh-config", "txt").contains("ssh does not read this file"));
}
