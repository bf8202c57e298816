use std::path::Path;

use pretty_assertions::assert_eq;

use super::*;

const TEXT: &str = r#"
hosts:
  vps: {address: vps.example.org, vpn: 10.100.0.1}
  homeserver: {address: 10.100.0.2, vpn: 10.100.0.2, jump: vps}
  git: {jump: homeserver}
  workstation: {jump: "ssh:me@gate:22"}
  idle:
fleets:
  homelab:
    flake: .
    hosts: [homeserver, git]
    checks:
      - {name: 'a "check" \ #1', from: git, command: [id]}
      - {ping: [homeserver, git, 192.0.2.1], from: ['[gh]*', workstation]}
      - {tcp: 22, to: git, from: homeserver, required: false}
  outside: {flake: ., hosts: workstation, checks: []}
"#;

fn inventory() -> Inventory {
    Inventory::parse(Path::new("inventory.yaml"), Path::new("/lab"), TEXT)
        .unwrap_or_else(|mistakes| panic!("{mistakes}"))
        .inventory
}

#[test]
fn the_text_is_a_tree_of_ways_and_the_links_below_it() {
    let inventory = inventory();
    assert_eq!(
        text(&inventory, None),
        r#"homelab
  workstation
    vps           vps.example.org
      homeserver  10.100.0.2
        git
  links
    git -> a "check" \ #1: command
    workstation -> homeserver: ping
    workstation -> git: ping
    workstation -> 192.0.2.1: ping
    homeserver <-> git: ping
    homeserver -> 192.0.2.1: ping
    git -> 192.0.2.1: ping
    homeserver -> git: tcp (only reports)

outside
  workstation
    ssh:me@gate:22
      workstation
  no links

in no fleet
  workstation
    idle
  no links
"#
    );
    assert_eq!(text(&inventory, Some(&inventory.fleets["outside"])).lines().count(), 5);
}

#[test]
fn names_are_quoted_for_graphviz() {
    let inventory = inventory();
    assert_eq!(
        Graph::of_fleet(&inventory, &inventory.fleets["homelab"]).dot(),
        r#"digraph fleetdeploy {
  rankdir=LR;
  node [shape=box];
  n0 [label="workstation", shape=ellipse];
  n1 [label="vps"];
  n2 [label="homeserver"];
  n3 [label="git"];
  n4 [label="a \"check\" \\ #1", shape=plaintext];
  n5 [label="192.0.2.1", shape=plaintext];
  n0 -> n1 [style=bold];
  n1 -> n2 [style=bold];
  n2 -> n3 [style=bold];
  n3 -> n4 [label="command", color=gray50, constraint=false];
  n0 -> n2 [label="ping", color=gray50, constraint=false];
  n0 -> n3 [label="ping", color=gray50, constraint=false];
  n0 -> n5 [label="ping", color=gray50, constraint=false];
  n2 -> n3 [label="ping", color=gray50, constraint=false, dir=both];
  n2 -> n5 [label="ping", color=gray50, constraint=false];
  n3 -> n5 [label="ping", color=gray50, constraint=false];
  n2 -> n3 [label="tcp", color=gray50, constraint=false, style=dashed];
}
"#
    );
}

#[test]
fn names_are_quoted_for_mermaid() {
    let inventory = inventory();
    assert_eq!(
        Graph::of_inventory(&inventory).mermaid(),
        r#"flowchart LR
  n0(["workstation"])
  n1["vps"]
  n2["homeserver"]
  n3["git"]
  n4>"a #34;check#34; #92; #35;1"]
  n5>"192.0.2.1"]
  n6["workstation"]
  n7[["ssh:me@gate:22"]]
  n8["idle"]
  n0 ==> n1
  n1 ==> n2
  n2 ==> n3
  n0 ==> n7
  n7 ==> n6
  n0 ==> n8
  n3 -->|"command"| n4
  n0 -->|"ping"| n2
  n0 -->|"ping"| n3
  n0 -->|"ping"| n5
  n2 <-->|"ping"| n3
  n2 -->|"ping"| n5
  n3 -->|"ping"| n5
  n2 -.->|"tcp"| n3
"#
    );
}

#[test]
fn a_program_gets_nodes_ways_and_links() {
    let inventory = inventory();
    let answer = Graph::of_fleet(&inventory, &inventory.fleets["outside"]).answer();
    assert_eq!(
        answer,
        serde_json::json!({
            "nodes": [
                { "id": "n0", "kind": "workstation", "name": "workstation", "address": null },
                { "id": "n1", "kind": "host", "name": "workstation", "address": null },
                { "id": "n2", "kind": "jump", "name": "ssh:me@gate:22", "address": null },
            ],
            "ways": [{ "from": "n0", "to": "n2" }, { "from": "n2", "to": "n1" }],
            "meshes": [],
            "links": [],
        })
    );
}

/// So many hosts of a VPN that all look at each other, and are pinged from the workstation and by each other.
fn mesh_of(hosts: usize) -> Inventory {
    let entries: Vec<String> =
        (0..hosts).map(|host| format!("  h{host}: {{vpn: 10.0.{}.{}}}", host / 250, host % 250)).collect();
    let checks = "[{vpn: mesh}, {ping: [all, 192.0.2.1], from: [all, workstation]}, \
                  {wireguard: 'h*', required: false}, {ping: h1, from: h0}]";
    let entries = entries.join("\n");
    let text = format!("hosts:\n{entries}\nfleets: {{lab: {{flake: ., hosts: all, checks: {checks}}}}}\n");
    let loaded = Inventory::parse(Path::new("inventory.yaml"), Path::new("/lab"), &text);
    loaded.unwrap_or_else(|mistakes| panic!("{mistakes}")).inventory
}

#[test]
fn hosts_that_all_look_at_each_other_are_one_line() {
    let inventory = mesh_of(4);
    assert_eq!(
        text(&inventory, None),
        "lab
  workstation
    h0
    h1
    h2
    h3
  links
    mesh of h0, h1, h2, h3: ping, ssh
    mesh of h0, h1, h2, h3: wireguard (only reports)
    workstation -> h0: ping
    workstation -> h1: ping
    workstation -> h2: ping
    workstation -> h3: ping
    workstation -> 192.0.2.1: ping
    h0 -> 192.0.2.1: ping
    h1 -> 192.0.2.1: ping
    h2 -> 192.0.2.1: ping
    h3 -> 192.0.2.1: ping
"
    );
    let graph = Graph::of_fleet(&inventory, &inventory.fleets["lab"]);
    let (dot, mermaid) = (graph.dot(), graph.mermaid());
    assert!(dot.contains("m0 [label=\"mesh: ping, ssh\", shape=diamond, color=gray50];\n  n1 -> m0 ["), "{dot}");
    assert!(mermaid.contains("  m1{{\"mesh: wireguard\"}}\n  n1 <-.-> m1\n"), "{mermaid}");
    let mesh = serde_json::json!({ "hosts": ["n1", "n2", "n3", "n4"], "kinds": ["ping", "ssh"], "required": true });
    assert_eq!(graph.answer()["meshes"][0], mesh);
}

#[test]
fn the_picture_grows_with_the_hosts_and_not_with_their_square() {
    let parts = |hosts| {
        let inventory = mesh_of(hosts);
        let graph = Graph::of_fleet(&inventory, &inventory.fleets["lab"]);
        let lines = [text(&inventory, None), graph.dot(), graph.mermaid()].map(|drawn| drawn.lines().count());
        (lines, graph.links.len(), graph.meshes.len())
    };
    let (small, large) = (parts(100), parts(200));
    assert_eq!((large.1, large.2), (401, 2));
    assert!(large.0.iter().zip(small.0).all(|(large, small)| *large <= 2 * small), "{small:?} {large:?}");
    let inventory = mesh_of(100);
    let line = "    mesh of h0, h1, h2, h3, h4, h5, h6 and 93 more: ping, ssh";
    assert!(text(&inventory, None).lines().any(|drawn| drawn == line));
}
