//! A whole file in one call.

use super::call::Call;
use super::memory;
use super::subject::{Subject, Wants};
use crate::error::Action;
use crate::sys::open::How;
use crate::sys::{buffers, open};
use std::io;
use std::path::Path;

/// The contents of a file.
///
/// Up to 256 KiB that are in the page cache of a local file system come without a change of threads, unless the read has to
/// set the file's access time (as the first one after a write does).
///
/// # Errors
/// `NotFound`, `PermissionDenied`, `IsADirectory`, and whatever the file system answers.
pub fn read(path: impl AsRef<Path>) -> Call<Vec<u8>> {
    read_of(Subject::new(Action::Read, path.as_ref(), Wants::Opened))
}

pub(super) fn read_of(subject: Subject) -> Call<Vec<u8>> {
    Call::in_memory(subject, memory::contents, |subject| Ok(contents(subject)?))
}

/// The contents of a file, as text; otherwise as [`read`].
///
/// # Errors
/// As for [`read`], and `InvalidData` for what is not UTF-8.
pub fn read_to_string(path: impl AsRef<Path>) -> Call<String> {
    let subject = Subject::new(Action::Read, path.as_ref(), Wants::Opened);
    Call::in_memory(subject, memory::text, |subject| Ok(text(contents(subject)?)?))
}

fn contents(subject: &Subject) -> io::Result<Vec<u8>> {
    buffers::read_to_end(subject.at()?.open(&How::READ)?)
}

pub(super) fn text(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.utf8_error()))
}

/// Makes a file of these contents; one that is there is emptied first, and a reader may see it so. Nothing is made durable.
///
/// # Dropping
/// A write that has begun goes on to its end.
///
/// # Errors
/// Of opening and writing: after `StorageFull` a part of the contents is there.
pub fn write(path: impl AsRef<Path>, contents: impl Into<Vec<u8>>) -> Call<()> {
    put(path.as_ref(), contents.into(), How { write: true, create: true, truncate: true, ..How::NOTHING })
}

/// Adds to the end of a file, which is made if it is not there. What others append at the same time is not overwritten.
///
/// # Dropping
/// A write that has begun goes on to its end.
///
/// # Errors
/// Of opening and writing: after `StorageFull` a part of the contents may be there.
pub fn append(path: impl AsRef<Path>, contents: impl Into<Vec<u8>>) -> Call<()> {
    put(path.as_ref(), contents.into(), How { append: true, create: true, ..How::NOTHING })
}

fn put(path: &Path, contents: Vec<u8>, how: How) -> Call<()> {
    Call::new(Subject::new(Action::Write, path, Wants::Opened), move |subject| {
        let file = subject.at()?.open(&how)?;
        buffers::write_all(&file, &contents)?;
        // NFS and FUSE tell only now what became of it.
        Ok(open::close(file)?)
    })
}
