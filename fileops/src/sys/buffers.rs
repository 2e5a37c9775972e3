//! Contents of open files at positions: whole buffers, several at once, room and holes.

use super::{again, data};
use rustix::fs::{self, SeekFrom};
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::AsFd;

/// What one call may be given. Source: UIO_MAXIOV in linux/uio.h.
const MOST_SLICES: usize = 1024;

/// Fills a buffer, as far as the file goes, and gives the length.
pub(crate) fn read_full_at(from: impl AsFd, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match data::read_at(&from, &mut buffer[filled..], offset + filled as u64)? {
            0 => break,
            length => filled += length,
        }
    }
    Ok(filled)
}

/// Everything from `offset` to the end.
pub(crate) fn read_rest_at(from: impl AsFd, offset: u64) -> io::Result<Vec<u8>> {
    let size = super::stat::Stat::of(&from).map_or(0, |stat| stat.size);
    let mut bytes = Vec::new();
    let rest = usize::try_from(size.saturating_sub(offset)).unwrap_or(usize::MAX);
    // One more, so that the end is seen without another turn.
    reserve(&mut bytes, rest.saturating_add(1))?;
    loop {
        if bytes.len() == bytes.capacity() {
            reserve(&mut bytes, 64 << 10)?;
        }
        let at = offset + bytes.len() as u64;
        if again(|| rustix::io::pread(&from, rustix::buffer::spare_capacity(&mut bytes), at))? == 0 {
            return Ok(bytes);
        }
    }
}

/// Everything from the file's own position on, whatever it is: a FIFO has no other.
pub(crate) fn read_to_end(from: impl AsFd) -> io::Result<Vec<u8>> {
    let size = super::stat::Stat::of(&from).map_or(0, |stat| stat.size);
    let mut bytes = Vec::new();
    reserve(&mut bytes, usize::try_from(size).unwrap_or(usize::MAX).saturating_add(1))?;
    loop {
        if bytes.len() == bytes.capacity() {
            reserve(&mut bytes, 64 << 10)?;
        }
        if again(|| rustix::io::read(&from, rustix::buffer::spare_capacity(&mut bytes)))? == 0 {
            return Ok(bytes);
        }
    }
}

fn reserve(bytes: &mut Vec<u8>, more: usize) -> io::Result<()> {
    bytes.try_reserve(more).map_err(|_| io::ErrorKind::OutOfMemory.into())
}

/// Reads once into several buffers, one after the other, and gives the length.
pub(crate) fn read_vectored_at(from: impl AsFd, buffers: &mut [Vec<u8>], offset: u64) -> io::Result<usize> {
    let mut slices: Vec<_> = buffers.iter_mut().take(MOST_SLICES).map(|buffer| IoSliceMut::new(buffer)).collect();
    again(|| rustix::io::preadv(&from, &mut slices, offset))
}

/// Writes all of a buffer.
pub(crate) fn write_full_at(to: impl AsFd, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = data::write_at(&to, bytes, offset)?;
        (bytes, offset) = (&bytes[written..], offset + written as u64);
    }
    Ok(())
}

/// Writes all of several buffers, one after the other.
pub(crate) fn write_vectored_at(to: impl AsFd, buffers: &[Vec<u8>], mut offset: u64) -> io::Result<()> {
    let mut slices: Vec<_> =
        buffers.iter().filter(|buffer| !buffer.is_empty()).map(|buffer| IoSlice::new(buffer)).collect();
    let mut rest = slices.as_mut_slice();
    while !rest.is_empty() {
        let most = rest.len().min(MOST_SLICES);
        match again(|| rustix::io::pwritev(&to, &rest[..most], offset))? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            written => {
                offset += written as u64;
                IoSlice::advance_slices(&mut rest, written);
            }
        }
    }
    Ok(())
}

/// Writes all at the end, or wherever the file's own position is.
pub(crate) fn write_all(to: impl AsFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        bytes = &bytes[data::write(&to, bytes)?..];
    }
    Ok(())
}

/// Where data begins, at or after `offset`; `None` where only a hole is left. Moves the file's own position.
pub(crate) fn seek_data(file: impl AsFd, offset: u64) -> io::Result<Option<u64>> {
    sought(again(|| fs::seek(&file, SeekFrom::Data(offset))))
}

/// Where a hole begins, at or after `offset`: the end of the file is one. `None` beyond it. Moves the file's own position.
pub(crate) fn seek_hole(file: impl AsFd, offset: u64) -> io::Result<Option<u64>> {
    sought(again(|| fs::seek(&file, SeekFrom::Hole(offset))))
}

fn sought(answer: io::Result<u64>) -> io::Result<Option<u64>> {
    match answer {
        Err(error) if error.raw_os_error() == Some(libc::ENXIO) => Ok(None),
        answer => answer.map(Some),
    }
}
