//! One call as a future: what is in memory is answered by the thread that polls, all else by a worker.

use super::subject::Subject;
use crate::error::{Action, Error, Result};
use crate::pool::{Pool, Priority, Task, TaskError, WeakPool};
use crate::sys::cached::Cached;
use crate::sys::local;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};

/// One call to a file system, as a future.
///
/// Nothing happens before the first poll. That poll answers what is in the kernel's memory on a local file system, without
/// waiting; everything else is asked by a worker thread in the lane of the file's mount (see the [module](super)). It needs
/// no runtime: any executor can poll it, and [`block_on`](crate::block_on) where there is none. It owns what it needs: it is
/// `Send` and `'static`.
///
/// # Errors
/// An [`Error`] that names the action, the path as it was given and the kernel's answer. A call whose pool is gone before it
/// began fails with a [`TaskError`] in it.
///
/// # Dropping
/// A call that has not begun does not begin. One that a worker makes just now cannot be stopped: it ends by itself, and what
/// it gave is dropped (a file it opened is closed, by a worker).
#[must_use = "nothing happens before a call is polled"]
pub struct Call<T> {
    state: State<T>,
    priority: Priority,
    /// Until it is asked: a call that waits does not keep its pool.
    pool: Option<Pool>,
    /// What learns by being dropped that nobody waits any more.
    held: Option<Box<dyn Held>>,
}

/// Anything that can go along with a call.
trait Held: Send {}

impl<T: Send> Held for T {}

enum State<T> {
    Fresh(Box<dyn Work<T>>),
    /// With a worker; and what to blame where it never comes to that.
    Asked(Task<Result<T>>, Action, PathBuf),
    Over,
}

impl<T: Send + 'static> Call<T> {
    /// A call that a worker makes; `run` may wait.
    pub(super) fn new(subject: Subject, run: impl FnOnce(&Subject) -> Outcome<T> + Send + 'static) -> Call<T> {
        Call::with(subject, (), |_, ()| Cached::Unknown, |subject, ()| run(subject))
    }

    /// A call that `here` may answer without waiting, and `run` otherwise.
    pub(super) fn in_memory(
        subject: Subject,
        here: impl FnOnce(&Subject) -> Cached<T> + Send + 'static,
        run: impl FnOnce(&Subject) -> Outcome<T> + Send + 'static,
    ) -> Call<T> {
        Call::with(subject, (), |subject, ()| here(subject), |subject, ()| run(subject))
    }

    /// The same, with something (a buffer) that whoever answers takes.
    pub(super) fn with<S: Send + 'static>(
        subject: Subject,
        stock: S,
        here: impl FnOnce(&Subject, &mut S) -> Cached<T> + Send + 'static,
        run: impl FnOnce(&Subject, S) -> Outcome<T> + Send + 'static,
    ) -> Call<T> {
        let work = Made { subject, stock, here: Some(here), run };
        Call { state: State::Fresh(Box::new(work)), priority: Priority::Normal, pool: None, held: None }
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

    /// Whose workers make the call, if any have to, and close what it opens. By default those of [`Pool::global`]; for a call
    /// on a [`File`](super::File) or below a [`Dir`](super::Dir), those that opened it, while that pool lives. Nothing changes once it was polled.
    pub fn on(mut self, pool: &Pool) -> Call<T> {
        if let State::Fresh(work) = &mut self.state {
            work.subject_mut().pool = Some(pool.downgrade());
            self.pool = Some(pool.clone());
        }
        self
    }

    fn ask(&mut self, work: Box<dyn Work<T>>, mount: Option<u64>) -> State<T> {
        let subject = work.subject();
        let (action, path) = (subject.action(), subject.path());
        let pool = self.pool.take().or_else(|| subject.pool.as_ref().and_then(WeakPool::upgrade));
        let pool = pool.as_ref().unwrap_or_else(|| Pool::global());
        let lane = if pool.has_threads() { subject.place(|place| pool.lane(place)) } else { None };
        let task = pool.ask(lane, self.priority, move || {
            mount.into_iter().for_each(local::learn);
            work.run()
        });
        State::Asked(task, action, path)
    }
}

// Nothing in it is pinned: a task is only polled through `Pin::new`.
impl<T> Unpin for Call<T> {}

impl<T: Send + 'static> Future for Call<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T>> {
        let state = match std::mem::replace(&mut self.state, State::Over) {
            State::Fresh(mut work) => {
                let mount = match work.here() {
                    Cached::Known(answer) => return Poll::Ready(answer.map_err(|error| work.subject().blame(error))),
                    Cached::Unknown => None,
                    Cached::New(mount) => Some(mount),
                };
                self.ask(work, mount)
            }
            asked @ State::Asked(..) => asked,
            State::Over => panic!("a call was polled after it had given its result"),
        };
        let State::Asked(mut task, action, path) = state else { unreachable!("it was asked just now") };
        match Pin::new(&mut task).poll(context) {
            Poll::Pending => {
                self.state = State::Asked(task, action, path);
                Poll::Pending
            }
            Poll::Ready(answer) => Poll::Ready(answer.unwrap_or_else(|error| Err(given_up(action, path, error)))),
        }
    }
}

fn given_up(action: Action, path: PathBuf, error: TaskError) -> Error {
    Error::new(action, path, io::Error::other(error))
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

    fn subject_mut(&mut self) -> &mut Subject;

    /// The answer, if it is in memory. Asked once.
    fn here(&mut self) -> Cached<T>;

    fn run(self: Box<Self>) -> Result<T>;
}

struct Made<S, H, R> {
    subject: Subject,
    stock: S,
    here: Option<H>,
    run: R,
}

impl<T, S, H, R> Work<T> for Made<S, H, R>
where
    S: Send,
    H: FnOnce(&Subject, &mut S) -> Cached<T> + Send,
    R: FnOnce(&Subject, S) -> Outcome<T> + Send,
{
    fn subject(&self) -> &Subject {
        &self.subject
    }

    fn subject_mut(&mut self) -> &mut Subject {
        &mut self.subject
    }

    fn here(&mut self) -> Cached<T> {
        self.here.take().map_or(Cached::Unknown, |here| here(&self.subject, &mut self.stock))
    }

    fn run(self: Box<Self>) -> Result<T> {
        let Made { subject, stock, run, .. } = *self;
        run(&subject, stock).map_err(|fault| match fault {
            Fault::Plain(error) => subject.blame(error),
            Fault::Whole(error) => error,
        })
    }
}
