//! Prints an answer on stdout while it comes, without ever holding up who brings it.

use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use crate::ui::annotations::are_read;
use crate::ui::{for_log, write_patiently};

/// How much may wait for a stdout that takes nothing just now; more than that is left out, and counted.
const WAITING: usize = 64 * 1024 * 1024;

/// A thread that writes to stdout.
#[derive(Debug)]
pub struct Printer {
    texts: mpsc::Sender<String>,
    waiting: Arc<AtomicUsize>,
    left_out: AtomicUsize,
    end: mpsc::Receiver<io::Result<()>>,
}

impl Printer {
    /// `on_closed` is called when the reader is gone (`| head`).
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(on_closed: impl FnOnce() + Send + 'static) -> io::Result<Self> {
        Self::start_on(io::stdout(), on_closed)
    }

    fn start_on(
        mut output: impl Write + Send + 'static,
        on_closed: impl FnOnce() + Send + 'static,
    ) -> io::Result<Self> {
        let (texts, queue) = mpsc::channel::<String>();
        let (ended, end) = mpsc::channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let taken = Arc::clone(&waiting);
        let is_read = are_read();
        std::thread::Builder::new().name("stdout".to_owned()).spawn(move || {
            let mut on_closed = Some(on_closed);
            let mut result = Ok(());
            while let Ok(text) = queue.recv() {
                if result.is_ok() {
                    result = write_patiently(&mut output, for_log(is_read, &text).as_bytes());
                    if result.is_err() {
                        on_closed.take().into_iter().for_each(|on_closed| on_closed());
                    }
                }
                taken.fetch_sub(text.len(), Ordering::Relaxed);
            }
            // If this fails, no one waits for the end any more.
            let _ = ended.send(match result {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
                result => result,
            });
        })?;
        Ok(Self { texts, waiting, left_out: AtomicUsize::new(0), end })
    }

    /// Never waits.
    pub fn print(&self, text: String) {
        if self.waiting.load(Ordering::Relaxed) > WAITING {
            self.left_out.fetch_add(text.len(), Ordering::Relaxed);
            return;
        }
        self.waiting.fetch_add(text.len(), Ordering::Relaxed);
        // The thread ends only after this sender is gone.
        let _ = self.texts.send(text);
    }

    /// Waits until all is written, but no longer than `deadline`. How many bytes were left out.
    ///
    /// # Errors
    /// When stdout could not be written; a closed pipe is no error.
    pub fn finish(self, deadline: Duration) -> io::Result<usize> {
        let Self { texts, left_out, end, .. } = self;
        drop(texts);
        match end.recv_timeout(deadline) {
            Ok(result) => result?,
            Err(_) => return Err(io::Error::new(io::ErrorKind::TimedOut, "stdout takes nothing")),
        }
        Ok(left_out.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::ui::tests::Paused;

    #[test]
    fn all_is_written_before_the_end() {
        let (mut reader, writer) = io::pipe().unwrap();
        let printer = Printer::start_on(writer, || panic!("it is open")).unwrap();
        for text in ["one\n", "two\n"] {
            printer.print(text.to_owned());
        }
        assert_eq!(printer.finish(Duration::from_secs(30)).unwrap(), 0);
        let mut written = String::new();
        io::Read::read_to_string(&mut reader, &mut written).unwrap();
        assert_eq!(written, "one\ntwo\n");
    }

    #[test]
    fn that_nobody_reads_is_told_once_and_is_no_error() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let (closed, heard) = mpsc::channel();
        let printer = Printer::start_on(writer, move || closed.send(()).unwrap()).unwrap();
        (0..3).for_each(|_| printer.print("text".to_owned()));
        assert_eq!(printer.finish(Duration::from_secs(30)).unwrap(), 0);
        assert_eq!(heard.iter().count(), 1);
    }

    #[test]
    fn a_stdout_that_takes_nothing_holds_nobody_up() {
        let (_resume, paused) = mpsc::channel();
        let printer = Printer::start_on(Paused(paused), || {}).unwrap();
        let text = "x".repeat(1024 * 1024);
        (0..100).for_each(|_| printer.print(text.clone()));
        assert!(printer.left_out.load(Ordering::Relaxed) >= 30 * text.len());
        let error = printer.finish(Duration::from_millis(20)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
