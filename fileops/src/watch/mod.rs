//! Changes of a directory, a tree or a file, as a stream.
//!
//! ```
//! # let dir = std::env::temp_dir().join(format!("fileops-watch-doc-{}", std::process::id()));
//! # std::fs::create_dir_all(&dir)?;
//! # fileops::block_on(async {
//! use fileops::watch::{Event, watch};
//!
//! let mut events = watch(&dir).await?;
//! // From here on everything is told: what is listed now is complete with what the stream says.
//! std::fs::write(dir.join("a"), "hello")?;
//! assert_eq!(events.next().await, Some(Event::Created { path: dir.join("a"), is_dir: false }));
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! # })?;
//! # std::fs::remove_dir_all(&dir)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`watch`] makes a builder, whose options are chained; awaited, it gives [`Events`], which is a [`Stream`] of [`Event`]s
//! for any executor, and has a [`next`](Events::next) of its own. An application lists the directory *after* that and then
//! applies the events: nothing falls between.
//!
//! **What is told.** Names that come, go and change, whatever made them do so. Two halves of a rename are one event; a half
//! that leaves or enters what is watched is a removal or a creation. The end of a window (50 ms,
//! [`window`](Watch::window)) is waited for before an event is told, and what happens to one name within it becomes one
//! event: many writes are one [`Modified`](Event::Modified), writes to a new file belong to its [`Created`](Event::Created), a
//! new file that is renamed was created under the new name (as editors save), and what was created and removed again is not
//! told at all. What was removed and created again is told as both. Otherwise events come in the order in which things
//! happened. An event may come for what has already changed again: look before relying on it.
//!
//! **When something is lost** a [`Rescan`](Event::Rescan) says what to list again: the reader was too slow and more events
//! waited than [`capacity`](Watch::capacity), or the kernel's queue ran over. Memory is bounded by that, by the number of
//! watched directories (some 200 bytes each), and while polling by that of entries.
//!
//! **Trees.** With [`tree`](Watch::tree) everything below is watched too. New directories are taken in with what was made in
//! them meanwhile. Symbolic links are never followed; the watched path itself may be one, or lead through some. A tree
//! does not go on into network and FUSE file systems that are mounted in it, nor into what is mounted when it is touched
//! (autofs): an [`Unwatched`](Event::Unwatched) names each; watch it by its own path. Nor can directories be watched that
//! may not be read.
//!
//! **The watched path may go and come back**, with any of the directories above it: that is told as
//! [`Removed`](Event::Removed) and [`Created`](Event::Created), with all that is in it by then. What is mounted over it or
//! unmounted from it is a `Rescan`, and the watch goes on with what is there.
//!
//! **Where the kernel is silent**, on network and FUSE file systems, where others change files without its knowledge, the path
//! is looked at every 2 s ([`interval`](Watch::interval)), which a [`Polled`](Event::Polled) says first. A rename is then a
//! removal and a creation. The same is done when the user's limit of watches is reached. A file system that hangs holds up
//! nothing but its own watch.
//!
//! **Threads.** Each watch has one, and five descriptors at most beside those of directories it is just taking in. Dropping
//! [`Events`] ends them, at once unless the thread is in a call to a file system that does not answer: then it ends when that
//! returns. Nothing of it is waited for.
//!
//! Source: inotify(7). Changes through `mmap` are seen when the file is closed.

mod borders;
mod descend;
mod event;
mod local;
mod outbox;
mod pending;
mod polled;
mod tree;

pub use event::{Event, Why};
pub use futures_core::Stream;

use crate::error::{Action, Error, Result};
use crate::sys::thread;
use outbox::Outbox;
use std::future::{Future, IntoFuture};
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// Long enough for a program that writes a file or saves it under another name, too short to be seen.
const WINDOW: Duration = Duration::from_millis(50);

/// What people wait for a listing to change by itself.
const INTERVAL: Duration = Duration::from_secs(2);

/// Looking again sooner than this would be all that is done.
const LEAST_INTERVAL: Duration = Duration::from_millis(10);

/// As many as the kernel keeps by default.
const CAPACITY: usize = 16_384;

/// How changes become known.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Method {
    /// The kernel's notices, and polling where it is silent or its limits are reached.
    #[default]
    Auto,
    /// The kernel's notices wherever it gives any: on network and FUSE file systems only of what this machine does.
    Notices,
    /// Looking again and again, everywhere.
    Poll,
}

/// Watches a directory, for what is in it by name, or a file. See the [module](self) for what is told.
///
/// A relative path is made absolute now. Nothing is done before the watch is awaited.
pub fn watch(path: impl Into<PathBuf>) -> Watch {
    Watch {
        path: path.into(),
        is_tree: false,
        method: Method::Auto,
        interval: INTERVAL,
        window: WINDOW,
        capacity: CAPACITY,
    }
}

/// A watch that has not begun; made by [`watch`].
#[derive(Clone, Debug)]
#[must_use = "a watch does nothing until it is awaited"]
pub struct Watch {
    path: PathBuf,
    is_tree: bool,
    method: Method,
    interval: Duration,
    window: Duration,
    capacity: usize,
}

impl Watch {
    /// Watches everything below a directory too.
    pub fn tree(mut self) -> Watch {
        self.is_tree = true;
        self
    }

    /// How changes become known; [`Method::Auto`] by default.
    pub fn method(mut self, method: Method) -> Watch {
        self.method = method;
        self
    }

    /// How long to wait between two looks while polling: 2 s by default, 10 ms at least.
    pub fn interval(mut self, interval: Duration) -> Watch {
        self.interval = interval.max(LEAST_INTERVAL);
        self
    }

    /// How long an event waits for others that make one with it: 50 ms by default. With none each is told by itself, but for
    /// the halves of a rename.
    pub fn window(mut self, window: Duration) -> Watch {
        self.window = window;
        self
    }

    /// How many events wait for a reader, at least 2; 16,384 by default. One more, and all are given up for a
    /// [`Rescan`](Event::Rescan).
    pub fn capacity(mut self, events: usize) -> Watch {
        self.capacity = events;
        self
    }
}

impl IntoFuture for Watch {
    type Output = Result<Events>;
    type IntoFuture = Starting;

    fn into_future(self) -> Starting {
        Starting(self.begin())
    }
}

impl Watch {
    fn begin(self) -> std::result::Result<Option<Events>, Option<Error>> {
        let path =
            std::path::absolute(&self.path).map_err(|error| Some(Error::new(Action::Watch, &self.path, error)))?;
        let failed = |error: io::Error| Some(Error::new(Action::Watch, &path, error));
        let out = Arc::new(Outbox::new(path.clone(), self.capacity).map_err(failed)?);
        let setup = Setup {
            path: path.clone(),
            is_tree: self.is_tree,
            method: self.method,
            interval: self.interval,
            window: self.window,
            out: Arc::clone(&out),
        };
        let thread = std::thread::Builder::new().name("fileops-watch".to_owned());
        thread.spawn(move || setup.run()).map_err(failed)?;
        Ok(Some(Events { out, path }))
    }
}

/// The beginning of a watch: ready when everything is told from then on. Dropping it ends the watch.
///
/// # Errors
/// ENOENT where nothing has the path, EACCES where it may not be read, what the file system says otherwise; EAGAIN or EMFILE
/// where there is no thread or descriptor left. A file system that does not answer is waited for.
#[must_use = "a watch begins when it is awaited"]
pub struct Starting(std::result::Result<Option<Events>, Option<Error>>);

impl Future for Starting {
    type Output = Result<Events>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<Events>> {
        match &mut self.0 {
            Err(error) => Poll::Ready(Err(error.take().expect("a future is not polled after its answer"))),
            Ok(events) => {
                let begun = events.as_ref().expect("a future is not polled after its answer").out.poll_begun(context);
                begun.map(|begun| {
                    let events = events.take().expect("it was there just now");
                    match begun {
                        Some(answer) => answer.map(|()| events),
                        // The thread panicked.
                        None => Err(Error::new(Action::Watch, &events.path, io::Error::from_raw_os_error(libc::EIO))),
                    }
                })
            }
        }
    }
}

/// The events of a watch, as a [`Stream`] that does not end by itself. Dropping it ends the watch.
#[must_use = "dropping it ends the watch"]
pub struct Events {
    out: Arc<Outbox>,
    path: PathBuf,
}

impl Events {
    /// The watched path, absolute.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The next event; `None` only if the watch has failed for good. Dropping the future loses nothing.
    #[allow(clippy::should_implement_trait)] // as `StreamExt::next`, which it stands for
    pub fn next(&mut self) -> NextEvent<'_> {
        NextEvent(self)
    }
}

impl Stream for Events {
    type Item = Event;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Event>> {
        self.out.poll_next(context)
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.out.close();
    }
}

/// The next event of a watch: see [`Events::next`].
#[must_use = "a future does nothing until it is awaited"]
pub struct NextEvent<'a>(&'a mut Events);

impl Future for NextEvent<'_> {
    type Output = Option<Event>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Event>> {
        self.0.out.poll_next(context)
    }
}

/// What the thread of a watch knows.
struct Setup {
    path: PathBuf,
    is_tree: bool,
    method: Method,
    interval: Duration,
    window: Duration,
    out: Arc<Outbox>,
}

/// How it goes on.
enum Next {
    End,
    Local,
    Polled(Why),
}

impl Setup {
    fn run(self) {
        /// Tells the reader, also after a panic.
        struct End(Arc<Outbox>);
        impl Drop for End {
            fn drop(&mut self) {
                self.0.end();
            }
        }
        let _end = End(Arc::clone(&self.out));
        thread::block_signals();
        let mut next = if self.method == Method::Poll { Next::Polled(Why::Asked) } else { Next::Local };
        loop {
            next = match next {
                Next::End => return,
                Next::Local => local::run(&self),
                Next::Polled(why) => polled::run(&self, why),
            };
        }
    }

    fn begin(&self, answer: io::Result<()>) {
        self.out.begin(answer.map_err(|error| Error::new(Action::Watch, &self.path, error)));
    }

    /// Whether polling is wanted where the kernel is silent.
    fn may_poll(&self) -> bool {
        self.method == Method::Auto
    }
}
