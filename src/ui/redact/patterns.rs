//! Has the patterns that are looked for in a report. Each finds rather too much; every finding is then looked at.

use std::sync::LazyLock;

use regex::Regex;

pub(super) fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("the pattern is one; each is used by a test")
}

/// Two groups: the path, which stays, of a store object.
pub(super) static STORE_PATH: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"/nix/store/[0-9a-df-np-sv-z]{32}-[A-Za-z0-9+._?=-]+"));

/// A whole key file; without its end, as much as can belong to one.
pub(super) static KEY_FILE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"-----BEGIN [^\n-]{0,60}-----(?:",
        r"(?:[^\n]*\n){0,120}?[^\n]*?-----END [^\n-]{0,60}-----|[^\n]*(?:\n[^\n]*){0,120})"
    ))
});

/// The end of a key file of which the beginning was not seen.
pub(super) static END_OF_KEY: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?:[^\n]*\n){0,120}[^\n]*-----END [^\n-]{0,60}-----"));

/// Groups: who logs in, the host, the port.
pub(super) static URL: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r#"[A-Za-z][A-Za-z0-9+.-]*://(?:(?<user>[^\s/"'<>]*)@)?(?<host>\[[^\]\s]*\]|[^\s/"'<>?\#\\|(){},;:\[\]`@]*)(?::(?<port>\d+))?"#,
    )
});

/// Headers of which the whole rest is secret.
pub(super) static HEADER: LazyLock<Regex> =
    LazyLock::new(|| pattern(r#"(?i)(?:authorization|cookie)["']?\s*[:=]\s*["']?(?<value>[^\n"']+)"#));

/// Groups: the word, of which some are never without a secret; what stands between; where to look again if this is
/// none; the secret.
pub(super) static SECRET: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?i)(?:(?<strong>password|passwd|passphrase|psk|(?:private|preshared|api|access)[_-]?key)",
        r"|secret|token|credential|bearer)",
        r#"[a-z0-9_-]*["']?(?<between>\s*[=:]\s*|\s+(?:is|was)\s+|\s+)(?<again>)"#,
        r#"(?:"(?<double>[^"\n]+)"|'(?<single>[^'\n]+)'|(?<bare>[^\s"']+))"#
    ))
});

/// Short names that mean a password only where something is given to them: `pw=`, `MYSQL_PWD=`, `smtp_pass:`. Groups:
/// as of [`SECRET`].
pub(super) static ASSIGNED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r#"(?i)(?:^|[^a-z0-9])(?:[a-z0-9]+[_-])*(?:pw|pwd|pass|passwort|pin)["']?\s*[=:]\s*"#,
        r#"(?:"(?<double>[^"\n]+)"|'(?<single>[^'\n]+)'|(?<bare>[^\s"']+))"#
    ))
});

/// A password among the words of a command: of `sshpass`, and of the clients of `MySQL`. Groups: as of [`SECRET`].
pub(super) static COMMAND_PASSWORD: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"\b(?:sshpass\b[^\n|;&]*?\s-p\s*|(?:mysql|mariadb)[a-z-]*\b[^\n|;&]*?\s-p)",
        r#"(?:"(?<double>[^"\n]+)"|'(?<single>[^'\n]+)'|(?<bare>[^\s"']+))"#
    ))
});

/// `curl -u user:password`, `--user`, `--proxy-user`.
pub(super) static COMMAND_LOGIN: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r#"(?:^|[\s"'])(?:-u|-U|--user|--proxy-user)(?:\s+|=)?["']?(?<login>[^\s:"']+:[^\s"']+)"#)
});

/// A JSON web token, or as much of one as begins with a part of JSON: base64 of `{"`.
pub(super) static JWT: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?:^|[^A-Za-z0-9_-])(?<token>eyJ[A-Za-z0-9_-]{4,}={0,2}(?:\.[A-Za-z0-9_=-]*)*)"));

/// Tokens that say themselves what they are, however short: of AWS, Slack, GitHub, GitLab, Google and others.
pub(super) static KNOWN_TOKEN: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?:^|[^A-Za-z0-9])(?<token>(?:A3T[A-Z0-9]|AKIA|ASIA|AROA|AIDA|AGPA|ANPA|ANVA|AIPA|ABIA|ACCA)[A-Z0-9]{12,}",
        r"|xox[a-z]-[A-Za-z0-9-]{4,}|xapp-[A-Za-z0-9-]{4,}|gh[pousr]_[A-Za-z0-9]{4,}|github_pat_[A-Za-z0-9_]{4,}",
        r"|gl(?:pat|dt|rt)-[A-Za-z0-9_-]{4,}|AIza[A-Za-z0-9_-]{8,}|[sr]k_(?:live|test)_[A-Za-z0-9]{4,}|sk-[A-Za-z0-9_-]{12,}",
        r"|tskey-[A-Za-z0-9-]{4,}|AGE-SECRET-KEY-1[A-Z0-9]+)"
    ))
});

/// ssh's public keys: all begin with the length of their kind's name.
pub(super) static SSH_KEY: LazyLock<Regex> = LazyLock::new(|| pattern(r"AAAA[A-Za-z0-9+/]{12,}={0,2}"));

/// The hash behind its kind.
pub(super) static FINGERPRINT: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?i)(?:sha(?:1|256|512)|md5)[:-](?<hash>[A-Za-z0-9+/:]{16,}={0,2})"));

/// 32 bytes in base64: keys of WireGuard.
pub(super) static WIREGUARD_KEY: LazyLock<Regex> = LazyLock::new(|| pattern(r"[A-Za-z0-9+/]{43}="));

/// A text that may be a long token; its characters then tell whether it is one.
pub(super) static TOKEN: LazyLock<Regex> = LazyLock::new(|| pattern(r"[A-Za-z0-9+/_=-]{32,}"));

/// Letters and digits without an end.
pub(super) static BLOCK: LazyLock<Regex> = LazyLock::new(|| pattern(r"[A-Za-z0-9]{32,}"));

/// Groups: who, and at which host.
pub(super) static LOGIN: LazyLock<Regex> =
    LazyLock::new(|| pattern(r#"(?<user>[^\s"'`<>()\[\]{},;|=/@\\]+)@(?<host>[A-Za-z0-9_][A-Za-z0-9._-]*|\[|:)"#));

/// Hexadecimal digits and colons: IPv6, hardware addresses, old fingerprints, and much that is none of them.
pub(super) static COLONS: LazyLock<Regex> = LazyLock::new(|| pattern(r"[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*"));

pub(super) static HYPHENED_MAC: LazyLock<Regex> = LazyLock::new(|| pattern(r"[0-9A-Fa-f]{2}(?:-[0-9A-Fa-f]{2}){5}"));

pub(super) static DOTTED_NUMBERS: LazyLock<Regex> = LazyLock::new(|| pattern(r"[0-9]+(?:\.[0-9]+){3,}"));

pub(super) static HOME: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"/(?:home|Users)/(?<user>[A-Za-z0-9_][A-Za-z0-9._-]*)"));

pub(super) static PORT: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)(?::|\bport[ =:]+|-p ?)(?<port>[0-9]{1,5})"));

/// A number that can be a port of a person's own choice.
pub(super) static NUMBER: LazyLock<Regex> = LazyLock::new(|| pattern(r"[0-9]{4,5}"));

/// Words with dots in them.
pub(super) static DOTTED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?)+")
});
