//! A fleet in which every host is odd, each in another way: how it is reached, by what it is known, which shell reads
//! our words, how a login becomes root there.

use std::io::Write as _;
use std::process::Command;

use crate::become_root::{PASSWORD, SUDO_RS, allow};
use crate::fleet::{Fleet, Setup};
use crate::pushed::{Pushed, Pushing};
use crate::wait::{seconds, until};

const ALL: [&str; 6] = ["vps", "homeserver", "web", "mail", "db", "box"];

/// `mail` has no other address than one of IPv6, `db` wants a password, and `box` is a container behind a jump that is
/// no host of the inventory.
const HOSTS: &str = "\
defaults:
  guard: 4m
  boot_time: 40s
  limits: {connect: 20s, step: 20s, test: 40s, switch: 25s, rollback: 30s}
  user: deploy
hosts:
  vps:
    address: 198.51.100.10
    vpn: 10.100.0.1
    become: sudo
  homeserver:
    address: 10.100.0.2
    vpn: 10.100.0.2
    jump: vps
    become: [doas, -n, -u, root]
  web:
    address: web.example
    vpn: 10.100.0.3
    port: 2222
    user: root
  mail:
    address: fd00:1::50
    vpn: 10.100.0.5
    become: run0
  db:
    address: 198.51.100.70
    vpn: 10.100.0.7
    user: admin
    become: sudo-password
  box:
    address: 198.51.100.90
    vpn: 10.100.0.9
    jump: \"ssh:root@198.51.100.10\"
fleets:
  homelab:
    hosts: all
    flake: .
    settle: 20s
    steady: 0s
    checks:
      - vpn: {hub: vps}
";

/// What each shell says at every login, with a line left open: beside what it is to say, for Nix bears no more.
const NOISE: &str = "cd /home/USER
    for file in .bashrc .zshenv .cshrc; do
        printf '%s\n' \"sh -c 'echo Welcome >&2; printf \\\"fleetdeploy-answer no newline\\\" >&2'\" >$file
    done
    mkdir -p .config/fish
    cp .bashrc .config/fish/config.fish
    printf 'LANG=tr_TR.UTF-8\nLC_ALL=tr_TR.UTF-8\n' >>/etc/environment
    chown -R USER: .
    usermod -s SHELL USER";

/// A hashed name, in a file with a blank in its name; a certificate; the name without its port; an alias.
const KNOWN: &str = "set -e
    key() { sed -n \"s/^$1,[^ ]* //p\" /root/.ssh/known_hosts; }
    mkdir '/root/known hosts'
    echo \"198.51.100.10 $(key 198.51.100.10)\" >'/root/known hosts/hashed'
    ssh-keygen -q -H -f '/root/known hosts/hashed' >/dev/null 2>&1
    rm '/root/known hosts/hashed.old'
    {
        echo \"@cert-authority 10.100.0.2 $(cat ca.pub)\"
        echo \"web.example $(key 198.51.100.30)\"
        echo \"fd00:1::50 $(key 198.51.100.50)\"
        echo \"the-db $(key 198.51.100.70)\"
        echo \"198.51.100.90 $(key 198.51.100.90)\"
    } >/root/known
    mv /root/known /root/.ssh/known_hosts
    printf '%s\n' 'Host 198.51.100.10' '  UserKnownHostsFile \"/root/known hosts/hashed\"' \
        'Host 198.51.100.70' '  HostKeyAlias the-db' >>/root/.ssh/config
    echo 198.51.100.30 web.example >>/etc/hosts";

/// Gives the workstation, or a host, an address of IPv6, at its end and at that of the lab's router, which knows of
/// none.
fn give_ipv6(fleet: &Fleet, host: &str, address: &str) {
    let id = std::fs::read_to_string(fleet.place().join("id")).unwrap();
    let id = id.trim();
    let router = format!(
        "set -e; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
        ip -6 address add fe80::1/64 dev {host} nodad; ip -6 route add {address}/128 dev {host}"
    );
    let status = Command::new("nsenter").arg(format!("--net=/run/netns/{id}")).args(["sh", "-c", &router]).status();
    assert!(status.unwrap().success());
    let own = format!("ip -6 address add {address}/128 dev eth0 nodad && ip -6 route add default via fe80::1 dev eth0");
    if host == "laptop" {
        fleet.ws(&own)
    } else {
        fleet.host(host, &own)
    };
}

/// Begins it, and types db's password.
fn begun(fleet: &Fleet, words: &str) -> Pushing {
    let mut run = fleet.on_terminal(words);
    run.wait_for_text("password");
    writeln!(run.stdin(), "{PASSWORD}").unwrap();
    run
}

fn typed(fleet: &Fleet, words: &str) -> Pushed {
    begun(fleet, words).ended()
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn a_fleet_in_which_every_host_is_odd_is_pushed_rolled_back_and_rebooted() {
    let mut fleet = Fleet::made("odd", &Setup { hosts: &ALL, ..Setup::default() });
    fleet.set("web", "ssh_port", "2222");
    assert!(fleet.rebuild_by_hand("web", "switch").status.success());
    for (host, user, shell) in [
        ("vps", "deploy", "/usr/bin/fish"),
        ("homeserver", "deploy", "/usr/bin/zsh"),
        ("mail", "deploy", "/bin/dash"),
        ("db", "admin", "/bin/bash"),
        ("box", "deploy", "/usr/bin/tcsh"),
    ] {
        fleet.host(host, &NOISE.replace("USER", user).replace("SHELL", shell));
    }
    fleet.host("web", "echo \"sh -c 'echo Welcome >&2'\" >/root/.cshrc; usermod -s /usr/bin/tcsh root");
    for host in ["homeserver", "mail"] {
        allow(&fleet, host);
    }
    fleet.host("vps", SUDO_RS);
    let key = fleet.host("homeserver", "cat /etc/ssh/ssh_host_ed25519_key.pub");
    fleet.write("home.pub", &key);
    fleet.ws("ssh-keygen -q -t ed25519 -N '' -f ca && ssh-keygen -q -s ca -I home -h -n 10.100.0.2 home.pub");
    let certificate = fleet.ws("cat home-cert.pub");
    fleet.host(
        "homeserver",
        &format!(
            "echo '{}' >/etc/ssh/home-cert.pub; echo HostCertificate /etc/ssh/home-cert.pub >>/etc/ssh/sshd_config; \
             systemctl reload sshd",
            certificate.trim()
        ),
    );
    give_ipv6(&fleet, "laptop", "fd00:1::2");
    give_ipv6(&fleet, "mail", "fd00:1::50");
    fleet.ws(KNOWN);
    fleet.write("inventory.yaml", HOSTS);
    fleet.look();

    let doctor = typed(&fleet, "doctor homelab");
    assert_eq!(doctor.status, Some(0), "{}", doctor.stdout);
    assert!(doctor.stdout.contains("nothing would stop a push"), "{}", doctor.stdout);

    fleet.change(&ALL);
    let pushed = typed(&fleet, "push homelab");
    assert_eq!(pushed.status, Some(0), "{}", pushed.stdout);
    assert_stand(&fleet, true);

    fleet.look();
    for host in ALL {
        fleet.set(host, "version", "\"3\"");
    }
    fleet.set("box", "unit_fails", "true");
    let pushed = typed(&fleet, "push homelab");
    assert_eq!(pushed.status, Some(1), "{}", pushed.stdout);
    assert!(pushed.stdout.contains("ROLLED BACK"), "{}", pushed.stdout);
    assert_stand(&fleet, false);

    // All of a wave at once: hosts that try their systems go one by one.
    let run = begun(&fleet, "reboot homelab --no-trial --waves 100%");
    // What was done by hand below /run, and to addresses, is gone with the boot. `homeserver` comes first alone.
    for host in ["homeserver", "mail"] {
        until(seconds(90), &format!("{host}'s next boot"), || (fleet.boots(host) == 2).then_some(()));
        fleet.wait_until_up(host);
        allow(&fleet, host);
    }
    give_ipv6(&fleet, "mail", "fd00:1::50");
    let rebooted = run.ended();
    assert_eq!(rebooted.status, Some(0), "{}", rebooted.stdout);
    for host in ALL {
        fleet.restarted(host);
    }
    assert_stand(&fleet, false);
}

/// Every host stands on the system that the flake gives, or as it did; none has restarted but as it was told.
fn assert_stand(fleet: &Fleet, on_new: bool) {
    for host in ALL {
        let before = fleet.before(host);
        let expected = if on_new { before.moved_to(&fleet.system(host)) } else { before.clone() };
        pretty_assertions::assert_eq!(fleet.standing(host), expected, "{host}");
    }
}
