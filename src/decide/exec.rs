//! Compares the results of a command on hosts, and says which of them gave the same answer.

use std::time::Duration;

use crate::inventory::model::HostName;

/// The result of a command on one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Came {
    Ran(Ran),
    /// It is not known whether it ran: the host does not say.
    Unknown {
        why: String,
        hint: Option<String>,
    },
}

/// A command that has ended on its host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// The exit status, as a shell there counts: 128 and the number of a signal that ended it.
    pub status: i32,
    pub end: ExecEnd,
    pub stdout: Printed,
    pub stderr: Printed,
    /// The time on the host, without the way there.
    pub took: Duration,
}

/// The cause of a command's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExecEnd {
    ByItself,
    /// Its time limit was over.
    TimedOut,
    /// A person wanted it to end.
    Stopped,
}

/// The stream that something was printed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Channel {
    Stdout,
    Stderr,
}

/// The output on one stream, from its beginning.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Printed {
    pub bytes: Vec<u8>,
    /// How many more bytes there were that were not kept.
    pub dropped: u64,
}

impl Printed {
    /// Takes the next piece, as much of it as `room` allows.
    pub fn take(&mut self, bytes: &[u8], room: &mut usize) {
        let kept = bytes.len().min(*room);
        self.bytes.extend_from_slice(&bytes[..kept]);
        *room -= kept;
        self.dropped += (bytes.len() - kept) as u64;
    }
}

impl Came {
    #[must_use]
    pub fn is_good(&self) -> bool {
        matches!(self, Self::Ran(Ran { status: 0, end: ExecEnd::ByItself, .. }))
    }

    /// Compares two results; the time that they took makes no difference.
    fn is_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Ran(one), Self::Ran(two)) => {
                (one.status, one.end, &one.stdout, &one.stderr) == (two.status, two.end, &two.stdout, &two.stderr)
            }
            (one, two) => one == two,
        }
    }
}

/// Returns each answer once, with the hosts that gave it, in the order in which each came first.
#[must_use]
pub fn fold(answers: &[(HostName, Came)]) -> Vec<(Vec<&HostName>, &Came)> {
    let mut folded: Vec<(Vec<&HostName>, &Came)> = Vec::new();
    for (host, came) in answers {
        match folded.iter_mut().find(|(_, known)| known.is_as(came)) {
            Some((hosts, _)) => hosts.push(host),
            None => folded.push((vec![host], came)),
        }
    }
    folded
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn ran(status: i32, stdout: &str, seconds: u64) -> Came {
        let stdout = Printed { bytes: stdout.into(), dropped: 0 };
        let took = Duration::from_secs(seconds);
        Came::Ran(Ran { status, end: ExecEnd::ByItself, stdout, stderr: Printed::default(), took })
    }

    #[test]
    fn equal_answers_are_one_whenever_they_came() {
        let name = |text: &str| HostName::new(text).unwrap();
        let silent = || Came::Unknown { why: "no answer".into(), hint: None };
        let answers = [
            (name("a"), ran(0, "x", 1)),
            (name("b"), ran(0, "y", 1)),
            (name("c"), silent()),
            (name("d"), ran(0, "x", 9)),
            (name("e"), ran(1, "x", 1)),
            (name("f"), silent()),
        ];
        let folded: Vec<String> = fold(&answers)
            .into_iter()
            .map(|(hosts, _)| hosts.into_iter().map(HostName::as_str).collect::<Vec<_>>().join(","))
            .collect();
        assert_eq!(folded, ["a,d", "b", "c,f", "e"]);
    }

    #[test]
    fn what_there_is_no_room_for_is_counted() {
        let mut printed = Printed::default();
        let mut room = 5;
        for piece in ["abc", "defg", "hi"] {
            printed.take(piece.as_bytes(), &mut room);
        }
        assert_eq!((printed, room), (Printed { bytes: b"abcde".to_vec(), dropped: 4 }, 0));
    }

    #[test]
    fn only_a_status_of_0_by_itself_is_good() {
        let Came::Ran(stopped) = ran(0, "", 0) else { unreachable!() };
        let stopped = Came::Ran(Ran { end: ExecEnd::Stopped, ..stopped });
        let all = [ran(0, "", 0), ran(1, "", 0), stopped, Came::Unknown { why: String::new(), hint: None }];
        assert_eq!(all.map(|came| came.is_good()), [true, false, false, false]);
    }
}
