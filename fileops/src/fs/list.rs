//! What is in a directory, as a stream of batches.

use super::ahead::{Ahead, Asking};
use super::call::Outcome;
use super::metadata::{Kind, Metadata};
use crate::error::{Action, Error, Result};
use crate::pool::{Pool, Priority};
use crate::sys::list::{self, Batch, LIST_BYTES};
use crate::sys::open::{self, Follow};
use crate::sys::stat::Full;
use futures_core::Stream;
use rustix::fs::FileType;
use std::ffi::{CStr, OsStr, OsString};
use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::vec;

/// The entries of a directory, without `.` and `..`, in the order of the file system.
///
/// A [`Stream`]; [`ReadDir::next`] serves where no crate for streams is at hand. Nothing happens before the first poll. A
/// worker lists some 1,000 entries at a time, and the next ones while these are consumed; no more are in memory. Entries
/// that come or go meanwhile may be told or not.
///
/// Dropping it ends the listing after the batch that is under way.
///
/// # Errors
/// `NotFound`, `NotADirectory`, `PermissionDenied`, and whatever the file system answers. An error ends the stream; what was
/// listed before comes before it.
///
/// ```
/// # let base = std::env::temp_dir().join(format!("fileops-fs-doc-list-{}", std::process::id()));
/// # std::fs::create_dir_all(&base)?;
/// # std::fs::write(base.join("a"), "hello")?;
/// # fileops::block_on(async {
/// let mut entries = fileops::fs::read_dir(&base).with_metadata();
/// while let Some(entry) = entries.next().await {
///     let entry = entry?;
///     println!("{}: {} bytes", entry.path().display(), entry.metadata().map_or(0, |metadata| metadata.len()));
/// #   assert_eq!((entry.file_name(), entry.metadata().unwrap().len()), ("a".as_ref(), 5));
/// }
/// # Ok::<_, fileops::Error>(())
/// # })?;
/// # std::fs::remove_dir_all(&base)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read_dir(path: impl AsRef<Path>) -> ReadDir {
    let path: Arc<Path> = path.as_ref().into();
    ReadDir { path, has_metadata: false, asking: Asking::default(), state: State::Fresh, batch: Vec::new().into_iter() }
}

/// The stream that [`read_dir`] gives.
#[must_use = "nothing happens before a stream is polled"]
pub struct ReadDir {
    path: Arc<Path>,
    has_metadata: bool,
    asking: Asking,
    state: State,
    batch: vec::IntoIter<Result<DirEntry>>,
}

enum State {
    Fresh,
    Asked(Ahead<Listed>),
    Over,
}

/// What one hop gave, and where the next one goes on; `None` at the end.
struct Listed {
    entries: Vec<Result<DirEntry>>,
    rest: Option<Open>,
}

struct Open {
    dir: OwnedFd,
    space: Vec<MaybeUninit<u8>>,
    names: Batch,
}

impl ReadDir {
    /// Has the attributes of each entry filled in by the worker that lists it: see [`DirEntry::metadata`]. What is gone by
    /// then is left out; what cannot be looked at is an error in its place, and does not end the stream.
    pub fn with_metadata(mut self) -> ReadDir {
        self.has_metadata = true;
        self
    }

    /// As [`Call::priority`](super::Call::priority).
    pub fn priority(mut self, priority: Priority) -> ReadDir {
        self.asking.priority = priority;
        self
    }

    /// As [`Call::on`](super::Call::on).
    pub fn on(mut self, pool: &Pool) -> ReadDir {
        self.asking.pool = Some(pool.clone());
        self
    }

    /// The next entry; `None` after the last.
    pub async fn next(&mut self) -> Option<Result<DirEntry>> {
        poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }

    /// All that is left. The first error ends it.
    ///
    /// # Errors
    /// As for [`read_dir`].
    pub async fn all(mut self) -> Result<Vec<DirEntry>> {
        let mut all = Vec::new();
        while let Some(entry) = self.next().await {
            all.push(entry?);
        }
        Ok(all)
    }

    fn ask(&self, open: Option<Open>) -> Ahead<Listed> {
        let (path, has_metadata) = (Arc::clone(&self.path), self.has_metadata);
        self.asking.begin(Action::List, &self.path, move || {
            let open = match open {
                Some(open) => open,
                None => Open::new(&path)?,
            };
            open.list(&path, has_metadata)
        })
    }
}

impl Open {
    fn new(path: &Path) -> io::Result<Open> {
        let dir = open::root(path)?;
        Ok(Open { dir, space: vec![MaybeUninit::uninit(); LIST_BYTES], names: Batch::default() })
    }

    fn list(mut self, path: &Arc<Path>, has_metadata: bool) -> Outcome<Listed> {
        list::next(&self.dir, &mut self.space, &mut self.names)?;
        let entry = |at| {
            let (name, kind) = self.names.get(at);
            let entry = DirEntry::new(path, name, kind);
            if !has_metadata {
                return Some(Ok(entry));
            }
            match Full::at(&self.dir, name, Follow::No) {
                Ok(full) => Some(Ok(entry.with(Metadata(full)))),
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => Some(Err(Error::new(Action::Stat, entry.path(), error))),
            }
        };
        let entries: Vec<_> = (0..self.names.len()).filter_map(entry).collect();
        let is_over = self.names.len() == 0;
        Ok(Listed { entries, rest: (!is_over).then_some(self) })
    }
}

impl Stream for ReadDir {
    type Item = Result<DirEntry>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(entry) = self.batch.next() {
                return Poll::Ready(Some(entry));
            }
            match &mut self.state {
                State::Over => return Poll::Ready(None),
                State::Fresh => self.state = State::Asked(self.ask(None)),
                State::Asked(call) => match ready!(call.poll(context)) {
                    Ok(listed) => {
                        self.batch = listed.entries.into_iter();
                        self.state = match listed.rest {
                            Some(rest) => State::Asked(self.ask(Some(rest))),
                            None => State::Over,
                        };
                    }
                    Err(error) => {
                        self.state = State::Over;
                        return Poll::Ready(Some(Err(error)));
                    }
                },
            }
        }
    }
}

/// One entry of a directory.
#[derive(Clone, Debug)]
pub struct DirEntry {
    dir: Arc<Path>,
    name: OsString,
    kind: Kind,
    metadata: Option<Metadata>,
}

impl DirEntry {
    fn new(dir: &Arc<Path>, name: &CStr, kind: FileType) -> DirEntry {
        let name = OsStr::from_bytes(name.to_bytes()).to_owned();
        DirEntry { dir: Arc::clone(dir), name, kind: kind.into(), metadata: None }
    }

    fn with(mut self, metadata: Metadata) -> DirEntry {
        self.kind = metadata.kind();
        self.metadata = Some(metadata);
        self
    }

    /// Its name, which need not be UTF-8.
    pub fn file_name(&self) -> &OsStr {
        &self.name
    }

    /// The directory as it was named, and the name.
    pub fn path(&self) -> PathBuf {
        self.dir.join(&self.name)
    }

    /// What it is, as far as the directory tells: [`Kind::Unknown`] on file systems that keep it elsewhere, unless
    /// [metadata were asked for](ReadDir::with_metadata).
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its attributes, of a symbolic link its own; `None` if they were [not asked for](ReadDir::with_metadata).
    pub fn metadata(&self) -> Option<&Metadata> {
        self.metadata.as_ref()
    }
}
