//! Blocking calls as futures: any executor awaits them, worker threads make them.
//!
//! Each mount has a *lane* with a queue and a bounded number of threads, so that a server that never answers holds up
//! nobody but those who asked for it. A worker takes calls until its lane's queue is empty; threads come from tokio's
//! blocking pool, which needs no reactor and no runtime in the caller. Whole operations have threads of their own
//! (`Pool::spawn`) and use lanes only for single calls.

mod deadline;
mod task;

pub use task::{Task, TaskError, block_on};

pub(crate) use deadline::Deadline;

use crate::bandwidth::Bandwidth;
use crate::control::lock;
use crate::sys::{mount, thread};
use std::collections::{HashMap, VecDeque};
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::{Duration, Instant};
use task::Job;
use tokio::runtime::{Builder, Handle, Runtime};

/// Threads that work for one lane at a time: calls wait more than they compute.
const LANE_THREADS: usize = 8;

/// Threads a lane may have beside those, silent in a call for longer than [`STUCK_AFTER`].
const LANE_STUCK: usize = 16;

/// Longer than any healthy disk needs for one call, even one that has to wake up first.
const STUCK_AFTER: Duration = Duration::from_secs(1);

/// How often a full lane is looked at. Nobody looks when none is full.
const WATCH_EVERY: Duration = Duration::from_millis(100);

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
    /// For the operations of this pool together.
    bandwidth: Arc<Bandwidth>,
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
                job.into_iter().for_each(Job::run);
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
    by_mount: HashMap<PathBuf, Arc<Lane>>,
    mounts: mount::Watched,
    is_watched: bool,
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
        Pool { shared: Arc::new(Shared { runtime, lanes: Mutex::default(), bandwidth: Arc::default() }) }
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
        let (task, job) = Task::new(call);
        match &self.shared.runtime {
            Some(_) => self.submit(path.as_ref(), job),
            None => *lock(&task.inline) = Some(job),
        }
        task
    }

    /// Makes a call as [`run_at`](Pool::run_at) does, with nobody who waits for it.
    pub(crate) fn leave_at(&self, path: &Path, call: impl FnOnce() + Send + 'static) {
        self.run_at(path, call).is_detached = true;
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

    /// Whether work can be given to other threads at all.
    pub(crate) fn has_threads(&self) -> bool {
        self.shared.runtime.is_some()
    }

    /// Where the process may not have threads.
    #[cfg(test)]
    pub(crate) fn without_threads() -> Pool {
        Pool { shared: Arc::new(Shared { runtime: None, lanes: Mutex::default(), bandwidth: Arc::default() }) }
    }

    fn submit(&self, path: &Path, job: Job) {
        let lane = {
            let mut lanes = lock(&self.shared.lanes);
            let point = lanes.mounts.point_of(path);
            Arc::clone(lanes.by_mount.entry(point).or_default())
        };
        let mut state = lock(&lane.state);
        state.queue.push_back(job);
        let has_room = state.add_worker();
        drop(state);
        if has_room { self.shared.start_worker(lane) } else { Shared::watch(&self.shared) }
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
        self.give().into_iter().for_each(Job::run);
    }

    /// Runs it on this thread.
    pub(crate) fn run_here(self) {
        self.job.run();
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
        for lane in std::mem::take(&mut *lock(&self.lanes)).by_mount.into_values() {
            let queue = std::mem::take(&mut lock(&lane.state).queue);
            // Without the lane's lock: whoever awaits them is woken.
            drop(queue);
        }
    }
}

impl Shared {
    fn start_worker(&self, lane: Arc<Lane>) {
        if let Some(threads) = &self.runtime {
            // Without a thread the caller makes the call.
            let job = threads.give(Job(Box::new(move || lane.work())));
            job.into_iter().for_each(Job::run);
        }
    }

    /// Looks after full lanes until none is full.
    fn watch(shared: &Arc<Shared>) {
        let mut lanes = lock(&shared.lanes);
        if std::mem::replace(&mut lanes.is_watched, true) {
            return;
        }
        let weak: Weak<Shared> = Arc::downgrade(shared);
        let watch = move || {
            while weak.upgrade().is_some_and(|shared| shared.look()) {
                std::thread::sleep(WATCH_EVERY);
            }
        };
        if let Some(threads) = &shared.runtime {
            // Without a thread nobody watches until the lane is full the next time.
            lanes.is_watched = threads.give(Job(Box::new(watch))).is_none();
        }
    }

    /// Charges silent workers to the stuck set and fills their places. `false` when no lane is full any more.
    fn look(&self) -> bool {
        let mut all = lock(&self.lanes);
        let (mut is_any_full, mut begun) = (false, Vec::new());
        for lane in all.by_mount.values() {
            let mut state = lock(&lane.state);
            state.charge_silent();
            while !state.queue.is_empty() && state.add_worker() {
                begun.push(Arc::clone(lane));
            }
            is_any_full |= !state.queue.is_empty();
        }
        all.is_watched = is_any_full;
        drop(all);
        begun.into_iter().for_each(|lane| self.start_worker(lane));
        is_any_full
    }
}

#[derive(Default)]
struct Lane {
    state: Mutex<LaneState>,
}

#[derive(Default)]
struct LaneState {
    queue: VecDeque<Job>,
    /// Workers that count against [`LANE_THREADS`].
    workers: usize,
    /// Calls under way.
    running: Vec<Running>,
    stuck: usize,
    next_call: u64,
}

struct Running {
    call: u64,
    since: Instant,
    is_stuck: bool,
}

impl LaneState {
    fn add_worker(&mut self) -> bool {
        let has_room = self.workers < LANE_THREADS && self.workers <= self.queue.len() + self.running.len();
        self.workers += usize::from(has_room);
        has_room
    }

    fn charge_silent(&mut self) {
        for running in &mut self.running {
            if !running.is_stuck && running.since.elapsed() > STUCK_AFTER && self.stuck < LANE_STUCK {
                running.is_stuck = true;
                self.stuck += 1;
                self.workers -= 1;
            }
        }
    }
}

impl Lane {
    /// Takes calls until the queue is empty.
    fn work(&self) {
        loop {
            let (job, call) = {
                let mut state = lock(&self.state);
                let Some(job) = state.queue.pop_front() else {
                    state.workers -= 1;
                    return;
                };
                let call = state.next_call;
                state.next_call += 1;
                state.running.push(Running { call, since: Instant::now(), is_stuck: false });
                (job, call)
            };
            job.run();
            let mut state = lock(&self.state);
            let at = state.running.iter().position(|running| running.call == call);
            let was_stuck = at.is_some_and(|at| state.running.swap_remove(at).is_stuck);
            if was_stuck {
                state.stuck -= 1;
                if !state.add_worker() {
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

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
