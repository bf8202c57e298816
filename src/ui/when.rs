//! Points in time as a person at this workstation reads them.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// The workstation's time zone.
#[derive(Debug, Clone)]
pub struct LocalClock {
    zone: TimeZone,
    now: SystemTime,
}

impl LocalClock {
    /// The zone of `TZ` or `/etc/localtime`; UTC, and said so, where neither can be read.
    #[must_use]
    pub fn of_the_workstation(now: SystemTime) -> Self {
        Self { zone: TimeZone::try_system().unwrap_or(TimeZone::UTC), now }
    }

    /// UTC, which tells a reader elsewhere the same.
    #[must_use]
    pub fn utc(now: SystemTime) -> Self {
        Self { zone: TimeZone::UTC, now }
    }

    /// `2026-11-25 14:03`, with `UTC` behind it if that is what it is in.
    #[must_use]
    pub fn time(&self, at: SystemTime) -> String {
        let Ok(timestamp) = Timestamp::try_from(at) else { return "at no time".to_owned() };
        let time = timestamp.to_zoned(self.zone.clone()).strftime("%Y-%m-%d %H:%M %Z").to_string();
        // A person in a time zone knows it; but UTC may only be the setting of a container.
        if time.ends_with(" UTC") { time } else { time[..time.len().min(16)].to_owned() }
    }

    /// Writes `2026-11-25 14:03 CET`, for a reader who must know which clock it is.
    #[must_use]
    pub fn time_and_zone(&self, at: SystemTime) -> String {
        let Ok(timestamp) = Timestamp::try_from(at) else { return "at no time".to_owned() };
        timestamp.to_zoned(self.zone.clone()).strftime("%Y-%m-%d %H:%M %Z").to_string()
    }

    /// Reads `2026-11-20` (its first moment) or `2026-11-20T18:00`, by this clock; with `Z` or an offset behind it, by
    /// that.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn read(&self, text: &str) -> Result<SystemTime, String> {
        let at = if let Ok(at) = text.parse::<Timestamp>() {
            at
        } else {
            let nonsense =
                |_| format!("`{}` is no time; write it like 2026-11-20 or 2026-11-20T18:00", text.escape_debug());
            let civil = text.parse::<DateTime>().map_err(nonsense)?;
            civil.to_zoned(self.zone.clone()).map_err(|error| error.to_string())?.timestamp()
        };
        let at = SystemTime::from(at);
        if at > self.now {
            return Err(format!("{} has not been yet", self.time_and_zone(at)));
        }
        Ok(at)
    }

    /// `3 hours ago`.
    #[must_use]
    pub fn ago(&self, at: SystemTime) -> String {
        self.now.duration_since(at).map_or_else(|_| "in the future".to_owned(), ago)
    }
}

/// Writes it in the largest unit of which there is one, rounded down: the minutes of yesterday do not matter.
fn ago(passed: Duration) -> String {
    const UNITS: [(u64, &str); 6] = [
        (365 * 86_400, "year"),
        (30 * 86_400, "month"),
        (7 * 86_400, "week"),
        (86_400, "day"),
        (3600, "hour"),
        (60, "minute"),
    ];
    let seconds = passed.as_secs();
    match UNITS.iter().find(|(unit, _)| seconds >= *unit) {
        None => "just now".to_owned(),
        Some((unit, word)) => match seconds / unit {
            1 => format!("1 {word} ago"),
            number => format!("{number} {word}s ago"),
        },
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn a_time_is_local_or_says_that_it_is_not() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_364_100);
        assert_eq!(LocalClock::utc(at).time(at), "2026-11-22 16:15 UTC");
        let east = TimeZone::fixed(jiff::tz::offset(8));
        assert_eq!(LocalClock { zone: east, now: at }.time(at), "2026-11-23 00:15");
        let never = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 50);
        assert_eq!(LocalClock::utc(at).time(never), "at no time");
    }

    #[test]
    fn a_time_that_is_typed_is_local_unless_it_says_otherwise() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_364_100);
        let clock = LocalClock { zone: TimeZone::fixed(jiff::tz::offset(8)), now };
        let read = |text: &str| clock.read(text).map(|at| LocalClock::utc(now).time(at));
        assert_eq!(read("2026-11-20").as_deref(), Ok("2026-11-19 16:00 UTC"));
        assert_eq!(read("2026-11-20T18:00").as_deref(), Ok("2026-11-20 10:00 UTC"));
        assert_eq!(read("2026-11-20T18:00:30Z").as_deref(), Ok("2026-11-20 18:00 UTC"));
        assert_eq!(read("2026-11-20T18:00+02:00").as_deref(), Ok("2026-11-20 16:00 UTC"));
        assert_eq!(read("2026-11-23T00:16"), Err("2026-11-23 00:16 +08".to_owned() + " has not been yet"));
        for nonsense in ["", "yesterday", "2026-13-01", "2026-11-20T25:00", "18:00"] {
            assert!(read(nonsense).unwrap_err().contains("write it like"), "{nonsense}");
        }
    }

    #[test]
    fn what_has_passed_is_told_in_one_unit() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_364_100);
        let clock = LocalClock::utc(now);
        let ago = |seconds| clock.ago(now - Duration::from_secs(seconds));
        assert_eq!(
            [0, 59, 60, 3599, 10_800, 86_400, 700_000, 86_400 * 40, 86_400 * 800].map(ago),
            [
                "just now",
                "just now",
                "1 minute ago",
                "59 minutes ago",
                "3 hours ago",
                "1 day ago",
                "1 week ago",
                "1 month ago",
                "2 years ago"
            ]
        );
        assert_eq!(clock.ago(now + Duration::from_secs(1)), "in the future");
    }
}
