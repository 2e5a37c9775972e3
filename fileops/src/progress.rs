//! How far an operation is: counters that workers add to and the reader sums up. No lock, message or clock per file.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// A file of more than this is measured by its bytes, a smaller one by being one: its fixed costs outweigh its data.
pub(crate) const LARGE: u64 = 1 << 20;

/// The rate shown is that of about the last three seconds: steady enough to be read, quick enough to tell a stall.
const RATE_MEMORY: Duration = Duration::from_secs(3);

/// Two looks at the counters closer than this say nothing about the rate.
const SAMPLE_APART: Duration = Duration::from_millis(50);

/// Before a small file was measured: what one costs on a slow laptop.
const GUESSED_ENTRY: Duration = Duration::from_micros(50);

/// What an operation is doing.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// In line for a device that others use; nothing is touched, and no time counts.
    Waiting,
    /// Working.
    Running,
    /// Told to wait; no further call is started.
    Paused,
    /// Everything is done but what waits for answers: see [`Operation::questions`](crate::Operation::questions).
    Asking,
    /// Told to stop; what is unfinished is being cleaned up.
    Cancelling,
    /// Everything done but the last names; lasts milliseconds.
    Finishing,
    /// Over; the report is there.
    Done,
}

/// Where an operation stands, at one moment. Made by [`Operation::progress`](crate::Operation::progress).
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Progress {
    /// What it is doing.
    pub phase: Phase,
    /// While it waits for its turn: how many operations go before it.
    pub place: Option<usize>,
    /// Files, directories and links that are over: done, skipped or failed.
    pub entries_done: u64,
    /// All that is known of so far.
    pub entries_total: u64,
    /// Bytes of contents that are over: copied, holes included, or in files that were skipped.
    pub bytes_done: u64,
    /// All that is known of so far.
    pub bytes_total: u64,
    /// Bytes that are safely on the device; `None` unless that was asked for.
    pub bytes_on_device: Option<u64>,
    /// Whether the totals still grow: work starts at once, and the scan runs beside it.
    pub is_total_growing: bool,
    /// The directory, or the large file, that a worker has before it.
    pub current: Option<PathBuf>,
    /// Bytes a second, lately.
    pub rate: f64,
    /// An estimate that counts files and bytes; `None` until the total is known and there is something to base it on.
    pub time_left: Option<Duration>,
    /// Since it began, pauses included. Waiting for the first turn is not.
    pub elapsed: Duration,
    /// Workers now at it.
    pub workers: usize,
    /// Questions that wait for an answer.
    pub questions: usize,
}

/// What one worker has done. Only that worker adds, so that an addition is a load and a store on a line of its own.
#[derive(Default)]
#[repr(align(128))]
pub(crate) struct Counters {
    pub(crate) entries: AtomicU64,
    /// Entries that were skipped, failed, or are directories that were there before.
    pub(crate) passed: AtomicU64,
    /// Bytes that were moved, be their file whole in the end or not.
    pub(crate) bytes: AtomicU64,
    /// Bytes of files that were skipped.
    pub(crate) passed_bytes: AtomicU64,
    /// Bytes of files that are done.
    pub(crate) file_bytes: AtomicU64,
    pub(crate) allocated: AtomicU64,
    pub(crate) files: AtomicU64,
    pub(crate) directories: AtomicU64,
    pub(crate) symlinks: AtomicU64,
    pub(crate) specials: AtomicU64,
    pub(crate) cloned: AtomicU64,
    /// Bytes that were there from an interrupted operation.
    pub(crate) resumed: AtomicU64,
    pub(crate) large_bytes: AtomicU64,
    large_nanoseconds: AtomicU64,
    small_entries: AtomicU64,
    small_nanoseconds: AtomicU64,
}

/// Adds to a counter that has one writer.
#[inline]
pub(crate) fn add(counter: &AtomicU64, amount: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(amount), Relaxed);
}

impl Counters {
    /// A part of a large file, and the time it took.
    pub(crate) fn add_large(&self, bytes: u64, time: Duration) {
        add(&self.large_bytes, bytes);
        add(&self.large_nanoseconds, nanoseconds(time));
    }

    /// The time in which small entries were done: `time` since a moment when `entries` and `large` were as given.
    pub(crate) fn add_small(&self, since: &Mark) {
        let large = self.large_nanoseconds.load(Relaxed) - since.large_nanoseconds;
        add(&self.small_nanoseconds, nanoseconds(since.at.elapsed()).saturating_sub(large));
        add(&self.small_entries, self.over() - since.entries);
    }

    fn over(&self) -> u64 {
        self.entries.load(Relaxed) + self.passed.load(Relaxed)
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark { at: Instant::now(), entries: self.over(), large_nanoseconds: self.large_nanoseconds.load(Relaxed) }
    }
}

/// A moment to measure from.
pub(crate) struct Mark {
    at: Instant,
    entries: u64,
    large_nanoseconds: u64,
}

fn nanoseconds(time: Duration) -> u64 {
    time.as_nanos() as u64
}

/// What the scan has found.
#[derive(Default)]
pub(crate) struct Totals {
    pub(crate) entries: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) allocated: AtomicU64,
    pub(crate) large_bytes: AtomicU64,
    pub(crate) is_complete: AtomicBool,
}

/// All counters of one operation, and what was seen of them before.
pub(crate) struct Meter {
    workers: Mutex<Vec<Arc<Counters>>>,
    pub(crate) totals: Totals,
    pub(crate) device: Device,
    /// Nothing while its operation has not begun.
    started: OnceLock<Instant>,
    last: Mutex<Sample>,
}

/// What is known to be on the device; added to a few times a second.
#[derive(Default)]
pub(crate) struct Device {
    /// Somebody asked for it.
    pub(crate) is_counted: AtomicBool,
    pub(crate) bytes: AtomicU64,
}

struct Sample {
    at: Instant,
    bytes: u64,
    rate: f64,
    /// Time in which work could be done.
    active: Duration,
}

/// The sums over all workers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sums {
    pub(crate) entries: u64,
    passed: u64,
    pub(crate) bytes: u64,
    passed_bytes: u64,
    pub(crate) file_bytes: u64,
    pub(crate) allocated: u64,
    pub(crate) files: u64,
    pub(crate) directories: u64,
    pub(crate) symlinks: u64,
    pub(crate) specials: u64,
    pub(crate) cloned: u64,
    pub(crate) resumed: u64,
    large_bytes: u64,
    large_nanoseconds: u64,
    small_entries: u64,
    small_nanoseconds: u64,
}

impl Meter {
    pub(crate) fn new() -> Meter {
        let now = Instant::now();
        Meter {
            workers: Mutex::default(),
            totals: Totals::default(),
            device: Device::default(),
            started: OnceLock::new(),
            last: Mutex::new(Sample { at: now, bytes: 0, rate: 0.0, active: Duration::ZERO }),
        }
    }

    /// Counters for one more worker.
    pub(crate) fn counters(&self) -> Arc<Counters> {
        let counters = Arc::<Counters>::default();
        self.workers.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&counters));
        counters
    }

    /// Counts the time from now on.
    pub(crate) fn begin(&self) {
        let now = *self.started.get_or_init(Instant::now);
        self.last.lock().unwrap_or_else(PoisonError::into_inner).at = now;
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.started.get().map_or(Duration::ZERO, Instant::elapsed)
    }

    /// Grows with all that is done.
    pub(crate) fn work(&self) -> u64 {
        let sums = self.sums();
        sums.entries + sums.passed + sums.bytes
    }

    pub(crate) fn sums(&self) -> Sums {
        let mut sums = Sums::default();
        for worker in self.workers.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            sums.entries += worker.entries.load(Relaxed);
            sums.passed += worker.passed.load(Relaxed);
            sums.bytes += worker.bytes.load(Relaxed);
            sums.passed_bytes += worker.passed_bytes.load(Relaxed);
            sums.file_bytes += worker.file_bytes.load(Relaxed);
            sums.allocated += worker.allocated.load(Relaxed);
            sums.files += worker.files.load(Relaxed);
            sums.directories += worker.directories.load(Relaxed);
            sums.symlinks += worker.symlinks.load(Relaxed);
            sums.specials += worker.specials.load(Relaxed);
            sums.cloned += worker.cloned.load(Relaxed);
            sums.resumed += worker.resumed.load(Relaxed);
            sums.large_bytes += worker.large_bytes.load(Relaxed);
            sums.large_nanoseconds += worker.large_nanoseconds.load(Relaxed);
            sums.small_entries += worker.small_entries.load(Relaxed);
            sums.small_nanoseconds += worker.small_nanoseconds.load(Relaxed);
        }
        sums
    }

    /// Sums up what a person wants to see. The caller adds place, current path and workers.
    pub(crate) fn sample(&self, phase: Phase) -> Progress {
        let sums = self.sums();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let apart = last.at.elapsed();
        if matches!(phase, Phase::Paused | Phase::Asking | Phase::Waiting) {
            *last = Sample { at: Instant::now(), bytes: sums.bytes, ..*last };
        } else if apart >= SAMPLE_APART {
            let rate = sums.bytes.saturating_sub(last.bytes) as f64 / apart.as_secs_f64();
            let is_first = last.active.is_zero();
            let weight = 1.0 - (-apart.as_secs_f64() / RATE_MEMORY.as_secs_f64()).exp();
            let rate = if is_first { rate } else { last.rate + weight * (rate - last.rate) };
            *last = Sample { at: Instant::now(), bytes: sums.bytes, rate, active: last.active + apart };
        }
        let (over, over_bytes) = (sums.entries + sums.passed, sums.bytes + sums.passed_bytes);
        let is_complete = self.totals.is_complete.load(Relaxed) || phase == Phase::Done;
        Progress {
            phase,
            place: None,
            entries_done: over,
            entries_total: self.totals.entries.load(Relaxed).max(over),
            bytes_done: over_bytes,
            bytes_total: self.totals.bytes.load(Relaxed).max(over_bytes),
            bytes_on_device: self.on_device(over_bytes, sums.passed_bytes),
            is_total_growing: !is_complete,
            current: None,
            rate: last.rate,
            time_left: if is_complete { self.time_left(&sums, last.active) } else { None },
            elapsed: self.elapsed(),
            workers: 0,
            questions: 0,
        }
    }

    /// What was passed over is not waited for. A file that was tried twice counts twice, on both sides.
    fn on_device(&self, over: u64, passed: u64) -> Option<u64> {
        let is_counted = self.device.is_counted.load(Relaxed);
        is_counted.then(|| over.min(self.device.bytes.load(Relaxed) + passed))
    }

    /// What is left, at what each kind of work has cost so far, over as many workers as were busy.
    fn time_left(&self, sums: &Sums, active: Duration) -> Option<Duration> {
        let busy = sums.small_nanoseconds + sums.large_nanoseconds;
        if busy == 0 || active.is_zero() {
            return None;
        }
        let a_small = match sums.small_entries {
            0 => nanoseconds(GUESSED_ENTRY) as f64,
            entries => sums.small_nanoseconds as f64 / entries as f64,
        };
        let a_byte = match sums.large_bytes {
            // Nothing large was seen yet: at the rate of the small ones' contents.
            0 => sums.small_nanoseconds as f64 / sums.bytes.max(1) as f64,
            bytes => sums.large_nanoseconds as f64 / bytes as f64,
        };
        let entries = self.totals.entries.load(Relaxed).saturating_sub(sums.entries + sums.passed);
        let bytes = self.totals.large_bytes.load(Relaxed).saturating_sub(sums.large_bytes);
        let work = entries as f64 * a_small + bytes as f64 * a_byte;
        let workers = (busy as f64 / nanoseconds(active) as f64).max(0.5);
        Some(Duration::from_nanos((work / workers) as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_counts_files_and_bytes() {
        let meter = Meter::new();
        let worker = meter.counters();
        // 1,000 small files in 1 s, 100 MB of a large one in 1 s, by one worker.
        add(&worker.entries, 1_000);
        add(&worker.small_entries, 1_000);
        add(&worker.small_nanoseconds, 1_000_000_000);
        worker.add_large(100_000_000, Duration::from_secs(1));
        meter.totals.entries.store(3_000, Relaxed);
        meter.totals.large_bytes.store(500_000_000, Relaxed);
        let left = meter.time_left(&meter.sums(), Duration::from_secs(2)).unwrap();
        assert_eq!(left.as_millis(), 2_000 + 4_000);
    }

    #[test]
    fn a_pause_does_not_lower_the_rate() {
        let meter = Meter::new();
        let worker = meter.counters();
        std::thread::sleep(SAMPLE_APART);
        add(&worker.bytes, 1 << 30);
        let rate = meter.sample(Phase::Running).rate;
        assert!(rate > 0.0);
        std::thread::sleep(SAMPLE_APART * 2);
        meter.sample(Phase::Paused);
        assert_eq!(meter.sample(Phase::Running).rate, rate);
    }
}
