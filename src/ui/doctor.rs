//! Shows the findings of `doctor`: by host, the heaviest first.

use crate::decide::doctor::{DoctorFinding, Severity};
use crate::ui::line::wrap;
use crate::ui::paint::{Tone, paint};
use crate::ui::sanitise;

/// How it is drawn.
#[derive(Debug, Clone, Copy)]
pub struct DoctorStyle {
    pub columns: usize,
    pub colour: bool,
    /// Whether checks that are fine are shown too.
    pub whole: bool,
}

/// Each patient by name, with what was found.
#[must_use]
pub fn render(patients: &[(&str, &[DoctorFinding])], style: DoctorStyle) -> String {
    let mut out: String = patients.iter().map(|(name, findings)| patient(name, findings, style)).collect();
    let all: Vec<&DoctorFinding> = patients.iter().flat_map(|(_, findings)| findings.iter()).collect();
    let blocked = all.iter().any(|finding| finding.severity == Severity::Blocker);
    let (tone, text) = match (blocked, all.iter().any(|finding| finding.severity == Severity::Warning)) {
        (true, _) => (Tone::Bad, "a push would be stopped"),
        (false, true) => (Tone::Doubtful, "nothing would stop a push"),
        (false, false) => (Tone::Good, "nothing would stop a push"),
    };
    out += &format!("\n{}: {}\n", paint(style.colour, tone, text), count(all.iter().copied()));
    out
}

fn patient(name: &str, findings: &[DoctorFinding], style: DoctorStyle) -> String {
    let mut out = format!("{}: {}\n", paint(style.colour, Tone::Strong, name), count(findings));
    for finding in findings.iter().filter(|finding| style.whole || finding.severity != Severity::Fine) {
        let (tone, word) = match finding.severity {
            Severity::Blocker => (Tone::Bad, "BLOCKER"),
            Severity::Warning => (Tone::Doubtful, "warning"),
            Severity::Fine => (Tone::Good, "fine   "),
        };
        let mut lines = Vec::new();
        let room = style.columns.saturating_sub(11).max(20);
        for line in sanitise::text(&finding.what.to_string()).lines() {
            lines.extend(wrap(line.trim_start(), room));
        }
        let why = finding.why();
        if !why.is_empty() {
            lines.extend(wrap(&sanitise::line(&why), room).iter().map(|line| paint(style.colour, Tone::Faint, line)));
        }
        if let Some(mend) = &finding.mend() {
            // It is not wrapped, because a person copies it.
            lines.push(format!("mend: {}", sanitise::line(mend)));
        }
        for (number, line) in lines.iter().enumerate() {
            let front = if number == 0 { paint(style.colour, tone, word) } else { " ".repeat(word.len()) };
            out += &format!("  {front}  {line}\n");
        }
    }
    out
}

/// `1 blocker, 2 warnings, 14 fine`.
fn count<'a>(findings: impl IntoIterator<Item = &'a DoctorFinding>) -> String {
    let mut counts = [0; 3];
    findings.into_iter().for_each(|finding| counts[finding.severity as usize] += 1);
    let [blockers, warnings, fine] = counts;
    let plural =
        |count: usize, word: &str| (count > 0).then(|| format!("{count} {word}{}", if count == 1 { "" } else { "s" }));
    let fine = (fine > 0).then(|| format!("{fine} fine"));
    let parts: Vec<String> =
        [plural(blockers, "blocker"), plural(warnings, "warning"), fine].into_iter().flatten().collect();
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::event::reason::doctor::{HostHealth, Stake};
    use crate::event::reason::sample::Sample;

    #[test]
    fn blockers_come_with_their_mend_and_what_is_fine_is_counted() {
        let refused = DoctorFinding::taken(
            Severity::Blocker,
            Sample::new("it\u{1b}[31m is so", Some("services.x.enable = true;")),
            Stake::PushRefused,
        );
        let vps = [
            refused,
            DoctorFinding::taken(Severity::Warning, Sample::new("first\n  second", None), Stake::PushWarns),
            DoctorFinding::new(Severity::Fine, HostHealth::ClockRight),
        ];
        let web = [DoctorFinding::new(Severity::Fine, HostHealth::ClockRight)];
        let drawn = |whole| render(&[("vps", &vps), ("web", &web)], DoctorStyle { columns: 80, colour: false, whole });
        assert_eq!(
            drawn(false),
            "vps: 1 blocker, 1 warning, 1 fine
  BLOCKER  it is so
           a push is refused as long as this is so
           mend: services.x.enable = true;
  warning  first
           second
           a push goes on all the same, and warns
web: 1 fine

a push would be stopped: 1 blocker, 1 warning, 2 fine
"
        );
        assert!(drawn(true).contains("  fine     its clock goes right\n"), "{}", drawn(true));
        let fine = render(&[("web", &web)], DoctorStyle { columns: 80, colour: false, whole: false });
        assert!(fine.ends_with("\nnothing would stop a push: 1 fine\n"), "{fine}");
    }
}
