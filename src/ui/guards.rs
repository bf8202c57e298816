//! Shows the table of guards: the host, the time and the owner of each.

use std::time::{Duration, SystemTime};

use crate::event::wording::words;
use crate::ui::paint::Tone;
use crate::ui::sanitise;
use crate::ui::table::{self, TableCell};
use crate::ui::when::LocalClock;

/// How a host's guard stands, for its words and its colour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GuardStanding {
    None,
    Armed { left: Duration },
    Dead,
    Firing,
    Fired,
    Disarmed,
    Leased,
    NoAnswer,
}

impl GuardStanding {
    /// The word of the JSON form.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Armed { .. } => "armed",
            Self::Dead => "dead",
            Self::Firing => "firing",
            Self::Fired => "fired",
            Self::Disarmed => "disarmed",
            Self::Leased => "leased",
            Self::NoAnswer => "no_answer",
        }
    }
}

/// One host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuardRow {
    pub host: String,
    pub standing: GuardStanding,
    pub owner: Option<String>,
    pub run: Option<String>,
    /// Whether a reboot would bring what runs; `None`: not known.
    pub at_rest: Option<bool>,
}

/// The rows below their heading; every line ends in a line end.
#[must_use]
pub fn render(rows: &[GuardRow], clock: &LocalClock, now: SystemTime, colour: bool) -> String {
    let cells: Vec<Vec<TableCell>> = rows.iter().map(|row| cells(row, clock, now)).collect();
    // A person who asks for it wants all of it, however wide their terminal is.
    table::render(&["host", "guard", "a reboot brings", "whose", "run"], &cells, usize::MAX, colour).unwrap_or_default()
}

fn cells(row: &GuardRow, clock: &LocalClock, now: SystemTime) -> Vec<TableCell> {
    let (tone, guard) = match &row.standing {
        GuardStanding::None => (Some(Tone::Faint), "none".to_owned()),
        GuardStanding::Armed { left } => {
            let text = format!("fires in {}, at {}", words::span(*left), clock.time(now + *left));
            (Some(Tone::Doubtful), text)
        }
        GuardStanding::Dead => (Some(Tone::Bad), "DEAD: armed, and its unit is gone".to_owned()),
        GuardStanding::Firing => (Some(Tone::Bad), "fired: bringing the host back".to_owned()),
        GuardStanding::Fired => (Some(Tone::Doubtful), "has fired: the host was brought back".to_owned()),
        GuardStanding::Disarmed => (None, "disarmed".to_owned()),
        GuardStanding::Leased => (Some(Tone::Doubtful), "none, but the host is held".to_owned()),
        GuardStanding::NoAnswer => (Some(Tone::Bad), "does not answer".to_owned()),
    };
    let brings = match row.at_rest {
        None => TableCell::new(Some(Tone::Doubtful), "not known"),
        Some(true) => TableCell::from("what runs"),
        Some(false) => TableCell::new(Some(Tone::Doubtful), "something else than runs"),
    };
    let text = |text: &Option<String>| TableCell::from(sanitise::line(text.as_deref().unwrap_or_default()));
    vec![TableCell::from(row.host.clone()), TableCell::new(tone, guard), brings, text(&row.owner), text(&row.run)]
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn a_table_of_guards_says_until_when_and_whose() {
        let row = |host: &str, standing, owner: Option<&str>| GuardRow {
            host: host.to_owned(),
            standing,
            owner: owner.map(str::to_owned),
            run: owner.map(|_| "20261122-161005-homelab-k3f1".to_owned()),
            at_rest: owner.map(|_| false),
        };
        let rows = [
            row("vps", GuardStanding::Armed { left: Duration::from_secs(90) }, Some("ada@laptop (by hand)")),
            row("nas", GuardStanding::NoAnswer, None),
        ];
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let text = render(&rows, &LocalClock::utc(now), now, false);
        assert_eq!(
            text,
            "  host  guard                                     a reboot brings           whose                 run
  vps   fires in 1m 30s, at 2027-01-15 08:01 UTC  something else than runs  ada@laptop (by hand)  \
20261122-161005-homelab-k3f1
  nas   does not answer                           not known\n"
        );
    }
}
