//! Limits in time for those who await: one thread for all, which ends when nobody waits.

use crate::control::lock;
use crate::sys::thread;
use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

static WAITING: Mutex<Waiting> = Mutex::new(Waiting { wakers: BTreeMap::new(), next: 0, has_thread: false });
static CHANGED: Condvar = Condvar::new();

struct Waiting {
    /// By time, and by a number of each.
    wakers: BTreeMap<(Instant, u64), Waker>,
    next: u64,
    has_thread: bool,
}

/// A moment that wakes whoever polls for it.
pub(crate) struct Deadline {
    at: Instant,
    /// Its place, once somebody has polled.
    key: Option<(Instant, u64)>,
}

impl Deadline {
    pub(crate) fn after(time: Duration) -> Deadline {
        /// Nobody waits longer than that, and the clock has an end.
        const MOST: Duration = Duration::from_secs(1 << 30);
        Deadline { at: Instant::now() + time.min(MOST), key: None }
    }

    /// Whether it is over; if not the waker is woken then.
    pub(crate) fn is_over(&mut self, context: &Context<'_>) -> bool {
        if Instant::now() >= self.at {
            return true;
        }
        let mut waiting = lock(&WAITING);
        let key = *self.key.get_or_insert_with(|| {
            waiting.next += 1;
            (self.at, waiting.next)
        });
        waiting.wakers.insert(key, context.waker().clone());
        if !waiting.has_thread {
            let spawned = std::thread::Builder::new().name("fileops-timer".to_owned()).spawn(run);
            // Without a thread the limit is not kept.
            waiting.has_thread = spawned.is_ok();
        } else if waiting.wakers.first_key_value().is_some_and(|(first, _)| *first == key) {
            CHANGED.notify_one();
        }
        false
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            let mut waiting = lock(&WAITING);
            // Dropped when the lock is not held any more: a waker may run anything.
            let waker = waiting.wakers.remove(&key);
            if waiting.wakers.is_empty() {
                CHANGED.notify_one();
            }
            drop(waiting);
            drop(waker);
        }
    }
}

fn run() {
    thread::block_signals();
    let mut waiting = lock(&WAITING);
    loop {
        let Some((&(at, _), _)) = waiting.wakers.first_key_value() else {
            waiting.has_thread = false;
            return;
        };
        let left = at.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let waker = waiting.wakers.pop_first();
            drop(waiting);
            waker.into_iter().for_each(|(_, waker)| waker.wake());
            waiting = lock(&WAITING);
        } else {
            waiting =
                CHANGED.wait_timeout(waiting, left).map_or_else(|poisoned| poisoned.into_inner().0, |woken| woken.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::block_on;
    use std::future::poll_fn;
    use std::task::Poll;

    #[test]
    fn who_waits_is_woken_and_the_thread_ends() {
        let wait = |time| {
            let mut deadline = Deadline::after(Duration::from_millis(time));
            block_on(poll_fn(move |context| if deadline.is_over(context) { Poll::Ready(()) } else { Poll::Pending }));
        };
        let begun = Instant::now();
        std::thread::scope(|scope| {
            scope.spawn(|| wait(30));
            scope.spawn(|| wait(10));
        });
        assert!(begun.elapsed() >= Duration::from_millis(30));
        let end = Instant::now() + Duration::from_secs(30);
        while lock(&WAITING).has_thread {
            assert!(Instant::now() < end, "the thread stays");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}
