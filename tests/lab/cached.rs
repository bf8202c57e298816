//! What several hosts need leaves the workstation once, through a cache; and no cache is needed for a push.

use fleetdeploy::event::forecast::CopyForecast;
use fleetdeploy::event::{Event, Outcome};
use fleetdeploy::facts::sending::SendingWay;
use pretty_assertions::assert_eq;

use crate::fleet::{Fleet, Setup};
use crate::pushed::Pushed;

const HOSTS: [&str; 2] = ["vps", "web"];

fn inventory(cache: &str) -> String {
    format!(
        "defaults:
  user: root
  guard: 90s
  boot_time: 40s
  limits: {{connect: 10s, step: 10s, test: 20s, switch: 15s, rollback: 20s}}
  cache: {cache}
hosts:
  vps: {{address: 198.51.100.10}}
  web: {{address: 198.51.100.30, nix: {{substitute_on_destination: auto}}}}
fleets:
  homelab: {{hosts: all, flake: ., settle: 8s, steady: 0s, checks: []}}
"
    )
}

fn has(pushed: &Pushed, code: &str) -> bool {
    pushed.has(|event| matches!(event, Event::Warned { text, .. } if text.code() == Some(code)))
}

/// The most bytes that a copy from here to this host was to bring.
fn sent_to(pushed: &Pushed, name: &str) -> u64 {
    let expected = pushed.events().filter_map(|event| match event {
        Event::CopyMoved { host, expected_bytes, .. } if host.as_str() == name => Some(*expected_bytes),
        _ => None,
    });
    expected.max().unwrap_or(0)
}

/// What was foreseen of the copy to this host, before anything was sent.
fn foreseen(pushed: &Pushed, name: &str) -> CopyForecast {
    let mut copies = pushed.events().filter_map(|event| match event {
        Event::CopiesForeseen { copies } => Some(copies),
        _ => None,
    });
    let copies = copies.next().unwrap_or_else(|| panic!("nothing foreseen: {}", pushed.words(None)));
    let is_its = |copy: &&CopyForecast| copy.host.as_ref().is_some_and(|host| host.as_str() == name);
    copies.each.iter().find(is_its).unwrap_or_else(|| panic!("not foreseen: {name}")).clone()
}

/// How much was sent to it from here in all.
fn measured(pushed: &Pushed, name: &str) -> u64 {
    let measured = pushed.events().filter_map(|event| match event {
        Event::CopyMeasured { host: Some(host), bytes, .. } if host.as_str() == name => Some(*bytes),
        _ => None,
    });
    measured.sum()
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn what_two_hosts_need_is_sent_once_and_a_push_needs_no_cache() {
    let mut fleet = Fleet::made("cached", &Setup { hosts: &HOSTS, ..Setup::default() });
    // What is built here is signed, and root of web has a key for the vps.
    let key = fleet.ws("nix-store --generate-binary-cache-key lab-1 ~/cache.sec ~/cache.pub && \
         echo 'secret-key-files = /root/cache.sec' >>/etc/nix/nix.conf && cat ~/cache.pub");
    let (private, known) = (fleet.ws("cat ~/.ssh/id_ed25519"), fleet.ws("cat ~/.ssh/known_hosts"));
    fleet.host(
        "web",
        &format!(
            "mkdir -p ~/.ssh && umask 077 && printf '%s\\n' '{private}' >~/.ssh/id_ed25519 && \
                  printf '%s\\n' '{known}' >~/.ssh/known_hosts"
        ),
    );
    let through =
        |from: &str| inventory(&format!("{{to: ssh-ng://vps, from: '{from}', public_key: '{}'}}", key.trim()));

    fleet.write("inventory.yaml", &through("ssh-ng://root@198.51.100.10"));
    let change = |fleet: &mut Fleet, version: &str| {
        for host in HOSTS {
            fleet.set(host, "version", &format!("\"{version}\""));
            fleet.set(host, "size", "3");
        }
        fleet.look();
    };
    change(&mut fleet, "2");
    let pushed = fleet.push(&["homelab"]);
    pushed.assert_ended(0, Outcome::Committed);
    assert!(!has(&pushed, "cache-not-fetched") && !has(&pushed, "cache-not-filled"), "{}", pushed.words(None));
    assert!(sent_to(&pushed, "vps") > 3_000_000 && sent_to(&pushed, "web") < 1_000_000, "{}", pushed.words(None));
    // Foreseen without a question to any host; and nobody has measured a copy yet.
    let (to_vps, to_web) = (foreseen(&pushed, "vps"), foreseen(&pushed, "web"));
    assert_eq!((to_vps.way, to_vps.bytes, to_vps.about_ms), (SendingWay::Sent, Some(measured(&pushed, "vps")), None));
    assert_eq!((to_web.way, to_web.about_ms), (SendingWay::Fetched, None));
    assert!(to_web.bytes.is_some_and(|bytes| bytes > 3_000_000), "{:?}", to_web.bytes);
    fleet.assert_on_new(&HOSTS);

    // Nobody serves there, and a cache in web's own configuration does not answer either.
    fleet.host("web", "echo 'extra-substituters = http://198.51.100.10:81' >>/etc/nix/nix.conf");
    fleet.write("inventory.yaml", &through("http://198.51.100.10:81"));
    change(&mut fleet, "3");
    let pushed = fleet.push(&["homelab"]);
    pushed.assert_ended(0, Outcome::Committed);
    assert!(has(&pushed, "cache-not-fetched") && has(&pushed, "own-caches-silent"), "{}", pushed.words(None));
    assert!(sent_to(&pushed, "web") > 3_000_000, "{}", pushed.words(None));
    assert!(foreseen(&pushed, "vps").about_ms.is_some(), "the push before has measured it: {}", pushed.words(None));
    fleet.assert_on_new(&HOSTS);

    // It takes the first system, and then there is none of it any more.
    let command = "[sh, -c, 'read -r path && nix copy --to file:///root/store \"$path\" && echo gone && exit 7']";
    fleet.write("inventory.yaml", &inventory(&format!("{{command: {command}, from: 'http://198.51.100.10:81'}}")));
    change(&mut fleet, "4");
    // Who only looks ahead runs no program of the inventory, though systems are copied for it.
    fleet.plain(&["plan", "homelab", "--units"]);
    let page = fleet.plain(&["plan", "homelab"]).stdout;
    let host = |name: &str| page.lines().find(|line| line.trim_start().starts_with(name) && line.contains("cache"));
    assert!(page.contains("\ncopies") && host("web").is_some(), "{page}");
    assert_eq!(fleet.ws("ls /root/store 2>/dev/null || true").trim(), "");
    let pushed = fleet.push(&["homelab"]);
    pushed.assert_ended(0, Outcome::Committed);
    pushed.assert_says(None, &["gone"]);
    assert!(has(&pushed, "cache-not-filled") && !has(&pushed, "cache-not-fetched"), "{}", pushed.words(None));
    fleet.assert_on_new(&HOSTS);
}
