//! A file's blocks: given in advance, given back, and where there are none.

use super::call::Call;
use super::file::File;
use crate::error::Action;
use crate::sys::stat::Stat;
use crate::sys::{blocks, data};
use std::ops::Range;

impl File {
    /// Gives a range of bytes their blocks, so that writes to them cannot fail for want of room; they read as zeros until
    /// then, and what was there stays. The file grows if the range is beyond its end.
    ///
    /// # Errors
    /// `StorageFull`, and `Unsupported` where the file system has no such thing (NFS before 4.2, FAT, some FUSE): nothing is
    /// written in its stead. `InvalidInput` for an empty range. Source: fallocate(2).
    pub fn allocate(&self, range: Range<u64>) -> Call<()> {
        self.call(Action::Write, move |file| Ok(blocks::allocate(file, &range, true)?))
    }

    /// The same beyond the end of the file without making it longer: whoever appends has the room.
    ///
    /// # Errors
    /// As for [`allocate`](File::allocate).
    pub fn reserve(&self, range: Range<u64>) -> Call<()> {
        self.call(Action::Write, move |file| Ok(blocks::allocate(file, &range, false)?))
    }

    /// Makes a range of bytes a hole: it reads as zeros, and whole blocks in it are free. The file stays as long as it is.
    ///
    /// # Errors
    /// `Unsupported` where the file system knows no holes; `InvalidInput` for an empty range.
    pub fn punch_hole(&self, range: Range<u64>) -> Call<()> {
        self.call(Action::Write, move |file| Ok(blocks::punch(file, &range)?))
    }

    /// The next range of bytes, at or after `from`, that are no hole; `None` when there is nothing but a hole up to the end.
    /// On file systems that know no holes everything is data.
    ///
    /// The file's own position, which reads and writes of ours do not use, moves. Source: lseek(2), SEEK_DATA.
    pub fn next_data(&self, from: u64) -> Call<Option<Range<u64>>> {
        self.call(Action::Read, move |file| {
            let end = Stat::of(file)?.size;
            Ok(if from < end { data::next_data(file, from, end)? } else { None })
        })
    }
}
