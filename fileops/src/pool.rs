//! Blocking calls as futures: any executor awaits them, worker threads make them.
//!
//! Each mount has a *lane* with a queue and a bounded number of threads ([`lane`]), so that a server that never answers holds
//! up nobody but those who asked for it. Threads come from tokio's blocking pool, which needs no reactor and no runtime in the
//! caller. Whole operations have threads of their own (`Pool::spawn`) and use lanes only for single calls.

mod deadline;
mod lane;
mod task;

pub use task::{Task, TaskError, block_on};

pub(crate) use deadline::Deadline;

use crate::bandwidth::Bandwidth;
use crate::control::lock;
use crate::sys::{mount, thread};
pub(crate) use lane::Lane;
use lane::{Need, WATCH_EVERY, lock_soon};
use std::collections::HashMap;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::task::Waker;
use std::time::Duration;
use task::Job;
use tokio::runtime::{Builder, Handle, Runtime};

/// Lanes are looked at for so many times after the last call waited, since calls come in bursts.
const WATCH_LONGER: usize = 50;

/// Idle threads end after this time.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// All threads of a pool; lanes of many hung mounts cannot exceed it.
const MAX_THREADS: usize = 512;

/// Runs blocking closures on worker threads and gives futures for their results.
///
/// Cheap to clone; clones share the threads. [`Pool::global`] serves the whole process, [`Pool::new`] makes one apart.
/// Dropping the last clone never waits: running calls end by themselves, queued ones are given up.
///
/// ```
/// let pool = fileops::Pool::global();
/// let length = fileops::block_on(pool.run_at("/etc/passwd", || std::fs::metadata("/etc/passwd").map(|m| m.len())));
/// assert!(length.unwrap().unwrap() > 0);
/// ```
#[derive(Clone)]
pub struct Pool {
    shared: Arc<Shared>,
}

/// Which of the calls that wait in one lane comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Somebody looks at the screen and waits for it.
    Interactive,
    /// Before what can wait, after what somebody waits for.
    #[default]
    Normal,
    /// Whenever nothing else is to be done; the disk too is asked with the lowest priority.
    Background,
}

struct Shared {
    /// `None` where the process may not have threads: calls are then made by whoever polls their task.
    runtime: Option<Threads>,
    lanes: Mutex<Lanes>,
    /// Whether somebody looks after calls that wait.
    is_watched: Arc<AtomicBool>,
    /// For the operations of this pool together.
    bandwidth: Arc<Bandwidth>,
}

/// A pool that is not kept by this: calls that wait in it, and files, do not make it live on.
#[derive(Clone)]
pub(crate) struct WeakPool(Weak<Shared>);

impl std::fmt::Debug for WeakPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WeakPool")
    }
}

impl WeakPool {
    /// The pool, while it lives.
    pub(crate) fn upgrade(&self) -> Option<Pool> {
        self.0.upgrade().map(|shared| Pool { shared })
    }
}

struct Threads {
    handle: Handle,
    /// Taken only by `Drop`.
    runtime: Option<Runtime>,
}

impl Threads {
    /// Gives work to a thread; gives it back where none is left and the system has none either.
    fn give(&self, job: Job) -> Option<Job> {
        let kept = Arc::new(Mutex::new(Some(job)));
        let taken = Arc::clone(&kept);
        // tokio panics then, and keeps the closure for a thread that may come later: whoever is first has the job.
        let given = panic::catch_unwind(AssertUnwindSafe(|| {
            drop(self.handle.spawn_blocking(move || {
                let job = lock(&taken).take();
                job.and_then(Job::run).into_iter().for_each(Waker::wake);
            }));
        }));
        if given.is_ok() { None } else { lock(&kept).take() }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // A plain drop would wait for running calls, and panic inside another runtime.
            runtime.shutdown_background();
        }
    }
}

#[derive(Default)]
struct Lanes {
    by_key: HashMap<Key, Arc<Lane>>,
    mounts: mount::Watched,
}

/// Which lane: of a mount by its number in mountinfo (0 where that is unknown), and for which of its calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key(u64, Way);

/// Calls to one mount that may hang while others do not, and so have lanes of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Way {
    /// They wait for this mount only.
    Direct,
    /// Their paths go through symbolic links, which may lead to any other mount.
    Links,
    /// They open a FIFO, a socket or a device, which may wait for another program.
    Special,
}

/// Where a call waits.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place<'a> {
    /// With those of the mount that serves this path, which is not touched.
    Path(&'a Path, Way),
    /// With those of the mount of this number.
    Mount(u64, Way),
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("has_threads", &self.has_threads()).finish_non_exhaustive()
    }
}

impl Pool {
    /// The pool of this process, made at first use.
    pub fn global() -> &'static Pool {
        static GLOBAL: OnceLock<Pool> = OnceLock::new();
        GLOBAL.get_or_init(Pool::new)
    }

    /// A pool with threads of its own.
    #[allow(clippy::new_without_default)] // a default would hide that threads come with it
    pub fn new() -> Pool {
        // tokio panics, and says so on stderr, where the first thread cannot be had; ask the system before.
        let has_threads = std::thread::Builder::new().spawn(|| {}).is_ok_and(|thread| thread.join().is_ok());
        let runtime = has_threads.then(|| {
            Builder::new_current_thread()
                .thread_name("fileops")
                .max_blocking_threads(MAX_THREADS)
                .thread_keep_alive(KEEP_ALIVE)
                .on_thread_start(thread::block_signals)
                .build()
        });
        let runtime = runtime
            .and_then(Result::ok)
            .map(|runtime| Threads { handle: runtime.handle().clone(), runtime: Some(runtime) });
        Pool {
            shared: Arc::new(Shared {
                runtime,
                lanes: Mutex::default(),
                is_watched: Arc::default(),
                bandwidth: Arc::default(),
            }),
        }
    }

    /// Lets all operations that use this pool move so many bytes of contents a second together, from now on; `None` for as
    /// many as they can. Each may have a limit of its own beside it: see
    /// [`Operation::set_bandwidth`](crate::Operation::set_bandwidth).
    pub fn set_bandwidth(&self, bytes_per_second: Option<u64>) {
        self.shared.bandwidth.set(bytes_per_second);
    }

    /// The limit of all operations together, if there is one.
    pub fn bandwidth(&self) -> Option<u64> {
        self.shared.bandwidth.get()
    }

    pub(crate) fn limit(&self) -> &Arc<Bandwidth> {
        &self.shared.bandwidth
    }

    /// Makes a blocking call that belongs to no mount.
    pub fn run<T: Send + 'static>(&self, call: impl FnOnce() -> T + Send + 'static) -> Task<T> {
        self.run_at("", call)
    }

    /// Makes a blocking call that uses `path`, in the lane of the mount that serves it. The path itself is not touched.
    ///
    /// Dropping the task before the call has started takes it back; a call that runs ends by itself, and its result is
    /// dropped.
    pub fn run_at<T: Send + 'static>(
        &self,
        path: impl AsRef<Path>,
        call: impl FnOnce() -> T + Send + 'static,
    ) -> Task<T> {
        self.ask(self.lane(Place::Path(path.as_ref(), Way::Direct)), Priority::Normal, call)
    }

    /// The lane for calls that wait there; `None` without threads.
    pub(crate) fn lane(&self, place: Place<'_>) -> Option<Arc<Lane>> {
        self.has_threads().then(|| lock_soon(&self.shared.lanes).lane(place))
    }

    /// Makes a call in a lane, when it is its turn; without one, whoever polls the task makes it.
    pub(crate) fn ask<T: Send + 'static>(
        &self,
        lane: Option<Arc<Lane>>,
        priority: Priority,
        call: impl FnOnce() -> T + Send + 'static,
    ) -> Task<T> {
        let (task, job) = Task::new(call);
        match lane {
            Some(lane) => self.submit(lane, priority, job),
            None => *lock(&task.inline) = Some(job),
        }
        task
    }

    /// Makes a call in a lane, with nobody who waits for it.
    pub(crate) fn leave(&self, place: Place<'_>, call: impl FnOnce() + Send + 'static) {
        self.ask(self.lane(place), Priority::Normal, call).is_detached = true;
    }

    /// Makes a call as [`run_at`](Pool::run_at) does, with nobody who waits for it.
    pub(crate) fn leave_at(&self, path: &Path, call: impl FnOnce() + Send + 'static) {
        self.leave(Place::Path(path, Way::Direct), call);
    }

    /// Runs something long on a thread of its own, outside all lanes. Dropping the task does not stop it.
    pub(crate) fn spawn<T: Send + 'static>(&self, call: impl FnOnce() -> T + Send + 'static) -> Task<T> {
        let (mut task, prepared) = self.prepare(call);
        prepared.begin_for(&mut task);
        task
    }

    /// Something long that somebody begins later; until then it has no thread.
    pub(crate) fn prepare<T: Send + 'static>(&self, call: impl FnOnce() -> T + Send + 'static) -> (Task<T>, Prepared) {
        let (mut task, job) = Task::new(call);
        task.is_detached = true;
        (task, Prepared { pool: self.clone(), job })
    }

    pub(crate) fn downgrade(&self) -> WeakPool {
        WeakPool(Arc::downgrade(&self.shared))
    }

    /// Whether work can be given to other threads at all.
    pub(crate) fn has_threads(&self) -> bool {
        self.shared.runtime.is_some()
    }

    /// Where the process may not have threads.
    #[cfg(test)]
    pub(crate) fn without_threads() -> Pool {
        Pool {
            shared: Arc::new(Shared {
                runtime: None,
                lanes: Mutex::default(),
                is_watched: Arc::default(),
                bandwidth: Arc::default(),
            }),
        }
    }

    fn submit(&self, lane: Arc<Lane>, priority: Priority, job: Job) {
        match lane.push(job, priority) {
            Need::Nothing => {}
            Need::Worker => self.shared.start_worker(lane),
            Need::Watcher => Shared::watch(&self.shared),
        }
    }
}

impl Lanes {
    fn lane(&mut self, place: Place<'_>) -> Arc<Lane> {
        let key = match place {
            Place::Mount(number, way) => Key(number, way),
            Place::Path(path, way) => {
                if !path.as_os_str().is_empty() && self.mounts.refresh() {
                    let mounts = &self.mounts;
                    // Mounts come and go; a lane in which calls are under way is held by its workers.
                    self.by_key.retain(|key, lane| key.0 == 0 || mounts.has(key.0) || Arc::strong_count(lane) > 1);
                }
                Key(self.mounts.number_of(path), way)
            }
        };
        Arc::clone(self.by_key.entry(key).or_default())
    }
}

/// A long call that nobody has begun.
pub(crate) struct Prepared {
    pool: Pool,
    job: Job,
}

impl Prepared {
    /// Runs it on a thread of its own; where there is none, whoever polls or drops the task makes the call.
    pub(crate) fn begin_for<T>(self, task: &mut Task<T>) {
        *lock(&task.inline) = self.give();
    }

    /// Runs it on a thread of its own; where there is none, on this one.
    pub(crate) fn begin(self) {
        self.give().and_then(Job::run).into_iter().for_each(Waker::wake);
    }

    /// Runs it on this thread.
    pub(crate) fn run_here(self) {
        self.job.run().into_iter().for_each(Waker::wake);
    }

    fn give(self) -> Option<Job> {
        match &self.pool.shared.runtime {
            Some(threads) => threads.give(self.job),
            None => Some(self.job),
        }
    }
}

impl Drop for Shared {
    /// Workers keep their lane, and would otherwise do what is queued there, or leave it waiting behind a call that hangs.
    fn drop(&mut self) {
        for lane in std::mem::take(&mut *lock(&self.lanes)).by_key.into_values() {
            lane.close();
        }
    }
}

impl Shared {
    fn start_worker(&self, lane: Arc<Lane>) {
        if let Some(threads) = &self.runtime {
            let is_watched = Arc::clone(&self.is_watched);
            // Without a thread the caller makes the call.
            let job = threads.give(Job::detached(move || lane.work(&is_watched)));
            job.and_then(Job::run).into_iter().for_each(Waker::wake);
        }
    }

    /// Looks after lanes until no call waits in any.
    fn watch(shared: &Arc<Shared>) {
        if shared.is_watched.swap(true, Ordering::AcqRel) {
            return;
        }
        let weak: Weak<Shared> = Arc::downgrade(shared);
        let watch = move || {
            let mut quiet = 0;
            while let Some(shared) = weak.upgrade() {
                quiet = if shared.look() { 0 } else { quiet + 1 };
                if quiet > WATCH_LONGER {
                    shared.is_watched.store(false, Ordering::Release);
                    // What was added after the look found a watcher that was about to go; so did a waker.
                    if !shared.look() || shared.is_watched.swap(true, Ordering::AcqRel) {
                        return;
                    }
                    quiet = 0;
                }
                drop(shared);
                std::thread::sleep(WATCH_EVERY);
            }
        };
        if let Some(threads) = &shared.runtime {
            if threads.give(Job::detached(watch)).is_some() {
                // Without a thread nobody watches until the next call has to wait.
                shared.is_watched.store(false, Ordering::Release);
            }
        }
    }

    /// Looks at each lane; `false` when no call waits.
    fn look(&self) -> bool {
        let lanes: Vec<_> = lock(&self.lanes).by_key.values().cloned().collect();
        let mut has_any = false;
        for lane in lanes {
            let (begun, has_waiting) = lane.look();
            has_any |= has_waiting;
            (0..begun).for_each(|_| self.start_worker(Arc::clone(&lane)));
        }
        has_any
    }
}

#[cfg(test)]
mod tests {
    use super::lane::LANE_THREADS;
    use super::*;

    #[test]
    fn a_panic_reaches_the_caller_and_the_pool_goes_on() {
        let pool = Pool::new();
        let answer = block_on(pool.run(|| panic!("on purpose")));
        assert_eq!(answer, Err::<(), _>(TaskError::Panicked("on purpose".to_owned())));
        assert_eq!(block_on(pool.run(|| 7)), Ok(7));
    }

    #[test]
    fn a_call_that_was_dropped_in_the_queue_does_not_start() {
        let pool = Pool::new();
        let gate = Arc::new(Mutex::new(()));
        let held = gate.lock().unwrap();
        let blockers: Vec<_> = (0..LANE_THREADS)
            .map(|_| {
                let gate = Arc::clone(&gate);
                pool.run(move || drop(gate.lock()))
            })
            .collect();
        let started = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&started);
        drop(pool.run(move || flag.store(true, Ordering::SeqCst)));
        drop(held);
        blockers.into_iter().for_each(|task| block_on(task).unwrap());
        block_on(pool.run(|| ())).unwrap();
        assert!(!started.load(Ordering::SeqCst));
    }

    #[test]
    fn dropping_a_pool_does_not_wait_and_gives_up_what_is_queued() {
        let pool = Pool::new();
        let (release, hold) = std::sync::mpsc::channel::<()>();
        let hold = Arc::new(Mutex::new(hold));
        let held: Vec<_> = (0..LANE_THREADS)
            .map(|_| {
                let hold = Arc::clone(&hold);
                pool.run(move || {
                    // The sender is dropped when the test lets go.
                    let _ = hold.lock().unwrap().recv();
                })
            })
            .collect();
        drop(pool);
        drop(release);
        for task in held {
            let answer = block_on(task);
            assert!(matches!(answer, Ok(()) | Err(TaskError::PoolClosed)), "{answer:?}");
        }
    }

    #[test]
    fn without_threads_the_caller_makes_the_call() {
        let pool = Pool::without_threads();
        let here = std::thread::current().id();
        assert_eq!(block_on(pool.run(move || std::thread::current().id() == here)), Ok(true));
    }
}
