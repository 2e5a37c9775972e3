//! A file that may be read for so many bytes and so long, whoever reads it.

use crate::error::Refusal;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::time::{Duration, Instant};

/// What parsers that read byte by byte get in one call.
const BUFFER: usize = 16 << 10;

pub(super) struct Bounded {
    file: File,
    left: u64,
    until: Instant,
    /// The first error: parsers tell of it in words of their own, or not at all.
    error: Option<io::Error>,
}

impl Bounded {
    pub(super) fn new(file: File, bytes: u64, time: Duration) -> Bounded {
        Bounded { file, left: bytes, until: Instant::now() + time, error: None }
    }

    /// From the beginning, with a buffer.
    pub(super) fn rewound(&mut self) -> io::Result<io::BufReader<&mut Bounded>> {
        self.rewind()?;
        Ok(io::BufReader::with_capacity(BUFFER, self))
    }

    /// The first bytes, as many as there are.
    pub(super) fn head(&mut self, length: usize) -> io::Result<Vec<u8>> {
        self.part(0, length)
    }

    /// A part of the file, as much of it as there is.
    pub(super) fn part(&mut self, at: u64, length: usize) -> io::Result<Vec<u8>> {
        self.seek(SeekFrom::Start(at))?;
        let mut part = Vec::new();
        self.take(length as u64).read_to_end(&mut part)?;
        Ok(part)
    }

    /// Why it ended, if a limit did that, or the file system.
    pub(super) fn why(&mut self) -> Option<io::Error> {
        self.error.take()
    }

    fn ends(&mut self, error: io::Error) -> io::Error {
        let told = match error.raw_os_error() {
            Some(errno) => io::Error::from_raw_os_error(errno),
            None => Refusal::TooMuch.into(),
        };
        self.error.get_or_insert(error);
        told
    }
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 || Instant::now() >= self.until {
            return Err(self.ends(Refusal::TooMuch.into()));
        }
        let most = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        match self.file.read(&mut buffer[..most]) {
            Ok(count) => {
                self.left -= count as u64;
                Ok(count)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => Err(self.ends(error)),
        }
    }
}

impl Seek for Bounded {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        // A place that a damaged file sends its reader to is no failure of the file system.
        if Instant::now() >= self.until {
            return Err(self.ends(Refusal::TooMuch.into()));
        }
        self.file.seek(to)
    }
}
