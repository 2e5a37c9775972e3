//! How many workers: one for each core while they compute, up to sixteen while they are found waiting.

use super::descriptors::{self, Descriptors};
use super::node::{End, Node};
use super::worker::Worker;
use super::{Engine, Visitor};
use crate::control::{For, State, lock};
use crate::error::{Action, Error};
use crate::operation::Job;
use crate::pool::Pool;
use crate::sys::{process, thread};
use std::collections::HashMap;
use std::ffi::CString;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// More than this gains nothing, on a cold disk and on a server alike (measured: ARCHITECTURE.md).
const MOST: usize = 16;

/// How often the workers are looked at: at first and after a change, and in the end.
const LOOK_FIRST: Duration = Duration::from_millis(2);
const LOOK_LAST: Duration = Duration::from_millis(20);

/// Fewer running workers than this share of the cores leave some of them idle.
const IDLE_BELOW: f64 = 0.9;

/// From which share of their time asleep more workers are worth their cost, and up to which fewer will do.
const ASLEEP: f64 = 0.25;
const AWAKE: f64 = 0.1;

/// Looks that must agree before the number changes.
const LOOKS: u32 = 4;

/// After a cancel, how long calls that are under way are waited for. They cannot be interrupted.
pub(crate) const GRACE: Duration = Duration::from_millis(500);

/// How long the first worker may take to start before the driver does the work itself.
const NO_THREAD_AFTER: Duration = Duration::from_millis(100);

/// How many workers an operation may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Workers {
    /// As many as are useful.
    Adapt,
    /// So many.
    Fixed(usize),
}

pub(super) struct Staff<D> {
    seats: Mutex<Vec<Arc<Seat<D>>>>,
    /// Workers that have started or are about to, and have not ended.
    count: AtomicUsize,
    wanted: AtomicUsize,
    fewest: usize,
    most: usize,
    is_waiting: AtomicBool,
    has_started: AtomicBool,
}

/// Why a worker leaves.
pub(super) enum Leaves {
    /// There is nothing left to do, or the operation is cancelled.
    Done,
    /// There are enough others; see [`Engine::dismisses`].
    Dismissed,
}

/// What the others can see of a worker.
pub(super) struct Seat<D> {
    thread: AtomicI32,
    is_busy: AtomicBool,
    pub(super) current: Mutex<Option<Current<D>>>,
}

/// What a worker has before it.
pub(super) enum Current<D> {
    /// A source the caller named, which may not even be open.
    Root(PathBuf),
    /// A directory, and perhaps an entry in it.
    Entry(Arc<Node<D>>, Option<CString>),
}

impl<D: Send + Sync + 'static> Seat<D> {
    pub(super) fn set_busy(&self, is_busy: bool) {
        self.is_busy.store(is_busy, Ordering::Relaxed);
    }

    fn path(&self) -> Option<PathBuf> {
        let current = lock(&self.current);
        Some(match current.as_ref()? {
            Current::Root(path) => path.clone(),
            Current::Entry(node, Some(name)) => node.path_of(End::Source, name),
            Current::Entry(node, None) => node.path(End::Source),
        })
    }
}

/// Walks all roots of a visitor and waits for the end. Gives `false` when calls were still stuck after a cancel: their
/// workers are left behind, and end when their file system answers.
pub(crate) fn run<V: Visitor>(visitor: V, job: &Arc<Job>, pool: &Pool, workers: Workers) -> (Arc<Engine<V>>, bool) {
    let limit = process::descriptor_limit();
    let most = descriptors::most_workers(limit);
    let (fewest, most) = match workers {
        _ if !pool.has_threads() => (1, 1),
        Workers::Adapt => (thread::cores().min(most), MOST.max(thread::cores()).min(most)),
        Workers::Fixed(count) => (count.clamp(1, most), count.clamp(1, most)),
    };
    let roots = visitor.roots();
    let engine = Arc::new(Engine {
        visitor,
        job: Arc::clone(job),
        pool: pool.clone(),
        descriptors: Descriptors::new(limit, most),
        queue: Mutex::default(),
        queued: AtomicUsize::new(0),
        outstanding: AtomicUsize::new(roots),
        parked: Mutex::default(),
        deferred: Mutex::default(),
        next_root: AtomicUsize::new(0),
        roots,
        staff: Staff {
            seats: Mutex::default(),
            count: AtomicUsize::new(0),
            wanted: AtomicUsize::new(fewest),
            fewest,
            most,
            is_waiting: AtomicBool::new(false),
            has_started: AtomicBool::new(false),
        },
    });
    let shown = Arc::downgrade(&engine);
    job.show_current(move || shown.upgrade().and_then(|engine| engine.current()));
    let waiting = Arc::downgrade(&engine);
    job.show_waiting(move || waiting.upgrade().is_some_and(|engine| engine.only_waits()));
    if roots > 0 {
        engine.hear_answers();
        engine.add_workers(roots);
        engine.govern();
        engine.drop_questions();
    }
    let is_over = engine.staff.count.load(Ordering::Acquire) == 0;
    if !is_over {
        engine.stuck_paths().into_iter().for_each(|path| job.is_stuck_at(path));
    }
    (engine, is_over)
}

impl<V: Visitor> Engine<V> {
    /// Starts workers for so many more tasks, as far as more are wanted.
    pub(super) fn add_workers(self: &Arc<Self>, tasks: usize) {
        for _ in 0..tasks {
            let wanted = self.wanted_workers();
            let more = |count| (count < wanted).then_some(count + 1);
            let Ok(count) = self.staff.count.fetch_update(Ordering::AcqRel, Ordering::Acquire, more) else { return };
            self.job.most_workers.fetch_max(count + 1, Ordering::Relaxed);
            self.job.workers.store(count + 1, Ordering::Relaxed);
            if !self.pool.has_threads() {
                return self.work();
            }
            let engine = Arc::clone(self);
            drop(self.pool.spawn(move || engine.work()));
        }
    }

    /// One worker, from its first task to its end.
    fn work(self: &Arc<Self>) {
        self.staff.has_started.store(true, Ordering::Release);
        let (is_busy, current) = Default::default();
        let seat = Arc::new(Seat { thread: AtomicI32::new(thread::id()), is_busy, current });
        lock(&self.staff.seats).push(Arc::clone(&seat));
        let worked = catch_unwind(AssertUnwindSafe(|| Worker::new(Arc::clone(self), Arc::clone(&seat)).work()));
        let is_dismissed = matches!(worked, Ok(Leaves::Dismissed));
        if worked.is_err() {
            // A defect of ours: the entry's failure is reported, and nobody waits for tasks that will not be done.
            self.job.fail(Error::new(
                Action::Start,
                seat.path().unwrap_or_default(),
                io::Error::other("a worker panicked"),
            ));
            self.job.control.cancel();
        }
        lock(&self.staff.seats).retain(|other| !Arc::ptr_eq(other, &seat));
        if is_dismissed {
            return;
        }
        // Not below none: a worker may come after the driver did its work.
        let fewer = |count: usize| Some(count.saturating_sub(1));
        let left = self.staff.count.fetch_update(Ordering::AcqRel, Ordering::Acquire, fewer).unwrap_or(0);
        let left = left.saturating_sub(1);
        self.job.workers.store(left, Ordering::Relaxed);
        if left == 0 {
            self.job.control.wake_all();
        }
    }

    pub(super) fn wanted_workers(&self) -> usize {
        self.staff.wanted.load(Ordering::Relaxed)
    }

    /// Whether workers were found waiting rather than computing, so that small tasks are worth another one.
    pub(super) fn is_waiting(&self) -> bool {
        self.staff.is_waiting.load(Ordering::Relaxed)
    }

    /// Whether this worker is one too many. It is not counted from then on, so that not all of them go.
    pub(super) fn dismisses(&self) -> bool {
        let wanted = self.wanted_workers();
        let fewer = |count| (count > wanted).then(|| count - 1);
        let Ok(count) = self.staff.count.fetch_update(Ordering::AcqRel, Ordering::Acquire, fewer) else { return false };
        self.job.workers.store(count - 1, Ordering::Relaxed);
        true
    }

    /// A directory that its finder keeps is a task too.
    pub(super) fn keep(&self) {
        self.outstanding.fetch_add(1, Ordering::Relaxed);
    }

    fn current(&self) -> Option<PathBuf> {
        let seats = lock(&self.staff.seats);
        // An idle worker still has before it what it did last.
        let busy = seats.iter().filter(|seat| seat.is_busy.load(Ordering::Relaxed));
        busy.chain(seats.iter()).find_map(|seat| seat.path())
    }

    fn stuck_paths(&self) -> Vec<PathBuf> {
        let seats = lock(&self.staff.seats);
        seats.iter().filter(|seat| seat.is_busy.load(Ordering::Relaxed)).filter_map(|seat| seat.path()).collect()
    }

    /// Looks at the workers until the last has gone.
    fn govern(self: &Arc<Self>) {
        let (begun, mut look, mut window) = (Instant::now(), LOOK_FIRST, Window::default());
        let is_over = || self.staff.count.load(Ordering::Acquire) == 0 && !self.has_work();
        while !is_over() {
            if self.job.control.is_cancelled() {
                self.job.wait_until(|| self.staff.count.load(Ordering::Acquire) == 0, GRACE);
                return;
            }
            // While there are only answers to wait for there is nothing to be looked at.
            let is_asking = self.only_waits();
            let next = (!is_asking).then_some(look);
            let is_news = || (is_over() || self.only_waits() != is_asking).then_some(());
            if self.job.control.wait(For::Change, next, is_news).is_err() {
                continue;
            }
            if self.job.control.state() == State::Paused || self.job.is_limited() {
                // Workers that wait for the caller say nothing about the device.
                window = Window::default();
                continue;
            }
            if !self.staff.has_started.load(Ordering::Acquire) && begun.elapsed() > NO_THREAD_AFTER {
                // The system has no thread for us: the count is of workers that never came.
                self.work();
                continue;
            }
            if self.staff.count.load(Ordering::Acquire) == 0 && self.has_work() {
                // A last resort: work is left and nobody is at it.
                self.add_workers(1);
            }
            window.look(self.busy_threads());
            if window.looks == LOOKS {
                if self.adapt(&window.load()) {
                    look = LOOK_FIRST;
                }
                window = Window::default();
            }
            look = (look + look / 4).min(LOOK_LAST);
        }
    }

    fn has_work(&self) -> bool {
        self.outstanding.load(Ordering::Acquire) > 0 && !self.job.control.is_cancelled()
    }

    fn busy_threads(&self) -> Vec<i32> {
        let seats = lock(&self.staff.seats);
        let busy = seats.iter().filter(|seat| seat.is_busy.load(Ordering::Relaxed));
        busy.map(|seat| seat.thread.load(Ordering::Relaxed)).collect()
    }

    /// Doubles the workers while they sleep and leave cores idle; halves them when hardly one sleeps.
    fn adapt(self: &Arc<Self>, load: &Load) -> bool {
        let (wanted, fewest, most) = (self.wanted_workers(), self.staff.fewest, self.staff.most);
        let is_busy = self.job.control.idle() == 0;
        let is_idle = load.running < IDLE_BELOW * thread::cores() as f64;
        let better = match load.asleep {
            share if share >= ASLEEP && is_idle && is_busy => (wanted * 2).min(most),
            share if share <= AWAKE => (wanted / 2).max(fewest),
            _ => wanted,
        };
        self.staff.is_waiting.store(better > fewest, Ordering::Relaxed);
        self.staff.wanted.store(better, Ordering::Relaxed);
        if better > wanted {
            self.add_workers(better - wanted);
        }
        better != wanted
    }
}

/// Some looks at the workers, one after the other.
#[derive(Default)]
struct Window {
    looks: u32,
    /// How long each worker had run when it was first found busy, and when that was.
    first: HashMap<i32, (Instant, Duration)>,
    /// How many of the busy workers run at a time, by the kernel's account.
    running: Option<f64>,
    /// How many workers were looked at, and how many of them slept.
    seen: u32,
    asleep: u32,
}

/// What busy workers do.
struct Load {
    /// The share of them that sleeps in a call at a time.
    asleep: f64,
    /// How many run at a time.
    running: f64,
}

impl Window {
    fn look(&mut self, busy: Vec<i32>) {
        if busy.is_empty() {
            return;
        }
        self.looks += 1;
        self.running = None;
        let now = Instant::now();
        for thread in busy {
            self.seen += 1;
            self.asleep += u32::from(thread::is_waiting(thread).unwrap_or(false));
            let Some(time) = thread::run_time(thread) else { continue };
            let (begun, before) = *self.first.entry(thread).or_insert((now, time));
            let passed = (now - begun).as_secs_f64();
            if passed > 0.0 {
                *self.running.get_or_insert(0.0) += time.saturating_sub(before).as_secs_f64() / passed;
            }
        }
    }

    fn load(&self) -> Load {
        let asleep = f64::from(self.asleep) / f64::from(self.seen.max(1));
        let workers = f64::from(self.seen) / f64::from(self.looks.max(1));
        Load { asleep, running: self.running.unwrap_or(workers * (1.0 - asleep)) }
    }
}
