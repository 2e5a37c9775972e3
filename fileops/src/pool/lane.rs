//! A lane: the calls that wait for one mount, and the threads that make them.
//!
//! A worker takes calls until none is left, looks for more for a moment (to wake a thread costs more than most calls), and
//! leaves. While others wait, callers are woken in bunches; the pool's watcher, which looks every [`WATCH_EVERY`] while calls
//! wait, wakes whoever was kept waiting by a call that takes long, and sees that there are more workers then.

use super::Priority;
use super::task::Job;
use crate::control::lock;
use crate::sys::thread;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard};
use std::task::Waker;
use std::time::{Duration, Instant};

/// Threads that work for one lane at a time: calls wait more than they compute.
pub(super) const LANE_THREADS: usize = 8;

/// Of those, never busy with background calls: whoever waits for an answer finds one free.
const NOT_FOR_BACKGROUND: usize = 2;

/// Threads a lane may have beside those, silent in a call for longer than [`STUCK_AFTER`].
const LANE_STUCK: usize = 16;

/// Longer than any healthy disk needs for one call, even one that has to wake up first.
const STUCK_AFTER: Duration = Duration::from_secs(1);

/// A call that takes longer waits for something, so that another thread does not take its processor.
const SLOW: Duration = Duration::from_micros(500);

/// How often lanes are looked at while calls wait in them.
pub(super) const WATCH_EVERY: Duration = Duration::from_millis(2);

/// How long a worker looks for more calls before it leaves. To wake a thread takes about as long.
const SPIN: Duration = Duration::from_micros(50);

/// Callers woken at once, at most.
const BUNCH: usize = 16;

/// To count them is to read files.
static CORES: LazyLock<usize> = LazyLock::new(thread::cores);

/// Workers to begin with; more only when these are found waiting.
fn first_workers() -> usize {
    (*CORES).min(LANE_THREADS)
}

/// Workers of all lanes that look for more calls just now: one processor is left to those who make some.
static SPINNING: AtomicUsize = AtomicUsize::new(0);

#[derive(Default)]
pub(crate) struct Lane {
    state: Mutex<State>,
    /// Calls that wait, for those who look without the lock.
    waiting: AtomicUsize,
}

#[derive(Default)]
struct State {
    /// One for each priority.
    queues: [VecDeque<Job>; 3],
    /// Workers that count against [`LANE_THREADS`].
    workers: usize,
    /// Of those, how many look for calls.
    idle: usize,
    /// Calls under way.
    running: Vec<Running>,
    stuck: usize,
    next_call: u64,
    /// Whose calls are done, and who wait for a bunch to be woken.
    done: Vec<Waker>,
}

struct Running {
    call: u64,
    since: Instant,
    is_stuck: bool,
    priority: Priority,
}

/// What a lane needs after a call was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    Nothing,
    Worker,
    /// Somebody has to look whether those who work wait.
    Watcher,
}

impl State {
    fn len(&self) -> usize {
        self.queues.iter().map(VecDeque::len).sum()
    }

    /// The next call that may be made now.
    fn take(&mut self) -> Option<(Job, Priority)> {
        for priority in [Priority::Interactive, Priority::Normal] {
            if let Some(job) = self.queues[priority as usize].pop_front() {
                return Some((job, priority));
            }
        }
        if self.background_room() == 0 {
            return None;
        }
        self.queues[Priority::Background as usize].pop_front().map(|job| (job, Priority::Background))
    }

    /// How many more background calls may be under way.
    fn background_room(&self) -> usize {
        let is_background = |running: &&Running| !running.is_stuck && running.priority == Priority::Background;
        (LANE_THREADS - NOT_FOR_BACKGROUND).saturating_sub(self.running.iter().filter(is_background).count())
    }

    /// How many of the calls that wait may be made now.
    fn ready(&self) -> usize {
        let background = self.queues[Priority::Background as usize].len();
        self.len() - background + background.min(self.background_room())
    }

    fn begin(&mut self, priority: Priority) -> u64 {
        let call = self.next_call;
        self.next_call += 1;
        self.running.push(Running { call, since: Instant::now(), is_stuck: false, priority });
        call
    }

    /// Whether this worker goes on: not if it was charged as stuck and its place was filled.
    fn end(&mut self, call: u64) -> bool {
        let at = self.running.iter().position(|running| running.call == call);
        let was_stuck = at.is_some_and(|at| self.running.swap_remove(at).is_stuck);
        if !was_stuck {
            return true;
        }
        self.stuck -= 1;
        let has_room = self.workers < LANE_THREADS;
        self.workers += usize::from(has_room);
        has_room
    }

    /// Whether all who work for the lane are found in calls that take long.
    fn is_slow(&self) -> bool {
        let now = Instant::now();
        let is_quick = |running: &Running| !running.is_stuck && now.duration_since(running.since) < SLOW;
        self.idle == 0 && !self.running.iter().any(is_quick)
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
    /// Adds a call. Whoever polls a future does this: it waits for nobody who waits.
    pub(super) fn push(&self, job: Job, priority: Priority) -> Need {
        let mut state = lock_soon(&self.state);
        state.queues[priority as usize].push_back(job);
        let waiting = state.len();
        self.waiting.store(waiting, Ordering::Release);
        if state.idle >= waiting {
            return Need::Nothing;
        }
        let is_wanted = state.workers < first_workers() || (state.workers < LANE_THREADS && state.is_slow());
        state.workers += usize::from(is_wanted);
        if is_wanted { Need::Worker } else { Need::Watcher }
    }

    /// Takes calls until there are none. `is_watched` tells whether somebody looks after those who are kept waiting.
    pub(super) fn work(&self, is_watched: &AtomicBool) {
        let mut woken = Vec::new();
        let mut ended = None;
        loop {
            let mut state = lock(&self.state);
            if let Some((call, waker)) = ended.take() {
                state.done.extend(waker);
                if !state.end(call) {
                    std::mem::swap(&mut state.done, &mut woken);
                    drop(state);
                    woken.drain(..).for_each(Waker::wake);
                    return;
                }
            }
            let next = state.take().map(|(job, priority)| (job, priority, state.begin(priority)));
            let waiting = state.len();
            self.waiting.store(waiting, Ordering::Release);
            let may_wait = next.is_some() && waiting > 0 && is_watched.load(Ordering::Acquire);
            if !may_wait || state.done.len() >= BUNCH {
                std::mem::swap(&mut state.done, &mut woken);
            }
            let is_alone = next.is_none() && state.idle == 0 && waiting == 0;
            match &next {
                Some(_) => {}
                None if is_alone => state.idle += 1,
                None => state.workers -= 1,
            }
            drop(state);
            woken.drain(..).for_each(Waker::wake);
            match next {
                Some((job, priority, call)) => {
                    let waker = match priority {
                        Priority::Background => thread::with_idle_io(|| job.run()),
                        _ => job.run(),
                    };
                    ended = Some((call, waker));
                }
                None if is_alone => {
                    self.spin();
                    let mut state = lock(&self.state);
                    state.idle -= 1;
                    if state.len() == 0 {
                        state.workers -= 1;
                        return;
                    }
                }
                None => return,
            }
        }
    }

    /// Looks for calls for a moment.
    fn spin(&self) {
        if SPINNING.fetch_add(1, Ordering::Relaxed) < *CORES - 1 {
            let begun = Instant::now();
            while self.waiting.load(Ordering::Acquire) == 0 && begun.elapsed() < SPIN {
                (0..20).for_each(|_| std::hint::spin_loop());
            }
        }
        SPINNING.fetch_sub(1, Ordering::Relaxed);
    }

    /// Charges silent workers to the stuck set, wakes who was kept waiting, and tells how many workers are to be started
    /// and whether calls wait.
    pub(super) fn look(&self) -> (usize, bool) {
        let mut state = lock(&self.state);
        state.charge_silent();
        let (mut begun, ready, waiting) = (0, state.ready(), state.len());
        if ready > 0 && (state.workers < first_workers() || state.is_slow()) {
            begun = ready.min(LANE_THREADS.saturating_sub(state.workers));
            state.workers += begun;
        }
        let done = std::mem::take(&mut state.done);
        drop(state);
        done.into_iter().for_each(Waker::wake);
        (begun, waiting > 0)
    }

    /// Gives up what waits.
    pub(super) fn close(&self) {
        let mut state = lock(&self.state);
        let queues = std::mem::take(&mut state.queues);
        let done = std::mem::take(&mut state.done);
        self.waiting.store(0, Ordering::Release);
        drop(state);
        // Without the lane's lock: whoever awaits them is woken.
        done.into_iter().for_each(Waker::wake);
        drop(queues);
    }
}

/// Takes a lock whose holders wait for nothing. Rather than to sleep, a thread that polls futures lets others run.
pub(super) fn lock_soon<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    /// Longer than a holder that lost its processor takes to get it back.
    const TRIES: usize = 1000;
    for _ in 0..TRIES {
        match mutex.try_lock() {
            Ok(guard) => return guard,
            Err(std::sync::TryLockError::Poisoned(poisoned)) => return poisoned.into_inner(),
            Err(std::sync::TryLockError::WouldBlock) => std::thread::yield_now(),
        }
    }
    lock(mutex)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn a_call_overtakes_those_of_lower_priority_and_a_background_call_asks_the_disk_last() {
        let (lane, order) = (Lane::default(), Arc::new(Mutex::new(Vec::new())));
        let before = thread::io_priority();
        let all = [Priority::Background, Priority::Normal, Priority::Interactive];
        for (number, priority) in all.into_iter().cycle().take(6).enumerate() {
            let order = Arc::clone(&order);
            let call = move || lock(&order).push((priority, number, thread::io_priority()));
            assert_ne!(lane.push(Job::detached(call), priority), Need::Nothing, "nobody is idle");
        }
        lock(&lane.state).workers = 1;
        lane.work(&AtomicBool::new(false));
        const IDLE: i64 = 3 << 13;
        let expected = [
            (Priority::Interactive, 2, before),
            (Priority::Interactive, 5, before),
            (Priority::Normal, 1, before),
            (Priority::Normal, 4, before),
            (Priority::Background, 0, IDLE),
            (Priority::Background, 3, IDLE),
        ];
        assert_eq!(*lock(&order), expected);
        assert_eq!(thread::io_priority(), before, "the thread's own is put back");
        assert_eq!(lock(&lane.state).workers, 0);
    }

    #[test]
    fn background_calls_leave_workers_to_others() {
        let mut state = State::default();
        for _ in 0..LANE_THREADS {
            state.queues[Priority::Background as usize].push_back(Job::detached(|| ()));
        }
        let mut jobs = Vec::new();
        while let Some((job, priority)) = state.take() {
            state.begin(priority);
            jobs.push(job);
        }
        assert_eq!((jobs.len(), state.ready()), (LANE_THREADS - NOT_FOR_BACKGROUND, 0));
        state.queues[Priority::Normal as usize].push_back(Job::detached(|| ()));
        assert!(state.take().is_some());
    }

    #[test]
    fn callers_kept_for_a_bunch_are_woken_by_whoever_looks_after_the_lane() {
        struct Flag(AtomicBool);
        impl std::task::Wake for Flag {
            fn wake(self: Arc<Self>) {
                self.0.store(true, Ordering::SeqCst);
            }
        }
        let (lane, flag) = (Lane::default(), Arc::new(Flag(AtomicBool::new(false))));
        lock(&lane.state).done.push(Waker::from(Arc::clone(&flag)));
        assert_eq!(lane.look(), (0, false));
        assert!(flag.0.load(Ordering::SeqCst));
    }
}
