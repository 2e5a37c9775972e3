//! An open directory: calls on what is below it, wherever it is moved to, and on nothing else.

use super::call::Call;
use super::file::File;
use super::memory;
use super::metadata::{self, Metadata};
use super::names::{self, Renaming};
use super::options::OpenOptions;
use super::subject::{Subject, Wants};
use super::whole;
use crate::error::Action;
use crate::pool::WeakPool;
use crate::sys::open::{self, Follow};
use crate::sys::stat::Full;
use crate::sys::{data, local};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An open directory. Clones share it.
///
/// Its calls take a name, or a relative path that cannot leave it: `..` out of it, an absolute path, or a symbolic link that
/// leads out is refused with `CrossesDevices` (EXDEV; ELOOP or ENOTDIR where the kernel has no openat2). The directory is held
/// by its descriptor, so that whoever renames it, or puts a link in its place, leads no call elsewhere.
///
/// ```
/// # let base = std::env::temp_dir().join(format!("fileops-dir-doc-{}", std::process::id()));
/// # std::fs::create_dir_all(&base)?;
/// use fileops::fs::Dir;
///
/// # fileops::block_on(async {
/// let dir = Dir::open(&base).await?;
/// dir.create_dir("album").await?;
/// assert!(dir.metadata("album").await?.is_dir());
/// assert!(dir.metadata("../elsewhere").await.is_err());
/// # Ok::<_, fileops::Error>(())
/// # })?;
/// # std::fs::remove_dir_all(&base)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Dir {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// O_PATH: nothing waits for the file system to open or close it.
    handle: OwnedFd,
    /// As it was given, for errors.
    path: PathBuf,
    /// The number of its mount in mountinfo, if its file system tells.
    mount: Option<u64>,
    pool: Option<WeakPool>,
}

impl Dir {
    /// Opens a directory; links are followed.
    ///
    /// # Errors
    /// `NotADirectory`, `NotFound`, and whatever the file system answers. That its entries may not be listed is no error yet.
    pub fn open(path: impl AsRef<Path>) -> Call<Dir> {
        Dir::open_of(Subject::new(Action::Open, path.as_ref(), Wants::Target))
    }

    fn open_of(subject: Subject) -> Call<Dir> {
        Call::in_memory(subject, memory::dir, |subject| Ok(Dir::new(subject.at()?.dir()?, subject)))
    }

    pub(super) fn new(handle: OwnedFd, subject: &Subject) -> Dir {
        let mount = local::number_of(&handle);
        Dir { inner: Arc::new(Inner { handle, path: subject.path(), mount, pool: subject.pool.clone() }) }
    }

    fn subject(&self, action: Action, path: &Path, wants: Wants) -> Subject {
        Subject::below(action, self, path, wants)
    }

    /// Opens a directory below it.
    ///
    /// # Errors
    /// As for [`Dir::open`].
    pub fn open_dir(&self, path: impl AsRef<Path>) -> Call<Dir> {
        Dir::open_of(self.subject(Action::Open, path.as_ref(), Wants::Target))
    }

    /// Opens a file below it for reading.
    ///
    /// # Errors
    /// As for [`File::open`].
    pub fn open_file(&self, path: impl AsRef<Path>) -> Call<File> {
        self.open_with(path, OpenOptions::new().read(true))
    }

    /// Opens, or makes, a file below it.
    ///
    /// # Errors
    /// As for [`OpenOptions::open`].
    pub fn open_with(&self, path: impl AsRef<Path>, options: &OpenOptions) -> Call<File> {
        options.open_of(|action| self.subject(action, path.as_ref(), Wants::Opened))
    }

    /// The contents of a file below it.
    ///
    /// # Errors
    /// As for [`read`](super::read).
    pub fn read(&self, path: impl AsRef<Path>) -> Call<Vec<u8>> {
        whole::read_of(self.subject(Action::Read, path.as_ref(), Wants::Opened))
    }

    /// What is at a path below it; links are followed. An empty path is not the directory: see
    /// [`own_metadata`](Dir::own_metadata).
    ///
    /// # Errors
    /// As for [`metadata`](super::metadata()).
    pub fn metadata(&self, path: impl AsRef<Path>) -> Call<Metadata> {
        metadata::look(self.subject(Action::Stat, path.as_ref(), Wants::Target), Follow::Yes)
    }

    /// What is at a path below it; of a symbolic link itself.
    ///
    /// # Errors
    /// As for [`metadata`](super::metadata()).
    pub fn symlink_metadata(&self, path: impl AsRef<Path>) -> Call<Metadata> {
        metadata::look(self.subject(Action::Stat, path.as_ref(), Wants::Entry), Follow::No)
    }

    /// What the directory itself is.
    ///
    /// # Errors
    /// Whatever the file system answers.
    pub fn own_metadata(&self) -> Call<Metadata> {
        let dir = self.clone();
        let subject = self.subject(Action::Stat, Path::new(""), Wants::Target);
        Call::new(subject, move |_| Ok(Metadata(Full::of(&dir.inner.handle)?)))
    }

    /// Makes a directory below it, of mode 0777 less the umask.
    ///
    /// # Errors
    /// As for [`create_dir`](super::create_dir).
    pub fn create_dir(&self, path: impl AsRef<Path>) -> Call<()> {
        names::make_dir(self.subject(Action::CreateDir, path.as_ref(), Wants::Parent))
    }

    /// Removes a file's name below it.
    ///
    /// # Errors
    /// As for [`remove_file`](super::remove_file).
    pub fn remove_file(&self, path: impl AsRef<Path>) -> Call<()> {
        names::unlink(self.subject(Action::Remove, path.as_ref(), Wants::Parent))
    }

    /// Removes an empty directory below it.
    ///
    /// # Errors
    /// As for [`remove_dir`](super::remove_dir).
    pub fn remove_dir(&self, path: impl AsRef<Path>) -> Call<()> {
        names::rmdir(self.subject(Action::RemoveDir, path.as_ref(), Wants::Parent))
    }

    /// Renames an entry below it to a path below `to`, which may be the same directory.
    ///
    /// # Errors
    /// As for [`rename_with`](super::rename_with).
    pub fn rename(&self, from: impl AsRef<Path>, to: &Dir, new: impl AsRef<Path>, how: Renaming) -> Call<()> {
        names::rename_of(self.subject(Action::Rename, from.as_ref(), Wants::Parent).and_below(to, new.as_ref()), how)
    }

    /// Gives a file below it a second name below `to`, which may be the same directory.
    ///
    /// # Errors
    /// As for [`hard_link`](super::hard_link).
    pub fn hard_link(&self, original: impl AsRef<Path>, to: &Dir, link: impl AsRef<Path>) -> Call<()> {
        let subject = self.subject(Action::Link, original.as_ref(), Wants::Parent);
        names::link_of(subject.and_below(to, link.as_ref()))
    }

    /// Makes a symbolic link below it that holds `to`, whatever that is.
    ///
    /// # Errors
    /// As for [`symlink`](super::symlink).
    pub fn symlink(&self, to: impl AsRef<Path>, link: impl AsRef<Path>) -> Call<()> {
        names::symlink_of(self.subject(Action::Symlink, link.as_ref(), Wants::Parent), to.as_ref())
    }

    /// What a symbolic link below it holds.
    ///
    /// # Errors
    /// As for [`read_link`](super::read_link).
    pub fn read_link(&self, path: impl AsRef<Path>) -> Call<PathBuf> {
        names::read_link_of(self.subject(Action::ReadLink, path.as_ref(), Wants::Parent))
    }

    /// Waits until its entries' names are on the device.
    ///
    /// # Errors
    /// `PermissionDenied` where it may not be read, and whatever the file system answers.
    pub fn sync_all(&self) -> Call<()> {
        let dir = self.clone();
        let subject = self.subject(Action::Sync, Path::new(""), Wants::Target);
        Call::new(subject, move |_| Ok(data::sync(open::dir(&dir.inner.handle, c".", Follow::No)?)?))
    }

    /// As it was given when it was opened.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    pub(super) fn handle(&self) -> &OwnedFd {
        &self.inner.handle
    }

    pub(super) fn mount(&self) -> Option<u64> {
        self.inner.mount
    }

    pub(super) fn pool(&self) -> Option<&WeakPool> {
        self.inner.pool.as_ref()
    }
}

impl std::os::fd::AsFd for Dir {
    /// A handle (O_PATH): openat(2) and its relatives take it; to list the directory, open `.` below it.
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.inner.handle.as_fd()
    }
}
