//! An open file: reads and writes at positions, in buffers that come back.

use super::attributes::Times;
use super::call::{Call, Outcome};
use super::metadata::Metadata;
use super::options::OpenOptions;
use super::stream::Streaming;
use super::subject::Subject;
use crate::error::Action;
use crate::pool::{Place, Pool, Way, WeakPool};
use crate::sys::cached::{self, Cached};
use crate::sys::local::{self, Reads, Verdict};
use crate::sys::open::How;
use crate::sys::stat::{Full, Stat};
use crate::sys::{attributes, buffers, data, name};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

/// An open file. Clones share it; it is closed when the last one and the last call on it are gone.
///
/// Reads and writes name their position, so that many can be under way at once. A buffer is given away and comes back with the
/// answer; with an error it is gone.
///
/// It is a stream, too ([`futures_io::AsyncRead`] and its like), with a position of its own that begins at 0 and that
/// clones do not share: see [the module](super#streams).
///
/// # Dropping
/// Closing can wait (NFS and FUSE write then), so a worker does it, but for files that were only read on a local file
/// system. What closing says is lost: [`sync_all`](File::sync_all) tells whether all is written, and closing the stream
/// ([`poll_close`](futures_io::AsyncWrite::poll_close)) what network file systems say only then.
#[derive(Clone, Debug)]
pub struct File {
    inner: Arc<Inner>,
    stream: Streaming,
}

#[derive(Debug)]
struct Inner {
    /// Taken by whoever closes it.
    file: Option<OwnedFd>,
    /// As it was given, for errors.
    path: Arc<Path>,
    /// The number of its mount in mountinfo, if its file system tells.
    mount: Option<u64>,
    /// What reads do to its times, of a file of a local file system that is open for reading alone.
    reads: Option<Reads>,
    /// Who opened it, and makes its calls while that lives.
    pool: Option<WeakPool>,
}

impl File {
    /// Opens a file for reading. Takes no change of threads where it is known to the kernel on a local file system.
    ///
    /// # Dropping
    /// If a worker opens it meanwhile, it is closed again.
    ///
    /// # Errors
    /// `NotFound`, `PermissionDenied`, and whatever the file system answers.
    pub fn open(path: impl AsRef<Path>) -> Call<File> {
        OpenOptions::new().read(true).open(path)
    }

    /// Makes a file for writing, of mode 0666 less the umask; one that is there is emptied.
    ///
    /// # Dropping
    /// Once begun it is made, and closed again.
    ///
    /// # Errors
    /// As for [`OpenOptions::open`].
    pub fn create(path: impl AsRef<Path>) -> Call<File> {
        OpenOptions::new().write(true).create(true).truncate(true).open(path)
    }

    /// One that memory knew.
    pub(super) fn in_memory(file: OwnedFd, reads: Reads, subject: &Subject) -> File {
        let mount = local::number_of(&file);
        File::new(file, mount, Some(reads), subject)
    }

    /// One that a worker opened.
    pub(super) fn opened(file: OwnedFd, how: &How, subject: &Subject) -> File {
        let mount = local::number_of(&file);
        let reads = match how.only_reads().then(|| local::surely(&file)) {
            Some(Verdict::Local(reads)) if Stat::of(&file).is_ok_and(|stat| stat.is_file()) => Some(reads),
            _ => None,
        };
        File::new(file, mount, reads, subject)
    }

    fn new(file: OwnedFd, mount: Option<u64>, reads: Option<Reads>, subject: &Subject) -> File {
        let path = Arc::from(subject.path());
        let inner = Inner { file: Some(file), path, mount, reads, pool: subject.pool.clone() };
        File { inner: Arc::new(inner), stream: Streaming::default() }
    }

    /// A call on the open file, which a worker makes.
    pub(super) fn call<T: Send + 'static>(
        &self,
        action: Action,
        run: impl FnOnce(&OwnedFd) -> Outcome<T> + Send + 'static,
    ) -> Call<T> {
        let inner = Arc::clone(&self.inner);
        Call::new(Subject::open(action, self), move |_| run(inner.fd()))
    }

    /// The same, of one call of the kernel's.
    fn ask<T: Send + 'static>(
        &self,
        action: Action,
        run: impl FnOnce(&OwnedFd) -> io::Result<T> + Send + 'static,
    ) -> Call<T> {
        self.call(action, |file| Ok(run(file)?))
    }

    /// Where it is as a stream.
    pub(super) fn streaming(&mut self) -> &mut Streaming {
        &mut self.stream
    }

    /// Reads at `offset` into `buffer` as far as the file goes, and gives it back cut to what was read.
    ///
    /// Up to 256 KiB that are in the page cache come without a change of threads, as with [`read`](super::read).
    ///
    /// # Errors
    /// `IsADirectory`, and whatever the file system answers. A FIFO has no positions (ESPIPE).
    pub fn read_at(&self, buffer: impl Into<Vec<u8>>, offset: u64) -> Call<Vec<u8>> {
        let (here, inner) = (Arc::clone(&self.inner), Arc::clone(&self.inner));
        Call::with(
            Subject::open(Action::Read, self),
            buffer.into(),
            move |_, buffer| match here.reads {
                Some(reads) => cached::read_at(here.fd(), reads, buffer, offset).map(|length| {
                    buffer.truncate(length);
                    std::mem::take(buffer)
                }),
                None => Cached::Unknown,
            },
            move |_, mut buffer| {
                let length = buffers::read_full_at(inner.fd(), &mut buffer, offset)?;
                buffer.truncate(length);
                Ok(buffer)
            },
        )
    }

    /// Reads at `offset` into several buffers, one after the other, in one call of the kernel's (preadv(2); at most 1,024),
    /// and gives them back cut to what was read. That can be less than there is.
    ///
    /// # Errors
    /// As for [`read_at`](File::read_at).
    pub fn read_vectored_at(&self, mut buffers: Vec<Vec<u8>>, offset: u64) -> Call<Vec<Vec<u8>>> {
        self.ask(Action::Read, move |file| {
            let mut length = buffers::read_vectored_at(file, &mut buffers, offset)?;
            for buffer in &mut buffers {
                buffer.truncate(length);
                length -= buffer.len();
            }
            Ok(buffers)
        })
    }

    /// Reads everything from `offset` on.
    ///
    /// # Errors
    /// As for [`read_at`](File::read_at); `OutOfMemory` where it does not fit.
    pub fn read_from(&self, offset: u64) -> Call<Vec<u8>> {
        self.ask(Action::Read, move |file| buffers::read_rest_at(file, offset))
    }

    /// Writes all of a buffer at `offset`, and gives it back.
    ///
    /// # Dropping
    /// A write that has begun goes on to its end.
    ///
    /// # Errors
    /// After `StorageFull` or `QuotaExceeded` a part may be written.
    pub fn write_at(&self, buffer: impl Into<Vec<u8>>, offset: u64) -> Call<Vec<u8>> {
        let buffer = buffer.into();
        self.ask(Action::Write, move |file| buffers::write_full_at(file, &buffer, offset).map(|()| buffer))
    }

    /// Writes all of several buffers at `offset`, one after the other, and gives them back.
    ///
    /// # Dropping
    /// A write that has begun goes on to its end.
    ///
    /// # Errors
    /// As for [`write_at`](File::write_at).
    pub fn write_vectored_at(&self, buffers: Vec<Vec<u8>>, offset: u64) -> Call<Vec<Vec<u8>>> {
        self.ask(Action::Write, move |file| buffers::write_vectored_at(file, &buffers, offset).map(|()| buffers))
    }

    /// What it is now.
    ///
    /// # Errors
    /// Whatever the file system answers.
    pub fn metadata(&self) -> Call<Metadata> {
        let (here, inner) = (Arc::clone(&self.inner), Arc::clone(&self.inner));
        Call::in_memory(
            Subject::open(Action::Stat, self),
            move |_| match here.reads {
                Some(_) => Cached::Known(Full::of(here.fd()).map(Metadata)),
                None => Cached::Unknown,
            },
            move |_| Ok(Metadata(Full::of(inner.fd())?)),
        )
    }

    /// Makes it so many bytes long: what is beyond goes, what is new is a hole.
    ///
    /// # Errors
    /// `InvalidInput` for a file that is not open for writing, `FileTooLarge`, and whatever the file system answers.
    pub fn set_len(&self, length: u64) -> Call<()> {
        self.ask(Action::Write, move |file| data::set_length(file, length))
    }

    /// Where data begins, at or after `offset`; `None` where there is none any more. A file system that knows no holes
    /// says `offset`.
    ///
    /// # Errors
    /// Whatever the file system answers.
    pub fn seek_data(&self, offset: u64) -> Call<Option<u64>> {
        self.ask(Action::Read, move |file| buffers::seek_data(file, offset))
    }

    /// Where a hole begins, at or after `offset`: the end of the file is one. `None` beyond it.
    ///
    /// # Errors
    /// Whatever the file system answers.
    pub fn seek_hole(&self, offset: u64) -> Call<Option<u64>> {
        self.ask(Action::Read, move |file| buffers::seek_hole(file, offset))
    }

    /// Waits until contents and attributes are on the device.
    ///
    /// # Errors
    /// What was written is then not to be trusted: a second call may say that all is well.
    pub fn sync_all(&self) -> Call<()> {
        self.ask(Action::Sync, |file| data::sync(file))
    }

    /// Waits until the contents are on the device, and what is needed to read them back.
    ///
    /// # Errors
    /// As for [`sync_all`](File::sync_all).
    pub fn sync_data(&self) -> Call<()> {
        self.ask(Action::Sync, |file| data::sync_data(file))
    }

    /// Sets its permission bits with setuid, setgid and sticky.
    ///
    /// # Errors
    /// As for [`set_permissions`](super::set_permissions).
    pub fn set_permissions(&self, mode: u32) -> Call<()> {
        self.ask(Action::SetMode, move |file| attributes::set_mode(file, mode))
    }

    /// Sets the numbers of its owner and group; `None` for what is to stay.
    ///
    /// # Errors
    /// As for [`chown`](super::chown).
    pub fn set_owner(&self, uid: Option<u32>, gid: Option<u32>) -> Call<()> {
        self.ask(Action::SetOwner, move |file| attributes::set_owner(file, uid, gid))
    }

    /// Sets its times.
    ///
    /// # Errors
    /// As for [`set_times`](super::set_times).
    pub fn set_times(&self, times: Times) -> Call<()> {
        let (accessed, modified) = times.both();
        self.ask(Action::SetTimes, move |file| attributes::set_times(file, accessed, modified))
    }

    /// As it was opened.
    pub(super) fn path(&self) -> &Path {
        &self.inner.path
    }

    pub(super) fn shared_path(&self) -> &Arc<Path> {
        &self.inner.path
    }

    pub(super) fn pool(&self) -> Option<&WeakPool> {
        self.inner.pool.as_ref()
    }

    pub(super) fn mount(&self) -> Option<u64> {
        self.inner.mount
    }
}

impl AsFd for File {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.fd().as_fd()
    }
}

impl Inner {
    fn fd(&self) -> &OwnedFd {
        self.file.as_ref().expect("it is taken only when no handle is left")
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let Some(file) = self.file.take() else { return };
        // The last descriptor of a file without a name: its blocks are freed now, which takes a while.
        if self.reads.is_some() && Stat::of(&file).is_ok_and(|stat| stat.links > 0) {
            return;
        }
        let pool = self.pool.as_ref().and_then(WeakPool::upgrade);
        let pool = pool.as_ref().unwrap_or_else(|| Pool::global());
        let place = self.mount.map_or(Place::Path(&self.path, Way::Direct), |mount| Place::Mount(mount, Way::Direct));
        pool.leave(place, move || drop(file));
    }
}

/// A file that was opened elsewhere. Errors name the path that `/proc` knows it by; a worker makes all of its calls.
impl From<std::fs::File> for File {
    fn from(file: std::fs::File) -> File {
        let (path, mount) = (name::real_path(&file).unwrap_or_default().into(), local::number_of(&file));
        let inner = Inner { file: Some(file.into()), path, mount, reads: None, pool: None };
        File { inner: Arc::new(inner), stream: Streaming::default() }
    }
}
