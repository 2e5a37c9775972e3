//! One call as a future: what is in memory is answered by the thread that polls, all else by a worker.

use crate::error::{Action, Error, Result};
use crate::pool::{Pool, Priority, Task, TaskError};
use crate::sys::cached::Cached;
use crate::sys::local;
use std::ffi::{CStr, OsStr};
use std::future::Future;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

/// One call to a file system, as a future.
///
/// Nothing happens before the first poll. That poll answers what is in the kernel's memory on a local file system, without
/// waiting; everything else is asked by a worker thread in the lane of the file's mount. It needs no runtime: any executor
/// can poll it, and [`block_on`](crate::block_on) where there is none.
///
/// # Dropping
/// A call that has not begun does not begin. One that a worker makes just now cannot be stopped: it ends by itself, and what
/// it gave is dropped (a file it opened is closed).
#[must_use = "nothing happens before a call is polled"]
pub struct Call<T> {
    state: State<T>,
    pool: Option<Pool>,
    priority: Priority,
    /// What learns by being dropped that nobody waits any more.
    held: Option<Box<dyn Held>>,
}

/// Anything that can go along with a call.
trait Held: Send {}

impl<T: Send> Held for T {}

enum State<T> {
    Fresh(Box<dyn Work<T>>),
    /// With a worker; and what to blame if it never comes to that.
    Asked(Task<Result<T>>, Action, Box<Path>),
    Over,
}

impl<T: Send + 'static> Call<T> {
    /// A call that a worker makes; `run` may wait.
    pub(super) fn new(subject: Subject, run: impl FnOnce(&Subject) -> Outcome<T> + Send + 'static) -> Call<T> {
        Call::of(Made { subject, here: None::<fn(&Subject) -> Cached<T>>, run })
    }

    /// A call that `here` may answer without waiting, and `run` otherwise.
    pub(super) fn in_memory(
        subject: Subject,
        here: impl FnOnce(&Subject) -> Cached<T> + Send + 'static,
        run: impl FnOnce(&Subject) -> Outcome<T> + Send + 'static,
    ) -> Call<T> {
        Call::of(Made { subject, here: Some(here), run })
    }

    fn of(work: impl Work<T> + 'static) -> Call<T> {
        Call { state: State::Fresh(Box::new(work)), pool: None, priority: Priority::Normal, held: None }
    }

    /// Has something dropped together with the call, so that it can tell who makes the call that nobody waits any more.
    pub(super) fn holding(mut self, held: impl Send + 'static) -> Call<T> {
        self.held = Some(Box::new(held));
        self
    }

    /// Which calls that wait in the same lane this one overtakes. [`Priority::Normal`] by default.
    pub fn priority(mut self, priority: Priority) -> Call<T> {
        self.priority = priority;
        self
    }

    /// Whose workers make the call, if any have to. [`Pool::global`] by default.
    pub fn on(mut self, pool: &Pool) -> Call<T> {
        self.pool = Some(pool.clone());
        self
    }

    fn ask(&self, work: Box<dyn Work<T>>, mount: Option<u64>) -> State<T> {
        let (action, path) = (work.subject().action, work.subject().path().into());
        let pool = self.pool.as_ref().unwrap_or_else(|| Pool::global());
        let task = pool.run_at(&path, move || {
            mount.into_iter().for_each(local::learn);
            work.run()
        });
        State::Asked(task, action, path)
    }
}

// Nothing in it is pinned: a future of its own is only polled through `Pin::new`.
impl<T> Unpin for Call<T> {}

impl<T: Send + 'static> Future for Call<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T>> {
        if let State::Fresh(_) = self.state {
            let State::Fresh(mut work) = std::mem::replace(&mut self.state, State::Over) else {
                unreachable!("it was looked at just now")
            };
            let mount = match work.here() {
                Cached::Known(answer) => return Poll::Ready(answer.map_err(|error| work.subject().blame(error))),
                Cached::Unknown => None,
                Cached::New(mount) => Some(mount),
            };
            self.state = self.ask(work, mount);
        }
        let State::Asked(task, ..) = &mut self.state else { panic!("a call was polled after it had given its result") };
        let answer = std::task::ready!(Pin::new(task).poll(context));
        let State::Asked(_, action, path) = std::mem::replace(&mut self.state, State::Over) else {
            unreachable!("it was looked at just now")
        };
        Poll::Ready(answer.unwrap_or_else(|error| Err(given_up(action, &path, error))))
    }
}

fn given_up(action: Action, path: &Path, error: TaskError) -> Error {
    Error::new(action, path, io::Error::other(error))
}

/// What a call does, to what.
pub(super) struct Subject {
    pub(super) action: Action,
    /// With a NUL at the end, as calls want it.
    path: Vec<u8>,
}

impl Subject {
    pub(super) fn new(action: Action, path: &Path) -> Subject {
        let mut bytes = Vec::with_capacity(path.as_os_str().len() + 1);
        bytes.extend_from_slice(path.as_os_str().as_bytes());
        bytes.push(0);
        Subject { action, path: bytes }
    }

    pub(super) fn path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.path[..self.path.len() - 1]))
    }

    /// The path for a call.
    ///
    /// # Errors
    /// `InvalidInput` for one with a NUL in it.
    pub(super) fn name(&self) -> io::Result<&CStr> {
        CStr::from_bytes_with_nul(&self.path).map_err(|_| nul())
    }

    pub(super) fn blame(&self, error: impl Into<io::Error>) -> Error {
        Error::new(self.action, self.path(), error)
    }
}

fn nul() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "a path holds a NUL")
}

/// What a worker's part of a call gives.
pub(super) type Outcome<T> = std::result::Result<T, Fault>;

/// Why a call failed: the kernel's answer about its subject, or an error that says more.
pub(super) enum Fault {
    Plain(io::Error),
    Whole(Error),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Fault {
        Fault::Plain(error)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Fault {
        Fault::Whole(error)
    }
}

trait Work<T>: Send {
    fn subject(&self) -> &Subject;

    /// The answer, if it is in memory. Asked once.
    fn here(&mut self) -> Cached<T>;

    fn run(self: Box<Self>) -> Result<T>;
}

struct Made<H, R> {
    subject: Subject,
    here: Option<H>,
    run: R,
}

impl<T, H, R> Work<T> for Made<H, R>
where
    H: FnOnce(&Subject) -> Cached<T> + Send,
    R: FnOnce(&Subject) -> Outcome<T> + Send,
{
    fn subject(&self) -> &Subject {
        &self.subject
    }

    fn here(&mut self) -> Cached<T> {
        self.here.take().map_or(Cached::Unknown, |here| here(&self.subject))
    }

    fn run(self: Box<Self>) -> Result<T> {
        let Made { subject, run, .. } = *self;
        run(&subject).map_err(|fault| match fault {
            Fault::Plain(error) => subject.blame(error),
            Fault::Whole(error) => error,
        })
    }
}
