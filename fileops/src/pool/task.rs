//! One blocking call as a future: the task its caller polls, and the job that a thread makes. They share one block of
//! memory.

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
    answer: Arc<dyn Answer<T>>,
    /// The call itself, where no other thread can make it: whoever polls does.
    pub(super) inline: Mutex<Option<Job>>,
    /// Whether the call is made though nobody waits for it.
    pub(super) is_detached: bool,
}

impl<T: Send + 'static> Task<T> {
    pub(super) fn new(call: impl FnOnce() -> T + Send + 'static) -> (Task<T>, Job) {
        let shared = Arc::new(Shared { stage: Mutex::new(Stage::Waiting(call, None)) });
        let job = Job(Some(Arc::clone(&shared) as Arc<dyn Work>));
        (Task { answer: shared, inline: Mutex::default(), is_detached: false }, job)
    }
}

impl<T> Task<T> {
    /// Whether no other thread makes the call, so that it waits for a poll or for the end of this task.
    pub(crate) fn is_left_to_caller(&self) -> bool {
        lock(&self.inline).is_some()
    }

    /// Whether the call has ended, be its result taken or not.
    pub(crate) fn is_done(&self) -> bool {
        self.answer.is_there()
    }

    fn make_here(&self) {
        let inline = lock(&self.inline).take();
        inline.and_then(Job::run).into_iter().for_each(Waker::wake);
    }
}

impl<T> Future for Task<T> {
    type Output = Result<T, TaskError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.make_here();
        self.answer.poll(context.waker())
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        if self.is_detached {
            self.make_here();
        } else {
            self.answer.close();
        }
    }
}

/// A call that waits for a thread. One that is dropped instead tells its task that the pool is closed.
pub(super) struct Job(Option<Arc<dyn Work>>);

impl Job {
    /// Something that no task waits for.
    pub(super) fn detached(call: impl FnOnce() + Send + 'static) -> Job {
        let (mut task, job) = Task::new(call);
        task.is_detached = true;
        job
    }

    /// Makes the call, and gives whom to wake.
    pub(super) fn run(mut self) -> Option<Waker> {
        self.0.take().and_then(|work| work.run())
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if let Some(waker) = self.0.take().and_then(|work| work.give_up()) {
            waker.wake();
        }
    }
}

/// The worker's side.
trait Work: Send + Sync {
    fn run(&self) -> Option<Waker>;

    fn give_up(&self) -> Option<Waker>;
}

/// The caller's side.
trait Answer<T>: Send + Sync {
    fn poll(&self, waker: &Waker) -> Poll<Result<T, TaskError>>;

    fn is_there(&self) -> bool;

    fn close(&self);
}

struct Shared<F, T> {
    stage: Mutex<Stage<F, T>>,
}

enum Stage<F, T> {
    Waiting(F, Option<Waker>),
    Running(Option<Waker>),
    Done(Result<T, TaskError>),
    /// The result was taken, or nobody wants it any more.
    Closed,
}

impl<F, T> Shared<F, T> {
    fn set(&self, stage: Stage<F, T>) -> Stage<F, T> {
        std::mem::replace(&mut *lock(&self.stage), stage)
    }

    /// Keeps the answer for whoever polls, and gives whom to wake. What nobody wants is dropped, without the lock.
    fn keep(&self, answer: Result<T, TaskError>) -> Option<Waker> {
        let mut stage = lock(&self.stage);
        match std::mem::replace(&mut *stage, Stage::Closed) {
            Stage::Waiting(_, waker) | Stage::Running(waker) => {
                *stage = Stage::Done(answer);
                waker
            }
            _ => {
                drop(stage);
                drop(answer);
                None
            }
        }
    }
}

impl<F: FnOnce() -> T + Send, T: Send> Work for Shared<F, T> {
    fn run(&self) -> Option<Waker> {
        let mut stage = lock(&self.stage);
        let call = match std::mem::replace(&mut *stage, Stage::Closed) {
            Stage::Waiting(call, waker) => {
                *stage = Stage::Running(waker);
                call
            }
            // Dropped in the queue.
            _ => return None,
        };
        drop(stage);
        let answer = panic::catch_unwind(AssertUnwindSafe(call));
        self.keep(answer.map_err(|payload| TaskError::Panicked(message_of(&*payload))))
    }

    fn give_up(&self) -> Option<Waker> {
        self.keep(Err(TaskError::PoolClosed))
    }
}

impl<F: Send, T: Send> Answer<T> for Shared<F, T> {
    fn poll(&self, waker: &Waker) -> Poll<Result<T, TaskError>> {
        let mut stage = lock(&self.stage);
        match &mut *stage {
            Stage::Waiting(_, known) | Stage::Running(known) => {
                match known {
                    Some(known) => known.clone_from(waker),
                    None => *known = Some(waker.clone()),
                }
                return Poll::Pending;
            }
            Stage::Done(_) | Stage::Closed => {}
        }
        match std::mem::replace(&mut *stage, Stage::Closed) {
            Stage::Done(answer) => Poll::Ready(answer),
            _ => panic!("a task was polled after it had given its result"),
        }
    }

    fn is_there(&self) -> bool {
        matches!(*lock(&self.stage), Stage::Done(_) | Stage::Closed)
    }

    fn close(&self) {
        // What the call holds, or gave, is dropped without the lock.
        drop(self.set(Stage::Closed));
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
