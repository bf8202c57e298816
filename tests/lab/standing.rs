//! How a host stands, asked of the host itself and not by fleetdeploy's own scripts.

use std::collections::BTreeMap;

/// Asked in one go, so that it is one moment. Lines `KEY VALUE`.
const QUESTIONS: &str = r#"
say() { echo "$1 $2"; }
say current "$(readlink -f /run/current-system)"
say booted "$(readlink -f /run/booted-system)"
say profile "$(readlink -f /nix/var/nix/profiles/system)"
for link in /nix/var/nix/profiles/system-*-link; do say generation "${link##*/system-} $(readlink "$link")"; done
say boot_id "$(cat /proc/sys/kernel/random/boot_id).$(cut -d ' ' -f 22 /proc/1/stat)"
say panic "$(cat /proc/sys/kernel/panic)"
if [ -e /boot/loader/loader.conf ]; then
    entry=$(awk '$1 == "default" { print $2 }' /boot/loader/loader.conf)
    say boot_default "$(grep -o 'init=[^ ]*' "/boot/loader/entries/$entry" | cut -d= -f2)"
    for entry in /boot/loader/entries/*; do say entry "${entry##*/}"; done
elif [ -e /boot/grub/grub.cfg ]; then
    say boot_default "$(grep -m 1 -o 'init=[^ ]*' /boot/grub/grub.cfg | cut -d= -f2)"
else
    say boot_default "$(readlink /sbin/init || sed -n 's/^exec //p' /sbin/init)"
fi
for unit in $(systemctl list-units --failed --plain --no-legend | awk '{ print $1 }'); do say failed "$unit"; done
# What a unit has made roll back is remembered: that is no leftover.
roots=/nix/var/nix/gcroots/fleetdeploy
for place in /run/fleetdeploy /nix/var/nix/gcroots/fleetdeploy /run/systemd/transient/fleetdeploy*; do
    [ "$place $(ls -A "$roots" 2>/dev/null)" != "$roots failed_units" ] || continue
    [ ! -e "$place" ] || find "$place" ! -path "$roots/failed_units" | while read -r file; do say leftover "$file"; done
done
systemctl list-units --all --plain --no-legend 'fleetdeploy*' | while read -r unit _; do say leftover "unit $unit"; done
for file in /nix/var/nix/gcroots/auto/* /nix/var/nix/temproots/fleetdeploy* /tmp/*fleetdeploy*; do
    case $(readlink "$file") in *fleetdeploy*) say leftover "$file" ;; esac
done
switch_lock=/run/nixos/switch-to-configuration.lock
[ ! -e "$switch_lock" ] || flock -n "$switch_lock" true || say leftover "a switch"
"#;

/// What a push must leave as it was, or move as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) current: String,
    pub(crate) profile: String,
    /// As the boot loader's own files say.
    pub(crate) boot_default: String,
    /// The profile's, by number.
    pub(crate) generations: BTreeMap<u32, String>,
    /// Menu entries of the boot loader, where they are files.
    pub(crate) entries: Vec<String>,
    /// The kernel's, and when PID 1 was started: a container has its machine's.
    pub(crate) boot_id: String,
    /// How often the host was powered on or rebooted, as the lab counts.
    pub(crate) boots: u32,
    pub(crate) failed_units: Vec<String>,
    pub(crate) kernel_panic: String,
    /// Files, units and locks of fleetdeploy.
    pub(crate) leftovers: Vec<String>,
}

impl Standing {
    /// Asks through `host`, which runs a script inside a host.
    pub(crate) fn ask(host: impl FnOnce(&str) -> String, boots: u32) -> Self {
        let answer = host(QUESTIONS);
        let all = |key: &str| -> Vec<String> {
            let of_key = answer.lines().filter_map(|line| line.split_once(' ')).filter(|(word, _)| *word == key);
            of_key.map(|(_, value)| value.to_owned()).collect()
        };
        let one = |key: &str| all(key).pop().unwrap_or_else(|| panic!("the host did not say its {key}:\n{answer}"));
        let generations = all("generation").into_iter().map(|line| {
            let (number, system) = line.split_once("-link ").unwrap();
            (number.parse().unwrap(), system.to_owned())
        });
        Self {
            current: one("current"),
            profile: one("profile"),
            boot_default: one("boot_default").trim_end_matches("/init").to_owned(),
            generations: generations.collect(),
            entries: all("entry"),
            boot_id: one("boot_id"),
            boots,
            failed_units: all("failed"),
            kernel_panic: one("panic"),
            leftovers: all("leftover"),
        }
    }

    /// This host after a push to `system` that was committed: all three on it, one generation more, no restart.
    pub(crate) fn moved_to(&self, system: &str) -> Self {
        let mut new = self.clone();
        let number = self.generations.keys().max().unwrap() + 1;
        for place in [&mut new.current, &mut new.profile, &mut new.boot_default] {
            system.clone_into(place);
        }
        new.generations.insert(number, system.to_owned());
        if !new.entries.is_empty() {
            new.entries.push(format!("nixos-generation-{number}.conf"));
            new.entries.sort();
        }
        new
    }

    /// This host after `count` restarts into what it boots; `now` says which boot that is.
    pub(crate) fn restarted(&self, count: u32, now: &Self) -> Self {
        assert!(count == 0 || self.boot_id != now.boot_id, "the host has not restarted");
        Self { boots: self.boots + count, boot_id: now.boot_id.clone(), ..self.clone() }
    }
}
