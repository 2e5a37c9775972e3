//! How many bytes of contents may be moved in a second: by one operation, by all of a pool.

use crate::control::lock;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// What was not used of this time may be used later, at once: a limit shall not cost those who stay below it.
const SAVED: f64 = 0.1;

/// A step takes this part of a second at the limit, so that the bytes flow rather than come in bursts.
const STEPS_A_SECOND: u64 = 20;

/// However low the limit is: less at a time costs more calls than it saves bytes.
const STEP_LEAST: usize = 4 << 10;

/// A bucket that fills at the rate. Whoever takes bytes from it waits until they are in it, in the order of taking.
pub(crate) struct Bandwidth {
    /// Bytes a second; 0 for no limit.
    rate: AtomicU64,
    bucket: Mutex<Bucket>,
}

struct Bucket {
    /// All bytes that were ever taken.
    taken: f64,
    /// All bytes that ever came in; no more than were taken and may be saved.
    filled: f64,
    at: Instant,
}

/// Bytes that were taken: how many there had to be by then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken(f64);

impl Default for Bandwidth {
    fn default() -> Bandwidth {
        Bandwidth {
            rate: AtomicU64::new(0),
            bucket: Mutex::new(Bucket { taken: 0.0, filled: 0.0, at: Instant::now() }),
        }
    }
}

impl Bandwidth {
    /// From now on; `None` for no limit. A limit of nothing is one byte a second: to stop there is the pause.
    pub(crate) fn set(&self, bytes_per_second: Option<u64>) {
        let mut bucket = lock(&self.bucket);
        // What came in until now came in at the old rate.
        bucket.fill(self.rate.load(Relaxed));
        self.rate.store(bytes_per_second.map_or(0, |rate| rate.max(1)), Relaxed);
    }

    pub(crate) fn get(&self) -> Option<u64> {
        Some(self.rate.load(Relaxed)).filter(|&rate| rate > 0)
    }

    /// The most that should be moved at a time.
    pub(crate) fn step(&self) -> usize {
        self.get()
            .map_or(usize::MAX, |rate| usize::try_from(rate / STEPS_A_SECOND).unwrap_or(usize::MAX).max(STEP_LEAST))
    }

    /// Takes bytes; `None` without a limit.
    pub(crate) fn take(&self, bytes: u64) -> Option<Taken> {
        let rate = self.get()?;
        let mut bucket = lock(&self.bucket);
        bucket.fill(rate);
        bucket.taken += bytes as f64;
        Some(Taken(bucket.taken))
    }

    /// How long it takes, at the rate of now, until what was taken has come in.
    pub(crate) fn left(&self, taken: Taken) -> Duration {
        let Some(rate) = self.get() else { return Duration::ZERO };
        let mut bucket = lock(&self.bucket);
        bucket.fill(rate);
        Duration::from_secs_f64(((taken.0 - bucket.filled) / rate as f64).clamp(0.0, 1e6))
    }
}

impl Bucket {
    fn fill(&mut self, rate: u64) {
        let now = Instant::now();
        let come = match rate {
            // Nothing was counted meanwhile: nobody owes anything.
            0 => f64::INFINITY,
            rate => rate as f64 * (now - self.at).as_secs_f64(),
        };
        let saved = if rate == 0 { 0.0 } else { rate as f64 * SAVED };
        self.filled = (self.filled + come).min(self.taken + saved);
        self.at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_waited_for_in_the_order_of_taking() {
        let limit = Bandwidth::default();
        assert!(limit.take(1 << 30).is_none());
        limit.set(Some(1000));
        let first = limit.take(500).expect("there is a limit");
        let second = limit.take(500).expect("there is a limit");
        assert!(limit.left(first) <= Duration::from_millis(500));
        assert!(limit.left(second) > Duration::from_millis(600));
    }

    #[test]
    fn a_higher_limit_shortens_the_wait_and_none_ends_it() {
        let limit = Bandwidth::default();
        limit.set(Some(1));
        let taken = limit.take(1_000_000).expect("there is a limit");
        assert!(limit.left(taken) > Duration::from_secs(1000));
        limit.set(Some(1_000_000_000));
        assert!(limit.left(taken) < Duration::from_millis(10));
        limit.set(None);
        assert_eq!(limit.left(taken), Duration::ZERO);
    }

    #[test]
    fn little_is_saved_of_idle_time() {
        let limit = Bandwidth::default();
        limit.set(Some(1_000_000));
        std::thread::sleep(Duration::from_millis(300));
        let taken = limit.take(1_000_000).expect("there is a limit");
        assert!(limit.left(taken) > Duration::from_millis(850));
    }
}
