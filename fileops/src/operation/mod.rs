//! Both ends of a running operation: [`Operation`] for the caller, `Job` for the workers.

mod job;

pub(crate) use job::Job;

use crate::control::{State, lock};
use crate::error::{Action, Error};
use crate::inbox::{Inbox, NextQuestion, Order};
use crate::pool::{Pool, Task, TaskError};
use crate::progress::{Phase, Progress};
use crate::question::{Open, Resolution, Scope, Unfit};
use crate::report::{Outcome, Report};
use crate::schedule::{Uses, Who, scheduler};
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

/// The caller's end of a running operation, and a future of its [`Report`].
///
/// Dropping it detaches the operation, which then runs to its end by itself; [`cancel`](Operation::cancel) stops it. What
/// an operation asks that nobody can answer any more is left out (see [`Inbox`]).
#[must_use = "dropping an operation leaves it running with nobody to see its report"]
pub struct Operation {
    job: Arc<Job>,
    task: Task<Report>,
    inbox: Inbox,
}

impl Operation {
    /// Starts what needs no device for itself: it never waits for others.
    pub(crate) fn start(
        pool: &Pool,
        job: Arc<Job>,
        run: impl FnOnce(Arc<Job>) -> Report + Send + 'static,
    ) -> Operation {
        Operation::start_in_turn(pool, job, Uses::nothing(), run)
    }

    /// Gets in line for the devices that it uses, and starts when its turn comes.
    pub(crate) fn start_in_turn(
        pool: &Pool,
        job: Arc<Job>,
        uses: Uses,
        run: impl FnOnce(Arc<Job>) -> Report + Send + 'static,
    ) -> Operation {
        let _ = job.shared_bandwidth.set(Arc::clone(pool.limit()));
        let worker = Arc::clone(&job);
        let call = move || {
            let report = if worker.control.is_cancelled() {
                // While it waited.
                worker.report(Outcome::Cancelled)
            } else {
                worker.meter.begin();
                run(Arc::clone(&worker))
            };
            worker.is_done.store(true, Ordering::Release);
            worker.questions.close();
            report
        };
        let stopped = Arc::downgrade(&job);
        job.questions.obey(move |order| {
            let job = stopped.upgrade();
            job.into_iter().for_each(|job| match order {
                Order::Stop => job.stop(),
                Order::Resume => job.resume(),
            });
        });
        let inbox = Inbox::new(&job.questions);
        let who = Who { id: &job.id, verb: job.verb, control: &job.control, meter: &job.meter };
        let task = scheduler().start(who, uses, pool, call);
        Operation { job, task, inbox }
    }

    /// What it is called by, in [`scheduler`](crate::scheduler) and in the history ([`Report::id`]).
    pub fn id(&self) -> &str {
        &self.job.id
    }

    /// Starts no further call until [`resume`](Operation::resume). Calls under way end by themselves. Others that wait for
    /// its devices go on meanwhile; see [`scheduler`](crate::scheduler).
    pub fn pause(&self) {
        scheduler().pause(&self.job.id, &self.job.control);
    }

    /// Goes on after a pause, also after one that the operation made by itself (see [`shortage`](Operation::shortage)): at
    /// once, or when its turn comes if others have begun meanwhile.
    pub fn resume(&self) {
        self.job.resume();
    }

    /// Stops for good: no further call is started, what is unfinished is cleaned up, and the report says what was done.
    /// While it waits for its turn, nothing was done: the report is there at once.
    pub fn cancel(&self) {
        self.job.cancel();
    }

    /// Whether it waits for its turn; [`Progress::place`] says how many go before it.
    pub fn is_waiting(&self) -> bool {
        self.job.phase() == Phase::Waiting
    }

    /// Starts at once, or goes on after a pause, whatever else uses its devices.
    pub fn start_now(&self) {
        scheduler().start_now(&self.job.id);
    }

    /// Goes before all others that wait.
    pub fn move_to_front(&self) {
        scheduler().move_to_front(&self.job.id);
    }

    /// Goes just before another one that waits.
    pub fn move_before(&self, other: &Operation) {
        scheduler().move_before(&self.job.id, &other.job.id);
    }

    /// Moves no more than so many bytes of contents a second from now on; `None` for as many as it can. What shares its
    /// blocks with the source moves none. Reading back, to verify, is not limited.
    pub fn set_bandwidth(&self, bytes_per_second: Option<u64>) {
        self.job.bandwidth.set(bytes_per_second);
        // Who waits for the old limit looks at the new one.
        self.job.control.wake_all();
    }

    /// Where it stands. Cheap enough to be called ten times a second by anybody.
    pub fn progress(&self) -> Progress {
        self.job.progress()
    }

    /// What the operation waits for since it paused by itself, if the target is too full: see
    /// [`OnShortage::Pause`]. Resuming tries again, whatever the numbers say.
    pub fn shortage(&self) -> Option<Shortage> {
        let mut shortage = lock(&self.job.shortage);
        if self.job.control.state() != State::Paused {
            // All operations were resumed, not this one by itself.
            *shortage = None;
        }
        shortage.clone()
    }

    /// Where its questions are answered, for those who do not have this handle.
    pub fn inbox(&self) -> Inbox {
        self.inbox.clone()
    }

    /// The questions that are open, see [`Inbox::questions`].
    pub fn questions(&self) -> Vec<Open> {
        self.inbox.questions()
    }

    /// The next question, see [`Inbox::question`].
    pub fn question(&self) -> NextQuestion {
        self.inbox.question()
    }

    /// Answers a question, see [`Inbox::answer`].
    ///
    /// # Errors
    /// Why the answer does not fit; the question then stays open.
    pub fn answer(&self, id: u64, resolution: Resolution, scope: Scope) -> Result<(), Unfit> {
        self.inbox.answer(id, resolution, scope)
    }

    /// Whether the report is there.
    pub fn is_done(&self) -> bool {
        self.task.is_done()
    }

    /// Waits for the report on this thread: for programs that have no executor. Questions can then only be answered by
    /// those who have the [`Inbox`]; without one nobody can, and what is asked is left out.
    pub fn wait(self) -> Report {
        let Operation { job, task, inbox } = self;
        drop(inbox);
        crate::pool::block_on(Ending { job, task })
    }
}

impl Future for Operation {
    type Output = Report;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Report> {
        let answer = Pin::new(&mut self.task).poll(context);
        answer.map(|answer| report(&self.job, answer))
    }
}

/// An operation of which only the report is wanted.
struct Ending {
    job: Arc<Job>,
    task: Task<Report>,
}

impl Future for Ending {
    type Output = Report;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Report> {
        let answer = Pin::new(&mut self.task).poll(context);
        answer.map(|answer| report(&self.job, answer))
    }
}

fn report(job: &Job, answer: Result<Report, TaskError>) -> Report {
    answer.unwrap_or_else(|error| {
        job.fail(Error::new(Action::Start, "", io::Error::other(error)));
        job.report(Outcome::Done)
    })
}

/// The future of an operation that was awaited without being started by hand. Dropping it cancels. It has nobody who could
/// answer questions: what is asked is left out.
#[must_use = "dropping this future cancels the operation"]
pub struct Running(Option<Ending>);

impl Running {
    pub(crate) fn new(operation: Operation) -> Running {
        let Operation { job, task, .. } = operation;
        Running(Some(Ending { job, task }))
    }
}

impl Future for Running {
    type Output = Report;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Report> {
        let operation = self.0.as_mut().expect("a future is not polled after it was ready");
        let answer = Pin::new(operation).poll(context);
        if answer.is_ready() {
            self.0 = None;
        }
        answer
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(ending) = &self.0 {
            ending.job.cancel();
        }
    }
}

/// What to do when the target is too full.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnShortage {
    /// Go on: the report notes the warning, and entries that do not fit fail with ENOSPC.
    #[default]
    Warn,
    /// Pause, and say so through [`Operation::shortage`]; a resume tries again.
    Pause,
}

/// The target has too little room.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// Where.
    pub path: PathBuf,
    /// Bytes still to be allocated, as far as the scan knows; 0 when the kernel said ENOSPC before that was known.
    pub needed: u64,
    /// Bytes that are free.
    pub free: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::{Effort, Schedule};

    fn start(run: impl FnOnce(Arc<Job>) -> Report + Send + 'static) -> Operation {
        Operation::start_in_turn(Pool::global(), Job::new("test", OnShortage::Warn), Uses::names(), run)
    }

    #[test]
    fn one_that_panics_gives_its_place_back() {
        scheduler().set_schedule(Schedule::OneAtATime);
        let (go, hold) = std::sync::mpsc::channel::<()>();
        let panics = start(move |_| {
            let _ = hold.recv();
            panic!("on purpose")
        });
        let next = start(|job| job.report(Outcome::Done));
        assert!(next.is_waiting());
        drop(go);
        assert_eq!(panics.wait().failures.len(), 1);
        assert!(next.wait().is_complete());
        scheduler().set_schedule(Schedule::default());
    }

    #[test]
    fn without_threads_nobody_waits_for_who_is_not_polled() {
        let pool = Pool::without_threads();
        let job = || Job::new("test", OnShortage::Warn);
        let uses = || Uses { sources: vec!["/".into()], target: None, effort: Effort::Contents };
        let first = Operation::start_in_turn(&pool, job(), uses(), |job| job.report(Outcome::Done));
        let second = Operation::start_in_turn(&pool, job(), uses(), |job| job.report(Outcome::Done));
        assert!(!scheduler().operations().iter().any(|one| [first.id(), second.id()].contains(&&*one.id)));
        assert!(second.wait().is_complete() && first.wait().is_complete());
    }
}
