use std::net::{Ipv4Addr, Ipv6Addr};

use pretty_assertions::assert_eq;
use proptest::prelude::*;

use super::findings::is_path;
use super::words::is_code;
use super::*;

const STORE: &str = "/nix/store/0gv1yx3wnyzhi0bjgjbmvxy7qnzwzw5h-nixos-system-vps-25.05";
const WIREGUARD: &str = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=";
const ED25519: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";

fn redactor() -> Redactor {
    let of = |address: &str, host: &str| (address.to_owned(), Some(host.to_owned()));
    Redactor::new(KnownTexts {
        kept: ["vps", "nas", "homelab"].map(str::to_owned).into(),
        hosts: vec!["web".into(), "web-2".into()],
        addresses: vec![of("vps.example.org", "vps"), of("10.100.0.1", "vps"), of("nas", "nas"), of("box", "nas")],
        users: vec!["root".into(), "ada".into(), "deploy".into()],
        ports: vec![22, 2222],
    })
}

fn hidden(text: &str) -> String {
    redactor().text(text)
}

#[test]
fn what_must_not_be_seen_is_hidden() {
    for (raw, clean) in [
        // The known ones have the first numbers.
        ("vps.example.org has 10.100.0.1", "NAME-1 has ADDRESS-1"),
        ("to 192.0.2.7:22, 192.0.2.7", "to ADDRESS-2:22, ADDRESS-2"),
        ("route 10.9.0.0/24 via fd00::1%wg0", "route ADDRESS-3/24 via ADDRESS-2%wg0"),
        ("[2001:DB8::1]:22 is 2001:db8:0::1", "[ADDRESS-2]:22 is ADDRESS-2"),
        ("addr:fd00::1: no route.", "addr:ADDRESS-2: no route."),
        ("\\naa:bb:cc:dd:ee:ff and \\nada and \\tfe::ab", "\\nADDRESS-2 and \\nUSER-1 and \\tADDRESS-3"),
        ("\u{1b}[1m192.0.2.7\u{1b}[0m", "ADDRESS-2"),
        ("link/ether 52:54:00:12:34:56 or 52-54-00-12-34-56", "link/ether ADDRESS-2 or ADDRESS-2"),
        ("ada@vps and eve@box and root@nas", "USER-1@vps and USER-3@NAME-2 and root@nas"),
        ("from eve@192.0.2.7 port 50122", "from USER-3@ADDRESS-2 port 50122"),
        ("jump ssh:eve@gate:2222", "jump ssh:USER-3@NAME-3:PORT-1"),
        ("eve@fd00::5", "USER-3@ADDRESS-2"),
        ("deploy@vps deploys as deploy", "USER-2@vps deploys as deploy"),
        ("/home/ada/nixos and /home/eve/x, /root/y", "/home/USER-1/nixos and /home/USER-3/x, /root/y"),
        ("https://eve:pw@git.example.net:8443/a/b?c=d", "https://USER-3:SECRET-1@NAME-3:8443/a/b?c=d"),
        ("http://vps:8080/health", "http://vps:8080/health"),
        ("ssh://ada@10.100.0.1:2222", "ssh://USER-1@ADDRESS-1:PORT-1"),
        ("looks up mail.acme.berlin. and acme.co.uk", "looks up NAME-3. and NAME-4"),
        ("password=hunter2 user", "password=SECRET-1 user"),
        ("{\"apiToken\": \"two words\"}", "{\"apiToken\": \"SECRET-1\"}"),
        ("with token ghs_1a2B3c", "with token SECRET-1"),
        ("the password=x", "the password=SECRET-1"),
        ("Authorization: Bearer abc def", "Authorization: SECRET-1"),
        (&format!("peer {WIREGUARD} is up"), "peer KEY-1 is up"),
        (&format!("PrivateKey={WIREGUARD}"), "PrivateKey=SECRET-1"),
        (&format!("ssh-ed25519 {ED25519} ada@laptop"), "ssh-ed25519 KEY-1 USER-1@NAME-3"),
        ("SHA256:GpLe0cE9Hk1mVb5cDbzJ5Vd9cJmWLr+Ab1Fgh0Xyz/k", "SHA256:KEY-1"),
        ("MD5:16:27:ac:a5:76:28:2d:36:63:1b:56:4d:eb:df:a6:48", "MD5:KEY-1"),
        ("machine 0123456789abcdef0123456789abcdef", "machine KEY-1"),
        ("-----BEGIN X PRIVATE KEY-----\nb3Bl\n-----END X PRIVATE KEY-----\nnext", "KEY-1\nnext"),
        ("b3Bl\n-----END X PRIVATE KEY-----\nnext", "KEY-1\nnext"),
        ("AKIAIOSFODNN7EXAMPLE, id=ASIAQWERTYUIOPASDFGH", "KEY-1, id=KEY-2"),
        ("pw=hunter2 and smtp_pass: 'two words' and Pw: x", "pw=SECRET-1 and smtp_pass: 'SECRET-2' and Pw: SECRET-3"),
        (
            "the passphrase is correct-horse, the password is hunter",
            "the passphrase is SECRET-1 the password is SECRET-2",
        ),
        ("curl -u ada:hunter2 x; curl --user=eve:pw y", "curl -u USER-1:SECRET-1 x; curl --user=USER-3:SECRET-2 y"),
        ("MYSQL_PWD=hunter2 mysqldump -u root -phunter3 db", "MYSQL_PWD=SECRET-1 mysqldump -u root -pSECRET-2 db"),
        ("sshpass -p hunter2 ssh x; sshpass -p'a b' ssh y", "sshpass -p SECRET-1 ssh x; sshpass -p'SECRET-2' ssh y"),
        ("xoxb-12345678 (xoxp-1-abc-DEF) ghp_1a2B3c4D", "KEY-1 (KEY-2) KEY-3"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln then eyJzdWIiOiIxIn0", "KEY-1 then KEY-2"),
        ("Web and web-2.local: web, cobweb", "HOST-1 and HOST-2.local: HOST-1, cobweb"),
        ("web.smithcorp. And c0ffee.web.lan, web.", "HOST-1.NAME-3. And NAME-4.HOST-1.lan, HOST-1."),
        ("web.service of web.nix in hosts.web.config", "HOST-1.service of HOST-1.nix in NAME-3.HOST-1.NAME-4"),
        (
            "2222/tcp, tcp 2222, port is 2222, 25.05.2222, 12222",
            "PORT-1/tcp, tcp PORT-1, port is PORT-1, 25.05.2222, 12222",
        ),
        ("ADA@x.example and Ada@x.example", "USER-1@NAME-3 and USER-1@NAME-3"),
        ("root@web-2 and http://web:80/", "root@HOST-2 and http://HOST-1:80/"),
        (
            "/nix/store/0gv1yx3wnyzhi0bjgjbmvxy7qnzwzw5h-nixos-system-web-2-25.05/etc",
            "/nix/store/0gv1yx3wnyzhi0bjgjbmvxy7qnzwzw5h-nixos-system-HOST-2-25.05/etc",
        ),
        ("sshd@3-10.100.0.1:22-192.0.2.7:50122.service", "sshd@3-ADDRESS-1:22-ADDRESS-2:50122.service"),
    ] {
        assert_eq!(hidden(raw), clean, "{raw:?}");
    }
}

#[test]
fn what_a_reader_needs_stays() {
    for text in [
        "vps -> nas ping: no answer within 2 s at 12:30:45",
        "the option `services.nginx.enable' does not exist in configuration.nix:12:3",
        "wg-quick@wg0.service, getty@tty1.service, user@1000.service failed",
        "nixosConfigurations.vps.config.system.build.toplevel of .#vps.config",
        "NixOS 26.05.20261120.abcdef, nix 2.28.4, kernel 6.12.8, foo@1.2.3",
        "127.0.0.1, 0.0.0.0, ::1 and localhost; http://localhost:80/",
        "https://cache.nixos.org/nar/x.nar.xz, github.com, org.freedesktop.systemd1",
        "run 20261122-161500-homelab-3f9c in /etc/ssh/sshd_config and lib/modules/a.ko",
        "sudo: a password is required; the token was taken by another run; std::fmt::Error",
        "passwordFile = /run/agenix/x, secret in /run/secrets/wg0",
        "the passphrase is wrong, the password was not accepted; a bypass, 3 passed, compass",
        "journalctl -u nginx.service, PWD=/root/fleet and the pin of it",
        "0000:00:1f.2: [8086:a0a3] 2026-11-22T16:15:00.042Z",
        "/nix/var/nix/gcroots/fleetdeploy/20261122-161500-homelab-3f9c/new and \
         lib/systemd/system/multi-user.target.wants",
        STORE,
    ] {
        assert_eq!(hidden(text), text);
    }
    let log = format!("{STORE}/bin/switch-to-configuration and {STORE}/etc");
    assert_eq!(hidden(&log), log);
}

#[test]
fn one_thing_has_one_word_in_every_text() {
    let mut redactor = redactor();
    assert_eq!(redactor.text("192.0.2.7"), "ADDRESS-2");
    assert_eq!(redactor.text("192.0.2.8 and 192.0.2.7"), "ADDRESS-3 and ADDRESS-2");
    assert_eq!(redactor.text("BOX and box"), "NAME-2 and NAME-2");
    let legend = [("NAME-1", "vps"), ("ADDRESS-1", "vps"), ("NAME-2", "nas")];
    assert_eq!(redactor.legend(), legend.map(|(word, host)| (word.to_owned(), host.to_owned())));
}

#[test]
fn json_stays_json_and_keeps_its_shape() {
    let mut value = serde_json::json!({
        "event": "warned", "run": "20261122-161500-homelab-3f9c", "host": "vps", "seq": 3,
        "text": "line\n192.0.2.7 is \"ada\"", "password": "hunter2",
        "lines": ["-----BEGIN X-----", "b3Bl", "short==", "-----END X-----", "eve@box"],
        "hosts": {"vps": null, "192.0.2.7": ["box", 1]},
    });
    redactor().json(&mut value);
    assert_eq!(
        value,
        serde_json::json!({
            "event": "warned", "run": "20261122-161500-homelab-3f9c", "host": "vps", "seq": 3,
            "text": "line\nADDRESS-2 is \"USER-1\"", "password": "SECRET-1",
            "lines": ["KEY-1", "USER-3@NAME-2"],
            "hosts": {"vps": null, "ADDRESS-2": ["NAME-2", 1]},
        })
    );
}

#[test]
fn a_key_that_is_printed_a_line_at_a_time_is_hidden_to_its_end() {
    let mut redactor = redactor();
    let lines = ["-----BEGIN X-----", "b3BlbnNzaC1r", "short==", "-----END X-----", "short=="];
    let clean = lines.map(|line| redactor.text(line));
    assert_eq!(clean[4], "short==", "what comes behind is no part of it");
    assert!(clean[..4].iter().all(|line| line.starts_with("KEY-")), "{clean:?}");
}

/// What stands around a thing in a log: words, quotes, signs, control sequences, line ends.
fn before() -> impl Strategy<Value = String> {
    const FIXED: &[&str] =
        &["", "\n", "\u{1b}[1m", "https://", "ssh://eve:pw@", "eve@", "addr=", "/home/x/", "test| ", "é", "\\n"];
    prop_oneof!["[ -~]{0,12}[ \"'(=\\[,;<>|]", prop::sample::select(FIXED).prop_map(str::to_owned)]
}

fn behind() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ \"')\\],;<>|][ -~]{0,12}",
        prop::sample::select(&["", "/24", ":22", "\n", "é", "\u{1b}[0m"][..]).prop_map(str::to_owned)
    ]
}

/// Whether nothing of it is seen in a text, in the JSON of an event, and in a list of lines.
fn is_hidden(before: &str, thing: &str, behind: &str) -> Result<(), TestCaseError> {
    let text = format!("{before}{thing}{behind}");
    let clean = hidden(&text);
    prop_assert!(!clean.contains(thing), "{text:?}: {clean:?}");
    let mut value = serde_json::json!({ "text": text, "lines": [text, thing] });
    redactor().json(&mut value);
    prop_assert!(!value.to_string().contains(thing), "{value}");
    Ok(())
}

proptest! {
    #[test]
    fn no_ipv4_address_is_seen(number: u32, before in before(), behind in behind()) {
        let address = Ipv4Addr::from(number);
        prop_assume!(!is_everywhere(address.into()));
        is_hidden(&before, &address.to_string(), &behind)?;
    }

    #[test]
    fn no_ipv6_address_is_seen(
        groups: [u16; 8], empty in 0usize..8, from in 0usize..8, before in before(), behind in behind(),
    ) {
        // With empty groups, which are written as `::`.
        let mut groups = groups;
        groups.iter_mut().skip(from).take(empty).for_each(|group| *group = 0);
        let address = Ipv6Addr::from(groups);
        prop_assume!(!is_everywhere(address.into()));
        is_hidden(&before, &address.to_string(), &behind)?;
    }

    #[test]
    fn no_hardware_address_is_seen(mac in "[0-9a-f]{2}(:[0-9a-f]{2}){5}", before in before(), behind in behind()) {
        is_hidden(&before, &mac, &behind)?;
    }

    #[test]
    fn no_key_is_seen(
        key in prop_oneof!["[A-Za-z0-9+/]{43}=", "[0-9a-f]{32,64}", "[A-Za-z0-9]{32,90}", "AAAA[A-Za-z0-9+/]{64}"],
        before in before(),
        behind in behind(),
    ) {
        is_hidden(&before, &key, &behind)?;
    }

    #[test]
    fn no_secret_is_seen(
        word in prop::sample::select(
            &["password", "DB_PASSWD", "secret", "api-key", "psk", "apiToken", "x password"][..],
        ),
        secret in "[!#-&(-+.-~]{8,20}",
        sign in prop::sample::select(&["=", ":", " = "][..]),
    ) {
        prop_assume!(!is_path(&secret));
        let clean = hidden(&format!("{word}{sign}{secret}"));
        prop_assert!(!clean.contains(&secret), "{clean:?}");
    }

    #[test]
    fn no_name_of_a_host_is_seen(
        name in "[a-z][a-z0-9]{1,8}(-[a-z0-9]{1,4})?(\\.[a-z]{2,9}){0,2}\\.(com|net|org|de|lan|internal)",
        before in before(),
        behind in behind(),
    ) {
        prop_assume!(!is_public(&name) && !is_code(&name, &name.split('.').collect::<Vec<_>>()));
        is_hidden(&before, &name, &behind)?;
    }

    #[test]
    fn no_known_name_is_seen(
        name in prop::sample::select(&["vps.example.org", "10.100.0.1", "box", "ada"][..]),
        before in "([ -~]{0,12}[ \"'(=\\[,;<>|@-])?",
        behind in "([ \"')\\],;<>|@:.-][ -~]{0,12})?",
    ) {
        prop_assume!(!before.contains(name) && !behind.contains(name));
        let clean = hidden(&format!("{before}{name}{behind}"));
        let is_in_a_word = |character: char| !character.is_alphanumeric() && character != '.';
        prop_assert!(!clean.split(is_in_a_word).any(|word| word == name), "{clean:?}");
    }

    #[test]
    fn no_text_is_too_strange(text in "(?s)([-:.@/=\n]|BEGIN|.){0,80}") {
        let clean = hidden(&text);
        prop_assert_eq!(sanitise::text(&clean), clean.clone());
    }
}
