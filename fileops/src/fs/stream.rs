//! A file as a stream: what is read ahead and written behind, and where.

use super::ahead::Ahead;
use super::behind::Behind;
use super::call::Call;
use super::file::File;
use crate::error::{Action, Result};
use crate::sys::{data, open, stat::Stat};
use std::collections::VecDeque;
use std::fmt;
use std::io::{self, SeekFrom};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, ready};

/// The first read of a stream: many files are no longer, and nobody may want more than a header.
const FIRST: usize = 128 << 10;

/// What one read asks for at most: long enough that changing threads costs little beside it.
const MOST: usize = 1 << 20;

/// Reads that are under way while what was read is consumed.
const AHEAD: usize = 2;

/// What is read at once from something that has no positions: a FIFO, a terminal.
const PIECE: usize = 64 << 10;

/// Where a file is as a stream. A clone begins anew.
///
/// Only who has the file for itself uses it. The lock is never taken: it lets files be shared for everything else.
#[derive(Default)]
pub(super) struct Streaming(Mutex<Option<Box<Stream>>>);

impl Clone for Streaming {
    fn clone(&self) -> Streaming {
        Streaming::default()
    }
}

impl fmt::Debug for Streaming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Streaming")
    }
}

impl Streaming {
    fn get(&mut self) -> &mut Stream {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner).get_or_insert_default()
    }
}

#[derive(Default)]
struct Stream {
    /// Of the next byte that the caller reads or writes.
    position: u64,
    reader: Reader,
    writer: Option<Behind>,
    /// A seek from the end, which has asked where that is.
    end: Option<(SeekFrom, Call<u64>)>,
    closing: Option<Call<()>>,
    /// A seek that tokio has begun.
    #[cfg(feature = "tokio-io")]
    begun: Option<SeekFrom>,
}

#[derive(Default)]
struct Reader {
    chunk: Chunk,
    /// How much of the chunk is consumed.
    taken: usize,
    /// In the order of the file.
    ahead: VecDeque<Ahead<Chunk>>,
    /// Where the next read begins, while some are under way.
    next: u64,
    /// What the last read asked for.
    size: usize,
    has_positions: Option<bool>,
    /// To be filled again.
    spare: Vec<Vec<u8>>,
}

/// What one read gave.
#[derive(Default)]
struct Chunk {
    bytes: Vec<u8>,
    /// Less than was asked for: the file ended here, or the next read tells why not more was to be had.
    is_short: bool,
    has_positions: bool,
}

impl Reader {
    /// Forgets what was read and what is under way.
    fn reset(&mut self) {
        self.ahead.clear();
        let bytes = std::mem::take(&mut self.chunk).bytes;
        self.keep(bytes);
        (self.taken, self.size) = (0, 0);
    }

    fn keep(&mut self, bytes: Vec<u8>) {
        if bytes.capacity() > 0 && self.spare.len() <= AHEAD {
            self.spare.push(bytes);
        }
    }

    fn left(&self) -> &[u8] {
        &self.chunk.bytes[self.taken..]
    }

    fn begin(&mut self, file: &File) {
        let has_positions = self.has_positions != Some(false);
        self.size = if has_positions { (self.size * 2).clamp(FIRST, MOST) } else { PIECE };
        let (size, offset) = (self.size, self.next);
        self.next += size as u64;
        let mut bytes = self.spare.pop().unwrap_or_default();
        let call = file.call(Action::Read, move |file| {
            bytes.clear();
            bytes.try_reserve_exact(size).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
            if has_positions {
                match data::fill_at(file, &mut bytes, size, offset) {
                    Ok(is_short) => return Ok(Chunk { bytes, is_short, has_positions }),
                    Err(error) if error.raw_os_error() == Some(libc::ESPIPE) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            data::read_some(file, &mut bytes)?;
            Ok(Chunk { bytes, is_short: true, has_positions: false })
        });
        self.ahead.push_back(Ahead::begin(call));
    }

    /// Sees that something is left to be consumed, unless the file ends at `position`.
    fn poll_fill(&mut self, file: &File, position: u64, context: &mut Context<'_>) -> Poll<Result<()>> {
        if !self.left().is_empty() {
            return Poll::Ready(Ok(()));
        }
        if self.ahead.is_empty() {
            self.next = position;
            self.begin(file);
        }
        let front = self.ahead.front_mut().expect("one was begun");
        let answer = ready!(front.poll(context));
        self.ahead.pop_front();
        let chunk = match answer {
            Ok(chunk) => chunk,
            Err(error) => {
                self.reset();
                return Poll::Ready(Err(error));
            }
        };
        let used = std::mem::replace(&mut self.chunk, chunk).bytes;
        self.keep(used);
        self.taken = 0;
        self.has_positions = Some(self.chunk.has_positions);
        if self.chunk.is_short {
            // What was asked for beyond does not follow it.
            self.ahead.clear();
        } else {
            while self.ahead.len() < AHEAD {
                self.begin(file);
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl Stream {
    /// Sees that everything that was written before is with the file, so that it can be read or left.
    fn poll_settle(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        if let Some(writer) = &mut self.writer {
            ready!(writer.poll_flush(context))?;
            writer.rest();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_seek(&mut self, file: &File, to: SeekFrom, context: &mut Context<'_>) -> Poll<Result<u64>> {
        ready!(self.poll_settle(context))?;
        let target = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
            SeekFrom::End(by) => {
                if self.end.as_ref().is_none_or(|(other, _)| *other != to) {
                    self.end = Some((to, file.call(Action::Stat, |file| Ok(Stat::of(file)?.size))));
                }
                let (_, call) = self.end.as_mut().expect("it was set just now");
                let end = ready!(std::pin::Pin::new(call).poll(context));
                self.end = None;
                end?.checked_add_signed(by)
            }
        };
        let Some(target) = target.filter(|&target| i64::try_from(target).is_ok()) else {
            let error = io::Error::from_raw_os_error(libc::EINVAL);
            return Poll::Ready(Err(crate::error::Error::new(Action::Read, file.path(), error)));
        };
        // Forward within what was read, nothing has to be read again.
        let forward = target.checked_sub(self.position).and_then(|by| usize::try_from(by).ok());
        match forward.filter(|&by| by <= self.reader.left().len()) {
            Some(by) => self.reader.taken += by,
            None => self.reader.reset(),
        }
        self.position = target;
        Poll::Ready(Ok(target))
    }
}

/// What the traits of futures-io and of tokio ask for, in words of ours.
impl File {
    pub(super) fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let file = self.clone();
        let stream = self.streaming().get();
        ready!(stream.poll_settle(context)).map_err(told)?;
        ready!(stream.reader.poll_fill(&file, stream.position, context)).map_err(told)?;
        Poll::Ready(Ok(stream.reader.left()))
    }

    pub(super) fn take(&mut self, amount: usize) {
        let stream = self.streaming().get();
        let amount = amount.min(stream.reader.left().len());
        stream.reader.taken += amount;
        stream.position += amount as u64;
    }

    pub(super) fn poll_some(&mut self, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        if buffer.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let left = ready!(self.poll_fill(context))?;
        let length = left.len().min(buffer.len());
        buffer[..length].copy_from_slice(&left[..length]);
        self.take(length);
        Poll::Ready(Ok(length))
    }

    pub(super) fn poll_put(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let file = self.clone();
        let stream = self.streaming().get();
        stream.reader.reset();
        let writer = stream.writer.get_or_insert_with(|| Behind::new(&file));
        let length = ready!(writer.poll_write(stream.position, bytes, context)).map_err(told)?;
        stream.position += length as u64;
        Poll::Ready(Ok(length))
    }

    pub(super) fn poll_written(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.streaming().get().writer {
            Some(writer) => writer.poll_flush(context).map_err(told),
            None => Poll::Ready(Ok(())),
        }
    }

    /// Some file systems tell only when a file is closed that a write failed.
    pub(super) fn poll_closed(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_written(context))?;
        let file = self.clone();
        let stream = self.streaming().get();
        if stream.writer.is_none() {
            return Poll::Ready(Ok(()));
        }
        let closing =
            stream.closing.get_or_insert_with(|| file.call(Action::Write, |file| Ok(open::close(file.try_clone()?)?)));
        let answer = ready!(std::pin::Pin::new(closing).poll(context));
        stream.closing = None;
        Poll::Ready(answer.map_err(told))
    }

    pub(super) fn poll_position(&mut self, context: &mut Context<'_>, to: SeekFrom) -> Poll<io::Result<u64>> {
        let file = self.clone();
        self.streaming().get().poll_seek(&file, to, context).map_err(told)
    }
}

#[cfg(feature = "tokio-io")]
impl File {
    pub(super) fn begin_seek(&mut self, to: SeekFrom) -> io::Result<()> {
        match self.streaming().get().begun.replace(to) {
            None => Ok(()),
            Some(other) => {
                self.streaming().get().begun = Some(other);
                Err(io::Error::other("another seek is under way"))
            }
        }
    }

    pub(super) fn poll_begun_seek(&mut self, context: &mut Context<'_>) -> Poll<io::Result<u64>> {
        let Some(to) = self.streaming().get().begun else { return Poll::Ready(Ok(self.streaming().get().position)) };
        let answer = ready!(self.poll_position(context, to));
        self.streaming().get().begun = None;
        Poll::Ready(answer)
    }
}

/// What the traits can tell: the kernel's answer, without what it was about.
fn told(error: crate::error::Error) -> io::Error {
    error.source
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::block_on;
    use futures_util::{AsyncBufReadExt, AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
    use std::fs::OpenOptions;

    /// A file of a test's own, gone at its end.
    struct Scratch(std::path::PathBuf);

    impl Scratch {
        fn new(name: &str) -> Scratch {
            Scratch(std::env::temp_dir().join(format!("fileops-stream-{name}-{}", std::process::id())))
        }

        fn open(&self, options: &OpenOptions) -> File {
            options.open(&self.0).unwrap().into()
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    /// Bytes that tell where they stand.
    fn pattern(length: usize) -> Vec<u8> {
        (0..length as u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
    }

    #[test]
    fn what_is_written_behind_is_read_ahead_again() {
        let scratch = Scratch::new("both");
        let bytes = pattern(5 * MOST + 12_345);
        let mut file = scratch.open(OpenOptions::new().read(true).write(true).create_new(true));
        block_on(async {
            file.write_all(&bytes).await.unwrap();
            // It is one file: a seek comes after what was written.
            assert_eq!(file.seek(SeekFrom::End(0)).await.unwrap(), bytes.len() as u64);
            assert_eq!(file.seek(SeekFrom::Start(7)).await.unwrap(), 7);
            let mut back = Vec::new();
            file.read_to_end(&mut back).await.unwrap();
            assert!(back == bytes[7..], "{} bytes", back.len());
            file.seek(SeekFrom::Current(-10)).await.unwrap();
            file.write_all(b"end").await.unwrap();
            assert_eq!(file.fill_buf().await.unwrap(), &bytes[bytes.len() - 7..]);
            file.close().await.unwrap();
        });
        let mut expected = bytes;
        let at = expected.len() - 10;
        expected[at..at + 3].copy_from_slice(b"end");
        assert!(std::fs::read(&scratch.0).unwrap() == expected);
    }

    #[test]
    fn a_buffer_that_was_large_is_not_filled_beyond_what_was_asked_for() {
        let scratch = Scratch::new("spare");
        let bytes = pattern(4 * MOST);
        std::fs::write(&scratch.0, &bytes).unwrap();
        let mut file = scratch.open(OpenOptions::new().read(true));
        block_on(async {
            let mut back = vec![0; 3 * MOST];
            file.read_exact(&mut back).await.unwrap();
            file.seek(SeekFrom::Start(1)).await.unwrap();
            let mut back = Vec::new();
            file.read_to_end(&mut back).await.unwrap();
            assert!(back == bytes[1..], "{} bytes", back.len());
        });
    }

    #[test]
    fn what_was_taken_is_written_though_the_file_is_dropped() {
        let scratch = Scratch::new("dropped");
        let bytes = pattern(3 * MOST + 1);
        let mut file = scratch.open(OpenOptions::new().write(true).create_new(true));
        block_on(file.write_all(&bytes)).unwrap();
        drop(file);
        let limit = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while std::fs::read(&scratch.0).unwrap() != bytes {
            assert!(std::time::Instant::now() < limit);
            std::thread::yield_now();
        }
    }
}
