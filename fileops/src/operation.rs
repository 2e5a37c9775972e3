//! Both ends of a running operation: [`Operation`] for the caller, `Job` for the workers.

use crate::bandwidth::Bandwidth;
use crate::control::{Cancelled, Control, For, State, lock};
use crate::error::{Action, Error};
use crate::inbox::{Inbox, NextQuestion, Order, Questions};
use crate::journal::Journal;
use crate::kept::Kept;
use crate::pool::{Pool, Task, TaskError};
use crate::progress::{Meter, Phase, Progress};
use crate::question::{OnError, Open, Question, Resolution, Scope, Unfit};
use crate::report::{Moved, Note, NoteKind, Outcome, Report, Skipped, Tally, Verified};
use crate::schedule::{Id, Uses, Who, scheduler};
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

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

/// How soon a worker notices that a limit was changed.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Tells which path a worker has before it.
type Current = Box<dyn Fn() -> Option<PathBuf> + Send>;

/// The workers' end of an operation.
pub(crate) struct Job {
    id: Id,
    verb: &'static str,
    pub(crate) control: Arc<Control>,
    pub(crate) meter: Arc<Meter>,
    pub(crate) on_shortage: OnShortage,
    pub(crate) on_error: OnError,
    pub(crate) questions: Arc<Questions>,
    /// Asked for by the reader; whether nothing is left to do but to wait for answers.
    only_waits: Mutex<Option<Box<dyn Fn() -> bool + Send>>>,
    /// An answer, or the rule for failures, ended it.
    was_stopped: AtomicBool,
    /// What is done, on disk.
    pub(crate) journal: Journal,
    /// Of this operation, and of all of its pool together.
    pub(crate) bandwidth: Bandwidth,
    shared_bandwidth: OnceLock<Arc<Bandwidth>>,
    /// Where what is displaced stays.
    pub(crate) kept: Kept,
    failures: Mutex<Vec<Error>>,
    skipped: Mutex<Vec<Skipped>>,
    moved: Mutex<Vec<Moved>>,
    notes: Mutex<Vec<Note>>,
    stuck: Mutex<Vec<PathBuf>>,
    verified: Mutex<Verified>,
    shortage: Mutex<Option<Shortage>>,
    /// Asked for by the reader; answers with the path a worker has before it.
    current: Mutex<Option<Current>>,
    pub(crate) workers: AtomicUsize,
    pub(crate) most_workers: AtomicUsize,
    pub(crate) is_finishing: AtomicBool,
    /// Entries that were done and then removed.
    pub(crate) removed: AtomicU64,
    /// Something was begun that takes long by itself.
    has_large: AtomicBool,
    was_warned: AtomicBool,
    is_done: AtomicBool,
}

impl Job {
    /// `verb` is what its records call the operation.
    pub(crate) fn new(verb: &'static str, on_shortage: OnShortage) -> Arc<Job> {
        Job::with_rules(verb, on_shortage, OnError::Continue)
    }

    pub(crate) fn with_rules(verb: &'static str, on_shortage: OnShortage, on_error: OnError) -> Arc<Job> {
        let journal = Journal::new(verb);
        Arc::new(Job {
            kept: Kept::new(journal.id()),
            id: journal.id().into(),
            verb,
            control: Arc::default(),
            meter: Arc::new(Meter::new()),
            on_shortage,
            on_error,
            questions: Arc::default(),
            only_waits: Mutex::default(),
            was_stopped: AtomicBool::new(false),
            journal,
            bandwidth: Bandwidth::default(),
            shared_bandwidth: OnceLock::new(),
            failures: Mutex::default(),
            skipped: Mutex::default(),
            moved: Mutex::default(),
            notes: Mutex::default(),
            stuck: Mutex::default(),
            verified: Mutex::default(),
            shortage: Mutex::default(),
            current: Mutex::default(),
            workers: AtomicUsize::new(0),
            most_workers: AtomicUsize::new(0),
            is_finishing: AtomicBool::new(false),
            removed: AtomicU64::new(0),
            has_large: AtomicBool::new(false),
            was_warned: AtomicBool::new(false),
            is_done: AtomicBool::new(false),
        })
    }

    pub(crate) fn fail(&self, error: Error) {
        lock(&self.failures).push(error);
    }

    /// Stops for good, also while it waits for its turn.
    fn cancel(&self) {
        scheduler().cancel(&self.id, &self.control);
    }

    /// Goes on after a pause, whoever made it.
    pub(crate) fn resume(&self) {
        // Under the lock, so that no shortage is forgotten of which nobody was told.
        let mut shortage = lock(&self.shortage);
        *shortage = None;
        scheduler().resume(&self.id, &self.control);
    }

    /// A medium is gone: pauses as a whole, and asks once. `Ok` when somebody wants to go on.
    pub(crate) fn wait_for_medium(&self, error: &Error) -> Result<(), Cancelled> {
        self.questions.ask_once(Question::MediumGone(Arc::new(error.again())));
        scheduler().pause(&self.id, &self.control);
        self.control.checkpoint()
    }

    /// Ends the operation as a cancel does; the report tells the difference.
    pub(crate) fn stop(&self) {
        self.was_stopped.store(true, Ordering::Relaxed);
        self.cancel();
    }

    pub(crate) fn failure_count(&self) -> usize {
        lock(&self.failures).len()
    }

    pub(crate) fn skip(&self, path: PathBuf, target: PathBuf) {
        lock(&self.skipped).push(Skipped { path, target });
    }

    pub(crate) fn moved(&self, path: PathBuf, target: PathBuf) {
        lock(&self.moved).push(Moved { path, target });
    }

    pub(crate) fn is_stuck_at(&self, path: PathBuf) {
        lock(&self.stuck).push(path);
    }

    /// Counts a file that was verified.
    pub(crate) fn verified(&self, how: fn(&mut Verified) -> &mut Tally, bytes: u64) {
        let mut verified = lock(&self.verified);
        let tally = how(&mut verified);
        tally.files += 1;
        tally.bytes += bytes;
    }

    /// Notes what was not kept; the path is built for the first of a kind only.
    pub(crate) fn note(&self, kind: NoteKind, error: Option<&io::Error>, path: impl FnOnce() -> PathBuf) {
        let mut notes = lock(&self.notes);
        match notes.iter_mut().find(|note| note.kind == kind) {
            Some(note) => note.count += 1,
            None => {
                let errno = error.and_then(io::Error::raw_os_error);
                notes.push(Note { kind, path: path(), count: 1, errno });
            }
        }
    }

    /// The target is too full. Gives `true` when the caller should try again, after a pause that somebody ended.
    pub(crate) fn is_short(&self, shortage: impl FnOnce() -> Shortage) -> Result<bool, Cancelled> {
        match self.on_shortage {
            OnShortage::Warn => Ok(false),
            OnShortage::Pause => {
                self.pause_for(shortage);
                self.control.checkpoint()?;
                Ok(true)
            }
        }
    }

    /// What is still to come does not seem to fit: said once, and not again when the caller went on all the same.
    pub(crate) fn warn(&self, shortage: Shortage) {
        if self.was_warned.swap(true, Ordering::Relaxed) {
            return;
        }
        self.note(NoteKind::MayNotFit, None, || shortage.path.clone());
        if self.on_shortage == OnShortage::Pause {
            self.pause_for(|| shortage);
        }
    }

    fn pause_for(&self, shortage: impl FnOnce() -> Shortage) {
        let mut known = lock(&self.shortage);
        if self.control.state() == State::Running {
            *known = None;
        }
        known.get_or_insert_with(shortage);
        // Whoever makes room may need the device for that.
        scheduler().pause(&self.id, &self.control);
    }

    /// How the reader learns the path a worker has before it.
    pub(crate) fn show_current(&self, current: impl Fn() -> Option<PathBuf> + Send + 'static) {
        *lock(&self.current) = Some(Box::new(current));
    }

    /// How the reader learns that only answers are waited for.
    pub(crate) fn show_waiting(&self, only_waits: impl Fn() -> bool + Send + 'static) {
        *lock(&self.only_waits) = Some(Box::new(only_waits));
    }

    /// Waits for all that `is_over` asks about, cancelled or not.
    pub(crate) fn wait_until(&self, mut is_over: impl FnMut() -> bool, time: Duration) -> bool {
        let end = std::time::Instant::now() + time;
        loop {
            if is_over() {
                return true;
            }
            let left = end.saturating_duration_since(std::time::Instant::now());
            if left.is_zero() {
                return false;
            }
            self.control.rest(left.min(Duration::from_millis(5)));
        }
    }

    fn phase(&self) -> Phase {
        if self.is_done.load(Ordering::Acquire) {
            return Phase::Done;
        }
        match self.control.state() {
            State::Cancelled => Phase::Cancelling,
            _ if scheduler().place(&self.id).is_some() => Phase::Waiting,
            State::Paused => Phase::Paused,
            State::Running if lock(&self.only_waits).as_ref().is_some_and(|only_waits| only_waits()) => Phase::Asking,
            State::Running if self.is_finishing.load(Ordering::Relaxed) => Phase::Finishing,
            State::Running => Phase::Running,
        }
    }

    pub(crate) fn progress(&self) -> Progress {
        let mut progress = self.meter.sample(self.phase());
        progress.place = scheduler().place(&self.id);
        progress.current = lock(&self.current).as_ref().and_then(|current| current());
        progress.workers = self.workers.load(Ordering::Relaxed);
        progress.questions = self.questions.count();
        progress
    }

    /// Takes everything that was gathered.
    pub(crate) fn report(&self, outcome: Outcome) -> Report {
        *lock(&self.current) = None;
        *lock(&self.only_waits) = None;
        let was_stopped = outcome == Outcome::Cancelled && self.was_stopped.load(Ordering::Relaxed);
        let outcome = if was_stopped { Outcome::Stopped } else { outcome };
        let sums = self.meter.sums();
        let mut notes = std::mem::take(&mut *lock(&self.notes));
        notes.sort_by_key(|note| note.kind);
        Report {
            id: self.journal.has_changes().then(|| self.journal.id().to_owned()),
            outcome,
            entries: sums.entries,
            removed: self.removed.load(Ordering::Relaxed),
            files: sums.files,
            directories: sums.directories,
            symlinks: sums.symlinks,
            specials: sums.specials,
            bytes: sums.file_bytes,
            allocated: sums.allocated,
            cloned: sums.cloned,
            verified: *lock(&self.verified),
            resumed: sums.resumed,
            elapsed: self.meter.elapsed(),
            workers: self.most_workers.load(Ordering::Relaxed),
            failures: std::mem::take(&mut *lock(&self.failures)),
            skipped: std::mem::take(&mut *lock(&self.skipped)),
            moved: std::mem::take(&mut *lock(&self.moved)),
            notes,
            stuck: std::mem::take(&mut *lock(&self.stuck)),
        }
    }

    /// Waits for the pause to end, or goes on at once.
    #[inline]
    pub(crate) fn checkpoint(&self) -> Result<(), Cancelled> {
        self.control.checkpoint()
    }

    /// The most bytes that should be moved at a time.
    pub(crate) fn step(&self, wanted: usize) -> usize {
        self.limits().map(Bandwidth::step).fold(wanted, usize::min)
    }

    /// Waits until so many bytes may be moved; or, without a limit, does nothing.
    pub(crate) fn spend(&self, bytes: u64) -> Result<(), Cancelled> {
        for limit in self.limits() {
            let Some(taken) = limit.take(bytes) else { continue };
            loop {
                let left = limit.left(taken);
                if left.is_zero() {
                    break;
                }
                // Whoever changes the limit of a pool does not know who waits for it.
                self.control.wait(For::Change, Some(left.min(LOOK_EVERY)), || None::<()>)?;
            }
        }
        self.checkpoint()
    }

    pub(crate) fn is_limited(&self) -> bool {
        self.limits().any(|limit| limit.get().is_some())
    }

    fn limits(&self) -> impl Iterator<Item = &Bandwidth> {
        std::iter::once(&self.bandwidth).chain(self.shared_bandwidth.get().map(|limit| &**limit))
    }

    /// Something was begun that takes long by itself.
    pub(crate) fn begin_large(&self) {
        if !self.has_large.swap(true, Ordering::Relaxed) {
            self.control.wake_all();
        }
    }

    pub(crate) fn has_large(&self) -> bool {
        self.has_large.load(Ordering::Relaxed)
    }

    /// For a scan that runs beside this operation: makes no call while it is paused, and ends when the scan is stopped.
    pub(crate) fn rest_while_paused(&self, scan: &Job) -> Result<(), Cancelled> {
        if self.control.state() != State::Paused {
            return Ok(());
        }
        let may_go_on = || (self.control.state() != State::Paused || scan.control.is_cancelled()).then_some(());
        self.control.wait(For::Change, None, may_go_on).map(|_| ())
    }

    /// A pause of the worker's own, which a cancel ends.
    pub(crate) fn sleep(&self, time: Duration) -> Result<(), Cancelled> {
        self.control.wait(For::Change, Some(time), || None::<()>).map(|_| ())
    }
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
