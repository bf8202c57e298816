//! What several hosts need leaves the workstation once, through a cache; and no cache is needed for a push.

use fleetdeploy::event::forecast::CopyForecast;
use fleetdeploy::event::{Event, Outcome};
use fleetdeploy::facts::sending::SendingWay;
use pretty_assertions::assert_eq;
use serde_json::Value;

use crate::built::{failed, judged, trusts};
use crate::exec::answer;
use crate::fleet::{Fleet, Setup};
use crate::pushed::Pushed;
use crate::wait::{seconds, until};

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
    let took = pushed.events().find_map(|event| match event {
        Event::CopyMeasured { host: Some(host), took_ms, .. } if host.as_str() == "vps" => Some(*took_ms),
        _ => None,
    });
    fleet.assert_on_new(&HOSTS);

    // Nobody serves there, and a cache in web's own configuration does not answer either.
    fleet.host("web", "echo 'extra-substituters = http://198.51.100.10:81' >>/etc/nix/nix.conf");
    fleet.write("inventory.yaml", &through("http://198.51.100.10:81"));
    change(&mut fleet, "3");
    let pushed = fleet.push(&["homelab"]);
    pushed.assert_ended(0, Outcome::Committed);
    assert!(has(&pushed, "cache-not-fetched") && has(&pushed, "own-caches-silent"), "{}", pushed.words(None));
    assert!(sent_to(&pushed, "web") > 3_000_000, "{}", pushed.words(None));
    // A copy that was through at once tells nothing of the next.
    let has_told = took >= Some(100);
    assert_eq!(foreseen(&pushed, "vps").about_ms.is_some(), has_told, "{took:?}: {}", pushed.words(None));
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

/// A static cache as people have one: a folder, and nginx on the workstation.
const NGINX: &str = "worker_processes 1; pid /run/cache.pid; error_log /var/log/cache.errors; events {}
http { access_log /var/log/cache.log; server { listen 8081; root /srv/cache; include /root/cache.more; } }
";
const NGINX_URL: &str = "http://198.51.100.2:8081";

/// Serves `/srv/cache`, with more words of configuration.
fn serve(fleet: &Fleet, more: &str) {
    fleet.write("/root/cache.more", more);
    fleet.ws("if [ -e /run/cache.pid ]; then nginx -c /root/cache.conf -s reload; else nginx -c /root/cache.conf; fi");
}

/// Kills nginx and its worker, by their numbers: a workstation sees all processes of this machine.
fn no_longer_serve(fleet: &Fleet) {
    fleet.ws("master=$(cat /run/cache.pid) && workers=$(pgrep -P $master) && kill -KILL $master $workers");
}

/// Two hosts whose logins are as they say, with more lines of the defaults.
fn two_hosts(logins: [&str; 2], more: &str) -> String {
    format!(
        "defaults:
  guard: 90s
  boot_time: 40s
  limits: {{connect: 10s, step: 10s, test: 20s, switch: 15s, rollback: 20s}}
  {more}
hosts:
  vps: {{address: 198.51.100.10, user: {}}}
  web: {{address: 198.51.100.30, user: {}}}
fleets:
  homelab: {{hosts: all, flake: ., settle: 8s, steady: 0s, checks: []}}
",
        logins[0], logins[1]
    )
}

fn change(fleet: &mut Fleet, version: &str) {
    for host in HOSTS {
        fleet.set(host, "version", &format!("\"{version}\""));
        fleet.set(host, "size", "3");
    }
    fleet.look();
}

/// What `doctor` says of the fleet's cache, by host.
fn of_cache(fleet: &Fleet) -> Vec<String> {
    let asked = fleet.query(&["doctor", "homelab"]);
    let hosts = answer(&asked.lines)["hosts"].as_array().unwrap().clone();
    let found = hosts.iter().flat_map(|host| {
        let findings = host["findings"].as_array().unwrap().iter();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let of_cache = findings.filter(move |finding| text(&finding["code"]).starts_with("fleet-cache"));
        of_cache
            .map(move |found| format!("{}: {} {}", text(&host["host"]), text(&found["severity"]), text(&found["code"])))
    });
    found.collect()
}

/// Waits until this host has begun to fetch its padding.
fn wait_until_it_fetches(fleet: &Fleet, host: &str, version: &str) {
    until(seconds(60), "the padding is under way", || {
        let store = fleet.host(host, "ls /nix/store");
        store.lines().any(|path| path.contains(&format!("-padding-{version}"))).then_some(())
    });
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_static_cache_brings_what_is_signed_and_one_that_dies_in_the_middle_or_is_full_costs_a_warning() {
    let mut fleet = Fleet::made("static", &Setup { hosts: &HOSTS, ..Setup::default() });
    fleet.write("/root/cache.conf", NGINX);
    fleet.ws("nix key generate-secret --key-name home-1 >~/sign.key && mkdir -p /srv/cache");
    let key = fleet.ws("nix key convert-secret-to-public <~/sign.key");
    let to = "to: 'file:///srv/cache?compression=zstd'";
    let cache = format!("cache: {{{to}, from: '{NGINX_URL}', public_key: '{}'}}", key.trim());
    let signed = format!("{cache}\n  nix: {{sign_key: ~/sign.key}}");

    // Neither the login of web nor any key is trusted there. And it has heard that the cache lacks its system.
    trusts(&fleet, "web", "");
    change(&mut fleet, "2");
    fleet.write("inventory.yaml", &two_hosts(["root", "deploy"], &signed));
    // Nobody serves it: vps gets its system from here, and web would get none.
    assert_eq!(of_cache(&fleet), ["vps: warning fleet-cache-silent", "web: blocker fleet-cache-silent"]);
    serve(&fleet, "");
    assert_eq!(of_cache(&fleet), ["vps: warning fleet-cache-bare", "web: warning fleet-cache-bare"]);
    fleet.ws("printf 'StoreDir: /nix/store\\n' >/srv/cache/nix-cache-info");
    let system = fleet.system("web");
    let asks = format!("nix-store --realise {system} --option extra-substituters {NGINX_URL} --max-jobs 0");
    assert_eq!(fleet.host("web", &format!("{asks} >/dev/null 2>&1 || echo not there")).trim(), "not there");
    assert_eq!(judged(&fleet, "web"), "only-by-cache");
    let pushed = fleet.push(&["homelab"]);
    pushed.assert_ended(0, Outcome::Committed);
    assert!(!has(&pushed, "cache-not-fetched") && !has(&pushed, "cache-not-filled"), "{}", pushed.words(None));
    assert!(sent_to(&pushed, "vps") < 100_000 && sent_to(&pushed, "web") < 100_000, "{}", pushed.stdout);
    let served = fleet.ws("cat /var/log/cache.log");
    for address in ["198.51.100.10 ", "198.51.100.30 "] {
        let fetched = |line: &&str| line.starts_with(address) && line.contains("GET /nar/") && line.contains("\" 200 ");
        assert!(served.lines().filter(fetched).count() >= 3, "{served}");
    }
    fleet.assert_on_new(&HOSTS);

    // Without a signature nothing comes from there, and by such a login nothing from here either.
    change(&mut fleet, "3");
    fleet.write("inventory.yaml", &two_hosts(["root", "deploy"], &cache));
    assert_eq!(judged(&fleet, "web"), "login-not-trusted");
    let unsigned = fleet.push(&["homelab", "--on", "web"]);
    unsigned.assert_ended(1, Outcome::Refused);
    unsigned.assert_says(Some("web"), &["not signed by any of the keys"]);
    assert!(has(&unsigned, "cache-not-fetched"), "{}", unsigned.words(None));
    assert_eq!(failed(&unsigned, "copy-untrusted"), ["web"]);
    fleet.assert_untouched();

    // The same is signed from now on. It came into the cache without a signature, and web has seen it so.
    fleet.write("inventory.yaml", &two_hosts(["root", "deploy"], &signed));
    let pushed = fleet.push(&["homelab", "--on", "web"]);
    pushed.assert_ended(0, Outcome::Committed);
    assert!(!has(&pushed, "cache-not-fetched") && sent_to(&pushed, "web") < 100_000, "{}", pushed.words(None));
    fleet.assert_on_new(&["web"]);

    // It was emptied and filled anew, packed in another way: what web has heard of it once is no longer there.
    change(&mut fleet, "moved");
    let system = fleet.system("web");
    fleet.ws(&format!("nix store sign --recursive --key-file ~/sign.key {system}"));
    fleet.ws(&format!("nix copy --to 'file:///srv/cache?compression=zstd' {system}"));
    let hears = "nix --extra-experimental-features nix-command path-info --recursive";
    fleet.host("web", &format!("{hears} --store {NGINX_URL} {system} >/dev/null"));
    fleet.ws("rm -rf /srv/cache/nar /srv/cache/*.narinfo");
    fleet.write("inventory.yaml", &two_hosts(["root", "root"], &signed.replace("zstd", "none")));
    let pushed = fleet.push(&["homelab", "--on", "web"]);
    pushed.assert_ended(0, Outcome::Committed);
    assert!(!has(&pushed, "cache-not-fetched") && sent_to(&pushed, "web") < 100_000, "{}", pushed.words(None));
    let served = fleet.ws("cat /var/log/cache.log");
    assert!(served.lines().any(|line| line.contains("GET /nar/") && line.contains("\" 404 ")), "{served}");
    fleet.assert_on_new(&["web"]);

    // It dies while vps fetches.
    change(&mut fleet, "4");
    serve(&fleet, "limit_rate 50k;");
    fleet.write("inventory.yaml", &two_hosts(["root", "deploy"], &signed));
    let push = fleet.start(&["homelab", "--on", "vps"]);
    wait_until_it_fetches(&fleet, "vps", "4");
    no_longer_serve(&fleet);
    let pushed = push.ended();
    pushed.assert_ended(0, Outcome::Committed);
    assert!(has(&pushed, "cache-not-fetched"), "{}", pushed.words(None));
    assert!(sent_to(&pushed, "vps") > 3_000_000, "{}", pushed.stdout);
    fleet.assert_on_new(&["vps"]);

    // There is no room for the new systems in it.
    change(&mut fleet, "5");
    fleet.ws("mkdir -p /srv/full && mount -t tmpfs -o size=1m full /srv/full");
    fleet.write("inventory.yaml", &two_hosts(["root", "deploy"], "cache: {to: 'file:///srv/full'}"));
    let pushed = fleet.push(&["homelab", "--on", "vps"]);
    pushed.assert_ended(0, Outcome::Committed);
    assert!(has(&pushed, "cache-not-filled"), "{}", pushed.words(None));
    pushed.assert_says(None, &["no space left on device"]);
    fleet.assert_on_new(&["vps"]);
}

/// A cache whose machine drops what it is sent: nothing new gets in to homeserver.
#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_dead_cache_is_waited_for_by_two_hosts_and_the_others_do_without_it() {
    let setup = Setup { hosts: &["vps", "web", "db", "homeserver"], ..Setup::default() };
    let fleet = Fleet::made("dead", &setup);
    let hosts = "vps: {address: 198.51.100.10}, web: {address: 198.51.100.30}, db: {address: 198.51.100.70}";
    let cache = "{to: 'file:///srv/cache?compression=zstd', from: 'http://203.0.113.20:81'}";
    fleet.write(
        "inventory.yaml",
        &format!(
            "defaults: {{user: root, parallel: 1, cache: {cache}}}
hosts: {{{hosts}}}
fleets: {{homelab: {{hosts: all, flake: ., steady: 0s, checks: []}}}}
"
        ),
    );
    fleet.change(&["vps", "web", "db"]);
    let pushed = fleet.push(&["homelab"]);
    pushed.assert_ended(0, Outcome::Committed);
    let warned = |wanted: &str| {
        let of_code = |event: &&Event| match event {
            Event::Warned { text, .. } => text.code() == Some(wanted),
            _ => false,
        };
        pushed.events().filter(of_code).count()
    };
    assert_eq!((warned("cache-not-fetched"), warned("cache-given-up")), (2, 1), "{}", pushed.words(None));
    fleet.assert_on_new(&["vps", "web", "db"]);
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_host_that_is_the_cache_may_die_be_full_or_collect_its_garbage_in_the_middle() {
    let setup = Setup { hosts: &HOSTS, disk: "1g", ..Setup::default() };
    let mut fleet = Fleet::made("cachehost", &setup);
    fleet.ws("nix key generate-secret --key-name home-1 >~/sign.key");
    let key = fleet.ws("nix key convert-secret-to-public <~/sign.key");
    let (private, known) = (fleet.ws("cat ~/.ssh/id_ed25519"), fleet.ws("cat ~/.ssh/known_hosts"));
    let login = "umask 077; mkdir -p ~/.ssh; printf '%s\\n' \"$1\" >~/.ssh/id_ed25519
        printf '%s\\n' \"$2\" >~/.ssh/known_hosts";
    assert!(fleet.begin("web", login, &[&private, &known]).wait().unwrap().success());
    let cache = format!("{{to: ssh-ng://vps, from: 'ssh-ng://root@198.51.100.10', public_key: '{}'}}", key.trim());
    let more = format!("cache: {cache}\n  nix: {{sign_key: ~/sign.key}}");
    fleet.write("inventory.yaml", &two_hosts(["root", "root"], &more));

    // Its Nix is killed while it is filled.
    change(&mut fleet, "2");
    for host in HOSTS {
        fleet.set(host, "size", "120");
    }
    let push = fleet.start(&["homelab"]);
    push.wait_for("what is to be put there", |event| match event {
        Event::CopyMoved { expected_bytes, .. } => (*expected_bytes > 60_000_000).then_some(()),
        _ => None,
    });
    fleet.host("vps", "pkill -KILL -f '[n]ix-daemon' || true");
    let pushed = push.ended();
    pushed.assert_ended(0, Outcome::Committed);
    assert!(has(&pushed, "cache-not-filled"), "{}", pushed.words(None));
    assert!(sent_to(&pushed, "web") > 60_000_000, "{}", pushed.words(None));
    fleet.assert_on_new(&HOSTS);

    // It collects its garbage just before web fetches.
    change(&mut fleet, "3");
    let collects = "#!/bin/bash
        [ $1 != --realise ] || ssh root@198.51.100.10 nix-collect-garbage </dev/null >/dev/null 2>&1
        exec -a nix-store /usr/bin/nix \"$@\"";
    let install = "rm /usr/bin/nix-store; printf '%s\\n' \"$1\" >/usr/bin/nix-store; chmod 755 /usr/bin/nix-store";
    assert!(fleet.begin("web", install, &[collects]).wait().unwrap().success());
    let pushed = fleet.push(&["homelab", "--on", "web"]);
    pushed.assert_ended(0, Outcome::Committed);
    assert!(has(&pushed, "cache-not-fetched"), "{}", pushed.words(None));
    assert!(sent_to(&pushed, "web") > 3_000_000, "{}", pushed.words(None));
    fleet.host("web", "ln -sf nix /usr/bin/nix-store");
    fleet.assert_on_new(&["web"]);

    // It is full.
    change(&mut fleet, "4");
    fleet.host("vps", "dd if=/dev/zero of=/full bs=64k || true");
    let pushed = fleet.push(&["homelab", "--on", "web"]);
    pushed.assert_ended(0, Outcome::Committed);
    assert!(has(&pushed, "cache-not-filled"), "{}", pushed.words(None));
    fleet.host("vps", "rm /full");
    fleet.assert_on_new(&["web"]);
}
