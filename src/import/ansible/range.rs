//! Names of hosts with ranges in them: `web[01:10].example.org`, `db-[a:f]`, `node[0:20:5]`, also several in one name.
//!
//! Source: `expand_hostname_range` in Ansible's `plugins/inventory/__init__.py`, and its documentation ("Adding ranges
//! of hosts").

use std::net::Ipv6Addr;

use super::model::MOST_HOSTS;

/// More ranges than any name has. A line of a hundred `[1:1]` behind `[1:20000]` took 11 s.
const MOST_RANGES: usize = 8;

/// What is wrong with a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BadRange(pub(super) &'static str);

/// The hosts of a pattern and the port behind it, as in `web[1:3]:2222`.
pub(super) fn expand(pattern: &str) -> Result<(Vec<String>, Option<&str>), BadRange> {
    let (name, port) = without_port(pattern);
    let bare = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    if bare.parse::<Ipv6Addr>().is_ok() {
        return Ok((vec![bare.to_owned()], port));
    }
    // The whole name is read before any of it is expanded: with each further range, every name would be made anew.
    let (mut ranges, mut rest, mut hosts) = (Vec::new(), name, 1);
    while let Some((head, behind)) = rest.split_once('[') {
        let Some((range, tail)) = behind.split_once(']') else {
            return Err(BadRange("a `[` has no `]`"));
        };
        if ranges.len() == MOST_RANGES {
            return Err(BadRange("a name has at most 8 ranges"));
        }
        let parts = sequence(range)?;
        hosts *= parts.len();
        if hosts > MOST_HOSTS {
            return Err(BadRange("these are more than 20000 hosts"));
        }
        ranges.push((head, parts));
        rest = tail;
    }
    let mut names = vec![String::new()];
    for (head, parts) in &ranges {
        names = names.iter().flat_map(|name| parts.iter().map(move |part| format!("{name}{head}{part}"))).collect();
    }
    for name in &mut names {
        name.push_str(rest);
    }
    Ok((names, port))
}

/// Splits `host:22`, but neither a bare IPv6 address nor a range.
fn without_port(pattern: &str) -> (&str, Option<&str>) {
    let Some((name, port)) = pattern.rsplit_once(':') else { return (pattern, None) };
    let is_port = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let outside = name.rsplit_once(']').map_or(name, |(_, outside)| outside);
    let is_closed = name.matches('[').count() == name.matches(']').count();
    if is_port && is_closed && !outside.contains(':') { (name, Some(port)) } else { (pattern, None) }
}

/// `begin:end` or `begin:end:step`, of numbers or letters; a leading zero keeps the width.
fn sequence(range: &str) -> Result<Vec<String>, BadRange> {
    let parts: Vec<&str> = range.split(':').collect();
    let (begin, end, step) = match parts[..] {
        [begin, end] => (begin, end, "1"),
        [begin, end, step] => (begin, end, step),
        _ => return Err(BadRange("a range is written `[begin:end]` or `[begin:end:step]`")),
    };
    let step = step.parse().ok().filter(|step| *step > 0).ok_or(BadRange("the step of a range is a number above 0"))?;
    let begin = if begin.is_empty() { "0" } else { begin };
    if end.is_empty() {
        return Err(BadRange("a range says where it ends"));
    }
    let backwards = BadRange("a range begins below its end");
    if let (Some(first), Some(last)) = (letter(begin), letter(end)) {
        if first > last {
            return Err(backwards);
        }
        return Ok(LETTERS[first..=last].chars().step_by(step).map(String::from).collect());
    }
    let (Ok(first), Ok(last)) = (begin.parse::<u32>(), end.parse::<u32>()) else {
        return Err(BadRange("a range goes from number to number or from letter to letter"));
    };
    let width = if begin.len() > 1 && begin.starts_with('0') { begin.len() } else { 0 };
    if width > 0 && width != end.len() {
        return Err(BadRange("both ends of a range with leading zeros are equally long"));
    }
    if first > last {
        return Err(backwards);
    }
    if usize::try_from((last - first) / u32::try_from(step).unwrap_or(u32::MAX)).map_or(true, |many| many >= MOST_HOSTS)
    {
        return Err(BadRange("these are more than 20000 hosts"));
    }
    Ok((first..=last).step_by(step).map(|number| format!("{number:0width$}")).collect())
}

/// Python's `string.ascii_letters`.
const LETTERS: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

fn letter(text: &str) -> Option<usize> {
    if text.len() == 1 { LETTERS.find(text) } else { None }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use proptest::prelude::*;

    use super::*;

    fn hosts(pattern: &str) -> Vec<String> {
        expand(pattern).unwrap_or_else(|wrong| panic!("{pattern}: {wrong:?}")).0
    }

    #[test]
    fn ranges_of_numbers_and_letters_are_walked() {
        assert_eq!(hosts("web[1:3].example.org"), ["web1.example.org", "web2.example.org", "web3.example.org"]);
        assert_eq!(hosts("web[08:11]"), ["web08", "web09", "web10", "web11"]);
        assert_eq!(hosts("node[0:20:10]-x"), ["node0-x", "node10-x", "node20-x"]);
        assert_eq!(hosts("n[:2]"), ["n0", "n1", "n2"]);
        assert_eq!(hosts("db-[a:c]"), ["db-a", "db-b", "db-c"]);
        assert_eq!(hosts("db-[y:B]"), ["db-y", "db-z", "db-A", "db-B"]);
        assert_eq!(hosts("[a:b]-[1:2]"), ["a-1", "a-2", "b-1", "b-2"]);
        assert_eq!(hosts("plain"), ["plain"]);
    }

    #[test]
    fn a_port_behind_a_name_is_no_range() {
        let host = |pattern| expand(pattern).unwrap();
        assert_eq!(host("badwolf.example.org:5309"), (vec!["badwolf.example.org".into()], Some("5309")));
        assert_eq!(host("web[1:2]:22"), (vec!["web1".into(), "web2".into()], Some("22")));
        assert_eq!(host("[2001:db8::1]:22"), (vec!["2001:db8::1".into()], Some("22")));
        assert_eq!(host("[2001:db8::1]"), (vec!["2001:db8::1".into()], None));
        assert_eq!(host("2001:db8::1"), (vec!["2001:db8::1".into()], None));
        assert_eq!(host("[1:2]"), (vec!["1".into(), "2".into()], None));
    }

    #[test]
    fn a_bad_range_is_refused() {
        for pattern in
            ["w[1", "w[1]", "w[3:1]", "w[c:a]", "w[1:2:0]", "w[01:100]", "w[1:]", "w[a:9]", "w[1:2:3:4]", "w[1:b]"]
        {
            assert!(expand(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn a_range_cannot_fill_the_memory() {
        for pattern in ["w[0:4294967295]", "w[0:999][0:999][0:999]", "w[0:4294967295:2]"] {
            assert_eq!(expand(pattern), Err(BadRange("these are more than 20000 hosts")));
        }
    }

    #[test]
    fn a_chain_of_ranges_is_refused_before_it_is_expanded() {
        let chained = format!("w[0:19999]{}", "[1:1]".repeat(129));
        assert_eq!(chained.len(), 655);
        assert_eq!(expand(&chained), Err(BadRange("a name has at most 8 ranges")));
        assert_eq!(hosts(&format!("w{}", "[1:2]".repeat(8))).len(), 256);
    }

    proptest! {
        #[test]
        fn no_pattern_makes_it_panic(pattern in "[\\[\\]:a-c0-9.-]{0,16}") {
            let _ = expand(&pattern);
        }
    }
}
