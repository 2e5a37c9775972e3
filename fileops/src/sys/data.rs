//! File contents: cloned, copied by the kernel, or read and written; holes stay holes.

use super::again;
use super::mount::FsKind;
use rustix::fs::{self, SeekFrom};
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd};

/// Makes `to` share all the blocks of `from`.
///
/// # Errors
/// EXDEV and EOPNOTSUPP: never between these two mounts. EINVAL: not this file. Source: ioctl_ficlone(2).
pub(crate) fn clone(from: impl AsFd, to: impl AsFd) -> io::Result<()> {
    again(|| fs::ioctl_ficlone(&to, &from))
}

/// Lets the kernel, or the server, copy up to `length` bytes at `offset`. Returns the bytes copied; 0 is the end.
pub(crate) fn copy_range(from: impl AsFd, to: impl AsFd, offset: u64, length: usize) -> io::Result<usize> {
    again(|| {
        let (mut off_in, mut off_out) = (offset, offset);
        fs::copy_file_range(&from, Some(&mut off_in), &to, Some(&mut off_out), length)
    })
}

/// Reads once at the file's own position.
pub(crate) fn read(from: impl AsFd, buffer: &mut [u8]) -> io::Result<usize> {
    again(|| rustix::io::read(&from, &mut *buffer))
}

/// Reads once at `offset`.
pub(crate) fn read_at(from: impl AsFd, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    again(|| rustix::io::pread(&from, &mut *buffer, offset))
}

/// Writes once at the file's own position.
///
/// # Errors
/// A write of nothing is `WriteZero`, not a reason to try for ever.
pub(crate) fn write(to: impl AsFd, bytes: &[u8]) -> io::Result<usize> {
    some(again(|| rustix::io::write(&to, bytes))?)
}

/// Writes once at `offset`; errors as `write`.
pub(crate) fn write_at(to: impl AsFd, bytes: &[u8], offset: u64) -> io::Result<usize> {
    some(again(|| rustix::io::pwrite(&to, bytes, offset))?)
}

fn some(written: usize) -> io::Result<usize> {
    if written == 0 { Err(io::ErrorKind::WriteZero.into()) } else { Ok(written) }
}

/// The next stretch of data at or after `from`, within `end`; `None` when only a hole is left.
/// A file system that knows no holes answers with all of it.
pub(crate) fn next_data(file: impl AsFd, from: u64, end: u64) -> io::Result<Option<Range<u64>>> {
    let start = match again(|| fs::seek(&file, SeekFrom::Data(from))) {
        Ok(start) => start,
        Err(error) if error.raw_os_error() == Some(libc::ENXIO) => return Ok(None),
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) || super::is_unsupported(&error) => {
            return Ok(Some(from..end));
        }
        Err(error) => return Err(error),
    };
    if start >= end {
        return Ok(None);
    }
    let stop = again(|| fs::seek(&file, SeekFrom::Hole(start)))?;
    Ok(Some(start..stop.clamp(start, end)))
}

/// Where the first hole at or after `from` begins; the end of the file is one. A file system that knows none gives the most
/// there can be.
pub(crate) fn next_hole(file: impl AsFd, from: u64) -> io::Result<u64> {
    match again(|| fs::seek(&file, SeekFrom::Hole(from))) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) || super::is_unsupported(&error) => Ok(u64::MAX),
        answer => answer,
    }
}

/// Sets the file's length; what is beyond its data becomes a hole.
pub(crate) fn set_length(file: impl AsFd, length: u64) -> io::Result<()> {
    again(|| fs::ftruncate(&file, length))
}

/// Waits until the file's contents and attributes are on the device.
pub(crate) fn sync(file: impl AsFd) -> io::Result<()> {
    again(|| fs::fsync(&file))
}

/// Waits until the file's contents are on the device, and what is needed to read them back.
pub(crate) fn sync_data(file: impl AsFd) -> io::Result<()> {
    again(|| fs::fdatasync(&file))
}

/// Begins to write a part of a file to its device. Where a file system does not do this, nothing happens.
///
/// Source: sync_file_range(2); it sends no flush to the device and writes no metadata, so that it makes nothing durable by
/// itself.
pub(crate) fn push_out(file: impl AsFd, part: Range<u64>) -> io::Result<()> {
    sync_range(file, part, libc::SYNC_FILE_RANGE_WRITE)
}

/// Waits until a part of a file has been written to its device. An error is told once: the file cannot be trusted then.
pub(crate) fn wait_out(file: impl AsFd, part: Range<u64>) -> io::Result<()> {
    let all = libc::SYNC_FILE_RANGE_WAIT_BEFORE | libc::SYNC_FILE_RANGE_WRITE | libc::SYNC_FILE_RANGE_WAIT_AFTER;
    sync_range(file, part, all)
}

#[allow(unsafe_code)]
fn sync_range(file: impl AsFd, part: Range<u64>, flags: libc::c_uint) -> io::Result<()> {
    let (offset, length) = (part.start as libc::off64_t, (part.end - part.start) as libc::off64_t);
    // SAFETY: the descriptor is open for the length of the call, which touches no memory of ours.
    if unsafe { libc::sync_file_range(file.as_fd().as_raw_fd(), offset, length, flags) } == 0 {
        return Ok(());
    }
    match io::Error::last_os_error() {
        error if matches!(error.raw_os_error(), Some(libc::EIO | libc::ENOSPC | libc::EDQUOT)) => Err(error),
        // Interrupted, or not done here: the sync that follows waits all the same.
        _ => Ok(()),
    }
}

/// Lets the kernel forget the contents of a file that are on the device already, so that a read asks the device.
pub(crate) fn forget_cached(file: impl AsFd) {
    // A hint: where it is not taken, a read is answered by the cache.
    let _ = fs::fadvise(&file, 0, None, fs::Advice::DontNeed);
}

/// Reads of this descriptor go past the page cache, and leave no access time. `false` where that cannot be; offsets, lengths
/// and buffers have to be multiples of [`DIRECT`] where it can.
pub(crate) fn set_direct(file: impl AsFd) -> bool {
    let Ok(flags) = fs::fcntl_getfl(&file) else { return false };
    let quiet = flags | fs::OFlags::NOATIME;
    let quiet = if fs::fcntl_setfl(&file, quiet).is_ok() { quiet } else { flags };
    fs::fcntl_setfl(&file, quiet | fs::OFlags::DIRECT).is_ok()
}

/// Undoes `set_direct`.
pub(crate) fn unset_direct(file: impl AsFd) {
    if let Ok(flags) = fs::fcntl_getfl(&file) {
        // What cannot be undone shows as an error of the next read.
        let _ = fs::fcntl_setfl(&file, flags - fs::OFlags::DIRECT);
    }
}

/// No device and no file system asks for more alignment than a page.
pub(crate) const DIRECT: usize = 4096;

/// Waits until everything written to the file system of a directory is on its device. Only where `mount::FsKind` knows that it
/// means that.
pub(crate) fn sync_all(dir: impl AsFd) -> io::Result<()> {
    again(|| fs::syncfs(&dir))?;
    match FsKind::of(&dir) {
        Ok(kind) if kind.flushes_by_files() => sync(&dir),
        _ => Ok(()),
    }
}

/// Adds to `bytes` what is at `offset`, until `most` were read or the file ends; tells whether it were less.
///
/// # Errors
/// Only where nothing could be read: what was read before an error is given, and who reads on meets the error again.
#[allow(unsafe_code)]
pub(crate) fn fill_at(from: impl AsFd, bytes: &mut Vec<u8>, most: usize, offset: u64) -> io::Result<bool> {
    let start = bytes.len();
    bytes.try_reserve(most).map_err(|_| io::ErrorKind::OutOfMemory)?;
    while bytes.len() - start < most {
        let done = bytes.len() - start;
        let read = again(|| {
            let space = &mut bytes.spare_capacity_mut()[..most - done];
            rustix::io::pread(&from, space, offset + done as u64).map(|(read, _)| read.len())
        });
        match read {
            Ok(0) => return Ok(true),
            // SAFETY: the call has filled so many bytes of the room behind those that were there, which is within the
            // capacity.
            Ok(length) => unsafe { bytes.set_len(bytes.len() + length) },
            Err(error) if done == 0 => return Err(error),
            Err(_) => return Ok(true),
        }
    }
    Ok(false)
}

/// Reads once at the file's own position, into the room that `bytes` has.
pub(crate) fn read_some(from: impl AsFd, bytes: &mut Vec<u8>) -> io::Result<()> {
    again(|| rustix::io::read(&from, rustix::buffer::spare_capacity(bytes))).map(|_| ())
}

/// Reads a whole file of at most so many bytes; a longer one is EFBIG.
pub(crate) fn read_all(from: impl AsFd, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match read_at(&from, &mut buffer, bytes.len() as u64)? {
            0 => return Ok(bytes),
            length if bytes.len() + length > most => return Err(io::Error::from_raw_os_error(libc::EFBIG)),
            length => bytes.extend_from_slice(&buffer[..length]),
        }
    }
}
