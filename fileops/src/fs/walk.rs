//! Everything below a directory, as a stream.

use super::ahead::{Ahead, Asking};
use super::metadata::{Kind, Metadata};
use crate::error::{Action, Error, Result};
use crate::pool::{Pool, Priority};
use crate::sys::open::Follow;
use crate::sys::stat::{Full, HERE};
use futures_core::Stream;
use std::ffi::{CString, OsStr};
use std::future::poll_fn;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use std::vec;

/// Entries that come with one change of threads, at most.
const BATCH: usize = 512;

/// How long one batch is collected: on a slow file system whoever waits sees something.
const BATCH_TIME: Duration = Duration::from_millis(10);

/// A path and everything below it, a directory before what is in it.
///
/// A [`Stream`]; [`Walk::next`] serves where no crate for streams is at hand. Nothing happens before the first poll. A worker
/// walks some hundred entries at a time, and the next ones while these are consumed; in memory are those, and of the
/// directories above them the lists that are not done. Dropping it ends the walk after the batch that is under way.
///
/// Directories are opened by path: who may change the tree can lead the walk elsewhere. It reads only; operations that
/// change trees go by descriptors.
///
/// # Errors
/// What cannot be listed or looked at is an error in its place, with its path, and the walk goes on. With
/// [links followed](Walk::follow_links) a directory that is one of those above it is an error (ELOOP) that names both.
///
/// ```
/// # let base = std::env::temp_dir().join(format!("fileops-fs-doc-walk-{}", std::process::id()));
/// # std::fs::create_dir_all(base.join("a/b"))?;
/// # std::fs::create_dir_all(base.join(".git/c"))?;
/// # fileops::block_on(async {
/// let mut walk = fileops::fs::walk(&base).min_depth(1).descend_into(|entry| entry.file_name() != ".git");
/// # let mut seen = Vec::new();
/// while let Some(entry) = walk.next().await {
///     let entry = entry?;
///     println!("{:indent$}{}", "", entry.file_name().display(), indent = 2 * entry.depth());
/// #   seen.push(entry.path().strip_prefix(&base).unwrap().to_owned());
/// }
/// # seen.sort();
/// # assert_eq!(seen, [".git", "a", "a/b"].map(std::path::PathBuf::from));
/// # Ok::<_, fileops::Error>(())
/// # })?;
/// # std::fs::remove_dir_all(&base)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn walk(path: impl AsRef<Path>) -> Walk {
    Walk {
        root: path.as_ref().to_owned(),
        options: Options {
            min_depth: 0,
            max_depth: usize::MAX,
            follow: Follow::No,
            one_device: false,
            has_metadata: false,
        },
        descend: None,
        asking: Asking::default(),
        state: State::Fresh,
        batch: Vec::new().into_iter(),
    }
}

/// The stream that [`walk`] gives.
#[must_use = "nothing happens before a stream is polled"]
pub struct Walk {
    root: PathBuf,
    options: Options,
    descend: Option<Descend>,
    asking: Asking,
    state: State,
    batch: vec::IntoIter<Result<WalkEntry>>,
}

type Descend = Box<dyn FnMut(&WalkEntry) -> bool + Send>;

#[derive(Clone, Copy)]
struct Options {
    min_depth: usize,
    max_depth: usize,
    follow: Follow,
    one_device: bool,
    has_metadata: bool,
}

enum State {
    Fresh,
    Asked(Box<Ahead<Walked>>),
    Over,
}

/// What one hop gave, and where the next one goes on; `None` at the end.
struct Walked {
    entries: Vec<Result<WalkEntry>>,
    rest: Option<Walker>,
}

struct Walker {
    entries: walkdir::IntoIter,
    options: Options,
    descend: Option<Descend>,
}

impl Walk {
    /// Leaves out what is less deep; the path itself has depth 0. Default 0.
    pub fn min_depth(mut self, depth: usize) -> Walk {
        self.options.min_depth = depth;
        self
    }

    /// Does not go deeper. Default: as deep as it is.
    pub fn max_depth(mut self, depth: usize) -> Walk {
        self.options.max_depth = depth;
        self
    }

    /// Walks what symbolic links point to, in their places. Default: they are entries themselves. The path itself is
    /// followed always.
    pub fn follow_links(mut self) -> Walk {
        self.options.follow = Follow::Yes;
        self
    }

    /// Does not enter directories on other devices than the path's. Default: it does.
    pub fn same_device(mut self) -> Walk {
        self.options.one_device = true;
        self
    }

    /// Has the attributes of each entry filled in by the worker that finds it: see [`WalkEntry::metadata`]. What is gone by
    /// then is left out.
    pub fn with_metadata(mut self) -> Walk {
        self.options.has_metadata = true;
        self
    }

    /// Asks before each directory whether to go into it. It is told as an entry all the same. The worker asks: `choose` should
    /// not wait for anything.
    pub fn descend_into(mut self, choose: impl FnMut(&WalkEntry) -> bool + Send + 'static) -> Walk {
        self.descend = Some(Box::new(choose));
        self
    }

    /// As [`Call::priority`](super::Call::priority).
    pub fn priority(mut self, priority: Priority) -> Walk {
        self.asking.priority = priority;
        self
    }

    /// As [`Call::on`](super::Call::on).
    pub fn on(mut self, pool: &Pool) -> Walk {
        self.asking.pool = Some(pool.clone());
        self
    }

    /// The next entry; `None` after the last.
    pub async fn next(&mut self) -> Option<Result<WalkEntry>> {
        poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }

    fn begin(&mut self) -> Walker {
        let Options { min_depth, max_depth, follow, one_device, .. } = self.options;
        let walk = walkdir::WalkDir::new(&self.root).min_depth(min_depth.min(max_depth)).max_depth(max_depth);
        let walk = walk.follow_links(follow == Follow::Yes).same_file_system(one_device);
        Walker { entries: walk.into_iter(), options: self.options, descend: self.descend.take() }
    }

    fn ask(&self, mut walker: Walker) -> Box<Ahead<Walked>> {
        Box::new(self.asking.begin(Action::List, &self.root, move || {
            let begun = Instant::now();
            let mut entries = Vec::new();
            while entries.len() < BATCH && begun.elapsed() < BATCH_TIME {
                match walker.step() {
                    Some(entry) => entries.extend(entry),
                    None => return Ok(Walked { entries, rest: None }),
                }
            }
            Ok(Walked { entries, rest: Some(walker) })
        }))
    }
}

impl Walker {
    /// One step; nothing in it where the entry is left out.
    fn step(&mut self) -> Option<Option<Result<WalkEntry>>> {
        let found = match self.entries.next()? {
            Ok(found) => found,
            Err(error) => return Some(Some(Err(failure(error)))),
        };
        let (depth, kind, is_link) = (found.depth(), kind(found.file_type()), found.path_is_symlink());
        let mut entry = WalkEntry { path: found.into_path(), depth, kind, is_link, metadata: None };
        if kind == Kind::Directory && self.descend.as_mut().is_some_and(|descend| !descend(&entry)) {
            self.entries.skip_current_dir();
        }
        if self.options.has_metadata {
            // The path itself is followed, as the walk did.
            let follow = if depth == 0 { Follow::Yes } else { self.options.follow };
            match look(&entry.path, follow) {
                Ok(full) => entry.metadata = Some(Metadata(full)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Some(None),
                Err(error) => return Some(Some(Err(Error::new(Action::Stat, entry.path, error)))),
            }
        }
        Some(Some(Ok(entry)))
    }
}

fn look(path: &Path, follow: Follow) -> io::Result<Full> {
    Full::at(HERE, &CString::new(path.as_os_str().as_bytes())?, follow)
}

fn failure(error: walkdir::Error) -> Error {
    let path = error.path().unwrap_or(Path::new("")).to_owned();
    match error.loop_ancestor().map(Path::to_owned) {
        Some(ancestor) => {
            Error::new(Action::List, path, io::Error::from_raw_os_error(libc::ELOOP)).with_target(ancestor)
        }
        None => Error::new(Action::List, path, error.into_io_error().unwrap_or(io::ErrorKind::Other.into())),
    }
}

fn kind(kind: std::fs::FileType) -> Kind {
    use std::os::unix::fs::FileTypeExt;
    match kind {
        _ if kind.is_file() => Kind::File,
        _ if kind.is_dir() => Kind::Directory,
        _ if kind.is_symlink() => Kind::Symlink,
        _ if kind.is_fifo() => Kind::Fifo,
        _ if kind.is_socket() => Kind::Socket,
        _ if kind.is_char_device() => Kind::CharDevice,
        _ if kind.is_block_device() => Kind::BlockDevice,
        _ => Kind::Unknown,
    }
}

impl Stream for Walk {
    type Item = Result<WalkEntry>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(entry) = self.batch.next() {
                return Poll::Ready(Some(entry));
            }
            match &mut self.state {
                State::Over => return Poll::Ready(None),
                State::Fresh => {
                    let walker = self.begin();
                    self.state = State::Asked(self.ask(walker));
                }
                State::Asked(call) => match ready!(call.poll(context)) {
                    Ok(walked) => {
                        self.batch = walked.entries.into_iter();
                        self.state = match walked.rest {
                            Some(rest) => State::Asked(self.ask(rest)),
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

/// One entry of a walk.
#[derive(Clone, Debug)]
pub struct WalkEntry {
    path: PathBuf,
    depth: usize,
    kind: Kind,
    is_link: bool,
    metadata: Option<Metadata>,
}

impl WalkEntry {
    /// Its path, which begins with the one that was walked.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its path.
    pub fn into_path(self) -> PathBuf {
        self.path
    }

    /// Its name; of the path that was walked, if that has none, all of it.
    pub fn file_name(&self) -> &OsStr {
        self.path.file_name().unwrap_or(self.path.as_os_str())
    }

    /// How many directories it is below the path that was walked.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// What it is; of a link that was followed, what it points to.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether it is a symbolic link, followed or not.
    pub fn is_link(&self) -> bool {
        self.is_link
    }

    /// Its attributes, of a link that was followed those of what it points to; `None` if they were
    /// [not asked for](Walk::with_metadata).
    pub fn metadata(&self) -> Option<&Metadata> {
        self.metadata.as_ref()
    }
}
