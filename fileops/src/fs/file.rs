//! An open file: reads and writes at positions, in buffers that come back.

use super::call::{Call, Outcome, Subject};
use super::stream::Streaming;
use crate::error::Action;
use crate::sys::cached::{self, Cached};
use crate::sys::stat::HERE;
use crate::sys::{data, name, open};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

/// An open file. Clones share it; the last one that goes closes it.
///
/// It is a stream, too ([`futures_io::AsyncRead`] and its like), with a position of its own that begins at 0 and that
/// clones do not share: see [the module](super#streams).
#[derive(Clone, Debug)]
pub struct File {
    inner: Arc<Inner>,
    stream: Streaming,
}

#[derive(Debug)]
struct Inner {
    file: OwnedFd,
    /// As it was opened, for errors.
    path: Box<Path>,
}

impl File {
    /// Opens a file for reading.
    ///
    /// # Errors
    /// `NotFound`, `PermissionDenied`, and whatever the file system answers.
    pub fn open(path: impl AsRef<Path>) -> Call<File> {
        Call::in_memory(
            Subject::new(Action::Open, path.as_ref()),
            |subject| match subject.name() {
                Ok(name) => cached::file(name).map(|file| File::new(file, subject)),
                Err(error) => Cached::Known(Err(error)),
            },
            |subject| Ok(File::new(open::plain(HERE, subject.name()?)?, subject)),
        )
    }

    fn new(file: OwnedFd, subject: &Subject) -> File {
        File { inner: Arc::new(Inner { file, path: subject.path().into() }), stream: Streaming::default() }
    }

    /// As it was opened.
    pub(super) fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Where it is as a stream.
    pub(super) fn streaming(&mut self) -> &mut Streaming {
        &mut self.stream
    }

    /// A call on the open file, which a worker makes.
    pub(super) fn call<T: Send + 'static>(
        &self,
        action: Action,
        run: impl FnOnce(&OwnedFd) -> Outcome<T> + Send + 'static,
    ) -> Call<T> {
        let inner = Arc::clone(&self.inner);
        Call::new(Subject::new(action, &self.inner.path), move |_| run(&inner.file))
    }

    /// Reads at `offset` into `buffer`, up to its length, and gives it back cut to what was read; empty is the end.
    pub fn read_at(&self, mut buffer: Vec<u8>, offset: u64) -> Call<Vec<u8>> {
        let file = self.clone();
        Call::new(Subject::new(Action::Read, &self.inner.path), move |_| {
            let length = data::read_at(&file.inner.file, &mut buffer, offset)?;
            buffer.truncate(length);
            Ok(buffer)
        })
    }
}

impl AsFd for File {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.file.as_fd()
    }
}

/// A file that was opened elsewhere. Errors name the path that `/proc` knows it by.
impl From<std::fs::File> for File {
    fn from(file: std::fs::File) -> File {
        let path = name::real_path(&file).unwrap_or_default().into();
        File { inner: Arc::new(Inner { file: file.into(), path }), stream: Streaming::default() }
    }
}
