//! The workers' end of a running operation: where they count, note, ask, wait and record.

use super::{OnShortage, Shortage};
use crate::bandwidth::Bandwidth;
use crate::control::{Cancelled, Control, For, State, lock};
use crate::error::{Error, Refusal};
use crate::inbox::Questions;
use crate::journal::Journal;
use crate::kept::Kept;
use crate::progress::{Meter, Phase, Progress};
use crate::question::{OnError, Question};
use crate::report::{Moved, Note, NoteKind, Outcome, Report, Skipped, Tally, Verified};
use crate::schedule::{Id, scheduler};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
/// How soon a worker notices that a limit was changed.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Tells which path a worker has before it.
type Current = Box<dyn Fn() -> Option<PathBuf> + Send>;

/// The workers' end of an operation.
pub(crate) struct Job {
    pub(super) id: Id,
    pub(super) verb: &'static str,
    pub(crate) control: Arc<Control>,
    pub(crate) meter: Arc<Meter>,
    pub(crate) on_shortage: OnShortage,
    pub(crate) on_error: OnError,
    pub(crate) questions: Arc<Questions>,
    /// Asked for by the reader; whether nothing is left to do but to wait for answers.
    pub(super) only_waits: Mutex<Option<Box<dyn Fn() -> bool + Send>>>,
    /// An answer, or the rule for failures, ended it.
    pub(super) was_stopped: AtomicBool,
    /// What is done, on disk.
    pub(crate) journal: Journal,
    /// Of this operation, and of all of its pool together.
    pub(crate) bandwidth: Bandwidth,
    pub(super) shared_bandwidth: OnceLock<Arc<Bandwidth>>,
    /// Where what is displaced stays.
    pub(crate) kept: Kept,
    pub(super) failures: Mutex<Vec<Error>>,
    pub(super) skipped: Mutex<Vec<Skipped>>,
    pub(super) moved: Mutex<Vec<Moved>>,
    pub(super) notes: Mutex<Vec<Note>>,
    pub(super) stuck: Mutex<Vec<PathBuf>>,
    pub(super) verified: Mutex<Verified>,
    pub(super) shortage: Mutex<Option<Shortage>>,
    /// Asked for by the reader; answers with the path a worker has before it.
    pub(super) current: Mutex<Option<Current>>,
    pub(crate) workers: AtomicUsize,
    pub(crate) most_workers: AtomicUsize,
    pub(crate) is_finishing: AtomicBool,
    /// Entries that were done and then removed.
    pub(crate) removed: AtomicU64,
    /// Something was begun that takes long by itself.
    pub(super) has_large: AtomicBool,
    pub(super) was_warned: AtomicBool,
    pub(super) is_done: AtomicBool,
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

    /// Notes a failure, which may be the end of everything.
    pub(crate) fn fail_by_rule(&self, error: Error) {
        self.fail(error);
        if self.on_error == OnError::Stop {
            self.stop();
        }
    }

    /// Whether a failure is a question, if somebody can be asked. What a guard of ours refused would be refused again.
    pub(crate) fn asks_about(&self, error: &Error) -> bool {
        self.on_error == OnError::Ask && error.refusal().is_none_or(|refusal| refusal == Refusal::Changed)
    }

    /// Stops for good, also while it waits for its turn.
    pub(super) fn cancel(&self) {
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

    pub(crate) fn skip_count(&self) -> usize {
        lock(&self.skipped).len()
    }

    /// Forgets what was left out since there were so many.
    pub(crate) fn forget_skips(&self, count: usize) {
        lock(&self.skipped).truncate(count);
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

    pub(super) fn pause_for(&self, shortage: impl FnOnce() -> Shortage) {
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

    pub(super) fn phase(&self) -> Phase {
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

    pub(super) fn limits(&self) -> impl Iterator<Item = &Bandwidth> {
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
