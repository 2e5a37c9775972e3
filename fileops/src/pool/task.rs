//! One blocking call as a future: the task its caller polls, and the promise that the thread which makes it keeps.

use crate::control::lock;
use std::any::Any;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::panic::{self, AssertUnwindSafe};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

/// Why a task has no result.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskError {
    /// The closure panicked, with this message. The pool goes on.
    Panicked(String),
    /// The pool was dropped before the call began.
    PoolClosed,
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TaskError::Panicked(message) => write!(f, "a blocking call panicked: {message}"),
            TaskError::PoolClosed => f.write_str("the pool was closed before the call began"),
        }
    }
}

impl Error for TaskError {}

/// The result of a blocking call, as a future that any executor can poll.
#[must_use = "a task that is dropped before its call has started takes the call back"]
pub struct Task<T> {
    slot: Arc<Mutex<Slot<T>>>,
    /// The call itself, where no other thread can make it: whoever polls does.
    pub(super) inline: Mutex<Option<Job>>,
    /// Whether the call is made though nobody waits for it.
    pub(super) is_detached: bool,
}

enum Slot<T> {
    Waiting(Option<Waker>),
    Done(Result<T, TaskError>),
    /// The result was taken, or nobody wants it any more.
    Closed,
}

impl<T: Send + 'static> Task<T> {
    pub(super) fn new(call: impl FnOnce() -> T + Send + 'static) -> (Task<T>, Job) {
        let slot = Arc::new(Mutex::new(Slot::Waiting(None)));
        let promise = Promise(Arc::clone(&slot));
        let job = Job(Box::new(move || {
            if !matches!(*lock(&promise.0), Slot::Closed) {
                let answer = panic::catch_unwind(AssertUnwindSafe(call));
                promise.keep(answer.map_err(|payload| TaskError::Panicked(message_of(&*payload))));
            }
        }));
        (Task { slot, inline: Mutex::default(), is_detached: false }, job)
    }
}

impl<T> Task<T> {
    /// Whether no other thread makes the call, so that it waits for a poll or for the end of this task.
    pub(crate) fn is_left_to_caller(&self) -> bool {
        lock(&self.inline).is_some()
    }

    /// Whether the call has ended, be its result taken or not.
    pub(crate) fn is_done(&self) -> bool {
        !matches!(*lock(&self.slot), Slot::Waiting(_))
    }
}

impl<T> Future for Task<T> {
    type Output = Result<T, TaskError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let inline = lock(&self.inline).take();
        if let Some(job) = inline {
            job.run();
        }
        let mut slot = lock(&self.slot);
        match std::mem::replace(&mut *slot, Slot::Closed) {
            Slot::Done(answer) => Poll::Ready(answer),
            Slot::Waiting(_) => {
                *slot = Slot::Waiting(Some(context.waker().clone()));
                Poll::Pending
            }
            Slot::Closed => panic!("a task was polled after it had given its result"),
        }
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        if self.is_detached {
            let inline = lock(&self.inline).take();
            if let Some(job) = inline {
                job.run();
            }
        } else {
            *lock(&self.slot) = Slot::Closed;
        }
    }
}

/// A call that waits for a thread.
pub(super) struct Job(pub(super) Box<dyn FnOnce() + Send>);

impl Job {
    pub(super) fn run(self) {
        (self.0)();
    }
}

/// The other end of a task: kept, or given up when the pool closes first.
struct Promise<T>(Arc<Mutex<Slot<T>>>);

impl<T> Promise<T> {
    fn keep(&self, answer: Result<T, TaskError>) {
        let mut slot = lock(&self.0);
        if let Slot::Waiting(waker) = &mut *slot {
            let waker = waker.take();
            *slot = Slot::Done(answer);
            drop(slot);
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        self.keep(Err(TaskError::PoolClosed));
    }
}

fn message_of(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

/// Waits for a future on this thread: for programs that have no executor.
pub fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}
