//! Keeps what a host has said of its services, so that the next script can be told.
//!
//! systemd takes milliseconds to tell all of one service, and a push looks at all of them about ten times. A service
//! that runs and has not been started anew since it was heard of is as it was then, and its host sees that without
//! asking: see `read_units` of lib.sh. What is kept here goes to nobody but the host that has said it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use super::answer::unit_now;
use super::step::is_unit;
use crate::facts::units::UnitState;

/// The highest number of services that a host is told of. No host has so many; one that makes them up is not to fill
/// our memory and its own input.
const MOST: usize = 500;

/// The services of one host that run, as its latest whole look has told them.
#[derive(Debug, Default)]
pub(super) struct KnownUnits {
    word: Mutex<Option<String>>,
}

/// A look that is being told, line by line.
#[derive(Debug, Default)]
pub(super) struct UnitsTold {
    restarts: BTreeMap<String, u64>,
    /// The invocation and the marks of each.
    running: BTreeMap<String, (String, String)>,
}

impl UnitsTold {
    /// Takes a line of an answer, or of a round of probes: `host ROUND` stands before its key there.
    pub(super) fn take(&mut self, key: &str, value: &str) {
        let (key, value) = match key {
            "host" => value.split_once(' ').and_then(|(_, line)| line.split_once(' ')).unwrap_or_default(),
            _ => (key, value),
        };
        let words: Vec<&str> = value.split(' ').collect();
        match (key, &words[..]) {
            ("restarts", &[unit, count]) => {
                if let Ok(count) = count.parse() {
                    self.restarts.insert(unit.to_owned(), count);
                }
            }
            ("unit_now", &[unit, invocation, _, marks]) => {
                let runs = unit_now(value).is_some_and(|(_, now)| now.state == UnitState::Active);
                let is_plain = |word: &str| word.bytes().all(|byte| byte.is_ascii_alphanumeric());
                let marks = marks.trim_start_matches('=');
                // They become the words of an argument.
                if runs && self.running.len() < MOST && is_unit(unit) && is_plain(invocation) && is_plain(marks) {
                    self.running.insert(unit.to_owned(), (invocation.to_owned(), marks.to_owned()));
                }
            }
            _ => {}
        }
    }
}

impl KnownUnits {
    /// Learns a look that was told to its end. One without a single service is none.
    pub(super) fn learn(&self, UnitsTold { restarts, running }: UnitsTold) {
        if running.is_empty() {
            return;
        }
        let mut word = " ".to_owned();
        for (unit, (invocation, marks)) in running {
            let count = restarts.get(&unit).copied().unwrap_or(0);
            let _ = write!(word, "{unit}={invocation}={marks}={count} ");
        }
        *self.word.lock().unwrap_or_else(PoisonError::into_inner) = Some(word);
    }

    /// Returns the argument that says it to the host; `-` for nothing.
    pub(super) fn word(&self) -> String {
        self.word.lock().unwrap_or_else(PoisonError::into_inner).clone().unwrap_or_else(|| "-".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word_of(lines: &[(&str, &str)]) -> String {
        let (known, mut look) = (KnownUnits::default(), UnitsTold::default());
        for (key, value) in lines {
            look.take(key, value);
        }
        known.learn(look);
        known.word()
    }

    #[test]
    fn services_that_run_are_told_again_and_no_others() {
        let said = [
            ("unit_now", "app.service 3c5f active =nt"),
            ("restarts", "app.service 4"),
            ("unit_now", "bad.service 77 failed =n"),
            ("unit_now", "slow.service 78 moving =n"),
            ("failed_unit", "bad.service"),
            ("unit_now", "dns.service 91aa active ="),
        ];
        assert_eq!(word_of(&said), " app.service=3c5f=nt=4 dns.service=91aa==0 ");
        let round = said.map(|(key, value)| ("host", format!("7 {key} {value}")));
        let round: Vec<_> = round.iter().map(|(key, value)| (*key, value.as_str())).collect();
        assert_eq!(word_of(&round), word_of(&said));
        assert_eq!(word_of(&[("boot_id", "1")]), "-");
    }

    #[test]
    fn what_is_no_name_or_no_start_goes_nowhere() {
        for odd in ["a=b.service 1 active =", "*.service 1 active =", "a.service - active =", "a.service 1 active =n=x"]
        {
            assert_eq!(word_of(&[("unit_now", odd)]), "-", "{odd}");
        }
        let many: Vec<String> = (0..2 * MOST).map(|at| format!("a{at}.service {at} active =")).collect();
        let many: Vec<_> = many.iter().map(|line| ("unit_now", line.as_str())).collect();
        assert_eq!(word_of(&many).split_whitespace().count(), MOST);
    }

    #[test]
    fn an_answer_that_tells_of_no_service_makes_none_forgotten() {
        let (known, mut look) = (KnownUnits::default(), UnitsTold::default());
        look.take("unit_now", "app.service 3c5f active =");
        known.learn(look);
        known.learn(UnitsTold::default());
        assert_eq!(known.word(), " app.service=3c5f==0 ");
    }
}
