//! Waiting for a short time in a future, without the timers of an executor: one thread for all who wait.

use crate::control::lock;
use crate::pool::Pool;
use std::sync::{Condvar, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// A moment to wait for.
pub(super) struct Wait {
    until: Instant,
    /// Under which number it waits, so that it wakes only whoever polled it last.
    number: Option<u64>,
}

impl Wait {
    pub(super) fn new(time: Duration) -> Wait {
        Wait { until: Instant::now() + time, number: None }
    }

    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if Instant::now() >= self.until {
            return Poll::Ready(());
        }
        if !Pool::global().has_threads() {
            std::thread::sleep(self.until.saturating_duration_since(Instant::now()));
            return Poll::Ready(());
        }
        let waker = context.waker().clone();
        let mut clock = lock(&CLOCK);
        let known = self.number.and_then(|number| clock.waiting.iter_mut().find(|sleeper| sleeper.number == number));
        if let Some(sleeper) = known {
            sleeper.waker = waker;
            return Poll::Pending;
        }
        let number = clock.next;
        clock.next += 1;
        self.number = Some(number);
        clock.waiting.push(Sleeper { until: self.until, number, waker });
        let is_first = !std::mem::replace(&mut clock.is_running, true);
        drop(clock);
        if is_first {
            drop(Pool::global().spawn(run));
        } else {
            CHANGED.notify_one();
        }
        Poll::Pending
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            lock(&CLOCK).waiting.retain(|sleeper| sleeper.number != number);
        }
    }
}

struct Sleeper {
    until: Instant,
    number: u64,
    waker: Waker,
}

struct Clock {
    waiting: Vec<Sleeper>,
    next: u64,
    is_running: bool,
}

static CLOCK: Mutex<Clock> = Mutex::new(Clock { waiting: Vec::new(), next: 0, is_running: false });

/// Somebody waits who did not before.
static CHANGED: Condvar = Condvar::new();

/// Wakes who has waited long enough, until nobody waits.
fn run() {
    loop {
        let mut clock = lock(&CLOCK);
        let now = Instant::now();
        let (due, waiting) = std::mem::take(&mut clock.waiting).into_iter().partition(|sleeper| sleeper.until <= now);
        clock.waiting = waiting;
        let due: Vec<Sleeper> = due;
        if !due.is_empty() {
            drop(clock);
            due.into_iter().for_each(|sleeper| sleeper.waker.wake());
            continue;
        }
        let Some(next) = clock.waiting.iter().map(|sleeper| sleeper.until).min() else {
            clock.is_running = false;
            return;
        };
        drop(CHANGED.wait_timeout(clock, next.saturating_duration_since(now)));
    }
}
