//! The contents of a file that an interrupted copy has begun: compared with the source, and written where they differ.

use super::Copying;
use super::contents::File;
use crate::engine::{End, Visit, Worker};
use crate::error::{Action, During, Error, Refusal};
use crate::progress::{LARGE, add};
use crate::sys::data;
use crate::sys::stat::Stat;
use std::io;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

impl Copying {
    pub(super) fn count_found(&self, worker: &Worker<Self>, stat: &Stat, bytes: u64) {
        add(&worker.counters.resumed, bytes);
        add(&worker.counters.bytes, bytes);
        if stat.size > LARGE {
            worker.counters.add_large(bytes, Duration::from_nanos(1));
        }
    }

    /// Makes a stretch of a file that was begun what it is at the source. What is the same already is not written.
    pub(super) fn mend(&self, worker: &mut Worker<Self>, file: &File, span: Range<u64>, is_hole: bool) -> Visit {
        let mut buffer = std::mem::take(&mut worker.buffer);
        let mended = self.mend_with(worker, file, span, is_hole, &mut buffer);
        worker.buffer = buffer;
        mended
    }

    fn mend_with(
        &self,
        worker: &Worker<Self>,
        file: &File,
        span: Range<u64>,
        is_hole: bool,
        buffer: &mut [u8],
    ) -> Visit {
        let half = buffer.len() / 2;
        let (ours, theirs) = buffer.split_at_mut(half);
        let (mut at, mut hasher) = (span.start, self.hasher());
        while at < span.end {
            worker.job().checkpoint()?;
            if is_hole {
                // Holes of the copy are read as what they are, and stay.
                let Some(data) = data::next_data(&file.target, at, span.end).during(Action::Read, || file.path())?
                else {
                    break;
                };
                at = data.start;
            }
            let length = half.min((span.end - at).try_into().unwrap_or(usize::MAX));
            let (ours, theirs) = (&mut ours[..length], &mut theirs[..length]);
            if is_hole {
                ours.fill(0)
            } else {
                file.read_source(ours, at)?
            }
            hasher.update(ours);
            let is_same = read_whole(&file.target, theirs, at).during(Action::Read, || file.path())? && ours == theirs;
            if !is_same {
                worker.job().spend(length as u64)?;
                self.write_whole(worker, file, ours, at)?;
            }
            if !is_hole {
                match is_same {
                    true => self.count_found(worker, &file.stat, length as u64),
                    false => self.count(worker, file, length as u64, Duration::ZERO),
                }
            }
            at += length as u64;
        }
        if !is_hole {
            hasher.end(file, span);
        }
        Ok(())
    }
}

/// `false` when the file ends before the buffer is full.
fn read_whole(file: &OwnedFd, buffer: &mut [u8], at: u64) -> io::Result<bool> {
    let mut filled = 0;
    while filled < buffer.len() {
        match data::read_at(file, &mut buffer[filled..], at + filled as u64)? {
            0 => return Ok(false),
            count => filled += count,
        }
    }
    Ok(true)
}

impl File {
    fn path(&self) -> PathBuf {
        self.dir.path_of(End::Target, &self.name)
    }

    fn read_source(&self, buffer: &mut [u8], at: u64) -> Visit {
        let path = || self.dir.path_of(End::Source, &self.name);
        match read_whole(&self.source, buffer, at).during(Action::Read, path)? {
            true => Ok(()),
            false => Err(Error::new(Action::Read, path(), Refusal::Changed).into()),
        }
    }
}
