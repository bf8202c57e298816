//! Collects what nix and its builders print, for the record: in batches, each line cut, and with a bound on all. It has
//! no clock.

use super::plain::cut;

/// Lines after which a batch is given on at once.
const BATCH: usize = 200;

/// The most bytes of a line.
const LONGEST_LINE: usize = 500;

/// The most lines of one nix: a build of everything from source prints millions.
const MOST_LINES: usize = 50_000;

#[derive(Debug, Default)]
pub(super) struct Printout {
    waiting: Vec<String>,
    taken: usize,
}

impl Printout {
    /// Takes the lines of a text that is plain already, without those that are empty.
    pub(super) fn take(&mut self, text: &str) {
        for line in text.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
            match self.taken {
                MOST_LINES => self.waiting.push(format!("(more than {MOST_LINES} lines: the rest was left out)")),
                taken if taken > MOST_LINES => return,
                _ => self.waiting.push(cut(line, LONGEST_LINE).to_owned()),
            }
            self.taken += 1;
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= BATCH
    }

    /// Returns the lines that were taken since the last time; often none.
    pub(super) fn drain(&mut self) -> Vec<String> {
        std::mem::take(&mut self.waiting)
    }
}

/// The last `count` lines, each cut like the others.
pub(super) fn last_lines(text: &str, count: usize) -> Vec<String> {
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    lines[lines.len().saturating_sub(count)..].iter().map(|line| cut(line, LONGEST_LINE).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_and_given_on_once() {
        let mut printout = Printout::default();
        printout.take(&format!("one\n\n  two  \n{}", "ä".repeat(1000)));
        assert!(!printout.is_full());
        let lines = printout.drain();
        assert_eq!((lines[0].as_str(), lines[1].as_str(), lines[2].len(), lines.len()), ("one", "  two", 500, 3));
        assert_eq!(printout.drain(), [""; 0]);
    }

    #[test]
    fn a_flood_ends_with_one_line_that_says_so() {
        let mut printout = Printout::default();
        let mut lines = Vec::new();
        for _ in 0..MOST_LINES + 1000 {
            printout.take("x");
            if printout.is_full() {
                lines.extend(printout.drain());
            }
        }
        lines.extend(printout.drain());
        assert_eq!(lines.len(), MOST_LINES + 1);
        assert_eq!(lines.last().unwrap(), "(more than 50000 lines: the rest was left out)");
    }

    #[test]
    fn the_end_of_a_log_keeps_its_empty_lines() {
        assert_eq!(last_lines("a\nb\n\nc\n", 3), ["b", "", "c"]);
    }
}
