//! Captures what a child prints, with a bound on how much of it.

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};

use super::cue::CueEar;

/// How much of a child's stdout is kept: enough for any answer of nix about a fleet of hundreds, and a bound on what a
/// broken program can make us keep.
const ANSWER_LIMIT: u64 = 64 * 1024 * 1024;
/// How much of a child's stderr is kept, from the end: programs say last what went wrong.
pub(super) const TALK_LIMIT: u64 = 2 * 1024 * 1024;
/// How much of one line of stderr is kept. Nix tells an activity in less; the rest of a longer line is passed over.
pub(super) const LINE_LIMIT: usize = 256 * 1024;

/// Why a stream was not read to its end.
pub(super) enum CutShort {
    TooMuch(u64),
    Broken(std::io::Error),
}

pub(super) async fn capture(
    stream: Option<impl AsyncRead + Unpin>,
    most: Option<u64>,
    bytes: &mut Vec<u8>,
    mut ear: CueEar,
) -> Result<(), CutShort> {
    let Some(mut stream) = stream else { return Ok(()) };
    let mut kept = (&mut stream).take(most.unwrap_or(ANSWER_LIMIT));
    loop {
        let before = bytes.len();
        if kept.read_buf(bytes).await.map_err(CutShort::Broken)? == 0 {
            break;
        }
        ear.hear(&bytes[before..]);
    }
    // The end of this stream may be what the input waits for.
    drop(ear);
    match most {
        // One byte more tells whether the child has printed too much.
        Some(most) if stream.read(&mut [0]).await.map_err(CutShort::Broken)? > 0 => Err(CutShort::TooMuch(most)),
        Some(_) => Ok(()),
        // The rest is read and dropped: a child stands still at a pipe that is not read.
        None => tokio::io::copy(&mut stream, &mut tokio::io::sink()).await.map(drop).map_err(CutShort::Broken),
    }
}

pub(super) async fn capture_lines(
    stream: Option<impl AsyncRead + Unpin>,
    (most, longest_line): (Option<u64>, Option<usize>),
    bytes: &mut Vec<u8>,
    on_line: &mut (impl FnMut(&str) + Send),
) -> Result<(), CutShort> {
    let Some(stream) = stream else { return Ok(()) };
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    let (mut read, mut length) = (0, 0);
    loop {
        let more = reader.fill_buf().await.map_err(CutShort::Broken)?;
        let end = more.iter().position(|byte| *byte == b'\n');
        let used = end.map_or(more.len(), |end| end + 1);
        let room = LINE_LIMIT.saturating_sub(line.len());
        line.extend_from_slice(&more[..used.min(room)]);
        // All of it is consumed, also what is not kept: a child stands still at a pipe that is not read.
        reader.consume(used);
        read += used as u64;
        length += used;
        if let Some(longest) = longest_line.filter(|longest| length > *longest) {
            return Err(CutShort::TooMuch(longest as u64));
        }
        if let Some(most) = most.filter(|most| read > *most) {
            return Err(CutShort::TooMuch(most));
        }
        // At the end of the stream a last line without its newline is a line, too: it often says why the child has
        // ended.
        if end.is_some() || used == 0 {
            if !line.is_empty() {
                on_line(String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']));
                keep_the_end(bytes, &line);
                line.clear();
                length = 0;
            }
            if used == 0 {
                return Ok(());
            }
        }
    }
}

/// Adds a line, and lets go of the oldest bytes once there are twice as many as are kept.
fn keep_the_end(bytes: &mut Vec<u8>, line: &[u8]) {
    let limit = usize::try_from(TALK_LIMIT).unwrap_or(usize::MAX);
    bytes.extend_from_slice(line);
    if bytes.len() > 2 * limit {
        bytes.drain(..bytes.len() - limit);
    }
}
