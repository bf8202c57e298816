//! Says how much goes to whom before it is sent, and how fast it went.

use std::cmp::Reverse;

use super::words;
use crate::event::forecast::{CopiesForecast, CopyForecast};
use crate::facts::sending::SendingWay;
use crate::inventory::model::HostName;

/// Hosts that are named in one sentence: those that are sent most.
const NAMED: usize = 6;

/// `to be sent: vps 20.1 MiB (about 8s), web 3.0 MiB (about 2s); 23.1 MiB in all, about 9s`
pub(crate) fn coming(copies: &CopiesForecast) -> String {
    let (sent, fetched): (Vec<&CopyForecast>, Vec<&CopyForecast>) =
        copies.each.iter().partition(|copy| copy.way.is_sent());
    let mut parts = Vec::new();
    if !sent.is_empty() {
        let nothing = sent.iter().all(|copy| copy.bytes == Some(0));
        let each = if nothing { "nothing".to_owned() } else { list(sent.clone()) };
        parts.push(format!("to be sent: {each}"));
        if sent.len() > 1 && !nothing {
            parts.extend(in_all(copies));
        }
    }
    if !fetched.is_empty() {
        parts.push(format!("to be fetched from the cache: {}", list(fetched)));
    }
    parts.join("; ")
}

/// `23.1 MiB in all, about 9s`; `None`: not all is known.
pub(crate) fn in_all(copies: &CopiesForecast) -> Option<String> {
    let sent = || copies.each.iter().filter(|copy| copy.way.is_sent());
    let bytes = sent().map(|copy| copy.bytes).sum::<Option<u64>>()?;
    let most = if sent().any(|copy| copy.way == SendingWay::SentOrFetched) { "at most " } else { "" };
    let time = about(copies.about_ms).map(|time| format!(", {time}")).unwrap_or_default();
    Some(format!("{most}{} in all{time}", words::size(bytes)))
}

fn list(mut copies: Vec<&CopyForecast>) -> String {
    copies.sort_by_key(|copy| Reverse(copy.bytes));
    let named = copies.iter().take(NAMED).map(|copy| {
        let time = about(copy.about_ms).map(|time| format!(" ({time})")).unwrap_or_default();
        format!("{} {}{time}", receiver(copy), amount(copy))
    });
    let named: Vec<String> = named.collect();
    match copies.len() - named.len() {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

/// The host that gets it.
pub(crate) fn receiver(copy: &CopyForecast) -> &str {
    copy.host.as_ref().map_or("the cache", HostName::as_str)
}

/// `20.1 MiB`, `at most 20.1 MiB`, `not known yet`
pub(crate) fn amount(copy: &CopyForecast) -> String {
    match (copy.bytes, &copy.way) {
        (None, _) => "not known yet".to_owned(),
        (Some(bytes @ 1..), SendingWay::SentOrFetched) => format!("at most {}", words::size(bytes)),
        (Some(bytes), _) => words::size(bytes),
    }
}

/// `about 8s`
pub(crate) fn about(milliseconds: Option<u64>) -> Option<String> {
    milliseconds.filter(|time| *time > 0).map(|time| format!("about {}", words::span_ms(time.max(1000))))
}

/// `from nas, its builder`
pub(crate) fn way(way: &SendingWay) -> String {
    match way {
        SendingWay::Sent => "from this workstation".to_owned(),
        SendingWay::SentOrFetched => "from here and its own caches".to_owned(),
        SendingWay::Fetched => "from the cache".to_owned(),
        SendingWay::Between { from } => format!("from {from}, its builder"),
    }
}

/// `20.1 MiB in 8s, 2.5 MiB/s`
pub(crate) fn measured(from: Option<&HostName>, bytes: u64, took_ms: u64) -> String {
    let from = from.map(|from| format!(" from {from}")).unwrap_or_default();
    let speed = if took_ms >= 500 {
        format!(", {}/s", words::size(bytes.saturating_mul(1000) / took_ms))
    } else {
        String::new()
    };
    format!("{}{from} in {}{speed}", words::size(bytes), words::span_ms(took_ms))
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    const MIB: u64 = 1 << 20;

    fn copy(host: &str, bytes: Option<u64>, about_ms: Option<u64>) -> CopyForecast {
        CopyForecast { host: Some(HostName::new(host).unwrap()), way: SendingWay::Sent, bytes, about_ms }
    }

    fn said(each: Vec<CopyForecast>, about_ms: Option<u64>) -> String {
        coming(&CopiesForecast { each, about_ms })
    }

    #[test]
    fn who_is_sent_most_is_named_first_and_what_is_not_known_is_not_guessed() {
        let vps = copy("vps", Some(3 * MIB), Some(2400));
        let web = copy("web", Some(20 * MIB), Some(400));
        let nas = copy("nas", None, None);
        assert_eq!(said(vec![vps.clone()], Some(2400)), "to be sent: vps 3.0 MiB (about 2s)");
        assert_eq!(
            said(vec![vps.clone(), web.clone()], Some(61_000)),
            "to be sent: web 20.0 MiB (about 1s), vps 3.0 MiB (about 2s); 23.0 MiB in all, about 1m 01s"
        );
        let nobody_measured = CopyForecast { about_ms: None, ..web.clone() };
        assert_eq!(
            said(vec![vps.clone(), nobody_measured], None),
            "to be sent: web 20.0 MiB, vps 3.0 MiB (about 2s); 23.0 MiB in all"
        );
        assert_eq!(said(vec![nas, vps.clone()], None), "to be sent: vps 3.0 MiB (about 2s), nas not known yet");
        assert_eq!(
            said(vec![copy("vps", Some(0), Some(0)), copy("web", Some(0), Some(0))], Some(0)),
            "to be sent: nothing"
        );
        let many = (0..500).map(|number| copy(&format!("host{number}"), Some(MIB), Some(1000)));
        let words = said(many.collect(), Some(32_000));
        assert!(words.ends_with("host5 1.0 MiB (about 1s) and 494 more; 500.0 MiB in all, about 32s"), "{words}");
    }

    #[test]
    fn what_a_host_fetches_is_not_sent() {
        let cache = CopyForecast { host: None, ..copy("vps", Some(20 * MIB), None) };
        let web = CopyForecast { way: SendingWay::Fetched, ..copy("web", Some(20 * MIB), None) };
        assert_eq!(
            said(vec![cache, web.clone()], None),
            "to be sent: the cache 20.0 MiB; to be fetched from the cache: web 20.0 MiB"
        );
        assert_eq!(said(vec![web], None), "to be fetched from the cache: web 20.0 MiB");
        let own = |host| CopyForecast { way: SendingWay::SentOrFetched, ..copy(host, Some(MIB), None) };
        assert_eq!(
            said(vec![own("vps"), own("web")], None),
            "to be sent: vps at most 1.0 MiB, web at most 1.0 MiB; at most 2.0 MiB in all"
        );
    }

    #[test]
    fn a_copy_that_was_over_at_once_tells_no_speed() {
        assert_eq!(measured(None, 20 * MIB, 8000), "20.0 MiB in 8s, 2.5 MiB/s");
        let nas = HostName::new("nas").unwrap();
        assert_eq!(measured(Some(&nas), 288, 40), "288 B from nas in 0s");
    }
}
