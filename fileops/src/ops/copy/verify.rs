//! Verification: the source is hashed while it is read for the copy, and what the target has is read back past the page
//! cache and hashed too. A file whose copy differs never gets its name, or loses it before anybody sees the tree it is in.

use super::contents::File;
use super::{Copy, Copying};
use crate::control::Cancelled;
use crate::engine::{End, Stop, Visit, Worker};
use crate::error::{Action, Error, Refusal};
use crate::operation::Job;
use crate::report::{Tally, Verified};
use crate::sys::data;
use crate::sys::mount::FsKind;
use crate::sys::stat::Stat;
use std::io;
use std::ops::Range;
use std::os::fd::OwnedFd;

/// What is read at a time: large enough for a device, small enough for a cancel.
const WINDOW: usize = 1 << 20;

/// What is compared with the source after it was copied.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verify {
    /// Nothing: the kernel said that it was written.
    #[default]
    Nothing,
    /// The contents of all files. Each source is read once, and hashed meanwhile (BLAKE3); each copy is read back past the
    /// page cache. What differs is a failure with [`Refusal::Mismatch`](crate::Refusal::Mismatch), and is not left under its
    /// name. The report's [`verified`](crate::Report::verified) says where the copies were read from.
    Contents,
}

impl Copy {
    /// What is compared after copying; default [`Verify::Nothing`].
    pub fn verify(mut self, verify: Verify) -> Copy {
        self.options.verify = verify;
        self
    }
}

/// A stretch of data of a file, as it was read from the source. Between them are holes.
#[derive(Clone)]
pub(super) struct Stretch {
    range: Range<u64>,
    hash: blake3::Hash,
}

/// Hashes one stretch while it is copied; or does nothing, where nobody asks.
pub(super) struct Hasher(Option<Box<blake3::Hasher>>);

impl Hasher {
    pub(super) fn update(&mut self, bytes: &[u8]) {
        if let Some(hasher) = &mut self.0 {
            hasher.update(bytes);
        }
    }

    pub(super) fn end(self, file: &File, range: Range<u64>) {
        if let Some(hasher) = self.0.filter(|_| !range.is_empty()) {
            let hash = hasher.finalize();
            crate::control::lock(&file.read).push(Stretch { range, hash });
        }
    }
}

impl Copying {
    pub(super) fn is_verifying(&self) -> bool {
        self.options.verify == Verify::Contents
    }

    pub(super) fn hasher(&self) -> Hasher {
        Hasher(self.is_verifying().then(Box::default))
    }

    /// Compares an open file, which has to be on the device already.
    pub(super) fn verify_open(&self, worker: &Worker<Self>, file: &File) -> Visit {
        let read = std::mem::take(&mut *crate::control::lock(&file.read));
        let path = || file.dir.path_of(End::Source, &file.name);
        let compared = Reader::default().is_same(&file.target, file.stat.size, read, worker.job());
        let same = compared.map_err(|stop| stop.into_stop(path()))?;
        if !same {
            return Err(Error::new(Action::Verify, path(), Refusal::Mismatch).into());
        }
        count(worker.job(), file.route.target, file.stat.size);
        Ok(())
    }
}

/// A file was read and is the same.
pub(super) fn count(job: &Job, kind: FsKind, bytes: u64) {
    let how: fn(&mut Verified) -> &mut Tally = match kind.is_on_device() {
        true => |verified| &mut verified.from_device,
        false => |verified| &mut verified.read_back,
    };
    job.verified(how, bytes);
}

/// Why a comparison came to no end.
pub(super) enum Ended {
    Unreadable(io::Error),
    Cancelled,
}

impl Ended {
    pub(super) fn into_stop(self, path: std::path::PathBuf) -> Stop {
        match self {
            Ended::Unreadable(error) => Error::new(Action::Verify, path, error).into(),
            Ended::Cancelled => Stop::Cancelled,
        }
    }
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Ended {
        Ended::Unreadable(error)
    }
}

impl From<Cancelled> for Ended {
    fn from(_: Cancelled) -> Ended {
        Ended::Cancelled
    }
}

/// Reads files past the page cache, one after the other.
#[derive(Default)]
pub(super) struct Reader {
    space: Vec<u8>,
    is_direct: bool,
}

impl Reader {
    /// Whether a file that is on the device has what was read from its source, and nothing else.
    pub(super) fn is_same(
        &mut self,
        file: &OwnedFd,
        size: u64,
        mut stretches: Vec<Stretch>,
        job: &Job,
    ) -> Result<bool, Ended> {
        data::forget_cached(file);
        self.is_direct = data::set_direct(file);
        if Stat::of(file)?.size != size {
            return Ok(false);
        }
        stretches.sort_by_key(|stretch| stretch.range.start);
        let mut at = 0;
        for Stretch { range, hash } in stretches {
            let mut hasher = blake3::Hasher::new();
            let is_read = self.is_hole(file, at..range.start, job)?
                && self.read(file, range.clone(), job, |bytes| {
                    hasher.update(bytes);
                    true
                })?;
            if !is_read || hasher.finalize() != hash {
                return Ok(false);
            }
            at = range.end;
        }
        self.is_hole(file, at..size, job)
    }

    /// Whether there is nothing but zeros.
    fn is_hole(&mut self, file: &OwnedFd, range: Range<u64>, job: &Job) -> Result<bool, Ended> {
        let mut at = range.start;
        while at < range.end {
            let Some(data) = data::next_data(file, at, range.end)? else { break };
            at = data.end;
            if !self.read(file, data, job, |bytes| bytes.iter().all(|&byte| byte == 0))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Shows all bytes of a range; `false` when the file ends before it does, or `each` wants no more.
    fn read(
        &mut self,
        file: &OwnedFd,
        range: Range<u64>,
        job: &Job,
        mut each: impl FnMut(&[u8]) -> bool,
    ) -> Result<bool, Ended> {
        let mut at = range.start;
        while at < range.end {
            job.checkpoint()?;
            // What is read directly begins and ends at multiples.
            let before = (at % data::DIRECT as u64) as usize;
            let wanted = usize::try_from(range.end - at).unwrap_or(usize::MAX).min(WINDOW - before);
            let length = (before + wanted).next_multiple_of(data::DIRECT);
            let window = self.window(length);
            let count = match data::read_at(file, window, at - before as u64) {
                Err(error) if self.is_direct && error.raw_os_error() == Some(libc::EINVAL) => {
                    self.read_through_cache(file);
                    continue;
                }
                count => count?,
            };
            let found = count.saturating_sub(before).min(wanted);
            if found == 0 {
                if self.is_direct && count > 0 {
                    self.read_through_cache(file);
                    continue;
                }
                return Ok(false);
            }
            if !each(&self.window(length)[before..before + found]) {
                return Ok(false);
            }
            at += found as u64;
        }
        Ok(true)
    }

    /// Memory for direct reads begins at a multiple too.
    fn window(&mut self, length: usize) -> &mut [u8] {
        let wanted = length.max(64 << 10) + data::DIRECT;
        if self.space.len() < wanted {
            self.space = vec![0; wanted];
        }
        let skipped = self.space.as_ptr().align_offset(data::DIRECT);
        &mut self.space[skipped..skipped + length]
    }

    fn read_through_cache(&mut self, file: &OwnedFd) {
        data::unset_direct(file);
        data::forget_cached(file);
        self.is_direct = false;
    }
}
