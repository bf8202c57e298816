//! Shows what a push would do, as a page: the answer of `plan`, and what `push --ask` shows before it asks.

use crate::event::forecast::{Comparison, Forecast, HostForecast};
use crate::event::wording::{packages, sending, words};
use crate::facts::package_change::PackageChange;
use crate::facts::unit_changes::UnitChanges;
use crate::inventory::model::HostName;
use crate::ui::line::wrap;
use crate::ui::paint::{Tone, paint};
use crate::ui::table::{self, TableCell};
use crate::ui::{matrix, sanitise};

/// How a page is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForecastStyle {
    pub colour: bool,
    pub columns: usize,
}

/// The whole page.
#[must_use]
pub fn render(forecast: &Forecast, style: ForecastStyle) -> String {
    let mut out = heading(forecast, style);
    out += &hosts(forecast, style);
    let changes = forecast.hosts.iter().any(|host| host.changes);
    if changes && forecast.refused.is_none() {
        out += &order(forecast, style);
        out += &copies(forecast, style);
        out += &phases(forecast, style);
    }
    if changes {
        out += &packages(forecast, style);
        out += &section(
            "units, as each new system itself says; such a list is not always complete",
            units(forecast, style),
            style,
        );
    }
    out += &section(
        "where a reboot is needed: whether its new system can be booted once before",
        trials(forecast, style),
        style,
    );
    let links = matrix::render(&forecast.links, style.columns.saturating_sub(2), style.colour);
    out += &section(&format!("links now: {}", matrix::count(&forecast.links)), below(&links), style);
    let accepted: Vec<String> =
        forecast.accepted.iter().map(|link| indented(&sanitise::line(link), "  - ", style)).collect();
    out += &section("accepted as they are, down (--allow-broken)", accepted.concat(), style);
    let left_out: Vec<String> = forecast.left_out.iter().map(|host| indented(host.as_str(), "  - ", style)).collect();
    out += &section("left out, with every link from and to it", left_out.concat(), style);
    out += &section(
        "not run: a plan runs no command of the inventory, `fleetdeploy check` does",
        not_run(forecast, style),
        style,
    );
    let not_known: Vec<String> =
        forecast.not_known.iter().map(|text| indented(&sanitise::text(text), "  - ", style)).collect();
    out += &section("not known before", not_known.concat(), style);
    let gaps = forecast.gaps.iter().map(|gap| indented(&sanitise::text(&gap.to_string()), "  - ", style));
    let gaps: Vec<String> = gaps.collect();
    out += &section("not covered by any guard", gaps.concat(), style);
    out
}

/// Of the hosts alone that are to be rebooted some day: most pushes need none.
fn trials(forecast: &Forecast, style: ForecastStyle) -> String {
    let needs = |host: &&HostForecast| host.comparison.reboot_for.as_ref().is_some_and(|parts| !parts.is_empty());
    let known = forecast.hosts.iter().filter(needs).filter_map(|host| Some((&host.host, host.trial.as_ref()?)));
    let mut groups: Vec<(String, Vec<&str>)> = Vec::new();
    for (host, outlook) in known {
        let text = outlook.to_string();
        match groups.iter_mut().find(|(known, _)| *known == text) {
            Some((_, hosts)) => hosts.push(host.as_str()),
            None => groups.push((text, vec![host.as_str()])),
        }
    }
    let line = |(text, hosts): &(String, Vec<&str>)| {
        indented(&sanitise::line(&format!("{}: {text}", hosts.join(", "))), "  - ", style)
    };
    groups.iter().map(line).collect()
}

/// Shows the part of that page with the differences of the systems; a refused push has not been compared to its end.
#[must_use]
pub fn packages(forecast: &Forecast, style: ForecastStyle) -> String {
    let is_known = |host: &&HostForecast| forecast.refused.is_none() || host.comparison.packages.is_some();
    let changing = forecast.hosts.iter().filter(|host| host.changes).filter(is_known);
    let narrower = ForecastStyle { columns: style.columns.saturating_sub(2), ..style };
    let compared = differences(changing.map(|host| (&host.host, &host.comparison)), narrower);
    section("packages", below(&compared), style)
}

/// Package differences alone, hosts with the same ones together.
#[must_use]
pub fn differences<'a>(
    hosts: impl IntoIterator<Item = (&'a HostName, &'a Comparison)>,
    style: ForecastStyle,
) -> String {
    let mut out = String::new();
    for (comparison, hosts) in folded(hosts) {
        let text = match &comparison.packages {
            None => "which packages change is not known before it is copied".to_owned(),
            Some(packages) => packages::count(packages),
        };
        out += &indented(&format!("{}: {text}", names(&hosts)), "", style);
        out += &each_package(comparison.packages.as_deref().unwrap_or_default(), style);
        let reboot = match &comparison.reboot_for {
            Some(parts) if !parts.is_empty() => format!("a reboot will be needed for: {}", parts.join(", ")),
            _ => continue,
        };
        let reboot = sanitise::line(&reboot);
        out += &format!("  {}\n", paint(style.colour, Tone::Doubtful, &reboot));
    }
    out
}

fn each_package(packages: &[PackageChange], style: ForecastStyle) -> String {
    let listed = packages::each(packages);
    listed.iter().map(|line| indented(&sanitise::line(line), "  ", style)).collect()
}

/// Shows changes that several hosts have in common once, in the order of the first of them.
fn folded<'a, T: PartialEq>(all: impl IntoIterator<Item = (&'a HostName, &'a T)>) -> Vec<(&'a T, Vec<&'a str>)> {
    let mut groups: Vec<(&T, Vec<&str>)> = Vec::new();
    for (host, value) in all {
        match groups.iter_mut().find(|(known, _)| *known == value) {
            Some((_, hosts)) => hosts.push(host.as_str()),
            None => groups.push((value, vec![host.as_str()])),
        }
    }
    groups
}

fn names(hosts: &[&str]) -> String {
    match hosts {
        [] | [_] => hosts.join(""),
        _ => format!("{} ({} hosts)", hosts.join(", "), hosts.len()),
    }
}

/// The commands that were left out, each with the places where it would run.
fn not_run(forecast: &Forecast, style: ForecastStyle) -> String {
    let mut places: Vec<(&str, bool, Vec<&str>)> = Vec::new();
    for one in &forecast.not_run {
        let place = one.from.as_ref().map_or("the workstation", HostName::as_str);
        match places.iter_mut().find(|(check, required, _)| (*check, *required) == (&one.check, one.required)) {
            Some((_, _, known)) => known.push(place),
            None => places.push((&one.check, one.required, vec![place])),
        }
    }
    let line = |(check, required, places): (&str, bool, Vec<&str>)| {
        let required = if required { "" } else { "; not required" };
        indented(&sanitise::line(&format!("{check}: on {}{required}", places.join(", "))), "  - ", style)
    };
    places.into_iter().map(line).collect()
}

fn heading(forecast: &Forecast, style: ForecastStyle) -> String {
    let fleet = sanitise::line(&forecast.fleet);
    let (changing, all) = (forecast.hosts.iter().filter(|host| host.changes).count(), forecast.hosts.len());
    let what = match (&forecast.refused, changing) {
        (Some(why), _) => paint(style.colour, Tone::Bad, &format!("would be refused: {}", sanitise::line(why))),
        (None, 0) => paint(style.colour, Tone::Good, "nothing to do: every host already runs its system"),
        (None, _) => paint(style.colour, Tone::Good, &format!("{changing} of {all} hosts would change")),
    };
    let back = forecast.rollback_to.as_ref().map(|to| format!(" back to {}", sanitise::line(to))).unwrap_or_default();
    format!("{fleet}{back}: {what}\n")
}

fn hosts(forecast: &Forecast, style: ForecastStyle) -> String {
    if forecast.hosts.is_empty() {
        return String::new();
    }
    let heading = ["host", "would", "system", "generation", "reboot", "behind"];
    let rows: Vec<Vec<TableCell>> = forecast.hosts.iter().map(row).collect();
    let table = table::render(&heading, &rows, style.columns, style.colour);
    let mut out = table.unwrap_or_else(|| forecast.hosts.iter().map(|host| on_lines(host, style)).collect());
    for host in &forecast.hosts {
        if let Some(boots) = &host.boots {
            let boots = words::system(&host.host, boots);
            out += &indented(&format!("{}: a reboot now would bring {boots}", host.host), "  ", style);
        }
    }
    section("hosts", out, style)
}

fn row(host: &HostForecast) -> Vec<TableCell> {
    let (would, tone) = would(host);
    vec![
        host.host.as_str().into(),
        TableCell::new(tone, would),
        systems(host).into(),
        host.generation.to_string().into(),
        if host.changes { reboot(&host.comparison) } else { TableCell::default() },
        host.behind.as_ref().map(|jump| jump.as_str().to_owned()).unwrap_or_default().into(),
    ]
}

/// Shows it as lines, if the table is too wide.
fn on_lines(host: &HostForecast, style: ForecastStyle) -> String {
    let (would, tone) = would(host);
    let would = tone.map_or_else(|| would.to_owned(), |tone| paint(style.colour, tone, would));
    format!("  {}  {would}\n", host.host) + &indented(&systems(host), "      ", style)
}

fn would(host: &HostForecast) -> (&'static str, Option<Tone>) {
    match (host.changes, host.selected) {
        (true, _) => ("change", Some(Tone::Strong)),
        (false, true) => ("stay as it is", None),
        (false, false) => ("be a witness", None),
    }
}

fn systems(host: &HostForecast) -> String {
    if host.changes && host.old == host.new {
        // It runs what it is to run, and would boot something else.
        return format!("{}, for good", words::system(&host.host, &host.new));
    }
    if host.changes {
        words::systems(&host.host, &host.old, &host.new)
    } else {
        words::system(&host.host, &host.old).to_owned()
    }
}

fn reboot(comparison: &Comparison) -> TableCell {
    match &comparison.reboot_for {
        None => "?".into(),
        Some(parts) if parts.is_empty() => "not needed".into(),
        Some(_) => TableCell::new(Some(Tone::Doubtful), "needed"),
    }
}

fn order(forecast: &Forecast, style: ForecastStyle) -> String {
    let group = |group: &Vec<HostName>| group.iter().map(HostName::as_str).collect::<Vec<_>>().join(", ");
    let mut out = String::new();
    if let Some(first) = forecast.armed_first.as_ref().filter(|_| forecast.order.iter().flatten().count() > 1) {
        out += &indented(&format!("guards: {first} alone, then all others at once"), "  ", style);
    }
    let groups: Vec<String> = forecast.order.iter().map(group).collect();
    let why = if groups.len() > 1 { " (a host behind a jump begins before the jump)" } else { " (all at once)" };
    out += &indented(&format!("each step: {}{why}", groups.join(", then ")), "  ", style);
    if !forecast.waves.is_empty() {
        let waves: Vec<String> = forecast.waves.iter().map(group).collect();
        let text = format!("the test: in waves, {}; every link is looked at after each", waves.join(", then "));
        out += &indented(&text, "  ", style);
    }
    section("order", out, style)
}

/// How much goes to whom, and about how long that takes by former runs.
fn copies(forecast: &Forecast, style: ForecastStyle) -> String {
    let Some(copies) = &forecast.copies else { return String::new() };
    let rows: Vec<Vec<TableCell>> = copies
        .each
        .iter()
        .map(|copy| {
            let time = sending::about(copy.about_ms).unwrap_or_default();
            vec![
                sending::receiver(copy).into(),
                sending::amount(copy).into(),
                time.into(),
                sending::way(&copy.way).into(),
            ]
        })
        .collect();
    let heading = ["host", "lacks", "takes", "way"];
    let short: Vec<Vec<TableCell>> = rows.iter().map(|row| row[..3].to_vec()).collect();
    let table = table::render(&heading, &rows, style.columns, style.colour)
        .or_else(|| table::render(&heading[..3], &short, usize::MAX, style.colour));
    let in_all = sending::in_all(copies).filter(|_| copies.each.len() > 1);
    section(
        &format!("copies{}", in_all.map(|all| format!(": {all}")).unwrap_or_default()),
        table.unwrap_or_default(),
        style,
    )
}

/// The phases with their limits, and how long guards hold against the sum of them.
fn phases(forecast: &Forecast, style: ForecastStyle) -> String {
    let about = |phase| match forecast.rollback_to {
        Some(_) => words::about_going_back(phase),
        None => words::about(phase),
    };
    let rows: Vec<Vec<TableCell>> = forecast
        .phases
        .iter()
        .map(|one| {
            let number = words::number(one.phase).map_or_else(|| "or".to_owned(), |number| number.to_string());
            let at_most = one.at_most_ms.map(words::span_ms).unwrap_or_default();
            let took = one.took_ms.map(words::span_ms).unwrap_or_default();
            vec![number.into(), one.phase.word().into(), at_most.into(), took.into(), about(one.phase).into()]
        })
        .collect();
    // Limits are long, so that a slow day is no failure: what it really took says how long to wait for it.
    let heading = ["", "phase", "at most", "took", "what happens"];
    let short: Vec<Vec<TableCell>> = rows.iter().map(|row| row[..4].to_vec()).collect();
    let table = table::render(&heading, &rows, style.columns, style.colour)
        .or_else(|| table::render(&heading[..4], &short, usize::MAX, style.colour));
    let guards: Vec<Vec<TableCell>> = forecast
        .hosts
        .iter()
        .filter(|host| host.changes)
        .map(|host| {
            let times = [host.guard_ms, host.needed_ms, host.boot_ms].map(words::span_ms);
            std::iter::once(host.host.as_str().to_owned()).chain(times).map(TableCell::from).collect()
        })
        .collect();
    let heading = ["host", "guard", "needed at most", "boots within"];
    let guards = table::render(&heading, &guards, usize::MAX, style.colour);
    section("phases: what each may take at most, and took in the last runs", table.unwrap_or_default(), style)
        + &section("guards, and what a push and its roll back may take", guards.unwrap_or_default(), style)
}

fn units(forecast: &Forecast, style: ForecastStyle) -> String {
    let known = forecast.hosts.iter().filter_map(|host| Some((&host.host, host.units.as_ref()?)));
    let mut out = String::new();
    for (units, hosts) in folded(known) {
        out += &indented(&names(&hosts), "  ", style);
        out += &units_of(units, style);
    }
    out
}

fn units_of(units: &UnitChanges, style: ForecastStyle) -> String {
    if units.is_empty() {
        return "    none\n".to_owned();
    }
    let lists = [
        ("stop", &units.stop),
        ("leave as it is, though changed", &units.leave),
        ("reload", &units.reload),
        ("restart", &units.restart),
        ("start", &units.start),
    ];
    let mut out = String::new();
    for (verb, list) in lists {
        if !list.is_empty() {
            out += &indented(&format!("{verb}: {}", sanitise::line(&list.join(", "))), "    ", style);
        }
    }
    if units.restart_systemd {
        out += "    run systemd itself anew\n";
    }
    for line in &units.said {
        out += &format!("    | {}\n", sanitise::line(line));
    }
    out
}

/// A title and what is below it; nothing for nothing.
fn section(title: &str, body: String, style: ForecastStyle) -> String {
    if body.is_empty() { body } else { format!("\n{}\n{body}", paint(style.colour, Tone::Faint, title)) }
}

/// Long sentences go on below their beginning.
fn indented(text: &str, front: &str, style: ForecastStyle) -> String {
    let blank = " ".repeat(front.len());
    let room = style.columns.saturating_sub(front.len() + 1).max(20);
    let lines = text.lines().flat_map(|line| wrap(line, room)).enumerate();
    lines.fold(String::new(), |out, (number, line)| out + if number == 0 { front } else { &blank } + &line + "\n")
}

/// Lines that are laid out already, moved below a title.
fn below(lines: &str) -> String {
    lines.lines().fold(String::new(), |out, line| out + "  " + line + "\n")
}
