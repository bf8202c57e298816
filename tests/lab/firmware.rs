//! What the lab's own firmware does with an entry that is chosen once: other tests rest on it.

use pretty_assertions::assert_eq;

use crate::fleet::{Fleet, Setup};
use crate::wait::{seconds, until};

const BOTH: [&str; 2] = ["vps", "web"];
const MODE: &str = "/usr/lib/lab/firmware.d/one-shot";
const CHOSEN: &str = "cat /sys/firmware/efi/efivars/LoaderEntryOneShot-* 2>/dev/null | tr -d '\\000\\007'; \
                      sed -n 's/^next_entry=//p' /boot/grub/grubenv 2>/dev/null; true";
/// GRUB's environment with this in it, in as many bytes as GRUB makes it.
const SET_NEXT: &str = "printf '# GRUB Environment Block\\nsaved_entry=kept\\nnext_entry=ENTRY\\n' \
                        >/boot/grub/grubenv; while [ $(stat -c %s /boot/grub/grubenv) -lt 1024 ]; do \
                        printf '#' >>/boot/grub/grubenv; done";

fn choose_once(fleet: &Fleet, host: &str, entry: &str) {
    match host {
        "web" => fleet.host(host, &SET_NEXT.replace("ENTRY", entry)),
        _ => fleet.host(host, &format!("bootctl set-oneshot '{entry}'")),
    };
}

/// Takes the power from both, and answers with what each has booted.
fn booted_after_a_cut(fleet: &Fleet) -> [String; 2] {
    let before = BOTH.map(|host| fleet.boots(host));
    for host in BOTH {
        fleet.power(host, "cut");
    }
    for (host, before) in BOTH.iter().zip(before) {
        until(seconds(60), &format!("{host} boots again"), || (fleet.boots(host) > before).then_some(()));
        fleet.wait_until_up(host);
    }
    BOTH.map(|host| fleet.host(host, "readlink /run/booted-system").trim().to_owned())
}

#[test]
#[ignore = "needs the lab: root and systemd-nspawn; scripts/test.sh runs it"]
fn an_entry_is_booted_once_and_with_its_parameters_unless_the_firmware_forgets_it_or_keeps_it() {
    let fleet = Fleet::made("firmware", &Setup { hosts: &BOTH, ..Setup::default() });
    let old = BOTH.map(|host| fleet.before(host).current.clone());
    fleet.change(&BOTH);
    for host in BOTH {
        assert!(fleet.rebuild_by_hand(host, "boot").status.success());
    }
    let new = BOTH.map(|host| fleet.system(host));
    let chosen = || BOTH.map(|host| fleet.host(host, CHOSEN).trim().to_owned());
    let nothing = || ["", ""].map(str::to_owned);

    // An entry of our own, with a unit on its line that is in no system. The menu's numbers stay as they are.
    let unit = "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo ran >/run/from-the-line'\n";
    let own = format!(
        "unit=$(printf '{unit}' | base64 -w0)\n\
         credential=systemd.set_credential_binary=systemd.extra-unit.own.service:$unit\n\
         more=\"lab.own=1 $credential systemd.wants=own.service\"\n\
         if [ -e /boot/grub/grub.cfg ]; then\n\
             line=$(grep 'init=/nix/store' /boot/grub/grub.cfg | tail -n 1)\n\
             printf 'menuentry \"own\" --id own-1 {{\\n%s %s\\n}}\\n' \"$line\" \"$more\" >>/boot/grub/grub.cfg\n\
         else\n\
             sed -e '/^sort-key/d' -e \"s|^options.*|& $more|\" /boot/loader/entries/nixos-generation-1.conf \
                 >/boot/loader/entries/own-1.conf\n\
         fi",
        unit = unit.replace('\n', "\\n").replace('\'', "'\\''")
    );
    for host in BOTH {
        fleet.host(host, &own);
        choose_once(&fleet, host, if host == "web" { "own-1" } else { "own-1.conf" });
    }
    assert_eq!(booted_after_a_cut(&fleet), old, "the one that was chosen, and not the default");
    assert_eq!(chosen(), nothing(), "it was taken back before the system came up");
    for host in BOTH {
        let line = fleet.host(host, "tr '\\0' ' ' </proc/1/cmdline");
        assert!(line.contains(" lab.own=1 "), "{host}: {line}");
        assert_eq!(fleet.host(host, "cat /run/from-the-line"), "ran\n", "{host}");
    }
    let environment = fleet.host("web", "cat /boot/grub/grubenv");
    assert!(environment.len() == 1024 && environment.contains("saved_entry=kept\n"), "{environment}");
    assert_eq!(booted_after_a_cut(&fleet), new);

    let choose = |mode: &str| {
        for host in BOTH {
            fleet.host(host, &format!("echo {mode} >{MODE}"));
            choose_once(&fleet, host, if host == "web" { "1>1" } else { "nixos-generation-1.conf" });
        }
    };
    choose("forgets");
    assert_eq!(booted_after_a_cut(&fleet), new);
    assert_eq!(chosen(), nothing());
    choose("sticks");
    assert_eq!(booted_after_a_cut(&fleet), old);
    assert_eq!(chosen(), ["nixos-generation-1.conf", "1>1"].map(str::to_owned));

    // Chosen once is an entry that comes to nothing: with `panic=` on its line the machine goes on by itself.
    for host in BOTH {
        fleet.host(host, &format!("rm {MODE}"));
    }
    fleet.set("vps", "boot", "\"panics\"");
    assert!(fleet.rebuild_by_hand("vps", "boot").status.success());
    let panics = "cd /boot/loader/entries && sed 's|^options.*|& panic=5|' nixos-generation-3.conf >own-3.conf && \
                  sed -i 's/^default.*/default nixos-generation-2.conf/' ../loader.conf && \
                  bootctl set-oneshot own-3.conf";
    fleet.host("vps", panics);
    choose_once(&fleet, "web", "");
    let before = fleet.boots("vps");
    fleet.power("vps", "cut");
    until(seconds(60), "vps boots twice", || (fleet.boots("vps") == before + 2).then_some(()));
    fleet.wait_until_up("vps");
    assert_eq!(fleet.host("vps", "readlink /run/booted-system").trim(), new[0]);
}
