//! Says in words what a new system changes, by package. Names and versions are as the host tells them: who prints the
//! words cleans them.

use crate::event::wording::words;
use crate::facts::package_change::PackageChange;

/// `linux 6.12.7 -> 6.12.8 (+1.2 MiB)`, `new: nginx 1.27`, `gone: nginx 1.26`, `etc (+12.6 KiB)`.
pub(crate) fn one(change: &PackageChange) -> String {
    let name = change.package.clone();
    let (before, after) = (versions(&change.before), versions(&change.after));
    let mut text = match (change.before.is_empty(), change.after.is_empty()) {
        (true, true) => name,
        (true, false) => format!("new: {name} {after}"),
        (false, true) => format!("gone: {name} {before}"),
        (false, false) => format!("{name} {before} -> {after}"),
    };
    if let Some(delta) = change.size_delta {
        text += &format!(" ({})", words::size_delta(delta));
    }
    text
}

/// `12 packages change, +34.1 MiB`. The system itself always changes, and is shown as such.
pub(crate) fn count(packages: &[PackageChange]) -> String {
    let delta: i64 = packages.iter().filter_map(|change| change.size_delta).sum();
    let size = if delta == 0 { String::new() } else { format!(", {}", words::size_delta(delta)) };
    match packages.iter().filter(|change| is_no_system(change)).count() {
        0 => format!("no package changes{size}"),
        1 => format!("one package changes{size}"),
        many => format!("{many} packages change{size}"),
    }
}

/// How many packages change, and which.
pub(crate) fn sentence(packages: &[PackageChange], most: usize) -> String {
    let list = list(packages, most);
    if list.is_empty() { count(packages) } else { format!("{}: {list}", count(packages)) }
}

/// The packages with a comma between; after `most` of them how many more there are. What has other versions comes
/// before what has only another size.
pub(crate) fn list(packages: &[PackageChange], most: usize) -> String {
    let mut texts = each(packages);
    let more = texts.len().saturating_sub(most);
    if more > 0 {
        texts.truncate(most);
        texts.push(format!("and {more} more"));
    }
    texts.join(", ")
}

/// Every package, in the same order.
pub(crate) fn each(packages: &[PackageChange]) -> Vec<String> {
    let only_size = |change: &&PackageChange| change.before.is_empty() && change.after.is_empty();
    let mut ordered: Vec<&PackageChange> = packages.iter().filter(|change| is_no_system(change)).collect();
    ordered.sort_by_key(only_size);
    ordered.into_iter().map(one).collect()
}

fn is_no_system(change: &PackageChange) -> bool {
    !change.package.starts_with("nixos-system-")
}

fn versions(versions: &[String]) -> String {
    let versions =
        versions.iter().map(|version| if version.is_empty() { "(no version)".to_owned() } else { version.clone() });
    versions.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn change(package: &str, before: &[&str], after: &[&str], size_delta: Option<i64>) -> PackageChange {
        let own = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
        PackageChange { package: package.into(), before: own(before), after: own(after), size_delta }
    }

    #[test]
    fn each_kind_of_change_reads_well() {
        let all = [
            change("etc", &[], &[], Some(-12_902)),
            change("linux", &["6.12.7"], &["6.12.8"], Some(1_258_292)),
            change("nginx", &[], &["1.27"], None),
            change("users", &["1.2", ""], &[], None),
        ];
        assert_eq!(
            all.each_ref().map(one),
            [
                "etc (-12.5 KiB)",
                "linux 6.12.7 -> 6.12.8 (+1.2 MiB)",
                "new: nginx 1.27",
                "gone: users 1.2, (no version)"
            ]
        );
        assert_eq!(count(&all), "4 packages change, +1.1 MiB");
        assert_eq!(count(&all[3..]), "one package changes");
        let system = change("nixos-system-vps", &["25.11.1"], &["25.11.2"], None);
        for none in [vec![], vec![system.clone()]] {
            assert_eq!((count(&none), list(&none, 2)), ("no package changes".to_owned(), String::new()));
        }
        assert_eq!(count(&[system, all[1].clone()]), "one package changes, +1.2 MiB");
        assert_eq!(list(&all, 2), "linux 6.12.7 -> 6.12.8 (+1.2 MiB), new: nginx 1.27, and 2 more");
        assert!(list(&all, 4).ends_with("etc (-12.5 KiB)"));
    }
}
