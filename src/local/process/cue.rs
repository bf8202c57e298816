//! Sends an input in parts: each of them once the other side has said that it is ready for it.

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;

/// A part of an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputPart {
    /// It is sent once a line of stdout is this; `None`: at once.
    pub after: Option<&'static str>,
    pub bytes: Vec<u8>,
}

/// What ends the sending: from then on nobody reads what is left as it is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StopWords {
    /// Lines of stdout that begin so, and are no mark that is waited for.
    pub stdout: Option<&'static str>,
    /// This line of stderr, which may have lost its end.
    pub stderr: Option<&'static str>,
}

/// The most of a line that is compared. No mark is longer.
const COMPARED: usize = 128;

/// The ear for one of the streams.
#[derive(Debug)]
pub(crate) struct CueEar {
    line: Vec<u8>,
    tell: CueLine,
}

/// The end of stdout ends the sending, that of stderr does not: a program that was left behind may hold that one open.
#[derive(Debug)]
enum CueLine {
    OfStdout(mpsc::UnboundedSender<CueWord>),
    OfStderr(mpsc::WeakUnboundedSender<CueWord>, Option<&'static str>),
}

#[derive(Debug)]
enum CueWord {
    Line(Vec<u8>),
    Stop,
}

/// The end that sends.
#[derive(Debug)]
pub(crate) struct CuedInput {
    parts: Vec<InputPart>,
    stop: Option<&'static str>,
    heard: mpsc::UnboundedReceiver<CueWord>,
}

/// Makes the ears for stdout and for stderr, and the end that sends. Dropping the ear for stdout ends the sending.
pub(crate) fn conversation(parts: Vec<InputPart>, stop: StopWords) -> (CueEar, CueEar, CuedInput) {
    let (tell, heard) = mpsc::unbounded_channel();
    let err = CueEar { line: Vec::new(), tell: CueLine::OfStderr(tell.downgrade(), stop.stderr) };
    let out = CueEar { line: Vec::new(), tell: CueLine::OfStdout(tell) };
    (out, err, CuedInput { parts, stop: stop.stdout, heard })
}

impl CueEar {
    /// Takes the next bytes of its stream.
    pub(crate) fn hear(&mut self, bytes: &[u8]) {
        // Once everything is sent nobody listens any more, and long answers cost nothing here.
        let is_over = match &self.tell {
            CueLine::OfStdout(tell) => tell.is_closed(),
            CueLine::OfStderr(tell, _) => tell.upgrade().is_none_or(|tell| tell.is_closed()),
        };
        if is_over {
            return;
        }
        for byte in bytes {
            match byte {
                b'\n' => {
                    let line = std::mem::take(&mut self.line);
                    // A send fails when the other end is gone; see above.
                    let _ = match &self.tell {
                        CueLine::OfStdout(tell) => tell.send(CueWord::Line(line)),
                        CueLine::OfStderr(tell, Some(stop)) if line == stop.as_bytes() => {
                            tell.upgrade().map_or(Ok(()), |tell| tell.send(CueWord::Stop))
                        }
                        CueLine::OfStderr(..) => Ok(()),
                    };
                }
                byte if self.line.len() < COMPARED => self.line.push(*byte),
                _ => {}
            }
        }
    }
}

impl CuedInput {
    /// Sends the parts in their order; `true` if all of them were sent.
    pub(crate) async fn speak(mut self, stdin: &mut (impl AsyncWrite + Unpin)) -> bool {
        for part in std::mem::take(&mut self.parts) {
            if let Some(mark) = part.after
                && !self.hears(mark).await
            {
                return false;
            }
            if stdin.write_all(&part.bytes).await.is_err() || stdin.flush().await.is_err() {
                return false;
            }
        }
        true
    }

    async fn hears(&mut self, mark: &str) -> bool {
        loop {
            match self.heard.recv().await {
                Some(CueWord::Line(line)) if line == mark.as_bytes() => return true,
                Some(CueWord::Line(line)) if self.stop.is_some_and(|stop| line.starts_with(stop.as_bytes())) => {
                    return false;
                }
                Some(CueWord::Line(_)) => {}
                Some(CueWord::Stop) | None => return false,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STOP: StopWords = StopWords { stdout: Some("ready "), stderr: Some("Sorry, try again.") };

    fn parts() -> Vec<InputPart> {
        let part = |after, bytes: &str| InputPart { after, bytes: bytes.into() };
        vec![part(None, "one "), part(Some("ready 0"), "two")]
    }

    async fn said(out: &[u8], err: &[u8]) -> (bool, Vec<u8>) {
        let (mut stdout, mut stderr, speaker) = conversation(parts(), STOP);
        out.chunks(3).for_each(|chunk| stdout.hear(chunk));
        err.chunks(3).for_each(|chunk| stderr.hear(chunk));
        // The end of stdout is enough.
        drop(stdout);
        let mut sent = Vec::new();
        (speaker.speak(&mut sent).await, sent)
    }

    #[tokio::test]
    async fn a_part_is_sent_once_its_mark_has_been_heard_and_not_before() {
        assert_eq!(said(b"hello\nready 0\n", b"").await, (true, b"one two".into()));
        for out in ["", "ready 0", "hello ready 0\n", "ready 01\n"] {
            assert_eq!(said(out.as_bytes(), b"").await, (false, b"one ".into()), "{out}");
        }
    }

    #[tokio::test]
    async fn a_word_that_ends_it_ends_it() {
        assert_eq!(said(b"ready 1000\nready 0\n", b"").await, (false, b"one ".into()));
        assert_eq!(said(b"", b"\nSorry, try again.\n").await, (false, b"one ".into()));
    }
}
