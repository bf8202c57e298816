//! Words that look like names of hosts or users and are none, and the other way round.

/// Kinds of units. Source: systemd.unit(5).
const UNITS: &str = "automount device mount path scope service slice socket swap target timer";

/// Endings of files that logs of NixOS, nix and systemd speak of.
const FILES: &str = "\
    bin bz c cc cfg cnf conf cpp crt css csv db drv efi env gpg gz h hs html img ini iso jar js json jsonl key ko \
    lock log lua md nar narinfo nix old patch pem pid pl pub py rs rules sh so sock tar tmp toml ts txt xml yaml \
    yml";

/// Those of them that are also the ends of names of hosts: with two dots before them they are rather that.
const FILES_AND_COUNTRIES: &str = "cc md pl pub py rs sh so";

/// The ends of names of hosts that are nothing else.
const TOP_LEVEL: &str = "\
    app arpa at au be biz br ca ch club cn co com corp cz de dev dk edu es eu example fi fr gov gr hu ie il in \
    info internal intra intranet invalid io it jp kr lan li local localdomain localhost lu mil mx net network \
    nl no nu nz onion online org pt ro ru se si sk space tech tr tv tw ua uk us website wiki xyz za";

/// The beginnings of options, attributes of flakes and names of the bus.
const CODE: &str = "\
    assertions boot builtins config console containers derivation environment filesystems fonts hardware home i18n \
    inputs kernel legacypackages lib location meta modules net networking nix nixos nixosconfigurations nixpkgs \
    options org outputs packages pkgs powermanagement programs security self services specialisation system \
    systemd users virtualisation";

/// Names that thousands of machines speak to, and names in the protocols themselves.
const PUBLIC: &str = "\
    cache.nixos.org channels.nixos.org codeberg.org github.com gitlab.com libssh.org localhost nixos.org \
    openssh.com org.freedesktop";

/// Names of users that are words of fleetdeploy, of its records or of every log.
const ORDINARY: &str = "\
    access account action address admin agent all answer arm backup baseline boot build builder check client copy \
    decide default deploy disarm event failed fleet git guard guest home host http inventory kernel key link local \
    log login main mesh name new nix nixos old ping push recover run server service ssh start state survey switch \
    system systemd tcp test up user users verify vpn";

/// Words that stand in the place of a password.
const STATES: &str = "\
    a accepted already also an asked being changed correct denied disabled empty enabled encrypted expired for given \
    good in incorrect invalid locked missing needed no not now of ok old only read rejected required reset sent set \
    still stored taken that the to too unknown unset used valid weak wrong";

pub(super) fn is_state(word: &str) -> bool {
    has(STATES, &word.to_lowercase())
}

pub(super) fn is_unit(word: &str) -> bool {
    word.rsplit_once('.').is_some_and(|(_, kind)| has(UNITS, kind))
}

/// Whether a word with dots, in its parts, is rather the name of a file.
pub(super) fn is_file(labels: &[&str]) -> bool {
    let Some(ending) = labels.last() else { return false };
    has(FILES, ending) && (labels.len() < 3 || !has(FILES_AND_COUNTRIES, ending))
}

/// Whether it can be nothing but the end of a host's name.
pub(super) fn is_top_level(label: &str) -> bool {
    label.starts_with("xn--") || has(TOP_LEVEL, label)
}

/// Whether a word with dots is an option, an attribute or the like: hosts are not called in camel case.
pub(super) fn is_code(word: &str, labels: &[&str]) -> bool {
    let bytes = word.as_bytes();
    let is_camel = bytes.windows(2).any(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase());
    is_camel || labels.first().is_some_and(|first| has(CODE, &first.to_lowercase()))
}

/// Returns whether the name is commonly known; `name` is in lower case.
pub(super) fn is_public(name: &str) -> bool {
    has(PUBLIC, name) || name.starts_with("org.freedesktop.")
}

pub(super) fn is_ordinary(user: &str) -> bool {
    has(ORDINARY, &user.to_lowercase())
}

fn has(list: &str, word: &str) -> bool {
    list.split_ascii_whitespace().any(|known| known == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_in_order_and_hold_nothing_twice() {
        for list in [UNITS, FILES, FILES_AND_COUNTRIES, TOP_LEVEL, CODE, PUBLIC, ORDINARY, STATES] {
            let words: Vec<&str> = list.split_ascii_whitespace().collect();
            assert!(words.is_sorted_by(|one, next| one < next), "{list}");
        }
        assert!(FILES_AND_COUNTRIES.split_ascii_whitespace().all(|ending| has(FILES, ending)));
    }
}
