//! Blocks of a file: given before they are written, and given back.

use super::again;
use rustix::fs::{self, FallocateFlags};
use std::io;
use std::ops::Range;
use std::os::fd::AsFd;

/// Gives a range of a file its blocks, so that writes to it cannot fail for want of room; it reads as zeros until then. The
/// file grows if `grows`, and where the range is beyond its end.
///
/// # Errors
/// EOPNOTSUPP where the file system has no such thing; ENOSPC. Source: fallocate(2).
pub(crate) fn allocate(file: impl AsFd, range: &Range<u64>, grows: bool) -> io::Result<()> {
    let flags = if grows { FallocateFlags::empty() } else { FallocateFlags::KEEP_SIZE };
    again(|| fs::fallocate(&file, flags, range.start, range.end.saturating_sub(range.start)))
}

/// Turns a range of a file into a hole: it reads as zeros, and whole blocks in it are free. The file's length stays.
pub(crate) fn punch(file: impl AsFd, range: &Range<u64>) -> io::Result<()> {
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    again(|| fs::fallocate(&file, flags, range.start, range.end.saturating_sub(range.start)))
}
