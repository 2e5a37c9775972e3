//! The first SIGINT, SIGTERM or SIGHUP cancels, and the process ends within a second of it whatever else its threads are doing.
//!
//! The thread here does nothing that could wait for long: the others may be stuck in a call, or in a write that nobody
//! reads.

use crate::messages;
use crate::out;
use crate::outcome::Exit;
use fileops::{Operation, Report};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;
use signal_hook::low_level;
use std::fs;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

/// When the process ends although the operation has not. A tenth of the second that is promised is kept for saying so
/// and for the end itself.
const LIMIT: Duration = Duration::from_millis(800);

/// How long saying so may take: a terminal can be stopped.
const SAYING: Duration = Duration::from_millis(50);

/// How soon a second signal is noticed.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// The running operation, which the main thread follows and a signal cancels. The lock is never held while anything is
/// read or written.
#[derive(Default)]
pub(crate) struct Held(Mutex<Option<Operation>>);

impl Held {
    pub(crate) fn hold(&self, operation: Operation) {
        *self.lock() = Some(operation);
    }

    pub(crate) fn poll(&self, waker: &Waker) -> Poll<Report> {
        let mut held = self.lock();
        let operation = held.as_mut().expect("an operation is held until its report was taken");
        let answer = Pin::new(operation).poll(&mut Context::from_waker(waker));
        if answer.is_ready() {
            *held = None;
        }
        answer
    }

    pub(crate) fn with<T>(&self, look: impl FnOnce(&Operation) -> T) -> Option<T> {
        self.lock().as_ref().map(look)
    }

    /// Gives `false` while the operation is not there or its lock is held.
    fn cancel(&self) -> bool {
        let Ok(held) = self.0.try_lock() else { return false };
        held.as_ref().map(Operation::cancel).is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Operation>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A file size limit answers EFBIG on this thread too, as it does on the library's.
pub(crate) fn survive_file_size_limit() {
    // Without a handler the limit ends the process, which is what it did before.
    let _ = signal_hook::flag::register(SIGXFSZ, Arc::<AtomicBool>::default());
}

/// Starts listening. `target` is where something may be left. Where no thread can be had, signals keep their own way.
pub(crate) fn listen(held: &Arc<Held>, target: Option<PathBuf>) {
    let held = Arc::clone(held);
    let (ready, is_ready) = mpsc::channel();
    let listener = thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let signals = Signals::new([SIGINT, SIGTERM, SIGHUP].into_iter().filter(|&signal| !is_ignored(signal)));
        // The other end waits for exactly this.
        let _ = ready.send(());
        if let Ok(signals) = signals {
            obey(signals, &held, target);
        }
    });
    if listener.is_ok() {
        let _ = is_ready.recv();
    }
}

/// Ends the process on the first signal: nothing is begun that would have to be ended well.
pub(crate) fn end_at_once() {
    let listener = thread::Builder::new().name("signals".to_owned());
    let signals = Signals::new([SIGINT, SIGTERM, SIGHUP].into_iter().filter(|&signal| !is_ignored(signal)));
    // Without a thread the signals keep their own way, which is to end the process too.
    if let Ok(mut signals) = signals {
        let _ = listener.spawn(move || {
            if signals.forever().next().is_some() {
                low_level::exit(i32::from(Exit::Cancelled as u8));
            }
        });
    }
}

/// Whether the caller wants a signal to do nothing, as nohup(1) does. Source: proc_pid_status(5).
fn is_ignored(signal: i32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (signal - 1) & 1 == 1
}

fn obey(mut signals: Signals, held: &Held, target: Option<PathBuf>) {
    if signals.forever().next().is_none() {
        return;
    }
    let end = Instant::now() + LIMIT;
    let mut is_told = false;
    while Instant::now() < end {
        is_told = is_told || held.cancel();
        thread::sleep(LOOK_EVERY);
        if signals.pending().any(|signal| signal == SIGINT) {
            low_level::exit(i32::from(Exit::Cancelled as u8));
        }
    }
    if let Some(target) = target {
        say(move || out::complain(&messages::ended_before_clean(&target)));
    }
    low_level::exit(i32::from(Exit::Cancelled as u8));
}

fn say(words: impl FnOnce() + Send + 'static) {
    let (said, is_said) = mpsc::channel();
    let speaker = thread::Builder::new().spawn(move || {
        words();
        let _ = said.send(());
    });
    if speaker.is_ok() {
        let _ = is_said.recv_timeout(SAYING);
    }
}
